"""What every panel shares: rate axes from zero, the tick for missing data, points with whiskers, arrows at the edge."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.patches import Rectangle
from matplotlib.patheffects import AbstractPathEffect, withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import blended_transform_factory

from outreach_frames.plots._page import Page, rectangle_of
from outreach_frames.plots._style import INK, LABEL_PT, MUTED, NO_DATA, NONE, SMALL_PT, Mark
from outreach_frames.plots._text import amount

Estimate = tuple[float, float, float]
"""A value with the ends of its interval."""
Point = tuple[float, float]
HALO: list[AbstractPathEffect] = [withStroke(linewidth=2.5, foreground="white")]
"""Keeps a text readable where it crosses a line."""
_SIDE = 0.8
_TICK_WIDTH, _TICK_HEIGHT = 0.5, 0.22
FADED = 0.4
"""Opacity of an estimate on too few trials."""


def top_of(*values: Iterable[float], least: float = 0.01, most: float = 1.0) -> float:
    """Choose where a rate axis ends: a little beyond the largest value, never beyond `most`."""
    known = [value for group in values for value in group if not np.isnan(value)]
    largest = max(known, default=1.0)
    return min(max(largest * 1.06, least), most * 1.03)


def rate_axis(axis: Axis, title: str, *, ticks: int = 5) -> None:
    """Format an axis of rates: zero-based, in percent, with faint lines."""
    axis.set_major_locator(MaxNLocator(_fitting(axis, ticks), steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{round(100 * value, 2):g}\N{NARROW NO-BREAK SPACE}%"))
    axis.set_label_text(title)
    axis.grid(visible=True)


def count_axis(axis: Axis, title: str, *, ticks: int = 5, whole: bool = True) -> None:
    """Format an axis of counts or, where not `whole`, of amounts: short numbers, faint lines."""
    axis.set_major_locator(MaxNLocator(_fitting(axis, ticks), integer=whole, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: amount(value)))
    axis.set_label_text(title)
    axis.grid(visible=True)


def _fitting(axis: Axis, ticks: int) -> int:
    """Of so many ticks, how many have room beside each other; place the Axes first."""
    box = rectangle_of(axis.axes)
    length = box.width / _TICK_WIDTH if axis is axis.axes.xaxis else box.height / _TICK_HEIGHT
    return max(1, min(ticks, int(length)))


def no_data(ax: Axes, row: float, *, upright: bool = False) -> None:
    """
    Mark a row without data by an open tick and the words; it has no place on the value axis.

    Where rows lie side by side (`upright`) the tick is below the axis, without words: the footnote explains it.
    """
    axes = (ax.transData, ax.transAxes) if upright else (ax.transAxes, ax.transData)
    beside = blended_transform_factory(*axes)
    look: dict[str, Any] = {"marker": NONE.marker, "ms": 7, "mfc": "none", "mec": MUTED, "mew": 0.8, "ls": "none"}
    ax.plot(
        *_turned(-0.12 if upright else 0.025, row, upright=upright),
        transform=beside,
        gid="no-data",
        clip_on=False,
        **look,
    )
    if not upright:
        words = ax.text(0.05, row, NO_DATA, transform=beside, size=SMALL_PT, color=MUTED, va="center_baseline")
        words.set(style="italic", path_effects=HALO)


def estimate(ax: Axes, row: float, rate: Estimate, mark: Mark, *, faded: bool = False, upright: bool = False) -> None:
    """
    Draw a point with its whisker along a row; what lies beyond the axis becomes an arrow at its edge.

    Set the limits of the value axis first: that is the x axis, or the y axis where `upright`.
    """
    value, low, high = rate
    edge = (ax.get_ylim() if upright else ax.get_xlim())[1]
    look: dict[str, Any] = {"color": mark.fill, "alpha": FADED if faded else 1.0, "clip_on": False}
    if not np.isnan(low):
        ax.plot(
            *_turned([min(low, edge), min(high, edge)], [row, row], upright=upright), lw=2.2, gid="interval", **look
        )
    if max(value, high) > edge:
        arrow = "^" if upright else ">"
        ax.plot(*_turned(edge, row, upright=upright), marker=arrow, ms=5, mec="none", ls="none", gid="beyond", **look)
    if value <= edge:
        look |= {"marker": mark.marker, "ms": 6, "mec": "none" if faded else mark.ink, "mew": 0.8, "ls": "none"}
        ax.plot(*_turned(value, row, upright=upright), zorder=3, gid="estimate", **look)


def _turned(value: Any, row: Any, *, upright: bool) -> tuple[Any, Any]:
    along, across = np.atleast_1d(value), np.atleast_1d(row)
    return (across, along) if upright else (along, across)


def block(ax: Axes, corner: Point, size: Point, mark: Mark, *, gid: str) -> None:
    """Fill a rectangle with a meaning's colour and hatch, and outline it."""
    hatch: dict[str, Any] = {
        "hatch": mark.hatch,
        "edgecolor": mark.hatch_ink,
        "lw": 0,
    }  # a hatch takes the edge's colour
    ax.add_patch(Rectangle(corner, *size, facecolor=mark.fill, gid=gid, **hatch))
    ax.add_patch(Rectangle(corner, *size, fill=False, edgecolor=mark.ink, lw=0.6, clip_on=False))


def empty(page: Page, words: str) -> Axes:
    """Say on an otherwise blank page that there is nothing to draw."""
    page.hide_frame()
    page.describe(words)
    page.write(page.width / 2, page.height / 2, words, size=LABEL_PT, color=MUTED, ha="center", va="center")
    return page.ax


def reference(ax: Axes, value: float, text: str) -> None:
    """Draw a vertical rule through all rows and write its meaning above."""
    ax.axvline(value, color=INK, lw=0.8, dashes=(4, 2), zorder=1.5, gid="reference")
    across = value / ax.get_xlim()[1]
    side = "right" if across > _SIDE else "left" if across < 1 - _SIDE else "center"
    above = blended_transform_factory(ax.transData, ax.transAxes)
    ax.text(value, 1, text, transform=above, size=SMALL_PT, color=INK, ha=side, va="bottom", gid="reference-label")


def spread(wanted: Sequence[float], gap: float, *, low: float = -np.inf, high: float = np.inf) -> list[float]:
    """
    Move positions apart until neighbours are `gap` from each other, keeping their order.

    They stay near their place, and between `low` and `high`; where there is no room for all, they go on beyond `high`.
    """
    moved = _apart(wanted, gap)
    order = sorted(range(len(wanted)), key=lambda place: (moved[place], place))
    for rank, place in enumerate(reversed(order)):
        moved[place] = min(moved[place], high - rank * gap)
    for rank, place in enumerate(order):
        moved[place] = max(moved[place], low + rank * gap)
    return moved


def _apart(wanted: Sequence[float], gap: float) -> list[float]:
    """Join what is too close into blocks around their common middle."""
    order = sorted(range(len(wanted)), key=lambda place: wanted[place])
    blocks: list[list[int]] = []
    centres: list[float] = []
    for place in order:
        blocks.append([place])
        centres.append(wanted[place])
        while len(blocks) > 1 and centres[-1] - centres[-2] < gap * (len(blocks[-1]) + len(blocks[-2])) / 2:
            joined = blocks.pop(-2) + blocks.pop()
            del centres[-2:]
            blocks.append(joined)
            centres.append(sum(wanted[member] for member in joined) / len(joined))
    moved = [0.0] * len(wanted)
    for block, centre in zip(blocks, centres, strict=True):
        for rank, place in enumerate(block):
            moved[place] = centre + (rank - (len(block) - 1) / 2) * gap
    return moved
