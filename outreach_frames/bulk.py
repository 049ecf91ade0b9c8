"""Writing a frame back: one record for each row, shown first, then written, and resumable without duplicates."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from platformdirs import user_state_path
from tqdm.auto import tqdm

from outreach_frames.catalogue import Attribute, ResourceType
from outreach_frames.client import Client
from outreach_frames.documents import resource_document
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
        Tells the row from all others of the call.
    fields
        What is sent, by the caller's names.
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
        Attribute that tells records apart, such as ``"external_id"`` or ``"emails"``. Needed for an upsert. A create
        with a key is refused where a record has it already, and one whose answer was lost is looked up before it is
        sent again; without a key it is reported as ``"unknown"`` and not sent again.
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
        One row for each of ``frame``, with its index. ``status``: ``"created"``, ``"updated"``, ``"refused"``,
        ``"unknown"`` (sent without an answer, and not to be found out); without ``confirm``: ``"would create"``,
        ``"would update"``, ``"refused"``. ``id`` of the record as text; ``error_id``, ``pointer`` and ``reason`` of a
        refusal. ``attrs["outreach_frames"]`` counts each status.

    Raises
    ------
    UnknownNameError, QueryError
        A column that cannot be written, or no ``key`` or ``id`` where one is needed; nothing was sent.
    APIError, TransportError
        The walk through the rows stopped; the same call goes on from there.

    Notes
    -----
    Calls: ``POST`` and ``PATCH /<resource>``, one for each row; look-ups by ``key`` for an upsert or a lost answer.
    """
    kind = client.catalogue.resource(resource)
    if not isinstance(frame, pd.DataFrame):
        raise QueryError(f"write_frame takes a DataFrame, not a {type(frame).__name__}.")
    _check_columns(kind, frame, mode, key)
    rows = list(_rows(client, kind, frame, mode, key))
    if not confirm:
        return _result(frame, [_planned(row) for row in rows], kind)
    path = Path(journal) if journal else _own_journal(client, kind, mode, rows)
    book = Journal(path)
    known = book.entries()
    wanted = progress or (progress is None and len(rows) > SHOWN_FROM)
    shown = tqdm(rows, desc=f"{mode} {kind.table}", unit=" rows", disable=not wanted)
    outcomes = [_settled(client, kind, row, entry=known.get(row.digest), key=key, book=book) for row in shown]
    if journal is None and not any(outcome.status == "unknown" for outcome in outcomes):
        path.unlink()
    return _result(frame, outcomes, kind)


def _check_columns(kind: ResourceType, frame: pd.DataFrame, mode: Mode, key: str | None) -> None:
    if mode not in OPERATIONS:
        raise QueryError(f"There is no mode {mode!r}.", hint=f"Use {', '.join(OPERATIONS)}.")
    for operation in OPERATIONS[mode]:
        kind.require(operation)
    if mode == "update" and "id" not in frame:
        raise QueryError("An update needs the column 'id'.", hint="Fetch it, or use mode='upsert' with a key.")
    if mode == "upsert" and key is None:
        raise QueryError("An upsert needs a key.", hint="Pass key='external_id' or another attribute of the records.")
    if key is not None and not isinstance(kind.member(key), Attribute):
        raise QueryError(f"{key} is no attribute of {kind.table}.", hint="A key is an attribute, such as external_id.")
    if key is not None and key not in frame:
        raise QueryError(f"The key {key!r} is no column of the frame.")
    locked = [str(name) for name in frame if name != "id" and kind.member(str(name)).read_only]
    if locked:
        raise QueryError(f"Read-only: {', '.join(locked)}.", hint="Drop these columns before writing.")


def _rows(client: Client, kind: ResourceType, frame: pd.DataFrame, mode: Mode, key: str | None) -> Iterator[_Row]:
    """Check every row, and find the record that it concerns."""
    existing = _records_by_key(client, kind, frame, key) if key and mode != "update" else {}
    in_frame = Counter(k for value in frame[key] for k in _key_values(value)) if key else Counter()
    alike: Counter[bytes] = Counter()
    for record in frame.to_dict("records"):
        fields = {str(name): value for name, value in record.items() if name != "id" and not _is_missing(value)}
        keys = _key_values(record[key]) if key else []
        found = sorted({number for k in keys for number in existing.get(k, ())})
        target = record["id"] if mode == "update" else found[0] if found and mode == "upsert" else None
        content, problem = _content(kind, fields, record.get("id") if mode == "update" else None)
        if any(in_frame[k] > 1 for k in keys):
            problem = "another row has the same key"
        elif len(found) > 1:
            problem = f"{len(found)} records have this key"
        elif mode == "update" and _is_missing(target):
            problem = "the id is missing"
        alike[content] += 1
        digest = hashlib.sha256(b"%s %d" % (content, alike[content])).hexdigest()
        yield _Row(digest, fields, target, found[0] if found and mode == "create" else None, problem)


def _content(kind: ResourceType, fields: Mapping[str, Any], target: Any) -> tuple[bytes, str | None]:
    """Return what would be sent, or why it cannot be."""
    try:
        return resource_document(kind, fields, id=None if _is_missing(target) else target).body, None
    except QueryError as error:
        return repr(fields).encode(), str(error.args[0])


def _records_by_key(client: Client, kind: ResourceType, frame: pd.DataFrame, key: str) -> dict[str, list[Any]]:
    """Find the records that have the frame's keys: key → ids."""
    attribute = kind.attribute(key)
    # Whether the API's filters mind case is not known: each key is asked for as it is and in small letters.
    wanted = list({k: None for value in frame[key] for v in _listed(value) for k in (str(v), str(v).lower())})
    # Where the API cannot filter by the key, the whole table is looked through.
    narrowed = {attribute.name: wanted} if attribute.filterable else None
    records = fetch(client, kind.table, fields=[attribute.name], filter=narrowed, refresh=True, progress=False)
    found: dict[str, list[Any]] = {}
    for number, value in zip(records["id"], records[attribute.column], strict=True):
        for k in _key_values(value):
            found.setdefault(k, []).append(number)
    return found


def _listed(value: Any) -> list[Any]:
    """Return a key's values; an attribute that holds a list has several."""
    values = [value] if value is None or pd.api.types.is_scalar(value) else list(value)
    return [v for v in values if not _is_missing(v)]


def _key_values(value: Any) -> list[str]:
    """Return a key's values as they are compared: addresses differ in case and are the same."""
    return [str(v).strip().casefold() for v in _listed(value)]


def _is_missing(value: Any) -> bool:
    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))


def _planned(row: _Row) -> _Outcome:
    if row.problem or row.existing is not None:
        return _Outcome("refused", reason=row.problem or EXISTS)
    return _Outcome("would create" if row.target is None else "would update", id=row.target)


def _settled(
    client: Client, kind: ResourceType, row: _Row, *, entry: Entry | None, key: str | None, book: Journal
) -> _Outcome:
    """Bring one row to its end, which an earlier call may have done already or begun."""
    if entry is not None and entry.state == "created":
        return _Outcome("created", id=entry.id)
    if row.problem:
        return _Outcome("refused", reason=row.problem)
    if row.existing is not None:
        if entry is None:
            return _Outcome("refused", reason=EXISTS)
        book.note(row.digest, Entry("created", str(row.existing)))
        return _Outcome("created", id=row.existing)
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


def _own_journal(client: Client, kind: ResourceType, mode: Mode, rows: list[_Row]) -> Path:
    """Name the journal by what is written where; the name tells nothing of it."""
    content = "\n".join((client.session.owner, kind.name, mode, *(row.digest for row in rows)))
    name = hashlib.sha256(content.encode()).hexdigest()[:32]
    return Path(user_state_path("outreach_frames")) / "journals" / f"{name}.sqlite"
