"""Time zones as people and other programs write them, and what is told where none is known."""

import io
from contextlib import redirect_stdout
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from babel.core import get_global
from hypothesis import example as case, given, settings, strategies as st

from outreach_frames import stats
from outreach_frames.errors import DataError, NaiveTimestampWarning
from outreach_frames.stats import _backends
from outreach_frames.stats._timestamps import iana, iana_names, zone, zone_key, zones_by_key
from outreach_frames.stats.prospects import ZONE_COLUMNS, with_zone
from tests.frames import AS_OF, ENGINES, as_pandas, assert_equal_tables, mailings, make_frame

WRITTEN = {
    "America/New_York": "America/New_York",
    "america/new_york": "America/New_York",
    " America/New York ": "America/New_York",
    "US/Eastern": "US/Eastern",
    "Eastern Time (US & Canada)": "America/New_York",
    "(GMT-05:00) Eastern Time (US & Canada)": "America/New_York",
    "(UTC-05:00)\u00a0Eastern Time (US & Canada)": "America/New_York",
    "Eastern Standard Time": "America/New_York",
    "Eastern Daylight Time": "America/New_York",
    "W. Europe Standard Time": "Europe/Berlin",
    "Mumbai": "Asia/Kolkata",
    "utc": "UTC",
    "Astana": "Asia/Almaty",
}
UNKNOWN = ["Eastern", "Central Time", "EDT", "IST", "localtime", "Factory", "GMT+25", "-05:00", "", " ", "Berlin time"]


@pytest.mark.parametrize(("written", "meant"), WRITTEN.items())
def test_names_of_other_programs_are_understood(written, meant):
    assert iana(written) == meant


@pytest.mark.parametrize("written", [*UNKNOWN, None, 5, float("nan"), pd.NA])
def test_what_may_mean_several_zones_means_none(written):
    """Australia has an "Eastern" too; "IST" is India's, Israel's and Ireland's."""
    assert iana(written) is None


def test_windows_names_are_those_of_the_unicode_consortium():
    """Babel carries the same table; only the zones' own names may be newer here."""
    for name, zone_ in get_global("windows_zone_mapping").items():
        assert ZoneInfo(iana(name)).utcoffset(None) == ZoneInfo(zone_).utcoffset(None)
        moments = [pd.Timestamp(f"2024-{month:02}-01").to_pydatetime() for month in range(1, 13)]
        assert [ZoneInfo(iana(name)).utcoffset(m) for m in moments] == [ZoneInfo(zone_).utcoffset(m) for m in moments]


@given(st.sampled_from(sorted(iana_names())), st.data())
def test_case_and_blanks_make_no_other_zone(name, data):
    written = "".join(data.draw(st.sampled_from([letter.lower(), letter.upper()])) for letter in name)
    written = written.replace("_", data.draw(st.sampled_from([" ", "  ", "_"])))

    assert iana(f" {written}\t") == name


NAMES = st.one_of(
    st.none(), st.sampled_from(sorted([*WRITTEN, *UNKNOWN])), st.text(alphabet=" _\t\u00a0()GMTUtc-/aE", max_size=12)
)


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(NAMES, NAMES, NAMES), min_size=1, max_size=8))
@case([(" ", "_", "\u00a0"), ("(gmt) utc", "(GMT", "( utc )")])
def test_every_engine_reads_names_alike(engine, rows):
    frame = make_frame({"id": n, **dict(zip(ZONE_COLUMNS, row, strict=True))} for n, row in enumerate(rows))
    lazy = _backends.plain_columns(ENGINES[engine](frame), list(frame.columns), dict.fromkeys(ZONE_COLUMNS, "string"))

    found = as_pandas(with_zone(lazy, "Europe/Berlin").sort("id").to_native()).astype(object)

    for row, (_, got) in zip(rows, found.iterrows(), strict=True):
        known = [(column, name) for column, name in zip(ZONE_COLUMNS, row, strict=True) if iana(name)]
        source, name = known[0] if known else ("default", None)
        assert got["tz_source"] == source
        assert got["tz"] == (iana(name) or "Europe/Berlin")
        assert got["tz_written"] == (name if name != iana(name) else None) or pd.isna(got["tz_written"])


MOMENT = "2024-01-10T15:30:00Z"


def people(*names):
    return make_frame(
        [{"id": n, "time_zone": name} for n, name in enumerate(names, start=1)],
        *["id", "opted_out", "opted_out_at", *ZONE_COLUMNS],
    )


def mail_to(count, **columns):
    return mailings(*({"prospect_id": n, "delivered_at": MOMENT} | columns for n in range(1, count + 1)))


def explained(result):
    with redirect_stdout(io.StringIO()) as shown:
        stats.explain(result)
    return shown.getvalue()


@pytest.mark.parametrize("engine", ENGINES)
def test_mail_is_placed_at_the_hour_of_the_zone_that_was_meant(engine):
    names = ["Eastern Time (US & Canada)", "india standard time", "Eastern", None]
    make = ENGINES[engine]

    found = stats.send_time_heatmap(make(mail_to(4)), prospects=make(people(*names)))

    assert_equal_tables(as_pandas(found), as_pandas(stats.send_time_heatmap(mail_to(4), prospects=people(*names))))
    placed = as_pandas(found).query("delivered > 0")
    assert placed[["hour", "delivered"]].to_numpy().tolist() == [[10, 1], [15, 2], [21, 1]]


def test_explain_tells_of_mail_without_a_known_zone_and_of_other_names():
    names = ["Eastern Time (US & Canada)", "america/new_york", "America/New_York", "Eastern", None]

    told = explained(stats.send_time_heatmap(mail_to(6), prospects=people(*names), default_tz="Europe/Paris"))

    assert "Assumed:" in told
    assert "  3: mailing without a known time zone, placed by default_tz (Europe/Paris)" in told
    other = "Eastern Time (US & Canada) = America/New_York, america/new_york = America/New_York"
    assert f"  2: mailing in a time zone under another name: {other}" in told


def test_explain_says_nothing_where_nothing_was_assumed():
    assert "Assumed" not in explained(stats.send_time_heatmap(mail_to(1), prospects=people("Asia/Tokyo")))
    assert "Assumed" not in explained(stats.send_time_heatmap(mail_to(1), clock="org"))


def test_people_without_a_known_zone_are_told_of():
    told = explained(stats.prospect_engagement(mail_to(1), prospects=people("Tokyo", "somewhere", None)))

    assert "  2: person without a known time zone, given default_tz (UTC)" in told


def test_instants_without_a_zone_are_told_of_wherever_they_are_read():
    naive = mail_to(3).assign(delivered_at=pd.to_datetime([MOMENT, MOMENT, None]).tz_localize(None))

    with pytest.warns(NaiveTimestampWarning):
        result = stats.engagement(naive)

    assert "  2: row of mailings with an instant without a zone, read as UTC" in explained(result)


@pytest.mark.parametrize(
    "function",
    [
        lambda mail: stats.engagement(mail, by="week"),
        lambda mail: stats.send_time_heatmap(mail, clock="org"),
        lambda mail: stats.sequence_engagement(
            mail.assign(sequence_id=[1, 1]), sequences=make_frame([{"id": 1, "name": "one"}]), since="2024-01-01"
        ),
        lambda mail: stats.compare_periods(
            mail.assign(week_of=["a", "b"]),
            statistic=stats.engagement,
            a="2023",
            b="2024",
            by=["week_of", "week"],
            mature_d=0,
        ),
    ],
)
def test_mail_placed_by_something_else_than_its_delivery_is_told_of(function):
    mail = mailings({"delivered_at": MOMENT, "prospect_id": 1}, {"replied_at": MOMENT, "prospect_id": 2})

    told = explained(function(mail))

    assert "  1: mailing without a time of delivery, placed at that of its bounce or reply" in told


def test_calls_placed_at_their_end_are_told_of():
    call = {"direction": "outbound", "outcome": "Answered"}
    times = ["dialed_at", "answered_at", "completed_at"]
    calls = make_frame(
        [call | {"id": 1, "dialed_at": MOMENT}, call | {"id": 2, "completed_at": MOMENT}], *["id", *times]
    )

    assert "  1: call without a time of dialing" in explained(stats.call_outcomes(calls, by="hour"))
    assert "Assumed" not in explained(stats.call_outcomes(calls, by="direction"))


def test_bounds_in_time_are_told_as_they_were_read():
    listed = make_frame([{"id": 1, "name": "one"}])
    mail = mailings({"delivered_at": MOMENT, "sequence_id": 1, "prospect_id": 1})

    told = stats.sequence_engagement(
        mail, sequences=listed, since="2024-01-01", until=pd.Timestamp("2024-02-01T00:00+01:00")
    )
    periods = stats.compare_periods(
        mail,
        statistic=stats.engagement,
        a=("2023-01-01", "2024-01-01"),
        b=("2024-01-01", "2025-01-01"),
        by="sequence_id",
    )

    parameters = told.attrs["outreach_frames"]["parameters"]
    assert (parameters["since"], parameters["until"]) == ("2024-01-01T00:00:00Z", "2024-01-31T23:00:00Z")
    assert periods.attrs["outreach_frames"]["parameters"]["b"] == ["2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"]


def test_quality_counts_the_same_people():
    checks = stats.data_quality(
        {"prospects": people("Eastern Time (US & Canada)", "UTC", "Eastern", None)}, as_of=AS_OF
    )

    assert checks.set_index("check").loc["no_time_zone", "example_ids"] == [3, 4]


def test_a_parameter_must_be_an_iana_name_and_the_hint_knows_which():
    with pytest.raises(DataError, match='tz="Europe/Berlin"'):
        zone("tz", "W. Europe Standard Time")


def test_a_name_of_iana_comes_before_anothers():
    """Rails knows a "UTC" and a "Singapore" too."""
    assert {name: zones_by_key()[zone_key(name)] for name in iana_names()} == {name: name for name in iana_names()}
