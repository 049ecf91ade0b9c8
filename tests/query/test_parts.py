"""Queries too long for one URL are cut into parts whose answers together are the answer."""

from urllib.parse import urlencode

import pandas as pd
import pytest
from hypothesis import given, strategies as st

from outreach_frames import catalog
from outreach_frames._query import MAX_QUERY_LENGTH, batch_filter, build
from outreach_frames.errors import QueryError

CATALOG = catalog.load()


def lengths(query):
    return [len(urlencode(part.parameters())) for part in query.split()]


@given(st.lists(st.integers(1, 10**9), unique=True, max_size=3000))
def test_long_id_lists_are_cut_without_loss(ids):
    """The parts fit a URL as it is sent, are disjoint and together are the whole list."""
    query = build(CATALOG, "prospects", filter={"id": ids}, fields=["first_name"])

    written = [value for part in query.split() for key, value in part.parameters() if key == "filter[id]"]

    assert [int(i) for value in written for i in value.split(",") if i] == ids
    assert max(lengths(query)) <= MAX_QUERY_LENGTH
    assert query.is_cut == (len(written) > 1)


@given(st.lists(st.text(min_size=1, max_size=40), unique=True, min_size=1, max_size=300))
def test_text_is_measured_as_it_is_sent(names):
    """A letter outside ASCII takes six to twelve characters of a URL."""
    names = [name for name in names if name not in {"__null__", "__notnull__"}]
    query = build(CATALOG, "prospects", filter={"first_name": names}, fields=[])

    assert max(lengths(query)) <= MAX_QUERY_LENGTH
    assert sum(len(part.filters[0][1]) for part in query.split()) == len(names)


def test_two_long_lists_are_cut_into_every_pair_of_their_parts():
    query = build(CATALOG, "prospects", filter={"id": range(2000), "owner": range(2000, 3000)}, fields=[])

    pairs = [
        (i, o) for part in query.split() for i in dict(part.filters)["[id]"] for o in dict(part.filters)["[owner][id]"]
    ]

    assert len(pairs) == len(set(pairs)) == 2000 * 1000
    assert max(lengths(query)) <= MAX_QUERY_LENGTH


def test_a_url_full_of_other_things_still_has_room_for_a_good_many_ids():
    """Else a list of a thousand would become a thousand requests."""
    query = build(CATALOG, "users", filter={"id": range(100_000, 101_000), "email": "é" * 900})

    assert len(lengths(query)) <= 16


@pytest.mark.parametrize(
    ("resource", "filter_", "disjoint"),
    [
        ("prospects", {"id": [1, 2]}, True),
        ("prospects", {"account": [1, 2], "owner": [3]}, True),
        ("prospects", {"emails": ["a@b.example", "c@d.example"]}, False),
        ("prospects", {"opportunities": [1, 2]}, False),
        ("prospects", {"first_name": ["a", "A"]}, False),  # the API may take them for the same
    ],
)
def test_parts_are_disjoint_only_where_a_record_has_one_of_the_values(resource, filter_, disjoint):
    assert build(CATALOG, resource, filter=filter_).has_disjoint_parts is disjoint


def test_any_of_nothing_matches_nothing():
    assert build(CATALOG, "prospects", filter={"id": []}).matches_nothing


@pytest.mark.parametrize("resource", ["prospects", None])
@pytest.mark.parametrize("empty", [[], (), set(), pd.Series([], dtype="int64"), pd.Index([])])
def test_a_batch_for_any_of_nothing_is_refused(resource, empty):
    """In the syntax of batches an empty list is no parameter at all, and without one a batch touches every record."""
    for wanted in ({"id": empty}, {"id": [1], "owner": empty}):
        with pytest.raises(QueryError, match="empty list, which selects no records"):
            batch_filter(CATALOG, resource, wanted)


def test_a_filter_that_says_nothing_is_refused():
    """It would be no parameter, and select everything: in a batch, to be changed."""
    with pytest.raises(QueryError, match="account is an empty mapping"):
        build(CATALOG, "prospects", filter={"account": {}})
    with pytest.raises(QueryError, match="account is an empty mapping"):
        batch_filter(CATALOG, "prospects", {"account": {}})
