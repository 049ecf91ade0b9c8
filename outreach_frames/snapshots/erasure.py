"""
Erase a person from all versions of a snapshot.

A file with the person is written anew beside the old one, under a name with a dot; the manifest then names the new
file; the new file takes the place and the name of the old one; and the manifest names it by that again. Each step
replaces one file atomically, so that the files that the manifest names are there at every moment, and a run that was
killed is completed by the next one. Versions that share a file share the new one too. A file that was changed or is
missing cannot be judged; its version is left alone and reported.

Unfinished versions lose the files with the person: these are asked for again when the extraction goes on.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec
import pyarrow.parquet as pq

from outreach_frames._files import replacing, sync
from outreach_frames._person import Erased, Person
from outreach_frames.errors import SnapshotError
from outreach_frames.snapshots import parquet
from outreach_frames.snapshots._manifest import (
    FORMAT,
    MANIFEST,
    VERSION,
    FileFacts,
    Manifest,
    TableFacts,
    checked_file,
    is_version,
    read_manifest,
    version_names,
)
from outreach_frames.snapshots._notes import read_notes, settle_notes, write_notes
from outreach_frames.snapshots._person_rows import ErasedCounts, RowErasure, counts_of, ids_of_address
from outreach_frames.snapshots._writing import keep_unfinished, unfinished_files, unfinished_versions, writing


def is_snapshot(path: Path) -> bool:
    """Whether a folder has a version, finished or not."""
    return path.is_dir() and bool(version_names(path) or unfinished_versions(path))


def organizations_of_snapshot(path: Path) -> set[str]:
    """Return the fingerprints of the organizations that versions were taken from, as far as they are known."""
    organizations = set()
    for name in version_names(path):
        with suppress(SnapshotError):
            organizations.add(read_manifest(path / name).organization)
    return {each for each in organizations if each is not None}


def ids_in_snapshot(path: Path, person: Person) -> set[int]:
    """Return the ids of the prospects that any version shows with the address; damaged files are passed over."""
    ids: set[int] = set()
    seen: set[str] = set()
    for folder, tables in _folders(path):
        for table, files in tables.items():
            for facts in files:
                if facts.sha256 not in seen:
                    seen.add(facts.sha256)
                    with suppress(SnapshotError), parquet.readable(table):
                        ids |= ids_of_address([checked_file(folder, table, facts)], table, person)
    return ids


def erase_from_snapshot(path: Path, person: Person, *, dry_run: bool) -> Iterator[Erased | SnapshotError]:
    """
    Erase the person from all versions of a snapshot, finished or not; one program does so at a time.

    Yields
    ------
    erased : Erased or SnapshotError
        What was done in each table with the person, one at least for each version; or why a version was left alone.

    Raises
    ------
    SnapshotError
        There is no snapshot, another program is writing to it, or the disk is full.
    """
    if not is_snapshot(path):
        raise SnapshotError(f"There is no snapshot in {path.name}.", hint="Name the folder given to take_snapshot.")
    with writing(path):
        erasure = _Erasure(path, person, dry_run=dry_run)
        for folder in unfinished_versions(path):
            yield from erasure.unfinished(folder)
        for name in version_names(path):
            try:
                yield from erasure.version(path / name)
            except SnapshotError as error:
                yield error
        for folder in [] if dry_run else list(path.iterdir()):
            is_remnant = VERSION.fullmatch(folder.name) and not folder.is_symlink() and not is_version(folder)
            if is_remnant and not (folder / MANIFEST).is_symlink():  # its removal was broken off
                shutil.rmtree(folder, ignore_errors=True)


class _Erasure:
    """One run over the versions of a snapshot."""

    def __init__(self, path: Path, person: Person, *, dry_run: bool) -> None:
        self._path = path
        self._person = person
        self._dry_run = dry_run
        self._counts: dict[tuple[str, str], ErasedCounts] = {}
        self._renewed: dict[tuple[str, str], FileFacts] = {}
        """Table and checksum of an old file → the new one."""
        self._written: dict[tuple[str, str], Path] = {}
        """Table and checksum → the file, of the versions that are finished."""

    def version(self, folder: Path) -> list[Erased]:
        """Erase the person from one version; return what was done in each of its tables."""
        if not self._dry_run:
            _settle_files(folder)
        manifest = read_manifest(folder)
        counts = {name: self._table_counts(folder, name, facts.files) for name, facts in manifest.tables.items()}
        options = {name: self._person.without(facts.options) for name, facts in manifest.tables.items()}
        if not self._dry_run:
            tables = {
                name: msgspec.structs.replace(self._without(folder, name, facts), options=options[name][0])
                for name, facts in manifest.tables.items()
            }
            applied = self._applied(folder, manifest)
            if tables != manifest.tables or applied != manifest.applied:
                manifest.tables, manifest.applied = tables, applied
                _write_manifest(folder, manifest)
                _settle_files(folder)
            for name, facts in read_manifest(folder).tables.items():
                for file in facts.files:
                    self._written.setdefault((name, file.sha256), folder / file.path)
        return self._report(
            folder.name, {name: ErasedCounts(each.rows, each.cells + options[name][1]) for name, each in counts.items()}
        )

    def _applied(self, folder: Path, manifest: Manifest) -> str | None:
        """Write the notes on deliveries anew without the person's ids; return the checksum of those that count."""
        with suppress(SnapshotError):  # of no use to anybody until a refresh, which writes others
            notes = read_notes(folder, manifest)
            is_own = (notes["table"] == "prospects") & notes["id"].isin(self._person.ids)
            if is_own.any():
                return write_notes(folder, notes[~is_own], aside=True)
        return manifest.applied

    def unfinished(self, folder: Path) -> list[Erased]:
        """Remove the files with the person from a version that is not finished; return what they held."""
        counts: dict[str, ErasedCounts] = {}
        affected = set()
        for name, files in unfinished_files(folder).items():
            for facts in files:
                try:
                    own = self._table_counts(folder, name, [facts])
                except SnapshotError:  # what is damaged is asked for again in any case
                    own = ErasedCounts(0, 0)
                    affected.add(facts.path)
                if any(own):
                    affected.add(facts.path)
                rows, cells = counts.get(name, ErasedCounts(0, 0))
                counts[name] = ErasedCounts(rows + own.rows, cells + own.cells)
        if not self._dry_run:
            keep_unfinished(folder, lambda _, facts: facts.path not in affected)
            if any(self._person.is_in(file.read_bytes()) for file in folder.glob("*.json")):
                shutil.rmtree(folder)
        return self._report("unfinished version", counts)

    def _report(self, part: str, counts: Mapping[str, ErasedCounts]) -> list[Erased]:
        where = f"{self._path.name}, {part}"
        erased = [Erased(f"{where}, {name}", *each) for name, each in sorted(counts.items()) if any(each)]
        return erased or [Erased(where)]

    def _table_counts(self, folder: Path, table: str, files: list[FileFacts]) -> ErasedCounts:
        parts = []
        for facts in files:
            key = table, facts.sha256
            if key not in self._counts:
                file = checked_file(folder, table, facts)
                with parquet.readable(table):
                    self._counts[key] = counts_of(file, table, self._person)
            parts.append(self._counts[key])
        return ErasedCounts(sum(part.rows for part in parts), sum(part.cells for part in parts))

    def _without(self, folder: Path, table: str, facts: TableFacts) -> TableFacts:
        """Write the files with the person anew, under names with a dot, and return the table as it then is."""
        files = [
            self._rewritten(folder, table, file) if any(self._counts[table, file.sha256]) else file
            for file in facts.files
        ]
        if files == facts.files:
            return facts
        files = [new for new, old in zip(files, facts.files, strict=True) if new.rows or not old.rows] or files[:1]
        return msgspec.structs.replace(facts, rows=sum(file.rows for file in files), files=files)

    def _rewritten(self, folder: Path, table: str, old: FileFacts) -> FileFacts:
        """Write a file anew, or share the new one of a version before; a run that was killed may have written it."""
        aside = _hidden(old.path)
        new = self._renewed.get((table, old.sha256))
        if new is None or (table, new.sha256) not in self._written:
            new = self._renewed[table, old.sha256] = self._write(folder, table, old)
        file = self._written.get((table, new.sha256))
        if file is not None:
            parquet.link(file, folder / aside)
        return msgspec.structs.replace(new, path=aside, watermark=old.watermark)

    def _write(self, folder: Path, table: str, old: FileFacts) -> FileFacts:
        file = folder / old.path
        with parquet.readable(table):
            schema = pq.read_schema(file)
        erasure = RowErasure(table, schema, self._person)
        out = parquet.PartFile(folder, _hidden(old.path), erasure.schema)
        try:
            for group in parquet.row_groups(file):
                out.write(erasure.erased(group)[0], None)
            return msgspec.structs.replace(out.finish(), watermark=old.watermark)
        except BaseException:
            out.abandon()
            raise


def _folders(path: Path) -> Iterator[tuple[Path, Mapping[str, list[FileFacts]]]]:
    """Yield each version, finished or not, and its files by their tables."""
    for folder in unfinished_versions(path) if path.is_dir() else []:
        yield folder, unfinished_files(folder)
    for name in version_names(path) if path.is_dir() else []:
        with suppress(SnapshotError):
            tables = read_manifest(path / name).tables
            yield path / name, {table: facts.files for table, facts in tables.items()}


def _settle_files(folder: Path) -> None:
    """Let files whose names have a dot take the place of those that they replace; remove what is not listed."""
    manifest = read_manifest(folder)
    renamed = dict(manifest.tables)
    for name, facts in manifest.tables.items():
        files = []
        for file in facts.files:
            final = _plain_path(file.path)
            if final != file.path:
                parquet.link(checked_file(folder, name, file), folder / final)
            files.append(msgspec.structs.replace(file, path=final))
        renamed[name] = msgspec.structs.replace(facts, files=files)
    if renamed != manifest.tables:
        _sync_folders(folder)
        manifest.tables = renamed
        _write_manifest(folder, manifest)
    listed = {folder / file.path for facts in manifest.tables.values() for file in facts.files}
    for each in [*folder.glob(".*.json"), *folder.glob("*.parquet"), *folder.glob("*/*.parquet")]:
        path = each.relative_to(folder)
        is_ours = path.name.startswith(".") or path.parts[0].removesuffix(".parquet") in manifest.tables
        if is_ours and each not in listed and not each.parent.is_symlink() and not each.is_dir():
            each.unlink()
    settle_notes(folder, manifest)
    _sync_folders(folder)


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    _sync_folders(folder)
    manifest.format = FORMAT
    with replacing(folder / MANIFEST) as stream:
        stream.write(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
    sync(folder)


def _sync_folders(folder: Path) -> None:
    for each in [folder, *folder.iterdir()]:
        if each.is_dir() and not each.is_symlink():
            sync(each)


def _hidden(path: str) -> str:
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}.{name}"


def _plain_path(path: str) -> str:
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{name.removeprefix('.')}"
