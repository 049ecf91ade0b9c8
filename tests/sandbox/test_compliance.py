"""Erasing a person: the guide's request, its odd reply, and the states of its tasks."""

from uuid import UUID

import pytest

from tests.sandbox.small_organization import resource
from tests.sandbox.writing_requests import faults

GUIDE = {
    "requester_email": "ana@example.com",
    "request_type": "Delete",
    "object_type": "Prospect",
    "request_object_email": "sally@acme.example",
}


def ask(program, **attributes):
    """Send the guide's request."""
    return program.create("complianceRequests", "complianceRequest", GUIDE | attributes)


def states(program, batch):
    """Return type and state of each task, as polling shows them."""
    found = program.get(f"/complianceRequests?filter[batchComplianceRequest]={batch}")
    return {each["attributes"]["objectType"]: each["attributes"]["state"] for each in found}


def walk(program, batch, looks):
    """Return what is seen of the prospect's task in that many looks, repetitions left out."""
    seen = [states(program, batch)["Prospect"] for _ in range(looks)]
    return [state for number, state in enumerate(seen) if number == 0 or seen[number - 1] != state]


def test_the_reply_is_no_resource(program):
    """A UUID in snake_case, without type or id."""
    answer = ask(program)

    assert answer.status_code == 201
    (data,) = answer.json().values()
    (name, uuid) = data.popitem()
    assert (name, data) == ("batch_compliance_request_id", {})
    assert str(UUID(uuid)) == uuid
    assert states(program, uuid) == {"Prospect": "pending", "Recipient": "pending"}
    assert program.get("/complianceRequests?filter[batchComplianceRequest]=0") == []


@pytest.mark.parametrize(
    ("words", "every", "path"),
    [
        ("guide", 0, ["pending", "queued", "running", "done"]),
        ("guide", 1, ["pending", "queued", "running", "temporary_failure", "queued", "running", "done"]),
        ("schema", 0, ["pending", "running", "done"]),
        ("schema", 1, ["pending", "running", "failed", "running", "done"]),
    ],
)
def test_tasks_run_through_their_states(office, program, words, every, path):
    """One for each look; a failure is temporary, and only ``done`` is final."""
    office.settings.compliance_states, office.settings.compliance_failures = words, every

    batch = ask(program).json()["data"]["batch_compliance_request_id"]

    assert walk(program, batch, len(path) + 2) == path


def test_every_third_task_fails_once(program):
    """By its number, so that it is the same ones every time."""
    for _ in range(3):
        ask(program, request_object_email="nobody@acme.example")
    failed = set()
    for _ in range(8):
        for each in program.get("/complianceRequests"):
            if each["attributes"]["state"] == "temporary_failure":
                failed.add(each["id"])

    ids = [each["id"] for each in program.get("/complianceRequests")]
    assert len(ids) == 3
    assert failed == {id_ for id_ in ids if id_ % 3 == 0}
    assert failed


def test_in_the_end_the_person_is_gone(office, program):
    """With everything that was sent to her or noted about her; others stay."""
    office.put(
        resource("mailing", 700, {"subject": "Hi"}, prospect=("prospect", 1)),
        resource("event", 700, {"name": "prospect_created"}, prospect=("prospect", 1)),
        resource("recipient", 700, {"value": "Sally@acme.example"}),
    )
    batch = ask(program).json()["data"]["batch_compliance_request_id"]
    assert program.get("/prospects/1")
    office.run_jobs()

    assert states(program, batch) == {"Prospect": "done", "Recipient": "done"}
    gone = [("prospects", 1), ("calls", 1), ("emailAddresses", 1), ("prospectNotes", 1), ("mailings", 700)]
    gone += [("events", 700), ("recipients", 700)]
    assert [program.send("GET", f"/{plural}/{id_}").status_code for plural, id_ in gone] == [404] * len(gone)
    assert [each["id"] for each in program.get("/prospects")] == [2, 3]
    assert [each["attributes"]["pii"] for each in program.get("/complianceRequests")] == [{}, {}]


def test_asking_twice_does_no_harm(office, program):
    """The second request finds the prospect gone by the time it is worked on."""
    first, second = (ask(program).json()["data"]["batch_compliance_request_id"] for _ in range(2))
    office.run_jobs()

    assert states(program, first)["Prospect"] == states(program, second)["Prospect"] == "done"


def test_time_moves_requests_on_too(office, program):
    """A request is worked on whether or not anybody looks."""
    ask(program)

    office.advance(60)

    assert program.send("GET", "/prospects/1").status_code == 404


def test_addresses_nobody_has(office, program):
    """Taken, since a recipient may have it; or refused."""
    assert ask(program, request_object_email="nobody@acme.example").status_code == 201
    office.settings.compliance_unknown = "refuse"
    assert list(faults(ask(program, request_object_email="nobody@acme.example"))) == [
        "/data/attributes/request_object_email"
    ]


def test_who_asks_may_have_to_be_a_user(office, program):
    """By the guide's words; whether the API looks is not known."""
    assert ask(program, requester_email="nobody@example.com").status_code == 201
    assert ask(program, requester_email="Ana@example.com").status_code == 201
    asked = program.get("/complianceRequests")
    assert [each["attributes"]["requesterId"] for each in asked] == [None, None, 1, 1]
    assert asked[-1]["relationships"]["requester"]["data"] == {"type": "user", "id": 1}

    office.settings.compliance_requester = "user"
    assert list(faults(ask(program, requester_email="nobody@example.com"))) == ["/data/attributes/requester_email"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"requester_email": None},
        {"request_type": "Export"},
        {"object_type": "Account"},
        {"request_object_email": ""},
        {"requesterEmail": "ana@example.com"},
    ],
)
def test_what_a_request_must_say(office, program, wrong):
    """In snake_case, unlike everything else."""
    assert list(faults(ask(program, **wrong))) == [f"/data/attributes/{name}" for name in wrong]
    assert not list(office.store.records("complianceRequest"))
