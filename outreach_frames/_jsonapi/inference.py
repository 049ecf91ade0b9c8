"""
A catalog for one document, inferred from its values.

Attributes that Outreach has keep Outreach's types wherever every value fits; the others get the narrowest type that
holds their values. So a ``user`` of another server is read as what it is, and one of Outreach's as Outreach's.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from outreach_frames._jsonapi.columns import column_name
from outreach_frames._jsonapi.lenient import RawDocument, identifiers, is_id, linkage_of, object_of, type_of
from outreach_frames._jsonapi.timestamps import UnreadableValueError
from outreach_frames._jsonapi.values import NULL, StorageKind, array, coerce, infer, kind_of, text_of
from outreach_frames.catalog import Attribute, Catalog, Relationship, ResourceType

DEEPEST = 3
"""Steps of the paths that are followed unasked [relationships]; nor does a resource type come twice on one of them."""

_DECLARED: dict[StorageKind, dict[str, Any]] = {
    "string": {"type": "string"},
    "instant": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "strings": {"type": "array", "items": "string"},
    "json": {"type": "object"},
}
"""How a catalog declares each kind of attribute."""


@dataclass
class ObservedType:
    """
    What a document holds of one resource type.

    Attributes
    ----------
    ids
        Of its resources and of the identifiers that point to them.
    attributes
        All values of each.
    relationships
        What is known of each.
    """

    ids: list[msgspec.Raw] = field(default_factory=list)
    attributes: dict[str, list[msgspec.Raw]] = field(default_factory=lambda: defaultdict(list))
    relationships: dict[str, "ObservedRelationship"] = field(default_factory=lambda: defaultdict(ObservedRelationship))


@dataclass
class ObservedRelationship:
    """
    What a document holds of one relationship.

    Attributes
    ----------
    has_data
        Whether any resource has identifiers in it, or null for none.
    many
        Whether they are a list; ``None`` where all are null or empty.
    is_list
        Whether an empty list is among them, which may also stand for no identifier.
    targets
        Resource types that it leads to, in order of appearance.
    """

    has_data: bool = False
    many: bool | None = None
    is_list: bool = False
    targets: dict[str, None] = field(default_factory=dict)


def observe(page: RawDocument) -> dict[str, ObservedType]:
    """Return what a page holds, by resource type; types that are only pointed to among them."""
    seen: dict[str, ObservedType] = defaultdict(ObservedType)
    for where, resources in (("data", page.data), ("included", page.included)):
        for members in resources:
            resource = seen[type_of(members, where=where)]
            resource.ids.append(members.get("id", NULL))
            for name, raw in object_of(members.get("attributes", NULL)).items():
                resource.attributes[name].append(raw)
            for name, raw in object_of(members.get("relationships", NULL)).items():
                _look_at_links(raw, resource.relationships[name], seen)
    return dict(seen)


def _look_at_links(raw: msgspec.Raw, links: ObservedRelationship, seen: Mapping[str, ObservedType]) -> None:
    """Note what a relationship leads to; what is odd about it, the layout will say."""
    members, data = object_of(raw), linkage_of(raw)
    links.has_data |= "data" in members or "id" in members or (raw != NULL and not members)
    sent = identifiers(data)
    if not sent:
        links.is_list |= data != NULL
        return
    links.many = bytes(data).startswith(b"[") or bool(links.many)
    for identifier in map(object_of, sent):
        name, id_ = identifier.get("type", NULL), identifier.get("id", NULL)
        if bytes(name).startswith(b'"') and is_id(id_):
            type_ = text_of(name) or ""
            links.targets[type_] = None
            seen[type_].ids.append(id_)


def catalog_of(seen: Mapping[str, ObservedType], base: Catalog, *, check: bool, taken: Collection[str] = ()) -> Catalog:
    """
    Return the catalog of what was seen.

    Parameters
    ----------
    seen
        From `look`.
    base
        Where known types are looked up.
    check
        Keep the base's type of an attribute only if every value fits it; otherwise it is taken on trust.
    taken
        Columns that attributes and relationships must give way to, beside ``id`` and ``meta``.
    """
    types = {}
    taken = {"id", "meta", *taken}
    for name, resource in seen.items():
        declared = base.types.get(name)
        relationships = _relationships(resource, declared, taken)
        types[name] = ResourceType(
            name=name,
            plural=declared.plural if declared else name,
            id_type="integer" if _integer_ids(resource.ids, declared) else "string",
            operations=frozenset(),
            s2s_operations=frozenset(),
            actions={},
            collection_actions={},
            attributes=_attributes(
                resource, declared, taken.union(*map(_relationship_columns, relationships.values())), check=check
            ),
            relationships=relationships,
        )
    return Catalog(types)


def _integer_ids(ids: Iterable[msgspec.Raw], declared: ResourceType | None) -> bool:
    """Tell whether ids are stored as integers: Outreach's wherever they fit, others where they are sent as such."""
    sent = [raw for raw in ids if raw != NULL]
    if declared:
        return declared.id_type == "integer" and _fit("integer", sent)
    return bool(sent) and not any(bytes(raw).startswith(b'"') for raw in sent) and _fit("integer", sent)


def _relationships(resource: ObservedType, base: ResourceType | None, taken: set[str]) -> dict[str, Relationship]:
    relationships = {}
    for name, links in resource.relationships.items():
        declared = base.relationships.get(name) if base else None
        relationship = Relationship(
            name=name,
            column=declared.column if declared else column_name(name),
            many=links.many if links.many is not None else declared.many if declared else links.is_list,
            targets=tuple(dict.fromkeys((*(declared.targets if declared else ()), *links.targets))),
            has_data=links.has_data,
        )
        while not taken.isdisjoint(_relationship_columns(relationship)):
            relationship = replace(relationship, column=f"{relationship.column}_")
        taken = taken | _relationship_columns(relationship)
        relationships[name] = relationship
    return relationships


def _relationship_columns(relationship: Relationship) -> set[str]:
    of_data = (relationship.id_column, relationship.type_column) if relationship.has_data else ()
    return {column for column in of_data if column}


def _attributes(
    resource: ObservedType, declared: ResourceType | None, taken: set[str], *, check: bool
) -> dict[str, Attribute]:
    attributes = {}
    for name, raws in resource.attributes.items():
        attribute = declared.attributes.get(name) if declared else None
        if attribute is None or (check and not _fit(kind_of(attribute), raws)):
            column = attribute.column if attribute else column_name(name)
            attribute = Attribute(name=name, column=column, **_DECLARED[infer(raws)])
        if attribute.column in taken:
            attribute = replace(attribute, column=f"{attribute.column}_attribute")
        while attribute.column in taken:
            attribute = replace(attribute, column=f"{attribute.column}_")
        taken = {*taken, attribute.column}
        attributes[name] = attribute
    return attributes


def _fit(kind: StorageKind, raws: Sequence[msgspec.Raw]) -> bool:
    try:
        array(kind, [coerce(kind, raw) for raw in raws])
    except (ValueError, UnreadableValueError):
        return False
    return True


def joined_by_itself(root: str, page: RawDocument, catalog: Catalog) -> dict[str, None]:
    """Return the include paths that a document's own ``included`` answers; see `DEEPEST`."""
    held = {type_of(members, where="included") for members in page.included}
    return dict.fromkeys(_include_paths(catalog.types[root], held, (root,), catalog))


def _include_paths(resource: ResourceType, held: set[str], way: tuple[str, ...], catalog: Catalog) -> Iterator[str]:
    for name, relationship in resource.relationships.items():
        to_one = relationship.has_data and not relationship.many and "." not in name
        targets = [target for target in relationship.targets if to_one and target in held and target not in way]
        if targets:
            yield name
        for target in targets if len(way) < DEEPEST else ():
            yield from (
                f"{name}.{path}" for path in _include_paths(catalog.types[target], held, (*way, target), catalog)
            )
