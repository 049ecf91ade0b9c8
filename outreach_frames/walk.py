"""
Walking the pages of a query: cursor by cursor, page sizes that suit the API, ranges of ids side by side.

A walk never gives part of an answer for the whole: what it cannot read it raises, and the pages already read stay in
the cache, so that the same call goes on where it stopped.
"""

import warnings
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pyarrow as pa
from tqdm.auto import tqdm

from outreach_frames.client import Client
from outreach_frames.errors import DocumentError, QueryError, ServerError, UnknownAttributeWarning
from outreach_frames.http import Answer
from outreach_frames.jsonapi import Layout, Page
from outreach_frames.query import MAX_PAGE_SIZE, Parameters, Query

BAD_GATEWAYS = {502, 504}
"""What a proxy answers when a page is too large for it."""
PAGES_WITHOUT_BAR = 2


def layout_of(client: Client, query: Query) -> Layout:
    """Return the columns that a query asks for."""
    return Layout(
        query.resource,
        fields=query.columns,
        include=query.include,
        catalogue=client.catalogue,
        open=query.columns is None,
    )


def read_page(
    client: Client, url: str, params: Parameters, layout: Layout, *, refresh: bool, no_retry: Collection[int] = ()
) -> tuple[Answer, Page]:
    """Read one page, flattening it once: what cannot be flattened is not stored either."""
    fresh: list[Page] = []

    def check(body: bytes) -> None:
        fresh.append(layout.page(body))

    answer = client.get(url, params, refresh=refresh, check=check, no_retry=no_retry)
    return answer, fresh[-1] if fresh else layout.page(answer.body)


@dataclass
class Walk:
    """
    One walk over the pages of a query, and what is learnt on the way.

    Attributes
    ----------
    layout
        The columns.
    as_of
        When the earliest page was extracted (aware, UTC); ``None`` before the first page.
    """

    client: Client
    query: Query
    limit: int | None = None
    page_size: int | None = None
    refresh: bool = False
    progress: bool | None = None
    as_of: datetime | None = None
    layout: Layout = field(init=False)
    _closing: ExitStack = field(default_factory=ExitStack)
    _lock: Lock = field(default_factory=Lock)
    _unknown: dict[str, set[str]] = field(default_factory=dict)
    _bar: "tqdm[Any] | None" = None
    _pages: int = 0
    _rows: int = 0

    def __post_init__(self) -> None:
        self.query.resource.require("list")
        if self.limit is not None and self.limit < 0:
            raise QueryError(f"limit={self.limit} is negative.")
        if self.page_size is not None and not 1 <= self.page_size <= MAX_PAGE_SIZE:
            raise QueryError(f"page_size={self.page_size} is not between 1 and {MAX_PAGE_SIZE}.")
        self.layout = layout_of(self.client, self.query)

    def __enter__(self) -> None:
        self._closing.__enter__()

    def __exit__(self, *error: object) -> None:
        self._closing.close()
        for name, attributes in sorted(self._unknown.items()):
            warnings.warn(
                f"{name} has attributes that the catalogue does not know, left out: {', '.join(sorted(attributes))}. "
                'fields="*" keeps them.',
                UnknownAttributeWarning,
                stacklevel=3,
            )

    def provenance(self) -> dict[str, Any]:
        """Tell where the rows come from, in values that JSON and Parquet can keep."""
        extracted = (self.as_of or datetime.now(UTC)).isoformat().replace("+00:00", "Z")
        return {"resource": self.query.resource.table, "as_of": extracted}

    def batches(self, query: Query | None = None) -> Iterator[pa.RecordBatch]:
        """Walk the pages one after the other; at least ``limit`` rows of each part of a query cut to fit URLs."""
        query = query or self.query
        if query.matches_nothing or self.limit == 0:
            return
        for part in query.in_stable_order().split():
            rows = 0
            for page in self._walked(part):
                yield page.batch
                rows += page.batch.num_rows
                if self.limit is not None and rows >= self.limit:
                    break

    def side_by_side(self, ranges: int) -> list[pa.RecordBatch]:
        """Walk ranges of ids at the same time; the outer ranges are open, so no id is left out."""
        if self.query.filters_ids or self.query.matches_nothing:
            return list(self.batches())
        bounds = _id_ranges(self._newest_id(), ranges)
        with ThreadPoolExecutor(ranges) as pool:
            parts = pool.map(lambda ends: list(self.batches(self.query.narrowed(*ends))), bounds)
            return [batch for part in parts for batch in part]

    def _newest_id(self) -> int:
        """Guess the largest id from the newest record; a wrong guess only makes the ranges uneven."""
        if self.query.resource.id_type != "integer":
            raise QueryError(f"{self.query.resource.table} have no numeric ids.", hint="Leave parallel out.")
        newest = self.query.newest()
        params = [*newest.parameters(), ("page[size]", "1"), ("count", "false")]
        layout = layout_of(self.client, newest)
        _, page = read_page(self.client, newest.resource.path, params, layout, refresh=self.refresh)
        ids = page.batch.column("id").to_pylist()
        return int(ids[0]) if ids else 1

    def _walked(self, query: Query) -> Iterator[Page]:
        url, params = query.resource.path, [*query.parameters(), *self._paging()]
        seen = set()
        while url:
            page, url, params = self._page(url, params)
            self._show(page)
            yield page
            url, params = page.next or "", []
            if url in seen:
                raise DocumentError(
                    f"The pages of {query.resource.table} run in a circle.", resource_type=query.resource.name
                )
            seen.add(url)

    def _paging(self) -> Parameters:
        size = self.page_size or self.query.page_size
        wanted = min(size, self.limit) if self.limit is not None else size
        return [("page[size]", str(wanted)), ("count", "true")]

    def _page(self, url: str, params: Parameters) -> tuple[Page, str, Parameters]:
        """Read one page; where a proxy finds it too large, ask for half of it."""
        while True:
            smaller = _halved(url, params)
            too_large = BAD_GATEWAYS if smaller else ()
            try:
                answer, page = read_page(
                    self.client, url, params, self.layout, refresh=self.refresh, no_retry=too_large
                )
            except ServerError as error:
                if smaller is None or error.status not in BAD_GATEWAYS:
                    raise
                url, params = smaller
                continue
            if answer.date is not None:
                self.as_of = min(self.as_of or answer.date, answer.date)
            return page, url, params

    def _show(self, page: Page) -> None:
        """Note what is unknown; move the progress bar on, which appears where it is wanted or the walk will be long."""
        with self._lock:
            self._pages += 1
            if self.query.columns is not None:
                for name, attributes in page.unknown.items():
                    self._unknown.setdefault(name, set()).update(attributes)
            self._rows += page.batch.num_rows
            expected = (page.count or 0) * self._pages / max(self._rows, 1)
            wanted = self.progress or (self.progress is None and max(expected, self._pages) > PAGES_WITHOUT_BAR)
            if wanted and self._bar is None:
                total = min(page.count, self.limit or page.count) if page.count else None
                bar: tqdm[Any] = tqdm(desc=self.query.resource.table, total=total, unit=" rows")
                self._bar = self._closing.enter_context(bar)
            if self._bar is not None:
                self._bar.update(self._rows - self._bar.n)


def _id_ranges(newest: int, ranges: int) -> list[tuple[int | None, int | None]]:
    cuts = [newest * n // ranges for n in range(1, ranges)]
    lows: list[int | None] = [None, *(cut + 1 for cut in cuts)]
    return list(zip(lows, [*cuts, None], strict=True))


def _halved(url: str, params: Parameters) -> tuple[str, Parameters] | None:
    """Halve the page size, which stands in the parameters or in the link; ``None`` at one row."""
    parts = urlsplit(url)
    merged = parse_qsl(parts.query, keep_blank_values=True) + params
    size = next((int(value) for key, value in merged if key == "page[size]"), 1)
    if size <= 1:
        return None
    halved = [(key, str(size // 2) if key == "page[size]" else value) for key, value in merged]
    return urlunsplit(parts._replace(query=urlencode(halved) if parts.query else "")), [] if parts.query else halved
