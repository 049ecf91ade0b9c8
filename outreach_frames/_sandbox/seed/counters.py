"""The counter block that sequences, steps, templates, sequence templates and sequence states carry."""

import numpy as np

from outreach_frames._sandbox.seed.clock import Flags, Ints
from outreach_frames._sandbox.seed.columns import Table
from outreach_frames._sandbox.seed.journeys import NOT_SENT, QUEUED, SCHEDULED
from outreach_frames._sandbox.seed.responses import NEGATIVE, NEUTRAL, POSITIVE


def counter_flags(mailings: Table) -> dict[str, Flags]:
    """
    What each counter counts, one flag per message.

    Opens and clicks count *messages* opened or clicked, however often; deliveries include those that bounced later;
    deleted messages still count.
    """
    return {
        "scheduleCount": np.isin(mailings["status"], (SCHEDULED, QUEUED)),
        "deliverCount": ~np.isnan(mailings["delivered"]),
        "openCount": mailings["opens"] > 0,
        "clickCount": mailings["clicks"] > 0,
        "replyCount": ~np.isnan(mailings["replied"]),
        "positiveReplyCount": mailings["sentiment"] == POSITIVE,
        "neutralReplyCount": mailings["sentiment"] == NEUTRAL,
        "negativeReplyCount": mailings["sentiment"] == NEGATIVE,
        "bounceCount": ~np.isnan(mailings["bounced"]),
        "failureCount": mailings["status"] == NOT_SENT,
        "optOutCount": ~np.isnan(mailings["opted_out"]),
    }


def counters(mailings: Table, owner: Ints, *, count: int) -> dict[str, list[int]]:
    """Add up the flags per owner 0 … count-1; messages with owner -1 belong to none."""
    mine = owner >= 0
    return {
        name: np.bincount(owner[mine & flag], minlength=count).tolist()
        for name, flag in counter_flags(mailings).items()
    }


def distinct_people(owner: Ints, prospect: Ints, *, count: int) -> Ints:
    """How many distinct prospects each owner has among (owner, prospect) pairs; pairs with a -1 are left out."""
    known = (owner >= 0) & (prospect >= 0)
    pairs = np.unique(np.stack([owner[known], prospect[known]]), axis=1)
    return np.bincount(pairs[0], minlength=count)
