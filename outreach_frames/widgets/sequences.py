"""One sequence at a time: its steps, its outcomes, and where it stands among the others."""

from typing import Any

import pandas as pd

from outreach_frames import plots, stats
from outreach_frames.widgets._explorer import Explorer, Shown, Source, choice, dropdown, frames_of

PERIODS = [("all time", None), ("last 30 days", 30), ("last 90 days", 90), ("last 180 days", 180)]


class SequenceExplorer(Explorer):
    """
    Pick a sequence and a period; see its steps, its outcomes over time, or all sequences side by side.

    Parameters
    ----------
    source
        A snapshot, frames by name, or a client: mailings, sequences, sequence steps.

    Raises
    ------
    OutreachError
        A table is missing.
    """

    def __init__(self, source: Source) -> None:
        tables = frames_of(source, ["mailings", "sequences", "sequence_steps"])
        self._mailings = tables["mailings"]
        self._sequences = tables["sequences"].sort_values("name")
        self._steps = tables["sequence_steps"]
        named = list(zip(self._sequences["name"].astype(str), self._sequences["id"].astype(int), strict=True))
        self._names = {number: name for name, number in named}
        controls = {
            "picture": choice("", [("Steps", "steps"), ("Outcomes", "outcomes"), ("All sequences", "rates")]),
            "sequence": dropdown("Sequence", named),
            "days": dropdown("Mail of", PERIODS),
        }
        super().__init__(controls, height=460)

    def view(self, *, picture: str, sequence: int, days: int | None) -> Shown:
        """Return the picture for a sequence [id] and a period [days before the extraction]."""
        mailings = self._of_period(days)
        if picture == "rates":
            return plots.plot_rates(stats.sequence_engagement(mailings, self._sequences))
        mailings = mailings[mailings["sequence_id"] == sequence]
        if not mailings["delivered_at"].notna().any():
            return f"“{self._names[sequence]}” delivered no mail in this period."
        if picture == "outcomes":
            return plots.plot_incidence(stats.cumulative_incidence(stats.time_to_event(mailings)))
        steps = self._steps[self._steps["sequence_id"] == sequence]
        return plots.plot_step_funnel(stats.step_funnel(mailings, steps), names=self._names)

    def code(self, *, picture: str, sequence: int, days: int | None) -> str:
        """Return the call that gives the same."""
        lines = ['mailings = snapshot.frame("mailings")']
        if days is not None:
            lines.append(f'mailings = mailings[mailings["delivered_at"] >= snapshot.as_of - pd.Timedelta(days={days})]')
        if picture == "rates":
            sequences = 'snapshot.frame("sequences")'
            return "\n".join([*lines, f"of.plots.plot_rates(of.stats.sequence_engagement(mailings, {sequences}))"])
        lines.append(f'mailings = mailings[mailings["sequence_id"] == {sequence}]')
        if picture == "outcomes":
            lines.append("of.plots.plot_incidence(of.stats.cumulative_incidence(of.stats.time_to_event(mailings)))")
        else:
            lines.append(f'steps = snapshot.frame("sequence_steps").query("sequence_id == {sequence}")')
            lines.append("of.plots.plot_step_funnel(of.stats.step_funnel(mailings, steps))")
        return "\n".join(lines)

    def _of_period(self, days: int | None) -> pd.DataFrame:
        if days is None:
            return self._mailings
        record: dict[str, Any] = self._mailings.attrs.get("outreach_frames", {})
        end = pd.Timestamp(record["as_of"]) if "as_of" in record else self._mailings["delivered_at"].max()
        return self._mailings[self._mailings["delivered_at"] >= end - pd.Timedelta(days=days)]
