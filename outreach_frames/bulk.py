"""Writing a frame back: one record for each row, shown first, then written, and resumable without duplicates."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from filelock import FileLock, Timeout
from platformdirs import user_state_path
from tqdm.auto import tqdm

from outreach_frames.catalogue import Attribute, ResourceType
from outreach_frames.client import Client
from outreach_frames.documents import checked_id, resource_document
from outreach_frames.errors import APIError, BadRequestError, NotFoundError, QueryError, ValidationError
from outreach_frames.journal import Entry, Journal
from outreach_frames.reading import fetch

Mode = Literal["create", "update", "upsert"]
OPERATIONS: Mapping[str, tuple[str, ...]] = {
    "create": ("create",),
    "update": ("update",),
    "upsert": ("create", "update"),
}
REFUSALS = (ValidationError, NotFoundError, BadRequestError)
"""Answers that concern one row: the others can still be written."""
SERVER_ERRORS = 500
"""From this status on nobody knows whether a request was carried out."""
SHOWN_FROM = 20
"""Rows above which a progress bar is shown."""
EXISTS = "a record with this key exists"


@dataclass(frozen=True, slots=True)
class _Row:
    """
    One row to write.

    Attributes
    ----------
    digest
        Tells the row from all others, of other calls and organisations too.
    fields
        What is sent, by the caller's names; nothing for a record that is as it should be.
    target
        The record to update; ``None`` for a create.
    existing
        For a create: a record with the same key, which this row may have made in an earlier call.
    problem
        Why it cannot be written.
    """

    digest: str
    fields: Mapping[str, Any]
    target: Any = None
    existing: Any = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class _Outcome:
    status: str
    id: Any = None
    error_id: str | None = None
    pointer: str | None = None
    reason: str | None = None


def write_frame(
    client: Client,
    resource: str,
    frame: pd.DataFrame,
    *,
    mode: Mode = "create",
    key: str | None = None,
    confirm: bool = False,
    journal: str | Path | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """
    Write one record for each row of a frame.

    Parameters
    ----------
    client
        Connection to an organisation.
    resource
        Resource type, in any spelling.
    frame
        Columns are attributes and relationships in either spelling (``account_id`` or ``account``); for an update also
        ``id``. A missing value is left out of what is sent: it neither sets nor clears anything.
    mode
        ``"create"``; ``"update"`` (by the column ``id``); ``"upsert"``: update where a record with the same ``key``
        exists, else create.
    key
        For a create or an upsert: attribute that tells records apart, such as ``"external_id"`` or ``"emails"``. Needed
        for an upsert, which finds records by it and does not write it to them. A create with a key is refused where a
        record has it already, and one whose answer was lost is looked up before it is sent again; without a key it is
        reported as ``"unknown"`` and not sent again. Addresses are compared without regard to case, other keys exactly.
        Rows without their key, and rows that concern one record, are refused.
    confirm
        Write. Otherwise nothing is sent but look-ups, and the result tells what would be done.
    journal
        File that makes the call resumable: a call that was cut short goes on where it stopped, and creates of an
        earlier call with the same file are not sent again. Default: a file of the call's own in the user's state
        folder, which goes when the call has come to its end.
    progress
        Show a progress bar; ``None``: above 20 rows.

    Returns
    -------
    result : DataFrame, shape (n_rows, 5)
        One row for each of ``frame``, with its index. ``status``: ``"created"``, ``"updated"``, ``"unchanged"`` (the
        record is there and the row holds nothing else to write), ``"refused"``, ``"unknown"`` (sent without an answer,
        and not to be found out); without ``confirm``: ``"would create"``, ``"would update"``, ``"unchanged"``,
        ``"refused"``. ``id`` of the record as text, also of one that a create with a key found; ``error_id``,
        ``pointer`` and ``reason`` of a refusal. ``attrs["outreach_frames"]`` counts each status.

    Raises
    ------
    UnknownNameError, QueryError
        A column that cannot be written, no ``key`` or ``id`` where one is needed, a journal that is none, or another
        call that is writing records of this type to this organisation; nothing was sent.
    APIError, TransportError, DocumentError
        The walk through the rows stopped; the same call goes on from there.

    Notes
    -----
    Calls: ``POST`` and ``PATCH /<resource>``, one for each row; look-ups by ``key`` for an upsert or a lost answer.
    """
    kind = client.catalogue.resource(resource)
    if not isinstance(frame, pd.DataFrame):
        raise QueryError(f"write_frame takes a DataFrame, not a {type(frame).__name__}.")
    _check_columns(kind, frame, mode, key)
    if not confirm:
        return _result(frame, [_planned(row) for row in _rows(client, kind, frame, mode, key)], kind)
    with _alone(client, kind):
        rows = _rows(client, kind, frame, mode, key)
        path = Path(journal) if journal else _own_journal(rows)
        book = Journal(path)
        known = book.entries()
        wanted = progress or (progress is None and len(rows) > SHOWN_FROM)
        shown = tqdm(rows, desc=f"{mode} {kind.table}", unit=" rows", disable=not wanted)
        outcomes = [_settled(client, kind, row, entry=known.get(row.digest), key=key, book=book) for row in shown]
        if journal is None and not any(outcome.status == "unknown" for outcome in outcomes):
            path.unlink()
    return _result(frame, outcomes, kind)


@contextmanager
def _alone(client: Client, kind: ResourceType) -> Iterator[None]:
    """Keep every other call from writing records of a type meanwhile: what it looks up would not hold any more."""
    name = hashlib.sha256(f"{client.session.owner} {kind.name}".encode()).hexdigest()[:32]
    folder = _state_folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with FileLock(folder / f"{name}.lock", timeout=0):
            yield
    except Timeout:
        raise QueryError(
            f"Another call is writing {kind.table} to this organisation.", hint="Wait until it has ended."
        ) from None


def _check_columns(kind: ResourceType, frame: pd.DataFrame, mode: Mode, key: str | None) -> None:
    if mode not in OPERATIONS:
        raise QueryError(f"There is no mode {mode!r}.", hint=f"Use {', '.join(OPERATIONS)}.")
    for operation in OPERATIONS[mode]:
        kind.require(operation)
    if mode == "update" and "id" not in frame:
        raise QueryError("An update needs the column 'id'.", hint="Fetch it, or use mode='upsert' with a key.")
    if mode == "update" and key is not None:
        raise QueryError("An update finds its records by their ids.", hint="Leave key out, or use mode='upsert'.")
    if mode == "upsert" and key is None:
        raise QueryError("An upsert needs a key.", hint="Pass key='external_id' or another attribute of the records.")
    if key is not None and not isinstance(kind.member(key), Attribute):
        raise QueryError(f"{key} is no attribute of {kind.table}.", hint="A key is an attribute, such as external_id.")
    if key is not None and key not in frame:
        raise QueryError(f"The key {key!r} is no column of the frame.")
    locked = [str(name) for name in frame if name != "id" and kind.member(str(name)).read_only]
    if locked:
        raise QueryError(f"Read-only: {', '.join(locked)}.", hint="Drop these columns before writing.")


def _rows(client: Client, kind: ResourceType, frame: pd.DataFrame, mode: Mode, key: str | None) -> list[_Row]:
    """Check every row, and find the record that it concerns."""
    records = frame.to_dict("records")
    existing = _records_by_key(client, kind, frame, key) if key else {}
    attribute = kind.attribute(key) if key else None
    keys = [_key_values(attribute, record[key]) if attribute else frozenset() for record in records]
    found = [sorted({number for k in each for number in existing.get(k, ())}) for each in keys]
    if mode == "update":
        targets = [None if _is_missing(record["id"]) else record["id"] for record in records]
    else:
        targets = [each[0] if each and mode == "upsert" else None for each in found]
    in_frame = Counter(k for each in keys for k in each)
    concerned = Counter(str(target) for target in targets if target is not None)
    alike: Counter[bytes] = Counter()
    rows = []
    for record, row_keys, numbers, target in zip(records, keys, found, targets, strict=True):
        fields = {str(name): value for name, value in record.items() if name != "id" and not _is_missing(value)}
        content, problem = _content(kind, fields, target if mode == "update" else None)
        if key and not row_keys:
            problem = "the key is missing"
        elif any(in_frame[k] > 1 for k in row_keys):
            problem = "another row has the same key"
        elif len(numbers) > 1:
            problem = f"{len(numbers)} records have this key"
        elif mode == "update" and target is None:
            problem = "the id is missing"
        elif concerned[str(target)] > 1:
            problem = "another row concerns the same record"
        alike[content] += 1
        told = f"{client.session.owner} {kind.name} {mode} {alike[content]} ".encode() + content
        if target is not None:
            fields.pop(key or "", None)  # an address that found its record would replace all its addresses
        made = numbers[0] if numbers and mode == "create" else None
        rows.append(_Row(hashlib.sha256(told).hexdigest(), fields, target, made, problem))
    return rows


def _content(kind: ResourceType, fields: Mapping[str, Any], target: Any) -> tuple[bytes, str | None]:
    """Return what would be sent, or why it cannot be."""
    try:
        number = None if target is None else checked_id(kind, target)
        return resource_document(kind, fields, id=number).body, None
    except QueryError as error:
        return repr(fields).encode(), str(error.args[0])


def _records_by_key(client: Client, kind: ResourceType, frame: pd.DataFrame, key: str) -> dict[str, list[Any]]:
    """Find the records that have the frame's keys: key → ids."""
    attribute = kind.attribute(key)
    # Whether the API's filters mind case is not known: each address is asked for as it is and in small letters.
    spelt = (str, lambda v: str(v).lower()) if _is_address(attribute) else (str,)
    wanted = list({spell(v): None for value in frame[key] for v in _listed(value) for spell in spelt})
    # Where the API cannot filter by the key, the whole table is looked through.
    narrowed = {attribute.name: wanted} if attribute.filterable else None
    records = fetch(client, kind.table, fields=[attribute.name], filter=narrowed, refresh=True, progress=False)
    found: dict[str, list[Any]] = {}
    for number, value in zip(records["id"], records[attribute.column], strict=True):
        for k in _key_values(attribute, value):
            found.setdefault(k, []).append(number)
    return found


def _listed(value: Any) -> list[Any]:
    """Return a key's values; an attribute that holds a list has several."""
    values = [value] if value is None or pd.api.types.is_scalar(value) else list(value)
    return [v for v in values if not _is_missing(v)]


def _is_address(attribute: Attribute) -> bool:
    return "email" in attribute.name.lower()


def _key_values(attribute: Attribute, value: Any) -> frozenset[str]:
    """Return a key's values as they are compared: addresses differ in case and are the same."""
    texts = map(str, _listed(value))
    return frozenset(text.strip().casefold() for text in texts) if _is_address(attribute) else frozenset(texts)


def _is_missing(value: Any) -> bool:
    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))


def _planned(row: _Row) -> _Outcome:
    if row.problem or row.existing is not None:
        return _Outcome("refused", id=row.existing, reason=row.problem or EXISTS)
    if row.target is not None and not row.fields:
        return _Outcome("unchanged", id=row.target)
    return _Outcome("would create" if row.target is None else "would update", id=row.target)


def _settled(
    client: Client, kind: ResourceType, row: _Row, *, entry: Entry | None, key: str | None, book: Journal
) -> _Outcome:
    """Bring one row to its end, which an earlier call may have done already or begun."""
    if entry is not None and entry.state == "created":
        return _Outcome("created", id=entry.id)
    if entry is not None and row.existing is not None and not row.problem:
        book.note(row.digest, Entry("created", str(row.existing)))
        return _Outcome("created", id=row.existing)
    planned = _planned(row)
    if not planned.status.startswith("would"):
        return planned
    if entry is not None and row.target is None and key is None:
        return _Outcome("unknown", reason="sent before without an answer; a key would tell what became of it")
    return _written(client, kind, row, book)


def _written(client: Client, kind: ResourceType, row: _Row, book: Journal) -> _Outcome:
    """Write one row, noting it before and after; what stops the whole call is raised."""
    book.note(row.digest, Entry("under way"))
    try:
        if row.target is None:
            status, record = "created", client.create(kind.name, **row.fields)
        else:
            status, record = "updated", client.update(kind.name, row.target, **row.fields)
    except APIError as error:
        if error.status is None or error.status >= SERVER_ERRORS:
            raise
        book.forget(row.digest)  # turned away, certainly not carried out
        if not isinstance(error, REFUSALS):
            raise
        first = error.errors[0] if error.errors else None
        pointer = first.pointer if first else None
        return _Outcome("refused", error_id=first.id if first else None, pointer=pointer, reason=str(error.args[0]))
    if status == "created":
        book.note(row.digest, Entry("created", str(record["id"])))
    else:
        book.forget(row.digest)  # an update can be sent again: twice is the same as once
    return _Outcome(status, id=record["id"])


def _result(frame: pd.DataFrame, outcomes: list[_Outcome], kind: ResourceType) -> pd.DataFrame:
    columns = {
        "status": [outcome.status for outcome in outcomes],
        "id": [None if outcome.id is None else str(outcome.id) for outcome in outcomes],
        "error_id": [outcome.error_id for outcome in outcomes],
        "pointer": [outcome.pointer for outcome in outcomes],
        "reason": [outcome.reason for outcome in outcomes],
    }
    result = pd.DataFrame(columns, index=frame.index, dtype="string[pyarrow]")
    counts = {str(status): int(n) for status, n in result["status"].value_counts().items()}
    result.attrs["outreach_frames"] = {"function": "write_frame", "resource": kind.table, "counts": counts}
    return result


def _own_journal(rows: list[_Row]) -> Path:
    """Name the journal by what is written where; the name tells nothing of it."""
    name = hashlib.sha256("\n".join(row.digest for row in rows).encode()).hexdigest()[:32]
    return _state_folder() / f"{name}.sqlite"


def _state_folder() -> Path:
    return Path(user_state_path("outreach_frames")) / "journals"
