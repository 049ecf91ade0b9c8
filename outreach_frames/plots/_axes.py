"""Axes of rates and counts, rows with their labels and columns of text, and estimates with their intervals."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import PolyCollection
from matplotlib.patheffects import AbstractPathEffect, withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import ScaledTranslation, blended_transform_factory

from outreach_frames._format import NO_DATA, amount, in_language, language, share
from outreach_frames.plots._input import Flags, Floats, Lines, choose_lines
from outreach_frames.plots._layout import (
    Page,
    fold,
    inches_of,
    is_fixed,
    line_height,
    open_page,
    page_width,
    rectangle_of,
    widest,
)
from outreach_frames.plots._style import HALO_PT, INK, LABEL_PT, MUTED, NONE, PAPER, SMALL_PT, Mark

Estimate = tuple[float, float, float]
"""A value with the ends of its interval."""
_Box = tuple[float, float, float, float]
"""Left and lower edge, width and height."""
HALO: list[AbstractPathEffect] = [withStroke(linewidth=HALO_PT, foreground=PAPER)]
"""Keeps a text readable where it crosses a line."""
_LABEL_SIDE = 0.8
_TICK_WIDTH, _TICK_HEIGHT = 0.5, 0.22
_BELOW_AXIS, _BESIDE_AXIS, _BEFORE_ARROW = 7, 6, 6
_ROOMY = 0.16
FADED = 0.4
"""Opacity of an estimate on too few trials."""


def top_of(*values: Iterable[float], least: float = 0.01, most: float = 1.0) -> float:
    """Choose where a rate axis ends: a little beyond the largest value, never beyond `most`."""
    present = [value for group in values for value in group if not np.isnan(value)]
    largest = max(present, default=1.0)
    return min(max(largest * 1.06, least), most * 1.03)


def rate_axis(axis: Axis, title: str, *, ticks: int = 5) -> None:
    """Format an axis of rates: zero-based, in percent, with faint lines."""
    axis.set_major_locator(MaxNLocator(_fitting(axis, ticks), steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(numbers_as(lambda value: share(round(value, 4))))
    axis.set_label_text(title)
    axis.grid(visible=True)


def numbers_as(write: Callable[[float], str]) -> FuncFormatter:
    """Write the numbers of an axis in the language of now, also where the figure is drawn later."""
    spoken = language()

    def written(value: float, _: int | None) -> str:
        with in_language(spoken):
            return write(value)

    return FuncFormatter(written)


def count_axis(axis: Axis, title: str, *, ticks: int = 5, whole: bool = True) -> None:
    """Format an axis of counts or, where not `whole`, of amounts: short numbers, faint lines."""
    axis.set_major_locator(MaxNLocator(_fitting(axis, ticks), integer=whole, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(numbers_as(amount))
    axis.set_label_text(title)
    axis.grid(visible=True)


def _fitting(axis: Axis, ticks: int) -> int:
    """Of so many ticks, how many have room beside each other; place the Axes first."""
    box = rectangle_of(axis.axes)
    length = box.width / _TICK_WIDTH if axis is axis.axes.xaxis else box.height / _TICK_HEIGHT
    return max(1, min(ticks, int(length)))


def no_data(ax: Axes, row: float, *, upright: bool = False, pitch: float = 1.0) -> None:
    """
    Mark a row without data by an open tick and the words; it has no place on the value axis.

    Where rows lie side by side (`upright`) the tick is below the axis, without words: the footnote explains it.
    """
    inches = inches_of(ax)
    across = blended_transform_factory(ax.transAxes, ax.transData)
    beside = across + ScaledTranslation(_BESIDE_AXIS / 72, 0, inches)
    if upright:
        below = ScaledTranslation(0, -_BELOW_AXIS / 72, inches)
        beside = blended_transform_factory(ax.transData, ax.transAxes) + below
    size = 7 * _crowding(ax, pitch, upright=upright)
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
    pitch: float = 1.0,
) -> None:
    """
    Draw points with their whiskers along rows; a whisker that is cut at the edge of the axis ends in an arrow.

    A point beyond the edge is drawn hollow before the arrow, so that every row has one. A row without a value gets the
    tick for missing data. Set the limits first: values lie on the x axis, or on the y axis where `upright`. `pitch` is
    the distance of neighboring rows: where it is small, marks are small.
    """
    at, bounds = np.asarray(rows, dtype=np.float64), np.asarray(rates, dtype=np.float64).reshape(-1, 3)
    missing = np.isnan(bounds[:, 0])
    for row in at[missing]:
        no_data(ax, row, upright=upright, pitch=pitch)
    pale_rows = np.zeros(len(at), dtype=bool) if faded is None else np.asarray(faded, dtype=bool)
    for pale in (False, True):
        chosen = ~missing & (pale_rows == pale)
        if chosen.any():
            _draw_estimates(ax, at[chosen], bounds[chosen], mark, pale=pale, upright=upright, pitch=pitch)


def _draw_estimates(
    ax: Axes, rows: Floats, rates: Floats, mark: Mark, *, pale: bool, upright: bool, pitch: float
) -> None:
    values, low, high = rates.T
    edge = (ax.get_ylim() if upright else ax.get_xlim())[1]
    scale = _crowding(ax, pitch, upright=upright)
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
        aside = ScaledTranslation(*_turned(back, 0, upright=upright), inches_of(ax))
        at_edge = _turned(np.full((~inside).sum(), edge), rows[~inside], upright=upright)
        look |= {"mfc": "white", "mec": mark.ink}
        ax.plot(*at_edge, transform=ax.transData + aside, zorder=3, gid="estimate-beyond", **look)


def _crowding(ax: Axes, pitch: float, *, upright: bool) -> float:
    """Scale for the marks of rows at a distance: 1 where they have room, down to one half."""
    box = rectangle_of(ax)
    low, high = ax.get_xlim() if upright else ax.get_ylim()
    slot = pitch * (box.width if upright else box.height) / abs(high - low)
    return min(1.0, max(0.5, slot / _ROOMY))


def _turned(values: Any, rows: Any, *, upright: bool) -> tuple[Any, Any]:
    return (rows, values) if upright else (values, rows)


def blocks(ax: Axes, boxes: Iterable[_Box], mark: Mark, *, gid: str, lw: float = 0.6) -> None:
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
    side = "right" if across > _LABEL_SIDE else "left" if across < 1 - _LABEL_SIDE else "center"
    above = blended_transform_factory(ax.transData, ax.transAxes)
    ax.text(value, 1, text, transform=above, size=SMALL_PT, color=INK, ha=side, va="bottom", gid="reference-label")


AXIS_ROOM = 0.42
HEADER_ROOM = 0.2
_MANY = 25
_LABELS_SHARE = 0.36
_COLUMN_GAP = 0.16
_LEAST_AXIS, _LEAST_LABEL = 1.3, 0.6
LEAST_PITCH = 0.135
_TWO_LINES = 1.9


@dataclass(frozen=True, slots=True)
class Column:
    """
    A column of text at the right of the rows.

    Attributes
    ----------
    header
        Stands above it.
    cells
        One text for each row.
    """

    header: str
    cells: Sequence[str]

    @property
    def width(self) -> float:
        """Room it takes, with the gap at its left [inches]."""
        return max(widest(self.cells), widest([self.header], SMALL_PT)) + _COLUMN_GAP


def rows_height(names: Sequence[str], page_width: float) -> float:
    """Room that these rows would like, axis and header included [inches]: more where labels need two lines."""
    wraps = widest(names) > page_width * _LABELS_SHARE
    pitch = 0.2 if len(names) > _MANY else 0.32 if wraps else 0.27
    return max(len(names), 1) * pitch + AXIS_ROOM + HEADER_ROOM


def lay_rows(
    page: Page,
    names: Sequence[str],
    columns: Sequence[Column] = (),
    *,
    muted: Sequence[int] = (),
    above: float = 0,
    below: float = 0,
) -> Axes:
    """
    Place the page's Axes beside the labels, first row on top; rows lie at 0, 1, 2 … on the y axis.

    Parameters
    ----------
    muted
        Rows whose labels are gray.
    above, below
        Room to leave for a key above the headers and for another panel below the axis [inches].
    """
    height = page.height - AXIS_ROOM - HEADER_ROOM - above - below
    pitch = height / len(names)
    size = min(LABEL_PT, max(pitch * 72 / 1.42, 5.0))
    lines = 2 if pitch >= _TWO_LINES * line_height(size) else 1
    right = sum(column.width for column in columns)
    room = max(min(page.width * _LABELS_SHARE, page.width - right - _LEAST_AXIS), _LEAST_LABEL)
    folded = [fold(name, room, lines=lines, size=size) for name in names]
    left = widest(folded, size) + 0.1
    ax = page.place(left, AXIS_ROOM + below, page.width - left - right, height)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_yticks(range(len(names)), folded, size=size, linespacing=1.1, parse_math=False)
    for row in muted:
        ax.get_yticklabels()[row].set_color(MUTED)
    _write_columns(page, ax, columns, size, page.height - above)
    return ax


def _write_columns(page: Page, ax: Axes, columns: Sequence[Column], size: float, top: float) -> None:
    edge = page.width - sum(column.width for column in columns)
    beside = blended_transform_factory(page.figure.transFigure, ax.transData)
    for column in columns:
        edge += column.width
        page.write(edge, top - HEADER_ROOM + 0.05, column.header, size=SMALL_PT, color=MUTED, ha="right")
        for row, cell in enumerate(column.cells):
            ax.text(page.x(edge), row, cell, transform=beside, size=size, color=INK, ha="right", va="center_baseline")


def open_rows(
    ax: Axes | None,
    order: Sequence[int],
    *,
    names: Sequence[str],
    has_value: Sequence[bool],
    max_rows: int | None,
    apart: Sequence[int] = (),
    above: float = 0,
    **heading: str,
) -> tuple[Page, Lines]:
    """
    Open a page as high as its rows need, or choose as many rows as the given Axes has room for.

    Rows `apart` are no part of the order: they are summed up in one line at the end.
    """
    lines = choose_lines(order, has_value, max_rows, apart=apart)
    page = open_page(ax, height=rows_height(lines.names(names), page_width()) + above, **heading)
    fits = max(int((page.height - AXIS_ROOM - HEADER_ROOM - above) / LEAST_PITCH), 1)
    if is_fixed(ax) and len(lines.groups) > fits:
        lines = choose_lines(order, has_value, fits, apart=apart)
    return page, lines
