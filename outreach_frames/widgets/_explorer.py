"""The base of all explorers: controls above, one picture or table below, and the source of their frames."""

import warnings
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Protocol

import ipywidgets as w
import pandas as pd
from matplotlib.axes import Axes
from pandas.io.formats.style import Styler

from outreach_frames._fetch import fetch
from outreach_frames._format import type_name
from outreach_frames._frame_kinds import pandas_from
from outreach_frames._jsonapi import collector_paused
from outreach_frames.client import Client
from outreach_frames.errors import DataError, MissingColumnError, OutreachDataWarning, OutreachError
from outreach_frames.plots import theme
from outreach_frames.snapshots import Snapshot
from outreach_frames.stats._period_words import bounds_of
from outreach_frames.stats._timestamps import Instant

_PICTURE_DPI = 110
_MOST_VIEWS = 64
"""Views kept, so that going back is instant [views]."""


class _HasHtml(Protocol):
    """What writes itself as HTML, such as a table."""

    def to_html(self) -> str:
        """Return static HTML."""


View = Axes | Styler | _HasHtml | str

TableSource = Snapshot | Mapping[str, pd.DataFrame] | Client
"""A snapshot, frames by their table's name, or a connection."""


def _tables_of(source: TableSource, needed: Mapping[str, Sequence[str]], *, needed_for: str) -> dict[str, pd.DataFrame]:
    """
    Take tables from a source.

    Parameters
    ----------
    needed
        Table → columns that it must have.
    needed_for
        What needs them, for the message.

    Raises
    ------
    OutreachError
        A table is missing, or a fetch failed.
    MissingColumnError
        A table lacks a column.
    """
    tables = {name: _frame(source, name) for name in needed}
    for name, columns in needed.items():
        for column in columns:
            if column not in tables[name].columns:
                raise MissingColumnError(column, needed_for=needed_for, hint=f"It belongs to the table {name}.")
    return tables


def _frame(source: TableSource, name: str) -> pd.DataFrame:
    if isinstance(source, Client):
        return fetch(source, name, progress=False, dtypes="arrow")
    if isinstance(source, Mapping):
        if name not in source:
            provided = ", ".join(map(str, source)) or "none"
            raise OutreachError(f"There is no table {name!r}.", hint=f"The frames given are: {provided}.")
        frame = pandas_from(source[name])
        if not isinstance(frame, pd.DataFrame):
            raise DataError(f"The table {name!r} is {type_name(frame)}.", hint="Give a pandas DataFrame.")
        return frame
    return source.frame(name)


def _as_text(value: Any) -> Any:
    """Write a bound or a period so that its code gives it again."""
    if isinstance(value, str | pd.Period):
        return str(value)
    return tuple(map(_as_text, value)) if isinstance(value, Sequence) else pd.Timestamp(value).isoformat()


def _checked(source: Any, explorer: str) -> TableSource:
    """Return a valid source; else name the type of the value."""
    if isinstance(source, Snapshot | Mapping | Client):
        return source
    if isinstance(source, str | Path):
        hint = f"Open the snapshot: {explorer}(of.open_snapshot(...))."
    else:
        hint = f'Give a snapshot, a connection, or frames by name: {explorer}({{"mailings": mailings, ...}}).'
    raise DataError(f"{explorer} cannot read {type_name(source)}.", hint=hint)


class Explorer(w.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """
    Controls above, one picture or table below.

    Where a table is missing, or the connection is lost while the tables are read, a message takes the place of the
    picture, with a button that tries again. Once the tables are read, nothing more is fetched.

    Parameters
    ----------
    source
        A snapshot, frames by their table's name, or a connection.
    since, until, period, tz
        Which mail counts, as in the statistics: at or after ``since`` and before ``until``, or in a ``period`` such as
        ``"last_quarter"`` or ``"90d"``; ``tz`` is the IANA zone of days and months.

    Raises
    ------
    DataError
        The source is none of these, or there is no such period.

    Attributes
    ----------
    TABLES
        Table → columns that the explorer itself reads.
    HEIGHT
        Height of the view, so that nothing below it moves; a higher view scrolls [pixels].
    controls
        Controls by name, in the order of the keyboard's Tab; none while the tables could not be read.
    within
        The period and its zone, as arguments of a statistic; empty where all mail counts.
    view
        What is shown for a state of the controls: a picture, a table or a sentence; each explorer's own.
    code
        The call that gives the same outside the explorer.
    """

    TABLES: ClassVar[Mapping[str, Sequence[str]]]
    HEIGHT: ClassVar[int]
    view: Callable[..., View]
    code: Callable[..., str]
    prepare: Callable[[dict[str, pd.DataFrame]], Mapping[str, w.ValueWidget]]

    def __init__(
        self,
        source: TableSource,
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        period: object = None,
        tz: str = "UTC",
    ) -> None:
        self._source = _checked(source, type(self).__name__)
        self._tz = tz
        bounds_of(since=since, until=until, period=period, tz=tz, now=lambda: 0)  # refuses at once what is none
        chosen = {"since": since, "until": until, "period": period}
        self.within: dict[str, Any] = {name: _as_text(value) for name, value in chosen.items() if value is not None}
        self.within |= {"tz": tz} if tz != "UTC" else {}
        self._views: dict[tuple[Any, ...], str] = {}
        self._is_narrowing = False
        self.controls: dict[str, w.ValueWidget] = {}
        self._row = w.HBox(
            layout=w.Layout(flex_flow="row wrap", align_items="center", flex="0 0 auto", grid_gap="4px 16px")
        )
        self._output = w.HTML(layout=w.Layout(height=f"{self.HEIGHT}px", overflow="auto", flex="0 0 auto"))
        self._as_code = w.ToggleButton(value=False, description="as code", tooltip="Show the call that gives the same")
        self._as_code.layout.width = "auto"
        self._as_code.observe(self._refresh, names="value")
        wide = w.Layout(width="100%", height="12em", display="none", flex="0 0 auto")
        self._code = w.Textarea(layout=wide, tooltip="The call that gives the same")
        super().__init__([self._row, self._output, self._code])
        self.add_class("outreach-explorer")
        self._open()

    @property
    def state(self) -> dict[str, Any]:
        """The controls' values by name."""
        return {name: control.value for name, control in self.controls.items()}

    def table(self, name: str) -> str:
        """Return the code that reads a table from this source."""
        if isinstance(self._source, Client):
            return f'of.fetch(org, "{name}")'
        return f'frames["{name}"]' if isinstance(self._source, Mapping) else f'snapshot.frame("{name}")'

    @property
    def period_code(self) -> str:
        """The code of the period, to follow other arguments of a call."""
        return "".join(f", {name}={value!r}" for name, value in self.within.items())

    def _open(self, _button: object = None) -> None:
        try:
            tables = _tables_of(self._source, self.TABLES, needed_for=type(self).__name__)
            with _undisturbed():
                self.controls = dict(self.prepare(tables))
        except OutreachError as error:
            again = w.Button(description="try again")
            again.on_click(self._open)
            self._row.children = [again]
            self._output.value = as_html(str(error))
            return
        for control in self.controls.values():
            control.observe(self._refresh, names="value")
        controls = self.controls.values()
        row = ([self._search(control), control] if _is_long(control) else [control] for control in controls)
        self._row.children = [*chain.from_iterable(row), self._as_code]
        self._refresh()

    def _search(self, listed: w.Dropdown) -> w.Text:
        """
        Make a field that leaves in a list what has all the words typed; with no match the list stays whole.

        What was chosen stays chosen while it is in the list; else the first match is.
        """
        everything = list(listed.options)
        field = w.Text(placeholder=f"search {listed.description.lower()}", layout=w.Layout(width="11em"))

        def narrow(_change: object) -> None:
            words = field.value.casefold().split()
            matches = [each for each in everything if all(word in each[0].casefold() for word in words)]
            field.description = "" if matches else "no match:"
            chosen, self._is_narrowing = listed.value, True
            try:
                listed.options = matches or everything  # chooses the first one
                if chosen in {value for _, value in listed.options}:
                    listed.value = chosen
            finally:
                self._is_narrowing = False
            if listed.value != chosen:
                self._refresh()

        field.observe(narrow, names="value")
        listed.observe(lambda change: setattr(field, "disabled", change["new"]), names="disabled")
        return field

    def _refresh(self, _change: object = None) -> None:
        if self._is_narrowing:
            return
        self._code.value = self._program() if self._as_code.value else ""
        self._code.layout.display = None if self._as_code.value else "none"
        try:
            with _undisturbed():
                self._output.value = self._draw()
        except OutreachError as error:
            self._output.value = as_html(str(error))
        except BaseException:
            self._output.value = as_html("This view could not be drawn.")  # not the one of other controls
            raise

    def _draw(self) -> str:
        state = self.state
        key = tuple(state.values())
        if key not in self._views:
            drawn = as_html(self.view(**state))
            while len(self._views) >= _MOST_VIEWS:
                self._views.pop(next(iter(self._views)))
            self._views[key] = drawn
        return self._views[key]

    def _program(self) -> str:
        opened = []
        if isinstance(self._source, Snapshot):
            opened = [f"snapshot = of.open_snapshot({str(self._source.path)!r}, version={self._source.version!r})"]
        lines = ["import pandas as pd", "", "import outreach_frames as of", "", *opened, self.code(**self.state)]
        return "\n".join(lines)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """
    Leave out the warnings about the data, and pause the cyclic garbage collector until something is rendered.

    The reports name the warnings; a slider would repeat them. Its search through the objects of a notebook takes
    about a third of the time that a change may take.
    """
    with collector_paused(), warnings.catch_warnings():
        warnings.simplefilter("ignore", OutreachDataWarning)
        yield


def as_html(visible: View) -> str:
    """Return static HTML; text is escaped, a picture carries its description."""
    if isinstance(visible, str):
        return f'<p style="white-space: pre-line; line-height: 1.5">{escape(visible)}</p>'
    if not isinstance(visible, Axes):
        return str(visible.to_html())
    buffer = BytesIO()
    figure = visible.get_figure(root=True)
    if figure is None:
        raise TypeError("The axes belong to no figure.")
    with theme():
        figure.savefig(buffer, format="png", dpi=_PICTURE_DPI, pil_kwargs={"compress_level": 1})
    alt = escape(str(getattr(figure, "outreach_alt", "")), quote=True)
    return (
        f'<img alt="{alt}" style="max-width: 100%" src="data:image/png;base64,{b64encode(buffer.getvalue()).decode()}">'
    )


def dropdown(description: str, options: Sequence[tuple[str, Any]], value: Any = None) -> w.Dropdown:
    """Make a drop-down list whose label is not cut off; without a value given, the first option is chosen."""
    created = w.Dropdown(
        description=description,
        options=options,
        style={"description_width": "initial"},
        layout=w.Layout(width="auto", max_width="100%"),
    )
    if value is not None:
        created.value = value
    return created


_LONG_LIST = 12
"""From so many options on, a list has a search field [options]."""


def _is_long(control: w.ValueWidget) -> bool:
    return isinstance(control, w.Dropdown) and len(control.options) >= _LONG_LIST


def buttons(options: Sequence[tuple[str, Any]]) -> w.ToggleButtons:
    """Make a row of buttons of which one is pressed."""
    return w.ToggleButtons(options=options, style={"button_width": "auto"})


def disable_when(control: w.ValueWidget, *, other: w.ValueWidget, value: object) -> None:
    """Disable `control` while `other` equals `value`."""
    other.observe(lambda change: setattr(control, "disabled", change["new"] == value), names="value")


def group_by_id(frame: pd.DataFrame, column: str) -> dict[int, pd.DataFrame]:
    """Split a frame by a column of ids, once; rows without an id are left out."""
    groups: Any = frame.groupby(column)
    return {int(number): rows for number, rows in groups}


def dropdown_options(names: "pd.Series[str]") -> list[tuple[str, int]]:
    """Return the options of a drop-down list: ``name (id)`` → id; without a name, ``no name (id)``."""
    texts = names.astype("string").fillna("").str.strip()
    return [(f"{text or 'no name'} ({number})", int(number)) for number, text in zip(texts.index, texts, strict=True)]


def end_of(mailings: pd.DataFrame) -> pd.Timestamp:
    """Return when mailings were extracted, else when the last one was delivered; with a zone if their instants have."""
    record: dict[str, Any] = mailings.attrs.get("outreach_frames", {})
    last = pd.Timestamp(mailings["delivered_at"].max())
    end = pd.Timestamp(record.get("as_of") or last)
    return end.tz_localize(None) if last.tz is None else end
