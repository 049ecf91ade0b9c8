"""What explorers share: controls above, one picture or table below, and where their frames come from."""

import warnings
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from html import escape
from io import BytesIO
from typing import Any, Protocol, runtime_checkable

import ipywidgets as w
import pandas as pd
from matplotlib.axes import Axes
from pandas.io.formats.style import Styler

from outreach_frames.client import Client
from outreach_frames.errors import OutreachDataWarning, OutreachError
from outreach_frames.frames import fetch
from outreach_frames.plots import theme

SCREEN_DPI = 110
Shown = Axes | Styler | str


@runtime_checkable
class _Tables(Protocol):
    def frame(self, name: str) -> pd.DataFrame: ...


Source = _Tables | Mapping[str, pd.DataFrame] | Client
"""A snapshot, frames by their table's name, or a connection."""


def frames_of(source: Source, names: Sequence[str]) -> dict[str, pd.DataFrame]:
    """
    Take the named tables from a source.

    Raises
    ------
    KeyError
        A mapping lacks one.
    OutreachError
        A snapshot lacks one, or a fetch failed.
    """
    if isinstance(source, Client):
        return {name: fetch(source, name, progress=False) for name in names}
    if isinstance(source, Mapping):
        return {name: source[name] for name in names}
    return {name: source.frame(name) for name in names}


class Explorer(w.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """
    Controls above, one picture or table below.

    Parameters
    ----------
    controls
        Name → control, in the order of the keyboard's Tab.
    height
        Room kept for what is shown, so that nothing below it jumps [pixels].

    Attributes
    ----------
    controls
        As given.
    view
        What is shown for a state of the controls: a picture, a table or a sentence; each explorer's own.
    code
        The call that gives the same outside the explorer.
    """

    view: Callable[..., Shown]
    code: Callable[..., str]

    def __init__(self, controls: Mapping[str, w.ValueWidget], *, height: int) -> None:
        self.controls = dict(controls)
        self._shown = w.HTML(layout=w.Layout(min_height=f"{height}px"))
        self._code = w.HTML()
        as_code = w.ToggleButton(value=False, description="as code", tooltip="Show the call that gives the same")
        self._as_code = as_code
        for control in (*self.controls.values(), as_code):
            control.observe(self._refresh, names="value")
        row = w.HBox([*self.controls.values(), as_code], layout=w.Layout(flex_flow="row wrap"))
        super().__init__([row, self._code, self._shown])
        self._refresh()

    @property
    def state(self) -> dict[str, Any]:
        """The controls' values by name."""
        return {name: control.value for name, control in self.controls.items()}

    def _refresh(self, _change: object = None) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore", OutreachDataWarning
                )  # the reports name them; a slider would repeat them
                self._shown.value = as_html(self.view(**self.state))
        except OutreachError as error:
            self._shown.value = as_html(str(error))
        code = self.code(**self.state) if self._as_code.value else ""
        self._code.value = f"<pre>{escape(code)}</pre>" if code else ""


def as_html(shown: Shown) -> str:
    """Return static HTML; text is escaped, a picture carries its description."""
    if isinstance(shown, Styler):
        return str(shown.to_html())
    if isinstance(shown, str):
        return f"<p>{escape(shown)}</p>"
    buffer = BytesIO()
    figure = shown.get_figure(root=True)
    if figure is None:
        raise TypeError("The axes belong to no figure.")
    with theme():
        figure.savefig(buffer, format="png", dpi=SCREEN_DPI)
    alt = escape(str(getattr(figure, "outreach_alt", "")), quote=True)
    return (
        f'<img alt="{alt}" style="max-width: 100%" src="data:image/png;base64,{b64encode(buffer.getvalue()).decode()}">'
    )


def dropdown(description: str, options: Sequence[tuple[str, Any]]) -> w.Dropdown:
    """Make a drop-down list whose label is not cut off."""
    return w.Dropdown(
        description=description, options=options, style={"description_width": "initial"}, layout=w.Layout(width="auto")
    )


def choice(description: str, options: Sequence[tuple[str, Any]]) -> w.ToggleButtons:
    """Make a row of buttons of which one is pressed."""
    return w.ToggleButtons(description=description, options=options, style={"button_width": "auto"})
