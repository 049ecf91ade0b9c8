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
from outreach_frames._sandbox.store import Identifier, Record, ResourceLinkage, as_tuple
from outreach_frames._sandbox.writes.request_body import ErrorList, Plan, blank
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
"""Default values of a new record; documented for webhooks and rulesets, plausible for the rest."""

_OWNERS = {
    **dict.fromkeys(("ruleset", "sequence", "snippet", "task", "template"), "owner"),
    **dict.fromkeys(("call", "favorite", "mailbox"), "user"),
    "webhook": "authorizer",
}
"""Relationships that are the user of the token by default."""


_COPIED = {
    "call": {
        "sequence": ("task", "sequence"),
        "sequenceState": ("task", "sequenceState"),
        "sequenceStep": ("task", "sequenceStep"),
        "opportunity": ("task", "opportunity"),
    },
    "mailing": {"user": ("mailbox", "user")},
}
"""Relationships of a new record that are copied from a related record."""


def filled_attributes(unit: UnitOfWork, kind: ResourceType, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a new record: counters at zero, empty lists, defaults, and the values of the request."""
    attributes: dict[str, Any] = {}
    for name, attribute in kind.attributes.items():
        if attribute.read_only and attribute.type == "integer" and name.endswith("Count"):
            attributes[name] = 0
        elif attribute.type == "array" and attribute.items == "string":
            attributes[name] = []
    attributes |= DEFAULTS.get(kind.name, {})
    attributes |= {name: make() for name, make in _generated(unit, kind.name).items()}
    return attributes | dict(values)


def _generated(unit: UnitOfWork, type_name: str) -> Mapping[str, Callable[[], Any]]:
    """Return functions that generate values of a new record of a type."""

    def unique() -> str:
        return str(uuid4())

    generators: dict[str, dict[str, Callable[[], Any]]] = {
        "kaiaVoiceImport": {"instanceId": unique},
        "prospect": {"contactHistogram": lambda: [[0, 0] for _ in range(12)], "addedAt": lambda: unit.stamp},
        "sequenceTemplate": {"enabledAt": lambda: unit.stamp},
        "task": {"dueAt": lambda: unit.stamp, "stateChangedAt": lambda: unit.stamp},
        "user": {"userGuid": unique},
        "webhook": {
            "cleanupToken": lambda: f"{uuid4().hex}.{uuid4().hex}.{uuid4().hex}",
            "creatorAppId": lambda: 1,
            "creatorAppName": lambda: "outreach_frames sandbox",
        },
    }
    return generators.get(type_name, {})


def filled_relationships(
    unit: UnitOfWork, type_name: str, values: Mapping[str, ResourceLinkage]
) -> dict[str, ResourceLinkage]:
    """Return the relationships of a new record: owners, copied ones, and those of the request."""
    owner = _OWNERS.get(type_name)
    filled: dict[str, ResourceLinkage] = {owner: unit.user} if owner and unit.user else {}
    for name, (source, through) in _COPIED.get(type_name, {}).items():
        identifier = values.get(source)
        record = unit.find(*identifier) if isinstance(identifier, Identifier) else None
        other = unit.related(record, through) if record else None
        if other is not None:
            filled[name] = other.identifier
    subject = values.get("subject")
    if type_name == "task" and isinstance(subject, Identifier):
        filled |= _task_subject(unit, subject)
    return filled | dict(values)


def _task_subject(unit: UnitOfWork, subject: Identifier) -> dict[str, ResourceLinkage]:
    """Return the relationships of a task to its subject, and to a prospect's account."""
    record = unit.find(*subject)
    account = unit.related(record, "account") if record and subject.type != "account" else None
    about: dict[str, ResourceLinkage] = {subject.type: subject}
    return about | {"account": account.identifier} if account else about


def derived_attributes(unit: UnitOfWork, plan: Plan) -> dict[str, Any]:
    """Return the attributes that follow from the others of a planned record."""
    follow = _DERIVED.get(plan.type)
    return follow(unit, plan) if follow else {}


def _derive_full_name(_: UnitOfWork, plan: Plan) -> dict[str, Any]:
    parts = (plan.attributes.get("firstName"), plan.attributes.get("lastName"))
    return {"name": " ".join(part for part in parts if part) or None}


def _derive_prospect(unit: UnitOfWork, plan: Plan) -> dict[str, Any]:
    """Set the time of an opt-out, and clear it after an opt-in; make status and flag of each channel agree."""
    derived = _derive_full_name(unit, plan)
    if bool(plan.attributes.get("optedOut")) != bool(plan.was("optedOut")):
        derived["optedOutAt"] = unit.stamp if plan.attributes.get("optedOut") else None
    for status, flag, moment in (
        ("emailsOptStatus", "emailOptedOut", "emailsOptedAt"),
        ("callsOptStatus", "callOptedOut", "callsOptedAt"),
    ):
        if plan.attributes.get(status) != plan.was(status):
            derived |= {flag: plan.attributes.get(status) == "opted_out", moment: unit.stamp}
        elif bool(plan.attributes.get(flag)) != bool(plan.was(flag)):
            derived |= {status: "opted_out" if plan.attributes.get(flag) else "opted_in", moment: unit.stamp}
    return derived


def _derive_content(unit: UnitOfWork, plan: Plan) -> dict[str, Any]:
    derived: dict[str, Any] = {"bodyText": _plain_text(plan.attributes.get("bodyHtml"))}
    archived = bool(plan.attributes.get("archived"))
    if archived != bool(plan.was("archived")):
        derived["archivedAt"] = unit.stamp if archived else None
    return derived


def _plain_text(body_html: str | None) -> str | None:
    """Return the text of an HTML passage."""
    if body_html is None:
        return None
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body_html)).split())


def _derive_mailing(unit: UnitOfWork, plan: Plan) -> dict[str, Any]:
    """Copy missing content from the template; a mailing with a time is scheduled, one without is a draft."""
    template_id, mailbox = plan.names("template"), plan.names("mailbox")
    template = unit.find(*template_id) if template_id else None
    sender = unit.find(*mailbox) if mailbox else None
    content = {
        name: template.attributes.get(name) if plan.attributes.get(name) is None and template else value
        for name in ("subject", "bodyHtml")
        for value in [plan.attributes.get(name)]
    }
    state = plan.attributes.get("state") or ("scheduled" if plan.attributes.get("scheduledAt") else "drafted")
    return content | {
        "bodyText": _plain_text(content["bodyHtml"]),
        "mailboxAddress": sender.attributes.get("email") if sender else None,
        "state": state,
        "stateChangedAt": unit.stamp,
    }


def _derive_sequence(_: UnitOfWork, plan: Plan) -> dict[str, Any]:
    """``finishOnReply`` is the deprecated form of ``primaryReplyAction``; it counts if only it changes."""
    flag, action = plan.attributes.get("finishOnReply"), plan.attributes.get("primaryReplyAction")
    present = plan.was("primaryReplyAction") if plan.before else DEFAULTS["sequence"]["primaryReplyAction"]
    if flag is not None and flag != plan.was("finishOnReply") and action == present:
        action = "finish" if flag else "continue"
    return {"primaryReplyAction": action, "finishOnReply": action == "finish"}


def _derive_step(unit: UnitOfWork, plan: Plan) -> dict[str, Any]:
    order, sequence = plan.attributes.get("order"), plan.names("sequence")
    if order is None:
        siblings = unit.store.referrers("sequenceStep", "sequence").of(sequence) if sequence else []
        order = 1 + max((each.attributes.get("order") or 0 for each in siblings if each is not plan.before), default=0)
    words = str(plan.attributes.get("stepType") or "step").replace("_", " ")
    return {"order": order, "displayName": f"Step {order}: {words}"}


def _derive_favorite(_: UnitOfWork, plan: Plan) -> dict[str, Any]:
    target = plan.names("target")
    return {"targetId": target.id, "targetType": target.type} if target else {}


def _derive_mailbox(_: UnitOfWork, plan: Plan) -> dict[str, Any]:
    user = plan.names("user")
    return {"userId": user.id if user else None}


def _derive_call(unit: UnitOfWork, plan: Plan) -> dict[str, Any]:
    """The schema has Answered, the guide completed; the state uses the guide's values for both."""
    answered = str(plan.attributes.get("outcome")).casefold() in {"answered", "completed"}
    return {"state": "completed" if answered else "no_answer", "stateChangedAt": unit.stamp}


def _derive_webhook(_: UnitOfWork, __: Plan) -> dict[str, Any]:
    """End a suspension at any update."""
    return dict.fromkeys(("disabledReason", "disabledSince", "disabledUntil"))


_DERIVED: Mapping[str, Callable[[UnitOfWork, Plan], dict[str, Any]]] = {
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


def is_this_machine(host: str | None) -> bool:
    """Whether a host is this machine."""
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def is_private(host: str | None) -> bool:
    """Whether a host is an address of a private network."""
    address = _address(host)
    return address is not None and (address.is_private or address.is_link_local)


def is_unknown(host: str | None) -> bool:
    """Whether a host name is reserved to be invalid (RFC 6761)."""
    return host is None or host.rstrip(".").endswith(".invalid")


def _address(host: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host or "")
    except ValueError:
        return None


_REQUIRED: Mapping[str, tuple[str, ...]] = {
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

_NAMELESS = frozenset({"template"})
"""Types that have a name and do not need one."""

_UNIQUE = {"prospect": ("emails",), "user": ("email",), "emailAddress": ("email",)}
_EXTERNAL_IDS = {"prospect": ("externalId",), "account": ("customId",)}

_EXTRA_ACTIONS = {
    "mailing": ("bounced", "delivered", "opened", "replied"),
    "sequenceState": ("advanced", "finished"),
    "task": ("completed",),
}
"""Actions of a webhook's resource beside created, updated and destroyed."""

_FEWER_ACTIONS = {"import": ("created", "finished"), "kaiaRecording": ("created",), "user": ("created", "updated")}
"""Resources whose webhooks have only these actions."""


def check_plan(unit: UnitOfWork, plan: Plan, errors: ErrorList) -> None:
    """Add the errors of a planned record."""
    if unit.settings.required_members:
        _check_required(unit, plan, errors)
    _check_unique(unit, plan, errors)
    _check_custom(unit, plan, errors)
    rule = _TYPE_CHECKS.get(plan.type)
    if rule is not None:
        rule(unit, plan, errors)


def _check_required(unit: UnitOfWork, plan: Plan, errors: ErrorList) -> None:
    attributes = kind.attributes if (kind := unit.schema.declared(plan.type)) else {}
    has_name = "name" in attributes and not attributes["name"].read_only and plan.type not in _NAMELESS
    for name in (*(("name",) if has_name else ()), *_REQUIRED.get(plan.type, ())):
        if relations.declares(plan.type, name):
            if plan.names(name) is None and plan.moves(name):
                errors.relationship(name, "must exist")
        elif blank(plan.attributes.get(name)) and plan.changes(name):
            errors.attribute(name, "can't be blank")


def _check_unique(unit: UnitOfWork, plan: Plan, errors: ErrorList) -> None:
    names: tuple[str, ...] = _UNIQUE.get(plan.type, ())
    if unit.settings.unique_external_ids:
        names += _EXTERNAL_IDS.get(plan.type, ())
    for name in names:
        if plan.changes(name) and _is_used(unit, plan, name):
            errors.attribute(name, "has already been taken")


def _is_used(unit: UnitOfWork, plan: Plan, name: str) -> bool:
    own = {record.identifier for record in (plan.before,) if record}
    values = set(_casefolded_values(plan.attributes.get(name)))
    holders = [record for value in values for record in values_index(unit, plan.type, name).of(value)]
    if plan.type == "emailAddress":
        own |= set(as_tuple(plan.relationships.get("prospect")))
        holders += [record for value in values for record in values_index(unit, "prospect", "emails").of(value)]
    return any(record.identifier not in own for record in holders)


def _check_custom(unit: UnitOfWork, plan: Plan, errors: ErrorList) -> None:
    """Check custom fields by their definitions."""
    for name, definition in unit.state.custom_fields.get(plan.type, {}).items():
        value = plan.attributes.get(name)
        if not plan.changes(name):
            continue
        if definition.get("required") and blank(value):
            errors.attribute(name, "can't be blank")
        elif definition.get("type") == "inclusion" and not blank(value) and value not in definition["definition"]:
            errors.attribute(name, "is not included in the list")


def values_index(unit: UnitOfWork, type_name: str, name: str) -> Any:
    """Return the records of a type by the values of an attribute, in lower case."""

    def values(record: Record) -> Iterable[Hashable]:
        return _casefolded_values(record.attributes.get(name))

    return unit.store.index(type_name, ("values", name), values)


def _casefolded_values(value: Any) -> Iterator[str]:
    """Yield the values of an attribute, a single one or a list, in lower case."""
    for each in value if isinstance(value, list) else [value]:
        if not blank(each):
            yield str(each).casefold()


# Rules of single types


def _check_step(unit: UnitOfWork, plan: Plan, errors: ErrorList) -> None:
    """Check that steps of a date sequence have a date, and those of an interval sequence an interval."""
    identifier = plan.names("sequence")
    sequence = unit.find(*identifier) if identifier else None
    if sequence is None or not (plan.changes("interval") or plan.changes("date") or plan.moves("sequence")):
        return
    dated = sequence.attributes.get("sequenceType") == "date"
    needed, other = ("date", "interval") if dated else ("interval", "date")
    if blank(plan.attributes.get(needed)):
        errors.attribute(needed, "can't be blank")
    if not blank(plan.attributes.get(other)):
        errors.attribute(other, f"can't be set for {'a date' if dated else 'an interval'} sequence")


def _check_user(_: UnitOfWork, plan: Plan, errors: ErrorList) -> None:
    if plan.before is not None and plan.changes("email"):
        errors.attribute("email", "cannot be changed through the API")


def _check_webhook(unit: UnitOfWork, plan: Plan, errors: ErrorList) -> None:
    if plan.changes("url") and not blank(plan.attributes.get("url")):
        _check_url(unit, str(plan.attributes["url"]), errors)
    if not (plan.changes("resource") or plan.changes("action")):
        return
    resource, action = plan.attributes.get("resource"), plan.attributes.get("action")
    if resource not in hook_resources():
        errors.attribute("resource", "is not included in the list")
    elif action not in {"*", *hook_actions(str(resource))}:
        errors.attribute("action", "is not included in the list")


def hook_resources() -> tuple[str | int, ...]:
    """Return the resources that webhooks can be for, ``*`` among them."""
    return catalog.load().types["webhook"].attributes["resource"].enum


def hook_actions(resource: str) -> tuple[str, ...]:
    """Return the actions that webhooks for a resource can be for, besides ``*``."""
    return _FEWER_ACTIONS.get(resource) or ("created", "updated", "destroyed", *_EXTRA_ACTIONS.get(resource, ()))


def _check_url(unit: UnitOfWork, url: str, errors: ErrorList) -> None:
    parts = urlsplit(url)
    if unit.settings.webhook_loopback and is_this_machine(parts.hostname):
        if parts.scheme not in {"http", "https"}:
            errors.attribute("url", "must be an HTTP or HTTPS URL")
    elif parts.scheme != "https" or not parts.hostname:
        errors.attribute("url", "must be an HTTPS URL")


_TYPE_CHECKS: Mapping[str, Callable[[UnitOfWork, Plan, ErrorList], None]] = {
    "sequenceStep": _check_step,
    "user": _check_user,
    "webhook": _check_webhook,
}
