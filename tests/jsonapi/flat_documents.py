"""Documents to read, written as tests like to write them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from outreach_frames import catalog
from outreach_frames._jsonapi import Layout, to_frame
from outreach_frames._query import Paths, select
from outreach_frames.catalog import ResourceType

Resource = dict[str, Any]


def resource(type_: str, id_: Any = 1, relationships: Mapping[str, Any] | None = None, **attributes: Any) -> Resource:
    """Return a resource object; relationships as they stand in the document."""
    return {"type": type_, "id": id_, "attributes": attributes, "relationships": dict(relationships or {})}


def to(type_: str, id_: Any) -> dict[str, Any]:
    """Return a to-one relationship."""
    return {"data": {"type": type_, "id": id_}}


def body(*data: Resource, included: Sequence[Resource] = (), **members: Any) -> bytes:
    """Return the bytes of a page."""
    return json.dumps({"data": list(data), "included": list(included), **members}).encode()


def layout(
    kind: str | ResourceType, *, fields: Sequence[str] | None = None, include: Paths | None = None, **options: Any
) -> Layout:
    """Return the layout of a query."""
    known = catalog.load()
    type_ = known.resource(kind) if isinstance(kind, str) else kind
    return Layout(select(known, type_, fields=fields, include=include), catalog=known, **options)


def read(name: str, content: bytes, **options: Any) -> pd.DataFrame:
    """Read one page."""
    asked = layout(name, **options)
    return to_frame([asked.page(content).batch], asked.schema)


def only(frame: pd.DataFrame) -> dict[str, Any]:
    """Return the columns of a frame of one row that are not missing."""
    (row,) = records(frame)
    return {name: value for name, value in row.items() if value is not None}


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as plain Python values, missing as ``None``, lists as lists."""
    columns = {name: frame[name].array.__arrow_array__().to_pylist() for name in frame}
    return [{name: columns[name][row] for name in columns} for row in range(len(frame))]
