"""The columns that a query asks for, and the pages that fill them."""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from outreach_frames._jsonapi.columns import META, Column, Misfit, Rows, UnknownColumn, columns
from outreach_frames._jsonapi.decoder import Content, PageDecoder, collector_paused
from outreach_frames._jsonapi.inference import inferred_columns
from outreach_frames._jsonapi.structs import Shape, reading
from outreach_frames._query import Selection
from outreach_frames.catalog import Catalog, Relationship, ResourceType
from outreach_frames.errors import QueryError

NEW = b"outreach_frames.new"
"""Key in a field's metadata: the column is JSON text of an ``attribute`` or ``relationship`` still to be typed."""
NAME = b"outreach_frames.name"
"""Key in a field's metadata: what a column still to be typed would be called if no other had that name."""


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


@dataclass(frozen=True)
class Page:
    """
    One page of resources.

    Attributes
    ----------
    batch
        One row per resource. The columns of `Layout.schema`; from an open layout also what the catalog does not
        have, as JSON text until `concat` has seen all pages and can tell the types and which names are free.
    next
        Address of the next page; ``None`` on the last.
    count
        Records that match the query [records]; ``None`` where the server did not say.
    count_truncated
        Whether there are more than `count`, or `count` is unknown because the server was busy.
    unknown
        Names that the catalog does not have, by resource type.
    misfits
        What is odd about the page and could be read all the same; see `Misfits`.
    """

    batch: pa.RecordBatch
    next: str | None
    count: int | None
    count_truncated: bool
    unknown: Mapping[str, frozenset[str]]
    misfits: Sequence[Misfit] = ()


class Layout:
    """
    The columns that a query asks for, and the decoder that fills them.

    Parameters
    ----------
    selection
        The type of the primary resources, their columns, and the to-one relationships that are included.
    catalog
        Of the selection; it tells how the ids of related resources are stored.
    open
        Keep attributes and relationships that the catalog does not have.
    meta
        Keep each resource's meta information (``dataConnections``, ``canWrite`` …) in a column ``meta``, as JSON text.
    anonymous
        Accept resources without an id, as in requests to create them; it is missing then. Every resource is a row of
        its own, whatever its id.
    strict
        Refuse what is otherwise among a page's `misfits`.
    ordered
        The catalog has the attributes in the order in which the server sends them; otherwise it is learned.

    Attributes
    ----------
    schema
        Names and types of the columns, whatever a page holds: ``id`` first, then the names of the selection, then what
        is included.

    Raises
    ------
    QueryError
        Two columns have one name.

    Notes
    -----
    Instances may be shared by threads.
    """

    def __init__(
        self,
        selection: Selection,
        *,
        catalog: Catalog,
        open: bool = False,  # noqa: A002  an open layout keeps what it does not know
        meta: bool = False,
        anonymous: bool = False,
        strict: bool = False,
        ordered: bool = False,
    ) -> None:
        self._open = open
        self._strict = strict
        root = Target.of(selection, catalog, first=["id"])
        self._columns = [*root.columns, *([META] if meta else [])]
        self._joins = root.joins
        own = [(column.name, column.type) for column in self._columns]
        self.schema = _schema([*own, *(field for each in self._joins for field in each.schema().items())])
        self._decoder = self._first_decoder(root, catalog, anonymous=anonymous, ordered=ordered)

    def page(self, body: bytes) -> Page:
        """
        Read one page.

        Values that surprise are kept where nothing is lost: numbers where text is expected, ``"3"`` for 3, ids as
        text, instants without zone (UTC) or with an offset. An attribute or relationship that is absent, null, or
        (for a relationship) holds only links is missing; so are the columns of an included resource that the page
        does not hold. Of members that come twice in an object the last counts.

        An empty list stands for an empty object (PHP writes it so) and for no identifier. Identifiers that are none of
        their relationship's are left out; a date whose time of day is nobody's midnight is kept as written. Both are
        noted in the page's `misfits`.

        A resource that comes more than once is one row, or one included resource, that has all members sent of it.

        Parameters
        ----------
        body
            As the server sent it: one resource, a list of them, or null.

        Raises
        ------
        DocumentError
            It is no JSON:API page of the layout's resource type, or a value does not fit; the error names type, id
            and attribute.
        """
        with collector_paused():
            return self._page(body)

    def _page(self, body: bytes) -> Page:
        """Read one page; all that was decoded is gone on return, so that no collector ever sees it."""
        self._decoder, content = self._decoder.read(body)
        arrays, new = self._arrays(content)
        if self._strict and content.misfits:
            raise content.misfits[0].error()
        fields = list(self.schema)
        if self._open:
            for (name, source, part), column in new.items():
                about = {NEW: part.encode(), NAME: name.encode()}
                fields.append(pa.field(f"{name} ({part} {source})", pa.string(), metadata=about))
                arrays.append(column.values)
        return Page(
            batch=pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields)),
            next=content.next,
            count=content.count,
            count_truncated=content.count_truncated,
            unknown=content.unknown,
            misfits=content.misfits,
        )

    def _arrays(self, content: Content) -> tuple[list[pa.Array], dict[tuple[str, str, str], UnknownColumn]]:
        """Return the columns of the schema, and those that are new by name, source and part: names may be alike."""
        arrays = {column.name: content.primary.column(column) for column in self._columns}
        new = {(column.name, column.source, column.part): column for column in content.primary.new}
        for each in self._joins:
            for name, values in each.look_up(content.primary, content.included):
                if isinstance(values, UnknownColumn):
                    key = (name, values.source, values.part)
                    new[key] = values if key not in new else new[key].merged(values)
                else:
                    type_ = self.schema.field(name).type
                    arrays[name] = merged(arrays[name], values, type_) if name in arrays else as_type(values, type_)
        return [arrays[name] for name in self.schema.names], new

    def _first_decoder(self, root: Target, catalog: Catalog, *, anonymous: bool, ordered: bool) -> PageDecoder:
        """Collect, over all paths, what is needed of each type."""
        needed: dict[str, set[str]] = defaultdict(set)
        watched = {root.type.name: root.complete}
        needed[root.type.name] |= {column.source for column in self._columns} | root.needed
        targets = [target for each in self._joins for target in each.descendants()]
        for target in targets:
            needed[target.type.name] |= target.needed
            watched[target.type.name] = watched.get(target.type.name, False) or target.complete
        return PageDecoder(
            primary=root.type.name,
            shapes={
                name: Shape(
                    catalog.types.get(name, root.type),
                    catalog,
                    decoded_names=frozenset(names),
                    watch=watched[name],
                    anonymous=anonymous and name == root.type.name,
                )
                for name, names in needed.items()
            },
            joined=frozenset(target.type.name for target in targets),
            ordered=ordered,
        )


def _schema(fields: Iterable[tuple[str, pa.DataType]]) -> pa.Schema:
    """
    Return the schema of columns side by side.

    Raises
    ------
    QueryError
        Two columns have one name.
    """
    types: dict[str, pa.DataType] = {}
    for name, type_ in fields:
        if name in types:
            raise QueryError(f"Two columns would be named {name!r}.", hint="Leave one of them out.")
        types[name] = type_
    return pa.schema(list(types.items()))


def free_name(name: str, taken: Container[str]) -> str:
    """Return a name for a column that the catalog does not have, beside those that it has."""
    while name in taken:
        name = f"{name}_attribute"
    return name


def to_frame(pages: pa.Table | Iterable[pa.RecordBatch], schema: pa.Schema) -> pd.DataFrame:
    """
    Return pages as one DataFrame whose columns are Arrow arrays.

    Parameters
    ----------
    pages
        Batches in the order of the rows, or what `concat` made of them.
    schema
        The layout's; without rows the frame still has all its columns and types.

    Returns
    -------
    frame : DataFrame, shape (n_resources, n_columns)
        Missing values are ``<NA>``.
    """
    table = pages if isinstance(pages, pa.Table) else concat(pages, schema)
    columns = zip(table.column_names, table.columns, strict=True)
    return pd.DataFrame({name: pd.arrays.ArrowExtensionArray(column) for name, column in columns}, copy=False)


def concat(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    """
    Put pages together.

    Parameters
    ----------
    batches
        In the order of the rows.
    schema
        The layout's; a table without rows still has all its columns.

    Returns
    -------
    table
        The columns of `schema`; behind them what the catalog does not have, from pages of an open layout, each of
        the narrowest type that holds its values on all pages, missing on pages that did not have it. A new to-one
        relationship gives ``<name>_id`` and ``<name>_type``, a to-many one ``<name>_ids``. A name that another column
        has already ends in ``_attribute``.

    Raises
    ------
    DocumentError
        A value that the catalog does not have is no JSON text.
    """
    batches = list(batches)
    if all(batch.num_columns == len(schema) for batch in batches):
        return pa.Table.from_batches(batches, schema).combine_chunks()
    tables = [pa.Table.from_batches([batch]) for batch in batches]
    table = pa.concat_tables([schema.empty_table(), *tables], promote_options="default").combine_chunks()
    arrays = {name: table[name] for name in schema.names}
    for field in list(table.schema)[len(schema) :]:
        raws = [None if text is None else msgspec.Raw(text.encode()) for text in table[field.name].to_pylist()]
        name = field.metadata[NAME].decode()
        with reading():
            inferred = inferred_columns(name, raws, part=field.metadata[NEW].decode())
        for column, values in inferred:
            arrays[free_name(column, arrays)] = values
    return pa.table(arrays)
