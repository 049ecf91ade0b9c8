"""
The types the sandbox serves: the catalogue's, widened by what its records hold.

Records may have attributes that the contract does not name (a webhook's ``cleanupToken``), and types that it does not
know at all, which are the organisation's custom objects.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from outreach_frames import catalogue
from outreach_frames.catalogue import Attribute, Relationship, ResourceType, snake
from outreach_frames.emulator.store import Identifier, Record, Store, as_tuple

UNDECLARED = {
    "event": (Attribute(name="updatedAt", column="updated_at", type="string", format="date-time", sortable=True),)
}
"""Attributes that the vendor's guide sorts by and the contract does not declare; sent only if a record has one."""


class Schema:
    """
    Types of a store.

    Parameters
    ----------
    store
        Where the records are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._declared = catalogue.load().types
        self._by_plural = {declared.plural: declared for declared in self._declared.values()}

    def collection(self, plural: str) -> ResourceType | None:
        """Return the type listed at ``/{plural}``, or ``None``."""
        declared = self._by_plural.get(plural)
        return self.type(declared.name) if declared else None

    def custom_object(self, name: str) -> ResourceType | None:
        """Return the custom object of that internal name, or ``None``."""
        return self.type(name) if name in self.custom_objects else None

    @property
    def custom_objects(self) -> tuple[str, ...]:
        """Internal names of the types that only this organisation has."""
        return tuple(name for name in self._store.types if name not in self._declared)

    def declared(self, name: str) -> ResourceType | None:
        """Return a type as the contract has it, without what only records hold; ``None`` for a custom object."""
        return self._declared.get(name)

    def type(self, name: str) -> ResourceType | None:
        """Return a type by name, or ``None`` if neither the contract nor a record has it."""
        if name not in self._declared and name not in self._store.types:
            return None
        return self._store.remember(("type", name), lambda: self._widened(name))

    def holds(self, identifier: Identifier) -> bool:
        """Whether a record exists, or is of a type that the API names and does not serve."""
        return self.type(identifier.type) is None or self._store.find(*identifier) is not None

    def _widened(self, name: str) -> ResourceType:
        declared = self._declared.get(name)
        base = declared or ResourceType(
            name=name,
            plural=f"customObjects/{name}",
            id_type="integer",
            operations=frozenset({"list", "get", "create", "update", "delete"}),
            s2s_operations=frozenset(),
            actions={},
            collection_actions={},
            attributes={},
            relationships={},
        )
        attributes = dict(base.attributes) | {extra.name: extra for extra in UNDECLARED.get(name, ())}

        def extras(record: Record) -> Iterator[tuple[str, str]]:
            yield from (("attribute", each) for each in record.attributes if each not in attributes)
            yield from (("relationship", each) for each in record.relationships if each not in base.relationships)

        index = self._store.index(name, "undeclared", extras)
        found = [key for key in index if isinstance(key, tuple)]
        searchable = declared is None
        extra = {
            each: Attribute(name=each, column=snake(each), type="string", filterable=searchable, sortable=searchable)
            for member, each in found
            if member == "attribute"
        }
        related = [record for member, each in found if member == "relationship" for record in index.of((member, each))]
        relationships = {each.name: each for each in _undeclared(related, base)} | dict(base.relationships)
        numbered = declared or all(_is_number(record.id) for record in self._store.records(name))
        return replace(
            base,
            attributes=attributes | extra,
            relationships=relationships,
            id_type=base.id_type if numbered else "string",
        )


def _is_number(id_: int | str) -> bool:
    return isinstance(id_, int) or id_.isdecimal()


def _undeclared(records: Iterable[Record], base: ResourceType) -> Iterable[Relationship]:
    """Yield relationships that records have and the contract does not, with all their targets."""
    found: dict[str, Relationship] = {}
    for record in records:
        for name in record.relationships.keys() - base.relationships.keys():
            linkage = record.relationships[name]
            seen = found.get(name, Relationship(name=name, column=snake(name), has_data=True))
            targets = dict.fromkeys((*seen.targets, *(identifier.type for identifier in as_tuple(linkage))))
            many = seen.many or (linkage is not None and not hasattr(linkage, "type"))
            found[name] = replace(seen, many=many, targets=tuple(targets))
    return found.values()
