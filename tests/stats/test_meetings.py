from datetime import date

import pytest

from outreach_frames import stats
from outreach_frames.errors import DataError, MissingColumnError
from tests.frames import AS_OF, mailings, make_frame

COLUMNS = ["id", "tags", "direction", "dialed_at", "answered_at", "completed_at", "call_disposition_id"]
STATES = make_frame(
    [{"id": n, "sequence_id": 10, "user_id": n % 2 + 1, "created_at": "2025-01-06T00:00:00Z"} for n in range(1, 5)]
)
DISPOSITIONS = make_frame([{"id": 1, "name": "Meeting booked"}, {"id": 2, "name": "No answer"}])


def calls(*rows):
    made = [{"id": n, "direction": "outbound", "tags": None, **row} for n, row in enumerate(rows, start=1)]
    return make_frame(made, *["sequence_state_id", *COLUMNS])


def mail(*enrollments, day="2025-01-06"):
    return mailings(*({"sequence_state_id": n, "delivered_at": f"{day}T12:00:00Z"} for n in enrollments))


def met_by(*rows, **parameters):
    """Return what the meetings of four enrollments mailed in January come to."""
    return stats.meetings(
        mail(1, 2, 3, 4), sequence_states=STATES, calls=calls(*rows), **{"as_of": AS_OF, **parameters}
    ).iloc[0]


AGREED = {"sequence_state_id": 1, "dialed_at": "2025-01-20T12:00:00Z", "tags": ["Meeting"]}


def test_met_of_contacted():
    """1 of 4, with the Wilson bounds 0.045587 to 0.699358."""
    found = met_by(AGREED)

    assert found[["sequence_id", "enrollments", "contacted", "met", "meeting_rate_n"]].tolist() == [10, 4, 4, 1, 4]
    assert found["meeting_rate"] == 0.25
    assert found["meeting_rate_lo"] == pytest.approx(0.045587, abs=1e-6)
    assert found["meeting_rate_hi"] == pytest.approx(0.699358, abs=1e-6)


@pytest.mark.parametrize(
    ("call", "met"),
    [
        ({"tags": ["tier 1", "first MEETING set"]}, 1),
        ({"tags": ["tier 1"]}, 0),
        ({"tags": []}, 0),
        ({"tags": None, "call_disposition_id": 1}, 1),
        ({"tags": None, "call_disposition_id": 2}, 0),
        ({"tags": None, "call_disposition_id": 99}, 0),
        ({"direction": "inbound"}, 1),
        ({"dialed_at": None}, 0),
        ({"sequence_state_id": None}, 0),
    ],
)
def test_what_is_a_meeting(call, met):
    """An inbound call may agree one; a call without a time, or of no enrollment, cannot be placed."""
    assert met_by({**AGREED, **call}, call_dispositions=DISPOSITIONS)["met"] == met


def test_without_dispositions_tags_alone_decide():
    assert met_by({**AGREED, "tags": None, "call_disposition_id": 1})["met"] == 0


@pytest.mark.parametrize(
    ("at", "met"), [("2025-02-05T12:00:00Z", 1), ("2025-02-05T12:00:01Z", 0), ("2025-01-06T11:00:00Z", 0)]
)
def test_a_meeting_counts_for_thirty_days_from_the_first_contact(at, met):
    """An inbound one before it is none of the enrollment's making."""
    assert met_by({**AGREED, "dialed_at": at, "direction": "inbound"})["met"] == met


def test_several_meetings_of_an_enrollment_are_one():
    assert met_by(AGREED, {**AGREED, "dialed_at": "2025-01-21T12:00:00Z"})["met"] == 1


def test_a_call_is_a_contact_too():
    found = stats.meetings(mail(), sequence_states=STATES, calls=calls({**AGREED, "tags": None}), as_of=AS_OF).iloc[0]

    assert found[["enrollments", "contacted", "met"]].tolist() == [4, 1, 0]


def test_who_was_contacted_lately_has_not_had_the_time():
    found = stats.meetings(mail(1, 2, day="2025-03-20"), sequence_states=STATES, calls=calls(), as_of=AS_OF)

    assert found[["enrollments", "contacted"]].to_numpy().tolist() == [[2, 0]]
    assert found["meeting_rate"].isna().all()
    assert found.attrs["outreach_frames"]["dropped"] == {"enrollment contacted less than 30 days before as_of": 2}


def test_by_user_and_by_none():
    both = stats.meetings(mail(1, 2, 3, 4), sequence_states=STATES, calls=calls(AGREED), by="user_id", as_of=AS_OF)

    assert both[["user_id", "contacted", "met"]].to_numpy().tolist() == [[1, 2, 0], [2, 2, 1]]
    assert met_by(AGREED, by=None)["met"] == 1


def test_the_proxy_is_named(capsys):
    """The API has no meetings; whoever reads the rate must know what it counts."""
    found = stats.meetings(
        mail(1),
        sequence_states=STATES,
        calls=calls(),
        call_dispositions=DISPOSITIONS,
        as_of=AS_OF,
        meeting_words="demo",
    )

    stats.explain(found)

    assert "Proxy: a meeting is a call whose disposition or tag contains “demo”" in capsys.readouterr().out


def test_cohorts_of_meetings():
    """Agreed 14.5 days after creation: in the third week, not in the second."""
    found = stats.cohort_matrix(
        mail(1, 2, 3, 4), sequence_states=STATES, calls=calls(AGREED), event="meeting_proxy", weeks=3, as_of=AS_OF
    )

    assert found["cohort_week"].tolist() == [date(2025, 1, 6)] * 3
    assert found["events"].tolist() == [0, 0, 1]
    assert found["rate"].tolist() == [0, 0, 0.25]
    assert found.attrs["outreach_frames"]["proxy"] == "a meeting is a call whose tag contains “meeting”"


def test_a_meeting_after_as_of_is_not_known_yet():
    found = stats.cohort_matrix(
        mail(1),
        sequence_states=STATES,
        calls=calls(AGREED),
        event="meeting_proxy",
        weeks=1,
        as_of="2025-01-19T00:00:00Z",
    )

    assert found["events"].tolist() == [0]


def test_bad_input_is_named():
    with pytest.raises(DataError, match="No word is given"):
        met_by(AGREED, meeting_words=[])
    with pytest.raises(DataError, match="within_d must be a number above 0"):
        met_by(AGREED, within_d=0)
    with pytest.raises(MissingColumnError, match="'tags' is missing; meetings needs it"):
        stats.meetings(mail(1), sequence_states=STATES, calls=calls(AGREED).drop(columns="tags"), as_of=AS_OF)
