"""The files of a table while changes are applied to them."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from outreach_frames.snapshots import parquet
from outreach_frames.snapshots._extract import ONE_REQUEST
from outreach_frames.snapshots._id_ranges import IdRanges
from outreach_frames.snapshots._manifest import FileFacts
from outreach_frames.snapshots._writing import UnfinishedVersion


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

    Attributes
    ----------
    schema
        As given.
    """

    def __init__(self, version: UnfinishedVersion, table: str, schema: pa.Schema, files: Sequence[Path]) -> None:
        self._version = version
        self._table = table
        self.schema = schema
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

    def rows(self, ids: "np.ndarray[Any, Any]") -> pa.Table:
        """Return the records of some ids, those of them that there are, sorted by id."""
        places, values = self._places(ids), pa.array(ids)
        groups = (
            group.filter(pc.is_in(group["id"], value_set=values))
            for place in np.unique(places).tolist()
            for group in parquet.row_groups(self._version.folder / self._files[place].path)
        )
        return pa.concat_tables([self.schema.empty_table(), *(group.cast(self.schema) for group in groups)])

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
                self._rewrite(place, self.schema.empty_table(), chosen)

    def compare(self, low: int | None, high: int, ranges: IdRanges) -> None:
        """Read the ids of a range; remove what is not among them, and read what is there and not here."""
        here = self.ids(low, high)
        there = np.unique(np.array(ranges.ids(low, high), np.int64))
        self.remove(np.setdiff1d(here, there).tolist())
        missing = np.setdiff1d(there, here).tolist()
        if missing:
            self.apply(ranges.read_ids(missing, self.schema))

    def read_again(self, ids: Sequence[int], ranges: IdRanges) -> None:
        """Replace some records by what the API has, be it nothing."""
        for start in range(0, len(ids), ONE_REQUEST):
            some = ids[start : start + ONE_REQUEST]
            rows = ranges.read_ids(some, self.schema)
            self.remove({*some} - {*rows["id"].to_pylist()})
            if rows.num_rows:
                self.apply(rows)

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
        out = parquet.PartFile(self._version.folder, facts.path, self.schema)
        try:
            for group in _merged(parquet.row_groups(self._version.folder / facts.path), rows, replaced):
                if is_last and out.is_full:
                    written.append(out.finish())
                    number = 1 + max(int(file.path[-13:-8]) for file in [*self._files, *written])
                    out = parquet.PartFile(
                        self._version.folder, f"{self._table}/part-{number:05d}.parquet", self.schema
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
