"""Whether the bands of survival and incidence curves cover the truth as often as they promise, by seeded simulation."""

import numpy as np
import pandas as pd
import pytest

from outreach_frames.stats._estimators import incidence_curves, survival_curve

pytestmark = pytest.mark.slow

RUNS, ENROLLMENTS, DAY = 600, 250, 7.0
HAZARDS = {"reply": 0.02, "opt_out": 0.006, "bounce": 0.004}
"""Per day and constant, so that the truth is known in closed form."""

ALL = sum(HAZARDS.values())


def enrollments(rng):
    """Draw outcomes; a third of the enrollments are younger than the horizon, as in a live organization."""
    waits = rng.exponential(1 / ALL, ENROLLMENTS)
    causes = rng.choice(list(HAZARDS), ENROLLMENTS, p=[hazard / ALL for hazard in HAZARDS.values()])
    followed = rng.uniform(0, 3 * DAY, ENROLLMENTS)
    return pd.DataFrame(
        {"duration_d": np.minimum(waits, followed), "event": np.where(waits <= followed, causes, "censored")}
    )


def at(curve, day):
    return curve[curve["t_d"] <= day].iloc[-1]


@pytest.fixture(scope="module")
def simulated():
    rng = np.random.default_rng(20_250_331)
    return [enrollments(rng) for _ in range(RUNS)]


@pytest.mark.parametrize("cause", ["reply", "opt_out"])
def test_incidence_bands_cover_the_truth(simulated, cause):
    truth = HAZARDS[cause] / ALL * (1 - np.exp(-ALL * DAY))

    rows = [at(incidence_curves(group, 0.95), DAY) for group in simulated]

    covered = [row[f"cif_{cause}_lo"] <= truth <= row[f"cif_{cause}_hi"] for row in rows]
    assert 0.93 <= np.mean(covered) <= 0.97
    assert np.mean([row[f"cif_{cause}"] for row in rows]) == pytest.approx(truth, rel=0.03)


def test_survival_bands_cover_the_truth(simulated):
    """Kaplan–Meier answers another question: what the replies would be if nobody opted out or bounced."""
    truth = np.exp(-HAZARDS["reply"] * DAY)

    rows = [at(survival_curve(group, "reply", 0.95), DAY) for group in simulated]

    assert 0.93 <= np.mean([row["lo"] <= truth <= row["hi"] for row in rows]) <= 0.97


def test_one_minus_kaplan_meier_overstates_the_share_that_replies(simulated):
    """Which is why the incidence is what pictures show."""
    truth = HAZARDS["reply"] / ALL * (1 - np.exp(-ALL * DAY))

    shares = [1 - at(survival_curve(group, "reply", 0.95), DAY)["survival"] for group in simulated]

    assert np.mean(shares) > truth * 1.02
