"""From the user's words to a checked query: names looked up, what the API would refuse refused early."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from outreach_frames.catalogue import Catalogue, Relationship, ResourceType
from outreach_frames.errors import QueryError, UnknownNameError
from outreach_frames.query._query import Query
from outreach_frames.query.values import Parameters, checked, new_syntax

EXTRA_FILTERS = {"account": {"q"}, "prospect": {"q"}, "complianceRequest": {"batchComplianceRequest"}}
"""Filters that the API takes though no attribute has the name."""


def build(
    catalogue: Catalogue,
    resource: str,
    *,
    filter: Mapping[str, Any] | None = None,  # noqa: A002  the API's own word
    sort: str | Sequence[str] | None = None,
    include: str | Sequence[str] | Mapping[str, Sequence[str] | None] | None = None,
    fields: Sequence[str] | Literal["*"] | None = None,
    custom: bool = False,
) -> Query:
    """
    Check a query and translate its names.

    Parameters are those of `outreach_frames.fetch`.

    Raises
    ------
    UnknownNameError
        A resource, attribute, relationship or include that does not exist.
    QueryError
        The API cannot answer it: not listable, not filterable, not sortable, a value that does not fit, a to-many
        relationship included into a flat frame.
    """
    kind = catalogue.resource(resource)
    paths = dict(_included(catalogue, kind, include))
    columns = None if fields == "*" else tuple(_columns(kind, fields, custom=custom))
    return Query(
        resource=kind,
        columns=columns,
        include=paths,
        filters=tuple(_filters(catalogue, kind, filter or {})),
        sort=tuple(_sort(kind, sort)),
        fieldsets=_fieldsets(catalogue, kind, columns, paths),
    )


def default_columns(kind: ResourceType, *, custom: bool = False) -> list[str]:
    """
    Return the API names fetched where none are named.

    All attributes but the heavy bodies, write-only ones and (unless ``custom``) the numbered custom fields; and the
    to-one relationships.
    """
    attributes = [
        a.name for a in kind.attributes.values() if not (a.is_heavy or a.write_only or (a.is_custom and not custom))
    ]
    return attributes + [r.name for r in kind.relationships.values() if r.has_data and not r.many]


def batch_filter(catalogue: Catalogue, resource: str | None, given: Mapping[str, Any]) -> Parameters:
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
        As for `build`.
    """
    if resource is None:
        filters = [(f"[{name}]", checked(name, value)) for name, value in given.items()]
    else:
        filters = list(_filters(catalogue, catalogue.resource(resource), given))
    pairs = [pair for key, value in filters for pair in new_syntax(key, value)]
    return [(f"actionParams[filter]{key.removeprefix('filter')}", value) for key, value in pairs]


def _columns(kind: ResourceType, fields: Sequence[str] | None, *, custom: bool) -> Iterator[str]:
    if fields is None:
        yield from default_columns(kind, custom=custom)
        return
    if isinstance(fields, str):
        raise QueryError(f"fields={fields!r} is one string.", hint=f"Write fields=[{fields!r}], or '*' for all.")
    for name in dict.fromkeys(kind.member(name).name for name in fields if name != "id"):
        relationship = kind.relationships.get(name)
        if relationship and not relationship.has_data:
            raise QueryError(
                f"The API sends no ids for {kind.name}.{name}.",
                hint=f"Fetch {' or '.join(relationship.targets) or 'the related resources'} filtered by {kind.name}.",
            )
        yield name
    if custom:
        yield from (a.name for a in kind.attributes.values() if a.is_custom)


def _included(
    catalogue: Catalogue, kind: ResourceType, include: str | Sequence[str] | Mapping[str, Sequence[str] | None] | None
) -> Iterator[tuple[str, tuple[str, ...]]]:
    if isinstance(include, Mapping):
        asked = dict(include)
    else:
        paths = include.split(",") if isinstance(include, str) else include or ()
        asked = {".".join(path.split(".")[: n + 1]): None for path in paths for n in range(path.count(".") + 1)}
    for path, names in asked.items():
        steps = list(_steps(catalogue, kind, path))
        targets = [catalogue.types[t] for t in steps[-1].targets if t in catalogue.types]
        if names is None:
            wanted = list(dict.fromkeys(name for target in targets for name in default_columns(target)))
        else:
            wanted = [_member_of_any(targets, name, path) for name in names if name != "id"]
        yield ".".join(step.name for step in steps), tuple(wanted)


def _member_of_any(targets: Sequence[ResourceType], name: str, path: str) -> str:
    for target in targets:
        try:
            return target.member(name).name
        except UnknownNameError as error:
            missing = error
    raise missing if targets else QueryError(f"What {path!r} points to is not in the catalogue.")


def _steps(catalogue: Catalogue, kind: ResourceType, path: str) -> Iterator[Relationship]:
    types = [kind]
    for step in path.split("."):
        found = [r for t in types for r in t.relationships.values() if step in (r.name, r.column)]
        if not found:
            known = [r.column for t in types for r in t.relationships.values()]
            raise UnknownNameError(step, kind=f"relationship of {' or '.join(t.name for t in types)}", known=known)
        relationship = found[0]
        if relationship.many or not relationship.has_data:
            raise QueryError(
                f"{path!r} cannot be included in a flat frame: {relationship.name} holds many records.",
                hint="Use fetch_tables, or fetch the related resources with a filter.",
            )
        yield relationship
        types = [catalogue.types[t] for r in found for t in r.targets if t in catalogue.types]


def _fieldsets(
    catalogue: Catalogue, kind: ResourceType, columns: tuple[str, ...] | None, include: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Collect the fields to ask for by type: the columns, and the relationships that a path passes through."""
    if columns is None:
        return {}
    wanted: dict[str, dict[str, None]] = {kind.name: dict.fromkeys(columns)}
    for path, names in include.items():
        types = [kind]
        for step in _steps(catalogue, kind, path):
            for t in types:
                if step.name in t.relationships:
                    wanted.setdefault(t.name, {})[step.name] = None
            types = [catalogue.types[t] for t in step.targets if t in catalogue.types]
        for t in types:
            members = t.attributes.keys() | t.relationships.keys()
            wanted.setdefault(t.name, {}).update(dict.fromkeys(name for name in names if name in members))
    return {name: tuple(fields) for name, fields in wanted.items()}


def _sort(kind: ResourceType, sort: str | Sequence[str] | None) -> Iterator[str]:
    for key in sort.split(",") if isinstance(sort, str) else sort or ():
        descending, name = key.startswith("-"), key.removeprefix("-")
        if name == "id":
            raise QueryError(
                "The API is not known to sort by id.", hint="Leave sort out: results come sorted by id anyway."
            )
        attribute = kind.attribute(name)
        if not attribute.sortable:
            able = ", ".join(a.column for a in kind.attributes.values() if a.sortable)
            raise QueryError(
                f"{kind.table} cannot be sorted by {attribute.column}.", hint=f"Sortable: {able or 'nothing'}."
            )
        yield f"-{attribute.name}" if descending else attribute.name


def _filters(catalogue: Catalogue, kind: ResourceType, given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in given.items():
        if isinstance(value, Mapping):
            for inner, inner_value in value.items():
                yield _filter(catalogue, kind, f"{name}.{inner}", inner_value)
        else:
            yield _filter(catalogue, kind, name, value)


def _filter(catalogue: Catalogue, kind: ResourceType, name: str, value: Any) -> tuple[str, Any]:
    head, _, rest = name.partition(".")
    if head == "id" or head in EXTRA_FILTERS.get(kind.name, ()):
        return f"[{head}]", checked(name, value)
    member = kind.member(head).name
    if member in kind.attributes and not rest:
        attribute = kind.attributes[member]
        if not attribute.filterable:
            raise _not_filterable(kind, attribute.column)
        return f"[{member}]", checked(name, value, attribute)
    if member not in kind.relationships:
        raise UnknownNameError(name, kind=f"relationship of {kind.name}", known=kind.relationships)
    relationship = kind.relationships[member]
    if relationship.filter == ():
        raise _not_filterable(kind, relationship.column)
    allowed = _related_filters(catalogue, relationship)
    inner = next((a for a in allowed if rest in (a, allowed[a])), None) if rest else "id"
    if inner is None:
        raise QueryError(
            f"{kind.table} cannot be filtered by {rest} of {relationship.column}.",
            hint=f"Possible: {', '.join(allowed.values())}. Or fetch the ids first and filter by those.",
        )
    return f"[{member}][{inner}]", checked(name, value)


def _related_filters(catalogue: Catalogue, relationship: Relationship) -> dict[str, str]:
    """Map what may be filtered by across a relationship to its columns; only the id where nothing is said."""
    allowed = relationship.filter or ("id",)
    targets = [catalogue.types[t] for t in relationship.targets if t in catalogue.types]
    if allowed == ("*",):
        return {"id": "id"} | {a.name: a.column for t in targets for a in t.attributes.values() if a.filterable}
    columns = {a.name: a.column for t in targets for a in t.attributes.values()}
    return {name: columns.get(name, name) for name in allowed}


def _not_filterable(kind: ResourceType, name: str) -> QueryError:
    able = [a.column for a in kind.attributes.values() if a.filterable]
    able += [r.column for r in kind.relationships.values() if r.filter != () and r.has_data]
    return QueryError(f"{kind.table} cannot be filtered by {name}.", hint=f"Filterable: id, {', '.join(able)}.")
