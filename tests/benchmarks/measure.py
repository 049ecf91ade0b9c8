"""Measure work against a baseline in the same run, and memory in fresh processes; only the standard library."""

import gc
import json
import math
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MB = 1_000_000
PAGE = 1_000
"""Records of a page, as Outreach sends them [records]."""


@dataclass(frozen=True)
class Cost:
    """What one run of some work took: CPU time of all threads [s], time by the clock [s]."""

    cpu: float
    wall: float


@dataclass(frozen=True)
class Row:
    """
    One line of the table.

    Attributes
    ----------
    work
        What was measured.
    ours, baseline
        Figures with their units.
    cpu_ratio, wall_ratio
        Ours over the baseline's; NaN where there is none.
    limit
        Of the issue, in words; empty where it names none.
    within
        Whether the limit holds; ``None`` without one.
    """

    work: str
    ours: str
    baseline: str = "–"
    cpu_ratio: float = math.nan
    wall_ratio: float = math.nan
    limit: str = ""
    within: bool | None = None

    def line(self) -> str:
        """Write the row in Markdown."""
        answer = "" if self.within is None else "yes" if self.within else "**no**"
        ratios = (_ratio(self.cpu_ratio), _ratio(self.wall_ratio))
        return f"| {' | '.join((self.work, self.ours, self.baseline, *ratios, self.limit, answer))} |"


_TITLES = ("work", "ours, CPU / wall", "baseline, CPU / wall", "CPU ratio", "wall ratio", "limit", "met")
HEAD = f"| {' | '.join(_TITLES)} |\n{'|---' * len(_TITLES)}|"


def compared(
    work: str,
    ours: Cost,
    baseline: Cost,
    name: str,
    *,
    at_most: float = math.nan,
    by: str = "CPU",
    faster: bool = False,
) -> Row:
    """
    Compare two costs.

    Parameters
    ----------
    work, name
        What was done, and what did it in the baseline.
    at_most
        Largest ratio that the issue allows; NaN: none.
    by
        Which ratio the limit is about: ``"CPU"`` or ``"wall"``.
    faster
        Write the limit as how many times faster than the baseline.
    """
    cpu, wall = ours.cpu / baseline.cpu, ours.wall / baseline.wall
    if math.isnan(at_most):
        return Row(work, written(ours), f"{name}: {written(baseline)}", cpu, wall)
    limit = f"≥ {1 / at_most:.3g} × faster" if faster else f"{at_most:.3g} ×{' wall' * (by == 'wall')}"
    within = (wall if by == "wall" else cpu) <= at_most
    return Row(work, written(ours), f"{name}: {written(baseline)}", cpu, wall, limit, within)


def bounded(work: str, figure: float, unit: str, at_most: float | None, baseline: str = "–") -> Row:
    """Compare a figure with a fixed bound; the issue gives memory and the delays that people feel in units."""
    if at_most is None:
        return Row(work, f"{figure:,.0f} {unit}", baseline)
    return Row(work, f"{figure:,.0f} {unit}", baseline, limit=f"{at_most:,.0f} {unit}", within=figure <= at_most)


def _ratio(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}" if value < 0.2 else f"{value:.2f}"


def written(cost: Cost) -> str:
    """Write both times with their units."""
    return f"{_seconds(cost.cpu)} / {_seconds(cost.wall)}"


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{1000 * value:.1f} ms"


def cost_of(work: Callable[[], object], *, collecting: bool = False) -> Cost:
    """Run work once, with Python's cyclic collector on or off, and what it returns freed within the time."""
    gc.collect()
    was_on = gc.isenabled()
    (gc.enable if collecting else gc.disable)()
    try:
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        return Cost(time.process_time() - cpu, time.perf_counter() - wall)
    finally:
        (gc.enable if was_on else gc.disable)()


def in_turns(works: Mapping[str, Callable[[], object]], rounds: int, *, collecting: bool = False) -> dict[str, Cost]:
    """Let works take turns, so that a slow moment of the machine meets all; return the best of each."""
    costs: dict[str, list[Cost]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            costs[name].append(cost_of(work, collecting=collecting))
    return {name: best(several) for name, several in costs.items()}


def best(costs: list[Cost]) -> Cost:
    """Return the least CPU time and the least time by the clock of some runs."""
    return Cost(min(cost.cpu for cost in costs), min(cost.wall for cost in costs))


@dataclass(frozen=True)
class Process:
    """What a program printed as JSON, what its whole process took, and its largest size [MB]."""

    answer: Any
    cost: Cost
    peak: float


_LAST = "\nimport json, measure\nprint(json.dumps([answer, measure.peak()]))"


def fresh(program: str, *arguments: object) -> Process:
    """
    Run a program in a process of its own.

    Parameters
    ----------
    program
        Python text that sets ``answer``; it may import the modules of this folder.
    arguments
        What it finds in ``sys.argv[1:]``.

    Raises
    ------
    RuntimeError
        It failed; the message holds what it wrote.
    """
    path = os.pathsep.join([str(HERE), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-c", program + _LAST, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path})
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"A measured program failed:\n{done.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    answer, largest = json.loads(done.stdout.splitlines()[-1])
    return Process(answer, Cost(cpu, wall), largest)


def peak() -> float:
    """
    Return the largest size that this process has had [MB].

    Linux hands the size of the parent down in ``ru_maxrss``; what ``/proc`` says is the program's own.
    """
    status = _status()
    if "VmHWM" in status:
        return status["VmHWM"]
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MB


def _status() -> dict[str, float]:
    """Return the sizes in ``/proc/self/status`` [MB]; empty where there is no such file."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in lines if line.endswith(" kB"))
    return {name: int(value.split()[0]) * 1024 / MB for name, value in pairs}


@contextmanager
def growth() -> Iterator[list[float]]:
    """Collect by how much this process grows at most within the block [MB], from its size at the start."""
    gc.collect()
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the largest size starts anew
    except OSError:
        start = peak()
    else:
        start = _status()["VmRSS"]
    grown: list[float] = []
    yield grown
    grown.append(peak() - start)
