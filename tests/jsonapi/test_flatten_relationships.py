"""What relationships of every shape become, and the resources that they lead to."""

import pytest

from outreach_frames._jsonapi import to_frame
from outreach_frames.errors import DocumentError
from tests.jsonapi.flat_documents import body, layout, only, read, records, resource, to


def prospect_with(**relationships):
    """Return a page of one prospect with these relationships."""
    return body(resource("prospect", 1, relationships))


@pytest.mark.parametrize(
    "sent", [{}, {"links": {"related": "x"}}, {"data": None}, {"data": None, "links": {}}, {"meta": {}}, None]
)
def test_a_to_one_relationship_without_identifier_is_missing(sent):
    """Neither data nor links, links alone, null data, null itself: nothing is related as far as is known."""
    assert read("prospect", prospect_with(owner=sent), fields=["owner"])["owner_id"].isna().all()


def test_a_relationship_that_is_not_there_is_missing():
    """Null relationships may be left out."""
    assert only(read("prospect", body({"type": "prospect", "id": 1}), fields=["owner", "assignedUsers"])) == {"id": 1}


def test_a_to_many_relationship_with_data_is_a_list():
    """Links beside the data change nothing; an empty list is not a missing one."""
    users = {"data": [{"type": "user", "id": 4}, {"type": "user", "id": 2}], "links": {"related": "x"}}
    frame = read("prospect", prospect_with(assignedUsers=users, favorites={"data": []}))

    assert frame["assigned_users_ids"].array.__arrow_array__().to_pylist() == [[4, 2]]
    assert only(frame)["favorites_ids"] == []


def test_a_to_many_relationship_with_links_alone_is_missing():
    """Unknown is not empty."""
    assert read("prospect", prospect_with(favorites={"links": {"related": "x"}}))["favorites_ids"].isna().all()


def test_a_relationship_that_never_has_data_gives_no_column():
    """Mailing ``toEntitiesId`` is sent with neither data nor links; tap-outreach crashed on it."""
    frame = read("mailing", body(resource("mailing", 1, {"toEntitiesId": {}, "opener": {"data": None}})))

    assert not [name for name in frame if name.startswith("to_entities")]


def test_identifiers_where_the_catalog_has_none_are_reported_and_kept_when_open():
    """The vendor's contract may be wrong; nothing is dropped in silence."""
    page = body(resource("kaiaRecording", 1, {"owner": to("user", 7)}))
    asked = layout("kaiaRecording", open=True)

    assert layout("kaiaRecording").page(page).unknown == {"kaiaRecording": frozenset({"owner"})}
    assert only(to_frame([asked.page(page).batch], asked.schema)) == {"id": 1, "owner_id": 7, "owner_type": "user"}


def test_a_polymorphic_relationship_also_tells_the_type():
    """An id alone would not say what it is the id of."""
    rows = [resource("task", n, {"subject": to(t, n)}) for n, t in enumerate(["account", "prospect"], 1)]

    frame = read("task", body(*rows), fields=["subject"])

    assert frame["subject_id"].to_list() == [1, 2]
    assert frame["subject_type"].to_list() == ["account", "prospect"]


def test_a_polymorphic_relationship_joins_each_type_with_its_own():
    """Ids of several types overlap; shared columns hold whichever resource is meant."""
    rows = [resource("task", n, {"subject": to(t, 5)}) for n, t in enumerate(["account", "prospect", "opportunity"], 1)]
    included = [
        resource("account", 5, name="Acme", domain="acme.example.com"),
        resource("prospect", 5, firstName="Sally"),
        resource("opportunity", 5, name="Deal"),
    ]

    frame = read(
        "task", body(*rows, included=included), fields=[], include={"subject": ["name", "domain", "firstName"]}
    )

    assert records(frame) == [
        {"id": 1, "subject__domain": "acme.example.com", "subject__name": "Acme", "subject__first_name": None},
        {"id": 2, "subject__domain": None, "subject__name": None, "subject__first_name": "Sally"},
        {"id": 3, "subject__domain": None, "subject__name": "Deal", "subject__first_name": None},
    ]


def test_a_flat_relationship_is_understood():
    """Webhooks write identifiers without the data around them."""
    assert only(read("prospect", prospect_with(owner={"type": "user", "id": 3}), fields=["owner"]))["owner_id"] == 3


@pytest.mark.parametrize(
    "sent",
    [
        to("account", 3),
        {"data": {"id": 3}},
        {"data": [{"type": "user", "id": 3}, {"type": "user", "id": 4}]},
        {"id": 3},
        3,
        "user",
        to("user", {}),
        to("user", "x"),
        to("user", 2**63),
    ],
)
def test_a_relationship_to_something_else_is_missing_and_refused_where_strict(sent):
    """An account's id in ``owner_id`` would be joined to a user; and one odd link must not lose a walk."""
    with pytest.raises(DocumentError) as caught:
        read("prospect", prospect_with(owner=sent), strict=True)

    assert (caught.value.resource_type, caught.value.id, caught.value.attribute) == ("prospect", 1, "owner")
    assert read("prospect", prospect_with(owner=sent))["owner_id"].isna().all()


def test_an_included_resource_that_is_missing_leaves_its_columns_missing():
    """The foreign key stays, so that the gap can be seen."""
    frame = read("prospect", prospect_with(owner=to("user", 3)), fields=["owner"], include={"owner": ["email", "id"]})

    assert records(frame) == [{"id": 1, "owner_id": 3, "owner__email": None, "owner__id": None}]


def test_included_may_be_absent():
    """A page of resources without relatives has none."""
    asked = layout("prospect", fields=["owner"], include={"owner": ["email"]})

    assert asked.page(b'{"data": [{"type": "prospect", "id": 1}]}').batch.to_pylist() == [
        {"id": 1, "owner_id": None, "owner__email": None}
    ]


def test_included_resources_are_joined_at_any_depth():
    """A step on the way gives no columns and its foreign key is read all the same."""
    page = body(
        resource("prospect", 1, {"account": to("account", 7)}),
        included=[resource("account", 7, {"owner": to("user", 3)}, name="Acme"), resource("user", 3, name="Otto")],
    )

    assert only(read("prospect", page, fields=[], include={"account.owner": ["name"]})) == {
        "id": 1,
        "account__owner__name": "Otto",
    }


def test_a_relative_may_be_a_row_of_the_same_page():
    """A document holds each resource once, so what is a row is not included again."""
    rows = [resource("role", 1, name="Chief"), resource("role", 2, {"parentRole": to("role", 1)}, name="Deputy")]

    frame = read("role", body(*rows), fields=["name"], include={"parentRole": ["name"]})

    assert frame["parent_role__name"].fillna("-").to_list() == ["-", "Chief"]


def test_a_resource_that_is_included_twice_counts_as_it_came_last():
    """The standard forbids it; the later one is taken to be the newer."""
    twice = [resource("user", 3, email="old@example.com"), resource("user", 3, email="new@example.com")]

    frame = read(
        "prospect",
        body(resource("prospect", 1, {"owner": to("user", 3)}), included=twice),
        include={"owner": ["email"]},
    )

    assert frame["owner__email"].item() == "new@example.com"


def test_included_types_that_nobody_asked_for_are_passed_over():
    """A server may include more than was asked."""
    page = body(
        resource("prospect", 1, {"owner": to("user", 3)}),
        included=[{"type": "zebra", "id": "z", "stripes": 9}, resource("user", 3, email="a@example.com")],
    )

    assert only(read("prospect", page, fields=[], include={"owner": ["email"]}))["owner__email"] == "a@example.com"


def test_ids_that_are_too_long_are_left_out_of_their_lists_and_named_with_the_record():
    """Among the lists of other records, full and empty."""
    lists = [[1, 2], [], [3, 2**63]]
    rows = [
        resource("prospect", n, {"assignedUsers": {"data": [{"type": "user", "id": id_} for id_ in ids]}})
        for n, ids in enumerate(lists)
    ]

    page = layout("prospect", fields=["assignedUsers"]).page(body(*rows))

    assert page.batch["assigned_users_ids"].to_pylist() == [[1, 2], [], [3]]
    assert [(misfit.id, misfit.name) for misfit in page.misfits] == [(2, "assignedUsers")]


def test_an_open_layout_keeps_of_relatives_what_was_asked_for():
    """Their new attributes come only with all the others."""
    page = body(resource("prospect", 1, {"owner": to("user", 3)}), included=[resource("user", 3, mood="fine")])

    for wanted, columns in ((["email"], ["owner__email"]), (None, ["owner__mood"])):
        asked = layout("prospect", fields=[], include={"owner": wanted}, open=True)
        frame = to_frame([asked.page(page).batch], asked.schema)
        assert set(columns) <= set(frame)
        assert ("owner__mood" in frame) == (wanted is None)


def test_ids_of_unknown_relationships_are_integers_where_all_are():
    """And text as soon as one is not, or does not fit."""
    for ids, kept in (([1, 2], [1, 2]), ([1, "x"], ["1", "x"]), ([1, 2**64], ["1", str(2**64)])):
        asked = layout("prospect", open=True)
        page = asked.page(body(*(resource("prospect", n, {"rival": to("user", id_)}) for n, id_ in enumerate(ids))))
        assert to_frame([page.batch], asked.schema)["rival_id"].to_list() == kept
