from datetime import date

import pandas as pd
import pytest

from outreach_frames import stats
from outreach_frames.errors import DataError, ImmatureCohortWarning
from tests.frames import AS_OF, EXPECTED, TOLERANCE, example, mailings, make_frame


def enrollments(*created):
    return make_frame([{"id": number, "created_at": moment} for number, moment in enumerate(created, start=1)])


def mail(enrollment, delivered, **columns):
    return {"sequence_state_id": enrollment, "delivered_at": delivered, **columns}


def test_the_worked_example():
    found = stats.cohort_matrix(example("mailings"), sequence_states=example("sequence_states"), weeks=3)

    for cohort in EXPECTED["cohorts"]:
        rows = found[found["cohort_week"] == date.fromisoformat(cohort["cohort_week"])]
        assert rows["enrollments"].tolist() == [cohort["enrollments"]] * 3
        assert rows["week"].tolist() == [0, 1, 2]
        assert rows["events"].tolist() == [week["replied"] for week in cohort["replied_by_week"]]
        assert rows["mature"].tolist() == [week["mature"] for week in cohort["replied_by_week"]]
        assert rows["rate"].isna().tolist() == [week["rate"] is None for week in cohort["replied_by_week"]]
        known = [week["rate"] for week in cohort["replied_by_week"] if week["rate"] is not None]
        assert rows["rate"].dropna().tolist() == pytest.approx(known, abs=TOLERANCE)


def test_an_immature_cell_has_its_count_and_no_rate():
    """The newest week would always look worst."""
    found = stats.cohort_matrix(example("mailings"), sequence_states=example("sequence_states"), weeks=3).iloc[-1]

    assert not found["mature"]
    assert (found["events"], found["rate_n"]) == (0, 2)
    assert found[["rate", "rate_lo", "rate_hi"]].isna().all()


def test_a_reply_at_the_very_end_of_the_week_belongs_to_the_next():
    """Less than seven days, not seven."""
    found = stats.cohort_matrix(
        mailings(mail(1, "2025-03-03T13:00:00Z", replied_at="2025-03-10T12:00:00Z")),
        sequence_states=enrollments("2025-03-03T12:00:00Z"),
        weeks=2,
        as_of=AS_OF,
    )

    assert found["events"].tolist() == [0, 1]


def test_everyone_enrolled_is_in_the_denominator_mailed_or_not():
    found = stats.cohort_matrix(
        mailings(mail(1, "2025-03-03T13:00:00Z", replied_at="2025-03-04T12:00:00Z")),
        sequence_states=enrollments("2025-03-03T12:00:00Z", "2025-03-04T12:00:00Z"),
        weeks=1,
        as_of=AS_OF,
    )

    assert (found["events"].item(), found["rate_n"].item(), found["rate"].item()) == (1, 2, 0.5)


@pytest.mark.parametrize(("event", "count"), [("reply", 1), ("opt_out", 1), ("bounce", 1), ("contact", 2)])
def test_cohorts_of_other_events(event, count):
    moment = {"enrolled": "2025-03-03T12:00:00Z", "sent": "2025-03-03T13:00:00Z", "then": "2025-03-04T12:00:00Z"}
    found = stats.cohort_matrix(
        mailings(
            mail(1, moment["sent"], replied_at=moment["then"]),
            mail(2, moment["sent"], unsubscribed_at=moment["then"]),
            mail(3, moment["sent"], bounced_at=moment["then"]),
        ),
        sequence_states=enrollments(*[moment["enrolled"]] * 4),
        event=event,
        weeks=1,
        as_of=AS_OF,
    )

    assert found["events"].item() == count


@pytest.mark.parametrize(("tz", "week"), [("UTC", date(2025, 3, 3)), ("Asia/Kolkata", date(2025, 3, 10))])
def test_the_week_is_that_of_the_named_zone(tz, week):
    found = stats.cohort_matrix(
        mailings(), sequence_states=enrollments("2025-03-09T23:30:00Z"), tz=tz, weeks=1, as_of=AS_OF
    )

    assert found["cohort_week"].tolist() == [week]


def test_an_earlier_as_of_sees_less():
    with pytest.warns(ImmatureCohortWarning):
        found = stats.cohort_matrix(
            example("mailings"), sequence_states=example("sequence_states"), weeks=1, as_of="2025-03-05T00:00:00Z"
        )

    assert found["events"].tolist() == [0]
    assert found.attrs["outreach_frames"]["dropped"] == {"enrollment created after as_of": 2}


def test_the_wide_table_travels_with_the_result():
    found = stats.cohort_matrix(example("mailings"), sequence_states=example("sequence_states"), weeks=3)

    wide = stats.attached(found, "wide")

    assert wide["cohort_week"].tolist() == ["2025-03-03", "2025-03-10"]
    assert wide[["0", "1"]].to_numpy().tolist() == [[0.25, 0.25], [0.0, 0.0]]
    assert wide["2"].isna().tolist() == [False, True]


def test_a_warning_says_when_no_cohort_is_old_enough():
    with pytest.warns(ImmatureCohortWarning, match=r"All 1 cohort\(s\) are younger than a week"):
        stats.cohort_matrix(mailings(), sequence_states=enrollments("2025-03-30T12:00:00Z"), as_of=AS_OF)


def test_no_enrollments_give_no_cohorts():
    found = stats.cohort_matrix(mailings(), sequence_states=enrollments("2025-03-30T12:00:00Z").iloc[:0], as_of=AS_OF)

    assert found.empty
    assert str(found["cohort_week"].dtype) == "date32[day][pyarrow]"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"event": "open"}, "no event of cohorts 'open'"),
        ({"weeks": 0}, "weeks must be a whole number at least 1, not 0"),
        ({"event": "meeting_proxy"}, "needs calls"),
    ],
)
def test_impossible_cohorts_are_refused(parameters, message):
    with pytest.raises(DataError, match=message):
        stats.cohort_matrix(example("mailings"), sequence_states=example("sequence_states"), **parameters)


def health(since):
    return make_frame([{"mailbox_id": 41}]).assign(blind_since=pd.Series([pd.Timestamp(since)]))


@pytest.mark.parametrize(
    ("since", "blind"),
    [
        ("2025-03-01T00:00:00Z", [True, True]),
        ("2025-03-12T00:00:00Z", [False, True]),
        ("2025-03-17T12:00:00Z", [False, False]),
        (None, [False, False]),
    ],
)
def test_cells_in_which_answers_may_have_gone_unseen_are_flagged(since, blind):
    """Trap 18: from when a mailbox no longer synchronizes its replies are missing, and the cohort looks worse."""
    sent = mailings(mail(1, "2025-03-03T13:00:00Z")).assign(mailbox_id=pd.Series([41], dtype="int64[pyarrow]"))

    found = stats.cohort_matrix(
        sent, sequence_states=enrollments("2025-03-03T12:00:00Z"), mailbox_health=health(since), weeks=2, as_of=AS_OF
    )

    assert found["blind"].tolist() == blind


def test_cohorts_of_other_mailboxes_are_not_flagged():
    sent = mailings(mail(1, "2025-03-03T13:00:00Z")).assign(mailbox_id=pd.Series([42], dtype="int64[pyarrow]"))
    blind = health("2025-03-01T00:00:00Z")

    found = stats.cohort_matrix(
        sent, sequence_states=enrollments("2025-03-03T12:00:00Z"), mailbox_health=blind, weeks=1, as_of=AS_OF
    )

    assert found["blind"].tolist() == [False]


def test_without_the_mailboxes_health_blindness_is_unknown():
    found = stats.cohort_matrix(example("mailings"), sequence_states=example("sequence_states"), weeks=1)

    assert found["blind"].isna().all()
    assert str(found["blind"].dtype) == "bool[pyarrow]"
