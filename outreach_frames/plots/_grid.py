"""Small multiples: panels of equal size in rows, each with its name above; at most twelve."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from matplotlib.axes import Axes

from outreach_frames.plots._page import WIDTH, Page, lines_that_fit, rectangle_of
from outreach_frames.plots._style import INK, SMALL_PT
from outreach_frames.plots._text import fold

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
        share is labelled there.
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
        Distance between neighbours [inches].
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
