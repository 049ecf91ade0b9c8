import numpy as np
import pytest

from outreach_frames.errors import DataError
from outreach_frames.stats.power import BASELINES, DIFFERENCES, power_table, sample_size, sequential_size
from tests.frames import plain


def test_r_needs_as_many():
    """Examples of R's help page for power.prop.test: p₁ = .50, p₂ = .75, power .90 gives n = 76.7."""
    assert sample_size(0.50, 0.25, power=0.9) == 77


def test_the_textbook_formula_is_used():
    """Fleiss, Levin and Paik (2003), section 4.2, typed in again with z to six digits."""
    z_alpha, z_beta, first, second = 1.959964, 0.841621, 0.05, 0.07
    mean = (first + second) / 2
    root = z_alpha * np.sqrt(2 * mean * (1 - mean)) + z_beta * np.sqrt(first * (1 - first) + second * (1 - second))

    assert sample_size(0.05, 0.02) == np.ceil((root / (second - first)) ** 2)


def test_the_table_has_every_combination_in_order():
    plan = power_table([0.05, 0.01], differences=[0.02, 0.01], per_day=20)

    assert plan["baseline"].tolist() == [0.01, 0.01, 0.05, 0.05]
    assert plan["difference"].tolist() == [0.01, 0.02, 0.01, 0.02]
    assert plan["days"].tolist() == [int(np.ceil(n * 2 / 20)) for n in plan["n_per_arm"]]
    assert plan["n_per_arm"].is_monotonic_decreasing is False
    assert plan["n_per_arm"].iloc[0] > plan["n_per_arm"].iloc[1]


def test_more_arms_share_the_days_volume():
    two, three = (
        power_table([0.05], differences=[0.02], arms=arms, per_day=10, sequential=False)["days"].item()
        for arms in (2, 3)
    )

    assert three == pytest.approx(two * 1.5, abs=1)


def test_more_arms_share_the_level_too_in_a_sequential_test():
    three = power_table([0.05], differences=[0.02], arms=3)["n_per_arm"].item()

    assert three == sequential_size(0.05, 0.02, alpha=0.05 / 3)
    assert three > 1.1 * power_table([0.05], differences=[0.02])["n_per_arm"].item()


def test_the_table_is_for_daily_looks_unless_said_otherwise():
    """Looking every day costs: one look at the end needs little more than half."""
    daily, once = (power_table(sequential=sequential)["n_per_arm"] for sequential in (True, False))

    assert ((daily > 1.5 * once) & (daily < 4 * once)).all()
    assert power_table().attrs["outreach_frames"]["parameters"]["sequential"] is True
    assert power_table([0.05], differences=[0.02], sequential=False)["n_per_arm"].item() == sample_size(0.05, 0.02)


def test_days_are_missing_without_a_volume():
    plan = power_table()

    assert len(plan) == len(BASELINES) * len(DIFFERENCES)
    assert plan["days"].isna().all()
    assert str(plan["days"].dtype) == "int64[pyarrow]"


def test_a_rate_cannot_exceed_one():
    assert plain(power_table([0.9], differences=[0.05, 0.2], sequential=False)["n_per_arm"]) == [435, None]
    assert plain(power_table([0.9], differences=[0.05, 0.2])["n_per_arm"])[1] is None


@pytest.mark.parametrize(
    "arguments",
    [
        {"baselines": [5]},
        {"differences": [0]},
        {"power": 1},
        {"ci": 1},
        {"arms": 1},
        {"per_day": 0},
    ],
)
def test_what_is_no_plan_is_refused(arguments):
    with pytest.raises(DataError):
        power_table(**arguments)
