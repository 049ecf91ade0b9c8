"""
The session: what the rest of the package asks the API through.

From top to bottom: single flight, the cache (requests-cache), then the transport with rate gate, token and retries.
A cached answer touches nothing below the cache.
"""

import threading
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from random import random
from types import MappingProxyType

import requests
from requests import PreparedRequest
from requests_cache import CachedSession
from requests_cache.models.response import BaseResponse

from outreach_frames import __version__
from outreach_frames._fork import OfOneProcess
from outreach_frames._http.cache import SIZE_CAP, Cache, default_folder, fingerprint, http_folder
from outreach_frames._http.errors import KEPT_HEADERS, LARGEST_BODY, Response
from outreach_frames._http.origin import OriginCheck, check_base_url, check_origin, without_addresses
from outreach_frames._http.rate_limit import RateLimiter, RateLimitWindow, read_date
from outreach_frames._http.request import Request
from outreach_frames._http.retry import Waiter
from outreach_frames._http.transport import Limits, Transport
from outreach_frames._parsing import join_url, split_url
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
NEVER = -1
"""requests-cache's word for answers that do not expire; our own store judges their age."""

CONNECT, READ, DEADLINE = 10.0, 60.0, 300.0

Parameters = Sequence[tuple[str, str]]
Check = Callable[[bytes], object]


class Session(OfOneProcess):
    """
    Asks one organization's API, for one account.

    Parameters
    ----------
    base_url
        Base of every path. Plain http only to this machine itself.
    auth
        Puts the token on a request; asked only when something is sent. If it has ``renew``, that is tried once after
        the token was refused.
    account
        Whose answers these are. It must stay the same when the token changes and differ between users; it is
        stored only as a fingerprint.
    cache
        Keep answers.
    cache_dir
        Folder that a private one is made in; default: the user's cache folder.
    expire_after
        Age from which a cached answer is asked for again [s or a duration]; ``None``: never.
    offline
        Send nothing: cached answers of any age, else `CacheMissError`.
    stale_if_error
        When the API cannot be asked or fails, give a cached answer of any age where there is one.
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
    asked_at
        Given a link and the page that it stood on, says where it is asked for; default: where it leads.
    vendor
        Whether this is Outreach, and not another server.

    Attributes
    ----------
    owner
        Fingerprint of the account: names its files without telling who it is.

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
        asked_at: Callable[[str, str], str] | None = None,
        vendor: bool = True,
    ) -> None:
        self.base_url = check_base_url(base_url)
        self._check_origin = check_origin
        self._asked_at = asked_at
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
        self._gate = RateLimiter(clock, folder / f"{owner}.budget" if folder else None)
        limits = Limits(connect=timeout[0], read=timeout[1], deadline=deadline, max_wait=max_wait, size=max_size)
        self._transport = Transport(
            self.base_url,
            auth,
            gate=self._gate,
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
        """Begin with nothing on its way, and with locks that nobody holds."""
        self._flights = _Flights()
        self._plain = mounted(requests.Session(), self._transport)
        self._cached = self._behind_cache()

    def get(
        self,
        url: str,
        params: Parameters = (),
        *,
        refresh: bool = False,
        check: Check | None = None,
        no_retry: Collection[int] = (),
        store: bool = True,
    ) -> Response:
        """
        Read one URL, from the cache where it is there and fresh.

        Parameters
        ----------
        url
            Path below the base, or a link as the API gave it.
        params
            Query parameters, in order, added to those of the link.
        refresh
            Ask the API even if the cache has an answer; the new one replaces it.
        check
            Called with the body of an answer that was not in the cache; if it raises, the answer is not stored.
        no_retry
            Statuses that are raised at once, such as 502 for a page that can be made smaller.
        store
            False for answers that hold secrets: they are neither looked for in the cache nor put there.

        Raises
        ------
        APIError
            The API answered with an error, after retries where they are safe.
        TransportError
            No complete answer came, or the URL is outside the allowed origins.
        DocumentError
            The answer is not JSON.
        CacheMissError
            The session is offline and the answer is not in the cache.
        """
        call = self._call("GET", url, params, None)
        call.no_retry = no_retry
        if check is not None:
            call.hooks["response"] = [_once(check)]
        if self._offline:
            return self._from_cache(call)
        if not store or self._cached is None:
            return _answer(call, self._plain.send(call, allow_redirects=False))
        with self._flights.of(self.cache.key(call)):
            try:
                return _answer(call, self._cached.send(call, allow_redirects=False, force_refresh=refresh))
            except OriginError:
                raise
            except (TransportError, ServerError, MaintenanceError, RateLimitError):
                if not self._stale_if_error or (kept := self.cache.stored(self.cache.key(call))) is None:
                    raise
                return _answer(call, kept)

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
        call = self._call(method, url, params, body)
        try:
            return _answer(call, self._plain.send(call, allow_redirects=False))
        finally:
            # Even a failed write may have been carried out, and what it changes beside the record is not known here.
            self.cache.invalidate()

    def link(self, link: str, page: str) -> str:
        """
        Return the whole address at which a link that stood on a page is asked for.

        Raises
        ------
        OriginError
            It cannot be read, or leads to where the token must not go.
        """
        url = join_url(page, link)
        url = self._asked_at(url, page) if self._asked_at else url
        self._check_origin(url, self.base_url)
        return url

    @property
    def rate_limit(self) -> RateLimitWindow:
        """What is known of the request budget."""
        return self._gate.window

    def close(self) -> None:
        """End waits, close connections and the cache file."""
        self._plain.close()
        if self._cached is not None:
            self._cached.close()
        self.cache.close()

    def _behind_cache(self) -> requests.Session | None:
        backend = self.cache.backend
        if backend is None:
            return None
        cached = CachedSession(
            backend=backend,
            key_fn=lambda *, request, **_: self.cache.key(request),
            expire_after=NEVER,
            cache_control=False,
            allowable_codes=(200,),
            allowable_methods=("GET",),
            ignored_parameters=(),
        )
        return mounted(cached, self._transport)

    def _call(self, method: str, url: str, params: Parameters, body: bytes | None) -> Request:
        if "://" not in url:
            url = f"{self.base_url}/{url.lstrip('/')}"
        self._check_origin(url, self.base_url)
        path = split_url(url).path.removeprefix(split_url(self.base_url).path) or "/"
        call = Request.of(method, url, asked=without_addresses(path), headers=self._headers, params=params, body=body)
        call.vendor = self._vendor
        return call

    def _from_cache(self, call: Request) -> Response:
        kept = self.cache.stored(self.cache.key(call))
        if kept is None:
            raise CacheMissError(
                "The connection is offline, and this was not asked before.",
                hint="Ask it once with offline=False; the answer is then kept.",
            )
        return _answer(call, kept)


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


def mounted(session: requests.Session, transport: Transport) -> requests.Session:
    """Send everything of a session through a transport, and let it keep no cookies."""
    session.mount("https://", transport)
    session.mount("http://", transport)
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


def _once(check: Check) -> Callable[..., None]:
    """Make a response hook of a check; requests-cache calls hooks again for what it stored or found."""

    def hook(response: requests.Response, **_: object) -> None:
        if not isinstance(response, BaseResponse):
            check(response.content)

    return hook


def _answer(call: Request, response: requests.Response) -> Response:
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    return Response(
        status=response.status_code,
        headers=MappingProxyType(headers),
        body=response.content,
        from_cache=bool(getattr(response, "from_cache", False)),
        date=read_date(headers.get("Date")),
        url=call.url or "",
    )


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
