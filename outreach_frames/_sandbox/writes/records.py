"""
Create, update and delete one record, with the effects on other records.

A prospect has lists (``emails``, ``workPhones`` …), and each entry is also a resource (``emailAddress``,
``phoneNumber``). A write to one side changes the other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from outreach_frames import catalog
from outreach_frames._sandbox.errors import invalid
from outreach_frames._sandbox.state import Message
from outreach_frames._sandbox.store import Record
from outreach_frames._sandbox.writes import enrollments, rules
from outreach_frames._sandbox.writes.request_body import (
    Draft,
    Faults,
    Plan,
    checked_attributes,
    checked_relationships,
    spoken,
)
from outreach_frames._sandbox.writes.rules import derived_attributes, filled_attributes, filled_relationships
from outreach_frames._sandbox.writes.unit_of_work import UnitOfWork
from outreach_frames.catalog import ResourceType


@dataclass(frozen=True)
class List:
    """
    One list of a prospect and the resources behind it.

    Attributes
    ----------
    attribute
        The prospect's list.
    type, value
        Type of the resources, and their attribute with the entry.
    kind, kind_value
        Attribute and value that tell the entries of this list from others of the same type; empty for none.
    """

    attribute: str
    type: str
    value: str
    kind: str = ""
    kind_value: str = ""

    def holds(self, entry: Record) -> bool:
        """Whether a resource is one of this list's."""
        return entry.type == self.type and (
            not self.kind or (entry.attributes.get(self.kind) or "other") == self.kind_value
        )


LISTS = (
    List("emails", "emailAddress", "email"),
    *(
        List(f"{kind}Phones", "phoneNumber", "number", "phoneType", str(kind))
        for kind in catalog.load().types["phoneNumber"].attributes["phoneType"].enum
    ),
)


def follow_prospect(editor: UnitOfWork, before: Record | None, prospect: Record) -> None:
    """Create, reorder and delete the resources behind the lists of a prospect that changed."""
    for each in LISTS:
        wanted = prospect.attributes.get(each.attribute) or []
        if before is None or (before.attributes.get(each.attribute) or []) != wanted:
            _match(editor, prospect, each, wanted)


def follow_entry(editor: UnitOfWork, entry: Record) -> None:
    """Bring the prospect's list in line after an address or a number was created, changed or deleted."""
    owner = editor.related(entry, "prospect")
    for each in LISTS if owner else ():
        if owner and each.type == entry.type:
            values = [found.attributes.get(each.value) for found in _entries(editor, owner, each)]
            if values != (owner.attributes.get(each.attribute) or []):
                editor.change(owner, {each.attribute: values})


def _entries(editor: UnitOfWork, prospect: Record, listed: List) -> list[Record]:
    found = editor.store.referrers(listed.type, "prospect").of(prospect.identifier)
    return sorted((each for each in found if listed.holds(each)), key=lambda each: each.attributes.get("order") or 0)


def _match(editor: UnitOfWork, prospect: Record, listed: List, wanted: list[Any]) -> None:
    present = {entry.attributes.get(listed.value): entry for entry in _entries(editor, prospect, listed)}
    for value in present.keys() - set(wanted):
        editor.remove(present[value])
    for order, value in enumerate(wanted):
        if value in present:
            editor.change(present[value], {"order": order})
        else:
            kind: dict[str, Any] = {listed.kind: listed.kind_value} if listed.kind else {"emailType": "work"}
            editor.add(listed.type, kind | {listed.value: value, "order": order}, {"prospect": prospect.identifier})


MINUTES_PER_DAY, SECONDS_PER_DAY = 1_440, 86_400

SEQUENCE_ACTIONS = {
    "finish": "finish_no_reply",
    "finish - no reply": "finish_no_reply",
    "finish - replied": "finish_replied",
}
"""What ``call.sequenceAction`` means for the task that the call completes; anything else advances."""


def after_created(editor: UnitOfWork, record: Record, draft: Draft) -> None:
    """Carry out what follows from a new record."""
    effect = AFTER_CREATE.get(record.type)
    if effect is not None:
        effect(editor, record, draft)


def after_updated(editor: UnitOfWork, before: Record, record: Record) -> None:
    """Carry out what follows from a changed record."""
    effect = AFTER_UPDATE.get(record.type)
    if effect is not None:
        effect(editor, before, record)


def after_deleted(editor: UnitOfWork, record: Record) -> None:
    """Carry out what follows from a deleted record."""
    if record.type in {"emailAddress", "phoneNumber"}:
        follow_entry(editor, record)


def _invite(editor: UnitOfWork, user: Record, draft: Draft) -> None:
    """A new user is invited by mail, unless the resource's meta says ``sendInvite: false``."""
    if draft.meta.get("sendInvite") is not False:
        to, number = str(user.attributes.get("email")), int(user.id)
        editor.state.outbox.append(Message(kind="invitation", to=to, user=number, at=editor.now))


def _log_call(editor: UnitOfWork, call: Record, draft: Draft) -> None:
    """A call touches its prospect; its task is completed only if the relationship's meta says so."""
    prospect, task = editor.related(call, "prospect"), editor.related(call, "task")
    state = editor.related(call, "sequenceState")
    if prospect is not None:
        editor.change(prospect, {"touchedAt": editor.stamp})
    if state is not None:
        editor.change(state, {"callCompletedAt": editor.stamp})
    if task is not None and draft.linkage_meta.get("task", {}).get("complete") is True:
        wanted = str(call.attributes.get("sequenceAction")).casefold()
        enrollments.complete_task(
            editor, task, action=SEQUENCE_ACTIONS.get(wanted), relationships={"call": call.identifier}
        )


def _add_contacts(editor: UnitOfWork, prospect: Record, _: Draft) -> None:
    follow_prospect(editor, None, prospect)


def _follow_prospect(editor: UnitOfWork, before: Record, prospect: Record) -> None:
    follow_prospect(editor, before, prospect)
    if prospect.attributes.get("optedOut") and not before.attributes.get("optedOut"):
        enrollments.opt_out(editor, prospect)


def _summarize(editor: UnitOfWork, step: Record, *_: Any) -> None:
    """A sequence tells how many steps it has, how many of them are automatic, and how long they take."""
    sequence = editor.related(step, "sequence")
    if sequence is None:
        return
    found = enrollments.steps(editor, sequence)
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


def _follow_entry(editor: UnitOfWork, entry: Record, _: Draft) -> None:
    follow_entry(editor, entry)


def _follow_changed_entry(editor: UnitOfWork, _: Record, entry: Record) -> None:
    follow_entry(editor, entry)


AFTER_CREATE: Mapping[str, Callable[[UnitOfWork, Record, Draft], None]] = {
    "call": _log_call,
    "emailAddress": _follow_entry,
    "phoneNumber": _follow_entry,
    "prospect": _add_contacts,
    "sequenceStep": _summarize,
    "user": _invite,
}

AFTER_UPDATE: Mapping[str, Callable[[UnitOfWork, Record, Record], None]] = {
    "emailAddress": _follow_changed_entry,
    "phoneNumber": _follow_changed_entry,
    "prospect": _follow_prospect,
    "sequenceStep": _summarize,
}


def create(editor: UnitOfWork, kind: ResourceType, draft: Draft) -> Record:
    """
    Create a record.

    Raises
    ------
    Problem
        422: the draft is not what a record of this type can be.
    """
    plan = _plan(editor, kind, draft, None)
    if kind.name == "sequenceState":
        return _enroll(editor, plan)
    record = editor.add(kind.name, plan.attributes, plan.relationships)
    after_created(editor, record, draft)
    return editor.current(record)


def update(editor: UnitOfWork, kind: ResourceType, record: Record, draft: Draft) -> Record:
    """
    Change what a draft names, and nothing else.

    Raises
    ------
    Problem
        422: the record cannot be so.
    """
    plan = _plan(editor, kind, draft, record)
    changed = editor.change(record, plan.attributes, plan.relationships)
    if changed is not record:
        after_updated(editor, record, changed)
    return editor.current(changed)


def delete(editor: UnitOfWork, record: Record) -> None:
    """Delete a record, and what belongs to it alone."""
    editor.remove(record)
    after_deleted(editor, record)


def _plan(editor: UnitOfWork, kind: ResourceType, draft: Draft, before: Record | None) -> Plan:
    faults = Faults()
    attributes = checked_attributes(kind, draft, editor.settings, faults)
    relationships = checked_relationships(kind, draft, editor.schema, editor.settings, faults)
    if before is None:
        attributes = filled_attributes(editor, kind, attributes)
        relationships = filled_relationships(editor, kind.name, relationships)
    else:
        attributes = before.attributes | attributes
        relationships = before.relationships | relationships
    plan = Plan(kind.name, before, attributes, relationships)
    rules.check(editor, plan, faults)
    faults.tell()
    return Plan(kind.name, before, attributes | derived_attributes(editor, plan), relationships)


def _enroll(editor: UnitOfWork, plan: Plan) -> Record:
    prospect, sequence, mailbox = (_named(editor, plan, name) for name in ("prospect", "sequence", "mailbox"))
    return enrollments.enroll(editor, prospect, sequence, mailbox)


def _named(editor: UnitOfWork, plan: Plan, relationship: str) -> Record:
    identifier = plan.names(relationship)
    record = editor.find(*identifier) if identifier else None
    if record is None:
        raise invalid(f"{spoken(relationship)} must exist.", pointer=f"/data/relationships/{relationship}")
    return record
