"""
Bring the tables of a snapshot up to date, at the price of what changed.

The API is asked for records whose ``updatedAt`` is after the watermark, less an overlap: clocks differ, and a record is
seen only after it was stamped. Files without such a record are shared with the version before. Records that were
deleted are nowhere to ask for; they are found by comparing counts of ranges of ids, and by reading the ids where these
differ.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from outreach_frames._fetch import fetch
from outreach_frames.catalog import ResourceType
from outreach_frames.client import Client
from outreach_frames.errors import MissingColumnError, QueryError, SnapshotError
from outreach_frames.snapshots import parquet
from outreach_frames.snapshots._extract import (
    ONE_REQUEST,
    catalog_digest,
    check_keep,
    check_repeatable,
    head_time,
    note_organization,
    table_facts,
    take_table,
    version_request,
)
from outreach_frames.snapshots._id_ranges import IdRanges, differing_ranges
from outreach_frames.snapshots._manifest import FileFacts, TableFacts, checked_file, read_manifest
from outreach_frames.snapshots._writing import UnfinishedVersion, writing

Deletions: TypeAlias = Literal["counts", "sweep", "webhooks", False]

OVERLAP = timedelta(minutes=10)
"""How long before the watermark changes are asked for again."""

_MOST_ID = 2**63
_INCREMENTAL = {"fields", "custom", "data_connections", "page_size", "strict"}
"""Options with which a table can be refreshed by its changes: with others a change elsewhere changes its rows."""


def refresh_version(
    client: Client,
    path: Path,
    base: Path,
    *,
    deletions: Deletions,
    deliveries: pd.DataFrame | None,
    keep: int | None,
    progress: bool | None,
) -> str:
    """Bring all tables of a version up to date, as a new version; return its name. See `Snapshot.refresh`."""
    check_keep(keep)
    manifest = read_manifest(base)
    check_repeatable(client, manifest.tables)
    _check_refresh(deletions, deliveries)
    tables = {name: facts.options or {} for name, facts in manifest.tables.items()}
    request = version_request(client, tables, base)
    if request is not None:  # an attempt that found deletions in another way is not gone on with
        kinds = map(client.catalog.resource, tables)
        request += [deletions, [] if deliveries is None else [removed_ids(deliveries, kind) for kind in kinds]]
    with writing(path), UnfinishedVersion(path, request, tables=tables, base=base) as version:
        if len(tables) > 1 or version.has_files or any(facts.rows >= ONE_REQUEST for facts in manifest.tables.values()):
            note_organization(client, version)
        is_same = version.organization is not None and version.organization == manifest.organization
        for table, options in tables.items():
            if table in version.tables:
                continue
            if is_same:
                kind = client.catalog.resource(table)
                removed = removed_ids(deliveries, kind) if deliveries is not None else []
                refresh_table(client, table, version, deletions=deletions, removed=removed, progress=progress)
            else:
                take_table(client, table, options, version, progress=progress)
        return version.publish(keep)


def _check_refresh(deletions: Deletions, deliveries: pd.DataFrame | None) -> None:
    """Refuse arguments that do not fit each other."""
    if deletions not in ("counts", "sweep", "webhooks", False):
        raise QueryError(f"deletions={deletions!r} is no way.", hint='Choose "counts", "sweep", "webhooks" or False.')
    if (deletions == "webhooks") != (deliveries is not None):
        raise QueryError(
            'deliveries and deletions="webhooks" go together.',
            hint='refresh(org, deletions="webhooks", deliveries=of.webhooks.read(store))',
        )
    if deliveries is not None and (missing := {"event", "resource_type", "resource_id"} - {*deliveries.columns}):
        raise MissingColumnError(min(missing), needed_for="deliveries")


def removed_ids(deliveries: pd.DataFrame, kind: ResourceType) -> list[int]:
    """Return the ids of records of a type that webhooks reported as destroyed."""
    is_removed = (deliveries["resource_type"] == kind.name) & deliveries["event"].astype("string").str.endswith(
        ".destroyed"
    )
    ids = pd.to_numeric(deliveries.loc[is_removed.fillna(value=False).astype(bool), "resource_id"], errors="coerce")
    return sorted({int(id_) for id_ in ids.dropna() if float(id_).is_integer() and abs(id_) < _MOST_ID})


def refresh_table(
    client: Client,
    table: str,
    version: UnfinishedVersion,
    *,
    deletions: Deletions,
    removed: Collection[int] = (),
    progress: bool | None = None,
) -> None:
    """
    Bring one table up to date; in full where it is small or its changes cannot be asked for.

    Parameters
    ----------
    version
        The version that is written. Its organization is that of the version before, or the table is read in full.
    deletions
        How deleted records are found.
    removed
        Ids that webhooks reported as destroyed.

    Raises
    ------
    OutreachError
        As in `fetch`.
    """
    before = version.base_tables[table]
    kind = client.catalog.resource(table)
    options = before.options or {}
    files = _shared_files(table, version) if is_incremental(kind, before) else []
    if files:
        head = fetch(client, table, limit=1, refresh=True, progress=False, dtypes="arrow", **options)
        schema = parquet.table_of(head).schema
        if {field.name: str(field.type) for field in schema} != before.columns:
            files = []
    if not files:
        take_table(client, table, options, version, progress=progress)
        return
    as_of = head_time(head)
    since = min(facts.watermark for facts in before.files if facts.watermark is not None) - OVERLAP
    update = TableUpdate(version, table, schema, files)
    ranges = IdRanges(client, table, options)
    for rows in ranges.changes(since, schema):
        update.apply(rows)
    if deletions == "webhooks":
        update.remove(removed)
    elif deletions:
        for low, high in _ranges_to_sweep(ranges, update.ids(), deletions):
            update.compare(low, high, ranges)
    current = [msgspec.structs.replace(facts, watermark=as_of) for facts in update.finish()]
    version.add_table(table, table_facts(kind, options, schema, current, as_of))


def is_incremental(kind: ResourceType, before: TableFacts) -> bool:
    """Whether the API can be asked for what changed, and whether that is all that can change a row."""
    updated = kind.attributes.get("updatedAt")
    options = {name for name, value in (before.options or {}).items() if value not in (None, False)}
    return (
        before.rows >= ONE_REQUEST
        and before.catalog == catalog_digest(kind)
        and updated is not None
        and updated.filterable
        and updated.sortable
        and kind.id_type == "integer"
        and not options - _INCREMENTAL
        and (before.options or {}).get("custom") != "labels"
        and (before.options or {}).get("fields") != "*"
        and all(facts.watermark is not None and isinstance(facts.last_id, int) for facts in before.files)
    )


def _shared_files(table: str, version: UnfinishedVersion) -> list[Path]:
    """Return the files of the version before; none where one is damaged or not as described, which repairs it."""
    if version.base is None:
        return []
    try:
        files = [(checked_file(version.base, table, facts), facts) for facts in version.base_tables[table].files]
        return [file for file, _ in files] if all(parquet.agrees(*each) for each in files) else []
    except SnapshotError:
        return []


def _ranges_to_sweep(
    ranges: IdRanges, ids: "np.ndarray[Any, Any]", deletions: Deletions
) -> Iterable[tuple[int | None, int]]:
    """Return the ranges whose ids are read: those in which counts differ, or all."""
    if deletions == "counts":
        return differing_ranges(ranges, ids)
    ends = [int(ids[end - 1]) for end in range(parquet.GROUP_ROWS, len(ids), parquet.GROUP_ROWS)]
    lows = [None, *(end + 1 for end in ends)]
    return zip(lows, [*ends, int(ids[-1])], strict=True) if len(ids) else []


class TableUpdate:
    """
    The files of a table while changes are applied to them; those that no change touches stay shared.

    Parameters
    ----------
    version
        The version that is written.
    table
        Name of the table.
    schema
        Columns, and metadata with the frame's ``attrs``.
    files
        Files of the version before.
    """

    def __init__(self, version: UnfinishedVersion, table: str, schema: pa.Schema, files: Sequence[Path]) -> None:
        self._version = version
        self._table = table
        self._schema = schema
        self._shared: dict[str, tuple[Path, FileFacts]] = {}
        self._files: list[FileFacts] = []
        (version.folder / table).mkdir(exist_ok=True)
        for file, facts in zip(files, version.base_tables[table].files, strict=True):
            path = facts.path if "/" in facts.path else f"{table}/part-00001.parquet"
            parquet.link(file, version.folder / path)
            self._files.append(msgspec.structs.replace(facts, path=path))
            self._shared[path] = file, self._files[-1]

    def ids(self, low: int | None = None, high: int | None = None) -> "np.ndarray[Any, Any]":
        """Return the ids of a range, both ends included and ``None`` an open end, sorted."""
        parts = [
            self._column_of_ids(facts)
            for facts in self._files
            if isinstance(facts.first_id, int)
            and isinstance(facts.last_id, int)
            and (low is None or facts.last_id >= low)
            and (high is None or facts.first_id <= high)
        ]
        ids = np.concatenate(parts) if parts else np.empty(0, np.int64)
        start = 0 if low is None else int(np.searchsorted(ids, low))
        return ids[start : len(ids) if high is None else int(np.searchsorted(ids, high, side="right"))]

    def apply(self, rows: pa.Table) -> None:
        """Add records or replace those of the same id; each is there once, sorted by id."""
        ids = rows["id"].to_numpy()
        places = self._places(ids)
        for place in sorted({*places.tolist()}, reverse=True):  # a file that is divided moves those behind it
            chosen = np.flatnonzero(places == place)
            self._rewrite(place, rows.slice(int(chosen[0]), len(chosen)), ids[chosen])

    def remove(self, ids: Collection[int]) -> None:
        """Remove records; an id that is not there does no harm."""
        removed = np.sort(np.fromiter(ids, np.int64, len(ids)))
        places = self._places(removed)
        for place in sorted({*places.tolist()}, reverse=True):
            chosen = removed[places == place]
            if np.isin(chosen, self._column_of_ids(self._files[place])).any():
                self._rewrite(place, self._schema.empty_table(), chosen)

    def compare(self, low: int | None, high: int, ranges: IdRanges) -> None:
        """Read the ids of a range; remove what is not among them, and read what is there and not here."""
        here = self.ids(low, high)
        there = np.unique(np.array(ranges.ids(low, high), np.int64))
        self.remove(np.setdiff1d(here, there).tolist())
        missing = np.setdiff1d(there, here).tolist()
        if missing:
            self.apply(ranges.read_ids(missing, self._schema))

    def finish(self) -> list[FileFacts]:
        """Return the files, without those that have become empty."""
        for facts in [facts for facts in self._files if not facts.rows][: len(self._files) - 1]:
            (self._version.folder / facts.path).unlink()
            self._files.remove(facts)
        return self._files

    def _column_of_ids(self, facts: FileFacts) -> "np.ndarray[Any, Any]":
        with pq.ParquetFile(self._version.folder / facts.path) as file:
            ids: np.ndarray[Any, Any] = file.read(columns=["id"])["id"].to_numpy()
        return ids

    def _places(self, ids: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        """Return in which file each id belongs: the first that ends behind it, or the last."""
        ends, end = [], 0
        for facts in self._files[:-1]:
            end = max(end, facts.last_id if isinstance(facts.last_id, int) else end)
            ends.append(end)
        return np.searchsorted(np.array(ends, np.int64), ids, side="left")

    def _rewrite(self, place: int, rows: pa.Table, replaced: "np.ndarray[Any, Any]") -> None:
        """Write one file anew without some ids and with some rows; the last one is divided when it becomes large."""
        facts = self._files[place]
        is_last = place == len(self._files) - 1
        written: list[FileFacts] = []
        out = parquet.PartFile(self._version.folder, facts.path, self._schema)
        try:
            for group in _merged(parquet.row_groups(self._version.folder / facts.path), rows, replaced):
                if is_last and out.is_full:
                    written.append(out.finish())
                    number = 1 + max(int(file.path[-13:-8]) for file in [*self._files, *written])
                    out = parquet.PartFile(
                        self._version.folder, f"{self._table}/part-{number:05d}.parquet", self._schema
                    )
                out.write(group, None)
            written.append(out.finish())
        except BaseException:
            out.abandon()
            raise
        self._files[place : place + 1] = [self._unchanged(each) or each for each in written]
        pa.default_memory_pool().release_unused()

    def _unchanged(self, facts: FileFacts) -> FileFacts | None:
        """Share the file of the version before again where the new one holds the same rows."""
        file, before = self._shared.get(facts.path, (None, None))
        if file is None or before is None or before.rows != facts.rows:
            return None
        place = self._version.folder / facts.path
        if not parquet.has_same_rows(file, place):
            return None
        parquet.link(file, place)
        return before


def _merged(groups: Iterable[pa.Table], rows: pa.Table, replaced: "np.ndarray[Any, Any]") -> Iterable[pa.Table]:
    """Lay rows over row groups, in order of ids; the rows behind the last group join it, or follow in groups."""
    ids = rows["id"].to_numpy()
    start = 0
    waiting: pa.Table | None = None
    for group in groups:
        if waiting is not None:
            end = int(np.searchsorted(ids, waiting["id"][-1].as_py(), side="right"))
            yield _laid_over(waiting, rows.slice(start, end - start), replaced)
            start = end
        waiting = group
    last = rows.slice(start) if waiting is None else _laid_over(waiting, rows.slice(start), replaced)
    for place in range(0, last.num_rows, parquet.GROUP_ROWS):
        yield last.slice(place, parquet.GROUP_ROWS)


def _laid_over(group: pa.Table, rows: pa.Table, replaced: "np.ndarray[Any, Any]") -> pa.Table:
    others = group.filter(pc.invert(pc.is_in(group["id"], value_set=pa.array(replaced, group["id"].type))))
    plain = [table.replace_schema_metadata(None) for table in (others, rows.cast(others.schema))]
    return pa.concat_tables(plain).sort_by("id")
