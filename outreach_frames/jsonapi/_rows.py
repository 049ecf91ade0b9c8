"""The resources of one type on one page, as Arrow columns."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from operator import attrgetter
from typing import Any, Literal

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from outreach_frames.catalogue import Catalogue, Relationship, ResourceType, snake
from outreach_frames.errors import DocumentError
from outreach_frames.jsonapi._shapes import Shape, id_type
from outreach_frames.jsonapi._times import UnreadableValueError
from outreach_frames.jsonapi._values import ARROW, MEANT, array, kind_of, typed

_STORED: dict[type, pa.DataType] = {int: pa.int64(), str: pa.string()}


@dataclass(frozen=True)
class Column:
    """
    A column that a resource type has by itself.

    Attributes
    ----------
    name
        In the frame.
    source
        API name of the attribute or relationship; ``"id"`` for the id.
    part
        What of it: the resource's id, an attribute's value, or a relationship's ids or types.
    type
        Arrow type.
    """

    name: str
    source: str
    part: Literal["id", "value", "ids", "types"]
    type: pa.DataType


@dataclass(frozen=True)
class New:
    """
    A column for something that the catalogue does not have.

    Attributes
    ----------
    source
        API name.
    part
        Whether it came among the attributes or the relationships.
    values
        JSON text.
    """

    source: str
    part: str
    values: pa.Array

    @property
    def name(self) -> str:
        """Its column: snake_case, with ``_`` for what SQL would not take in a name."""
        return re.sub(r"\W", "_", snake(self.source))

    def take(self, rows: pa.Array) -> "New":
        """Return the values of other rows."""
        return replace(self, values=self.values.take(rows))

    def merged(self, other: "New") -> "New":
        """Return the values of whichever of the two has one."""
        return replace(self, values=pc.coalesce(self.values, other.values))


def columns(resource_type: ResourceType, names: Iterable[str], catalogue: Catalogue) -> list[Column]:
    """
    Return the columns of attributes and relationships, in the order of their API names.

    Relationships that send no identifiers have none; unknown names are left out.
    """
    found = []
    for name in names:
        attribute, relationship = resource_type.attributes.get(name), resource_type.relationships.get(name)
        if name == "id":
            found.append(Column("id", "id", "id", _STORED[id_type([resource_type.name], catalogue)]))
        if attribute:
            found.append(Column(attribute.column, name, "value", ARROW[kind_of(attribute)]))
        if relationship and relationship.has_data:
            stored = _STORED[id_type(relationship.targets, catalogue)]
            found.append(Column(relationship.id_column, name, "ids", pa.list_(stored) if relationship.many else stored))
        if relationship and relationship.has_data and relationship.type_column:
            found.append(Column(relationship.type_column, name, "types", pa.string()))
    return found


class Rows:
    """
    The resources of one type on one page.

    Parameters
    ----------
    shape
        How they were decoded.
    resources
        Structs of ``shape.resource``.
    """

    def __init__(self, shape: Shape, resources: Sequence[Any]) -> None:
        self.shape = shape
        self.resources = resources

    @cached_property
    def ids(self) -> pa.Array:
        """The ids."""
        return self._checked("id", "an id", lambda: typed([r.id for r in self.resources], _STORED[self.shape.id_type]))

    def column(self, column: Column) -> pa.Array:
        """
        Return a column; absent and null are both missing.

        Raises
        ------
        DocumentError
            A value does not fit the column.
        """
        if column.part == "id":
            return self.ids
        if column.part == "value":
            kind = kind_of(self.shape.resource_type.attributes[column.source])
            values = self._attribute_values[column.source]
            return self._checked(column.source, MEANT[kind], lambda: array(kind, values))
        data = self._linkage(column.source)
        read: Callable[[Any], Any] = attrgetter("id" if column.part == "ids" else "type")
        if pa.types.is_list(column.type):
            values = [None if d is None else [read(reference) for reference in d] for d in data]
        else:
            values = [None if d is None else read(d) for d in data]
        return self._checked(column.source, "resource identifiers", lambda: typed(values, column.type))

    def linked(self, relationship: Relationship) -> tuple[pa.Array, pa.Array | None]:
        """Return the ids that a to-one relationship points to, and their types where they may be several."""
        found = {
            c.part: self.column(c) for c in columns(self.shape.resource_type, [relationship.name], self.shape.catalogue)
        }
        return found["ids"], found.get("types")

    @cached_property
    def new(self) -> list[New]:
        """What has arrived that the catalogue does not have, or not with data."""
        attributes, relationships = self.shape.attribute_fields, self.shape.relationship_fields
        members = [
            *((n, "attribute", self._attributes, attributes[n]) for n in self.shape.new_attributes),
            *((n, "relationship", self._relationships, relationships[n]) for n in self.shape.new_relationships),
        ]
        found = [(n, part, [getattr(h, field) for h in holders]) for n, part, holders, field in members]
        return [
            New(name, part, self._checked(name, MEANT["json"], partial(array, "json", values)))
            for name, part, values in found
            if any(value is not None for value in values)
        ]

    @cached_property
    def _attributes(self) -> list[Any]:
        nothing = self.shape.attributes()
        return [r.attributes or nothing for r in self.resources]

    @cached_property
    def _relationships(self) -> list[Any]:
        nothing = self.shape.relationships()
        return [r.relationships or nothing for r in self.resources]

    @cached_property
    def _attribute_values(self) -> dict[str, Sequence[Any]]:
        """The decoded values of the wanted attributes, taken out of the structs in one go."""
        fields = {n: f for n, f in self.shape.attribute_fields.items() if n in self.shape.wanted}
        if len(fields) == len(self.shape.attribute_fields):
            rows = map(msgspec.structs.astuple, self._attributes)
            return (
                dict(zip(fields, zip(*rows, strict=True), strict=True)) if self.resources else dict.fromkeys(fields, ())
            )
        return {name: [getattr(holder, field) for holder in self._attributes] for name, field in fields.items()}

    def _linkage(self, name: str) -> list[Any]:
        """Return the ``data`` of a relationship; ``None`` where it is null, absent or only links."""
        field = self.shape.relationship_fields[name]
        found = (getattr(holder, field) for holder in self._relationships)
        return [None if related is None else related.data for related in found]

    def _checked(self, name: str, meant: str, build: Callable[[], pa.Array]) -> pa.Array:
        try:
            return build()
        except UnreadableValueError as error:
            raise misfit(self.shape.resource_type.name, self.resources[error.row].id, name, meant) from None


def misfit(resource_type: str, id_: int | str | None, name: str, meant: str) -> DocumentError:
    """Return the error for a value that does not fit; it names the place and keeps the value to itself."""
    hint = f"To read the rest, leave {snake(name)} out: name the other columns with fields=…."
    return DocumentError(
        f"In the {resource_type} with the id {id_!r:.60}, {name!r} is not {meant}.",
        resource_type=resource_type,
        id=id_,
        attribute=name,
        hint=None if name == "id" else hint,
    )
