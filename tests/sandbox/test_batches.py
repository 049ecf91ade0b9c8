"""Batches: which records, what is done to them, and what can be seen of it meanwhile."""

from urllib.parse import quote

import pytest

from outreach_frames import catalog
from outreach_frames._sandbox.writes import batches
from tests.sandbox.answer_schemas import strict_document, validator
from tests.sandbox.small_organization import error
from tests.sandbox.writing_requests import Program, faults, made


def bulk(program, action, query="", **attributes):
    """Ask for a bulk action, confirmed unless the query says otherwise."""
    skip = "" if "skipConfirmation" in query else "actionParams[skipConfirmation]=true"
    path = f"/batches/actions/{action}?{'&'.join(part for part in (query, skip) if part)}"
    return program.send("POST", path, {"data": {"attributes": attributes}} if attributes else None)


def tags(office):
    """Return the tags of the prospects, by id."""
    return {record.id: record.attributes.get("tags") for record in office.store.records("prospect")}


def test_states_and_counters(program):
    """Pending, then running, then finished: each reading of batches sees the next."""
    batch = made(bulk(program, "prospectsAddTags", ids=[1, 2], tags=["vip"]), 200)
    assert batch["attributes"].items() >= {"state": "pending", "total": 2, "pending": 2, "failures": 0}.items()

    seen = [program.get(f"/batches/{batch['id']}")["attributes"] for _ in range(4)]

    assert [each["state"] for each in seen] == ["pending", "running", "finished", "finished"]
    assert [each["pending"] for each in seen] == [2, 2, 0, 0]
    assert seen[-1]["summary"] == {"updated": 2}
    assert seen[-1]["startedAt"] <= seen[-1]["finishedAt"]
    items = program.get(f"/batchItems?filter[batchId]={batch['id']}")
    assert [(each["attributes"]["state"], each["attributes"]["data"]) for each in items] == [
        ("finished", "1"),
        ("finished", "2"),
    ]


def test_time_moves_batches_on_too(office, program):
    """For who never looks: some seconds in each state."""
    made(bulk(program, "prospectsAddTags", ids=[1], tags=["vip"]), 200)
    assert tags(office)[1] == ["hot"]

    office.advance(office.settings.job_step_s + 0.1)
    assert tags(office)[1] == ["hot"]
    office.advance(office.settings.job_step_s)

    assert tags(office)[1] == ["hot", "vip"]


def test_time_stands_still_on_request(office, program):
    office.settings.job_step_s = None
    made(bulk(program, "prospectsAddTags", ids=[1], tags=["vip"]), 200)

    office.advance(86_400)
    assert tags(office)[1] == ["hot"]
    office.run_jobs()

    assert tags(office)[1] == ["hot", "vip"]


@pytest.mark.parametrize(
    ("query", "ids", "reached"),
    [
        ("", None, [1, 2, 3]),
        ("actionParams[filter][firstName][]=Sally&actionParams[filter][firstName][]=Lee", None, [1, 3]),
        ("actionParams[filter][id][]=1&actionParams[filter][id][]=2", None, [1, 2]),
        ("actionParams[filter][id]=1&actionParams[filter][id]=2", None, [1, 2]),
        ("actionParams[filter][id][gte]=2", None, [2, 3]),
        ("actionParams[filter][account][id][]=1", None, [1, 2]),
        ("actionParams[filter][account][id][]=1", [2, 3], [2]),
        ("actionParams[filter][firstName]=Sally,Lee", None, []),
    ],
)
def test_filters_follow_the_new_syntax(office, program, query, ids, reached):
    """Commas are literal, ids and filter both hold, and neither means everybody."""
    given = {} if ids is None else {"ids": ids}

    batch = made(bulk(program, "prospectsAddTags", quote(query, safe="=&[]"), tags=["vip"], **given), 200)
    office.run_jobs()

    assert batch["attributes"]["total"] == len(reached)
    assert [id_ for id_, held in tags(office).items() if "vip" in (held or [])] == reached


def test_filters_that_are_none_are_refused(office, program):
    """A filter that was misread would touch the wrong people."""
    unknown = bulk(program, "prospectsAddTags", "actionParams[filter][shoeSize][]=3", tags=["vip"])
    misplaced = bulk(program, "prospectsAddTags", "filter[firstName][]=Sally", tags=["vip"])

    assert error(unknown) == (400, "filterParameter.invalidAttribute")
    assert error(misplaced) == (400, "queryParameter.unknown")
    assert not list(office.store.records("batch"))


def test_confirmation(office, program):
    """Without ``skipConfirmation`` nothing happens before it; it is given once."""
    batch = made(bulk(program, "prospectsDestroyAll", "actionParams[skipConfirmation]=false", ids=[3]), 200)
    assert (
        batch["attributes"].items()
        >= {"state": "confirming", "confirmCount": 1, "confirmedCountRequired": False}.items()
    )
    office.run_jobs()
    assert office.store.find("prospect", 3) is not None

    path = f"/batches/{batch['id']}/actions/confirm"
    assert "Confirmed count must be 1" in faults(program.act(path, confirmedCount=5))[None]
    confirmed = made(program.act(path), 200)["attributes"]
    office.run_jobs()

    assert (confirmed["state"], confirmed["confirmedAt"]) == ("pending", confirmed["updatedAt"])
    assert office.store.find("prospect", 3) is None
    assert "cannot be confirmed" in faults(program.act(path))[None]


def test_large_batches_are_confirmed_with_their_count(office, program):
    office.settings.batch_confirmed_count = 2
    batch = made(bulk(program, "prospectsDestroyAll", "actionParams[skipConfirmation]=false"), 200)
    assert batch["attributes"]["confirmedCountRequired"] is True

    path = f"/batches/{batch['id']}/actions/confirm"
    assert faults(program.act(path))
    assert made(program.act(path, confirmedCount=3), 200)["attributes"]["state"] == "pending"


def test_canceling(office, program):
    """Before it is confirmed or while it runs; not after the end."""
    waiting = made(bulk(program, "prospectsDestroyAll", "actionParams[skipConfirmation]=false"), 200)["id"]
    going = made(bulk(program, "prospectsAddTags", tags=["vip"]), 200)["id"]
    ended = made(bulk(program, "prospectsAddTags", ids=[], tags=["vip"]), 200)["id"]
    for id_ in (waiting, going):
        canceled = made(program.act(f"/batches/{id_}/actions/cancel"), 200)["attributes"]
        assert (canceled["state"], canceled["canceledAt"]) == ("canceled", canceled["updatedAt"])
    office.run_jobs()

    assert len(tags(office)) == 3
    assert not any("vip" in (held or []) for held in tags(office).values())
    assert faults(program.act(f"/batches/{ended}/actions/cancel"))


def test_batches_stop_halfway(office, program, monkeypatch):
    """What was done stays done."""
    monkeypatch.setattr(batches, "AT_ONCE", 1)
    batch = made(bulk(program, "prospectsAddTags", tags=["vip"]), 200)["id"]
    seen = [program.get(f"/batches/{batch}")["attributes"]["pending"] for _ in range(3)]

    made(program.act(f"/batches/{batch}/actions/cancel"), 200)
    office.run_jobs()

    assert seen == [3, 3, 2]
    assert [("vip" in (held or [])) for held in tags(office).values()] == [True, True, False]
    assert program.get(f"/batches/{batch}")["attributes"]["state"] == "canceled"


def test_batches_have_a_limit(program, monkeypatch):
    """A hundred thousand records."""
    assert batches.MOST_RECORDS == 100_000
    monkeypatch.setattr(batches, "MOST_RECORDS", 2)

    assert "at most 2" in faults(bulk(program, "prospectsAddTags", tags=["vip"]))[None]
    assert made(bulk(program, "prospectsAddTags", ids=[1, 2], tags=["vip"]), 200)


def test_what_a_batch_needs_may_vanish(office, program):
    """Between the request and the work: every item fails."""
    batch = made(bulk(program, "prospectsAssignAccount", ids=[3], accountId=2), 200)["id"]
    program.send("DELETE", "/accounts/2")
    office.run_jobs()

    assert program.get(f"/batches/{batch}")["attributes"]["state"] == "failed"
    (item,) = program.get(f"/batchItems?filter[batchId]={batch}")
    assert item["attributes"]["info"] == "Account id does not exist anymore."


def test_one_role_joins_two_records(office, program):
    """A prospect that has the opportunity already is not joined to it again."""
    made(bulk(program, "prospectsAssignOpportunity", ids=[2], opportunityId=1), 200)
    office.run_jobs()

    assert len(program.get("/opportunityProspectRoles?filter[prospect][id]=2")) == 1


def test_failures_are_told_item_by_item(office, program):
    """Some fail: finished with failures. All fail: failed."""
    mixed = made(bulk(program, "prospectsAddToSequence", ids=[1, 3, 99], sequenceId=1, mailboxId=1), 200)["id"]
    office.run_jobs()
    none = made(bulk(program, "prospectsAddToSequence", ids=[1], sequenceId=1, mailboxId=1), 200)["id"]
    office.run_jobs()

    attributes = program.get(f"/batches/{mixed}")["attributes"]
    assert (attributes["state"], attributes["failures"]) == ("finished", 2)
    assert attributes["summary"] == {"updated": 1, "failed": 2}
    failed = program.get(f"/batchItems?filter[batchId]={mixed}&filter[state]=error")
    assert {each["attributes"]["data"]: each["attributes"]["info"] for each in failed} == {
        "3": "Prospect has no deliverable email address.",
        "99": "Prospect not found",
    }
    assert all(each["attributes"]["failed"] for each in failed)
    assert program.get(f"/batches/{none}")["attributes"]["state"] == "failed"


ANA_OR_BEN = [{"type": "user", "id": 1}, {"type": "user", "id": 2}]
DEAL = {"type": "opportunity", "id": 1}

EFFECTS = [
    ("accountAddTags", {"tags": ["old", "new"]}, {"tags": ["hot", "old", "new"]}),
    ("accountsRemoveTags", {"tags": ["old"]}, {"tags": ["hot"]}),
    ("accountsBulkModify", {"industry": "Retail"}, {"industry": "Retail"}),
    ("accountsBulkModify", {"fieldName": "industry", "fieldValue": "Retail"}, {"industry": "Retail"}),
    ("prospectsAddTags", {"tags": ["vip"]}, {"tags": ["hot", "old", "vip"]}),
    ("prospectsRemoveTags", {"tags": ["hot"]}, {"tags": ["old"]}),
    ("prospectsBulkModify", {"title": "CEO", "optedOut": True}, {"title": "CEO"}),
    ("accountsAssignOwner", {"ownerId": 2}, {"owner": ANA_OR_BEN[1]}),
    ("accountsAddAssignments", {"userIds": [2]}, {"assignedUsers": ANA_OR_BEN}),
    ("accountsRemoveAssignments", {"userIds": ["1"]}, {"assignedUsers": []}),
    ("accountsRemoveAllAssignments", {}, {"assignedUsers": []}),
    ("prospectsAssignOwner", {"ownerId": 2}, {"owner": ANA_OR_BEN[1]}),
    ("prospectsAssignAccount", {"accountId": "2"}, {"account": {"type": "account", "id": 2}}),
    ("prospectsAssignOpportunity", {"opportunityId": "1"}, {"opportunities": [DEAL]}),
    ("prospectsAddAssignments", {"userIds": [1, 2]}, {"assignedUsers": ANA_OR_BEN}),
    ("prospectsRemoveAssignments", {"userIds": [1]}, {"assignedUsers": []}),
    ("prospectsRemoveAllAssignments", {}, {"assignedUsers": []}),
]


@pytest.mark.parametrize(("action", "payload", "wanted"), EFFECTS)
def test_effects(office, program, action, payload, wanted):
    """On the records that were named, and on no others; ids are numbers or text, as the schema has both."""
    type_ = "account" if action.startswith("account") else "prospect"
    for id_ in (1, 2):
        made(program.update(f"{type_}s", type_, id_, {"tags": ["hot", "old"]}, assignedUsers=[("user", 1)]), 200)
    untouched = program.get(f"/{type_}s/2")

    made(bulk(program, action, ids=[1], **payload), 200)
    office.run_jobs()

    after = program.get(f"/{type_}s/1")
    linked = {name: each.get("data") for name, each in after["relationships"].items()}
    assert (after["attributes"] | linked).items() >= wanted.items()
    assert program.get(f"/{type_}s/2") == untouched


def test_enrollments_in_bulk(office, program):
    """Add, pause, finish: those that are in a state for it."""
    for action, payload, state in (
        ("prospectsAddToSequence", {"sequenceId": 2, "mailboxId": 1}, "active"),
        ("prospectsPauseAll", {}, "paused"),
        ("prospectsFinishAll", {}, "finished"),
        ("prospectsFinishAll", {}, "finished"),
    ):
        batch = made(bulk(program, action, ids=[1, 2], **payload), 200)["id"]
        office.run_jobs()
        assert program.get(f"/batches/{batch}")["attributes"]["state"] == "finished"
        assert [each["attributes"]["state"] for each in program.get("/sequenceStates")] == [state] * 2


def test_destroying_in_bulk(office, program):
    made(bulk(program, "accountsDestroyAll", "actionParams[filter][name][]=Birch"), 200)
    office.run_jobs()

    assert [each["id"] for each in program.get("/accounts")] == [1]


def test_custom_objects_in_bulk(office, program):
    """Their kind is a parameter, also where it is confirmed later."""
    named = "actionParams[objectName]=asset"
    made(bulk(program, "customObjectBulkModify", f"{named}&actionParams[filter][serial][]=S-1", price=99), 200)
    office.run_jobs()
    assert [each["attributes"]["price"] for each in program.get("/customObjects/asset")] == [99, 20]

    batch = made(bulk(program, "customObjectBulkDelete", f"{named}&actionParams[skipConfirmation]=false", ids=[1]), 200)
    made(program.act(f"/batches/{batch['id']}/actions/confirm"), 200)
    office.run_jobs()

    assert [each["id"] for each in program.get("/customObjects/asset")] == [2]
    assert error(bulk(program, "customObjectBulkDelete", ids=[1])) == (400, "actionParameter.missing")
    assert faults(bulk(program, "customObjectBulkDelete", "actionParams[objectName]=nothing", ids=[1]))


@pytest.mark.parametrize(
    ("action", "payload", "pointer"),
    [
        ("prospectsAddTags", {}, "tags"),
        ("prospectsAddTags", {"tags": "vip"}, "tags"),
        ("prospectsAddTags", {"tags": ["vip"], "color": "red"}, "color"),
        ("prospectsAddTags", {"tags": ["vip"], "ids": "1,2"}, "ids"),
        ("prospectsAssignOwner", {"ownerId": 99}, "ownerId"),
        ("prospectsAddAssignments", {"userIds": [99]}, "userIds"),
        ("prospectsAddToSequence", {"sequenceId": 1}, "mailboxId"),
        ("prospectsBulkModify", {"shoeSize": 3}, "shoeSize"),
        ("prospectsBulkModify", {"title": 3}, "title"),
        ("prospectsBulkModify", {}, "fieldName"),
    ],
)
def test_payloads_are_checked_before_anything_begins(office, program, action, payload, pointer):
    assert f"/data/attributes/{pointer}" in faults(bulk(program, action, **{"ids": [1]} | payload))
    assert not list(office.store.records("batch"))


def test_batches_need_two_scopes(office):
    """That of batches, and that of what they change."""
    half = Program(office, office.issue_token(scopes=["batches.write", "prospects.read"]))
    both = Program(office, office.issue_token(scopes=["batches.write", "prospects.write"]))

    assert error(bulk(half, "prospectsAddTags", tags=["vip"])) == (403, "unauthorizedOauthScope")
    assert made(bulk(both, "prospectsAddTags", tags=["vip"]), 200)


@pytest.mark.parametrize("action", sorted(catalog.load().types["batch"].collection_actions))
def test_every_bulk_action_answers_as_declared(openapi_path, office, program, action):
    """With the payload that its schema has; over nobody, so that nothing happens."""
    payload = {
        **({"tags": ["x"]} if "Tags" in action else {}),
        **({"userIds": [1]} if "Assignments" in action and "All" not in action else {}),
        **{name: 1 for name in ("ownerId", "accountId", "opportunityId") if name[:-2].capitalize() in action},
        **({"sequenceId": 1, "mailboxId": 1} if "ToSequence" in action else {}),
        **({"description": "x"} if action == "accountsBulkModify" else {}),
        **({"title": "x"} if action == "prospectsBulkModify" else {}),
        **({"price": 1} if action == "customObjectBulkModify" else {}),
    }
    query = "actionParams[objectName]=asset" if action.startswith("custom") else ""

    answer = bulk(program, action, query, ids=[], **payload)
    office.run_jobs()

    assert answer.status_code == 200, answer.text
    path = f"/batches/actions/{action}"
    validator(strict_document(openapi_path), path, "post").validate(answer.json())
    assert program.get(f"/batches/{answer.json()['data']['id']}")["attributes"]["state"] == "finished"
