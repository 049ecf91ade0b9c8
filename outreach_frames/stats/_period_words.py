"""
Periods in words: "last_quarter", "90d", "2026-Q1", in a time zone.

A period is from an instant (included) until another (not included). Words are relative to when the data were extracted,
never to the clock of the machine, so that the same data give the same figures tomorrow.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from outreach_frames.errors import DataError
from outreach_frames.stats._timestamps import DAY, EPOCH, Instant, to_iso, to_micros, zone

Span = tuple[int, int]
"""From (included) and until (not included) [µs since 1970, UTC]."""

_CALENDAR = re.compile(r"\d{4}(-?Q[1-4]|-(0[1-9]|1[0-2])(-\d\d)?)?")
_ROLLING = re.compile(r"([1-9]\d{0,4})([dw])")
_RELATIVE = re.compile(r"(this|last)_(week|month|quarter|year)")
_FREQUENCY = {"week": "W-SUN", "month": "M", "quarter": "Q-DEC", "year": "Y-DEC"}
_DAYS_IN = {"d": 1, "w": 7}
PERIOD_EXAMPLE = (
    'Write "2026-01", "2026-Q1", "2026", "last_month", "this_quarter", "last_week", "90d" or ("2026-01-01", '
    '"2026-04-01").'
)


def local_micros(instant: Instant, tz: str) -> int:
    """
    Read an instant; without a zone of its own, it is what the wall clock in ``tz`` showed.

    An hour that the clock skipped is read as after the change, one that it showed twice as the first of the two.
    """
    if tz == "UTC":
        return to_micros(instant)
    if isinstance(instant, np.datetime64):
        instant = pd.Timestamp(instant)
    if isinstance(instant, str):
        to_micros(instant)  # refuses what is none
        instant = datetime.fromisoformat(instant)
    if not isinstance(instant, datetime):
        to_micros(instant)
        instant = datetime.combine(instant, time())
    if isinstance(instant, pd.Timestamp):
        instant = instant.to_pydatetime(warn=False)
    if instant.tzinfo is not None:
        return to_micros(instant)
    local = instant.replace(tzinfo=ZoneInfo(zone("tz", tz)))
    return (local.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)


def _calendar_span(period: pd.Period, tz: str) -> Span:
    first, following = period.start_time, (period + 1).start_time
    return local_micros(first, tz), local_micros(following, tz)


def span_of(name: str, period: object, *, tz: str = "UTC", now: Callable[[], int] | None = None) -> Span:
    """
    Settle a period.

    Parameters
    ----------
    name
        What the caller calls it, for messages.
    period
        A pair of instants; a day, month, quarter or year of the calendar, as text or a pandas ``Period``; ``"this_…"``
        or ``"last_…"`` ``week`` (from Monday), ``month``, ``quarter`` or ``year``; or ``"90d"``, ``"12w"``: so many
        days or weeks up to the extraction.
    tz
        IANA zone of days, months and instants without a zone.
    now
        Tells when the data were extracted [µs since 1970, UTC]; called only for the words that need it.

    Raises
    ------
    DataError
        It is none of these, it ends before it begins, or nobody knows when the data were extracted.
    """
    zone("tz", tz)
    if isinstance(period, pd.Period):
        return _calendar_span(period, tz)
    if isinstance(period, str):
        return _span_in_words(name, period, tz, now)
    pair = list(period) if isinstance(period, Sequence) else []
    if len(pair) != 2:  # noqa: PLR2004  from and until
        raise DataError(f"{name} must be two instants or a calendar period, not {period!r}.", hint=PERIOD_EXAMPLE)
    start, end = (local_micros(each, tz) for each in pair)
    if start >= end:
        raise DataError(f"{name} ends before it begins.", hint=PERIOD_EXAMPLE)
    return start, end


def _span_in_words(name: str, words: str, tz: str, now: Callable[[], int] | None) -> Span:
    if _CALENDAR.fullmatch(words):
        try:
            return _calendar_span(pd.Period(words.replace("-Q", "Q")), tz)
        except ValueError as error:
            raise DataError(f"{name} is {words!r}, which is not in the calendar.", hint=PERIOD_EXAMPLE) from error
    rolling, relative = _ROLLING.fullmatch(words), _RELATIVE.fullmatch(words)
    match = rolling or relative
    if match is None:
        raise DataError(f"{name} must be two instants or a calendar period, not {words!r}.", hint=PERIOD_EXAMPLE)
    if now is None:
        raise DataError(f"{name} is {words!r}, and nobody knows when the data were extracted.", hint=PERIOD_EXAMPLE)
    until, (first, unit) = now(), match.groups()
    if rolling:
        return until - int(first) * _DAYS_IN[unit] * DAY, until
    current = pd.Period(_local_day(until, tz), freq=_FREQUENCY[unit])
    return _calendar_span(current - 1 if first == "last" else current, tz)


def _local_day(instant: int, tz: str) -> date:
    """Return the date that the calendar in a zone shows at the last moment before an instant [µs]."""
    return (EPOCH + timedelta(microseconds=instant - 1)).astimezone(ZoneInfo(tz)).date()


def bounds_of(
    *, since: Instant | None, until: Instant | None, period: object, tz: str, now: Callable[[], int]
) -> tuple[int | None, int | None]:
    """
    Settle ``since``, ``until`` and ``period`` of a call [µs since 1970, UTC]; ``None`` where a side is open.

    Raises
    ------
    DataError
        Both a period and a bound, or a period that `span_of` refuses.
    """
    if period is not None:
        if since is not None or until is not None:
            raise DataError("Pass period=, or since= and until=, not both.", hint='Write period="last_quarter".')
        return span_of("period", period, tz=tz, now=now)
    start, end = (None if bound is None else local_micros(bound, tz) for bound in (since, until))
    if start is not None and end is not None and start >= end:
        raise DataError(f"since ({to_iso(start)}) is not before until ({to_iso(end)}).")
    return start, end
