"""
The schema that the sandbox serves, and the relationships of its records.

Records may have attributes that the contract does not name (a webhook's ``cleanupToken``), and types that it does not
know at all, which are the organization's custom objects.

A to-many relationship is rarely stored: the sequence does not list its mailings, each mailing names its sequence. So
linkage that a record does not carry itself is looked up from the other side, or along a path (a task's account is its
prospect's account). Links are filtered collections, as the vendor's are: ``/mailings?filter[sequence][id]=10``.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache

from outreach_frames import catalog
from outreach_frames._sandbox.store import Identifier, Record, Store, as_tuple, normal
from outreach_frames.catalog import Attribute, Relationship, ResourceType, snake

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
        """Internal names of the types that only this organization has."""
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


_INVERSE = {("role", "childRoles"): "parentRole", ("user", "batches"): "creator"}
"""Inverse relationships that the names of the types do not tell."""

JOINED = {
    ("prospect", "opportunities"): ("prospect", "opportunity"),
    ("opportunity", "prospects"): ("opportunity", "prospect"),
}
"""Many-to-many pairs kept as ``opportunityProspectRole`` records: its relationship to here, and to there."""

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
"""Relationships of an enrollment to what its present step made and is not done, and how their links say so."""


def related(store: Store, record: Record, relationship: str) -> tuple[Identifier, ...]:
    """Return the identifiers a relationship of a record points to: stored linkage, or what the other side says."""
    if relationship in record.relationships:
        return as_tuple(record.relationships[relationship])
    place = record.type, relationship
    path = _path(*place)
    if path is not None:
        return _along(store, related(store, record, path[0]), path[1])
    if place in JOINED:
        here, there = JOINED[place]
        roles = store.referrers("opportunityProspectRole", here).of(normal(record.identifier))
        joined = (identifier for role in roles for identifier in as_tuple(role.relationships.get(there)))
        named = (other.identifier for other in _referring(store, record, relationship))
        return tuple(dict.fromkeys((*joined, *named)))
    return tuple(other.identifier for other in _referring(store, record, relationship) if _counts(place, record, other))


@cache
def _path(type_name: str, relationship: str) -> tuple[str, str] | None:
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
    known = catalog.load().types.get(record.type)
    declared = known.relationships.get(relationship) if known else None
    other_side = inverse(record.type, declared) if declared and declared.many else None
    if declared is None or other_side is None:
        return []
    return store.referrers(declared.targets[0], other_side).of(normal(record.identifier))


def _counts(place: tuple[str, str], record: Record, other: Record) -> bool:
    """Whether a record that refers to this one belongs to the relationship: some list only a part of them."""
    _, relationship_name = place
    if place == ("prospect", "activeSequenceStates"):
        return other.attributes.get("state") in UNFINISHED
    if relationship_name in AT_ACTIVE_STEP:
        same = other.relationships.get("sequenceStep") == record.relationships.get("sequenceStep")
        return same and other.attributes.get("state") != "complete" and other.attributes.get("deliveredAt") is None
    return True


@cache
def inverse(type_name: str, relationship: Relationship) -> str | None:
    """Return the relationship of the target type that points back, or ``None`` if there is none."""
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
        Such as ``/mailings?filter[sequence][id]=10``; ``None`` where the other side cannot be filtered by this one and
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
    """Return the further filter of a link whose relationship lists only a part of what points back."""
    if (record.type, relationship.name) == ("prospect", "activeSequenceStates"):
        return f"&filter[state]={','.join(sorted(UNFINISHED))}"
    if relationship.name in AT_ACTIVE_STEP:
        (step,) = as_tuple(record.relationships.get("sequenceStep")) or (None,)
        return f"&filter[sequenceStep][id]={step.id if step else '__null__'}&{AT_ACTIVE_STEP[relationship.name]}"
    return ""


@cache
def one_way(type_name: str) -> frozenset[str]:
    """Return the types whose link lists this type although nothing points back: filtering by them finds nothing."""
    return frozenset(
        other.name
        for other in catalog.load().types.values()
        for relationship in other.relationships.values()
        if relationship.many and not relationship.has_data and relationship.targets == (type_name,)
        if inverse(other.name, relationship) is None
    )


def declares(type_name: str, relationship: str) -> bool:
    """Whether the contract has that relationship for a type."""
    known = catalog.load().types.get(type_name)
    return known is not None and relationship in known.relationships
