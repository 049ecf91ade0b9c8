"""The one way to change records: stamped, both sides of relationships in step, and told to whoever listens."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from outreach_frames.emulator import relations
from outreach_frames.emulator.changes import Change
from outreach_frames.emulator.schema import Schema
from outreach_frames.emulator.settings import Settings
from outreach_frames.emulator.state import State
from outreach_frames.emulator.store import Identifier, Key, Linkage, Record, Store
from outreach_frames.emulator.writing import linkage
from outreach_frames.emulator.writing.moments import stamp

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


class Editor:
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
    def settings(self) -> Settings:
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
        for source, name in linkage.pointing(record.type):
            for other in self.store.referrers(source, name).of(Identifier(record.type, record.key)):
                present = self.store.find(*other.identifier)
                if present is None:
                    continue
                if self._belongs(present, record, name):
                    self._remove(present)
                elif self.settings.deleted_references == "clear":
                    cleared = linkage.without(present.relationships[name], gone)
                    self.store.put(replace(present, relationships=present.relationships | {name: cleared}))
        if self.store.find(*gone) is not None:
            self.store.remove(*gone)
            linkage.keep_in_step(self.store, record, None)
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
        linkage.keep_in_step(self.store, before, record)
        self._publish("updated" if before else "created", record, before)

    def _publish(
        self, kind: Literal["created", "updated", "destroyed"], record: Record, before: Record | None = None
    ) -> None:
        self.state.publish(Change(kind=kind, record=record, before=before, actor=self.actor, at=self.now))
