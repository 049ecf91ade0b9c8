"""Actions on one record."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from outreach_frames import catalog
from outreach_frames._sandbox.errors import invalid
from outreach_frames._sandbox.state import Message
from outreach_frames._sandbox.store import Record
from outreach_frames._sandbox.writes import batches, enrollments
from outreach_frames._sandbox.writes.enrollments import complete_task, is_step_task, require_open_task
from outreach_frames._sandbox.writes.unit_of_work import OPEN, UnitOfWork, instant, stamp

Parameters = Mapping[str, str]
URGENT = frozenset({"urgent", "high"})


def _advance(editor: UnitOfWork, task: Record, _: Parameters) -> Record:
    if not is_step_task(task):
        raise invalid("Task cannot be advanced: it belongs to no sequence step.")
    return complete_task(editor, task)


def _deliver(editor: UnitOfWork, task: Record, _: Parameters) -> Record:
    require_open_task(task)
    mailing = editor.related(task, "mailing") or editor.related(task, "mailings")
    if mailing is None or mailing.attributes.get("state") not in OPEN["mailing"]:
        raise invalid("Task has no mailing that could be delivered.")
    editor.change(mailing, {"state": "scheduled", "scheduledAt": editor.stamp, "stateChangedAt": editor.stamp})
    return editor.current(task)


def _mark_complete(editor: UnitOfWork, task: Record, given: Parameters) -> Record:
    done = complete_task(editor, task, action=given.get("completionAction"))
    _note(editor, done, given.get("completionNote"))
    return editor.current(done)


def _snooze(editor: UnitOfWork, task: Record, given: Parameters) -> Record:
    """Put a task off, by a day after the later of now and its present time unless a time is given."""
    require_open_task(task)
    present = task.attributes.get("dueAt")
    later = max(editor.now, instant(present)) if present else editor.now
    due = _moment(given, "dueAt") if "dueAt" in given else later + timedelta(days=1)
    urgent = _urgent(editor) if given.get("markAsUrgent") == "true" else None
    return editor.change(task, {"dueAt": stamp(due)}, {"taskPriority": urgent.identifier} if urgent else {})


def _urgent(editor: UnitOfWork) -> Record | None:
    """Return the priority that an urgent task gets; how the live API marks one is not documented."""
    priorities = editor.store.records("taskPriority")
    return next((each for each in priorities if str(each.attributes.get("name")).casefold() in URGENT), None)


def _reschedule(editor: UnitOfWork, task: Record, given: Parameters) -> Record:
    require_open_task(task)
    return editor.change(task, {"dueAt": stamp(_moment(given, "dueAt"))})


def _reassign(editor: UnitOfWork, task: Record, given: Parameters) -> Record:
    return editor.change(task, {}, {"owner": _named(editor, given, "ownerId", "user").identifier})


def _update_note(editor: UnitOfWork, task: Record, given: Parameters) -> Record:
    return editor.change(task, {"note": given.get("note")})


def _associate(editor: UnitOfWork, task: Record, given: Parameters) -> Record:
    """The rule is named, or the opportunity itself: the documents describe the parameter both ways."""
    wanted = given.get("opportunityAssociation", "")
    if wanted.isdecimal():
        opportunity = _named(editor, given, "opportunityAssociation", "opportunity")
        return editor.change(task, {}, {"opportunity": opportunity.identifier})
    if wanted not in catalog.load().types["task"].attributes["opportunityAssociation"].enum:
        raise invalid("Opportunity association is not included in the list.")
    return editor.change(task, {"opportunityAssociation": wanted})


def _log_meeting(editor: UnitOfWork, task: Record, given: Parameters) -> Record:
    if task.attributes.get("action") != "in_person":
        raise invalid("Task is not to be done in person.")
    chosen = {"taskDisposition": _named(editor, given, "taskDispositionId", "taskDisposition")}
    if "taskPurposeId" in given:
        chosen["taskPurpose"] = _named(editor, given, "taskPurposeId", "taskPurpose")
    done = complete_task(editor, task, relationships={name: record.identifier for name, record in chosen.items()})
    _note(editor, done, given.get("completionNote"))
    return editor.current(done)


TASK_ACTIONS: Mapping[str, Callable[[UnitOfWork, Record, Parameters], Record]] = {
    "advance": _advance,
    "deliver": _deliver,
    "logMeetInPerson": _log_meeting,
    "markComplete": _mark_complete,
    "reassignOwner": _reassign,
    "reschedule": _reschedule,
    "snooze": _snooze,
    "updateNote": _update_note,
    "updateOpportunityAssociation": _associate,
}


def _note(editor: UnitOfWork, task: Record, note: str | None) -> None:
    """Attach a note to the task's prospect, if there is one."""
    prospect = editor.related(task, "prospect")
    if note and prospect is not None:
        editor.add("prospectNote", {"message": note}, {"prospect": prospect.identifier})


def _moment(given: Parameters, name: str) -> datetime:
    try:
        return instant(given[name])
    except KeyError:
        raise invalid(f"{name} can't be blank.") from None
    except ValueError:
        raise invalid(f"{name} is not a valid datetime.") from None


def _named(editor: UnitOfWork, given: Parameters, name: str, type_name: str) -> Record:
    record = editor.find(type_name, given.get(name, ""))
    if record is None:
        raise invalid(f"{name} must name a {type_name} that exists.")
    return record


Action = Callable[[UnitOfWork, Record, Parameters], Record | None]


def _switch(*, on: bool) -> Action:
    """Return the action that enables or disables a sequence or a sequence template; twice is no mistake."""

    def switch(editor: UnitOfWork, record: Record, _: Parameters) -> Record:
        if on and record.type == "sequence" and not enrollments.steps(editor, record):
            raise invalid("Sequence cannot be activated: it has no steps.")
        if bool(record.attributes.get("enabled")) == on:
            return record
        return editor.change(record, {"enabled": on, "enabledAt": editor.stamp if on else None})

    return switch


def _test_send(editor: UnitOfWork, mailbox: Record, _: Parameters) -> Record:
    """Send a mail to the mailbox itself."""
    if mailbox.attributes.get("sendDisabled"):
        editor.change(mailbox, {"sendErroredAt": editor.stamp})
        raise invalid("Mailbox cannot send: sending is disabled.")
    user = editor.related(mailbox, "user")
    message = Message(
        kind="test", to=str(mailbox.attributes.get("email")), user=int(user.id) if user else None, at=editor.now
    )
    editor.state.outbox.append(message)
    return editor.change(mailbox, {"sendSuccessAt": editor.stamp, "sendErroredAt": None})


def _test_sync(editor: UnitOfWork, mailbox: Record, _: Parameters) -> Record:
    if mailbox.attributes.get("syncDisabled"):
        editor.change(mailbox, {"syncErroredAt": editor.stamp})
        raise invalid("Mailbox cannot be synchronized: synchronizing is disabled.")
    done = dict.fromkeys(("syncSuccessAt", "syncFinishedAt"), editor.stamp)
    return editor.change(mailbox, done | {"syncErroredAt": None})


def _ews(_: UnitOfWork, mailbox: Record, __: Parameters) -> None:
    """Link or unlink an Exchange master account, which answers with an empty object."""
    if mailbox.attributes.get("sendMethod") != "ews" and mailbox.attributes.get("syncMethod") != "ews":
        raise invalid("Mailbox is not connected through EWS.")


ACTIONS: Mapping[str, Mapping[str, Action]] = {
    "batch": {"cancel": batches.cancel, "confirm": batches.confirm},
    "mailbox": {
        "linkEwsMasterAccount": _ews,
        "testSend": _test_send,
        "testSync": _test_sync,
        "unlinkEwsMasterAccount": _ews,
    },
    "sequence": {"activate": _switch(on=True), "deactivate": _switch(on=False)},
    "sequenceState": {
        "finish": lambda editor, state, _: enrollments.finish(editor, state),
        "pause": lambda editor, state, _: enrollments.pause(editor, state),
        "resume": lambda editor, state, _: enrollments.resume(editor, state),
    },
    "sequenceTemplate": {"activate": _switch(on=True), "deactivate": _switch(on=False)},
    "task": TASK_ACTIONS,
}


def act(editor: UnitOfWork, record: Record, name: str, parameters: Parameters) -> Record | None:
    """
    Carry out an action.

    Returns
    -------
    record : Record or None
        As it is now; ``None`` where the answer is an empty object.

    Raises
    ------
    Problem
        422: it cannot be done.
    """
    return ACTIONS[record.type][name](editor, record, parameters)
