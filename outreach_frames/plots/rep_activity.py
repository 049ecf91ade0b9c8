"""Work of each person by week: touches by channel, and tasks that are still open."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from outreach_frames._format import count, counted
from outreach_frames.plots._axes import blocks, count_axis, empty
from outreach_frames.plots._input import Floats, Names, numbers, parameters, parts, require, subtitle
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
from outreach_frames.plots._style import CALL, FAILURE, MAIL, TASK

_CHANNELS = {"delivered": ("e-mail", MAIL), "calls_dialed": ("calls", CALL), "tasks_done": ("other tasks", TASK)}
_ACTIVITY_COLUMNS = ("user_id", "week", *_CHANNELS, "task_backlog")
_ACTIVITY_LEFT, _ACTIVITY_RIGHT, _ACTIVITY_GAP, _ACTIVITY_TICKS = 0.6, 0.8, 0.4, 0.34
_BAR_WIDTH, _ACTIVITY_HEADROOM = 0.84 * WEEK, 1.08


def plot_rep_activity(
    activity: pd.DataFrame, *, names: Names | None = None, period: str | None = None, ax: Axes | None = None
) -> Axes:
    """
    Plot, for each person, touches by channel and week (bars) and how many tasks due that week are still open (line).

    Parameters
    ----------
    activity
        Result of `stats.rep_activity`: one row for each user and week.
    names
        User names by id; default: the result's own names, else the ids.
    period
        In words, where rows were chosen before the statistic saw them, such as ``"enrollments begun since 1 Jan
        2026"``; default: what the statistic says.
    ax
        Draw into the rectangle of these axes; default: a new figure 7 inches wide.

    Returns
    -------
    ax : Axes
        An invisible frame; ``ax.child_axes`` holds a panel for each user on shared axes: weeks on an axis of dates,
        at their Mondays, counts from 0. At most twelve users are drawn, those with most
        touches. A week without a row has no bar.

    Raises
    ------
    MissingColumnError
        The frame is not a result of `stats.rep_activity`.

    Examples
    --------
    >>> activity = stats.rep_activity(mailings, calls=calls, tasks=tasks, users=users)
    >>> ax = plots.plot_rep_activity(activity)
    >>> print(ax.figure.outreach_alt.split(" for ")[0])
    Touches by channel and week
    """
    require(activity, _ACTIVITY_COLUMNS, plot="plot_rep_activity", source="stats.rep_activity(...)", names=names)
    everyone = parts(activity.sort_values(["user_id", "week"]), "user_id", names=names)
    order = sorted(everyone, key=lambda name: (-_total_touches(everyone[name]), name))
    cell_height = 2.0 if len(order) == 1 else 1.4
    order = order[: panel_count(ax, len(order), cell_height, below=0)]
    zone = parameters(activity).get("tz") or "UTC"
    with picture():
        page = open_page(
            ax,
            title="Touches and open tasks by user and week",
            subtitle=subtitle(
                activity,
                (f"{len(order)} busiest of " if len(order) < len(everyone) else "") + counted(len(everyone), "user"),
                counted(sum(map(_total_touches, everyone.values())), "touch"),
                period=period,
            ),
            footnote="Bars: mails delivered, outbound calls dialed, other tasks completed. Line: tasks due that week "
            f"that are still open at the extraction. Weeks begin on Monday, {zone}.",
            height=grid_height(len(order), cell_height, below=0),
        )
        if not order:
            return empty(page, "No activity in this period.")
        visible = pd.concat([everyone[name] for name in order])
        top = _ACTIVITY_HEADROOM * max(
            _stack_channels(visible)[-1].max(), np.nanmax(numbers(visible, "task_backlog"), initial=0.0), 1.0
        )
        cells = grid(page, order, left=_ACTIVITY_LEFT, below=0, right=_ACTIVITY_RIGHT, gap=_ACTIVITY_GAP)
        named = next(cell for cell in cells if cell.is_right)
        for cell, name in zip(cells, order, strict=True):
            panel = page.panel(cell.left, cell.bottom + _ACTIVITY_TICKS, cell.width, cell.height - _ACTIVITY_TICKS)
            panel.set_ylim(0, top)
            week_axis(panel, visible["week"])
            count_axis(panel.yaxis, "Per week" if cell.is_left else "", ticks=4)
            panel.tick_params(labelleft=cell.is_left)
            _draw_weeks(panel, everyone[name])
            if cell is named:
                _label_channels(panel, everyone[name])
        page.describe(_describe_activity({name: everyone[name] for name in order}, len(everyone)))
        return page.ax


def _stack_channels(rows: pd.DataFrame) -> Floats:
    """Upper edges of the stacked channels, shape (channels, weeks)."""
    return np.cumsum([np.nan_to_num(numbers(rows, channel)) for channel in _CHANNELS], axis=0)


def _total_touches(rows: pd.DataFrame) -> float:
    return float(_stack_channels(rows)[-1].sum())


def _draw_weeks(ax: Axes, rows: pd.DataFrame) -> None:
    places = week_places(rows["week"])
    below = np.zeros(len(rows))
    for (channel, (_, mark)), edge in zip(_CHANNELS.items(), _stack_channels(rows), strict=True):
        bars = zip(places - _BAR_WIDTH / 2, below, np.full(len(rows), _BAR_WIDTH), edge - below, strict=True)
        blocks(ax, [bar for bar in bars if bar[-1] > 0], replace(mark, hatch=""), gid=channel, lw=0)
        below = edge
    backlog = numbers(rows, "task_backlog")
    look: dict[str, Any] = {"color": FAILURE.ink, "marker": FAILURE.marker, "ms": 4, "markevery": [-1], "zorder": 3}
    ax.plot(places, backlog, lw=1.1, gid="backlog", clip_on=False, **look)


def _label_channels(ax: Axes, rows: pd.DataFrame) -> None:
    """Name the channels at the heights they have on average, and the line at its end."""
    edges = [0.0, *(float(edge.mean()) for edge in _stack_channels(rows))]
    middles = [(low + high) / 2 for low, high in pairwise(edges)]
    texts, inks = [words for words, _ in _CHANNELS.values()], [mark.ink for _, mark in _CHANNELS.values()]
    backlog = float(numbers(rows, "task_backlog")[-1])
    if not np.isnan(backlog):
        middles, texts, inks = [*middles, backlog], [*texts, "still open"], [*inks, FAILURE.ink]
    label_beside(ax, middles, texts, inks)


def _describe_activity(visible: dict[str, pd.DataFrame], total: int) -> str:
    words = [f"Touches by channel and week for {len(visible)} of {counted(total, 'user')}."]
    for name, rows in visible.items():
        each = ", ".join(f"{count(np.nansum(numbers(rows, key)))} {noun}" for key, (noun, _) in _CHANNELS.items())
        words.append(f"{name}: {each}; {count(np.nansum(numbers(rows, 'task_backlog')))} tasks still open.")
    return " ".join(words)
