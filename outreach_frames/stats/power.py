"""
How many enrolments a test needs before it can tell a difference from chance.

Notes
-----
Two independent proportions, two-sided, normal approximation: J. L. Fleiss, B. Levin and M. C. Paik, "Statistical
Methods for Rates and Proportions" (3rd ed., 2003), section 4.2; the same formula as R's ``power.prop.test``.
"""

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pandas as pd

from outreach_frames.errors import DataError
from outreach_frames.stats._call import Call
from outreach_frames.stats._parameters import numbers
from outreach_frames.stats._small import Floats, column, write

BASELINES = (0.01, 0.02, 0.03, 0.05, 0.08, 0.12)
DIFFERENCES = (0.005, 0.01, 0.02, 0.03, 0.05)


def power_table(
    baselines: float | Sequence[float] = BASELINES,
    differences: float | Sequence[float] = DIFFERENCES,
    *,
    arms: int = 2,
    per_day: float | None = None,
    power: float = 0.8,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """
    Tabulate how many enrolments each variant needs, and how many days that takes.

    Parameters
    ----------
    baselines
        Rates without the change, such as a step's reply rate.
    differences
        Improvements to detect, absolute: 0.01 is one more reply per hundred delivered.
    arms
        Variants tested at once [variants].
    per_day
        Enrolments that reach the step in a day, all variants together [enrolments/day].
    power
        Probability of detecting the difference if it is there.
    alpha
        Probability of seeing one if there is none, two-sided.

    Returns
    -------
    plan : DataFrame, shape (n_baselines × n_differences, 4)
        ``baseline``, ``difference``, ``n_per_arm`` [enrolments], ``days`` (missing without ``per_day``), sorted.
        Missing where baseline + difference is not below 1.

    Raises
    ------
    DataError
        A baseline, difference, power or alpha outside (0, 1), fewer than two arms, or no positive volume.

    Notes
    -----
    For a single look at the end; a test that is looked at daily needs more. Source: see the module's notes.
    """
    call = Call("power_table", arms=arms, per_day=per_day, power=power, alpha=alpha)
    rates = numbers("baselines", baselines, above=0, below=1), numbers("differences", differences, above=0, below=1)
    grid = pd.MultiIndex.from_product([sorted(set(values)) for values in rates])
    baseline, difference = (grid.get_level_values(level).to_numpy(dtype=np.float64) for level in (0, 1))
    n = sample_size(baseline, difference, power=power, alpha=alpha)
    days = np.full(len(n), np.nan) if per_day is None else np.ceil(n * arms / per_day)
    plan = pd.DataFrame({"baseline": baseline, "difference": difference, "n_per_arm": whole(n), "days": whole(days)})
    return write(call, plan)


def sample_size(
    baseline: npt.ArrayLike, difference: npt.ArrayLike, *, power: float = 0.8, alpha: float = 0.05
) -> Floats:
    """
    Return the enrolments needed in each of two arms; NaN where the improved rate is no rate.

    n = (z₁₋α⸝₂ √(2p̄q̄) + z_power √(p₁q₁ + p₂q₂))² / (p₂ − p₁)², rounded up, with p̄ the mean of the two rates.
    """
    if not (0 < power < 1 and 0 < alpha < 1):
        raise DataError("power and alpha must lie strictly between 0 and 1.", hint="0.8 and 0.05 are usual.")
    normal = NormalDist()
    first = np.asarray(baseline, dtype=np.float64)
    second = first + np.asarray(difference, dtype=np.float64)
    valid = (first >= 0) & (second < 1) & (second > first)
    first, second = np.where(valid, first, 0.25), np.where(valid, second, 0.5)
    mean = (first + second) / 2
    under_null = normal.inv_cdf(1 - alpha / 2) * np.sqrt(2 * mean * (1 - mean))
    under_difference = normal.inv_cdf(power) * np.sqrt(first * (1 - first) + second * (1 - second))
    needed: Floats = np.ceil(((under_null + under_difference) / (second - first)) ** 2)
    return np.where(valid, needed, np.nan)


def whole(values: Floats) -> "pd.Series[int]":
    """Return whole floats as an integer column, NaN as missing."""
    return column(values).astype("int64[pyarrow]")
