"""
From columns to JSON:API resource objects.

The simulation works on whole columns; only here do rows appear. A missing value is `None` and leaves no member
behind: whoever serves the resources fills in the nulls.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, TypeAlias, TypeVar

import numpy as np

from outreach_frames._sandbox.seed.simulation import Flags, Floats, Ints

Resource: TypeAlias = dict[str, Any]

T = TypeVar("T")


def instants(seconds: Floats) -> list[str | None]:
    """ISO 8601 in UTC with milliseconds, as the API writes them; `None` for NaN."""
    return _formatted(seconds, lambda known: np.datetime_as_string(known.astype("datetime64[ms]"), timezone="UTC"))


def dates(seconds: Floats) -> list[str | None]:
    """Calendar dates; `None` for NaN."""
    return _formatted(seconds, lambda known: np.datetime_as_string(known.astype("datetime64[D]")))


def _formatted(seconds: Floats, write: Callable[[Any], Any]) -> list[str | None]:
    column = np.full(len(seconds), None, dtype=object)
    known = ~np.isnan(seconds)
    column[known] = write(seconds[known].astype("int64").astype("datetime64[s]"))
    cells: list[str | None] = column.tolist()
    return cells


def whole(values: Ints, *, where: Flags | None = None) -> list[int | None]:
    """Integers, `None` outside `where`."""
    column = np.asarray(values).astype(object)
    if where is not None:
        column[~where] = None
    cells: list[int | None] = column.tolist()
    return cells


def pick(choices: Sequence[T], positions: Ints) -> list[T | None]:
    """The choice at each position; `None` where the position is -1."""
    table = [*choices, None]
    return [table[position] for position in positions.tolist()]


def flagged(value: T, where: Flags) -> list[T | None]:
    """One value on the marked rows, `None` elsewhere."""
    return [value if mark else None for mark in where.tolist()]


def resources(
    type_: str,
    ids: Sequence[int | str],
    attributes: Mapping[str, Any],
    relationships: Mapping[str, Sequence[Any]] | None = None,
) -> Iterator[Resource]:
    """
    Yield one resource object per id.

    Parameters
    ----------
    attributes
        Columns by API name; a value that is not a list holds for every row.
    relationships
        Relationship objects by API name, as `Pointers` makes them.
    """
    related = relationships or {}
    rows = _rows(attributes, len(ids))
    links = _rows(related, len(ids))
    for id_, values, targets in zip(ids, rows, links, strict=True):
        yield {
            "type": type_,
            "id": id_,
            "attributes": {name: value for name, value in zip(attributes, values, strict=True) if value is not None},
            "relationships": {
                name: target for name, target in zip(related, targets, strict=True) if target is not None
            },
        }


def _rows(columns: Mapping[str, Any], count: int) -> Iterator[tuple[Any, ...]]:
    if not columns:
        return repeat((), count)
    return zip(*(c if isinstance(c, list) else repeat(c, count) for c in columns.values()), strict=False)


def records(type_: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[Resource]:
    """
    Yield resource objects for a handful of hand-written rows, numbered from 1.

    A value that is a `Link` or a list of them becomes a relationship, anything else an attribute.
    """
    for number, row in enumerate(rows, start=1):
        related = {name: value.to_json() for name, value in row.items() if isinstance(value, Link | Links)}
        plain = {n: v for n, v in row.items() if n not in {"id", *related} and v is not None}
        yield {"type": type_, "id": row.get("id", number), "attributes": plain, "relationships": related}


@dataclass(frozen=True, slots=True)
class Link:
    """A to-one relationship in a hand-written row."""

    type: str
    id: int

    def to_json(self) -> dict[str, Any]:
        """Return the relationship object."""
        return {"data": {"type": self.type, "id": self.id}}


@dataclass(frozen=True, slots=True)
class Links:
    """A to-many relationship in a hand-written row."""

    targets: tuple[Link, ...]

    @classmethod
    def to(cls, type_: str, ids: Iterable[int]) -> "Links":
        """Point at several resources of one type."""
        return cls(tuple(Link(type_, id_) for id_ in ids))

    def to_json(self) -> dict[str, Any]:
        """Return the relationship object."""
        return {"data": [link.to_json()["data"] for link in self.targets]}


class Pointers:
    """
    Relationship objects, one per target and shared by every row that points there.

    Sharing keeps fifty thousand prospects' worth of rows small. Whoever changes a relationship replaces its object
    and leaves the shared one alone.
    """

    def __init__(self) -> None:
        self._made: dict[str, list[dict[str, Any] | None]] = {}

    def one(self, type_: str, ids: Ints) -> list[dict[str, Any] | None]:
        """To-one relationships; an id of 0 is no relationship."""
        if not len(ids):
            return []
        made = self._made.setdefault(type_, [None])
        made.extend({"data": {"type": type_, "id": id_}} for id_ in range(len(made), int(ids.max()) + 1))
        return [made[id_] for id_ in ids.tolist()]

    def many(self, type_: str, owners: Ints, ids: Ints, *, count: int) -> list[dict[str, Any] | None]:
        """To-many relationships of owners 0 … count-1, from (owner, id) pairs; nothing for an owner without any."""
        groups: list[dict[str, Any] | None] = [None] * count
        for owner, link in zip(owners.tolist(), self.one(type_, ids), strict=True):
            if link is None:
                continue
            group = groups[owner]
            if group is None:
                groups[owner] = {"data": [link["data"]]}
            else:
                group["data"].append(link["data"])
        return groups
