"""
Read query strings: filters, sort, page, include, fieldsets.

Written from the vendor's description alone, without code of the client's query writer, so that the two
can disagree. Names are checked against the catalog here; `filters` compares values.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import parse_qsl

from outreach_frames._sandbox import filters, paging
from outreach_frames._sandbox.errors import bad_request
from outreach_frames._sandbox.filters import Condition
from outreach_frames._sandbox.paging import RequestedPage, SortKey
from outreach_frames._sandbox.relations import Schema
from outreach_frames._sandbox.settings import SandboxSettings
from outreach_frames.catalog import Relationship, ResourceType

Tree = dict[str, "Tree"]
FieldsetsByType = Mapping[str, frozenset[str]]
_WRITING = frozenset({"fields", "provideDataConnections", "provideAuthorizationMeta"})
_READING = _WRITING | {"include", "actionParams"}
_LISTING = _READING | {"filter", "newFilterSyntax", "sort", "page", "count"}
_Operator = Literal["equal", "gte", "lte", "literal"]
_Filter = tuple[tuple[str, ...], _Operator, list[str]]
_WITH_PATH = frozenset({"filter", "fields", "page", "actionParams"})


@dataclass(frozen=True)
class _Parameter:
    """One ``name[path][…]=value`` of a query string, decoded."""

    name: str
    path: tuple[str, ...]
    value: str

    def __str__(self) -> str:
        return self.name + "".join(f"[{part}]" for part in self.path)


@dataclass(frozen=True, kw_only=True)
class ParsedQuery:
    """
    The query of a request.

    Attributes
    ----------
    conditions
        A record is listed if all of them are true.
    sort
        Most significant first; ties go by id.
    page
        Page of the list.
    count
        Whether to count; ``None`` if the request has no ``count``.
    include
        Relationships to follow, nested.
    fieldsets
        By type, the attributes and relationships to send; types without one are sent in full.
    data_connections, authorization_meta
        Which resource metadata to add.
    with_unnamed_account
        False to hide the relationship to an account without a name.
    """

    conditions: tuple[Condition, ...] = ()
    sort: tuple[SortKey, ...] = ()
    page: RequestedPage = field(default_factory=RequestedPage)
    count: bool | None = None
    include: Tree = field(default_factory=dict)
    fieldsets: FieldsetsByType = field(default_factory=dict)
    data_connections: bool = False
    authorization_meta: bool = False
    with_unnamed_account: bool = True


class QueryReader:
    """
    Reads the query strings of requests for one type.

    Parameters
    ----------
    schema
        The resource types.
    settings
        Behavior that is not documented.
    """

    def __init__(self, schema: Schema, settings: SandboxSettings) -> None:
        self._schema = schema
        self._settings = settings

    def listing(self, kind: ResourceType, query: str) -> ParsedQuery:
        """
        Read the query of a collection.

        Raises
        ------
        HttpError
            A parameter, or a name in one, that the API does not have.
        """
        parameters = self._parameters(query, _LISTING)
        return replace(
            self._reading(kind, parameters),
            conditions=self._conditions(kind, parameters),
            sort=self._sort(kind, _last(parameters, "sort")),
            page=paging.read_page(_by_path(parameters, "page"), self._settings),
            count=_flag(parameters, "count"),
        )

    def single(self, kind: ResourceType, query: str) -> ParsedQuery:
        """
        Read the query of one resource.

        Raises
        ------
        HttpError
            A parameter, or a name in one, that the API does not have.
        """
        return self._reading(kind, self._parameters(query, _READING))

    def writing(self, query: str) -> ParsedQuery:
        """
        Read the query of a create or an update. It only affects the response; nothing can be included.

        Raises
        ------
        HttpError
            A parameter, or a name in one, that the API does not have.
        """
        return self._answering(self._parameters(query, _WRITING))

    def action(self, query: str, names: Collection[str]) -> tuple[ParsedQuery, dict[str, str]]:
        """
        Read the query of an action.

        Parameters
        ----------
        names
            Names of the action's parameters; `batch` reads a filter.

        Returns
        -------
        query, parameters
            The query, and ``actionParams`` by name, the last of a repeated one.

        Raises
        ------
        HttpError
            400: a parameter that the action does not have.
        """
        parameters = self._parameters(query, _WRITING | {"actionParams"})
        own = [each for each in parameters if each.name == "actionParams" and each.path[0] != "filter"]
        refused = [each for each in parameters if each.name == "actionParams" and each.path[0] not in names]
        refused += [each for each in own if len(each.path) != 1]
        if refused:
            raise bad_request("actionParameter.unknown", f"'{refused[0]}' is not a parameter of this action.")
        return self._answering(parameters), {each.path[0]: each.value for each in own}

    def batch(self, kind: ResourceType, query: str) -> tuple[Condition, ...]:
        """
        Read the filter of a batch action, which follows the new syntax.

        Raises
        ------
        HttpError
            A filter that the API does not have.
        """
        parameters = self._parameters(query, _WRITING | {"actionParams"})
        selected = [
            _Parameter("filter", each.path[1:], each.value)
            for each in parameters
            if each.name == "actionParams" and each.path[0] == "filter"
        ]
        return self._tests(kind, _repeated_as_any(selected), _new_syntax)

    def _parameters(self, query: str, allowed: frozenset[str]) -> list[_Parameter]:
        parameters = [_parse_parameter(name, value) for name, value in parse_qsl(query, keep_blank_values=True)]
        unknown = [
            each for each in parameters if each.name not in allowed or bool(each.path) != (each.name in _WITH_PATH)
        ]
        if unknown and self._settings.unknown_parameters == "refuse":
            raise bad_request("queryParameter.unknown", f"'{unknown[0]}' is not a parameter of this request.")
        return [each for each in parameters if each not in unknown]

    def _reading(self, kind: ResourceType, parameters: list[_Parameter]) -> ParsedQuery:
        """Read the parameters that collections and single resources have in common."""
        return replace(
            self._answering(parameters),
            include=self._include(kind, _last(parameters, "include")),
            with_unnamed_account=_by_path(parameters, "actionParams").get("withUnnamedAccount") != "false",
        )

    def _answering(self, parameters: list[_Parameter]) -> ParsedQuery:
        """Read the parameters that every response with a resource has in common."""
        return ParsedQuery(
            fieldsets=self._fieldsets(parameters),
            data_connections=_flag(parameters, "provideDataConnections") or False,
            authorization_meta=_flag(parameters, "provideAuthorizationMeta") or False,
        )

    # Filter

    def _conditions(self, kind: ResourceType, parameters: list[_Parameter]) -> tuple[Condition, ...]:
        selected = [parameter for parameter in parameters if parameter.name == "filter"]
        return self._tests(kind, selected, _new_syntax if _flag(parameters, "newFilterSyntax") else _original_syntax)

    def _tests(
        self, kind: ResourceType, parameters: list[_Parameter], syntax: Callable[[list[_Parameter]], Iterable[_Filter]]
    ) -> tuple[Condition, ...]:
        conditions = []
        for path, operator, texts in syntax(parameters):
            attribute = filters.resolve(kind, path, self._schema)
            conditions.append(filters.read_condition(attribute, operator, texts, self._settings))
        return tuple(conditions)

    # Sort

    def _sort(self, kind: ResourceType, text: str | None) -> tuple[SortKey, ...]:
        return tuple(self._sort_key(kind, name) for name in text.split(",")) if text else ()

    def _sort_key(self, kind: ResourceType, text: str) -> SortKey:
        name = text.removeprefix("-")
        attribute = kind.attributes.get(name)
        if name == "id" and self._settings.sortable_id:
            return SortKey(name, "id", text.startswith("-"))
        if attribute is None or not attribute.sortable:
            raise bad_request("sortParameter.invalidAttribute", f"'{kind.name}' cannot be sorted by '{name}'.")
        return SortKey(name, filters.value_kind(attribute), text.startswith("-"))

    # Include

    def _include(self, kind: ResourceType, text: str | None) -> Tree:
        tree: Tree = {}
        for path in text.split(",") if text else ():
            branch, kinds = tree, [kind]
            for name in path.split("."):
                relationships = [each.relationships[name] for each in kinds if name in each.relationships]
                self._check_include(relationships, name, kinds)
                targets = dict.fromkeys(target for each in relationships for target in each.targets)
                kinds = [other for target in targets if (other := self._schema.type(target))]
                branch = branch.setdefault(name, {})
        return tree

    def _check_include(self, relationships: list[Relationship], name: str, kinds: list[ResourceType]) -> None:
        names = " or ".join(kind.name for kind in kinds) or "a resource of that type"
        if not relationships:
            raise bad_request("includeParameter.invalidRelationship", f"'{names}' has no relationship '{name}'.")
        if not any(each.has_data or (each.has_links and self._settings.include_links_only) for each in relationships):
            raise bad_request(
                "includeParameter.invalidRelationship", f"Relationship '{name}' of '{names}' cannot be included."
            )

    # Fields

    def _fieldsets(self, parameters: list[_Parameter]) -> dict[str, frozenset[str]]:
        return {
            type_name: self._fieldset(type_name, [name for name in text.split(",") if name])
            for type_name, text in _by_path(parameters, "fields").items()
        }

    def _fieldset(self, type_name: str, names: Iterable[str]) -> frozenset[str]:
        kind = self._schema.type(type_name)
        fields: set[str] = set()
        if kind is not None:
            fields = {name for name, each in kind.attributes.items() if not each.write_only} | set(kind.relationships)
        strict = self._settings.unknown_fields == "refuse"
        if kind is None and strict:
            raise bad_request("fieldsParameter.invalidType", f"There is no resource type '{type_name}'.")
        unknown = sorted(set(names) - fields)
        if unknown and strict:
            raise bad_request("fieldsParameter.invalidField", f"'{type_name}' has no field '{unknown[0]}'.")
        return frozenset(names) & fields


def _original_syntax(parameters: list[_Parameter]) -> Iterable[_Filter]:
    """``filter[a]=1,2``, ``filter[a]=1..2``: one value, a comma list or a range; the last of a repeated one counts."""
    for path, parameter in {parameter.path: parameter for parameter in parameters}.items():
        yield path, "equal", [parameter.value]


def _new_syntax(parameters: list[_Parameter]) -> Iterable[_Filter]:
    """``filter[a][]=1&filter[a][]=2``, ``filter[a][gte]=1``: values are literal text, commas and dots too."""
    any_of: dict[tuple[str, ...], list[str]] = {}
    for parameter in parameters:
        last = parameter.path[-1] if parameter.path else None
        if last == "gte":
            yield parameter.path[:-1], "gte", [parameter.value]
        elif last == "lte":
            yield parameter.path[:-1], "lte", [parameter.value]
        elif last == "":
            any_of.setdefault(parameter.path[:-1], []).append(parameter.value)
        else:
            any_of[parameter.path] = [parameter.value]
    yield from ((path, "literal", values) for path, values in any_of.items())


def _repeated_as_any(parameters: list[_Parameter]) -> list[_Parameter]:
    """Read ``[id]=1&[id]=2``, the older example of the bulk page, as ``[id][]=1&[id][]=2``."""
    repeated = {
        path for path, times in Counter(each.path for each in parameters).items() if times > 1 and path[-1:] != ("",)
    }
    return [replace(each, path=(*each.path, "")) if each.path in repeated else each for each in parameters]


def _parse_parameter(name: str, value: str) -> _Parameter:
    match = re.fullmatch(r"(\w+)((?:\[[^\[\]]*\])*)", name)
    if match is None:
        raise bad_request("queryParameter.unknown", f"'{name}' is not a parameter of this request.")
    return _Parameter(match[1], tuple(re.findall(r"\[([^\[\]]*)\]", match[2])), value)


def _last(parameters: list[_Parameter], name: str) -> str | None:
    values = [parameter.value for parameter in parameters if parameter.name == name and not parameter.path]
    return values[-1] if values else None


def _by_path(parameters: list[_Parameter], name: str) -> dict[str, str]:
    """Return ``name[part]=value`` parameters by part, the last of a repeated one."""
    named = [parameter for parameter in parameters if parameter.name == name]
    refused = [parameter for parameter in named if len(parameter.path) != 1]
    if refused:
        raise bad_request("queryParameter.unknown", f"'{refused[0]}' is not a parameter of this request.")
    return {parameter.path[0]: parameter.value for parameter in named}


def _flag(parameters: list[_Parameter], name: str) -> bool | None:
    text = _last(parameters, name)
    if text not in {None, "true", "false"}:
        raise bad_request("queryParameter.invalidValue", f"'{name}' is either true or false.")
    return None if text is None else text == "true"
