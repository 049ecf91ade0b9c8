"""Rows of the activity log: what was sent, opened, clicked, answered, called and finished, in order."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from outreach_frames._sandbox.seed.clock import Flags, Floats, Ints
from outreach_frames._sandbox.seed.columns import (
    Pointers,
    Resource,
    Table,
    concatenated,
    flagged,
    instants,
    pick,
    resources,
    taken,
)
from outreach_frames._sandbox.seed.history import History
from outreach_frames._sandbox.seed.journeys import FINISHED, PAUSED
from outreach_frames._sandbox.seed.mailings import mailing_ids
from outreach_frames._sandbox.seed.names import CITIES
from outreach_frames._sandbox.seed.responses import OPEN, PERSON, PROXY

NAMES = (
    "outbound_message", "message_opened", "message_clicked", "inbound_message", "bounced_message", "emails_opt_out",
    "sequence_state_created", "sequence_state_finished", "sequence_state_paused", "outbound_call_completed",
    "outbound_call_no_answer", "inbound_call_completed", "inbound_call_no_answer", "task_completed", "prospect_created",
)  # fmt: skip
(
    _SENT, _OPENED, _CLICKED, _ANSWERED, _BOUNCED, _LEFT, _BEGUN, _FINISHED, _PAUSED, _CALLED, _NOT_REACHED, _CALLED_IN,
    _MISSED, _DONE, _ARRIVED,
) = range(len(NAMES))  # fmt: skip
_SOURCES = ("mailing", "sequence", "step", "call", "task", "user", "prospect")
_PAYLOADS: tuple[dict[str, Any], ...] = (
    {"source": "mailing"},
    {"source": "tracking", "url": "https://www.example.com/story"},
    {"source": "sequence", "reason": "replied or out of steps"},
    {"source": "call"},
    {"source": "task"},
)
_HOSTS = ("", "image-proxy.example.net", "gateway.example.org")


def events(history: History, pointers: Pointers) -> Iterator[Resource]:
    """Yield the events, oldest first; deleted messages leave theirs without a mailing."""
    parts = [*_mail_events(history), _engagement_events(history), *_other_events(history)]
    table = concatenated(parts)
    table = taken(table, np.argsort(table["at"], kind="stable"))
    count, person = len(table["at"]), history.cast.prospects
    at = instants(table["at"])
    who, name = table["who"], table["name"]
    home = [CITIES[place] for place in person.city[table["prospect"]].tolist()]
    tracked, by_person = who >= 0, who == PERSON
    phone = np.arange(count) % 3 == 0
    attributes = {
        "name": pick(NAMES, name),
        "eventAt": at,
        "createdAt": at,
        "payload": pick(_PAYLOADS, _payload(name)),
        "externalUrl": flagged("https://www.example.com/story", name == _CLICKED),
        "requestCity": [
            city.name if mine else elsewhere
            for city, mine, elsewhere in zip(home, by_person.tolist(), flagged("Ashburn", tracked), strict=True)
        ],
        "requestRegion": [
            city.state or None if mine else elsewhere
            for city, mine, elsewhere in zip(home, by_person.tolist(), flagged("VA", tracked), strict=True)
        ],
        "requestDevice": pick(("desktop", "mobile"), np.where(by_person, phone.astype(int), -1)),
        "requestHost": pick(_HOSTS, np.where(who > PERSON, who, -1)),
        "requestProxied": pick((False, True), np.where(tracked, (who == PROXY).astype(int), -1)),
    }
    relationships = {
        "prospect": pointers.one("prospect", table["prospect"] + 1),
        "account": pointers.one("account", np.where(table["prospect"] >= 0, person.account[table["prospect"]] + 1, 0)),
        "mailing": pointers.one("mailing", np.where(table["mailing"] >= 0, mailing_ids(history)[table["mailing"]], 0)),
        "sequence": pointers.one("sequence", table["sequence"] + 1),
        "sequenceStep": pointers.one("sequenceStep", table["step"] + 1),
        "call": pointers.one("call", table["call"] + 1),
        "task": pointers.one("task", table["task"] + 1),
        "user": pointers.one("user", table["user"] + 1),
    }
    yield from resources("event", range(1, count + 1), attributes, relationships)


def _payload(name: Ints) -> Ints:
    groups = np.array([0, 1, 1, 0, 0, 1, 2, 2, 2, 3, 3, 3, 3, 4, -1])
    chosen: Ints = groups[name]
    return chosen


def _part(name: int | Ints, at: Floats, *, who: int | Ints = -1, **links: Ints) -> Table:
    """Events of one kind; what is not named is not linked."""
    size = len(at)
    columns = {"name": np.broadcast_to(name, size), "at": at, "who": np.broadcast_to(who, size)}
    return columns | {link: links.get(link, np.full(size, -1)) for link in _SOURCES}


def _mail_part(history: History, name: int | Ints, at: Floats, mailing: Ints, *, who: int | Ints = -1) -> Table:
    mail = history.mailings
    links = {link: mail[link][mailing] for link in ("sequence", "step", "user", "prospect")}
    return _part(name, at, who=who, mailing=mailing, **links)


def _mail_events(history: History) -> Iterator[Table]:
    for name, instant in ((_SENT, "delivered"), (_ANSWERED, "replied"), (_BOUNCED, "bounced"), (_LEFT, "opted_out")):
        rows = np.flatnonzero(~np.isnan(history.mailings[instant]))
        yield _mail_part(history, name, history.mailings[instant][rows], rows)


def _engagement_events(history: History) -> Table:
    engaged = history.engaged
    name = np.where(engaged["what"] == OPEN, _OPENED, _CLICKED)
    return _mail_part(history, name, engaged["at"], engaged["mailing"], who=engaged["who"])


def _other_events(history: History) -> Iterator[Table]:
    enrolled, calls, tasks, people = history.enrollments, history.calls, history.tasks, history.cast.prospects
    for name, at, chosen in (
        (_BEGUN, enrolled["created"], np.ones(len(enrolled["state"]), dtype=bool)),
        (_FINISHED, enrolled["changed"], enrolled["state"] == FINISHED),
        (_PAUSED, enrolled["changed"], enrolled["state"] == PAUSED),
    ):
        yield _linked(name, at, enrolled, chosen, "sequence", "user", "prospect")
    kind = np.where(calls["inbound"], _CALLED_IN, _CALLED) + np.where(calls["answered"], 0, 1)
    call = {"call": np.arange(len(kind)), **calls}
    yield _linked(
        kind,
        calls["completed"],
        call,
        np.ones(len(kind), dtype=bool),
        "call",
        "task",
        "sequence",
        "step",
        "user",
        "prospect",
    )
    done = ~np.isnan(tasks["done"])
    task = {"task": np.arange(len(done)), **tasks}
    yield _linked(_DONE, tasks["done"], task, done, "task", "sequence", "step", "user", "prospect")
    everybody = np.arange(len(people.first))
    yield _part(_ARRIVED, people.created, prospect=everybody, user=people.owner)


def _linked(name: int | Ints, at: Floats, table: Table, chosen: Flags, *links: str) -> Table:
    rows = np.flatnonzero(chosen)
    names = name[rows] if isinstance(name, np.ndarray) else name
    return _part(names, at[rows], **{link: table[link][rows] for link in links})
