"""Every portable statistic on made-up data, to be computed in any engine."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from outreach_frames import stats
from tests.frames import AS_OF, example, made_up_mailings, make_frame, steps_of

Engine = Callable[[pd.DataFrame], Any]

SIZE = 400
TEXT = pd.ArrowDtype(pa.string())
_RNG = np.random.default_rng(5)


def _day(number: int, hour: int = 10) -> str:
    return f"2025-03-{number % 27 + 1:02d}T{hour:02d}:00:00Z"


def _mail() -> pd.DataFrame:
    mail = made_up_mailings(SIZE, seed=11)
    failed = _RNG.random(SIZE) < 0.3
    mail["state"] = pd.Series(np.where(failed, "failed", "delivered"), dtype=TEXT)
    mail["mailbox_id"] = mail["user_id"]
    mail["mailbox_address"] = pd.Series([f"Rep@domain{number % 2}.example" for number in range(SIZE)], dtype=TEXT)
    reasons = np.where(failed, np.where(_RNG.random(SIZE) < 0.5, "Sign-in", "Limit"), None)
    mail["error_reason"] = pd.Series(reasons, dtype=TEXT)
    mail["created_at"], mail["scheduled_at"] = mail["delivered_at"], mail["opened_at"]
    return mail


MAIL = _mail()
STATES = make_frame(
    {
        "id": number,
        "sequence_id": number % 4 + 1,
        "user_id": number % 4 + 1,
        "prospect_id": number % 11 or None,
        "sequence_step_id": number % 4 * 10 + 1,
        "state_changed_at": _day(number) if number % 3 else None,
        "state": ["active", "finished", "opted_out", "paused", None][number % 5],
        "created_at": ["2025-02-19T00:00:00Z", "2025-03-09T23:30:00Z", None][number % 3],
        "replied_at": _day(9) if number % 7 == 0 else None,
        "reply_count": number % 2,
        "pause_reason": "OOTO" if number % 2 else None,
    }
    for number in sorted(MAIL["sequence_state_id"].dropna().unique())
)
SEQUENCES = make_frame(
    {
        "id": number,
        "name": f"Sequence {number}",
        "throttle_max_adds_per_day": number if number % 2 else None,
        "duration_in_days": 2 * number if number < 4 else None,
        **{f"{kind}_reply_count": number % 4 for kind in ("positive", "neutral")},
        "negative_reply_count": number if number % 2 else None,
        "deliver_count": 3 * number if number % 3 else 0,
    }
    for number in range(1, 6)
)
STEPS = steps_of(MAIL).assign(interval=pd.Series([60, 2880, 0] * 10, dtype="int64[pyarrow]"))
NAMED_STEPS = make_frame(
    {**step, "display_name": f"Step {step['order']}" if step["order"] % 2 else None, "sequence__name": "Cold"}
    for step in steps_of(MAIL).to_dict("records")
)
USERS = make_frame({"id": number, "name": f"User {number}"} for number in (1, 2, 3, 9))
MAILBOXES = make_frame(
    {"id": number, "email": f"box{number}@example.com", "max_mailings_per_day": number % 3 or None}
    for number in (1, 2, 3, 9)
)
ACCOUNTS = make_frame({"id": number, "owner_id": number + 50, "named": number % 2 == 0} for number in (61, 62, 63))
NAMED_ACCOUNTS = ACCOUNTS.assign(name=pd.Series(["Acme", None, "Bell"], dtype=TEXT))
PROSPECTS = make_frame({**person, "opted_out_at": _day(20)} for person in example("prospects").to_dict("records"))
ADDRESSES = make_frame(
    {"id": number, "prospect_id": number % 8 or None, "email": f"who@Domain{number % 3}.example"}
    for number in range(1, 12)
)
CALLS = make_frame(
    {
        "id": number,
        "user_id": number % 4 + 1,
        "prospect_id": number % 9 or None,
        "sequence_id": number % 4 + 1,
        "sequence_state_id": number if number % 4 else None,
        "call_disposition_id": number % 3 + 1 if number % 5 else None,
        "tags": ["tier 1", "Meeting set"] if number % 8 == 0 else ([] if number % 2 else None),
        "direction": "inbound" if number % 6 == 0 else "outbound",
        "outcome": ["Answered", "no_answer", None][number % 3],
        "dialed_at": _day(number) if number % 5 else None,
        "answered_at": _day(number) if number % 3 == 0 else None,
        "completed_at": _day(number, 11),
    }
    for number in range(1, 60)
)
TASKS = make_frame(
    {
        "id": number,
        "owner_id": number % 4 + 1,
        "completer_id": None if number % 5 else 3,
        "prospect_id": number % 7 + 1,
        "sequence_id": number % 5 + 1,
        "sequence_state_id": number,
        "task_type": "manual" if number % 2 else None,
        "action": ["action_item", "call", "email", "in_person"][number % 4],
        "state": "complete" if number % 3 else "incomplete",
        "due_at": _day(number) if number % 7 else None,
        "completed_at": _day(number + number % 2, 9) if number % 3 else None,
    }
    for number in range(1, 80)
)
MIXED_STEPS = make_frame(
    {**step, "step_type": ["auto_email", "call", "task"][step["id"] % 3]} for step in steps_of(MAIL).to_dict("records")
)
STEP_CALLS, STEP_TASKS = (
    frame.assign(sequence_step_id=STEPS["id"].take([number % 13 for number in range(len(frame))]).array)
    for frame in (CALLS, TASKS)
)

DISPOSITIONS = make_frame(
    {"id": number, "name": f"{kind} call"} for number, kind in enumerate(("No", "MEETING", "Short"), 1)
)
EVENTS = make_frame(
    {
        "id": number,
        "name": "message_clicked" if number % 5 == 0 else "message_opened",
        "event_at": _day(number % 9),
        "mailing_id": number if number % 7 else None,
    }
    for number in range(1, 300)
)

HEALTH = make_frame({"mailbox_id": number, "blind_since": None} for number in (1, 2))
HEALTH["blind_since"] = pd.Series([pd.Timestamp("2025-03-05", tz="UTC"), None]).astype("timestamp[us, UTC][pyarrow]")

STATISTICS: dict[str, Callable[[Engine], Any]] = {
    "engagement": lambda to: stats.engagement(to(MAIL)),
    "engagement by sequence": lambda to: stats.engagement(to(MAIL), by="sequence_id", include_unsequenced=True),
    "engagement by week": lambda to: stats.engagement(
        to(MAIL), by=["week", "user_id"], tz="America/Los_Angeles", cluster=None
    ),
    "engagement by month": lambda to: stats.engagement(
        to(MAIL), by=["origin", "month"], include_unsequenced=True, cluster=None
    ),
    "engagement by quarter": lambda to: stats.engagement(
        to(MAIL), by="quarter", tz="America/Los_Angeles", cluster=None
    ),
    "sequence_engagement": lambda to: stats.sequence_engagement(
        to(MAIL),
        sequences=to(SEQUENCES),
        sequence_states=to(STATES),
        calls=to(CALLS),
        tasks=to(TASKS),
        alias={4: 1},
        since="2025-02-25",
        email_addresses=to(ADDRESSES),
    ),
    "sequence_engagement of mail alone": lambda to: stats.sequence_engagement(
        to(MAIL), sequences=to(SEQUENCES), cluster=None
    ),
    "engagement without colleagues": lambda to: stats.engagement(to(MAIL), email_addresses=to(ADDRESSES), cluster=None),
    "automatic_replies": lambda to: stats.automatic_replies(to(MAIL), sequence_states=to(STATES)),
    "first_opens": lambda to: stats.first_opens(to(MAIL), events=to(EVENTS)),
    "failures": lambda to: stats.failures(to(MAIL)),
    "failures by user and reason": lambda to: stats.failures(to(MAIL), by=["user_id", "error_reason"]),
    "send_capacity": lambda to: stats.send_capacity(to(MAIL), mailboxes=to(MAILBOXES), tz="Asia/Tokyo"),
    "task_completion": lambda to: stats.task_completion(to(TASKS), as_of=AS_OF),
    "call_outcomes": lambda to: stats.call_outcomes(to(CALLS), by=["weekday", "hour"], tz="America/New_York"),
    "call_outcomes of all": lambda to: stats.call_outcomes(to(CALLS), by=None),
    "enrollment_outcomes": lambda to: stats.enrollment_outcomes(
        to(MAIL),
        sequence_states=to(STATES),
        sequences=to(SEQUENCES),
        sequence_steps=to(STEPS),
        calls=to(CALLS),
        tasks=to(TASKS),
        as_of=AS_OF,
    ),
    "enrollment_outcomes of all": lambda to: stats.enrollment_outcomes(
        to(MAIL), sequence_states=to(STATES), by=None, as_of=AS_OF
    ),
    "account_reach": lambda to: stats.account_reach(
        to(MAIL), accounts=to(ACCOUNTS), prospects=to(PROSPECTS), calls=to(CALLS), by="owner_id"
    ),
    "prospect_opt_outs": lambda to: stats.prospect_opt_outs(to(MAIL), prospects=to(PROSPECTS), calls=to(CALLS)),
    "prospect_opt_outs by account": lambda to: stats.prospect_opt_outs(
        to(MAIL), prospects=to(PROSPECTS), by="account_id"
    ),
    "meetings": lambda to: stats.meetings(
        to(MAIL),
        sequence_states=to(STATES),
        calls=to(CALLS),
        call_dispositions=to(DISPOSITIONS),
        within_d=20,
        as_of=AS_OF,
    ),
    "reply_sentiment": lambda to: stats.reply_sentiment(to(SEQUENCES)),
    "cohort_matrix of meetings": lambda to: stats.cohort_matrix(
        to(MAIL),
        sequence_states=to(STATES),
        calls=to(CALLS),
        event="meeting_proxy",
        mailbox_health=HEALTH,
        weeks=3,
        as_of=AS_OF,
    ),
    "prospect_engagement": lambda to: stats.prospect_engagement(
        to(MAIL), prospects=to(PROSPECTS), calls=to(CALLS), tasks=to(TASKS)
    ),
    "step_funnel": lambda to: stats.step_funnel(to(MAIL), sequence_steps=to(steps_of(MAIL))),
    "step_funnel with names": lambda to: stats.step_funnel(to(MAIL), sequence_steps=to(NAMED_STEPS)),
    "account_coverage with names": lambda to: stats.account_coverage(
        to(MAIL), accounts=to(NAMED_ACCOUNTS), prospects=to(PROSPECTS)
    ),
    "step_funnel with calls and tasks": lambda to: stats.step_funnel(
        to(MAIL), sequence_steps=to(MIXED_STEPS), calls=to(STEP_CALLS), tasks=to(STEP_TASKS)
    ),
    "step_funnel by last touch": lambda to: stats.step_funnel(
        to(MAIL), sequence_steps=to(steps_of(MAIL)), attribution="last_touch"
    ),
    "time_to_event": lambda to: stats.time_to_event(
        to(MAIL), sequence_states=to(STATES), by=["sequence_id", "created_at"], as_of=AS_OF
    ),
    "cohort_matrix": lambda to: stats.cohort_matrix(
        to(MAIL), sequence_states=to(STATES), tz="Asia/Tokyo", weeks=4, as_of=AS_OF
    ),
    "send_time_heatmap": lambda to: stats.send_time_heatmap(to(MAIL), prospects=to(PROSPECTS)),
    "deliverability": lambda to: stats.deliverability(to(MAIL), mailboxes=to(MAILBOXES), prospects=to(PROSPECTS)),
    "deliverability by domain": lambda to: stats.deliverability(
        to(MAIL), mailboxes=to(MAILBOXES), email_addresses=to(ADDRESSES), by="recipient_domain", min_n=5
    ),
    "rep_activity": lambda to: stats.rep_activity(
        to(MAIL),
        users=to(USERS),
        calls=to(CALLS),
        tasks=to(TASKS),
        sequence_states=to(STATES),
        sequences=to(SEQUENCES),
        tz="America/New_York",
        as_of=AS_OF,
    ),
    "state_flow": lambda to: stats.state_flow(to(MAIL), sequence_states=to(STATES)),
    "account_coverage": lambda to: stats.account_coverage(
        to(MAIL), accounts=to(ACCOUNTS), prospects=to(PROSPECTS), calls=to(CALLS), named_only=True
    ),
}
