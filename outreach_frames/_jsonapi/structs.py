"""
The msgspec structs of each resource type, made from the catalog.

One struct per type holds the attributes that a query wants, typed. The catalog's other names are accepted and left
undecoded. A name that the catalog does not have fails decoding, which is how new attributes are noticed without
looking at every record; the shape then grows by that name and decodes it undecoded, too.
"""

import re
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from operator import or_
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from outreach_frames._fork import OfOneProcess
from outreach_frames._jsonapi.values import DECODED, kind_of
from outreach_frames.catalog import Catalog, Relationship, ResourceType
from outreach_frames.errors import DocumentError

CHECK_ADDRESS = "Try again; if it stays so, check that the address is that of the API and not of a proxy."

Struct: TypeAlias = type[msgspec.Struct]
IdType: TypeAlias = type[int] | type[str]

_UNREADABLE_NAME = re.compile(r'["\\\x00-\x1f]')
"""What msgspec takes in no name of a member."""

Id: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""An id that a column can hold: one that cannot must not refuse its whole column."""


class ResourceIdentifier(msgspec.Struct, gc=False):
    """A resource identifier that may be of several types."""

    type: str
    id: Id


class TextReference(msgspec.Struct, gc=False):
    """The same where ids are strings."""

    type: str
    id: str


class NoData(msgspec.Struct, gc=False):
    """A relationship that sends no identifiers: decoding fails if one arrives after all."""

    data: None = None


class _Untyped(msgspec.Struct, tag_field="type", tag=""):
    """What no resource is: only among several structs does msgspec insist that each has a type."""

    impossible: Annotated[int, msgspec.Meta(gt=0, lt=0)]


class Href(msgspec.Struct):
    """A link written as an object."""

    href: str


class PageLinks(msgspec.Struct):
    """Links of a page."""

    next: str | Href | None = None


NoErrors: TypeAlias = Annotated[list[msgspec.Raw], msgspec.Meta(max_length=0)] | None
"""The ``errors`` of a page: an empty list does no harm, and any error refuses the page."""


class PageMeta(msgspec.Struct):
    """Counts of a page."""

    count: int | None = None
    count_truncated: bool | None = None


class _BuildLock(OfOneProcess):
    """Held while structs and their decoders are built."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.follow_forks()

    def build(self, kind: Callable[[], Any]) -> msgspec.json.Decoder[Any]:
        with self._lock:
            return msgspec.json.Decoder(kind())

    def before_fork(self) -> None:
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork_in_child(self) -> None:
        self._lock = threading.RLock()


_build_lock = _BuildLock()


def decoder_of(kind: Callable[[], Any]) -> msgspec.json.Decoder[Any]:
    """
    Build a decoder, one thread at a time.

    Two threads that build decoders of the same struct crash the interpreter (msgspec 0.22).

    Parameters
    ----------
    kind
        Returns the type that is decoded.
    """
    return _build_lock.build(kind)


@dataclass(frozen=True)
class Shape:
    """
    How the resources of one type are decoded.

    Attributes
    ----------
    resource_type
        From the catalog.
    catalog
        For the ids of related resources.
    decoded_names
        API names of the attributes and relationships that become columns.
    watch
        Whether everything that arrives is of interest, so that identifiers in a relationship that should have none
        are noticed.
    anonymous
        Whether resources may lack an id, as in requests to create them.
    new_attributes, new_relationships
        Names that the catalog does not have, or not with data, but that have arrived.
    order
        Attributes in the order in which the server sends them; msgspec finds a member at once where it expects it,
        and reading a shuffled record of 230 attributes takes four times as long.
    """

    resource_type: ResourceType
    catalog: Catalog = field(repr=False)
    decoded_names: frozenset[str] = frozenset()
    watch: bool = False
    anonymous: bool = False
    new_attributes: tuple[str, ...] = ()
    new_relationships: tuple[str, ...] = ()
    order: tuple[str, ...] = ()

    @property
    def id_type(self) -> IdType:
        """How ids of this type are stored."""
        return id_type([self.resource_type.name], self.catalog)

    @cached_property
    def attribute_fields(self) -> dict[str, str]:
        """The struct's field of every attribute, by API name."""
        present = dict.fromkeys((*self.resource_type.attributes, *self.new_attributes))
        names = dict.fromkeys((*(name for name in self.order if name in present), *present))
        return {name: f"a{n}" for n, name in enumerate(names)}

    @cached_property
    def relationship_fields(self) -> dict[str, str]:
        """The struct's field of every relationship, by API name."""
        names = dict.fromkeys((*self.resource_type.relationships, *self.new_relationships))
        return {name: f"r{n}" for n, name in enumerate(names)}

    @cached_property
    def attributes(self) -> Struct:
        """The struct of the attributes."""
        kinds = {name: kind_of(a) for name, a in self.resource_type.attributes.items() if name in self.decoded_names}
        types = {name: DECODED[kinds[name]] if name in kinds else msgspec.Raw for name in self.attribute_fields}
        return _struct(f"{self.resource_type.name} attributes", self.attribute_fields, types)

    @cached_property
    def relationships(self) -> Struct:
        """The struct of the relationships."""
        types = {name: self._related(name) for name in self.relationship_fields}
        return _struct(f"{self.resource_type.name} relationships", self.relationship_fields, types)

    @cached_property
    def resource(self) -> Struct:
        """The struct of a resource."""
        fields: list[Any] = [
            ("id", self.id_type | None, None) if self.anonymous else ("id", self.id_type),
            ("attributes", self.attributes | None, None),
            ("relationships", self.relationships | None, None),
            ("meta", msgspec.Raw, None),
        ]
        return msgspec.defstruct(
            self.resource_type.name, fields, tag_field="type", tag=self.resource_type.name, gc=False
        )

    @cached_property
    def decoder(self) -> msgspec.json.Decoder[Any]:
        """Decodes one resource that holds nothing new and nothing odd."""
        return decoder_of(lambda: self.resource)

    @cached_property
    def linkages(self) -> dict[str, "Linkage"]:
        """How the identifiers of the decoded_names relationships are decoded."""
        return {
            name: Linkage.of(relationship, self.catalog)
            for name, relationship in self.resource_type.relationships.items()
            if name in self.decoded_names and relationship.has_data
        }

    def expects_no_data(self, name: str) -> bool:
        """Whether identifiers in this relationship would be news."""
        return self.watch and name not in self.new_relationships and not self.resource_type.relationships[name].has_data

    def _related(self, name: str) -> Any:
        if name not in self.new_relationships and self.expects_no_data(name):
            return NoData | None
        return self.linkages[name].struct | None if name in self.linkages else msgspec.Raw

    def grown(self, attributes: Collection[str], relationships: Collection[str]) -> "Shape":
        """Return this shape with further new names."""
        _refuse_unreadable(f"{self.resource_type.name} attributes", attributes)
        _refuse_unreadable(f"{self.resource_type.name} relationships", relationships)
        return replace(
            self,
            new_attributes=tuple(dict.fromkeys((*self.new_attributes, *attributes))),
            new_relationships=tuple(dict.fromkeys((*self.new_relationships, *relationships))),
        )


def id_type(types: Iterable[str], catalog: Catalog) -> IdType:
    """Return how ids of these resource types are stored; types that the catalog does not have count as integers."""
    stored = (catalog.types[name].id_type for name in types if name in catalog.types)
    return str if "string" in stored else int


@dataclass(frozen=True)
class Linkage:
    """
    How the resource identifiers of a relationship are decoded.

    Attributes
    ----------
    struct
        Of the relationship.
    reference
        Of an identifier: with its type where there may be several.
    targets
        Resource types.
    checked
        Whether the type is the only one possible, and checked.
    id_type
        How ids are stored.
    many
        Whether there is a list of them.
    """

    struct: Struct
    reference: Struct
    targets: tuple[str, ...]
    checked: bool
    id_type: IdType
    many: bool

    @classmethod
    def of(cls, relationship: Relationship, catalog: Catalog) -> "Linkage":
        """Build the structs of a relationship."""
        stored, targets = id_type(relationship.targets, catalog), relationship.targets
        reference: Struct = TextReference if stored is str else ResourceIdentifier
        if len(targets) == 1:
            only = Literal[targets]  # type: ignore[valid-type]
            reference = msgspec.defstruct(
                "Identifier", [("type", only), ("id", Id if stored is int else str)], gc=False
            )
        data: Any = tuple[reference, ...] if relationship.many else reference  # type: ignore[valid-type]
        # An id outside of data, as in webhooks, must not pass for a relationship without identifiers.
        struct = msgspec.defstruct(relationship.name, [("data", data | None, None), ("id", None, None)], gc=False)
        return cls(struct, reference, targets, len(targets) == 1, stored, relationship.many)

    @cached_property
    def decoder(self) -> msgspec.json.Decoder[Any]:
        """Decodes a column of the relationship."""
        return decoder_of(lambda: list[self.struct | None])  # type: ignore[name-defined]


def document(primary: Shape, included: Collection[Shape], others: Iterable[str]) -> Struct:
    """Return the struct of a page; included resources of `others` are accepted and left undecoded."""
    resource = primary.resource | _Untyped
    fields: list[Any] = [
        ("data", list[resource] | resource | None | msgspec.UnsetType, msgspec.UNSET),  # type: ignore[valid-type]
        ("links", PageLinks | None, None),
        ("meta", PageMeta | None, None),
        ("errors", NoErrors, None),
    ]
    if included:
        decoded = [shape.resource for shape in included]
        skipped = [msgspec.defstruct(name, [], tag_field="type", tag=name, gc=False) for name in others]
        fields.append(("included", list[reduce(or_, [*decoded, *skipped])], []))  # type: ignore[misc]
    return msgspec.defstruct("Document", fields)


def _refuse_unreadable(kind: str, names: Iterable[str]) -> None:
    """
    Refuse names of members that msgspec cannot read.

    Raises
    ------
    DocumentError
        There is one; JSON:API allows no such names.
    """
    odd = next(filter(_UNREADABLE_NAME.search, names), None)
    if odd is not None:
        raise DocumentError(f"Among the {kind} is one named {odd!r:.60}; JSON:API allows no such names.", attribute=odd)


def _struct(name: str, fields: Mapping[str, str], types: Mapping[str, Any]) -> Struct:
    """Return the struct of attributes or relationships."""
    _refuse_unreadable(name, fields)
    return msgspec.defstruct(
        name,
        [(fields[api], types[api], None) for api in fields],
        rename={python: api for api, python in fields.items()},
        forbid_unknown_fields=True,
        gc=False,
    )


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


def no_resources(what: str) -> DocumentError:
    """Return the error for JSON that is no page of resources."""
    return DocumentError(f"The document is JSON, but not a JSON:API document with resources: it {what}.")
