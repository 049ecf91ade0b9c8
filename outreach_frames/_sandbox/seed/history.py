"""Simulate everything that happens, in order, with one-off mail and opportunities."""

from dataclasses import dataclass

import numpy as np

from outreach_frames._sandbox.seed.journeys import (
    MAIL_NOT_SENT,
    MAIL_SCHEDULED,
    MAIL_SENT,
    enrollments,
    opted_out_at,
    respect_opt_outs,
    travel,
)
from outreach_frames._sandbox.seed.people import TRAITS, Cast, draw_people
from outreach_frames._sandbox.seed.responses import NEGATIVE, OPEN_EVENT, engagements, respond, tallies, tracking
from outreach_frames._sandbox.seed.simulation import (
    DAY_S,
    HOUR_S,
    BoolArray,
    FloatArray,
    IntArray,
    Simulation,
    Table,
    concat_tables,
    happens,
    next_slot,
    take_rows,
)
from outreach_frames._sandbox.seed.tasks import calls, tasks

SEQUENCE, SINGLE, CAMPAIGN = range(3)
_ONE_OFF_SHARE = 0.06
_TO_REPLIERS = 0.5
_STRANGER_SHARE = 0.02
_CAMPAIGN = 0.08


def _one_off_mail(simulation: Simulation, cast: Cast, mailings: Table) -> Table:
    """
    Draw one-off messages, six for every hundred in sequences: half of them to people who have replied.

    Returns
    -------
    mailings : Table
        The columns of the sequence mailings; ``enrollment, sequence, step, variant`` are -1, and ``prospect`` too where
        the address does not belong to a prospect.
    """
    rng = simulation.random("singles")
    size = max(4, round(len(mailings["sent"]) * _ONE_OFF_SHARE))
    answered = np.flatnonzero(~np.isnan(mailings["replied"]) & (mailings["prospect"] >= 0))
    anyone = rng.integers(0, len(cast.prospects.first), size)
    prospect, ready = anyone, np.fmax(cast.prospects.created[anyone], simulation.start) + HOUR_S
    ready = ready + rng.random(size) * np.maximum(simulation.as_of - ready - DAY_S, 0)
    if len(answered):
        source = answered[rng.integers(0, len(answered), size)]
        follows = happens(_TO_REPLIERS, size, rng)
        prospect = np.where(follows, mailings["prospect"][source], prospect)
        ready = np.where(follows, mailings["replied"][source] + rng.uniform(0.2, 8, size) * HOUR_S, ready)

    locked = len(cast.users.first) - 1
    user = np.where(cast.prospects.owner[prospect] == locked, 0, cast.prospects.owner[prospect])
    hours = np.asarray(simulation.model.send_hours)
    weekends = happens(0.1, size, rng)
    sent = next_slot(ready, cast.users.zone[user], simulation.zones, rng, hours=hours, weekends=weekends)
    unable = (user == TRAITS.disabled) & (sent > simulation.before(TRAITS.disabled_days))
    status = np.where(sent > simulation.as_of, MAIL_SCHEDULED, np.where(unable, MAIL_NOT_SENT, MAIL_SENT))
    none = np.full(size, -1)
    mail = {
        "enrollment": none,
        "prospect": prospect,
        "sequence": none,
        "step": none,
        "variant": none,
        "template": none,
        "mailbox": user,
        "user": user,
        "created": np.floor(np.minimum(np.minimum(ready, sent), simulation.as_of)),
        "scheduled": np.where(status == MAIL_SCHEDULED, sent, np.nan),
        "status": status,
        "attempted": np.where(status == MAIL_SCHEDULED, np.nan, sent),
        "error": np.where(status == MAIL_NOT_SENT, 1, -1),
        "sent": np.where(status == MAIL_SENT, sent, np.nan),
        "reply_rate": np.full(size, simulation.model.single_reply),
        "opt_out_rate": np.full(size, 0.002),
        "positive_rate": np.full(size, 0.45),
    }
    mail = respond(simulation, cast, mail, rng)
    stranger = happens(_STRANGER_SHARE, size, rng)
    stranger[0] = True
    mail["prospect"] = np.where(stranger, -1, prospect)
    return mail


def _mailing_types(mailings: Table, rng: np.random.Generator) -> np.ndarray:
    """`SEQUENCE`, `SINGLE` or `CAMPAIGN` for each message."""
    campaign = happens(_CAMPAIGN, len(mailings["sent"]), rng)
    kinds: np.ndarray = np.where(mailings["sequence"] >= 0, SEQUENCE, np.where(campaign, CAMPAIGN, SINGLE))
    return kinds


CURRENCIES = ("USD", "EUR", "GBP", "INR", "JPY")
ROLES = ("Decision maker", "Champion", "Influencer", "Evaluator")
OPPORTUNITY_STAGES = (
    ("Discovery", False, 10), ("Evaluation", False, 35), ("Proposal", False, 60), ("Negotiation", False, 80),
    ("Closed won", True, 100), ("Closed lost", True, 0),
)  # fmt: skip
WON, LOST = 4, 5
_FROM_REPLIES = 0.22
_BULK_SYNC_DAYS = 33.0


def opportunities(simulation: Simulation, cast: Cast, mailings: Table) -> tuple[Table, Table]:
    """
    Draw deals: one reply in five leads to a deal within a month, and some start without any mail.

    Returns
    -------
    opportunities : Table
        ``account, owner, primary`` (positions), ``opened`` (in the CRM) and ``synced`` [UTC seconds], ``external`` (the
        CRM date is known), ``stage, currency, amount`` (NaN is null), ``closes`` [UTC seconds], ``trashed``.
    roles : Table
        ``opportunity, prospect, role`` (positions), ``primary``.
    """
    rng = simulation.random("deals")
    person, opened = _beginnings(simulation, cast, mailings, rng)
    size = len(person)
    order = np.argsort(opened, kind="stable")
    person, opened = person[order], np.floor(opened[order])
    bulk = happens(0.2, size, rng)
    first_sync = simulation.before(_BULK_SYNC_DAYS)
    synced = np.where(bulk & (opened < first_sync), first_sync, opened + rng.uniform(0.2, 20, size) * HOUR_S)
    age = (simulation.as_of - opened) / DAY_S
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
        "synced": np.minimum(np.floor(synced), simulation.as_of),
        "external": happens(0.85, size, rng),
        "stage": stage,
        "currency": currency,
        "amount": np.where(happens(0.08, size, rng), np.nan, amount),
        "closes": np.where(
            closed,
            opened + (simulation.as_of - opened) * rng.uniform(0.3, 1, size),
            opened + rng.uniform(40, 160, size) * DAY_S,
        ),
        "trashed": happens(0.02, size, rng),
    }
    table = take_rows(table, np.argsort(table["synced"], kind="stable"))
    return table, _roles(cast, table, rng)


def _beginnings(
    simulation: Simulation, cast: Cast, mailings: Table, rng: np.random.Generator
) -> tuple[IntArray, FloatArray]:
    """Return the prospect and the start of each deal: after a reply that was not negative, or at random."""
    leads = (mailings["prospect"] >= 0) & ~np.isnan(mailings["replied"]) & (mailings["sentiment"] != NEGATIVE)
    led = np.flatnonzero(leads & happens(_FROM_REPLIES, len(leads), rng))
    after = mailings["replied"][led] + rng.gamma(2.0, 5.0, len(led)) * DAY_S
    count = len(cast.prospects.first)
    blue = rng.integers(0, count, max(4, len(led) // 3, count // 250))
    start = np.fmax(cast.prospects.created[blue], simulation.start)
    sudden = start + rng.random(len(blue)) * (simulation.as_of - start)
    person = np.concatenate([mailings["prospect"][led], blue])
    opened = np.concatenate([after, sudden])
    fits = opened < simulation.as_of - DAY_S
    fits |= np.arange(len(fits)) >= len(fits) - 1
    return person[fits], np.minimum(opened[fits], simulation.as_of - HOUR_S)


def _roles(cast: Cast, deals: Table, rng: np.random.Generator) -> Table:
    """The first person, and up to two colleagues from the same account."""
    accounts = cast.prospects.account
    order = np.argsort(accounts, kind="stable")
    accounts_of_deals = np.asarray(deals["account"], dtype=np.int64)
    begins = np.searchsorted(accounts[order], accounts_of_deals)
    ends = np.searchsorted(accounts[order], accounts_of_deals, side="right")
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


@dataclass(frozen=True, slots=True)
class History:
    """
    The finished simulation.

    Attributes
    ----------
    mailings
        All messages, oldest first; ``deleted`` marks those without a row that counters still count.
    engaged
        Opens and clicks by position of their mailing.
    opted_out, touched
        Per prospect: first opt-out, and last message or call [UTC seconds, NaN without].
    """

    simulation: Simulation
    cast: Cast
    enrollments: Table
    mailings: Table
    engaged: Table
    tasks: Table
    calls: Table
    opportunities: Table
    roles: Table
    opted_out: FloatArray
    touched: FloatArray


def simulate(simulation: Simulation, prospects: int) -> History:
    """Run the simulation for a number of prospects."""
    people = draw_people(simulation, prospects)
    journeys = respect_opt_outs(simulation, people, travel(simulation, people, enrollments(simulation, people)))
    opted_out = opted_out_at(people, journeys.mailings)
    single = _one_off_mail(simulation, people, journeys.mailings)
    single = take_rows(
        single,
        ~(single["created"] > opted_out[single["prospect"]]) & ~(single["attempted"] > opted_out[single["prospect"]]),
    )
    mailings = concat_tables([journeys.mailings, single])
    mailings = take_rows(mailings, np.argsort(mailings["created"], kind="stable"))
    mailings |= tracking(simulation, mailings)
    engaged = engagements(simulation, people, mailings)
    rng = simulation.random("deletions")
    mailings |= tallies(mailings, engaged) | {
        "type": _mailing_types(mailings, rng),
        "deleted": _deleted(simulation, mailings, rng),
    }
    work = tasks(simulation, people, journeys, mailings, engaged)
    talks = calls(simulation, people, work)
    deals, roles = opportunities(simulation, people, mailings)
    return History(
        simulation=simulation,
        cast=people,
        enrollments=journeys.enrollments,
        mailings=mailings,
        engaged=engaged,
        tasks=work,
        calls=talks,
        opportunities=deals,
        roles=roles,
        opted_out=opted_out_at(people, mailings),
        touched=_last_touched(people, mailings, talks),
    )


def _deleted(simulation: Simulation, mailings: Table, rng: np.random.Generator) -> BoolArray:
    """Whether each message was deleted after delivery: never one with a reply."""
    ordinary = ~np.isnan(mailings["delivered"]) & np.isnan(mailings["replied"]) & np.isnan(mailings["bounced"])
    ordinary &= (mailings["sequence"] >= 0) & np.isnan(mailings["opted_out"])
    deleted: BoolArray = ordinary & happens(simulation.model.deleted, len(ordinary), rng)
    return deleted


def _last_touched(people: Cast, mailings: Table, talks: Table) -> FloatArray:
    last = np.full(len(people.prospects.first), -np.inf)
    sent = ~np.isnan(mailings["delivered"]) & (mailings["prospect"] >= 0)
    np.maximum.at(last, mailings["prospect"][sent], mailings["delivered"][sent])
    outbound = ~talks["inbound"]
    np.maximum.at(last, talks["prospect"][outbound], talks["dialed"][outbound])
    return np.where(np.isinf(last), np.nan, last)


def since_touched(history: History) -> dict[str, np.ndarray]:
    """Opens, clicks and replies of each prospect since the last touch point: events, not distinct messages."""
    mailings, engaged, count = history.mailings, history.engaged, len(history.cast.prospects.first)
    person = mailings["prospect"][engaged["mailing"]]
    fresh = (person >= 0) & (engaged["at"] >= history.touched[person])
    replied = (mailings["prospect"] >= 0) & (mailings["replied"] >= history.touched[mailings["prospect"]])
    opens = engaged["what"] == OPEN_EVENT
    return {
        "openCount": np.bincount(person[fresh & opens], minlength=count),
        "clickCount": np.bincount(person[fresh & ~opens], minlength=count),
        "replyCount": np.bincount(mailings["prospect"][replied], minlength=count),
    }
