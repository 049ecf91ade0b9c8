"""The cache of answers: whose it is, where it lies, and what counts as the same question."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlunsplit

from platformdirs import user_cache_path
from requests import PreparedRequest
from requests_cache.backends.base import BaseCache
from requests_cache.models.response import CachedResponse

from outreach_frames._urls import split_url
from outreach_frames.http.store import AnswerStore, CacheInfo

SIZE_CAP = 2 << 30
"""Default size of a cache file [bytes]."""


def default_folder() -> Path:
    """Return the user's cache folder."""
    return user_cache_path("outreach_frames")


def fingerprint(base_url: str, account: str) -> str:
    """Name an account without telling who it is; used in file names and keys."""
    return hashlib.blake2b(f"{base_url}\n{account}".encode(), digest_size=16).hexdigest()


def private_folder(folder: Path) -> Path:
    """
    Make the folder of this package's own below the given one, readable by its owner only, and return it.

    A folder of our own, because the one given may be anybody's (the home folder, ``/tmp``) and keeps its mode.
    """
    own = folder / "http"
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    own.chmod(0o700)
    return own


class Cache:
    """
    What has been answered already; a connection's ``cache``.

    Parameters
    ----------
    store
        Where answers are kept; ``None``: nowhere, every question is asked.
    owner
        Fingerprint of the account; part of every key, so that no account reads another's answers.
    """

    def __init__(self, store: AnswerStore | None, owner: str) -> None:
        self._store = store
        self._owner = owner

    @classmethod
    def of_account(  # noqa: D102  see the class
        cls,
        owner: str,
        folder: Path,
        *,
        clock: Callable[[], float],
        expire_after: float | None,
        size_cap: int,
    ) -> "Cache":
        path = folder / f"{owner}.sqlite"
        return cls(AnswerStore(path, clock=clock, expire_after=expire_after, size_cap=size_cap), owner)

    @property
    def backend(self) -> BaseCache | None:
        """What requests-cache reads and writes."""
        if self._store is None:
            return None
        backend = BaseCache()
        backend.responses = self._store
        return backend

    def key(self, request: PreparedRequest, **_: Any) -> str:
        """
        Name a question: account, method and URL.

        Escaping and the order of different parameters make no difference; empty values do, as ``fields[user]=`` asks
        for no fields where a missing one asks for all. requests-cache's own key drops them.
        """
        parts = split_url(request.url or "")
        pairs = sorted(parse_qsl(parts.query, keep_blank_values=True), key=lambda pair: pair[0])
        url = urlunsplit((parts.scheme.lower(), parts.netloc.lower(), parts.path, urlencode(pairs), ""))
        return hashlib.blake2b(f"{self._owner}\n{request.method}\n{url}".encode(), digest_size=20).hexdigest()

    def stored(self, key: str) -> CachedResponse | None:
        """Return what is kept under a key, however old; ``None`` if nothing is."""
        return None if self._store is None else self._store.get(key)

    def clear(self) -> None:
        """Forget every answer of this account."""
        if self._store is not None:
            self._store.clear()

    def forget(self, matches: Callable[[bytes], bool]) -> int:
        """
        Forget the answers that a test picks out, such as those that mention a person.

        A damaged file that was set aside goes as a whole.

        Parameters
        ----------
        matches
            Called with each body; true: forget it.

        Returns
        -------
        forgotten : int
            Number of answers that are gone, from the disk too.
        """
        return 0 if self._store is None else self._store.forget(matches)

    def invalidate(self) -> None:
        """Ask again for everything that was answered until now."""
        if self._store is not None:
            self._store.invalidate()

    def info(self) -> CacheInfo:
        """Tell what is kept, and where."""
        return CacheInfo(None) if self._store is None else self._store.info()

    def close(self) -> None:
        """Close the file."""
        if self._store is not None:
            self._store.close()
