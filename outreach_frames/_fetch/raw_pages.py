"""Undecoded pages of a server without a catalog: their resources, and what their ``meta`` says about paging."""

import re
from codecs import BOM_UTF8
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from outreach_frames._fetch.pagination import FetchedPage
from outreach_frames._jsonapi.inference import ObservedType, observe
from outreach_frames._jsonapi.lenient import (
    Members,
    RawDocument,
    counts,
    next_link,
    object_of,
    split_document,
    type_of,
)
from outreach_frames._jsonapi.structs import reading

__all__ = [
    "Members",
    "PagingMeta",
    "RawDocument",
    "by_type",
    "count_of",
    "deduplicated",
    "document_of",
    "link_of",
    "merged_pages",
    "observed_in",
    "paging_meta",
    "read_raw_page",
]


_NULL = msgspec.Raw(b"null")


def read_raw_page(body: bytes) -> FetchedPage[RawDocument]:
    """
    Read a page into its resources; an answer without content (204) has none.

    Raises
    ------
    DocumentError
        It is no JSON:API document with resources.
    """
    with reading():
        page = split_document(body.removeprefix(BOM_UTF8)) if body else RawDocument(data=[])
        count, truncated = counts(page.meta)
        return FetchedPage(
            content=page,
            keys=[_key(members) or bytes(msgspec.json.encode(members)) for members in page.data],
            next=next_link(page.links),
            count=None if truncated and not count else count,
            count_truncated=truncated,
        )


def link_of(links: Members, name: str) -> str | None:
    """
    Return the address of a link; ``None`` where there is none.

    Raises
    ------
    DocumentError
        It is no text.
    """
    return next_link({"next": links[name]}) if name in links else None


def by_type(resources: Iterable[Members], *, where: str) -> dict[str, list[Members]]:
    """
    Sort resources by their types, in order of appearance.

    Raises
    ------
    DocumentError
        One has no type.
    """
    groups = defaultdict(list)
    for members in resources:
        groups[type_of(members, where=where)].append(members)
    return dict(groups)


def observed_in(document: RawDocument) -> dict[str, ObservedType]:
    """
    Return what a document holds of each resource type, those that are only pointed to among them.

    Raises
    ------
    DocumentError
        A resource has no type, or is laid out differently.
    """
    with reading():
        return observe(document)


def document_of(data: Sequence[Members], included: Sequence[Members] = ()) -> bytes:
    """Write resources as one document."""
    return msgspec.json.encode({"data": data, "included": included})


def merged_pages(pages: Iterable[RawDocument], limit: int | None) -> RawDocument:
    """Put pages together: each resource once, as and where it came last; at most ``limit`` primary ones."""
    pages = list(pages)
    data = deduplicated(members for page in pages for members in page.data)
    included = deduplicated(members for page in pages for members in page.included)
    return RawDocument(data=data[:limit], beside=msgspec.Raw(msgspec.json.encode(included)))


def deduplicated(resources: Iterable[Members]) -> list[Members]:
    """Return each resource once, as and where it came last; what was not sent again stays as it was."""
    resources_by_key: dict[object, Members] = {}
    for members in resources:
        key = _key(members) or object()
        before = resources_by_key.pop(key, None)
        resources_by_key[key] = members if before is None else _overlaid(before, members)
    return list(resources_by_key.values())


def _overlaid(before: Members, members: Members) -> Members:
    """Lay a resource over itself as it was before; the attributes and relationships of both remain."""
    joined = {**before, **members}
    for name in ("attributes", "relationships"):
        old, new = (object_of(sent.get(name, _NULL)) for sent in (before, members))
        if name == "relationships":
            new |= {key: _encoded({**object_of(old[key]), **object_of(new[key])}) for key in old.keys() & new.keys()}
        if old:
            joined[name] = _encoded({**old, **new})
    return joined


def _encoded(members: Members) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(members))


def _key(members: Members) -> tuple[bytes, bytes] | None:
    """Return type and id as sent; ``None`` for a resource without them, which equals no other."""
    return (bytes(members["type"]), bytes(members["id"])) if {"type", "id"} <= members.keys() else None


# What the meta of a page says about paging. JSON:API leaves it to each server; these are the words that servers use.

_TOTALS = frozenset(
    {"total", "totalcount", "totalelements", "totalentries", "totalhits", "totalitems", "totalobjects", "totalrecords"}
    | {"totalresources", "totalresults", "totalrows", "totalsize", "numfound", "recordcount", "recordsfiltered"}
)
_COUNT_WORDS = frozenset({"count", "itemcount", "resultcount", "results"})
"""Records of the whole for one server, of the page for another; in either case there are at least so many."""
_PAGES = frozenset({"totalpages", "pagecount", "pages", "pagestotal", "numpages", "lastpage", "totalpagecount"})
_MORE = frozenset({"hasmore", "more", "hasnext", "hasnextpage", "hasmorepages", "morepages"})
_LAST_WORDS = frozenset({"last", "islast", "islastpage"})
_CURSORS = {
    **dict.fromkeys(("after", "endcursor"), "page[after]"),
    **dict.fromkeys(("cursor", "next", "nextcursor", "nexttoken", "nextpagetoken"), "page[cursor]"),
    **dict.fromkeys(("nextpage", "nextpagenumber"), "page[number]"),
    "nextoffset": "page[offset]",
}
"""Words for what asks for the next page, and the parameter that it goes into."""
_LINKS = frozenset({"next", "nextlink", "nextpage", "nextpageurl", "nexturl"})
_LINK = re.compile(r"https?://|/?[^?\s]*\?")
_INSIDE = frozenset(
    {"cursor", "cursors", "next", "page", "pageinfo", "pages", "paging", "pagination", "paginator", "resultset"}
    | {"stats", "total"}
)
"""Objects in ``meta`` that are about pages."""
_DEEPEST = 3


@dataclass
class PagingMeta:
    """
    What the ``meta`` of a page says about the whole collection.

    Attributes
    ----------
    total
        Records in all [records]; ``None`` where it is not certain.
    at_least
        Records that there are at least.
    pages
        Pages in all; ``None`` where it is not said.
    says_more
        Whether it is said that more pages follow.
    cursor
        Parameter and value that ask for the next page, where there is one.
    link
        Address of the next page, from servers that have their links here.
    """

    total: int | None = None
    at_least: int = 0
    pages: int | None = None
    says_more: bool = False
    cursor: tuple[str, str] | None = None
    link: str | None = None


def paging_meta(meta: Mapping[str, Any]) -> PagingMeta:
    """Read the ``meta`` of a page."""
    about = PagingMeta()
    words = list(_meta_words(meta))
    for place, word, value in words:
        number = count_of(value)
        if number is not None:
            _note_number(about, place, word, number, counts_pages={w for p, w, _ in words if p == place} & _PAGES)
        if isinstance(value, str) and _LINK.match(value) and (place == "next" or word in _LINKS):
            about.link = value
        elif _is_scalar(value) and (parameter := _paging_parameter(place, word)):
            about.cursor = (parameter, str(value))
    flags = [
        value is (word in _MORE) for _, word, value in words if word in _MORE | _LAST_WORDS and isinstance(value, bool)
    ]
    about.says_more = any(flags)
    if flags and not about.says_more:
        about.cursor = about.link = None
    return about


def _note_number(about: PagingMeta, place: str, word: str, number: int, *, counts_pages: Collection[str]) -> None:
    if word in _PAGES or (place == "pages" and word in {"total", "count"}):
        about.pages = number
    elif word in _TOTALS or (place == "total" and word in {"count", "value"}):
        about.at_least = max(about.at_least, number)
        # In an object about pages, a bare total is one of records for some and one of pages for others.
        if word != "total" or not place or counts_pages:
            about.total = number
    elif word in _COUNT_WORDS:
        about.at_least = max(about.at_least, number)


def _paging_parameter(place: str, word: str) -> str | None:
    """Return the parameter that what a member holds goes into, if it asks for the next page."""
    if place == "next" and word in {"offset", "number", "page", "cursor", "after"}:
        return f"page[{'number' if word == 'page' else word}]"
    return _CURSORS.get(word)


def _meta_words(members: Mapping[str, Any], place: str = "", depth: int = 1) -> Iterator[tuple[str, str, Any]]:
    """Yield the object that a member stands in, its name in letters only, and its value."""
    for name, value in members.items():
        word = _letters_of(name)
        if not isinstance(value, Mapping):
            yield place, word, value
        elif word in _INSIDE and depth < _DEEPEST:
            yield from _meta_words(value, word, depth + 1)


def _letters_of(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def count_of(value: Any) -> int | None:
    """Return a whole number from 0, also where it is written as text; ``None`` of anything else."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 19:  # noqa: PLR2004
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and value != ""
