import pytest

from outreach_frames import stats
from outreach_frames.errors import MissingColumnError
from tests.frames import mailings, plain

SENT = {"state": "delivered", "delivered_at": "2025-03-03T12:00:00Z", "user_id": 1}
FAILED = {"state": "failed", "user_id": 1, "error_reason": "Sign-in"}


def test_failed_over_attempted():
    """1 of 4; Wilson of 1/4 is 0.045587 to 0.699358 (Newcombe's formula, by hand)."""
    found = stats.failures(mailings(SENT, SENT, SENT, FAILED), by="user_id").iloc[0]

    assert found[["user_id", "failed", "sent", "attempted", "failure_rate", "failure_rate_n"]].tolist() == [
        1,
        1,
        3,
        4,
        0.25,
        4,
    ]
    assert found["failure_rate_lo"] == pytest.approx(0.045587, abs=1e-6)
    assert found["failure_rate_hi"] == pytest.approx(0.699358, abs=1e-6)


def test_the_rates_of_the_reasons_add_up_to_the_groups():
    mail = mailings(SENT, FAILED, FAILED, {**FAILED, "error_reason": "Limit"}, {**FAILED, "error_reason": None})

    by_reason, in_all = stats.failures(mail), stats.failures(mail, by=None)

    assert plain(by_reason["error_reason"]) == ["Limit", "Sign-in", None]
    assert by_reason["failed"].tolist() == [1, 2, 1]
    assert set(by_reason["failure_rate_n"]) == {5}
    assert by_reason["failure_rate"].sum() == pytest.approx(in_all["failure_rate"].item()) == 0.8


def test_within_a_user_reasons_are_over_the_users_attempts():
    mail = mailings(SENT, FAILED, {**FAILED, "user_id": 2}, {**SENT, "user_id": 3})

    found = stats.failures(mail, by=["user_id", "error_reason"])

    assert found[["user_id", "failure_rate"]].to_numpy().tolist() == [[1, 0.5], [2, 1.0]]


def test_a_failure_that_left_all_the_same_is_sent():
    """A later attempt succeeded; the state holds a single value."""
    found = stats.failures(mailings({**FAILED, "delivered_at": "2025-03-03T12:00:00Z"}), by=None)

    assert found[["failed", "sent"]].to_numpy().tolist() == [[0, 1]]


def test_a_bounce_is_no_failure():
    found = stats.failures(mailings({"state": "bounced", "bounced_at": "2025-03-03T12:00:00Z"}), by=None)

    assert found[["failed", "sent"]].to_numpy().tolist() == [[0, 1]]


def test_what_waits_and_what_belongs_to_nobody_is_left_out_and_counted():
    found = stats.failures(mailings(FAILED, {"state": "scheduled"}, {**FAILED, "user_id": None}), by="user_id")

    assert found["attempted"].tolist() == [1]
    assert found.attrs["outreach_frames"]["dropped"] == {"mailing neither sent nor failed": 1, "user_id missing": 1}


def test_nothing_attempted_gives_a_row_without_a_rate():
    found = stats.failures(mailings(), by=None)

    assert found["attempted"].tolist() == [0]
    assert found["failure_rate"].isna().all()


def test_a_missing_column_is_named():
    with pytest.raises(MissingColumnError, match="'error_reason' is missing; failures needs it"):
        stats.failures(mailings(SENT))
