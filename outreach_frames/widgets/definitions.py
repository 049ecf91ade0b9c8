"""How a headline moves with its definition: the best guard against arguing about numbers."""

from collections.abc import Mapping
from typing import ClassVar

import ipywidgets as w
import pandas as pd

from outreach_frames import stats
from outreach_frames.display import show
from outreach_frames.widgets._explorer import Explorer, Shown, buttons

_RATES = ("enrollment_reply_rate", "prospect_reply_rate", "reply_rate", "bounce_rate", "opt_out_rate", "open_rate")


class DefinitionSwitch(Explorer):
    """
    Switch definitions one by one and see each rate beside its usual value.

    Parameters
    ----------
    source
        A snapshot, frames by name, or a client: mailings, sequence states.

    Examples
    --------
    >>> switch = of.widgets.DefinitionSwitch(snapshot)
    >>> switch.state
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
        self._usual = stats.engagement(mailings)
        bounced = [("answered bounces arrived", "reply_wins"), ("answered bounces bounced", "bounce_wins")]
        return {
            "bounce_policy": buttons(bounced),
            "one_off": _checkbox("count one-off mail", value=True),
            "automatic": _checkbox("count automatic replies", value=True),
            "untracked": _checkbox("count untracked mail as unopened", value=False),
        }

    def view(self, *, bounce_policy: str, one_off: bool, automatic: bool, untracked: bool) -> Shown:
        """Return the rates under the definitions chosen, with interval and denominator, beside the usual ones."""
        mailings = self._chosen[one_off, automatic]
        if untracked:
            mailings = mailings.assign(track_opens=True)
        chosen = stats.engagement(mailings, bounce_policy=bounce_policy)
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
        lines.append(f'of.show(of.stats.engagement(mailings, bounce_policy="{bounce_policy}"), columns={list(_RATES)})')
        return "\n".join(lines)


def _checkbox(description: str, *, value: bool) -> w.Checkbox:
    return w.Checkbox(value=value, description=description, indent=False, layout=w.Layout(width="auto"))


def _compared(rate: str, chosen: "pd.Series[float]", usual: "pd.Series[float]") -> dict[str, object]:
    row: dict[str, object] = {"rate": rate.replace("_", " ")}
    for name, rates in (("as chosen", chosen), ("usually", usual)):
        row |= {f"{name}{part}": rates[f"{rate}{part}"] for part in ("", "_n", "_lo", "_hi")}
    return row | {"difference": chosen[rate] - usual[rate]}
