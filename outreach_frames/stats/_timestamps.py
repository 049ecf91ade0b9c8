"""
Timestamps: names of time zones, local time and calendar periods, the same in every engine.

An instant is an integer [µs since 1970-01-01T00:00Z], a day one [days since 1970-01-01]. Zone rules come from the
standard library's `zoneinfo`, as a small table of offsets that the engine joins.

Outreach's ``timeZone`` is free text. Names of Ruby on Rails and of Windows, and IANA's in another case or with blanks
for underscores, mean one zone; abbreviations and single words such as "Eastern" mean several, and none here, unless
they are IANA's own. Sources: see ``zone_names.json``, beside this module.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import narwhals as nw
import numpy as np
import pandas as pd

from outreach_frames.errors import DataError
from outreach_frames.stats._backends import join, small_table, spark_quarters

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Instant = str | date | np.datetime64
"""An instant as callers write it: ISO 8601 text, a `datetime`, pandas' or NumPy's; read as UTC without a zone."""


def to_micros(instant: Instant) -> int:
    """
    Read an instant.

    Returns
    -------
    instant
        [µs since 1970, UTC].

    Raises
    ------
    DataError
        The text is not ISO 8601.
    """
    if isinstance(instant, np.datetime64):
        instant = pd.Timestamp(instant)
    try:
        parsed = datetime.fromisoformat(instant if isinstance(instant, str) else instant.isoformat())
    except (ValueError, AttributeError) as error:
        raise DataError(f"{instant!r} is not an instant.", hint='Write it like "2026-03-31T00:00:00Z".') from error
    aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return (aware - EPOCH) // timedelta(microseconds=1)


def to_iso(micros: int) -> str:
    """Write an instant [µs since 1970, UTC] as ISO 8601."""
    return (EPOCH + timedelta(microseconds=micros)).isoformat().replace("+00:00", "Z")


def seen_by(frame: nw.LazyFrame[Any], columns: Iterable[str], now: int | None) -> nw.LazyFrame[Any]:
    """Take instants after a moment [µs] as missing: they had not happened yet; ``None`` takes all as they are."""
    if now is None:
        return frame
    return frame.with_columns(nw.when(nw.col(name) <= now).then(nw.col(name)).alias(name) for name in columns)


ZONE_NAME_STEPS = (
    ("[ \t\u00a0_]+", " "),
    (r"^ ?\((gmt|utc)[^)]*\) ?|^ | $", ""),  # "(GMT-05:00) Eastern Time (US & Canada)", as Rails and Windows show it
)
"""Patterns that are replaced in a name in lower case to compare it; all engines read them alike."""

_NO_ZONES = {"Factory", "localtime", "posixrules"}
"""Zones in a machine's folder that are no place's: what they mean depends on the machine."""


@cache
def iana_names() -> frozenset[str]:
    """Return the IANA names of this machine."""
    return frozenset(available_timezones() - _NO_ZONES)


@cache
def zones_by_key() -> dict[str, str]:
    """Map what `zone_key` makes of every name that is understood to its IANA name."""
    others = json.loads(files(__package__).joinpath("zone_names.json").read_text(encoding="utf-8"))
    windows = {form: zone for name, zone in others["windows"].items() for form in (name, _in_summer(name))}
    zones = {zone_key(name): place for names in (windows, others["rails"]) for name, place in names.items()}
    return {name: zone for name, zone in zones.items() if zone in iana_names()} | {zone_key(z): z for z in iana_names()}


def _in_summer(name: str) -> str:
    """Return the name that Windows shows while the clocks are forward."""
    return name.replace("Standard Time", "Daylight Time")


def zone_key(name: str) -> str:
    """Return the form of a name in which spellings are equal."""
    name = name.lower()
    for pattern, replacement in ZONE_NAME_STEPS:
        name = re.sub(pattern, replacement, name)
    return name


def iana(name: object) -> str | None:
    """Return the IANA name of a zone, however it is written; ``None`` for what names none."""
    return zones_by_key().get(zone_key(name)) if isinstance(name, str) else None


def zone(name: str, value: object) -> str:
    """Check that a value is the IANA name of a time zone."""
    if not isinstance(value, str) or value not in iana_names():
        meant = iana(value) or "America/New_York"
        raise DataError(
            f"There is no time zone {value!r}.", hint=f'Write an IANA name: {name}="{meant}" or {name}="UTC".'
        )
    return value


SECOND = 1_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
PERIODS = ("day", "week", "month", "quarter")
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
"""In ISO order; `weekday_of` counts from 1."""

_FIRST = datetime(2000, 1, 1, tzinfo=UTC)
_LAST = datetime(2051, 1, 1, tzinfo=UTC)
_SEARCH_STEP = timedelta(days=7)  # no zone has ever changed its offset twice within a week since 2000
_BIN = 28 * DAY
_QUARTERS = (31, 122, 214, 306)
"""First days of April, July, October and January [days since 1 March]."""
_EVER = 2**62


def with_local(
    frame: nw.LazyFrame[Any], instant: str, *, zones: Iterable[str], zone_column: str | None = None
) -> nw.LazyFrame[Any]:
    """
    Add ``local``: what the wall clock showed, as an instant would be written [µs].

    Parameters
    ----------
    frame
        Holds the instants, and the zones if they differ by row.
    instant
        Column of instants [µs, UTC]. Before 2000 and from 2051 on, the offset at that edge is used.
    zones
        The zones that occur; a single one where ``zone_column`` is not given.
    zone_column
        Column of zone names; rows whose zone is missing or not among ``zones`` get no local time.
    """
    names = [zone("tz", name) for name in zones]
    if zone_column is None and names == ["UTC"]:
        return frame.with_columns(local=nw.col(instant))
    bin_number = (nw.col(instant) // _BIN).clip(_bin_of(_FIRST), _bin_of(_LAST))
    keys = ["zone_bin"] if zone_column is None else [zone_column, "zone_bin"]
    table = small_table(frame, _offset_table(names, zone_column))
    joined = join(frame.with_columns(zone_bin=bin_number), table, keys)
    fits = (nw.col("zone_from") <= nw.col(instant)) & (nw.col(instant) < nw.col("zone_until"))
    return (
        joined.filter(fits | nw.col("zone_from").is_null())
        .with_columns(local=nw.col(instant) + nw.col("zone_offset"))
        .drop("zone_bin", "zone_from", "zone_until", "zone_offset")
    )


def _offset_table(names: Sequence[str], zone_column: str | None) -> dict[str, list[Any]]:
    rows = [(name, *row) for name in names for row in _binned_offsets(name)]
    columns = [zone_column, "zone_bin", "zone_from", "zone_until", "zone_offset"]
    return {name: list(values) for name, values in zip(columns, zip(*rows, strict=True), strict=True) if name}


@cache
def _binned_offsets(name: str) -> tuple[tuple[int, int, int, int], ...]:
    """List (bin, from, until, offset) [bin number, µs, µs, µs]; a bin has a row for each offset in force in it."""
    changes, offsets = _transitions(name)
    edges = [-_EVER, *changes, _EVER]
    rows = []
    for number in range(_bin_of(_FIRST), _bin_of(_LAST) + 1):
        first = bisect_right(changes, number * _BIN)
        last = bisect_right(changes, (number + 1) * _BIN - 1)
        rows += [(number, edges[i], edges[i + 1], offsets[i]) for i in range(first, last + 1)]
    return tuple(rows)


def _transitions(name: str) -> tuple[list[int], list[int]]:
    """Return when a zone's offset changes [µs, UTC], and the offsets [µs] before, between and after."""
    try:
        rules = ZoneInfo(name)
    except ZoneInfoNotFoundError as error:
        raise DataError(f"There is no time zone {name!r} on this machine.", hint="pip install tzdata") from error
    moment, changes, offsets = _FIRST, [], [_offset(rules, _FIRST)]
    while moment < _LAST:
        following = moment + _SEARCH_STEP
        if _offset(rules, following) != offsets[-1]:
            changes.append(_micros(_change_between(rules, moment, following)))
            offsets.append(_offset(rules, following))
        moment = following
    return changes, offsets


def _change_between(rules: ZoneInfo, before: datetime, after: datetime) -> datetime:
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        if _offset(rules, middle) == _offset(rules, before):
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)


def _offset(rules: ZoneInfo, moment: datetime) -> int:
    offset = moment.astimezone(rules).utcoffset() or timedelta()
    return offset // timedelta(microseconds=1)


def _micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def _bin_of(moment: datetime) -> int:
    return _micros(moment) // _BIN


def weekday_of(day: nw.Expr) -> nw.Expr:
    """Return the ISO weekday, 1 = Monday … 7 = Sunday, of a day [days since 1970]; day 0 was a Thursday."""
    return day - ((day + 3) // 7) * 7 + 4


def with_clock(frame: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Add ``local_day`` [days since 1970] and ``hour`` (0 … 23) of ``local``."""
    return frame.with_columns(local_day=nw.col("local") // DAY, hour=nw.col("local") // HOUR).with_columns(
        hour=nw.col("hour") - nw.col("local_day") * 24
    )


def with_periods(frame: nw.LazyFrame[Any], periods: Sequence[str]) -> nw.LazyFrame[Any]:
    """Add ``day``, ``week`` (its Monday), ``month``, ``quarter`` of ``local``, by its first day [days since 1970]."""
    frame = with_clock(frame)
    day = nw.col("local_day")
    starts = {"day": day, "week": day - weekday_of(day) + 1}
    if "quarter" in periods and frame.implementation.is_spark_like():
        frame = spark_quarters(frame)
        periods = [period for period in periods if period != "quarter"]
    if {"month", "quarter"} & set(periods):
        frame = _with_day_of_month(frame)
        starts["month"] = day - nw.col("day_of_month") + 1
    if "quarter" in periods:
        frame = _with_day_of_quarter(frame)
        starts["quarter"] = day - nw.col("day_of_quarter") + 1
    return frame.with_columns(starts[period].alias(period) for period in periods)


def _with_day_of_month(frame: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """
    Add ``day_of_month``, 1 … 31, in the Gregorian calendar.

    Years are taken to begin in March, so that the leap day is the last of the year; an era is 400 years. Each step is
    a column of its own, since nested expressions grow beyond what Spark compiles. Source: H. Hinnant,
    "chrono-compatible low-level date algorithms", civil_from_days.
    """
    era = nw.col("era_day")
    year, ordinal, month = nw.col("era_year"), nw.col("year_day"), nw.col("year_month")
    return (
        frame.with_columns(era_day=nw.col("local_day") + 719_468)
        .with_columns(era_day=era - (era // 146_097) * 146_097)
        .with_columns(era_year=(era - era // 1_460 + era // 36_524 - era // 146_096) // 365)
        .with_columns(year_day=era - year * 365 - year // 4 + year // 100)
        .with_columns(year_month=(ordinal * 5 + 2) // 153)
        .with_columns(day_of_month=ordinal - (month * 153 + 2) // 5 + 1)
    )


def _with_day_of_quarter(frame: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """
    Add ``day_of_quarter``, 1 … 92, from the columns of `_with_day_of_month`; March begins its year, but ends a quarter.

    Compared with the first days of quarters, not divided; see also `spark_quarters`.
    """
    year, ordinal = nw.col("era_year") + 400, nw.col("year_day")
    once_in = {n: year // n - (year - 1) // n for n in (4, 100, 400)}  # 1 where a year can be divided by n, else 0
    begun = 0 - nw.col("until_march")
    for first in _QUARTERS:
        begun = nw.when(ordinal >= first).then(nw.lit(first)).otherwise(begun)
    return (
        frame.with_columns(until_march=once_in[4] - once_in[100] + once_in[400] + 59)
        .with_columns(quarter_began=begun)
        .with_columns(day_of_quarter=ordinal - nw.col("quarter_began") + 1)
    )
