"""One sequence at a time: its steps, its outcomes, and where it stands among the others."""

from collections.abc import Mapping
from typing import Any, ClassVar

import ipywidgets as w
import pandas as pd

from outreach_frames import plots, stats
from outreach_frames.widgets._explorer import Explorer, Shown, choice, dropdown, numbered, parted, rest

PERIODS = [("all time", 0), ("last 30 days", 30), ("last 90 days", 90), ("last 180 days", 180)]


class SequenceExplorer(Explorer):
    """
    Pick a sequence and a period; see its steps, its outcomes over time, or all sequences side by side.

    Parameters
    ----------
    source
        A snapshot, frames by name, or a client: mailings, sequences, sequence steps.
    """

    HEIGHT = 560
    TABLES: ClassVar = {
        "mailings": ("sequence_id", "delivered_at"),
        "sequences": ("id", "name"),
        "sequence_steps": ("sequence_id",),
    }

    def prepare(self, tables: dict[str, pd.DataFrame]) -> Mapping[str, w.ValueWidget]:
        """Part the mailings by sequence, compare all sequences in each period, and return the controls."""
        mailings, sequences, self._steps = tables["mailings"], tables["sequences"], tables["sequence_steps"]
        self._end = _end(mailings)
        self._none = mailings.head(0)
        self._parts = parted(mailings, "sequence_id")
        self._compared = {
            days: stats.sequence_engagement(self._recent(mailings, days), sequences) for _, days in PERIODS
        }
        named = numbered(sequences.set_index("id")["name"].sort_values())
        self._names = {number: label.rsplit(" (", 1)[0] for label, number in named}
        delivered = {number: rows["delivered_at"].count() for number, rows in self._parts.items()}
        busiest = max(self._names, key=lambda number: delivered.get(number, 0), default=None)
        picture = choice("", [("Steps", "steps"), ("Outcomes", "outcomes"), ("All sequences", "rates")])
        sequence = dropdown("Sequence", named or [("none", 0)], busiest)
        rest(sequence, while_=picture, is_="rates")
        return {"picture": picture, "sequence": sequence, "days": dropdown("Mail of", PERIODS)}

    def view(self, *, picture: str, sequence: int, days: int) -> Shown:
        """Return the picture for a sequence [id] and a period [days before the extraction; 0: all]."""
        if sequence not in self._names:
            return "There are no sequences."
        if picture == "rates":
            return plots.plot_rates(self._compared[days])
        mailings = self._recent(self._parts.get(sequence, self._none), days)
        if not mailings["delivered_at"].notna().any():
            return f"“{self._names[sequence]}” delivered no mail in this period."
        if picture == "outcomes":
            return plots.plot_incidence(stats.cumulative_incidence(stats.time_to_event(mailings)))
        steps = self._steps[self._steps["sequence_id"] == sequence]
        return plots.plot_step_funnel(stats.step_funnel(mailings, steps), names=self._names)

    def _recent(self, mailings: pd.DataFrame, days: int) -> pd.DataFrame:
        return mailings[mailings["delivered_at"] >= self._end - pd.Timedelta(days=days)] if days else mailings

    def code(self, *, picture: str, sequence: int, days: int) -> str:
        """Return the call that gives the same."""
        lines = [f"mailings = {self.table('mailings')}", f"sequences = {self.table('sequences')}"]
        if days:
            since = (self._end - pd.Timedelta(days=days)).isoformat()
            lines.append(f'mailings = mailings[mailings["delivered_at"] >= pd.Timestamp("{since}")]')
        if picture == "rates":
            return "\n".join([*lines, "of.plots.plot_rates(of.stats.sequence_engagement(mailings, sequences))"])
        lines.append(f'mailings = mailings[mailings["sequence_id"] == {sequence}]')
        if picture == "outcomes":
            lines.append("of.plots.plot_incidence(of.stats.cumulative_incidence(of.stats.time_to_event(mailings)))")
        else:
            lines += [
                f"steps = {self.table('sequence_steps')}",
                f'funnel = of.stats.step_funnel(mailings, steps[steps["sequence_id"] == {sequence}])',
                'of.plots.plot_step_funnel(funnel, names=sequences.set_index("id")["name"].to_dict())',
            ]
        return "\n".join(lines)


def _end(mailings: pd.DataFrame) -> pd.Timestamp:
    """Return when mailings were extracted, else when the last one was delivered; with a zone if their instants have."""
    record: dict[str, Any] = mailings.attrs.get("outreach_frames", {})
    last = pd.Timestamp(mailings["delivered_at"].max())
    end = pd.Timestamp(record.get("as_of") or last)
    return end.tz_localize(None) if last.tz is None else end
