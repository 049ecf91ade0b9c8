"""Included resources beside the rows that point to them: foreign keys looked up column by column."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from outreach_frames.catalogue import Relationship, ResourceType
from outreach_frames.jsonapi._rows import Column, New, Rows


@dataclass(frozen=True)
class Target:
    """
    One resource type that an included relationship leads to.

    Attributes
    ----------
    type
        Of the catalogue.
    columns
        Its columns that are wanted; none where the path only leads on.
    complete
        Whether all are wanted, new ones too.
    joins
        Its own relationships that are included in turn.
    """

    type: ResourceType
    columns: Sequence[Column]
    complete: bool
    joins: Sequence["Join"]

    @property
    def needed(self) -> set[str]:
        """API names of the attributes and relationships to decode."""
        return {column.source for column in self.columns} | {join.relationship.name for join in self.joins}


@dataclass(frozen=True)
class Join:
    """
    An included to-one relationship.

    Attributes
    ----------
    relationship
        Of the catalogue.
    targets
        What it leads to, as far as the catalogue has it.
    """

    relationship: Relationship
    targets: Sequence[Target]

    def walk(self) -> Iterator[Target]:
        """Yield every target of this join and of those below it."""
        for target in self.targets:
            yield target
            for join in target.joins:
                yield from join.walk()

    def schema(self) -> dict[str, pa.DataType]:
        """
        Return name and Arrow type of every column that this join adds, those of deeper joins last.

        Where the targets of a polymorphic relationship have columns of one name and several types, it is text.
        """
        own = [(column.name, column.type) for target in self.targets for column in target.columns]
        deeper = [field for target in self.targets for join in target.joins for field in join.schema().items()]
        found: dict[str, pa.DataType] = {}
        for name, type_ in (*own, *deeper):
            column = f"{self.relationship.column}__{name}"
            found[column] = type_ if found.get(column, type_) == type_ else pa.string()
        return found

    def look_up(
        self, source: Rows, included: Mapping[str, Rows], at: pa.Array | None = None
    ) -> Iterator[tuple[str, pa.Array | New]]:
        """
        Yield the columns of the included resources, one after the other for every target.

        Parameters
        ----------
        source
            The resources that have the relationship.
        included
            What it may lead to, by type.
        at
            Rows of `source` to take, null for none; all in order where not given.

        Yields
        ------
        name, values
            Null where the relationship is null or absent, leads to another target, or the resource is not included.
        """
        ids, types = source.linked(self.relationship)
        if at is not None:
            ids, types = ids.take(at), None if types is None else types.take(at)
        for target in self.targets:
            rows = included[target.type.name]
            own = ids if types is None else pc.if_else(pc.equal(types, target.type.name), ids, None)
            there = pc.index_in(own, value_set=rows.ids.cast(own.type), skip_nulls=True)
            for name, values in _columns(target, rows, included, there):
                yield f"{self.relationship.column}__{name}", values


def _columns(
    target: Target, rows: Rows, included: Mapping[str, Rows], there: pa.Array
) -> Iterator[tuple[str, pa.Array | New]]:
    for column in target.columns:
        yield column.name, rows.column(column).take(there)
    for new in rows.new if target.complete else ():
        yield new.name, new.take(there)
    for join in target.joins:
        yield from join.look_up(rows, included, there)


def merged(one: pa.Array, other: pa.Array, type_: pa.DataType) -> pa.Array:
    """Return the values of whichever of two columns has one, as `type_`."""
    return pc.coalesce(as_type(one, type_), as_type(other, type_))


def as_type(values: pa.Array, type_: pa.DataType) -> pa.Array:
    """Cast values; lists become JSON text."""
    if pa.types.is_list(values.type) and values.type != type_:
        texts = [None if item is None else msgspec.json.encode(item).decode() for item in values.to_pylist()]
        return pa.array(texts, type_)
    return values.cast(type_)
