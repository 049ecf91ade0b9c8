"""
The cache of responses: one SQLite file per account, its keys, and how responses are stored and deleted.

`ResponseStore` is a storage back end of requests-cache. The library's own SQLite storage is not used: in 1.3.3 its
writes loop without end on any operational error (a read-only file, a full disk, a transaction left open by an earlier
error), its commits drop such errors silently, threads read one connection without a lock, and it keeps no time of last
use.
"""

import hashlib
import html
import json
import re
import sqlite3
import struct
import threading
import time
import unicodedata
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlunsplit

import msgspec
import zstandard
from platformdirs import user_cache_path
from requests import PreparedRequest
from requests.structures import CaseInsensitiveDict
from requests_cache.backends.base import BaseStorage
from requests_cache.models.response import CachedResponse

from outreach_frames._files import file_lock, make_private, open_sqlite, private_folder
from outreach_frames._fork import OfOneProcess
from outreach_frames._http.messages import LARGEST_BODY, Request, Response, stored_headers
from outreach_frames._parsing import split_url
from outreach_frames._secrets import HiddenBytes
from outreach_frames.errors import CacheWarning, QueryError

SIZE_CAP = 2 << 30
"""Default size of a cache file [bytes]."""


def default_folder() -> Path:
    """Return the user's cache folder."""
    return user_cache_path("outreach_frames")


def fingerprint(base_url: str, account: str) -> str:
    """Name an account without telling who it is; used in file names and keys."""
    return hashlib.blake2b(f"{base_url}\n{account}".encode(), digest_size=16).hexdigest()


def http_folder(folder: Path) -> Path:
    """
    Make this package's own private folder below a folder, and return it.

    The folder itself may be shared (the home folder, ``/tmp``) and keeps its mode.
    """
    return private_folder(folder / "http")


_LEAD = struct.Struct(">II")
"""Checksum of all that follows it, and length of the header."""


class _Head(msgspec.Struct):
    """Status and headers, stored before a body."""

    status: int
    headers: dict[str, str]


def encode_response(response: CachedResponse) -> bytes:
    """Write a response as a small JSON header and a zstd frame; headers other than ``STORED_HEADERS`` are left out."""
    head = msgspec.json.encode(_Head(response.status_code, stored_headers(response.headers)))
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


def _select(connection: sqlite3.Connection, key: str) -> tuple[bytes, float, float, float | None] | None:
    """Return the value, when it was requested, its last use, and when a write last changed anything."""
    query = "SELECT value, asked, used, (SELECT max(changed) FROM changes) FROM answers WHERE key = ?"
    row: tuple[bytes, float, float, float | None] | None = connection.execute(query, (key,)).fetchone()
    return row


def _insert(connection: sqlite3.Connection, row: tuple[str, bytes, float, float]) -> None:
    """Keep an answer in place of an earlier one."""
    connection.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)", row)


def _keys(connection: sqlite3.Connection) -> list[str]:
    """Return all keys."""
    return [str(key) for (key,) in connection.execute("SELECT key FROM answers")]


def _delete(connection: sqlite3.Connection, key: str) -> int:
    """Forget one answer; return whether there was one (1 or 0)."""
    return connection.execute("DELETE FROM answers WHERE key = ?", (key,)).rowcount


def _delete_all(connection: sqlite3.Connection) -> None:
    """Forget every answer and give its space back."""
    connection.execute("DELETE FROM answers")
    connection.execute("DELETE FROM changes")
    connection.execute("PRAGMA incremental_vacuum").fetchall()


def _checkpoint(connection: sqlite3.Connection) -> bool:
    """Write the log into the file and empty it, so that nothing forgotten stays in it; return whether that worked."""
    (is_busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not is_busy


def _note_change(connection: sqlite3.Connection, now: float) -> None:
    """Note that a write may have changed what was answered before."""
    connection.execute("DELETE FROM changes WHERE changed < ?", (now,))
    connection.execute("INSERT INTO changes VALUES (?)", (now,))


def _size_in_use(connection: sqlite3.Connection) -> int:
    """Return what is in use of the file [bytes]."""

    def pragma(name: str) -> Any:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]

    return int((pragma("page_count") - pragma("freelist_count")) * pragma("page_size"))


_BUSY_TIMEOUT = 30.0
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
        """Begin with a lock that no thread holds."""
        self._lock = threading.RLock()

    def __getitem__(self, key: str) -> CachedResponse:
        row = self._run(lambda connection: _select(connection, key), None)
        if row is None:
            raise KeyError(key)
        value, requested_at, used, changed_at = row
        try:
            response = decode_response(value)
        except ValueError:
            self._run(lambda connection: _delete(connection, key), None)
            raise KeyError(key) from None
        self._note_use(key, used)
        response.expires = _LONG_AGO if self._is_stale(requested_at, changed_at) else None
        return response

    def __setitem__(self, key: str, response: CachedResponse) -> None:
        value = encode_response(response)
        row = (key, value, response.created_at.timestamp(), self._clock())
        self._run(lambda connection: _insert(connection, row), None)
        self._run(self._prune, None)

    def __delitem__(self, key: str) -> None:
        if not self._run(lambda connection: _delete(connection, key), 0):
            raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        nothing: list[str] = []
        return iter(self._run(_keys, nothing))

    def __len__(self) -> int:
        return self.info().answers

    def clear(self) -> None:
        """Forget everything, in the file and beside it."""
        self._run(_delete_all, None)
        self._end_forgetting()

    def forget(self, matches: Callable[[bytes], bool]) -> int:
        """Forget the answers whose body, unescaped, matches, and all that was set aside; return how many matched."""
        matching = [key for key in self if (body := self._body(key)) is not None and matches(unescaped(body))]
        for key in matching:
            self._run(lambda connection, key=key: _delete(connection, key), None)  # type: ignore[misc]
        self._end_forgetting()
        return len(matching)

    def invalidate(self) -> None:
        """Make every response that was requested until now expire: a write may have changed it."""
        now = self._clock()
        self._run(lambda connection: _note_change(connection, now), None)

    def info(self) -> CacheInfo:
        """Describe what is stored."""
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

    def _run(self, work: Callable[[sqlite3.Connection], Value], otherwise: Value) -> Value:
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
        with file_lock(self.path, timeout=_BUSY_TIMEOUT):
            make_private(self.path)
            self._inode = self.path.stat().st_ino
            connection = self._connection = open_sqlite(self.path, timeout=_BUSY_TIMEOUT, pragmas=_PRAGMAS)
            _prepare(connection)
        return connection

    def _set_aside(self) -> None:
        """Move a damaged file away, unless another process has already done so."""
        self.close()
        with suppress(OSError), file_lock(self.path, timeout=_BUSY_TIMEOUT):
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

    def _note_use(self, key: str, used: float) -> None:
        now = self._clock()
        if abs(now - used) >= _USE_RESOLUTION:
            statement = "UPDATE answers SET used = ? WHERE key = ?"
            self._run(lambda connection: connection.execute(statement, (now, key)), None)

    def _is_stale(self, requested_at: float, changed_at: float | None) -> bool:
        if changed_at is not None and requested_at <= changed_at:
            return True
        # After a clock was set back, responses seem to be from the future, and their age is unknown.
        return self._expire_after is not None and not 0 <= self._clock() - requested_at < self._expire_after

    def _body(self, key: str) -> bytes | None:
        response = self.get(key)
        return None if response is None else response.content

    def _beside(self, suffix: str, joint: str = ".") -> Path:
        return self.path.with_name(f"{self.path.name}{joint}{suffix}")


class Cache:
    """
    What has been answered already; a connection's ``cache``.

    Parameters
    ----------
    store
        Where responses are stored; ``None``: nowhere, every request is sent.
    owner
        Fingerprint of the account; part of every key, so that no account reads another's answers.
    """

    def __init__(self, store: ResponseStore | None, owner: str) -> None:
        self._store = store
        self._owner = owner

    @classmethod
    def of_account(
        cls,
        owner: str,
        folder: Path,
        *,
        clock: Callable[[], float],
        expire_after: float | None,
        size_cap: int,
    ) -> "Cache":
        path = folder / f"{owner}.sqlite"
        return cls(ResponseStore(path, clock=clock, expire_after=expire_after, size_cap=size_cap), owner)

    @property
    def is_enabled(self) -> bool:
        """Whether responses are stored."""
        return self._store is not None

    def key(self, request: PreparedRequest) -> str:
        """
        Name a question: account, method and URL.

        Escaping and the order of different parameters make no difference; empty values do, as ``fields[user]=`` asks
        for no fields where a missing one asks for all. requests-cache's own key drops them.
        """
        parts = split_url(request.url or "")
        pairs = sorted(parse_qsl(parts.query, keep_blank_values=True), key=lambda pair: pair[0])
        url = urlunsplit((parts.scheme.lower(), parts.netloc.lower(), parts.path, urlencode(pairs), ""))
        return hashlib.blake2b(f"{self._owner}\n{request.method}\n{url}".encode(), digest_size=20).hexdigest()

    def read(self, request: Request, *, stale: bool = False) -> Response | None:
        """
        Return the stored response to a request; ``None`` if there is none, or it is expired.

        Parameters
        ----------
        stale
            Return it even if it is expired.
        """
        if self._store is None or request.key is None:
            return None
        stored = self._store.get(request.key)
        if stored is None or (stored.is_expired and not stale):
            return None
        headers = MappingProxyType(dict(stored.headers))
        return Response(stored.status_code, headers, stored.content, request.url or "", from_cache=True)

    def store(self, request: Request, response: Response) -> None:
        """Store a response in place of an earlier one; only those with status 200 are stored."""
        if self._store is not None and request.key is not None and response.status == HTTPStatus.OK:
            self._store[request.key] = CachedResponse(
                status_code=response.status,
                headers=CaseInsensitiveDict(response.headers),
                content=response.body,
                created_at=datetime.fromtimestamp(response.requested_at, UTC),
            )

    def clear(self, *, all_accounts: bool = False) -> None:
        """
        Forget every answer of this account.

        Parameters
        ----------
        all_accounts
            For every account with a cache in the same folder, earlier tokens of the same user among them.
        """
        for store in self._stores() if all_accounts else self._own():
            store.clear()

    def forget(self, matches: Callable[[bytes], bool] | str) -> int:
        """
        Delete the responses that contain a text, for every account with a cache in the same folder.

        A damaged file that was set aside goes as a whole.

        Parameters
        ----------
        matches
            A name or an address, in any spelling; or a test that is called with each body, its JSON escapes
            resolved (true: forget it).

        Returns
        -------
        forgotten : int
            Number of deleted responses; they are no longer on the disk.

        Raises
        ------
        QueryError
            The text is empty: it would match everything.
        """
        if isinstance(matches, str):
            if not matches.strip():
                raise QueryError("There is no text to look for.", hint="Use clear() to forget everything.")
            matches = partial(contains_text, text=matches.strip())
        return sum(store.forget(matches) for store in self._stores())

    def _own(self) -> list[ResponseStore]:
        return [] if self._store is None else [self._store]

    def _stores(self) -> Iterator[ResponseStore]:
        """Yield this account's answers, and those of the others in its folder; these are closed again."""
        for own in self._own():
            yield own
            yield from _stores_in(own.path.parent, but=own.path)

    def invalidate(self) -> None:
        """Ask again for everything that was answered until now."""
        if self._store is not None:
            self._store.invalidate()

    def info(self) -> CacheInfo:
        """Describe what is stored, and where."""
        return CacheInfo(None) if self._store is None else self._store.info()

    def close(self) -> None:
        """Close the file."""
        if self._store is not None:
            self._store.close()


def clear_all(folder: Path | None = None) -> None:
    """Forget every answer of every account, by default in the user's cache folder."""
    for store in _stores_in((folder or default_folder()) / "http"):
        store.clear()


def remove_account(base_url: str, account: str, folder: Path | None = None) -> None:
    """Remove the files of an account that has ended, by default from the user's cache folder."""
    own = (folder or default_folder()) / "http"
    owner = fingerprint(base_url.rstrip("/"), account)
    for store in _stores_in(own):
        if store.path.stem == owner:
            store.clear()
    for path in own.glob(f"{owner}.*"):
        path.unlink(missing_ok=True)


def _stores_in(folder: Path, *, but: Path | None = None) -> Iterator[ResponseStore]:
    """Yield the answers of every account in a folder, one after another; what was set aside counts too."""
    names = {f"{path.name.partition('.sqlite')[0]}.sqlite" for path in folder.glob("*.sqlite*")}
    for path in sorted(folder / name for name in names):
        if path != but:
            with closing(ResponseStore(path, clock=time.time, expire_after=None, size_cap=SIZE_CAP)) as store:
                yield store


_ESCAPES = re.compile(rb"\\u[0-9a-fA-F]{4}(?:\\u[0-9a-fA-F]{4})*|\\.")


def unescaped(body: bytes) -> bytes:
    r"""Return a JSON text with its escapes resolved: ``J\u00f6rg`` as ``Jörg`` in UTF-8."""
    return _ESCAPES.sub(_character, body)


def contains_text(body: bytes, text: str) -> bool:
    """Return whether a body contains a text in any case, composition or spelling: JSON's, HTML's or a URL's."""
    plain, text = unescaped(body).decode(errors="replace"), _folded(text)
    return any(text in _folded(spelled) for spelled in (plain, html.unescape(plain), unquote_plus(plain)))


def _character(escape: re.Match[bytes]) -> bytes:
    try:
        return str(json.loads(b'"' + escape[0] + b'"')).encode(errors="replace")
    except ValueError:
        return escape[0]


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
