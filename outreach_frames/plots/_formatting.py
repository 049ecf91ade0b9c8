"""
Words and numbers as they stand in a picture: percentages, counts, dates, and labels that fit.

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
from outreach_frames.plots._style import LABEL_PT, NO_DATA, families

FEW = 100
"""Below this many trials a percentage is given without decimals."""
_DPI = 144
_SAFE = 1.02
_PERCENT_SIGN = "\N{NARROW NO-BREAK SPACE}%"
_BOX = "\N{WHITE SQUARE}"


def percent(rate: Any, n: Any = None) -> str:
    """Write a fraction as a percentage: one decimal, none below 100 trials, "no data" where it is missing."""
    if pd.isna(rate):
        return NO_DATA
    return points(rate, n) + _PERCENT_SIGN


def interval(rate: Any, low: Any, high: Any, n: Any = None) -> str:
    """Write a rate with its interval, such as ``4.2 % (3.1–5.6)``."""
    if pd.isna(rate) or pd.isna(low) or pd.isna(high):
        return percent(rate, n)
    return f"{percent(rate, n)} ({points(low, n)}–{points(high, n)})"


def stretch(rates: Iterable[float], n: Any = None) -> str:
    """Write the range of several rates, such as ``2.1–4.0 %``."""
    known = [rate for rate in rates if not pd.isna(rate)]
    return f"{points(min(known), n)}–{points(max(known), n)}{_PERCENT_SIGN}" if known else "–"


def signed_points(difference: Any) -> str:
    """Write a difference of fractions in percentage points, with its sign, such as ``+1.2``."""
    rounded = round(100 * float(difference), 1)
    return f"{rounded:+.1f}".replace("-", "−") if rounded else "0"


def chance(probability: Any) -> str:
    """Write a probability in whole percent, without the certainty of 0 or 100."""
    if pd.isna(probability):
        return "–"
    rounded = round(100 * float(probability))
    return f"{'<1' if rounded < 1 else '>99' if rounded > 99 else rounded}{_PERCENT_SIGN}"  # noqa: PLR2004  the ends


def points(rate: float, n: Any) -> str:
    """Write a fraction in percent without the sign."""
    hundredths = 100 * float(rate)
    decimals = 0 if n is not None and not pd.isna(n) and n < FEW else 1
    smallest = 10.0**-decimals
    if 0 < hundredths < smallest / 2:
        return f"<{smallest:g}"
    return f"{hundredths:.{decimals}f}"


def count(number: Any) -> str:
    """Write a whole number with separators for thousands; a missing one as an en dash."""
    return "–" if pd.isna(number) else f"{round(number):,}"


def amount(number: Any) -> str:
    """Write an amount in at most three or four figures: thousands as "k", millions as "M"."""
    if pd.isna(number):
        return "–"
    for size, unit in ((1e9, "bn"), (1e6, "M"), (1e4, "k")):
        if abs(number) >= size:
            scaled = number / (1e3 if unit == "k" else size)
            return f"{float(f'{scaled:.3g}'):,g}\N{NARROW NO-BREAK SPACE}{unit}"
    return count(number) if float(number).is_integer() or abs(number) >= FEW else f"{number:.1f}"


def counted(number: Any, noun: str) -> str:
    """Write a number with its noun, in the plural unless it is one."""
    return f"{count(number)} {noun if number == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """Form the plural of an English noun as this package uses them."""
    if noun.endswith("y") and not noun.endswith(("ay", "ey", "oy")):
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "ch")) else "s")


def kind_of(value: object) -> str:
    """Name what kind of thing a value is, such as "a list" or "a polars DataFrame"."""
    library, _, _ = type(value).__module__.partition(".")
    name = type(value).__name__ if library == "builtins" else f"{library} {type(value).__name__}"
    return "None" if value is None else f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def day(instant: Any) -> str:
    """Write a date such as ``31 Mar 2026``."""
    moment = pd.Timestamp(instant)
    return f"{moment.day} {moment:%b %Y}"


def moment(instant: Any) -> str:
    """Write an instant such as ``31 Mar 2026, 14:05 UTC``; midnight is left out."""
    stamp = pd.Timestamp(instant)
    stamp = stamp.tz_localize("UTC") if stamp.tz is None else stamp.tz_convert("UTC")
    return f"{day(stamp)}, {stamp:%H:%M} UTC"


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
