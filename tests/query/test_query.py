from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest

from outreach_frames import catalog
from outreach_frames._query import NOT_NULL, between, build
from outreach_frames.errors import QueryError, UnknownNameError, UnknownValueWarning

CATALOG = catalog.load()


def parameters(resource, **query):
    return dict(build(CATALOG, resource, fields=query.pop("fields", ["created_at"]), **query).parameters())


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
        (between(None, "2026-01-01"), "neginf..2026-01-01T23:59:59.999Z"),
        (date(2026, 1, 1), "2026-01-01..2026-01-01T23:59:59.999Z"),
        ("2026-01-01", "2026-01-01..2026-01-01T23:59:59.999Z"),
        (datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), "2026-01-01T00:00:00.000Z"),
        (pd.Timestamp("2026-01-01"), "2026-01-01T00:00:00.000Z"),
        (between(date(2026, 1, 1), "2026-02-01"), "2026-01-01..2026-02-01T23:59:59.999Z"),
    ],
)
def test_instants_are_written_in_utc(value, written):
    """A naive instant is taken as UTC, as the API's own are; a day is the whole of it, as a high end too."""
    assert parameters("mailings", filter={"delivered_at": value})["filter[deliveredAt]"] == written


def test_a_range_may_end_at_zero():
    """Zero is an end; only ``None`` is an open one."""
    assert parameters("opportunities", filter={"probability": between(-5, 0)})["filter[probability]"] == "-5..0"


@pytest.mark.parametrize("name", ["account", "account_id", "account.id"])
def test_relationships_are_filtered_by_id_under_each_of_their_names(name):
    assert parameters("prospects", filter={name: [1, np.int64(2)]})["filter[account][id]"] == "1,2"


def test_a_row_of_a_frame_stands_for_its_record():
    """As with the verbs."""
    row = pd.DataFrame({"id": [7], "name": ["Acme"], "domain": [None]}).iloc[0]
    assert parameters("prospects", filter={"account": row})["filter[account][id]"] == "7"


def test_ids_that_pandas_made_floats_of_are_whole_numbers_again():
    """A column of ids with gaps in it is a column of floats in pandas without Arrow."""
    assert parameters("prospects", filter={"account": pd.Series([1.0, 2.0])})["filter[account][id]"] == "1,2"


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
    audit = parameters("audit_logs", filter={"agent_email": "a@b.example"}, fields=[])
    assert audit["filter[agentEmail]"] == "a@b.example"
    assert parameters("events", sort="-updated_at")["sort"] == "-updatedAt"


@pytest.mark.parametrize("text", ["Smith, Sally", "a..b"])
def test_commas_and_dots_switch_to_the_new_syntax(text):
    """The original syntax would read them as a list or a range."""
    query = build(CATALOG, "prospects", filter={"first_name": text, "id": between(5, 9)}, fields=[])

    assert query.parameters()[:4] == [
        ("newFilterSyntax", "true"),
        ("filter[firstName]", text),
        ("filter[id][gte]", "5"),
        ("filter[id][lte]", "9"),
    ]


@pytest.mark.parametrize("end", ["inf", "neginf", ""])
def test_text_that_means_an_open_end_switches_to_the_new_syntax(end):
    """A range up to the company "Inf" is no open one."""
    sent = parameters("accounts", filter={"name": between(None, end)})

    assert sent["newFilterSyntax"] == "true"
    assert sent["filter[name][lte]"] == end


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
        ("prospects", {"first_name": "a", "firstName": "b"}, "two filters"),
        ("prospects", {"first_name": "Smith, Sally", "last_name": None}, "newer filter syntax"),
        ("accounts", {"buyer_intent_score": float("inf")}, "float"),
        ("sequence_steps", {"order": 1.5}, "integer"),
        ("sequence_steps", {"order": "1.0"}, "integer"),
    ],
)
def test_filters_that_the_api_would_refuse_are_refused_first(resource, filters, message):
    with pytest.raises(QueryError, match=message):
        parameters(resource, filter=filters)


def test_days_among_several_instants_are_refused():
    """Each would be a range, and a list holds none; their midnights are what nobody means."""
    with pytest.raises(QueryError, match=r"of\.between"):
        parameters("mailings", filter={"delivered_at": ("2026-01-01", "2026-02-01")})


def test_a_wrong_value_is_not_repeated_in_the_message():
    """It may be a person's address."""
    with pytest.raises(QueryError) as caught:
        parameters("mailings", filter={"delivered_at": "sally@acme.example"})

    assert "sally" not in str(caught.value)


@pytest.mark.parametrize(("slip", "meant"), [("deliverd", "'delivered'"), ("Delivered", "'delivered'")])
def test_a_slip_of_a_documented_value_is_sent_with_a_warning(slip, meant):
    """The vendor's lists are open, but an empty frame for a slip looks like an answer."""
    with pytest.warns(UnknownValueWarning, match=f"Did you mean {meant}"):
        assert parameters("mailings", filter={"state": ["bounced", slip]})["filter[state]"] == f"bounced,{slip}"


def test_values_that_the_vendor_may_have_added_are_taken_as_meant():
    """The guide's call outcomes are none of those that the contract lists."""
    assert parameters("calls", filter={"outcome": "completed"})["filter[outcome]"] == "completed"


@pytest.mark.parametrize("bad", [{"titel": 1}, {"acount": 1}])
def test_unknown_filter_names_the_nearest(bad):
    with pytest.raises(UnknownNameError, match="did you mean"):
        parameters("prospects", filter=bad)


def test_between_refuses_what_holds_everything_or_nothing():
    with pytest.raises(QueryError, match="everything"):
        between(None, None)
    with pytest.raises(QueryError, match="Swap"):
        between(2, 1)
    with pytest.raises(QueryError, match="Swap"):
        between("2026-02-01", date(2026, 1, 1))
    with pytest.raises(QueryError, match="Swap"):
        between(datetime(2026, 1, 2, tzinfo=UTC), pd.Timestamp("2026-01-01").to_pydatetime())


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
    custom = build(CATALOG, "prospects", custom=True).columns
    assert sum(name.startswith("custom") and name[6:].isdigit() for name in custom) == 150
    assert build(CATALOG, "prospects", fields=["title"], custom=["custom7"]).columns == ("title", "custom7")


def test_links_to_a_crm_are_asked_for_where_there_are_any():
    query = build(CATALOG, "accounts", fields=[], data_connections=True)
    assert dict(query.parameters())["provideDataConnections"] == "true"
    with pytest.raises(QueryError, match=r"Possible for accounts, .*users"):
        build(CATALOG, "sequences", data_connections=True)


def test_pages_with_bodies_are_small():
    assert build(CATALOG, "mailings").page_size == 1000
    assert build(CATALOG, "mailings", fields=["body_html"]).page_size == 100
    assert build(CATALOG, "mailings", fields="*").page_size == 100
    assert build(CATALOG, "sequence_templates", include={"template": ["name"]}).page_size == 1000
    assert build(CATALOG, "sequence_templates", include={"template": ["body_html"]}).page_size == 100


def test_a_page_is_small_where_included_bodies_cannot_be_left_out():
    """A URL too long to name the included types' fields brings all of them."""
    query = build(CATALOG, "tasks", include=["prospect", "account", "opportunity", "sequence", "owner", "mailing.user"])

    assert "fields[mailing]" not in dict(query.parameters())
    assert query.page_size == 100


def test_fields_without_identifiers_say_where_to_look():
    with pytest.raises(QueryError, match="Fetch mailings filtered by prospect"):
        parameters("prospects", fields=["mailings"])


def test_one_string_is_no_list_of_fields():
    with pytest.raises(QueryError, match=r"fields=\['name'\]"):
        parameters("accounts", fields="name")


def test_stable_order_is_by_creation_never_by_update():
    """A record that changes while it is walked would move under updatedAt."""
    assert build(CATALOG, "mailings").in_stable_order().sort == ("createdAt",)
    assert build(CATALOG, "mailings", sort="-updated_at").in_stable_order().sort == ("-updatedAt",)


@pytest.mark.parametrize(
    "query",
    [
        {"filter": {1: 2}},
        {"filter": {None: 2}},
        {"fields": [1]},
        {"fields": 1},
        {"include": [1]},
        {"include": {1: ["name"]}},
        {"include": {"owner": [1]}},
        {"sort": 1},
        {"sort": [1]},
    ],
)
def test_names_that_are_no_text_are_refused(query):
    with pytest.raises(QueryError, match="name"):
        build(CATALOG, "prospects", **query)


def test_a_resource_type_that_is_no_text_is_refused():
    with pytest.raises(UnknownNameError):
        build(CATALOG, 1)
