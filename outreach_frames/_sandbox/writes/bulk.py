"""What a batch does to each of its records."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from outreach_frames._sandbox.errors import invalid
from outreach_frames._sandbox.relations import UNFINISHED
from outreach_frames._sandbox.store import Identifier, Linkage, Record, as_tuple, key_of
from outreach_frames._sandbox.writes import checks, enrollments, records
from outreach_frames._sandbox.writes.checks import Faults, blank, spoken
from outreach_frames._sandbox.writes.request_body import Draft
from outreach_frames._sandbox.writes.unit_of_work import UnitOfWork
from outreach_frames.catalog import ResourceType

Payload = Mapping[str, Any]

NAMED = {
    "accountId": "account",
    "mailboxId": "mailbox",
    "opportunityId": "opportunity",
    "ownerId": "user",
    "sequenceId": "sequence",
}
"""Members of a payload that name a record, given as a number or as text."""


ENVELOPE = frozenset({"ids", "fieldName", "fieldValue", "objectName"})
"""Members of a modification's payload that are no attributes to set."""


@dataclass(frozen=True)
class Bulk:
    """
    One bulk action.

    Attributes
    ----------
    carry_out
        What it does to a record.
    needs, takes
        What its payload must and may have, besides ``ids``. A modification takes any attribute.
    modifies
        Whether the payload is the attributes themselves.
    """

    carry_out: Callable[[UnitOfWork, ResourceType, Record, Payload], None]
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    modifies: bool = False


def check_payload(editor: UnitOfWork, kind: ResourceType, bulk: Bulk, payload: Payload) -> None:
    """
    Check what stands in the body of a bulk action.

    Raises
    ------
    Problem
        422: something is missing, of another type, or names nothing.
    """
    faults = Faults()
    if bulk.modifies:
        wanted = changes(payload)
        checks.checked_attributes(kind, Draft(attributes=wanted), editor.settings, faults)
        if not wanted:
            faults.attribute("fieldName", "can't be blank")
    else:
        for name in payload.keys() - {*bulk.needs, *bulk.takes, "ids"}:
            faults.attribute(name, "is not taken by this action")
    for name in bulk.needs:
        _check_need(editor, name, payload.get(name), faults)
    faults.tell()


def _check_need(editor: UnitOfWork, name: str, value: Any, faults: Faults) -> None:
    if blank(value):
        faults.attribute(name, "can't be blank")
    elif name in NAMED:
        if not isinstance(value, int | str) or editor.find(NAMED[name], value) is None:
            faults.attribute(name, f"must name a {NAMED[name]} that exists")
    elif not isinstance(value, list):
        faults.attribute(name, "must be a list")
    elif name == "userIds" and any(editor.find("user", each) is None for each in value):
        faults.attribute(name, "must name users that exist")


def changes(payload: Payload) -> dict[str, Any]:
    """Return the attributes a modification sets: ``{field: value, …}``, or ``fieldName`` and ``fieldValue``."""
    given = {name: value for name, value in payload.items() if name not in ENVELOPE}
    return given | ({str(payload["fieldName"]): payload.get("fieldValue")} if "fieldName" in payload else {})


def _named(editor: UnitOfWork, payload: Payload, name: str) -> Record:
    record = editor.find(NAMED[name], payload[name])
    if record is None:
        raise invalid(f"{spoken(name)} names nothing any more.")
    return record


def _destroy(editor: UnitOfWork, _: ResourceType, record: Record, __: Payload) -> None:
    records.delete(editor, record)


def _modify(editor: UnitOfWork, kind: ResourceType, record: Record, payload: Payload) -> None:
    records.update(editor, kind, record, Draft(attributes=changes(payload)))


def _tag(*, on: bool) -> Bulk:
    def tag(editor: UnitOfWork, _: ResourceType, record: Record, payload: Payload) -> None:
        kept = [each for each in record.attributes.get("tags") or [] if each not in payload["tags"]]
        editor.change(record, {"tags": kept + payload["tags"] if on else kept})

    return Bulk(tag, ("tags",))


def _assign_users(*, on: bool) -> Bulk:
    def assign(editor: UnitOfWork, _: ResourceType, record: Record, payload: Payload) -> None:
        users = tuple(Identifier("user", key_of("user", each)) for each in payload["userIds"])
        kept = tuple(each for each in as_tuple(record.relationships.get("assignedUsers")) if each not in users)
        editor.change(record, {}, {"assignedUsers": kept + users if on else kept})

    return Bulk(assign, ("userIds",))


def _unassign_all(editor: UnitOfWork, _: ResourceType, record: Record, __: Payload) -> None:
    editor.change(record, {}, {"assignedUsers": ()})


def _set(relationship: str, name: str) -> Bulk:
    def point(editor: UnitOfWork, _: ResourceType, record: Record, payload: Payload) -> None:
        linkage: Mapping[str, Linkage] = {relationship: _named(editor, payload, name).identifier}
        editor.change(record, {}, linkage)

    return Bulk(point, (name,))


def _assign_opportunity(editor: UnitOfWork, _: ResourceType, prospect: Record, payload: Payload) -> None:
    opportunity = _named(editor, payload, "opportunityId")
    joined = {"opportunity": opportunity.identifier, "prospect": prospect.identifier}
    roles = editor.all_related(prospect, "opportunityProspectRoles")
    if not any(role.relationships.get("opportunity") == opportunity.identifier for role in roles):
        editor.add("opportunityProspectRole", {"primary": False}, joined)


def _add_to_sequence(editor: UnitOfWork, _: ResourceType, prospect: Record, payload: Payload) -> None:
    sequence, mailbox = _named(editor, payload, "sequenceId"), _named(editor, payload, "mailboxId")
    enrollments.enroll(editor, prospect, sequence, mailbox)


def _for_enrollments(states: frozenset[str], move: Callable[[UnitOfWork, Record], object]) -> Bulk:
    def each(editor: UnitOfWork, _: ResourceType, prospect: Record, __: Payload) -> None:
        for state in editor.store.referrers("sequenceState", "prospect").of(prospect.identifier):
            if state.attributes.get("state") in states:
                move(editor, state)

    return Bulk(each)


_COMMON = {
    "AddAssignments": _assign_users(on=True),
    "AssignOwner": _set("owner", "ownerId"),
    "BulkModify": Bulk(_modify, modifies=True),
    "DestroyAll": Bulk(_destroy),
    "RemoveAllAssignments": Bulk(_unassign_all),
    "RemoveAssignments": _assign_users(on=False),
    "RemoveTags": _tag(on=False),
}

BULK: Mapping[str, Bulk] = {
    **{f"{plural}{name}": bulk for plural in ("accounts", "prospects") for name, bulk in _COMMON.items()},
    "accountAddTags": _tag(on=True),
    "customObjectBulkDelete": Bulk(_destroy),
    "customObjectBulkModify": Bulk(_modify, modifies=True),
    "prospectsAddTags": _tag(on=True),
    "prospectsAddToSequence": Bulk(_add_to_sequence, ("sequenceId", "mailboxId"), ("stepOverrides",)),
    "prospectsAssignAccount": _set("account", "accountId"),
    "prospectsAssignOpportunity": Bulk(_assign_opportunity, ("opportunityId",)),
    "prospectsFinishAll": _for_enrollments(UNFINISHED, enrollments.finish),
    "prospectsPauseAll": _for_enrollments(frozenset({"active"}), enrollments.pause),
}
"""By action, as the catalog spells it."""
