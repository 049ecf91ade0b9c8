"""Prospects in sequences: who may be added, how an enrollment moves, what its steps make."""

import pytest

from tests.sandbox.small_organization import resource
from tests.sandbox.writing_requests import faults, made

TO_PROSPECT, TO_SEQUENCE = "/data/relationships/prospect", "/data/relationships/sequence"


def enroll(program, prospect=1, sequence=1, mailbox=1):
    """Ask to add a prospect to a sequence."""
    return program.create(
        "sequenceStates",
        "sequenceState",
        prospect=("prospect", prospect),
        sequence=("sequence", sequence),
        mailbox=("mailbox", mailbox),
    )


def rules(office, sequence, **attributes):
    """Give a sequence a ruleset of its own."""
    number = 10 + sequence
    office.put(resource("ruleset", number, {"name": "Own", **attributes}))
    (stored,) = [each for each in office.store.records("sequence") if each.id == sequence]
    office.put(
        resource("sequence", sequence, stored.attributes, ruleset=("ruleset", number)),
    )


def change(office, type_, id_, **attributes):
    """Change attributes of a record behind the API's back."""
    record = office.store.find(type_, id_)
    office.put(resource(type_, id_, record.attributes | attributes, **record.relationships))


def test_automatic_mail_of_the_first_step_is_scheduled(office, program):
    """Words of the step's template, to be sent by the mailbox's user; the counter of what is scheduled grows."""
    state = made(enroll(program))

    assert state["attributes"].items() >= {"state": "active", "scheduleCount": 1, "deliverCount": 0}.items()
    assert state["relationships"]["sequenceStep"]["data"] == {"type": "sequenceStep", "id": 1}
    assert state["relationships"]["user"]["data"] == {"type": "user", "id": 1}
    assert state["relationships"]["account"]["data"] == {"type": "account", "id": 1}
    (mailing,) = state["relationships"]["activeStepMailings"]["data"]
    mailing = program.get(f"/mailings/{mailing['id']}")
    wanted = {"state": "scheduled", "mailingType": "sequence", "subject": "Hello", "mailboxAddress": "ana@example.com"}
    assert mailing["attributes"].items() >= wanted.items()
    assert mailing["attributes"]["scheduledAt"] == state["attributes"]["createdAt"]
    assert program.get("/prospects/1")["relationships"]["activeSequenceStates"]["data"] == [
        {"type": "sequenceState", "id": state["id"]}
    ]
    assert office.store.find("sequence", 1).attributes["lastUsedAt"] == state["attributes"]["createdAt"]


def test_call_of_the_first_step_is_a_task(program):
    """Of the user who owns the mailbox, created by the step."""
    state = made(enroll(program, sequence=2, mailbox=2))

    (task,) = state["relationships"]["activeStepTasks"]["data"]
    task = program.get(f"/tasks/{task['id']}")
    assert (
        task["attributes"].items()
        >= {"taskType": "sequence_step_call", "action": "call", "state": "incomplete"}.items()
    )
    linked = {name: task["relationships"][name]["data"] for name in ("owner", "creator", "subject", "sequenceState")}
    assert linked == {
        "owner": {"type": "user", "id": 2},
        "creator": {"type": "sequenceStep", "id": 4},
        "subject": {"type": "prospect", "id": 1},
        "sequenceState": {"type": "sequenceState", "id": state["id"]},
    }


@pytest.mark.parametrize(("unit", "seconds"), [("seconds", 120), ("minutes", 7_200)])
def test_intervals_are_seconds_or_minutes(office, program, unit, seconds):
    """The schema says the one, the guide the other; until then the task is pending."""
    office.settings.interval_unit = unit
    change(office, "sequenceStep", 4, interval=120)
    (task,) = made(enroll(program, sequence=2))["relationships"]["activeStepTasks"]["data"]
    path = f"/tasks/{task['id']}"
    assert program.get(path)["attributes"]["state"] == "pending"

    office.advance(seconds - 10)
    assert program.get(path)["attributes"]["state"] == "pending"
    office.advance(11)
    assert program.get(path)["attributes"]["state"] == "incomplete"


def test_steps_of_date_sequences_are_due_on_their_date(office, program):
    change(office, "sequenceStep", 4, interval=None, date="2099-05-01")

    (task,) = made(enroll(program, sequence=2))["relationships"]["activeStepTasks"]["data"]

    assert program.get(f"/tasks/{task['id']}")["attributes"]["dueAt"] == "2099-05-01T00:00:00.000Z"


@pytest.mark.parametrize("missing", ["prospect", "sequence", "mailbox"])
def test_prospect_sequence_and_mailbox_are_needed(office, program, missing):
    """Also where other required members are not checked."""
    named = {"prospect": ("prospect", 1), "sequence": ("sequence", 1), "mailbox": ("mailbox", 1)}
    del named[missing]

    for office.settings.required_members in (True, False):
        answer = program.create("sequenceStates", "sequenceState", **named)
        assert faults(answer) == {f"/data/relationships/{missing}": f"{missing.capitalize()} must exist."}


def test_disabled_sequences_take_nobody(office, program):
    """Presumed by everyone, said by nobody."""
    made(program.act("/sequences/1/actions/deactivate"), 200)

    assert faults(enroll(program)) == {TO_SEQUENCE: "Sequence must be enabled."}
    office.settings.enroll_in_disabled = True
    assert made(enroll(program))


def test_sequences_without_steps_take_nobody(program):
    """Nor can they be activated."""
    empty = made(program.create("sequences", "sequence", {"name": "X", "sequenceType": "date"}))["id"]

    assert "no steps" in faults(program.act(f"/sequences/{empty}/actions/activate"))[None]
    assert TO_SEQUENCE in faults(enroll(program, sequence=empty))


@pytest.mark.parametrize(
    ("attribute", "sequence", "refused"),
    [
        ("optedOut", 1, True),
        ("optedOut", 2, True),
        ("emailOptedOut", 1, True),
        ("emailOptedOut", 2, False),
        ("callOptedOut", 2, True),
    ],
)
def test_opt_outs_are_respected(office, program, attribute, sequence, refused):
    """Those of a channel where the sequence uses it; transactional sequences do not ask."""
    made(program.update("prospects", "prospect", 1, {attribute: True}), 200)

    answer = enroll(program, sequence=sequence)

    assert answer.status_code == (422 if refused else 201)
    if refused:
        assert "opted out" in faults(answer)[TO_PROSPECT]
        change(office, "sequence", sequence, transactional=True)
        assert made(enroll(program, sequence=sequence))


@pytest.mark.parametrize(
    ("attribute", "action"), [("emailOptedOut", "emailOptOutAction"), ("callOptedOut", "callOptOutAction")]
)
def test_rulesets_can_let_channel_opt_outs_in(office, program, attribute, action):
    """Their values are not documented; the sandbox knows one."""
    made(program.update("prospects", "prospect", 1, {attribute: True}), 200)
    assert TO_PROSPECT in faults(enroll(program))

    rules(office, 1, **{action: "allow"})

    assert made(enroll(program))


def test_somebody_without_an_address_gets_no_mail(office, program):
    """Into a sequence of calls she may go, unless the API is stricter than that."""
    nobody = {TO_PROSPECT: "Prospect has no deliverable email address."}
    assert faults(enroll(program, prospect=3, sequence=1)) == nobody
    office.settings.enroll_without_address = "never"
    assert faults(enroll(program, prospect=3, sequence=2)) == nobody
    office.settings.enroll_without_address = "always"
    assert made(enroll(program, prospect=3, sequence=1))


@pytest.mark.parametrize("attributes", [{"status": "bounced"}, {"unsubscribedAt": "2026-01-01T00:00:00Z"}])
def test_addresses_that_do_not_deliver_are_none(office, program, attributes):
    change(office, "emailAddress", 1, **attributes)

    assert faults(enroll(program)) == {TO_PROSPECT: "Prospect has no deliverable email address."}


@pytest.mark.parametrize(
    ("permitted", "active", "ended"),
    [
        ("disallow", 422, 422),
        (None, 422, 422),
        ("only_if_inactive", 422, 201),
        ("onlyIfActive", 422, 201),
        ("allow", 201, 201),
    ],
)
def test_duplicates_are_what_the_ruleset_permits(office, program, permitted, active, ended):
    """While the first enrollment is active, and after it has ended; not at all is the default."""
    rules(office, 1, permitDuplicateProspects=permitted)
    first = made(enroll(program))["id"]

    again = enroll(program)
    assert again.status_code == active
    if active == 422:
        assert faults(again) == {TO_PROSPECT: "Prospect is already active in this sequence."}
    made(program.act(f"/sequenceStates/{first}/actions/finish"), 200)
    assert enroll(program).status_code == ended


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        ("none", "none", 201),
        ("none", "all_sequences", 422),
        ("all_sequences", "none", 422),
        ("exclusive_sequences", "exclusive_sequences", 422),
        ("exclusive_sequences", "none", 201),
        ("none", "exclusive_sequences", 201),
    ],
)
def test_exclusivity_looks_at_both_sequences(office, program, first, second, status):
    """As the schema describes it: all sequences, or only those that are exclusive themselves."""
    rules(office, 1, sequenceExclusivity=first)
    rules(office, 2, sequenceExclusivity=second)
    one = made(enroll(program, sequence=1))["id"]

    assert enroll(program, sequence=2).status_code == status

    made(program.act(f"/sequenceStates/{one}/actions/finish"), 200)
    if status == 422:
        assert made(enroll(program, sequence=2))


def test_somebody_just_contacted_is_left_alone(office, program):
    rules(office, 2, minimumProspectTouchedInterval=3_600)
    made(program.create("calls", "call", {"direction": "outbound", "outcome": "Answered"}, prospect=("prospect", 1)))

    assert "too recently" in faults(enroll(program, sequence=2))[TO_PROSPECT]
    office.advance(3_700)
    assert made(enroll(program, sequence=2))


# Moves


LEGAL = {
    ("active", "pause"): "paused",
    ("active", "finish"): "finished",
    ("paused", "resume"): "active",
    **{(state, "finish"): "finished" for state in ("paused", "pending", "failed", "bounced", "disabled")},
}


@pytest.mark.parametrize(
    "state", ["pending", "active", "paused", "disabled", "failed", "bounced", "opted_out", "finished"]
)
@pytest.mark.parametrize("move", ["pause", "resume", "finish"])
def test_only_legal_moves_are_made(office, program, state, move):
    """Everything else is refused and changes nothing."""
    id_ = made(enroll(program))["id"]
    change(office, "sequenceState", id_, state=state)

    answer = program.act(f"/sequenceStates/{id_}/actions/{move}")

    if (state, move) in LEGAL:
        assert made(answer, 200)["attributes"]["state"] == LEGAL[state, move]
    else:
        assert state in faults(answer)[None]
        assert program.get(f"/sequenceStates/{id_}")["attributes"]["state"] == state


def test_finish_may_be_for_active_ones_only(office, program):
    """Its description says 'finishes an active sequence state'."""
    office.settings.finish_from = "active"
    id_ = made(enroll(program))["id"]
    made(program.act(f"/sequenceStates/{id_}/actions/pause"), 200)

    assert faults(program.act(f"/sequenceStates/{id_}/actions/finish"))
    made(program.act(f"/sequenceStates/{id_}/actions/resume"), 200)
    assert made(program.act(f"/sequenceStates/{id_}/actions/finish"), 200)


def test_moves_are_stamped(office, program):
    id_ = made(enroll(program))["id"]
    office.advance(60)
    paused = made(program.act(f"/sequenceStates/{id_}/actions/pause"), 200)["attributes"]
    office.advance(60)
    resumed = made(program.act(f"/sequenceStates/{id_}/actions/resume"), 200)["attributes"]

    assert paused["stateChangedAt"] > paused["createdAt"]
    assert paused["pauseReason"] == "manual"
    assert resumed["stateChangedAt"] == resumed["activeAt"] > paused["stateChangedAt"]
    assert resumed["pauseReason"] is None


def test_finishing_drops_what_was_planned(program):
    """The mail that was to go out, the task that was to be done."""
    mailed = made(enroll(program, sequence=1))
    called = made(enroll(program, sequence=2))
    (mailing,) = mailed["relationships"]["activeStepMailings"]["data"]
    (task,) = called["relationships"]["activeStepTasks"]["data"]

    for state in (mailed, called):
        made(program.act(f"/sequenceStates/{state['id']}/actions/finish"), 200)

    assert program.send("GET", f"/mailings/{mailing['id']}").status_code == 404
    assert program.send("GET", f"/tasks/{task['id']}").status_code == 404


def test_opting_out_ends_enrollments(office, program):
    """All of them, but for transactional sequences."""
    change(office, "sequence", 2, transactional=True)
    ended, kept = made(enroll(program, sequence=1))["id"], made(enroll(program, sequence=2))["id"]

    made(program.update("prospects", "prospect", 1, {"optedOut": True}), 200)

    assert program.get(f"/sequenceStates/{ended}")["attributes"]["state"] == "opted_out"
    assert program.get(f"/sequenceStates/{kept}")["attributes"]["state"] == "active"


def test_deleting_an_enrollment_takes_along_its_plans(program):
    state = made(enroll(program))
    (mailing,) = state["relationships"]["activeStepMailings"]["data"]

    assert program.send("DELETE", f"/sequenceStates/{state['id']}").status_code == 204

    assert program.send("GET", f"/mailings/{mailing['id']}").status_code == 404
    assert made(enroll(program))


@pytest.mark.parametrize("path", ["/sequenceStates/{}/actions/finish", "/sequences/1/actions/activate"])
def test_actions_refuse_parameters_they_do_not_take(program, path):
    """400, by the vendor's own words."""
    id_ = made(enroll(program))["id"]

    answer = program.act(path.format(id_), reason="bored")

    assert answer.status_code == 400
    assert "actionParams[reason]" in answer.json()["errors"][0]["detail"]


def test_switching_sequences_on_and_off(program):
    """Twice is no mistake; the stamp is when it was enabled, none while it is not."""
    off = made(program.act("/sequences/1/actions/deactivate"), 200)["attributes"]
    still_off = made(program.act("/sequences/1/actions/deactivate"), 200)["attributes"]
    on = made(program.act("/sequences/1/actions/activate"), 200)["attributes"]

    assert (off["enabled"], off["enabledAt"]) == (False, None)
    assert still_off == off
    assert (on["enabled"], on["enabledAt"]) == (True, on["updatedAt"])
