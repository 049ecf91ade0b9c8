import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.stats import binom, binomtest, fisher_exact

from outreach_frames.stats.intervals import MIN_EVENTS, exact_lower, p_above, p_below, p_different, p_greater


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.001, 0.999))
def test_tails_are_those_of_the_binomial_distribution(counts, rate):
    x, n = counts

    assert p_above(x, n, rate) == pytest.approx(binom.sf(x - 1, n, rate), abs=1e-12)
    assert p_below(x, n, rate) == pytest.approx(binom.cdf(x, n, rate), abs=1e-12)


def counts():
    return st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts(), counts())
def test_two_groups_are_compared_as_by_fisher(first, second):
    (x, n), (y, m) = first, second
    table = [[x, n - x], [y, m - y]]

    assert p_greater(x, n, y, m) == pytest.approx(fisher_exact(table, alternative="greater").pvalue, rel=1e-6, abs=1e-9)
    assert p_greater(y, m, x, n) == pytest.approx(fisher_exact(table, alternative="less").pvalue, rel=1e-6, abs=1e-9)


def test_a_large_group_is_a_known_rate():
    assert p_greater(12, 60, 6_000_000, 60_000_000) == pytest.approx(binom.sf(11, 60, 0.1), rel=1e-3)


def test_two_sided_is_twice_the_smaller_tail():
    less, greater = p_greater(5, 210, 12, 200), p_greater(12, 200, 5, 210)

    assert p_different(12, 200, 5, 210) == pytest.approx(2 * min(less, greater))
    assert p_different(5, 100, 5, 100) == 1


def test_groups_are_compared_side_by_side():
    p = p_greater([5, 0, 7], [50, 50, 7], 5, 50)

    assert p.shape == (3,)
    assert p[1] == 1
    assert p[2] == pytest.approx(fisher_exact([[7, 0], [5, 45]], alternative="greater").pvalue)


def test_effective_counts_lie_between_those_of_whole_numbers():
    assert p_above(3, 30, 0.02) > p_above(3.5, 30, 0.02) > p_above(4, 30, 0.02)
    assert p_greater(3, 30, 5, 500) > p_greater(3.5, 30, 5, 500) > p_greater(4, 30, 5, 500)


def test_the_lower_end_is_that_of_clopper_and_pearson():
    assert exact_lower([0, 3, 30], [30, 30, 30]) == pytest.approx(
        [binomtest(x, 30).proportion_ci(method="exact").low for x in (0, 3, 30)]
    )
    assert np.isnan(exact_lower(0, 0))


RATES = (0.002, 0.005, 0.01, 0.02)
SIZES = (30, 60, 120, 250, 500)


def called_above(rate, n):
    """Return how often a rate is called above itself, exactly, over all counts."""
    x = np.arange(n + 1)
    called = (x >= MIN_EVENTS) & (p_above(x, n, rate) <= 0.025)
    return binom.pmf(x[called], n, rate).sum()


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("n", SIZES)
def test_a_rare_event_is_called_above_no_more_often_than_said(rate, n):
    """One of 30 at a true 0.5 % was called above in 14 % of cases by Wilson's lower bound."""
    assert called_above(rate, n) <= 0.025
