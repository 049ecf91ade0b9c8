"""
Statistics on small tables: pandas in, pandas out, and tables by name from a mapping or a snapshot.

Rates by group, opportunities or mailboxes are thousands of rows, and the mathematics on them is NumPy's and SciPy's, so
these functions do not take other engines' frames. Checks, flags and the record are those of `StatContext`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from outreach_frames._format import type_name
from outreach_frames._frame_kinds import pandas_from
from outreach_frames.errors import DataError, OutreachError
from outreach_frames.stats._backends import pandas_of, wrap
from outreach_frames.stats._statistic import StatContext
from outreach_frames.stats.flags import ENGAGEMENT, SENDING, with_delivery, with_flags

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_DTYPES = {"id": "int64[pyarrow]", "count": "int64[pyarrow]", "at": "int64[pyarrow]"}
"""Of columns that are not there, by the last part of their names; other ones are text."""

_COLUMN_TYPES: dict[str, tuple[Literal["bool[pyarrow]", "double[pyarrow]", "string[pyarrow]"], str]] = {
    **dict.fromkeys(("is_closed", "request_proxied", "transactional"), ("bool[pyarrow]", "booleans")),
    **dict.fromkeys(
        (
            *("amount", "amount_precise", "duration_in_days", "interval", "max_mailings_per_day"),
            *("num_contacted_prospects", "num_replied_prospects"),
        ),
        ("double[pyarrow]", "numbers"),
    ),
    **dict.fromkeys(("currency_type", "email"), ("string[pyarrow]", "text")),
}
"""What columns hold that `_validation.kind_of` has no entry for, since only these statistics use them."""


def read(
    call: StatContext,
    name: str,
    frame: pd.DataFrame,
    columns: Iterable[str],
    *,
    keys: Iterable[str] = (),
    optional: Iterable[str] = (),
) -> pd.DataFrame:
    """
    Take columns of one of the caller's pandas frames, checked; instants become integers [µs since 1970, UTC].

    Parameters
    ----------
    call, name, frame, columns, keys
        See `Call.read`.
    optional
        Columns used when they are there; those that are not come back with nothing but missing values.

    Raises
    ------
    DataError
        Not a pandas frame, or what `Call.read` refuses.
    """
    return _completed(name, table(_lazy(call, name, frame, columns, keys=keys, optional=optional)), optional)


def read_mailings(
    call: StatContext,
    mailings: pd.DataFrame,
    columns: Iterable[str] = (),
    *,
    keys: Iterable[str] = (),
    optional: Iterable[str] = (),
    bounce_policy: str = "reply_wins",
) -> pd.DataFrame:
    """Take mailings with their flags; ``id`` and the columns that the flags need are always among them."""
    lazy = _lazy(call, "mailings", mailings, ["id", *ENGAGEMENT, *columns], keys=keys, optional=optional)
    return _completed("mailings", table(with_flags(lazy, bounce_policy)), optional)


def read_deliveries(
    call: StatContext,
    mailings: pd.DataFrame,
    columns: Iterable[str] = (),
    *,
    keys: Iterable[str] = (),
    optional: Iterable[str] = (),
    bounce_policy: str = "reply_wins",
) -> pd.DataFrame:
    """Take mailings with ``is_sent``, ``is_bounced``, ``is_delivered`` and ``sent_at`` only, which need few columns."""
    lazy = _lazy(call, "mailings", mailings, ["id", *SENDING, *columns], keys=keys, optional=optional)
    return _completed("mailings", table(with_delivery(lazy, bounce_policy)), optional)


def _lazy(
    call: StatContext,
    name: str,
    frame: pd.DataFrame,
    columns: Iterable[str],
    *,
    keys: Iterable[str],
    optional: Iterable[str],
) -> nw.LazyFrame[Any]:
    frame = pandas_from(frame)
    if not isinstance(frame, pd.DataFrame):
        raise DataError(
            f"{call.function} works on frames in memory; {name} is {type_name(frame)}.",
            hint="Convert it, for instance with .to_pandas().",
        )
    return call.read(name, frame, columns, keys=keys, optional=optional)


def _completed(name: str, frame: pd.DataFrame, optional: Iterable[str]) -> pd.DataFrame:
    """Add the optional columns that are not there, and give those of `_COLUMN_TYPES` their type."""
    absent = {column: missing(len(frame), _dtype(column)) for column in optional if column not in frame.columns}
    frame = frame.assign(**absent)
    for column in frame.columns.intersection(list(_COLUMN_TYPES)):
        dtype, meant = _COLUMN_TYPES[column]
        try:
            frame[column] = frame[column].astype(dtype)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise DataError(f"Column {column!r} of {name} is {frame[column].dtype}, not {meant}.") from error
    return frame


def _dtype(column: str) -> str:
    return _DTYPES.get(column.rpartition("_")[2], "string[pyarrow]")


def missing(size: int, dtype: str) -> "pd.Series[Any]":
    """Make a column of missing values."""
    return pd.Series([pd.NA] * size, dtype=dtype)


def table(lazy: nw.LazyFrame[Any]) -> pd.DataFrame:
    """Run a query over frames in memory."""
    return pandas_of(lazy)


def naive_columns(frame: pd.DataFrame) -> list[str]:
    """List the columns of instants that have no zone."""
    instants = {str(name): dtype for name, dtype in frame.dtypes.items() if str(name).endswith("_at")}
    return [name for name, dtype in instants.items() if dtype.kind == "M" and _zone_of_dtype(dtype) is None]


def _zone_of_dtype(dtype: Any) -> Any:
    return getattr(getattr(dtype, "pyarrow_dtype", dtype), "tz", None)


def frame_in_utc(frame: pd.DataFrame) -> pd.DataFrame:
    """Read instants without a zone as UTC."""
    return frame.assign(**{name: frame[name].dt.tz_localize("UTC") for name in naive_columns(frame)})


def keep(call: StatContext, frame: pd.DataFrame, reason: str, condition: "pd.Series[Any]") -> pd.DataFrame:
    """Keep the rows where a flag is true (missing is not), and note how many are left out."""
    chosen = flags(condition)
    removed = int((~chosen).sum())
    if removed:
        call.dropped[reason] = call.dropped.get(reason, 0) + removed
    return frame[chosen].reset_index(drop=True)


def keyed(call: StatContext, frame: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Keep the rows without a missing key, and note how many are left out."""
    for key in keys:
        frame = keep(call, frame, f"{key} missing", frame[key].notna())
    return frame


def groups_of(frame: pd.DataFrame, keys: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    """Yield the values of the keys and the rows, by group; without keys, all rows, even if there are none."""
    if keys:
        yield from frame.groupby(list(keys), sort=True)
    else:
        yield (), frame


def keyed_rows(
    frame: pd.DataFrame, keys: Sequence[str], rows: Sequence[Sequence[Any]], schema: Mapping[str, Any]
) -> pd.DataFrame:
    """Make a table of rows: first the keys, with the types they have in a frame, then columns of the given types."""
    kinds = {key: pa.array(frame[key]).type for key in keys} | dict(schema)
    return frame_of_rows([dict(zip(kinds, row, strict=True)) for row in rows], kinds)


def floats(values: "pd.Series[Any]") -> Floats:
    """Return a column as NumPy floats, missing as NaN."""
    return values.to_numpy(dtype=np.float64, na_value=np.nan)


def flags(values: "pd.Series[Any]") -> Flags:
    """Return a column as NumPy booleans, missing as false."""
    return values.to_numpy(dtype=np.bool_, na_value=False)


def float_column(values: Floats) -> "pd.Series[Any]":
    """Return floats as an Arrow-backed column, NaN as missing."""
    return pd.Series(values, dtype="float64").astype("double[pyarrow]").where(~np.isnan(values))


def texts(reasons: Mapping[str, "pd.Series[Any]"], size: int) -> "pd.Series[Any]":
    """Join the sentences that hold for each row with semicolons; missing where none does."""
    reasons_of: list[list[str]] = [[] for _ in range(size)]
    for sentence, holds in reasons.items():
        for row in np.flatnonzero(flags(holds)):
            reasons_of[row].append(sentence)
    return pd.Series(["; ".join(sentences) or None for sentences in reasons_of], dtype="string[pyarrow]")


def frame_of_rows(rows: Sequence[Mapping[str, Any]], schema: Mapping[str, Any]) -> pd.DataFrame:
    """Make a frame of rows, with a column of the Arrow type for every name, also where there is no row."""
    columns = {name: pa.array([row[name] for row in rows], kind, from_pandas=True) for name, kind in schema.items()}
    return pd.DataFrame({name: pd.Series(values, dtype=pd.ArrowDtype(values.type)) for name, values in columns.items()})


def write(
    call: StatContext,
    frame: pd.DataFrame,
    *,
    sort: Sequence[str] = (),
    instants: Sequence[str] = (),
    categories: Mapping[str, Sequence[str]] | None = None,
) -> pd.DataFrame:
    """Give a result back, sorted (missing last), Arrow-backed, with its record; see `Call.write`."""
    result: pd.DataFrame = call.write(wrap(frame), sort=sort, instants=instants, categories=categories)
    return result


TABLES = (
    "accounts",
    "calls",
    "email_addresses",
    "events",
    "mailboxes",
    "mailings",
    "opportunities",
    "opportunity_prospect_roles",
    "opportunity_stages",
    "prospects",
    "sequence_states",
    "sequence_steps",
    "sequence_templates",
    "sequences",
    "tasks",
    "templates",
    "users",
)
"""The tables that the statistics read, of which `snapshots` leaves out some unless asked."""


def frames_of(source: Any) -> dict[str, pd.DataFrame]:
    """
    Take the tables that the statistics read from wherever they are.

    Parameters
    ----------
    source
        A mapping of resource name to pandas frame, or an object with ``frame(name)``, such as a snapshot, and if it can
        ``tables``, the names it has.

    Raises
    ------
    DataError
        The source is neither, or holds something else than pandas frames.
    """
    if isinstance(source, Mapping):
        frames = {str(name): frame for name, frame in source.items()}
    elif callable(getattr(source, "frame", None)):
        frames = dict(_read_tables(source))
    else:
        raise DataError(
            f"A {type(source).__name__} holds no frames by name.",
            hint='Pass a snapshot, or a mapping such as {"mailings": fetch_mailings(org)}.',
        )
    for name, frame in frames.items():
        frames[name] = pandas_from(frame)
        if not isinstance(frames[name], pd.DataFrame):
            raise DataError(f"{name} is {type_name(frame)}, not a frame in memory.", hint="Convert it first.")
    return frames


def _read_tables(source: Any) -> Iterable[tuple[str, pd.DataFrame]]:
    names = getattr(source, "tables", None)
    for name in TABLES:
        if names is not None:
            if name in names:
                yield name, source.frame(name)
            continue
        try:
            yield name, source.frame(name)
        except (OutreachError, LookupError):  # without a list of names, asking is the only way to know
            continue
