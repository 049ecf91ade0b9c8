"""Prospects in sequences: how an enrolment begins and moves, and what its steps make."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from outreach_frames.emulator.problems import Invalid, invalid
from outreach_frames.emulator.relations import UNFINISHED
from outreach_frames.emulator.store import Linkage, Record
from outreach_frames.emulator.writing.admission import refusals, steps
from outreach_frames.emulator.writing.defaults import filled_attributes
from outreach_frames.emulator.writing.editor import OPEN, Editor
from outreach_frames.emulator.writing.moments import stamp

STEP_TASKS = {"manual_email": ("sequence_step_email", "email"), "call": ("sequence_step_call", "call")}
OTHER_TASK = ("sequence_step_task", "action_item")


def enrol(editor: Editor, prospect: Record, sequence: Record, mailbox: Record, **more: Linkage) -> Record:
    """
    Add a prospect to a sequence: active, at its first step.

    Raises
    ------
    Problem
        422: the sequence, its ruleset or the prospect does not allow it.
    """
    refused = list(refusals(editor, prospect, sequence))
    if refused:
        raise Invalid(refused)
    first = steps(editor, sequence)[0]
    user, account = editor.related(mailbox, "user"), editor.related(prospect, "account")
    kind = editor.state.schema.type("sequenceState")
    moments = {"state": "active", "activeAt": editor.stamp, "stateChangedAt": editor.stamp}
    state = editor.add(
        "sequenceState",
        (filled_attributes(editor, kind, {}) if kind else {}) | moments,
        {
            "prospect": prospect.identifier,
            "sequence": sequence.identifier,
            "mailbox": mailbox.identifier,
            "sequenceStep": first.identifier,
            "user": user.identifier if user else editor.user,
            "account": account.identifier if account else None,
            **more,
        },
    )
    editor.change(sequence, {"lastUsedAt": editor.stamp})
    _begin(editor, state, first)
    return editor.current(state)


# How an enrolment moves


def finish(editor: Editor, state: Record, *, replied: bool = False) -> Record:
    """
    End an enrolment; what its step had planned is dropped.

    Raises
    ------
    Problem
        422: it has ended already.
    """
    legal = UNFINISHED if editor.settings.finish_from == "unfinished" else {"active"}
    _require(state, legal, "finished")
    ended = _enter(editor, state, "finished", {"repliedAt": editor.stamp} if replied else {})
    _drop_plans(editor, ended)
    return editor.current(ended)


def pause(editor: Editor, state: Record) -> Record:
    """
    Hold an active enrolment.

    Raises
    ------
    Problem
        422: it is not active.
    """
    _require(state, {"active"}, "paused")
    return _enter(editor, state, "paused", {"pauseReason": "manual"})


def resume(editor: Editor, state: Record) -> Record:
    """
    Let a paused enrolment go on.

    Raises
    ------
    Problem
        422: it is not paused.
    """
    _require(state, {"paused"}, "resumed")
    return _enter(editor, state, "active", {"pauseReason": None, "activeAt": editor.stamp})


def advance(editor: Editor, state: Record) -> Record:
    """Move an enrolment to its next step; after the last one it is finished."""
    sequence, present = editor.related(state, "sequence"), editor.related(state, "sequenceStep")
    order = [step.key for step in steps(editor, sequence)] if sequence else []
    place = order.index(present.key) + 1 if present and present.key in order else len(order)
    if sequence is None or place >= len(order):
        return _enter(editor, state, "finished", {})
    following = steps(editor, sequence)[place]
    moved = editor.change(state, {"activeAt": editor.stamp}, {"sequenceStep": following.identifier})
    _begin(editor, moved, following)
    return editor.current(moved)


def opt_out(editor: Editor, prospect: Record) -> None:
    """End what a prospect who opted out is enrolled in, transactional sequences excepted."""
    for state in editor.store.referrers("sequenceState", "prospect").of(prospect.identifier):
        sequence = editor.related(state, "sequence")
        if state.attributes.get("state") in UNFINISHED and not (sequence and sequence.attributes.get("transactional")):
            _drop_plans(editor, _enter(editor, state, "opted_out", {}))


def _require(state: Record, legal: set[str] | frozenset[str], verb: str) -> None:
    present = state.attributes.get("state")
    if present not in legal:
        raise invalid(f"Sequence state cannot be {verb}: it is {present}.")


def _enter(editor: Editor, state: Record, name: str, more: dict[str, Any]) -> Record:
    return editor.change(state, {"state": name, "stateChangedAt": editor.stamp, **more})


def _drop_plans(editor: Editor, state: Record) -> None:
    for type_name, open_states in OPEN.items():
        for planned in editor.store.referrers(type_name, "sequenceState").of(state.identifier):
            if planned.attributes.get("state") in open_states:
                editor.remove(planned)


# What a step makes


def _begin(editor: Editor, state: Record, step: Record) -> None:
    """Schedule the mailing or the task of a step."""
    due = _due(editor, step)
    if step.attributes.get("stepType") == "auto_email":
        _schedule_mailing(editor, state, step, due)
    else:
        _create_task(editor, state, step, due)


def _due(editor: Editor, step: Record) -> datetime:
    fixed = step.attributes.get("date")
    if fixed:
        return datetime.combine(date.fromisoformat(fixed), datetime.min.time(), UTC)
    unit = 60 if editor.settings.interval_unit == "minutes" else 1
    return editor.now + timedelta(seconds=unit * (step.attributes.get("interval") or 0))


def _common(state: Record, step: Record) -> dict[str, Linkage]:
    return {
        "prospect": state.relationships.get("prospect"),
        "sequence": state.relationships.get("sequence"),
        "sequenceState": state.identifier,
        "sequenceStep": step.identifier,
    }


def _schedule_mailing(editor: Editor, state: Record, step: Record, due: datetime) -> None:
    templates = [each for each in editor.all_related(step, "sequenceTemplates") if each.attributes.get("enabled")]
    template = editor.related(templates[0], "template") if templates else None
    mailbox, user = editor.related(state, "mailbox"), editor.related(state, "user")
    kind = editor.state.schema.type("mailing")
    content = {name: template.attributes.get(name) for name in ("subject", "bodyHtml", "bodyText")} if template else {}
    editor.add(
        "mailing",
        (filled_attributes(editor, kind, content) if kind else {})
        | {"mailingType": "sequence", "state": "scheduled", "stateChangedAt": editor.stamp, "scheduledAt": stamp(due)}
        | {"mailboxAddress": mailbox.attributes.get("email") if mailbox else None},
        _common(state, step)
        | {"template": template.identifier if template else None}
        | {"mailbox": mailbox.identifier if mailbox else None, "user": user.identifier if user else None},
    )
    editor.change(state, {"scheduleCount": (state.attributes.get("scheduleCount") or 0) + 1})


def _create_task(editor: Editor, state: Record, step: Record, due: datetime) -> None:
    task_type, action = STEP_TASKS.get(str(step.attributes.get("stepType")), OTHER_TASK)
    prospect, user = editor.related(state, "prospect"), editor.related(state, "user")
    account, priority = editor.related(state, "account"), editor.related(step, "taskPriority")
    editor.add(
        "task",
        {
            "taskType": task_type,
            "action": action,
            "state": "pending" if due > editor.now else "incomplete",
            "completed": False,
            "note": step.attributes.get("taskNote"),
            **dict.fromkeys(("dueAt", "scheduledAt"), stamp(due)),
            "stateChangedAt": editor.stamp,
        },
        _common(state, step)
        | {"subject": prospect.identifier if prospect else None, "creator": step.identifier}
        | {"account": account.identifier if account else None, "owner": user.identifier if user else None}
        | {"taskPriority": priority.identifier if priority else None},
    )
