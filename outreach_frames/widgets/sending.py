"""Explorers of sending: the weeks of a mailbox, and the hours at which mail is answered."""

from collections.abc import Mapping
from typing import ClassVar

import ipywidgets as w
import pandas as pd

from outreach_frames import plots, stats
from outreach_frames.display import show
from outreach_frames.widgets._explorer import (
    Explorer,
    View,
    buttons,
    disable_when,
    dropdown,
    dropdown_options,
    group_by_id,
)

_RATE_CHOICES = [
    ("bounces", "bounce_rate"),
    ("failures", "failure_rate"),
    ("spam", "spam_rate"),
    ("opt-outs", "opt_out_rate"),
]
_HEALTH = ("email", "send_ok", "sync_ok", "last_send_at", "blind_since", "sent_while_blind", "reasons")


class MailboxExplorer(Explorer):
    """
    Pick a mailbox and a rate; see its weeks with their limits, or the health of all mailboxes.

    Parameters
    ----------
    source
        A snapshot, frames by name, or a client: mailings, mailboxes.
    since, until, period, tz
        Which mail counts, as in the statistics: at or after ``since`` and before ``until``, or in a ``period`` such as
        ``"last_quarter"`` or ``"90d"``; ``tz`` is the IANA zone of days and months.

    Examples
    --------
    >>> explorer = of.widgets.MailboxExplorer({"mailings": mailings, "mailboxes": mailboxes})
    >>> explorer.state
    {'look': 'weeks', 'mailbox': 3, 'rate': 'bounce_rate'}
    """

    HEIGHT = 380
    TABLES: ClassVar = {"mailings": ("mailbox_id", "delivered_at"), "mailboxes": ("id", "email")}

    def prepare(self, tables: dict[str, pd.DataFrame]) -> Mapping[str, w.ValueWidget]:
        """Count by mailbox and week and return the controls; mailboxes with most alerts come first."""
        mailings, mailboxes = tables["mailings"], tables["mailboxes"]
        self._health = stats.mailbox_health(mailings, mailboxes=mailboxes)
        self._weeks = group_by_id(stats.deliverability(mailings, mailboxes=mailboxes, **self.within), "mailbox_id")
        addresses = mailboxes.set_index("id")["email"]
        self._names = addresses.to_dict()
        alerts = {number: rows["alert"].isin(["act", "watch"]).sum() for number, rows in self._weeks.items()}
        listed = sorted(dropdown_options(addresses), key=lambda option: (-alerts.get(option[1], 0), option[0]))
        look = buttons([("Weeks", "weeks"), ("Health of all", "health")])
        mailbox = dropdown("Mailbox", listed or [("none", 0)])
        rate = buttons(_RATE_CHOICES)
        for control in (mailbox, rate):
            disable_when(control, other=look, value="health")
        return {"look": look, "mailbox": mailbox, "rate": rate}

    def view(self, *, look: str, mailbox: int, rate: str) -> View:
        """Return the weeks of a mailbox [id] by a rate's column, or the health of all mailboxes."""
        if not mailbox:
            return "There are no mailboxes."
        if look == "health":
            return show(self._health, columns=list(_HEALTH))
        if mailbox not in self._weeks:
            return "This mailbox sent no mail."
        return plots.plot_deliverability(self._weeks[mailbox], rate, names=self._names)

    def code(self, *, look: str, mailbox: int, rate: str) -> str:
        """Return the call that gives the same."""
        lines = [f"mailings, mailboxes = {self.table('mailings')}, {self.table('mailboxes')}"]
        if look == "health":
            lines.append(f"of.show(of.stats.mailbox_health(mailings, mailboxes=mailboxes), columns={list(_HEALTH)})")
        else:
            lines += [
                f"weeks = of.stats.deliverability(mailings, mailboxes=mailboxes{self.period_code})",
                'names = mailboxes.set_index("id")["email"].to_dict()',
                f'of.plots.plot_deliverability(weeks[weeks["mailbox_id"] == {mailbox}], "{rate}", names=names)',
            ]
        return "\n".join(lines)


class SendTimeExplorer(Explorer):
    """
    Pick a clock and the least mail of an hour; see at which hours of the week mail is answered.

    Parameters
    ----------
    source
        A snapshot, frames by name, or a client: mailings, prospects.
    since, until, period
        Which mail counts, as in the statistics: at or after ``since`` and before ``until``, or in a ``period`` such as
        ``"last_quarter"`` or ``"90d"``.
    tz
        IANA zone of the organization: its clock, that of the period, and that of prospects whose zone is not known.

    Raises
    ------
    DataError
        The source is none of these, or there is no such period.

    Examples
    --------
    >>> explorer = of.widgets.SendTimeExplorer(snapshot, tz="Europe/Berlin")
    >>> explorer.state
    {'clock': 'prospect', 'least': 30}
    """

    HEIGHT = 530
    TABLES: ClassVar = {"mailings": ("prospect_id", "delivered_at"), "prospects": ("id",)}

    def prepare(self, tables: dict[str, pd.DataFrame]) -> Mapping[str, w.ValueWidget]:
        """Count by each clock and return the controls."""
        mailings, prospects = tables["mailings"], tables["prospects"]
        self._heatmaps = {
            clock: stats.send_time_heatmap(
                mailings, prospects=prospects, clock=clock, default_tz=self._tz, **self.within
            )
            for clock in ("prospect", "org")
        }
        slider = w.IntSlider(
            value=30,
            min=10,
            max=200,
            step=10,
            description="Least mail of an hour",
            continuous_update=False,
            style={"description_width": "initial"},
        )
        return {"clock": buttons([("recipient's clock", "prospect"), (self._tz, "org")]), "least": slider}

    def view(self, *, clock: str, least: int) -> View:
        """Return the picture by a clock, ``"prospect"`` or ``"org"``, for so much mail in an hour [mailings]."""
        heatmap = self._heatmaps[clock]
        if not heatmap["delivered"].sum():
            return "No mail was delivered, so there are no hours to compare."
        return plots.plot_send_time_heatmap(heatmap, min_n=least)

    def code(self, *, clock: str, least: int) -> str:
        """Return the call that gives the same."""
        return "\n".join(
            [
                f"mailings, prospects = {self.table('mailings')}, {self.table('prospects')}",
                "heatmap = of.stats.send_time_heatmap(",
                f'    mailings, prospects=prospects, clock="{clock}", default_tz="{self._tz}"{self.period_code}',
                ")",
                f"of.plots.plot_send_time_heatmap(heatmap, min_n={least})",
            ]
        )
