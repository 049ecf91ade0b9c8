"""
Opens and clicks, one row each.

People open late and sometimes again; privacy proxies open within seconds; gateways follow every link within seconds
and often without opening. Mailing counters and `message_opened` events are both made from these rows, so they agree.
"""

import numpy as np

from outreach_frames.emulator.organisation.clock import DAY, HOUR, Floats, Ints
from outreach_frames.emulator.organisation.columns import Table, concatenated, taken
from outreach_frames.emulator.organisation.draws import happens
from outreach_frames.emulator.organisation.people import Cast
from outreach_frames.emulator.organisation.setting import Setting

OPEN, CLICK = range(2)
PERSON, PROXY, SCANNER = range(3)
_OPENED_IF_REPLIED = 0.93
_SINGLE_OPENED = 0.55
_SINGLE_CLICKED = 0.08
_UNTRACKED_SINGLES = 0.08


def tracking(setting: Setting, mailings: Table) -> Table:
    """Whether each message tracks opens and links: 1, 0, or -1 where the API says null."""
    rng = setting.random("tracking")
    sequence, size = mailings["sequence"], len(mailings["sequence"])
    single = np.where(happens(_UNTRACKED_SINGLES, size, rng), 0, np.where(happens(0.1, size, rng), -1, 1))
    opens = np.where(sequence >= 0, setting.programme.tracks_opens[sequence], single)
    links = np.where(sequence >= 0, setting.programme.tracks_links[sequence], single)
    return {"track_opens": opens.astype(int), "track_links": links.astype(int)}


def engagements(setting: Setting, cast: Cast, mailings: Table) -> Table:
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


def _first_opens(setting: Setting, mailings: Table, arrived: Ints, rng: np.random.Generator) -> tuple[Ints, Floats]:
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


def _clicks(setting: Setting, mailings: Table, opened: Ints, first: Floats, rng: np.random.Generator) -> Table:
    """Some of those who open follow a link, some of these more than once."""
    sequence = mailings["sequence"][opened]
    chance = np.where(sequence >= 0, setting.programme.clicked[sequence], _SINGLE_CLICKED)
    times = np.where(happens(chance, len(opened), rng), rng.geometric(0.7, len(opened)), 0)
    clicked = np.repeat(opened, times)
    return _rows(clicked, np.repeat(first, times) + rng.exponential(300, len(clicked)), CLICK, PERSON)


def _proxies(setting: Setting, cast: Cast, mailings: Table, arrived: Ints, rng: np.random.Generator) -> Table:
    """Mail privacy proxies fetch the pixel within seconds of delivery."""
    proxied = cast.prospects.proxied[mailings["prospect"][arrived]] & (mailings["prospect"][arrived] >= 0)
    rows = arrived[proxied & happens(setting.model.proxy_opens, len(arrived), rng)]
    return _rows(rows, mailings["delivered"][rows] + rng.uniform(1, 10, len(rows)), OPEN, PROXY)


def _scanners(setting: Setting, cast: Cast, mailings: Table, arrived: Ints, rng: np.random.Generator) -> list[Table]:
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
