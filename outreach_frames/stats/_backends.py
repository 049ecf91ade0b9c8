"""
The border between the caller's frames and the statistics.

Inside, every statistic works on one plain representation: a narwhals `LazyFrame` whose instants are integers
(microseconds since 1970-01-01T00:00Z) and whose days are integers (days since 1970-01-01). Integers mean the same in
every engine, while time zones, units, durations and truncation do not: DuckDB and Spark keep the zone in the session,
Spark has no durations in narwhals. What depends on the engine is in this module and nowhere else.

pandas frames travel as PyArrow tables, mostly without a copy: its joins and sums cost a third of pandas' own, which
matters where a picture is drawn again at every change of a control. Only the grouped median is pandas', since PyArrow's
is approximate; see `grouped_median`. From `LARGE` rows on, DuckDB reads the Arrow table for the statistics that
go through it a few times only, in a fraction of the memory, if it is installed; the result is an Arrow table again.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Literal

import narwhals as nw
import pandas as pd
import pyarrow as pa

ColumnValues = Sequence[int] | Sequence[str] | pd.Series

LARGE = 300_000
"""From so many rows on DuckDB computes the statistics of pandas and PyArrow tables; below, planning takes longer."""

_DATABASE = {
    "TimeZone": "UTC",
    "enable_progress_bar": "false",
    "temp_directory": "",  # the caller's data stay in memory
    "autoinstall_known_extensions": "false",
    "python_enable_replacements": "false",
}

_INT64 = "int64[pyarrow]"
_UTC_MICROS = pa.timestamp("us", tz="UTC")


def database_for(native: Any, columns: Sequence[str]) -> Any:
    """
    Open a DuckDB in memory for a large table of pandas or PyArrow; ``None`` for what is better left as it is.

    DuckDB does not tell small letters from capitals in names, which PyArrow does, and has not all of Arrow's types.
    """
    if not isinstance(native, pd.DataFrame | pa.Table) or len(native) < LARGE:
        return None
    if any(name != name.lower() for name in columns):
        return None
    try:
        import duckdb  # noqa: PLC0415  loaded only where a table is large
    except ModuleNotFoundError:
        return None  # the extra sql is not installed

    database = duckdb.connect()
    for setting, value in _DATABASE.items():
        database.execute(f"SET {setting} = '{value}'")
    return database


def plain_columns(
    native: Any, columns: Sequence[str], types: Mapping[str, Any], database: Any = None
) -> nw.LazyFrame[Any]:
    """
    Wrap columns of any supported frame.

    Parameters
    ----------
    native
        A frame of the caller: pandas, polars (eager or lazy), PyArrow, DuckDB, Dask or PySpark.
    columns
        The columns to keep, in this order; all must exist.
    types
        Arrow types of some of them, for pandas, PyArrow and Dask: columns of nothing but nulls get theirs, and so do
        integers that NumPy keeps as floats once one of them is missing. Other mismatches are left as they are.
    database
        Where a table of pandas or PyArrow is read, without a copy; see `database_for`.

    Returns
    -------
    frame : LazyFrame
        Instants are still instants; see `columns_to_micros`. A pandas index is left behind.

    Raises
    ------
    TypeError
        narwhals does not know the frame's kind.
    pyarrow.ArrowInvalid
        A column of integers holds fractions.
    """
    if isinstance(native, pa.Table):
        native = _arrow_table({name: native.column(name) for name in columns}, types, whole=database is None)
    elif isinstance(native, pd.DataFrame):
        native = _arrow_table(_arrays(native[list(columns)]), types, whole=database is None)
    elif is_dask(native):
        native = _mapped(native[list(columns)], arrow_pandas, dict(types))
    return _lazy_frame(native if database is None else database.from_arrow(native)).select(*columns)


def in_arrow(frame: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Collect a frame into PyArrow."""
    return _lazy_frame(frame.collect(backend="pyarrow").to_native())


def column_names(native: Any) -> list[str]:
    """List the columns of any supported frame; `TypeError` if it is none."""
    return _lazy_frame(native).collect_schema().names()


def as_narwhals(native: Any) -> Any:
    """Wrap a frame, eager or lazy as it is; what is no frame comes back as it is."""
    with warnings.catch_warnings():
        # narwhals announces a plugin for Dask that is not published yet; a caller can do nothing about it.
        warnings.filterwarnings("ignore", message="Dask support is moving", category=FutureWarning)
        return nw.from_native(native, pass_through=True)


def _lazy_frame(native: Any) -> nw.LazyFrame[Any]:
    frame = as_narwhals(native)
    if frame is native and not isinstance(frame, nw.DataFrame | nw.LazyFrame):
        raise TypeError(f"narwhals knows no {type(native).__name__}.")
    lazy: nw.LazyFrame[Any] = frame.lazy()
    return lazy


def is_dask(native: object) -> bool:
    """Whether this is a Dask frame; Dask is not imported to find out."""
    return type(native).__module__.partition(".")[0] == "dask"


def wrap(frame: pd.DataFrame) -> nw.LazyFrame[Any]:
    """Wrap a pandas frame of this package's own as `plain_columns` one of the caller's; its index is left behind."""
    return _lazy_frame(_arrow_table(_arrays(frame), {}))


def pandas_of(frame: nw.LazyFrame[Any]) -> pd.DataFrame:
    """Collect a frame into Arrow-backed pandas."""
    return _pandas(_arrow_table(_columns(frame.collect(backend="pyarrow").to_native()), {}))


def arrow_pandas(frame: pd.DataFrame, types: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """Back every column by Arrow, whatever backed it; the index is left behind."""
    return _pandas(_arrow_table(_arrays(frame), types or {}))


def _arrays(frame: pd.DataFrame) -> dict[str, Any]:
    return {name: pa.array(frame[name], from_pandas=True) for name in frame.columns}


def _columns(table: Any) -> dict[str, Any]:
    return dict(zip(table.column_names, table.columns, strict=True))


def _arrow_table(columns: Mapping[str, Any], types: Mapping[str, Any], *, whole: bool = True) -> Any:
    return pa.table({name: _typed(_simple(values, whole=whole), types.get(name)) for name, values in columns.items()})


def _pandas(table: Any) -> pd.DataFrame:
    return pd.DataFrame({name: _arrow_series(values) for name, values in _columns(table).items()})


def _arrow_series(values: Any) -> "pd.Series[Any]":
    return pd.Series(values, dtype=pd.ArrowDtype(values.type))


def _simple(values: Any, *, whole: bool) -> Any:
    """Undo dictionary encoding and large strings, which have no meaning of their own, and chunks where asked."""
    if whole and isinstance(values, pa.ChunkedArray) and values.num_chunks != 1:
        values = values.combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    kind = values.type
    if not whole and pa.types.is_timestamp(kind) and kind.unit == "ns":  # DuckDB has no zone for these
        return values.cast(pa.timestamp("us", kind.tz), safe=False)
    return values.cast(pa.string()) if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) else values


def _typed(values: Any, dtype: Any) -> Any:
    kind = values.type
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    fits = pa.types.is_null(kind) or (dtype == pa.int64() and number)
    if dtype is None:
        return values.cast(pa.string()) if pa.types.is_null(kind) else values
    return values.cast(dtype) if fits else values


def columns_to_micros(frame: nw.LazyFrame[Any], columns: Sequence[str]) -> nw.LazyFrame[Any]:
    """Turn instants into integers [µs since 1970-01-01T00:00Z]; instants without a zone are read as UTC."""
    schema = frame.collect_schema()
    timed = [name for name in columns if isinstance(schema[name], nw.Datetime)]
    untyped = [nw.col(name).cast(nw.Int64) for name in columns if schema[name] == nw.Unknown]
    if frame.implementation.is_duckdb():
        frame = _duckdb_columns(frame, {name: f"epoch_us({_quoted(name)})" for name in timed})
    elif frame.implementation.is_spark_like():
        frame = _spark_micros(frame, {name: schema[name].time_zone is None for name in timed})  # type: ignore[attr-defined]
    elif frame.implementation.is_dask():
        frame = _dask_cast(frame, dict.fromkeys(timed, _INT64), via=_UTC_MICROS)
    else:
        frame = frame.with_columns(nw.col(name).dt.timestamp("us") for name in timed)
    return frame.with_columns(untyped) if untyped else frame


def from_micros(frame: nw.LazyFrame[Any], columns: Sequence[str]) -> nw.LazyFrame[Any]:
    """Turn integers [µs since 1970-01-01T00:00Z] back into UTC instants."""
    if not columns:
        return frame
    if frame.implementation.is_duckdb():
        return _duckdb_columns(frame, {name: f"make_timestamptz({_quoted(name)})" for name in columns})
    if frame.implementation.is_spark_like():
        from pyspark.sql import functions  # noqa: PLC0415  only those who have Spark come here

        native = frame.to_native()
        return _lazy_frame(native.withColumns({name: functions.timestamp_micros(name) for name in columns}))
    if frame.implementation.is_dask():
        return _dask_cast(frame, dict.fromkeys(columns, pd.ArrowDtype(_UTC_MICROS)))
    return frame.with_columns(nw.col(name).cast(nw.Datetime("us", "UTC")) for name in columns)


def from_days(frame: nw.LazyFrame[Any], columns: Sequence[str]) -> nw.LazyFrame[Any]:
    """Turn integers [days since 1970-01-01] into dates."""
    if not columns:
        return frame
    if frame.implementation.is_duckdb():
        return _duckdb_columns(
            frame, {name: f"DATE '1970-01-01' + CAST({_quoted(name)} AS INTEGER)" for name in columns}
        )
    if frame.implementation.is_spark_like():
        from pyspark.sql import functions  # noqa: PLC0415  as above

        native = frame.to_native()
        days = {name: functions.date_from_unix_date(native[name].cast("int")) for name in columns}
        return _lazy_frame(native.withColumns(days))
    if frame.implementation.is_dask():
        return _dask_cast(frame, dict.fromkeys(columns, pd.ArrowDtype(pa.date32())), via=pa.int32())
    return frame.with_columns(nw.col(name).cast(nw.Int32).cast(nw.Date) for name in columns)


def join(
    left: nw.LazyFrame[Any],
    right: nw.LazyFrame[Any],
    on: str | Sequence[str],
    *,
    how: Literal["left", "inner", "semi"] = "left",
) -> nw.LazyFrame[Any]:
    """
    Join two frames of one engine; rows whose key is missing find no partner.

    Dask pushes a later choice of columns through a join, and so may compute it twice, with the rows in another order
    each time: columns put side by side afterward would belong to different rows. `tidied` keeps it from that; before
    the join it keeps whole numbers from turning into floats where a partner is missing, and the keys of one kind.
    """
    return tidied(tidied(left).join(tidied(right), on=on if isinstance(on, str) else list(on), how=how))


def tidied(frame: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """
    Back the columns of a Dask frame by Arrow again, and fix its rows.

    Literals and casts of narwhals give NumPy columns there, which turn into floats once a value is missing.
    """
    native = frame.to_native()
    return _lazy_frame(_mapped(native, arrow_pandas)) if is_dask(native) else frame


def with_totals(frame: nw.LazyFrame[Any], totals: Mapping[str, str]) -> nw.LazyFrame[Any]:
    """
    Add the sums of columns over all rows, the same in each row.

    Parameters
    ----------
    frame
        A table of counts: small, whatever it was counted from.
    totals
        The column that is summed, by the name of its sum.

    Notes
    -----
    A window, so that no engine counts the rows twice; over sorted rows, since engines group in several threads, and the
    last digit of a sum depends on the order.
    """
    in_order = _in_order(frame, list(totals.values()))
    return in_order.with_columns(nw.col(name).sum().alias(total) for total, name in totals.items())


def with_sums_so_far(
    frame: nw.LazyFrame[Any], sums: Mapping[str, str], *, key: str, within: str, by: str
) -> nw.LazyFrame[Any]:
    """
    Add the sums of columns over the rows of a group up to a row's place, those at the same place included.

    Parameters
    ----------
    frame
        A small table, without missing values in the columns that are summed.
    sums
        The column that is summed, by the name of its sum; missing where the group or the place is.
    key
        Column that differs in each row.
    within, by
        Columns of the group and of the place in it.

    Notes
    -----
    Windows, so that no lazy engine computes the table twice; PyArrow and Dask have none, and join the table with
    itself.
    """
    if frame.implementation.is_pyarrow() or frame.implementation.is_dask():
        earlier = frame.select(within, *sums.values(), earlier_place=nw.col(by))
        pairs = join(frame.select(key, within, by), earlier, within, how="inner")
        pairs = pairs.filter(nw.col("earlier_place") <= nw.col(by))
        return join(
            frame, pairs.group_by(key).agg(nw.col(name).sum().alias(total) for total, name in sums.items()), key
        )
    is_placed = ~nw.col(within).is_null() & ~nw.col(by).is_null()
    frame = frame.with_columns(nw.when(is_placed).then(nw.col(name)).otherwise(nw.lit(0)) for name in sums.values())
    return frame.with_columns(
        nw.when(is_placed)
        .then(
            nw.col(name).cum_sum().over(within, order_by=[by, key])
            + (nw.col(name).sum().over(within, by) - nw.col(name).cum_sum().over(within, by, order_by=key))
        )
        .alias(total)
        for total, name in sums.items()
    )


def _in_order(frame: nw.LazyFrame[Any], columns: Sequence[str]) -> nw.LazyFrame[Any]:
    """Sort; polars leaves that out of a plan where no later step needs it, unless it cannot see what a step does."""
    ordered = frame.sort(*columns)
    if not frame.implementation.is_polars():
        return ordered
    return _lazy_frame(ordered.to_native().map_batches(_unchanged))


def _unchanged(table: Any) -> Any:
    return table


def on_table(frame: nw.LazyFrame[Any], change: Callable[[nw.LazyFrame[Any]], nw.LazyFrame[Any]]) -> nw.LazyFrame[Any]:
    """
    Change a table of counts: small, whatever it was counted from.

    Dask plans every column apart, for seconds, and joins for each window: there it is one step, on all partitions
    together. `repartition` would plan everything before it once more for each question of what comes after. Spark has
    as slow a plan, and its workers may not have this package: there the table is collected and changed here.
    """
    native = frame.to_native()
    if frame.implementation.is_spark_like():
        changed = change(_lazy_frame(frame.collect(backend="pyarrow").to_native()))
        return _lazy_frame(native.sparkSession.createDataFrame(changed.collect(backend="pyarrow").to_native()))
    if not is_dask(native):
        return change(frame)
    together = native.reduction(
        _unchanged,
        combine=_unchanged,
        aggregate=_changed,
        aggregate_kwargs={"change": change},
        meta=_changed(native._meta, change),  # noqa: SLF001  without a public name
    )
    return _lazy_frame(together)


def with_stacked(
    table: nw.LazyFrame[Any],
    rates: Mapping[str, tuple[str, str]],
    change: Callable[[nw.LazyFrame[Any], Mapping[str, tuple[str, str]]], nw.LazyFrame[Any]],
    *,
    takes: Sequence[str],
    makes: Sequence[str],
) -> nw.LazyFrame[Any]:
    """
    Compute columns of every rate; in PyArrow with the rates below one another, so that each step is taken once.

    Parameters
    ----------
    table
        A table of counts.
    rates
        Columns of successes and of trials, by the rate's name.
    change
        Adds the columns, row by row, to a table with the given rates.
    takes, makes
        Ends of the names of the columns of a rate that `change` reads, besides counts, and that it adds.
    """
    if not table.implementation.is_pyarrow() or len(rates) < _WORTH_STACKING:
        return change(table, rates)
    wide = table.to_native()
    ends = {f"rate{end}": [f"{name}{end}" for name in rates] for end in takes}
    counts = {part: [pair[place] for pair in rates.values()] for place, part in enumerate(("successes", "trials"))}
    stacked = pa.table({part: _below_one_another(wide, names) for part, names in {**ends, **counts}.items()})
    changed = change(_lazy_frame(stacked), {"rate": ("successes", "trials")}).to_native()
    columns = {
        f"{name}{end}": changed[f"rate{end}"].slice(number * len(wide), len(wide))
        for number, name in enumerate(rates)
        for end in makes
    }
    return _lazy_frame(pa.table({**_columns(wide), **columns}))


_WORTH_STACKING = 2
"""Least number of rates."""


def _below_one_another(table: Any, names: Sequence[str]) -> Any:
    columns = [table[name] for name in names]
    if len({column.type for column in columns}) > 1:
        columns = [column.cast(pa.float64()) for column in columns]
    return pa.chunked_array([chunk for column in columns for chunk in column.chunks], columns[0].type).combine_chunks()


def _mapped(native: Any, change: Callable[..., pd.DataFrame], *options: object) -> Any:
    """Change each partition of a Dask frame; the types of the result are found once, not at every step of planning."""
    return native.map_partitions(change, *options, meta=change(native._meta, *options))  # noqa: SLF001  without a public name


def _changed(frame: pd.DataFrame, change: Callable[[nw.LazyFrame[Any]], nw.LazyFrame[Any]]) -> pd.DataFrame:
    return pandas_of(change(wrap(frame)))


def grouped_median(frame: nw.LazyFrame[Any], keys: Sequence[str], values: str, name: str) -> nw.LazyFrame[Any]:
    """Take the exact median of a column by group, groups without a value left out in PyArrow."""
    if not frame.implementation.is_pyarrow():
        return frame.group_by(*keys).agg(nw.col(values).median().alias(name))
    present = pandas_of(frame.filter(~nw.col(values).is_null()).select(*keys, values))
    medians = present.groupby(list(keys), dropna=False)[values].median().rename(name).reset_index()
    return _lazy_frame(_arrow_table(_arrays(medians), {key: pa.array(present[key]).type for key in keys}))


def spark_quarters(frame: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """
    Add ``quarter``, its first day, from ``local_day`` [days since 1970].

    Spark never ends planning the expressions of `_timestamps` for it.
    """
    from pyspark.sql import functions  # noqa: PLC0415  only those who have Spark come here

    native = frame.to_native()
    first = functions.trunc(functions.date_from_unix_date(native["local_day"].cast("int")), "quarter")
    return _lazy_frame(native.withColumn("quarter", functions.unix_date(first).cast("long")))


def joined_text(frame: nw.LazyFrame[Any], column: str) -> nw.LazyFrame[Any]:
    """Turn a column of lists of text into text, an item a line; text stays as it is."""
    dtype = frame.collect_schema()[column]
    native = frame.to_native()
    if isinstance(dtype, nw.String | nw.Categorical | nw.Enum):
        return frame
    if frame.implementation.is_duckdb():
        return _duckdb_columns(frame, {column: f"array_to_string({_quoted(column)}, chr(10))"})
    if frame.implementation.is_spark_like():
        from pyspark.sql import functions  # noqa: PLC0415  only those who have Spark come here

        return _lazy_frame(native.withColumn(column, functions.array_join(native[column], "\n")))
    if frame.implementation.is_polars():
        import polars as pl  # noqa: PLC0415  only those who have polars come here

        return _lazy_frame(native.with_columns(pl.col(column).list.join("\n", ignore_nulls=True)))
    if frame.implementation.is_dask():
        return _lazy_frame(_mapped(native, _with_joined, column))
    return _lazy_frame(native.set_column(native.column_names.index(column), column, _joined(native.column(column))))


def _with_joined(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    return frame.assign(**{column: _arrow_series(_joined(pa.array(frame[column]))).set_axis(frame.index)})


def _joined(lists: Any) -> Any:
    return pa.array(
        [None if items is None else "\n".join(filter(None, items)) for items in lists.to_pylist()], pa.string()
    )


def small_table(like: nw.LazyFrame[Any], columns: Mapping[str, ColumnValues]) -> nw.LazyFrame[Any]:
    """
    Bring a small table into the engine (and session) of another frame, to join it or to give it back.

    Parameters
    ----------
    like
        A frame of the engine to use.
    columns
        Equally long columns of integers, floats, text or booleans, by name; ``None`` is missing.
    """
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    if like.implementation.is_duckdb():
        return _lazy_frame(like.to_native().query("rel", _select_values(table)))
    if like.implementation.is_spark_like():
        return _lazy_frame(like.to_native().sparkSession.createDataFrame(table))
    if like.implementation.is_polars():
        return nw.from_arrow(table, backend="polars").lazy()
    table = _arrow_table(_columns(table), {})
    if like.implementation.is_dask():
        return _lazy_frame(import_module("dask.dataframe").from_pandas(_pandas(table), npartitions=1))
    return _lazy_frame(table)


def _select_values(table: Any) -> str:
    """
    Write a table as SQL, a list for each column.

    There is no way to a relation's connection but a query over the relation, and a scan of Python variables can be
    forbidden. Rows of values take DuckDB's parser thirty times as long.
    """
    types = {pa.int64(): "BIGINT", pa.float64(): "DOUBLE", pa.bool_(): "BOOLEAN"}
    columns = (
        f"unnest(CAST({_sql_list(values)} AS {types.get(values.type, 'VARCHAR')}[])) AS {_quoted(name)}"
        for name, values in _columns(table).items()
    )
    return f"SELECT {', '.join(columns)}"


def _sql_list(values: Any) -> str:
    items = ", ".join(map(_item, values.to_pylist()))
    return "'[" + items.replace("'", "''") + "]'"


def _item(value: float | str | bool | None) -> str:  # noqa: FBT001  a value, not a switch
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return "NULL" if value is None else str(value)


def _duckdb_columns(frame: nw.LazyFrame[Any], replaced: Mapping[str, str]) -> nw.LazyFrame[Any]:
    expressions = (f"{replaced.get(name, _quoted(name))} AS {_quoted(name)}" for name in frame.columns)
    return _lazy_frame(frame.to_native().project(", ".join(expressions)))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _spark_micros(frame: nw.LazyFrame[Any], naive: Mapping[str, bool]) -> nw.LazyFrame[Any]:
    from pyspark.sql import functions  # noqa: PLC0415  only those who have Spark come here

    def micros(name: str) -> Any:
        if naive[name]:  # a cast would read it in the session's zone
            return functions.expr(f"timestampdiff(MICROSECOND, TIMESTAMP_NTZ'1970-01-01 00:00:00', `{name}`)")
        return functions.unix_micros(name)

    native = frame.to_native()
    return _lazy_frame(native.withColumns({name: micros(name) for name in naive}) if naive else native)


def _dask_cast(frame: nw.LazyFrame[Any], dtypes: Mapping[str, Any], *, via: Any = None) -> nw.LazyFrame[Any]:
    native = frame.to_native()
    if via is not None:
        native = native.astype(dict.fromkeys(dtypes, pd.ArrowDtype(via)))
    return _lazy_frame(native.astype(dict(dtypes)))
