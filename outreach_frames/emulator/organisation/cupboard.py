"""Rows of lists and labels: stages, personas, rulesets, snippets, categories, favourites, webhooks, notes, settings."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from outreach_frames.emulator.organisation.columns import Link, Links, Resource, instants, records
from outreach_frames.emulator.organisation.history import History
from outreach_frames.emulator.organisation.wording import PERSONAS, REPLY_NOTES, STAGES

FIRST_USER = Link("user", 1)
_DUTIES = ("sdr", "ae", "csm")
_CATEGORIES = ("Outbound", "Inbound", "Customers")
_CATEGORISED = ((1, "sequence", 1), (1, "sequence", 2), (2, "sequence", 3), (2, "template", 1), (3, "snippet", 1))
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
    return instants(np.array([history.setting.before(days)]))[0]


def cupboard(history: History) -> Iterator[Resource]:
    """Yield the lists and labels."""
    made = {"createdAt": ago(history, 700), "updatedAt": ago(history, 300), "creator": FIRST_USER}
    dated = {name: made[name] for name in ("createdAt", "updatedAt")}
    yield from records(
        "stage",
        [
            made | {"name": name, "order": order, "color": f"#{color:06X}"}
            for order, (name, color) in enumerate(STAGES, 1)
        ],
    )
    yield from records("persona", [dated | {"name": name, "description": text} for name, text in PERSONAS])
    yield from records("ruleset", _rulesets(dated))
    shared = made | {"owner": FIRST_USER, "shareType": "shared", "tags": ["reply"]}
    yield from records(
        "snippet", [shared | {"name": name, "bodyHtml": f"<p>{text}</p>", "bodyText": text} for name, text in _SNIPPETS]
    )
    yield from _categories(made)
    yield from records("duty", [{"dutyType": "standard", "symbolicName": symbol} for symbol in _DUTIES])
    yield from _webhooks(history, made)
    yield from _notes(history)
    exclusions = {"prospectEmailExclusions": "noreply@", "sendExclusions": "mail.example.org"}
    yield from records("orgSetting", [{"id": "1", "contactExclusions": "example.org"} | exclusions])


def _rulesets(dated: dict[str, Any]) -> list[dict[str, Any]]:
    """Three rulesets: the usual one, one for service notices, one that lets nobody be in two sequences."""
    usual = dated | {
        "name": "Default ruleset",
        "owner": FIRST_USER,
        "permitDuplicateProspects": "only_if_inactive",
        "includeUnsubscribeLinks": True,
        "autoResumeOotoProspects": True,
        "autoResumeOotoProspectsIn": 1,
        "ootoAutoExtractionEnabled": True,
        "sequenceExclusivity": "none",
        "minimumProspectTouchedInterval": 0,
        "stepOverridesEnabled": True,
        "deliveredStage": Link("stage", 2),
        "repliedStage": Link("stage", 3),
        "optedOutStage": Link("stage", 6),
        "bouncedStage": Link("stage", 7),
        "callTaskPriority": Link("taskPriority", 3),
    }
    notices = {"name": "Service notices", "permitDuplicateProspects": "allow", "includeUnsubscribeLinks": False}
    strict = {"name": "Strict", "permitDuplicateProspects": "disallow", "sequenceExclusivity": "all_sequences"}
    return [usual, usual | notices, usual | strict]


def _categories(made: dict[str, Any]) -> Iterator[Resource]:
    """Content categories with what is in them and who owns them, and favourites."""
    allowed = made | {"color": "#E69F00", "allowSequences": True, "allowSnippets": True, "allowTemplates": True}
    numbered = list(enumerate(_CATEGORIES, start=1))
    yield from records(
        "contentCategory", [allowed | {"name": name, "teams": Links.to("team", [number])} for number, name in numbered]
    )
    yield from records(
        "contentCategoryMembership",
        [
            made | {"contentCategory": Link("contentCategory", category), "content": Link(type_, id_)}
            for category, type_, id_ in _CATEGORISED
        ],
    )
    yield from records(
        "contentCategoryOwnership",
        [
            made | {"contentCategory": Link("contentCategory", number), "owner": Link("team", number)}
            for number, _ in numbered
        ],
    )
    yield from records(
        "favorite",
        [
            made | {"user": FIRST_USER, "targetId": id_, "targetType": type_, "target": Link(type_, id_)}
            for type_, id_ in _FAVORITES
        ],
    )


def _webhooks(history: History, made: dict[str, Any]) -> Iterator[Resource]:
    """Two webhooks at work and one suspended."""
    yield from records(
        "webhook",
        [
            made
            | {
                "url": f"https://hooks.example.com/outreach/{resource}",
                "resource": resource,
                "action": action,
                "payloadVersion": version,
                "active": reason is None,
                "disabledReason": reason,
                "disabledSince": None if reason is None else ago(history, 12),
                "authorizer": FIRST_USER,
            }
            for resource, action, version, reason in _WEBHOOKS
        ],
    )


def _notes(history: History) -> Iterator[Resource]:
    """Notes about the first few accounts and prospects."""
    people, companies = len(history.cast.prospects.first), len(history.cast.accounts.name)
    for type_, subject, count in (("accountNote", "account", companies), ("prospectNote", "prospect", people)):
        yield from records(
            type_,
            [
                {
                    "message": REPLY_NOTES[number % len(REPLY_NOTES)],
                    "noteType": "general",
                    "pinned": number == 1,
                    "createdAt": ago(history, 20.0 - number),
                    subject: Link(subject, number),
                    "creator": FIRST_USER,
                }
                for number in range(1, min(6, count) + 1)
            ],
        )
