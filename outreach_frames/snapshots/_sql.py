"""
Query Arrow tables with SQL, in an engine that can read nothing else; and open them in other engines.

A DuckDB query can read and write files, load extensions and read Python variables, even in a SELECT. Here all of that
is turned off before the query runs. The tables are no files to it either: Arrow reads them, and no path is allowed.

Source: "Securing DuckDB", DuckDB's documentation.
"""

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import narwhals as nw
import pandas as pd
import pyarrow as pa

from outreach_frames._extras import require
from outreach_frames._format import type_name
from outreach_frames.errors import DataError, OutreachError, QueryError, SnapshotError
from outreach_frames.snapshots import parquet

if TYPE_CHECKING:
    import duckdb

Engine = Literal["duckdb", "polars", "dask", "spark"]

CLOSED = {
    "TimeZone": "UTC",
    "enable_progress_bar": "false",  # it would be among what is printed
    "temp_directory": "",  # a folder for what does not fit into memory would be open to the query
    "allow_persistent_secrets": "false",
    "secret_directory": "none",  # the usual one names the user of the machine
    "allow_community_extensions": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
    "enable_external_access": "false",
    "lock_configuration": "true",
}
"""DuckDB's settings, in the order they are made: the last two forbid others."""

_LONGEST_MESSAGE = 300
"""Length of what is quoted from DuckDB in a message [characters]."""

_FROM_ARROW = re.compile(r"\barrow|stream registered", re.IGNORECASE)
"""How DuckDB says that it was Arrow that could not read a table."""

_VALUE = re.compile(r"""["'].*["']|\S*@\S*""", re.DOTALL)
"""What a message says of values: all between its quotes, and what looks like an address."""


def open_connection(tables: Mapping[str, Any], *, zones: bool = False) -> "duckdb.DuckDBPyConnection":
    """
    Open an engine in which there are tables and nothing else.

    Parameters
    ----------
    tables
        Name → Arrow table or data set.
    zones
        Whether instants have a zone, as statistics expect; otherwise they are UTC timestamps without one.

    Raises
    ------
    QueryError
        Two names are one in SQL, which does not tell small letters from capitals, or DuckDB does not take a table.
    """
    require("sql", "Queries in SQL")
    import duckdb  # noqa: PLC0415  loaded only where asked for

    names: dict[str, str] = {}
    for name in tables:
        if names.setdefault(name.casefold(), name) != name:
            raise QueryError(f"{names[name.casefold()]!r} and {name!r} are one name in SQL.", hint="Rename one.")
    connection = duckdb.connect()
    for setting, value in CLOSED.items():
        connection.execute(f"set {setting} = '{value}'")
    for name, table in tables.items():
        try:
            relation = connection.from_arrow(table)
            (relation if zones else _without_zones(relation)).create_view(name)
        except duckdb.Error as error:
            raise QueryError(f"DuckDB cannot read the table {name!r}.") from error
    return connection


def _without_zones(relation: "duckdb.DuckDBPyRelation") -> "duckdb.DuckDBPyRelation":
    """With a zone, a text or a timestamp in a query would be compared in the zone of the session."""
    quoted = ['"{}"'.format(name.replace('"', '""')) for name in relation.columns]
    columns = (
        f"cast({name} as timestamp) as {name}" if str(kind) == "TIMESTAMP WITH TIME ZONE" else name
        for name, kind in zip(quoted, relation.types, strict=True)
    )
    return relation.project(", ".join(columns))


def run_query(query: str, tables: Mapping[str, Any]) -> pd.DataFrame:
    """
    Answer one SELECT statement.

    Parameters
    ----------
    query
        The statement.
    tables
        Name → Arrow table or data set.

    Returns
    -------
    result : DataFrame
        Arrow-backed; timestamps are UTC instants.

    Raises
    ------
    QueryError
        The query is not valid, asks for what is not there, fails on a value, or selects a type that pandas lacks.
    SnapshotError
        It is anything but one SELECT, or a table's file is damaged.
    """
    require("sql", "Queries in SQL")
    import duckdb  # noqa: PLC0415

    if not isinstance(query, str):
        raise QueryError(f"A query is text, not {type_name(query)}.", hint='Write it like "select 1".')
    try:
        query.encode()  # bytes of a command line that are no text would not even be taken by DuckDB
        with open_connection(tables) as connection:
            statements = connection.extract_statements(query)
            if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
                raise SnapshotError("A query is one SELECT statement.", hint="A snapshot is read, never changed.")
            return _as_frame(_result_of(connection, query))
    except duckdb.Error as error:
        failure = _as_error(error, tables)
    except (UnicodeError, MemoryError, RecursionError, pa.ArrowException) as error:
        failure = QueryError(f"The query cannot be answered: {type(error).__name__}.")
    raise failure  # out here, where DuckDB's own error is no part of it: that may quote values


def _result_of(connection: "duckdb.DuckDBPyConnection", query: str) -> pa.Table:
    """Run a query aside, so that a signal ends it: DuckDB itself does not always look for one."""
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(lambda: connection.sql(query).to_arrow_table())
        try:
            return answer.result()
        except BaseException:
            connection.interrupt()
            raise


def _as_frame(table: pa.Table) -> pd.DataFrame:
    zoned = [f.with_type(pa.timestamp("us", "UTC")) if pa.types.is_timestamp(f.type) else f for f in table.schema]
    try:
        frame: pd.DataFrame = table.cast(pa.schema(zoned), safe=False).to_pandas(types_mapper=pd.ArrowDtype)
        _ = [dtype.type for dtype in frame.dtypes]  # pandas finds out only when it is asked
    except NotImplementedError as error:
        raise QueryError("A column of the result has a type that pandas lacks.", hint="Cast it to text.") from error
    return frame


def arrow(name: str, frame: Any) -> pa.Table:
    """
    Turn a frame of any engine into an Arrow table.

    Raises
    ------
    DataError
        It is no frame, or Arrow has no type for a column.
    """
    if isinstance(frame, pd.DataFrame):
        frame = frame.reset_index(drop=True)
    try:
        table: pa.Table = nw.from_native(frame).lazy().collect("pyarrow").to_native()
    except (TypeError, ValueError, pa.ArrowException, nw.exceptions.NarwhalsError) as error:
        raise DataError(
            f"{name!r} cannot be queried: it is no frame, or a column is of no single type.",
            hint="Pass a frame of pandas, polars or PyArrow.",
        ) from error
    return table


def _as_error(error: "duckdb.Error", tables: Mapping[str, Any]) -> OutreachError:
    """Return this package's error for DuckDB's, in one line and without values of the data."""
    import duckdb  # noqa: PLC0415

    message = str(error).strip().partition("\n")[0]
    if isinstance(error, duckdb.PermissionException | duckdb.InvalidInputException) and "configuration" in message:
        return QueryError(
            "The query reaches outside the snapshot.",
            hint="It sees the snapshot's tables and the frames given with it; no file, no extension and no setting.",
        )
    if isinstance(error, duckdb.CatalogException | duckdb.BinderException | duckdb.ParserException):
        return QueryError(f"The query is not valid: {_short(message)}.", hint=f"Tables: {', '.join(sorted(tables))}.")
    message = _VALUE.sub("…", message)
    if _FROM_ARROW.search(message):
        return SnapshotError("The file of a table is damaged.", hint="Call verify() to see which.")
    return QueryError(f"The query failed: {_short(message)}.")


def _short(message: str) -> str:
    return message[:_LONGEST_MESSAGE].rstrip(".!")


_PATTERN = re.compile(r"[*?\[\]{}]")


def scan(name: str, files: Sequence[Path], engine: Engine) -> Any:
    """
    Open a table; see `Snapshot.scan`.

    Raises
    ------
    SnapshotError
        Dask or Spark would take the path for a pattern.
    QueryError
        There is no such engine.
    ModuleNotFoundError
        The engine is not installed.
    """
    dataset = parquet.dataset(files)
    paths = [str(file.absolute()) for file in files]  # workers may run in another folder
    if engine in {"dask", "spark"} and _PATTERN.search("".join(paths)):
        raise SnapshotError(
            f"{engine.capitalize()} takes the path of this snapshot for a pattern, and would read other files or none.",
            hint="Move the snapshot to a folder without any of the characters * ? [ ] { } in its path.",
        )
    if engine == "duckdb":
        return open_connection({name: dataset}, zones=True).view(name)
    if engine == "polars":
        import polars as pl  # noqa: PLC0415  loaded only where asked for

        return pl.scan_parquet(paths, glob=False, hive_partitioning=False)
    if engine == "dask":
        import dask.dataframe as dd  # noqa: PLC0415

        frame = dd.read_parquet(paths, dtype_backend="pyarrow", split_row_groups=False)  # a partition for each file
        # Arrow does not sort pick lists; as in DuckDB and Spark they are text.
        texts = {f.name: pd.ArrowDtype(pa.string()) for f in dataset.schema if pa.types.is_dictionary(f.type)}
        return frame.astype(texts)
    if engine == "spark":
        from pyspark.sql import SparkSession  # noqa: PLC0415

        session = SparkSession.builder.config("spark.sql.session.timeZone", "UTC").getOrCreate()
        return session.read.parquet(*paths)
    raise QueryError(f"There is no engine {engine!r}.", hint="Choose duckdb, polars, dask or spark.")
