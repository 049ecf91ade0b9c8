"""Rows of sequences, sequence steps, templates and sequence templates, with their counters."""

from collections.abc import Iterator

import numpy as np

from outreach_frames._sandbox.seed.columns import (
    Pointers,
    Resource,
    column_resources,
    date_cells,
    instant_cells,
    integer_cells,
)
from outreach_frames._sandbox.seed.history import History
from outreach_frames._sandbox.seed.journeys import MAIL_NOT_SENT, MAIL_QUEUED, MAIL_SCHEDULED
from outreach_frames._sandbox.seed.model import STEP_AUTO_EMAIL, STEP_CALL, STEP_TYPES
from outreach_frames._sandbox.seed.names import BODY, OPENINGS, QUESTIONS
from outreach_frames._sandbox.seed.responses import NEGATIVE, NEUTRAL, POSITIVE
from outreach_frames._sandbox.seed.simulation import DAY_S, BoolArray, FloatArray, IntArray, Table


def _counter_flags(mailings: Table) -> dict[str, BoolArray]:
    """
    Return what each counter counts, one flag per message.

    Opens and clicks count *messages* opened or clicked, however often; deliveries include those that bounced later;
    deleted messages still count.
    """
    return {
        "scheduleCount": np.isin(mailings["status"], (MAIL_SCHEDULED, MAIL_QUEUED)),
        "deliverCount": ~np.isnan(mailings["delivered"]),
        "openCount": mailings["opens"] > 0,
        "clickCount": mailings["clicks"] > 0,
        "replyCount": ~np.isnan(mailings["replied"]),
        "positiveReplyCount": mailings["sentiment"] == POSITIVE,
        "neutralReplyCount": mailings["sentiment"] == NEUTRAL,
        "negativeReplyCount": mailings["sentiment"] == NEGATIVE,
        "bounceCount": ~np.isnan(mailings["bounced"]),
        "failureCount": mailings["status"] == MAIL_NOT_SENT,
        "optOutCount": ~np.isnan(mailings["opted_out"]),
    }


def counter_columns(mailings: Table, owner: IntArray, *, count: int) -> dict[str, list[int]]:
    """Add up the flags per owner 0 … count-1; messages with owner -1 belong to none."""
    mine = owner >= 0
    return {
        name: np.bincount(owner[mine & flag], minlength=count).tolist()
        for name, flag in _counter_flags(mailings).items()
    }


def _distinct_people(owner: IntArray, prospect: IntArray, *, count: int) -> IntArray:
    """How many distinct prospects each owner has among (owner, prospect) pairs; pairs with a -1 are left out."""
    valid = (owner >= 0) & (prospect >= 0)
    pairs = np.unique(np.stack([owner[valid], prospect[valid]]), axis=1)
    return np.bincount(pairs[0], minlength=count)


EXTRA_TEMPLATES = (
    ("Meeting confirmation", "Confirmed: {first_name}, see you then", None),
    ("Thank you for your time", "Thank you, {first_name}", None),
    ("Price list 2024", "Our price list", 140.0),
)
"""Templates no sequence uses, the last one archived [days before `as_of`]."""
_RESTED = 25.0


def body_html(position: int) -> str:
    """HTML of a template and of its messages."""
    opening, question = OPENINGS[position % len(OPENINGS)], QUESTIONS[position % len(QUESTIONS)]
    return BODY.format(opening=opening, question=question, slug=f"story-{position + 1}")


def body_text(position: int) -> str:
    """Plain text of a template."""
    return f"Hi {{{{first_name}}}}, {OPENINGS[position % len(OPENINGS)]} {QUESTIONS[position % len(QUESTIONS)]}"


def template_subjects(history: History) -> list[str]:
    """Subject of every template, by position."""
    sequences = history.simulation.sequences
    subjects = {variant.template: variant.subject for variant in sequences.variants}
    return [subjects[name] for name in sequences.template_names] + [subject for _, subject, _ in EXTRA_TEMPLATES]


def content(history: History, pointers: Pointers) -> Iterator[Resource]:
    """Yield sequences, sequence steps, templates and sequence templates."""
    yield from _sequences(history, pointers)
    yield from _steps(history, pointers)
    yield from _templates(history, pointers)
    yield from _sequence_templates(history, pointers)


def _last_use(history: History, owner: IntArray, count: int) -> FloatArray:
    last = np.full(count, -np.inf)
    used = (owner >= 0) & ~np.isnan(history.mailings["delivered"])
    np.maximum.at(last, owner[used], history.mailings["delivered"][used])
    return np.where(np.isinf(last), np.nan, last)


def _owners(history: History, count: int) -> IntArray:
    return np.arange(count) % min(4, len(history.cast.users.first)) + 1


def _sequences(history: History, pointers: Pointers) -> Iterator[Resource]:
    sequences, mailings, plans = history.simulation.sequences, history.mailings, history.simulation.sequences.plans
    count, as_of = len(plans), history.simulation.as_of
    reached = ~np.isnan(mailings["delivered"])
    call_sequence = history.calls["sequence"]
    contacted = _distinct_people(
        np.concatenate([mailings["sequence"][reached], call_sequence]),
        np.concatenate([mailings["prospect"][reached], history.calls["prospect"]]),
        count=count,
    )
    answered = ~np.isnan(mailings["replied"])
    replied = _distinct_people(mailings["sequence"][answered], mailings["prospect"][answered], count=count)
    created, closed = sequences.opens - 2 * DAY_S, sequences.closed
    attributes = {
        "name": [plan.name for plan in plans],
        "description": [plan.description for plan in plans],
        "sequenceType": ["date" if plan.dated else "interval" for plan in plans],
        "shareType": [plan.share_type for plan in plans],
        "tags": [list(plan.tags) for plan in plans],
        "enabled": [plan.closed_day is None for plan in plans],
        "enabledAt": instant_cells(np.where(np.isnan(closed), sequences.opens, np.nan)),
        "locked": [plan.closed_day is not None for plan in plans],
        "lockedAt": instant_cells(closed),
        "lastUsedAt": instant_cells(_last_use(history, mailings["sequence"], count)),
        "transactional": [plan.transactional for plan in plans],
        "finishOnReply": [plan.finish_on_reply for plan in plans],
        "primaryReplyAction": ["finish" if plan.finish_on_reply else "continue" for plan in plans],
        "secondaryReplyAction": ["finish" if number % 2 else "pause" for number in range(count)],
        "secondaryReplyPauseDuration": [None if number % 2 else int(3 * DAY_S) for number in range(count)],
        "scheduleIntervalType": ["calendar" if plan.dated else "schedule" for plan in plans],
        "salesMotion": ["acquisition" if "outbound" in plan.tags else None for plan in plans],
        "sequenceStepCount": [len(plan.steps) for plan in plans],
        "durationInDays": [_duration(history, number) for number in range(count)],
        "automationPercentage": [
            round(100 * sum(step.kind == STEP_AUTO_EMAIL for step in plan.steps) / len(plan.steps), 1) for plan in plans
        ],
        "throttleCapacity": [400 if plan.throttled else None for plan in plans],
        "throttleMaxAddsPerDay": [25 if plan.throttled else None for plan in plans],
        "throttlePaused": False,
        "maxActivations": [500 if plan.dated else None for plan in plans],
        "numContactedProspects": contacted.tolist(),
        "numRepliedProspects": replied.tolist(),
        **counter_columns(mailings, mailings["sequence"], count=count),
        "createdAt": instant_cells(created),
        "updatedAt": instant_cells(
            np.minimum(np.fmax(_last_use(history, mailings["sequence"], count), created), as_of)
        ),
    }
    user = pointers.one("user", _owners(history, count))
    relationships = {
        "owner": user,
        "creator": user,
        "updater": user,
        "ruleset": pointers.one("ruleset", np.where(sequences.transactional, 2, 1)),
        "sequenceSteps": pointers.many(
            "sequenceStep", sequences.step_sequence, np.arange(len(sequences.steps)) + 1, count=count
        ),
    }
    yield from column_resources("sequence", range(1, count + 1), attributes, relationships)


def _duration(history: History, sequence: int) -> int:
    """Days from enrollment to the last step, or from the first date to the last."""
    plan = history.simulation.sequences.plans[sequence]
    if plan.dated:
        days = [step.date_day for step in plan.steps if step.date_day is not None]
        return round(max(days) - min(days))
    return round(sum(step.wait_days for step in plan.steps))


def _steps(history: History, pointers: Pointers) -> Iterator[Resource]:
    sequences, mailings, steps = history.simulation.sequences, history.mailings, history.simulation.sequences.steps
    count = len(steps)
    dated, created = sequences.dated[sequences.step_sequence], sequences.opens[sequences.step_sequence] - 2 * DAY_S
    attributes = {
        "order": (sequences.step_order + 1).tolist(),
        "stepType": [STEP_TYPES[step.kind] for step in steps],
        "displayName": [
            f"Step {order}: {STEP_TYPES[step.kind].replace('_', ' ')}"
            for order, step in zip((sequences.step_order + 1).tolist(), steps, strict=True)
        ],
        "interval": integer_cells(sequences.wait.astype(int), where=~dated),
        "date": date_cells(sequences.date),
        "taskAutoskipDelay": [
            None if step.autoskip_days is None else int(step.autoskip_days * DAY_S) for step in steps
        ],
        "taskNote": [step.note for step in steps],
        **counter_columns(mailings, mailings["step"], count=count),
        "createdAt": instant_cells(created),
        "updatedAt": instant_cells(np.fmax(created, _last_use(history, mailings["step"], count))),
    }
    user = pointers.one("user", _owners(history, len(sequences.plans))[sequences.step_sequence])
    relationships = {
        "sequence": pointers.one("sequence", sequences.step_sequence + 1),
        "sequenceTemplates": pointers.many(
            "sequenceTemplate", sequences.variant_step, np.arange(len(sequences.variants)) + 1, count=count
        ),
        "callPurpose": pointers.one("callPurpose", np.where(sequences.kind == STEP_CALL, 1, 0)),
        "taskPriority": pointers.one("taskPriority", np.where(sequences.kind == STEP_AUTO_EMAIL, 0, 2)),
        "creator": user,
        "updater": user,
    }
    yield from column_resources("sequenceStep", range(1, count + 1), attributes, relationships)


def _stats_targets(history: History) -> IntArray:
    """
    Position of the template that counts a template's messages: itself, except for two of the copies.

    Those two send their numbers to the template they were copied from; their own counters stay at nothing.
    """
    names = history.simulation.sequences.template_names
    target = np.arange(len(names) + len(EXTRA_TEMPLATES))
    copies = [name for name in names if name.endswith(" (copy)")][:2]
    for name in copies:
        target[names.index(name)] = names.index(name.removesuffix(" (copy)"))
    return target


def _templates(history: History, pointers: Pointers) -> Iterator[Resource]:
    sequences, mailings = history.simulation.sequences, history.mailings
    names = [*sequences.template_names, *(name for name, _, _ in EXTRA_TEMPLATES)]
    count = len(names)
    first_variant = [
        int(np.argmax(sequences.template == position)) for position in range(len(sequences.template_names))
    ]
    sequence = sequences.step_sequence[sequences.variant_step[first_variant]]
    extra = np.full(len(EXTRA_TEMPLATES), history.simulation.start)
    created = np.concatenate([sequences.variant_from[first_variant] - DAY_S, extra])
    archived = np.array(
        [np.nan] * len(sequences.template_names) + [_days_ago(history, day) for _, _, day in EXTRA_TEMPLATES]
    )
    target = _stats_targets(history)
    template = mailings["template"]
    counted = np.where(template >= 0, target[template], -1)
    attributes = {
        "name": names,
        "subject": [_placeholders(subject) for subject in template_subjects(history)],
        "bodyHtml": [body_html(position) for position in range(count)],
        "bodyText": [body_text(position) for position in range(count)],
        "archived": (~np.isnan(archived)).tolist(),
        "archivedAt": instant_cells(archived),
        "shareType": ["shared" if position % 5 else "read_only" for position in range(count)],
        "tags": [list(sequences.plans[number].tags[:1]) for number in sequence.tolist()]
        + [[] for _ in EXTRA_TEMPLATES],
        "trackOpens": sequences.tracks_opens[sequence].tolist() + [True] * len(EXTRA_TEMPLATES),
        "trackLinks": sequences.tracks_links[sequence].tolist() + [True] * len(EXTRA_TEMPLATES),
        "ccRecipients": [["product@sales.example.com"] if position % 17 == 0 else [] for position in range(count)],
        "bccRecipients": [[] for _ in names],
        "toRecipients": [[] for _ in names],
        "lastUsedAt": instant_cells(_last_use(history, template, count)),
        **counter_columns(mailings, counted, count=count),
        "createdAt": instant_cells(created),
        "updatedAt": instant_cells(np.minimum(created + _RESTED * DAY_S, history.simulation.as_of)),
    }
    user = pointers.one("user", np.arange(count) % min(4, len(history.cast.users.first)) + 1)
    own = target == np.arange(count)
    relationships = {
        "owner": user,
        "creator": user,
        "updater": user,
        "statsTarget": pointers.one("template", np.where(own, 0, target + 1)),
        "sequenceTemplates": pointers.many(
            "sequenceTemplate", sequences.template, np.arange(len(sequences.variants)) + 1, count=count
        ),
    }
    yield from column_resources("template", range(1, count + 1), attributes, relationships)


def _days_ago(history: History, days: float | None) -> float:
    return np.nan if days is None else history.simulation.before(days)


def _placeholders(subject: str) -> str:
    """Write a subject as the editor shows it, with the vendor's double braces."""
    return subject.replace("{company}", "{{account.name}}").replace("{first_name}", "{{first_name}}")


def _sequence_templates(history: History, pointers: Pointers) -> Iterator[Resource]:
    sequences, mailings, variants = (
        history.simulation.sequences,
        history.mailings,
        history.simulation.sequences.variants,
    )
    count = len(variants)
    sequence = sequences.step_sequence[sequences.variant_step]
    over = ~np.isnan(sequences.variant_until) | ~np.isnan(sequences.closed[sequence])
    attributes = {
        "enabled": (~over).tolist(),
        "enabledAt": instant_cells(np.where(over, np.nan, sequences.variant_from)),
        "isReply": [variant.is_reply for variant in variants],
        **counter_columns(mailings, mailings["variant"], count=count),
        "createdAt": instant_cells(sequences.variant_from - DAY_S),
        "updatedAt": instant_cells(np.fmax(sequences.variant_from, _last_use(history, mailings["variant"], count))),
    }
    user = pointers.one("user", _owners(history, len(sequences.plans))[sequence])
    relationships = {
        "sequenceStep": pointers.one("sequenceStep", sequences.variant_step + 1),
        "template": pointers.one("template", sequences.template + 1),
        "creator": user,
        "updater": user,
    }
    yield from column_resources("sequenceTemplate", range(1, count + 1), attributes, relationships)
