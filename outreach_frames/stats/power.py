"""
Tests that may be looked at every day, and how many enrollments a test needs.

Notes
-----
The trials are taken in cohorts, in order of time. New successes of a cohort fall on its trials that had none yet. If
the groups do not differ, all ways to fall are equally likely (the hypergeometric distribution), whatever the rates, the
split, and the time that a success takes. The likelihood ratio of a log odds ratio δ against 0, multiplied over cohorts
and looks and averaged over δ ~ N(0, 0.4²), is a martingale that starts at 1; by Ville's inequality it reaches 1/α with
probability α at most. J. ter Schure, M. F. Pérez-Ortiz, A. Ly and P. Grünwald, "The anytime-valid logrank test: error
control under continuous monitoring with unlimited horizon", New England Journal of Statistics in Data Science 2 (2024)
190–214. In large samples this is the mixture sequential probability ratio test of `comparisons.always_valid_p` with
τ = 0.4 p̄(1 − p̄). It needs about 1.7 times as many trials as one look at the end; see `noncentrality`.

One look at the end: two independent proportions, two-sided, normal approximation: J. L. Fleiss, B. Levin and M. C.
Paik, "Statistical Methods for Rates and Proportions" (3rd ed., 2003), section 4.2; the same formula as R's
``power.prop.test``.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import comb
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize.elementwise import find_root
from scipy.special import gammaln, logsumexp
from scipy.stats import norm

from outreach_frames._renamed import with_old_positions
from outreach_frames.errors import DataError
from outreach_frames.stats._pandas import Floats, Ints, float_column, write
from outreach_frames.stats._statistic import StatContext
from outreach_frames.stats._validation import numbers

BASELINES = (0.01, 0.02, 0.03, 0.05, 0.08, 0.12)
DIFFERENCES = (0.005, 0.01, 0.02, 0.03, 0.05)


@with_old_positions("differences")
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

    Examples
    --------
    >>> table = stats.power_table(0.05, differences=[0.02, 0.05], arms=2, per_day=40)
    >>> table[["difference", "n_per_arm", "days"]].to_dict("records")
    [{'difference': 0.02, 'n_per_arm': 3790, 'days': 190}, {'difference': 0.05, 'n_per_arm': 770, 'days': 39}]
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
    plan = pd.DataFrame(
        {"baseline": baseline, "difference": difference, "n_per_arm": whole_column(n), "days": whole_column(days)}
    )
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
        Of `comparisons.always_valid_p`; default: the test of `power.exact_p`.

    Returns
    -------
    n : array
        Rounded up; NaN where the improved rate is no rate.

    Notes
    -----
    The squared difference over its variance 2p̄(1 − p̄)/n must reach `power.noncentrality`.
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


def whole_column(values: Floats) -> "pd.Series[int]":
    """Return whole floats as an integer column, NaN as missing."""
    return float_column(values).astype("int64[pyarrow]")


SPREAD = 0.4
"""Standard deviation of the log odds ratios expected beforehand: of rates of which one is half as high again."""

LOOKS = 50
"""Looks on the way to the end of a plan: about one a day."""

COHORT = 20
"""Trials of both groups from which on a cohort is closed: of fewer, chance alone decides who is compared with whom."""

NEVER = -1
"""Day of a success that did not happen."""

_RATIO = 1.15
_ODDS = 0.01 * _RATIO ** np.arange(40)  # closer than the data can tell apart when they tell anything
_ODDS = np.concatenate([-_ODDS[::-1], _ODDS])
_DENSITY = np.log(np.abs(_ODDS)) - (_ODDS / SPREAD) ** 2 / 2
_DENSITY -= logsumexp(_DENSITY)
_POWER_NODES, _POWER_WEIGHTS = np.polynomial.legendre.leggauss(96)
_DEVIATION_REACH = 8.0
_RATIOS = np.geomspace(0.02, 50, 48)


class Trials(NamedTuple):
    """
    Trials of one group, one entry for each.

    Attributes
    ----------
    days
        When it was made [days].
    success_days
        When it succeeded, not before [days]; `NEVER` where it did not.
    """

    days: Ints
    success_days: Ints


def exact_evidence(first: Trials, second: Trials) -> tuple[Ints, Floats]:
    """
    Weigh the differences that there could be between two groups, day by day.

    Returns
    -------
    days
        On which something was learnt, in order.
    log_ratios : shape (n_days, n_differences)
        Logarithm of the likelihood ratio of each log odds ratio of `_ODDS` against 0, up to the end of each day.
    """
    trials = np.concatenate([first.days, second.days])
    succeeded = np.concatenate([first.success_days, second.success_days])
    group = np.repeat([0, 1], [len(first.days), len(second.days)])
    cohort, closed = _cohorts(trials)
    size = np.zeros((len(closed), 2), dtype=np.int64)
    counted = cohort < len(closed)
    np.add.at(size, (cohort[counted], group[counted]), 1)
    counted &= succeeded != NEVER
    cohort, group = cohort[counted], group[counted]
    seen = np.maximum(succeeded[counted], closed[cohort])
    cells, cell = np.unique(np.stack([cohort, seen]), axis=1, return_inverse=True)
    new = np.zeros((cells.shape[1], 2), dtype=np.int64)
    np.add.at(new, (cell, group), 1)
    before = new.cumsum(axis=0) - new
    starts = np.searchsorted(cells[0], cells[0])
    at_risk = size[cells[0]] - (before - before[starts])
    days, day = np.unique(cells[1], return_inverse=True)
    ratios = np.zeros((len(days), len(_ODDS)))
    np.add.at(ratios, day, _log_ratios(new, at_risk))
    return days, ratios.cumsum(axis=0)


def _cohorts(trials: Ints) -> tuple[Ints, Ints]:
    """
    Part trials into cohorts of whole days, each as short as `COHORT` trials allow.

    Returns
    -------
    cohort
        Of each trial; those of the last days, when they are too few, have the next number.
    closed
        Last day of each cohort.
    """
    days, day, sizes = np.unique(trials, return_inverse=True, return_counts=True)
    number, cohort_of_day, closed, so_far = 0, np.zeros(len(days), dtype=np.int64), [], 0
    for place, some in enumerate(sizes):
        cohort_of_day[place] = number
        so_far += some
        if so_far >= COHORT:
            closed.append(days[place])
            number, so_far = number + 1, 0
    return cohort_of_day[day], np.array(closed, dtype=np.int64)


def exact_p(log_ratios: Floats, design_effect: npt.ArrayLike = 1.0) -> Floats:
    """
    Compute a p-value that stays valid however often one looks.

    Parameters
    ----------
    log_ratios
        See `exact_evidence`.
    design_effect
        On each day, or on all of them [at least 1]: how many trials that belong together tell as much as one alone.
        The log ratios are divided by it; the level is then kept in large samples only.

    Returns
    -------
    p : shape (n_days,)
        min(1, 1 / the largest mean likelihood ratio so far), so it never rises.
    """
    effect = np.broadcast_to(np.asarray(design_effect, dtype=np.float64), len(log_ratios))
    evidence = logsumexp(log_ratios / effect[:, None] + _DENSITY, axis=1)
    p: Floats = np.exp(-np.maximum(np.maximum.accumulate(evidence), 0.0))
    return p


def _log_ratios(new: Ints, at_risk: Ints) -> Floats:
    """Return, by log odds ratio, the log likelihood ratio against 0 of how new successes fell on trials at risk."""
    ratios = np.zeros((len(new), len(_ODDS)))
    drawn = new.sum(axis=1)
    least, most = np.maximum(0, drawn - at_risk[:, 1]), np.minimum(drawn, at_risk[:, 0])
    telling = np.flatnonzero(least < most)  # else they could fall in one way only
    if telling.size:
        sizes = (most - least + 1)[telling]
        starts = np.cumsum(sizes) - sizes
        part = np.repeat(np.arange(len(sizes)), sizes)
        row = telling[part]
        could = np.arange(sizes.sum()) - starts[part] + least[row]
        log_ways = _log_binomial(at_risk[row, 0], could) + _log_binomial(at_risk[row, 1], drawn[row] - could)
        null = log_ways - _log_sums(log_ways, starts, part)[part]
        columns = [odds * new[telling, 0] - _log_sums(null + odds * could, starts, part) for odds in _ODDS]
        ratios[telling] = np.stack(columns, axis=1)
    return ratios


def _log_sums(logs: Floats, starts: Ints, part: Ints) -> Floats:
    largest = np.maximum.reduceat(logs, starts)
    sums: Floats = largest + np.log(np.add.reduceat(np.exp(logs - largest[part]), starts))
    return sums


def _log_binomial(n: Ints, k: Ints) -> Floats:
    ways: Floats = gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)
    return ways


def noncentrality(ratio: npt.ArrayLike, *, power: float = 0.8, alpha: float = 0.05) -> Floats:
    """
    Return the squared standardized difference at which the always-valid test finds it.

    Parameters
    ----------
    ratio
        Standard deviation of the differences expected beforehand, in multiples of the difference that there is.
    power
        Probability that the test has found it by then, at one of `LOOKS` looks.
    alpha
        Level of the test.

    Returns
    -------
    noncentrality : array
        The squared difference, divided by its variance at the end; read off a table, to within 0.2 %.
    """
    logs = np.log(np.clip(np.asarray(ratio, dtype=np.float64), *_RATIOS[[0, -1]]))
    read: Floats = np.exp(np.interp(logs, np.log(_RATIOS), _table(power, alpha)))
    return read


@lru_cache(maxsize=64)
def _table(power: float, alpha: float) -> Floats:
    """Compute the logarithm of the noncentrality for `_RATIOS`, which takes long enough to do it once."""
    return np.log(_noncentrality(_RATIOS, power, alpha))


def _noncentrality(sigma: Floats, power: float, alpha: float) -> Floats:
    """
    Integrate the paths that have not stopped, from look to look.

    Notes
    -----
    The score of a difference 1 is a Brownian motion with drift 1 in the information I. The test stops at
    |S| ≥ √((1/σ² + I)(2 log 1/α + log(1 + σ²I))), σ being the ratio. Seen at the last look only, it would need the most
    information; up to there the density is integrated as P. Armitage, C. K. McPherson and B. C. Rowe, JRSS A 132 (1969)
    235–244, do.
    """
    quantile = norm.ppf(power)

    def spare(log_information: Floats, sigma: Floats) -> Floats:
        information = np.exp(log_information)
        rest: Floats = information - _boundary(information, sigma, alpha) - quantile * np.sqrt(information)
        return rest

    most = np.exp(find_root(spare, (np.full(sigma.size, -5.0), np.full(sigma.size, 25.0)), args=(sigma,)).x)
    crossed = np.zeros((LOOKS + 1, sigma.size))
    step = most / LOOKS
    points, density = np.zeros((sigma.size, 1)), np.ones((sigma.size, 1))
    for look in range(1, LOOKS + 1):
        information = step * look
        bound, reach = _boundary(information, sigma, alpha), _DEVIATION_REACH * np.sqrt(information)
        low, high = np.maximum(-bound, information - reach), np.minimum(bound, information + reach)
        half = (high - low)[:, None] / 2
        at = low[:, None] + half * (1 + _POWER_NODES)
        width = np.sqrt(step)[:, None, None]
        gaps = (at[:, :, None] - points[:, None, :] - step[:, None, None]) / width
        arrived = np.exp(-(gaps**2) / 2) / (width * np.sqrt(2 * np.pi)) @ density[:, :, None]
        points, density = at, half * _POWER_WEIGHTS * arrived[:, :, 0]
        crossed[look] = 1 - density.sum(axis=1)
    needed = [np.interp(power, crossed[:, cell], np.arange(LOOKS + 1) * step[cell]) for cell in range(sigma.size)]
    return np.array(needed)


def _boundary(information: Floats, sigma: Floats, alpha: float) -> Floats:
    spread = 1 + sigma**2 * information
    bound: Floats = np.sqrt(spread / sigma**2 * (2 * np.log(1 / alpha) + np.log(spread)))
    return bound
