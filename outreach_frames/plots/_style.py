"""
Colors with a fixed meaning, the settings of the theme, and the order of enrollment states.

The hues are those of Okabe and Ito, which people with the common color-vision deficiencies can tell apart. Printed in
gray some of them come close, so each meaning also has a marker and a hatch of its own. The pure hues are too light for
text and thin lines on white; each has a darker `ink` for those, at a contrast of at least 4.5 to 1.

Source: M. Okabe and K. Ito, "Color universal design", 2002; contrast as in WCAG 2.2, success criteria 1.4.3 and 1.4.11.
"""

from dataclasses import dataclass
from typing import Any

PAPER = "#FFFFFF"
INK = "#222222"
MUTED = "#5C5C5C"
FAINT = "#DADADA"

TITLE_PT, BODY_PT, LABEL_PT, SMALL_PT = 11.0, 8.5, 8.0, 7.0
HALO_PT = 2.5


@dataclass(frozen=True, slots=True)
class Mark:
    """
    How one meaning is drawn: `fill` for areas and points, `ink` for its text and outlines, and a second channel.

    Attributes
    ----------
    fill, ink
        Hex colors.
    marker, hatch
        matplotlib's codes for the point and the area.
    hatch_ink
        Color of the hatch on the fill.
    """

    fill: str
    ink: str
    marker: str
    hatch: str
    hatch_ink: str = "#FFFFFF"


REPLY = Mark("#009E73", "#00694D", "o", "")
OPT_OUT = Mark("#D55E00", "#A34700", "X", "////")
BOUNCE = Mark("#CC79A7", "#96426F", "v", "....")
OPEN = Mark("#56B4E9", "#1F6F9F", "s", "----")
NONE = Mark("#B8B8B8", "#5C5C5C", "d", "")
CLICK = Mark("#0072B2", "#005A8C", "D", "++++")
FAILURE = Mark("#E69F00", "#8A5F00", "P", "xxxx")
WAITING = Mark("#F0E442", "#736B00", "h", "\\\\\\\\")
ACTIVE = Mark("#FFFFFF", "#444444", "p", "", "#BDBDBD")
_PENDING = Mark("#FFFFFF", "#444444", "*", "..", "#BDBDBD")
_PAUSED = Mark("#FFFFFF", "#444444", "<", "\\\\\\", "#BDBDBD")
_AWAY = Mark("#FFFFFF", "#444444", ">", "oo", "#BDBDBD")
UNKNOWN = Mark("#FFFFFF", "#444444", "4", "xx", "#8A8A8A")
MAIL = Mark("#D2D2D2", "#444444", "1", "", "#8A8A8A")
CALL = Mark("#A6A6A6", "#444444", "2", "////")
TASK = Mark("#5C5C5C", "#222222", "3", "...")
VOLUME = Mark("#8A8A8A", "#444444", "H", "||||")

MARKS = {
    "reply": REPLY,
    "opt_out": OPT_OUT,
    "bounce": BOUNCE,
    "open": OPEN,
    "click": CLICK,
    "failure": FAILURE,
    "volume": VOLUME,
    "none": NONE,
}
"""By the meaning that a metric names as its color."""

SETTINGS: dict[Any, Any] = {
    "font.size": BODY_PT,
    "text.color": INK,
    "text.parse_math": False,  # a name such as "$5k to $9k" is no formula
    "text.usetex": False,
    "text.hinting": "no_hinting",  # hinted text is up to 7 % wider or narrower from one resolution to the next
    "figure.facecolor": PAPER,
    "savefig.facecolor": "auto",
    "axes.facecolor": PAPER,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelsize": LABEL_PT,
    "axes.linewidth": 0.7,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": False,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "grid.linestyle": "-",
    "hatch.linewidth": 0.6,
    "lines.solid_capstyle": "butt",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": INK,
    "xtick.labelsize": LABEL_PT,
    "ytick.labelsize": LABEL_PT,
    "xtick.major.size": 2.5,
    "ytick.major.size": 0,
    "ytick.major.pad": 5,
}
"""The theme, in matplotlib's names, but for the fonts: they depend on the machine."""


DARK_PAPER = "#1A1A1A"
DARK_INKS = {
    PAPER: DARK_PAPER,
    INK: "#F0F0F0",
    MUTED: "#B5B5B5",
    FAINT: "#3F3F3F",
    REPLY.ink: "#4CC9A3",
    OPT_OUT.ink: "#FF9452",
    BOUNCE.ink: "#E3A5C6",
    OPEN.ink: "#8CCBF0",
    CLICK.ink: "#6FB6E3",
    FAILURE.ink: "#F0BC4A",
    WAITING.ink: "#E8DC5A",
    ACTIVE.ink: "#CFCFCF",
}
"""On a dark background: the color of text, lines and outlines, by their color on white."""
DARK_FILLS = {
    PAPER: DARK_PAPER,
    FAINT: "#3F3F3F",
    TASK.fill: "#7C7C7C",
    "#F6F6F6": "#242424",
    "#F2F2F2": "#2A2A2A",
    "#EAEAEA": "#363636",
}
"""On a dark background: the color of areas, by their color on white; the others stay."""


BUCKET_MARKS: dict[str, tuple[str, Mark]] = {
    "finished_replied": ("replied", REPLY),
    "active": ("active", ACTIVE),
    "pending": ("pending", _PENDING),
    "paused": ("paused", _PAUSED),
    "paused_ooto": ("out of office", _AWAY),
    "finished_no_reply": ("finished, no reply", NONE),
    "bounced": ("bounced", BOUNCE),
    "opted_out": ("opted out", OPT_OUT),
    "failed": ("failed", FAILURE),
    "disabled": ("disabled", VOLUME),
    "unknown": ("unknown state", UNKNOWN),
}
