"""
The file of a cache: responses by key in SQLite, private to their owner, dropped by time of last use.

`ResponseStore` is a storage back end of requests-cache. The library's own SQLite storage is not used: in 1.3.3 its
writes loop without end on any operational error (a read-only file, a full disk, a transaction left open by an earlier
error), its commits drop such errors silently, threads read one connection without a lock, and it keeps no time of last
use.
"""

import json
import sqlite3
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from requests_cache.backends.base import BaseStorage
from requests_cache.models.response import CachedResponse
from requests_cache.serializers import SerializerPipeline

from outreach_frames._files import compact_sqlite, file_lock, make_private, open_sqlite
from outreach_frames._fork import OfOneProcess
from outreach_frames.errors import CacheWarning

_FORMAT = 1
"""Changes whenever older files cannot be read any more; they are then emptied."""

_PRAGMAS = (
    "PRAGMA trusted_schema = OFF",  # functions in a planted schema do not run
    "PRAGMA auto_vacuum = INCREMENTAL",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA secure_delete = ON",  # what is forgotten is overwritten, not only unlinked
)
_SCHEMA = (
    "CREATE TABLE answers (key TEXT PRIMARY KEY, value BLOB NOT NULL, asked REAL NOT NULL, used REAL NOT NULL)",
    "CREATE INDEX answers_by_use ON answers (used)",
    "CREATE TABLE changes (changed REAL NOT NULL)",
    f"PRAGMA user_version = {_FORMAT}",
)


_NOT_FORGOTTEN = "what was to be forgotten is still in it. Forget it again when no other program uses it."
_STALE = "answers from before the last write are still in it. Read with refresh=True, or clear it."


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the tables where they are missing or of another format."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == _FORMAT:
        return
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    connection.execute("BEGIN IMMEDIATE")
    for statement in (*(f'DROP TABLE "{name}"' for (name,) in tables), *_SCHEMA):
        connection.execute(statement)
    connection.execute("COMMIT")


def _checkpoint(connection: sqlite3.Connection) -> bool:
    """Write the log into the file and empty it, so that nothing forgotten stays in it; return whether that worked."""
    (is_busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not is_busy


def _size_in_use(connection: sqlite3.Connection) -> int:
    """Return what is in use of the file [bytes]."""

    def pragma(name: str) -> Any:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]

    return int((pragma("page_count") - pragma("freelist_count")) * pragma("page_size"))


BUSY_TIMEOUT = 30.0
"""How long another process that writes is waited for [s]."""
_USE_RESOLUTION = 60.0
"""A use is noted if the last one noted is older than this, so that reading hardly ever writes [s]."""
_PRUNE_TO = 0.9
"""Share of the size cap that is left after pruning."""

_DAMAGED = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_ERROR,  # a table or column is not what it should be
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_AUTH,
}
_PRIMARY_CODE = 0xFF
_LONG_AGO = datetime.fromtimestamp(0, UTC)

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """
    What a cache holds.

    Attributes
    ----------
    path
        Its file; ``None`` where there is no cache.
    answers
        Number of stored responses.
    size
        Their size on disk, compressed [bytes].
    oldest, newest
        When the earliest and the latest of them was requested [seconds since 1970]; ``None`` if there are none.
    """

    path: Path | None
    answers: int = 0
    size: int = 0
    oldest: float | None = None
    newest: float | None = None


class ResponseStore(BaseStorage[str, CachedResponse], OfOneProcess):
    """
    Answers by key, in a file that only its owner can read.

    Parameters
    ----------
    path
        The file; its folder must exist.
    clock
        Wall clock [seconds since 1970].
    expire_after
        Age from which an answer counts as expired [s]; ``None``: never. It is judged when an answer is read, so a
        shorter one takes effect at once.
    size_cap
        Size at which answers that were not used for longest are dropped [bytes].
    serializer
        Writes a response as bytes (``dumps``), and reads it back or raises `ValueError` (``loads``).
    """

    serializer: SerializerPipeline

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], float],
        expire_after: float | None,
        size_cap: int,
        serializer: Any,
    ) -> None:
        super().__init__(serializer)
        self.path = path
        self._clock = clock
        self._expire_after = expire_after
        self._size_cap = size_cap
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._warned = False
        self.follow_forks()

    def before_fork(self) -> None:
        """Close the file: SQLite forbids to carry it across, even unused, and a child would count on its locks."""
        self._lock.acquire()
        self.close()

    def after_fork_in_parent(self) -> None:
        """Let the other threads go on; the next use opens the file again."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Begin with a lock that no thread holds."""
        self._lock = threading.RLock()

    def __getitem__(self, key: str) -> CachedResponse:
        query = "SELECT value, asked, used, (SELECT max(changed) FROM changes) FROM answers WHERE key = ?"
        rows = self._rows(query, key)
        if not rows:
            raise KeyError(key)
        value, requested_at, used, changed_at = rows[0]
        try:
            response: CachedResponse = self.serializer.loads(value)
        except ValueError:
            del self[key]
            raise KeyError(key) from None
        now = self._clock()
        if abs(now - used) >= _USE_RESOLUTION:
            self._rows("UPDATE answers SET used = ? WHERE key = ?", now, key)
        response.expires = _LONG_AGO if self._is_stale(requested_at, changed_at) else None
        return response

    def __setitem__(self, key: str, response: CachedResponse) -> None:
        row = (key, self.serializer.dumps(response), response.created_at.timestamp(), self._clock())
        self._rows("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)", *row)
        self._run(self._prune, None)

    def __delitem__(self, key: str) -> None:
        if not self._rows("DELETE FROM answers WHERE key = ? RETURNING key", key):
            raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter([key for (key,) in self._rows("SELECT key FROM answers")])

    def __len__(self) -> int:
        return self.info().answers

    def clear(self) -> None:
        """Forget everything, in the file and beside it."""
        if self._change("DELETE FROM answers RETURNING key", warning=_NOT_FORGOTTEN) is not None:
            for statement in ("DELETE FROM changes", "PRAGMA incremental_vacuum"):
                self._rows(statement)
        self._end_forgetting()

    def forget(self, matches: Callable[[bytes], bool]) -> int:
        """Forget the responses whose body matches, and all that was set aside; return how many are gone."""
        matching = [key for key in self if (response := self.get(key)) is not None and matches(response.content)]
        deleted = self._change(
            "DELETE FROM answers WHERE key IN (SELECT value FROM json_each(?)) RETURNING key",
            json.dumps(matching),
            warning=_NOT_FORGOTTEN,
        )
        self._end_forgetting()
        return len(deleted or ())

    def invalidate(self) -> None:
        """Make every response that was requested until now expire: a write may have changed it."""
        now = self._clock()
        self._rows("DELETE FROM changes WHERE changed < ?", now)
        self._change("INSERT INTO changes VALUES (?)", now, warning=_STALE)

    def info(self) -> CacheInfo:
        """Describe what is stored."""
        rows = self._rows("SELECT count(*), coalesce(sum(length(value)), 0), min(asked), max(asked) FROM answers")
        return CacheInfo(self.path, *rows[0]) if rows else CacheInfo(self.path)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None:
                with suppress(sqlite3.Error):
                    self._connection.close()
            self._connection = None

    def _rows(self, statement: str, *values: object) -> list[Any]:
        """Run a statement; return its rows, none where the file cannot be used."""
        nothing: list[Any] = []
        return self._run(lambda connection: connection.execute(statement, values).fetchall(), nothing)

    def _change(self, statement: str, *values: object, warning: str) -> list[Any] | None:
        """Run a statement that takes answers away; where the file cannot be written, warn each time: they stay."""
        nothing: list[Any] | None = None
        for _ in range(2):  # the first attempt sets a damaged file aside
            rows = self._run(lambda connection: connection.execute(statement, values).fetchall(), nothing)
            if rows is not None:
                return rows
        warnings.warn(f"The cache cannot be written: {warning}", CacheWarning, stacklevel=2)
        return None

    def _run(self, work: Callable[[sqlite3.Connection], Value], otherwise: Value) -> Value:
        """Do something with the file; where it is damaged or unusable, warn and go on without an answer."""
        with self._lock:
            try:
                return work(self._open())
            except sqlite3.Error as error:
                if is_damage(error):
                    self._set_aside()
                else:
                    self._warn_once(f"The cache cannot be used ({error.sqlite_errorname}).")
            except OSError as error:
                self._warn_once(f"The cache cannot be used ({type(error).__name__}).")
            return otherwise

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None:
            return self._connection
        with file_lock(self.path, timeout=BUSY_TIMEOUT):
            make_private(self.path)
            self._inode = self.path.stat().st_ino
            connection = self._connection = open_sqlite(self.path, timeout=BUSY_TIMEOUT, pragmas=_PRAGMAS)
            _prepare(connection)
        return connection

    def _set_aside(self) -> None:
        """Move a damaged file away, unless another process has already done so."""
        self.close()
        with suppress(OSError), file_lock(self.path, timeout=BUSY_TIMEOUT):
            if self.path.stat().st_ino == self._inode:
                self._beside("wal", "-").unlink(missing_ok=True)
                self._beside("shm", "-").unlink(missing_ok=True)
                self.path.replace(self._beside("damaged"))
        warnings.warn(
            f"The cache file {self.path.name} was damaged and was set aside; answers are asked for again.",
            CacheWarning,
            stacklevel=2,
        )

    def _end_forgetting(self) -> None:
        """Empty the log, and delete what was set aside: answers can still be read from either."""
        if not self._run(_checkpoint, True):
            warnings.warn(
                "Another program is reading the cache: its log still holds what was forgotten. Forget it again when "
                "that has ended.",
                CacheWarning,
                stacklevel=2,
            )
        for suffix in ("damaged", "damaged-wal"):
            self._beside(suffix).unlink(missing_ok=True)

    def _warn_once(self, message: str) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(f"{message} Requests go on without it.", CacheWarning, stacklevel=2)

    def _prune(self, connection: sqlite3.Connection) -> None:
        if _size_in_use(connection) <= self._size_cap:
            return
        while _size_in_use(connection) > _PRUNE_TO * self._size_cap:
            dropped = connection.execute(
                "DELETE FROM answers WHERE key IN (SELECT key FROM answers ORDER BY used LIMIT"
                " (SELECT 1 + count(*) / 20 FROM answers))"
            ).rowcount
            if not dropped:
                break
        connection.execute("PRAGMA incremental_vacuum").fetchall()

    def _is_stale(self, requested_at: float, changed_at: float | None) -> bool:
        if changed_at is not None and requested_at <= changed_at:
            return True
        # After a clock was set back, responses seem to be from the future, and their age is unknown.
        return self._expire_after is not None and not 0 <= self._clock() - requested_at < self._expire_after

    def _beside(self, suffix: str, joint: str = ".") -> Path:
        return self.path.with_name(f"{self.path.name}{joint}{suffix}")


def stored_values(path: Path) -> Iterator[tuple[str, bytes]]:
    """
    Yield the key and the value of each response in a file, which is not written.

    Raises
    ------
    sqlite3.Error, OSError
        The file cannot be read, or has another format.
    """
    with closing(open_sqlite(path, timeout=BUSY_TIMEOUT, read_only=True)) as connection:
        yield from _values(connection)


def erase_values(path: Path, is_erased: Callable[[bytes], bool], *, dry_run: bool) -> int:
    """
    Delete responses for good, and return how many: nothing of them stays in the file or in its log.

    No other program writes while they are looked for, so that none comes in unseen.

    Parameters
    ----------
    is_erased
        Tells by its stored value whether a response is to go.
    dry_run
        Change nothing.

    Raises
    ------
    sqlite3.Error, OSError
        The file cannot be written, has another format, or another program reads it.
    """
    if dry_run:
        return sum(is_erased(value) for _, value in stored_values(path))
    with closing(open_sqlite(path, timeout=BUSY_TIMEOUT, pragmas=_PRAGMAS)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        keys = [key for key, value in _values(connection) if is_erased(value)]
        connection.execute("DELETE FROM answers WHERE key IN (SELECT value FROM json_each(?))", (json.dumps(keys),))
        connection.execute("COMMIT")
        compact_sqlite(connection)
    return len(keys)


def _values(connection: sqlite3.Connection) -> Iterator[tuple[str, bytes]]:
    if connection.execute("PRAGMA user_version").fetchone() != (_FORMAT,):
        raise sqlite3.NotSupportedError("another format")
    yield from connection.execute("SELECT key, value FROM answers")


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error says that a file is no cache that can be read, rather than that it cannot be used now."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, sqlite3.NotSupportedError) if code is None else code & _PRIMARY_CODE in _DAMAGED
