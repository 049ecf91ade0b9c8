"""Callers choose the kind of frame: pandas backed by Arrow or NumPy, polars, PyArrow."""

import inspect
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import outreach_frames as of
from outreach_frames._fetch.plan import FetchOptions
from outreach_frames._fetch.signatures import Options
from outreach_frames.errors import DataError, QueryError

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
FETCHES = [name for name in of.__all__ if name.startswith("fetch_") and name != "fetch_one"]


@pytest.fixture(scope="module")
def org():
    with of.sandbox(prospects=30, seed=7) as client:
        yield client


@pytest.fixture(scope="module")
def sample():
    return of.open_snapshot(SAMPLE)


def rows(frame):
    """Return the rows as Python values, missing as None."""
    if isinstance(frame, pl.DataFrame):
        return frame.rows()
    table = frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame, preserve_index=False)
    return [tuple(row.values()) for row in table.to_pylist()]


def test_numpy_backs_the_columns_with_what_pandas_code_expects(org):
    frame = of.fetch_mailings(org, dtypes="numpy")

    about = {"delivered_at": "datetime64[us, UTC]", "id": "Int64", "track_opens": "boolean", "subject": "str"}
    assert {name: str(frame[name].dtype) for name in about} == about
    assert not any(isinstance(dtype, pd.ArrowDtype) for dtype in frame.dtypes)
    assert frame.attrs["outreach_frames"]["resource"] == "mailings"
    assert rows(frame) == rows(of.fetch_mailings(org))


def test_days_compare_with_text(org):
    frame = of.fetch_prospects(org, dtypes="numpy")

    assert frame["date_of_birth"].dtype == "datetime64[us]"
    assert len(frame[frame["date_of_birth"] > "1900-01-01"]) == frame["date_of_birth"].notna().sum()


def test_an_empty_result_keeps_its_columns_and_types(org):
    none = {"filter": {"id": []}}
    whole, empty = of.fetch_mailings(org, dtypes="numpy"), of.fetch_mailings(org, dtypes="numpy", **none)

    assert empty.dtypes.equals(whole.dtypes)
    assert of.fetch_mailings(org, as_="polars", **none).schema == of.fetch_mailings(org, as_="polars").schema


NOW = "2026-03-31T00:00:00Z"

IDIOMS = {
    'm[m.delivered_at > "2026-01-01"]': False,
    'm[m.delivered_at.between("2026-01-01", "2026-02-01")]': False,
    'm.query("delivered_at > @start")': True,
    'm.set_index("delivered_at").sort_index().loc["2026-01"]': False,
    'm.delivered_at.dt.tz_localize(None).dt.to_period("M")': False,
    '(m.replied_at - m.delivered_at) > "2 days"': False,
    'm.resample("W", on="delivered_at").id.count()': True,
    'm.delivered_at.dt.strftime("%Y-%m")': True,
}
"""Idiom → whether it also works on instants backed by Arrow; the table in docs/fetch.md says the same."""


@pytest.mark.parametrize("idiom", IDIOMS)
def test_idioms_of_pandas_work_on_numpy_and_as_said_on_arrow(sample, idiom):
    names = {"start": pd.Timestamp("2026-01-01", tz="UTC")}
    assert len(eval(idiom, names | {"m": sample.frame("mailings", dtypes="numpy")})) > 0  # noqa: S307
    arrow = names | {"m": sample.frame("mailings")}
    if IDIOMS[idiom]:
        assert len(eval(idiom, arrow)) > 0  # noqa: S307
    else:
        with pytest.raises((TypeError, AttributeError, KeyError)):
            eval(idiom, arrow)  # noqa: S307


def test_a_connection_and_a_snapshot_hold_the_default(org, sample):
    with of.connect(org.sandbox.token, org.base_url, cache=False, dtypes="numpy") as client:
        assert of.fetch_users(client)["id"].dtype == "Int64"
        assert of.fetch_users(client, dtypes="arrow")["id"].dtype == "int64[pyarrow]"
        assert of.fetch_tables(client, "sequences")["sequences"]["id"].dtype == "Int64"
        assert isinstance(of.fetch_users(client, as_="pyarrow"), pa.Table)
    opened = of.open_snapshot(SAMPLE, dtypes="numpy")
    assert opened.frame("users")["id"].dtype == opened.at(opened.version).frame("users")["id"].dtype == "Int64"
    assert opened.sql("select id from users")["id"].dtype == "Int64"
    assert opened == sample


def test_what_a_snapshot_keeps_does_not_depend_on_the_default(org, tmp_path):
    with of.connect(org.sandbox.token, org.base_url, cache=False, dtypes="numpy") as client:
        taken = of.take_snapshot(client, tmp_path / "x", resources=["mailings"], progress=False)

    pd.testing.assert_frame_equal(taken.frame("mailings"), of.fetch_mailings(org))


def test_polars_and_pyarrow_hold_the_same_rows(org):
    options = {"include": {"sequence": ["name"]}, "limit": 40}
    frame = of.fetch_mailings(org, **options)

    as_polars, as_arrow = (of.fetch_mailings(org, as_=kind, **options) for kind in ("polars", "pyarrow"))

    assert isinstance(as_polars, pl.DataFrame)
    assert isinstance(as_arrow, pa.Table)
    assert as_polars.schema["delivered_at"] == pl.Datetime("us", "UTC")
    assert as_arrow.schema.field("delivered_at").type == pa.timestamp("us", "UTC")
    assert as_polars.columns == as_arrow.column_names == frame.columns.tolist()
    assert rows(as_polars) == rows(as_arrow) == rows(frame)


def test_labeled_custom_fields_come_in_every_kind(org):
    frames = [of.fetch_prospects(org, custom="labels", as_=kind) for kind in ("pandas", "polars", "pyarrow")]
    frames += [of.fetch_prospects(org, custom="labels", dtypes="numpy")]

    assert all(rows(each) == rows(frames[0]) for each in frames)
    assert isinstance(frames[-1]["replaces"].dtype, pd.CategoricalDtype)


def test_batches_and_tables_come_in_every_kind(org):
    wanted = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.Table}
    for kind, frame in wanted.items():
        tables = of.fetch_tables(org, "sequences", include="owner", as_=kind)
        assert {type(table) for table in tables.values()} == {frame}
        parts = list(of.fetch_batches(org, "mailings", page_size=50, as_=kind))
        assert {type(part) for part in parts} == {pa.RecordBatch if kind == "pyarrow" else frame}
        assert sum(len(part) for part in parts) == of.count(org, "mailings")


@pytest.mark.parametrize("kind", ["polars", "pyarrow"])
def test_clusters_are_those_of_pandas_frames(org, kind):
    """The accounts among the columns are seen in every kind of frame."""
    include = {"prospect": ["account"], "sequence": ["name"]}
    expected, other = (of.fetch_mailings(org, include=include, as_=each) for each in ("pandas", kind))

    results = [of.stats.leaderboard(each, users=of.fetch_users(org), as_of=NOW) for each in (expected, other)]

    assert "prospect__account_id" in expected.columns
    assert results[1].attrs["outreach_frames"].get("clusters") == results[0].attrs["outreach_frames"].get("clusters")
    pd.testing.assert_frame_equal(results[1], results[0], rtol=1e-12)


def test_the_record_travels_in_the_metadata_of_pyarrow(sample):
    """Statistics read there when the data were extracted; polars has no place for it."""
    frames = {name: sample.frame(name, as_="pyarrow") for name in ("mailings", "tasks", "users")}

    activity = of.stats.rep_activity(**frames)

    assert isinstance(activity, pa.Table)
    assert rows(activity) == rows(of.stats.rep_activity(**{name: sample.frame(name) for name in frames}))
    with pytest.raises(DataError, match="when the data were extracted"):
        of.stats.rep_activity(**{name: sample.frame(name, as_="polars") for name in frames})


@pytest.mark.parametrize("kind", [{"dtypes": "numpy"}, {"as_": "polars"}, {"as_": "pyarrow"}], ids=str)
def test_statistics_give_equal_results_on_every_kind(sample, kind):
    def counted(**chosen):
        mailings = sample.frame("mailings", **chosen)
        users, tasks = sample.frame("users", **chosen), sample.frame("tasks", **chosen)
        return [
            of.stats.engagement(mailings, by="month"),
            of.stats.task_completion(tasks, as_of=sample.as_of),
            of.stats.failures(mailings, by="mailbox_id"),
            of.stats.rep_activity(mailings, tasks=tasks, users=users, as_of=sample.as_of),
            of.stats.leaderboard(mailings, users=users, as_of=sample.as_of),
            of.stats.ab_test(mailings, sequence_templates=sample.frame("sequence_templates", **chosen)),
            of.stats.compare_periods(
                mailings, statistic=of.stats.engagement, a="2026-02", b="2026-03", by="sequence_id", as_of=sample.as_of
            ),
        ]

    for expected, result in zip(counted(), counted(**kind), strict=True):
        values = [pd.DataFrame(rows(each)) for each in (expected, result)]
        pd.testing.assert_frame_equal(*values, check_exact=False, rtol=1e-12)


@pytest.mark.parametrize("kind", [{"dtypes": "numpy"}, {"as_": "polars"}, {"as_": "pyarrow"}], ids=str)
def test_show_export_and_writes_take_every_kind(org, sample, tmp_path, kind):
    columns = ["id", "name", "email", "created_at", "locked"]
    frame, other = sample.frame("users", columns=columns), sample.frame("users", columns=columns, **kind)
    text = of.export(frame, tmp_path / "a.csv").read_text("utf-8")

    assert of.export(other, tmp_path / "b.csv").read_text("utf-8") == text
    assert of.show(other).to_html() == of.show(frame).to_html()
    changes = of.fetch_prospects(org, fields=["title"], limit=3, **kind)
    expected = of.write_frame(org, "prospects", of.fetch_prospects(org, fields=["title"], limit=3), mode="update")
    pd.testing.assert_frame_equal(of.write_frame(org, "prospects", changes, mode="update"), expected, check_dtype=False)


def test_kinds_that_there_are_not_are_refused_before_a_request(org, monkeypatch):
    sent = org.sandbox.data_requests
    for options, said in (
        ({"dtypes": "numpi"}, "no dtypes='numpi'"),
        ({"as_": "duckdb"}, "no as_='duckdb'"),
        ({"as_": "polars", "dtypes": "numpy"}, "frames of pandas"),
    ):
        with pytest.raises(QueryError, match=said):
            of.fetch_users(org, refresh=True, **options)
    with pytest.raises(QueryError, match="no dtypes"):
        of.connect("token", dtypes="numpi")
    with pytest.raises(QueryError, match="no dtypes"):
        of.open_snapshot(SAMPLE, dtypes="numpi")
    with pytest.raises(QueryError, match="no params"):
        of.fetch_batches(org, "users", params={"a": 1})
    monkeypatch.setattr("outreach_frames._frame_kinds.find_spec", lambda _: None)
    with pytest.raises(QueryError, match="pip install polars"):
        of.fetch_users(org, refresh=True, as_="polars")
    assert org.sandbox.data_requests == sent


def test_what_is_no_frame_is_named_with_its_library(sample):
    with pytest.raises(DataError, match="not a polars LazyFrame"):
        of.show(sample.scan("users", engine="polars"))


def test_options_are_declared_alike_and_seen_in_every_signature():
    shown = inspect.signature(of.fetch).parameters
    options = {name: each for name, each in shown.items() if each.kind is each.KEYWORD_ONLY}

    fields = {each.name: each.default for each in FetchOptions.__dataclass_fields__.values()}
    assert fields == {name: each.default for name, each in options.items()}
    assert Options.__annotations__.keys() | {"as_"} == options.keys()
    for name in FETCHES:
        own = inspect.signature(getattr(of, name)).parameters
        refused = {"parallel", "params"} if name == "fetch_batches" else set()
        assert own.keys() - {"client", "resource"} == options.keys() - refused, name


ERRORS = ("Error", "ErrorObject", "Warning")
PUBLIC = ["stats", "plots", "patterns", "webhooks", "widgets", "compliance", "findings", "errors"]


@pytest.mark.parametrize("name", ["", *PUBLIC])
def test_completion_offers_public_names_only(name):
    """Also after every submodule was imported."""
    module = getattr(of, name) if name else of
    public = module.__all__ if name != "errors" else [each for each in vars(of.errors) if each.endswith(ERRORS)]
    assert all(hasattr(module, each) for each in public)

    assert sorted(dir(module)) == sorted(public)
