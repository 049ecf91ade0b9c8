"""
Survival and incidence curves, and bootstrap intervals.

A group is a table with ``duration_d`` [days] and ``event``, one row per enrollment. At a tie events precede censorings:
who is censored at a time is still at risk there.

Notes
-----
Bootstrap: percentile interval of B. Efron and R. J. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13,
by SciPy. Quantiles: order statistics, exact for continuous values; W. J. Conover, "Practical Nonparametric Statistics"
(3rd ed., 1999), section 3.2, by SciPy.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import bootstrap, quantile_test

from outreach_frames.stats._pandas import Floats
from outreach_frames.stats.intervals import loglog_band

CAUSES = ("reply", "opt_out", "bounce")
"""Outcomes; at exact ties the earlier in this list wins."""

EVENTS = (*CAUSES, "censored")


def _risk_counts(group: pd.DataFrame) -> pd.DataFrame:
    """Count, at each distinct time, who is at risk and what happens."""
    times, place = np.unique(group["duration_d"].to_numpy(dtype=np.float64), return_inverse=True)
    kind = pd.Categorical(group["event"].to_numpy(dtype=object), categories=list(EVENTS)).codes
    cells = np.bincount(place * len(EVENTS) + kind, minlength=len(times) * len(EVENTS)).reshape(-1, len(EVENTS))
    at_risk = cells.sum(axis=1)[::-1].cumsum()[::-1]
    return pd.DataFrame({"t_d": times, **dict(zip(EVENTS, cells.T, strict=True)), "at_risk": at_risk})


class Effect(NamedTuple):
    """By how much the variance of a curve is larger than that of independent enrollments; see `clusters`."""

    design: float = 1.0
    freedom: float = np.inf


INDEPENDENT = Effect()


def survival_curve(group: pd.DataFrame, event: str, ci: float, effect: Effect = INDEPENDENT) -> pd.DataFrame:
    """Compute the Kaplan–Meier curve of one event with its Greenwood band."""
    counts = _risk_counts(group)
    n = counts["at_risk"].to_numpy(dtype=np.float64)
    d = counts[event].to_numpy(dtype=np.float64)
    survival = np.cumprod(1 - d / n)
    left = n - d
    greenwood = np.cumsum(np.divide(d, n * left, out=np.zeros_like(n), where=left > 0))
    lo, hi = loglog_band(survival, survival * np.sqrt(effect.design * greenwood), ci=ci, freedom=effect.freedom)
    return pd.DataFrame(
        {
            "t_d": counts["t_d"],
            "at_risk": counts["at_risk"],
            "events": counts[event],
            "censored": counts[list(EVENTS)].sum(axis=1) - counts[event],
            "survival": survival,
            "lo": lo,
            "hi": hi,
        }
    )


def median(curve: pd.DataFrame) -> dict[str, float | None]:
    """Read the median off a survival curve and off its band [days]."""

    def first_below(column: str) -> float | None:
        reached = curve.loc[curve[column] <= 0.5 + 1e-12, "t_d"]
        return None if reached.empty else float(reached.iloc[0])

    return {"median_d": first_below("survival"), "lo": first_below("lo"), "hi": first_below("hi")}


def incidence_curves(group: pd.DataFrame, ci: float, effects: Mapping[str, Effect] | None = None) -> pd.DataFrame:
    """Compute the Aalen–Johansen curve of every cause with its band."""
    counts = _risk_counts(group)
    n = counts["at_risk"].to_numpy(dtype=np.float64)
    d_any = counts[list(CAUSES)].sum(axis=1).to_numpy(dtype=np.float64)
    event_free = np.cumprod(1 - d_any / n)
    before = np.concatenate(([1.0], event_free[:-1]))
    curves = pd.DataFrame(
        {
            "t_d": counts["t_d"],
            "at_risk": counts["at_risk"],
            "events_any": d_any.astype(np.int64),
            "censored": counts["censored"],
            "event_free": event_free,
        }
    )
    for cause in CAUSES:
        d = counts[cause].to_numpy(dtype=np.float64)
        incidence = np.cumsum(before * d / n)
        effect = (effects or {}).get(cause, INDEPENDENT)
        error = np.sqrt(effect.design * _aalen_variance(incidence, before, n, d, d_any))
        lo, hi = loglog_band(incidence, error, ci=ci, freedom=effect.freedom)
        curves[f"events_{cause}"] = counts[cause]
        curves[f"cif_{cause}"], curves[f"cif_{cause}_lo"], curves[f"cif_{cause}_hi"] = incidence, lo, hi
    return curves


def _aalen_variance(incidence: Floats, before: Floats, n: Floats, d: Floats, d_any: Floats) -> Floats:
    """
    Compute Aalen's variance of an incidence curve.

    With F the incidence, Var F(t) = Σ (F(t) − F(tᵢ))² aᵢ + Σ bᵢ − 2 Σ (F(t) − F(tᵢ)) cᵢ over tᵢ ≤ t. Multiplied out,
    it needs running sums only and no table of times by times.
    """
    rest = n - 1

    def ratio(numerator: Floats, denominator: Floats) -> Floats:
        return np.divide(numerator, denominator, out=np.zeros_like(n), where=denominator > 0)

    a = ratio(d_any, rest * (n - d_any))
    b = ratio(before**2 * d * (n - d), rest * n**2)
    c = ratio(before * d * (n - d), rest * n * (n - d_any))
    squares = incidence**2 * np.cumsum(a) - 2 * incidence * np.cumsum(a * incidence) + np.cumsum(a * incidence**2)
    products = incidence * np.cumsum(c) - np.cumsum(c * incidence)
    return np.maximum(squares + np.cumsum(b) - 2 * products, 0)


def reply_shares(
    group: pd.DataFrame, days: Sequence[float], ci: float, effects: Mapping[str, Effect] | None = None
) -> pd.DataFrame:
    """Read the incidence of reply at some horizons [days], as one row."""
    effect = (effects or {}).get("reply", INDEPENDENT)
    curve = incidence_curves(group, ci, effects)
    row: dict[str, float] = {"n": len(group)}
    for day in days:
        name = f"reply_within_{day:g}d"
        row |= dict(zip((name, f"{name}_lo", f"{name}_hi"), _reply_at(curve, day, ci, effect), strict=True))
    return pd.DataFrame([row])


def _reply_at(curve: pd.DataFrame, day: float, ci: float, effect: Effect) -> tuple[float, float, float]:
    until = curve[curve["t_d"] <= day]
    followed = bool((curve["t_d"] >= day).any())
    settled = bool(len(until)) and until["event_free"].iloc[-1] == 0
    if not (followed or settled):
        return np.nan, np.nan, np.nan
    share = float(until["cif_reply"].iloc[-1]) if len(until) else 0.0
    if 0 < share < 1:
        return share, float(until["cif_reply_lo"].iloc[-1]), float(until["cif_reply_hi"].iloc[-1])
    furthest = ((1 - ci) / 2) ** (effect.design / _as_good_as_followed(curve, day))
    return (share, 0.0, 1 - furthest) if share == 0 else (share, furthest, 1.0)


def _as_good_as_followed(curve: pd.DataFrame, day: float) -> float:
    """Divide who is at risk at a horizon by the share still without outcome: without censoring, that is everybody."""
    place = min(int(np.searchsorted(curve["t_d"], day)), len(curve) - 1)
    free = curve["event_free"].iloc[place - 1] if place else 1.0
    return float(curve["at_risk"].iloc[place] / free)


RESAMPLES = 2_000
_VALUES_AT_ONCE = 4_000_000


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
        How often the sample is drawn again.
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
        batch=max(1, _VALUES_AT_ONCE // values.size),
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
