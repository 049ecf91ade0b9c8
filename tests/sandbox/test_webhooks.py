"""Webhooks: what may be asked for, what is delivered, and how it is signed."""

import hashlib
import hmac
import re
from datetime import datetime

import pytest
import requests

from outreach_frames._sandbox import Sandbox
from tests.sandbox.plain_receiver import delivered, subscribe
from tests.sandbox.small_organization import error, resource
from tests.sandbox.writing_requests import Program, faults, made

# Asking


def test_defaults_and_what_comes_back(program):
    """Everything about everything, payload version 1; the cleanup token and the maker come back."""
    new = made(program.create("webhooks", "webhook", {"url": "https://hooks.example.com/x"}))["attributes"]

    assert new.items() >= {"resource": "*", "action": "*", "payloadVersion": 1, "active": True}.items()
    assert new["cleanupToken"].count(".") == 2
    assert {"creatorAppId", "creatorAppName"} <= new.keys()


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"url": None}, "url"),
        ({"url": "http://hooks.example.com"}, "url"),
        ({"url": "ftp://127.0.0.1/x"}, "url"),
        ({"url": "hooks"}, "url"),
        ({"resource": "template"}, "resource"),
        ({"resource": "mailing", "action": "clicked"}, "action"),
        ({"resource": "kaiaRecording", "action": "updated"}, "action"),
        ({"resource": "user", "action": "destroyed"}, "action"),
        ({"resource": "*", "action": "finished"}, "action"),
        ({"payloadVersion": 3}, "payloadVersion"),
        ({"payloadVersion": "v2"}, "payloadVersion"),
    ],
)
def test_what_cannot_be_asked_for(program, given, pointer):
    """Public HTTPS only; there is no ``mailing.clicked``; versions are numbers."""
    answer = program.create("webhooks", "webhook", {"url": "https://hooks.example.com", **given})

    assert list(faults(answer)) == [f"/data/attributes/{pointer}"]


def test_this_machine_only_by_a_switch(office, program, receiver):
    made(program.create("webhooks", "webhook", {"url": receiver.url}))
    office.settings.webhook_loopback = False

    assert list(faults(program.create("webhooks", "webhook", {"url": receiver.url}))) == ["/data/attributes/url"]
    program.create("stages", "stage", {"name": "X"})
    program.update("prospects", "prospect", 1, {"title": "CEO"})
    assert delivered(office, receiver) == []
    assert office.webhooks.deliveries[-1].outcome == "private address"


# Delivering


def test_created_tells_what_was_set(office, program, receiver):
    subscribe(program, receiver.url, "prospect", "created")

    made(program.create("prospects", "prospect", {"firstName": "Ola"}, account=("account", 1)))

    (only,) = delivered(office, receiver)
    assert only.headers["content-type"] == "application/vnd.api+json"
    assert set(only.document) == {"data", "meta"}
    data, meta = only.document["data"], only.document["meta"]
    assert (data["type"], data["attributes"]["firstName"]) == ("prospect", "Ola")
    assert None not in data["attributes"].values()
    assert data["relationships"]["account"] == {"type": "account", "id": 1}
    assert meta.keys() == {"eventName", "deliveredAt"}
    assert re.fullmatch(r"[\d-]+T[\d:]+\.\d{3}\+00:00", meta["deliveredAt"])


def test_updated_tells_what_changed_and_version_two_what_was(office, program, receiver):
    subscribe(program, receiver.url, "prospect", "updated", payloadVersion=2)

    made(program.update("prospects", "prospect", 1, {"title": "CFO"}, owner=("user", 2)), 200)

    (only,) = delivered(office, receiver)
    document = only.document
    stamp = document["data"]["attributes"].pop("updatedAt")
    assert datetime.fromisoformat(stamp)
    assert document["data"] == {
        "type": "prospect",
        "id": 1,
        "attributes": {"title": "CFO"},
        "relationships": {"owner": {"type": "user", "id": 2}, "updater": {"type": "user", "id": 1}},
    }
    assert document["beforeUpdate"]["attributes"]["title"] is None
    assert document["beforeUpdate"]["relationships"]["owner"] == {"type": "user", "id": 1}
    assert document["meta"]["actor"] == {"type": "User", "id": 1}


def test_cleared_relationships_are_told_as_null(office, program, receiver):
    subscribe(program, receiver.url, "prospect", "updated", payloadVersion=2)

    made(program.update("prospects", "prospect", 1, owner=None, assignedUsers=[("user", 2)]), 200)

    (only,) = delivered(office, receiver)
    related = only.document["data"]["relationships"]
    assert (related["owner"], related["assignedUsers"]) == (None, [{"type": "user", "id": 2}])
    assert only.document["beforeUpdate"]["relationships"].items() >= {"assignedUsers": None}.items()


def test_destroyed_tells_all_there_was(office, program, receiver):
    subscribe(program, receiver.url, "prospect", "destroyed")

    program.send("DELETE", "/prospects/1")

    (only,) = delivered(office, receiver)
    assert only.document["data"]["attributes"].items() >= {"firstName": "Sally", "externalId": "P-1"}.items()


def test_relationships_may_be_wrapped(office, program, receiver):
    """Observed flat by one client; the vendor shows none."""
    office.settings.webhook_relationships = "wrapped"
    subscribe(program, receiver.url, "prospect", "updated")

    program.update("prospects", "prospect", 1, owner=("user", 2))

    (only,) = delivered(office, receiver)
    assert only.document["data"]["relationships"]["owner"] == {"data": {"type": "user", "id": 2}}


def enroll(program, sequence=2):
    """Add a prospect to a sequence of calls; return the enrollment and its task."""
    state = made(
        program.create(
            "sequenceStates",
            "sequenceState",
            prospect=("prospect", 1),
            sequence=("sequence", sequence),
            mailbox=("mailbox", 1),
        )
    )
    return state["id"], state["relationships"]["activeStepTasks"]["data"][0]["id"]


@pytest.mark.parametrize(
    ("beside", "wanted"),
    [("beside", ["task.updated", "task.completed"]), ("instead", ["task.completed"])],
)
def test_completing_is_an_update_and_more(office, program, receiver, beside, wanted):
    """Whether a webhook for everything gets both is not documented."""
    office.settings.specific_events = beside
    subscribe(program, receiver.url, "task")

    made(program.act("/tasks/1/actions/markComplete"), 200)

    assert [each.event for each in delivered(office, receiver)] == wanted


@pytest.mark.parametrize(
    ("event", "times"),
    [
        ("task.completed", 2),
        ("sequenceState.advanced", 1),
        ("sequenceState.finished", 1),
        ("sequence.updated", 2),
        ("call.created", 0),
        ("task.destroyed", 0),
    ],
)
def test_only_what_was_asked_for(office, program, receiver, event, times):
    """Two steps of a sequence: advanced at the first, finished at the second."""
    subscribe(program, receiver.url, *event.split("."))
    program.create("sequenceSteps", "sequenceStep", {"stepType": "task", "interval": 0}, sequence=("sequence", 2))
    state, first = enroll(program)
    made(program.act(f"/tasks/{first}/actions/advance"), 200)
    (second,) = program.get(f"/sequenceStates/{state}")["relationships"]["activeStepTasks"]["data"]
    made(program.act(f"/tasks/{second['id']}/actions/markComplete"), 200)

    assert [each.event for each in delivered(office, receiver)] == [event] * times


def test_what_happens_without_the_api_is_told_too(office, program, receiver):
    """Mail is opened and answered, records are removed, by people and not by programs."""
    subscribe(program, receiver.url, "mailing")
    for attributes in (
        {"state": "scheduled"},
        {"state": "delivered", "deliveredAt": "2026-01-05T10:00:00.000Z"},
        {"state": "opened", "deliveredAt": "2026-01-05T10:00:00.000Z", "openedAt": "2026-01-05T11:00:00.000Z"},
    ):
        office.put(resource("mailing", 500, attributes))
    office.remove("mailing", 500)

    assert [each.event.removeprefix("mailing.") for each in delivered(office, receiver)] == [
        *("created", "updated", "delivered", "updated", "opened", "destroyed")
    ]


def test_write_only_values_are_not_told(office, receiver):
    """Mailboxes have no webhooks; a user's job role does."""
    program = Program(office)
    subscribe(program, receiver.url, "user")

    made(program.create("users", "user", {"email": "cleo@example.com", "jobRoleByName": "SDR"}))

    (only,) = delivered(office, receiver)
    assert "jobRoleByName" not in only.document["data"]["attributes"]


def test_inactive_and_deleted_webhooks_hear_nothing(office, program, receiver):
    silent = subscribe(program, receiver.url, active=False)["id"]
    gone = subscribe(program, receiver.url)["id"]
    program.send("DELETE", f"/webhooks/{gone}")
    program.update("accounts", "account", 1, {"domain": "acme.example"})
    assert delivered(office, receiver) == []

    made(program.update("webhooks", "webhook", silent, {"active": True}), 200)
    program.update("accounts", "account", 1, {"domain": "acme.test"})
    assert [each.event for each in delivered(office, receiver)] == ["account.updated"]


# Signing


def test_signed_only_with_a_secret(office, program, receiver):
    """Lower-case hexadecimal HMAC-SHA256 of the bytes as sent; a UUID and the cleanup token come with each."""
    first = subscribe(program, receiver.url, "account", secret="s3cret")
    subscribe(program, receiver.url, "prospect")

    program.update("accounts", "account", 1, {"domain": "acmé.example"})
    program.update("prospects", "prospect", 1, {"title": "CEO"})

    signed, unsigned = delivered(office, receiver)
    wanted = hmac.new(b"s3cret", signed.body, hashlib.sha256).hexdigest()
    assert signed.headers["outreach-webhook-signature"] == wanted
    assert "outreach-webhook-signature" not in unsigned.headers
    assert signed.headers["outreach-webhook-cleanup-token"] == first["attributes"]["cleanupToken"]
    ids = {each.headers["outreach-webhook-id"] for each in (signed, unsigned)}
    assert len(ids) == 2


def test_cleaning_up_without_access(office, program):
    """With the token that each delivery carries and no other; how it is passed is not documented."""
    new = subscribe(program, "https://hooks.example.com/x")
    address, token = f"{office.base_url}/webhooks/cleanup", new["attributes"]["cleanupToken"]

    wrong = requests.post(address, headers={"outreach-webhook-cleanup-token": "guessed"}, timeout=5)
    right = requests.post(address, headers={"outreach-webhook-cleanup-token": token}, timeout=5)

    assert error(wrong) == (404, "resourceNotFound")
    assert right.status_code == 204
    assert program.send("GET", f"/webhooks/{new['id']}").status_code == 404


# The whole of it


def test_batches_and_imports_tell_of_each_record(office, program, receiver):
    subscribe(program, receiver.url)
    path = "/batches/actions/prospectsAddTags?actionParams[skipConfirmation]=true"
    made(program.send("POST", path, {"data": {"attributes": {"ids": [1, 2], "tags": ["vip"]}}}), 200)
    records = [{"type": "account", "id": 2, "attributes": {"name": "Birch & Co"}}]
    given = {"fileName": "x", "dupeMethod": "overwrite", "records": records}
    program.send("POST", "/imports/actions/bulkUpsert", {"data": {"attributes": given}})
    office.run_jobs()

    assert [each.event for each in delivered(office, receiver)] == [
        "import.created",
        "prospect.updated",
        "prospect.updated",
        "account.updated",
        "import.finished",
    ]


def test_deliveries_end_with_the_sandbox(receiver):
    """What was queued is sent before it stops."""
    with Sandbox([resource("user", 1), resource("account", 1, {"name": "Acme"})]) as running:
        program = Program(running)
        subscribe(program, receiver.url)
        for number in range(20):
            made(program.update("accounts", "account", 1, {"name": f"Acme {number}"}), 200)

    assert receiver.events == ["account.updated"] * 20
    assert running.failures == ()
