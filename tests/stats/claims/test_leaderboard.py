"""What shrunken rates and ranks say of groups whose true rates are known, by simulation with fixed seeds."""

import numpy as np
import pytest
from scipy.special import betainc

from outreach_frames.stats.leaderboards import _chances
from outreach_frames.stats.shrinkage import prior_for, shrink_rates

pytestmark = pytest.mark.slow

MEAN, SPREAD = 0.05, 0.015
STRENGTH = MEAN * (1 - MEAN) / SPREAD**2 - 1
TRIALS = np.array([30, 100, 300, 1_000, 3_000])
RUNS = {2: 600, 3: 500, 6: 350, 10: 250, 20: 150, 50: 80}


def organizations(groups, runs, seed, trials=TRIALS):
    """Simulate organizations of groups with rates from Beta(mean 5 %, standard deviation 1.5 points)."""
    rng = np.random.default_rng(seed)
    for _ in range(runs):
        n = rng.choice(trials, groups)
        rates = rng.beta(MEAN * STRENGTH, (1 - MEAN) * STRENGTH, groups)
        yield rates, rng.binomial(n, rates), n


def coverage(groups, runs, seed, trials=TRIALS, prior="integrated"):
    """How often the central 95 % of the posterior hold the true rate."""
    inside = []
    for rates, x, n in organizations(groups, runs, seed, trials):
        fitted = prior_for(x, n, prior)
        alpha, beta = x[:, None] + fitted.alpha, (n - x)[:, None] + fitted.beta
        below = betainc(alpha, beta, rates[:, None]) @ fitted.share
        inside.append((below >= 0.025) & (below <= 0.975))
    return np.concatenate(inside).mean()


@pytest.mark.parametrize("groups", RUNS)
def test_intervals_cover_what_they_promise_with_few_groups(groups):
    assert 0.93 <= coverage(groups, RUNS[groups], seed=20261128) <= 0.975


@pytest.mark.parametrize("trials", TRIALS.tolist())
def test_intervals_cover_what_they_promise_with_groups_of_one_size(trials):
    assert 0.925 <= coverage(10, 250, seed=5, trials=[trials]) <= 0.985


def test_those_of_moments_do_not():
    """The reason for the other."""
    assert coverage(2, 300, seed=1, prior="moments") < 0.5
    assert coverage(6, 300, seed=1, prior="moments") < 0.9


def test_bounds_are_the_quantiles_of_that_posterior():
    rates, x, n = next(organizations(6, 1, seed=2))
    bounds = shrink_rates(x, trials=n)

    fitted = prior_for(x, n)
    for name, level in (("lo", 0.025), ("hi", 0.975)):
        at = bounds[name].to_numpy(dtype=float)[:, None]
        below = betainc(x[:, None] + fitted.alpha, (n - x)[:, None] + fitted.beta, at) @ fitted.share
        assert below == pytest.approx(np.full(len(rates), level), abs=1e-6)


@pytest.mark.parametrize("groups", [2, 3, 6, 10, 20])
def test_the_chance_of_being_the_best_is_what_it_says(groups):
    """Of groups told 60–80 % of the time to be the best, about 70 % are."""
    said, true = [], []
    for rates, x, n in organizations(groups, 2_500 // groups + 150 + 40 * groups, seed=9):
        top, _ = _chances(x, n, prior_for(x, n), 1, 0, draws=2_000)
        said.append(top)
        true.append(np.arange(groups) == rates.argmax())
    said, true = np.concatenate(said), np.concatenate(true)
    chosen = (said >= 0.6) & (said <= 0.8)

    assert 0.55 <= true[chosen].mean() <= 0.85
    assert said.mean() == pytest.approx(true.mean())
