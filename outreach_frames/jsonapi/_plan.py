"""From the names of a query to columns and joins, checked against the catalogue."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from outreach_frames.catalogue import Catalogue, Relationship, ResourceType
from outreach_frames.errors import QueryError, UnknownNameError
from outreach_frames.jsonapi._joins import Join, Target
from outreach_frames.jsonapi._rows import columns

Include: TypeAlias = Mapping[str, Sequence[str] | None]


@dataclass
class Step:
    """
    One step of an include path.

    Attributes
    ----------
    wanted
        API names; ``None`` for all of them.
    steps
        The steps that follow, by relationship.
    """

    wanted: Sequence[str] | None = ()
    steps: dict[str, "Step"] = field(default_factory=dict)


def steps(include: Include) -> dict[str, Step]:
    """Unfold dotted paths into a tree; steps on the way want nothing unless they are named by themselves."""
    root = Step()
    for path, wanted in include.items():
        step = root
        for name in path.split("."):
            step = step.steps.setdefault(name, Step())
        step.wanted = wanted
    return root.steps


def checked(resource: ResourceType, names: Sequence[str] | None) -> list[str]:
    """
    Return the API names of a resource type's own columns; all of the catalogue for ``None``.

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
    found = "id" if name == "id" else spelled(name, columns_of)
    if found is not None:
        return found
    if name in resource.relationships:
        raise QueryError(
            f"{resource.name}.{name} sends no identifiers, so it makes no column.",
            hint=f"Fetch the related resources and filter them by {resource.column}.",
        )
    raise UnknownNameError(name, kind=f"attribute of {resource.name}", known=columns_of)


def spelled(name: str, columns_of: Mapping[str, str]) -> str | None:
    """Return the API's spelling of a name given in it or as a column; ``None`` where there is no such name."""
    if name in columns_of:
        return name
    return next((api for api, column in columns_of.items() if column == name), None)


def join(resource: ResourceType, name: str, step: Step, catalogue: Catalogue) -> Join:
    """
    Return the join for one step of an include path and those below it.

    Raises
    ------
    UnknownNameError
        There is no such relationship, or nothing that it leads to has a wanted name.
    QueryError
        It is to-many, sends no identifiers, or leads to no type of the catalogue.
    """
    api = _relationship(resource, name)
    if api is None:
        raise UnknownNameError(name, kind=f"relationship of {resource.name}", known=resource.relationships)
    relationship = resource.relationships[api]
    targets = [catalogue.types[target] for target in relationship.targets if target in catalogue.types]
    _refuse(resource, relationship, targets)
    for wanted in step.wanted or ():
        if not any(_member(target, wanted) for target in targets):
            raise UnknownNameError(wanted, kind=f"attribute of {_any(targets)}", known=_names(targets))
    for following in step.steps:
        if not any(_relationship(target, following) for target in targets):
            known = [name for target in targets for name in target.relationships]
            raise UnknownNameError(following, kind=f"relationship of {_any(targets)}", known=known)
    return Join(relationship, [_target(target, step, catalogue) for target in targets])


def _refuse(resource: ResourceType, relationship: Relationship, targets: Sequence[ResourceType]) -> None:
    path = f"{resource.column}.{relationship.column}"
    if relationship.many:
        raise QueryError(
            f"{path} leads to many resources, which do not fit beside one row.",
            hint="Fetch them as a table of their own with fetch_tables.",
        )
    if not relationship.has_data or not targets:
        reason = "leads to resources that the API does not describe" if relationship.has_data else "sends only a link"
        raise QueryError(f"{path} cannot be included: it {reason}.")


def _target(target: ResourceType, step: Step, catalogue: Catalogue) -> Target:
    """Keep what this target has of the names that are asked of all targets."""
    own = None if step.wanted is None else [found for n in step.wanted if (found := _member(target, n))]
    return Target(
        target,
        columns(target, dict.fromkeys(checked(target, own)), catalogue),
        complete=step.wanted is None,
        joins=[join(target, n, below, catalogue) for n, below in step.steps.items() if _relationship(target, n)],
    )


def _member(resource: ResourceType, name: str) -> str | None:
    attributes = {n: a.column for n, a in resource.attributes.items()}
    return "id" if name == "id" else spelled(name, attributes) or _relationship(resource, name)


def _relationship(resource: ResourceType, name: str) -> str | None:
    return spelled(name, {n: r.column for n, r in resource.relationships.items()})


def _any(types: Iterable[ResourceType]) -> str:
    return " or ".join(resource.name for resource in types)


def _names(types: Iterable[ResourceType]) -> list[str]:
    return [name for resource in types for name in (*resource.attributes, *resource.relationships)]
