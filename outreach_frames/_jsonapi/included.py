"""Join included resources to the rows that point to them; merge resources that are sent twice."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from outreach_frames._jsonapi.columns import Column, Rows, UnknownColumn, columns
from outreach_frames._jsonapi.lenient import Members, RawDocument, object_of, read_id, says_nothing, type_of
from outreach_frames._jsonapi.values import NULL
from outreach_frames._query import Selection
from outreach_frames.catalog import Catalog, Relationship, ResourceType


@dataclass(frozen=True)
class Target:
    """
    The columns of one resource type, and those of what is included from there.

    Attributes
    ----------
    type
        Of the catalog.
    columns
        Its own; none where the path only leads on.
    complete
        Whether they are all that there are, new ones too.
    joins
        Its relationships that are included.
    """

    type: ResourceType
    columns: Sequence[Column]
    complete: bool
    joins: Sequence["Join"]

    @classmethod
    def of(cls, selection: Selection, catalog: Catalog, *, first: Sequence[str] = ()) -> "Target":
        """Return the columns of a selection, behind those of the names in `first`."""
        kind = selection.resource
        names = (*kind.attributes, *kind.relationships) if selection.names is None else selection.names
        joins = [
            Join(each.relationship, [cls.of(target, catalog) for target in each.targets]) for each in selection.included
        ]
        own = columns(kind, dict.fromkeys((*first, *names)), catalog)
        return cls(kind, own, complete=selection.names is None, joins=joins)

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
        Of the catalog.
    targets
        What it leads to, as far as the catalog has it.
    """

    relationship: Relationship
    targets: Sequence[Target]

    def descendants(self) -> Iterator[Target]:
        """Yield every target of this join and of those below it."""
        for target in self.targets:
            yield target
            for join in target.joins:
                yield from join.descendants()

    def schema(self) -> dict[str, pa.DataType]:
        """
        Return name and Arrow type of every column that this join adds, those of deeper joins last.

        Where the targets of a polymorphic relationship have columns of one name and several types, it is text.
        """
        own = [(column.name, column.type) for target in self.targets for column in target.columns]
        deeper = [field for target in self.targets for join in target.joins for field in join.schema().items()]
        fields: dict[str, pa.DataType] = {}
        for name, type_ in (*own, *deeper):
            column = f"{self.relationship.column}__{name}"
            fields[column] = type_ if fields.get(column, type_) == type_ else pa.string()
        return fields

    def look_up(
        self, source: Rows, included: Mapping[str, Rows], at: pa.Array | None = None
    ) -> Iterator[tuple[str, pa.Array | UnknownColumn]]:
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
            for name, values in _target_columns(target, rows, included, there):
                yield f"{self.relationship.column}__{name}", values


def _target_columns(
    target: Target, rows: Rows, included: Mapping[str, Rows], there: pa.Array
) -> Iterator[tuple[str, pa.Array | UnknownColumn]]:
    for column in target.columns:
        values = rows.column(column)
        all_missing = values.null_count == len(values)
        yield column.name, pa.nulls(len(there), column.type) if all_missing else values.take(there)
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


def together(page: RawDocument, id_types: Mapping[str, type], *, included: bool = True) -> RawDocument:
    """
    Return a page that has each resource once, with all that it says of it in several places.

    Members that are absent in one place do not erase those that another has; of members in both, ``data`` counts
    before ``included`` and the later before the earlier. A resource of ``data`` is not among the included ones.

    Parameters
    ----------
    page
        The page.
    id_types
        How ids are stored, by resource type; resources of other types are left as they are.
    included
        Whether included resources are of interest.
    """

    def key(members: Members, where: str) -> Hashable:
        name = type_of(members, where=where)
        id_ = read_id(members.get("id", NULL), id_types[name]) if name in id_types else None
        return object() if id_ is None else (name, id_)

    merged: dict[Hashable, Members] = {}
    beside = [(key(members, "included"), members) for members in (page.included if included else ())]
    rows = [(key(members, "data"), members) for members in page.data]
    for which, members in (*beside, *rows):
        merged[which] = _merged_members(merged[which], members) if which in merged else members
    if len(merged) == len(beside) + len(rows):
        return page
    data = {which: merged[which] for which, _ in rows}
    others = {which: merged[which] for which, _ in beside if which not in data}
    return RawDocument(
        data=list(data.values()),
        links=page.links,
        meta=page.meta,
        beside=msgspec.Raw(msgspec.json.encode(list(others.values()))),
    )


def _merged_members(old: Members, new: Members) -> Members:
    parts = [part for part in ("attributes", "relationships", "meta") if part in old and part in new]
    return {**new, **old, **new} | {part: _merged(part, old[part], new[part]) for part in parts}


def _merged(part: str, old: msgspec.Raw, new: msgspec.Raw) -> msgspec.Raw:
    """Return an object with the members of both, and of two objects that are no objects the later."""
    if says_nothing(new):
        return old
    before, after = object_of(old), object_of(new)
    if not before or not after:
        return new
    if part == "relationships":
        after |= {name: _related(before[name], raw) for name, raw in after.items() if name in before}
    return msgspec.Raw(msgspec.json.encode({**after, **before, **after}))


def _related(old: msgspec.Raw, new: msgspec.Raw) -> msgspec.Raw:
    """Return a relationship with the links of both, and the identifiers of the later that has some."""
    before, after = object_of(old), object_of(new)
    if not after:
        return old if new != NULL and says_nothing(new) else new
    if not {"data", "id"}.isdisjoint(after):
        before = {name: raw for name, raw in before.items() if name not in {"data", "type", "id"}}
    return msgspec.Raw(msgspec.json.encode({**before, **after}))
