"""
Compare the rows of a bulk write with the records as they are now.

The records are read in batches by their ids, each batch just before it is written, and never from the cache. A value is
compared as it would be sent.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import pandas as pd

from outreach_frames._fetch import fetch, fetch_one
from outreach_frames._query import text
from outreach_frames._request_documents import Reference, attribute_value, checked_id, id_of, is_missing
from outreach_frames._write_rows import Row
from outreach_frames.catalog import Attribute, Relationship, ResourceType
from outreach_frames.client import Client
from outreach_frames.errors import NotFoundError, QueryError, UnknownNameError

OnConflict = Literal["refuse", "merge", "overwrite"]
CONFLICT_CHOICES: tuple[OnConflict, ...] = ("refuse", "merge", "overwrite")
BATCH_TO_WRITE = 25
"""Records that are read at a time before they are written [records]: few, so that little time passes in between."""
_MAX_LENGTH = 60
"""Longest value in a text of changes [characters]."""

_ChangedMember = Attribute | Relationship


@dataclass(frozen=True, slots=True)
class CellChange:
    """One value that a row would change, as text: the column, what the record has, what it would get."""

    column: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        return f"{self.column}: {_shortened(self.old)} → {_shortened(self.new)}"


class Comparison:
    """
    Reads records and compares rows with them.

    Parameters
    ----------
    client
        Connection.
    kind
        Type of the records.
    rows
        All rows of the call.
    on_conflict
        As in `write_frame`.
    """

    def __init__(self, client: Client, kind: ResourceType, rows: Sequence[Row], on_conflict: OnConflict) -> None:
        self._client = client
        self._kind = kind
        self._on_conflict = on_conflict
        updates = [row for row in rows if row.is_update]
        written = dict.fromkeys(name for row in updates for name in row.fields)
        read = dict.fromkeys(name for row in updates for name in row.before or () if name != "id")
        members = {name: member for name in (*written, *read) if (member := _member_of(kind, name)) is not None}
        self._members = {
            name: member
            for name, member in members.items()
            if name in written or not (isinstance(member, Attribute) and member.is_heavy)
        }
        stamp = ["updatedAt"] if "updatedAt" in kind.attributes else []
        self._fields = [*dict.fromkeys([m.name for m in self._members.values() if _is_readable(m)] + stamp)]

    def records(self, rows: Sequence[Row], *, at_once: int | None = None) -> Iterator[tuple[Row, Mapping[str, Any]]]:
        """Yield each row with its record as it is now, empty where there is none; `at_once` are read at a time."""
        size = at_once or max(len(rows), 1)
        for batch in (rows[start : start + size] for start in range(0, len(rows), size)):
            ids = [checked_id(self._kind, row.target) for row in batch if row.is_update]
            records = current_records(self._client, self._kind, ids, self._fields)
            for row in batch:
                yield row, records.get(id_text(row.target), {}) if row.is_update else {}

    def cells(self, row: Row, record: Mapping[str, Any]) -> list[CellChange]:
        """Return what a row would change."""
        return [
            CellChange(name, _value_text(member, _value_of(member, record)), _value_text(member, value))
            for name, value in row.fields.items()
            if (member := self._members[name]) and self._differs(member, value, record)
        ]

    def conflict(self, row: Row, record: Mapping[str, Any], cells: Sequence[CellChange]) -> str | None:
        """Return why a row is not written: its record has changed since it was read; ``None`` where it may be."""
        if self._on_conflict == "overwrite":
            return None
        ours = [cell.column for cell in cells]
        theirs = None if row.before is None else [*self._changed_since(row.before, record)]
        contested = {self._members[name].name for name in theirs or ()} & {self._members[name].name for name in ours}
        changed_at = record.get("updated_at")
        is_newer = row.read_at is not None and isinstance(changed_at, pd.Timestamp) and changed_at > row.read_at
        if not contested and (not is_newer or self._on_conflict == "merge"):
            return None
        when = f" at {changed_at:%Y-%m-%d %H:%M:%S} UTC" if is_newer else ""
        names = ours if theirs is None else theirs
        where = f"it now differs in {', '.join(names)}" if names else "no column of the frame differs"
        return f"the record changed{when}, after it was read; {where}"

    def _changed_since(self, before: Mapping[str, Any], record: Mapping[str, Any]) -> Iterator[str]:
        """Yield the columns in which a record differs from what was read."""
        for name in before:
            member = self._members.get(name)
            if member is not None and member.name != "updatedAt" and _is_readable(member):
                earlier = _value_of(member, before) if isinstance(member, Relationship) else before[name]
                if self._differs(member, earlier, record):
                    yield name

    def _differs(self, member: _ChangedMember, value: Any, record: Mapping[str, Any]) -> bool:
        if not _is_readable(member):
            return True
        one, other = _comparable_value(member, value), _comparable_value(member, _value_of(member, record))
        if isinstance(one, Reference) and isinstance(other, Reference):
            return one.id != other.id or (None not in {one.type, other.type} and one.type != other.type)
        return bool(one != other)


def current_records(
    client: Client, kind: ResourceType, ids: Sequence[int | str], fields: Sequence[str]
) -> dict[str, Mapping[str, Any]]:
    """Read records, never from the cache: text of the id → values by column; those that are not there are left out."""
    if not ids:
        return {}
    records: dict[str, Mapping[str, Any]] = {}
    if "list" in kind.operations:
        frame = fetch(client, kind.table, fields=fields, filter={"id": [*ids]}, refresh=True, progress=False)
        records = {id_text(record["id"]): _by_column(record) for record in frame.to_dict("records")}
    for number in ids:
        if id_text(number) not in records:  # some records are in no list: templates without a name
            try:
                record = fetch_one(client, kind.table, number, fields=fields, refresh=True)
            except NotFoundError:
                continue
            records[id_text(number)] = _by_column(record.to_dict())
    return records


def _member_of(kind: ResourceType, name: str) -> _ChangedMember | None:
    """Return what a column stands for; ``None`` for the type beside an id, and for columns of included records."""
    try:
        member = kind.member(name)
    except UnknownNameError:
        return None
    return None if isinstance(member, Relationship) and name == member.type_column else member


def _is_readable(member: _ChangedMember) -> bool:
    return member.has_data if isinstance(member, Relationship) else not (member.write_only or member.is_secret)


def _by_column(record: Mapping[Hashable, Any]) -> dict[str, Any]:
    return {str(column): value for column, value in record.items()}


def _value_of(member: _ChangedMember, record: Mapping[str, Any]) -> Any:
    """Return a value of a record or of a frame's row; of a relationship to one the type too, where it is there."""
    if isinstance(member, Attribute):
        return record.get(member.column, record.get(member.name))
    value = record.get(member.id_column, record.get(member.column, record.get(member.name)))
    type_name = record.get(member.type_column or "")
    if not isinstance(type_name, str) or isinstance(value, Reference) or value is None or is_missing(value):
        return value
    return Reference(value, type_name)


def _comparable_value(member: _ChangedMember, value: Any) -> Any:
    """Return a value in the one form in which it is compared; ``None`` where it is missing."""
    if value is None or is_missing(value):
        return None
    if isinstance(member, Relationship):
        if member.many:
            return sorted(_id_of_relationship(each) for each in value) or None
        return Reference(_id_of_relationship(value), value.type if isinstance(value, Reference) else None)
    try:
        sent = attribute_value(member.name, value, member)
    except QueryError:
        return value
    if member.format == "date-time" and isinstance(sent, str):
        instant = pd.to_datetime(sent, utc=True, errors="coerce")
        return sent if pd.isna(instant) else instant
    return None if sent == [] else sent


def _id_of_relationship(value: Any) -> str:
    return id_text(value.id if isinstance(value, Reference) else value)


def id_text(record: Any) -> str:
    """Return an id as the text by which records are looked up."""
    id_ = str(id_of(record))
    return str(int(id_)) if id_.isascii() and id_.isdigit() else id_


def _value_text(member: _ChangedMember, value: Any) -> str | None:
    """Write a value for people; what opens something is not shown."""
    if isinstance(member, Attribute) and not _is_readable(member):
        return None if value is None or is_missing(value) else "(not shown)"
    form = _comparable_value(member, value)
    if isinstance(form, Reference):
        return f"{form.type} {form.id}" if form.type else str(form.id)
    if isinstance(form, list):
        return ", ".join(each if isinstance(each, str) else msgspec.json.encode(each).decode() for each in form)
    if isinstance(form, Mapping):
        return msgspec.json.encode(form).decode()
    return None if form is None else text(form)


def _shortened(value: str | None) -> str:
    if value is None:
        return "<NA>"
    line = " ".join(value.split())
    return line if len(line) <= _MAX_LENGTH else f"{line[: _MAX_LENGTH - 1]}…"
