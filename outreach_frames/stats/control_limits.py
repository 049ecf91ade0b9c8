"""
Whether one count of a series lies outside what its own past lets expect.

A past of some hundred mailings is itself an estimate: whoever takes it as known calls up to one week in seventeen of a
steady mailbox exceptional. Here the count and its past are two samples of one rate, compared by Fisher's exact test; at
three standard normal deviates it errs in at most 0.27 % of counts, however rare the events are.

Notes
-----
Given all events of both, the hypergeometric tail is read as a normal deviate by D. B. Peizer's approximation, which
takes effective counts too: R. F. Ling and J. W. Pratt, "The accuracy of Peizer approximations to the hypergeometric
distribution, with comparisons to some other approximations", JASA 79 (1984) 49–60.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

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
    given = (successes, trials, past_successes, past_trials)
    x, n, y, m = np.broadcast_arrays(*(np.asarray(values, dtype=np.float64) for values in given))
    known = (n > 0) & (m > 0)
    z: Floats = np.where(known, np.minimum(_deviate(x, n, y, m), 0) - np.minimum(_deviate(y, m, x, n), 0), np.nan)
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
    given = (trials, past_successes, past_trials)
    n, y, m = np.broadcast_arrays(*(np.asarray(values, dtype=np.float64) for values in given))
    known = (n > 0) & (m > 0)
    lowest = _edge(n, lambda x: _deviate(x, n, y, m) >= -DEVIATES)
    highest = _edge(n, lambda x: _deviate(y, m, x, n) < -DEVIATES)
    safe = np.where(known, n, np.nan)
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
