"""
Explorers: a few controls above one picture or table, for a notebook or a page served by Voilà.

Each takes a snapshot, a mapping of frames or a live client. What it shows is a pure function of its controls,
``explorer.view(**explorer.state)``; the button "as code" prints the call that gives the same outside.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outreach_frames.widgets.definitions import DefinitionSwitch
    from outreach_frames.widgets.experiments import ABMonitor
    from outreach_frames.widgets.sequences import SequenceExplorer
    from outreach_frames.widgets.timelines import ReplyTimeline, draw_timeline

_HOMES = {
    "ABMonitor": "experiments",
    "DefinitionSwitch": "definitions",
    "ReplyTimeline": "timelines",
    "SequenceExplorer": "sequences",
    "draw_timeline": "timelines",
}

__all__ = ["ABMonitor", "DefinitionSwitch", "ReplyTimeline", "SequenceExplorer", "draw_timeline"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
