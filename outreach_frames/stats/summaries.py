"""The headline numbers of an organization on one page, each with its interval, its definition and its doubts."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from outreach_frames._format import SPACE, count, counted, day, duration, moment, percent, percent_range, plain
from outreach_frames.errors import DataError, OutreachDataWarning
from outreach_frames.metrics import HEADLINES, METRICS, RATES
from outreach_frames.stats._estimators import quantile_bounds
from outreach_frames.stats._pandas import flags, frame_of_rows, frames_of, read_deliveries, write
from outreach_frames.stats._statistic import StatContext, record_of
from outreach_frames.stats._timestamps import Instant, to_iso, to_micros
from outreach_frames.stats.dashboards import dashboard_comparison
from outreach_frames.stats.engagement_rates import engagement
from outreach_frames.stats.intervals import wilson
from outreach_frames.stats.prospects import overlaps
from outreach_frames.stats.quality import data_quality
from outreach_frames.stats.replies import hours_to_reply
from outreach_frames.stats.survival import reply_within, time_to_event

_SUMMARY_RESULT = {
    "metric": pa.string(),
    "value": pa.float64(),
    "unit": pa.string(),
    "n": pa.int64(),
    "lo": pa.float64(),
    "hi": pa.float64(),
    "trust": pa.string(),
    "definition": pa.string(),
    "caveats": pa.string(),
}


@dataclass(frozen=True, eq=False)
class Summary:
    """
    Headline numbers with intervals, definitions and caveats; shows itself as text and in notebooks.

    Attributes
    ----------
    headlines
        What `to_frame` returns.
    caveats
        What `data_quality` found, worst first.
    as_of
        When the data were extracted [ISO 8601, UTC]; ``None`` if unknown.
    unchecked
        Checks that could not be made, since a table or column was not given.
    period
        First and last mailing sent [days, UTC]; ``None`` if none was.
    dashboard
        What `dashboard_comparison` found: from the rates of Outreach's dashboard to those here, step by step.
    """

    headlines: pd.DataFrame
    caveats: pd.DataFrame
    unchecked: int
    as_of: str | None
    period: tuple[str, str] | None
    dashboard: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """
        Return the headline numbers.

        Returns
        -------
        headlines : DataFrame, one row for each number
            ``metric``, ``value``, ``unit`` ("share" in [0, 1], "hours", or what is counted), ``n`` (denominator,
            missing for counts), ``lo``, ``hi``, ``trust`` ("high" or "low"), ``definition``, ``caveats`` (found in
            these data; missing where none). Without data, value and bounds are missing.
        """
        return self.headlines.copy()

    def __repr__(self) -> str:
        lines = [self._title(), ""]
        for name, value, detail, definition in self._lines():
            lines += [f"  {name:<22} {value:>9}  {detail}".rstrip(), f"      {definition}"]
        lines += ["", _COMPARED]
        for metric, steps in self._steps():
            lines.append(f"  {metric}")
            for step, rate, base, meaning in steps:
                lines += [f"    {step:<30} {rate:>7}  {base}".rstrip(), f"        {meaning}"]
        lines += ["", "Caveats"]
        lines += [f"  {severity:<6} {text}" for severity, text in self._doubts()]
        return plain("\n".join(lines))

    def _repr_html_(self) -> str:
        head = _tr("th", *_HEADS, numbers=_NUMBERS)
        numbers = "".join(
            _tr("td", *_summary_cells(row), numbers=_NUMBERS) for row in self.headlines.to_dict("records")
        )
        steps = "".join(
            _tr("th", METRICS[metric].counted, span=4) + "".join(_tr("td", *step, numbers=_FIGURES) for step in chain)
            for metric, chain in self._steps()
        )
        doubts = "".join(
            _tr("td", severity, text.replace("_", " ").removesuffix(", in .caveats"))
            for severity, text in self._doubts()
        )
        sent = f"Mail sent {day(self.period[0])} to {day(self.period[1])}" if self.period else "No mail sent"
        at = moment(self.as_of) if self.as_of else "an unknown time"
        return (
            f'<div class="outreach-summary"><p><strong>{escape(sent)}, as of {escape(at)}</strong></p>'
            f"<table {_STYLE}><thead>{head}</thead><tbody>{numbers}</tbody></table>"
            f"<details><summary>{escape(_COMPARED)}</summary><table {_STYLE}><tbody>{steps}</tbody></table></details>"
            f"<p><strong>Caveats</strong></p><table {_STYLE}><tbody>{doubts}</tbody></table></div>"
        )

    def _title(self) -> str:
        sent = f"mail sent {self.period[0]} to {self.period[1]}" if self.period else "no mail sent"
        return f"Outreach summary: {sent}, as of {self.as_of or 'an unknown time'}"

    def _lines(self) -> list[tuple[str, str, str, str]]:
        """Return name, value, interval with base, and definition of each number."""
        return [_line(row) for row in self.headlines.to_dict("records")]

    def _steps(self) -> list[tuple[str, list[tuple[str, str, str, str]]]]:
        """Return step, rate, its counts and meaning, by the rate that the steps lead to."""
        by_metric = self.dashboard.groupby("metric", sort=False)
        return [(str(metric), [_step_cells(row) for row in rows.to_dict("records")]) for metric, rows in by_metric]

    def _doubts(self) -> list[tuple[str, str]]:
        """Return severity and text of what bends figures; notes are only counted."""
        rows = self.caveats.to_dict("records")
        sentences = [(str(row["severity"]), _doubt(row)) for row in rows if row["severity"] != "note"]
        if len(sentences) < len(rows):
            sentences.append(("note", f"{len(rows) - len(sentences)} more, in .caveats"))
        if self.unchecked:
            sentences.append(("?", f"{counted(self.unchecked, 'check')} not made: tables or columns are missing"))
        return sentences or [("ok", "none found")]


def summarize(frames: Any, *, ci: float = 0.95, cluster: str | None = "auto", as_of: Instant | None = None) -> Summary:
    """
    Summarize an organization: its headline numbers, with intervals, definitions and caveats.

    Parameters
    ----------
    frames
        A mapping of resource name to pandas frame, or a snapshot. ``mailings`` is needed (as for `engagement`);
        ``sequence_states`` adds the overlap rate and tells automatic answers, ``sequences`` Outreach's own counters of
        people; whatever else is there is searched for traps.
    ci
        Confidence level.
    cluster
        Column of the clusters; see `engagement` and `clusters`.
    as_of
        When the data were extracted; default: the frames' own record. Unknown: what needs it is missing.

    Returns
    -------
    summary : Summary
        Shows itself; ``.to_frame()`` gives the numbers, ``.caveats`` what `data_quality` found, ``.dashboard`` how they
        come from what Outreach's dashboard shows (`dashboard_comparison`).

    Raises
    ------
    MissingColumnError
        A column of mailings, sequences or sequence_states is absent.
    DataError
        There are no mailings, a wrong dtype, an id that occurs twice.

    Notes
    -----
    All mail counts, one-off mail included. Warnings of the statistics used are not issued: they are among the caveats.
    Intervals: Wilson; for ``reply_within_14d`` Aalen–Johansen's, for the median that of order statistics. Definitions:
    `outreach_frames.metrics`.

    Examples
    --------
    >>> summary = stats.summarize(snapshot)
    >>> summary.to_frame()[["metric", "value", "lo", "hi"]].round(3).iloc[4:6].to_dict("records")
    [{'metric': 'enrollment_reply_rate', 'value': 0.123, 'lo': 0.1, 'hi': 0.149},
    {'metric': 'prospect_reply_rate', 'value': 0.144, 'lo': 0.12, 'hi': 0.173}]
    >>> len(summary.caveats), summary.period
    (28, ('2025-09-30', '2026-03-30'))
    """
    call = StatContext("summarize", ci=ci, cluster=cluster)
    tables = frames_of(frames)
    if "mailings" not in tables:
        raise DataError("A summary needs mailings.", hint='Pass {"mailings": fetch_mailings(org), …} or a snapshot.')
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutreachDataWarning)  # they are among the caveats
        mail = read_deliveries(call, tables["mailings"])
        call.optional_instant(as_of or _earliest(tables))
        quality = data_quality(tables, as_of=call.as_of)
        dashboard = dashboard_comparison(
            tables["mailings"],
            sequences=tables.get("sequences"),
            sequence_states=tables.get("sequence_states"),
            as_of=call.as_of,
        )
        figures = _figures(tables, ci, cluster, call.as_of) | {"hours_to_reply_median": _median_hours(mail, ci)}
    matches = quality[flags(quality["count"] > 0)]
    rows = [_summary_row(metric, figures.get(metric, {}), matches) for metric in HEADLINES]
    caveats = matches.sort_values("severity", ascending=False, kind="stable", ignore_index=True)
    sent = mail["sent_at"].dropna()
    period = (to_iso(int(sent.min()))[:10], to_iso(int(sent.max()))[:10]) if len(sent) else None
    unchecked = int(quality["count"].isna().sum())
    return Summary(write(call, frame_of_rows(rows, _SUMMARY_RESULT)), caveats, unchecked, call.as_of, period, dashboard)


def _earliest(tables: Mapping[str, pd.DataFrame]) -> str | None:
    """Return when the first of the tables was extracted: what happened later is not in all of them."""
    present = [record_of(table).get("as_of") for table in tables.values()]
    return min((at for at in present if at is not None), key=to_micros, default=None)


def _figures(
    tables: dict[str, pd.DataFrame], ci: float, cluster: str | None, as_of: str | None
) -> dict[str, dict[str, Any]]:
    """Compute the numbers that the tables allow: value, and n, lo and hi where they have them."""
    totals = engagement(tables["mailings"], ci=ci, cluster=cluster, as_of=as_of).iloc[0]
    figures = {name: {"value": totals[name]} for name in ("sent", "delivered", "prospects_replied")}
    figures["prospects_emailed"] = {"value": totals["prospect_reply_rate_n"]}
    for name in RATES:
        figures[name] = {"value": totals[name]} | {end: totals[f"{name}_{end}"] for end in ("n", "lo", "hi")}
    if as_of is not None:
        within = reply_within(time_to_event(tables["mailings"], as_of=as_of), days=[14], ci=ci).iloc[0]
        ends = {end: within[f"reply_within_14d_{end}"] for end in ("lo", "hi")}
        figures["reply_within_14d"] = {"value": within["reply_within_14d"], "n": within["n"], **ends}
    if "sequence_states" in tables:
        people = overlaps(tables["mailings"], sequence_states=tables["sequence_states"], as_of=as_of)[
            "open_enrollments"
        ]
        rate = wilson([int((people > 1).sum())], [int((people > 0).sum())], ci=ci).iloc[0]
        figures["overlap_rate"] = {"value": rate["rate"], "n": rate["n"], "lo": rate["lo"], "hi": rate["hi"]}
    return figures


def _median_hours(mail: pd.DataFrame, ci: float) -> dict[str, Any]:
    """Compute the median hours from delivery to reply, with the interval that order statistics give."""
    hours = hours_to_reply(mail[flags(mail["is_delivered"])])
    if not hours.size:
        return {}
    lo, hi = quantile_bounds(hours, 0.5, ci=ci)
    return {"value": np.median(hours), "n": hours.size, "lo": lo, "hi": hi}


def _summary_row(metric: str, figure: dict[str, Any], matches: pd.DataFrame) -> dict[str, Any]:
    headline = METRICS[metric]
    bent = matches[flags(matches["trap"].isin(list(headline.traps)))]
    caveats = "; ".join(f"{row['check']}: {_of(row)}" for row in bent.to_dict("records"))
    row = {name: _float(figure.get(name)) for name in ("value", "n", "lo", "hi")}
    sentences = {"unit": headline.unit, "trust": headline.trust, "definition": headline.definition}
    return row | sentences | {"metric": metric, "caveats": caveats or None}


def _float(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def _line(row: dict[Any, Any]) -> tuple[str, str, str, str]:
    low = " (low trust)" if row["trust"] == "low" else ""
    value, n = row["value"], row["n"]
    if pd.isna(value):
        return row["metric"] + low, "no data", "", row["definition"]
    if pd.isna(n):
        return row["metric"] + low, count(value), "", row["definition"]
    bounds = ""
    if not (pd.isna(row["lo"]) or pd.isna(row["hi"])):
        in_hours = f"{duration(row['lo'])}–{duration(row['hi'], 'h')}"
        bounds = f"{in_hours if row['unit'] == 'hours' else percent_range(row['lo'], row['hi'], n)}, "
    written = duration(value, "h") if row["unit"] == "hours" else percent(value, n)
    return row["metric"] + low, written, f"{bounds}n = {count(n)}", row["definition"]


def _step_cells(row: dict[Any, Any]) -> tuple[str, str, str, str]:
    """Return the step to a rate, the rate after it, what it is made of, and what the step changes."""
    numerator, denominator = row["numerator"], row["denominator"]
    if pd.isna(denominator):
        return row["step"], "–", "not given", row["meaning"]
    rate = "–" if pd.isna(row["rate"]) else percent(row["rate"], denominator)
    what, _, where = row["grain"].partition(" ")
    return row["step"], rate, f"{count(numerator)} of {count(denominator)} {what}s {where}".rstrip(), row["meaning"]


def _doubt(row: dict[Any, Any]) -> str:
    return f"{row['check']}: {_of(row)} – {row['effect']}"


def _of(row: dict[Any, Any]) -> str:
    return f"{count(row['count'])} of {count(row['rows'])} {row['resource'].replace('_', ' ')}"


_HEADS = ("", "value", "interval", "n", "what it is")
_STYLE = 'style="border-collapse: collapse; font-variant-numeric: tabular-nums;"'
_CELL_STYLE = "padding: 3px 8px; border-bottom: 1px solid #e4e7eb; vertical-align: top; text-align:"
_NUMBERS, _FIGURES = (1, 2, 3), (1, 2)
"""Places of the cells that hold numbers, of a headline and of a step: to the right, and never on two lines."""

_COMPARED = "As Outreach's dashboard counts, and from there to the rates here, step by step"


def _summary_cells(row: dict[Any, Any]) -> tuple[str, ...]:
    """Return the cells of a number: what it is called, value, interval, n and definition."""
    name, value, detail, definition = _line(row)
    bounds, _, base = detail.rpartition("n = ")
    low = " (low trust)" if name.endswith(")") else ""
    return METRICS[row["metric"]].counted + low, value, bounds.removesuffix(", "), base, definition


def _tr(cell: str, *texts: str, numbers: Sequence[int] = (), span: int = 1) -> str:
    """Make a row; every cell carries its style, since mail programs drop style sheets."""
    cells = []
    for place, text in enumerate(texts):
        is_number = place in numbers
        visible = text.replace(" ", SPACE) if is_number or not place else text
        style = f"{_CELL_STYLE} {'right' if is_number else 'left'};{' white-space: nowrap;' if is_number else ''}"
        across = f' colspan="{span}"' if span > 1 else ""
        cells.append(f'<{cell} style="{style}"{across}>{escape(visible)}</{cell}>')
    return f"<tr>{''.join(cells)}</tr>"
