"""
What a finding is made of: its level and weight, names, rates with their interval and n, and the test of a difference.

All comparisons behind the sentences of one call are one family; see `tell`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from outreach_frames._format import day, interval, percent
from outreach_frames.errors import DataError
from outreach_frames.metrics import Metric
from outreach_frames.stats.intervals import MIN_EVENTS, p_different, p_greater, score_interval

MIN_N = 30
"""Groups with a smaller denominator are not judged."""

NOTABLE = 0.01
"""A smaller share of what was counted gets no sentence."""

NameTable = Mapping[Any, Any] | pd.Series
"""Names by id."""


class Level(IntEnum):
    """What the reader should do about a finding."""

    REPAIR = 0
    """Something is wrong: people get mail against their will, or the figures cannot be trusted."""
    DECIDE = 1
    """A difference that chance does not explain."""
    KNOW = 2
    """What to keep in mind."""
    NOTE = 3
    """What was not judged, and why; never among the most important."""


HEADLINE = 100.0
"""Importance of the main questions: which groups get replies, and which mailbox's mail bounces."""


class Finding(NamedTuple):
    """
    A sentence, how urgent it is, how many mails or people it is about, and what to do.

    Attributes
    ----------
    p
        The p-value of its claim; ``None`` for a plain fact. A comparison that shows no difference is a finding too,
        since it belongs to the family; its p-value is 1.
    importance
        How much the comparison counts among the others of its family.
    action
        What to do about it, in one sentence; empty where there is nothing to do.
    """

    level: Level
    weight: float
    sentence: str
    p: float | None = None
    importance: float = 1.0
    action: str = ""


class Rate(NamedTuple):
    """A rate with its interval and denominator; written as 6.1 % (4.2–8.7 %, n = 500)."""

    value: float
    low: float
    high: float
    n: float

    def __str__(self) -> str:
        return interval(*self)


class Names:
    """Writes what an id stands for: its name in quotes, else the kind of record with the id."""

    def __init__(self, provided: Mapping[str, NameTable] | None = None) -> None:
        tables = provided if isinstance(provided, Mapping) else {} if provided is None else {"": provided}
        if not all(isinstance(table, Mapping | pd.Series) for table in tables.values()):
            raise DataError(
                "names= takes names by id for each key.",
                hint='Write {"sequence_id": sequences.set_index("id")["name"]}.',
            )
        self._tables = tables

    def of(self, result: pd.DataFrame) -> "Names":
        """Add the names that a result has beside its ids, such as ``sequence__name``; those provided come first."""
        beside: dict[str, NameTable] = {}
        for key in result.columns:
            column = f"{str(key).removesuffix('_id')}__name"
            if str(key).endswith("_id") and column in result.columns:
                beside[key] = result[[key, column]].dropna().drop_duplicates(key).set_index(key)[column]
        return Names({**beside, **self._tables}) if beside else self

    def __call__(self, key: str, value: Any, own: Any = None) -> str:
        """Name a value of a key column, by the result's own name where it has one."""
        if isinstance(own, str) and own:
            return f"“{own}”"
        name = self._tables.get(key, {}).get(value)
        if isinstance(name, str) and name:
            return f"“{name}”"
        if hasattr(value, "strftime"):
            return f"{key} of {day(value)}"
        return f"“{value}”" if isinstance(value, str) else f"{key.removesuffix('_id').replace('_', ' ')} {value}"


def rates_in(frame: pd.DataFrame, name: str, *, prefix: str | None = None) -> list[Rate]:
    """Take a rate from a result; its bounds and n are named after it, or after another prefix."""
    start = f"{name}_" if prefix is None else prefix
    names = (name, f"{start}lo", f"{start}hi", f"{start}n")
    columns = [frame[column].to_numpy(dtype=np.float64, na_value=np.nan) for column in names]
    return [Rate(*map(float, row)) for row in zip(*columns, strict=True)]


def rates_of(successes: Iterable[float], trials: Iterable[float], *, effect: float = 1.0) -> list[Rate]:
    """Compute rates from counts, with Wilson's intervals for trials of a design effect."""
    pairs = [(float(x), float(n)) for x, n in zip(successes, trials, strict=True)]
    return [Rate(*score_interval(x / effect, n / effect), n) for x, n in pairs]


def has(metric: Metric) -> str:
    """Begin what is said of a rate: has a reply rate of."""
    return f"has {'an' if metric.label[0] in 'AEIO' else 'a'} {metric.label.lower()} of"


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as dictionaries."""
    rows = frame.copy(deep=False)
    rows.attrs = {}  # pandas would copy the record for every row
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def holds(flags: "pd.Series[Any]") -> "pd.Series[bool]":
    """Return a column of flags, missing as false."""
    return pd.Series(flags.to_numpy(dtype=np.bool_, na_value=False), index=flags.index)


def parameter(result: pd.DataFrame, name: str, default: Any) -> Any:
    """Return a parameter that a result's record keeps."""
    return result.attrs.get("outreach_frames", {}).get("parameters", {}).get(name, default)


RECENT_WEEKS = 4
"""Bounces and complaints are judged over this many latest weeks together: a single week has few mails."""
_NO_CLUSTERING = 1.0


class Group(NamedTuple):
    """
    A group compared with all others together.

    Attributes
    ----------
    place
        Its row.
    rate
        Its own.
    side
        On which side of the others it is: "above" or "below".
    rest
        The rate of the others.
    weight
        How many successes it has more or less than it would have at the rate of the others.
    p
        Exact; 1 where its own interval holds the rate of the others, or where there are too few events.
    """

    place: int
    rate: Rate
    side: str
    rest: str
    weight: float
    p: float


def design_effect(result: pd.DataFrame, rate: str) -> float:
    """Return by how much the trials of a rate count for less than independent ones, as the result's record says."""
    noted = result.attrs.get("outreach_frames", {}).get("clusters", {}).get(rate, {})
    return float(noted.get("design_effect", _NO_CLUSTERING))


def with_the_rest(rates: Sequence[Rate], sides: Sequence[str], *, effect: float = _NO_CLUSTERING) -> Iterator[Group]:
    """
    Compare each group of at least `MIN_N` trials with all others together.

    Parameters
    ----------
    rates
        Of all groups.
    sides
        Which sides get a sentence; one side alone is tested one-sided.
    effect
        The design effect of the rate.
    """
    n = np.nan_to_num(np.array([rate.n for rate in rates], dtype=np.float64))
    x = np.nan_to_num(np.array([rate.value * rate.n for rate in rates], dtype=np.float64))
    judged = np.flatnonzero((n >= MIN_N) & (n.sum() - n > 0))
    if not judged.size:
        return
    others, of_others = x.sum() - x[judged], n.sum() - n[judged]
    counts = (x[judged] / effect, n[judged] / effect, others / effect, of_others / effect)
    if tuple(sides) == ("above",):
        p = np.where(x[judged] >= MIN_EVENTS - 0.5, p_greater(*counts), 1.0)
    elif tuple(sides) == ("below",):
        p = p_greater(counts[2], counts[3], counts[0], counts[1])
    else:
        p = p_different(*counts)
    for place, other, trials, chance in zip(judged.tolist(), others / of_others, of_others, p, strict=True):
        rate = rates[place]
        side = "above" if rate.value > other else "below"
        differs = not rate.low <= other <= rate.high and side in sides
        weight = abs(rate.value - other) * rate.n
        yield Group(place, rate, side, percent(other, trials), weight, float(chance) if differs else 1.0)


def change_p(now: tuple[float, float], before: tuple[float, float], *, effect: float = _NO_CLUSTERING) -> float:
    """Return the exact two-sided p-value of two periods' successes and trials."""
    counts = [count / effect for count in (*now, *before)]
    return float(p_different(*counts))
