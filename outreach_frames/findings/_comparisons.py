"""
Groups compared with the rest: an exact p-value for each, whichever of them is told in the end.

All comparisons behind the sentences of one call are one family; see `tell`.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from outreach_frames.findings._words import MIN_N, Rate, percent
from outreach_frames.stats.exact_tests import MIN_EVENTS, p_different, p_greater

INDEPENDENT = 1.0


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
    return float(noted.get("design_effect", INDEPENDENT))


def with_the_rest(rates: Sequence[Rate], sides: Sequence[str], *, effect: float = INDEPENDENT) -> Iterator[Group]:
    """
    Compare each group of at least `MIN_N` trials with all others together.

    Parameters
    ----------
    rates
        Of all groups.
    sides
        Which sides are told; one side is tested one-sided.
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


def change_p(now: tuple[float, float], before: tuple[float, float], *, effect: float = INDEPENDENT) -> float:
    """Return the exact two-sided p-value of two periods' successes and trials."""
    counts = [count / effect for count in (*now, *before)]
    return float(p_different(*counts))
