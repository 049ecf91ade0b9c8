"""Cells shaded by a rate, from white at zero to a meaning's own colour; the number in the cell says the same."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import Rectangle

from outreach_frames.plots._axes import HALO
from outreach_frames.plots._style import FAINT, MUTED, SMALL_PT, Mark

_LIGHTEST = 0.06
_LINEAR_UP_TO = 0.04045
_MIDDLE = 0.179
_SIDE = 0.94


def shade(rate: float, top: float, mark: Mark) -> str:
    """Mix white with the ink of a meaning, in proportion to the rate."""
    part = _LIGHTEST + (1 - _LIGHTEST) * min(max(rate / top, 0.0), 1.0) if top else _LIGHTEST
    red, green, blue = (1 - part * (1 - channel) for channel in to_rgb(mark.ink))
    return to_hex((red, green, blue))


def readable_on(colour: str) -> str:
    """Choose black or white by the relative luminance of WCAG 2.2; one of them has a contrast of 4.5 to 1 at least."""
    linear = (c / 12.92 if c <= _LINEAR_UP_TO else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour))
    luminance = sum(weight * channel for weight, channel in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "#000000" if luminance > _MIDDLE else "#FFFFFF"


def draw_cell(ax: Axes, centre: tuple[float, float], colour: str | None, text: str, gid: str) -> None:
    """Draw a cell with its text; without a colour it is hatched."""
    x, y = centre
    look: dict[str, Any] = (
        {"facecolor": colour} if colour else {"facecolor": "#FFFFFF", "hatch": "////", "edgecolor": FAINT}
    )
    ax.add_patch(Rectangle((x - _SIDE / 2, y - _SIDE / 2), _SIDE, _SIDE, lw=0, gid=gid, **look))
    ink = readable_on(colour) if colour else MUTED
    label = ax.text(x, y, text, size=SMALL_PT, color=ink, ha="center", va="center_baseline", gid=f"{gid}-text")
    if colour is None:
        label.set_path_effects(HALO)
