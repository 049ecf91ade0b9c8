"""Who is put into which sequence, when and by whom."""

import numpy as np

from outreach_frames._sandbox.seed.clock import DAY, HOUR, Floats, Ints, after_weekend, weekday
from outreach_frames._sandbox.seed.columns import Table, concatenated, taken
from outreach_frames._sandbox.seed.people import Cast
from outreach_frames._sandbox.seed.simulation import WINDOW_DAYS, Simulation, happens

_ENROLLED = 0.88
_CONCURRENT = 0.14
_AGAIN = 0.08
_WEEKDAY_WEIGHT = np.array([1.0, 1.15, 1.1, 1.0, 0.7, 0.03, 0.02])
_QUIET = {(12, day) for day in range(22, 32)} | {(1, 1), (1, 2)}
_HOLIDAY_WEIGHT = 0.25
_GROWTH = 0.6


def enrollments(setting: Simulation, cast: Cast) -> Table:
    """
    Enroll most prospects once, some in a second sequence meanwhile and some again in the first.

    Returns
    -------
    enrollments : Table
        ``prospect, sequence, user, mailbox`` (positions), ``created`` [UTC seconds], oldest first. The user is mostly,
        not always, the prospect's owner of today.
    """
    rng = setting.random("enrolments")  # the stream's name is part of what a seed means
    count = len(cast.prospects.first)
    chosen = np.flatnonzero(happens(_ENROLLED, count, rng))
    first = _first_enrollments(setting, cast, chosen if len(chosen) else np.array([0]), rng)
    table = concatenated([first, _concurrent(setting, first, rng), _repeated(setting, first, rng)])
    table["created"] = np.floor(table["created"])
    sender = np.where(happens(0.85, len(table["prospect"]), rng), cast.prospects.owner[table["prospect"]], -1)
    active = len(cast.users.first) - 1
    sender = np.where((sender < 0) | (sender == active), rng.integers(0, active, len(sender)), sender)
    old_mailbox = (sender == 0) & happens(0.3, len(sender), rng)
    table |= {"user": sender, "mailbox": np.where(old_mailbox, len(cast.users.mailbox_user) - 1, sender)}
    return taken(table, np.argsort(table["created"], kind="stable"))


def _first_enrollments(setting: Simulation, cast: Cast, prospect: Ints, rng: np.random.Generator) -> Table:
    programme = setting.programme
    sequence = rng.choice(len(programme.plans), size=len(prospect), p=programme.weight / programme.weight.sum())
    arrived = cast.prospects.created[prospect]
    sequence = np.where(arrived + DAY > programme.until[sequence], 0, sequence)
    earliest = np.maximum(np.maximum(arrived, setting.start), programme.opens[sequence])
    patience = np.where(cast.prospects.bulk[prospect], WINDOW_DAYS, 21.0) * DAY
    latest = np.minimum(earliest + patience, programme.until[sequence])
    created = _on_working_days(setting, earliest, latest, rng)
    zone = cast.users.zone[cast.prospects.owner[prospect]]
    local = np.floor(setting.zones.to_local(created, zone) / DAY) * DAY + rng.uniform(8.5, 18, len(prospect)) * HOUR
    created = np.maximum(setting.zones.to_utc(local, zone), arrived + rng.uniform(300, 3000, len(prospect)))
    created = np.where(created > setting.as_of, setting.as_of - rng.uniform(600, 30_000, len(prospect)), created)
    return {"prospect": prospect, "sequence": sequence, "created": created}


def _on_working_days(setting: Simulation, earliest: Floats, latest: Floats, rng: np.random.Generator) -> Floats:
    """Draw days between two instants: working days above all, fewer around New Year, more toward the end."""
    days = np.arange(setting.start // DAY, setting.as_of // DAY + 1)
    weight = _WEEKDAY_WEIGHT[weekday(days * DAY)] * (1 + _GROWTH * np.linspace(0, 1, len(days)))
    dates = (days * DAY).astype("int64").astype("datetime64[s]").tolist()
    quiet = np.array([(date.month, date.day) in _QUIET for date in dates])
    reached = np.concatenate([[0.0], np.cumsum(weight * np.where(quiet, _HOLIDAY_WEIGHT, 1.0))])
    edges = np.concatenate([days, days[-1:] + 1]) * DAY
    low, high = np.interp(earliest, edges, reached), np.interp(latest, edges, reached)
    drawn: Floats = np.interp(low + rng.random(len(low)) * (high - low), reached, edges)
    return drawn


def _concurrent(setting: Simulation, first: Table, rng: np.random.Generator) -> Table:
    """A second, different sequence within three weeks of the first."""
    programme = setting.programme
    rows = taken(first, happens(_CONCURRENT, len(first["prospect"]), rng))
    size = len(rows["prospect"])
    other = (rows["sequence"] + rng.integers(1, len(programme.plans), size)) % len(programme.plans)
    created = after_weekend(rows["created"] + rng.uniform(0.2, 20, size) * DAY)
    fits = (created < setting.as_of) & (created > programme.opens[other]) & (created < programme.until[other])
    return taken({"prospect": rows["prospect"], "sequence": other, "created": created}, fits)


def _repeated(setting: Simulation, first: Table, rng: np.random.Generator) -> Table:
    """The same sequence once more, two to three months later."""
    rows = taken(first, happens(_AGAIN, len(first["prospect"]), rng))
    created = after_weekend(rows["created"] + rng.uniform(55, 100, len(rows["prospect"])) * DAY)
    fits = created < np.minimum(setting.as_of, setting.programme.until[rows["sequence"]])
    return taken(rows | {"created": created}, fits)
