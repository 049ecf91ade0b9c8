"""Include paths: what they lead to, and what must be asked for so that they can be followed."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from outreach_frames.catalogue import Catalogue, Include, Relationship, ResourceType, Step
from outreach_frames.errors import QueryError


def asked(include: Include) -> Mapping[str, Sequence[str] | None]:
    """Return the names wanted by path, ``None`` for the default ones; a list of paths wants every step of them."""
    if isinstance(include, Mapping):
        return include
    paths = include.split(",") if isinstance(include, str) else include or ()
    return {".".join(path.split(".")[: n + 1]): None for path in paths for n in range(path.count(".") + 1)}


def follow(catalogue: Catalogue, resource: ResourceType, path: str, *, tables: bool = False) -> list[Step]:
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
        steps.append(catalogue.step(types, name, partial(_obstacle, catalogue, path, tables=tables)))
        types = steps[-1].targets
    return steps


def _obstacle(
    catalogue: Catalogue, path: str, source: ResourceType, relationship: Relationship, *, tables: bool
) -> QueryError | None:
    """Return why what a relationship leads to cannot come along, if it cannot."""
    if not relationship.has_data:
        return only_a_link(catalogue, source, relationship)
    if not catalogue.targets(relationship):
        return QueryError(f"{path!r} cannot be included: what it leads to is not in the catalogue.")
    if relationship.many and not tables:
        return QueryError(
            f"{path!r} cannot be included in a flat frame: {relationship.name} holds many records.",
            hint="Use fetch_tables, or fetch the related resources with a filter.",
        )
    return None


def only_a_link(catalogue: Catalogue, source: ResourceType, relationship: Relationship) -> QueryError:
    """Return the error for a relationship of which the API sends no identifiers."""
    related = " or ".join(target.table for target in catalogue.targets(relationship).values())
    return QueryError(
        f"The API sends no ids for {source.name}.{relationship.name}.",
        hint=f"Fetch {related or 'the related resources'} filtered by {source.column}.",
    )


def back_reference(catalogue: Catalogue, source: ResourceType, relationship: Relationship) -> Relationship | None:
    """
    Return the foreign key that says the same as a to-many relationship; ``None`` where none certainly does.

    It does where each of the two types has a single relationship that leads to the other: the steps of a sequence
    are those that name it. A prospect has two relationships to sequence states, and one lists only some of them.
    """
    targets = list(catalogue.targets(relationship).values())
    if len(targets) != 1:
        return None
    there = [r for r in source.relationships.values() if targets[0].name in r.targets]
    back = [r for r in targets[0].relationships.values() if source.name in r.targets]
    certain = len(there) == len(back) == 1 and back[0].has_data and not back[0].many and not back[0].polymorphic
    return back[0] if certain else None


def reached(ways: Iterable[Sequence[Step]]) -> dict[str, ResourceType]:
    """Return every type that paths lead to or through, by name."""
    return {name: kind for steps in ways for step in steps for name, kind in step.targets.items()}


def keys(catalogue: Catalogue, resource: ResourceType, ways: Iterable[Sequence[Step]]) -> dict[str, dict[str, None]]:
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
                back = back_reference(catalogue, types[name], relationship) if relationship.many else None
                if back is not None:
                    found.setdefault(relationship.targets[0], {})[back.name] = None
            types = step.targets
    return found
