"""Explorer of a prospect: mails, calls and replies on one time line."""

from collections.abc import Mapping
from typing import Any, ClassVar

import ipywidgets as w
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, date2num

from outreach_frames.plots import _style as style
from outreach_frames.plots._layout import Page, distinct, fold, open_page, picture
from outreach_frames.plots._small_multiples import ShortDates, place_legend
from outreach_frames.widgets._explorer import Explorer, View, dropdown, dropdown_options

_SENT_LABELS = {"delivered_at": "delivered"}
CAME_BACK = {
    "opened_at": "last opened",
    "clicked_at": "last clicked",
    "replied_at": "replied",
    "unsubscribed_at": "opted out",
    "bounced_at": "bounced",
}
_CALL_INSTANTS = ("dialed_at", "answered_at", "completed_at")
CALLS, ONE_OFF = "calls", "one-off mail"
_LISTED = 500
"""Prospects offered, those with most mail first."""


class ProspectExplorer(Explorer):
    """
    Pick a prospect; see what was sent and what came back, from the first mail to the last.

    Parameters
    ----------
    source
        A snapshot, frames by name, or a client: mailings, prospects, sequences, calls.

    Examples
    --------
    >>> timeline = of.widgets.ProspectExplorer(snapshot)
    >>> list(timeline.state)
    ['prospect']
    """

    HEIGHT = 420
    TABLES: ClassVar = {
        "mailings": ("prospect_id", "sequence_id", *_SENT_LABELS, *CAME_BACK),
        "prospects": ("id", "first_name", "last_name"),
        "sequences": ("id", "name"),
        "calls": ("prospect_id", *_CALL_INSTANTS),
    }

    def prepare(self, tables: dict[str, pd.DataFrame]) -> Mapping[str, w.ValueWidget]:
        """Keep the tables and return the controls; the prospects with most mail are offered."""
        self._mailings, self._calls = tables["mailings"], tables["calls"]
        self._sequences = tables["sequences"].set_index("id")["name"]
        most = self._mailings["prospect_id"].dropna().value_counts().index[:_LISTED]
        people = tables["prospects"].set_index("id").reindex(most)
        listed = dropdown_options(people["first_name"].fillna("") + " " + people["last_name"].fillna(""))
        self._names = {number: label for label, number in listed}
        return {"prospect": dropdown("Prospect", listed or [("nobody", 0)])}

    def view(self, *, prospect: int) -> View:
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
    Draw what was sent and what came back: a lane for each sequence, one for one-off mail and one for calls.

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
        What was sent lies on a lane's line, what came back above it, each kind at its own height with its own mark.
        Marks of a kind that would overlap are one mark, at the first of them, with their number above. A mailing
        without such an instant is not drawn; the subtitle says how many there are of each kind.

    Examples
    --------
    >>> mails, no_calls = mailings[mailings["prospect_id"] == 17], calls.head(0)
    >>> ax = of.widgets.draw_timeline(mails, no_calls, sequences.set_index("id")["name"], title="Prospect 17")
    >>> print(ax.figure.outreach_alt.split(".")[0])
    Time line of one prospect, 2 rows: 7 delivered · 4 opened
    """
    touches = _touches(mailings, calls)
    marks, ends = _marks(touches)
    lanes = _Lanes(mailings["sequence_id"], marks, sequences)
    counts = touches["kind"].value_counts()
    texts = [f"{counts[kind]} {kind.removeprefix('last ')}" for kind in _LOOK if kind in counts]
    summary = " · ".join(texts) or "nothing was sent yet"
    with picture():
        page = open_page(
            None,
            title=title,
            subtitle=summary,
            footnote="On the line: what was sent. Above it: what came back; of several opens or clicks only the last "
            "is known, and machines open and click too. A number: so many from that mark on, too close to be drawn "
            "apart. Instants are UTC.",
            height=lanes.height + _LEGEND_ROOM + _AXIS,
        )
        ax = page.place(page.width - _ROOM, _AXIS, _ROOM, lanes.height)
        ax.set(ylim=(lanes.height, 0), xticks=[])
        ax.hlines(lanes.lines, 0, 1, transform=ax.get_yaxis_transform(), color=style.FAINT, linewidth=1)
        names = [fold(name, page.width - _ROOM - 0.1, lines=2, size=style.LABEL_PT) for name in lanes.names]
        ax.set_yticks(lanes.lines, names)
        if ends:
            ax.set_xlim(*ends)
            _date(ax)
            _draw(ax, marks, lanes)
            _draw_legend(ax, page)
        page.describe(f"Time line of one prospect, {len(lanes.names)} rows: {summary}.")
    return ax


_ROOM, _LEGEND_ROOM, _AXIS, _EDGE = 4.6, 0.26, 0.5, 0.15
"""Width of the time axis, room for the legend and the axis, and beside the outer marks [inches]."""
_TRACK, _NUMBER, _BETWEEN = 0.19, 0.1, 0.2
"""Height of a kind's marks, of the numbers above them, and distance of lanes [inches]."""
_NUMBER_PT = 6.0
_WIDE = 0.17
"""The widest mark with its edge [inches]."""
_LOOK: dict[str, dict[str, Any]] = {
    "delivered": {"marker": "o", "ms": 7, "color": style.MAIL.fill, "mec": style.MAIL.ink},
    "called": {"marker": "P", "ms": 8, "color": style.CALL.fill, "mec": style.CALL.ink},
    "last opened": {"marker": style.OPEN.marker, "ms": 6, "color": style.OPEN.fill, "mec": style.OPEN.ink},
    "last clicked": {"marker": style.CLICK.marker, "ms": 6, "color": style.CLICK.fill, "mec": style.CLICK.ink},
    "replied": {"marker": "*", "ms": 11, "color": style.REPLY.fill, "mec": style.REPLY.ink},
    "opted out": {"marker": style.OPT_OUT.marker, "ms": 8, "color": style.OPT_OUT.fill, "mec": style.OPT_OUT.ink},
    "bounced": {"marker": style.BOUNCE.marker, "ms": 8, "color": style.BOUNCE.fill, "mec": style.BOUNCE.ink},
}
"""Kinds from the line upwards."""


def _touches(mailings: pd.DataFrame, calls: pd.DataFrame) -> pd.DataFrame:
    """List what happened: lane (a sequence's id, or words for the others), kind, instant [matplotlib's days, UTC]."""
    lanes = mailings["sequence_id"].astype("object").where(mailings["sequence_id"].notna(), ONE_OFF)
    parts = [_part(lanes, kind, mailings[column]) for column, kind in (_SENT_LABELS | CAME_BACK).items()]
    dialed = calls[_CALL_INSTANTS[0]].fillna(calls[_CALL_INSTANTS[1]]).fillna(calls[_CALL_INSTANTS[2]])
    parts.append(_part(pd.Series(CALLS, index=calls.index, dtype="object"), "called", dialed))
    return pd.concat(parts, ignore_index=True)


def _part(lanes: "pd.Series[Any]", kind: str, instants: "pd.Series[Any]") -> pd.DataFrame:
    present = instants.notna().to_numpy(dtype=bool)
    at = date2num(pd.to_datetime(instants[present], utc=True))  # type: ignore[no-untyped-call]  # stubs lack dates
    return pd.DataFrame({"lane": lanes[present], "kind": kind, "at": at})


def _marks(touches: pd.DataFrame) -> tuple[pd.DataFrame, tuple[float, float] | None]:
    """Join touches of a lane and kind that are nearer than a mark is wide; also say where the axis begins and ends."""
    if touches.empty:
        return touches.assign(n=0), None
    first, last = float(touches["at"].min()), float(touches["at"].max())
    spare = max(1 - (last - first), 0) / 2
    inch = (last - first + 2 * spare) / (_ROOM - 2 * _EDGE)
    rows: list[list[Any]] = []
    for (lane, kind), instants in touches.sort_values("at").groupby(["lane", "kind"], sort=False)["at"]:
        visible: list[list[Any]] = []
        for at in instants:
            if visible and at - visible[-1][2] < _WIDE * inch:
                visible[-1][3] += 1
            else:
                visible.append([lane, kind, at, 1])
        rows += visible
    return pd.DataFrame(rows, columns=["lane", "kind", "at", "n"]), (
        first - spare - _EDGE * inch,
        last + spare + _EDGE * inch,
    )


class _Lanes:
    """
    Where everything lies, from the top [inches].

    Attributes
    ----------
    names
        Of the lanes, in the order of the mailings, calls last.
    lines
        Where what was sent lies.
    height
        Of all lanes.
    """

    def __init__(self, sequence_ids: "pd.Series[Any]", marks: pd.DataFrame, names: "pd.Series[str]") -> None:
        keys = [ONE_OFF if pd.isna(number) else number for number in dict.fromkeys(sequence_ids)]
        keys += [CALLS] * bool((marks["lane"] == CALLS).any())
        texts = [key if key in {ONE_OFF, CALLS} else names.get(key, f"sequence {key}") for key in keys]
        self.names = distinct(texts, keys)
        self.lines: list[float] = []
        self.tracks: dict[tuple[Any, str], float] = {}
        self.height = 0.0
        most = marks.groupby(["lane", "kind"], sort=False)["n"].max().to_dict()
        for key in keys:
            kinds = [kind for kind in _LOOK if (key, kind) in most]
            sent = [kind for kind in kinds if kind not in CAME_BACK.values()]
            heights = [_TRACK + _NUMBER * (most[key, kind] > 1) for kind in kinds]
            line = self.height + _BETWEEN + sum(heights) - (_TRACK if sent else 0)
            places = np.cumsum([0.0 if sent else _TRACK, *heights])
            self.tracks |= {(key, kind): line - up for kind, up in zip(kinds, places, strict=False)}
            self.lines.append(line)
            self.height = line + _BETWEEN / 2
        self.height = max(self.height, _BETWEEN)


def _draw(ax: Axes, marks: pd.DataFrame, lanes: _Lanes) -> None:
    for (lane, kind), height in lanes.tracks.items():
        visible = marks[(marks["lane"] == lane) & (marks["kind"] == kind)]
        ax.plot(visible["at"], [height] * len(visible), ls="none", gid=kind, zorder=3, **_LOOK[kind])
        for at, n in zip(visible["at"], visible["n"], strict=True):
            if n > 1:
                ax.text(at, height - _TRACK / 2, str(n), size=_NUMBER_PT, color=style.INK, ha="center", va="bottom")


def _date(ax: Axes) -> None:
    locator = AutoDateLocator(maxticks=7)  # type: ignore[no-untyped-call]  # matplotlib's stubs leave dates out
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ShortDates(locator))


def _draw_legend(ax: Axes, page: Page) -> None:
    """Explain the marks above the lanes, each kind once."""
    lines = {str(line.get_gid()): line for line in ax.lines}
    kinds = [kind for kind in _LOOK if kind in lines]
    place_legend(page, [lines[kind] for kind in kinds], kinds, columns=len(kinds), swatch=_WIDE)
