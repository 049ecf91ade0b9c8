import pytest

from outreach_frames import stats
from outreach_frames.errors import DataError, MissingColumnError
from tests.frames import AS_OF, example, mailings, make_frame, plain

COLUMNS = ["id", "prospect_id", "sequence_id", "user_id", "state", "created_at", "state_changed_at"]
PLAN = {
    "sequences": make_frame([{"id": 1, "duration_in_days": 6}]),
    "sequence_steps": make_frame(
        [{"id": n, "sequence_id": 1, "interval": interval} for n, interval in enumerate((0, 2880, 5760), start=1)]
    ),
}
"""Two days, then four: 6 days in all, whatever unit the intervals have; twice the longest wait are eight days."""


def states(*rows):
    made = [
        {"id": n, "prospect_id": n, "sequence_id": 1, "state": "active", **row} for n, row in enumerate(rows, start=1)
    ]
    return make_frame(made, *COLUMNS)


def outcome_of(*rows, mail=(), **parameters):
    return stats.enrollment_outcomes(
        mailings(*mail), sequence_states=states(*rows), **{"as_of": AS_OF, **parameters}
    ).iloc[0]


def test_the_worked_example():
    """
    Part 6. Sequence 10: 1001 finished of 1001, 1003, 1004 resolved; 1002 and 1004 open.

    p1 has one open enrollment (1005), since 1001 is finished.
    """
    listed = make_frame(example("sequence_states").to_dict("records"), *COLUMNS)

    found = stats.enrollment_outcomes(example("mailings"), sequence_states=listed, as_of=AS_OF, cluster=None)

    counts = found[["sequence_id", "enrollments", "finished", "resolved", "open_enrollments", "reenrolled"]]
    assert counts.to_numpy().tolist() == [[10, 4, 1, 3, 2, 0], [20, 2, 1, 1, 1, 0]]
    assert found["completion_rate_lo"].tolist()[0] == pytest.approx(0.061492, abs=1e-6)
    assert found["prospects_overlapping"].tolist() == [0, 0]
    assert found["stuck"].isna().all()


def test_completion_is_over_the_resolved_only():
    ended = [{"state": state} for state in ("finished", "finished", "bounced", "opted_out", "failed")]

    found = outcome_of(*ended, {"state": "active"}, {"state": "disabled"}, {"state": None})

    assert found[["enrollments", "finished", "resolved"]].tolist() == [8, 2, 5]
    assert (found["completion_rate"], found["completion_rate_n"]) == (0.4, 5)


def test_nothing_resolved_is_no_zero():
    assert plain(outcome_of({})[["completion_rate", "completion_rate_lo"]]) == [None, None]


@pytest.mark.parametrize(("day", "stuck"), [("2025-03-22T23:59:59Z", 1), ("2025-03-23T00:00:00Z", 0)])
def test_stuck_is_longer_than_twice_the_longest_planned_wait(day, stuck):
    found = outcome_of({"state_changed_at": day}, **PLAN)

    assert (found["stuck"], found["stuck_rate_n"], found["stuck_rate"]) == (stuck, 1, stuck)


def test_any_activity_counts_and_only_that_before_as_of():
    old = {"state_changed_at": "2025-01-01T00:00:00Z"}
    mail = [
        {"sequence_state_id": 1, "delivered_at": "2025-03-25T00:00:00Z"},
        {"sequence_state_id": 4, "bounced_at": "2025-03-25T00:00:00Z"},
        {"sequence_state_id": 5, "delivered_at": "2025-04-05T00:00:00Z"},
    ]
    calls = make_frame(
        [{"id": 1, "sequence_state_id": 2, "direction": "outbound", "dialed_at": "2025-03-25T00:00:00Z"}],
        "answered_at",
        "completed_at",
    )
    tasks = make_frame([{"id": 1, "sequence_state_id": 3, "completed_at": "2025-03-25T00:00:00Z"}])

    found = outcome_of(*[old] * 5, mail=mail, calls=calls, tasks=tasks, **PLAN)

    assert (found["stuck"], found["stuck_rate_n"]) == (2, 5)


STATES = ("pending", "active", "paused", "finished", "opted_out", "bounced", "failed", "disabled", "new one", None)


@pytest.mark.parametrize("state", STATES)
def test_only_running_enrollments_can_be_stuck(state):
    """Nobody can act on one that bounced, failed or ended, whatever Outreach's interface calls open."""
    found = outcome_of({"state_changed_at": "2025-01-01T00:00:00Z", "state": state}, **PLAN)

    running = int(state in {"pending", "active", "paused"})
    assert (found["running"], found["stuck"], found["stuck_rate_n"]) == (running,) * 3
    assert found["open_enrollments"] == (state not in {"finished", "opted_out"})


def test_no_enrollment_is_both_resolved_and_running():
    """The worked example calls 1004, which bounced, open as the interface does; it is resolved all the same."""
    found = outcome_of(*({"state": state} for state in STATES))

    assert found[["enrollments", "resolved", "running", "open_enrollments"]].tolist() == [10, 4, 3, 8]


def test_a_plan_without_waits_judges_nobody():
    steps = PLAN["sequence_steps"].assign(interval=PLAN["sequence_steps"]["interval"] * 0)

    found = outcome_of({"state_changed_at": "2025-01-01T00:00:00Z"}, sequences=PLAN["sequences"], sequence_steps=steps)

    assert (found["running"], found["stuck_rate_n"]) == (1, 0)
    assert plain(found[["stuck_rate"]]) == [None]


def test_coming_again_to_the_same_sequence_is_a_reenrollment():
    """The earlier one is the first, at a tie the lower id; another sequence is none."""
    twice = [
        {"prospect_id": 7, "created_at": "2025-03-05T00:00:00Z"},
        {"prospect_id": 7, "created_at": "2025-03-01T00:00:00Z"},
        {"prospect_id": 7, "created_at": "2025-03-01T00:00:00Z"},
        {"prospect_id": 7, "created_at": "2025-03-09T00:00:00Z", "sequence_id": 2},
        {"prospect_id": None, "created_at": "2025-03-09T00:00:00Z"},
    ]

    found = outcome_of(*twice)

    assert (found["enrollments"], found["reenrolled"], found["reenrollment_rate_n"]) == (4, 2, 3)


def test_overlap_counts_people_with_another_open_enrollment_anywhere():
    rows = [
        {"prospect_id": 1},
        {"prospect_id": 1, "sequence_id": 2},
        {"prospect_id": 2},
        {"prospect_id": 2, "sequence_id": 2, "state": "finished"},
    ]

    both = stats.enrollment_outcomes(mailings(), sequence_states=states(*rows), as_of=AS_OF)
    in_all = stats.enrollment_outcomes(mailings(), sequence_states=states(*rows), by=None, as_of=AS_OF)

    assert both["overlap_rate"].tolist() == [0.5, 1.0]
    assert both["overlap_rate_n"].tolist() == [2, 1]
    assert (in_all["prospects_overlapping"].item(), in_all["overlap_rate_n"].item()) == (1, 2)


def test_the_overlap_of_all_is_the_summarys():
    data = {"sequence_states": example("sequence_states"), "mailings": example("mailings")}
    listed = make_frame(data["sequence_states"].to_dict("records"), *COLUMNS)

    found = stats.enrollment_outcomes(data["mailings"], sequence_states=listed, by=None, as_of=AS_OF).iloc[0]

    headline = stats.summarize(data).to_frame().set_index("metric").loc["overlap_rate"]
    assert found[["overlap_rate", "overlap_rate_n"]].tolist() == headline[["value", "n"]].tolist()


def test_by_other_columns_and_without_any():
    rows = [{"user_id": 5}, {"user_id": 5, "state": "finished"}, {"user_id": None}]

    by_user = stats.enrollment_outcomes(mailings(), sequence_states=states(*rows), by="user_id", as_of=AS_OF)

    assert by_user[["user_id", "enrollments", "finished"]].to_numpy().tolist() == [[5, 2, 1]]
    assert by_user.attrs["outreach_frames"]["dropped"] == {"user_id missing": 1}
    none = stats.enrollment_outcomes(mailings(), sequence_states=states(), by=None, as_of=AS_OF)
    assert none["enrollments"].tolist() == [0]


def test_later_enrollments_are_not_seen_yet():
    found = stats.enrollment_outcomes(
        mailings(), sequence_states=states({"created_at": "2025-04-02T00:00:00Z"}), as_of=AS_OF
    )

    assert found.empty
    assert found.attrs["outreach_frames"]["dropped"] == {"enrollment created after as_of": 1}


def test_bad_input_is_named():
    with pytest.raises(DataError, match="needs both sequences and sequence_steps"):
        outcome_of({}, sequences=PLAN["sequences"])
    with pytest.raises(MissingColumnError, match="'state_changed_at' is missing"):
        stats.enrollment_outcomes(mailings(), sequence_states=states({}).drop(columns="state_changed_at"), as_of=AS_OF)
    with pytest.raises(DataError, match="needs to know when the data were extracted"):
        stats.enrollment_outcomes(mailings(), sequence_states=states({}))
    with pytest.raises(DataError, match="stuck_after_waits must be a number above 0"):
        outcome_of({}, stuck_after_waits=0)
