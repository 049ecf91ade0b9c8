"""
Write documents: resource objects, included resources, links and counts.

By default a resource has every attribute of its type, missing ones as null, and every relationship, each with the
members that the catalog declares for it: identifiers, a link, both, or neither.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from outreach_frames._sandbox import relations
from outreach_frames._sandbox.query import FieldsetsByType, ParsedQuery, Tree
from outreach_frames._sandbox.relations import Schema
from outreach_frames._sandbox.settings import SandboxSettings
from outreach_frames._sandbox.store import Identifier, Record, Store, normal
from outreach_frames.catalog import Relationship, ResourceType

_SENT_ON_REQUEST = {"prospect": frozenset({"contactHistogram"})}
"""Attributes that are sent only if the request names them."""

_SYNCED_TYPES = frozenset(
    {"account", "call", "event", "mailing", "opportunity", "opportunityStage", "product", "prospect", "purchase"}
    | {"stage", "task", "user"}
)
"""Types that can be connected to a record of a CRM."""

_NO_DELETE_META = frozenset({"batch", "import", "mailing", "user"})
_NO_WRITE_META = frozenset({"favorite", "sequenceState", "contentCategoryMembership", "contentCategoryOwnership"})
_NO_META = frozenset(
    {"accountNote", "auditLog", "batchItem", "complianceRequest", "customDuty", "duty", "event", "kaiaRecording"}
    | {"kaiaVoiceImport", "mailAlias", "orgSetting", "prospectNote", "taskPriority"}
)
"""Types without ``canDelete``, without ``canWrite``, and without both."""


@dataclass(frozen=True)
class _Plan:
    """What is sent of a type: all attributes as nulls, hidden ones, the fieldset, and the relationships."""

    kind: ResourceType
    blank: Mapping[str, None]
    fieldset: frozenset[str] | None
    hidden: frozenset[str]
    relationships: tuple[Relationship, ...]


class DocumentWriter:
    """
    Writes resources for one request.

    Parameters
    ----------
    store, schema
        Records and their types.
    settings
        Behavior that is not documented.
    base_url
        Start of every link.
    query
        The query of the request.
    """

    def __init__(
        self, store: Store, schema: Schema, settings: SandboxSettings, base_url: str, query: ParsedQuery
    ) -> None:
        self._store = store
        self._schema = schema
        self._settings = settings
        self._base_url = base_url
        self._query = query
        self._plans: dict[str, _Plan] = {}

    def single(self, record: Record) -> bytes:
        """Return the document of one resource."""
        return msgspec.json.encode({"data": self._resource(record, self._query.include)} | self._included([record]))

    def collection(
        self, records: Sequence[Record], *, meta: Mapping[str, Any] | None, links: Mapping[str, str]
    ) -> bytes:
        """Return the document of one page; an empty collection has no ``links``."""
        document: dict[str, Any] = {"data": [self._resource(record, self._query.include) for record in records]}
        document |= self._included(records)
        if meta is not None:
            document["meta"] = meta
        if records:
            document["links"] = links
        return msgspec.json.encode(document)

    # Included

    def _included(self, primary: Sequence[Record]) -> dict[str, Any]:
        if not self._query.include:
            return {}
        present = {normal(record.identifier) for record in primary}
        trees: dict[Identifier, Tree] = {}
        included: dict[Identifier, Record] = {}
        for record, tree in self._reached(primary, self._query.include):
            identifier = normal(record.identifier)
            if identifier not in present:
                included[identifier] = record
                trees[identifier] = trees.get(identifier, {}) | tree
        return {"included": [self._resource(record, trees[identifier]) for identifier, record in included.items()]}

    def _reached(self, records: Iterable[Record], tree: Tree) -> Iterator[tuple[Record, Tree]]:
        """Yield every record on the include paths, intermediate ones too, breadth first."""
        level = [(record, tree) for record in records]
        visited: set[tuple[Identifier, int]] = set()
        while level:
            following = []
            for record, branches in level:
                for name, branch in branches.items():
                    for identifier in self._linkage(record, name):
                        visit = (normal(identifier), id(branch))
                        other = self._store.find(*identifier) if visit not in visited else None
                        visited.add(visit)
                        if other is not None:
                            following.append((other, branch))
            yield from following
            level = following

    # Resource objects

    def _resource(self, record: Record, tree: Tree) -> dict[str, Any]:
        plan = self._plan(record.type)
        resource: dict[str, Any] = {"type": record.type, "id": record.id}
        attributes = {**plan.blank, **record.attributes}
        if plan.fieldset is not None:
            attributes = {name: value for name, value in attributes.items() if name in plan.fieldset}
        for name in plan.hidden & attributes.keys():
            del attributes[name]
        relationships = {each.name: self._relationship(record, each, tree) for each in plan.relationships}
        if attributes or plan.fieldset is None:
            resource["attributes"] = attributes
        if relationships or plan.fieldset is None:
            resource["relationships"] = relationships
        meta = self._meta(record)
        if meta:
            resource["meta"] = meta
        resource["links"] = {"self": f"{self._base_url}/{plan.kind.plural}/{record.id}"}
        return resource

    def _plan(self, type_name: str) -> _Plan:
        if type_name not in self._plans:
            self._plans[type_name] = self._new_plan(type_name, self._query.fieldsets)
        return self._plans[type_name]

    def _new_plan(self, type_name: str, fieldsets: FieldsetsByType) -> _Plan:
        kind = self._schema.type(type_name)
        if kind is None:
            raise LookupError(f"neither the records nor the catalog have the type {type_name}")
        fieldset = fieldsets.get(type_name)
        hidden = {name for name, attribute in kind.attributes.items() if attribute.write_only}
        if fieldset is None and not self._settings.contact_histogram_by_default:
            hidden |= _SENT_ON_REQUEST.get(type_name, frozenset())
        return _Plan(
            kind=kind,
            blank={name: None for name in self._declared(type_name) if fieldset is None or name in fieldset},
            fieldset=fieldset,
            hidden=frozenset(hidden),
            relationships=tuple(
                each for name, each in kind.relationships.items() if fieldset is None or name in fieldset
            ),
        )

    def _declared(self, type_name: str) -> Iterable[str]:
        declared = self._schema.declared(type_name)
        return declared.attributes if declared else ()

    def _relationship(self, record: Record, relationship: Relationship, tree: Tree) -> dict[str, Any]:
        value: dict[str, Any] = {}
        included = relationship.name in tree and relationship.has_links
        if relationship.has_data or included:
            identifiers = [
                {"type": identifier.type, "id": identifier.id}
                for identifier in self._linkage(record, relationship.name)
            ]
            value["data"] = identifiers if relationship.many else next(iter(identifiers), None)
        related = self._related_link(record, relationship) if relationship.has_links else None
        if related is not None:
            value["links"] = {"related": f"{self._base_url}{related}"}
        return value

    def _related_link(self, record: Record, relationship: Relationship) -> str | None:
        if relationship.many:
            return relations.related_query(record, relationship)
        if relationship.has_data and not self._settings.to_one_links:
            return None
        links = (
            f"/{target.plural}/{identifier.id}"
            for identifier in self._linkage(record, relationship.name)
            if (target := self._schema.type(identifier.type))
        )
        return next(links, None)

    def _linkage(self, record: Record, name: str) -> tuple[Identifier, ...]:
        identifiers = relations.related(self._store, record, name)
        hides = (record.type, name) == ("prospect", "account") and not self._query.with_unnamed_account
        return tuple(each for each in identifiers if self._is_named(each)) if hides else identifiers

    def _is_named(self, identifier: Identifier) -> bool:
        account = self._store.find(*identifier)
        return account is None or account.attributes.get("named") is not False

    def _meta(self, record: Record) -> dict[str, Any]:
        meta: dict[str, Any] = {}
        if self._query.data_connections and record.type in _SYNCED_TYPES:
            meta["dataConnections"] = record.meta.get("dataConnections", [])
        if self._query.authorization_meta and record.type not in _NO_META:
            unknown_for = {"canWrite": _NO_WRITE_META, "canDelete": _NO_DELETE_META}
            meta |= {
                name: record.meta.get(name, True) for name, types in unknown_for.items() if record.type not in types
            }
        return meta


def count_meta(total: int, query: ParsedQuery, settings: SandboxSettings) -> dict[str, Any] | None:
    """Return the ``meta`` of a collection with this number of records, or ``None``."""
    is_counted = settings.count_by_default if query.count is None else query.count
    if not is_counted:
        return {"count": None} if settings.meta_without_count == "null" else None
    if settings.count == "unknown":
        return {"count": 0, "count_truncated": True}
    return {"count": min(total, settings.count_limit), "count_truncated": total > settings.count_limit}


def types_document(definitions: Mapping[str, Mapping[str, Any]], settings: SandboxSettings) -> bytes:
    """Return the document of ``GET /types``: labels, types and options of the custom fields, by resource type."""

    def spelled(name: str) -> str:
        return name[:1].upper() + name[1:] if settings.types_spelling == "capitalized" else name

    data = [{"type": spelled(name), "meta": {"validations": fields}} for name, fields in definitions.items()]
    return msgspec.json.encode({"data": data})
