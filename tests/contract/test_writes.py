"""
Every write operation of the contract, sent by the client, judged by the vendor's document and by Prism.

The calls are generated from the catalog, with every attribute and relationship that can be written; that they are the
document's operations, none missing and none made up, is a test of its own.
"""

import contextlib
import datetime as dt
import json

import jsonschema
import pytest

import outreach_frames as of
from outreach_frames.catalog import load
from outreach_frames.errors import DocumentError, ValidationError
from tests.background_process import serving
from tests.contract.write_contract import MEDIA_TYPE, WriteContract, sample
from tests.scripted_server import Scripted, Server

TYPES = load().types
IDS = {"orgSetting": "o1"}
"""Ids of types whose ids are text; those of the others are 7."""
PARAMETERS = {
    "completionAction": "finish_no_reply",
    "completionNote": "Spoke to Ann & Bo",
    "confirmedCount": 3,
    "dueAt": "2026-04-01T09:00:00Z",
    "hash": "9a0364b9e99bb480dd25e1f0284c8555",
    "markAsUrgent": True,
    "note": "Ring [twice] = ü",
    "objectName": "Property",
    "opportunityAssociation": 5,
    "ownerId": 1,
    "skipConfirmation": True,
    "storageKey": "uploads/1",
    "taskDispositionId": 2,
    "taskPurposeId": 3,
}
LONG = 1000
"""Characters of the longest text; where a type has 150 such, Prism takes no request with texts of full length."""


def operations():
    """Return what the catalog says can be written, as method and path."""
    verbs = {"create": ("POST", ""), "update": ("PATCH", "/{id}"), "delete": ("DELETE", "/{id}")}
    for kind in TYPES.values():
        yield from ((method, kind.path + rest) for verb, (method, rest) in verbs.items() if verb in kind.operations)
        yield from (("POST", f"{kind.path}/{{id}}/actions/{action}") for action in kind.actions)
        yield from (("POST", f"{kind.path}/actions/{action}") for action in kind.collection_actions)


OPERATIONS = sorted(operations())
WRITING = [
    (method, path)
    for method, path in OPERATIONS
    if "actions" not in path and method != "DELETE" and path != "/complianceRequests"
]
"""Those with a body of attributes and relationships; that of a compliance request is unlike all others."""


@pytest.fixture(scope="module")
def contract(openapi_path):
    return WriteContract(openapi_path)


def accepted(request):
    """Return the record of the type that a request is about."""
    kind = load().resource(request.path.strip("/").split("/")[0])
    data = {"type": kind.name, "id": IDS.get(kind.name, 7)}
    if kind.name == "complianceRequest":
        data = {"batch_compliance_request_id": "6a2f41a3-c54c-4e0e-8d7b-2f1c7d2b9d11"}
    return Scripted(204, b"") if request.method == "DELETE" else Scripted.of({"data": data})


@pytest.fixture(scope="module")
def organization():
    """Return a server that takes everything."""
    with Server(accepted) as server:
        yield server


@pytest.fixture(scope="module")
def org(organization, tmp_path_factory):
    """Return a connection to it."""
    with of.connect("anything", organization.url, cache_dir=tmp_path_factory.mktemp("cache")) as client:
        yield client


@pytest.fixture(scope="module")
def asking_prism(prism, openapi_path, tmp_path_factory):
    """Return a connection to Prism with the document as it was published."""
    command = [*prism, "mock", "-h", "127.0.0.1", "-p", "0", str(openapi_path)]
    with (
        serving(command, r"listening on (\S+)") as base_url,
        of.connect("anything", base_url, cache_dir=tmp_path_factory.mktemp("cache")) as client,
    ):
        yield client


def value(attribute, number):
    """Return a value for an attribute: one of those documented, else a text as long as may be."""
    documented = [each for each in attribute.enum if len(str(each)) <= (attribute.max_length or 255)]
    if documented and attribute.type in {"string", "integer"}:
        return documented[number % len(documented)]
    if attribute.format is not None:
        moment = dt.datetime(2026, 4, 1, 9, 0, 0, 123000, tzinfo=dt.UTC)
        values = {"date-time": moment, "date": moment.date(), "email": "ana@example.com", "float": 2.5}
        return values[attribute.format]
    addresses = ["ana@example.com", "bo@example.com"]
    values = {"integer": 3, "number": 2.5, "boolean": number % 2 == 0, "array": addresses, "object": {"a": [1, None]}}
    return values.get(attribute.type, "é" * min(attribute.max_length or LONG, LONG))


def linked(relationship, number):
    """Return a value for a relationship: one of the types it may point to, or a list with each of them."""
    if relationship.many:
        return [of.ref(4, target) for target in relationship.targets]
    return of.ref(4, relationship.targets[number % len(relationship.targets)])


def everything_of(kind, number=0):
    """Return values for all that can be written of a type; numbers bring other values of those that have several."""
    attributes = {a.name: value(a, number) for a in kind.attributes.values() if not a.read_only}
    return attributes | {r.name: linked(r, number) for r in kind.relationships.values() if not r.read_only}


def variants(kind):
    """Return how many numbers it takes to name every documented value and every type of a relationship once."""
    several = [a.enum for a in kind.attributes.values() if not a.read_only]
    several += [r.targets for r in kind.relationships.values() if not r.read_only and not r.many]
    return max(map(len, several), default=1)


def send(client, contract, operation, number=0):
    """Have the client carry out an operation with all that it takes."""
    method, path = operation
    plural, *rest = path.strip("/").split("/")
    kind = load().resource(plural)
    id_ = IDS.get(kind.name, 7)
    if kind.name == "complianceRequest":
        return of.compliance.request_deletion(client, "ann@acme.example", requester="bo@example.com")
    if "actions" in rest:
        return act(client, contract, operation, kind, id_ if rest[0] == "{id}" else None)
    if method == "DELETE":
        return client.delete(plural, id_)
    if method == "PATCH":
        return client.update(plural, id_, **everything_of(kind, number))
    return client.create(plural, **everything_of(kind, number))


def act(client, contract, operation, kind, id_):
    """Carry out an action with all its parameters and, on a collection, all members of its body."""
    action = operation[1].rpartition("/")[2]
    names, _ = contract.parameters(operation)
    values = {name: PARAMETERS[name] for name in names - {"filter"}}
    values |= {name: sample(schema) for name, schema in contract.members(operation).items()}
    chosen = {"filter": {"id": [1, 2]}} if "filter" in names else {}
    return client.act(kind.plural, id_, action, **chosen, **values)


def test_every_write_operation_of_the_contract_is_sent_and_no_other(org, organization, contract):
    organization.requests.clear()

    for operation in OPERATIONS:
        send(org, contract, operation)

    sent = [contract.operation(each.method, each.path) for each in organization.requests]
    assert len(sent) == len(set(sent))
    assert set(sent) == contract.operations


@pytest.mark.parametrize("operation", OPERATIONS, ids=" ".join)
def test_every_request_is_as_the_document_declares_it(org, organization, contract, operation):
    """Path, parameters, media type, and a body without a member that the document does not have."""
    organization.requests.clear()

    send(org, contract, operation)

    (request,) = organization.requests
    assert contract.operation(request.method, request.path) == operation
    assert request.headers["Content-Type"] == MEDIA_TYPE
    contract.check(operation, request.path, request.body)


@pytest.mark.parametrize("operation", WRITING, ids=" ".join)
def test_every_documented_value_and_every_related_type_is_declared(org, organization, contract, operation):
    """As many requests as the attribute with the most values has values."""
    kind = load().resource(operation[1].strip("/").split("/")[0])
    organization.requests.clear()

    for number in range(variants(kind)):
        send(org, contract, operation, number)

    for request in organization.requests:
        contract.check(operation, request.path, request.body)


@pytest.mark.parametrize("operation", WRITING, ids=" ".join)
def test_everything_that_can_be_written_is_in_the_request(org, organization, contract, operation):
    """So that what the tests above judge is all there is: every member of the document but the read-only ones."""
    kind = load().resource(operation[1].strip("/").split("/")[0])
    organization.requests.clear()

    send(org, contract, operation)

    data = json.loads(organization.requests[0].body)["data"]
    assert set(data.get("attributes", ())) == contract.writable(kind.name)
    assert set(data.get("relationships", ())) == contract.writable(f"{kind.name}Relationships")


@pytest.mark.parametrize("operation", OPERATIONS, ids=" ".join)
def test_prism_takes_every_request(asking_prism, contract, operation):
    """
    Prism answers 422 to what its document does not allow, which the client raises.

    What it answers otherwise is not judged: in the document as published a record is of the type "string".
    """
    with contextlib.suppress(DocumentError):
        send(asking_prism, contract, operation)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/accounts", {"data": {"type": "account", "attributes": {"name": 5}}}),
        ("/accounts", {"data": {"type": "account", "relationships": {"owner": {"data": {"type": "team", "id": 1}}}}}),
        ("/tasks/seven/actions/advance", None),
    ],
)
def test_prism_would_refuse_a_wrong_request(asking_prism, path, body):
    with pytest.raises(ValidationError):
        asking_prism.session.send("POST", path, body=json.dumps(body).encode() if body else None)


@pytest.mark.parametrize(
    ("url", "body"),
    [
        ("/accounts", {"data": {"type": "account", "attributes": {"nosuch": "x"}}}),
        ("/accounts", {"data": {"type": "account", "attributes": {"name": "x" * 256}}}),
        ("/accounts", {"data": {"type": "account", "relationships": {"owner": {"data": {"type": "team", "id": 1}}}}}),
        ("/accounts", {"data": {"type": "account", "nosuch": {}}}),
        ("/prospects", {"data": {"type": "prospect", "attributes": {"emails": ["nobody"]}}}),
    ],
)
def test_a_request_that_is_not_of_the_contract_would_be_noticed(contract, url, body):
    with pytest.raises(jsonschema.ValidationError):
        contract.check(("POST", url), url, json.dumps(body).encode())


@pytest.mark.parametrize("query", ["", "actionParams[ownerId]=1&actionParams[nosuch]=2", "ownerId=1"])
def test_a_parameter_that_is_missing_or_undeclared_would_be_noticed(contract, query):
    with pytest.raises(AssertionError):
        contract.check(("POST", "/tasks/{id}/actions/reassignOwner"), f"/tasks/7/actions/reassignOwner?{query}", b"")


@pytest.mark.parametrize(
    ("kind", "attribute", "documented"),
    [
        (kind.name, attribute.name, documented)
        for kind in TYPES.values()
        if "create" in kind.operations and kind.name != "complianceRequest"
        for attribute in kind.attributes.values()
        if attribute.type == "string" and not attribute.read_only
        for documented in attribute.enum
    ],
)
def test_every_documented_value_can_be_sent(org, organization, kind, attribute, documented):
    """Also where the document gives a length that is shorter than its own values (a sequence's reply actions)."""
    organization.requests.clear()

    org.create(kind, **{attribute: documented})

    (request,) = organization.requests
    assert json.loads(request.body)["data"]["attributes"] == {attribute: documented}
