"""
The resource types that the sandbox serves, and the relationships of its records.

Records may have attributes that the catalog does not have (a webhook's ``cleanupToken``), and types that it does not
have, which are the organization's custom objects.

A to-many relationship is rarely stored: a sequence does not list its mailings, each mailing names its sequence. So
linkage that a record does not store is looked up from the other side, or along a path (a task's account is its
prospect's account). Links are filtered collections, as the vendor's are: ``/mailings?filter[sequence][id]=10``.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache

from outreach_frames import catalog
from outreach_frames._sandbox.store import Identifier, Record, Store, as_tuple, normal
from outreach_frames.catalog import Attribute, Relationship, ResourceType, snake

_UNDECLARED = {
    "event": (Attribute(name="updatedAt", column="updated_at", type="string", format="date-time", sortable=True),)
}
"""Attributes that the vendor's guide sorts by and the schema does not declare; sent only if a record has one."""


class Schema:
    """
    The resource types of a store.

    Parameters
    ----------
    store
        The records.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._declared = catalog.load().types
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
        """Internal names of the custom objects."""
        return tuple(name for name in self._store.types if name not in self._declared)

    def declared(self, name: str) -> ResourceType | None:
        """Return a type of the catalog, without undeclared members of records; ``None`` for a custom object."""
        return self._declared.get(name)

    def type(self, name: str) -> ResourceType | None:
        """Return a type by name, or ``None`` if neither the catalog nor a record has it."""
        if name not in self._declared and name not in self._store.types:
            return None
        return self._store.remember(("type", name), lambda: self._with_undeclared(name))

    def holds(self, identifier: Identifier) -> bool:
        """Whether a record exists, or has a type that the API names but does not serve."""
        return self.type(identifier.type) is None or self._store.find(*identifier) is not None

    def _with_undeclared(self, name: str) -> ResourceType:
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
        attributes = dict(base.attributes) | {extra.name: extra for extra in _UNDECLARED.get(name, ())}

        def extras(record: Record) -> Iterator[tuple[str, str]]:
            yield from (("attribute", each) for each in record.attributes if each not in attributes)
            yield from (("relationship", each) for each in record.relationships if each not in base.relationships)

        index = self._store.index(name, "undeclared", extras)
        members = [key for key in index if isinstance(key, tuple)]
        searchable = declared is None
        extra = {
            each: Attribute(name=each, column=snake(each), type="string", filterable=searchable, sortable=searchable)
            for member, each in members
            if member == "attribute"
        }
        related = [
            record for member, each in members if member == "relationship" for record in index.of((member, each))
        ]
        relationships = {each.name: each for each in _undeclared(related, base)} | dict(base.relationships)
        numbered = declared or all(_is_numeric_id(record.id) for record in self._store.records(name))
        return replace(
            base,
            attributes=attributes | extra,
            relationships=relationships,
            id_type=base.id_type if numbered else "string",
        )


def _is_numeric_id(id_: int | str) -> bool:
    return isinstance(id_, int) or id_.isdecimal()


def _undeclared(records: Iterable[Record], base: ResourceType) -> Iterable[Relationship]:
    """Return relationships that records have and the catalog does not, with all their targets."""
    relationships: dict[str, Relationship] = {}
    for record in records:
        for name in record.relationships.keys() - base.relationships.keys():
            linkage = record.relationships[name]
            earlier = relationships.get(name, Relationship(name=name, column=snake(name), has_data=True))
            targets = dict.fromkeys((*earlier.targets, *(identifier.type for identifier in as_tuple(linkage))))
            many = earlier.many or (linkage is not None and not hasattr(linkage, "type"))
            relationships[name] = replace(earlier, many=many, targets=tuple(targets))
    return relationships.values()


_INVERSE = {("role", "childRoles"): "parentRole", ("user", "batches"): "creator"}
"""Inverse relationships that the names of the types do not tell."""

THROUGH_ROLES = {
    ("prospect", "opportunities"): ("prospect", "opportunity"),
    ("opportunity", "prospects"): ("opportunity", "prospect"),
}
"""Many-to-many pairs stored as ``opportunityProspectRole`` records, with the relationships of the role to both ends."""

_PATHS = {
    ("sequenceState", "account"): ("prospect", "account"),
    ("task", "prospectContacts"): ("prospect", "emailAddresses"),
}
"""Relationships that follow from two others, beside those of `_path`."""

UNFINISHED = frozenset({"active", "paused", "failed", "bounced", "pending", "disabled"})
"""States of an enrollment that ``activeSequenceStates`` lists."""

AT_ACTIVE_STEP = {
    "activeStepMailings": "filter[deliveredAt]=__null__",
    "activeStepTasks": "filter[state]=incomplete,pending",
}
"""Relationships of an enrollment to open mailings and tasks of its current step, with the filter of their links."""


def related(store: Store, record: Record, relationship: str) -> tuple[Identifier, ...]:
    """Return the identifiers of a relationship: stored linkage, or the records of the other side."""
    if relationship in record.relationships:
        return as_tuple(record.relationships[relationship])
    place = record.type, relationship
    path = _relationship_path(*place)
    if path is not None:
        return _along(store, related(store, record, path[0]), path[1])
    if place in THROUGH_ROLES:
        here, there = THROUGH_ROLES[place]
        roles = store.referrers("opportunityProspectRole", here).of(normal(record.identifier))
        through_roles = (identifier for role in roles for identifier in as_tuple(role.relationships.get(there)))
        direct = (other.identifier for other in _referring(store, record, relationship))
        return tuple(dict.fromkeys((*through_roles, *direct)))
    return tuple(
        other.identifier
        for other in _referring(store, record, relationship)
        if _is_in_relationship(place, record, other)
    )


@cache
def _relationship_path(type_name: str, relationship: str) -> tuple[str, str] | None:
    """Return the two relationships that one follows from: a task's ``prospectOwner`` is its prospect's owner."""
    if (type_name, relationship) in _PATHS or type_name not in catalog.load().types:
        return _PATHS.get((type_name, relationship))
    types = catalog.load().types
    for first, declared in types[type_name].relationships.items():
        second = relationship.removeprefix(first)
        second = second[:1].lower() + second[1:]
        if relationship.startswith(first) and not declared.many and len(declared.targets) == 1:
            target = types.get(declared.targets[0])
            if target is not None and second in target.relationships:
                return first, second
    return None


def _along(store: Store, start: Iterable[Identifier], relationship: str) -> tuple[Identifier, ...]:
    records = (store.find(*identifier) for identifier in start)
    return tuple(end for record in records if record is not None for end in related(store, record, relationship))


def _referring(store: Store, record: Record, relationship: str) -> list[Record]:
    kind = catalog.load().types.get(record.type)
    declared = kind.relationships.get(relationship) if kind else None
    other_side = inverse(record.type, declared) if declared and declared.many else None
    if declared is None or other_side is None:
        return []
    return store.referrers(declared.targets[0], other_side).of(normal(record.identifier))


def _is_in_relationship(place: tuple[str, str], record: Record, other: Record) -> bool:
    """Whether a record that names this one belongs to the relationship; some list only a part of them."""
    _, relationship_name = place
    if place == ("prospect", "activeSequenceStates"):
        return other.attributes.get("state") in UNFINISHED
    if relationship_name in AT_ACTIVE_STEP:
        same = other.relationships.get("sequenceStep") == record.relationships.get("sequenceStep")
        return same and other.attributes.get("state") != "complete" and other.attributes.get("deliveredAt") is None
    return True


@cache
def inverse(type_name: str, relationship: Relationship) -> str | None:
    """Return the relationship of the target type that points back, or ``None``."""
    target = catalog.load().types.get(relationship.targets[0]) if relationship.targets else None
    if target is None:
        return None
    both_many = catalog.load().types[type_name].plural if relationship.name == target.plural else None
    candidates = (_INVERSE.get((type_name, relationship.name)), type_name, "target", "content", both_many)
    for name in candidates:
        back = target.relationships.get(name) if name else None
        if back is not None and type_name in back.targets:
            return back.name
    return None


def related_query(record: Record, relationship: Relationship) -> str | None:
    """
    Return path and query of the collection that a to-many relationship of a record links to.

    Returns
    -------
    query
        Such as ``/mailings?filter[sequence][id]=10``; ``None`` where the other side cannot be filtered by this type and
        identifiers are sent anyway.
    """
    target = catalog.load().types.get(relationship.targets[0]) if relationship.targets else None
    if target is None:
        return None
    back = inverse(record.type, relationship)
    if back is None and not relationship.has_data:
        back = record.type
    if back is None or (back in target.relationships and target.relationships[back].filter == ()):
        return None
    return f"{target.path}?filter[{back}][id]={record.id}{_narrowing(record, relationship)}"


def _narrowing(record: Record, relationship: Relationship) -> str:
    """Return the additional filter of a link whose relationship lists only a part of the records that point back."""
    if (record.type, relationship.name) == ("prospect", "activeSequenceStates"):
        return f"&filter[state]={','.join(sorted(UNFINISHED))}"
    if relationship.name in AT_ACTIVE_STEP:
        (step,) = as_tuple(record.relationships.get("sequenceStep")) or (None,)
        return f"&filter[sequenceStep][id]={step.id if step else '__null__'}&{AT_ACTIVE_STEP[relationship.name]}"
    return ""


@cache
def one_way(type_name: str) -> frozenset[str]:
    """Return the types whose link lists this type although nothing points back: filters by them match nothing."""
    return frozenset(
        other.name
        for other in catalog.load().types.values()
        for relationship in other.relationships.values()
        if relationship.many and not relationship.has_data and relationship.targets == (type_name,)
        if inverse(other.name, relationship) is None
    )


def declares(type_name: str, relationship: str) -> bool:
    """Whether the catalog has this relationship for a type."""
    kind = catalog.load().types.get(type_name)
    return kind is not None and relationship in kind.relationships
