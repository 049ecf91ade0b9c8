"""
Intervals for statistics that have no formula for one: the bootstrap, and the order statistics of a quantile.

Notes
-----
Bootstrap: percentile interval of B. Efron and R. J. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13,
by SciPy. Quantiles: order statistics, exact for continuous values; W. J. Conover, "Practical Nonparametric Statistics"
(3rd ed., 1999), section 3.2, by SciPy.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import bootstrap, quantile_test

from outreach_frames.stats._small import Floats

RESAMPLES = 2_000
_AT_ONCE = 4_000_000


def bootstrap_bounds(
    values: Floats, statistic: Callable[..., Any], *, ci: float, resamples: int, seed: int
) -> tuple[float, float]:
    """
    Bound a statistic of a sample by resampling it.

    Parameters
    ----------
    values
        The sample, nothing missing.
    statistic
        A NumPy reduction that takes ``axis``, such as `numpy.median`.
    ci
        Confidence level.
    resamples
        How often the sample is drawn anew.
    seed
        Of the draws; the same for every sample, so that a sample's bounds do not depend on the others.

    Returns
    -------
    lo, hi
        NaN with fewer than two values.
    """
    if values.size < 2:  # noqa: PLR2004  one value cannot vary
        return np.nan, np.nan
    drawn: Any = bootstrap(
        (values,),
        statistic,
        n_resamples=resamples,
        batch=max(1, _AT_ONCE // values.size),
        vectorized=True,
        confidence_level=ci,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return float(drawn.confidence_interval.low), float(drawn.confidence_interval.high)


def quantile_bounds(values: Floats, share: float, *, ci: float) -> tuple[float, float]:
    """Bound a quantile of a sample by its order statistics; NaN on a side where the sample is too small for one."""
    if not values.size:
        return np.nan, np.nan
    bounds: Any = quantile_test(values, p=share).confidence_interval(confidence_level=ci)
    return float(bounds.low), float(bounds.high)
