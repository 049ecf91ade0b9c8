"""Pipeline: the same deals credited to channels under several models of sharing credit."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from outreach_frames._format import amount, counted, plural
from outreach_frames.plots._axes import count_axis, empty
from outreach_frames.plots._input import Floats, Names, noun, numbers, parameters, require, subtitle
from outreach_frames.plots._layout import distinct, open_page, picture, shorten, width
from outreach_frames.plots._small_multiples import grid, grid_height, label_beside, panel_count
from outreach_frames.plots._style import CLICK, FAILURE, INK, MUTED, SMALL_PT, WAITING

_CREDITS = ("opportunity_id", "channel", "channel_id", "model", "currency", "amount", "share")
_LOOKS = (
    ("o", "-", INK),
    ("s", (5, 1.5), CLICK.ink),
    ("D", (1, 1), FAILURE.ink),
    ("^", "-", WAITING.ink),
    ("v", (7, 2), INK),
    ("P", (1, 1), CLICK.ink),
    ("X", (3, 1, 1, 1), FAILURE.ink),
    ("p", (5, 1.5), WAITING.ink),
)
_MODELS = {"first": "first touch", "last": "last touch", "linear": "linear", "time_decay": "time decay"}
_REST = {"none": "one-off mail", "unattributed": "no mail before"}
_OTHERS = " other "
_MOST_LINES, _MOST_CURRENCIES = 8, 4
_PIPELINE_LEFT, _PIPELINE_RIGHT, _PIPELINE_RIGHT_SHARE, _BELOW, _HEIGHT = 0.75, 2.6, 0.4, 0.42, 2.4


def plot_pipeline_attribution(
    credited: pd.DataFrame, *, names: Names | None = None, period: str | None = None, ax: Axes | None = None
) -> Axes:
    """
    Plot what each channel is credited with under each model: one line for each channel, one panel for each currency.

    Parameters
    ----------
    credited
        Result of `stats.pipeline_attribution`.
    names
        Names of the channels by id, such as sequence names; default: the ids.
    period
        In words, where rows were chosen before the statistic saw them, such as ``"enrollments begun since 1 Jan
        2026"``; default: what the statistic says.
    ax
        Draw into the rectangle of these axes; default: a new figure 7 inches wide.

    Returns
    -------
    ax : Axes
        Models at 0, 1, 2 … on the x axis, credited amounts from 0 on the y axis; where no amount is known, deals. With
        several currencies, which are never added, it is an invisible frame, and ``ax.child_axes`` holds a panel for
        each of the four with most deals. Eight channels are drawn, the others as one line;
        what is above the largest channel, such as the others together, is only written, with an arrow.

    Raises
    ------
    MissingColumnError
        The frame is not a result of `stats.pipeline_attribution`.

    Notes
    -----
    The models are additive, so the lines of a panel add up to the same total at each model.

    Examples
    --------
    >>> credited = stats.pipeline_attribution(
    ...     mailings, opportunities=opportunities, opportunity_prospect_roles=opportunity_prospect_roles
    ... )
    >>> ax = plots.plot_pipeline_attribution(credited)
    >>> print(ax.figure.outreach_alt.split(".")[0])
    Credited pipeline under first touch, last touch, linear, time decay
    """
    require(credited, _CREDITS, plot="plot_pipeline_attribution", source="stats.pipeline_attribution(...)", names=names)
    provided = parameters(credited)
    kind = noun(str(provided.get("by") or "sequence_id"))
    models = [model for model in _MODELS if (credited["model"] == model).fillna(value=False).any()]
    most = min(_MOST_CURRENCIES, panel_count(ax, _MOST_CURRENCIES, _HEIGHT, below=_BELOW, columns=1))
    panels = _panels(credited, models, names, kind)
    panels = {unit: panels[unit] for unit in list(panels)[:most]}
    deals = credited["opportunity_id"].nunique()
    lost = credited.loc[(credited["channel"] == "unattributed").fillna(value=False), "opportunity_id"].nunique()
    window = provided.get("window_d")
    with picture():
        page = open_page(
            ax,
            title=f"Pipeline credited to each {kind} by {counted(len(models), 'rule')} of sharing credit",
            subtitle=subtitle(
                credited, counted(deals, "opportunity"), f"{lost} without mail before them", period=period
            ),
            footnote="Each deal is credited to the mail delivered "
            + (f"in the {window:g} days " if window else "")
            + "before it. Each rule shares the same total: where a line is not level, the rule decides, not the data. "
            "Shown is what went together, not what caused what. Range: lowest to highest rule; ↑ above the axis.",
            height=grid_height(len(panels), _HEIGHT, below=_BELOW, columns=1) if len(panels) > 1 else _HEIGHT + _BELOW,
        )
        if not panels:
            return empty(page, "No opportunities in this period.")
        right = min(_PIPELINE_RIGHT, _PIPELINE_RIGHT_SHARE * page.width)
        if len(panels) == 1:
            ((unit, lines),) = panels.items()
            room = page.width - _PIPELINE_LEFT - right
            _draw_panel(
                page.place(_PIPELINE_LEFT, _BELOW, room, page.height - _BELOW - 0.1), lines, models, unit, right
            )
        else:
            cells = grid(page, list(panels), left=_PIPELINE_LEFT, below=0, right=right, columns=1)
            for cell, (unit, lines) in zip(cells, panels.items(), strict=True):
                panel = page.panel(cell.left, cell.bottom + _BELOW, cell.width, cell.height - _BELOW)
                _draw_panel(panel, lines, models, unit, right)
        page.describe(_describe_pipeline(panels, models))
        return page.ax


def _panels(credited: pd.DataFrame, models: list[str], names: Names | None, kind: str) -> dict[str, dict[str, Floats]]:
    """Sum the credited by channel and model: for each unit of measure the lines, by label, largest first."""
    priced = credited[credited["amount"].notna()]
    value, rows = ("amount", priced) if len(priced) else ("share", credited)
    units = rows["currency"].fillna("no currency").astype(str) if value == "amount" else "deals"
    rows = rows.assign(unit=units, label=_labels(rows, names, kind))
    sizes = rows.groupby("unit")["opportunity_id"].nunique().sort_values(ascending=False, kind="stable")
    return {str(unit): _lines(rows[rows["unit"] == unit], value, models, kind) for unit in sizes.index}


def _labels(rows: pd.DataFrame, names: Names | None, kind: str) -> list[str]:
    channels = rows[["channel", "channel_id"]].drop_duplicates()
    ids = channels["channel_id"]
    provided = {} if names is None else names
    sentences = distinct([provided.get(key, f"{kind} {key}") if pd.notna(key) else "" for key in ids], list(ids))
    present = dict(zip(ids, sentences, strict=True))
    pairs = zip(rows["channel"].astype(str), rows["channel_id"], strict=True)
    return [_REST.get(channel) or present[key] for channel, key in pairs]


def _lines(rows: pd.DataFrame, value: str, models: list[str], kind: str) -> dict[str, Floats]:
    lines = {
        str(label): np.array([numbers(part[part["model"] == model], value).sum() for model in models])
        for label, part in rows.groupby("label", sort=False)
    }
    order = sorted(lines, key=lambda label: (label in _REST.values(), -lines[label].max(), label))
    own = [label for label in order if label not in _REST.values()]
    if len(own) <= _MOST_LINES:
        return {label: lines[label] for label in order}
    others = own[_MOST_LINES - 1 :]
    visible = {label: lines[label] for label in own[: _MOST_LINES - 1]}
    visible[f"{len(others)}{_OTHERS}{plural(kind)}"] = sum((lines[label] for label in others), np.zeros(len(models)))
    return visible | {label: lines[label] for label in order if label in _REST.values()}


def _draw_panel(ax: Axes, lines: dict[str, Floats], models: list[str], unit: str, right: float) -> None:
    largest = [values.max() for label, values in lines.items() if label not in _REST.values() and _OTHERS not in label]
    top = 1.06 * max(largest or [values.max() for values in lines.values()]) or 1.0
    ax.set(xlim=(-0.1, len(models) - 0.9), ylim=(0, top))
    ax.set_xticks(range(len(models)), [_MODELS[model].replace(" ", "\n") for model in models])
    count_axis(ax.yaxis, "Deals credited" if unit == "deals" else f"Amount credited [{unit}]", whole=False)
    texts, inks = [], []
    for place, (label, values) in enumerate(lines.items()):
        is_rest = label in _REST.values()
        marker, dashes, ink = ("", (1, 1.5), MUTED) if is_rest else _LOOKS[place % len(_LOOKS)]
        fits = values.max() <= top
        if fits:
            style = "-" if dashes == "-" else (0, dashes)
            look: dict[str, Any] = {"marker": marker, "ms": 4.5, "lw": 1.3, "ls": style, "color": ink}
            ax.plot(range(len(models)), values, gid="channel", clip_on=False, **look)
        sentences = _stretch(values) + ("" if fits else " ↑")
        texts.append(f"{shorten(label, right - 0.3 - width(sentences, SMALL_PT), size=SMALL_PT)}  {sentences}")
        inks.append(ink)
    label_beside(ax, [values[-1] if values.max() <= top else np.inf for values in lines.values()], texts, inks)


def _stretch(values: Floats) -> str:
    low, high = amount(values.min()), amount(values.max())
    return low if low == high else f"{low} – {high}"


def _describe_pipeline(panels: dict[str, dict[str, Floats]], models: list[str]) -> str:
    words = [f"Credited pipeline under {', '.join(_MODELS[model] for model in models)}."]
    for unit, lines in panels.items():
        sentences = (f"{label} {amount(values.min())} to {amount(values.max())}" for label, values in lines.items())
        words.append(f"In {unit}: {'; '.join(sentences)}.")
    return " ".join(words)
