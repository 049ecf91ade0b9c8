"""Read request bodies into drafts of records."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from outreach_frames._sandbox.errors import bad_document
from outreach_frames._sandbox.settings import Settings
from outreach_frames._sandbox.store import Identifier, Linkage, Record, as_tuple
from outreach_frames.catalog import ResourceType


@dataclass(frozen=True)
class Plan:
    """
    A record as a request would make it.

    Attributes
    ----------
    type
        Its type.
    before
        As it is now; ``None`` for a new one.
    attributes, relationships
        As they would be.
    """

    type: str
    before: Record | None
    attributes: Mapping[str, Any]
    relationships: Mapping[str, Linkage]

    def was(self, name: str) -> Any:
        """Return an attribute as it is now; ``None`` for a new record."""
        return self.before.attributes.get(name) if self.before else None

    def changes(self, name: str) -> bool:
        """Whether an attribute would be another; all of a new record are."""
        return self.before is None or self.was(name) != self.attributes.get(name)

    def moves(self, relationship: str) -> bool:
        """Whether a relationship would name another record."""
        before = self.before.relationships.get(relationship) if self.before else None
        return self.before is None or before != self.relationships.get(relationship)

    def names(self, relationship: str) -> Identifier | None:
        """Return the record that a relationship would name first, or ``None``."""
        return next(iter(as_tuple(self.relationships.get(relationship))), None)


@dataclass(frozen=True, kw_only=True)
class Draft:
    """
    What a request wants a record to be.

    Attributes
    ----------
    attributes, relationships
        As sent; relationships by the ``data`` of their objects.
    linkage_meta
        ``meta`` of the relationship objects that have one, such as ``{"task": {"complete": True}}``.
    meta
        ``meta`` of the resource object, such as ``{"sendInvite": False}``.
    """

    attributes: Mapping[str, Any] = field(default_factory=dict)
    relationships: Mapping[str, Any] = field(default_factory=dict)
    linkage_meta: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)


def read_draft(body: bytes, kind: ResourceType, settings: Settings, *, id_: str | None = None) -> Draft:
    """
    Read the body of a create, or (with `id_`) of an update.

    Raises
    ------
    Problem
        It is no document with one resource object, or its type or id are not the URL's.
    """
    data = read_data(body)
    status = settings.mismatch_status
    if data.get("type") != kind.name:
        raise bad_document(f"The type must be '{kind.name}'.", pointer="/data/type", status=status)
    if id_ is not None and (isinstance(data.get("id"), bool) or str(data.get("id")) != id_):
        raise bad_document(f"The id must be that of the URL, {id_}.", pointer="/data/id", status=status)
    if id_ is None and "id" in data and settings.create_with_id == "refuse":
        raise bad_document("A new resource has no id yet.", pointer="/data/id", status=status)
    relationships = _member(data, "relationships")
    for name, value in relationships.items():
        if not isinstance(value, Mapping) or "data" not in value:
            raise bad_document("A relationship has 'data'.", pointer=f"/data/relationships/{name}")
    return Draft(
        attributes=_member(data, "attributes"),
        relationships={name: value["data"] for name, value in relationships.items()},
        linkage_meta={name: value["meta"] for name, value in relationships.items() if _has_meta(value)},
        meta=_member(data, "meta"),
    )


def read_data(body: bytes) -> Mapping[str, Any]:
    """
    Return the ``data`` of a document.

    Raises
    ------
    Problem
        400: there is none, or it is no object.
    """
    try:
        document = json.loads(body)
    except ValueError:
        raise bad_document("The request body is not JSON.") from None
    if not isinstance(document, dict) or not isinstance(document.get("data"), dict):
        raise bad_document("The request body has no 'data' object.", pointer="/data")
    data: Mapping[str, Any] = document["data"]
    return data


def read_attributes(body: bytes) -> Mapping[str, Any]:
    """
    Return the attributes in the body of an action on a collection, which may be empty.

    Raises
    ------
    Problem
        400: there is a body, and it is no document.
    """
    return _member(read_data(body), "attributes") if body.strip() else {}


def _member(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = data.get(name) or {}
    if not isinstance(value, dict):
        raise bad_document(f"'{name}' is an object.", pointer=f"/data/{name}")
    return value


def _has_meta(relationship: Mapping[str, Any]) -> bool:
    return isinstance(relationship.get("meta"), Mapping)
