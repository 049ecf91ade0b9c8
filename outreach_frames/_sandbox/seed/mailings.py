"""Rows of sequence states, mailings and events."""

from collections.abc import Iterator
from functools import reduce
from typing import Any

import numpy as np

from outreach_frames._sandbox.seed.columns import Pointers, Resource, column_resources, flagged, instant_cells, pick
from outreach_frames._sandbox.seed.content import (
    EXTRA_TEMPLATES,
    body_html,
    body_text,
    counter_columns,
    template_subjects,
)
from outreach_frames._sandbox.seed.history import SINGLE, History
from outreach_frames._sandbox.seed.journeys import (
    MAIL_DRAFTED,
    MAIL_QUEUED,
    MAIL_SCHEDULED,
    MAIL_SENT,
    STATE_ACTIVE,
    STATE_FINISHED,
    STATE_PAUSED,
    STATE_PENDING,
    STATES,
)
from outreach_frames._sandbox.seed.names import CITIES, ERROR_REASONS
from outreach_frames._sandbox.seed.responses import BY_PERSON, BY_PROXY, OPEN_EVENT
from outreach_frames._sandbox.seed.simulation import BoolArray, FloatArray, IntArray, Table, concat_tables, take_rows

_PAUSE_REASONS = ("paused by user", "ooto")
_MAILING_TYPES = ("sequence", "single", "campaign")
_MAILING_STATES = ("delivered", "opened", "replied", "bounced", "scheduled", "queued", "drafted", "failed")
(
    _MAILING_DELIVERED,
    _MAILING_OPENED,
    _MAILING_REPLIED,
    _MAILING_BOUNCED,
    _MAILING_SCHEDULED,
    _MAILING_QUEUED,
    _MAILING_DRAFTED,
    _MAILING_FAILED,
) = range(8)
_ONE_OFF_SUBJECTS = ("Re: our call", "The document you asked for", "Quick follow-up", "Introduction")


def latest(*moments: FloatArray) -> FloatArray:
    """The latest of several instants, row by row; NaN is ignored."""
    return reduce(np.fmax, moments)


def mailing_ids(history: History) -> IntArray:
    """Id of every message by position, 0 for a deleted one."""
    return np.where(history.mailings["deleted"], 0, np.arange(len(history.mailings["sent"])) + 1)


def _first(history: History, instant: str) -> FloatArray:
    """Earliest instant of one kind among each enrollment's messages."""
    mailings = history.mailings
    first = np.full(len(history.enrollments["state"]), np.inf)
    happened = (mailings["enrollment"] >= 0) & ~np.isnan(mailings[instant])
    np.minimum.at(first, mailings["enrollment"][happened], mailings[instant][happened])
    return np.where(np.isinf(first), np.nan, first)


def sequence_states(history: History, pointers: Pointers) -> Iterator[Resource]:
    """Yield the enrollments."""
    enrolled, mailings, tasks = history.enrollments, history.mailings, history.tasks
    count = len(enrolled["state"])
    called = np.full(count, np.nan)
    in_enrollment = history.calls["enrollment"] >= 0
    called[history.calls["enrollment"][in_enrollment]] = history.calls["completed"][in_enrollment]
    pending = enrolled["state"] == STATE_PENDING
    open_ = np.isin(enrolled["state"], (STATE_ACTIVE, STATE_PENDING, STATE_PAUSED))
    replied = _first(history, "replied")
    attributes = {
        "state": pick(STATES, enrolled["state"]),
        "createdAt": instant_cells(enrolled["created"]),
        "activeAt": instant_cells(np.where(pending, np.nan, enrolled["created"])),
        "stateChangedAt": instant_cells(enrolled["changed"]),
        "repliedAt": instant_cells(replied),
        "callCompletedAt": instant_cells(called),
        "pauseReason": pick(_PAUSE_REASONS, enrolled["pause"]),
        "errorReason": pick(ERROR_REASONS, enrolled["error"]),
        **counter_columns(mailings, mailings["enrollment"], count=count),
        "updatedAt": instant_cells(latest(enrolled["changed"], replied, called, _first(history, "opted_out"))),
    }
    waiting = np.isin(mailings["status"], (MAIL_SCHEDULED, MAIL_QUEUED, MAIL_DRAFTED)) & (mailings["enrollment"] >= 0)
    waiting &= open_[mailings["enrollment"]]
    undone = np.isnan(tasks["done"]) & (tasks["enrollment"] >= 0) & open_[tasks["enrollment"]]
    user = pointers.one("user", enrolled["user"] + 1)
    account = history.cast.prospects.account[enrolled["prospect"]]
    relationships = {
        "prospect": pointers.one("prospect", enrolled["prospect"] + 1),
        "account": pointers.one("account", account + 1),
        "sequence": pointers.one("sequence", enrolled["sequence"] + 1),
        "sequenceStep": pointers.one("sequenceStep", enrolled["step"] + 1),
        "mailbox": pointers.one("mailbox", enrolled["mailbox"] + 1),
        "user": user,
        "creator": user,
        "activeStepMailings": pointers.many(
            "mailing", mailings["enrollment"][waiting], mailing_ids(history)[waiting], count=count
        ),
        "activeStepTasks": pointers.many("task", tasks["enrollment"][undone], np.flatnonzero(undone) + 1, count=count),
    }
    yield from column_resources("sequenceState", range(1, count + 1), attributes, relationships)


def _mailing_state(history: History) -> tuple[IntArray, FloatArray]:
    """
    State of each message and since when: the latest fact, in the order delivered, opened, then replied or bounced.

    An open after the answer changes nothing; of an answer and a bounce the later one shows.
    """
    mailings = history.mailings
    waiting = mailings["status"] != MAIL_SENT
    bounced = ~np.isnan(mailings["bounced"]) & ~(mailings["replied"] >= mailings["bounced"])
    replied, opened = ~np.isnan(mailings["replied"]), mailings["opens"] > 0
    facts = [waiting, bounced, replied, opened]
    unsent: IntArray = np.array(
        [_MAILING_DELIVERED, _MAILING_SCHEDULED, _MAILING_QUEUED, _MAILING_DRAFTED, _MAILING_FAILED]
    )[mailings["status"]]
    kinds = [
        np.full(len(unsent), kind) for kind in (_MAILING_BOUNCED, _MAILING_REPLIED, _MAILING_OPENED, _MAILING_DELIVERED)
    ]
    tried = latest(mailings["created"], mailings["attempted"])
    instants_ = [tried, mailings["bounced"], mailings["replied"], mailings["opened_at"]]
    state: IntArray = np.select(facts, [unsent, *kinds[:3]], kinds[3])
    since: FloatArray = np.select(facts, instants_, mailings["delivered"])
    return state, since


def _subjects(history: History) -> list[str]:
    """Subject of each message with its variables replaced; a missing variable stays visible."""
    mailings, cast = history.mailings, history.cast
    patterns = template_subjects(history)
    ids = mailings["template"].tolist()
    accounts = cast.prospects.account[mailings["prospect"]].tolist()
    subjects = []
    for number, (template, person, account) in enumerate(
        zip(ids, mailings["prospect"].tolist(), accounts, strict=True)
    ):
        pattern = patterns[template] if template >= 0 else _ONE_OFF_SUBJECTS[number % len(_ONE_OFF_SUBJECTS)]
        if "{" in pattern:
            company = cast.accounts.name[account] if account >= 0 else "your company"
            pattern = pattern.replace("{company}", company).replace("{first_name}", cast.prospects.first[person])
        subjects.append(pattern)
    return subjects


def mailings(
    history: History, pointers: Pointers, *, mailbox_emails: list[str], strangers: IntArray
) -> Iterator[Resource]:
    """
    Yield the messages, leaving out deleted ones.

    Parameters
    ----------
    mailbox_emails
        Address of every mailbox by position.
    strangers
        Ids of recipients that are not prospects, for messages without one.
    """
    table = history.mailings
    size = len(table["sent"])
    state, since = _mailing_state(history)
    bodies = [
        body_html(position)
        for position in range(len(history.simulation.sequences.template_names) + len(EXTRA_TEMPLATES))
    ]
    texts = [body_text(position) for position in range(len(bodies))]
    single = table["type"] == SINGLE
    chased = single & (np.arange(size) % 4 == 0)
    task = np.zeros(size, dtype=np.int64)
    written = (history.tasks["mailing"] >= 0) & (history.tasks["step"] >= 0)
    task[history.tasks["mailing"][written]] = np.flatnonzero(written) + 1
    failed = state == _MAILING_FAILED
    override = np.where(table["enrollment"] >= 0, history.enrollments["overridden"][table["enrollment"]], np.False_)
    attributes = {
        "state": pick(_MAILING_STATES, state),
        "stateChangedAt": instant_cells(since),
        "mailingType": pick(_MAILING_TYPES, table["type"]),
        "subject": _subjects(history),
        "bodyHtml": pick(
            [*bodies, "<p>Thank you, I shall send it over.</p>"],
            np.where(table["template"] < 0, len(bodies), table["template"]),
        ),
        "bodyText": pick(
            [*texts, "Thank you, I shall send it over."], np.where(table["template"] < 0, len(texts), table["template"])
        ),
        "mailboxAddress": pick(mailbox_emails, table["mailbox"]),
        "messageId": [f"<{number}.outreach@sales.example.com>" for number in range(1, size + 1)],
        "references": [[] for _ in range(size)],
        "createdAt": instant_cells(table["created"]),
        "scheduledAt": instant_cells(table["scheduled"]),
        "deliveredAt": instant_cells(table["delivered"]),
        "bouncedAt": instant_cells(table["bounced"]),
        "openedAt": instant_cells(table["opened_at"]),
        "openCount": table["opens"].tolist(),
        "clickedAt": instant_cells(table["clicked_at"]),
        "clickCount": table["clicks"].tolist(),
        "repliedAt": instant_cells(table["replied"]),
        "unsubscribedAt": instant_cells(table["opted_out"]),
        "markedAsSpamAt": instant_cells(table["spam"]),
        "trackOpens": pick((False, True), table["track_opens"]),
        "trackLinks": pick((False, True), table["track_links"]),
        "errorReason": pick(ERROR_REASONS, table["error"]),
        "errorBacktrace": ["delivery/worker.rb:88:in `attempt'" if mark else None for mark in failed.tolist()],
        "retryCount": np.where(failed, 1 + np.arange(size) % 3, 0).tolist(),
        "retryInterval": [600 if mark else None for mark in failed.tolist()],
        "followUpTaskType": ["no_reply" if mark else None for mark in chased.tolist()],
        "followUpTaskScheduledAt": instant_cells(np.where(chased, table["sent"] + 3 * 86_400, np.nan)),
        "overrideSafetySettings": override.tolist(),
        "updatedAt": instant_cells(
            latest(since, table["opened_at"], table["clicked_at"], table["opted_out"], table["spam"])
        ),
    }
    recipient = np.where(table["prospect"] >= 0, table["prospect"] + 1, strangers[np.arange(size) % len(strangers)])
    relationships = {
        "prospect": pointers.one("prospect", table["prospect"] + 1),
        "sequence": pointers.one("sequence", table["sequence"] + 1),
        "sequenceState": pointers.one("sequenceState", table["enrollment"] + 1),
        "sequenceStep": pointers.one("sequenceStep", table["step"] + 1),
        "template": pointers.one("template", table["template"] + 1),
        "mailbox": pointers.one("mailbox", table["mailbox"] + 1),
        "user": pointers.one("user", table["user"] + 1),
        "task": pointers.one("task", task),
        "recipients": pointers.many("recipient", np.arange(size), recipient, count=size),
    }
    remaining = np.flatnonzero(~table["deleted"]).tolist()
    columns = {name: [column[row] for row in remaining] for name, column in attributes.items()}
    links = {name: [column[row] for row in remaining] for name, column in relationships.items()}
    yield from column_resources("mailing", [row + 1 for row in remaining], columns, links)


_EVENT_NAMES = (
    "outbound_message", "message_opened", "message_clicked", "inbound_message", "bounced_message", "emails_opt_out",
    "sequence_state_created", "sequence_state_finished", "sequence_state_paused", "outbound_call_completed",
    "outbound_call_no_answer", "inbound_call_completed", "inbound_call_no_answer", "task_completed", "prospect_created",
)  # fmt: skip
(
    _OUTBOUND_MESSAGE, _MESSAGE_OPENED, _MESSAGE_CLICKED, _INBOUND_MESSAGE, _BOUNCED_MESSAGE, _EMAILS_OPT_OUT,
    _STATE_CREATED, _STATE_FINISHED, _STATE_PAUSED, _OUTBOUND_CALL, _OUTBOUND_NO_ANSWER, _INBOUND_CALL,
    _INBOUND_NO_ANSWER, _TASK_COMPLETED, _PROSPECT_CREATED,
) = range(len(_EVENT_NAMES))  # fmt: skip
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
    table = concat_tables(parts)
    table = take_rows(table, np.argsort(table["at"], kind="stable"))
    count, person = len(table["at"]), history.cast.prospects
    at = instant_cells(table["at"])
    who, name = table["who"], table["name"]
    home = [CITIES[place] for place in person.city[table["prospect"]].tolist()]
    tracked, by_person = who >= 0, who == BY_PERSON
    phone = np.arange(count) % 3 == 0
    attributes = {
        "name": pick(_EVENT_NAMES, name),
        "eventAt": at,
        "createdAt": at,
        "payload": pick(_PAYLOADS, _payload(name)),
        "externalUrl": flagged("https://www.example.com/story", name == _MESSAGE_CLICKED),
        "requestCity": [
            city.name if mine else elsewhere
            for city, mine, elsewhere in zip(home, by_person.tolist(), flagged("Ashburn", tracked), strict=True)
        ],
        "requestRegion": [
            city.state or None if mine else elsewhere
            for city, mine, elsewhere in zip(home, by_person.tolist(), flagged("VA", tracked), strict=True)
        ],
        "requestDevice": pick(("desktop", "mobile"), np.where(by_person, phone.astype(int), -1)),
        "requestHost": pick(_HOSTS, np.where(who > BY_PERSON, who, -1)),
        "requestProxied": pick((False, True), np.where(tracked, (who == BY_PROXY).astype(int), -1)),
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
    yield from column_resources("event", range(1, count + 1), attributes, relationships)


def _payload(name: IntArray) -> IntArray:
    groups = np.array([0, 1, 1, 0, 0, 1, 2, 2, 2, 3, 3, 3, 3, 4, -1])
    group: IntArray = groups[name]
    return group


def _event_table(name: int | IntArray, at: FloatArray, *, who: int | IntArray = -1, **links: IntArray) -> Table:
    """Events of one kind, with -1 for links that are not passed."""
    size = len(at)
    columns = {"name": np.broadcast_to(name, size), "at": at, "who": np.broadcast_to(who, size)}
    return columns | {link: links.get(link, np.full(size, -1)) for link in _SOURCES}


def _mail_part(
    history: History, name: int | IntArray, at: FloatArray, mailing: IntArray, *, who: int | IntArray = -1
) -> Table:
    mail = history.mailings
    links = {link: mail[link][mailing] for link in ("sequence", "step", "user", "prospect")}
    return _event_table(name, at, who=who, mailing=mailing, **links)


def _mail_events(history: History) -> Iterator[Table]:
    for name, instant in (
        (_OUTBOUND_MESSAGE, "delivered"),
        (_INBOUND_MESSAGE, "replied"),
        (_BOUNCED_MESSAGE, "bounced"),
        (_EMAILS_OPT_OUT, "opted_out"),
    ):
        rows = np.flatnonzero(~np.isnan(history.mailings[instant]))
        yield _mail_part(history, name, history.mailings[instant][rows], rows)


def _engagement_events(history: History) -> Table:
    engaged = history.engaged
    name = np.where(engaged["what"] == OPEN_EVENT, _MESSAGE_OPENED, _MESSAGE_CLICKED)
    return _mail_part(history, name, engaged["at"], engaged["mailing"], who=engaged["who"])


def _other_events(history: History) -> Iterator[Table]:
    enrolled, calls, tasks, people = history.enrollments, history.calls, history.tasks, history.cast.prospects
    for name, at, selected in (
        (_STATE_CREATED, enrolled["created"], np.ones(len(enrolled["state"]), dtype=bool)),
        (_STATE_FINISHED, enrolled["changed"], enrolled["state"] == STATE_FINISHED),
        (_STATE_PAUSED, enrolled["changed"], enrolled["state"] == STATE_PAUSED),
    ):
        yield _linked_events(name, at, enrolled, selected, "sequence", "user", "prospect")
    kind = np.where(calls["inbound"], _INBOUND_CALL, _OUTBOUND_CALL) + np.where(calls["answered"], 0, 1)
    call = {"call": np.arange(len(kind)), **calls}
    yield _linked_events(
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
    yield _linked_events(_TASK_COMPLETED, tasks["done"], task, done, "task", "sequence", "step", "user", "prospect")
    prospect = np.arange(len(people.first))
    yield _event_table(_PROSPECT_CREATED, people.created, prospect=prospect, user=people.owner)


def _linked_events(name: int | IntArray, at: FloatArray, table: Table, selected: BoolArray, *links: str) -> Table:
    rows = np.flatnonzero(selected)
    names = name[rows] if isinstance(name, np.ndarray) else name
    return _event_table(names, at[rows], **{link: table[link][rows] for link in links})
