"""Rows of the organisation itself: users, roles, profiles, teams and mailboxes."""

from collections.abc import Iterator
from uuid import UUID

import numpy as np

from outreach_frames.emulator.organisation.clock import DAY, HOUR, MINUTE
from outreach_frames.emulator.organisation.columns import (
    Link,
    Links,
    Pointers,
    Resource,
    instants,
    pick,
    records,
    resources,
)
from outreach_frames.emulator.organisation.history import History
from outreach_frames.emulator.organisation.journeys import NOT_SENT
from outreach_frames.emulator.organisation.people import TRAITS
from outreach_frames.emulator.organisation.wording import OFFICES, USER_TITLES

TEAMS = ("Outbound North America", "Outbound EMEA", "Customer success", "Leadership")
_CUSTOMERS, _LEADERS = 2, 3
SELLING = ("Inside sales", "Field")
_ROLES = ("Sales", "Sales development", "Account executives", "Customer success")
_PROFILES = (("Admin", True, "admin"), ("Standard", False, "default"), ("Manager", False, None))
_FOUNDED_DAYS = 1_200.0
_OLD_MAILBOX = "old"


def mailbox_emails(history: History) -> list[str]:
    """Address of every mailbox by position: the users' own, and an old one of the first user."""
    users = history.cast.users
    return [*users.email, f"{_OLD_MAILBOX}.{users.email[0]}"]


def office(history: History, pointers: Pointers) -> Iterator[Resource]:
    """Yield users, roles, profiles, teams, mailboxes and mail aliases."""
    made = instants(np.array([history.setting.before(_FOUNDED_DAYS)]))[0]
    stamps = {"createdAt": made, "updatedAt": made}
    yield from _users(history, pointers)
    top, below = Link("role", 1), Links.to("role", range(2, len(_ROLES) + 1))
    yield from records("role", [{"name": _ROLES[0], "childRoles": below, **stamps}])
    lower = (
        {"id": number, "name": name, "parentRole": top, **stamps} for number, name in enumerate(_ROLES[1:], start=2)
    )
    yield from records("role", list(lower))
    profiles = ({"name": name, "isAdmin": admin, "specialId": special, **stamps} for name, admin, special in _PROFILES)
    yield from records("profile", list(profiles))
    members = _teams(history)
    for number, name in enumerate(TEAMS):
        users = Links.to("user", (np.flatnonzero(members == number) + 1).tolist())
        team = {"id": number + 1, "name": name, "color": "#56B4E9", "creator": Link("user", 1), "users": users}
        yield from records("team", [team | stamps])
    yield from _mailboxes(history, pointers)
    for number in range(1, min(4, len(mailbox_emails(history))) + 1):
        alias = {"id": number, "email": f"hello+{number}@sales.example.com", "canSend": number % 2 == 1}
        yield from records("mailAlias", [alias | stamps | {"mailbox": Link("mailbox", number)}])


def _teams(history: History) -> np.ndarray:
    """Team of every user: by continent, one in five with customers, the first leads."""
    count = len(history.cast.users.first)
    region = np.isin(
        history.cast.users.office, (OFFICES.index("London"), OFFICES.index("Dresden"), OFFICES.index("Bengaluru"))
    ).astype(int)
    teams = np.where(np.arange(1, count + 1) % 5 == 0, _CUSTOMERS, region)
    teams[0] = _LEADERS
    return teams


def _users(history: History, pointers: Pointers) -> Iterator[Resource]:
    users, as_of, rng = history.cast.users, history.setting.as_of, history.setting.random("users")
    count, numbers = len(users.first), np.arange(len(users.first))
    signed_in = np.where(users.locked, as_of - 40 * DAY, as_of - rng.uniform(0.1, 4, count) * DAY)
    teams = _teams(history)
    attributes = {
        "firstName": users.first,
        "lastName": users.last,
        "name": [f"{first} {last}" for first, last in zip(users.first, users.last, strict=True)],
        "email": users.email,
        "username": [email.split("@")[0] for email in users.email],
        "title": pick(USER_TITLES, np.where(teams == _CUSTOMERS, 3, numbers % 3)),
        "locked": users.locked.tolist(),
        "phoneNumber": [f"+1617555{100 + number % 100:04d}" for number in numbers.tolist()],
        "phoneCountryCode": "US",
        "phoneType": "voip",
        "userGuid": [str(UUID(int=int.from_bytes(rng.bytes(16), "big"), version=4)) for _ in numbers],
        "currentSignInAt": instants(np.floor(signed_in)),
        "lastSignInAt": instants(np.floor(signed_in - DAY)),
        "dailyDigestEmailEnabled": (numbers % 2 == 0).tolist(),
        "notificationsEnabled": True,
        "enableVoiceRecordings": False,
        "duties": {"leader": False},
        "defaultRulesetId": 1,
        "custom1": pick(SELLING, numbers % 3 - 1),
        "createdAt": instants(users.created),
        "updatedAt": instants(np.floor(signed_in)),
    }
    mailboxes = pointers.many("mailbox", users.mailbox_user, np.arange(len(users.mailbox_user)) + 1, count=count)
    team = pointers.many("team", numbers, teams + 1, count=count)
    relationships = {
        "role": pointers.one("role", np.where(teams == _CUSTOMERS, 4, numbers % 2 + 2)),
        "profile": pointers.one("profile", np.where(numbers == 0, 1, np.where(numbers % 7 == 1, 3, 2))),
        "teams": team,
        "mailbox": pointers.one("mailbox", numbers + 1),
        "mailboxes": mailboxes,
        "creator": pointers.one("user", np.where(numbers == 0, 0, 1)),
    }
    yield from resources("user", range(1, count + 1), attributes, relationships)


def _mailboxes(history: History, pointers: Pointers) -> Iterator[Resource]:
    """One mailbox lost its synchronisation weeks ago, one may not send; both say so in their instants."""
    setting, emails = history.setting, mailbox_emails(history)
    count, owner = len(emails), history.cast.users.mailbox_user
    position, made = np.arange(count), history.cast.users.created[owner]
    blind, disabled = position == TRAITS.blind, position == TRAITS.disabled
    sent = np.full(count, np.nan)
    used = ~np.isnan(history.mailings["sent"])
    np.fmax.at(sent, history.mailings["mailbox"][used], history.mailings["sent"][used])
    synced = np.where(blind, setting.before(TRAITS.blind_days), setting.as_of - 4 * MINUTE)
    tried = history.mailings["status"] == NOT_SENT
    errored = np.full(count, np.nan)
    np.fmax.at(errored, history.mailings["mailbox"][tried], history.mailings["attempted"][tried])
    google = position % 3 != 0
    attributes = {
        "email": emails,
        "username": emails,
        "emailProvider": pick(("office365_oauth2", "google_oauth2"), google.astype(int)),
        "sendMethod": pick(("ews", "smtp"), google.astype(int)),
        "syncMethod": pick(("ews", "gmail_api"), google.astype(int)),
        "sendDisabled": disabled.tolist(),
        "syncDisabled": False,
        "editable": True,
        "sendRequiresSync": False,
        "maxEmailsPerDay": 2_000,
        "maxMailingsPerDay": np.where(position == TRAITS.limited, 40, 400).tolist(),
        "maxMailingsPerWeek": np.where(position == TRAITS.limited, 200, 2_000).tolist(),
        "sendThreshold": 30,
        "sendPeriod": 600,
        "sendMaxRetries": 3,
        "syncActiveFrequency": 300,
        "syncPassiveFrequency": 3_600,
        "sendSuccessAt": instants(sent),
        "sendErroredAt": instants(errored),
        "syncSuccessAt": instants(synced),
        "syncFinishedAt": instants(synced),
        "syncErroredAt": instants(np.where(blind, setting.as_of - HOUR, np.nan)),
        "userId": (owner + 1).tolist(),
        "createdAt": instants(made),
        "updatedAt": instants(np.fmax(made, sent)),
    }
    user = pointers.one("user", owner + 1)
    yield from resources("mailbox", range(1, count + 1), attributes, {"user": user, "creator": user, "updater": user})
