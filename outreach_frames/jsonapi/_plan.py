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
    known = {**resource.attributes, **{n: r for n, r in resource.relationships.items() if r.has_data}}
    for name in names or ():
        if name in resource.relationships and name not in known:
            raise QueryError(
                f"{resource.name}.{name} sends no identifiers, so it makes no column.",
                hint=f"Fetch the related resources and filter them by {resource.column}.",
            )
        if name not in known and name != "id":
            raise UnknownNameError(name, kind=f"attribute of {resource.name}", known=known)
    return list(known if names is None else names)


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
    relationship = resource.relationship(name)
    targets = [catalogue.types[target] for target in relationship.targets if target in catalogue.types]
    _refuse(resource, relationship, targets)
    for wanted in step.wanted or ():
        _known_somewhere(wanted, targets, attributes=True)
    for following in step.steps:
        _known_somewhere(following, targets, attributes=False)
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


def _known_somewhere(name: str, targets: Iterable[ResourceType], *, attributes: bool) -> None:
    known = [n for t in targets for n in (*t.relationships, *(("id", *t.attributes) if attributes else ()))]
    if name not in known:
        raise UnknownNameError(name, kind=f"attribute of {' or '.join(t.name for t in targets)}", known=known)


def _target(target: ResourceType, step: Step, catalogue: Catalogue) -> Target:
    """Keep what this target has of the names that are asked of all targets."""
    own = None if step.wanted is None else [n for n in step.wanted if n == "id" or _has(target, n)]
    return Target(
        target,
        columns(target, checked(target, own), catalogue),
        complete=step.wanted is None,
        joins=[join(target, n, below, catalogue) for n, below in step.steps.items() if n in target.relationships],
    )


def _has(target: ResourceType, name: str) -> bool:
    return name in target.attributes or name in target.relationships
