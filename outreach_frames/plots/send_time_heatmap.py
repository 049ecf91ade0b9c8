"""Hours of sending: a week of hours, shaded by the reply rate, sized by the mail sent."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from outreach_frames._format import count, counted, percent, weekday as weekday_name
from outreach_frames.plots._axes import empty
from outreach_frames.plots._input import (
    Flags,
    Floats,
    axis_title,
    facts,
    mark_of,
    metric,
    numbers,
    parameters,
    require,
    subtitle,
)
from outreach_frames.plots._layout import Page, open_page, picture
from outreach_frames.plots._small_multiples import shade
from outreach_frames.plots._style import FAINT, INK, MUTED, SMALL_PT, Mark

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_HOURS_OF_DAY = 24
_CLOCKS = {
    "prospect": "in the recipient's time zone",
    "user": "in the sender's time zone",
    "org": "in the organization's time zone",
}
_GRID_LEFT, _GRID_RIGHT, _GRID_TOP, _GRID_BOTTOM, _GRID_GAP = 0.45, 0.95, 0.5, 0.95, 0.06
_SCALE_AT, _SCALE_WIDTH = 0.1, 1.6
_LARGEST = 0.92
_EQUAL_RATES = 0.001
"""Rates nearer than this look the same in the picture, and in its numbers."""
_TWICE = 2
"""The darkest shade is no less than so many times the rate of all hours: that rate is a middle one, no peak."""


def plot_send_time_heatmap(
    heatmap: pd.DataFrame, *, min_n: int | None = None, period: str | None = None, ax: Axes | None = None
) -> Axes:
    """
    Plot a week of hours: squares sized by deliveries and shaded by the shrunken reply rate, with totals at the edges.

    The shades go from 0 to the highest rate, and to twice that of all hours at least: hours that are alike are neither
    light nor dark.

    Parameters
    ----------
    heatmap
        Result of `stats.send_time_heatmap`: one row for each weekday and hour.
    min_n
        Hours with fewer deliveries are gray dots, without a shade; default: that of the result, else 30.
    period
        In words, where rows were chosen before the statistic saw them, such as ``"enrollments begun since 1 Jan
        2026"``; default: what the statistic says.
    ax
        Draw into the rectangle of these axes; default: a new figure 7 inches wide.

    Returns
    -------
    ax : Axes
        Hours 0 to 23 on the x axis, Monday to Sunday at 0 to 6 on the y axis. ``ax.child_axes`` are the deliveries by
        hour, by weekday, and the scale of shades. An hour without deliveries is empty.

    Raises
    ------
    MissingColumnError
        The frame is not a result of `stats.send_time_heatmap`.

    Examples
    --------
    >>> ax = plots.plot_send_time_heatmap(stats.send_time_heatmap(mailings, prospects=prospects, default_tz="UTC"))
    >>> print(ax.figure.outreach_alt.split(".")[0])
    Grid of weekdays and hours shaded by reply rate, adjusted for small numbers
    """
    needed = ("weekday", "hour", "delivered", "shrunk")
    require(heatmap, needed, plot="plot_send_time_heatmap", source="stats.send_time_heatmap(...)")
    provided = parameters(heatmap)
    least = int(provided.get("min_n") or 30) if min_n is None else min_n
    words = metric(str(provided.get("metric") or "reply_rate"))
    clock = _CLOCKS.get(str(provided.get("clock") or "prospect"), "")
    delivered, shrunk = _hours_grid(heatmap, "delivered"), _hours_grid(heatmap, "shrunk")
    firm = (delivered >= least) & ~np.isnan(shrunk)
    with picture():
        page = open_page(
            ax,
            title=f"{words.label} by weekday and hour of sending",
            subtitle=subtitle(heatmap, counted(np.nansum(delivered), "delivered mailing"), period=period),
            footnote=f"{words.label}: {words.definition}; adjusted toward the rate of all hours. Area: deliveries. "
            f"Dots: fewer than {least} deliveries. Bars: deliveries by hour and by weekday. Who is mailed when is not "
            "random: a good hour may be an hour of good prospects." + _assumed(heatmap),
            height=len(_WEEKDAYS) * 0.28 + _GRID_TOP + _GRID_BOTTOM,
        )
        if not np.nansum(delivered):
            return empty(page, "No delivered mail in this period.")
        drawn = page.place(
            _GRID_LEFT, _GRID_BOTTOM, page.width - _GRID_LEFT - _GRID_RIGHT, page.height - _GRID_TOP - _GRID_BOTTOM
        )
        drawn.set(
            xlim=(-0.5, _HOURS_OF_DAY - 0.5), ylim=(len(_WEEKDAYS) - 0.5, -0.5), xlabel=f"hour of sending, {clock}"
        )
        drawn.set_xticks(range(0, _HOURS_OF_DAY, 3))
        drawn.set_yticks(range(len(_WEEKDAYS)), [weekday_name(name) for name in _WEEKDAYS])
        highest = float(np.nanmax(shrunk[firm], initial=0.0))
        usual = _usual(heatmap)
        top = max(highest, min(_TWICE * usual, 1.0))
        _draw_cells(drawn, delivered, np.where(firm, shrunk, np.nan), top, mark_of(words))
        _draw_totals(page, delivered)
        if firm.any():
            title = f"{axis_title(words)}, adjusted" + (": no hour stands out" if _are_alike(shrunk[firm]) else "")
            _draw_scale(page, top, usual, mark_of(words), title)
        else:
            page.write(_GRID_LEFT, 0.1, f"No hour has {least} deliveries.", size=SMALL_PT, color=MUTED)
        page.describe(_describe_heatmap(delivered, shrunk, firm, axis_title(words)))
        return drawn


def _usual(heatmap: pd.DataFrame) -> float:
    """Find the rate of all hours together; from the shrunken rates where the result has lost its own."""
    rate = str(parameters(heatmap).get("metric") or "reply_rate")
    names = (rate, f"{rate}_n") if {rate, f"{rate}_n"} <= set(heatmap.columns) else ("shrunk", "delivered")
    rates, trials = (numbers(heatmap, name) for name in names)
    present = trials > 0
    return float(np.average(rates[present], weights=trials[present])) if present.any() else 0.0


def _are_alike(rates: Floats) -> bool:
    return float(np.ptp(rates)) < _EQUAL_RATES


def _assumed(heatmap: pd.DataFrame) -> str:
    """Say for how much of the mail the time zone was not known."""
    share = (facts(heatmap).get("tz_source") or {}).get("default")
    zone = parameters(heatmap).get("default_tz") or "UTC"
    return f" Zone unknown, {zone} assumed: {percent(share)} of deliveries." if share else ""


def _hours_grid(heatmap: pd.DataFrame, column: str) -> Floats:
    """Arrange a column as 7 weekdays × 24 hours; NaN where the result has no row."""
    cells = np.full((len(_WEEKDAYS), _HOURS_OF_DAY), np.nan)
    rows = [_WEEKDAYS.index(str(weekday)[:3].capitalize()) for weekday in heatmap["weekday"]]
    cells[rows, heatmap["hour"].to_numpy(dtype="int64")] = numbers(heatmap, column)
    return cells


def _draw_cells(ax: Axes, delivered: Floats, rates: Floats, top: float, mark: Mark) -> None:
    largest = np.nanmax(delivered)
    for weekday, hour in zip(*np.nonzero(delivered > 0), strict=True):
        if np.isnan(rates[weekday, hour]):
            ax.plot([hour], [weekday], marker=".", ms=2.5, color=MUTED, ls="none", gid="few")
            continue
        side = _LARGEST * np.sqrt(delivered[weekday, hour] / largest)
        corner = (hour - side / 2, weekday - side / 2)
        color = shade(rates[weekday, hour], top, mark)
        ax.add_patch(Rectangle(corner, side, side, facecolor=color, edgecolor=mark.ink, lw=0.4, gid="cell"))


def _draw_totals(page: Page, delivered: Floats) -> None:
    """Draw the deliveries by hour above the grid and by weekday at its right."""
    hours, days = np.nansum(delivered, axis=0), np.nansum(delivered, axis=1)
    wide, high = page.width - _GRID_LEFT - _GRID_RIGHT, page.height - _GRID_TOP - _GRID_BOTTOM
    above = page.panel(_GRID_LEFT, page.height - _GRID_TOP + _GRID_GAP, wide, _GRID_TOP - _GRID_GAP - 0.16)
    above.bar(range(_HOURS_OF_DAY), hours, width=0.8, color=FAINT, edgecolor=MUTED, lw=0.4)
    above.set(xlim=(-0.5, _HOURS_OF_DAY - 0.5), ylim=(0, hours.max()), xticks=[], yticks=[])
    busiest = int(hours.argmax())
    above.text(busiest, hours[busiest], count(hours[busiest]), size=SMALL_PT, ha="center", va="bottom")
    beside = page.panel(page.width - _GRID_RIGHT + _GRID_GAP, _GRID_BOTTOM, _GRID_RIGHT - _GRID_GAP - 0.45, high)
    beside.barh(range(len(_WEEKDAYS)), days, height=0.7, color=FAINT, edgecolor=MUTED, lw=0.4)
    beside.set(ylim=(len(_WEEKDAYS) - 0.5, -0.5), xlim=(0, 1.02 * days.max()), xticks=[], yticks=[])
    beside.spines[:].set_visible(False)
    for weekday, total in enumerate(days):
        beside.annotate(
            count(total),
            (total, weekday),
            (3, 0),
            textcoords="offset points",
            size=SMALL_PT,
            va="center_baseline",
            annotation_clip=False,
        )


def _draw_scale(page: Page, top: float, usual: float, mark: Mark, title: str) -> None:
    """Draw the shades from zero up, with their ends and the rate of all hours in numbers."""
    scale = page.panel(_GRID_LEFT, _SCALE_AT, _SCALE_WIDTH, 0.13)
    steps = 32
    for step in range(steps):
        color = shade((step + 0.5) / steps, 1, mark)
        scale.add_patch(Rectangle((step / steps, 0), 1 / steps, 1, facecolor=color, lw=0))
    scale.set(xlim=(0, 1), ylim=(0, 1))
    scale.set_axis_off()
    part = usual / top if top else 0.0
    scale.plot([part, part], [0, 1.5], color=INK, lw=0.8, clip_on=False, gid="usual")
    middle = _SCALE_AT + 0.065
    page.write(_GRID_LEFT - 0.06, middle, "0", size=SMALL_PT, color=MUTED, ha="right", va="center")
    page.write(
        _GRID_LEFT + _SCALE_WIDTH + 0.06, middle, f"{percent(top)} {title}", size=SMALL_PT, color=MUTED, va="center"
    )
    above = _SCALE_AT + 0.22
    texts = f"all hours {percent(usual)}"
    page.write(_GRID_LEFT + _SCALE_WIDTH * part, above, texts, size=SMALL_PT, color=INK, ha="center", va="bottom")


def _describe_heatmap(delivered: Floats, shrunk: Floats, firm: Flags, title: str) -> str:
    """Describe the grid: its busiest hour and its best one."""
    weekday, hour = np.unravel_index(np.nanargmax(delivered), delivered.shape)
    words = [f"Grid of weekdays and hours shaded by {title.lower()}, adjusted for small numbers."]
    most = counted(delivered[weekday, hour], "delivered mailing")
    words.append(f"Busiest: {weekday_name(_WEEKDAYS[weekday])} {hour}:00, {most}.")
    if firm.any() and _are_alike(shrunk[firm]):
        words.append(f"No hour stands out: all are near {percent(np.mean(shrunk[firm]))}.")
    elif firm.any():
        weekday, hour = np.unravel_index(np.argmax(np.where(firm, shrunk, -1)), shrunk.shape)
        rate = f"{percent(shrunk[weekday, hour])} of {count(delivered[weekday, hour])}"
        words.append(f"Highest: {weekday_name(_WEEKDAYS[weekday])} {hour}:00, {rate}.")
    return " ".join(words)
