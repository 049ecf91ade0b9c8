import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.stats import hypergeom, norm

from outreach_frames.stats.comparisons import DEVIATES, limits_around, z_against

SAMPLES = st.integers(0, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def exact(x, n, y, m):
    """Fisher's one-sided p-values, read as a normal deviate."""
    many, few = hypergeom.sf(x - 1, n + m, x + y, n), hypergeom.cdf(x, n + m, x + y, n)
    return np.where(many < 0.5, norm.isf(many), np.where(few < 0.5, norm.ppf(few), 0.0))


def test_z_is_the_deviate_of_fishers_test():
    """Peizer's approximation: mostly to 0.001, at worst 0.06 too small or 0.02 too large."""
    rng = np.random.default_rng(1)
    n, m = rng.integers(20, 500, 20_000), rng.integers(20, 4_000, 20_000)
    x, y = rng.binomial(n, rng.uniform(0, 0.2, 20_000)), rng.binomial(m, rng.uniform(0, 0.1, 20_000))

    true = exact(x, n, y, m)
    excess = (np.abs(z_against(x, n, y, m)) - np.abs(true))[np.abs(true) < 4]
    assert excess.max() < 0.02
    assert excess.min() > -0.06
    assert np.median(np.abs(excess)) < 0.001


@given(SAMPLES, SAMPLES)
def test_a_rate_is_outside_its_limits_exactly_where_z_says_so(count, past):
    (x, n), (y, m) = count, past
    z, (low, high) = z_against(x, n, y, m), limits_around(n, y, m)

    if 0 in (n, m):
        assert np.isnan([z, low, high]).all()
    else:
        assert 0 <= low <= y / m <= high <= 1
        assert (x / n > high) == (z > DEVIATES)
        assert (x / n < low) == (z < -DEVIATES)


@given(SAMPLES, SAMPLES)
def test_z_turns_round_with_the_outcome_and_with_the_samples(count, past):
    (x, n), (y, m) = count, past
    z = z_against(x, n, y, m)

    assert z_against(n - x, n, m - y, m) == pytest.approx(-z, abs=1e-9, nan_ok=True)
    assert z_against(y, m, x, n) == pytest.approx(-z, abs=1e-9, nan_ok=True)


def test_effective_counts_may_be_fractions():
    whole, less = z_against(30, 100, 5, 100), z_against(15.4, 51.3, 2.6, 51.3)

    assert 0 < less < whole


def test_no_rate_can_leave_limits_of_0_and_1():
    """Of two mailings nothing can be said."""
    assert limits_around(2, 1, 50) == (0, 1)
