"""
Rows of accounts and prospects, and of their email addresses, phone numbers and recipients.

Every prospect has a work address, one in twenty has a private one too, and most have a phone number.
"""

from collections.abc import Iterator

import numpy as np

from outreach_frames._sandbox.seed.columns import (
    Pointers,
    Resource,
    column_resources,
    flagged,
    instant_cells,
    integer_cells,
    pick,
)
from outreach_frames._sandbox.seed.history import History, since_touched
from outreach_frames._sandbox.seed.journeys import (
    STATE_ACTIVE,
    STATE_BOUNCED,
    STATE_DISABLED,
    STATE_FAILED,
    STATE_PAUSED,
    STATE_PENDING,
)
from outreach_frames._sandbox.seed.mailings import latest
from outreach_frames._sandbox.seed.names import CITIES, PERSONAS, SOURCES, TAGS, TITLES
from outreach_frames._sandbox.seed.people import FREE_TEXT, IANA, INFERRED
from outreach_frames._sandbox.seed.responses import CLICK_EVENT, OPEN_EVENT
from outreach_frames._sandbox.seed.simulation import DAY_S, BoolArray, FloatArray, IntArray, happens
from outreach_frames._sandbox.seed.tasks import DECLINED, MEETING

_STRANGERS = ("press@newsroom.example", "colleague@sales.example.com", "office@aldermoor.example")
"""Addresses one-off mail went to that belong to no prospect."""
_WITH_DESK = range(7)


def emails(history: History) -> list[list[str]]:
    """Addresses of every prospect: one for work and, for one in twenty, a private one."""
    addresses = [[address] for address in history.cast.prospects.email]
    for number in range(0, len(addresses), 20):
        addresses[number].append(f"private.{number + 1:05d}@mail.example.net")
    return addresses


def _email_owners(history: History) -> IntArray:
    """Prospect of every address, in the order of their ids."""
    return np.repeat(np.arange(len(history.cast.prospects.first)), [len(own) for own in emails(history)])


def _telephones(history: History) -> tuple[list[str | None], list[str | None]]:
    """Mobile and work number of every prospect, or ``None``."""
    numbers = range(len(history.cast.prospects.first))
    cities = history.cast.prospects.city.tolist()
    mobile = [
        CITIES[place].phone.format(100 + number % 100) if number % 3 == 0 else None
        for number, place in zip(numbers, cities, strict=True)
    ]
    work = [
        CITIES[place].phone.format(100 + number % 83) if number % 10 in _WITH_DESK else None
        for number, place in zip(numbers, cities, strict=True)
    ]
    return mobile, work


def _phone_owners(history: History) -> IntArray:
    """Prospect of every telephone number, in the order of their ids."""
    mobile, work = _telephones(history)
    counts = [(one is not None) + (two is not None) for one, two in zip(mobile, work, strict=True)]
    return np.repeat(np.arange(len(counts)), counts)


def addresses_and_numbers(history: History, pointers: Pointers) -> Iterator[Resource]:
    """Yield e-mail addresses, telephone numbers and recipients."""
    yield from _email_addresses(history, pointers)
    yield from _phone_numbers(history, pointers)
    people, users, start = history.cast.prospects, history.cast.users, history.simulation.start
    count = len(people.first)
    values = [*people.email, *users.email, *_STRANGERS]
    created = np.concatenate([people.created, users.created, np.full(len(_STRANGERS), start)])
    kind = np.concatenate(
        [np.zeros(count, dtype=int), np.ones(len(users.email), dtype=int), np.full(len(_STRANGERS), 0)]
    )
    none = np.zeros(len(values), dtype=int)
    prospect, user = none.copy(), none.copy()
    prospect[:count] = np.arange(count) + 1
    user[count : count + len(users.email)] = np.arange(len(users.email)) + 1
    attributes = {
        "value": values,
        "recipientType": pick(("to", "cc"), kind),
        "primary": (kind == 0).tolist(),
        "createdAt": instant_cells(created),
        "updatedAt": instant_cells(created),
    }
    links = {"prospect": pointers.one("prospect", prospect), "user": pointers.one("user", user)}
    yield from column_resources("recipient", range(1, len(values) + 1), attributes, links)


def strangers(history: History) -> IntArray:
    """Ids of the recipients that are neither prospects nor users."""
    return np.arange(len(_STRANGERS)) + len(history.cast.prospects.first) + len(history.cast.users.first) + 1


def _email_addresses(history: History, pointers: Pointers) -> Iterator[Resource]:
    people, owner = history.cast.prospects, _email_owners(history)
    order = np.arange(len(owner)) - np.searchsorted(owner, owner)
    mailings = history.mailings
    bounced = np.full(len(people.first), np.nan)
    back = ~np.isnan(mailings["bounced"]) & np.isnan(mailings["replied"]) & (mailings["prospect"] >= 0)
    bounced[mailings["prospect"][back]] = mailings["bounced"][back]
    by_link = np.full(len(people.first), np.nan)
    left = ~np.isnan(mailings["opted_out"]) & (mailings["prospect"] >= 0)
    by_link[mailings["prospect"][left]] = mailings["opted_out"][left]
    first = order == 0
    failed = np.where(first, bounced[owner], np.nan)
    created = people.created[owner]
    attributes = {
        "email": [address for own in emails(history) for address in own],
        "emailType": pick(("work", "personal"), order),
        "order": order.tolist(),
        "status": pick(
            ("verified", "bounced"),
            np.where(np.isnan(failed), np.where(first & ~np.isnan(history.touched[owner]), 0, -1), 1),
        ),
        "statusChangedAt": instant_cells(failed),
        "unsubscribedAt": instant_cells(np.where(first, by_link[owner], np.nan)),
        "createdAt": instant_cells(created),
        "updatedAt": instant_cells(latest(created, failed)),
    }
    yield from column_resources(
        "emailAddress", range(1, len(owner) + 1), attributes, {"prospect": pointers.one("prospect", owner + 1)}
    )


def _phone_numbers(history: History, pointers: Pointers) -> Iterator[Resource]:
    mobile, work = _telephones(history)
    owner = _phone_owners(history)
    numbers = [
        (number, kind)
        for pair in zip(mobile, work, strict=True)
        for number, kind in zip(pair, (0, 1), strict=True)
        if number
    ]
    kind = np.array([which for _, which in numbers], dtype=np.int64)
    created = history.cast.prospects.created[owner]
    attributes = {
        "number": [number for number, _ in numbers],
        "rawNumber": [number.removeprefix("+") for number, _ in numbers],
        "phoneType": pick(("mobile", "work"), kind),
        "order": (np.arange(len(owner)) - np.searchsorted(owner, owner)).tolist(),
        "extension": [f"0{number % 90:02d}" if number % 11 == 0 else None for number in range(len(owner))],
        "status": flagged("verified", np.arange(len(owner)) % 4 == 0),
        "createdAt": instant_cells(created),
        "updatedAt": instant_cells(created),
    }
    yield from column_resources(
        "phoneNumber", range(1, len(owner) + 1), attributes, {"prospect": pointers.one("prospect", owner + 1)}
    )


(
    _STAGE_NEW,
    _STAGE_WORKING,
    _STAGE_REPLIED,
    _STAGE_MEETING_SET,
    _STAGE_NOT_INTERESTED,
    _STAGE_OPTED_OUT,
    _STAGE_BAD_DATA,
    _STAGE_CUSTOMER,
) = range(8)
REPLACED = ("Legacy system", "Spreadsheet", "Competitor")
_MONTHS = 12
_NO_INTENT = 20.0
_FOLLOWED = 200


def accounts(history: History, pointers: Pointers) -> Iterator[Resource]:
    """Yield the accounts."""
    table, rng = history.cast.accounts, history.simulation.random("accounts")
    count = len(table.name)
    touched = np.full(count, -np.inf)
    has_account = (history.cast.prospects.account >= 0) & ~np.isnan(history.touched)
    np.maximum.at(touched, history.cast.prospects.account[has_account], history.touched[has_account])
    touched = np.where(np.isinf(touched), np.nan, touched)
    employees = np.round(np.exp(rng.normal(5.2, 1.5, count))).astype(int) + 3
    intent = np.round(rng.beta(2, 5, count) * 100, 1)
    attributes = {
        "name": table.name,
        "naturalName": [name.split(" ", 1)[0] for name in table.name],
        "named": table.named.tolist(),
        "domain": table.domain,
        "websiteUrl": [f"https://www.{domain}" for domain in table.domain],
        "industry": table.industry,
        "companyType": pick(("Prospect", "Customer", "Partner"), rng.choice([0, 0, 0, 1, 2, -1], count)),
        "customId": [f"{number:06d}" for number in range(1, count + 1)],
        "numberOfEmployees": integer_cells(employees, where=happens(0.85, count, rng)),
        "buyerIntentScore": [score if score > _NO_INTENT else None for score in intent.tolist()],
        "locality": [CITIES[place].name for place in table.city.tolist()],
        "externalSource": pick(("CRM",), rng.choice([0, 0, -1], count)),
        "tags": [
            list(dict.fromkeys((TAGS[first], TAGS[second]))) if first % 2 else []
            for first, second in rng.integers(0, len(TAGS), (count, 2)).tolist()
        ],
        "naicsCodes": [["0511"] if number % 3 else [] for number in range(count)],
        "sicCodes": [[] for _ in range(count)],
        "followers": integer_cells(employees * 7, where=employees > _FOLLOWED),
        "createdAt": instant_cells(table.created),
        "touchedAt": instant_cells(touched),
        "updatedAt": instant_cells(latest(table.created, touched)),
    }
    owner = pointers.one("user", table.owner + 1)
    yield from column_resources(
        "account",
        range(1, count + 1),
        attributes,
        {"owner": owner, "creator": pointers.one("user", np.ones(count, dtype=int))},
    )


def prospects(history: History, pointers: Pointers) -> Iterator[Resource]:
    """Yield the prospects."""
    people, simulation = history.cast.prospects, history.simulation
    count, rng = len(people.first), simulation.random("prospects")
    numbers = np.arange(1, count + 1)
    engaged_at, score = _engagement(history)
    opted_out = history.opted_out
    trashed = np.isnan(history.touched) & happens(0.05, count, rng)
    zones = simulation.zones.names
    source, zone = people.zone_source, people.zone
    cities = [CITIES[place] for place in people.city.tolist()]
    zone_texts = [city.zone_text for city in cities]
    addresses = emails(history)
    mobile, work = _telephones(history)
    attributes = {
        "firstName": people.first,
        "lastName": people.last,
        "name": [f"{first} {last}" for first, last in zip(people.first, people.last, strict=True)],
        "emails": addresses,
        "title": pick(TITLES, rng.integers(-1, len(TITLES), count)),
        "company": [history.cast.accounts.name[number] if number >= 0 else None for number in people.account.tolist()],
        "addressCity": [city.name for city in cities],
        "addressState": [city.state or None for city in cities],
        "addressCountry": [city.country for city in cities],
        "addressZip": [city.postcode for city in cities],
        "region": [city.region for city in cities],
        "timeZoneIana": pick(zones, np.where(source == IANA, zone, -1)),
        "timeZoneInferred": pick(zones, np.where((source == IANA) | (source == INFERRED), zone, -1)),
        "timeZone": [
            zones[place] if kind == IANA else text if kind == FREE_TEXT else None
            for place, kind, text in zip(zone.tolist(), source.tolist(), zone_texts, strict=True)
        ],
        "mobilePhones": [[number] if number else [] for number in mobile],
        "workPhones": [[number] if number else [] for number in work],
        "homePhones": [[] for _ in range(count)],
        "otherPhones": [[] for _ in range(count)],
        "voipPhones": [[] for _ in range(count)],
        "externalId": [f"{number:07d}" for number in numbers.tolist()],
        "externalSource": flagged("CRM", people.bulk),
        "source": pick(SOURCES, np.where(people.bulk, 3, rng.integers(0, len(SOURCES), count))),
        "tags": [[TAGS[tag]] if tag < len(TAGS) else [] for tag in rng.integers(0, 2 * len(TAGS), count).tolist()],
        "custom1": pick(REPLACED, rng.integers(-1, 3, count)),
        "custom2": [f"{number % 1000:03d}" for number in numbers.tolist()],
        **{name: counts.tolist() for name, counts in since_touched(history).items()},
        "contactHistogram": _histogram(history),
        "engagedAt": instant_cells(engaged_at),
        "engagedScore": score.tolist(),
        "touchedAt": instant_cells(history.touched),
        "availableAt": instant_cells(_away_until(history)),
        "optedOut": (~np.isnan(opted_out)).tolist(),
        "optedOutAt": instant_cells(opted_out),
        "emailOptedOut": (~np.isnan(opted_out)).tolist(),
        "emailsOptStatus": pick(
            ("opted_in", "opted_out"), np.where(np.isnan(opted_out), np.where(numbers % 9 == 0, 0, -1), 1)
        ),
        "emailsOptedAt": instant_cells(
            np.where(np.isnan(opted_out), np.where(numbers % 9 == 0, people.created, np.nan), opted_out)
        ),
        "callOptedOut": (numbers % 211 == 0).tolist(),
        "callsOptStatus": flagged("opted_out", numbers % 211 == 0),
        "addedAt": instant_cells(people.created),
        "createdAt": instant_cells(people.created),
        "trashedAt": instant_cells(np.where(trashed, np.minimum(people.created + 2 * DAY_S, simulation.as_of), np.nan)),
        "updatedAt": instant_cells(latest(people.created, history.touched, engaged_at, opted_out)),
    }
    stage = _stages(history)
    owner = pointers.one("user", people.owner + 1)
    email_ids, phone_ids = _email_owners(history), _phone_owners(history)
    opportunity, person = history.roles["opportunity"], history.roles["prospect"]
    open_ = np.isin(
        history.enrollments["state"],
        (STATE_ACTIVE, STATE_PENDING, STATE_PAUSED, STATE_FAILED, STATE_BOUNCED, STATE_DISABLED),
    )
    relationships = {
        "account": pointers.one("account", people.account + 1),
        "owner": owner,
        "creator": owner,
        "persona": pointers.one("persona", rng.integers(0, len(PERSONAS) + 1, count)),
        "stage": pointers.one("stage", stage + 1),
        "emailAddresses": pointers.many("emailAddress", email_ids, np.arange(len(email_ids)) + 1, count=count),
        "phoneNumbers": pointers.many("phoneNumber", phone_ids, np.arange(len(phone_ids)) + 1, count=count),
        "activeSequenceStates": pointers.many(
            "sequenceState", history.enrollments["prospect"][open_], np.flatnonzero(open_) + 1, count=count
        ),
        "opportunities": pointers.many("opportunity", person, opportunity + 1, count=count),
        "opportunityProspectRoles": pointers.many(
            "opportunityProspectRole", person, np.arange(len(person)) + 1, count=count
        ),
    }
    yield from column_resources("prospect", range(1, count + 1), attributes, relationships)


def _engagement(history: History) -> tuple[FloatArray, FloatArray]:
    """When each prospect last opened, clicked or replied, and a score from all of it."""
    mailings, engaged, count = history.mailings, history.engaged, len(history.cast.prospects.first)
    person = mailings["prospect"][engaged["mailing"]]
    has_prospect = person >= 0
    last = np.full(count, -np.inf)
    np.maximum.at(last, person[has_prospect], engaged["at"][has_prospect])
    replied = (mailings["prospect"] >= 0) & ~np.isnan(mailings["replied"])
    np.maximum.at(last, mailings["prospect"][replied], mailings["replied"][replied])
    opens = np.bincount(person[has_prospect & (engaged["what"] == OPEN_EVENT)], minlength=count)
    clicks = np.bincount(person[has_prospect & (engaged["what"] == CLICK_EVENT)], minlength=count)
    replies = np.bincount(mailings["prospect"][replied], minlength=count)
    return np.where(np.isinf(last), np.nan, last), opens + 5.0 * clicks + 10.0 * replies


def _away_until(history: History) -> FloatArray:
    mailings = history.mailings
    until = np.full(len(history.cast.prospects.first), -np.inf)
    away = ~np.isnan(mailings["away_until"]) & (mailings["prospect"] >= 0)
    np.maximum.at(until, mailings["prospect"][away], mailings["away_until"][away])
    return np.where(np.isinf(until), np.nan, until)


def _histogram(history: History) -> list[list[list[int]]]:
    """Twelve [inbound, outbound] pairs per prospect, the current month last."""
    mailings, count = history.mailings, len(history.cast.prospects.first)
    this_month = (
        np.array(history.simulation.as_of).astype("int64").astype("datetime64[s]").astype("datetime64[M]").astype(int)
    )
    pairs = np.zeros((count, _MONTHS, 2), dtype=np.int64)
    for side, instant in enumerate(("replied", "delivered")):
        happened = ~np.isnan(mailings[instant]) & (mailings["prospect"] >= 0)
        month = mailings[instant][happened].astype("int64").astype("datetime64[s]").astype("datetime64[M]").astype(int)
        np.add.at(
            pairs, (mailings["prospect"][happened], np.clip(month - this_month + _MONTHS - 1, 0, _MONTHS - 1), side), 1
        )
    histogram: list[list[list[int]]] = pairs.tolist()
    return histogram


def _stages(history: History) -> IntArray:
    """Sales stage of each prospect, from the furthest thing that happened."""
    count, mailings, calls = len(history.cast.prospects.first), history.mailings, history.calls

    def among(table: dict[str, np.ndarray], rows: BoolArray) -> BoolArray:
        mark = np.zeros(count, dtype=bool)
        mark[table["prospect"][rows & (table["prospect"] >= 0)]] = True
        return mark

    booked = among(calls, calls["disposition"] == MEETING)
    declined = among(calls, calls["disposition"] == DECLINED)
    conditions = [
        ~np.isnan(history.opted_out),
        among(mailings, ~np.isnan(mailings["bounced"]) & np.isnan(mailings["replied"])),
        booked,
        declined,
        among(mailings, ~np.isnan(mailings["replied"])),
        ~np.isnan(history.touched),
    ]
    customers = np.where(np.arange(count) % 41 == 0, _STAGE_CUSTOMER, _STAGE_NEW)
    return np.select(
        conditions,
        [_STAGE_OPTED_OUT, _STAGE_BAD_DATA, _STAGE_MEETING_SET, _STAGE_NOT_INTERESTED, _STAGE_REPLIED, _STAGE_WORKING],
        customers,
    )
