import pytest

from outreach_frames import catalog
from outreach_frames._sandbox import Sandbox
from tests.sandbox.small_organization import asking, error, ids, resource


def test_resource_has_every_attribute_and_relationship_of_its_type(ask):
    """Null attributes are present by default; write-only ones never are."""
    (prospect, *_) = ask("/prospects").json()["data"]
    mailbox = catalog.load().types["mailbox"]
    with Sandbox([resource("mailbox", 1, {"password": "secret"})]) as running:
        answered = asking(running)("/mailboxes/1").json()["data"]["attributes"]

    kind = catalog.load().types["prospect"]
    assert set(prospect["attributes"]) == set(kind.attributes) - {"contactHistogram"}
    assert prospect["attributes"]["custom150"] is None
    assert set(prospect["relationships"]) == set(kind.relationships)
    assert set(answered) == {name for name, attribute in mailbox.attributes.items() if not attribute.write_only}


def test_members_of_relationship_objects_are_those_of_the_contract(ask):
    """Identifiers, a link, both, or neither: four shapes that a reader meets."""
    mailing = ask("/mailings/1").json()["data"]["relationships"]
    prospect = ask("/prospects/1").json()["data"]["relationships"]
    task = ask("/tasks/1").json()["data"]["relationships"]

    assert mailing["sequence"] == {"data": {"type": "sequence", "id": 1}}
    assert mailing["template"] == {"data": None}
    assert mailing["toEntitiesId"] == {}
    assert set(prospect["mailings"]) == {"links"}
    assert prospect["activeSequenceStates"]["data"] == [{"type": "sequenceState", "id": 1}]
    assert set(prospect["emailAddresses"]) == {"data", "links"}
    assert task["subject"] == {"data": {"type": "prospect", "id": 1}}
    assert task["creator"] == {"data": {"type": "sequenceStep", "id": 2}}


def test_to_one_relationships_may_carry_links_too(sandbox, ask):
    """Declared by the schema, in no example."""
    sandbox.settings.to_one_links = True

    relationships = ask("/mailings/1").json()["data"]["relationships"]

    assert relationships["sequence"]["links"] == {"related": f"{sandbox.base_url}/sequences/1"}
    assert relationships["template"] == {"data": None}


def test_to_one_relationships_that_only_carry_a_link():
    """Three of recordings are declared so; without a related resource there is nothing to link to."""
    records = [resource("kaiaRecording", 1, {}, owner=("user", 5)), resource("kaiaRecording", 2), resource("user", 5)]
    with Sandbox(records) as running:
        ask = asking(running)
        with_owner, without = (entry["relationships"]["owner"] for entry in ask("/kaiaRecordings").json()["data"])

        assert with_owner == {"links": {"related": f"{running.base_url}/users/5"}}
        assert without == {}
        assert ask(with_owner["links"]["related"]).json()["data"]["id"] == 5
        assert error(ask("/kaiaRecordings?include=owner")) == (400, "includeParameter.invalidRelationship")


def test_related_links_are_filtered_collections(sandbox, ask):
    """Every to-many link of every record leads to exactly the records that point back."""
    sandbox.settings.include_links_only = True
    followed = 0
    for plural in ("accounts", "prospects", "sequences", "users", "tasks", "opportunities", "sequenceSteps"):
        for record in ask(f"/{plural}").json()["data"]:
            for value in record["relationships"].values():
                if "links" in value:
                    followed += 1
                    listed = ids(ask(value["links"]["related"]))
                    assert not isinstance(value.get("data"), list) or [i["id"] for i in value["data"]] == listed

    assert followed > 50
    assert ids(ask(ask("/sequences/1").json()["data"]["relationships"]["mailings"]["links"]["related"])) == [1]


def test_relationships_that_nobody_stored_are_looked_up(ask):
    """Linkage that a record lacks follows from the other side, or along a path."""
    sequence = ask("/sequences/1").json()["data"]["relationships"]
    task = ask("/tasks/1").json()["data"]["relationships"]
    state = ask("/sequenceStates/1").json()["data"]["relationships"]
    prospect = ask("/prospects/2").json()["data"]["relationships"]

    assert [step["id"] for step in sequence["sequenceSteps"]["data"]] == [1, 2]
    assert task["prospectAccount"]["data"] == {"type": "account", "id": 1}
    assert [step["id"] for step in task["sequenceSequenceSteps"]["data"]] == [1, 2]
    assert task["prospectContacts"]["data"] == []
    assert state["activeStepTasks"]["data"] == [{"type": "task", "id": 1}]
    assert state["activeStepMailings"]["data"] == []
    assert prospect["opportunities"]["data"] == [{"type": "opportunity", "id": 1}]
    assert ids(ask("/prospects?filter[opportunities][id]=1")) == [2]


def test_given_linkage_is_served_as_given():
    """Resources are served exactly as they were handed over, though others may disagree."""
    records = [
        resource("sequence", 1, {}, sequenceSteps=[("sequenceStep", 9)]),
        resource("sequenceStep", 2, {}, sequence=("sequence", 1)),
        resource("prospect", 5, {"createdAt": "2025-03-03T14:00:00+02:00"}, account=("account", "07")),
    ]
    with Sandbox(records) as running:
        ask = asking(running)

        sequence = ask("/sequences/1").json()["data"]["relationships"]
        prospect = ask("/prospects/5?include=account").json()

    assert sequence["sequenceSteps"]["data"] == [{"type": "sequenceStep", "id": 9}]
    assert prospect["data"]["attributes"]["createdAt"] == "2025-03-03T14:00:00+02:00"
    assert prospect["data"]["relationships"]["account"] == {"data": {"type": "account", "id": "07"}}
    assert prospect["included"] == []


def test_resources_link_to_themselves(sandbox, ask):
    link = ask("/prospects").json()["data"][0]["links"]["self"]

    assert link == f"{sandbox.base_url}/prospects/1"
    assert ask(link).json()["data"]["id"] == 1


# Include


def included(answer):
    """Return the identifiers of what a document includes."""
    return [(entry["type"], entry["id"]) for entry in answer.json()["included"]]


def test_included_resources_come_once_with_those_on_the_way(ask):
    """``account.owner`` brings the accounts too, and nobody twice."""
    answer = ask("/prospects?include=account.owner,owner,stage")

    assert sorted(included(answer)) == [("account", 1), ("account", 3), ("stage", 1), ("user", 1), ("user", 2)]


def test_primary_data_is_not_included_again(ask):
    answer = ask("/sequenceSteps?include=sequence.sequenceSteps")

    assert included(answer) == [("sequence", 1)]


def test_include_follows_every_target_of_a_polymorphic_relationship(ask):
    answer = ask("/tasks?include=subject.account,subject.owner,creator")

    assert sorted(included(answer)) == [
        ("account", 1),
        ("prospect", 1),
        ("sequenceStep", 2),
        ("user", 1),
        ("user", 2),
    ]


def test_include_finds_the_same_records_by_different_ways(ask):
    """A record met on one path is still followed further on another."""
    answer = ask("/mailings?include=prospect,sequenceState.prospect.account")

    assert ("account", 1) in included(answer)
    assert len(included(answer)) == len(set(included(answer)))


def test_include_works_without_the_relationship_among_the_fields(ask):
    """What is sent of a resource and what is sent beside it are two questions."""
    answer = ask("/prospects?include=account&fields[prospect]=firstName&fields[account]=name")

    assert sorted(included(answer)) == [("account", 1), ("account", 3)]
    assert answer.json()["included"][0]["attributes"] == {"name": "Acme"}


def test_include_of_one_resource(ask):
    assert included(ask("/prospects/1?include=account,owner")) == [("account", 1), ("user", 1)]


def test_included_is_there_and_empty_when_nothing_is_related(ask):
    assert ask("/prospects/2?include=stage").json()["included"] == []
    assert "included" not in ask("/prospects/2").json()


@pytest.mark.parametrize(
    "include",
    ["nosuch", "account.nosuch", "accounts", "mailings", "account.prospects", "firstName", "account..owner", ","],
)
def test_relationships_that_cannot_be_included(ask, include):
    """Unknown names, attributes, and to-many relationships that only ever carry a link."""
    assert error(ask(f"/prospects?include={include}")) == (400, "includeParameter.invalidRelationship")


def test_relationship_without_members_cannot_be_included(ask):
    assert error(ask("/mailings?include=toEntitiesId")) == (400, "includeParameter.invalidRelationship")


def test_including_links_only_can_be_switched_on(sandbox, ask):
    sandbox.settings.include_links_only = True

    answer = ask("/accounts/1?include=prospects")

    assert included(answer) == [("prospect", 1), ("prospect", 2)]
    assert len(answer.json()["data"]["relationships"]["prospects"]["data"]) == 2


# Sparse fieldsets


def test_fields_name_attributes_and_relationships(ask):
    (state, _) = ask("/sequenceStates?fields[sequenceState]=state,sequence,mailings").json()["data"]

    assert state["attributes"] == {"state": "active"}
    assert set(state["relationships"]) == {"sequence", "mailings"}


def test_empty_fields_leave_type_and_id(ask):
    (account, _) = ask("/accounts?fields[account]=").json()["data"]

    assert set(account) == {"type", "id", "links"}


def test_fields_are_by_type_not_by_relationship(ask):
    assert error(ask("/prospects?include=owner&fields[owner]=email")) == (400, "fieldsParameter.invalidType")


@pytest.mark.parametrize("fields", ["nosuch", "firstName,nosuch", "first_name", "id"])
def test_unknown_fields(sandbox, ask, fields):
    """Whether they are an error is unknown: one by default, ignored by switch."""
    assert error(ask(f"/prospects?fields[prospect]={fields}")) == (400, "fieldsParameter.invalidField")

    sandbox.settings.unknown_fields = "ignore"
    assert ask(f"/prospects?fields[prospect]={fields}&fields[nosuch]=a").status_code == 200


def test_contact_histogram_comes_when_asked_for():
    """It leaves the default payload on 2026-10-01."""
    histogram = [[0, 1]] * 12
    with Sandbox([resource("prospect", 1, {"contactHistogram": histogram})]) as running:
        ask = asking(running)

        asked = ask("/prospects?fields[prospect]=contactHistogram").json()["data"][0]["attributes"]
        assert asked == {"contactHistogram": histogram}
        assert "contactHistogram" not in ask("/prospects").json()["data"][0]["attributes"]

        running.settings.contact_histogram_by_default = True
        assert ask("/prospects").json()["data"][0]["attributes"]["contactHistogram"] == histogram


# What is left out, and what is added


def test_lists_leave_the_unnamed_out(sandbox, ask):
    """Accounts that nobody named and templates made inside a step exist, outside the lists."""
    assert ids(ask("/accounts")) == [1, 2]
    assert ids(ask("/templates")) == [1]
    assert ask("/accounts/3").status_code == ask("/templates/2").status_code == 200

    sandbox.settings.lists_unnamed = True
    assert ids(ask("/accounts")) == [1, 2, 3]


def test_unnamed_accounts_can_be_hidden_from_prospects(ask):
    path = "/prospects/3?include=account"

    hidden = ask(f"{path}&actionParams[withUnnamedAccount]=false").json()

    assert ask(path).json()["data"]["relationships"]["account"]["data"] == {"type": "account", "id": 3}
    assert hidden["data"]["relationships"]["account"]["data"] is None
    assert hidden["included"] == []


def test_metadata_comes_when_asked_for():
    """Each type tells only what the contract says it tells."""
    connection = {"id": "0031x", "type": "contact"}
    prospect = resource("prospect", 1) | {"meta": {"dataConnections": [connection], "canDelete": False}}
    with Sandbox([prospect, resource("mailing", 1), resource("favorite", 1), resource("event", 1)]) as running:
        ask = asking(running)
        both = "provideDataConnections=true&provideAuthorizationMeta=true"

        assert "meta" not in ask("/prospects/1").json()["data"]
        assert ask(f"/prospects/1?{both}").json()["data"]["meta"] == {
            "dataConnections": [connection],
            "canWrite": True,
            "canDelete": False,
        }
        assert ask(f"/mailings/1?{both}").json()["data"]["meta"] == {"dataConnections": [], "canWrite": True}
        assert ask(f"/favorites/1?{both}").json()["data"]["meta"] == {"canDelete": True}
        assert ask("/events/1?provideAuthorizationMeta=true").json()["data"].get("meta") is None


def test_what_the_contract_does_not_know_is_served_too():
    """A webhook's token is in real answers and in no schema."""
    webhook = resource("webhook", 1, {"cleanupToken": "abc"}, mystery=("puzzle", 4))
    with Sandbox([webhook, resource("webhook", 2)]) as running:
        ask = asking(running)

        first, second = ask("/webhooks").json()["data"]
        assert first["attributes"]["cleanupToken"] == "abc"
        assert first["relationships"]["mystery"] == {"data": {"type": "puzzle", "id": 4}}
        assert "cleanupToken" not in second["attributes"]
        assert ask("/webhooks/1?fields[webhook]=cleanupToken").json()["data"]["attributes"] == {"cleanupToken": "abc"}
        assert error(ask("/webhooks?filter[cleanupToken]=abc")) == (400, "filterParameter.invalidAttribute")


def test_custom_objects_have_their_own_paths():
    """Types that the contract does not know are the organization's custom objects."""
    records = [
        resource("license", 1, {"seats": 5, "name": "Team"}, account=("account", 1)),
        resource("license", 2, {"seats": 50, "name": "Site"}, account=None),
        resource("account", 1, {"name": "Acme"}),
    ]
    with Sandbox(records) as running:
        ask = asking(running)

        answer = ask("/customObjects/license?filter[name]=Team&include=account&count=true&sort=-name")
        assert ids(answer) == [1]
        assert answer.json()["data"][0]["attributes"] == {"seats": 5, "name": "Team"}
        assert included(answer) == [("account", 1)]
        assert ask("/customObjects/license/2").json()["data"]["links"]["self"].endswith("/customObjects/license/2")
        assert error(ask("/customObjects/nosuch")) == (404, "routeNotFound")
        assert error(ask("/customObjects/account")) == (404, "routeNotFound")
        assert error(ask("/licenses")) == (404, "routeNotFound")


def test_types_tell_about_custom_fields():
    label = {"type": "date", "required": False, "label": "Renewal", "definition": None}
    with Sandbox([], custom_fields={"account": {"custom1": label}}) as running:
        ask = asking(running)

        assert ask("/types").json() == {"data": [{"type": "account", "meta": {"validations": {"custom1": label}}}]}
        running.settings.types_spelling = "capitalized"
        assert ask("/types").json()["data"][0]["type"] == "Account"
