"""What became of enrolments: the share in each state, one bar for each sequence."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from outreach_frames.plots._axes import HALO, block, empty, rate_axis
from outreach_frames.plots._key import draw_key, key_height
from outreach_frames.plots._page import WIDTH, rectangle_of
from outreach_frames.plots._result import Names, ends_in_words, numbers, parts, ranked, require, subtitle
from outreach_frames.plots._rows import Column, lay_rows, open_rows
from outreach_frames.plots._style import (
    ACTIVE,
    AWAY,
    BOUNCE,
    FAILURE,
    INK,
    NONE,
    OPT_OUT,
    PAUSED,
    PENDING,
    REPLY,
    SMALL_PT,
    VOLUME,
    Mark,
    theme,
)
from outreach_frames.plots._text import count, counted, percent, width

_BUCKETS: dict[str, tuple[str, Mark]] = {
    "finished_replied": ("replied", REPLY),
    "active": ("active", ACTIVE),
    "pending": ("pending", PENDING),
    "paused": ("paused", PAUSED),
    "paused_ooto": ("out of office", AWAY),
    "finished_no_reply": ("finished, no reply", NONE),
    "bounced": ("bounced", BOUNCE),
    "opted_out": ("opted out", OPT_OUT),
    "failed": ("failed", FAILURE),
    "disabled": ("disabled", VOLUME),
}
_THICK = 0.72


def plot_state_flow(
    states: pd.DataFrame, *, names: Names | None = None, max_rows: int | None = 40, ax: Axes | None = None
) -> Axes:
    """
    Plot what became of the enrolments of each sequence: one bar of 100 % for each, states in a fixed order.

    Parameters
    ----------
    states
        Result of `stats.state_flow`: one row for each sequence and state.
    names
        Sequence names by id; default: the result's own names, else the ids.
    max_rows
        Where there are more sequences, both ends are drawn and the middle is summed up in one line; ``None`` draws all.
    ax
        Draw into the rectangle of these axes; default: a new figure 7 inches wide, as high as its rows need.

    Returns
    -------
    ax : Axes
        Sequences lie at 0, 1, 2 … on the y axis, those with the highest share of replies first; shares as fractions
        on the x axis.

    Raises
    ------
    MissingColumnError
        The frame is not a result of `stats.state_flow`.
    """
    require(
        states, ("sequence_id", "bucket", "enrolments", "share"), plot="plot_state_flow", source="stats.state_flow(...)"
    )
    groups = parts(states, "sequence_id", names=names)
    labelled = list(groups)
    shares = [dict(zip(rows["bucket"].astype(str), numbers(rows, "share"), strict=True)) for rows in groups.values()]
    trials = np.array([np.nansum(numbers(rows, "enrolments")) for rows in groups.values()])
    replied = np.array([share.get("finished_replied", 0.0) for share in shares])
    present = {bucket for share in shares for bucket in share}
    looks = {bucket: look for bucket, look in _BUCKETS.items() if bucket in present}
    order = ranked(replied, trials, labelled)
    with theme():
        above = key_height([words for words, _ in looks.values()], WIDTH)
        page, lines = open_rows(
            ax,
            order,
            names=labelled,
            has_value=[True] * len(groups),
            max_rows=max_rows,
            above=above,
            title="State of enrolments by sequence",
            subtitle=subtitle(states, counted(len(groups), "sequence"), counted(trials.sum(), "enrolment")),
            footnote="Share of the enrolments of each sequence in each state at the time of extraction. White: still "
            "open, so that a reply can come.",
        )
        if states.empty:
            return empty(page, "No enrolments in this period.")
        replies = lines.write([percent(value, n) for value, n in zip(replied, trials, strict=True)])
        columns = [Column("replied", replies), Column("n", lines.write([count(n) for n in trials]))]
        drawn = lay_rows(page, lines.names(labelled), columns, muted=lines.gaps, above=above)
        drawn.set_xlim(0, 1)
        rate_axis(drawn.xaxis, "Share of enrolments")
        draw_key(page, dict(looks.values()))
        for line, row in lines.drawn([True] * len(groups)):
            _draw_bar(drawn, line, shares[row], trials[row])
        told = [f"replied {percent(value, n)} of {count(n)}" for value, n in zip(replied, trials, strict=True)]
        page.describe(f"Bars of 100 % by state of enrolment. {ends_in_words(order, replied, labelled, told)}")
        return drawn


def _draw_bar(ax: Axes, line: int, shares: dict[str, float], n: float) -> None:
    inches = rectangle_of(ax).width
    left = 0.0
    for bucket, (_, mark) in _BUCKETS.items():
        share = shares.get(bucket, 0.0)
        if not share > 0:
            continue
        block(ax, (left, line - _THICK / 2), (share, _THICK), mark, gid=f"bar-{bucket}")
        text = percent(share, n)
        if width(text, SMALL_PT) + 0.06 < share * inches:
            ax.text(
                left + share / 2,
                line,
                text,
                size=SMALL_PT,
                color=INK,
                ha="center",
                va="center_baseline",
                path_effects=HALO,
            )
        left += share
