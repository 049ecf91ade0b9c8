"""
Cached responses in an SQLite file, one file per account, and the form in which each is stored.

This is a storage back end for requests-cache. The library's own SQLite storage is not used: in 1.3.3 its writes loop
without end on any operational error (a read-only file, a full disk, a transaction left open by an earlier error), its
commits drop such errors silently, threads read one connection without a lock, and it keeps no time of last use.
"""

import sqlite3
import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import zstandard
from requests_cache.backends.base import BaseStorage
from requests_cache.models.response import CachedResponse

from outreach_frames._files import file_lock, make_private, open_sqlite
from outreach_frames._fork import OfOneProcess
from outreach_frames._http.errors import KEPT_HEADERS, LARGEST_BODY
from outreach_frames._http.mentions import unescaped
from outreach_frames._secrets import HiddenBytes
from outreach_frames.errors import CacheWarning

_LEAD = struct.Struct(">II")
"""Checksum of all that follows it, and length of the header."""


class _Head(msgspec.Struct):
    """What is kept beside a body."""

    status: int
    headers: dict[str, str]


def encode_response(response: CachedResponse) -> bytes:
    """Write a response as a small JSON header and a zstd frame; headers but ``KEPT_HEADERS`` are left out."""
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    head = msgspec.json.encode(_Head(response.status_code, headers))
    rest = head + zstandard.ZstdCompressor(level=1).compress(response.content)
    return _LEAD.pack(_checksum(len(head), rest), len(head)) + rest


def decode_response(value: bytes) -> CachedResponse:
    """
    Read a response back.

    Raises
    ------
    ValueError
        The bytes are damaged or were not written by `encode_response`.
    """
    try:
        checksum, length = _LEAD.unpack_from(value)
        rest = value[_LEAD.size :]
        if checksum != _checksum(length, rest):
            raise ValueError("A stored answer is damaged.")
        head = msgspec.json.decode(rest[:length], type=_Head)
        frame = rest[length:]
        if not 0 <= zstandard.frame_content_size(frame) <= LARGEST_BODY:
            raise ValueError("A stored body has no plausible size.")
        body = HiddenBytes(zstandard.ZstdDecompressor().decompress(frame))
    except (struct.error, TypeError, RecursionError, msgspec.MsgspecError, zstandard.ZstdError) as error:
        raise ValueError("A stored answer cannot be read.") from error
    response = CachedResponse(status_code=head.status, content=body)
    response.headers.update(head.headers)
    return response


def _checksum(length: int, rest: bytes) -> int:
    """Cover the header too: one flipped bit in a frame's own header makes zstd return an empty body."""
    return zlib.crc32(rest, length)


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


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables where they are missing or of another format."""
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


BUSY_TIMEOUT = 30.0
"""How long another process that writes is waited for [s]."""
USE_RESOLUTION = 60.0
"""A use is noted if the last one noted is older than this, so that reading hardly ever writes [s]."""
PRUNE_TO = 0.9
"""Share of the size cap that is left after pruning."""

ASKED_AT = "X-Asked-At"
"""Header under which the transport notes when it asked [seconds since 1970]."""

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

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """
    What a cache holds.

    Attributes
    ----------
    path
        Its file; ``None`` where there is no cache.
    answers
        Number of answers kept.
    size
        Their size on disk, compressed [bytes].
    oldest, newest
        When the earliest and the latest of them was asked for [seconds since 1970]; ``None`` if there are none.
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
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], float],
        expire_after: float | None,
        size_cap: int,
    ) -> None:
        super().__init__()
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
        """Begin with a lock that nobody holds."""
        self._lock = threading.RLock()

    def __getitem__(self, key: str) -> CachedResponse:
        row = self._run(lambda connection: select(connection, key), None)
        if row is None:
            raise KeyError(key)
        value, asked, used, changed = row
        try:
            response = decode_response(value)
        except ValueError:
            self._run(lambda connection: delete(connection, key), None)
            raise KeyError(key) from None
        self._note_use(key, used)
        response.expires = _LONG_AGO if self._is_stale(asked, changed) else None
        return response

    def __setitem__(self, key: str, response: CachedResponse) -> None:
        value = encode_response(response)
        asked = float(response.headers.get(ASKED_AT) or self._clock())
        row = (key, value, asked, self._clock())
        self._run(lambda connection: insert(connection, row), None)
        self._run(self._prune, None)

    def __delitem__(self, key: str) -> None:
        if not self._run(lambda connection: delete(connection, key), 0):
            raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        nothing: list[str] = []
        return iter(self._run(keys, nothing))

    def __len__(self) -> int:
        return self.info().answers

    def clear(self) -> None:
        """Forget everything, in the file and beside it."""
        self._run(delete_all, None)
        self._end_forgetting()

    def forget(self, matches: Callable[[bytes], bool]) -> int:
        """Forget the answers whose body, unescaped, matches, and all that was set aside; return how many matched."""
        found = [key for key in self if (body := self._body(key)) is not None and matches(unescaped(body))]
        for key in found:
            self._run(lambda connection, key=key: delete(connection, key), None)  # type: ignore[misc]
        self._end_forgetting()
        return len(found)

    def invalidate(self) -> None:
        """Count every answer that was asked for until now as expired: a write may have changed it."""
        now = self._clock()
        self._run(lambda connection: note_change(connection, now), None)

    def info(self) -> CacheInfo:
        """Tell what is kept."""
        query = "SELECT count(*), coalesce(sum(length(value)), 0), min(asked), max(asked) FROM answers"
        row = self._run(lambda connection: connection.execute(query).fetchone(), (0, 0, None, None))
        return CacheInfo(self.path, *row)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None:
                with suppress(sqlite3.Error):
                    self._connection.close()
            self._connection = None

    def _run(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """Do something with the file; where it is damaged or unusable, warn and go on without an answer."""
        with self._lock:
            try:
                return work(self._open())
            except sqlite3.Error as error:
                if getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE in _DAMAGED:
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
            connection = self._connection = open_sqlite(self.path, timeout=BUSY_TIMEOUT, pragmas=PRAGMAS)
            prepare(connection)
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
        if not self._run(checkpoint, True):
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
        if size(connection) <= self._size_cap:
            return
        while size(connection) > PRUNE_TO * self._size_cap:
            dropped = connection.execute(
                "DELETE FROM answers WHERE key IN (SELECT key FROM answers ORDER BY used LIMIT"
                " (SELECT 1 + count(*) / 20 FROM answers))"
            ).rowcount
            if not dropped:
                break
        connection.execute("PRAGMA incremental_vacuum").fetchall()

    def _note_use(self, key: str, used: float) -> None:
        now = self._clock()
        if abs(now - used) >= USE_RESOLUTION:
            statement = "UPDATE answers SET used = ? WHERE key = ?"
            self._run(lambda connection: connection.execute(statement, (now, key)), None)

    def _is_stale(self, asked: float, changed: float | None) -> bool:
        if changed is not None and asked <= changed:
            return True
        # A clock that was set back makes answers of the future, whose age nobody knows.
        return self._expire_after is not None and not 0 <= self._clock() - asked < self._expire_after

    def _body(self, key: str) -> bytes | None:
        response = self.get(key)
        return None if response is None else response.content

    def _beside(self, suffix: str, joint: str = ".") -> Path:
        return self.path.with_name(f"{self.path.name}{joint}{suffix}")
