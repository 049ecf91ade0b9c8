"""Batches: one action on many records, with confirmation and a result for each record."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from outreach_frames._sandbox.errors import InvalidError, bad_request, invalid
from outreach_frames._sandbox.relations import UNFINISHED, Schema
from outreach_frames._sandbox.store import Identifier, Key, Record, ResourceLinkage, as_tuple, key_of
from outreach_frames._sandbox.writes import enrollments, records
from outreach_frames._sandbox.writes.request_body import Draft, ErrorList, blank, checked_attributes, spoken
from outreach_frames._sandbox.writes.unit_of_work import UnitOfWork
from outreach_frames.catalog import ResourceType

_BulkPayload = Mapping[str, Any]


_ENVELOPE = frozenset({"ids", "fieldName", "fieldValue", "objectName"})
"""Members of a modification's payload that are not attributes."""


@dataclass(frozen=True)
class Bulk:
    """
    One bulk action.

    Attributes
    ----------
    carry_out
        The effect on a record.
    needs, takes
        Required and optional members of the payload, besides ``ids``. A modification takes any attribute.
    modifies
        Whether the payload contains attributes.
    """

    carry_out: Callable[[UnitOfWork, ResourceType, Record, _BulkPayload], None]
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    modifies: bool = False


def _check_payload(unit: UnitOfWork, kind: ResourceType, bulk: Bulk, payload: _BulkPayload) -> None:
    """
    Check the payload of a bulk action.

    Raises
    ------
    HttpError
        422: something is missing, has another type, or does not exist.
    """
    errors = ErrorList()
    if bulk.modifies:
        attributes = changes(payload)
        checked_attributes(kind, Draft(attributes=attributes), unit.settings, errors)
        if not attributes:
            errors.attribute("fieldName", "can't be blank")
    else:
        for name in payload.keys() - {*bulk.needs, *bulk.takes, "ids"}:
            errors.attribute(name, "is not taken by this action")
    for name in bulk.needs:
        _check_need(unit, name, payload.get(name), errors)
    errors.raise_any()


def _check_need(unit: UnitOfWork, name: str, value: Any, errors: ErrorList) -> None:
    if blank(value):
        errors.attribute(name, "can't be blank")
    elif name.endswith("Id"):
        if not isinstance(value, int | str) or unit.find(_payload_type(name), value) is None:
            errors.attribute(name, f"must name a {_payload_type(name)} that exists")
    elif not isinstance(value, list):
        errors.attribute(name, "must be a list")
    elif name == "userIds" and any(unit.find("user", each) is None for each in value):
        errors.attribute(name, "must name users that exist")


def changes(payload: _BulkPayload) -> dict[str, Any]:
    """Return the attributes a modification sets: ``{field: value, …}``, or ``fieldName`` and ``fieldValue``."""
    attributes = {name: value for name, value in payload.items() if name not in _ENVELOPE}
    return attributes | ({str(payload["fieldName"]): payload.get("fieldValue")} if "fieldName" in payload else {})


def _payload_type(name: str) -> str:
    """Return the type of the record that a member of a payload names: ``accountId`` → ``account``."""
    return "user" if name == "ownerId" else name.removesuffix("Id")


def _payload_record(unit: UnitOfWork, payload: _BulkPayload, name: str) -> Record:
    record = unit.find(_payload_type(name), payload[name])
    if record is None:
        raise invalid(f"{spoken(name)} does not exist anymore.")
    return record


def _destroy(unit: UnitOfWork, _: ResourceType, record: Record, __: _BulkPayload) -> None:
    records.delete_record(unit, record)


def _modify(unit: UnitOfWork, kind: ResourceType, record: Record, payload: _BulkPayload) -> None:
    records.update_record(unit, kind, record, Draft(attributes=changes(payload)))


def _tag(*, on: bool) -> Bulk:
    def tag(unit: UnitOfWork, _: ResourceType, record: Record, payload: _BulkPayload) -> None:
        others = [each for each in record.attributes.get("tags") or [] if each not in payload["tags"]]
        unit.change(record, {"tags": others + payload["tags"] if on else others})

    return Bulk(tag, ("tags",))


def _assign_users(*, on: bool) -> Bulk:
    def assign(unit: UnitOfWork, _: ResourceType, record: Record, payload: _BulkPayload) -> None:
        users = tuple(Identifier("user", key_of("user", each)) for each in payload["userIds"])
        others = tuple(each for each in as_tuple(record.relationships.get("assignedUsers")) if each not in users)
        unit.change(record, {}, {"assignedUsers": others + users if on else others})

    return Bulk(assign, ("userIds",))


def _unassign_all(unit: UnitOfWork, _: ResourceType, record: Record, __: _BulkPayload) -> None:
    unit.change(record, {}, {"assignedUsers": ()})


def _set_relationship(relationship: str, name: str) -> Bulk:
    def point(unit: UnitOfWork, _: ResourceType, record: Record, payload: _BulkPayload) -> None:
        linkage: Mapping[str, ResourceLinkage] = {relationship: _payload_record(unit, payload, name).identifier}
        unit.change(record, {}, linkage)

    return Bulk(point, (name,))


def _assign_opportunity(unit: UnitOfWork, _: ResourceType, prospect: Record, payload: _BulkPayload) -> None:
    opportunity = _payload_record(unit, payload, "opportunityId")
    relationships = {"opportunity": opportunity.identifier, "prospect": prospect.identifier}
    roles = unit.all_related(prospect, "opportunityProspectRoles")
    if not any(role.relationships.get("opportunity") == opportunity.identifier for role in roles):
        unit.add("opportunityProspectRole", {"primary": False}, relationships)


def _add_to_sequence(unit: UnitOfWork, _: ResourceType, prospect: Record, payload: _BulkPayload) -> None:
    sequence, mailbox = _payload_record(unit, payload, "sequenceId"), _payload_record(unit, payload, "mailboxId")
    enrollments.enroll_prospect(unit, prospect, sequence, mailbox)


def _for_enrollments(states: frozenset[str], move: Callable[[UnitOfWork, Record], object]) -> Bulk:
    def each(unit: UnitOfWork, _: ResourceType, prospect: Record, __: _BulkPayload) -> None:
        for state in unit.store.referrers("sequenceState", "prospect").of(prospect.identifier):
            if state.attributes.get("state") in states:
                move(unit, state)

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

_BULK: Mapping[str, Bulk] = {
    **{f"{plural}{name}": bulk for plural in ("accounts", "prospects") for name, bulk in _COMMON.items()},
    "accountAddTags": _tag(on=True),
    "customObjectBulkDelete": Bulk(_destroy),
    "customObjectBulkModify": Bulk(_modify, modifies=True),
    "prospectsAddTags": _tag(on=True),
    "prospectsAddToSequence": Bulk(_add_to_sequence, ("sequenceId", "mailboxId"), ("stepOverrides",)),
    "prospectsAssignAccount": _set_relationship("account", "accountId"),
    "prospectsAssignOpportunity": Bulk(_assign_opportunity, ("opportunityId",)),
    "prospectsFinishAll": _for_enrollments(UNFINISHED, enrollments.finish_enrollment),
    "prospectsPauseAll": _for_enrollments(frozenset({"active"}), enrollments.pause_enrollment),
}
"""Bulk actions by name."""


MOST_RECORDS = 100_000
AT_ONCE = 250
"""Records per step of a batch."""

_END_STATES = frozenset({"finished", "failed", "canceled"})


def target(schema: Schema, action: str, parameters: Mapping[str, str]) -> ResourceType:
    """
    Return the type of the records of a bulk action.

    Raises
    ------
    HttpError
        400, 422: the custom object is missing or does not exist.
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


def requested_ids(payload: Mapping[str, Any]) -> list[Key] | None:
    """
    Return the ids in the body; ``None`` without ids, which means every record that matches the filter.

    Raises
    ------
    HttpError
        422: they are not a list of ids.
    """
    ids = payload.get("ids")
    if ids is None:
        return None
    if not isinstance(ids, list) or not all(isinstance(each, int | str) and not isinstance(each, bool) for each in ids):
        raise invalid("Ids must be a list of ids.", pointer="/data/attributes/ids")
    return ids


def begin_batch(
    unit: UnitOfWork,
    kind: ResourceType,
    action: str,
    payload: Mapping[str, Any],
    ids: Sequence[Key],
    *,
    confirmed: bool,
) -> Record:
    """
    Create a batch; it starts at once if confirmed, otherwise it waits for confirmation.

    Raises
    ------
    HttpError
        422: the payload is not valid, or there are too many records.
    """
    _check_payload(unit, kind, _BULK[action], payload)
    if len(ids) > MOST_RECORDS:
        raise invalid(f"A batch takes at most {MOST_RECORDS:,} records.")
    batch = unit.add(
        "batch",
        {
            "action": action,
            "state": "pending" if confirmed else "confirming",
            "total": len(ids),
            "pending": len(ids),
            "failures": 0,
            "confirmCount": len(ids),
            "confirmedCountRequired": not confirmed and len(ids) > unit.settings.batch_confirmed_count,
            "payload": {name: value for name, value in payload.items() if name != "ids"}
            | _object_payload(action, kind),
            "summary": {},
        },
    )
    for id_ in ids:
        unit.add(
            "batchItem",
            {"batchId": batch.id, "state": "pending", "failed": False, "data": str(id_)},
            {"batch": batch.identifier},
        )
    if confirmed:
        _start(unit, kind, batch)
    return batch


def confirm(unit: UnitOfWork, batch: Record, parameters: Mapping[str, str]) -> Record:
    """
    Start a batch that waits for confirmation.

    Raises
    ------
    HttpError
        422: it does not wait, or the count is missing or wrong.
    """
    if batch.attributes.get("state") != "confirming":
        raise invalid(f"Batch cannot be confirmed: it is {batch.attributes.get('state')}.")
    count = str(batch.attributes.get("confirmCount"))
    confirmed_count = parameters.get("confirmedCount")
    if (batch.attributes.get("confirmedCountRequired") or confirmed_count is not None) and confirmed_count != count:
        raise invalid(f"Confirmed count must be {count}.")
    kind = target(unit.schema, str(batch.attributes.get("action")), _object_name(batch))
    confirmed = unit.change(batch, {"state": "pending", "confirmedAt": unit.stamp})
    _start(unit, kind, confirmed)
    return confirmed


def cancel(unit: UnitOfWork, batch: Record, _: Mapping[str, str]) -> Record:
    """
    Stop a batch; records that are already changed stay changed.

    Raises
    ------
    HttpError
        422: it has ended.
    """
    if batch.attributes.get("state") in _END_STATES:
        raise invalid(f"Batch cannot be canceled: it is {batch.attributes.get('state')}.")
    return unit.change(batch, {"state": "canceled", "canceledAt": unit.stamp})


def _object_payload(action: str, kind: ResourceType) -> dict[str, str]:
    return {"objectName": kind.name} if action.startswith("customObject") else {}


def _object_name(batch: Record) -> dict[str, str]:
    name = (batch.attributes.get("payload") or {}).get("objectName")
    return {"objectName": name} if name else {}


def _start(unit: UnitOfWork, kind: ResourceType, batch: Record) -> None:
    unit.state.jobs.start("batch", _work(unit, kind, batch))


def _work(unit: UnitOfWork, kind: ResourceType, batch: Record) -> Iterator[None]:
    """Process the items of a batch as the user who started it, at the time of each step."""
    started = UnitOfWork(unit.state, unit.actor)
    if _is_canceled(started, batch):
        return
    started.change(batch, {"state": "running", "startedAt": started.stamp})
    items = unit.store.referrers("batchItem", "batch").of(batch.identifier)
    for start in range(0, len(items), AT_ONCE):
        yield
        now = UnitOfWork(unit.state, unit.actor)
        if _is_canceled(now, batch):
            return
        for item in items[start : start + AT_ONCE]:
            _carry_out(now, kind, batch, item)
        _update_counts(now, batch, done=start + AT_ONCE)
    _finish_batch(UnitOfWork(unit.state, unit.actor), batch)


def _is_canceled(unit: UnitOfWork, batch: Record) -> bool:
    return unit.current(batch).attributes.get("state") == "canceled"


def _carry_out(unit: UnitOfWork, kind: ResourceType, batch: Record, item: Record) -> None:
    record = unit.find(kind.name, str(item.attributes["data"]))
    action = _BULK[str(batch.attributes["action"])]
    failure = None if record else f"{kind.name[:1].upper()}{kind.name[1:]} not found"
    if record is not None:
        try:
            action.carry_out(unit, kind, record, batch.attributes["payload"])
        except InvalidError as refused:
            failure = str(refused)
    outcome = {"state": "error" if failure else "finished", "failed": failure is not None, "info": failure}
    unit.change(item, outcome)


def _update_counts(unit: UnitOfWork, batch: Record, *, done: int) -> None:
    items = unit.store.referrers("batchItem", "batch").of(batch.identifier)
    failures = sum(item.attributes.get("failed") is True for item in items)
    unit.change(batch, {"failures": failures, "pending": max(0, len(items) - done)})


def _finish_batch(unit: UnitOfWork, batch: Record) -> None:
    """Finish a batch; it has failed if every record failed."""
    batch = unit.current(batch)
    total, failures = batch.attributes["total"], batch.attributes["failures"]
    unit.change(
        batch,
        {
            "state": "failed" if total and failures == total else "finished",
            "finishedAt": unit.stamp,
            "summary": {"updated": total - failures} | ({"failed": failures} if failures else {}),
        },
    )
