"""Read a whole JSON:API document, of Outreach or another server, as a DataFrame."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pandas as pd
import pyarrow as pa

from outreach_frames._jsonapi import lenient
from outreach_frames._jsonapi.columns import Misfits
from outreach_frames._jsonapi.decoder import BYTE_ORDER_MARK, collector_paused, together
from outreach_frames._jsonapi.inference import ObservedType, catalog_of, joined_by_itself, observe
from outreach_frames._jsonapi.lenient import Members, RawDocument, object_of
from outreach_frames._jsonapi.page import Layout, Page, as_type, concat, to_frame
from outreach_frames._jsonapi.structs import no_resources, reading
from outreach_frames._jsonapi.values import NESTED, NULL, array, is_nested, text_of
from outreach_frames._query import select
from outreach_frames._renamed import with_old_keywords
from outreach_frames.catalog import Catalog, Include, load
from outreach_frames.errors import DocumentError, QueryError

Source: TypeAlias = bytes | str | os.PathLike[str] | Mapping[str, Any]

PUT_INTO_DATA = (
    "A JSON:API document is an object, in UTF-8 where it is bytes; "
    'a list of resources becomes one as {"data": [resources]}.'
)


def body_of(source: Source) -> tuple[bytes, str, str]:
    """
    Return the bytes of a document, what to call it, and what to do where it is none.

    Raises
    ------
    DocumentError
        The source is nothing that could hold a document.
    OSError
        The file cannot be read.
    """
    name, hint = "The document", PUT_INTO_DATA
    if isinstance(source, Mapping):
        body = _dumped(source)
    elif isinstance(source, str) and _is_text(source):
        body = source.encode("utf-8", "surrogatepass")
    elif isinstance(source, str | os.PathLike):
        body, name = _read_file(source), f"The file {Path(source).name!r:.60}"
        hint = "Look into the file: it must hold what a JSON:API server answers, as it was sent."
    elif isinstance(source, bytes | bytearray | memoryview):
        body = bytes(source)
    else:
        raise DocumentError(f"A {type(source).__name__} is no JSON:API document.", hint=PUT_INTO_DATA)
    return body.removeprefix(BYTE_ORDER_MARK), name, hint


def _dumped(source: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(source, allow_nan=False).encode()
    except RecursionError:
        raise DocumentError("The object is nested too deeply to be read.") from None
    except (ValueError, TypeError):
        raise DocumentError(
            "The object cannot be written as JSON: it holds NaN, a value such as a date, or itself."
        ) from None


def _is_text(source: str) -> bool:
    """Tell text from the path of a file; what begins like a list or a web page is a path only if there is a file."""
    start = source.lstrip("\ufeff \t\r\n")[:1]
    return start == "{" or (start in {"[", "<", '"', ""} and not os.path.exists(source))  # noqa: PTH110  takes any text


def _read_file(source: str | os.PathLike[str]) -> bytes:
    if isinstance(source, str) and "://" in source:
        raise DocumentError(
            "An address is no document.",
            hint="Fetch it with connect_jsonapi, or give the path of a file without 'file://'.",
        )
    try:
        return Path(source).read_bytes()
    except ValueError:
        raise DocumentError("The text is neither a document nor the path of a file.", hint=PUT_INTO_DATA) from None


_ERROR = ("id", "status", "code", "title", "detail", "pointer", "parameter", "header", "about", "meta")
_ERROR_SOURCE = {"pointer", "parameter", "header"}

_error_objects = msgspec.json.Decoder(list[Members])


@with_old_keywords(catalogue="catalog")
def read_jsonapi(
    source: Source, *, include: Include = None, catalog: Catalog | bool = True, strict: bool = False
) -> pd.DataFrame:
    """
    Flatten a JSON:API document: one row per primary resource, or per error.

    Parameters
    ----------
    source
        The document: bytes (in UTF-8), text, an object as `json.load` returns it, or the path of a file. A string that
        begins with ``{`` is text, any other a path.
    include
        To-one relationships whose resources stand beside the rows: a dotted path, several, or path → columns. By
        default whatever the document's ``included`` answers, at most three steps deep and no resource type twice on
        one path.
    catalog
        Where types are known from: ``True`` for Outreach's, ``False`` for nothing but the document itself.
    strict
        Refuse what is otherwise left out, or kept as written, with a warning.

    Returns
    -------
    frame : DataFrame, shape (n_resources, n_columns)
        ``id`` first, then what the resources hold, in the order of appearance: attributes in snake_case,
        ``<relationship>_id`` (and ``_type`` where it leads to several), ``<relationship>_ids``,
        ``<relationship>__<column>`` of included resources, and ``meta`` as JSON text where resources have some.
        Attributes of the catalog's types have its types where all values fit; the others the narrowest type that
        holds them all, objects and lists of anything but strings as JSON text. Ids are integers where the catalog
        has them so and where they are sent as integers, text otherwise.

        A resource that stands in several places is one row [id unique within a type] with all members that were sent
        of it; ``data`` counts before ``included`` and the later before the earlier.

        Resources of several types in one list have a column ``type`` after ``id``; an attribute of that name is
        ``type_attribute`` then. Columns of one name and several types are text. Without resources there is only
        ``id``. A document of errors has one row per error and the columns ``id, status, code, title, detail, pointer,
        parameter, header, about, meta``. An object that is no resource, such as Outreach's answer to a compliance
        request, has one row and its members as columns.

        The document's own ``links``, ``meta`` and ``jsonapi`` are in ``frame.attrs["outreach_frames"]``.

    Raises
    ------
    DocumentError
        It is no JSON:API document, contradicts itself, has errors beside its data, or holds something nested deeper
        than 200 levels.
    UnknownNameError, QueryError
        The document has no such relationship to include.
    OSError
        The file cannot be read.

    Warns
    -----
    OutreachDataWarning
        An identifier is none of its relationship's and was left out, or a date has a time of day that is midnight in
        no time zone and was kept as written; the warning counts the records and names the first.

    Notes
    -----
    Format: JSON:API 1.0 and 1.1, https://jsonapi.org/format/. Not kept: links of resources, ``links`` and ``meta`` of
    relationships, and included resources that no to-one relationship leads to.

    Examples
    --------
    >>> of.read_jsonapi('{"data": [{"type": "prospect", "id": 1, "attributes": {"openCount": 9}}]}')
       id  open_count
    0   1           9
    """
    body, name, hint = body_of(source)
    misfits = Misfits()
    with reading(body, name=name, hint=hint), collector_paused():
        outline = lenient.outline_of(body)
        if outline.errors is not NULL and not isinstance(outline.data, list | dict):
            frame = _errors(outline.errors)
        elif outline.data is msgspec.UNSET and (outline.meta is not NULL or outline.jsonapi is not NULL):
            frame = _nothing()
        else:
            base = catalog if isinstance(catalog, Catalog) else load() if catalog else Catalog({})
            frame = _resources(lenient.resources_of(outline, body), _Reading(include, base, strict, misfits))
        own = {"links": outline.links, "meta": outline.meta, "jsonapi": outline.jsonapi}
        about = {member: _decoded(member, raw) for member, raw in own.items() if raw is not NULL}
    misfits.warn()
    if about:
        frame.attrs["outreach_frames"] = about
    return frame


@dataclass(frozen=True)
class _Reading:
    """How resources are read, and what is odd about them; see `read_jsonapi`."""

    include: Include
    base: Catalog
    strict: bool
    misfits: Misfits


def _decoded(member: str, raw: msgspec.Raw) -> object:
    if is_nested(raw):
        raise DocumentError(f"The document's {member} is nested deeper than {NESTED} levels.", attribute=member)
    try:
        return msgspec.json.decode(raw)
    except msgspec.ValidationError:
        raise DocumentError(
            f"The document's {member} holds a number of thousands of digits.", attribute=member
        ) from None


def _nothing() -> pd.DataFrame:
    schema = pa.schema([("id", pa.string())])
    return to_frame([], schema)


def _errors(raw: msgspec.Raw) -> pd.DataFrame:
    """Return one row per error object; Outreach's misspelt ``details`` counts as ``detail``."""
    try:
        errors = _error_objects.decode(raw)
    except msgspec.ValidationError:
        raise no_resources("has errors that are not objects") from None
    rows = [{**_source(e), **_about_link(e), "detail": e.get("details", NULL), **e} for e in errors]
    columns = {name: pa.array([_text_or_json(row.get(name, NULL)) for row in rows], pa.string()) for name in _ERROR}
    return to_frame(pa.table(columns), pa.schema([(name, pa.string()) for name in _ERROR]))


def _source(error: Members) -> Members:
    return {name: raw for name, raw in object_of(error.get("source", NULL)).items() if name in _ERROR_SOURCE}


def _about_link(error: Members) -> Members:
    about = object_of(error.get("links", NULL)).get("about", NULL)
    return {"about": object_of(about).get("href", about)}


def _text_or_json(raw: msgspec.Raw) -> str | None:
    return array("json", [raw])[0].as_py() if bytes(raw)[:1] in {b"{", b"["} else text_of(raw)


def _resources(page: RawDocument, reading: _Reading) -> pd.DataFrame:
    no_resource = [m for m in page.data if m and m.keys().isdisjoint({"type", "id", "attributes", "relationships"})]
    if no_resource and len(page.data) == 1:
        members = {"type": msgspec.Raw(b'"answer"'), "attributes": msgspec.Raw(msgspec.json.encode(no_resource[0]))}
        return _resources(RawDocument(data=[members]), replace(reading, include=())).drop(columns="id")
    if not page.data:
        return _nothing()
    table = _table_by_sample(page, reading)
    if table is None:
        seen, taken = observe(page), {"type"} if len(set(page.types)) > 1 else set()
        try:
            table, pages = _document_table(page, reading, catalog_of(seen, reading.base, check=False, taken=taken))
        except DocumentError:
            table, pages = _document_table(page, reading, catalog_of(seen, reading.base, check=True, taken=taken))
        reading.misfits.add(misfit for each in pages for misfit in each.misfits)
    return to_frame(table, table.schema)


def _table_by_sample(page: RawDocument, reading: _Reading) -> pa.Table | None:
    """
    Read a document of the catalog's types, of which each resource has the members of the first of its type.

    ``None`` where one has others, or a value of another type: the whole document must be looked at before it is read.
    """
    sample = page.first_of_each_type()
    seen = observe(sample)
    if len(sample.data) > 1 or not all(
        _is_cataloged(each, seen, reading.base) for each in {*page.types, *page.included_types}
    ):
        return None
    try:
        table, pages = _document_table(page, reading, catalog_of(seen, reading.base, check=False))
    except (DocumentError, QueryError):
        return None
    return None if any(each.unknown or each.misfits for each in pages) else table


def _is_cataloged(name: str, seen: Mapping[str, ObservedType], base: Catalog) -> bool:
    return name in base.types and seen[name].attributes.keys() <= base.types[name].attributes.keys()


def _document_table(page: RawDocument, reading: _Reading, catalog: Catalog) -> tuple[pa.Table, list[Page]]:
    if (
        len(set(page.types)) > 1
        or not set(page.included_types).isdisjoint(page.types)
        or _some_are_anonymous(page.data)
    ):
        # What comes twice among the resources of one type, the layout puts together by itself.
        page = together(page, {name: int if kind.id_type == "integer" else str for name, kind in catalog.types.items()})
    read = {name: _table_of(name, page, reading, catalog) for name in dict.fromkeys(page.types)}
    tables = {name: table for name, (table, _) in read.items()}
    table = next(iter(tables.values())) if len(tables) == 1 else _stacked_types(tables, page.types)
    return table, [each for _, each in read.values()]


def _some_are_anonymous(resources: Sequence[Members]) -> bool:
    return any(members.get("id", NULL) == NULL for members in resources)


def _table_of(name: str, page: RawDocument, reading: _Reading, catalog: Catalog) -> tuple[pa.Table, Page]:
    """Read the primary resources of one type; those of other types may stand beside them."""
    several = len(set(page.types)) > 1
    data, others = page.data, []
    if several:
        data = [members for members, type_ in zip(page.data, page.types, strict=True) if type_ == name]
        others = [members for members, type_ in zip(page.data, page.types, strict=True) if type_ != name]
    layout = Layout(
        select(
            catalog,
            catalog.types[name],
            include=joined_by_itself(name, page, catalog)
            if reading.include is None
            else _paths_of_type(reading.include, name, page, catalog),
        ),
        catalog=catalog,
        meta=any("meta" in members for members in data),
        anonymous=_some_are_anonymous(data),
        strict=reading.strict,
        ordered=True,
    )
    body = None if several else page.body
    read = layout.page(body or msgspec.json.encode({"data": data, "included": [*page.included, *others]}))
    return concat([read.batch], layout.schema), read


def _paths_of_type(
    include: str | Sequence[str] | Mapping[str, Sequence[str] | None], name: str, page: RawDocument, catalog: Catalog
) -> Mapping[str, Sequence[str] | None]:
    """Return the paths that begin at a type, and those that begin at no type of the page, which is an error."""
    names = (
        include if isinstance(include, Mapping) else dict.fromkeys([include] if isinstance(include, str) else include)
    )
    others = set(page.types) - {name}
    return {
        path: columns
        for path, columns in names.items()
        if catalog.types[name].find_relationship(path.partition(".")[0])
        or not any(catalog.types[other].find_relationship(path.partition(".")[0]) for other in others)
    }


def _stacked_types(tables: Mapping[str, pa.Table], types: Sequence[str]) -> pa.Table:
    """Put the rows of several resource types back into the document's order."""
    fields: dict[str, pa.DataType] = {"id": pa.null(), "type": pa.string()}
    for table in tables.values():
        for field in table.schema:
            type_ = fields.get(field.name, pa.null())
            fields[field.name] = field.type if type_ in {pa.null(), field.type} else pa.string()
    parts = [
        pa.table(
            {
                column: pa.array([name] * len(table), type_) if column == "type" else _filled(table, column, type_)
                for column, type_ in fields.items()
            }
        )
        for name, table in tables.items()
    ]
    places = {name: [row for row, type_ in enumerate(types) if type_ == name] for name in tables}
    order = [row for rows in places.values() for row in rows]
    return pa.concat_tables(parts).take(pa.array(sorted(range(len(order)), key=order.__getitem__)))


def _filled(table: pa.Table, column: str, type_: pa.DataType) -> pa.Array:
    if column not in table.schema.names:
        return pa.nulls(len(table), type_)
    return as_type(table[column].combine_chunks(), type_)
