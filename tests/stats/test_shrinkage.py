from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.integrate import dblquad, quad
from scipy.optimize import minimize
from scipy.special import betainc
from scipy.stats import beta as beta_distribution, betabinom, binom

from outreach_frames.errors import DataError
from outreach_frames.stats import attached
from outreach_frames.stats.shrinkage import FULL_POOLING, PRIORS, prior_for, shrink_rates
from tests.frames import ORACLE, TOLERANCE, plain

CASE = ORACLE["numeric_fixtures"]["empirical_bayes"][0]
COUNTS = st.lists(
    st.integers(0, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1, max_size=12
)


def split(counts):
    return [x for x, _ in counts], [n for _, n in counts]


def test_the_worked_example_comes_out():
    rates = shrink_rates(CASE["x"], trials=CASE["n"], prior="moments")

    assert rates["shrunk"].tolist() == pytest.approx(CASE["shrunk"], abs=TOLERANCE)
    assert rates[["lo", "hi"]].to_numpy(dtype=float) == pytest.approx(np.array(CASE["ci"]), abs=TOLERANCE)
    prior = attached(rates, "prior").iloc[0]
    for ours, theirs in {"pooled": "pooled", "S": "S", "rho": "rho", "alpha": "alpha", "beta": "beta"}.items():
        assert prior[ours] == pytest.approx(CASE[theirs], abs=TOLERANCE)
    assert prior["M"] == pytest.approx(CASE["M"], rel=1e-6)


def exact_rho(x, n):
    """Kleinman's estimator for any weights, in exact fractions, with the weights nᵢ put in last."""
    trials = [Fraction(value) for value in n]
    weights, rates = trials, [Fraction(a, b) for a, b in zip(x, n, strict=True)]
    total = sum(weights)
    p = sum(w * r for w, r in zip(weights, rates, strict=True)) / total
    spread = sum(w * (r - p) ** 2 for w, r in zip(weights, rates, strict=True))
    binomial = sum(w / t * (1 - w / total) for w, t in zip(weights, trials, strict=True))
    between = sum(w * (1 - w / total) for w in weights)
    return float((spread - p * (1 - p) * binomial) / (p * (1 - p) * (between - binomial)))


@settings(max_examples=80, deadline=None)
@given(COUNTS.filter(lambda counts: sum(n > 1 for _, n in counts) > 2))
def test_the_correlation_is_kleinmans_estimator(counts):
    """Kleinman, JASA 68 (1973) 46–54, in its general form and in exact arithmetic."""
    seen = [(x, n) for x, n in counts if n]
    x, n = split(seen)
    if sum(x) in {0, sum(n)}:
        return

    prior = prior_for(*split(counts), "moments").record

    assert prior["rho"] == pytest.approx(exact_rho(x, n), rel=1e-8, abs=1e-9)


def test_moments_and_likelihood_agree_on_many_groups():
    """An independent estimate of the same prior: the beta-binomial likelihood, maximized by SciPy."""
    rng = np.random.default_rng(11)
    n = rng.integers(30, 400, 1_500)
    x = rng.binomial(n, rng.beta(3, 57, n.size))

    prior = prior_for(x, n, "moments").record

    def loss(logs):
        return -betabinom.logpmf(x, n, *np.exp(logs)).sum()

    alpha, beta = np.exp(minimize(loss, np.log([1.0, 20.0]), method="Nelder-Mead").x)
    assert prior["pooled"] == pytest.approx(alpha / (alpha + beta), rel=0.02)
    assert prior["M"] == pytest.approx(alpha + beta, rel=0.1)
    assert prior["M"] == pytest.approx(60, rel=0.1)


def test_shrunk_rates_are_posterior_means_and_quantiles():
    """The posterior by brute force: prior times likelihood, integrated."""
    rates = shrink_rates(CASE["x"], trials=CASE["n"], prior="moments")
    alpha, beta = (attached(rates, "prior").iloc[0][name] for name in ("alpha", "beta"))

    def density(rate, x, n):
        return beta_distribution.pdf(rate, alpha, beta) * binom.pmf(x, n, rate)

    for row, (x, n) in enumerate(zip(CASE["x"], CASE["n"], strict=True)):
        whole, mean, below = (
            quad(lambda rate, x=x, n=n, power=power: rate**power * density(rate, x, n), 0, end, points=[0.05])[0]
            for power, end in ((0, 1), (1, 1), (0, rates["lo"].iloc[row]))
        )
        assert mean / whole == pytest.approx(rates["shrunk"].iloc[row], abs=1e-7)
        assert below / whole == pytest.approx(0.025, abs=1e-6)


@pytest.mark.parametrize(
    ("x", "n", "why"),
    [
        ([4, 10], [40, 80], "two groups cannot show a spread"),
        ([5, 5, 5, 5], [50, 50, 50, 50], "they differ less than chance would"),
        ([1, 0, 1, 1, 0], [1, 1, 1, 1, 1], "single trials cannot differ within a group"),
        ([0, 0, 0], [50, 60, 70], "all are at 0"),
        ([50, 60, 70], [50, 60, 70], "all are at 1"),
    ],
)
def test_what_does_not_vary_is_pooled(x, n, why):
    rates = shrink_rates(x, trials=n, prior="moments")

    assert attached(rates, "prior").iloc[0]["M"] == FULL_POOLING, why
    assert rates["shrunk"].tolist() == pytest.approx(
        [(a + sum(x) / sum(n) * 1e4) / (b + 1e4) for a, b in zip(x, n, strict=True)]
    )


def test_one_trial_is_the_lightest_prior():
    """Groups at the extremes: ρ near 1 would make the prior vanish."""
    assert (
        attached(shrink_rates([0, 100, 0, 100], trials=[100, 100, 100, 100], prior="moments"), "prior").iloc[0]["M"]
        == 1
    )


def test_a_group_without_trials_gets_the_prior_and_does_not_shape_it():
    rates = shrink_rates([*CASE["x"], 0], trials=[*CASE["n"], 0], prior="moments")
    prior = attached(rates, "prior").iloc[0]

    assert prior["M"] == pytest.approx(CASE["M"], rel=1e-6)
    assert plain(rates["raw"])[-1] is None
    assert rates["shrunk"].iloc[-1] == pytest.approx(0.06)
    assert rates["hi"].iloc[-1] == pytest.approx(beta_distribution.ppf(0.975, prior["alpha"], prior["beta"]))


@pytest.mark.parametrize("x", [[0, 0, 0], [5, 9, 2]])
def test_unanimity_is_no_certainty(x):
    """A prior fitted by moments to zeros only is degenerate; [0, 0] as an interval would claim to know."""
    rates = shrink_rates(x, trials=[5, 9, 2], prior="moments")

    assert rates[["lo", "hi"]].isna().to_numpy().all()
    assert rates["shrunk"].tolist() == [x[0] / 5] * 3


@pytest.mark.parametrize(("x", "n"), [([], []), ([0, 0], [0, 0])])
def test_nothing_known_gives_nothing(x, n):
    rates = shrink_rates(x, trials=n)

    assert len(rates) == len(n)
    assert rates.isna().to_numpy().all()
    assert attached(rates, "prior").empty
    assert all(str(dtype) == "double[pyarrow]" for dtype in rates.dtypes)


def test_a_given_prior_is_used_as_it_is():
    rates = shrink_rates([3], trials=[10], prior=(2, 8))

    assert rates["shrunk"].item() == 5 / 20
    assert attached(rates, "prior").iloc[0]["M"] == 10


@pytest.mark.parametrize("prior", PRIORS)
@settings(max_examples=40, deadline=None)
@given(counts=COUNTS, random=st.randoms(use_true_random=False))
def test_shrinking_pulls_toward_the_mean_whatever_the_order(prior, counts, random):
    x, n = split(counts)
    rates = shrink_rates(x, trials=n, prior=prior)
    order = list(range(len(n)))
    random.shuffle(order)

    shuffled = shrink_rates([x[i] for i in order], trials=[n[i] for i in order], prior=prior)

    if sum(n) and prior == "moments":
        pooled = attached(rates, "prior").iloc[0]["pooled"]
        for raw, drawn in zip(plain(rates["raw"]), rates["shrunk"], strict=True):
            lower, upper = sorted([pooled, pooled if raw is None else raw])
            assert lower - 1e-12 <= drawn <= upper + 1e-12
    if sum(n) and prior == "integrated":
        assert (rates["lo"] < rates["shrunk"]).all()
        assert (rates["shrunk"] < rates["hi"]).all()
    assert plain(shuffled["shrunk"]) == pytest.approx([plain(rates["shrunk"])[i] for i in order], nan_ok=True)


def by_brute_force(x, n, row):
    """The posterior of one group by SciPy's adaptive quadrature over mean and spread."""

    def weight(mean, spread):
        strength = 1 / (mean * (1 - mean) * spread**2)
        hyperprior = 2 * 0.25 * spread / (0.25 + spread**2) ** 2 / np.sqrt(mean * (1 - mean))
        return hyperprior * np.exp(betabinom.logpmf(x, n, mean * strength, (1 - mean) * strength).sum()), strength

    def expectation(what):
        def inside(spread, mean):
            density, strength = weight(mean, spread)
            return density * what(x[row] + mean * strength, n[row] - x[row] + (1 - mean) * strength)

        return dblquad(inside, 0.001, 0.6, 0.001, 10, epsabs=0, epsrel=1e-4)[0]

    whole = expectation(lambda *_: 1.0)
    return lambda what: expectation(what) / whole


def test_the_integrated_posterior_is_that_of_adaptive_quadrature():
    x, n = np.array([4, 10, 1]), np.array([40, 80, 20])
    rates = shrink_rates(x, trials=n).iloc[1]

    mean = by_brute_force(x, n, 1)

    assert mean(lambda a, b: a / (a + b)) == pytest.approx(rates["shrunk"], rel=3e-3)
    for bound, level in (("lo", 0.025), ("hi", 0.975)):
        assert mean(lambda a, b, t=rates[bound]: betainc(a, b, t)) == pytest.approx(level, abs=2e-3)


def test_two_groups_keep_their_own_rates():
    """Two of them do not tell how much groups differ: pooled, 10 % of 2,000 would read "6.9 % (6.4–7.3)"."""
    rates = shrink_rates([200, 50], trials=[2_000, 2_000])

    own = beta_distribution.ppf([[0.025, 0.975]], np.array([[201], [51]]), np.array([[1_801], [1_951]]))
    assert rates[["lo", "hi"]].to_numpy(dtype=float) == pytest.approx(own)
    assert attached(rates, "prior").iloc[0]["method"] == "flat"


def test_few_groups_are_drawn_less_far_than_by_moments_where_they_do_not_differ():
    """That three groups of fifty agree does not show that all groups do."""
    x, n = [3, 3, 3], [50, 50, 50]

    wide, narrow = (shrink_rates(x, trials=n, prior=prior) for prior in PRIORS)

    assert (wide["hi"] - wide["lo"]).min() > 2 * (narrow["hi"] - narrow["lo"]).max()


def test_groups_without_a_success_have_bounds():
    rates = shrink_rates([0, 0, 0], trials=[50, 60, 70])

    assert (rates["lo"] < 1e-4).all()
    assert rates["hi"].between(0.005, 0.06).all()


def test_the_integrated_weight_is_told_with_its_bounds():
    rng = np.random.default_rng(11)
    n = rng.integers(30, 400, 600)
    prior = attached(shrink_rates(rng.binomial(n, rng.beta(3, 57, n.size)), trials=n), "prior").iloc[0]

    assert prior["M_lo"] < 60 < prior["M_hi"]
    assert prior["M"] == pytest.approx(60, rel=0.2)
    assert prior["pooled"] == pytest.approx(0.05, rel=0.05)


def test_trials_that_belong_together_count_for_less():
    halved = shrink_rates([20, 10, 30], trials=[200, 200, 200], design_effect=2)

    assert halved[["shrunk", "lo", "hi"]].equals(shrink_rates([10, 5, 15], trials=[100] * 3)[["shrunk", "lo", "hi"]])
    assert halved["raw"].tolist() == [0.1, 0.05, 0.15]
    with pytest.raises(DataError, match="design_effect"):
        shrink_rates([20, 10, 30], trials=[200, 200, 200], design_effect=[1, 2])


def test_no_prior_is_refused():
    with pytest.raises(DataError, match="A Beta prior needs two parameters"):
        shrink_rates(CASE["x"], trials=CASE["n"], prior=None)


def test_an_unknown_prior_is_refused():
    with pytest.raises(DataError, match="There is no prior 'skeptical'"):
        shrink_rates([1], trials=[2], prior="skeptical")


@pytest.mark.parametrize(
    ("x", "n"),
    [([3], [2]), ([-1], [2]), ([1, 2], [3]), ([0.5], [2]), ([None], [2]), (["a"], [2])],
)
def test_counts_that_cannot_be_are_refused(x, n):
    with pytest.raises(DataError):
        shrink_rates(x, trials=n)


@pytest.mark.parametrize("prior", [(0, 1), (1, -1), (float("nan"), 1)])
def test_a_prior_that_is_no_distribution_is_refused(prior):
    with pytest.raises(DataError, match="prior must be a number above 0"):
        shrink_rates([1], trials=[2], prior=prior)
