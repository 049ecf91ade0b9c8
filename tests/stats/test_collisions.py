import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from outreach_frames.errors import DataError, MissingColumnError
from outreach_frames.stats.prospects import overlaps
from tests.frames import example, mailings, make_frame, plain

STATE_COLUMNS = ["id", "prospect_id", "sequence_id", "state"]


def states(*rows):
    named = [dict(zip(STATE_COLUMNS, (number, *row), strict=True)) for number, row in enumerate(rows, start=1)]
    return make_frame(named, *STATE_COLUMNS)


def sent(*instants, prospect=1):
    return [{"prospect_id": prospect, "delivered_at": instant} for instant in instants]


def test_the_worked_examples_people_are_counted():
    """p1 is in two sequences, of which one goes on, and got three mailings in 6 days and 23 hours; p3 opted out."""
    found = overlaps(example("mailings"), sequence_states=example("sequence_states")).set_index("prospect_id")

    assert found["enrollments"].to_dict() == {1: 2, 2: 1, 3: 1, 4: 1, 5: 1}
    assert found["open_enrollments"].to_dict() == {1: 1, 2: 1, 3: 0, 4: 1, 5: 0}
    assert found["touches"].to_dict() == {1: 3, 2: 3, 3: 1, 4: 0, 5: 2}
    assert found["max_touches"].to_dict() == {1: 3, 2: 2, 3: 1, 4: 0, 5: 2}


def test_open_means_neither_finished_nor_opted_out():
    """As Outreach's interface shows it: paused, failed and bounced ones still occupy the person."""
    rows = [(1, n, state) for n, state in enumerate(["active", "paused", "failed", "bounced", "pending", "disabled"])]

    found = overlaps(
        mailings(), sequence_states=states(*rows, (1, 8, "finished"), (1, 9, "opted_out"), (1, 0, "active"))
    ).iloc[0]

    assert (found["enrollments"], found["open_enrollments"], found["open_sequences"]) == (9, 7, 6)


def test_seven_days_apart_is_outside_the_window():
    mail = mailings(*sent("2025-03-03T12:00:00Z", "2025-03-10T12:00:00Z"), *sent("2025-03-10T11:59:59Z"))

    found = overlaps(mail, sequence_states=states()).iloc[0]

    assert found["max_touches"] == 2
    assert found["busiest_until"] == pd.Timestamp("2025-03-10T11:59:59Z")


def test_the_limit_is_the_last_acceptable_number():
    mail = mailings(*sent(*["2025-03-03T12:00:00Z"] * 4), *sent(*["2025-03-03T12:00:00Z"] * 5, prospect=2))

    assert overlaps(mail, sequence_states=states())["over_limit"].tolist() == [False, True]
    assert overlaps(mail, sequence_states=states(), max_mailings=5)["over_limit"].tolist() == [False, False]


def test_people_without_mail_and_people_without_enrollment_stay():
    found = overlaps(mailings(*sent("2025-03-03T12:00:00Z", prospect=2)), sequence_states=states((1, 10, "active")))

    assert found[["prospect_id", "enrollments", "touches", "max_touches"]].to_numpy().tolist() == [
        [1, 1, 0, 0],
        [2, 0, 1, 1],
    ]
    assert plain(found["busiest_until"])[0] is None


def test_what_does_not_arrive_or_reaches_nobody_known_is_left_out_and_counted():
    mail = mailings(
        {"prospect_id": 1},
        {"delivered_at": "2025-03-03T12:00:00Z"},
        *sent("2025-03-03T12:00:00Z", "2025-03-08T12:00:00Z"),
    )

    found = overlaps(mail, sequence_states=states((None, 10, "active")), as_of="2025-03-05")

    assert found["touches"].tolist() == [1]
    assert found.attrs["outreach_frames"]["dropped"] == {
        "enrollment without a prospect": 1,
        "mailing not delivered": 1,
        "mailing without a prospect": 1,
        "delivered after as_of": 1,
    }


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 40 * 24)), min_size=1, max_size=40), st.floats(0.5, 20))
def test_the_busiest_window_is_found(touches, window):
    """The same by brute force over all pairs."""
    start = pd.Timestamp("2025-03-01T00:00:00Z")
    mail = mailings(*(sent(start + pd.Timedelta(hours=hour), prospect=who)[0] for who, hour in touches))

    found = overlaps(mail, sequence_states=states(), window_d=window).set_index("prospect_id")["max_touches"]

    for who, most in found.items():
        hours = np.array([hour for person, hour in touches if person == who])
        assert most == max(((hours <= end) & (end - hours < window * 24)).sum() for end in hours)


def test_row_order_does_not_matter():
    mail = example("mailings")

    again = overlaps(mail.sample(frac=1, random_state=2), sequence_states=example("sequence_states").iloc[::-1])

    pd.testing.assert_frame_equal(again, overlaps(mail, sequence_states=example("sequence_states")))


def test_nothing_gives_no_rows_of_the_same_types():
    none = overlaps(mailings(), sequence_states=states())

    assert len(none) == 0
    assert none.dtypes.equals(overlaps(example("mailings"), sequence_states=example("sequence_states")).dtypes)


def test_bad_input_is_named():
    with pytest.raises(DataError, match="window_d must be a number above 0"):
        overlaps(mailings(), sequence_states=states(), window_d=0)
    with pytest.raises(MissingColumnError, match="'state' is missing; overlaps needs it"):
        overlaps(mailings(), sequence_states=states().drop(columns="state"))
