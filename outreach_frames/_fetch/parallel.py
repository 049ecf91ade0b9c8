"""
Fetch several chains of pages at a time.

Cursors are serial: each page names the next. Parallel requests need ranges that are fixed beforehand: all records by
ranges of their ids, and the first records of an order by offsets, as far as the API counts those.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import chain
from threading import Thread
from typing import Any, TypeVar

from outreach_frames._fetch.pagination import (
    BAD_GATEWAYS,
    COUNT,
    FetchedPage,
    Paginator,
    ReceivedRecords,
    T,
    reader_of,
)
from outreach_frames._query import Query
from outreach_frames.errors import QueryError, ServerError

MAX_OFFSET = 10_000
"""The furthest offset that the API takes [rows]."""

UNDER_WAY = 5.0
"""How long an error is held back for work that is under way; less than a wait for the request budget [s]."""

Item = TypeVar("Item")


def side_by_side(
    work: Callable[[Item], T], items: Iterable[Item], *, threads: int, stop: Callable[[], object]
) -> Iterator[T]:
    """
    Do the same work for several items at a time.

    An executor waits for its threads when the work is interrupted and again when the interpreter ends, as long as the
    slowest server takes to answer. These threads are daemons: after Ctrl-C the interpreter does not wait for them.

    Parameters
    ----------
    work
        Done for each item, in any thread.
    items
        What for.
    threads
        How many at a time.
    stop
        Called when no further result is needed; makes work that is under way end soon.

    Yields
    ------
    result : T
        Of each item, in the order of the items.

    Raises
    ------
    Exception
        Whatever the work for an item raised, once the other threads have ended, or are taking too long to.
    """
    waiting: deque[tuple[Item, Future[T]]] = deque((item, Future()) for item in items)
    results = [result for _, result in waiting]
    workers = [Thread(target=_serve, args=(work, waiting), daemon=True) for _ in range(min(threads, len(results)))]
    for thread in workers:
        thread.start()
    try:
        for result in results:
            yield result.result()
    except BaseException as error:
        waiting.clear()
        stop()
        if isinstance(error, Exception):
            for thread in workers:
                thread.join(UNDER_WAY)
        raise


def _serve(work: Callable[[Item], T], waiting: deque[tuple[Item, Future[T]]]) -> None:
    while True:
        try:
            item, result = waiting.popleft()
        except IndexError:
            return
        try:
            result.set_result(work(item))
        except BaseException as error:  # noqa: BLE001  raised where the result is used
            result.set_exception(error)


def fetch_by_id(
    paginator: Paginator[T], query: Query, chains: int, read: Callable[[Query], list[FetchedPage[T]]]
) -> Iterator[FetchedPage[T]]:
    """
    Read several ranges of ids at the same time; the first and last are open-ended, so no id is missed.

    Parameters
    ----------
    read
        Reads one chain: all pages of a query.
    """

    def pages(ends: tuple[int | None, int | None]) -> list[FetchedPage[T]]:
        return read(query.narrowed(*ends))

    bounds = _id_ranges(_newest_id(paginator, query), chains)
    yield from chain.from_iterable(side_by_side(pages, bounds, threads=len(bounds), stop=paginator.stop))


def fetch_by_offset(
    paginator: Paginator[T], query: Query, threads: int, *, limit: int, page_size: int
) -> Iterator[FetchedPage[T]]:
    """
    Ask for the first page, which counts the records, then for the others at the same time.

    Parameters
    ----------
    limit
        Most records to read, at most ``MAX_OFFSET`` [rows].
    page_size
        Rows per page [rows].
    """
    query = query.in_stable_order()

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
        return part(offset, min(page_size, limit - offset))

    received = ReceivedRecords(paginator.name)

    def noted(pages: Iterable[list[FetchedPage[T]]]) -> Iterator[FetchedPage[T]]:
        for page in chain.from_iterable(pages):
            received.add(page)
            yield page

    first = page(0)
    yield from noted([first])
    count = first[0].count
    expected = limit if count is None or first[0].count_truncated else min(limit, count)
    offsets = range(page_size, expected, page_size)
    yield from noted(side_by_side(page, offsets, threads=threads, stop=paginator.stop))
    # Records created meanwhile have shifted others onto the next page: those came twice, and others not yet.
    offset = max(page_size, expected)
    while 0 < len(received) < expected and offset < MAX_OFFSET and received.fruitless == 0:
        yield from noted([part(offset, page_size)])
        offset += page_size
    if len(received) < expected:
        paginator.add_warning(
            f"{len(received):,} {paginator.name} came, of which the API counted {expected:,}. The others were removed "
            "or moved meanwhile; refresh=True asks again."
        )


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
