"""Change between two periods: how much comes from the rates and how much from the mix of groups."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from outreach_frames._format import count, counted, day, interval, percent, plural, signed_points
from outreach_frames.errors import DataError
from outreach_frames.metrics import Metric
from outreach_frames.plots._axes import (
    AXIS_ROOM,
    HEADER_ROOM,
    Column,
    Estimate,
    blocks,
    empty,
    estimates,
    lay_rows,
    rate_axis,
    top_of,
)
from outreach_frames.plots._input import (
    Names,
    axis_title,
    confidence,
    keys_of,
    labels,
    mark_of,
    metric,
    noun,
    numbers,
    parameters,
    require,
    subtitle,
)
from outreach_frames.plots._layout import open_page, picture, shorten
from outreach_frames.plots._style import MUTED, VOLUME

_PERIOD_COLUMNS = ("rate_a", "rate_a_n", "rate_b", "rate_b_n", "rate_effect", "mix_effect")
_WATERFALL_ROW, _WATERFALL_BAR = 0.36, 0.5
_MOST_NAMED, _ENDS, _LONGEST_NAME = 3, 2, 1.8


def plot_compare_periods(
    comparison: pd.DataFrame, *, names: Names | None = None, period: str | None = None, ax: Axes | None = None
) -> Axes:
    """
    Plot a waterfall from the rate of one period over the effects of mix and rates to that of the next.

    Parameters
    ----------
    comparison
        Result of `stats.compare_periods`, with the total that it attached.
    names
        Names of the groups by key; default: the result's own names, else the keys.
    period
        In words, where rows were chosen before the statistic saw them, such as ``"enrollments begun since 1 Jan
        2026"``; default: what the statistic says.
    ax
        Draw into the rectangle of these axes; default: a new figure 7 inches wide.

    Returns
    -------
    ax : Axes
        Rows from 0 to 3: the first period's rate with its interval, the effect of the mix, the effect of the rates, the
        second period's rate; fractions on the x axis. A period without trials has an open tick "no data".

    Raises
    ------
    MissingColumnError
        The frame is not a result of `stats.compare_periods`.
    DataError
        The total that came with the result has been lost, as merging and grouping do.

    Examples
    --------
    >>> comparison = stats.compare_periods(
    ...     mailings, statistic=stats.engagement, by="sequence_id", a="2026-01", b="2026-02"
    ... )
    >>> ax = plots.plot_compare_periods(comparison)
    >>> print(ax.figure.outreach_alt.split(".")[0])
    Waterfall of reply rate
    """
    require(comparison, _PERIOD_COLUMNS, plot="plot_compare_periods", source="stats.compare_periods(...)", names=names)
    total = _total(comparison)
    keys = keys_of(comparison)[:1]
    kind = plural(noun(keys[0])) if keys else "groups"
    provided = parameters(comparison)
    words = metric(str(provided.get("metric") or "reply_rate"))
    first, second = (
        _period_label(provided.get(name), fallback) for name, fallback in (("a", "earlier"), ("b", "later"))
    )
    with picture():
        page = open_page(
            ax,
            title=f"{words.label}: change by mix and by rates of {kind}",
            subtitle=subtitle(
                comparison,
                counted(len(comparison), noun(keys[0]) if keys else "group"),
                _change(total),
                period=period or f"{first} against {second}",
            ),
            footnote=f"{words.label}: {words.definition}. Lines: {confidence(comparison)} interval. "
            f"Mix: what using some {kind} more and others less changed. Rates: what changed within them. "
            + _largest(comparison, labels(comparison, keys, names=names)),
            height=4 * _WATERFALL_ROW + AXIS_ROOM + HEADER_ROOM,
        )
        if np.isnan(total["rate_a"]) and np.isnan(total["rate_b"]):
            return empty(page, "No data in either period.")
        ends = [(_total_rate(total, "a"), total["rate_a_n"]), (_total_rate(total, "b"), total["rate_b_n"])]
        effects = total["mix_effect"], total["rate_effect"]
        cells = [percent(ends[0][0][0], ends[0][1]), *map(_points, effects), percent(ends[1][0][0], ends[1][1])]
        sizes = [count(ends[0][1]), "", "", count(ends[1][1])]
        rows = [first, f"mix of {kind}", f"rates within {kind}", second]
        drawn = lay_rows(page, rows, [Column("rate", cells), Column("n", sizes)])
        drawn.set_xlim(0, top_of(*(rate for rate, _ in ends), [ends[0][0][0] + effects[0]]))
        rate_axis(drawn.xaxis, axis_title(words))
        estimates(drawn, (0, 3), [rate for rate, _ in ends], mark_of(words))
        if not np.isnan(effects).any():
            _draw_effects(drawn, ends[0][0][0], effects, words)
        page.describe(_describe_periods(rows, ends, effects, words))
        return drawn


def _total(comparison: pd.DataFrame) -> dict[str, float]:
    """Read the attached total, one row kept as lists by column."""
    columns = comparison.attrs.get("total")
    if not isinstance(columns, dict):
        raise DataError(
            "This comparison has lost its total.",
            hint="Pass the result of stats.compare_periods as it is; merging and grouping drop what it carries.",
        )
    return {name: float("nan") if values[0] is None else float(values[0]) for name, values in columns.items()}


def _total_rate(total: dict[str, float], period: str) -> Estimate:
    value, low, high = (total[f"rate_{period}{end}"] for end in ("", "_lo", "_hi"))
    return value, low, high


def _period_label(provided: Any, fallback: str) -> str:
    """Name a period by its first and last day; its end is not included."""
    if not isinstance(provided, (list, tuple)) or len(provided) != _ENDS:
        return f"{fallback} period"
    return f"{day(provided[0])} – {day(pd.Timestamp(provided[1]) - pd.Timedelta(microseconds=1))}"


def _points(effect: float) -> str:
    return "–" if np.isnan(effect) else f"{signed_points(effect)} pt"


def _change(total: dict[str, float]) -> str:
    if np.isnan(total["diff"]):
        return "change unknown"
    low, high = (signed_points(total[f"diff_{end}"]) for end in ("lo", "hi"))
    return f"change {signed_points(total['diff'])} points ({low} to {high})"


def _largest(comparison: pd.DataFrame, names: list[str]) -> str:
    """Name the groups that moved the total most."""
    effects = np.nan_to_num(numbers(comparison, "rate_effect")) + np.nan_to_num(numbers(comparison, "mix_effect"))
    order = sorted(range(len(names)), key=lambda row: (-abs(effects[row]), names[row]))
    moved = [(shorten(names[row], _LONGEST_NAME), signed_points(effects[row])) for row in order[:_MOST_NAMED]]
    texts = [f"{name} {points}" for name, points in moved if points != "0"]
    return f"Largest effects in points: {', '.join(texts)}." if texts else ""


def _draw_effects(ax: Axes, start: float, effects: tuple[float, float], words: Metric) -> None:
    """Draw each effect as a step of the waterfall, joined by thin lines to the rows above and below."""
    level = start
    for row, (effect, mark) in enumerate(zip(effects, (VOLUME, mark_of(words)), strict=True), start=1):
        ax.plot([level, level], [row - 1, row + _WATERFALL_BAR / 2], color=MUTED, lw=0.7, dashes=(2, 2), zorder=1)
        blocks(
            ax,
            [(min(level, level + effect), row - _WATERFALL_BAR / 2, abs(effect), _WATERFALL_BAR)],
            mark,
            gid="effect",
        )
        level += effect
    ax.plot([level, level], [2, 3], color=MUTED, lw=0.7, dashes=(2, 2), zorder=1)


def _describe_periods(
    rows: list[str], ends: list[tuple[Estimate, float]], effects: tuple[float, float], words: Metric
) -> str:
    texts = [f"{row}: {interval(*rate, n)}" for row, (rate, n) in zip(rows[::3], ends, strict=True)]
    steps = [f"{row} {_points(effect)}" for row, effect in zip(rows[1:3], effects, strict=True)]
    return f"Waterfall of {axis_title(words).lower()}. {texts[0]}; {steps[0]}; {steps[1]}; {texts[1]}."
