"""The same mail in every engine gives the same numbers, in that engine's kind of frame."""

import warnings

import duckdb
import narwhals as nw
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from outreach_frames import stats
from outreach_frames.errors import ContradictoryFlagsWarning, DataError
from outreach_frames.stats import _backends
from outreach_frames.stats._backends import pandas_of, small_table, wrap
from tests.frames import AS_OF, ENGINES, as_pandas, assert_equal_tables, example, mailings
from tests.stats.statistics_of_mail import MAIL, SEQUENCES, STATISTICS

KINDS = {
    "pandas": pd.DataFrame,
    "pandas-nullable": pd.DataFrame,
    "pyarrow": pa.Table,
    "polars": pl.DataFrame,
    "polars-lazy": pl.LazyFrame,
    "duckdb": duckdb.DuckDBPyRelation,
}
OTHERS = [name for name in ENGINES if name != "pandas"]


@pytest.fixture(scope="module")
def expected():
    return {name: as_pandas(compute(ENGINES["pandas"])) for name, compute in STATISTICS.items()}


@pytest.mark.parametrize("engine", OTHERS)
@pytest.mark.parametrize("statistic", STATISTICS)
def test_every_engine_gives_the_same_numbers_in_its_own_kind(engine, statistic, expected):
    """Counts exactly, rates to 1e-9, medians exact and not approximate, order and missing values included."""
    found = STATISTICS[statistic](ENGINES[engine])

    assert isinstance(found, KINDS[engine])
    assert_equal_tables(as_pandas(found), expected[statistic])


IN_DATABASE = [name for name in STATISTICS if name.startswith(("engagement", "time_to_event", "send_time_heatmap"))]


@pytest.mark.parametrize("statistic", IN_DATABASE)
def test_duckdb_computes_large_arrow_tables_with_the_same_numbers(statistic, expected, monkeypatch):
    """And gives back the caller's kind of frame; tables of a test are small, so that the limit is lower here."""
    monkeypatch.setattr(_backends, "LARGE", 1)

    found = STATISTICS[statistic](ENGINES["pyarrow"])

    assert isinstance(found, pa.Table)
    assert_equal_tables(as_pandas(found), expected[statistic])


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_large_pandas_frame_has_the_dtypes_and_the_record_of_a_small_one(unit, monkeypatch):
    mail = MAIL.assign(
        **{name: MAIL[name].astype(f"datetime64[{unit}, UTC]") for name in MAIL if name.endswith("_at")}
    ).set_index(MAIL.index[::-1])
    small = [stats.engagement(mail, by=["week", "mailing_type"]), stats.time_to_event(mail, as_of=AS_OF)]

    monkeypatch.setattr(_backends, "LARGE", 1)
    large = [stats.engagement(mail, by=["week", "mailing_type"]), stats.time_to_event(mail, as_of=AS_OF)]

    for one, other in zip(small, large, strict=True):
        pd.testing.assert_frame_equal(other, one, rtol=1e-12)
        record, like = (dict(frame.attrs["outreach_frames"]) for frame in (other, one))
        assert record.pop("clusters", {}).keys() == like.pop("clusters", {}).keys()  # their last digits differ
        assert record == like


def test_a_large_table_may_have_names_that_differ_in_capitals_only(monkeypatch):
    """DuckDB takes them for one."""
    table = ENGINES["pyarrow"](MAIL).append_column("Sent", pa.array(["a", "b"] * (len(MAIL) // 2), pa.string()))
    small = stats.engagement(table, by="Sent")

    monkeypatch.setattr(_backends, "LARGE", 1)

    assert_equal_tables(as_pandas(stats.engagement(table, by="Sent")), as_pandas(small))


@pytest.mark.parametrize("engine", OTHERS)
def test_every_engine_gives_the_same_flags(engine):
    """In memory with a warning of contradictions, which lazy engines would have to compute first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ContradictoryFlagsWarning)
        expected, found = stats.mailing_flags(MAIL), stats.mailing_flags(ENGINES[engine](MAIL))

    assert isinstance(found, KINDS[engine])
    assert_equal_tables(as_pandas(found), as_pandas(expected))


def test_the_made_up_data_are_not_trivial(expected):
    """Else equal engines would prove little."""
    rates = expected["engagement"].iloc[0]

    assert rates["bounced"] > 10
    assert rates["opened_clicked"] > 5
    assert rates["hours_to_reply_median"] > 0
    assert set(expected["time_to_event"]["event"]) == {"reply", "opt_out", "bounce", "censored"}
    assert expected["step_funnel"]["first_replies"].sum() > 5
    assert expected["deliverability"]["manual_opt_outs"].sum() > 0
    assert expected["deliverability"]["failed"].sum() > 0
    assert "act" in set(expected["deliverability by domain"]["alert"])
    assert expected["rep_activity"][["tasks_due", "connected", "throttle_used"]].sum().min() > 0
    assert expected["state_flow"]["bucket"].nunique() > 4


@pytest.mark.parametrize("engine", ENGINES)
def test_no_mail_gives_a_row_of_zeros_in_every_engine(engine):
    """Lazy engines must not lose the row that has nothing to count."""
    found = as_pandas(stats.engagement(ENGINES[engine](mailings())))

    assert found["mailings"].tolist() == [0]
    assert found[["reply_rate", "reply_rate_lo", "hours_to_reply_median"]].isna().to_numpy().all()


@pytest.mark.parametrize("engine", ENGINES)
def test_small_tables_reach_every_engine_unchanged(engine):
    """DuckDB gets them as text, in which quotes, commas, brackets and the word NULL must mean nothing."""
    like = wrap(example("users")) if engine.startswith("pandas") else nw.from_native(ENGINES[engine](SEQUENCES)).lazy()
    columns = {
        "text": ["a, b", None, "", "NULL", "q\"u\\o'te", " in ", "[x]", "{a}", "é\n\t", "$1 ? %s"],
        "number": [1, None, -3, 0, 2**53 + 1, 5, 6, 7, 8, 9],
        "share": [1e-300, None, 0.1 + 0.2, 1e22, -0.0, 5.5, 1 / 3, 7.0, 8.0, 9.0],
        "flag": [True, None, False, *[True] * 7],
    }

    found = pandas_of(small_table(like, columns))

    assert {name: found[name].tolist() for name in columns} == {
        name: [pd.NA if value is None else value for value in values] for name, values in columns.items()
    }
    assert pandas_of(small_table(like, {"number": pd.Series([], dtype="int64[pyarrow]")})).empty


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_the_unit_of_time_does_not_matter(unit):
    mail = example("mailings")
    coarse = mail.assign(
        **{name: mail[name].astype(f"datetime64[{unit}, UTC]") for name in mail if name.endswith("_at")}
    )

    assert_equal_tables(as_pandas(stats.engagement(coarse)), as_pandas(stats.engagement(mail)))


def test_another_zone_is_the_same_instant():
    mail = example("mailings")
    moved = mail.assign(
        **{name: mail[name].astype("datetime64[us, Asia/Tokyo]") for name in mail if name.endswith("_at")}
    )

    assert_equal_tables(as_pandas(stats.time_to_event(moved)), as_pandas(stats.time_to_event(mail)))


def test_categories_are_ordered_where_the_engine_has_them():
    """So that a plot keeps the order of the outcomes; SQL engines keep the text."""
    order = ["reply", "opt_out", "bounce", "censored"]

    in_pandas = stats.time_to_event(example("mailings"))["event"].dtype
    in_polars = stats.time_to_event(pl.from_pandas(example("mailings")), as_of=AS_OF).schema["event"]

    assert (in_pandas.categories.tolist(), in_pandas.ordered) == (order, True)
    assert in_polars.categories.to_list() == order


def test_a_lazy_result_has_not_been_computed():
    """Whoever hands over a plan wants a plan back, to go on with or to stream."""
    assert isinstance(stats.engagement(ENGINES["polars-lazy"](MAIL), by="week", tz="Asia/Tokyo"), pl.LazyFrame)


def test_small_tables_take_every_kind_and_give_pandas():
    curves = [stats.cumulative_incidence(stats.time_to_event(to(MAIL), as_of=AS_OF)) for to in ENGINES.values()]

    for curve in curves[1:]:
        assert_equal_tables(curve, curves[0])


def test_kinds_of_frames_cannot_be_mixed():
    with pytest.raises(DataError, match="two kinds, pandas and polars"):
        stats.sequence_engagement(MAIL, sequences=ENGINES["polars"](SEQUENCES))


def test_pandas_and_pyarrow_can_be_mixed():
    """They are one engine here."""
    mixed = stats.sequence_engagement(ENGINES["pyarrow"](MAIL), sequences=SEQUENCES)

    assert isinstance(mixed, pa.Table)
