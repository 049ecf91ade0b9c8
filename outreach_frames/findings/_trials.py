"""Rules about what to choose: templates that were tested, groups ranked, hours, tests to come."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from outreach_frames.findings._words import (
    MIN_N,
    SPACE,
    Finding,
    Level,
    Names,
    Rate,
    apart,
    counted,
    holds,
    listed,
    parameter,
    percent,
    points,
    rates_in,
    rates_of,
    records,
)

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
_DOES = {
    "reply_rate": "is answered at",
    "opt_out_rate": "is unsubscribed from at",
    "click_rate": "is clicked at",
    "open_rate": "is opened at",
    "bounce_rate": "bounces at",
}


def tests(result: pd.DataFrame, name: Names) -> Iterator[Finding]:
    """Tell the verdict of each test, and how far the nearest of those is that need more mail."""
    waiting: list[tuple[float, str]] = []
    for step, tested in result.groupby("step_id"):
        arms, where = records(tested), name("step_id", step)
        verdict, needed = arms[0]["verdict"], arms[0]["n_needed"]
        sent, least = sum(arm["arrivals"] for arm in arms), min(arm["n"] for arm in arms)
        if verdict == "broken split":
            split = listed(f"{arm['arrivals']:,}" for arm in arms)
            sentence = f"The test at {where} is broken: its variants were sent to {split} people, no equal split."
            yield Finding(Level.REPAIR, sent, sentence)
        elif verdict.endswith(" better"):
            yield from _winner(arms, verdict.removesuffix(" better"), where, name)
        elif verdict == "no clear difference":
            sentence = f"At {where} no template is better by as much as was looked for, after {counted(sent, 'mail')}."
            yield Finding(Level.KNOW, sent, sentence)
        elif pd.notna(needed):
            figure = f"the nearest, at {where}, has {least:,} of {counted(needed, 'enrolment')} needed in each variant"
            waiting.append((least / needed, figure))
    if waiting:
        sentence = f"{counted(len(waiting), 'test')} cannot be decided yet; {max(waiting)[1]}."
        yield Finding(Level.KNOW, 0, sentence)


def _winner(arms: list[dict[str, Any]], variant: str, where: str, name: Names) -> Iterator[Finding]:
    best = next(arm for arm in arms if arm["variant"] == variant)
    rival = next(arm for arm in arms if arm["template_id"] == best["rival_id"])
    if best["diff_lo"] > 0:
        labels = [name("template_id", arm["template_id"], arm["name"]) for arm in (best, rival)]
        figures = [Rate(arm["rate"], arm["lo"], arm["hi"], arm["n"]) for arm in (best, rival)]
        change = points(best["diff"], best["diff_lo"], best["diff_hi"])
        sentence = f"At {where}, {labels[0]} earns more replies than {labels[1]}: {figures[0]} against {figures[1]}"
        yield Finding(Level.DECIDE, best["diff"] * rival["n"], f"{sentence}, {change} more.")


def ranks(result: pd.DataFrame, name: Names) -> Iterator[Finding]:
    """Name the groups that stand apart once chance is taken out."""
    key, metric = parameter(result, "by", "user_id"), parameter(result, "metric", "reply_rate")
    trials = float(result["n"].sum())
    overall = float(result["x"].sum()) / trials if trials else np.nan
    for row, rate in zip(records(result), rates_in(result, "shrunk", prefix=""), strict=True):
        if rate.n >= MIN_N and (rate.low > overall or rate.high < overall):
            sure = row["p_top"] >= SURE
            best = f"; it is the best of all with a probability of {100 * row['p_top']:.0f}{SPACE}%" if sure else ""
            sentence = (
                f"{name(key, row[key], row['name'])} {_DOES.get(metric, 'lies at')} {rate} once chance is taken out, "
                f"{'above' if rate.low > overall else 'below'} all together ({percent(overall, trials)}){best}."
            )
            yield Finding(Level.DECIDE, abs(rate.value - overall) * rate.n, sentence)


def hours(result: pd.DataFrame, _: Names) -> Iterator[Finding]:
    """Name the hours whose rate stands apart, with intervals wide enough for looking at all of them at once."""
    metric = f"{parameter(result, 'metric', 'reply')}_rate"
    read = result[holds(result["enough"])]
    rates = rates_in(read, metric)
    n = np.array([rate.n for rate in rates], dtype=np.int64)
    x = np.rint([rate.value * rate.n for rate in rates]).astype(np.int64)
    rows = records(read)
    for hour in apart(rates_of(x, n, ci=1 - 0.05 / max(len(rows), 1))):  # Bonferroni
        row = rows[hour.place]
        sentence = (
            f"Mail that arrives on {_DAYS[row['weekday']]} between {row['hour']}:00 and {row['hour'] + 1}:00 "
            f"{_DOES[metric]} "
            f"{hour.rate}, {hour.side} all hours with enough mail ({hour.overall}); the interval allows for having "
            f"looked at {len(rows)} of them."
        )
        yield Finding(Level.KNOW, hour.weight, sentence)


def plans(result: pd.DataFrame, _: Names) -> Iterator[Finding]:
    """Tell the smallest improvement that a test can find in a reasonable time."""
    for baseline, plan in result.dropna(subset=["n_per_arm", "days"]).groupby("baseline"):
        start = f"From {100 * float(str(baseline)):.1f}{SPACE}%"
        reachable = [row for row in records(plan) if row["days"] <= REACHABLE_D]
        if not reachable:
            sentence = f"{start}, none of these improvements can be told from chance within {REACHABLE_D} days."
        else:
            least = min(reachable, key=lambda row: float(row["difference"]))
            sentence = (
                f"{start}, an improvement by {100 * least['difference']:g} percentage points can be told from chance "
                f"after {counted(least['days'], 'day')}, with {counted(least['n_per_arm'], 'enrolment')} per variant."
            )
        yield Finding(Level.KNOW, 0, sentence)
