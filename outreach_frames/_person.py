"""
A person who is to be erased, as an address and ids of prospects; and what a JSON document says of them.

A record is the person's own if it is one of their prospects, or belongs to one by its relationship ``prospect``,
``subject`` or ``target``. Names are not looked for: many people share one.
"""

import re
from collections.abc import Callable, Collection, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from outreach_frames._spellings import Spellings, plain_stops
from outreach_frames.errors import QueryError

if TYPE_CHECKING:
    import pyarrow as pa

OWNERS = ("prospect", "subject", "target")
"""Relationships that say whose a record is."""

ADDRESS_COLUMNS = {"prospect": "emails", "emailAddress": "email", "recipient": "value"}
"""Resource types whose records have the address of a person → the attribute with it."""


_ADDRESS = re.compile(r'([^\s<>,;:"()\[\]\\@]+|"[^"\s]+")@\w([\w-]*\w)?(\.\w([\w-]*\w)?)*')

_SMALL = 10_000
"""Size from which it is faster to have Arrow search, which reads the expression each time [bytes]."""


class Erased(NamedTuple):
    """
    What was erased in one place.

    Attributes
    ----------
    where
        Name of the place, and of the part of it.
    rows
        Records, responses or deliveries that were removed [rows].
    cells
        Values of other records in which the address or an id was replaced [cells].
    """

    where: str
    rows: int = 0
    cells: int = 0


class Person:
    """
    One person.

    Parameters
    ----------
    email
        The address; blanks around it are left out.
    ids
        Ids of their prospects.

    Raises
    ------
    QueryError
        The text is no address.
    """

    def __init__(self, email: str, ids: Collection[int] = ()) -> None:
        address = plain_stops(email.strip()) if isinstance(email, str) else ""
        if not _ADDRESS.fullmatch(address):
            raise QueryError(
                "This is no e-mail address.", hint="Give the person's whole address, and nothing beside it."
            )
        self._spellings = Spellings(address)
        self.ids = frozenset(ids)

    def __repr__(self) -> str:
        return "Person(…)"

    def also(self, ids: Collection[int]) -> "Person":
        """Return the same person with more ids."""
        other = object.__new__(Person)
        other._spellings, other.ids = self._spellings, self.ids | {*ids}
        return other

    @cached_property
    def id_texts(self) -> frozenset[str]:
        """The ids as text."""
        return frozenset(map(str, self.ids))

    def is_in(self, content: str | bytes) -> bool:
        """Whether a text contains the address; bytes are UTF-8 or UTF-16."""
        return any(map(self._spellings.is_in, [content] if isinstance(content, str) else _texts(content)))

    def mentions(self, values: "pa.Array") -> list[int]:
        """Return the places of the texts, or bytes, of an array that contain the address; Arrow finds candidates."""
        import pyarrow as pa  # noqa: PLC0415  slow to import
        import pyarrow.compute as pc  # noqa: PLC0415

        if values.nbytes < _SMALL:
            texts = enumerate(values.to_pylist())
            return [place for place, text in texts if text is not None and self.is_in(text)]
        hits = pa.array([False] * len(values))
        for gap, pattern in self._spellings.searches:
            places, rest = pa.array(range(len(values))), values
            if gap:
                has_gap = pc.fill_null(pc.match_substring_regex(values, gap), fill_value=False)
                places, rest = places.filter(has_gap), values.filter(has_gap)
                rest = pc.replace_substring_regex(rest, gap, "")
            some = places.filter(pc.match_substring_regex(rest, str(pattern)))
            hits = pc.or_(hits, pc.is_in(pa.array(range(len(values))), some))
        if pa.types.is_binary(values.type):  # UTF-16 has a zero beside each ASCII character
            hits = pc.or_(hits, pc.fill_null(pc.match_substring(values, "\0"), fill_value=False))
        places = pc.indices_nonzero(hits).to_pylist()
        return [place for place in places if self.is_in(values[place].as_py())]

    def replaced(self, text: str) -> str:
        """Return a text with another address in place of the person's."""
        return self._spellings.replaced(text)

    def is_id(self, value: Any) -> bool:
        """Whether a value is one of the ids."""
        return value is not None and str(value) in self.id_texts

    def ids_in(self, document: Any) -> set[int]:
        """Return the ids of prospects that have the address, as far as a document tells."""
        return {int(id_) for id_ in _ids_of_address(document, self.is_in) if str(id_).isdecimal()}

    def is_owner(self, resource: Any) -> bool:
        """Whether a resource object is the person's own record."""
        if not isinstance(resource, dict):
            return False
        if self._is_own(resource):
            return True
        attribute = ADDRESS_COLUMNS.get(str(resource.get("type")))
        if attribute and self.is_in(_as_json(_member(resource, "attributes").get(attribute))):
            return True
        return any(self._is_own(_linkage(resource, name)) for name in OWNERS)

    def is_named(self, document: Any) -> bool:
        """Whether any member of a document is one of the person's prospects."""
        return any(self._is_own(each) for each in _json_objects(document))

    def without(self, value: Any) -> tuple[Any, int]:
        """Return a document without the person's prospects and address, and how many values were replaced."""
        if isinstance(value, str):
            text = self.replaced(value)
            return text, int(text != value)
        if isinstance(value, dict):
            if self._is_own(value):
                return None, 1
            pairs = [(self.without(name), self.without(each)) for name, each in value.items()]
            return {name: each for (name, _), (each, _) in pairs}, sum(n + m for (_, n), (_, m) in pairs)
        if isinstance(value, list):
            items = [(each, self.without(each)) for each in value]
            return [new for old, (new, _) in items if new is not None or old is None], sum(n for _, (_, n) in items)
        return value, 0

    def _is_own(self, value: Any) -> bool:
        return (
            isinstance(value, dict)
            and isinstance(value.get("type"), str)
            and value["type"].lower() == "prospect"
            and self.is_id(value.get("id"))
        )


def json_document_of(content: bytes) -> Any:
    """Read JSON; ``None`` where it is none."""
    try:
        return msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def _texts(content: bytes) -> Iterator[str]:
    yield content.decode(errors="replace")
    if b"\0" in content:
        for encoding in ("utf-16-le", "utf-16-be"):
            for first in range(2):
                yield content[first:].decode(encoding, errors="replace")


def _json_objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects of a document, however deep they are."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield each
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each


def _ids_of_address(document: Any, is_in: Callable[[str], bool]) -> Iterator[Any]:
    before = _member(_member(document, "beforeUpdate"), "attributes")
    for each in _json_objects(document):
        kind, attributes = str(each.get("type")), _member(each, "attributes")
        name = ADDRESS_COLUMNS.get(kind)
        earlier = before.get(name) if name and each is _member(document, "data") else None
        if name and is_in(_as_json([attributes.get(name), earlier])):
            yield each.get("id") if kind == "prospect" else _linkage(each, "prospect").get("id")


def _linkage(resource: Any, relationship: str) -> dict[str, Any]:
    """Return a to-one resource identifier, with or without ``data`` around it; empty where there is none."""
    member = _member(_member(resource, "relationships"), relationship)
    return _member(member, "data") or member


def _member(value: Any, name: str) -> dict[str, Any]:
    member = value.get(name) if isinstance(value, dict) else None
    return member if isinstance(member, dict) else {}


def _as_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
