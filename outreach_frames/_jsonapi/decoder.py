"""Decode the bytes of a page into structs, strictly and then leniently."""

import gc
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from threading import Lock
from typing import Any

import msgspec

from outreach_frames._jsonapi import lenient
from outreach_frames._jsonapi.columns import Misfit, Rows
from outreach_frames._jsonapi.structs import Href, Shape, decoder_of, document, no_resources, reading
from outreach_frames._jsonapi.values import NULL
from outreach_frames.errors import DocumentError


class _CollectorPause:
    """
    The pause of Python's cyclic garbage collector, shared by all threads.

    The collector is switched for the whole process: the first thread in turns it off, the last one out turns it on.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._users = 0
        self._was_enabled = True

    def begin(self) -> None:
        with self._lock:
            if not self._users:
                self._was_enabled = gc.isenabled()
                gc.disable()
            self._users += 1

    def end(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users and self._was_enabled:
                gc.enable()


_pause = _CollectorPause()


@contextmanager
def collector_paused() -> Iterator[None]:
    """
    Pause the cyclic garbage collector while pages are decoded; where it was off, it stays off.

    A page makes no reference cycles, but so many objects that the collector would take a third of the time.
    """
    _pause.begin()
    try:
        yield
    finally:
        _pause.end()


MANY = 100
"""Resources on a page from which on it pays to learn the order of their attributes [resources]."""


class _Attributes(msgspec.Struct, gc=False):
    type: str
    attributes: msgspec.Raw = NULL


class _FirstLook(msgspec.Struct):
    data: list[_Attributes]
    included: list[_Attributes] = []


_first_look = msgspec.json.Decoder(_FirstLook)
_attribute_names = msgspec.json.Decoder(dict[str, msgspec.Raw] | None)

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Content:
    """
    A page, decoded.

    Attributes
    ----------
    primary
        The resources that were asked for.
    included
        All resources of each type that may be joined, the primary ones among them.
    next
        Address of the next page.
    count, count_truncated
        As sent; ``None`` where unknown.
    others
        Further types among the included resources, so far unseen.
    """

    primary: Rows
    included: Mapping[str, Rows]
    next: str | None
    count: int | None
    count_truncated: bool
    others: frozenset[str] = frozenset()

    @property
    def misfits(self) -> list[Misfit]:
        """What did not fit, as far as the columns were built."""
        return [misfit for rows in (self.primary, *self.included.values()) for misfit in rows.misfits]

    @property
    def unknown(self) -> dict[str, frozenset[str]]:
        """What the catalog does not have, by resource type."""
        by_type = {rows.shape.resource_type.name: rows for rows in (*self.included.values(), self.primary)}
        names = {name: frozenset(new.source for new in rows.new) for name, rows in by_type.items()}
        return {name: new_names for name, new_names in names.items() if new_names}


@dataclass(frozen=True)
class PageDecoder:
    """
    Reads pages of one resource type.

    Attributes
    ----------
    primary
        Name of that type.
    shapes
        By type: the primary one, and those joined from ``included``.
    joined
        Names of the types joined from ``included``.
    others
        Names of further types seen there.
    ordered
        Whether the order in which the server sends attributes is known.
    """

    primary: str
    shapes: Mapping[str, Shape]
    joined: frozenset[str]
    others: frozenset[str] = frozenset()
    ordered: bool = False

    @cached_property
    def _decoder(self) -> msgspec.json.Decoder[Any]:
        included = self.shapes.values() if self.joined else ()
        return decoder_of(lambda: document(self.shapes[self.primary], included, sorted(self.others)))

    def read(self, body: bytes) -> tuple["PageDecoder", Content]:
        """
        Decode a page; also return the reader for the next one, which knows what was new in this.

        Raises
        ------
        DocumentError
            The body is no JSON:API page, or a value does not fit.
        """
        if body.startswith(BYTE_ORDER_MARK):
            body = body.removeprefix(BYTE_ORDER_MARK)
        with reading(body):
            return self._read(body)

    def _read(self, body: bytes) -> tuple["PageDecoder", Content]:
        content = self._strict(body)
        if content:
            worth_it = not self.ordered and content.next and len(content.primary.resources) >= MANY
            return self._in_order(body) if worth_it else self, content
        content = self._lenient(body)
        return self._grown(content), content

    def _strict(self, body: bytes) -> Content | None:
        """Decode a page that holds nothing new, nothing odd and nothing twice; ``None`` if it does."""
        try:
            page = self._decoder.decode(body)
        except msgspec.ValidationError:
            return None
        if page.data is msgspec.UNSET:
            raise no_resources("has no data")
        data = page.data if isinstance(page.data, list) else [r for r in [page.data] if r is not None]
        link = page.links and page.links.next
        count, truncated = (page.meta.count, page.meta.count_truncated) if page.meta else (None, None)
        included = page.included if self.joined else []
        held, has_repeats = self._held(data, included)
        if has_repeats:
            return None
        address = (link.href if isinstance(link, Href) else link) or None
        return self._content(data, held, link=address, count=count, truncated=bool(truncated))

    def _held(self, data: list[Any], included: list[Any]) -> tuple[dict[type, dict[Any, Any]], bool]:
        """Return resources by struct and id, and whether one comes more than once: each may say what others do not."""
        primary = self.shapes[self.primary]
        if not self.joined:
            return {}, not primary.anonymous and len({resource.id for resource in data}) < len(data)
        held: dict[type, dict[Any, Any]] = {shape.resource: {} for shape in self.shapes.values()}
        passed_over = 0
        for resource in (*included, *data):
            if type(resource) in held:
                held[type(resource)][resource.id] = resource
            else:
                passed_over += 1
        once = [
            resources for struct, resources in held.items() if not (primary.anonymous and struct is primary.resource)
        ]
        sent = len(included) + (0 if primary.anonymous else len(data))
        return held, sum(map(len, once)) + passed_over < sent

    def _lenient(self, body: bytes) -> Content:
        """Read a page column by column, whatever it holds."""
        id_types = {name: shape.id_type for name, shape in self.shapes.items() if not shape.anonymous}
        page = together(lenient.split_document(body), id_types, included=bool(self.joined))
        other = next((name for name in page.types if name != self.primary), None)
        if other is not None:
            raise DocumentError(
                f"The document holds a record of the type {other!r:.60} among {self.primary} records.",
                resource_type=other,
                attribute="type",
            )
        included = list(zip(page.included_types, page.included, strict=True)) if self.joined else []
        resources = {name: [members for type_, members in included if type_ == name] for name in self.joined}
        if self.primary in resources:
            resources[self.primary] = [*page.data, *resources[self.primary]]
        rows = {name: lenient.RawRows(self.shapes[name], resources[name]) for name in self.joined}
        primary = lenient.RawRows(self.shapes[self.primary], page.data)
        for each in (primary, *rows.values()):
            each.read_all()
        count, truncated = lenient.counts(page.meta)
        total = None if truncated and count == 0 else count
        others = frozenset(name for name, _ in included if name not in self.shapes)
        return Content(primary, rows, lenient.next_link(page.links), total, truncated, others)

    def _content(
        self,
        data: list[Any],
        held: Mapping[type, Mapping[Any, Any]],
        *,
        link: str | None,
        count: int | None,
        truncated: bool,
    ) -> Content:
        rows = {n: Rows(self.shapes[n], list(held[self.shapes[n].resource].values())) for n in self.joined}
        total = None if truncated and count == 0 else count
        return Content(Rows(self.shapes[self.primary], data), rows, link, total, truncated)

    def _in_order(self, body: bytes) -> "PageDecoder":
        """Return a reader that expects attributes in the order of this page."""
        try:
            page = _first_look.decode(body)
        except msgspec.ValidationError:  # included may be anything where nothing is joined
            return replace(self, ordered=True)
        first = {resource.type: resource.attributes for resource in reversed([*page.data, *page.included])}
        orders = {name: tuple(_attribute_names.decode(first[name]) or ()) for name in self.shapes if name in first}
        shapes = {name: replace(shape, order=orders.get(name, ())) for name, shape in self.shapes.items()}
        return replace(self, shapes=shapes, ordered=True)

    def _grown(self, content: Content) -> "PageDecoder":
        """Return a reader that also expects what was new in a page; this one if nothing was."""
        new = {rows.shape.resource_type.name: rows.new for rows in (*content.included.values(), content.primary)}
        shapes = {
            name: shape.grown(
                [each.source for each in new.get(name, ()) if each.part == "attribute"],
                [each.source for each in new.get(name, ()) if each.part == "relationship"],
            )
            for name, shape in self.shapes.items()
        }
        grown = replace(self, shapes=shapes, others=self.others | content.others)
        return self if (grown.shapes, grown.others) == (self.shapes, self.others) else grown


def together(page: lenient.RawDocument, id_types: Mapping[str, type], *, included: bool = True) -> lenient.RawDocument:
    """
    Merge the copies of each resource on a page into one.

    Members that are absent in one place do not erase those that another has; of members in both, ``data`` counts
    before ``included`` and the later before the earlier. A resource of ``data`` is not among the included ones.

    Parameters
    ----------
    page
        The page.
    id_types
        How ids are stored, by resource type; resources of other types are left as they are.
    included
        Whether included resources are of interest.
    """

    def key(members: lenient.Members, where: str) -> Hashable:
        name = lenient.type_of(members, where=where)
        id_ = lenient.read_id(members.get("id", NULL), id_types[name]) if name in id_types else None
        return object() if id_ is None else (name, id_)

    merged: dict[Hashable, lenient.Members] = {}
    beside = [(key(members, "included"), members) for members in (page.included if included else ())]
    rows = [(key(members, "data"), members) for members in page.data]
    for which, members in (*beside, *rows):
        merged[which] = _merged_members(merged[which], members) if which in merged else members
    if len(merged) == len(beside) + len(rows):
        return page
    data = {which: merged[which] for which, _ in rows}
    others = {which: merged[which] for which, _ in beside if which not in data}
    return lenient.RawDocument(
        data=list(data.values()),
        links=page.links,
        meta=page.meta,
        beside=msgspec.Raw(msgspec.json.encode(list(others.values()))),
    )


def _merged_members(old: lenient.Members, new: lenient.Members) -> lenient.Members:
    parts = [part for part in ("attributes", "relationships", "meta") if part in old and part in new]
    return {**new, **old, **new} | {part: _merged_member(part, old[part], new[part]) for part in parts}


def _merged_member(part: str, old: msgspec.Raw, new: msgspec.Raw) -> msgspec.Raw:
    """Return an object with the members of both, and of two objects that are no objects the later."""
    if lenient.says_nothing(new):
        return old
    before, after = lenient.object_of(old), lenient.object_of(new)
    if not before or not after:
        return new
    if part == "relationships":
        after |= {name: _related(before[name], raw) for name, raw in after.items() if name in before}
    return msgspec.Raw(msgspec.json.encode({**after, **before, **after}))


def _related(old: msgspec.Raw, new: msgspec.Raw) -> msgspec.Raw:
    """Return a relationship with the links of both, and the identifiers of the later that has some."""
    before, after = lenient.object_of(old), lenient.object_of(new)
    if not after:
        return old if new != NULL and lenient.says_nothing(new) else new
    if not {"data", "id"}.isdisjoint(after):
        before = {name: raw for name, raw in before.items() if name not in {"data", "type", "id"}}
    return msgspec.Raw(msgspec.json.encode({**before, **after}))
