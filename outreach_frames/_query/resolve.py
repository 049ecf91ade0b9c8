"""Check a query against the catalog: its names, filters and sort."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Literal

import pandas as pd

from outreach_frames._query.selection import default_columns, fieldsets_of, normalize_include, select
from outreach_frames._query.url import Query
from outreach_frames._query.values import NOT_NULL, Parameters, is_ambiguous, new_syntax, validate_value
from outreach_frames.catalog import Catalog, Include, Relationship, ResourceType, camel
from outreach_frames.errors import QueryError, UnknownNameError

EXTRA_FILTERS = {
    "account": {"q"},
    "auditLog": {"agentEmail", "agentIpAddress"},
    "complianceRequest": {"batchComplianceRequest"},
    "prospect": {"q"},
}
"""Filters that the API takes though no attribute has the name."""

EXTRA_SORTS = {"event": {"updatedAt"}}
"""Sorts that the vendor's guide uses though the contract has no such attribute."""
_CRM_TYPES = frozenset(
    {"account", "call", "event", "mailing", "opportunity", "opportunityStage", "product", "prospect", "purchase"}
    | {"stage", "task", "user"}
)
"""Types whose records the API can link to records of a CRM."""


def build(
    catalog: Catalog,
    resource: str,
    *,
    filter: Mapping[str, Any] | None = None,  # noqa: A002  the API's own word
    sort: str | Sequence[str] | None = None,
    include: Include = None,
    fields: Sequence[str] | Literal["*"] | None = None,
    custom: bool | Collection[str] = False,
    data_connections: bool = False,
    tables: bool = False,
) -> Query:
    """
    Check a query and translate its names.

    Parameters
    ----------
    custom
        Whether all custom fields are added, or the API names of some.
    tables
        Whether related resources become tables of their own, so that there may be many of them to one.

    The others are those of `outreach_frames.fetch`.

    Raises
    ------
    UnknownNameError
        A resource, attribute, relationship or include that does not exist.
    QueryError
        The API cannot answer it: not listable, not filterable, not sortable, a value that does not fit, a to-many
        relationship included into a flat frame, a relationship included of which it sends only a link.
    """
    kind = catalog.resource(resource)
    if not isinstance(filter, Mapping | None):
        raise QueryError("filter takes names and values.", hint='Write it like filter={"state": "delivered"}.')
    if isinstance(custom, str):
        raise QueryError(f"There is no custom={custom!r}.", hint='Choose True, False or "labels".')
    if data_connections and kind.name not in _CRM_TYPES:
        able = ", ".join(catalog.types[name].table for name in sorted(_CRM_TYPES) if name in catalog.types)
        raise QueryError(f"{kind.table} have no data connections.", hint=f"Possible for {able}.")
    selection = select(
        catalog,
        kind,
        fields=_fields(kind, fields, custom=custom),
        include={
            path: names if names is None or isinstance(names, str) else [name for name in names if name != "id"]
            for path, names in normalize_include(include).items()
        },
        default=default_columns,
        many=tables,
    )
    filters = tuple(_resolved_filters(catalog, kind, filter or {}))
    _check_together(filters)
    return Query(
        selection=selection,
        paths=tuple(dict.fromkeys(selection.paths())),
        filters=filters,
        sort=tuple(_sort(kind, sort)),
        fieldsets={} if selection.names is None else fieldsets_of(catalog, selection),
        data_connections=data_connections,
    )


def _fields(
    kind: ResourceType, fields: Sequence[str] | Literal["*"] | None, *, custom: bool | Collection[str]
) -> Sequence[str] | None:
    """Return the names of the columns, custom fields last; ``None`` for all."""
    if fields == "*" or isinstance(fields, str):
        return None if fields == "*" else fields
    names = default_columns(kind) if fields is None else list(fields)
    numbered = [a.name for a in kind.attributes.values() if a.is_custom]
    return names + [name for name in numbered if custom is True or (custom and name in custom)]


def batch_filter(catalog: Catalog, resource: str | None, named: Mapping[str, Any]) -> Parameters:
    """
    Write the filter of a batch action, which follows the new syntax.

    Parameters
    ----------
    resource
        The type whose records are meant; ``None`` for custom objects, whose names nobody can check.
    given
        As for `build`.

    Raises
    ------
    UnknownNameError, QueryError
        As for `build`; also for any of no values, which selects nothing and in this syntax would not be there to see.
    """
    if resource is None:
        filters = [(f"[{name}]", validate_value(name, value)) for name, value in named.items()]
    else:
        filters = list(_resolved_filters(catalog, catalog.resource(resource), named))
    empty = next((key for key, value in filters if isinstance(value, tuple) and not value), None)
    if empty:
        raise QueryError(
            f"The filter on {empty.strip('[]').replace('][', '.')} is an empty list, which selects no records; "
            "nothing was sent.",
            hint="Ask for a batch only where there are records for it.",
        )
    pairs = [pair for key, value in filters for pair in new_syntax(key, value)]
    return [(f"actionParams[filter]{key.removeprefix('filter')}", value) for key, value in pairs]


def _sort(kind: ResourceType, sort: str | Sequence[str] | None) -> Iterator[str]:
    for key in sort.split(",") if isinstance(sort, str) else sort or ():
        descending, name = key.startswith("-"), key.removeprefix("-")
        if name == "id":
            raise QueryError(
                "The API is not known to sort by id.", hint="Leave sort out: results come sorted by id anyway."
            )
        if camel(name) in EXTRA_SORTS.get(kind.name, ()):
            yield f"-{camel(name)}" if descending else camel(name)
            continue
        attribute = next((a for a in kind.attributes.values() if a.column == name), None) or kind.attribute(name)
        if not attribute.sortable:
            able = ", ".join(a.column for a in kind.attributes.values() if a.sortable)
            raise QueryError(
                f"{kind.table} cannot be sorted by {attribute.column}.", hint=f"Sortable: {able or 'nothing'}."
            )
        yield f"-{attribute.name}" if descending else attribute.name


def _check_together(filters: Sequence[tuple[str, Any]]) -> None:
    """Refuse filters that the API would read otherwise than they are meant."""
    named = [key for key, _ in filters]
    twice = next((key for key in named if named.count(key) > 1), None)
    if twice:
        raise QueryError(f"There are two filters on {twice}, of which the API would see one.", hint="Join them.")
    if any(map(is_ambiguous, dict(filters).values())) and any(v is None or v is NOT_NULL for _, v in filters):
        raise QueryError(
            "A value with a comma or '..' needs the API's newer filter syntax, which is not known to have null.",
            hint="Filter by one of the two, and by the other on the frame.",
        )


def _resolved_filters(catalog: Catalog, kind: ResourceType, named: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in named.items():
        if isinstance(value, Mapping):
            if not value:
                raise QueryError(f"The filter on {name} is an empty mapping.", hint="Leave it out, or give it a value.")
            for inner, inner_value in value.items():
                yield _filter(catalog, kind, f"{name}.{inner}", inner_value)
        else:
            yield _filter(catalog, kind, name, value)


def _filter(catalog: Catalog, kind: ResourceType, name: str, value: Any) -> tuple[str, Any]:
    head, _, rest = name.partition(".")
    if head == "id" or camel(head) in EXTRA_FILTERS.get(kind.name, ()):
        return f"[{camel(head)}]", validate_value(name, value)
    member = kind.member(head).name
    if member in kind.attributes and not rest:
        attribute = kind.attributes[member]
        if not attribute.filterable:
            raise _not_filterable(kind, attribute.column)
        return f"[{member}]", validate_value(name, value, attribute)
    if member not in kind.relationships:
        raise UnknownNameError(name, kind=f"relationship of {kind.name}", known=kind.relationships)
    relationship = kind.relationships[member]
    if relationship.filter == ():
        raise _not_filterable(kind, relationship.column)
    allowed = _related_filters(catalog, relationship)
    inner = next((a for a in allowed if rest in (a, allowed[a])), None) if rest else "id"
    if inner is None:
        raise QueryError(
            f"{kind.table} cannot be filtered by {rest} of {relationship.column}.",
            hint=f"Possible: {', '.join(allowed.values())}. Or fetch the ids first and filter by those.",
        )
    if inner == "id" and isinstance(value, pd.Series) and "id" in value:
        value = value["id"]  # a row of a frame stands for its record
    return f"[{member}][{inner}]", validate_value(name, value)


def _related_filters(catalog: Catalog, relationship: Relationship) -> dict[str, str]:
    """Map what may be filtered by across a relationship to its columns; only the id where nothing is said."""
    allowed = relationship.filter or ("id",)
    targets = catalog.targets(relationship).values()
    if allowed == ("*",):
        return {"id": "id"} | {a.name: a.column for t in targets for a in t.attributes.values() if a.filterable}
    columns = {a.name: a.column for t in targets for a in t.attributes.values()}
    return {name: columns.get(name, name) for name in allowed}


def _not_filterable(kind: ResourceType, name: str) -> QueryError:
    able = [a.column for a in kind.attributes.values() if a.filterable]
    able += [r.column for r in kind.relationships.values() if r.filter != () and r.has_data]
    return QueryError(f"{kind.table} cannot be filtered by {name}.", hint=f"Filterable: id, {', '.join(able)}.")
