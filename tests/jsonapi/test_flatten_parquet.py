"""Frames survive a Parquet round trip unchanged, whatever the resource type."""

import pandas as pd
import pytest

from outreach_frames import catalog
from tests.jsonapi.flat_documents import body, read, resource, to

KNOWN = catalog.load()
BY_TYPE = {"integer": -(2**63), "number": 0.1, "boolean": True, "object": {"a": [None, 1.5]}}
BY_FORMAT = {"date-time": "2024-01-11T12:47:26.123456Z", "date": "1990-02-28"}


def full(kind):
    """Return a resource with a value in every column."""
    relationships = {r.name: to(r.targets[0], 3) for r in kind.relationships.values() if r.has_data}
    for r in kind.relationships.values():
        if r.has_data and r.many:
            relationships[r.name] = {"data": [relationships[r.name]["data"]]}
    values = {a.name: value(a) for a in kind.attributes.values()}
    return resource(kind.name, 1 if kind.id_type == "integer" else "007", relationships, **values)


def value(attribute):
    """Return a value of an attribute's type."""
    if attribute.type == "array":
        return ["Null", None, ""] if attribute.items == "string" else [{"a": 1}]
    return BY_TYPE.get(attribute.type) or BY_FORMAT.get(attribute.format, "NaN")


@pytest.mark.parametrize("name", KNOWN.types)
@pytest.mark.parametrize("rows", ["full and empty", "none"])
def test_a_parquet_round_trip_changes_nothing(name, rows, tmp_path):
    """Columns, types, values and gaps are as they were, with rows and without."""
    kind = KNOWN.types[name]
    empty = {"type": name, "id": 2 if kind.id_type == "integer" else "8"}
    frame = read(name, body(full(kind), empty) if rows != "none" else body())
    assert (len(frame) == 2) == (rows != "none")
    assert rows == "none" or frame.iloc[0].notna().all()
    path = tmp_path / "frame.parquet"

    frame.to_parquet(path)

    pd.testing.assert_frame_equal(pd.read_parquet(path, dtype_backend="pyarrow"), frame)
