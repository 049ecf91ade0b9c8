"""
Fetch page after page, with a progress bar.

A result is never partial: a page that cannot be read raises, and the pages already read stay in the cache, so that the
same call continues where it stopped. The reader decides what a page is made of.
"""

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from math import ceil
from threading import Event, Lock
from types import TracebackType
from typing import Any, Generic, Self, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pyarrow as pa
from requests.utils import parse_header_links
from tqdm.auto import tqdm

from outreach_frames._http import Response
from outreach_frames._jsonapi import Layout, Misfit, Misfits
from outreach_frames._query import Parameters, Query
from outreach_frames._warnings import warn
from outreach_frames.catalog import snake
from outreach_frames.client import Client
from outreach_frames.errors import DocumentError, OutreachDataWarning, ServerError, UnknownAttributeWarning

T = TypeVar("T")


COUNT = ("count", "true")
BAD_GATEWAYS = {502, 504}
"""Statuses of a proxy for which a page is too large."""
PAGES_WITHOUT_BAR = 2
MOST_FRUITLESS = 100
"""Most pages in a row without a new record [pages]; some servers filter what a page holds."""


@dataclass(frozen=True, kw_only=True)
class FetchedPage(Generic[T]):
    """
    One decoded page.

    Attributes
    ----------
    content
        The decoded content.
    keys
        What tells its primary resources apart, one for each.
    next
        Address of the next page; ``None`` on the last.
    count
        Records that match the query [records]; ``None`` where the server did not say or did not know.
    count_truncated
        Whether there are more than `count`.
    unknown
        Names that the catalog does not have, by resource type.
    misfits
        What is odd about it and could be read all the same.
    url
        Its URL, without the parameters of the first page of a chain.
    """

    content: T
    keys: Sequence[Hashable] | pa.Array
    next: str | None = None
    count: int | None = None
    count_truncated: bool = False
    unknown: Mapping[str, Collection[str]] = field(default_factory=dict)
    misfits: Collection[Misfit] = ()
    url: str = ""

    @property
    def rows(self) -> int:
        """Primary resources on it [rows]."""
        return len(self.keys)


_BLOCK = 1_024
"""Whole numbers whose bits are stored together."""


class ReceivedRecords:
    """
    Records received so far in a chain of pages.

    Ids that are whole numbers take a bit each and little more, so that millions of them need a few megabytes.

    Attributes
    ----------
    name
        Name of the resource in messages.
    fruitless
        The last pages in a row without a new one [pages].
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.fruitless = 0
        self._count = 0
        self._blocks: dict[int, int] = {}
        self._others: set[Hashable] = set()

    def __len__(self) -> int:
        return self._count + len(self._others)

    def add(self, page: FetchedPage[Any]) -> int:
        """Add a page; return how many of its records are new [records]."""
        before, blocks = len(self), self._blocks
        for key in page.keys.to_numpy(zero_copy_only=False).tolist() if isinstance(page.keys, pa.Array) else page.keys:
            if isinstance(key, int):
                block, bit = key // _BLOCK, 1 << key % _BLOCK
                bits = blocks.get(block, 0)
                if not bits & bit:
                    blocks[block] = bits | bit
                    self._count += 1
            else:
                self._others.add(key)
        new = len(self) - before
        self.fruitless = 0 if new else self.fruitless + 1
        return new

    def holds(self, page: FetchedPage[Any]) -> bool:
        """Return whether all records of a page without a catalog were received."""
        return self._others.issuperset(page.keys)

    def refuse_endless(self) -> None:
        """
        Refuse to go on where too many pages in a row held nothing new.

        Raises
        ------
        DocumentError
            They did.
        """
        if self.fruitless >= MOST_FRUITLESS:
            raise DocumentError(
                f"The last {self.fruitless} pages of {self.name} hold nothing new, and there is always a next one.",
                hint="Ask for less with filter or limit, or for larger pages with page_size.",
            )


Reader = Callable[[bytes], FetchedPage[T]]
Address = tuple[str, tuple[tuple[str, str], ...]]


def reader_of(client: Client, query: Query, *, strict: bool = False) -> tuple[Layout, Reader[pa.RecordBatch]]:
    """Return the columns that a query asks for, and the reader that fills them with a page."""
    layout = Layout(
        query.selection,
        catalog=client.catalog,
        open=query.columns is None,
        meta=query.data_connections,
        strict=strict,
    )

    def read(body: bytes) -> FetchedPage[pa.RecordBatch]:
        with hinting(query):
            page = layout.page(body)
        return FetchedPage(
            content=page.batch,
            keys=page.batch.column("id"),
            next=page.next,
            count=page.count,
            count_truncated=page.count_truncated,
            unknown={} if query.columns is None else page.unknown,
            misfits=page.misfits,
        )

    return layout, read


@contextmanager
def hinting(query: Query) -> Iterator[None]:
    """Add a hint to the error of a value that cannot be read: how to read the other columns."""
    try:
        yield
    except DocumentError as error:
        kind = query.types.get(error.resource_type or "")
        if kind and error.attribute in {*kind.attributes, *kind.relationships}:
            choice = "fields=…" if kind.name == query.resource.name else "include={path: [columns]}"
            error.hint = f"To read the rest, leave {snake(error.attribute)} out: name the other columns with {choice}."
        raise


class Paginator(Generic[T]):
    """
    Reads pages one after another, and collects their warnings; used in a ``with`` block.

    Parameters
    ----------
    client
        Connection.
    name
        Name of the resource in the bar and in messages.
    read
        Reads the bytes of a page; may be called by several threads.
    refresh
        Ask the API even for what the cache has.
    progress
        Show a bar; ``None``: from the third page on.
    limit
        Most rows of the result, for the bar [rows].

    Attributes
    ----------
    client, name, refresh
        The parameters.
    as_of
        When the earliest page was extracted (aware, UTC); ``None`` before the first page.
    """

    def __init__(
        self,
        client: Client,
        name: str,
        read: Reader[T],
        *,
        refresh: bool = False,
        progress: bool | None = None,
        limit: int | None = None,
    ) -> None:
        self.client = client
        self.name = name
        self.as_of: datetime | None = None
        self._read = read
        self.refresh = refresh
        self._progress = progress
        self._limit = limit
        self._closing = ExitStack()
        self._lock = Lock()
        self._stopped = Event()
        self._unknown: dict[str, set[str]] = {}
        self._warnings: list[str] = []
        self._misfits = Misfits()
        self._bar: tqdm[Any] | None = None
        self._pages = 0
        self._rows = 0

    def __enter__(self) -> Self:
        listeners = self.client.session.waiter.listeners
        listeners.append(self._show_wait)
        self._closing.callback(listeners.remove, self._show_wait)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()
        for name, attributes in sorted(self._unknown.items()):
            warn(
                f"{name} has attributes that the catalog does not know, left out: {', '.join(sorted(attributes))}. "
                'fields="*" keeps them.',
                UnknownAttributeWarning,
            )
        for message in self._warnings if kind is None else ():
            warn(message, OutreachDataWarning)
        if not isinstance(error, Exception):
            self._misfits.warn()

    def add_warning(self, message: str) -> None:
        """Warn at the end of pagination; may be called by several threads."""
        self._warnings.append(message)

    def provenance(self, name: str | None = None) -> dict[str, Any]:
        """Return where rows come from, as values that JSON and Parquet can hold."""
        extracted = (self.as_of or datetime.now(UTC)).isoformat().replace("+00:00", "Z")
        return {"resource": name or self.name, "as_of": extracted}

    def pages(self, url: str, params: Parameters, received: ReceivedRecords) -> Iterator[FetchedPage[T]]:
        """
        Read a page and all that follow it.

        Parameters
        ----------
        received
            The received records are added to it.

        Raises
        ------
        DocumentError
            A page cannot be read, the links run in a circle, or they go on and lead to nothing new.
        APIError, TransportError
            The API failed, or a link leads to another origin.
        """
        visited: set[Address] = set()
        while url and not self._stopped.is_set():
            page = self.page(url, params, visited)
            received.add(page)
            yield page
            if page.next is not None:
                received.refuse_endless()
            url, params = page.next or "", []

    def page(
        self, url: str, params: Parameters, visited: "set[Address] | None" = None, *, no_retry: Collection[int] = ()
    ) -> FetchedPage[T]:
        """
        Read one page; where a proxy finds it too large, half of it.

        Parameters
        ----------
        visited
            Addresses of pages that it must not link to; its own is added. ``None``: it may link anywhere.
        no_retry
            Statuses that are raised at once: a page without ``page[size]`` cannot be halved here, but by the caller.
        """
        while True:
            smaller = _halved(url, params)
            if visited is not None:
                visited.add(self.address(url, params))
            try:
                page = self._ask(url, params, visited or (), BAD_GATEWAYS if smaller else no_retry)
            except ServerError as error:
                if smaller is None or error.status not in BAD_GATEWAYS:
                    raise
                url, params = smaller
                continue
            self._show(page)
            return page

    def stop(self) -> None:
        """End the chains of pages of other threads before their next page."""
        self._stopped.set()

    def _ask(
        self, url: str, params: Parameters, visited: Collection[Address], no_retry: Collection[int]
    ) -> FetchedPage[T]:
        """Request a page and decode it; one that cannot be decoded, or links to where it must not, is not stored."""

        def decode(response: Response) -> FetchedPage[T]:
            page = self._read(response.body)
            if page.next is None and (link := _header_link(response.headers.get("Link", ""))):
                page = replace(page, next=link)
            return self._linked(page, url, visited)

        response, page = self.client.read(url, params, decode, refresh=self.refresh, no_retry=no_retry)
        with self._lock:
            if (date := response.date) is not None:
                self.as_of = min(self.as_of or date, date)
            for name, attributes in page.unknown.items():
                self._unknown.setdefault(name, set()).update(attributes)
            self._misfits.add(page.misfits)
        return page

    def _linked(self, page: FetchedPage[T], url: str, visited: Collection[Address]) -> FetchedPage[T]:
        """
        Return a page with the whole address of the next one.

        Raises
        ------
        DocumentError
            The links run in a circle.
        OriginError
            The link leads to another origin, or cannot be read.
        """
        here = self._absolute(url)
        if page.next is None:
            return replace(page, url=here)
        link = self.client.session.link(page.next, here)
        if self.address(link, []) in visited:
            raise DocumentError(
                f"The pages of {self.name} run in a circle.", hint="Try again; the last page was not stored."
            )
        return replace(page, url=here, next=link)

    def _absolute(self, url: str) -> str:
        return url if "://" in url else f"{self.client.base_url}/{url.lstrip('/')}"

    def address(self, url: str, params: Parameters) -> Address:
        """Name a page, however its parameters are escaped and ordered."""
        parts = urlsplit(self._absolute(url))
        pairs = sorted([*parse_qsl(parts.query, keep_blank_values=True), *params])
        return f"{parts.netloc}{parts.path}", tuple(pairs)

    def _show(self, page: FetchedPage[T]) -> None:
        """Update the progress bar, which appears on request or after several pages."""
        if self._stopped.is_set():
            return
        with self._lock:
            self._pages += 1
            self._rows += page.rows
            total = None if page.count is None or page.count_truncated else page.count
            total = min(total, self._limit) if total is not None and self._limit is not None else total
            pages = max(self._pages, (total or 0) * self._pages / max(self._rows, 1))
            if self._progress or (self._progress is None and pages > PAGES_WITHOUT_BAR):
                bar = self._opened_bar()
                bar.total = total
                bar.update(self._rows - bar.n)

    def _show_wait(self, left: float) -> None:
        """Show in the bar how long a wait still takes, for the budget or before a retry [s]."""
        if self._progress is False or self._stopped.is_set():
            return
        with self._lock:
            self._opened_bar().set_postfix_str(f"asking again in {timedelta(seconds=ceil(left))}" if left else "")

    def _opened_bar(self) -> "tqdm[Any]":
        if self._bar is None:
            bar: tqdm[Any] = tqdm(desc=self.name, unit=" rows")
            self._bar = self._closing.enter_context(bar)
        return self._bar


def _header_link(header: str) -> str | None:
    """Return the address that an HTTP ``Link`` header calls the next; ``None`` where there is none."""
    links = parse_header_links(header) if "next" in header else []
    return next((link["url"] for link in links if "next" in link.get("rel", "").lower().split()), None)


def _halved(url: str, params: Parameters) -> tuple[str, Parameters] | None:
    """
    Halve the page size, which stands in the parameters or in the link.

    ``None`` at one row, where it is no number (some servers take ``all``), and where pages are counted by their number,
    which then means others.
    """
    parts = urlsplit(url)
    merged = parse_qsl(parts.query, keep_blank_values=True) + params
    named = dict(merged)
    written = named.get("page[size]", "")
    size = int(written) if written.isdecimal() else 1
    if size <= 1 or "page[number]" in named:
        return None
    halved = [(key, str(size // 2) if key == "page[size]" else value) for key, value in merged]
    return urlunsplit(parts._replace(query=urlencode(halved) if parts.query else "")), [] if parts.query else halved
