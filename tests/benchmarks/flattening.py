"""Rows of the table about one page in memory: JSON:API bytes to an Arrow table, or to a frame by `read_jsonapi`."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from functools import partial
from typing import Any, NamedTuple

import orjson
import pandas as pd
import pyarrow as pa
from measure import PAGE, Row, compared, in_turns
from pages import (
    CATALOG,
    PROSPECT,
    TWELVE,
    foreign_articles,
    full_prospects,
    mailings_with_bodies,
    sparse_prospects,
)

import outreach_frames as of
from outreach_frames._jsonapi import Layout, concat
from outreach_frames._query import build
from outreach_frames.catalog import snake

NAMES = {"account": ["name"], "owner": ["name"]}
"""What is included of prospects, and read by `fetch`."""


class _Page(NamedTuple):
    """A page of Outreach's, how `fetch` asks for it, and the limits: of `fetch`, the same on pandas, of the reader."""

    name: str
    layout: Layout
    body: bytes
    fetched: float = math.nan
    fetched_on_pandas: float = math.nan
    document: float = math.nan
    included: Mapping[str, Any] = {}


def _pages() -> Iterator[_Page]:
    prospects = layout_of("prospects", fields="*", include=NAMES)
    yield _Page("full prospects page", prospects, full_prospects(), 0.55, 1 / 8, 1.2, NAMES)
    yield _Page(
        "mailings page with bodies", layout_of("mailings", fields="*"), mailings_with_bodies(), 0.85, document=1.2
    )
    sparse = layout_of("prospects", fields=TWELVE, include=NAMES)
    yield _Page("sparse prospects page", sparse, sparse_prospects(), 1.0, document=2.0, included=NAMES)
    hundred = mailings_with_bodies(100)
    yield _Page("100 mailings with bodies, as fetch asks for them", layout_of("mailings", fields="*"), hundred)


def layout_of(table: str, *, fields: Any, include: Any = None) -> Layout:
    """Return the columns and the decoder of a query."""
    query = build(CATALOG, table, fields=fields, include=include)
    return Layout(query.selection, catalog=CATALOG, open=query.columns is None)


def rows(*, small: bool = False) -> Iterator[Row]:
    """Yield the rows of a page as `fetch` reads it."""
    for page in _pages():

        def ours(page: _Page = page) -> pa.Table:
            return concat([page.layout.page(page.body).batch], page.layout.schema)

        _check(ours().to_pandas(types_mapper=pd.ArrowDtype), _normalized(page.body, page.included))
        decoded = in_turns({"ours": ours, "other": partial(orjson.loads, page.body)}, 2 if small else 25)
        pandas = in_turns({"ours": ours, "other": partial(_normalized, page.body, page.included)}, 1 if small else 4)
        label = f"{page.name} → Arrow, inside `fetch`"
        yield compared(label, decoded["ours"], decoded["other"], "orjson.loads", at_most=page.fetched)
        limit = page.fetched_on_pandas
        yield compared(label, pandas["ours"], pandas["other"], "json_normalize", at_most=limit, faster=True)


def rows_of_read_jsonapi(*, small: bool = False) -> Iterator[Row]:
    """Yield the rows of whole documents."""
    for page in _pages():
        if math.isnan(page.document):
            continue
        _check(of.read_jsonapi(page.body), _normalized(page.body, page.included))
        works: dict[str, Callable[[], object]] = {
            "ours": partial(of.read_jsonapi, page.body),
            "orjson": partial(orjson.loads, page.body),
            "pandas": partial(_normalized, page.body, page.included),
        }
        costs = in_turns(works, 1 if small else 9)
        label = f"`read_jsonapi`, {page.name}"
        yield compared(label, costs["ours"], costs["orjson"], "orjson.loads", at_most=page.document)
        yield compared(label, costs["ours"], costs["pandas"], "json_normalize", at_most=1 / 4, faster=True)


def rows_without_catalog(*, small: bool = False) -> Iterator[Row]:
    """Yield the rows of another server's document, whose types are nowhere declared."""
    body = foreign_articles()
    frame, other = of.read_jsonapi(body), _merged(body)
    for column in other.columns:
        assert _equal(frame[_ours(column)], other[column]), column
    works: dict[str, Callable[[], object]] = {
        "ours": partial(of.read_jsonapi, body),
        "orjson": partial(orjson.loads, body),
        "pandas": partial(_merged, body),
    }
    costs = in_turns(works, 1 if small else 15)
    label = f"`read_jsonapi`, {PAGE:,} records of another server, 3 types included"
    yield compared(label, costs["ours"], costs["orjson"], "orjson.loads", at_most=2.0)
    yield compared(label, costs["ours"], costs["pandas"], "json_normalize and merge", at_most=1.0)


def _normalized(body: bytes, included: Mapping[str, Any]) -> pd.DataFrame:
    """Flatten with the reader of pandas and add the names of what is included; instants stay text."""
    document = orjson.loads(body)
    frame = pd.json_normalize(document["data"])
    if included:
        names = {(each["type"], each["id"]): each["attributes"]["name"] for each in document["included"]}
        for relationship in included:
            identifier = f"relationships.{relationship}.data."
            pairs = zip(frame[f"{identifier}type"], frame[f"{identifier}id"], strict=True)
            frame[f"{relationship}__name"] = [names.get(pair) for pair in pairs]
    return frame


def _merged(body: bytes) -> pd.DataFrame:
    """Flatten another server's document, and join what is included by type and id."""
    document = orjson.loads(body)
    frame = pd.json_normalize(document["data"])
    included = pd.DataFrame(document["included"])
    for relationship in ("author", "publisher", "category"):
        kind = frame[f"relationships.{relationship}.data.type"].iloc[0]
        some = pd.json_normalize(included[included["type"] == kind].drop(columns="type").to_dict("records"))
        some = some.add_prefix(f"{relationship}__")
        frame = frame.merge(
            some, how="left", left_on=f"relationships.{relationship}.data.id", right_on=f"{relationship}__id"
        )
    return frame.drop(columns=["type", *(column for column in frame if column.endswith(".data.type"))])


def _ours(column: str) -> str:
    """Name the column of our frame that holds the same as one of pandas' reader."""
    if column.endswith("__id"):
        return column.replace("__id", "_id")
    if column.startswith("relationships."):
        return f"{snake(column.split('.')[1])}_id"
    return column.replace("attributes.", "")


def _check(frame: pd.DataFrame, other: pd.DataFrame) -> None:
    """Compare every attribute, every to-one relationship and the included names of the two frames."""
    compared_columns = 0
    for column in other.columns:
        section, _, rest = column.partition(".")
        if section == "attributes":
            mine = snake(rest)
        elif column.startswith("relationships.") and column.endswith(".data.id"):
            mine = f"{snake(rest.split('.')[0])}_id"
        elif column.endswith("__name"):
            mine = column
        else:
            continue
        if mine not in frame.columns and f"{mine}_attribute" in frame.columns:
            mine = f"{mine}_attribute"
        if mine not in frame.columns:
            assert other[column].isna().all(), column
            continue
        assert _equal(frame[mine], other[column]), column
        compared_columns += 1
    assert compared_columns > len(PROSPECT.attributes) // 20, compared_columns


def _equal(column: pd.Series, other: pd.Series) -> bool:
    """Compare columns by value; the other one has instants as text, and lists where ours may have JSON text."""
    mine = pa.array(column, from_pandas=True).to_pylist()
    theirs = [None if value is None or value is pd.NA or value != value else value for value in other]  # noqa: PLR0124
    return len(mine) == len(theirs) and all(map(_same, mine, theirs))


def _same(mine: Any, other: Any) -> bool:
    if isinstance(mine, datetime):
        return mine == datetime.fromisoformat(other)
    if isinstance(mine, date):
        return mine == date.fromisoformat(other)
    if isinstance(mine, str) and isinstance(other, list | dict):
        return json.loads(mine) == other
    return bool(mine == other)
