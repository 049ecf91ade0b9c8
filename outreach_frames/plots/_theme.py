"""
The theme: size, background and language of pictures, and the settings of matplotlib that go with them.

Pictures are laid out at one size, in light colors: that of a page. `outreach_frames.plots._finish` turns what was drawn
into the size and colors of the theme, so that text, lines, markers and small multiples keep their proportions.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, get_args

import matplotlib as mpl
from matplotlib import font_manager

from outreach_frames import _format
from outreach_frames._extras import require
from outreach_frames.errors import DataError
from outreach_frames.plots._style import DARK_INKS, SETTINGS

if TYPE_CHECKING:
    from babel import Locale

Size = Literal["page", "slide", "notebook"]

# Latin, Greek and Cyrillic come with matplotlib; the others are used where the machine has them.
_FAMILIES = (
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Hiragino Sans",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
    "Apple SD Gothic Neo",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "Arial Unicode MS",
)

# The groups of settings that change a picture: the reader's own style must not leak into ours.
_DRAWN = {
    "axes",
    "errorbar",
    "figure",
    "font",
    "grid",
    "hatch",
    "lines",
    "patch",
    "path",
    "scatter",
    "text",
    "xtick",
    "ytick",
}
_LENGTHS = (
    "font.size",
    *("axes.labelsize", "axes.linewidth", "axes.labelpad", "axes.titlepad", "grid.linewidth", "hatch.linewidth"),
    *("lines.linewidth", "lines.markersize", "lines.markeredgewidth", "patch.linewidth"),
    *(f"{axis}tick.{name}" for axis in "xy" for name in ("labelsize", "major.size", "major.pad", "major.width")),
)
"""Settings in points."""


@dataclass(frozen=True, slots=True)
class Look:
    """
    What a theme sets for the pictures of this package.

    Attributes
    ----------
    width, height
        Of a new figure, as it is laid out [inches]; without a height, as high as its rows need.
    scale
        How much larger it is drawn than it is laid out.
    dpi
        Resolution in which it is saved, unless another one is given [dots per inch].
    dark
        Light text on a dark background.
    locale
        Language of numbers and dates; None for English.
    """

    width: float = 7.0
    height: float | None = None
    scale: float = 1.0
    dpi: int = 200
    dark: bool = False
    locale: "Locale | None" = None

    @property
    def figure_size(self) -> tuple[float, float] | None:
        """Width and height of a figure of one's own [inches]; None for matplotlib's."""
        if self.scale == 1:
            return None
        return self.width * self.scale, (self.height or self.width * 9 / 16) * self.scale


_SLIDE, _NOTEBOOK = 1.6, 1.25
_SIZES: Mapping[Size, Look] = {
    "page": Look(),
    "slide": Look(40 / 3 / _SLIDE, 7.5 / _SLIDE, _SLIDE, 144),
    "notebook": Look(9.5 / _NOTEBOOK, None, _NOTEBOOK, 192),
}
_now = [Look()]


def look() -> Look:
    """Return what the theme is now."""
    return _now[-1]


@cache
def families() -> tuple[str, ...]:
    """Return the font families to try for each letter, in order: those of the list that this machine has."""
    installed = set(font_manager.get_font_names())
    return tuple(name for name in _FAMILIES if name in installed)


def _plain_settings() -> dict[Any, Any]:
    plain: dict[Any, Any] = {name: value for name, value in mpl.rcParamsDefault.items() if name.split(".")[0] in _DRAWN}
    return plain | SETTINGS | {"font.family": list(families())}


@contextmanager
def layout_settings() -> Iterator[None]:
    """Set matplotlib as pictures are laid out, whatever the theme is."""
    with mpl.rc_context(_plain_settings()):
        yield


def theme(
    *, size: Size | None = None, dark: bool | None = None, locale: str | None = None
) -> AbstractContextManager[None]:
    """
    Set size, colors and language of pictures, inside a ``with`` block or from now on.

    The pictures of this package follow it, and so do those that you draw with matplotlib yourself. In a ``with``
    statement all is as before when the block ends; a bare call holds for the rest of the session.

    Parameters
    ----------
    size
        ``"page"``: 7 inches wide, as high as the rows need, text of 7 to 11 points. ``"slide"``: 13.33 by 7.5 inches,
        text of 11 to 18 points, saved with 1920 by 1080 pixels; rows and panels that have no room are counted, not
        drawn. ``"notebook"``: 9.5 inches wide, text of 9 to 14 points. Default: as it is, at first a page.
    dark
        Light text on a dark background. Default: as it is, at first not.
    locale
        Language of numbers, percent signs, months and weekdays, such as ``"de"``, ``"fr"`` or ``"de_CH"``; the other
        words stay English. It also holds for tables and sentences. Default: as it is, at first ``"en"``. Other
        languages need the extra ``locale``.

    Returns
    -------
    context : context manager
        Brings back the theme and matplotlib's settings when the block ends.

    Raises
    ------
    DataError
        The size or the language is unknown.
    MissingExtraError
        Babel is not installed, and the language is not English.

    Notes
    -----
    Like `matplotlib.rc_context` it changes settings of the whole process: do not draw in another thread meanwhile. A
    picture keeps the theme in which it was drawn: ``ax.figure.savefig("replies.png")`` saves it at the right resolution
    at any time. Axes given as ``ax=`` keep their place; text and lines in them have the size of the theme.

    Examples
    --------
    >>> import matplotlib as mpl
    >>> with plots.theme():
    ...     mpl.rcParams["axes.spines.top"]
    False
    >>> with plots.theme(size="slide", dark=True):
    ...     ax = plots.plot_rates(stats.engagement(mailings, by="sequence_id"))
    >>> [float(inches.round(2)) for inches in ax.figure.get_size_inches()]
    [13.33, 7.5]
    """
    if size is not None and size not in _SIZES:
        allowed = ", ".join(f'"{word}"' for word in get_args(Size))
        raise DataError(f"There is no size {size!r}.", hint=f"Choose one of {allowed}.")
    before = look()
    sized = before if size is None else replace(_SIZES[size], dark=before.dark, locale=before.locale)
    colored = sized if dark is None else replace(sized, dark=bool(dark))
    return _Theme(colored if locale is None else replace(colored, locale=_parsed(locale)))


def _parsed(locale: str) -> "Locale | None":
    """Read the name of a language; English is written as this package does it."""
    if locale == "en":
        return None
    require("locale", "Numbers and dates in other languages")
    from babel import Locale, UnknownLocaleError  # noqa: PLC0415  an extra

    try:
        return Locale.parse(str(locale).replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        raise DataError(f"There is no language {locale!r}.", hint='Give its code, such as "de" or "de_CH".') from None


class _Theme(AbstractContextManager[None]):
    """What `theme` has set, and how it was before."""

    def __init__(self, chosen: Look) -> None:
        self._look, self._language, self._settings = look(), _format.language(), mpl.rcParams.copy()
        _now[-1] = chosen
        _format.set_language(chosen.locale)
        mpl.rcParams.update(_settings_of(chosen))

    def __exit__(self, *_: object) -> None:
        _now[-1] = self._look
        _format.set_language(self._language)
        mpl.rcParams.update({name: value for name, value in self._settings.items() if name != "backend"})


def _settings_of(chosen: Look) -> dict[Any, Any]:
    """Return matplotlib's settings in the size and the colors of a theme."""
    settings = _plain_settings()
    if chosen.figure_size:
        settings |= {"figure.figsize": chosen.figure_size, "figure.dpi": chosen.dpi}
    for name in _LENGTHS:
        if isinstance(settings[name], int | float):
            settings[name] *= chosen.scale
    if chosen.dark:
        settings |= {
            name: DARK_INKS[value] for name, value in settings.items() if isinstance(value, str) and value in DARK_INKS
        }
    return settings
