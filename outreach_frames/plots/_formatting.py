"""
Labels that fit into a picture.

Widths are measured by a renderer with the fonts the picture will use, in inches, so that nothing is cut off or runs
into its neighbor.
"""

import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from typing import Any

import pandas as pd
from matplotlib import font_manager
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties

from outreach_frames.errors import OutreachDataWarning
from outreach_frames.plots._style import LABEL_PT, families

_DPI = 144
_SAFE = 1.02
_BOX = "\N{WHITE SQUARE}"


@cache
def _renderer() -> RendererAgg:
    return RendererAgg(16, 16, _DPI)  # type: ignore[no-untyped-call]


@lru_cache(maxsize=16_384)
def width(text: str, size: float = LABEL_PT, weight: str = "normal") -> float:
    """Measure one line of text [inches]; call it inside `theme`."""
    font = FontProperties(family=list(families()), size=size, weight=weight)
    shown = drawable(text)
    pixels = _renderer().get_text_width_height_descent(shown, font, ismath=False)[0]  # type: ignore[no-untyped-call]
    return float(pixels) / _DPI * _SAFE


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
    kept = folded[: lines - 1]
    rest = " ".join(folded[lines - 1 :])
    return "\n".join([*kept, shorten(rest, room, size=size, weight=weight)])


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
    for kept in range(len(text) - 1, 1, -1):
        tail = kept // 3
        candidate = f"{text[: kept - tail].rstrip()}…{text[len(text) - tail :].lstrip()}"
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
    known = _glyphs()
    kept = []
    for letter in unicodedata.normalize("NFC", text):
        category = unicodedata.category(letter)
        if letter == "\n" or (ord(letter) in known and category[0] != "C" and letter != "\N{VARIATION SELECTOR-16}"):
            kept.append(letter)
        elif category[0] == "L":
            kept.append(_BOX)
    if _BOX in kept and _BOX not in text:
        warnings.warn(
            "Some names have letters that no installed font can draw; they are drawn as boxes. "
            "Hint: install a font for the script, such as Noto Sans CJK (fonts-noto-cjk on Debian).",
            OutreachDataWarning,
            stacklevel=2,
        )
    return re.sub(" {2,}", " ", "".join(kept)).strip()


@cache
def _glyphs() -> frozenset[int]:
    fonts = (font_manager.get_font(font_manager.findfont(name)) for name in families())
    return frozenset(code for font in fonts for code in font.get_charmap())
