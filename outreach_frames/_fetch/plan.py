"""
Which requests answer a query, and in which order their rows stand.

Cursors are serial: each page names the next. Parallel requests need ranges that are fixed beforehand: all records by
ranges of their ids, and the first records of an order by offsets, as far as the API counts those.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from outreach_frames._fetch.custom_fields import Custom, CustomField, custom_fields
from outreach_frames._fetch.pagination import (
    BAD_GATEWAYS,
    FetchedPage,
    Paginator,
    Reader,
    ReceivedRecords,
    T,
    side_by_side,
)
from outreach_frames._jsonapi import Layout, concat
from outreach_frames._query import MAX_PAGE_SIZE, Query, build
from outreach_frames.catalog import snake
from outreach_frames.client import Client
from outreach_frames.errors import DocumentError, QueryError, ServerError

Order = list[tuple[str, str]]

BY_ID: Order = [("id", "ascending")]


@dataclass(frozen=True)
class Arrangement:
    """
    How a query is sent, and how its rows are ordered afterward.

    Attributes
    ----------
    query
        As it is sent.
    order
        Columns to sort rows by; empty where they come in the requested order.
    sort_only
        Columns that are only there to sort by.
    """

    query: Query
    order: Order = field(default_factory=list)
    sort_only: tuple[str, ...] = ()


def arrangement_of(query: Query, limit: int | None) -> Arrangement:
    """
    Return in which order a query is sent.

    With a limit, the API chooses the first rows of an order. Without one, all rows are read in an order that no update
    changes, where possible, and sorted here: a record that changes meanwhile would move to a page that was already
    read. The API cannot sort by id, nor a query that is sent in parts.

    Raises
    ------
    QueryError
        The rows of several parts cannot be put in the requested order.
    """
    if not query.sort:
        return Arrangement(query, BY_ID)
    if not query.is_cut and (limit is not None or query.is_stable):
        return Arrangement(query)
    if limit is not None:
        raise QueryError(
            "This query is sent in several parts, so the first rows of each part are not the first rows of the whole.",
            hint="Leave limit or sort out, or filter by fewer values.",
        )
    attributes = query.resource.attributes
    keys = {key.removeprefix("-"): "descending" if key.startswith("-") else "ascending" for key in query.sort}
    unknown = next((name for name in keys if name not in attributes), None)
    if unknown and query.is_cut:
        raise QueryError(
            f"This query is sent in several parts, and their rows cannot be sorted by {unknown} here.",
            hint="Leave sort out and sort the frame, or filter by fewer values.",
        )
    if unknown:
        return Arrangement(query)
    sort_only = [name for name in keys if query.columns is not None and name not in query.columns]
    order = [(attributes[name].column, direction) for name, direction in keys.items()]
    return Arrangement(
        query.unsorted().with_columns(sort_only), [*order, *BY_ID], tuple(attributes[name].column for name in sort_only)
    )


TOGETHER = 8
"""Batches of one size that become a larger one while others are read: many small buffers leave gaps in memory."""
LEVELS = 2
"""How often they do: the largest ones are of 64 pages."""
LARGE = 32 << 20
"""Tables from this size on give memory back to the system as they are put together [bytes]."""


def table_of(batches: Iterable[pa.RecordBatch], schema: pa.Schema, order: Order, limit: int | None) -> pa.Table:
    """
    Put pages together and their rows in order, see `arranged`.

    This is done column by column, so that hardly more than one column is in memory twice.
    """
    large = _larger(batches)
    is_open = any(batch.num_columns > len(schema) for batch in large)
    table = concat(large, schema) if is_open else pa.Table.from_batches(large, schema)
    rows, names = _rows_in_order(table, order, limit), table.column_names
    columns = [table.select([name]) for name in reversed(names)]
    is_large = table.nbytes > LARGE
    del large, table
    parts = []
    while columns:
        parts.append(_taken(columns.pop(), rows).combine_chunks().column(0))
        if is_large:
            pa.default_memory_pool().release_unused()
    return pa.table(parts, names)


def _larger(batches: Iterable[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """Put the batches of several pages together, where they have the same columns."""
    large: list[tuple[int, pa.RecordBatch]] = []
    for page in batches:
        large.append((0, page))
        while len(large) >= TOGETHER and (level := large[-1][0]) < LEVELS:
            last = [batch for its, batch in large[-TOGETHER:] if its == level and batch.schema == page.schema]
            if len(last) < TOGETHER:
                break
            large[-TOGETHER:] = [(level + 1, pa.concat_batches(last))]
    return [batch for _, batch in large]


def arranged(table: pa.Table, order: Order, limit: int | None = None) -> pa.Table:
    """Keep each record once, as it was last; cut to the limit; put in order, missing values last."""
    return _taken(table, _rows_in_order(table, order, limit))


def _taken(table: pa.Table, rows: pa.Array | None) -> pa.Table:
    return table if rows is None else table.take(rows)


def _rows_in_order(table: pa.Table, order: Order, limit: int | None) -> pa.Array | None:
    """Return which rows of a table are those of the result; ``None`` where it is that already."""
    ids = table.column("id").combine_chunks()
    is_whole = order == BY_ID and (limit is None or limit >= len(ids))
    if is_whole and pc.all(pc.less(ids[:-1], ids[1:])).as_py() is not False:
        return None
    rows = pa.array(np.flatnonzero(~ids.to_pandas().duplicated(keep="last").to_numpy()))
    order = [(column, direction) for column, direction in order if column in table.column_names]
    if order == BY_ID:
        rows = rows[:limit]
    if order:
        keys = table.select([column for column, _ in order]).take(rows)
        rows = rows.take(pc.sort_indices(keys, sort_keys=order))
    return rows[:limit]


COUNT = ("count", "true")
MAX_OFFSET = 10_000
"""The furthest offset that the API takes [rows]."""


def check_limit(limit: int | None) -> None:
    """Raise `QueryError` for a limit that is neither left out nor a number of rows."""
    check_whole("limit", limit)
    if limit is not None and limit < 0:
        raise QueryError(f"limit={limit} is negative.", hint="Leave it out for all records.")


def check_page_size(page_size: int | None, *, largest: int | None = None) -> None:
    """Raise `QueryError` for a page size that is neither left out nor a number of rows that a page may hold."""
    check_whole("page_size", page_size)
    if page_size is not None and (page_size < 1 or (largest is not None and page_size > largest)):
        raise QueryError(
            f"page_size={page_size} is not {'positive' if largest is None else f'between 1 and {largest:,}'}.",
            hint="Leave it out: all further pages follow by themselves.",
        )


def check_whole(name: str, number: object) -> None:
    """Raise `QueryError` for an option that is neither a whole number nor left out."""
    if isinstance(number, bool) or not isinstance(number, int | np.integer | None):
        raise QueryError(f"{name} takes a whole number, not a {type(number).__name__}.")


@dataclass(frozen=True)
class PagingStrategy:
    """
    Which requests answer a query.

    Parameters
    ----------
    query
        The query.
    limit
        Most rows of the result [rows]; ``None``: all.
    page_size
        Rows per page [rows]; ``None``: what suits the query.
    parallel
        Chains at a time.

    Raises
    ------
    QueryError
        The type cannot be listed, or the numbers make no sense.
    """

    query: Query
    limit: int | None = None
    page_size: int | None = None
    parallel: int | None = None

    def __post_init__(self) -> None:
        self.query.resource.require("list")
        check_limit(self.limit)
        check_page_size(self.page_size, largest=MAX_PAGE_SIZE)
        check_whole("parallel", self.parallel)
        if self.parallel is not None and self.parallel < 1:
            raise QueryError(f"parallel={self.parallel} is not positive.", hint="Leave it out for one chain of pages.")
        if self.is_parallel and self.limit is not None and self.limit > MAX_OFFSET:
            raise QueryError(
                f"limit={self.limit:,} cannot be fetched in parallel: the API takes no offset past {MAX_OFFSET:,}.",
                hint="Leave parallel out, or leave limit and sort out: all records are fetched by ranges of ids.",
            )

    @property
    def is_parallel(self) -> bool:
        """Whether several chains of pages are read at a time."""
        return self.parallel is not None and self.parallel > 1

    def pages(self, paginator: Paginator[T]) -> Iterator[FetchedPage[T]]:
        """Ask for every page of the answer, in the order of the rows as far as the query gives one."""
        if self.query.matches_nothing or self.limit == 0:
            return iter(())
        if not self.is_parallel or self.query.is_cut:
            return self.one_by_one(paginator, self.query)
        if self.limit is not None:
            return self._by_offset(paginator, self.limit)
        return (
            self.one_by_one(paginator, self.query)
            if self.query.sort or self.query.filters_ids
            else self._by_id(paginator)
        )

    def one_by_one(self, paginator: Paginator[T], query: Query) -> Iterator[FetchedPage[T]]:
        """
        Follow the cursors; at least ``limit`` records of each part of a query cut to fit URLs.

        Raises
        ------
        DocumentError
            Fewer came than the API counts, in an order in which records move.
        """
        for part in query.in_stable_order().split():
            received = ReceivedRecords(paginator.name)
            counts = []
            for page in paginator.pages(
                part.resource.path, [*part.parameters(), ("page[size]", str(self._size)), COUNT], received
            ):
                yield page
                counts += [] if page.count is None or page.count_truncated else [page.count]
                if self.limit is not None and len(received) >= self.limit:
                    break
            else:
                self._compare(paginator, part, received, min(counts, default=0))

    def _compare(self, paginator: Paginator[T], part: Query, received: ReceivedRecords, count: int) -> None:
        """Report records that the API counted and did not send."""
        if len(received) >= count:
            return
        message = f"{len(received):,} {paginator.name} came, of which the API counted {count:,}"
        if self.limit is None and not part.is_stable:
            raise DocumentError(
                f"{message}: records that changed meanwhile have moved to pages that were already read.",
                hint="Leave sort out and sort what came, or ask for the first rows with limit.",
            )
        paginator.add_warning(f"{message}. The others changed or were created meanwhile; refresh=True asks again.")

    @property
    def _size(self) -> int:
        size = self.page_size or self.query.page_size
        return min(size, self.limit) if self.limit is not None else size

    def _by_id(self, paginator: Paginator[T]) -> Iterator[FetchedPage[T]]:
        """Read ranges of ids; the outer ranges are open, so no id is left out."""
        bounds = _id_ranges(_newest_id(paginator, self.query), self.parallel or 1)

        def pages(ends: tuple[int | None, int | None]) -> list[FetchedPage[T]]:
            return list(self.one_by_one(paginator, self.query.narrowed(*ends)))

        yield from chain.from_iterable(side_by_side(pages, bounds, threads=len(bounds), stop=paginator.stop))

    def _by_offset(self, paginator: Paginator[T], limit: int) -> Iterator[FetchedPage[T]]:
        """Ask for the first page, which counts the records, then for the others at the same time."""
        query = self.query.in_stable_order()

        def part(offset: int, size: int) -> list[FetchedPage[T]]:
            paging = [("page[limit]", str(size)), ("page[offset]", str(offset)), COUNT]
            splits = BAD_GATEWAYS if size > 1 else ()
            try:
                return [paginator.page(query.resource.path, [*query.parameters(), *paging], no_retry=splits)]
            except ServerError as error:
                if error.status not in splits:
                    raise
            half = size // 2
            return [*part(offset, half), *part(offset + half, size - half)]

        def page(offset: int) -> list[FetchedPage[T]]:
            return part(offset, min(self._size, limit - offset))

        received = ReceivedRecords(paginator.name)

        def noted(pages: Iterable[list[FetchedPage[T]]]) -> Iterator[FetchedPage[T]]:
            for page in chain.from_iterable(pages):
                received.add(page)
                yield page

        first = page(0)
        yield from noted([first])
        count = first[0].count
        expected = limit if count is None or first[0].count_truncated else min(limit, count)
        offsets = range(self._size, expected, self._size)
        yield from noted(side_by_side(page, offsets, threads=self.parallel or 1, stop=paginator.stop))
        # Records created meanwhile have shifted others onto the next page: those came twice, and others not yet.
        offset = max(self._size, expected)
        while 0 < len(received) < expected and offset < MAX_OFFSET and received.fruitless == 0:
            yield from noted([part(offset, self._size)])
            offset += self._size


def labeled_query(
    client: Client, resource: str, custom: Custom, *, refresh: bool, **parts: Any
) -> tuple[list[CustomField], Query]:
    """Build a query from its parts (see `build`), and return the custom fields that are to come under their labels."""
    if custom != "labels":
        return [], build(client.catalog, resource, custom=custom, **parts)
    fields = custom_fields(client, client.catalog.resource(resource), refresh=refresh)
    return fields, build(client.catalog, resource, custom=[field.name for field in fields], **parts)


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


def _newest_id(paginator: Paginator[Any], query: Query) -> int:
    """Guess the largest id from the newest record; a wrong guess only makes the ranges uneven."""
    kind = query.resource
    if kind.id_type != "integer":
        raise QueryError(f"{kind.table} have no numeric ids.", hint="Leave parallel out.")
    newest = query.newest()
    _, read = reader_of(paginator.client, newest)
    single = Paginator(paginator.client, kind.table, read, refresh=paginator.refresh, progress=False)
    page = single.page(kind.path, [*newest.parameters(), ("page[size]", "1"), ("count", "false")])
    ids = page.content.column("id").to_pylist()
    return int(ids[0]) if ids else 1


def _id_ranges(newest: int, ranges: int) -> list[tuple[int | None, int | None]]:
    cuts = sorted({newest * n // ranges for n in range(1, ranges)})
    lows: list[int | None] = [None, *(cut + 1 for cut in cuts)]
    return list(zip(lows, [*cuts, None], strict=True))
