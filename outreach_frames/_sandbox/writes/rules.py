"""Default values, derived attributes and rules of records, by resource type."""

import html
import ipaddress
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from outreach_frames import catalog
from outreach_frames._sandbox import relations
from outreach_frames._sandbox.store import Identifier, Linkage, Record, as_tuple
from outreach_frames._sandbox.writes.request_body import Faults, Plan, blank
from outreach_frames._sandbox.writes.unit_of_work import UnitOfWork
from outreach_frames.catalog import ResourceType

DEFAULTS: Mapping[str, Mapping[str, Any]] = {
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


COPIED = {
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
    attributes |= DEFAULTS.get(kind.name, {})
    attributes |= {name: make() for name, make in _generated(editor, kind.name).items()}
    return attributes | dict(given)


def _generated(editor: UnitOfWork, type_name: str) -> Mapping[str, Callable[[], Any]]:
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
    for name, (source, through) in COPIED.get(type_name, {}).items():
        named = given.get(source)
        record = editor.find(*named) if isinstance(named, Identifier) else None
        other = editor.related(record, through) if record else None
        if other is not None:
            filled[name] = other.identifier
    subject = given.get("subject")
    if type_name == "task" and isinstance(subject, Identifier):
        filled |= _task_subject(editor, subject)
    return filled | dict(given)


def _task_subject(editor: UnitOfWork, subject: Identifier) -> dict[str, Linkage]:
    """Return what a task with that subject is about: the subject itself, and a prospect's account."""
    record = editor.find(*subject)
    account = editor.related(record, "account") if record and subject.type != "account" else None
    about: dict[str, Linkage] = {subject.type: subject}
    return about | {"account": account.identifier} if account else about


def derived_attributes(editor: UnitOfWork, plan: Plan) -> dict[str, Any]:
    """Return the attributes that follow from the others of a record as it is about to be."""
    follow = DERIVED.get(plan.type)
    return follow(editor, plan) if follow else {}


def _derive_full_name(_: UnitOfWork, plan: Plan) -> dict[str, Any]:
    parts = (plan.attributes.get("firstName"), plan.attributes.get("lastName"))
    return {"name": " ".join(part for part in parts if part) or None}


def _derive_prospect(editor: UnitOfWork, plan: Plan) -> dict[str, Any]:
    """Opting out is stamped, opting in again clears the stamp; each channel's status and flag say the same."""
    found = _derive_full_name(editor, plan)
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


def _derive_content(editor: UnitOfWork, plan: Plan) -> dict[str, Any]:
    found: dict[str, Any] = {"bodyText": plain_text(plan.attributes.get("bodyHtml"))}
    archived = bool(plan.attributes.get("archived"))
    if archived != bool(plan.was("archived")):
        found["archivedAt"] = editor.stamp if archived else None
    return found


def plain_text(body_html: str | None) -> str | None:
    """Return the text of an HTML passage."""
    if body_html is None:
        return None
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body_html)).split())


def _derive_mailing(editor: UnitOfWork, plan: Plan) -> dict[str, Any]:
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
        "bodyText": plain_text(taken["bodyHtml"]),
        "mailboxAddress": sender.attributes.get("email") if sender else None,
        "state": state,
        "stateChangedAt": editor.stamp,
    }


def _derive_sequence(_: UnitOfWork, plan: Plan) -> dict[str, Any]:
    """``finishOnReply`` is the deprecated spelling of ``primaryReplyAction``; it decides where it alone changes."""
    flag, action = plan.attributes.get("finishOnReply"), plan.attributes.get("primaryReplyAction")
    present = plan.was("primaryReplyAction") if plan.before else DEFAULTS["sequence"]["primaryReplyAction"]
    if flag is not None and flag != plan.was("finishOnReply") and action == present:
        action = "finish" if flag else "continue"
    return {"primaryReplyAction": action, "finishOnReply": action == "finish"}


def _derive_step(editor: UnitOfWork, plan: Plan) -> dict[str, Any]:
    order, sequence = plan.attributes.get("order"), plan.names("sequence")
    if order is None:
        siblings = editor.store.referrers("sequenceStep", "sequence").of(sequence) if sequence else []
        order = 1 + max((each.attributes.get("order") or 0 for each in siblings if each is not plan.before), default=0)
    words = str(plan.attributes.get("stepType") or "step").replace("_", " ")
    return {"order": order, "displayName": f"Step {order}: {words}"}


def _derive_favorite(_: UnitOfWork, plan: Plan) -> dict[str, Any]:
    target = plan.names("target")
    return {"targetId": target.id, "targetType": target.type} if target else {}


def _derive_mailbox(_: UnitOfWork, plan: Plan) -> dict[str, Any]:
    user = plan.names("user")
    return {"userId": user.id if user else None}


def _derive_call(editor: UnitOfWork, plan: Plan) -> dict[str, Any]:
    """The schema says Answered, the guide completed; the state says either in the guide's words."""
    answered = str(plan.attributes.get("outcome")).casefold() in {"answered", "completed"}
    return {"state": "completed" if answered else "no_answer", "stateChangedAt": editor.stamp}


def _derive_webhook(_: UnitOfWork, __: Plan) -> dict[str, Any]:
    """Any update resets a suspension."""
    return dict.fromkeys(("disabledReason", "disabledSince", "disabledUntil"))


DERIVED: Mapping[str, Callable[[UnitOfWork, Plan], dict[str, Any]]] = {
    "call": _derive_call,
    "favorite": _derive_favorite,
    "mailbox": _derive_mailbox,
    "mailing": _derive_mailing,
    "prospect": _derive_prospect,
    "sequence": _derive_sequence,
    "sequenceStep": _derive_step,
    "snippet": _derive_content,
    "template": _derive_content,
    "user": _derive_full_name,
    "webhook": _derive_webhook,
}


def is_loopback(host: str | None) -> bool:
    """Whether a host is this machine."""
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def is_private(host: str | None) -> bool:
    """Whether a host is an address that only a private network reaches."""
    address = _address(host)
    return address is not None and (address.is_private or address.is_link_local)


def is_unknown(host: str | None) -> bool:
    """Whether a host is of the domain that is reserved for names nobody has (RFC 6761)."""
    return host is None or host.rstrip(".").endswith(".invalid")


def _address(host: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host or "")
    except ValueError:
        return None


REQUIRED: Mapping[str, tuple[str, ...]] = {
    "accountNote": ("message", "account"),
    "call": ("direction", "outcome", "prospect"),
    "contentCategoryMembership": ("content", "contentCategory"),
    "contentCategoryOwnership": ("contentCategory", "owner"),
    "emailAddress": ("email", "prospect"),
    "favorite": ("target",),
    "kaiaVoiceImport": ("callId", "recordingUrl"),
    "mailbox": ("email",),
    "mailing": ("mailbox",),
    "opportunityProspectRole": ("opportunity", "prospect"),
    "phoneNumber": ("number", "prospect"),
    "prospectNote": ("message", "prospect"),
    "purchase": ("account", "product"),
    "recipient": ("value",),
    "sequence": ("sequenceType",),
    "sequenceState": ("prospect", "sequence", "mailbox"),
    "sequenceStep": ("stepType", "sequence"),
    "sequenceTemplate": ("sequenceStep", "template"),
    "task": ("subject",),
    "user": ("email",),
    "webhook": ("url",),
}
"""Members that a new record needs besides a name; the guide and the wording of the schema imply them."""

NAMELESS = frozenset({"template"})
"""Types that have a name and do not need one."""

UNIQUE = {"prospect": ("emails",), "user": ("email",), "emailAddress": ("email",)}
EXTERNAL_IDS = {"prospect": ("externalId",), "account": ("customId",)}

_EXTRA_ACTIONS = {
    "mailing": ("bounced", "delivered", "opened", "replied"),
    "sequenceState": ("advanced", "finished"),
    "task": ("completed",),
}
"""Actions of a webhook's resource beside created, updated and destroyed."""

_FEWER_ACTIONS = {"import": ("created", "finished"), "kaiaRecording": ("created",), "user": ("created", "updated")}
"""Resources whose webhooks have only these actions."""


def check(editor: UnitOfWork, plan: Plan, faults: Faults) -> None:
    """Note what does not allow a record to be as planned."""
    if editor.settings.required_members:
        _check_required(editor, plan, faults)
    _check_unique(editor, plan, faults)
    _check_custom(editor, plan, faults)
    rule = RULES.get(plan.type)
    if rule is not None:
        rule(editor, plan, faults)


def _check_required(editor: UnitOfWork, plan: Plan, faults: Faults) -> None:
    attributes = kind.attributes if (kind := editor.schema.declared(plan.type)) else {}
    has_name = "name" in attributes and not attributes["name"].read_only and plan.type not in NAMELESS
    for name in (*(("name",) if has_name else ()), *REQUIRED.get(plan.type, ())):
        if relations.declares(plan.type, name):
            if plan.names(name) is None and plan.moves(name):
                faults.relationship(name, "must exist")
        elif blank(plan.attributes.get(name)) and plan.changes(name):
            faults.attribute(name, "can't be blank")


def _check_unique(editor: UnitOfWork, plan: Plan, faults: Faults) -> None:
    names: tuple[str, ...] = UNIQUE.get(plan.type, ())
    if editor.settings.unique_external_ids:
        names += EXTERNAL_IDS.get(plan.type, ())
    for name in names:
        if plan.changes(name) and _is_taken(editor, plan, name):
            faults.attribute(name, "has already been taken")


def _is_taken(editor: UnitOfWork, plan: Plan, name: str) -> bool:
    own = {record.identifier for record in (plan.before,) if record}
    values = set(folded(plan.attributes.get(name)))
    holders = [record for value in values for record in values_index(editor, plan.type, name).of(value)]
    if plan.type == "emailAddress":
        own |= set(as_tuple(plan.relationships.get("prospect")))
        holders += [record for value in values for record in values_index(editor, "prospect", "emails").of(value)]
    return any(record.identifier not in own for record in holders)


def _check_custom(editor: UnitOfWork, plan: Plan, faults: Faults) -> None:
    """Check custom fields by what the organization has defined them to be."""
    for name, definition in editor.state.custom_fields.get(plan.type, {}).items():
        value = plan.attributes.get(name)
        if not plan.changes(name):
            continue
        if definition.get("required") and blank(value):
            faults.attribute(name, "can't be blank")
        elif definition.get("type") == "inclusion" and not blank(value) and value not in definition["definition"]:
            faults.attribute(name, "is not included in the list")


def values_index(editor: UnitOfWork, type_name: str, name: str) -> Any:
    """Return the records of a type by the values of an attribute, in lower case."""

    def held(record: Record) -> Iterable[Hashable]:
        return folded(record.attributes.get(name))

    return editor.store.index(type_name, ("values", name), held)


def folded(value: Any) -> Iterator[str]:
    """Yield the values of an attribute, a single one or a list, in lower case."""
    for each in value if isinstance(value, list) else [value]:
        if not blank(each):
            yield str(each).casefold()


# Types with rules of their own


def _check_step(editor: UnitOfWork, plan: Plan, faults: Faults) -> None:
    """Steps of a date sequence have a date, those of an interval sequence an interval."""
    named = plan.names("sequence")
    sequence = editor.find(*named) if named else None
    if sequence is None or not (plan.changes("interval") or plan.changes("date") or plan.moves("sequence")):
        return
    dated = sequence.attributes.get("sequenceType") == "date"
    wanted, other = ("date", "interval") if dated else ("interval", "date")
    if blank(plan.attributes.get(wanted)):
        faults.attribute(wanted, "can't be blank")
    if not blank(plan.attributes.get(other)):
        faults.attribute(other, f"can't be set for {'a date' if dated else 'an interval'} sequence")


def _check_user(_: UnitOfWork, plan: Plan, faults: Faults) -> None:
    if plan.before is not None and plan.changes("email"):
        faults.attribute("email", "cannot be changed through the API")


def _check_webhook(editor: UnitOfWork, plan: Plan, faults: Faults) -> None:
    if plan.changes("url") and not blank(plan.attributes.get("url")):
        _check_url(editor, str(plan.attributes["url"]), faults)
    if not (plan.changes("resource") or plan.changes("action")):
        return
    resource, action = plan.attributes.get("resource"), plan.attributes.get("action")
    if resource not in hook_resources():
        faults.attribute("resource", "is not included in the list")
    elif action not in {"*", *hook_actions(str(resource))}:
        faults.attribute("action", "is not included in the list")


def hook_resources() -> tuple[str | int, ...]:
    """Return the resources that webhooks can be for, ``*`` among them."""
    return catalog.load().types["webhook"].attributes["resource"].enum


def hook_actions(resource: str) -> tuple[str, ...]:
    """Return the actions that webhooks for a resource can be for, besides ``*``."""
    return _FEWER_ACTIONS.get(resource) or ("created", "updated", "destroyed", *_EXTRA_ACTIONS.get(resource, ()))


def _check_url(editor: UnitOfWork, url: str, faults: Faults) -> None:
    parts = urlsplit(url)
    if editor.settings.webhook_loopback and is_loopback(parts.hostname):
        if parts.scheme not in {"http", "https"}:
            faults.attribute("url", "must be an HTTP or HTTPS URL")
    elif parts.scheme != "https" or not parts.hostname:
        faults.attribute("url", "must be an HTTPS URL")


RULES: Mapping[str, Callable[[UnitOfWork, Plan, Faults], None]] = {
    "sequenceStep": _check_step,
    "user": _check_user,
    "webhook": _check_webhook,
}
