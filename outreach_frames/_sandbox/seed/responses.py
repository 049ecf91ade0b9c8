"""
What happens to a message: bounce, open, click, reply, opt-out, complaint.

People open late and sometimes again; privacy proxies open within seconds; gateways follow every link within seconds
and often without opening. Mailing counters and `message_opened` events are both made from these rows, so they agree.
"""

import numpy as np

from outreach_frames._sandbox.seed.people import TRAITS, Cast
from outreach_frames._sandbox.seed.simulation import (
    DAY,
    HOUR,
    MINUTE,
    Flags,
    Floats,
    Ints,
    Simulation,
    Table,
    at_waking_hours,
    concatenated,
    happens,
    hour,
    taken,
    weekday,
)

POSITIVE, NEUTRAL, NEGATIVE, UNCLASSIFIED = range(4)
_HOLIDAYS = {(12, day) for day in range(20, 32)} | {(1, day) for day in range(1, 5)}


def respond(setting: Simulation, cast: Cast, mail: Table, rng: np.random.Generator) -> Table:
    """
    Draw what becomes of messages.

    Parameters
    ----------
    mail
        Columns ``sent`` (NaN for messages that do not leave), ``prospect``, ``mailbox``, ``user``, ``reply_rate``
        (probability for an average person, sender and slot), ``opt_out_rate``, ``positive_rate``.

    Returns
    -------
    mail : Table
        The columns given plus the instants ``delivered``, ``bounced``, ``replied``, ``opted_out``, ``spam``,
        ``away_until`` (NaN where they did not happen by now), and ``sentiment`` (-1 without a reply). A mailbox whose
        synchronization is broken sees neither bounces nor replies.
    """
    sent, size = mail["sent"], len(mail["sent"])
    prospects = cast.prospects
    bounced, delivered = _bounces(setting, cast, mail, rng)
    arrived = ~np.isnan(sent) & np.isnan(bounced)

    zone = prospects.zone[mail["prospect"]]
    reply_probability = mail["reply_rate"] * slot_factor(setting, mail, cast)
    answers = arrived & happens(reply_probability, size, rng)
    delay = np.clip(
        setting.model.reply_delay_h * np.exp(setting.model.reply_delay_spread * rng.normal(size=size)), 0.15, 960
    )
    replied = at_waking_hours(np.where(answers, sent + delay * HOUR, np.nan), zone, setting.zones, rng)

    away = arrived & ~answers & happens(_away_probability(setting, sent), size, rng)
    away_until = np.where(away, sent + rng.uniform(2, 15, size) * DAY, np.nan)
    noticed = away & happens(setting.model.away_counts, size, rng)
    replied = np.where(noticed, sent + rng.uniform(20, 240, size), replied)
    replied = np.where(_answered_after_all(delivered, bounced, rng), bounced + rng.uniform(1, 30, size) * HOUR, replied)

    leaves = arrived & happens(mail["opt_out_rate"], size, rng)
    complains = arrived & happens(setting.model.spam, size, rng)
    blind = setting.before(TRAITS.blind_days)
    unseen = mail["mailbox"] == TRAITS.blind
    seen = mail | {
        "delivered": setting.until_now(np.floor(delivered)),
        "bounced": setting.until_now(np.floor(np.where(unseen & (bounced > blind), np.nan, bounced))),
        "replied": setting.until_now(np.floor(np.where(unseen & (replied > blind), np.nan, replied))),
        "opted_out": setting.until_now(
            np.floor(np.where(leaves, sent + 3 * HOUR * np.exp(rng.normal(size=size)), np.nan))
        ),
        "spam": setting.until_now(np.floor(np.where(complains, sent + rng.uniform(1, 48, size) * HOUR, np.nan))),
        "away_until": np.floor(away_until),
    }
    return seen | {"sentiment": _sentiments(seen["replied"], away, mail["positive_rate"], rng)}


def slot_factor(setting: Simulation, mail: Table, cast: Cast) -> Floats:
    """Factor on the reply probability from the recipient's local weekday and hour, the sender and the person."""
    local = setting.zones.to_local(np.nan_to_num(mail["sent"]), cast.prospects.zone[mail["prospect"]])
    factor: Floats = (
        setting.model.weekday_factor()[weekday(local)]
        * setting.model.hour_factor()[hour(local)]
        * setting.model.skill(mail["user"] + 1)
        * cast.prospects.propensity[mail["prospect"]]
    )
    return factor


def _bounces(setting: Simulation, cast: Cast, mail: Table, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return bounce and delivery instants; some bounces come at once, others after the message counted as delivered."""
    sent, size = mail["sent"], len(mail["sent"])
    poor = mail["mailbox"] == TRAITS.poor
    chance = np.where(poor, setting.model.poor_mailbox_bounce, setting.model.stray_bounce)
    chance = np.where(cast.prospects.bad_address[mail["prospect"]], 0.98, chance)
    bounces = ~np.isnan(sent) & happens(chance, size, rng)
    at_once = bounces & happens(0.45, size, rng)
    wait = np.where(at_once, rng.uniform(2, 40, size), rng.uniform(1 * MINUTE, 14 * HOUR, size))
    return np.where(bounces, sent + wait, np.nan), np.where(at_once, np.nan, sent)


def _answered_after_all(delivered: Floats, bounced: Floats, rng: np.random.Generator) -> Flags:
    """Some late bounces concern a second recipient, and the first one answers: one in ten."""
    late = ~np.isnan(delivered) & ~np.isnan(bounced)
    chosen: Flags = late & happens(0.1, len(late), rng)
    return chosen


def _away_probability(setting: Simulation, sent: Floats) -> Floats:
    days = np.nan_to_num(sent).astype("int64").astype("datetime64[s]").astype("datetime64[D]")
    known, position = np.unique(days, return_inverse=True)
    holiday = np.array([(day.month, day.day) in _HOLIDAYS for day in known.tolist()], dtype=bool)
    return setting.model.away * np.where(holiday[position], setting.model.away_holiday, 1.0)


def _sentiments(replied: Floats, away: Flags, positive: Floats, rng: np.random.Generator) -> Ints:
    """Class of each reply; one in ten, and every out-of-office notice, is not classified."""
    drawn = rng.random(len(replied))
    sentiment = np.where(
        drawn < positive, POSITIVE, np.where(drawn < positive + (1 - positive) * 0.6, NEUTRAL, NEGATIVE)
    )
    sentiment = np.where(away | happens(0.1, len(replied), rng), UNCLASSIFIED, sentiment)
    return np.where(np.isnan(replied), -1, sentiment)


OPEN, CLICK = range(2)
PERSON, PROXY, SCANNER = range(3)
_OPENED_IF_REPLIED = 0.93
_SINGLE_OPENED = 0.55
_SINGLE_CLICKED = 0.08
_UNTRACKED_SINGLES = 0.08


def tracking(setting: Simulation, mailings: Table) -> Table:
    """Whether each message tracks opens and links: 1, 0, or -1 where the API says null."""
    rng = setting.random("tracking")
    sequence, size = mailings["sequence"], len(mailings["sequence"])
    single = np.where(happens(_UNTRACKED_SINGLES, size, rng), 0, np.where(happens(0.1, size, rng), -1, 1))
    opens = np.where(sequence >= 0, setting.programme.tracks_opens[sequence], single)
    links = np.where(sequence >= 0, setting.programme.tracks_links[sequence], single)
    return {"track_opens": opens.astype(int), "track_links": links.astype(int)}


def engagements(setting: Simulation, cast: Cast, mailings: Table) -> Table:
    """
    Draw every open and click of delivered messages.

    Returns
    -------
    engagements : Table
        ``mailing`` (position), ``at`` [UTC seconds], ``what`` (OPEN or CLICK), ``who`` (PERSON, PROXY or SCANNER),
        sorted by time; only what the message tracks and what has happened by now.
    """
    rng = setting.random("engagement")
    arrived = np.flatnonzero(~np.isnan(mailings["delivered"]) & np.isnan(mailings["bounced"]))
    opened, first = _first_opens(setting, mailings, arrived, rng)
    parts = [
        _rows(opened, first, OPEN, PERSON),
        _reopens(opened, first, rng),
        _clicks(setting, mailings, opened, first, rng),
        _proxies(setting, cast, mailings, arrived, rng),
        *_scanners(setting, cast, mailings, arrived, rng),
    ]
    table = concatenated(parts)
    tracked = np.where(
        table["what"] == OPEN, mailings["track_opens"][table["mailing"]], mailings["track_links"][table["mailing"]]
    )
    table["at"] = np.floor(table["at"])
    table = taken(table, (tracked != 0) & (table["at"] <= setting.as_of))
    return taken(table, np.argsort(table["at"], kind="stable"))


def _rows(mailing: Ints, at: Floats, what: int, who: int) -> Table:
    return {"mailing": mailing, "at": at, "what": np.full(len(mailing), what), "who": np.full(len(mailing), who)}


def _first_opens(setting: Simulation, mailings: Table, arrived: Ints, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """Who opens, and when first: before the answer if there is one."""
    sequence, size = mailings["sequence"][arrived], len(arrived)
    replied, sent = mailings["replied"][arrived], mailings["delivered"][arrived]
    chance = np.where(sequence >= 0, setting.programme.opened[sequence], _SINGLE_OPENED)
    chance = np.where(np.isnan(replied), chance, _OPENED_IF_REPLIED)
    opens = happens(chance, size, rng)
    at = sent + 40 + 2.5 * HOUR * np.exp(1.6 * rng.normal(size=size))
    at = np.where(np.isnan(replied), at, sent + (replied - sent) * rng.uniform(0.3, 0.95, size))
    return arrived[opens], at[opens]


def _reopens(opened: Ints, first: Floats, rng: np.random.Generator) -> Table:
    """People come back to a message six times in ten, on average, over the next days."""
    times = rng.poisson(0.6, len(opened))
    again = np.repeat(opened, times)
    return _rows(again, np.repeat(first, times) + rng.exponential(1.5 * DAY, len(again)), OPEN, PERSON)


def _clicks(setting: Simulation, mailings: Table, opened: Ints, first: Floats, rng: np.random.Generator) -> Table:
    """Some of those who open follow a link, some of these more than once."""
    sequence = mailings["sequence"][opened]
    chance = np.where(sequence >= 0, setting.programme.clicked[sequence], _SINGLE_CLICKED)
    times = np.where(happens(chance, len(opened), rng), rng.geometric(0.7, len(opened)), 0)
    clicked = np.repeat(opened, times)
    return _rows(clicked, np.repeat(first, times) + rng.exponential(300, len(clicked)), CLICK, PERSON)


def _proxies(setting: Simulation, cast: Cast, mailings: Table, arrived: Ints, rng: np.random.Generator) -> Table:
    """Mail privacy proxies fetch the pixel within seconds of delivery."""
    proxied = cast.prospects.proxied[mailings["prospect"][arrived]] & (mailings["prospect"][arrived] >= 0)
    rows = arrived[proxied & happens(setting.model.proxy_opens, len(arrived), rng)]
    return _rows(rows, mailings["delivered"][rows] + rng.uniform(1, 10, len(rows)), OPEN, PROXY)


def _scanners(setting: Simulation, cast: Cast, mailings: Table, arrived: Ints, rng: np.random.Generator) -> list[Table]:
    """Gateways follow both links in the same second, and load the pixel only half of the time."""
    scanned = cast.prospects.scanned[mailings["prospect"][arrived]] & (mailings["prospect"][arrived] >= 0)
    rows = arrived[scanned & happens(setting.model.scanner_clicks, len(arrived), rng)]
    at = mailings["delivered"][rows] + rng.integers(2, 9, len(rows))
    loads = happens(0.5, len(rows), rng)
    twice = _rows(np.repeat(rows, 2), np.repeat(at, 2), CLICK, SCANNER)
    return [twice, _rows(rows[loads], at[loads], OPEN, SCANNER)]


def tallies(mailings: Table, engaged: Table) -> Table:
    """Count and date the opens and clicks of each message; the instants are those of the latest."""
    size = len(mailings["sent"])
    result: Table = {}
    for name, what in (("open", OPEN), ("click", CLICK)):
        chosen = engaged["what"] == what
        latest = np.full(size, np.nan)
        latest[engaged["mailing"][chosen]] = engaged["at"][chosen]
        result[f"{name}s"] = np.bincount(engaged["mailing"][chosen], minlength=size)
        result[f"{name}ed_at"] = latest
    return result
