"""What can be done with a task, and what follows."""

from datetime import datetime, timedelta

import pytest

from tests.sandbox.small_organization import resource
from tests.sandbox.writing_requests import faults, made


def enrolled(program, sequence=1):
    """Return the id of a new enrollment."""
    return made(
        program.create(
            "sequenceStates",
            "sequenceState",
            prospect=("prospect", 1),
            sequence=("sequence", sequence),
            mailbox=("mailbox", 1),
        )
    )["id"]


def step_task(program, state):
    """Return the task of the present step of an enrollment."""
    (task,) = program.get(f"/sequenceStates/{state}")["relationships"]["activeStepTasks"]["data"]
    return task["id"]


def new_task(program, **attributes):
    """Return the id of a new task about a prospect."""
    return made(program.create("tasks", "task", attributes, subject=("prospect", 1)))["id"]


def test_completing(office, program):
    """Who did it and when; a note is attached to the prospect."""
    id_ = new_task(program)
    office.advance(90)

    task = made(program.act(f"/tasks/{id_}/actions/markComplete", completionNote="Done and dusted"), 200)

    attributes = task["attributes"]
    assert (attributes["state"], attributes["completed"]) == ("complete", True)
    assert (
        attributes["completedAt"] == attributes["stateChangedAt"] == attributes["updatedAt"] > attributes["createdAt"]
    )
    assert task["relationships"]["completer"]["data"] == {"type": "user", "id": 1}
    notes = [each["attributes"]["message"] for each in program.get("/prospectNotes?filter[prospect][id]=1")]
    assert notes == ["Known", "Done and dusted"]


@pytest.mark.parametrize("action", ["markComplete", "deliver", "snooze", "reschedule", "advance"])
def test_what_is_complete_stays_so(program, action):
    id_ = new_task(program)
    made(program.act(f"/tasks/{id_}/actions/markComplete"), 200)

    assert faults(program.act(f"/tasks/{id_}/actions/{action}"))


@pytest.mark.parametrize(
    ("action", "state", "replied"),
    [
        ("finish_no_reply", "finished", False),
        ("finish_replied", "finished", True),
        ("anything", "active", False),
        (None, "active", False),
    ],
)
def test_completing_a_step_moves_the_enrollment(program, action, state, replied):
    """Finished, finished as replied, or (whatever else is said) on to the next step."""
    program.update("sequenceSteps", "sequenceStep", 1, {"stepType": "manual_email"})
    enrollment = enrolled(program)
    given = {"completionAction": action} if action else {}

    made(program.act(f"/tasks/{step_task(program, enrollment)}/actions/markComplete", **given), 200)

    after = program.get(f"/sequenceStates/{enrollment}")
    assert after["attributes"]["state"] == state
    assert (after["attributes"]["repliedAt"] is not None) == replied
    assert after["relationships"]["sequenceStep"]["data"]["id"] == (2 if state == "active" else 1)


def test_advancing_goes_through_all_steps(office, program):
    """Each makes its task; after the last the enrollment is finished."""
    program.update("sequenceSteps", "sequenceStep", 1, {"stepType": "manual_email"})
    enrollment = enrolled(program)
    seen = []
    for _ in range(3):
        task = step_task(program, enrollment)
        seen.append(program.get(f"/tasks/{task}")["attributes"]["taskType"])
        assert made(program.act(f"/tasks/{task}/actions/advance"), 200)["attributes"]["state"] == "complete"

    assert seen == ["sequence_step_email", "sequence_step_call", "sequence_step_task"]
    assert program.get(f"/sequenceStates/{enrollment}")["attributes"]["state"] == "finished"
    names = [event.attributes["name"] for event in office.store.records("event")]
    assert names.count("sequence_state_advanced") == 2
    assert names.count("sequence_state_finished") == 1


def test_only_step_tasks_advance(program):
    assert "no sequence step" in faults(program.act("/tasks/1/actions/advance"))[None]


def test_delivering_schedules_the_mailing(office, program):
    """Only where there is one that has not gone out."""
    id_ = new_task(program)
    assert "no mailing" in faults(program.act(f"/tasks/{id_}/actions/deliver"))[None]
    office.put(resource("mailing", 900, {"state": "drafted"}, task=("task", id_)))

    made(program.act(f"/tasks/{id_}/actions/deliver"), 200)

    mailing = program.get("/mailings/900")["attributes"]
    assert (mailing["state"], mailing["scheduledAt"]) == ("scheduled", mailing["stateChangedAt"])


def later(text, **more):
    """Return an instant that much later, as the API writes it."""
    return (datetime.fromisoformat(text) + timedelta(**more)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def test_snoozing_by_default_is_a_day_after_the_later_of_now_and_due(program):
    overdue = new_task(program, dueAt="2020-01-01T00:00:00Z")
    ahead = new_task(program, dueAt="2099-01-01T00:00:00Z")

    first = made(program.act(f"/tasks/{overdue}/actions/snooze"), 200)["attributes"]
    second = made(program.act(f"/tasks/{ahead}/actions/snooze"), 200)["attributes"]

    assert first["dueAt"] == later(first["updatedAt"], days=1)
    assert second["dueAt"] == "2099-01-02T00:00:00.000Z"


def test_snoozing_to_a_time_and_as_urgent(program):
    """What makes a task urgent is not documented; here it gets the highest priority there is."""
    answer = program.act("/tasks/1/actions/snooze", dueAt="2098-05-01T09:00:00Z", markAsUrgent="true")

    task = made(answer, 200)
    assert task["attributes"]["dueAt"] == "2098-05-01T09:00:00.000Z"
    assert task["relationships"]["taskPriority"]["data"] == {"type": "taskPriority", "id": 1}


def test_rescheduling(program):
    task = made(program.act("/tasks/1/actions/reschedule", dueAt="2098-05-01"), 200)

    assert task["attributes"]["dueAt"] == "2098-05-01T00:00:00.000Z"
    assert "blank" in faults(program.act("/tasks/1/actions/reschedule"))[None]
    assert "valid datetime" in faults(program.act("/tasks/1/actions/reschedule", dueAt="soon"))[None]


def test_changing_owner_note_and_opportunity(program):
    owner = made(program.act("/tasks/1/actions/reassignOwner", ownerId=2), 200)
    note = made(program.act("/tasks/1/actions/updateNote", note="Ring twice"), 200)
    rule = made(program.act("/tasks/1/actions/updateOpportunityAssociation", opportunityAssociation="noop"), 200)
    deal = made(program.act("/tasks/1/actions/updateOpportunityAssociation", opportunityAssociation=1), 200)

    assert owner["relationships"]["owner"]["data"] == {"type": "user", "id": 2}
    assert note["attributes"]["note"] == "Ring twice"
    assert rule["attributes"]["opportunityAssociation"] == "noop"
    assert deal["relationships"]["opportunity"]["data"] == {"type": "opportunity", "id": 1}
    assert faults(program.act("/tasks/1/actions/reassignOwner", ownerId=99))
    assert faults(program.act("/tasks/1/actions/reassignOwner"))
    assert faults(program.act("/tasks/1/actions/updateOpportunityAssociation", opportunityAssociation="latest"))


def test_logging_a_meeting_in_person(program):
    """Only tasks to be done in person, with what came of it."""
    assert "in person" in faults(program.act(f"/tasks/{new_task(program)}/actions/logMeetInPerson"))[None]
    assert faults(program.act("/tasks/1/actions/logMeetInPerson"))

    task = made(program.act("/tasks/1/actions/logMeetInPerson", taskDispositionId=1, taskPurposeId=1), 200)

    assert task["attributes"]["state"] == "complete"
    assert task["relationships"]["taskDisposition"]["data"] == {"type": "taskDisposition", "id": 1}
    assert task["relationships"]["taskPurpose"]["data"] == {"type": "taskPurpose", "id": 1}


def test_parameters_of_other_actions_are_refused(program):
    answer = program.act("/tasks/1/actions/snooze", note="later")

    assert (answer.status_code, answer.json()["errors"][0]["id"]) == (400, "actionParameter.unknown")


@pytest.mark.parametrize(
    ("action", "state"),
    [(None, "active"), ("Finish - Replied", "finished"), ("Finish", "finished"), ("Advance", "active")],
)
def test_calls_that_complete_a_step(program, action, state):
    """The call takes over the enrollment of its task; the sequence goes on as the call says."""
    enrollment = enrolled(program, sequence=2)
    made(program.create("sequenceSteps", "sequenceStep", {"stepType": "task", "interval": 0}, sequence=("sequence", 2)))
    task = step_task(program, enrollment)
    said = {"sequenceAction": action} if action else {}

    call = made(
        program.create(
            "calls",
            "call",
            {"direction": "outbound", "outcome": "Answered", **said},
            prospect=("prospect", 1),
            task={"data": {"type": "task", "id": task}, "meta": {"complete": True}},
        )
    )

    assert call["attributes"]["state"] == "completed"
    assert call["relationships"]["sequenceState"]["data"] == {"type": "sequenceState", "id": enrollment}
    assert program.get(f"/tasks/{task}")["relationships"]["call"]["data"] == {"type": "call", "id": call["id"]}
    after = program.get(f"/sequenceStates/{enrollment}")["attributes"]
    assert after["state"] == state
    assert after["callCompletedAt"] == call["attributes"]["createdAt"]


@pytest.mark.parametrize("meta", [{}, {"complete": False}, {"complete": "true"}])
def test_calls_leave_tasks_alone_unless_told(program, meta):
    id_ = new_task(program)

    made(
        program.create(
            "calls",
            "call",
            {"direction": "outbound", "outcome": "no_answer"},
            prospect=("prospect", 1),
            task={"data": {"type": "task", "id": id_}, "meta": meta},
        )
    )

    assert program.get(f"/tasks/{id_}")["attributes"]["state"] == "incomplete"


def test_mailboxes_try_whether_they_can(office, program):
    """A mail goes to the mailbox itself; one that is switched off cannot."""
    sent = made(program.act("/mailboxes/1/actions/testSend"), 200)["attributes"]
    synced = made(program.act("/mailboxes/1/actions/testSync"), 200)["attributes"]
    made(program.update("mailboxes", "mailbox", 2, {"sendDisabled": True, "syncDisabled": True}), 200)

    assert sent["sendSuccessAt"] == sent["updatedAt"]
    assert synced["syncFinishedAt"] == synced["updatedAt"]
    assert [(each.kind, each.to) for each in office.outbox] == [("test", "ana@example.com")]
    for action in ("testSend", "testSync", "linkEwsMasterAccount"):
        assert faults(program.act(f"/mailboxes/2/actions/{action}"))
    assert program.get("/mailboxes/2")["attributes"]["sendErroredAt"] is not None
