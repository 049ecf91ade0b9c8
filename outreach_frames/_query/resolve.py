"""Resolve the names and include paths of a query against the catalog."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import pandas as pd

from outreach_frames._query.url import Query
from outreach_frames._query.values import NOT_NULL, Parameters, is_ambiguous, new_syntax, validate_value
from outreach_frames.catalog import Catalog, Include, Relationship, ResourceType, Step, camel
from outreach_frames.errors import QueryError, UnknownNameError


def normalize_include(include: Include) -> Mapping[str, Sequence[str] | None]:
    """Return the names wanted by path, ``None`` for the default ones; a list of paths wants every step of them."""
    if isinstance(include, Mapping):
        return include
    paths = include.split(",") if isinstance(include, str) else include or ()
    return {".".join(path.split(".")[: n + 1]): None for path in paths for n in range(path.count(".") + 1)}


def follow(catalog: Catalog, resource: ResourceType, path: str, *, tables: bool = False) -> list[Step]:
    """
    Follow a path, in either spelling.

    Parameters
    ----------
    tables
        Whether related resources become tables of their own, so that there may be many of them to one.

    Raises
    ------
    UnknownNameError
        There is no such relationship.
    QueryError
        What it leads to cannot come along.
    """
    types: Mapping[str, ResourceType] = {resource.name: resource}
    steps = []
    for name in path.split("."):
        steps.append(catalog.step(types, name, partial(_obstacle, catalog, path, tables=tables)))
        types = steps[-1].targets
    return steps


def _obstacle(
    catalog: Catalog, path: str, source: ResourceType, relationship: Relationship, *, tables: bool
) -> QueryError | None:
    """Return why what a relationship leads to cannot come along, if it cannot."""
    if not relationship.has_data:
        return only_a_link(catalog, source, relationship)
    if not catalog.targets(relationship):
        return QueryError(f"{path!r} cannot be included: what it leads to is not in the catalog.")
    if relationship.many and not tables:
        return QueryError(
            f"{path!r} cannot be included in a flat frame: {relationship.name} holds many records.",
            hint="Use fetch_tables, or fetch the related resources with a filter.",
        )
    return None


def only_a_link(catalog: Catalog, source: ResourceType, relationship: Relationship) -> QueryError:
    """Return the error for a relationship of which the API sends no identifiers."""
    related = " or ".join(target.table for target in catalog.targets(relationship).values())
    return QueryError(
        f"The API sends no ids for {source.name}.{relationship.name}.",
        hint=f"Fetch {related or 'the related resources'} filtered by {source.column}.",
    )


def back_reference(catalog: Catalog, source: ResourceType, relationship: Relationship) -> Relationship | None:
    """
    Return the foreign key that says the same as a to-many relationship; ``None`` where none certainly does.

    It does where each of the two types has a single relationship that leads to the other: the steps of a sequence
    are those that name it. A prospect has two relationships to sequence states, and one lists only some of them.
    """
    targets = list(catalog.targets(relationship).values())
    if len(targets) != 1:
        return None
    there = [r for r in source.relationships.values() if targets[0].name in r.targets]
    back = [r for r in targets[0].relationships.values() if source.name in r.targets]
    certain = len(there) == len(back) == 1 and back[0].has_data and not back[0].many and not back[0].polymorphic
    return back[0] if certain else None


def target_types(ways: Iterable[Sequence[Step]]) -> dict[str, ResourceType]:
    """Return every type that paths lead to or through, by name."""
    return {name: kind for steps in ways for step in steps for name, kind in step.targets.items()}


def required_relationships(
    catalog: Catalog, resource: ResourceType, ways: Iterable[Sequence[Step]]
) -> dict[str, dict[str, None]]:
    """
    Return the relationships without which paths cannot be followed, by type.

    They are those that the paths pass through, and the foreign keys behind to-many ones.
    """
    found: dict[str, dict[str, None]] = {}
    for steps in ways:
        types: Mapping[str, ResourceType] = {resource.name: resource}
        for step in steps:
            for name, relationship in step.links.items():
                found.setdefault(name, {})[step.name] = None
                back = back_reference(catalog, types[name], relationship) if relationship.many else None
                if back is not None:
                    found.setdefault(relationship.targets[0], {})[back.name] = None
            types = step.targets
    return found


EXTRA_FILTERS = {
    "account": {"q"},
    "auditLog": {"agentEmail", "agentIpAddress"},
    "complianceRequest": {"batchComplianceRequest"},
    "prospect": {"q"},
}
"""Filters that the API takes though no attribute has the name."""

EXTRA_SORTS = {"event": {"updatedAt"}}
"""Sorts that the vendor's guide uses though the contract has no such attribute."""
CONNECTED = frozenset(
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
    if data_connections and kind.name not in CONNECTED:
        able = ", ".join(catalog.types[name].table for name in sorted(CONNECTED) if name in catalog.types)
        raise QueryError(f"{kind.table} have no data connections.", hint=f"Possible for {able}.")
    steps: dict[str, list[Step]] = {}
    paths: dict[str, tuple[str, ...]] = {}
    for given, names in normalize_include(include).items():
        way = follow(catalog, kind, given, tables=tables)
        path = ".".join(step.name for step in way)
        steps[path] = way
        paths[path] = tuple(dict.fromkeys((*paths.get(path, ()), *_wanted(path, way[-1], names))))
    columns = None if fields == "*" else tuple(_columns(catalog, kind, fields, custom=custom))
    filters = tuple(_filters(catalog, kind, filter or {}))
    _check_together(filters)
    return Query(
        resource=kind,
        columns=columns,
        include=paths,
        reached=target_types(steps.values()),
        filters=filters,
        sort=tuple(_sort(kind, sort)),
        fieldsets={} if columns is None else _fieldsets(catalog, kind, columns, paths, steps),
        data_connections=data_connections,
    )


def default_columns(kind: ResourceType) -> list[str]:
    """
    Return the API names fetched where none are named.

    All attributes but the heavy bodies, secrets, write-only ones and the numbered custom fields; and the to-one
    relationships.
    """
    attributes = [
        a.name for a in kind.attributes.values() if not (a.is_heavy or a.is_secret or a.write_only or a.is_custom)
    ]
    return attributes + [r.name for r in kind.relationships.values() if r.has_data and not r.many]


def batch_filter(catalog: Catalog, resource: str | None, given: Mapping[str, Any]) -> Parameters:
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
        filters = [(f"[{name}]", validate_value(name, value)) for name, value in given.items()]
    else:
        filters = list(_filters(catalog, catalog.resource(resource), given))
    empty = next((key for key, value in filters if isinstance(value, tuple) and not value), None)
    if empty:
        raise QueryError(
            f"The filter on {empty.strip('[]').replace('][', '.')} is an empty list, which selects no records; "
            "nothing was sent.",
            hint="Ask for a batch only where there are records for it.",
        )
    pairs = [pair for key, value in filters for pair in new_syntax(key, value)]
    return [(f"actionParams[filter]{key.removeprefix('filter')}", value) for key, value in pairs]


def _columns(
    catalog: Catalog, kind: ResourceType, fields: Sequence[str] | None, *, custom: bool | Collection[str]
) -> Iterator[str]:
    if fields is None:
        named = default_columns(kind)
    else:
        _refuse_text("fields", fields)
        named = list(dict.fromkeys(kind.member(name).name for name in fields if name != "id"))
    for name in named:
        relationship = kind.relationships.get(name)
        if relationship and not relationship.has_data:
            raise only_a_link(catalog, kind, relationship)
        yield name
    numbered = [a.name for a in kind.attributes.values() if a.is_custom and a.name not in named]
    yield from (name for name in numbered if custom is True or (custom and name in custom))


def _refuse_text(what: str, names: object) -> None:
    if isinstance(names, str):
        raise QueryError(f"{what}={names!r} is one string.", hint=f"Write {what}=[{names!r}].")


def _wanted(path: str, last: Step, names: Sequence[str] | None) -> list[str]:
    """Return the API names wanted of what a path leads to."""
    targets = last.targets.values()
    if names is None:
        return list(dict.fromkeys(name for target in targets for name in default_columns(target)))
    _refuse_text(f"include[{path!r}]", names)
    return [_member_of_any(targets, name) for name in names if name != "id"]


def _member_of_any(targets: Iterable[ResourceType], name: str) -> str:
    missing = None
    for target in targets:
        try:
            return target.member(name).name
        except UnknownNameError as error:
            missing = missing or error
    raise missing or UnknownNameError(name, kind="attribute", known=())


def _fieldsets(
    catalog: Catalog,
    kind: ResourceType,
    columns: Sequence[str],
    paths: Mapping[str, Sequence[str]],
    steps: Mapping[str, Sequence[Step]],
) -> dict[str, tuple[str, ...]]:
    """Collect the fields to ask for by type: what is wanted of each on any path, and what the paths need."""
    wanted = {kind.name: dict.fromkeys(columns)} | {
        name: {} for name in target_types(steps.values()) if name != kind.name
    }
    for path, names in paths.items():
        for target in steps[path][-1].targets.values():
            members = target.attributes.keys() | target.relationships.keys()
            wanted[target.name] |= dict.fromkeys(name for name in names if name in members)
    for name, relationships in required_relationships(catalog, kind, steps.values()).items():
        wanted[name] |= relationships
    return {name: tuple(fields) for name, fields in wanted.items()}


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


def _filters(catalog: Catalog, kind: ResourceType, given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in given.items():
        if isinstance(value, Mapping):
            if not value:
                raise QueryError(
                    f"The filter on {name} says nothing.", hint="Leave it out, or say what is asked of it."
                )
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
