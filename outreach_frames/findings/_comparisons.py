"""
Rules about A/B tests, ranks and hours, and the exact tests of groups against the rest.

All comparisons behind the sentences of one call are one family; see `tell`.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from outreach_frames._format import counted, listed, percent, points, probability, signed_points
from outreach_frames.findings._wording import (
    MIN_N,
    Finding,
    Level,
    Names,
    Rate,
    has,
    holds,
    parameter,
    rates_in,
    rates_of,
    records,
)
from outreach_frames.metrics import BOTH, METRICS, Metric
from outreach_frames.stats.intervals import MIN_EVENTS, p_different, p_greater

RECENT_WEEKS = 4
"""Bounces and complaints are judged over this many latest weeks together: a single week has few mails."""
NO_CLUSTERING = 1.0


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
    return float(noted.get("design_effect", NO_CLUSTERING))


def with_the_rest(rates: Sequence[Rate], sides: Sequence[str], *, effect: float = NO_CLUSTERING) -> Iterator[Group]:
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


def change_p(now: tuple[float, float], before: tuple[float, float], *, effect: float = NO_CLUSTERING) -> float:
    """Return the exact two-sided p-value of two periods' successes and trials."""
    counts = [count / effect for count in (*now, *before)]
    return float(p_different(*counts))


SURE = 0.95

REACHABLE_D = 90
"""Longest run of a test that is worth planning [days]."""

_DAYS = {
    "Mon": "Mondays",
    "Tue": "Tuesdays",
    "Wed": "Wednesdays",
    "Thu": "Thursdays",
    "Fri": "Fridays",
    "Sat": "Saturdays",
    "Sun": "Sundays",
}
EQUAL = "no difference as large as"
"""How the verdict of a test begins that excludes the difference looked for."""

UNDECIDED = "undecided"
"""The verdict of a test that has had its plan and excludes nothing."""


def tests(result: pd.DataFrame, name: Names) -> Iterator[Finding]:
    """Say the verdict of each test, and how far the nearest of those is that need more mail."""
    words = METRICS[parameter(result, "metric", "reply_rate")]
    waiting: list[tuple[float, str]] = []
    tested: dict[Any, list[dict[str, Any]]] = {}
    for arm in records(result):
        tested.setdefault(arm["step_id"], []).append(arm)
    for step, arms in tested.items():
        where = name("step_id", step)
        verdict, needed = arms[0]["verdict"], arms[0]["n_needed"]
        sent, least = sum(arm["arrivals"] for arm in arms), min(arm["n"] for arm in arms)
        if verdict == "broken split":
            split = listed(f"{arm['arrivals']:,}" for arm in arms)
            sentence = f"The test at {where} is broken: its variants were sent to {split} people, not in equal parts."
            yield Finding(Level.REPAIR, sent, sentence, float(arms[0]["srm_p"]))
            continue
        yield _winner(arms, verdict.removesuffix(" better"), where, words, name)
        if verdict.startswith(EQUAL):
            sentence = f"At {where} there is {verdict}, after {counted(sent, 'mail')}."
            yield Finding(Level.KNOW, sent, sentence)
        elif verdict == UNDECIDED:
            best = max(arms, key=lambda arm: arm["diff"])
            ends = " and ".join(signed_points(best[end]) for end in ("diff_lo", "diff_hi"))
            sentence = f"At {where} the test is undecided after {counted(sent, 'mail')}: its best variant may be"
            yield Finding(Level.KNOW, sent, f"{sentence} anywhere between {ends} percentage points from its rival.")
        elif not verdict.endswith(" better") and pd.notna(needed):
            figure = f"the nearest, at {where}, has {least:,} of {counted(needed, 'enrollment')} needed in each variant"
            waiting.append((least / needed, figure))
    if waiting:
        sentence = f"{counted(len(waiting), 'test')} cannot be decided yet; {max(waiting)[1]}."
        yield Finding(Level.KNOW, 0, sentence)


def _winner(arms: list[dict[str, Any]], variant: str, where: str, words: Metric, name: Names) -> Finding:
    """Compare the best variant with its rival; the p-value allows for all pairs, and for many looks."""
    better = [arm for arm in arms if arm["variant"] == variant]
    best = better[0] if better else max(arms, key=lambda arm: arm["rate"] if pd.notna(arm["rate"]) else -1.0)
    rival = next((arm for arm in arms if arm["template_id"] == best["rival_id"]), best)
    labels = [name("template_id", arm["template_id"], arm["name"]) for arm in (best, rival)]
    figures = [Rate(arm["rate"], arm["lo"], arm["hi"], arm["n"]) for arm in (best, rival)]
    pairs, chance = len(arms) * (len(arms) - 1) / 2, best["p_always_valid"]
    is_won = better and best["diff_lo"] > 0 and pd.notna(chance)
    if not is_won:
        return Finding(Level.DECIDE, 0, "", 1.0)
    change = points(best["diff"], best["diff_lo"], best["diff_hi"])
    sentence = f"At {where}, {labels[0]} {words.more} {labels[1]}: {figures[0]} against {figures[1]}, {change} more."
    return Finding(Level.DECIDE, best["diff"] * rival["n"], sentence, min(1.0, pairs * float(chance)))


def ranks(result: pd.DataFrame, name: Names) -> Iterator[Finding]:
    """Name the groups that stand apart from the others, by their own counts and once they are drawn together."""
    key, metric = parameter(result, "by", "user_id"), parameter(result, "metric", "reply_rate")
    words, effect = METRICS[metric], design_effect(result, metric)
    rows = records(result)
    own = rates_of(result["x"].astype("float64"), result["n"].astype("float64"), effect=effect)
    for group in with_the_rest(own, BOTH, effect=effect):
        row = rows[group.place]
        drawn = Rate(float(row["shrunk"]), float(row["lo"]), float(row["hi"]), float(row["n"]))
        rest = (result["x"].sum() - row["x"]) / (result["n"].sum() - row["n"])
        differs = drawn.low > rest or drawn.high < rest
        best = f"; it is the best with a probability of {probability(row['p_top'])}" if row["p_top"] >= SURE else ""
        sentence = (
            f"{name(key, row[key], row['name'])} {has(words)} {drawn}, {group.side} the others together "
            f"({group.rest}){best}."
        )
        yield Finding(Level.DECIDE, group.weight, sentence, group.p if differs else 1.0)


def hours(result: pd.DataFrame, _: Names) -> Iterator[Finding]:
    """Compare each hour that has enough mail with all others that have."""
    metric = parameter(result, "metric", "reply_rate")
    read = result[holds(result["enough"])]
    rows = records(read)
    for hour in with_the_rest(rates_in(read, metric), BOTH, effect=design_effect(result, metric)):
        row = rows[hour.place]
        sentence = (
            f"Mail that arrives on {_DAYS[row['weekday']]} between {row['hour']}:00 and {row['hour'] + 1}:00 "
            f"{has(METRICS[metric])} {hour.rate}, {hour.side} the other hours with enough mail ({hour.rest})."
        )
        yield Finding(Level.KNOW, hour.weight, sentence, hour.p)


def plans(result: pd.DataFrame, _: Names) -> Iterator[Finding]:
    """Say the smallest improvement that a test can find in a reasonable time."""
    for baseline, plan in result.dropna(subset=["n_per_arm", "days"]).groupby("baseline"):
        start = f"From {percent(float(str(baseline)))}"
        reachable = [row for row in records(plan) if row["days"] <= REACHABLE_D]
        if not reachable:
            sentence = (
                f"{start}, none of these improvements can be distinguished from chance within {REACHABLE_D} days."
            )
        else:
            least = min(reachable, key=lambda row: float(row["difference"]))
            sentence = (
                f"{start}, an improvement by {100 * least['difference']:g} percentage points can be distinguished from "
                f"chance after {counted(least['days'], 'day')}, "
                f"with {counted(least['n_per_arm'], 'enrollment')} per variant."
            )
        yield Finding(Level.KNOW, 0, sentence)
