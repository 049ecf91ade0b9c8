"""
Fetch functions: a query's pages, walked over the cached session and put together as one frame.

Every frame is a plain, Arrow-backed `pandas.DataFrame`. ``frame.attrs["outreach_frames"]`` tells the resource and
``as_of``, the time of the extraction, which the statistics use.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypedDict

import pandas as pd
import pyarrow as pa

from outreach_frames.client import Client
from outreach_frames.errors import DocumentError, QueryError, ServerError
from outreach_frames.jsonapi import concat, to_frame
from outreach_frames.query import Query, build
from outreach_frames.walk import Walk, layout_of, read_page

Include = str | Sequence[str] | Mapping[str, Sequence[str] | None] | None
Fields = Sequence[str] | Literal["*"] | None


class Options(TypedDict, total=False):
    """Options that every fetch function takes; see `fetch`."""

    filter: Mapping[str, Any] | None
    sort: str | Sequence[str] | None
    include: Include
    fields: Fields
    limit: int | None
    page_size: int | None
    custom: bool
    parallel: int | None
    refresh: bool
    progress: bool | None


def fetch(
    client: Client,
    resource: str,
    /,
    *,
    filter: Mapping[str, Any] | None = None,  # noqa: A002  the API's own word
    sort: str | Sequence[str] | None = None,
    include: Include = None,
    fields: Fields = None,
    limit: int | None = None,
    page_size: int | None = None,
    custom: bool = False,
    parallel: int | None = None,
    refresh: bool = False,
    progress: bool | None = None,
) -> pd.DataFrame:
    """
    Fetch all records of a resource type that fit a query.

    Parameters
    ----------
    client
        Connection to an organisation; see `connect` and `sandbox`.
    resource
        Resource type, singular or plural, snake_case or the API's spelling.
    filter
        Name → value; all must hold. Names are filterable attributes, ``id``, to-one relationships (by id, or
        ``"account.name"`` where the API allows it). Values: a scalar, a list (any of), `between`, ``None`` (is null),
        `NOT_NULL`.
    sort
        Attribute or attributes, ``-`` before one for descending.
    include
        To-one relationships whose resources are joined on: a dotted path, a list of paths (all default columns of
        every resource on the way), or a mapping of path to columns.
    fields
        Attributes and relationships that become columns, in this order; ``None``: all attributes but custom fields
        and message bodies, and the to-one relationships; ``"*"``: whatever the API sends.
    limit
        Stop after this many rows [rows]; no further page is requested.
    page_size
        Rows asked for at a time [rows], at most 1,000; by default 1,000, or 100 with message bodies.
    custom
        Fetch the numbered custom fields too.
    parallel
        Walk this many ranges of ids side by side; ``None`` or 1: one page after the other, and so is a query with a
        ``sort`` or a filter on ids. Not with ``limit``.
    refresh
        Ask the API even for what the cache has.
    progress
        Show a progress bar; ``None``: from the third page on.

    Returns
    -------
    frame : DataFrame, shape (n_records, n_columns)
        ``id`` first; attributes in snake_case; ``<relationship>_id``; included columns as
        ``<relationship>__<column>``. Timestamps are UTC instants [microseconds]; missing is ``<NA>``. Rows are sorted
        by ``id`` unless ``sort`` is given; a record that moved during the walk appears once, as it was last. An empty
        result keeps every column and dtype.

    Raises
    ------
    UnknownNameError, QueryError
        The query cannot be answered; nothing was sent.
    APIError, TransportError, DocumentError
        The walk failed. Pages already fetched stay cached: the same call resumes.

    Notes
    -----
    Source: ``GET /<resource>``, Outreach API v2.
    """
    if parallel is not None and parallel > 1 and limit is not None:
        raise QueryError("parallel and limit do not go together.", hint="Leave one of them out.")
    query = build(client.catalogue, resource, filter=filter, sort=sort, include=include, fields=fields, custom=custom)
    walk = Walk(client, query, limit=limit, page_size=page_size, refresh=refresh, progress=progress)
    order = _order(query)
    with walk:
        batches = walk.side_by_side(parallel) if parallel and parallel > 1 and not sort else list(walk.batches())
    frame = to_frame(_arranged(concat(batches, walk.layout.schema), order, limit), walk.layout.schema)
    frame.attrs["outreach_frames"] = walk.provenance()
    return frame


def fetch_batches(
    client: Client,
    resource: str,
    /,
    *,
    filter: Mapping[str, Any] | None = None,  # noqa: A002  the API's own word
    sort: str | Sequence[str] | None = None,
    include: Include = None,
    fields: Sequence[str] | None = None,
    limit: int | None = None,
    page_size: int | None = None,
    custom: bool = False,
    refresh: bool = False,
    progress: bool | None = None,
) -> Iterator[pa.RecordBatch]:
    """
    Fetch page by page, in bounded memory.

    Parameters
    ----------
    client, resource, filter, sort, include, fields, limit, page_size, custom, refresh, progress
        As in `fetch`; ``fields="*"`` is not possible, since the schema is fixed before the first page.

    Yields
    ------
    batch : RecordBatch
        One page, all of one schema, in the order of the walk (``created_at`` where it can be sorted by). A record
        that moves during the walk comes twice; `fetch` keeps its last state only.

    Raises
    ------
    UnknownNameError, QueryError, APIError, TransportError, DocumentError
        As in `fetch`.
    """
    if fields == "*":
        raise QueryError('fetch_batches cannot take fields="*".', hint="Name the fields, or use fetch.")
    query = build(client.catalogue, resource, filter=filter, sort=sort, include=include, fields=fields, custom=custom)
    walk = Walk(client, query, limit=limit, page_size=page_size, refresh=refresh, progress=progress)
    return _within(walk)


def fetch_one(
    client: Client,
    resource: str,
    id: int | str,  # noqa: A002  JSON:API's own word
    /,
    *,
    include: Include = None,
    fields: Fields = None,
    custom: bool = False,
    refresh: bool = False,
) -> pd.Series:
    """
    Fetch one record.

    Parameters
    ----------
    client, resource, include, fields, custom, refresh
        As in `fetch`.
    id
        The record's id.

    Returns
    -------
    record : Series
        One value per column of `fetch`, named by the id.

    Raises
    ------
    NotFoundError
        There is no such record.
    UnknownNameError, QueryError, APIError, TransportError, DocumentError
        As in `fetch`.

    Notes
    -----
    Source: ``GET /<resource>/{id}``, Outreach API v2.
    """
    query = build(client.catalogue, resource, include=include, fields=fields, custom=custom)
    query.resource.require("get")
    layout = layout_of(client, query)
    _, page = read_page(client, f"{query.resource.path}/{id}", query.parameters(), layout, refresh=refresh)
    frame = to_frame([page.batch], layout.schema)
    if len(frame) != 1:
        kind = query.resource.name
        raise DocumentError(f"Asked for one {kind}, the answer holds {len(frame)}.", resource_type=kind, id=id)
    record = frame.iloc[0]
    return record.rename(record["id"])


def count(
    client: Client,
    resource: str,
    /,
    *,
    filter: Mapping[str, Any] | None = None,  # noqa: A002  the API's own word
) -> int:
    """
    Count the records that fit a filter, without fetching them.

    Parameters
    ----------
    client, resource, filter
        As in `fetch`.

    Returns
    -------
    n : int
        Records [count]. The API stops counting at 2,000,000.

    Raises
    ------
    ServerError
        The API declined to count under load; unknown is not zero.
    UnknownNameError, QueryError, APIError, TransportError, DocumentError
        As in `fetch`.

    Notes
    -----
    Source: ``GET /<resource>?count=true``, Outreach API v2. A count is never read from the cache.
    """
    query = build(client.catalogue, resource, filter=filter, fields=[])
    query.resource.require("list")
    if query.matches_nothing:
        return 0
    layout = layout_of(client, query)
    total = 0
    for part in query.split():
        params = [*part.parameters(), ("page[size]", "1"), ("count", "true")]
        _, page = read_page(client, query.resource.path, params, layout, refresh=True)
        if page.count is None or (page.count_truncated and not page.count):
            raise ServerError(f"The API did not count {query.resource.table}.", hint="Try again in a minute.")
        total += page.count
    return total


def _within(walk: Walk) -> Iterator[pa.RecordBatch]:
    remaining = walk.limit
    with walk:
        for batch in walk.batches():
            if remaining is None:
                yield batch
            elif remaining > 0:
                yield batch.slice(0, remaining)
                remaining -= batch.num_rows


def _order(query: Query) -> list[tuple[str, str]]:
    """
    Return how rows are put in order after the walk; empty where they come in the order asked for.

    Only the order of a query cut into parts is made here, and the order by id, which the API may not have.
    """
    if not query.sort:
        return [("id", "ascending")]
    if not query.is_cut:
        return []
    wanted = query.resource.attributes
    order = [(wanted[key.removeprefix("-")], "descending" if key[0] == "-" else "ascending") for key in query.sort]
    for attribute, _ in order:
        if query.columns is not None and attribute.name not in query.columns:
            raise QueryError(
                f"This query is sent in parts, whose rows cannot be sorted by {attribute.column} without that column.",
                hint=f"Add {attribute.column!r} to fields.",
            )
    return [(attribute.column, direction) for attribute, direction in order]


def _arranged(table: pa.Table, order: list[tuple[str, str]], limit: int | None) -> pa.Table:
    """Keep each record once, as it was last; cut to the limit; put in order."""
    moved = table.column("id").to_pandas().duplicated(keep="last")
    if moved.any():
        table = table.filter(pa.array(~moved))
    if order == [("id", "ascending")]:
        return table.slice(0, limit).sort_by("id")
    return (table.sort_by(order) if order else table).slice(0, limit)
