"""
ISO 8601 text to Arrow instants and dates, whole columns at a time.

Outreach writes ``2019-08-15T19:52:07.000Z``; its documentation leaves out zone and fraction, webhooks write
``+00:00``. Arrow reads the first form at once. Everything else is brought into that form by one regular expression
over the column, never value by value, and read again.
"""

import pyarrow as pa
import pyarrow.compute as pc

INSTANT = pa.timestamp("us", tz="UTC")
DATE = pa.date32()

_ISO = (
    r"^(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ](?P<time>[0-9]{2}(?::[0-9]{2}(?::[0-9]{2})?)?)(?:[.,](?P<fraction>[0-9]{1,6})[0-9]*)?"
    r" ?(?P<zone>[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?)?$"
)
_HOUR = 3_600_000_000
_DAY = 24 * _HOUR
_YEAR_1, _YEAR_10000 = -719_162, 2_932_897  # days from 1970-01-01


class UnreadableValueError(ValueError):
    """
    One value of a column is not what the column holds.

    Attributes
    ----------
    row
        Its place in the column.
    """

    def __init__(self, row: int) -> None:
        super().__init__(f"row {row}")
        self.row = row


def instants(text: pa.Array) -> pa.Array:
    """
    Read instants; values without a zone are UTC, bare dates are midnight UTC.

    Digits beyond the microsecond are cut.

    Parameters
    ----------
    text
        Strings; null means missing.

    Returns
    -------
    instants
        ``timestamp[us, UTC]``, as long as `text`.

    Raises
    ------
    UnreadableValueError
        A value is no ISO 8601 instant, or none of the years 1 to 9999.
    """
    try:
        values = text.cast(INSTANT)
    except pa.ArrowInvalid:
        values = _cast(_canonical(text), INSTANT)
    return _within_calendar(values, pa.int64(), _YEAR_1 * _DAY, _YEAR_10000 * _DAY)


def dates(text: pa.Array) -> pa.Array:
    """
    Read dates; one with a time of day is the nearest midnight, for it was midnight where it was written.

    Without a zone, or in UTC, any quarter of an hour is midnight in some time zone; noon belongs to the day that begins
    (UTC+12). With an offset, midnight is that of the offset, give or take an hour of summer time. Of other times the
    date is kept as written, see `rows_off_midnight`.

    Parameters
    ----------
    text
        Strings; null means missing.

    Returns
    -------
    dates
        ``date32``, as long as `text`.

    Raises
    ------
    UnreadableValueError
        A value is no ISO 8601 date, or none of the years 1 to 9999.
    """
    try:
        values = text.cast(DATE)
    except pa.ArrowInvalid:
        days, clock, is_midnight = _clocks(text)
        begins = pc.and_(pc.and_(is_midnight, pc.greater_equal(clock, _DAY // 2)), pc.less(days, _YEAR_10000 - 1))
        values = pc.add(days, begins.cast(pa.int32())).cast(DATE)
    return _within_calendar(values, pa.int32(), _YEAR_1, _YEAR_10000)


def rows_off_midnight(text: pa.Array) -> list[int]:
    """Return the rows of dates whose time of day is midnight in no time zone, of a column that `dates` can read."""
    if not len(text) or (pc.max(pc.utf8_length(text)).as_py() or 0) <= len("2024-01-11"):
        return []
    *_, is_midnight = _clocks(text)
    return pc.indices_nonzero(pc.invert(is_midnight)).to_pylist()  # type: ignore[no-any-return]


def _clocks(text: pa.Array) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Return dates as written [days since 1970], times of day [us], and whether those may be somebody's midnight."""
    canonical = _canonical(text)
    _cast(canonical, INSTANT)
    written = pc.extract_regex(canonical, r"^(?P<date>.{10})T(?P<clock>[^Z+-]+)(?P<zone>.+)$")
    day, clock, zone = (pc.struct_field(written, name) for name in ("date", "clock", "zone"))
    days = day.cast(DATE).cast(pa.int32())
    clock = pc.binary_join_element_wise("1970-01-01", clock, "T").cast(pa.timestamp("us")).cast(pa.int64())
    is_utc = pc.match_substring_regex(zone, r"^(Z|[+-]00(:?00)?)$")
    is_near = pc.or_(pc.less_equal(clock, _HOUR), pc.greater_equal(clock, _DAY - _HOUR))
    quarter = pc.multiply(pc.divide(clock, _HOUR // 4), _HOUR // 4)
    return days, clock, pc.and_(pc.equal(clock, quarter), pc.or_(is_utc, is_near))


def _canonical(text: pa.Array) -> pa.Array:
    """Rewrite every value as ``YYYY-MM-DDThh[:mm[:ss[.ffffff]]]`` with a zone."""
    parts = pc.extract_regex(text, _ISO)
    _raise_at(pc.and_(parts.is_null(), text.is_valid()))
    day, time, fraction, zone = (pc.struct_field(parts, name) for name in ("date", "time", "fraction", "zone"))
    time = pc.if_else(pc.equal(time, ""), "00:00", time)
    fraction = pc.if_else(pc.equal(fraction, ""), "", pc.binary_join_element_wise("", fraction, "."))
    zone = pc.if_else(pc.is_in(zone, value_set=pa.array(["", "z"])), "Z", zone)
    clock = pc.binary_join_element_wise(time, fraction, "")
    return pc.binary_join_element_wise(pc.binary_join_element_wise(day, clock, "T"), zone, "")


def _cast(text: pa.Array, to: pa.DataType) -> pa.Array:
    try:
        return text.cast(to)
    except pa.ArrowInvalid:
        raise UnreadableValueError(next(row for row in range(len(text)) if not _castable(text[row], to))) from None


def _castable(value: pa.Scalar, to: pa.DataType) -> bool:
    try:
        value.cast(to)
    except pa.ArrowInvalid:
        return False
    return True


def _within_calendar(values: pa.Array, storage: pa.DataType, low: int, high: int) -> pa.Array:
    """Refuse what Python's own dates cannot hold, for it would fail much later and far from here."""
    numbers = values.view(storage)
    ends = pc.min_max(numbers)
    if len(numbers) > numbers.null_count and not low <= ends["min"].as_py() <= ends["max"].as_py() < high:
        _raise_at(pc.or_(pc.less(numbers, low), pc.greater_equal(numbers, high)))
    return values


def _raise_at(wrong: pa.Array) -> None:
    """Raise for the first true value; nulls are no values."""
    row = pc.index(wrong, pa.scalar(True)).as_py()
    if row >= 0:
        raise UnreadableValueError(row)
