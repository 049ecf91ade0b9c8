"""
Engagement statistics: frames in, frames out; nothing is fetched, drawn or read from the clock.

Rates are fractions in [0, 1] and travel with their denominator (``_n``) and interval (``_lo``, ``_hi``); they are
missing where the denominator is 0. `explain` prints how a result was made.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outreach_frames.stats.flags import mailing_flags
    from outreach_frames.stats.provenance import explain

_HOME = {
    "explain": "provenance",
    "mailing_flags": "flags",
}
"""Which module a name lives in; loaded when the name is first used, since SciPy takes half a second."""

__all__ = ["explain", "mailing_flags"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
