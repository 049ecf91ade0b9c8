"""
Layout: labels that fit, and the page with its heading and definition.

Every ``plot_*`` function returns the Axes it was given, or one on a new figure 7 inches wide. A picture with one panel
draws into that Axes; small multiples draw into insets of it (``ax.child_axes``) and leave the Axes itself invisible.
Everything, labels and footnote included, stays inside the rectangle that the Axes had: nothing runs into neighbors.

A new figure is not registered with pyplot, so none is left open, and no current figure changes. Its Axes shows itself
as the last value of a notebook cell; elsewhere it is saved with ``ax.figure.savefig(...)``. For a window or an
arrangement of one's own, pass ``ax=``.

Widths are measured by a renderer with the fonts the picture will use, in inches, so that nothing is cut off or runs
into its neighbor.

All lengths here are those of the layout, at the size of a page. What turns them into those of the figure is `Page`,
`rectangle_of` and `inches_of`.
"""

import re
import sys
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from io import BytesIO
from typing import Any

import pandas as pd
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.transforms import Affine2D, Bbox, CompositeAffine2D

from outreach_frames._format import type_name
from outreach_frames.errors import DataError, OutreachDataWarning
from outreach_frames.plots._finish import finish
from outreach_frames.plots._style import DARK_PAPER, INK, LABEL_PT, MUTED, SETTINGS, SMALL_PT, TITLE_PT
from outreach_frames.plots._theme import families, layout_settings, look

_MEASURING_DPI = 144
_SAFE = 1.02
_BOX = "\N{WHITE SQUARE}"


@cache
def _renderer() -> RendererAgg:
    return RendererAgg(16, 16, _MEASURING_DPI)  # type: ignore[no-untyped-call]


@lru_cache(maxsize=16_384)
def width(text: str, size: float = LABEL_PT, weight: str = "normal") -> float:
    """Measure one line of text [inches]; call it inside `picture`."""
    font = FontProperties(family=list(families()), size=size, weight=weight)
    visible = drawable(text)
    pixels = _renderer().get_text_width_height_descent(visible, font, ismath=False)[0]  # type: ignore[no-untyped-call]
    return float(pixels) / _MEASURING_DPI * _SAFE


def widest(texts: Iterable[str], size: float = LABEL_PT, weight: str = "normal") -> float:
    """Measure the longest line among the texts [inches]; 0 where there are none."""
    lines = (line for text in texts for line in text.split("\n"))
    return max((width(line, size, weight) for line in lines), default=0.0)


def line_height(size: float) -> float:
    """Height of one line with its leading [inches]."""
    return size * 1.42 / 72


def fold(text: str, room: float, *, lines: int | None = None, size: float = LABEL_PT, weight: str = "normal") -> str:
    """
    Break a text into lines that fit the room [inches].

    Where it needs more than `lines`, the last one keeps its beginning and its end around an ellipsis: names that
    differ often do so at the end, as in "… v1" and "… v2".
    """
    folded = _fold_greedily(drawable(text), room, size, weight)
    if lines is None or len(folded) <= lines:
        return "\n".join(folded)
    remaining = folded[: lines - 1]
    rest = " ".join(folded[lines - 1 :])
    return "\n".join([*remaining, shorten(rest, room, size=size, weight=weight)])


def _fold_greedily(text: str, room: float, size: float, weight: str) -> list[str]:
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        if width(joined, size, weight) <= room:
            line = joined
            continue
        if line:
            lines.append(line)
        pieces = _cut(word, room, size, weight)
        lines.extend(pieces[:-1])
        line = pieces[-1]
    return [*lines, line]


def _cut(word: str, room: float, size: float, weight: str) -> list[str]:
    """Cut a word that is wider than the room, before an @ sign if that helps; every piece holds at least one letter."""
    user, at, domain = word.partition("@")
    if at and user and width(user, size, weight) <= room:
        return [user, *_cut(at + domain, room, size, weight)]
    pieces = [""]
    for letter in word:
        if pieces[-1] and width(pieces[-1] + letter, size, weight) > room:
            pieces.append("")
        pieces[-1] += letter
    return pieces


def shorten(text: str, room: float, *, size: float = LABEL_PT, weight: str = "normal") -> str:
    """Fit a text on one line by leaving out its middle."""
    text = drawable(text)
    if width(text, size, weight) <= room:
        return text
    for remaining in range(len(text) - 1, 1, -1):
        tail = remaining // 3
        candidate = f"{text[: remaining - tail].rstrip()}…{text[len(text) - tail :].lstrip()}"
        if width(candidate, size, weight) <= room:
            return candidate
    return "…"


def distinct(names: Sequence[Any], keys: Sequence[Any]) -> list[str]:
    """
    Make labels that differ from each other: the key is added to equal names and to names no font can draw.

    Line breaks and runs of blanks become one blank; a missing name is replaced by its key.
    """
    clean = ["" if pd.isna(name) else " ".join(str(name).split()) for name in names]
    bearers = Counter(clean)
    return [
        f"{name} #{key}".strip() if bearers[name] > 1 or not drawable(name) or _BOX in drawable(name) else name
        for name, key in zip(clean, keys, strict=True)
    ]


@lru_cache(maxsize=16_384)
def drawable(text: str) -> str:
    """
    Replace what no font can draw.

    Pictographs and control characters are left out. Letters that no font has (Chinese, Japanese, Korean and others, on
    a machine without such a font) become boxes, and an `OutreachDataWarning` says what to install.
    """
    present = _glyphs()
    remaining = []
    for letter in unicodedata.normalize("NFC", text):
        category = unicodedata.category(letter)
        if letter == "\n" or (ord(letter) in present and category[0] != "C" and letter != "\N{VARIATION SELECTOR-16}"):
            remaining.append(letter)
        elif category[0] == "L":
            remaining.append(_BOX)
    if _BOX in remaining and _BOX not in text:
        warnings.warn(
            "Some names have letters that no installed font can draw; they are drawn as boxes. "
            "Hint: install a font for the script, such as Noto Sans CJK (fonts-noto-cjk on Debian).",
            OutreachDataWarning,
            stacklevel=2,
        )
    return re.sub(" {2,}", " ", "".join(remaining)).strip()


@cache
def _glyphs() -> frozenset[int]:
    fonts = (font_manager.get_font(font_manager.findfont(name)) for name in families())
    return frozenset(code for font in fonts for code in font.get_charmap())


_PAD = 0.12
_HEADING_AND_FOOTNOTE = 1.3
_SCREEN_DPI = 96
_opened: list[list[Axes]] = []
"""The Axes of the pictures that are being drawn."""


@contextmanager
def picture() -> Iterator[None]:
    """Lay out pictures inside a ``with`` block; at its end they get the size and the colors of the theme."""
    _opened.append([])
    try:
        with layout_settings():
            yield
            for ax in _opened[-1]:
                finish(ax, look())
    finally:
        _opened.pop()


def page_width() -> float:
    """Width of a new figure, as it is laid out [inches]."""
    return look().width


def is_fixed(ax: Axes | None) -> bool:
    """Tell whether the room is what it is: that of a given Axes, or of a size with a height of its own."""
    return ax is not None or look().height is not None


class _PlotFigure(Figure):
    """A figure that is drawn with the same settings as it was laid out with, whatever they are when it is saved."""

    outreach_alt = ""

    def draw(self, renderer: Any) -> None:
        """Draw all artists with the settings of the layout."""
        with layout_settings():
            super().draw(renderer)


class _NotebookAxes(Axes):
    """Axes of a new figure, which a notebook shows as a picture with its alternative text."""

    def _repr_mimebundle_(self, **_kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        figure = root_of(self)
        buffer = BytesIO()
        figure.savefig(buffer, format="png", dpi=figure.dpi)
        text = _alternative_text(figure)
        wide, high = (round(inches * _SCREEN_DPI) for inches in figure.get_size_inches())
        return (
            {"image/png": buffer.getvalue(), "text/plain": text},
            {"image/png": {"width": wide, "height": high, "alt": text}},
        )


def _alternative_text(figure: Figure) -> str:
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
        pixels = self._bounds(left, bottom, width, height).transformed(inches_of(self.ax))
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
        return (self.left + inches) * look().scale / float(self.figure.get_figwidth())

    def y(self, inches: float) -> float:
        """Turn a distance from the page's lower edge into a fraction of the figure's height."""
        return (self.bottom + inches) * look().scale / float(self.figure.get_figheight())

    def write(self, x: float, y: float, text: str, **kwargs: Any) -> None:
        """Write a text at a point of the page [inches from the page's lower left corner]."""
        self.ax.text(self.x(x), self.y(y), text, transform=self.figure.transFigure, clip_on=False, **kwargs)

    def hide_frame(self) -> None:
        """Leave only the texts and insets of the Axes: what small multiples and an empty result need."""
        self.place(0, 0, self.width, self.height)
        self.ax.set_axis_off()

    def describe(self, text: str) -> None:
        """Add the alternative text of this picture to ``figure.outreach_alt``."""
        before = _alternative_text(self.figure)
        vars(self.figure)["outreach_alt"] = f"{before} {text}".strip()

    def _bounds(self, left: float, bottom: float, width: float, height: float) -> Bbox:
        return Bbox.from_bounds(self.left + left, self.bottom + bottom, max(width, 0.05), max(height, 0.05))

    def _fractions(self, inches: Bbox) -> Bbox:
        return inches.transformed(Affine2D().scale(*(look().scale / side for side in self.figure.get_size_inches())))


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
    room = (page_width() if ax is None else rectangle_of(ax).width) - 2 * _PAD
    title = fold(title, room, lines=2, size=TITLE_PT, weight="bold")
    subtitle = fold(subtitle, room, lines=3, size=LABEL_PT).replace(" ·\n", "\n")
    footnote = fold(footnote, room, size=SMALL_PT)
    above = _height(title, TITLE_PT) + _height(subtitle, LABEL_PT) + 0.06
    below = _height(footnote, SMALL_PT) + 0.08
    if ax is None:
        size = page_width(), look().height or height + above + below + 2 * _PAD
        figure = _PlotFigure(figsize=(size[0] * look().scale, size[1] * look().scale), dpi=look().dpi)
        ax = figure.add_axes((0, 0, 1, 1), axes_class=_NotebookAxes)
        if look().dark:
            figure.set_facecolor(DARK_PAPER)
    elif look().dark:
        _lay_paper(ax)
    _dress(ax)
    if _opened:
        _opened[-1].append(ax)
    box = rectangle_of(ax)
    page = Page(ax, box.x0 + _PAD, box.y0 + _PAD + below, room, max(box.height - above - below - 2 * _PAD, 0.05))
    page.write(0, page.height + above, title, size=TITLE_PT, weight="bold", va="top", color=INK)
    page.write(0, page.height + above - _height(title, TITLE_PT), subtitle, size=LABEL_PT, va="top", color=MUTED)
    page.write(0, -below, footnote, size=SMALL_PT, va="bottom", color=MUTED)
    return page


def lines_that_fit(ax: Axes | None, each: float, *, fixed: float) -> int:
    """How many lines of a height a given Axes has room for, besides what is fixed [inches]; a new figure for all."""
    height = look().height
    if ax is not None:
        _settle(ax)
        height = rectangle_of(ax).height
    return sys.maxsize if height is None else max(1, int((height - _HEADING_AND_FOOTNOTE - fixed) / each))


def _lay_paper(ax: Axes) -> None:
    """Lay a dark rectangle below everything in a given Axes, whose figure may be light."""
    owner = ax.get_figure(root=False)
    corner, width, height = ax.get_position().p0, *ax.get_position().size
    paper = Rectangle(corner, width, height, transform=owner.transSubfigure, color=DARK_PAPER, lw=0, zorder=-1)  # type: ignore[union-attr]
    owner.add_artist(paper)  # type: ignore[union-attr]


def _dress(ax: Axes) -> None:
    """Give axes that were made elsewhere the frame, ticks and fonts of the layout; call it inside `picture`."""
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
    """Find the rectangle of an Axes, from the lower left corner of the whole figure [inches of the layout]."""
    return ax.bbox.transformed(inches_of(ax).inverted()).frozen()


def inches_of(ax: Axes) -> CompositeAffine2D:
    """Turn inches of the layout into pixels, at whatever resolution the figure is drawn."""
    return CompositeAffine2D(Affine2D().scale(look().scale), root_of(ax).dpi_scale_trans)


def _height(text: str, size: float) -> float:
    return (text.count("\n") + 1) * line_height(size)
