"""
The records the sandbox serves, in memory.

A record stores its values unchanged: an unusual timestamp, or an id as text, is sent as it was received.
In look-ups ``"7"`` and ``7`` are the same id. Results computed from the records (sorted lists, selections) are
cached until the next change. Indexes are updated with every change, so that a thousand writes do not read the store a
thousand times. Records are replaced, never changed.
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

_Result = TypeVar("_Result")
Key = int | str
Resources = str | Path | Iterable[Mapping[str, Any]] | Mapping[str, Any]

_CACHED_RESULTS = 256


class Identifier(NamedTuple):
    """A JSON:API resource identifier, with the id unchanged."""

    type: str
    id: Key


ResourceLinkage = Identifier | tuple[Identifier, ...] | None


@dataclass(slots=True, eq=False)
class Record:
    """
    One resource.

    Attributes
    ----------
    type, id
        Type and id, unchanged.
    attributes
        Attributes; a missing one is null.
    relationships
        Resource linkage by relationship: an identifier, a tuple of them, or ``None``. A relationship without
        linkage is missing here and is looked up from the other side where that is possible.
    meta
        Meta of the resource, such as ``dataConnections``.
    """

    type: str
    id: Key
    attributes: dict[str, Any]
    relationships: dict[str, ResourceLinkage]
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def identifier(self) -> Identifier:
        """The resource identifier."""
        return Identifier(self.type, self.id)

    @property
    def key(self) -> Key:
        """The id in the store."""
        return key_of(self.type, self.id)


class Index:
    """
    Records of one type by a key; the store updates it.

    Parameters
    ----------
    keys
        Returns the keys of a record.
    """

    def __init__(self, keys: Callable[[Record], Iterable[Hashable]]) -> None:
        self._keys = keys
        self._records: dict[Hashable, dict[Key, Record]] = {}

    def __iter__(self) -> Iterator[Hashable]:
        return iter([key for key, records in self._records.items() if records])

    def of(self, key: Hashable) -> list[Record]:
        """Return the records with a key, oldest insertion first."""
        return list(self._records.get(key, {}).values())

    def add(self, record: Record) -> None:
        """Add a record."""
        for key in self._keys(record):
            self._records.setdefault(key, {})[record.key] = record

    def discard(self, record: Record) -> None:
        """Remove a record."""
        for key in self._keys(record):
            self._records.get(key, {}).pop(record.key, None)


class Store:
    """
    Tables of records by type; may be changed from any thread.

    Attributes
    ----------
    version
        Number of changes.
    lock
        Lock of all changes; hold it to read and replace a record without a change between.
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
                raise ValueError(f"resource {record.type} {record.id!r} occurs twice")
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
        Remove a record; references to it stay.

        Raises
        ------
        KeyError
            There is no such record.
        """
        with self.lock:
            record = self._tables[type_name].pop(key_of(type_name, id_))
            for index in self._indexes.get(type_name, {}).values():
                index.discard(record)
            self._changed()

    def declare(self, type_name: str) -> None:
        """Add a type without records."""
        with self.lock:
            self._tables.setdefault(type_name, {})

    def next_id(self, type_name: str) -> int:
        """Return the next id of a type; ids of removed records are not used again."""
        return self._last_ids.get(type_name, 0) + 1

    def index(self, type_name: str, name: Hashable, keys: Callable[[Record], Iterable[Hashable]]) -> Index:
        """Return the index of this name over the records of a type; it is built on first use."""
        with self.lock:
            indexes = self._indexes.setdefault(type_name, {})
            if name not in indexes:
                new = Index(keys)
                for record in self.records(type_name):
                    new.add(record)
                indexes[name] = new
            return indexes[name]

    def remember(self, key: Hashable, make: Callable[[], _Result]) -> _Result:
        """Return the cached result of `make` for this key; `make` is called once between two changes."""
        with self.lock:
            if key not in self._memory:
                self._memory[key] = make()
            self._memory.move_to_end(key)
            result: _Result = self._memory[key]
            while len(self._memory) > _CACHED_RESULTS:
                self._memory.popitem(last=False)
            return result

    def referrers(self, source: str, relationship: str) -> Index:
        """Return the records of type `source` by the normalized identifiers in a relationship."""

        def targets(record: Record) -> Iterable[Hashable]:
            return map(normal, as_tuple(record.relationships.get(relationship)))

        return self.index(source, ("referrers", relationship), targets)

    def _insert(self, record: Record) -> None:
        key = record.key
        self._tables.setdefault(record.type, {})[key] = record
        if isinstance(key, int):
            self._last_ids[record.type] = max(key, self._last_ids.get(record.type, 0))

    def _changed(self) -> None:
        self.version += 1
        self._memory.clear()


def as_tuple(linkage: ResourceLinkage) -> tuple[Identifier, ...]:
    """Return linkage of either cardinality as a tuple."""
    if linkage is None:
        return ()
    return (linkage,) if isinstance(linkage, Identifier) else linkage


def key_of(type_name: str, id_: Key) -> Key:
    """Return the id in the store: a number where the text is one, unless the ids of the type are strings."""
    kind = catalog.load().types.get(type_name)
    if kind is not None and kind.id_type == "string":
        return str(id_)
    return int(id_) if isinstance(id_, str) and re.fullmatch(r"[0-9]+", id_) else id_


def normal(identifier: Identifier) -> Identifier:
    """Return the identifier with the id in the store."""
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
        An entry is not a resource object; the message names it.
    OSError
        The file cannot be read.
    """
    if isinstance(resources, str | Path):
        resources = json.loads(Path(resources).read_text(encoding="utf-8"))
    return [read_resource(resource, place) for place, resource in _resource_entries(resources)]


def _resource_entries(resources: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(resources, Mapping):
        for name, entries in resources.items():
            if name in {"data", "included"} or isinstance(entries, list):
                yield from _resource_entries(entries if isinstance(entries, list) else [entries])
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
        It is not a resource object; the message names `place`.
    """
    if not isinstance(resource, Mapping) or not isinstance(resource.get("type"), str):
        raise ValueError(f"{place} is not a JSON:API resource object: it has no 'type'")  # noqa: TRY004 - a bad value
    if isinstance(resource.get("id"), bool) or not isinstance(resource.get("id"), int | str):
        raise ValueError(f"{place} ({resource['type']}) has no 'id' that is a number or text")  # noqa: TRY004 - as above
    return Record(
        type=resource["type"],
        id=resource["id"],
        attributes=dict(resource.get("attributes") or {}),
        relationships={
            name: _parse_linkage(value["data"], f"relationship '{name}' of {resource['type']} {resource['id']}")
            for name, value in (resource.get("relationships") or {}).items()
            if isinstance(value, Mapping) and "data" in value
        },
        meta=dict(resource.get("meta") or {}),
    )


def _parse_linkage(data: Any, place: str) -> ResourceLinkage:
    """
    Read the ``data`` of a relationship object.

    Raises
    ------
    ValueError
        It is not resource linkage; the message names `place`.
    """
    try:
        if data is None:
            return None
        if isinstance(data, Mapping):
            return Identifier(data["type"], data["id"])
        return tuple(Identifier(entry["type"], entry["id"]) for entry in data)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{place} holds no resource identifiers") from error
