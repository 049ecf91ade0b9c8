"""
How often the interval of the cumulative reply rate holds the truth, over sequences that are alike.

Run as a program, this prints the figures.
"""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from outreach_frames import stats

START, DAY = 1_735_689_600_000_000, 86_400_000_000
"""2025-01-01T00:00Z and a day [µs]."""
SEQUENCES, STEPS = 2_000, 4


def column(values, kind):
    array = pa.array(values, kind)
    return pd.Series(array, dtype=pd.ArrowDtype(array.type))


def coverage(hazards, enrollments):
    """Shares of sequences whose last 95 % interval holds the true cumulative rate, lies above it and below it."""
    rng = np.random.default_rng(20260404)
    people = SEQUENCES * enrollments
    replies_at = np.argmax(
        np.column_stack([rng.random((people, STEPS)) < hazards, np.ones(people, dtype=bool)]), axis=1
    )
    person, step = (part.ravel() for part in np.indices((people, STEPS)))
    met = step <= replies_at[person]
    person, step = person[met], step[met]
    instants, none = pa.timestamp("us", "UTC"), [None] * len(person)
    sent = START + step * 3 * DAY
    mail = pd.DataFrame(
        {
            "id": column(np.arange(len(person)), pa.int64()),
            "sequence_state_id": column(person, pa.int64()),
            "sequence_step_id": column(person // enrollments * STEPS + step, pa.int64()),
            "delivered_at": column(sent, instants),
            "replied_at": column(np.where(step == replies_at[person], sent + DAY, None), instants),
            **{name: column(none, instants) for name in ("bounced_at", "unsubscribed_at")},
        }
    )
    ids = np.arange(SEQUENCES * STEPS)
    steps = pd.DataFrame(
        {
            "id": column(ids, pa.int64()),
            "sequence_id": column(ids // STEPS, pa.int64()),
            "order": column(ids % STEPS, pa.int64()),
            "step_type": column(["auto_email"] * len(ids), pa.string()),
        }
    )
    last = stats.step_funnel(mail, sequence_steps=steps).groupby("sequence_id").tail(1)
    low, high = (last[f"cumulative_reply_{end}"].to_numpy(dtype=float, na_value=np.nan) for end in ("lo", "hi"))
    truth = 1 - np.prod(1 - np.asarray(hazards))
    return float(((low <= truth) & (truth <= high)).mean()), float((low > truth).mean()), float((high < truth).mean())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hazards", "enrollments"), [((0.03, 0.02, 0.02, 0.01), 150), ((0.1, 0.05, 0.05, 0.02), 60), ((0.3,) * 4, 30)]
)
def test_the_interval_of_the_cumulative_reply_holds_the_truth(hazards, enrollments):
    covered, _, _ = coverage(hazards, enrollments)

    assert 0.93 <= covered <= 0.975


if __name__ == "__main__":
    for made in (((0.03, 0.02, 0.02, 0.01), 150), ((0.1, 0.05, 0.05, 0.02), 60), ((0.3,) * 4, 30)):
        print(*made, *(f"{share:.3f}" for share in coverage(*made)))  # noqa: T201  a program
