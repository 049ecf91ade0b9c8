"""Rules about work and money: tasks left, accounts reached, deals credited."""

from collections.abc import Iterator

import pandas as pd

from outreach_frames.findings._comparisons import design_effect, with_the_rest
from outreach_frames.findings._words import (
    MIN_N,
    Finding,
    Level,
    Names,
    counted,
    parameter,
    rates_of,
    records,
)
from outreach_frames.metrics import METRICS
from outreach_frames.stats.attachments import attached

FEW_ACCOUNTS = 0.05
"""A smaller share of the accounts is not told."""

SPREAD = 0.1
"""A channel is told of where the models' credits for it lie apart by at least this share of all deals."""


def backlog(result: pd.DataFrame, name: Names) -> Iterator[Finding]:
    """Tell how many tasks are past due, and who has left more of them open than the rest."""
    by_user = result.fillna({"tasks_due": 0, "task_backlog": 0}).groupby("user_id")
    sums = by_user[["task_backlog", "tasks_due"]].sum().astype("int64")
    left, due = int(sums["task_backlog"].sum()), int(sums["tasks_due"].sum())
    if not left:
        return
    are = "is" if left == 1 else "are"
    share = f"{rates_of([left], [due])[0]} of those that were due"
    sentence = f"{counted(left, 'task')} {are} past due and still open, {share}."
    yield Finding(Level.KNOW, left, sentence)
    labels = by_user["name"].first()
    effect = design_effect(result, "task_completion_rate")
    rates = rates_of(sums["task_backlog"], sums["tasks_due"], effect=effect)
    words = METRICS["task_backlog"]
    for user in with_the_rest(rates, words.sides, effect=effect):
        label = name("user_id", sums.index[user.place], labels.iloc[user.place])
        sentence = f"{words.group.format(who=label, rate=user.rate)}, above the others together ({user.rest})."
        yield Finding(Level.DECIDE, user.weight, sentence, user.p)


def coverage(result: pd.DataFrame, _: Names) -> Iterator[Finding]:
    """Count the accounts where nobody was contacted, and those where only one of several was."""
    known = result[result["prospects"] > 0]
    several = known[(known["prospects"] > 1) & (known["contacted"] > 0)]
    untouched, single = known[known["contacted"] == 0], several[several["contacted"] == 1]
    if len(untouched) and len(untouched) >= FEW_ACCOUNTS * len(known):
        people = int(untouched["prospects"].sum())
        sentence = f"In {len(untouched):,} of {counted(len(known), 'account')} with people on file nobody was contacted"
        yield Finding(Level.DECIDE, people, f"{sentence}, {counted(people, 'person', 'people')} in all.")
    if len(single) and len(single) >= FEW_ACCOUNTS * len(several):
        people = int((single["prospects"] - 1).sum())
        sentence = f"In {len(single):,} of {counted(len(several), 'account')} with several people on file"
        rest = f"only one of them was contacted; {counted(people, 'other')} could be"
        yield Finding(Level.DECIDE, people, f"{sentence}, {rest}.")


def credit(result: pd.DataFrame, name: Names) -> Iterator[Finding]:
    """Tell how many deals no mail preceded, and for which channels the models disagree most."""
    deals = result["opportunity_id"].nunique()
    window = parameter(result, "window_d", 30)
    alone = result.loc[result["channel"] == "unattributed", "opportunity_id"].nunique()
    if alone:
        sentence = f"{counted(alone, 'deal')} had no mail to their people in the {window:g} days before they began"
        yield Finding(Level.KNOW, alone, f"{sentence}, {rates_of([alone], [deals])[0]}.")
    if deals < MIN_N:
        sentence = f"{counted(deals, 'deal')} are too few to compare the rules of sharing credit by."
        yield Finding(Level.KNOW, 0, sentence)
        return
    summary = attached(result, "summary").dropna(subset=["channel_id"])
    by_model = summary.groupby(["channel", "channel_id", "model"], as_index=False).agg(credited=("credited", "sum"))
    for (channel, id_), models in by_model.groupby(["channel", "channel_id"]):
        rows = sorted(records(models), key=lambda row: float(row["credited"]))
        least, most = rows[0], rows[-1]
        rules = [f"“{row['model'].replace('_', ' ')}”" for row in (least, most)]
        if (most["credited"] - least["credited"]) / deals >= SPREAD:
            sentence = (
                f"{name(f'{channel}_id', id_)} gets {least['credited']:.0f} of {deals:,} deals by the rule {rules[0]} "
                f"and {most['credited']:.0f} by {rules[1]}: how much it brings in depends on the rule."
            )
            yield Finding(Level.KNOW, most["credited"] - least["credited"], sentence)
