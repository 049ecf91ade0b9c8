"""Erase a person from a DuckDB database that this package exported: written anew, so that no free page has them."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from outreach_frames._extras import require
from outreach_frames._files import sync
from outreach_frames._person import Person
from outreach_frames.errors import ExportError
from outreach_frames.snapshots._export_tables import add_table, new_database
from outreach_frames.snapshots._person_rows import ErasedCounts, RowErasure, address_columns, ids_in_rows

_BATCH_ROWS = 50_000
"""Rows that are looked at together [rows]."""

_OTHERS = ("duckdb_views()", "duckdb_schemas()", "duckdb_types()")
_PARTS = ("duckdb_indexes()", "duckdb_sequences()", "duckdb_constraints()")
"""What exports do not make."""
_CONFIGURATION: dict[str, str | bool | int | float | list[str]] = {
    "TimeZone": "UTC",
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
}


def ids_in_database(path: Path, person: Person) -> set[int]:
    """Return the ids of the prospects that tables show with the address."""
    ids: set[int] = set()
    with _opened(path) as connection:
        for table in _tables(connection):
            names = connection.table(_quoted(table)).columns
            for pair in address_columns(table, names):
                ids |= ids_in_rows(_batches(connection, table, ", ".join(map(_quoted, pair))), person)
    return ids


def erase_from_database(path: Path, person: Person, *, dry_run: bool) -> ErasedCounts:
    """
    Write a database anew without the person.

    Raises
    ------
    ExportError
        It cannot be read, another program writes to it, or it has more than tables.
    """
    counts: list[ErasedCounts] = []
    aside = path.with_name(f".{uuid.uuid4().hex}{path.suffix}")
    try:
        with _opened(path) as connection, nullcontext() if dry_run else new_database(aside) as other:
            for table in _tables(connection):
                reader = _batches(connection, table)
                erasure = RowErasure(table, reader.schema, person)
                rows = _erased(reader, erasure, counts)
                if dry_run:
                    for _ in rows:
                        pass
                else:
                    add_table(other, table, reader.schema, rows)
        if not dry_run:
            aside.chmod(path.stat().st_mode)
            sync(aside)
            os.replace(aside, path)  # noqa: PTH105  as a whole
    finally:
        for each in (aside, aside.with_name(f"{aside.name}.wal")):
            with suppress(FileNotFoundError):
                each.unlink()
    return ErasedCounts(sum(each.rows for each in counts), sum(each.cells for each in counts))


def _erased(reader: pa.RecordBatchReader, erasure: RowErasure, counts: list[ErasedCounts]) -> Iterator[pa.RecordBatch]:
    for batch in reader:
        rows, count = erasure.erased(pa.Table.from_batches([batch]))
        counts.append(count)
        yield from rows.to_batches()


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    require("sql", "Erasing from a database")
    import duckdb  # noqa: PLC0415  loaded only where asked for

    if path.with_name(f"{path.name}.wal").exists():
        raise ExportError(f"{path.name} is being written to.", hint="Wait until that has ended.")
    try:
        with duckdb.connect(path, read_only=True, config=_CONFIGURATION) as connection:
            n = sum(len(connection.execute(f"from {each} where not internal").fetchall()) for each in _OTHERS)
            n += sum(len(connection.execute(f"from {each}").fetchall()) for each in _PARTS)
            if n:
                raise ExportError(
                    f"{path.name} has more than the tables of an export.", hint="Export it anew, or delete it."
                )
            yield connection
    except duckdb.Error as error:
        raise ExportError(
            f"{path.name} is no database that can be searched ({type(error).__name__}).",
            hint="Export it anew, or delete it.",
        ) from error


def _tables(connection: Any) -> list[str]:
    return [
        name for (name,) in connection.execute("select table_name from duckdb_tables() order by table_oid").fetchall()
    ]


def _batches(connection: Any, table: str, names: str = "*") -> pa.RecordBatchReader:
    relation = connection.cursor().sql(f"select {names} from {_quoted(table)}")  # noqa: S608  quoted
    return relation.to_arrow_reader(_BATCH_ROWS)


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))
