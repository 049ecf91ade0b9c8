"""
Fetch functions: all pages of a query as one frame.

Every frame is a plain, Arrow-backed `pandas.DataFrame`. ``frame.attrs["outreach_frames"]`` tells the resource and
``as_of``, the time of the extraction, which the statistics use.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import pandas as pd
import pyarrow as pa

from outreach_frames._fetch import generic
from outreach_frames._fetch.custom_fields import Custom, CustomField, labeled, labeled_frame, resolve_clashes
from outreach_frames._fetch.pagination import Paginator, reader_of
from outreach_frames._fetch.plan import (
    FetchOptions,
    Fields,
    PagingStrategy,
    arrangement_of,
    large_pages,
    paginator_of,
    table_in_order,
)
from outreach_frames._fetch.signatures import batches_function, fetch_function
from outreach_frames._frame_kinds import Dtypes, FrameKind, Library
from outreach_frames._jsonapi import concat, to_frame
from outreach_frames._query import Include, build
from outreach_frames._request_documents import RecordId, id_of, record_path
from outreach_frames._warnings import warn
from outreach_frames.client import Client
from outreach_frames.errors import DocumentError, OutreachDataWarning, QueryError, ServerError


@fetch_function
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
    custom: Custom = False,
    data_connections: bool = False,
    parallel: int | None = None,
    refresh: bool = False,
    progress: bool | None = None,
    params: Mapping[str, Any] | None = None,
    strict: bool = False,
    dtypes: Dtypes | None = None,
    as_: Library = "pandas",
) -> pd.DataFrame:
    """
    Fetch all records of a resource type that fit a query.

    Parameters
    ----------
    client
        Connection to an organization, or to any JSON:API server; see `connect`, `sandbox` and `connect_jsonapi`.
    resource
        Resource type, singular or plural, snake_case or the API's spelling; ``"custom_objects/<internal name>"`` for a
        custom object; the path of a collection on another server.
    filter
        Name → value; all must hold. Names are filterable attributes, ``id``, to-one relationships (by id, or
        ``"account.name"`` where the API allows it). Values: a scalar, a list (any of, as long as you like), `between`,
        ``None`` (is null), `NOT_NULL`.
    sort
        Attribute or attributes, ``-`` before one for descending. With ``limit`` the API chooses the first rows of the
        order. Without it, records are read in an order that no change of a record disturbs, as far as the API has
        one, and the rows are sorted here: text by its characters, missing values last, equal ones by ``id``.
    include
        To-one relationships whose resources are joined on: a dotted path, a list of paths (all default columns of
        every resource on the way), or a mapping of path to columns.
    fields
        Attributes and relationships that become columns, in this order; ``None``: all attributes but custom fields
        and message bodies, and the to-one relationships; ``"*"``: whatever the API sends.
    limit
        Stop after this many rows [rows]; no further page is requested. A record that comes twice counts once.
    page_size
        Rows per page [rows], at most 1,000; by default 1,000, or 100 with message bodies.
    custom
        Fetch the numbered custom fields too, as text under the API's names. ``"labels"``: those that the organization
        has labeled, named after their labels (``"ARR (EUR)"`` is ``arr_eur``; ``…_custom12`` where that is another
        column's name) and typed as declared: numbers, dates, instants, truth values, pick lists as categories, lists
        of choices. A value that is not of its field's type is missing, and a warning says where.
    data_connections
        Add the column ``meta`` [JSON text], whose ``dataConnections`` lists links to records of a CRM.
    parallel
        Read this many chains of pages side by side; ``None`` or 1: one page after the other. All records are cut into
        ranges of ids; the first ``limit`` (up to 10,000) are read by offsets, where a record that is created or removed
        meanwhile can shift another out. A query for all with ids, or in an order of the API's, is read page after
        page anyway.
    refresh
        Ask the API even for what the cache has.
    progress
        Show a progress bar; ``None``: from the third page on.
    params
        Further URL parameters, as another server wants them; of a list each value is one. Not for Outreach.
    strict
        Refuse what is otherwise left out, or kept as written, with a warning.
    dtypes
        What backs the columns of a pandas frame. ``"arrow"``: Arrow, with every type as the API has it. ``"numpy"``:
        what most pandas code expects: instants ``datetime64[us, UTC]``, days ``datetime64[us]``, numbers and truth
        values ``Int64``, ``Float64`` and ``boolean``, text ``str``, lists as objects. Default: what the connection
        says, else ``"arrow"``.
    as_
        Whose frame is returned: ``"pandas"``, ``"polars"`` or ``"pyarrow"`` (a table). The record of the fetch is in
        ``attrs`` of pandas and, as JSON, in the schema's metadata of PyArrow; polars has no place for it, so give
        ``as_of=`` to the statistics that take it.

    Returns
    -------
    frame : DataFrame, shape (n_records, n_columns)
        ``id`` first; attributes in snake_case; ``<relationship>_id``; included columns as
        ``<relationship>__<column>``. Timestamps are UTC instants [microseconds]; missing is ``<NA>``, also for the
        columns of an included record that the API did not send. Rows are sorted by ``id`` unless ``sort`` is given;
        a record that moved meanwhile appears once, as it was last. An empty result keeps every column and
        dtype. Custom objects and other servers' resources have the columns of `read_jsonapi`.

    Raises
    ------
    UnknownNameError, QueryError
        The query cannot be answered, or polars is not installed; nothing was sent.
    APIError, TransportError, DocumentError
        A request failed. Pages already fetched stay cached: the same call resumes.

    Warns
    -----
    UnknownAttributeWarning
        The API sent attributes that the catalog does not know and that are left out; it names them.
    OutreachDataWarning
        Fewer records came than the API counted; a relationship leads to what it cannot lead to, and is missing there;
        or a date has a time of day that is midnight in no time zone, and is kept as written. It counts the records and
        names the first.

    Notes
    -----
    Source: ``GET /<resource>``, Outreach API v2.

    Examples
    --------
    >>> mailings = of.fetch(org, "mailings", filter={"replied_at": of.NOT_NULL}, include={"sequence": ["name"]})
    >>> len(mailings), "sequence__name" in mailings
    (6, True)
    >>> mailings = of.fetch(org, "mailings", dtypes="numpy")
    >>> len(mailings[mailings["delivered_at"] > "2026-03-01"])
    18
    """
    options = FetchOptions(
        filter=filter,
        sort=sort,
        include=include,
        fields=fields,
        limit=limit,
        page_size=page_size,
        custom=custom,
        data_connections=data_connections,
        parallel=parallel,
        refresh=refresh,
        progress=progress,
        params=params,
        strict=strict,
        dtypes=dtypes,
        as_=as_,
    )
    kind = options.frame_kind(client)
    if params:
        generic.refuse_params(client, params)
    if not client.is_cataloged(resource):
        return cast("pd.DataFrame", kind.of(generic.fetch_frame(client, resource, options)))
    labels, query = options.query(client, resource)
    way = arrangement_of(query, limit)
    plan = PagingStrategy(way.query, limit=limit, page_size=page_size, parallel=parallel, gather=large_pages)
    layout, read = reader_of(client, way.query, strict=strict)
    with paginator_of(client, query.resource.table, read, options) as paginator:
        batches = (page.content for page in plan.pages(paginator))
        table = table_in_order(batches, layout.schema, way.order, limit)
    frame = _frame_with_labels(table.drop_columns([*way.sort_only]), labels)
    frame.attrs["outreach_frames"] |= paginator.provenance()
    return cast("pd.DataFrame", kind.of(frame))


@batches_function
def fetch_batches(
    client: Client, resource: str, /, *, as_: Library = "pyarrow", **options: Any
) -> Iterator[pa.RecordBatch]:
    """
    Fetch page by page, in bounded memory.

    Parameters
    ----------
    client, resource, **options
        As in `fetch`; ``fields="*"`` is not possible, since the schema is fixed before the first page, nor are
        resources that the catalog does not have, nor ``parallel``.
    as_
        What a page is: a record batch of PyArrow, or a frame of ``"pandas"`` or ``"polars"``.

    Yields
    ------
    batch : RecordBatch or DataFrame
        One page, all of one schema, in the order they are read (by ``created_at`` where possible). A record
        that moves meanwhile comes twice, and so does one that has several of the values of a list too long for
        one URL; `fetch` keeps its last state only. With ``limit`` each record comes once.

    Raises
    ------
    UnknownNameError, QueryError, APIError, TransportError, DocumentError
        As in `fetch`. After the last batch also a `DocumentError` where, in the requested order, fewer records came
        than the API counted: those that changed have moved to pages that were already read.

    Examples
    --------
    >>> sum(batch.num_rows for batch in of.fetch_batches(org, "mailings", fields=["state"]))
    160
    """
    chosen = FetchOptions(as_=as_, **options)
    kind = chosen.frame_kind(client)
    if chosen.params:
        raise QueryError("fetch_batches takes no params.", hint="Use fetch.")
    if chosen.fields == "*":
        raise QueryError('fetch_batches cannot take fields="*".', hint="Name the fields, or use fetch.")
    if chosen.parallel not in {None, 1}:
        raise QueryError("fetch_batches reads one page after the other.", hint="Leave parallel out, or use fetch.")
    labels, query = chosen.query(client, resource)
    plan = PagingStrategy(query, limit=chosen.limit, page_size=chosen.page_size)
    layout, read = reader_of(client, query, strict=chosen.strict)
    paginator = paginator_of(client, query.resource.table, read, chosen)
    return _batches(paginator, plan, resolve_clashes(labels, layout.schema.names), kind)


def fetch_one(
    client: Client,
    resource: str,
    record: RecordId,
    /,
    *,
    include: Include = None,
    fields: Fields = None,
    custom: Custom = False,
    data_connections: bool = False,
    refresh: bool = False,
    params: Mapping[str, Any] | None = None,
    strict: bool = False,
) -> pd.Series:
    """
    Fetch one record.

    Parameters
    ----------
    client, resource, include, fields, custom, data_connections, refresh, params, strict
        As in `fetch`.
    record
        Its id, or its row of a frame.

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

    Examples
    --------
    >>> of.fetch_one(org, "prospects", 17).name
    17
    >>> of.fetch_one(org, "prospects", 9999)
    Traceback (most recent call last):
        ...
    outreach_frames.errors.NotFoundError: GET /prospects/9999: there is no such record or endpoint (Resource Not Found).
    Hint: ...
    """
    options = FetchOptions(
        include=include,
        fields=fields,
        custom=custom,
        data_connections=data_connections,
        refresh=refresh,
        params=params,
        strict=strict,
    )
    if params:
        generic.refuse_params(client, params)
    if not client.is_cataloged(resource):
        return generic.fetch_record(client, resource, id_of(record), options)
    labels, query = options.query(client, resource)
    query.resource.require("get")
    layout, read = reader_of(client, query, strict=strict)
    with Paginator(client, query.resource.table, read, refresh=refresh, progress=False) as paginator:
        page = paginator.page(record_path(query.resource, record), query.parameters())
    frame = _frame_with_labels(concat([page.content], layout.schema), labels)
    if len(frame) != 1:
        kind = query.resource.name
        raise DocumentError(
            f"Asked for one {kind}, the answer holds {len(frame)}.", resource_type=kind, id=id_of(record)
        )
    row = frame.iloc[0]
    return row.rename(row["id"])


def count(
    client: Client,
    resource: str,
    /,
    *,
    filter: Mapping[str, Any] | None = None,  # noqa: A002  the API's own word
) -> int:
    """
    Count the records that fit a filter, without fetching them where that can be avoided.

    Parameters
    ----------
    client, resource, filter
        As in `fetch`.

    Returns
    -------
    n : int
        Records [count].

    Raises
    ------
    ServerError
        The API declined to count under load; unknown is not zero.
    UnknownNameError, QueryError, APIError, TransportError, DocumentError
        As in `fetch`.

    Warns
    -----
    OutreachDataWarning
        The API stopped counting (at 2,000,000): there are more.

    Notes
    -----
    Source: ``GET /<resource>?count=true``, Outreach API v2. A count is never read from the cache.

    Examples
    --------
    >>> of.count(org, "prospects")
    50
    >>> of.count(org, "prospects", filter={"account": [1, 2, 3]})
    17
    """
    if not client.is_cataloged(resource):
        raise QueryError("Only the resources of the catalog can be counted.", hint="Use len(fetch(…)).")
    query = build(client.catalog, resource, filter=filter, fields=[])
    query.resource.require("list")
    if query.matches_nothing:
        return 0
    if query.is_cut and not query.has_disjoint_parts:
        return len(fetch(client, resource, filter=filter, fields=[], refresh=True))
    _, read = reader_of(client, query)
    paginator = Paginator(client, query.resource.table, read, refresh=True, progress=False)
    total = 0
    for part in query.split():
        page = paginator.page(query.resource.path, [*part.parameters(), ("page[size]", "1"), ("count", "true")])
        if page.count is None:
            raise ServerError(f"The API did not count {query.resource.table}.", hint="Try again in a minute.")
        if page.count_truncated:
            warn(
                f"There are more than {page.count:,} {query.resource.table}; the API counts no further.",
                OutreachDataWarning,
            )
        total += page.count
    return total


def _frame_with_labels(table: pa.Table, labels: list[CustomField]) -> pd.DataFrame:
    """Return rows as a frame, their custom fields under labels where there are any."""
    if labels:
        return labeled_frame(table, labels)
    frame = to_frame(table, table.schema)
    frame.attrs["outreach_frames"] = {}
    return frame


def _batches(
    paginator: Paginator[pa.RecordBatch], plan: PagingStrategy, labels: list[CustomField], kind: FrameKind
) -> Iterator[Any]:
    first = _First(plan.limit)
    with paginator:
        for page in plan.pages(paginator):
            batch = first.of(page.content)
            if batch.num_rows or not page.rows:
                parts = labeled(pa.Table.from_batches([batch]), labels).to_batches() if labels else [batch]
                yield from map(kind.of_batch, parts)
            if first.is_full:
                return


class _First:
    """The first records of all pages, each of them once; all rows where there is no limit."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._ids: set[Any] = set()

    @property
    def is_full(self) -> bool:
        return self._limit is not None and len(self._ids) >= self._limit

    def of(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if self._limit is None:
            return batch
        new = {id_: row for row, id_ in reversed([*enumerate(batch.column("id").to_pylist())]) if id_ not in self._ids}
        rows = sorted(new.values())[: self._limit - len(self._ids)]
        taken = batch.take(pa.array(rows, pa.int64()))
        self._ids.update(taken.column("id").to_pylist())
        return taken
