"""One sequence at a time: its steps, its outcomes, and where it stands among the others."""

from collections.abc import Mapping
from typing import Any, ClassVar

import ipywidgets as w
import pandas as pd

from outreach_frames import plots, stats
from outreach_frames._format import day
from outreach_frames.widgets._explorer import (
    Explorer,
    Shown,
    buttons,
    disable_when,
    dropdown,
    dropdown_options,
    group_by_id,
)

PERIOD_CHOICES = [("at any time", 0), *((f"in the last {days} days", days) for days in (30, 90, 180))]

SENT = ("delivered_at", "bounced_at", "replied_at")
"""A mailing was sent at the first of these that is known, as in the statistics."""


class SequenceExplorer(Explorer):
    """
    Pick a sequence and a period; see its steps, its outcomes over time, or all sequences side by side.

    A period chooses the enrollments whose first mail was sent in it, with all their mail.

    Parameters
    ----------
    source
        A snapshot, frames by name, or a client: mailings, sequences, sequence steps.

    Examples
    --------
    >>> explorer = of.widgets.SequenceExplorer(snapshot)
    >>> list(explorer.state)
    ['picture', 'sequence', 'days']
    >>> print(explorer.view(**explorer.state).figure.outreach_alt.split(" for ")[0])
    Reply rate by step and enrollments at risk
    """

    HEIGHT = 560
    TABLES: ClassVar = {
        "mailings": ("sequence_id", "sequence_state_id", *SENT),
        "sequences": ("id", "name"),
        "sequence_steps": ("sequence_id",),
    }

    def prepare(self, tables: dict[str, pd.DataFrame]) -> Mapping[str, w.ValueWidget]:
        """Part the mailings by sequence, compare all sequences in each period, and return the controls."""
        sequences, self._steps = tables["sequences"], tables["sequence_steps"]
        mailings = tables["mailings"].assign(begun_at=_begun(tables["mailings"]))
        self._end = _end(mailings)
        self._none = mailings.head(0)
        self._parts = group_by_id(mailings, "sequence_id")
        self._compared = {
            days: stats.sequence_engagement(self._recent(mailings, days), sequences=sequences)
            for _, days in PERIOD_CHOICES
        }
        named = dropdown_options(sequences.set_index("id")["name"].sort_values())
        self._names = {number: label.rsplit(" (", 1)[0] for label, number in named}
        delivered = {number: rows["delivered_at"].count() for number, rows in self._parts.items()}
        busiest = max(self._names, key=lambda number: delivered.get(number, 0), default=None)
        picture = buttons([("Steps", "steps"), ("Outcomes", "outcomes"), ("All sequences", "rates")])
        sequence = dropdown("Sequence", named or [("none", 0)], busiest)
        disable_when(sequence, other=picture, value="rates")
        return {"picture": picture, "sequence": sequence, "days": dropdown("Begun", PERIOD_CHOICES)}

    def view(self, *, picture: str, sequence: int, days: int) -> Shown:
        """Return the picture for a sequence [id] and a period [days before the extraction; 0: all]."""
        if sequence not in self._names:
            return "There are no sequences."
        period = self._period(days)
        if picture == "rates":
            return plots.plot_rates(self._compared[days], period=period)
        mailings = self._recent(self._parts.get(sequence, self._none), days)
        if not mailings["delivered_at"].notna().any():
            return f"“{self._names[sequence]}” delivered no mail{f' to {period}' if period else ''}."
        if picture == "outcomes":
            incidence = stats.cumulative_incidence(stats.time_to_event(mailings, by="sequence_id"), by="sequence_id")
            return plots.plot_cumulative_incidence(incidence, names=self._names, period=period)
        steps = self._steps[self._steps["sequence_id"] == sequence]
        return plots.plot_step_funnel(
            stats.step_funnel(mailings, sequence_steps=steps), names=self._names, period=period
        )

    def _recent(self, mailings: pd.DataFrame, days: int) -> pd.DataFrame:
        return mailings[mailings["begun_at"] >= self._since(days)] if days else mailings

    def _since(self, days: int) -> pd.Timestamp:
        return self._end - pd.Timedelta(days=days)

    def _period(self, days: int) -> str | None:
        return f"enrollments begun since {day(self._since(days))}" if days else None

    def code(self, *, picture: str, sequence: int, days: int) -> str:
        """Return the call that gives the same."""
        lines = [f"mailings = {self.table('mailings')}", f"sequences = {self.table('sequences')}"]
        if days:
            lines += [
                'sent = mailings["delivered_at"].fillna(mailings["bounced_at"]).fillna(mailings["replied_at"])',
                'begun = sent.groupby(mailings["sequence_state_id"]).transform("min")',
                f'mailings = mailings[begun >= pd.Timestamp("{self._since(days).isoformat()}")]',
            ]
        argument = f", period={self._period(days)!r}" if days else ""
        if picture == "rates":
            return "\n".join(
                [*lines, f"of.plots.plot_rates(of.stats.sequence_engagement(mailings, sequences=sequences){argument})"]
            )
        lines += [
            'names = sequences.set_index("id")["name"].to_dict()',
            f'mailings = mailings[mailings["sequence_id"] == {sequence}]',
        ]
        if picture == "outcomes":
            lines += [
                'durations = of.stats.time_to_event(mailings, by="sequence_id")',
                'incidence = of.stats.cumulative_incidence(durations, by="sequence_id")',
                f"of.plots.plot_cumulative_incidence(incidence, names=names{argument})",
            ]
        else:
            lines += [
                f"steps = {self.table('sequence_steps')}",
                f'funnel = of.stats.step_funnel(mailings, sequence_steps=steps[steps["sequence_id"] == {sequence}])',
                f"of.plots.plot_step_funnel(funnel, names=names{argument})",
            ]
        return "\n".join(lines)


def _begun(mailings: pd.DataFrame) -> "pd.Series[Any]":
    """Return when the first mail of each mailing's enrollment was sent; missing for one-off and unsent mail."""
    first, *others = SENT
    sent = mailings[first]
    for column in others:
        sent = sent.fillna(mailings[column])
    begun: pd.Series[Any] = sent.groupby(mailings["sequence_state_id"]).transform("min")
    return begun


def _end(mailings: pd.DataFrame) -> pd.Timestamp:
    """Return when mailings were extracted, else when the last one was delivered; with a zone if their instants have."""
    record: dict[str, Any] = mailings.attrs.get("outreach_frames", {})
    last = pd.Timestamp(mailings["delivered_at"].max())
    end = pd.Timestamp(record.get("as_of") or last)
    return end.tz_localize(None) if last.tz is None else end
