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
_DAY = 86_400_000_000
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
    return _within(values, pa.int64(), _YEAR_1 * _DAY, _YEAR_10000 * _DAY)


def dates(text: pa.Array) -> pa.Array:
    """
    Read dates; of a date with a time the date is kept as written, whatever its zone.

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
        canonical = _canonical(text)
        _cast(canonical, INSTANT)
        values = pc.utf8_slice_codeunits(canonical, 0, 10).cast(DATE)
    return _within(values, pa.int32(), _YEAR_1, _YEAR_10000)


def _canonical(text: pa.Array) -> pa.Array:
    """Rewrite every value as ``YYYY-MM-DDThh[:mm[:ss[.ffffff]]]`` with a zone."""
    parts = pc.extract_regex(text, _ISO)
    _raise_at(pc.and_(parts.is_null(), text.is_valid()))
    date, time, fraction, zone = (pc.struct_field(parts, name) for name in ("date", "time", "fraction", "zone"))
    time = pc.if_else(pc.equal(time, ""), "00:00", time)
    fraction = pc.if_else(pc.equal(fraction, ""), "", pc.binary_join_element_wise("", fraction, "."))
    zone = pc.if_else(pc.is_in(zone, value_set=pa.array(["", "z"])), "Z", zone)
    clock = pc.binary_join_element_wise(time, fraction, "")
    return pc.binary_join_element_wise(pc.binary_join_element_wise(date, clock, "T"), zone, "")


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


def _within(values: pa.Array, storage: pa.DataType, low: int, high: int) -> pa.Array:
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
