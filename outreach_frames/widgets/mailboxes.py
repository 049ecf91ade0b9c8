"""Whether a mailbox is in trouble: its weeks against its own past, and the health of all."""

from collections.abc import Mapping
from typing import ClassVar

import ipywidgets as w
import pandas as pd

from outreach_frames import plots, stats
from outreach_frames.display import show
from outreach_frames.widgets._explorer import (
    Explorer,
    Shown,
    buttons,
    disable_when,
    dropdown,
    dropdown_options,
    group_by_id,
)

MAILBOX_RATES = [
    ("bounces", "bounce_rate"),
    ("failures", "failure_rate"),
    ("spam", "spam_rate"),
    ("opt-outs", "opt_out_rate"),
]
HEALTH = ("email", "send_ok", "sync_ok", "last_send_at", "blind_since", "sent_while_blind", "reasons")


class MailboxWatch(Explorer):
    """
    Pick a mailbox and a rate; see its weeks with their limits, or the health of all mailboxes.

    Parameters
    ----------
    source
        A snapshot, frames by name, or a client: mailings, mailboxes.

    Examples
    --------
    >>> watch = of.widgets.MailboxWatch({"mailings": mailings, "mailboxes": mailboxes})
    >>> watch.state
    {'look': 'weeks', 'mailbox': 3, 'rate': 'bounce_rate'}
    """

    HEIGHT = 380
    TABLES: ClassVar = {"mailings": ("mailbox_id", "delivered_at"), "mailboxes": ("id", "email")}

    def prepare(self, tables: dict[str, pd.DataFrame]) -> Mapping[str, w.ValueWidget]:
        """Count by mailbox and week and return the controls; mailboxes with most alerts come first."""
        mailings, mailboxes = tables["mailings"], tables["mailboxes"]
        self._health = stats.mailbox_health(mailings, mailboxes=mailboxes)
        self._weeks = group_by_id(stats.deliverability(mailings, mailboxes=mailboxes), "mailbox_id")
        addresses = mailboxes.set_index("id")["email"]
        self._names = addresses.to_dict()
        alerts = {number: rows["alert"].isin(["act", "watch"]).sum() for number, rows in self._weeks.items()}
        listed = sorted(dropdown_options(addresses), key=lambda option: (-alerts.get(option[1], 0), option[0]))
        look = buttons([("Weeks", "weeks"), ("Health of all", "health")])
        mailbox = dropdown("Mailbox", listed or [("none", 0)])
        rate = buttons(MAILBOX_RATES)
        for control in (mailbox, rate):
            disable_when(control, other=look, value="health")
        return {"look": look, "mailbox": mailbox, "rate": rate}

    def view(self, *, look: str, mailbox: int, rate: str) -> Shown:
        """Return the weeks of a mailbox [id] by a rate's column, or the health of all mailboxes."""
        if not mailbox:
            return "There are no mailboxes."
        if look == "health":
            return show(self._health, columns=list(HEALTH))
        if mailbox not in self._weeks:
            return "This mailbox sent no mail."
        return plots.plot_deliverability(self._weeks[mailbox], rate, names=self._names)

    def code(self, *, look: str, mailbox: int, rate: str) -> str:
        """Return the call that gives the same."""
        lines = [f"mailings, mailboxes = {self.table('mailings')}, {self.table('mailboxes')}"]
        if look == "health":
            lines.append(f"of.show(of.stats.mailbox_health(mailings, mailboxes=mailboxes), columns={list(HEALTH)})")
        else:
            lines += [
                "weeks = of.stats.deliverability(mailings, mailboxes=mailboxes)",
                'names = mailboxes.set_index("id")["email"].to_dict()',
                f'of.plots.plot_deliverability(weeks[weeks["mailbox_id"] == {mailbox}], "{rate}", names=names)',
            ]
        return "\n".join(lines)
