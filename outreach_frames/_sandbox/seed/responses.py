"""
Responses to messages: bounces, opens, clicks, replies, opt-outs, complaints.

People open late and sometimes again; privacy proxies open within seconds; gateways follow every link within seconds
and often without opening. Mailing counters and `message_opened` events come from the same rows, so they agree.
"""

import numpy as np

from outreach_frames._sandbox.seed.people import TRAITS, Cast
from outreach_frames._sandbox.seed.simulation import (
    DAY_S,
    HOUR_S,
    MINUTE_S,
    BoolArray,
    FloatArray,
    IntArray,
    Simulation,
    Table,
    at_waking_hours,
    concat_tables,
    happens,
    hour,
    take_rows,
    weekday,
)

POSITIVE, NEUTRAL, NEGATIVE, UNCLASSIFIED = range(4)
_HOLIDAYS = {(12, day) for day in range(20, 32)} | {(1, day) for day in range(1, 5)}


def respond(simulation: Simulation, cast: Cast, mail: Table, rng: np.random.Generator) -> Table:
    """
    Draw the responses to messages.

    Parameters
    ----------
    mail
        Columns ``sent`` (NaN for messages that do not leave), ``prospect``, ``mailbox``, ``user``, ``reply_rate``
        (probability for an average person, sender and slot), ``opt_out_rate``, ``positive_rate``.

    Returns
    -------
    mail : Table
        The columns of `mail` plus the instants ``delivered``, ``bounced``, ``replied``, ``opted_out``, ``spam``,
        ``away_until`` (NaN where they did not happen by now), and ``sentiment`` (-1 without a reply). A mailbox whose
        synchronization is broken sees neither bounces nor replies.
    """
    sent, size = mail["sent"], len(mail["sent"])
    prospects = cast.prospects
    bounced, delivered = _bounces(simulation, cast, mail, rng)
    arrived = ~np.isnan(sent) & np.isnan(bounced)

    zone = prospects.zone[mail["prospect"]]
    reply_probability = mail["reply_rate"] * _slot_factor(simulation, mail, cast)
    answers = arrived & happens(reply_probability, size, rng)
    delay = np.clip(
        simulation.model.reply_delay_h * np.exp(simulation.model.reply_delay_spread * rng.normal(size=size)), 0.15, 960
    )
    replied = at_waking_hours(np.where(answers, sent + delay * HOUR_S, np.nan), zone, simulation.zones, rng)

    away = arrived & ~answers & happens(_away_probability(simulation, sent), size, rng)
    away_until = np.where(away, sent + rng.uniform(2, 15, size) * DAY_S, np.nan)
    noticed = away & happens(simulation.model.away_counts, size, rng)
    replied = np.where(noticed, sent + rng.uniform(20, 240, size), replied)
    replied = np.where(
        _answered_after_all(delivered, bounced, rng), bounced + rng.uniform(1, 30, size) * HOUR_S, replied
    )

    leaves = arrived & happens(mail["opt_out_rate"], size, rng)
    complains = arrived & happens(simulation.model.spam, size, rng)
    blind = simulation.before(TRAITS.blind_days)
    unseen = mail["mailbox"] == TRAITS.blind
    responses = mail | {
        "delivered": simulation.until_now(np.floor(delivered)),
        "bounced": simulation.until_now(np.floor(np.where(unseen & (bounced > blind), np.nan, bounced))),
        "replied": simulation.until_now(np.floor(np.where(unseen & (replied > blind), np.nan, replied))),
        "opted_out": simulation.until_now(
            np.floor(np.where(leaves, sent + 3 * HOUR_S * np.exp(rng.normal(size=size)), np.nan))
        ),
        "spam": simulation.until_now(np.floor(np.where(complains, sent + rng.uniform(1, 48, size) * HOUR_S, np.nan))),
        "away_until": np.floor(away_until),
    }
    return responses | {"sentiment": _sentiments(responses["replied"], away, mail["positive_rate"], rng)}


def _slot_factor(simulation: Simulation, mail: Table, cast: Cast) -> FloatArray:
    """Factor on the reply probability from the recipient's local weekday and hour, the sender and the person."""
    local = simulation.zones.to_local(np.nan_to_num(mail["sent"]), cast.prospects.zone[mail["prospect"]])
    factor: FloatArray = (
        simulation.model.weekday_factor()[weekday(local)]
        * simulation.model.hour_factor()[hour(local)]
        * simulation.model.skill(mail["user"] + 1)
        * cast.prospects.propensity[mail["prospect"]]
    )
    return factor


def _bounces(
    simulation: Simulation, cast: Cast, mail: Table, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return bounce and delivery instants; some bounces come at once, others after the message counted as delivered."""
    sent, size = mail["sent"], len(mail["sent"])
    poor = mail["mailbox"] == TRAITS.poor
    chance = np.where(poor, simulation.model.poor_mailbox_bounce, simulation.model.stray_bounce)
    chance = np.where(cast.prospects.bad_address[mail["prospect"]], 0.98, chance)
    bounces = ~np.isnan(sent) & happens(chance, size, rng)
    at_once = bounces & happens(0.45, size, rng)
    wait = np.where(at_once, rng.uniform(2, 40, size), rng.uniform(1 * MINUTE_S, 14 * HOUR_S, size))
    return np.where(bounces, sent + wait, np.nan), np.where(at_once, np.nan, sent)


def _answered_after_all(delivered: FloatArray, bounced: FloatArray, rng: np.random.Generator) -> BoolArray:
    """Mark one in ten late bounces: they concern a second recipient, and the first one replies."""
    late = ~np.isnan(delivered) & ~np.isnan(bounced)
    answers: BoolArray = late & happens(0.1, len(late), rng)
    return answers


def _away_probability(simulation: Simulation, sent: FloatArray) -> FloatArray:
    days = np.nan_to_num(sent).astype("int64").astype("datetime64[s]").astype("datetime64[D]")
    distinct, position = np.unique(days, return_inverse=True)
    holiday = np.array([(day.month, day.day) in _HOLIDAYS for day in distinct.tolist()], dtype=bool)
    return simulation.model.away * np.where(holiday[position], simulation.model.away_holiday, 1.0)


def _sentiments(replied: FloatArray, away: BoolArray, positive: FloatArray, rng: np.random.Generator) -> IntArray:
    """Class of each reply; one in ten, and every out-of-office notice, is not classified."""
    drawn = rng.random(len(replied))
    sentiment = np.where(
        drawn < positive, POSITIVE, np.where(drawn < positive + (1 - positive) * 0.6, NEUTRAL, NEGATIVE)
    )
    sentiment = np.where(away | happens(0.1, len(replied), rng), UNCLASSIFIED, sentiment)
    return np.where(np.isnan(replied), -1, sentiment)


OPEN_EVENT, CLICK_EVENT = range(2)
BY_PERSON, BY_PROXY, BY_SCANNER = range(3)
_OPENED_IF_REPLIED = 0.93
_SINGLE_OPENED = 0.55
_SINGLE_CLICKED = 0.08
_UNTRACKED_SINGLES = 0.08


def tracking(simulation: Simulation, mailings: Table) -> Table:
    """Whether each message tracks opens and links: 1, 0, or -1 where the API says null."""
    rng = simulation.random("tracking")
    sequence, size = mailings["sequence"], len(mailings["sequence"])
    single = np.where(happens(_UNTRACKED_SINGLES, size, rng), 0, np.where(happens(0.1, size, rng), -1, 1))
    opens = np.where(sequence >= 0, simulation.sequences.tracks_opens[sequence], single)
    links = np.where(sequence >= 0, simulation.sequences.tracks_links[sequence], single)
    return {"track_opens": opens.astype(int), "track_links": links.astype(int)}


def engagements(simulation: Simulation, cast: Cast, mailings: Table) -> Table:
    """
    Draw every open and click of delivered messages.

    Returns
    -------
    engagements : Table
        ``mailing`` (position), ``at`` [UTC seconds], ``what`` (OPEN or CLICK), ``who`` (PERSON, PROXY or SCANNER),
        sorted by time; only what the message tracks, up to `as_of`.
    """
    rng = simulation.random("engagement")
    arrived = np.flatnonzero(~np.isnan(mailings["delivered"]) & np.isnan(mailings["bounced"]))
    opened, first = _first_opens(simulation, mailings, arrived, rng)
    parts = [
        _engagement_table(opened, first, OPEN_EVENT, BY_PERSON),
        _reopens(opened, first, rng),
        _clicks(simulation, mailings, opened, first, rng),
        _proxies(simulation, cast, mailings, arrived, rng),
        *_scanners(simulation, cast, mailings, arrived, rng),
    ]
    table = concat_tables(parts)
    tracked = np.where(
        table["what"] == OPEN_EVENT,
        mailings["track_opens"][table["mailing"]],
        mailings["track_links"][table["mailing"]],
    )
    table["at"] = np.floor(table["at"])
    table = take_rows(table, (tracked != 0) & (table["at"] <= simulation.as_of))
    return take_rows(table, np.argsort(table["at"], kind="stable"))


def _engagement_table(mailing: IntArray, at: FloatArray, what: int, who: int) -> Table:
    return {"mailing": mailing, "at": at, "what": np.full(len(mailing), what), "who": np.full(len(mailing), who)}


def _first_opens(
    simulation: Simulation, mailings: Table, arrived: IntArray, rng: np.random.Generator
) -> tuple[IntArray, FloatArray]:
    """Messages that people open, and the first opens: before a reply if there is one."""
    sequence, size = mailings["sequence"][arrived], len(arrived)
    replied, sent = mailings["replied"][arrived], mailings["delivered"][arrived]
    chance = np.where(sequence >= 0, simulation.sequences.opened[sequence], _SINGLE_OPENED)
    chance = np.where(np.isnan(replied), chance, _OPENED_IF_REPLIED)
    opens = happens(chance, size, rng)
    at = sent + 40 + 2.5 * HOUR_S * np.exp(1.6 * rng.normal(size=size))
    at = np.where(np.isnan(replied), at, sent + (replied - sent) * rng.uniform(0.3, 0.95, size))
    return arrived[opens], at[opens]


def _reopens(opened: IntArray, first: FloatArray, rng: np.random.Generator) -> Table:
    """Draw further opens by people: 0.6 per message on average, over the next days."""
    times = rng.poisson(0.6, len(opened))
    again = np.repeat(opened, times)
    return _engagement_table(
        again, np.repeat(first, times) + rng.exponential(1.5 * DAY_S, len(again)), OPEN_EVENT, BY_PERSON
    )


def _clicks(
    simulation: Simulation, mailings: Table, opened: IntArray, first: FloatArray, rng: np.random.Generator
) -> Table:
    """Draw the clicks of people: some who open follow a link, some of them more than once."""
    sequence = mailings["sequence"][opened]
    chance = np.where(sequence >= 0, simulation.sequences.clicked[sequence], _SINGLE_CLICKED)
    times = np.where(happens(chance, len(opened), rng), rng.geometric(0.7, len(opened)), 0)
    clicked = np.repeat(opened, times)
    return _engagement_table(
        clicked, np.repeat(first, times) + rng.exponential(300, len(clicked)), CLICK_EVENT, BY_PERSON
    )


def _proxies(simulation: Simulation, cast: Cast, mailings: Table, arrived: IntArray, rng: np.random.Generator) -> Table:
    """Draw the opens of mail privacy proxies, within seconds of delivery."""
    proxied = cast.prospects.proxied[mailings["prospect"][arrived]] & (mailings["prospect"][arrived] >= 0)
    rows = arrived[proxied & happens(simulation.model.proxy_opens, len(arrived), rng)]
    return _engagement_table(rows, mailings["delivered"][rows] + rng.uniform(1, 10, len(rows)), OPEN_EVENT, BY_PROXY)


def _scanners(
    simulation: Simulation, cast: Cast, mailings: Table, arrived: IntArray, rng: np.random.Generator
) -> list[Table]:
    """Draw the clicks of gateways on both links in the same second, and their opens for half of the messages."""
    scanned = cast.prospects.scanned[mailings["prospect"][arrived]] & (mailings["prospect"][arrived] >= 0)
    rows = arrived[scanned & happens(simulation.model.scanner_clicks, len(arrived), rng)]
    at = mailings["delivered"][rows] + rng.integers(2, 9, len(rows))
    loads = happens(0.5, len(rows), rng)
    twice = _engagement_table(np.repeat(rows, 2), np.repeat(at, 2), CLICK_EVENT, BY_SCANNER)
    return [twice, _engagement_table(rows[loads], at[loads], OPEN_EVENT, BY_SCANNER)]


def tallies(mailings: Table, engaged: Table) -> Table:
    """Count and date the opens and clicks of each message; the instants are those of the latest."""
    size = len(mailings["sent"])
    result: Table = {}
    for name, what in (("open", OPEN_EVENT), ("click", CLICK_EVENT)):
        rows = engaged["what"] == what
        latest = np.full(size, np.nan)
        latest[engaged["mailing"][rows]] = engaged["at"][rows]
        result[f"{name}s"] = np.bincount(engaged["mailing"][rows], minlength=size)
        result[f"{name}ed_at"] = latest
    return result
