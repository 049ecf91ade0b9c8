"""Local time by integers must be what the standard library says it is."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from outreach_frames.errors import DataError
from outreach_frames.stats import _backends, _timestamps
from outreach_frames.stats._timestamps import EPOCH, to_iso, to_micros
from outreach_frames.stats._validation import zone
from tests.frames import ENGINES, make_frame

ZONES = ["America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia", "UTC"]
MOMENTS = st.integers(946_900_000, 2_556_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


def local_clock(moments, zone):
    frame = _backends.wrap(pd.DataFrame({"at": [to_micros(moment) for moment in moments]}, dtype="int64[pyarrow]"))
    local = _timestamps.with_local(frame, "at", zones=[zone])
    return _backends.pandas_of(
        _timestamps.with_periods(_timestamps.with_clock(local), ["day", "week", "month", "quarter"])
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(MOMENTS, min_size=1, max_size=20), st.sampled_from(ZONES))
def test_the_wall_clock_is_that_of_zoneinfo(moments, zone):
    """Half-hour summer time, Ramadan's two changes in a month, and a skipped day included."""
    found = local_clock(moments, zone)

    expected = [moment.astimezone(ZoneInfo(zone)) for moment in moments]
    walls = [moment.replace(tzinfo=UTC) for moment in expected]
    assert found["local"].tolist() == [to_micros(wall) for wall in walls]
    assert found["hour"].tolist() == [moment.hour for moment in expected]
    days = [moment.date() for moment in expected]
    assert [date(1970, 1, 1) + timedelta(days=int(day)) for day in found["day"]] == days
    assert [date(1970, 1, 1) + timedelta(days=int(day)) for day in found["month"]] == [d.replace(day=1) for d in days]
    assert [date(1970, 1, 1) + timedelta(days=int(day)) for day in found["quarter"]] == [
        d.replace(month=(d.month - 1) // 3 * 3 + 1, day=1) for d in days
    ]
    assert [date(1970, 1, 1) + timedelta(days=int(day)) for day in found["week"]] == [
        d - timedelta(days=d.weekday()) for d in days
    ]


def test_every_day_falls_into_its_quarter():
    """Four hundred years, so that every rule of leap years has its turn."""
    days = pd.Series(pd.date_range("1900-01-01", "2299-12-31"))
    numbers = (days - pd.Timestamp("1970-01-01")).dt.days.astype("int64[pyarrow]")
    frame = _backends.wrap(pd.DataFrame({"local": numbers * _timestamps.DAY}))

    found = _backends.pandas_of(_timestamps.with_periods(frame, ["quarter"]).select("quarter"))["quarter"]

    firsts = days.dt.to_period("Q").dt.start_time
    assert found.tolist() == (firsts - pd.Timestamp("1970-01-01")).dt.days.tolist()


@pytest.mark.parametrize("zone", ["America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"])
def test_the_clock_changes_at_the_very_second(zone):
    changes = [EPOCH + timedelta(microseconds=change) for change in _timestamps._transitions(zone)[0]]

    for change in changes[:60]:
        second = timedelta(seconds=1)
        found = local_clock([change - second, change], zone)["local"].tolist()
        expected = [
            to_micros(moment.astimezone(ZoneInfo(zone)).replace(tzinfo=UTC)) for moment in (change - second, change)
        ]
        assert found == expected
        assert found[1] - found[0] != 1_000_000


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_may_have_zones_of_their_own(engine):
    moment = "2025-03-09T23:30:00Z"
    zones = ["Asia/Kolkata", "America/New_York", None]
    frame = make_frame([{"id": i, "at_at": moment, "zone": zone} for i, zone in enumerate(zones)])
    frame["at"] = frame["at_at"].astype("int64[pyarrow]")
    lazy = _backends.plain_columns(ENGINES[engine](frame[["id", "at", "zone"]]), ["id", "at", "zone"], {})

    local = _timestamps.with_local(lazy, "at", zones=["Asia/Kolkata", "America/New_York"], zone_column="zone")
    rows = {row["id"]: row["local"] for row in local.collect("pyarrow").to_native().to_pylist()}

    assert to_iso(rows[0]) == "2025-03-10T05:00:00Z"
    assert to_iso(rows[1]) == "2025-03-09T19:30:00Z"
    assert rows[2] is None


def test_missing_instants_stay_and_have_no_local_time():
    frame = _backends.wrap(pd.DataFrame({"at": [None, 0]}, dtype="int64[pyarrow]"))

    found = _backends.pandas_of(_timestamps.with_local(frame, "at", zones=["Asia/Kolkata"]))

    assert len(found) == 2
    assert sorted(found["local"].isna()) == [False, True]


def test_an_unknown_zone_is_refused():
    with pytest.raises(DataError, match="no time zone 'CET time'"):
        zone("tz", "CET time")
