"""
The cache of responses: one file per account, its keys, and how responses are stored and deleted.

`session` asks it, and `cache_file` decides whether a stored response is fresh.
"""

import hashlib
import html
import json
import re
import struct
import time
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit, urlunsplit

import msgspec
import zstandard
from platformdirs import user_cache_path
from requests import PreparedRequest
from requests.structures import CaseInsensitiveDict
from requests_cache.models.response import CachedResponse

from outreach_frames._files import private_folder
from outreach_frames._http.cache_file import CacheInfo, ResponseStore
from outreach_frames._http.messages import LARGEST_BODY, Request, Response, stored_headers
from outreach_frames._secrets import HiddenBytes
from outreach_frames.errors import QueryError

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


_head = msgspec.json.Decoder(_Head)


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
        head = _head.decode(rest[:length])
        frame = rest[length:]
        if not 0 <= zstandard.frame_content_size(frame) <= LARGEST_BODY:
            raise ValueError("A stored body has no plausible size.")
        body = HiddenBytes(zstandard.ZstdDecompressor().decompress(frame))
    except (struct.error, TypeError, RecursionError, msgspec.MsgspecError, zstandard.ZstdError) as error:
        raise ValueError("A stored answer cannot be read.") from error
    response = CachedResponse(status_code=head.status, content=body)
    response.headers.update(head.headers)
    return response


class _Serializer:
    """What requests-cache calls a serializer: never pickle, which runs code that was planted in the file."""

    dumps = staticmethod(encode_response)
    loads = staticmethod(decode_response)


def _checksum(length: int, rest: bytes) -> int:
    """Cover the header too: one flipped bit in a frame's own header makes zstd return an empty body."""
    return zlib.crc32(rest, length)


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
        store = ResponseStore(path, clock=clock, expire_after=expire_after, size_cap=size_cap, serializer=_Serializer())
        return cls(store, owner)

    @property
    def is_enabled(self) -> bool:
        """Whether responses are stored."""
        return self._store is not None

    @property
    def path(self) -> Path | None:
        """The file; ``None`` where responses are not stored."""
        return None if self._store is None else self._store.path

    def key(self, request: PreparedRequest) -> str:
        """
        Name a question: account, method and URL.

        Escaping and the order of different parameters make no difference; empty values do, as ``fields[user]=`` asks
        for no fields where a missing one asks for all. requests-cache's own key drops them.
        """
        parts = urlsplit(request.url or "")
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
        return sum(store.forget(lambda body: matches(unescaped(body))) for store in self._stores())

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
            store = ResponseStore(path, clock=time.time, expire_after=None, size_cap=SIZE_CAP, serializer=_Serializer())
            with closing(store):
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
