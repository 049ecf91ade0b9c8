"""Data quality: all checks of the data at once, each with its effect on the figures."""

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from inspect import signature
from typing import Any

import pandas as pd
import pyarrow as pa

from outreach_frames.errors import MissingColumnError, OutreachDataWarning
from outreach_frames.stats._pandas import frame_in_utc, frame_of_rows, frames_of, naive_columns, read, write
from outreach_frames.stats._statistic import EXAMPLES, StatContext
from outreach_frames.stats._timestamps import Instant
from outreach_frames.stats.quality_checks import CHECKS, EFFECTS, Check, MissingTableError

SEVERITIES = ("ok", "note", "watch", "act")

_QUALITY_RESULT = {
    "trap": pa.string(),
    "check": pa.string(),
    "resource": pa.string(),
    "count": pa.int64(),
    "rows": pa.int64(),
    "share": pa.float64(),
    "severity": pa.string(),
    "example_ids": pa.list_(pa.int64()),
    "effect": pa.string(),
    "needs": pa.string(),
}


class Tables:
    """
    The frames given, made fit to be counted: each id once, every instant in UTC.

    Attributes
    ----------
    naive, doubled
        Ids of rows with an instant without zone, and ids that came more than once, by table.
    """

    def __init__(self, call: StatContext, frames: Mapping[str, pd.DataFrame]) -> None:
        self.call = call
        self.as_of: int | None = None
        self.sizes = {name: len(frame) for name, frame in frames.items()}
        self.naive = {name: _naive_rows(frame) for name, frame in frames.items()}
        self.doubled = {name: _doubled_ids(frame) for name, frame in frames.items()}
        self._frames = {name: _repaired(frame) for name, frame in frames.items()}
        self._results: dict[str, pd.DataFrame] = {}

    def table(self, name: str, columns: Sequence[str]) -> pd.DataFrame:
        """Take columns of a table; see `_pandas.read`."""
        return read(self.call, name, self._frame_of(name), columns)

    def result(self, function: str, *tables: str) -> pd.DataFrame:
        """Call a statistic on tables, the first by position, without its warnings; keep what it returns."""
        key = f"{function}{tables}"
        if key not in self._results:
            call = getattr(import_module("outreach_frames.stats"), function)
            first, *others = [self._frame_of(name) for name in tables]
            named: dict[str, Any] = dict(zip(tables[1:], others, strict=True))
            if "as_of" in signature(call).parameters:
                named["as_of"] = self.call.as_of
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", OutreachDataWarning)  # what they would say is in the table
                self._results[key] = call(first, **named)
        return self._results[key]

    def _frame_of(self, name: str) -> pd.DataFrame:
        if name not in self._frames:
            raise MissingTableError(name)
        return self._frames[name]


def data_quality(frames: Any, *, as_of: Instant | None = None) -> pd.DataFrame:
    """
    Check the data for everything that bends a statistic, and for contradictions.

    Parameters
    ----------
    frames
        A mapping of resource name to pandas frame, such as ``{"mailings": …, "prospects": …}``, or a snapshot. The more
        tables, the more is checked.
    as_of
        When the data were extracted; default: the frames' own record. Unknown: what needs it is not checked.

    Returns
    -------
    quality : DataFrame, one row for each check, in the order of the traps
        ``trap`` ("T5"; missing where it is none), ``check``, ``resource`` (whose ids are counted), ``count``, ``rows``
        looked at, ``share`` = count / rows (missing without rows), ``severity``: "ok" if nothing was found, else "note"
        (know it), "watch" (figures bend) or "act" (repair first); ``example_ids`` [up to 5], ``effect`` on the metrics,
        ``needs``: the table or column that is not given, in which case count and severity are missing.

    Raises
    ------
    DataError
        The source holds no frames, or a column has the wrong dtype.

    Notes
    -----
    Ids that came twice and naive instants are counted first, then the latest row of an id is kept and the instants are
    read as UTC, so that the other checks can go on.

    Examples
    --------
    >>> checks = stats.data_quality(snapshot)
    >>> checks["severity"].value_counts().to_dict()
    {'note': 20, 'ok': 10, 'watch': 7, 'act': 1}
    >>> checks.loc[checks["severity"] == "act", ["trap", "check", "count", "rows"]].to_dict("records")
    [{'trap': 'T18', 'check': 'blind_mailboxes', 'count': 1, 'rows': 9}]
    """
    call = StatContext("data_quality")
    tables = Tables(call, frames_of(frames))
    for name in tables.sizes:
        with suppress(MissingColumnError):
            tables.table(name, ["id"])  # the extraction times must be known before the first check
    tables.as_of = call.optional_instant(as_of)
    checks = [*CHECKS, *_whole(21, "naive_instants", "watch", tables.naive, tables.sizes)]
    checks += _whole(27, "doubled_ids", "act", tables.doubled, tables.sizes)
    checks.sort(key=lambda check: check.trap or len(EFFECTS) + 1)
    return write(
        call,
        frame_of_rows([_run_check(check, tables) for check in checks], _QUALITY_RESULT),
        categories={"severity": SEVERITIES},
    )


def _whole(
    trap: int, name: str, severity: str, ids: Mapping[str, "pd.Series[Any]"], sizes: Mapping[str, int]
) -> list[Check]:
    """Make a check for each table in which something was found, or one for all."""
    matches = [table for table in sorted(ids) if len(ids[table])]
    if not matches:
        nothing = pd.Series([], dtype="int64[pyarrow]")
        return [Check(trap, name, "all tables", severity, lambda _: (nothing, sum(sizes.values())))]
    return [Check(trap, name, table, severity, partial(_count_rows, ids[table], sizes[table])) for table in matches]


def _count_rows(ids: "pd.Series[Any]", rows: int, _data: object) -> tuple["pd.Series[Any]", int]:
    return ids, rows


def _run_check(check: Check, tables: Tables) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(_QUALITY_RESULT)
    row |= {"trap": f"T{check.trap}" if check.trap else None, "check": check.name, "resource": check.resource}
    row["effect"] = check.effect or EFFECTS[check.trap]
    try:
        ids, looked_at = check.search(tables)
    except MissingTableError as error:
        return row | {"needs": str(error)}
    except MissingColumnError as error:
        return row | {"needs": error.column}
    matches = {"count": len(ids), "rows": looked_at, "share": len(ids) / looked_at if looked_at else None}
    examples = sorted(ids.tolist())[:EXAMPLES]
    return row | matches | {"severity": check.severity if len(ids) else "ok", "example_ids": examples}


def _naive_rows(frame: pd.DataFrame) -> "pd.Series[Any]":
    return _ids(frame)[frame[naive_columns(frame)].notna().any(axis=1).to_numpy()]


def _doubled_ids(frame: pd.DataFrame) -> "pd.Series[Any]":
    ids = _ids(frame)
    return ids[ids.duplicated().to_numpy()].drop_duplicates()


def _ids(frame: pd.DataFrame) -> "pd.Series[Any]":
    """Return the ids; a table without any is counted by position."""
    return frame["id"] if "id" in frame.columns else pd.Series(range(len(frame)))


def _repaired(frame: pd.DataFrame) -> pd.DataFrame:
    return frame_in_utc(frame.drop_duplicates("id", keep="last") if "id" in frame.columns else frame)
