"""
Findings in words, made by rules from results of the statistics.

Every sentence carries its figure with interval and n, and claims only what the interval supports; counts of everything
there is (mailboxes, accounts, mails after an opt-out) have no interval. Where nothing is notable, a sentence says so.

>>> from outreach_frames import findings
>>> findings.tell(rates)  # what stands out in one result, in a notebook as a list
>>> findings.tell(rates, health, funnel, names={"sequence_id": names}, limit=5)  # the five most important of several

The order: first what must be repaired, then what is there to decide, then what to know. Within each, every statistic
has its first finding before any has its second; among these, the one that is about most mails or people comes first.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from html import escape

import pandas as pd

from outreach_frames.errors import DataError
from outreach_frames.findings import _replies, _sending, _trials, _work
from outreach_frames.findings._words import Finding, Level, Names, NameTable

__all__ = ["RULES", "Sentences", "tell"]

NOTHING = "Nothing stands out: no difference is larger than chance alone could make it."

NO_DATA = "There is nothing to judge by: no data."

SILENCE: Mapping[str, str] = {
    "ab_test": "No test of templates has an outcome to tell.",
    "account_coverage": "Few accounts were left out, and few were contacted through one of several people only.",
    "cohort_matrix": "The latest weeks cannot be told apart from those before them.",
    "compare_periods": "No change is larger than chance alone could make it.",
    "compliance": "No mail reached anyone after they had opted out.",
    "data_quality": "Nothing was found that must be repaired before the data are read.",
    "deliverability": "No mailbox is above a threshold by more than chance alone could make it.",
    "enrolment_outcomes": "Nowhere do more enrolments stand still or come again than chance alone could make.",
    "failures": "Next to no mail failed.",
    "leaderboard": "Nothing stands apart from the rest once chance is taken out.",
    "mailbox_health": "No mailbox is known to be in trouble.",
    "overlaps": "Next to nobody is in several sequences at once or written to too often.",
    "pipeline_attribution": "No channel's credit depends much on the rule.",
    "power_table": "How long a test would take is not known.",
    "prospect_opt_outs": "No group loses more people to opt-outs than the rest, beyond what chance alone could make.",
    "reconcile_counters": "No gap of 1 % or more is known between Outreach's own counters of deliveries and the rows.",
    "rep_activity": "No task is known to be past due and open.",
    "reply_within": "There are too few enrolments to tell how soon they answer.",
    "send_time_heatmap": "No hour can be told apart from the others.",
    "state_flow": "No sequence loses more enrolments than the rest by more than chance alone could make it.",
    "step_funnel": "No step can be told apart from its sequence's other steps.",
    "suspect_engagement": "No open looks like a machine's.",
}
"""What is said of a single result in which nothing is notable, by its function; else `NOTHING`."""

Rule = Callable[[pd.DataFrame, Names], Iterator[Finding]]

RULES: Mapping[str, Rule] = {
    "ab_test": _trials.tests,
    "account_coverage": _work.coverage,
    "cohort_matrix": _replies.cohorts,
    "compare_periods": _replies.periods,
    "compliance": _sending.violations,
    "data_quality": _sending.quality,
    "deliverability": _sending.alerts,
    "engagement": _replies.groups,
    "enrolment_outcomes": _replies.groups,
    "failures": _sending.failures,
    "leaderboard": _trials.ranks,
    "mailbox_health": _sending.mailboxes,
    "meetings": _replies.groups,
    "overlaps": _sending.collisions,
    "pipeline_attribution": _work.credit,
    "power_table": _trials.plans,
    "prospect_opt_outs": _replies.groups,
    "reconcile_counters": _sending.counters,
    "rep_activity": _work.backlog,
    "reply_within": _replies.within,
    "send_time_heatmap": _trials.hours,
    "sequence_engagement": _replies.groups,
    "state_flow": _replies.outcomes,
    "step_funnel": _replies.steps,
    "suspect_engagement": _sending.machines,
}
"""By the function of `outreach_frames.stats` whose result a rule reads."""


class Sentences(list[str]):
    """Sentences in plain text; in a notebook a list of points, in which names from the data are only text."""

    def _repr_html_(self) -> str:
        unbroken = [re.sub(r"(?<=\d)–(?=\d)", "\N{WORD JOINER}–\N{WORD JOINER}", escape(text)) for text in self]
        return f"<ul class='findings'>{''.join(f'<li>{text}</li>' for text in unbroken)}</ul>"


def tell(*results: pd.DataFrame, names: Mapping[str, NameTable] | None = None, limit: int | None = None) -> Sentences:
    """
    Tell what stands out in results of the statistics.

    Parameters
    ----------
    *results
        Results of `outreach_frames.stats`, in pandas. Those that no rule is for are passed over.
    names
        Names by id for each key, such as ``{"sequence_id": sequences.set_index("id")["name"]}``; where a result has
        names of its own they serve.
    limit
        Tell only the most important [sentences]; default: all, and how much was not judged.

    Returns
    -------
    sentences : Sentences
        A list of plain text, most important first; see the module's notes. Never empty.

    Raises
    ------
    DataError
        A frame carries no record of a statistic, or is none; names are not by key and id.
    """
    ranked, name = [], Names(names)
    functions = [_function(result) for result in results]
    for function, result in zip(functions, results, strict=True):
        rule = RULES.get(function)
        found = sorted(rule(result, name) if rule and len(result) else (), key=lambda each: (each.level, -each.weight))
        places = dict.fromkeys(Level, 0)
        for finding in found:
            ranked.append((finding.level, places[finding.level], -finding.weight, finding.sentence))
            places[finding.level] += 1
    ranked.sort(key=lambda each: each[:3])
    notable = [sentence for level, _, _, sentence in ranked if level < Level.NOTE]
    notes = [sentence for level, _, _, sentence in ranked if level == Level.NOTE]
    told = notable or [_silence(functions, has_rows=any(len(result) for result in results))]
    return Sentences([*told, *notes] if limit is None else told[:limit])


def _silence(functions: list[str], *, has_rows: bool) -> str:
    """Say that nothing is notable; without rows nothing can be, unless rows are what would be."""
    if functions == ["compliance"] or (len(functions) == 1 and has_rows):
        return SILENCE.get(functions[0], NOTHING)
    return NOTHING if has_rows else NO_DATA


def _function(result: pd.DataFrame) -> str:
    if not isinstance(result, pd.DataFrame):
        raise DataError(f"A result of a statistic is a DataFrame, no {type(result).__name__}.")
    function = result.attrs.get("outreach_frames", {}).get("function")
    if function is None:
        raise DataError(
            "This frame carries no record of a statistic.",
            hint="Pass a result of outreach_frames.stats as it is; merging and grouping drop the record.",
        )
    return str(function)
