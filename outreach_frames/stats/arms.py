"""
The variants of a step as a test sees them, and how much their trials tell where these belong together.

Notes
-----
Linearized variance over clusters, W. G. Cochran, "Sampling Techniques" (3rd ed., 1977), section 9A. With p the rate of
an arm, and of each cluster its trials n and successes x, e = x − pn: the variance of a rate is Σ e² / N², that of a
difference Σ (e₁/N₁ − e₂/N₂)², both times C / (C − 1) for C clusters. So people of one account who were all sent the
same variant count for less than as many strangers, and those who were sent different ones do not. The design effect is
that variance over the one of independent trials, and at least 1.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from outreach_frames.stats._small import Floats, Ints
from outreach_frames.stats.comparisons import Shape
from outreach_frames.stats.sequential import NEVER, Trials


class Arm(NamedTuple):
    """
    One variant of a step.

    Attributes
    ----------
    template_id, variant
        Its template, and its label within the step.
    arrivals
        Of each enrollment that was sent it: what it belongs to.
    trials
        The enrollments that count, and when they succeeded [days since 1970-01-01, UTC].
    clusters
        Of each of the trials: what it belongs to.
    """

    template_id: int
    variant: str
    arrivals: Ints
    trials: Trials
    clusters: Ints

    @property
    def n(self) -> int:
        """Trials."""
        return len(self.trials.days)

    @property
    def x(self) -> int:
        """Successes."""
        return int((self.trials.success_days != NEVER).sum())

    def posterior(self, prior: Shape, design_effect: float = 1.0) -> Shape:
        """Return the Beta posterior of the rate."""
        return self.x / design_effect + prior[0], (self.n - self.x) / design_effect + prior[1]

    def expected(self, prior: Shape) -> float:
        """Return the posterior mean of the rate."""
        alpha, beta = self.posterior(prior)
        return alpha / (alpha + beta)


def rate_effect(arm: Arm) -> float:
    """Return how many trials of an arm tell as much about its rate as one alone."""
    return _effect([arm], _codes([arm.clusters]))


def difference_effects(one: Arm, two: Arm, days: Ints) -> Floats:
    """Return, by the end of each day, how many trials tell as much about the difference of two arms as one alone."""
    codes = _codes([one.clusters, two.clusters])
    return np.array([_effect([one, two], codes, day) for day in days.tolist()])


def split_effect(arms: Sequence[Arm]) -> float:
    """Return how many arrivals tell as much about the split as one alone: many, where whole accounts are given out."""
    codes = _codes([arm.arrivals for arm in arms])
    clusters = 1 + max((int(code.max()) for code in codes if code.size), default=0)
    counts = np.stack([np.bincount(code, minlength=clusters) for code in codes])
    share = 1 / len(arms)
    squares = float(((counts - share * counts.sum(axis=0)) ** 2).sum()) / len(arms)
    return max(1.0, squares / (int(counts.sum()) * share * (1 - share)))


def _codes(clusters: Sequence[Ints]) -> list[Ints]:
    """Number the clusters of several arms alike."""
    sizes = np.cumsum([len(mine) for mine in clusters])
    return np.split(np.unique(np.concatenate(clusters), return_inverse=True)[1], sizes[:-1])


def _effect(arms: Sequence[Arm], codes: Sequence[Ints], day: int | None = None) -> float:
    size = 1 + max((int(code.max()) for code in codes if code.size), default=0)
    residuals, seen, variance, made = np.zeros(size), np.zeros(size, dtype=np.bool_), 0.0, 0
    for sign, arm, code in zip((1, -1), arms, codes, strict=False):
        days, succeeded = arm.trials
        known = np.ones(arm.n, dtype=np.bool_) if day is None else days <= day
        success = known & (succeeded != NEVER) & (True if day is None else succeeded <= day)
        n = int(known.sum())
        if n:
            p = int(success.sum()) / n
            residuals += sign / n * np.bincount(code[known], weights=success[known] - p, minlength=size)
            seen[code[known]] = True
            variance += p * (1 - p) / n
            made += n
    clusters = int(seen.sum())
    if not variance or clusters == made:
        return 1.0
    if clusters == 1:
        return float(made)
    squares = float(residuals @ residuals)
    return max(1.0, squares / float(variance) * clusters / (clusters - 1))
