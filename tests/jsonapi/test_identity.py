"""One resource is one row: what is said of it in several places is put together."""

import json

from hypothesis import given, settings, strategies as st

from outreach_frames._jsonapi import read_jsonapi
from tests.jsonapi.flat_documents import body, layout, only, read, records, resource, to


def test_a_resource_in_data_and_included_is_one_row_with_all_its_members():
    """What is absent in ``data`` stands in ``included``; what is in both counts as in ``data``."""
    less = {"type": "book", "id": "1", "attributes": {"title": "A"}}
    more = resource("book", "1", {"author": to("person", "3")}, title="old", pages=9)

    frame = read_jsonapi({"data": [less], "included": [more]}, catalog=False)

    assert records(frame) == [{"id": "1", "title": "A", "pages": 9, "author_id": "3"}]


def test_a_resource_sent_twice_keeps_what_only_the_first_has():
    """Null was sent and counts; absent was not."""
    first = resource("book", "1", {"author": to("person", "3"), "shop": to("shop", "4")}, title="A", pages=9)
    again = resource("book", "1", {"author": {"links": {"related": "x"}}, "shop": {"data": None}}, title=None)

    frame = read_jsonapi({"data": [first, resource("book", "2"), again]}, catalog=False)

    assert frame["id"].to_list() == ["1", "2"]
    assert only(frame.head(1)) == {"id": "1", "pages": 9, "author_id": "3"}


def test_pages_of_outreachs_types_have_each_record_once():
    """On the way that reads strictly and on the tolerant one, with the record among the included or not."""
    first = resource("prospect", 1, {"owner": to("user", 3)}, firstName="Sally", openCount=2)
    for id_ in (1, "1"):
        again = {"type": "prospect", "id": id_, "attributes": {"openCount": 5}, "meta": {"canWrite": True}}
        page = body(first, again, included=[resource("user", 3, email="a@example.com"), resource("user", "3")])

        frame = read("prospect", page, fields=["firstName", "openCount", "owner"], include={"owner": ["email"]})

        assert records(frame) == [
            {"id": 1, "first_name": "Sally", "open_count": 5, "owner_id": 3, "owner__email": "a@example.com"}
        ]


def test_a_row_takes_what_only_its_included_twin_has():
    """Where resources of its type are joined, so that included ones are read at all."""
    page = body(
        {"type": "role", "id": 1},
        {"type": "role", "id": 2, "relationships": {"parentRole": to("role", 1)}},
        included=[resource("role", 1, name="Chief"), resource("role", 2, name="Deputy")],
    )

    frame = read("role", page, fields=["name"], include={"parentRole": ["name"]})

    assert records(frame) == [
        {"id": 1, "name": "Chief", "parent_role__name": None},
        {"id": 2, "name": "Deputy", "parent_role__name": "Chief"},
    ]


def test_resources_without_ids_are_never_the_same():
    """As in requests to create two of them."""
    frame = read_jsonapi({"data": [{"type": "note", "attributes": {"text": text}} for text in "ab"]}, catalog=False)

    assert frame["text"].to_list() == ["a", "b"]


def test_layouts_of_deliveries_keep_every_one_of_them():
    """A record that changes twice is delivered twice."""
    page = body(resource("prospect", 1, firstName="A"), resource("prospect", 1, firstName="B"))

    assert layout("prospect", anonymous=True).page(page).batch["first_name"].to_pylist() == ["A", "B"]


def test_documents_of_several_types_have_each_resource_once():
    """Ids are unique within a type; two types may share one."""
    document = {
        "data": [resource("car", "1", wheels=4), resource("bus", "1", wheels=6), {"type": "car", "id": "1"}],
        "included": [resource("bus", "1", doors=2)],
    }

    assert records(read_jsonapi(document, catalog=False)) == [
        {"id": "1", "type": "car", "wheels": 4, "doors": None},
        {"id": "1", "type": "bus", "wheels": 6, "doors": 2},
    ]


NAMES = ["firstName", "lastName", "title", "company"]
pieces = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["a", "b", None]), max_size=4)


@settings(deadline=None)
@given(said=st.lists(st.tuples(st.integers(1, 3), pieces, st.booleans()), min_size=1, max_size=8))
def test_whatever_is_said_where_each_row_holds_the_last_that_was_said(said):
    """Members count as they were sent last, ``included`` before ``data``; ids are unique."""
    document = {"data": [], "included": []}
    for id_, attributes, is_row in said:
        document["data" if is_row else "included"].append({"type": "prospect", "id": id_, "attributes": attributes})
    expected: dict[int, dict[str, str | None]] = {}
    for resource_ in (*document["included"], *document["data"]):
        expected.setdefault(resource_["id"], {}).update(resource_["attributes"])
    ids = list(dict.fromkeys(row["id"] for row in document["data"]))

    frame = read_jsonapi(json.dumps(document))

    assert frame["id"].to_list() == ids
    for name in NAMES:
        column = {"firstName": "first_name", "lastName": "last_name"}.get(name, name)
        found = [row.get(column) for row in records(frame)]
        assert found == [expected[id_].get(name) for id_ in ids]
