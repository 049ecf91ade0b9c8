"""Steps of a sequence: how many enrollments are open at each, and which share replies there."""

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from outreach_frames._format import count, counted, interval, percent
from outreach_frames.plots._axes import HALO, empty, estimates, rate_axis, top_of
from outreach_frames.plots._input import Floats, Names, confidence, numbers, parts, require, subtitle
from outreach_frames.plots._layout import Page, line_height, open_page, picture, widest
from outreach_frames.plots._small_multiples import Cell, grid, grid_height, panel_count
from outreach_frames.plots._style import FAINT, INK, REPLY, SMALL_PT

_FUNNEL_COLUMNS = (
    "sequence_id",
    "order",
    "step_type",
    "at_risk",
    "hazard",
    "hazard_lo",
    "hazard_hi",
    "cumulative_reply",
)
_STEP_TYPES = {
    "auto_email": ("✉", "automatic e-mail"),
    "manual_email": ("✎", "manual e-mail"),
    "call": ("☎", "call"),
    "task": ("☑", "task"),
}
_OTHER_TYPE = "•"
_FUNNEL_LEFT, _FUNNEL_BOTTOM = 0.6, 0.2
_FUNNEL_TICKS, _FUNNEL_BARS, _FUNNEL_GAP = 0.34, 0.42, 0.2
_FUNNEL_HEADROOM = 1.2


def plot_step_funnel(
    funnel: pd.DataFrame,
    *,
    names: Names | None = None,
    min_n: int = 30,
    cumulative: bool = True,
    period: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """
    Plot, for each sequence, how many enrollments are open at each step (bars) and which share replies there (points).

    Parameters
    ----------
    funnel
        Result of `stats.step_funnel`: one row for each sequence and step.
    names
        Sequence names by id; default: the result's own names, else the ids.
    min_n
        Rates on fewer open enrollments are drawn faded; neither they nor the line there stretch the axis.
    cumulative
        Draw the line of those that have replied up to a step. It is above the reply rate, since it goes on as if
        nobody left without an answer.
    period
        In words, where rows were chosen before the statistic saw them, such as ``"enrollments begun since 1 Jan
        2026"``; default: what the statistic says.
    ax
        Draw into the rectangle of these axes; default: a new figure 7 inches wide.

    Returns
    -------
    ax : Axes
        An invisible frame; ``ax.child_axes`` holds two panels for each sequence, rates above counts, on shared axes
        with the steps at 0, 1, 2 … At most twelve sequences are drawn, those with most open enrollments.
        Steps without an open enrollment have an open tick; a sequence without any is not drawn.

    Raises
    ------
    MissingColumnError
        The frame is not a result of `stats.step_funnel`.

    Notes
    -----
    Points are the statistic's ``hazard``, gray bars its ``at_risk``; the dashed line is 1 − Π(1 − hazard).

    Examples
    --------
    >>> funnel = stats.step_funnel(mailings, sequence_steps=sequence_steps)
    >>> ax = plots.plot_step_funnel(funnel, min_n=50)
    >>> print(ax.figure.outreach_alt.split(" for ")[0])
    Reply rate by step and open enrollments
    """
    require(funnel, _FUNNEL_COLUMNS, plot="plot_step_funnel", source="stats.step_funnel(...)", names=names)
    groups = parts(funnel.sort_values(["sequence_id", "order"]), "sequence_id", names=names)
    everyone = {name: steps for name, steps in groups.items() if _entrants(steps)} or groups
    largest = sorted(everyone, key=lambda name: -_entrants(everyone[name]))
    cell = 2.3 if len(largest) == 1 else 1.9
    largest = largest[: panel_count(ax, len(largest), cell, below=_FUNNEL_BOTTOM)]
    visible = {name: everyone[name] for name in largest}
    of = f"{len(visible)} largest of " if len(visible) < len(everyone) else ""
    entrants = counted(sum(map(_entrants, everyone.values())), "enrollment")
    scale = _Scale.of(list(visible.values()), min_n, cumulative=cumulative) if visible else None
    is_beyond = [scale is not None and (numbers(steps, "hazard") > scale.rate).any() for steps in visible.values()]
    hollow = "; hollow: above the panel" if any(is_beyond) else ""
    with picture():
        page = open_page(
            ax,
            title="Replies by sequence step",
            subtitle=subtitle(
                funnel,
                of + counted(len(everyone), "sequence"),
                *([f"{len(groups) - len(everyone)} more without mail"] if len(everyone) < len(groups) else []),
                entrants,
                period=period,
            ),
            footnote=f"Points: share of the open enrollments whose first reply came at the step, with "
            f"{confidence(funnel)} interval. Open (gray bars): reached by the step, no reply or opt-out before. "
            f"Faded: fewer than {min_n} open{hollow}. ◇ none open. "
            f"{'Dashes: share that has replied up to the step. ' if cumulative else ''}{_legend_of_types(funnel)}",
            height=grid_height(len(visible), cell, below=_FUNNEL_BOTTOM),
        )
        if scale is None:
            return empty(page, "No steps in this period.")
        for place, steps in zip(
            grid(page, largest, left=_FUNNEL_LEFT, below=_FUNNEL_BOTTOM), visible.values(), strict=True
        ):
            _draw_rates(page, place, steps, scale)
            _draw_counts(page, place, steps, scale)
        page.describe(_describe_funnel(visible, len(everyone), cumulative=cumulative))
        return page.ax


@dataclass(frozen=True, slots=True)
class _Scale:
    """What all panels share: limits, the least number at risk for a full-strength point, whether steps add up."""

    rate: float
    at_risk: float
    steps: int
    min_n: int
    cumulative: bool

    @classmethod
    def of(cls, sequences: list[pd.DataFrame], min_n: int, *, cumulative: bool) -> "_Scale":
        steps = pd.concat(sequences)
        at_risk = numbers(steps, "at_risk")
        firm = steps[at_risk >= min_n] if (at_risk >= min_n).any() else steps
        highest = [
            numbers(firm, name) for name in ("hazard_hi", "hazard", *(["cumulative_reply"] if cumulative else []))
        ]
        return cls(
            rate=_FUNNEL_HEADROOM * top_of(*highest),
            at_risk=max(1.0, float(np.nanmax(at_risk, initial=0.0))),
            steps=max(len(sequence) for sequence in sequences),
            min_n=min_n,
            cumulative=cumulative,
        )


def _draw_rates(page: Page, cell: Cell, steps: pd.DataFrame, scale: _Scale) -> None:
    below = _FUNNEL_TICKS + _FUNNEL_BARS + _FUNNEL_GAP
    panel = page.panel(cell.left, cell.bottom + below, cell.width, cell.height - below)
    panel.set(xlim=(-0.5, scale.steps - 0.5), ylim=(0, scale.rate), xticks=[])
    rate_axis(panel.yaxis, "Reply rate" if cell.is_left else "", ticks=4)
    panel.tick_params(labelleft=cell.is_left)
    so_far = _so_far(steps)
    if scale.cumulative:
        panel.plot(range(len(steps)), so_far, color=REPLY.ink, lw=1.2, dashes=(4, 1.5), zorder=2, gid="cumulative")
    hazards = np.stack([numbers(steps, name) for name in ("hazard", "hazard_lo", "hazard_hi")], axis=1)
    few = numbers(steps, "at_risk") < scale.min_n
    estimates(panel, range(len(steps)), hazards, REPLY, faded=few, upright=True)
    last = len(steps) - 1
    if not scale.cumulative or np.isnan(so_far[last]):
        return
    label_room = (line_height(SMALL_PT) + 4 / 72) / (cell.height - below)
    highest = scale.rate * min(1 / _FUNNEL_HEADROOM, max(1 - label_room, 0))
    ceiling = min(max(so_far[last], np.nan_to_num(numbers(steps, "hazard_hi")[last])), highest)
    beyond = " ↑" if so_far[last] > scale.rate else ""
    reached = percent(so_far[last], _entrants(steps)) + beyond + (" in total" if cell.is_first else "")
    above = {"xy": (last + 0.4, ceiling), "xytext": (0, 4), "va": "bottom"}
    beside = {"xy": (last - 0.15, scale.rate), "xytext": (0, -6), "va": "center"}  # of a point at the upper edge
    place: dict[str, Any] = beside if hazards[last, 0] > scale.rate else above
    look: dict[str, Any] = {"size": SMALL_PT, "color": REPLY.ink, "ha": "right", "gid": "cumulative-label"}
    label = panel.annotate(reached, textcoords="offset points", **place, **look)
    label.set_path_effects(HALO)


def _draw_counts(page: Page, cell: Cell, steps: pd.DataFrame, scale: _Scale) -> None:
    panel = page.panel(cell.left, cell.bottom + _FUNNEL_TICKS, cell.width, _FUNNEL_BARS)
    at_risk = numbers(steps, "at_risk")
    panel.bar(range(len(steps)), np.nan_to_num(at_risk), width=0.6, color=FAINT, edgecolor=INK, lw=0.5, gid="at-risk")
    panel.set(xlim=(-0.5, scale.steps - 0.5), ylim=(0, scale.at_risk * 1.02), yticks=[])
    texts = [count(n) for n in at_risk]
    for step in range(0, len(steps), _every(texts, cell.width / scale.steps)):
        panel.text(step, np.nan_to_num(at_risk[step]), texts[step], size=SMALL_PT, ha="center", va="bottom")
    every = _every([str(order) for order in steps["order"]], cell.width / scale.steps)
    orders = [str(order) if step % every == 0 else "" for step, order in enumerate(steps["order"])]
    ticks = [f"{order}\n{_glyph(kind)}" for order, kind in zip(orders, steps["step_type"], strict=True)]
    panel.set_xticks(range(len(steps)), ticks, linespacing=1.15, size=SMALL_PT)
    panel.set_xlabel("step" if cell.is_lowest else "", labelpad=1)
    panel.set_ylabel("open" if cell.is_left else "", size=SMALL_PT, rotation=0, ha="right", va="center", labelpad=16)


def _every(texts: list[str], slot: float) -> int:
    """Of so many texts side by side write each one, or each second, third …, so that they do not touch."""
    return max(1, ceil((widest(texts, SMALL_PT) + 0.04) / slot))


def _glyph(kind: object) -> str:
    return _STEP_TYPES.get(str(kind), (_OTHER_TYPE, ""))[0]


def _legend_of_types(funnel: pd.DataFrame) -> str:
    kinds = {str(kind) for kind in funnel["step_type"].dropna()}
    present = [f"{glyph}\N{NO-BREAK SPACE}{words}" for kind, (glyph, words) in _STEP_TYPES.items() if kind in kinds]
    return ", ".join(present + [f"{_OTHER_TYPE}\N{NO-BREAK SPACE}other step"] * bool(kinds - set(_STEP_TYPES)))


def _entrants(steps: pd.DataFrame) -> float:
    """Enrollments at risk at the step with most of them: usually the first, but a call may come before all mail."""
    return float(np.nanmax(numbers(steps, "at_risk"), initial=0.0))


def _so_far(steps: pd.DataFrame) -> Floats:
    """Share that has replied up to each step; missing until somebody was at risk."""
    started = np.cumsum(~np.isnan(numbers(steps, "hazard"))) > 0
    return np.where(started, numbers(steps, "cumulative_reply"), np.nan)


def _describe_funnel(visible: dict[str, pd.DataFrame], total: int, *, cumulative: bool) -> str:
    words = [f"Reply rate by step and open enrollments for {len(visible)} of {counted(total, 'sequence')}."]
    for name, steps in visible.items():
        columns = ("hazard", "hazard_lo", "hazard_hi", "at_risk")
        rates = ", ".join(interval(*row) for row in zip(*(numbers(steps, column) for column in columns), strict=True))
        in_all = f"; in total {percent(_so_far(steps)[-1], _entrants(steps))}" if cumulative else ""
        words.append(f"{name}: {rates}{in_all}.")
    return " ".join(words)
