"""
Pictures of statistics: each takes the result of one `outreach_frames.stats` function and returns matplotlib Axes.

Nothing is computed here beyond sums of what the result states, nothing is shown or saved, and no setting of matplotlib
outlives a call, but for one of `theme` outside a ``with`` statement. Every picture carries its denominators, its
period, its time of extraction and its definition, and a description in words in ``ax.figure.outreach_alt``.

>>> from outreach_frames import plots
>>> ax = plots.plot_rates(rates)  # the last value of a notebook cell shows itself
>>> ax.figure.savefig("rates.png")
>>> plots.plot_rates(rates, ax=some_axes)  # or inside an arrangement of one's own

A `DataError` refuses a list in place of a frame, a frame of another library, names that are not by id, and several Axes
at once; it says what to pass.

A picture with one panel is drawn into the Axes that is returned; small multiples are insets of it, in
``ax.child_axes``. A given Axes keeps everything inside its rectangle. A new one belongs to no pyplot figure, so that
none is left open: it shows itself as the value of a notebook cell, and pyplot's ``show`` does not know it.

Names in Latin, Greek, Cyrillic, Arabic and Hebrew letters are drawn with matplotlib's own font. Other scripts need an
installed font, such as Noto Sans CJK for Chinese, Japanese and Korean; without one their letters become boxes, the
record's id is added, and a warning says so once.

A new plot has a module of its own, named as the statistic that it draws, and a line in ``__init__.pyi``.
"""

import lazy_loader

from outreach_frames._extras import require
from outreach_frames._renamed import with_old_names

require("plots", "Pictures")
_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__getattr__ = with_old_names(
    __name__,
    _load,
    {
        "plot_ab": "plot_ab_test",
        "plot_attribution": "plot_pipeline_attribution",
        "plot_cohorts": "plot_cohort_matrix",
        "plot_coverage": "plot_account_coverage",
        "plot_decomposition": "plot_compare_periods",
        "plot_incidence": "plot_cumulative_incidence",
        "plot_reconciliation": "plot_reconcile_counters",
        "plot_send_times": "plot_send_time_heatmap",
        "plot_workload": "plot_rep_activity",
    },
)
