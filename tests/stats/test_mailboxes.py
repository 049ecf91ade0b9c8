import pytest

from outreach_frames.errors import BlindMailboxWarning, DataError, MissingColumnError
from outreach_frames.stats.mailboxes import mailbox_health
from tests.frames import AS_OF, extracted, mailings, make_frame, plain

WELL = {
    "send_disabled": False,
    "sync_disabled": False,
    "send_errored_at": None,
    "send_success_at": "2025-03-30T20:00:00Z",
    "sync_errored_at": None,
    "sync_success_at": "2025-03-30T23:50:00Z",
    "max_mailings_per_day": 10,
}


def boxes(*changes):
    return make_frame([{"id": number, **WELL, **change} for number, change in enumerate(changes, start=1)], "id", *WELL)


def sent(box, *instants):
    return [{"mailbox_id": box, "delivered_at": instant} for instant in instants]


def health_of(*changes, mail=(), **parameters):
    return mailbox_health(mailings(*mail), mailboxes=boxes(*changes), **{"as_of": AS_OF, **parameters})


def test_a_mailbox_in_order_has_nothing_to_say():
    health = health_of({}).iloc[0]

    assert (health["send_ok"], health["sync_ok"]) == (True, True)
    assert plain(health[["blind_since", "reasons"]]) == [None, None]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sync_disabled": True}, "synchronization is switched off"),
        ({"sync_errored_at": "2025-03-30T23:55:00Z"}, "the last synchronization failed"),
        ({"sync_success_at": None, "sync_errored_at": "2025-03-30T23:55:00Z"}, "the last synchronization failed"),
        ({"sync_success_at": "2025-03-29T23:00:00Z"}, "no synchronization for more than 24 h"),
    ],
)
def test_a_mailbox_that_does_not_synchronize_is_blind(change, reason):
    """It goes on sending, but its replies and bounces are never seen: its rates fall for no reason of their own."""
    with pytest.warns(BlindMailboxWarning, match=r"unseen: 1 \(id 1\)"):
        health = health_of(change, {})

    assert health["sync_ok"].tolist() == [False, True]
    assert health["send_ok"].tolist() == [True, True]
    assert health["reasons"].iloc[0] == reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"send_disabled": True}, "sending is switched off"),
        ({"send_errored_at": "2025-03-30T21:00:00Z"}, "the last attempt to send failed"),
    ],
)
def test_a_mailbox_that_does_not_send_still_sees(change, reason):
    health = health_of(change).iloc[0]

    assert (health["send_ok"], health["sync_ok"], health["reasons"]) == (False, True, reason)


def test_an_error_followed_by_a_success_is_over():
    change = {"send_errored_at": "2025-03-30T19:00:00Z", "sync_errored_at": "2025-03-30T23:00:00Z"}

    assert health_of(change)[["send_ok", "sync_ok"]].to_numpy().all()


def test_a_mailing_that_left_later_is_a_success_too():
    mail = sent(1, "2025-03-30T22:00:00Z")
    health = health_of({"send_errored_at": "2025-03-30T21:00:00Z"}, mail=mail)

    assert health["send_ok"].tolist() == [True]
    assert health["last_send_at"].iloc[0].isoformat() == "2025-03-30T22:00:00+00:00"


def test_blindness_begins_with_the_last_synchronization():
    mail = sent(1, "2025-03-10T12:00:00Z", "2025-03-21T12:00:00Z", "2025-03-22T12:00:00Z")
    with pytest.warns(BlindMailboxWarning):
        health = health_of({"sync_success_at": "2025-03-20T12:00:00Z"}, mail=mail).iloc[0]

    assert health["blind_since"].isoformat() == "2025-03-20T12:00:00+00:00"
    assert (health["sent"], health["sent_while_blind"]) == (3, 2)


def test_a_mailbox_that_never_synchronized_was_always_blind():
    mail = sent(1, "2025-03-12T12:00:00Z", "2025-03-10T12:00:00Z")
    with pytest.warns(BlindMailboxWarning):
        health = health_of({"sync_success_at": None, "sync_disabled": True}, mail=mail).iloc[0]

    assert health["blind_since"].isoformat() == "2025-03-10T12:00:00+00:00"
    assert health["sent_while_blind"] == 2


def test_what_is_not_recorded_is_not_judged():
    health = health_of(dict.fromkeys(WELL)).iloc[0]

    assert plain(health[["send_ok", "sync_ok", "last_send_at", "last_sync_at"]]) == [None] * 4


def test_capacity_is_the_95th_percentile_of_days_with_mail():
    """Days of 1, 2 and 10 mailings against a limit of 10: NumPy's linear interpolation gives 0.92."""
    mail = [
        *sent(1, "2025-03-03T12:00:00Z"),
        *sent(1, *["2025-03-04T12:00:00Z"] * 2),
        *sent(1, *["2025-03-05T12:00:00Z"] * 10),
    ]
    health = health_of({}, {"max_mailings_per_day": None}, mail=mail)

    assert health["capacity_used_p95"].iloc[0] == pytest.approx(0.92)
    assert plain(health["capacity_used_p95"])[1] is None
    assert health["sending_days"].tolist() == [3, 0]


def test_a_day_begins_where_the_zone_says():
    mail = sent(1, *["2025-03-03T23:00:00Z", "2025-03-04T02:00:00Z"] * 5)

    assert health_of({}, mail=mail)["sending_days"].tolist() == [2]
    full = health_of({}, mail=mail, tz="America/New_York")
    assert full["sending_days"].tolist() == [1]
    assert full["reasons"].tolist() == ["the daily limit is used up on busy days"]


def test_what_never_left_is_no_use_of_capacity():
    mail = [{"mailbox_id": 1}, *sent(9, "2025-03-03T12:00:00Z"), *sent(1, "2025-04-03T12:00:00Z")]

    health = health_of({}, mail=mail)

    assert health["sent"].tolist() == [0]
    assert health.attrs["outreach_frames"]["dropped"] == {
        "mailing never sent": 2,
        "mailing of a mailbox that is not listed": 1,
    }


def test_no_mailboxes_give_no_rows_of_the_same_types():
    none = mailbox_health(mailings(), mailboxes=boxes(), as_of=AS_OF)

    assert none.dtypes.equals(health_of({}).dtypes)


def test_now_must_be_known():
    """A clock of its own would make yesterday's extract look blind today."""
    with pytest.raises(DataError, match="needs to know when the data were extracted"):
        mailbox_health(mailings(), mailboxes=boxes({}))

    known = extracted(boxes({}), "mailboxes")
    assert mailbox_health(mailings(), mailboxes=known).attrs["outreach_frames"]["as_of"] == AS_OF


def test_bad_input_is_named():
    with pytest.raises(DataError, match="no time zone 'Mars'"):
        health_of({}, tz="Mars")
    with pytest.raises(MissingColumnError, match="'sync_success_at' is missing; mailbox_health needs it"):
        mailbox_health(mailings(), mailboxes=boxes({}).drop(columns="sync_success_at"), as_of=AS_OF)
