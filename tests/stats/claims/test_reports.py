"""The reports of an organization in which nothing differs claim no difference."""

import html
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from outreach_frames import open_snapshot
from outreach_frames.reports import write_report
from tests.snapshot_support import seal
from tests.stats.claims.organizations import AS_OF
from tests.stats.claims.test_findings import CLAIMS, unequal

SAMPLE = Path(__file__).parents[3] / "data" / "sample"
UNTRUE = ("truth lies", "is more than chance")
"""What no sentence may say: undetected machines leave no bounds, and some weeks lie outside limits by chance."""
REPORTS = ("how_are_our_sequences_doing", "which_message_works_and_when", "is_our_sending_healthy")


def snapshot(tables, folder) -> Path:
    """Write an organization's tables with the sample's columns; what it does not tell is missing."""
    shutil.copytree(SAMPLE, folder)
    place = open_snapshot(folder).folder
    facts = json.loads((place / "manifest.json").read_text())
    facts["as_of"] = AS_OF
    facts["tables"] = {name: {**facts["tables"][name], "as_of": AS_OF} for name in tables}
    for name, frame in tables.items():
        schema = pq.read_schema(place / f"{name}.parquet")
        columns = {
            each.name: pa.array(frame[each.name], from_pandas=True).cast(each.type)
            if each.name in frame
            else pa.nulls(len(frame), each.type)
            for each in schema
        }
        told = {"PANDAS_ATTRS": json.dumps(frame.attrs)}
        pq.write_table(pa.table(columns, schema=schema.with_metadata(told)), place / f"{name}.parquet")
        facts["tables"][name]["rows"] = len(frame)
    (place / "manifest.json").write_text(json.dumps(facts))
    seal(open_snapshot(folder))
    return folder


def sentences(page: str) -> list[str]:
    """Return the text of a page, by paragraph, item and cell, without the definitions at its end."""
    body = re.sub(r"(?s)<(script|style)\b.*?</\1>", " ", page)
    parts = re.split(r"</?(?:p|li|td|th|h\d|div|tr|figcaption)\b[^>]*>", body)
    texts = (html.unescape(re.sub(r"<[^>]+>", "", part)).strip() for part in parts)
    return [text for text in texts if text and "Definitions:" not in text]


def claims(page: list[str]) -> list[str]:
    """Return the texts that say that something differs, and those that are never true."""
    return [text for text in page if any(part in text for part in (*CLAIMS, *UNTRUE))]


def written(number, folder, *, seed=3) -> dict[str, list[str]]:
    """Write the three reports of an organization into a new folder; return the text of each."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, number])
    source = snapshot(unequal(rng).tables(rng), folder / "org")
    pages = {
        name: write_report(folder / f"{name}.html", notebook=name, parameters={"source": str(source)})
        for name in REPORTS
    }
    return {name: sentences(page.read_text()) for name, page in pages.items()}


@pytest.mark.slow
def test_reports_of_an_organization_in_which_nothing_differs_claim_nothing(tmp_path):
    """At a true 5 % this fails for one seed of twenty; this one is fixed."""
    pages = written(0, tmp_path)

    assert {name: claims(page) for name, page in pages.items()} == {name: [] for name in REPORTS}
    assert all(any("What to look at first" in each for each in page) for page in pages.values())
