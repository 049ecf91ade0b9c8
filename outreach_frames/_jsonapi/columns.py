"""
The resources of one type on one page, as Arrow columns; values that do not fit.

The catalog names the columns of what it has: `outreach_frames.catalog`, ``Attribute.column``,
``Relationship.id_column`` and ``type_column``. Here are the names of columns that it does not have.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Literal

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from outreach_frames._jsonapi.structs import Shape, Struct, id_type
from outreach_frames._jsonapi.values import ARROW, MEANT, UnreadableValueError, array, kind_of, rows_off_midnight, typed
from outreach_frames._warnings import warn
from outreach_frames.catalog import Catalog, Relationship, ResourceType, snake
from outreach_frames.errors import DocumentError, OutreachDataWarning

OFF_MIDNIGHT = "is a date with a time of day that is midnight in no time zone"
_STORED: dict[type, pa.DataType] = {int: pa.int64(), str: pa.string()}


_LISTED_IDS = 3


@dataclass(frozen=True)
class Misfit:
    """
    A value that does not fit, and where it stands; not the value itself.

    Attributes
    ----------
    resource_type, id, name
        The record, and the API's name of the attribute or relationship.
    what
        What is the matter with it, as the rest of a sentence that begins with the name.
    outcome
        What became of it, as the rest of a sentence that begins with "It is".
    """

    resource_type: str
    id: int | str | None
    name: str
    what: str
    outcome: str

    def error(self) -> DocumentError:
        """Return the error for those who want none of it; it names the place and keeps the value to itself."""
        return DocumentError(
            f"In the {self.resource_type} with the id {self.id!r:.60}, {self.name!r} {self.what}.",
            resource_type=self.resource_type,
            id=self.id,
            attribute=self.name,
        )


def misfit(resource_type: str, id_: int | str | None, name: str, meant: str) -> DocumentError:
    """Return the error for a value that cannot be read as what it should be."""
    return Misfit(resource_type, id_, name, f"is not {meant}", "refused").error()


class Misfits:
    """Misfits of many pages, by what is the matter with them."""

    def __init__(self, misfits: Iterable[Misfit] = ()) -> None:
        self._ids: dict[tuple[str, str, str, str], dict[int | str | None, None]] = {}
        self.add(misfits)

    def add(self, misfits: Iterable[Misfit]) -> None:
        """Count further ones; a record that comes again counts once."""
        for each in misfits:
            self._ids.setdefault((each.resource_type, each.name, each.what, each.outcome), {})[each.id] = None

    def warn(self, *, hint: str = " strict=True refuses it.") -> None:
        """Warn once for everything that is the matter, with the number of records and the first ids."""
        for (resource_type, name, what, outcome), ids in self._ids.items():
            numbers = ", ".join(map(str, list(ids)[:_LISTED_IDS])) + (" …" if len(ids) > _LISTED_IDS else "")
            warn(
                f"{resource_type}.{name} {what}, in {len(ids):,} record{'s' * (len(ids) != 1)} (id {numbers}). "
                f"It is {outcome}.{hint}",
                OutreachDataWarning,
            )


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
        What of it: the resource's id or meta, an attribute's value, or a relationship's ids or types.
    type
        Arrow type.
    """

    name: str
    source: str
    part: Literal["id", "value", "ids", "types", "meta"]
    type: pa.DataType


META = Column("meta", "meta", "meta", pa.string())
"""A resource's meta information, as JSON text."""


@dataclass(frozen=True)
class UnknownColumn:
    """
    A column for something that the catalog does not have.

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
        """Its column."""
        return unknown_column_name(self.source)

    def take(self, rows: pa.Array) -> "UnknownColumn":
        """Return the values of other rows."""
        return replace(self, values=self.values.take(rows))

    def merged(self, other: "UnknownColumn") -> "UnknownColumn":
        """Return the values of whichever of the two has one."""
        return replace(self, values=pc.coalesce(self.values, other.values))


def unknown_column_name(name: str) -> str:
    """
    Return the column for an API name that the catalog does not have.

    snake_case, with one ``_`` for every run of what SQL would not take in a name, so that ``__`` only ever separates
    a relationship from a column of what it leads to.
    """
    return re.sub(r"[\W_]+", "_", snake(name)) or "_"


def columns(resource_type: ResourceType, names: Iterable[str], catalog: Catalog) -> list[Column]:
    """
    Return the columns of attributes and relationships, in the order of their API names.

    Relationships that send no identifiers have none; unknown names are left out.
    """
    built = []
    for name in names:
        attribute, relationship = resource_type.attributes.get(name), resource_type.relationships.get(name)
        if name == "id":
            built.append(Column("id", "id", "id", _STORED[id_type([resource_type.name], catalog)]))
        if attribute:
            built.append(Column(attribute.column, name, "value", ARROW[kind_of(attribute)]))
        if relationship and relationship.has_data:
            stored = _STORED[id_type(relationship.targets, catalog)]
            built.append(Column(relationship.id_column, name, "ids", pa.list_(stored) if relationship.many else stored))
        if relationship and relationship.has_data and relationship.type_column:
            built.append(Column(relationship.type_column, name, "types", pa.string()))
    return built


class Rows:
    """
    The resources of one type on one page.

    Parameters
    ----------
    shape
        How they were decoded.
    resources
        Structs of ``shape.resource``.

    Attributes
    ----------
    misfits
        What is odd about the values of the columns that were built.
    """

    def __init__(self, shape: Shape, resources: Sequence[Any]) -> None:
        self.shape = shape
        self.resources = resources
        self.misfits: list[Misfit] = []
        self._built: dict[Column, pa.Array] = {}

    @cached_property
    def ids(self) -> pa.Array:
        """The ids."""
        return self._checked("id", "an id", lambda: typed(self._ids, _STORED[self.shape.id_type]))

    def column(self, column: Column) -> pa.Array:
        """
        Return a column; absent and null are both missing.

        Raises
        ------
        DocumentError
            A value does not fit the column.
        """
        if column not in self._built:
            self._built[column] = self._build(column)
        return self._built[column]

    def _build(self, column: Column) -> pa.Array:
        if column.part == "id":
            return self.ids
        if column.part == "meta":
            return self._checked("meta", MEANT["json"], lambda: array("json", self._meta))
        if column.part != "value":
            return self._checked(column.source, "resource identifiers", lambda: self._linked(column))
        kind = kind_of(self.shape.resource_type.attributes[column.source])
        built = self._checked(column.source, MEANT[kind], lambda: array(kind, self._values(column.source)))
        if kind == "date" and built.null_count < len(built):
            for row in rows_off_midnight(pa.array(self._values(column.source), pa.string())):
                self._note(row, column.source, OFF_MIDNIGHT, "the date as it is written")
        return built

    def _linked(self, column: Column) -> pa.Array:
        """Build the ids or types of a relationship; missing where it is null, absent or only links."""
        data = self._data(column.source)
        if pa.types.is_list(column.type):
            return typed([one if not one else [each.id for each in one] for one in data], column.type)
        if column.part == "types":
            return typed([None if one is None else one.type for one in data], column.type)
        return typed([None if one is None else one.id for one in data], column.type)

    def linked(self, relationship: Relationship) -> tuple[pa.Array, pa.Array | None]:
        """Return the ids that a to-one relationship points to, and their types where they may be several."""
        parts = {
            c.part: self.column(c) for c in columns(self.shape.resource_type, [relationship.name], self.shape.catalog)
        }
        return parts["ids"], parts.get("types")

    @cached_property
    def new(self) -> list[UnknownColumn]:
        """What has arrived that the catalog does not have, or not with data."""
        return [
            UnknownColumn(name, part, self._checked(name, MEANT["json"], partial(array, "json", values)))
            for name, part, values in self._new_members()
            if any(value is not None for value in values)
        ]

    @property
    def _ids(self) -> Sequence[Any]:
        return [resource.id for resource in self.resources]

    @property
    def _meta(self) -> Sequence[msgspec.Raw | None]:
        return [resource.meta for resource in self.resources]

    def _values(self, attribute: str) -> Sequence[Any]:
        """Return the decoded values of an attribute."""
        return self._attribute_values[self.shape.attribute_fields[attribute]]

    def _data(self, relationship: str) -> Sequence[Any]:
        """Return the identifiers of a relationship; ``None`` where there are none."""
        values = self._relationship_values[self.shape.relationship_fields[relationship]]
        return [None if related is None else related.data for related in values]

    def _new_members(self) -> Iterable[tuple[str, str, Sequence[msgspec.Raw | None]]]:
        """Yield name, part and values of what the catalog does not have."""
        shape = self.shape
        yield from ((name, "attribute", self._values(name)) for name in shape.new_attributes)
        for name in shape.new_relationships:
            yield name, "relationship", self._relationship_values[shape.relationship_fields[name]]

    @cached_property
    def _attribute_values(self) -> dict[str, Sequence[Any]]:
        """The decoded values of all attributes, by field of the struct."""
        nothing = self.shape.attributes()
        return _transposed(self.shape.attributes, [r.attributes or nothing for r in self.resources])

    @cached_property
    def _relationship_values(self) -> dict[str, Sequence[Any]]:
        """The decoded relationships, by field of the struct."""
        nothing = self.shape.relationships()
        return _transposed(self.shape.relationships, [r.relationships or nothing for r in self.resources])

    def _note(self, row: int, name: str, what: str, outcome: str) -> None:
        self.misfits.append(Misfit(self.shape.resource_type.name, self._ids[row], name, what, outcome))

    def _checked(self, name: str, meant: str, build: Callable[[], pa.Array]) -> pa.Array:
        try:
            return build()
        except UnreadableValueError as error:
            raise misfit(self.shape.resource_type.name, self._ids[error.row], name, meant) from None


def _transposed(struct: Struct, rows: Sequence[msgspec.Struct]) -> dict[str, Sequence[Any]]:
    """Take all fields out of the structs in one go, which is faster than one by one."""
    fields = struct.__struct_fields__
    if not rows:
        return dict.fromkeys(fields, ())
    return dict(zip(fields, zip(*map(msgspec.structs.astuple, rows), strict=True), strict=True))
