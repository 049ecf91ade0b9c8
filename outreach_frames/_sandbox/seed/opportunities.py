"""Opportunities and who has a part in them."""

import numpy as np

from outreach_frames._sandbox.seed.clock import DAY, HOUR, Floats, Ints
from outreach_frames._sandbox.seed.columns import Table, taken
from outreach_frames._sandbox.seed.people import Cast
from outreach_frames._sandbox.seed.responses import NEGATIVE
from outreach_frames._sandbox.seed.simulation import Simulation, happens

CURRENCIES = ("USD", "EUR", "GBP", "INR", "JPY")
ROLES = ("Decision maker", "Champion", "Influencer", "Evaluator")
STAGES = (
    ("Discovery", False, 10), ("Evaluation", False, 35), ("Proposal", False, 60), ("Negotiation", False, 80),
    ("Closed won", True, 100), ("Closed lost", True, 0),
)  # fmt: skip
WON, LOST = 4, 5
_FROM_REPLIES = 0.22
_BULK_SYNC_DAYS = 33.0


def opportunities(setting: Simulation, cast: Cast, mailings: Table) -> tuple[Table, Table]:
    """
    Draw deals: one reply in five leads to one within a month, and some arise without any mail.

    Returns
    -------
    opportunities : Table
        ``account, owner, primary`` (positions), ``opened`` (in the CRM) and ``synced`` [UTC seconds], ``external`` (the
        CRM date is known), ``stage, currency, amount`` (NaN is null), ``closes`` [UTC seconds], ``trashed``.
    roles : Table
        ``opportunity, prospect, role`` (positions), ``primary``.
    """
    rng = setting.random("deals")
    person, opened = _beginnings(setting, cast, mailings, rng)
    size = len(person)
    order = np.argsort(opened, kind="stable")
    person, opened = person[order], np.floor(opened[order])
    bulk = happens(0.2, size, rng)
    first_sync = setting.before(_BULK_SYNC_DAYS)
    synced = np.where(bulk & (opened < first_sync), first_sync, opened + rng.uniform(0.2, 20, size) * HOUR)
    age = (setting.as_of - opened) / DAY
    closed = happens(np.clip(age / 150, 0.03, 0.6), size, rng)
    stage = np.where(closed, np.where(happens(0.35, size, rng), WON, LOST), rng.integers(0, WON, size))
    currency = rng.choice(len(CURRENCIES), size, p=[0.55, 0.22, 0.12, 0.06, 0.05])
    rate = np.array([1.0, 1.0, 1.0, 80.0, 150.0])[currency]
    amount = np.round(np.exp(rng.normal(9.6, 0.9, size)) * rate / 100) * 100
    table = {
        "account": cast.prospects.account[person],
        "owner": cast.prospects.owner[person],
        "primary": person,
        "opened": opened,
        "synced": np.minimum(np.floor(synced), setting.as_of),
        "external": happens(0.85, size, rng),
        "stage": stage,
        "currency": currency,
        "amount": np.where(happens(0.08, size, rng), np.nan, amount),
        "closes": np.where(
            closed,
            opened + (setting.as_of - opened) * rng.uniform(0.3, 1, size),
            opened + rng.uniform(40, 160, size) * DAY,
        ),
        "trashed": happens(0.02, size, rng),
    }
    table = taken(table, np.argsort(table["synced"], kind="stable"))
    return table, _roles(cast, table, rng)


def _beginnings(setting: Simulation, cast: Cast, mailings: Table, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """Who a deal began with, and when: after an answer that was not a refusal, or out of the blue."""
    known = (mailings["prospect"] >= 0) & ~np.isnan(mailings["replied"]) & (mailings["sentiment"] != NEGATIVE)
    led = np.flatnonzero(known & happens(_FROM_REPLIES, len(known), rng))
    after = mailings["replied"][led] + rng.gamma(2.0, 5.0, len(led)) * DAY
    count = len(cast.prospects.first)
    blue = rng.integers(0, count, max(4, len(led) // 3, count // 250))
    start = np.fmax(cast.prospects.created[blue], setting.start)
    sudden = start + rng.random(len(blue)) * (setting.as_of - start)
    person = np.concatenate([mailings["prospect"][led], blue])
    opened = np.concatenate([after, sudden])
    fits = opened < setting.as_of - DAY
    fits |= np.arange(len(fits)) >= len(fits) - 1
    return person[fits], np.minimum(opened[fits], setting.as_of - HOUR)


def _roles(cast: Cast, deals: Table, rng: np.random.Generator) -> Table:
    """The first person, and up to two colleagues from the same account."""
    accounts = cast.prospects.account
    order = np.argsort(accounts, kind="stable")
    wanted = np.asarray(deals["account"], dtype=np.int64)
    begins = np.searchsorted(accounts[order], wanted)
    ends = np.searchsorted(accounts[order], wanted, side="right")
    rows: list[tuple[int, int, bool]] = []
    more = rng.integers(0, 3, len(begins)).tolist()
    for deal, (begin, end, extra) in enumerate(zip(begins.tolist(), ends.tolist(), more, strict=True)):
        primary = int(deals["primary"][deal])
        rows.append((deal, primary, True))
        if deals["account"][deal] >= 0:
            others = [int(one) for one in order[begin : min(end, begin + extra + 1)] if one != primary]
            rows += [(deal, other, False) for other in others[:extra]]
    return {
        "opportunity": np.array([deal for deal, _, _ in rows]),
        "prospect": np.array([person for _, person, _ in rows]),
        "primary": np.array([first for _, _, first in rows]),
        "role": rng.integers(0, len(ROLES), len(rows)),
    }
