"""What `sequence_engagement` knows besides the rates: people, touches, automatic answers."""

import pytest

from outreach_frames import stats
from tests.frames import MONDAY, mailings, make_frame, plain

SEQUENCES = make_frame([{"id": 10, "name": "Alpha"}])
CLOCK = ["answered_at", "completed_at"]


def mail(prospect, **row):
    return {"sequence_id": 10, "prospect_id": prospect, "sequence_state_id": prospect, "delivered_at": MONDAY, **row}


def call(number, prospect):
    return {"id": number, "sequence_id": 10, "prospect_id": prospect, "direction": "outbound", "dialed_at": MONDAY}


CALLS = make_frame([call(1, 2), call(2, 3), call(3, 3), {**call(4, 4), "direction": "inbound"}], *CLOCK)
TASKS = make_frame(
    [
        {"id": n, "sequence_id": 10, "prospect_id": 1, "action": action, "completed_at": MONDAY}
        for n, action in enumerate(["action_item", "email", "call"], start=1)
    ]
)


def test_people_are_contacted_by_mail_by_call_and_by_either():
    found = stats.sequence_engagement(mailings(mail(1), mail(1), mail(2)), sequences=SEQUENCES, calls=CALLS).iloc[0]

    assert found[["contacted_email", "contacted_call", "contacted_any"]].tolist() == [2, 2, 3]


def test_touches_are_mail_calls_and_other_tasks():
    """3 delivered + 3 dialed + 1 task that is neither mail nor call, over 3 people."""
    sent = mailings(mail(1), mail(1), mail(2), mail(5, bounced_at=MONDAY))

    found = stats.sequence_engagement(sent, sequences=SEQUENCES, calls=CALLS, tasks=TASKS).iloc[0]

    assert found["touches"] == 7
    assert found["touches_per_contacted"] == pytest.approx(7 / 3)


def test_without_calls_people_mailed_are_the_base_of_the_touches():
    found = stats.sequence_engagement(mailings(mail(1), mail(1)), sequences=SEQUENCES).iloc[0]

    assert (found["touches"], found["touches_per_contacted"], found["contacted_email"]) == (2, 2, 1)
    assert plain(found[["contacted_call", "contacted_any"]]) == [None, None]


@pytest.mark.parametrize(
    ("state", "replied", "automatic"),
    [
        ("paused", "2025-03-03T10:05:00Z", 1),
        ("paused", "2025-03-03T10:05:01Z", 0),
        ("finished", "2025-03-03T10:01:00Z", 0),
    ],
)
def test_an_answer_within_five_minutes_to_a_paused_enrollment_looks_automatic(state, replied, automatic):
    """An out-of-office notice may count as a reply; the strict rate tells how much that could matter."""
    states = make_frame([{"id": n, "sequence_id": 10, "state": state if n == 1 else "active"} for n in (1, 2)])
    sent = mailings(mail(1, replied_at=replied), mail(2, replied_at="2025-03-04T10:00:00Z"), mail(3))

    found = stats.sequence_engagement(sent, sequences=SEQUENCES, sequence_states=states).iloc[0]

    assert found["automatic_replies"] == automatic
    assert found["enrollment_reply_rate"] == pytest.approx(2 / 3)
    assert found["enrollment_reply_rate_strict"] == pytest.approx((2 - automatic) / 3)
    assert found["enrollment_reply_rate_strict_n"] == 3


def test_an_enrollment_that_also_answers_in_person_has_answered():
    states = make_frame([{"id": 1, "sequence_id": 10, "state": "paused"}])
    sent = mailings(mail(1, replied_at="2025-03-03T10:01:00Z"), mail(1, replied_at="2025-03-05T10:00:00Z"))

    found = stats.sequence_engagement(sent, sequences=SEQUENCES, sequence_states=states).iloc[0]

    assert (found["automatic_replies"], found["enrollment_reply_rate_strict"]) == (1, 1)


def test_without_enrollments_the_strict_rate_is_unknown():
    found = stats.sequence_engagement(mailings(mail(1)), sequences=SEQUENCES).iloc[0]

    strict = [f"enrollment_reply_rate_strict{end}" for end in ("", "_n", "_lo", "_hi")]
    assert plain(found[["automatic_replies", *strict]]) == [None] * 5


def test_replies_per_100_contacted_is_the_prospects_rate_times_100():
    """Part 6: 2 of 4 people, 0.150039 to 0.849961."""
    sent = mailings(
        mail(1, replied_at="2025-03-05T10:00:00Z"), mail(2, replied_at="2025-03-05T10:00:00Z"), mail(3), mail(4)
    )

    found = stats.engagement(sent).iloc[0]

    assert (found["replies_per_100_contacted"], found["replies_per_100_contacted_n"]) == (50, 4)
    assert found["replies_per_100_contacted_lo"] == pytest.approx(15.0039, abs=1e-4)
    assert found["replies_per_100_contacted_hi"] == pytest.approx(84.9961, abs=1e-4)


def test_the_earliest_extraction_of_all_the_frames_is_told():
    """What happened later is not in all of them."""
    states = make_frame([{"id": 1, "sequence_id": 10, "state": "paused"}])
    sent = mailings(mail(1))
    for frame, as_of in ((sent, "2025-03-31T00:00:00Z"), (states, "2025-03-20T00:00:00Z")):
        frame.attrs["outreach_frames"] = {"as_of": as_of}

    found = stats.sequence_engagement(sent, sequences=SEQUENCES, sequence_states=states)

    assert found.attrs["outreach_frames"]["as_of"] == "2025-03-20T00:00:00Z"
