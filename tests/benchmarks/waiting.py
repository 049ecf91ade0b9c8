"""Rows of the table about what people and senders wait for: an explorer's change, a start, an answer to a delivery."""

import hashlib
import hmac
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import ipywidgets as w
import pandas as pd
import requests
import uvicorn
from measure import ROOT, Cost, Row, bounded, cost_of, written

import outreach_frames as of
from outreach_frames import webhooks, widgets
from outreach_frames.errors import OutreachDataWarning
from outreach_frames.webhooks.receiver_app import listen

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


_SECRET = "benchmark"


def rows_of_deliveries(*, small: bool = False) -> Iterator[Row]:
    """Yield the row of a receiver that many senders use at once: the 99th percentile of the time to the answer."""
    with tempfile.TemporaryDirectory() as folder, listen("127.0.0.1", 0) as listening:
        receiver = webhooks.receiver(Path(folder, "deliveries.sqlite"), secret=_SECRET)
        server = uvicorn.Server(uvicorn.Config(receiver, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            with ThreadPoolExecutor(20) as senders:
                waits = list(senders.map(partial(_deliver, url), range(100 if small else 1000)))
        finally:
            server.should_exit = True
            thread.join()
    p99 = 1000 * statistics.quantiles(waits, n=100)[98]
    label = f"answers to {len(waits):,} deliveries of 20 senders, 99th percentile"
    yield bounded(label, p99, "ms", 1000, "the vendor waits 5 s")


def _deliver(url: str, number: int) -> float:
    """Send one delivery; return the seconds until its answer."""
    data = {"type": "task", "id": number, "attributes": {"state": "complete"}, "relationships": {}}
    meta = {"eventName": "task.completed", "deliveredAt": "2026-01-05T10:00:01.412+00:00"}
    body = json.dumps({"data": data, "meta": meta}).encode()
    headers = {"Outreach-Webhook-Signature": hmac.new(_SECRET.encode(), body, hashlib.sha256).hexdigest()}
    started = time.perf_counter()
    requests.post(url, data=body, headers=headers, timeout=30).raise_for_status()
    return time.perf_counter() - started
