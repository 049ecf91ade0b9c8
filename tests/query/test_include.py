"""What an include path leads to, and what is asked for so that it can be followed."""

import pytest

from outreach_frames import catalog
from outreach_frames._query import back_reference, build, select
from outreach_frames.errors import QueryError, UnknownNameError

CATALOG = catalog.load()


def sent(resource, *, tables=False, **query):
    return dict(build(CATALOG, resource, tables=tables, **query).parameters())


def names(query):
    """Return what is named of each path to a single type."""
    found = {}
    fronts = [("", query.selection)]
    for prefix, here in fronts:
        for each in here.included:
            (target,) = each.targets
            found[f"{prefix}{each.relationship.name}"] = target.names
            fronts.append((f"{prefix}{each.relationship.name}.", target))
    return found


def test_include_names_the_fields_of_each_path_by_type():
    """Fieldsets are per type and the mapping is per path: the union is asked for, with the keys that joins need."""
    query = build(
        CATALOG,
        "prospects",
        fields=["first_name"],
        include={"account.owner": ["name"], "owner": ["email"]},
    )
    parameters = dict(query.parameters())

    assert parameters["include"] == "account.owner,owner"
    assert parameters["fields[prospect]"] == "firstName,account,owner"
    assert parameters["fields[account]"] == "owner"
    assert set(parameters["fields[user]"].split(",")) == {"name", "email"}
    assert names(query) == {"account": (), "account.owner": ("name",), "owner": ("email",)}


def test_both_spellings_of_a_path_are_one_path():
    query = build(CATALOG, "mailings", include={"sequence_step": ["order"], "sequenceStep": ["step_type"]})

    assert names(query) == {"sequenceStep": ("order", "stepType")}


def test_a_long_include_drops_the_included_fieldsets_first():
    parameters = sent("tasks", include=["prospect", "account", "opportunity", "sequence", "owner", "mailing"])

    assert "fields[task]" in parameters
    assert "fields[prospect]" not in parameters


def test_a_path_goes_on_from_whichever_target_has_the_next_step():
    """The subject of a task is an account, an opportunity or a prospect; an account has no account."""
    (subject,) = select(CATALOG, CATALOG.types["task"], include={"subject.account": None}).included

    assert {target.resource.name for target in subject.targets} == {"account", "opportunity", "prospect"}
    assert {target.resource.name for target in subject.targets if target.included} == {"opportunity", "prospect"}


def test_to_many_relationships_cannot_be_included_in_a_flat_frame():
    with pytest.raises(QueryError, match="fetch_tables"):
        sent("prospects", include="email_addresses")


@pytest.mark.parametrize("tables", [False, True])
def test_relationships_with_only_a_link_cannot_be_included_anywhere(tables):
    with pytest.raises(QueryError, match="Fetch mailings filtered by prospect"):
        sent("prospects", include="mailings", tables=tables)
    with pytest.raises(QueryError, match="Fetch accounts filtered by kaia_recording"):
        sent("kaia_recordings", include="account", tables=tables)


def test_targets_outside_the_catalog_cannot_be_included():
    with pytest.raises(QueryError, match="not in the catalog"):
        sent("mailings", include="calendar")


@pytest.mark.parametrize(
    ("include", "said"),
    [("acount", "did you mean 'account'"), ("account.ownr", "'owner'"), ({"account": ["nam"]}, "'name'")],
)
def test_unknown_steps_and_columns_name_the_nearest(include, said):
    with pytest.raises(UnknownNameError, match=said):
        sent("prospects", include=include)


def test_one_string_is_no_list_of_included_columns():
    with pytest.raises(QueryError, match=r"include\['account'\]=\['name'\]"):
        sent("prospects", include={"account": "name"})


def test_tables_ask_for_the_keys_that_join_them():
    """The path's own relationship on one side, the foreign key on the other."""
    parameters = sent("sequences", tables=True, fields=["name"], include={"sequence_steps": ["step_type"]})

    assert parameters["fields[sequence]"] == "name,sequenceSteps"
    assert parameters["fields[sequenceStep]"] == "stepType,sequence"


@pytest.mark.parametrize(
    ("type_name", "relationship", "key"),
    [
        ("sequence", "sequenceSteps", "sequence"),
        ("prospect", "emailAddresses", "prospect"),
        ("prospect", "activeSequenceStates", None),  # lists some of what names the prospect
        ("prospect", "opportunities", None),  # many to many
        ("user", "mailboxes", None),  # a mailbox names three users
        ("account", "favorites", None),  # a favorite may name anything
        ("team", "users", None),
    ],
)
def test_a_foreign_key_stands_for_a_to_many_only_where_that_is_certain(type_name, relationship, key):
    source = CATALOG.types[type_name]

    found = back_reference(CATALOG, source, source.relationships[relationship])

    assert (found and found.name) == key
