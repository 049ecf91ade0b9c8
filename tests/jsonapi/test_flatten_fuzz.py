"""Damaged documents: a DocumentError or a correct frame comes out, never another exception or a wrong value."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from outreach_frames import catalog
from outreach_frames._jsonapi import read_jsonapi
from outreach_frames.errors import DocumentError
from tests.jsonapi.flat_documents import body, layout, resource, to
from tests.jsonapi.slow_flatten import Flattener, Misfit, parse

KNOWN = catalog.load()
TASK = KNOWN.resource("task")
FIELDS = ["action", "createdAt", "completed", "owner", "subject", "creator", "prospectContacts"]
INCLUDE = {"subject": ["name", "createdAt"], "subject.owner": ["email"], "owner": ["email", "duties", "id"]}
"""Attributes and relationships of most kinds, to one type and to several, to one and to many."""
LOOKED_AT = {
    **{name: ["name", "createdAt", "owner"] for name in ("account", "opportunity", "prospect")},
    "user": ["email", "duties"],
}

PROSPECT = KNOWN.resource("prospect")
PROSPECT_FIELDS = ["createdAt", "dateOfBirth", "tags", "openCount", "score", "optedOut", "firstName"]

TASKS = body(
    resource(
        "task",
        1,
        {
            "owner": to("user", 7),
            "subject": to("account", 3),
            "creator": {"data": None},
            "prospectContacts": {"data": [{"type": "emailAddress", "id": 5}, {"type": "emailAddress", "id": 6}]},
            "mailings": {"links": {"related": "https://api.outreach.io/api/v2/mailings?filter[task][id]=1"}},
        },
        action="call",
        createdAt="2024-01-11T12:47:26.000Z",
        completed=False,
    ),
    resource("task", 2, {"owner": to("user", 8), "subject": to("prospect", 4)}, action=None, completed=True),
    included=[
        resource("account", 3, {"owner": to("user", 7)}, name="Ωmega", createdAt="2023-01-01T00:00:00.000Z"),
        resource("prospect", 4, {"owner": {"data": None}}, createdAt="2023-01-02T00:00:00.000Z"),
        resource("user", 7, email="ada@example.com", duties={"a": [1, 2.50, None]}),
    ],
    meta={"count": 2, "count_truncated": False},
    links={"next": "https://api.outreach.io/api/v2/tasks?page[after]=x"},
)
PROSPECTS = body(
    resource(
        "prospect",
        1,
        createdAt="2024-01-11T12:47:26.000Z",
        dateOfBirth="1990-02-28",
        tags=["a", "b"],
        openCount=12,
        score=2.5,
        optedOut=False,
        firstName="Sally",
        contactHistogram=[[1, 2], {"a": None}],
    ),
)
QUERIES = {
    TASKS: (TASK, FIELDS, INCLUDE),
    PROSPECTS: (PROSPECT, [*PROSPECT_FIELDS, "contactHistogram"], {}),
}


def read(damaged: bytes, query: Any) -> list[dict[str, Any]] | None:
    """Return the rows of a document, JSON text as what it says; ``None`` if it is refused."""
    kind, fields, include = query
    try:
        rows = layout(kind, fields=fields, include=include).page(damaged).batch.to_pylist()
    except DocumentError:
        return None
    texts = ("contact_histogram", "owner__duties")
    return [{name: parse(v.encode()) if name in texts and v else v for name, v in row.items()} for row in rows]


def read_plainly(damaged: bytes, query: Any) -> list[dict[str, Any]] | None:
    """Return the same by the plain rules."""
    kind, fields, include = query
    try:
        return Flattener(kind, fields, include, KNOWN, LOOKED_AT if include else {}).rows(parse(damaged))
    except Misfit:
        return None


@pytest.mark.parametrize("whole", QUERIES, ids=["tasks", "prospects"])
def test_the_plain_rules_agree_on_the_whole_document(whole):
    """Otherwise the comparisons below would compare nothing."""
    rows = read(whole, QUERIES[whole])

    assert rows == read_plainly(whole, QUERIES[whole])
    assert len(rows) == len(json.loads(whole)["data"])


@pytest.mark.parametrize("whole", QUERIES, ids=["tasks", "prospects"])
def test_a_document_that_is_cut_anywhere_is_refused(whole):
    """A part must never pass for the whole."""
    kind, fields, include = QUERIES[whole]
    asked = layout(kind, fields=fields, include=include)

    for length in range(len(whole)):
        with pytest.raises(DocumentError):
            asked.page(whole[:length])
        with pytest.raises(DocumentError):
            read_jsonapi(whole[:length])


flips = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 7)), min_size=1, max_size=3)


@settings(max_examples=600, deadline=None)
@given(whole=st.sampled_from(list(QUERIES)), flips=flips)
def test_flipped_bits_do_no_silent_harm(whole, flips):
    """Damage is either an error or exactly what the damaged bytes say."""
    damaged = bytearray(whole)
    for position, bit in flips:
        damaged[position % len(whole)] ^= 1 << bit

    rows = read(bytes(damaged), QUERIES[whole])

    assert rows is None or rows == read_plainly(bytes(damaged), QUERIES[whole])


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.integers(0, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4)
    | st.sampled_from(["3", "3.0", "-0", "1e3", "007", "true", "0", "Null", "user", "account", "task", "prospect"])
    | st.sampled_from([
        "2024-01-11", "2024-01-11T12:00", "2024-01-11T12:00:00+24:00", "2024-01-11 12:00:00.1234567-0530", "2024-02-30",
        "2024-01-11T12:00:60Z", "2024-01-11T24:00:00Z", "0000-01-01", "9999-12-31T23:59:59-01:00", "20240111T120000Z",
        "1990-12-30T21:00:00.000Z", "1990-12-30T12:00", "1990-12-30T23:00:00-08:00", "1990-12-30T11:45:00+00:00",
        "1990-12-30T21:00:00+03:00", "9999-12-31T21:00Z",
        "2024-W02-4", "2024-01-11T12Z", "2024-01-11Z", "2024-01-11t12:00:00z", "2024-01-11T12:00:00,5Z",
        "2024-01-11T12:00:00+02", "2024-01-11T12:00:00+02:60", "0001-01-01T00:00:00+01:00",
    ])
)  # fmt: skip
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["data", "type", "id", "attributes", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(node: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to every value of a document."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [way, *(place for key, value in inner for place in places(value, (*way, key)))]


def replaced(document: Any, way: tuple[Any, ...], value: Any) -> Any:
    """Return a document with another value in one place."""
    if not way:
        return value
    changed = copy.copy(document)
    changed[way[0]] = replaced(document[way[0]], way[1:], value)
    return changed


@settings(max_examples=600, deadline=None)
@given(whole=st.sampled_from(list(QUERIES)), data=st.data())
def test_values_of_any_type_in_any_place_do_no_silent_harm(whole, data):
    """A value of a surprising type is kept where it can be, and refused only where it cannot."""
    document = json.loads(whole)
    for _ in range(data.draw(st.integers(1, 2))):
        way = data.draw(st.sampled_from(places(document)))
        document = replaced(document, way, data.draw(anything))

    damaged = json.dumps(document).encode()

    assert read(damaged, QUERIES[whole]) == read_plainly(damaged, QUERIES[whole])


@pytest.mark.filterwarnings("ignore::outreach_frames.errors.OutreachDataWarning")
@settings(max_examples=600, deadline=None)
@given(whole=st.sampled_from(list(QUERIES)), data=st.data())
def test_read_jsonapi_raises_document_errors_only(whole, data):
    """A reader of any document must expect any document."""
    document = json.loads(whole)
    for _ in range(data.draw(st.integers(1, 2))):
        way = data.draw(st.sampled_from(places(document)))
        document = replaced(document, way, data.draw(anything))
    damaged = bytearray(json.dumps(document).encode())
    for position, bit in data.draw(st.just([]) | flips):
        damaged[position % len(damaged)] ^= 1 << bit

    try:
        frame = read_jsonapi(bytes(damaged))
    except DocumentError:
        return
    assert len(set(frame.columns)) == len(frame.columns)
