"""Extract an organization's tables into a new version of a snapshot."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from outreach_frames.client import Client
from outreach_frames.snapshots._extract import (
    check_keep,
    note_organization,
    options_by_table,
    take_table,
    version_request,
)
from outreach_frames.snapshots._writing import UnfinishedVersion, current_version, writing
from outreach_frames.snapshots.snapshot import Snapshot


def take_snapshot(
    client: Client,
    /,
    path: str | Path,
    *,
    resources: Sequence[str] | Mapping[str, Mapping[str, Any]] | None = None,
    refresh: bool = True,
    keep: int | None = None,
    progress: bool | None = None,
) -> Snapshot:
    """
    Extract tables into a new version of a snapshot folder.

    A large table is read by ranges of ids, and written range by range: memory does not grow with the table. What was
    finished when an attempt was interrupted is taken over by the next call for the same tables within 24 hours.

    Parameters
    ----------
    client
        Connection to an organization.
    path
        The snapshot's folder; made if it is not there.
    resources
        Resource types, or a mapping of them to the arguments of `fetch`; default: what the statistics read. With
        ``sort``, ``limit``, ``parallel``, ``fields="*"``, ``custom="labels"`` or a filter on ids a table is fetched as
        one frame.
    refresh
        Ask the API even for what the cache has. ``False`` takes over what is cached, each table as one frame;
        ``as_of`` is then the time of the oldest page.
    keep
        How many versions to keep, the new one among them [versions]; ``None``: all.
    progress
        As in `fetch`.

    Returns
    -------
    snapshot : Snapshot
        The new version, now the current one. Files that equal those of the version before are shared with it.

    Raises
    ------
    SnapshotError
        The folder cannot be written, the disk is full, or another program is writing to it.
    QueryError
        There is no such resource or option, or ``keep`` is below 1; nothing was sent.
    OutreachError
        As in `fetch`. The current version does not change; the same call goes on from the last finished file.

    Examples
    --------
    >>> snapshot = of.take_snapshot(org, folder / "my-org", resources=["users", "sequences"])
    >>> snapshot.tables
    ['sequences', 'users']
    """
    path = Path(path)
    tables = options_by_table(client, resources)
    check_keep(keep)
    with writing(path):
        base = current_version(path)
        request = version_request(client, tables) if refresh else None
        with UnfinishedVersion(path, request, tables=tables, base=base) as version:
            if refresh and (len(tables) > 1 or version.has_files):
                note_organization(client, version)
            for table, options in tables.items():
                if table not in version.tables:
                    take_table(client, table, options, version, refresh=refresh, progress=progress)
            return Snapshot(path, version.publish(keep))
