"""Related records as tables of their own, over real HTTP."""

import pandas as pd
import pyarrow as pa
import pytest

import outreach_frames as of
from outreach_frames.errors import DocumentError, QueryError, UnknownAttributeWarning, UnknownNameError
from tests.fetch_support import Answers, organization, resource


@pytest.fixture(scope="module")
def seeded():
    with of.sandbox(prospects=80, seed=5) as client:
        yield client


def small():
    return [
        resource("sequence", 1, {"name": "Alpha"}, owner=("user", 1)),
        resource("sequence", 2, {"name": "Beta"}, owner=("user", 1)),
        resource("sequenceStep", 1, {"order": 1}, sequence=("sequence", 1)),
        resource("sequenceStep", 2, {"order": 2}, sequence=("sequence", 1)),
        resource("user", 1, {"email": "ana@example.com"}, teams=[("team", 1), ("team", 2)]),
        resource("user", 2, {"email": "ben@example.com"}, teams=[("team", 2)]),
        resource("user", 3, {"email": "cyd@example.com"}),
        resource("team", 1, {"name": "North"}),
        resource("team", 2, {"name": "South"}),
        resource("role", 1, {"name": "Lead"}),
        resource("role", 2, {"name": "Rep"}, parentRole=("role", 1)),
    ]


@pytest.fixture(scope="module")
def org(tmp_path_factory):
    with organization(tmp_path_factory.mktemp("cache"), *small()) as client:
        yield client


def test_every_type_on_the_way_is_a_table_that_equals_a_fetch_of_it(seeded):
    """Columns, types and order are those of fetch; small pages give what one large page gives."""
    include = ["sequence_steps.sequence_templates.template", "owner"]
    tables = of.fetch_tables(seeded, "sequences", include=include, page_size=4, progress=False)

    assert list(tables) == ["sequences", "sequence_steps", "sequence_templates", "templates", "users"]
    for name in ("sequences", "sequence_steps", "sequence_templates"):
        pd.testing.assert_frame_equal(tables[name], of.fetch(seeded, name))
    templates = of.fetch(seeded, "templates").set_index("id")
    found = tables["templates"].set_index("id")
    assert set(found.index) == set(tables["sequence_templates"]["template_id"].dropna())
    there = found.index.intersection(templates.index)
    pd.testing.assert_frame_equal(found.loc[there], templates.loc[there])
    assert {name: table.attrs["outreach_frames"]["resource"] for name, table in tables.items()} == {
        name: name for name in tables
    }


def test_one_to_many_is_a_foreign_key_and_no_column_on_the_other_side(org):
    tables = of.fetch_tables(org, "sequences", include="sequence_steps", fields=["name"])

    assert list(tables) == ["sequences", "sequence_steps"]
    assert tables["sequences"].columns.tolist() == ["id", "name"]
    assert tables["sequence_steps"]["sequence_id"].tolist() == [1, 1]


def test_the_foreign_key_comes_along_even_where_columns_are_named(org):
    tables = of.fetch_tables(org, "sequences", include={"sequence_steps": ["order"]})

    assert tables["sequence_steps"].columns.tolist() == ["id", "order", "sequence_id"]


def test_many_to_many_is_a_link_frame_with_a_row_per_pair(org):
    """A user without teams has no row in it, and is still a user."""
    tables = of.fetch_tables(org, "users", include="teams", fields=["email"])

    links = tables["users__teams"]
    assert links.columns.tolist() == ["user_id", "team_id"]
    assert list(links.itertuples(index=False, name=None)) == [(1, 1), (1, 2), (2, 2)]
    assert links.dtypes.tolist() == [pd.ArrowDtype(pa.int64())] * 2
    assert tables["users"].columns.tolist() == ["id", "email"]
    joined = (
        tables["users"]
        .merge(links, left_on="id", right_on="user_id")
        .merge(tables["teams"], left_on="team_id", right_on="id")
    )
    assert joined["name"].tolist() == ["North", "South", "South"]


def test_records_of_one_type_that_are_related_to_each_other_stand_in_one_table(org):
    """A filter asks for one role; its parent came along, and the limit does not touch it."""
    tables = of.fetch_tables(org, "roles", include=["parent_role", "child_roles"], filter={"id": 2}, limit=1)

    assert tables["roles"]["id"].tolist() == [1, 2]
    assert tables["roles__child_roles"].columns.tolist() == ["role_id", "related_role_id"]
    assert list(tables["roles__child_roles"].itertuples(index=False, name=None)) == [(1, 2)]


def test_a_sort_orders_what_was_asked_for(org):
    tables = of.fetch_tables(org, "sequences", include="owner", sort="-name", limit=1)

    assert tables["sequences"]["name"].tolist() == ["Beta"]


def test_polymorphic_targets_are_a_table_each(seeded):
    tables = of.fetch_tables(seeded, "tasks", include="subject", fields=["subject"])

    subjects = tables["tasks"].dropna(subset=["subject_id"]).groupby("subject_type")["subject_id"]
    assert list(tables) == ["tasks", "accounts", "opportunities", "prospects"]
    for type_name, ids in subjects:
        assert set(ids) == set(tables[seeded.catalog.types[type_name].table]["id"])


def test_an_empty_answer_keeps_every_table_column_and_type(org):
    full = of.fetch_tables(org, "users", include="teams")

    empty = of.fetch_tables(org, "users", include="teams", filter={"id": 99})

    assert {name: len(table) for name, table in empty.items()} == {"users": 0, "teams": 0, "users__teams": 0}
    for name, table in empty.items():
        assert table.dtypes.to_dict() == full[name].dtypes.to_dict()


def test_ranges_side_by_side_give_the_same_tables(seeded):
    alone = of.fetch_tables(seeded, "prospects", include=["account", "opportunities"], page_size=10, progress=False)

    together = of.fetch_tables(
        seeded, "prospects", include=["account", "opportunities"], page_size=10, parallel=3, progress=False
    )

    assert alone["prospects__opportunities"].shape[0] > 0
    for name, table in alone.items():
        pd.testing.assert_frame_equal(together[name], table)


def test_a_star_keeps_what_the_catalog_does_not_know_of_every_type(tmp_path):
    records = [
        resource("account", 1, {"name": "A", "shoeSize": 43}, owner=("user", 1)),
        resource("user", 1, {"hatSize": 57}),
    ]
    with organization(tmp_path, *records) as org:
        tables = of.fetch_tables(org, "accounts", include="owner", fields="*")

    assert tables["accounts"]["shoe_size"].tolist() == [43]
    assert tables["users"]["hat_size"].tolist() == [57]


def test_unknown_attributes_of_related_records_are_named_too(tmp_path):
    """A server that ignores fieldsets."""
    answer = {
        "data": [resource("account", 1, {"name": "A"}, owner=("user", 1))],
        "included": [resource("user", 1, {"hatSize": 57}), resource("stage", 1)],
    }
    with (
        Answers({"/accounts": answer}) as server,
        of.connect("x", server.url, cache_dir=tmp_path) as org,
        pytest.warns(UnknownAttributeWarning, match=r"user has .* hatSize"),
    ):
        tables = of.fetch_tables(org, "accounts", include="owner")

    assert list(tables) == ["accounts", "users"]


def test_a_related_record_that_was_not_sent_is_missing_from_its_table_only(tmp_path):
    answer = {"data": [resource("user", 1, {}, teams=[("team", 1), ("team", 2)])], "included": [resource("team", 2)]}
    with Answers({"/users": answer}) as server, of.connect("x", server.url, cache_dir=tmp_path) as org:
        tables = of.fetch_tables(org, "users", include="teams", fields=[])

    assert tables["users__teams"]["team_id"].tolist() == [1, 2]
    assert tables["teams"]["id"].tolist() == [2]


@pytest.mark.parametrize("included", [{"a": 1}, [7], [{"id": 1}]])
def test_what_is_included_must_be_resources(tmp_path, included):
    answer = {"data": [resource("user", 1)], "included": included}
    with (
        Answers({"/users": answer}) as server,
        of.connect("x", server.url, cache_dir=tmp_path) as org,
        pytest.raises(DocumentError),
    ):
        of.fetch_tables(org, "users", include="teams", fields=[])


def test_relationships_that_cannot_be_tables_say_what_to_fetch_instead(org):
    org.sandbox.clear_log()

    with pytest.raises(QueryError, match="Fetch mailings filtered by sequence"):
        of.fetch_tables(org, "sequences", include="mailings")
    with pytest.raises(UnknownNameError, match="did you mean"):
        of.fetch_tables(org, "sequences", include="sequence_stepz")
    assert org.sandbox.requests == ()
