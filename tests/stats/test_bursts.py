"""The scan for bursts must find what a plain count over every window finds."""

import numpy as np
from hypothesis import given, settings, strategies as st
from scipy.stats import poisson

from outreach_frames.stats.suspects import CHANCE, RATE_FROM, RATE_UNTIL, in_burst


def plainly(at, who, group, least, width):
    found = np.zeros(len(at), dtype=bool)
    for begun, own in zip(at, group, strict=True):
        lane = group == own
        window = lane & (at >= begun) & (at < begun + width)
        recipients = len(set(who[window]))
        over = begun + width
        before = (lane & (at >= begun - RATE_UNTIL) & (at < begun - RATE_FROM)).sum()
        after = (lane & (at >= over + RATE_FROM) & (at < over + RATE_UNTIL)).sum()
        expected = max(before, after) * width / (RATE_UNTIL - RATE_FROM)
        if recipients >= least and poisson.sf(recipients - 1, expected) < CHANCE:
            found |= window
    return found


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_the_scan_is_a_plain_count(data):
    """Ties, repeated opens, several groups, times between 1950 and 2100."""
    span = data.draw(st.sampled_from([2, 20, 300, 4_000_000_000]))
    step = data.draw(st.sampled_from([1, 250_000, 1_000_000]))
    moments = st.integers(-600_000_000, span).map(lambda second: second * 1_000_000 // step * step)
    start = data.draw(moments)
    offsets = st.integers(0, min(span, 300) * 1_000_000).map(lambda micros: start + micros // step * step)
    rows = data.draw(st.lists(st.tuples(offsets, st.integers(0, 8), st.integers(0, 2)), max_size=60))
    at, who, group = (np.array([row[place] for row in rows], dtype=np.int64) for place in range(3))
    least = data.draw(st.integers(1, 6))

    width = data.draw(st.sampled_from([250_000, 1_000_000, 2_000_000]))

    found = in_burst(at, who, group, least=least, window=width)

    assert found.tolist() == plainly(at, who, group, least, width).tolist()
