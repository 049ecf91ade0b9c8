"""
Accounts, users with their mailboxes, and prospects, as columns.

Traits of people are drawn here: whether the address exists, a proxy opens the mail or a gateway follows links, and how
readily the person replies. Ids are positions plus one.
"""

from dataclasses import dataclass
from unicodedata import combining, normalize

import numpy as np

from outreach_frames._sandbox.seed.names import (
    CITIES,
    COMPANY_SUFFIXES,
    COMPANY_TRADES,
    COMPANY_WORDS,
    NAMES,
    ODD_COMPANIES,
    OFFICES,
)
from outreach_frames._sandbox.seed.simulation import (
    DAY_S,
    HOUR_S,
    WINDOW_DAYS,
    BoolArray,
    FloatArray,
    IntArray,
    Simulation,
    happens,
)

IANA, INFERRED, FREE_TEXT, NO_ZONE = range(4)
_BULK_LOADS = (320.0, 262.0, 190.0)
"""When lists of prospects were imported [days before `as_of`]."""

_SPECIAL_LETTERS = str.maketrans({"ß": "ss", "ł": "l", "Ł": "l", "ø": "o", "ö": "oe", "ü": "ue", "ä": "ae"})


@dataclass(frozen=True, slots=True)
class Accounts:
    """Companies, with city, owner and whether their mail gateway follows links."""

    name: list[str]
    domain: list[str]
    industry: list[str]
    city: IntArray
    owner: IntArray
    created: FloatArray
    scanner: BoolArray
    named: BoolArray


@dataclass(frozen=True, slots=True)
class Users:
    """Users, with one mailbox each; the first user has an old second one."""

    first: list[str]
    last: list[str]
    email: list[str]
    zone: IntArray
    location: IntArray
    created: FloatArray
    locked: BoolArray
    mailbox_user: IntArray


@dataclass(frozen=True, slots=True)
class Prospects:
    """Prospects, with the traits that decide how they respond."""

    first: list[str]
    last: list[str]
    email: list[str]
    account: IntArray
    city: IntArray
    zone: IntArray
    zone_source: IntArray
    owner: IntArray
    created: FloatArray
    bulk: BoolArray
    propensity: FloatArray
    proxied: BoolArray
    scanned: BoolArray
    bad_address: BoolArray
    manual_opt_out: FloatArray


@dataclass(frozen=True, slots=True)
class MailboxTraits:
    """
    Mailboxes with a problem, by position.

    One bounces far too much, one lost its synchronization and sees neither replies nor bounces since
    `blind_from`, one may not send since `disabled_from`, one holds mail back at its daily limit.
    """

    poor: int = 1
    blind: int = 2
    disabled: int = 3
    limited: int = 0
    blind_days: float = 24.0
    disabled_days: float = 9.0


TRAITS = MailboxTraits()


@dataclass(frozen=True, slots=True)
class Cast:
    """All accounts, users and prospects."""

    accounts: Accounts
    users: Users
    prospects: Prospects


def draw_people(simulation: Simulation, count: int) -> Cast:
    """Draw accounts (one per eight prospects), users (one per hundred, 4 to 30) and `count` prospects."""
    rng = simulation.random("people")
    users = _draw_users(simulation, rng, min(30, max(4, round(count / 100))))
    accounts = _draw_accounts(simulation, rng, max(8, count // 8), len(users.first))
    return Cast(accounts, users, _draw_prospects(simulation, rng, count, accounts, len(users.first)))


def _draw_users(simulation: Simulation, rng: np.random.Generator, count: int) -> Users:
    location = np.arange(count) % len(OFFICES)
    cities = [next(city for city in CITIES if city.name == name) for name in OFFICES]
    people = [_person(cities[place].names, rng) for place in location.tolist()]
    return Users(
        first=[first for first, _, _ in people],
        last=[last for _, last, _ in people],
        email=_unique([local for _, _, local in people], ["sales.example.com"] * count),
        zone=np.array([simulation.zones.names.index(cities[place].zone) for place in location.tolist()]),
        location=location,
        created=np.floor(simulation.start - rng.uniform(60, 900, count) * DAY_S),
        locked=np.arange(count) == count - 1,
        mailbox_user=np.append(np.arange(count), 0),
    )


def _draw_accounts(simulation: Simulation, rng: np.random.Generator, count: int, users: int) -> Accounts:
    share = np.array([city.share for city in CITIES])
    words = rng.integers(0, len(COMPANY_WORDS), count).tolist()
    trades = rng.integers(0, len(COMPANY_TRADES), count).tolist()
    suffixes = rng.integers(0, len(COMPANY_SUFFIXES), count).tolist()
    names, domains, industries = [], [], []
    for number, (word, trade, suffix) in enumerate(zip(words, trades, suffixes, strict=True)):
        what, industry = COMPANY_TRADES[trade]
        stem = f"{COMPANY_WORDS[word]} {what}"
        names.append(f"{stem} {COMPANY_SUFFIXES[suffix]}".strip())
        slug = stem.lower().replace(" ", "-")
        domains.append(f"{slug}-{number:03d}.example" if number % 3 else f"{slug}-{number:03d}.example.com")
        industries.append(industry)
    for number, (name, domain, industry) in enumerate(ODD_COMPANIES[:count]):
        names[number], domains[number], industries[number] = name, domain, industry
    return Accounts(
        name=names,
        domain=domains,
        industry=industries,
        city=rng.choice(len(CITIES), size=count, p=share / share.sum()),
        owner=rng.integers(0, users, count),
        created=np.floor(simulation.start - rng.uniform(0, 700, count) * DAY_S),
        scanner=happens(simulation.model.scanner_share, count, rng),
        named=happens(0.96, count, rng) | (np.arange(count) == 0),
    )


def _draw_prospects(
    simulation: Simulation, rng: np.random.Generator, count: int, accounts: Accounts, users: int
) -> Prospects:
    model = simulation.model
    account = rng.integers(0, len(accounts.name), count)
    account[happens(0.04, count, rng)] = -1
    anywhere = rng.integers(0, len(CITIES), count)
    city = np.where((account >= 0) & happens(0.9, count, rng), accounts.city[account], anywhere)
    created, bulk = _arrivals(simulation, rng, count)
    people = [_person(CITIES[place].names, rng) for place in city.tolist()]
    domains = [accounts.domain[number] if number >= 0 else "mail.example.org" for number in account.tolist()]
    manual = np.full(count, np.nan)
    refusing = happens(0.004, count, rng)
    manual[refusing] = rng.uniform(simulation.start, simulation.as_of, int(refusing.sum()))
    zone_of_city = np.array([simulation.zones.names.index(place.zone) for place in CITIES])
    return Prospects(
        first=[first for first, _, _ in people],
        last=[last for _, last, _ in people],
        email=_unique([local for _, _, local in people], domains),
        account=account,
        city=city,
        zone=zone_of_city[city],
        zone_source=rng.choice(4, size=count, p=[0.62, 0.18, 0.10, 0.10]),
        owner=np.where(account >= 0, accounts.owner[account], rng.integers(0, users, count)),
        created=created,
        bulk=bulk,
        propensity=rng.gamma(model.propensity_shape, 1 / model.propensity_shape, count),
        proxied=happens(model.proxy_share, count, rng),
        scanned=(account >= 0) & accounts.scanner[account],
        bad_address=happens(model.bad_address, count, rng),
        manual_opt_out=np.where(manual > created, np.floor(manual), np.nan),
    )


def _arrivals(simulation: Simulation, rng: np.random.Generator, count: int) -> tuple[FloatArray, BoolArray]:
    """Four in ten come with one of three imported lists, the others one by one; ids follow arrival."""
    bulk = happens(0.4, count, rng)
    loads = simulation.as_of - rng.choice(_BULK_LOADS, count) * DAY_S + 10 * HOUR_S
    singly = simulation.as_of - rng.uniform(2, WINDOW_DAYS + 30, count) * DAY_S
    created = np.floor(np.where(bulk, loads + rng.uniform(0, 600, count), singly))
    order = np.argsort(created, kind="stable")
    return created[order], bulk[order]


def _person(language: str, rng: np.random.Generator) -> tuple[str, str, str]:
    """Draw a first name, a last name and the local part of an address."""
    firsts, lasts = NAMES[language]
    first, first_spelled = firsts[int(rng.random() * len(firsts))]
    last, last_spelled = lasts[int(rng.random() * len(lasts))]
    return first, last, f"{_ascii(first_spelled)}.{_ascii(last_spelled)}"


def _ascii(name: str) -> str:
    plain = normalize("NFKD", name.lower().translate(_SPECIAL_LETTERS))
    return "".join(letter for letter in plain if letter.isalnum() and not combining(letter))


def _unique(locals_: list[str], domains: list[str]) -> list[str]:
    """Join addresses, numbering people of one name at one company."""
    counts: dict[str, int] = {}
    addresses = []
    for local, domain in zip(locals_, domains, strict=True):
        address = f"{local}@{domain}"
        number = counts[address] = counts.get(address, 0) + 1
        addresses.append(address if number == 1 else f"{local}{number}@{domain}")
    return addresses
