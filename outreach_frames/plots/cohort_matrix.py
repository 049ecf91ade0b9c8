"""Cohorts: the share of each week's enrollments that has replied after one, two, three … weeks."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from outreach_frames._format import count, counted, day, percent, percent_number
from outreach_frames.plots._axes import AXIS_ROOM, HEADER_ROOM, LEAST_PITCH, Column, empty, lay_rows, rows_height
from outreach_frames.plots._input import numbers, parameters, require, subtitle
from outreach_frames.plots._layout import WIDTH, open_page, theme
from outreach_frames.plots._panels import draw_cell, shade
from outreach_frames.plots._style import BOUNCE, OPT_OUT, REPLY, VOLUME, Mark

_COHORT_COLUMNS = ("cohort_week", "week", "enrollments", "events", "rate", "mature")
_EVENT_MARKS: dict[str, tuple[str, Mark]] = {
    "reply": ("replied", REPLY),
    "opt_out": ("opted out", OPT_OUT),
    "bounce": ("bounced", BOUNCE),
    "contact": ("been contacted", VOLUME),
    "meeting_proxy": ("had a meeting, by proxy", VOLUME),
}


def plot_cohort_matrix(
    cohorts: pd.DataFrame, *, max_rows: int = 26, max_weeks: int = 12, period: str | None = None, ax: Axes | None = None
) -> Axes:
    """
    Plot a triangle of cohorts: one row for each week of enrollment, one column for each week after it.

    Parameters
    ----------
    cohorts
        Result of `stats.cohort_matrix`: one row for each cohort and week.
    max_rows
        How many cohorts are drawn, the latest ones [weeks].
    max_weeks
        How many weeks after enrollment are drawn [weeks].
    period
        In words, where rows were chosen before the statistic saw them, such as ``"enrollments begun since 1 Jan
        2026"``; default: what the statistic says.
    ax
        Draw into the rectangle of these axes; default: a new figure 7 inches wide, as high as its rows need.

    Returns
    -------
    ax : Axes
        Cohorts lie at 0, 1, 2 … on the y axis, earliest first; weeks on the x axis. A mature cell is colored by its
        cumulative share of all enrollments of the cohort; one that has not had its full time is hatched, without color,
        and holds the count so far in brackets.

    Raises
    ------
    MissingColumnError
        The frame is not a result of `stats.cohort_matrix`.

    Examples
    --------
    >>> ax = plots.plot_cohort_matrix(stats.cohort_matrix(mailings, sequence_states=sequence_states), max_weeks=8)
    >>> print(ax.figure.outreach_alt.split(":")[0])
    Triangle of cohorts
    """
    require(cohorts, _COHORT_COLUMNS, plot="plot_cohort_matrix", source="stats.cohort_matrix(...)")
    words, mark = _EVENT_MARKS.get(str(parameters(cohorts).get("event") or "reply"), ("had the event", REPLY))
    sizes = cohorts.groupby("cohort_week")["enrollments"].max().sort_index()
    zone = parameters(cohorts).get("tz") or "UTC"
    with theme():
        drawn = min(len(sizes), max_rows)
        page = open_page(
            ax,
            title=f"Enrollments that have {words}, by week of enrollment",
            subtitle=subtitle(
                cohorts,
                (f"{drawn} latest of " if drawn < len(sizes) else "") + counted(len(sizes), "weekly cohort"),
                counted(sizes.sum(), "enrollment"),
                period=period,
            ),
            footnote=f"Percent of all enrollments of the week (Monday to Sunday, {zone}) that have {words} "
            "within so many weeks of it. Hatched, in brackets: count so far, where the youngest enrollments have not "
            "had the full time.",
            height=rows_height([""] * drawn, WIDTH),
        )
        if cohorts.empty:
            return empty(page, "No enrollments in this period.")
        drawn = min(drawn, max(int((page.height - AXIS_ROOM - HEADER_ROOM) / LEAST_PITCH), 1))
        visible = sizes.iloc[-drawn:]
        names = [day(week) for week in visible.index]
        low = lay_rows(page, names, [Column("enrollments", [count(n) for n in visible])])
        columns = min(int(cohorts["week"].max()) + 1, max_weeks)
        low.set(xlim=(-0.5, columns - 0.5), xlabel="weeks since enrollment")
        low.set_xticks(
            range(columns), [str(week + 1) for week in range(columns)], size=low.get_yticklabels()[0].get_fontsize()
        )
        low.tick_params(length=0)
        low.spines[:].set_visible(False)
        rates = numbers(cohorts, "rate")
        top = float(np.nanmax(rates, initial=0.0))
        place = {week: row for row, week in enumerate(visible.index)}
        cells = zip(cohorts["cohort_week"], cohorts["week"], rates, numbers(cohorts, "events"), strict=True)
        for week, after, rate, events in cells:
            if week not in place or after >= columns:
                continue
            n = visible[week]
            color = None if np.isnan(rate) else shade(rate, top, mark)
            text = percent_number(rate, n) if color else f"({count(events)})"
            draw_cell(low, (after, place[week]), color, text, "immature" if color is None else "mature")
        page.describe(_describe_cohorts(cohorts, words))
        return low


def _describe_cohorts(cohorts: pd.DataFrame, words: str) -> str:
    """Describe the triangle: the share after one week in the first and in the last mature cohort."""
    mature = cohorts[cohorts["rate"].notna() & (cohorts["week"] == 0)].sort_values("cohort_week")
    texts = [
        f"week of {day(row.cohort_week)}: {percent(row.rate, row.enrollments)} of "
        f"{counted(row.enrollments, 'enrollment')}"
        for row in (mature.iloc[[0, -1]] if len(mature) > 1 else mature).itertuples()
    ]
    shares = "; ".join(texts) or "none mature"
    return f"Triangle of cohorts: share that has {words} within one week of enrollment; {shares}."
