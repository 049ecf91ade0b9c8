"""
The records the sandbox serves, in memory.

A record keeps what it was given, value for value: an odd timestamp or an id sent as text goes out as it came in.
Look-ups know that ``"7"`` and ``7`` name the same resource. What is computed from the records (orders, selections) is
remembered until the next change; indexes follow the changes, so that a thousand writes do not read the store a thousand
times. Records are replaced, never altered.
"""

import json
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from outreach_frames import catalog

T = TypeVar("T")
Key = int | str
Resources = str | Path | Iterable[Mapping[str, Any]] | Mapping[str, Any]

REMEMBERED = 256


class Identifier(NamedTuple):
    """A JSON:API resource identifier, the id as it was given."""

    type: str
    id: Key


Linkage = Identifier | tuple[Identifier, ...] | None


@dataclass(slots=True, eq=False)
class Record:
    """
    One resource.

    Attributes
    ----------
    type, id
        As given.
    attributes
        As given; an attribute that is missing is null.
    relationships
        Resource linkage by relationship: an identifier, a tuple of them, or ``None``. A relationship given without
        linkage is missing here and is looked up from the other side where that is possible.
    meta
        As given, such as ``dataConnections``.
    """

    type: str
    id: Key
    attributes: dict[str, Any]
    relationships: dict[str, Linkage]
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def identifier(self) -> Identifier:
        """Who this is."""
        return Identifier(self.type, self.id)

    @property
    def key(self) -> Key:
        """The id it is kept under."""
        return key_of(self.type, self.id)


class Index:
    """
    Records of one type by something they hold, kept current by the store.

    Parameters
    ----------
    keys
        What a record is found by.
    """

    def __init__(self, keys: Callable[[Record], Iterable[Hashable]]) -> None:
        self._keys = keys
        self._found: dict[Hashable, dict[Key, Record]] = {}

    def __iter__(self) -> Iterator[Hashable]:
        return iter([key for key, records in self._found.items() if records])

    def of(self, key: Hashable) -> list[Record]:
        """Return the records found by a key, oldest insertion first."""
        return list(self._found.get(key, {}).values())

    def add(self, record: Record) -> None:
        """Enter a record."""
        for key in self._keys(record):
            self._found.setdefault(key, {})[record.key] = record

    def discard(self, record: Record) -> None:
        """Take a record out."""
        for key in self._keys(record):
            self._found.get(key, {}).pop(record.key, None)


class Store:
    """
    Tables of records by type; may be changed from any thread.

    Attributes
    ----------
    version
        Grows with every change.
    lock
        Held while records change; hold it to read a record and put it back without a change between.
    """

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self.version = 0
        self.lock = threading.RLock()
        self._tables: dict[str, dict[Key, Record]] = {}
        self._indexes: dict[str, dict[Hashable, Index]] = {}
        self._last_ids: dict[str, int] = {}
        self._memory: OrderedDict[Hashable, Any] = OrderedDict()
        for record in records:
            if self.find(record.type, record.id) is not None:
                raise ValueError(f"resource {record.type} {record.id!r} is given twice")
            self._insert(record)

    @property
    def types(self) -> tuple[str, ...]:
        """Names of the types that have, or had, records."""
        return tuple(self._tables)

    def find(self, type_name: str, id_: Key) -> Record | None:
        """Return a record, or ``None``."""
        return self._tables.get(type_name, {}).get(key_of(type_name, id_))

    def records(self, type_name: str) -> Iterator[Record]:
        """Return the records of a type as they are now, oldest insertion first."""
        with self.lock:
            return iter(list(self._tables.get(type_name, {}).values()))

    def put(self, record: Record) -> None:
        """Insert a record or replace the one of the same type and id."""
        with self.lock:
            before = self.find(record.type, record.id)
            for index in self._indexes.get(record.type, {}).values():
                if before is not None:
                    index.discard(before)
                index.add(record)
            self._insert(record)
            self._changed()

    def remove(self, type_name: str, id_: Key) -> None:
        """
        Remove a record; what refers to it keeps doing so.

        Raises
        ------
        KeyError
            There is none.
        """
        with self.lock:
            record = self._tables[type_name].pop(key_of(type_name, id_))
            for index in self._indexes.get(type_name, {}).values():
                index.discard(record)
            self._changed()

    def declare(self, type_name: str) -> None:
        """Let there be a type, though it has no records yet."""
        with self.lock:
            self._tables.setdefault(type_name, {})

    def next_id(self, type_name: str) -> int:
        """Return the id after the largest number a record of a type ever had; ids of removed records stay unused."""
        return self._last_ids.get(type_name, 0) + 1

    def index(self, type_name: str, name: Hashable, keys: Callable[[Record], Iterable[Hashable]]) -> Index:
        """Return the index of that name over the records of a type; made when it is first asked for."""
        with self.lock:
            indexes = self._indexes.setdefault(type_name, {})
            if name not in indexes:
                made = Index(keys)
                for record in self.records(type_name):
                    made.add(record)
                indexes[name] = made
            return indexes[name]

    def remember(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what `make` returned for this key since the last change; call it if it has not been asked yet."""
        with self.lock:
            if key not in self._memory:
                self._memory[key] = make()
            self._memory.move_to_end(key)
            made: T = self._memory[key]
            while len(self._memory) > REMEMBERED:
                self._memory.popitem(last=False)
            return made

    def referrers(self, source: str, relationship: str) -> Index:
        """Return, by normalized identifier, the records of type `source` whose relationship names it."""

        def named(record: Record) -> Iterable[Hashable]:
            return map(normal, as_tuple(record.relationships.get(relationship)))

        return self.index(source, ("referrers", relationship), named)

    def _insert(self, record: Record) -> None:
        key = record.key
        self._tables.setdefault(record.type, {})[key] = record
        if isinstance(key, int):
            self._last_ids[record.type] = max(key, self._last_ids.get(record.type, 0))

    def _changed(self) -> None:
        self.version += 1
        self._memory.clear()


def as_tuple(linkage: Linkage) -> tuple[Identifier, ...]:
    """Return linkage of either cardinality as a tuple."""
    if linkage is None:
        return ()
    return (linkage,) if isinstance(linkage, Identifier) else linkage


def key_of(type_name: str, id_: Key) -> Key:
    """Return the id a record is kept under: a number where the text is one, unless the type's ids are strings."""
    known = catalog.load().types.get(type_name)
    if known is not None and known.id_type == "string":
        return str(id_)
    return int(id_) if isinstance(id_, str) and re.fullmatch(r"[0-9]+", id_) else id_


def normal(identifier: Identifier) -> Identifier:
    """Return the identifier with the id its record is kept under."""
    return Identifier(identifier.type, key_of(*identifier))


def read_resources(resources: Resources) -> list[Record]:
    """
    Read resource objects.

    Parameters
    ----------
    resources
        Path of a JSON file, or its content: a list of JSON:API resource objects, a mapping of such lists, or a JSON:API
        document.

    Raises
    ------
    ValueError
        An entry is no resource object; the message says which.
    OSError
        The file cannot be read.
    """
    if isinstance(resources, str | Path):
        resources = json.loads(Path(resources).read_text(encoding="utf-8"))
    return [read_resource(resource, place) for place, resource in _entries(resources)]


def _entries(resources: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(resources, Mapping):
        for name, entries in resources.items():
            if name in {"data", "included"} or isinstance(entries, list):
                yield from _entries(entries if isinstance(entries, list) else [entries])
            elif name not in {"meta", "links", "jsonapi"}:
                raise ValueError(f"resources[{name!r}] is not a list of resource objects")
    else:
        yield from ((f"resource {position}", resource) for position, resource in enumerate(resources))


def read_resource(resource: Any, place: str) -> Record:
    """
    Read one resource object.

    Raises
    ------
    ValueError
        It is none; the message names `place`.
    """
    if not isinstance(resource, Mapping) or not isinstance(resource.get("type"), str):
        raise ValueError(f"{place} is no JSON:API resource object: it has no 'type'")  # noqa: TRY004 - a bad value
    if isinstance(resource.get("id"), bool) or not isinstance(resource.get("id"), int | str):
        raise ValueError(f"{place} ({resource['type']}) has no 'id' that is a number or text")  # noqa: TRY004 - as above
    return Record(
        type=resource["type"],
        id=resource["id"],
        attributes=dict(resource.get("attributes") or {}),
        relationships={
            name: read_linkage(value["data"], f"relationship '{name}' of {resource['type']} {resource['id']}")
            for name, value in (resource.get("relationships") or {}).items()
            if isinstance(value, Mapping) and "data" in value
        },
        meta=dict(resource.get("meta") or {}),
    )


def read_linkage(data: Any, place: str) -> Linkage:
    """
    Read the ``data`` of a relationship object.

    Raises
    ------
    ValueError
        It is no resource linkage; the message names `place`.
    """
    try:
        if data is None:
            return None
        if isinstance(data, Mapping):
            return Identifier(data["type"], data["id"])
        return tuple(Identifier(entry["type"], entry["id"]) for entry in data)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{place} holds no resource identifiers") from error
