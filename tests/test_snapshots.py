import json
import shutil
import time

import duckdb
import pandas as pd
import pytest

import outreach_frames as of
from outreach_frames.errors import QueryError, SnapshotError, UnknownNameError
from outreach_frames.snapshots import DEFAULT_RESOURCES


@pytest.fixture(scope="module")
def org():
    with of.sandbox(prospects=60, seed=5) as client:
        yield client


@pytest.fixture
def taken(org, tmp_path):
    return of.take_snapshot(org, tmp_path / "org", resources=["mailings", "sequences", "users"])


def test_each_resource_is_one_parquet_file_that_anything_reads(org, taken):
    fetched = of.fetch(org, "mailings")

    plain = pd.read_parquet(taken.folder / "mailings.parquet", dtype_backend="pyarrow")

    pd.testing.assert_frame_equal(plain, fetched)
    pd.testing.assert_frame_equal(taken.frame("mailings"), fetched)
    assert taken.frame("mailings").attrs == fetched.attrs


def test_lists_do_not_keep_a_plain_read_from_working(org, tmp_path):
    """Names of list dtypes, as pandas would note them in the file, cannot be read back by pandas itself."""
    snapshot = of.take_snapshot(org, tmp_path, resources=["prospects"])

    plain = pd.read_parquet(snapshot.folder / "prospects.parquet")

    assert list(plain["emails"].iloc[0]) == list(snapshot.frame("prospects")["emails"].iloc[0])


def test_default_tables_are_what_the_statistics_read(org, tmp_path):
    assert of.take_snapshot(org, tmp_path).tables == sorted(DEFAULT_RESOURCES)


def test_manifest_tells_rows_and_extraction_time(org, taken):
    facts = taken.manifest["tables"]["users"]

    assert facts["rows"] == of.count(org, "users")
    assert taken.as_of.isoformat().startswith("2026-03-31")
    taken.verify()


def test_sql_and_scan_see_the_same_rows(taken):
    states = taken.frame("mailings")["state"].value_counts()

    by_sql = taken.sql("select state, count(*) as n from mailings group by state").set_index("state")["n"]
    by_scan = taken.scan("mailings").aggregate("state, count(*) as n").df().set_index("state")["n"]
    lazy = taken.scan("mailings", engine="polars").collect()

    assert by_sql.to_dict() == by_scan.to_dict() == states.to_dict()
    assert lazy.height == states.sum()
    assert str(taken.sql("select max(created_at) as latest from mailings")["latest"].dtype).startswith(
        "timestamp[us, tz=UTC"
    )


def test_opening_gives_the_version_in_force_or_an_earlier_one(org, taken):
    again = taken.refresh(org)

    assert of.open_snapshot(taken.path).version == again.version
    assert again.versions == [taken.version, again.version]
    assert of.open_snapshot(taken.path, version=taken.version) == taken


def test_a_failed_extraction_leaves_the_version_in_force(org, taken):
    """Nothing half-written stays in the folder."""
    before = sorted(path.name for path in taken.path.iterdir())

    with pytest.raises(UnknownNameError):
        of.take_snapshot(org, taken.path, resources=["users", "nonsense"])

    assert sorted(path.name for path in taken.path.iterdir()) == before
    assert of.open_snapshot(taken.path) == taken


def test_damage_is_found(taken):
    file = taken.folder / "users.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(SnapshotError, match="users"):
        taken.verify()
    file.unlink()
    with pytest.raises(SnapshotError, match="missing"):
        taken.frame("users")


def test_what_is_not_there_is_named(taken, tmp_path):
    with pytest.raises(SnapshotError, match="no table 'calls'"):
        taken.frame("calls")
    with pytest.raises(SnapshotError, match="no snapshot"):
        of.open_snapshot(tmp_path / "nowhere")
    with pytest.raises(SnapshotError, match="no version"):
        of.open_snapshot(taken.path, version="19700101T000000Z-1")
    with pytest.raises(QueryError, match="no engine"):
        taken.scan("users", engine="abacus")
    with pytest.raises(duckdb.Error):
        taken.sql("select nonsense from nowhere")


def test_options_of_fetch_can_be_given_for_each_table(org, tmp_path):
    snapshot = of.take_snapshot(org, tmp_path, resources={"users": {"fields": ["name"]}})

    assert snapshot.frame("users").columns.tolist() == ["id", "name"]


def test_a_damaged_manifest_is_a_typed_error(taken):
    (taken.folder / "manifest.json").write_text(json.dumps({})[:1])
    with pytest.raises(SnapshotError, match="readable manifest"):
        _ = taken.tables
    shutil.rmtree(taken.folder)
    with pytest.raises(SnapshotError, match="no version"):
        of.open_snapshot(taken.path)


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata"])
def test_sql_means_utc_wherever_the_machine_stands(taken, monkeypatch, zone):
    """DuckDB's own zoned timestamps follow the machine's clock."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        latest = taken.sql("select max(created_at) as latest, date_trunc('day', max(created_at)) as day from mailings")
    finally:
        monkeypatch.undo()
        time.tzset()

    expected = taken.frame("mailings")["created_at"].max()
    assert latest["latest"].item() == expected
    assert latest["day"].item() == expected.floor("D")


def test_a_refresh_takes_each_table_as_it_was_taken(org, tmp_path):
    """A filtered extract must not become the whole table."""
    options = {"prospects": {"filter": {"owner": 1}, "fields": ["first_name"], "include": {"owner": ["name"]}}}
    taken = of.take_snapshot(org, tmp_path, resources=options)

    again = taken.refresh(org)

    pd.testing.assert_frame_equal(again.frame("prospects"), taken.frame("prospects"))
    ranged = {"prospects": {"filter": {"id": of.between(1, 5)}}}
    with pytest.raises(SnapshotError, match="prospects was taken"):
        of.take_snapshot(org, tmp_path, resources=ranged).refresh(org)


@pytest.mark.parametrize("resources", ["mailings", [], {}])
def test_resources_that_name_no_table_are_refused_before_anything_is_made(org, tmp_path, resources):
    with pytest.raises(QueryError):
        of.take_snapshot(org, tmp_path / "new", resources=resources)
    assert not (tmp_path / "new").exists()


def test_a_query_without_rows_is_told(taken):
    with pytest.raises(SnapshotError, match="SELECT"):
        taken.sql("")
