"""
Erase a person from a store of deliveries.

A delivery of the person's own record is removed. In others the address and the links to the person are replaced; they
keep their digests, by which the same delivery is recognized if it comes again.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from outreach_frames._files import compact_sqlite, open_sqlite
from outreach_frames._person import Erased, Person, json_document_of
from outreach_frames.webhooks.store import as_store

_ROWS = 1_000
"""Deliveries that are looked at together [rows]."""

_LOCK_WAIT_S = 30.0
"""How long a receiver that writes is waited for [s]."""


def ids_in_deliveries(path: Path, person: Person) -> set[int]:
    """
    Return the ids of the prospects that deliveries show with the address.

    Raises
    ------
    FileNotFoundError, DocumentError
        There is no such file, or it is no store of deliveries.
    """
    with _opened(path, read_only=True) as connection:
        documents = [document for _, _, document, is_in in _deliveries(connection, person) if is_in]
    return {id_ for document in documents for id_ in person.ids_in(document)}


def erase_from_deliveries(path: Path, person: Person, *, dry_run: bool) -> Erased:
    """
    Erase the person from a store, for good: nothing stays in free pages or the log.

    Raises
    ------
    FileNotFoundError, DocumentError, OSError
        There is no such file, it is no store of deliveries, or another program uses it: the person may still be in it.
    """
    with _opened(path, read_only=dry_run) as connection:
        erasure = _Erasure(person)
        erasure.look(connection)
        if not dry_run:
            connection.execute("begin immediate")
            erasure.look(connection)  # what came in meanwhile; the receiver waits for this alone
            connection.executemany("delete from delivery where number = ?", erasure.removed)
            connection.executemany("update delivery set body = ? where number = ?", erasure.changed)
            connection.execute("commit")
            compact_sqlite(connection)
    return Erased(path.name, rows=len(erasure.removed), cells=erasure.cells)


class _Erasure:
    """
    What is to become of the deliveries of a store.

    Attributes
    ----------
    removed
        Numbers of those that go.
    changed
        Bodies and numbers of those that stay without the person.
    cells
        How many values of these are replaced.
    """

    def __init__(self, person: Person) -> None:
        self._person = person
        self._last = 0
        self.removed: list[tuple[int]] = []
        self.changed: list[tuple[bytes, int]] = []
        self.cells = 0

    def look(self, connection: sqlite3.Connection) -> None:
        """Look at the deliveries that came after the last one that was looked at."""
        person = self._person
        for number, body, document, is_in in _deliveries(connection, person, after=self._last):
            self._last = number
            if person.is_owner(document.get("data")) if isinstance(document, dict) else is_in:
                self.removed.append((number,))
            elif is_in or person.is_named(document):
                content, replaced = _without_person(document, person)
                if content is None:
                    self.removed.append((number,))
                elif content != body:
                    self.changed.append((content, number))
                    self.cells += replaced


@contextmanager
def _opened(path: Path, *, read_only: bool) -> Iterator[sqlite3.Connection]:
    """Open a store that is there, and close it."""
    if not path.is_file():
        raise FileNotFoundError(f"There is no store of deliveries at {path.name}.")
    pragmas = () if read_only else ("pragma secure_delete = on", "pragma synchronous = full")
    with (
        as_store(path),
        closing(open_sqlite(path, timeout=_LOCK_WAIT_S, read_only=read_only, pragmas=pragmas)) as connection,
    ):
        yield connection


def _deliveries(
    connection: sqlite3.Connection, person: Person, *, after: int = 0
) -> Iterator[tuple[int, bytes, Any, bool]]:
    """Yield the number of each delivery, its body, the document in it, and whether it has the address."""
    rows = connection.execute("select number, body from delivery where number > ? order by number", (after,))
    while part := rows.fetchmany(_ROWS):
        bodies = [body.encode() if isinstance(body, str) else body for _, body in part]
        places = {*person.mentions(pa.array(bodies, pa.binary()))}
        for place, (number, _) in enumerate(part):
            yield number, bodies[place], json_document_of(bodies[place]), place in places


def _without_person(document: Any, person: Person) -> tuple[bytes | None, int]:
    """Return a body without the person, and how many values were replaced; ``None`` where that cannot be written."""
    try:
        rest, count = person.without(document)
        content = msgspec.json.encode(rest)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None, 0
    return (None, 0) if person.is_in(content) or rest is None else (content, count)
