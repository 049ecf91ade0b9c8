"""A key of colours and hatches above a picture, for more series than can be labelled directly."""

from collections.abc import Iterable, Mapping

from outreach_frames.plots._axes import blocks
from outreach_frames.plots._page import Page
from outreach_frames.plots._style import INK, SMALL_PT, Mark
from outreach_frames.plots._text import line_height, width

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
