"""
From columns to JSON:API resource objects.

The simulation works on whole columns; here they become rows. A missing value is `None` and has no member: the server
adds the nulls.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, TypeAlias, TypeVar

import numpy as np

from outreach_frames._sandbox.seed.simulation import BoolArray, FloatArray, IntArray

Resource: TypeAlias = dict[str, Any]

_Cell = TypeVar("_Cell")


def instant_cells(seconds: FloatArray) -> list[str | None]:
    """ISO 8601 in UTC with milliseconds, as the API writes them; `None` for NaN."""
    return _formatted(seconds, lambda values: np.datetime_as_string(values.astype("datetime64[ms]"), timezone="UTC"))


def date_cells(seconds: FloatArray) -> list[str | None]:
    """Calendar dates; `None` for NaN."""
    return _formatted(seconds, lambda values: np.datetime_as_string(values.astype("datetime64[D]")))


def _formatted(seconds: FloatArray, write: Callable[[Any], Any]) -> list[str | None]:
    column = np.full(len(seconds), None, dtype=object)
    present = ~np.isnan(seconds)
    column[present] = write(seconds[present].astype("int64").astype("datetime64[s]"))
    cells: list[str | None] = column.tolist()
    return cells


def integer_cells(values: IntArray, *, where: BoolArray | None = None) -> list[int | None]:
    """Integers, `None` outside `where`."""
    column = np.asarray(values).astype(object)
    if where is not None:
        column[~where] = None
    cells: list[int | None] = column.tolist()
    return cells


def pick(choices: Sequence[_Cell], positions: IntArray) -> list[_Cell | None]:
    """The choice at each position; `None` where the position is -1."""
    table = [*choices, None]
    return [table[position] for position in positions.tolist()]


def flagged(value: _Cell, where: BoolArray) -> list[_Cell | None]:
    """One value on the marked rows, `None` elsewhere."""
    return [value if mark else None for mark in where.tolist()]


def column_resources(
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
        Relationship objects by API name, from `Pointers`.
    """
    related = relationships or {}
    rows = _column_rows(attributes, len(ids))
    links = _column_rows(related, len(ids))
    for id_, values, targets in zip(ids, rows, links, strict=True):
        yield {
            "type": type_,
            "id": id_,
            "attributes": {name: value for name, value in zip(attributes, values, strict=True) if value is not None},
            "relationships": {
                name: target for name, target in zip(related, targets, strict=True) if target is not None
            },
        }


def _column_rows(columns: Mapping[str, Any], count: int) -> Iterator[tuple[Any, ...]]:
    if not columns:
        return repeat((), count)
    return zip(*(c if isinstance(c, list) else repeat(c, count) for c in columns.values()), strict=False)


def row_resources(type_: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[Resource]:
    """
    Yield resource objects for a handful of hand-written rows, numbered from 1.

    A value that is a `Link` or a list of them becomes a relationship, anything else an attribute.
    """
    for number, row in enumerate(rows, start=1):
        related = {name: value.to_json() for name, value in row.items() if isinstance(value, ToOne | ToMany)}
        plain = {n: v for n, v in row.items() if n not in {"id", *related} and v is not None}
        yield {"type": type_, "id": row.get("id", number), "attributes": plain, "relationships": related}


@dataclass(frozen=True, slots=True)
class ToOne:
    """A to-one relationship in a hand-written row."""

    type: str
    id: int

    def to_json(self) -> dict[str, Any]:
        """Return the relationship object."""
        return {"data": {"type": self.type, "id": self.id}}


@dataclass(frozen=True, slots=True)
class ToMany:
    """A to-many relationship in a hand-written row."""

    targets: tuple[ToOne, ...]

    @classmethod
    def to(cls, type_: str, ids: Iterable[int]) -> "ToMany":
        """Point at several resources of one type."""
        return cls(tuple(ToOne(type_, id_) for id_ in ids))

    def to_json(self) -> dict[str, Any]:
        """Return the relationship object."""
        return {"data": [link.to_json()["data"] for link in self.targets]}


class Pointers:
    """
    Relationship objects, one per target and shared by every row that points there.

    Sharing saves memory for large organizations. A shared object must be replaced, never changed.
    """

    def __init__(self) -> None:
        self._objects: dict[str, list[dict[str, Any] | None]] = {}

    def one(self, type_: str, ids: IntArray) -> list[dict[str, Any] | None]:
        """To-one relationships; an id of 0 is no relationship."""
        if not len(ids):
            return []
        objects = self._objects.setdefault(type_, [None])
        objects.extend({"data": {"type": type_, "id": id_}} for id_ in range(len(objects), int(ids.max()) + 1))
        return [objects[id_] for id_ in ids.tolist()]

    def many(self, type_: str, owners: IntArray, ids: IntArray, *, count: int) -> list[dict[str, Any] | None]:
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
