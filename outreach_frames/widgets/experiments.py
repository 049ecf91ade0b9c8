"""Two templates at one step: which gets more replies, how certain that is, and how much more mail is needed."""

from collections.abc import Mapping
from typing import ClassVar

import ipywidgets as w
import pandas as pd

from outreach_frames import plots, stats
from outreach_frames.display import PERCENT
from outreach_frames.widgets._explorer import Explorer, Shown, buttons, disable_when, dropdown, group_by_id
from outreach_frames.widgets.messages import Messages

FLAT = (1.0, 1.0)
DETECTABLE = tuple(thousandths / 1000 for thousandths in range(5, 101, 5))
"""Differences that may be worth finding [fractions]."""


class ABMonitor(Explorer):
    """
    Pick a step with several templates; move the difference worth finding, and the prior; read the messages compared.

    Parameters
    ----------
    source
        A snapshot, frames by name, or a client: mailings, sequence templates, templates, sequence steps, sequences.

    Examples
    --------
    >>> monitor = of.widgets.ABMonitor(snapshot)
    >>> sorted(monitor.state)
    ['detectable', 'look', 'prior', 'step']
    """

    HEIGHT = 540
    TABLES: ClassVar = {
        "mailings": ("sequence_step_id",),
        "sequence_templates": ("sequence_step_id", "template_id"),
        "templates": ("id",),
        "sequence_steps": ("id", "sequence_id", "order"),
        "sequences": ("id", "name"),
    }

    def prepare(self, tables: dict[str, pd.DataFrame]) -> Mapping[str, w.ValueWidget]:
        """Test all steps, part the tables by step, return the controls; the step with most enrollments comes first."""
        mailings, variants = tables["mailings"], tables["sequence_templates"]
        self._templates, steps = tables["templates"].sort_values("id"), tables["sequence_steps"]
        everything = stats.ab_test(mailings, sequence_templates=variants, templates=self._templates)
        self._arms = {step: rows["template_id"].tolist() for step, rows in group_by_id(everything, "step_id").items()}
        self._variants = group_by_id(variants, "sequence_step_id")
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
        visible = [number for _, number in offered]
        slider = w.SelectionSlider(
            options=[(PERCENT.write(difference), difference) for difference in DETECTABLE],
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

    def view(self, *, look: str, step: int, detectable: float, prior: str) -> Shown:
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
            prior=self._priors[step] if prior == "empirical" else FLAT,
        )
        return plots.plot_ab_test(test, step=step, names=self._names)

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
        chosen = '"empirical"' if prior == "empirical" else f"{FLAT}"
        return "\n".join(
            [
                f"mailings, templates = {self.table('mailings')}, {self.table('templates')}",
                f"variants = {self.table('sequence_templates')}",
                "test = of.stats.ab_test(",
                "    mailings, sequence_templates=variants, templates=templates,",
                f"    detectable={detectable:g}, prior={chosen},",
                ")",
                f"of.plots.plot_ab_test(test, step={step}, names={{{step}: {self._names.get(step, '')!r}}})",
            ]
        )
