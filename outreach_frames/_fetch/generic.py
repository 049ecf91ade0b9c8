"""
Resources without a catalog: custom objects, and other JSON:API servers.

Their names cannot be checked and are sent as they are given. Their columns are what `read_jsonapi` makes of all pages
together: types are inferred, and an empty result has only ``id``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pandas as pd

from outreach_frames._fetch.foreign_paging import WAYS, Pages, Paging
from outreach_frames._fetch.pagination import FetchedPage, Paginator, ReceivedRecords
from outreach_frames._fetch.plan import (
    FetchOptions,
    PagingStrategy,
    arrangement_of,
    check_limit,
    check_page_size,
    paginator_of,
)
from outreach_frames._fetch.raw_pages import (
    RawDocument,
    by_type,
    deduplicated,
    document_of,
    merged_pages,
    observed_in,
    read_raw_page,
)
from outreach_frames._frame_kinds import Dtypes
from outreach_frames._http import Session
from outreach_frames._jsonapi import read_jsonapi
from outreach_frames._query import (
    NOT_NULL,
    Between,
    Include,
    Parameters,
    Query,
    Selection,
    legacy_syntax,
    text,
    validate_value,
)
from outreach_frames.catalog import Catalog, ResourceType
from outreach_frames.client import CUSTOM_OBJECTS, Client
from outreach_frames.errors import DocumentError, QueryError


class Server(Client):
    """
    Connection to a JSON:API server other than Outreach; made by `connect_jsonapi`.

    Parameters
    ----------
    session
        The HTTP session, signed in where that is needed.
    paging, check_total, dtypes
        As in `connect_jsonapi`.
    params
        Parameters of every request.

    Raises
    ------
    QueryError
        There is no such way of paging.
    """

    def __init__(
        self,
        session: Session,
        *,
        paging: Paging = "links",
        check_total: bool = True,
        params: Parameters | None = None,
        dtypes: Dtypes = "arrow",
    ) -> None:
        if not callable(paging) and paging not in WAYS:
            able = ", ".join(f'"{way}"' for way in WAYS)
            raise QueryError(f"There is no paging={paging!r}.", hint=f"Choose one of {able}, or give a function.")
        super().__init__(session, catalog=Catalog({}), dtypes=dtypes)
        self.paging = paging
        self.check_total = check_total
        self.params = params or []

    def is_cataloged(self, resource: str) -> bool:  # noqa: ARG002  the same for every resource
        """Return that it is not: the server's resources are its own."""
        return False


@dataclass(frozen=True)
class GenericQuery:
    """
    What is asked of a resource, in the server's own names.

    Attributes
    ----------
    resource
        Path below the base, such as ``articles`` or ``custom_objects/contract``.
    options
        Those of `outreach_frames.fetch`; ``fields`` are names for the type that is called like the resource, or
        type → names.

    Raises
    ------
    QueryError
        An option is only for resources of the catalog.
    """

    resource: str
    options: FetchOptions

    def __post_init__(self) -> None:
        for name in ("custom", "data_connections", "parallel"):
            if getattr(self.options, name):
                raise QueryError(f"{name} is only for the resources of the catalog.", hint=f"Leave {name} out.")

    @property
    def path(self) -> str:
        """Path of the collection below the base."""
        own = [name for prefix in CUSTOM_OBJECTS if (name := self.resource.removeprefix(prefix)) != self.resource]
        return f"/customObjects/{_segment(own[0])}" if own else f"/{quote(self.resource.lstrip('/'))}"

    @property
    def name(self) -> str:
        """Name of the collection, which is what many servers call the type as well."""
        return self.path.rstrip("/").rpartition("/")[2]

    def path_of(self, id: int | str) -> str:  # noqa: A002  JSON:API's own word
        """Path of one record; a collection that ends in a slash has records that do."""
        return f"{self.path.rstrip('/')}/{_segment(id)}{'/' if self.path.endswith('/') else ''}"

    @property
    def paths(self) -> list[str]:
        """The included paths."""
        if isinstance(self.options.include, Mapping):
            raise QueryError("Columns of what is included cannot be chosen here.", hint="Use fields={type: [names]}.")
        return _name_list(self.options.include)

    def query(self) -> Query:
        """Return the query for a custom object, which follows Outreach's syntax of filters."""
        kind = ResourceType(
            name=self.name,
            plural=self.path.strip("/"),
            id_type="string",
            operations=frozenset({"list", "get"}),
            s2s_operations=frozenset(),
            actions={},
            collection_actions={},
            attributes={},
            relationships={},
        )
        return Query(
            selection=Selection(kind),
            paths=tuple(self.paths),
            filters=tuple(_filter_pairs(self.options.filter or {})),
            sort=tuple(_name_list(self.options.sort)),
            fieldsets={of: tuple(names) for of, names in self._fieldsets().items()},
        )

    def parameters(self) -> Parameters:
        """Return the URL parameters for a server of which nothing is known, as JSON:API has them."""
        parameters = []
        for key, value in _filter_pairs(self.options.filter or {}):
            if value is None or value is NOT_NULL or isinstance(value, Between):
                raise QueryError(
                    "JSON:API leaves it to each server how null and ranges are asked for.",
                    hint="Write the filter in the server's own words, such as {'price__gte': 5}.",
                )
            if isinstance(value, tuple) and any("," in text(one) for one in value):
                raise QueryError(
                    f"A value in the list for {key.strip('[]')} holds a comma, which stands between values.",
                    hint="Write it as the server wants it, with params={'filter[…]': …}.",
                )
            parameters.append((f"filter{key}", legacy_syntax(value)))
        lists = {"sort": _name_list(self.options.sort), "include": self.paths}
        lists |= {f"fields[{of}]": list(names) for of, names in self._fieldsets().items()}
        parameters += [(name, ",".join(names)) for name, names in lists.items() if names or "[" in name]
        for name, value in (self.options.params or {}).items():
            values = value if isinstance(value, list | tuple) else [value]
            parameters += [(name, text(one)) for one in values]
        return parameters

    def _fieldsets(self) -> Mapping[str, Sequence[str]]:
        fields = self.options.fields
        if fields is None or fields == "*":
            return {}
        if isinstance(fields, str):
            raise QueryError(f"fields={fields!r} is one string.", hint=f"Write fields=[{fields!r}].")
        return fields if isinstance(fields, Mapping) else {self.name: fields}


def _segment(name: int | str) -> str:
    """Write a name as one step of a path; one that would lead elsewhere is refused."""
    if str(name) in {"", ".", ".."}:
        raise QueryError(f"{name!r} is no name or id.", hint="Give it as the server writes it.")
    return quote(str(name), safe="")


def _name_list(names: str | Sequence[str] | None) -> list[str]:
    return names.split(",") if isinstance(names, str) else list(names or ())


def _filter_pairs(filters: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield key and value; a mapping as value names what is filtered by across a relationship."""
    for name, value in filters.items():
        if isinstance(value, Mapping):
            if not value:
                raise QueryError(f"The filter on {name} is an empty mapping.", hint="Leave it out, or give it a value.")
            yield from ((f"[{name}]{key}", inner) for key, inner in _filter_pairs(value))
        else:
            yield f"[{name}]", validate_value(name, value)


def refuse_params(client: Client, params: Mapping[str, Any] | None) -> None:
    """Refuse raw parameters for Outreach, whose own are all known."""
    if params and not isinstance(client, Server):
        raise QueryError("params is only for servers other than Outreach.", hint="Use filter, sort, include, fields.")


def fetch_frame(client: Client, resource: str, options: FetchOptions) -> pd.DataFrame:
    """
    Fetch all records of a resource that fit; see `outreach_frames.fetch`.

    Rows are in the server's order; custom objects are sorted by id where no order is asked for.

    Raises
    ------
    QueryError
        Also for a sort of custom objects by a filter too long for one URL, whose parts cannot be put in order; and for
        an include of a to-many relationship, which is seen only in the response.
    """
    question = GenericQuery(resource, options)
    with paginator_of(client, resource, read_raw_page, options) as paginator:
        document = merged_pages((page.content for page in _pages_of(paginator, question)), options.limit)
    _refuse_to_many(document, question.paths)
    frame = _frame_of(client, document, options)
    if _is_outreach(client) and not options.sort:
        frame = frame.sort_values("id", ignore_index=True, kind="stable")
    frame.attrs["outreach_frames"] = paginator.provenance()
    return frame


def fetch_parts(client: Client, resource: str, options: FetchOptions) -> dict[str, pd.DataFrame]:
    """Fetch records and all that is included, a frame per type, by the name of the type; to-many ids are lists."""
    question = GenericQuery(resource, options)
    with paginator_of(client, resource, read_raw_page, options) as paginator:
        document = merged_pages((page.content for page in _pages_of(paginator, question)), options.limit)
    # What was asked for stands first, and as it came there, whatever else came of it beside other records.
    together = deduplicated([*document.included, *document.data])
    rows = len(document.data)
    tables = {}
    for name, resources in by_type([*together[-rows:], *together[:-rows]], where="data").items():
        tables[name] = _frame_of(client, RawDocument(data=resources), options, include=())
        tables[name].attrs["outreach_frames"] = paginator.provenance(name)
    return tables


def fetch_record(client: Client, resource: str, id: int | str, options: FetchOptions) -> pd.Series:  # noqa: A002
    """Fetch one record; see `outreach_frames.fetch_one`."""
    question = GenericQuery(resource, options)
    params = [*client.params, *question.parameters()] if isinstance(client, Server) else question.query().parameters()
    paginator = Paginator(client, resource, read_raw_page, refresh=options.refresh, progress=False)
    document = paginator.page(question.path_of(id), params).content
    _refuse_to_many(document, question.paths)
    frame = _frame_of(client, document, options)
    if len(frame) != 1:
        raise DocumentError(f"Asked for one record, the answer holds {len(frame)}.", id=id)
    record = frame.iloc[0]
    return record.rename(record["id"])


def _frame_of(client: Client, document: RawDocument, options: FetchOptions, include: Include = None) -> pd.DataFrame:
    body = document_of(document.data, document.included)
    return read_jsonapi(body, include=include, catalog=_is_outreach(client), strict=options.strict)


def _is_outreach(client: Client) -> bool:
    """Tell whether types mean what the catalog says; another server's ``user`` is not Outreach's."""
    return not isinstance(client, Server)


def _pages_of(paginator: Paginator[RawDocument], question: GenericQuery) -> Iterator[FetchedPage[RawDocument]]:
    query, limit, page_size = question.query(), question.options.limit, question.options.page_size
    if not isinstance(paginator.client, Server):
        arrangement_of(query, limit)  # refuses what would come in another order than the one asked for
        return PagingStrategy(query, limit=limit, page_size=page_size).pages(paginator)
    check_limit(limit)
    check_page_size(page_size)
    pages = Pages(
        paginator,
        paginator.client.paging,
        question.path,
        question.parameters(),
        page_size=page_size,
        always=paginator.client.params,
        check_total=paginator.client.check_total,
    )
    if query.matches_nothing or limit == 0:
        return iter(())
    return _enough(pages, ReceivedRecords(paginator.name), limit)


def _enough(
    pages: Iterable[FetchedPage[RawDocument]], records: ReceivedRecords, limit: int | None
) -> Iterator[FetchedPage[RawDocument]]:
    for page in pages:
        yield page
        records.add(page)
        if limit is not None and len(records) >= limit:
            return


def _refuse_to_many(document: RawDocument, paths: Iterable[str]) -> None:
    """
    Refuse what does not fit into one row for each resource.

    Raises
    ------
    DocumentError
        A resource has no type.
    QueryError
        A path leads to many resources.
    """
    seen, own = observed_in(document), set(by_type(document.data, where="data"))
    for path in paths:
        types = own
        for step in path.split("."):
            links = [seen[name].relationships[step] for name in types if step in seen[name].relationships]
            if any(link.many for link in links):
                raise QueryError(
                    f"{path!r} leads to many resources, which do not fit beside one row.",
                    hint="Use fetch_tables, which gives every type a frame of its own.",
                )
            types = {target for link in links for target in link.targets}
