"""
Attribute values: how JSON becomes Arrow, what is tolerated, and what is refused.

Tolerated is what loses nothing: a number or a truth value where text is expected (kept as written), ``"3"`` or ``3.0``
for the integer 3, ``"2.5"`` for a number, ``"true"`` or 1 for a truth value. Anything else is refused; nothing is
turned into a missing value.
"""

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal

import msgspec
import pyarrow as pa

from outreach_frames._jsonapi.timestamps import DATE, INSTANT, UnreadableValueError, dates, instants
from outreach_frames._warnings import warn
from outreach_frames.catalog import Attribute
from outreach_frames.errors import DocumentError, OutreachDataWarning

_LISTED_IDS = 3


@dataclass(frozen=True)
class Misfit:
    """
    A value that does not fit, and where it stands; not the value itself.

    Attributes
    ----------
    resource_type, id, name
        The record, and the API's name of the attribute or relationship.
    what
        What is the matter with it, as the rest of a sentence that begins with the name.
    outcome
        What became of it, as the rest of a sentence that begins with "It is".
    """

    resource_type: str
    id: int | str | None
    name: str
    what: str
    outcome: str

    def error(self) -> DocumentError:
        """Return the error for those who want none of it; it names the place and keeps the value to itself."""
        return DocumentError(
            f"In the {self.resource_type} with the id {self.id!r:.60}, {self.name!r} {self.what}.",
            resource_type=self.resource_type,
            id=self.id,
            attribute=self.name,
        )


def misfit(resource_type: str, id_: int | str | None, name: str, meant: str) -> DocumentError:
    """Return the error for a value that cannot be read as what it should be."""
    return Misfit(resource_type, id_, name, f"is not {meant}", "refused").error()


class Misfits:
    """Misfits of many pages, by what is the matter with them."""

    def __init__(self, misfits: Iterable[Misfit] = ()) -> None:
        self._ids: dict[tuple[str, str, str, str], dict[int | str | None, None]] = {}
        self.add(misfits)

    def add(self, misfits: Iterable[Misfit]) -> None:
        """Count further ones; a record that comes again counts once."""
        for each in misfits:
            self._ids.setdefault((each.resource_type, each.name, each.what, each.outcome), {})[each.id] = None

    def warn(self, *, hint: str = " strict=True refuses it.") -> None:
        """Warn once for everything that is the matter, with the number of records and the first ids."""
        for (resource_type, name, what, outcome), ids in self._ids.items():
            numbers = ", ".join(map(str, list(ids)[:_LISTED_IDS])) + (" …" if len(ids) > _LISTED_IDS else "")
            warn(
                f"{resource_type}.{name} {what}, in {len(ids):,} record{'s' * (len(ids) != 1)} (id {numbers}). "
                f"It is {outcome}.{hint}",
                OutreachDataWarning,
            )


StorageKind = Literal["string", "instant", "date", "integer", "number", "boolean", "strings", "json"]

LONGEST = 20
"""Characters of the longest integer of 64 bits; Python itself refuses to read some thousands."""
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

_decode_text = msgspec.json.Decoder(str)
_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*"|([\[{])|([\]}])')
_INTEGER_TEXT = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.0+)?")
_NUMBER_TEXT = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_TRUTH = {"true": True, "false": False, "1": True, "0": False}
_INSTANT_TEXT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d.*")
_DAY_TEXT = re.compile(r"\d{4}-\d\d-\d\d")


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
        return pa.array([_compact(row, value) for row, value in enumerate(values)], pa.string())
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


def lists(values: Sequence[Sequence[Any] | None], item: Callable[[Any], Any], to: pa.DataType) -> pa.Array:
    """
    Build an Arrow array of lists, of what `item` takes from each element; ``None`` is missing, and not empty.

    Raises
    ------
    UnreadableValueError
        An item does not fit; the row is that of its list.
    """
    offsets = [0, *accumulate(len(value or ()) for value in values)]
    try:
        flat = typed([item(element) for value in values if value for element in value], to)
    except UnreadableValueError as error:
        raise UnreadableValueError(bisect_right(offsets, error.row) - 1) from None
    missing = pa.array([value is None for value in values], pa.bool_())
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), flat, mask=missing)


def _fits(value: Any, to: pa.DataType) -> bool:
    try:
        pa.scalar(value, to)
    except (pa.ArrowException, OverflowError, UnicodeError):
        return False
    return True


def _compact(row: int, raw: msgspec.Raw | None) -> str | None:
    """Return JSON as sent without the white space between its parts; ``None`` for null."""
    if raw is None or raw == NULL:
        return None
    if is_nested(raw):
        raise UnreadableValueError(row)
    try:
        return msgspec.json.format(bytes(raw), indent=-1).decode()
    except (msgspec.DecodeError, UnicodeError, RecursionError):
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


def infer(raws: Iterable[msgspec.Raw]) -> StorageKind:
    """
    Tell the narrowest kind that holds all of an unknown attribute's values.

    Strings are instants or dates only if every one is written as such; scalars of several types are text, and so are
    fractions beside whole numbers that no float holds; anything with an object, and lists of anything but strings, are
    JSON text; nothing but nulls is text.
    """
    raws = [raw for raw in raws if raw != NULL]
    kinds = {_kind_of_value(raw) for raw in raws}
    if kinds == {"string"}:
        return _kind_of_strings([text_of(raw) or "" for raw in raws])
    if len(kinds) <= 1:
        return next(iter(kinds), "string")
    if kinds <= {"integer", "number"}:
        return "number" if all(map(_is_exact, raws)) else "string"
    return "json" if kinds & {"json", "strings"} else "string"


def _kind_of_value(raw: msgspec.Raw) -> StorageKind:
    first = bytes(raw)[:1]
    if first == b"[":
        items = msgspec.json.decode(raw, type=list[msgspec.Raw])
        return "strings" if all(item == NULL or bytes(item).startswith(b'"') for item in items) else "json"
    by_start: dict[bytes, StorageKind] = {b"{": "json", b'"': "string", b"t": "boolean", b"f": "boolean"}
    return by_start.get(first) or _kind_of_number(bytes(raw).decode())


def _kind_of_strings(texts: Sequence[str]) -> StorageKind:
    patterns: dict[StorageKind, re.Pattern[str]] = {"date": _DAY_TEXT, "instant": _INSTANT_TEXT}
    for kind, pattern in patterns.items():
        if all(map(pattern.fullmatch, texts)):
            with suppress(UnreadableValueError):
                array(kind, texts)
                return kind
    return "string"


def _is_exact(raw: msgspec.Raw) -> bool:
    """Tell whether a number is a fraction, or a whole one that a float holds digit by digit."""
    text = bytes(raw).decode()
    return not text.lstrip("-").isdigit() or int(float(text)) == int(text)


def _kind_of_number(text: str) -> StorageKind:
    """Tell the kind of a number; one that neither type can hold stays text."""
    if _INTEGER_TEXT.fullmatch(text) and "." not in text:
        return "integer" if len(text) <= LONGEST and -(2**63) <= int(text) < 2**63 else "string"
    return "number" if math.isfinite(float(text)) else "string"
