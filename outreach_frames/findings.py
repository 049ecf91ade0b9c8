"""Findings in words, made by rules from results of the statistics: every sentence carries its interval and its n."""

from collections.abc import Iterator

import pandas as pd

__all__ = ["rate_findings", "step_findings"]

MIN_N = 30
"""Groups with a smaller denominator are not judged."""


def rate_findings(
    rates: pd.DataFrame, rate: str = "enrolment_reply_rate", *, label: str = "name", verb: str = "replies at"
) -> list[str]:
    """
    Tell which groups lie above or below all groups together.

    Parameters
    ----------
    rates
        Result of `stats.sequence_engagement` or `stats.engagement`.
    rate
        The rate to compare.
    label
        Column that names the groups.
    verb
        What a group does, before the figure.

    Returns
    -------
    sentences : list of str
        Plain text, highest rate first. A group is named only where its interval leaves out the rate of all groups
        together, and only with a denominator of at least 30; a last sentence tells how many were not judged.
    """
    judged = rates[rates[f"{rate}_n"] >= MIN_N].sort_values(rate, ascending=False)
    small = int((rates[f"{rate}_n"] < MIN_N).sum())
    if judged.empty:
        return [f"No group has {MIN_N} or more to judge by."]
    overall = float((judged[rate] * judged[f"{rate}_n"]).sum() / judged[f"{rate}_n"].sum())
    sentences = list(_standing_out(judged, rate, overall, label=label, verb=verb))
    if not sentences:
        sentences = [f"No group stands out from all together ({_percent(overall)})."]
    if small:
        sentences.append(f"{small} of {len(rates)} have fewer than {MIN_N} and are not judged.")
    return sentences


def _standing_out(judged: pd.DataFrame, rate: str, overall: float, *, label: str, verb: str) -> Iterator[str]:
    for _, row in judged.iterrows():
        low, high = row[f"{rate}_lo"], row[f"{rate}_hi"]
        if low <= overall <= high:
            continue
        side = "above" if row[rate] > overall else "below"
        yield (
            f"“{row[label]}” {verb} {_percent(row[rate])} ({_percent(low)} to {_percent(high)}, "
            f"n = {int(row[f'{rate}_n']):,}), {side} all together ({_percent(overall)})."
        )


def step_findings(funnel: pd.DataFrame, names: pd.Series, *, limit: int = 5) -> list[str]:
    """
    Tell for each sequence which step earns most replies, and after which none came.

    Parameters
    ----------
    funnel
        Result of `stats.step_funnel`.
    names
        Sequence names by id.
    limit
        Tell of this many sequences.

    Returns
    -------
    sentences : list of str
        Plain text, one per sequence with at least 30 enrolments at risk at a step, largest sequences first.
    """
    judged = funnel[funnel["at_risk"] >= MIN_N]
    size = judged.groupby("sequence_id")["at_risk"].max().sort_values(ascending=False)
    sentences = []
    for sequence in size.index[:limit]:
        steps = judged[judged["sequence_id"] == sequence]
        best = steps.loc[steps["hazard"].astype("float64").idxmax()]
        if best["first_replies"] == 0:
            sentences.append(f"“{names[sequence]}” has earned no reply at any step.")
            continue
        reached = steps["cumulative_reply"].astype("float64").max()
        sentences.append(
            f"“{names[sequence]}” earns most at step {int(best['order'])}: {_percent(best['hazard'])} of those who had "
            f"not answered do so there ({_percent(best['hazard_lo'])} to {_percent(best['hazard_hi'])}, "
            f"n = {int(best['at_risk']):,}); {_percent(reached)} have by the last."
        )
    return sentences


def _percent(value: float) -> str:
    return f"{value:.1%}".replace("%", " %")
