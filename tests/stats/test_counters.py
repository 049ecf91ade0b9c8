import pytest

from outreach_frames.catalog import snake
from outreach_frames.errors import CounterGapWarning, DataError, MissingColumnError
from outreach_frames.stats.quality import reconcile_counters
from tests.frames import EXPECTED, example, extracted, mailings, make_frame, plain

SENT = {"sequence_id": 1, "delivered_at": "2025-03-03T12:00:00Z", "track_opens": True, "track_links": True}


def compared(counter, api, *mail, **parameters):
    """Compare one counter of sequence 1 with its mail."""
    objects = make_frame([{"id": 1, counter: api}])
    return reconcile_counters(mailings(*({**SENT, **row} for row in mail)), sequences=objects, **parameters).iloc[0]


@pytest.mark.parametrize(
    "case", EXPECTED["reconciliation"], ids=lambda case: f"{case['sequence_id']}-{case['counter']}"
)
def test_the_worked_examples_counters_are_explained(case):
    table_ = reconcile_counters(example("mailings"), sequences=example("sequences"))
    row = table_[(table_["sequence_id"] == case["sequence_id"]) & (table_["counter"] == snake(case["counter"]))].iloc[0]

    assert row["api"] == case["api"]
    assert row["unique_mailings"] == case.get("unique_mailings", case.get("delivered_at_not_null"))
    assert list(row["matches"]) == case["matches"]
    assert row["gap"] == case["gap_vs_first"]
    assert plain(row[["total_events", "net"]]) == [case.get("total_events"), case.get("delivered_net")]
    assert row["cause"] == "equal"


def test_prospect_counters_start_anew_at_the_last_touch():
    """Part 6: p1 shows one open against five on its mailings."""
    found = reconcile_counters(example("mailings"), prospects=example("prospects"))
    opens = found[found["counter"] == "open_count"].set_index("prospect_id")

    assert opens.loc[1, ["api", "total_events", "gap", "cause"]].tolist() == [1, 5, -4, "since-last-touch"]
    assert opens.loc[5, ["api", "unique_mailings", "total_events", "gap", "cause"]].tolist() == [5, 1, 5, 0, "equal"]


def test_a_counter_of_events_follows_the_other_definition():
    row = compared("open_count", 5, {"open_count": 4}, {"open_count": 1})

    assert (row["cause"], row["gap"], list(row["matches"])) == ("other definition", 3, ["total_events"])


def test_a_counter_net_of_bounces_follows_the_other_definition():
    row = compared("deliver_count", 1, {}, {"bounced_at": "2025-03-03T13:00:00Z"})

    assert (row["cause"], list(row["matches"])) == ("other definition", ["delivered_net"])


def test_a_counter_above_the_rows_misses_some():
    with pytest.warns(CounterGapWarning, match=r"on sequences: 1 \(id 1\)"):
        row = compared("reply_count", 3, {"replied_at": "2025-03-04T12:00:00Z"})

    assert (row["cause"], row["gap"]) == ("rows missing", 2)


def test_a_counter_below_the_rows_is_behind():
    row = compared("reply_count", 0, {"replied_at": "2025-03-04T12:00:00Z"})

    assert (row["cause"], row["gap"]) == ("pending sync", -1)


def test_opens_of_mail_that_was_not_tracked_explain_a_gap():
    row = compared("open_count", 1, {"open_count": 2}, {"open_count": 2, "track_opens": False})

    assert (row["cause"], row["gap"]) == ("tracking off", -1)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("sequence_steps", "sequence_step_id"),
        ("templates", "template_id"),
        ("sequence_states", "sequence_state_id"),
        ("prospects", "prospect_id"),
    ],
)
def test_any_object_with_counters_can_be_reconciled(name, key):
    objects = make_frame([{"id": 5, "reply_count": 1}, {"id": 6, "reply_count": 0}])
    mail = mailings({**SENT, key: 5, "replied_at": "2025-03-04T12:00:00Z"}, SENT, {**SENT, key: 7})

    found = reconcile_counters(mail, **{name: objects})

    assert found[[key, "unique_mailings"]].to_numpy().tolist() == [[5, 1], [6, 0]]
    assert found.attrs["outreach_frames"]["dropped"] == {
        f"{key} missing": 1,
        f"mailing of a row that is not in {name}": 1,
    }


def test_a_template_that_counts_on_another_is_reconciled_with_it():
    templates = make_frame([{"id": 1, "deliver_count": 2}, {"id": 2, "deliver_count": 0, "stats_target_id": 1}])
    mail = mailings({**SENT, "template_id": 1}, {**SENT, "template_id": 2})

    assert reconcile_counters(mail, templates=templates)["cause"].tolist() == ["equal", "equal"]


def test_a_missing_counter_is_no_zero():
    found = reconcile_counters(mailings(SENT), sequences=make_frame([{"id": 1, "reply_count": None}]))

    assert plain(found["gap"]) == [None]
    assert found["cause"].isna().tolist() == [True]
    assert [list(names) for names in found["matches"]] == [[]]


def test_rows_come_by_object_and_then_by_counter():
    found = reconcile_counters(example("mailings"), sequences=example("sequences").iloc[::-1])

    assert found["sequence_id"].tolist() == [10] * 6 + [20] * 6
    counters = ["deliver_count", "open_count", "click_count", "reply_count", "bounce_count", "opt_out_count"]
    assert found["counter"].tolist() == counters * 2


def test_no_objects_give_no_rows_of_the_same_types():
    none = reconcile_counters(example("mailings").head(0), sequences=example("sequences").head(0))

    assert len(none) == 0
    assert none.dtypes.equals(reconcile_counters(example("mailings"), sequences=example("sequences")).dtypes)


def test_bad_input_is_named():
    with pytest.raises(DataError, match="needs one table with counters, not 0"):
        reconcile_counters(example("mailings"))
    with pytest.raises(DataError, match="needs one table with counters, not 2"):
        reconcile_counters(example("mailings"), sequences=example("sequences"), prospects=example("prospects"))
    with pytest.raises(MissingColumnError, match="'open_count' is missing; reconcile_counters needs it"):
        reconcile_counters(example("mailings"), sequences=make_frame([{"id": 1}]))
    with pytest.raises(DataError, match="works on frames in memory"):
        reconcile_counters(example("mailings"), sequences={"id": [1]})


def test_objects_of_another_kind_are_not_taken_for_sequences():
    """Their ids would be matched with those of sequences, and give plausible nonsense."""
    prospects = extracted(make_frame([{"id": 1, "open_count": 1}]), "prospects")

    with pytest.raises(DataError, match="These are prospects, not sequences"):
        reconcile_counters(mailings({}), sequences=prospects)
