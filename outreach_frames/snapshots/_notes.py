"""What webhook deliveries changed in a version since the API was read: which columns of which records, and when."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc

from outreach_frames._files import replacing
from outreach_frames.errors import SnapshotError
from outreach_frames.snapshots._manifest import APPLIED, Manifest

NO_TIME = np.iinfo(np.int64).min
"""In place of an instant: there is none."""

AS_READ = "="
"""In place of a column: ``at`` is the ``updated_at`` that the API gave, `NO_TIME` for a record that it did not give."""
_ASIDE = f".{APPLIED}"
"""Notes that are to replace others: the manifest has the checksum of either."""
REMOVED = "-"
"""In place of a column: the record was destroyed."""

_NOTES_SCHEMA = pa.schema(
    [("table", pa.string()), ("id", pa.int64()), ("column", pa.string()), ("at", pa.int64()), ("sent", pa.int64())]
)


def read_notes(base: Path, manifest: Manifest) -> pd.DataFrame:
    """
    Read the notes of a version.

    Returns
    -------
    notes : DataFrame
        ``table``, ``id``, ``column``; ``at`` [``updatedAt``, µs since 1970]; ``sent`` [when the delivery was sent, µs
        since 1970]. Each column of a record is there once; values are not.

    Raises
    ------
    SnapshotError
        They are missing or were changed.
    """
    if manifest.applied is None:
        return pd.DataFrame(_NOTES_SCHEMA.empty_table().to_pandas())
    for name in (APPLIED, _ASIDE):
        try:
            content = (base / name).read_bytes()
            if hashlib.sha256(content).hexdigest() == manifest.applied:
                return pd.DataFrame(pa.ipc.open_file(content).read_all().to_pandas())
        except (OSError, pa.ArrowException):
            pass
    raise SnapshotError(
        f"The notes on deliveries of version {base.name} are missing or were changed.", hint="Refresh the snapshot."
    )


def write_notes(folder: Path, notes: pd.DataFrame, *, aside: bool = False) -> str | None:
    """Write the notes of a version, or those that are to replace them; return their checksum, ``None`` for none."""
    path = folder / (_ASIDE if aside else APPLIED)
    if not len(notes):
        return None
    table = pa.Table.from_pandas(notes, schema=_NOTES_SCHEMA, preserve_index=False)
    with replacing(path) as stream:
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_file(stream, _NOTES_SCHEMA, options=options) as out:
            out.write_table(table)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def settle_notes(folder: Path, manifest: Manifest) -> None:
    """Let notes that were written to replace others take their place, once the manifest has their checksum."""
    aside, place = folder / _ASIDE, folder / APPLIED
    if aside.is_file() and hashlib.sha256(aside.read_bytes()).hexdigest() == manifest.applied:
        aside.replace(place)
    aside.unlink(missing_ok=True)
    if manifest.applied is None:
        place.unlink(missing_ok=True)


def noted_ids(base: Path, manifest: Manifest) -> dict[str, list[int]] | None:
    """Return the ids of the records that deliveries changed, by table; ``None`` where the notes cannot be read."""
    try:
        notes = read_notes(base, manifest)
    except SnapshotError:
        return None
    return {str(table): sorted({*own["id"].tolist()}) for table, own in notes.groupby("table")}
