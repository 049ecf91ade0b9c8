"""
The journal of a bulk write: which rows were sent, and what became of them.

Outreach has no idempotency key, so a row is noted as under way before it is sent and as done after the answer. A row
that is under way when a new run begins may or may not have been carried out: only a look at the organization can tell.
The journal holds digests and ids, never a value of a row. It belongs to the organization and the user that it was begun
for, and to one call at a time: its lock file stands in the same folder.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import Timeout

from outreach_frames._files import PRIVATE_FOLDER, file_lock, open_sqlite
from outreach_frames.errors import JournalError, QueryError

State = Literal["under way", "created"]

_SCHEMA_SQL = """
    create table if not exists entry (digest text primary key, state text not null, id text);
    create table if not exists owner (organization text not null, user text not null);
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """
    What became of one row.

    Attributes
    ----------
    state
        ``"under way"``: sent, or about to be, with no answer noted.
    id
        The record, as text; ``None`` where it is not known.
    """

    state: State
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom a journal belongs to: fingerprints of an organization and a user."""

    organization: str
    user: str


class Journal:
    """
    One journal file.

    Parameters
    ----------
    path
        The file; made, readable for its owner only, if it is not there.

    Raises
    ------
    QueryError
        The file is something else.
    JournalError
        It cannot be read or written; so do the methods.

    Notes
    -----
    Every note is on the disk when `note` returns.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with _errors_of(path):
            path.parent.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
            with self._connection() as connection:
                connection.executescript(_SCHEMA_SQL)

    def owner(self) -> Owner | None:
        """Return the owner; ``None`` for a new journal, and for one of a version that did not store it."""
        with self._connection() as connection:
            row = connection.execute("select organization, user from owner").fetchone()
            return row and Owner(*row)

    def belong_to(self, owner: Owner) -> None:
        """Store the owner."""
        with self._connection() as connection:
            connection.execute("insert into owner values (?, ?)", (owner.organization, owner.user))

    def entries(self) -> Mapping[str, Entry]:
        """Return what is noted, by the digest of the row."""
        with self._connection() as connection:
            rows = connection.execute("select digest, state, id from entry")
            return {digest: Entry(state, record) for digest, state, record in rows}

    def note(self, digest: str, entry: Entry) -> None:
        """Note what became of a row."""
        with self._connection() as connection:
            connection.execute("insert or replace into entry values (?, ?, ?)", (digest, entry.state, entry.id))

    def forget(self, digest: str) -> None:
        """Note that a row was certainly not carried out."""
        with self._connection() as connection:
            connection.execute("delete from entry where digest = ?", (digest,))

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with _errors_of(self.path):
            opened = open_sqlite(self.path, autocommit=False, pragmas=["pragma synchronous = full"])
            with closing(opened) as connection, connection:
                yield connection


@contextmanager
def alone(path: Path, message: str) -> Iterator[None]:
    """
    Hold the lock beside a path; its folder is made if it is not there.

    Raises
    ------
    QueryError
        Another process or thread holds it; `message` says what that one does.
    JournalError
        The file cannot be made.
    """
    lock = file_lock(path, timeout=0)
    with _errors_of(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
        try:
            lock.acquire()
        except Timeout:
            raise QueryError(message, hint="Wait until it has ended.") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
            raise QueryError(
                f"{path.name} is no journal of a bulk write.", hint="Name another file, or one that does not exist."
            ) from error
        why = getattr(error, "sqlite_errorname", None) or getattr(error, "strerror", None) or type(error).__name__
        raise JournalError(
            f"The journal {path.name} cannot be read or written ({why}).",
            hint="Look at the disk and the folder; the same call then goes on.",
        ) from error
