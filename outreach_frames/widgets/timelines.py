"""One prospect's story: enrolments, mails and calls on one time line."""

from collections.abc import Mapping
from typing import Any, ClassVar

import ipywidgets as w
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

from outreach_frames.plots import _style as style
from outreach_frames.plots._page import open_page
from outreach_frames.plots._text import fold
from outreach_frames.widgets._explorer import Explorer, Shown, dropdown, numbered

SENT = {"delivered_at": ("delivered", style.MAIL), "bounced_at": ("bounced", style.BOUNCE)}
CAME_BACK = {
    "opened_at": ("last opened", style.OPEN),
    "clicked_at": ("last clicked", style.CLICK),
    "replied_at": ("replied", style.REPLY),
    "unsubscribed_at": ("opted out", style.OPT_OUT),
}
CALLED = ("dialed_at", "answered_at", "completed_at")
LISTED = 500
"""Prospects offered, those with most mail first."""
LANE, LABELS, KEY, AXIS = 0.55, 2.1, 0.32, 0.5
"""Height of a row, room for its name, for the key and for the axis [inches]."""


class ReplyTimeline(Explorer):
    """
    Pick a prospect; see what was sent and what came back.

    Parameters
    ----------
    source
        A snapshot, frames by name, or a client: mailings, prospects, sequences, calls.
    """

    HEIGHT = 420
    TABLES: ClassVar = {
        "mailings": ("prospect_id", "sequence_id", *SENT, *CAME_BACK),
        "prospects": ("id", "first_name", "last_name"),
        "sequences": ("id", "name"),
        "calls": ("prospect_id", *CALLED),
    }

    def prepare(self, tables: dict[str, pd.DataFrame]) -> Mapping[str, w.ValueWidget]:
        """Keep the tables and return the controls; the prospects with most mail are offered."""
        self._mailings, self._calls = tables["mailings"], tables["calls"]
        self._sequences = tables["sequences"].set_index("id")["name"]
        most = self._mailings["prospect_id"].dropna().value_counts().index[:LISTED]
        people = tables["prospects"].set_index("id").reindex(most)
        listed = numbered(people["first_name"].fillna("") + " " + people["last_name"].fillna(""))
        self._names = {number: label for label, number in listed}
        return {"prospect": dropdown("Prospect", listed or [("nobody", 0)])}

    def view(self, *, prospect: int) -> Shown:
        """Return the time line of a prospect [id]."""
        mailings = self._mailings[(self._mailings["prospect_id"] == prospect).fillna(value=False)]
        if mailings.empty:
            return "No mail was written to this prospect."
        calls = self._calls[(self._calls["prospect_id"] == prospect).fillna(value=False)]
        return draw_timeline(mailings, calls, self._sequences, title=self._names.get(prospect, str(prospect)))

    def code(self, *, prospect: int) -> str:
        """Return the call that gives the same."""
        return "\n".join(
            [
                "from outreach_frames.widgets import draw_timeline",
                "",
                f"mailings, calls = {self.table('mailings')}, {self.table('calls')}",
                f"mailings = mailings[mailings['prospect_id'] == {prospect}]",
                f"calls = calls[calls['prospect_id'] == {prospect}]",
                f"sequences = {self.table('sequences')}.set_index('id')['name']",
                f"draw_timeline(mailings, calls, sequences, title={self._names.get(prospect, str(prospect))!r})",
            ]
        )


def draw_timeline(mailings: pd.DataFrame, calls: pd.DataFrame, sequences: "pd.Series[str]", *, title: str) -> Axes:
    """
    Draw what was sent and what came back: a row for each sequence, one for one-off mail and one for calls.

    Parameters
    ----------
    mailings
        Of one prospect.
    calls
        Of the same prospect.
    sequences
        Names by id.
    title
        Above the picture.

    Returns
    -------
    ax : Axes
        What was sent lies on a row's line, what came back above it, each kind with its own mark. A mailing without
        such an instant is not drawn; the subtitle says how many there are of each kind.
    """
    lanes = [*dict.fromkeys(_lane(number, sequences) for number in mailings["sequence_id"])]
    rows = np.array([lanes.index(_lane(number, sequences)) for number in mailings["sequence_id"]])
    if len(calls):
        lanes.append("calls")
    drawn = [(*kind, *_points(mailings[column], rows)) for column, kind in SENT.items()]
    drawn += [(*kind, *_points(mailings[column], rows - 0.3)) for column, kind in CAME_BACK.items()]
    dialed = calls[CALLED[0]].fillna(calls[CALLED[1]]).fillna(calls[CALLED[2]])
    drawn.append(("called", style.CALL, *_points(dialed, np.full(len(calls), len(lanes) - 1))))
    drawn = [kind for kind in drawn if len(kind[2])]
    said = (
        " · ".join(f"{len(instants)} {words.removeprefix('last ')}" for words, _, instants, _ in drawn)
        or "nothing was sent yet"
    )
    with style.theme():
        page = open_page(
            None,
            title=title,
            subtitle=said,
            footnote="On the line: what was sent. Above it: what came back; of several opens or clicks only the last "
            "is known, and machines open and click too. Instants are UTC.",
            height=len(lanes) * LANE + KEY + AXIS,
        )
        ax = page.place(LABELS, AXIS, page.width - LABELS, len(lanes) * LANE)
        ax.hlines(range(len(lanes)), 0, 1, transform=ax.get_yaxis_transform(), color=style.FAINT, linewidth=1)
        for words, mark, instants, where in drawn:
            ax.plot(instants, where, label=words, color=mark.fill, linestyle="none", **_LOOK[words])
        ax.set_yticks(range(len(lanes)), [fold(lane, LABELS - 0.1, lines=2, size=style.LABEL_PT) for lane in lanes])
        ax.set_ylim(len(lanes) - 0.6, -0.6)
        _date(ax, drawn)
        ax.legend(
            ncols=7,
            loc="lower left",
            bbox_to_anchor=(page.x(0), page.y(page.height - KEY)),
            bbox_transform=page.figure.transFigure,
            frameon=False,
            borderpad=0,
            borderaxespad=0,
            fontsize=style.SMALL_PT,
            handletextpad=0.2,
            columnspacing=1.4,
        )
    page.describe(f"Time line of one prospect, {len(lanes)} rows: {said}.")
    return ax


_LOOK: dict[str, dict[str, Any]] = {
    "delivered": {"marker": "o", "markersize": 7, "markeredgecolor": style.MAIL.ink},
    "bounced": {"marker": style.BOUNCE.marker, "markersize": 8, "markeredgecolor": style.BOUNCE.ink},
    "last opened": {"marker": style.OPEN.marker, "markersize": 6, "markeredgecolor": style.OPEN.ink},
    "last clicked": {"marker": style.CLICK.marker, "markersize": 6, "markeredgecolor": style.CLICK.ink},
    "replied": {"marker": "*", "markersize": 11, "markeredgecolor": style.REPLY.ink},
    "opted out": {"marker": style.OPT_OUT.marker, "markersize": 8, "markeredgecolor": style.OPT_OUT.ink},
    "called": {"marker": "P", "markersize": 8, "markeredgecolor": style.CALL.ink},
}


def _points(instants: "pd.Series[Any]", rows: Any) -> tuple[Any, Any]:
    """Return the instants there are, without a zone, and their rows."""
    known = instants.notna().to_numpy(dtype=bool)
    bare = pd.to_datetime(instants[known].astype("datetime64[us, UTC]")).dt.tz_localize(None)
    return bare.to_numpy(), rows[known]


def _date(ax: Axes, drawn: list[Any]) -> None:
    """Label the axis with dates, and give a single day some room."""
    locator = AutoDateLocator(maxticks=7)  # type: ignore[no-untyped-call]  # matplotlib's stubs leave dates out
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]  # as above
    if drawn:
        instants = np.concatenate([kind[2] for kind in drawn])
        room = max((instants.max() - instants.min()) * 0.06, np.timedelta64(12, "h"))
        ax.set_xlim(instants.min() - room, instants.max() + room)


def _lane(number: Any, sequences: "pd.Series[str]") -> str:
    return "one-off mail" if pd.isna(number) else str(sequences.get(number, number))
