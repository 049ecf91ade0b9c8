"""The sandbox's answers against the vendor's own schemas, which nothing in this project wrote."""

import copy
import json

import pytest

from outreach_frames import catalog
from outreach_frames._sandbox import Sandbox
from tests.sandbox.answer_schemas import strict_document, validator
from tests.sandbox.small_organization import asking

SAMPLES = {"string": "é", "integer": 3, "number": 2.5, "boolean": True, "object": {"a": 1}}
FORMATS = {"date-time": "2025-01-01T09:00:00.000Z", "date": "2025-01-01", "email": "ana@example.com"}
LISTABLE = sorted(name for name, kind in catalog.load().types.items() if "list" in kind.operations)
READABLE = sorted(name for name, kind in catalog.load().types.items() if "get" in kind.operations)


@pytest.fixture(scope="module")
def document(openapi_path):
    """Return the vendor's document, strict."""
    return strict_document(openapi_path)


def filled(openapi, name, id_):
    """Return a resource with a value in every attribute and linkage in every relationship of the contract."""
    schemas = openapi["components"]["schemas"]

    def value(schema):
        if schema.get("type") == "array":
            return [value(schema["items"])] if "type" in schema["items"] else [[0, 1]]
        return FORMATS.get(schema.get("format")) or SAMPLES[schema["type"]]

    def linkage(schema):
        declared = schema["properties"]["data"]
        if declared.get("type") == "array":
            return [identifier(declared["items"]), identifier(declared["items"])]
        return identifier(declared)

    def identifier(schema):
        return {"type": schema["properties"]["type"]["enum"][-1], "id": 4}

    relationships = schemas.get(f"{name}Relationships", {}).get("properties", {})
    return {
        "type": name,
        "id": id_,
        "attributes": {each: value(schema) for each, schema in schemas[name]["properties"].items()},
        "relationships": {
            each: {"data": linkage(schema)}
            for each, schema in relationships.items()
            if "data" in schema.get("properties", {})
        },
    }


@pytest.fixture(scope="module")
def everything(openapi_path):
    """Return a sandbox with one full and one empty resource of every type."""
    openapi = json.loads(openapi_path.read_text())
    types = catalog.load().types.values()
    identifiers = {kind.name: ("a1", "b2") if kind.id_type == "string" else (1, 2) for kind in types}
    full = [filled(openapi, name, first) for name, (first, _) in identifiers.items()]
    empty = [{"type": name, "id": second} for name, (_, second) in identifiers.items()]
    with Sandbox(full + empty) as running:
        running.settings.contact_histogram_by_default = True
        running.settings.lists_unnamed = True
        yield running, {resource["type"]: resource for resource in full}
    assert running.failures == ()


@pytest.mark.parametrize("name", LISTABLE)
def test_lists_are_as_the_contract_declares(document, everything, name):
    """Full and empty records, with to-one links as the schema has them and without as its examples do."""
    running, _ = everything
    path = catalog.load().types[name].path

    for running.settings.to_one_links in (True, False):
        answer = asking(running)(path)

        assert answer.status_code == 200
        assert len(answer.json()["data"]) == 2
        validator(document, path).validate(answer.json())


@pytest.fixture(scope="module")
def seeded():
    """Return a sandbox with a small seeded organization."""
    with Sandbox(prospects=60, seed=3) as running:
        yield running
    assert running.failures == ()


@pytest.mark.parametrize("name", LISTABLE)
def test_the_seeded_organization_is_as_the_contract_declares(document, seeded, name):
    """Every listable type has records in it, and a page of them validates."""
    path = catalog.load().types[name].path

    answer = asking(seeded)(f"{path}?page[size]=25")

    assert answer.json()["data"]
    validator(document, path).validate(answer.json())


@pytest.mark.parametrize("name", READABLE)
def test_single_resources_are_as_the_contract_declares(document, everything, name):
    """Also those that have no list, such as imports and organization settings."""
    running, full = everything
    kind = catalog.load().types[name]

    answer = asking(running)(f"{kind.path}/{full[name]['id']}")

    assert answer.status_code == 200
    validator(document, f"{kind.path}/{{id}}").validate(answer.json())


@pytest.mark.parametrize("name", LISTABLE)
def test_every_attribute_and_relationship_comes_back(document, everything, name):
    """What was put in is served value for value; only write-only attributes are kept back."""
    running, full = everything
    kind = catalog.load().types[name]
    declared = document["components"]["schemas"]
    write_only = {each for each, attribute in kind.attributes.items() if attribute.write_only}

    first, second = asking(running)(kind.path).json()["data"]

    wanted = {each: value for each, value in full[name]["attributes"].items() if each not in write_only}
    assert first["attributes"] == wanted
    assert second["attributes"] == dict.fromkeys(wanted)
    assert set(first["relationships"]) == set(declared.get(f"{name}Relationships", {}).get("properties", {}))
    linked = {each: value["data"] for each, value in first["relationships"].items() if "data" in value}
    assert linked == {each: value["data"] for each, value in full[name]["relationships"].items()}


@pytest.mark.parametrize("name", LISTABLE)
def test_badges_of_the_contract_decide_what_filters_and_sorts(document, everything, name):
    """Every attribute with a badge works, every one without is refused."""
    running, _ = everything
    ask = asking(running)
    kind = catalog.load().types[name]
    undeclared = {"updatedAt"} if name == "event" else set()

    for each, schema in document["components"]["schemas"][name]["properties"].items():
        badges = schema.get("x-badges", ())
        filtered = ask(f"{kind.path}?filter[{each}]=__notnull__&fields[{name}]=")
        sorted_ = ask(f"{kind.path}?sort={each}&fields[{name}]=")
        assert filtered.status_code == (200 if "filterable" in badges else 400), each
        assert sorted_.status_code == (200 if "sortable" in badges or each in undeclared else 400), each


@pytest.mark.parametrize("name", LISTABLE)
def test_every_related_link_answers(everything, name):
    """A link to a collection always answers; the few to one resource say that it is absent, as it is here."""
    running, _ = everything
    ask = asking(running)

    for record in ask(catalog.load().types[name].path).json()["data"]:
        for each, value in record["relationships"].items():
            if "links" in value:
                link = value["links"]["related"]
                assert ask(link).status_code == (200 if "?filter" in link else 404), each


@pytest.mark.parametrize("name", READABLE)
def test_an_absent_resource_is_the_documented_error(everything, name):
    running, _ = everything
    kind = catalog.load().types[name]

    answer = asking(running)(f"{kind.path}/999")

    assert answer.status_code == 404
    assert answer.json()["errors"] == [
        {
            "id": "resourceNotFound",
            "title": "Resource Not Found",
            "detail": f"Could not find '{name}' with ID '999'.",
        }
    ]


def test_paths_and_methods_are_those_of_the_contract(everything, document):
    """GET works where the contract declares it and nowhere else; a path that only takes other methods says so."""
    running, _ = everything
    ask = asking(running)
    for path, operations in document["paths"].items():
        if "actions" in path:
            continue
        kind = next(k for k in catalog.load().types.values() if path.split("/")[1] == k.plural)
        status = ask(path.replace("{id}", "a1" if kind.id_type == "string" else "1")).status_code
        assert status == (200 if "get" in operations else 405), path
    assert ask("/imports").status_code == ask("/orgSettings").status_code == ask("/auditLogs/a1").status_code == 404


def test_a_wrong_answer_would_be_noticed(document, everything):
    """The strict schemas refuse an undeclared attribute, a wrong type and a null relationship object."""
    running, _ = everything
    good = asking(running)("/prospects").json()
    check = validator(document, "/prospects")

    for path, value in [
        (("attributes", "nosuch"), 1),
        (("attributes", "openCount"), "3"),
        (("relationships", "owner"), None),
        (("relationships", "owner"), {"data": {"type": "team", "id": 1}}),
    ]:
        bad = copy.deepcopy(good)
        bad["data"][0][path[0]][path[1]] = value
        assert not check.is_valid(bad), path
