"""
How long a change of a control takes on 100,000 mailings, for each explorer.

Run it on an idle machine: ``python tests/benchmarks/explorer_change.py [mailings]``. The sample organization is
repeated with fresh ids. Every control is moved through some of its values; a state seen before is drawn anew. Times are
those from the change to the HTML, CPU time of this process and by the clock, median and longest. It is no test:
machines differ, and nothing fails when it is slow.
"""

import statistics
import sys
import time
import warnings
from pathlib import Path

import ipywidgets as w
import pandas as pd

import outreach_frames as of
from outreach_frames import widgets
from outreach_frames.errors import OutreachDataWarning

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
REPEATED = {
    "mailings": ("id", "prospect_id", "sequence_state_id"),
    "prospects": ("id",),
    "sequence_states": ("id", "prospect_id"),
    "calls": ("id", "prospect_id"),
}
APART = 1_000_000
EXPLORERS = (
    widgets.SequenceExplorer,
    widgets.DefinitionExplorer,
    widgets.ABTestExplorer,
    widgets.ProspectExplorer,
    widgets.SendTimeExplorer,
    widgets.MailboxExplorer,
)


def organization(mailings: int) -> dict[str, pd.DataFrame]:
    """Return the sample's frames, what belongs to prospects repeated until there are so many mailings."""
    snapshot = of.open_snapshot(SAMPLE)
    frames = {name: snapshot.frame(name) for name in snapshot.tables}
    copies = -(-mailings // len(frames["mailings"]))
    for name, ids in REPEATED.items():
        frame = frames[name]
        parts = [frame.assign(**{column: frame[column] + n * APART for column in ids}) for n in range(copies)]
        frames[name] = pd.concat(parts, ignore_index=True)
        frames[name].attrs = frame.attrs
    return frames


def values(control: w.ValueWidget) -> list[object]:
    """Return some values of a control."""
    if isinstance(control, w.Checkbox):
        return [not control.value, control.value]
    if isinstance(control, w.FloatSlider | w.IntSlider):
        return [control.min, control.max]
    return [value for _, value in control.options[:3]]


def changes(explorer: w.VBox, control: w.ValueWidget) -> list[tuple[float, float]]:
    """Move a control and back again; return what each change took, CPU time and time by the clock [ms]."""
    taken = []
    first = control.value
    for value in [*(value for value in values(control) if value != first), first]:
        explorer._drawn.clear()
        cpu, clock = time.process_time(), time.perf_counter()
        control.value = value
        taken.append((1000 * (time.process_time() - cpu), 1000 * (time.perf_counter() - clock)))
    return taken


def main(mailings: int) -> None:
    """Print the times."""
    warnings.simplefilter("ignore", OutreachDataWarning)
    frames = organization(mailings)
    sys.stdout.write(f"{len(frames['mailings']):,} mailings, time of a change [ms]\n")
    for kind in EXPLORERS:
        started = time.perf_counter()
        explorer = kind(frames)
        sys.stdout.write(f"{kind.__name__}, opened in {time.perf_counter() - started:.1f} s\n")
        for name, control in explorer.controls.items():
            cpu, clock = zip(*changes(explorer, control), strict=True)
            sys.stdout.write(
                f"  {name:14} CPU median {statistics.median(cpu):4.0f} longest {max(cpu):4.0f}, "
                f"clock median {statistics.median(clock):4.0f} longest {max(clock):4.0f}\n"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
