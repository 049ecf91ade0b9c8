"""
Read a page that failed strict decoding: report new names, and convert values of another type.

The page is split into undecoded values, so that numbers keep their digits. Each column is decoded at once where all its
values are of its type, and value by value where one is not.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any, TypeAlias

import msgspec

from outreach_frames._jsonapi.columns import Rows, columns, misfit
from outreach_frames._jsonapi.structs import Linkage, Shape, no_resources
from outreach_frames._jsonapi.values import (
    NULL,
    StorageKind,
    UnreadableValueError,
    coerce,
    joined,
    kind_of,
    raw_items,
    read_column,
    text_of,
)
from outreach_frames.errors import DocumentError

Members: TypeAlias = dict[str, msgspec.Raw]

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
        It has no data, errors, or a member of another type.
    """
    data = outline.data
    if data is msgspec.UNSET:
        raise no_resources("has no data")
    if not says_nothing(outline.errors):
        raise DocumentError(
            "The document has errors beside its data, which JSON:API forbids.",
            attribute="errors",
            hint="The data may be a part of the whole. Read the errors; to read the data all the same, remove them.",
        )
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


def objects_of(raws: Sequence[msgspec.Raw]) -> list[Members]:
    """Return the members of many objects; see `object_of`."""
    try:
        return _several.decode(joined(raws))
    except msgspec.ValidationError:
        return [object_of(raw) for raw in raws]


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


class RawRows(Rows):
    """
    The resources of one type on a page that is not as the catalog says, read column by column.

    Relationships that lead to nothing that can be read are left out and noted in `misfits`.

    Parameters
    ----------
    shape
        What is read of them.
    resources
        The members of each.

    Raises
    ------
    DocumentError
        One has no id that can be read, or attributes or relationships that are no object. When a column is built: a
        value of an attribute does not fit without loss.
    """

    def __init__(self, shape: Shape, resources: Sequence[Members]) -> None:
        super().__init__(shape, resources)
        self._read_ids = [self._read_id(members) for members in resources]
        self._parts = {
            part: [self._object(row, part) for row in range(len(resources))] for part in ("attributes", "relationships")
        }
        self._linkages: dict[str, Sequence[Any]] = {}

    def read_all(self) -> None:
        """Build all columns that are of interest, so that what does not fit is refused wherever it stands."""
        for column in columns(self.shape.resource_type, sorted(self.shape.decoded_names), self.shape.catalog):
            self.column(column)

    def _read_id(self, members: Members) -> Any:
        sent = members.get("id", NULL)
        id_ = read_id(sent, self.shape.id_type)
        if id_ is None and not (self.shape.anonymous and sent == NULL):
            raise misfit(self.shape.resource_type.name, text_or_none(sent), "id", _ID[self.shape.id_type])
        return id_

    def _object(self, row: int, part: str) -> Members:
        try:
            return _members_or_none(self.resources[row].get(part, NULL))
        except msgspec.ValidationError:
            raise misfit(self.shape.resource_type.name, self._ids[row], part, "an object") from None

    @property
    def _ids(self) -> Sequence[Any]:
        return self._read_ids

    @property
    def _meta(self) -> Sequence[msgspec.Raw | None]:
        return [members.get("meta") for members in self.resources]

    def _values(self, attribute: str) -> Sequence[Any]:
        kind = kind_of(self.shape.resource_type.attributes[attribute])
        raws = [members.get(attribute, NULL) for members in self._parts["attributes"]]
        try:
            return read_column(kind, raws)
        except ValueError:
            raise UnreadableValueError(
                next(row for row, raw in enumerate(raws) if not _is_of_kind(kind, raw))
            ) from None

    def _data(self, relationship: str) -> Sequence[Any]:
        if relationship not in self._linkages:
            linkage = self.shape.linkages[relationship]
            raws = [members.get(relationship, NULL) for members in self._parts["relationships"]]
            try:
                related = linkage.decoder.decode(joined(raws))
                data = [None if one is None else one.data for one in related]
            except msgspec.ValidationError:
                data = [self._identifiers(linkage, row, relationship, raw) for row, raw in enumerate(raws)]
            self._linkages[relationship] = data
        return self._linkages[relationship]

    def _identifiers(self, linkage: Linkage, row: int, name: str, raw: msgspec.Raw) -> Any:
        """Read a relationship; identifiers without the ``data`` around them, as in webhooks, are understood."""
        data = linkage_of(raw)
        if data == NULL:
            return None
        references, wrong = [], []
        for identifier in identifiers(data):
            try:
                references.append(_reference(linkage, object_of(identifier)))
            except ValueError as error:
                wrong.append(str(error))
        if not linkage.many and len(references) > 1:
            references, wrong = [], ["leads to several records instead of one"]
        for what in wrong:
            self._note(row, name, what, "left out")
        return references if linkage.many else next(iter(references), None)

    def _new_members(self) -> Iterable[tuple[str, str, Sequence[msgspec.Raw | None]]]:
        kind = self.shape.resource_type
        attributes, relationships = self._parts["attributes"], self._parts["relationships"]
        for name in dict.fromkeys(chain.from_iterable(attributes)):
            if name not in kind.attributes:
                yield name, "attribute", [members.get(name) for members in attributes]
        for name in dict.fromkeys(chain.from_iterable(relationships)):
            raws = [members.get(name) for members in relationships]
            if name not in kind.relationships or (self.shape.expects_no_data(name) and any(map(_has_data, raws))):
                yield name, "relationship", raws


def _has_data(raw: msgspec.Raw | None) -> bool:
    return raw is not None and object_of(raw).get("data", NULL) != NULL


def _is_of_kind(kind: StorageKind, raw: msgspec.Raw) -> bool:
    try:
        coerce(kind, raw)
    except ValueError:
        return False
    return True


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


def linkage_of(raw: msgspec.Raw) -> msgspec.Raw:
    """Return the ``data`` of a relationship, or the relationship itself where it is no more than that."""
    members = object_of(raw)
    bare = NULL if says_nothing(raw) or (members and members.get("id", NULL) == NULL) else raw
    return members.get("data", bare)


def identifiers(data: msgspec.Raw) -> list[msgspec.Raw]:
    """Return the identifiers that a relationship's ``data`` lists, or the only one."""
    return [] if says_nothing(data) else raw_items.decode(data) if bytes(data).startswith(b"[") else [data]


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
