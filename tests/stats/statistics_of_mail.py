"""Every portable statistic on made-up data, to be computed in any engine."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from stats_frames import AS_OF, example, made_up_mailings, steps_of, typed

from outreach_frames import stats

Engine = Callable[[pd.DataFrame], Any]

SIZE = 400
_RNG = np.random.default_rng(5)


def _day(number: int, hour: int = 10) -> str:
    return f"2025-03-{number % 27 + 1:02d}T{hour:02d}:00:00Z"


def _mail() -> pd.DataFrame:
    mail = made_up_mailings(SIZE, seed=11)
    failed = _RNG.random(SIZE) < 0.3
    mail["state"] = pd.Series(np.where(failed, "failed", "delivered"), dtype="string[pyarrow]")
    mail["mailbox_id"] = mail["user_id"]
    mail["created_at"], mail["scheduled_at"] = mail["delivered_at"], mail["opened_at"]
    return mail


MAIL = _mail()
STATES = typed(
    {
        "id": number,
        "sequence_id": number % 4 + 1,
        "user_id": number % 4 + 1,
        "state": ["active", "finished", "opted_out", "paused", None][number % 5],
        "created_at": ["2025-02-19T00:00:00Z", "2025-03-09T23:30:00Z", None][number % 3],
        "replied_at": _day(9) if number % 7 == 0 else None,
        "reply_count": number % 2,
        "pause_reason": "OOTO" if number % 2 else None,
    }
    for number in sorted(MAIL["sequence_state_id"].dropna().unique())
)
SEQUENCES = typed(
    {"id": number, "name": f"Sequence {number}", "throttle_max_adds_per_day": number if number % 2 else None}
    for number in range(1, 6)
)
USERS = typed({"id": number, "name": f"User {number}"} for number in (1, 2, 3, 9))
MAILBOXES = typed({"id": number, "email": f"box{number}@example.com"} for number in (1, 2, 3, 9))
ACCOUNTS = typed({"id": number, "owner_id": number + 50, "named": number % 2 == 0} for number in (61, 62, 63))
PROSPECTS = typed({**person, "opted_out_at": _day(20)} for person in example("prospects").to_dict("records"))
ADDRESSES = typed(
    {"id": number, "prospect_id": number % 8 or None, "email": f"who@Domain{number % 3}.example"}
    for number in range(1, 12)
)
CALLS = typed(
    {
        "id": number,
        "user_id": number % 4 + 1,
        "prospect_id": number % 9 or None,
        "sequence_id": number % 4 + 1,
        "direction": "inbound" if number % 6 == 0 else "outbound",
        "outcome": ["Answered", "no_answer", None][number % 3],
        "dialed_at": _day(number) if number % 5 else None,
        "answered_at": _day(number) if number % 3 == 0 else None,
        "completed_at": _day(number, 11),
    }
    for number in range(1, 60)
)
TASKS = typed(
    {
        "id": number,
        "owner_id": number % 4 + 1,
        "completer_id": None if number % 5 else 3,
        "prospect_id": number % 7 + 1,
        "action": ["action_item", "call", "email", "in_person"][number % 4],
        "state": "complete" if number % 3 else "incomplete",
        "due_at": _day(number) if number % 7 else None,
        "completed_at": _day(number + number % 2, 9) if number % 3 else None,
    }
    for number in range(1, 80)
)

STATISTICS: dict[str, Callable[[Engine], Any]] = {
    "engagement": lambda to: stats.engagement(to(MAIL)),
    "engagement by sequence": lambda to: stats.engagement(to(MAIL), by="sequence_id", include_unsequenced=True),
    "engagement by week": lambda to: stats.engagement(to(MAIL), by=["week", "user_id"], tz="America/Los_Angeles"),
    "engagement by month": lambda to: stats.engagement(to(MAIL), by=["origin", "month"], include_unsequenced=True),
    "sequence_engagement": lambda to: stats.sequence_engagement(
        to(MAIL), to(SEQUENCES), sequence_states=to(STATES), calls=to(CALLS), alias={4: 1}, since="2025-02-25"
    ),
    "prospect_engagement": lambda to: stats.prospect_engagement(
        to(PROSPECTS), to(MAIL), calls=to(CALLS), tasks=to(TASKS)
    ),
    "step_funnel": lambda to: stats.step_funnel(to(MAIL), to(steps_of(MAIL))),
    "step_funnel by last touch": lambda to: stats.step_funnel(to(MAIL), to(steps_of(MAIL)), attribution="last_touch"),
    "time_to_event": lambda to: stats.time_to_event(
        to(MAIL), to(STATES), by=["sequence_id", "created_at"], as_of=AS_OF
    ),
    "cohort_matrix": lambda to: stats.cohort_matrix(to(STATES), to(MAIL), tz="Asia/Tokyo", weeks=4, as_of=AS_OF),
    "send_time_heatmap": lambda to: stats.send_time_heatmap(to(MAIL), to(PROSPECTS)),
    "deliverability": lambda to: stats.deliverability(to(MAIL), to(MAILBOXES), prospects=to(PROSPECTS)),
    "deliverability by domain": lambda to: stats.deliverability(
        to(MAIL), to(MAILBOXES), email_addresses=to(ADDRESSES), by="recipient_domain", min_n=5
    ),
    "rep_activity": lambda to: stats.rep_activity(
        to(MAIL),
        to(USERS),
        calls=to(CALLS),
        tasks=to(TASKS),
        sequence_states=to(STATES),
        sequences=to(SEQUENCES),
        tz="America/New_York",
        as_of=AS_OF,
    ),
    "state_flow": lambda to: stats.state_flow(to(STATES), to(MAIL)),
    "account_coverage": lambda to: stats.account_coverage(
        to(ACCOUNTS), to(PROSPECTS), to(MAIL), calls=to(CALLS), named_only=True
    ),
}
