"""What can be asked of a snapshot: parts of a table, other versions, differences, and what the columns mean."""

from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest

import outreach_frames as of
from outreach_frames.errors import OutreachError, QueryError, SnapshotError
from tests.frames import as_pandas, assert_equal_tables
from tests.snapshot_support import parts_of


def test_a_frame_of_some_columns_and_rows(taken):
    whole = taken.frame("accounts")

    part = taken.frame("accounts", columns=["name", "id"], filters=[("id", ">", 90), ("id", "<=", 95)])

    expected = whole.loc[whole["id"].between(91, 95), ["name", "id"]].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, expected)
    assert part.attrs == whole.attrs
    either = taken.frame("accounts", filters=[[("id", "==", 3)], [("name", "in", ["A7", "A8"])]])
    assert either["id"].tolist() == [3, 7, 8]
    assert taken.frame("accounts", filters=pc.field("id") == 100)["name"].tolist() == ["A100"]
    assert taken.frame("accounts", filters=[("id", ">", 1_000)]).columns.tolist() == whole.columns.tolist()


def test_row_groups_without_a_row_are_not_read(taken):
    """Of a table of many files a few row groups are read; the statistics of the others say enough."""
    fragments = ds.dataset([str(taken.folder / file["path"]) for file in parts_of(taken, "accounts")]).get_fragments()
    condition = ds.field("id") == 50

    groups = [len(each.subset(condition).row_groups) for each in fragments]

    assert sum(groups) == 1
    assert taken.frame("accounts", filters=[("id", "==", 50)])["id"].tolist() == [50]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ["nmae"]}, "no column 'nmae'"),
        ({"columns": "name"}, "one string"),
        ({"filters": [("nonsense", "==", 1)]}, "cannot be read"),
        ({"filters": [("id", "~", 1)]}, "cannot be read"),
        ({"filters": [("id",)]}, "cannot be read"),
        ({"filters": "id > 3"}, "cannot be read"),
        ({"filters": 7}, "cannot be read"),
        ({"filters": [("id", "==", "x")]}, "cannot be read"),
    ],
)
def test_what_a_table_does_not_have_is_told(taken, options, message):
    with pytest.raises(QueryError, match=message) as raised:
        taken.frame("accounts", **options)
    assert raised.value.hint


def test_differences_name_records_and_columns(org, taken):
    org.sandbox.advance(3_600)
    org.update("accounts", 30, name="New", domain="example.com")
    org.sandbox.remove("account", 50)
    created = org.create("accounts", name="Newest")["id"]
    again = taken.refresh(org, progress=False)

    changes = again.diff(taken.version)

    expected = [
        ("accounts", 30, "changed"),
        ("accounts", 50, "removed"),
        ("accounts", created, "added"),
    ]
    assert [*changes[["table", "id", "change"]].itertuples(index=False, name=None)] == expected
    assert {"name", "domain", "updated_at"} <= {*changes["columns"].iloc[0]}
    assert "id" not in changes["columns"].iloc[0]
    assert [len(names) for names in changes["columns"].iloc[1:]] == [0, 0]
    assert taken.diff(again.version)["change"].tolist() == ["changed", "added", "removed"]
    assert again.diff(again.version).empty


def test_differences_are_those_of_a_comparison_by_hand(org, taken):
    """Of everything, whatever the files that changed."""
    org.sandbox.advance(3_600)
    for id_ in range(1, 60, 7):
        org.update("accounts", id_, name=f"New {id_}")
    for id_ in range(3, 90, 11):
        org.sandbox.remove("account", id_)
    for _ in range(30):
        org.create("accounts", name="Newest")
    again = taken.refresh(org, progress=False)
    old, new = (each.frame("accounts").set_index("id") for each in (taken, again))
    both = old.index.intersection(new.index)
    expected = {id_: "changed" for id_ in both if not old.loc[id_].equals(new.loc[id_])}
    expected |= dict.fromkeys(new.index.difference(old.index), "added")
    expected |= dict.fromkeys(old.index.difference(new.index), "removed")

    changes = again.diff(taken.version, tables=["accounts"])

    assert dict(zip(changes["id"], changes["change"], strict=True)) == expected


def test_shared_files_are_not_read(org, taken):
    """A difference costs what changed."""
    org.sandbox.advance(3_600)
    org.update("accounts", 30, name="New")
    again = taken.refresh(org, progress=False)
    for file in ("part-00001", "part-00003", "part-00004"):
        (again.folder / "accounts" / f"{file}.parquet").unlink()

    assert again.diff(taken.version)["id"].tolist() == [30]


def test_tables_of_one_version_only_are_added_or_removed(org, taken):
    both = of.take_snapshot(org, taken.path, resources=["accounts", "users"], progress=False)

    assert both.diff(taken.version)["change"].tolist() == ["added"] * len(both.frame("users"))
    assert taken.diff(both.version, tables=["users"])["change"].tolist() == ["removed"] * len(both.frame("users"))


def test_columns_of_another_type_are_compared_as_text(org, tmp_path):
    """As an attribute that the API has retyped."""
    first = of.take_snapshot(org, tmp_path / "x", resources={"accounts": {"fields": ["name"]}}, progress=False)
    second = of.take_snapshot(org, tmp_path / "x", resources={"accounts": {"fields": ["domain"]}}, progress=False)

    assert second.diff(first.version).empty


def test_versions_and_tables_that_are_not_there_are_told(taken):
    with pytest.raises(SnapshotError, match="no version"):
        taken.at("19700101T000000Z-1")
    with pytest.raises(SnapshotError, match="no version"):
        taken.diff("../org")
    with pytest.raises(QueryError, match="'calls'"):
        taken.diff(taken.version, tables=["calls"])
    with pytest.raises(QueryError, match="one string"):
        taken.diff(taken.version, tables="accounts")
    with pytest.raises(SnapshotError, match="no table 'calls'"):
        taken.columns("calls")


def test_an_earlier_version_is_opened_by_its_name(org, taken):
    again = taken.refresh(org, progress=False)

    assert again.at(taken.version) == taken


def test_the_data_dictionary_describes_every_column(org, tmp_path):
    options = {"include": {"owner": ["name"]}, "custom": True}
    taken = of.take_snapshot(org, tmp_path / "x", resources={"accounts": options}, progress=False)
    frame = taken.frame("accounts")

    columns = taken.columns("accounts")

    assert columns["column"].tolist() == frame.columns.tolist()
    assert columns["meaning"].notna().all()
    about = columns.set_index("column")
    assert about.loc["created_at", "unit"] == "UTC instant"
    assert about.loc["number_of_employees", "unit"] == "count"
    assert about.loc["owner__name", "meaning"] == "Attribute name of the owner of the account."
    assert about.loc["owner_id", "meaning"] == "Id of the owner of the account."
    assert about.loc["custom12", "meaning"] == "Custom field 12 of the account."
    shares = frame.isna().mean()
    assert about["missing"].tolist() == shares.tolist()


def test_missing_values_of_lists_are_counted():
    """The metadata of a file count their items."""
    sample = of.open_snapshot(Path(__file__).parents[2] / "data" / "sample")
    frame = sample.frame("prospects")
    lists = [name for name, dtype in frame.dtypes.items() if pa.types.is_list(dtype.pyarrow_dtype)]

    missing = sample.columns("prospects").set_index("column")["missing"]

    assert lists
    assert missing[lists].tolist() == frame[lists].isna().mean().tolist()


def test_a_query_of_a_divided_table_reaches_nothing_else(taken):
    """Not even its own files by their names."""
    file = taken.folder / parts_of(taken, "accounts")[0]["path"]
    with pytest.raises(QueryError, match="outside"):
        taken.sql(f"select * from '{file}'")  # noqa: S608  that is what is tested
    with pytest.raises(duckdb.Error):
        taken.scan("accounts").filter(f"exists (from '{file}')").fetchall()


def test_a_query_does_not_learn_whose_machine_it_is(taken):
    """The settings of DuckDB name folders."""
    settings = taken.sql("select name, value from duckdb_settings()")

    assert len(settings) > 100
    assert settings[settings["value"].str.contains(str(Path.home()), regex=False)].empty
    assert set(settings["value"][settings["name"].str.endswith(("directory", "path"))]) <= {"", "none", "main"}


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # Dask's own
def test_partitions_of_dask_are_the_files(taken):
    """Each worker reads whole files, in the order of the ids; of few columns Dask reads several files at once."""
    files = parts_of(taken, "accounts")

    rows = taken.scan("accounts", "dask")

    assert rows.npartitions == len(files)
    assert [*rows.map_partitions(len).compute()] == [file["rows"] for file in files]
    some = [part.compute()["id"] for part in rows[["id"]].partitions]
    assert {ids.min() for ids in some} <= {file["first_id"] for file in files}
    assert {ids.max() for ids in some} <= {file["last_id"] for file in files}


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # Dask's own
@pytest.mark.parametrize("engine", ["duckdb", "polars", "dask"])
def test_statistics_of_a_scan_are_those_of_the_frame(engine):
    """Without a warning of instants that have no zone: DuckDB had none."""
    sample = of.open_snapshot(Path(__file__).parents[2] / "data" / "sample")

    found = of.stats.engagement(sample.scan("mailings", engine), by="sequence_id")

    assert_equal_tables(
        as_pandas(found.compute() if engine == "dask" else found),
        as_pandas(of.stats.engagement(sample.frame("mailings"), by="sequence_id")),
    )


@pytest.mark.parametrize("engine", ["dask", "spark"])
def test_a_path_that_an_engine_takes_for_a_pattern_is_refused(org, tmp_path, engine):
    """Dask found no rows in such a folder, or those of another, and said nothing."""
    taken = of.take_snapshot(org, tmp_path / "org[1]", resources=["accounts"], progress=False)

    with pytest.raises(SnapshotError, match="pattern"):
        taken.scan("accounts", engine=engine)

    assert taken.scan("accounts", engine="polars").collect().height == 100
    assert taken.scan("accounts").aggregate("count(*)").fetchall() == [(100,)]


@pytest.mark.parametrize("query", [1, None, b"select 1", ["select 1"]])
def test_a_query_that_is_no_text_is_refused(taken, query):
    with pytest.raises(QueryError, match="text"):
        taken.sql(query)


@pytest.mark.parametrize("version", [1, "a\0b"])
def test_a_version_that_there_cannot_be_is_refused(taken, version):
    with pytest.raises(SnapshotError, match="no version"):
        taken.at(version)


def test_a_name_with_a_nul_character_is_refused(org, taken, tmp_path):
    """Python raises ValueError for it."""
    path = tmp_path / "a\0b"
    accounts = taken.frame("accounts")
    for call in (
        lambda: of.open_snapshot(path),
        lambda: of.take_snapshot(org, path, progress=False),
        lambda: of.export(accounts, f"{path}.csv"),
        lambda: taken.export(path, format="csv"),
        lambda: of.write_frame(org, "accounts", accounts[["name"]], confirm=True, journal=path),
        lambda: of.compliance.forget("a@example.com", cache=False, exports=path),
    ):
        with pytest.raises(OutreachError):
            call()
