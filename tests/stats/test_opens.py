import pytest

from outreach_frames import stats
from outreach_frames.errors import DataError, MissingColumnError
from tests.frames import EXPECTED, example, extracted, mailings, make_frame, plain

SENT = {"delivered_at": "2025-03-03T12:00:00Z"}


def log(*rows, name="message_opened"):
    events = [{"id": n, "name": name, "mailing_id": 1, **row} for n, row in enumerate(rows, start=1)]
    return make_frame(events, "id", "name", "event_at", "mailing_id")


def test_the_worked_example():
    """One open is exact; of several the API keeps the latest, so that the hours are an upper bound."""
    found = stats.first_opens(example("mailings"))

    expected = EXPECTED["first_open"]
    assert found["mailing_id"].tolist() == [case["mailing_id"] for case in expected]
    assert found["open_count"].tolist() == [case["open_count"] for case in expected]
    assert found["first_open_exact"].tolist() == [case["exact"] for case in expected]
    assert found["hours_to_open"].tolist() == pytest.approx([c["hours_upper_bound"] for c in expected], abs=1e-6)
    assert found.attrs["outreach_frames"]["dropped"] == {"mailing not opened": 5}


def test_the_event_log_knows_the_first_open():
    mail = mailings({**SENT, "open_count": 2, "opened_at": "2025-03-05T12:00:00Z"})
    seen = log({"event_at": "2025-03-04T12:00:00Z"}, {"event_at": "2025-03-05T12:00:00Z"})

    found = stats.first_opens(mail, events=seen).iloc[0]

    assert (found["hours_to_open"], found["first_open_exact"]) == (24, True)


def test_a_log_that_misses_opens_lowers_the_bound_only():
    """Three opens were counted and one is logged: an earlier one may be among the two others."""
    mail = mailings({**SENT, "open_count": 3, "opened_at": "2025-03-05T12:00:00Z"})

    found = stats.first_opens(mail, events=log({"event_at": "2025-03-04T12:00:00Z"})).iloc[0]

    assert (found["hours_to_open"], found["first_open_exact"]) == (24, False)


@pytest.mark.parametrize(
    "seen", [log(name="message_clicked"), log({"event_at": "2025-03-04T12:00:00Z", "mailing_id": 9})]
)
def test_other_events_tell_nothing(seen):
    mail = mailings({**SENT, "open_count": 2, "opened_at": "2025-03-05T12:00:00Z"})

    found = stats.first_opens(mail, events=seen).iloc[0]

    assert (found["hours_to_open"], found["first_open_exact"]) == (48, False)


def test_a_count_without_a_time_is_an_open_of_unknown_time():
    found = stats.first_opens(mailings({**SENT, "open_count": 1}))

    assert plain(found.iloc[0][["first_open_at", "hours_to_open"]]) == [None, None]
    assert found["first_open_exact"].tolist() == [False]


def test_what_was_not_opened_or_not_tracked_has_no_row():
    none = stats.first_opens(mailings(SENT, {**SENT, "open_count": 1, "track_opens": False}))

    assert none.empty
    assert none.dtypes.equals(stats.first_opens(example("mailings")).dtypes)


def test_bad_input_is_named():
    with pytest.raises(MissingColumnError, match="'event_at' is missing; first_opens needs it"):
        stats.first_opens(mailings(SENT), events=log().drop(columns="event_at"))
    with pytest.raises(DataError, match="open_events must be a word"):
        stats.first_opens(extracted(mailings(SENT), "mailings"), open_events=3)
