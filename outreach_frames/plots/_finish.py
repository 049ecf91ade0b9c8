"""Turn a picture as it was laid out, at the size of a page and in light colors, into the size and colors of a theme."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import Collection
from matplotlib.colors import to_hex, to_rgba
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, Patch
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation, Text
from matplotlib.ticker import FixedLocator

from outreach_frames.plots._style import DARK_FILLS, DARK_INKS, DARK_PAPER, HALO_PT, PAPER
from outreach_frames.plots._theme import Look

_SCALED_TICKS = ("length", "width", "pad", "labelsize", "grid_linewidth")
_COLORED_TICKS = ("color", "labelcolor", "grid_color")
_TEXT_INKS = {light: dark for light, dark in DARK_INKS.items() if light != PAPER}
"""A white text is white because it stands on a dark cell."""


def finish(ax: Axes, look: Look) -> None:
    """Give an Axes and everything in it the size and the colors of a theme; once."""
    if look.scale == 1 and not look.dark:
        return
    _Finish(look).everything(ax)


class _Finish:
    def __init__(self, look: Look) -> None:
        self._scale = look.scale
        self._inks: Mapping[str, str] = DARK_INKS if look.dark else {}
        self._fills: Mapping[str, str] = DARK_FILLS if look.dark else {}
        self._texts: Mapping[str, str] = _TEXT_INKS if look.dark else {}
        self._paper = DARK_PAPER if look.dark else PAPER

    def everything(self, artist: Artist, *, sized: bool = False) -> None:
        """Go through the artists; texts that are `sized` have their size already."""
        match artist:
            case Axis():
                self._axis(artist)
                return
            case Text():
                self._text(artist, 1.0 if sized else self._scale)
            case Line2D():
                self._line(artist)
            case Patch():
                self._patch(artist)
            case Collection():
                self._collection(artist)
            case _:
                pass
        for child in artist.get_children():
            self.everything(child, sized=sized or isinstance(artist, Legend))

    def _axis(self, axis: Axis) -> None:
        """Change ticks by their parameters, since further ones are made while a figure is drawn."""
        tick = axis.get_major_ticks(1)[0]
        now: dict[str, Any] = {
            "length": tick.tick1line.get_markersize(),
            "width": tick.tick1line.get_markeredgewidth(),
            "pad": mpl.rcParams["xtick.major.pad" if axis is axis.axes.xaxis else "ytick.major.pad"],
            "labelsize": tick.label1.get_fontsize(),
            "color": tick.tick1line.get_color(),
            "labelcolor": tick.label1.get_color(),
            "grid_color": tick.gridline.get_color(),
            "grid_linewidth": tick.gridline.get_linewidth(),
            **axis.get_tick_params(which="major"),
        }
        chosen = axis.get_majorticklabels() if isinstance(axis.get_major_locator(), FixedLocator) else []
        looks = [(float(label.get_fontsize()), label.get_color()) for label in chosen]
        changed = {name: now[name] * self._scale for name in _SCALED_TICKS}
        changed |= {name: _mapped(now[name], self._inks) for name in _COLORED_TICKS}
        axis.set_tick_params(which="major", **changed)
        for label, (size, color) in zip(chosen, looks, strict=True):
            label.set(size=size * self._scale, color=_mapped(color, self._texts))
        axis.labelpad *= self._scale
        self._text(axis.label, self._scale)

    def _text(self, text: Text, scale: float) -> None:
        text.set(size=float(text.get_fontsize()) * scale, color=_mapped(text.get_color(), self._texts))
        if text.get_path_effects():
            text.set_path_effects([withStroke(linewidth=HALO_PT * scale, foreground=self._paper)])
        if isinstance(text, Annotation):
            if text.anncoords == "offset points":
                x, y = text.xyann
                text.xyann = (x * scale, y * scale)
            if text.arrow_patch is not None:
                self._arrow(text.arrow_patch, scale)

    def _arrow(self, arrow: FancyArrowPatch, scale: float) -> None:
        arrow.shrinkA *= scale
        arrow.shrinkB *= scale
        self._patch(arrow)

    def _line(self, line: Line2D) -> None:
        line.set(
            linewidth=line.get_linewidth() * self._scale,
            markersize=line.get_markersize() * self._scale,
            markeredgewidth=line.get_markeredgewidth() * self._scale,
            markerfacecolor=_mapped(line.get_markerfacecolor(), {**self._inks, **self._fills}),
            markeredgecolor=_mapped(line.get_markeredgecolor(), self._inks),
            color=_mapped(line.get_color(), self._inks),
        )

    def _patch(self, patch: Patch) -> None:
        patch.set_linewidth(patch.get_linewidth() * self._scale)
        patch.set_facecolor(_mapped(patch.get_facecolor(), {**self._inks, **self._fills}))
        patch.set_edgecolor(_mapped(patch.get_edgecolor(), {**self._fills, **self._inks}))

    def _collection(self, collection: Collection) -> None:
        collection.set_linewidth([width * self._scale for width in np.ravel(collection.get_linewidth())])
        faces, edges = collection.get_facecolor(), collection.get_edgecolor()
        if len(faces):
            collection.set_facecolor([_mapped(each, {**self._inks, **self._fills}) for each in faces])
        if len(edges):
            collection.set_edgecolor([_mapped(each, {**self._fills, **self._inks}) for each in edges])


def _mapped(color: Any, colors: Mapping[str, str]) -> Any:
    """Return the color of the theme for one of the layout, with the same opacity; others stay."""
    if isinstance(color, str) and color in {"none", "auto"}:
        return color
    red, green, blue, opacity = to_rgba(color)
    other = colors.get(to_hex((red, green, blue)).upper())
    return color if other is None else to_rgba(other, opacity)
