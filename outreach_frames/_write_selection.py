"""Select the columns and values of a frame that are written."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

import numpy as np
import pandas as pd

from outreach_frames._request_documents import Reference, id_of, is_missing, ref
from outreach_frames.catalog import Attribute, Relationship, ResourceType
from outreach_frames.errors import QueryError, UnknownNameError

Mode = Literal["create", "update", "upsert"]
OPERATIONS: Mapping[str, tuple[str, ...]] = {
    "create": ("create",),
    "update": ("update",),
    "upsert": ("create", "update"),
}


@dataclass(frozen=True, slots=True)
class FrameSelection:
    """
    What is to be written.

    Attributes
    ----------
    mode
        As given, or as the frame tells.
    ids
        The frame's ids, ``None`` where there is none.
    rows
        For each row its values by column: nothing that is missing, and ``None`` for what is to be cleared.
    problems
        Row number → why it cannot be written.
    left_out
        Column → why it, or a part of it, is not written.
    read_at
        For each row the ``updated_at`` that its record had when it was read; ``None`` where the frame does not say.
    before
        For each row the values of its record when it was read, by column; ``None`` without ``changed_from``.
    """

    mode: Mode
    ids: Sequence[Any]
    rows: Sequence[Mapping[str, Any]]
    problems: Mapping[int, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    read_at: Sequence[pd.Timestamp | None] = ()
    before: Sequence[Mapping[str, Any] | None] = ()


def select_rows(
    kind: ResourceType,
    frame: pd.DataFrame,
    *,
    mode: Mode | None,
    key: str | None,
    clear: Collection[str],
    changed_from: pd.DataFrame | None,
    reads_stamps: bool = True,
) -> FrameSelection:
    """
    Find out what of a frame is to be written.

    Parameters
    ----------
    kind
        Type of the records.
    frame, mode, key, clear, changed_from
        As in `write_frame`.
    reads_stamps
        Whether it matters when the records last changed.

    Raises
    ------
    UnknownNameError, QueryError
        A column that cannot be written or is there twice, times without a zone, or options that do not fit the frame.
    """
    frame = frame.set_axis([str(name) for name in frame.columns], axis="columns")
    mode = _checked_mode(frame, mode, changed_from)
    _check_key(kind, frame, mode, key)
    for operation in OPERATIONS[mode]:
        kind.require(operation)
    ids = [None if is_missing(v) else id_of(v) for v in frame["id"]] if "id" in frame else []
    stamp = None if mode == "create" else _updated_at(kind, frame, changed_from)
    names = [name for name in frame.columns if name not in {"id", stamp}]
    left_out: dict[str, str] = {}
    changes: Mapping[str, Any] = {}
    problems: dict[int, str] = {}
    if changed_from is not None:
        changes, problems = _changes(kind, frame[names], ids, changed_from)
        left_out |= {name: _why_unchanged(kind, name) for name in names if name in changes and not changes[name].any()}
        names = [name for name in names if name not in left_out]
    elif mode == "upsert" and ids:
        left_out["id"] = "records are found by the key"
    members = _writable_columns(kind, names, as_they_were=changed_from is not None)
    cleared = _cleared(kind, clear, frame, mode, key)
    columns = {name: frame[name].tolist() for name in names}
    rows: list[dict[str, Any]] = [{} for _ in range(len(frame))]
    for name, (member, type_name) in members.items():
        types = columns[type_name] if type_name else None
        n = _fill(rows, name, columns[name], types, changed=changes.get(name), clears=member.name in cleared)
        if n:
            left_out[name] = f"missing in {n} rows, which clears only what clear= names"
    read_at: list[pd.Timestamp | None] = [None] * len(frame)
    stamps: Sequence[Any] | None = None if stamp is None else frame[stamp].tolist()
    if mode != "create" and reads_stamps and (stamps := _stamps(kind, ids, stamps, changed_from)) is not None:
        read_at, unread = _read_at(stamps, is_needed=mode == "update" and changed_from is None)
        problems = unread | problems
    if stamp is not None:
        left_out[stamp] = _why_no_value(read_at, reads_stamps=reads_stamps)
    before = _records_before(ids, rows, changed_from)
    return FrameSelection(mode, ids or [None] * len(frame), rows, problems, left_out, read_at, before)


def _fill(
    rows: Sequence[dict[str, Any]],
    name: str,
    values: Sequence[Any],
    types: Sequence[Any] | None,
    *,
    changed: Any,
    clears: bool,
) -> int:
    """Put the values of one column into the rows; return in how many a value was taken away and is kept."""
    n = 0
    for number, (row, value) in enumerate(zip(rows, values, strict=True)):
        if changed is not None and not changed[number]:
            continue
        if value is not None and not is_missing(value):
            row[name] = value if types is None else _typed_records(value, types[number])
        elif clears:
            row[name] = None
        else:
            n += changed is not None
    return n


def _updated_at(kind: ResourceType, frame: pd.DataFrame, changed_from: pd.DataFrame | None) -> str | None:
    """Return the column that tells when the records last changed; ``None`` where ``changed_from`` has it, or nobody."""
    if "updatedAt" not in kind.attributes or (changed_from is not None and "updated_at" in changed_from):
        return None
    return next((name for name in frame.columns if name in {"updated_at", "updatedAt"}), None)


def _stamps(
    kind: ResourceType, ids: Sequence[Any], stamps: Sequence[Any] | None, changed_from: pd.DataFrame | None
) -> Sequence[Any] | None:
    """Return for each row when its record had last changed, as the caller has it; ``None`` where nothing tells."""
    if changed_from is None or "updatedAt" not in kind.attributes or "updated_at" not in changed_from:
        return stamps
    earlier = dict(zip(changed_from["id"].map(_id_text), changed_from["updated_at"].tolist(), strict=True))
    return [earlier.get(_id_text(record)) for record in ids]


def _read_at(stamps: Sequence[Any], *, is_needed: bool) -> tuple[list[pd.Timestamp | None], dict[int, str]]:
    """
    Return the instants of the rows, and why some rows cannot be compared.

    Raises
    ------
    QueryError
        Some have no time zone: read in another one, they would hide changes of hours.
    """
    there = [value is not None and not is_missing(value) for value in stamps]
    instants = [_instant(value) if is_there else None for value, is_there in zip(stamps, there, strict=True)]
    if naive := sum(instant is not None and instant.tzinfo is None for instant in instants):
        raise QueryError(
            f"updated_at has no time zone in {naive} of {len(instants)} rows.",
            hint='Where the times are of UTC: frame["updated_at"].dt.tz_localize("UTC").',
        )
    problems = {number: "updated_at is no instant" for number, i in enumerate(instants) if there[number] and i is None}
    if is_needed and any(there):
        problems |= {number: _NO_STAMP for number, is_there in enumerate(there) if not is_there}
    return instants, problems


_NO_STAMP = 'updated_at is missing: nothing tells whether the record has changed; on_conflict="overwrite" writes it'


def _why_no_value(read_at: Sequence[pd.Timestamp | None], *, reads_stamps: bool) -> str:
    """Say why the column of times is not written, and in which rows it is of no use."""
    if not reads_stamps:
        return 'not compared, as on_conflict="overwrite" asks'
    missing = sum(instant is None for instant in read_at)
    without = f"; missing in {missing} of {len(read_at)} rows, which are not compared by it" if missing else ""
    return f"compared with the record's own{without}"


def _instant(value: Any) -> pd.Timestamp | None:
    """Read an instant; ``None`` where it is none."""
    if not isinstance(value, (str, date, np.datetime64)):
        return None
    try:
        instant = pd.Timestamp(value)
    except ValueError:
        return None
    return None if pd.isna(instant) else instant


def _id_text(record: Any) -> str:
    return str(id_of(record))


def _records_before(
    ids: Sequence[Any], rows: Sequence[Mapping[str, Any]], before: pd.DataFrame | None
) -> list[dict[str, Any] | None]:
    """Return for each row that writes something the record that ``changed_from`` has."""
    if before is None:
        return [None] * len(rows)
    places = {_id_text(record): place for place, record in enumerate(before["id"])}
    at = [places.get(str(record)) if row else None for record, row in zip(ids, rows, strict=True)]
    columns = {str(name): before[name].tolist() for name in before.columns}
    return [None if n is None else {name: values[n] for name, values in columns.items()} for n in at]


def _checked_mode(frame: pd.DataFrame, mode: Mode | None, changed_from: pd.DataFrame | None) -> Mode:
    if mode is not None and mode not in OPERATIONS:
        raise QueryError(f"There is no mode {mode!r}.", hint=f"Use {', '.join(OPERATIONS)}.")
    twice = [name for name, n in Counter(frame.columns).items() if n > 1]
    if twice:
        raise QueryError(f"Two columns have the name {twice[0]!r}.", hint="Drop or rename one of them.")
    if changed_from is not None:
        if mode not in (None, "update"):
            raise QueryError("changed_from= is for updates.", hint='Use mode="update".')
        mode = "update"
    if "id" in frame and mode in (None, "create"):
        raise QueryError(
            "The frame has the column 'id', which says that its records exist: a create would make them once more.",
            hint='To change them, pass mode="update"; to create others like them, drop the column and pass '
            'mode="create".',
        )
    if mode == "update" and "id" not in frame:
        raise QueryError("An update needs the column 'id'.", hint="Fetch it, or use mode='upsert' with a key.")
    return mode or "create"


def _check_key(kind: ResourceType, frame: pd.DataFrame, mode: Mode, key: str | None) -> None:
    if mode == "update" and key is not None:
        raise QueryError("An update finds its records by their ids.", hint="Leave key out, or use mode='upsert'.")
    if mode == "upsert" and key is None:
        raise QueryError("An upsert needs a key.", hint="Pass key='external_id' or another attribute of the records.")
    if key is not None and not isinstance(kind.member(key), Attribute):
        raise QueryError(f"{key} is no attribute of {kind.table}.", hint="A key is an attribute, such as external_id.")
    if key is not None and key not in frame:
        raise QueryError(f"The key {key!r} is no column of the frame.")


def _writable_columns(
    kind: ResourceType, names: Sequence[str], *, as_they_were: bool
) -> dict[str, tuple[Attribute | Relationship, str | None]]:
    """Return what columns stand for; beside a relationship the column, if any, with the type of the record."""
    members = {name: kind.member(name) for name in names}
    if locked := [name for name, member in members.items() if member.read_only]:
        raise QueryError(
            f"Read-only{' and changed' if as_they_were else ''}: {', '.join(locked)}.",
            hint="Drop these columns before writing."
            if as_they_were
            else "Drop these columns before writing, or pass changed_from= the frame as it was fetched.",
        )
    types = {m.name: name for name, m in members.items() if isinstance(m, Relationship) and name == m.type_column}
    unwritable = {name: (m, types.get(m.name)) for name, m in members.items() if types.get(m.name) != name}
    spelled: dict[str, str] = {}
    for name, (member, _) in unwritable.items():
        if member.name in spelled:
            raise QueryError(f"{spelled[member.name]} and {name} are one and the same.", hint="Drop one of the two.")
        spelled[member.name] = name
    if alone := [name for member, name in types.items() if member not in spelled]:
        raise QueryError(f"{alone[0]} needs the ids that it is about.", hint="Write both columns, or neither.")
    return unwritable


def _cleared(kind: ResourceType, clear: Collection[str], frame: pd.DataFrame, mode: Mode, key: str | None) -> set[str]:
    """Return the API's names of what a missing value clears."""
    named = {name: kind.member(name) for name in ([clear] if isinstance(clear, str) else clear)}
    if named and mode == "create":
        raise QueryError("A create clears nothing.", hint="Leave clear out.")
    for name, member in named.items():
        if key is not None and member is kind.member(key):
            raise QueryError(f"The key {key} finds the records and cannot be cleared.")
        if not {name, member.name, member.column, getattr(member, "id_column", name)} & set(frame.columns):
            raise QueryError(f"{name} in clear= is no column of the frame.")
    return {member.name for member in named.values()}


def _typed_records(value: Any, type_name: Any) -> Any:
    untyped = type_name is None or is_missing(type_name) or isinstance(value, Reference)
    return value if untyped else ref(id_of(value), str(type_name))


def _why_unchanged(kind: ResourceType, name: str) -> str:
    try:
        return "read-only" if kind.member(name).read_only else "unchanged"
    except UnknownNameError:
        return f"no column of {kind.table}"


def _changes(
    kind: ResourceType, frame: pd.DataFrame, ids: Sequence[Any], before: pd.DataFrame
) -> tuple[dict[str, Any], dict[int, str]]:
    """Compare with the frame as it was: by column the rows that differ, and the rows that were not there."""
    before = before.set_axis([str(name) for name in before.columns], axis="columns")
    if "id" not in before or not before.columns.is_unique:
        raise QueryError(
            "changed_from= needs the column 'id', and each column once.", hint="Pass the frame as fetched."
        )
    places: dict[str, int] = {}
    for place, record in enumerate(before["id"]):
        if places.setdefault(str(id_of(record)), place) != place:
            raise QueryError(
                f"changed_from= has two rows of one of the {kind.table}.", hint="Pass the frame as fetched."
            )
    at = [places.get(str(record)) for record in ids]
    earlier = {name: before[name].tolist() for name in frame.columns if name in before}
    changes = {
        name: np.array(
            [p is None or not _is_same(v, earlier[name][p]) for v, p in zip(frame[name].tolist(), at, strict=True)],
            dtype=bool,
        )
        for name in earlier
    }
    for relationship in kind.relationships.values():
        pair = relationship.id_column, relationship.type_column
        ours = [changes[name] for name in pair if name in changes]
        if len(ours) > 1:
            changes |= {name: ours[0] | ours[1] for name in pair if name}  # one is not written without the other
    unknown = [
        number
        for number, (record, place) in enumerate(zip(ids, at, strict=True))
        if record is not None and place is None
    ]
    return changes, dict.fromkeys(unknown, "changed_from has no row with this id")


def _is_same(one: Any, other: Any) -> bool:
    """Return whether two values of a frame are the same, whatever pandas made of them on the way."""
    return bool(_comparable(one) == _comparable(other))


def _comparable(value: Any) -> Any:
    if isinstance(value, (pd.Series, np.ndarray, list, tuple)):
        return [_comparable(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _comparable(item) for name, item in value.items()}
    if value is None or is_missing(value):
        return None
    return value.item() if isinstance(value, np.generic) and not isinstance(value, np.datetime64) else value
