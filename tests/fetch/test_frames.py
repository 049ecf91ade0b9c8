"""Fetching over real HTTP from the embedded organization."""

import re

import pandas as pd
import pyarrow as pa
import pytest

import outreach_frames as of
from outreach_frames import catalog
from outreach_frames.errors import NotFoundError, QueryError, UnknownNameError

LISTABLE = [t.table for t in catalog.load().types.values() if "list" in t.operations]

ARROW = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "object": pa.string(),
}
FORMATS = {"date-time": pa.timestamp("us", "UTC"), "date": pa.date32()}


@pytest.fixture(scope="module")
def org():
    with of.sandbox(prospects=120, seed=3) as client:
        yield client


def expected_dtype(attribute):
    if attribute.type == "array":
        return pa.string() if attribute.items != "string" else pa.list_(pa.string())
    return FORMATS.get(attribute.format, ARROW[attribute.type])


@pytest.mark.parametrize("name", LISTABLE)
def test_every_listable_type_comes_with_the_catalogs_columns_and_dtypes(org, name, tmp_path):
    """And a Parquet round trip changes nothing, attrs included."""
    kind = org.catalog.resource(name)

    frame = of.fetch(org, name)

    assert len(frame) > 0
    assert frame.columns[0] == "id"
    for attribute in kind.attributes.values():
        if attribute.is_custom or attribute.is_heavy or attribute.is_secret or attribute.write_only:
            assert attribute.column not in frame
        elif attribute.type != "array" or attribute.items in {"string", "object"}:
            assert frame[attribute.column].dtype == pd.ArrowDtype(expected_dtype(attribute)), attribute.name
    for relationship in kind.relationships.values():
        assert (relationship.id_column in frame) == (relationship.has_data and not relationship.many)
    frame.to_parquet(tmp_path / "frame.parquet")
    again = pd.read_parquet(tmp_path / "frame.parquet", dtype_backend="pyarrow")
    pd.testing.assert_frame_equal(again, frame)
    assert again.attrs == frame.attrs


def test_an_empty_result_keeps_every_column_and_dtype(org):
    full = of.fetch(org, "mailings", include={"prospect": ["first_name", "created_at"]})

    empty = of.fetch(
        org,
        "mailings",
        include={"prospect": ["first_name", "created_at"]},
        filter={"created_at": of.between(None, "1999-01-01")},
    )

    assert len(empty) == 0
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()
    assert of.fetch(org, "mailings", filter={"id": []}).shape[0] == 0


def test_pages_are_walked_to_the_end_and_sorted_by_id(org):
    """Small pages give what one large page gives."""
    at_once = of.fetch(org, "prospects")

    in_pages = of.fetch(org, "prospects", page_size=7, progress=False)

    pd.testing.assert_frame_equal(in_pages, at_once)
    assert at_once["id"].is_monotonic_increasing
    assert len(at_once) == of.count(org, "prospects")


def test_ranges_side_by_side_give_the_same_frame(org):
    alone = of.fetch(org, "mailings", fields=["state", "sequence"])

    together = of.fetch(org, "mailings", fields=["state", "sequence"], parallel=3, page_size=50, progress=False)

    pd.testing.assert_frame_equal(together, alone)


def test_sort_and_limit_are_the_apis(org):
    newest = of.fetch(org, "mailings", sort="-created_at", limit=5)

    assert len(newest) == 5
    assert newest["created_at"].is_monotonic_decreasing
    everything = of.fetch(org, "mailings", fields=["created_at"])
    assert newest["created_at"].max() == everything["created_at"].max()


def test_no_page_is_asked_for_beyond_the_limit(org):
    org.sandbox.clear_log()

    of.fetch(org, "prospects", limit=10, page_size=5, refresh=True)

    assert org.sandbox.data_requests == 2


def test_filters_agree_with_filtering_the_whole_frame(org):
    everything = of.fetch(org, "mailings")
    bounds = everything["delivered_at"].quantile([0.25, 0.75], interpolation="nearest")

    found = of.fetch(
        org,
        "mailings",
        filter={"delivered_at": of.between(*bounds), "state": ["delivered", "opened"]},
    )

    expected = everything[
        everything["delivered_at"].between(*bounds) & everything["state"].isin(["delivered", "opened"])
    ]
    assert found["id"].tolist() == expected["id"].tolist()


def test_included_resources_are_joined_by_name_at_any_depth(org):
    joined = of.fetch(
        org, "mailings", fields=["prospect"], include={"prospect": ["first_name"], "prospect.account": ["name"]}
    )

    prospects = of.fetch(org, "prospects").set_index("id")
    accounts = of.fetch(org, "accounts").set_index("id")
    reachable = joined.dropna(subset=["prospect_id"])
    assert reachable["prospect__first_name"].tolist() == prospects.loc[reachable["prospect_id"], "first_name"].tolist()
    account_ids = prospects.loc[reachable["prospect_id"], "account_id"]
    named = [accounts["name"].get(i) if i is not pd.NA and pd.notna(i) else None for i in account_ids]
    found = [value if isinstance(value, str) else None for value in reachable["prospect__account__name"]]
    assert found == named


def test_include_without_columns_brings_the_defaults_of_every_resource_on_the_way(org):
    frame = of.fetch(org, "sequence_states", include="prospect.account", limit=3)

    assert {"prospect__first_name", "prospect__account_id", "prospect__account__name"} <= set(frame)


def test_fetch_one_is_a_row_of_fetch(org):
    row = of.fetch(org, "prospects", limit=1).iloc[0]

    one = of.fetch_one(org, "prospects", row["id"])

    assert one.name == row["id"]
    assert one.index.tolist() == row.index.tolist()
    assert one["created_at"] == row["created_at"]
    with pytest.raises(NotFoundError):
        of.fetch_one(org, "prospects", 10**9)


def test_bounded_batches_hold_the_same_rows(org):
    batches = list(of.fetch_batches(org, "prospects", fields=["first_name"], page_size=50, progress=False))

    assert len({batch.schema for batch in batches}) == 1
    ids = pa.Table.from_batches(batches).column("id").to_pylist()
    assert sorted(ids) == of.fetch(org, "prospects", fields=["first_name"])["id"].tolist()


@pytest.mark.parametrize("query", [{"sort": "-created_at"}, {}])
def test_the_first_rows_of_an_order_can_be_read_side_by_side_by_offset(org, query):
    """The same rows as along the cursors, and no page past the last record."""
    options = {"fields": ["state", "created_at"], "page_size": 20, "progress": False, **query}
    alone = of.fetch(org, "mailings", limit=110, **options)
    org.sandbox.clear_log()

    together = of.fetch(org, "mailings", limit=110, parallel=3, **options)

    pd.testing.assert_frame_equal(together, alone)
    offsets = [dict(request.parameters)["page[offset]"] for request in org.sandbox.requests]
    assert sorted(map(int, offsets)) == [0, 20, 40, 60, 80, 100]
    users = of.fetch(org, "users", limit=10_000, parallel=4, page_size=3, progress=False)
    assert len(users) == of.count(org, "users")


def test_batches_are_read_when_they_are_wanted(org):
    """So that memory is bounded by a page: the second is asked for after the first was taken."""
    org.cache.clear()
    org.sandbox.clear_log()

    batches = of.fetch_batches(org, "mailings", fields=["state"], page_size=20, progress=False)

    assert org.sandbox.data_requests == 0
    first = next(batches)
    assert first.num_rows == 20
    assert org.sandbox.data_requests == 1
    batches.close()
    limited = of.fetch_batches(org, "mailings", fields=["state"], page_size=20, limit=50, progress=False)
    assert [batch.num_rows for batch in limited] == [20, 20, 10]


def test_warm_cache_makes_no_request(org):
    """And a refresh asks again."""
    first = of.fetch(org, "accounts", include="owner")
    org.sandbox.clear_log()

    again = of.fetch(org, "accounts", include="owner")

    assert org.sandbox.data_requests == 0
    pd.testing.assert_frame_equal(again, first)
    of.fetch(org, "accounts", include="owner", refresh=True)
    assert org.sandbox.data_requests == 1
    org.cache.clear()
    of.fetch(org, "accounts", include="owner")
    assert org.sandbox.data_requests == 2


def test_fetched_frames_say_when_they_were_extracted(org):
    """The sandbox's clock, not this machine's: statistics must be reproducible."""
    as_of = pd.Timestamp(of.fetch(org, "users").attrs["outreach_frames"]["as_of"])

    assert as_of.strftime("%Y-%m-%d") == "2026-03-31"


def test_unknown_fields_resources_and_includes_fail_before_any_request(org):
    org.sandbox.clear_log()

    for call in (
        lambda: of.fetch(org, "prospekts"),
        lambda: of.fetch(org, "prospects", fields=["frist_name"]),
        lambda: of.fetch(org, "prospects", include="acount"),
    ):
        with pytest.raises(UnknownNameError, match="did you mean"):
            call()
    for call in (
        lambda: of.fetch(org, "prospects", page_size=1001),
        lambda: of.fetch(org, "prospects", limit=-1),
        lambda: of.fetch(org, "prospects", limit="10"),
        lambda: of.fetch(org, "prospects", page_size=10.0),
        lambda: of.fetch(org, "prospects", filter="title=CEO"),
        lambda: of.fetch(org, "prospects", custom="label"),
        lambda: of.fetch(org, "prospects", limit=10_001, parallel=2),
        lambda: of.fetch(org, "prospects", parallel=0),
        lambda: of.fetch(org, "imports"),
        lambda: of.fetch_one(org, "duties", 1),
        lambda: of.fetch_batches(org, "prospects", fields="*"),
    ):
        with pytest.raises(QueryError):
            call()
    assert org.sandbox.data_requests == 0


def test_star_keeps_whatever_comes(org):
    everything = of.fetch(org, "snippets", fields="*")

    assert {"body_html", "name", "owner_id"} <= set(everything)
    assert len(everything) == of.count(org, "snippets")


def test_custom_fields_come_when_asked_for(org):
    assert "custom1" not in of.fetch(org, "accounts", limit=1)
    assert {"custom1", "custom150"} <= set(of.fetch(org, "accounts", limit=1, custom=True))


@pytest.mark.parametrize(
    "name", sorted(f"fetch_{table}" for table in LISTABLE if table != "batches" and hasattr(of, f"fetch_{table}"))
)
def test_named_fetch_functions_are_fetch_with_the_name(org, name):
    frame = getattr(of, name)(org, limit=2)

    assert frame.attrs["outreach_frames"]["resource"] == name.removeprefix("fetch_")


@pytest.mark.parametrize(
    "name", sorted(f"fetch_{table}" for table in LISTABLE if table != "batches" and hasattr(of, f"fetch_{table}"))
)
def test_documented_columns_are_columns(org, name):
    """The main columns of each function's docstring, with their units, are what it returns."""
    returned = getattr(of, name).__doc__.partition("Returns")[2].partition("Raises")[0]

    named = set(re.findall(r"``(\w+)``", returned)) - {"fields", "userId"}

    assert len(named) >= 3
    assert named <= set(getattr(of, name)(org, limit=1))
    assert "[" in returned
