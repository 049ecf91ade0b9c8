"""
The manifest of a version: what was extracted, when, and each file's rows, ids and checksum.

A manifest is not trusted. It names only files of its own folder, none of them a link, and a file whose checksum differs
is not read.
"""

import hashlib
import re
import stat
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec

from outreach_frames.errors import SnapshotError

FORMAT = 2
"""The format that is written; the one before it, with one file for each table, is read too."""
MANIFEST = "manifest.json"
POINTER = "CURRENT"
APPLIED = "applied.arrow"
"""Which columns of which records webhook deliveries changed, and when; no values."""

TABLE_NAME = r"^[A-Za-z0-9_-]+\Z"
"""What a table may be called in a manifest."""
TableName: TypeAlias = Annotated[str, msgspec.Meta(pattern=TABLE_NAME)]
FILE_PATH = r"^(\.?[A-Za-z0-9_-]+|[A-Za-z0-9_-]+/\.?part-\d{5,9})\.parquet\Z"
"""
What a file may be called: one in the version's folder, or one in the folder of its table; with a dot before the name
while it replaces another one.
"""

VERSION = re.compile(r"(\d{8}T\d{6}Z)-(\d+)")
"""Name of a version: when its earliest table was extracted, and a number."""

_YEARS = range(1970, 2262)
"""Years in which every library can reckon with a time, and with one some days before or after it."""

_Time: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]
_Rows: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Id: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | str


def check_times(*times: datetime | None) -> None:
    """Raise `ValueError` for a time that no extraction can have had."""
    if any(time is not None and time.year not in _YEARS for time in times):
        raise ValueError("A time is out of range.")


class FileFacts(msgspec.Struct, kw_only=True, frozen=True):
    """
    One file of a table.

    Attributes
    ----------
    path
        Below the version's folder.
    rows
        [rows]
    sha256
        Checksum of its bytes.
    first_id, last_id
        Smallest and largest id; ``None`` without rows, and in manifests of the format before.
    watermark
        Changes up to then are in it (UTC); ``None`` where that is not known.
    """

    path: Annotated[str, msgspec.Meta(pattern=FILE_PATH)]
    rows: _Rows
    sha256: str
    first_id: _Id | None = None
    last_id: _Id | None = None
    watermark: _Time | None = None

    def __post_init__(self) -> None:
        check_times(self.watermark)


class TableFacts(msgspec.Struct, kw_only=True, frozen=True):
    """
    One table.

    Attributes
    ----------
    rows
        [rows]
    as_of
        When the earliest of its rows was extracted or brought up to date (UTC).
    options
        Arguments of `fetch`; ``None`` where a manifest cannot hold them.
    columns
        Column → Arrow type, in order; empty in manifests of the format before.
    catalog
        Digest of what the catalog said of the type.
    files
        In the order of the rows.
    """

    rows: _Rows
    as_of: _Time
    options: dict[str, Any] | None = None
    columns: dict[str, str] = {}
    catalog: str | None = None
    files: list[FileFacts]

    def __post_init__(self) -> None:
        check_times(self.as_of)


class Manifest(msgspec.Struct, kw_only=True):
    """
    One version.

    Attributes
    ----------
    format
        Number of the format.
    as_of
        When the earliest table was extracted (UTC).
    version
        Version of this package that wrote it.
    organization
        Fingerprint of the organization; ``None`` where nothing asked for it.
    applied
        SHA-256 of the file `APPLIED`; ``None`` where no webhook delivery was applied since the API was read.
    tables
        By name.
    """

    format: Annotated[int, msgspec.Meta(ge=1)] = FORMAT
    as_of: _Time
    version: str = ""
    organization: str | None = None
    applied: str | None = None
    tables: Annotated[dict[TableName, TableFacts], msgspec.Meta(min_length=1)]

    def __post_init__(self) -> None:
        check_times(self.as_of)


def read_manifest(folder: Path) -> Manifest:
    """
    Read the manifest of a version.

    Raises
    ------
    SnapshotError
        It is missing or unreadable, of a newer format, or names a file outside the version's folder.
    """
    try:
        content = msgspec.json.decode((folder / MANIFEST).read_bytes())
        number = content.get("format", 1)
        if isinstance(number, int) and number > FORMAT:
            raise SnapshotError(
                f"Version {folder.name} has format {number}, which is newer than this package.",
                hint="Update outreach_frames.",
            )
        manifest = msgspec.convert(_of_format_1(content) if number == 1 else content, Manifest)
    except (
        OSError,
        RecursionError,
        msgspec.MsgspecError,
        ValueError,
        AttributeError,
        TypeError,
        LookupError,
    ) as error:
        raise _unreadable_manifest(folder) from error
    if not all(has_own_files(name, facts) for name, facts in manifest.tables.items()):
        raise _unreadable_manifest(folder)
    return manifest


def has_own_files(table: str, facts: TableFacts) -> bool:
    """Whether a table has files, each once, all of them where its own are, and together of as many rows."""
    paths = [file.path for file in facts.files]
    is_own = all(re.split(r"[/.]", path.removeprefix("."))[0] == table for path in paths)
    return bool(paths) and is_own and len({*paths}) == len(paths) and sum(f.rows for f in facts.files) == facts.rows


def _of_format_1(content: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest of the first format, in which each table is one file, as one of the second."""
    tables = {
        name: {**facts, "files": [{"path": f"{name}.parquet", "rows": facts["rows"], "sha256": facts["sha256"]}]}
        for name, facts in content["tables"].items()
    }
    return {**content, "tables": tables}


def _unreadable_manifest(folder: Path) -> SnapshotError:
    return SnapshotError(f"Version {folder.name} has no readable manifest.", hint="Take a new one.")


def is_version(folder: Path) -> bool:
    """Whether there is a folder with a manifest, and not links to them."""
    return not folder.is_symlink() and not (folder / MANIFEST).is_symlink() and (folder / MANIFEST).is_file()


def version_names(path: Path) -> list[str]:
    """Return the names of all complete versions, oldest first."""
    matches = (VERSION.fullmatch(folder.name) for folder in path.iterdir() if is_version(folder))
    return [match[0] for match in sorted(filter(None, matches), key=lambda match: (match[1], int(match[2])))]


def checked_file(folder: Path, table: str, facts: FileFacts) -> Path:
    """
    Return a file, which is the one that was written: compared once in a process, and again after a change.

    Raises
    ------
    SnapshotError
        It is missing, a link, unreadable or was changed; the message names it.
    """
    file = folder / facts.path
    name = f"{file.name} of table {table}" if "/" in facts.path else f"file of table {table}"
    try:
        status = file.lstat()
        if file.parent.is_symlink() or not stat.S_ISREG(status.st_mode):
            raise SnapshotError(f"The {name} is a link or no file.", hint="Take a new snapshot.")
        digest = checksum(file, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    except FileNotFoundError as error:
        raise SnapshotError(f"The {name} is missing.", hint="Take a new snapshot.") from error
    except OSError as error:
        raise SnapshotError(f"The {name} cannot be read: {error.strerror}.") from error
    if digest != facts.sha256:
        part = f", {file.name}," if "/" in facts.path else ""
        raise SnapshotError(f"Table {table}{part} of version {folder.name} was changed.", hint="Take a new one.")
    return file


def table_files(folder: Path, table: str, tables: Mapping[str, TableFacts]) -> list[Path]:
    """
    Return the files of a table.

    Raises
    ------
    SnapshotError
        There is no such table, or as in `checked_file`.
    """
    if table not in tables:
        raise SnapshotError(
            f"This snapshot has no table {table!r}.", hint=f"It has: {', '.join(sorted(tables))}. Take it with more."
        )
    return [checked_file(folder, table, facts) for facts in tables[table].files]


@lru_cache(maxsize=4096)
def checksum(file: Path, *_state: int) -> str:
    """Return a file's SHA-256, computed once for each state of it: inode, size and times."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
