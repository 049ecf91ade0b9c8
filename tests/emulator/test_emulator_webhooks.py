"""Webhooks: what may be asked for, what is delivered, and what becomes of those that cannot be reached."""

import hashlib
import hmac
import queue
import re
import socket
from datetime import datetime

import pytest
import requests
from receiver import Receiver
from small_organisation import error, resource
from writing_requests import Program, faults, made

from outreach_frames.emulator import Sandbox


@pytest.fixture
def receiver():
    """Return a receiver that takes everything."""
    with Receiver() as running:
        yield running


def subscribe(program, url, resource_="*", action="*", **more):
    """Create a webhook."""
    return made(program.create("webhooks", "webhook", {"url": url, "resource": resource_, "action": action, **more}))


def delivered(office, receiver):
    """Return what a receiver has got once everything has been sent."""
    assert office.courier.flush(timeout=10)
    return receiver.received


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
    assert office.courier.deliveries[-1].outcome == "private address"


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


def enrol(program, sequence=2):
    """Add a prospect to a sequence of calls; return the enrolment and its task."""
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
    state, first = enrol(program)
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


# Trying again


@pytest.mark.parametrize("status", [200, 302, 404, 429, 500])
def test_any_answer_counts_as_delivered(office, program, status):
    """Errors are not tried again, redirects not followed."""
    with Receiver() as elsewhere, Receiver(status, elsewhere.url) as answering:
        subscribe(program, answering.url, "account")
        program.update("accounts", "account", 1, {"domain": "acme.example"})
        assert len(delivered(office, answering)) == 1
        assert elsewhere.received == []
        (delivery,) = office.courier.deliveries[-1:]
        assert (delivery.outcome, delivery.status, delivery.attempts) == ("delivered", status, 1)


def free_port():
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_four_attempts_a_second_apart_if_nobody_answers(office, program, monkeypatch):
    """Then it is lost; the webhook stays as it is."""
    pauses = []
    monkeypatch.setattr(office.courier, "wait", pauses.append)
    webhook = subscribe(program, f"http://127.0.0.1:{free_port()}/hook", "account")["id"]

    program.update("accounts", "account", 1, {"domain": "acme.example"})
    assert office.courier.flush(timeout=10)

    delivery = office.courier.deliveries[-1]
    assert (delivery.outcome, delivery.attempts, delivery.status) == ("failed", 4, None)
    assert pauses == [1.0, 1.0, 1.0]
    assert program.get(f"/webhooks/{webhook}")["attributes"]["disabledUntil"] is None


def test_a_receiver_that_comes_back_gets_it(office, program, monkeypatch):
    """Nothing is lost by a short outage."""
    port = free_port()
    subscribe(program, f"http://127.0.0.1:{port}/hook", "account")
    back = queue.SimpleQueue()
    monkeypatch.setattr(office.courier, "wait", lambda _: back.put(socket.create_server(("127.0.0.1", port))))
    program.update("accounts", "account", 1, {"domain": "acme.example"})

    with back.get(timeout=10) as listening, listening.accept()[0] as connection:
        assert connection.recv(4) == b"POST"
        assert office.courier.flush(timeout=0) is False
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        assert office.courier.flush(timeout=10)
    assert (office.courier.deliveries[-1].outcome, office.courier.deliveries[-1].attempts) == ("delivered", 2)


def test_delivering_again_sends_the_same_bytes(office, program, receiver):
    """As after an answer that was lost: a receiver must see through it."""
    subscribe(program, receiver.url, "account", secret="s3cret")
    program.update("accounts", "account", 1, {"domain": "acme.example"})
    (first,) = delivered(office, receiver)

    office.courier.redeliver(office.courier.deliveries[-1])

    assert receiver.received[1].body == first.body
    assert receiver.received[1].headers == first.headers


def test_no_other_machine_is_ever_asked(office, program):
    """The seeded organisation has webhooks too."""
    subscribe(program, "https://hooks.example.com/x", "account")

    program.update("accounts", "account", 1, {"domain": "acme.example"})
    assert office.courier.flush(timeout=10)

    assert office.courier.deliveries[-1].outcome == "withheld"


# Suspending


@pytest.mark.parametrize(
    ("url", "seconds"), [("https://hooks.invalid/x", 60), ("https://10.0.0.5/x", 3_600), ("https://[fd00::1]/x", 3_600)]
)
def test_unreachable_webhooks_are_suspended(office, program, url, seconds):
    """A minute for a name that does not resolve, an hour for a private address; meanwhile nothing is sent."""
    webhook = subscribe(program, url, "account")["id"]

    def change(domain):
        program.update("accounts", "account", 1, {"domain": domain})
        assert office.courier.flush(timeout=10)
        return len([each for each in office.courier.deliveries if each.webhook == webhook])

    assert change("a.example") == 1
    suspended = program.get(f"/webhooks/{webhook}")["attributes"]
    assert suspended["disabledReason"]
    assert suspended["active"] is True
    since, until = (datetime.fromisoformat(suspended[name]) for name in ("disabledSince", "disabledUntil"))
    assert (until - since).total_seconds() == seconds
    assert change("b.example") == 1

    office.advance(seconds + 1)
    assert change("c.example") == 2
    again = program.get(f"/webhooks/{webhook}")["attributes"]
    assert again["disabledSince"] == suspended["disabledSince"]
    assert again["disabledUntil"] > suspended["disabledUntil"]

    office.advance(8 * 86_400)
    assert change("d.example") == 3
    assert program.get(f"/webhooks/{webhook}")["attributes"]["active"] is False
    office.advance(8 * 86_400)
    assert change("e.example") == 3


def test_any_update_ends_a_suspension(office, program, receiver):
    """As the schema says of each of the three attributes."""
    webhook = subscribe(program, "https://hooks.invalid/x", "account")["id"]
    program.update("accounts", "account", 1, {"domain": "a.example"})
    assert office.courier.flush(timeout=10)
    assert program.get(f"/webhooks/{webhook}")["attributes"]["disabledReason"]

    changed = made(program.update("webhooks", "webhook", webhook, {"url": receiver.url}), 200)["attributes"]

    assert [changed[f"disabled{each}"] for each in ("Reason", "Since", "Until")] == [None] * 3
    program.update("accounts", "account", 1, {"domain": "b.example"})
    assert len(delivered(office, receiver)) == 1


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
