"""Check a version: its files, rows and ids, whether its tables fit each other, and what the API counts now."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from outreach_frames import catalog
from outreach_frames._fetch import count
from outreach_frames.client import Client
from outreach_frames.errors import OutreachDataWarning
from outreach_frames.snapshots import parquet
from outreach_frames.snapshots._extract import column_changes, listed_changes
from outreach_frames.snapshots._manifest import Manifest, TableFacts

TOLERANCE = 0.05
"""By what share of its rows a table may differ from what the API counts now."""

_LATE = timedelta(days=1)
"""How long after the extraction a record may be stamped: clocks differ, and tables are read one after another."""


class SnapshotCheck(NamedTuple):
    """One row of what `Snapshot.verify` returns."""

    table: str
    check: str
    passed: bool | None
    value: float | None
    detail: str


_TYPES = {
    "table": pa.string(),
    "check": pa.string(),
    "passed": pa.bool_(),
    "value": pa.float64(),
    "detail": pa.string(),
}


def checks(
    manifest: Manifest,
    files: Mapping[str, Sequence[Path]],
    before: Manifest | None,
    client: Client | None,
    notes: pd.DataFrame,
) -> pd.DataFrame:
    """
    Check the tables of a version, whose files were compared with their checksums; see `Snapshot.verify`.

    Parameters
    ----------
    manifest, files
        Of the version.
    before
        Manifest of the version before, to tell which columns are new, lost or of another type.
    client
        Connection that counts what there is now; ``None``: nothing is sent.
    notes
        What webhook deliveries changed; see `_notes.read_notes`.
    """
    latest = notes.groupby("table")["sent"].max()
    ends = {
        name: max(pd.Timestamp(facts.as_of), pd.Timestamp(max(latest.get(name, 0), 0), unit="us", tz="UTC"))
        for name, facts in manifest.tables.items()
    }
    rows: list[SnapshotCheck] = []
    for name in sorted(files):
        rows += _table_checks(name, manifest, files, before, client)
        with parquet.readable(name):
            rows += _times(name, ends[name], parquet.dataset(files[name]))
    columns = zip(*rows, strict=True) if rows else [[] for _ in _TYPES]
    return pd.DataFrame(
        {
            name: pd.Series(list(values), dtype=pd.ArrowDtype(kind))
            for (name, kind), values in zip(_TYPES.items(), columns, strict=True)
        }
    )


def _table_checks(
    name: str,
    manifest: Manifest,
    files: Mapping[str, Sequence[Path]],
    before: Manifest | None,
    client: Client | None,
) -> Iterator[SnapshotCheck]:
    facts = manifest.tables[name]
    detail = f"{len(facts.files):,} as they were written"
    yield SnapshotCheck(name, "checksums", passed=True, value=len(facts.files), detail=detail)
    with parquet.readable(name):
        data = parquet.dataset(files[name])
        rows = sum(pq.read_metadata(file).num_rows for file in files[name])
        ids = data.to_table(columns=["id"])["id"]
        yield SnapshotCheck(name, "rows", rows == facts.rows == len(ids), rows, f"{facts.rows:,} in the manifest")
        repeated = rows - pc.count_distinct(ids, mode="all").as_py()
        yield SnapshotCheck(name, "unique ids", repeated == 0, repeated, f"{repeated:,} repeated")
        yield from _foreign_keys(name, data, files)
    if before is not None and name in before.tables:
        yield from _drift(name, before.tables[name], facts)
    if client is not None:
        yield _live_count(name, facts, client)


def _times(name: str, end: pd.Timestamp, data: ds.Dataset) -> Iterator[SnapshotCheck]:
    """Compare when the records were created and changed with when they were extracted, or the last one delivered."""
    for column in ("created_at", "updated_at"):
        if column in data.schema.names and pa.types.is_timestamp(data.schema.field(column).type):
            bounds = pc.min_max(data.to_table(columns=[column])[column]).as_py()
            if bounds["max"] is not None:
                passed = pd.Timestamp(bounds["max"]) <= end + _LATE
                yield SnapshotCheck(
                    name, column, bool(passed), None, f"{bounds['min']:%Y-%m-%d} to {bounds['max']:%Y-%m-%d}"
                )


def _foreign_keys(name: str, data: ds.Dataset, files: Mapping[str, Sequence[Path]]) -> Iterator[SnapshotCheck]:
    """Tell the share of a table's foreign keys that lead to a record of the snapshot; a deleted record has none."""
    types = catalog.load()
    for relationship in types.resource(name).relationships.values():
        target = next(iter(types.targets(relationship).values()), None)
        column = relationship.id_column
        if relationship.many or relationship.polymorphic or target is None or target.table not in files:
            continue
        if column in data.schema.names:
            keys = data.to_table(columns=[column])[column].drop_null()
            ids = parquet.dataset(files[target.table]).to_table(columns=["id"])["id"]
            if len(keys) and keys.type == ids.type:
                matched = pc.sum(pc.is_in(keys, value_set=ids)).as_py()
                detail = f"{matched:,} of {len(keys):,} are in {target.table}"
                yield SnapshotCheck(name, f"foreign key {column}", None, matched / len(keys), detail)


def _drift(name: str, before: TableFacts, facts: TableFacts) -> Iterator[SnapshotCheck]:
    """Tell which columns the version before did not have, or had otherwise."""
    if before.columns and before.columns != facts.columns:
        changes = column_changes(before, facts)
        yield SnapshotCheck(name, "columns", None, sum(map(len, changes.values())), listed_changes(changes))


def _live_count(name: str, facts: TableFacts, client: Client) -> SnapshotCheck:
    """Compare the rows with what the API counts now, as far as the table was taken whole."""
    options = facts.options or {}
    if facts.options is None or options.get("limit") is not None:
        return SnapshotCheck(name, "live count", None, None, "not of all records")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutreachDataWarning)  # at two million the API counts no further
        live = count(client, name, filter=options.get("filter"))
    passed = abs(live - facts.rows) <= TOLERANCE * max(live, facts.rows)
    return SnapshotCheck(name, "live count", bool(passed), live, f"{facts.rows:,} here, {live:,} there")
