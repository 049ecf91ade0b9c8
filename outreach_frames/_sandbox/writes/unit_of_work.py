"""
Change records: timestamps, both sides of relationships, and the event log.

A relationship may be stored on both sides: a seeded sequence lists its steps, and each step names its sequence. When
one side is written, the other changes with it.
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
from outreach_frames._sandbox.state import Change, SandboxState
from outreach_frames._sandbox.store import Identifier, Key, Record, ResourceLinkage, Store, as_tuple, normal
from outreach_frames.catalog import snake

_PARTIAL = {*relations.AT_ACTIVE_STEP, "activeSequenceStates"}
"""Relationships that list only some of the records that point back; looked up again after a change."""


@cache
def _listing_relationships(type_name: str, relationship: str) -> tuple[str, ...]:
    """Return the to-many relationships of the target types that list the records with this relationship."""
    relationships = [
        other.name
        for target in catalog.load().types.values()
        for other in target.relationships.values()
        if other.many and type_name in other.targets and relations.inverse(target.name, other) == relationship
    ]
    through_roles = [
        there
        for (_, there), (here, _) in relations.THROUGH_ROLES.items()
        if (type_name, relationship) == ("opportunityProspectRole", here)
    ]
    return tuple(dict.fromkeys(relationships + through_roles))


@cache
def _referring_relationships(type_name: str) -> tuple[tuple[str, str], ...]:
    """Return type and relationship of all records that may point to a record of this type."""
    return tuple(
        (source.name, relationship.name)
        for source in catalog.load().types.values()
        for relationship in source.relationships.values()
        if type_name in relationship.targets
    )


def _update_linkage(store: Store, before: Record | None, after: Record | None) -> None:
    """Update the stored linkage of other records after a change of this one."""
    for record, listed in ((before, False), (after, True)):
        if record is None:
            continue
        for name in record.relationships:
            targets = _targets(after, name) if listed else _targets(before, name) - _targets(after, name)
            for identifier in targets:
                _correct(store, identifier, record, name, listed=listed)
    if after is not None and before is not None and _targets(before, "sequenceStep") != _targets(after, "sequenceStep"):
        relationships = {
            name: each for name, each in after.relationships.items() if name not in relations.AT_ACTIVE_STEP
        }
        store.put(replace(after, relationships=relationships))


def _targets(record: Record | None, relationship: str) -> set[Identifier]:
    return {normal(each) for each in as_tuple(record.relationships.get(relationship))} if record else set()


def _correct(store: Store, identifier: Identifier, record: Record, name: str, *, listed: bool) -> None:
    other = store.find(*identifier)
    stored = {each for each in _listing_relationships(record.type, name) if other and each in other.relationships}
    if other is None or not stored:
        return
    relationships = {each: linkage for each, linkage in other.relationships.items() if each not in stored & _PARTIAL}
    for each in stored - _PARTIAL:
        relationships[each] = _listing(relationships[each], _list_member(record, each), listed=listed)
    if relationships != other.relationships:
        store.put(replace(other, relationships=relationships))


def _list_member(record: Record, relationship: str) -> Identifier:
    """Return the member of a list: the record itself, or the record at the other end of a role."""
    for (_, there), (_, end) in relations.THROUGH_ROLES.items():
        if record.type == "opportunityProspectRole" and there == relationship:
            return next(iter(as_tuple(record.relationships.get(end))), record.identifier)
    return record.identifier


def _listing(linkage: ResourceLinkage, member: Identifier, *, listed: bool) -> ResourceLinkage:
    """Return a list with or without a member."""
    present = any(normal(each) == normal(member) for each in as_tuple(linkage))
    if listed:
        return linkage if present else (*as_tuple(linkage), member)
    return _linkage_without(linkage, member) if present else linkage


def _linkage_without(linkage: ResourceLinkage, identifier: Identifier) -> ResourceLinkage:
    """Return linkage without a record."""
    removed = normal(identifier)
    if isinstance(linkage, Identifier):
        return None if normal(linkage) == removed else linkage
    return tuple(each for each in as_tuple(linkage) if normal(each) != removed)


def stamp(moment: datetime) -> str:
    """Write an instant: UTC, whole seconds, and the milliseconds that are always zero."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.000Z"


def instant(text: str) -> datetime:
    """
    Read an instant; without a zone it is UTC, as in the vendor's guide.

    Raises
    ------
    ValueError
        It is not an instant.
    """
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


_LOGGED = {
    **dict.fromkeys(("account", "opportunity", "prospect"), frozenset({"created", "updated", "destroyed"})),
    "mailbox": frozenset({"created"}),
    "sequenceState": frozenset({"created", "advanced", "finished", "destroyed"}),
    "task": frozenset({"created", "updated", "completed"}),
    "user": frozenset({"created", "updated"}),
    "webhook": frozenset({"created"}),
}
"""Actions that are logged under the name of type and action: ``prospect_created``."""

_MOVES = {"paused": "sequence_state_paused", "active": "sequence_state_resumed"}
_MESSAGES = {
    "delivered": "outbound_message",
    "opened": "message_opened",
    "replied": "inbound_message",
    "bounced": "bounced_message",
}
_OPT_OUTS = {"optedOut": "opt_out", "emailOptedOut": "emails_opt_out", "callOptedOut": "calls_opt_out"}


class EventLog:
    """
    Writes an event for every change that Outreach logs.

    Parameters
    ----------
    state
        State of the sandbox.
    """

    def __init__(self, state: SandboxState) -> None:
        self._state = state

    def __call__(self, change: Change) -> None:
        """Log a change."""
        for name in _event_names(change):
            names = ("eventAt", "createdAt", *(("updatedAt",) if self._state.settings.event_updated_at else ()))
            self._state.store.put(
                Record(
                    type="event",
                    id=self._state.store.next_id("event"),
                    attributes={"name": name, **dict.fromkeys(names, stamp(change.at))},
                    relationships=_event_relationships(change),
                )
            )


def _event_names(change: Change) -> Iterator[str]:
    record, type_name = change.record, change.record.type
    logged = _LOGGED.get(type_name, frozenset())
    actions = [each for each in change.actions if each in logged]
    if "completed" in actions:
        actions.remove("updated")
    yield from (f"{snake(type_name)}_{each}" for each in actions)
    if type_name == "call" and change.kind == "created":
        yield f"{record.attributes.get('direction')}_call_{record.attributes.get('state')}"
    if type_name == "mailing":
        yield from (_MESSAGES[each] for each in change.actions if each in _MESSAGES)
    if change.before is not None:
        yield from _update_names(record, change.before)


def _update_names(record: Record, before: Record) -> Iterator[str]:
    """Yield the event names of updates of single attributes or relationships."""
    if record.type == "sequenceState" and record.attributes.get("state") != before.attributes.get("state"):
        name = _MOVES.get(str(record.attributes.get("state")))
        yield from [name] if name else []
    if record.type == "prospect":
        for attribute, name in _OPT_OUTS.items():
            now, was = bool(record.attributes.get(attribute)), bool(before.attributes.get(attribute))
            yield from ([name] if now else [f"{name}_revert"]) if now != was else []
        for relationship in ("owner", "stage"):
            if record.relationships.get(relationship) != before.relationships.get(relationship):
                yield f"prospect_{relationship}_changed"


def _event_relationships(change: Change) -> dict[str, ResourceLinkage]:
    """Return the relationships of an event: the record, the records it belongs to, and the user."""
    relationships = catalog.load().types["event"].relationships
    about: dict[str, ResourceLinkage] = {
        name: linkage
        for name in ("account", "opportunity", "prospect", "sequence", "sequenceStep", "task")
        if (linkage := change.record.relationships.get(name)) and as_tuple(linkage)[0].type == name
    }
    if change.kind != "destroyed" and change.record.type in relationships:
        about[change.record.type] = change.record.identifier
    if change.actor is not None:
        about["user"] = Identifier("user", change.actor)
    return about


_BELONGING = {
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
"""Types that are deleted with a record that they belong to. The vendor does not document it."""

OPEN_STATES = {
    "mailing": frozenset({"drafted", "placeholder", "queued", "scheduled"}),
    "task": frozenset({"incomplete", "pending"}),
}
"""States in which these are deleted with it; sent mailings and completed tasks stay."""

_THROUGH = frozenset({"target", "content", "subject", "owner"})
"""Relationships to the record that another belongs to, besides the one named after the type."""


class UnitOfWork:
    """
    Changes records on behalf of one user at one instant.

    Parameters
    ----------
    state
        State of the sandbox.
    actor
        Id of the user; ``None`` for the sandbox itself.

    Attributes
    ----------
    now
        The instant (aware, UTC).
    """

    def __init__(self, state: SandboxState, actor: int | None = None) -> None:
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
        """Behavior that is not documented."""
        return self.state.settings

    @property
    def stamp(self) -> str:
        """The instant in the format of the API."""
        return stamp(self.now)

    @property
    def user(self) -> Identifier | None:
        """The user, if there is a record."""
        record = self.actor is not None and self.store.find("user", self.actor)
        return record.identifier if record else None

    def related(self, record: Record, relationship: str) -> Record | None:
        """Return the first record of a relationship, or ``None``."""
        return next(iter(self.all_related(record, relationship)), None)

    def all_related(self, record: Record, relationship: str) -> list[Record]:
        """Return the records of a relationship."""
        records = (self.store.find(*each) for each in relations.related(self.store, record, relationship))
        return [each for each in records if each is not None]

    def add(
        self, type_name: str, attributes: Mapping[str, Any], relationships: Mapping[str, ResourceLinkage] | None = None
    ) -> Record:
        """Create a record with the next id, timestamps and creator."""
        kind = self.schema.type(type_name)
        declared = kind.attributes if kind else {}
        free = type_name in self.schema.custom_objects
        stamps = {name: self.stamp for name in ("createdAt", "updatedAt") if free or name in declared}
        people: dict[str, ResourceLinkage] = {
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
        relationships: Mapping[str, ResourceLinkage] | None = None,
    ) -> Record:
        """Change a record. Without a difference, or for a deleted record, nothing happens."""
        with self.store.lock:
            present = self.store.find(*record.identifier)
            return self._changed(present, attributes or {}, relationships or {}) if present else record

    def _changed(
        self, record: Record, attributes: Mapping[str, Any], relationships: Mapping[str, ResourceLinkage]
    ) -> Record:
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
        """Delete a record with those that belong only to it, and clear other references."""
        with self.store.lock:
            self._remove(record)

    def _remove(self, record: Record) -> None:
        removed = record.identifier
        for source, name in _referring_relationships(record.type):
            for other in self.store.referrers(source, name).of(Identifier(record.type, record.key)):
                present = self.store.find(*other.identifier)
                if present is None:
                    continue
                if self._belongs(present, record, name):
                    self._remove(present)
                elif self.settings.deleted_references == "clear":
                    cleared = _linkage_without(present.relationships[name], removed)
                    self.store.put(replace(present, relationships=present.relationships | {name: cleared}))
        if self.store.find(*removed) is not None:
            self.store.remove(*removed)
            _update_linkage(self.store, record, None)
            self._publish("destroyed", record)

    def current(self, record: Record) -> Record:
        """Return the current version of a record."""
        return self.store.find(*record.identifier) or record

    def find(self, type_name: str, id_: Key) -> Record | None:
        """Return a record, or ``None``."""
        return self.store.find(type_name, id_)

    def _belongs(self, other: Record, record: Record, relationship: str) -> bool:
        """Whether another record is deleted with this one."""
        if other.type not in _BELONGING.get(record.type, ()) or relationship not in _THROUGH | {record.type}:
            return False
        return other.type not in OPEN_STATES or other.attributes.get("state") in OPEN_STATES[other.type]

    def _put(self, before: Record | None, record: Record) -> None:
        self.store.put(record)
        _update_linkage(self.store, before, record)
        self._publish("updated" if before else "created", record, before)

    def _publish(
        self, kind: Literal["created", "updated", "destroyed"], record: Record, before: Record | None = None
    ) -> None:
        self.state.publish(Change(kind=kind, record=record, before=before, actor=self.actor, at=self.now))
