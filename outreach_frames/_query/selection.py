"""
Names and include paths, resolved against a catalog.

This is done once for each query: what a `Selection` names exists, and every relationship on its paths can be followed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from outreach_frames.catalog import Catalog, Include, Relationship, ResourceType
from outreach_frames.errors import QueryError, UnknownNameError

Paths: TypeAlias = Mapping[str, Sequence[str] | None]
"""Dotted path of relationships → names of what it leads to, in either spelling; ``None`` for the default ones."""


@dataclass(frozen=True)
class Selection:
    """
    The columns of one resource type, and what is included from there.

    Attributes
    ----------
    resource
        The type.
    names
        API names of its attributes and relationships that become columns, in order; ``None``: all of them, those that
        the catalog does not have as well.
    included
        The relationships that are followed from here.
    """

    resource: ResourceType
    names: tuple[str, ...] | None = None
    included: tuple["Included", ...] = ()

    def descend(self) -> Iterator["Selection"]:
        """Yield this selection and every one below it."""
        yield self
        for each in self.included:
            for target in each.targets:
                yield from target.descend()

    def paths(self) -> Iterator[str]:
        """Yield every included path in the API's spelling, those that are only passed through as well."""
        for each in self.included:
            yield each.relationship.name
            yield from (f"{each.relationship.name}.{path}" for target in each.targets for path in target.paths())


@dataclass(frozen=True)
class Included:
    """
    One relationship that is followed.

    Attributes
    ----------
    relationship
        Of the catalog.
    targets
        What is selected of each type that it leads to, as far as the catalog has it.
    """

    relationship: Relationship
    targets: tuple[Selection, ...]


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


def normalize_include(include: Include) -> Paths:
    """Return names by path; a list of paths asks for the default ones of every step."""
    if isinstance(include, Mapping):
        return include
    paths = include.split(",") if isinstance(include, str) else include or ()
    return {".".join(path.split(".")[: n + 1]): None for path in paths for n in range(path.count(".") + 1)}


def select(
    catalog: Catalog,
    kind: ResourceType,
    *,
    fields: Iterable[str] | None = None,
    include: Paths | None = None,
    default: Callable[[ResourceType], Iterable[str]] | None = None,
    many: bool = False,
) -> Selection:
    """
    Resolve names and include paths; both may be spelled as columns or as the API does.

    Parameters
    ----------
    fields
        Attributes and relationships that become columns; ``None`` for all. The id always does.
    include
        Paths and the names of what they lead to. Steps on the way give no columns unless they are paths themselves.
    default
        Returns the API names of a type for a path without names; all where it is left out.
    many
        Whether paths may lead through to-many relationships.

    Raises
    ------
    UnknownNameError
        There is no such attribute or relationship.
    QueryError
        A relationship of which the API sends no ids is named; or a path leads to many records, or to a type that the
        catalog does not have.
    """
    root = _Node(kind, {})
    if fields is None:
        root.names = None
    else:
        _refuse_text("fields", fields)
        root.names = dict.fromkeys(_api_name(catalog, [kind], name) for name in fields if name != "id")
    for path, names in (include or {}).items():
        nodes = [root]
        for step in path.split("."):
            nodes = _follow(catalog, nodes, step, path, many=many)
        if names is None:
            for node in nodes:
                node.add(default and default(node.resource))
        else:
            _refuse_text(f"include[{path!r}]", names)
            kinds = [node.resource for node in nodes]
            members = [_api_name(catalog, kinds, name) for name in names]
            for node in nodes:
                node.add(member for member in members if member == "id" or _has(node.resource, member))
    return root.selection()


@dataclass
class _Node:
    """A selection that is still being put together."""

    resource: ResourceType
    names: dict[str, None] | None = field(default_factory=dict)
    links: dict[str, tuple[Relationship, list["_Node"]]] = field(default_factory=dict)

    def add(self, names: Iterable[str] | None) -> None:
        self.names = None if names is None or self.names is None else self.names | dict.fromkeys(names)

    def selection(self) -> Selection:
        included = (
            Included(relationship, tuple(target.selection() for target in targets))
            for relationship, targets in self.links.values()
        )
        return Selection(self.resource, None if self.names is None else tuple(self.names), tuple(included))


def _follow(catalog: Catalog, nodes: Sequence[_Node], step: str, path: str, *, many: bool) -> list[_Node]:
    """Go one step along a path, from whichever of some types can; not all need to."""
    links = [(node, link) for node in nodes if (link := node.resource.find_relationship(step))]
    if not links:
        columns = [r.column for node in nodes for r in node.resource.relationships.values()]
        raise UnknownNameError(step, kind=f"relationship of {_any(node.resource for node in nodes)}", valid=columns)
    obstacles = [_obstacle(catalog, node.resource, link, path, many=many) for node, link in links]
    if all(obstacles):
        raise next(filter(None, obstacles))
    targets: list[_Node] = []
    for (node, link), obstacle in zip(links, obstacles, strict=True):
        if obstacle is None:
            types = catalog.targets(link).values()
            targets += node.links.setdefault(link.name, (link, [_Node(kind) for kind in types]))[1]
    return targets


def _obstacle(
    catalog: Catalog, source: ResourceType, relationship: Relationship, path: str, *, many: bool
) -> QueryError | None:
    """Return why what a relationship leads to cannot be included; ``None`` if it can."""
    if not relationship.has_data:
        return only_a_link(catalog, source, relationship)
    if not catalog.targets(relationship):
        return QueryError(f"{path!r} cannot be included: what it leads to is not in the catalog.")
    if relationship.many and not many:
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


def _api_name(catalog: Catalog, kinds: Sequence[ResourceType], name: str) -> str:
    """Return the API name of an attribute or relationship that one of some types has."""
    if name == "id":
        return name
    unknown: UnknownNameError | None = None
    for kind in kinds:
        try:
            member = kind.member(name).name
        except UnknownNameError as error:
            unknown = unknown or error
            continue
        relationship = kind.relationships.get(member)
        if relationship and not relationship.has_data and member not in kind.attributes:
            raise only_a_link(catalog, kind, relationship)
        return member
    raise unknown or UnknownNameError(name, kind="attribute", valid=())


def _has(kind: ResourceType, member: str) -> bool:
    return member in kind.attributes or member in kind.relationships


def _any(kinds: Iterable[ResourceType]) -> str:
    return " or ".join(dict.fromkeys(kind.name for kind in kinds))


def _refuse_text(what: str, names: object) -> None:
    if isinstance(names, str):
        raise QueryError(f"{what}={names!r} is one string.", hint=f"Write {what}=[{names!r}].")


def back_reference(catalog: Catalog, source: ResourceType, relationship: Relationship) -> Relationship | None:
    """
    Return the foreign key that says the same as a to-many relationship; ``None`` where none certainly does.

    It does where each of the two types has a single relationship that leads to the other: the steps of a sequence
    are those that name it. A prospect has two relationships to sequence states, and one lists only some of them.
    """
    targets = list(catalog.targets(relationship).values())
    if len(targets) != 1:
        return None
    forward = [r for r in source.relationships.values() if targets[0].name in r.targets]
    back = [r for r in targets[0].relationships.values() if source.name in r.targets]
    certain = len(forward) == len(back) == 1 and back[0].has_data and not back[0].many and not back[0].polymorphic
    return back[0] if certain else None


def fieldsets_of(catalog: Catalog, selection: Selection) -> dict[str, tuple[str, ...]]:
    """
    Return the fields to ask for, by type.

    They are the columns of each type on any path, the relationships that the paths pass through, and the foreign keys
    behind to-many ones.
    """
    nodes = list(selection.descend())
    fields: dict[str, dict[str, None]] = {node.resource.name: {} for node in nodes}
    for node in nodes:
        fields[node.resource.name] |= dict.fromkeys(node.names or ())
    for node in nodes:
        for each in node.included:
            fields[node.resource.name][each.relationship.name] = None
            back = back_reference(catalog, node.resource, each.relationship) if each.relationship.many else None
            if back:
                fields[each.relationship.targets[0]][back.name] = None
    return {name: tuple(names) for name, names in fields.items()}
