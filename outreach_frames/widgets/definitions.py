"""How a headline moves with its definition: the best guard against arguing about numbers."""

from collections.abc import Mapping
from typing import ClassVar

import ipywidgets as w
import pandas as pd

from outreach_frames import stats
from outreach_frames.showing import show
from outreach_frames.widgets._explorer import Explorer, Shown, choice

AUTOMATIC_REPLY = pd.Timedelta(minutes=5)
"""A paused enrolment answered faster than this was answered by a machine, most likely out of office."""
RATES = ("enrolment_reply_rate", "prospect_reply_rate", "reply_rate", "bounce_rate", "opt_out_rate", "open_rate")


class DefinitionSwitch(Explorer):
    """
    Switch definitions one by one and see each rate beside its usual value.

    Parameters
    ----------
    source
        A snapshot, frames by name, or a client: mailings, sequence states.
    """

    HEIGHT = 280
    TABLES: ClassVar = {
        "mailings": ("sequence_state_id", "sequence_id", "delivered_at", "replied_at"),
        "sequence_states": ("id", "state"),
    }

    def prepare(self, tables: dict[str, pd.DataFrame]) -> Mapping[str, w.ValueWidget]:
        """Keep the mailings, mark the automatic replies and return the controls."""
        self._mailings, states = tables["mailings"], tables["sequence_states"]
        paused = self._mailings["sequence_state_id"].isin(states["id"][states["state"] == "paused"])
        fast = self._mailings["replied_at"] - self._mailings["delivered_at"] < AUTOMATIC_REPLY
        self._automatic = (paused & fast).fillna(value=False)
        self._usual = stats.engagement(self._mailings)
        bounced = [("arrived", "reply_wins"), ("bounced", "bounce_wins")]
        return {
            "bounce_policy": choice("Answered bounce:", bounced),
            "one_off": _checkbox("count one-off mail", value=True),
            "automatic": _checkbox("count automatic replies", value=True),
            "untracked": _checkbox("count untracked mail as unopened", value=False),
        }

    def view(self, *, bounce_policy: str, one_off: bool, automatic: bool, untracked: bool) -> Shown:
        """Return the rates under the definitions chosen, with interval and denominator, beside the usual ones."""
        mailings = self._mailings if one_off else self._mailings.dropna(subset=["sequence_id"])
        if not automatic:
            mailings = mailings.assign(replied_at=mailings["replied_at"].mask(self._automatic))
        if untracked:
            mailings = mailings.assign(track_opens=True)
        chosen = stats.engagement(mailings, bounce_policy=bounce_policy)
        if not chosen["sent"].iloc[0]:
            return "No mail was sent, so there are no rates."
        return show(pd.DataFrame([_compared(rate, chosen.iloc[0], self._usual.iloc[0]) for rate in RATES]))

    def code(self, *, bounce_policy: str, one_off: bool, automatic: bool, untracked: bool) -> str:
        """Return the call that gives the rates as chosen."""
        lines = [f"mailings = {self.table('mailings')}"]
        if not one_off:
            lines.append('mailings = mailings.dropna(subset=["sequence_id"])')
        if not automatic:
            lines += [
                f"states = {self.table('sequence_states')}",
                'paused = mailings["sequence_state_id"].isin(states["id"][states["state"] == "paused"])',
                'fast = mailings["replied_at"] - mailings["delivered_at"] < pd.Timedelta(minutes=5)',
                "automatic = (paused & fast).fillna(False)",
                'mailings = mailings.assign(replied_at=mailings["replied_at"].mask(automatic))',
            ]
        if untracked:
            lines.append("mailings = mailings.assign(track_opens=True)")
        lines.append(f'of.show(of.stats.engagement(mailings, bounce_policy="{bounce_policy}"), columns={list(RATES)})')
        return "\n".join(lines)


def _checkbox(description: str, *, value: bool) -> w.Checkbox:
    return w.Checkbox(value=value, description=description, indent=False, layout=w.Layout(width="auto"))


def _compared(rate: str, chosen: "pd.Series[float]", usual: "pd.Series[float]") -> dict[str, object]:
    change = 100 * (chosen[rate] - usual[rate]) if pd.notna(chosen[rate]) and pd.notna(usual[rate]) else None
    return {
        "rate": rate.replace("_", " "),
        "as chosen": chosen[rate],
        "as chosen_lo": chosen[f"{rate}_lo"],
        "as chosen_hi": chosen[f"{rate}_hi"],
        "of": int(chosen[f"{rate}_n"]),
        "usually": f"{usual[rate]:.1%}" if pd.notna(usual[rate]) else None,
        "usually of": int(usual[f"{rate}_n"]),
        "change [points]": None if change is None else _signed(change),
    }


def _signed(points: float) -> str:
    rounded = round(points, 2)
    return f"{rounded:+.2f}".replace("-", "−") if rounded else "0"
