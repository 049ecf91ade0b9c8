"""
Read request bodies into drafts of records, and check their values against the catalog.

All errors of a request are collected before it is refused, each with a pointer to its place in the body.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from outreach_frames._sandbox.errors import InvalidError, bad_document
from outreach_frames._sandbox.relations import Schema
from outreach_frames._sandbox.settings import SandboxSettings
from outreach_frames._sandbox.store import Identifier, Record, ResourceLinkage, as_tuple, key_of
from outreach_frames._sandbox.writes.unit_of_work import instant, stamp
from outreach_frames.catalog import Attribute, Relationship, ResourceType, snake


@dataclass(frozen=True)
class Plan:
    """
    A record as it would be after a request.

    Attributes
    ----------
    type
        Its type.
    before
        The record now; ``None`` for a new one.
    attributes, relationships
        After the request.
    """

    type: str
    before: Record | None
    attributes: Mapping[str, Any]
    relationships: Mapping[str, ResourceLinkage]

    def was(self, name: str) -> Any:
        """Return the current value of an attribute; ``None`` for a new record."""
        return self.before.attributes.get(name) if self.before else None

    def changes(self, name: str) -> bool:
        """Whether an attribute would change; true for a new record."""
        return self.before is None or self.was(name) != self.attributes.get(name)

    def moves(self, relationship: str) -> bool:
        """Whether a relationship would change; true for a new record."""
        before = self.before.relationships.get(relationship) if self.before else None
        return self.before is None or before != self.relationships.get(relationship)

    def names(self, relationship: str) -> Identifier | None:
        """Return the first identifier of a relationship after the request, or ``None``."""
        return next(iter(as_tuple(self.relationships.get(relationship))), None)


@dataclass(frozen=True, kw_only=True)
class Draft:
    """
    The content of a request body.

    Attributes
    ----------
    attributes, relationships
        As sent; of relationships the ``data`` of their objects.
    linkage_meta
        ``meta`` of the relationship objects that have one, such as ``{"task": {"complete": True}}``.
    meta
        ``meta`` of the resource object, such as ``{"sendInvite": False}``.
    """

    attributes: Mapping[str, Any] = field(default_factory=dict)
    relationships: Mapping[str, Any] = field(default_factory=dict)
    linkage_meta: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)


def read_draft(body: bytes, kind: ResourceType, settings: SandboxSettings, *, id_: str | None = None) -> Draft:
    """
    Read the body of a create, or (with `id_`) of an update.

    Raises
    ------
    HttpError
        It is not a document with one resource object, or its type or id are not the URL's.
    """
    data = _read_data(body)
    status = settings.mismatch_status
    if data.get("type") != kind.name:
        raise bad_document(f"The type must be '{kind.name}'.", pointer="/data/type", status=status)
    if id_ is not None and (isinstance(data.get("id"), bool) or str(data.get("id")) != id_):
        raise bad_document(f"The id must be that of the URL, {id_}.", pointer="/data/id", status=status)
    if id_ is None and "id" in data and settings.create_with_id == "refuse":
        raise bad_document("A new resource has no id yet.", pointer="/data/id", status=status)
    relationships = _object_member(data, "relationships")
    for name, value in relationships.items():
        if not isinstance(value, Mapping) or "data" not in value:
            raise bad_document("A relationship has 'data'.", pointer=f"/data/relationships/{name}")
    return Draft(
        attributes=_object_member(data, "attributes"),
        relationships={name: value["data"] for name, value in relationships.items()},
        linkage_meta={name: value["meta"] for name, value in relationships.items() if _has_meta(value)},
        meta=_object_member(data, "meta"),
    )


def _read_data(body: bytes) -> Mapping[str, Any]:
    """
    Return the ``data`` of a document.

    Raises
    ------
    HttpError
        400: there is no ``data``, or it is not an object.
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
    HttpError
        400: there is a body, and it is not a document.
    """
    return _object_member(_read_data(body), "attributes") if body.strip() else {}


def _object_member(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = data.get(name) or {}
    if not isinstance(value, dict):
        raise bad_document(f"'{name}' is an object.", pointer=f"/data/{name}")
    return value


def _has_meta(relationship: Mapping[str, Any]) -> bool:
    return isinstance(relationship.get("meta"), Mapping)


_UNRELIABLE_LENGTHS = frozenset({"callOptOutAction", "emailOptOutAction", "smsOptOutAction"})
"""Attributes with four characters in the schema; ``primaryReplyAction``, declared alike, has longer values."""

_CERTAIN_ENUMS = frozenset(
    [("call", "direction"), ("sequence", "sequenceType"), ("sequenceStep", "stepType"), ("webhook", "payloadVersion")]
)
"""Enumerations on which all documents of the vendor agree; others are checked only under `strict_values`."""


class ErrorList:
    """The errors of a request; of several errors of one member, the first is reported."""

    def __init__(self) -> None:
        self._messages: dict[str | None, str] = {}

    def attribute(self, name: str, complaint: str) -> None:
        """Add an error of an attribute: ``"can't be blank"``."""
        self._messages.setdefault(f"/data/attributes/{name}", f"{spoken(name)} {complaint}.")

    def relationship(self, name: str, complaint: str) -> None:
        """Add an error of a relationship."""
        self._messages.setdefault(f"/data/relationships/{name}", f"{spoken(name)} {complaint}.")

    def raise_any(self) -> None:
        """
        Refuse the request if there are errors.

        Raises
        ------
        InvalidError
            There are errors.
        """
        if self._messages:
            raise InvalidError(list(self._messages.items()))


def spoken(name: str) -> str:
    """Return a name as in error messages: ``firstName`` → ``First name``."""
    return snake(name).replace("_", " ").capitalize()


def checked_attributes(
    kind: ResourceType, draft: Draft, settings: SandboxSettings, errors: ErrorList
) -> dict[str, Any]:
    """Return the attributes of a draft as they are stored; add errors."""
    values = {}
    for name, value in draft.attributes.items():
        attribute = kind.attributes.get(name)
        if attribute is None:
            if _free(kind):
                values[name] = value
            elif settings.unknown_members == "refuse":
                errors.attribute(name, f"is not an attribute of {kind.name}")
        elif attribute.read_only:
            if settings.read_only_members == "refuse":
                errors.attribute(name, "is read-only")
        else:
            try:
                values[name] = None if value is None else _read_attribute(kind, attribute, value, settings)
            except ValueError as error:
                errors.attribute(name, str(error))
    return values


def checked_relationships(
    kind: ResourceType, draft: Draft, schema: Schema, settings: SandboxSettings, errors: ErrorList
) -> dict[str, ResourceLinkage]:
    """Return the relationships of a draft as they are stored; add errors."""
    linkages: dict[str, ResourceLinkage] = {}
    for name, data in draft.relationships.items():
        relationship = kind.relationships.get(name)
        if relationship is None and not _free(kind):
            if settings.unknown_members == "refuse":
                errors.relationship(name, f"is not a relationship of {kind.name}")
        elif relationship is not None and (relationship.read_only or not relationship.has_data):
            if settings.read_only_members == "refuse":
                errors.relationship(name, "is read-only")
        else:
            try:
                linkages[name] = _read_linkage(relationship, data)
                _check_existence(linkages[name], schema, settings)
            except ValueError as error:
                errors.relationship(name, str(error))
    return linkages


def _free(kind: ResourceType) -> bool:
    """Whether the type is a custom object, whose members are not in the catalog."""
    return kind.plural.startswith("customObjects/")


# Attributes


def _read_attribute(kind: ResourceType, attribute: Attribute, value: Any, settings: SandboxSettings) -> Any:
    """
    Return a value as it is stored.

    Raises
    ------
    ValueError
        It is not of the attribute's type; the message follows the attribute's name.
    """
    if _free(kind):
        return value
    read = _array(attribute, value) if attribute.type == "array" else _READERS[_reader(attribute)](value)
    if isinstance(read, str):
        _check_length(attribute, read)
    is_certain = (kind.name, attribute.name) in _CERTAIN_ENUMS
    is_checked = is_certain or (settings.strict_values and not attribute.enum_open)
    if is_checked and attribute.enum and read not in attribute.enum:
        raise ValueError(f"must be one of {', '.join(map(str, attribute.enum))}")
    return read


def _reader(attribute: Attribute) -> str:
    return attribute.format if attribute.format is not None and attribute.format in _READERS else attribute.type


def _array(attribute: Attribute, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("must be a list")  # noqa: TRY004 - a bad value of a request
    return [_READERS[attribute.items](each) for each in value] if attribute.items in _READERS else value


def _check_length(attribute: Attribute, value: str) -> None:
    limit = attribute.max_length
    longest = max((len(str(each)) for each in attribute.enum), default=0)
    if limit is not None and len(value) > max(limit, longest) and attribute.name not in _UNRELIABLE_LENGTHS:
        raise ValueError(f"is too long (maximum is {limit} characters)")


def _typed_reader(types: type | tuple[type, ...], complaint: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not isinstance(value, types) or (isinstance(value, bool) and types is not bool):
            raise ValueError(complaint)
        return value

    return read


_read_text = _typed_reader(str, "must be a string")


def _read_instant(value: Any) -> str:
    try:
        return stamp(instant(_read_text(value)))
    except ValueError:
        raise ValueError("is not a valid datetime") from None


def _read_date(value: Any) -> str:
    try:
        return str(date.fromisoformat(_read_text(value)[:10]))
    except ValueError:
        raise ValueError("is not a valid date") from None


def _read_email(value: Any) -> str:
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", _read_text(value)):
        raise ValueError("is not a valid email address")
    return str(value)


_READERS: Mapping[str | None, Callable[[Any], Any]] = {
    "string": _read_text,
    "integer": _typed_reader(int, "must be an integer"),
    "number": _typed_reader((int, float), "must be a number"),
    "boolean": _typed_reader(bool, "must be true or false"),
    "object": _typed_reader(dict, "must be an object"),
    "date-time": _read_instant,
    "date": _read_date,
    "email": _read_email,
}


# Relationships


def _read_linkage(relationship: Relationship | None, data: Any) -> ResourceLinkage:
    """
    Return resource linkage.

    Raises
    ------
    ValueError
        It is not linkage, or of the wrong cardinality or type.
    """
    many = isinstance(data, list) if relationship is None else relationship.many
    targets = relationship.targets if relationship else ()
    if many:
        if not isinstance(data, list):
            raise ValueError("must be a list of resource identifiers")
        return tuple(_read_identifier(each, targets) for each in data)
    return None if data is None else _read_identifier(data, targets)


def _read_identifier(data: Any, targets: tuple[str, ...]) -> Identifier:
    if not isinstance(data, dict) or not isinstance(data.get("type"), str):
        raise ValueError("must be a resource identifier")  # noqa: TRY004 - a bad value of a request
    if isinstance(data.get("id"), bool) or not isinstance(data.get("id"), int | str):
        raise ValueError("must be a resource identifier with an id")  # noqa: TRY004 - as above
    if targets and data["type"] not in targets:
        raise ValueError(f"must be a resource identifier of type {' or '.join(targets)}")
    return Identifier(data["type"], key_of(data["type"], data["id"]))


def _check_existence(linkage: ResourceLinkage, schema: Schema, settings: SandboxSettings) -> None:
    if settings.missing_related == "accept":
        return
    for identifier in as_tuple(linkage):
        if not schema.holds(identifier):
            raise ValueError("must exist")


def blank(value: Any) -> bool:
    """Whether a value is null, an empty list or only spaces."""
    return value is None or value in ([], ()) or (isinstance(value, str) and not value.strip())
