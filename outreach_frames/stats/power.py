"""
How many enrollments a test needs before it can tell a difference from chance.

Notes
-----
A test that is looked at every day: see `sequential.noncentrality`; it needs about 1.7 times as many as one look at the
end.

One look at the end: two independent proportions, two-sided, normal approximation: J. L. Fleiss, B. Levin and M. C.
Paik, "Statistical Methods for Rates and Proportions" (3rd ed., 2003), section 4.2; the same formula as R's
``power.prop.test``.
"""

from collections.abc import Sequence
from math import comb
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pandas as pd

from outreach_frames.errors import DataError
from outreach_frames.stats._pandas import Floats, column, write
from outreach_frames.stats._statistic import StatContext
from outreach_frames.stats._validation import numbers
from outreach_frames.stats.sequential import SPREAD, noncentrality

BASELINES = (0.01, 0.02, 0.03, 0.05, 0.08, 0.12)
DIFFERENCES = (0.005, 0.01, 0.02, 0.03, 0.05)


def power_table(
    baselines: float | Sequence[float] = BASELINES,
    *,
    differences: float | Sequence[float] = DIFFERENCES,
    arms: int = 2,
    per_day: float | None = None,
    power: float = 0.8,
    ci: float = 0.95,
    sequential: bool = True,
) -> pd.DataFrame:
    """
    Tabulate how many enrollments each variant needs, and how many days that takes.

    By default for a test that is looked at every day and stopped when it has found a difference, as `ab_test` reads it.

    Parameters
    ----------
    baselines
        Rates without the change, such as a step's reply rate.
    differences
        Improvements to detect, absolute: 0.01 is one more reply per hundred delivered.
    arms
        Variants tested at once [variants].
    per_day
        Enrollments that reach the step in a day, all variants together [enrollments/day].
    power
        Probability of detecting the difference if it is there.
    ci
        Confidence level: 1 − ci is the probability of detecting a difference if there is none, two-sided; in a
        sequential test between any of several variants.
    sequential
        ``False``: for a test that is read once, at the end; looked at before, it finds differences that are none.

    Returns
    -------
    plan : DataFrame, shape (n_baselines × n_differences, 4)
        ``baseline``, ``difference``, ``n_per_arm`` [enrollments], ``days`` (missing without ``per_day``), sorted.
        Missing where baseline + difference is not below 1.

    Raises
    ------
    DataError
        A baseline, difference, power or ci outside (0, 1), fewer than two arms, or no positive volume.

    Notes
    -----
    ``n_per_arm`` is where the test has found the difference with the given probability: the sequential one at one of
    the looks up to there, the other at the last. Of several variants the level is shared among the pairs in the
    sequential test (Bonferroni), as in `ab_test`. Source: see the module's notes.
    """
    call = StatContext("power_table", arms=arms, per_day=per_day, power=power, ci=ci, sequential=sequential)
    rates = numbers("baselines", baselines, above=0, below=1), numbers("differences", differences, above=0, below=1)
    grid = pd.MultiIndex.from_product([sorted(set(values)) for values in rates])
    baseline, difference = (grid.get_level_values(level).to_numpy(dtype=np.float64) for level in (0, 1))
    if sequential:
        n = sequential_size(baseline, difference, power=power, alpha=(1 - ci) / comb(arms, 2))
    else:
        n = sample_size(baseline, difference, power=power, alpha=1 - ci)
    days = np.full(len(n), np.nan) if per_day is None else np.ceil(n * arms / per_day)
    plan = pd.DataFrame({"baseline": baseline, "difference": difference, "n_per_arm": whole(n), "days": whole(days)})
    return write(call, plan)


def sequential_size(
    baseline: npt.ArrayLike,
    difference: npt.ArrayLike,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    tau: float | None = None,
) -> Floats:
    """
    Return the enrollments in each of two arms at which an always-valid test has found the difference.

    Parameters
    ----------
    baseline, difference
        The lower rate, and what the other one has more.
    power, alpha
        See `power_table`, where alpha = 1 − ci.
    tau
        Of `comparisons.always_valid_p`; default: the test of `sequential.exact_p`.

    Returns
    -------
    n : array
        Rounded up; NaN where the improved rate is no rate.

    Notes
    -----
    The squared difference over its variance 2p̄(1 − p̄)/n must reach `sequential.noncentrality`.
    """
    _check(power, alpha)
    first, second = _rates(baseline, difference)
    valid = ~np.isnan(first)
    lower, upper = np.where(valid, first, 0.25), np.where(valid, second, 0.5)
    variance = (lower + upper) / 2 * (1 - (lower + upper) / 2)
    gap = upper - lower
    spread = SPREAD * variance if tau is None else tau
    needed = noncentrality(spread / gap, power=power, alpha=alpha).reshape(gap.shape) * 2 * variance / gap**2
    return np.where(valid, np.ceil(needed), np.nan)


def sample_size(
    baseline: npt.ArrayLike, difference: npt.ArrayLike, *, power: float = 0.8, alpha: float = 0.05
) -> Floats:
    """
    Return the enrollments needed in each of two arms that are compared once; NaN where the improved rate is no rate.

    n = (z₁₋α⸝₂ √(2p̄q̄) + z_power √(p₁q₁ + p₂q₂))² / (p₂ − p₁)², rounded up, with p̄ the mean of the two rates.
    """
    _check(power, alpha)
    normal = NormalDist()
    first, second = _rates(baseline, difference)
    mean = (first + second) / 2
    under_null = normal.inv_cdf(1 - alpha / 2) * np.sqrt(2 * mean * (1 - mean))
    under_difference = normal.inv_cdf(power) * np.sqrt(first * (1 - first) + second * (1 - second))
    needed: Floats = np.ceil(((under_null + under_difference) / (second - first)) ** 2)
    return needed


def _check(power: float, alpha: float) -> None:
    if not (0 < power < 1 and 0 < alpha < 1):
        raise DataError("power and alpha must lie strictly between 0 and 1.", hint="0.8 and 0.05 are usual.")


def _rates(baseline: npt.ArrayLike, difference: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Return both rates; NaN where the improved one is no rate."""
    first = np.asarray(baseline, dtype=np.float64)
    second = first + np.asarray(difference, dtype=np.float64)
    valid = (first >= 0) & (second < 1) & (second > first)
    return np.where(valid, first, np.nan), np.where(valid, second, np.nan)


def whole(values: Floats) -> "pd.Series[int]":
    """Return whole floats as an integer column, NaN as missing."""
    return column(values).astype("int64[pyarrow]")
