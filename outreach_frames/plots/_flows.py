"""Bands between the states of two snapshots, as wide as the number of enrolments that went that way."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from outreach_frames.errors import DataError
from outreach_frames.plots._axes import blocks, empty
from outreach_frames.plots._beside import spread
from outreach_frames.plots._buckets import BUCKETS
from outreach_frames.plots._page import open_page, rectangle_of
from outreach_frames.plots._result import numbers, subtitle
from outreach_frames.plots._style import FAINT, INK, NONE, SMALL_PT, Mark, theme
from outreach_frames.plots._text import count, counted, line_height, percent

_NOWHERE = "not there"
_SIDE, _BAR, _GAP, _HEIGHT = 1.6, 0.02, 0.012, 3.4

Flow = tuple[str, str, float]
"""State before, state after, number of enrolments."""


def draw_transitions(states: pd.DataFrame, ax: Axes | None) -> Axes:
    """Draw the transitions that came with a result; see `plot_state_flow`."""
    flows = _flows(states)
    total = sum(n for _, _, n in flows)
    with theme():
        page = open_page(
            ax,
            title="State of enrolments before and after",
            subtitle=subtitle(
                states,
                counted(total, "enrolment"),
                f"{percent(sum(n for one, other, n in flows if one != other) / total if total else None)} changed",
            ),
            footnote="Left: the earlier snapshot. Right: the later one. Bands are as high as their share of all "
            "enrolments, in the colour of the earlier state. Not there: enrolled or removed in between.",
            height=_HEIGHT,
        )
        if not total:
            return empty(page, "No enrolments in these snapshots.")
        drawn = page.place(_SIDE, 0.1, page.width - 2 * _SIDE, page.height - 0.2)
        drawn.set(xlim=(0, 1), ylim=(1, 0))
        drawn.set_axis_off()
        sides = [_stack(flows, side=side) for side in (0, 1)]
        room = line_height(SMALL_PT) / rectangle_of(drawn).height
        for side, edges in enumerate(sides):
            sizes = {state: sum(flow[2] for flow in flows if flow[side] == state) for state in edges}
            _draw_side(drawn, float(side), edges, sizes, room)
        _draw_bands(drawn, flows, *sides)
        largest = max((flow for flow in flows if flow[0] != flow[1]), key=lambda flow: flow[2], default=None)
        page.describe(f"Bands between states of {counted(total, 'enrolment')} in two snapshots. {_in_words(largest)}")
        return drawn


def _flows(states: pd.DataFrame) -> list[Flow]:
    """Read the attached transitions, kept as lists by column; ordered as the states are."""
    kept = states.attrs.get("transitions")
    if not isinstance(kept, dict):
        raise DataError(
            "This result has no transitions.",
            hint="Give stats.state_flow the earlier snapshot too (earlier=...), and pass its result as it is.",
        )
    table = pd.DataFrame({name: pd.Series(values, dtype="object") for name, values in kept.items()})
    ends = zip(table["from"], table["to"], numbers(table, "count"), strict=True)
    flows = [(_state(one), _state(other), float(n)) for one, other, n in ends if n > 0]
    return sorted(flows, key=lambda flow: (_rank(flow[0]), _rank(flow[1])))


def _in_words(largest: Flow | None) -> str:
    if largest is None:
        return "None changed."
    before, after, n = largest
    return f"Most: {count(n)} from {_words(before)} to {_words(after)}."


def _state(value: Any) -> str:
    return _NOWHERE if pd.isna(value) else str(value)


def _rank(state: str) -> int:
    return list(BUCKETS).index(state) if state in BUCKETS else len(BUCKETS)


def _words(state: str) -> str:
    return BUCKETS[state][0] if state in BUCKETS else state


def _mark(state: str) -> Mark:
    return BUCKETS[state][1] if state in BUCKETS else NONE


def _stack(flows: Sequence[Flow], *, side: int) -> dict[str, tuple[float, float]]:
    """Upper edge and height of each state at one side, in fractions of the height, with gaps between."""
    sizes: dict[str, float] = {}
    for before, after, n in flows:
        state = (before, after)[side]
        sizes[state] = sizes.get(state, 0.0) + n
    scale = (1 - _GAP * (len(sizes) - 1)) / sum(sizes.values())
    edges: dict[str, tuple[float, float]] = {}
    top = 0.0
    for state, size in sorted(sizes.items(), key=lambda item: _rank(item[0])):
        edges[state] = (top, size * scale)
        top += size * scale + _GAP
    return edges


def _draw_side(ax: Axes, x: float, edges: dict[str, tuple[float, float]], sizes: dict[str, float], room: float) -> None:
    """Draw the states of one snapshot as blocks and name them outside, with their numbers."""
    outside, align = (-0.02, "right") if x == 0 else (1.02, "left")
    heights = spread([top + height / 2 for top, height in edges.values()], room, low=0, high=1)
    for (state, (top, height)), y in zip(edges.items(), heights, strict=True):
        blocks(ax, [(x if x == 0 else x - _BAR, top, _BAR, height)], _mark(state), gid=f"state-{state}")
        text = f"{_words(state)}  {count(sizes[state])}"
        ax.text(outside, y, text, size=SMALL_PT, color=INK, ha=align, va="center", clip_on=False)


def _draw_bands(
    ax: Axes, flows: Sequence[Flow], befores: dict[str, tuple[float, float]], afters: dict[str, tuple[float, float]]
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
    """Colour of a band: that of its state, pale grey where that is white."""
    return FAINT if mark.fill == "#FFFFFF" else mark.fill


def _band(start: float, end: float, before: float, after: float) -> Path:
    """Curve from the left block to the right one."""
    near, far, middle = _BAR, 1 - _BAR, 0.5
    points = [
        (near, start), (middle, start), (middle, end), (far, end),
        (far, end + after), (middle, end + after), (middle, start + before), (near, start + before), (near, start),
    ]  # fmt: skip
    curve = [Path.CURVE4] * 3
    return Path(points, [Path.MOVETO, *curve, Path.LINETO, *curve, Path.CLOSEPOLY])
