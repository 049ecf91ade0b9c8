"""
Decode a page that failed strict decoding: report new names, and convert values of another type.

The page is split into undecoded values, so that numbers keep their digits. This takes several times as long as strict
decoding, and is done only for the resources that need it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import msgspec

from outreach_frames._jsonapi.structs import Linkage, Shape
from outreach_frames._jsonapi.values import MEANT, NULL, Misfit, coerce, kind_of, misfit, text_of
from outreach_frames.errors import DocumentError

Members: TypeAlias = dict[str, msgspec.Raw]

CHECK_ADDRESS = "Try again; if it stays so, check that the address is that of the API and not of a proxy."
_JSON_KINDS = {b"[": "a list", b'"': "text", b"t": "true or false", b"f": "true or false", b"n": "null"}

_OTHER_MEMBER = "has a member of another type than JSON:API asks for"


class Outline(msgspec.Struct):
    """The members of a document; those that it does not have are null, but for the data."""

    data: list[Members] | Members | msgspec.UnsetType | None = msgspec.UNSET
    included: msgspec.Raw = NULL
    links: msgspec.Raw = NULL
    meta: msgspec.Raw = NULL
    jsonapi: msgspec.Raw = NULL
    errors: msgspec.Raw = NULL


_outline = msgspec.json.Decoder(Outline)
_members_decoder = msgspec.json.Decoder(Members)
_several = msgspec.json.Decoder(list[Members])
_raws = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass
class RawDocument:
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
    body
        The page as sent, where it is read as it is and has no odd link; ``None`` otherwise.
    """

    data: list[Members]
    beside: msgspec.Raw = field(default_factory=lambda: NULL)
    links: Members = field(default_factory=dict)
    meta: Members = field(default_factory=dict)
    body: bytes | None = None

    @cached_property
    def included(self) -> list[Members]:
        """The members of each included resource."""
        try:
            return [] if says_nothing(self.beside) else _several.decode(self.beside)
        except msgspec.ValidationError:
            raise no_resources("has an included member that is not a list of objects") from None

    @cached_property
    def types(self) -> list[str]:
        """The type of each resource."""
        return [type_of(members, where="data") for members in self.data]

    @cached_property
    def included_types(self) -> list[str]:
        """The type of each included resource."""
        return [type_of(members, where="included") for members in self.included]

    def first_of_each_type(self) -> "RawDocument":
        """Return the first resource of each type, and the first included one."""
        data = [self.data[self.types.index(name)] for name in dict.fromkeys(self.types)]
        included = [self.included[self.included_types.index(name)] for name in dict.fromkeys(self.included_types)]
        return RawDocument(data, msgspec.Raw(msgspec.json.encode(included)))


@contextmanager
def reading(body: bytes = b"", *, name: str = "The document", hint: str = CHECK_ADDRESS) -> Iterator[None]:
    """
    Turn what a JSON decoder raises into a DocumentError.

    Parameters
    ----------
    body
        What is read, to say what it is instead.
    name
        What to call it.
    hint
        The next step where it is no document at all.
    """
    try:
        yield
    except DocumentError as error:
        if error.hint is None and (error.resource_type, error.attribute) == (None, None):
            error.hint = hint
        raise
    except RecursionError:
        raise DocumentError(f"{name} is nested too deeply to be read.", hint=hint) from None
    except (msgspec.DecodeError, UnicodeError):
        raise DocumentError(f"{name} is {what_instead_of_json(body)}.", hint=hint) from None


def what_instead_of_json(body: bytes) -> str:
    """Say what bytes are that are no JSON, as the rest of a sentence."""
    start = body[:4]
    if not body.strip():
        return "empty"
    if start[:2] in {b"\xff\xfe", b"\xfe\xff"} or b"\0" in start:
        return "in UTF-16 or UTF-32, where JSON:API takes UTF-8"
    if body.lstrip().startswith(b"<"):
        return "HTML or XML, and no JSON"
    try:
        msgspec.json.decode(body.lstrip(), type=msgspec.Raw)
    except msgspec.DecodeError as error:
        if "trailing" in str(error):
            return "several in one, or goes on after its end"
    return "no JSON, or was cut short"


def outline_of(body: bytes) -> Outline:
    """
    Split a document into undecoded members.

    Raises
    ------
    DocumentError
        It is no object, or its data are no resources.
    """
    try:
        return _outline.decode(body)
    except msgspec.ValidationError:
        start = body.lstrip()[:1]
        other = f"is {_JSON_KINDS.get(start, 'a number')}"
        raise no_resources(_OTHER_MEMBER if start == b"{" else other) from None


def split_document(body: bytes) -> RawDocument:
    """
    Split a page into undecoded members.

    Raises
    ------
    DocumentError
        It is no JSON:API document with resources.
    """
    return resources_of(outline_of(body), body)


def resources_of(outline: Outline, body: bytes) -> RawDocument:
    """
    Return the resources of a document.

    Raises
    ------
    DocumentError
        It has no data, or a member of another type.
    """
    data = outline.data
    if data is msgspec.UNSET:
        raise no_resources("has no data")
    try:
        links = _members_or_none(outline.links)
        return RawDocument(
            data=data if isinstance(data, list) else [] if data is None else [data],
            beside=outline.included,
            links=links,
            meta=object_of(outline.meta),
            body=body if bytes(links.get("next", NULL))[:1] in {b"n", b'"'} else None,
        )
    except msgspec.ValidationError:
        raise no_resources(_OTHER_MEMBER) from None


def no_resources(what: str) -> DocumentError:
    """Return the error for JSON that is no page of resources."""
    return DocumentError(f"The document is JSON, but not a JSON:API document with resources: it {what}.")


def says_nothing(raw: msgspec.Raw) -> bool:
    """Tell whether a value is null, ``{}`` or ``[]``: PHP writes an empty object as an empty list."""
    written = bytes(raw)
    return raw == NULL or (written[:1] in {b"{", b"["} and not written[1:-1].strip())


def _members_or_none(raw: msgspec.Raw) -> Members:
    """Return an object's members, none of what says nothing; anything else is a `msgspec.ValidationError`."""
    return {} if says_nothing(raw) else _members_decoder.decode(raw)


def object_of(raw: msgspec.Raw) -> Members:
    """Return an object's members; none of anything else, which is for others to refuse."""
    return _members_decoder.decode(raw) if bytes(raw).startswith(b"{") else {}


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
        raw = _members_decoder.decode(raw).get("href", NULL)
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
    name = text_of(raw) if bytes(raw).startswith(b'"') else None
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


def ordinary(members: Members, shape: Shape) -> Any:
    """Return the struct of a resource that holds nothing new and nothing odd, ``None`` if it does."""
    try:
        return shape.decoder.decode(msgspec.json.encode(members))
    except msgspec.ValidationError:
        return None


def repaired(members: Members, shape: Shape, misfits: list[Misfit]) -> Any:
    """
    Build the struct of a resource from what was sent, however it was typed.

    Relationships that lead to nothing that can be read are left out and noted in `misfits`.

    Raises
    ------
    DocumentError
        A value of an attribute does not fit without loss, or there is no id.
    """
    sent = members.get("id", NULL)
    id_ = read_id(sent, shape.id_type)
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
                field: _relationship(shape, id_, name, relationships[name], misfits)
                for name, field in shape.relationship_fields.items()
                if name in relationships
            }
        ),
        meta=members.get("meta"),
    )


_ID_STARTS = {bytes([byte]) for byte in b'"-0123456789'}
_ID: dict[type, str] = {int: "an integer id", str: "an id"}


def is_id(raw: msgspec.Raw) -> bool:
    """Tell whether a value is a number or text."""
    return bytes(raw)[:1] in _ID_STARTS


def read_id(raw: msgspec.Raw, as_type: type) -> Any:
    """Return an id sent as a number or as text; ``None`` where it is neither or does not fit."""
    if not is_id(raw):
        return None
    try:
        id_ = coerce("integer" if as_type is int else "string", raw)
    except ValueError:
        return None
    return None if as_type is int and not -(2**63) <= id_ < 2**63 else id_


def text_or_none(raw: msgspec.Raw) -> str | None:
    """Return a scalar as text for a message; ``None`` where it is none."""
    try:
        return text_of(raw)
    except ValueError:
        return None


def _object(members: Members, name: str, shape: Shape, id_: Any) -> Members:
    try:
        return _members_or_none(members.get(name, NULL))
    except msgspec.ValidationError:
        raise misfit(shape.resource_type.name, id_, name, "an object") from None


def _attribute(shape: Shape, id_: Any, name: str, raw: msgspec.Raw) -> Any:
    if name not in shape.decoded_names or name in shape.new_attributes:
        return raw
    kind = kind_of(shape.resource_type.attributes[name])
    try:
        return coerce(kind, raw)
    except ValueError:
        raise misfit(shape.resource_type.name, id_, name, MEANT[kind]) from None


def _relationship(shape: Shape, id_: Any, name: str, raw: msgspec.Raw, misfits: list[Misfit]) -> Any:
    """Read a relationship; identifiers without the ``data`` around them, as in webhooks, are understood."""
    linkage = shape.linkages.get(name)
    if linkage is None:
        return None if name not in shape.new_relationships and shape.expects_no_data(name) else raw
    data = linkage_of(raw)
    if data == NULL:
        return linkage.struct()
    references, wrong = [], []
    for identifier in identifiers(data):
        try:
            references.append(_reference(linkage, object_of(identifier)))
        except ValueError as error:
            wrong.append(str(error))
    if not linkage.many and len(references) > 1:
        references, wrong = [], ["leads to several records instead of one"]
    misfits += [Misfit(shape.resource_type.name, id_, name, what, "left out") for what in wrong]
    return linkage.struct(data=references if linkage.many else next(iter(references), None))


def linkage_of(raw: msgspec.Raw) -> msgspec.Raw:
    """Return the ``data`` of a relationship, or the relationship itself where it is no more than that."""
    members = object_of(raw)
    bare = NULL if says_nothing(raw) or (members and members.get("id", NULL) == NULL) else raw
    return members.get("data", bare)


def identifiers(data: msgspec.Raw) -> list[msgspec.Raw]:
    """Return the identifiers that a relationship's ``data`` lists, or the only one."""
    return [] if says_nothing(data) else _raws.decode(data) if bytes(data).startswith(b"[") else [data]


def _reference(linkage: Linkage, members: Members) -> Any:
    """
    Read a resource identifier.

    Raises
    ------
    ValueError
        It names no resource, or one of a type that the relationship does not lead to; the message says so.
    """
    type_ = members.get("type", NULL)
    name = text_of(type_) if bytes(type_).startswith(b'"') else None
    id_ = read_id(members.get("id", NULL), linkage.id_type)
    if name is not None and linkage.checked and name != linkage.targets[0]:
        raise ValueError(f"leads to a record of the type {name!r:.60} instead of {linkage.targets[0]}")
    if name is None or id_ is None:
        raise ValueError(f"is not linked to {' or '.join(linkage.targets) or 'a resource'} by type and id")
    return linkage.reference(type=name, id=id_)
