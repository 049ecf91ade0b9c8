"""
Sentences survive organizations in which nothing differs, and speak where something does.

`NULL` are organizations without differences, `DIFFERENT` those with one. Every result that findings have a rule about
is told in one call, as a report does.
"""

import warnings

import numpy as np
import pandas as pd
import pytest

from outreach_frames import findings, stats
from tests.stats.claims.organizations import AS_OF, Organization, all_results

CLAIMS = (
    "the others together",
    "than its other",
    "Up by",
    "Down by",
    "went up",
    "went down",
    "more often than",
    "more replies than",
    "the other hours",
    "from which to watch",
    "at which to act",
    "is broken",
    "has no reply",
)
"""Parts of sentences that say that something differs."""


def unequal(rng):
    """30 sequences of 40 to 400 enrollments."""
    return Organization(sizes=rng.integers(40, 401, 30))


def large(rng):
    """10 larger sequences."""
    return Organization(sizes=rng.integers(400, 1_201, 10))


def colleagues(rng):
    """30 sequences in which the people of an account, four each, are alike by 0.1."""
    return Organization(sizes=rng.integers(40, 401, 30), account_size=4, rho=0.1)


def new_sequence(rng):
    """20 sequences, and one of 200 enrollments that began six days ago."""
    return Organization(sizes=np.r_[200, rng.integers(100, 401, 20)], began_d={0: 6})


def unequal_lengths(_rng):
    """5 sequences of one step and 15 of four, with addresses that are equally bad."""
    return Organization(sizes=[300] * 20, steps=np.r_[[1] * 5, [4] * 15], opt_out=0, reply=0)


def better_sequence(rng):
    """20 sequences that reply at 6 %, and one of 500 enrollments at 12 %."""
    return Organization(sizes=np.r_[500, rng.integers(200, 501, 20)], replies={0: 0.12})


def bad_mailbox(_rng):
    """A mailbox that bounces at 8 % beside five at 2 %, all of about 400 enrollments."""
    return Organization(sizes=[267] * 9, mailbox_bounces={0: 0.08})


NULL = {each.__name__: each for each in (unequal, large, colleagues, new_sequence, unequal_lengths)}
DIFFERENT = {"better_sequence": (better_sequence, "“Sequence 1”"), "bad_mailbox": (bad_mailbox, "mailbox 1,")}


def claims_of(made, seed, number, results=all_results):
    """Return the sentences about an organization that say that something differs."""
    rng = np.random.default_rng([seed, number])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of data that a real organization would have
        said = findings.tell(*results(made(rng).tables(rng)))
    return [sentence for sentence in said if any(part in sentence for part in CLAIMS)]


def false_claims(name, organizations, *, seed=1):
    """Return, for each organization in which nothing differs, what is claimed all the same."""
    return [claims_of(NULL[name], seed, number) for number in range(organizations)]


def found(name, organizations, *, seed=1):
    """Return in how many organizations what differs is told."""
    made, who = DIFFERENT[name]
    return sum(any(who in claim for claim in claims_of(made, seed, number)) for number in range(organizations))


def changes(tables):
    """Compare two quarters up to the extraction, by rep."""
    middle = pd.Timestamp(AS_OF) - pd.Timedelta(days=60)
    spans = {"a": (middle - pd.Timedelta(days=60), middle), "b": (middle, pd.Timestamp(AS_OF))}
    return [stats.compare_periods(tables["mailings"], statistic=stats.engagement, by="user_id", **spans)]


def falls(pairs, *, seed=2):
    """Return in how many pairs of equal periods a change is claimed."""
    return sum(bool(claims_of(unequal, seed, number, changes)) for number in range(pairs))


@pytest.mark.slow
@pytest.mark.parametrize("name", NULL)
def test_where_nothing_differs_nothing_is_claimed(name):
    """At a true 5 %, two of five would be false once in 44 runs; ``python tests/stats/claims`` takes hundreds."""
    false = [claims for claims in false_claims(name, 5) if claims]

    assert len(false) <= 1, false


@pytest.mark.slow
@pytest.mark.parametrize("name", DIFFERENT)
def test_what_differs_is_told(name):
    """At the 85 % that is asked for, fewer than three of five would be found once in 37 runs."""
    assert found(name, 5) >= 3


@pytest.mark.slow
def test_no_fall_is_claimed_up_to_the_extraction():
    assert falls(12) <= 1
