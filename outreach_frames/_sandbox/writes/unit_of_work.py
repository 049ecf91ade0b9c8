"""
Change records: timestamps, both sides of relationships, and the event log.

A record may store linkage that another record determines: a seeded sequence lists its steps, and each step names its
sequence. When the relationship of the step changes, the list of the sequence changes with it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal

from outreach_frames import catalog
from outreach_frames._sandbox import relations
from outreach_frames._sandbox.relations import Schema
from outreach_frames._sandbox.settings import SandboxSettings
from outreach_frames._sandbox.state import Change, State
from outreach_frames._sandbox.store import Identifier, Key, Linkage, Record, Store, as_tuple, normal
from outreach_frames.catalog import snake

PARTIAL = {*relations.AT_ACTIVE_STEP, "activeSequenceStates"}
"""Relationships that list only some of what points back: looked up again, since the change may concern the choice."""


@cache
def _listing_relationships(type_name: str, relationship: str) -> tuple[str, ...]:
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
def _referring_relationships(type_name: str) -> tuple[tuple[str, str], ...]:
    """Return type and relationship of everything that may name a record of this type."""
    return tuple(
        (source.name, relationship.name)
        for source in catalog.load().types.values()
        for relationship in source.relationships.values()
        if type_name in relationship.targets
    )


def _update_linkage(store: Store, before: Record | None, after: Record | None) -> None:
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
    stored = {each for each in _listing_relationships(record.type, name) if other and each in other.relationships}
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
    return _without(linkage, member) if present else linkage


def _without(linkage: Linkage, identifier: Identifier) -> Linkage:
    """Return linkage that no longer names a record."""
    gone = normal(identifier)
    if isinstance(linkage, Identifier):
        return None if normal(linkage) == gone else linkage
    return tuple(each for each in as_tuple(linkage) if normal(each) != gone)


def stamp(moment: datetime) -> str:
    """Write an instant: UTC, whole seconds, and the milliseconds that are always zero."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.000Z"


def instant(text: str) -> datetime:
    """
    Read an instant; without a zone it is UTC, as in the vendor's guide.

    Raises
    ------
    ValueError
        It is none.
    """
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


LOGGED = {
    **dict.fromkeys(("account", "opportunity", "prospect"), frozenset({"created", "updated", "destroyed"})),
    "mailbox": frozenset({"created"}),
    "sequenceState": frozenset({"created", "advanced", "finished", "destroyed"}),
    "task": frozenset({"created", "updated", "completed"}),
    "user": frozenset({"created", "updated"}),
    "webhook": frozenset({"created"}),
}
"""Which happenings are logged under the name of type and happening: ``prospect_created``."""

MOVES = {"paused": "sequence_state_paused", "active": "sequence_state_resumed"}
MESSAGES = {
    "delivered": "outbound_message",
    "opened": "message_opened",
    "replied": "inbound_message",
    "bounced": "bounced_message",
}
OPT_OUTS = {"optedOut": "opt_out", "emailOptedOut": "emails_opt_out", "callOptedOut": "calls_opt_out"}


class EventLog:
    """
    Writes an event for every change that Outreach logs.

    Parameters
    ----------
    state
        What the sandbox holds.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def __call__(self, change: Change) -> None:
        """Log a change."""
        for name in _names(change):
            names = ("eventAt", "createdAt", *(("updatedAt",) if self._state.settings.event_updated_at else ()))
            self._state.store.put(
                Record(
                    type="event",
                    id=self._state.store.next_id("event"),
                    attributes={"name": name, **dict.fromkeys(names, stamp(change.at))},
                    relationships=_about(change),
                )
            )


def _names(change: Change) -> Iterator[str]:
    record, type_name = change.record, change.record.type
    wanted = LOGGED.get(type_name, frozenset())
    said = [each for each in change.happenings if each in wanted]
    if "completed" in said:
        said.remove("updated")
    yield from (f"{snake(type_name)}_{each}" for each in said)
    if type_name == "call" and change.kind == "created":
        yield f"{record.attributes.get('direction')}_call_{record.attributes.get('state')}"
    if type_name == "mailing":
        yield from (MESSAGES[each] for each in change.happenings if each in MESSAGES)
    if change.before is not None:
        yield from _turns(record, change.before)


def _turns(record: Record, before: Record) -> Iterator[str]:
    """Yield what an update of one attribute or relationship alone is logged as."""
    if record.type == "sequenceState" and record.attributes.get("state") != before.attributes.get("state"):
        name = MOVES.get(str(record.attributes.get("state")))
        yield from [name] if name else []
    if record.type == "prospect":
        for attribute, name in OPT_OUTS.items():
            now, was = bool(record.attributes.get(attribute)), bool(before.attributes.get(attribute))
            yield from ([name] if now else [f"{name}_revert"]) if now != was else []
        for relationship in ("owner", "stage"):
            if record.relationships.get(relationship) != before.relationships.get(relationship):
                yield f"prospect_{relationship}_changed"


def _about(change: Change) -> dict[str, Linkage]:
    """Return the relationships of an event: the record, what it belongs to, and who did it."""
    known = catalog.load().types["event"].relationships
    about: dict[str, Linkage] = {
        name: linkage
        for name in ("account", "opportunity", "prospect", "sequence", "sequenceStep", "task")
        if (linkage := change.record.relationships.get(name)) and as_tuple(linkage)[0].type == name
    }
    if change.kind != "destroyed" and change.record.type in known:
        about[change.record.type] = change.record.identifier
    if change.actor is not None:
        about["user"] = Identifier("user", change.actor)
    return about


BELONGING = {
    "account": ("accountNote", "favorite"),
    "prospect": (
        *("emailAddress", "phoneNumber", "prospectNote", "sequenceState", "opportunityProspectRole", "recipient"),
        *("favorite", "mailing", "task"),
    ),
    "sequence": ("sequenceStep", "sequenceState", "contentCategoryMembership", "favorite"),
    "sequenceState": ("mailing", "task"),
    "sequenceStep": ("sequenceTemplate",),
    "template": ("sequenceTemplate", "contentCategoryMembership", "favorite"),
    "snippet": ("contentCategoryMembership", "favorite"),
    "contentCategory": ("contentCategoryMembership", "contentCategoryOwnership"),
    "opportunity": ("opportunityProspectRole", "favorite"),
    "team": ("contentCategoryOwnership", "favorite"),
}
"""What is deleted with a record, because it is nothing without it. The vendor does not say."""

OPEN = {
    "mailing": frozenset({"drafted", "placeholder", "queued", "scheduled"}),
    "task": frozenset({"incomplete", "pending"}),
}
"""States in which these are deleted so; what was sent or done stays on record."""

THROUGH = frozenset({"target", "content", "subject", "owner"})
"""Relationships that tell whose a record is, besides the one named after the type."""


class UnitOfWork:
    """
    Changes records on behalf of one user at one instant.

    Parameters
    ----------
    state
        What the sandbox holds.
    actor
        Id of the user; ``None`` for the sandbox itself.

    Attributes
    ----------
    now
        The instant (aware, UTC).
    """

    def __init__(self, state: State, actor: int | None = None) -> None:
        self.state = state
        self.actor = actor
        self.now = state.clock.now()

    @property
    def store(self) -> Store:
        """The records."""
        return self.state.store

    @property
    def schema(self) -> Schema:
        """Their types."""
        return self.state.schema

    @property
    def settings(self) -> SandboxSettings:
        """Answers to what is not documented."""
        return self.state.settings

    @property
    def stamp(self) -> str:
        """The instant, as the API writes it."""
        return stamp(self.now)

    @property
    def user(self) -> Identifier | None:
        """The user, if there is a record of them."""
        known = self.actor is not None and self.store.find("user", self.actor)
        return known.identifier if known else None

    def related(self, record: Record, relationship: str) -> Record | None:
        """Return the record that a relationship names first, or ``None``."""
        return next(iter(self.all_related(record, relationship)), None)

    def all_related(self, record: Record, relationship: str) -> list[Record]:
        """Return the records that a relationship names."""
        found = (self.store.find(*each) for each in relations.related(self.store, record, relationship))
        return [each for each in found if each is not None]

    def add(
        self, type_name: str, attributes: Mapping[str, Any], relationships: Mapping[str, Linkage] | None = None
    ) -> Record:
        """Create a record under the next id, stamped with time and creator."""
        kind = self.schema.type(type_name)
        declared = kind.attributes if kind else {}
        free = type_name in self.schema.custom_objects
        stamps = {name: self.stamp for name in ("createdAt", "updatedAt") if free or name in declared}
        people: dict[str, Linkage] = {
            name: self.user
            for name in ("creator", "updater")
            if kind and self.user and "user" in getattr(kind.relationships.get(name), "targets", ())
        }
        with self.store.lock:
            record = Record(
                type=type_name,
                id=self.store.next_id(type_name),
                attributes={**attributes, **stamps},
                relationships=people | dict(relationships or {}),
            )
            self._put(None, record)
            return self.current(record)

    def change(
        self,
        record: Record,
        attributes: Mapping[str, Any] | None = None,
        relationships: Mapping[str, Linkage] | None = None,
    ) -> Record:
        """Change a record; one that would stay as it is is not touched, and nobody is told, nor of one that is gone."""
        with self.store.lock:
            present = self.store.find(*record.identifier)
            return self._changed(present, attributes or {}, relationships or {}) if present else record

    def _changed(self, record: Record, attributes: Mapping[str, Any], relationships: Mapping[str, Linkage]) -> Record:
        changed = replace(
            record,
            attributes={**record.attributes, **attributes},
            relationships={**record.relationships, **relationships},
        )
        if (changed.attributes, changed.relationships) == (record.attributes, record.relationships):
            return record
        kind = self.schema.type(record.type)
        if kind and ("updatedAt" in kind.attributes or record.type in self.schema.custom_objects):
            changed.attributes["updatedAt"] = self.stamp
        if kind and "updater" in kind.relationships and self.user:
            changed.relationships["updater"] = self.user
        self._put(record, changed)
        return self.current(record)

    def remove(self, record: Record) -> None:
        """Delete a record with what belongs to it alone, and clear what else names it."""
        with self.store.lock:
            self._remove(record)

    def _remove(self, record: Record) -> None:
        gone = record.identifier
        for source, name in _referring_relationships(record.type):
            for other in self.store.referrers(source, name).of(Identifier(record.type, record.key)):
                present = self.store.find(*other.identifier)
                if present is None:
                    continue
                if self._belongs(present, record, name):
                    self._remove(present)
                elif self.settings.deleted_references == "clear":
                    cleared = _without(present.relationships[name], gone)
                    self.store.put(replace(present, relationships=present.relationships | {name: cleared}))
        if self.store.find(*gone) is not None:
            self.store.remove(*gone)
            _update_linkage(self.store, record, None)
            self._publish("destroyed", record)

    def current(self, record: Record) -> Record:
        """Return a record as it is now."""
        return self.store.find(*record.identifier) or record

    def find(self, type_name: str, id_: Key) -> Record | None:
        """Return a record, or ``None``."""
        return self.store.find(type_name, id_)

    def _belongs(self, other: Record, record: Record, relationship: str) -> bool:
        """Whether another record is deleted with this one, which it names so."""
        if other.type not in BELONGING.get(record.type, ()) or relationship not in THROUGH | {record.type}:
            return False
        return other.type not in OPEN or other.attributes.get("state") in OPEN[other.type]

    def _put(self, before: Record | None, record: Record) -> None:
        self.store.put(record)
        _update_linkage(self.store, before, record)
        self._publish("updated" if before else "created", record, before)

    def _publish(
        self, kind: Literal["created", "updated", "destroyed"], record: Record, before: Record | None = None
    ) -> None:
        self.state.publish(Change(kind=kind, record=record, before=before, actor=self.actor, at=self.now))
