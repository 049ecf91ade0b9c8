"""Two templates at one step: which earns more replies, how sure that is, and what is still missing."""

import ipywidgets as w

from outreach_frames import plots, stats
from outreach_frames.widgets._explorer import Explorer, Shown, Source, choice, dropdown, frames_of


class ABMonitor(Explorer):
    """
    Pick a step with several templates; move the difference worth finding, and the prior.

    Parameters
    ----------
    source
        A snapshot, frames by name, or a client: mailings, sequence templates, templates, sequence steps, sequences.

    Raises
    ------
    OutreachError
        A table is missing.
    """

    def __init__(self, source: Source) -> None:
        tables = frames_of(source, ["mailings", "sequence_templates", "templates", "sequence_steps", "sequences"])
        self._tables = tables
        variants = tables["sequence_templates"].groupby("sequence_step_id")["template_id"].nunique()
        tested = tables["sequence_steps"][tables["sequence_steps"]["id"].isin(variants[variants > 1].index)]
        names = tables["sequences"].set_index("id")["name"]
        steps = [
            (f"{names.get(sequence, sequence)}, step {order}", int(step))
            for step, sequence, order in zip(tested["id"], tested["sequence_id"], tested["order"], strict=True)
        ]
        controls = {
            "step": dropdown("Step", sorted(steps) or [("no step has several templates", 0)]),
            "detectable": w.FloatSlider(
                value=0.02,
                min=0.005,
                max=0.1,
                step=0.005,
                readout_format=".1%",
                description="worth finding",
                continuous_update=False,
            ),
            "prior": choice("Prior", [("all templates", "empirical"), ("flat", "flat")]),
        }
        super().__init__(controls, height=420)

    def view(self, *, step: int, detectable: float, prior: str) -> Shown:
        """Return the picture of a step's test, for a difference worth finding [fraction] and a prior."""
        if not step:
            return "No step has several templates, so there is nothing to compare."
        mailings = self._tables["mailings"]
        test = stats.ab_test(
            mailings,
            self._tables["sequence_templates"],
            self._tables["templates"],
            detectable=detectable,
            prior="empirical" if prior == "empirical" else (1.0, 1.0),
        )
        return plots.plot_ab(test, step=step)

    def code(self, *, step: int, detectable: float, prior: str) -> str:
        """Return the call that gives the same."""
        chosen = '"empirical"' if prior == "empirical" else "(1.0, 1.0)"
        frames = ", ".join(f'snapshot.frame("{name}")' for name in ("mailings", "sequence_templates", "templates"))
        return (
            f"test = of.stats.ab_test({frames}, detectable={detectable:g}, prior={chosen})\n"
            f"of.plots.plot_ab(test, step={step})"
        )
