"""
Empirical Bayes for rates: a beta-binomial prior fitted by moments, and rates drawn towards it.

A group with few trials says little about itself and is drawn far towards the pooled rate; one with many keeps its own.

Notes
-----
Moment estimator of the intra-class correlation ρ with weights nᵢ: J. C. Kleinman, "Proportions with extraneous
variance: single and independent samples", JASA 68 (1973) 46–54. With the pooled rate p, S = Σ nᵢ(xᵢ/nᵢ − p)², K groups
and N = Σnᵢ: ρ = (S/(p(1 − p)) − (K − 1)) / (N − Σnᵢ²/N − (K − 1)), and M = 1/ρ − 1 is the prior's weight [trials].
"""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from scipy.stats import beta as beta_distribution

from outreach_frames.errors import DataError
from outreach_frames.stats._call import Call
from outreach_frames.stats._parameters import beta_prior
from outreach_frames.stats._small import Floats, Ints, column, floats, write
from outreach_frames.stats.intervals import Counts, wilson, z_value

FULL_POOLING = 10_000.0
"""Weight of the prior [trials] where the groups do not differ more than chance, or too little is known to tell."""

MIN_GROUPS = 3


@dataclass(frozen=True)
class Prior:
    """
    A Beta prior for a rate.

    Attributes
    ----------
    alpha, beta
        Its parameters: pM and (1 − p)M.
    pooled
        The pooled rate p, its mean.
    weight
        M [trials]: how many trials of its own a group needs to move half-way from the pooled rate.
    spread
        S; missing where the prior was given.
    rho
        Intra-class correlation; missing where it was not estimated.
    """

    alpha: float
    beta: float
    pooled: float
    weight: float
    spread: float | None = None
    rho: float | None = None

    @property
    def is_proper(self) -> bool:
        """Whether it is a distribution: not so where all groups are at 0, or all at 1."""
        return self.alpha > 0 and self.beta > 0

    def as_record(self) -> dict[str, float | None]:
        """Return the parameters for a result's attributes, in the notation of the formulas."""
        names = {"weight": "M", "spread": "S"}
        return {names.get(name, name): value for name, value in asdict(self).items()}


def given_prior(parameters: tuple[float, float]) -> Prior:
    """Make a prior of the caller's alpha and beta, both above 0."""
    alpha, beta = beta_prior("prior", parameters)
    return Prior(alpha, beta, alpha / (alpha + beta), alpha + beta)


def fit_prior(successes: Ints, trials: Ints) -> Prior | None:
    """
    Fit the prior by moments; see the module's notes.

    Parameters
    ----------
    successes, trials
        By group; groups without trials do not count.

    Returns
    -------
    prior
        ``None`` where no group has trials. Full pooling where ρ ≤ 0 or cannot be estimated, where all groups are at 0
        or all at 1, and with fewer than three groups.
    """
    x, n = successes[trials > 0].astype(np.float64), trials[trials > 0].astype(np.float64)
    if not n.size:
        return None
    total = float(n.sum())
    pooled = float(x.sum()) / total
    spread = float((n * (x / n - pooled) ** 2).sum())
    rho = _correlation(n, pooled, spread)
    weight = FULL_POOLING if rho is None or rho <= 0 else float(np.clip(1 / rho - 1, 1, FULL_POOLING))
    return Prior(pooled * weight, (1 - pooled) * weight, pooled, weight, spread, rho)


def _correlation(n: Floats, pooled: float, spread: float) -> float | None:
    freedom = n.size - 1
    information = float(n.sum() - (n**2).sum() / n.sum()) - freedom
    if n.size < MIN_GROUPS or pooled in {0.0, 1.0} or information <= 0:  # single trials cannot differ within a group
        return None
    return (spread / (pooled * (1 - pooled)) - freedom) / information


def shrink_rates(
    successes: Counts, trials: Counts, *, prior: tuple[float, float] | None = None, ci: float = 0.95
) -> pd.DataFrame:
    """
    Draw rates of groups towards their pooled rate, the more so the less is known about a group.

    ``shrunk`` = (xᵢ + pM)/(nᵢ + M), with the prior Beta(pM, (1 − p)M) fitted to all groups by moments.

    Parameters
    ----------
    successes, trials
        Equally long vectors of whole numbers, one entry for each group, 0 ≤ successes ≤ trials.
    prior
        (alpha, beta) of a prior to use instead of the fitted one.
    ci
        Probability of the posterior interval.

    Returns
    -------
    rates : DataFrame, shape (n_groups, 4)
        ``raw`` (missing without trials), ``shrunk``, ``lo``, ``hi``, in the order given. A group without trials gets
        the prior. Where no group has trials there is no prior, and where all groups are at 0 (or all at 1) the prior
        is degenerate: then the bounds are missing, since seeing no failure does not rule one out.
        ``attrs["prior"]`` holds ``alpha, beta, pooled, M, S, rho``.

    Raises
    ------
    DataError
        The vectors differ in length, hold something else than whole numbers, or a success has no trial.

    Notes
    -----
    Interval: equal-tailed quantiles of the posterior Beta(xᵢ + pM, nᵢ − xᵢ + (1 − p)M). Not counted: the uncertainty of
    the prior itself, which matters with few groups. Source: see the module's notes; this project's metric dictionary,
    part 2.7.
    """
    call = Call("shrink_rates", prior=prior, ci=ci)
    x, n = whole(successes), whole(trials)
    raw = wilson(x, n)["rate"]
    fitted = fit_prior(x, n) if prior is None else given_prior(prior)
    call.rows_in["groups"] = len(n)
    result = write(call, pd.DataFrame({"raw": raw, **shrunk(x, n, fitted, ci=ci)}))
    result.attrs["prior"] = None if fitted is None else fitted.as_record()
    return result


def shrunk(x: Ints, n: Ints, prior: Prior | None, *, ci: float) -> dict[str, "pd.Series[float]"]:
    """Compute the posterior means of groups, ``shrunk``, with their bounds ``lo`` and ``hi``."""
    tail = (1 - ci) / 2
    z_value(ci)  # refuses what is no probability
    if prior is None:
        nothing = column(np.full(len(n), np.nan))
        return {"shrunk": nothing, "lo": nothing, "hi": nothing}
    above, below = x + prior.alpha, n - x + prior.beta
    proper = (above > 0) & (below > 0)
    safe = np.where(proper, above, 1.0), np.where(proper, below, 1.0)
    bounds = (np.where(proper, beta_distribution.ppf(q, *safe), np.nan) for q in (tail, 1 - tail))
    return dict(zip(("shrunk", "lo", "hi"), map(column, (above / (above + below), *bounds)), strict=True))


def whole(counts: Counts) -> Ints:
    """Return a vector of whole numbers; refuse fractions and missing values, which a cast would hide."""
    try:
        values = floats(pd.Series(counts))
    except (TypeError, ValueError) as error:
        raise DataError("Counts must be whole numbers.", hint="Pass integers.") from error
    if np.isnan(values).any() or (values != np.floor(values)).any():
        raise DataError("Counts must be whole numbers, none missing.", hint="Fill missing counts with 0 first.")
    return values.astype(np.int64)
