"""Counters: what Outreach counted beside the mails counted here."""

import re
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from outreach_frames._format import count, counted, signed_count
from outreach_frames.plots._axes import Column, empty, lay_rows, no_data, open_rows, rate_axis, top_of
from outreach_frames.plots._input import Names, ends_in_words, keys_of, labels, noun, numbers, ranked, require, subtitle
from outreach_frames.plots._layout import picture
from outreach_frames.plots._style import CLICK, FAILURE, MUTED, NONE, OPEN, VOLUME, WAITING, Mark

_COUNTER_COLUMNS = ("counter", "api", "unique_mailings", "gap", "cause")
_FAR = 2.0
_SAME, _FEW = "equal", 12
_GAP_MARKS: dict[str, Mark] = {
    _SAME: NONE,
    "other definition": CLICK,
    "rows missing": FAILURE,
    "since-last-touch": OPEN,
    "tracking off": VOLUME,
    "pending sync": WAITING,
}


def plot_reconcile_counters(
    counters: pd.DataFrame,
    *,
    names: Names | None = None,
    max_rows: int | None = 40,
    period: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """
    Plot each counter of the API (a ring) beside the count of mailings (filled), colored by why they differ.

    Parameters
    ----------
    counters
        Result of `stats.reconcile_counters`: one row for each object and counter.
    names
        Names of the objects by id; default: the result's own names, else the ids.
    max_rows
        Where there are more unequal ones, both ends are drawn and the middle is summed up in one line; ``None`` draws
        all.
    period
        In words, where rows were chosen before the statistic saw them, such as ``"enrollments begun since 1 Jan
        2026"``; default: what the statistic says.
    ax
        Draw into the rectangle of these axes; default: a new figure 7 inches wide, as high as its rows need.

    Returns
    -------
    ax : Axes
        Counters lie at 0, 1, 2 … on the y axis, those with the largest gap first, and of more
        than twelve the equal ones in one line; on the x axis the counted rows as a
        fraction of the API's counter, which is 1. A counter without its number has an open tick "no data".

    Raises
    ------
    MissingColumnError
        The frame is not a result of `stats.reconcile_counters`.

    Examples
    --------
    >>> counters = stats.reconcile_counters(mailings, sequences=sequences)
    >>> ax = plots.plot_reconcile_counters(counters)
    >>> print(ax.figure.outreach_alt.split(".")[0])
    Outreach's counters beside the mails counted here
    """
    require(
        counters, _COUNTER_COLUMNS, plot="plot_reconcile_counters", source="stats.reconcile_counters(...)", names=names
    )
    keys = keys_of(counters)[:1]
    kind = noun(keys[0]) if keys else "object"
    api, mailings, gaps = (numbers(counters, column) for column in ("api", "unique_mailings", "gap"))
    rows = np.where(np.isnan(gaps), mailings, api - gaps)  # what the gap was measured against
    present = list(~np.isnan(api) & ~np.isnan(rows))
    objects = counters.drop_duplicates(keys)
    named = dict(zip(objects[keys[0]], labels(objects, keys, names=names), strict=True)) if keys else {}
    words = [_counter_label(counter) for counter in counters["counter"]]
    if len(named) > 1:
        words = [f"{named[key]} · {word}" for key, word in zip(counters[keys[0]], words, strict=True)]
    causes = counters["cause"].astype("object").fillna("").astype(str).tolist()
    order = ranked(np.where(present, abs(gaps), np.nan), api, words)
    equal = [row for row in order if causes[row] == _SAME]
    apart = equal if len(order) > _FEW and len(equal) > 1 else []
    order = [row for row in order if row not in set(apart)]
    with picture():
        page, lines = open_rows(
            ax,
            order,
            names=words,
            has_value=present,
            max_rows=max_rows,
            apart=apart,
            title=f"Outreach's counters beside the mails counted here, by {kind}",
            subtitle=subtitle(
                counters,
                *([counted(len(named), kind)] if named else []),
                f"{count(len(equal))} of {counted(len(counters), 'counter')} equal",
                period=period,
            ),
            footnote="Ring at 100 %: Outreach's own counter. Filled: the mails at hand, counted by the same "
            "definition. Gap: Outreach minus counted.",
        )
        if counters.empty:
            return empty(page, "No counters to compare.")
        columns = [
            Column("Outreach", lines.write([count(number) for number in api])),
            Column("counted", lines.write([count(number) for number in rows])),
            Column("gap", lines.write([signed_count(gap) for gap in gaps])),
            Column("why", lines.write(causes, lambda group: _SAME if group[0] in set(apart) else "")),
        ]
        named_lines = lines.names(words)
        if apart:
            named_lines[-1] = f"{count(len(apart))} {'others' if order else 'counters'}"
        drawn = lay_rows(page, named_lines, columns, muted=lines.gaps)
        shares = np.array([_rows_share(row, counter) for row, counter in zip(rows, api, strict=True)])
        drawn.set_xlim(0, top_of([1.0], shares[shares < _FAR], most=_FAR))
        rate_axis(drawn.xaxis, "Counted here ÷ counted by Outreach")
        drawn.axvline(1, color=MUTED, lw=0.8, zorder=1, gid="api-line")
        for line in lines.without(present):
            no_data(drawn, line)
        edge = drawn.get_xlim()[1]
        look: dict[str, Any] = {"ls": "none", "clip_on": False}
        for line, row in lines.drawn(present):
            mark = _GAP_MARKS.get(causes[row], NONE)
            at, marker = min(shares[row], edge), mark.marker if shares[row] <= edge else ">"
            drawn.plot([1, at], [line, line], color=mark.ink, lw=1.1, gid="gap")
            drawn.plot([1], [line], marker="o", ms=5, color=MUTED, mfc="white", mew=0.9, zorder=3, gid="api", **look)
            drawn.plot([at], [line], marker=marker, ms=5, color=mark.ink, zorder=3.1, gid="rows", **look)
        texts = [f"Outreach {count(a)}, counted {count(r)}, {why}" for a, r, why in zip(api, rows, causes, strict=True)]
        ends = ends_in_words(order, np.where(present, gaps, np.nan), words, texts)
        page.describe(f"Outreach's counters beside the mails counted here. {ends}")
        return drawn


def _rows_share(rows: float, api: float) -> float:
    """Rows for each one that the API counted; 1 where both count none."""
    return 1.0 if rows == api else rows / api if api else np.inf


def _counter_label(counter: object) -> str:
    """Turn a counter's name into words: ``opt_out_count`` and ``optOutCount`` give "opt out"."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", str(counter)).lower()
    return spaced.removesuffix("_count").replace("_", " ")
