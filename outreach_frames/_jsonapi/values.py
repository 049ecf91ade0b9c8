"""
Attribute values: how JSON becomes Arrow, what is tolerated, and what is refused.

Tolerated is what loses nothing: a number or a truth value where text is expected (kept as written), ``"3"`` or ``3.0``
for the integer 3, ``"2.5"`` for a number, ``"true"`` or 1 for a truth value. Anything else is refused; nothing is
turned into a missing value.

Outreach writes the instant ``2019-08-15T19:52:07.000Z``; its documentation leaves out zone and fraction, webhooks write
``+00:00``. Arrow reads the first form at once. Everything else is brought into that form by one regular expression
over the column, never value by value, and read again.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from outreach_frames.catalog import Attribute

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


StorageKind = Literal["string", "instant", "date", "integer", "number", "boolean", "strings", "json"]

NESTED = 200
"""Levels down to which objects and arrays may stand in one another in what is kept."""

ARROW: dict[StorageKind, pa.DataType] = {
    "string": pa.string(),
    "instant": INSTANT,
    "date": DATE,
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "strings": pa.list_(pa.string()),
    "json": pa.string(),
}
"""The Arrow type of each kind of attribute; objects and arrays of anything but strings are JSON text."""

MEANT: dict[StorageKind, str] = {
    "string": "text",
    "instant": "an ISO 8601 time of the years 1 to 9999",
    "date": "an ISO 8601 date of the years 1 to 9999",
    "integer": "an integer of at most 64 bits",
    "number": "a number",
    "boolean": "true or false",
    "strings": "a list of strings",
    "json": f"JSON of at most {NESTED} levels",
}
"""What each kind expects, in words."""

NULL = msgspec.Raw(b"null")

DECODED: dict[StorageKind, Any] = {
    "string": str | None,
    "instant": str | None,
    "date": str | None,
    "integer": int | None,
    "number": float | None,
    "boolean": bool | None,
    "strings": list[str | None] | None,
    "json": msgspec.Raw,
}
"""The Python type that values of each kind are decoded as."""

_decode_column = {kind: msgspec.json.Decoder(list[python]) for kind, python in DECODED.items()}  # type: ignore[valid-type]
_decode_text = msgspec.json.Decoder(str)
raw_items = msgspec.json.Decoder(list[msgspec.Raw])
_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*"|([\[{])|([\]}])')
_INTEGER_TEXT = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.0+)?")
_NUMBER_TEXT = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_TRUTH = {"true": True, "false": False, "1": True, "0": False}


def kind_of(attribute: Attribute) -> StorageKind:
    """Tell how the values of an attribute are decoded and stored."""
    if attribute.type == "array":
        return "strings" if attribute.items == "string" else "json"
    if attribute.type == "string":
        by_format: dict[str | None, StorageKind] = {"date-time": "instant", "date": "date"}
        return by_format.get(attribute.format, "string")
    return "json" if attribute.type == "object" else attribute.type


def array(kind: StorageKind, values: Sequence[Any]) -> pa.Array:
    """
    Build the Arrow array of decoded values; ``None`` is missing.

    Raises
    ------
    UnreadableValueError
        A value does not fit the kind.
    """
    if kind == "json":
        return typed(_json_texts(values), pa.string())
    if kind in {"instant", "date"}:
        text = pa.array(values, pa.string())
        return instants(text) if kind == "instant" else dates(text)
    return typed(values, ARROW[kind])


def typed(values: Sequence[Any], to: pa.DataType) -> pa.Array:
    """Build an Arrow array, and name the row that does not fit."""
    if not any(values) and values.count(None) == len(values):  # as most custom fields of most organizations
        return pa.nulls(len(values), to)
    try:
        return pa.array(values, to)
    except (pa.ArrowException, OverflowError, UnicodeError):
        raise UnreadableValueError(next(row for row, value in enumerate(values) if not _fits(value, to))) from None


def _fits(value: Any, to: pa.DataType) -> bool:
    try:
        pa.scalar(value, to)
    except (pa.ArrowException, OverflowError, UnicodeError):
        return False
    return True


def _json_texts(raws: Iterable[msgspec.Raw | None]) -> list[str | None]:
    """Return JSON as sent without the white space between its parts; ``None`` for null."""
    values = [NULL if raw is None else raw for raw in raws]
    try:
        compact = raw_items.decode(msgspec.json.format(joined(values), indent=-1))
        texts = [str(raw, "utf-8") for raw in compact]
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        if len(values) == 1:
            raise UnreadableValueError(0) from None
        return [_json_text(row, raw) for row, raw in enumerate(values)]
    deep = (row for row, text in enumerate(texts) if len(text) > NESTED and is_nested(text.encode()))
    row = next(deep, None)
    if row is not None:
        raise UnreadableValueError(row)
    return [None if text == "null" else text for text in texts]


def _json_text(row: int, raw: msgspec.Raw) -> str | None:
    try:
        return _json_texts([raw])[0]
    except UnreadableValueError:
        raise UnreadableValueError(row) from None


def is_nested(json: bytes | msgspec.Raw) -> bool:
    """Tell whether objects and arrays stand in one another deeper than `NESTED`: who reads them next may fail."""
    written, depth = bytes(json), 0
    if written.count(b"[") + written.count(b"{") <= NESTED:
        return False
    for bracket in _BRACKET.finditer(written):
        depth += (bracket[1] is not None) - (bracket[2] is not None)
        if depth > NESTED:
            return True
    return False


def coerce(kind: StorageKind, raw: msgspec.Raw) -> Any:
    """
    Read one value whose JSON type may surprise, as what `array` takes.

    Raises
    ------
    ValueError
        It does not fit without loss, or is no JSON.
    """
    if kind == "json":
        return raw
    if kind == "strings":
        items = msgspec.json.decode(raw, type=list[msgspec.Raw] | None)
        return None if items is None else [text_of(item) for item in items]
    text = text_of(raw)
    return None if text is None else _SCALARS[kind](text)


def read_column(kind: StorageKind, raws: Sequence[msgspec.Raw]) -> Sequence[Any]:
    """
    Read all values of a column, as what `array` takes: at once where each is of the column's own type.

    Raises
    ------
    ValueError
        One does not fit without loss, or is no JSON.
    """
    if kind == "json":
        return raws
    try:
        return _decode_column[kind].decode(joined(raws))
    except msgspec.ValidationError:
        return [coerce(kind, raw) for raw in raws]


def joined(raws: Iterable[msgspec.Raw]) -> bytes:
    """Return values as one JSON array."""
    return b"[%s]" % b",".join(raws)


def text_of(raw: msgspec.Raw) -> str | None:
    """
    Return a scalar as text, numbers and truth values as written; ``None`` for null.

    Raises
    ------
    ValueError
        It is an object or an array, or no JSON.
    """
    written = bytes(raw)
    if written.startswith(b'"'):
        return _decode_text.decode(written)
    text = written.decode("ascii")
    if text != "null" and text not in _TRUTH and not _NUMBER_TEXT.fullmatch(text):
        raise ValueError("not a scalar")
    return None if text == "null" else text


def _integer(text: str) -> int:
    if not _INTEGER_TEXT.fullmatch(text):
        raise ValueError("not an integer")
    return int(text.partition(".")[0])  # a ValueError, too, where Python finds it too long


def number_of(text: str, *, written: re.Pattern[str] = _NUMBER_TEXT) -> float:
    """
    Return a finite number.

    Raises
    ------
    ValueError
        It is not written like one.
    """
    number = float(text) if written.fullmatch(text) else math.inf
    if math.isinf(number):
        raise ValueError("not a number")
    return number


def truth_of(text: str) -> bool:
    """
    Return a truth value.

    Raises
    ------
    ValueError
        It is neither ``true`` nor ``false``, 1 nor 0.
    """
    if text not in _TRUTH:
        raise ValueError("not true or false")
    return _TRUTH[text]


_SCALARS: dict[StorageKind, Callable[[str], Any]] = {
    "string": str,
    "instant": str,
    "date": str,
    "integer": _integer,
    "number": number_of,
    "boolean": truth_of,
}


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
