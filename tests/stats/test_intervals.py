import narwhals as nw
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from scipy.stats import binomtest, norm, t

from outreach_frames.errors import DataError
from outreach_frames.stats.intervals import _t_quantile, loglog_band, newcombe_difference, wilson, z_value
from tests.frames import ORACLE, TOLERANCE


@pytest.mark.parametrize(
    ("successes", "trials", "lo", "hi"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_newcombes_published_bounds(successes, trials, lo, hi):
    """Newcombe, Statistics in Medicine 17 (1998) 857–872, table I, method 3."""
    bounds = wilson([successes], [trials])

    assert bounds["lo"].item() == pytest.approx(lo, abs=5e-5)
    assert bounds["hi"].item() == pytest.approx(hi, abs=5e-5)


@pytest.mark.parametrize("case", ORACLE["numeric_fixtures"]["wilson_95"])
def test_wilson_gives_the_worked_examples_bounds(case):
    bounds = wilson([case["x"]], [case["n"]])

    if case["ci"][0] is None:
        assert bounds[["rate", "lo", "hi"]].isna().to_numpy().all()
    else:
        assert bounds[["lo", "hi"]].iloc[0].tolist() == pytest.approx(case["ci"], abs=TOLERANCE)


@given(st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_wilson_agrees_with_scipy(counts, ci):
    """SciPy solves the same equation on its own way."""
    successes, trials = counts
    bounds = wilson([successes], [trials], ci=ci)

    theirs = binomtest(successes, trials).proportion_ci(ci, method="wilson")
    assert bounds["lo"].item() == pytest.approx(theirs.low, abs=1e-12)
    assert bounds["hi"].item() == pytest.approx(theirs.high, abs=1e-12)
    assert 0 <= bounds["lo"].item() <= bounds["rate"].item() <= bounds["hi"].item() <= 1


def test_wilson_ends_touch_zero_and_one_exactly():
    """A bound of 1e-17 would be drawn, and read, as something."""
    bounds = wilson([0, 17], [13, 17])

    assert bounds["lo"].iloc[0] == 0
    assert bounds["hi"].iloc[1] == 1


@pytest.mark.parametrize(("successes", "trials"), [([3], [2]), ([-1], [2]), ([1, 2], [3])])
def test_wilson_refuses_counts_that_cannot_be(successes, trials):
    with pytest.raises(DataError, match="between 0 and its trials"):
        wilson(successes, trials)


@pytest.mark.parametrize("ci", [0, 1, 95])
def test_a_level_is_a_probability(ci):
    with pytest.raises(DataError, match="strictly between 0 and 1"):
        z_value(ci)


def test_z_is_the_exact_quantile():
    assert z_value(0.95) == pytest.approx(1.959963984540054, abs=1e-15)


@pytest.mark.parametrize(
    ("successes", "trials", "diff", "lo", "hi"),
    [
        ((56, 48), (70, 80), 0.2000, 0.0524, 0.3339),
        ((9, 3), (10, 10), 0.6000, 0.1705, 0.8090),
        ((6, 2), (7, 7), 0.5714, 0.0582, 0.8062),
        ((5, 0), (56, 29), 0.0893, -0.0381, 0.1926),
        ((0, 0), (10, 20), 0.0, -0.1611, 0.2775),
        ((0, 0), (10, 10), 0.0, -0.2775, 0.2775),
        ((10, 0), (10, 20), 1.0, 0.6791, 1.0),
        ((10, 0), (10, 10), 1.0, 0.6075, 1.0),
    ],
)
def test_the_difference_has_newcombes_published_bounds(successes, trials, diff, lo, hi):
    """Newcombe, Statistics in Medicine 17 (1998) 873–890, table II, method 10."""
    assert newcombe_difference(successes, trials) == pytest.approx((diff, lo, hi), abs=5e-5)


def test_the_difference_of_the_worked_example():
    (case,) = ORACLE["numeric_fixtures"]["newcombe_95"]

    found = newcombe_difference((case["x1"], case["x2"]), (case["n1"], case["n2"]))

    assert found == pytest.approx((case["diff"], *case["ci"]), abs=TOLERANCE)


def test_a_group_without_trials_has_no_difference():
    assert np.isnan(newcombe_difference((0, 3), (0, 5))).all()


def test_a_curve_at_zero_or_one_has_no_band():
    """The log(−log) transformation does not exist there."""
    lo, hi = loglog_band(np.array([0.0, 0.5, 1.0]), np.array([0.1, 0.1, 0.1]))

    assert np.isnan(lo[[0, 2]]).all()
    assert np.isnan(hi[[0, 2]]).all()
    assert 0 < lo[1] < 0.5 < hi[1] < 1


@pytest.mark.parametrize(("freedom", "tolerance"), [(3, 0.01), (5, 2e-3), (10, 1e-4), (30, 1e-6), (1_000, 1e-9)])
@pytest.mark.parametrize("ci", [0.9, 0.95])
def test_students_quantile_is_that_of_scipy(ci, freedom, tolerance):
    frame = nw.from_native(pd.DataFrame({"freedom": [float(freedom)]}))

    (quantile,) = frame.select(_t_quantile(norm.ppf((1 + ci) / 2), "freedom").alias("q"))["q"].to_list()

    assert quantile == pytest.approx(t.ppf((1 + ci) / 2, freedom), rel=tolerance)
