"""Rules about who answers: groups, steps, weeks, outcomes, periods."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from outreach_frames.findings._words import (
    MIN_N,
    Finding,
    Level,
    Names,
    Rate,
    apart,
    counted,
    holds,
    parameter,
    percent,
    points,
    rates_in,
    rates_of,
    records,
    signed,
)
from outreach_frames.stats.attachments import attached
from outreach_frames.stats.intervals import newcombe_difference

COMPARED = {
    "enrolment_reply_rate": ("{who} replies at {rate}", ("above", "below")),
    "opt_out_rate": ("{who} is unsubscribed from at {rate}", ("above",)),
    "bounce_rate": ("{who} bounces at {rate}", ("above",)),
    "failure_rate": ("{who} fails to send {rate} of its mail", ("above",)),
    "prospect_opt_out_rate": ("Of the people contacted in {who}, {rate} have opted out", ("above",)),
    "stuck_rate": ("Of the running enrolments in {who}, {rate} stand still", ("above",)),
    "reenrolment_rate": ("Of the enrolments in {who}, {rate} are people's second or later one", ("above",)),
    "meeting_rate": ("Of the enrolments contacted in {who}, {rate} led to a meeting", ("above", "below")),
}
"""The rates that groups are compared by: what a group does at which rate, and which side of all together is told."""

MANY = 20
"""From so many groups on, one or more stands out of them by chance."""

RECENT_WEEKS = 4
MIN_WEEKS = 8
"""Weeks are compared where there are at least so many, the recent ones included."""

_EVENTS = {"reply": "answered", "opt_out": "opted out", "bounce": "bounced", "contact": "been reached"}
_BUCKETS = {"bounced": "bounced", "opted_out": "opted out", "failed": "failed"}
_METRICS = {
    "reply_rate": "mails answered",
    "enrolment_reply_rate": "enrolments that answered",
    "prospect_reply_rate": "people who answered",
    "bounce_rate": "mails bounced",
    "opt_out_rate": "mails unsubscribed from",
}


def groups(result: pd.DataFrame, name: Names) -> Iterator[Finding]:
    """Name the groups whose rates lie apart from those of all together."""
    keys = parameter(result, "by", ["sequence_id"])
    if not keys:
        return
    rows, compared = records(result), [rate for rate in COMPARED if f"{rate}_n" in result.columns]
    for rate in compared:
        does, sides = COMPARED[rate]
        for group in apart(rates_in(result, rate)):
            if group.side in sides:
                row = rows[group.place]
                label = ", ".join(name(key, row[key], row.get("name")) for key in keys)
                sentence = f"{does.format(who=label, rate=group.rate)}, {group.side} all together ({group.overall})."
                yield Finding(Level.DECIDE, group.weight, sentence)
    sizes = [rate.n for rate in rates_in(result, compared[0])]
    small, judged = sum(n < MIN_N for n in sizes), sum(n >= MIN_N for n in sizes)
    noun = keys[0].removesuffix("_id").replace("_", " ")
    if small:
        sentence = (
            f"Not judged, since they have fewer than {MIN_N} to judge by: {small:,} of {counted(len(sizes), noun)}."
        )
        yield Finding(Level.NOTE, small, sentence)
    if judged >= MANY:
        sentence = f"Of {judged:,} compared, about {judged / 20:.0f} would stand out by chance alone."
        yield Finding(Level.NOTE, 0, sentence)


def steps(result: pd.DataFrame, name: Names) -> Iterator[Finding]:
    """Name the steps that earn more or less than their sequence's, calls apart; and sequences without a reply."""
    known = result[result["hazard_n"].notna()]
    for (sequence, calls), own in known.groupby(["sequence_id", known["step_type"].eq("call").fillna(value=False)]):
        label, rates = name("sequence_id", sequence), rates_in(own, "hazard")
        judged = [rate for rate in rates if rate.n >= MIN_N]
        if not judged:
            continue
        if not own["first_replies"].sum():
            if calls:
                continue
            first = judged[0]
            most = f"at its first at most {percent(first.high, first.n)}, n = {first.n:,.0f}"
            yield Finding(Level.DECIDE, first.n, f"{label} has earned no reply at any step ({most}).")
            continue
        for step in apart(rates):
            number, side = own["order"].iloc[step.place], "more" if step.side == "above" else "less"
            sentence = (
                f"{'Call step' if calls else 'Step'} {number} of {label} earns {side} than its "
                f"{'call ' if calls else ''}steps together: {step.rate} of those still open answer there, "
                f"against {step.overall}."
            )
            yield Finding(Level.DECIDE, step.weight, sentence)


def cohorts(result: pd.DataFrame, _: Names) -> Iterator[Finding]:
    """Compare the latest weeks' enrolments with those before, after the same time; weeks without that time stay out."""
    mature = result[holds(result["mature"])]
    sizes = mature.groupby("week")["cohort_week"].nunique()
    weeks = [int(week) for week in sizes.index[sizes >= MIN_WEEKS]]
    if not weeks:
        return
    cells = mature[mature["week"] == max(weeks)].sort_values("cohort_week")
    parts = cells.iloc[-RECENT_WEEKS:], cells.iloc[:-RECENT_WEEKS]
    (x_now, x_before), (n_now, n_before) = ([int(part[of].sum()) for part in parts] for of in ("events", "enrolments"))
    change, low, high = newcombe_difference((x_now, x_before), (n_now, n_before))
    if min(n_now, n_before) < MIN_N or low <= 0 <= high:
        return
    now, before = rates_of([x_now, x_before], [n_now, n_before])
    sentence = (
        f"{'Up' if change > 0 else 'Down'} by {points(change, low, high)}: of the enrolments of the latest "
        f"{RECENT_WEEKS} weeks that have had {7 * (max(weeks) + 1)} days, {now} had "
        f"{_EVENTS[parameter(result, 'event', 'reply')]}, of those before {before}."
    )
    yield Finding(Level.DECIDE, abs(change) * n_now, sentence)


def within(result: pd.DataFrame, _: Names) -> Iterator[Finding]:
    """Tell how soon answers come."""
    days = parameter(result, "days", [])
    shares = {horizon: f"reply_within_{horizon:g}d" for horizon in sorted(days)}
    if len(result) != 1 or not result["n"].iloc[0] >= MIN_N:
        return
    figures = [
        (f"{horizon:g} days", Rate(row[share], row[f"{share}_lo"], row[f"{share}_hi"], row["n"]))
        for row in records(result)
        for horizon, share in shares.items()
        if pd.notna(row[f"{share}_lo"])
    ]
    if len(figures) > 1:
        (soon, few), (late, most) = figures[0], figures[-1]
        sentence = f"Of the enrolments written to, {few} have answered within {soon} and {most} within {late}."
        yield Finding(Level.KNOW, float(result["n"].iloc[0]), sentence)


def outcomes(result: pd.DataFrame, name: Names) -> Iterator[Finding]:
    """Name the sequences of which more bounce, opt out or fail than of all together."""
    sizes = result.groupby("sequence_id")["share_n"].max().astype("int64")
    for bucket, what in _BUCKETS.items():
        ended = result[result["bucket"] == bucket].set_index("sequence_id")["enrolments"]
        counts = ended.reindex(sizes.index).fillna(0)
        for group in apart(rates_of(counts.to_numpy(dtype=np.int64), sizes.to_numpy(dtype=np.int64))):
            if group.side == "above":
                label = name("sequence_id", sizes.index[group.place])
                sentence = f"Of the enrolments in {label}, {group.rate} {what}, above all together ({group.overall})."
                yield Finding(Level.DECIDE, group.weight, sentence)


def periods(result: pd.DataFrame, name: Names) -> Iterator[Finding]:
    """Tell whether the total changed, how much of that is rate and how much mix, and which groups changed."""
    key, metric = str(result.columns[0]), parameter(result, "metric", "reply_rate")
    share = f"the share of {_METRICS.get(metric, metric.replace('_', ' '))}"
    for row in records(pd.concat([attached(result, "total"), result])):
        before, now = (Rate(*(row[f"rate_{when}{end}"] for end in ("", "_lo", "_hi", "_n"))) for when in ("a", "b"))
        if min(before.n, now.n) < MIN_N or row["diff_lo"] <= 0 <= row["diff_hi"]:
            continue
        change = points(row["diff"], row["diff_lo"], row["diff_hi"])
        went = f"went {'up' if row['diff'] > 0 else 'down'} by {change}, from {before} to {now}"
        if pd.isna(row[key]):
            split = f"{signed(row['rate_effect'])} from the rates themselves, {signed(row['mix_effect'])} from the mix"
            sentence = f"{share[0].upper()}{share[1:]} {went}: {split} of what was sent."
        else:
            sentence = f"In {name(key, row[key])} {share} {went}."
        yield Finding(Level.DECIDE, abs(row["diff"]) * now.n, sentence)
