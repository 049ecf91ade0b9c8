import pytest

from outreach_frames import stats
from outreach_frames.errors import MissingColumnError
from tests.frames import mailings, plain


def late(hours, box=1):
    """Make a mailing that left so many hours after its time."""
    day, hour = divmod(12 + hours, 24)
    at = f"2025-03-{3 + day:02d}T{hour:02d}:00:00Z"
    return {"mailbox_id": box, "scheduled_at": "2025-03-03T12:00:00Z", "delivered_at": at}


def sent(*rows):
    mail = mailings(*rows)
    return mail if "scheduled_at" in mail.columns else mail.assign(scheduled_at=mail["delivered_at"])


def test_the_lag_is_the_median_by_mailbox():
    found = stats.schedule_lag(sent(late(0), late(1), late(50), late(2, box=2)))

    assert found["mailbox_id"].tolist() == [1, 2]
    assert found["schedule_lag_h"].tolist() == [1, 2]
    assert found["schedule_lag_n"].tolist() == [3, 1]
    assert found["schedule_lag_lo"].tolist()[0] == 0
    assert plain(found["schedule_lag_lo"])[1] is None


def test_all_alike_have_no_spread():
    found = stats.schedule_lag(sent(late(3), late(3), late(3))).iloc[0]

    assert found[["schedule_lag_h", "schedule_lag_lo", "schedule_lag_hi"]].tolist() == [3, 3, 3]


def test_mail_that_was_never_scheduled_has_no_lag():
    found = stats.schedule_lag(sent(late(3), {**late(0), "scheduled_at": None}, {**late(0), "scheduled_at": None}))

    assert (found["mailings"].item(), found["schedule_lag_n"].item()) == (3, 1)


def test_what_is_left_out_is_counted():
    bounced = {**late(1), "bounced_at": "2025-03-04T12:00:00Z"}
    found = stats.schedule_lag(sent(late(1), bounced, late(1, box=None)))

    assert found.attrs["outreach_frames"]["dropped"] == {"mailing not delivered": 1, "mailbox_id missing": 1}


def test_without_a_key_there_is_one_row_even_without_mail():
    found = stats.schedule_lag(sent(late(1)).head(0), by=None)

    assert found["mailings"].tolist() == [0]
    assert found["schedule_lag_h"].isna().all()


def test_bad_input_is_named():
    with pytest.raises(MissingColumnError, match="'scheduled_at' is missing; schedule_lag needs it"):
        stats.schedule_lag(mailings())
