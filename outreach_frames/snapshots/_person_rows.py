"""
Which rows of a table are a person's, and what other rows say of them.

Columns are recognized by their names. A row is the person's own by its ``prospect_id``, or by its ``subject_id`` or
``target_id`` where that is of a prospect; in tables of addresses also by the address itself. In other rows the address
is replaced, and the person's ids are emptied: an id that was left would still connect the row to the person, through
Outreach or a backup.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from outreach_frames._person import OWNERS, Person
from outreach_frames.snapshots import parquet

_ADDRESSES = {"prospects": "emails", "email_addresses": "email", "recipients": "value"}
"""Tables whose rows have the address of a person → the column with it."""

_PERSON_LINK = re.compile(r"(?:\w+_)?prospects?(?:_ids)?_ids?\Z")
"""A foreign key that leads to prospects."""


class ErasedCounts(NamedTuple):
    """Rows that are removed, and cells of others that are replaced."""

    rows: int
    cells: int


class RowErasure:
    """
    Takes a person out of the rows of one table.

    Parameters
    ----------
    table
        Name of the table.
    schema
        Its columns and metadata.
    person
        Address and ids.
    """

    def __init__(self, table: str, schema: pa.Schema, person: Person) -> None:
        self._person = person
        self._ids = {int: pa.array(sorted(person.ids)), str: pa.array(sorted(person.id_texts))}
        self._address = _ADDRESSES.get(table)
        self._owners = [name for name in schema.names if _is_owner(table, name, schema)]
        self._links = [
            name for name in schema.names if _PERSON_LINK.match(name.rpartition("__")[2]) and name not in self._owners
        ]
        types = [name.removesuffix("_id") + "_type" for name in self._owners if f"{name[:-3]}_type" in schema.names]
        texts = [field.name for field in schema if _holds_text(field.type)]
        self.columns = list(dict.fromkeys([*self._owners, *types, *self._links, *texts]))
        notes = {key: person.replaced(value.decode(errors="replace")) for key, value in (schema.metadata or {}).items()}
        self.schema = schema.with_metadata({key: value.encode() for key, value in notes.items()})
        self.replaced_notes = sum(self.schema.metadata[key] != value for key, value in (schema.metadata or {}).items())

    def erased(self, rows: pa.Table) -> tuple[pa.Table, ErasedCounts]:
        """Return rows without the person, and how much that changed; of some columns at least `columns`."""
        rows = rows.combine_chunks()
        own = np.zeros(rows.num_rows, bool)
        for name in self._owners:
            if "__" not in name:
                own |= self._is_of_person(rows, name)
        if self._address in rows.column_names:
            own[_places(_string_array(rows, str(self._address)), self._person)] = True
        removed = int(own.sum())
        if removed:
            rows = rows.filter(pa.array(~own)).combine_chunks()
        cells = 0
        for name in [*(each for each in self._owners if "__" in each), *self._links]:
            rows, count = self._without_link(rows, name)
            cells += count
        for place, field in enumerate(rows.schema):
            if _holds_text(field.type):
                values, count = _replaced(_string_array(rows, field.name), self._person)
                if count:
                    rows = rows.set_column(place, field, values)
                    cells += count
        return rows, ErasedCounts(removed, cells)

    def _is_of_person(self, rows: pa.Table, name: str) -> "np.ndarray[Any, Any]":
        """Return for each row whether a foreign key leads to the person."""
        ids = _string_array(rows, name)
        is_own = _mask(pc.is_in(ids, value_set=self._value_set(ids.type)))
        type_column = f"{name.removesuffix('_id')}_type"
        if type_column in rows.column_names:
            types = _string_array(rows, type_column)
            texts = types.cast(types.type.value_type) if pa.types.is_dictionary(types.type) else types
            is_own &= _mask(pc.equal(pc.utf8_lower(texts), "prospect"))
        return is_own

    def _value_set(self, kind: pa.DataType) -> pa.Array:
        return self._ids[int if pa.types.is_integer(kind) else str].cast(kind)

    def _without_link(self, rows: pa.Table, name: str) -> tuple[pa.Table, int]:
        """Blank a foreign key that leads to the person, and the columns of the record that is included by it."""
        ids = _string_array(rows, name)
        if pa.types.is_list(ids.type):
            flat = ids.flatten()
            if not pc.any(pc.is_in(flat, value_set=self._value_set(flat.type))).as_py():
                return rows, 0
            lists = [ids_ and [id_ for id_ in ids_ if not self._person.is_id(id_)] for ids_ in ids.to_pylist()]
            count = sum(map(len, filter(None, ids.to_pylist()))) - sum(map(len, filter(None, lists)))
            place = rows.column_names.index(name)
            return rows.set_column(place, rows.schema.field(name), pa.array(lists, ids.type)), count
        is_own = self._is_of_person(rows, name)
        if not is_own.any():
            return rows, 0
        path, dots, _ = name.rpartition("__")
        record = path + dots if name in self._owners else f"{name.removesuffix('_id')}__"
        keys = {name, f"{record.removesuffix('__')}_id"}
        rest = pa.array(np.arange(len(ids)), mask=is_own)
        for place, field in enumerate(rows.schema):
            if field.name in keys or field.name.startswith(record):
                rows = rows.set_column(place, field, _string_array(rows, field.name).take(rest))
        return rows, int(is_own.sum())


def counts_of(file: Path, table: str, person: Person) -> ErasedCounts:
    """Tell how much `erased` would change in a file, a row group at a time; see `parquet.readable`."""
    with pq.ParquetFile(file, page_checksum_verification=True) as opened:
        erasure = RowErasure(table, opened.schema_arrow, person)
        parts = [
            erasure.erased(opened.read_row_group(number, columns=erasure.columns))[1]
            for number in range(opened.num_row_groups)
        ]
    return ErasedCounts(sum(part.rows for part in parts), erasure.replaced_notes + sum(part.cells for part in parts))


def ids_of_address(files: Sequence[Path], table: str, person: Person) -> set[int]:
    """Return the ids of the prospects that files of a table show with the address; see `parquet.readable`."""
    ids: set[int] = set()
    for file in files:
        names = pq.read_schema(file).names
        for texts, key in address_columns(table, names):
            ids |= ids_in_rows(parquet.dataset([file]).to_batches(columns=[texts, key]), person)
    return ids


def ids_in_rows(batches: Iterable[pa.RecordBatch], person: Person) -> set[int]:
    """Return the ids, of the second column, of the rows whose first column has the address."""
    ids: set[Any] = set()
    for rows in batches:
        ids |= {rows.column(1)[place].as_py() for place in _places(rows.column(0), person)}
    return {int(id_) for id_ in ids if str(id_).isdecimal()}


def address_columns(table: str, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the columns that have addresses of prospects, each with that of the prospects' ids."""
    key = "id" if table == "prospects" else "prospect_id"
    if table in _ADDRESSES and {_ADDRESSES[table], key} <= {*names}:
        yield _ADDRESSES[table], key
    for name in names:
        path, _, last = name.rpartition("__")
        if last == "emails" and path and _PERSON_LINK.match(f"{path.rpartition('__')[2]}_id") and f"{path}_id" in names:
            yield name, f"{path}_id"


def _is_owner(table: str, name: str, schema: pa.Schema) -> bool:
    last = name.rpartition("__")[2]
    if last not in {f"{owner}_id" for owner in OWNERS}:
        return name == "id" and table == "prospects"
    return last == "prospect_id" or f"{name.removesuffix('_id')}_type" in schema.names


def _string_array(rows: pa.Table, name: str) -> pa.Array:
    column = rows[name]
    return column.chunk(0) if column.num_chunks else pa.array([], column.type)


def _mask(values: pa.Array) -> "np.ndarray[Any, Any]":
    mask: np.ndarray[Any, Any] = pc.fill_null(values, fill_value=False).to_numpy(zero_copy_only=False)
    return mask


def _holds_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _holds_text(kind.value_type)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind):
        return True
    return any(_holds_text(kind.field(place).type) for place in range(kind.num_fields))


def _places(values: pa.Array, person: Person) -> list[int]:
    """Return where a column mentions the address."""
    kind = values.type
    if pa.types.is_list(kind) and not pa.types.is_nested(kind.value_type):
        parents = pc.list_parent_indices(values)
        return sorted({parents[place].as_py() for place in _places(values.flatten(), person)})
    if pa.types.is_dictionary(kind):
        return _places(values.cast(kind.value_type), person)
    if pa.types.is_nested(kind):
        return [place for place, value in enumerate(values.to_pylist()) if person.without(value)[1]]
    return person.mentions(values)


def _replaced(values: pa.Array, person: Person) -> tuple[pa.Array, int]:
    """Return a column in which the address is replaced, and in how many cells; a pick list loses it as a choice too."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        if not person.mentions(values.dictionary):
            return values, 0
        texts, count = _replaced(values.cast(kind.value_type), person)
        return texts.dictionary_encode().cast(kind), max(count, 1)
    places = _places(values, person)
    if not places:
        return values, 0
    contents = values.to_pylist()
    for place in places:
        contents[place] = None if isinstance(contents[place], bytes) else person.without(contents[place])[0]
    return pa.array(contents, kind), len(places)
