"""Whether a mailbox is in trouble: its weekly bounce rate against its own limits and against thresholds."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from outreach_frames._format import count, counted, percent
from outreach_frames.plots._axes import empty, estimates, rate_axis, top_of
from outreach_frames.plots._input import Floats, Names, mark_of, metric, numbers, parameters, parts, require, subtitle
from outreach_frames.plots._layout import open_page, picture
from outreach_frames.plots._small_multiples import (
    WEEK,
    grid,
    grid_height,
    label_beside,
    panel_count,
    week_axis,
    week_places,
)
from outreach_frames.plots._style import INK, MUTED

_CHART_LEFT, _CHART_RIGHT, _CHART_GAP, _CHART_BOTTOM, _CHART_TICKS, _CHART_HEIGHT = 0.6, 0.6, 0.4, 0.0, 0.34, 1.5
_LIMIT_COLUMNS = ["baseline", "limit_lo", "limit_hi"]
_BOUNCE = "bounce_rate"
_ALERT_RANKS = {"act": 2, "watch": 1}
_LATELY = 4
_LABEL_PAD = 12
_WATCH, _ACT = "#F6F6F6", "#EAEAEA"
_CHART_HEADROOM, _ABOVE_ACT = 1.08, 1.5
_STRETCH = 2
"""Whiskers and limits may raise the panels so many times."""


def plot_deliverability(
    deliverability: pd.DataFrame,
    rate: str = _BOUNCE,
    *,
    names: Names | None = None,
    min_n: int | None = None,
    period: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """
    Plot a control chart for each mailbox: its weekly rate, its own limits, and bands in which to watch or to act.

    Parameters
    ----------
    deliverability
        Result of `stats.deliverability` by mailbox and week.
    rate
        The rate's column: ``"bounce_rate"``, ``"failure_rate"``, ``"spam_rate"`` or ``"opt_out_rate"``.
    names
        Mailbox names by id; default: the result's own names, else the ids.
    min_n
        Weeks with fewer mailings are drawn faded, without whiskers and limits, and do not stretch the axis; default:
        that of the result, else 20.
    period
        In words, where rows were chosen before the statistic saw them, such as ``"enrollments begun since 1 Jan
        2026"``; default: what the statistic says.
    ax
        Draw into the rectangle of these axes; default: a new figure 7 inches wide.

    Returns
    -------
    ax : Axes
        An invisible frame; ``ax.child_axes`` holds a panel for each mailbox on shared axes: weeks on an axis of dates,
        at their Mondays, rates as fractions from 0. At most twelve are drawn: those with the most urgent alert lately,
        then those that sent most; mailboxes that sent nothing are not. Points fit; a whisker that does not ends in an
        arrow, and so does a point on few mailings, which is hollow; a limit that does not is above every point. A week
        without mail has an open tick below the axis.

    Raises
    ------
    MissingColumnError
        The frame is not a result of `stats.deliverability` by mailbox and week.

    Notes
    -----
    The limits of bounce rates are the statistic's own: a mailbox whose rate stays that of its earlier weeks leaves them
    in at most 0.3 % of weeks. They narrow with the mail of the week and of the weeks before. A week without a baseline
    has none, nor has one with less than `min_n` mailings, for which the statistic gives no alert.

    Examples
    --------
    >>> ax = plots.plot_deliverability(stats.deliverability(mailings, mailboxes=mailboxes))
    >>> print(ax.figure.outreach_alt.split(" for ")[0])
    Control charts of weekly bounce rate
    """
    ends = [f"{rate}{end}" for end in ("", "_n", "_lo", "_hi")]
    needed = ("mailbox_id", "week", *ends, "alert")
    require(
        deliverability,
        needed,
        plot="plot_deliverability",
        source="stats.deliverability(...) by mailbox and week",
        names=names,
    )
    words = metric(rate)
    min_n = int(parameters(deliverability).get("min_n") or 20) if min_n is None else min_n
    everyone = parts(deliverability.sort_values(["mailbox_id", "week"]), "mailbox_id", names=names)
    active = [name for name, rows in everyone.items() if np.nansum(numbers(rows, f"{rate}_n"))] or list(everyone)
    order = sorted(active, key=lambda name: _urgency(everyone[name], rate))
    order = order[: panel_count(ax, len(order), _CHART_HEIGHT, below=_CHART_BOTTOM)]
    watch, act = _thresholds(deliverability, rate)
    alerts = deliverability["alert"].astype(str)
    visible = pd.concat([everyone[name] for name in order]) if order else deliverability
    top = _chart_top(visible, rate, act, min_n)
    with picture():
        page = open_page(
            ax,
            title=f"{words.label} by mailbox and week",
            subtitle=subtitle(
                deliverability,
                (f"{len(order)} most urgent of " if len(order) < len(active) else "") + counted(len(active), "mailbox"),
                *([f"{len(everyone) - len(active)} more sent nothing"] if len(active) < len(everyone) else []),
                counted(np.nansum(numbers(deliverability, f"{rate}_n")), words.trials),
                f"{counted((alerts == 'act').sum(), 'week')} to act on, {count((alerts == 'watch').sum())} to watch",
                period=period,
            ),
            footnote=f"{words.label}: {words.definition}. Vertical lines: 95 % interval. Faded, without them: "
            f"n\N{NO-BREAK SPACE}<\N{NO-BREAK SPACE}{min_n}. "
            + ("Hollow: above the panel. " if (numbers(visible, rate) > top).any() else "")
            + "◇ no mail. "
            + (f"Bands: watch from {percent(watch)}, act from {percent(act)}. " if act else "")
            + "Ringed: act."
            + (
                " Line: the mailbox's rate in earlier weeks. Dashes: its limits, which a steady rate leaves in at most "
                "0.3 % of weeks."
                if rate == _BOUNCE
                else ""
            ),
            height=grid_height(len(order), _CHART_HEIGHT, below=_CHART_BOTTOM),
        )
        if not order:
            return empty(page, "No mail sent in this period.")
        for cell, name in zip(
            grid(page, order, left=_CHART_LEFT, below=_CHART_BOTTOM, right=_CHART_RIGHT, gap=_CHART_GAP),
            order,
            strict=True,
        ):
            panel = page.panel(cell.left, cell.bottom + _CHART_TICKS, cell.width, cell.height - _CHART_TICKS)
            panel.set_ylim(0, top)
            rate_axis(panel.yaxis, words.label if cell.is_left else "", ticks=4)
            panel.tick_params(labelleft=cell.is_left)
            week_axis(panel, visible["week"])
            panel.tick_params(axis="x", pad=_LABEL_PAD)
            if act:
                _draw_thresholds(panel, watch, act, is_labeled=cell.is_right)
            _draw_chart(panel, everyone[name], rate, min_n)
        page.describe(_describe_charts({name: everyone[name] for name in order}, rate, len(everyone)))
        return page.ax


def _urgency(rows: pd.DataFrame, rate: str) -> tuple[int, int, float]:
    """Sort key of a mailbox, most urgent first: its alerts in the last weeks, then all of them, then mail sent."""
    grades = [_ALERT_RANKS.get(str(alert), 0) for alert in rows["alert"]]
    sent = float(np.nansum(numbers(rows, f"{rate}_n")))
    return -max(grades[-_LATELY:], default=0), -sum(grade > 0 for grade in grades), -sent


def _thresholds(deliverability: pd.DataFrame, rate: str) -> tuple[float, float]:
    """Rates from which the statistic says to watch and to act; 0 where it has no threshold."""
    watch, act = (parameters(deliverability).get("thresholds") or {}).get(rate) or (0.0, 0.0)
    return float(watch), float(act)


def _chart_top(rows: pd.DataFrame, rate: str, act: float, min_n: int) -> float:
    """Choose where the panels end: points and the band fit, whiskers and limits unless they would flatten the rest."""
    firm = rows[numbers(rows, f"{rate}_n") >= min_n]
    firm = firm if len(firm) else rows
    baseline, _, limit = _limits(firm, rate, min_n).T
    needed = top_of(numbers(firm, rate), baseline, [_ABOVE_ACT * act])
    whole = top_of(numbers(firm, f"{rate}_hi"), limit, [needed / _STRETCH])
    return _CHART_HEADROOM * min(max(needed, whole), _STRETCH * needed)


def _limits(rows: pd.DataFrame, rate: str, min_n: int) -> Floats:
    """Baseline and lower and upper limit of each week, shape (n_weeks, 3); missing where there are none."""
    if rate != _BOUNCE or not set(_LIMIT_COLUMNS) <= set(rows.columns):
        return np.full((len(rows), len(_LIMIT_COLUMNS)), np.nan)
    control = np.stack([numbers(rows, name) for name in _LIMIT_COLUMNS], axis=1)
    control[numbers(rows, f"{rate}_n") < min_n, 1:] = np.nan
    return control


def _draw_thresholds(ax: Axes, watch: float, act: float, *, is_labeled: bool) -> None:
    ax.axhspan(watch, act, color=_WATCH, lw=0, zorder=0.4, gid="watch")
    ax.axhspan(act, ax.get_ylim()[1], color=_ACT, lw=0, zorder=0.4, gid="act")
    if is_labeled:
        label_beside(ax, [(watch + act) / 2, (act + ax.get_ylim()[1]) / 2], ["watch", "act"], [MUTED, INK])


def _draw_chart(ax: Axes, rows: pd.DataFrame, rate: str, min_n: int) -> None:
    mark = mark_of(metric(rate))
    places, trials = week_places(rows["week"]), numbers(rows, f"{rate}_n")
    bounds = np.stack([numbers(rows, f"{rate}{end}") for end in ("", "_lo", "_hi")], axis=1)
    _draw_limits(ax, places, _limits(rows, rate, min_n))
    few = trials < min_n
    bounds[few, 1:] = np.nan  # the whisker of a few mailings would fill the panel and say nothing
    firm = np.where(few, np.nan, bounds[:, 0])  # from week to week a few mailings jump between the ends of the axis
    ax.plot(places, firm, color=mark.ink, lw=0.5, alpha=0.5, zorder=1.8, gid="course")
    estimates(ax, places, bounds, mark, faded=few, upright=True, pitch=WEEK)
    grave = (rows["alert"].astype(str) == "act").to_numpy() & (bounds[:, 0] <= ax.get_ylim()[1])
    ring: dict[str, Any] = {
        "marker": "o",
        "ms": 10,
        "mfc": "none",
        "mec": INK,
        "mew": 1.0,
        "ls": "none",
        "clip_on": False,
    }
    ax.plot(places[grave], bounds[grave, 0], zorder=3.2, gid="alert", **ring)


def _draw_limits(ax: Axes, places: Floats, control: Floats) -> None:
    if np.isnan(control).all():
        return
    for limit in control[:, 1:].T:
        ax.step(places, limit, where="mid", color=INK, lw=1.0, dashes=(2, 1), zorder=1.5, gid="limit")
    ax.step(places, control[:, 0], where="mid", color=MUTED, lw=0.8, zorder=1.5, gid="baseline")


def _describe_charts(visible: dict[str, pd.DataFrame], rate: str, total: int) -> str:
    words = [
        f"Control charts of weekly {metric(rate).label.lower()} for {len(visible)} of {counted(total, 'mailbox')}."
    ]
    for name, rows in visible.items():
        alerts = rows["alert"].astype(str)
        last = percent(numbers(rows, rate)[-1], numbers(rows, f"{rate}_n")[-1])
        grave = f"{(alerts == 'act').sum()} weeks to act on, {(alerts == 'watch').sum()} to watch"
        words.append(f"{name}: last week {last}, {grave}.")
    return " ".join(words)
