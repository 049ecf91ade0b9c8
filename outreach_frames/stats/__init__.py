"""
Engagement statistics: frames in, frames out; nothing is fetched, drawn or read from the clock.

Rates are fractions in [0, 1] and travel with their denominator (``_n``) and interval (``_lo``, ``_hi``); they are
missing where the denominator is 0. `explain` prints how a result was made.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outreach_frames.stats.flags import mailing_flags
    from outreach_frames.stats.funnel import step_funnel
    from outreach_frames.stats.prospects import prospect_engagement
    from outreach_frames.stats.provenance import explain
    from outreach_frames.stats.rates import engagement, sequence_engagement
    from outreach_frames.stats.survival import cumulative_incidence, kaplan_meier, reply_within, time_to_event

_HOME = {
    "cumulative_incidence": "survival",
    "engagement": "rates",
    "explain": "provenance",
    "kaplan_meier": "survival",
    "mailing_flags": "flags",
    "prospect_engagement": "prospects",
    "reply_within": "survival",
    "sequence_engagement": "rates",
    "step_funnel": "funnel",
    "time_to_event": "survival",
}
"""Which module a name lives in; loaded when the name is first used, since SciPy takes half a second."""

__all__ = [
    "cumulative_incidence",
    "engagement",
    "explain",
    "kaplan_meier",
    "mailing_flags",
    "prospect_engagement",
    "reply_within",
    "sequence_engagement",
    "step_funnel",
    "time_to_event",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
