"""Rows of the table about whole walks over HTTP: time, memory, the cache and requests side by side."""

import tempfile
from collections.abc import Iterator
from functools import partial

import pandas as pd
from flattening import NAMES, layout_of
from measure import PAGE, Row, bounded, compared, cost_of, fresh, in_turns
from pages import TWELVE, prospects_template, server

import outreach_frames as of

_OURS = """
import sys
import outreach_frames as of
org = of.connect(token="x", base_url=sys.argv[1], cache=False)
include = {"account": ["name"], "owner": ["name"]}
frame = of.fetch(org, "prospects", include=include, progress=False, **eval(sys.argv[2]))
"""
_THEIRS = """
import sys
import pandas as pd, requests
parts, session = [], requests.Session()
address = sys.argv[1] + "/prospects?include=account,owner&page[size]=1000"
while address:
    document = session.get(address, headers={"Authorization": "Bearer x"}).json()
    part = pd.json_normalize(document["data"])
    names = {(each["type"], each["id"]): each["attributes"]["name"] for each in document["included"]}
    for relationship in ("account", "owner"):
        identifier = f"relationships.{relationship}.data."
        pairs = zip(part[f"{identifier}type"], part[f"{identifier}id"])
        part[f"{relationship}__name"] = [names.get(pair) for pair in pairs]
    parts.append(part)
    address = document["links"].get("next")
frame = pd.concat(parts, ignore_index=True)
frame = frame.rename(columns={"attributes.openCount": "open_count", "attributes.firstName": "first_name"})
"""
_ANSWER = """
counts = frame[["first_name", "account__name", "owner__name"]].count().tolist()
answer = [len(frame), int(frame["id"].sum()), int(frame["open_count"].sum()), *counts]
"""
_WIDTHS = {
    "full width": ({"fields": "*"}, 0.11),
    "default fields": ({}, 0.07),
    "twelve fields": ({"fields": list(TWELVE)}, 0.05),
}


def rows_of_a_walk(*, small: bool = False) -> Iterator[Row]:
    """Yield the rows of many prospects over HTTP, each reader in a process of its own."""
    records = 2 * PAGE if small else 100 * PAGE
    with server(records) as url:
        ours = {name: (fresh(_OURS + _ANSWER, url, options), limit) for name, (options, limit) in _WIDTHS.items()}
        theirs = fresh(_THEIRS + _ANSWER, url)
    for name, (mine, limit) in ours.items():
        assert mine.answer == theirs.answer, name
        label = f"`fetch` of {records:,} prospects over HTTP, {name}, whole process"
        yield compared(label, mine.cost, theirs.cost, "requests + json_normalize at full width", at_most=limit)
        if name == "full width":
            yield bounded(label, mine.peak, "MB", 400, f"{theirs.peak:,.0f} MB")


def rows_of_the_cache(*, small: bool = False) -> Iterator[Row]:
    """Yield the row of pages that the cache has, against decoding the same bytes."""
    pages = 2 if small else 100
    layout = layout_of("prospects", fields="*", include=NAMES)
    bodies = [prospects_template().page(range(n * PAGE, (n + 1) * PAGE)) for n in range(min(10, pages))]

    def decode() -> int:
        return sum(layout.page(bodies[n % len(bodies)]).batch.num_rows for n in range(pages))

    with server(pages * PAGE) as url, tempfile.TemporaryDirectory() as folder:
        org = of.connect(token="x", base_url=url, cache_dir=folder)
        warm = partial(of.fetch, org, "prospects", fields="*", include=NAMES, progress=False)
        cold = cost_of(warm)
        assert len(warm()) == decode()
        costs = in_turns({"warm": warm, "decode": decode}, 1 if small else 2)
    label = f"`fetch` of {pages} full pages from the cache"
    yield compared(label, costs["warm"], costs["decode"], "decoding alone", at_most=1.35)
    yield compared(label, costs["warm"], cold, "the first fetch")


_BATCHES = """
import sys
import outreach_frames as of
org = of.connect(token="x", base_url=sys.argv[1], cache=False)
answer = sum(batch.num_rows for batch in of.fetch_batches(org, "mailings", progress=False))
"""
_SNAPSHOT = """
import sys
import outreach_frames as of
org = of.connect(token="x", base_url=sys.argv[1], cache_dir=sys.argv[2] + "/cache")
snapshot = of.take_snapshot(org, sys.argv[2] + "/org", resources=["mailings"], progress=False)
answer = snapshot.scan("mailings").aggregate("count(*)").fetchall()[0][0]
"""


def rows_of_bounded_memory(*, small: bool = False) -> Iterator[Row]:
    """Yield the rows of one million mailings and of two: the largest size must not depend on the number."""
    sizes = (2 * PAGE, 4 * PAGE) if small else (1_000 * PAGE, 2_000 * PAGE)
    for name, program in {"fetch_batches": _BATCHES, "take_snapshot": _SNAPSHOT}.items():
        peaks = []
        for records in sizes:
            with server(records) as url, tempfile.TemporaryDirectory() as folder:
                walk = fresh(program, url, folder)
            assert walk.answer == records, (name, walk.answer)
            peaks.append(walk.peak)
        first, second = peaks
        yield Row(
            f"`{name}` of {sizes[0]:,} and of {sizes[1]:,} mailings, whole process",
            f"{first:,.0f} MB and {second:,.0f} MB",
            limit="350 MB, the same for both (± 10 %)",
            within=max(peaks) <= 350 and abs(second - first) <= 0.1 * first,
        )


def rows_of_parallel(*, small: bool = False) -> Iterator[Row]:
    """Yield the row of a slow server, one chain of pages against four."""
    pages, delay_s = (8, 0.05) if small else (40, 0.2)
    with server(pages * PAGE, delay_s) as url:
        org = of.connect(token="x", base_url=url, cache=False)
        fetch = partial(of.fetch, org, "mailings", progress=False)
        fetch(limit=1)  # the server has written its records
        together, alone = fetch(parallel=4), fetch()
        together.attrs, alone.attrs = {}, {}
        pd.testing.assert_frame_equal(together, alone)
        costs = in_turns({"ours": partial(fetch, parallel=4), "alone": fetch}, 1, collecting=True)
    label = f"{pages} pages of mailings at {1000 * delay_s:.0f} ms each, `parallel=4`"
    yield compared(label, costs["ours"], costs["alone"], "one after the other", at_most=0.32, by="wall")
