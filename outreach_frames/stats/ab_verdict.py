"""
Verdict on the variants of a step: each against the best of the others.

Notes
-----
Linearized variance over clusters, W. G. Cochran, "Sampling Techniques" (3rd ed., 1977), section 9A. With p the rate of
an arm, and of each cluster its trials n and successes x, e = x − pn: the variance of a rate is Σ e² / N², that of a
difference Σ (e₁/N₁ − e₂/N₂)², both times C / (C − 1) for C clusters. So people of one account who were all sent the
same variant count for less than as many strangers, and those who were sent different ones do not. The design effect is
that variance over the one of independent trials, and at least 1.
"""

from collections.abc import Sequence
from itertools import combinations, permutations
from math import comb
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import chi2, chisquare, norm, t as student

from outreach_frames.stats._pandas import Floats, Ints
from outreach_frames.stats.comparisons import BetaShape, always_valid_p, expected_loss, probability_greater
from outreach_frames.stats.intervals import newcombe_difference, score_interval
from outreach_frames.stats.power import NEVER, Trials, exact_evidence, exact_p, sequential_size


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

    def posterior(self, prior: BetaShape, design_effect: float = 1.0) -> BetaShape:
        """Return the Beta posterior of the rate."""
        return self.x / design_effect + prior[0], (self.n - self.x) / design_effect + prior[1]

    def expected(self, prior: BetaShape) -> float:
        """Return the posterior mean of the rate."""
        alpha, beta = self.posterior(prior)
        return alpha / (alpha + beta)


def rate_effect(arm: Arm) -> float:
    """Return the design effect of an arm's rate."""
    return _effect([arm], _codes([arm.clusters]))


def difference_effects(one: Arm, two: Arm, days: Ints) -> Floats:
    """Return the design effect of the difference of two arms by the end of each day."""
    codes = _codes([one.clusters, two.clusters])
    return np.array([_effect([one, two], codes, day) for day in days.tolist()])


def split_effect(arms: Sequence[Arm]) -> float:
    """Return the design effect of the split; it is large where whole accounts get one variant."""
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
    residuals, seen, variance, trials = np.zeros(size), np.zeros(size, dtype=np.bool_), 0.0, 0
    for sign, arm, code in zip((1, -1), arms, codes, strict=False):
        days, succeeded = arm.trials
        counted = np.ones(arm.n, dtype=np.bool_) if day is None else days <= day
        success = counted & (succeeded != NEVER) & (True if day is None else succeeded <= day)
        n = int(counted.sum())
        if n:
            p = int(success.sum()) / n
            residuals += sign / n * np.bincount(code[counted], weights=success[counted] - p, minlength=size)
            seen[code[counted]] = True
            variance += p * (1 - p) / n
            trials += n
    clusters = int(seen.sum())
    if not variance or clusters == trials:
        return 1.0
    if clusters == 1:
        return float(trials)
    squares = float(residuals @ residuals)
    return max(1.0, squares / float(variance) * clusters / (clusters - 1))


BROKEN_SPLIT = 0.001

BETTER = " better"
"""End of the verdict that names a variant."""

NO_DIFFERENCE = "no difference as large as "
"""Beginning of the verdict that tells which difference is excluded."""

_ALMOST_CERTAIN = 1 - 1e-12

Pair = dict[str, Any]


class Rules(NamedTuple):
    """How a test is read; see `ab_test`."""

    tau: float | None
    planned_n: int | None
    detectable: float
    ci: float
    clustered: bool


def read_step(arms: Sequence[Arm], rules: Rules, prior: BetaShape) -> tuple[list[dict[str, Any]], list[Pair]]:
    """
    Read the test of one step.

    Returns
    -------
    variants
        For each arm: its counts, the comparison with its rival, and the step's ``srm_p``, ``n_needed``, ``verdict``.
    pairs
        For each pair of arms: the comparison.
    """
    evidence = {
        (one, two): _always_valid(arms[one], arms[two], rules) for one, two in combinations(range(len(arms)), 2)
    }
    compared = {
        (one, two): _compare(arms[one], arms[two], rules, prior, evidence[min(one, two), max(one, two)])
        for one, two in permutations(range(len(arms)), 2)
    }
    effect = max((effect for _, effect in evidence.values()), default=1.0)
    needed = _needed(arms, rules, effect)
    split = _split(arms, rules)
    step = {
        "srm_p": split,
        "n_needed": needed,
        "verdict": _verdict(arms, compared, split, rules, needed if rules.planned_n is None else rules.planned_n),
        "prior_alpha": prior[0],
        "prior_beta": prior[1],
    }
    variants = []
    for number, arm in enumerate(arms):
        others = [other for other in range(len(arms)) if other != number]
        rival = max(others, key=lambda other: arms[other].expected(prior))
        against = {"rival_id": arms[rival].template_id, **compared[number, rival]}
        rate = _arm_rate(arm, rules)
        shape = dict(
            zip(("posterior_alpha", "posterior_beta"), arm.posterior(prior, rate["design_effect"]), strict=True)
        )
        variants.append({**rate, **against, **step, **shape})
    named = (
        {"template_1": arms[one].template_id, "template_2": arms[two].template_id, **compared[one, two]}
        for one, two in combinations(range(len(arms)), 2)
    )
    return variants, list(named)


def _arm_rate(arm: Arm, rules: Rules) -> dict[str, Any]:
    effect = rate_effect(arm) if rules.clustered else 1.0
    clusters = len(np.unique(arm.clusters)) if rules.clustered else None
    bounds: Sequence[float | None] = (None,) * 3
    if arm.n:
        _, *ends = score_interval(arm.x / effect, arm.n / effect, ci=_normal_level(rules.ci, clusters, 1))
        bounds = [arm.x / arm.n, *ends]
    return {
        "template_id": arm.template_id,
        "variant": arm.variant,
        "arrivals": len(arm.arrivals),
        "n": arm.n,
        "x": arm.x,
        **dict(zip(("rate", "lo", "hi"), bounds, strict=True)),
        "design_effect": effect,
    }


def _normal_level(ci: float, clusters: int | None, estimated: int) -> float:
    """Return the level at which the normal quantile is Student's, since the variance is estimated from clusters."""
    if clusters is None:
        return ci
    quantile = student.ppf((1 + ci) / 2, max(clusters - estimated, 1))
    return float(min(2 * norm.cdf(quantile) - 1, _ALMOST_CERTAIN))


def _compare(one: Arm, two: Arm, rules: Rules, prior: BetaShape, evidence: tuple[float | None, float]) -> Pair:
    names = ("diff", "diff_lo", "diff_hi", "p_better", "expected_loss", "p_always_valid")
    p, effect = evidence
    if p is None:
        return dict.fromkeys(names)
    shapes = one.posterior(prior, effect), two.posterior(prior, effect)
    clusters = len(np.unique(np.concatenate([one.clusters, two.clusters]))) if rules.clustered else None
    counts = ((one.x / effect, two.x / effect), (one.n / effect, two.n / effect))
    values = (
        *newcombe_difference(*counts, ci=_normal_level(rules.ci, clusters, 2)),
        probability_greater(*shapes),
        expected_loss(*shapes),
        p,
    )
    return dict(zip(names, values, strict=True))


def _always_valid(one: Arm, two: Arm, rules: Rules) -> tuple[float | None, float]:
    """Return the p-value after a look on each day on which something happened, and the design effect after the last."""
    if not one.n or not two.n:
        return None, 1.0
    happened = np.concatenate([part for arm in (one, two) for part in arm.trials])
    days = np.unique(happened[happened != NEVER])
    effects = difference_effects(one, two, days) if rules.clustered else np.ones(len(days))
    if rules.tau is not None:
        p = always_valid_p(*_daily_counts(one, two, days), tau=rules.tau, design_effect=effects)
    else:
        look_days, log_ratios = exact_evidence(one.trials, two.trials)
        p = exact_p(log_ratios, effects[np.searchsorted(days, look_days)])
    return float(p[-1]) if p.size else 1.0, float(effects[-1])


def _daily_counts(one: Arm, two: Arm, days: Ints) -> tuple[Ints, Ints]:
    """Count successes and trials up to the end of each day."""
    succeeded = [arm.trials.success_days[arm.trials.success_days != NEVER] for arm in (one, two)]
    counts = [
        np.stack([np.searchsorted(np.sort(happened), days, side="right") for happened in both], axis=1)
        for both in (succeeded, (one.trials.days, two.trials.days))
    ]
    return counts[0], counts[1]


def _split(arms: Sequence[Arm], rules: Rules) -> float | None:
    """Return the p-value of χ² of the arrivals against equal shares, divided by the design effect."""
    arrivals = [len(arm.arrivals) for arm in arms]
    if not sum(arrivals):
        return None
    effect = split_effect(arms) if rules.clustered else 1.0
    return float(chi2.sf(chisquare(arrivals).statistic / effect, len(arms) - 1))


def _needed(arms: Sequence[Arm], rules: Rules, effect: float) -> int | None:
    """Plan for two rates as far apart as is worth detecting, in the middle of which that of all variants lies."""
    trials = sum(arm.n for arm in arms)
    if not trials:
        return None
    rate = sum(arm.x for arm in arms) / trials
    lower = min(max(rate - rules.detectable / 2, 0.0), 1 - rules.detectable)
    alpha = (1 - rules.ci) / comb(len(arms), 2)
    size = float(sequential_size(lower, rules.detectable, alpha=alpha, tau=rules.tau)) * effect
    return None if np.isnan(size) else int(np.ceil(size))


def _verdict(
    arms: Sequence[Arm],
    compared: dict[tuple[int, int], Pair],
    split: float | None,
    rules: Rules,
    plan: int | None,
) -> str:
    if split is not None and split < BROKEN_SPLIT:
        return "broken split"
    alpha = (1 - rules.ci) / comb(len(arms), 2)
    for number, arm in enumerate(arms):
        against = [pair for (one, _), pair in compared.items() if one == number]
        if all(pair["diff"] is not None and pair["diff"] > 0 and pair["p_always_valid"] < alpha for pair in against):
            return arm.variant + BETTER
    if plan is None or any(arm.n < max(plan, 1) for arm in arms):
        return "too early"
    if all(-rules.detectable < pair["diff_lo"] and pair["diff_hi"] < rules.detectable for pair in compared.values()):
        return f"{NO_DIFFERENCE}±{100 * rules.detectable:g} points"
    return "undecided"
