"""Batches: one action on many records, with confirmation and a result for each record."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from outreach_frames._sandbox.errors import Invalid, bad_request, invalid
from outreach_frames._sandbox.relations import UNFINISHED, Schema
from outreach_frames._sandbox.store import Identifier, Key, Linkage, Record, as_tuple, key_of
from outreach_frames._sandbox.writes import enrollments, records
from outreach_frames._sandbox.writes.request_body import Draft, Faults, blank, checked_attributes, spoken
from outreach_frames._sandbox.writes.unit_of_work import UnitOfWork
from outreach_frames.catalog import ResourceType

Payload = Mapping[str, Any]


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
        checked_attributes(kind, Draft(attributes=wanted), editor.settings, faults)
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
    elif name.endswith("Id"):
        if not isinstance(value, int | str) or editor.find(_payload_type(name), value) is None:
            faults.attribute(name, f"must name a {_payload_type(name)} that exists")
    elif not isinstance(value, list):
        faults.attribute(name, "must be a list")
    elif name == "userIds" and any(editor.find("user", each) is None for each in value):
        faults.attribute(name, "must name users that exist")


def changes(payload: Payload) -> dict[str, Any]:
    """Return the attributes a modification sets: ``{field: value, …}``, or ``fieldName`` and ``fieldValue``."""
    given = {name: value for name, value in payload.items() if name not in ENVELOPE}
    return given | ({str(payload["fieldName"]): payload.get("fieldValue")} if "fieldName" in payload else {})


def _payload_type(name: str) -> str:
    """Return the type of the record that a member of a payload names: ``accountId`` → ``account``."""
    return "user" if name == "ownerId" else name.removesuffix("Id")


def _payload_record(editor: UnitOfWork, payload: Payload, name: str) -> Record:
    record = editor.find(_payload_type(name), payload[name])
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


def _set_relationship(relationship: str, name: str) -> Bulk:
    def point(editor: UnitOfWork, _: ResourceType, record: Record, payload: Payload) -> None:
        linkage: Mapping[str, Linkage] = {relationship: _payload_record(editor, payload, name).identifier}
        editor.change(record, {}, linkage)

    return Bulk(point, (name,))


def _assign_opportunity(editor: UnitOfWork, _: ResourceType, prospect: Record, payload: Payload) -> None:
    opportunity = _payload_record(editor, payload, "opportunityId")
    joined = {"opportunity": opportunity.identifier, "prospect": prospect.identifier}
    roles = editor.all_related(prospect, "opportunityProspectRoles")
    if not any(role.relationships.get("opportunity") == opportunity.identifier for role in roles):
        editor.add("opportunityProspectRole", {"primary": False}, joined)


def _add_to_sequence(editor: UnitOfWork, _: ResourceType, prospect: Record, payload: Payload) -> None:
    sequence, mailbox = _payload_record(editor, payload, "sequenceId"), _payload_record(editor, payload, "mailboxId")
    enrollments.enroll(editor, prospect, sequence, mailbox)


def _for_enrollments(states: frozenset[str], move: Callable[[UnitOfWork, Record], object]) -> Bulk:
    def each(editor: UnitOfWork, _: ResourceType, prospect: Record, __: Payload) -> None:
        for state in editor.store.referrers("sequenceState", "prospect").of(prospect.identifier):
            if state.attributes.get("state") in states:
                move(editor, state)

    return Bulk(each)


_COMMON = {
    "AddAssignments": _assign_users(on=True),
    "AssignOwner": _set_relationship("owner", "ownerId"),
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
    "prospectsAssignAccount": _set_relationship("account", "accountId"),
    "prospectsAssignOpportunity": Bulk(_assign_opportunity, ("opportunityId",)),
    "prospectsFinishAll": _for_enrollments(UNFINISHED, enrollments.finish),
    "prospectsPauseAll": _for_enrollments(frozenset({"active"}), enrollments.pause),
}
"""By action, as the catalog spells it."""


MOST_RECORDS = 100_000
AT_ONCE = 250
"""Records a batch works through between two looks at it."""

ENDED = frozenset({"finished", "failed", "canceled"})


def target(schema: Schema, action: str, parameters: Mapping[str, str]) -> ResourceType:
    """
    Return the type of the records that a bulk action is about.

    Raises
    ------
    Problem
        400, 422: no custom object is named, or one that does not exist.
    """
    if action.startswith("customObject"):
        name = parameters.get("objectName")
        if not name:
            raise bad_request("actionParameter.missing", "'actionParams[objectName]' is required.")
        kind = schema.custom_object(name)
    else:
        kind = schema.type("account" if action.startswith("account") else "prospect")
    if kind is None:
        raise invalid("There is no such custom object.")
    return kind


def wanted_ids(payload: Mapping[str, Any]) -> list[Key] | None:
    """
    Return the ids that the body names; ``None`` if it names none, which means every record that passes the filter.

    Raises
    ------
    Problem
        422: they are no list of ids.
    """
    ids = payload.get("ids")
    if ids is None:
        return None
    if not isinstance(ids, list) or not all(isinstance(each, int | str) and not isinstance(each, bool) for each in ids):
        raise invalid("Ids must be a list of ids.", pointer="/data/attributes/ids")
    return ids


def begin_batch(
    editor: UnitOfWork,
    kind: ResourceType,
    action: str,
    payload: Mapping[str, Any],
    ids: Sequence[Key],
    *,
    confirmed: bool,
) -> Record:
    """
    Create a batch over records; a confirmed one starts, another waits for its confirmation.

    Raises
    ------
    Problem
        422: the payload is not what the action takes, or there are too many records.
    """
    check_payload(editor, kind, BULK[action], payload)
    if len(ids) > MOST_RECORDS:
        raise invalid(f"A batch takes at most {MOST_RECORDS:,} records.")
    batch = editor.add(
        "batch",
        {
            "action": action,
            "state": "pending" if confirmed else "confirming",
            "total": len(ids),
            "pending": len(ids),
            "failures": 0,
            "confirmCount": len(ids),
            "confirmedCountRequired": not confirmed and len(ids) > editor.settings.batch_confirmed_count,
            "payload": {name: value for name, value in payload.items() if name != "ids"}
            | _object_payload(action, kind),
            "summary": {},
        },
    )
    for id_ in ids:
        editor.add(
            "batchItem",
            {"batchId": batch.id, "state": "pending", "failed": False, "data": str(id_)},
            {"batch": batch.identifier},
        )
    if confirmed:
        _start(editor, kind, batch)
    return batch


def confirm(editor: UnitOfWork, batch: Record, parameters: Mapping[str, str]) -> Record:
    """
    Start a batch that waits for it.

    Raises
    ------
    Problem
        422: it does not wait, or its count had to be told and was not.
    """
    if batch.attributes.get("state") != "confirming":
        raise invalid(f"Batch cannot be confirmed: it is {batch.attributes.get('state')}.")
    count = str(batch.attributes.get("confirmCount"))
    told = parameters.get("confirmedCount")
    if (batch.attributes.get("confirmedCountRequired") or told is not None) and told != count:
        raise invalid(f"Confirmed count must be {count}.")
    kind = target(editor.schema, str(batch.attributes.get("action")), _object_name(batch))
    confirmed = editor.change(batch, {"state": "pending", "confirmedAt": editor.stamp})
    _start(editor, kind, confirmed)
    return confirmed


def cancel(editor: UnitOfWork, batch: Record, _: Mapping[str, str]) -> Record:
    """
    Stop a batch; what it has done already stays.

    Raises
    ------
    Problem
        422: it has ended.
    """
    if batch.attributes.get("state") in ENDED:
        raise invalid(f"Batch cannot be canceled: it is {batch.attributes.get('state')}.")
    return editor.change(batch, {"state": "canceled", "canceledAt": editor.stamp})


def _object_payload(action: str, kind: ResourceType) -> dict[str, str]:
    return {"objectName": kind.name} if action.startswith("customObject") else {}


def _object_name(batch: Record) -> dict[str, str]:
    name = (batch.attributes.get("payload") or {}).get("objectName")
    return {"objectName": name} if name else {}


def _start(editor: UnitOfWork, kind: ResourceType, batch: Record) -> None:
    editor.state.jobs.start("batch", _work(editor, kind, batch))


def _work(editor: UnitOfWork, kind: ResourceType, batch: Record) -> Iterator[None]:
    """Work through the items of a batch as the user who asked for it, at the time of each step."""
    begun = UnitOfWork(editor.state, editor.actor)
    if _is_canceled(begun, batch):
        return
    begun.change(batch, {"state": "running", "startedAt": begun.stamp})
    items = editor.store.referrers("batchItem", "batch").of(batch.identifier)
    for start in range(0, len(items), AT_ONCE):
        yield
        now = UnitOfWork(editor.state, editor.actor)
        if _is_canceled(now, batch):
            return
        for item in items[start : start + AT_ONCE]:
            _carry_out(now, kind, batch, item)
        _count(now, batch, done=start + AT_ONCE)
    _end(UnitOfWork(editor.state, editor.actor), batch)


def _is_canceled(editor: UnitOfWork, batch: Record) -> bool:
    return editor.current(batch).attributes.get("state") == "canceled"


def _carry_out(editor: UnitOfWork, kind: ResourceType, batch: Record, item: Record) -> None:
    record = editor.find(kind.name, str(item.attributes["data"]))
    action = BULK[str(batch.attributes["action"])]
    failure = None if record else f"{kind.name[:1].upper()}{kind.name[1:]} not found"
    if record is not None:
        try:
            action.carry_out(editor, kind, record, batch.attributes["payload"])
        except Invalid as refused:
            failure = str(refused)
    outcome = {"state": "error" if failure else "finished", "failed": failure is not None, "info": failure}
    editor.change(item, outcome)


def _count(editor: UnitOfWork, batch: Record, *, done: int) -> None:
    items = editor.store.referrers("batchItem", "batch").of(batch.identifier)
    failures = sum(item.attributes.get("failed") is True for item in items)
    editor.change(batch, {"failures": failures, "pending": max(0, len(items) - done)})


def _end(editor: UnitOfWork, batch: Record) -> None:
    """Finish; a batch of which every record failed has failed."""
    batch = editor.current(batch)
    total, failures = batch.attributes["total"], batch.attributes["failures"]
    editor.change(
        batch,
        {
            "state": "failed" if total and failures == total else "finished",
            "finishedAt": editor.stamp,
            "summary": {"updated": total - failures} | ({"failed": failures} if failures else {}),
        },
    )
