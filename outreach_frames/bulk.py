"""Write a frame back: one record for each row, resumable without duplicates."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from tqdm.auto import tqdm

from outreach_frames._format import type_name
from outreach_frames._frame_kinds import pandas_from
from outreach_frames._http import WaitInterrupted
from outreach_frames._write_conflicts import BATCH_TO_WRITE, CONFLICT_CHOICES, CellChange, Comparison, OnConflict
from outreach_frames._write_journal import Entry, Identity, Journal, Owner, alone, identity_of, journal_folder
from outreach_frames._write_rows import Row, digest_of, message_of, planned_rows
from outreach_frames._write_selection import FrameSelection, Mode, select_rows
from outreach_frames.catalog import ResourceType
from outreach_frames.client import Client
from outreach_frames.errors import BadRequestError, NotFoundError, OutreachError, QueryError, ValidationError

REFUSALS = (ValidationError, NotFoundError, BadRequestError)
"""Answers that concern one row: the others can still be written."""
RESULT_COLUMNS = ["status", "id", "error_id", "pointer", "reason", "changes"]
"""Columns of a result."""
_JOURNAL_LIFE_S = 86_400.0
"""How long the journal of a call that came to its end keeps the same rows from being created again [s]."""
_PROGRESS_FROM = 20
"""Rows above which a progress bar is shown."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    status: str
    id: Any = None
    error_id: str | None = None
    pointer: str | None = None
    reason: str | None = None
    cells: Sequence[CellChange] = ()


def write_frame(
    client: Client,
    /,
    resource: str,
    frame: pd.DataFrame,
    *,
    mode: Mode | None = None,
    key: str | None = None,
    clear: Collection[str] = (),
    changed_from: pd.DataFrame | None = None,
    on_conflict: OnConflict = "refuse",
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
    on_conflict
        What becomes of a row whose record somebody changed after it was read. Before they are written, records are
        read again, 25 at a time and never from the cache. ``"refuse"``: the row is not written where the record's
        ``updated_at`` is later than that of ``changed_from``, or of the frame without it; nor where a value that it
        would replace is not what ``changed_from`` has. ``"merge"``, with ``changed_from``: only the latter counts, so
        that rows are written whose records changed elsewhere, as each opened mail does. ``"overwrite"``: every row is
        written. Without ``changed_from`` and ``updated_at`` there is nothing to compare, and rows are written. Each
        ``updated_at`` needs its time zone; where some rows of an update miss it, they are refused.
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
    result : DataFrame, shape (n_rows, 6)
        One row for each of ``frame``, with its index. ``status``: ``"created"``, ``"updated"``, ``"unchanged"`` (the
        record has all values of the row), ``"conflict"`` (see ``on_conflict``), ``"refused"``, ``"unknown"`` (sent
        without an answer, and not to be found out); without ``confirm``: ``"would create"``, ``"would update"``,
        ``"unchanged"``, ``"conflict"``, ``"refused"``. ``id`` of the record as text, also of one that a create with a
        key found; ``error_id``, ``pointer`` and ``reason`` of a refusal, with its hint; the reason of a conflict names
        the columns that differ. ``changes`` of an update: each value as it is and as it would be, shortened; all of
        them in full are in `compare_frame`. A call that is repeated with its journal reports again what it created and
        updated. ``attrs["outreach_frames"]`` counts each status; ``left_out`` tells by column what was not written, and
        why.

    Raises
    ------
    UnknownNameError, QueryError
        A column that cannot be written, no ``key`` or ``id`` where one is needed, ``updated_at`` without a time zone, a
        journal that is none, another's or of a call that came to its end, or another call that is writing records of
        this type to this organization; nothing was sent.
    JournalError
        The journal cannot be read or written.
    APIError, TransportError, DocumentError
        Sending stopped part of the way; the same call goes on from there, and sends what was not executed.

    Notes
    -----
    Calls: ``POST`` and ``PATCH /<resource>``, one for each row; ``GET /<resource>?filter[id]=…`` for each 25 rows that
    update; look-ups by ``key`` for an upsert or a lost answer; ``GET /`` before anything is written, for the
    organization and the user. The API has no conditional writes and stores the time of a change in whole seconds: what
    somebody changes in the seconds between the reading and the writing of a batch is not noticed.

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
    frame = pandas_from(frame)
    kind, chosen = _selected(
        client, resource, frame, mode=mode, key=key, clear=clear, changed_from=changed_from, on_conflict=on_conflict
    )
    return write_rows(
        client,
        kind,
        frame,
        chosen,
        lambda: planned_rows(client, kind, chosen, key),
        on_conflict=on_conflict,
        finds_created=key is not None,
        confirm=confirm,
        journal=journal,
        progress=progress,
    )


def compare_frame(
    client: Client,
    /,
    resource: str,
    frame: pd.DataFrame,
    *,
    mode: Mode | None = None,
    key: str | None = None,
    clear: Collection[str] = (),
    changed_from: pd.DataFrame | None = None,
    on_conflict: OnConflict = "refuse",
) -> pd.DataFrame:
    """
    Compare a frame with the records as they are now: one row for each value that `write_frame` would change.

    Parameters
    ----------
    client, resource, frame, mode, key, clear, changed_from, on_conflict
        As in `write_frame`; ``mode`` is ``"update"`` unless one is named.

    Returns
    -------
    cells : DataFrame, shape (n_cells, 6)
        ``row``: its place in ``frame``, from 0; ``id`` of the record; ``column``; ``old`` and ``new``, as text in full,
        missing where there is no value; ``status``, ``"would update"`` or ``"conflict"``. Records that would be created
        and rows that are refused have no cells. Values of passwords and keys are not shown.

    Raises
    ------
    UnknownNameError, QueryError, APIError, TransportError, DocumentError
        As in `write_frame`.

    Notes
    -----
    Calls: ``GET /<resource>?filter[id]=…``, never answered from the cache; look-ups by ``key`` for an upsert.

    Examples
    --------
    >>> before = of.fetch(org, "prospects", fields=["title", "updated_at"], limit=2)
    >>> after = before.assign(title="CTO")
    >>> of.compare_frame(org, "prospects", after, changed_from=before)[["row", "column", "new"]].to_numpy().tolist()
    [[0, 'title', 'CTO'], [1, 'title', 'CTO']]
    """
    frame = pandas_from(frame)
    kind, chosen = _selected(
        client,
        resource,
        frame,
        mode=mode or "update",
        key=key,
        clear=clear,
        changed_from=changed_from,
        on_conflict=on_conflict,
    )
    rows = planned_rows(client, kind, chosen, key)
    comparison = Comparison(client, kind, rows, on_conflict)
    outcomes = [_planned(row, record, comparison) for row, record in comparison.records(rows)]
    cells = [(place, each, cell) for place, each in enumerate(outcomes) for cell in each.cells]
    columns = {
        "row": [place for place, _, _ in cells],
        "id": [str(each.id) for _, each, _ in cells],
        "column": [cell.column for _, _, cell in cells],
        "old": [cell.old for _, _, cell in cells],
        "new": [cell.new for _, _, cell in cells],
        "status": [each.status for _, each, _ in cells],
    }
    return pd.DataFrame(columns).astype(dict.fromkeys(columns, "string[pyarrow]") | {"row": "int64[pyarrow]"})


def _selected(
    client: Client, resource: str, frame: pd.DataFrame, *, on_conflict: OnConflict, **options: Any
) -> tuple[ResourceType, FrameSelection]:
    """Check all that can be checked before the first request."""
    kind = client.catalog.resource(resource)
    if not isinstance(frame, pd.DataFrame):
        raise QueryError(f"write_frame takes a frame, not {type_name(frame)}.")
    if on_conflict not in CONFLICT_CHOICES:
        raise QueryError(f"There is no on_conflict={on_conflict!r}.", hint=f"Use {', '.join(CONFLICT_CHOICES)}.")
    if on_conflict == "merge" and options["changed_from"] is None:
        raise QueryError(
            'on_conflict="merge" compares values with what was read.', hint="Pass changed_from= the frame as fetched."
        )
    return kind, select_rows(kind, frame, reads_stamps=on_conflict != "overwrite", **options)


def write_rows(
    client: Client,
    kind: ResourceType,
    frame: pd.DataFrame,
    chosen: FrameSelection,
    plan: Callable[[], list[Row]],
    *,
    on_conflict: OnConflict = "refuse",
    finds_created: bool,
    confirm: bool,
    journal: str | Path | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """
    Write rows that are checked already, or tell what would be written.

    Parameters
    ----------
    client, frame, on_conflict, confirm, journal, progress
        As in `write_frame`.
    kind
        Type of the records.
    chosen
        What of the frame is written.
    plan
        Checks every row, and finds the record that it concerns; called when no other call can write.
    finds_created
        Whether the plan finds the record of a create that was carried out before.

    Returns
    -------
    result : DataFrame
        As in `write_frame`, which tells the exceptions too.
    """
    if not confirm:
        rows = plan()
        comparison = Comparison(client, kind, rows, on_conflict)
        outcomes = [_planned(row, record, comparison) for row, record in comparison.records(rows)]
        return _result(frame, outcomes, kind, chosen)
    identity = identity_of(client)
    lock = journal_folder() / f"{digest_of(identity.organization, kind.name)}"
    # What the look-ups find must still hold when the last row is written.
    with alone(lock, f"Another call is writing {kind.table} to this organization."):
        rows = plan()
        path = _own_journal(identity, rows, kind) if journal is None else Path(journal)
        with _journal(path, identity) as book:
            entries = book.entries()
            writer = _Writer(client, kind, book, Comparison(client, kind, rows, on_conflict), finds_created)
            with tqdm(
                total=len(rows),
                desc=f"{chosen.mode} {kind.table}",
                unit=" rows",
                disable=not (progress or (progress is None and len(rows) > _PROGRESS_FROM)),
            ) as bar:
                outcomes = []
                for row, record in writer.comparison.records(rows, at_once=BATCH_TO_WRITE):
                    outcomes.append(writer.settled(row, record, entries.get(row.digest)))
                    bar.update()
        if journal is None:
            _put_away(path, outcomes, is_needed=chosen.mode == "create" and not finds_created)
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


def _planned(row: Row, record: Mapping[str, Any], comparison: Comparison) -> _Outcome:
    """Tell what would become of a row whose record is as it is now."""
    if row.problem or row.existing is not None:
        return _Outcome("refused", id=row.existing, reason=row.problem or row.why_existing)
    if row.target is None:
        return _Outcome("would create")
    if not row.fields:
        return _Outcome("unchanged", id=row.target)
    if not record:
        return _Outcome("refused", reason="there is no such record")
    cells = comparison.cells(row, record)
    if not cells:
        return _Outcome("unchanged", id=row.target)
    conflict = comparison.conflict(row, record, cells)
    return _Outcome("conflict" if conflict else "would update", id=row.target, reason=conflict, cells=cells)


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes rows one by one, with the journal of one call."""

    client: Client
    kind: ResourceType
    book: Journal
    comparison: Comparison
    finds_created: bool

    def settled(self, row: Row, record: Mapping[str, Any], entry: Entry | None) -> _Outcome:
        """Bring one row to its end, which an earlier call may have done already or begun."""
        if entry is not None and entry.state == "created":
            return _Outcome("created", id=entry.id)
        if entry is not None and row.existing is not None and not row.problem:
            self.book.note(row.digest, Entry("created", str(row.existing)))
            return _Outcome("created", id=row.existing)
        planned = _planned(row, record, self.comparison)
        if entry is not None and row.target is not None:
            is_as_left = entry.updated_at is not None and entry.updated_at == _instant_text(record)
            if planned.status == "unchanged" or is_as_left:
                self.book.note(row.digest, Entry("updated", str(row.target), _instant_text(record)))
                return _Outcome("updated", id=row.target)
        if not planned.status.startswith("would"):
            return planned
        if entry is not None and row.target is None and not self.finds_created:
            return _Outcome("unknown", reason="sent before without an answer; a key would tell what became of it")
        return self._write(row, planned.cells)

    def _write(self, row: Row, cells: Sequence[CellChange]) -> _Outcome:
        """Write one row, noting it before and after; what stops the whole call is raised."""
        self.book.note(row.digest, Entry("under way", None if row.target is None else str(row.target)))
        status: Literal["created", "updated"] = "created" if row.target is None else "updated"
        try:
            if row.target is None:
                record = self.client.create(self.kind.name, **row.fields)
            else:
                record = self.client.update(self.kind.name, row.target, **row.fields)
        except (OutreachError, WaitInterrupted) as error:
            if error.executed is not False:
                raise
            self.book.forget(row.digest)
            if not isinstance(error, REFUSALS):
                raise
            first = error.errors[0] if error.errors else None
            pointer = first.pointer if first else None
            return _Outcome("refused", error_id=first.id if first else None, pointer=pointer, reason=message_of(error))
        self.book.note(row.digest, Entry(status, str(record["id"]), _instant_text(record)))
        return _Outcome(status, id=record["id"], cells=cells)


def _instant_text(record: Mapping[str, Any] | pd.Series) -> str | None:
    """Return when a record last changed; ``None`` where it does not say."""
    changed_at = record.get("updated_at")
    return changed_at.isoformat() if isinstance(changed_at, pd.Timestamp) else None


def _result(frame: pd.DataFrame, outcomes: list[_Outcome], kind: ResourceType, chosen: FrameSelection) -> pd.DataFrame:
    columns = {
        "status": [outcome.status for outcome in outcomes],
        "id": [None if outcome.id is None else str(outcome.id) for outcome in outcomes],
        "error_id": [outcome.error_id for outcome in outcomes],
        "pointer": [outcome.pointer for outcome in outcomes],
        "reason": [outcome.reason for outcome in outcomes],
        "changes": ["; ".join(map(str, outcome.cells)) or None for outcome in outcomes],
    }
    result = pd.DataFrame(columns, index=frame.index, columns=RESULT_COLUMNS, dtype="string[pyarrow]")
    return with_counts(result, kind, chosen.left_out)


def with_counts(result: pd.DataFrame, kind: ResourceType, left_out: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Return a result with its record: how often each status is there, and what was not written."""
    counts = {str(status): int(n) for status, n in result["status"].value_counts().items()}
    result.attrs["outreach_frames"] = {
        "function": "write_frame",
        "resource": kind.table,
        "counts": counts,
        "left_out": dict(left_out or {}),
    }
    return result


def _own_journal(identity: Identity, rows: list[Row], kind: ResourceType) -> Path:
    """
    Name the journal by what is written where; the name tells nothing of it.

    Raises
    ------
    QueryError
        A call that wrote the same came to its end less than a day ago.
    """
    folder = journal_folder()
    for each in folder.glob("*.ended"):
        with suppress(FileNotFoundError):  # another call may put it away too
            if time.time() - each.stat().st_mtime > _JOURNAL_LIFE_S:
                each.unlink()
    # Where the API does not name the organization, only the rows tell; whose they are stands in the journal.
    path = (
        folder
        / f"{digest_of(identity.organization if identity.is_named else '', *(row.digest for row in rows))}.sqlite"
    )
    if _ended(path).exists() and any(row.target is None and not row.problem and row.existing is None for row in rows):
        raise QueryError(
            f"These {kind.table} were created by the same call less than a day ago; it would create them again.",
            hint="Nothing is left to do. To create them again all the same, name a new file: journal=….",
        )
    return path


def _put_away(path: Path, outcomes: list[_Outcome], *, is_needed: bool) -> None:
    """Put the journal of a call's own away; it is needed where the same call could not find what it created."""
    if not is_needed or not Journal(path).entries():
        path.unlink()
    elif not {outcome.status for outcome in outcomes} & {"unknown", "refused"}:
        path.replace(_ended(path)).touch()
    path.with_name(f"{path.name}.lock").unlink(missing_ok=True)


def _ended(path: Path) -> Path:
    return path.with_suffix(".ended")
