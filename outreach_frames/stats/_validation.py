"""
Check the columns and parameters of a statistic.

A parameter means the same in every statistic, so that `check` knows it by its name; what differs from one to the next,
such as the words that ``metric`` may be, the statistics settle themselves with the other functions.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from math import isfinite
from numbers import Integral, Real
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa

from outreach_frames.errors import DataError, MissingColumnError
from outreach_frames.stats._timestamps import zone

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
    """Type of a column of the API."""

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
_OTHER_SOURCES = {
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
    **dict.fromkeys(("tz", "tz_source"), "prospect_engagement(mailings, prospects=...)"),
    "bucket": "state_flow(mailings, sequence_states=...)",
}
"""Which statistic makes a column that callers may take for one of Outreach's."""


def kind_of(column: str) -> Kind | None:
    """Return what a column holds; ``None`` for the caller's own columns, which may hold anything."""
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
    """Raise `DataError` where rows cannot be grouped by a column: it holds lists, records or durations."""
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
    hint = _OTHER_SOURCES.get((name, column)) or _maker_hint(column) or _request(name, column)
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
        hint = _maker_hint(column) or f"If Outreach has it, request it, else add it. {_request(name, column)}"
    if meant is not None and not included and "Did you mean" not in hint:
        hint = f'Did you mean "{meant}"? {hint}'
    return MissingColumnError(column, needed_for=needed_for, hint=hint)


def _request(name: str, column: str) -> str:
    if column == "id":
        return "Keep it: every frame of fetch() has one."
    field = column.removesuffix("_id") if column.endswith("_id") else column
    return f'Request it: fetch(org, "{name}", fields=[..., "{field}"]).'


def _maker_hint(column: str) -> str | None:
    maker = _MAKERS.get(column)
    return f"No attribute of Outreach: {maker} makes it." if maker else None


POLICIES = ("reply_wins", "bounce_wins")
"""What a mailing that bounced and was answered counts as; see `mailing_flags`."""


def columns(name: str, value: object) -> list[str]:
    """
    Take the names of some columns: one name, several in any ordered collection, or none.

    Raises
    ------
    DataError
        Something else, or a set, which has no order.
    """
    if value is None:
        return []
    listed = [value] if isinstance(value, str) else _items_of(value)
    if listed is None or not all(isinstance(each, str) for each in listed):
        raise DataError(
            f"{name} must be the name of a column or a list of names, not {value!r}.",
            hint=f'Write {name}="sequence_id" or {name}=["sequence_id", "week"].',
        )
    return list(dict.fromkeys(str(each) for each in listed))


def column(name: str, value: object) -> str:
    """Take the name of one column; a list of one will do."""
    listed = columns(name, value)
    if len(listed) != 1:
        raise DataError(f"{name} must name one column, not {value!r}.", hint=f'Write {name}="sequence_id".')
    return listed[0]


def choice(name: str, value: object, allowed: Iterable[str]) -> str:
    """Check that a value is one of the allowed words."""
    words = list(allowed)
    if not isinstance(value, str) or value not in words:
        quoted = ", ".join(f'"{word}"' for word in words)
        raise DataError(f"There is no {name} {value!r}.", hint=f"Choose one of {quoted}." if words[1:] else quoted)
    return value


def choices(name: str, value: object, allowed: Iterable[str]) -> list[str]:
    """Check that values are allowed words; a single one needs no list."""
    listed = [value] if isinstance(value, str) else _items_of(value)
    if listed is None:
        raise DataError(f"{name} must be a list of words, not {value!r}.")
    words = list(allowed)
    return [choice(name, each, words) for each in listed]


def words(name: str, value: object) -> list[str]:
    """Check that values are words; a single one needs no list."""
    listed = [value] if isinstance(value, str) else _items_of(value)
    if listed is None or not all(isinstance(each, str) for each in listed):
        raise DataError(f"{name} must be a word or a list of words, not {value!r}.")
    return [str(each) for each in listed]


def number(
    name: str,
    value: object,
    *,
    least: float | None = None,
    above: float | None = None,
    below: float | None = None,
    whole: bool = False,
) -> float:
    """
    Check that a value is a finite number within bounds.

    Parameters
    ----------
    name, value
        The parameter as the caller wrote it.
    least
        Smallest number allowed.
    above, below
        Bounds that are not allowed themselves.
    whole
        Whether it must be a whole number.
    """
    limits = {"at least": least, "above": above, "below": below}
    bounds = " and ".join(f"{word} {limit:g}" for word, limit in limits.items() if limit is not None)
    kind = "a whole number" if whole else "a number"
    message = f"{name} must be {kind}{' ' if bounds else ''}{bounds}, not {value!r}."
    if isinstance(value, bool) or not isinstance(value, Real):
        raise DataError(message)
    taken = float(value)
    low = (least is not None and taken < least) or (above is not None and taken <= above)
    if not isfinite(taken) or low or (below is not None and taken >= below) or (whole and taken != int(taken)):
        raise DataError(message)
    return taken


def numbers(name: str, value: object, **bounds: Any) -> list[float]:
    """Check that values are numbers within bounds; a single one needs no list."""
    listed = [value] if isinstance(value, Real) else _items_of(value)
    if listed is None:
        raise DataError(f"{name} must be a number or a list of numbers, not {value!r}.")
    return [number(name, each, **bounds) for each in listed]


def count(name: str, value: object, *, least: int = 0) -> int:
    """Check that a value is a whole number."""
    return int(number(name, value, least=least, whole=True))


def id_mapping(name: str, value: object) -> dict[int, int]:
    """Take a mapping of ids to ids; nothing is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(i, Integral) for pair in value.items() for i in pair):
        raise DataError(f"{name} must map ids to ids, not {value!r}.", hint=f"Write {name}={{20: 10}}.")
    return {int(old): int(new) for old, new in value.items()}


def flag(name: str, value: object) -> bool:
    """Check that a value is True or False, not something that Python takes for it."""
    if not isinstance(value, bool | np.bool_):
        raise DataError(f"{name} must be True or False, not {value!r}.")
    return bool(value)


def text(name: str, value: object) -> str:
    """Check that a value is text."""
    if not isinstance(value, str):
        raise DataError(f"{name} must be text, not {value!r}.")
    return value


def beta_prior(name: str, value: object) -> tuple[float, float]:
    """Check the two parameters of a Beta prior."""
    listed = _items_of(value)
    if listed is None or len(listed) != 2:  # noqa: PLR2004  alpha and beta
        raise DataError(f"A Beta prior needs two parameters above 0, not {value!r}.", hint="(1, 1) is the flat one.")
    alpha, beta = (number(name, each, above=0) for each in listed)
    return alpha, beta


def limits(name: str, value: object, allowed: Iterable[str]) -> dict[str, tuple[float, float]]:
    """Check the thresholds of rates: one from which to watch, one from which to act."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise DataError(f"{name} must map rates to two values.", hint=f'Write {name}={{"bounce_rate": (0.02, 0.05)}}.')
    taken = {}
    for rate, pair in value.items():
        bounds = numbers(f"{name} of {rate}", pair, least=0)
        if len(bounds) != 2:  # noqa: PLR2004  to watch and to act
            raise DataError(f"{name} of {rate} must be two values, from which to watch and to act, not {pair!r}.")
        taken[choice(f"rate in {name}", rate, allowed)] = (bounds[0], bounds[1])
    return taken


def check(name: str, value: object) -> None:
    """Raise `DataError` if a parameter that means the same everywhere has a value that it cannot have."""
    if value is not None or name not in _OPTIONAL:
        _CHECKS.get(name, _anything)(name, value)


def _anything(_name: str, _value: object) -> None:
    """Accept a parameter whose values differ between statistics."""


def _items_of(value: object) -> Sequence[object] | None:
    """Return the items of an ordered collection; ``None`` for anything else."""
    if isinstance(value, str | bytes | Mapping | AbstractSet) or not isinstance(value, Iterable):
        return None
    return list(value)


_POSITIVE = partial(number, above=0)
_NOT_NEGATIVE = partial(number, least=0)
_PROBABILITY = partial(number, above=0, below=1)
_COUNT = partial(count, least=1)
_OPTIONAL = frozenset({"cluster", "horizon_d", "per_day", "planned_n", "tau"})
_CHECKS: dict[str, Callable[[str, object], object]] = {
    "allow_low_trust": flag,
    "arms": partial(count, least=2),
    "baseline_weeks": _COUNT,
    "bounce_policy": partial(choice, allowed=POLICIES),
    "burst_n": _COUNT,
    "ci": _PROBABILITY,
    "cluster": text,
    "default_tz": zone,
    "detectable": _PROBABILITY,
    "fast_s": _NOT_NEGATIVE,
    "grace_h": _NOT_NEGATIVE,
    "half_life_d": _POSITIVE,
    "horizon_d": _NOT_NEGATIVE,
    "include_unsequenced": flag,
    "max_mailings": _NOT_NEGATIVE,
    "mature_d": _NOT_NEGATIVE,
    "min_n": count,
    "named_only": flag,
    "ooto_prefix": text,
    "overlap_only": flag,
    "per_day": _POSITIVE,
    "planned_n": count,
    "power": _PROBABILITY,
    "resamples": _COUNT,
    "seed": count,
    "sequential": flag,
    "stuck_after_waits": _POSITIVE,
    "stale_h": _NOT_NEGATIVE,
    "tau": _POSITIVE,
    "together_s": _NOT_NEGATIVE,
    "tz": zone,
    "weeks": _COUNT,
    "window_d": _POSITIVE,
    "within_d": _POSITIVE,
}
