"""What can be done with a task, and what it does to the enrollment it belongs to."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from outreach_frames._sandbox.errors import invalid
from outreach_frames._sandbox.relations import UNFINISHED
from outreach_frames._sandbox.store import Linkage, Record
from outreach_frames._sandbox.writes import enrollments
from outreach_frames._sandbox.writes.unit_of_work import OPEN, UnitOfWork, instant, stamp

Parameters = Mapping[str, str]
STEP_TASK = "sequence_step_"
URGENT = frozenset({"urgent", "high"})


def complete(
    editor: UnitOfWork, task: Record, *, action: str | None = None, relationships: Mapping[str, Linkage] | None = None
) -> Record:
    """
    Complete a task; a step's task then moves its enrollment.

    Parameters
    ----------
    action
        ``"finish_no_reply"``, ``"finish_replied"``, or anything else to advance.
    relationships
        What else the completion sets.

    Raises
    ------
    Problem
        422: it is complete already.
    """
    _require_open(task)
    done = editor.change(
        task,
        {"state": "complete", "completed": True, **dict.fromkeys(("completedAt", "stateChangedAt"), editor.stamp)},
        {"completer": editor.user, **(relationships or {})},
    )
    _move_enrollment(editor, done, action)
    return editor.current(done)


def _move_enrollment(editor: UnitOfWork, task: Record, action: str | None) -> None:
    state = editor.related(task, "sequenceState") if _is_step_task(task) else None
    if state is None or state.attributes.get("state") not in UNFINISHED:
        return
    if action in {"finish_no_reply", "finish_replied"}:
        enrollments.finish(editor, state, replied=action == "finish_replied")
    elif task.relationships.get("sequenceStep") == state.relationships.get("sequenceStep"):
        enrollments.advance(editor, state)


def begin_due(editor: UnitOfWork) -> None:
    """Let pending tasks whose time has come be worked on."""
    for task in list(editor.store.records("task")):
        due = task.attributes.get("dueAt")
        if task.attributes.get("state") == "pending" and due and instant(due) <= editor.now:
            editor.change(task, {"state": "incomplete", "stateChangedAt": editor.stamp})


# Actions


def _advance(editor: UnitOfWork, task: Record, _: Parameters) -> Record:
    if not _is_step_task(task):
        raise invalid("Task cannot be advanced: it belongs to no sequence step.")
    return complete(editor, task)


def _deliver(editor: UnitOfWork, task: Record, _: Parameters) -> Record:
    _require_open(task)
    mailing = editor.related(task, "mailing") or editor.related(task, "mailings")
    if mailing is None or mailing.attributes.get("state") not in OPEN["mailing"]:
        raise invalid("Task has no mailing that could be delivered.")
    editor.change(mailing, {"state": "scheduled", "scheduledAt": editor.stamp, "stateChangedAt": editor.stamp})
    return editor.current(task)


def _mark_complete(editor: UnitOfWork, task: Record, given: Parameters) -> Record:
    done = complete(editor, task, action=given.get("completionAction"))
    _note(editor, done, given.get("completionNote"))
    return editor.current(done)


def _snooze(editor: UnitOfWork, task: Record, given: Parameters) -> Record:
    """Put a task off, by a day after the later of now and its present time unless a time is given."""
    _require_open(task)
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
    _require_open(task)
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
    if wanted not in {"recent_created", "recent_updated", "noop"}:
        raise invalid("Opportunity association is not included in the list.")
    return editor.change(task, {"opportunityAssociation": wanted})


def _log_meeting(editor: UnitOfWork, task: Record, given: Parameters) -> Record:
    if task.attributes.get("action") != "in_person":
        raise invalid("Task is not to be done in person.")
    chosen = {"taskDisposition": _named(editor, given, "taskDispositionId", "taskDisposition")}
    if "taskPurposeId" in given:
        chosen["taskPurpose"] = _named(editor, given, "taskPurposeId", "taskPurpose")
    done = complete(editor, task, relationships={name: record.identifier for name, record in chosen.items()})
    _note(editor, done, given.get("completionNote"))
    return editor.current(done)


ACTIONS: Mapping[str, Callable[[UnitOfWork, Record, Parameters], Record]] = {
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


def _is_step_task(task: Record) -> bool:
    return str(task.attributes.get("taskType")).startswith(STEP_TASK)


def _require_open(task: Record) -> None:
    if task.attributes.get("state") == "complete":
        raise invalid("Task is already complete.")


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
