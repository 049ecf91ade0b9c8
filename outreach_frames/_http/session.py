"""
The session: every request of the package goes through it.

From top to bottom: single flight, the cache, then the transport with rate limit, token and retries. A cached response
touches nothing below the cache. The caller decodes a body between `Session.fetch` and `Session.store`, so that only a
document that could be decoded is stored.
"""

import threading
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from random import random
from typing import TypeVar

from requests import PreparedRequest

from outreach_frames import __version__
from outreach_frames._fork import OfOneProcess
from outreach_frames._http.cache import SIZE_CAP, Cache, default_folder, fingerprint, http_folder
from outreach_frames._http.limits import Limits, Waiter
from outreach_frames._http.messages import LARGEST_BODY, Request, Response
from outreach_frames._http.origin import OriginCheck, check_base_url, check_origin, join_url
from outreach_frames._http.rate_limit import RateLimiter, RateLimitWindow
from outreach_frames._http.transport import Transport
from outreach_frames._secrets import HiddenBytes
from outreach_frames.errors import (
    CacheMissError,
    CacheWarning,
    MaintenanceError,
    OriginError,
    RateLimitError,
    ServerError,
    TransportError,
)

MEDIA_TYPE = "application/vnd.api+json"
Answer = TypeVar("Answer")

CONNECT, READ, DEADLINE = 10.0, 60.0, 300.0

Parameters = Sequence[tuple[str, str]]


class Session(OfOneProcess):
    """
    Asks one organization's API, for one account.

    Parameters
    ----------
    base_url
        Base of every path. Plain http only to this machine itself.
    auth
        Puts the token on a request; called only when a request is sent. If it has ``renew``, that is tried once after
        the token was refused.
    account
        Whose answers these are. It must stay the same when the token changes and differ between users; it is
        stored only as a fingerprint.
    cache
        Keep answers.
    cache_dir
        Folder in which a private one is created; default: the user's cache folder.
    expire_after
        Age at which a cached response expires [s or a duration]; ``None``: never.
    offline
        Send nothing: cached answers of any age, else `CacheMissError`.
    stale_if_error
        When the API cannot be reached or fails, return a cached response of any age if there is one.
    cache_size
        Size at which answers not used for longest are dropped [bytes].
    max_wait
        How long a request may wait for instants that the server announces, such as the reset of the budget [s];
        ``None``: one hourly window. 0 declines to wait.
    timeout
        For the connection to come about, and between two pieces of an answer [s].
    deadline
        For all attempts of a request and the pauses between them; announced waits are extra [s].
    max_size
        Largest answer, as it comes and unpacked [bytes].
    waiter
        What waits, where something else waits with it.
    spread
        Random numbers in [0, 1): for tests.
    check_origin
        Refuses links and redirects that the token must not follow; default: Outreach's rule.
    address_of
        Maps a link and the URL of its page to the URL to request; default: the link itself.
    vendor
        Whether this is Outreach, and not another server.

    Attributes
    ----------
    owner
        Fingerprint of the account: names its files without telling who it is.
    never_stored
        Collections, such as ``webhooks``, whose responses are neither looked for in the cache nor put there.

    Raises
    ------
    OriginError
        ``base_url`` is nowhere to send a token to.
    """

    def __init__(
        self,
        base_url: str,
        auth: Callable[[PreparedRequest], PreparedRequest],
        *,
        account: str,
        cache: bool = True,
        cache_dir: str | Path | None = None,
        expire_after: timedelta | float | None = None,
        offline: bool = False,
        stale_if_error: bool = False,
        cache_size: int = SIZE_CAP,
        max_wait: float | None = None,
        timeout: tuple[float, float] = (CONNECT, READ),
        deadline: float = DEADLINE,
        max_size: int = LARGEST_BODY,
        waiter: Waiter | None = None,
        spread: Callable[[], float] = random,
        check_origin: OriginCheck = check_origin,
        address_of: Callable[[str, str], str] | None = None,
        vendor: bool = True,
    ) -> None:
        self.base_url = check_base_url(base_url)
        self.never_stored: Collection[str] = ()
        self._check_origin = check_origin
        self._address_of = address_of
        self._vendor = vendor
        self._offline = offline
        self._stale_if_error = stale_if_error
        self.waiter = waiter or Waiter()
        clock = self.waiter.clock
        owner = self.owner = fingerprint(self.base_url, account)
        folder = _folder(Path(cache_dir or default_folder()))
        if isinstance(expire_after, timedelta):
            expire_after = expire_after.total_seconds()
        if cache and folder is not None:
            self.cache = Cache.of_account(owner, folder, clock=clock, expire_after=expire_after, size_cap=cache_size)
        else:
            self.cache = Cache(None, owner)
        self._rate_limiter = RateLimiter(clock, folder / f"{owner}.budget" if folder else None)
        limits = Limits(connect=timeout[0], read=timeout[1], deadline=deadline, max_wait=max_wait, size=max_size)
        self._transport = Transport(
            self.base_url,
            auth,
            rate_limiter=self._rate_limiter,
            waiter=self.waiter,
            limits=limits,
            spread=spread,
            check=check_origin,
        )
        self._headers = {
            "Accept": MEDIA_TYPE,
            "Accept-Encoding": "gzip, deflate",
            "Content-Type": MEDIA_TYPE,
            "User-Agent": f"outreach_frames/{__version__}",
        }
        self.after_fork_in_child()
        self.follow_forks()

    def after_fork_in_child(self) -> None:
        """Begin with no request under way, and with locks that no thread holds."""
        self._flights = _Flights()

    def get(
        self,
        url: str,
        params: Parameters = (),
        *,
        refresh: bool = False,
        no_retry: Collection[int] = (),
        store: bool = True,
    ) -> Response:
        """
        Read one JSON document, from the cache where it is there and fresh.

        Parameters
        ----------
        url
            Path below the base, or a link as the API gave it.
        params
            Query parameters, in order, added to those of the link.
        refresh
            Ask the API even if the cache has a response; the new one replaces it.
        no_retry
            Statuses that are raised at once, such as 502 for a page that can be made smaller.
        store
            False for responses that hold secrets: they are neither looked for in the cache nor put there.

        Raises
        ------
        APIError
            The API answered with an error, after retries where they are safe.
        TransportError
            No complete response came, or the URL is outside the allowed origins.
        DocumentError
            The response is not JSON.
        CacheMissError
            The session is offline and the response is not in the cache.
        """
        with self.request(url, params, no_retry=no_retry, store=store) as request:
            response = self.fetch(request, refresh=refresh)
            while (again := self.fetch_again(request, response)) is not None:
                response = again
            self.store(request, response)
        return response

    @contextmanager
    def request(
        self, url: str, params: Parameters = (), *, no_retry: Collection[int] = (), store: bool = True
    ) -> Iterator[Request]:
        """Prepare a read, see `get`; another thread with the same one waits until this block has ended."""
        request = self._prepared("GET", url, params)
        request.no_retry = no_retry
        if store and self.cache.is_enabled and request.collection not in self.never_stored:
            request.key = self.cache.key(request)
        if request.key is None or self._offline:
            yield request
        else:
            with self._flights.of(request.key):
                yield request

    def fetch(self, request: Request, *, refresh: bool = False) -> Response:
        """
        Return the response to a read, from the cache where it is there and fresh; its body is not checked.

        Raises
        ------
        APIError, TransportError, CacheMissError
            As in `get`.
        """
        if self._offline:
            if (response := self.cache.read(request, stale=True)) is None:
                raise CacheMissError(
                    "The connection is offline, and this was not asked before.",
                    hint="Ask it once with offline=False; the answer is then kept.",
                )
            return response
        if not refresh and (response := self.cache.read(request)) is not None:
            return response
        return self._or_stale(request, lambda: self._transport.send(request))

    def fetch_again(self, request: Request, response: Response) -> Response | None:
        """
        Ask again for a response that cannot be decoded, or was not yet.

        Returns
        -------
        response : Response or None
            Another response; ``None`` if the first one is a JSON document, which would be the same the next time.

        Raises
        ------
        APIError, TransportError, DocumentError
            As in `get`.
        """
        if response.from_cache:
            return None
        return self._or_stale(request, lambda: self._transport.send_again(request, response))

    def store(self, request: Request, response: Response) -> None:
        """Put a response into the cache, once its body is decoded."""
        if not response.from_cache:
            self.cache.store(request, response)

    def send(self, method: str, url: str, params: Parameters = (), body: bytes | None = None) -> Response:
        """
        Write: never cached, and never sent twice unless the first was certainly not carried out.

        Parameters
        ----------
        method
            ``POST``, ``PATCH`` or ``DELETE``. Only ``DELETE``, which twice is the same as once, is repeated after
            a failure that leaves open whether it was carried out.
        url, params
            As for `get`.
        body
            The document.

        Raises
        ------
        APIError
            The API refused it or failed.
        TransportError
            No complete answer came; the hint says whether it may have been carried out.
        """
        if self._offline:
            error = TransportError("The connection is offline: nothing is written.", hint="Connect with offline=False.")
            error.executed = False
            raise error
        body = None if body is None else HiddenBytes(body)
        request = self._prepared(method, url, params, body)
        try:
            return self._transport.send(request)
        finally:
            # Even a failed write may have been executed, and which other records it changes is unknown.
            self.cache.invalidate()

    def link(self, link: str, page: str) -> str:
        """
        Return the whole URL at which a link on a page is requested.

        Raises
        ------
        OriginError
            It cannot be read, or leads to where the token must not go.
        """
        url = join_url(page, link)
        url = self._address_of(url, page) if self._address_of else url
        self._check_origin(url, self.base_url)
        return url

    @property
    def rate_limit(self) -> RateLimitWindow:
        """The current window of the request budget."""
        return self._rate_limiter.window

    def close(self) -> None:
        """End waits, close connections and the cache file."""
        self._transport.close()
        self.cache.close()

    def _prepared(self, method: str, url: str, params: Parameters, body: bytes | None = None) -> Request:
        if "://" not in url:
            url = f"{self.base_url}/{url.lstrip('/')}"
        request = Request.of(method, url, headers=self._headers, base_url=self.base_url, params=params, body=body)
        request.vendor = self._vendor
        return request

    def _or_stale(self, request: Request, send: Callable[[], Answer]) -> Answer | Response:
        """Send a request; where the API fails and that is allowed, return a cached response of any age."""
        try:
            return send()
        except OriginError:
            raise
        except (TransportError, ServerError, MaintenanceError, RateLimitError):
            if not self._stale_if_error or (stored := self.cache.read(request, stale=True)) is None:
                raise
            return stored


class _Flights:
    """One request per question at a time: the others wait for it and then read the cache."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._users: Counter[str] = Counter()

    @contextmanager
    def of(self, key: str) -> Iterator[None]:
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
            self._users[key] += 1
        try:
            with lock:
                yield
        finally:
            with self._lock:
                self._users[key] -= 1
                if not self._users[key]:
                    del self._users[key], self._locks[key]


def _folder(folder: Path) -> Path | None:
    """Make the private folder; without one there is neither a cache nor a shared budget."""
    try:
        return http_folder(folder)
    except OSError as error:
        warnings.warn(
            f"The cache folder cannot be used ({type(error).__name__}). Requests go on without it.",
            CacheWarning,
            stacklevel=3,
        )
        return None
