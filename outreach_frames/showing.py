"""DataFrames that read well: percentages with their intervals, bars, units, dates; static HTML, all text escaped."""

from collections.abc import Hashable, Sequence

import pandas as pd
from pandas.io.formats.style import Styler
from pandas.io.formats.style_render import CSSDict

GREEN = "#009e73"
RULE = "1px solid #e4e7eb"
MISSING = "–"
SPACE = "\N{NO-BREAK SPACE}"
INTERVAL = "interval [%]"
BOUNDS = " bounds"
"""Behind a rate's name: the column made of its two bounds."""

ROW_LIMIT = 100
"""Rows shown where no limit is given [rows]."""


def show(frame: pd.DataFrame, *, columns: Sequence[str] | None = None, limit: int = ROW_LIMIT) -> Styler:
    """
    Show a frame for reading.

    Parameters
    ----------
    frame
        A fetched table or a result of the statistics. A rate takes its interval and denominator along.
    columns
        What to show, in this order; default: everything.
    limit
        Rows shown from the top [rows].

    Returns
    -------
    table : Styler
        Displays itself in a notebook; ``table.to_html()`` is static and needs no script. Rates are percentages with
        a bar, their interval beside them; instants are UTC to the minute; missing is ``–``. Text is escaped.

    Raises
    ------
    KeyError
        A column of ``columns`` is not in the frame.
    """
    rows = frame.head(limit)
    rates = [name for name in frame.columns if {f"{name}_lo", f"{name}_hi"} <= set(frame.columns)]
    parts = {f"{name}{end}" for name in rates for end in ("_lo", "_hi", "_n")}
    wanted = [name for name in frame.columns if name not in parts] if columns is None else list(columns)
    shown = pd.concat([_cells(rows, name, is_rate=name in rates) for name in wanted], axis="columns")
    bars: list[Hashable] = [name for name in wanted if name in rates]
    text: list[Hashable] = [name for name in shown.columns if not pd.api.types.is_numeric_dtype(shown[name])]
    style = shown.style.hide(axis="index").format(na_rep=MISSING, escape="html", thousands=",", precision=2)
    style = style.format("{:.1%}", subset=bars, na_rep=MISSING)
    compared: list[Hashable] = [name for name in bars if shown[name].count() > 1 and not (shown[name] < 0).any()]
    if compared:  # alone, a bar says nothing; a difference has two sides
        style = style.bar(subset=compared, color=f"{GREEN}44", vmin=0, width=90)
    style = style.set_properties(None, **{"text-align": "right"}).set_properties(text, **{"text-align": "left"})
    labels = [INTERVAL if name.endswith(BOUNDS) else _words(name) for name in shown.columns]
    return style.relabel_index(labels, axis="columns").set_table_styles(_TABLE)


_TABLE: list[CSSDict] = [
    {"selector": "", "props": "border-collapse: collapse; font-variant-numeric: tabular-nums;"},
    {"selector": "th", "props": f"padding: 4px 10px; border-bottom: {RULE}; font-weight: 600; vertical-align: bottom;"},
    {"selector": "td", "props": f"padding: 4px 10px; border-bottom: {RULE}; vertical-align: top;"},
]


def _cells(rows: pd.DataFrame, name: str, *, is_rate: bool) -> pd.DataFrame:
    """Return what one column shows: itself as text or numbers, a rate with its interval."""
    values = rows[name]
    if is_rate:
        ends = zip(rows[f"{name}_lo"], rows[f"{name}_hi"], strict=True)
        shown = {name: values.astype("Float64").astype("float64"), f"{name}{BOUNDS}": [*map(_interval, ends)]}
        return pd.DataFrame(shown, index=rows.index)
    if pd.api.types.is_datetime64_any_dtype(values.dtype) or "timestamp" in str(values.dtype):
        values = values.map(lambda t: MISSING if pd.isna(t) else f"{t:%Y-%m-%d}{SPACE}{t:%H:%M}").astype("str")
    elif pd.api.types.is_bool_dtype(values.dtype):
        values = values.map({True: "yes", False: "no"}).astype("str")
    elif pd.api.types.is_integer_dtype(values.dtype) and (name == "id" or name.endswith("_id")):
        values = values.map(lambda number: MISSING if pd.isna(number) else str(number)).astype("str")
    return values.to_frame(name)


def _interval(ends: tuple[float, float]) -> str:
    low, high = ends
    return MISSING if pd.isna(low) else f"{100 * low:.1f}{SPACE}–{SPACE}{100 * high:.1f}"


def _words(name: str) -> str:
    """Turn a column's name into words, with its unit: ``hours_to_reply_h`` → ``hours to reply [h]``."""
    stem, _, unit = name.rpartition("_")
    named = {"h": "[h]", "d": "[days]"}.get(unit)
    return (f"{stem} {named}" if named else name).replace("__", ": ").replace("_", " ")
