"""
Layout: the page with its heading and definition, and small multiples.

Every ``plot_*`` function returns the Axes it was given, or one on a new figure 7 inches wide. A picture with one panel
draws into that Axes; small multiples draw into insets of it (``ax.child_axes``) and leave the Axes itself invisible.
Everything, labels and footnote included, stays inside the rectangle that the Axes had: nothing runs into neighbors.

A new figure is not registered with pyplot, so none is left open, and no current figure changes. Its Axes shows itself
as the last value of a notebook cell; elsewhere it is saved with ``ax.figure.savefig(...)``. For a window or an
arrangement of one's own, pass ``ax=``.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from math import ceil
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Affine2D, Bbox

from outreach_frames._format import type_name
from outreach_frames.errors import DataError
from outreach_frames.plots._formatting import fold, line_height
from outreach_frames.plots._style import INK, LABEL_PT, MUTED, SETTINGS, SMALL_PT, TITLE_PT, families, theme

WIDTH = 7.0
"""Width of a new figure [inches]: a page in portrait with its margins."""
_PAD = 0.12
_HEADING_AND_FOOTNOTE = 1.3
_DPI = 200
_SCREEN_DPI = 96


class PlotFigure(Figure):
    """A figure that is drawn with the same settings as it was laid out with, whatever they are when it is saved."""

    outreach_alt = ""

    def draw(self, renderer: Any) -> None:
        """Draw all artists inside `theme`."""
        with theme():
            super().draw(renderer)


class ShownAxes(Axes):
    """Axes of a new figure, which a notebook shows as a picture with its alternative text."""

    def _repr_mimebundle_(self, **_kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        figure = root_of(self)
        buffer = BytesIO()
        figure.savefig(buffer, format="png", dpi=_DPI)
        text = alternative_text(figure)
        wide, high = (round(inches * _SCREEN_DPI) for inches in figure.get_size_inches())
        return (
            {"image/png": buffer.getvalue(), "text/plain": text},
            {"image/png": {"width": wide, "height": high, "alt": text}},
        )


def alternative_text(figure: Figure) -> str:
    """Return what `Page.describe` has said of the pictures on this figure."""
    return str(getattr(figure, "outreach_alt", ""))


@dataclass(frozen=True, slots=True)
class Page:
    """
    The rectangle left for the picture between heading and footnote.

    Attributes
    ----------
    ax
        The Axes to draw into and to return.
    left, bottom, width, height
        The rectangle, from the lower left corner of the whole figure [inches].
    """

    ax: Axes
    left: float
    bottom: float
    width: float
    height: float

    @property
    def figure(self) -> Figure:
        """The whole figure, also where the Axes lies in a subfigure."""
        return root_of(self.ax)

    def place(self, left: float, bottom: float, width: float, height: float) -> Axes:
        """Move the Axes itself to a rectangle of the page [inches from the page's lower left corner]."""
        owner = self.ax.get_figure(root=False)
        pixels = self._bounds(left, bottom, width, height).transformed(Affine2D().scale(self.figure.dpi))
        self.ax.set_position(pixels.transformed(owner.transSubfigure.inverted()))  # type: ignore[union-attr]
        return self.ax

    def panel(self, left: float, bottom: float, width: float, height: float, **kwargs: Any) -> Axes:
        """Add an inset at a rectangle of the page [inches from the page's lower left corner]."""
        bounds = self._fractions(self._bounds(left, bottom, width, height)).bounds
        return self.ax.inset_axes(bounds, transform=self.figure.transFigure, **kwargs)

    def within(self, ax: Axes) -> Bbox:
        """Find where an Axes lies on the page [inches from the page's lower left corner]."""
        return rectangle_of(ax).translated(-self.left, -self.bottom)

    def x(self, inches: float) -> float:
        """Turn a distance from the page's left edge into a fraction of the figure's width."""
        return (self.left + inches) / float(self.figure.get_figwidth())

    def y(self, inches: float) -> float:
        """Turn a distance from the page's lower edge into a fraction of the figure's height."""
        return (self.bottom + inches) / float(self.figure.get_figheight())

    def write(self, x: float, y: float, text: str, **kwargs: Any) -> None:
        """Write a text at a point of the page [inches from the page's lower left corner]."""
        self.ax.text(self.x(x), self.y(y), text, transform=self.figure.transFigure, clip_on=False, **kwargs)

    def hide_frame(self) -> None:
        """Leave only the texts and insets of the Axes: what small multiples and an empty result need."""
        self.place(0, 0, self.width, self.height)
        self.ax.set_axis_off()

    def describe(self, text: str) -> None:
        """Add the alternative text of this picture to ``figure.outreach_alt``."""
        before = alternative_text(self.figure)
        vars(self.figure)["outreach_alt"] = f"{before} {text}".strip()

    def _bounds(self, left: float, bottom: float, width: float, height: float) -> Bbox:
        return Bbox.from_bounds(self.left + left, self.bottom + bottom, max(width, 0.05), max(height, 0.05))

    def _fractions(self, inches: Bbox) -> Bbox:
        return inches.transformed(Affine2D().scale(*(1 / side for side in self.figure.get_size_inches())))


def root_of(ax: Axes) -> Figure:
    figure = ax.get_figure(root=True)
    if not isinstance(figure, Figure):
        raise TypeError("The Axes given as ax= belongs to no figure.")
    return figure


def open_page(ax: Axes | None, *, title: str, subtitle: str, footnote: str, height: float) -> Page:
    """
    Start a picture: make the figure where none is given, write heading and footnote, return the room between.

    Parameters
    ----------
    height
        Room the picture would like [inches]. A new figure gives it; the rectangle of `ax` is what it is.
    """
    if ax is not None:
        _settle(ax)
    room = (WIDTH if ax is None else rectangle_of(ax).width) - 2 * _PAD
    title = fold(title, room, lines=2, size=TITLE_PT, weight="bold")
    subtitle = fold(subtitle, room, lines=3, size=LABEL_PT).replace(" ·\n", "\n")
    footnote = fold(footnote, room, size=SMALL_PT)
    above = _height(title, TITLE_PT) + _height(subtitle, LABEL_PT) + 0.06
    below = _height(footnote, SMALL_PT) + 0.08
    if ax is None:
        figure = PlotFigure(figsize=(WIDTH, height + above + below + 2 * _PAD), dpi=_DPI)
        ax = figure.add_axes((0, 0, 1, 1), axes_class=ShownAxes)
    dress(ax)
    box = rectangle_of(ax)
    page = Page(ax, box.x0 + _PAD, box.y0 + _PAD + below, room, max(box.height - above - below - 2 * _PAD, 0.05))
    page.write(0, page.height + above, title, size=TITLE_PT, weight="bold", va="top", color=INK)
    page.write(0, page.height + above - _height(title, TITLE_PT), subtitle, size=LABEL_PT, va="top", color=MUTED)
    page.write(0, -below, footnote, size=SMALL_PT, va="bottom", color=MUTED)
    return page


def lines_that_fit(ax: Axes | None, each: float, *, fixed: float) -> int:
    """How many lines of a height a given Axes has room for, besides what is fixed [inches]; a new figure for all."""
    if ax is None:
        return sys.maxsize
    _settle(ax)
    return max(1, int((rectangle_of(ax).height - _HEADING_AND_FOOTNOTE - fixed) / each))


def dress(ax: Axes) -> None:
    """Give axes that were made elsewhere the frame, ticks and fonts of `theme`; call it inside one."""
    fonts = list(families())
    for side, spine in ax.spines.items():
        spine.set(
            visible=SETTINGS.get(f"axes.spines.{side}", True),
            edgecolor=SETTINGS["axes.edgecolor"],
            linewidth=SETTINGS["axes.linewidth"],
        )
    ax.set_axisbelow(True)
    ax.set_facecolor(SETTINGS["axes.facecolor"])
    for axis, name in ((ax.xaxis, "xtick"), (ax.yaxis, "ytick")):
        axis.set_tick_params(
            length=SETTINGS[f"{name}.major.size"],
            color=SETTINGS[f"{name}.color"],
            labelcolor=SETTINGS[f"{name}.labelcolor"],
            labelsize=SETTINGS[f"{name}.labelsize"],
            labelfontfamily=fonts,
            grid_color=SETTINGS["grid.color"],
            grid_linewidth=SETTINGS["grid.linewidth"],
            grid_linestyle=SETTINGS["grid.linestyle"],
        )
        axis.label.set(size=SETTINGS["axes.labelsize"], color=SETTINGS["axes.labelcolor"], family=fonts)
        axis.label.set_parse_math(SETTINGS["text.parse_math"])


def _settle(ax: Axes) -> None:
    """Let the figure's layout move the Axes now: by itself it does so only when the figure is drawn."""
    if not isinstance(ax, Axes):
        raise DataError(f"ax= is {type_name(ax)}.", hint="Pass one Axes of matplotlib; of several, one by one.")
    figure = root_of(ax)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)


def rectangle_of(ax: Axes) -> Bbox:
    """Find the rectangle of an Axes, from the lower left corner of the whole figure [inches]."""
    figure = root_of(ax)
    return ax.bbox.transformed(Affine2D().scale(1 / figure.dpi)).frozen()


def _height(text: str, size: float) -> float:
    return (text.count("\n") + 1) * line_height(size)


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
