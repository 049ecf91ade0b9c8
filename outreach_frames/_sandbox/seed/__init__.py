"""
An invented sales organization, for the embedded Outreach to serve.

Its activity follows a small stochastic model with published parameters (`Model`, `MODEL`, `true_rates`), so that
statistics computed on the data can be compared with the truth. It covers 26 weeks up to `as_of` and has the faults of
real organizations: machine opens, a mailbox that no longer sees replies, one that bounces, re-enrollments, deleted
messages that counters remember, time zones written by hand, deals in five currencies.

Facts are never after `as_of`. Plans may be: ``scheduledAt`` of future mailings and tasks, ``dueAt``, ``autoskipAt``,
``closeDate``, ``endDate``, ``availableAt``, the date of a step, ``followUpTaskScheduledAt``.

Counters equal the rows, with these exceptions, all found in real organizations: deleted mailings still count;
a template with a ``statsTarget`` counts nothing and its target counts both; a prospect's three counters count events
since the last touch.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from outreach_frames._sandbox.seed.accounts import REPLACED, accounts, addresses_and_numbers, prospects, strangers
from outreach_frames._sandbox.seed.columns import Pointers, Resource
from outreach_frames._sandbox.seed.content import content
from outreach_frames._sandbox.seed.history import simulate
from outreach_frames._sandbox.seed.mailings import events, mailings, sequence_states
from outreach_frames._sandbox.seed.model import MODEL, Model, true_rates
from outreach_frames._sandbox.seed.simulation import Simulation
from outreach_frames._sandbox.seed.task_rows import business, work_rows
from outreach_frames._sandbox.seed.users import SELLING, log_rows, mailbox_emails, reference_rows, user_rows

__all__ = ["AS_OF", "CUSTOM_FIELDS", "MODEL", "Model", "iter_organization", "organization", "true_rates"]

AS_OF = datetime(2026, 3, 31, tzinfo=UTC)
"""Default instant of the extraction."""

CUSTOM_FIELDS: Mapping[str, Mapping[str, Any]] = {
    "prospect": {
        "custom1": {"label": "Replaces", "type": "inclusion", "definition": list(REPLACED)},
        "custom2": {"label": "Batch number", "type": "string"},
    },
    "user": {"custom1": {"label": "Sales role", "type": "inclusion", "definition": list(SELLING)}},
}
"""Definitions of the custom fields."""


def organization(
    prospects: int = 2_000, seed: int = 7, as_of: datetime = AS_OF, *, model: Model = MODEL
) -> list[Resource]:
    """
    Generate an organization.

    Parameters
    ----------
    prospects
        People in it, at least 1; everything else grows with them: about 30 rows a head.
    seed
        Not negative. The same three arguments always give the same organization.
    as_of
        Instant of the extraction, with a time zone.
    model
        True parameters; see `true_rates`.

    Returns
    -------
    resources : list of dict
        JSON:API resource objects ``type, id, attributes, relationships``, without nulls. Ids count from 1 per type.
        Relationship objects and some lists are shared between rows: replace them, never change them in place.

    Raises
    ------
    ValueError
        `prospects` is below 1, the seed is negative, or `as_of` has no time zone.
    """
    return list(iter_organization(prospects, seed, as_of, model=model))


def iter_organization(
    prospects: int = 2_000, seed: int = 7, as_of: datetime = AS_OF, *, model: Model = MODEL
) -> Iterator[Resource]:
    """Yield the resources of `organization`, type by type, without a list of all in memory."""
    if prospects < 1:
        raise ValueError(f"an organization needs at least one prospect, not {prospects}")
    return _all_rows(Simulation.make(model, seed=seed, as_of=as_of), prospects)


def _all_rows(simulation: Simulation, count: int) -> Iterator[Resource]:
    history, pointers = simulate(simulation, count), Pointers()
    yield from user_rows(history, pointers)
    yield from reference_rows(history)
    yield from log_rows(history)
    yield from accounts(history, pointers)
    yield from prospects(history, pointers)
    yield from addresses_and_numbers(history, pointers)
    yield from content(history, pointers)
    yield from sequence_states(history, pointers)
    yield from mailings(history, pointers, mailbox_emails=mailbox_emails(history), strangers=strangers(history))
    yield from work_rows(history, pointers)
    yield from business(history, pointers)
    yield from events(history, pointers)
