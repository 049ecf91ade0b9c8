"""
Comparison of two rates, and of a count with its own past.

The past rate comes from a few hundred mailings, so that it is only an estimate. If it were taken as exact, up to one
week in seventeen of a steady mailbox would be marked as exceptional. Here the count and its past are
two samples of one rate, compared by Fisher's exact test; at three standard normal deviates it errs in at most 0.27 % of
counts, however rare the events are.

Notes
-----
Always-valid p: R. Johari, P. Koomen, L. Pekelis and D. Walsh, "Always valid inference: continuous monitoring of A/B
tests", Operations Research 70 (2022) 1806–1821. It is the mixture sequential probability ratio test of H. Robbins
(1970) with a normal mixture N(0, τ²) over the difference, in its large-sample form for proportions.

Counts: given all events of both, the hypergeometric tail is read as a normal deviate by D. B. Peizer's approximation,
which takes effective counts too: R. F. Ling and J. W. Pratt, "The accuracy of Peizer approximations to the
hypergeometric distribution, with comparisons to some other approximations", JASA 79 (1984) 49–60.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, betaln, digamma, expit, polygamma

from outreach_frames.errors import DataError
from outreach_frames.stats._pandas import Floats

BetaShape = tuple[float, float]
"""Parameters of a Beta distribution."""

_INTEGRAL_NODES, _INTEGRAL_WEIGHTS = np.polynomial.legendre.leggauss(24)
_DEVIATIONS = np.array([0, 1, 2, 3, 4, 6, 9, 14, 20, 30, 40])
_DEVIATIONS = np.concatenate([-_DEVIATIONS[:0:-1], _DEVIATIONS])
_DOUBLINGS = np.array([-8, -4, -2, -1, -0.5, 0, 0.5, 1, 2, 4, 8])
FARTHEST_LOG_ODDS = 700.0
"""Log odds beyond which the rate, or its complement, is too small for a float."""


def probability_greater(first: BetaShape, second: BetaShape) -> float:
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
    log_odds = middles[:, None] + halves[:, None] * _INTEGRAL_NODES
    alpha, beta = first
    log_density = -alpha * np.logaddexp(0, -log_odds) - beta * np.logaddexp(0, log_odds)
    weights = np.exp(log_density - log_density.max()) * _INTEGRAL_WEIGHTS * halves[:, None]
    below = np.where(log_odds < 0, _lower_tail(second, log_odds), 1 - _lower_tail(second[::-1], -log_odds))
    return float(np.clip((weights * below).sum() / weights.sum(), 0.0, 1.0))


def _lower_tail(shape: BetaShape, log_odds: Floats) -> Floats:
    """Return a Beta variable's distribution function at some log odds, for those below 0."""
    alpha, beta = shape
    far = np.exp(alpha * np.minimum(log_odds, -FARTHEST_LOG_ODDS) - np.log(alpha) - betaln(alpha, beta))
    tail: Floats = np.where(log_odds < -FARTHEST_LOG_ODDS, far, betainc(alpha, beta, expit(log_odds)))
    return tail


def _landmarks(shape: BetaShape) -> Floats:
    """Spread points over a Beta distribution's log odds: by mean and deviation, and about the mode, where it turns."""
    mean = digamma(shape[0]) - digamma(shape[1])
    deviation = np.sqrt(polygamma(1, shape[0]) + polygamma(1, shape[1]))
    turn = np.log(shape[0] / shape[1]) + _DOUBLINGS
    points: Floats = np.sort(np.concatenate([mean + deviation * _DEVIATIONS, turn]))
    return points


def expected_loss(first: BetaShape, second: BetaShape) -> float:
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
    Where successes are few and the split is unequal, it exceeds its level: `power.exact_p` does not.
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


DEVIATES = 3.0
"""Standard normal deviates from which a count is outside its limits."""

_HALVINGS = 40
_HALF = 0.5
"""Of a success: where the smooth curve stands for the step between two counts."""


def z_against(
    successes: npt.ArrayLike, trials: npt.ArrayLike, past_successes: npt.ArrayLike, past_trials: npt.ArrayLike
) -> Floats:
    """
    Tell how far a rate lies from that of its past, both taken as samples.

    Parameters
    ----------
    successes, trials, past_successes, past_trials
        0 ≤ successes ≤ trials; effective counts may be fractions.

    Returns
    -------
    z : array
        The normal deviate of Fisher's one-sided p-value: above 0 where so many successes are improbable, below 0 where
        so few are, 0 where neither is; NaN where either has no trials.
    """
    counts = (successes, trials, past_successes, past_trials)
    x, n, y, m = np.broadcast_arrays(*(np.asarray(values, dtype=np.float64) for values in counts))
    valid = (n > 0) & (m > 0)
    z: Floats = np.where(valid, np.minimum(_deviate(x, n, y, m), 0) - np.minimum(_deviate(y, m, x, n), 0), np.nan)
    return z


def limits_around(
    trials: npt.ArrayLike, past_successes: npt.ArrayLike, past_trials: npt.ArrayLike
) -> tuple[Floats, Floats]:
    """
    Find the rates beyond which `z_against` exceeds `DEVIATES`.

    Returns
    -------
    lo, hi
        In [0, 1], where 0 and 1 are limits that no rate lies beyond; NaN where either has no trials.
    """
    counts = (trials, past_successes, past_trials)
    n, y, m = np.broadcast_arrays(*(np.asarray(values, dtype=np.float64) for values in counts))
    valid = (n > 0) & (m > 0)
    lowest = _edge(n, lambda x: _deviate(x, n, y, m) >= -DEVIATES)
    highest = _edge(n, lambda x: _deviate(y, m, x, n) < -DEVIATES)
    safe = np.where(valid, n, np.nan)
    return lowest / safe, highest / safe


def _edge(n: Floats, holds: Callable[[Floats], npt.NDArray[np.bool_]]) -> Floats:
    """Find by halving from which number in [0, n] on a condition holds; n where it never does."""
    low, high = np.zeros_like(n), n.copy()
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        inside = holds(middle)
        low, high = np.where(inside, low, middle), np.where(inside, middle, high)
    return np.where(holds(np.zeros_like(n)), 0.0, np.where(holds(n), high, n))


def _deviate(x: Floats, n: Floats, y: Floats, m: Floats) -> Floats:
    """Return the normal deviate of P(X ≤ x), given the x + y successes of both; infinite where nothing lies above."""
    open_ = (y > _HALF) & (n - x > _HALF)
    x, n, y, m = (np.where(open_, values, stand_in) for values, stand_in in ((x, 0.0), (n, 1.0), (y, 1.0), (m, 1.0)))
    r, s, total = x + y, n + m - x - y, n + m
    cells = np.stack([x + _HALF, n - x - _HALF, y - _HALF, m - y + _HALF])
    rows, columns = np.stack([n, n, m, m]), np.stack([r, s, r, s])
    information = 2 * (cells * np.log(cells * total / (rows * columns))).sum(axis=0)
    refined = cells + 1 / 6 + 0.02 / (cells + _HALF) + 0.01 / (rows + 1) + 0.01 / (columns + 1)
    crossed, smooth = (part[0] * part[3] - part[1] * part[2] for part in (cells, refined))
    margins = np.prod([part / (part + 1 / 6) for part in (n, m, r, s)], axis=0) * (1 - 1 / (6 * total))
    apart = np.abs(crossed) > 1e-9 * total
    ratio = np.where(apart, np.maximum(information, 0) / np.where(apart, crossed, 1.0) ** 2, total / (n * m * r * s))
    deviate: Floats = np.where(open_, smooth * np.sqrt(ratio * margins), np.inf)
    return deviate
