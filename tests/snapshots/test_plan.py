"""What a plan says before anything is taken, against what is then used."""

import pandas as pd
import pytest

import outreach_frames as of
from outreach_frames.errors import QueryError, ServerError, UnknownNameError
from outreach_frames.snapshots import _id_ranges, plan as plan_module
from tests.fetch_support import organization
from tests.snapshot_support import accounts


def used(org, work):
    """Do something, and return how many requests for accounts it took."""
    org.sandbox.clear_log()
    result = work()
    return result, sum(request.path.endswith("/accounts") for request in org.sandbox.requests)


@pytest.mark.parametrize(
    ("ids", "options"),
    [
        (range(1, 101), {"page_size": 2}),  # a range of ids has several pages, as one of 25,000 records has
        (range(1, 1_000, 7), {}),
        (range(1, 101), {"page_size": 3}),
        (range(1, 101), {"fields": "*"}),
        (range(1, 6), {}),
        (range(0), {}),
    ],
)
def test_a_plan_of_taking_is_what_is_then_used(tmp_path, ids, options):
    with organization(tmp_path / "cache", *accounts(*ids)) as org:
        tables = {"accounts": options}
        plan, asked = used(org, lambda: of.plan_snapshot(org, tmp_path / "org", resources=tables))
        _, requests = used(org, lambda: of.take_snapshot(org, tmp_path / "org", resources=tables, progress=False))

    assert asked == 1
    assert plan["table"].tolist() == ["accounts"]
    assert plan["records"].tolist() == [len(ids)]
    assert plan["take_requests"].item() == pytest.approx(requests, rel=0.25)
    assert plan["take_minutes"].item() == pytest.approx(60 * plan["take_requests"].item() / 10_000)
    assert plan["refresh_requests"].isna().all()


def test_bytes_are_those_of_the_documents(tmp_path):
    with organization(tmp_path / "cache", *accounts(*range(1, 401))) as org:
        plan = of.plan_snapshot(org, tmp_path / "org", resources={"accounts": {"page_size": 50}})
        whole = org.get("/accounts", [("page[size]", "1000")], refresh=True)

    assert 0 < plan["take_bytes"].item() < 1.25 * len(whole.body)


@pytest.mark.parametrize(("changed", "removed"), [(0, 0), (30, 0), (0, 3), (5, 1)])
def test_a_plan_of_refreshing_is_what_is_then_used(org, taken, changed, removed):
    """Of deletions as if they were scattered, which these are; within 25 %, or two requests of very few."""
    org.sandbox.advance(3_600)
    for id_ in range(1, changed + 1):
        org.update("accounts", id_, name="New")
    for id_ in range(40, 40 + 20 * removed, 20):
        org.sandbox.remove("account", id_)

    plan = of.plan_snapshot(org, taken.path)
    _, requests = used(org, lambda: taken.refresh(org, progress=False))

    assert plan["refresh_requests"].item() == pytest.approx(requests, rel=0.25, abs=2)
    assert plan["refresh_requests"].item() < plan["take_requests"].item() or removed


def test_a_table_that_the_api_does_not_count_to_the_end_is_counted_by_ranges(org, tmp_path, monkeypatch):
    """It stops at two million."""
    org.sandbox.settings.count_limit = 30
    for module in (plan_module, _id_ranges):
        monkeypatch.setattr(module, "COUNTED", 30)
    tables = {"accounts": {"page_size": 2}}

    plan = of.plan_snapshot(org, tmp_path / "org", resources=tables)
    taken, requests = used(org, lambda: of.take_snapshot(org, tmp_path / "org", resources=tables, progress=False))
    again = of.plan_snapshot(org, tmp_path / "org", resources=tables)
    _, refreshed = used(org, lambda: taken.refresh(org, progress=False))

    assert plan["records"].tolist() == again["records"].tolist() == [100]
    assert plan["take_requests"].item() == pytest.approx(requests, rel=0.25)
    assert again["refresh_requests"].item() == pytest.approx(refreshed, rel=0.25)


def test_a_number_that_the_api_does_not_say_is_no_plan(org, tmp_path):
    """Under load it counts 0."""
    org.sandbox.settings.count = "unknown"
    with pytest.raises(ServerError, match="did not count"):
        of.plan_snapshot(org, tmp_path / "org", resources={"accounts": {"page_size": 2}})


def test_the_tables_of_the_snapshot_are_planned_unless_others_are_named(org, taken):
    assert of.plan_snapshot(org, taken.path)["table"].tolist() == ["accounts"]
    assert of.plan_snapshot(org, taken.path, resources=["users"])["table"].tolist() == ["users"]
    nothing = of.plan_snapshot(org, taken.path, resources=["users"])
    assert pd.isna(nothing["refresh_requests"].item())


def test_nothing_is_written_and_nonsense_is_refused(org, tmp_path):
    of.plan_snapshot(org, tmp_path / "org", resources=["accounts"])
    assert not (tmp_path / "org").exists()
    org.sandbox.clear_log()
    with pytest.raises(UnknownNameError):
        of.plan_snapshot(org, tmp_path / "org", resources=["nonsense"])
    with pytest.raises(QueryError, match="'color'"):
        of.plan_snapshot(org, tmp_path / "org", resources={"accounts": {"color": "red"}})
    assert org.sandbox.data_requests == 0


@pytest.mark.parametrize("resources", [{"accounts": None}, [1], {"accounts": {1: 2}}, {"accounts": {}, "account": {}}])
@pytest.mark.parametrize("call", [of.plan_snapshot, of.take_snapshot])
def test_resources_that_name_no_tables_are_refused(org, tmp_path, call, resources):
    """The second spelling of a table took the place of the first."""
    with pytest.raises(QueryError):
        call(org, tmp_path / "new", resources=resources)

    assert not (tmp_path / "new").exists()


def test_keep_is_a_whole_number(org, tmp_path):
    with pytest.raises(QueryError, match="whole number"):
        of.take_snapshot(org, tmp_path / "new", resources=["accounts"], keep="1")
