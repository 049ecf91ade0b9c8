"""
Rows of ways to reach people: e-mail addresses, telephone numbers, and recipients of messages.

Every prospect has an address for work, one in twenty a private one too; most have a telephone number.
"""

from collections.abc import Iterator

import numpy as np

from outreach_frames._sandbox.seed.clock import Ints
from outreach_frames._sandbox.seed.columns import Pointers, Resource, flagged, instants, pick, resources
from outreach_frames._sandbox.seed.history import History
from outreach_frames._sandbox.seed.mailings import latest
from outreach_frames._sandbox.seed.names import CITIES

STRANGERS = ("press@newsroom.example", "colleague@sales.example.com", "office@aldermoor.example")
"""Addresses one-off mail went to that belong to no prospect."""
_WITH_DESK = range(7)


def emails(history: History) -> list[list[str]]:
    """Addresses of every prospect: one for work and, for one in twenty, a private one."""
    addresses = [[address] for address in history.cast.prospects.email]
    for number in range(0, len(addresses), 20):
        addresses[number].append(f"private.{number + 1:05d}@mail.example.net")
    return addresses


def email_numbers(history: History) -> Ints:
    """Prospect of every address, in the order of their ids."""
    return np.repeat(np.arange(len(history.cast.prospects.first)), [len(own) for own in emails(history)])


def telephones(history: History) -> tuple[list[str | None], list[str | None]]:
    """Mobile and work number of every prospect, where known."""
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


def phone_numbers(history: History) -> Ints:
    """Prospect of every telephone number, in the order of their ids."""
    mobile, work = telephones(history)
    known = [(one is not None) + (two is not None) for one, two in zip(mobile, work, strict=True)]
    return np.repeat(np.arange(len(known)), known)


def addresses_and_numbers(history: History, pointers: Pointers) -> Iterator[Resource]:
    """Yield e-mail addresses, telephone numbers and recipients."""
    yield from _email_addresses(history, pointers)
    yield from _phone_numbers(history, pointers)
    people, users, start = history.cast.prospects, history.cast.users, history.setting.start
    count = len(people.first)
    values = [*people.email, *users.email, *STRANGERS]
    made = np.concatenate([people.created, users.created, np.full(len(STRANGERS), start)])
    kind = np.concatenate(
        [np.zeros(count, dtype=int), np.ones(len(users.email), dtype=int), np.full(len(STRANGERS), 0)]
    )
    none = np.zeros(len(values), dtype=int)
    prospect, user = none.copy(), none.copy()
    prospect[:count] = np.arange(count) + 1
    user[count : count + len(users.email)] = np.arange(len(users.email)) + 1
    attributes = {
        "value": values,
        "recipientType": pick(("to", "cc"), kind),
        "primary": (kind == 0).tolist(),
        "createdAt": instants(made),
        "updatedAt": instants(made),
    }
    links = {"prospect": pointers.one("prospect", prospect), "user": pointers.one("user", user)}
    yield from resources("recipient", range(1, len(values) + 1), attributes, links)


def strangers(history: History) -> Ints:
    """Ids of the recipients that are neither prospects nor users."""
    return np.arange(len(STRANGERS)) + len(history.cast.prospects.first) + len(history.cast.users.first) + 1


def _email_addresses(history: History, pointers: Pointers) -> Iterator[Resource]:
    people, owner = history.cast.prospects, email_numbers(history)
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
    made = people.created[owner]
    attributes = {
        "email": [address for own in emails(history) for address in own],
        "emailType": pick(("work", "personal"), order),
        "order": order.tolist(),
        "status": pick(
            ("verified", "bounced"),
            np.where(np.isnan(failed), np.where(first & ~np.isnan(history.touched[owner]), 0, -1), 1),
        ),
        "statusChangedAt": instants(failed),
        "unsubscribedAt": instants(np.where(first, by_link[owner], np.nan)),
        "createdAt": instants(made),
        "updatedAt": instants(latest(made, failed)),
    }
    yield from resources(
        "emailAddress", range(1, len(owner) + 1), attributes, {"prospect": pointers.one("prospect", owner + 1)}
    )


def _phone_numbers(history: History, pointers: Pointers) -> Iterator[Resource]:
    mobile, work = telephones(history)
    owner = phone_numbers(history)
    numbers = [
        (number, kind)
        for pair in zip(mobile, work, strict=True)
        for number, kind in zip(pair, (0, 1), strict=True)
        if number
    ]
    kind = np.array([which for _, which in numbers], dtype=np.int64)
    made = history.cast.prospects.created[owner]
    attributes = {
        "number": [number for number, _ in numbers],
        "rawNumber": [number.removeprefix("+") for number, _ in numbers],
        "phoneType": pick(("mobile", "work"), kind),
        "order": (np.arange(len(owner)) - np.searchsorted(owner, owner)).tolist(),
        "extension": [f"0{number % 90:02d}" if number % 11 == 0 else None for number in range(len(owner))],
        "status": flagged("verified", np.arange(len(owner)) % 4 == 0),
        "createdAt": instants(made),
        "updatedAt": instants(made),
    }
    yield from resources(
        "phoneNumber", range(1, len(owner) + 1), attributes, {"prospect": pointers.one("prospect", owner + 1)}
    )
