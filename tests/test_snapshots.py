import shutil
import time
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from fetch_support import organisation, resource

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


@pytest.mark.parametrize(
    "query",
    ["", "select 1; select 2", "drop view mailings", "create table x as select 1", "copy (select 1) to '{out}'"],
)
def test_sql_that_is_not_one_select_is_refused(taken, tmp_path, query):
    """The last of several results, or a file written on the side, is not what was asked of a snapshot."""
    with pytest.raises(SnapshotError, match="one SELECT"):
        taken.sql(query.format(out=tmp_path / "out.csv"))
    assert not (tmp_path / "out.csv").exists()


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


REGION = {"label": "Region", "type": "inclusion", "required": False, "definition": ["West", "North", "South"]}


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """Return an organisation whose accounts have a pick list of which one option never occurs."""
    regions = ["South", None, "North"]
    accounts = [resource("account", n, {"name": f"A{n}", "custom4": regions[n % 3]}) for n in range(6)]
    folder = tmp_path_factory.mktemp("cache")
    with organisation(folder, *accounts, custom_fields={"account": {"custom4": REGION}}) as client:
        yield client


@pytest.mark.parametrize("which", [{}, {"filter": {"id": 99}}], ids=["all", "none"])
def test_pick_lists_come_back_as_they_were_fetched(labelled, tmp_path, which):
    """Arrow's own type for them cannot be sorted, and Parquet forgets options that no row has."""
    query = {"fields": ["name"], "custom": "labels", **which}
    fetched = of.fetch(labelled, "accounts", **query)

    read = of.take_snapshot(labelled, tmp_path, resources={"accounts": query}, refresh=False).frame("accounts")

    pd.testing.assert_frame_equal(read, fetched)
    assert read.attrs == fetched.attrs
    assert read["region"].cat.categories.tolist() == ["West", "North", "South"]
    assert read.sort_values("region")["region"].dropna().tolist() == ["North", "North", "South", "South"][: len(read)]


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # Dask's own
def test_pick_lists_can_be_grouped_and_sorted_wherever_they_are_read(labelled, tmp_path):
    """In Dask they came as the type that cannot be sorted."""
    query = {"fields": ["name"], "custom": "labels"}
    snapshot = of.take_snapshot(labelled, tmp_path, resources={"accounts": query})
    right = ["North", "North", "South", "South"]

    found = snapshot.sql("select region from accounts where region is not null order by region")
    lazy = snapshot.scan("accounts", "polars").drop_nulls("region").sort("region").collect()
    dask = snapshot.scan("accounts", "dask").dropna(subset=["region"]).sort_values("region").compute()

    assert found["region"].tolist() == lazy["region"].to_list() == dask["region"].tolist() == right
    assert snapshot.scan("accounts").filter("region = 'North'").df()["id"].tolist() == [2, 5]


def test_a_snapshot_asks_anew_unless_it_is_told_to_resume(tmp_path):
    """A second one within the hour was the first again, under a new name."""
    with organisation(tmp_path / "cache", resource("account", 1, {"name": "Before"})) as client:
        of.fetch(client, "accounts")
        client.sandbox.put(resource("account", 1, {"name": "After"}))

        resumed = of.take_snapshot(client, tmp_path / "org", resources=["accounts"], refresh=False)
        anew = of.take_snapshot(client, tmp_path / "org", resources=["accounts"])

    assert resumed.frame("accounts")["name"].tolist() == ["Before"]
    assert anew.frame("accounts")["name"].tolist() == ["After"]


def test_versions_are_in_the_order_they_were_taken_in(org, tmp_path):
    """As text, the tenth of a moment comes before the second."""
    of.fetch(org, "users")
    taken = [of.take_snapshot(org, tmp_path / "org", resources=["users"], refresh=False) for _ in range(11)]

    assert taken[-1].version.endswith("-11")
    assert taken[-1].versions == [one.version for one in taken]


def test_a_file_is_no_place_for_a_snapshot(org, tmp_path):
    (tmp_path / "people.csv").touch()
    with pytest.raises(SnapshotError, match=r"people\.csv is a file"):
        of.take_snapshot(org, tmp_path / "people.csv", resources=["users"])


def test_folders_that_are_no_versions_are_in_nobodys_way(org, taken):
    """Somebody copies one in a file browser, or is killed just before one is renamed into place."""
    for name in (f"{taken.version} copy", ".writing-1"):
        shutil.copytree(taken.folder, taken.path / name)

    again = of.take_snapshot(org, taken.path, resources=["users"])

    assert again.versions == [taken.version, again.version]


def test_two_extractions_that_end_at_once_both_have_their_version(org, taken, monkeypatch):
    """The later one failed after all its work, because its name was taken."""
    rename = Path.rename

    def overtaken(self, target):
        monkeypatch.undo()
        shutil.copytree(taken.folder, target)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", overtaken)

    again = of.take_snapshot(org, taken.path, resources=["users"])

    assert len(again.versions) == 3
    assert of.open_snapshot(taken.path).version == again.version == again.versions[-1]


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


@pytest.mark.parametrize("content", ["{", "{}", "[]", '{"as_of": "now", "tables": {}}', '{"tables": {"users": {}}}'])
def test_a_damaged_manifest_is_a_typed_error(taken, content):
    (taken.folder / "manifest.json").write_text(content)
    for look in (lambda: taken.tables, lambda: taken.as_of, taken.verify, lambda: taken.frame("users")):
        with pytest.raises(SnapshotError, match="readable manifest"):
            look()
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
