"""Refreshes: a snapshot that is brought up to date equals one that is taken anew, at the price of what changed."""

import pandas as pd
import pytest

import outreach_frames as of
from outreach_frames.errors import MissingColumnError, OutreachError, QueryError
from outreach_frames.snapshots import _id_ranges
from outreach_frames.snapshots._refresh import removed_ids
from tests.fetch_support import organization
from tests.snapshot_support import accounts, parts_of, record

STAMP = "2026-01-01T00:00:00.000Z"


def assert_current(snapshot, org, table="accounts"):
    """Compare a table with what the API has."""
    pd.testing.assert_frame_equal(snapshot.frame(table), of.fetch(org, table, refresh=True, progress=False))
    snapshot.verify()


def queries(org):
    """Return the queries for accounts, of which those with a range and a page of one are counts."""
    return [dict(each.parameters) for each in org.sandbox.requests if each.path.endswith("/accounts")]


def inodes(snapshot):
    return {file["path"]: (snapshot.folder / file["path"]).stat().st_ino for file in parts_of(snapshot, "accounts")}


def test_only_changes_are_asked_for_and_only_their_files_written(org, taken):
    org.sandbox.advance(7_200)
    org.update("accounts", 30, name="New")
    org.sandbox.clear_log()

    again = taken.refresh(org, progress=False)

    asked = queries(org)
    assert len(asked) == 3  # what time it is, what changed, and whether something is missing
    assert [query for query in asked if "filter[updatedAt]" in query]
    assert_current(again, org)
    before, after = inodes(taken), inodes(again)
    assert [path for path in before if before[path] != after[path]] == ["accounts/part-00002.parquet"]


def test_nothing_changed_and_all_files_are_shared(org, taken):
    org.sandbox.advance(7_200)

    again = taken.refresh(org, progress=False)

    assert inodes(again) == inodes(taken)
    assert again.as_of > taken.as_of
    assert again.frame("accounts").attrs["outreach_frames"]["as_of"].startswith(again.as_of.strftime("%Y-%m-%dT%H"))


def test_new_records_fill_the_last_file_and_then_further_ones(org, taken):
    for _ in range(3):
        org.sandbox.advance(3_600)
        for _ in range(20):
            org.create("accounts", name="New")
        taken = taken.refresh(org, progress=False)
        assert_current(taken, org)

    files = parts_of(taken, "accounts")
    assert max(file["rows"] for file in files) <= 32
    assert sum(file["rows"] for file in files) == 160


@pytest.mark.parametrize("deletions", ["counts", "sweep"])
@pytest.mark.parametrize("removed", [[1], [100], [50], [1, 2, 3, 50, 98, 99, 100], range(20, 60), range(2, 101)])
def test_deleted_records_are_found(org, taken, deletions, removed):
    for id_ in removed:
        org.sandbox.remove("account", id_)

    again = taken.refresh(org, deletions=deletions, progress=False)

    assert_current(again, org)


def test_counts_are_asked_only_where_they_differ(org, taken):
    """A full pass would be 25 pages of four."""
    org.sandbox.remove("account", 50)
    org.sandbox.clear_log()

    taken.refresh(org, progress=False)

    asked = queries(org)
    swept = [query for query in asked if "filter[id]" in query and query["page[size]"] != "1"]
    assert len(swept) == 1
    assert len(asked) <= 9


def test_where_many_are_missing_all_ids_are_read(org, taken):
    """Counts that differ nearly everywhere would take more requests than the ids themselves."""
    for id_ in range(1, 101, 3):
        org.sandbox.remove("account", id_)
    org.sandbox.clear_log()

    again = taken.refresh(org, progress=False)

    assert len(queries(org)) == 4  # what time it is, what changed, how many there are, and their ids
    assert_current(again, org)


def test_deletions_can_be_left_alone(org, taken):
    org.sandbox.remove("account", 50)
    org.sandbox.clear_log()

    again = taken.refresh(org, deletions=False, progress=False)

    assert len(again.frame("accounts")) == 100
    assert len(queries(org)) == 2


def test_deletions_come_from_webhooks(org, taken):
    """Of other types, and of records that were never there, they do no harm."""
    org.sandbox.remove("account", 50)
    deliveries = pd.DataFrame(
        {
            "event": ["account.destroyed", "account.destroyed", "prospect.destroyed", "account.updated", None],
            "resource_type": ["account", "account", "prospect", "account", None],
            "resource_id": ["50", "4711", "51", "52", None],
        },
        dtype="string[pyarrow]",
    )

    again = taken.refresh(org, deletions="webhooks", deliveries=deliveries, progress=False)

    assert_current(again, org)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"deletions": "guess"}, QueryError, "no way"),
        ({"deletions": "webhooks"}, QueryError, "go together"),
        ({"deliveries": pd.DataFrame()}, QueryError, "go together"),
        ({"deletions": "webhooks", "deliveries": pd.DataFrame({"event": []})}, MissingColumnError, "resource_id"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_before_anything_is_sent(org, taken, options, error, message):
    org.sandbox.clear_log()
    with pytest.raises(error, match=message):
        taken.refresh(org, **options)
    assert org.sandbox.data_requests == 0


@pytest.mark.parametrize("limit", [0, 30])
def test_where_the_api_counts_badly_ids_are_read(org, taken, monkeypatch, limit):
    """Counts end at two million, and are missing under load."""
    monkeypatch.setattr(_id_ranges, "COUNTED", limit)
    org.sandbox.remove("account", 50)

    again = taken.refresh(org, progress=False)
    anew = of.take_snapshot(org, taken.path, resources=["accounts"], progress=False)

    assert_current(again, org)
    assert_current(anew, org)


def test_a_change_just_before_the_watermark_is_found(org, taken):
    """It is stamped before it can be seen, and clocks differ."""
    watermark = pd.Timestamp(parts_of(taken, "accounts")[0]["watermark"])
    late = (watermark - pd.Timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    org.sandbox.put(record("account", 30, {"name": "Late", "createdAt": STAMP, "updatedAt": late}))

    assert_current(taken.refresh(org, progress=False), org)


@pytest.mark.parametrize(
    "options",
    [
        {"include": {"owner": ["name"]}},
        {"filter": {"name": [f"A{n}" for n in range(1, 60)]}},
        {"sort": "name"},
        {"limit": 50},
        {"fields": "*"},
        {"custom": "labels"},
    ],
    ids=lambda options: next(iter(options)),
)
def test_tables_whose_rows_change_otherwise_are_read_in_full(org, tmp_path, options):
    """An included name changes without the record, and a record can leave a filter."""
    taken = of.take_snapshot(org, tmp_path / "org", resources={"accounts": options}, progress=False)
    org.sandbox.advance(3_600)
    org.update("accounts", 30, name="New")

    again = taken.refresh(org, progress=False)

    expected = of.fetch(org, "accounts", refresh=True, progress=False, **options)
    pd.testing.assert_frame_equal(again.frame("accounts"), expected)


@pytest.mark.parametrize("options", [{"fields": ["name"]}, {"custom": True}, {"page_size": 7}])
def test_tables_of_chosen_columns_are_refreshed_by_their_changes(org, tmp_path, options):
    taken = of.take_snapshot(org, tmp_path / "org", resources={"accounts": options}, progress=False)
    org.sandbox.advance(3_600)
    org.update("accounts", 30, name="New")
    org.sandbox.clear_log()

    again = taken.refresh(org, progress=False)

    assert any("filter[updatedAt]" in query for query in queries(org))
    expected = of.fetch(org, "accounts", refresh=True, progress=False, **options)
    pd.testing.assert_frame_equal(again.frame("accounts"), expected)


def test_another_organization_is_read_in_full(org, taken):
    """Its changes must not be laid over the records of the first."""
    org.sandbox.settings.organization = 2
    org.sandbox.clear_log()

    again = taken.refresh(org, progress=False)

    assert not any("filter[updatedAt]" in query for query in queries(org))
    assert_current(again, org)


def test_a_damaged_file_is_repaired_by_a_refresh(org, taken):
    file = taken.folder / "accounts" / "part-00002.parquet"
    file.write_bytes(file.read_bytes()[:-20])

    again = taken.refresh(org, progress=False)

    assert_current(again, org)


def test_an_interrupted_refresh_changes_nothing(org, taken):
    org.sandbox.advance(3_600)
    for id_ in (5, 30, 70):
        org.update("accounts", id_, name="New")
    org.sandbox.remove("account", 50)
    org.sandbox.faults.add(path="/accounts", method="GET", after=4, times=None, status=403)

    with pytest.raises(OutreachError):
        taken.refresh(org, progress=False)

    org.sandbox.faults.clear()
    assert of.open_snapshot(taken.path) == taken
    assert not list(taken.path.glob(".*"))
    assert_current(taken.refresh(org, progress=False), org)


@pytest.mark.parametrize("after", [2, 7, 10, 13])
def test_what_changes_after_an_interrupted_refresh_is_in_the_next_one(tmp_path, after):
    """In files that the interrupted one finished, of a table that grew too fast to be asked for its changes."""
    with organization(tmp_path / "cache", *accounts(1, 2, 3, 4, 5), record("user", 1, {"title": "Rep"})) as org:
        taken = of.take_snapshot(org, tmp_path / "org", resources=["users", "accounts"], progress=False)
        for _ in range(60):
            org.sandbox.advance(1)  # so that the newest one is told, and the ranges are the same in every run
            org.create("accounts", name="New")
        org.sandbox.faults.add(path="/accounts", method="GET", after=after, times=None, status=403)
        with pytest.raises(OutreachError):
            taken.refresh(org, progress=False)
        org.sandbox.faults.clear()
        org.update("accounts", 1, name="Changed")
        org.update("users", 1, title="Changed")
        org.sandbox.remove("account", 2)

        again = taken.refresh(org, progress=False, keep=2)

        assert again.frame("accounts")["name"][0] == "Changed"
        assert again.frame("users")["title"][0] == "Changed"
        pd.testing.assert_frame_equal(again.frame("accounts"), of.fetch(org, "accounts", refresh=True))
        assert again.versions == [taken.version, again.version]


def test_an_attempt_that_found_deletions_in_another_way_is_not_gone_on_with(tmp_path):
    """Its finished tables would keep what was deleted."""
    users = [record("user", id_, {"name": f"U{id_}"}) for id_ in (1, 2)]
    with organization(tmp_path / "cache", *accounts(*range(1, 101)), *users) as org:
        taken = of.take_snapshot(org, tmp_path / "org", resources=["accounts", "users"], progress=False)
        org.sandbox.remove("account", 30)
        org.sandbox.faults.add(path="/users", method="GET", times=None, status=403)
        with pytest.raises(OutreachError):
            taken.refresh(org, deletions=False, progress=False)
        org.sandbox.faults.clear()

        again = taken.refresh(org, deletions="sweep", progress=False)

        assert_current(again, org)


@pytest.mark.parametrize(("ids", "removed"), [([50.0, None], [50]), (["50", "x"], [50]), ([], []), (["9" * 20], [])])
def test_ids_of_deliveries_are_numbers_however_they_are_kept(org, ids, removed):
    """Where one is missing, numbers are floats in a frame of pandas."""
    deliveries = pd.DataFrame({"event": "account.destroyed", "resource_type": "account", "resource_id": ids})

    assert removed_ids(deliveries, org.catalog.resource("account")) == removed
