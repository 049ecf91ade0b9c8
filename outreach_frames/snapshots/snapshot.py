"""Read a version of a snapshot: tables as frames, lazily or by SQL; checksums are compared first."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, overload

import msgspec
import pandas as pd
import pyarrow as pa

from outreach_frames._frame_kinds import Dtypes, FrameKind, Library, check_dtypes
from outreach_frames.client import Client
from outreach_frames.errors import QueryError, SnapshotError
from outreach_frames.snapshots import _sql, parquet
from outreach_frames.snapshots._apply import apply_version
from outreach_frames.snapshots._describe import check_tables, column_dictionary, differences
from outreach_frames.snapshots._export_tables import Format, export_tables
from outreach_frames.snapshots._manifest import (
    MANIFEST,
    POINTER,
    VERSION,
    Manifest,
    checked_file,
    checksum,
    is_version,
    read_manifest,
    table_files,
    version_names,
)
from outreach_frames.snapshots._notes import read_notes
from outreach_frames.snapshots._refresh import Deletions, refresh_version
from outreach_frames.snapshots._verify import checks

if TYPE_CHECKING:
    import polars as pl


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
    dtypes
        What backs the columns of frames where a call does not say, as in `open_snapshot`.

    Examples
    --------
    >>> snapshot.version, len(snapshot.tables)
    ('20260331T000000Z-1', 17)
    >>> snapshot.frame("users").shape
    (8, 74)
    """

    path: Path
    version: str
    dtypes: Dtypes = field(default="arrow", compare=False)

    @property
    def folder(self) -> Path:
        """Folder of the version, with a Parquet file for each table, or a folder of them for a large one."""
        return self.path / self.version

    @property
    def manifest(self) -> dict[str, Any]:
        """
        What was extracted and when.

        Raises
        ------
        SnapshotError
            The manifest is missing or unreadable, or of a newer format.
        """
        read_manifest(self.folder)
        manifest: dict[str, Any] = msgspec.json.decode((self.folder / MANIFEST).read_bytes())
        return manifest

    @property
    def _manifest(self) -> Manifest:
        return read_manifest(self.folder)

    @property
    def tables(self) -> list[str]:
        """Names of the tables, sorted."""
        return sorted(self._manifest.tables)

    @property
    def as_of(self) -> pd.Timestamp:
        """When the earliest table was extracted (UTC)."""
        return pd.Timestamp(self._manifest.as_of)

    @property
    def versions(self) -> list[str]:
        """Names of all complete versions, oldest first."""
        return version_names(self.path)

    @overload
    def frame(
        self,
        name: str,
        *,
        columns: Sequence[str] | None = ...,
        filters: Sequence[Any] | Any = ...,
        dtypes: Dtypes | None = ...,
        as_: Literal["pandas"] = ...,
    ) -> pd.DataFrame: ...
    @overload
    def frame(
        self,
        name: str,
        *,
        columns: Sequence[str] | None = ...,
        filters: Sequence[Any] | Any = ...,
        as_: Literal["polars"],
    ) -> "pl.DataFrame": ...
    @overload
    def frame(
        self,
        name: str,
        *,
        columns: Sequence[str] | None = ...,
        filters: Sequence[Any] | Any = ...,
        as_: Literal["pyarrow"],
    ) -> pa.Table: ...
    def frame(
        self,
        name: str,
        *,
        columns: Sequence[str] | None = None,
        filters: Sequence[Any] | Any = None,
        dtypes: Dtypes | None = None,
        as_: Library = "pandas",
    ) -> Any:
        """
        Read one table.

        Parameters
        ----------
        name
            Table, such as ``"mailings"``.
        columns
            Columns to read, in this order; the others are not read from the disk. Default: all.
        filters
            Conditions on rows, as in `pandas.read_parquet`: ``[("state", "==", "replied")]``, or a PyArrow
            expression. Parts of a file that hold no such row are not read.
        dtypes
            ``"arrow"`` or ``"numpy"``, as in `fetch`; default: what `open_snapshot` was given.
        as_
            ``"pandas"``, ``"polars"`` or ``"pyarrow"``, as in `fetch`.

        Returns
        -------
        frame : DataFrame, shape (n_records, n_columns)
            As it was fetched: columns, dtypes (where ``dtypes`` says nothing else), order and ``attrs``; missing is
            ``<NA>``.

        Raises
        ------
        SnapshotError
            The snapshot has no such table, or a file of it is damaged.
        QueryError
            The table has no such column, the conditions cannot be read, or polars is not installed.

        Examples
        --------
        >>> snapshot.frame("mailings").shape
        (2371, 44)
        >>> mailings = snapshot.frame("mailings", dtypes="numpy")
        >>> len(mailings[mailings["delivered_at"].between("2026-01-01", "2026-02-01")])
        367
        >>> snapshot.frame("mailings", columns=["id", "state"], filters=[("open_count", ">", 0)]).shape
        (1078, 2)
        >>> snapshot.frame("invoices")
        Traceback (most recent call last):
            ...
        outreach_frames.errors.SnapshotError: This snapshot has no table 'invoices'.
        Hint: ...
        """
        kind = FrameKind.chosen(as_, dtypes, self.dtypes)
        files = self._files(name)
        if columns is not None or filters is not None:
            parquet.check_query(files[0], name, columns, filters)
        with parquet.readable(name):
            frame = parquet.read_files(files, columns=columns, filters=filters)
        if "outreach_frames" in frame.attrs:
            as_of = self._manifest.tables[name].as_of.isoformat().replace("+00:00", "Z")
            frame.attrs["outreach_frames"] = {**frame.attrs["outreach_frames"], "as_of": as_of}
        return kind.of(frame)

    def scan(self, name: str, engine: _sql.Engine = "duckdb") -> Any:
        """
        Open one table lazily.

        Parameters
        ----------
        name
            Table, such as ``"mailings"``.
        engine
            What opens it: a DuckDB relation, a polars LazyFrame, a Dask or a Spark DataFrame. Pick lists are
            categories in polars, text in the others. Instants are UTC. A partition of Dask is one file of the table.
            DuckDB's relation is closed as in `sql`: its expressions and its own methods read and write no file.

        Raises
        ------
        SnapshotError
            The snapshot has no such table, its file is damaged, or Dask or Spark would take its path for a pattern.
        QueryError
            There is no such engine.
        ModuleNotFoundError
            The engine is not installed.

        Examples
        --------
        >>> snapshot.scan("mailings").filter("replied_at is not null").count("*").fetchall()
        [(106,)]
        """
        files = self._files(name)
        with parquet.readable(name):
            return _sql.scan(name, files, engine)

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
            Arrow-backed, unless `open_snapshot` was given other ``dtypes``; timestamps are UTC instants.

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
        result = _sql.run_query(query, tables | {name: _sql.arrow(name, frame) for name, frame in frames.items()})
        return cast("pd.DataFrame", FrameKind("pandas", self.dtypes).of(result))

    def columns(self, name: str) -> pd.DataFrame:
        """
        Describe the columns of a table: a data dictionary.

        Parameters
        ----------
        name
            Table, such as ``"mailings"``.

        Returns
        -------
        columns : DataFrame, one row per column
            ``column``; ``type`` [Arrow's name]; ``unit`` [missing where there is none, or the vendor does not say];
            ``meaning``; ``missing`` [share of rows without a value, 0 to 1; missing where there are no rows].

        Raises
        ------
        SnapshotError
            The snapshot has no such table, or a file of it is damaged.

        Examples
        --------
        >>> columns = snapshot.columns("mailings").set_index("column")
        >>> columns.loc["replied_at", ["unit", "meaning"]].tolist()
        ['UTC instant', 'Attribute repliedAt of the mailing.']
        >>> columns.loc["sequence_id", "meaning"]
        'Id of the sequence of the mailing.'
        """
        files = self._files(name)
        with parquet.readable(name):
            return column_dictionary(name, files, parquet.attrs_of(files[0]))

    def export(
        self,
        place: str | Path,
        *,
        format: Format = "parquet",  # noqa: A002  the word of pandas and fsspec
        tables: Sequence[str] | None = None,
        overwrite: bool = False,
        timezone: str = "UTC",
        storage_options: Mapping[str, Any] | None = None,
    ) -> pd.DataFrame:
        """
        Write tables to another place, for other programs or people.

        Parameters
        ----------
        place
            A folder, or a file for DuckDB: a path, or an address that fsspec knows, such as ``"s3://bucket/my-org"``.
        format
            ``"parquet"``, files as they are here; ``"csv"`` or ``"xlsx"``, a file for each table, written as by
            `export`; ``"duckdb"``, one database with a table for each.
        tables
            Names of the tables; ``None``: all.
        overwrite
            Whether an earlier export at the place, or the file of a database, is replaced.
        timezone
            Zone of instants in CSV and Excel.
        storage_options
            Arguments for the file system, as in pandas: keys, the endpoint of an S3-compatible server.

        Returns
        -------
        files : DataFrame, one row per table and file
            ``table``; ``file`` [below the place]; ``rows`` [of the table in the file]; ``bytes`` [of the file].

        Raises
        ------
        SnapshotError
            Something is at the place, it is a link or within a snapshot, or there is no file system for it. Or the
            snapshot has no such table, or a file is damaged.
        QueryError
            There is no such format.
        DataError
            A table does not fit into a sheet of Excel, or there is no such time zone.
        ExportError
            The place cannot be written, or the disk is full.
        MissingExtraError
            An extra is missing: ``pip install "outreach_frames[s3]"``, ``"outreach_frames[excel]"``,
            ``"outreach_frames[sql]"``.

        Notes
        -----
        On this machine the export appears whole. Elsewhere each file does, and ``manifest.json`` comes last; it lists
        files, rows and checksums. An export interrupted there leaves ``unfinished.json``, and ``overwrite=True``
        replaces it. Memory holds one row group, whatever the table's size.

        Examples
        --------
        >>> snapshot.export(folder / "for-excel", format="csv", tables=["users"], timezone="Europe/Berlin")[
        ...     "rows"
        ... ].sum()
        8
        >>> snapshot.export(folder / "for-excel", format="csv")
        Traceback (most recent call last):
            ...
        outreach_frames.errors.SnapshotError: for-excel is there already.
        Hint: ...
        """
        return export_tables(
            self.folder,
            self._manifest,
            place,
            form=format,
            tables=tables,
            overwrite=overwrite,
            timezone=timezone,
            storage_options=storage_options,
        )

    def at(self, version: str) -> "Snapshot":
        """
        Return another version of the same snapshot.

        Raises
        ------
        SnapshotError
            There is no such version.

        Examples
        --------
        >>> snapshot.at(snapshot.versions[0]).version
        '20260331T000000Z-1'
        """
        return open_snapshot(self.path, version=version, dtypes=self.dtypes)

    def diff(self, version: str, *, tables: Sequence[str] | None = None) -> pd.DataFrame:
        """
        Compare this version with an earlier one, by id.

        Parameters
        ----------
        version
            The version to compare with, one of `versions`.
        tables
            Tables to compare; ``None``: all that either version has.

        Returns
        -------
        changes : DataFrame, one row per record that differs
            ``table``; ``id``; ``change``: ``"added"``, ``"removed"`` or ``"changed"``; ``columns``: those whose values
            differ, empty for records of one version only. Columns that only one version has are not compared; `columns`
            of the two versions show them. Files that the versions share are not read.

        Raises
        ------
        SnapshotError
            There is no such version, or a file is damaged.
        QueryError
            Neither version has such a table.

        Examples
        --------
        >>> snapshot.diff(snapshot.version).shape
        (0, 4)
        """
        other = self.at(version)
        old, new = read_manifest(other.folder).tables, self._manifest.tables
        check_tables(tables, sorted({*old, *new}))
        changes = []
        for name in tables or sorted({*old, *new}):
            sides = []
            for one, facts, others in ((other, old.get(name), new.get(name)), (self, new.get(name), old.get(name))):
                shared = {file.sha256 for file in others.files} if others else set()
                own = [file for file in facts.files if file.sha256 not in shared] if facts else []
                sides.append([checked_file(one.folder, name, file) for file in own])
            with parquet.readable(name):
                changes.append(differences(name, *sides))
        return pd.concat(changes, ignore_index=True)

    def refresh(
        self,
        client: Client,
        *,
        deletions: Deletions = "counts",
        deliveries: pd.DataFrame | None = None,
        keep: int | None = None,
        progress: bool | None = None,
    ) -> "Snapshot":
        """
        Bring the same tables up to date, as a new version; the old one stays.

        Only what changed is asked for where the API can tell: by ``updatedAt``, for tables of more than 1,000 rows
        without included columns and filters. The other tables are extracted again. An interrupted refresh changes
        nothing; the next one goes on from its last finished table.

        Parameters
        ----------
        client
            Connection to the organization. Where it is to another organization than before, all is extracted again.
        deletions
            How deleted records are found. ``"counts"``: the API counts ranges of ids, and ids are read where counts
            differ. ``"sweep"``: all ids are read. ``"webhooks"``: from ``deliveries``. ``False``: they stay.
        deliveries
            What webhooks delivered since the last refresh, as `outreach_frames.webhooks.read` returns it.
        keep
            How many versions to keep, the new one among them [versions]; ``None``: all.
        progress
            As in `fetch`.

        Returns
        -------
        snapshot : Snapshot
            The new version, now the current one. It shares the files that did not change.

        Raises
        ------
        SnapshotError
            A table was taken with options that a manifest cannot keep, such as a range; take it again by hand. Or
            another program is writing to the snapshot, or the disk is full.
        QueryError
            There is no such way to find deletions, or ``keep`` is below 1.
        MissingColumnError
            ``deliveries`` have not the columns of `outreach_frames.webhooks.read`.
        OutreachError
            As in `fetch`; the current version does not change then.

        Warns
        -----
        OutreachDataWarning
            A table has columns that the version before did not have, had with another type, or had and lost.

        Notes
        -----
        A change that the API does not stamp with ``updatedAt`` is not found. Counts do not tell a deleted record from
        one that came into the same range without a stamp; ``"sweep"`` does.

        Examples
        --------
        >>> taken = of.take_snapshot(org, folder / "my-org", resources=["users"])
        >>> taken.refresh(org).tables
        ['users']
        >>> len(taken.versions)
        2
        """
        version = refresh_version(
            client,
            self.path,
            self.folder,
            deletions=deletions,
            deliveries=deliveries,
            keep=keep,
            progress=progress,
        )
        return replace(self, version=version)

    def apply(self, deliveries: pd.DataFrame, *, keep: int | None = None) -> "Snapshot":
        """
        Bring the tables up to the webhook deliveries that were received, as a new version; nothing is asked of the API.

        Pass all deliveries, in any order: those that the snapshot has already, repeats and late ones make no
        difference. Of each column the latest value counts, and a destroyed record does not come back.

        Parameters
        ----------
        deliveries
            As `outreach_frames.webhooks.read` returns them, for all resource types.
        keep
            As in `refresh`.

        Returns
        -------
        snapshot : Snapshot
            The new version, now the current one. Its ``as_of`` and what the next refresh asks for do not change.

        Raises
        ------
        SnapshotError
            A file is missing, cannot be read or was changed; or as in `refresh`.
        MissingColumnError, DataError
            The deliveries are not what `outreach_frames.webhooks.read` returns.
        QueryError
            ``keep`` is below 1.

        Warns
        -----
        OutreachDataWarning
            Some deliveries were not applied; it counts them. They are about types that the snapshot does not have,
            tables that were taken with included columns, filters and the like, records that were changed but neither
            taken nor created, or values that do not fit their columns.

        Notes
        -----
        A delivery of ``created`` or ``updated`` carries what was set or changed. Other columns keep their values, so
        that what the API changes without a delivery (a lost delivery, a computed value, a type without webhooks) stays
        until the next refresh. ``updatedAt`` is in whole seconds: of changes in the second in which the API was read,
        and of those that do not carry it, the time of sending decides.

        Examples
        --------
        >>> from starlette.testclient import TestClient
        >>> taken = of.take_snapshot(org, folder / "my-org", resources=["users"])
        >>> store = folder / "deliveries.sqlite"
        >>> with TestClient(of.webhooks.receiver(store, secret="a secret")):
        ...     pass  # Outreach delivers

        >>> len(taken.apply(of.webhooks.read(store)).versions)
        2
        """
        return Snapshot(self.path, apply_version(self.path, self.folder, deliveries, keep=keep))

    def verify(self, client: Client | None = None) -> pd.DataFrame:
        """
        Check every file of the version against the manifest, and its tables against each other.

        Parameters
        ----------
        client
            Connection that counts what the API has now; ``None``: nothing is sent.

        Returns
        -------
        checks : DataFrame, one row per check
            ``table``; ``check``; ``passed`` [missing where it is told and not judged]; ``value``; ``detail``. Checks:
            checksums [files], rows [rows], unique ids [repeated ones], time ranges, the share of foreign keys that lead
            to a record of the snapshot [0 to 1], columns that are new, lost or retyped since the version before
            [columns], and the live count [records], which passes within 5 %.

        Raises
        ------
        SnapshotError
            A file is missing, cannot be read or was changed; the message names it.
        OutreachError
            As in `count`, with ``client``.

        Examples
        --------
        >>> checks = snapshot.verify()
        >>> checks["passed"].all(), len(checks[checks["check"] == "unique ids"])
        (True, 17)
        """
        checksum.cache_clear()
        files = {name: self._files(name) for name in self.tables}
        versions = self.versions
        place = versions.index(self.version) if self.version in versions else 0
        before = None
        with suppress(SnapshotError):  # of another version, of which nothing is said here
            before = read_manifest(self.path / versions[place - 1]) if place else None
        return checks(self._manifest, files, before, client, read_notes(self.folder, self._manifest))

    def _dataset(self, name: str) -> Any:
        files = self._files(name)
        with parquet.readable(name):
            return parquet.dataset(files)

    def _files(self, name: str) -> list[Path]:
        """Return the files of a table, which are those that were written."""
        return table_files(self.folder, name, self._manifest.tables)


def open_snapshot(path: str | Path, *, version: str | None = None, dtypes: Dtypes = "arrow") -> Snapshot:
    """
    Open a snapshot folder.

    Parameters
    ----------
    path
        The folder given to `take_snapshot`.
    version
        One of its ``versions``; default: the current one.
    dtypes
        What backs the columns of its frames where a call does not say: ``"arrow"`` or ``"numpy"``, see `fetch`.

    Raises
    ------
    SnapshotError
        There is no snapshot, or no such version.
    QueryError
        There is no such ``dtypes``.

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
    check_dtypes(dtypes)
    path = Path(path)
    try:
        version = version or (path / POINTER).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise SnapshotError(f"There is no snapshot in {path.name}.", hint="Take one with take_snapshot.") from error
    snapshot = Snapshot(path, version, dtypes)
    if not isinstance(version, str) or not VERSION.fullmatch(version) or not is_version(snapshot.folder):
        versions = ", ".join(snapshot.versions) if path.is_dir() else ""
        raise SnapshotError(f"The snapshot has no version {version!r}.", hint=f"It has: {versions or 'none'}.")
    return snapshot
