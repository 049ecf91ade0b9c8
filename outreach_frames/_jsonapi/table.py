"""Put the record batches of several pages together as one table and one DataFrame."""

from collections.abc import Iterable, Sequence

import msgspec
import pandas as pd
import pyarrow as pa

from outreach_frames._jsonapi.inference import kind_of_values
from outreach_frames._jsonapi.lenient import reading, says_nothing
from outreach_frames._jsonapi.page import NAME, NEW, free_name
from outreach_frames._jsonapi.values import NULL, array, read_column, typed


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
    columns = {name: table[name] for name in schema.names}
    for field in list(table.schema)[len(schema) :]:
        raws = [None if text is None else msgspec.Raw(text.encode()) for text in table[field.name].to_pylist()]
        name = field.metadata[NAME].decode()
        with reading():
            typed = [(name, _inferred(raws))] if field.metadata[NEW] == b"attribute" else _linked_columns(name, raws)
        for column, values in typed:
            columns[free_name(column, columns)] = values
    return pa.table(columns)


def _inferred(raws: Sequence[msgspec.Raw | None]) -> pa.Array:
    """Build the array of the narrowest type that holds all values."""
    values = [NULL if raw is None else raw for raw in raws]
    kind = kind_of_values(values)
    return array(kind, read_column(kind, values))


class _Reference(msgspec.Struct):
    type: str
    id: int | str


class _Linkage(msgspec.Struct):
    data: _Reference | list[_Reference] | None = None


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
    if any(lists_of) or (lists_of and not any(isinstance(linked, _Reference) for linked in data)):
        several = [[linked] if isinstance(linked, _Reference) else linked for linked in data]
        type_ = _id_type(one.id for linked in several for one in linked or ())
        ids = [links if links is None else [_json_id(type_, link) for link in links] for links in several]
        return [(f"{name}_ids", typed(ids, pa.list_(type_)))]
    ones = [one if isinstance(one, _Reference) else None for one in data]
    type_ = _id_type(one.id for one in ones if one)
    ids = pa.array([one and _json_id(type_, one) for one in ones], type_)
    return [(f"{name}_id", ids), (f"{name}_type", pa.array([one and one.type for one in ones], pa.string()))]


def _id_type(ids: Iterable[int | str]) -> pa.DataType:
    """Return the type that holds all ids: integers where all are, text otherwise."""
    whole = all(isinstance(id_, int) and -(2**63) <= id_ < 2**63 for id_ in ids)
    return pa.int64() if whole else pa.string()


def _json_id(type_: pa.DataType, reference: _Reference) -> int | str:
    return reference.id if type_ == pa.int64() else str(reference.id)
