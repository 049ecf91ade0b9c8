"""A record as a request would make it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outreach_frames.emulator.store import Identifier, Linkage, Record, as_tuple


@dataclass(frozen=True)
class Plan:
    """
    A record as a request would make it.

    Attributes
    ----------
    type
        Its type.
    before
        As it is now; ``None`` for a new one.
    attributes, relationships
        As they would be.
    """

    type: str
    before: Record | None
    attributes: Mapping[str, Any]
    relationships: Mapping[str, Linkage]

    def was(self, name: str) -> Any:
        """Return an attribute as it is now; ``None`` for a new record."""
        return self.before.attributes.get(name) if self.before else None

    def changes(self, name: str) -> bool:
        """Whether an attribute would be another; all of a new record are."""
        return self.before is None or self.was(name) != self.attributes.get(name)

    def moves(self, relationship: str) -> bool:
        """Whether a relationship would name another record."""
        before = self.before.relationships.get(relationship) if self.before else None
        return self.before is None or before != self.relationships.get(relationship)

    def names(self, relationship: str) -> Identifier | None:
        """Return the record that a relationship would name first, or ``None``."""
        return next(iter(as_tuple(self.relationships.get(relationship))), None)
