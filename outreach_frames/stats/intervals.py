"""
Intervals for proportions and for survival curves.

Notes
-----
Wilson: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927) 209–212;
the score interval without continuity correction, method 3 of R. G. Newcombe, "Two-sided confidence intervals for the
single proportion: comparison of seven methods", Statistics in Medicine 17 (1998) 857–872.

Difference: R. G. Newcombe, "Interval estimation for the difference between independent proportions: comparison of
eleven methods", Statistics in Medicine 17 (1998) 873–890, method 10.

Curves: the log(−log) transformation of J. D. Kalbfleisch and R. L. Prentice, "The Statistical Analysis of Failure Time
Data" (1980), section 1.3, which keeps the band inside [0, 1].
"""

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from outreach_frames.errors import DataError

Counts = Sequence[int] | npt.NDArray[np.integer[Any]] | pd.Series
Floats = npt.NDArray[np.float64]


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


def with_rate(
    frame: nw.LazyFrame[Any], name: str, successes: str, trials: str, *, ci: float = 0.95
) -> nw.LazyFrame[Any]:
    """
    Add ``<name>``, ``<name>_n``, ``<name>_lo`` and ``<name>_hi``: a proportion with its Wilson interval.

    Parameters
    ----------
    frame
        Holds the two counts.
    name
        The rate's column, such as ``"reply_rate"``.
    successes, trials
        Columns of whole numbers, 0 ≤ successes ≤ trials.
    ci
        Confidence level.

    Returns
    -------
    frame : LazyFrame
        With four more columns; rate and bounds are missing where there are no trials.
    """
    z = z_value(ci)
    x = nw.col(successes).cast(nw.Float64)
    n = nw.when(nw.col(trials) > 0).then(nw.col(trials).cast(nw.Float64))
    p = nw.col(name)
    centre = (p + z * z / 2 / n) / (z * z / n + 1.0)
    margin = ((p * (1.0 - p) / n + z * z / 4 / n / n).sqrt() * z) / (z * z / n + 1.0)
    none, all_ = nw.col(successes) == 0, nw.col(successes) == nw.col(trials)
    lo = nw.when(none).then(p).otherwise(centre - margin)  # rounding must not move the ends off 0 and 1
    hi = nw.when(all_).then(p).otherwise(centre + margin)
    return frame.with_columns((x / n).alias(name), nw.col(trials).alias(f"{name}_n")).with_columns(
        lo.alias(f"{name}_lo"), hi.alias(f"{name}_hi")
    )


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
        raise DataError("successes must be as many as trials, each between 0 and its trials.")
    counts = pd.DataFrame({"x": x, "trials": n}, dtype=pd.ArrowDtype(pa.int64()))
    rated: pd.DataFrame = with_rate(nw.from_native(counts).lazy(), "rate", "x", "trials", ci=ci).collect().to_native()
    return rated.rename(columns={"rate_n": "n", "rate_lo": "lo", "rate_hi": "hi"})[["rate", "n", "lo", "hi"]]


def newcombe_difference(
    successes: tuple[int, int], trials: tuple[int, int], *, ci: float = 0.95
) -> tuple[float, float, float]:
    """
    Compute the difference of two independent proportions with Newcombe's hybrid score interval.

    Parameters
    ----------
    successes, trials
        Of the first and of the second group.
    ci
        Confidence level.

    Returns
    -------
    diff, lo, hi
        First minus second, in [−1, 1]; all NaN where a group has no trials.
    """
    if 0 in trials:
        return (float("nan"),) * 3
    rates = wilson(successes, trials, ci=ci)
    p, lo, hi = (rates[name].to_numpy(dtype=np.float64) for name in ("rate", "lo", "hi"))
    diff = float(p[0] - p[1])
    below = float(np.hypot(p[0] - lo[0], hi[1] - p[1]))
    above = float(np.hypot(hi[0] - p[0], p[1] - lo[1]))
    return diff, diff - below, diff + above


def loglog_band(estimate: Floats, standard_error: Floats, *, ci: float = 0.95) -> tuple[Floats, Floats]:
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

    Returns
    -------
    lo, hi
        In [0, 1]; NaN where the estimate is 0 or 1, where the transformation does not exist.
    """
    inside = (estimate > 0) & (estimate < 1)
    value = np.where(inside, estimate, 0.5)
    spread = z_value(ci) * standard_error / np.abs(value * np.log(value))
    first, second = value ** np.exp(spread), value ** np.exp(-spread)
    return np.where(inside, first, np.nan), np.where(inside, second, np.nan)
