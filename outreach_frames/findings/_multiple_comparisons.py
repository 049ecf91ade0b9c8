"""
Multiple comparisons: a sentence that says that something differs must survive all comparisons of its family.

Of organizations in which nothing differs, at most 5 in 100 get such a sentence. Source: Y. Benjamini and Y. Hochberg,
JRSS B 57 (1995) 289–300; with weights, C. R. Genovese, K. Roeder and L. Wasserman, Biometrika 93 (2006) 509–524.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.stats import false_discovery_control

from outreach_frames._format import counted
from outreach_frames.findings._finding import Finding

_FALSE_DISCOVERIES = 0.05
"""The accepted share of false sentences among those that say that something differs."""


def surviving(by_result: Sequence[Sequence[Finding]]) -> Iterator[list[Finding]]:
    """
    Keep the facts, and the claims that survive all comparisons of the family, weighted by their importance.

    Parameters
    ----------
    by_result
        The findings of each result; all of them are one family.
    """
    claims = [finding for group in by_result for finding in group if finding.p is not None]
    p, weights = (np.array([getattr(each, name) for each in claims], dtype=np.float64) for name in ("p", "importance"))
    adjusted = iter(false_discovery_control(np.minimum(p * weights.mean() / weights, 1.0)) if claims else ())
    for group in by_result:
        yield [each for each in group if each.p is None or next(adjusted) <= _FALSE_DISCOVERIES]


def number_of_comparisons(by_result: Sequence[Sequence[Finding]]) -> str | None:
    """Say how many comparisons were made; ``None`` where there were none."""
    comparisons = sum(finding.p is not None for group in by_result for finding in group)
    number = counted(comparisons, "comparison was made", "comparisons were made")
    return f"{number}. If nothing differed, 95 of 100 such lists would name no difference." if comparisons else None
