import pytest

from outreach_frames import stats
from outreach_frames.errors import DataError, MissingColumnError
from tests.frames import MONDAY, make_frame

COLUMNS = ["id", "user_id", "call_disposition_id", "direction", "outcome", "dialed_at", "answered_at", "completed_at"]


def calls(*rows):
    made = [
        {"id": n, "user_id": 1, "direction": "outbound", "dialed_at": MONDAY, **row} for n, row in enumerate(rows, 1)
    ]
    return make_frame(made, *COLUMNS)


@pytest.mark.parametrize("word", ["Answered", "completed", "ANSWERED"])
def test_both_spellings_of_answered_are_answered(word):
    """The guide says completed, the attribute's description Answered; one alone would give a connect rate of 0."""
    found = stats.call_outcomes(calls({"outcome": word}, {"outcome": "no_answer"}, {"outcome": "Not Answered"}))

    assert found[["calls_dialed", "connected", "connect_rate_n"]].to_numpy().tolist() == [[3, 1, 3]]
    assert found["connect_rate"].item() == pytest.approx(1 / 3)
    assert found["connect_rate_lo"].item() == pytest.approx(0.061492, abs=1e-6)
    assert found["connect_rate_hi"].item() == pytest.approx(0.792340, abs=1e-6)


def test_without_an_outcome_the_time_of_answering_tells():
    found = stats.call_outcomes(calls({"answered_at": MONDAY}, {}))

    assert found["connected"].tolist() == [1]


def test_talk_runs_from_answer_to_completion():
    rows = [
        {"answered_at": MONDAY, "completed_at": "2025-03-03T10:10:30Z"},
        {"answered_at": MONDAY, "completed_at": "2025-03-03T09:00:00Z"},
        {"completed_at": "2025-03-03T15:00:00Z"},
    ]

    assert stats.call_outcomes(calls(*rows))["talk_minutes"].tolist() == [10.5]


def test_by_disposition():
    found = stats.call_outcomes(
        calls({"call_disposition_id": 7}, {"call_disposition_id": 5}, {}), by="call_disposition_id"
    )

    assert found["call_disposition_id"].tolist() == [5, 7]
    assert found.attrs["outreach_frames"]["dropped"] == {"call_disposition_id missing": 1}


@pytest.mark.parametrize(("tz", "hour", "weekday"), [("UTC", 2, "Tue"), ("America/New_York", 21, "Mon")])
def test_hour_and_weekday_are_those_of_the_zone(tz, hour, weekday):
    found = stats.call_outcomes(calls({"dialed_at": "2025-03-04T02:00:00Z"}), by=["weekday", "hour"], tz=tz)

    assert (found["weekday"].item(), found["hour"].item()) == (weekday, hour)


def test_weekdays_come_in_their_own_order():
    days = [{"dialed_at": f"2025-03-{day:02d}T12:00:00Z"} for day in (9, 4, 3, 7)]

    assert stats.call_outcomes(calls(*days), by="weekday")["weekday"].tolist() == ["Mon", "Tue", "Fri", "Sun"]


def test_the_time_of_logging_is_never_the_time_of_the_call():
    """``created_at`` is when it was written down, perhaps days later."""
    logged = calls({"dialed_at": None, "completed_at": "2025-03-05T12:00:00Z"}, {"dialed_at": None})

    found = stats.call_outcomes(logged.assign(created_at=logged["answered_at"]), by="day")

    assert [day.isoformat() for day in found["day"]] == ["2025-03-05"]
    assert found.attrs["outreach_frames"]["dropped"] == {"call without a time": 1}


def test_inbound_calls_are_not_dialed():
    found = stats.call_outcomes(calls({"direction": "inbound"}), by=None)

    assert found["calls_dialed"].tolist() == [0]
    assert found["connect_rate"].isna().all()
    assert found.attrs["outreach_frames"]["dropped"] == {"call not outbound": 1}


def test_bad_input_is_named():
    with pytest.raises(MissingColumnError, match="'outcome' is missing; call_outcomes needs it"):
        stats.call_outcomes(calls({}).drop(columns="outcome"))
    with pytest.raises(DataError, match="no time zone"):
        stats.call_outcomes(calls({}), by="hour", tz="Mars")
    with pytest.raises(DataError, match="not a frame"):
        stats.call_outcomes(None)
