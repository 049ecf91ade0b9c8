"""Rules for records: required values, unique values, and hosts of webhook URLs."""

import ipaddress
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from outreach_frames._sandbox import relations
from outreach_frames._sandbox.store import Record, as_tuple
from outreach_frames._sandbox.writes.checks import Faults, blank
from outreach_frames._sandbox.writes.request_body import Plan
from outreach_frames._sandbox.writes.unit_of_work import UnitOfWork


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


NAMED = (
    *("account", "callDisposition", "callPurpose", "contentCategory", "customDuty", "opportunity", "opportunityStage"),
    *("persona", "product", "profile", "role", "ruleset", "sequence", "snippet", "stage", "taskDisposition"),
    *("taskPurpose", "team"),
)

REQUIRED: Mapping[str, tuple[str, ...]] = dict.fromkeys(NAMED, ("name",)) | {
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
    "sequence": ("name", "sequenceType"),
    "sequenceState": ("prospect", "sequence", "mailbox"),
    "sequenceStep": ("stepType", "sequence"),
    "sequenceTemplate": ("sequenceStep", "template"),
    "task": ("subject",),
    "user": ("email",),
    "webhook": ("url",),
}
"""Documented for names; the others are what the guide and the schema's words imply."""

UNIQUE = {"prospect": ("emails",), "user": ("email",), "emailAddress": ("email",)}
EXTERNAL_IDS = {"prospect": ("externalId",), "account": ("customId",)}

HOOKS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("*", "account", "call", "emailAddress", "opportunity", "opportunityProspectRole"), ()),
    **dict.fromkeys(("prospect", "sequence"), ()),
    "mailing": ("bounced", "delivered", "opened", "replied"),
    "sequenceState": ("advanced", "finished"),
    "task": ("completed",),
}
"""Actions of a webhook's resource beside created, updated and destroyed."""

FEWER_HOOKS = {"import": ("created", "finished"), "kaiaRecording": ("created",), "user": ("created", "updated")}
"""Resources whose webhooks know only these actions."""


def check(editor: UnitOfWork, plan: Plan, faults: Faults) -> None:
    """Note what does not allow a record to be as planned."""
    if editor.settings.required_members:
        _check_required(plan, faults)
    _check_unique(editor, plan, faults)
    _check_custom(editor, plan, faults)
    rule = RULES.get(plan.type)
    if rule is not None:
        rule(editor, plan, faults)


def _check_required(plan: Plan, faults: Faults) -> None:
    for name in REQUIRED.get(plan.type, ()):
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


def _step(editor: UnitOfWork, plan: Plan, faults: Faults) -> None:
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


def _user(_: UnitOfWork, plan: Plan, faults: Faults) -> None:
    if plan.before is not None and plan.changes("email"):
        faults.attribute("email", "cannot be changed through the API")


def _webhook(editor: UnitOfWork, plan: Plan, faults: Faults) -> None:
    if plan.changes("url") and not blank(plan.attributes.get("url")):
        _check_url(editor, str(plan.attributes["url"]), faults)
    if not (plan.changes("resource") or plan.changes("action")):
        return
    resource, action = plan.attributes.get("resource"), plan.attributes.get("action")
    if resource not in HOOKS and resource not in FEWER_HOOKS:
        faults.attribute("resource", "is not included in the list")
    elif action not in {"*", *hook_actions(str(resource))}:
        faults.attribute("action", "is not included in the list")


def hook_actions(resource: str) -> tuple[str, ...]:
    """Return the actions that webhooks for a resource know, besides ``*``."""
    return FEWER_HOOKS.get(resource) or ("created", "updated", "destroyed", *HOOKS[resource])


def _check_url(editor: UnitOfWork, url: str, faults: Faults) -> None:
    parts = urlsplit(url)
    if editor.settings.webhook_loopback and is_loopback(parts.hostname):
        if parts.scheme not in {"http", "https"}:
            faults.attribute("url", "must be an HTTP or HTTPS URL")
    elif parts.scheme != "https" or not parts.hostname:
        faults.attribute("url", "must be an HTTPS URL")


RULES: Mapping[str, Callable[[UnitOfWork, Plan, Faults], None]] = {
    "sequenceStep": _step,
    "user": _user,
    "webhook": _webhook,
}
