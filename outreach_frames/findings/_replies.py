"""Rules about replies: groups, steps, weeks, outcomes, periods; A/B tests, ranks and hours."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from outreach_frames._format import counted, listed, percent, points, probability, signed_points
from outreach_frames.findings._finding import (
    HEADLINE,
    MIN_N,
    RECENT_WEEKS,
    Finding,
    Level,
    Names,
    Rate,
    change_p,
    design_effect,
    has,
    holds,
    parameter,
    rates_in,
    rates_of,
    records,
    with_the_rest,
)
from outreach_frames.metrics import BOTH, METRICS, Metric
from outreach_frames.stats.intervals import difference_of, p_greater
from outreach_frames.stats.provenance import attached

_RATES_COMPARED = (
    "enrollment_reply_rate_14d",
    "prospect_unsubscribe_rate",
    "enrollment_bounce_rate",
    "failure_rate",
    "prospect_opt_out_rate_14d",
    "stuck_rate",
    "meeting_rate",
)
"""The rates that groups are compared by: those over people or enrollments that have had the same time."""

_PARTS = frozenset({"sequence_step_id", "step_id", "template_id", "sequence_template_id"})
"""Keys of parts of a sequence: bounces and opt-outs come at its first mails, whatever these say."""

_MIN_WEEKS = 8
"""Weeks are compared where there are at least so many, the recent ones included."""

_EVENTS = {"reply": "answered", "opt_out": "opted out", "bounce": "bounced", "contact": "been reached"}
_ENDED_BY = {"bounced": "enrollment_bounce_rate", "opted_out": "prospect_opt_out_rate", "failed": "failure_rate"}
_BUCKETS = {"bounced": "bounced", "opted_out": "opted out", "failed": "failed"}


def groups(result: pd.DataFrame, name: Names) -> Iterator[Finding]:
    """Compare the rates of each group with those of all others together."""
    keys = parameter(result, "by", ["sequence_id"])
    if not keys:
        return
    rows, compared = records(result), [rate for rate in _RATES_COMPARED if f"{rate}_n" in result.columns]
    if _PARTS & set(keys):
        compared = [rate for rate in compared if METRICS[rate].sides == BOTH]
    for rate in compared:
        words = METRICS[rate]
        for group in with_the_rest(rates_in(result, rate), words.sides, effect=design_effect(result, rate)):
            row = rows[group.place]
            label = ", ".join(name(key, row[key], row.get("name")) for key in keys)
            does = _words_of_group(words.group, keys[0]).format(who=label, rate=group.rate)
            sentence = f"{does}, {group.side} the others together ({group.rest})."
            question = "enrollment_bounce_rate" if keys == ["mailbox_id"] else "enrollment_reply_rate_14d"
            importance = HEADLINE if rate == question else 1.0
            action = _action(keys[0], rate, group.side, label)
            yield Finding(Level.DECIDE, group.weight, sentence, group.p, importance, action)
    if compared:
        yield from _not_judged(result, compared[0], keys[0])


_SENDERS = frozenset({"user_id", "team_id", "mailbox_id"})
"""Keys of those who send: enrollments are theirs, not in them."""

_WORSE = {
    "enrollment_bounce_rate": "Check the addresses that mail of {who} goes to before more people are put in.",
    "failure_rate": "Find out why mail of {who} fails to send.",
    "stuck_rate": "Look at what the enrollments in {who} wait for.",
}


def _words_of_group(words: str, key: str) -> str:
    """Return how a group is spoken of: people are in a sequence, and belong to a sender."""
    return words.replace(" in {who}", " of {who}") if key in _SENDERS else words


def _action(key: str, rate: str, side: str, label: str) -> str:
    """Say what to do about a group that differs from the others."""
    if METRICS[rate].sides != BOTH:
        leaving = f"Read what {label} sends, and whom it is sent to: more people leave than elsewhere."
        return _WORSE.get(rate, leaving).format(who=label)
    if side == "above":
        return f"Find out what {label} does differently, and whether the people differ, before others copy it."
    if key == "sequence_id":
        return f"Look at the steps and the people of {label} before more people are put in."
    return f"Look at what {label} sends, and to whom."


def _not_judged(result: pd.DataFrame, rate: str, key: str) -> Iterator[Finding]:
    """Count the groups that are too small, or too young, to be compared."""
    sizes = result[f"{rate}_n"].fillna(0)
    small, noun = int((sizes < MIN_N).sum()), key.removesuffix("_id").replace("_", " ")
    if not small:
        return
    whole = counted(len(sizes), noun)
    sentence = f"Not compared, with fewer than {MIN_N} cases: {small:,} of {whole}."
    if rate == "enrollment_reply_rate_14d":
        too_few = f"fewer than {MIN_N} enrollments that had mail 14 days ago"
        sentence = f"Not compared by replies, with {too_few}: {small:,} of {whole}."
    yield Finding(Level.NOTE, small, sentence)


def steps(result: pd.DataFrame, name: Names) -> Iterator[Finding]:
    """Compare each step with the others of its sequence, calls apart, and name the sequences without a reply."""
    present = result[result["hazard_14d_n"].notna()]
    for calls, kind in present.groupby(present["step_type"].eq("call").fillna(value=False)):
        effect = design_effect(result, "hazard_14d")
        totals = kind.groupby("sequence_id")["hazard_14d_n"].sum()
        silent = set(totals.index[kind.groupby("sequence_id")["first_replies"].sum() == 0])
        for sequence, own in kind.groupby("sequence_id"):
            label, rates = name("sequence_id", sequence), rates_in(own, "hazard_14d")
            if sequence in silent:
                if not calls:
                    yield from _silent(own, kind[kind["sequence_id"] != sequence], label, effect)
                continue
            for step in with_the_rest(rates, BOTH, effect=effect):
                number, side = own["order"].iloc[step.place], "more" if step.side == "above" else "fewer"
                sentence = (
                    f"{'Call step' if calls else 'Step'} {number} of {label} gets {side} "
                    f"{'conversations' if calls else 'replies'} than its other {'call ' if calls else ''}steps: "
                    f"{step.rate} of those still open {'talk' if calls else 'answer'} within 14 days, against "
                    f"{step.rest}."
                )
                action = (
                    f"Try what step {number} of {label} says at another step, in an A/B test."
                    if step.side == "above"
                    else f"Write step {number} of {label} anew, as an A/B test, or take it out."
                )
                yield Finding(Level.DECIDE, step.weight, sentence, step.p, action=action)


def _silent(own: pd.DataFrame, others: pd.DataFrame, label: str, effect: float) -> Iterator[Finding]:
    """Say that a sequence has no reply, where the others would have had some in its place."""
    n, rest, x = (
        float(total)
        for total in (
            own["hazard_14d_n"].sum(),
            others["hazard_14d_n"].sum(),
            (others["hazard_14d"] * others["hazard_14d_n"]).sum(),
        )
    )
    if n < MIN_N or not rest:
        return
    p = float(p_greater(x / effect, rest / effect, 0.0, n / effect))
    sentence = (
        f"{label} has no reply at any step; at the rate of the other sequences there would be about "
        f"{n * x / rest:,.0f} by now."
    )
    action = f"See whether replies to {label} arrive at all; if they do, stop it and look at its people."
    yield Finding(Level.DECIDE, n * x / rest, sentence, p, action=action)


def cohorts(result: pd.DataFrame, _: Names) -> Iterator[Finding]:
    """Compare the latest weeks' enrollments with those before, after the same time; younger weeks stay out."""
    mature = result[holds(result["mature"])]
    sizes = mature.groupby("week")["cohort_week"].nunique()
    weeks = [int(week) for week in sizes.index[sizes >= _MIN_WEEKS]]
    if not weeks:
        return
    cells = mature[mature["week"] == max(weeks)].sort_values("cohort_week")
    parts = cells.iloc[-RECENT_WEEKS:], cells.iloc[:-RECENT_WEEKS]
    (x_now, x_before), (n_now, n_before) = ([int(part[of].sum()) for part in parts] for of in ("events", "enrollments"))
    if min(n_now, n_before) < MIN_N:
        return
    effect = design_effect(result, "rate")
    now, before = rates_of([x_now, x_before], [n_now, n_before], effect=effect)
    change, low, high = difference_of(now[:3], before[:3])
    side, had = "Up" if change > 0 else "Down", _EVENTS.get(parameter(result, "event", "reply"), "had a meeting")
    sentence = (
        f"{side} by {points(change, low, high)}: within {7 * (max(weeks) + 1)} days, {now} of the enrollments of the "
        f"latest {RECENT_WEEKS} weeks had {had}, against {before} of those before."
    )
    p = 1.0 if low <= 0 <= high else change_p((x_now, n_now), (x_before, n_before), effect=effect)
    action = "" if change > 0 else "Find out what changed in the latest weeks: people, texts, mailboxes."
    yield Finding(Level.DECIDE, abs(change) * n_now, sentence, p, action=action)


def within(result: pd.DataFrame, _: Names) -> Iterator[Finding]:
    """Say how soon answers come."""
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
        sentence = f"Of the enrollments that got mail, {few} have answered within {soon} and {most} within {late}."
        yield Finding(Level.KNOW, float(result["n"].iloc[0]), sentence)


def outcomes(result: pd.DataFrame, name: Names) -> Iterator[Finding]:
    """Compare how many enrollments bounce, opt out or fail in each sequence, of those that have had 14 days."""
    sizes = result.groupby("sequence_id")["mature_n"].max().fillna(0)
    effect = design_effect(result, "share")
    for bucket, what in _BUCKETS.items():
        ended = result[result["bucket"] == bucket].set_index("sequence_id")["mature"]
        counts = ended.reindex(sizes.index).fillna(0)
        for group in with_the_rest(rates_of(counts, sizes, effect=effect), ("above",), effect=effect):
            label = name("sequence_id", sizes.index[group.place])
            sentence = f"Of the enrollments in {label}, {group.rate} {what}, above the others together ({group.rest})."
            action = _action("sequence_id", _ENDED_BY[bucket], "above", label)
            yield Finding(Level.DECIDE, group.weight, sentence, group.p, action=action)


def periods(result: pd.DataFrame, name: Names) -> Iterator[Finding]:
    """Say whether the total changed, how much of that is rate and how much mix, and which groups changed."""
    key, metric = str(result.columns[0]), parameter(result, "metric", "reply_rate")
    rate = METRICS[metric].label.lower() if metric in METRICS else metric.replace("_", " ")
    effect = design_effect(result, metric)
    for row in records(pd.concat([attached(result, "total"), result])):
        before, now = (Rate(*(row[f"rate_{when}{end}"] for end in ("", "_lo", "_hi", "_n"))) for when in ("a", "b"))
        if min(before.n, now.n) < MIN_N:
            continue
        change = points(row["diff"], row["diff_lo"], row["diff_hi"])
        went = f"went {'up' if row['diff'] > 0 else 'down'} by {change}, from {before} to {now}"
        if pd.isna(row[key]):
            by_rate, by_mix = (signed_points(row[effect_of]) for effect_of in ("rate_effect", "mix_effect"))
            split = f"{by_rate} because rates changed, {by_mix} because the mix of mail changed"
            sentence = f"The {rate} {went}: {split}."
        else:
            sentence = f"In {name(key, row[key])} the {rate} {went}."
        counts = [(each.value * each.n, each.n) for each in (now, before)]
        p = 1.0 if row["diff_lo"] <= 0 <= row["diff_hi"] else change_p(counts[0], counts[1], effect=effect)
        action = "" if pd.isna(row[key]) or row["diff"] > 0 else f"Find out what changed in {name(key, row[key])}."
        yield Finding(Level.DECIDE, abs(row["diff"]) * now.n, sentence, p, action=action)


_SURE = 0.95

_REACHABLE_D = 90
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
_EQUAL = "no difference as large as"
"""How the verdict of a test begins that excludes the difference looked for."""

_UNDECIDED = "undecided"
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
            action = f"Stop the test at {where}; start it again with variants that are enabled at the same time."
            yield Finding(Level.REPAIR, sent, sentence, float(arms[0]["srm_p"]), action=action)
            continue
        yield _winner(arms, verdict.removesuffix(" better"), where, words, name)
        if verdict.startswith(_EQUAL):
            sentence = f"At {where} there is {verdict}, after {counted(sent, 'mail')}."
            action = f"End the test at {where}: keep either variant, and test something bolder."
            yield Finding(Level.KNOW, sent, sentence, action=action)
        elif verdict == _UNDECIDED:
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
    action = f"Use {labels[0]} at {where}, and switch {labels[1]} off."
    p = min(1.0, pairs * float(chance))
    return Finding(Level.DECIDE, best["diff"] * rival["n"], sentence, p, action=action)


def ranks(result: pd.DataFrame, name: Names) -> Iterator[Finding]:
    """Name the groups that differ from the others, by their own counts and by their shrunken rates."""
    key, metric = parameter(result, "by", "user_id"), parameter(result, "metric", "reply_rate")
    words, effect = METRICS[metric], design_effect(result, metric)
    rows = records(result)
    own = rates_of(result["x"].astype("float64"), result["n"].astype("float64"), effect=effect)
    for group in with_the_rest(own, BOTH, effect=effect):
        row = rows[group.place]
        drawn = Rate(float(row["shrunk"]), float(row["lo"]), float(row["hi"]), float(row["n"]))
        rest = (result["x"].sum() - row["x"]) / (result["n"].sum() - row["n"])
        differs = drawn.low > rest or drawn.high < rest
        best = f"; it is the best with a probability of {probability(row['p_top'])}" if row["p_top"] >= _SURE else ""
        sentence = (
            f"{name(key, row[key], row['name'])} {has(words)} {drawn}, {group.side} the others together "
            f"({group.rest}){best}."
        )
        action = _action(key, metric, group.side, name(key, row[key], row["name"])) if metric in METRICS else ""
        yield Finding(Level.DECIDE, group.weight, sentence, group.p if differs else 1.0, action=action)


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
        action = "Try this hour in an A/B test, with people who are drawn by lot." if hour.side == "above" else ""
        yield Finding(Level.KNOW, hour.weight, sentence, hour.p, action=action)


def plans(result: pd.DataFrame, _: Names) -> Iterator[Finding]:
    """Say the smallest improvement that a test can find in a reasonable time."""
    for baseline, plan in result.dropna(subset=["n_per_arm", "days"]).groupby("baseline"):
        start = f"At a rate of {percent(float(str(baseline)))}"
        reachable = [row for row in records(plan) if row["days"] <= _REACHABLE_D]
        if not reachable:
            most = max(records(plan), key=lambda row: float(row["difference"]))
            sentence = (
                f"{start}, a test would need {counted(most['days'], 'day')} to find even "
                f"{_improvement(most['difference'])}."
            )
        else:
            least = min(reachable, key=lambda row: float(row["difference"]))
            sentence = (
                f"{start}, a test finds {_improvement(least['difference'])} after "
                f"{counted(least['days'], 'day')}, with {counted(least['n_per_arm'], 'enrollment')} for each variant."
            )
        yield Finding(Level.KNOW, 0, sentence)


def _improvement(difference: float) -> str:
    size = f"{100 * float(difference):g}"
    return f"an improvement by {size} percentage {'point' if size == '1' else 'points'}"
