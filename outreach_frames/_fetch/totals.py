"""
What the ``meta`` of a page says of the whole: how much there is, and whether more follows.

JSON:API leaves ``meta`` to each server. The words are those that servers use; what is not understood says nothing.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_TOTALS = frozenset(
    {"total", "totalcount", "totalelements", "totalentries", "totalhits", "totalitems", "totalobjects", "totalrecords"}
    | {"totalresources", "totalresults", "totalrows", "totalsize", "numfound", "recordcount", "recordsfiltered"}
)
_COUNTS = frozenset({"count", "itemcount", "resultcount", "results"})
"""Records of the whole for one server, of the page for another; in either case there are at least so many."""
_PAGES = frozenset({"totalpages", "pagecount", "pages", "pagestotal", "numpages", "lastpage", "totalpagecount"})
_MORE = frozenset({"hasmore", "more", "hasnext", "hasnextpage", "hasmorepages", "morepages"})
_LAST = frozenset({"last", "islast", "islastpage"})
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
    What a page says of the whole.

    Attributes
    ----------
    total
        Records in all; ``None`` where it is not said beyond doubt.
    at_least
        Records that there are at least.
    pages
        Pages in all; ``None`` where it is not said.
    says_more
        Whether it is said in so many words that more follows.
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
    words = list(_words(meta))
    for place, word, value in words:
        number = count_of(value)
        if number is not None:
            _note_number(about, place, word, number, counts_pages={w for p, w, _ in words if p == place} & _PAGES)
        if isinstance(value, str) and _LINK.match(value) and (place == "next" or word in _LINKS):
            about.link = value
        elif _is_scalar(value) and (parameter := _parameter(place, word)):
            about.cursor = (parameter, str(value))
    flags = [value is (word in _MORE) for _, word, value in words if word in _MORE | _LAST and isinstance(value, bool)]
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
    elif word in _COUNTS:
        about.at_least = max(about.at_least, number)


def _parameter(place: str, word: str) -> str | None:
    """Return the parameter that what a member holds goes into, if it asks for the next page."""
    if place == "next" and word in {"offset", "number", "page", "cursor", "after"}:
        return f"page[{'number' if word == 'page' else word}]"
    return _CURSORS.get(word)


def _words(members: Mapping[str, Any], place: str = "", depth: int = 1) -> Iterator[tuple[str, str, Any]]:
    """Yield the object that a member stands in, its name in letters only, and its value."""
    for name, value in members.items():
        word = _letters(name)
        if not isinstance(value, Mapping):
            yield place, word, value
        elif word in _INSIDE and depth < _DEEPEST:
            yield from _words(value, word, depth + 1)


def _letters(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def count_of(value: Any) -> int | None:
    """Return a whole number from 0, also where it is written as text; ``None`` of anything else."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 19:  # noqa: PLR2004
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and value != ""
