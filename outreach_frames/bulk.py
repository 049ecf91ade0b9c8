"""Write a frame back: one record for each row, resumable without duplicates."""

import hashlib
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm.auto import tqdm

from outreach_frames._fetch import fetch
from outreach_frames._format import type_name
from outreach_frames._frame_kinds import pandas_from
from outreach_frames._http import WaitInterrupted
from outreach_frames._query import text
from outreach_frames._request_documents import (
    attribute_value,
    checked_id,
    holds_addresses,
    is_missing,
    resource_document,
)
from outreach_frames._write_journal import Entry, Identity, Journal, Owner, alone, default_folder, identity_of
from outreach_frames._write_selection import FrameSelection, Mode, select_rows
from outreach_frames.catalog import Attribute, ResourceType
from outreach_frames.client import Client
from outreach_frames.errors import BadRequestError, NotFoundError, OutreachError, QueryError, ValidationError

REFUSALS = (ValidationError, NotFoundError, BadRequestError)
"""Answers that concern one row: the others can still be written."""
_JOURNAL_LIFE_S = 86_400.0
"""How long the journal of a call that came to its end keeps the same rows from being created again [s]."""
_PROGRESS_FROM = 20
"""Rows above which a progress bar is shown."""
EXISTS = "a record with this key exists"


@dataclass(frozen=True, slots=True)
class _Row:
    """
    One row to write.

    Attributes
    ----------
    digest
        Tells the row from all others of its journal.
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
    mode: Mode | None = None,
    key: str | None = None,
    clear: Collection[str] = (),
    changed_from: pd.DataFrame | None = None,
    confirm: bool = False,
    journal: str | Path | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """
    Write one record for each row of a frame.

    Parameters
    ----------
    client
        Connection to an organization.
    resource
        Resource type, in any spelling.
    frame
        Columns are attributes and relationships in either spelling (``account_id`` or ``account``); for an update also
        ``id``. A missing value is left out of what is sent: it neither sets nor clears anything.
    mode
        ``"create"``; ``"update"`` (by the column ``id``); ``"upsert"``: update where a record with the same ``key``
        exists, else create. Default: ``"update"`` with ``changed_from``, else ``"create"``, which a frame with the
        column ``id`` is refused for.
    key
        For a create or an upsert: attribute that tells records apart, such as ``"external_id"`` or ``"emails"``. Needed
        for an upsert, which finds records by it and does not write it to them. A create with a key is refused where a
        record has it already, and one whose answer was lost is looked up before it is sent again; without a key it is
        reported as ``"unknown"`` and not sent again. Keys are compared as they are sent; addresses without regard to
        case and to blanks around them. Rows without their key, and rows that concern one record, are refused.
    clear
        Columns in which a missing value clears what the record has; for updates and upserts.
    changed_from
        For an update: the frame as it was fetched. Only values that differ from it are sent, and rows in which none
        does are not; so a whole frame can be written back after one column was edited.
    confirm
        Write. Otherwise nothing is sent but look-ups, and the result tells what would be done.
    journal
        File that makes the call resumable: a call that was cut short goes on where it stopped, and creates of an
        earlier call with the same file are not sent again. It belongs to the organization and the user that the API
        names, whatever their token, and is refused for others. Default: a file of the call's own in the user's state
        folder. Where rows were created without a key it is kept for a day after the call has come to its end, and the
        same call is refused meanwhile; else it goes.
    progress
        Show a progress bar; ``None``: above 20 rows.

    Returns
    -------
    result : DataFrame, shape (n_rows, 5)
        One row for each of ``frame``, with its index. ``status``: ``"created"``, ``"updated"``, ``"unchanged"`` (the
        record is there and the row holds nothing else to write), ``"refused"``, ``"unknown"`` (sent without an answer,
        and not to be found out); without ``confirm``: ``"would create"``, ``"would update"``, ``"unchanged"``,
        ``"refused"``. ``id`` of the record as text, also of one that a create with a key found; ``error_id``,
        ``pointer`` and ``reason`` of a refusal, with its hint. ``attrs["outreach_frames"]`` counts each status;
        ``left_out`` tells by column what was not written, and why.

    Raises
    ------
    UnknownNameError, QueryError
        A column that cannot be written, no ``key`` or ``id`` where one is needed, a journal that is none, another's or
        of a call that came to its end, or another call that is writing records of this type to this organization;
        nothing was sent.
    JournalError
        The journal cannot be read or written.
    APIError, TransportError, DocumentError
        Sending stopped part of the way; the same call goes on from there, and sends what was not executed.

    Notes
    -----
    Calls: ``POST`` and ``PATCH /<resource>``, one for each row; look-ups by ``key`` for an upsert or a lost answer;
    ``GET /`` before anything is written, for the organization and the user.

    Examples
    --------
    >>> import pandas as pd
    >>> new = pd.DataFrame({"first_name": ["Ada", "Jo"], "emails": [["ada@example.com"], ["jo@example.com"]]})
    >>> of.write_frame(org, "prospects", new, mode="create", key="emails")["status"].tolist()
    ['would create', 'would create']
    >>> result = of.write_frame(org, "prospects", new, mode="create", key="emails", confirm=True, journal=folder / "j")
    >>> result["status"].tolist()
    ['created', 'created']
    """
    kind = client.catalog.resource(resource)
    frame = pandas_from(frame)
    if not isinstance(frame, pd.DataFrame):
        raise QueryError(f"write_frame takes a frame, not {type_name(frame)}.")
    chosen = select_rows(kind, frame, mode=mode, key=key, clear=clear, changed_from=changed_from)
    if not confirm:
        outcomes = [_planned(row) for row in _planned_rows(client, kind, chosen, key)]
        return _result(frame, outcomes, kind, chosen)
    identity = identity_of(client)
    lock = default_folder() / f"{_digest(identity.organization, kind.name)}"
    # What the look-ups find must still hold when the last row is written.
    with alone(lock, f"Another call is writing {kind.table} to this organization."):
        rows = _planned_rows(client, kind, chosen, key)
        path = _own_journal(identity, rows, kind) if journal is None else Path(journal)
        with _journal(path, identity) as book:
            entries = book.entries()
            is_shown = progress or (progress is None and len(rows) > _PROGRESS_FROM)
            with_bar = tqdm(rows, desc=f"{chosen.mode} {kind.table}", unit=" rows", disable=not is_shown)
            outcomes = [
                _settled(client, kind, row, entry=entries.get(row.digest), key=key, book=book) for row in with_bar
            ]
        if journal is None:
            _put_away(path, outcomes, key)
    return _result(frame, outcomes, kind, chosen)


@contextmanager
def _journal(path: Path, identity: Identity) -> Iterator[Journal]:
    """Open a journal and lock it; only its owner may."""
    with alone(path, f"Another call is writing with the journal {path.name}."):
        book = Journal(path)
        me, owner = Owner(identity.organization, identity.user), book.owner()
        if owner is None and not book.entries():
            book.belong_to(me)
        elif owner != me:
            raise QueryError(
                f"The journal {path.name} was begun by {_beginner(identity, owner)}: it cannot tell which of the rows "
                "were written already.",
                hint="Go on with the sign-in that began it. To write all rows with this one, name a new file: "
                "journal=….",
            )
        yield book


def _beginner(identity: Identity, owner: Owner | None) -> str:
    """Describe the owner of a journal, as far as the API names it."""
    if owner is None:
        return "an earlier version of this package"
    if owner.organization == identity.organization:
        return "another user of this organization"
    return "another organization" if identity.is_named else "another sign-in, maybe of another organization or user"


def _planned_rows(client: Client, kind: ResourceType, chosen: FrameSelection, key: str | None) -> list[_Row]:
    """Check every row, and find the record that it concerns."""
    mode, attribute = chosen.mode, kind.attribute(key) if key else None
    sent_keys = [_sent_key(attribute, row.get(key or "")) if attribute else [] for row in chosen.rows]
    existing = _records_by_key(client, kind, attribute, sent_keys) if attribute else {}
    keys = [_comparable_keys(attribute, each) if attribute else frozenset() for each in sent_keys]
    matches = [sorted({number for k in each for number in existing.get(k, ())}) for each in keys]
    targets = chosen.ids if mode == "update" else [each[0] if each and mode == "upsert" else None for each in matches]
    in_frame = Counter(k for each in keys for k in each)
    concerned = Counter(str(target) for target in targets if target is not None)
    alike: Counter[bytes] = Counter()
    rows = []
    for place, (values, row_keys, numbers, target) in enumerate(zip(chosen.rows, keys, matches, targets, strict=True)):
        fields = dict(values)
        if target is None:
            fields = {name: value for name, value in fields.items() if value is not None}
        content, problem = _row_content(kind, fields, target if mode == "update" else None)
        if key and not row_keys:
            problem = problem or "the key is missing"
        elif any(in_frame[k] > 1 for k in row_keys):
            problem = "another row has the same key"
        elif len(numbers) > 1:
            problem = f"{len(numbers)} records have this key"
        elif mode == "update" and target is None:
            problem = "the id is missing"
        elif concerned[str(target)] > 1:
            problem = "another row concerns the same record"
        alike[content] += 1
        digest = _digest(kind.name, mode, alike[content], content)
        if target is not None:
            fields.pop(key or "", None)  # an address that found its record would replace all its addresses
        created = numbers[0] if numbers and mode == "create" else None
        rows.append(_Row(digest, fields, target, created, problem or chosen.problems.get(place)))
    return rows


def _row_content(kind: ResourceType, fields: Mapping[str, Any], target: Any) -> tuple[bytes, str | None]:
    """Return what would be sent, or why it cannot be."""
    try:
        number = None if target is None else checked_id(kind, target)
        if target is not None and not fields:
            return b"", None
        return resource_document(kind, fields, id=number).body, None
    except QueryError as error:
        return repr(fields).encode(), _message(error)


def _message(error: OutreachError) -> str:
    """Return what an error says, with its hint, in one line."""
    return " ".join(filter(None, (str(error.args[0]), error.hint)))


def _records_by_key(
    client: Client, kind: ResourceType, attribute: Attribute, keys: list[list[str]]
) -> dict[str, list[Any]]:
    """Find the records that have the frame's keys: key → ids."""
    # Whether the API's filters mind case is not known: each address is asked for as it is and in small letters.
    spelled = (str, str.lower) if holds_addresses(attribute) else (str,)
    spellings = list({spell(each): None for row in keys for each in row for spell in spelled})
    if not spellings:
        return {}
    # Where the API cannot filter by the key, the whole table is looked through.
    narrowed = {attribute.name: spellings} if attribute.filterable else None
    records = fetch(client, kind.table, fields=[attribute.name], filter=narrowed, refresh=True, progress=False)
    ids: dict[str, list[Any]] = {}
    for number, value in zip(records["id"], records[attribute.column], strict=True):
        for k in _comparable_keys(attribute, _sent_key(attribute, value)):
            ids.setdefault(k, []).append(number)
    return ids


def _sent_key(attribute: Attribute, value: Any) -> list[str]:
    """Return a key's values as they are sent; an attribute that holds a list has several."""
    listed = [value] if value is None or pd.api.types.is_scalar(value) else list(value)
    there = [each for each in listed if each is not None and not is_missing(each)]
    try:
        sent = [attribute_value(attribute.name, [v] if attribute.type == "array" else v, attribute) for v in there]
    except QueryError:
        sent = there  # the row is refused for it
    return [each for each in (text(v[0] if isinstance(v, list) else v) for v in sent) if each]


def _comparable_keys(attribute: Attribute, keys: list[str]) -> frozenset[str]:
    """Return a key's values as they are compared: addresses that differ in case alone are the same."""
    return frozenset(each.casefold() for each in keys) if holds_addresses(attribute) else frozenset(keys)


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
    return _write_row(client, kind, row, book)


def _write_row(client: Client, kind: ResourceType, row: _Row, book: Journal) -> _Outcome:
    """Write one row, noting it before and after; what stops the whole call is raised."""
    book.note(row.digest, Entry("under way"))
    try:
        if row.target is None:
            status, record = "created", client.create(kind.name, **row.fields)
        else:
            status, record = "updated", client.update(kind.name, row.target, **row.fields)
    except (OutreachError, WaitInterrupted) as error:
        if error.executed is not False:
            raise
        book.forget(row.digest)
        if not isinstance(error, REFUSALS):
            raise
        first = error.errors[0] if error.errors else None
        pointer = first.pointer if first else None
        return _Outcome("refused", error_id=first.id if first else None, pointer=pointer, reason=_message(error))
    if status == "created":
        book.note(row.digest, Entry("created", str(record["id"])))
    else:
        book.forget(row.digest)  # an update can be sent again: twice is the same as once
    return _Outcome(status, id=record["id"])


def _result(frame: pd.DataFrame, outcomes: list[_Outcome], kind: ResourceType, chosen: FrameSelection) -> pd.DataFrame:
    columns = {
        "status": [outcome.status for outcome in outcomes],
        "id": [None if outcome.id is None else str(outcome.id) for outcome in outcomes],
        "error_id": [outcome.error_id for outcome in outcomes],
        "pointer": [outcome.pointer for outcome in outcomes],
        "reason": [outcome.reason for outcome in outcomes],
    }
    result = pd.DataFrame(columns, index=frame.index, dtype="string[pyarrow]")
    counts = {str(status): int(n) for status, n in result["status"].value_counts().items()}
    result.attrs["outreach_frames"] = {
        "function": "write_frame",
        "resource": kind.table,
        "counts": counts,
        "left_out": dict(chosen.left_out),
    }
    return result


def _own_journal(identity: Identity, rows: list[_Row], kind: ResourceType) -> Path:
    """
    Name the journal by what is written where; the name tells nothing of it.

    Raises
    ------
    QueryError
        A call that wrote the same came to its end less than a day ago.
    """
    folder = default_folder()
    for each in folder.glob("*.ended"):
        with suppress(FileNotFoundError):  # another call may put it away too
            if time.time() - each.stat().st_mtime > _JOURNAL_LIFE_S:
                each.unlink()
    # Where the API does not name the organization, only the rows tell; whose they are stands in the journal.
    path = (
        folder / f"{_digest(identity.organization if identity.is_named else '', *(row.digest for row in rows))}.sqlite"
    )
    if _ended(path).exists():
        raise QueryError(
            f"These {kind.table} were created by the same call less than a day ago; it would create them again.",
            hint="Nothing is left to do. To create them again all the same, name a new file: journal=….",
        )
    return path


def _put_away(path: Path, outcomes: list[_Outcome], key: str | None) -> None:
    """Put the journal of a call's own away: what it still has to say is what was created without a key."""
    if key is not None or not Journal(path).entries():
        path.unlink()
    elif not {outcome.status for outcome in outcomes} & {"unknown", "refused"}:
        path.replace(_ended(path)).touch()
    path.with_name(f"{path.name}.lock").unlink(missing_ok=True)


def _ended(path: Path) -> Path:
    return path.with_suffix(".ended")


def _digest(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
