import errno
import json
import os
import random
import shutil
import time
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import outreach_frames as of
from outreach_frames.errors import DataError, OutreachError, QueryError, SnapshotError, UnknownNameError
from outreach_frames.snapshots import DEFAULT_RESOURCES
from tests.fetch_support import organization, resource
from tests.snapshot_support import ATTEMPTS, contents, full_after, plant, seal


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
def labeled(tmp_path_factory):
    """Return an organization whose accounts have a pick list of which one option never occurs."""
    regions = ["South", None, "North"]
    accounts = [resource("account", n, {"name": f"A{n}", "custom4": regions[n % 3]}) for n in range(6)]
    folder = tmp_path_factory.mktemp("cache")
    with organization(folder, *accounts, custom_fields={"account": {"custom4": REGION}}) as client:
        yield client


@pytest.mark.parametrize("which", [{}, {"filter": {"id": 99}}], ids=["all", "none"])
def test_pick_lists_come_back_as_they_were_fetched(labeled, tmp_path, which):
    """Arrow's own type for them cannot be sorted, and Parquet forgets options that no row has."""
    query = {"fields": ["name"], "custom": "labels", **which}
    fetched = of.fetch(labeled, "accounts", **query)

    read = of.take_snapshot(labeled, tmp_path, resources={"accounts": query}, refresh=False).frame("accounts")

    pd.testing.assert_frame_equal(read, fetched)
    assert read.attrs == fetched.attrs
    assert read["region"].cat.categories.tolist() == ["West", "North", "South"]
    assert read.sort_values("region")["region"].dropna().tolist() == ["North", "North", "South", "South"][: len(read)]


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # Dask's own
def test_pick_lists_can_be_grouped_and_sorted_wherever_they_are_read(labeled, tmp_path):
    """In Dask they came as the type that cannot be sorted."""
    query = {"fields": ["name"], "custom": "labels"}
    snapshot = of.take_snapshot(labeled, tmp_path, resources={"accounts": query})
    right = ["North", "North", "South", "South"]

    found = snapshot.sql("select region from accounts where region is not null order by region")
    lazy = snapshot.scan("accounts", "polars").drop_nulls("region").sort("region").collect()
    dask = snapshot.scan("accounts", "dask").dropna(subset=["region"]).sort_values("region").compute()

    assert found["region"].tolist() == lazy["region"].to_list() == dask["region"].tolist() == right
    assert snapshot.scan("accounts").filter("region = 'North'").df()["id"].tolist() == [2, 5]


def test_a_snapshot_asks_anew_unless_it_is_told_to_resume(tmp_path):
    """A second one within the hour was the first again, under a new name."""
    with organization(tmp_path / "cache", resource("account", 1, {"name": "Before"})) as client:
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
    with pytest.raises(QueryError, match="nowhere") as raised:
        taken.sql("select nonsense from nowhere")
    assert raised.value.hint == "Tables: mailings, sequences, users."


def test_options_of_fetch_can_be_given_for_each_table(org, tmp_path):
    snapshot = of.take_snapshot(org, tmp_path, resources={"users": {"fields": ["name"]}})

    assert snapshot.frame("users").columns.tolist() == ["id", "name"]


@pytest.mark.parametrize(
    "content", ["{", "{}", "[]", "[" * 100_000, "\udcff", '{"as_of": "now", "tables": {}}', '{"tables": {"users": {}}}']
)
def test_a_damaged_manifest_is_a_typed_error(taken, content):
    (taken.folder / "manifest.json").write_text(content, errors="surrogateescape")
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


def retouch(snapshot, change, table="users"):
    """Write a table's file anew, changed, with a manifest that says that it is the right one."""
    file = snapshot.folder / f"{table}.parquet"
    pq.write_table(change(pq.read_table(file, partitioning=None)), file)
    seal(snapshot)


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """Return folders that no query may reach: one anywhere, and the current one."""
    plant(tmp_path)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_query_reaches_nothing_but_the_tables(taken, outside, attempt):
    """The kind of the statement says nothing: a SELECT can hold a COPY and call what reads files."""
    frame_of_the_caller = pd.DataFrame({"a": [1]})
    query = attempt.format(outside / "elsewhere", taken.folder)
    before = contents(outside)

    with pytest.raises((QueryError, SnapshotError)) as raised:
        taken.sql(query)
    with pytest.raises(duckdb.Error):
        taken.scan("users").query("mine", query).fetchall()
    with pytest.raises(duckdb.Error):
        taken.scan("users").filter(f"exists ({query})").fetchall()

    assert len(str(raised.value).splitlines()) <= 2
    assert len(str(raised.value)) < 500
    assert contents(outside) == before
    assert len(frame_of_the_caller) == 1


def test_a_lazy_relation_writes_no_file(taken, outside):
    before = contents(outside)
    for write in ("to_csv", "to_parquet"):
        with pytest.raises(duckdb.Error):
            getattr(taken.scan("users"), write)(str(outside / "elsewhere" / "new"))
    assert contents(outside) == before


NAMED_AS_SQL = """id" from users) union select content as a from read_text('/etc/hostname') --"""


@pytest.mark.parametrize(
    "condition",
    [
        "created_at > timestamp '{0}'",
        "created_at > '{0}'",
        "created_at > timestamptz '{0}+00'",
        "not created_at <= '{0}'",
        "date_trunc('second', created_at) >= '{0}' and created_at <> '{0}'",
        "created_at between '{0}' and now() and created_at not in ('{0}')",
    ],
)
def test_instants_are_compared_as_utc(taken, monkeypatch, condition):
    """Arrow, that reads the tables, compares no instant with a timestamp without zone."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    times = taken.frame("mailings")["created_at"].sort_values()
    cut = times.iloc[len(times) // 2]

    written = condition.format(cut.tz_localize(None))

    found = len(taken.sql(f"from mailings where {written}"))
    lazy = len(taken.scan("mailings").filter(written).fetchall())
    assert found == lazy == (times > cut).sum() > 0


@pytest.mark.parametrize("name", [NAMED_AS_SQL, 'a"b', "at", "select", "a.b", "ä ö", "{x}", "*"])
def test_a_column_s_name_is_no_sql(taken, name):
    """It ran, since instants were read through a query made of the columns' names."""
    now = pd.Timestamp("2026-01-01", tz="UTC")
    retouch(taken, lambda _: pa.table({"id": [7], name: pa.array([now], pa.timestamp("us", "UTC"))}))

    assert taken.sql("select * from users")[name].tolist() == [now]
    assert taken.scan("users").fetchall() == [(7, now.to_pydatetime())]


def test_frames_given_by_name_are_queried_with_the_tables(taken):
    """Of any engine; instants mean the same as in the tables."""
    at = pd.Timestamp("2026-01-01T01:00+02:00").tz_convert("Asia/Kolkata")
    mine = pd.DataFrame({"id": [1, 2], "kind": pd.Categorical(["a", "b"]), "at": [at, at]}, index=[8, 9])
    theirs = pl.DataFrame({"id": [2, 3]}).lazy()

    found = taken.sql(
        "select * from mine join theirs using (id) join ours using (id) join lazily using (id) order by id",
        mine=mine,
        theirs=theirs,
        ours=pa.table({"id": [1, 2, 3]}),
        lazily=taken.scan("users").select("id"),
    )

    assert found.to_dict("records") == [{"id": 2, "kind": "b", "at": at.tz_convert("UTC")}]


@pytest.mark.parametrize(
    ("frames", "error", "message"),
    [
        ({"users": pd.DataFrame({"id": [1]})}, QueryError, "has a table 'users'"),
        ({"Users": pd.DataFrame({"id": [1]})}, QueryError, "one name in SQL"),
        ({"mine": [1, 2]}, DataError, "'mine' cannot be queried"),
        ({"mine": pd.DataFrame({"x": [1, "a"]})}, DataError, "'mine' cannot be queried"),
        ({"mine": pd.DataFrame([[1, 2]], columns=["x", "x"])}, OutreachError, "mine"),
    ],
)
def test_a_frame_that_cannot_be_queried_is_named(taken, frames, error, message):
    with pytest.raises(error, match=message):
        taken.sql("select * from mine", **frames)


@pytest.mark.parametrize(
    "query",
    [
        "select cast(first_name as int) from users",
        "select cast(first_name as timestamp) from users",
        "select error(email) from users",
        "select nonsense from users",
        "select arrow from users",
        "select cast('an arrow' as int)",
        "selec",
        "select '" + "x" * 10_000,
        "select " + "(" * 20_000 + "1" + ")" * 20_000,
        "select ?",
        "select '\udcff'",
        "select interval 1 day as i",
        "select * from range(10) t(a) where a = error('x')",
    ],
)
def test_whatever_a_query_fails_of_is_a_short_typed_sentence(taken, query):
    """Without values: those are of people."""
    people = taken.frame("users")
    assert "email" in people.columns

    with pytest.raises(QueryError) as raised:
        taken.sql(query)

    assert len(str(raised.value)) < 500
    assert "@" not in str(raised.value)
    assert not any(name in str(raised.value) for name in people["first_name"])
    assert raised.value.__context__ is None or not isinstance(raised.value.__context__, duckdb.Error)


def test_a_flipped_byte_is_never_read(taken):
    """One in three gave wrong values, one in two an error of somebody else's library."""
    file = taken.folder / "mailings.parquet"
    right, dice = file.read_bytes(), random.Random(20)  # noqa: S311  trials
    for _ in range(40):
        place = dice.randrange(len(right))
        file.write_bytes(right[:place] + bytes([right[place] ^ (1 << dice.randrange(8))]) + right[place + 1 :])
        for read in (
            lambda: taken.frame("mailings"),
            lambda: taken.sql("select * from mailings"),
            lambda: taken.scan("mailings"),
            taken.verify,
        ):
            with pytest.raises(SnapshotError, match="mailings"):
                read()
    file.write_bytes(right)
    assert len(taken.frame("mailings")) == taken.sql("select count(*) as n from mailings")["n"].item()


def test_pages_have_checksums_of_their_own_which_are_verified(taken):
    """A file may be damaged after it was compared, or under a manifest that was made for it."""
    file = taken.folder / "mailings.parquet"
    damaged = bytearray(file.read_bytes())
    chunk = pq.ParquetFile(file).metadata.row_group(0).column(0)
    damaged[chunk.data_page_offset + chunk.total_compressed_size // 2] ^= 1
    file.write_bytes(damaged)
    seal(taken)

    for read in (lambda: taken.frame("mailings"), lambda: taken.sql("select * from mailings")):
        with pytest.raises(SnapshotError):
            read()


def test_a_file_is_compared_once_and_again_after_a_change(taken, monkeypatch):
    """A comparison for each query would cost as much as reading everything."""
    taken.frame("users")
    with monkeypatch.context() as patch:
        patch.setattr("hashlib.file_digest", None)
        taken.frame("users")
    file = taken.folder / "users.parquet"
    os.utime(file)  # the same size and bytes
    assert len(taken.frame("users"))
    file.write_bytes(file.read_bytes()[::-1])
    with pytest.raises(SnapshotError, match="users"):
        taken.frame("users")


def with_notes(notes):
    return lambda table: table.replace_schema_metadata(notes)


@pytest.mark.parametrize(
    "change",
    [
        with_notes({b"PANDAS_ATTRS": b"{"}),
        with_notes({b"PANDAS_ATTRS": b"[1]"}),
        with_notes({b"PANDAS_ATTRS": b"\xff"}),
        with_notes({b"PANDAS_ATTRS": b"[" * 100_000}),
        with_notes({b"outreach_frames.categories": b'{"nothing": ["a"]}'}),
        with_notes({b"outreach_frames.categories": b'{"first_name": ["a"]}'}),
        with_notes({b"outreach_frames.categories": b'{"first_name": 1}'}),
        with_notes({b"pandas": b"no json"}),
        with_notes({b"pandas": b'{"columns": 1}'}),
    ],
)
def test_a_foreign_file_is_a_typed_error(taken, change):
    """Its notes are not ours, though the manifest vouches for it."""
    retouch(taken, change)

    with pytest.raises(SnapshotError, match="users cannot be read"):
        taken.frame("users")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"id,name\n1,x\n", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_a_file_that_is_no_parquet_is_a_typed_error(taken, content):
    (taken.folder / "users.parquet").write_bytes(content)
    seal(taken)

    for read in (lambda: taken.frame("users"), lambda: taken.sql("select 1"), lambda: taken.scan("users")):
        with pytest.raises(SnapshotError, match="users cannot be read"):
            read()


def edit_manifest(snapshot, change):
    file = snapshot.folder / "manifest.json"
    manifest = json.loads(file.read_text())
    change(manifest["tables"])
    file.write_text(json.dumps(manifest))


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "..", "a/b", "a\\b", "users\n", "", "a.b"])
def test_a_table_is_a_file_of_its_version(taken, name):
    """A manifest that names another place is followed nowhere."""
    edit_manifest(taken, lambda tables: tables.update({name: tables["users"]}))

    with pytest.raises(SnapshotError, match="readable manifest"):
        taken.frame(name)


@pytest.mark.parametrize("named", ["../org", "..", ".", "", "/", "{0}", "20260331T000000Z-1/../x", "\udcff"])
def test_current_names_a_version_of_its_own_folder(taken, named):
    (taken.path / "CURRENT").write_text(named.format(taken.folder), errors="surrogateescape")

    with pytest.raises(SnapshotError, match=r"no version|no snapshot"):
        of.open_snapshot(taken.path)
    with pytest.raises(SnapshotError, match="no version"):
        of.open_snapshot(taken.path, version="../org/" + taken.version)


@pytest.mark.parametrize("part", ["users.parquet", "manifest.json", ""])
def test_a_link_in_a_snapshot_is_not_followed(taken, tmp_path, part):
    """Whoever can write into a shared folder would choose what is read."""
    place, away = taken.folder / part if part else taken.folder, tmp_path / "away"
    place.rename(away)
    place.symlink_to(away)

    with pytest.raises(SnapshotError):
        of.open_snapshot(taken.path).frame("users")


@pytest.mark.parametrize(
    "options", [{"nonsense": 1}, {"refresh": True}, {"client": 1}, {"limit": "x"}, {"fields": 3}, {"filter": []}, 7]
)
def test_options_that_no_fetch_takes_are_a_typed_error(org, taken, options):
    """They were a TypeError from the inside."""
    edit_manifest(taken, lambda tables: tables["users"].update(options=options))

    with pytest.raises(SnapshotError):
        taken.refresh(org)


def test_options_that_a_caller_slips_in_are_named(org, tmp_path):
    with pytest.raises(QueryError, match="'color'") as raised:
        of.take_snapshot(org, tmp_path / "new", resources={"users": {"color": "red"}})
    assert "page_size" in raised.value.hint
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("size", [0, 100, 5_000])
def test_a_full_disk_is_a_typed_error_and_leaves_the_version_in_force(org, taken, size):
    """Wherever it happens: in a table, in the manifest, or in the file that names the version."""
    of.fetch(org, "users")
    before = contents(taken.path)

    with full_after(size), pytest.raises(SnapshotError, match="cannot be written") as raised:
        of.take_snapshot(org, taken.path, resources=["users"], refresh=False)

    assert os.strerror(errno.EFBIG) in str(raised.value)
    assert contents(taken.path) == before
