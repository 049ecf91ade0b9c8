"""What happens to a message once it is sent: bounce, answer, opt-out, complaint, out-of-office notice."""

import numpy as np

from outreach_frames.emulator.organisation.clock import (
    DAY,
    HOUR,
    MINUTE,
    Flags,
    Floats,
    Ints,
    at_waking_hours,
    hour,
    weekday,
)
from outreach_frames.emulator.organisation.columns import Table
from outreach_frames.emulator.organisation.draws import happens
from outreach_frames.emulator.organisation.people import TRAITS, Cast
from outreach_frames.emulator.organisation.setting import Setting

POSITIVE, NEUTRAL, NEGATIVE, UNCLASSIFIED = range(4)
_HOLIDAYS = {(12, day) for day in range(20, 32)} | {(1, day) for day in range(1, 5)}


def respond(setting: Setting, cast: Cast, mail: Table, rng: np.random.Generator) -> Table:
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
        synchronisation is broken sees neither bounces nor replies.
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


def slot_factor(setting: Setting, mail: Table, cast: Cast) -> Floats:
    """Factor on the reply probability from the recipient's local weekday and hour, the sender and the person."""
    local = setting.zones.to_local(np.nan_to_num(mail["sent"]), cast.prospects.zone[mail["prospect"]])
    factor: Floats = (
        setting.model.weekday_factor()[weekday(local)]
        * setting.model.hour_factor()[hour(local)]
        * setting.model.skill(mail["user"] + 1)
        * cast.prospects.propensity[mail["prospect"]]
    )
    return factor


def _bounces(setting: Setting, cast: Cast, mail: Table, rng: np.random.Generator) -> tuple[Floats, Floats]:
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


def _away_probability(setting: Setting, sent: Floats) -> Floats:
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
