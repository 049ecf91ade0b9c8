"""
Show DataFrames as tables: percentages with their intervals, bars, units, dates, links; static HTML, all text escaped.

Every element carries its own style, since mail programs drop style sheets.
"""

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pandas as pd

from outreach_frames._extras import required
from outreach_frames._format import (
    FEW,
    MISSING,
    SPACE,
    count,
    duration,
    minute,
    number,
    p_value,
    percent,
    probability,
    share,
    signed_points,
    type_name,
    typical,
)
from outreach_frames._frame_kinds import pandas_from
from outreach_frames.errors import DataError
from outreach_frames.metrics import unit_of

with required("notebook", "Tables for people", "jinja2"):
    from pandas.io.formats.style import Styler

_GREEN = "#009e73"
_SOFT = "#616e7c"
_RULE = "1px solid #e4e7eb"

SHORT, LONG = 12, 20
"""Texts up to the one stay on a line, those beyond the other get a column of a certain width [letters]."""

ROW_LIMIT = 100
"""Rows shown where no limit is given [rows]."""

PAGES = {"prospect": "/prospects/{id}/overview", "sequence": "/sequences/{id}/overview"}
"""Where the web app shows a record: as its users quote it; the API's documentation does not tell."""

Links = str | Mapping[str, str]


class Unit(NamedTuple):
    """How a kind of column is written: the unit in its header, its values, and its values on few trials."""

    label: str
    write: Callable[[Any], str]
    write_few: Callable[[Any], str] | None = None

    def of(self, value: Any, *, few: bool = False) -> str:
        """Write a value."""
        return self.write_few(value) if few and self.write_few else self.write(value)

    def html(self, value: Any, *, few: bool = False) -> str:
        """Write a value as HTML: a small percentage begins with ``<``."""
        return escape(self.of(value, few=few))


TEXT = Unit("", str)
NUMBER = Unit("", number)
_INSTANT_UNIT = Unit("UTC", minute)
PERCENT = Unit("", percent, partial(percent, n=0))
_POINTS = Unit("percentage points", signed_points)

UNITS = {
    "hours": Unit("hours", duration),
    "days": Unit("days", duration),
    "seconds": Unit("seconds", duration),
    "duration": Unit("", duration),
    "percentage points": _POINTS,
    "share": PERCENT,
    "probability": Unit("probability", probability),
    "p-value": Unit("p-value", p_value),
    "amount": Unit("", count),
    "mails": Unit("mails", number),
    "people": Unit("people", number),
    "enrollments": Unit("enrollments", number),
}
"""How numbers of a unit are written; a unit that the column's name says already is not repeated."""


def show(
    frame: pd.DataFrame,
    *,
    columns: Sequence[str] | Mapping[str, str] | None = None,
    limit: int = ROW_LIMIT,
    links: Links | None = None,
) -> Styler:
    """
    Show a frame for reading.

    Parameters
    ----------
    frame
        A fetched table or a result of the statistics, of pandas, polars or PyArrow. A rate takes its interval and
        denominator along.
    columns
        What to show, in this order, or a mapping of what to show to what to head it with; default: everything.
    limit
        Rows shown from the top [rows]; a caption says if there are more.
    links
        Where the organization's web app is, such as ``"https://web.outreach.io"``: ids of prospects and sequences then
        lead to their pages, at the addresses of `PAGES`. These are not documented by the vendor, and an organization
        can live on another host: look at the address bar of yours. For other records or addresses, a mapping such as
        ``{"account": "https://…/accounts/{id}"}``. Default: no links.

    Returns
    -------
    table : Styler
        Displays itself in a notebook; ``table.to_html()`` is static, needs no script or style sheet and can be mailed.
        Rates are percentages with a bar, their interval and n beside them, with equal decimals in a column; instants
        are UTC to the minute; units are in the header; missing is ``–``. Text is escaped.

    Raises
    ------
    KeyError
        A column of ``columns`` is not in the frame.
    DataError
        ``links`` is no address, or holds a sign-in; what is to be shown is no frame, or has two columns of one name.

    Examples
    --------
    >>> table = of.show(sequences, columns={"id": "Sequence", "name": "Name"}, limit=5)
    >>> "<table" in table.to_html()
    True
    """
    frame = pandas_from(frame)
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"show takes a frame, not {type_name(frame)}.", hint="One record: record.to_frame().")
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise DataError(f"Two columns are called {twice!r}.", hint="Rename one.")
    addresses = _addresses(links)
    rows, intervals = frame.head(limit).reset_index(drop=True), _intervals(frame)
    parts = {part for interval in intervals.values() for part in interval}
    requested = [name for name in frame.columns if name not in parts] if columns is None else columns
    heads = dict(columns) if isinstance(columns, Mapping) else {name: _words(str(name)) for name in requested}
    styled: dict[Hashable, _Column] = {}
    for name, head in heads.items():
        unit = _unit(str(name), rows[name], is_rate=name in intervals)
        address = addresses.get(_record(str(name), frame))
        if name in intervals:
            styled[name], styled[f"{name} interval"] = _rate_columns(rows, name, intervals[name], unit)
            styled[f"{name} interval"].head = _head("interval", unit.label or "%", level=_level(frame))
        else:
            cells = [_cell(value, unit) if address is None else _link(value, address) for value in rows[name]]
            styled[name] = _Column(pd.Series(cells, dtype="str"), unit, is_text=unit is TEXT)
        styled[name].head = _head(head, unit.label)
    left_out = f"The first {count(limit)} of {count(len(frame))} rows." if len(rows) < len(frame) else ""
    return _styled(styled, left_out if len(frame) else "No rows.")


@dataclass(eq=False)
class _Column:
    """A column of the table: cells that are HTML, or, where `few` is set, a rate's numbers that have to be written."""

    cells: "pd.Series[Any]"
    unit: Unit
    is_text: bool = False
    few: bool | None = None
    head: str = ""

    @property
    def side(self) -> str:
        """The style that aligns it: numbers to the right."""
        return f"text-align: {'left' if self.is_text or self.unit is _INSTANT_UNIT else 'right'}"

    @property
    def length(self) -> int:
        """How long its longest text is [letters]; 0 where it is numbers or instants, which stay on a line."""
        texts = self.cells if self.is_text else pd.Series([], dtype="str")
        return max(texts.str.replace(r"<[^>]*>", "", regex=True).str.len(), default=0)

    @property
    def has_bars(self) -> bool:
        """Whether bars help: alone, one says nothing, and a change has two sides."""
        return self.few is not None and self.cells.count() > 1 and not (self.cells < 0).any()


def _rate_columns(rows: pd.DataFrame, name: str, parts: tuple[str, str, str], unit: Unit) -> tuple[_Column, _Column]:
    """Make two columns: the estimate, and its interval with n."""
    low, high, n = parts
    counts = rows[n] if n in rows.columns else pd.Series([pd.NA] * len(rows), dtype="Int64")
    few = typical(counts.dropna()) < FEW
    ends = [_interval(*row, unit, few=few) for row in zip(rows[low], rows[high], counts, strict=True)]
    estimates = rows[name].astype("Float64").astype("float64")
    return _Column(estimates, unit, few=few), _Column(pd.Series(ends, dtype="str"), unit)


def _styled(columns: Mapping[Hashable, _Column], caption: str) -> Styler:
    table = pd.DataFrame({name: column.cells for name, column in columns.items()})
    style = _Inline(table).hide(axis="index").format(str)
    for name, column in columns.items():
        if column.few is not None:
            style = style.format(partial(column.unit.html, few=column.few), subset=[name], na_rep=MISSING)
        if column.has_bars:
            style = style.bar(subset=[name], color=f"{_GREEN}44", vmin=0, width=90, props="min-width: 5em;")
    unbroken = [name for name, column in columns.items() if column.length <= SHORT]
    wordy = [name for name, column in columns.items() if column.length > LONG]
    style = style.set_properties(subset=wordy, **{"min-width": "11em"})
    style = style.set_properties(subset=unbroken, **{"white-space": "nowrap"})
    sides = [column.side for column in columns.values()]
    style = style.apply(lambda _: sides, axis="columns")  # of text too: notebooks align to the right by themselves
    style = style.apply_index(lambda _: sides, axis="columns")
    heads = [column.head.replace("{", "{{").replace("}", "}}") for column in columns.values()]  # pandas formats them
    return style.relabel_index(heads, axis="columns").set_caption(caption)


_CELL = f"padding: 4px 8px; border-bottom: {_RULE}; vertical-align: top;"
_HEAD = _CELL.replace("top", "bottom") + " font-weight: 600;"

_TABLE_TEMPLATE = (
    """
{%- set styles = {} -%}
{%- for s in cellstyle + cellstyle_columns -%}{%- for selector in s.selectors -%}
{%- set _ = styles.__setitem__(selector, s.props) -%}
{%- endfor -%}{%- endfor -%}
{%- macro look(id) -%}{%- for p, v in styles.get(id, []) %} {{p}}: {{v}};{%- endfor -%}{%- endmacro -%}
<table {%- if table_attributes %} {{table_attributes}}{% endif %} style="border-collapse: collapse; TABLE">
{% if caption %}<caption style="caption-side: bottom; text-align: left; padding: 4px 8px;">{{caption}}</caption>
{% endif -%}
<thead>
{% for r in head %}<tr>
{% for c in r if c.is_visible != False %}<th scope="col" style="HEAD{{look(c.id)}}">
{{- c.display_value}}</th>
{% endfor %}</tr>
{% endfor %}</thead>
<tbody>
{% for r in body %}<tr>
{% for c in r if c.is_visible != False %}<td style="CELL{{look(c.id)}}">{{c.display_value}}</td>
{% endfor %}</tr>
{% endfor %}</tbody>
</table>
""".replace("CELL", _CELL)
    .replace("TABLE", "font-variant-numeric: tabular-nums;")
    .replace("HEAD", _HEAD)
)


class _Inline(Styler):
    """Styler as it is, but for the HTML: every style stands on its own element, so `set_table_styles` has no effect."""

    template_html_table = Styler.env.from_string(_TABLE_TEMPLATE)
    template_html_style = Styler.env.from_string("")


def _intervals(frame: pd.DataFrame) -> dict[str, tuple[str, str, str]]:
    """Find the estimates that have bounds, with the names of low, high and n; a single one may have them bare."""
    names = [str(name) for name in frame.columns]
    matches = {
        name: (f"{name}_lo", f"{name}_hi", f"{name}_n") for name in names if {f"{name}_lo", f"{name}_hi"} <= {*names}
    }
    bare = [name for name in ("shrunk", "rate") if name in names and name not in matches]
    return matches | ({bare[0]: ("lo", "hi", "n")} if bare and {"lo", "hi"} <= {*names} else {})


def _interval(low: Any, high: Any, n: Any, unit: Unit, *, few: bool) -> str:
    base = "" if pd.isna(n) else f'{SPACE} <span style="color: {_SOFT};">n{SPACE}={SPACE}{count(n)}</span>'
    if pd.isna(low) or pd.isna(high):
        return MISSING + base
    ends = [unit.html(end, few=few).removesuffix(f"{SPACE}%") for end in (low, high)]
    return (f"{SPACE}to{SPACE}" if unit is _POINTS else "–").join(ends) + base


def _level(frame: pd.DataFrame) -> str:
    """Return the level of a result's intervals, where its record tells it."""
    level = frame.attrs.get("outreach_frames", {}).get("parameters", {}).get("ci")
    return f"{share(level)}{SPACE}" if isinstance(level, float) else ""


def _unit(name: str, values: "pd.Series[Any]", *, is_rate: bool) -> Unit:
    """Choose how a column is written: by its type, and numbers by their name."""
    if pd.api.types.is_datetime64_any_dtype(values.dtype) or "timestamp" in str(values.dtype):
        return _INSTANT_UNIT
    is_id = name == "id" or name.endswith("_id")
    if is_id or pd.api.types.is_bool_dtype(values.dtype) or not pd.api.types.is_numeric_dtype(values.dtype):
        return TEXT
    return UNITS.get(unit_of(name), PERCENT if is_rate else NUMBER)


def _cell(value: Any, unit: Unit) -> str:
    """Write one value as HTML."""
    if pd.api.types.is_list_like(value):
        return escape(", ".join(map(str, value))) or MISSING
    if pd.isna(value):
        return MISSING
    if isinstance(value, bool) or pd.api.types.is_bool(value):
        return "yes" if value else "no"
    return unit.html(value)


def _words(name: str) -> str:
    """Turn a column's name into words, without the unit: ``duration_d`` → ``duration``."""
    stem = re.sub(r"_(h|d|s|at)$", "", name)
    return stem.replace("__", ": ").replace("_", " ").strip() or name


def _head(words: str, unit: str, level: str = "") -> str:
    measured = f'<br><span style="color: {_SOFT}; font-weight: 400;">[{escape(unit)}]</span>' if unit else ""
    return f"{level}{escape(words)}{measured}"


def _addresses(links: Links | None) -> dict[str, str]:
    """Check the addresses, by record: an https host, no sign-in, and a place for the id."""
    if links is None:
        return {}
    provided = {record: links.rstrip("/") + page for record, page in PAGES.items()} if isinstance(links, str) else links
    for address in provided.values():
        if not _is_web_app(address) or "{id}" not in address:
            raise DataError(
                "links holds something that is no address of a web app.",
                hint='Write links="https://web.outreach.io", or {"account": "https://…/accounts/{id}"}; no sign-in.',
            )
    return dict(provided)


def _is_web_app(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc


def _record(name: str, frame: pd.DataFrame) -> str:
    """Return whose ids a column holds: ``prospect_id`` prospects', ``id`` those of the resource that was fetched."""
    if name != "id":
        return name.rpartition("__")[2].removesuffix("_id") if name.endswith("_id") else ""
    return str(frame.attrs.get("outreach_frames", {}).get("resource", "")).removesuffix("s")


def _link(value: Any, address: str) -> str:
    if pd.isna(value):
        return MISSING
    if not pd.api.types.is_integer(value):
        return escape(str(value))
    href = escape(address.replace("{id}", str(value)))
    return f'<a href="{href}" target="_blank" rel="noopener noreferrer">{value}</a>'
