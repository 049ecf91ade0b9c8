"""
The resource types of the Outreach API: attributes, relationships, operations and actions.

The facts come from the vendor's published OpenAPI document and are in ``catalog.json``; a new
edition of the document becomes a new catalog with ``python tools/build_catalog.py openapi.json``.

Names are accepted as the API writes them (``sequenceState``, ``createdAt``) and in snake_case (``sequence_state``,
``created_at``); resource types also in the plural. Columns of frames are the snake_case of API names; those of a
relationship are ``Relationship.id_column`` and ``type_column``, and `_jsonapi.columns` names what is not here.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import msgspec

from outreach_frames.errors import QueryError, UnknownNameError

_Member = TypeVar("_Member")

Include: TypeAlias = str | Sequence[str] | Mapping[str, Sequence[str] | None] | None
"""How related resources are asked for: a dotted path of relationships, several, or path → names wanted of what it
leads to."""

HEAVY = frozenset({"bodyHtml", "bodyText", "errorBacktrace", "compiledSequenceTemplateHtml"})
"""Attributes that make a page large and that statistics never read; fetched only when named."""


SECRETS = frozenset({"cleanupToken", "password", "secret", "sendgridApiKey", "smtpPassword"})
"""Attributes that open something; fetched only when named, and kept on no disk."""


def snake(name: str) -> str:
    """Return the snake_case of an API name: ``sequenceState`` → ``sequence_state``; the inverse of `camel`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def camel(name: str) -> str:
    """Return the API's spelling of a snake_case name: ``created_at`` → ``createdAt``; the inverse of `snake`."""
    head, *tail = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in tail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """
    One attribute of a resource type.

    Attributes
    ----------
    name
        The API's spelling.
    column
        Its column in a frame: the snake_case of the name, with ``_attribute`` behind it where a foreign key of the
        same type has that column (``mailbox.userId`` beside the relationship ``user``).
    type
        JSON type as declared.
    format
        ``"date-time"``, ``"date"``, ``"float"``, ``"email"`` or ``None``.
    items
        JSON type of an array's items; ``None`` for other types and where it is not declared.
    nullable, read_only, write_only, filterable, sortable
        As documented. Outreach marks nearly everything nullable.
    max_length
        Longest string [characters]; ``None`` where not declared.
    enum
        Documented values; empty where none are. The API does not enforce them: treat as strings.
    enum_open
        Whether the documented values are examples rather than the whole list.
    """

    name: str
    column: str
    type: Literal["string", "integer", "number", "boolean", "array", "object"]
    format: str | None = None
    items: str | None = None
    nullable: bool = True
    read_only: bool = False
    write_only: bool = False
    filterable: bool = False
    sortable: bool = False
    max_length: int | None = None
    enum: tuple[str | int, ...] = ()
    enum_open: bool = False

    @property
    def is_custom(self) -> bool:
        """Whether this is one of the numbered custom fields (``custom1`` …), which each organization labels itself."""
        return re.fullmatch(r"custom\d+", self.name) is not None

    @property
    def is_heavy(self) -> bool:
        """Whether it is fetched only when named, because it makes a page large."""
        return self.name in HEAVY

    @property
    def is_secret(self) -> bool:
        """Whether its value opens something (a webhook's secret)."""
        return self.name in SECRETS


@dataclass(frozen=True, slots=True, kw_only=True)
class Relationship:
    """
    One relationship of a resource type.

    Attributes
    ----------
    name
        The API's spelling.
    column
        snake_case of the name; a frame's columns are `id_column` and `type_column`.
    many
        Whether it is to-many.
    targets
        Resource types it may point to; more than one: polymorphic. Empty where the vendor names none. A target need
        not be in the catalog (``pluginMapping``).
    has_data
        Whether resource identifiers are sent.
    has_links
        Whether a link to the related collection is sent.
    read_only
        As documented.
    filter
        Attributes of the target that a filter may name; ``("*",)`` for every filterable one, empty where documented
        as not usable, ``None`` where the vendor does not say.
    """

    name: str
    column: str
    many: bool = False
    targets: tuple[str, ...] = ()
    has_data: bool = False
    has_links: bool = False
    read_only: bool = False
    filter: tuple[str, ...] | None = None

    @property
    def polymorphic(self) -> bool:
        """Whether the related resource may be of several types."""
        return len(self.targets) > 1

    @property
    def id_column(self) -> str:
        """The column with the related id (to-one) or the list of ids (to-many)."""
        return f"{self.column}_ids" if self.many else f"{self.column}_id"

    @property
    def type_column(self) -> str | None:
        """The column with the related type, for a polymorphic to-one; otherwise ``None``."""
        return f"{self.column}_type" if self.polymorphic and not self.many else None


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """
    One resource type of the API.

    Attributes
    ----------
    name, plural
        The API's spellings (``sequenceState``, ``sequenceStates``).
    id_type
        JSON type of the ids; a string for audit logs and organization settings only.
    operations
        Those of ``list``, ``get``, ``create``, ``update``, ``delete`` that the API has.
    s2s_operations
        Operations and actions open to server-to-server tokens.
    actions, collection_actions
        Action name → its parameters; on one record and on the collection.
    attributes, relationships
        By API name, in the order of the columns.
    """

    name: str
    plural: str
    id_type: Literal["integer", "string"]
    operations: frozenset[str]
    s2s_operations: frozenset[str]
    actions: Mapping[str, tuple[str, ...]]
    collection_actions: Mapping[str, tuple[str, ...]]
    attributes: Mapping[str, Attribute]
    relationships: Mapping[str, Relationship]

    @property
    def path(self) -> str:
        """Path of the collection below the API's base, such as ``/sequenceStates``."""
        return f"/{self.plural}"

    @property
    def column(self) -> str:
        """snake_case of the type (``sequence_state``)."""
        return snake(self.name)

    @property
    def table(self) -> str:
        """snake_case of the plural (``sequence_states``): the name of its frames and files."""
        return snake(self.plural)

    @property
    def holds_secrets(self) -> bool:
        """Whether its records carry an attribute that must be kept on no disk."""
        return any(a.is_secret and not a.write_only for a in self.attributes.values())

    def attribute(self, name: str) -> Attribute:
        """
        Look an attribute up by either spelling.

        Raises
        ------
        UnknownNameError
            The type has no such attribute; the message names the nearest.
        """
        return _look_up(name, self.attributes, kind=f"attribute of {self.name}")

    def relationship(self, name: str) -> Relationship:
        """
        Look a relationship up by either spelling.

        Raises
        ------
        UnknownNameError
            The type has no such relationship; the message names the nearest.
        """
        return _look_up(name, self.relationships, kind=f"relationship of {self.name}")

    def find_relationship(self, name: str) -> Relationship | None:
        """Return the relationship of an API name, or else of that column; ``None`` where there is none."""
        return self.relationships.get(name) or next((r for r in self.relationships.values() if r.column == name), None)

    def member(self, name: str) -> Attribute | Relationship:
        """
        Look up what a column or a name stands for; ``account_id`` is the relationship ``account``.

        Raises
        ------
        UnknownNameError
            The type has no such attribute or relationship; the message names the nearest.
        """
        match = self._by_any_name.get(name)
        if match is None:
            columns = [m.column for members in (self.attributes, self.relationships) for m in members.values()]
            raise UnknownNameError(name, kind=f"attribute or relationship of {self.name}", valid=columns)
        return match

    @cached_property
    def _by_any_name(self) -> dict[str, Attribute | Relationship]:
        names: dict[str | None, Attribute | Relationship] = {}
        for r in self.relationships.values():
            names |= dict.fromkeys((r.type_column, r.id_column, r.column, r.name), r)
        for a in self.attributes.values():
            names |= dict.fromkeys((a.column, a.name), a)
        return {name: member for name, member in names.items() if name is not None}

    def require(self, operation: str) -> None:
        """
        Refuse an operation that the API does not have for this type.

        Raises
        ------
        QueryError
            It is not among `operations`.
        """
        if operation not in self.operations:
            able = ", ".join(sorted(self.operations)) or "nothing"
            raise QueryError(f"{self.table} have no operation {operation!r}.", hint=f"The API has for them: {able}.")

    def action(self, name: str, *, on_collection: bool = False) -> str:
        """
        Return the API's spelling of an action on one record, or on the collection.

        Raises
        ------
        UnknownNameError
            The type has no such action; the message names the nearest.
        """
        actions = self.collection_actions if on_collection else self.actions
        return _look_up(name, {action: action for action in actions}, kind=f"action of {self.name}")


class Catalog:
    """
    All resource types.

    Parameters
    ----------
    types
        By API name.
    """

    def __init__(self, types: Mapping[str, ResourceType]) -> None:
        self.types = types

    @cached_property
    def _by_any_name(self) -> dict[str, ResourceType]:
        return {name: t for t in self.types.values() for name in (t.name, t.plural, t.column, t.table)}

    def resource(self, name: str) -> ResourceType:
        """
        Look a resource type up: singular or plural, snake_case or the API's spelling.

        Raises
        ------
        UnknownNameError
            There is no such type; the message names the nearest.
        """
        match = self._by_any_name.get(name)
        if match is None:
            raise UnknownNameError(name, kind="resource", valid=(t.table for t in self.types.values()))
        return match

    def targets(self, relationship: Relationship) -> dict[str, ResourceType]:
        """Return the types that a relationship leads to, by API name, as far as the catalog has them."""
        return {name: self.types[name] for name in relationship.targets if name in self.types}


def _look_up(name: str, members: Mapping[str, _Member], *, kind: str) -> _Member:
    match = members.get(name) or members.get(camel(name))
    if match is None:
        raise UnknownNameError(name, kind=kind, valid=[snake(k) for k in members] if "_" in name else list(members))
    return match


def expand(entry: Mapping[str, Any], name: str) -> ResourceType:
    """Build a resource type from its entry in the catalog file."""
    relationships = {
        r: Relationship(name=r, column=snake(r), **_tuples(facts)) for r, facts in entry["relationships"].items()
    }
    taken = {c for r in relationships.values() if r.has_data for c in (r.id_column, r.type_column)}
    attributes = {
        a: Attribute(name=a, column=f"{snake(a)}_attribute" if snake(a) in taken else snake(a), **_tuples(facts))
        for a, facts in _numbered(entry["attributes"])
    }
    return ResourceType(
        name=name,
        plural=entry["plural"],
        id_type=entry.get("id_type", "integer"),
        operations=frozenset(entry["operations"]),
        s2s_operations=frozenset(entry.get("s2s_operations", ())),
        actions=_tuples(entry.get("actions", {})),
        collection_actions=_tuples(entry.get("collection_actions", {})),
        attributes=attributes,
        relationships=relationships,
    )


def _tuples(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in facts.items()}


def _numbered(attributes: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Unfold ``custom1..150`` into its 150 attributes."""
    for name, facts in attributes.items():
        stem, first, last = re.fullmatch(r"(.*?)(?:(\d+)\.\.(\d+))?", name).groups()  # type: ignore[union-attr]
        yield from ((f"{stem}{n}", facts) for n in range(int(first), int(last) + 1)) if last else [(name, facts)]


@cache
def load() -> Catalog:
    """Return the catalog that comes with this package; read once per process."""
    entries = msgspec.json.decode(Path(__file__).with_suffix(".json").read_bytes())
    return Catalog({name: expand(entry, name) for name, entry in entries.items()})
