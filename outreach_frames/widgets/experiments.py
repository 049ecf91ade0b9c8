"""Two templates at one step: which earns more replies, how sure that is, and what is still missing."""

import warnings
from collections.abc import Mapping
from typing import ClassVar

import ipywidgets as w
import pandas as pd

from outreach_frames import plots, stats
from outreach_frames.errors import OutreachDataWarning
from outreach_frames.widgets._explorer import Explorer, Shown, choice, dropdown

FLAT = (1.0, 1.0)


class ABMonitor(Explorer):
    """
    Pick a step with several templates; move the difference worth finding, and the prior.

    Parameters
    ----------
    source
        A snapshot, frames by name, or a client: mailings, sequence templates, templates, sequence steps, sequences.
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
        """Keep the tables, test all steps once and return the controls; the step with most enrolments comes first."""
        self._mailings, self._variants = tables["mailings"], tables["sequence_templates"]
        self._templates, steps = tables["templates"], tables["sequence_steps"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OutreachDataWarning)
            everything = stats.ab_test(self._mailings, self._variants, self._templates)
        fitted = everything.attrs["prior"]
        self._priors = {"empirical": (fitted["alpha"], fitted["beta"]), "flat": FLAT}
        names = tables["sequences"].set_index("id")["name"]
        tested = steps[steps["id"].isin(everything["step_id"])]
        offered = [
            (f"{names.get(sequence, sequence)}, step {order} ({step})", int(step))
            for step, sequence, order in zip(tested["id"], tested["sequence_id"], tested["order"], strict=True)
        ]
        largest = everything.groupby("step_id")["n"].sum().sort_values(ascending=False, kind="stable").index
        shown = [number for _, number in offered]
        slider = w.FloatSlider(
            value=0.02,
            min=0.005,
            max=0.1,
            step=0.005,
            readout_format=".1%",
            description="Worth finding",
            continuous_update=False,
            style={"description_width": "initial"},
        )
        return {
            "step": dropdown(
                "Step",
                sorted(offered) or [("no step has several templates", 0)],
                next((int(step) for step in largest if step in shown), None),
            ),
            "detectable": slider,
            "prior": choice("Prior", [("all templates", "empirical"), ("flat", "flat")]),
        }

    def view(self, *, step: int, detectable: float, prior: str) -> Shown:
        """Return the picture of a step's test, for a difference worth finding [fraction] and a prior."""
        if not step:
            return "No step has several templates, so there is nothing to compare."
        test = stats.ab_test(
            self._mailings[self._mailings["sequence_step_id"] == step],
            self._variants[self._variants["sequence_step_id"] == step],
            self._templates,
            detectable=detectable,
            prior=self._priors[prior],
        )
        return plots.plot_ab(test, step=step)

    def code(self, *, step: int, detectable: float, prior: str) -> str:
        """Return the call that gives the same figures; there the prior is fitted again."""
        chosen = '"empirical"' if prior == "empirical" else f"{FLAT}"
        return "\n".join(
            [
                f"mailings, templates = {self.table('mailings')}, {self.table('templates')}",
                f"variants = {self.table('sequence_templates')}",
                f"test = of.stats.ab_test(mailings, variants, templates, detectable={detectable:g}, prior={chosen})",
                f"of.plots.plot_ab(test, step={step})",
            ]
        )
