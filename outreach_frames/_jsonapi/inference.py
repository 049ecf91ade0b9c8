"""
A catalog for one document, inferred from its values.

Attributes that Outreach has keep Outreach's types wherever every value fits; the others get the narrowest type that
holds their values. So a ``user`` of another server is read as what it is, and one of Outreach's as Outreach's.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from operator import itemgetter
from typing import Any

import msgspec
import pyarrow as pa

from outreach_frames._jsonapi.columns import unknown_column_name
from outreach_frames._jsonapi.lenient import (
    Members,
    RawDocument,
    identifiers,
    is_id,
    linkage_of,
    object_of,
    objects_of,
    says_nothing,
)
from outreach_frames._jsonapi.values import (
    NULL,
    StorageKind,
    UnreadableValueError,
    array,
    joined,
    kind_of,
    read_column,
    text_of,
    typed,
)
from outreach_frames.catalog import Attribute, Catalog, Relationship, ResourceType

DEEPEST = 3
"""Steps of the paths that are followed unasked [relationships]; nor does a resource type come twice on one of them."""

_KIND_OF_TYPE: dict[type, StorageKind] = {bool: "boolean", int: "integer", float: "number"}
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
        Of its resources and of the identifiers that point to them, as Python values.
    attributes
        All values of each.
    relationships
        What is known of each.
    """

    ids: list[Any] = field(default_factory=list)
    attributes: dict[str, Sequence[msgspec.Raw]] = field(default_factory=dict)
    relationships: dict[str, "ObservedRelationship"] = field(default_factory=dict)


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


class _Identifier(msgspec.Struct, gc=False):
    type: str
    id: int | str


class _Related(msgspec.Struct, gc=False):
    data: _Identifier | list[_Identifier] | msgspec.UnsetType | None = msgspec.UNSET
    id: None = None  # of an identifier without data around it


_related_column = msgspec.json.Decoder(list[_Related | None])


def observe(page: RawDocument) -> dict[str, ObservedType]:
    """Return what a page holds, by resource type; types that are only pointed to among them."""
    resources: dict[str, list[Members]] = defaultdict(list)
    for name, members in zip((*page.types, *page.included_types), (*page.data, *page.included), strict=True):
        resources[name].append(members)
    seen: dict[str, ObservedType] = defaultdict(ObservedType)
    for name, all_members in resources.items():
        seen[name].ids += _python_values([members.get("id", NULL) for members in all_members])
        seen[name].attributes = _by_name(all_members, "attributes")
    for name, all_members in resources.items():
        for relationship, raws in _by_name(all_members, "relationships").items():
            seen[name].relationships[relationship] = _observed_relationship(raws, seen)
    return dict(seen)


def _by_name(resources: Iterable[Members], part: str) -> dict[str, Sequence[msgspec.Raw]]:
    """Return the values of each attribute or relationship, in the order of their appearance."""
    rows = objects_of([members[part] for members in resources if part in members])
    names = dict.fromkeys(chain.from_iterable(rows))
    if len(names) > 1 and all(len(row) == len(names) for row in rows):
        return dict(zip(names, zip(*map(itemgetter(*names), rows), strict=True), strict=True))
    return {name: [row[name] for row in rows if name in row] for name in names}


def _python_values(raws: Sequence[msgspec.Raw]) -> list[Any]:
    """Return values as Python has them; a number that is out of range is text, what holds one an empty object."""
    try:
        return msgspec.json.decode(joined(raws))  # type: ignore[no-any-return]
    except msgspec.ValidationError:
        if len(raws) > 1:
            return [value for raw in raws for value in _python_values([raw])]
        return [{} if bytes(raw)[:1] in {b"{", b"["} else bytes(raw).decode() for raw in raws]


def _observed_relationship(raws: Sequence[msgspec.Raw], seen: Mapping[str, ObservedType]) -> ObservedRelationship:
    """Return what all resources say of a relationship: at once where each is written as JSON:API asks for."""
    observed = ObservedRelationship()
    try:
        column = _related_column.decode(joined(raws))
    except msgspec.ValidationError:
        for raw in raws:
            _look_at_links(raw, observed, seen)
        return observed
    for raw, related in zip(raws, column, strict=True):
        data = None if related is None else related.data
        if data is msgspec.UNSET:
            observed.has_data |= says_nothing(raw)
            continue
        several = isinstance(data, list)
        observed.has_data |= related is not None
        observed.is_list |= data == []
        observed.many = several or bool(observed.many) if data else observed.many
        for identifier in data if isinstance(data, list) else [data] if data else []:
            observed.targets[identifier.type] = None
            seen[identifier.type].ids.append(identifier.id)
    return observed


def _look_at_links(raw: msgspec.Raw, links: ObservedRelationship, seen: Mapping[str, ObservedType]) -> None:
    """Note what one relationship leads to; what is odd about it, the layout will say."""
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
            seen[type_].ids += _python_values([id_])


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


def _integer_ids(ids: Iterable[Any], declared: ResourceType | None) -> bool:
    """Tell whether ids are stored as integers: Outreach's wherever they fit, others where they are sent as such."""
    sent = [id_ for id_ in ids if id_ is not None]
    if declared is None or set(map(type, sent)) == {int}:
        return set(map(type, sent)) == {int} and _within_int64(sent) and (not declared or declared.id_type == "integer")
    return declared.id_type == "integer" and _fit("integer", [msgspec.Raw(json.dumps(id_).encode()) for id_ in sent])


def _within_int64(numbers: Sequence[int]) -> bool:
    return not numbers or -(2**63) <= min(numbers) <= max(numbers) < 2**63


def _relationships(resource: ObservedType, base: ResourceType | None, taken: set[str]) -> dict[str, Relationship]:
    relationships = {}
    for name, links in resource.relationships.items():
        declared = base.relationships.get(name) if base else None
        relationship = Relationship(
            name=name,
            column=declared.column if declared else unknown_column_name(name),
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
            column = attribute.column if attribute else unknown_column_name(name)
            attribute = Attribute(name=name, column=column, **_DECLARED[kind_of_values(raws)])
        if attribute.column in taken:
            attribute = replace(attribute, column=f"{attribute.column}_attribute")
        while attribute.column in taken:
            attribute = replace(attribute, column=f"{attribute.column}_")
        taken = {*taken, attribute.column}
        attributes[name] = attribute
    return attributes


def _fit(kind: StorageKind, raws: Sequence[msgspec.Raw]) -> bool:
    try:
        array(kind, read_column(kind, raws))
    except (ValueError, UnreadableValueError):
        return False
    return True


def kind_of_values(raws: Sequence[msgspec.Raw]) -> StorageKind:
    """
    Tell the narrowest kind that holds all of an unknown attribute's values.

    Strings are instants or dates only if every one is written as such; scalars of several types are text, and so are
    fractions beside whole numbers that no float holds, and numbers beyond 64 bits; anything with an object, and lists
    of anything but strings, are JSON text; nothing but nulls is text.
    """
    values = [value for value in _python_values(raws) if value is not None]
    types = set(map(type, values))
    if types & {list, dict}:
        are_strings = types == {list} and set(map(type, chain.from_iterable(values))) <= {str, type(None)}
        return "strings" if are_strings else "json"
    if types == {str}:
        return _kind_of_strings(values)
    integers = [value for value in values if type(value) is int] if int in types else []
    if not _within_int64(integers):
        return "string"
    if types == {int, float}:
        return "number" if all(int(float(value)) == value for value in integers) else "string"
    return _KIND_OF_TYPE[types.pop()] if len(types) == 1 else "string"


def _kind_of_strings(texts: Sequence[str]) -> StorageKind:
    kind: StorageKind | None = None
    if all(len(text) == len("2024-01-11") for text in texts):
        kind = "date"
    elif all(text[13:14] == ":" and len(text) >= len("2024-01-11T10:00") for text in texts):
        kind = "instant"
    return kind if kind and _fit_texts(kind, texts) else "string"


def _fit_texts(kind: StorageKind, texts: Sequence[str]) -> bool:
    try:
        array(kind, texts)
    except UnreadableValueError:
        return False
    return True


def joined_by_itself(root: str, page: RawDocument, catalog: Catalog) -> dict[str, None]:
    """Return the include paths that a document's own ``included`` answers; see `DEEPEST`."""
    return dict.fromkeys(_include_paths(catalog.types[root], set(page.included_types), (root,), catalog))


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


def inferred_columns(name: str, raws: Sequence[msgspec.Raw | None], *, part: str) -> list[tuple[str, pa.Array]]:
    """Build the columns of an attribute or relationship that the catalog does not have, of the narrowest types."""
    if part == "relationship":
        return _linked_columns(name, raws)
    values = [NULL if raw is None else raw for raw in raws]
    kind = kind_of_values(values)
    return [(name, array(kind, read_column(kind, values)))]


class _Linkage(msgspec.Struct):
    data: _Identifier | list[_Identifier] | None = None


_json_linkage = msgspec.json.Decoder(_Linkage)
_NOTHING = _Linkage()


def _linked_columns(name: str, raws: Sequence[msgspec.Raw | None]) -> list[tuple[str, pa.Array]]:
    """Build the columns of a relationship; what is no relationship after all stays JSON text."""
    try:
        links = [_NOTHING if raw is None or says_nothing(raw) else _json_linkage.decode(raw) for raw in raws]
    except msgspec.ValidationError:
        return [(name, array("json", raws))]
    data = [linked.data for linked in links]
    lists_of = [linked for linked in data if isinstance(linked, list)]
    if any(lists_of) or (lists_of and not any(isinstance(linked, _Identifier) for linked in data)):
        several = [[linked] if isinstance(linked, _Identifier) else linked for linked in data]
        type_ = _id_type(one.id for linked in several for one in linked or ())
        ids = [links if links is None else [_json_id(type_, link) for link in links] for links in several]
        return [(f"{name}_ids", typed(ids, pa.list_(type_)))]
    ones = [one if isinstance(one, _Identifier) else None for one in data]
    type_ = _id_type(one.id for one in ones if one)
    ids = pa.array([one and _json_id(type_, one) for one in ones], type_)
    return [(f"{name}_id", ids), (f"{name}_type", pa.array([one and one.type for one in ones], pa.string()))]


def _id_type(ids: Iterable[int | str]) -> pa.DataType:
    """Return the type that holds all ids: integers where all are, text otherwise."""
    whole = all(isinstance(id_, int) and -(2**63) <= id_ < 2**63 for id_ in ids)
    return pa.int64() if whole else pa.string()


def _json_id(type_: pa.DataType, reference: _Identifier) -> int | str:
    return reference.id if type_ == pa.int64() else str(reference.id)
