"""Batches: one action on many records, confirmed where that was asked for, with a result for each record."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from outreach_frames._sandbox.errors import Invalid, bad_request, invalid
from outreach_frames._sandbox.relations import Schema
from outreach_frames._sandbox.store import Key, Record
from outreach_frames._sandbox.writes import bulk
from outreach_frames._sandbox.writes.unit_of_work import UnitOfWork
from outreach_frames.catalog import ResourceType

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


def begin(
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
    bulk.check_payload(editor, kind, bulk.BULK[action], payload)
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
            "payload": {name: value for name, value in payload.items() if name != "ids"} | _named(action, kind),
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


def _named(action: str, kind: ResourceType) -> dict[str, str]:
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
    action = bulk.BULK[str(batch.attributes["action"])]
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
