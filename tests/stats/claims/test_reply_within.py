"""
How often the interval of `reply_within` holds the truth where replies are so rare that often there is none.

Run as a program, this prints the figures.
"""

import numpy as np
import pandas as pd
import pytest

from outreach_frames import stats

GROUPS = 500
SCENES = ((40, 0.01, 0.0), (40, 0.01, 0.5), (100, 0.005, 0.3), (100, 0.03, 0.3))
"""Enrollments, true share that replies within 14 days, and share not followed to the end."""


def coverage(enrollments, share, cut):
    """Share of groups whose 95 % interval at 14 days holds the true share, and of groups without a reply."""
    rng = np.random.default_rng(20260405)
    size = GROUPS * enrollments
    outcome = rng.choice(3, size, p=[share, 0.05, 0.95 - share])
    happens = np.where(outcome < 2, rng.uniform(0, 14, size), np.inf)
    seen = np.where(rng.random(size) < cut, rng.uniform(0, 14, size), 30.0)
    event = np.where(happens <= seen, np.array(["reply", "opt_out", "censored"])[outcome], "censored")
    group = np.repeat(np.arange(GROUPS), enrollments)
    table = pd.DataFrame({"group": group, "duration_d": np.minimum(happens, seen), "event": event})
    found = stats.reply_within(table, days=14, by="group")
    low, high = found["reply_within_14d_lo"], found["reply_within_14d_hi"]
    return float(((low <= share) & (share <= high)).mean()), float((found["reply_within_14d"] == 0).mean())


@pytest.mark.slow
@pytest.mark.parametrize("scene", SCENES)
def test_a_share_of_nothing_does_not_claim_certainty(scene):
    covered, _ = coverage(*scene)

    assert covered >= 0.93


if __name__ == "__main__":
    for scene in SCENES:
        print(*scene, *(f"{figure:.3f}" for figure in coverage(*scene)))  # noqa: T201  a program
