"""Whether intervals and tests keep what their levels promise, by simulation with fixed seeds and by enumeration."""

import numpy as np
import pytest
from scipy.stats import binom, norm

from outreach_frames.stats.comparisons import always_valid_p
from outreach_frames.stats.intervals import newcombe_difference, wilson
from outreach_frames.stats.power import sample_size
from outreach_frames.stats.shrinkage import shrink_rates

pytestmark = pytest.mark.slow

RUNS, DAYS, DRAWS = 2_000, 60, 2_000


def two_alike(rng, rate, per_day):
    """Simulate tests of two equal variants, looked at every evening: counts, shape (runs, days, 2)."""
    arrivals = rng.poisson(per_day, (RUNS, DAYS, 2))
    replies = rng.binomial(arrivals, rate)
    return replies.cumsum(axis=1), arrivals.cumsum(axis=1)


def usual_p(successes, trials):
    """The two-sided z-test of two proportions, pooled."""
    safe = np.maximum(trials, 1)
    pooled = successes.sum(axis=-1) / safe.sum(axis=-1)
    error = np.sqrt(pooled * (1 - pooled) * (1 / safe).sum(axis=-1))
    difference = (successes / safe)[..., 0] - (successes / safe)[..., 1]
    return 2 * norm.sf(np.abs(difference) / np.where(error > 0, error, np.inf))


@pytest.mark.parametrize(("rate", "per_day"), [(0.05, 20), (0.02, 60), (0.12, 200), (0.3, 30)])
@pytest.mark.parametrize("tau", [0.01, 0.03])
def test_the_always_valid_test_keeps_its_level_under_daily_peeking(rate, per_day, tau):
    """Stopping at the first p < 0.05 in 60 evenings: at most 5 % of tests without a difference find one."""
    successes, trials = two_alike(np.random.default_rng(20260331), rate, per_day)

    found = sum(always_valid_p(x, n, tau=tau)[-1] < 0.05 for x, n in zip(successes, trials, strict=True))

    assert found / RUNS <= 0.05


def test_the_usual_test_does_not():
    """The reason for the other: looked at daily, it finds a difference in about a third of tests without one."""
    successes, trials = two_alike(np.random.default_rng(20260331), 0.05, 20)

    found = (usual_p(successes, trials) < 0.05).any(axis=1).mean()
    once = (usual_p(successes[:, -1], trials[:, -1]) < 0.05).mean()

    assert found > 0.2
    assert once < 0.07


def test_a_difference_is_found_before_long():
    """Valid would be easy by never finding anything."""
    rng = np.random.default_rng(3)
    arrivals = rng.poisson(60, (200, DAYS, 2))
    replies = rng.binomial(arrivals, [0.09, 0.05])

    found = [
        always_valid_p(x, n, tau=0.03)[-1] < 0.05
        for x, n in zip(replies.cumsum(axis=1), arrivals.cumsum(axis=1), strict=True)
    ]

    assert np.mean(found) > 0.9


@pytest.mark.parametrize("trials", [50, 200, 1_000, 5_000])
def test_wilson_intervals_cover_what_they_promise(trials):
    """Over the rates of real mail, each as likely; exact, by enumeration of all outcomes."""
    outcomes = np.arange(trials + 1)
    bounds = wilson(outcomes, np.full(trials + 1, trials))
    lo, hi = (bounds[name].to_numpy(dtype=float) for name in ("lo", "hi"))
    rates = np.linspace(0.01, 0.6, 300)

    covered = [binom.pmf(outcomes, trials, rate)[(lo <= rate) & (rate <= hi)].sum() for rate in rates]

    assert 0.93 <= np.mean(covered) <= 0.97


@pytest.mark.parametrize(("first", "second", "trials"), [(0.05, 0.03, (200, 210)), (0.1, 0.1, (60, 240))])
def test_newcombes_intervals_cover_what_they_promise(first, second, trials):
    rng = np.random.default_rng(17)
    drawn, times = np.unique(rng.binomial(trials, (first, second), (DRAWS, 2)), axis=0, return_counts=True)

    covered = 0
    for outcome, count in zip(drawn.tolist(), times.tolist(), strict=True):
        _, lo, hi = newcombe_difference(tuple(outcome), trials)
        covered += count * (lo <= first - second <= hi)

    assert 0.93 <= covered / DRAWS <= 0.97


def test_posterior_intervals_of_many_groups_cover_what_they_promise():
    """Groups drawn from the very prior that is fitted: 95 % of their true rates lie inside."""
    rng = np.random.default_rng(5)
    rates = rng.beta(4, 76, 4_000)
    trials = rng.integers(5, 300, rates.size)

    shrunk = shrink_rates(rng.binomial(trials, rates), trials=trials)

    inside = (shrunk["lo"].to_numpy() <= rates) & (rates <= shrunk["hi"].to_numpy())
    assert 0.93 <= inside.mean() <= 0.97


def test_shrunk_rates_are_nearer_to_the_truth_than_raw_ones():
    rng = np.random.default_rng(6)
    rates = rng.beta(4, 76, 2_000)
    trials = rng.integers(5, 60, rates.size)
    shrunk = shrink_rates(rng.binomial(trials, rates), trials=trials)

    raw_error, error = (((shrunk[name].to_numpy(dtype=float) - rates) ** 2).mean() for name in ("raw", "shrunk"))

    assert error < raw_error / 2


def test_a_plan_has_the_power_it_promises():
    rng = np.random.default_rng(8)
    n = int(sample_size(0.05, 0.02))
    successes = rng.binomial(n, [0.05, 0.07], (20_000, 2))

    power = (usual_p(successes, np.full_like(successes, n)) < 0.05).mean()

    assert power == pytest.approx(0.8, abs=0.015)
