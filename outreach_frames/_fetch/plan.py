"""Choose the requests for a query and the order of its rows."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from outreach_frames._fetch.custom_fields import Custom, CustomField, custom_fields
from outreach_frames._fetch.pagination import COUNT, FetchedPage, Paginator, Reader, ReceivedRecords, T
from outreach_frames._fetch.parallel import MAX_OFFSET, fetch_by_id, fetch_by_offset
from outreach_frames._frame_kinds import Dtypes, FrameKind, Library
from outreach_frames._jsonapi import concat
from outreach_frames._query import MAX_PAGE_SIZE, Include, Query, build
from outreach_frames.client import Client
from outreach_frames.errors import DocumentError, QueryError

Fields: TypeAlias = Sequence[str] | Literal["*"] | None


@dataclass(frozen=True, kw_only=True)
class FetchOptions:
    """The options of one fetch, with the values of those that were left out; see `outreach_frames.fetch`."""

    filter: Mapping[str, Any] | None = None
    sort: str | Sequence[str] | None = None
    include: Include = None
    fields: Fields = None
    limit: int | None = None
    page_size: int | None = None
    custom: Custom = False
    data_connections: bool = False
    parallel: int | None = None
    refresh: bool = False
    progress: bool | None = None
    params: Mapping[str, Any] | None = None
    strict: bool = False
    dtypes: Dtypes | None = None
    as_: Library = "pandas"

    def frame_kind(self, client: Client) -> FrameKind:
        """Return the kind of frame that is asked for; `QueryError` where there is none such."""
        return FrameKind.chosen(self.as_, self.dtypes, client.dtypes)

    def query(self, client: Client, resource: str, *, tables: bool = False) -> tuple[list[CustomField], Query]:
        """Check the query; return the custom fields that are to come under their labels, and the query itself."""
        custom: Any = self.custom
        labels: list[CustomField] = []
        if self.custom == "labels":
            labels = custom_fields(client, client.catalog.resource(resource), refresh=self.refresh)
            custom = [field.name for field in labels]
        query = build(
            client.catalog,
            resource,
            filter=self.filter,
            sort=self.sort,
            include=self.include,
            fields=self.fields,
            custom=custom,
            data_connections=self.data_connections,
            tables=tables,
        )
        return labels, query


def paginator_of(client: Client, name: str, read: Reader[T], options: FetchOptions) -> Paginator[T]:
    """Return the paginator of a fetch."""
    return Paginator(client, name, read, refresh=options.refresh, progress=options.progress, limit=options.limit)


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
LARGE_BYTES = 32 << 20
"""Tables from this size on give memory back to the system as they are put together [bytes]."""


def table_in_order(batches: Iterable[pa.RecordBatch], schema: pa.Schema, order: Order, limit: int | None) -> pa.Table:
    """
    Put pages together and their rows in order, see `arranged`.

    This is done column by column, so that hardly more than one column is in memory twice.
    """
    large = _larger(batches)
    is_open = any(batch.num_columns > len(schema) for batch in large)
    table = concat(large, schema) if is_open else pa.Table.from_batches(large, schema)
    rows, names = _rows_in_order(table, order, limit), table.column_names
    columns = [table.select([name]) for name in reversed(names)]
    is_large = table.nbytes > LARGE_BYTES
    del large, table
    parts = []
    while columns:
        parts.append(_taken(columns.pop(), rows).combine_chunks().column(0))
        if is_large:
            pa.default_memory_pool().release_unused()
    return pa.table(parts, names)


def large_pages(pages: Iterable[FetchedPage[pa.RecordBatch]]) -> list[FetchedPage[pa.RecordBatch]]:
    """Read pages and put them together to larger ones, which leave fewer gaps in memory."""
    return [FetchedPage(content=batch, keys=batch["id"]) for batch in _larger(page.content for page in pages)]


def _larger(batches: Iterable[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """Put the batches of several pages together, where they have the same columns."""
    large: list[tuple[int, pa.RecordBatch]] = []
    for page in batches:
        large.append((0 if page.num_rows <= MAX_PAGE_SIZE else LEVELS, page))
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
    gather
        Reads the pages of a chain that is read beside others, and holds them until it is their turn.

    Raises
    ------
    QueryError
        The type cannot be listed, or the numbers make no sense.
    """

    query: Query
    limit: int | None = None
    page_size: int | None = None
    parallel: int | None = None
    gather: Callable[[Iterable[FetchedPage[Any]]], list[FetchedPage[Any]]] = list

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
            return fetch_by_offset(paginator, self.query, self.parallel or 1, limit=self.limit, page_size=self._size)
        if self.query.sort or self.query.filters_ids:
            return self.one_by_one(paginator, self.query)

        def read(query: Query) -> list[FetchedPage[T]]:
            return self.gather(self.one_by_one(paginator, query))

        return fetch_by_id(paginator, self.query, self.parallel or 1, read)

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
