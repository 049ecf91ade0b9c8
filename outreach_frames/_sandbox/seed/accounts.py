"""Rows of companies and the people in them: accounts and prospects."""

from collections.abc import Iterator

import numpy as np

from outreach_frames._sandbox.seed.clock import DAY, Flags, Floats, Ints
from outreach_frames._sandbox.seed.columns import Pointers, Resource, flagged, instants, pick, resources, whole
from outreach_frames._sandbox.seed.contacts import email_numbers, emails, phone_numbers, telephones
from outreach_frames._sandbox.seed.history import History, since_touched
from outreach_frames._sandbox.seed.journeys import ACTIVE, BOUNCED, DISABLED, FAILED, PAUSED, PENDING
from outreach_frames._sandbox.seed.mailings import latest
from outreach_frames._sandbox.seed.names import CITIES, PERSONAS, SOURCES, TAGS, TITLES
from outreach_frames._sandbox.seed.people import FREE_TEXT, IANA, INFERRED
from outreach_frames._sandbox.seed.responses import CLICK, OPEN
from outreach_frames._sandbox.seed.simulation import happens
from outreach_frames._sandbox.seed.tasks import DECLINED, MEETING

NEW, WORKING, REPLIED, MEETING_SET, NOT_INTERESTED, OPTED_OUT, BAD_DATA, CUSTOMER = range(8)
REPLACED = ("Legacy system", "Spreadsheet", "Competitor")
_MONTHS = 12
_NO_INTENT = 20.0
_FOLLOWED = 200


def accounts(history: History, pointers: Pointers) -> Iterator[Resource]:
    """Yield the accounts."""
    table, rng = history.cast.accounts, history.setting.random("accounts")
    count = len(table.name)
    touched = np.full(count, -np.inf)
    known = (history.cast.prospects.account >= 0) & ~np.isnan(history.touched)
    np.maximum.at(touched, history.cast.prospects.account[known], history.touched[known])
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
        "numberOfEmployees": whole(employees, where=happens(0.85, count, rng)),
        "buyerIntentScore": [score if score > _NO_INTENT else None for score in intent.tolist()],
        "locality": [CITIES[place].name for place in table.city.tolist()],
        "externalSource": pick(("CRM",), rng.choice([0, 0, -1], count)),
        "tags": [
            list(dict.fromkeys((TAGS[first], TAGS[second]))) if first % 2 else []
            for first, second in rng.integers(0, len(TAGS), (count, 2)).tolist()
        ],
        "naicsCodes": [["0511"] if number % 3 else [] for number in range(count)],
        "sicCodes": [[] for _ in range(count)],
        "followers": whole(employees * 7, where=employees > _FOLLOWED),
        "createdAt": instants(table.created),
        "touchedAt": instants(touched),
        "updatedAt": instants(latest(table.created, touched)),
    }
    owner = pointers.one("user", table.owner + 1)
    yield from resources(
        "account",
        range(1, count + 1),
        attributes,
        {"owner": owner, "creator": pointers.one("user", np.ones(count, dtype=int))},
    )


def prospects(history: History, pointers: Pointers) -> Iterator[Resource]:
    """Yield the prospects."""
    people, setting = history.cast.prospects, history.setting
    count, rng = len(people.first), setting.random("prospects")
    numbers = np.arange(1, count + 1)
    engaged_at, score = _engagement(history)
    refused = history.opted_out
    trashed = np.isnan(history.touched) & happens(0.05, count, rng)
    zones = setting.zones.names
    source, zone = people.zone_source, people.zone
    cities = [CITIES[place] for place in people.city.tolist()]
    written = [city.zone_text for city in cities]
    addresses = emails(history)
    mobile, work = telephones(history)
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
            for place, kind, text in zip(zone.tolist(), source.tolist(), written, strict=True)
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
        "engagedAt": instants(engaged_at),
        "engagedScore": score.tolist(),
        "touchedAt": instants(history.touched),
        "availableAt": instants(_away_until(history)),
        "optedOut": (~np.isnan(refused)).tolist(),
        "optedOutAt": instants(refused),
        "emailOptedOut": (~np.isnan(refused)).tolist(),
        "emailsOptStatus": pick(
            ("opted_in", "opted_out"), np.where(np.isnan(refused), np.where(numbers % 9 == 0, 0, -1), 1)
        ),
        "emailsOptedAt": instants(
            np.where(np.isnan(refused), np.where(numbers % 9 == 0, people.created, np.nan), refused)
        ),
        "callOptedOut": (numbers % 211 == 0).tolist(),
        "callsOptStatus": flagged("opted_out", numbers % 211 == 0),
        "addedAt": instants(people.created),
        "createdAt": instants(people.created),
        "trashedAt": instants(np.where(trashed, np.minimum(people.created + 2 * DAY, setting.as_of), np.nan)),
        "updatedAt": instants(latest(people.created, history.touched, engaged_at, refused)),
    }
    stage = _stages(history)
    owner = pointers.one("user", people.owner + 1)
    email_ids, phone_ids = email_numbers(history), phone_numbers(history)
    opportunity, person = history.roles["opportunity"], history.roles["prospect"]
    open_ = np.isin(history.enrollments["state"], (ACTIVE, PENDING, PAUSED, FAILED, BOUNCED, DISABLED))
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
    yield from resources("prospect", range(1, count + 1), attributes, relationships)


def _engagement(history: History) -> tuple[Floats, Floats]:
    """When each prospect last opened, clicked or replied, and a score from all of it."""
    mailings, engaged, count = history.mailings, history.engaged, len(history.cast.prospects.first)
    person = mailings["prospect"][engaged["mailing"]]
    known = person >= 0
    last = np.full(count, -np.inf)
    np.maximum.at(last, person[known], engaged["at"][known])
    replied = (mailings["prospect"] >= 0) & ~np.isnan(mailings["replied"])
    np.maximum.at(last, mailings["prospect"][replied], mailings["replied"][replied])
    opens = np.bincount(person[known & (engaged["what"] == OPEN)], minlength=count)
    clicks = np.bincount(person[known & (engaged["what"] == CLICK)], minlength=count)
    replies = np.bincount(mailings["prospect"][replied], minlength=count)
    return np.where(np.isinf(last), np.nan, last), opens + 5.0 * clicks + 10.0 * replies


def _away_until(history: History) -> Floats:
    mailings = history.mailings
    until = np.full(len(history.cast.prospects.first), -np.inf)
    away = ~np.isnan(mailings["away_until"]) & (mailings["prospect"] >= 0)
    np.maximum.at(until, mailings["prospect"][away], mailings["away_until"][away])
    return np.where(np.isinf(until), np.nan, until)


def _histogram(history: History) -> list[list[list[int]]]:
    """Twelve [inbound, outbound] pairs per prospect, the current month last."""
    mailings, count = history.mailings, len(history.cast.prospects.first)
    this_month = (
        np.array(history.setting.as_of).astype("int64").astype("datetime64[s]").astype("datetime64[M]").astype(int)
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


def _stages(history: History) -> Ints:
    """Sales stage of each prospect, from the furthest thing that happened."""
    count, mailings, calls = len(history.cast.prospects.first), history.mailings, history.calls

    def among(table: dict[str, np.ndarray], chosen: Flags) -> Flags:
        mark = np.zeros(count, dtype=bool)
        mark[table["prospect"][chosen & (table["prospect"] >= 0)]] = True
        return mark

    booked = among(calls, calls["disposition"] == MEETING)
    refused = among(calls, calls["disposition"] == DECLINED)
    conditions = [
        ~np.isnan(history.opted_out),
        among(mailings, ~np.isnan(mailings["bounced"]) & np.isnan(mailings["replied"])),
        booked,
        refused,
        among(mailings, ~np.isnan(mailings["replied"])),
        ~np.isnan(history.touched),
    ]
    customers = np.where(np.arange(count) % 41 == 0, CUSTOMER, NEW)
    return np.select(conditions, [OPTED_OUT, BAD_DATA, MEETING_SET, NOT_INTERESTED, REPLIED, WORKING], customers)
