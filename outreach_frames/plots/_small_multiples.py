"""Small multiples and what stands in them: axes of weeks, labels beside lines, legends, and shaded cells."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.dates import MO, ConciseDateFormatter, WeekdayLocator, date2num, num2date
from matplotlib.patches import Patch, Rectangle
from matplotlib.transforms import blended_transform_factory

from outreach_frames._format import day_of_year, in_language, language, months
from outreach_frames.plots._axes import HALO, numbers_as
from outreach_frames.plots._input import Floats
from outreach_frames.plots._layout import (
    Page,
    fold,
    line_height,
    lines_that_fit,
    page_width,
    rectangle_of,
    widest,
    width,
)
from outreach_frames.plots._style import DARK_INKS, DARK_PAPER, FAINT, INK, MUTED, PAPER, SMALL_PT, Mark
from outreach_frames.plots._theme import look

_MOST_PANELS = 12
_NAME_ROOM = 0.42
_LEAST, _LEAST_WIDTH = 0.8, 2.0


@dataclass(frozen=True, slots=True)
class Cell:
    """
    Room for one panel below its name, from the lower left corner of the page [inches].

    Attributes
    ----------
    is_first, is_left, is_right, is_lowest
        Whether it is the first one, stands in the first or the last column, has no panel below it: what all panels
        share is labeled there.
    """

    left: float
    bottom: float
    width: float
    height: float
    is_first: bool
    is_left: bool
    is_right: bool
    is_lowest: bool


def panel_count(ax: Axes | None, panels: int, cell: float, *, below: float, columns: int | None = None) -> int:
    """How many of so many panels are drawn: at most twelve, and on a given Axes what it has room for."""
    lines = lines_that_fit(ax, cell * _LEAST + _NAME_ROOM, fixed=below)
    columns = columns or min(3, _columns_that_fit(page_width() if ax is None else rectangle_of(ax).width))
    return min(panels, _MOST_PANELS, lines * columns)


def grid_height(panels: int, cell: float, *, below: float, columns: int | None = None) -> float:
    """Room for so many panels with their names and the axis title below [inches]."""
    return ceil(max(panels, 1) / (columns or _columns_for(panels, page_width()))) * (cell + _NAME_ROOM) + below


def _columns_for(panels: int, width: float) -> int:
    balanced = 1 if panels == 1 else 2 if panels in {2, 4} else 3
    return min(balanced, _columns_that_fit(width))


def _columns_that_fit(width: float) -> int:
    return max(1, int(width / _LEAST_WIDTH))


def grid(
    page: Page,
    names: Sequence[str],
    *,
    left: float,
    below: float,
    right: float = 0,
    gap: float = 0.15,
    columns: int | None = None,
) -> list[Cell]:
    """
    Divide a page into cells and write the name above each; the page's own Axes becomes invisible.

    Parameters
    ----------
    left, below, right
        Room for what is written once for all panels of a row or column [inches].
    gap
        Distance between neighbors [inches].
    columns
        Panels side by side; default: one, two or three, by their number and the room.
    """
    page.hide_frame()
    columns = columns or _columns_for(len(names), page.width)
    wide = (page.width - left - right + gap) / columns
    high = (page.height - below) / ceil(len(names) / columns)
    cells = []
    for place, name in enumerate(names):
        line, column = divmod(place, columns)
        x, y = left + column * wide, page.height - (line + 1) * high
        is_lowest = place + columns >= len(names)
        is_right = column == columns - 1 or place == len(names) - 1
        cells.append(Cell(x, y, wide - gap, high - _NAME_ROOM, place == 0, column == 0, is_right, is_lowest))
        title = fold(name, wide - 0.1, lines=2, size=SMALL_PT, weight="bold")
        page.write(x, y + high - _NAME_ROOM + 0.05, title, size=SMALL_PT, weight="bold", color=INK, va="bottom")
    return cells


WEEK = 7.0
"""Distance of two Mondays on an axis of weeks [days]."""
_WEEKS_APART = 0.12


def week_places(mondays: Iterable[Any]) -> Floats:
    """Where weeks lie on an axis of dates [matplotlib's days]."""
    stamps = pd.DatetimeIndex([pd.Timestamp(monday).tz_localize(None) for monday in mondays])
    places: Floats = date2num(stamps)  # type: ignore[no-untyped-call]  # matplotlib's stubs leave dates out
    return places


def week_axis(ax: Axes, mondays: Iterable[Any]) -> None:
    """Lay an axis of dates over the weeks from the first to the last; label as many Mondays as have room."""
    places = week_places(mondays)
    first, last = places.min(), places.max()
    slot = rectangle_of(ax).width / ((last - first) / WEEK + 1)
    every = max(1, ceil((width(day_of_year("2026-03-30"), SMALL_PT) + _WEEKS_APART) / slot))
    ax.xaxis_date()
    ax.xaxis.set_major_locator(WeekdayLocator(byweekday=MO, interval=every))  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_formatter(numbers_as(lambda place: day_of_year(num2date(place))))  # type: ignore[no-untyped-call]
    ax.tick_params(axis="x", labelsize=SMALL_PT)
    ax.set_xlim(first - 0.6 * WEEK, last + 0.6 * WEEK)


class ShortDates(ConciseDateFormatter):
    """Matplotlib's short dates, with the months of the language in which they were made."""

    def __init__(self, locator: Any, **kwargs: Any) -> None:
        super().__init__(locator, **kwargs)  # type: ignore[no-untyped-call]
        self._spoken = language()

    def format_ticks(self, values: Any) -> list[str]:
        """Write all dates of an axis."""
        with in_language(self._spoken):
            return [months(text) for text in super().format_ticks(values)]  # type: ignore[no-untyped-call]

    def get_offset(self) -> str:
        """Write what all dates have in common."""
        with in_language(self._spoken):
            return months(super().get_offset())  # type: ignore[no-untyped-call]


_LABEL_JOIN, _LABEL_TEXT = 0.1, 0.14


def label_beside(ax: Axes, requested: Sequence[float], texts: Sequence[str], inks: Sequence[str]) -> None:
    """
    Write texts beside their heights on the y axis, moved apart where they would overlap; set the limits first.

    What lies above the axis is named at its upper end, without a joining line.
    """
    box = rectangle_of(ax)
    top = ax.get_ylim()[1]
    gap = line_height(SMALL_PT) * top / box.height
    heights = spread([min(height, top) for height in requested], gap, low=gap / 2, high=top + gap / 2)
    beside = blended_transform_factory(ax.transAxes, ax.transData)
    for height, y, text, ink in zip(requested, heights, texts, inks, strict=True):
        if height <= top:
            ax.plot([1, 1 + _LABEL_JOIN / box.width], [height, y], color=ink, lw=0.6, transform=beside, clip_on=False)
        ax.text(1 + _LABEL_TEXT / box.width, y, text, transform=beside, size=SMALL_PT, color=ink, va="center_baseline")


def spread(requested: Sequence[float], gap: float, *, low: float = -np.inf, high: float = np.inf) -> list[float]:
    """
    Move positions apart until neighbors are `gap` from each other, keeping their order.

    They stay near their place, and between `low` and `high`; where there is no room for all, they go on beyond `high`.
    """
    moved = _apart(requested, gap)
    order = sorted(range(len(requested)), key=lambda place: (moved[place], place))
    for rank, place in enumerate(reversed(order)):
        moved[place] = min(moved[place], high - rank * gap)
    for rank, place in enumerate(order):
        moved[place] = max(moved[place], low + rank * gap)
    return moved


def _apart(requested: Sequence[float], gap: float) -> list[float]:
    """Join what is too close into blocks around their common middle."""
    order = sorted(range(len(requested)), key=lambda place: requested[place])
    blocks: list[list[int]] = []
    centers: list[float] = []
    for place in order:
        blocks.append([place])
        centers.append(requested[place])
        while len(blocks) > 1 and centers[-1] - centers[-2] < gap * (len(blocks[-1]) + len(blocks[-2])) / 2:
            joined = blocks.pop(-2) + blocks.pop()
            del centers[-2:]
            blocks.append(joined)
            centers.append(sum(requested[member] for member in joined) / len(joined))
    moved = [0.0] * len(requested)
    for block, center in zip(blocks, centers, strict=True):
        for rank, place in enumerate(block):
            moved[place] = center + (rank - (len(block) - 1) / 2) * gap
    return moved


_SWATCH, _BESIDE, _APART, _PITCH = 0.2, 0.06, 0.16, line_height(SMALL_PT) + 0.03
"""Widths of a legend's swatch and gaps, and distance of its lines [inches]."""


def legend_height(words: Sequence[str], room: float) -> float:
    """Room that a legend needs [inches]."""
    return ceil(len(words) / max(_legend_columns(words, room), 1)) * _PITCH + 0.04


def draw_legend(page: Page, marks: Mapping[str, Mark]) -> None:
    """Explain areas at the top of the page: a swatch and its words for each meaning."""
    # A hatch takes the color of the edge, so that the outline is drawn apart.
    swatches = [
        (
            Patch(facecolor=mark.fill, edgecolor=mark.hatch_ink, hatch=mark.hatch or None, lw=0),
            Patch(facecolor="none", edgecolor=mark.ink, lw=0.6),
        )
        for mark in marks.values()
    ]
    place_legend(page, swatches, list(marks), columns=_legend_columns(list(marks), page.width), swatch=_SWATCH)


def place_legend(
    page: Page, handles: Sequence[Any], words: Sequence[str], *, columns: int, swatch: float, apart: float = _APART
) -> None:
    """Put matplotlib's legend into the upper left corner of the page, without a frame [lengths in inches]."""
    em = SMALL_PT / 72
    page.ax.legend(
        handles,
        words,
        ncols=columns,
        loc="upper left",
        bbox_to_anchor=(page.x(0), page.y(page.height)),
        bbox_transform=page.figure.transFigure,
        frameon=False,
        borderpad=0,
        borderaxespad=0,
        fontsize=SMALL_PT * look().scale,  # its lengths follow from it, and cannot be changed later
        labelcolor=INK,
        handlelength=swatch / em,
        handletextpad=_BESIDE / em,
        columnspacing=apart / em,
        labelspacing=_PITCH / em - 1,
    )


def _legend_columns(words: Sequence[str], room: float) -> int:
    """Choose the most columns that fit; matplotlib fills them one after the other."""
    for columns in range(len(words), 1, -1):
        split = [part for part in np.array_split(np.array(words, dtype=object), columns) if len(part)]
        if sum(_SWATCH + _BESIDE + widest(part, SMALL_PT) + _APART for part in split) - _APART <= room:
            return columns
    return 1


_LIGHTEST = 0.06
_LINEAR_UP_TO = 0.04045
_MIDDLE = 0.179
_CELL_SIDE = 0.94


def shade(rate: float, top: float, mark: Mark) -> str:
    """Mix the background with the ink of a meaning, in proportion to the rate."""
    paper, ink = (DARK_PAPER, DARK_INKS[mark.ink]) if look().dark else (PAPER, mark.ink)
    part = _LIGHTEST + (1 - _LIGHTEST) * min(max(rate / top, 0.0), 1.0) if top else _LIGHTEST
    red, green, blue = (
        (1 - part) * below + part * above for below, above in zip(to_rgb(paper), to_rgb(ink), strict=True)
    )
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
