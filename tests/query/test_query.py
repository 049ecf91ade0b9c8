from datetime import date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outreach_frames import catalogue
from outreach_frames.errors import QueryError, UnknownNameError
from outreach_frames.query import MAX_QUERY_LENGTH, NOT_NULL, between, build

CATALOGUE = catalogue.load()


def parameters(resource, **query):
    return dict(build(CATALOGUE, resource, fields=query.pop("fields", ["created_at"]), **query).parameters())


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("Sally", "Sally"),
        (["Sally", "Katie"], "Sally,Katie"),
        (None, "__null__"),
        (NOT_NULL, "__notnull__"),
        (pd.Series(["a", "b", "a"]), "a,b"),
        ({"b", "a"}, "a,b"),
    ],
)
def test_text_filters_in_the_original_syntax(value, written):
    assert parameters("prospects", filter={"first_name": value})["filter[firstName]"] == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (between(date(2026, 1, 1), None), "2026-01-01..inf"),
        (between(None, "2026-01-01"), "neginf..2026-01-01"),
        (datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), "2026-01-01T00:00:00.000Z"),
        (pd.Timestamp("2026-01-01"), "2026-01-01T00:00:00.000Z"),
    ],
)
def test_instants_are_written_in_utc(value, written):
    """A naive instant is taken as UTC, as the API's own are."""
    assert parameters("mailings", filter={"delivered_at": value})["filter[deliveredAt]"] == written


@pytest.mark.parametrize("name", ["account", "account_id", "account.id"])
def test_relationships_are_filtered_by_id_under_each_of_their_names(name):
    assert parameters("prospects", filter={name: [1, np.int64(2)]})["filter[account][id]"] == "1,2"


def test_relationships_are_filtered_by_the_further_attributes_that_the_api_allows():
    assert parameters("prospects", filter={"account": {"custom_id": "X"}})["filter[account][customId]"] == "X"
    assert parameters("sequence_states", filter={"sequence.name": "A"})["filter[sequence][name]"] == "A"
    with pytest.raises(QueryError, match="Possible: id, custom_id"):
        parameters("prospects", filter={"account.domain": "acme.example"})


def test_the_guides_own_filters_are_possible():
    """The page on common patterns filters compliance requests by a name that no attribute has."""
    sent = parameters("compliance_requests", filter={"batchComplianceRequest": "f98711fe"})
    assert sent["filter[batchComplianceRequest]"] == "f98711fe"
    assert parameters("accounts", filter={"q": "acm"})["filter[q]"] == "acm"


@pytest.mark.parametrize("text", ["Smith, Sally", "a..b"])
def test_commas_and_dots_switch_to_the_new_syntax(text):
    """The original syntax would read them as a list or a range."""
    query = build(CATALOGUE, "prospects", filter={"first_name": text, "id": between(5, 9)}, fields=[])

    assert query.parameters()[:4] == [
        ("newFilterSyntax", "true"),
        ("filter[firstName]", text),
        ("filter[id][gte]", "5"),
        ("filter[id][lte]", "9"),
    ]


@pytest.mark.parametrize(
    ("resource", "filters", "message"),
    [
        ("users", {"locked": "perhaps"}, "boolean"),
        ("mailings", {"delivered_at": "yesterday"}, "date-time"),
        ("accounts", {"buyer_intent_score": "high"}, "float"),
        ("mailings", {"open_count": 1}, "cannot be filtered by open_count"),
        ("tasks", {"creator": 1}, "cannot be filtered by creator"),
        ("prospects", {"first_name": ["a", None]}, "missing value"),
        ("prospects", {"first_name": "__null__"}, "NOT_NULL"),
    ],
)
def test_filters_that_the_api_would_refuse_are_refused_first(resource, filters, message):
    with pytest.raises(QueryError, match=message):
        parameters(resource, filter=filters)


def test_a_wrong_value_is_not_repeated_in_the_message():
    """It may be a person's address."""
    with pytest.raises(QueryError) as caught:
        parameters("mailings", filter={"delivered_at": "sally@acme.example"})

    assert "sally" not in str(caught.value)


@pytest.mark.parametrize("bad", [{"titel": 1}, {"acount": 1}])
def test_unknown_filter_names_the_nearest(bad):
    with pytest.raises(UnknownNameError, match="did you mean"):
        parameters("prospects", filter=bad)


def test_between_refuses_what_holds_everything_or_nothing():
    with pytest.raises(QueryError, match="everything"):
        between(None, None)
    with pytest.raises(QueryError, match="Swap"):
        between(2, 1)


def test_sort_takes_either_spelling_and_refuses_what_cannot_be_sorted():
    assert parameters("mailings", sort="-created_at,state")["sort"] == "-createdAt,state"
    with pytest.raises(QueryError, match="Sortable: bounced_at"):
        parameters("mailings", sort="subject")
    with pytest.raises(QueryError, match="sorted by id anyway"):
        parameters("mailings", sort="id")


def test_default_fields_leave_out_custom_fields_and_bodies():
    """They dominate the cost of a page and no statistic reads them."""
    named = parameters("mailings", fields=None)["fields[mailing]"].split(",")
    assert "bodyHtml" not in named
    assert {"deliveredAt", "sequenceState"} <= set(named)
    custom = build(CATALOGUE, "prospects", custom=True).columns
    assert sum(name.startswith("custom") and name[6:].isdigit() for name in custom) == 150


def test_pages_with_bodies_are_small():
    assert build(CATALOGUE, "mailings").page_size == 1000
    assert build(CATALOGUE, "mailings", fields=["body_html"]).page_size == 100
    assert build(CATALOGUE, "mailings", fields="*").page_size == 100


def test_include_names_the_fields_of_each_path_by_type():
    """Fieldsets are per type and the mapping is per path: the union is asked for, with the keys that joins need."""
    query = build(
        CATALOGUE,
        "prospects",
        fields=["first_name"],
        include={"account.owner": ["name"], "owner": ["email"]},
    )
    sent = dict(query.parameters())

    assert sent["include"] == "account.owner,owner"
    assert sent["fields[prospect]"] == "firstName,account,owner"
    assert sent["fields[account]"] == "owner"
    assert set(sent["fields[user]"].split(",")) == {"name", "email"}
    assert query.include == {"account.owner": ("name",), "owner": ("email",)}


def test_a_long_include_drops_the_included_fieldsets_first():
    query = build(CATALOGUE, "tasks", include=["prospect", "account", "opportunity", "sequence", "owner", "mailing"])

    sent = dict(query.parameters())

    assert "fields[task]" in sent
    assert "fields[prospect]" not in sent


def test_to_many_relationships_cannot_be_included_in_a_flat_frame():
    with pytest.raises(QueryError, match="fetch_tables"):
        parameters("prospects", include="mailings")


def test_fields_without_identifiers_say_where_to_look():
    with pytest.raises(QueryError, match="Fetch mailing filtered by prospect"):
        parameters("prospects", fields=["mailings"])


def test_one_string_is_no_list_of_fields():
    with pytest.raises(QueryError, match=r"fields=\['name'\]"):
        parameters("accounts", fields="name")


@given(st.lists(st.integers(1, 10**9), unique=True, max_size=3000))
def test_long_id_lists_are_cut_without_loss(ids):
    """The parts fit a URL, are disjoint and together are the whole list."""
    query = build(CATALOGUE, "prospects", filter={"id": ids}, fields=["first_name"])

    parts = list(query.split())

    written = [value for part in parts for key, value in part.parameters() if key == "filter[id]"]
    assert [int(i) for value in written for i in value.split(",") if i] == ids
    assert all(sum(len(k) + len(v) for k, v in part.parameters()) <= MAX_QUERY_LENGTH for part in parts)


def test_any_of_nothing_matches_nothing():
    assert build(CATALOGUE, "prospects", filter={"id": []}).matches_nothing


def test_stable_order_is_by_creation_never_by_update():
    """A record that changes while it is walked would move under updatedAt."""
    assert build(CATALOGUE, "mailings").in_stable_order().sort == ("createdAt",)
    assert build(CATALOGUE, "mailings", sort="-updated_at").in_stable_order().sort == ("-updatedAt",)
