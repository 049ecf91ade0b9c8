"""Rows of the table about statistics: against code written by hand, `engagement`, and independent trials."""

import tempfile
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import by_hand
import duckdb
import numpy as np
import organization
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from measure import MB, Cost, Row, bounded, compared, cost_of, fresh, growth, in_turns, peak
from organization import AS_OF

from outreach_frames import stats

ENGINES = {"polars": (1.7, 1_200), "duckdb": (1.7, 800), "pandas": (2.5, 1_500), "pyarrow": (2.5, 1_500)}
"""Limits of `engagement`: of CPU time, and of memory [MB]."""
STATISTICS = {
    "sequence_engagement": ("sequences", "sequence_states"),
    "step_funnel": ("sequence_steps",),
    "time_to_event": ("sequence_states",),
    "cohort_matrix": ("sequence_states",),
    "send_time_heatmap": ("prospects",),
}
"""The tables that each takes besides mailings."""
_IN_MEMORY = ("pandas", "pyarrow")


_WRITE = """
import pathlib, sys, organization
answer = organization.write(pathlib.Path(sys.argv[1]), int(sys.argv[2]))
"""


@cache
def _tables(mailings: int) -> tuple[Path, tempfile.TemporaryDirectory[str]]:
    """Write the tables once; they are removed when the program ends."""
    folder = tempfile.TemporaryDirectory()
    fresh(_WRITE, folder.name, mailings)
    return Path(folder.name), folder


def _mailings(*, small: bool) -> int:
    return 20_000 if small else 10_000_000


def rows_of_engagement(*, small: bool = False) -> Iterator[Row]:
    """Yield the rows of the heaviest statistic, against the same columns written by hand."""
    mailings = _mailings(small=small)
    folder, _ = _tables(mailings)
    for engine, (limit, megabytes) in ENGINES.items():
        here = small and engine != "polars"  # a small run loads the modules once, and tries the other way once
        program = _PROGRAM.format(call="engagement(*sys.argv[1:])")
        answer = of_engagement(engine, str(folder)) if here else fresh(program, engine, folder).answer
        label = f'`engagement(by="sequence_id")`, {mailings:,} mailings, {engine}'
        ours, other = (Cost(*answer[name]) for name in ("ours", "by hand"))
        hand = "DuckDB over the same Arrow table" if engine in _IN_MEMORY else engine
        yield compared(label, ours, other, f"{hand}, by hand", at_most=limit)
        yield _memory(label, engine, answer, megabytes)


def rows_of_other_statistics(*, small: bool = False) -> Iterator[Row]:
    """Yield the rows of five statistics, against one `engagement` of the same engine."""
    mailings = _mailings(small=small)
    folder, _ = _tables(mailings)
    for statistic in STATISTICS:
        for engine in ("polars",) if small else ("polars", "duckdb", "pandas"):
            answer = (
                of_statistic(engine, str(folder), statistic)
                if small
                else fresh(_PROGRAM.format(call="statistic(*sys.argv[1:])"), engine, folder, statistic).answer
            )
            label = f"`{statistic}`, {mailings:,} mailings, {engine}"
            ours, other = (Cost(*answer[name]) for name in (statistic, "engagement"))
            yield compared(label, ours, other, "`engagement`", at_most=3)
            yield _memory(label, engine, answer, 2_000)


def _memory(label: str, engine: str, answer: dict[str, Any], at_most: float) -> Row:
    if engine in _IN_MEMORY:
        return bounded(
            f"{label}, beyond the tables", answer["grown"], "MB", at_most, f"tables: {answer['tables']:,.0f} MB"
        )
    return bounded(f"{label}, whole process", answer["peak"], "MB", at_most)


_PROGRAM = "import sys, counting\nanswer = counting.of_{call}"


def of_engagement(engine: str, folder: str) -> dict[str, Any]:
    """Compare the statistic with what is written by hand; run in a process of its own."""
    tables = _load(engine, folder, [])
    ours = partial(_collected_engagement, tables["mailings"])
    with growth() as grown:
        mine = ours()
    largest = peak()
    if engine == "polars":
        hand = partial(by_hand.with_polars, tables["mailings"])
    else:
        connection = duckdb.connect()
        if engine == "duckdb":
            connection.read_parquet(f"{folder}/mailings.parquet").create_view("mailings")
        else:
            connection.register("mailings", _arrow(tables["mailings"]))
        hand = partial(by_hand.with_duckdb, connection)
    _check(mine, hand())
    costs = in_turns({"ours": ours, "by hand": hand}, 2)
    return _answer(costs, peak=largest, grown=grown[0], tables=tables)


def of_statistic(engine: str, folder: str, name: str) -> dict[str, Any]:
    """Compare a statistic with one `engagement`; run in a process of its own."""
    tables = _load(engine, folder, STATISTICS[name])

    def ours() -> None:
        others = {other: tables[other] for other in STATISTICS[name]}
        options = {} if name == "send_time_heatmap" else {"as_of": AS_OF}
        assert _collected(getattr(stats, name)(tables["mailings"], **others, **options)).num_rows

    _collected_engagement(_few(engine))  # modules are loaded
    with growth() as grown:
        cost = cost_of(ours)
    largest = peak()
    costs = {name: cost, "engagement": cost_of(partial(_collected_engagement, tables["mailings"]))}
    return _answer(costs, peak=largest, grown=grown[0], tables=tables)


def _answer(costs: dict[str, Cost], *, tables: dict[str, Any], **sizes: float) -> dict[str, Any]:
    in_memory = [table for table in tables.values() if isinstance(table, pa.Table | pd.DataFrame)]
    sizes["tables"] = sum(_arrow(table).nbytes for table in in_memory) / MB
    return {name: [cost.cpu, cost.wall] for name, cost in costs.items()} | sizes


def _load(engine: str, folder: str, others: Any) -> dict[str, Any]:
    """Open tables lazily, or read them into memory."""
    files = {name: f"{folder}/{name}.parquet" for name in ("mailings", *others)}
    if engine == "polars":
        return {name: pl.scan_parquet(file) for name, file in files.items()}
    if engine == "duckdb":
        connection = duckdb.connect()
        return {name: connection.read_parquet(file) for name, file in files.items()}
    tables = {name: pq.read_table(file) for name, file in files.items()}
    if engine == "pyarrow":
        return tables
    return {name: table.to_pandas(types_mapper=pd.ArrowDtype, self_destruct=True) for name, table in tables.items()}


def _few(engine: str) -> Any:
    """Return a thousand mailings."""
    table = organization.mailings_table(1_000)
    if engine == "polars":
        return pl.from_arrow(table).lazy()
    if engine == "duckdb":
        return duckdb.from_arrow(table)
    return table if engine == "pyarrow" else table.to_pandas(types_mapper=pd.ArrowDtype)


def _arrow(frame: Any) -> pa.Table:
    return frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame, preserve_index=False)


def _collected_engagement(mailings: Any) -> pd.DataFrame:
    return _collected(stats.engagement(mailings, by="sequence_id", as_of=AS_OF)).to_pandas()


def _collected(frame: Any) -> pa.Table:
    """Return what an engine gives as an Arrow table; what is lazy is streamed."""
    if isinstance(frame, pl.LazyFrame):
        return frame.collect(engine="streaming").to_arrow()
    if isinstance(frame, pl.DataFrame):
        return frame.to_arrow()
    return frame.to_arrow_table() if isinstance(frame, duckdb.DuckDBPyRelation) else _arrow(frame)


def _check(mine: pd.DataFrame, other: pd.DataFrame) -> None:
    """Compare every column of ours with that of the table written by hand."""
    mine = mine.sort_values("sequence_id").reset_index(drop=True)
    for column in mine.columns:
        pairs = (frame[column].to_numpy(dtype=np.float64, na_value=np.nan) for frame in (mine, other))
        np.testing.assert_allclose(*pairs, rtol=1e-6, atol=1e-9, err_msg=column)


def rows_of_clusters(*, small: bool = False) -> Iterator[Row]:
    """Yield the rows of design effects: trials that belong together, against independent ones."""
    mailings = _mailings(small=small)
    folder, _ = _tables(mailings)
    columns = [field.name for field in organization.COLUMNS if not pa.types.is_nested(field.type)]
    read = pq.read_table(folder / "mailings.parquet", columns=columns)
    layouts = {"in one sequence": True, "in any sequence": False}
    for where, together in list(layouts.items())[: 1 if small else 2]:
        table = _with_accounts(read, together=together)
        frames = {"polars": pl.from_arrow(table), "duckdb": duckdb.from_arrow(table), "pyarrow": table}
        for engine, frame in frames.items():

            def result(cluster: str | None, frame: Any = frame) -> pd.DataFrame:
                made = stats.engagement(frame, by="sequence_id", cluster=cluster, as_of=AS_OF)
                return _collected(made).to_pandas().sort_values("sequence_id")

            counts = ["sequence_id", "delivered", "opened", "replied", "enrollments_replied"]
            assert result("auto")[counts].to_numpy().tolist() == result(None)[counts].to_numpy().tolist(), engine
            costs = in_turns({"auto": partial(result, "auto"), "none": partial(result, None)}, 1 if small else 2)
            label = f"design effects, accounts {where}, {mailings:,} mailings, {engine}"
            yield compared(label, costs["auto"], costs["none"], "`cluster=None`", at_most=2)


def _with_accounts(table: pa.Table, *, together: bool) -> pa.Table:
    """Add the account, four people in each; put its mail into one sequence, or leave it where it is."""
    account = (np.arange(table.num_rows) // organization.STEPS) // 4
    table = table.append_column("account_id", pa.array(account + 1))
    if not together:
        return table
    column = table.column_names.index("sequence_id")
    return table.set_column(column, "sequence_id", pa.array(account % organization.SEQUENCES + 1))
