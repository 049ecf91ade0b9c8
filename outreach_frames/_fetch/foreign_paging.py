"""
Read all pages of a collection on a JSON:API server other than Outreach.

The specification leaves pagination to each server and only names the links. A server's own links are followed, in the
document or in a ``Link`` header. Missing links are not taken for the end, and what came is compared with the total
that the server reports.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlunsplit

import msgspec

from outreach_frames._fetch.pagination import Address, FetchedPage, Paginator, ReceivedRecords
from outreach_frames._fetch.raw_pages import Members, PagingMeta, RawDocument, count_of, link_of, paging_meta
from outreach_frames._http import split_url
from outreach_frames._jsonapi.structs import reading
from outreach_frames._query import Parameters, text
from outreach_frames.errors import BadRequestError, DocumentError, NotFoundError

WAYS = ("links", "offset", "number", "cursor", "single")
PAGE_LINKS = frozenset({"first", "prev", "next", "last"})
"""Links that a document has if its server tells where other pages are; null where there is none."""
FAR = 250
"""How far behind an empty page one is looked at, to see whether that one links to a next page too [pages]."""

OTHER_WAYS = (
    'Connect with the paging that the server has: "links", "number", "offset", "cursor", or a function (see '
    'connect_jsonapi); paging="single" is for one that sends everything at once.'
)


@dataclass(frozen=True)
class Page:
    """
    One page of a collection, for a function that finds the next.

    Attributes
    ----------
    number
        1 for the first page that was read.
    rows
        Resources on it [rows].
    rows_before
        Resources on the pages before it [rows].
    """

    number: int
    rows: int
    rows_before: int
    _content: RawDocument

    @cached_property
    def data(self) -> list[dict[str, Any]]:
        """Its resources, as sent."""
        return [_decoded_members(members) for members in self._content.data]

    @cached_property
    def links(self) -> dict[str, Any]:
        """The document's links."""
        return _decoded_members(self._content.links)

    @cached_property
    def meta(self) -> dict[str, Any]:
        """The document's meta information."""
        return _decoded_members(self._content.meta)


def _decoded_members(members: Members) -> dict[str, Any]:
    with reading():
        return {name: msgspec.json.decode(raw) for name, raw in members.items()}


Following: TypeAlias = Callable[[Page], Mapping[str, object] | str | None]
"""Given a page, says where the next is: parameters to add to the query's, or a link; ``None`` after the last."""
Paging: TypeAlias = Literal["links", "offset", "number", "cursor", "single"] | Following
Place: TypeAlias = str | Parameters
"""Where a page is: a link, or the parameters to add to those of the query."""


class Pages:
    """
    The pages of one collection.

    Parameters
    ----------
    paginator
        Reads them.
    paging
        As in `connect_jsonapi`.
    path, params
        The collection and the query.
    page_size
        Rows to ask for at a time [rows]; ``None``: as many as the server likes.
    always
        Parameters of every request, which a link may leave out.
    check_total
        Compare what came with what the server says of the whole.
    """

    def __init__(
        self,
        paginator: Paginator[RawDocument],
        paging: Paging,
        path: str,
        params: Parameters,
        *,
        page_size: int | None,
        always: Parameters | None = None,
        check_total: bool = True,
    ) -> None:
        name = "page[limit]" if paging == "offset" else "page[size]"
        self._paginator = paginator
        self._paging = paging
        self._path = path
        self._params = [*params, *([(name, str(page_size))] if page_size else [])]
        self._always = always or []
        self._check_total = check_total
        self._known = ReceivedRecords(paginator.name)
        self._visited: set[Address] = set()
        self._here: Address = ("", ())
        self._sizes: list[int] = []
        self._meta = PagingMeta()
        self._totals: list[int] = []
        self._page_totals: list[int] = []
        self._number: int | None = None
        self._offset: int | None = None
        self._repeats = 0
        self._looked_far = False

    def __iter__(self) -> Iterator[FetchedPage[RawDocument]]:
        """
        Read page after page.

        Raises
        ------
        DocumentError
            The links run in a circle, end too early or go on for ever; the server does not page in this way; or it
            says that there is more than came.
        NotFoundError
            There is no such collection.
        """
        place: Place | None = [("page[offset]", "0")] if self._paging == "offset" else []
        last = None
        while place is not None and (page := self._read(place)) is not None:
            new, last = self._note(page), page
            if new or not page.rows:
                yield page
            place = self._after(page, new=new)
            if place is not None:
                self._known.refuse_endless()
        self._compare(last)

    def _read(self, place: Place) -> FetchedPage[RawDocument] | None:
        """Read a page; ``None`` where it is not there and that is the end."""
        url, params = (place, self._left_out(place)) if isinstance(place, str) else (self._path, self._with(place))
        self._here = self._paginator.address(url, params)
        self._visited.add(self._here)
        try:
            return self._paginator.page(url, params)
        except NotFoundError as error:
            if not self._sizes:
                raise
            if isinstance(place, str) and self._paging not in {"offset", "number"} and not self._looks_whole:
                raise DocumentError(
                    f"The link to the next page of {self._paginator.name} leads nowhere (404), and nothing tells "
                    "whether that was all.",
                    hint=OTHER_WAYS,
                ) from error
        except BadRequestError:
            if not self._sizes or isinstance(place, str) or not self._looks_whole:
                raise
        return None

    def _with(self, place: Parameters) -> Parameters:
        names = dict(place)
        return [*((name, value) for name, value in (*self._always, *self._params) if name not in names), *place]

    def _left_out(self, link: str) -> Parameters:
        names = dict(parse_qsl(split_url(link).query, keep_blank_values=True))
        return [(name, value) for name, value in self._always if name not in names]

    def _note(self, page: FetchedPage[RawDocument]) -> int:
        """Note what a page holds and says; return how many of its records are new."""
        new = self._known.add(page)
        meta = self._meta = paging_meta(_decoded_members(page.content.meta))
        self._totals += [most for most in [max(meta.at_least, meta.total or 0)] if most]
        self._page_totals += [] if meta.pages is None else [meta.pages]
        if page.rows and not new:
            self._repeats += 1
        else:
            self._sizes.append(page.rows)
        return new

    @property
    def _is_whole(self) -> bool:
        """Whether as many records came as the server says there are."""
        return self._meta.total is not None and len(self._known) >= self._meta.total

    @property
    def _looks_whole(self) -> bool:
        """Whether the last page was also shorter than the first, as the last one is."""
        return self._is_whole or self._sizes[-1] < self._sizes[0]

    def _after(self, page: FetchedPage[RawDocument], *, new: int) -> Place | None:
        """Return where the page after one is; ``None`` after the last."""
        if self._paging == "single":
            return None
        self._refuse_first_page_again()
        if callable(self._paging):
            return self._ask_function(self._paging, page)
        link = self._meta.link
        following = page.next if link is None else self._paginator.client.session.link(link, page.url)
        if following is not None:
            return self._linked(page, following, new=new)
        if self._paging == "links" or not PAGE_LINKS.isdisjoint(page.content.links):
            if self._is_last(page):
                return None
            if self._paging == "links":
                raise DocumentError(
                    f"The links of {self._paginator.name} end before the page that the server calls the last.",
                    hint='Connect with paging="offset" or paging="number".',
                )
        if self._paging == "cursor":
            return None if self._meta.cursor is None else [self._meta.cursor]
        return self._counted(page)

    def _refuse_first_page_again(self) -> None:
        """Refuse a server that does not page as it is asked to: there is no telling what it has."""
        if self._repeats > self._may_repeat and len(self._sizes) == 1 and not self._is_whole:
            raise DocumentError(
                f"The server sends the first page of {self._paginator.name} again where the second is asked for.",
                hint=OTHER_WAYS,
            )

    @property
    def _may_repeat(self) -> int:
        """How many pages may bring nothing new: the one that tells whether numbers begin at 0 or at 1."""
        return 1 if self._paging == "number" else 0

    def _ask_function(self, following: Following, page: FetchedPage[RawDocument]) -> Place | None:
        """Ask the caller's function."""
        place = following(Page(len(self._sizes), page.rows, sum(self._sizes[:-1]), page.content))
        if isinstance(place, Mapping):
            return [(name, text(value)) for name, value in place.items()]
        return None if place is None else self._paginator.client.session.link(place, page.url)

    def _linked(self, page: FetchedPage[RawDocument], link: str, *, new: int) -> Place | None:
        """Follow a link, unless it leads nowhere new."""
        address = self._paginator.address(link, self._left_out(link))
        if address == self._here or (not new and self._is_whole):
            return None
        if address in self._visited:
            if self._is_whole:
                return None
            raise DocumentError(
                f"The page links of {self._paginator.name} form a loop.", hint=f"The links lead back. {OTHER_WAYS}"
            )
        if not page.rows and (self._paging in {"offset", "number"} or self._always_links(page, link)):
            return None
        return link

    def _always_links(self, empty: FetchedPage[RawDocument], link: str) -> bool:
        """
        Tell whether an empty page links to a next one only because every page does.

        An empty page in the middle is no end: some servers filter what a page holds, and Drupal says that it has left
        something out. A page far behind it, where nothing is, tells what its link is worth.
        """
        far = None if self._looked_far or "omitted" in empty.content.meta else _far_behind(self._here[1], link)
        if far is None:
            return False
        self._looked_far = True
        try:
            page = self._paginator.page(far, self._left_out(far))
        except (NotFoundError, BadRequestError):
            return False
        if page.rows or page.next is None:
            return False
        self._paginator.add_warning(
            f"The server links to a next page of {self._paginator.name} from empty ones too; the first empty one was "
            'taken for the end. With paging="number" or "offset" it is.'
        )
        return True

    def _counted(self, page: FetchedPage[RawDocument]) -> Place | None:
        """Count on; behind a page that is empty or brings nothing new there is nothing."""
        if self._is_whole or not page.rows or self._repeats > self._may_repeat:
            return None
        if self._paging == "offset":
            # A page may hold less than was cut out for it, where the server filters it; so the largest is the step.
            self._offset = sum(self._sizes) if self._offset is None else self._offset + max(self._sizes)
            return [("page[offset]", str(self._offset))]
        # Counted from 0, the next page has the number of those read; from 1, the last one has, and comes again.
        self._number = len(self._sizes) if self._number is None else self._number + 1
        return [("page[number]", str(self._number))]

    def _is_last(self, page: FetchedPage[RawDocument]) -> bool:
        """
        Tell whether a page that links to no further one is the last.

        Some servers leave out the link to the last page (safrs), and some call the one after it the last where the
        pages divide evenly (Django REST framework); so it is looked at.
        """
        links = page.content.links
        if PAGE_LINKS.isdisjoint(links):
            return True
        last = link_of(links, "last")
        if last is None or last == link_of(links, "first"):
            return True
        url = self._paginator.client.session.link(last, page.url)
        if self._paginator.address(url, self._left_out(url)) in self._visited:
            return True
        return self._paging == "links" and self._known.holds(self._paginator.page(url, self._left_out(url)))

    def _compare(self, last: FetchedPage[RawDocument] | None) -> None:
        """Compare what came with what the server says of the whole."""
        if not self._check_total:
            return
        name, came, meta = self._paginator.name, len(self._known), self._meta
        links = last.content.links if last is not None else {}
        total, pages = min(self._totals, default=0), min(self._page_totals, default=0)
        if came < total:
            what = f"counts {total:,} {name}, of which {came:,} came"
        elif len(self._sizes) < pages:
            what = f"counts {pages:,} pages of {name}, of which {len(self._sizes):,} came"
        elif meta.says_more or (meta.cursor and self._paging == "links" and "next" not in links):
            what = f"says that more {name} follow after the {came:,} that came"
        else:
            return
        raise DocumentError(
            f"The server {what}.",
            hint=f"{OTHER_WAYS} If what it says in meta is about something else, connect with check_total=False.",
        )


def _far_behind(here: Iterable[tuple[str, str]], link: str) -> str | None:
    """Return a link to a page far behind the next, where pages are told apart by one number; ``None`` elsewhere."""
    parts = split_url(link)
    pairs, before = parse_qsl(parts.query, keep_blank_values=True), dict(here)
    changed = [name for name, value in pairs if before.get(name) != value]
    if len(changed) != 1:
        return None
    start, stop = (count_of(value) for value in (before.get(changed[0], "0"), dict(pairs)[changed[0]]))
    if start is None or stop is None or stop <= start:
        return None
    far = stop + FAR * (stop - start)
    return urlunsplit(parts._replace(query=urlencode([(n, str(far) if n in changed else v) for n, v in pairs])))
