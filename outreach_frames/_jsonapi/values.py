"""
Attribute values: how JSON becomes Arrow, what is tolerated, and what is refused.

Tolerated is what loses nothing: a number or a truth value where text is expected (kept as written), ``"3"`` or ``3.0``
for the integer 3, ``"2.5"`` for a number, ``"true"`` or 1 for a truth value. Anything else is refused; nothing is
turned into a missing value.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
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
_raws = msgspec.json.Decoder(list[msgspec.Raw])
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
        compact = _raws.decode(msgspec.json.format(joined(values), indent=-1))
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
