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
    ErrorList,
    Plan,
    checked_attributes,
    checked_relationships,
    spoken,
)
from outreach_frames._sandbox.writes.rules import derived_attributes, filled_attributes, filled_relationships
from outreach_frames._sandbox.writes.unit_of_work import UnitOfWork
from outreach_frames.catalog import ResourceType


@dataclass(frozen=True)
class ContactList:
    """
    One list of a prospect, and the resources that belong to it.

    Attributes
    ----------
    attribute
        The prospect's list.
    type, value
        Type of the resources, and their attribute with the value of the entry.
    kind, kind_value
        Attribute and value by which entries of this list differ from others of the same type; empty for none.
    """

    attribute: str
    type: str
    value: str
    kind: str = ""
    kind_value: str = ""

    def holds(self, entry: Record) -> bool:
        """Whether a resource belongs to this list."""
        return entry.type == self.type and (
            not self.kind or (entry.attributes.get(self.kind) or "other") == self.kind_value
        )


_LISTS = (
    ContactList("emails", "emailAddress", "email"),
    *(
        ContactList(f"{kind}Phones", "phoneNumber", "number", "phoneType", str(kind))
        for kind in catalog.load().types["phoneNumber"].attributes["phoneType"].enum
    ),
)


def _update_entries(unit: UnitOfWork, before: Record | None, prospect: Record) -> None:
    """Create, reorder and delete the resources of changed lists of a prospect."""
    for each in _LISTS:
        values = prospect.attributes.get(each.attribute) or []
        if before is None or (before.attributes.get(each.attribute) or []) != values:
            _set_entries(unit, prospect, each, values)


def _update_list(unit: UnitOfWork, entry: Record) -> None:
    """Update the prospect's list after a change of an address or a number."""
    owner = unit.related(entry, "prospect")
    for each in _LISTS if owner else ():
        if owner and each.type == entry.type:
            values = [other.attributes.get(each.value) for other in _list_entries(unit, owner, each)]
            if values != (owner.attributes.get(each.attribute) or []):
                unit.change(owner, {each.attribute: values})


def _list_entries(unit: UnitOfWork, prospect: Record, listed: ContactList) -> list[Record]:
    records = unit.store.referrers(listed.type, "prospect").of(prospect.identifier)
    return sorted((each for each in records if listed.holds(each)), key=lambda each: each.attributes.get("order") or 0)


def _set_entries(unit: UnitOfWork, prospect: Record, listed: ContactList, values: list[Any]) -> None:
    present = {entry.attributes.get(listed.value): entry for entry in _list_entries(unit, prospect, listed)}
    for value in present.keys() - set(values):
        unit.remove(present[value])
    for order, value in enumerate(values):
        if value in present:
            unit.change(present[value], {"order": order})
        else:
            kind: dict[str, Any] = {listed.kind: listed.kind_value} if listed.kind else {"emailType": "work"}
            unit.add(listed.type, kind | {listed.value: value, "order": order}, {"prospect": prospect.identifier})


_MINUTES_PER_DAY, _SECONDS_PER_DAY = 1_440, 86_400

_SEQUENCE_ACTIONS = {
    "finish": "finish_no_reply",
    "finish - no reply": "finish_no_reply",
    "finish - replied": "finish_replied",
}
"""Effect of ``call.sequenceAction`` on the task that the call completes; other values advance."""


def _after_created(unit: UnitOfWork, record: Record, draft: Draft) -> None:
    """Apply the effects of a new record."""
    effect = _AFTER_CREATE.get(record.type)
    if effect is not None:
        effect(unit, record, draft)


def _after_updated(unit: UnitOfWork, before: Record, record: Record) -> None:
    """Apply the effects of a changed record."""
    effect = _AFTER_UPDATE.get(record.type)
    if effect is not None:
        effect(unit, before, record)


def _after_deleted(unit: UnitOfWork, record: Record) -> None:
    """Apply the effects of a deleted record."""
    if record.type in {"emailAddress", "phoneNumber"}:
        _update_list(unit, record)


def _invite(unit: UnitOfWork, user: Record, draft: Draft) -> None:
    """Invite a new user by mail, unless the meta of the resource is ``sendInvite: false``."""
    if draft.meta.get("sendInvite") is not False:
        to, number = str(user.attributes.get("email")), int(user.id)
        unit.state.outbox.append(Message(kind="invitation", to=to, user=number, at=unit.now))


def _log_call(unit: UnitOfWork, call: Record, draft: Draft) -> None:
    """Touch the prospect of a call; complete its task if the meta of the relationship is ``complete: true``."""
    prospect, task = unit.related(call, "prospect"), unit.related(call, "task")
    state = unit.related(call, "sequenceState")
    if prospect is not None:
        unit.change(prospect, {"touchedAt": unit.stamp})
    if state is not None:
        unit.change(state, {"callCompletedAt": unit.stamp})
    if task is not None and draft.linkage_meta.get("task", {}).get("complete") is True:
        action = str(call.attributes.get("sequenceAction")).casefold()
        enrollments.complete_task(
            unit, task, action=_SEQUENCE_ACTIONS.get(action), relationships={"call": call.identifier}
        )


def _add_contacts(unit: UnitOfWork, prospect: Record, _: Draft) -> None:
    _update_entries(unit, None, prospect)


def _follow_prospect(unit: UnitOfWork, before: Record, prospect: Record) -> None:
    _update_entries(unit, before, prospect)
    if prospect.attributes.get("optedOut") and not before.attributes.get("optedOut"):
        enrollments.opt_out_enrollments(unit, prospect)


def _summarize(unit: UnitOfWork, step: Record, *_: Any) -> None:
    """Update the number of steps, share of automatic steps and duration of a sequence."""
    sequence = unit.related(step, "sequence")
    if sequence is None:
        return
    sequence_steps = enrollments.sequence_steps(unit, sequence)
    automatic = sum(each.attributes.get("stepType") == "auto_email" for each in sequence_steps)
    day = _MINUTES_PER_DAY if unit.settings.interval_unit == "minutes" else _SECONDS_PER_DAY
    unit.change(
        sequence,
        {
            "sequenceStepCount": len(sequence_steps),
            "automationPercentage": round(100 * automatic / len(sequence_steps), 1) if sequence_steps else None,
            "durationInDays": sum(each.attributes.get("interval") or 0 for each in sequence_steps) // day,
        },
    )


def _follow_entry(unit: UnitOfWork, entry: Record, _: Draft) -> None:
    _update_list(unit, entry)


def _follow_changed_entry(unit: UnitOfWork, _: Record, entry: Record) -> None:
    _update_list(unit, entry)


_AFTER_CREATE: Mapping[str, Callable[[UnitOfWork, Record, Draft], None]] = {
    "call": _log_call,
    "emailAddress": _follow_entry,
    "phoneNumber": _follow_entry,
    "prospect": _add_contacts,
    "sequenceStep": _summarize,
    "user": _invite,
}

_AFTER_UPDATE: Mapping[str, Callable[[UnitOfWork, Record, Record], None]] = {
    "emailAddress": _follow_changed_entry,
    "phoneNumber": _follow_changed_entry,
    "prospect": _follow_prospect,
    "sequenceStep": _summarize,
}


def create_record(unit: UnitOfWork, kind: ResourceType, draft: Draft) -> Record:
    """
    Create a record.

    Raises
    ------
    HttpError
        422: a record of this type cannot be like the draft.
    """
    plan = _make_plan(unit, kind, draft, None)
    if kind.name == "sequenceState":
        return _enroll(unit, plan)
    record = unit.add(kind.name, plan.attributes, plan.relationships)
    _after_created(unit, record, draft)
    return unit.current(record)


def update_record(unit: UnitOfWork, kind: ResourceType, record: Record, draft: Draft) -> Record:
    """
    Change the members of a draft, and nothing else.

    Raises
    ------
    HttpError
        422: the record cannot be changed like this.
    """
    plan = _make_plan(unit, kind, draft, record)
    changed = unit.change(record, plan.attributes, plan.relationships)
    if changed is not record:
        _after_updated(unit, record, changed)
    return unit.current(changed)


def delete_record(unit: UnitOfWork, record: Record) -> None:
    """Delete a record, and the records that belong only to it."""
    unit.remove(record)
    _after_deleted(unit, record)


def _make_plan(unit: UnitOfWork, kind: ResourceType, draft: Draft, before: Record | None) -> Plan:
    errors = ErrorList()
    attributes = checked_attributes(kind, draft, unit.settings, errors)
    relationships = checked_relationships(kind, draft, unit.schema, unit.settings, errors)
    if before is None:
        attributes = filled_attributes(unit, kind, attributes)
        relationships = filled_relationships(unit, kind.name, relationships)
    else:
        attributes = before.attributes | attributes
        relationships = before.relationships | relationships
    plan = Plan(kind.name, before, attributes, relationships)
    rules.check_plan(unit, plan, errors)
    errors.raise_any()
    return Plan(kind.name, before, attributes | derived_attributes(unit, plan), relationships)


def _enroll(unit: UnitOfWork, plan: Plan) -> Record:
    prospect, sequence, mailbox = (_plan_record(unit, plan, name) for name in ("prospect", "sequence", "mailbox"))
    return enrollments.enroll_prospect(unit, prospect, sequence, mailbox)


def _plan_record(unit: UnitOfWork, plan: Plan, relationship: str) -> Record:
    identifier = plan.names(relationship)
    record = unit.find(*identifier) if identifier else None
    if record is None:
        raise invalid(f"{spoken(relationship)} must exist.", pointer=f"/data/relationships/{relationship}")
    return record
