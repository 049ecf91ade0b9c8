"""When mail is answered: whose clock, and how much mail an hour needs before its rate is read."""

from collections.abc import Mapping
from typing import ClassVar

import ipywidgets as w
import pandas as pd

from outreach_frames import plots, stats
from outreach_frames.widgets._explorer import Explorer, Shown, TableSource, buttons


class SendTimePicker(Explorer):
    """
    Pick a clock and the least mail of an hour; see at which hours of the week mail is answered.

    Parameters
    ----------
    source
        A snapshot, frames by name, or a client: mailings, prospects.
    tz
        IANA zone of the organization: its clock, and that of prospects whose zone is not known.

    Raises
    ------
    DataError
        The source is none of these.

    Examples
    --------
    >>> picker = of.widgets.SendTimePicker(snapshot, tz="Europe/Berlin")
    >>> picker.state
    {'clock': 'prospect', 'least': 30}
    """

    HEIGHT = 530
    TABLES: ClassVar = {"mailings": ("prospect_id", "delivered_at"), "prospects": ("id",)}

    def __init__(self, source: TableSource, *, tz: str = "UTC") -> None:
        self._tz = tz
        super().__init__(source)

    def prepare(self, tables: dict[str, pd.DataFrame]) -> Mapping[str, w.ValueWidget]:
        """Count by each clock and return the controls."""
        mailings, prospects = tables["mailings"], tables["prospects"]
        self._heatmaps = {
            clock: stats.send_time_heatmap(mailings, prospects=prospects, clock=clock, default_tz=self._tz)
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

    def view(self, *, clock: str, least: int) -> Shown:
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
                f'    mailings, prospects=prospects, clock="{clock}", default_tz="{self._tz}"',
                ")",
                f"of.plots.plot_send_time_heatmap(heatmap, min_n={least})",
            ]
        )
