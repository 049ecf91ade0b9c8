"""What tests of templates say where the truth is known, by simulation with fixed seeds."""

from functools import cache

import numpy as np
import pytest
from scipy.stats import beta

from outreach_frames.stats.ab_tests import _FLAT
from outreach_frames.stats.ab_verdict import NO_DIFFERENCE, Arm, Rules, read_step
from outreach_frames.stats.comparisons import always_valid_p, expected_loss, probability_greater
from outreach_frames.stats.power import NEVER, Trials, exact_evidence, exact_p, sequential_size
from outreach_frames.stats.shrinkage import moment_prior

pytestmark = pytest.mark.slow

TESTS, DAYS = 600, 60
MEAN, DETECTABLE = 0.05, 0.02


def trials_of(rng, trials, rate, *, days=DAYS, lag=2.0):
    """Simulate trials spread over the days, and successes that come some days later [mean lag in days]."""
    made = np.sort(rng.integers(0, days, trials))
    succeeded = made + np.floor(rng.exponential(lag, trials)).astype(np.int64)
    return Trials(made, np.where((rng.random(trials) < rate) & (succeeded < days), succeeded, NEVER))


def arm_of(number, trials, clusters=None):
    own = np.arange(len(trials.days)) * 2 + number if clusters is None else clusters
    return Arm(number, "AB"[number], own, trials, own)


# Row 4: a single test, whose prior is flat


def flat(_x, _n):
    return _FLAT


def of_the_arms(x, n):
    fitted = moment_prior(x.astype(float), np.full(2, float(n)))
    return fitted.as_beta() if fitted.is_proper else _FLAT


@cache
def said_and_true(prior, spread, tests=2_000):
    """
    Chances of the first and losses of choosing it, as told, and as they are; and the same of the second.

    What is true of a test's counts is known exactly, since the distribution is known that the rates were drawn from:
    by the trapezoidal rule over its two posteriors.
    """
    rng = np.random.default_rng(20261128)
    strength = MEAN * (1 - MEAN) / spread**2 - 1
    truth = MEAN * strength, (1 - MEAN) * strength
    n = rng.choice([1_000, 3_000], tests)
    x = rng.binomial(n[:, None], rng.beta(*truth, (tests, 2)))
    posteriors = [beta(x[:, [arm]] + truth[0], (n - x[:, arm])[:, None] + truth[1]) for arm in (0, 1)]
    rate = np.linspace(0, 0.4, 2_001)
    below = [posterior.cdf(rate) for posterior in posteriors]
    better = np.trapezoid(posteriors[0].pdf(rate) * below[1], rate)
    lost, gained = (np.trapezoid(below[arm] * (1 - below[1 - arm]), rate) for arm in (0, 1))
    told = []
    for counts, trials in zip(x, n, strict=True):
        added = prior(counts, trials)
        shapes = [(some + added[0], trials - some + added[1]) for some in counts]
        told.append((probability_greater(*shapes), expected_loss(*shapes), sum(map(minus, shapes, (1, -1)))))
    said, loss, apart = np.array(told).T
    return [
        np.concatenate(both) for both in ((said, 1 - said), (better, 1 - better), (loss, loss + apart), (lost, gained))
    ]


def minus(shape, sign):
    return sign * shape[0] / sum(shape)


@pytest.mark.parametrize("spread", [0.015, 0.03])
def test_the_chance_of_being_better_is_what_it_says(spread):
    """Bins of 0.1 of 2,000 single tests of 1,000 or 3,000 enrollments in each variant."""
    said, true, *_ = said_and_true(flat, spread)

    bins = np.minimum((10 * said).astype(int), 9)
    off = [said[bins == place].mean() - true[bins == place].mean() for place in range(10)]
    assert np.abs(off).max() <= 0.04


@pytest.mark.parametrize("spread", [0.015, 0.03])
def test_expected_losses_are_what_they_say(spread):
    """Of the variant that leads."""
    said, _, told, real = said_and_true(flat, spread)

    assert told[said > 0.5].sum() == pytest.approx(real[said > 0.5].sum(), rel=0.15)
    assert told.sum() == pytest.approx(real.sum(), rel=0.15)


def test_a_prior_fitted_to_the_arms_under_test_hides_what_they_show():
    """The reason for the flat one: said 0.6 to 0.7, it is 0.85 or more."""
    said, true, told, real = said_and_true(of_the_arms, 0.015, tests=600)

    chosen = (said >= 0.6) & (said < 0.7)
    assert true[chosen].mean() > 0.8
    assert told.sum() < 0.5 * real.sum()


# Row 13: the always-valid p-value


@pytest.mark.parametrize("share", [0.5, 0.9, 0.95])
@pytest.mark.parametrize(("rate", "per_day"), [(0.002, 100), (0.002, 400), (0.05, 30)])
def test_the_exact_p_keeps_its_level_over_daily_looks(share, rate, per_day):
    """9:1 and 19:1 splits and 0.2 % rates: a handful of successes in the smaller variant."""
    rng = np.random.default_rng(5)
    found = 0
    for _ in range(TESTS):
        n = rng.poisson(per_day * DAYS)
        first = rng.binomial(n, share)
        told = exact_evidence(trials_of(rng, first, rate), trials_of(rng, n - first, rate))[1]
        found += len(told) > 0 and exact_p(told)[-1] < 0.05

    assert found / TESTS <= 0.05


def test_the_large_sample_p_does_not():
    """The reason for the other."""
    rng = np.random.default_rng(5)
    arrivals = rng.poisson([380, 20], (TESTS, DAYS, 2))
    successes = rng.binomial(arrivals, 0.002).cumsum(axis=1)

    found = [always_valid_p(x, n)[-1] < 0.05 for x, n in zip(successes, arrivals.cumsum(axis=1), strict=True)]

    assert np.mean(found) > 0.06


def accounts(rng, *, accounts, people, rho, whole):
    """Simulate two equal variants, given to whole accounts or to people, whose accounts differ by the correlation."""
    strength = (1 - rho) / rho
    rate = rng.beta(MEAN * strength, (1 - MEAN) * strength, accounts)
    account = np.repeat(np.arange(accounts), people)
    made = np.repeat(rng.integers(0, DAYS, accounts), people)
    arm = np.repeat(rng.integers(0, 2, accounts), people) if whole else rng.integers(0, 2, account.size)
    answered = made + np.floor(rng.exponential(2, account.size)).astype(np.int64)
    answered = np.where(rng.random(account.size) < rate[account], answered, NEVER)
    return [
        arm_of(number, Trials(made[arm == number], answered[arm == number]), account[arm == number])
        for number in (0, 1)
    ]


def in_accounts(clustered, *, runs, **how):
    """Read tests; return how often a difference is found, and how often the interval holds 0."""
    rng = np.random.default_rng(11)
    rules = Rules(None, None, DETECTABLE, 0.95, clustered=clustered)
    read = [read_step(accounts(rng, **how), rules, _FLAT)[1][0] for _ in range(runs)]
    found = np.mean([pair["p_always_valid"] < 0.05 for pair in read])
    return found, np.mean([pair["diff_lo"] <= 0 <= pair["diff_hi"] for pair in read])


@pytest.mark.parametrize(
    "how",
    [
        {"accounts": 300, "people": 10, "rho": 0.1, "whole": True},
        {"accounts": 100, "people": 30, "rho": 0.1, "whole": True},
        {"accounts": 300, "people": 10, "rho": 0.1, "whole": False},
    ],
)
def test_where_variants_go_by_account_the_level_is_kept_too(how):
    found, covered = in_accounts(clustered=True, runs=120, **how)

    assert found <= 0.05
    assert 0.91 <= covered <= 0.985


def test_without_accounts_it_is_not():
    found, covered = in_accounts(clustered=False, runs=120, accounts=100, people=30, rho=0.1, whole=True)

    assert found > 0.15
    assert covered < 0.75


# Row 8: the plan and the verdicts


@pytest.mark.parametrize(("rate", "difference"), [(0.05, 0.02), (0.02, 0.01), (0.1, 0.05), (0.4, 0.05), (0.01, 0.01)])
def test_the_plan_has_the_power_that_it_promises(rate, difference):
    """Found by the plan's last day, with a look on each of sixty."""
    rng = np.random.default_rng(3)
    n = int(sequential_size(rate, difference))

    found = [
        exact_p(exact_evidence(*(trials_of(rng, n, p, lag=0.5) for p in (rate, rate + difference)))[1])[-1] < 0.05
        for _ in range(TESTS)
    ]

    assert np.mean(found) == pytest.approx(0.8, abs=0.04)


def verdicts(rng, runs, times, looks):
    """Read tests of variants that differ by what is looked for, at some multiple of their plan, after some looks."""
    n = int(times * sequential_size(MEAN, DETECTABLE) * 1.05)
    rules = Rules(None, None, DETECTABLE, 0.95, clustered=False)
    told = []
    for _ in range(runs):
        groups = [trials_of(rng, n, rate, lag=0.5) for rate in (MEAN, MEAN + DETECTABLE)]
        told.append(set())
        for day in np.linspace(DAYS / times, DAYS, looks).round() - 1:
            known = [group.days <= day for group in groups]
            cut = (
                Trials(group.days[seen], np.where(group.success_days[seen] <= day, group.success_days[seen], NEVER))
                for group, seen in zip(groups, known, strict=True)
            )
            read, _ = read_step([arm_of(number, group) for number, group in enumerate(cut)], rules, _FLAT)
            told[-1].add(read[0]["verdict"])
    return told


def test_no_difference_is_rarely_said_where_there_is_one():
    """At the plan's own n, where "no clear difference" was said of 24–28 % of tests; and looking on to twice of it."""
    rng = np.random.default_rng(8)

    once, often = verdicts(rng, 400, 1.0, 1), verdicts(rng, 120, 2.0, 12)

    for told in (once, often):
        assert np.mean([any(verdict.startswith(NO_DIFFERENCE) for verdict in each) for each in told]) <= 0.05
    assert np.mean(["B better" in each for each in once]) == pytest.approx(0.8, abs=0.06)
    assert np.mean(["A better" in each for each in often]) <= 0.01


def test_variants_alike_are_told_to_be_so_in_the_end():
    """At their plan's n the interval of two equal variants is usually narrow enough."""
    rng = np.random.default_rng(8)
    n = int(sequential_size(MEAN - DETECTABLE / 2, DETECTABLE) * 1.1)
    rules = Rules(None, None, DETECTABLE, 0.95, clustered=False)

    read = [read_step([arm_of(k, trials_of(rng, n, MEAN)) for k in (0, 1)], rules, _FLAT)[0][0] for _ in range(300)]

    told = [row["verdict"] for row in read]
    assert np.mean([verdict.endswith("better") for verdict in told]) <= 0.05
    assert np.mean([verdict.startswith(NO_DIFFERENCE) for verdict in told]) > 0.7
