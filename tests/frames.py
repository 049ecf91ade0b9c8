"""Frames for the tests of the statistics: the worked example, made-up mail, and every engine's kind of frame."""

from collections.abc import Callable, Iterable
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

from tests.oracle import ORACLE

EXPECTED = ORACLE["expected"]
AS_OF = ORACLE["as_of"]
TOLERANCE = ORACLE["tolerance"]
MONDAY, TUESDAY, WEDNESDAY = (f"2025-03-0{day}T10:00:00Z" for day in (3, 4, 5))

BOOLEANS = {
    *["enabled", "is_closed", "opted_out", "request_proxied", "send_disabled", "sync_disabled", "transactional"],
    *["track_opens", "track_links"],
}
INTEGERS = {
    *["id", "amount", "duration_in_days", "interval", "max_mailings_per_day", "order"],
    *["num_contacted_prospects", "num_replied_prospects"],
}
"""Columns that are integers besides ids and counts."""

MAILING_COLUMNS = [
    *["id", "sequence_state_id", "prospect_id", "sequence_id", "sequence_step_id", "user_id", "mailing_type"],
    *["delivered_at", "bounced_at", "replied_at", "unsubscribed_at", "marked_as_spam_at", "opened_at", "open_count"],
    *["clicked_at", "click_count", "track_opens", "track_links", "template_id", "mailbox_id", "state"],
]
NOT_IN_THE_EXAMPLE = {
    "mailings": MAILING_COLUMNS,
    "opportunities": ["amount_precise", "currency_type", "external_created_at", "trashed_at"],
    "prospects": ["time_zone", "opted_out_at", "opted_out"],
    "sequences": ["transactional"],
}
"""Columns that the API has and the worked example's flat tables leave out; all missing there."""


def make_frame(rows: Iterable[dict[str, Any]], *columns: str) -> pd.DataFrame:
    """Make a frame as `fetch` does: Arrow-backed, with the API's dtypes; what a row does not name is missing."""
    listed = list(rows)
    names = dict.fromkeys([*(name for row in listed for name in row), *columns])
    return pd.DataFrame({name: _series(name, [row.get(name) for row in listed]) for name in names})


def _series(name: str, values: list[Any]) -> "pd.Series[Any]":
    if name.endswith("_at"):
        instants = [None if value is None else pd.Timestamp(value) for value in values]
        array = pa.array(instants, pa.timestamp("us", "UTC"))
    elif name in INTEGERS or name.endswith(("_id", "_count")):
        array = pa.array([None if value is None else int(value) for value in values], pa.int64())
    elif name in BOOLEANS:
        array = pa.array(values, pa.bool_())
    elif all(value is None or isinstance(value, str) for value in values):
        array = pa.array(values, pa.string())
    else:
        array = pa.array(values)
    return pd.Series(array, dtype=pd.ArrowDtype(array.type))


def example(name: str) -> pd.DataFrame:
    """Return a table of the worked example, with the record that `fetch` leaves."""
    return extracted(make_frame(ORACLE["tables"][name], *NOT_IN_THE_EXAMPLE.get(name, ())), name)


def extracted(frame: pd.DataFrame, name: str, as_of: str = AS_OF) -> pd.DataFrame:
    """Put the record that `fetch` leaves on a frame."""
    frame.attrs["outreach_frames"] = {"resource": name, "as_of": as_of}
    return frame


def mailings(*rows: dict[str, Any]) -> pd.DataFrame:
    """Make mailings that differ from a plain unsent one in what is given; ids count up from 1."""
    return make_frame([{"id": number, **row} for number, row in enumerate(rows, start=1)], *MAILING_COLUMNS)


def plain(values: "pd.Series[Any]") -> list[Any]:
    """List a column with None for what is missing."""
    return [None if value is None or value is pd.NA or value is pd.NaT else value for value in values.tolist()]


def made_up_mailings(size: int, seed: int) -> pd.DataFrame:
    """Invent mailings with every trap of the flags in them, deterministic for a seed."""
    rng = np.random.default_rng(seed)
    state = rng.integers(1, max(size // 3, 2), size)
    day = 86_400_000_000
    sent = 1_740_000_000_000_000 + rng.integers(0, 60 * day, size)

    def happening(share: float) -> list[int | None]:
        later = sent + rng.integers(0, 9 * day, size)
        return [int(instant) if hit else None for instant, hit in zip(later, rng.random(size) < share, strict=True)]

    def missing(values: Iterable[Any], share: float) -> list[Any]:
        return [None if gone else value for value, gone in zip(values, rng.random(size) < share, strict=True)]

    one_off = rng.random(size) < 0.15
    sequence = state % 4 + 1
    columns: dict[str, list[Any]] = {
        "id": rng.permutation(size).tolist(),
        "sequence_state_id": [None if off else int(value) for value, off in zip(state, one_off, strict=True)],
        "sequence_id": [None if off else int(value) for value, off in zip(sequence, one_off, strict=True)],
        "sequence_step_id": [
            None if off else int(s * 10 + step)
            for s, step, off in zip(sequence, rng.integers(1, 4, size), one_off, strict=True)
        ],
        "prospect_id": missing((state % 7 + 1).tolist(), 0.05),
        "user_id": missing(rng.integers(1, 4, size).tolist(), 0.1),
        "mailing_type": ["single" if off else "sequence" for off in one_off],
        "delivered_at": missing(sent.tolist(), 0.2),
        "bounced_at": happening(0.12),
        "replied_at": happening(0.2),
        "unsubscribed_at": happening(0.08),
        "marked_as_spam_at": happening(0.05),
        "opened_at": happening(0.4),
        "open_count": missing(rng.integers(0, 3, size).tolist(), 0.2),
        "clicked_at": happening(0.1),
        "click_count": missing(rng.integers(0, 2, size).tolist(), 0.2),
        "track_opens": missing((rng.random(size) < 0.8).tolist(), 0.1),
        "track_links": missing((rng.random(size) < 0.8).tolist(), 0.1),
    }
    return pd.DataFrame({name: _micros(name, values) for name, values in columns.items()})


def _micros(name: str, values: list[Any]) -> "pd.Series[Any]":
    if not name.endswith("_at"):
        return _series(name, values)
    array = pa.array(values, pa.int64()).cast(pa.timestamp("us", "UTC"))
    return pd.Series(array, dtype=pd.ArrowDtype(array.type))


def steps_of(mail: pd.DataFrame) -> pd.DataFrame:
    """Make the sequence steps that made-up mailings refer to, and one without mail."""
    ids = sorted({*mail["sequence_step_id"].dropna().tolist(), 14})
    return make_frame(
        {"id": step, "sequence_id": step // 10, "order": step % 10, "step_type": "auto_email"} for step in ids
    )


NULLABLE = {"int64": "Int64", "double": "Float64", "bool": "boolean", "string": "string"}


def _numpy_nullable(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn Arrow-backed columns into pandas' older kinds."""

    def older(column: "pd.Series[Any]") -> "pd.Series[Any]":
        kind = column.dtype.pyarrow_dtype if isinstance(column.dtype, pd.ArrowDtype) else None
        if kind is not None and pa.types.is_timestamp(kind):
            return column.astype(f"datetime64[us, {kind.tz}]" if kind.tz else "datetime64[us]")
        return column.astype(NULLABLE.get(str(kind), column.dtype))

    return pd.DataFrame({name: older(frame[name]) for name in frame.columns})


def _table(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False)


def _duckdb(frame: pd.DataFrame) -> duckdb.DuckDBPyRelation:
    return _connection().from_arrow(_table(frame))


_CONNECTIONS: list[duckdb.DuckDBPyConnection] = []


def _connection() -> duckdb.DuckDBPyConnection:
    """Open one connection, since a join cannot span two; its zone is not UTC, which must not matter."""
    if not _CONNECTIONS:
        _CONNECTIONS.append(duckdb.connect())
        _CONNECTIONS[0].execute("SET TimeZone = 'Asia/Kolkata'")
    return _CONNECTIONS[0]


ENGINES: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda frame: frame,
    "pandas-nullable": _numpy_nullable,
    "pyarrow": _table,
    "polars": lambda frame: pl.from_arrow(_table(frame)),
    "polars-lazy": lambda frame: pl.from_arrow(_table(frame)).lazy(),
    "duckdb": _duckdb,
}


def as_pandas(native: Any) -> pd.DataFrame:
    """Collect any engine's frame into Arrow-backed pandas, categories as text, for comparing."""
    if isinstance(native, pl.LazyFrame):
        native = native.collect()
    if isinstance(native, pl.DataFrame | duckdb.DuckDBPyRelation):
        native = native.to_arrow() if isinstance(native, pl.DataFrame) else native.to_arrow_table()
    table = pa.Table.from_pandas(native, preserve_index=False) if isinstance(native, pd.DataFrame) else native
    columns = {name: _plain(table.column(name)) for name in table.column_names}
    return pd.DataFrame({name: pd.Series(values, dtype=pd.ArrowDtype(values.type)) for name, values in columns.items()})


def _plain(values: Any) -> Any:
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    if pa.types.is_large_string(kind) or pa.types.is_string(kind) or pa.types.is_string_view(kind):
        return values.cast(pa.string())
    return values.cast(pa.timestamp("us", "UTC")) if pa.types.is_timestamp(kind) else values


def assert_equal_tables(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Compare exactly, but floats to 1e-9; what is missing must be missing in both."""
    pd.testing.assert_frame_equal(found.reset_index(drop=True), expected.reset_index(drop=True), rtol=0, atol=1e-9)


NUMERATORS = {
    "delivery_rate": "delivered",
    "bounce_rate": "bounced",
    "open_rate": "opened",
    "click_rate": "clicked",
    "click_to_open_rate": "opened_clicked",
    "reply_rate": "replied",
    "opt_out_rate": "opted_out",
    "prospect_reply_rate": "prospects_replied",
    "enrollment_reply_rate": "enrollments_replied",
}
"""Column of the numerator of each rate of an engagement."""
