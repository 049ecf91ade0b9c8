"""What `deliverability` says of mailboxes in which nothing is wrong, and of one in which something is."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from outreach_frames import stats
from outreach_frames.stats.control_limits import z_against

MONDAY = 1_735_516_800_000_000
"""2024-12-30T00:00Z [µs]."""
WEEK, HOUR = 604_800_000_000, 3_600_000_000
MAILBOXES = 40


def column(values, kind):
    array = pa.array(values, kind)
    return pd.Series(array, dtype=pd.ArrowDtype(array.type))


def organization(rng, rates, per_week):
    """
    Make the mailings and mailboxes of an organization.

    Parameters
    ----------
    rng
        Random numbers.
    rates
        Bounce rate, shape (n_mailboxes, n_weeks).
    per_week
        Mailings of a mailbox a week.
    """
    boxes, weeks = rates.shape
    box, week, _ = (part.ravel() for part in np.indices((boxes, weeks, per_week)))
    size = len(box)
    sent = MONDAY + week * WEEK + rng.integers(0, 7 * 24, size) * HOUR
    bounced = rng.random(size) < rates[box, week]
    instants = pa.timestamp("us", "UTC")
    none = [None] * size
    mailings = {
        "id": column(np.arange(size), pa.int64()),
        "mailbox_id": column(box + 1, pa.int64()),
        "prospect_id": column(np.arange(size), pa.int64()),
        "state": column(none, pa.string()),
        "delivered_at": column(np.where(bounced, None, sent), instants),
        "bounced_at": column(np.where(bounced, sent, None), instants),
        **{
            name: column(none, instants)
            for name in ("created_at", "scheduled_at", "replied_at", "unsubscribed_at", "marked_as_spam_at")
        },
    }
    listed = range(1, boxes + 1)
    addresses = {
        "id": column(listed, pa.int64()),
        "email": column([f"rep{number}@example.com" for number in listed], pa.string()),
    }
    return pd.DataFrame(mailings), pd.DataFrame(addresses)


@pytest.mark.slow
@pytest.mark.parametrize("per_week", [20, 50, 100])
def test_an_honest_mailbox_is_not_told_to_act(per_week):
    """At 1 % bounces, 40 mailboxes for a year; 0.1.0 said act in 18 % of the weeks of 20 mails."""
    rng = np.random.default_rng(20260401)
    found = stats.deliverability(*organization(rng, np.full((MAILBOXES, 52), 0.01), per_week))

    acted, watched, outside = (
        (found["alert"] == "act").mean(),
        (found["alert"] == "watch").mean(),
        (found["z_vs_baseline"].abs() > 3).mean(),
    )
    print(
        f"\nhonest 1 %, {per_week} mails a week: act {acted:.2%}, watch {watched:.2%}, |z| > 3 {outside:.2%} of weeks"
    )
    assert acted <= 0.005
    assert acted + watched <= 0.025
    assert outside <= 0.003


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.005, 0.01, 0.02, 0.05])
def test_a_steady_mailbox_stays_within_its_limits(rate):
    """|z| > 3 in at most 0.3 % of weeks, whatever the mail of the week and the weeks before."""
    rng = np.random.default_rng(20260402)
    runs, worst = 100_000, 0.0
    for mails in (20, 50, 100, 200, 500):
        for weeks in (1, 2, 4, 8):
            drawn = np.stack([rng.binomial(mails, rate, runs), rng.binomial(mails * weeks, rate, runs)])
            counts, times = np.unique(drawn, axis=1, return_counts=True)
            z = z_against(counts[0], mails, counts[1], mails * weeks)
            worst = max(worst, times[np.abs(z) > 3].sum() / runs)
    print(f"\nsteady {rate:.1%}, 20–500 mails a week, baseline of 1–8 weeks: |z| > 3 in at most {worst:.3%} of weeks")
    assert worst <= 0.003


@pytest.mark.slow
def test_a_mailbox_in_trouble_is_told_of():
    """8 % bounces after eight weeks at 2 %, 400 mails a week."""
    rates = np.full((200, 9), 0.02)
    rates[:, 8] = 0.08
    found = stats.deliverability(*organization(np.random.default_rng(20260403), rates, 400))

    last = found[found["week"] == found["week"].max()]
    acted, alerted, outside = (
        (last["alert"] == "act").mean(),
        last["alert"].isin(["act", "watch"]).mean(),
        (last["z_vs_baseline"] > 3).mean(),
    )
    print(f"\n8 % after 2 %, 400 mails a week: act {acted:.1%}, act or watch {alerted:.1%}, z > 3 {outside:.1%}")
    assert alerted >= 0.95
    assert outside >= 0.95
