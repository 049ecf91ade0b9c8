"""
Two rates compared: which is better, what choosing wrongly costs, and whether one may stop looking.

Notes
-----
Always-valid p: R. Johari, P. Koomen, L. Pekelis and D. Walsh, "Always valid inference: continuous monitoring of A/B
tests", Operations Research 70 (2022) 1806–1821. It is the mixture sequential probability ratio test of H. Robbins
(1970) with a normal mixture N(0, τ²) over the difference, in its large-sample form for proportions.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, betaln, digamma, expit, polygamma

from outreach_frames.errors import DataError
from outreach_frames.stats._pandas import Floats

Shape = tuple[float, float]
"""Parameters of a Beta distribution."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_DEVIATIONS = np.array([0, 1, 2, 3, 4, 6, 9, 14, 20, 30, 40])
_DEVIATIONS = np.concatenate([-_DEVIATIONS[:0:-1], _DEVIATIONS])
_DOUBLINGS = np.array([-8, -4, -2, -1, -0.5, 0, 0.5, 1, 2, 4, 8])
_FARTHEST = 700.0
"""Log odds beyond which the rate, or its complement, is too small for a float."""


def probability_greater(first: Shape, second: Shape) -> float:
    """
    Return P(θ₁ > θ₂) for independent Beta variables.

    Notes
    -----
    ∫ f₁(s) F₂(s) ds / ∫ f₁(s) ds on the log-odds scale, where both are smooth, by Gauss–Legendre quadrature between
    break points around the middle and the mode of each distribution. Within 10⁻¹⁰ for shapes from 0.01 to ten million.
    """
    ends = _landmarks(first)[[0, -1]]
    breaks = np.unique(np.clip(np.concatenate([_landmarks(first), _landmarks(second)]), *ends))
    middles, halves = (breaks[1:] + breaks[:-1]) / 2, np.diff(breaks) / 2
    log_odds = middles[:, None] + halves[:, None] * _NODES
    alpha, beta = first
    log_density = -alpha * np.logaddexp(0, -log_odds) - beta * np.logaddexp(0, log_odds)
    weights = np.exp(log_density - log_density.max()) * _WEIGHTS * halves[:, None]
    below = np.where(log_odds < 0, _lower_tail(second, log_odds), 1 - _lower_tail(second[::-1], -log_odds))
    return float(np.clip((weights * below).sum() / weights.sum(), 0.0, 1.0))


def _lower_tail(shape: Shape, log_odds: Floats) -> Floats:
    """Return a Beta variable's distribution function at some log odds, for those below 0."""
    alpha, beta = shape
    far = np.exp(alpha * np.minimum(log_odds, -_FARTHEST) - np.log(alpha) - betaln(alpha, beta))
    tail: Floats = np.where(log_odds < -_FARTHEST, far, betainc(alpha, beta, expit(log_odds)))
    return tail


def _landmarks(shape: Shape) -> Floats:
    """Spread points over a Beta distribution's log odds: by mean and deviation, and about the mode, where it turns."""
    mean = digamma(shape[0]) - digamma(shape[1])
    deviation = np.sqrt(polygamma(1, shape[0]) + polygamma(1, shape[1]))
    turn = np.log(shape[0] / shape[1]) + _DOUBLINGS
    points: Floats = np.sort(np.concatenate([mean + deviation * _DEVIATIONS, turn]))
    return points


def expected_loss(first: Shape, second: Shape) -> float:
    """
    Return E[max(θ₂ − θ₁, 0)]: what choosing the first costs if it is the worse one.

    Notes
    -----
    E[θ 1(A)] for a Beta(a, b) variable is its mean times the probability of A under Beta(a + 1, b), so that two
    probabilities suffice.
    """
    mean_first, mean_second = (shape[0] / sum(shape) for shape in (first, second))
    gain = mean_second * probability_greater((second[0] + 1, second[1]), first)
    loss = mean_first * (1 - probability_greater((first[0] + 1, first[1]), second))
    return max(gain - loss, 0.0)


def always_valid_p(
    successes: npt.NDArray[np.int64],
    trials: npt.NDArray[np.int64],
    *,
    tau: float = 0.01,
    design_effect: npt.ArrayLike = 1.0,
) -> npt.NDArray[np.float64]:
    """
    Compute a p-value that stays valid however often one looks, in large samples.

    At each look d = p₁ − p₂, V = p̄(1 − p̄)(1/n₁ + 1/n₂) times the design effect, Λ = √(V/(V + τ²)) · exp(τ²d² / (2V(V
    + τ²))), and p = min(1, 1 / the largest Λ so far).

    Parameters
    ----------
    successes, trials
        Shape (n_looks, 2): counts up to each look, in order of time, of the first and of the second group.
    tau
        Standard deviation of the differences expected beforehand, on the scale of the rates.
    design_effect
        At each look, or at all of them [at least 1]: how many trials that belong together tell as much as one alone.

    Returns
    -------
    p : shape (n_looks,)
        Never rising. A look at which a group has no trials, or all outcomes are alike, says nothing: Λ is 1 there.

    Raises
    ------
    DataError
        ``tau`` is not above 0.

    Notes
    -----
    Where successes are few and the split is unequal, it exceeds its level: `sequential.exact_p` does not.
    """
    if not tau > 0:
        raise DataError(
            f"tau must be above 0, not {tau}.", hint="0.01 expects differences of about a percentage point."
        )
    x, n = successes.astype(np.float64), trials.astype(np.float64)
    pooled = x.sum(axis=1) / np.maximum(n.sum(axis=1), 1)
    telling = (n > 0).all(axis=1) & (pooled > 0) & (pooled < 1)
    safe = np.where(telling[:, None], n, 1.0)
    difference = (x / safe)[:, 0] - (x / safe)[:, 1]
    variance = np.where(telling, pooled * (1 - pooled) * (1 / safe).sum(axis=1) * design_effect, 1.0)
    ratio = 0.5 * np.log(variance / (variance + tau**2)) + tau**2 * difference**2 / (2 * variance * (variance + tau**2))
    largest = np.maximum.accumulate(np.where(telling, ratio, 0.0))
    p: Floats = np.exp(-np.maximum(largest, 0.0))
    return p
