"""
Bring the tables of a snapshot up to the webhook deliveries that were received.

Of each column of a record the latest value counts, by ``updatedAt`` and then by the time of sending: the order of
arrival and repeats make no difference. Values that the API gave count from the record's own ``updated_at`` on, which
is in whole seconds. A version notes which columns of which records deliveries changed, and when, without values; a
refresh reads these records again.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from outreach_frames import catalog
from outreach_frames._jsonapi.columns import Column, columns
from outreach_frames._warnings import warn
from outreach_frames.catalog import ResourceType
from outreach_frames.errors import DataError, MissingColumnError, OutreachDataWarning
from outreach_frames.snapshots._extract import check_keep
from outreach_frames.snapshots._manifest import TableFacts, read_manifest, table_files
from outreach_frames.snapshots._notes import AS_READ, NO_TIME, REMOVED, read_notes, write_notes
from outreach_frames.snapshots._refresh import OVERLAP, changes_by_record, integer_ids
from outreach_frames.snapshots._table_update import TableUpdate
from outreach_frames.snapshots._writing import UnfinishedVersion, writing
from outreach_frames.webhooks.store import typed_values

_Numbers: TypeAlias = "np.ndarray[Any, Any]"

_TIME = pa.timestamp("us", "UTC")
_RECEIVED = pa.schema(
    [
        ("event", pa.string()),
        ("resource_type", pa.string()),
        ("received_at", _TIME),
        ("delivered_at", _TIME),
        ("attributes", pa.string()),
        ("relationships", pa.string()),
    ]
)
_SECOND = 1_000_000
"""[µs]"""
_OVERLAP = _SECOND * int(OVERLAP.total_seconds())


def apply_version(path: Path, base: Path, deliveries: pd.DataFrame, *, keep: int | None) -> str:
    """Apply deliveries to a version, as a new version; return its name. See `Snapshot.apply`."""
    check_keep(keep)
    received = _typed_deliveries(deliveries)
    manifest = read_manifest(base)
    types = catalog.load()
    kinds = {name: types.resource(name) for name in manifest.tables}
    passed_over = Counter(
        {
            f"on {name}, which the snapshot does not have": number
            for name, number in received["resource_type"].value_counts().items()
            if isinstance(name, str) and name not in {kind.name for kind in kinds.values()}
        }
    )
    with writing(path), UnfinishedVersion(path, None, tables=manifest.tables, base=base) as version:
        version.organization = manifest.organization
        notes = read_notes(base, manifest)
        for name, facts in manifest.tables.items():
            files = table_files(base, name, manifest.tables)
            update = TableUpdate(version, name, pq.read_schema(files[0]), files)
            own = received[received["resource_type"] == kinds[name].name]
            if not len(own):
                pass
            elif changes_by_record(kinds[name], facts):
                noted, odd = _apply_to_table(kinds[name], facts, update, own, notes[notes["table"] == name])
                notes = pd.concat([notes[notes["table"] != name], noted], ignore_index=True)
                passed_over += odd
            else:
                passed_over[f"on {name}, which only a refresh brings up to date"] += len(own)
            version.add_table(name, _facts_after(facts, update))
        version.applied = write_notes(version.folder, notes)
        published = version.publish(keep)
    if passed_over:
        listed = "; ".join(f"{number:,} {what}" for what, number in sorted(passed_over.items()))
        warn(f"Some deliveries were not applied: {listed}.", OutreachDataWarning)
    return published


def _typed_deliveries(deliveries: pd.DataFrame) -> pd.DataFrame:
    """Return what is read of deliveries, typed."""
    if missing := {*_RECEIVED.names, "resource_id"} - {*deliveries.columns}:
        raise MissingColumnError(
            min(missing), needed_for="apply", hint="Pass of.webhooks.read(store), without resource=."
        )
    ids = integer_ids(deliveries["resource_id"])
    try:
        typed = pa.Table.from_pandas(deliveries[_RECEIVED.names], schema=_RECEIVED, preserve_index=False)
        for part in ("attributes", "relationships"):
            for text in typed[part].unique().drop_null().to_pylist():
                msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (pa.ArrowException, TypeError, ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise DataError(
            "The deliveries cannot be read.", hint="Pass of.webhooks.read(store), without resource=."
        ) from error
    received: pd.DataFrame = typed.to_pandas(types_mapper=pd.ArrowDtype)
    return received.assign(id=ids.array)


def _facts_after(before: TableFacts, update: TableUpdate) -> TableFacts:
    """Describe a table after deliveries: the API was read when it was before."""
    watermarks = [facts.watermark for facts in before.files]
    oldest = None if None in watermarks else min(watermarks)  # type: ignore[type-var]  # none is missing
    files = [
        facts if facts in before.files else msgspec.structs.replace(facts, watermark=oldest)
        for facts in update.finish()
    ]
    return msgspec.structs.replace(before, rows=sum(facts.rows for facts in files), files=files)


class _Deliveries:
    """
    Deliveries on one table, in columns.

    Attributes
    ----------
    id, event
        Of the record, and the action.
    own, sent
        ``updatedAt`` that was carried, and the time of sending [µs since 1970]; `NO_TIME` where there is none.
    carried
        What was carried, typed.
    carries
        Column → which deliveries carried it.
    misfits
        How many carry a value that does not fit its column.
    """

    def __init__(self, kind: ResourceType, layout: Sequence[Column], received: pd.DataFrame) -> None:
        self.id = received["id"].to_numpy(np.int64)
        self.event = received["event"].str.replace(r".*\.", "", regex=True).to_numpy(dtype=object, na_value="")
        self.sent = _as_micros(received["delivered_at"].fillna(received["received_at"]))
        texts = zip(received["attributes"], received["relationships"], strict=True)
        parts = [tuple({} if pd.isna(text) else msgspec.json.decode(text) for text in pair) for pair in texts]
        names = [column.source for column in layout] + [name for name in ("updatedAt",) if name in kind.attributes]
        resources = [
            {"type": kind.name, "id": int(id_), "attributes": attributes, "relationships": relationships}
            for id_, (attributes, relationships) in zip(self.id, parts, strict=True)
        ]
        self.carried, misfits = typed_values(kind, resources, tuple(dict.fromkeys(names)))
        odd = [{*msgspec.json.decode(text or "{}", type=dict[str, Any])} for text in misfits]
        self.misfits = sum(map(bool, odd))
        is_stamped = "updated_at" in self.carried.column_names
        self.own = _as_micros(self.carried["updated_at"].to_pandas()) if is_stamped else np.full(len(self.id), NO_TIME)
        self.carries = {
            column.name: np.fromiter(
                (
                    column.source not in skipped and _carries(attributes, relationships, column)
                    for (attributes, relationships), skipped in zip(parts, odd, strict=True)
                ),
                bool,
                len(parts),
            )
            for column in layout
        }


def _carries(attributes: Any, relationships: Any, column: Column) -> bool:
    """Whether a delivery says what a column is to hold, be it nothing."""
    if column.part == "value":
        return column.source in attributes
    linkage = relationships.get(column.source)
    return isinstance(linkage, dict) and "data" in linkage


def _as_micros(times: pd.Series) -> _Numbers:
    """Return instants as numbers; `NO_TIME` for those that are missing."""
    numbers = pa.array(times, _TIME, from_pandas=True).cast(pa.int64())
    return np.asarray(pc.fill_null(numbers, NO_TIME))


def _apply_to_table(
    kind: ResourceType, facts: TableFacts, update: TableUpdate, received: pd.DataFrame, notes: pd.DataFrame
) -> tuple[pd.DataFrame, Counter[str]]:
    """Apply deliveries to one table; return its notes after them, and how many deliveries were not applied."""
    read_at = _SECOND * int(pd.Timestamp(min(each.watermark or facts.as_of for each in facts.files)).timestamp())
    sent = _as_micros(received["delivered_at"].fillna(received["received_at"]))
    received = received[(sent >= read_at - _OVERLAP) & received["id"].notna().to_numpy()]
    layout = columns(kind, [*kind.attributes, *kind.relationships], catalog.load())
    layout = [column for column in layout if column.name in update.schema.names]
    deliveries = _Deliveries(kind, layout, received)
    rows = update.rows(np.unique(deliveries.id))
    as_read = _as_read(rows, notes, read_at)
    removed = _removed(deliveries, as_read, notes)
    order = _in_time_order(deliveries, as_read, removed, read_at)
    changed, noted = _changed_rows(deliveries, order, rows, as_read, notes)
    if changed.num_rows:
        update.apply(changed)
    update.remove(removed.tolist())
    removals = pd.DataFrame({"id": removed, "column": REMOVED, "at": NO_TIME, "sent": NO_TIME})
    after = pd.concat([notes, *noted, removals]).drop_duplicates(["id", "column"], keep="last")
    after = after[~after["id"].isin(removed) | (after["column"] == REMOVED)].assign(table=kind.table)
    odd = {
        f"on {kind.table} that change what is neither in the snapshot nor created": order.without_row,
        f"on {kind.table} with values that do not fit, the others of which were applied": deliveries.misfits,
    }
    return after, Counter({what: number for what, number in odd.items() if number})


def _as_read(rows: pa.Table, notes: pd.DataFrame, read_at: int) -> "pd.Series[Any]":
    """Return up to which ``updated_at`` [µs] each record was given by the API, by id."""
    stamps = np.full(rows.num_rows, NO_TIME)
    if "updated_at" in rows.column_names:
        stamps = _as_micros(rows["updated_at"].to_pandas())
    as_read: pd.Series[Any] = pd.Series(np.where(stamps == NO_TIME, read_at, stamps), index=rows["id"].to_numpy())
    noted = notes[(notes["column"] == AS_READ) & notes["id"].isin(as_read.index)]
    as_read.loc[noted["id"].to_numpy()] = noted["at"].to_numpy()
    return as_read


def _removed(deliveries: _Deliveries, as_read: "pd.Series[Any]", notes: pd.DataFrame) -> _Numbers:
    """Return the ids that were destroyed, but for records that the API gave as changed after that."""
    destroyed = deliveries.event == "destroyed"
    row_stamp = as_read.reindex(deliveries.id[destroyed], fill_value=NO_TIME).to_numpy()
    ids = deliveries.id[destroyed][row_stamp <= deliveries.sent[destroyed]]
    return np.unique(np.concatenate([ids, notes.loc[notes["column"] == REMOVED, "id"].to_numpy(np.int64)]))


class _Order(NamedTuple):
    """
    The deliveries that are applied.

    Attributes
    ----------
    place
        Which they are: those on one record together, in order, the latest last.
    stamp
        Of all deliveries: ``updatedAt``, or that of the delivery that was sent before [µs since 1970].
    without_row
        How many others change a record that is not in the snapshot and that none creates.
    """

    place: _Numbers
    stamp: _Numbers
    without_row: int


def _in_time_order(deliveries: _Deliveries, as_read: "pd.Series[Any]", removed: _Numbers, read_at: int) -> _Order:
    """Leave out the deliveries whose changes the snapshot has, and put the others in order."""
    ids, own, sent = deliveries.id, deliveries.own, deliveries.sent
    number = len(ids)
    by_sending = np.lexsort((np.arange(number), sent, ids))
    row_stamp = as_read.reindex(ids, fill_value=NO_TIME).to_numpy()
    is_here = np.isin(ids, as_read.index)
    has_stamp = own != NO_TIME
    is_in_row = is_here & has_stamp & ((own < row_stamp) | ((own == row_stamp) & (row_stamp < read_at)))
    # without a stamp: what was sent before the API was read, or before a change that the record has
    rank = np.empty(number, np.int64)
    rank[by_sending] = np.arange(number)
    last = pd.Series(np.where(is_in_row, rank, -1)).groupby(ids).transform("max").to_numpy()
    is_in_row |= is_here & ~has_stamp & ((sent < read_at) | (rank < last))

    stamps = pd.Series(own[by_sending]).where(has_stamp[by_sending])  # exact: below 2**53
    stamps = stamps.groupby(ids[by_sending]).ffill()
    at = np.empty(number, np.int64)
    at[by_sending] = np.where(stamps.isna(), row_stamp[by_sending], stamps.fillna(0)).astype(np.int64)

    is_left = ~is_in_row & (deliveries.event != "destroyed") & ~np.isin(ids, removed)
    is_new = np.where(has_stamp, own, sent) >= read_at
    created = np.unique(ids[is_left & ~is_here & (deliveries.event == "created") & is_new])
    has_row = is_here | np.isin(ids, created)
    place = np.lexsort((np.arange(number), sent, at, ids))
    return _Order(place[(is_left & has_row)[place]], at, int((is_left & ~has_row & (sent >= read_at)).sum()))


def _changed_rows(
    deliveries: _Deliveries,
    order: _Order,
    rows: pa.Table,
    as_read: "pd.Series[Any]",
    notes: pd.DataFrame,
) -> tuple[pa.Table, list[pd.DataFrame]]:
    """Return the records that change, in full, and what is to be noted."""
    ids, here = np.unique(deliveries.id[order.place]), as_read.index.to_numpy()
    is_here = np.isin(ids, here)
    before = np.searchsorted(here, ids)
    is_changed = ~is_here
    arrays, noted = [], []
    for field in rows.schema:
        if field.name == "id":
            arrays.append(pa.chunked_array([pa.array(ids)]))
            continue
        source, is_missing = before.copy(), ~is_here
        if field.name in deliveries.carries:
            latest = _latest_values(deliveries, order, field.name, notes)
            target = np.searchsorted(ids, deliveries.id[latest])
            source[target], is_missing[target] = len(here) + latest, False
            is_changed[target] = True
            times = {"at": order.stamp[latest], "sent": deliveries.sent[latest]}
            noted.append(pd.DataFrame({"id": deliveries.id[latest], "column": field.name, **times}))
        chunks = rows[field.name].chunks
        if field.name in deliveries.carried.column_names:
            chunks += deliveries.carried[field.name].cast(field.type).chunks
        both = pa.chunked_array(chunks, field.type)
        arrays.append(both.take(pa.array(source, mask=is_missing)))
    changed = pa.table(arrays, schema=rows.schema).filter(pa.array(is_changed))
    first = np.setdiff1d(ids[is_changed], notes.loc[notes["column"] == AS_READ, "id"])
    at = as_read.reindex(first, fill_value=NO_TIME).to_numpy()
    noted.append(pd.DataFrame({"id": first, "column": AS_READ, "at": at, "sent": NO_TIME}))
    return changed, [each for each in noted if len(each)]


def _latest_values(deliveries: _Deliveries, order: _Order, column: str, notes: pd.DataFrame) -> _Numbers:
    """Return, for each record, the latest delivery that carries a column, if none later was applied before."""
    place = order.place[deliveries.carries[column][order.place]]
    ids = deliveries.id[place]
    place = place[np.append(ids[1:] != ids[:-1], len(ids) > 0)[: len(ids)]]
    earlier = notes[notes["column"] == column].set_index("id").reindex(deliveries.id[place])
    at, sent = (earlier[name].fillna(NO_TIME).to_numpy(np.int64) for name in ("at", "sent"))
    is_later = (order.stamp[place] > at) | ((order.stamp[place] == at) & (deliveries.sent[place] > sent))
    latest: _Numbers = place[is_later]
    return latest
