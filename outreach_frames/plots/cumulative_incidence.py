"""Time to an outcome: shares of enrollments by days since the first mail, and by cohorts and weeks."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.transforms import blended_transform_factory

from outreach_frames._format import count, counted, day, interval, percent, percent_number, percent_range
from outreach_frames.plots._axes import (
    AXIS_ROOM,
    HEADER_ROOM,
    LEAST_PITCH,
    Column,
    empty,
    lay_rows,
    rate_axis,
    rows_height,
    top_of,
)
from outreach_frames.plots._input import (
    Floats,
    Names,
    confidence,
    keys_of,
    noun,
    numbers,
    parameters,
    parts,
    require,
    subtitle,
)
from outreach_frames.plots._layout import Page, line_height, open_page, page_width, picture, rectangle_of, widest
from outreach_frames.plots._small_multiples import draw_cell, grid, grid_height, label_beside, panel_count, shade
from outreach_frames.plots._style import BOUNCE, INK, LABEL_PT, MUTED, OPT_OUT, REPLY, SMALL_PT, VOLUME, Mark

_CAUSE_MARKS = {"reply": ("replied", REPLY), "opt_out": ("opted out", OPT_OUT), "bounce": ("bounced", BOUNCE)}
_RISK_COLUMNS = ("t_d", "at_risk", "events_any", "censored", "event_free")
_CIF_COLUMNS = (*_RISK_COLUMNS, *(f"cif_{cause}{end}" for cause in _CAUSE_MARKS for end in ("", "_lo", "_hi")))
_BEFORE_ANY = dict.fromkeys((f"cif_{cause}" for cause in _CAUSE_MARKS), 0.0) | {"event_free": 1.0}
"""Values before the first outcome: shares without an interval."""
_LEFT, _RIGHT, _TABLE = 0.95, 0.95, 0.88
_WHOLE, _PANEL = 2.4, 1.5
_INCIDENCE_HEADROOM, _ABOVE, _GAP = 1.12, 0.1, 0.42


def plot_cumulative_incidence(
    incidence: pd.DataFrame,
    *,
    horizon_d: float = 30,
    marks: Sequence[float] = (3, 7, 14),
    names: Names | None = None,
    period: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """
    Plot the share of enrollments that have replied, opted out or bounced, by days since their first mail.

    Parameters
    ----------
    incidence
        Result of `stats.cumulative_incidence`, for all enrollments or by one grouping column.
    horizon_d
        Where the picture ends [days].
    marks
        Times at which the table below gives numbers [days].
    names
        Names of the groups by key, such as sequence names by id.
    period
        In words, where rows were chosen before the statistic saw them, such as ``"enrollments begun since 1 Jan
        2026"``; default: what the statistic says.
    ax
        Draw into the rectangle of these axes; default: a new figure 7 inches wide.

    Returns
    -------
    ax : Axes
        Days on the x axis, shares on the y axis; the outcomes are stacked, what is left up to 100 % is still open.
        With groups it is an invisible frame, and ``ax.child_axes`` holds a panel for each, at most twelve, on shared
        axes: those with most enrollments.

    Raises
    ------
    MissingColumnError
        The frame is not a result of `stats.cumulative_incidence`.

    Notes
    -----
    The curves are Aalen–Johansen's estimates. ``followed`` is the number at risk: enrollments without an outcome that
    are still observed on that day.

    Examples
    --------
    >>> events_by_time = stats.time_to_event(mailings, sequence_states=sequence_states)
    >>> ax = plots.plot_cumulative_incidence(stats.cumulative_incidence(events_by_time), horizon_d=21)
    >>> print(ax.figure.outreach_alt.split(".")[0])
    Shares of enrollments with a reply, an opt-out or a bounce by day
    """
    require(
        incidence, _CIF_COLUMNS, plot="plot_cumulative_incidence", source="stats.cumulative_incidence(...)", names=names
    )
    by = [key for key in keys_of(incidence) if key != "t_d"][:1] if parameters(incidence).get("by") else []
    groups = parts(incidence, by[0], names=names) if by else {"": incidence}
    curves = {name: _Curves(rows.sort_values("t_d")) for name, rows in groups.items() if len(rows)}
    largest = sorted(curves, key=lambda name: -curves[name].entrants)
    cell_height = (_WHOLE if len(largest) == 1 else _PANEL) + _TABLE
    largest = largest[: panel_count(ax, len(largest), cell_height, below=0)]
    kind = noun(by[0]) if by else ""
    of = f"{len(largest)} largest of " if len(largest) < len(curves) else ""
    with picture():
        page = open_page(
            ax,
            title="Outcome of enrollments by days since the first mail",
            subtitle=subtitle(
                incidence,
                *([of + counted(len(curves), kind)] if by else []),
                counted(sum(curve.entrants for curve in curves.values()), "enrollment"),
                period=period,
            ),
            footnote="Share of enrollments by their first outcome. Those without one are followed until the extraction "
            "even if finished: a reply can still come. Followed: without an outcome on that day. Vertical lines: "
            f"share that has replied, with {confidence(incidence)} interval.",
            height=grid_height(len(largest), cell_height, below=0) if by else _WHOLE + _TABLE,
        )
        if not curves:
            return empty(page, "No enrollment has had an outcome in this period.")
        draw = _Drawing(
            page, sorted({0, *(mark for mark in marks if mark < horizon_d), horizon_d}), list(curves.values())
        )
        if not by:
            whole = page.place(_LEFT, _TABLE, page.width - _LEFT - _RIGHT, page.height - _TABLE - _ABOVE)
            draw.panel(whole, _TABLE, curves[""], is_left=True, is_labeled=True)
        else:
            for cell, name in zip(
                grid(page, largest, left=_LEFT, below=0, right=_RIGHT, gap=_GAP), largest, strict=True
            ):
                panel = page.panel(cell.left, cell.bottom + _TABLE, cell.width, cell.height - _TABLE)
                draw.panel(panel, cell.bottom + _TABLE, curves[name], is_left=cell.is_left, is_labeled=cell.is_right)
        page.describe(_describe_incidence(curves, draw.days, kind))
        return page.ax


class _Curves:
    """The curves of one group as steps from day 0 to the last day on which an enrollment was followed."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self._columns = {name: numbers(rows, name) for name in _CIF_COLUMNS}
        self._times = self._columns["t_d"]
        self.entrants = self.at_risk(0)
        self.end = float("inf") if self.at_risk(float("inf")) > 0 else float(self._times[-1])

    def at(self, time: float, column: str) -> float:
        """Value of a curve at a day: that of the last change up to it; NaN after the end, bounds also before any."""
        if time > self.end:
            return float("nan")
        past = int(np.searchsorted(self._times, time, side="right"))
        if past:
            return float(self._columns[column][past - 1])
        return _BEFORE_ANY.get(column, float("nan"))

    def at_risk(self, time: float) -> float:
        """Enrollments still open and followed just before a day."""
        past = int(np.searchsorted(self._times, time, side="left"))
        if not past:
            return float(self._columns["at_risk"][0])
        missing = ("events_any", "censored")
        return float(self._columns["at_risk"][past - 1] - sum(self._columns[name][past - 1] for name in missing))

    def steps(self, cause: str, horizon_d: float) -> tuple[Floats, Floats]:
        """Times and values of a curve up to the horizon, drawn as steps."""
        within = self._times <= horizon_d
        times = np.concatenate([[0.0], self._times[within], [min(horizon_d, self.end)]])
        values = np.concatenate([[0.0], self._columns[f"cif_{cause}"][within]])
        return times, np.append(values, values[-1])

    def reply(self, time: float) -> tuple[float, float, float]:
        """Share that has replied by a day, with its interval."""
        return self.at(time, "cif_reply"), self.at(time, "cif_reply_lo"), self.at(time, "cif_reply_hi")


class _Drawing:
    """What all panels share: the page, the days that are numbered, the top of the axis."""

    def __init__(self, page: Page, days: Sequence[float], curves: list[_Curves]) -> None:
        self.page = page
        self.days = days
        ends = [sum(curve.at(min(days[-1], curve.end), f"cif_{cause}") for cause in _CAUSE_MARKS) for curve in curves]
        bounds = [curve.at(time, "cif_reply_hi") for curve in curves for time in days[1:]]
        self.top = min(top_of(ends, bounds) * _INCIDENCE_HEADROOM, 1.0)

    def panel(self, ax: Axes, bottom: float, curves: _Curves, *, is_left: bool, is_labeled: bool) -> None:
        """Draw one group: the stacked areas, the numbered days, the table `bottom` inches up the page."""
        horizon = self.days[-1]
        ax.set(xlim=(0, horizon), ylim=(0, self.top))
        rate_axis(ax.yaxis, "Share" if is_left else "", ticks=4)
        ax.tick_params(labelleft=is_left)
        below = np.zeros(1)
        for cause, (_, mark) in _CAUSE_MARKS.items():
            times, values = curves.steps(cause, horizon)
            ax.fill_between(
                times, below, below + values, step="post", facecolor=mark.fill, edgecolor=mark.hatch_ink, lw=0,
                hatch=mark.hatch, gid=f"area-{cause}",
            )  # fmt: skip
            below = below + values
            ax.step(times, below, where="post", color=mark.ink, lw=0.9, gid=f"line-{cause}")
        for time in self.days[1:-1]:
            ax.axvline(time, color=INK, lw=0.5, dashes=(2, 3), zorder=1)
        replied = np.array([curves.reply(time) for time in self.days[1:]])
        look: dict[str, Any] = {"color": INK, "lw": 1.4, "zorder": 4, "clip_on": False}
        ax.vlines(self.days[1:], replied[:, 1], replied[:, 2], gid="interval", **look)
        self._write_table(ax, bottom, curves, is_left=is_left)
        if is_labeled:
            self._label_areas(ax, curves)

    def _write_table(self, ax: Axes, bottom: float, curves: _Curves, *, is_left: bool) -> None:
        cells = {time: [count(curves.at_risk(time)), *_reply_cells(curves, time)] for time in self.days}
        written = self._that_fit(ax, cells)
        ax.set_xticks(self.days, [f"{time:g}" if time in written else "" for time in self.days])
        rows = [bottom - 0.32 - row * line_height(LABEL_PT) for row in range(3)]
        across = blended_transform_factory(ax.transData, self.page.figure.transFigure)
        for time in written:
            for y, text in zip(rows, cells[time], strict=True):
                ax.text(time, self.page.y(y), text, transform=across, size=SMALL_PT, ha="center", va="center")
        if is_left:
            edge = self.page.within(ax).x0 - 0.2
            for y, text in zip([bottom - 0.13, *rows], ("day", "followed", "replied", "interval"), strict=True):
                self.page.write(edge, y, text, size=SMALL_PT, color=MUTED, ha="right", va="center")

    def _that_fit(self, ax: Axes, cells: dict[float, list[str]]) -> list[float]:
        """Choose the days whose columns do not touch, the last one first."""
        inch = rectangle_of(ax).width / self.days[-1]
        chosen: list[float] = []
        for time in reversed(self.days):
            room = (chosen[-1] - time) * inch if chosen else float("inf")
            if not chosen or room > (widest(cells[time], SMALL_PT) + widest(cells[chosen[-1]], SMALL_PT)) / 2 + 0.06:
                chosen.append(time)
        return chosen

    def _label_areas(self, ax: Axes, curves: _Curves) -> None:
        last = min(self.days[-1], curves.end)
        heights = [curves.at(last, f"cif_{cause}") for cause in _CAUSE_MARKS]
        tops = np.cumsum(heights)
        middles = [*(tops - np.array(heights) / 2), (tops[-1] + self.top) / 2]
        texts = [f"{words} {percent(height, curves.entrants)}" for (words, _), height
                 in zip(_CAUSE_MARKS.values(), heights, strict=True)]  # fmt: skip
        texts.append(f"still open {percent(curves.at(last, 'event_free'), curves.entrants)}")
        inks = [*(mark.ink for _, mark in _CAUSE_MARKS.values()), MUTED]
        label_beside(ax, middles, texts, inks)


def _reply_cells(curves: _Curves, time: float) -> list[str]:
    rate, low, high = curves.reply(time)
    if not time:
        return ["", ""]
    if np.isnan(rate):
        return ["–", "–"]
    return [percent(rate, curves.entrants), percent_range(low, high, curves.entrants)]


def _describe_incidence(curves: dict[str, _Curves], days: Sequence[float], kind: str) -> str:
    of = f" for {counted(len(curves), kind)}" if kind else ""
    words = [f"Shares of enrollments with a reply, an opt-out or a bounce by day{of}."]
    for name, curve in curves.items():
        reached = [time for time in days[1:] if time <= curve.end]
        rates = (interval(*curve.reply(time), curve.entrants, with_n=False) for time in reached)
        shares = ", ".join(f"{rate} by day {time:g}" for time, rate in zip(reached, rates, strict=True))
        still = percent(curve.at(min(days[-1], curve.end), "event_free"), curve.entrants)
        words.append(f"{name or 'All'}, {counted(curve.entrants, 'enrollment')}: replied {shares}; {still} still open.")
    return " ".join(words)


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
    with picture():
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
            height=rows_height([""] * drawn, page_width()),
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
