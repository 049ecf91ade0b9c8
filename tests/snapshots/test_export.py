"""An export holds what the snapshot has, for programs and people; it appears whole and replaces nothing by itself."""

import csv
import json
import os
import random
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from threading import Event

import duckdb
import fsspec
import openpyxl
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import outreach_frames as of
from outreach_frames._export import EXCEL_ROWS
from outreach_frames.cli import main
from outreach_frames.errors import DataError, ExportError, MissingExtraError, QueryError, SnapshotError
from outreach_frames.snapshots import _places, parquet
from tests.fetch_support import organization, resource
from tests.snapshot_support import contents, full_after, parts_of

ROOT = Path(__file__).parents[2]
FORMULA = '=HYPERLINK("http://x.example","open")'


@pytest.fixture(scope="module")
def sample():
    return of.open_snapshot(ROOT / "data" / "sample")


@pytest.fixture
def formulas(tmp_path):
    """Return a snapshot of people with a formula for a title, in two files."""
    attributes = {"title": FORMULA, "createdAt": "2026-07-01T10:00:00.000Z", "tags": ["a", "b"]}
    people = [resource("prospect", id_, attributes) for id_ in range(1, 40)]
    with organization(tmp_path / "cache", *people) as org:
        return of.take_snapshot(org, tmp_path / "people", resources=["prospects"], progress=False)


def manifest_of(place):
    return json.loads((place / "manifest.json").read_text())


def test_parquet_files_are_those_of_the_snapshot(taken, tmp_path):
    """Byte by byte, but no second name of them: who changes one does not change the snapshot."""
    files = taken.export(tmp_path / "out")

    paths = [file["path"] for file in parts_of(taken, "accounts")]
    assert files["file"].tolist() == paths
    assert files["rows"].sum() == 100
    columns = taken.manifest["tables"]["accounts"]["columns"]
    assert columns
    assert manifest_of(tmp_path / "out")["tables"]["accounts"]["columns"] == columns
    for path in paths:
        assert (tmp_path / "out" / path).read_bytes() == (taken.folder / path).read_bytes()
        assert not (tmp_path / "out" / path).samefile(taken.folder / path)
    assert pl.scan_parquet(tmp_path / "out" / "accounts").select("id").collect()["id"].to_list() == [*range(1, 101)]


def test_the_manifest_lists_what_was_exported(sample, tmp_path):
    files = sample.export(tmp_path / "out", format="csv", tables=["users", "mailings"])

    manifest = manifest_of(tmp_path / "out")
    assert (manifest["format"], manifest["version"]) == ("csv", sample.version)
    assert {name: table["rows"] for name, table in manifest["tables"].items()} == {"users": 8, "mailings": 2371}
    assert [file["path"] for file in manifest["files"]] == files["file"].tolist() == ["users.csv", "mailings.csv"]
    sizes = [(tmp_path / "out" / path).stat().st_size for path in files["file"]]
    assert files["bytes"].tolist() == sizes == [file["bytes"] for file in manifest["files"]]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["mailings.csv", "manifest.json", "users.csv"]


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_each_table_becomes_the_file_that_export_makes_of_its_frame(sample, tmp_path, form):
    """One rule for what people open, whether it is read in parts or at once."""
    tables = ["prospects", "users", "tasks"] if form == "xlsx" else sample.tables
    sample.export(tmp_path / "out", format=form, tables=tables, timezone="Europe/Berlin")

    for name in tables:
        made, once = (tmp_path / folder / f"{name}.{form}" for folder in ("out", "."))
        of.export(sample.frame(name), once, timezone="Europe/Berlin")
        if form == "csv":
            assert made.read_bytes() == once.read_bytes()
        else:
            sheets = [openpyxl.load_workbook(each).active for each in (made, once)]
            rows = [[*sheet.iter_rows(values_only=True)] for sheet in sheets]
            assert rows[0] == rows[1]


def test_text_that_a_spreadsheet_would_run_stays_text_in_all_parts(formulas, tmp_path):
    assert len(parts_of(formulas, "prospects")) > 1
    formulas.export(tmp_path / "csv", format="csv", timezone="Asia/Tokyo")
    formulas.export(tmp_path / "xlsx", format="xlsx", timezone="Asia/Tokyo")

    with (tmp_path / "csv" / "prospects.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = [*csv.DictReader(stream)]
    assert [row["id"] for row in rows] == [str(id_) for id_ in range(1, 40)]
    assert {row["title"] for row in rows} == {"'" + FORMULA}
    assert {row["created_at"] for row in rows} == {"2026-07-01 19:00:00+09:00"}
    assert {row["tags"] for row in rows} == {'["a", "b"]'}
    sheet = openpyxl.load_workbook(tmp_path / "xlsx" / "prospects.xlsx").active
    heading, *cells = sheet.iter_rows()
    names = [cell.value for cell in heading]
    assert len(cells) == 39
    assert {(row[names.index("title")].value, row[names.index("title")].data_type) for row in cells} == {(FORMULA, "s")}
    instants = {(row[names.index("created_at")].value, row[names.index("created_at")].number_format) for row in cells}
    assert instants == {(datetime(2026, 7, 1, 19), 'yyyy-mm-dd hh:mm:ss "Asia/Tokyo"')}  # noqa: DTZ001  a sheet has none


def test_a_database_has_a_table_for_each(sample, tmp_path):
    files = sample.export(tmp_path / "org.duckdb", format="duckdb")

    assert {*files["file"]} == {"org.duckdb"}
    assert [path.name for path in tmp_path.iterdir()] == ["org.duckdb"]
    with duckdb.connect(tmp_path / "org.duckdb", read_only=True) as database:
        database.execute("set TimeZone = 'UTC'")
        assert sorted(name for (name,) in database.sql("show tables").fetchall()) == sample.tables
        for name, rows in zip(files["table"], files["rows"], strict=True):
            expected = pq.read_table(sample.folder / f"{name}.parquet")
            found = database.table(name).to_arrow_table()
            assert found.num_rows == rows == expected.num_rows
            assert found.column_names == expected.column_names
            for column in expected.column_names:
                assert found[column].to_pylist() == expected[column].to_pylist()
        kinds = {name: kind for name, kind, *_ in database.sql("describe mailings").fetchall()}
    assert kinds["delivered_at"] == "TIMESTAMP WITH TIME ZONE"


def test_names_that_are_words_of_sql_are_quoted(taken, tmp_path):
    """Nothing in a manifest forbids a table called ``order`` or ``a-b``."""
    words = ["order", "a-b"]
    manifest = taken.folder / "manifest.json"
    content = json.loads(manifest.read_text())
    facts = content["tables"].pop("accounts")
    source = taken.folder / facts["files"][0]["path"]
    for word in words:
        shutil.copy(source, taken.folder / f"{word}.parquet")
        file = {**facts["files"][0], "path": f"{word}.parquet"}
        content["tables"][word] = {**facts, "rows": file["rows"], "files": [file]}
    manifest.write_text(json.dumps(content))

    taken.export(tmp_path / "x.duckdb", format="duckdb")

    with duckdb.connect(tmp_path / "x.duckdb", read_only=True) as database:
        assert sorted(database.sql("show tables").fetchall()) == [(word,) for word in sorted(words)]
        assert database.sql('select count(*) from "order"').fetchall() == [(facts["files"][0]["rows"],)]


@pytest.mark.parametrize("form", ["parquet", "csv", "xlsx", "duckdb"])
def test_an_empty_table_keeps_its_columns(tmp_path, form):
    with organization(tmp_path / "cache") as org:
        taken = of.take_snapshot(org, tmp_path / "org", resources=["accounts"], progress=False)

    (row,) = taken.export(tmp_path / "out", format=form).to_dict("records")

    assert row["rows"] == 0
    file = tmp_path / "out" / row["file"] if form != "duckdb" else tmp_path / "out"
    columns = {
        "parquet": lambda: pq.read_schema(file).names,
        "csv": lambda: [*pd.read_csv(file)],
        "xlsx": lambda: [cell.value for cell in next(openpyxl.load_workbook(file).active.iter_rows())],
        "duckdb": lambda: duckdb.connect(file, read_only=True).table("accounts").columns,
    }
    assert columns[form]() == [*taken.frame("accounts")]


def test_one_row_group_is_in_memory_at_a_time(taken, tmp_path, monkeypatch):
    """Whatever the rows of the table."""
    sizes = []
    write = parquet.frames

    def watched(table, files):
        for part in write(table, files):
            sizes.append(len(part))
            yield part

    monkeypatch.setattr(parquet, "frames", watched)
    taken.export(tmp_path / "out", format="csv")

    assert sum(sizes) == 100
    assert max(sizes) <= parquet.GROUP_ROWS


def test_a_table_that_does_not_fit_into_a_sheet_is_named(taken, tmp_path):
    """Before anything is written: XlsxWriter would leave the other rows out and say nothing."""
    manifest = taken.folder / "manifest.json"
    content = json.loads(manifest.read_text())
    facts = content["tables"]["accounts"]
    facts["files"][0]["rows"] += EXCEL_ROWS - facts["rows"]
    facts["rows"] = EXCEL_ROWS
    manifest.write_text(json.dumps(content))

    with pytest.raises(DataError, match=r"Table accounts: 1,048,576 rows .* do not fit") as raised:
        taken.export(tmp_path / "out", format="xlsx")
    assert "CSV" in raised.value.hint
    assert not (tmp_path / "out").exists()


def test_a_text_that_does_not_fit_into_a_cell_names_its_table(tmp_path):
    with organization(tmp_path / "cache", resource("account", 1, {"name": "x" * 40_000})) as org:
        taken = of.take_snapshot(org, tmp_path / "org", resources=["accounts"], progress=False)

    with pytest.raises(DataError, match=r"Table accounts .* row 1 of column"):
        taken.export(tmp_path / "out", format="xlsx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "org"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"format": "orc"}, QueryError, "no export as 'orc'"),
        ({"tables": "accounts"}, QueryError, "one string"),
        ({"tables": []}, QueryError, "No table"),
        ({"tables": ["accounts", "calls"]}, SnapshotError, "no table 'calls'"),
        ({"timezone": "Mars/Olympus"}, DataError, "no time zone"),
        ({"format": "csv", "timezone": "Mars/Olympus"}, DataError, "no time zone"),
    ],
)
def test_what_cannot_be_exported_is_refused_before_anything_is_written(taken, tmp_path, options, error, message):
    before = contents(tmp_path)

    with pytest.raises(error, match=message) as raised:
        taken.export(tmp_path / "out", **options)

    assert raised.value.hint
    assert contents(tmp_path) == before


@pytest.mark.parametrize("place", ["", "/", ".", "nonsense://x/y", "s3:/", "http://127.0.0.1:9/x", "a\0b"])
def test_a_place_that_is_none_is_a_sentence(taken, tmp_path, monkeypatch, place):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "mine.txt").write_text("mine")
    monkeypatch.chdir(tmp_path / "here")

    if place == "s3:/":  # a relative path like any other
        taken.export(place)
        return
    with pytest.raises((SnapshotError, ExportError, MissingExtraError)) as raised:
        taken.export(place)

    assert raised.value.hint
    assert [path.name for path in Path().iterdir()] == ["mine.txt"]


def test_what_is_there_is_replaced_only_on_request(taken, tmp_path):
    out = tmp_path / "out"
    taken.export(out)
    (out / "accounts" / "part-00002.parquet").write_bytes(b"changed")
    before = contents(out)

    with pytest.raises(SnapshotError, match="out is there already") as raised:
        taken.export(out)
    assert "overwrite=True" in raised.value.hint
    assert contents(out) == before

    taken.export(out, format="csv", overwrite=True)
    assert sorted(path.name for path in out.iterdir()) == ["accounts.csv", "manifest.json"]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_database_is_replaced_only_on_request(taken, tmp_path):
    (tmp_path / "x.duckdb").write_text("mine")

    with pytest.raises(SnapshotError, match=r"x\.duckdb is there already"):
        taken.export(tmp_path / "x.duckdb", format="duckdb")
    assert (tmp_path / "x.duckdb").read_text() == "mine"

    taken.export(tmp_path / "x.duckdb", format="duckdb", overwrite=True)
    with duckdb.connect(tmp_path / "x.duckdb", read_only=True) as database:
        assert database.sql("select count(*) from accounts").fetchall() == [(100,)]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("extra", ["mine.csv", "below/mine.csv", "accounts/mine.parquet", "link.csv"])
def test_a_folder_with_other_files_is_never_replaced(taken, tmp_path, overwrite, extra):
    """Somebody's own files are no export, whatever they are called."""
    out = tmp_path / "out"
    taken.export(out)
    (out / extra).parent.mkdir(exist_ok=True)
    if extra == "link.csv":
        (out / extra).symlink_to(tmp_path)
    else:
        (out / extra).write_text("mine")
    before = contents(out)

    with pytest.raises(SnapshotError):
        taken.export(out, format="csv", overwrite=overwrite)
    assert contents(out) == before


def test_a_folder_without_a_manifest_is_no_export(taken, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "accounts.csv").write_text("mine")

    for manifest in (None, b"no json", b"[]", b'{"files": 3}', b'{"files": [{"path": []}]}'):
        if manifest is not None:
            (out / "manifest.json").write_bytes(manifest)
        with pytest.raises(SnapshotError, match="of no export"):
            taken.export(out, overwrite=True)
        assert (out / "accounts.csv").read_text() == "mine"


def test_an_empty_folder_is_taken(taken, tmp_path):
    (tmp_path / "out").mkdir()

    taken.export(tmp_path / "out")

    assert manifest_of(tmp_path / "out")["format"] == "parquet"


def test_a_link_a_file_and_a_folder_in_place_are_refused(taken, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "file").write_text("mine")

    for place, form, message in [
        ("link", "parquet", "is a link"),
        ("link", "duckdb", "is a link"),
        ("file", "csv", "is a file"),
        ("elsewhere", "duckdb", "is a folder"),
        ("file/below", "csv", "cannot be written"),
    ]:
        with pytest.raises((SnapshotError, ExportError), match=message):
            taken.export(tmp_path / place, format=form, overwrite=True)
    assert [*(tmp_path / "elsewhere").iterdir()] == []
    assert (tmp_path / "file").read_text() == "mine"


def test_nothing_is_exported_into_a_snapshot(taken):
    """Not even over a version, whose files are called as those of an export."""
    before = contents(taken.path)

    for place in (taken.path, taken.folder, taken.path / "out", taken.folder / "accounts"):
        with pytest.raises(SnapshotError, match="within a snapshot"):
            taken.export(place, overwrite=True)
    assert contents(taken.path) == before


@pytest.mark.parametrize("form", ["parquet", "csv", "xlsx", "duckdb"])
def test_a_full_disk_leaves_what_was_there(sample, tmp_path, form):
    """A limit of the system, not a simulated error."""
    out = tmp_path / "out"
    sample.export(out, format=form, tables=["users"])
    before = contents(tmp_path), out.read_bytes() if form == "duckdb" else None

    with full_after(20_000), pytest.raises(ExportError, match="cannot be written"):
        sample.export(out, format=form, overwrite=True)
    assert (contents(tmp_path), out.read_bytes() if form == "duckdb" else None) == before

    with full_after(20_000), pytest.raises(ExportError, match="cannot be written"):
        sample.export(tmp_path / "new", format=form)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("form", ["parquet", "csv", "xlsx"])
def test_a_full_disk_is_told_where_files_wait_for_their_upload(sample, form):
    """They are made on this machine first."""
    with full_after(20_000), pytest.raises(ExportError, match=r"memory://…/full cannot be written: File too large"):
        sample.export("memory://exports/full", format=form)

    assert fsspec.filesystem("memory").find("/exports/full") == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_is_told(taken, tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)

    with pytest.raises(ExportError, match="out cannot be written: Permission denied"):
        taken.export(tmp_path / "closed" / "out")


def test_a_place_of_the_system_that_cannot_be_written_is_told(taken):
    with pytest.raises(ExportError, match="out cannot be written"):
        taken.export("/proc/out")


def test_a_damaged_file_is_not_exported(taken, tmp_path):
    file = taken.folder / "accounts" / "part-00002.parquet"
    file.write_bytes(file.read_bytes()[:-1])

    with pytest.raises(SnapshotError, match="was changed"):
        taken.export(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def killed(snapshot, place, options, chance):
    """Export in a program that is killed while it writes; return once it is dead."""
    program = Path(__file__).with_name("killed_export.py")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    command = [sys.executable, program, snapshot.path, place, json.dumps(options)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout.readline() == "begins\n"
        Event().wait(chance.uniform(0, 0.3))
        running.kill()


def test_killed_at_any_moment_there_is_a_whole_export_or_none(sample, tmp_path):
    """And what the killed program left beside it goes with the next export."""
    chance = random.Random(7)  # noqa: S311  the same points every time
    left = 0
    for number in range(5):
        out = tmp_path / str(number) / "out"
        killed(sample, out, {}, chance)
        if out.exists():
            listed = {file["path"]: file["bytes"] for file in manifest_of(out)["files"]}
            assert {path.name: path.stat().st_size for path in out.glob("*.parquet")} == listed
        left += len(list(out.parent.glob(".out-*")))

        sample.export(out, overwrite=True)

        assert [path.name for path in out.parent.iterdir()] == ["out"]
        assert len(manifest_of(out)["files"]) == 17
    assert left > 0


def test_what_another_program_is_writing_stays(taken, tmp_path):
    with _places.open_place(tmp_path / "out") as other:
        other.write("x.csv", lambda file: file.write_text("x"))

        taken.export(tmp_path / "out")

        with pytest.raises(SnapshotError, match="there already"):
            other.finish()
    assert manifest_of(tmp_path / "out")["format"] == "parquet"


def test_a_place_in_memory_is_a_place(taken):
    """As are all that fsspec has."""
    memory = fsspec.filesystem("memory")
    try:
        taken.export("memory://exports/org")
        assert len(memory.find("/exports/org")) == len(parts_of(taken, "accounts")) + 1

        with pytest.raises(SnapshotError, match="there already"):
            taken.export("memory://exports/org", format="csv")
        taken.export("memory://exports/org", format="csv", overwrite=True)
        assert memory.find("/exports/org") == ["/exports/org/accounts.csv", "/exports/org/manifest.json"]

        memory.pipe_file("/exports/org/mine.txt", b"mine")
        with pytest.raises(SnapshotError, match=r"of no export, such as mine\.txt"):
            taken.export("memory://exports/org", overwrite=True)
        assert memory.cat_file("/exports/org/mine.txt") == b"mine"
    finally:
        memory.rm("/exports", recursive=True)


def test_an_address_of_this_machine_is_a_path(taken, tmp_path):
    taken.export(f"file://{tmp_path}/out")

    assert manifest_of(tmp_path / "out")["format"] == "parquet"
    with pytest.raises(SnapshotError, match="within a snapshot"):
        taken.export(f"file://{taken.folder}", overwrite=True)


@pytest.mark.parametrize("missing", ["fsspec.core", "gcsfs"])
def test_a_missing_extra_is_named(taken, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(MissingExtraError, match="gs://…/x is not installed") as raised:
        taken.export("gs://bucket/x")
    assert "outreach_frames[s3]" in raised.value.hint


def test_the_command_exports(sample, tmp_path):
    def run(*arguments):
        return CliRunner().invoke(main, ["snapshot", "export", str(sample.path), *map(str, arguments)])

    out = tmp_path / "out"
    done = run(out, "--format", "csv", "--table", "mailings", "--table", "users", "--timezone", "Europe/Berlin")

    assert done.exit_code == 0, done.output
    assert "mailings" in done.output
    assert "2,371 rows" in done.output
    assert sorted(path.name for path in out.iterdir()) == ["mailings.csv", "manifest.json", "users.csv"]
    assert run(out).exit_code == 1
    assert "there already" in run(out).output
    assert run(out, "--overwrite").exit_code == 0
    assert len(list(out.glob("*.parquet"))) == 17
    assert run(out, "--format", "orc").exit_code == 2
    assert run(tmp_path / "x", "--table", "nonsense").exit_code == 1
    assert run().exit_code == 2
