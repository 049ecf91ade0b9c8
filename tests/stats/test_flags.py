import pandas as pd
import pytest

from outreach_frames import stats
from outreach_frames.errors import ContradictoryFlagsWarning, DataError
from outreach_frames.stats.flags import FLAGS
from tests.frames import EXPECTED, MONDAY, TUESDAY, example, mailings


def flags_of(**columns):
    return stats.mailing_flags(mailings(columns)).iloc[0]


def test_a_mailing_without_any_time_was_not_sent():
    assert not flags_of()[list(FLAGS)].any()


@pytest.mark.parametrize("column", ["delivered_at", "bounced_at", "replied_at"])
def test_any_of_three_times_proves_the_sending(column):
    assert flags_of(**{column: MONDAY})["is_sent"]


def test_a_bounce_undoes_the_delivery():
    """Outreach sets delivered_at before the bounce comes back; both on one row is the normal case."""
    flags = flags_of(delivered_at=MONDAY, bounced_at=TUESDAY)

    assert flags["is_bounced"]
    assert not flags["is_delivered"]


@pytest.mark.parametrize(("policy", "bounced"), [("reply_wins", False), ("bounce_wins", True)])
def test_an_answered_bounce_is_decided_by_policy(policy, bounced):
    """A human answer proves arrival, unless the caller wants every bounce counted."""
    mail = mailings({"bounced_at": MONDAY, "replied_at": TUESDAY})

    with pytest.warns(ContradictoryFlagsWarning):
        flags = stats.mailing_flags(mail, bounce_policy=policy).iloc[0]

    assert flags["is_bounced"] == bounced
    assert flags["is_delivered"] == flags["is_replied"] == (not bounced)


@pytest.mark.parametrize(("tracked", "counts"), [(True, True), (None, True), (False, False)])
def test_only_tracking_that_was_switched_off_takes_a_mailing_out(tracked, counts):
    flags = flags_of(delivered_at=MONDAY, track_opens=tracked, track_links=tracked, open_count=1, click_count=1)

    assert flags["is_open_tracked"] == flags["is_opened"] == counts
    assert flags["is_click_tracked"] == flags["is_clicked"] == counts


@pytest.mark.parametrize(
    ("columns", "opened"), [({"open_count": 2}, True), ({"opened_at": TUESDAY}, True), ({}, False)]
)
def test_a_count_or_a_time_makes_an_opening(columns, opened):
    assert flags_of(delivered_at=MONDAY, **columns)["is_opened"] == opened


@pytest.mark.parametrize(
    ("column", "flag"),
    [("replied_at", "is_replied"), ("unsubscribed_at", "is_opted_out"), ("marked_as_spam_at", "is_spam")],
)
def test_outcomes_are_flagged_on_delivered_mail(column, flag):
    assert flags_of(delivered_at=MONDAY, **{column: TUESDAY})[flag]


@pytest.mark.parametrize(("column", "flag"), [("unsubscribed_at", "is_opted_out"), ("marked_as_spam_at", "is_spam")])
def test_outcomes_of_a_bounce_are_not_flagged(column, flag):
    """Else a numerator could leave its denominator, and a rate exceed 1."""
    assert not flags_of(bounced_at=MONDAY, **{column: TUESDAY})[flag]


def test_totals_are_events_whatever_the_flags_and_zero_where_nothing_was_counted():
    flags = stats.mailing_flags(mailings({"bounced_at": MONDAY, "open_count": 4}, {"delivered_at": MONDAY}))

    assert flags["opens_total"].tolist() == [4, 0]
    assert flags["clicks_total"].tolist() == [0, 0]


def test_the_worked_example_adds_up():
    flags = stats.mailing_flags(example("mailings"))

    sums = flags[[*FLAGS, "opens_total", "clicks_total"]].astype("int64[pyarrow]").sum()
    overall = EXPECTED["overall"]
    assert sums[["is_sent", "is_bounced"]].tolist() == [overall["sent"], overall["bounced"]]
    assert sums["is_delivered"] == overall["delivered"]
    assert sums[["is_open_tracked", "is_click_tracked"]].tolist() == [overall["open_base"], overall["click_base"]]
    assert sums[["is_opened", "is_clicked"]].tolist() == [overall["opened"], overall["clicked"]]
    assert sums[["is_replied", "is_opted_out", "is_spam"]].tolist() == [overall["replied"], overall["opted_out"], 0]
    assert sums[["opens_total", "clicks_total"]].tolist() == [overall["opens_total"], overall["clicks_total"]]
    assert flags.loc[~flags["is_sent"], "id"].tolist() == EXPECTED["anomalies"]["not_sent"]


def test_rows_and_index_are_those_of_the_mailings():
    """Flags are put beside the mailings they belong to."""
    mail = mailings({"id": 9}, {"id": 3}).set_axis(["x", "y"])

    flags = stats.mailing_flags(mail)

    assert flags.index.tolist() == ["x", "y"]
    assert flags["id"].tolist() == [9, 3]


def test_flags_are_booleans_and_totals_integers():
    flags = stats.mailing_flags(mailings({}))

    assert {str(flags[name].dtype) for name in FLAGS} == {"bool[pyarrow]"}
    assert str(flags["opens_total"].dtype) == "int64[pyarrow]"


def test_the_callers_frame_is_left_alone():
    mail = example("mailings")
    before = mail.copy()

    stats.mailing_flags(mail)

    pd.testing.assert_frame_equal(mail, before)


def test_a_warning_counts_the_mailings_that_bounced_and_were_answered():
    """Which flag they get is a decision of the caller's."""
    mail = mailings({"bounced_at": MONDAY, "replied_at": TUESDAY}, {"bounced_at": MONDAY}, {"replied_at": MONDAY})

    with pytest.warns(ContradictoryFlagsWarning, match=r"bounced and were answered \(reply_wins\): 1 \(id 1\)"):
        stats.mailing_flags(mail)


def test_an_unknown_policy_is_refused():
    with pytest.raises(DataError, match="no bounce_policy 'maybe'"):
        stats.mailing_flags(example("mailings"), bounce_policy="maybe")
