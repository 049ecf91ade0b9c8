"""
Both sides of a relationship in step.

A record may carry linkage that another record determines: a seeded sequence lists its steps, and each step names its
sequence. When the step's side changes, the list that was stored on the sequence's side changes with it.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from outreach_frames import catalog
from outreach_frames._sandbox import relations
from outreach_frames._sandbox.store import Identifier, Linkage, Record, Store, as_tuple, normal

PARTIAL = {*relations.AT_ACTIVE_STEP, "activeSequenceStates"}
"""Relationships that list only some of what points back: looked up again, since the change may concern the choice."""


@cache
def other_sides(type_name: str, relationship: str) -> tuple[str, ...]:
    """Return the to-many relationships of the types pointed to that list what points to them so."""
    found = [
        other.name
        for target in catalog.load().types.values()
        for other in target.relationships.values()
        if other.many and type_name in other.targets and relations.inverse(target.name, other) == relationship
    ]
    joined = [there for (here, there), pair in relations.JOINED.items() if (type_name, relationship) in _ends(pair)]
    return tuple(dict.fromkeys(found + joined))


def _ends(pair: tuple[str, str]) -> Iterator[tuple[str, str]]:
    yield ("opportunityProspectRole", pair[0])


@cache
def pointing(type_name: str) -> tuple[tuple[str, str], ...]:
    """Return type and relationship of everything that may name a record of this type."""
    return tuple(
        (source.name, relationship.name)
        for source in catalog.load().types.values()
        for relationship in source.relationships.values()
        if type_name in relationship.targets
    )


def keep_in_step(store: Store, before: Record | None, after: Record | None) -> None:
    """Correct the stored linkage of the records that a change of this one concerns."""
    for record, listed in ((before, False), (after, True)):
        if record is None:
            continue
        for name in record.relationships:
            named = _named(after, name) if listed else _named(before, name) - _named(after, name)
            for identifier in named:
                _correct(store, identifier, record, name, listed=listed)
    if after is not None and before is not None and _named(before, "sequenceStep") != _named(after, "sequenceStep"):
        kept = {name: each for name, each in after.relationships.items() if name not in relations.AT_ACTIVE_STEP}
        store.put(replace(after, relationships=kept))


def _named(record: Record | None, relationship: str) -> set[Identifier]:
    return {normal(each) for each in as_tuple(record.relationships.get(relationship))} if record else set()


def _correct(store: Store, identifier: Identifier, record: Record, name: str, *, listed: bool) -> None:
    other = store.find(*identifier)
    stored = {each for each in other_sides(record.type, name) if other and each in other.relationships}
    if other is None or not stored:
        return
    kept = {each: linkage for each, linkage in other.relationships.items() if each not in stored & PARTIAL}
    for each in stored - PARTIAL:
        kept[each] = _listing(kept[each], _shown(record, each), listed=listed)
    if kept != other.relationships:
        store.put(replace(other, relationships=kept))


def _shown(record: Record, relationship: str) -> Identifier:
    """Return what a list names: the record, or for opportunities and prospects what its role joins."""
    for (_, there), (_, end) in relations.JOINED.items():
        if record.type == "opportunityProspectRole" and there == relationship:
            return next(iter(as_tuple(record.relationships.get(end))), record.identifier)
    return record.identifier


def _listing(linkage: Linkage, member: Identifier, *, listed: bool) -> Linkage:
    """Return a list with or without a member."""
    present = any(normal(each) == normal(member) for each in as_tuple(linkage))
    if listed:
        return linkage if present else (*as_tuple(linkage), member)
    return without(linkage, member) if present else linkage


def without(linkage: Linkage, identifier: Identifier) -> Linkage:
    """Return linkage that no longer names a record."""
    gone = normal(identifier)
    if isinstance(linkage, Identifier):
        return None if normal(linkage) == gone else linkage
    return tuple(each for each in as_tuple(linkage) if normal(each) != gone)
