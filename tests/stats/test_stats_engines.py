"""The same mail in every engine gives the same numbers, in that engine's kind of frame."""

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from stats_frames import (
    AS_OF,
    ENGINES,
    as_pandas,
    assert_equal_tables,
    example,
    made_up_mailings,
    mailings,
    steps_of,
    typed,
)

from outreach_frames import stats
from outreach_frames.errors import DataError

KINDS = {
    "pandas": pd.DataFrame,
    "pandas-nullable": pd.DataFrame,
    "pyarrow": pa.Table,
    "polars": pl.DataFrame,
    "polars-lazy": pl.LazyFrame,
    "duckdb": duckdb.DuckDBPyRelation,
}
MAIL = made_up_mailings(400, seed=11)
STATES = typed(
    {"id": state, "sequence_id": state % 4 + 1, "state": ["active", "finished", "opted_out"][state % 3],
     "created_at": "2025-02-19T00:00:00Z"}
    for state in sorted(MAIL["sequence_state_id"].dropna().unique())
)  # fmt: skip
SEQUENCES = typed({"id": number, "name": f"Sequence {number}"} for number in range(1, 6))
CALLS = typed(
    [
        {"id": 1, "sequence_id": 1, "prospect_id": 50, "direction": "outbound", "dialed_at": "2025-03-01T09:00:00Z"},
        {"id": 2, "sequence_id": 2, "prospect_id": 1, "direction": "outbound", "dialed_at": "2025-03-02T09:00:00Z"},
        {"id": 3, "sequence_id": 2, "prospect_id": None, "direction": "inbound", "dialed_at": None},
    ],
    ["answered_at", "completed_at"],
)
STATISTICS = {
    "flags": lambda to: stats.mailing_flags(to(MAIL)),
    "all": lambda to: stats.engagement(to(MAIL)),
    "sequence": lambda to: stats.engagement(to(MAIL), by="sequence_id", include_unsequenced=True),
    "week": lambda to: stats.engagement(to(MAIL), by=["week", "user_id"], tz="America/Los_Angeles"),
    "month": lambda to: stats.engagement(to(MAIL), by=["origin", "month"], include_unsequenced=True),
    "sequences": lambda to: stats.sequence_engagement(
        to(MAIL), to(SEQUENCES), sequence_states=to(STATES), calls=to(CALLS), alias={4: 1}, since="2025-02-25"
    ),
    "prospects": lambda to: stats.prospect_engagement(to(example("prospects")), to(MAIL), calls=to(CALLS)),
    "funnel": lambda to: stats.step_funnel(to(MAIL), to(steps_of(MAIL))),
    "last touch": lambda to: stats.step_funnel(to(MAIL), to(steps_of(MAIL)), attribution="last_touch"),
    "time": lambda to: stats.time_to_event(to(MAIL), to(STATES), by=["sequence_id", "user_id"], as_of=AS_OF),
}


@pytest.fixture(scope="module")
def expected():
    return {name: as_pandas(compute(ENGINES["pandas"])) for name, compute in STATISTICS.items()}


@pytest.mark.parametrize("engine", [name for name in ENGINES if name != "pandas"])
@pytest.mark.parametrize("statistic", STATISTICS)
def test_every_engine_gives_the_same_numbers_in_its_own_kind(engine, statistic, expected):
    """Counts exactly, rates to 1e-9, medians exact and not approximate, order and missing values included."""
    found = STATISTICS[statistic](ENGINES[engine])

    assert isinstance(found, KINDS[engine])
    assert_equal_tables(as_pandas(found), expected[statistic])


def test_the_made_up_mail_is_not_trivial(expected):
    """Else equal engines would prove little."""
    rates = expected["all"].iloc[0]

    assert rates["bounced"] > 10
    assert rates["opened_clicked"] > 5
    assert rates["hours_to_reply_median"] > 0
    assert set(expected["time"]["event"]) == {"reply", "opt_out", "bounce", "censored"}
    assert expected["funnel"]["first_replies"].sum() > 5


@pytest.mark.parametrize("engine", ENGINES)
def test_no_mail_gives_a_row_of_zeros_in_every_engine(engine):
    """Lazy engines must not lose the row that has nothing to count."""
    found = as_pandas(stats.engagement(ENGINES[engine](mailings())))

    assert found["mailings"].tolist() == [0]
    assert found[["reply_rate", "reply_rate_lo", "hours_to_reply_median"]].isna().to_numpy().all()


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
        stats.sequence_engagement(MAIL, ENGINES["polars"](SEQUENCES))


def test_pandas_and_pyarrow_can_be_mixed():
    """They are one engine here."""
    mixed = stats.sequence_engagement(ENGINES["pyarrow"](MAIL), SEQUENCES)

    assert isinstance(mixed, pa.Table)
