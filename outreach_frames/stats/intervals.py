"""
Intervals and exact tests for proportions.

A rate among trials that belong together is tested with its effective counts: successes and trials divided by the design
effect. The binomial tail is defined for them through the Beta distribution, and so is Fisher's test.

Notes
-----
Binomial: P(X ≥ x) of n trials at rate p is the Beta(x, n − x + 1) distribution function at p; C. J. Clopper and
E. S. Pearson, Biometrika 26 (1934) 404–413. Fisher: the one-sided probability is that of θ₁ ≤ θ₂ for
θ₁ ~ Beta(x₁, n₁ − x₁ + 1) and θ₂ ~ Beta(x₂ + 1, n₂ − x₂); P. M. E. Altham, "Exact Bayesian analysis of a 2 × 2
contingency table, and Fisher's 'exact' significance test", JRSS B 31 (1969) 261–269.

Wilson: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927) 209–212;
the score interval without continuity correction, method 3 of R. G. Newcombe, "Two-sided confidence intervals for the
single proportion: comparison of seven methods", Statistics in Medicine 17 (1998) 857–872.

Difference: R. G. Newcombe, "Interval estimation for the difference between independent proportions: comparison of
eleven methods", Statistics in Medicine 17 (1998) 873–890, method 10.

Curves: the log(−log) transformation of J. D. Kalbfleisch and R. L. Prentice, "The Statistical Analysis of Failure Time
Data" (1980), section 1.3, which keeps the band inside [0, 1].
"""

from collections.abc import Mapping, Sequence
from functools import partial
from math import hypot, sqrt
from statistics import NormalDist
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from scipy.special import betainc, betaincinv, betaln, stdtrit, xlog1py, xlogy

from outreach_frames.errors import DataError
from outreach_frames.stats._backends import on_table, pandas_of, with_stacked, wrap
from outreach_frames.stats._pandas import Floats

MIN_EVENTS = 3
"""With fewer events nothing is said to be above a rate."""

_TAIL_PROBABILITY = 1e-14
_LEGENDRE_NODES, _LEGENDRE_WEIGHTS = np.polynomial.legendre.leggauss(100)


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
    counts = (successes, trials, other_successes, other_trials)
    x, n, y, m = np.broadcast_arrays(*(np.asarray(values, dtype=np.float64) for values in counts))
    tested = (x > 0) & (y < m)
    x, n, y, m = (np.where(tested, values, stand_in) for values, stand_in in ((x, 1), (n, 2), (y, 1), (m, 2)))
    low, high = betaincinv(y + 1, m - y, _TAIL_PROBABILITY), betaincinv(y + 1, m - y, 1 - _TAIL_PROBABILITY)
    half = ((high - low) / 2)[..., None]
    at = low[..., None] + half * (1 + _LEGENDRE_NODES)
    density = np.exp(xlogy(y[..., None], at) + xlog1py((m - y - 1)[..., None], -at) - betaln(y + 1, m - y)[..., None])
    less = betainc(x[..., None], (n - x + 1)[..., None], at)
    p: Floats = np.where(tested, np.clip((half * density * less * _LEGENDRE_WEIGHTS).sum(axis=-1), 0.0, 1.0), 1.0)
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


Counts = Sequence[int] | npt.NDArray[np.integer[Any]] | pd.Series


def z_value(ci: float) -> float:
    """
    Return the standard normal quantile of a two-sided interval.

    Parameters
    ----------
    ci
        Confidence level, strictly between 0 and 1; 0.95 gives 1.959964.

    Raises
    ------
    DataError
        The level is not a probability.
    """
    if not 0 < ci < 1:
        raise DataError(f"ci must lie strictly between 0 and 1, not at {ci}.", hint="Write 0.95 for 95 %.")
    return NormalDist().inv_cdf((1 + ci) / 2)


def with_rates(
    frame: nw.LazyFrame[Any], rates: Mapping[str, tuple[str, str]], *, ci: float = 0.95
) -> nw.LazyFrame[Any]:
    """
    Add proportions with their Wilson intervals: ``<name>``, ``<name>_n``, ``<name>_lo``, ``<name>_hi``.

    Parameters
    ----------
    frame
        Holds the counts; for rates whose trials belong together also ``<name>_deff``, the design effect, and
        ``<name>_freedom``, the degrees of freedom that it was estimated with (see `clusters`). Those are dropped.
    rates
        Columns of successes and of trials, whole numbers with 0 ≤ successes ≤ trials, by the rate's name.
    ci
        Confidence level.

    Returns
    -------
    frame : LazyFrame
        With four more columns for each rate; rate and bounds are missing where there are no trials.
    """
    z = z_value(ci)
    return on_table(frame, partial(_with_all_rates, rates=rates, z=z))


def _with_all_rates(frame: nw.LazyFrame[Any], rates: Mapping[str, tuple[str, str]], z: float) -> nw.LazyFrame[Any]:
    change = partial(_with_rates, z=z)
    if not frame.implementation.is_pyarrow():
        return change(frame, rates)
    present, design = set(frame.collect_schema().names()), ("_deff", "_freedom")
    clustered = {name: counts for name, counts in rates.items() if f"{name}_deff" in present}
    independent = {name: counts for name, counts in rates.items() if name not in clustered}
    for some, takes in ((clustered, design), (independent, ())):
        if some:
            frame = with_stacked(frame, some, change, takes=takes, makes=("", "_n", "_lo", "_hi"))
    return frame.drop(*(f"{name}{end}" for name in clustered for end in design), strict=False)


def _with_rates(frame: nw.LazyFrame[Any], rates: Mapping[str, tuple[str, str]], *, z: float) -> nw.LazyFrame[Any]:
    present = frame.collect_schema().names()
    used = [name for name in rates if f"{name}_deff" in present]
    trials = {name: nw.when(nw.col(n) > 0).then(nw.col(n).cast(nw.Float64)) for name, (_, n) in rates.items()}
    squares = {name: nw.lit(z * z) for name in rates} | {
        name: _t_quantile(z, f"{name}_freedom") ** 2 * nw.col(f"{name}_deff") for name in used
    }
    frame = frame.with_columns(
        *(nw.col(n).alias(f"{name}_n") for name, (_, n) in rates.items()),
        *((nw.col(x).cast(nw.Float64) / trials[name]).alias(name) for name, (x, _) in rates.items()),
        *((1.0 / (squares[name] / trials[name] + 1.0)).alias(f"{name}_weight") for name in rates),
    ).with_columns(
        expression.alias(f"{name}_{part}") for name in rates for part, expression in _wilson_parts(name).items()
    )
    frame = frame.with_columns(
        expression.alias(f"{name}_{end}") for name in rates for end, expression in _wilson_ends(name).items()
    )
    helpers = [f"{name}_{part}" for name in rates for part in ("weight", "center", "margin")]
    return frame.drop(*helpers, *(f"{name}_{part}" for name in used for part in ("deff", "freedom")))


def _t_quantile(z: float, freedom: str) -> nw.Expr:
    """Expand Student's quantile in that of the normal distribution; Abramowitz and Stegun, 26.7.5."""
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    quantile, inverse = nw.lit(z), 1.0 / nw.col(freedom)
    for power, term in enumerate(terms, start=1):
        quantile += term * inverse**power
    return quantile


def _wilson_parts(name: str) -> dict[str, nw.Expr]:
    p, weight = nw.col(name), nw.col(f"{name}_weight")  # weight = n / (n + z²)
    spread = p * (1.0 - p) * weight + (1.0 - weight) / 4
    return {"center": p * weight + (1.0 - weight) / 2, "margin": (spread * (1.0 - weight)).sqrt()}


def _wilson_ends(name: str) -> dict[str, nw.Expr]:
    p, center, margin = (nw.col(column) for column in (name, f"{name}_center", f"{name}_margin"))
    return {  # rounding must not move an end off 0 or 1
        "lo": nw.when(p > 0).then(center - margin).otherwise(p),
        "hi": nw.when(p < 1).then(center + margin).otherwise(p),
    }


def wilson(successes: Counts, trials: Counts, *, ci: float = 0.95) -> pd.DataFrame:
    """
    Compute proportions with their Wilson score intervals.

    Parameters
    ----------
    successes, trials
        Equally long vectors of whole numbers, 0 ≤ successes ≤ trials.
    ci
        Confidence level.

    Returns
    -------
    intervals : DataFrame, shape (n, 4)
        ``rate``, ``n``, ``lo``, ``hi``; rate and bounds are missing where trials are 0.

    Raises
    ------
    DataError
        The vectors differ in length, or a success has no trial.
    """
    x, n = np.asarray(successes, dtype=np.int64), np.asarray(trials, dtype=np.int64)
    if x.shape != n.shape or np.any(x < 0) or np.any(x > n):
        raise DataError(
            f"{x.size} successes do not fit {n.size} trials: each must be between 0 and its trials.",
            hint="Pass two vectors of equal length.",
        )
    counts = pd.DataFrame({"x": x, "trials": n}, dtype=pd.ArrowDtype(pa.int64()))
    rated = pandas_of(with_rates(wrap(counts), {"rate": ("x", "trials")}, ci=ci))
    return rated.rename(columns={"rate_n": "n", "rate_lo": "lo", "rate_hi": "hi"})[["rate", "n", "lo", "hi"]]


def newcombe_difference(
    successes: tuple[float, float], trials: tuple[float, float], *, ci: float = 0.95
) -> tuple[float, float, float]:
    """
    Compute the difference of two independent proportions with Newcombe's hybrid score interval.

    Parameters
    ----------
    successes, trials
        Of the first and of the second group; effective counts need not be whole.
    ci
        Confidence level.

    Returns
    -------
    diff, lo, hi
        First minus second, in [−1, 1]; all NaN where a group has no trials.
    """
    first, second = (score_interval(x, n, ci=ci) for x, n in zip(successes, trials, strict=True))
    return difference_of(first, second)


def difference_of(first: tuple[float, float, float], second: tuple[float, float, float]) -> tuple[float, float, float]:
    """
    Combine the intervals of two independent proportions into that of their difference, as Newcombe does.

    Parameters
    ----------
    first, second
        Rate, lower and upper end of each.

    Returns
    -------
    diff, lo, hi
        First minus second; all NaN where a rate is NaN.
    """
    (p, lo, hi), (q, q_lo, q_hi) = first, second
    return p - q, p - q - hypot(p - lo, q_hi - q), p - q + hypot(hi - p, q - q_lo)


def score_interval(successes: float, trials: float, *, ci: float = 0.95) -> tuple[float, float, float]:
    """Compute one proportion with its Wilson interval, NaN without trials; effective counts may be fractions."""
    if not trials:
        return (float("nan"),) * 3
    z = z_value(ci)
    p, weight = successes / trials, 1 / (z * z / trials + 1)
    center = p * weight + (1 - weight) / 2
    margin = sqrt((p * (1 - p) * weight + (1 - weight) / 4) * (1 - weight))
    return p, center - margin if p > 0 else p, center + margin if p < 1 else p


def loglog_band(
    estimate: Floats, standard_error: Floats, *, ci: float = 0.95, freedom: float = np.inf
) -> tuple[Floats, Floats]:
    """
    Bound a probability curve on the log(−log) scale.

    Parameters
    ----------
    estimate
        A survival or incidence curve, in [0, 1].
    standard_error
        Of the estimate on its own scale.
    ci
        Confidence level.
    freedom
        Degrees of freedom of Student's quantile; default: the normal distribution's.

    Returns
    -------
    lo, hi
        In [0, 1]; NaN where the estimate is 0 or 1, where the transformation does not exist.
    """
    inside = (estimate > 0) & (estimate < 1)
    value = np.where(inside, estimate, 0.5)
    quantile = z_value(ci) if np.isinf(freedom) else float(stdtrit(freedom, (1 + ci) / 2))
    spread = quantile * standard_error / np.abs(value * np.log(value))
    first, second = value ** np.exp(spread), value ** np.exp(-spread)
    return np.where(inside, first, np.nan), np.where(inside, second, np.nan)
