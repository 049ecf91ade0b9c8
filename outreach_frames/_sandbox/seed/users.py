"""Rows of users, teams, mailboxes, reference data and logs."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import numpy as np

from outreach_frames._sandbox.seed.columns import (
    Pointers,
    Resource,
    ToMany,
    ToOne,
    column_resources,
    instant_cells,
    pick,
    row_resources,
)
from outreach_frames._sandbox.seed.history import History
from outreach_frames._sandbox.seed.journeys import MAIL_NOT_SENT
from outreach_frames._sandbox.seed.names import OFFICES, PERSONAS, PROSPECT_STAGES, REPLY_NOTES, USER_TITLES
from outreach_frames._sandbox.seed.people import TRAITS
from outreach_frames._sandbox.seed.simulation import DAY_S, HOUR_S, MINUTE_S

_TEAMS = ("Outbound North America", "Outbound EMEA", "Customer success", "Leadership")
_CUSTOMERS, _LEADERS = 2, 3
SELLING = ("Inside sales", "Field")
_ROLES = ("Sales", "Sales development", "Account executives", "Customer success")
_PROFILES = (("Admin", True, "admin"), ("Standard", False, "default"), ("Manager", False, None))
_FOUNDED_DAYS = 1_200.0
_OLD_MAILBOX = "old"


def mailbox_emails(history: History) -> list[str]:
    """Address of every mailbox by position: the users' own, and an old one of the first user."""
    users = history.cast.users
    return [*users.email, f"{_OLD_MAILBOX}.{users.email[0]}"]


def user_rows(history: History, pointers: Pointers) -> Iterator[Resource]:
    """Yield users, roles, profiles, teams, mailboxes and mail aliases."""
    founded = instant_cells(np.array([history.simulation.before(_FOUNDED_DAYS)]))[0]
    stamps = {"createdAt": founded, "updatedAt": founded}
    yield from _user_rows(history, pointers)
    top, below = ToOne("role", 1), ToMany.to("role", range(2, len(_ROLES) + 1))
    yield from row_resources("role", [{"name": _ROLES[0], "childRoles": below, **stamps}])
    lower = (
        {"id": number, "name": name, "parentRole": top, **stamps} for number, name in enumerate(_ROLES[1:], start=2)
    )
    yield from row_resources("role", list(lower))
    profiles = ({"name": name, "isAdmin": admin, "specialId": special, **stamps} for name, admin, special in _PROFILES)
    yield from row_resources("profile", list(profiles))
    members = _teams(history)
    for number, name in enumerate(_TEAMS):
        users = ToMany.to("user", (np.flatnonzero(members == number) + 1).tolist())
        team = {"id": number + 1, "name": name, "color": "#56B4E9", "creator": ToOne("user", 1), "users": users}
        yield from row_resources("team", [team | stamps])
    yield from _mailboxes(history, pointers)
    for number in range(1, min(4, len(mailbox_emails(history))) + 1):
        alias = {"id": number, "email": f"hello+{number}@sales.example.com", "canSend": number % 2 == 1}
        yield from row_resources("mailAlias", [alias | stamps | {"mailbox": ToOne("mailbox", number)}])


def _teams(history: History) -> np.ndarray:
    """Team of every user: by continent, one in five in customer success, the first in leadership."""
    count = len(history.cast.users.first)
    region = np.isin(
        history.cast.users.location, (OFFICES.index("London"), OFFICES.index("Dresden"), OFFICES.index("Bengaluru"))
    ).astype(int)
    teams = np.where(np.arange(1, count + 1) % 5 == 0, _CUSTOMERS, region)
    teams[0] = _LEADERS
    return teams


def _user_rows(history: History, pointers: Pointers) -> Iterator[Resource]:
    users, as_of, rng = history.cast.users, history.simulation.as_of, history.simulation.random("users")
    count, numbers = len(users.first), np.arange(len(users.first))
    signed_in = np.where(users.locked, as_of - 40 * DAY_S, as_of - rng.uniform(0.1, 4, count) * DAY_S)
    teams = _teams(history)
    attributes = {
        "firstName": users.first,
        "lastName": users.last,
        "name": [f"{first} {last}" for first, last in zip(users.first, users.last, strict=True)],
        "email": users.email,
        "username": [email.split("@")[0] for email in users.email],
        "title": pick(USER_TITLES, np.where(teams == _CUSTOMERS, 3, numbers % 3)),
        "locked": users.locked.tolist(),
        "phoneNumber": [f"+1617555{100 + number % 100:04d}" for number in numbers.tolist()],
        "phoneCountryCode": "US",
        "phoneType": "voip",
        "userGuid": [str(UUID(int=int.from_bytes(rng.bytes(16), "big"), version=4)) for _ in numbers],
        "currentSignInAt": instant_cells(np.floor(signed_in)),
        "lastSignInAt": instant_cells(np.floor(signed_in - DAY_S)),
        "dailyDigestEmailEnabled": (numbers % 2 == 0).tolist(),
        "notificationsEnabled": True,
        "enableVoiceRecordings": False,
        "duties": {"leader": False},
        "defaultRulesetId": 1,
        "custom1": pick(SELLING, numbers % 3 - 1),
        "createdAt": instant_cells(users.created),
        "updatedAt": instant_cells(np.floor(signed_in)),
    }
    mailboxes = pointers.many("mailbox", users.mailbox_user, np.arange(len(users.mailbox_user)) + 1, count=count)
    team = pointers.many("team", numbers, teams + 1, count=count)
    relationships = {
        "role": pointers.one("role", np.where(teams == _CUSTOMERS, 4, numbers % 2 + 2)),
        "profile": pointers.one("profile", np.where(numbers == 0, 1, np.where(numbers % 7 == 1, 3, 2))),
        "teams": team,
        "mailbox": pointers.one("mailbox", numbers + 1),
        "mailboxes": mailboxes,
        "creator": pointers.one("user", np.where(numbers == 0, 0, 1)),
    }
    yield from column_resources("user", range(1, count + 1), attributes, relationships)


def _mailboxes(history: History, pointers: Pointers) -> Iterator[Resource]:
    """Yield the mailboxes: one lost its synchronization weeks ago, one may not send."""
    simulation, emails = history.simulation, mailbox_emails(history)
    count, owner = len(emails), history.cast.users.mailbox_user
    position, created = np.arange(count), history.cast.users.created[owner]
    blind, disabled = position == TRAITS.blind, position == TRAITS.disabled
    sent = np.full(count, np.nan)
    used = ~np.isnan(history.mailings["sent"])
    np.fmax.at(sent, history.mailings["mailbox"][used], history.mailings["sent"][used])
    synced = np.where(blind, simulation.before(TRAITS.blind_days), simulation.as_of - 4 * MINUTE_S)
    tried = history.mailings["status"] == MAIL_NOT_SENT
    errored = np.full(count, np.nan)
    np.fmax.at(errored, history.mailings["mailbox"][tried], history.mailings["attempted"][tried])
    google = position % 3 != 0
    attributes = {
        "email": emails,
        "username": emails,
        "emailProvider": pick(("office365_oauth2", "google_oauth2"), google.astype(int)),
        "sendMethod": pick(("ews", "smtp"), google.astype(int)),
        "syncMethod": pick(("ews", "gmail_api"), google.astype(int)),
        "sendDisabled": disabled.tolist(),
        "syncDisabled": False,
        "editable": True,
        "sendRequiresSync": False,
        "maxEmailsPerDay": 2_000,
        "maxMailingsPerDay": np.where(position == TRAITS.limited, 40, 400).tolist(),
        "maxMailingsPerWeek": np.where(position == TRAITS.limited, 200, 2_000).tolist(),
        "sendThreshold": 30,
        "sendPeriod": 600,
        "sendMaxRetries": 3,
        "syncActiveFrequency": 300,
        "syncPassiveFrequency": 3_600,
        "sendSuccessAt": instant_cells(sent),
        "sendErroredAt": instant_cells(errored),
        "syncSuccessAt": instant_cells(synced),
        "syncFinishedAt": instant_cells(synced),
        "syncErroredAt": instant_cells(np.where(blind, simulation.as_of - HOUR_S, np.nan)),
        "userId": (owner + 1).tolist(),
        "createdAt": instant_cells(created),
        "updatedAt": instant_cells(np.fmax(created, sent)),
    }
    user = pointers.one("user", owner + 1)
    yield from column_resources(
        "mailbox", range(1, count + 1), attributes, {"user": user, "creator": user, "updater": user}
    )


_FIRST_USER = ToOne("user", 1)
_DUTIES = ("sdr", "ae", "csm")
_CATEGORIES = ("Outbound", "Inbound", "Customers")
_CATEGORIZED = ((1, "sequence", 1), (1, "sequence", 2), (2, "sequence", 3), (2, "template", 1), (3, "snippet", 1))
_FAVORITES = (("sequence", 1), ("template", 2), ("account", 1), ("prospect", 1))
_SNIPPETS = (
    ("Thanks", "Thank you for getting back to me."),
    ("Dates", "Would Tuesday suit you?"),
    ("P.S.", "P.S. No slides, I promise."),
)
_WEBHOOKS = (
    ("prospect", "*", 1, None),
    ("mailing", "replied", 2, None),
    ("task", "completed", 1, "The host name could not be resolved"),
)


def ago(history: History, days: float) -> str | None:
    """Write the instant this many days before now."""
    return instant_cells(np.array([history.simulation.before(days)]))[0]


def reference_rows(history: History) -> Iterator[Resource]:
    """Yield stages, personas, rulesets, snippets, content categories, duties, webhooks, notes and settings."""
    stamps = {"createdAt": ago(history, 700), "updatedAt": ago(history, 300), "creator": _FIRST_USER}
    dated = {name: stamps[name] for name in ("createdAt", "updatedAt")}
    yield from row_resources(
        "stage",
        [
            stamps | {"name": name, "order": order, "color": f"#{color:06X}"}
            for order, (name, color) in enumerate(PROSPECT_STAGES, 1)
        ],
    )
    yield from row_resources("persona", [dated | {"name": name, "description": text} for name, text in PERSONAS])
    yield from row_resources("ruleset", _rulesets(dated))
    shared = stamps | {"owner": _FIRST_USER, "shareType": "shared", "tags": ["reply"]}
    yield from row_resources(
        "snippet", [shared | {"name": name, "bodyHtml": f"<p>{text}</p>", "bodyText": text} for name, text in _SNIPPETS]
    )
    yield from _categories(stamps)
    yield from row_resources("duty", [{"dutyType": "standard", "symbolicName": symbol} for symbol in _DUTIES])
    yield from _webhooks(history, stamps)
    yield from _notes(history)
    exclusions = {"prospectEmailExclusions": "noreply@", "sendExclusions": "mail.example.org"}
    yield from row_resources("orgSetting", [{"id": "1", "contactExclusions": "example.org"} | exclusions])


def _rulesets(dated: dict[str, Any]) -> list[dict[str, Any]]:
    """Return three rulesets: the default, one for service notices, one that forbids two sequences at a time."""
    usual = dated | {
        "name": "Default ruleset",
        "owner": _FIRST_USER,
        "permitDuplicateProspects": "only_if_inactive",
        "includeUnsubscribeLinks": True,
        "autoResumeOotoProspects": True,
        "autoResumeOotoProspectsIn": 1,
        "ootoAutoExtractionEnabled": True,
        "sequenceExclusivity": "none",
        "minimumProspectTouchedInterval": 0,
        "stepOverridesEnabled": True,
        "deliveredStage": ToOne("stage", 2),
        "repliedStage": ToOne("stage", 3),
        "optedOutStage": ToOne("stage", 6),
        "bouncedStage": ToOne("stage", 7),
        "callTaskPriority": ToOne("taskPriority", 3),
    }
    notices = {"name": "Service notices", "permitDuplicateProspects": "allow", "includeUnsubscribeLinks": False}
    strict = {"name": "Strict", "permitDuplicateProspects": "disallow", "sequenceExclusivity": "all_sequences"}
    return [usual, usual | notices, usual | strict]


def _categories(stamps: dict[str, Any]) -> Iterator[Resource]:
    """Yield content categories with members and owners, and favorites."""
    allowed = stamps | {"color": "#E69F00", "allowSequences": True, "allowSnippets": True, "allowTemplates": True}
    numbered = list(enumerate(_CATEGORIES, start=1))
    yield from row_resources(
        "contentCategory", [allowed | {"name": name, "teams": ToMany.to("team", [number])} for number, name in numbered]
    )
    yield from row_resources(
        "contentCategoryMembership",
        [
            stamps | {"contentCategory": ToOne("contentCategory", category), "content": ToOne(type_, id_)}
            for category, type_, id_ in _CATEGORIZED
        ],
    )
    yield from row_resources(
        "contentCategoryOwnership",
        [
            stamps | {"contentCategory": ToOne("contentCategory", number), "owner": ToOne("team", number)}
            for number, _ in numbered
        ],
    )
    yield from row_resources(
        "favorite",
        [
            stamps | {"user": _FIRST_USER, "targetId": id_, "targetType": type_, "target": ToOne(type_, id_)}
            for type_, id_ in _FAVORITES
        ],
    )


def _webhooks(history: History, stamps: dict[str, Any]) -> Iterator[Resource]:
    """Yield two active webhooks and a suspended one."""
    yield from row_resources(
        "webhook",
        [
            stamps
            | {
                "url": f"https://hooks.example.com/outreach/{resource}",
                "resource": resource,
                "action": action,
                "payloadVersion": version,
                "active": reason is None,
                "disabledReason": reason,
                "disabledSince": None if reason is None else ago(history, 12),
                "authorizer": _FIRST_USER,
            }
            for resource, action, version, reason in _WEBHOOKS
        ],
    )


def _notes(history: History) -> Iterator[Resource]:
    """Yield notes about the first accounts and prospects."""
    people, companies = len(history.cast.prospects.first), len(history.cast.accounts.name)
    for type_, subject, count in (("accountNote", "account", companies), ("prospectNote", "prospect", people)):
        yield from row_resources(
            type_,
            [
                {
                    "message": REPLY_NOTES[number % len(REPLY_NOTES)],
                    "noteType": "general",
                    "pinned": number == 1,
                    "createdAt": ago(history, 20.0 - number),
                    subject: ToOne(subject, number),
                    "creator": _FIRST_USER,
                }
                for number in range(1, min(6, count) + 1)
            ],
        )


_BATCHES = (("finished", 0), ("finished", 1), ("canceled", 0))
_ITEMS_PER_BATCH = 3
_FAILED_ITEM = 4
_AUDITED = ("user.login", "sequence.update", "mailbox.create", "user.login")
_SPREAD = 0x9E3779B97F4A7C15F39CC0605CEDC835


def log_rows(history: History) -> Iterator[Resource]:
    """Yield batches, imports, audit logs, recordings and compliance requests."""
    yield from row_resources("batch", [_batch(history, number) for number in range(len(_BATCHES))])
    yield from row_resources(
        "batchItem", [_batch_item(history, number) for number in range(len(_BATCHES) * _ITEMS_PER_BATCH)]
    )
    yield from row_resources("import", [_import(history)])
    yield from row_resources("auditLog", [_audit(history, number) for number in range(len(_AUDITED))])
    yield from row_resources("kaiaRecording", [_recording(history, number) for number in range(1, 4)])
    yield from row_resources(
        "complianceRequest",
        [_compliance(history, number, state) for number, state in enumerate(("done", "done", "pending"))],
    )


def _uuid(number: int) -> str:
    """Return a UUID that depends only on the number."""
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
        "creator": _FIRST_USER,
    }


def _batch_item(history: History, number: int) -> dict[str, Any]:
    batch, failed = number // _ITEMS_PER_BATCH, number == _FAILED_ITEM
    return {
        "batchId": batch + 1,
        "state": "error" if failed else "finished",
        "failed": failed,
        "info": "Prospect not found" if failed else None,
        "data": str(number + 1),
        "createdAt": ago(history, 30 + batch),
        "batch": ToOne("batch", batch + 1),
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
        "creator": _FIRST_USER,
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
    begins = history.simulation.before(10.0 * number)
    start, end, ready = instant_cells(np.array([begins, begins + HOUR_S / 2, begins + DAY_S / 8]))
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
        "requester": _FIRST_USER,
        "createdAt": ago(history, 15 - number),
        "updatedAt": ago(history, 14.5 - number),
    }
