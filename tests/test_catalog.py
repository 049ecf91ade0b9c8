import json
import re

import build_catalog
import pytest
import trim_openapi

from outreach_frames import catalog
from outreach_frames.errors import UnknownNameError


@pytest.fixture(scope="module")
def types():
    return catalog.load().types


def test_catalog_has_all_types_of_the_contract(types):
    """The vendor's document names 51 resource types, 47 of them listable."""
    assert len(types) == 51
    assert sum("list" in t.operations for t in types.values()) == 47


def test_catalog_file_is_what_the_vendors_document_yields(published_openapi_path):
    """The committed file is generated, never edited."""
    document = json.loads(published_openapi_path.read_text())

    made = build_catalog.compact(build_catalog.catalog(document))

    assert made == catalog.Path(catalog.__file__).with_suffix(".json").read_text()


def test_facts_of_the_contract_are_what_the_vendors_documents_yield(
    published_openapi_path, openapi_path, reference, guide_path
):
    """The committed files are generated, never edited."""
    document = json.loads(published_openapi_path.read_text())
    guide = (reference / "common-patterns.md").read_text()

    assert trim_openapi.compact(trim_openapi.facts(document)) == openapi_path.read_text()
    assert trim_openapi.examples(guide) == json.loads(guide_path.read_text())


def test_prose_is_trimmed_and_members_that_are_named_like_it_are_kept():
    schema = {
        "description": "Text. ![filterable](badges/filterable.svg) ![sortable](badges/sortable.svg)",
        "properties": {"title": {"type": "string", "title": "The title"}, "description": {"type": "string"}},
    }

    assert trim_openapi.trim(schema) == {
        "properties": {"title": {"type": "string"}, "description": {"type": "string"}},
        "x-badges": ["filterable", "sortable"],
    }


def test_every_operation_of_the_contract_is_in_the_catalog(types, openapi_path):
    """Counted independently: one operation per path and method."""
    paths = json.loads(openapi_path.read_text())["paths"]

    counted = sum(len(t.operations) + len(t.actions) + len(t.collection_actions) for t in types.values())

    assert counted == sum(len(methods) for methods in paths.values()) == 253


ATTRIBUTE_FACTS = ["type", "format", "items", "nullable", "read_only", "filterable", "sortable", "max_length"]


def test_catalog_agrees_with_the_independently_kept_reference(types, reference):
    """``reference/catalogue.json`` was made from the same document by other code: every fact must be the same."""
    kept = json.loads((reference / "catalogue.json").read_text())

    assert set(kept) == set(types)
    for name, facts in kept.items():
        ours = types[name]
        assert (ours.plural, ours.path, ours.operations) == (facts["plural"], facts["path"], set(facts["operations"]))
        assert ours.s2s_operations == set(facts["s2s_operations"])
        assert set(ours.actions) == set(facts["actions"])
        assert set(ours.collection_actions) == set(facts["collection_actions"])
        parameters = {**ours.actions, **ours.collection_actions}
        assert {a: list(p) for a, p in parameters.items() if p} == facts["action_params"]
        assert set(ours.attributes) == set(facts["attributes"])
        for attribute, expected in facts["attributes"].items():
            found = ours.attributes[attribute]
            assert {f: getattr(found, f) for f in ATTRIBUTE_FACTS} == {f: expected.get(f) for f in ATTRIBUTE_FACTS}
            assert found.write_only == expected.get("write_only", False)
            assert set(found.enum) == set(expected.get("enum", ()))
            assert found.enum_open == expected.get("enum_open", False)
        assert set(ours.relationships) == set(facts["relationships"])
        for relationship, expected in facts["relationships"].items():
            found = ours.relationships[relationship]
            targets = expected["target"] if isinstance(expected["target"], list) else [expected["target"]]
            assert list(found.targets) == [target for target in targets if target]
            assert (found.many, found.has_data, found.has_links) == tuple(
                expected[k] for k in ("many", "data", "links")
            )
            assert found.read_only == expected["read_only"]
            assert (None if found.filter is None else list(found.filter)) == expected.get("filter")


@pytest.mark.parametrize("name", ["sequence_states", "sequence_state", "sequenceStates", "sequenceState"])
def test_resource_is_found_by_each_of_its_names(name):
    assert catalog.load().resource(name).name == "sequenceState"


def test_unknown_resource_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'prospects'") as caught:
        catalog.load().resource("prospekts")

    assert caught.value.suggestions[0] == "prospects"


def test_unknown_attribute_names_the_nearest_in_the_callers_spelling(types):
    with pytest.raises(UnknownNameError, match="did you mean 'created_at'"):
        types["prospect"].attribute("creatd_at")


def test_unknown_relationship_and_action_name_the_type(types):
    with pytest.raises(UnknownNameError, match="relationship of prospect 'acount'"):
        types["prospect"].relationship("acount")
    with pytest.raises(UnknownNameError, match="action of sequenceState"):
        types["sequenceState"].action("finnish")


def test_snake_case_is_reversible_for_every_name_of_the_api(types):
    """Columns are the snake_case of API names: two names must never share one, and each must find its way back."""
    names = {
        name
        for t in types.values()
        for name in (t.name, t.plural, *t.attributes, *t.relationships, *t.actions, *t.collection_actions)
    }

    assert all(catalog.camel(catalog.snake(name)) == name for name in names)
    assert all(
        re.fullmatch(r"[a-z][a-z0-9_]*", catalog.snake(name)) and "__" not in catalog.snake(name) for name in names
    )


def test_no_two_columns_of_a_type_have_the_same_name(types):
    """Where an attribute and a foreign key would share a column, the key keeps it and the attribute steps aside."""
    for t in types.values():
        related = [r for r in t.relationships.values() if r.has_data]
        columns = [
            "id",
            *(a.column for a in t.attributes.values()),
            *(r.id_column for r in related),
            *(r.type_column for r in related if r.type_column),
        ]
        assert len(columns) == len(set(columns)), t.name
    assert types["mailbox"].attributes["userId"].column == "user_id_attribute"
    assert types["mailbox"].relationships["user"].id_column == "user_id"


def test_custom_and_heavy_attributes_are_marked(types):
    assert types["prospect"].attribute("custom1").is_custom
    assert not types["account"].attribute("customId").is_custom
    assert types["mailing"].attribute("body_html").is_heavy


@pytest.mark.parametrize("generate", [build_catalog.write_catalog, trim_openapi.write_facts])
def test_generators_explain_their_usage(capsys, generate):
    assert generate([]) == 2
    assert "usage" in capsys.readouterr().out
