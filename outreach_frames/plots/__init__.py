"""
Pictures of statistics: each takes the result of one `outreach_frames.stats` function and returns matplotlib Axes.

Nothing is computed here beyond sums of what the result states, nothing is shown or saved, and no setting of matplotlib
outlives a call. Every picture carries its denominators, its period, its time of extraction and its definition, and a
description in words in ``ax.figure.outreach_alt``.

>>> from outreach_frames import plots
>>> ax = plots.plot_rates(rates)  # the last value of a notebook cell shows itself
>>> ax.figure.savefig("rates.png")
>>> plots.plot_rates(rates, ax=some_axes)  # or inside an arrangement of one's own

See `outreach_frames.plots._page` for how pictures, small multiples and given axes relate.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outreach_frames.plots._style import theme
    from outreach_frames.plots.funnel import plot_step_funnel
    from outreach_frames.plots.incidence import plot_incidence
    from outreach_frames.plots.rates import plot_rates

_HOMES = {
    "theme": "_style",
    "plot_incidence": "incidence",
    "plot_rates": "rates",
    "plot_step_funnel": "funnel",
}

__all__ = ["plot_incidence", "plot_rates", "plot_step_funnel", "theme"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
