"""How a headline moves with its definition: the best guard against arguing about numbers."""

import ipywidgets as w
import pandas as pd

from outreach_frames import stats
from outreach_frames.showing import show
from outreach_frames.widgets._explorer import Explorer, Shown, Source, choice, frames_of

AUTOMATIC_REPLY = pd.Timedelta(minutes=5)
"""A paused enrolment answered faster than this was answered by a machine, most likely out of office."""


class DefinitionSwitch(Explorer):
    """
    Switch definitions one by one and see each rate beside its usual value.

    Parameters
    ----------
    source
        A snapshot, frames by name, or a client: mailings, sequence states.

    Raises
    ------
    OutreachError
        A table is missing.
    """

    def __init__(self, source: Source) -> None:
        tables = frames_of(source, ["mailings", "sequence_states"])
        self._mailings = tables["mailings"]
        states = tables["sequence_states"]
        paused = self._mailings["sequence_state_id"].isin(states["id"][states["state"] == "paused"])
        fast = self._mailings["replied_at"] - self._mailings["delivered_at"] < AUTOMATIC_REPLY
        self._automatic = (paused & fast).fillna(value=False)
        self._usual = stats.engagement(self._mailings)
        controls = {
            "bounce_policy": choice(
                "A bounce that was answered", [("arrived", "reply_wins"), ("bounced", "bounce_wins")]
            ),
            "one_off": w.Checkbox(value=False, description="count one-off mail", indent=False),
            "automatic": w.Checkbox(value=True, description="count automatic replies", indent=False),
            "untracked": w.Checkbox(value=False, description="count untracked mail as unopened", indent=False),
        }
        controls["bounce_policy"].style.description_width = "initial"
        super().__init__(controls, height=330)

    def view(self, *, bounce_policy: str, one_off: bool, automatic: bool, untracked: bool) -> Shown:
        """Return the rates under the definitions chosen, beside the usual ones."""
        mailings = self._mailings
        if not automatic:
            mailings = mailings.assign(replied_at=mailings["replied_at"].mask(self._automatic))
        if untracked:
            mailings = mailings.assign(track_opens=pd.array([True] * len(mailings), dtype="bool[pyarrow]"))
        chosen = stats.engagement(mailings, bounce_policy=bounce_policy, include_unsequenced=one_off)
        rates = [
            "enrolment_reply_rate",
            "prospect_reply_rate",
            "reply_rate",
            "bounce_rate",
            "opt_out_rate",
            "open_rate",
        ]
        rows = [
            {
                "rate": name.replace("_", " "),
                "as chosen": f"{chosen[name].iloc[0]:.2%}" if pd.notna(chosen[name].iloc[0]) else None,
                "of": chosen[f"{name}_n"].iloc[0],
                "usually": f"{self._usual[name].iloc[0]:.2%}" if pd.notna(self._usual[name].iloc[0]) else None,
                "usually of": self._usual[f"{name}_n"].iloc[0],
            }
            for name in rates
        ]
        return show(pd.DataFrame(rows))

    def code(self, *, bounce_policy: str, one_off: bool, automatic: bool, untracked: bool) -> str:
        """Return the call that gives the same."""
        lines = ['mailings = snapshot.frame("mailings")']
        if not automatic:
            lines += [
                'paused = snapshot.frame("sequence_states").query("state == \'paused\'")["id"]',
                'fast = mailings["replied_at"] - mailings["delivered_at"] < pd.Timedelta(minutes=5)',
                'automatic = (fast & mailings["sequence_state_id"].isin(paused)).fillna(False)',
                'mailings = mailings.assign(replied_at=mailings["replied_at"].mask(automatic))',
            ]
        if untracked:
            lines.append("mailings = mailings.assign(track_opens=True)")
        lines.append(f'of.stats.engagement(mailings, bounce_policy="{bounce_policy}", include_unsequenced={one_off})')
        return "\n".join(lines)
