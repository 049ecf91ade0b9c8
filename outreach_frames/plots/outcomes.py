"""What became of enrolments: the share in each state, one bar for each sequence."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from outreach_frames.plots._axes import HALO, blocks, empty, rate_axis
from outreach_frames.plots._buckets import BUCKETS
from outreach_frames.plots._flows import draw_transitions
from outreach_frames.plots._key import draw_key, key_height
from outreach_frames.plots._page import WIDTH, rectangle_of
from outreach_frames.plots._result import Names, ends_in_words, numbers, parts, ranked, require, subtitle
from outreach_frames.plots._rows import Column, lay_rows, open_rows
from outreach_frames.plots._style import INK, SMALL_PT, theme
from outreach_frames.plots._text import count, counted, percent, width

_NEEDED = ("sequence_id", "bucket", "enrolments", "share")
_THICK = 0.72


def plot_state_flow(
    states: pd.DataFrame,
    *,
    transitions: bool = False,
    names: Names | None = None,
    max_rows: int | None = 40,
    ax: Axes | None = None,
) -> Axes:
    """
    Plot what became of the enrolments of each sequence: one bar of 100 % for each, states in a fixed order.

    Parameters
    ----------
    states
        Result of `stats.state_flow`: one row for each sequence and state.
    transitions
        Draw instead how many enrolments went from which state to which between two snapshots. The result has them
        where `stats.state_flow` was given the earlier one.
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
        on the x axis. With `transitions`, states of the earlier snapshot at x = 0, of the later one at x = 1, bands
        between them, all as high as their share of the enrolments.

    Raises
    ------
    MissingColumnError
        The frame is not a result of `stats.state_flow`.
    DataError
        Transitions are asked of a result that has none.
    """
    require(states, _NEEDED, plot="plot_state_flow", source="stats.state_flow(...)", names=names)
    if transitions:
        return draw_transitions(states, ax)
    groups = parts(states, "sequence_id", names=names)
    labelled = list(groups)
    shares = [_shares(rows) for rows in groups.values()]
    trials = np.array([np.nansum(numbers(rows, "enrolments")) for rows in groups.values()])
    replied = np.array([share.get("finished_replied", 0.0) for share in shares])
    present = {bucket for share in shares for bucket in share}
    looks = {bucket: look for bucket, look in BUCKETS.items() if bucket in present}
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
        bars = [(line, shares[row], trials[row]) for line, row in lines.drawn([True] * len(groups))]
        _draw_bars(drawn, bars)
        told = [f"replied {percent(value, n)} of {count(n)}" for value, n in zip(replied, trials, strict=True)]
        page.describe(f"Bars of 100 % by state of enrolment. {ends_in_words(order, replied, labelled, told)}")
        return drawn


def _shares(rows: pd.DataFrame) -> dict[str, float]:
    """Share of each state; one that is not known here counts as unknown, so that the bar stays whole."""
    shares: dict[str, float] = {}
    for bucket, share in zip(rows["bucket"].astype(str), numbers(rows, "share"), strict=True):
        known = bucket if bucket in BUCKETS else "unknown"
        shares[known] = shares.get(known, 0.0) + float(share)
    return shares


def _draw_bars(ax: Axes, bars: list[tuple[int, dict[str, float], float]]) -> None:
    """Draw the states one after the other, each in all bars, with its share where there is room."""
    inches = rectangle_of(ax).width
    left = dict.fromkeys((line for line, _, _ in bars), 0.0)
    for bucket, (_, mark) in BUCKETS.items():
        having = [(line, shares[bucket], n) for line, shares, n in bars if shares.get(bucket, 0) > 0]
        boxes = [(left[line], line - _THICK / 2, share, _THICK) for line, share, _ in having]
        blocks(ax, boxes, mark, gid=f"bar-{bucket}")
        for line, share, n in having:
            text, middle = percent(share, n), left[line] + share / 2
            if width(text, SMALL_PT) + 0.06 < share * inches:
                label = ax.text(middle, line, text, size=SMALL_PT, color=INK, ha="center", va="center_baseline")
                label.set_path_effects(HALO)
            left[line] += share
