"""A picture of rows: a label at the left of each, columns of text at its right, and a shared axis below."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.transforms import blended_transform_factory

from outreach_frames.plots._formatting import fold, line_height, widest
from outreach_frames.plots._input import Lines, choose_lines
from outreach_frames.plots._layout import WIDTH, Page, open_page
from outreach_frames.plots._style import INK, LABEL_PT, MUTED, SMALL_PT

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
    page = open_page(ax, height=rows_height(lines.names(names), WIDTH) + above, **heading)
    fits = max(int((page.height - AXIS_ROOM - HEADER_ROOM - above) / LEAST_PITCH), 1)
    if ax is not None and len(lines.groups) > fits:
        lines = choose_lines(order, has_value, fits, apart=apart)
    return page, lines
