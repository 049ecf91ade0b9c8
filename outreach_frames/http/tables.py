"""The SQL of the store: its tables, and each thing that is done with them. All of it may raise `sqlite3.Error`."""

import os
import sqlite3
from pathlib import Path
from typing import Any

FORMAT = 1
"""Changes whenever older files cannot be read any more; they are then emptied."""

PRAGMAS = (
    "PRAGMA trusted_schema = OFF",  # functions in a planted schema do not run
    "PRAGMA auto_vacuum = INCREMENTAL",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA secure_delete = ON",  # what is forgotten is overwritten, not only unlinked
)
SCHEMA = (
    "CREATE TABLE answers (key TEXT PRIMARY KEY, value BLOB NOT NULL, asked REAL NOT NULL, used REAL NOT NULL)",
    "CREATE INDEX answers_by_use ON answers (used)",
    "CREATE TABLE changes (changed REAL NOT NULL)",
    f"PRAGMA user_version = {FORMAT}",
)


def make_private(path: Path) -> None:
    """Make the file one that only its owner can read, before anything is in it."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        if path.is_symlink() or not path.is_file():
            raise
        path.chmod(0o600)


def prepare(connection: sqlite3.Connection) -> None:
    """Set a new connection up; make the tables where they are missing or of another format."""
    for pragma in PRAGMAS:
        connection.execute(pragma).fetchall()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == FORMAT:
        return
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    connection.execute("BEGIN IMMEDIATE")
    for statement in (*(f'DROP TABLE "{name}"' for (name,) in tables), *SCHEMA):
        connection.execute(statement)
    connection.execute("COMMIT")


def select(connection: sqlite3.Connection, key: str) -> tuple[bytes, float, float, float | None] | None:
    """Return value, when it was asked for, last use, and when a write last changed anything."""
    query = "SELECT value, asked, used, (SELECT max(changed) FROM changes) FROM answers WHERE key = ?"
    row: tuple[bytes, float, float, float | None] | None = connection.execute(query, (key,)).fetchone()
    return row


def insert(connection: sqlite3.Connection, row: tuple[str, bytes, float, float]) -> None:
    """Keep an answer in place of an earlier one."""
    connection.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)", row)


def keys(connection: sqlite3.Connection) -> list[str]:
    """Return all keys."""
    return [str(key) for (key,) in connection.execute("SELECT key FROM answers")]


def delete(connection: sqlite3.Connection, key: str) -> int:
    """Forget one answer; return whether there was one (1 or 0)."""
    return connection.execute("DELETE FROM answers WHERE key = ?", (key,)).rowcount


def delete_all(connection: sqlite3.Connection) -> None:
    """Forget every answer and give its space back."""
    connection.execute("DELETE FROM answers")
    connection.execute("DELETE FROM changes")
    connection.execute("PRAGMA incremental_vacuum").fetchall()


def checkpoint(connection: sqlite3.Connection) -> bool:
    """Write the log into the file and empty it, so that nothing forgotten stays in it; return whether that worked."""
    (is_busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not is_busy


def note_change(connection: sqlite3.Connection, now: float) -> None:
    """Note that a write may have changed what was answered before."""
    connection.execute("DELETE FROM changes WHERE changed < ?", (now,))
    connection.execute("INSERT INTO changes VALUES (?)", (now,))


def size(connection: sqlite3.Connection) -> int:
    """Return what is in use of the file [bytes]."""

    def pragma(name: str) -> Any:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]

    return int((pragma("page_count") - pragma("freelist_count")) * pragma("page_size"))
