import pandas as pd
import pytest

from outreach_frames import stats
from outreach_frames.errors import DataError
from tests.frames import EXPECTED, TOLERANCE, example, mailings, make_frame

STEPS = [
    {"id": 1, "sequence_id": 5, "order": 1, "step_type": "auto_email"},
    {"id": 2, "sequence_id": 5, "order": 2, "step_type": "auto_email"},
    {"id": 3, "sequence_id": 5, "order": 3, "step_type": "auto_email"},
]


def day(number, hour=10):
    return f"2025-03-{number:02d}T{hour}:00:00Z"


def mail(enrollment, step, delivered, **columns):
    return {"sequence_state_id": enrollment, "sequence_step_id": step, "delivered_at": delivered, **columns}


def funnel_of(*rows, **parameters):
    return stats.step_funnel(mailings(*rows), sequence_steps=make_frame(STEPS), **parameters).set_index("step_id")


def test_the_worked_example():
    found = stats.step_funnel(example("mailings"), sequence_steps=example("sequence_steps"))

    for (_, row), expected in zip(found.iterrows(), EXPECTED["step_funnel"], strict=True):
        for name in set(expected) - {"hazard", "cumulative_reply"}:
            assert row[name] == expected[name], name
        assert row["hazard"] == pytest.approx(expected["hazard"], abs=TOLERANCE)
        assert row["hazard_n"] == expected["at_risk"]
        assert row["cumulative_reply"] == pytest.approx(expected["cumulative_reply"], abs=TOLERANCE)


def test_who_has_answered_or_opted_out_is_no_longer_at_risk():
    found = funnel_of(
        mail(1, 1, day(3), replied_at=day(4)),
        mail(1, 2, day(5)),
        mail(2, 1, day(3), unsubscribed_at=day(4)),
        mail(2, 2, day(5)),
        mail(3, 1, day(3)),
        mail(3, 2, day(5)),
    )

    assert found["enrollments_reached"].tolist() == [3, 3, 0]
    assert found["at_risk"].tolist() == [3, 1, 0]


def test_an_event_at_the_very_time_of_the_delivery_came_before_it():
    """At risk means: the event lies strictly after the step's first delivery."""
    found = funnel_of(mail(1, 1, day(3), replied_at=day(5)), mail(1, 2, day(5)))

    assert found["at_risk"].tolist() == [1, 0, 0]


def test_a_reply_after_an_opt_out_is_not_credited_but_one_at_the_same_time_is():
    after = funnel_of(mail(1, 1, day(3), unsubscribed_at=day(4), replied_at=day(5)))
    tied = funnel_of(mail(1, 1, day(3), unsubscribed_at=day(4), replied_at=day(4)))

    assert after.loc[1, "first_replies"] == 0
    assert tied.loc[1, "first_replies"] == 1


def test_only_the_first_reply_counts():
    found = funnel_of(mail(1, 1, day(3), replied_at=day(6)), mail(1, 2, day(5), replied_at=day(7)))

    assert found["first_replies"].tolist() == [1, 0, 0]
    assert found["replied"].tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    ("attribution", "credited"),
    [("direct", [0, 1, 0]), ("last_touch", [0, 0, 1]), ("first_touch", [1, 0, 0])],
)
def test_the_reply_is_credited_by_the_chosen_rule(attribution, credited):
    """The answer refers to step 2, came after step 3 was delivered, and step 1 began it."""
    rows = (mail(1, 1, day(3)), mail(1, 2, day(5), replied_at=day(8)), mail(1, 3, day(7)))

    assert funnel_of(*rows, attribution=attribution)["first_replies"].tolist() == credited


def test_hazards_multiply_up_and_an_empty_step_changes_nothing():
    found = funnel_of(
        mail(1, 1, day(3), replied_at=day(4)),
        mail(2, 1, day(3)),
        mail(3, 1, day(3)),
        mail(4, 1, day(3)),
        mail(2, 3, day(7), replied_at=day(8)),
        mail(3, 3, day(7)),
    )

    assert found["hazard"].tolist() == [0.25, pd.NA, 0.5]
    assert found["cumulative_reply"].tolist() == pytest.approx([0.25, 0.25, 0.625])


def test_a_certain_reply_leaves_nobody():
    """The logarithm of nothing must not get in the way."""
    found = funnel_of(mail(1, 1, day(3), replied_at=day(4)), mail(2, 2, day(3)))

    assert found["cumulative_reply"].tolist() == [1.0, 1.0, 1.0]


def test_the_cumulative_reply_carries_the_error_of_every_step():
    """Kaplan and Meier's curve with Greenwood's band: 5 of 20 reply at step 1, 3 of the other 15 at step 3."""
    first = [mail(number, 1, day(3), replied_at=day(4) if number < 5 else None) for number in range(20)]
    third = [mail(number, 3, day(7), replied_at=day(8) if number < 8 else None) for number in range(5, 20)]
    durations = make_frame(
        {"duration_d": float(1 + (number >= 5) + (number >= 8)), "event": "reply" if number < 8 else "censored"}
        for number in range(20)
    )

    found = funnel_of(*first, *third, ci=0.9)

    curve = stats.kaplan_meier(durations, ci=0.9)
    assert found["cumulative_reply"].tolist() == pytest.approx([0.25, 0.25, 0.4])
    for step, row in ((1, 0), (2, 0), (3, 1)):
        assert found.loc[step, "cumulative_reply_lo"] == pytest.approx(1 - curve["hi"].iloc[row])
        assert found.loc[step, "cumulative_reply_hi"] == pytest.approx(1 - curve["lo"].iloc[row])


def test_a_cumulative_reply_of_nobody_or_everybody_has_no_bounds():
    nobody = funnel_of(mail(1, 1, day(3)))
    everybody = funnel_of(mail(1, 1, day(3), replied_at=day(4)))

    for found in (nobody, everybody):
        assert found[["cumulative_reply_lo", "cumulative_reply_hi"]].isna().all(axis=None)


def test_the_wait_is_measured_from_the_latest_earlier_step():
    found = funnel_of(
        mail(1, 1, day(3)), mail(1, 2, day(5)), mail(1, 3, day(9)), mail(2, 1, day(3)), mail(2, 3, day(5))
    )

    assert found["median_wait_d"].tolist() == [pd.NA, 2.0, 3.0]


def test_mail_that_belongs_to_no_listed_step_is_left_out_and_counted():
    found = stats.step_funnel(
        mailings(mail(1, 99, day(3)), mail(1, None, day(3)), mail(1, 1, day(3))), sequence_steps=make_frame(STEPS)
    )

    assert found["sent"].sum() == 1
    assert found.attrs["outreach_frames"]["dropped"] == {
        "mailing of no step": 1,
        "mailing of a step that is not listed": 1,
    }


CALL_STEPS = [*STEPS[:1], {**STEPS[1], "step_type": "call"}, {**STEPS[2], "step_type": "task"}]


def call(number, outcome, **columns):
    row = {"id": number, "sequence_state_id": number, "sequence_step_id": 2, "direction": "outbound"}
    return {**row, "dialed_at": day(5), "outcome": outcome, **columns}


@pytest.mark.parametrize("words", [("completed", "no_answer"), ("Answered", "Not Answered")])
def test_a_call_steps_hazard_is_that_of_a_conversation(words):
    """The guide and the attribute description spell the outcomes differently; both are understood."""
    calls = make_frame([call(1, words[0]), call(2, words[1]), call(3, words[0])], "answered_at", "completed_at")
    rows = mailings(mail(1, 1, day(3)), mail(2, 1, day(3)), mail(3, 1, day(3), replied_at=day(4)))

    found = stats.step_funnel(rows, sequence_steps=make_frame(CALL_STEPS), calls=calls).set_index("step_id")

    assert found.loc[2, ["enrollments_reached", "at_risk", "first_replies"]].tolist() == [3, 2, 1]
    assert found.loc[2, "hazard"] == 0.5
    assert found["cumulative_reply"].tolist() == pytest.approx([1 / 3] * 3)  # a conversation is no reply


def test_a_silent_outcome_is_read_from_the_answer():
    calls = make_frame([call(1, None, answered_at=day(5)), call(2, None)], "completed_at")

    found = stats.step_funnel(mailings(), sequence_steps=make_frame(CALL_STEPS), calls=calls).set_index("step_id")

    assert found.loc[2, ["at_risk", "first_replies"]].tolist() == [2, 1]


def test_a_task_step_is_reached_and_has_no_hazard():
    tasks = make_frame(
        [
            {"id": 1, "sequence_state_id": 1, "sequence_step_id": 3, "completed_at": day(6)},
            {"id": 2, "sequence_state_id": 2, "sequence_step_id": 3, "completed_at": None},
        ]
    )

    found = stats.step_funnel(mailings(), sequence_steps=make_frame(CALL_STEPS), tasks=tasks).set_index("step_id")

    assert found.loc[3, "enrollments_reached"] == 1
    assert found.loc[3, "at_risk"] == 0
    assert found.loc[3, "hazard"] is pd.NA


def test_an_unknown_attribution_is_refused():
    with pytest.raises(DataError, match="no attribution 'none'"):
        funnel_of(attribution="none")


def test_names_are_kept_where_the_steps_have_them():
    """So that a table of the funnel can be read; else the columns are as ever."""
    named = make_frame([{**step, "display_name": f"Step {step['order']}", "sequence__name": "Cold"} for step in STEPS])

    found = stats.step_funnel(mailings(mail(1, 1, day(3))), sequence_steps=named)
    without = stats.step_funnel(mailings(mail(1, 1, day(3))), sequence_steps=make_frame(STEPS))

    assert found["step_name"].tolist() == ["Step 1", "Step 2", "Step 3"]
    assert found["sequence__name"].unique().tolist() == ["Cold"]
    pd.testing.assert_frame_equal(found.drop(columns=["step_name", "sequence__name"]), without)
