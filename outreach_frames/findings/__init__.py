"""
Findings in words, made by rules from results of the statistics.

A sentence that says that something differs is written only where chance is an unlikely cause. All comparisons behind
the sentences of one call are one family: of organizations in which nothing differs, at most 5 in 100 get such a
sentence. Counts of everything (mailboxes, accounts, mails after an opt-out) are plain facts. Where nothing is notable,
a sentence says so.

>>> from outreach_frames import findings
>>> findings.tell(rates)  # what stands out in one result, in a notebook as a list
>>> findings.tell(rates, health, funnel, names={"sequence_id": names}, limit=5)  # the five most important of several
>>> report = findings.Report()  # the sections of a notebook as one family

The order: first what must be repaired, then what must be decided, then what is good to know. Within each, every
statistic has its first finding before any has its second; among these, the one
that is about most mails or people comes first.

Notes
-----
Groups are compared with all others together, over people and enrollments that have had the same time, by exact tests of
their effective counts (see `stats.intervals` and `stats.clusters`). Family: Y. Benjamini and Y. Hochberg, "Controlling
the false discovery rate", JRSS B 57 (1995) 289–300; with weights, C. R. Genovese, K. Roeder and L. Wasserman, "False
discovery control with p-value weighting", Biometrika 93 (2006) 509–524: the replies of groups other than mailboxes and
the bounces of mailboxes count a hundred times as much as any other comparison.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd

from outreach_frames._extras import require
from outreach_frames._format import type_name
from outreach_frames.errors import DataError
from outreach_frames.findings import _replies, _sending
from outreach_frames.findings._finding import Finding, Level, Names, NameTable
from outreach_frames.findings._multiple_comparisons import number_of_comparisons, surviving
from outreach_frames.stats import explain

__all__ = ["RULES", "Report", "Sentences", "tell"]


def __dir__() -> list[str]:
    return __all__


NOTHING = "Nothing stands out. No difference is larger than chance would explain."

NO_DATA_TO_JUDGE = "There are no data to judge by."

NOTHING_NOTABLE: Mapping[str, str] = {
    "ab_test": "No test of templates has a result yet.",
    "account_coverage": "Most accounts were contacted, and most of them through several people.",
    "cohort_matrix": "The latest weeks do not differ from those before by more than chance.",
    "compare_periods": "No change is larger than chance would explain.",
    "opt_out_violations": "No mail reached anyone after they had opted out.",
    "data_quality": "Nothing in the data must be repaired first.",
    "deliverability": "No mailbox is above a threshold by more than chance.",
    "enrollment_outcomes": "No group has unusually many stuck enrollments.",
    "failures": "Very little mail failed.",
    "leaderboard": "No group differs from the others by more than chance.",
    "mailbox_health": "No mailbox is known to be in trouble.",
    "overlaps": "Few people are in several sequences at once or get too many mails.",
    "pipeline_attribution": "No channel's credit depends much on the rule.",
    "power_table": "It is not known how long a test would take.",
    "prospect_opt_outs": "No group loses more people to opt-outs than the others by more than chance.",
    "reconcile_counters": "Outreach's own counters of deliveries agree with the rows to within 1 %.",
    "rep_activity": "No task is past due and open.",
    "reply_within": "There are too few enrollments to say how soon people answer.",
    "send_time_heatmap": "No hour differs from the others by more than chance.",
    "state_flow": "No sequence loses more enrollments than the others by more than chance.",
    "step_funnel": "No step differs from the others of its sequence by more than chance.",
    "suspect_engagement": "No open looks like a machine's.",
}
"""The sentence about a single result in which nothing is notable, by its function; else `NOTHING`."""

Rule = Callable[[pd.DataFrame, Names], Iterator[Finding]]

RULES: Mapping[str, Rule] = {
    "ab_test": _replies.tests,
    "account_coverage": _sending.coverage,
    "cohort_matrix": _replies.cohorts,
    "compare_periods": _replies.periods,
    "opt_out_violations": _sending.violations,
    "data_quality": _sending.quality,
    "deliverability": _sending.alerts,
    "engagement": _replies.groups,
    "enrollment_outcomes": _replies.groups,
    "failures": _sending.failures,
    "leaderboard": _replies.ranks,
    "mailbox_health": _sending.mailboxes,
    "meetings": _replies.groups,
    "overlaps": _sending.collisions,
    "pipeline_attribution": _sending.credit,
    "power_table": _replies.plans,
    "prospect_opt_outs": _replies.groups,
    "reconcile_counters": _sending.counters,
    "rep_activity": _sending.backlog,
    "reply_within": _replies.within,
    "send_time_heatmap": _replies.hours,
    "sequence_engagement": _replies.groups,
    "state_flow": _replies.outcomes,
    "step_funnel": _replies.steps,
    "suspect_engagement": _sending.machines,
}
"""By the function of `outreach_frames.stats` whose result a rule reads."""


class Sentences(list[str]):
    """
    Sentences in plain text; in a notebook a list of points, in which names from the data are only text.

    Examples
    --------
    >>> rates = stats.engagement(mailings, by="sequence_id")
    >>> sentences = of.findings.tell(rates)
    >>> isinstance(sentences, list), len(sentences) > 0
    (True, True)
    """

    def _repr_html_(self) -> str:
        return _points([_unbroken(text) for text in self])


def _unbroken(text: str) -> str:
    """Escape a text for HTML, and keep each range of figures on one line."""
    return re.sub(r"(?<=\d)–(?=\d)", "\N{WORD JOINER}–\N{WORD JOINER}", escape(text))


def _points(texts: Sequence[str]) -> str:
    return f"<ul class='findings'>{''.join(f'<li>{text}</li>' for text in texts)}</ul>"


def tell(
    *results: pd.DataFrame,
    names: Mapping[str, NameTable] | None = None,
    limit: int | None = None,
    family: Sequence[pd.DataFrame] = (),
) -> Sentences:
    """
    Write in sentences what stands out in results of the statistics.

    Parameters
    ----------
    *results
        Results of `outreach_frames.stats`, in pandas. Those without a rule are skipped.
    names
        Names by id for each key, such as ``{"sequence_id": sequences.set_index("id")["name"]}``; default: the
        result's own names.
    limit
        Only the most important ones [sentences]; default: all, and what was not compared.
    family
        Further results whose comparisons belong to the same family, such as those of a report's other sections. The
        number of comparisons is then left out.

    Returns
    -------
    sentences : Sentences
        A list of plain text, most important first; see the module's notes. Where comparisons were made, the last one
        says how many, beyond ``limit`` too. Never empty.

    Raises
    ------
    DataError
        A frame carries no record of a statistic, or is none; names are not by key and id.

    Examples
    --------
    >>> rates = stats.engagement(mailings, by="sequence_id")
    >>> sentences = of.findings.tell(rates, names={"sequence_id": sequences.set_index("id")["name"]}, limit=1)
    >>> sentences[0].split(",")[0]
    'Of the enrollments in “Inbound demo request – fast lane”'
    """
    sentences, comparisons = _sentences(results, names, limit, family)
    return Sentences([*sentences, *([comparisons] if comparisons else [])])


def _sentences(
    results: Sequence[pd.DataFrame],
    names: Mapping[str, NameTable] | None,
    limit: int | None,
    family: Sequence[pd.DataFrame],
) -> tuple["_WithActions", str | None]:
    """Return the sentences of `tell` with what to do, and how many comparisons were made."""
    name = Names(names)
    others = [result for result in family if not any(result is other for other in results)]
    functions = [_function(result) for result in results]
    by_result = [
        list(RULES[function](result, name.of(result))) if function in RULES and len(result) else []
        for function, result in zip([*functions, *map(_function, others)], [*results, *others], strict=True)
    ]
    ranked: list[tuple[tuple[int, int, float], Finding]] = []
    for group in list(surviving(by_result))[: len(results)]:
        places = dict.fromkeys(Level, 0)
        for finding in sorted(group, key=lambda each: (each.level, -each.weight)):
            ranked.append(((finding.level, places[finding.level], -finding.weight), finding))
            places[finding.level] += 1
    ranked.sort(key=lambda each: each[0])
    notable = [finding for _, finding in ranked if finding.level < Level.NOTE]
    notes = [finding.sentence for _, finding in ranked if finding.level == Level.NOTE]
    sentences = [finding.sentence for finding in notable] or [
        _nothing_notable(functions, has_rows=any(len(result) for result in results))
    ]
    actions = {finding.sentence: finding.action for finding in notable if finding.action}
    comparisons = None if others else number_of_comparisons(by_result)
    return _WithActions([*sentences, *notes] if limit is None else sentences[:limit], actions), comparisons


class _WithActions(Sentences):
    """Sentences, each with what to do about it on a line of its own."""

    def __init__(self, sentences: Sequence[str], actions: Mapping[str, str]) -> None:
        super().__init__(sentences)
        self._actions = actions

    def _repr_html_(self) -> str:
        points = [
            f"{_unbroken(text)}{f'<br><strong>To do:</strong> {_unbroken(action)}' if action else ''}"
            for text, action in ((text, self._actions.get(text)) for text in self)
        ]
        return _points(points)


class Report:
    """
    The sentences of a notebook whose sections are one family of comparisons.

    A sentence must hold among all comparisons of the notebook, so that none can be written before the last statistic is
    computed. `tell` and `overview` keep the places of the sentences; `write`, in the last cell, writes them there.

    Parameters
    ----------
    names
        As of the function `tell`; names may be added to the mapping until `write` is called.

    Attributes
    ----------
    results
        All results so far, in order.

    Examples
    --------
    >>> report = of.findings.Report()
    >>> report.tell(stats.engagement(mailings, by="sequence_id"), limit=1)
    <IPython.core.display.Markdown object>
    >>> report.write()
    ['Of the enrollments in sequence 3, 29...]
    """

    def __init__(self, *, names: Mapping[str, NameTable] | None = None) -> None:
        self.results: list[pd.DataFrame] = []
        self._names = names
        self._places: list[tuple[Any, tuple[pd.DataFrame, ...] | None, int | None]] = []

    def add(self, *results: pd.DataFrame) -> None:
        """Add results whose comparisons belong to the family and that have no section; equal ones count once."""
        for result in results:
            self._added(result)

    def head(self, snapshot: Any, *, organization: str | None = None) -> None:
        """
        Show whose report it is, which mail it counts and how its figures are read.

        Parameters
        ----------
        snapshot
            A snapshot; users or mailboxes tell the organization by the domain that most of their addresses have.
        organization
            Its name; default: that domain.
        """
        from outreach_frames.findings._numbers import head_of  # noqa: PLC0415  loads the statistics

        tables = {name: snapshot.frame(name) for name in ("mailings", "users", "mailboxes") if name in snapshot.tables}
        self._show(head_of(tables, organization=organization, as_of=snapshot.as_of))

    def numbers(self, mailings: pd.DataFrame, *, calls: pd.DataFrame | None = None, days: int = 28) -> None:
        """
        Show the headline reply rate, meetings and mail: of all data, of the latest period and of the one before.

        Whether the headline changed belongs to the family, as every comparison; a sentence below the table says it.

        Parameters
        ----------
        mailings
            As for `stats.engagement`.
        calls
            As for `stats.meetings`; without them, or where none led to a meeting, meetings are left out.
        days
            Length of a period, up to the extraction [d]. The headline counts the enrollments whose 14 days to answer
            ended in it.

        Raises
        ------
        DataError
            Nobody knows when the data were extracted.
        """
        from outreach_frames.display import show  # noqa: PLC0415  needs the extra "notebook"
        from outreach_frames.findings._numbers import change_of_headline, numbers_of  # noqa: PLC0415
        from outreach_frames.stats._statistic import extraction  # noqa: PLC0415

        at = pd.Timestamp(extraction(mailings, None, needed_for="A report") * 1_000, tz="UTC")
        change = change_of_headline(mailings, as_of=at, days=days)
        heads = {"number": "", "whole": "in all", "now": f"latest {days} days", "before": f"{days} days before"}
        rows = numbers_of(mailings, change, calls=calls, as_of=at, days=days)
        table = show(rows, columns={**heads, "change": "change"})
        judged = "Only the change of the reply rate is compared with chance, in all and by sequence:"
        self._show(f"{table.to_html()}<p>{judged}</p>")
        self.tell(change, limit=3)

    def explain(self) -> None:
        """Print how many comparisons were made, and how each result was counted: the appendix of a report."""
        _, comparisons = _sentences(self.results, self._names, None, ())
        if comparisons:
            print(f"{comparisons}\n")  # noqa: T201  as stats.explain does
        for result in self.results:
            explain(result)
            print()  # noqa: T201

    def tell(self, *results: pd.DataFrame, limit: int | None = None) -> None:
        """Keep a place for the sentences of a section about these results, at most `limit`."""
        self._keep_place(tuple(map(self._added, results)), limit)

    def overview(self, *, limit: int = 5) -> None:
        """Keep a place for the most important sentences of the whole notebook, with what to do about each."""
        self._keep_place(None, limit)

    def write(self) -> None:
        """
        Write the sentences into their places.

        Raises
        ------
        DataError
            As of the function `tell`.
        """
        for place, results, limit in self._places:
            if results is None:
                place.update(_sentences(self.results, self._names, limit, ())[0])
            else:
                place.update(tell(*results, names=self._names, limit=limit, family=self.results))

    def _added(self, result: pd.DataFrame) -> pd.DataFrame:
        """Add a result, unless a cell that ran before has added an equal one; return the one that is kept."""
        for present in self.results:
            if _call_of(present) == _call_of(result) and present.equals(result):
                return present
        self.results.append(result)
        return result

    @staticmethod
    def _show(html: str) -> None:
        require("notebook", "Reports", "IPython")
        from IPython.display import HTML, display  # noqa: PLC0415  only notebooks need it

        display(HTML(html))  # type: ignore[no-untyped-call]

    def _keep_place(self, results: tuple[pd.DataFrame, ...] | None, limit: int | None) -> None:
        require("notebook", "Places for findings", "IPython")
        from IPython.display import DisplayHandle, Markdown  # noqa: PLC0415  only notebooks need it

        place = DisplayHandle()  # type: ignore[no-untyped-call]
        place.display(Markdown("The last cell of the notebook writes the findings here."))  # type: ignore[no-untyped-call]
        self._places.append((place, results, limit))


def _call_of(result: pd.DataFrame) -> tuple[object, object]:
    """Return the function that made a result, and its parameters."""
    return _function(result), result.attrs["outreach_frames"].get("parameters")


def _nothing_notable(functions: list[str], *, has_rows: bool) -> str:
    """Say that nothing is notable; without rows nothing can be, unless rows are what would be."""
    if functions == ["opt_out_violations"] or (len(functions) == 1 and has_rows):
        return NOTHING_NOTABLE.get(functions[0], NOTHING)
    return NOTHING if has_rows else NO_DATA_TO_JUDGE


def _function(result: pd.DataFrame) -> str:
    if not isinstance(result, pd.DataFrame):
        raise DataError(f"Findings tell of pandas frames, not of {type_name(result)}.", hint="Use .to_pandas().")
    function = result.attrs.get("outreach_frames", {}).get("function")
    if function is None:
        raise DataError(
            "This frame carries no record of a statistic.",
            hint="Pass a result of outreach_frames.stats as it is; merging and grouping drop the record.",
        )
    return str(function)
