"""
How long flattening takes, against the reader that comes with pandas.

Run it on an idle machine: ``python tests/benchmarks/flatten.py [prospects]``. Both readers get the same bytes,
full-width prospects in pages of 1,000; that they read the same is checked first. Times are CPU time of this process,
with Python's garbage collector as it is by default and switched off. It is no test: machines differ, and nothing fails
when it is slow.
"""

import gc
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pandas as pd

from outreach_frames import catalog
from outreach_frames._jsonapi import Layout, to_frame
from outreach_frames._query import Selection
from outreach_frames.catalog import Attribute, Relationship

KNOWN = catalog.load()
PROSPECT = KNOWN.resource("prospect")
PAGE = 1_000
DISTINCT_PAGES = 10


def value(attribute: Attribute, n: int, draw: random.Random) -> Any:
    """Return a believable value: half of the attributes and one custom field in ten are filled in."""
    if draw.random() > (0.1 if attribute.is_custom else 0.5):
        return None
    if attribute.is_custom:
        return f"value {n}"
    if attribute.format in {"date-time", "date"}:
        moment = f"2024-{n % 12 + 1:02}-{n % 28 + 1:02}"
        return moment if attribute.format == "date" else f"{moment}T12:47:{n % 60:02}.000Z"
    if attribute.type == "array":
        return [f"sally.{n}@example.com"] if attribute.items == "string" else [[n % 7, n % 24]]
    return {"integer": n, "number": n / 7, "boolean": n % 2 == 0}.get(attribute.type, f"{attribute.name} {n % 97}")


def linkage(relationship: Relationship, n: int) -> dict[str, Any]:
    """Return a relationship: identifiers where the API sends them (to many for one record in five), else a link."""
    if relationship.has_data:
        one = {"type": relationship.targets[0], "id": n % 50 + 1}
        return {"data": ([] if n % 5 else [one]) if relationship.many else one}
    return {"links": {"related": f"https://api.outreach.io/api/v2/{relationship.name}?filter[prospect][id]={n}"}}


def page(first: int) -> bytes:
    """Return the bytes of one page."""
    draw = random.Random(first)  # noqa: S311  a seed, no secret
    rows = [
        {
            "type": "prospect",
            "id": n,
            "attributes": {a.name: value(a, n, draw) for a in PROSPECT.attributes.values()},
            "relationships": {r.name: linkage(r, n) for r in PROSPECT.relationships.values()},
            "links": {"self": f"https://api.outreach.io/api/v2/prospects/{n}"},
        }
        for n in range(first, first + PAGE)
    ]
    links = {"next": f"https://api.outreach.io/api/v2/prospects?page[size]={PAGE}&page[after]={first}"}
    return msgspec.json.encode({"data": rows, "links": links})


def ours(pages: Sequence[bytes]) -> pd.DataFrame:
    """Flatten as `fetch` does."""
    layout = Layout(Selection(PROSPECT), catalog=KNOWN)
    return to_frame([layout.page(body).batch for body in pages], layout.schema)


def theirs(pages: Sequence[bytes]) -> pd.DataFrame:
    """Flatten with what everybody has; times stay text, relationships stay in several columns."""
    return pd.json_normalize([row for body in pages for row in json.loads(body)["data"]])


def check(pages: Sequence[bytes]) -> None:
    """Compare every attribute and every to-one relationship of the two frames."""
    mine, other = ours(pages), theirs(pages)
    for attribute in PROSPECT.attributes.values():
        column, expected = mine[attribute.column], other[f"attributes.{attribute.name}"]
        if attribute.format in {"date-time", "date"}:
            expected = pd.to_datetime(expected, utc=attribute.format == "date-time")
            column = column.astype(expected.dtype)
        elif attribute.type == "array":
            column = column.map(list if attribute.items == "string" else json.loads, na_action="ignore")
        assert plain(column) == plain(expected), attribute.name
    for relationship in PROSPECT.relationships.values():
        if relationship.has_data and not relationship.many:
            ids = other[f"relationships.{relationship.name}.data.id"]
            assert plain(mine[relationship.id_column]) == plain(ids), relationship.name


def plain(column: pd.Series) -> list[Any]:
    """Return a column's values, missing ones as ``None``."""
    return [None if missing else value for value, missing in zip(column, column.isna(), strict=True)]


def seconds(read: Callable[[Sequence[bytes]], pd.DataFrame], pages: Sequence[bytes]) -> float:
    """Return the CPU time of one reading [s]."""
    gc.collect()
    start = time.process_time()
    read(pages)
    return time.process_time() - start


def main() -> None:
    """Print CPU times and their ratio."""
    prospects = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    distinct = [page(first) for first in range(1, DISTINCT_PAGES * PAGE, PAGE)]
    check(distinct[:2])
    pages = [distinct[n % DISTINCT_PAGES] for n in range(max(1, prospects // PAGE))]
    report(f"{len(pages) * PAGE:,} prospects of {len(distinct[0]) // PAGE:,} bytes, results equal")
    for collecting in (True, False):
        (gc.enable if collecting else gc.disable)()
        mine, other = seconds(ours, pages), seconds(theirs, pages)
        mode = "on" if collecting else "off"
        report(
            f"garbage collector {mode}: {mine:.2f} s; json_normalize {other:.2f} s, {other / mine:.1f} times as long"
        )


def report(line: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
