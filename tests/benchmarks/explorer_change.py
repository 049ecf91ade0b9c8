"""
How long a change of a control takes on 100,000 mailings, for each explorer.

Run it on an idle machine: ``python tests/benchmarks/explorer_change.py [mailings]``. The sample organisation is
repeated with fresh ids. Every control is moved through some of its values; a state seen before is drawn anew. Times are
CPU time of this process, from the change to the HTML, median and longest. It is no test: machines differ, and nothing
fails when it is slow.
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


def organisation(mailings: int) -> dict[str, pd.DataFrame]:
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
    if isinstance(control, w.FloatSlider):
        return [control.min, control.max]
    return [value for _, value in control.options[:3]]


def main(mailings: int) -> None:
    """Print the times."""
    warnings.simplefilter("ignore", OutreachDataWarning)
    frames = organisation(mailings)
    sys.stdout.write(f"{len(frames['mailings']):,} mailings, CPU time of a change [ms]\n")
    for kind in (widgets.SequenceExplorer, widgets.DefinitionSwitch, widgets.ABMonitor, widgets.ReplyTimeline):
        explorer = kind(frames)
        for name, control in explorer.controls.items():
            taken = []
            for value in values(control):
                explorer._drawn.clear()
                started = time.process_time()
                control.value = value
                taken.append(1000 * (time.process_time() - started))
            moved = [time for time in taken if time > 1]  # the value it had already is no change
            sys.stdout.write(
                f"{kind.__name__:17} {name:14} median {statistics.median(moved):5.0f}  longest {max(moved):5.0f}\n"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
