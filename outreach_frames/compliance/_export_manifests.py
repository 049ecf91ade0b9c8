"""The manifests of exports, which have the checksums of files that are replaced."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from outreach_frames._files import replacing
from outreach_frames.snapshots._manifest import MANIFEST

_DEPTH = 2
"""How many folders above a file its manifest can be: a table's files are in a folder of their own."""


@contextmanager
def renewed_entry(path: Path, removed: int, *, is_changed: bool) -> Iterator[None]:
    """
    Let the manifest that lists a file have its size and checksum after the block.

    Parameters
    ----------
    path
        The file, which the block replaces.
    removed
        Rows that the block removes.
    is_changed
        Whether it does anything. Otherwise the entry stays as it is, unless a run that was killed left it without.
    """
    listed = _entry_of(path)
    if listed is None:
        yield
        return
    manifest, content, entry = listed
    if not is_changed and entry["sha256"]:
        yield
        return
    if entry["sha256"]:
        entry |= {"sha256": "", "rows": entry["rows"] - removed}
        tables = content.get("tables", {})
        if isinstance(tables.get(entry["table"]), dict):
            tables[entry["table"]]["rows"] -= removed
        _write(manifest, content)
    yield
    with path.open("rb") as stream:
        entry["sha256"] = hashlib.file_digest(stream, "sha256").hexdigest()
    entry["bytes"] = path.stat().st_size
    _write(manifest, content)


def _entry_of(path: Path) -> tuple[Path, dict[str, Any], dict[str, Any]] | None:
    """Return the manifest that lists a file, its content and the entry in it; ``None`` where there is none."""
    for folder in [*path.parents][:_DEPTH]:
        try:
            content = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=dict[str, Any])
            entries = msgspec.convert(content.get("files"), list[dict[str, Any]])
        except (OSError, msgspec.MsgspecError, UnicodeError):
            continue
        name = path.relative_to(folder).as_posix()
        for entry in entries:
            if entry.get("path") == name and {"table", "rows", "bytes", "sha256"} <= entry.keys():
                content["files"] = entries
                return folder / MANIFEST, content, entry
    return None


def _write(manifest: Path, content: dict[str, Any]) -> None:
    with replacing(manifest) as stream:
        stream.write(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
