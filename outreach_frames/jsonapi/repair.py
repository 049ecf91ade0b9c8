"""
Read a page again that failed strict decoding: notice names that are new, and fit values of a surprising type.

The page is taken apart into undecoded values, so that numbers keep their digits. It costs several times the strict
reading and is needed for odd pages only.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import msgspec

from outreach_frames.errors import DocumentError
from outreach_frames.jsonapi._rows import misfit
from outreach_frames.jsonapi._shapes import Linkage, Shape
from outreach_frames.jsonapi._values import MEANT, NULL, coerce, kind_of, text_of

Members: TypeAlias = dict[str, msgspec.Raw]

_members = msgspec.json.Decoder(Members)
_optional_members = msgspec.json.Decoder(Members | None)
_resources = msgspec.json.Decoder(list[Members] | None)
_several = msgspec.json.Decoder(list[Members])


@dataclass
class Loose:
    """
    A page taken apart.

    Attributes
    ----------
    data
        The members of each resource.
    beside
        The included resources, for those who want them.
    links, meta
        Members of the page's own.
    """

    data: list[Members]
    beside: msgspec.Raw = field(default_factory=lambda: NULL)
    links: Members = field(default_factory=dict)
    meta: Members = field(default_factory=dict)

    @cached_property
    def included(self) -> list[Members]:
        """The members of each included resource."""
        try:
            return _resources.decode(self.beside) or []
        except msgspec.ValidationError:
            raise no_resources("includes something else") from None


@contextmanager
def reading() -> Iterator[None]:
    """Turn what a JSON decoder raises into a DocumentError."""
    try:
        yield
    except RecursionError:
        raise DocumentError("The document is nested too deeply to be read.") from None
    except (msgspec.DecodeError, UnicodeError):
        raise DocumentError(
            "The document is no JSON, or was cut short.",
            hint="Try again; if it stays so, check that the address is that of the API and not of a proxy.",
        ) from None


def members_of(body: bytes) -> Members:
    """
    Return the members of a document.

    Raises
    ------
    DocumentError
        It is no object.
    """
    try:
        return _members.decode(body)
    except msgspec.ValidationError:
        raise no_resources("is no object") from None


def take_apart(body: bytes) -> Loose:
    """
    Split a page into undecoded members.

    Raises
    ------
    DocumentError
        It is no JSON:API document with resources.
    """
    members = members_of(body)
    try:
        if "data" not in members:
            raise no_resources("has no data")
        data = members["data"]
        several = bytes(data).startswith(b"[")
        return Loose(
            data=_several.decode(data) if several else [m for m in [_optional_members.decode(data)] if m is not None],
            beside=members.get("included", NULL),
            links=_optional_members.decode(members.get("links", NULL)) or {},
            meta=object_of(members.get("meta", NULL)),
        )
    except msgspec.ValidationError:
        raise no_resources("is laid out differently") from None


def no_resources(what: str) -> DocumentError:
    """Return the error for JSON that is no page of resources."""
    return DocumentError(
        f"The document is JSON but no page of JSON:API resources: it {what}.",
        hint="Check that the address is that of a JSON:API endpoint.",
    )


def object_of(raw: msgspec.Raw) -> Members:
    """Return an object's members; none of anything else, which is for others to refuse."""
    return _members.decode(raw) if bytes(raw).startswith(b"{") else {}


def next_link(links: Members) -> str | None:
    """
    Return the address of the next page; ``None`` on the last.

    Raises
    ------
    DocumentError
        There is one that cannot be read; to stop here would pass a part for the whole.
    """
    raw = links.get("next", NULL)
    if bytes(raw).startswith(b"{"):
        raw = _members.decode(raw).get("href", NULL)
    if raw != NULL and not bytes(raw).startswith(b'"'):
        raise DocumentError("The link to the next page is not text.", attribute="next")
    return text_of(raw) or None


def counts(meta: Members) -> tuple[int | None, bool]:
    """Return the number of records and whether it was cut short; an unreadable number is unknown."""
    try:
        count, truncated = coerce("integer", meta.get("count", NULL)), meta.get("count_truncated", NULL)
        return count, bool(coerce("boolean", truncated))
    except ValueError:
        return None, False


def type_of(members: Members, *, where: str) -> str:
    """
    Return the type of a resource.

    Raises
    ------
    DocumentError
        It has none.
    """
    raw = members.get("type", NULL)
    name = msgspec.json.decode(raw, type=str) if bytes(raw).startswith(b'"') else ""
    if not name:
        raise DocumentError(f"A resource in {where!r} has no type.", attribute="type")
    return name


def new_names(members: Members, shape: Shape) -> tuple[list[str], list[str]]:
    """Return the attributes and the relationships of a resource that its shape does not expect."""
    attributes = object_of(members.get("attributes", NULL))
    relationships = object_of(members.get("relationships", NULL))
    return (
        [name for name in attributes if name not in shape.attribute_fields],
        [
            name
            for name, raw in relationships.items()
            if name not in shape.relationship_fields or (shape.expects_no_data(name) and _has_data(raw))
        ],
    )


def _has_data(raw: msgspec.Raw) -> bool:
    return object_of(raw).get("data", NULL) != NULL


def repaired(members: Members, shape: Shape) -> Any:
    """
    Build the struct of a resource from what was sent, however it was typed.

    Raises
    ------
    DocumentError
        A value does not fit without loss.
    """
    sent = members.get("id", NULL)
    id_ = _identity(sent, shape.id_type)
    if id_ is None and not (shape.anonymous and sent == NULL):
        raise misfit(shape.resource_type.name, text_or_none(sent), "id", _ID[shape.id_type])
    attributes = _object(members, "attributes", shape, id_)
    relationships = _object(members, "relationships", shape, id_)
    return shape.resource(
        id=id_,
        attributes=shape.attributes(
            **{
                field: _attribute(shape, id_, name, attributes[name])
                for name, field in shape.attribute_fields.items()
                if name in attributes
            }
        ),
        relationships=shape.relationships(
            **{
                field: _relationship(shape, id_, name, relationships[name])
                for name, field in shape.relationship_fields.items()
                if name in relationships
            }
        ),
        meta=members.get("meta"),
    )


_ID_STARTS = {bytes([byte]) for byte in b'"-0123456789'}
_ID: dict[type, str] = {int: "an integer id", str: "an id"}


def _identity(raw: msgspec.Raw, as_type: type) -> Any:
    """Read an id sent as a number or as text; ``None`` where it is neither or does not fit."""
    if bytes(raw)[:1] not in _ID_STARTS:
        return None
    try:
        return coerce("integer" if as_type is int else "string", raw)
    except ValueError:
        return None


def text_or_none(raw: msgspec.Raw) -> str | None:
    """Return a scalar as text for a message; ``None`` where it is none."""
    try:
        return text_of(raw)
    except ValueError:
        return None


def _object(members: Members, name: str, shape: Shape, id_: Any) -> Members:
    try:
        return _optional_members.decode(members.get(name, NULL)) or {}
    except msgspec.ValidationError:
        raise misfit(shape.resource_type.name, id_, name, "an object") from None


def _attribute(shape: Shape, id_: Any, name: str, raw: msgspec.Raw) -> Any:
    if name not in shape.wanted or name in shape.new_attributes:
        return raw
    kind = kind_of(shape.resource_type.attributes[name])
    try:
        return coerce(kind, raw)
    except ValueError:
        raise misfit(shape.resource_type.name, id_, name, MEANT[kind]) from None


def _relationship(shape: Shape, id_: Any, name: str, raw: msgspec.Raw) -> Any:
    """Read a relationship; identifiers without the ``data`` around them, as in webhooks, are understood."""
    linkage = shape.linkages.get(name)
    if linkage is None:
        return None if name not in shape.new_relationships and shape.expects_no_data(name) else raw
    try:
        data = linkage_of(raw)
        if data == NULL:
            return linkage.struct()
        if linkage.many:
            return linkage.struct(data=[_reference(linkage, one) for one in _several.decode(data)])
        return linkage.struct(data=_reference(linkage, _members.decode(data)))
    except ValueError:
        meant = f"linked to {' or '.join(linkage.targets) or 'a resource'} by type and id"
        raise misfit(shape.resource_type.name, id_, name, meant) from None


def linkage_of(raw: msgspec.Raw) -> msgspec.Raw:
    """
    Return the ``data`` of a relationship, or the relationship itself where it is a bare identifier.

    Raises
    ------
    ValueError
        It is no object.
    """
    members: Members = _optional_members.decode(raw) or {}
    return members.get("data", NULL if members.get("id", NULL) == NULL else raw)


def _reference(linkage: Linkage, members: Members) -> Any:
    """
    Read a resource identifier.

    Raises
    ------
    ValueError
        It names no resource, or one of a type that the relationship does not lead to.
    """
    type_ = msgspec.json.decode(members.get("type", NULL), type=str)
    id_ = _identity(members.get("id", NULL), linkage.id_type)
    if id_ is None or (linkage.checked and type_ != linkage.targets[0]):
        raise ValueError("not an identifier of this relationship")
    return linkage.reference(type=type_, id=id_)
