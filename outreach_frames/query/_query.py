"""A checked query, and the URL parameters that it becomes."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from outreach_frames.catalogue import ResourceType
from outreach_frames.query.values import Between, Parameters, is_ambiguous, new_syntax, original_syntax, text

MAX_PAGE_SIZE = 1000
HEAVY_PAGE_SIZE = 100
"""Pages with message bodies: at 1,000 a page the API's proxy gives up."""
MAX_QUERY_LENGTH = 4000
"""Longest query string sent [characters]; the API documents no limit, proxies in front of it have one."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """
    One checked query.

    Attributes
    ----------
    resource
        The type asked for.
    columns
        API names of the attributes and relationships that become columns, in order; ``None``: whatever comes.
    include
        Dotted API path → API names wanted of the included resource, in order. A path may be traversed only because a
        longer one needs it; then it is not a key here.
    filters
        (key such as ``[account][id]``, value) pairs; all must hold.
    sort
        API names, ``-`` before a descending one; empty: by ``id``, which the client does.
    """

    resource: ResourceType
    columns: tuple[str, ...] | None
    include: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    filters: tuple[tuple[str, Any], ...] = ()
    sort: tuple[str, ...] = ()
    fieldsets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def matches_nothing(self) -> bool:
        """Whether a filter asks for any of no values."""
        return any(isinstance(value, tuple) and not value for _, value in self.filters)

    @property
    def page_size(self) -> int:
        """The page size that suits the columns [rows]."""
        named = self.resource.attributes if self.columns is None else self.columns
        heavy = any(name in self.resource.attributes and self.resource.attributes[name].is_heavy for name in named)
        return HEAVY_PAGE_SIZE if heavy else MAX_PAGE_SIZE

    @property
    def filters_ids(self) -> bool:
        """Whether a filter on the ids is among the filters."""
        return any(key == "[id]" for key, _ in self.filters)

    def in_stable_order(self) -> "Query":
        """Return this query in an order that no update changes, where the user wants none."""
        created = self.resource.attributes.get("createdAt")
        return self if self.sort or not (created and created.sortable) else replace(self, sort=("createdAt",))

    def newest(self) -> "Query":
        """Return the query for the ids of the newest records among those that fit."""
        created = self.resource.attributes.get("createdAt")
        sort = ("-createdAt",) if created and created.sortable else ()
        return Query(
            resource=self.resource, columns=(), filters=self.filters, sort=sort, fieldsets={self.resource.name: ()}
        )

    def narrowed(self, low: int | None, high: int | None) -> "Query":
        """Return the part of this query whose ids lie in a closed range; ``None`` leaves an end open."""
        return replace(self, filters=(*self.filters, ("[id]", Between(low, high))))

    @property
    def is_cut(self) -> bool:
        """Whether this query is too long for one URL."""
        return sum(1 for _ in self.split()) > 1

    def split(self, length: int = MAX_QUERY_LENGTH) -> Iterator["Query"]:
        """
        Cut the longest list of values into parts that fit a URL.

        The parts are disjoint, so their answers put together are the answer to this query.
        """
        excess = sum(len(k) + len(v) for k, v in self.parameters()) - length
        lists = [
            (sum(len(text(v)) + 3 for v in value), i)
            for i, (_, value) in enumerate(self.filters)
            if isinstance(value, tuple)
        ]
        if excess <= 0 or not lists:
            yield self
            return
        _, longest = max(lists)
        key, values = self.filters[longest]
        if len(values) < 2:  # noqa: PLR2004  one value cannot be cut
            yield self
            return
        half = len(values) // 2
        for part in (values[:half], values[half:]):
            filters = (*self.filters[:longest], (key, part), *self.filters[longest + 1 :])
            yield from replace(self, filters=filters).split(length)

    def parameters(self) -> Parameters:
        """
        Return the URL parameters, without those of paging.

        The new filter syntax is used where a value holds a comma or ``..``, which the original one cannot express.
        """
        literal = any(is_ambiguous(value) for _, value in self.filters)
        parameters = [("newFilterSyntax", "true")] if literal else []
        for key, value in self.filters:
            parameters += new_syntax(key, value) if literal else [(f"filter{key}", original_syntax(value))]
        if self.sort:
            parameters.append(("sort", ",".join(self.sort)))
        if paths := _shortest_cover(self.traversed):
            parameters.append(("include", ",".join(paths)))
        return parameters + self._fields()

    @property
    def traversed(self) -> tuple[str, ...]:
        """Every included path, those that are only passed through as well."""
        prefixes = (".".join(path.split(".")[: n + 1]) for path in self.include for n in range(path.count(".") + 1))
        return tuple(dict.fromkeys(prefixes))

    def _fields(self) -> Parameters:
        """Name the fields wanted; where that makes the URL long, the included types are left unnamed first."""
        named = [(f"fields[{name}]", ",".join(fields)) for name, fields in self.fieldsets.items()]
        own = [pair for pair in named if pair[0] == f"fields[{self.resource.name}]"]
        length = sum(len(k) + len(v) + 2 for k, v in named)
        return named if length <= MAX_QUERY_LENGTH else own


def _shortest_cover(paths: Iterable[str]) -> list[str]:
    """Leave out the paths that a longer one implies."""
    paths = list(paths)
    return [path for path in paths if not any(other.startswith(f"{path}.") for other in paths)]
