"""Periods in words, against the calendar of the standard library; property tests at edges and clock changes."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import given, strategies as st

from outreach_frames import stats
from outreach_frames.errors import DataError
from outreach_frames.stats._period_words import bounds_of, local_micros, span_of
from outreach_frames.stats._timestamps import DAY, EPOCH, HOUR, to_micros
from tests.frames import mailings

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns"]
zones = st.sampled_from(ZONES)
moments = st.datetimes(datetime(2001, 1, 1), datetime(2049, 12, 1), timezones=st.just(UTC))  # noqa: DTZ001


def first_days(day, unit):
    """Return the first day of the unit that a day is in, of the one before and of the one after."""
    if unit == "week":
        first = day - timedelta(days=day.weekday())
        return first, first - timedelta(days=7), first + timedelta(days=7)
    months = {"month": 1, "quarter": 3, "year": 12}[unit]
    number = (day.year * 12 + day.month - 1) // months * months
    return tuple(date(n // 12, n % 12 + 1, 1) for n in (number, number - months, number + months))


def midnight(day, tz):
    return to_micros(datetime.combine(day, time(), ZoneInfo(tz)))


@given(moments, zones, st.sampled_from(["week", "month", "quarter", "year"]))
def test_this_and_last_are_those_of_the_calendar_in_the_zone(moment, tz, unit):
    now = to_micros(moment)
    seen = (EPOCH + timedelta(microseconds=now - 1)).astimezone(ZoneInfo(tz)).date()
    this, last, following = first_days(seen, unit)

    assert span_of("period", f"this_{unit}", tz=tz, now=lambda: now) == (midnight(this, tz), midnight(following, tz))
    assert span_of("period", f"last_{unit}", tz=tz, now=lambda: now) == (midnight(last, tz), midnight(this, tz))


@given(moments, zones)
def test_months_follow_each_other_without_a_gap_or_an_overlap(moment, tz):
    month = pd.Period(moment.replace(tzinfo=None), "M")

    assert span_of("period", str(month), tz=tz)[1] == span_of("period", str(month + 1), tz=tz)[0]


def test_a_month_in_which_the_clock_changes_is_an_hour_shorter():
    start, end = span_of("period", "2026-03", tz="Europe/Berlin")

    assert end - start == 31 * DAY - HOUR
    assert start == to_micros("2026-02-28T23:00:00Z")


@pytest.mark.parametrize(
    ("words", "days"),
    [("2026", 365), ("2026-Q1", 90), ("2026Q1", 90), ("2026-02", 28), ("2026-02-28", 1)],
)
def test_calendar_periods_are_as_long_as_in_the_calendar(words, days):
    start, end = span_of("period", words)

    assert end - start == days * DAY


def test_rolling_periods_end_with_the_extraction():
    now = to_micros("2026-03-31T12:00:00Z")

    assert span_of("period", "90d", now=lambda: now) == (now - 90 * DAY, now)
    assert span_of("period", "2w", tz="Europe/Berlin", now=lambda: now) == (now - 14 * DAY, now)


def test_at_midnight_of_the_first_this_month_is_the_one_that_ended():
    """An extraction at the first moment of April has seen March and nothing of April."""
    now = to_micros("2026-04-01T00:00:00Z")

    assert span_of("period", "this_month", now=lambda: now) == span_of("period", "2026-03")


@pytest.mark.parametrize("written", ["2026-03-01", date(2026, 3, 1), datetime(2026, 3, 1), pd.Timestamp("2026-03-01")])  # noqa: DTZ001
def test_instants_without_a_zone_are_of_the_zone(written):
    assert local_micros(written, "Europe/Berlin") == to_micros("2026-02-28T23:00:00Z")
    assert local_micros(written, "UTC") == to_micros("2026-03-01T00:00:00Z")


def test_an_instant_with_a_zone_keeps_it():
    assert local_micros("2026-03-01T00:00:00Z", "Europe/Berlin") == to_micros("2026-03-01T00:00:00Z")


@pytest.mark.parametrize(
    "wrong", ["lately", "0d", "next_month", "2026-13", "2026-02-30", "2026-Q5", 90, ("2026-01-01",)]
)
def test_a_period_that_is_none_is_refused(wrong):
    with pytest.raises(DataError, match="period"):
        span_of("period", wrong, now=lambda: 0)


def test_a_period_and_a_bound_are_refused():
    with pytest.raises(DataError, match="not both"):
        bounds_of(since="2026-01-01", until=None, period="2026", tz="UTC", now=lambda: 0)


def test_bounds_the_wrong_way_round_are_refused():
    with pytest.raises(DataError, match="is not before"):
        bounds_of(since="2026-02-01", until="2026-01-01", period=None, tz="UTC", now=lambda: 0)


def test_months_compared_are_those_of_the_zone():
    """At 23:30 UTC on 31 January it is February in Berlin."""
    mail = mailings(
        {"delivered_at": "2026-01-15T12:00:00Z", "sequence_id": 1},
        {"delivered_at": "2026-01-31T23:30:00Z", "sequence_id": 1},
    )
    months = {"statistic": stats.engagement, "by": "sequence_id", "a": "2026-01", "b": "2026-02", "mature_d": 0}

    in_utc = stats.compare_periods(mail, **months)
    in_berlin = stats.compare_periods(mail, tz="Europe/Berlin", **months)

    assert (in_utc["rate_a_n"].item(), in_utc["rate_b_n"].item()) == (2, 0)
    assert (in_berlin["rate_a_n"].item(), in_berlin["rate_b_n"].item()) == (1, 1)


def test_words_for_periods_need_to_know_when_the_data_were_extracted():
    mail = mailings({"delivered_at": "2026-01-15T12:00:00Z", "sequence_id": 1})
    words = {"statistic": stats.engagement, "by": "sequence_id", "a": "last_month", "b": "this_month", "mature_d": 0}

    with pytest.raises(DataError, match="when the data were extracted"):
        stats.compare_periods(mail, **words)
    assert stats.compare_periods(mail, as_of="2026-02-20", **words)["rate_a_n"].item() == 1
