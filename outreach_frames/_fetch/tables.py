"""Fetch normalized tables: one frame per included resource type, and one per many-to-many relationship."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from outreach_frames._fetch.custom_fields import CustomField, labeled_frame
from outreach_frames._fetch.generic import fetch_parts, refuse_params
from outreach_frames._fetch.pagination import FetchedPage, Paginator, hinting
from outreach_frames._fetch.plan import (
    BY_ID,
    FetchOptions,
    Order,
    PagingStrategy,
    arranged,
    arrangement_of,
    paginator_of,
)
from outreach_frames._fetch.raw_pages import by_type, document_of, read_raw_page
from outreach_frames._fetch.signatures import tables_function
from outreach_frames._jsonapi import Layout, concat
from outreach_frames._query import Query, Selection, back_reference
from outreach_frames.catalog import Catalog, Relationship, ResourceType
from outreach_frames.client import Client


@tables_function
def fetch_tables(client: Client, resource: str, /, **options: Any) -> dict[str, pd.DataFrame]:
    """
    Fetch records and what they are related to, each resource type as a frame of its own.

    Parameters
    ----------
    client, resource, **options
        As in `fetch`, ``dtypes`` and ``as_`` for every frame; the others are about the records asked for, not about
        related ones. ``include`` takes to-many relationships as well, as far as the API sends their ids.

    Returns
    -------
    tables : dict of DataFrame
        By name (``"sequence_steps"``), the type asked for first. One row per record [id unique], its columns as in
        `fetch` without joins; related ones are found by their ``<relationship>_id``. A to-many relationship adds no
        column: either each related record names this one (``sequence_steps`` have ``sequence_id``), or there is a link
        frame ``<table>__<relationship>`` (``"prospects__opportunities"``) with one row per pair and the columns
        ``<type>_id`` and ``<related type>_id`` (``related_<type>_id`` where both are of one type).

        Related records that the API did not send are missing from their table; their ids still stand in the others.
        Records of the type asked for that came only as related ones stand with the others. Frames are sorted by
        ``id``, the one asked for by ``sort``; empty ones keep every column and dtype.

        Custom objects and other servers' resources are tables by the name of their type, as far as any came, with the
        columns of `read_jsonapi` and ids of to-many relationships as lists.

    Raises
    ------
    QueryError
        Also for a relationship of which the API sends only a link; the hint names the fetch to make instead.
    UnknownNameError, APIError, TransportError, DocumentError
        As in `fetch`.

    Notes
    -----
    Source: ``GET /<resource>?include=…``, Outreach API v2.

    Examples
    --------
    >>> tables = of.fetch_tables(org, "sequences", include=["owner", "ruleset"])
    >>> {name: len(table) for name, table in tables.items()}
    {'sequences': 12, 'users': 4, 'rulesets': 2}
    """
    chosen = FetchOptions(**options)
    frame_kind = chosen.frame_kind(client)
    refuse_params(client, chosen.params)
    if not client.is_cataloged(resource):
        return {name: frame_kind.of(frame) for name, frame in fetch_parts(client, resource, chosen).items()}
    kind = client.catalog.resource(resource)
    labels, query = chosen.query(client, resource, tables=True)
    way = arrangement_of(query, chosen.limit)
    plan = PagingStrategy(way.query, limit=chosen.limit, page_size=chosen.page_size, parallel=chosen.parallel)
    reader = _Reader(way.query, client.catalog, strict=chosen.strict)
    with paginator_of(client, kind.table, reader.read, chosen) as paginator:
        pages = [page.content for page in plan.pages(paginator)]
    arrow_tables = reader.tables(pages, way.order, chosen.limit)
    arrow_tables[kind.table] = arrow_tables[kind.table].drop_columns([*way.sort_only])
    tables = _normalized(arrow_tables, _to_many(query), client.catalog)
    return {
        name: frame_kind.of(_table_frame(name, table, labels if name == kind.table else (), paginator))
        for name, table in tables.items()
    }


@dataclass(frozen=True)
class _Page:
    """The records of one page: those asked for, and those of each type that came along."""

    primary: pa.RecordBatch
    related: Mapping[str, pa.RecordBatch]


class _Reader:
    """Reads the resources of every type on a page, each by a layout of its own."""

    def __init__(self, query: Query, catalog: Catalog, *, strict: bool) -> None:
        self._query = query
        self._primary = query.resource
        self._is_open = query.columns is None
        self._types = query.types
        self._layouts = {
            name: Layout(
                Selection(kind, None if self._is_open else query.fieldsets[name]),
                catalog=catalog,
                open=self._is_open,
                meta=query.data_connections and name == query.resource.name,
                strict=strict,
            )
            for name, kind in query.types.items()
        }

    def read(self, body: bytes) -> FetchedPage[_Page]:
        with hinting(self._query):
            page = self._layouts[self._primary.name].page(body)
            related = {name: self._layouts[name].page(part) for name, part in self._related(body)}
        unknown = [] if self._is_open else [p.unknown for p in (page, *related.values())]
        return FetchedPage(
            content=_Page(page.batch, {name: part.batch for name, part in related.items()}),
            keys=page.batch.column("id"),
            next=page.next,
            count=page.count,
            count_truncated=page.count_truncated,
            unknown={name: names for part in unknown for name, names in part.items()},
            misfits=[misfit for part in (page, *related.values()) for misfit in part.misfits],
        )

    def _related(self, body: bytes) -> Iterator[tuple[str, bytes]]:
        """Yield what is included of each type, as a page of its own."""
        included = by_type(read_raw_page(body).content.included, where="included")
        yield from ((name, document_of(included[name])) for name in self._layouts if name in included)

    def tables(self, pages: Sequence[_Page], order: Order, limit: int | None) -> dict[str, pa.Table]:
        """Put the pages together; by table name, the type asked for first."""
        tables = {}
        for name, layout in self._layouts.items():
            primary = [page.primary for page in pages if name == self._primary.name]
            related = [page.related[name] for page in pages if name in page.related]
            table = concat([*primary, *related], layout.schema)
            if primary:
                table = _primary_first(table, sum(batch.num_rows for batch in primary), order, limit)
            tables[self._types[name].table] = table if primary and order != BY_ID else arranged(table, BY_ID)
        return tables


def _primary_first(table: pa.Table, rows: int, order: Order, limit: int | None) -> pa.Table:
    """Arrange the records asked for, which are the first rows, and put those behind that only came along."""
    primary, others = arranged(table.slice(0, rows), order, limit), table.slice(rows)
    others = others.filter(pc.invert(pc.is_in(others["id"], value_set=primary["id"])))
    return pa.concat_tables([primary, arranged(others, BY_ID)])


def _to_many(query: Query) -> list[tuple[ResourceType, Relationship]]:
    """Return the to-many relationships that paths pass through, each with the type that has it."""
    links = [(node.resource, each.relationship) for node in query.selection.descend() for each in node.included]
    return list({(source.name, link.name): (source, link) for source, link in links if link.many}.values())


def _normalized(
    tables: Mapping[str, pa.Table], to_many: Iterable[tuple[ResourceType, Relationship]], catalog: Catalog
) -> dict[str, pa.Table]:
    """Replace the lists of ids by link tables, or by nothing where foreign keys say the same."""
    flat, links = dict(tables), {}
    for source, relationship in to_many:
        table = flat[source.table]
        if back_reference(catalog, source, relationship) is None:
            links[f"{source.table}__{relationship.column}"] = _pairs(table, source, relationship, catalog)
        flat[source.table] = table.drop_columns(relationship.id_column)
    return flat | links


def _pairs(table: pa.Table, source: ResourceType, relationship: Relationship, catalog: Catalog) -> pa.Table:
    """Return one row per pair of related records."""
    lists = table[relationship.id_column].combine_chunks()
    target = catalog.types[relationship.targets[0]]
    other = f"{'related_' if target.name == source.name else ''}{target.column}_id"
    rows = pc.list_parent_indices(lists)
    return pa.table({f"{source.column}_id": table["id"].take(rows), other: pc.list_flatten(lists)})


def _table_frame(
    name: str, table: pa.Table, labels: Iterable[CustomField], paginator: Paginator[_Page]
) -> pd.DataFrame:
    frame = labeled_frame(table, labels)
    frame.attrs["outreach_frames"] |= paginator.provenance(name)
    return frame
