"""
Rates of groups, one row each: as counted, or adjusted for small numbers.

The leaderboard shows both, so that a group with few trials does not lead by chance.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from outreach_frames._format import count, counted, interval, percent, percent_extent, probability, typical
from outreach_frames.plots._axes import (
    FADED,
    Column,
    empty,
    estimates,
    lay_rows,
    open_rows,
    rate_axis,
    reference,
    top_of,
)
from outreach_frames.plots._input import (
    Flags,
    Floats,
    Names,
    axis_title,
    confidence,
    ends_in_words,
    is_calendar,
    keys_of,
    labels,
    mark_of,
    metric,
    noun,
    numbers,
    parameters,
    ranked,
    require,
    subtitle,
    without_group,
)
from outreach_frames.plots._layout import picture
from outreach_frames.plots._style import MUTED, Mark

_FIRM_SHARE = 1 / 3
"""Part of the axis that firm estimates keep, whatever is to be shown of the others."""
_YOUNG = "*"
"""Mark of groups whose replies are still to come."""

_SOURCE = "stats.sequence_engagement(...) or stats.engagement(...)"


def plot_rates(
    rates: pd.DataFrame,
    rate: str | None = None,
    *,
    names: Names | None = None,
    min_n: int = 30,
    max_rows: int | None = 40,
    period: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """
    Plot one rate of every group as a point with its interval, highest first; return the axes, show nothing.

    Parameters
    ----------
    rates
        Result of `stats.sequence_engagement` or `stats.engagement`, one row for each group.
    rate
        The rate's column, such as ``"open_rate"``. Default: ``"enrollment_reply_rate"`` where the groups are sequences,
        else ``"reply_rate"``.
    names
        Names of the groups by key; default: the result's own names, else the keys.
    min_n
        Estimates on fewer trials are drawn faded; their whiskers do not stretch the axis, their points up to threefold.
    max_rows
        Where there are more groups, both ends are drawn and the middle is summed up in one line; ``None`` draws all.
    period
        In words, where rows were chosen before the statistic saw them, such as ``"enrollments begun since 1 Jan
        2026"``; default: what the statistic says.
    ax
        Draw into the rectangle of these axes; default: a new figure 7 inches wide, as high as its rows need.

    Returns
    -------
    ax : Axes
        Groups lie at 0, 1, 2 … on the y axis, rates as fractions on the x axis. A point beyond the
        axis is drawn hollow at its edge, with an arrow. A group without trials has an open tick "no data" instead of
        a point. Periods of time keep their order. Groups of which less than half has had 14 days are drawn faded below
        all others, marked with a star: their replies are still to come.

    Raises
    ------
    MissingColumnError
        The frame lacks the rate, its denominator or its interval.

    Notes
    -----
    The vertical rule is the rate of all groups together: the sum of numerators over the sum of denominators. What is in
    no group, such as mail to prospects without the key, is not in it.

    Examples
    --------
    >>> rates = stats.engagement(mailings, by="sequence_id")
    >>> ax = plots.plot_rates(rates, "open_rate", names=sequences.set_index("id")["name"])
    >>> print(ax.figure.outreach_alt.split(".")[0])
    Dot plot of open rate (machine opens included)
    >>> plots.plot_rates(rates, "fax_rate")
    Traceback (most recent call last):
        ...
    outreach_frames.errors.MissingColumnError: Column 'fax_rate' is missing; plots.plot_rates needs it.
    Hint: ...
    """
    require(rates, [], plot="plot_rates", source=_SOURCE, names=names)
    keys = keys_of(rates)
    rate = rate or ("enrollment_reply_rate" if keys == ["sequence_id"] else "reply_rate")
    drawn_from = [rate, f"{rate}_n", f"{rate}_lo", f"{rate}_hi"]
    require(rates, drawn_from, plot="plot_rates", source=_SOURCE)
    words = metric(rate)
    bounds = np.stack([numbers(rates, rate + part) for part in ("", "_lo", "_hi")], axis=1)
    values, low, high = bounds.T
    trials = numbers(rates, f"{rate}_n")
    present = list(~np.isnan(values))
    named = labels(rates, keys, names=names)
    kind = " and ".join(noun(key) for key in keys)
    young = _young(rates, rate)
    few = ~(trials >= min_n) | young
    top = _rate_axis_end(values, high, few)
    order = range(len(rates)) if is_calendar(rates, keys) else ranked(values, trials, named, last=young)
    groups = [counted(len(rates), kind)] if kind else []
    with picture():
        page, lines = open_rows(
            ax,
            order,
            names=named,
            has_value=present,
            max_rows=max_rows,
            title=f"{words.label} by {kind}" if kind else words.label,
            subtitle=subtitle(rates, *groups, counted(np.nansum(trials), words.trials), period=period),
            footnote=f"{words.label}: {words.definition}. Lines: {confidence(rates)} interval. "
            f"Faded: n\N{NO-BREAK SPACE}<\N{NO-BREAK SPACE}{min_n}."
            + (" Hollow: further out." if (values > top).any() else "")
            + (f" {_YOUNG} too young to compare, also faded: fewer than half have had 14 days." if young.any() else "")
            + (f" {_together(rates, keys, kind)}" if len(rates) > 1 else ""),
        )
        if rates.empty:
            return empty(page, "No data in this period.")
        n = typical(trials)
        cells = [
            "–" if np.isnan(value) else percent(value, n) + (_YOUNG if early else "")
            for value, early in zip(values, young, strict=True)
        ]
        columns = [
            Column("rate", lines.write(cells, lambda group: percent_extent(values[list(group)], n))),
            Column("n", lines.write([count(number) for number in trials])),
        ]
        drawn = lay_rows(page, lines.names(named), columns, muted=lines.gaps)
        drawn.set_xlim(0, top)
        rate_axis(drawn.xaxis, axis_title(words))
        at, rows = lines.marked(present)
        estimates(drawn, at, bounds[rows], mark_of(words), faded=few[rows])
        if np.nansum(trials) > 0 and len(rates) > 1:
            together = float(np.nansum(values * trials) / np.nansum(trials))
            reference(drawn, together, f"together {percent(together, np.nansum(trials))}")
        texts = [interval(*row) for row in zip(values, low, high, trials, strict=True)]
        page.describe(f"Dot plot of {axis_title(words).lower()}. {ends_in_words(order, values, named, texts)}")
        return drawn


def _young(rates: pd.DataFrame, rate: str) -> Flags:
    """Tell which groups have not had their time for replies: less than half of their enrollments have had 14 days."""
    mature, all_of_them = "enrollment_reply_rate_14d_n", "enrollment_reply_rate_n"
    if not rate.endswith("reply_rate") or not {mature, all_of_them} <= set(rates.columns):
        return np.zeros(len(rates), dtype=np.bool_)
    young: Flags = numbers(rates, mature) < numbers(rates, all_of_them) / 2
    return young


def _together(rates: pd.DataFrame, keys: list[str], kind: str) -> str:
    """Explain the vertical rule: what is in it, and how much is not."""
    of = f"the {counted(len(rates), kind)}" if kind else "all rows"
    outside = without_group(rates, keys)
    return f"Dashed: {of} together" + (f"; left out: {counted(outside, 'record')} without one." if outside else ".")


def _rate_axis_end(values: Floats, high: Floats, few: Flags) -> float:
    """Choose where the axis ends: firm whiskers fit, and all points that leave the firm estimates enough of it."""
    if few.all():
        return top_of(high, values)
    firm = top_of(high[~few], values[~few])
    return max(firm, top_of(values[values <= firm / _FIRM_SHARE]))


_ARROW = 0.05
_LEADERBOARD_COLUMNS = ("n", "x", "raw", "shrunk", "lo", "hi", "p_top", "p_above_median", "rank")


def plot_leaderboard(
    leaderboard: pd.DataFrame,
    *,
    names: Names | None = None,
    min_n: int = 30,
    max_rows: int | None = 40,
    period: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """
    Plot rates as counted (hollow) with an arrow to the adjusted ones (filled), their intervals, and the chance to lead.

    Parameters
    ----------
    leaderboard
        Result of `stats.leaderboard`, one row for each user, mailbox, sequence or template.
    names
        Names by id; default: the result's own names, else the ids.
    min_n
        Groups with fewer trials are drawn faded; neither their intervals nor their rates as counted stretch the axis.
    max_rows
        Where there are more groups, both ends are drawn and the middle is summed up in one line; ``None`` draws all.
    period
        In words, where rows were chosen before the statistic saw them, such as ``"enrollments begun since 1 Jan
        2026"``; default: what the statistic says.
    ax
        Draw into the rectangle of these axes; default: a new figure 7 inches wide, as high as its rows need.

    Returns
    -------
    ax : Axes
        Groups lie at 0, 1, 2 … on the y axis by rank, best first, rates as fractions on the x axis.
        A group without trials has an open tick "no data": its adjusted rate would be the mean of all, not its own.

    Raises
    ------
    MissingColumnError
        The frame is not a result of `stats.leaderboard`.

    Notes
    -----
    The adjusted rates are the statistic's ``shrunk``: drawn toward the rate of all by a beta-binomial model.

    Examples
    --------
    >>> ax = plots.plot_leaderboard(stats.leaderboard(mailings, by="user_id"))
    >>> print(ax.figure.outreach_alt.split(".")[0])
    Leaderboard of reply rate, adjusted for small numbers
    """
    require(leaderboard, _LEADERBOARD_COLUMNS, plot="plot_leaderboard", source="stats.leaderboard(...)", names=names)
    keys = keys_of(leaderboard)[:1]
    kind = noun(keys[0]) if keys else "group"
    words = metric(str(parameters(leaderboard).get("metric") or "reply_rate"))
    trials, raw, shrunk, low, high = (numbers(leaderboard, column) for column in ("n", "raw", "shrunk", "lo", "hi"))
    values = np.where(trials > 0, shrunk, np.nan)
    present = list(~np.isnan(values))
    labeled = labels(leaderboard, keys, names=names)
    order = ranked(np.where(trials > 0, -numbers(leaderboard, "rank"), np.nan), trials, labeled)
    with picture():
        page, lines = open_rows(
            ax,
            order,
            names=labeled,
            has_value=present,
            max_rows=max_rows,
            title=f"{words.label} by {kind}, adjusted for small numbers",
            subtitle=subtitle(
                leaderboard, counted(len(leaderboard), kind), counted(np.nansum(trials), words.trials), period=period
            ),
            footnote=f"{words.label}: {words.definition}. Hollow: as counted. Filled: adjusted toward the rate of "
            "all, the more the smaller n is, with its 95 % interval. "
            f"Faded: n\N{NO-BREAK SPACE}<\N{NO-BREAK SPACE}{min_n}. Best: chance that this {kind} is the best of all; "
            "> median: that it is better than the median.",
        )
        if leaderboard.empty:
            return empty(page, "No data in this period.")
        best, upper = (
            [probability(p) if ok else "–" for p, ok in zip(numbers(leaderboard, chance), present, strict=True)]
            for chance in ("p_top", "p_above_median")
        )
        n = typical(trials)
        adjusted, own = (
            [percent(value, n) if ok else "–" for value, ok in zip(rates, present, strict=True)]
            for rates in (shrunk, raw)
        )
        columns = [
            Column("counted", lines.write(own)),
            Column("adjusted", lines.write(adjusted, lambda group: percent_extent(values[list(group)], n))),
            Column("n", lines.write([count(number) for number in trials])),
            Column("best", lines.write(best)),
            Column("> median", lines.write(upper)),
        ]
        drawn = lay_rows(page, lines.names(labeled), columns, muted=lines.gaps)
        firm = trials >= min_n if (trials >= min_n).any() else trials >= 0
        drawn.set_xlim(0, top_of(high[firm], raw[firm], values))
        rate_axis(drawn.xaxis, axis_title(words))
        at, rows = lines.marked(present)
        bounds = np.stack([values, low, high], axis=1)
        estimates(drawn, at, bounds[rows], mark_of(words), faded=(trials < min_n)[rows])
        for line, row in lines.drawn(present):
            _draw_raw(drawn, line, (raw[row], shrunk[row]), mark_of(words), faded=trials[row] < min_n)
        if np.nansum(trials) > 0:
            together = float(np.nansum(numbers(leaderboard, "x")) / np.nansum(trials))
            reference(drawn, together, f"all {percent(together, np.nansum(trials))}")
        texts = [interval(*row) for row in zip(shrunk, low, high, trials, strict=True)]
        ends = ends_in_words(order, values, labeled, texts)
        page.describe(f"Leaderboard of {axis_title(words).lower()}, adjusted for small numbers. {ends}")
        return drawn


def _draw_raw(ax: Axes, line: int, rates: tuple[float, float], mark: Mark, *, faded: bool) -> None:
    """Draw the rate as counted as a hollow point, and an arrow to the adjusted one where they are apart."""
    raw, shrunk = rates
    edge = ax.get_xlim()[1]
    opacity = FADED if faded else 1.0
    look: dict[str, Any] = {"mec": mark.ink, "mfc": "none", "mew": 1.0, "ms": 8, "alpha": opacity, "clip_on": False}
    if raw > edge:
        ax.plot([edge], [line], marker=">", ls="none", gid="raw-beyond", **look)
        return
    if abs(raw - shrunk) > _ARROW * edge:
        _draw_arrow(ax, line, raw, shrunk, opacity)
    ax.plot([raw], [line], marker=mark.marker, ls="none", zorder=3.1, gid="raw", **look)


def _draw_arrow(ax: Axes, line: int, start: float, end: float, opacity: float) -> None:
    style = {"arrowstyle": "->", "color": MUTED, "lw": 0.9, "shrinkA": 4, "shrinkB": 3.5, "alpha": opacity}
    ax.annotate("", (end, line), (start, line), arrowprops=style, annotation_clip=False)
