from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.integrate import quad
from scipy.special import betaln
from scipy.stats import beta, norm

from outreach_frames.errors import DataError
from outreach_frames.stats.comparisons import always_valid_p, expected_loss, probability_greater
from tests.frames import ORACLE, TOLERANCE

SHAPES = st.floats(0.05, 5_000)
FIXTURES = ORACLE["numeric_fixtures"]


def test_the_worked_examples_probability_comes_out():
    case = FIXTURES["prob_first_better_uniform_prior"][0]
    first = case["x1"] + 1, case["n1"] - case["x1"] + 1
    second = case["x2"] + 1, case["n2"] - case["x2"] + 1

    assert probability_greater(first, second) == pytest.approx(case["p"], abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(*[st.integers(1, 300)] * 4)
def test_whole_numbers_have_a_closed_form(a, b, c, d):
    """E. Miller, "Formulas for Bayesian A/B testing" (2015): a finite sum of Beta functions."""
    terms = [betaln(c + i, d + b) - np.log(b + i) - betaln(1 + i, b) - betaln(c, d) for i in range(a)]

    assert probability_greater((a, b), (c, d)) == pytest.approx(np.exp(terms).sum(), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(*[SHAPES] * 4)
def test_one_of_two_is_greater(a, b, c, d):
    assert probability_greater((a, b), (c, d)) + probability_greater((c, d), (a, b)) == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((13, 189), (6, 206), 0.964546910033163),
        ((142.52408699278055, 0.057027132537987205), (0.11126196127763532, 0.060920522598811096), 0.772889404543674),
        ((0.0112, 0.0498), (0.0104, 0.0415), 0.501983576743009),
        ((0.5, 3.2), (0.05, 0.9), 0.853125428280781),
        ((1.5, 2000.0), (0.7, 1200.0), 0.63173967849429),
        ((0.0112, 0.5), (300.5, 2.25), 0.00180587688326782),
    ],
)
def test_ten_decimals_are_those_of_quadrature_with_25_digits(first, second, expected):
    """By mpmath: ∫ f₁ F₂ on the log-odds scale, with its own incomplete Beta function."""
    assert probability_greater(first, second) == pytest.approx(expected, abs=1e-10)
    assert probability_greater(second, first) == pytest.approx(1 - expected, abs=1e-10)


@pytest.mark.parametrize("scale", [1, 5, 25])
def test_ten_decimals_are_those_of_exact_fractions(scale):
    """For whole numbers F₂(s) is a binomial tail, and each of its terms times f₁ integrates to a fraction."""
    a, b, c, d = 3 * scale, 40 * scale, 2 * scale, 37 * scale
    draws = c + d - 1
    terms = (
        Fraction(comb(draws, k) * a * comb(a + b - 1, a), (a + k) * comb(a + b + draws - 1, a + k))
        for k in range(c, draws + 1)
    )

    assert probability_greater((a, b), (c, d)) == pytest.approx(float(sum(terms)), abs=1e-10)


def test_powers_of_uniform_variables_are_known():
    """Beta(a, 1) is U^(1/a), so P = a/(a + c): far below 1 trial, where quadrature over the rate itself fails."""
    assert probability_greater((0.01, 1), (0.02, 1)) == pytest.approx(1 / 3, abs=1e-8)


@settings(max_examples=20, deadline=None)
@given(*[st.floats(0.5, 400)] * 4)
def test_the_loss_is_the_mean_of_the_shortfall(a, b, c, d):
    """E[max(θ₂ − θ₁, 0)] = ∫ F₁(t) (1 − F₂(t)) dt, integrated by SciPy."""
    marks = np.unique([beta.ppf(q, *shape) for shape in ((a, b), (c, d)) for q in (0.01, 0.5, 0.99)])
    expected, _ = quad(lambda t: beta.cdf(t, a, b) * beta.sf(t, c, d), 0, 1, points=marks, limit=200)

    assert expected_loss((a, b), (c, d)) == pytest.approx(expected, abs=1e-7)


def test_losses_differ_by_the_means():
    """E[max(d, 0)] − E[max(−d, 0)] = E[d]."""
    first, second = (13, 189), (6, 206)

    assert expected_loss(second, first) - expected_loss(first, second) == pytest.approx(13 / 202 - 6 / 212)


def test_the_worked_examples_always_valid_p_comes_out():
    case = FIXTURES["always_valid_single_look"][0]
    counts = np.array([[case["x1"], case["x2"]]]), np.array([[case["n1"], case["n2"]]])

    p = always_valid_p(*counts, tau=case["tau"])

    assert p.tolist() == pytest.approx([case["p"]], abs=TOLERANCE)
    assert 1 / p[0] == pytest.approx(case["lambda"], abs=TOLERANCE)


def test_the_likelihood_ratio_is_that_of_a_normal_mixture():
    """Λ is the density of the difference under N(0, V + τ²) over that under N(0, V)."""
    x, n, tau = np.array([[40, 12]]), np.array([[300, 310]]), 0.03
    pooled = x.sum() / n.sum()
    variance = pooled * (1 - pooled) * (1 / n).sum()
    difference = x[0, 0] / n[0, 0] - x[0, 1] / n[0, 1]

    ratio = norm.pdf(difference, 0, np.sqrt(variance + tau**2)) / norm.pdf(difference, 0, np.sqrt(variance))

    assert always_valid_p(x, n, tau=tau)[0] == pytest.approx(1 / ratio)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.booleans()] * 2), min_size=1, max_size=200))
def test_evidence_is_never_taken_back(outcomes):
    """The p-value is that of the strongest look so far, so that looking again cannot undo a stop."""
    counts = np.cumsum(np.array(outcomes, dtype=np.int64), axis=0)
    p = always_valid_p(counts, np.arange(1, len(counts) + 1)[:, None].repeat(2, axis=1), tau=0.1)

    assert (np.diff(p) <= 0).all()
    assert ((p > 0) & (p <= 1)).all()


@pytest.mark.parametrize(("x", "n"), [([0, 0], [50, 60]), ([50, 60], [50, 60]), ([3, 0], [40, 0]), ([0, 0], [0, 0])])
def test_what_cannot_differ_is_no_evidence(x, n):
    assert always_valid_p(np.array([x]), np.array([n])).tolist() == [1]


def test_overwhelming_evidence_stays_a_number():
    p = always_valid_p(np.array([[900_000, 100_000]]), np.array([[1_000_000, 1_000_000]]), tau=0.1)

    assert p.tolist() == [0]


@pytest.mark.parametrize("tau", [0, -0.01, float("nan")])
def test_tau_is_a_spread(tau):
    with pytest.raises(DataError, match="tau must be above 0"):
        always_valid_p(np.array([[1, 2]]), np.array([[10, 10]]), tau=tau)
