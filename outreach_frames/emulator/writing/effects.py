"""What a write brings about beside the record it names."""

from collections.abc import Callable, Mapping
from typing import Any

from outreach_frames.emulator.changes import Message
from outreach_frames.emulator.store import Record
from outreach_frames.emulator.writing import admission, contacts, enrolments, tasks
from outreach_frames.emulator.writing.bodies import Draft
from outreach_frames.emulator.writing.editor import Editor

MINUTES_PER_DAY, SECONDS_PER_DAY = 1_440, 86_400

SEQUENCE_ACTIONS = {
    "finish": "finish_no_reply",
    "finish - no reply": "finish_no_reply",
    "finish - replied": "finish_replied",
}
"""What ``call.sequenceAction`` means for the task that the call completes; anything else advances."""


def created(editor: Editor, record: Record, draft: Draft) -> None:
    """Carry out what follows from a new record."""
    effect = CREATED.get(record.type)
    if effect is not None:
        effect(editor, record, draft)


def updated(editor: Editor, before: Record, record: Record) -> None:
    """Carry out what follows from a changed record."""
    effect = UPDATED.get(record.type)
    if effect is not None:
        effect(editor, before, record)


def deleted(editor: Editor, record: Record) -> None:
    """Carry out what follows from a deleted record."""
    if record.type in {"emailAddress", "phoneNumber"}:
        contacts.follow_entry(editor, record)


def _invite(editor: Editor, user: Record, draft: Draft) -> None:
    """A new user is invited by mail, unless the resource's meta says ``sendInvite: false``."""
    if draft.meta.get("sendInvite") is not False:
        to, number = str(user.attributes.get("email")), int(user.id)
        editor.state.outbox.append(Message(kind="invitation", to=to, user=number, at=editor.now))


def _log_call(editor: Editor, call: Record, draft: Draft) -> None:
    """A call touches its prospect; its task is completed only if the relationship's meta says so."""
    prospect, task = editor.related(call, "prospect"), editor.related(call, "task")
    state = editor.related(call, "sequenceState")
    if prospect is not None:
        editor.change(prospect, {"touchedAt": editor.stamp})
    if state is not None:
        editor.change(state, {"callCompletedAt": editor.stamp})
    if task is not None and draft.linkage_meta.get("task", {}).get("complete") is True:
        wanted = str(call.attributes.get("sequenceAction")).casefold()
        tasks.complete(editor, task, action=SEQUENCE_ACTIONS.get(wanted), relationships={"call": call.identifier})


def _add_contacts(editor: Editor, prospect: Record, _: Draft) -> None:
    contacts.follow_prospect(editor, None, prospect)


def _follow_prospect(editor: Editor, before: Record, prospect: Record) -> None:
    contacts.follow_prospect(editor, before, prospect)
    if prospect.attributes.get("optedOut") and not before.attributes.get("optedOut"):
        enrolments.opt_out(editor, prospect)


def _summarise(editor: Editor, step: Record, *_: Any) -> None:
    """A sequence tells how many steps it has, how many of them are automatic, and how long they take."""
    sequence = editor.related(step, "sequence")
    if sequence is None:
        return
    found = admission.steps(editor, sequence)
    automatic = sum(each.attributes.get("stepType") == "auto_email" for each in found)
    day = MINUTES_PER_DAY if editor.settings.interval_unit == "minutes" else SECONDS_PER_DAY
    editor.change(
        sequence,
        {
            "sequenceStepCount": len(found),
            "automationPercentage": round(100 * automatic / len(found), 1) if found else None,
            "durationInDays": sum(each.attributes.get("interval") or 0 for each in found) // day,
        },
    )


def _follow_entry(editor: Editor, entry: Record, _: Draft) -> None:
    contacts.follow_entry(editor, entry)


def _follow_changed_entry(editor: Editor, _: Record, entry: Record) -> None:
    contacts.follow_entry(editor, entry)


CREATED: Mapping[str, Callable[[Editor, Record, Draft], None]] = {
    "call": _log_call,
    "emailAddress": _follow_entry,
    "phoneNumber": _follow_entry,
    "prospect": _add_contacts,
    "sequenceStep": _summarise,
    "user": _invite,
}

UPDATED: Mapping[str, Callable[[Editor, Record, Record], None]] = {
    "emailAddress": _follow_changed_entry,
    "phoneNumber": _follow_changed_entry,
    "prospect": _follow_prospect,
    "sequenceStep": _summarise,
}
