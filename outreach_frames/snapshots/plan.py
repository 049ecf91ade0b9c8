"""Say what a snapshot will cost before it is taken or refreshed: requests, bytes, minutes."""

import math
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pandas as pd

from outreach_frames._fetch import count
from outreach_frames._jsonapi.structs import NoErrors
from outreach_frames._query import between, build
from outreach_frames.client import Client
from outreach_frames.errors import DocumentError, OutreachDataWarning, ServerError
from outreach_frames.snapshots import parquet
from outreach_frames.snapshots._extract import ONE_REQUEST, check_repeatable, is_streamed, options_by_table
from outreach_frames.snapshots._id_ranges import COUNTED, SWEPT_ROWS, IdRanges, requests_to_find
from outreach_frames.snapshots._manifest import TableFacts, read_manifest
from outreach_frames.snapshots._refresh import OVERLAP, is_incremental
from outreach_frames.snapshots._writing import current_version

HOURLY = 10_000
"""Requests an hour where the API does not say [requests]."""

_ID_BYTES = 100
"""Size of a record without its attributes [bytes]."""
_COUNT_BYTES = 500
"""Size of a document that is asked for its count, with one such record and links [bytes]."""


class _Meta(msgspec.Struct):
    count: int | None = None
    count_truncated: bool = False


class _CountedPage(msgspec.Struct):
    data: list[msgspec.Raw]
    errors: NoErrors = None
    meta: _Meta = msgspec.field(default_factory=_Meta)


_page_decoder = msgspec.json.Decoder(_CountedPage)


class _Size(NamedTuple):
    """What one page of a table says."""

    records: int
    page_rows: int
    page_bytes: int
    hourly: int

    def bytes_of(self, records: int) -> int:
        """Return how large documents with some records are."""
        return round(records * self.page_bytes / max(min(self.page_rows, self.records), 1))


def plan_snapshot(
    client: Client,
    /,
    path: str | Path,
    *,
    resources: Sequence[str] | Mapping[str, Mapping[str, Any]] | None = None,
) -> pd.DataFrame:
    """
    Estimate what it costs to take a snapshot, and to refresh the one that is there.

    One page of each table is read, and its records are counted, by ranges where the API does not count to the end; for
    a refresh also what changed.

    Parameters
    ----------
    client
        Connection to an organization.
    path
        The snapshot's folder, which need not exist.
    resources
        As in `take_snapshot`; ``None``: the tables of the snapshot that is there, else what the statistics read.

    Returns
    -------
    plan : DataFrame, one row per table
        ``table``; ``records`` [records]; ``take_requests``, ``refresh_requests`` [requests]; ``take_bytes``,
        ``refresh_bytes`` [bytes of the documents]; ``take_minutes``, ``refresh_minutes`` [minutes of the hourly budget;
        a slow API takes longer]. What is about a refresh is missing for a table that the snapshot does not have.

    Raises
    ------
    SnapshotError
        A table of the snapshot was taken with options that a manifest cannot keep, and ``resources`` do not say how.
    QueryError
        There is no such resource or option; nothing was sent.
    ServerError
        The API declined to count.
    OutreachError
        As in `fetch`.

    Notes
    -----
    The request that asks for the organization is not counted. The requests that find deleted records are estimated
    from their number, as if they were scattered.

    Examples
    --------
    >>> plan = of.plan_snapshot(org, folder / "my-org", resources=["users", "mailings"])
    >>> plan[["table", "records", "take_requests"]].values.tolist()
    [['users', 4, 1], ['mailings', 160, 1]]
    """
    base = current_version(Path(path))
    before = read_manifest(base).tables if base is not None else {}
    if resources is None:
        check_repeatable(client, before)
    repeated = {name: facts.options or {} for name, facts in before.items()}
    tables = options_by_table(client, resources if resources is not None else repeated or None)
    rows = [_plan_of_table(client, table, options, before.get(table)) for table, options in tables.items()]
    return pd.DataFrame(rows).convert_dtypes(dtype_backend="pyarrow")


def _plan_of_table(client: Client, table: str, options: Mapping[str, Any], before: TableFacts | None) -> dict[str, Any]:
    size = _size_of(client, table, options)
    requests, volume = _take(client, table, options, size)
    row: dict[str, Any] = {
        "table": table,
        "records": size.records,
        "take_requests": requests,
        "take_bytes": volume,
        "take_minutes": 60 * requests / size.hourly,
    }
    if before is not None:
        kind = client.catalog.resource(table)
        if is_incremental(kind, before) and dict(options) == (before.options or {}):
            requests, volume = _refresh(client, table, before, size)
        row |= {
            "refresh_requests": requests,
            "refresh_bytes": volume,
            "refresh_minutes": 60 * requests / size.hourly,
        }
    else:
        row |= dict.fromkeys(("refresh_requests", "refresh_bytes", "refresh_minutes"))
    return row


def _size_of(client: Client, table: str, options: Mapping[str, Any]) -> _Size:
    """Read one page of a table, with the number of its records."""
    chosen = {name: options[name] for name in ("filter", "sort", "include", "fields", "custom") if name in options}
    custom = chosen.pop("custom", False)
    query = build(client.catalog, table, custom=bool(custom), **chosen)
    rows = int(options.get("page_size") or query.page_size)
    params = [*query.in_stable_order().parameters(), ("page[size]", str(rows)), ("count", "true")]
    response, page = client.read(query.resource.path, params, lambda answer: _counted_page(answer.body), refresh=True)
    records = page.meta.count
    if records and page.meta.count_truncated:
        is_divisible = is_streamed(query.resource, options)
        records = IdRanges(client, table, options).total() if is_divisible else records
    elif page.meta.count_truncated:
        records = None  # under load, 0 stands for an unknown number
    if records is None and len(page.data) >= rows:
        raise ServerError(f"The API did not count {query.resource.table}.", hint="Try again in a minute.")
    records = max(len(page.data), records or 0)
    limit = options.get("limit")
    return _Size(
        records if limit is None else min(records, limit), rows, len(response.body), response.budget.limit or HOURLY
    )


def _counted_page(body: bytes) -> _CountedPage:
    try:
        return _page_decoder.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise DocumentError("A page cannot be read.") from None


def _take(client: Client, table: str, options: Mapping[str, Any], size: _Size) -> tuple[int, int]:
    """Return requests and bytes of reading a table in full."""
    pages = max(math.ceil(size.records / size.page_rows), 1)
    if size.records < ONE_REQUEST or not is_streamed(client.catalog.resource(table), options):
        return pages, size.bytes_of(size.records)
    ranges = math.ceil(size.records / parquet.GROUP_ROWS)
    pages = ranges * math.ceil(size.records / ranges / size.page_rows)
    first = math.ceil(ONE_REQUEST / size.page_rows)
    counts = 1 + ranges - 1  # of all, and for each cut
    volume = size.bytes_of(size.records + ONE_REQUEST) + (1 + counts) * _COUNT_BYTES
    return first + 1 + pages + counts, volume  # one for the newest id


def _refresh(client: Client, table: str, before: TableFacts, size: _Size) -> tuple[int, int]:
    """Return requests and bytes of asking for changes and deletions."""
    since: datetime = min(facts.watermark for facts in before.files if facts.watermark is not None) - OVERLAP
    changed = _counted(client, table, "updated_at", since)
    created = _counted(client, table, "created_at", pd.Timestamp(since) + OVERLAP)
    removed = max(before.rows + created - size.records, 0)
    by_counts, by_ids = requests_to_find(removed, before.rows)
    is_swept = by_counts > by_ids
    pages = by_ids if is_swept else removed
    parts = 2 ** math.ceil(math.log2(max(before.rows / SWEPT_ROWS, 1)))
    ids = before.rows if is_swept else round(removed * before.rows / parts)
    whole = 2 ** math.ceil(math.log2(max((before.rows + 1) / COUNTED, 1)))  # as many parts are counted to the end
    counts = 2 * whole - 1 + (0 if is_swept else max(round(by_counts) - removed, 0))
    volume = size.bytes_of(changed + 1) + counts * _COUNT_BYTES + ids * _ID_BYTES
    return 1 + max(math.ceil(changed / size.page_rows), 1) + counts + pages, volume


def _counted(client: Client, table: str, column: str, since: datetime) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutreachDataWarning)  # at two million the API counts no further
        return count(client, table, filter={column: between(since, None)})
