"""
Intervals of 95 % hold the truth in 95 of 100 cases, also where trials belong together.

Each scene draws groups whose true rate is known, and counts the intervals that hold it. `table` prints all of them with
what independent trials would have given.
"""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta

from outreach_frames import stats
from tests.stats.claims.organizations import DAY, START, instants, whole

GROUPS = 20


def beta_binomial(rng, n, p, rho):
    """Draw successes of clusters of n trials with mean p and intra-class correlation rho."""
    size = (1 - rho) / rho
    return rng.binomial(n, beta.rvs(p * size, (1 - p) * size, size=len(n), random_state=rng))


def scanned(rng, n, share=0.06, by_scanner=0.8, by_people=0.02):
    """Draw clicks of accounts of which some have a scanner that clicks nearly everything."""
    return rng.binomial(n, np.where(rng.random(len(n)) < share, by_scanner, by_people))


def mail(rng, clusters, *, column, draw, size, flag):
    """Make mail of `GROUPS` sequences, each of so many clusters of a size, of which some has a flag."""
    n = size(rng, GROUPS * clusters)
    x = draw(rng, n)
    cluster = np.repeat(np.arange(len(n)), n)
    place = np.arange(len(cluster)) - np.repeat(np.cumsum(n) - n, n)
    marked = place < x[cluster]
    sequence = cluster // clusters + 1
    rows = len(cluster)
    at, never = np.full(rows, float(START)), np.full(rows, np.nan)
    instant = {
        name: instants(never) for name in ("bounced_at", "replied_at", "unsubscribed_at", "opened_at", "clicked_at")
    }
    number = np.arange(1, rows + 1)
    made = {
        "id": whole(number),
        "prospect_id": whole(number),
        "sequence_state_id": whole(number),
        "sequence_id": whole(sequence),
        "delivered_at": instants(at),
        **instant,
        "open_count": whole(np.zeros(rows)),
        "click_count": whole(np.zeros(rows)),
        "track_opens": pd.Series(np.ones(rows, dtype=bool)),
        "track_links": pd.Series(np.ones(rows, dtype=bool)),
        column: whole(cluster + 1),
    }
    if flag.endswith("_count"):
        made[flag] = whole(marked)
    else:
        made[flag] = instants(np.where(marked, at + DAY, np.nan))
    return pd.DataFrame(made)


def engagement(metric, p, *, as_of="2026-03-01T00:00:00Z", **drawn):
    """Return a scene of `engagement`: for a number of clusters, the share of intervals that hold p."""

    def hold(rng, clusters, cluster):
        result = stats.engagement(mail(rng, clusters, **drawn), by="sequence_id", cluster=cluster, as_of=as_of)
        return held(result, metric, p)

    return hold


def held(result, metric, p):
    lo, hi = (result[f"{metric}_{end}"].to_numpy(dtype=float) for end in ("lo", "hi"))
    return (lo <= p) & (p <= hi)


def connects(rng, clusters, cluster):
    """6 dials a person, a tenth of which is answered, alike by 0.2."""
    n = np.full(GROUPS * clusters, 6)
    x = beta_binomial(rng, n, 0.1, 0.2)
    person = np.repeat(np.arange(len(n)), n)
    answered = np.arange(len(person)) - 6 * person < x[person]
    at = np.full(len(person), float(START))
    calls = pd.DataFrame(
        {
            "id": whole(np.arange(1, len(person) + 1)),
            "direction": "outbound",
            "outcome": pd.Series(np.where(answered, "completed", "no_answer"), dtype="string[pyarrow]"),
            "dialed_at": instants(at),
            "answered_at": instants(np.where(answered, at + 5, np.nan)),
            "completed_at": instants(at + 60),
            "prospect_id": whole(person + 1),
            "user_id": whole(person // clusters + 1),
        }
    )
    return held(stats.call_outcomes(calls, cluster=cluster), "connect_rate", 0.1)


def within(rng, clusters, cluster):
    """Accounts of 10 enrollments of which 8 % reply within 14 days, alike by 0.08, followed for 10 to 60 days."""
    n = np.full(GROUPS * clusters, 10)
    x = beta_binomial(rng, n, 0.08, 0.08)
    account = np.repeat(np.arange(len(n)), n)
    replies = np.arange(len(account)) - 10 * account < x[account]
    waits, followed = 14 * rng.random(len(account)), rng.uniform(10, 60, len(account))
    event = np.where(replies & (waits <= followed), "reply", "censored")
    durations = pd.DataFrame(
        {
            "sequence_state_id": whole(np.arange(1, len(account) + 1)),
            "duration_d": np.where(event == "reply", waits, followed),
            "event": event,
            "account_id": whole(account + 1),
            "sequence_id": whole(account // clusters + 1),
        }
    )
    return held(stats.reply_within(durations, days=14, by="sequence_id", cluster=cluster), "reply_within_14d", 0.08)


def of_mail(rng, count):
    return rng.integers(1, 7, count)


def of_accounts(rng, count):
    return rng.integers(3, 60, count)


def of_domains(rng, count):
    return np.minimum(rng.geometric(0.1, count), 80)


def of_enrollments(rng, count):
    return rng.integers(5, 16, count)


SCENES = {
    "opens, people alike by 0.4": engagement(
        "open_rate",
        0.4,
        column="account_id",
        size=of_mail,
        draw=lambda rng, n: beta_binomial(rng, n, 0.4, 0.4),
        flag="open_count",
    ),
    "clicks, scanners in 6 % of accounts": engagement(
        "click_rate", 0.06 * 0.8 + 0.94 * 0.02, column="account_id", size=of_accounts, draw=scanned, flag="click_count"
    ),
    "bounces, domains alike by 0.3": engagement(
        "bounce_rate",
        0.03,
        column="recipient_domain_id",
        size=of_domains,
        draw=lambda rng, n: beta_binomial(rng, n, 0.03, 0.3),
        flag="bounced_at",
    ),
    "enrollment replies, accounts of 10 alike by 0.08": engagement(
        "enrollment_reply_rate",
        0.08,
        column="account_id",
        size=of_enrollments,
        draw=lambda rng, n: beta_binomial(rng, n, 0.08, 0.08),
        flag="replied_at",
    ),
    "connects, people alike by 0.2": connects,
    "replies within 14 days, accounts of 10": within,
}
ALONE = {
    f"nothing alike, {100 * p:g} % {metric}": engagement(
        metric,
        p,
        column="account_id",
        size=of_mail,
        draw=lambda rng, n, p=p: rng.binomial(n, p),
        flag=flag,
    )
    for metric, p, flag in (("reply_rate", 0.06, "replied_at"), ("click_rate", 0.02, "click_count"))
}
BOUNCES = "bounces, domains alike by 0.3"


def cluster_of(name):
    return "recipient_domain_id" if name == BOUNCES else "auto"


def coverage(name, *, clusters, rounds, cluster="auto", seed=1):
    """Return the share of intervals that hold the truth."""
    scene = (SCENES | ALONE)[name]
    drawn = (np.random.default_rng([seed, number]) for number in range(rounds))
    return float(np.mean([scene(rng, clusters, cluster) for rng in drawn]))


@pytest.mark.slow
@pytest.mark.parametrize("clusters", [60, 320])
@pytest.mark.parametrize("name", SCENES)
def test_intervals_hold_the_truth_where_trials_belong_together(name, clusters):
    least = 0.91 if name == BOUNCES else 0.92

    assert coverage(name, clusters=clusters, rounds=30, cluster=cluster_of(name)) >= least - 0.01


@pytest.mark.slow
@pytest.mark.parametrize("name", ALONE)
def test_intervals_are_not_too_wide_where_nothing_belongs_together(name):
    assert 0.93 <= coverage(name, clusters=200, rounds=30) <= 0.98


@pytest.mark.slow
def test_independent_trials_would_not_hold_it():
    """Else the scenes would show nothing."""
    assert coverage("clicks, scanners in 6 % of accounts", clusters=320, rounds=10, cluster=None) < 0.5


def table(rounds=100):
    """Yield rows: the scene, clusters a group, coverage with clusters and without."""
    for name in SCENES | ALONE:
        for clusters in (60, 320):
            told = coverage(name, clusters=clusters, rounds=rounds, cluster=cluster_of(name))
            yield name, clusters, told, coverage(name, clusters=clusters, rounds=max(rounds // 4, 1), cluster=None)
