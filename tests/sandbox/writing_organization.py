"""An organization to write in: people, an enabled sequence of three steps, and something of each type."""

from typing import Any

from outreach_frames._sandbox import Sandbox
from outreach_frames._sandbox.store import read_resources
from tests.sandbox.small_organization import resource


def writing_organization() -> list[dict[str, Any]]:
    """Return two users with a mailbox each, three prospects, two sequences, tasks and what they need."""
    return [
        resource("user", 1, {"firstName": "Ana", "email": "ana@example.com"}),
        resource("user", 2, {"firstName": "Ben", "email": "ben@example.com"}),
        resource(
            "mailbox", 1, {"email": "ana@example.com", "sendMethod": "ews", "syncMethod": "ews"}, user=("user", 1)
        ),
        resource("mailbox", 2, {"email": "ben@example.com", "sendMethod": "smtp"}, user=("user", 2)),
        resource("account", 1, {"name": "Acme", "named": True, "customId": "A-1", "tags": ["old"]}),
        resource("account", 2, {"name": "Birch", "named": True}),
        resource(
            "prospect",
            1,
            {
                "firstName": "Sally",
                "name": "Sally",
                "emails": ["sally@acme.example"],
                "tags": ["hot"],
                "externalId": "P-1",
            },
            account=("account", 1),
            owner=("user", 1),
        ),
        resource("prospect", 2, {"firstName": "Katie", "emails": ["katie@acme.example"]}, account=("account", 1)),
        resource("prospect", 3, {"firstName": "Lee", "emails": []}),
        resource("ruleset", 1, {"name": "Standard", "permitDuplicateProspects": "only_if_inactive"}),
        resource("sequence", 1, {"name": "Alpha", "sequenceType": "interval", "enabled": True}, ruleset=("ruleset", 1)),
        resource("sequenceStep", 1, {"stepType": "auto_email", "order": 1, "interval": 0}, sequence=("sequence", 1)),
        resource("sequenceStep", 2, {"stepType": "call", "order": 2, "interval": 86_400}, sequence=("sequence", 1)),
        resource("sequenceStep", 3, {"stepType": "task", "order": 3, "interval": 0}, sequence=("sequence", 1)),
        resource("template", 1, {"name": "Hello", "subject": "Hello", "bodyHtml": "<p>Hi &amp; bye</p>"}),
        resource("sequenceTemplate", 1, {"enabled": True}, sequenceStep=("sequenceStep", 1), template=("template", 1)),
        resource("sequence", 2, {"name": "Beta", "sequenceType": "interval", "enabled": True}),
        resource("sequenceStep", 4, {"stepType": "call", "order": 1, "interval": 0}, sequence=("sequence", 2)),
        resource("task", 1, {"state": "incomplete", "taskType": "manual", "action": "in_person"}, owner=("user", 1)),
        resource("stage", 1, {"name": "New"}),
        resource("persona", 1, {"name": "Buyer"}),
        resource("opportunity", 1, {"name": "Deal"}, account=("account", 1)),
        resource("product", 1, {"name": "Widget"}),
        resource("team", 1, {"name": "West"}),
        resource("contentCategory", 1, {"name": "Spring"}),
        resource("taskDisposition", 1, {"name": "Met"}),
        resource("taskPurpose", 1, {"name": "Demo"}),
        resource("taskPriority", 1, {"name": "High"}),
        resource("orgSetting", "o1", {"sendExclusions": None}),
        resource("webhook", 1, {"url": "https://hooks.example.com", "resource": "prospect", "active": False}),
        *(
            resource(type_, 1, {"name": "First"})
            for type_ in ("callDisposition", "callPurpose", "opportunityStage", "profile", "role", "snippet")
        ),
        resource("call", 1, {"direction": "outbound"}, prospect=("prospect", 1)),
        resource("emailAddress", 1, {"email": "sally@acme.example", "order": 0}, prospect=("prospect", 1)),
        resource("phoneNumber", 1, {"number": "+1555", "phoneType": "work", "order": 0}, prospect=("prospect", 1)),
        resource("accountNote", 1, {"message": "Known"}, account=("account", 1)),
        resource("prospectNote", 1, {"message": "Known"}, prospect=("prospect", 1)),
        resource("purchase", 1, {"currency": "EUR"}, account=("account", 1), product=("product", 1)),
        resource("recipient", 1, {"value": "lee@acme.example", "recipientType": "cc"}, prospect=("prospect", 3)),
        resource("favorite", 1, {}, target=("account", 1), user=("user", 1)),
        resource("opportunityProspectRole", 1, {}, opportunity=("opportunity", 1), prospect=("prospect", 2)),
        resource("contentCategoryMembership", 1, {}, content=("template", 1), contentCategory=("contentCategory", 1)),
        resource("contentCategoryOwnership", 1, {}, contentCategory=("contentCategory", 1), owner=("team", 1)),
        resource("asset", 1, {"serial": "S-1", "price": 10}, account=("account", 1)),
        resource("asset", 2, {"serial": "S-2", "price": 20}),
    ]


def restore(sandbox: Sandbox) -> None:
    """Give a running sandbox these records and no others; ids that were given out stay used."""
    for type_ in sandbox.store.types:
        for record in sandbox.store.records(type_):
            sandbox.store.remove(type_, record.id)
    for record in read_resources(writing_organization()):
        sandbox.store.put(record)
    sandbox.clear_log()
    sandbox.clear_outbox()
