"""Actions on one record."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from outreach_frames import catalog
from outreach_frames._sandbox.errors import invalid
from outreach_frames._sandbox.state import Message
from outreach_frames._sandbox.store import Record
from outreach_frames._sandbox.writes import batches, enrollments
from outreach_frames._sandbox.writes.enrollments import complete_task, is_step_task, require_open_task
from outreach_frames._sandbox.writes.unit_of_work import OPEN_STATES, UnitOfWork, instant, stamp

_ActionParameters = Mapping[str, str]
_URGENT = frozenset({"urgent", "high"})


def _advance(unit: UnitOfWork, task: Record, _: _ActionParameters) -> Record:
    if not is_step_task(task):
        raise invalid("Task cannot be advanced: it belongs to no sequence step.")
    return complete_task(unit, task)


def _deliver(unit: UnitOfWork, task: Record, _: _ActionParameters) -> Record:
    require_open_task(task)
    mailing = unit.related(task, "mailing") or unit.related(task, "mailings")
    if mailing is None or mailing.attributes.get("state") not in OPEN_STATES["mailing"]:
        raise invalid("Task has no mailing that could be delivered.")
    unit.change(mailing, {"state": "scheduled", "scheduledAt": unit.stamp, "stateChangedAt": unit.stamp})
    return unit.current(task)


def _mark_complete(unit: UnitOfWork, task: Record, parameters: _ActionParameters) -> Record:
    done = complete_task(unit, task, action=parameters.get("completionAction"))
    _note(unit, done, parameters.get("completionNote"))
    return unit.current(done)


def _snooze(unit: UnitOfWork, task: Record, parameters: _ActionParameters) -> Record:
    """Move a task to a time, by default a day after the later of now and its due time."""
    require_open_task(task)
    present = task.attributes.get("dueAt")
    later = max(unit.now, instant(present)) if present else unit.now
    due = _parameter_instant(parameters, "dueAt") if "dueAt" in parameters else later + timedelta(days=1)
    urgent = _urgent(unit) if parameters.get("markAsUrgent") == "true" else None
    return unit.change(task, {"dueAt": stamp(due)}, {"taskPriority": urgent.identifier} if urgent else {})


def _urgent(unit: UnitOfWork) -> Record | None:
    """Return the priority of an urgent task; the vendor does not document how a task is marked."""
    priorities = unit.store.records("taskPriority")
    return next((each for each in priorities if str(each.attributes.get("name")).casefold() in _URGENT), None)


def _reschedule(unit: UnitOfWork, task: Record, parameters: _ActionParameters) -> Record:
    require_open_task(task)
    return unit.change(task, {"dueAt": stamp(_parameter_instant(parameters, "dueAt"))})


def _reassign(unit: UnitOfWork, task: Record, parameters: _ActionParameters) -> Record:
    return unit.change(task, {}, {"owner": _parameter_record(unit, parameters, "ownerId", "user").identifier})


def _update_note(unit: UnitOfWork, task: Record, parameters: _ActionParameters) -> Record:
    return unit.change(task, {"note": parameters.get("note")})


def _associate(unit: UnitOfWork, task: Record, parameters: _ActionParameters) -> Record:
    """Set the rule, or the opportunity itself: the documents describe the parameter both ways."""
    value = parameters.get("opportunityAssociation", "")
    if value.isdecimal():
        opportunity = _parameter_record(unit, parameters, "opportunityAssociation", "opportunity")
        return unit.change(task, {}, {"opportunity": opportunity.identifier})
    if value not in catalog.load().types["task"].attributes["opportunityAssociation"].enum:
        raise invalid("Opportunity association is not included in the list.")
    return unit.change(task, {"opportunityAssociation": value})


def _log_meeting(unit: UnitOfWork, task: Record, parameters: _ActionParameters) -> Record:
    if task.attributes.get("action") != "in_person":
        raise invalid("Task is not to be done in person.")
    related = {"taskDisposition": _parameter_record(unit, parameters, "taskDispositionId", "taskDisposition")}
    if "taskPurposeId" in parameters:
        related["taskPurpose"] = _parameter_record(unit, parameters, "taskPurposeId", "taskPurpose")
    done = complete_task(unit, task, relationships={name: record.identifier for name, record in related.items()})
    _note(unit, done, parameters.get("completionNote"))
    return unit.current(done)


_TASK_ACTIONS: Mapping[str, Callable[[UnitOfWork, Record, _ActionParameters], Record]] = {
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


def _note(unit: UnitOfWork, task: Record, note: str | None) -> None:
    """Add a note to the prospect of a task."""
    prospect = unit.related(task, "prospect")
    if note and prospect is not None:
        unit.add("prospectNote", {"message": note}, {"prospect": prospect.identifier})


def _parameter_instant(parameters: _ActionParameters, name: str) -> datetime:
    try:
        return instant(parameters[name])
    except KeyError:
        raise invalid(f"{name} can't be blank.") from None
    except ValueError:
        raise invalid(f"{name} is not a valid datetime.") from None


def _parameter_record(unit: UnitOfWork, parameters: _ActionParameters, name: str, type_name: str) -> Record:
    record = unit.find(type_name, parameters.get(name, ""))
    if record is None:
        raise invalid(f"{name} must name a {type_name} that exists.")
    return record


_Action = Callable[[UnitOfWork, Record, _ActionParameters], Record | None]


def _switch(*, on: bool) -> _Action:
    """Return the action that enables or disables a sequence or a sequence template; it may be repeated."""

    def switch(unit: UnitOfWork, record: Record, _: _ActionParameters) -> Record:
        if on and record.type == "sequence" and not enrollments.sequence_steps(unit, record):
            raise invalid("Sequence cannot be activated: it has no steps.")
        if bool(record.attributes.get("enabled")) == on:
            return record
        return unit.change(record, {"enabled": on, "enabledAt": unit.stamp if on else None})

    return switch


def _test_send(unit: UnitOfWork, mailbox: Record, _: _ActionParameters) -> Record:
    """Send a mail to the mailbox itself."""
    if mailbox.attributes.get("sendDisabled"):
        unit.change(mailbox, {"sendErroredAt": unit.stamp})
        raise invalid("Mailbox cannot send: sending is disabled.")
    user = unit.related(mailbox, "user")
    message = Message(
        kind="test", to=str(mailbox.attributes.get("email")), user=int(user.id) if user else None, at=unit.now
    )
    unit.state.outbox.append(message)
    return unit.change(mailbox, {"sendSuccessAt": unit.stamp, "sendErroredAt": None})


def _test_sync(unit: UnitOfWork, mailbox: Record, _: _ActionParameters) -> Record:
    if mailbox.attributes.get("syncDisabled"):
        unit.change(mailbox, {"syncErroredAt": unit.stamp})
        raise invalid("Mailbox cannot be synchronized: synchronizing is disabled.")
    done = dict.fromkeys(("syncSuccessAt", "syncFinishedAt"), unit.stamp)
    return unit.change(mailbox, done | {"syncErroredAt": None})


def _ews(_: UnitOfWork, mailbox: Record, __: _ActionParameters) -> None:
    """Link or unlink an Exchange master account; the response is an empty object."""
    if mailbox.attributes.get("sendMethod") != "ews" and mailbox.attributes.get("syncMethod") != "ews":
        raise invalid("Mailbox is not connected through EWS.")


ACTIONS: Mapping[str, Mapping[str, _Action]] = {
    "batch": {"cancel": batches.cancel, "confirm": batches.confirm},
    "mailbox": {
        "linkEwsMasterAccount": _ews,
        "testSend": _test_send,
        "testSync": _test_sync,
        "unlinkEwsMasterAccount": _ews,
    },
    "sequence": {"activate": _switch(on=True), "deactivate": _switch(on=False)},
    "sequenceState": {
        "finish": lambda unit, state, _: enrollments.finish_enrollment(unit, state),
        "pause": lambda unit, state, _: enrollments.pause_enrollment(unit, state),
        "resume": lambda unit, state, _: enrollments.resume_enrollment(unit, state),
    },
    "sequenceTemplate": {"activate": _switch(on=True), "deactivate": _switch(on=False)},
    "task": _TASK_ACTIONS,
}


def act(unit: UnitOfWork, record: Record, name: str, parameters: _ActionParameters) -> Record | None:
    """
    Execute an action.

    Returns
    -------
    record : Record or None
        The record afterwards; ``None`` where the response is an empty object.

    Raises
    ------
    HttpError
        422: the action is not possible.
    """
    return ACTIONS[record.type][name](unit, record, parameters)
