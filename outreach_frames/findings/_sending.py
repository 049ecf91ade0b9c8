"""Rules about mailboxes, bounces, opt-outs, data quality, tasks, accounts and deals."""

from collections.abc import Iterator

import pandas as pd

from outreach_frames._format import counted, day, listed, share
from outreach_frames.findings._finding import (
    HEADLINE,
    MIN_N,
    NOTABLE,
    RECENT_WEEKS,
    Finding,
    Level,
    Names,
    Rate,
    design_effect,
    has,
    holds,
    parameter,
    rates_of,
    records,
    with_the_rest,
)
from outreach_frames.findings._replies import groups
from outreach_frames.metrics import METRICS
from outreach_frames.stats.intervals import MIN_EVENTS, exact_lower, p_above
from outreach_frames.stats.provenance import attached

_TROUBLES = {"bounce_rate": ("bounced", "sent"), "spam_rate": ("spam", "delivered")}
_GAPS = {
    "rows missing": (Level.REPAIR, "more deliveries than there are rows: that mail was deleted or cannot be seen"),
    "pending sync": (Level.KNOW, "fewer deliveries than there are rows: they lag behind"),
}
_OTHER_RULES = {"blind_mailboxes", "mail_after_opt_out", "counters_above_rows"}
"""Checks of the data's quality that have a rule of their own."""


def mailboxes(result: pd.DataFrame, name: Names) -> Iterator[Finding]:
    """Name the mailboxes that receive nothing, cannot send, or use up their daily limit."""
    labeled = result.assign(
        label=[name("mailbox_id", row["mailbox_id"], row["email"]) for row in records(result[["mailbox_id", "email"]])]
    )
    of_all = f"of {counted(len(result), 'mailbox', 'mailboxes')}"
    blind = labeled[holds(~result["sync_ok"])]
    if len(blind):
        mails = int(blind["sent_while_blind"].sum())
        texts = [
            row["label"] if pd.isna(row["blind_since"]) else f"{row['label']} since {day(row['blind_since'])}"
            for row in records(blind)
        ]
        sentence = f"{len(blind):,} {of_all} {'receives' if len(blind) == 1 else 'receive'} no replies and no bounces"
        meant = f"{counted(mails, 'mail')} sent since then look unanswered, even if they were answered"
        action = f"Connect {listed(blind['label'])} again: until then, nobody sees what people answer."
        yield Finding(Level.REPAIR, mails, f"{sentence}: {listed(texts)}. {meant}.", action=action)
    mute = labeled[holds(~result["send_ok"])]
    if len(mute):
        sentence = f"{len(mute):,} {of_all} cannot send: {listed(mute['label'])}."
        action = f"Find out why {listed(mute['label'])} cannot send, and move the mail that waits there."
        yield Finding(Level.REPAIR, len(mute), sentence, action=action)
    full = labeled[holds(result["capacity_used_p95"] >= 1)]
    if len(full):
        sentence = f"{len(full):,} {of_all} {'uses' if len(full) == 1 else 'use'} up the daily limit on busy days"
        action = "Put fewer people in there, or share them among more mailboxes."
        yield Finding(Level.KNOW, len(full), f"{sentence}: {listed(full['label'])}.", action=action)


def alerts(result: pd.DataFrame, name: Names) -> Iterator[Finding]:
    """Name the mailboxes or domains whose rate lies above a threshold."""
    key, recent, when = str(result.columns[0]), result, ""
    if "week" in result.columns:
        recent = result[result["week"].isin(sorted(result["week"].unique())[-RECENT_WEEKS:])]
        when = f" in the latest {RECENT_WEEKS} weeks"
    own = result.groupby(key)["email"].first() if "email" in result.columns else pd.Series(dtype="object")
    for rate, (watch, act) in parameter(result, "thresholds", {}).items():
        if rate not in _TROUBLES:
            continue
        effect, words = design_effect(result, rate), METRICS[rate]
        sums = recent.groupby(key)[list(_TROUBLES[rate])].sum().astype("int64")
        counts = [column.to_numpy(dtype="float64") for _, column in sums.items()]
        x, n = (count / effect for count in counts)
        lower, p = exact_lower(x, n), p_above(x, n, watch)
        for place, measured in enumerate(rates_of(*counts, effect=effect)):
            if measured.n < MIN_N:
                continue
            grave = lower[place] > act
            level, limit = (Level.REPAIR, act) if grave else (Level.DECIDE, watch)
            what = "at which to act" if grave else "from which to watch"
            box = sums.index[place]
            threshold = share(limit)
            sentence = f"{name(key, box, own.get(box))} {has(words)} {measured}{when}, above the {threshold} {what}."
            enough = counts[0][place] >= MIN_EVENTS and lower[place] > watch
            importance = HEADLINE if rate == "bounce_rate" else 1.0
            action = "Stop its sequences" if grave else "Check the addresses that its sequences write to"
            action = f"{action}; look for a list of bad addresses." if grave else f"{action}."
            chance = float(p[place]) if enough else 1.0
            yield Finding(level, counts[0][place], sentence, chance, importance, action)


def failures(result: pd.DataFrame, name: Names) -> Iterator[Finding]:
    """Say how much mail failed and mostly why; by anything but the reason, compare the groups."""
    if parameter(result, "by", ["error_reason"]) != ["error_reason"]:
        yield from groups(result, name)
        return
    failed, attempted = int(result["failed"].sum()), int(result["attempted"].max())
    if failed >= NOTABLE * attempted:
        most = max(records(result), key=lambda row: int(row["failed"]))
        reason = f"“{most['error_reason']}”" if isinstance(most["error_reason"], str) else "no reason given"
        sentence = f"{counted(failed, 'mail')} failed, {rates_of([failed], [attempted])[0]} of those attempted"
        texts = f"{sentence}, most often with {reason} ({most['failed']:,})."
        yield Finding(Level.DECIDE, failed, texts, action="Repair the most frequent reason, then send that mail again.")


def violations(result: pd.DataFrame, name: Names) -> Iterator[Finding]:
    """Count the mails that reached people after they had opted out."""
    people = counted(result["prospect_id"].nunique(), "person", "people")
    late = _of_them(int((result["hours_after_opt_out"] > 24).sum()), len(result))  # noqa: PLR2004  hours in a day
    most = result["sequence_id"].value_counts()
    sequence = name("sequence_id", most.index[0]) if len(most) else ""
    where = f"; {_of_them(int(most.iloc[0]), len(result))} in {sequence}" if len(most) else ""
    sentence = f"{counted(len(result), 'mail')} reached {people} after they had opted out"
    action = "Stop all mail to these people, and find out what wrote to them: a sequence, or a person."
    yield Finding(Level.REPAIR, len(result), f"{sentence}, {late} more than a day later{where}.", action=action)


def _of_them(count: int, whole: int) -> str:
    return "all of them" if count == whole else f"{count:,} of them"


_LESS_MAIL = {
    "open_sequences": "Let each of them finish one sequence first, and take them out of the others.",
    "max_touches": "Put more days between the steps, or keep these people out of a second sequence.",
}
_OPEN = "Outreach counts each enrollment as open that is neither finished nor opted out, even if it bounced"


def collisions(result: pd.DataFrame, _: Names) -> Iterator[Finding]:
    """Count how many people are in several sequences at once, or are written to too often."""
    limit, window = parameter(result, "max_mailings", 4), parameter(result, "window_d", 7)
    cases = {
        "open_sequences": (1, "have open enrollments in several sequences", f"with an open one ({_OPEN})"),
        "max_touches": (limit, f"were sent more than {limit} mails within {window:g} days", "who got mail"),
    }
    for column, (above, what, of_those) in cases.items():
        x, n = int((result[column] > above).sum()), int((result[column] > 0).sum())
        if x and x / n >= NOTABLE:
            happened = what if x > 1 else what.replace("have ", "has ", 1).replace("were ", "was ", 1)
            share = f"{rates_of([x], [n])[0]} of those {of_those}"
            texts = f"{counted(x, 'person', 'people')} {happened}, {share}."
            yield Finding(Level.DECIDE, x, texts, action=_LESS_MAIL[column])


def counters(result: pd.DataFrame, _: Names) -> Iterator[Finding]:
    """Count how many deliveries the API counts that have no row, or the other way round."""
    deliveries = result[result["counter"] == "deliver_count"]
    kind = str(result.columns[0]).removesuffix("_id").replace("_", " ")
    for cause, (level, what) in _GAPS.items():
        gaps = deliveries[deliveries["cause"] == cause]
        gap, rows = abs(int(gaps["gap"].sum())), int(deliveries["unique_mailings"].sum())
        if gap and gap >= NOTABLE * rows:
            sentence = (
                f"On {len(gaps):,} of {counted(len(deliveries), kind)} Outreach's own counters show {gap:,} {what}"
            )
            yield Finding(level, gap, f"{sentence} ({counted(rows, 'row')} in all).")


def quality(result: pd.DataFrame, _: Names) -> Iterator[Finding]:
    """Say what must be repaired in the data before any figure is read."""
    for row in records(result[result["severity"] == "act"]):
        if row["check"] not in _OTHER_RULES:
            check, resource = (row[name].replace("_", " ") for name in ("check", "resource"))
            sentence = f"{check.capitalize()}: {row['count']:,} of {row['rows']:,} {resource}; {row['effect']}."
            yield Finding(Level.REPAIR, row["count"], sentence)


def machines(result: pd.DataFrame, _: Names) -> Iterator[Finding]:
    """Count how many opens look like a machine's, and the open rate with and without them."""
    if "open_rate_range" not in result.attrs:
        return
    opened = attached(result, "open_rate_range").iloc[0]
    n = int(opened["n"])
    if n < MIN_N or opened["lower"] == opened["upper"]:
        return
    low, high = (Rate(opened[end], opened[f"{end}_lo"], opened[f"{end}_hi"], n) for end in ("lower", "upper"))
    suspect = round((high.value - low.value) * n)
    look = "looks" if suspect == 1 else "look"
    sentence = (
        f"{counted(suspect, 'open')} {look} like a machine's. With them, {high} of the mails were opened, without"
    )
    yield Finding(Level.KNOW, suspect, f"{sentence} them {low}. Machines that were not detected are in both figures.")


_FEW_ACCOUNTS = 0.05
"""A smaller share of the accounts gets no sentence."""

_CREDIT_SPREAD = 0.1
"""A channel gets a sentence where the models' credits for it differ by at least this share of all deals."""


def backlog(result: pd.DataFrame, name: Names) -> Iterator[Finding]:
    """Count how many tasks are past due, and who has left more of them open than the rest."""
    by_user = result.fillna({"tasks_due": 0, "task_backlog": 0}).groupby("user_id")
    sums = by_user[["task_backlog", "tasks_due"]].sum().astype("int64")
    left, due = int(sums["task_backlog"].sum()), int(sums["tasks_due"].sum())
    if not left:
        return
    are = "is" if left == 1 else "are"
    share = f"{rates_of([left], [due])[0]} of those that were due"
    sentence = f"{counted(left, 'task')} {are} past due and still open, {share}."
    yield Finding(Level.KNOW, left, sentence, action="Do them, or close those that are no longer of use.")
    labels = by_user["name"].first()
    effect = design_effect(result, "task_completion_rate")
    rates = rates_of(sums["task_backlog"], sums["tasks_due"], effect=effect)
    words = METRICS["task_backlog"]
    for user in with_the_rest(rates, words.sides, effect=effect):
        label = name("user_id", sums.index[user.place], labels.iloc[user.place])
        sentence = f"{words.group.format(who=label, rate=user.rate)}, above the others together ({user.rest})."
        action = f"Ask {label} what is in the way, and share out what is past due."
        yield Finding(Level.DECIDE, user.weight, sentence, user.p, action=action)


def coverage(result: pd.DataFrame, _: Names) -> Iterator[Finding]:
    """Count the accounts where nobody was contacted, and those where only one of several was."""
    present = result[result["prospects"] > 0]
    several = present[(present["prospects"] > 1) & (present["contacted"] > 0)]
    untouched, single = present[present["contacted"] == 0], several[several["contacted"] == 1]
    if len(untouched) and len(untouched) >= _FEW_ACCOUNTS * len(present):
        people = int(untouched["prospects"].sum())
        of_all = f"{len(untouched):,} of {counted(len(present), 'account')}"
        sentence = f"In {of_all} with people on file nobody was contacted"
        texts = f"{sentence}, {counted(people, 'person', 'people')} in all."
        yield Finding(Level.DECIDE, people, texts, action="Give each of these accounts to somebody, or take it off.")
    if len(single) and len(single) >= _FEW_ACCOUNTS * len(several):
        people = int((single["prospects"] - 1).sum())
        sentence = f"In {len(single):,} of {counted(len(several), 'account')} with several people on file"
        rest = f"only one of them was contacted; {counted(people, 'other')} could be"
        action = "Write to a second person in each of them."
        yield Finding(Level.DECIDE, people, f"{sentence}, {rest}.", action=action)


def credit(result: pd.DataFrame, name: Names) -> Iterator[Finding]:
    """Count how many deals no mail preceded, and for which channels the models disagree most."""
    deals = result["opportunity_id"].nunique()
    window = parameter(result, "window_d", 30)
    alone = result.loc[result["channel"] == "unattributed", "opportunity_id"].nunique()
    if alone:
        sentence = f"{counted(alone, 'deal')} had no mail to their people in the {window:g} days before they began"
        yield Finding(Level.KNOW, alone, f"{sentence}, {rates_of([alone], [deals])[0]}.")
    if deals < MIN_N:
        sentence = f"{counted(deals, 'deal')} are too few to compare the rules that share credit."
        yield Finding(Level.KNOW, 0, sentence)
        return
    summary = attached(result, "summary").dropna(subset=["channel_id"])
    by_model = summary.groupby(["channel", "channel_id", "model"], as_index=False).agg(credited=("credited", "sum"))
    for (channel, id_), models in by_model.groupby(["channel", "channel_id"]):
        rows = sorted(records(models), key=lambda row: float(row["credited"]))
        least, most = rows[0], rows[-1]
        rules = [f"“{row['model'].replace('_', ' ')}”" for row in (least, most)]
        if (most["credited"] - least["credited"]) / deals >= _CREDIT_SPREAD:
            sentence = (
                f"{name(f'{channel}_id', id_)} gets {least['credited']:.0f} of {deals:,} deals by the rule {rules[0]} "
                f"and {most['credited']:.0f} by {rules[1]}: how much it brings in depends on the rule."
            )
            yield Finding(Level.KNOW, most["credited"] - least["credited"], sentence)
