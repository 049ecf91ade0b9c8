"""
Erase a person from everything that this package keeps on a machine.

Each store erases its own content. First all of them say which prospects have the address; then each removes the records
of these prospects, and the address from what else mentions it.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pandas as pd
import pyarrow as pa

from outreach_frames import _write_journal
from outreach_frames._http.cache_erasure import cache_files, erase_from_cache, ids_in_cache
from outreach_frames._person import Erased, Person
from outreach_frames.client import Client
from outreach_frames.compliance import exports as export_files
from outreach_frames.compliance.requests import POLL_S, request_deletion, wait
from outreach_frames.errors import ErasureError, OutreachError, QueryError
from outreach_frames.snapshots.erasure import (
    erase_from_snapshot,
    ids_in_snapshot,
    is_snapshot,
    organizations_of_snapshot,
)
from outreach_frames.webhooks.erasure import erase_from_deliveries, ids_in_deliveries

StorePaths: TypeAlias = str | Path | Sequence[str | Path]

_RECEIPT_COLUMNS = {
    "store": pa.string(),
    "where": pa.string(),
    "rows": pa.int64(),
    "cells": pa.int64(),
    "when": pa.timestamp("us", "UTC"),
}

_FAILURES = (OutreachError, OSError, sqlite3.Error)
"""What keeps a store from being searched or written."""


_StoreOutcome: TypeAlias = Erased | Iterable[Erased | OutreachError] | None


class _Line(NamedTuple):
    """One row of a receipt."""

    store: str
    where: str
    rows: int
    cells: int
    when: datetime | None


def forget(
    email: str,
    *,
    client: Client | None = None,
    cache: bool | str | Path = True,
    snapshots: StorePaths = (),
    webhooks: StorePaths = (),
    journals: StorePaths = (),
    exports: StorePaths = (),
    dry_run: bool = False,
    outreach: bool = False,
    requester: str | None = None,
    timeout: float = 3600.0,
    poll: float = POLL_S,
) -> pd.DataFrame:
    """
    Erase a person from what this package keeps on this machine.

    The person is found by the address, in any spelling, and by the ids of the prospects that have it in any of the
    places. Their records are removed; in other records the address is replaced by ``erased@invalid``, and foreign keys
    to the person are blanked. Names alone are not looked for: many people share one.

    Parameters
    ----------
    email
        The person's address; blanks around it are left out. For one who has several, call again with each.
    client
        Connection to the organization: its cache is searched too, and it is what ``outreach`` needs.
    cache
        Whether to search the caches of all accounts in the user's cache folder; or the ``cache_dir`` of others.
    snapshots
        Folders of snapshots, of one organization: ids mean nothing in another. All versions are searched.
    webhooks
        Stores of deliveries.
    journals
        Journals of `write_frame`, besides those in the user's state folder, which are always searched.
    exports
        CSV, Parquet, DuckDB and Excel files that this package wrote, or folders of them. Another file with the person
        is named in the error, as is a workbook to which somebody added charts or comments: it has to be made anew.
    dry_run
        Change nothing; the counts are the same.
    outreach
        Also ask Outreach to erase the person, and wait until that is done. Not with ``dry_run``.
    requester
        Address of the Outreach user who asks.
    timeout, poll
        Longest wait for Outreach, and pause between two looks [seconds].

    Returns
    -------
    receipt : DataFrame, one row per place that was searched
        Without personal data: ``store`` (cache, snapshot, webhooks, journal, export, outreach); ``where``, the name of
        the file, or of the snapshot, its version and table; ``rows`` removed [responses, records, deliveries];
        ``cells`` of other records that were replaced; ``when`` [UTC instant, missing in a dry run]. Versions of a
        snapshot share files: each counts what it had.

    Raises
    ------
    QueryError
        The text is no address, the snapshots are of two organizations, a place does not exist, or ``outreach`` lacks
        ``client`` or ``requester``; nothing was changed.
    ErasureError
        In some places the person may still be: a file is damaged, in use or of another format, the disk is full, or
        Outreach is not done. The others were seen to; a further call does what is left.
    APIError, TransportError
        Outreach did not take the request; nothing was changed.

    Notes
    -----
    No byte of the files has the address afterwards, free pages and logs of SQLite included, in none of these spellings:
    any case, JSON, HTML, URL and quoted-printable escapes, UTF-16, base64, also in lines, and with characters of no
    width inside. A longer address that contains it is another one, and stays. A cached response with the person is
    deleted as a whole. In a journal of writes an entry keeps its digest, without which the same call would create the
    person again, and loses the record's id. Counters of sequences and templates do not change.

    Examples
    --------
    >>> snapshot = of.take_snapshot(org, folder / "my-org", resources=["prospects", "mailings"])
    >>> email = snapshot.frame("prospects")["emails"].iloc[0][0]
    >>> receipt = of.compliance.forget(email, client=org, cache=False, snapshots=folder / "my-org")
    >>> receipt.loc[receipt["store"] == "snapshot", "rows"].sum() > 0
    True
    >>> of.compliance.forget("nobody", snapshots=folder / "my-org")
    Traceback (most recent call last):
        ...
    outreach_frames.errors.QueryError: This is no e-mail address.
    Hint: ...
    """
    person = Person(email)
    if outreach and (client is None or not requester):
        raise QueryError(
            "Outreach is asked by a connection, for a user.", hint='Give client=org and requester="admin@example.com".'
        )
    places = _Places(
        client,
        cache=cache,
        snapshots=_paths(snapshots),
        webhooks=_paths(webhooks),
        journals=_paths(journals),
        exports=_paths(exports),
    )
    run = _Run(person, places, dry_run=dry_run)
    run.find_ids()
    if client is None or not requester or not outreach or dry_run:
        run.erase()
        return run.finish()
    request = request_deletion(client, email, requester=requester)
    run.erase()
    run.wait(lambda: wait(client, request, timeout=timeout, poll=poll), request)
    return run.finish()


class _Places:
    """
    Where a person is looked for.

    Raises
    ------
    QueryError
        One of them does not exist, or snapshots are of two organizations.
    """

    def __init__(
        self,
        client: Client | None,
        *,
        cache: bool | str | Path,
        snapshots: list[Path],
        webhooks: list[Path],
        journals: list[Path],
        exports: list[Path],
    ) -> None:
        named = [Path(cache)] if not isinstance(cache, bool) else []
        for path in [*snapshots, *webhooks, *journals, *exports, *named]:
            what = "" if path not in snapshots or is_snapshot(path) else "snapshot in "
            if what or not path.exists():
                raise QueryError(f"There is no {what}{path.name!r}.", hint="Look at its name; nothing was changed.")
        folders: list[Path | None] = [*named] if named else [None] if cache else []
        own = None if client is None else client.cache.path
        if own is not None:
            folders.append(own.parent.parent)
        self.caches = sorted({file for folder in folders for file in cache_files(folder)})
        self.snapshots, self.webhooks = snapshots, webhooks
        of_state = _write_journal.journal_folder()
        self.journals = [*sorted([*of_state.glob("*.sqlite"), *of_state.glob("*.ended")]), *journals]
        self.exports = export_files.listed_files(exports)
        organizations = set().union(*map(organizations_of_snapshot, snapshots))
        if len(organizations) > 1:
            raise QueryError(
                "The snapshots are of several organizations, in which an id means different people.",
                hint="Call it for those of one organization at a time.",
            )
        self.organization = next(iter(organizations), None)


class _Run:
    """One call: what was done so far, and what failed."""

    def __init__(self, person: Person, places: _Places, *, dry_run: bool) -> None:
        self._person = person
        self._places = places
        self._dry_run = dry_run
        self._lines: list[_Line] = []
        self._failures: dict[str, str] = {}

    def find_ids(self) -> None:
        """Ask all stores for the prospects that have the address."""
        person, places = self._person, self._places
        looks: list[tuple[Path, Callable[[], set[int]]]] = [
            *((path, partial(ids_in_snapshot, path, person)) for path in places.snapshots),
            *((path, partial(ids_in_deliveries, path, person)) for path in places.webhooks),
            *((path, partial(ids_in_cache, [path], person)) for path in places.caches),
            *((path, partial(export_files.ids_in_export, path, person)) for path in places.exports),
        ]
        ids: set[int] = set()
        for path, look in looks:
            try:
                ids |= look()
            except _FAILURES as error:
                self._fail(path.name, error)
        self._person = person.also(ids)

    def erase(self) -> None:
        """Have all stores erase the person."""
        person, dry_run = self._person, self._dry_run
        self._each("cache", self._places.caches, partial(erase_from_cache, person=person, dry_run=dry_run))
        self._each("snapshot", self._places.snapshots, partial(erase_from_snapshot, person=person, dry_run=dry_run))
        self._erase_deliveries()
        self._each("journal", self._places.journals, self._erased_entries)
        self._each(
            "export", self._places.exports, partial(export_files.erase_from_export, person=person, dry_run=dry_run)
        )

    def wait(self, is_done: Callable[[], pd.DataFrame], request: str) -> None:
        """Wait for Outreach, and erase what webhooks delivered meanwhile."""
        try:
            count = len(is_done())
        except OutreachError as error:
            self._fail(f"Outreach, request {request}", error)
        else:
            self._lines.append(_Line("outreach", request, count, 0, datetime.now(UTC)))
        self._erase_deliveries()

    def finish(self) -> pd.DataFrame:
        """Return the receipt, or raise `ErasureError` with it."""
        columns = zip(*self._lines, strict=True) if self._lines else [[] for _ in _RECEIPT_COLUMNS]
        receipt = pd.DataFrame(
            {
                name: pd.Series(list(values), dtype=pd.ArrowDtype(kind))
                for (name, kind), values in zip(_RECEIPT_COLUMNS.items(), columns, strict=True)
            }
        )
        receipt.attrs["outreach_frames"] = {"function": "forget", "dry_run": self._dry_run}
        if self._failures:
            raise ErasureError(
                f"The person may still be in: {', '.join(self._failures)}.",
                receipt=receipt,
                places=self._failures,
                hint="The error's places say why. Call it again when that is mended: it does what is left.",
            )
        return receipt

    def _erase_deliveries(self) -> None:
        erase = partial(erase_from_deliveries, person=self._person, dry_run=self._dry_run)
        self._each("webhooks", self._places.webhooks, erase)

    def _erased_entries(self, path: Path) -> Erased:
        organization = self._places.organization
        cells = _write_journal.erase_ids(path, self._person.id_texts, organization=organization, dry_run=self._dry_run)
        return Erased(path.name, cells=cells)

    def _each(self, store: str, paths: list[Path], erase: Callable[[Path], _StoreOutcome]) -> None:
        """Have the stores of one kind erase the person, and note what they did or why they could not."""
        for path in paths:
            try:
                done = erase(path)
                for each in [done] if isinstance(done, Erased | None) else done:
                    if isinstance(each, OutreachError):
                        self._fail(path.name, each)
                    elif each is not None:
                        when = None if self._dry_run else datetime.now(UTC)
                        self._lines.append(_Line(store, self._person.replaced(each.where), each.rows, each.cells, when))
            except _FAILURES as error:
                self._fail(path.name, error)

    def _fail(self, where: str, error: Exception) -> None:
        why = str(error.args[0]) if isinstance(error, OutreachError) else getattr(error, "strerror", None)
        name = self._person.replaced(where)
        self._failures[name] = self._person.replaced(why or getattr(error, "sqlite_errorname", None) or str(error))


def _paths(paths: StorePaths) -> list[Path]:
    return [Path(paths)] if isinstance(paths, str | Path) else [Path(each) for each in paths]
