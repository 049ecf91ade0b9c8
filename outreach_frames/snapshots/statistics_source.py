"""A snapshot as a source of the statistics: `outreach_frames.stats` reads the tables and columns that it uses."""

import pandas as pd

from outreach_frames.snapshots.snapshot import Snapshot
from outreach_frames.stats._tables import TableReader, table_reader_of


class _SnapshotTables:
    """Tables of a version of a snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def columns(self, name: str) -> list[str]:
        return list(self._snapshot.scan(name).columns) if name in self._snapshot.tables else []

    def read(self, name: str, columns: list[str]) -> pd.DataFrame:
        return self._snapshot.frame(name, columns=columns)


@table_reader_of.register
def _of_snapshot(source: Snapshot) -> TableReader:
    return _SnapshotTables(source)
