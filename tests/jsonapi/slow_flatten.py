"""
The rules of flattening once more, plainly: dictionaries, one value at a time, no library of the code under test.

What comes out of the fast path must equal this. `Misfit` stands where a value cannot be kept without loss.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

from outreach_frames.catalog import Attribute, Catalog, Relationship, ResourceType

Include = Mapping[str, Sequence[str] | None]

ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d)(?::(\d\d)(?::(\d\d))?)?(?:[.,](\d+))? ?([Zz]|([+-])(\d\d)(?::?(\d\d))?)?)?",
    re.ASCII,
)
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
INTEGER = re.compile(r"-?(0|[1-9]\d*)(\.0+)?", re.ASCII)


class Misfit(Exception):  # noqa: N818  it is an outcome, not a failure
    """A document that must be refused."""


class Number(str):
    """A JSON number as it was written."""

    __slots__ = ()


def parse(body: bytes) -> Any:
    """Return the document, numbers as they were written; bytes that are no UTF-8 survive where nobody looks."""

    def refuse(_: str) -> None:
        raise Misfit

    try:
        text = body.decode("utf-8", "surrogateescape")
        return json.loads(text, parse_int=Number, parse_float=Number, parse_constant=refuse)
    except (json.JSONDecodeError, RecursionError):
        raise Misfit from None


class Flattener:
    """
    Flattens documents of one query.

    Parameters
    ----------
    resource, fields, include, catalog
        As for a layout; `fields` without names that make no column.
    looked_at
        What the query looks at of each included type; it must be readable even where nothing leads there.
    """

    def __init__(
        self,
        resource: ResourceType,
        fields: Sequence[str],
        include: Include,
        catalog: Catalog,
        looked_at: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        self.looked_at = looked_at
        self.resource = resource
        self.fields = fields
        self.include = include
        self.catalog = catalog

    def rows(self, document: Any) -> list[dict[str, Any]]:
        """Return one dictionary per resource."""
        if not isinstance(document, dict) or "data" not in document:
            raise Misfit
        _next_link(document.get("links"))
        data = document["data"]
        data = [] if data is None else data if isinstance(data, list) else [data]
        included = self._included(document.get("included"))
        for resource in data:
            if not isinstance(resource, dict) or resource.get("type") != self.resource.name:
                raise Misfit
        everything = self._once([*included, *data])
        held = self._held(everything)
        rows = []
        for key in dict.fromkeys(self._key(resource) for resource in data):
            resource = everything[key]
            row = {"id": identity(resource.get("id"), self.resource.id_type)}
            row |= self._columns(resource, self.resource, self.fields)
            for path, wanted in self.include.items():
                row |= self._joined(resource, self.resource, path.split("."), wanted, held)
            rows.append(row)
        return rows

    def _included(self, included: Any) -> list[Any]:
        if not self.looked_at or included in (None, [], {}):
            return []
        if not isinstance(included, list):
            raise Misfit
        for resource in included:
            if not isinstance(resource, dict) or not _is_text(resource.get("type")) or not resource["type"]:
                raise Misfit
        return included

    def _key(self, resource: Any) -> Any:
        """Return what a resource has in common with others that are the same; an id that cannot be read, nothing."""
        kind = self.catalog.types.get(resource["type"])
        if kind is None or kind.name not in {self.resource.name, *self.looked_at}:
            return id(resource)
        try:
            return kind.name, identity(resource.get("id"), kind.id_type)
        except Misfit:
            return id(resource)

    def _once(self, resources: Sequence[Any]) -> dict[Any, Any]:
        """Return every resource with all that is said of it."""
        found: dict[Any, Any] = {}
        for resource in resources:
            key = self._key(resource)
            found[key] = both(found[key], resource) if key in found else resource
        return found

    def _held(self, everything: Mapping[Any, Any]) -> dict[tuple[str, Any], Any]:
        """Return every resource that may be joined by type and id."""
        held = {}
        for resource in everything.values():
            known = self.catalog.types.get(resource["type"])
            if known and known.name in self.looked_at:
                self._columns(resource, known, self.looked_at[known.name])
                held[known.name, identity(resource.get("id"), known.id_type)] = resource
        return held

    def _columns(self, resource: Any, kind: ResourceType, names: Sequence[str]) -> dict[str, Any]:
        attributes, relationships = resource.get("attributes"), resource.get("relationships")
        attributes, relationships = _object(attributes), _object(relationships)
        found = {}
        for name in names:
            if name == "id":
                found["id"] = identity(resource["id"], kind.id_type) if "id" in resource else None
            if name in kind.attributes:
                found[kind.attributes[name].column] = value(kind.attributes[name], attributes.get(name))
            if name in kind.relationships:
                found |= self._linked(kind.relationships[name], relationships.get(name))
        return found

    def _linked(self, relationship: Relationship, sent: Any) -> dict[str, Any]:
        references = self._references(relationship, sent)
        if relationship.many:
            return {relationship.id_column: None if references is None else [id_ for _, id_ in references]}
        type_, id_ = references[0] if references else (None, None)
        types = {relationship.type_column: type_} if relationship.type_column else {}
        return {relationship.id_column: id_, **types}

    def _references(self, relationship: Relationship, sent: Any) -> list[tuple[str, Any]] | None:
        data = None if sent in ({}, []) else sent
        if isinstance(data, dict):
            data = data.get("data", None if data.get("id") is None else data)
        if data is None:
            return None
        data = data if isinstance(data, list) else [data] if data != {} else []
        found = [reference for one in data if (reference := self._reference(relationship, one))]
        return found if relationship.many or len(found) == 1 else []

    def _reference(self, relationship: Relationship, sent: Any) -> tuple[str, Any] | None:
        """Return type and id; ``None`` of an identifier that cannot be one of this relationship."""
        try:
            return self._readable_reference(relationship, sent)
        except Misfit:
            return None

    def _readable_reference(self, relationship: Relationship, sent: Any) -> tuple[str, Any]:
        if not isinstance(sent, dict) or not _is_text(sent.get("type")):
            raise Misfit
        if len(relationship.targets) == 1 and sent["type"] != relationship.targets[0]:
            raise Misfit
        known = [self.catalog.types[t].id_type for t in relationship.targets if t in self.catalog.types]
        return sent["type"], identity(sent.get("id"), "string" if "string" in known else "integer")

    def _joined(
        self, resource: Any, kind: ResourceType, steps: list[str], wanted: Sequence[str] | None, held: Mapping[Any, Any]
    ) -> dict[str, Any]:
        """Return the columns of what a path leads to from one resource; missing where it leads nowhere."""
        relationship = kind.relationships[steps[0]]
        references = self._references(relationship, _object((resource or {}).get("relationships")).get(steps[0]))
        type_, id_ = references[0] if references else (None, None)
        found: dict[str, Any] = {}
        for target in (self.catalog.types[t] for t in relationship.targets if t in self.catalog.types):
            there = held.get((target.name, id_)) if type_ == target.name else None
            names = own_names(target) if wanted is None else wanted
            if steps[1:]:
                own = self._joined(there, target, steps[1:], wanted, held) if steps[1] in target.relationships else {}
            else:
                own = self._columns(there or {}, target, names)
            prefixed = {f"{relationship.column}__{name}": value for name, value in own.items()}
            found |= {name: value for name, value in prefixed.items() if found.get(name) is None}
        return found


def own_names(kind: ResourceType) -> list[str]:
    """Return the names that make columns."""
    names = [*kind.attributes, *(n for n, r in kind.relationships.items() if r.has_data)]
    return list(dict.fromkeys(names))


def _next_link(links: Any) -> None:
    """Refuse a link to the next page that cannot be followed."""
    link = _object(links).get("next")
    link = link.get("href") if isinstance(link, dict) else link
    if link is not None and not _is_text(link):
        raise Misfit


def both(old: Any, new: Any) -> Any:
    """Return one resource of two that are the same: what is absent in the later one stands in the earlier."""
    joined = {**old, **new}
    for part in ("attributes", "relationships"):
        if part in old and part in new:
            joined[part] = _both_parts(old[part], new[part])
    before, after = old.get("relationships"), new.get("relationships")
    if isinstance(before, dict) and isinstance(after, dict):
        for name in before.keys() & after.keys():
            joined["relationships"][name] = _both_links(before[name], after[name])
    return joined


def _both_parts(old: Any, new: Any) -> Any:
    if new in (None, {}, []):
        return old
    return {**old, **new} if isinstance(old, dict) and isinstance(new, dict) else new


def _both_links(old: Any, new: Any) -> Any:
    if new in ({}, []):
        return old
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    if "data" in new or "id" in new:
        old = {name: value for name, value in old.items() if name not in {"data", "type", "id"}}
    return {**old, **new}


def _object(sent: Any) -> dict[str, Any]:
    if sent not in (None, []) and not isinstance(sent, dict):
        raise Misfit
    return sent or {}


def _is_text(sent: Any) -> bool:
    return isinstance(sent, str) and not isinstance(sent, Number)


def text(sent: Any) -> str | None:
    """Return a scalar as text."""
    if isinstance(sent, bool):
        return "true" if sent else "false"
    if sent is not None and not isinstance(sent, str):
        raise Misfit
    if sent is not None and any("\ud800" <= character <= "\udfff" for character in sent):
        raise Misfit
    return None if sent is None else str(sent)


def identity(sent: Any, id_type: str) -> Any:
    """Return an id."""
    if not isinstance(sent, str):
        raise Misfit
    return integer(text(sent)) if id_type == "integer" else text(sent)


def integer(written: str | None) -> int | None:
    """Return an integer of 64 bits."""
    if written is None:
        return None
    if not INTEGER.fullmatch(written) or not -(2**63) <= int(written.split(".")[0]) < 2**63:
        raise Misfit
    return int(written.split(".")[0])


def number(written: str | None) -> float | None:
    """Return a finite number."""
    if written is None:
        return None
    if not NUMBER.fullmatch(written) or math.isinf(float(written)):
        raise Misfit
    return float(written)


def truth(written: str | None) -> bool | None:
    """Return a truth value."""
    if written is None:
        return None
    if written not in {"true", "false", "1", "0"}:
        raise Misfit
    return written in {"true", "1"}


def instant(written: str | None) -> datetime | None:
    """Return an instant; UTC where no zone is given."""
    if written is None:
        return None
    parts = _iso(written)
    year, month, day, hour, minute, second, fraction, zone, sign, zone_hour, zone_minute = parts
    offset = timedelta(hours=int(zone_hour or 0), minutes=int(zone_minute or 0)) if zone else timedelta()
    try:
        micros = int(fraction[:6].ljust(6, "0")) if fraction else 0
        zoned = timezone(-offset if sign == "-" else offset)
        clock = int(hour or 0), int(minute or 0), int(second or 0), micros
        return datetime(int(year), int(month), int(day), *clock, tzinfo=zoned).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Misfit from None


def day(written: str | None) -> date | None:
    """Return a date; of a time that is midnight somewhere, that midnight's."""
    if written is None:
        return None
    year, month, day_, hour, minute, second, fraction, _, _, zone_hour, zone_minute = _iso(written)
    if hour:
        instant("2000-01-01" + written[10:])
    try:
        found = date(int(year), int(month), int(day_))
    except ValueError:
        raise Misfit from None
    clock = timedelta(hours=int(hour or 0), minutes=int(minute or 0), seconds=int(second or 0))
    exact = clock % timedelta(minutes=15) == timedelta() and not int((fraction or "0")[:6])
    by_offset = int(zone_hour or 0) or int(zone_minute or 0)
    near = clock >= timedelta(hours=23 if by_offset else 12)
    return found + timedelta(days=1) if exact and near and found < date.max else found


def _iso(written: str) -> tuple[Any, ...]:
    found = ISO.fullmatch(written)
    if not found or (found[7] and not found[6]) or int(found[11] or 0) > 59:
        raise Misfit
    return found.groups()


def value(attribute: Attribute, sent: Any) -> Any:
    """Return an attribute's value in a frame; JSON text stands as what it says."""
    if attribute.type == "object" or (attribute.type == "array" and attribute.items != "string"):
        return sent
    if attribute.type == "array":
        if sent is not None and not isinstance(sent, list):
            raise Misfit
        return None if sent is None else [text(item) for item in sent]
    by_format = {"date-time": instant, "date": day}
    by_type = {"integer": integer, "number": number, "boolean": truth}
    read = by_type.get(attribute.type) or by_format.get(attribute.format or "", lambda written: written)
    return read(text(sent))
