"""The records of a type by ranges of their ids: counted, cut into ranges of equal size, read and swept."""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from outreach_frames._fetch import count, fetch, fetch_batches
from outreach_frames._query import between
from outreach_frames.client import Client
from outreach_frames.errors import OutreachDataWarning, ServerError
from outreach_frames.snapshots import parquet

COUNTED = 2_000_000
"""Where the API stops counting [records]."""

_MOST_COUNTS = 200
"""Most requests for counting a table that the API does not count to the end [requests]."""

_LARGER = 1.25
"""How much larger than a row group a range of ids may be."""

SWEPT_ROWS = 1_000
"""Most records of a range whose ids are read rather than counted [records]: one page."""


class IdRanges:
    """
    The records of a type by ranges of their ids.

    Parameters
    ----------
    client, table, options
        As in `take_table`.
    """

    def __init__(self, client: Client, table: str, options: Mapping[str, Any]) -> None:
        self._client = client
        self._table = table
        self._options: dict[str, Any] = {name: value for name, value in options.items() if value is not None}

    def count(self, low: int | None, high: int | None) -> int | None:
        """Count the records of a range; ``None`` where the API does not count them, or not to the end."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", OutreachDataWarning)
                records = count(self._client, self._table, filter=self.filter(low, high))
        except ServerError:
            return None
        return None if records >= COUNTED else records

    def total(self) -> int | None:
        """Count a table that the API does not count to the end, by ranges; ``None`` where it takes too many."""
        newest = self._newest()
        pending: list[tuple[int | None, int | None]] = [(None, None)]
        total = 0
        for _ in range(_MOST_COUNTS):
            low, high = pending.pop()
            records = self.count(low, high)
            first = low or 1
            last = max(newest, 2 * first + COUNTED) if high is None else high
            if records is None and first < last:
                pending += [(low, (first + last) // 2), ((first + last) // 2 + 1, high)]
            total += records or 0
            if not pending:
                return total
        return None

    def filter(self, low: int | None, high: int | None) -> dict[str, Any]:
        """Return the filter on a range, both ends included; ``None`` leaves an end open."""
        filters = dict(self._options.get("filter") or {})
        return filters if low is None and high is None else {**filters, "id": between(low, high)}

    def read(self, low: int | None, high: int | None, schema: pa.Schema) -> pa.Table:
        """Read a range: each record once, sorted by id."""
        return self._sorted(self.filter(low, high), schema)

    def _sorted(self, filters: Mapping[str, Any], schema: pa.Schema) -> pa.Table:
        options = {**self._options, "filter": filters}
        batches = fetch_batches(self._client, self._table, refresh=True, progress=False, **options)
        return sorted_once(pa.Table.from_batches(batches, schema.remove_metadata()))

    def ids(self, low: int | None, high: int | None) -> list[int]:
        """Read the ids of a range."""
        batches = fetch_batches(
            self._client, self._table, fields=[], filter=self.filter(low, high), refresh=True, progress=False
        )
        return [int(id_) for batch in batches for id_ in batch["id"].to_pylist()]

    def read_ids(self, ids: Sequence[int], schema: pa.Schema) -> pa.Table:
        """Read the records of some ids, those of them that there are: each once, sorted by id."""
        return self._sorted({**(self._options.get("filter") or {}), "id": ids}, schema)

    def changes(self, since: datetime, schema: pa.Schema) -> Iterator[pa.Table]:
        """
        Read what was created or changed since an instant, in tables of about `parquet.GROUP_ROWS` rows.

        Sorted by ``updatedAt``, a record that changes meanwhile moves to the end and is met again. A later table holds
        later states; within a table each record is there once, sorted by id.
        """
        batches = fetch_batches(
            self._client,
            self._table,
            **{**self._options, "filter": {"updated_at": between(since, None)}, "sort": "updated_at"},
            refresh=True,
            progress=False,
        )
        waiting: list[pa.RecordBatch] = []
        for batch in batches:
            waiting.append(batch)
            if sum(each.num_rows for each in waiting) >= parquet.GROUP_ROWS:
                yield sorted_once(pa.Table.from_batches(waiting, schema.remove_metadata()))
                waiting = []
        if waiting:
            yield sorted_once(pa.Table.from_batches(waiting, schema.remove_metadata()))

    def ranges(self, low: int | None) -> Iterator[tuple[int | None, int | None]]:
        """
        Cut the ids from one on into ranges of at most about `parquet.GROUP_ROWS` records, in order.

        The last range is open, and so is the first one where there is no lower end, so that a wrong guess of the
        largest id loses nothing.
        """
        newest = self._newest()
        pending: list[tuple[int | None, int | None, int | None]] = [(low, None, self.count(low, None))]
        while pending:
            low, high, records = pending.pop()
            first = low or 1
            last = max(newest, 2 * first + parquet.GROUP_ROWS) if high is None else high
            if records is None and high is not None and last - first < parquet.GROUP_ROWS:
                records = last - first + 1
            is_unknown_end = records is None and high is None and first > newest
            if is_unknown_end or (records is not None and records <= _LARGER * parquet.GROUP_ROWS) or last <= first:
                yield low, high
                continue
            pieces = 2 if records is None else -(-records // parquet.GROUP_ROWS)
            width = last - first + 1
            cut = max(first + width * (pieces // 2) // pieces - 1, first)
            has_no_gaps = records is not None and records >= width
            left = cut - first + 1 if has_no_gaps else self.count(low, cut)
            right = self.count(cut + 1, high) if records is None or left is None else max(records - left, 0)
            pending += [(cut + 1, high, right), (low, cut, left)]

    def _newest(self) -> int:
        """Guess the largest id from the newest record; a wrong guess only makes the ranges uneven."""
        created = self._client.catalog.resource(self._table).attributes.get("createdAt")
        newest = fetch(
            self._client,
            self._table,
            fields=[],
            sort="-created_at" if created and created.sortable else None,
            limit=1,
            refresh=True,
            progress=False,
        )
        return int(newest["id"].max()) if len(newest) else 0


def sorted_once(rows: pa.Table) -> pa.Table:
    """Keep each record once, as it came last, sorted by id."""
    repeated = rows["id"].to_pandas().duplicated(keep="last")
    if repeated.any():
        rows = rows.filter(pa.array(~repeated))
    return rows.sort_by("id")


def requests_to_find(missing: int, rows: int) -> tuple[float, int]:
    """Return how many requests find so many records, if scattered, by counts and by reading all ids."""
    pages = math.ceil(rows / SWEPT_ROWS)
    return missing * (math.log2(max(rows / SWEPT_ROWS / max(missing, 1), 1)) + 2), pages


def differing_ranges(ranges: IdRanges, ids: "np.ndarray[Any, Any]") -> Iterator[tuple[int | None, int]]:
    """
    Find the ranges of ids where the API's count differs from the snapshot's.

    Counts are bisected where they differ: a range of which one half and the whole are counted needs no count of the
    other half. Where so many are missing that counts would take more requests, all ids are read.

    Parameters
    ----------
    ids
        Those that are here, sorted; none above the largest of them is looked at.

    Yields
    ------
    low, high : int or None, int
        A range of which the ids are to be read, both ends included; ``None`` is an open end.
    """
    if not len(ids):
        return
    whole = ranges.count(None, int(ids[-1]))
    if whole is not None:
        by_counts, by_ids = requests_to_find(abs(whole - len(ids)), len(ids))
        if by_counts > by_ids:
            yield None, int(ids[-1])
            return
    pending = [(0, len(ids), whole)]
    while pending:
        first, end, records = pending.pop()
        low, high = None if first == 0 else int(ids[first - 1]) + 1, int(ids[end - 1])
        if records == end - first:
            continue
        if end - first <= SWEPT_ROWS:
            yield low, high
            continue
        middle = (first + end) // 2
        cut = int(ids[middle - 1])
        left = ranges.count(low, cut)
        right = ranges.count(cut + 1, high) if records is None or left is None else records - left
        pending += [(middle, end, right), (first, middle, left)]
