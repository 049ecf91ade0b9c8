import pandas as pd
import pytest

from outreach_frames.errors import MissingColumnError
from outreach_frames.stats.replies import reply_attribution
from tests.frames import EXPECTED, example, mailings, plain


def step(number, day, **other):
    return {"sequence_state_id": 1, "sequence_step_id": number, "delivered_at": f"2025-03-{day:02}T12:00:00Z", **other}


def test_the_worked_examples_reply_is_credited():
    credited = reply_attribution(example("mailings"))

    assert credited.drop(columns="agree").to_dict("records") == EXPECTED["reply_attribution"]
    assert credited["agree"].tolist() == [False]
    assert credited.attrs["outreach_frames"]["dropped"] == {"reply to one-off mail": 1}


def test_a_reply_to_an_earlier_message_is_credited_differently_by_each_rule():
    """A thread keeps its reply on the message answered, although later ones had arrived."""
    mail = mailings(step(10, 1), step(20, 3, replied_at="2025-03-08T09:00:00Z"), step(30, 5), step(40, 9))

    credited = reply_attribution(mail).iloc[0]

    assert credited[["direct_step", "last_touch_step", "first_touch_step"]].tolist() == [20, 30, 10]


def test_a_single_step_leaves_nothing_to_dispute():
    assert reply_attribution(mailings(step(10, 1, replied_at="2025-03-02T12:00:00Z")))["agree"].tolist() == [True]


def test_at_equal_times_the_higher_id_is_the_later_one():
    mail = mailings(step(10, 1), step(20, 1, replied_at="2025-03-02T12:00:00Z"), step(30, 1))

    credited = reply_attribution(mail.iloc[::-1]).iloc[0]

    assert credited[["last_touch_step", "first_touch_step"]].tolist() == [30, 10]


def test_a_delivery_at_the_instant_of_the_reply_counts_as_before():
    mail = mailings(step(10, 1), step(20, 2, replied_at="2025-03-02T12:00:00Z"))

    assert reply_attribution(mail)["last_touch_step"].tolist() == [20]


def test_bounced_messages_touch_nobody():
    mail = mailings(step(10, 1, bounced_at="2025-03-01T13:00:00Z"), step(20, 2, replied_at="2025-03-03T12:00:00Z"))

    assert reply_attribution(mail)["first_touch_step"].tolist() == [20]


def test_a_reply_before_any_delivery_time_has_no_touch():
    mail = mailings(step(10, 1, delivered_at=None, replied_at="2025-03-01T12:00:00Z"), step(20, 5))

    credited = reply_attribution(mail)

    assert credited["direct_step"].tolist() == [10]
    assert plain(credited["last_touch_step"]) == [None]
    assert credited["agree"].tolist() == [False]


def test_other_enrollments_of_the_person_do_not_count():
    mail = mailings(step(10, 1) | {"sequence_state_id": 2}, step(20, 2, replied_at="2025-03-03T12:00:00Z"))

    assert reply_attribution(mail)["first_touch_step"].tolist() == [20]


def test_two_replies_of_an_enrollment_are_credited_each():
    mail = mailings(step(10, 1, replied_at="2025-03-02T12:00:00Z"), step(20, 3, replied_at="2025-03-04T12:00:00Z"))

    assert reply_attribution(mail)[["last_touch_step", "first_touch_step"]].to_numpy().tolist() == [[10, 10], [20, 10]]


@pytest.mark.parametrize("mail", [example("mailings").head(0), mailings({"id": 1})])
def test_nothing_answered_gives_no_rows(mail):
    credited = reply_attribution(mail)

    assert len(credited) == 0
    pd.testing.assert_series_equal(credited.dtypes, reply_attribution(example("mailings")).dtypes)


def test_a_missing_column_names_itself():
    with pytest.raises(MissingColumnError, match="'sequence_step_id' is missing; reply_attribution needs it"):
        reply_attribution(example("mailings").drop(columns="sequence_step_id"))
