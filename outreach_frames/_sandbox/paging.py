"""
Sorting, pages and cursors.

A cursor contains the sort values and the id of a record, not a position: a record that is inserted or removed
elsewhere moves nothing, and a record whose sort value grows between two pages appears again later. A cursor is
valid for one collection and one sort, as the vendor's are.
"""

import base64
import binascii
import json
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import total_ordering
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from outreach_frames._sandbox.errors import HttpError, bad_request
from outreach_frames._sandbox.filters import ValueKind, comparable, readable_value
from outreach_frames._sandbox.settings import SandboxSettings
from outreach_frames._sandbox.store import Record

_DEFAULT_SIZE = 50
_LARGEST_SIZE = 1_000
_LARGEST_OFFSET = 10_000
_CURSOR, _OFFSET = frozenset({"size", "after", "before"}), frozenset({"limit", "offset"})


@dataclass(frozen=True)
class RequestedPage:
    """
    The requested page of a list.

    Attributes
    ----------
    size
        Most records.
    after, before
        Cursor of the request.
    offset
        Records to skip; ``None`` for cursor pagination.
    """

    size: int = _DEFAULT_SIZE
    after: str | None = None
    before: str | None = None
    offset: int | None = None


@dataclass(frozen=True)
class SortKey:
    """One attribute to sort by, with the kind of its values."""

    name: str
    kind: ValueKind
    descending: bool

    def __str__(self) -> str:
        return f"-{self.name}" if self.descending else self.name


@dataclass(frozen=True)
class Slice:
    """
    The records of one page, with links to other pages.

    Attributes
    ----------
    records
        In order.
    links
        By name, the ``page[…]`` parameters of a page that exists; ``None`` removes a parameter.
    """

    records: Sequence[Record]
    links: Mapping[str, Mapping[str, str | None]]


def read_page(parameters: Mapping[str, str], settings: SandboxSettings) -> RequestedPage:
    """
    Read the ``page[…]`` parameters.

    Raises
    ------
    HttpError
        An unknown one, cursor and offset pagination mixed, a size that is not a number from 1 to 1,000, an offset past
        10,000.
    """
    unknown = sorted(parameters.keys() - _CURSOR - _OFFSET)
    if unknown:
        raise _invalid_page(f"'page[{unknown[0]}]' is not a parameter of this request.")
    if parameters.keys() & _CURSOR and parameters.keys() & _OFFSET:
        raise _invalid_page("Cursor and offset pagination cannot be mixed.")
    if parameters.keys() & _OFFSET:
        offset = _bounded_number("page[offset]", parameters.get("offset", "0"), 0, _LARGEST_OFFSET)
        return RequestedPage(size=_size("page[limit]", parameters.get("limit"), settings), offset=offset)
    if "after" in parameters and "before" in parameters:
        raise _invalid_page("A page is either after or before a cursor.")
    return RequestedPage(
        _size("page[size]", parameters.get("size"), settings), parameters.get("after"), parameters.get("before")
    )


def _size(name: str, text: str | None, settings: SandboxSettings) -> int:
    largest = None if settings.oversized_page == "clamp" else _LARGEST_SIZE
    return min(_bounded_number(name, text, 1, largest), _LARGEST_SIZE) if text is not None else _DEFAULT_SIZE


def _bounded_number(name: str, text: str, smallest: int, largest: int | None) -> int:
    if not text.isdecimal() or int(text) < smallest or (largest is not None and int(text) > largest):
        bounds = f"at least {smallest}" if largest is None else f"from {smallest} to {largest:,}"
        raise _invalid_page(f"'{name}' is a whole number {bounds}.")
    return int(text)


def _invalid_page(detail: str) -> HttpError:
    return bad_request("pageParameter.invalidValue", detail)


class Ordered:
    """
    Sorted records, to be cut into pages.

    Parameters
    ----------
    collection
        Name of the collection that cursors belong to.
    records
        In any order.
    sort
        Most significant first; ties go by id.
    settings
        Place of missing values, and the order without a sort.
    """

    def __init__(
        self, collection: str, records: Iterable[Record], sort: Sequence[SortKey], settings: SandboxSettings
    ) -> None:
        self._collection = collection
        self._sort = sort
        self._nulls_first = settings.nulls == "lowest"
        self._scattered = settings.unsorted_order == "scattered" and not sort
        keyed = sorted(
            ((self._key(self._values(record), record.id), record) for record in records), key=lambda pair: pair[0]
        )
        self._keys = [key for key, _ in keyed]
        self.records = [record for _, record in keyed]

    def __len__(self) -> int:
        return len(self.records)

    def page(self, page: RequestedPage, settings: SandboxSettings) -> Slice:
        """
        Return a page.

        Raises
        ------
        HttpError
            The cursor is damaged, or belongs to another collection or sort.
        """
        return self._offset_page(page, page.offset, settings) if page.offset is not None else self._cursor_page(page)

    def _cursor_page(self, page: RequestedPage) -> Slice:
        start = 0
        if page.after is not None:
            start = bisect_right(self._keys, self._position(page.after))
        elif page.before is not None:
            start = max(0, bisect_left(self._keys, self._position(page.before)) - page.size)
        stop = start + page.size
        if page.before is not None:
            stop = bisect_left(self._keys, self._position(page.before))
        records = self.records[start:stop]
        links: dict[str, dict[str, str | None]] = {"first": {"after": None, "before": None}}
        if start > 0 and records:
            links["prev"] = {"before": self._cursor(records[0]), "after": None}
        if stop < len(self.records) and records:
            links["next"] = {"after": self._cursor(records[-1]), "before": None}
        return Slice(records, links)

    def _offset_page(self, page: RequestedPage, offset: int, settings: SandboxSettings) -> Slice:
        stop = offset + page.size
        last = max(0, len(self.records) - 1) // page.size * page.size
        starts = {"first": 0, "last": last}
        if offset > 0:
            starts["prev"] = max(0, offset - page.size)
        if stop < len(self.records) and (stop <= _LARGEST_OFFSET or settings.next_past_offset_limit):
            starts["next"] = stop
        return Slice(self.records[offset:stop], {name: {"offset": str(start)} for name, start in starts.items()})

    # Keys and cursors

    def _values(self, record: Record) -> list[Any]:
        return [record.id if key.name == "id" else _sort_value(record, key.name) for key in self._sort]

    def _key(self, values: Sequence[Any], id_: Any) -> tuple[Any, ...]:
        parts = [
            self._part(key, readable_value(key.kind, value)) for key, value in zip(self._sort, values, strict=True)
        ]
        if self._scattered:
            parts.append((0, zlib.crc32(str(id_).encode())))
        return (*parts, _id_key(id_))

    def _part(self, key: SortKey, value: Any) -> tuple[int, Any]:
        missing = value is None
        rank = int(missing != self._nulls_first)
        if missing:
            return (-rank if key.descending else rank), 0
        if not key.descending:
            return rank, value
        return -rank, -value if isinstance(value, int | float) else _Reversed(value)

    def _cursor(self, record: Record) -> str:
        content = {"cn": self._collection, "sp": self._spec, "sv": self._values(record), "id": record.id, "v": 1}
        return base64.b64encode(json.dumps(content, separators=(",", ":")).encode()).decode()

    def _position(self, cursor: str) -> tuple[Any, ...]:
        try:
            content = json.loads(base64.b64decode(cursor, validate=True))
            bound = content["cn"], content["sp"]
            values, id_ = content["sv"], content["id"]
            if bound == (self._collection, self._spec):
                return self._key(values, id_)
        except (binascii.Error, UnicodeDecodeError, ValueError, TypeError, KeyError):
            raise _invalid_page("The cursor is not one of this API's.") from None
        raise _invalid_page("The cursor belongs to another collection or another sort.")

    @property
    def _spec(self) -> str:
        return ",".join(str(key) for key in self._sort)


def _sort_value(record: Record, name: str) -> Any:
    """Return the sort value of a record; for events without ``updatedAt`` it is ``createdAt``."""
    value = record.attributes.get(name)
    return (
        record.attributes.get("createdAt") if value is None and (record.type, name) == ("event", "updatedAt") else value
    )


def _id_key(id_: Any) -> tuple[int, Any]:
    try:
        key: tuple[int, Any] = comparable("id", id_)
    except ValueError:
        return 2, str(id_)
    return key


@total_ordering
@dataclass(frozen=True)
class _Reversed:
    """A value that sorts in reverse."""

    value: Any

    def __lt__(self, other: "_Reversed") -> bool:
        return bool(other.value < self.value)


def page_url(url: str, query: str, changes: Mapping[str, str | None], *, encoded: bool) -> str:
    """Return the URL of another page: all parameters of the request, with changed ``page[…]`` ones."""
    changed = {f"page[{name}]": value for name, value in changes.items()}
    other = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name not in changed]
    added = [(name, value) for name, value in changed.items() if value is not None]
    safe = "" if encoded else "[]"
    text = urlencode([*other, *added], quote_via=quote, safe=safe)
    return f"{url}?{text}" if text else url
