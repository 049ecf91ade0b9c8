"""What the API's columns hold, by their names, and what a frame's columns must therefore be."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import narwhals as nw
import pyarrow as pa

from outreach_frames.errors import DataError, MissingColumnError

_FLAGS = frozenset(
    {"track_opens", "track_links", "opted_out", "named", "enabled", "locked", "send_disabled", "sync_disabled"}
)
_INTEGERS = frozenset({"id", "max_mailings_per_day", "order", "throttle_max_adds_per_day"})
_TEXTS = frozenset(
    {
        "action",
        "direction",
        "display_name",
        "email",
        "error_reason",
        "event",
        "mailbox_address",
        "mailing_type",
        "name",
        "outcome",
        "pause_reason",
        "state",
        "step_type",
        "task_type",
        "time_zone",
        "time_zone_iana",
        "time_zone_inferred",
    }
)


@dataclass(frozen=True)
class Kind:
    """What a column of the API holds."""

    meant: str
    arrow: Any
    dtype: Any
    hint: str | None = None

    def fits(self, dtype: nw.dtypes.DType) -> bool:
        """Whether a column of this dtype can hold it."""
        if self.dtype == nw.Int64:
            return dtype.is_integer()
        if self.dtype == nw.String:
            return isinstance(dtype, nw.String | nw.Categorical | nw.Enum)
        return isinstance(dtype, nw.Datetime) if self.dtype == nw.Datetime else dtype == self.dtype


_INSTANT = Kind(
    "instants", pa.timestamp("us", "UTC"), nw.Datetime, hint="Convert it first: pandas.to_datetime(..., utc=True)."
)
_INTEGER = Kind("integers", pa.int64(), nw.Int64)
_FLAG = Kind("booleans", pa.bool_(), nw.Boolean)
_TEXT = Kind("text", pa.string(), nw.String)


_DURATIONS = "Pass a result of time_to_event(mailings)."
_MADE_ELSEWHERE = {
    ("durations", "duration_d"): _DURATIONS,
    ("durations", "event"): _DURATIONS,
    ("users", "time_zone"): 'Outreach gives users none: add it, for instance users.assign(time_zone="Europe/Berlin").',
}
"""Columns that no request brings, by table, and where they come from."""

_MAKERS = {
    **dict.fromkeys(
        ("is_sent", "is_delivered", "is_bounced", "is_opened", "is_clicked", "is_replied", "is_opted_out", "is_spam"),
        "mailing_flags(mailings)",
    ),
    **dict.fromkeys(("opens_total", "clicks_total"), "mailing_flags(mailings)"),
    **dict.fromkeys(("day", "week", "month", "quarter", "origin"), "engagement(mailings, by=...)"),
    **dict.fromkeys(("suspect_open", "suspect_click"), "suspect_engagement(mailings)"),
    **dict.fromkeys(("duration_d", "event", "t0"), "time_to_event(mailings)"),
    **dict.fromkeys(("tz", "tz_source"), "prospect_engagement(prospects, mailings)"),
    "bucket": "state_flow(sequence_states, mailings)",
}
"""Which statistic makes a column that callers may take for one of Outreach's."""


def kind_of(column: str) -> Kind | None:
    """Tell what a column holds; ``None`` for the caller's own columns, which may hold anything."""
    if column.endswith("_at"):
        return _INSTANT
    if column in _INTEGERS or column.endswith(("_id", "_count")):
        return _INTEGER
    if column in _FLAGS:
        return _FLAG
    return _TEXT if column in _TEXTS else None


def check_dtype(name: str, column: str, dtype: nw.dtypes.DType) -> None:
    """Raise `DataError` where a column of the API has another dtype than it must have."""
    kind = kind_of(column)
    if kind is not None and not kind.fits(dtype) and dtype != nw.Unknown:  # nothing but nulls has no dtype of its own
        raise DataError(f"Column {column!r} of {name} is {dtype}, not {kind.meant}.", hint=kind.hint)


def check_key(name: str, column: str, dtype: nw.dtypes.DType, *, in_arrow: bool) -> None:
    """Raise `DataError` where nothing can be grouped by a column: it holds lists, records or durations."""
    odd = isinstance(dtype, nw.List | nw.Array | nw.Struct | nw.Duration | nw.Object)
    if odd or (in_arrow and dtype == nw.Unknown):  # elsewhere a column of nothing but nulls is unknown too
        raise DataError(
            f"Column {column!r} of {name} is {dtype}: nothing can be grouped by it.",
            hint="Group by text, numbers, booleans, dates or instants; make it text first, or take its items apart.",
        )


def cast(frame: nw.LazyFrame[Any], columns: Sequence[str]) -> nw.LazyFrame[Any]:
    """Widen integers and give nulls a type, only where needed: in Dask a cast leaves Arrow and refuses nulls."""
    schema = frame.collect_schema()
    kinds = {column: kind for column in columns if (kind := kind_of(column)) is not None}
    casts = [nw.col(column).cast(kind.dtype) for column, kind in kinds.items() if schema[column] != kind.dtype]
    return frame.with_columns(casts) if casts else frame


def missing_column(name: str, column: str, *, needed_for: str) -> MissingColumnError:
    """Build the error for an absent column that a statistic needs: how to request it, or which function makes it."""
    hint = _MADE_ELSEWHERE.get((name, column)) or _made(column) or _request(name, column)
    return MissingColumnError(column, needed_for=needed_for, hint=hint)


def missing_key(name: str, column: str, *, needed_for: str, present: Sequence[str] = ()) -> MissingColumnError:
    """Build the error for an absent column that the caller chose, which need not be one of the API's."""
    relationship, included, of_it = column.partition("__")
    meant = f"{column}_id" if f"{column}_id" in present else next(iter(get_close_matches(column, present, n=1)), None)
    if included and relationship and of_it:
        hint = f'Include it: fetch(org, "{name}", include={{"{relationship}": ["{of_it}"]}}).'
    elif meant == f"{column}_id":
        hint = f'Did you mean "{meant}"?'
    elif name == "durations":
        hint = f'Carry it along: time_to_event(mailings, by="{column}").'
    else:
        hint = _made(column) or f"If Outreach has it, request it, else add it. {_request(name, column)}"
    if meant is not None and not included and "Did you mean" not in hint:
        hint = f'Did you mean "{meant}"? {hint}'
    return MissingColumnError(column, needed_for=needed_for, hint=hint)


def _request(name: str, column: str) -> str:
    if column == "id":
        return "Keep it: every frame of fetch() has one."
    field = column.removesuffix("_id") if column.endswith("_id") else column
    return f'Request it: fetch(org, "{name}", fields=[..., "{field}"]).'


def _made(column: str) -> str | None:
    maker = _MAKERS.get(column)
    return f"No attribute of Outreach: {maker} makes it." if maker else None
