"""Rows of logs: batches and their items, an import, the audit log, recordings, compliance requests."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import numpy as np

from outreach_frames._sandbox.seed.clock import DAY, HOUR
from outreach_frames._sandbox.seed.columns import Link, Resource, instants, records
from outreach_frames._sandbox.seed.history import History
from outreach_frames._sandbox.seed.users import FIRST_USER, ago

_BATCHES = (("finished", 0), ("finished", 1), ("canceled", 0))
_ITEMS_PER_BATCH = 3
_FAILED_ITEM = 4
_AUDITED = ("user.login", "sequence.update", "mailbox.create", "user.login")
_SPREAD = 0x9E3779B97F4A7C15F39CC0605CEDC835


def log_rows(history: History) -> Iterator[Resource]:
    """Yield the logs."""
    yield from records("batch", [_batch(history, number) for number in range(len(_BATCHES))])
    yield from records("batchItem", [_item(history, number) for number in range(len(_BATCHES) * _ITEMS_PER_BATCH)])
    yield from records("import", [_import(history)])
    yield from records("auditLog", [_audit(history, number) for number in range(len(_AUDITED))])
    yield from records("kaiaRecording", [_recording(history, number) for number in range(1, 4)])
    yield from records(
        "complianceRequest",
        [_compliance(history, number, state) for number, state in enumerate(("done", "done", "pending"))],
    )


def _uuid(number: int) -> str:
    """Make an identifier that looks random and never changes."""
    return str(UUID(int=number * _SPREAD % 2**128, version=4))


def _batch(history: History, number: int) -> dict[str, Any]:
    state, failures = _BATCHES[number]
    begun, ended = ago(history, 30 + number), ago(history, 29.9 + number)
    return {
        "action": "prospectsAddTags",
        "state": state,
        "total": _ITEMS_PER_BATCH,
        "pending": 0,
        "failures": failures,
        "confirmCount": 1,
        "confirmedCountRequired": False,
        "payload": {"tags": ["tier 1"]},
        "summary": {"updated": _ITEMS_PER_BATCH - failures},
        "createdAt": begun,
        "startedAt": begun,
        "finishedAt": ended,
        "updatedAt": ended,
        "creator": FIRST_USER,
    }


def _item(history: History, number: int) -> dict[str, Any]:
    batch, failed = number // _ITEMS_PER_BATCH, number == _FAILED_ITEM
    return {
        "batchId": batch + 1,
        "state": "error" if failed else "finished",
        "failed": failed,
        "info": "Prospect not found" if failed else None,
        "data": str(number + 1),
        "createdAt": ago(history, 30 + batch),
        "batch": Link("batch", batch + 1),
    }


def _import(history: History) -> dict[str, Any]:
    return {
        "fileName": "prospects.csv",
        "importType": "prospect",
        "state": "finished",
        "total": 3,
        "dupes": 0,
        "failures": 0,
        "dupeMethod": "skip",
        "createdAt": ago(history, 190),
        "updatedAt": ago(history, 190),
        "creator": FIRST_USER,
    }


def _audit(history: History, number: int) -> dict[str, Any]:
    name = _AUDITED[number]
    return {
        "id": _uuid(number + 1),
        "eventName": name,
        "action": name.split(".")[-1],
        "result": "success",
        "timestamp": ago(history, 9.0 - number),
        "agent": {"type": "user", "id": 1},
        "changes": [{"attribute": "name"}],
        "additionalInfo": [],
        "orgId": "1",
        "requestId": _uuid(101 + number),
    }


def _recording(history: History, number: int) -> dict[str, Any]:
    begins = history.setting.before(10.0 * number)
    start, end, ready = instants(np.array([begins, begins + HOUR / 2, begins + DAY / 8]))
    return {
        "title": f"Discovery call {number}",
        "provider": "zoom",
        "format": "video",
        "state": "ready",
        "participantCount": 2,
        "startTime": start,
        "endTime": end,
        "mediaDurationSeconds": "1800",
        "botInMeetingSeconds": "1790",
        "instanceId": _uuid(400 + number),
        "sourceId": f"0{number}",
        "host": {"name": history.cast.users.first[0]},
        "participants": [{"role": "host"}, {"role": "guest"}],
        "topics": [{"name": "Pricing"}],
        "recordingUrl": f"https://recordings.example.com/{number}",
        "createdAt": end,
        "updatedAt": ready,
    }


def _compliance(history: History, number: int, state: str) -> dict[str, Any]:
    return {
        "uuid": _uuid(200 + number),
        "batchComplianceRequestUuid": _uuid(300 + number),
        "state": state,
        "objectType": "Prospect",
        "requestType": "Delete",
        "requestObjectId": str(900_000 + number),
        "requesterId": 1,
        "pii": {},
        "requester": FIRST_USER,
        "createdAt": ago(history, 15 - number),
        "updatedAt": ago(history, 14.5 - number),
    }
