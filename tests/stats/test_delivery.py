from datetime import date

import pandas as pd
import pytest
from scipy.stats import fisher_exact, norm

from outreach_frames import stats
from outreach_frames.errors import DataError
from tests.frames import ENGINES, as_pandas, mailings, make_frame

BOXES = make_frame([{"id": 1, "email": "ana@example.com"}, {"id": 2, "email": "ben@example.com"}])
EXTRA = ["state", "created_at", "scheduled_at", "mailbox_id"]


def at(day):
    return (pd.Timestamp("2025-03-03T10:00:00Z") + pd.Timedelta(days=day)).isoformat()


def mail(*rows):
    frame = mailings(*({"mailbox_id": 1, **row} for row in rows))
    return make_frame(frame.to_dict("records"), *EXTRA)


def batch(day, sent, bounced=0, **columns):
    return [
        {"delivered_at": at(day), "bounced_at": at(day) if number < bounced else None, **columns}
        for number in range(sent)
    ]


def by_key(found):
    return found.set_index(["mailbox_id", "week"])


def test_rates_of_a_week():
    rows = [
        *batch(0, 8, bounced=2),
        {"delivered_at": at(1), "marked_as_spam_at": at(2)},
        {"delivered_at": at(1), "unsubscribed_at": at(2)},
        {"state": "failed", "scheduled_at": at(1)},
        {"state": "failed", "created_at": at(1)},
        {"state": "scheduled", "scheduled_at": at(1)},
    ]

    found = stats.deliverability(mail(*rows), mailboxes=BOXES)

    row = by_key(found).loc[(1, date(2025, 3, 3))]
    assert row[["sent", "delivered", "bounced", "failed", "spam", "opted_out"]].tolist() == [10, 8, 2, 2, 1, 1]
    assert (row["bounce_rate"], row["bounce_rate_n"]) == (0.2, 10)
    assert (row["failure_rate"], row["failure_rate_n"]) == (pytest.approx(2 / 12), 12)
    assert (row["spam_rate"], row["opt_out_rate"], row["opt_out_rate_n"]) == (0.125, 0.125, 8)
    assert found.attrs["outreach_frames"]["dropped"] == {"mailing neither sent nor failed": 1}


def test_a_failed_state_on_a_message_that_left_is_no_failure():
    found = stats.deliverability(mail({"state": "failed", "delivered_at": at(0)}), mailboxes=BOXES)

    assert found["failed"].sum() == 0


def test_mailboxes_without_mail_stay_for_every_week():
    found = stats.deliverability(mail(*batch(0, 1), *batch(7, 1)), mailboxes=BOXES)

    assert by_key(found)["sent"].tolist() == [1, 1, 0, 0]
    assert found["email"].tolist() == [*["ana@example.com"] * 2, *["ben@example.com"] * 2]
    assert found["bounce_rate"].isna().tolist() == [False, False, True, True]


def test_mail_of_a_mailbox_that_is_not_listed_is_left_out_and_counted():
    found = stats.deliverability(mail(*batch(0, 1), *batch(0, 2, mailbox_id=7)), mailboxes=BOXES)

    assert found["sent"].sum() == 1
    assert found.attrs["outreach_frames"]["dropped"] == {"mailing of a mailbox not listed": 2}


@pytest.mark.parametrize(
    ("bounced", "alert"), [(0, "ok"), (2, "ok"), (5, "ok"), (6, "watch"), (10, "watch"), (11, "act"), (60, "act")]
)
def test_the_bounce_rate_alerts_where_it_is_surely_above_a_threshold(bounced, alert):
    """Of 100, the exact interval's lower end reaches 2 % at 6 bounces and 5 % at 11."""
    found = stats.deliverability(mail(*batch(0, 100, bounced=bounced)), mailboxes=BOXES.iloc[:1])

    assert found["alert"].item() == alert
    assert found["alert"].dtype.categories.tolist() == ["ok", "watch", "act"]


def test_alerts_follow_the_exact_interval_at_its_level():
    """6 of 100: from 2.2 % at 95 %, from 1.7 % at 99 %."""
    found = stats.deliverability(mail(*batch(0, 100, bounced=6)), mailboxes=BOXES.iloc[:1], ci=0.99)

    assert found["alert"].item() == "ok"


def test_spam_alerts_much_earlier():
    """Gmail asks bulk senders to stay below 0.1 % and never to reach 0.3 %."""
    spam = batch(0, 3, marked_as_spam_at=at(1))

    watched = stats.deliverability(mail(*spam, *batch(0, 497)), mailboxes=BOXES.iloc[:1])
    acted = stats.deliverability(mail(*spam, *batch(0, 197)), mailboxes=BOXES.iloc[:1])

    assert watched["alert"].item() == "watch"
    assert acted["alert"].item() == "act"


def test_fewer_than_three_events_alert_nobody():
    """Two complaints of 20 are surely more than 0.3 %, and two angry people."""
    found = stats.deliverability(
        mail(*batch(0, 2, marked_as_spam_at=at(1)), *batch(0, 18)),
        mailboxes=BOXES.iloc[:1],
        thresholds={"bounce_rate": (0.5, 0.6)},
    )

    assert found["alert"].item() == "ok"


def test_too_little_mail_alerts_nobody():
    few = stats.deliverability(mail(*batch(0, 4, bounced=3)), mailboxes=BOXES.iloc[:1])
    enough = stats.deliverability(mail(*batch(0, 4, bounced=3)), mailboxes=BOXES.iloc[:1], min_n=4)

    assert few["alert"].isna().item()
    assert enough["alert"].item() == "act"


def test_thresholds_can_be_set_by_rate():
    found = stats.deliverability(
        mail(*batch(0, 20, unsubscribed_at=at(1))), mailboxes=BOXES.iloc[:1], thresholds={"opt_out_rate": (0.1, 0.2)}
    )

    assert found["alert"].item() == "act"
    assert found.attrs["outreach_frames"]["parameters"]["thresholds"]["bounce_rate"] == [0.02, 0.05]


def test_z_compares_with_the_mailboxs_own_earlier_weeks():
    """10 of 50 after 5 of 100: Fisher's one-sided p as a normal deviate, 2.6, where √(b(1 − b)/n) would make it 4.9."""
    rows = [*batch(0, 60, bounced=3), *batch(7, 40, bounced=2), *batch(14, 50, bounced=10)]

    found = stats.deliverability(mail(*rows), mailboxes=BOXES.iloc[:1])

    exact = norm.isf(fisher_exact([[10, 40], [5, 95]], alternative="greater").pvalue)
    assert found["z_vs_baseline"].iloc[2] == pytest.approx(exact, abs=0.01)
    assert found["baseline"].iloc[2] == 0.05


def test_the_first_week_has_nothing_to_be_compared_with():
    found = stats.deliverability(mail(*batch(0, 60, bounced=3), *batch(7, 40)), mailboxes=BOXES.iloc[:1])

    assert found[["baseline", "limit_lo", "limit_hi", "z_vs_baseline"]].iloc[0].isna().all()


def test_a_week_without_mail_has_a_baseline_and_no_limits():
    rows = [*batch(0, 60, bounced=3), *batch(7, 40, mailbox_id=2)]

    found = by_key(stats.deliverability(mail(*rows), mailboxes=BOXES)).loc[(1, date(2025, 3, 10))]

    assert found["baseline"] == 0.05
    assert found[["limit_lo", "limit_hi", "z_vs_baseline"]].isna().all()


def test_the_limits_are_where_z_reaches_three():
    """A week is outside its limits exactly where |z| > 3, however much mail it and its past have."""
    rows = [row for week in range(30) for row in batch(7 * week, 20 + 9 * week, bounced=[1, 0, 14, 60][week % 4] // 2)]

    found = stats.deliverability(mail(*rows), mailboxes=BOXES.iloc[:1], baseline_weeks=3).iloc[1:]

    rate, z = found["bounce_rate"], found["z_vs_baseline"]
    assert ((rate > found["limit_hi"]) == (z > 3)).all()
    assert ((rate < found["limit_lo"]) == (z < -3)).all()
    assert (z > 3).any()
    assert (z < -3).any()
    assert ((found["limit_lo"] <= found["baseline"]) & (found["baseline"] <= found["limit_hi"])).all()


def test_every_mailbox_has_its_own_baseline():
    rows = [
        *batch(0, 20, bounced=2),
        *batch(0, 40, bounced=20, mailbox_id=2),
        *batch(7, 10),
        *batch(14, 1, mailbox_id=2),
    ]

    found = stats.deliverability(mail(*rows), mailboxes=BOXES)

    assert found["baseline"].tolist() == [pd.NA, 0.1, pytest.approx(2 / 30), pd.NA, 0.5, 0.5]


def test_the_baseline_goes_back_only_so_far():
    rows = [*batch(0, 50, bounced=25), *batch(7, 50, bounced=5), *batch(21, 50, bounced=5)]

    found = stats.deliverability(mail(*rows), mailboxes=BOXES.iloc[:1], baseline_weeks=2)

    assert found["baseline"].tolist() == [pd.NA, 0.5, 0.1]
    assert found["z_vs_baseline"].iloc[2] == 0


def test_a_baseline_without_any_bounce_is_an_estimate_too():
    """One bounce after none of 50 says nothing; twelve do."""
    rows = [*batch(0, 50), *batch(7, 50, bounced=1), *batch(14, 50, bounced=12)]

    found = stats.deliverability(mail(*rows), mailboxes=BOXES.iloc[:1])

    assert found["z_vs_baseline"].iloc[1] == 0
    assert found["z_vs_baseline"].iloc[2] > 3


@pytest.mark.parametrize("engine", ENGINES)
def test_no_mail_at_all_gives_no_row_in_every_engine(engine):
    found = stats.deliverability(ENGINES[engine](mail(*batch(0, 1)).iloc[:0]), mailboxes=ENGINES[engine](BOXES))

    assert as_pandas(found).empty


def test_an_opt_out_by_hand_is_credited_to_the_last_mailing_before_it():
    """No mailing shows it, so the rate of opt-outs by link is too low."""
    people = make_frame(
        [
            {"id": 1, "opted_out_at": at(9)},
            {"id": 2, "opted_out_at": at(9)},
            {"id": 3, "opted_out_at": None},
            {"id": 4, "opted_out_at": at(9), "opted_out": False},
        ]
    )
    rows = [
        {"prospect_id": 1, "delivered_at": at(0)},
        {"prospect_id": 1, "delivered_at": at(7), "mailbox_id": 2},
        {"prospect_id": 1, "delivered_at": at(10)},
        {"prospect_id": 2, "delivered_at": at(0), "unsubscribed_at": at(9)},
        {"prospect_id": 3, "delivered_at": at(0)},
        {"prospect_id": 4, "delivered_at": at(0)},
    ]

    found = by_key(stats.deliverability(mail(*rows), mailboxes=BOXES, prospects=people))

    assert found["manual_opt_outs"].to_dict() == {
        (1, date(2025, 3, 3)): 0,
        (1, date(2025, 3, 10)): 0,
        (2, date(2025, 3, 3)): 0,
        (2, date(2025, 3, 10)): 1,
    }


def test_without_prospects_opt_outs_by_hand_are_unknown():
    assert stats.deliverability(mail(*batch(0, 1)), mailboxes=BOXES)["manual_opt_outs"].isna().all()


ADDRESSES = make_frame(
    [
        {"id": 1, "prospect_id": 1, "email": "jo@Acme.example"},
        {"id": 2, "prospect_id": 1, "email": "jo@old.example"},
        {"id": 3, "prospect_id": 2, "email": "al@other.example"},
        {"id": 4, "prospect_id": None, "email": "x@acme.example"},
    ]
)


def test_recipients_domains_are_compared_with_all_others():
    rows = [*batch(0, 10, bounced=3, prospect_id=1), *batch(0, 20, bounced=2, prospect_id=2), *batch(0, 1)]

    found = stats.deliverability(mail(*rows), mailboxes=BOXES, email_addresses=ADDRESSES, by="recipient_domain")

    assert found["recipient_domain"].tolist() == ["acme.example", "other.example"]
    assert found["sent"].tolist() == [10, 20]
    assert found["baseline"].tolist() == [0.1, 0.3]
    assert found["z_vs_baseline"].iloc[0] == pytest.approx(
        norm.isf(fisher_exact([[3, 7], [2, 18]], alternative="greater").pvalue), abs=0.02
    )
    assert found.attrs["outreach_frames"]["dropped"] == {"mailing to an unknown domain": 1}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"by": "moon"}, "no deliverability by 'moon'"),
        ({"thresholds": {"open_rate": (1, 2)}}, "no rate in thresholds 'open_rate'"),
        ({"by": "recipient_domain"}, "needs email_addresses"),
    ],
)
def test_impossible_groupings_are_refused(parameters, message):
    with pytest.raises(DataError, match=message):
        stats.deliverability(mail(*batch(0, 1)), mailboxes=BOXES, **parameters)
