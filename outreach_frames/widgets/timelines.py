"""One prospect's story: enrolments, mails and calls on one time line."""

from textwrap import shorten
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from outreach_frames.plots import theme
from outreach_frames.widgets._explorer import Explorer, Shown, Source, dropdown, frames_of

HAPPENINGS = {
    "delivered_at": ("delivered", "#56B4E9", "o"),
    "opened_at": ("last opened", "#56B4E9", "|"),
    "clicked_at": ("last clicked", "#E69F00", "^"),
    "replied_at": ("replied", "#009E73", "D"),
    "bounced_at": ("bounced", "#CC79A7", "X"),
    "unsubscribed_at": ("opted out", "#D55E00", "s"),
}
LANE_WIDTH = 30
"""Longest name of a row [characters]."""
LISTED = 500
"""Prospects offered, those with most mail first."""


class ReplyTimeline(Explorer):
    """
    Pick a prospect; see what was sent and what came back.

    Parameters
    ----------
    source
        A snapshot, frames by name, or a client: mailings, prospects, sequences, calls.

    Raises
    ------
    OutreachError
        A table is missing.
    """

    def __init__(self, source: Source) -> None:
        tables = frames_of(source, ["mailings", "prospects", "sequences", "calls"])
        self._mailings = tables["mailings"].dropna(subset=["prospect_id"]).set_index("prospect_id")
        self._calls = tables["calls"].dropna(subset=["prospect_id"]).set_index("prospect_id")
        self._sequences = tables["sequences"].set_index("id")["name"]
        most = self._mailings.index.value_counts().index[:LISTED]
        people = tables["prospects"].set_index("id").reindex(most)
        names = people["first_name"].fillna("") + " " + people["last_name"].fillna("")
        listed = [
            (f"{name.strip() or 'no name'} ({number})", int(number)) for number, name in zip(most, names, strict=True)
        ]
        self._names = {number: name for name, number in listed}
        super().__init__({"prospect": dropdown("Prospect", listed or [("nobody", 0)])}, height=360)

    def view(self, *, prospect: int) -> Shown:
        """Return the time line of a prospect [id]."""
        if prospect not in self._mailings.index:
            return "No mail was written to this prospect."
        mailings, calls = self._mailings.loc[[prospect]], self._calls.loc[self._calls.index == prospect]
        return draw_timeline(mailings, calls, self._sequences, title=self._names.get(prospect, str(prospect)))

    def code(self, *, prospect: int) -> str:
        """Return the call that gives the rows behind the picture."""
        return (
            'mailings = snapshot.frame("mailings")\n'
            f'mailings[mailings["prospect_id"] == {prospect}]'
            '[["sequence_id", "delivered_at", "opened_at", "replied_at"]]'
        )


def draw_timeline(mailings: pd.DataFrame, calls: pd.DataFrame, sequences: "pd.Series[str]", *, title: str) -> Axes:
    """Draw one row for each sequence, one for one-off mail and one for calls; each happening has its own mark."""
    lanes = [
        *dict.fromkeys(_lane(number, sequences) for number in mailings["sequence_id"]),
        *(["calls"] if len(calls) else []),
    ]
    with theme():
        figure = Figure(figsize=(7.0, 1.9 + 0.45 * len(lanes)))
        ax = figure.add_axes((0.3, 0.75 / figure.get_figheight(), 0.67, 1 - 1.55 / figure.get_figheight()))
        for column, (label, colour, mark) in HAPPENINGS.items():
            happened = mailings.dropna(subset=[column])
            where = [lanes.index(_lane(number, sequences)) for number in happened["sequence_id"]]
            instants = pd.to_datetime(happened[column].astype("datetime64[us, UTC]")).dt.tz_localize(None)
            if where:
                ax.plot(instants.to_numpy(), where, mark, color=colour, label=label, markersize=7, linestyle="none")
        if len(calls):
            dialed = calls["dialed_at"].fillna(calls["answered_at"]).fillna(calls["completed_at"]).dropna()
            instants = pd.to_datetime(dialed.astype("datetime64[us, UTC]")).dt.tz_localize(None)
            ax.plot(instants.to_numpy(), [lanes.index("calls")] * len(dialed), "P", color="#555555", label="called")
        ax.set_yticks(range(len(lanes)), [shorten(lane, LANE_WIDTH, placeholder="…") for lane in lanes])
        ax.set_ylim(len(lanes) - 0.5, -0.5)
        locator = AutoDateLocator(maxticks=7)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        ax.set_xlabel("UTC")
        ax.legend(ncols=4, loc="lower left", bbox_to_anchor=(-0.42, 1.02), frameon=False, fontsize=8, columnspacing=1.2)
        figure.text(0.02, 0.97, title, weight="bold", size=11, va="top", parse_math=False)
    vars(figure)["outreach_alt"] = (
        f"Time line with {len(mailings)} mailings and {len(calls)} calls in {len(lanes)} rows."
    )
    return ax


def _lane(number: Any, sequences: "pd.Series[str]") -> str:
    return "one-off mail" if pd.isna(number) else str(sequences.get(number, number))
