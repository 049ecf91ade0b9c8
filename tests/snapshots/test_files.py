"""How a version lies on the disk: files by ranges of ids, shared between versions, plain to all that read Parquet."""

import importlib
import importlib.util
import json
import multiprocessing
import os
import shutil
from itertools import pairwise

import dask.dataframe as dd
import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

import outreach_frames as of
from outreach_frames.errors import QueryError, SnapshotError
from outreach_frames.snapshots import _writing, parquet
from tests.fetch_support import organization
from tests.snapshot_support import accounts, contents, parts_of, seal


def test_a_large_table_is_a_folder_of_files_by_ranges_of_ids(taken):
    files = parts_of(taken, "accounts")

    assert [file["path"] for file in files] == [f"accounts/part-{n:05d}.parquet" for n in range(1, len(files) + 1)]
    assert len(files) > 3
    ranges = [(file["first_id"], file["last_id"]) for file in files]
    assert ranges[0][0] == 1
    assert ranges[-1][1] == 100
    assert all(low == high + 1 for (_, high), (low, _) in pairwise(ranges))
    assert sum(file["rows"] for file in files) == taken.manifest["tables"]["accounts"]["rows"] == 100


def test_row_groups_can_be_skipped_by_id_and_time(taken):
    """Each holds the smallest and the largest value, and ids do not overlap."""
    for file in parts_of(taken, "accounts"):
        groups = pq.ParquetFile(taken.folder / file["path"]).metadata
        names = [groups.schema.column(place).name for place in range(groups.num_columns)]
        ids = [groups.row_group(n).column(names.index("id")).statistics for n in range(groups.num_row_groups)]
        assert all(one.max < other.min for one, other in pairwise(ids))
        assert groups.row_group(0).column(names.index("created_at")).statistics.has_min_max


def test_a_divided_table_is_the_fetched_frame(org, taken):
    fetched = of.fetch(org, "accounts", refresh=True)

    frame = taken.frame("accounts")

    pd.testing.assert_frame_equal(frame, fetched)
    assert frame.attrs["outreach_frames"].keys() == fetched.attrs["outreach_frames"].keys()


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # Dask's own
def test_everything_reads_the_folder_as_it_is(taken):
    """Nobody needs this package, or the manifest, to read a table."""
    folder = taken.folder / "accounts"
    ids = list(range(1, 101))

    assert pd.read_parquet(folder)["id"].tolist() == ids
    assert sorted(duckdb.read_parquet(f"{folder}/*.parquet").df()["id"]) == ids
    assert pl.scan_parquet(folder).select("id").collect()["id"].to_list() == ids
    assert dd.read_parquet(folder)["id"].compute().tolist() == ids


@pytest.mark.slow
def test_spark_reads_the_folder_as_it_is(taken, monkeypatch):
    if importlib.util.find_spec("pyspark") is None or shutil.which("java") is None:
        pytest.skip("SPARK NOT CHECKED: pip install pyspark, and a Java runtime (apt-get install default-jre-headless)")
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    builder = importlib.import_module("pyspark.sql").SparkSession.builder.master("local[2]")
    builder = builder.config("spark.driver.host", "127.0.0.1").config("spark.ui.enabled", "false")
    session = builder.getOrCreate()
    try:
        rows = session.read.parquet(str(taken.folder / "accounts")).select("id").collect()
        assert sorted(row["id"] for row in rows) == list(range(1, 101))
        assert taken.scan("accounts", "spark").count() == 100
    finally:
        session.stop()


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # Dask's own
@pytest.mark.parametrize("engine", ["duckdb", "polars", "dask"])
def test_scan_reads_all_files_of_a_table(taken, engine):
    rows = taken.scan("accounts", engine)

    found = getattr(rows, {"duckdb": "df", "polars": "collect", "dask": "compute"}[engine])()

    assert sorted([*found["id"]]) == list(range(1, 101))
    assert taken.sql("select count(*) as n, max(id) as last from accounts").to_dict("records") == [
        {"n": 100, "last": 100}
    ]


def test_a_small_table_is_one_file(tmp_path):
    with organization(tmp_path / "cache", *accounts(1, 2, 3)) as org:
        taken = of.take_snapshot(org, tmp_path / "org", resources=["accounts"])

    assert [path.name for path in taken.folder.iterdir() if path.is_dir()] == []
    assert [file["path"] for file in parts_of(taken, "accounts")] == ["accounts.parquet"]


def test_gaps_between_ids_make_files_of_equal_size(tmp_path):
    """Ids of an organization are far apart and in lumps; ranges of equal width would hold nothing or everything."""
    ids = [*range(1, 40), *range(1_000_000, 1_000_030), 7_000_000_000]
    with organization(tmp_path / "cache", *accounts(*ids)) as org:
        taken = of.take_snapshot(org, tmp_path / "org", resources=["accounts"], progress=False)

    assert taken.frame("accounts")["id"].tolist() == ids
    assert max(file["rows"] for file in parts_of(taken, "accounts")) <= 32


def test_versions_share_the_files_that_did_not_change(org, taken):
    """Ten versions of a quiet organization cost little more than one."""
    org.update("accounts", 50, name="New")

    again = of.take_snapshot(org, taken.path, resources=["accounts"], progress=False)

    inodes = [
        [(each.folder / file["path"]).stat().st_ino for file in parts_of(each, "accounts")] for each in (taken, again)
    ]
    assert sum(one != other for one, other in zip(*inodes, strict=True)) == 1
    for each in (taken, again):
        each.verify()


def test_files_are_copied_where_there_are_no_links(org, taken, monkeypatch):
    """As between file systems, or on one without hard links."""
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError("no links here")))

    again = taken.refresh(org, progress=False)

    again.verify()
    pd.testing.assert_frame_equal(again.frame("accounts"), taken.frame("accounts"))
    shutil.rmtree(taken.folder)
    again.verify()


def test_only_the_newest_versions_are_kept(org, taken):
    for _ in range(3):
        newest = of.take_snapshot(org, taken.path, resources=["accounts"], keep=2, progress=False)

    assert len(newest.versions) == 2
    assert newest.versions[-1] == newest.version == of.open_snapshot(taken.path).version
    newest.verify()


@pytest.mark.parametrize("keep", [0, -1])
def test_keeping_no_version_is_refused_before_anything_is_sent(org, taken, keep):
    org.sandbox.clear_log()
    with pytest.raises(QueryError, match="remove the new version"):
        of.take_snapshot(org, taken.path, resources=["accounts"], keep=keep)
    with pytest.raises(QueryError, match="remove the new version"):
        taken.refresh(org, keep=keep)
    assert org.sandbox.data_requests == 0


@pytest.mark.parametrize("change", ["flip", "cut", "remove", "link", "folder"])
def test_a_damaged_file_is_named_and_never_read(taken, tmp_path, change):
    file = taken.folder / "accounts" / "part-00002.parquet"
    content = file.read_bytes()
    if change == "flip":
        file.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    elif change == "cut":
        file.write_bytes(content[:-50])
    elif change == "link":
        shutil.copy(file, tmp_path / "away")
        file.unlink()
        file.symlink_to(tmp_path / "away")
    elif change == "folder":
        (taken.folder / "accounts").rename(tmp_path / "away")
        (taken.folder / "accounts").symlink_to(tmp_path / "away")
    else:
        file.unlink()

    for read in (
        lambda: taken.frame("accounts"),
        lambda: taken.sql("select 1"),
        lambda: taken.scan("accounts"),
        taken.verify,
    ):
        with pytest.raises(SnapshotError, match=r"part-0000\d\.parquet"):
            read()


def edit_files(snapshot, change):
    """Change the list of files of the accounts in the manifest."""
    manifest = snapshot.folder / "manifest.json"
    content = json.loads(manifest.read_text())
    change(content["tables"]["accounts"]["files"])
    manifest.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "path",
    [
        "../../x.parquet",
        "/etc/x.parquet",
        "accounts/../part-00001.parquet",
        "accounts/x/part-00001.parquet",
        "users/part-00001.parquet",
        "users.parquet",
        "accounts\\part-00001.parquet",
        "accounts/part-00002.parquet",
        "",
        "accounts/part-00001.parquet\n",
    ],
)
def test_a_manifest_names_files_of_its_own_table_only(taken, path):
    edit_files(taken, lambda files: files[0].update(path=path))

    with pytest.raises(SnapshotError, match="readable manifest"):
        taken.frame("accounts")


def test_a_table_without_files_is_a_damaged_manifest(taken):
    edit_files(taken, list.clear)

    with pytest.raises(SnapshotError, match="readable manifest"):
        taken.frame("accounts")


def test_a_newer_format_is_told(taken):
    manifest = taken.folder / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 3}))

    with pytest.raises(SnapshotError, match="newer than this package") as raised:
        of.open_snapshot(taken.path).frame("accounts")
    assert "Update" in raised.value.hint


def as_format_1(snapshot):
    """Write a version as the format before did: one file for each table, without ids and watermarks."""
    manifest = snapshot.folder / "manifest.json"
    content = json.loads(manifest.read_text())
    for name, facts in content["tables"].items():
        frame = snapshot.frame(name)
        shutil.rmtree(snapshot.folder / name, ignore_errors=True)
        with (snapshot.folder / f"{name}.parquet").open("wb") as stream:
            parquet.write_table(frame, stream)
        content["tables"][name] = {"rows": facts["rows"], "sha256": "", "as_of": facts["as_of"], "options": {}}
    manifest.write_text(json.dumps({**content, "format": 1}))
    seal(snapshot)


def test_the_format_before_is_read_and_carried_over(org, taken):
    before = taken.frame("accounts")
    as_format_1(taken)
    org.update("accounts", 7, name="New")

    old = of.open_snapshot(taken.path)
    pd.testing.assert_frame_equal(old.frame("accounts"), before)
    new = old.refresh(org, progress=False)

    assert new.manifest["format"] == 2
    assert len(parts_of(new, "accounts")) > 3
    pd.testing.assert_frame_equal(new.frame("accounts"), of.fetch(org, "accounts", refresh=True))
    pd.testing.assert_frame_equal(old.frame("accounts"), before)


def hold(path, held, done):
    """Write to a snapshot until told to end."""
    with _writing.writing(path):
        held.set()
        done.wait()


def test_one_program_writes_at_a_time_and_its_lock_ends_with_it(org, taken):
    context = multiprocessing.get_context("spawn")
    held, done = context.Event(), context.Event()
    other = context.Process(target=hold, args=(taken.path, held, done))
    other.start()
    assert held.wait(60)
    before = contents(taken.path)

    for write in (
        lambda: of.take_snapshot(org, taken.path, resources=["accounts"]),
        lambda: taken.refresh(org),
    ):
        with pytest.raises(SnapshotError, match="Another program is writing"):
            write()
    assert contents(taken.path) == before
    assert len(taken.frame("accounts")) == 100
    other.kill()
    other.join()

    assert len(taken.refresh(org, progress=False).versions) == 2


def test_many_values_in_a_filter_are_no_obstacle(org, tmp_path):
    """A filter too long for one URL is sent in parts; only the newest record of all is looked for."""
    names = {"accounts": {"filter": {"name": [f"A{n}" for n in range(1, 6_000)]}}}

    taken = of.take_snapshot(org, tmp_path / "many", resources=names, progress=False)

    assert taken.frame("accounts")["id"].tolist() == [*range(1, 101)]


def test_a_link_that_a_killed_program_left_is_not_written_through(tmp_path):
    """It may lead to a file that another version has."""
    for name in ("new", "shared"):
        (tmp_path / name).write_text(name)
    (tmp_path / ".link-place").hardlink_to(tmp_path / "shared")

    parquet.link(tmp_path / "new", tmp_path / "place")

    assert [(tmp_path / name).read_text() for name in ("place", "shared")] == ["new", "shared"]
