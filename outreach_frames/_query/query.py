"""Check a query against the catalog, and write it as URL parameters."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal
from urllib.parse import urlencode

from outreach_frames._format import type_name
from outreach_frames._query.filter_values import (
    Between,
    Parameters,
    is_ambiguous,
    legacy_syntax,
    new_syntax,
    resolve_filters,
)
from outreach_frames._query.selection import Selection, default_columns, fieldsets_of, normalize_include, select
from outreach_frames.catalog import Catalog, Include, ResourceType, camel
from outreach_frames.errors import QueryError

MAX_PAGE_SIZE = 1000
HEAVY_PAGE_SIZE = 100
"""Pages with message bodies: at 1,000 a page the API's proxy gives up."""
MAX_QUERY_LENGTH = 4000
"""Longest query string sent [characters, encoded]; the API documents no limit, proxies in front of it have one."""
ROOM_FOR_VALUES = 1000
"""What a list of filter values may take where everything else already fills the URL [characters]."""


EXTRA_SORTS = {"event": {"updatedAt"}}
"""Sorts that the vendor's guide uses though the contract has no such attribute."""
_CRM_TYPES = frozenset(
    {"account", "call", "event", "mailing", "opportunity", "opportunityStage", "product", "prospect", "purchase"}
    | {"stage", "task", "user"}
)
"""Types whose records the API can link to records of a CRM."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """
    One checked query.

    Attributes
    ----------
    selection
        The columns, and what is included.
    paths
        Included paths in the API's spelling, those that are only passed through as well.
    filters
        (key such as ``[account][id]``, value) pairs; all must hold.
    sort
        API names, ``-`` before a descending one; empty: by ``id``, which the client does.
    fieldsets
        Fields to ask for by type, the included types' among them; empty: everything.
    data_connections
        Whether links to CRM records are asked for.
    """

    selection: Selection
    paths: tuple[str, ...] = ()
    filters: tuple[tuple[str, Any], ...] = ()
    sort: tuple[str, ...] = ()
    fieldsets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    data_connections: bool = False

    @property
    def resource(self) -> ResourceType:
        """The type asked for."""
        return self.selection.resource

    @property
    def columns(self) -> tuple[str, ...] | None:
        """API names of the attributes and relationships that become columns; ``None``: whatever comes."""
        return self.selection.names

    @property
    def matches_nothing(self) -> bool:
        """Whether a filter asks for any of no values."""
        return any(isinstance(value, tuple) and not value for _, value in self.filters)

    @property
    def types(self) -> Mapping[str, ResourceType]:
        """Every type that the answer may hold, by API name; the one asked for first."""
        return {each.resource.name: each.resource for each in self.selection.descend()}

    @property
    def page_size(self) -> int:
        """The page size that suits what is sent [rows]."""
        sent = self.sent_fieldsets
        heavy = any(
            attribute.is_heavy and (name not in sent or attribute.name in sent[name])
            for name, kind in self.types.items()
            for attribute in kind.attributes.values()
        )
        return HEAVY_PAGE_SIZE if heavy else MAX_PAGE_SIZE

    @property
    def filters_ids(self) -> bool:
        """Whether a filter on the ids is among the filters."""
        return any(key == "[id]" for key, _ in self.filters)

    @property
    def is_stable(self) -> bool:
        """
        Whether no update of a record moves it to where a descend in the order asked of the API has been.

        Sorted by ``updatedAt``, what changes moves to the end and is met again.
        """
        return self.sort == ("updatedAt",) or all(key.removeprefix("-") == "createdAt" for key in self.sort)

    def unsorted(self) -> "Query":
        """Return this query for those who sort the rows themselves."""
        return replace(self, sort=())

    def with_columns(self, names: Sequence[str]) -> "Query":
        """Return this query with further attributes of the type asked for, behind its columns."""
        if not names or self.columns is None:
            return self
        own = self.resource.name
        return replace(
            self,
            selection=replace(self.selection, names=(*self.columns, *names)),
            fieldsets={**self.fieldsets, own: (*self.fieldsets.get(own, ()), *names)},
        )

    def in_stable_order(self) -> "Query":
        """Return this query in an order that no update changes, where the user wants none."""
        created = self.resource.attributes.get("createdAt")
        return self if self.sort or not (created and created.sortable) else replace(self, sort=("createdAt",))

    def newest(self) -> "Query":
        """Return the query for the ids of the newest records among those that fit."""
        created = self.resource.attributes.get("createdAt")
        sort = ("-createdAt",) if created and created.sortable else ()
        return Query(
            selection=Selection(self.resource, ()),
            filters=self.filters,
            sort=sort,
            fieldsets={self.resource.name: ()},
        )

    def narrowed(self, low: int | None, high: int | None) -> "Query":
        """Return the part of this query whose ids lie in a closed range; ``None`` leaves an end open."""
        return replace(self, filters=(*self.filters, ("[id]", Between(low, high))))

    @cached_property
    def is_cut(self) -> bool:
        """Whether this query is too long for one URL."""
        return next(self.split(), self) is not self

    @property
    def has_disjoint_parts(self) -> bool:
        """Whether no record is in two parts of this query: of what its lists of values name, a record has one."""
        return all(self._is_single(key) for key, value in self.filters if isinstance(value, tuple))

    def _is_single(self, key: str) -> bool:
        head, *rest = key.strip("[]").split("][")
        related = self.resource.relationships.get(head)
        return head == "id" or (rest == ["id"] and related is not None and not related.many)

    def split(self) -> Iterator["Query"]:
        """
        Cut the longest list of values into parts that fit a URL.

        The answers to the parts put together are the answer to this query. Where a record may have several of the
        values (a prospect its addresses), it is in several of the answers.
        """
        fixed = replace(self, filters=tuple(f for f in self.filters if not isinstance(f[1], tuple)))
        return self._parts(max(MAX_QUERY_LENGTH, fixed.length + ROOM_FOR_VALUES))

    def _parts(self, length: int) -> Iterator["Query"]:
        lists = [place for place, (_, value) in enumerate(self.filters) if isinstance(value, tuple) and len(value) > 1]
        if self.length <= length or not lists:
            yield self
            return
        longest = max(lists, key=lambda place: len(legacy_syntax(self.filters[place][1])))
        key, values = self.filters[longest]
        half = len(values) // 2
        for part in (values[:half], values[half:]):
            filters = (*self.filters[:longest], (key, part), *self.filters[longest + 1 :])
            yield from replace(self, filters=filters)._parts(length)  # noqa: SLF001  a query of this same class

    @property
    def length(self) -> int:
        """Length of the query string without paging [characters, encoded]."""
        return len(urlencode(self.parameters()))

    def parameters(self) -> Parameters:
        """
        Return the URL parameters, without those of paging.

        The new filter syntax is used where a value holds a comma or ``..``, which the original one cannot express.
        """
        literal = any(is_ambiguous(value) for _, value in self.filters)
        parameters = [("newFilterSyntax", "true")] if literal else []
        for key, value in self.filters:
            parameters += new_syntax(key, value) if literal else [(f"filter{key}", legacy_syntax(value))]
        if self.sort:
            parameters.append(("sort", ",".join(self.sort)))
        if paths := _shortest_cover(self.paths):
            parameters.append(("include", ",".join(paths)))
        if self.data_connections:
            parameters.append(("provideDataConnections", "true"))
        return parameters + [(f"fields[{name}]", ",".join(fields)) for name, fields in self.sent_fieldsets.items()]

    @property
    def sent_fieldsets(self) -> Mapping[str, tuple[str, ...]]:
        """The fieldsets; where naming all makes the URL long, the included types are left unnamed."""
        length = sum(len(urlencode({f"fields[{name}]": ",".join(fields)})) for name, fields in self.fieldsets.items())
        own = {name: fields for name, fields in self.fieldsets.items() if name == self.resource.name}
        return self.fieldsets if length <= MAX_QUERY_LENGTH else own


def _shortest_cover(paths: Iterable[str]) -> list[str]:
    """Leave out the paths that a longer one implies."""
    paths = list(paths)
    return [path for path in paths if not any(other.startswith(f"{path}.") for other in paths)]


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
    _check_names("fields", fields)
    _check_names("include", include)
    for names in include.values() if isinstance(include, Mapping) else ():
        _check_names("include", names)
    _check_names("sort", sort)
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
    return Query(
        selection=selection,
        paths=tuple(dict.fromkeys(selection.paths())),
        filters=resolve_filters(catalog, kind, filter) if filter else (),
        sort=tuple(_sort(kind, sort)),
        fieldsets={} if selection.names is None else fieldsets_of(catalog, selection),
        data_connections=data_connections,
    )


def _check_names(parameter: str, names: Any) -> None:
    """Raise `QueryError` where names are not text, one or several."""
    if names is None or isinstance(names, str):
        return
    if not isinstance(names, Iterable):
        raise QueryError(f"{parameter} takes names, not {type_name(names)}.")
    for name in () if isinstance(names, Iterator) else names:
        if not isinstance(name, str):
            raise QueryError(f"{parameter} takes names as text, not {type_name(name)}.")


def _fields(
    kind: ResourceType, fields: Sequence[str] | Literal["*"] | None, *, custom: bool | Collection[str]
) -> Sequence[str] | None:
    """Return the names of the columns, custom fields last; ``None`` for all."""
    if fields == "*" or isinstance(fields, str):
        return None if fields == "*" else fields
    names = default_columns(kind) if fields is None else list(fields)
    numbered = [a.name for a in kind.attributes.values() if a.is_custom]
    return names + [name for name in numbered if custom is True or (custom and name in custom)]


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
