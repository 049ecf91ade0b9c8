"""
What the client reads against the vendor's OpenAPI document, which nothing in this project wrote.

The tests are generated from the document: every listable type, every attribute, every relationship. The catalog is
not asked what there is.
"""

import json
import re

import jsonschema
import pandas as pd
import pyarrow as pa
import pytest

import outreach_frames as of
from outreach_frames._sandbox import Sandbox
from outreach_frames.catalog import camel, load, snake
from tests.contract_schemas import Contract, as_sent, in_frame

OUTSIDE = {"/types"}
"""Described in the document's prose, not among its paths."""
UNDECLARED_FILTERS = {("account", "q"), ("prospect", "q"), ("complianceRequest", "batchComplianceRequest")}
"""Described by the vendor's guide and tag texts."""
CRM_TYPES = 12
"""Types that document ``provideDataConnections``."""


@pytest.fixture(scope="module")
def contract(openapi_path):
    return Contract(openapi_path)


class Reading:
    """A connection that keeps what it asked and what it was answered."""

    def __init__(self, client):
        self.client = client
        self.answers = []
        get = client.get

        def recorded(path, params=(), **options):
            answer = get(path, params, **options)
            self.answers.append((answer.url, json.loads(answer.body)))
            return answer

        client.get = recorded


@pytest.fixture(scope="module")
def everything(contract, tmp_path_factory):
    """Return a connection to one full and one empty record of every type, and those records by type."""
    identifiers = {name: ("a1", "b2") if name in {"auditLog", "orgSetting"} else (4, 5) for name in load().types}
    full = {name: contract.filled(name, first) for name, (first, _) in identifiers.items()}
    empty = [{"type": name, "id": second} for name, (_, second) in identifiers.items()]
    with Sandbox([*full.values(), *empty]) as sandbox:
        sandbox.settings.lists_unnamed = True
        folder = tmp_path_factory.mktemp("cache")
        with of.connect(sandbox.token, sandbox.base_url, cache_dir=folder) as client:
            client.sandbox = sandbox
            yield Reading(client), full
        assert sandbox.failures == ()


def pytest_generate_tests(metafunc):
    """Make a case of every type; that these are the document's is a test of its own."""
    which = {"listed": "list", "read": "get"}
    for argument, operation in which.items():
        if argument in metafunc.fixturenames:
            metafunc.parametrize(argument, sorted(n for n, t in load().types.items() if operation in t.operations))


def test_the_types_that_can_be_read_are_those_of_the_document(contract):
    """So that the tests below, which go through the catalog's names, leave none out."""
    types = load().types

    assert {name: types[name].path for name in types if "list" in types[name].operations} == contract.listable
    assert {name: types[name].path for name in types if "get" in types[name].operations} == contract.readable


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("attributes", "nosuch"), 1),
        (("attributes", "openCount"), "3"),
        (("relationships", "owner"), {"data": {"type": "team", "id": 1}}),
        (("relationships", "nosuch"), {}),
    ],
)
def test_an_answer_that_is_not_of_the_contract_would_be_noticed(everything, contract, place, value):
    reading, _ = everything
    answer = json.loads(reading.client.get("/prospects").body)
    contract.check("/prospects", answer)

    answer["data"][0][place[0]][place[1]] = value

    with pytest.raises(jsonschema.ValidationError):
        contract.check("/prospects", answer)


def reads(client, contract, name):
    """Make every kind of read that a type allows, once for each attribute and relationship it is made of."""
    table = load().types[name].table
    of.fetch(client, table)
    of.fetch(client, table, custom=True, page_size=1, progress=False)
    of.fetch(client, table, fields="*")
    of.count(client, table)
    of.fetch(client, table, parallel=2, limit=2, page_size=1)
    if load().types[name].id_type == "integer":
        of.fetch(client, table, parallel=2)
    for attribute in contract.attributes(name):
        if contract.has_badge(name, attribute, "filterable"):
            of.fetch(client, table, filter={attribute: of.NOT_NULL}, fields=[])
        if contract.has_badge(name, attribute, "sortable"):
            of.fetch(client, table, sort=f"-{attribute}", fields=[attribute])
    for relationship, members in contract.relationships(name).items():
        declared = load().types[name].relationships[relationship]
        reached = [target for target in declared.targets if target in load().types]
        if declared.filter != () and "data" in members:
            of.fetch(client, table, filter={relationship: 4}, fields=[])
        if "data" in members and reached:
            of.fetch_tables(client, table, include=relationship, fields=[])
            if members["data"].get("type") != "array":
                of.fetch(client, table, include={relationship: ["id"]}, fields=[])
    if name in contract.readable:
        of.fetch_one(client, table, 4)


def test_every_read_is_an_operation_of_the_contract_and_every_answer_what_it_declares(everything, contract, listed):
    """Paths, names of filters, sorts and fields, and the documents that come back, included resources as well."""
    reading, _ = everything
    reading.answers.clear()
    reading.client.cache.clear()
    reading.client.sandbox.clear_log()

    reads(reading.client, contract, listed)

    requests = reading.client.sandbox.requests
    assert requests
    for request in requests:
        path = request.path.removeprefix("/api/v2")
        assert contract.has(request.method, path), path
        for name, value in request.parameters:
            assert is_described(contract, listed, name, value), (name, value)
    for url, document in reading.answers:
        contract.check(url.partition("/api/v2")[2].partition("?")[0], document)


def is_described(contract, listed, name, value):
    """Tell whether the document, or the guide where it is silent, has a query parameter."""
    head, *path = re.findall(r"[^\[\]]+|(?<=\[)(?=\])", name)
    if head == "filter":
        own = contract.attributes(listed).get(path[0])
        related = path[0] in contract.relationships(listed) and len(path) > 1
        named = path[0] == "id" or related or (listed, path[0]) in UNDECLARED_FILTERS
        return named or (own is not None and contract.has_badge(listed, path[0], "filterable"))
    if head == "sort":
        return all(contract.has_badge(listed, key.removeprefix("-"), "sortable") for key in value.split(","))
    if head == "include":
        return all(step in contract.relationships(listed) for step in value.split(","))
    if head == "fields":
        known = {*contract.attributes(path[0]), *contract.relationships(path[0])}
        return known.issuperset(value.split(",") if value else ())
    if head == "page":
        return path[0] in {"size", "after", "limit", "offset"}
    return (head, value) in {("count", "true"), ("count", "false"), ("newFilterSyntax", "true")}


@pytest.mark.parametrize("fields", ["named", "*"])
def test_every_attribute_and_relationship_comes_through(everything, contract, listed, fields):
    """Value for value from the record to the frame, nothing left over and nothing made up."""
    reading, full = everything
    kind = load().types[listed]
    record = full[listed]
    attributes = {n: s for n, s in contract.attributes(listed).items() if not contract.is_write_only(listed, n)}
    linked = record["relationships"]
    names = [*attributes, *linked] if fields == "named" else "*"

    frame = of.fetch(reading.client, kind.table, fields=names).set_index("id")

    row, other = frame.loc[record["id"]], frame.drop(index=record["id"])
    columns = set()
    for name, schema in attributes.items():
        column = kind.attributes[name].column
        columns.add(column)
        if (listed, name) != ("prospect", "contactHistogram") or fields == "named":
            assert in_frame(schema, row[column]) == as_sent(schema, record["attributes"][name]), name
    for name, relationship in linked.items():
        data = relationship["data"]
        column = f"{snake(name)}_ids" if isinstance(data, list) else f"{snake(name)}_id"
        columns.add(column)
        assert (
            (list(row[column]) == [one["id"] for one in data])
            if isinstance(data, list)
            else (row[column] == data["id"])
        )
        if f"{snake(name)}_type" in frame and kind.relationships[name].polymorphic:
            columns.add(f"{snake(name)}_type")
            assert row[f"{snake(name)}_type"] == data["type"]
    assert columns == {
        c for c in frame.columns if c not in {a.column for a in kind.attributes.values() if a.write_only}
    }
    nothing = other.loc[:, [c for c in other.columns if not c.endswith("_ids")]]
    assert nothing.isna().all().all()


def test_single_records_come_through(everything, contract, read):
    """Also of types without a list: imports and organization settings."""
    reading, full = everything
    record = full[read]
    shown = [n for n in contract.attributes(read) if not contract.is_write_only(read, n)]

    row = of.fetch_one(reading.client, read, record["id"], fields=shown)

    for name in shown:
        schema = contract.attributes(read)[name]
        value = row[load().types[read].attributes[name].column]
        assert in_frame(schema, value) == as_sent(schema, record["attributes"][name]), name


def test_data_connections_are_offered_where_the_document_has_them(contract, openapi_path, everything):
    """Types are known by the tag texts; the column ``meta`` holds what comes."""
    reading, _ = everything
    tags = json.loads(openapi_path.read_text(encoding="utf-8"))["tags"]
    described = {
        camel(tag["name"].lower().replace(" ", "_")) for tag in tags if "provideDataConnections" in tag["x-parameters"]
    }
    assert len(described) == CRM_TYPES

    for name in contract.listable:
        if name in described:
            frame = of.fetch(reading.client, name, fields=[], data_connections=True)
            assert json.loads(frame["meta"][0]) == {"dataConnections": []}
        else:
            with pytest.raises(of.errors.QueryError):
                of.fetch(reading.client, name, data_connections=True)


def test_the_types_of_columns_are_those_of_the_document(everything, contract, listed):
    """Whatever a record holds, an empty one included."""
    reading, _ = everything
    kind = load().types[listed]
    arrow = {
        "string": pa.string(),
        "integer": pa.int64(),
        "number": pa.float64(),
        "boolean": pa.bool_(),
        "object": pa.string(),
    }
    formats = {"date-time": pa.timestamp("us", "UTC"), "date": pa.date32()}

    frame = of.fetch(reading.client, kind.table, custom=True)

    for name, schema in contract.attributes(listed).items():
        column = kind.attributes[name].column
        if column not in frame:
            continue
        if schema["type"] == "array":
            wanted = pa.list_(pa.string()) if schema["items"].get("type") == "string" else pa.string()
        else:
            wanted = formats.get(schema.get("format"), arrow[schema["type"]])
        assert frame[column].dtype == pd.ArrowDtype(wanted), name
