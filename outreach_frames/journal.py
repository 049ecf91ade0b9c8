"""
The journal of a bulk write: which rows were sent, and what became of them.

Outreach has no idempotency key, so a row is noted as under way before it is sent and as done after the answer. A row
that is under way when a new run begins may or may not have been carried out: only a look at the organisation can tell.
The journal holds digests and ids, never a value of a row.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from outreach_frames.errors import QueryError

State = Literal["under way", "created"]


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

    Notes
    -----
    Every note is on the disk when `note` returns.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        self.path = path
        try:
            with self._connection() as connection:
                connection.execute(
                    "create table if not exists entry (digest text primary key, state text not null, id text)"
                )
        except sqlite3.DatabaseError as error:
            raise QueryError(f"{path.name} is no journal.", hint="Name a file of its own for it.") from error

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
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("pragma synchronous = full")
            yield connection
