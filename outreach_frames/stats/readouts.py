"""What the variants of a step have shown so far: each against the best of the others, all pairs, and the verdict."""

from collections.abc import Sequence
from itertools import combinations, permutations
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import chisquare

from outreach_frames.stats._small import Ints
from outreach_frames.stats.comparisons import Shape, always_valid_p, expected_loss, probability_greater
from outreach_frames.stats.intervals import newcombe_difference
from outreach_frames.stats.power import sample_size

BROKEN_SPLIT = 0.001

Pair = dict[str, Any]


class Rules(NamedTuple):
    """How a test is read; see `ab_test`."""

    prior: Shape
    tau: float
    min_n: int | None
    detectable: float
    ci: float


class Arm(NamedTuple):
    """
    One variant of a step.

    Attributes
    ----------
    template_id, variant
        Its template, and its label within the step.
    arrivals
        Enrolments that were sent it.
    trial_days, success_days
        Day of each trial and of each success [days since 1970-01-01, UTC].
    """

    template_id: int
    variant: str
    arrivals: int
    trial_days: Ints
    success_days: Ints

    @property
    def n(self) -> int:
        """Trials."""
        return len(self.trial_days)

    @property
    def x(self) -> int:
        """Successes."""
        return len(self.success_days)

    def posterior(self, prior: Shape) -> Shape:
        """Return the Beta posterior of the rate."""
        return self.x + prior[0], self.n - self.x + prior[1]

    def expected(self, prior: Shape) -> float:
        """Return the posterior mean of the rate."""
        alpha, beta = self.posterior(prior)
        return alpha / (alpha + beta)


def read_step(arms: Sequence[Arm], rules: Rules) -> tuple[list[dict[str, Any]], list[Pair]]:
    """
    Read the test of one step.

    Returns
    -------
    variants
        For each arm: its counts, the comparison with its rival, and the step's ``srm_p``, ``n_needed``, ``verdict``.
    pairs
        For each pair of arms: the comparison.
    """
    compared = {(one, two): _compare(arms[one], arms[two], rules) for one, two in permutations(range(len(arms)), 2)}
    needed = _needed(arms, rules)
    split = _split(arms)
    step = {
        "srm_p": split,
        "n_needed": needed,
        "verdict": _verdict(arms, compared, split, needed if rules.min_n is None else rules.min_n, 1 - rules.ci),
    }
    variants = []
    for number, arm in enumerate(arms):
        others = [other for other in range(len(arms)) if other != number]
        rival = max(others, key=lambda other: arms[other].expected(rules.prior))
        counts = {
            "template_id": arm.template_id,
            "variant": arm.variant,
            "arrivals": arm.arrivals,
            "n": arm.n,
            "x": arm.x,
        }
        variants.append({**counts, "rival_id": arms[rival].template_id, **compared[number, rival], **step})
    named = (
        {"template_1": arms[one].template_id, "template_2": arms[two].template_id, **compared[one, two]}
        for one, two in combinations(range(len(arms)), 2)
    )
    return variants, list(named)


def _compare(one: Arm, two: Arm, rules: Rules) -> Pair:
    names = ("diff", "diff_lo", "diff_hi", "p_better", "expected_loss", "p_always_valid")
    if not one.n or not two.n:
        return dict.fromkeys(names)
    shapes = one.posterior(rules.prior), two.posterior(rules.prior)
    values = (
        *newcombe_difference((one.x, two.x), (one.n, two.n), ci=rules.ci),
        probability_greater(*shapes),
        expected_loss(*shapes),
        float(always_valid_p(*_looks(one, two), tau=rules.tau)[-1]),
    )
    return dict(zip(names, values, strict=True))


def _looks(one: Arm, two: Arm) -> tuple[Ints, Ints]:
    """Count successes and trials up to the end of each day on which something happened."""
    days = np.unique(np.concatenate([one.trial_days, two.trial_days, one.success_days, two.success_days]))
    counts = [
        np.stack([np.searchsorted(np.sort(happened), days, side="right") for happened in both], axis=1)
        for both in ((one.success_days, two.success_days), (one.trial_days, two.trial_days))
    ]
    return counts[0], counts[1]


def _split(arms: Sequence[Arm]) -> float | None:
    """Return the p-value of χ² of the arrivals against equal shares."""
    arrivals = [arm.arrivals for arm in arms]
    return float(chisquare(arrivals).pvalue) if sum(arrivals) else None


def _needed(arms: Sequence[Arm], rules: Rules) -> int | None:
    trials = sum(arm.n for arm in arms)
    if not trials:
        return None
    size = float(sample_size(sum(arm.x for arm in arms) / trials, rules.detectable, alpha=1 - rules.ci))
    return None if np.isnan(size) else int(size)


def _verdict(
    arms: Sequence[Arm], compared: dict[tuple[int, int], Pair], split: float | None, plan: int | None, alpha: float
) -> str:
    if split is not None and split < BROKEN_SPLIT:
        return "broken split"
    pairs = len(compared) // 2
    for number, arm in enumerate(arms):
        against = [pair for (one, _), pair in compared.items() if one == number]
        if all(
            pair["diff"] is not None and pair["diff"] > 0 and pair["p_always_valid"] * pairs < alpha for pair in against
        ):
            return f"{arm.variant} better"
    return "too early" if plan is None or any(arm.n < plan for arm in arms) else "no clear difference"
