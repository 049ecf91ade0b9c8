"""Outcomes of enrollments: the share in each state, and the flow between two snapshots."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from outreach_frames._format import count, counted, percent, typical
from outreach_frames.errors import DataError
from outreach_frames.plots._axes import HALO, Column, blocks, empty, lay_rows, open_rows, rate_axis
from outreach_frames.plots._input import Names, ends_in_words, numbers, parts, ranked, require, subtitle
from outreach_frames.plots._layout import line_height, open_page, page_width, picture, rectangle_of, width
from outreach_frames.plots._small_multiples import draw_legend, legend_height, spread
from outreach_frames.plots._style import BUCKET_MARKS, FAINT, INK, NONE, SMALL_PT, Mark

_NOWHERE = "not there"
_FLOW_SIDE, _FLOW_BAR, _FLOW_GAP, _FLOW_HEIGHT = 1.6, 0.02, 0.012, 3.4

_Flow = tuple[str, str, float]
"""State before, state after, number of enrollments."""


def _draw_transitions(states: pd.DataFrame, period: str | None, ax: Axes | None) -> Axes:
    """Draw the transitions that came with a result; see `plot_state_flow`."""
    flows = _flows(states)
    total = sum(n for _, _, n in flows)
    with picture():
        page = open_page(
            ax,
            title="State of enrollments before and after",
            subtitle=subtitle(
                states,
                counted(total, "enrollment"),
                f"{percent(sum(n for one, other, n in flows if one != other) / total if total else None)} changed",
                period=period,
            ),
            footnote="Left: the earlier snapshot. Right: the later one. Bands are as high as their share of all "
            "enrollments, in the color of the earlier state. Not there: enrolled or removed in between.",
            height=_FLOW_HEIGHT,
        )
        if not total:
            return empty(page, "No enrollments in these snapshots.")
        drawn = page.place(_FLOW_SIDE, 0.1, page.width - 2 * _FLOW_SIDE, page.height - 0.2)
        drawn.set(xlim=(0, 1), ylim=(1, 0))
        drawn.set_axis_off()
        sides = [_stack_states(flows, side=side) for side in (0, 1)]
        room = line_height(SMALL_PT) / rectangle_of(drawn).height
        for side, edges in enumerate(sides):
            sizes = {state: sum(flow[2] for flow in flows if flow[side] == state) for state in edges}
            _draw_side(drawn, float(side), edges, sizes, room)
        _draw_bands(drawn, flows, *sides)
        largest = max((flow for flow in flows if flow[0] != flow[1]), key=lambda flow: flow[2], default=None)
        page.describe(
            f"Bands between states of {counted(total, 'enrollment')} in two snapshots. {_describe_largest(largest)}"
        )
        return drawn


def _flows(states: pd.DataFrame) -> list[_Flow]:
    """Read the attached transitions, kept as lists by column; ordered as the states are."""
    remaining = states.attrs.get("transitions")
    if not isinstance(remaining, dict):
        raise DataError(
            "This result has no transitions.",
            hint="Pass earlier_sequence_states= to stats.state_flow too, and its result as it is.",
        )
    table = pd.DataFrame({name: pd.Series(values, dtype="object") for name, values in remaining.items()})
    ends = zip(table["from"], table["to"], numbers(table, "count"), strict=True)
    flows = [(_state(one), _state(other), float(n)) for one, other, n in ends if n > 0]
    return sorted(flows, key=lambda flow: (_state_rank(flow[0]), _state_rank(flow[1])))


def _describe_largest(largest: _Flow | None) -> str:
    if largest is None:
        return "None changed."
    before, after, n = largest
    return f"Most: {count(n)} from {_state_label(before)} to {_state_label(after)}."


def _state(value: Any) -> str:
    return _NOWHERE if pd.isna(value) else str(value)


def _state_rank(state: str) -> int:
    return list(BUCKET_MARKS).index(state) if state in BUCKET_MARKS else len(BUCKET_MARKS)


def _state_label(state: str) -> str:
    return BUCKET_MARKS[state][0] if state in BUCKET_MARKS else state


def _mark(state: str) -> Mark:
    return BUCKET_MARKS[state][1] if state in BUCKET_MARKS else NONE


def _stack_states(flows: Sequence[_Flow], *, side: int) -> dict[str, tuple[float, float]]:
    """Upper edge and height of each state at one side, in fractions of the height, with gaps between."""
    sizes: dict[str, float] = {}
    for before, after, n in flows:
        state = (before, after)[side]
        sizes[state] = sizes.get(state, 0.0) + n
    scale = (1 - _FLOW_GAP * (len(sizes) - 1)) / sum(sizes.values())
    edges: dict[str, tuple[float, float]] = {}
    top = 0.0
    for state, size in sorted(sizes.items(), key=lambda item: _state_rank(item[0])):
        edges[state] = (top, size * scale)
        top += size * scale + _FLOW_GAP
    return edges


def _draw_side(ax: Axes, x: float, edges: dict[str, tuple[float, float]], sizes: dict[str, float], room: float) -> None:
    """Draw the states of one snapshot as blocks and name them outside, with their numbers."""
    outside, align = (-0.02, "right") if x == 0 else (1.02, "left")
    heights = spread([top + height / 2 for top, height in edges.values()], room, low=0, high=1)
    for (state, (top, height)), y in zip(edges.items(), heights, strict=True):
        blocks(ax, [(x if x == 0 else x - _FLOW_BAR, top, _FLOW_BAR, height)], _mark(state), gid=f"state-{state}")
        text = f"{_state_label(state)}  {count(sizes[state])}"
        ax.text(outside, y, text, size=SMALL_PT, color=INK, ha=align, va="center", clip_on=False)


def _draw_bands(
    ax: Axes, flows: Sequence[_Flow], befores: dict[str, tuple[float, float]], afters: dict[str, tuple[float, float]]
) -> None:
    starts = {state: top for state, (top, _) in befores.items()}
    ends = {state: top for state, (top, _) in afters.items()}
    total = sum(n for _, _, n in flows)
    left, right = (sum(height for _, height in side.values()) / total for side in (befores, afters))
    for before, after, n in flows:
        band = _band(starts[before], ends[after], n * left, n * right)
        mark = _mark(before)
        ax.add_patch(PathPatch(band, facecolor=_tint(mark), edgecolor=mark.ink, lw=0.4, alpha=0.45, gid="band"))
        starts[before] += n * left
        ends[after] += n * right


def _tint(mark: Mark) -> str:
    """Color of a band: that of its state, pale gray where that is white."""
    return FAINT if mark.fill == "#FFFFFF" else mark.fill


def _band(start: float, end: float, before: float, after: float) -> Path:
    """Curve from the left block to the right one."""
    near, far, middle = _FLOW_BAR, 1 - _FLOW_BAR, 0.5
    points = [
        (near, start), (middle, start), (middle, end), (far, end),
        (far, end + after), (middle, end + after), (middle, start + before), (near, start + before), (near, start),
    ]  # fmt: skip
    curve = [Path.CURVE4] * 3
    return Path(points, [Path.MOVETO, *curve, Path.LINETO, *curve, Path.CLOSEPOLY])


_BUCKET_COLUMNS = ("sequence_id", "bucket", "enrollments", "share")
_STATE_BAR = 0.72


def plot_state_flow(
    states: pd.DataFrame,
    *,
    transitions: bool = False,
    names: Names | None = None,
    max_rows: int | None = 40,
    period: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """
    Plot what became of the enrollments of each sequence: one bar of 100 % for each, states in a fixed order.

    Parameters
    ----------
    states
        Result of `stats.state_flow`: one row for each sequence and state.
    transitions
        Draw instead how many enrollments went from which state to which between two snapshots. The result has them
        where `stats.state_flow` was given the earlier one.
    names
        Sequence names by id; default: the result's own names, else the ids.
    max_rows
        Where there are more sequences, both ends are drawn and the middle is summed up in one line; ``None`` draws all.
    period
        In words, where rows were chosen before the statistic saw them, such as ``"enrollments begun since 1 Jan
        2026"``; default: what the statistic says.
    ax
        Draw into the rectangle of these axes; default: a new figure 7 inches wide, as high as its rows need.

    Returns
    -------
    ax : Axes
        Sequences lie at 0, 1, 2 … on the y axis, those with the highest share of replies first; shares as fractions
        on the x axis. With `transitions`, states of the earlier snapshot at x = 0, of the later one at x = 1, bands
        between them, all as high as their share of the enrollments.

    Raises
    ------
    MissingColumnError
        The frame is not a result of `stats.state_flow`.
    DataError
        Transitions are asked of a result that has none.

    Examples
    --------
    >>> flow = stats.state_flow(mailings, sequence_states=sequence_states)
    >>> ax = plots.plot_state_flow(flow, names=sequences.set_index("id")["name"])
    >>> print(ax.figure.outreach_alt.split(".")[0])
    Bars of 100 % by state of enrollment
    """
    require(states, _BUCKET_COLUMNS, plot="plot_state_flow", source="stats.state_flow(...)", names=names)
    if transitions:
        return _draw_transitions(states, period, ax)
    groups = parts(states, "sequence_id", names=names)
    labeled = list(groups)
    shares = [_state_shares(rows) for rows in groups.values()]
    trials = np.array([np.nansum(numbers(rows, "enrollments")) for rows in groups.values()])
    replied = np.array([share.get("finished_replied", 0.0) for share in shares])
    present = {bucket for share in shares for bucket in share}
    looks = {bucket: look for bucket, look in BUCKET_MARKS.items() if bucket in present}
    order = ranked(replied, trials, labeled)
    with picture():
        above = legend_height([words for words, _ in looks.values()], page_width())
        page, lines = open_rows(
            ax,
            order,
            names=labeled,
            has_value=[True] * len(groups),
            max_rows=max_rows,
            above=above,
            title="State of enrollments by sequence",
            subtitle=subtitle(
                states, counted(len(groups), "sequence"), counted(trials.sum(), "enrollment"), period=period
            ),
            footnote="Share of the enrollments of each sequence in each state at the time of extraction. An enrollment "
            "that replied can be paused or bounced now. White: open.",
        )
        if states.empty:
            return empty(page, "No enrollments in this period.")
        replies = lines.write([percent(value, typical(trials)) for value in replied])
        columns = [Column("replied", replies), Column("n", lines.write([count(n) for n in trials]))]
        drawn = lay_rows(page, lines.names(labeled), columns, muted=lines.gaps, above=above)
        drawn.set_xlim(0, 1)
        rate_axis(drawn.xaxis, "Share of enrollments")
        draw_legend(page, dict(looks.values()))
        bars = [(line, shares[row], trials[row]) for line, row in lines.drawn([True] * len(groups))]
        _draw_bars(drawn, bars)
        texts = [f"replied {percent(value, n)} of {count(n)}" for value, n in zip(replied, trials, strict=True)]
        page.describe(f"Bars of 100 % by state of enrollment. {ends_in_words(order, replied, labeled, texts)}")
        return drawn


def _state_shares(rows: pd.DataFrame) -> dict[str, float]:
    """Share of each state; one that is not known here counts as unknown, so that the bar stays whole."""
    shares: dict[str, float] = {}
    for bucket, share in zip(rows["bucket"].astype(str), numbers(rows, "share"), strict=True):
        valid = bucket if bucket in BUCKET_MARKS else "unknown"
        shares[valid] = shares.get(valid, 0.0) + float(share)
    return shares


def _draw_bars(ax: Axes, bars: list[tuple[int, dict[str, float], float]]) -> None:
    """Draw the states one after the other, each in all bars, with its share where there is room."""
    inches, typical_n = rectangle_of(ax).width, typical(n for _, _, n in bars)
    left = dict.fromkeys((line for line, _, _ in bars), 0.0)
    for bucket, (_, mark) in BUCKET_MARKS.items():
        having = [(line, shares[bucket]) for line, shares, _ in bars if shares.get(bucket, 0) > 0]
        boxes = [(left[line], line - _STATE_BAR / 2, share, _STATE_BAR) for line, share in having]
        blocks(ax, boxes, mark, gid=f"bar-{bucket}")
        for line, share in having:
            text, middle = percent(share, typical_n), left[line] + share / 2
            if width(text, SMALL_PT) + 0.06 < share * inches:
                label = ax.text(middle, line, text, size=SMALL_PT, color=INK, ha="center", va="center_baseline")
                label.set_path_effects(HALO)
            left[line] += share
