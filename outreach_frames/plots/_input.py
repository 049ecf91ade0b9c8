"""Read a statistic's result: its columns, metrics, groups and parameters."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from outreach_frames._format import SPACE, count, day, moment, share, type_name
from outreach_frames.errors import DataError, MissingColumnError
from outreach_frames.metrics import METRICS, Metric
from outreach_frames.plots._layout import distinct
from outreach_frames.plots._style import MARKS, Mark


def metric(name: str) -> Metric:
    """Look a rate up by its column name, or that without ``_rate``; an unknown one is described by its name."""
    registered = METRICS.get(name) or METRICS.get(f"{name}_rate")
    label = f"{name.removesuffix('_rate').replace('_', ' ').capitalize()} rate"
    return registered or Metric(label, label.lower(), f"column {name}", "", f"column {name}")


def mark_of(words: Metric) -> Mark:
    """Return the color, marker and hatch of what a rate counts."""
    return MARKS[words.color]


def axis_title(words: Metric) -> str:
    """Return the name of a rate, with the caveat of one of low trust."""
    return f"{words.label} {words.caveat}".strip()


_NAME_COLUMNS = (
    "name",
    "sequence_name",
    "sequence__name",
    "user_name",
    "template_name",
    "display_name",
    "email",
    "mailbox_address",
)
_NONE = "none"
_LONG_FACT = 36
Names = Mapping[Any, str]
"""Names by id, such as ``sequences.set_index("id")["name"].to_dict()``."""
Floats = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]


def require(frame: Any, columns: Iterable[str], *, plot: str, source: str, names: Any = None) -> None:
    """
    Check that a result has the columns that a picture draws, and that names are names by id.

    Raises
    ------
    DataError
        The result is no pandas frame, or the names are a list or the like; says what to pass.
    MissingColumnError
        Names the first missing column, the picture and the statistic whose result has it.
    """
    if not isinstance(frame, pd.DataFrame):
        turned = ", turned into pandas with .to_pandas()" if hasattr(frame, "to_pandas") else ""
        raise DataError(f"plots.{plot} cannot draw {type_name(frame)}.", hint=f"Pass the result of {source}{turned}.")
    if names is not None and not isinstance(names, Mapping | pd.Series):
        raise DataError(
            f"names= of plots.{plot} is {type_name(names)}.",
            hint='Pass names by id, such as sequences.set_index("id")["name"].to_dict().',
        )
    for column in columns:
        if column not in frame.columns:
            raise MissingColumnError(column, needed_for=f"plots.{plot}", hint=f"Pass the result of {source}.")


def numbers(frame: pd.DataFrame, column: str) -> Floats:
    """
    Return a column as floats, missing values as NaN.

    Raises
    ------
    DataError
        It holds something else than numbers.
    """
    try:
        return frame[column].to_numpy(dtype="float64", na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise DataError(f"Column {column!r} holds no numbers.", hint="Pass the statistic's result as it is.") from error


def noun(key: str) -> str:
    """Name in words what a key column identifies: a sequence, or the time zone of an included prospect."""
    return re.sub("_+", " ", key.removesuffix("_id").removesuffix("_iana"))


def keys_of(frame: pd.DataFrame) -> list[str]:
    """Find the key columns: those grouped by, else the first column if it looks like one; none for a total."""
    by = parameters(frame).get("by")
    requested = [column for column in ([by] if isinstance(by, str) else by or []) if column in frame.columns]
    if requested or not len(frame.columns):
        return requested
    first = str(frame.columns[0])
    return [first] if first.endswith("_id") or not is_numeric_dtype(frame[first].dtype) else []


def is_calendar(frame: pd.DataFrame, keys: Sequence[str]) -> bool:
    """Whether rows are periods of time, which keep their natural order."""
    return len(keys) == 1 and _is_time(frame[keys[0]])


def labels(frame: pd.DataFrame, keys: Sequence[str], *, names: Names | None = None) -> list[str]:
    """
    Name each row, all labels different.

    By the names given for its only key, or by the first column of names, or by its keys.
    """
    if not keys:
        return ["all mailings"] * len(frame)
    identities = [" · ".join(words) for words in zip(*(_key_labels(frame, key) for key in keys), strict=True)]
    if len(keys) > 1:
        return distinct(identities, identities)
    key = keys[0]
    beside = f"{key.removesuffix('_id')}__name"
    column = next((column for column in (beside, *_NAME_COLUMNS) if column in frame.columns), None)
    if names is not None:
        named: list[Any] = [names.get(value) for value in frame[key]]
    elif column is not None:
        named = list(frame[column])
    elif is_numeric_dtype(frame[key].dtype):
        named = [f"{noun(key)} {identity}" for identity in identities]
    else:
        named = identities
    nameless = f"no {noun(key)}"
    return distinct(
        [nameless if pd.isna(value) else name for name, value in zip(named, frame[key], strict=True)], identities
    )


def _key_labels(frame: pd.DataFrame, key: str) -> list[str]:
    """Write the values of one of several keys, by the names beside them where there are any."""
    beside = f"{key.removesuffix('_id')}__name"
    if not key.endswith("_id") or beside not in frame.columns:
        return _value_labels(frame[key])
    return _value_labels(frame[beside].astype(object).fillna(frame[key].astype(object)))


def parts(frame: pd.DataFrame, key: str, *, names: Names | None = None) -> dict[str, pd.DataFrame]:
    """Split a result into the rows of each group, by the group's label, in order of appearance."""
    firsts = frame.drop_duplicates(key)
    groups = dict(zip(labels(firsts, [key], names=names), firsts[key], strict=True))
    return {
        label: frame[frame[key].isna() if pd.isna(value) else (frame[key] == value).fillna(value=False)]
        for label, value in groups.items()
    }


def _is_time(values: "pd.Series[Any]") -> bool:
    return values.dtype.kind == "M" or str(values.dtype).startswith(("date", "timestamp"))


def _value_labels(values: "pd.Series[Any]") -> list[str]:
    write = day if _is_time(values) else str
    return [_NONE if pd.isna(value) else write(value) for value in values]


def facts(frame: pd.DataFrame) -> dict[str, Any]:
    """Return what the statistic noted about itself; empty where a step in between has dropped it."""
    noted = frame.attrs.get("outreach_frames", {})
    return dict(noted) if isinstance(noted, dict) else {}


def parameters(frame: pd.DataFrame) -> dict[str, Any]:
    """Return the parameters that the statistic was called with."""
    return dict(facts(frame).get("parameters") or {})


def without_group(frame: pd.DataFrame, keys: Iterable[str]) -> int:
    """Count the rows that the statistic left out because a key was missing, so that they are in no group."""
    left_out = facts(frame).get("dropped") or {}
    return sum(
        int(left_out.get(reason, 0)) for key in keys for reason in (f"{key} missing", f"mailing of no {noun(key)}")
    )


def confidence(frame: pd.DataFrame) -> str:
    """Name the level of the intervals, such as ``95 %``."""
    return share(float(parameters(frame).get("ci") or 0.95))


def _period(parameters_of: dict[str, Any]) -> str:
    since, until = parameters_of.get("since"), parameters_of.get("until")
    if since and until:
        return f"{day(since)} – {day(until)}"
    if since:
        return f"since {day(since)}"
    return f"until {day(until)}" if until else "all dates"


def subtitle(frame: pd.DataFrame, *counts: str, period: str | None = None) -> str:
    """Say which period (default: that of the parameters), how much of it, and when it was extracted."""
    as_of = facts(frame).get("as_of")
    facts_in_order = [
        period or _period(parameters(frame)),
        *counts,
        f"as of {moment(as_of)}" if as_of else "extraction time not recorded",
    ]
    return " · ".join(fact if len(fact) > _LONG_FACT else fact.replace(" ", SPACE) for fact in facts_in_order)


def ranked(values: Floats, trials: Floats, names: Sequence[str], *, last: Flags | None = None) -> list[int]:
    """Order rows by value, highest first, ties by trials and then name; then those of ``last``, then those without."""

    def rank(row: int) -> tuple[bool, bool, float, float, str]:
        value, n = values[row], trials[row]
        missing = bool(np.isnan(value))
        return (
            missing,
            last is not None and bool(last[row]),
            0.0 if missing else -value,
            0.0 if np.isnan(n) else -n,
            names[row],
        )

    return sorted(range(len(values)), key=rank)


def ends_in_words(order: Sequence[int], values: Floats, names: Sequence[str], sentences: Sequence[str]) -> str:
    """Say how many rows there are, which come first and last, and how many have no data."""
    present = [row for row in order if not np.isnan(values[row])]
    words = [f"Rows: {count(len(names))}."]
    words += [f"First: {names[present[0]]}, {sentences[present[0]]}."] if present else []
    words += [f"Last: {names[present[-1]]}, {sentences[present[-1]]}."] if len(present) > 1 else []
    words += [f"Without data: {count(len(names) - len(present))}."] if len(present) < len(names) else []
    return " ".join(words)


@dataclass(frozen=True, slots=True)
class Lines:
    """
    The lines of a picture of many rows: rows of the frame, and gaps that sum up those left out.

    Attributes
    ----------
    groups
        For each line the positions in the frame that it stands for: one, or all those of a gap.
    """

    groups: tuple[tuple[int, ...], ...]

    @property
    def gaps(self) -> list[int]:
        """Lines that stand for more than one row."""
        return [line for line, group in enumerate(self.groups) if len(group) > 1]

    def drawn(self, has_value: Sequence[bool]) -> list[tuple[int, int]]:
        """Lines that show one row with a value, each with that row."""
        return [(line, group[0]) for line, group in enumerate(self.groups) if len(group) == 1 and has_value[group[0]]]

    def marked(self, has_value: Sequence[bool]) -> tuple[list[int], list[int]]:
        """Lines that get a mark, and the row of each: all but those that sum up several rows with values."""
        lines = [line for line, group in enumerate(self.groups) if len(group) == 1 or not has_value[group[0]]]
        return lines, [self.groups[line][0] for line in lines]

    def without(self, has_value: Sequence[bool]) -> list[int]:
        """Lines that stand for rows without a value."""
        return [line for line, group in enumerate(self.groups) if not has_value[group[0]]]

    def write(self, texts: Sequence[str], gap: Callable[[tuple[int, ...]], str] = lambda _: "") -> list[str]:
        """Return a text for each line; `gap` words those that stand for several rows."""
        return [texts[group[0]] if len(group) == 1 else gap(group) for group in self.groups]

    def names(self, names: Sequence[str]) -> list[str]:
        """Return the label of each line."""
        return self.write(names, lambda group: f"⋮ {count(len(group))} more")


def choose_lines(
    order: Sequence[int], has_value: Sequence[bool], most: int | None, *, apart: Sequence[int] = ()
) -> Lines:
    """
    Choose the lines: every row, or both ends with one line for the middle and one for the rest without data.

    Rows `apart` get one line at the end, whatever room there is.
    """
    last = [tuple(apart)] if apart else []
    if most is None or len(order) + len(last) <= most:
        return Lines((*((row,) for row in order), *last))
    valued = [row for row in order if has_value[row]]
    empty = [row for row in order if not has_value[row]]
    room = most - len(last)
    lines = _leave_out_middle(valued, max(room - bool(empty), 3))
    spare = max(room - len(lines), 1)
    if len(empty) > spare:
        return Lines((*lines, *((row,) for row in empty[: spare - 1]), tuple(empty[spare - 1 :]), *last))
    return Lines((*lines, *((row,) for row in empty), *last))


def _leave_out_middle(rows: Sequence[int], most: int) -> list[tuple[int, ...]]:
    if len(rows) <= most:
        return [(row,) for row in rows]
    head = most // 2
    tail = len(rows) - (most - head - 1)
    return [*((row,) for row in rows[:head]), tuple(rows[head:tail]), *((row,) for row in rows[tail:])]
