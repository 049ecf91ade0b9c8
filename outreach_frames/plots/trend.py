"""A trend: a rate or the number of meetings by period, with a band of intervals; unfinished periods are marked."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator

from outreach_frames._format import count, counted, day, percent
from outreach_frames.metrics import METRICS
from outreach_frames.plots._axes import count_axis, empty, rate_axis, top_of
from outreach_frames.plots._input import (
    Flags,
    Floats,
    axis_title,
    confidence,
    mark_of,
    metric,
    numbers,
    parameters,
    require,
    subtitle,
)
from outreach_frames.plots._layout import open_page, picture
from outreach_frames.plots._small_multiples import ShortDates, week_places
from outreach_frames.plots._style import MUTED, SMALL_PT

_MEETING_COUNT = "meetings"
_PANEL_HEIGHT, _SPACE_LEFT, _SPACE_RIGHT, _SPACE_BELOW, _SPACE_ABOVE = 2.6, 0.75, 0.15, 0.3, 0.2
_BAND, _YOUNG_SHADE = 0.18, "#F2F2F2"
_LENGTH_D = {"day": 1, "week": 7, "month": 30, "quarter": 91}


def plot_trend(
    trend: pd.DataFrame,
    *,
    min_n: int = 30,
    period: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """
    Plot a rate, or the number of meetings, from period to period.

    Parameters
    ----------
    trend
        Result of `stats.trend`.
    min_n
        Rates on fewer trials are drawn hollow and faded, and do not stretch the axis.
    period
        In words, where rows were chosen before the statistic saw them, such as ``"enrollments begun since 1 Jan
        2026"``; default: what the statistic says.
    ax
        Draw into the rectangle of these axes; default: a new figure 7 inches wide.

    Returns
    -------
    ax : Axes
        An axis of dates, periods at their first days; rates as fractions from 0. Points and a line, and a band from end
        to end of the intervals, over the periods that are mature. The others have a shade behind them, hollow points
        and neither line nor band, since what they lead to is not all there. Without trials there is no point.

    Raises
    ------
    MissingColumnError
        The frame is not a result of `stats.trend`.

    Examples
    --------
    >>> ax = plots.plot_trend(stats.trend(mailings, by="month"))
    >>> print(ax.figure.outreach_alt.split(".")[0])
    Trend of reply rate by month
    """
    name = str(parameters(trend).get("metric") or "reply_rate") if isinstance(trend, pd.DataFrame) else "reply_rate"
    is_count = name == _MEETING_COUNT
    needed = [name, f"{name}_lo", f"{name}_hi", "mature", *([] if is_count else [f"{name}_n"])]
    require(trend, needed, plot="plot_trend", source="stats.trend(...)")
    by = str(parameters(trend).get("by") or trend.columns[0])
    words = METRICS["meeting_rate"] if is_count else metric(name)
    label = "Meetings" if is_count else words.label
    values, low, high = (numbers(trend, f"{name}{end}") for end in ("", "_lo", "_hi"))
    trials = values if is_count else numbers(trend, f"{name}_n")
    mature = trend["mature"].to_numpy(dtype=bool, na_value=False)
    few = np.zeros(len(trend), dtype=bool) if is_count else ~(trials >= min_n)
    total = counted(np.nansum(trials), "meeting" if is_count else words.trials)
    defined = "calls that led to a meeting" if is_count else words.definition
    with picture():
        page = open_page(
            ax,
            title=f"{label} by {by}",
            subtitle=subtitle(trend, counted(len(trend), by), total, period=period),
            footnote=f"{label}: {defined}. Band: {confidence(trend)} interval. "
            + (f"Faded: n\N{NO-BREAK SPACE}<\N{NO-BREAK SPACE}{min_n}. " if few.any() else "")
            + ("" if mature.all() else f"Shaded, hollow: {_unfinished(is_count=is_count)}; not to be read as a fall."),
            height=_PANEL_HEIGHT,
        )
        if trend.empty or np.isnan(values).all():
            return empty(page, "No data in this period.")
        width = page.width - _SPACE_LEFT - _SPACE_RIGHT
        panel = page.place(_SPACE_LEFT, _SPACE_BELOW, width, page.height - _SPACE_BELOW - _SPACE_ABOVE)
        places = week_places(trend[by])
        _draw_trend(panel, places, np.stack([values, low, high], axis=1), mark_of(words), mature=mature, few=few)
        firm = ~few if (~few & ~np.isnan(values)).any() else ~np.isnan(values)
        most = np.inf if is_count else 1.0
        panel.set_ylim(0, max(top_of(high[firm & mature], most=most), top_of(values[firm], most=most)))
        if is_count:
            count_axis(panel.yaxis, label)
        else:
            rate_axis(panel.yaxis, axis_title(words))
        _date_axis(panel, places, mature, _LENGTH_D.get(by, 7))
        page.describe(_trend_description(label, trend[by], values, trials, mature=mature, is_count=is_count))
        return panel


def _unfinished(*, is_count: bool) -> str:
    return "the period is not over, or not whole" if is_count else "replies are missing or still to come"


def _draw_trend(ax: Axes, places: Floats, bounds: Floats, mark: Any, *, mature: Flags, few: Flags) -> None:
    values = bounds[:, 0]
    solid = mature & ~np.isnan(values)
    firm = np.where(mature[:, None], bounds, np.nan)
    ax.fill_between(places, firm[:, 1], firm[:, 2], color=mark.ink, alpha=_BAND, lw=0, zorder=1.4, gid="band")
    ax.plot(places, firm[:, 0], color=mark.ink, lw=1.2, zorder=1.8, gid="course")
    look: dict[str, Any] = {"marker": mark.marker, "ls": "none", "ms": 5, "mec": mark.ink}
    ax.plot(places[solid & ~few], values[solid & ~few], mfc=mark.ink, zorder=2.2, gid="mature", **look)
    ax.plot(places[solid & few], values[solid & few], mfc="white", alpha=0.5, zorder=2.2, gid="few", **look)
    young = ~mature & ~np.isnan(values)
    ax.plot(places[young], values[young], mfc="white", zorder=2.2, gid="unfinished", **look)


def _date_axis(ax: Axes, places: Floats, mature: Flags, length: int) -> None:
    """Lay an axis of dates, and shade the last periods that are not mature."""
    ax.xaxis_date()
    locator = AutoDateLocator(maxticks=8)  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ShortDates(locator, show_offset=False))
    ax.tick_params(axis="x", labelsize=SMALL_PT)
    left, right = places.min() - 0.6 * length, places.max() + 0.6 * length
    ax.set_xlim(left, right)
    if not mature.all():
        ax.axvspan(places[~mature].min() - length / 2, right, color=_YOUNG_SHADE, lw=0, zorder=0.4, gid="young")
        ax.text(
            right,
            1.0,
            "not finished ",
            transform=ax.get_xaxis_transform(),
            ha="right",
            va="bottom",
            fontsize=SMALL_PT,
            color=MUTED,
        )


def _trend_description(
    label: str, days: "pd.Series[Any]", values: Floats, trials: Floats, *, mature: Flags, is_count: bool
) -> str:
    """Say the first and the last mature value in words."""
    by = str(days.name)
    sentences = [f"Trend of {label.lower()} by {by}."]
    places = np.flatnonzero(mature & ~np.isnan(values))
    for name, place in (("First", places[:1]), ("Last", places[-1:])):
        for each in place:
            value = count(values[each]) if is_count else percent(values[each], trials[each])
            sentences.append(f"{name} mature {by}, from {day(days.iloc[each])}: {value}.")
    young = int((~mature).sum())
    return " ".join([*sentences, *([f"Not finished: {counted(young, by)}."] if young else [])])
