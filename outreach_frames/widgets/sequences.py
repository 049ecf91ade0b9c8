"""Explorers of sequences: one beside the others, and rates under other definitions."""

from collections.abc import Mapping
from typing import Any, ClassVar

import ipywidgets as w
import pandas as pd

from outreach_frames import plots, stats
from outreach_frames._format import day
from outreach_frames.display import show
from outreach_frames.widgets._explorer import (
    Explorer,
    View,
    buttons,
    disable_when,
    dropdown,
    dropdown_options,
    end_of,
    group_by_id,
)

_PERIOD_CHOICES = [("at any time", 0), *((f"in the last {days} days", days) for days in (30, 90, 180))]

_SENT = ("delivered_at", "bounced_at", "replied_at")
"""A mailing was sent at the first of these that is known, as in the statistics."""


class SequenceExplorer(Explorer):
    """
    Pick a sequence and a period; see its steps, its outcomes over time, or all sequences side by side.

    A period chooses the enrollments whose first mail was sent in it, with all their mail.

    Parameters
    ----------
    source
        A snapshot, frames by name, or a client: mailings, sequences, sequence steps.
    since, until, period, tz
        Which mail counts, as in the statistics: at or after ``since`` and before ``until``, or in a ``period`` such as
        ``"last_quarter"`` or ``"90d"``; ``tz`` is the IANA zone of days and months.

    Examples
    --------
    >>> explorer = of.widgets.SequenceExplorer(snapshot)
    >>> list(explorer.state)
    ['picture', 'sequence', 'days']
    >>> print(explorer.view(**explorer.state).figure.outreach_alt.split(" for ")[0])
    Reply rate by step and open enrollments
    """

    HEIGHT = 560
    TABLES: ClassVar = {
        "mailings": ("sequence_id", "sequence_state_id", *_SENT),
        "sequences": ("id", "name"),
        "sequence_steps": ("sequence_id",),
    }

    def prepare(self, tables: dict[str, pd.DataFrame]) -> Mapping[str, w.ValueWidget]:
        """Split the mailings by sequence, compare all sequences in each period, and return the controls."""
        sequences, self._steps = tables["sequences"], tables["sequence_steps"]
        mailings = tables["mailings"].assign(begun_at=_begun(tables["mailings"]))
        self._end = end_of(mailings)
        self._none = mailings.head(0)
        choices = [("in the period", 0)] if self.within else _PERIOD_CHOICES
        self._parts = group_by_id(mailings, "sequence_id")
        self._compared = {
            days: stats.sequence_engagement(self._recent(mailings, days), sequences=sequences, **self.within)
            for _, days in choices
        }
        named = dropdown_options(sequences.set_index("id")["name"].sort_values())
        self._names = {number: label.rsplit(" (", 1)[0] for label, number in named}
        delivered = {number: rows["delivered_at"].count() for number, rows in self._parts.items()}
        busiest = max(self._names, key=lambda number: delivered.get(number, 0), default=None)
        picture = buttons([("Steps", "steps"), ("Outcomes", "outcomes"), ("All sequences", "rates")])
        sequence = dropdown("Sequence", named or [("none", 0)], busiest)
        disable_when(sequence, other=picture, value="rates")
        return {"picture": picture, "sequence": sequence, "days": dropdown("Begun", choices)}

    def view(self, *, picture: str, sequence: int, days: int) -> View:
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
            durations = stats.time_to_event(mailings, by="sequence_id", **self.within)
            incidence = stats.cumulative_incidence(durations, by="sequence_id")
            begun = period or self._begun_within()
            return plots.plot_cumulative_incidence(incidence, names=self._names, period=begun)
        steps = self._steps[self._steps["sequence_id"] == sequence]
        return plots.plot_step_funnel(
            stats.step_funnel(mailings, sequence_steps=steps, **self.within), names=self._names, period=period
        )

    def _recent(self, mailings: pd.DataFrame, days: int) -> pd.DataFrame:
        return mailings[mailings["begun_at"] >= self._since(days)] if days else mailings

    def _since(self, days: int) -> pd.Timestamp:
        return self._end - pd.Timedelta(days=days)

    def _period(self, days: int) -> str | None:
        return f"enrollments begun since {day(self._since(days))}" if days else None

    def _begun_within(self) -> str | None:
        """Say the period in words for curves, which do not know that of the durations that they are made of."""
        noted = self._compared[0].attrs["outreach_frames"]["parameters"] if self.within else {}
        ends = [
            f"{word} {day(noted[name])}" for name, word in (("since", "since"), ("until", "before")) if noted.get(name)
        ]
        return f"enrollments begun {' and '.join(ends)}" if ends else None

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
            rates = f"of.stats.sequence_engagement(mailings, sequences=sequences{self.period_code})"
            return "\n".join([*lines, f"of.plots.plot_rates({rates}{argument})"])
        lines += [
            'names = sequences.set_index("id")["name"].to_dict()',
            f'mailings = mailings[mailings["sequence_id"] == {sequence}]',
        ]
        if picture == "outcomes":
            begun = self._period(days) or self._begun_within()
            argument = f", period={begun!r}" if begun else ""
            lines += [
                f'durations = of.stats.time_to_event(mailings, by="sequence_id"{self.period_code})',
                'incidence = of.stats.cumulative_incidence(durations, by="sequence_id")',
                f"of.plots.plot_cumulative_incidence(incidence, names=names{argument})",
            ]
        else:
            lines += [
                f"steps = {self.table('sequence_steps')}",
                f'steps = steps[steps["sequence_id"] == {sequence}]',
                f"funnel = of.stats.step_funnel(mailings, sequence_steps=steps{self.period_code})",
                f"of.plots.plot_step_funnel(funnel, names=names{argument})",
            ]
        return "\n".join(lines)


def _begun(mailings: pd.DataFrame) -> "pd.Series[Any]":
    """Return when the first mail of each mailing's enrollment was sent; missing for one-off and unsent mail."""
    first, *others = _SENT
    sent = mailings[first]
    for column in others:
        sent = sent.fillna(mailings[column])
    begun: pd.Series[Any] = sent.groupby(mailings["sequence_state_id"]).transform("min")
    return begun


_RATES = ("enrollment_reply_rate", "prospect_reply_rate", "reply_rate", "bounce_rate", "opt_out_rate", "open_rate")


class DefinitionExplorer(Explorer):
    """
    Switch definitions one by one and see each rate beside its usual value.

    Parameters
    ----------
    source
        A snapshot, frames by name, or a client: mailings, sequence states.
    since, until, period, tz
        Which mail counts, as in the statistics: at or after ``since`` and before ``until``, or in a ``period`` such as
        ``"last_quarter"`` or ``"90d"``; ``tz`` is the IANA zone of days and months.

    Examples
    --------
    >>> explorer = of.widgets.DefinitionExplorer(snapshot)
    >>> explorer.state
    {'bounce_policy': 'reply_wins', 'one_off': True, 'automatic': True, 'untracked': False}
    """

    HEIGHT = 380
    TABLES: ClassVar = {
        "mailings": ("sequence_state_id", "sequence_id", "delivered_at", "replied_at"),
        "sequence_states": ("id", "state"),
    }

    def prepare(self, tables: dict[str, pd.DataFrame]) -> Mapping[str, w.ValueWidget]:
        """Make the choices of mailings, count the usual way and return the controls."""
        mailings, states = tables["mailings"], tables["sequence_states"]
        automatic = stats.automatic_replies(mailings, sequence_states=states)["mailing_id"]
        people = mailings.assign(replied_at=mailings["replied_at"].mask(mailings["id"].isin(automatic)))
        sequenced = mailings["sequence_id"].notna()
        self._chosen = {
            (one_off, counted): frame if one_off else frame[sequenced]
            for one_off in (True, False)
            for counted, frame in ((True, mailings), (False, people))
        }
        self._usual = stats.engagement(mailings, **self.within)
        bounced = [("answered bounces arrived", "reply_wins"), ("answered bounces bounced", "bounce_wins")]
        return {
            "bounce_policy": buttons(bounced),
            "one_off": _checkbox("count one-off mail", value=True),
            "automatic": _checkbox("count automatic replies", value=True),
            "untracked": _checkbox("count untracked mail as unopened", value=False),
        }

    def view(self, *, bounce_policy: str, one_off: bool, automatic: bool, untracked: bool) -> View:
        """Return the rates under the definitions chosen, with interval and denominator, beside the usual ones."""
        mailings = self._chosen[one_off, automatic]
        if untracked:
            mailings = mailings.assign(track_opens=True)
        chosen = stats.engagement(mailings, bounce_policy=bounce_policy, **self.within)
        if not chosen["sent"].iloc[0]:
            return "No mail was sent, so there are no rates."
        return show(pd.DataFrame([_compared(rate, chosen.iloc[0], self._usual.iloc[0]) for rate in _RATES]))

    def code(self, *, bounce_policy: str, one_off: bool, automatic: bool, untracked: bool) -> str:
        """Return the call that gives the rates as chosen."""
        lines = [f"mailings = {self.table('mailings')}"]
        if not one_off:
            lines.append('mailings = mailings.dropna(subset=["sequence_id"])')
        if not automatic:
            lines += [
                f"states = {self.table('sequence_states')}",
                'automatic = of.stats.automatic_replies(mailings, sequence_states=states)["mailing_id"]',
                'mailings = mailings.assign(replied_at=mailings["replied_at"].mask(mailings["id"].isin(automatic)))',
            ]
        if untracked:
            lines.append("mailings = mailings.assign(track_opens=True)")
        rates = f'of.stats.engagement(mailings, bounce_policy="{bounce_policy}"{self.period_code})'
        lines.append(f"of.show({rates}, columns={list(_RATES)})")
        return "\n".join(lines)


def _checkbox(description: str, *, value: bool) -> w.Checkbox:
    return w.Checkbox(value=value, description=description, indent=False, layout=w.Layout(width="auto"))


def _compared(rate: str, chosen: "pd.Series[float]", usual: "pd.Series[float]") -> dict[str, object]:
    row: dict[str, object] = {"rate": rate.replace("_", " ")}
    for name, rates in (("as chosen", chosen), ("usually", usual)):
        row |= {f"{name}{part}": rates[f"{rate}{part}"] for part in ("", "_n", "_lo", "_hi")}
    return row | {"difference": chosen[rate] - usual[rate]}
