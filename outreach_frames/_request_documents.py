"""
Write request documents: keyword arguments as a JSON:API resource object, checked against the catalog.

What the API would refuse is refused here: read-only attributes, unknown names, values of the wrong type. Enumerated
values pass as they are, since the vendor's own documents disagree on some of them (call outcomes, ruleset options).

JSON has one word, null, and to the API it means "clear". So only ``None`` becomes it: what pandas calls missing (NaN,
NaT, ``<NA>``) is left out, and an infinity is refused.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any
from urllib.parse import quote

import msgspec
import numpy as np
import pandas as pd

from outreach_frames._query import Parameters, batch_filter, text
from outreach_frames._secrets import revealed
from outreach_frames.catalog import Attribute, Catalog, Relationship, ResourceType, camel
from outreach_frames.errors import QueryError, UnknownNameError


@dataclass(frozen=True, slots=True)
class Reference:
    """A relationship's value: which record, and what to tell the API about the relation; see `ref`."""

    id: int | str
    type: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


def ref(id: int | str, /, type: str | None = None, **meta: Any) -> Reference:  # noqa: A002  JSON:API's own words
    """
    Name a record as the value of a relationship.

    Parameters
    ----------
    id
        The record's id.
    type
        Its resource type; needed only where a relationship may point to several (a task's ``subject``).
    **meta
        Members of the relationship's ``meta``, in either spelling.

    Examples
    --------
    Log a call and complete the task that asked for it:

    >>> of.ref(1, complete=True)
    Reference(id=1, type=None, meta={'complete': True})
    """
    return Reference(id, type, meta)


RecordId = int | str | pd.Series
"""A record: its id, or its row of a frame."""


def id_of(record: Any) -> Any:
    """Return the ``id`` of a row, ``None`` if it has none, and anything else; whole numbers as Python's own."""
    id_ = record.get("id") if isinstance(record, (pd.Series, Mapping)) else record
    return _whole_number(id_.item() if isinstance(id_, np.generic) else id_)


def checked_id(kind: ResourceType, record: Any) -> int | str:
    """
    Return the id of a record, given by itself or by the record's row of a frame.

    Raises
    ------
    QueryError
        It cannot be one of this type: it would name another record, or none.
    """
    id_ = id_of(record)
    if isinstance(id_, int) and not isinstance(id_, bool) and id_ >= 0:
        return id_
    if isinstance(id_, str) and (id_ != "" if kind.id_type == "string" else id_.isascii() and id_.isdigit()):
        return id_
    ids = "texts" if kind.id_type == "string" else "whole numbers from 0"
    raise QueryError(
        f"A value of type {type(id_).__name__} is no id of {kind.table}; ids are {ids}."
        if not isinstance(id_, (str, int)) or isinstance(id_, bool)
        else f"The {'text' if isinstance(id_, str) else 'number'} is no id of {kind.table}; ids are {ids}.",
        hint="Take it from the column id of a frame.",
    )


def record_path(kind: ResourceType, record: Any) -> str:
    """
    Return the path of one record, given by its id or its row of a frame.

    Raises
    ------
    QueryError
        The id cannot be one of this type: it would name another record, or none.
    """
    return f"{kind.path}/{quote(str(checked_id(kind, record)), safe='')}"


@dataclass(frozen=True)
class RequestDocument:
    """
    One resource object to send.

    Attributes
    ----------
    body
        The document [JSON].
    arguments
        JSON Pointer → the caller's argument that stands there.
    """

    body: bytes = field(repr=False)
    arguments: Mapping[str, str]


def resource_document(
    kind: ResourceType,
    values: Mapping[str, Any],
    *,
    id: int | str | None = None,  # noqa: A002  JSON:API's own word
    meta: Mapping[str, Any] | None = None,
) -> RequestDocument:
    """
    Build the document of a create (without ``id``) or an update (with it).

    Parameters
    ----------
    kind
        The resource type.
    values
        Attribute or relationship, in either spelling → value. ``None`` clears; a missing value is left out.
    id
        The record to update.
    meta
        The resource's ``meta``, in either spelling.

    Raises
    ------
    UnknownNameError
        The type has no such attribute or relationship.
    QueryError
        It is read-only, or a value does not fit or is infinite; an update that names nothing to change; deletion
        requests, which are written and answered unlike all else.
    """
    if kind.name == "complianceRequest":
        raise QueryError(
            "Deletion requests are written and answered unlike any other record.",
            hint="Use of.compliance.request_deletion.",
        )
    attributes: dict[str, Any] = {}
    relationships: dict[str, Any] = {}
    arguments: dict[str, str] = {}
    for name, value in values.items():
        member = _writable_member(kind, name)
        if is_missing(value):
            continue
        if member.name in attributes or member.name in relationships:
            raise QueryError(f"{name} is given twice, in two spellings.", hint="Leave one of the two out.")
        if isinstance(member, Attribute):
            attributes[member.name] = attribute_value(name, value, member)
            arguments[f"/data/attributes/{member.name}"] = name
        else:
            relationships[member.name] = _written_linkage(name, value, member)
            arguments[f"/data/relationships/{member.name}"] = name
    if id is not None and not arguments and not meta:
        raise QueryError("There is nothing to change: no value is given.", hint="To clear an attribute, pass None.")
    data: dict[str, Any] = {"type": kind.name}
    members = {"id": id, "attributes": attributes, "relationships": relationships, "meta": _api_members(meta or {})}
    data |= {key: value for key, value in members.items() if value not in (None, {})}
    return RequestDocument(msgspec.json.encode({"data": data}, enc_hook=revealed), arguments)


def action_parameters(
    catalog: Catalog,
    kind: ResourceType,
    action: str,
    values: Mapping[str, Any],
    *,
    on_collection: bool,
    filter: Mapping[str, Any] | None = None,  # noqa: A002  the API's own word
) -> tuple[Parameters, RequestDocument]:
    """
    Build the query parameters of an action, and the document where it takes one.

    Parameters
    ----------
    catalog, kind, action
        The action, by the API's name.
    values
        Parameter, or (on a collection) member of the body → value.
    on_collection
        Whether it is an action on the collection.
    filter
        Which records a batch concerns.

    Raises
    ------
    UnknownNameError
        The action has no such parameter.
    QueryError
        A batch names no records: it would touch every one. A parameter is no scalar, or a value is infinite.
    """
    parameters = (kind.collection_actions if on_collection else kind.actions)[action]
    attributes = _api_members(values)
    if not on_collection and (unknown := next((name for name in attributes if name not in parameters), None)):
        raise UnknownNameError(unknown, kind=f"parameter of {kind.name}.{action}", valid=parameters)
    if "fieldName" in attributes and "fieldValue" not in attributes:
        raise QueryError("field_name needs a field_value, and it is missing.", hint="To clear the field, pass None.")
    scalars = {name: value for name, value in attributes.items() if name in parameters and value is not None}
    if several := next((name for name, value in scalars.items() if isinstance(value, (list, dict))), None):
        raise QueryError(f"{several} takes one value, not several.")
    params = [(f"actionParams[{name}]", text(value)) for name, value in scalars.items()]
    if not on_collection:
        return params, RequestDocument(b"", {})
    if "filter" in parameters:
        chosen = batch_filter(catalog, _subject(action), filter or {})
        if not chosen and not attributes.get("ids"):
            raise QueryError(
                f"{action} without a filter or ids would touch every record.", hint="Pass filter={…} or ids=[…]."
            )
        params += chosen
    attributes = {name: value for name, value in attributes.items() if name not in parameters}
    arguments = {f"/data/attributes/{camel(name)}": name for name in values}
    body = msgspec.json.encode({"data": {"attributes": attributes}}, enc_hook=revealed) if attributes else b""
    return params, RequestDocument(body, arguments)


def _subject(action: str) -> str | None:
    """Return the resource type whose records a batch action concerns; ``None`` for custom objects."""
    return next((plural for plural in ("accounts", "prospects") if action.startswith(plural[:-1])), None)


def _writable_member(kind: ResourceType, name: str) -> Attribute | Relationship:
    member = kind.member(name)
    if member.read_only:
        able = [a.column for a in kind.attributes.values() if not a.read_only and not a.is_custom]
        able += [r.column for r in kind.relationships.values() if not r.read_only]
        raise QueryError(f"{kind.name}.{name} is read-only.", hint=f"Writable: {', '.join(able)}.")
    return member


JSON_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
}


def attribute_value(name: str, value: Any, attribute: Attribute) -> Any:
    """
    Return the value of an attribute as it is sent.

    Parameters
    ----------
    name
        What the caller calls it.
    value
        As frames and people give it; not missing.
    attribute
        What it is for.

    Raises
    ------
    QueryError
        It does not fit, is infinite, or holds a missing value.
    """
    value = _plain_value(name, value)
    if value is None:
        return None
    if isinstance(value, date) and attribute.type == "string":
        return _written_day(name, value) if attribute.format == "date" else _written_instant(value)
    if attribute.type == "integer":
        value = _whole_number(value)
    if holds_addresses(attribute):
        value = [_trimmed(item) for item in value] if isinstance(value, list) else _trimmed(value)
    fits = isinstance(value, JSON_TYPES[attribute.type]) and isinstance(value, bool) <= (attribute.type == "boolean")
    if not fits:
        raise QueryError(f"{name} takes {_a(attribute.type)}, not {_a(type(value).__name__)}.")
    # The vendor documents values that are longer than the length it gives beside them (``primaryReplyAction``: 4).
    documented = attribute.type == "string" and value in attribute.enum
    if attribute.max_length and isinstance(value, str) and not documented and len(value) > attribute.max_length:
        raise QueryError(f"{name} takes at most {attribute.max_length:,} characters; these are {len(value):,}.")
    return value


ADDRESS_FIELDS = frozenset({"email", "emails"})
"""Attributes that hold e-mail addresses."""

_BLANKS = r"[\s\u200b\u2060\ufeff]+"
"""White space, no-break spaces among it, and the marks without width that come with copied text."""


def holds_addresses(attribute: Attribute) -> bool:
    """Return whether an attribute's values are e-mail addresses, which differ in case and are the same."""
    return attribute.name in ADDRESS_FIELDS


def without_blanks(address: str) -> str:
    """Return an address without the blanks around it."""
    return re.sub(f"^{_BLANKS}|{_BLANKS}$", "", address)


def _trimmed(value: Any) -> Any:
    return without_blanks(value) if isinstance(value, str) else value


def is_missing(value: Any) -> bool:
    """Return whether a value is what pandas calls missing. ``None``, which a caller writes to clear, is not."""
    return value is not None and pd.api.types.is_scalar(value) and bool(pd.isna(value))


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


EXACT = 2**53
"""Up to here every whole number is a float of its own; beyond, neighbors become one."""


def _whole_number(value: Any) -> Any:
    """Return a whole number as Python's own, since pandas makes floats of a column of integers that has a gap."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < EXACT else value


def _plain_value(name: str, value: Any) -> Any:
    """Turn what frames hold into plain JSON values."""
    if isinstance(value, np.datetime64):
        value = pd.Timestamp(value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (pd.Series, np.ndarray, list, tuple, set, frozenset)):
        return [_plain_value(name, item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain_value(name, item) for key, item in value.items()}
    if is_missing(value):
        raise QueryError(f"{name} holds a missing value, which JSON does not have.", hint="Leave it out.")
    if isinstance(value, float) and math.isinf(value):
        raise QueryError(f"{name} is infinite, which JSON does not have.", hint="Leave it out, or correct it.")
    return value


def _written_day(name: str, value: date) -> str:
    if isinstance(value, datetime) and value.time() != time():
        raise QueryError(f"{name} takes a date; this has a time of day.", hint="Pass its .date().")
    return value.isoformat()[:10]


def _written_instant(value: date) -> str:
    if not isinstance(value, datetime):
        return value.isoformat()
    aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return aware.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _written_linkage(name: str, value: Any, relationship: Relationship) -> dict[str, Any]:
    if relationship.many:
        if value is None:
            return {"data": []}
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable) or isinstance(value, pd.Series):
            raise QueryError(f"{name} takes a list of records.", hint="Put the one record into a list.")
        return {"data": [_resource_identifier(name, item, relationship)["data"] for item in value]}
    return {"data": None} if value is None else _resource_identifier(name, value, relationship)


def _resource_identifier(name: str, value: Any, relationship: Relationship) -> dict[str, Any]:
    reference = value if isinstance(value, Reference) else Reference(value)
    number = _related_id(name, reference.id)
    kind = reference.type or (relationship.targets[0] if len(relationship.targets) == 1 else None)
    if kind is None:
        raise QueryError(
            f"{name} may point to {', '.join(relationship.targets)}.",
            hint=f'Say which: of.ref({number}, "{next(iter(relationship.targets), "type")}").',
        )
    linkage: dict[str, Any] = {"data": {"type": kind, "id": number}}
    return linkage | ({"meta": _api_members(reference.meta)} if reference.meta else {})


def _related_id(name: str, value: Any) -> int | str:
    """Read an id from a number, a text or the row of a frame."""
    id_ = id_of(value)
    if isinstance(id_, bool) or not isinstance(id_, (int, str)):
        raise QueryError(f"{name} takes an id, of.ref(…) or the row of a frame, not a {type(value).__name__}.")
    return id_


def _api_members(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values under the API's names; those that are missing are left out."""
    return {camel(name): _plain_value(name, value) for name, value in values.items() if not is_missing(value)}
