"""Several recipients at once, where as many people would not: a scan over time within each group."""

import numpy as np
from scipy.special import gammainc

from outreach_frames.stats._calendar import SECOND
from outreach_frames.stats._small import Flags, Ints

RATE_FROM, RATE_UNTIL = 10 * SECOND, 70 * SECOND
"""How far before and after a window the rate is looked at [µs]; nearer than that, it is the burst's own."""

CHANCE = 1e-5
"""Chance below which so many recipients in a window are no coincidence at the rate around it."""


def in_burst(at: Ints, who: Ints, group: Ints, *, least: int, window: int) -> Flags:
    """
    Tell which events share a short window of time with those of more recipients than chance brings together.

    Parameters
    ----------
    at
        When each happened [µs].
    who
        Whose it was; one recipient counts once in a window.
    group
        Which group it belongs to; groups do not see each other.
    least
        Recipients in a window that are suspect at all.
    window
        Its length [µs], at most `RATE_FROM`.

    Returns
    -------
    in_burst
        Whether an event is in a window that `least` recipients or more share, and in which so many would be there by
        chance less often than `CHANCE`: events of a Poisson process at the greater of the rates before and after the
        window, so that a rush which begins or ends is none.

    Notes
    -----
    Every event begins a window; those are all windows that matter, since any other could be moved to begin at its first
    event. Recipients in a window are its events less the pairs of consecutive events of one recipient within it; a pair
    longer than the window is in none, so that the pairs inside are those ended before the window's end less those begun
    before its start.
    """
    order = np.lexsort((at, group))
    moment = _on_one_line(at[order], group[order])
    end = np.searchsorted(moment, moment + window)
    recipients = end - np.arange(len(order)) - _pairs_inside(moment, who[order], end, window)
    many = np.flatnonzero(recipients >= least)
    begun, over = moment[many], moment[many] + window
    before = _between(moment, begun - RATE_UNTIL, begun - RATE_FROM)
    after = _between(moment, over + RATE_FROM, over + RATE_UNTIL)
    expected = np.maximum(before, after) * (window / (RATE_UNTIL - RATE_FROM))
    rare = many[gammainc(recipients[many], expected) < CHANCE]  # the upper tail of a Poisson distribution
    covered = np.bincount(rare, minlength=len(order) + 1) - np.bincount(end[rare], minlength=len(order) + 1)
    found = np.empty(len(order), dtype=np.bool_)
    found[order] = np.cumsum(covered)[:-1] > 0
    return found


def _on_one_line(at: Ints, group: Ints) -> Ints:
    """Put groups, each in order of time, one after the other; gaps are only as long as it takes to see none across."""
    gaps = np.minimum(np.diff(at), 2 * RATE_UNTIL)
    gaps[np.diff(group) != 0] = 2 * RATE_UNTIL
    return np.concatenate((np.zeros(min(len(at), 1), dtype=np.int64), np.cumsum(gaps)))


def _pairs_inside(moment: Ints, who: Ints, end: Ints, window: int) -> Ints:
    """Count in each window the consecutive events of one recipient."""
    places = np.argsort(who, kind="stable")
    first, second = places[:-1], places[1:]
    close = (who[first] == who[second]) & (moment[second] - moment[first] < window)
    ended, begun = (
        np.searchsorted(np.sort(side[close]), at) for side, at in ((second, end), (first, np.arange(len(end))))
    )
    return ended - begun


def _between(moment: Ints, low: Ints, high: Ints) -> Ints:
    """Count the events between instants."""
    return np.searchsorted(moment, high) - np.searchsorted(moment, low)
