"""Rows of the table about what people wait for: a change of a control in an explorer, the import, the command."""

import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from functools import partial

import ipywidgets as w
import pandas as pd
from measure import ROOT, Cost, Row, bounded, cost_of, written

import outreach_frames as of
from outreach_frames import widgets
from outreach_frames.errors import OutreachDataWarning

_SAMPLE = ROOT / "data" / "sample"
_REPEATED = {
    "mailings": ("id", "prospect_id", "sequence_state_id"),
    "prospects": ("id",),
    "sequence_states": ("id", "prospect_id"),
    "calls": ("id", "prospect_id"),
}
_APART = 1_000_000
_EXPLORERS = (
    widgets.SequenceExplorer,
    widgets.DefinitionExplorer,
    widgets.ABTestExplorer,
    widgets.ProspectExplorer,
    widgets.SendTimeExplorer,
    widgets.MailboxExplorer,
)


def rows_of_explorers(*, small: bool = False) -> Iterator[Row]:
    """Yield a row for each explorer: how long a change of its slowest control takes, from the change to the HTML."""
    frames = _organization(5_000 if small else 1_000_000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutreachDataWarning)
        for kind in _EXPLORERS[:1] if small else _EXPLORERS:
            explorer = kind(frames)
            typical = {name: _change(explorer, control) for name, control in explorer.controls.items()}
            slowest = max(typical, key=lambda name: typical[name].wall)
            label = f"a change in `{kind.__name__}`, {len(frames['mailings']):,} mailings, slowest control ({slowest})"
            cost = typical[slowest]
            yield Row(label, written(cost), limit="300 ms wall", within=cost.wall <= 0.3)


def _organization(mailings: int) -> dict[str, pd.DataFrame]:
    """Return the sample's frames, what belongs to prospects repeated until there are so many mailings."""
    snapshot = of.open_snapshot(_SAMPLE)
    frames = {name: snapshot.frame(name) for name in snapshot.tables}
    copies = -(-mailings // len(frames["mailings"]))
    for name, ids in _REPEATED.items():
        frame = frames[name]
        parts = [frame.assign(**{column: frame[column] + n * _APART for column in ids}) for n in range(copies)]
        frames[name] = pd.concat(parts, ignore_index=True)
        frames[name].attrs = frame.attrs
    return frames


def _values(control: w.ValueWidget) -> list[object]:
    """Return some values of a control."""
    if isinstance(control, w.Checkbox):
        return [not control.value, control.value]
    if isinstance(control, w.FloatSlider | w.IntSlider):
        return [control.min, control.max]
    return [value for _, value in control.options[:3]]


def _change(explorer: w.VBox, control: w.ValueWidget) -> Cost:
    """Move a control and back again, each view drawn anew; return the medians of a change."""
    costs = []
    first = control.value
    for value in [*(value for value in _values(control) if value != first), first]:
        explorer._views.clear()
        costs.append(cost_of(partial(setattr, control, "value", value), collecting=True))
    return Cost(statistics.median(cost.cpu for cost in costs), statistics.median(cost.wall for cost in costs))


_STARTS = {
    "bare": ("pass",),
    "`import outreach_frames`": ("import outreach_frames",),
    "`outreach-frames --help`": ("from outreach_frames.cli import main; main()", "--help"),
}
"""Programs and their arguments; the last does what the installed command does."""


def rows_of_starts(*, small: bool = False) -> Iterator[Row]:
    """Yield the rows of the import and of the command, over the interpreter that does nothing."""
    seconds: dict[str, list[float]] = {name: [] for name in _STARTS}
    for _ in range(2 if small else 20):
        for name, program in _STARTS.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", *program], check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - started)
    medians = {name: 1000 * statistics.median(each) for name, each in seconds.items()}
    bare = medians.pop("bare")
    for (name, median), limit in zip(medians.items(), (30, 200), strict=True):
        yield bounded(f"{name}, over the bare interpreter", median - bare, "ms", limit, f"bare: {bare:,.0f} ms")
