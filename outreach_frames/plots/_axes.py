"""Axes: rates and weeks, estimates with intervals, labels beside lines, legends, and shaded cells."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import Rectangle
from matplotlib.patheffects import AbstractPathEffect, withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import ScaledTranslation, blended_transform_factory

from outreach_frames._format import NO_DATA, amount, share
from outreach_frames.plots._formatting import line_height, width
from outreach_frames.plots._input import Flags, Floats
from outreach_frames.plots._layout import Page, rectangle_of, root_of
from outreach_frames.plots._style import FAINT, INK, LABEL_PT, MUTED, NONE, SMALL_PT, Mark

Estimate = tuple[float, float, float]
"""A value with the ends of its interval."""
Box = tuple[float, float, float, float]
"""Left and lower edge, width and height."""
HALO: list[AbstractPathEffect] = [withStroke(linewidth=2.5, foreground="white")]
"""Keeps a text readable where it crosses a line."""
_SIDE = 0.8
_TICK_WIDTH, _TICK_HEIGHT = 0.5, 0.22
_BELOW_AXIS, _BESIDE_AXIS, _BEFORE_ARROW = 7, 6, 6
_ROOMY = 0.16
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
    axis.set_major_formatter(FuncFormatter(lambda value, _: share(round(value, 4))))
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
    inches = root_of(ax).dpi_scale_trans
    across = blended_transform_factory(ax.transAxes, ax.transData)
    beside = across + ScaledTranslation(_BESIDE_AXIS / 72, 0, inches)
    if upright:
        below = ScaledTranslation(0, -_BELOW_AXIS / 72, inches)
        beside = blended_transform_factory(ax.transData, ax.transAxes) + below
    size = 7 * _crowding(ax, upright=upright)
    look: dict[str, Any] = {"marker": NONE.marker, "ms": size, "mfc": "none", "mec": MUTED, "mew": 0.8, "ls": "none"}
    ax.plot(*_turned([0], [row], upright=upright), transform=beside, gid="no-data", clip_on=False, **look)
    if not upright:
        further = across + ScaledTranslation(2 * _BESIDE_AXIS / 72, 0, inches)
        words = ax.text(0, row, NO_DATA, transform=further, size=SMALL_PT, color=MUTED, va="center_baseline")
        words.set(style="italic", path_effects=HALO)


def estimates(
    ax: Axes,
    rows: Sequence[float] | Floats,
    rates: Sequence[Estimate] | Floats,
    mark: Mark,
    *,
    faded: Sequence[bool] | Flags | None = None,
    upright: bool = False,
) -> None:
    """
    Draw points with their whiskers along rows; a whisker that is cut at the edge of the axis ends in an arrow.

    A point that lies beyond the edge itself stands hollow before the arrow, so that no row is without one. A row
    without a value gets the tick for missing data. Set the limits of the value axis first: that is the x axis, or the
    y axis where `upright`.
    """
    at, bounds = np.asarray(rows, dtype=np.float64), np.asarray(rates, dtype=np.float64).reshape(-1, 3)
    missing = np.isnan(bounds[:, 0])
    for row in at[missing]:
        no_data(ax, row, upright=upright)
    pale_rows = np.zeros(len(at), dtype=bool) if faded is None else np.asarray(faded, dtype=bool)
    for pale in (False, True):
        chosen = ~missing & (pale_rows == pale)
        if chosen.any():
            _draw_estimates(ax, at[chosen], bounds[chosen], mark, pale=pale, upright=upright)


def _draw_estimates(ax: Axes, rows: Floats, rates: Floats, mark: Mark, *, pale: bool, upright: bool) -> None:
    values, low, high = rates.T
    edge = (ax.get_ylim() if upright else ax.get_xlim())[1]
    scale = _crowding(ax, upright=upright)
    look: dict[str, Any] = {"color": mark.fill, "alpha": FADED if pale else 1.0, "clip_on": False}
    whiskers = ax.vlines if upright else ax.hlines
    whiskers(rows, np.minimum(low, edge), np.minimum(high, edge), lw=2.2 * scale, gid="interval", **look)
    look |= {"ls": "none", "mew": 0.8 * scale}
    beyond = np.fmax(values, high) > edge
    arrows = _turned(np.full(beyond.sum(), edge), rows[beyond], upright=upright)
    ax.plot(*arrows, marker="^" if upright else ">", ms=5 * scale, mec="none", gid="beyond", **look)
    look |= {"marker": mark.marker, "ms": 6 * scale, "mec": "none" if pale else mark.ink}
    inside = values <= edge
    ax.plot(*_turned(values[inside], rows[inside], upright=upright), zorder=3, gid="estimate", **look)
    if not inside.all():
        back = -_BEFORE_ARROW * scale / 72
        aside = ScaledTranslation(*_turned(back, 0, upright=upright), root_of(ax).dpi_scale_trans)
        at_edge = _turned(np.full((~inside).sum(), edge), rows[~inside], upright=upright)
        look |= {"mfc": "white", "mec": mark.ink}
        ax.plot(*at_edge, transform=ax.transData + aside, zorder=3, gid="estimate-beyond", **look)


def _crowding(ax: Axes, *, upright: bool) -> float:
    """Scale for marks whose rows lie at a unit's distance: 1 where they have room, down to one half."""
    box = rectangle_of(ax)
    low, high = ax.get_xlim() if upright else ax.get_ylim()
    slot = (box.width if upright else box.height) / abs(high - low)
    return min(1.0, max(0.5, slot / _ROOMY))


def _turned(values: Any, rows: Any, *, upright: bool) -> tuple[Any, Any]:
    return (rows, values) if upright else (values, rows)


def blocks(ax: Axes, boxes: Iterable[Box], mark: Mark, *, gid: str, lw: float = 0.6) -> None:
    """Fill rectangles with a meaning's color and hatch, and outline them; two artists however many there are."""
    corners = [
        ((left, low), (left + wide, low), (left + wide, low + high), (left, low + high))
        for left, low, wide, high in boxes
    ]
    # A hatch takes the color of the edge, so that the outline is drawn apart.
    hatched: dict[str, Any] = {"hatch": mark.hatch or None, "edgecolors": mark.hatch_ink, "linewidths": 0}
    ax.add_collection(PolyCollection(corners, facecolors=mark.fill, gid=gid, **hatched), autolim=False)
    outline: dict[str, Any] = {"facecolors": "none", "edgecolors": mark.ink, "linewidths": lw, "clip_on": False}
    ax.add_collection(PolyCollection(corners, **outline), autolim=False)


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


_WEEKS_APART = 0.12


class Weeks:
    """
    All weeks from the first to the last of a result, at 0, 1, 2 and so on.

    Parameters
    ----------
    mondays
        First days of the weeks that have rows; weeks without rows keep their place.
    """

    def __init__(self, mondays: Iterable[Any]) -> None:
        stamps = [pd.Timestamp(monday) for monday in mondays]
        self.first = min(stamps)
        self.count = int(self._places(stamps).max()) + 1

    def places(self, mondays: Iterable[Any]) -> Floats:
        """Where weeks lie on the axis."""
        return self._places([pd.Timestamp(monday) for monday in mondays])

    def _places(self, stamps: list[pd.Timestamp]) -> Floats:
        return np.array([round((stamp - self.first).days / 7) for stamp in stamps], dtype=np.float64)

    def axis(self, ax: Axes) -> None:
        """Label as many Mondays as have room, the last one among them."""
        ax.set_xlim(-0.6, self.count - 0.4)
        names = [f"{monday.day} {monday:%b}" for monday in self._mondays()]
        slot = rectangle_of(ax).width / self.count
        every = max(1, int(np.ceil((max(width(name, SMALL_PT) for name in names) + _WEEKS_APART) / slot)))
        shown = range(self.count - 1, -1, -every)
        ax.set_xticks(list(shown), [names[place] for place in shown], size=SMALL_PT)

    def _mondays(self) -> list[pd.Timestamp]:
        return [self.first + pd.Timedelta(weeks=place) for place in range(self.count)]


_JOIN, _TEXT = 0.1, 0.14


def label_beside(ax: Axes, wanted: Sequence[float], texts: Sequence[str], inks: Sequence[str]) -> None:
    """
    Write texts at heights of the y axis, as near as they can stand; set the limits of the axis first.

    What lies above the axis is named at its upper end, without a joining line.
    """
    box = rectangle_of(ax)
    top = ax.get_ylim()[1]
    gap = line_height(SMALL_PT) * top / box.height
    heights = spread([min(height, top) for height in wanted], gap, low=gap / 2, high=top + gap / 2)
    beside = blended_transform_factory(ax.transAxes, ax.transData)
    for height, y, text, ink in zip(wanted, heights, texts, inks, strict=True):
        if height <= top:
            ax.plot([1, 1 + _JOIN / box.width], [height, y], color=ink, lw=0.6, transform=beside, clip_on=False)
        ax.text(1 + _TEXT / box.width, y, text, transform=beside, size=SMALL_PT, color=ink, va="center_baseline")


def spread(wanted: Sequence[float], gap: float, *, low: float = -np.inf, high: float = np.inf) -> list[float]:
    """
    Move positions apart until neighbors are `gap` from each other, keeping their order.

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
    centers: list[float] = []
    for place in order:
        blocks.append([place])
        centers.append(wanted[place])
        while len(blocks) > 1 and centers[-1] - centers[-2] < gap * (len(blocks[-1]) + len(blocks[-2])) / 2:
            joined = blocks.pop(-2) + blocks.pop()
            del centers[-2:]
            blocks.append(joined)
            centers.append(sum(wanted[member] for member in joined) / len(joined))
    moved = [0.0] * len(wanted)
    for block, center in zip(blocks, centers, strict=True):
        for rank, place in enumerate(block):
            moved[place] = center + (rank - (len(block) - 1) / 2) * gap
    return moved


_SWATCH, _BESIDE, _APART = 0.2, 0.06, 0.16
_PITCH = line_height(SMALL_PT) + 0.03


def key_height(words: Iterable[str], room: float) -> float:
    """Room that the key needs [inches]."""
    return (max((line for line, _ in _places(words, room)), default=-1) + 1) * _PITCH + 0.04


def draw_key(page: Page, marks: Mapping[str, Mark]) -> None:
    """Draw a swatch and its words for each meaning at the top of the page."""
    height = key_height(marks, page.width)
    panel = page.panel(0, page.height - height, page.width, height, gid="key")
    panel.set(xlim=(0, page.width), ylim=(height, 0))
    panel.set_axis_off()
    for (line, x), (words, mark) in zip(_places(marks, page.width), marks.items(), strict=True):
        top = line * _PITCH
        blocks(panel, [(x, top + 0.02, _SWATCH, _PITCH - 0.05)], mark, gid="swatch")
        panel.text(x + _SWATCH + _BESIDE, top + _PITCH / 2, words, size=SMALL_PT, color=INK, va="center")


def _places(words: Iterable[str], room: float) -> list[tuple[int, float]]:
    """Line and left edge [inches] of each entry."""
    places: list[tuple[int, float]] = []
    line, x = 0, 0.0
    for text in words:
        wide = _SWATCH + _BESIDE + width(text, SMALL_PT)
        if x and x + wide > room:
            line, x = line + 1, 0.0
        places.append((line, x))
        x += wide + _APART
    return places


_LIGHTEST = 0.06
_LINEAR_UP_TO = 0.04045
_MIDDLE = 0.179
_CELL_SIDE = 0.94


def shade(rate: float, top: float, mark: Mark) -> str:
    """Mix white with the ink of a meaning, in proportion to the rate."""
    part = _LIGHTEST + (1 - _LIGHTEST) * min(max(rate / top, 0.0), 1.0) if top else _LIGHTEST
    red, green, blue = (1 - part * (1 - channel) for channel in to_rgb(mark.ink))
    return to_hex((red, green, blue))


def readable_on(color: str) -> str:
    """Choose black or white by the relative luminance of WCAG 2.2; one of them has a contrast of 4.5 to 1 at least."""
    linear = (c / 12.92 if c <= _LINEAR_UP_TO else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color))
    luminance = sum(weight * channel for weight, channel in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "#000000" if luminance > _MIDDLE else "#FFFFFF"


def draw_cell(ax: Axes, center: tuple[float, float], color: str | None, text: str, gid: str) -> None:
    """Draw a cell with its text; without a color it is hatched."""
    x, y = center
    look: dict[str, Any] = (
        {"facecolor": color} if color else {"facecolor": "#FFFFFF", "hatch": "////", "edgecolor": FAINT}
    )
    ax.add_patch(Rectangle((x - _CELL_SIDE / 2, y - _CELL_SIDE / 2), _CELL_SIDE, _CELL_SIDE, lw=0, gid=gid, **look))
    ink = readable_on(color) if color else MUTED
    label = ax.text(x, y, text, size=SMALL_PT, color=ink, ha="center", va="center_baseline", gid=f"{gid}-text")
    if color is None:
        label.set_path_effects(HALO)
