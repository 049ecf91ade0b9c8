import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.integrate import quad
from scipy.stats import hypergeom, nchypergeom_fisher, norm

from outreach_frames.stats.power import (
    COHORT,
    NEVER,
    SPREAD,
    Trials,
    _noncentrality,
    exact_evidence,
    exact_p,
    noncentrality,
)


def group(*trials):
    """Make trials (day, day of success or None)."""
    days = [day for day, _ in trials]
    succeeded = [NEVER if success is None else success for _, success in trials]
    return Trials(np.array(days, dtype=np.int64), np.array(succeeded, dtype=np.int64))


def of_one_day(x, n, day=0):
    return [(day, day if number < x else None) for number in range(n)]


def p_of(first, second):
    p = exact_p(exact_evidence(first, second)[1])
    return p[-1] if p.size else 1.0


def test_one_look_is_a_mixture_of_noncentral_hypergeometric_ratios():
    """SciPy's distributions of Fisher, integrated over the normal prior of the log odds ratio."""
    (x1, n1), (x2, n2) = (12, 200), (5, 210)

    def ratio(log_odds):
        drawn = nchypergeom_fisher.pmf(x1, n1 + n2, n1, x1 + x2, np.exp(log_odds))
        return norm.pdf(log_odds, 0, SPREAD) * drawn / hypergeom.pmf(x1, n1 + n2, n1, x1 + x2)

    expected, _ = quad(ratio, -3, 3)

    assert p_of(group(*of_one_day(x1, n1)), group(*of_one_day(x2, n2))) == pytest.approx(1 / expected, rel=0.02)


def test_days_multiply():
    """Cohorts whose successes come at once tell as much together as the product of what each tells."""
    days = [[(9, 40), (2, 30)], [(5, 25), (1, 60)]]
    groups = [
        group(*(trial for day, both in enumerate(days) for trial in of_one_day(*both[arm], day))) for arm in (0, 1)
    ]
    alone = [exact_evidence(*(group(*of_one_day(*both)) for both in day))[1] for day in days]

    _, together = exact_evidence(*groups)

    assert together[0].tolist() == pytest.approx(alone[0][0].tolist())
    assert together[1].tolist() == pytest.approx((alone[0][0] + alone[1][0]).tolist())


def test_late_successes_fall_on_those_that_had_none():
    """Of a cohort of 30 and 30, ten of the first succeed at once; later the next success falls on 20 or on 30."""
    first = group(*of_one_day(10, 29), (0, 4))
    second = group(*of_one_day(0, 30))

    days, told = exact_evidence(first, second)

    assert days.tolist() == [0, 4]
    odds = np.exp(np.unique(told[1] - told[0]).max())
    assert 1 < odds < 50 / 20


def test_small_days_wait_until_they_make_a_cohort():
    per_day = COHORT // 4
    first, second = (
        group(*(trial for day in range(4) for trial in of_one_day(x, per_day // 2 + 1, day))) for x in (2, 0)
    )

    days, _ = exact_evidence(first, second)

    assert days.tolist() == [3] or days.tolist() == [int(np.ceil(COHORT / (2 * (per_day // 2 + 1)))) - 1]


def test_too_few_trials_are_no_evidence():
    assert p_of(group(*of_one_day(9, 9)), group(*of_one_day(0, 9))) == 1
    assert exact_evidence(group(), group())[0].size == 0


UNITS = st.lists(st.tuples(st.integers(0, 9), st.none() | st.integers(0, 5)), max_size=80)


@settings(max_examples=60, deadline=None)
@given(UNITS, UNITS)
def test_evidence_is_symmetric_and_never_taken_back(one, two):
    first, second = (group(*((day, None if lag is None else day + lag) for day, lag in units)) for units in (one, two))

    p, turned = (exact_p(exact_evidence(*pair)[1]) for pair in ((first, second), (second, first)))

    assert p.tolist() == pytest.approx(turned.tolist())
    assert (np.diff(p) <= 0).all()
    assert ((p > 0) & (p <= 1)).all()


def test_by_enumeration_the_mean_of_the_ratio_is_one():
    """All ways in which five successes can fall on 12 and 15 trials, each as likely as it is without a difference."""
    ways = np.arange(6)
    ratios = [
        1 / np.exp(np.log(1)) * np.exp(exact_evidence(group(*of_one_day(k, 12)), group(*of_one_day(5 - k, 15)))[1][-1])
        for k in ways.tolist()
    ]

    assert (hypergeom.pmf(ways, 27, 12, 5) @ np.array(ratios)).tolist() == pytest.approx([1] * len(ratios[0]))


def test_what_belongs_together_weakens_the_evidence():
    told = exact_evidence(group(*of_one_day(40, 200)), group(*of_one_day(10, 200)))[1]

    assert exact_p(told, 4.0)[-1] > 100 * exact_p(told)[-1]


def test_overwhelming_evidence_stays_a_number():
    p = p_of(group(*of_one_day(9_000, 10_000)), group(*of_one_day(1_000, 10_000)))

    assert 0 <= p < 1e-300


@pytest.mark.parametrize("ratio", [0.3, 1.0, 4.0])
def test_the_plan_is_where_brownian_paths_have_crossed_the_boundary(ratio):
    """The density, integrated from look to look, against a simulation of the same paths."""
    needed = noncentrality(ratio).item()
    rng = np.random.default_rng(4)
    looks = np.arange(1, 51) / 50 * needed
    paths = (rng.normal(size=(20_000, 50)) * np.sqrt(needed / 50) + needed / 50).cumsum(axis=1)
    spread = 1 + ratio**2 * looks
    boundary = np.sqrt(spread / ratio**2 * (2 * np.log(20) + np.log(spread)))

    assert (np.abs(paths) >= boundary).any(axis=1).mean() == pytest.approx(0.8, abs=0.012)


def test_more_power_and_a_lower_level_need_more():
    assert noncentrality(1.0, power=0.9).item() > noncentrality(1.0).item()
    assert noncentrality(1.0, alpha=0.01).item() > noncentrality(1.0).item()
    between = np.array([0.031, 0.53, 1.07, 2.9, 17.0])
    assert noncentrality(between) == pytest.approx(_noncentrality(between, 0.8, 0.05), rel=2e-3)
