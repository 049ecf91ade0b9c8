"""
Explorers of templates: what they say, and which of those at a step gets more replies.

A body is somebody else's HTML. It is shown in an ``iframe`` that runs no script, sends no form, opens no window and, by
its Content Security Policy, loads nothing: what is not in the body itself stays blank, so that no picture tells its
sender that it was looked at. A policy stops neither a click on a link nor connections made in advance, for a hint or an
inner frame: elements that lead elsewhere are renamed.

Source: HTML Living Standard, section 4.8.5 (``sandbox``, ``srcdoc``); Content Security Policy Level 3.
"""

import re
from collections.abc import Mapping
from html import escape
from typing import Any, ClassVar

import ipywidgets as w
import pandas as pd

from outreach_frames import plots, stats
from outreach_frames._format import type_name
from outreach_frames.display import PERCENT
from outreach_frames.errors import DataError, MissingColumnError
from outreach_frames.stats._timestamps import Instant
from outreach_frames.widgets._explorer import (
    Explorer,
    TableSource,
    View,
    buttons,
    disable_when,
    dropdown,
    end_of,
    group_by_id,
)

_FLAT_PRIOR = (1.0, 1.0)
_PACE_D = 30
"""Days before the extraction whose enrollments give the pace of a test [days]."""
_DETECTABLE = tuple(thousandths / 1000 for thousandths in range(5, 101, 5))
"""Differences that may be worth finding [fractions]."""


class ABTestExplorer(Explorer):
    """
    Pick a step with several templates; move the difference worth finding, and the prior; read the messages compared.

    Parameters
    ----------
    source
        A snapshot, frames by name, or a client: mailings, sequence templates, templates, sequence steps, sequences.
    sequence, step
        Name or id of the sequence, and the place of the step in it, to begin with; default: the step with most
        enrollments, of that sequence or of all.
    since, until, period, tz
        Which mail counts, as in the statistics: at or after ``since`` and before ``until``, or in a ``period`` such as
        ``"last_quarter"`` or ``"90d"``; ``tz`` is the IANA zone of days and months.

    Raises
    ------
    DataError
        The source is none of these, or there is no such period.

    Examples
    --------
    >>> explorer = of.widgets.ABTestExplorer(snapshot)
    >>> sorted(explorer.state)
    ['detectable', 'look', 'prior', 'step']
    """

    HEIGHT = 540
    TABLES: ClassVar = {
        "mailings": ("sequence_step_id", "sequence_state_id", "delivered_at"),
        "sequence_templates": ("sequence_step_id", "template_id"),
        "templates": ("id",),
        "sequence_steps": ("id", "sequence_id", "order"),
        "sequences": ("id", "name"),
    }

    def __init__(
        self,
        source: TableSource,
        *,
        sequence: str | int | None = None,
        step: int | None = None,
        since: Instant | None = None,
        until: Instant | None = None,
        period: object = None,
        tz: str = "UTC",
    ) -> None:
        self._first = sequence, step
        super().__init__(source, since=since, until=until, period=period, tz=tz)

    def prepare(self, tables: dict[str, pd.DataFrame]) -> Mapping[str, w.ValueWidget]:
        """Test all steps, split the tables by step, return the controls; the step with most enrollments comes first."""
        mailings, variants = tables["mailings"], tables["sequence_templates"]
        self._templates, steps = tables["templates"].sort_values("id"), tables["sequence_steps"]
        everything = stats.ab_test(mailings, sequence_templates=variants, templates=self._templates, **self.within)
        self._arms = {step: rows["template_id"].tolist() for step, rows in group_by_id(everything, "step_id").items()}
        self._variants = group_by_id(variants, "sequence_step_id")
        self._end = end_of(mailings)
        self._mailings, self._no_mail = group_by_id(mailings, "sequence_step_id"), mailings.head(0)
        steps_tested = everything.drop_duplicates("step_id")
        priors = zip(steps_tested["prior_alpha"], steps_tested["prior_beta"], strict=True)
        self._priors = dict(zip(steps_tested["step_id"], priors, strict=True))
        names = tables["sequences"].set_index("id")["name"].dropna()
        tested = steps[steps["id"].isin(everything["step_id"])]
        places = [
            (int(step), names.get(sequence, f"sequence {sequence}"), order)
            for step, sequence, order in zip(tested["id"], tested["sequence_id"], tested["order"], strict=True)
        ]
        offered = [(f"{sequence}, step {order} ({step})", step) for step, sequence, order in places]
        self._names = {step: f"step {order} of {sequence}" for step, sequence, order in places}
        largest = everything.groupby("step_id")["n"].sum().sort_values(ascending=False, kind="stable").index
        visible = self._steps_to_begin_with(tested, names)
        slider = w.SelectionSlider(
            options=[(PERCENT.write(difference), difference) for difference in _DETECTABLE],
            value=0.02,
            description="Worth finding",
            continuous_update=False,
            style={"description_width": "initial"},
        )
        prior = buttons([("prior of other tests", "empirical"), ("flat prior", "flat")])
        look = buttons([("Result", "result"), ("Messages", "messages")])
        for control in (slider, prior):
            disable_when(control, other=look, value="messages")
        return {
            "look": look,
            "step": dropdown(
                "Step",
                sorted(offered) or [("no step has several templates", 0)],
                next((int(step) for step in largest if step in visible), None),
            ),
            "detectable": slider,
            "prior": prior,
        }

    def _steps_to_begin_with(self, tested: pd.DataFrame, names: "pd.Series[str]") -> list[int]:
        """Return the steps that are asked for, of those tested."""
        sequence, order = self._first
        offered = tested
        if sequence is not None:
            of = offered["sequence_id"] if isinstance(sequence, int) else offered["sequence_id"].map(names)
            offered = offered[(of == sequence).fillna(value=False)]
        if order is not None:
            offered = offered[(offered["order"] == order).fillna(value=False)]
        if offered.empty and self._first != (None, None):
            at = "" if order is None else f"step {order} of "
            raise DataError(
                f"There is no test at {at}{'any sequence' if sequence is None else sequence}.",
                hint="Only steps with several templates are tests.",
            )
        return [int(step) for step in offered["id"]]

    def _per_day(self, step: int) -> float:
        """Enrollments that reached a step in a day, over the last 30 days of the data [enrollments/day]."""
        mailings = self._mailings.get(step, self._no_mail)
        first = mailings.groupby("sequence_state_id")["delivered_at"].min()
        return float((first >= self._end - pd.Timedelta(days=_PACE_D)).sum()) / _PACE_D

    def view(self, *, look: str, step: int, detectable: float, prior: str) -> View:
        """
        Return the picture of a step's test, or the messages that it compares.

        Parameters
        ----------
        look
            ``"result"`` or ``"messages"``.
        step
            Its id; 0 where no step has several templates.
        detectable
            Difference worth finding [fraction].
        prior
            ``"empirical"`` or ``"flat"``.
        """
        if not step:
            return "No step has several templates, so there is nothing to compare."
        if look == "messages":
            return Messages(self._templates[self._templates["id"].isin(self._arms[step])])
        test = stats.ab_test(
            self._mailings.get(step, self._no_mail),
            sequence_templates=self._variants[step],
            templates=self._templates,
            detectable=detectable,
            prior=self._priors[step] if prior == "empirical" else _FLAT_PRIOR,
            **self.within,
        )
        return plots.plot_ab_test(test, step=step, names=self._names, per_day=self._per_day(step))

    def code(self, *, look: str, step: int, detectable: float, prior: str) -> str:
        """Return the call that gives the same figures, there the prior is fitted again; or the same messages."""
        if look == "messages":
            return "\n".join(
                [
                    "from outreach_frames.widgets import Messages",
                    "",
                    f"templates = {self.table('templates')}.sort_values('id')",
                    f"Messages(templates[templates['id'].isin({self._arms.get(step, [])})])",
                ]
            )
        chosen = '"empirical"' if prior == "empirical" else f"{_FLAT_PRIOR}"
        return "\n".join(
            [
                f"mailings, templates = {self.table('mailings')}, {self.table('templates')}",
                f"variants = {self.table('sequence_templates')}",
                "test = of.stats.ab_test(",
                "    mailings, sequence_templates=variants, templates=templates,",
                f"    detectable={detectable:g}, prior={chosen}{self.period_code},",
                ")",
                f"names = {{{step}: {self._names.get(step, '')!r}}}",
                f"of.plots.plot_ab_test(test, step={step}, names=names, per_day={self._per_day(step):.4g})",
            ]
        )


_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_BODIES = ("body_html", "body_text")
_NO_BODIES = (
    'These data hold no bodies: they come only where they are asked for, as in of.fetch(org, "templates", fields="*"); '
    "the resources= of of.take_snapshot take the same option."
)
_LEADING_ELSEWHERE = re.compile(
    r"<(/?)(?=(?:a|area|base|embed|form|frame|iframe|link|meta|object)[\s/>])", re.IGNORECASE
)
_PAGE_HEAD = (
    f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    '<meta http-equiv="x-dns-prefetch-control" content="off"><base target="_blank">'
    "<style>x-a { color: #0B57D0; text-decoration: underline }</style>"
)
_TALL = 360
"""Height of a body's frame [pixels]; a longer one scrolls."""


class Messages:
    """
    Show templates side by side: name, subject and, where the data hold it, the body.

    Parameters
    ----------
    templates
        ``id``; ``name``, ``subject``, ``body_html`` and ``body_text`` where they are known.

    Raises
    ------
    DataError
        No DataFrame was given.
    MissingColumnError
        There is no ``id``.

    Examples
    --------
    >>> page = of.widgets.Messages(templates.head(2)).to_html()
    >>> page.count("Subject:")
    2
    """

    def __init__(self, templates: pd.DataFrame) -> None:
        if not isinstance(templates, pd.DataFrame):
            raise DataError(f"Messages cannot show {type_name(templates)}.", hint="Give the frame of templates.")
        if "id" not in templates.columns:
            raise MissingColumnError("id", needed_for="Messages", hint="Give the frame of templates.")
        self._templates = templates

    def to_html(self) -> str:
        """Return static HTML; what comes from the data is text, or inside a frame that runs and loads nothing."""
        cards = "".join(_card(row) for row in self._templates.to_dict("records"))
        has_bodies = any(column in self._templates.columns for column in _BODIES)
        summary = "" if has_bodies else f"<p>{escape(_NO_BODIES)}</p>"
        return f'<div style="display: flex; flex-wrap: wrap; gap: 16px; line-height: 1.5">{cards}</div>{summary}'

    def _repr_html_(self) -> str:
        return self.to_html()


def _card(template: dict[Any, Any]) -> str:
    name = _template_text(template, "name") or f"template {template['id']}"
    subject = _template_text(template, "subject")
    texts = f"<b>Subject:</b> {escape(subject)}" if subject else "No subject is known."
    return (
        f'<section style="flex: 1 1 320px; min-width: 0"><h4 style="margin: 0">{escape(name)}</h4>'
        f'<p style="margin: 4px 0; overflow-wrap: anywhere">{texts}</p>{_body(template, name)}</section>'
    )


def _body(template: dict[Any, Any], name: str) -> str:
    page, text = _template_text(template, "body_html"), _template_text(template, "body_text")
    if page:
        return _sandboxed_iframe(page, title=f"Body of {name}")
    if text:
        return f'<p style="white-space: pre-line; overflow-wrap: anywhere">{escape(text)}</p>'
    return "<p>The body is empty.</p>" if {*_BODIES} & {*template} else ""


def _template_text(template: dict[Any, Any], column: str) -> str:
    value = template.get(column)
    return "" if value is None or pd.isna(value) else str(value).strip()


def _sandboxed_iframe(page: str, *, title: str) -> str:
    """Return an ``iframe`` that shows somebody else's HTML and lets it do nothing; links look like links."""
    inert = _LEADING_ELSEWHERE.sub(r"<\1x-", page)
    document = f"<!DOCTYPE html><html><head>{_PAGE_HEAD}</head><body>{inert}</body></html>"
    return (
        f'<iframe sandbox referrerpolicy="no-referrer" title="{escape(title)}" srcdoc="{escape(document)}" '
        f'style="width: 100%; height: {_TALL}px; border: 1px solid #DADADA; background: white"></iframe>'
    )
