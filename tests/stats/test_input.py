"""What the statistics do with frames that are not as they should be."""

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from outreach_frames import stats
from outreach_frames.errors import DataError, MissingColumnError, NaiveTimestampWarning
from tests.frames import AS_OF, ENGINES, as_pandas, assert_equal_tables, example


@pytest.mark.parametrize("engine", ENGINES)
def test_a_missing_column_names_itself_the_statistic_and_the_field_to_request(engine):
    """Treating it as all-missing would make every rate 0 in silence."""
    mail = ENGINES[engine](example("mailings").drop(columns="track_opens"))

    with pytest.raises(MissingColumnError) as caught:
        stats.engagement(mail)

    assert (caught.value.column, caught.value.needed_for) == ("track_opens", "engagement")
    assert 'fetch(org, "mailings", fields=[..., "track_opens"])' in str(caught.value)


def test_a_missing_foreign_key_is_requested_by_its_relationship():
    with pytest.raises(MissingColumnError, match=r'fields=\[\.\.\., "prospect"\]'):
        stats.engagement(example("mailings").drop(columns="prospect_id"))


def test_a_missing_key_to_group_by_is_named():
    with pytest.raises(MissingColumnError, match="'team_id' is missing; engagement needs it"):
        stats.engagement(example("mailings"), by="team_id")


@pytest.mark.parametrize("engine", ENGINES)
def test_instants_without_a_zone_are_read_as_utc_with_a_warning(engine):
    """Some examples of the API lack the Z; the session's zone of an engine must not creep in."""
    mail = example("mailings")
    naive = mail.assign(delivered_at=pd.Series(mail["delivered_at"].dt.tz_localize(None)))

    with pytest.warns(NaiveTimestampWarning, match=r"1 column\(s\) of mailings .* UTC: delivered_at"):
        found = stats.engagement(ENGINES[engine](naive), by="day", as_of=AS_OF)

    assert_equal_tables(as_pandas(found), as_pandas(stats.engagement(mail, by="day", as_of=AS_OF)))


@pytest.mark.parametrize(
    ("column", "values", "meant"),
    [
        ("delivered_at", "2025-03-03", "instants"),
        ("open_count", "three", "integers"),
        ("track_opens", "yes", "booleans"),
        ("sequence_state_id", "17", "integers"),
    ],
)
@pytest.mark.parametrize("engine", ["pandas", "polars", "duckdb"])
def test_a_wrong_dtype_is_named(engine, column, values, meant):
    mail = example("mailings").assign(**{column: values})

    with pytest.raises(DataError, match=f"Column '{column}' of mailings is String, not {meant}"):
        stats.engagement(ENGINES[engine](mail))


def test_ids_with_fractions_are_no_ids():
    with pytest.raises(DataError, match="ids or counts"):
        stats.engagement(example("mailings").assign(user_id=1.5), by="user_id")


def test_ids_that_numpy_keeps_as_floats_are_integers_again():
    """A plain pandas column of ids turns into floats once one of them is missing."""
    mail = example("mailings")
    floats = mail.assign(sequence_id=mail["sequence_id"].astype("float64"))

    assert_equal_tables(
        as_pandas(stats.engagement(floats, by="sequence_id")), as_pandas(stats.engagement(mail, by="sequence_id"))
    )


@pytest.mark.parametrize("engine", ["pandas", "pyarrow", "polars"])
def test_ids_that_occur_twice_are_refused(engine):
    """Paging while rows change leaves duplicates; every one of them would count."""
    mail = example("mailings")
    doubled = pd.concat([mail, mail.iloc[[2, 0]]], ignore_index=True)

    with pytest.raises(DataError, match=r"2 id\(s\) occur more than once in mailings: 1, 3\."):
        stats.engagement(ENGINES[engine](doubled))


@pytest.mark.parametrize("engine", ["polars-lazy", "duckdb"])
def test_lazy_frames_are_not_searched_for_ids_that_occur_twice(engine):
    """It would cost a pass over the data; the docstrings say "in memory"."""
    mail = example("mailings")
    doubled = pd.concat([mail, mail.iloc[[2, 0]]], ignore_index=True)

    assert as_pandas(stats.engagement(ENGINES[engine](doubled)))["mailings"].tolist() == [len(mail) + 2]


def test_many_duplicates_are_not_all_listed():
    mail = pd.concat([example("mailings")] * 2, ignore_index=True)

    with pytest.raises(DataError, match=r"12 id\(s\).*: 1, 2, 3, 4, 5 …\."):
        stats.engagement(mail)


def test_a_dictionary_of_columns_is_no_source():
    with pytest.raises(DataError, match="has no table 'mailings'"):
        stats.engagement({"id": [1]})


@pytest.mark.parametrize("thing", [[1, 2], "mailings.parquet", None])
def test_what_is_no_frame_is_refused(thing):
    with pytest.raises(DataError, match="not a frame"):
        stats.engagement(thing)


@pytest.mark.parametrize("as_of", ["yesterday", "2025-13-01"])
def test_as_of_must_be_an_instant(as_of):
    with pytest.raises(DataError, match="is not an instant"):
        stats.time_to_event(example("mailings"), as_of=as_of)


@pytest.mark.parametrize("as_of", [AS_OF, "2025-03-31", pd.Timestamp(AS_OF), pd.Timestamp(AS_OF).date()])
def test_as_of_may_be_written_in_several_ways(as_of):
    found = stats.time_to_event(example("mailings"), as_of=as_of)

    assert found.attrs["outreach_frames"]["as_of"] == AS_OF


@pytest.mark.parametrize("statistic", [stats.engagement, stats.time_to_event])
def test_an_as_of_after_the_extraction_is_refused_everywhere(statistic):
    """What happened since is not in the data; nothing there would look like no reply."""
    with pytest.raises(DataError, match="later than the extraction"):
        statistic(example("mailings"), as_of="2025-04-02")


def test_the_earliest_extraction_of_several_frames_decides():
    states = example("sequence_states")
    states.attrs["outreach_frames"]["as_of"] = "2025-03-20T00:00:00Z"

    found = stats.time_to_event(example("mailings"), sequence_states=states)

    assert found.attrs["outreach_frames"]["as_of"] == "2025-03-20T00:00:00Z"


def test_kinds_without_a_record_need_as_of():
    with pytest.raises(DataError, match="other kinds cannot"):
        stats.time_to_event(pl.from_arrow(pa.Table.from_pandas(example("mailings"))))


def test_a_column_name_with_a_quote_is_only_a_name():
    """DuckDB is spoken to in SQL."""
    mail = example("mailings").rename(columns={"mailing_type": 'kind "of" mail'})

    found = as_pandas(stats.engagement(ENGINES["duckdb"](mail), by='kind "of" mail'))

    assert found['kind "of" mail'].tolist() == ["sequence", "single"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([["a"], ["b", "c"]] * 6, "nothing can be grouped by it"),
        ([{"a": 1}] * 12, "nothing can be grouped by it"),
        (pd.to_timedelta(range(12), unit="D"), "nothing can be grouped by it"),
        (pd.period_range("2025-01", periods=12), "nothing can be grouped by it"),
        ([1, "two"] * 6, "mixes kinds of values"),
        (pd.cut(range(12), 3), "mixes kinds of values"),
    ],
    ids=["lists", "records", "durations", "periods", "mixed", "intervals"],
)
def test_what_cannot_be_grouped_by_is_refused(values, said):
    """Tags are a list, and a cut makes intervals; Arrow's own words would not name the column."""
    mail = example("mailings").assign(tags=values)

    with pytest.raises(DataError, match=said):
        stats.engagement(mail, by="tags")


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_lists_are_refused_as_keys_in_every_engine(engine):
    mail = example("mailings").assign(tags=pd.Series([["a"]] * 12, dtype=pd.ArrowDtype(pa.list_(pa.string()))))

    with pytest.raises(DataError, match="'tags' of mailings is List"):
        stats.engagement(ENGINES[engine](mail), by="tags")


@pytest.mark.parametrize("values", [[0.5] * 12, [True] * 12, pd.Categorical(["a"] * 12), [None] * 12, [b"x"] * 12])
def test_other_kinds_of_columns_are_keys(values):
    found = stats.engagement(example("mailings").assign(team=values), by="team", include_unsequenced=True)

    assert found["mailings"].tolist() == [12]
