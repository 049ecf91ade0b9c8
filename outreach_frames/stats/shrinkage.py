"""
Shrinkage of rates: a beta-binomial model whose prior is fitted to the groups.

A group with few trials says little about itself and is drawn far toward the rate of all; one with many keeps its own.
How far it is drawn depends on how much the groups differ. A few groups do not show this well. So by default the result
is averaged over all priors that fit the groups, and the intervals include this uncertainty.

Notes
-----
Integrated: θᵢ ~ Beta(mM, (1 − m)M), xᵢ ~ Binomial(nᵢ, θᵢ). The mean m has Jeffreys' prior Beta(½, ½). Of τ = 1 / √(m(1
− m)M), about the standard deviation of the log odds between groups, s² / (s² + τ²) is uniform, with s = 0.5: how far a
group is drawn whose own log odds are known with the standard error s, could be anything. Both are proper. M. J.
Daniels, "A prior for the variance in hierarchical models", Canadian Journal of Statistics 27 (1999) 567–578. The
posterior is a mixture of Beta distributions over a grid of (m, τ), weighted by the beta-binomial likelihood.

Moments: estimator of the intra-class correlation ρ with weights nᵢ: J. C. Kleinman, "Proportions with extraneous
variance: single and independent samples", JASA 68 (1973) 46–54. With the pooled rate p, S = Σ nᵢ(xᵢ/nᵢ − p)², K groups
and N = Σnᵢ: ρ = (S/(p(1 − p)) − (K − 1)) / (N − Σnᵢ²/N − (K − 1)), and M = 1/ρ − 1 is the prior's weight [trials].
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from scipy.optimize.elementwise import find_root
from scipy.special import betainc, betaincinv, betaln, expit, logit

from outreach_frames._renamed import with_old_positions
from outreach_frames.errors import DataError
from outreach_frames.stats._pandas import Floats, Ints, float_column, floats, frame_of_rows, write
from outreach_frames.stats._statistic import StatContext
from outreach_frames.stats._validation import beta_prior, choice, numbers
from outreach_frames.stats.comparisons import FARTHEST_LOG_ODDS
from outreach_frames.stats.intervals import Counts, wilson, z_value
from outreach_frames.stats.provenance import attach

PRIORS = ("integrated", "moments")

_PRIOR = {
    "method": pa.string(),
    **dict.fromkeys(("pooled", "M", "M_lo", "M_hi", "alpha", "beta", "S", "rho"), pa.float64()),
}

PriorChoice = str | tuple[float, float]
"""What callers may write: one of `PRIORS`, (alpha, beta), or ``None`` for the first of `PRIORS`."""

FULL_POOLING = 10_000.0
"""Weight of the moments' prior [trials] where the groups do not differ more than chance, or too little is known."""

MIN_GROUPS = 3
"""Fewer groups do not tell how much groups differ."""

_SCALE = 0.5
_SIDE = 24
_GRID_ROOM = 6.0
_SPREADS = np.log([1e-3, 10.0])
_NEGLIGIBLE = 14.0
_ZOOMS = 8
_NEAR = 1e-9
_PAIRS_AT_ONCE = 2_000
_CELLS = 1_000_000


@dataclass(frozen=True)
class Prior:
    """
    A prior for rates: a mixture of Beta distributions, of a single one where the prior is taken as known.

    Attributes
    ----------
    alpha, beta
        Parameters of the parts.
    share
        Their weights, which sum to 1.
    record
        What the table ``"prior"`` of a result says of it.
    """

    alpha: Floats
    beta: Floats
    share: Floats
    record: dict[str, Any]

    @property
    def is_proper(self) -> bool:
        """Whether it is a distribution: by moments not so where all groups are at 0, or all at 1."""
        return bool((self.alpha > 0).all() and (self.beta > 0).all())

    def as_beta(self) -> tuple[float, float]:
        """Return the parameters of the Beta distribution with the same mean and variance."""
        if len(self.share) == 1:
            return float(self.alpha[0]), float(self.beta[0])
        weight = self.alpha + self.beta
        rate = self.alpha / weight
        mean = float(rate @ self.share)
        variance = float((rate * (1 - rate) / (weight + 1) + (rate - mean) ** 2) @ self.share)
        matched = mean * (1 - mean) / variance - 1
        return mean * matched, (1 - mean) * matched


def prior_for(successes: npt.ArrayLike, trials: npt.ArrayLike, prior: PriorChoice = "integrated") -> Prior | None:
    """
    Fit or make the prior that the caller asks for.

    Parameters
    ----------
    successes, trials
        By group, effective counts included; groups without trials do not count.
    prior
        See `PriorChoice`.

    Returns
    -------
    prior
        ``None`` where it is to be fitted and no group has trials.

    Raises
    ------
    DataError
        There is no such prior.
    """
    if not isinstance(prior, str):
        return fixed_prior(prior)
    method = choice("prior", prior, PRIORS)
    x, n = np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    x, n = x[n > 0], n[n > 0]
    if not n.size:
        return None
    return integrated_prior(x, n) if method == PRIORS[0] else moment_prior(x, n)


def fixed_prior(parameters: tuple[float, float], method: str = "given") -> Prior:
    """Make a prior of the caller's alpha and beta, both above 0."""
    alpha, beta = beta_prior("prior", parameters)
    return _single(alpha, beta, method=method)


def flat_prior() -> Prior:
    """Return Beta(1, 1), which draws no group toward others."""
    return fixed_prior((1, 1), "flat")


def moment_prior(x: Floats, n: Floats) -> Prior:
    """Fit the prior by moments to groups with trials; full pooling where they do not tell how much they differ."""
    pooled = float(x.sum() / n.sum())
    spread = float((n * (x / n - pooled) ** 2).sum())
    rho = _correlation(n, pooled, spread)
    weight = FULL_POOLING if rho is None or rho <= 0 else float(np.clip(1 / rho - 1, 1, FULL_POOLING))
    return _single(pooled * weight, (1 - pooled) * weight, method="moments", spread=spread, rho=rho)


def _single(alpha: float, beta: float, *, method: str, spread: float | None = None, rho: float | None = None) -> Prior:
    weight = alpha + beta
    record = {"method": method, "alpha": alpha, "beta": beta, "pooled": alpha / weight, "M": weight}
    return Prior(np.array([alpha]), np.array([beta]), np.ones(1), {**record, "S": spread, "rho": rho})


def _correlation(n: Floats, pooled: float, spread: float) -> float | None:
    freedom = n.size - 1
    information = float(n.sum() - (n**2).sum() / n.sum()) - freedom
    if n.size < MIN_GROUPS or pooled in {0.0, 1.0} or information <= 0:  # single trials cannot differ within a group
        return None
    return (spread / (pooled * (1 - pooled)) - freedom) / information


def integrated_prior(x: Floats, n: Floats) -> Prior:
    """Weigh the priors that groups with trials leave possible; flat with fewer than three groups."""
    if n.size < MIN_GROUPS:
        return flat_prior()
    (x, n), times = np.unique(np.stack([x, n]), axis=1, return_counts=True)
    middle = logit((x @ times + 0.5) / (n @ times + 1))
    low, high = np.array([[middle - _GRID_ROOM, _SPREADS[0]], [middle + _GRID_ROOM, _SPREADS[1]]])
    for _ in range(_ZOOMS):  # in on where the weight lies
        axes = np.linspace(low, high, _SIDE)
        mean, spread = (values.ravel() for values in np.meshgrid(*axes.T, indexing="ij"))
        alpha, beta = _shape(mean, spread)
        weight = _log_likelihood(x, n, times, alpha, beta) + _log_hyperprior(mean, spread)
        weight -= weight.max()
        heavy_points = np.stack([mean, spread])[:, weight > -_NEGLIGIBLE]
        step, before = axes[1] - axes[0], high - low
        low, high = np.maximum(low, heavy_points.min(axis=1) - step), np.minimum(high, heavy_points.max(axis=1) + step)
        if ((high - low) > before / 2).all():
            break
    heavy = weight > -_NEGLIGIBLE
    share = np.exp(weight[heavy])
    share /= share.sum()
    alpha, beta = alpha[heavy], beta[heavy]
    strength = alpha + beta
    strength_quantiles = np.quantile(strength, [0.5, 0.025, 0.975], weights=share, method="inverted_cdf")
    record: dict[str, Any] = {"method": "integrated", "pooled": float((alpha / strength) @ share)}
    record |= dict(zip(("M", "M_lo", "M_hi"), map(float, strength_quantiles), strict=True))
    return Prior(alpha, beta, share, record)


def _shape(mean: Floats, spread: Floats) -> tuple[Floats, Floats]:
    """Return alpha and beta for the log odds of m and the logarithm of τ."""
    up, down = expit(mean), expit(-mean)
    precision = np.exp(-2 * spread)
    return precision / down, precision / up


def _log_likelihood(x: Floats, n: Floats, times: Ints, alpha: Floats, beta: Floats) -> Floats:
    parts = np.array_split(np.stack([alpha, beta]), 1 + alpha.size * x.size // _CELLS, axis=1)  # spares memory
    parts_of_sum = [times @ betaln(x[:, None] + a, (n - x)[:, None] + b) - times.sum() * betaln(a, b) for a, b in parts]
    return np.asarray(np.concatenate(parts_of_sum), dtype=np.float64)


def _log_hyperprior(mean: Floats, spread: Floats) -> Floats:
    """Return the density of the log odds of m and the logarithm of τ, but for a constant."""
    of_mean = (np.log(expit(mean)) + np.log(expit(-mean))) / 2
    density: Floats = of_mean + 2 * spread - 2 * np.log(_SCALE**2 + np.exp(2 * spread))
    return density


@with_old_positions("trials")
def shrink_rates(
    successes: Counts,
    *,
    trials: Counts,
    prior: PriorChoice = "integrated",
    ci: float = 0.95,
    design_effect: npt.ArrayLike = 1.0,
) -> pd.DataFrame:
    """
    Shrink rates of groups toward the rate of all, the more the fewer trials a group has.

    Parameters
    ----------
    successes, trials
        Equally long vectors of whole numbers, one entry for each group, 0 ≤ successes ≤ trials.
    prior
        ``"integrated"``: averaged over the priors that the groups leave possible; with fewer than three groups flat,
        that is, none is drawn toward the others. ``"moments"``: fitted by moments and then taken as known, which makes
        the intervals too narrow with few groups. Or (alpha, beta).
    ci
        Probability of the posterior interval.
    design_effect
        Of all groups or of each [at least 1]: how many trials that belong together tell as much as one alone. Counts
        are divided by it.

    Returns
    -------
    rates : DataFrame, shape (n_groups, 4)
        ``raw`` (missing without trials), ``shrunk``, ``lo``, ``hi``, in the order given. A group without trials gets
        the prior. Where no group has trials there is no prior; and where all groups are at 0 (or all at 1) that of
        ``"moments"`` is degenerate: then the bounds are missing, since seeing no failure does not rule one out.
        `attached` gives the ``"prior"``, in one row or none: ``method``, the mean ``pooled`` and the weight ``M``
        [trials], which is how many trials of its own a group needs to move half-way from the mean. If integrated, these
        are the posterior mean and median, with the bounds ``M_lo`` and ``M_hi`` (95 %); else also ``alpha``, ``beta``,
        and of the moments ``S``, ``rho``.

    Raises
    ------
    DataError
        The vectors differ in length, hold something else than whole numbers, a success has no trial, or the prior is
        unknown.

    Notes
    -----
    ``shrunk`` is the mean of the posterior, ``lo`` and ``hi`` are its equal-tailed quantiles: of Beta(xᵢ + α, nᵢ − xᵢ +
    β) for one prior, else of the mixture. With 3 to 50 groups of 30 to 3,000 trials, whose rates differ by a third of
    their size, integrated 95 % intervals cover about 95 % of the true rates; those of moments 50–93 %. Source: see the
    module's notes.

    Examples
    --------
    >>> rates = stats.shrink_rates([0, 5, 30], trials=[10, 100, 300])
    >>> rates[["raw", "shrunk"]].round(3).to_dict("list")
    {'raw': [0.0, 0.05, 0.1], 'shrunk': [0.066, 0.063, 0.095]}
    """
    call = StatContext("shrink_rates", prior=prior, ci=ci)
    x, n = whole(successes), whole(trials)
    raw = wilson(x, n)["rate"]
    effective_x, effective_n = effective(x, n, design_effect)
    fitted = prior_for(effective_x, effective_n, prior)
    call.rows_in["groups"] = len(n)
    result = write(call, pd.DataFrame({"raw": raw, **shrunk(effective_x, effective_n, fitted, ci=ci)}))
    attach_prior(result, fitted)
    return result


def attach_prior(result: pd.DataFrame, prior: Prior | None) -> None:
    """Attach the table ``"prior"``: one row, or none where there is no prior."""
    attach(result, "prior", frame_of_rows([] if prior is None else [{**dict.fromkeys(_PRIOR), **prior.record}], _PRIOR))


def effective(x: Ints, n: Ints, design_effect: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Divide counts by the design effect."""
    effects = numbers("design_effect", np.atleast_1d(design_effect).tolist(), least=1)
    if len(effects) not in {1, len(n)}:
        raise DataError("design_effect must be one number, or one for each group.")
    return x / np.array(effects), n / np.array(effects)


def shrunk(x: Floats, n: Floats, prior: Prior | None, *, ci: float) -> dict[str, "pd.Series[float]"]:
    """Compute the posterior means of groups, ``shrunk``, with their bounds ``lo`` and ``hi``."""
    tail = (1 - ci) / 2
    z_value(ci)  # refuses what is no probability
    return {
        "shrunk": float_column(posterior_means(x, n, prior)),
        **{name: float_column(_quantiles(x, n, prior, q)) for name, q in (("lo", tail), ("hi", 1 - tail))},
    }


def posterior_means(x: Floats, n: Floats, prior: Prior | None) -> Floats:
    """Compute the posterior means of groups; NaN without a prior."""
    if prior is None:
        return np.full(len(n), np.nan)
    (x, n), places = _distinct_counts(x, n)
    means: Floats = ((x[:, None] + prior.alpha) / (n[:, None] + prior.alpha + prior.beta)) @ prior.share
    return means[places]


def _distinct_counts(x: Floats, n: Floats) -> tuple[Floats, Ints]:
    """Return the distinct pairs of counts, and the place of each group's: equal groups get equal numbers, once."""
    pairs, places = np.unique(np.stack([x, n]), axis=1, return_inverse=True)
    return pairs, places


def _quantiles(x: Floats, n: Floats, prior: Prior | None, q: float) -> Floats:
    if prior is None:
        return np.full(len(n), np.nan)
    if len(prior.share) == 1:
        above, below = x + prior.alpha, n - x + prior.beta
        proper = (above > 0) & (below > 0)
        above, below = np.where(proper, above, 1.0), np.where(proper, below, 1.0)
        return np.where(proper, np.asarray(betaincinv(above, below, q), dtype=np.float64), np.nan)
    pairs, places = _distinct_counts(x, n)

    def excess(log_odds: Floats, x: Floats, n: Floats) -> Floats:
        above, below = x[..., None] + prior.alpha, (n - x)[..., None] + prior.beta
        below_it: Floats = betainc(above, below, expit(log_odds)[..., None]) @ prior.share
        return below_it - q

    roots = [
        find_root(
            excess,
            (np.full(part.shape[1], -FARTHEST_LOG_ODDS), np.full(part.shape[1], FARTHEST_LOG_ODDS)),
            args=tuple(part),
            tolerances={"xatol": _NEAR, "xrtol": 0.0},
        ).x
        for part in np.array_split(pairs, -(-pairs.shape[1] // _PAIRS_AT_ONCE) or 1, axis=1)
    ]
    return np.asarray(expit(np.concatenate(roots)), dtype=np.float64)[places]


def whole(counts: Counts) -> Ints:
    """Return a vector of whole numbers; refuse fractions and missing values, which a cast would hide."""
    try:
        values = floats(pd.Series(counts))
    except (TypeError, ValueError) as error:
        raise DataError("Counts must be whole numbers.", hint="Pass integers.") from error
    if np.isnan(values).any() or (values != np.floor(values)).any():
        raise DataError("Counts must be whole numbers, none missing.", hint="Fill missing counts with 0 first.")
    return values.astype(np.int64)
