"""
Snapshots: an organization's tables as plain Parquet files that anything can read.

A snapshot is a folder. Each extraction is an immutable version in it, written aside, synced and only then renamed
into place; the file ``CURRENT`` names the current version and is replaced atomically. A reader never sees half a
version, and a plain ``read_parquet`` of a version's file reads exactly its rows::

    my-org/
        CURRENT                          the name of the current version
        20260331T000000Z-1/
            manifest.json                what was extracted, when, and each file's rows and checksum
            mailings.parquet
            …
"""

import hashlib
import json
import re
import shutil
import stat
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from outreach_frames import __version__, _parquet, _sql
from outreach_frames._fetch import fetch
from outreach_frames._fetch.frames import Options
from outreach_frames._files import replacing, sync
from outreach_frames.client import Client
from outreach_frames.errors import OutreachError, QueryError, SnapshotError
from outreach_frames.stats._pandas import TABLES

POINTER = "CURRENT"
MANIFEST = "manifest.json"
_MANIFEST_FORMAT = 1

TABLE_NAME = r"^[A-Za-z0-9_-]+\Z"
"""What a table may be called in a manifest: a file of the version's own folder."""

_VERSION = re.compile(r"(\d{8}T\d{6}Z)-(\d+)")

_ON_REQUEST = {
    "events",  # several for every mailing; only `first_opens` and `suspect_engagement` read them
    "email_addresses",  # nothing but personal data, and a scope of its own; only two options need them
}
DEFAULT_RESOURCES = tuple(name for name in TABLES if name not in _ON_REQUEST)
"""What the statistics read, without what few of them need."""

_OPTIONS = Options.__annotations__.keys() - {"refresh", "progress"}
"""What each table can be taken with; `take_snapshot` has the other two itself."""

Engine = Literal["duckdb", "polars", "dask", "spark"]


class _Table(msgspec.Struct):
    rows: int
    sha256: str
    as_of: datetime
    options: dict[str, Any] | None = None


class _Manifest(msgspec.Struct):
    as_of: datetime
    tables: dict[Annotated[str, msgspec.Meta(pattern=TABLE_NAME)], _Table]


@dataclass(frozen=True)
class Snapshot:
    """
    A snapshot folder, as one of its versions.

    Attributes
    ----------
    path
        The folder.
    version
        Name of the version read; the current one when the snapshot was opened.

    Examples
    --------
    >>> snapshot.version, len(snapshot.tables)
    ('20260331T000000Z-1', 17)
    >>> snapshot.frame("users").shape
    (8, 74)
    """

    path: Path
    version: str

    @property
    def folder(self) -> Path:
        """Folder of the version, with one Parquet file for each table."""
        return self.path / self.version

    @property
    def manifest(self) -> dict[str, Any]:
        """
        What was extracted and when.

        Raises
        ------
        SnapshotError
            The manifest is missing or unreadable.
        """
        try:
            manifest: dict[str, Any] = msgspec.json.decode((self.folder / MANIFEST).read_bytes())
            msgspec.convert(manifest, _Manifest)
        except (OSError, RecursionError, msgspec.MsgspecError, UnicodeError) as error:
            raise SnapshotError(f"Version {self.version} has no readable manifest.", hint="Take a new one.") from error
        return manifest

    @property
    def tables(self) -> list[str]:
        """Names of the tables, sorted."""
        return sorted(self.manifest["tables"])

    @property
    def as_of(self) -> pd.Timestamp:
        """When the earliest table was extracted (UTC)."""
        return pd.Timestamp(self.manifest["as_of"])

    @property
    def versions(self) -> list[str]:
        """Names of all complete versions, oldest first."""
        named = (_VERSION.fullmatch(folder.name) for folder in self.path.iterdir() if _is_version(folder))
        return [name[0] for name in sorted(filter(None, named), key=lambda name: (name[1], int(name[2])))]

    def frame(self, name: str) -> pd.DataFrame:
        """
        Read one table.

        Parameters
        ----------
        name
            Table, such as ``"mailings"``.

        Returns
        -------
        frame : DataFrame
            As it was fetched: columns, dtypes, order and ``attrs``.

        Raises
        ------
        SnapshotError
            The snapshot has no such table, or its file is damaged.

        Examples
        --------
        >>> snapshot.frame("mailings").shape
        (2371, 44)
        >>> snapshot.frame("invoices")
        Traceback (most recent call last):
            ...
        outreach_frames.errors.SnapshotError: This snapshot has no table 'invoices'.
        Hint: ...
        """
        file = self._file(name)
        with _parquet.readable(name):
            return _parquet.read(file)

    def scan(self, name: str, engine: Engine = "duckdb") -> Any:
        """
        Open one table lazily.

        Parameters
        ----------
        name
            Table, such as ``"mailings"``.
        engine
            What opens it: a DuckDB relation, a polars LazyFrame, a Dask or a Spark DataFrame. Pick lists are
            categories in polars, text in the others. DuckDB's relation is closed as in `sql`: its expressions and its
            own methods read and write no file.

        Raises
        ------
        SnapshotError
            The snapshot has no such table, or its file is damaged.
        QueryError
            There is no such engine.
        ModuleNotFoundError
            The engine is not installed.

        Examples
        --------
        >>> snapshot.scan("mailings").filter("replied_at is not null").count("*").fetchall()
        [(106,)]
        """
        file = self._file(name)
        with _parquet.readable(name):
            return _scanned(name, file, engine)

    def sql(self, query: str, **frames: Any) -> pd.DataFrame:
        """
        Query the tables with SQL (DuckDB's), each under its own name.

        Nothing else is within the query's reach: no file, network, extension, setting or Python variable.

        Parameters
        ----------
        query
            One SELECT statement, for example ``select count(*) from mailings``. Instants are UTC, and so is ``now()``.
        **frames
            Frames of your own to query with the tables, by name: of pandas, polars, PyArrow or another engine, which
            then computes them. An index is left out.

        Returns
        -------
        result : DataFrame
            Arrow-backed; timestamps are UTC instants.

        Raises
        ------
        SnapshotError
            A table's file is missing or damaged, or the query is anything but one SELECT.
        QueryError
            The query is not valid, reaches outside or fails on a value, or a frame has the name of a table.
        DataError
            One of the frames is none.

        Examples
        --------
        >>> snapshot.sql("select count(*) as n, count(replied_at) as replied from mailings")
              n  replied
        0  2371      106
        >>> snapshot.sql("select * from 'mailings.parquet'")
        Traceback (most recent call last):
            ...
        outreach_frames.errors.QueryError: The query reaches outside the snapshot.
        Hint: ...
        """
        if taken := sorted(frames.keys() & {*self.tables}):
            raise QueryError(
                f"The snapshot has a table {taken[0]!r} of its own.", hint="Pass the frame by another name."
            )
        tables = {name: self._dataset(name) for name in self.tables}
        return _sql.select(query, tables | {name: _sql.arrow(name, frame) for name, frame in frames.items()})

    def refresh(self, client: Client, *, progress: bool | None = None) -> "Snapshot":
        """
        Extract the same tables in the same way again, as a new version; the old one stays.

        Raises
        ------
        SnapshotError
            A table was taken with options that a manifest cannot keep, such as a range; take it again by hand.
        OutreachError
            As in `fetch`; the current version does not change then.

        Examples
        --------
        >>> taken = of.take_snapshot(org, folder / "my-org", resources=["users"])
        >>> taken.refresh(org).tables
        ['users']
        >>> len(taken.versions)
        2
        """
        options = {name: facts.get("options") for name, facts in self.manifest["tables"].items()}
        lost = [name for name, chosen in options.items() if not _is_repeatable(chosen)]
        if lost:
            raise SnapshotError(
                f"How {', '.join(lost)} was taken cannot be repeated from the manifest.",
                hint="Call take_snapshot with the same resources again.",
            )
        return take_snapshot(client, self.path, resources=options, progress=progress)

    def verify(self) -> None:
        """
        Check every file of the version against the manifest.

        Raises
        ------
        SnapshotError
            A file is missing or was changed.

        Examples
        --------
        >>> snapshot.verify()
        """
        _file_checksum.cache_clear()
        for name in self.tables:
            self._file(name)

    def _dataset(self, name: str) -> Any:
        file = self._file(name)
        with _parquet.readable(name):
            return _parquet.dataset(file)

    def _file(self, name: str) -> Path:
        """Return the file of a table, which is the one that was written: compared once in a process."""
        facts = self.manifest["tables"].get(name)
        if facts is None:
            raise SnapshotError(
                f"This snapshot has no table {name!r}.", hint=f"It has: {', '.join(self.tables)}. Take it with more."
            )
        file = self.folder / f"{name}.parquet"
        try:
            status = file.lstat()
            if not stat.S_ISREG(status.st_mode):
                raise SnapshotError(f"The file of table {name} is a link or no file.", hint="Take a new snapshot.")
            digest = _file_checksum(file, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        except FileNotFoundError as error:
            raise SnapshotError(f"The file of table {name} is missing.", hint="Take a new snapshot.") from error
        except OSError as error:
            raise SnapshotError(f"The file of table {name} cannot be read: {error.strerror}.") from error
        if digest != facts["sha256"]:
            raise SnapshotError(f"Table {name} of version {self.version} was changed.", hint="Take a new one.")
        return file


def take_snapshot(
    client: Client,
    path: str | Path,
    *,
    resources: Sequence[str] | Mapping[str, Mapping[str, Any]] | None = None,
    refresh: bool = True,
    progress: bool | None = None,
) -> Snapshot:
    """
    Extract tables into a new version of a snapshot folder.

    Parameters
    ----------
    client
        Connection to an organization.
    path
        The snapshot's folder; made if it is not there.
    resources
        Resource types, or a mapping of them to the arguments of `fetch`; default: what the statistics read.
    refresh
        Ask the API even for what the cache has. ``False`` takes over what is cached, such as the pages of an
        extraction that failed; ``as_of`` is then the time of the oldest of them.
    progress
        As in `fetch`.

    Returns
    -------
    snapshot : Snapshot
        The new version, now the current one.

    Raises
    ------
    SnapshotError
        The folder cannot be written, or the disk is full.
    OutreachError
        As in `fetch`. Nothing of the failed version stays, and the current version does not change; pages already
        fetched are cached, so the same call with ``refresh=False`` resumes.

    Examples
    --------
    >>> snapshot = of.take_snapshot(org, folder / "my-org", resources=["users", "sequences"])
    >>> snapshot.tables
    ['sequences', 'users']
    """
    tables = _options_by_table(client, resources)
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise SnapshotError(f"{path.name} is a file.", hint="A snapshot is a folder: name one, or none that is there.")
    aside = path / f".writing-{uuid.uuid4().hex}"
    try:
        aside.mkdir(parents=True)
        version = _taken(client, tables, aside, refresh=refresh, progress=progress)
    except OutreachError:
        raise
    except OSError as error:
        raise SnapshotError(
            f"The snapshot {path.name} cannot be written: {error.strerror or error}.",
            hint="Make room, or name another folder. The current version is as it was.",
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return Snapshot(path, version)


def _taken(
    client: Client,
    options_by_table: Mapping[str, Mapping[str, Any]],
    aside: Path,
    *,
    refresh: bool,
    progress: bool | None,
) -> str:
    """Extract tables into a folder aside and put it in place; return the name of the version."""
    tables = {}
    for table, options in options_by_table.items():
        frame, file = fetch(client, table, refresh=refresh, progress=progress, **options), aside / f"{table}.parquet"
        with replacing(file) as stream:
            _parquet.write(frame, stream)
        tables[table] = {**_table_facts(frame, file), "options": _repeatable_options(options)}
    as_of = min(facts["as_of"] for facts in tables.values())
    manifest = {"format": _MANIFEST_FORMAT, "as_of": as_of, "version": __version__, "tables": tables}
    with replacing(aside / MANIFEST) as stream:
        stream.write(f"{json.dumps(manifest, indent=2)}\n".encode())
    return _put_in_place(aside, aside.parent, as_of)


def _options_by_table(
    client: Client, resources: Sequence[str] | Mapping[str, Mapping[str, Any]] | None
) -> dict[str, Mapping[str, Any]]:
    """Return the options of each table by its name, every name known."""
    if isinstance(resources, str):
        raise QueryError(f"resources={resources!r} is one string.", hint=f"Write resources=[{resources!r}].")
    named = DEFAULT_RESOURCES if resources is None else resources
    options = named if isinstance(named, Mapping) else {name: {} for name in named}
    if not options:
        raise QueryError("A snapshot needs at least one table.", hint="Leave resources out for the usual ones.")
    for name, chosen in options.items():
        if unknown := sorted(chosen.keys() - _OPTIONS):
            raise QueryError(
                f"A snapshot's {name} cannot be taken with {unknown[0]!r}.",
                hint=f"Options: {', '.join(sorted(_OPTIONS))}.",
            )
    return {client.catalog.resource(name).table: chosen for name, chosen in options.items()}


def _repeatable_options(options: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return options as a manifest can keep them; ``None`` where it cannot."""
    try:
        stored: dict[str, Any] = json.loads(json.dumps(options))
    except TypeError:
        return None
    return stored


def _is_repeatable(options: Any) -> bool:
    """Whether a manifest's options are what `fetch` takes."""
    try:
        msgspec.convert(options, Options)
    except msgspec.ValidationError:
        return False
    return bool(options.keys() <= _OPTIONS)


def open_snapshot(path: str | Path, *, version: str | None = None) -> Snapshot:
    """
    Open a snapshot folder.

    Parameters
    ----------
    path
        The folder given to `take_snapshot`.
    version
        One of its ``versions``; default: the current one.

    Raises
    ------
    SnapshotError
        There is no snapshot, or no such version.

    Examples
    --------
    >>> taken = of.take_snapshot(org, folder / "my-org", resources=["users"])
    >>> of.open_snapshot(folder / "my-org").version == taken.version
    True
    >>> of.open_snapshot(folder / "elsewhere")
    Traceback (most recent call last):
        ...
    outreach_frames.errors.SnapshotError: There is no snapshot in elsewhere.
    Hint: ...
    """
    path = Path(path)
    try:
        version = version or (path / POINTER).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise SnapshotError(f"There is no snapshot in {path.name}.", hint="Take one with take_snapshot.") from error
    snapshot = Snapshot(path, version)
    if not _VERSION.fullmatch(version) or not _is_version(snapshot.folder):
        versions = ", ".join(snapshot.versions) if path.is_dir() else ""
        raise SnapshotError(f"The snapshot has no version {version!r}.", hint=f"It has: {versions or 'none'}.")
    return snapshot


def _is_version(folder: Path) -> bool:
    """Whether there is a folder with a manifest, and not links to them."""
    return not folder.is_symlink() and not (folder / MANIFEST).is_symlink() and (folder / MANIFEST).is_file()


def _scanned(name: str, file: Path, engine: Engine) -> Any:
    if engine == "duckdb":
        return _sql.connect({name: _parquet.dataset(file)}).view(name)
    if engine == "polars":
        import polars as pl  # noqa: PLC0415  loaded only where asked for

        return pl.scan_parquet(file, glob=False, hive_partitioning=False)
    if engine == "dask":
        import dask.dataframe as dd  # noqa: PLC0415

        frame = dd.read_parquet(str(file), dtype_backend="pyarrow")
        # Arrow does not sort pick lists; as in DuckDB and Spark they are text.
        texts = {f.name: pd.ArrowDtype(pa.string()) for f in pq.read_schema(file) if pa.types.is_dictionary(f.type)}
        return frame.astype(texts)
    if engine == "spark":
        from pyspark.sql import SparkSession  # noqa: PLC0415

        return SparkSession.builder.config("spark.sql.session.timeZone", "UTC").getOrCreate().read.parquet(str(file))
    raise QueryError(f"There is no engine {engine!r}.", hint="Choose duckdb, polars, dask or spark.")


def _table_facts(frame: pd.DataFrame, file: Path) -> dict[str, Any]:
    return {"rows": len(frame), "sha256": _file_checksum(file), "as_of": frame.attrs["outreach_frames"]["as_of"]}


def _put_in_place(aside: Path, path: Path, as_of: str) -> str:
    """Rename a finished version to a free name, then point to it."""
    sync(aside)
    stem = pd.Timestamp(as_of).strftime("%Y%m%dT%H%M%SZ")
    taken = (_VERSION.fullmatch(folder.name) for folder in path.iterdir())
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


@lru_cache(maxsize=1024)
def _file_checksum(file: Path, *_state: int) -> str:
    """Return a file's SHA-256, computed once for each state of it: inode, size and times."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
