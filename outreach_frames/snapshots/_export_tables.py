"""
Export tables of a version to another place, a row group at a time.

Parquet files are copied as they are. CSV and Excel are written by the rules of `outreach_frames.export`; a DuckDB
database has a table for each.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
import pandas as pd
import pyarrow as pa

from outreach_frames import _export
from outreach_frames._extras import require
from outreach_frames.errors import DataError, ExportError, QueryError, SnapshotError
from outreach_frames.snapshots import parquet
from outreach_frames.snapshots._manifest import MANIFEST, Manifest, TableFacts, checksum, table_files
from outreach_frames.snapshots._places import ExportPlace, open_place

Format = Literal["parquet", "csv", "xlsx", "duckdb"]

_DUCKDB: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": "512MB",
    "TimeZone": "UTC",
    "autoinstall_known_extensions": "false",
}
"""Settings of the engine that writes a database; what does not fit into memory goes to a folder beside the file."""


class _File(msgspec.Struct, kw_only=True, frozen=True):
    """A file that was exported."""

    path: str
    table: str
    rows: int
    bytes: int
    sha256: str


class _ExportManifest(msgspec.Struct, kw_only=True, frozen=True):
    """What an export holds; the last file that is written."""

    format: str
    as_of: datetime
    version: str
    tables: dict[str, Any]
    files: list[_File]


def export_tables(
    folder: Path,
    manifest: Manifest,
    place: str | Path,
    *,
    form: Format,
    tables: Sequence[str] | None,
    overwrite: bool,
    timezone: str,
    storage_options: Mapping[str, Any] | None,
) -> pd.DataFrame:
    """Export tables of a version; see `Snapshot.export`."""
    names = _checked_tables(manifest, form, tables, timezone)
    sources = {name: table_files(folder, name, manifest.tables) for name in names}
    is_file = form == "duckdb"
    target = open_place(place, storage_options, overwrite=overwrite, is_file=is_file)
    with target:
        if form == "duckdb":
            files = _write_database(target, sources, manifest.tables)
        else:
            planned = _planned_files(form, sources, manifest.tables, timezone)
            target.announce([path for path, *_ in planned])
            files = [_written(target, *each) for each in planned]
            target.write(MANIFEST, partial(_write_export_manifest, form, folder.name, manifest, files))
        target.finish()
    return pd.DataFrame(
        {
            "table": pd.array([file.table for file in files], "string[pyarrow]"),
            "file": pd.array([file.path for file in files], "string[pyarrow]"),
            "rows": pd.array([file.rows for file in files], "int64[pyarrow]"),
            "bytes": pd.array([file.bytes for file in files], "int64[pyarrow]"),
        }
    )


def _checked_tables(manifest: Manifest, form: str, tables: Sequence[str] | None, timezone: str) -> list[str]:
    """Return the tables to export; refuse what cannot be, before anything is written."""
    if form not in get_args(Format):
        raise QueryError(f"There is no export as {form!r}.", hint=f"Choose {', '.join(get_args(Format))}.")
    if isinstance(tables, str):
        raise QueryError(f"tables={tables!r} is one string.", hint=f"Write tables=[{tables!r}].")
    names = [*dict.fromkeys(sorted(manifest.tables) if tables is None else tables)]
    for name in names:
        if name not in manifest.tables:
            raise SnapshotError(
                f"This snapshot has no table {name!r}.", hint=f"It has: {', '.join(sorted(manifest.tables))}."
            )
    if not names:
        raise QueryError("No table is to be exported.", hint="Name some, or leave tables out for all.")
    _export.zone_of(timezone)
    if form == "xlsx":
        _export.writer(".xlsx")
        for name in names:
            _export.check_sheet(manifest.tables[name].rows, len(manifest.tables[name].columns), f"Table {name}: ")
    return names


_Planned = tuple[str, str, int, Callable[[Path], None]]


def _planned_files(
    form: str, sources: Mapping[str, Sequence[Path]], tables: Mapping[str, TableFacts], timezone: str
) -> list[_Planned]:
    """Return path, table and rows of each file, and what makes it."""
    if form == "parquet":
        return [
            (facts.path, name, facts.rows, partial(_copy, name, file))
            for name, files in sources.items()
            for file, facts in zip(files, tables[name].files, strict=True)
        ]
    return [
        (f"{name}.{form}", name, tables[name].rows, partial(_write_sheet, form, name, files, timezone))
        for name, files in sources.items()
    ]


def _written(target: ExportPlace, path: str, table: str, rows: int, make: Callable[[Path], None]) -> _File:
    facts: list[_File] = []

    def write(file: Path) -> None:
        make(file)
        size = file.stat().st_size
        facts.append(_File(path=path, table=table, rows=rows, bytes=size, sha256=checksum.__wrapped__(file)))

    target.write(path, write)
    return facts[0]


def _copy(table: str, source: Path, file: Path) -> None:
    try:
        stream = source.open("rb")
    except OSError as error:
        raise SnapshotError(f"The file of table {table} is missing.", hint="Take a new snapshot.") from error
    with stream, file.open("wb") as copy:
        shutil.copyfileobj(stream, copy, 1 << 20)


def _write_sheet(form: str, table: str, files: Sequence[Path], timezone: str, file: Path) -> None:
    try:
        with file.open("wb") as stream:
            _export.writer(f".{form}")(parquet.frames(table, files), stream, timezone)
    except DataError as error:
        raise DataError(f"Table {table} does not become {form}: {error.args[0]}", hint=error.hint) from error


def _write_export_manifest(form: str, version: str, manifest: Manifest, files: Sequence[_File], file: Path) -> None:
    names = [*dict.fromkeys(each.table for each in files)]
    tables = {name: manifest.tables[name] for name in names}
    about = {name: {"rows": t.rows, "as_of": t.as_of, "columns": t.columns} for name, t in tables.items()}
    content = _ExportManifest(format=form, as_of=manifest.as_of, version=version, tables=about, files=[*files])
    file.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")


def _write_database(
    target: ExportPlace, sources: Mapping[str, Sequence[Path]], tables: Mapping[str, TableFacts]
) -> list[_File]:
    """Write all tables into one file."""

    def make(file: Path) -> None:
        with new_database(file) as connection:
            for table, files in sources.items():
                _add_files(connection, table, files)

    written = _written(target, target.name.rpartition("/")[2], "", 0, make)
    return [msgspec.structs.replace(written, table=table, rows=tables[table].rows) for table in sources]


@contextmanager
def new_database(file: Path) -> Iterator[Any]:
    """Open a new database, and make sure that all of it is in its one file."""
    require("sql", "Exports to a database")
    import duckdb  # noqa: PLC0415  loaded only where asked for

    spill = file.with_name(f"{file.name}.spill")
    try:
        with duckdb.connect(file, config={**_DUCKDB, "temp_directory": str(spill)}) as connection:
            yield connection
            connection.execute("checkpoint")
    except duckdb.Error as error:
        raise ExportError(
            f"The database cannot be written: {type(error).__name__}.", hint="Make room, or name another place."
        ) from error
    finally:
        shutil.rmtree(spill, ignore_errors=True)


def _add_files(connection: Any, table: str, files: Sequence[Path]) -> None:
    """Add the table of some files: instants keep their zone, and pick lists are text."""
    with parquet.readable(table):
        schema = parquet.dataset(files).schema.remove_metadata()
    plain = [f.with_type(pa.string()) if pa.types.is_dictionary(f.type) else f for f in schema]
    batches = (batch for rows in parquet.tables(table, files) for batch in rows.cast(pa.schema(plain)).to_batches())
    add_table(connection, table, pa.schema(plain), batches)


def add_table(connection: Any, table: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    """Add a table to a database."""
    connection.register("exported", pa.RecordBatchReader.from_batches(schema, batches))
    quoted = '"{}"'.format(table.replace('"', '""'))
    connection.execute(f"create table {quoted} as from exported")
    connection.unregister("exported")
