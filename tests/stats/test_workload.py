from datetime import date

import pandas as pd
import pytest

from outreach_frames import stats
from outreach_frames.errors import DataError
from tests.frames import AS_OF, mailings, make_frame

CALLS = ["user_id", "prospect_id", "direction", "outcome", "dialed_at", "answered_at", "completed_at"]
TASKS = ["owner_id", "completer_id", "action", "state", "due_at", "completed_at"]
USERS = make_frame([{"id": 1, "name": "Ana"}, {"id": 2, "name": "Ben"}])


def at(day, clock="10:00:00"):
    return f"2025-03-{day:02d}T{clock}Z"


def numbered(rows, columns):
    return make_frame([{"id": number, **row} for number, row in enumerate(rows, start=1)], *columns)


def activity(mail=(), **frames):
    found = stats.rep_activity(mailings(*mail), users=USERS, as_of=AS_OF, **frames)
    return found.set_index(["user_id", "week"])


FIRST, SECOND = date(2025, 3, 3), date(2025, 3, 10)
MAIL = [
    {"user_id": 1, "prospect_id": 5, "delivered_at": at(3)},
    {"user_id": 1, "prospect_id": 5, "delivered_at": at(4)},
    {"user_id": 2, "prospect_id": 6, "delivered_at": at(11)},
    {"user_id": 2, "prospect_id": 6, "delivered_at": at(11), "bounced_at": at(12)},
]


def test_everyone_has_a_row_for_every_week_in_which_anyone_was_active():
    """A quiet week is a zero in a picture of the load, not a gap."""
    found = activity(MAIL)

    assert found.index.tolist() == [(1, FIRST), (1, SECOND), (2, FIRST), (2, SECOND)]
    assert found["delivered"].tolist() == [2, 0, 0, 1]
    assert found["name"].tolist() == ["Ana", "Ana", "Ben", "Ben"]
    assert found["touches_per_contacted"].tolist() == [2.0, pd.NA, pd.NA, 1.0]


@pytest.mark.parametrize("with_tasks", [True, False])
def test_what_happened_after_as_of_is_left_out(with_tasks):
    """Mail sent, calls, tasks done and enrollments added later, and an answer that saved a bounce later."""
    mail = [
        *MAIL,
        {"user_id": 1, "prospect_id": 9, "delivered_at": at(4), "bounced_at": at(5), "replied_at": at(12)},
        {"user_id": 1, "prospect_id": 9, "delivered_at": at(4), "bounced_at": at(12)},
    ]
    calls = [
        {"user_id": 1, "prospect_id": 7, "direction": "outbound", "dialed_at": at(day), "answered_at": at(day)}
        for day in (4, 12)
    ]
    tasks = [
        {"owner_id": 1, "action": "in_person", "state": "complete", "due_at": at(4), "completed_at": at(day)}
        for day in (4, 12)
    ]
    states = [{"user_id": 1, "sequence_id": 1, "state": "active", "created_at": at(day)} for day in (4, 12)]

    found = stats.rep_activity(
        mailings(*mail),
        users=USERS,
        calls=numbered(calls, CALLS),
        tasks=numbered(tasks, TASKS) if with_tasks else None,
        sequence_states=numbered(states, ["user_id", "sequence_id", "state", "created_at"]),
        as_of=at(9),
    ).set_index(["user_id", "week"])

    assert found.index.tolist() == [(1, FIRST), (2, FIRST)]
    ana = found.loc[(1, FIRST)]
    assert ana[["delivered", "calls_dialed", "connected", "enrollments_added"]].tolist() == [3, 1, 1, 1]
    if with_tasks:
        assert ana[["tasks_done", "tasks_due", "tasks_completed", "task_backlog"]].tolist() == [1, 2, 1, 1]


def test_touches_are_mail_calls_and_other_tasks_and_days_count_once():
    calls = numbered(
        [
            {"user_id": 1, "prospect_id": 7, "direction": "outbound", "dialed_at": at(4)},
            {"user_id": 1, "prospect_id": 8, "direction": "inbound", "dialed_at": at(4)},
        ],
        CALLS,
    )
    tasks = numbered(
        [
            {"owner_id": 2, "completer_id": 1, "action": "in_person", "state": "complete", "completed_at": at(5)},
            {"owner_id": 1, "action": "action_item", "state": "complete", "completed_at": at(5)},
            {"owner_id": 1, "action": "email", "state": "complete", "completed_at": at(6)},
        ],
        TASKS,
    )

    found = activity(MAIL, calls=calls, tasks=tasks).loc[(1, FIRST)]

    assert found[["delivered", "calls_dialed", "tasks_done", "touches"]].tolist() == [2, 1, 2, 5]
    assert found["contacted"] == 2
    assert found["active_days"] == 3


def test_conversations_and_the_time_they_took():
    calls = numbered(
        [
            {"outcome": "Answered", "answered_at": at(4, "10:01:00"), "completed_at": at(4, "10:04:30")},
            {"outcome": "no_answer", "completed_at": at(4, "10:01:00")},
            {"outcome": "completed", "answered_at": at(5, "10:01:00"), "completed_at": at(5, "10:00:00")},
        ],
        CALLS,
    ).assign(user_id=1, direction="outbound", dialed_at=pd.Series([at(4), at(4), at(5)]).astype("datetime64[us, UTC]"))

    found = activity(calls=calls).loc[(1, FIRST)]

    assert (found["connected"], found["connect_rate_n"]) == (2, 3)
    assert found["connect_rate"] == pytest.approx(2 / 3)
    assert found["talk_minutes"] == 3.5  # clocks that run backwards add nothing


def test_tasks_belong_to_the_week_they_were_due():
    tasks = numbered(
        [
            {"state": "complete", "due_at": at(4), "completed_at": at(3)},
            {"state": "complete", "due_at": at(4), "completed_at": at(12)},
            {"state": "incomplete", "due_at": at(5)},
            {"state": "incomplete", "due_at": at(7)},
            {"state": "incomplete", "due_at": "2025-04-02T10:00:00Z"},
            {"state": "incomplete"},
        ],
        TASKS,
    ).assign(owner_id=1, action="action_item")

    found = activity(tasks=tasks).loc[(1, FIRST)]

    assert found[["tasks_due", "tasks_completed", "tasks_on_time", "task_backlog"]].tolist() == [4, 2, 1, 2]
    assert (found["task_completion_rate"], found["task_on_time_rate"]) == (0.5, 0.5)
    assert found["backlog_age_d"] == pytest.approx((25 + 23) / 2 + 14 / 24)


def test_enrollments_and_the_share_of_the_daily_limit():
    states = numbered(
        [{"created_at": at(3)}, {"created_at": at(3)}, {"created_at": at(3), "sequence_id": 9}, {"created_at": at(4)}],
        ["user_id", "sequence_id", "state"],
    ).assign(user_id=1, state=["active", "finished", "opted_out", "paused"])
    states["sequence_id"] = states["sequence_id"].fillna(8)
    sequences = make_frame([{"id": 8, "throttle_max_adds_per_day": 4}, {"id": 9, "throttle_max_adds_per_day": None}])

    found = activity(MAIL, sequence_states=states, sequences=sequences).loc[(1, FIRST)]

    assert (found["enrollments_added"], found["open_enrollments"]) == (4, 2)
    assert found["throttle_used"] == 0.5


def test_what_was_not_given_is_missing_and_not_zero():
    found = activity(MAIL)

    absent = ["calls_dialed", "connected", "connect_rate", "talk_minutes", "tasks_done", "tasks_due", "task_backlog"]
    assert found[[*absent, "enrollments_added", "throttle_used"]].isna().to_numpy().all()


def test_what_belongs_to_no_listed_user_is_left_out_and_counted():
    mail = [*MAIL, {"user_id": 9, "delivered_at": at(3)}, {"user_id": None, "delivered_at": at(3)}]

    found = stats.rep_activity(mailings(*mail), users=USERS)

    assert found["delivered"].sum() == 3
    assert found.attrs["outreach_frames"]["dropped"] == {"mailing of no listed user": 2}


def test_weeks_are_those_of_the_named_zone():
    mail = [{"user_id": 1, "delivered_at": "2025-03-09T23:30:00Z"}]

    found = stats.rep_activity(mailings(*mail), users=USERS, tz="Asia/Kolkata")

    assert set(found["week"]) == {SECOND}


def test_tasks_need_to_know_when_now_is():
    with pytest.raises(DataError, match="when the data were extracted"):
        stats.rep_activity(mailings(*MAIL), users=USERS, tasks=numbered([{"owner_id": 1}], TASKS))


def test_nobody_active_gives_no_rows():
    assert stats.rep_activity(mailings(), users=USERS).empty
