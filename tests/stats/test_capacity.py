import pytest

from outreach_frames import stats
from outreach_frames.errors import DataError, MissingColumnError
from tests.frames import mailings, make_frame, plain

BOXES = make_frame([{"id": 1, "max_mailings_per_day": 4}, {"id": 2, "max_mailings_per_day": None}])


def sent(box, *instants):
    return [{"mailbox_id": box, "delivered_at": instant} for instant in instants]


def test_each_day_is_held_against_the_limit():
    mail = mailings(*sent(1, "2025-03-03T08:00:00Z", "2025-03-03T09:00:00Z", "2025-03-05T09:00:00Z"))

    found = stats.send_capacity(mail, mailboxes=BOXES)

    assert [day.isoformat() for day in found["day"]] == ["2025-03-03", "2025-03-05"]
    assert found["sent"].tolist() == [2, 1]
    assert found["send_capacity_used"].tolist() == [0.5, 0.25]


def test_a_day_begins_where_the_zone_says():
    mail = mailings(*sent(1, "2025-03-03T23:00:00Z", "2025-03-04T02:00:00Z"))

    assert stats.send_capacity(mail, mailboxes=BOXES)["sent"].tolist() == [1, 1]
    assert stats.send_capacity(mail, mailboxes=BOXES, tz="America/New_York")["sent"].tolist() == [2]


def test_a_week_is_held_against_the_weekly_limit_and_names_the_user():
    boxes = make_frame([{"id": 1, "user_id": 7, "max_mailings_per_week": 2}])
    mail = mailings(*sent(1, "2025-03-03T08:00:00Z", "2025-03-05T09:00:00Z", "2025-03-09T23:00:00Z"))

    weeks = stats.send_capacity(mail, mailboxes=boxes, by="week")
    in_tokyo = stats.send_capacity(mail, mailboxes=boxes, by="week", tz="Asia/Tokyo")

    assert list(weeks) == ["mailbox_id", "user_id", "week", "sent", "max_mailings_per_week", "send_capacity_used"]
    assert weeks.astype({"week": str}).to_numpy().tolist() == [[1, 7, "2025-03-03", 3, 2, 1.5]]
    assert in_tokyo["sent"].tolist() == [2, 1]


@pytest.mark.parametrize("limit", [None, 0])
def test_without_a_limit_no_share_of_it_is_used(limit):
    boxes = make_frame([{"id": 2, "max_mailings_per_day": limit}])

    found = stats.send_capacity(mailings(*sent(2, "2025-03-03T08:00:00Z")), mailboxes=boxes)

    assert plain(found["send_capacity_used"]) == [None]


def test_the_95th_percentile_of_the_days_is_that_of_the_mailboxs_health():
    days = {3: 1, 4: 2, 5: 4}
    mail = mailings(*[row for day, n in days.items() for row in sent(1, *[f"2025-03-{day:02d}T12:00:00Z"] * n)])
    attempts = [f"{way}_{end}_at" for way in ("send", "sync") for end in ("errored", "success")]
    boxes = make_frame([{"id": 1, "max_mailings_per_day": 4}], "send_disabled", "sync_disabled", *attempts)

    daily = stats.send_capacity(mail, mailboxes=BOXES)["send_capacity_used"].astype(float)

    health = stats.mailbox_health(mail, mailboxes=boxes, as_of="2025-03-31")
    assert health["capacity_used_p95"].item() == pytest.approx(daily.quantile(0.95)) == pytest.approx(0.95)


def test_what_is_left_out_is_counted():
    found = stats.send_capacity(mailings({"mailbox_id": 1}, *sent(9, "2025-03-03T08:00:00Z")), mailboxes=BOXES)

    assert found.empty
    assert found.attrs["outreach_frames"]["dropped"] == {"mailing never sent": 1, "mailing of a mailbox not listed": 1}


def test_bad_input_is_named():
    with pytest.raises(MissingColumnError, match="'max_mailings_per_day' is missing"):
        stats.send_capacity(mailings(), mailboxes=BOXES[["id"]])
    with pytest.raises(DataError, match="no time zone 'Mars'"):
        stats.send_capacity(mailings(), mailboxes=BOXES, tz="Mars")
    with pytest.raises(DataError, match="no by 'month'"):
        stats.send_capacity(mailings(), mailboxes=BOXES, by="month")
    with pytest.raises(DataError, match="is String, not integers"):
        stats.send_capacity(mailings(), mailboxes=BOXES.assign(max_mailings_per_day="many"))
