"""
Write a version aside, file by file, and put it in place when it is complete.

What is finished survives an interruption: the next attempt at the same version takes it over. One program writes to a
snapshot at a time; its lock ends with its process.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, Self

import msgspec
import pandas as pd
import pyarrow as pa

from outreach_frames import __version__
from outreach_frames._files import file_lock, replacing, sync
from outreach_frames.errors import OutreachError, SnapshotError
from outreach_frames.snapshots import parquet
from outreach_frames.snapshots._manifest import (
    MANIFEST,
    POINTER,
    VERSION,
    FileFacts,
    Manifest,
    TableFacts,
    TableName,
    check_times,
    checked_file,
    has_own_files,
    is_version,
    read_manifest,
    version_names,
)

RESUME_WITHIN = timedelta(hours=24)
"""How long finished files of an interrupted attempt are taken over."""

_ASIDE = ".writing-"
_JOURNAL = "unfinished.json"


class _Journal(msgspec.Struct, kw_only=True):
    """What an unfinished version has: its finished tables, and the finished files of the table under way."""

    started: Annotated[datetime, msgspec.Meta(tz=True)]
    organization: str | None = None
    tables: dict[TableName, TableFacts] = {}
    parts: dict[TableName, list[FileFacts]] = {}

    def __post_init__(self) -> None:
        check_times(self.started)


_journal_decoder = msgspec.json.Decoder(_Journal)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """
    Be the only one who writes to a snapshot folder, which is made if it does not exist.

    Raises
    ------
    SnapshotError
        Another program is writing to it, it is a file, or it cannot be written.
    """
    if "\0" in str(path):
        raise SnapshotError("No folder can have a NUL character in its name.", hint="Name another one.")
    if path.exists() and not path.is_dir():
        raise SnapshotError(f"{path.name} is a file.", hint="A snapshot is a folder: name one, or none that is there.")
    try:
        path.mkdir(parents=True, exist_ok=True)
        with _locked(path):
            yield
    except OutreachError:
        raise
    except OSError as error:
        raise SnapshotError(
            f"The snapshot {path.name} cannot be written: {error.strerror or error}.",
            hint="Make room, or name another folder. The current version is as it was.",
        ) from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Lock the folder itself, so that no file of a lock stays in it; where that is impossible, a file in it."""
    try:
        import fcntl  # noqa: PLC0415  not on Windows
    except ImportError:
        with file_lock(path / ".snapshot", timeout=0):
            yield
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise SnapshotError(
            f"Another program is writing to the snapshot {path.name}.", hint="Wait until it has ended."
        ) from error
    try:
        yield
    finally:
        os.close(descriptor)


def current_version(path: Path) -> Path | None:
    """Return the folder of the current version; ``None`` where there is none that can be read."""
    with suppress(OSError, ValueError, SnapshotError):
        name = (path / POINTER).read_text(encoding="utf-8").strip()
        if VERSION.fullmatch(name) and is_version(path / name):
            read_manifest(path / name)
            return path / name
    return None


class UnfinishedVersion:
    """
    A version that is being written; used in a ``with`` block, within `writing`.

    Parameters
    ----------
    path
        The snapshot's folder.
    request
        What the version is to hold, as JSON; finished files of another attempt at the same are taken over, and those
        of attempts at something else are removed. ``None``: other attempts are left alone.
    tables
        Names of the tables that it is to have; after the last one nothing needs to be noted.
    base
        Folder of the version before, whose files are shared where they are equal; ``None``: there is none.

    Attributes
    ----------
    folder
        Where it is written.
    base, base_tables
        Folder and tables of the version before.
    applied
        As in `Manifest`.

    Raises
    ------
    SnapshotError
        The version before has no readable manifest.
    """

    def __init__(self, path: Path, request: Any, *, tables: Collection[str], base: Path | None = None) -> None:
        digest = os.urandom(16) if request is None else hashlib.sha256(msgspec.json.encode(request)).digest()
        self.folder = path / f"{_ASIDE}{digest.hex()[:32]}"
        self._wanted = frozenset(tables)
        self._leaves_others = request is None
        self.base = base
        self.base_tables = {} if base is None else read_manifest(base).tables
        self.applied: str | None = None
        self._journal = _Journal(started=datetime.now(UTC))

    def __enter__(self) -> Self:
        for folder in self.folder.parent.glob(f"{_ASIDE}*"):
            if folder.is_symlink() or not (folder == self.folder or self._leaves_others):
                _remove(folder)
        if self.folder.is_dir():
            self._take_over()
        else:
            _remove(self.folder)
            self.folder.mkdir()
        return self

    def __exit__(self, *_: object) -> None:
        if not (self.folder / _JOURNAL).is_file():
            _remove(self.folder)

    @property
    def tables(self) -> Mapping[str, TableFacts]:
        """The finished tables."""
        return self._journal.tables

    @property
    def has_files(self) -> bool:
        """Whether anything is finished."""
        return bool(self._journal.tables or self._journal.parts)

    def parts(self, table: str) -> list[FileFacts]:
        """Return the finished files of a table that is not finished."""
        return self._journal.parts.get(table, [])

    @property
    def organization(self) -> str | None:
        """Fingerprint of the organization that finished files come from."""
        return self._journal.organization

    @organization.setter
    def organization(self, fingerprint: str | None) -> None:
        """Set it; files of another organization are dropped."""
        if self._journal.organization not in (None, fingerprint):
            _remove(self.folder)
            self.folder.mkdir()
            self._journal = _Journal(started=datetime.now(UTC))
        self._journal.organization = fingerprint

    def add_part(self, table: str, facts: FileFacts, *, is_last: bool) -> None:
        """Note a finished file of a table that is not finished; the last one is noted with its table."""
        self._journal.parts.setdefault(table, []).append(facts)
        if not is_last:
            self._save()

    def add_table(self, table: str, facts: TableFacts) -> None:
        """Note a finished table: several files in a folder of its own, or one file."""
        if len(facts.files) == 1:
            only = facts.files[0]
            (self.folder / only.path).replace(self.folder / f"{table}.parquet")
            (self.folder / table).rmdir()
            facts = msgspec.structs.replace(facts, files=[msgspec.structs.replace(only, path=f"{table}.parquet")])
        self._journal.parts.pop(table, None)
        self._journal.tables[table] = facts
        if len(self._journal.tables) < len(self._wanted):
            self._save()

    def publish(self, keep: int | None) -> str:
        """
        Put the version in place, point to it, and remove all but the newest versions; return its name.

        Raises
        ------
        SnapshotError
            Its own manifest could not be read; the version before stays in force.
        """
        tables = dict(self._journal.tables)
        as_of = min(facts.as_of for facts in tables.values())
        manifest = Manifest(
            as_of=as_of,
            version=__version__,
            organization=self._journal.organization,
            applied=self.applied,
            tables=dict(sorted(tables.items())),
        )
        with replacing(self.folder / MANIFEST) as stream:
            stream.write(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        read_manifest(self.folder)
        for folder in self.folder.iterdir():
            if folder.is_dir():
                sync(folder)
        version = _put_in_place(self.folder, as_of)
        self._journal = _Journal(started=datetime.now(UTC))
        (self.folder.parent / version / _JOURNAL).unlink(missing_ok=True)
        remove_versions(self.folder.parent, keep, current=version)
        return version

    def _save(self) -> None:
        with replacing(self.folder / _JOURNAL) as stream:
            stream.write(msgspec.json.encode(self._journal))

    def _take_over(self) -> None:
        """Keep the finished files of an earlier attempt that are as they were written; remove all others."""
        journal = _read_journal(self.folder)
        if journal is not None and abs(datetime.now(UTC) - journal.started) < RESUME_WITHIN:
            self._journal = journal
        self._journal.tables = {
            name: facts
            for name, facts in self._journal.tables.items()
            if name in self._wanted and has_own_files(name, facts) and self._intact(name, facts.files) == facts.files
        }
        self._journal.parts = {
            name: intact
            for name, files in self._journal.parts.items()
            if name in self._wanted - self._journal.tables.keys()
            and all(file.path == part_path(name, number) for number, file in enumerate(files, 1))
            and (intact := self._intact(name, files))
        }
        _remove_unlisted(self.folder, self._journal)

    def _intact(self, table: str, files: Sequence[FileFacts]) -> list[FileFacts]:
        """Return the files up to the first that was changed or removed, or is not as the journal says."""
        intact = []
        for facts in files:
            try:
                if not parquet.agrees(checked_file(self.folder, table, facts), facts):
                    break
            except SnapshotError:
                break
            intact.append(facts)
        return intact


def remove_versions(path: Path, keep: int | None, *, current: str) -> None:
    """Remove all but the newest versions, within `writing`; never the current one. ``None`` keeps all."""
    for name in version_names(path)[:-keep] if keep is not None else []:
        if name != current:
            _remove(path / name)


def part_path(table: str, number: int) -> str:
    """Return the path of one of a table's files below its version's folder."""
    return f"{table}/part-{number:05d}.parquet"


class PartWriter:
    """
    Writes the rows of one table, in the order they come, to files of about `parquet.FILE_ROWS` rows.

    Parameters
    ----------
    version
        The version; finished files of the table are noted there.
    table
        Name of the table.
    schema
        Columns, and metadata with the frame's ``attrs``.
    """

    def __init__(self, version: UnfinishedVersion, table: str, schema: pa.Schema) -> None:
        self._version = version
        self._table = table
        self._schema = schema
        self._folder = version.folder / table
        self._folder.mkdir(exist_ok=True)
        self._writer: parquet.PartFile | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.abandon()

    def write(self, rows: pa.Table, watermark: datetime | None) -> None:
        """Write rows; finish the file when it is large enough."""
        for start in range(0, rows.num_rows, parquet.GROUP_ROWS):
            if self._writer is None:
                self._writer = self._new_file()
            self._writer.write(rows.slice(start, parquet.GROUP_ROWS), watermark)
            if self._writer.is_full:
                self._finish_file(is_last=False)

    def finish(self) -> list[FileFacts]:
        """Finish the last file, which may be without rows, and return the facts of all."""
        if self._writer is None and not self._version.parts(self._table):
            self._writer = self._new_file()
        if self._writer is not None:
            self._finish_file(is_last=True)
        return self._version.parts(self._table)

    def _new_file(self) -> "parquet.PartFile":
        number = 1 + len(self._version.parts(self._table))
        return parquet.PartFile(self._version.folder, part_path(self._table, number), self._schema)

    def _finish_file(self, *, is_last: bool) -> None:
        if self._writer is not None:
            facts = self._writer.finish()
            self._writer = None
            self._version.add_part(self._table, self._shared(facts), is_last=is_last)

    def _shared(self, facts: FileFacts) -> FileFacts:
        """Put the file of the version before in place of an equal one, so that the two share it."""
        before = self._version.base_tables.get(self._table)
        number = len(self._version.parts(self._table))
        if before is None or self._version.base is None or number >= len(before.files):
            return facts
        old = before.files[number]
        with suppress(OutreachError), parquet.readable(self._table):
            file = checked_file(self._version.base, self._table, old)
            if old.rows == facts.rows and parquet.has_same_rows(file, self._version.folder / facts.path):
                parquet.link(file, self._version.folder / facts.path)
                return msgspec.structs.replace(facts, sha256=old.sha256)
        return facts


def unfinished_versions(path: Path) -> list[Path]:
    """Return the folders of versions that are not finished."""
    return sorted(folder for folder in path.glob(f"{_ASIDE}*") if not folder.is_symlink())


def unfinished_files(folder: Path) -> dict[str, list[FileFacts]]:
    """Return the finished files of an unfinished version by their tables; none where its journal cannot be read."""
    journal = _read_journal(folder)
    if journal is None:
        return {}
    return {**{name: facts.files for name, facts in journal.tables.items()}, **journal.parts}


def keep_unfinished(folder: Path, is_good: Callable[[str, FileFacts], bool]) -> None:
    """
    Remove finished files of an unfinished version, within `writing`; they are asked for again when it goes on.

    A finished table goes as a whole, an unfinished one from the first such file on. So does whatever no journal lists.
    """
    journal = _read_journal(folder)
    if journal is None:
        _remove(folder)
        return
    journal.tables = {
        name: facts for name, facts in journal.tables.items() if all(is_good(name, file) for file in facts.files)
    }
    parts = {name: list(takewhile(partial(is_good, name), files)) for name, files in journal.parts.items()}
    journal.parts = {name: files for name, files in parts.items() if files}
    with replacing(folder / _JOURNAL) as stream:
        stream.write(msgspec.json.encode(journal))
    _remove_unlisted(folder, journal)


def _read_journal(folder: Path) -> _Journal | None:
    with suppress(OSError, msgspec.MsgspecError, RecursionError, ValueError):
        return _journal_decoder.decode((folder / _JOURNAL).read_bytes())
    return None


def _remove_unlisted(folder: Path, journal: _Journal) -> None:
    """Remove the files of an unfinished version that its journal does not list, and folders without files."""
    finished = [facts.path for table in journal.tables.values() for facts in table.files]
    finished += [facts.path for files in journal.parts.values() for facts in files]
    listed = {folder / path for path in [_JOURNAL, *finished]}
    for file in [file for file in folder.rglob("*") if file.is_symlink() or not file.is_dir()]:
        if file not in listed:
            file.unlink()
    for each in [each for each in folder.iterdir() if each.is_dir() and not any(each.iterdir())]:
        each.rmdir()


def _put_in_place(aside: Path, as_of: datetime) -> str:
    """Rename a finished version to a free name, then point to it."""
    path = aside.parent
    sync(aside)
    stem = pd.Timestamp(as_of).strftime("%Y%m%dT%H%M%SZ")
    taken = (VERSION.fullmatch(folder.name) for folder in path.iterdir())
    version = _renamed(aside, stem, 1 + max((int(name[2]) for name in taken if name and name[1] == stem), default=0))
    with replacing(path / POINTER) as stream:
        stream.write(f"{version}\n".encode())
    sync(path)
    return version


def _renamed(aside: Path, stem: str, number: int) -> str:
    """Rename a version to the first name from a number on that nobody else has taken meanwhile; return it."""
    while True:
        version = f"{stem}-{number}"
        try:
            aside.rename(aside.with_name(version))
        except OSError:
            if not aside.with_name(version).exists():
                raise
            number += 1
        else:
            return version


def _remove(folder: Path) -> None:
    """Remove a folder, or the link or file in its place."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    else:
        shutil.rmtree(folder, ignore_errors=True)
