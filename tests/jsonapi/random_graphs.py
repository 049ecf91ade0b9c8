"""Random organizations to serialize and flatten: resources as plain Python values, and what a frame of them holds."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from outreach_frames import catalog
from outreach_frames.catalog import Attribute, Relationship, ResourceType

KNOWN = catalog.load()
Identifier = tuple[str, int | str]

AWKWARD = [
    "",
    "Null",
    "NaN",
    "None",
    "007",
    "1e5",
    "true",
    "a\nb\r\n\tc",
    "Ωmega – 日本語 🦉",
    "\0",
    '"',
    "\\",
    "2017-01-01",
]

texts = st.sampled_from(AWKWARD) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
).filter(lambda value: value is not None)


def values(attribute: Attribute) -> st.SearchStrategy[Any]:
    """Return a strategy for an attribute's values, missing ones too."""
    by_format = {"date-time": st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)), "date": st.dates()}  # noqa: DTZ001
    by_type = {
        "integer": st.integers(-(2**63), 2**63 - 1),
        "number": st.floats(allow_nan=False, allow_infinity=False),
        "boolean": st.booleans(),
        "string": by_format.get(attribute.format or "", texts),
        "array": st.lists(texts | st.none(), max_size=3) if attribute.items == "string" else json_values,
        "object": json_values,
    }
    return mostly(by_type[attribute.type])


def mostly(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return what a strategy gives, and now and then nothing."""
    return st.one_of(strategy, strategy, strategy, st.none())


@dataclass(frozen=True, eq=False)
class Json:
    """A value that a frame holds as JSON text: equal to every text that says it."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and json.loads(other) == self.value

    __hash__ = None  # type: ignore[assignment]


@dataclass
class Resource:
    """
    A resource.

    Attributes
    ----------
    attributes
        API name → Python value; naive times are UTC.
    links
        API name of a relationship → identifiers, or ``None`` for no data.
    """

    kind: ResourceType
    id: int | str
    attributes: dict[str, Any] = field(default_factory=dict)
    links: dict[str, list[Identifier] | None] = field(default_factory=dict)


@dataclass
class Graph:
    """
    A query and all that it may meet.

    Attributes
    ----------
    kind, fields, include
        The query, as for a layout.
    rows
        Its primary resources.
    held
        Every resource that exists, by type and id, the primary ones among them.
    """

    kind: ResourceType
    fields: list[str]
    include: dict[str, list[str] | None]
    rows: list[Resource] = field(default_factory=list)
    held: dict[Identifier, Resource] = field(default_factory=dict)

    def expected(self) -> list[dict[str, Any]]:
        """Return the frame's rows."""
        rows = []
        for resource in self.rows:
            row = {"id": resource.id, **own_columns(self.kind, self.fields, resource)}
            for path, wanted in self.include.items():
                row |= self._follow(self.kind, resource, path.split("."), wanted)
            rows.append(row)
        return rows

    def _follow(
        self, kind: ResourceType, resource: Resource | None, steps: Sequence[str], wanted: Sequence[str] | None
    ) -> dict[str, Any]:
        relationship = kind.relationships[steps[0]]
        leads_to = (resource.links.get(steps[0]) if resource else None) or []
        found: dict[str, Any] = {}
        for target in (KNOWN.types[t] for t in relationship.targets if t in KNOWN.types):
            there = next((self.held.get(i) for i in leads_to if i[0] == target.name), None)
            names = names_of(target) if wanted is None else [n for n in wanted if n in names_of(target)]
            if not steps[1:]:
                own = own_columns(target, names, there)
            else:
                own = self._follow(target, there, steps[1:], wanted) if steps[1] in target.relationships else {}
            prefixed = {f"{relationship.column}__{name}": value for name, value in own.items()}
            found |= {name: value for name, value in prefixed.items() if found.get(name) is None}
        return found

    def included_with(self, rows: Sequence[Resource]) -> Iterator[Resource]:
        """Yield what a page of these rows includes: each resource once, and none that is a row of the page."""
        seen = {(self.kind.name, row.id) for row in rows}
        for path in self.include:
            front = list(rows)
            for step in path.split("."):
                reached = [i for resource in front for i in resource.links.get(step) or ()]
                front = [self.held[i] for i in dict.fromkeys(reached) if i in self.held]
                for resource in front:
                    if (resource.kind.name, resource.id) not in seen:
                        seen.add((resource.kind.name, resource.id))
                        yield resource


def names_of(kind: ResourceType) -> list[str]:
    """Return the names that make columns."""
    return list(dict.fromkeys([*kind.attributes, *(n for n, r in kind.relationships.items() if r.has_data)]))


def own_columns(kind: ResourceType, names: Sequence[str], resource: Resource | None) -> dict[str, Any]:
    """Return what one resource fills in of its type's columns."""
    found: dict[str, Any] = {}
    for name in names:
        if name in kind.attributes:
            sent = resource.attributes.get(name) if resource else None
            found[kind.attributes[name].column] = _stored(kind.attributes[name], sent)
        if name in kind.relationships:
            found |= _linked(kind.relationships[name], resource.links.get(name) if resource else None)
    return found


def _stored(attribute: Attribute, value: Any) -> Any:
    if value is not None and (
        attribute.type == "object" or (attribute.type == "array" and attribute.items != "string")
    ):
        return Json(value)
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def _linked(relationship: Relationship, links: list[Identifier] | None) -> dict[str, Any]:
    if relationship.many:
        return {relationship.id_column: None if links is None else [id_ for _, id_ in links]}
    type_, id_ = links[0] if links else (None, None)
    return {relationship.id_column: id_, **({relationship.type_column: type_} if relationship.type_column else {})}


def includable(kind: ResourceType) -> list[str]:
    """Return the to-one relationships that a path may follow."""
    return [
        name
        for name, r in kind.relationships.items()
        if r.has_data and not r.many and any(t in KNOWN.types for t in r.targets)
    ]


KNOTTY = ["role", "task", "favorite", "contentCategoryMembership"]
"""Types that lead to themselves or to several types."""


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Draw a query over the catalog and an organization that answers it."""
    kind = KNOWN.types[draw(st.sampled_from(KNOTTY) | st.sampled_from(sorted(KNOWN.types)))]
    fields = draw(st.lists(st.sampled_from(names_of(kind)), unique=True, max_size=5))
    graph = Graph(kind, fields, draw(_includes(kind)))
    needed: dict[str, set[str]] = defaultdict(set)
    needed[kind.name] |= set(fields)
    for path, wanted in graph.include.items():
        _note(kind, path.split("."), wanted, needed)
    for id_ in draw(st.lists(_ids(kind), unique=True, max_size=4)):
        graph.rows.append(_draw_resource(draw, graph, (kind.name, id_), needed))
    return graph


def _ids(kind: ResourceType) -> st.SearchStrategy[int | str]:
    return st.integers(1, 3) if kind.id_type == "integer" else st.sampled_from(["007", "a-b", "Null"])


@st.composite
def _includes(draw: st.DrawFn, kind: ResourceType) -> dict[str, list[str] | None]:
    include: dict[str, list[str] | None] = {}
    for _ in range(draw(st.sampled_from([1, 2, 0])) if includable(kind) else 0):
        steps, here = [], [kind]
        for _ in range(draw(st.sampled_from([1, 1, 2, 3]))):
            open_ = sorted({name for k in here for name in includable(k)})
            if not open_:
                break
            back = [
                n for n in open_ if any(kind.name in k.relationships[n].targets for k in here if n in k.relationships)
            ]
            several = [n for n in open_ if any(k.relationships[n].polymorphic for k in here if n in k.relationships)]
            steps.append(draw(st.sampled_from(open_) | st.sampled_from([*back, *several] or open_)))
            reached = {t for k in here if steps[-1] in k.relationships for t in k.relationships[steps[-1]].targets}
            here = [KNOWN.types[t] for t in sorted(reached) if t in KNOWN.types]
        counts = Counter(n for k in here for n in names_of(k))
        shared = [n for n in counts if counts[n] == len(here)]
        wanted = st.lists(st.sampled_from(sorted(counts)) | st.sampled_from(shared), unique=True, max_size=3)
        include[".".join(steps)] = draw(wanted | st.none())
    return include


def _note(kind: ResourceType, steps: Sequence[str], wanted: Sequence[str] | None, needed: dict[str, set[str]]) -> None:
    """Note what of each type a path needs."""
    if not steps:
        needed[kind.name] |= set(names_of(kind)[:12] if wanted is None else wanted)
    elif steps[0] in kind.relationships:
        needed[kind.name].add(steps[0])
        for target in kind.relationships[steps[0]].targets:
            if target in KNOWN.types:
                _note(KNOWN.types[target], steps[1:], wanted, needed)


def _draw_resource(draw: st.DrawFn, graph: Graph, identifier: Identifier, needed: Mapping[str, set[str]]) -> Resource:
    """Draw a resource and, mostly, what it leads to."""
    kind = KNOWN.types[identifier[0]]
    if identifier in graph.held:
        return graph.held[identifier]
    resource = graph.held[identifier] = Resource(kind, identifier[1])
    for name in sorted(needed[kind.name]):
        if name in kind.attributes and draw(st.integers(0, 5)):
            resource.attributes[name] = draw(values(kind.attributes[name]))
        if name in kind.relationships and kind.relationships[name].has_data:
            links = draw(mostly(_identifiers(kind.relationships[name])))
            resource.links[name] = links
            for target in links or ():
                if target[0] in KNOWN.types and name in includable(kind) and draw(st.integers(0, 4)):
                    _draw_resource(draw, graph, target, needed)
    return resource


def _identifiers(relationship: Relationship) -> st.SearchStrategy[list[Identifier]]:
    def of(target: str) -> st.SearchStrategy[Identifier]:
        ids = _ids(KNOWN.types[target]) if target in KNOWN.types else st.integers(1, 3)
        return st.tuples(st.just(target), ids)

    one = st.sampled_from(relationship.targets).flatmap(of)
    return st.lists(one, max_size=3) if relationship.many else st.lists(one, min_size=1, max_size=1)


@st.composite
def serialized(draw: st.DrawFn, resource: Resource) -> dict[str, Any]:
    """Draw one of the ways in which a server may write a resource."""
    attributes = {name: draw(_written(value)) for name, value in resource.attributes.items()}
    relationships = {
        name: draw(_written_links(resource.kind.relationships[name], links)) for name, links in resource.links.items()
    }
    members = {
        "attributes": attributes,
        "relationships": relationships,
        "id": resource.id,
        "type": resource.kind.name,
        "links": {"self": f"https://api.outreach.io/api/v2{resource.kind.path}/{resource.id}"},
    }
    left_out = [name for name in ("attributes", "relationships") if not members[name] and draw(st.booleans())]
    order = draw(st.permutations([name for name in members if name not in left_out]))
    return {name: members[name] for name in order}


@st.composite
def _written(draw: st.DrawFn, value: Any) -> Any:
    """Draw a way to write an attribute: times with and without zone, fraction and offset."""
    if isinstance(value, datetime):
        form = draw(st.sampled_from(["zoned", "bare", "offset"]))
        if form == "offset":
            zone = timezone(timedelta(minutes=draw(st.integers(-14 * 60, 14 * 60))))
            return value.replace(tzinfo=UTC).astimezone(zone).isoformat()
        return value.isoformat() + ("Z" if form == "zoned" else "")
    return value.isoformat() if isinstance(value, date) else value


@st.composite
def _written_links(draw: st.DrawFn, relationship: Relationship, links: list[Identifier] | None) -> dict[str, Any]:
    """Draw a way to write a relationship: data, data and links, links only, null, nothing."""
    away = {"links": {"related": f"https://api.outreach.io/api/v2/x?filter[{relationship.name}][id]=1"}}
    if links is None:
        return draw(st.sampled_from([{"data": None}, away, {}, {"data": None, **away}]))
    data: Any = [{"type": type_, "id": id_} for type_, id_ in links]
    return {"data": data if relationship.many else data[0], **draw(st.sampled_from([{}, away]))}


def page(graph: Graph, rows: Sequence[Resource], draw: st.DrawFn) -> bytes:
    """Return the bytes of a page of these rows."""
    included = draw(st.permutations(list(graph.included_with(rows))))
    document = {
        "data": [draw(serialized(row)) for row in rows],
        "included": [draw(serialized(resource)) for resource in included],
    }
    return json.dumps(document, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1]))).encode()
