"""
Pictures of statistics: each takes the result of one `outreach_frames.stats` function and returns matplotlib Axes.

Nothing is computed here beyond sums of what the result states, nothing is shown or saved, and no setting of matplotlib
outlives a call. Every picture carries its denominators, its period, its time of extraction and its definition, and a
description in words in ``ax.figure.outreach_alt``.

>>> from outreach_frames import plots
>>> ax = plots.plot_rates(rates)  # the last value of a notebook cell shows itself
>>> ax.figure.savefig("rates.png")
>>> plots.plot_rates(rates, ax=some_axes)  # or inside an arrangement of one's own

A picture with one panel is drawn into the Axes that is returned; small multiples are insets of it, in
``ax.child_axes``. A given Axes keeps everything inside its rectangle. A new one belongs to no pyplot figure, so that
none is left open: it shows itself as the value of a notebook cell, and pyplot's ``show`` does not know it.

Names in Latin, Greek, Cyrillic, Arabic and Hebrew letters are drawn with matplotlib's own font. Other scripts need an
installed font, such as Noto Sans CJK for Chinese, Japanese and Korean; without one their letters become boxes, the
record's id is added, and a warning says so once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outreach_frames.plots._style import theme
    from outreach_frames.plots.attribution import plot_attribution
    from outreach_frames.plots.change import plot_decomposition
    from outreach_frames.plots.cohorts import plot_cohorts
    from outreach_frames.plots.coverage import plot_coverage
    from outreach_frames.plots.deliverability import plot_deliverability
    from outreach_frames.plots.experiments import plot_ab
    from outreach_frames.plots.funnel import plot_step_funnel
    from outreach_frames.plots.incidence import plot_incidence
    from outreach_frames.plots.leaderboard import plot_leaderboard
    from outreach_frames.plots.outcomes import plot_state_flow
    from outreach_frames.plots.rates import plot_rates
    from outreach_frames.plots.reconciliation import plot_reconciliation
    from outreach_frames.plots.send_times import plot_send_times
    from outreach_frames.plots.workload import plot_workload

_HOMES = {
    "plot_ab": "experiments",
    "plot_attribution": "attribution",
    "plot_cohorts": "cohorts",
    "plot_coverage": "coverage",
    "plot_decomposition": "change",
    "plot_deliverability": "deliverability",
    "plot_incidence": "incidence",
    "plot_leaderboard": "leaderboard",
    "plot_rates": "rates",
    "plot_reconciliation": "reconciliation",
    "plot_send_times": "send_times",
    "plot_state_flow": "outcomes",
    "plot_step_funnel": "funnel",
    "plot_workload": "workload",
    "theme": "_style",
}

__all__ = [
    "plot_ab",
    "plot_attribution",
    "plot_cohorts",
    "plot_coverage",
    "plot_decomposition",
    "plot_deliverability",
    "plot_incidence",
    "plot_leaderboard",
    "plot_rates",
    "plot_reconciliation",
    "plot_send_times",
    "plot_state_flow",
    "plot_step_funnel",
    "plot_workload",
    "theme",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
