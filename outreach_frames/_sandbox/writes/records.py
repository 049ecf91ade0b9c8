"""Creating, updating and deleting one record, as a request asks for it."""

from outreach_frames._sandbox.errors import invalid
from outreach_frames._sandbox.store import Record
from outreach_frames._sandbox.writes import checks, effects, enrollments, rules
from outreach_frames._sandbox.writes.checks import Faults, spoken
from outreach_frames._sandbox.writes.defaults import filled_attributes, filled_relationships, following
from outreach_frames._sandbox.writes.request_body import Draft, Plan
from outreach_frames._sandbox.writes.unit_of_work import UnitOfWork
from outreach_frames.catalog import ResourceType


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
    effects.created(editor, record, draft)
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
        effects.updated(editor, record, changed)
    return editor.current(changed)


def delete(editor: UnitOfWork, record: Record) -> None:
    """Delete a record, and what belongs to it alone."""
    editor.remove(record)
    effects.deleted(editor, record)


def _plan(editor: UnitOfWork, kind: ResourceType, draft: Draft, before: Record | None) -> Plan:
    faults = Faults()
    attributes = checks.checked_attributes(kind, draft, editor.settings, faults)
    relationships = checks.checked_relationships(kind, draft, editor.schema, editor.settings, faults)
    if before is None:
        attributes = filled_attributes(editor, kind, attributes)
        relationships = filled_relationships(editor, kind.name, relationships)
    else:
        attributes = before.attributes | attributes
        relationships = before.relationships | relationships
    plan = Plan(kind.name, before, attributes, relationships)
    rules.check(editor, plan, faults)
    faults.tell()
    return Plan(kind.name, before, attributes | following(editor, plan), relationships)


def _enroll(editor: UnitOfWork, plan: Plan) -> Record:
    prospect, sequence, mailbox = (_named(editor, plan, name) for name in ("prospect", "sequence", "mailbox"))
    return enrollments.enroll(editor, prospect, sequence, mailbox)


def _named(editor: UnitOfWork, plan: Plan, relationship: str) -> Record:
    identifier = plan.names(relationship)
    record = editor.find(*identifier) if identifier else None
    if record is None:
        raise invalid(f"{spoken(relationship)} must exist.", pointer=f"/data/relationships/{relationship}")
    return record
