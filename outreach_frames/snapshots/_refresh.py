"""
Bring the tables of a snapshot up to date, at the price of what changed.

The API is asked for records whose ``updatedAt`` is after the watermark, less an overlap: clocks differ, and a record is
seen only after it was stamped. Files without such a record are shared with the version before. The API
cannot be asked for deleted records. So the records in each range of ids are counted, in the API and in the snapshot;
where the counts differ, the ids are read and compared.
"""

import shutil
from collections.abc import Collection, Iterable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np
import pandas as pd

from outreach_frames._fetch import fetch
from outreach_frames._warnings import warn
from outreach_frames.catalog import ResourceType
from outreach_frames.client import Client
from outreach_frames.errors import MissingColumnError, OutreachDataWarning, QueryError, SnapshotError
from outreach_frames.snapshots import parquet
from outreach_frames.snapshots._extract import (
    ONE_REQUEST,
    catalog_digest,
    check_keep,
    check_repeatable,
    column_changes,
    head_time,
    listed_changes,
    note_organization,
    table_facts,
    take_table,
    version_request,
)
from outreach_frames.snapshots._id_ranges import IdRanges, differing_ranges
from outreach_frames.snapshots._manifest import TableFacts, checked_file, read_manifest
from outreach_frames.snapshots._notes import noted_ids
from outreach_frames.snapshots._table_update import TableUpdate
from outreach_frames.snapshots._writing import UnfinishedVersion, remove_versions, writing

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
    check_repeatable(client, read_manifest(base).tables)
    _check_refresh(deletions, deliveries)
    write = partial(_write_version, client, path, deletions=deletions, deliveries=deliveries, progress=progress)
    with writing(path):
        name, went_on = write(base)
        if went_on:  # what changed since the earlier attempt read its files is not in them
            between = path / name
            name, _ = write(between)
            shutil.rmtree(between)
        remove_versions(path, keep, current=name)
    return name


def _write_version(
    client: Client,
    path: Path,
    base: Path,
    *,
    deletions: Deletions,
    deliveries: pd.DataFrame | None,
    progress: bool | None,
) -> tuple[str, bool]:
    """Write a version; return its name, and whether files of an interrupted attempt were gone on with."""
    manifest = read_manifest(base)
    tables = {name: facts.options or {} for name, facts in manifest.tables.items()}
    request = version_request(client, tables, base)
    if request is not None:  # an attempt that found deletions in another way is not gone on with
        kinds = map(client.catalog.resource, tables)
        request += [deletions, [] if deliveries is None else [removed_ids(deliveries, kind) for kind in kinds]]
    with UnfinishedVersion(path, request, tables=tables, base=base) as version:
        if len(tables) > 1 or version.has_files or any(facts.rows >= ONE_REQUEST for facts in manifest.tables.values()):
            note_organization(client, version)
        went_on = version.has_files
        noted = noted_ids(base, manifest)
        is_same = version.organization is not None and version.organization == manifest.organization
        for table, options in tables.items():
            if table in version.tables:
                continue
            if is_same and noted is not None:
                kind = client.catalog.resource(table)
                removed = removed_ids(deliveries, kind) if deliveries is not None else []
                refresh_table(
                    client,
                    table,
                    version,
                    deletions=deletions,
                    removed=removed,
                    doubtful=noted.get(table, ()),
                    progress=progress,
                )
            else:
                take_table(client, table, options, version, progress=progress)
        drift = {
            table: listed_changes(changes)
            for table, facts in version.tables.items()
            if manifest.tables[table].columns
            and any((changes := column_changes(manifest.tables[table], facts)).values())
        }
        name = version.publish(None)
    if drift:
        warn(
            f"Columns changed: {'. '.join(f'{table}: {changes}' for table, changes in drift.items())}.",
            OutreachDataWarning,
        )
    return name, went_on


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
    removed = deliveries.loc[is_removed.fillna(value=False).astype(bool), "resource_id"]
    return sorted({*integer_ids(removed).dropna().tolist()})


def integer_ids(ids: pd.Series) -> pd.Series:
    """Return ids as integers, however they are kept; what is none is missing."""
    numbers = pd.to_numeric(ids, errors="coerce").tolist()
    whole = [int(id_) if pd.notna(id_) and float(id_).is_integer() and abs(id_) < _MOST_ID else None for id_ in numbers]
    return pd.Series(whole, index=ids.index, dtype="Int64")


def refresh_table(
    client: Client,
    table: str,
    version: UnfinishedVersion,
    *,
    deletions: Deletions,
    removed: Collection[int] = (),
    doubtful: Collection[int] = (),
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
    doubtful
        Ids of records that webhook deliveries changed, which are read again whatever their ``updatedAt``.

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
    unseen = {*doubtful}
    for rows in ranges.changes(since, schema):
        update.apply(rows)
        unseen -= {*rows["id"].to_pylist()} if unseen else unseen
    update.read_again(sorted(unseen), ranges)
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
    return (
        before.rows >= ONE_REQUEST
        and updated is not None
        and updated.filterable
        and updated.sortable
        and changes_by_record(kind, before)
        and all(facts.watermark is not None and isinstance(facts.last_id, int) for facts in before.files)
    )


def changes_by_record(kind: ResourceType, before: TableFacts) -> bool:
    """Whether a row of a table changes only when its own record does, and has the columns of today's catalog."""
    options = before.options or {}
    return (
        before.options is not None
        and before.catalog == catalog_digest(kind)
        and kind.id_type == "integer"
        and not {name for name, value in options.items() if value not in (None, False)} - _INCREMENTAL
        and options.get("custom") != "labels"
        and options.get("fields") != "*"
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
