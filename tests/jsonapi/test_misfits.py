"""What is odd and does not lose the document: empty lists for objects, links that lead elsewhere; counted and named."""

import pytest

from outreach_frames._jsonapi import concat, read_jsonapi, to_frame
from outreach_frames.errors import DocumentError, OutreachDataWarning
from tests.jsonapi.flat_documents import body, layout, only, read, records, resource, to

GOOD = resource("a", "2", {"r": to("b", "7")}, x=1)


@pytest.mark.parametrize(
    "odd",
    [
        {"relationships": {"r": {"data": []}}},
        {"relationships": {"r": []}},
        {"relationships": []},
        {"attributes": []},
        {"attributes": [], "relationships": {"r": {"data": {}}}},
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_an_empty_list_is_an_empty_object_as_php_writes_it(odd, order):
    """Of api-platform, json-api-php and fractal; the record stays, and so does the type of the relationship."""
    rows = [{"type": "a", "id": "1", **odd}, GOOD][::order]

    frame = read_jsonapi({"data": rows, "meta": [], "links": [], "included": {}}, catalog=False, strict=True)

    assert records(frame[["id", "x", "r_id"]].sort_values("id")) == [
        {"id": "1", "x": None, "r_id": None},
        {"id": "2", "x": 1, "r_id": "7"},
    ]


@pytest.mark.parametrize("sent", [{"data": []}, {"data": {}}, [], {"data": [{"type": "user", "id": 3}]}])
def test_empty_lists_and_lists_of_one_are_no_misfits_of_outreachs_types(sent):
    """Nothing is lost, so that nobody need be warned, nor refused."""
    page = layout("prospect", fields=["firstName", "owner", "assignedUsers"], strict=True).page(
        body({**resource("prospect", 1, {"owner": sent}, firstName="A"), "attributes": []}, meta=[], links=[])
    )

    ids = [3] if sent and sent != {"data": {}} and isinstance(sent, dict) and sent["data"] else [None]
    assert page.batch["owner_id"].to_pylist() == ids
    assert page.misfits == []


def test_to_many_relationships_may_be_one_identifier_or_a_bare_list():
    """Webhooks write identifiers without the data around them; an unknown list is not an empty one."""
    user = {"type": "user", "id": 3}
    sent = [{"data": user}, user, [user], {"data": {}}, {"data": []}, [], {}]
    rows = [resource("prospect", n, {"assignedUsers": links}) for n, links in enumerate(sent)]

    frame = read("prospect", body(*rows), strict=True)

    assert [row["assigned_users_ids"] for row in records(frame)] == [[3], [3], [3], [], [], None, None]


def test_new_relationships_of_an_open_layout_take_empty_lists_for_none():
    """One record without a rival must not turn the ids of the others into lists or text."""
    asked = layout("prospect", open=True)
    sent = [to("user", 4), {"data": []}, [], {"data": None}]
    rows = [resource("prospect", n, {"rival": links}) for n, links in enumerate(sent)]

    frame = to_frame(concat([asked.page(body(*rows)).batch], asked.schema), asked.schema)

    assert [row["rival_id"] for row in records(frame)] == [4, None, None, None]


def test_one_odd_link_is_missing_with_a_warning_that_counts_and_names():
    """The vendor's own records have links to the type ``unknown`` where an account is declared."""
    asked = layout("prospect", fields=["account", "owner"])
    rows = [resource("prospect", n, {"account": to("unknown", 1), "owner": to("user", 5)}) for n in range(5)]

    page = asked.page(body(*rows, resource("prospect", 9, {"account": to("account", 8)})))

    assert page.batch["account_id"].to_pylist() == [None] * 5 + [8]
    assert page.batch["owner_id"].to_pylist() == [5] * 5 + [None]
    assert {(m.resource_type, m.name) for m in page.misfits} == {("prospect", "account")}


def test_read_jsonapi_keeps_an_undeclared_type_beside_the_id():
    """Where the columns are made of the document itself, the link need not be left out."""
    frame = read_jsonapi(body(resource("prospect", 1, {"account": to("unknown", 7)})), strict=True)

    assert only(frame) == {"id": 1, "account_id": 7, "account_type": "unknown"}


ODD_LINKS = ["z", 3, {"data": 3}, {"data": {"id": "1"}}, {"data": {"type": "b"}}, {"data": {"type": "b", "id": {}}}]


@pytest.mark.parametrize("sent", ODD_LINKS)
def test_a_link_that_is_none_is_missing_in_any_document(sent):
    """The other rows and the types of their ids stay what they are."""
    rows = [resource("a", n, {"r": to("b", n)}) for n in (1, 2)]
    document = {"data": [*rows, resource("a", 3, {"r": sent})]}

    with pytest.warns(OutreachDataWarning, match=r"^a\.r is not linked to b by type and id, in 1 record \(id 3\)\. "):
        frame = read_jsonapi(document)

    assert records(frame) == [{"id": 1, "r_id": 1}, {"id": 2, "r_id": 2}, {"id": 3, "r_id": None}]
    with pytest.raises(DocumentError) as caught:
        read_jsonapi(document, strict=True)
    assert (caught.value.resource_type, caught.value.id, caught.value.attribute) == ("a", 3, "r")


def test_one_and_many_in_one_relationship_are_lists():
    """Both say the same of one record."""
    many = {"data": [{"type": "y", "id": "1"}, {"type": "y", "id": "2"}]}
    frame = read_jsonapi({"data": [resource("x", "1", {"y": to("y", "1")}), resource("x", "2", {"y": many})]})

    assert [row["y_ids"] for row in records(frame)] == [["1"], ["1", "2"]]


def test_a_warning_counts_each_record_once_and_shows_the_first_ids():
    """Not the values: they may be anybody's."""
    odd = {"owner": {"data": {"id": "sally@example.com"}}}
    rows = [resource("prospect", n, odd) for n in range(1, 6)]
    with pytest.warns(OutreachDataWarning) as caught:
        read_jsonapi(body(*rows, *rows))

    (warning,) = caught
    assert str(warning.message) == (
        "prospect.owner is not linked to user by type and id, in 5 records (id 1, 2, 3 …). It is left out. "
        "strict=True refuses it."
    )
