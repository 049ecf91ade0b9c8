"""Leaderboard: rates as counted beside adjusted ones, so that a group with few trials does not lead by chance."""

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
    Names,
    axis_title,
    ends_in_words,
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
)
from outreach_frames.plots._layout import theme
from outreach_frames.plots._style import MUTED, Mark

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
    with theme():
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
