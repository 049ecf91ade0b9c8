"""
Exact tests of proportions, also for effective counts, which need not be whole numbers.

A rate among trials that belong together is tested with its effective counts: successes and trials divided by the design
effect. The binomial tail is defined for them through the Beta distribution, and so is Fisher's test.

Notes
-----
Binomial: P(X ≥ x) of n trials at rate p is the Beta(x, n − x + 1) distribution function at p; C. J. Clopper and
E. S. Pearson, Biometrika 26 (1934) 404–413. Fisher: the one-sided probability is that of θ₁ ≤ θ₂ for
θ₁ ~ Beta(x₁, n₁ − x₁ + 1) and θ₂ ~ Beta(x₂ + 1, n₂ − x₂); P. M. E. Altham, "Exact Bayesian analysis of a 2 × 2
contingency table, and Fisher's 'exact' significance test", JRSS B 31 (1969) 261–269.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, betaincinv, betaln, xlog1py, xlogy

Floats = npt.NDArray[np.float64]

MIN_EVENTS = 3
"""With fewer events nothing is said to be above a rate."""

_FARTHEST = 1e-14
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(100)


def p_above(successes: npt.ArrayLike, trials: npt.ArrayLike, rate: npt.ArrayLike) -> Floats:
    """
    Return the probability of at least as many successes at a known rate.

    Parameters
    ----------
    successes, trials
        0 ≤ successes ≤ trials; effective counts may be fractions.
    rate
        The known rate, in [0, 1].

    Returns
    -------
    p : array
        One-sided p-values; 1 without successes.
    """
    x, n, p = np.broadcast_arrays(*(np.asarray(values, dtype=np.float64) for values in (successes, trials, rate)))
    some = x > 0
    tail: Floats = np.where(some, betainc(np.where(some, x, 1.0), n - np.where(some, x, 0.0) + 1, p), 1.0)
    return tail


def p_below(successes: npt.ArrayLike, trials: npt.ArrayLike, rate: npt.ArrayLike) -> Floats:
    """Return the probability of at most as many successes at a known rate; see `p_above`."""
    x, n, p = np.broadcast_arrays(*(np.asarray(values, dtype=np.float64) for values in (successes, trials, rate)))
    return p_above(n - x, n, 1 - p)


def p_greater(
    successes: npt.ArrayLike, trials: npt.ArrayLike, other_successes: npt.ArrayLike, other_trials: npt.ArrayLike
) -> Floats:
    """
    Return Fisher's one-sided p-value for the first rate being greater than the second.

    Parameters
    ----------
    successes, trials, other_successes, other_trials
        Of the two groups, which share no trial; effective counts may be fractions.

    Returns
    -------
    p : array
        1 where the first has no success or the second no failure.
    """
    given = (successes, trials, other_successes, other_trials)
    x, n, y, m = np.broadcast_arrays(*(np.asarray(values, dtype=np.float64) for values in given))
    tested = (x > 0) & (y < m)
    x, n, y, m = (np.where(tested, values, stand_in) for values, stand_in in ((x, 1), (n, 2), (y, 1), (m, 2)))
    low, high = betaincinv(y + 1, m - y, _FARTHEST), betaincinv(y + 1, m - y, 1 - _FARTHEST)
    half = ((high - low) / 2)[..., None]
    at = low[..., None] + half * (1 + _NODES)
    density = np.exp(xlogy(y[..., None], at) + xlog1py((m - y - 1)[..., None], -at) - betaln(y + 1, m - y)[..., None])
    less = betainc(x[..., None], (n - x + 1)[..., None], at)
    p: Floats = np.where(tested, np.clip((half * density * less * _WEIGHTS).sum(axis=-1), 0.0, 1.0), 1.0)
    return p


def p_different(
    successes: npt.ArrayLike, trials: npt.ArrayLike, other_successes: npt.ArrayLike, other_trials: npt.ArrayLike
) -> Floats:
    """Return the two-sided p-value of two rates: twice the smaller of Fisher's one-sided ones, at most 1."""
    forth = p_greater(successes, trials, other_successes, other_trials)
    back = p_greater(other_successes, other_trials, successes, trials)
    p: Floats = np.minimum(1.0, 2 * np.minimum(forth, back))
    return p


def exact_lower(successes: npt.ArrayLike, trials: npt.ArrayLike, *, ci: float = 0.95) -> Floats:
    """
    Return the lower end of the exact (Clopper–Pearson) interval.

    Parameters
    ----------
    successes, trials
        0 ≤ successes ≤ trials; effective counts may be fractions.
    ci
        Confidence level of the two-sided interval.

    Returns
    -------
    lower : array
        0 without successes; NaN without trials.
    """
    x, n = np.broadcast_arrays(*(np.asarray(values, dtype=np.float64) for values in (successes, trials)))
    some = x > 0
    bound = betaincinv(np.where(some, x, 1.0), np.where(some, n - x, 1.0) + 1, (1 - ci) / 2)
    lower: Floats = np.where(n > 0, np.where(some, bound, 0.0), np.nan)
    return lower
