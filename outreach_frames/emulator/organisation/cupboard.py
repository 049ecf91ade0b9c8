"""Rows of everything small: lists, labels, notes, logs and settings, a handful of each."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import numpy as np

from outreach_frames.emulator.organisation.clock import DAY, HOUR
from outreach_frames.emulator.organisation.columns import Link, Links, Resource, instants, records
from outreach_frames.emulator.organisation.history import History
from outreach_frames.emulator.organisation.wording import PERSONAS, REPLY_NOTES, STAGES

_BY_FIRST_USER = Link("user", 1)
_DUTIES = (("Sales development", "sdr"), ("Account executive", "ae"), ("Customer success", "csm"))
_CATEGORIES = ("Outbound", "Inbound", "Customers")


def cupboard(history: History) -> Iterator[Resource]:
    """Yield the small resource types."""
    stamps = {"createdAt": _ago(history, 700), "updatedAt": _ago(history, 300)}
    yield from records(
        "stage",
        [
            {"name": name, "order": order, "color": f"#{color:06X}", **stamps, "creator": _BY_FIRST_USER}
            for order, (name, color) in enumerate(STAGES, start=1)
        ],
    )
    yield from records("persona", [{"name": name, "description": text, **stamps} for name, text in PERSONAS])
    yield from records("ruleset", _rulesets(stamps))
    yield from records("snippet", [
        {
            "name": name, "bodyHtml": f"<p>{text}</p>", "bodyText": text, "shareType": "shared", "tags": ["reply"], **stamps,
            "owner": _BY_FIRST_USER, "creator": _BY_FIRST_USER,
        }
        for name, text in (("Thanks", "Thank you for getting back to me."), ("Dates", "Would Tuesday suit you?"), ("P.S.", "P.S. No slides, I promise."))
    ])  # fmt: skip
    yield from _labels(history, stamps)
    yield from _notes(history)
    yield from _logs(history)
    yield from records(
        "orgSetting",
        [
            {
                "id": "1",
                "contactExclusions": "example.org",
                "prospectEmailExclusions": "noreply@",
                "sendExclusions": "mail.example.org",
            }
        ],
    )


def _ago(history: History, days: float) -> str | None:
    return instants(np.array([history.setting.before(days)]))[0]


def _rulesets(stamps: dict[str, Any]) -> list[dict[str, Any]]:
    common = {
        **stamps, "owner": _BY_FIRST_USER, "includeUnsubscribeLinks": True, "autoResumeOotoProspects": True, "autoResumeOotoProspectsIn": 1,
        "ootoAutoExtractionEnabled": True, "sequenceExclusivity": "none", "minimumProspectTouchedInterval": 0, "stepOverridesEnabled": True,
        "deliveredStage": Link("stage", 2), "repliedStage": Link("stage", 3), "optedOutStage": Link("stage", 6),
        "bouncedStage": Link("stage", 7), "callTaskPriority": Link("taskPriority", 3),
    }  # fmt: skip
    return [
        {"name": "Default ruleset", "permitDuplicateProspects": "only_if_inactive", **common},
        {"name": "Service notices", "permitDuplicateProspects": "allow", **common, "includeUnsubscribeLinks": False},
        {"name": "Strict", "permitDuplicateProspects": "disallow", **common, "sequenceExclusivity": "all_sequences"},
    ]


def _labels(history: History, stamps: dict[str, Any]) -> Iterator[Resource]:
    """Content categories, favourites, duties."""
    yield from records("contentCategory", [
        {
            "name": name, "color": "#E69F00", "allowSequences": True, "allowSnippets": number > 1, "allowTemplates": True, **stamps,
            "creator": _BY_FIRST_USER, "teams": Links([Link("team", number)]),
        }
        for number, name in enumerate(_CATEGORIES, start=1)
    ])  # fmt: skip
    yield from records(
        "contentCategoryMembership",
        [
            {
                **stamps,
                "contentCategory": Link("contentCategory", category),
                "content": Link(*content),
                "creator": _BY_FIRST_USER,
            }
            for category, content in (
                (1, ("sequence", 1)),
                (1, ("sequence", 2)),
                (2, ("sequence", 3)),
                (2, ("template", 1)),
                (3, ("snippet", 1)),
            )
        ],
    )
    yield from records(
        "contentCategoryOwnership",
        [
            {
                **stamps,
                "contentCategory": Link("contentCategory", number),
                "owner": Link("team", number),
                "creator": _BY_FIRST_USER,
            }
            for number in range(1, len(_CATEGORIES) + 1)
        ],
    )
    yield from records(
        "favorite",
        [
            {
                **stamps,
                "targetId": id_,
                "targetType": type_,
                "target": Link(type_, id_),
                "user": _BY_FIRST_USER,
                "creator": _BY_FIRST_USER,
            }
            for type_, id_ in (("sequence", 1), ("template", 2), ("account", 1), ("prospect", 1))
        ],
    )
    yield from records("duty", [{"dutyType": "standard", "symbolicName": symbol} for _, symbol in _DUTIES])
    url = "https://hooks.example.com/outreach"
    yield from records("webhook", [
        {
            "url": f"{url}/{resource}", "resource": resource, "action": action, "active": reason is None, "payloadVersion": version,
            "disabledReason": reason, "disabledSince": None if reason is None else _ago(history, 12), **stamps,
            "creator": _BY_FIRST_USER, "authorizer": _BY_FIRST_USER,
        }
        for resource, action, version, reason in (
            ("prospect", "*", 1, None), ("mailing", "replied", 2, None), ("task", "completed", 1, "The host name could not be resolved"),
        )
    ])  # fmt: skip


def _notes(history: History) -> Iterator[Resource]:
    """Notes about accounts and prospects."""
    people, companies = min(6, len(history.cast.prospects.first)), min(5, len(history.cast.accounts.name))
    for type_, subject, count in (("accountNote", "account", companies), ("prospectNote", "prospect", people)):
        yield from records(type_, [
            {
                "message": REPLY_NOTES[number % len(REPLY_NOTES)], "noteType": "general", "pinned": number == 1,
                "createdAt": _ago(history, 20.0 - number), subject: Link(subject, number), "creator": _BY_FIRST_USER,
            }
            for number in range(1, count + 1)
        ])  # fmt: skip


def _uuid(number: int) -> str:
    return str(UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128, version=4))


def _logs(history: History) -> Iterator[Resource]:
    """Batches with their items, an import, audit log, recordings and compliance requests."""
    yield from records("batch", [
        {
            "action": "prospectsAddTags", "state": state, "total": 3, "pending": 0, "failures": failures, "confirmCount": 1,
            "confirmedCountRequired": False, "payload": {"tags": ["tier 1"]}, "summary": {"updated": 3 - failures},
            "createdAt": _ago(history, 30 + number), "startedAt": _ago(history, 30 + number), "finishedAt": _ago(history, 29.9 + number),
            "updatedAt": _ago(history, 29.9 + number), "creator": _BY_FIRST_USER,
        }
        for number, (state, failures) in enumerate((("finished", 0), ("finished", 1), ("canceled", 0)))
    ])  # fmt: skip
    yield from records("batchItem", [
        {
            "batchId": number // 3 + 1, "state": "error" if number == 4 else "finished", "failed": number == 4,  # noqa: PLR2004
            "info": "Prospect not found" if number == 4 else None, "data": str(number + 1), "createdAt": _ago(history, 30 + number // 3),  # noqa: PLR2004
            "batch": Link("batch", number // 3 + 1),
        }
        for number in range(9)
    ])  # fmt: skip
    yield from records("import", [
        {
            "fileName": "prospects.csv", "importType": "prospect", "state": "finished", "total": 3, "dupes": 0, "failures": 0, "dupeMethod": "skip",
            "createdAt": _ago(history, 190), "updatedAt": _ago(history, 190), "creator": _BY_FIRST_USER,
        }
    ])  # fmt: skip
    yield from records("auditLog", [
        {
            "id": _uuid(number), "eventName": name, "action": name.split(".")[-1], "result": "success", "timestamp": _ago(history, 9.0 - number),
            "agent": {"type": "user", "id": 1}, "changes": [{"attribute": "name"}], "additionalInfo": [], "orgId": "1", "requestId": _uuid(100 + number),
        }
        for number, name in enumerate(("user.login", "sequence.update", "mailbox.create", "user.login"), start=1)
    ])  # fmt: skip
    yield from records("kaiaRecording", [_recording(history, number) for number in range(1, 4)])
    yield from records("complianceRequest", [
        {
            "uuid": _uuid(200 + number), "batchComplianceRequestUuid": _uuid(300 + number), "state": state, "objectType": "Prospect", "requestType": "Delete",
            "requestObjectId": str(900_000 + number), "requesterId": 1, "pii": {}, "requester": _BY_FIRST_USER,
            "createdAt": _ago(history, 15 - number), "updatedAt": _ago(history, 14.5 - number),
        }
        for number, state in enumerate(("done", "done", "pending"))
    ])  # fmt: skip


def _recording(history: History, number: int) -> dict[str, Any]:
    begins = history.setting.before(10.0 * number)
    start, end = instants(np.array([begins, begins + HOUR / 2]))
    return {
        "title": f"Discovery call {number}", "provider": "zoom", "format": "video", "state": "ready", "participantCount": 2,
        "startTime": start, "endTime": end, "mediaDurationSeconds": "1800", "botInMeetingSeconds": "1790", "instanceId": _uuid(400 + number),
        "sourceId": f"0{number}", "host": {"name": history.cast.users.first[0]}, "participants": [{"role": "host"}, {"role": "guest"}],
        "topics": [{"name": "Pricing"}], "recordingUrl": f"https://recordings.example.com/{number}",
        "createdAt": end, "updatedAt": instants(np.array([begins + DAY / 8]))[0],
    }  # fmt: skip
