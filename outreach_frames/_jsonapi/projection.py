"""From the names of a query to columns and joins, checked against the catalog."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from outreach_frames._jsonapi.columns import columns
from outreach_frames._jsonapi.included import Join, Target
from outreach_frames.catalog import Catalog, Relationship, ResourceType
from outreach_frames.errors import QueryError, UnknownNameError

Paths: TypeAlias = Mapping[str, Sequence[str] | None]


@dataclass
class Branch:
    """
    What is included of the resources that a relationship leads to.

    Attributes
    ----------
    wanted
        API names; ``None`` for all of them.
    branches
        What is included of those that follow, by relationship.
    """

    wanted: Sequence[str] | None = ()
    branches: dict[str, "Branch"] = field(default_factory=dict)


def branches(include: Paths) -> dict[str, Branch]:
    """Unfold dotted paths into a tree; steps on the way want nothing unless they are named by themselves."""
    root = Branch()
    for path, wanted in include.items():
        branch = root
        for name in path.split("."):
            branch = branch.branches.setdefault(name, Branch())
        branch.wanted = wanted
    return root.branches


def checked(resource: ResourceType, names: Sequence[str] | None) -> list[str]:
    """
    Return the API names of a resource type's own columns; all of the catalog for ``None``.

    Raises
    ------
    UnknownNameError
        The type has no such attribute or relationship.
    QueryError
        A relationship that sends no identifiers is named.
    """
    columns_of = {n: r.column for n, r in resource.relationships.items() if r.has_data}
    columns_of |= {n: a.column for n, a in resource.attributes.items()}
    if names is None:
        return list(dict.fromkeys((*resource.attributes, *columns_of)))
    return [_checked(resource, name, columns_of) for name in names]


def _checked(resource: ResourceType, name: str, columns_of: Mapping[str, str]) -> str:
    found = "id" if name == "id" else _spelled(name, columns_of)
    if found is not None:
        return found
    if name in resource.relationships:
        raise QueryError(
            f"{resource.name}.{name} sends no identifiers, so it makes no column.",
            hint=f"Fetch the related resources and filter them by {resource.column}.",
        )
    raise UnknownNameError(name, kind=f"attribute of {resource.name}", known=columns_of)


def _spelled(name: str, columns_of: Mapping[str, str]) -> str | None:
    """Return the API's spelling of a name given in it or as a column; ``None`` where there is no such name."""
    if name in columns_of:
        return name
    return next((api for api, column in columns_of.items() if column == name), None)


def join(resource: ResourceType, name: str, branch: Branch, catalog: Catalog) -> Join:
    """
    Return the join for one step of an include path and those below it.

    Raises
    ------
    UnknownNameError
        There is no such relationship, or nothing that it leads to has a wanted name.
    QueryError
        It is to-many, sends no identifiers, or leads to no type of the catalog.
    """
    step = catalog.step({resource.name: resource}, name, partial(_obstacle, catalog))
    targets = list(step.targets.values())
    for wanted in branch.wanted or ():
        if not any(_member(target, wanted) for target in targets):
            raise UnknownNameError(wanted, kind=f"attribute of {_any(targets)}", known=_names(targets))
    joins: dict[str, list[Join]] = {target.name: [] for target in targets}
    for following, below in branch.branches.items():
        for target, found in _joins_of_any(targets, following, below, catalog):
            joins[target.name].append(found)
    relationship = step.links[resource.name]
    return Join(relationship, [_target(target, branch.wanted, joins[target.name], catalog) for target in targets])


def _obstacle(catalog: Catalog, source: ResourceType, relationship: Relationship) -> QueryError | None:
    """Return why what a relationship leads to has no place beside a row; ``None`` where it has."""
    obstacles = {
        "leads to many resources": relationship.many,
        "sends only a link": not relationship.has_data,
        "leads to resources that the API does not describe": not catalog.targets(relationship),
    }
    path = f"{source.column}.{relationship.column}"
    there = next((obstacle for obstacle, is_there in obstacles.items() if is_there), None)
    return QueryError(f"{path} cannot be included beside a row: it {there}.") if there else None


def _joins_of_any(
    targets: Iterable[ResourceType], name: str, branch: Branch, catalog: Catalog
) -> list[tuple[ResourceType, Join]]:
    """Join what leads on from the targets; of several targets not all need to."""
    joins, errors = [], []
    for target in targets:
        try:
            joins.append((target, join(target, name, branch, catalog)))
        except (UnknownNameError, QueryError) as error:
            errors.append(error)
    if not joins:
        raise errors[0]
    return joins


def _target(target: ResourceType, wanted: Sequence[str] | None, joins: Sequence[Join], catalog: Catalog) -> Target:
    """Keep what this target has of the names that are asked of all targets."""
    own = None if wanted is None else [found for name in wanted if (found := _member(target, name))]
    names = dict.fromkeys(checked(target, own))
    return Target(target, columns(target, names, catalog), complete=wanted is None, joins=joins)


def _member(resource: ResourceType, name: str) -> str | None:
    attributes = {n: a.column for n, a in resource.attributes.items()}
    link = resource.find_relationship(name)
    return "id" if name == "id" else _spelled(name, attributes) or (link.name if link else None)


def _any(types: Iterable[ResourceType]) -> str:
    return " or ".join(resource.name for resource in types)


def _names(types: Iterable[ResourceType]) -> list[str]:
    return [name for resource in types for name in (*resource.attributes, *resource.relationships)]
