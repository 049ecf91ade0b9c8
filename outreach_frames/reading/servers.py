"""
Connections to JSON:API servers other than Outreach, and how to come to all of their pages.

The specification leaves pagination to each server and only names the links. A server's own links are followed
wherever it gives them; what they leave out is noticed, never taken for the end.
"""

from collections.abc import Iterator
from typing import Literal, get_args

from outreach_frames._urls import join_url
from outreach_frames.catalogue import Catalogue
from outreach_frames.client import Client
from outreach_frames.errors import DocumentError, NotFoundError, QueryError
from outreach_frames.http import Session
from outreach_frames.query import Parameters
from outreach_frames.reading.parts import Loose, identity, link_of
from outreach_frames.reading.walk import Address, Found, Walk

Paging = Literal["links", "offset", "number"]

PAGE_LINKS = frozenset({"first", "prev", "next", "last"})
"""Links that a document has if its server tells where other pages are; null where there is none."""


class Server(Client):
    """
    Connection to a JSON:API server other than Outreach; made by `connect_jsonapi`.

    Parameters
    ----------
    session
        The HTTP session, signed in where that is needed.
    paging
        How further pages are found.

    Raises
    ------
    QueryError
        There is no such way.
    """

    def __init__(self, session: Session, *, paging: Paging = "links") -> None:
        if paging not in get_args(Paging):
            able = ", ".join(f'"{way}"' for way in get_args(Paging))
            raise QueryError(f"There is no paging={paging!r}.", hint=f"Choose one of {able}.")
        super().__init__(session, catalogue=Catalogue({}))
        self.paging = paging


class Pages:
    """
    The pages of one collection.

    Parameters
    ----------
    walk
        Reads them.
    paging
        As in `Server`.
    path, params
        The collection and the query.
    page_size
        Rows to ask for at a time [rows]; ``None``: as many as the server likes.
    """

    def __init__(
        self, walk: Walk[Loose], paging: Paging, path: str, params: Parameters, *, page_size: int | None
    ) -> None:
        name = "page[limit]" if paging == "offset" else "page[size]"
        self._walk = walk
        self._paging = paging
        self._path = path
        self._params = [*params, *([(name, str(page_size))] if page_size else [])]
        self._asked: set[Address] = set()
        self._seen: set[object] = set()
        self._sizes: list[int] = []

    def __iter__(self) -> Iterator[Found[Loose]]:
        """
        Follow the links; where there are none, or they end too early, count offsets or numbers on.

        The last page that is counted is the one that is empty, shorter than the first, not there, or the same again
        from a server that does not count.
        """
        goes_on = True
        while goes_on:
            pages, known = len(self._sizes), len(self._seen)
            try:
                for found in self._walk.pages(self._path, [*self._params, *self._place()], self._asked):
                    yield found
                    self._sizes.append(found.rows)
                    self._seen |= set(map(identity, found.content.data))
            except NotFoundError:
                if not pages or len(self._sizes) > pages:
                    raise
                return
            is_last = self._is_last(found)
            if self._paging == "links" and not is_last:
                raise DocumentError(
                    f"The links of {self._walk.name} end before the page that the server calls the last.",
                    hint='Connect with paging="offset" or paging="number".',
                )
            goes_on = not is_last and self._sizes[-1] == self._sizes[0] and len(self._seen) > known

    def _place(self) -> Parameters:
        """Name the first page that has not been read."""
        counted = {"offset": ("page[offset]", sum(self._sizes)), "number": ("page[number]", len(self._sizes) + 1)}
        return [(name, str(value)) for way, (name, value) in counted.items() if way == self._paging]

    def _is_last(self, found: Found[Loose]) -> bool:
        """
        Tell whether a page that links to no further one is the last.

        Some servers leave out the link to the last page (safrs), and some call the one after it the last where the
        pages divide evenly (Django REST framework); so it is looked at.
        """
        links = found.content.links
        if PAGE_LINKS.isdisjoint(links):
            return self._paging == "links"
        last = link_of(links, "last")
        if last is None or last == link_of(links, "first"):
            return True
        url = join_url(found.url, last)
        if self._walk.address(url, []) in self._asked:
            return True
        return self._paging == "links" and self._seen.issuperset(map(identity, self._walk.page(url, []).content.data))
