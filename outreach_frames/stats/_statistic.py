"""
One call of a statistic: what went in, what was left out and why, and what comes out.

Every statistic opens a `StatContext`, reads its frames through it (which checks columns, dtypes and ids), and writes
its result through it (which returns the caller's kind of frame, with the record that `explain` prints).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from importlib.metadata import version
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import pyarrow as pa

from outreach_frames._format import type_name
from outreach_frames._frame_kinds import RECORD, record_of_table
from outreach_frames._warnings import warn
from outreach_frames.errors import DataError, NaiveTimestampWarning, OutreachDataWarning
from outreach_frames.stats import _backends
from outreach_frames.stats._timestamps import Instant, to_iso, to_micros
from outreach_frames.stats._validation import cast, check, check_dtype, check_key, kind_of, missing_column, missing_key

_INSTANTS = {"since", "until"}


class StatContext:
    """
    One call of a statistic.

    Parameters
    ----------
    function
        The public function's name.
    **parameters
        Its parameters as given; they are kept in the result's record.

    Raises
    ------
    DataError
        A parameter has a value that it cannot have; see `_validation.check`.
    """

    def __init__(self, function: str, **parameters: object) -> None:
        for name, value in parameters.items():
            check(name, value)
        self.function = function
        self.parameters = parameters
        self.rows_in: dict[str, int] = {}
        self.dropped: dict[str, int] = {}
        self.clusters: dict[str, dict[str, object]] = {}
        self.assumed: dict[str, int] = {}
        self.as_of: str | None = None
        self._native: Any = None
        self._database: Any = None
        self._extracted: list[str] = []

    def read(
        self,
        name: str,
        native: Any,
        columns: Iterable[str],
        *,
        keys: Iterable[str] = (),
        optional: Iterable[str] = (),
        database: bool = False,
    ) -> nw.LazyFrame[Any]:
        """
        Take columns of one of the caller's frames, checked.

        Parameters
        ----------
        name
            The resource, such as ``"mailings"``; used in messages.
        native
            The frame.
        columns
            What the statistic needs.
        keys
            What the caller chose to group by, which need not be a column of the API.
        optional
            What it uses when it is there.
        database
            Whether DuckDB reads this frame, and those read later, where it is a large one of pandas or PyArrow: for
            statistics that go through it a few times only, since every step would be computed once more each time.

        Returns
        -------
        frame : LazyFrame
            Instants are integers [µs since 1970, UTC]; ids and counts 64-bit integers. See `_backends`.

        Raises
        ------
        MissingColumnError
            A needed column is absent; the message says how to request it.
        DataError
            Not a frame; frames of two kinds; a column of the wrong dtype; an id that occurs twice (checked in
            memory only: on DuckDB, Dask, Spark and lazy polars it would cost a pass over the data).
        """
        present = columns_of(name, native)
        needed = list(dict.fromkeys(columns))
        for column in needed:
            if column not in present:
                raise missing_column(name, column, needed_for=self.function)
        for column in keys:
            if column not in present:
                raise missing_key(name, column, needed_for=self.function, present=present)
        needed += [column for column in dict.fromkeys(keys) if column not in needed]
        needed += [column for column in dict.fromkeys(optional) if column in present and column not in needed]
        if self._native is None and database:
            self._database = _backends.database_for(native, needed)
        self._remember(name, native)
        frame = self._typed(name, native, needed)
        schema = frame.collect_schema()
        for column in keys:
            check_key(name, column, schema[column], in_arrow=isinstance(native, pd.DataFrame | pa.Table))
        if "id" in needed and is_eager(native):
            _refuse_duplicates(name, frame)
        # -0.0 + 0.0 is 0.0: engines differ in whether the two are one group
        return frame.with_columns(nw.col(column) + 0.0 for column in keys if schema[column].is_float())

    def _remember(self, name: str, native: Any) -> None:
        if self._native is None:
            self._native = native
        elif _kind(native) != _kind(self._native):
            raise DataError(
                f"{self.function} was given frames of two kinds, {_kind(self._native)} and {_kind(native)}.",
                hint="Convert one of them; a join cannot span two engines.",
            )
        if is_eager(native):
            self.rows_in[name] = len(native)
        if (extracted := record_of(native).get("as_of")) is not None:
            self._extracted.append(extracted)

    def _typed(self, name: str, native: Any, columns: Sequence[str]) -> nw.LazyFrame[Any]:
        types = {column: kind.arrow for column in columns if (kind := kind_of(column)) is not None}
        try:
            frame = _backends.plain_columns(native, columns, types, self._database)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            raise DataError(
                f"A column of {name} mixes kinds of values, or holds ids or counts with other values in it: {error}",
                hint="Give every column one kind of value, and keep ids and counts as integers.",
            ) from error
        schema = frame.collect_schema()
        for column in columns:
            check_dtype(name, column, schema[column])
        instants = [column for column in columns if column.endswith("_at")]
        self._warn_of_naive(name, frame, [c for c in instants if getattr(schema[c], "time_zone", "UTC") is None])
        frame = _backends.columns_to_micros(frame, instants)
        return cast(frame, [column for column in columns if column not in instants])

    def _warn_of_naive(self, name: str, frame: nw.LazyFrame[Any], columns: Sequence[str]) -> None:
        if columns:
            held = nw.any_horizontal(*(~nw.col(column).is_null() for column in columns), ignore_nulls=True)
            self.assume(frame, f"row of {name} with an instant without a zone, read as UTC", held)
            message = (
                f"{len(columns)} column(s) of {name} have no time zone and were read as UTC: {', '.join(columns)}."
            )
            warn(message, NaiveTimestampWarning)

    def drop(self, frame: nw.LazyFrame[Any], reason: str, keep: nw.Expr) -> nw.LazyFrame[Any]:
        """Keep the rows where an expression is true; where the result can tell it, count those that go, by reason."""
        if self.counts_rows and (removed := _count(frame, ~keep.fill_null(False))):
            self.dropped[reason] = self.dropped.get(reason, 0) + removed
        return frame.filter(keep)

    def assume(self, frame: nw.LazyFrame[Any], what: str, rows: nw.Expr) -> None:
        """Where the result can tell it, count the rows that are placed by an assumption, by what is assumed."""
        if self.counts_rows and (count := _count(frame, rows)):
            self.assumed[what] = count

    @property
    def counts_rows(self) -> bool:
        """Whether the result can tell what was left out."""
        return isinstance(self._native, pd.DataFrame | pa.Table)

    @property
    def in_memory(self) -> bool:
        """Whether the caller's frame is in memory, so that counting rows costs nothing to speak of."""
        return is_eager(self._native)

    def instant(self, as_of: Instant | None) -> int:
        """
        Settle the instant at which the data are looked at.

        Parameters
        ----------
        as_of
            The caller's wish; without one, the extraction time kept in the frames' records (the earliest of them).

        Returns
        -------
        as_of
            [µs since 1970, UTC].

        Raises
        ------
        DataError
            Neither is known, or the wish is later than the extraction: what happened in between was not seen.
        """
        extracted = min(map(to_micros, self._extracted), default=None)
        if as_of is None and extracted is None:
            raise DataError(
                f"{self.function} needs to know when the data were extracted.",
                hint='Pass as_of="2026-03-31T00:00:00Z"; fetch() notes it in pandas and PyArrow, other kinds cannot.',
            )
        settled = extracted if as_of is None else to_micros(as_of)
        if settled is None or (extracted is not None and settled > extracted):
            raise DataError(
                f"as_of is later than the extraction of the data ({to_iso(extracted or 0)}).",
                hint="What happened after the extraction is not in the data; leave as_of out or choose an earlier one.",
            )
        self.as_of = to_iso(settled)
        return settled

    def optional_instant(self, as_of: Instant | None) -> int | None:
        """Settle the instant as `instant` does; ``None`` where neither the caller nor a record has one."""
        return self.instant(as_of) if as_of is not None or self._extracted else None

    def write(
        self,
        frame: nw.LazyFrame[Any],
        *,
        sort: Sequence[str] = (),
        instants: Sequence[str] = (),
        days: Sequence[str] = (),
        categories: Mapping[str, Sequence[str]] | None = None,
        keep_index: bool = False,
        **record: object,
    ) -> Any:
        """
        Give a result back in the caller's kind of frame.

        Parameters
        ----------
        frame
            The result.
        sort
            Columns that order it, missing values last.
        instants, days
            Columns of integers that become UTC instants and dates.
        categories
            Columns of text with a fixed order: ordered categories in pandas and polars, text elsewhere.
        keep_index
            Whether the result has the rows of the first frame read, in their order, and so its pandas index.
        **record
            Further entries of the record.

        Returns
        -------
        native
            pandas results are Arrow-backed, and carry the record in ``attrs``; PyArrow tables in the schema's
            metadata; other kinds have no place for it.
        """
        frame = _widened(frame)
        if self._database is not None:
            frame, sort = _backends.in_arrow(_sorted(frame, sort, categories or {}) if sort else frame), ()
        frame = _backends.from_days(_backends.from_micros(frame, instants), days)
        if sort:  # last of all: Dask loses the order in a later conversion
            frame = _sorted(_backends.tidied(frame), sort, categories or {})
        record = {**self._record(), **record}
        if frame.implementation.is_polars():
            return self._as_polars(frame, categories or {})
        if not frame.implementation.is_pyarrow():
            return frame.to_native()
        if isinstance(self._native, pa.Table):
            return frame.collect().to_native().combine_chunks().replace_schema_metadata({RECORD: json.dumps(record)})
        result = _backends.pandas_of(frame)
        if keep_index:
            result.index = self._native.index
        for name, order in (categories or {}).items():
            result[name] = pd.Categorical(result[name].astype(object), categories=list(order), ordered=True)
        result.attrs[RECORD] = record
        return result

    def table(self, frame: nw.LazyFrame[Any]) -> pd.DataFrame:
        """Collect a frame into Arrow-backed pandas, for the statistics of small tables."""
        return _backends.pandas_of(_widened(frame))

    def finish(self, result: pd.DataFrame, **record: object) -> pd.DataFrame:
        """Give a small table back: Arrow-backed pandas with the record, whatever kind of frame went in."""
        finished = _backends.arrow_pandas(result)
        finished.attrs[RECORD] = {**self._record(), **record}
        return finished

    def _as_polars(self, frame: nw.LazyFrame[Any], categories: Mapping[str, Sequence[str]]) -> Any:
        native = frame.with_columns(nw.col(name).cast(nw.Enum(list(c))) for name, c in categories.items()).to_native()
        return native.collect() if self.in_memory else native

    def _extraction(self) -> str | None:
        """Return the time of the earliest extraction; ``None`` where no frame carries one."""
        return to_iso(min(map(to_micros, self._extracted))) if self._extracted else None

    def _record(self) -> dict[str, object]:
        return {
            "function": self.function,
            "parameters": {name: _recordable(name, value) for name, value in self.parameters.items()},
            "as_of": self.as_of or self._extraction(),
            "rows_in": self.rows_in,
            "dropped": self.dropped,
            **({"clusters": self.clusters} if self.clusters else {}),
            "assumed": self.assumed,
            "version": version("outreach_frames"),
        }


def _sorted(frame: nw.LazyFrame[Any], by: Sequence[str], categories: Mapping[str, Sequence[str]]) -> nw.LazyFrame[Any]:
    """Sort, missing values last, and categories in their own order in every engine."""
    ranks = {name: f"rank of {name}" for name in by if name in categories}
    ranked = frame.with_columns(_rank(name, categories[name]).alias(rank) for name, rank in ranks.items())
    return ranked.sort(*(ranks.get(name, name) for name in by), nulls_last=True).drop(*ranks.values())


def _rank(column: str, order: Sequence[str]) -> nw.Expr:
    rank = nw.lit(len(order))
    for place, value in enumerate(order):
        rank = nw.when((nw.col(column) == value).fill_null(False)).then(nw.lit(place)).otherwise(rank)
    return rank


def _widened(frame: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    narrow = [name for name, dtype in frame.collect_schema().items() if dtype.is_integer() and dtype != nw.Int64]
    return frame.with_columns(nw.col(name).cast(nw.Int64) for name in narrow) if narrow else frame


def record_of(native: Any) -> dict[str, Any]:
    """Read the record that a frame carries; empty where there is none."""
    if isinstance(native, pa.Table):
        return record_of_table(native)
    attrs = getattr(native, "attrs", None)
    return dict(attrs.get(RECORD, {})) if isinstance(attrs, dict) else {}


def extraction(native: Any, as_of: Instant | None, *, needed_for: str) -> int:
    """
    Tell when a frame was extracted, by the caller's wish or by its record [µs since 1970, UTC].

    Raises
    ------
    DataError
        Neither says.
    """
    instant = record_of(native).get("as_of") if as_of is None else as_of
    if instant is None:
        raise DataError(
            f"{needed_for} needs to know when the data were extracted.",
            hint='Pass as_of="2026-03-31T00:00:00Z"; frames from fetch() carry it in attrs, other kinds cannot.',
        )
    return to_micros(instant)


def is_eager(native: Any) -> bool:
    """Whether a frame is in memory: pandas, PyArrow, or a polars ``DataFrame``."""
    return isinstance(native, pd.DataFrame | pa.Table) or (_kind(native) == "polars" and not hasattr(native, "collect"))


def _count(frame: nw.LazyFrame[Any], rows: nw.Expr) -> int:
    """Count the rows where an expression is true; runs the query."""
    return int(frame.select(rows.cast(nw.Int64).sum()).collect().item() or 0)


def _recordable(name: str, value: Any) -> object:
    """Write a parameter as JSON can hold it, and an instant as it was read: without a zone, in UTC."""
    return to_iso(to_micros(value)) if name in _INSTANTS and value is not None else _jsonable(value)


def _jsonable(value: object) -> object:
    if isinstance(value, np.datetime64):
        return str(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple | set | frozenset | np.ndarray | pd.Index | pd.Series):
        return [_jsonable(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    return value


def columns_of(name: str, native: Any) -> list[str]:
    """List the columns of one of the caller's frames; `DataError` where it is none."""
    try:
        return _backends.column_names(native)
    except TypeError as error:
        raise DataError(f"{name} is {type_name(native)}, not a frame.", hint="Pass what fetch() returns.") from error


def _kind(native: Any) -> str:
    package = type(native).__module__.partition(".")[0].lstrip("_")
    return "pandas" if package in {"pandas", "pyarrow"} else package


def _refuse_duplicates(name: str, frame: nw.LazyFrame[Any]) -> None:
    ids = frame.select("id").collect()["id"]
    if (ids.tail(-1) > ids.head(-1)).fill_null(False).all() or ids.n_unique() == len(ids):
        return
    doubled = ids.filter(ids.is_duplicated()).unique().sort().to_list()
    if doubled:
        raise DataError(
            f"{len(doubled)} id(s) occur more than once in {name}: {', '.join(map(str, doubled[:EXAMPLES]))}"
            f"{' …' if len(doubled) > EXAMPLES else ''}.",
            hint=f'Keep one row per id: {name}.drop_duplicates("id", keep="last").',
        )


EXAMPLES = 5
"""How many ids a message or a table lists."""


def warn_of_rows(category: type[OutreachDataWarning], what: str, ids: Iterable[Any]) -> None:
    """
    Warn once of the rows with these ids; without ids, do nothing.

    Used for frames in memory only: on DuckDB, Dask, Spark and lazy polars the count would cost a pass over the data.

    Parameters
    ----------
    category
        The warning's class.
    what
        What the rows have in common, and its effect on the figures.
    ids
        Ids of all rows concerned.
    """
    ordered = sorted(ids)
    if ordered:
        listed = ", ".join(map(str, ordered[:EXAMPLES])) + (" …" if len(ordered) > EXAMPLES else "")
        warn(f"{what}: {len(ordered):,} (id {listed}).", category)
