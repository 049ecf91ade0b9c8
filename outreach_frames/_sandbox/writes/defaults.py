"""What Outreach fills in: values of a new record, and attributes that follow from others."""

import html
import re
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from outreach_frames._sandbox.store import Identifier, Linkage
from outreach_frames._sandbox.writes.request_body import Plan
from outreach_frames._sandbox.writes.unit_of_work import UnitOfWork
from outreach_frames.catalog import ResourceType

BLANKS: Mapping[str, Mapping[str, Any]] = {
    "account": {"named": True},
    "emailAddress": {"emailType": "work"},
    "mailbox": {"sendDisabled": False, "syncDisabled": False, "editable": True},
    "mailing": {"mailingType": "single", "trackOpens": True, "trackLinks": True, "retryCount": 0},
    "opportunityProspectRole": {"primary": False},
    "prospect": {"optedOut": False, "emailOptedOut": False, "callOptedOut": False},
    "ruleset": {"permitDuplicateProspects": "disallow", "sequenceExclusivity": "none"},
    "sequence": {
        "enabled": False,
        "locked": False,
        "shareType": "shared",
        "transactional": False,
        "throttlePaused": False,
        "primaryReplyAction": "finish",
    },
    "sequenceTemplate": {"enabled": True, "isReply": False},
    "snippet": {"shareType": "shared"},
    "task": {"taskType": "manual", "action": "action_item", "state": "incomplete", "completed": False},
    "template": {"archived": False, "shareType": "shared", "trackOpens": True, "trackLinks": True},
    "user": {"locked": False},
    "webhook": {"active": True, "resource": "*", "action": "*", "payloadVersion": 1},
}
"""Values of a new record that the request leaves open; documented for webhooks and rulesets, plausible for the rest."""

OWNERS = {
    **dict.fromkeys(("ruleset", "sequence", "snippet", "task", "template"), "owner"),
    **dict.fromkeys(("call", "favorite", "mailbox"), "user"),
    "webhook": "authorizer",
}
"""Relationships that point to the user of the token when the request leaves them open."""


TAKEN_OVER = {
    "call": {
        "sequence": ("task", "sequence"),
        "sequenceState": ("task", "sequenceState"),
        "sequenceStep": ("task", "sequenceStep"),
        "opportunity": ("task", "opportunity"),
    },
    "mailing": {"user": ("mailbox", "user")},
}
"""Relationships of a new record that are those of a record it names."""


def filled_attributes(editor: UnitOfWork, kind: ResourceType, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a new record: counters at zero, empty lists, defaults, and what was given."""
    attributes: dict[str, Any] = {}
    for name, attribute in kind.attributes.items():
        if attribute.read_only and attribute.type == "integer" and name.endswith("Count"):
            attributes[name] = 0
        elif attribute.type == "array" and attribute.items == "string":
            attributes[name] = []
    attributes |= BLANKS.get(kind.name, {})
    attributes |= {name: make() for name, make in _made(editor, kind.name).items()}
    return attributes | dict(given)


def _made(editor: UnitOfWork, type_name: str) -> Mapping[str, Callable[[], Any]]:
    """Return what is made anew for each record of a type."""

    def unique() -> str:
        return str(uuid4())

    made: dict[str, dict[str, Callable[[], Any]]] = {
        "kaiaVoiceImport": {"instanceId": unique},
        "prospect": {"contactHistogram": lambda: [[0, 0] for _ in range(12)], "addedAt": lambda: editor.stamp},
        "sequenceTemplate": {"enabledAt": lambda: editor.stamp},
        "task": {"dueAt": lambda: editor.stamp, "stateChangedAt": lambda: editor.stamp},
        "user": {"userGuid": unique},
        "webhook": {
            "cleanupToken": lambda: f"{uuid4().hex}.{uuid4().hex}.{uuid4().hex}",
            "creatorAppId": lambda: 1,
            "creatorAppName": lambda: "outreach_frames sandbox",
        },
    }
    return made.get(type_name, {})


def filled_relationships(editor: UnitOfWork, type_name: str, given: Mapping[str, Linkage]) -> dict[str, Linkage]:
    """Return the relationships of a new record: owners and what follows from what was named, and what was given."""
    owner = OWNERS.get(type_name)
    filled: dict[str, Linkage] = {owner: editor.user} if owner and editor.user else {}
    for name, (source, through) in TAKEN_OVER.get(type_name, {}).items():
        named = given.get(source)
        record = editor.find(*named) if isinstance(named, Identifier) else None
        other = editor.related(record, through) if record else None
        if other is not None:
            filled[name] = other.identifier
    subject = given.get("subject")
    if type_name == "task" and isinstance(subject, Identifier):
        filled |= _about(editor, subject)
    return filled | dict(given)


def _about(editor: UnitOfWork, subject: Identifier) -> dict[str, Linkage]:
    """Return what a task with that subject is about: the subject itself, and a prospect's account."""
    record = editor.find(*subject)
    account = editor.related(record, "account") if record and subject.type != "account" else None
    about: dict[str, Linkage] = {subject.type: subject}
    return about | {"account": account.identifier} if account else about


def following(editor: UnitOfWork, plan: Plan) -> dict[str, Any]:
    """Return the attributes that follow from the others of a record as it is about to be."""
    follow = FOLLOWING.get(plan.type)
    return follow(editor, plan) if follow else {}


def _full_name(_: UnitOfWork, plan: Plan) -> dict[str, Any]:
    parts = (plan.attributes.get("firstName"), plan.attributes.get("lastName"))
    return {"name": " ".join(part for part in parts if part) or None}


def _prospect(editor: UnitOfWork, plan: Plan) -> dict[str, Any]:
    """Opting out is stamped, opting in again clears the stamp; each channel's status and flag say the same."""
    found = _full_name(editor, plan)
    if bool(plan.attributes.get("optedOut")) != bool(plan.was("optedOut")):
        found["optedOutAt"] = editor.stamp if plan.attributes.get("optedOut") else None
    for status, flag, moment in (
        ("emailsOptStatus", "emailOptedOut", "emailsOptedAt"),
        ("callsOptStatus", "callOptedOut", "callsOptedAt"),
    ):
        if plan.attributes.get(status) != plan.was(status):
            found |= {flag: plan.attributes.get(status) == "opted_out", moment: editor.stamp}
        elif bool(plan.attributes.get(flag)) != bool(plan.was(flag)):
            found |= {status: "opted_out" if plan.attributes.get(flag) else "opted_in", moment: editor.stamp}
    return found


def _content(editor: UnitOfWork, plan: Plan) -> dict[str, Any]:
    found: dict[str, Any] = {"bodyText": plain(plan.attributes.get("bodyHtml"))}
    archived = bool(plan.attributes.get("archived"))
    if archived != bool(plan.was("archived")):
        found["archivedAt"] = editor.stamp if archived else None
    return found


def plain(body_html: str | None) -> str | None:
    """Return the text of an HTML passage."""
    if body_html is None:
        return None
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body_html)).split())


def _mailing(editor: UnitOfWork, plan: Plan) -> dict[str, Any]:
    """What a mailing does not say itself its template says; one with a time is scheduled, one without a draft."""
    named, mailbox = plan.names("template"), plan.names("mailbox")
    template = editor.find(*named) if named else None
    sender = editor.find(*mailbox) if mailbox else None
    taken = {
        name: template.attributes.get(name) if plan.attributes.get(name) is None and template else value
        for name in ("subject", "bodyHtml")
        for value in [plan.attributes.get(name)]
    }
    state = plan.attributes.get("state") or ("scheduled" if plan.attributes.get("scheduledAt") else "drafted")
    return taken | {
        "bodyText": plain(taken["bodyHtml"]),
        "mailboxAddress": sender.attributes.get("email") if sender else None,
        "state": state,
        "stateChangedAt": editor.stamp,
    }


def _sequence(_: UnitOfWork, plan: Plan) -> dict[str, Any]:
    """``finishOnReply`` is the deprecated spelling of ``primaryReplyAction``; it decides where it alone changes."""
    flag, action = plan.attributes.get("finishOnReply"), plan.attributes.get("primaryReplyAction")
    present = plan.was("primaryReplyAction") if plan.before else BLANKS["sequence"]["primaryReplyAction"]
    if flag is not None and flag != plan.was("finishOnReply") and action == present:
        action = "finish" if flag else "continue"
    return {"primaryReplyAction": action, "finishOnReply": action == "finish"}


def _step(editor: UnitOfWork, plan: Plan) -> dict[str, Any]:
    order, sequence = plan.attributes.get("order"), plan.names("sequence")
    if order is None:
        siblings = editor.store.referrers("sequenceStep", "sequence").of(sequence) if sequence else []
        order = 1 + max((each.attributes.get("order") or 0 for each in siblings if each is not plan.before), default=0)
    words = str(plan.attributes.get("stepType") or "step").replace("_", " ")
    return {"order": order, "displayName": f"Step {order}: {words}"}


def _favorite(_: UnitOfWork, plan: Plan) -> dict[str, Any]:
    target = plan.names("target")
    return {"targetId": target.id, "targetType": target.type} if target else {}


def _mailbox(_: UnitOfWork, plan: Plan) -> dict[str, Any]:
    user = plan.names("user")
    return {"userId": user.id if user else None}


def _call(editor: UnitOfWork, plan: Plan) -> dict[str, Any]:
    """The schema says Answered, the guide completed; the state says either in the guide's words."""
    answered = str(plan.attributes.get("outcome")).casefold() in {"answered", "completed"}
    return {"state": "completed" if answered else "no_answer", "stateChangedAt": editor.stamp}


def _webhook(_: UnitOfWork, __: Plan) -> dict[str, Any]:
    """Any update resets a suspension."""
    return dict.fromkeys(("disabledReason", "disabledSince", "disabledUntil"))


FOLLOWING: Mapping[str, Callable[[UnitOfWork, Plan], dict[str, Any]]] = {
    "call": _call,
    "favorite": _favorite,
    "mailbox": _mailbox,
    "mailing": _mailing,
    "prospect": _prospect,
    "sequence": _sequence,
    "sequenceStep": _step,
    "snippet": _content,
    "template": _content,
    "user": _full_name,
    "webhook": _webhook,
}
