"""Rows of what was exchanged: sequence states and mailings."""

from collections.abc import Iterator
from functools import reduce

import numpy as np

from outreach_frames._sandbox.seed.clock import Floats, Ints
from outreach_frames._sandbox.seed.columns import Pointers, Resource, instants, pick, resources
from outreach_frames._sandbox.seed.content import EXTRA_TEMPLATES, body_html, body_text, template_subjects
from outreach_frames._sandbox.seed.counters import counters
from outreach_frames._sandbox.seed.history import History
from outreach_frames._sandbox.seed.journeys import ACTIVE, DRAFTED, PAUSED, PENDING, QUEUED, SCHEDULED, SENT, STATES
from outreach_frames._sandbox.seed.names import ERROR_REASONS
from outreach_frames._sandbox.seed.singles import SINGLE

PAUSE_REASONS = ("paused by user", "ooto")
MAILING_TYPES = ("sequence", "single", "campaign")
MAILING_STATES = ("delivered", "opened", "replied", "bounced", "scheduled", "queued", "drafted", "failed")
_DELIVERED, _OPENED, _REPLIED, _BOUNCED, _SCHEDULED, _QUEUED, _DRAFTED, _FAILED = range(8)
_ONE_OFF_SUBJECTS = ("Re: our call", "The document you asked for", "Quick follow-up", "Introduction")


def latest(*moments: Floats) -> Floats:
    """The latest of several instants, row by row; NaN is passed over."""
    return reduce(np.fmax, moments)


def mailing_ids(history: History) -> Ints:
    """Id of every message by position, 0 for one whose row was deleted."""
    return np.where(history.mailings["deleted"], 0, np.arange(len(history.mailings["sent"])) + 1)


def _first(history: History, instant: str) -> Floats:
    """Earliest instant of one kind among each enrollment's messages."""
    mailings = history.mailings
    first = np.full(len(history.enrollments["state"]), np.inf)
    known = (mailings["enrollment"] >= 0) & ~np.isnan(mailings[instant])
    np.minimum.at(first, mailings["enrollment"][known], mailings[instant][known])
    return np.where(np.isinf(first), np.nan, first)


def sequence_states(history: History, pointers: Pointers) -> Iterator[Resource]:
    """Yield the enrollments."""
    enrolled, mailings, tasks = history.enrollments, history.mailings, history.tasks
    count = len(enrolled["state"])
    called = np.full(count, np.nan)
    known = history.calls["enrollment"] >= 0
    called[history.calls["enrollment"][known]] = history.calls["completed"][known]
    pending = enrolled["state"] == PENDING
    open_ = np.isin(enrolled["state"], (ACTIVE, PENDING, PAUSED))
    replied = _first(history, "replied")
    attributes = {
        "state": pick(STATES, enrolled["state"]),
        "createdAt": instants(enrolled["created"]),
        "activeAt": instants(np.where(pending, np.nan, enrolled["created"])),
        "stateChangedAt": instants(enrolled["changed"]),
        "repliedAt": instants(replied),
        "callCompletedAt": instants(called),
        "pauseReason": pick(PAUSE_REASONS, enrolled["pause"]),
        "errorReason": pick(ERROR_REASONS, enrolled["error"]),
        **counters(mailings, mailings["enrollment"], count=count),
        "updatedAt": instants(latest(enrolled["changed"], replied, called, _first(history, "opted_out"))),
    }
    waiting = np.isin(mailings["status"], (SCHEDULED, QUEUED, DRAFTED)) & (mailings["enrollment"] >= 0)
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
    yield from resources("sequenceState", range(1, count + 1), attributes, relationships)


def mailing_state(history: History) -> tuple[Ints, Floats]:
    """
    State of each message and since when: the latest fact, in the order delivered, opened, then replied or bounced.

    An open after the answer changes nothing; of an answer and a bounce the later one shows.
    """
    mailings = history.mailings
    waiting = mailings["status"] != SENT
    bounced = ~np.isnan(mailings["bounced"]) & ~(mailings["replied"] >= mailings["bounced"])
    replied, opened = ~np.isnan(mailings["replied"]), mailings["opens"] > 0
    facts = [waiting, bounced, replied, opened]
    unsent: Ints = np.array([_DELIVERED, _SCHEDULED, _QUEUED, _DRAFTED, _FAILED])[mailings["status"]]
    kinds = [np.full(len(unsent), kind) for kind in (_BOUNCED, _REPLIED, _OPENED, _DELIVERED)]
    tried = latest(mailings["created"], mailings["attempted"])
    instants_ = [tried, mailings["bounced"], mailings["replied"], mailings["opened_at"]]
    state: Ints = np.select(facts, [unsent, *kinds[:3]], kinds[3])
    since: Floats = np.select(facts, instants_, mailings["delivered"])
    return state, since


def _subjects(history: History) -> list[str]:
    """Subject of each message, its variables filled in; a missing variable stays visible."""
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


def mailings(history: History, pointers: Pointers, *, mailbox_emails: list[str], strangers: Ints) -> Iterator[Resource]:
    """
    Yield the messages, leaving out deleted ones.

    Parameters
    ----------
    mailbox_emails
        Address of every mailbox by position.
    strangers
        Ids of recipients that are no prospects, for messages without one.
    """
    table = history.mailings
    size = len(table["sent"])
    state, since = mailing_state(history)
    bodies = [
        body_html(position) for position in range(len(history.setting.programme.template_names) + len(EXTRA_TEMPLATES))
    ]
    texts = [body_text(position) for position in range(len(bodies))]
    single = table["type"] == SINGLE
    chased = single & (np.arange(size) % 4 == 0)
    task = np.zeros(size, dtype=np.int64)
    written = (history.tasks["mailing"] >= 0) & (history.tasks["step"] >= 0)
    task[history.tasks["mailing"][written]] = np.flatnonzero(written) + 1
    failed = state == _FAILED
    override = np.where(table["enrollment"] >= 0, history.enrollments["overridden"][table["enrollment"]], np.False_)
    attributes = {
        "state": pick(MAILING_STATES, state),
        "stateChangedAt": instants(since),
        "mailingType": pick(MAILING_TYPES, table["type"]),
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
        "createdAt": instants(table["created"]),
        "scheduledAt": instants(table["scheduled"]),
        "deliveredAt": instants(table["delivered"]),
        "bouncedAt": instants(table["bounced"]),
        "openedAt": instants(table["opened_at"]),
        "openCount": table["opens"].tolist(),
        "clickedAt": instants(table["clicked_at"]),
        "clickCount": table["clicks"].tolist(),
        "repliedAt": instants(table["replied"]),
        "unsubscribedAt": instants(table["opted_out"]),
        "markedAsSpamAt": instants(table["spam"]),
        "trackOpens": pick((False, True), table["track_opens"]),
        "trackLinks": pick((False, True), table["track_links"]),
        "errorReason": pick(ERROR_REASONS, table["error"]),
        "errorBacktrace": ["delivery/worker.rb:88:in `attempt'" if mark else None for mark in failed.tolist()],
        "retryCount": np.where(failed, 1 + np.arange(size) % 3, 0).tolist(),
        "retryInterval": [600 if mark else None for mark in failed.tolist()],
        "followUpTaskType": ["no_reply" if mark else None for mark in chased.tolist()],
        "followUpTaskScheduledAt": instants(np.where(chased, table["sent"] + 3 * 86_400, np.nan)),
        "overrideSafetySettings": override.tolist(),
        "updatedAt": instants(
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
    kept = np.flatnonzero(~table["deleted"]).tolist()
    columns = {name: [column[row] for row in kept] for name, column in attributes.items()}
    links = {name: [column[row] for row in kept] for name, column in relationships.items()}
    yield from resources("mailing", [row + 1 for row in kept], columns, links)
