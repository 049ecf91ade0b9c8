"""Small multiples and what stands in them: weeks, labels beside lines, keys, and shaded cells."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import Rectangle
from matplotlib.transforms import blended_transform_factory

from outreach_frames.plots._axes import HALO, blocks
from outreach_frames.plots._input import Floats
from outreach_frames.plots._layout import WIDTH, Page, fold, line_height, lines_that_fit, rectangle_of, width
from outreach_frames.plots._style import FAINT, INK, MUTED, SMALL_PT, Mark

MOST_PANELS = 12
NAME_ROOM = 0.42
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


def panels_shown(ax: Axes | None, panels: int, cell: float, *, below: float, columns: int | None = None) -> int:
    """How many of so many panels are drawn: at most twelve, and on a given Axes what it has room for."""
    lines = lines_that_fit(ax, cell * _LEAST + NAME_ROOM, fixed=below)
    columns = columns or min(3, _columns_that_fit(WIDTH if ax is None else rectangle_of(ax).width))
    return min(panels, MOST_PANELS, lines * columns)


def grid_height(panels: int, cell: float, *, below: float, columns: int | None = None) -> float:
    """Room for so many panels with their names and the axis title below [inches]."""
    return ceil(max(panels, 1) / (columns or _columns_for(panels, WIDTH))) * (cell + NAME_ROOM) + below


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
        cells.append(Cell(x, y, wide - gap, high - NAME_ROOM, place == 0, column == 0, is_right, is_lowest))
        title = fold(name, wide - 0.1, lines=2, size=SMALL_PT, weight="bold")
        page.write(x, y + high - NAME_ROOM + 0.05, title, size=SMALL_PT, weight="bold", color=INK, va="bottom")
    return cells


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
        visible = range(self.count - 1, -1, -every)
        ax.set_xticks(list(visible), [names[place] for place in visible], size=SMALL_PT)

    def _mondays(self) -> list[pd.Timestamp]:
        return [self.first + pd.Timedelta(weeks=place) for place in range(self.count)]


_LABEL_JOIN, _LABEL_TEXT = 0.1, 0.14


def label_beside(ax: Axes, requested: Sequence[float], texts: Sequence[str], inks: Sequence[str]) -> None:
    """
    Write texts at heights of the y axis, as near as they can stand; set the limits of the axis first.

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
