"""
Time the package against baselines and print one Markdown table: ``python tests/benchmarks [row ...] [--small]``.

It wants an idle machine with two cores, 16 GB of memory and 3 GB of disk, and takes about ten minutes. The rows may be
named one by one. ``--small`` runs everything at a hundredth of the size, to see that it works; its figures mean
nothing. Results are compared before they are timed: where ours and the baseline's differ, the program ends with an
error. A limit that does not hold is no error.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from measure import HEAD, Row

from outreach_frames import __version__

ROWS = {
    "flatten": "flattening:rows",
    "read_jsonapi": "flattening:rows_of_read_jsonapi",
    "other_server": "flattening:rows_without_catalog",
    "http": "fetching:rows_of_a_walk",
    "cache": "fetching:rows_of_the_cache",
    "memory": "fetching:rows_of_bounded_memory",
    "parallel": "fetching:rows_of_parallel",
    "engagement": "counting:rows_of_engagement",
    "statistics": "counting:rows_of_other_statistics",
    "clusters": "counting:rows_of_clusters",
    "explorers": "waiting:rows_of_explorers",
    "start": "waiting:rows_of_starts",
    "deliveries": "waiting:rows_of_deliveries",
}
"""Where the rows of each name are made."""

_VERSIONS = ("pandas", "pyarrow", "msgspec", "narwhals", "polars", "duckdb", "orjson", "requests")


def _about(*, small: bool) -> Iterator[str]:
    """Write what the figures depend on."""
    today, python = f"{datetime.now(UTC):%Y-%m-%d}", platform.python_version()
    yield f"{today}, {os.cpu_count()} cores, {platform.system()}, Python {python}"
    yield f"outreach_frames {__version__}, {', '.join(f'{package} {version(package)}' for package in _VERSIONS)}"
    yield "Python's cyclic collector: off on both sides; as usual in whole processes, explorers and `parallel`"
    if small:
        yield "small sizes: the figures mean nothing"


def _rows(names: list[str], *, small: bool) -> Iterator[Row]:
    for name in names:
        module, _, function = ROWS[name].partition(":")
        started = time.perf_counter()
        yield from getattr(import_module(module), function)(small=small)
        sys.stderr.write(f"{name}: {time.perf_counter() - started:.0f} s\n")


def main() -> None:
    """Print the table, a row as soon as it is there."""
    parser = argparse.ArgumentParser(prog="python tests/benchmarks", description="Time the package against baselines.")
    parser.add_argument("rows", nargs="*", metavar="row", help=f"{', '.join(ROWS)}; all by default")
    parser.add_argument("--small", action="store_true", help="run everything at a small size, to see that it works")
    options = parser.parse_args()
    if unknown := [name for name in options.rows if name not in ROWS]:
        parser.error(f"there is no row {unknown[0]!r}; rows: {', '.join(ROWS)}")
    for line in (*(f"- {fact}" for fact in _about(small=options.small)), "", HEAD):
        print(line, flush=True)  # noqa: T201  programs print
    for row in _rows(options.rows or list(ROWS), small=options.small):
        print(row.line(), flush=True)  # noqa: T201  as above


if __name__ == "__main__":
    main()
