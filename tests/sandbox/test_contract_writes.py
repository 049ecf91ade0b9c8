"""Every write operation of the contract, sent as its schema has it, and the answer held against the schema."""

import json

import pytest

from outreach_frames import catalog
from tests.sandbox.answer_schemas import body_validator, strict_document, validator
from tests.sandbox.writing_requests import document, made

TYPES = catalog.load().types

CREATES = {
    "account": ({"name": "Cedar"}, {}),
    "accountNote": ({"message": "Known"}, {"account": ("account", 1)}),
    "call": ({"direction": "inbound", "outcome": "Answered"}, {"prospect": ("prospect", 1)}),
    "contentCategoryMembership": ({}, {"content": ("snippet", 1), "contentCategory": ("contentCategory", 1)}),
    "contentCategoryOwnership": ({}, {"contentCategory": ("contentCategory", 1), "owner": ("team", 1)}),
    "customDuty": ({"name": "Scout", "dutyType": "team"}, {}),
    "emailAddress": ({"email": "new@acme.example"}, {"prospect": ("prospect", 1)}),
    "favorite": ({}, {"target": ("sequence", 1)}),
    "kaiaVoiceImport": ({"callId": "1", "recordingUrl": "https://recordings.example.com/1"}, {}),
    "mailbox": ({"email": "cleo@example.com", "password": "secret"}, {"user": ("user", 1)}),
    "mailing": ({"subject": "Hello"}, {"mailbox": ("mailbox", 1), "prospect": ("prospect", 1)}),
    "opportunityProspectRole": ({"role": "champion"}, {"opportunity": ("opportunity", 1), "prospect": ("prospect", 1)}),
    "phoneNumber": ({"number": "+1556", "phoneType": "work"}, {"prospect": ("prospect", 1)}),
    "prospect": ({"firstName": "Ola", "emails": ["ola@acme.example"]}, {"account": ("account", 1)}),
    "prospectNote": ({"message": "Known"}, {"prospect": ("prospect", 1)}),
    "purchase": ({"totalValue": 12.5}, {"account": ("account", 1), "product": ("product", 1)}),
    "recipient": ({"value": "cc@acme.example", "recipientType": "cc"}, {}),
    "sequence": ({"name": "Gamma", "sequenceType": "date"}, {}),
    "sequenceState": (None, {"prospect": ("prospect", 1), "sequence": ("sequence", 1), "mailbox": ("mailbox", 1)}),
    "sequenceStep": ({"stepType": "call", "interval": 60}, {"sequence": ("sequence", 1)}),
    "sequenceTemplate": (None, {"sequenceStep": ("sequenceStep", 1), "template": ("template", 1)}),
    "task": ({"action": "call", "note": "Ring"}, {"subject": ("prospect", 1), "owner": ("user", 1)}),
    "template": ({"bodyHtml": "<h1>Greetings!</h1>"}, {}),
    "user": ({"email": "cleo@example.com", "firstName": "Cleo"}, {}),
    "webhook": ({"url": "https://hooks.example.com/new", "resource": "task", "action": "completed"}, {}),
}
"""What is sent for a type; types that are missing have no more than a name."""

CHANGES = {
    "accountNote": ("message", "xy"),
    "emailAddress": ("email", "xy@acme.example"),
    "mailbox": ("emailSignature", "xy"),
    "opportunityProspectRole": ("role", "xy"),
    "orgSetting": ("sendExclusions", "xy@acme.example"),
    "phoneNumber": ("extension", "12"),
    "prospect": ("title", "xy"),
    "prospectNote": ("message", "xy"),
    "purchase": ("currency", "USD"),
    "recipient": ("value", "xy@acme.example"),
    "sequenceStep": ("taskNote", "xy"),
    "sequenceTemplate": ("isReply", True),
    "task": ("note", "xy"),
    "user": ("title", "xy"),
    "webhook": ("secret", "xy"),
}
"""What is changed of a type; of the others the name is."""

UNDECLARED = {"webhook": {"cleanupToken", "creatorAppId", "creatorAppName"}}
"""Attributes that come back and are not in the schema."""

CREATED = sorted(name for name, kind in TYPES.items() if "create" in kind.operations and name != "complianceRequest")
UPDATED = sorted(name for name, kind in TYPES.items() if "update" in kind.operations)
DELETED = sorted(name for name, kind in TYPES.items() if "delete" in kind.operations)


@pytest.fixture(scope="module")
def contract(openapi_path):
    """Return the vendor's document, strict."""
    return strict_document(openapi_path)


def checked(contract, path, method, status, answer):
    """Return the resource of an answer that is as the contract declares it."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    undeclared = UNDECLARED.get(body["data"]["type"], set())
    declared = {name: each for name, each in body["data"]["attributes"].items() if name not in undeclared}
    validator(contract, path, method, status).validate({"data": body["data"] | {"attributes": declared}})
    return body["data"]


@pytest.mark.parametrize("name", CREATED)
def test_creates(contract, program, name):
    """What was sent comes back, except what is write-only; the new record can be read where its type can be."""
    kind = TYPES[name]
    attributes, related = CREATES.get(name, ({"name": "New"}, {}))
    body = document(name, attributes, **related)
    body_validator(contract, kind.path, "post").validate(body)

    new = checked(contract, kind.path, "post", 201, program.send("POST", kind.path, body))

    shown = {each: value for each, value in (attributes or {}).items() if not kind.attributes[each].write_only}
    assert new["attributes"].items() >= shown.items()
    for each, (type_, id_) in related.items():
        assert new["relationships"][each]["data"] == {"type": type_, "id": id_}
    if "get" in kind.operations:
        assert program.get(f"{kind.path}/{new['id']}") == new


@pytest.mark.parametrize("name", UPDATED)
def test_updates(contract, program, name):
    """One attribute changes; everything else stays, but for the time of the update and what follows from it."""
    kind = TYPES[name]
    id_ = "o1" if name == "orgSetting" else 1
    before = program.get(f"{kind.path}/{id_}")
    attribute, value = CHANGES.get(name, ("name", "xy"))
    body = document(name, {attribute: value}, id_=id_)
    body_validator(contract, f"{kind.path}/{{id}}", "patch").validate(body)

    answer = program.send("PATCH", f"{kind.path}/{id_}", body)

    after = checked(contract, f"{kind.path}/{{id}}", "patch", 200, answer)
    assert after["attributes"][attribute] == value
    changed = {each for each, value in after["attributes"].items() if before["attributes"].get(each) != value}
    follows = {"updatedAt", "displayName", "name", "bodyText", "userId", "finishOnReply"}
    assert changed <= {attribute} | follows


@pytest.mark.parametrize("name", DELETED)
def test_deletes(program, name):
    """Deleted once: 204 without a body; deleted twice: it cannot be found."""
    kind = TYPES[name]
    id_ = 1
    if name == "sequenceState":
        id_ = made(program.create("sequenceStates", name, **CREATES[name][1]))["id"]

    first = program.send("DELETE", f"{kind.path}/{id_}")
    second = program.send("DELETE", f"{kind.path}/{id_}")

    assert (first.status_code, first.content) == (204, b"")
    assert second.status_code == 404
    assert second.json()["errors"][0]["id"] == "resourceNotFound"


@pytest.mark.parametrize(
    ("name", "action"), [(n, a) for n in ("mailbox", "sequence", "sequenceTemplate") for a in TYPES[n].actions]
)
def test_actions_of_records(contract, program, name, action):
    """They answer with the record; linking an Exchange account answers with an empty object."""
    path = f"{TYPES[name].path}/{{id}}/actions/{action}"

    answer = program.act(path.format(id=2 if name == "sequence" else 1))

    if "Ews" in action:
        assert (answer.status_code, answer.json()) == (200, {})
    else:
        checked(contract, path, "post", 200, answer)


def test_every_write_operation_is_a_route(program, openapi_path):
    """None of the contract's operations is answered with 404 or 405 for its path or method."""
    asked = 0
    for name, kind in TYPES.items():
        sent = [("POST", kind.path)] if "create" in kind.operations else []
        sent += [("PATCH", f"{kind.path}/0")] if "update" in kind.operations else []
        sent += [("DELETE", f"{kind.path}/0")] if "delete" in kind.operations else []
        sent += [("POST", f"{kind.path}/0/actions/{action}") for action in kind.actions]
        sent += [("POST", f"{kind.path}/actions/{action}") for action in kind.collection_actions]
        for method, path in sent:
            asked += 1
            answer = program.send(method, path, {"data": {"type": name}} if method != "DELETE" else None)
            ids = {error["id"] for error in answer.json().get("errors", [])} if answer.content else set()
            assert not ids & {"routeNotFound", "methodNotAllowed"}, (method, path)
    written = json.loads(openapi_path.read_text())["paths"].values()
    assert asked == sum(method != "get" for path in written for method in path)
