"""
Snapshots: an organization's tables as plain Parquet files that anything can read.

A snapshot is a folder. Each extraction is an immutable version in it, written aside, synced and only then renamed
into place; the file ``CURRENT`` names the current version and is replaced atomically. A reader never sees half a
version, and a plain ``read_parquet`` of a version's file or folder reads exactly the rows of the table::

    my-org/
        CURRENT                          the name of the current version
        20260331T000000Z-1/
            manifest.json                what was extracted, when, and each file's rows, ids and checksum
            users.parquet
            mailings/                    a table of more than 250,000 rows: one file for each range of ids
                part-00001.parquet
                …

Versions share the files that did not change, as hard links.
"""

from outreach_frames.snapshots import statistics_source  # noqa: F401  makes snapshots a source of statistics
from outreach_frames.snapshots._extract import DEFAULT_RESOURCES
from outreach_frames.snapshots.plan import plan_snapshot
from outreach_frames.snapshots.snapshot import Snapshot, open_snapshot
from outreach_frames.snapshots.take import take_snapshot

__all__ = ["DEFAULT_RESOURCES", "Snapshot", "open_snapshot", "plan_snapshot", "take_snapshot"]
