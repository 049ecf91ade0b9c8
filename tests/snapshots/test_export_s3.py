"""An export to object storage: a real S3-compatible server on loopback, with what can go wrong on the way."""

import json
import random
import traceback

import duckdb
import pandas as pd
import pytest
from click.testing import CliRunner

import outreach_frames as of
from outreach_frames.cli import main
from outreach_frames.errors import ExportError, SnapshotError
from tests.fetch_support import organization, resource
from tests.snapshots.test_export import ROOT, killed

moto = pytest.importorskip("moto.server", reason="S3 NOT CHECKED: pip install 'moto[s3]' flask flask-cors")
s3fs = pytest.importorskip("s3fs", reason="S3 NOT CHECKED: pip install s3fs")

SECRET = "not-to-be-shown"


@pytest.fixture(scope="module")
def sample():
    return of.open_snapshot(ROOT / "data" / "sample")


@pytest.fixture(scope="module")
def server():
    """Return a running S3-compatible server."""
    running = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def options(server):
    """Return the options of a file system with an empty bucket ``data``."""
    host, port = server.get_host_and_port()
    made = {"key": "testing", "secret": SECRET, "endpoint_url": f"http://{host}:{port}"}
    system = s3fs.S3FileSystem(**made)
    system.mkdir("data")
    yield made
    system.invalidate_cache()
    system.rm("data", recursive=True)


@pytest.fixture
def store(options):
    """Return the file system itself, which looks again each time."""
    return s3fs.S3FileSystem(**options, use_listings_cache=False, skip_instance_cache=True)


def names(store, folder):
    return [path.removeprefix(f"data/{folder}/") for path in store.find(f"data/{folder}")]


def manifest_of(store, folder):
    return json.loads(store.cat_file(f"data/{folder}/manifest.json"))


@pytest.mark.parametrize("form", ["parquet", "csv", "xlsx"])
def test_the_bucket_has_what_a_folder_would_have(sample, store, options, tmp_path, form):
    files = sample.export("s3://data/exports/org", format=form, tables=["users", "mailings"], storage_options=options)
    sample.export(tmp_path / "out", format=form, tables=["users", "mailings"])

    assert files["file"].tolist() == [f"users.{form}", f"mailings.{form}"]
    assert sorted(names(store, "exports/org")) == sorted(path.name for path in (tmp_path / "out").iterdir())
    if form != "xlsx":  # a workbook has the time of its making
        for path in files["file"]:
            assert store.cat_file(f"data/exports/org/{path}") == (tmp_path / "out" / path).read_bytes()
        assert manifest_of(store, "exports/org") == json.loads((tmp_path / "out" / "manifest.json").read_text())


def test_files_of_a_divided_table_keep_their_folder(taken, options):
    taken.export("s3://data/org", storage_options=options)

    frame = pd.read_parquet("s3://data/org/accounts", storage_options=options, dtype_backend="pyarrow")
    assert sorted(frame["id"]) == [*range(1, 101)]


def test_a_database_is_one_object(sample, store, options, tmp_path):
    sample.export("s3://data/org.duckdb", format="duckdb", storage_options=options)

    store.get_file("data/org.duckdb", str(tmp_path / "org.duckdb"))
    with duckdb.connect(tmp_path / "org.duckdb", read_only=True) as database:
        assert database.sql("select count(*) from mailings").fetchall() == [(2371,)]
    with pytest.raises(SnapshotError, match=r"s3://…/org\.duckdb is there already"):
        sample.export("s3://data/org.duckdb", format="duckdb", storage_options=options)
    with pytest.raises(SnapshotError, match="is a file"):
        sample.export("s3://data/org.duckdb", storage_options=options)
    sample.export("s3://data/org.duckdb", format="duckdb", overwrite=True, storage_options=options)


def test_what_is_there_is_replaced_only_on_request(taken, sample, store, options):
    """And what the earlier export had besides is removed: a reader of the folder would read it too."""
    taken.export("s3://data/org", storage_options=options)
    before = {path: store.cat_file(path) for path in store.find("data/org")}

    with pytest.raises(SnapshotError, match=r"s3://…/org is there already"):
        sample.export("s3://data/org", storage_options=options)
    assert {path: store.cat_file(path) for path in store.find("data/org")} == before

    sample.export("s3://data/org/", tables=["users"], overwrite=True, storage_options=options)
    assert names(store, "org") == ["manifest.json", "users.parquet"]


def test_objects_of_others_are_never_replaced(taken, store, options):
    taken.export("s3://data/org", storage_options=options)
    store.pipe_file("data/org/accounts/mine.parquet", b"mine")
    before = store.find("data/org")

    with pytest.raises(SnapshotError, match=r"of no export, such as mine\.parquet"):
        taken.export("s3://data/org", overwrite=True, storage_options=options)
    with pytest.raises(SnapshotError, match="of no export"):
        taken.export("s3://data", overwrite=True, storage_options=options)
    with pytest.raises(SnapshotError, match="is a folder"):
        taken.export("s3://data/org", format="duckdb", overwrite=True, storage_options=options)
    assert store.find("data/org") == before


@pytest.mark.parametrize(
    "place", ["s3://no-such-bucket/org", f"s3://key:{SECRET}@bucket/org", f"s3://UPPER_{SECRET}/x", "s3://"]
)
def test_a_place_that_cannot_be_written_shows_no_credentials(taken, store, options, place):
    """Neither the message nor what is printed of the errors before it."""
    with pytest.raises((ExportError, SnapshotError)) as raised:
        taken.export(place, storage_options=options)

    assert SECRET not in "".join(traceback.format_exception(raised.value))
    assert raised.value.hint
    assert store.ls("") == ["data"]


@pytest.mark.slow
def test_a_server_that_is_gone_is_told(taken, server, options):
    """The file system tries again for some seconds by itself."""
    server.stop()
    try:
        with pytest.raises(ExportError, match=r"s3://…/org cannot be written: \w+Error") as raised:
            taken.export("s3://data/org", storage_options=options)
    finally:
        server._server = None
        server._port = int(options["endpoint_url"].rpartition(":")[2])
        server.start()
    assert SECRET not in "".join(traceback.format_exception(raised.value))


def test_an_export_that_fails_on_the_way_leaves_nothing(store, options, tmp_path):
    """A text that does not fit into a cell is found after other tables were uploaded."""
    taken = snapshot_with_a_long_text(tmp_path)

    with pytest.raises(of.errors.DataError, match="Table accounts"):
        taken.export("s3://data/org", format="xlsx", tables=["users", "accounts"], storage_options=options)

    assert store.find("data/org") == []


def test_an_overwriting_that_fails_on_the_way_can_be_seen_and_repaired(sample, store, options, tmp_path):
    """There is no manifest where files are of two exports."""
    taken = snapshot_with_a_long_text(tmp_path)
    sample.export("s3://data/org", format="xlsx", tables=["users", "accounts"], storage_options=options)

    with pytest.raises(of.errors.DataError, match="Table accounts"):
        taken.export(
            "s3://data/org", format="xlsx", tables=["users", "accounts"], overwrite=True, storage_options=options
        )

    assert "manifest.json" not in names(store, "org")
    assert "unfinished.json" in names(store, "org")
    with pytest.raises(SnapshotError, match="there already"):
        sample.export("s3://data/org", storage_options=options)
    sample.export("s3://data/org", tables=["users"], overwrite=True, storage_options=options)
    assert names(store, "org") == ["manifest.json", "users.parquet"]


def snapshot_with_a_long_text(folder):
    records = [resource("account", 1, {"name": "x" * 40_000}), resource("user", 2, {"name": "U"})]
    with organization(folder / "cache", *records) as org:
        return of.take_snapshot(org, folder / "org", resources=["accounts", "users"], progress=False)


def test_killed_at_any_moment_files_are_whole_and_a_manifest_means_all(sample, store, options):
    """The next export repairs."""
    chance = random.Random(11)  # noqa: S311  the same points every time
    unfinished = 0
    for number in range(4):
        folder = f"killed/{number}"
        killed(sample, f"s3://data/{folder}", options, chance)
        present = {path.rpartition("/")[2]: store.size(path) for path in store.find(f"data/{folder}")}
        sizes = {f"{name}.parquet": (sample.folder / f"{name}.parquet").stat().st_size for name in sample.tables}
        assert present.keys() <= sizes.keys() | {"manifest.json", "unfinished.json"}
        assert all(present[name] == size for name, size in sizes.items() if name in present)
        if "manifest.json" in present:
            assert sizes.keys() <= present.keys()
        else:
            unfinished += 1
            assert "unfinished.json" in present

        sample.export(f"s3://data/{folder}", overwrite=True, storage_options=options)

        assert sorted(names(store, folder)) == sorted([*sizes, "manifest.json"])
    assert unfinished


def test_the_command_exports_with_the_environment_s_sign_in(sample, store, options, monkeypatch):
    """As every tool of S3 reads it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", options["key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", options["secret"])
    monkeypatch.setenv("AWS_ENDPOINT_URL", options["endpoint_url"])

    done = CliRunner().invoke(main, ["snapshot", "export", str(sample.path), "s3://data/cli", "--table", "users"])

    assert done.exit_code == 0, done.output
    assert names(store, "cli") == ["manifest.json", "users.parquet"]
