"""
Reading a query string: which records, in which order, with what beside them.

Written from the vendor's description alone and sharing nothing with the client's own writer of queries, so that the two
can disagree. Names are checked against the contract here; comparing values is `filters`' business.
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
from outreach_frames._sandbox.paging import Page, SortKey
from outreach_frames._sandbox.relations import Schema
from outreach_frames._sandbox.settings import SandboxSettings
from outreach_frames.catalog import Relationship, ResourceType

Tree = dict[str, "Tree"]
Fieldsets = Mapping[str, frozenset[str]]
WRITING = frozenset({"fields", "provideDataConnections", "provideAuthorizationMeta"})
READING = WRITING | {"include", "actionParams"}
LISTING = READING | {"filter", "newFilterSyntax", "sort", "page", "count"}
Operator = Literal["equal", "gte", "lte", "literal"]
Filter = tuple[tuple[str, ...], Operator, list[str]]
WITH_PATH = frozenset({"filter", "fields", "page", "actionParams"})


@dataclass(frozen=True)
class Parameter:
    """One ``name[path][…]=value`` of a query string, decoded."""

    name: str
    path: tuple[str, ...]
    value: str

    def __str__(self) -> str:
        return self.name + "".join(f"[{part}]" for part in self.path)


@dataclass(frozen=True, kw_only=True)
class Query:
    """
    What a request asks for.

    Attributes
    ----------
    conditions
        All of them hold for a record that is listed.
    sort
        Most significant first; ties go by id.
    page
        Which part of the list.
    count
        Whether to count; ``None`` if the request does not say.
    include
        Relationships to follow, nested.
    fieldsets
        By type, the attributes and relationships to send; a type that is missing is sent in full.
    data_connections, authorization_meta
        Which resource metadata to add.
    with_unnamed_account
        False to hide the relationship to an account without a name.
    """

    conditions: tuple[Condition, ...] = ()
    sort: tuple[SortKey, ...] = ()
    page: Page = field(default_factory=Page)
    count: bool | None = None
    include: Tree = field(default_factory=dict)
    fieldsets: Fieldsets = field(default_factory=dict)
    data_connections: bool = False
    authorization_meta: bool = False
    with_unnamed_account: bool = True


class Reader:
    """
    Reads the query strings of requests for one type.

    Parameters
    ----------
    schema
        Types there are.
    settings
        Answers to what is not documented.
    """

    def __init__(self, schema: Schema, settings: SandboxSettings) -> None:
        self._schema = schema
        self._settings = settings

    def listing(self, kind: ResourceType, query: str) -> Query:
        """
        Read the query of a collection.

        Raises
        ------
        Problem
            A parameter, or a name in one, that the API would not take.
        """
        parameters = self._parameters(query, LISTING)
        return replace(
            self._reading(kind, parameters),
            conditions=self._conditions(kind, parameters),
            sort=self._sort(kind, _last(parameters, "sort")),
            page=paging.read_page(_by_path(parameters, "page"), self._settings),
            count=_flag(parameters, "count"),
        )

    def single(self, kind: ResourceType, query: str) -> Query:
        """
        Read the query of one resource.

        Raises
        ------
        Problem
            A parameter, or a name in one, that the API would not take.
        """
        return self._reading(kind, self._parameters(query, READING))

    def writing(self, query: str) -> Query:
        """
        Read the query of a create or an update, which decides only on the answer; nothing can be included in it.

        Raises
        ------
        Problem
            A parameter, or a name in one, that the API would not take.
        """
        return self._answering(self._parameters(query, WRITING))

    def action(self, query: str, taken: Collection[str]) -> tuple[Query, dict[str, str]]:
        """
        Read the query of an action.

        Parameters
        ----------
        taken
            Names of the parameters the action takes; a filter is `batch`'s business.

        Returns
        -------
        query, parameters
            What to answer, and ``actionParams`` by name; the last of a repeated one holds.

        Raises
        ------
        Problem
            400: a parameter that the action does not take.
        """
        parameters = self._parameters(query, WRITING | {"actionParams"})
        given = [each for each in parameters if each.name == "actionParams" and each.path[0] != "filter"]
        odd = [each for each in parameters if each.name == "actionParams" and each.path[0] not in taken]
        odd += [each for each in given if len(each.path) != 1]
        if odd:
            raise bad_request("actionParameter.unknown", f"'{odd[0]}' is not a parameter of this action.")
        return self._answering(parameters), {each.path[0]: each.value for each in given}

    def batch(self, kind: ResourceType, query: str) -> tuple[Condition, ...]:
        """
        Read the filter of a batch action, which follows the new syntax.

        Raises
        ------
        Problem
            A filter that the API would not take.
        """
        parameters = self._parameters(query, WRITING | {"actionParams"})
        given = [
            Parameter("filter", each.path[1:], each.value)
            for each in parameters
            if each.name == "actionParams" and each.path[0] == "filter"
        ]
        return self._tests(kind, _repeated_as_any(given), _new_syntax)

    def _parameters(self, query: str, known: frozenset[str]) -> list[Parameter]:
        parameters = [_parameter(name, value) for name, value in parse_qsl(query, keep_blank_values=True)]
        unknown = [each for each in parameters if each.name not in known or bool(each.path) != (each.name in WITH_PATH)]
        if unknown and self._settings.unknown_parameters == "refuse":
            raise bad_request("queryParameter.unknown", f"'{unknown[0]}' is not a parameter of this request.")
        return [each for each in parameters if each not in unknown]

    def _reading(self, kind: ResourceType, parameters: list[Parameter]) -> Query:
        """Read what lists and single resources have in common."""
        return replace(
            self._answering(parameters),
            include=self._include(kind, _last(parameters, "include")),
            with_unnamed_account=_by_path(parameters, "actionParams").get("withUnnamedAccount") != "false",
        )

    def _answering(self, parameters: list[Parameter]) -> Query:
        """Read what every answer with a resource has in common."""
        return Query(
            fieldsets=self._fieldsets(parameters),
            data_connections=_flag(parameters, "provideDataConnections") or False,
            authorization_meta=_flag(parameters, "provideAuthorizationMeta") or False,
        )

    # Filter

    def _conditions(self, kind: ResourceType, parameters: list[Parameter]) -> tuple[Condition, ...]:
        given = [parameter for parameter in parameters if parameter.name == "filter"]
        return self._tests(kind, given, _new_syntax if _flag(parameters, "newFilterSyntax") else _original_syntax)

    def _tests(
        self, kind: ResourceType, given: list[Parameter], syntax: Callable[[list[Parameter]], Iterable[Filter]]
    ) -> tuple[Condition, ...]:
        conditions = []
        for path, operator, texts in syntax(given):
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
                kinds = [found for target in targets if (found := self._schema.type(target))]
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

    def _fieldsets(self, parameters: list[Parameter]) -> dict[str, frozenset[str]]:
        return {
            type_name: self._fieldset(type_name, [name for name in text.split(",") if name])
            for type_name, text in _by_path(parameters, "fields").items()
        }

    def _fieldset(self, type_name: str, names: Iterable[str]) -> frozenset[str]:
        kind = self._schema.type(type_name)
        known: set[str] = set()
        if kind is not None:
            known = {name for name, each in kind.attributes.items() if not each.write_only} | set(kind.relationships)
        strict = self._settings.unknown_fields == "refuse"
        if kind is None and strict:
            raise bad_request("fieldsParameter.invalidType", f"There is no resource type '{type_name}'.")
        unknown = sorted(set(names) - known)
        if unknown and strict:
            raise bad_request("fieldsParameter.invalidField", f"'{type_name}' has no field '{unknown[0]}'.")
        return frozenset(names) & known


def _original_syntax(given: list[Parameter]) -> Iterable[Filter]:
    """``filter[a]=1,2``, ``filter[a]=1..2``: one value, a comma list or a range; the last of a repeated one holds."""
    for path, parameter in {parameter.path: parameter for parameter in given}.items():
        yield path, "equal", [parameter.value]


def _new_syntax(given: list[Parameter]) -> Iterable[Filter]:
    """``filter[a][]=1&filter[a][]=2``, ``filter[a][gte]=1``: values are literal text, commas and dots too."""
    any_of: dict[tuple[str, ...], list[str]] = {}
    for parameter in given:
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


def _repeated_as_any(given: list[Parameter]) -> list[Parameter]:
    """Read ``[id]=1&[id]=2``, the older example of the bulk page, as ``[id][]=1&[id][]=2``."""
    repeated = {
        path for path, times in Counter(each.path for each in given).items() if times > 1 and path[-1:] != ("",)
    }
    return [replace(each, path=(*each.path, "")) if each.path in repeated else each for each in given]


def _parameter(name: str, value: str) -> Parameter:
    match = re.fullmatch(r"(\w+)((?:\[[^\[\]]*\])*)", name)
    if match is None:
        raise bad_request("queryParameter.unknown", f"'{name}' is not a parameter of this request.")
    return Parameter(match[1], tuple(re.findall(r"\[([^\[\]]*)\]", match[2])), value)


def _last(parameters: list[Parameter], name: str) -> str | None:
    values = [parameter.value for parameter in parameters if parameter.name == name and not parameter.path]
    return values[-1] if values else None


def _by_path(parameters: list[Parameter], name: str) -> dict[str, str]:
    """Return ``name[part]=value`` parameters by part; the last of a repeated one holds."""
    named = [parameter for parameter in parameters if parameter.name == name]
    odd = [parameter for parameter in named if len(parameter.path) != 1]
    if odd:
        raise bad_request("queryParameter.unknown", f"'{odd[0]}' is not a parameter of this request.")
    return {parameter.path[0]: parameter.value for parameter in named}


def _flag(parameters: list[Parameter], name: str) -> bool | None:
    text = _last(parameters, name)
    if text not in {None, "true", "false"}:
        raise bad_request("queryParameter.invalidValue", f"'{name}' is either true or false.")
    return None if text is None else text == "true"
