import pytest

from outreach_frames import stats
from outreach_frames.stats.enrollments import BUCKETS
from tests.frames import EXPECTED, MONDAY, example, mailings, make_frame

COLUMNS = ["sequence_id", "state", "replied_at", "reply_count", "pause_reason"]


def states(*rows):
    return make_frame([{"id": number, "sequence_id": 1, **row} for number, row in enumerate(rows, start=1)], *COLUMNS)


def bucket_of(row, *mail):
    return stats.state_flow(mailings(*mail), sequence_states=states(row))["bucket"].item()


def test_the_worked_example():
    found = stats.state_flow(
        example("mailings"), sequence_states=make_frame(example("sequence_states").to_dict("records"), *COLUMNS)
    )

    for sequence, expected in EXPECTED["state_flow"].items():
        rows = found[found["sequence_id"] == int(sequence)]
        assert dict(zip(rows["bucket"], rows["enrollments"], strict=True)) == expected
        assert rows["share"].sum() == pytest.approx(1)
        assert set(rows["share_n"]) == {sum(expected.values())}


@pytest.mark.parametrize("state", ["active", "pending", "paused", "bounced", "opted_out", "failed", "disabled"])
def test_a_state_is_its_own_bucket(state):
    assert bucket_of({"state": state}) == state


@pytest.mark.parametrize("state", ["hibernating", None])
def test_a_state_that_nobody_documented_is_unknown(state):
    """The list is open; an enrollment must not vanish with a new word."""
    assert bucket_of({"state": state}) == "unknown"


@pytest.mark.parametrize(
    ("reason", "bucket"),
    [("OOTO_reply", "paused_ooto"), ("ooto", "paused_ooto"), ("manual", "paused"), (None, "paused")],
)
def test_out_of_office_is_a_pause_of_its_own(reason, bucket):
    assert bucket_of({"state": "paused", "pause_reason": reason}) == bucket


def test_the_out_of_office_prefix_can_be_changed():
    """What Outreach writes there is not documented."""
    found = stats.state_flow(
        mailings(), sequence_states=states({"state": "paused", "pause_reason": "Away"}), ooto_prefix="away"
    )

    assert found["bucket"].item() == "paused_ooto"


@pytest.mark.parametrize(
    ("row", "mail"),
    [
        ({"replied_at": MONDAY}, {}),
        ({"reply_count": 1}, {}),
        ({}, {"sequence_state_id": 1, "delivered_at": MONDAY, "replied_at": MONDAY}),
    ],
)
def test_any_sign_of_a_reply_makes_a_finished_enrollment_a_replied_one(row, mail):
    assert bucket_of({"state": "finished", **row}, mail) == "finished_replied"


def test_finished_without_a_reply():
    mail = {"sequence_state_id": 2, "delivered_at": MONDAY, "replied_at": MONDAY}

    assert bucket_of({"state": "finished", "reply_count": 0}, mail) == "finished_no_reply"


def test_buckets_come_in_the_order_of_a_picture():
    found = stats.state_flow(
        mailings(),
        sequence_states=states(
            {"state": "pending"}, {"state": "opted_out"}, {"state": "active"}, {"state": "finished"}
        ),
    )

    assert found["bucket"].tolist() == ["finished_no_reply", "active", "pending", "opted_out"]
    assert found["bucket"].dtype.categories.tolist() == list(BUCKETS)


def test_two_snapshots_show_what_became_of_whom():
    before = states({"state": "active"}, {"state": "active"}, {"state": "paused"})
    after = states({"state": "finished", "reply_count": 2}, {"state": "active"}, {"id": 9, "state": "pending"})

    moves = stats.attached(
        stats.state_flow(mailings(), sequence_states=after, earlier_sequence_states=before), "transitions"
    )

    found = {(row["from"], row["to"]): row["count"] for row in moves.fillna("-").to_dict("records")}
    assert found == {
        ("active", "finished_replied"): 1,
        ("active", "active"): 1,
        ("paused", "-"): 1,
        ("-", "pending"): 1,
    }


def test_an_enrollment_without_a_sequence_is_left_out_and_counted():
    found = stats.state_flow(
        mailings(), sequence_states=states({"state": "active"}, {"state": "active", "sequence_id": None})
    )

    assert found["enrollments"].tolist() == [1]
    assert found.attrs["outreach_frames"]["dropped"] == {"enrollment without a sequence": 1}
