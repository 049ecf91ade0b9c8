"""Ways to get a connection: to a live organization, or to an embedded one."""

import atexit
import hashlib
import os
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack
from urllib.parse import parse_qsl

from requests import PreparedRequest
from requests.auth import AuthBase, HTTPBasicAuth

from outreach_frames._fetch import Paging, Server
from outreach_frames._frame_kinds import Dtypes, check_dtypes
from outreach_frames._http import Bases, BearerAuth, Session, TokenEndpoint, Waiter, check_origin, fits_header
from outreach_frames._secrets import hidden
from outreach_frames.client import Client
from outreach_frames.errors import AuthError, QueryError, UnknownNameError

if TYPE_CHECKING:
    from outreach_frames._sandbox import Fault, SandboxSettings

BASE_URL = "https://api.outreach.io/api/v2"
EXPIRE_AFTER = timedelta(hours=1)
DEFAULT_PROFILE = "default"


class ConnectionOptions(TypedDict, total=False):
    """Options that every way to connect takes; see `connect`."""

    cache: bool
    cache_dir: str | Path | None
    expire_after: timedelta | None
    offline: bool
    stale_if_error: bool
    max_wait: float | None
    dtypes: Dtypes


def _with_defaults(options: ConnectionOptions, **defaults: Any) -> dict[str, Any]:
    """Check the names of options; return them and what stands for those left out."""
    chosen = defaults | dict(_checked_names(options, ConnectionOptions.__annotations__, "option of a connection"))
    chosen.setdefault("dtypes", "arrow")
    check_dtypes(chosen["dtypes"])
    return chosen


def connect(
    token: str | None = None,
    base_url: str | None = None,
    *,
    profile: str | None = None,
    cache: bool = True,
    cache_dir: str | Path | None = None,
    expire_after: timedelta | None = EXPIRE_AFTER,
    offline: bool = False,
    stale_if_error: bool = False,
    max_wait: float | None = None,
    dtypes: Dtypes = "arrow",
) -> Client:
    """
    Connect to a live organization.

    Parameters
    ----------
    token
        OAuth access token; default: the environment's ``OUTREACH_TOKEN``, else the sign-in of a profile, which renews
        itself. A variable of the environment that is empty counts as not set, here and below; an empty argument is
        refused.
    base_url
        Base of the API; default: the environment's ``OUTREACH_BASE_URL``, else the public host. Plain http only to
        this machine itself. A profile brings its own.
    profile
        Name of a sign-in made with ``outreach-frames login``, which goes before ``OUTREACH_TOKEN``; default: the
        environment's ``OUTREACH_PROFILE``, else ``"default"``.
    cache
        Keep answers in a file of this account's own and read them back.
    cache_dir
        Folder of that file; default: the user's cache folder.
    expire_after
        Age at which a cached response expires; ``None``: never.
    offline
        Answer from the cache only.
    stale_if_error
        Answer from the cache, however old, when the API cannot be reached.
    max_wait
        Longest wait for the request budget to reopen [seconds]; ``None``: 3,700, one hourly window.
    dtypes
        What backs the columns of fetched pandas frames, where a call does not say: ``"arrow"`` or ``"numpy"``, see
        `fetch`.

    Returns
    -------
    client : Client
        Nothing is sent before the first fetch.

    Raises
    ------
    AuthError
        There is neither a token nor a sign-in, or the token is empty.
    OriginError
        The base URL is plain http to another machine.
    QueryError
        There is no such ``dtypes``.

    Examples
    --------
    >>> with of.connect(token=org.sandbox.token, base_url=org.base_url, cache=False) as client:
    ...     of.count(client, "prospects")
    50

    >>> of.connect(token="")
    Traceback (most recent call last):
        ...
    outreach_frames.errors.AuthError: The access token is empty.
    Hint: ...
    """
    check_dtypes(dtypes)
    waiter = Waiter()
    token = hidden(_argument_or_variable(token, "OUTREACH_TOKEN") if profile is None else token)
    with ExitStack() as closing:
        if token is None:
            base, auth, account = _signed_in(_argument_or_variable(profile, "OUTREACH_PROFILE"), waiter, closing)
        else:
            base_url = _argument_or_variable(base_url, "OUTREACH_BASE_URL")
            base = BASE_URL if base_url is None else base_url.rstrip("/")
            auth = _bearer(token)
            account = _fingerprint(base, token)
        session = Session(
            base,
            auth,
            account=account,
            cache=cache,
            cache_dir=cache_dir,
            expire_after=expire_after,
            offline=offline,
            stale_if_error=stale_if_error,
            max_wait=max_wait,
            waiter=waiter,
        )
        return Client(session, closing=closing.pop_all(), dtypes=dtypes)


def connect_server(
    guid: str,
    private_key: str,
    installation: str,
    *,
    base_url: str = BASE_URL,
    **options: Unpack[ConnectionOptions],
) -> Client:
    """
    Connect as an app installed in an organization, without a user (server to server).

    Parameters
    ----------
    guid
        ``S2S_GUID`` of the app, from the developer portal.
    private_key
        PEM of the RSA key whose public half is registered.
    installation
        UUID of the installation.
    base_url
        Base of the API that tokens come from; the organization's own API may live on another host, which the first
        token names.
    **options
        ``cache``, ``cache_dir``, ``expire_after``, ``offline``, ``stale_if_error``, ``max_wait``, ``dtypes``, as in
        `connect`. With ``offline`` no token is requested, so ``base_url`` must be that of the organization.

    Returns
    -------
    client : Client
        Its token lasts an hour and is renewed automatically; it is held in memory only.

    Raises
    ------
    AuthError
        The key or the installation is refused.
    MissingExtraError
        The extra is missing: ``pip install "outreach_frames[s2s]"``.
    OriginError
        The reply names a host that is none of Outreach's.

    Notes
    -----
    Calls: ``POST /api/app/installs/{installation}/actions/accessToken``.

    Examples
    --------
    >>> client = of.connect_server("app-guid", private_key=pem, installation="installation-id")  # doctest: +SKIP
    >>> of.connect_server("app-guid", private_key="no key", installation="installation-id", base_url=org.base_url)
    Traceback (most recent call last):
        ...
    outreach_frames.errors.AuthError: The app's private key cannot be read.
    Hint: ...
    """
    from outreach_frames._auth import (  # noqa: PLC0415
        Installation,
        MemoryTokenStore,
        RefreshingTokenAuth,
        Secrets,
        ServerApp,
        installation_refresher,
    )

    settings = _with_defaults(options, expire_after=EXPIRE_AFTER)
    dtypes = settings.pop("dtypes")
    private_key = hidden(private_key)
    installations: list[Installation] = []
    waiter = Waiter()
    with ExitStack() as closing:
        exchange = TokenEndpoint(base_url, waiter=waiter)
        closing.callback(exchange.close)
        next_token = installation_refresher(
            ServerApp(guid, private_key),
            installation,
            exchange=exchange,
            clock=waiter.clock,
            on_reply=installations.append,
        )
        token_auth = RefreshingTokenAuth(MemoryTokenStore(Secrets()), next_token, clock=waiter.clock, wait=waiter.wait)
        own = base_url
        if not settings.get("offline"):
            token_auth.token()
            own = installations[-1].api or base_url
            check_origin(own, base_url)
        session = Session(own.rstrip("/"), token_auth, account=installation, waiter=waiter, **settings)
        return Client(session, closing=closing.pop_all(), dtypes=dtypes)


def _argument_or_variable(argument: str | None, variable: str) -> str | None:
    """Return an argument, else what the environment says; an empty variable counts as not set."""
    return (os.environ.get(variable) or None) if argument is None else argument


def _bearer(token: str) -> BearerAuth:
    if not token:
        raise AuthError(
            "The access token is empty.",
            hint="A secret of that name is probably not set where this runs; leave token out to use OUTREACH_TOKEN or "
            "a sign-in.",
        )
    return _bearer_of_text(token, refused=" ")


def _bearer_of_text(token: str, *, refused: str = "") -> BearerAuth:
    """Sign with a token that a header can hold; otherwise the error of the HTTP library would show it."""
    if not fits_header(token) or (refused and refused in token):
        raise AuthError("The access token holds characters that no token has.", hint="Copy it without line ends.")
    return BearerAuth(token)


def _signed_in(profile: str | None, waiter: Waiter, closing: ExitStack) -> tuple[str, AuthBase, str]:
    """Return the base URL, the authentication and the account of a profile."""
    from outreach_frames._auth import Profiles  # noqa: PLC0415  not for those who bring a token

    profiles = Profiles()
    name = DEFAULT_PROFILE if profile is None else profile
    if profile is None and name not in profiles.names():
        raise AuthError(
            "There is no access token.",
            hint="Pass token=…, set OUTREACH_TOKEN, or sign in once: outreach-frames login.",
        )
    saved = profiles.load(name)
    exchange = TokenEndpoint(saved.app.base_url, waiter=waiter)
    closing.callback(exchange.close)
    token_auth = profiles.token_auth(name, exchange=exchange, clock=waiter.clock, wait=waiter.wait)
    return saved.app.base_url, token_auth, saved.account


def sandbox(
    prospects: int = 2_000,
    seed: int = 7,
    *,
    resources: str | Path | Iterable[Mapping[str, Any]] | Mapping[str, Iterable[Mapping[str, Any]]] | None = None,
    as_of: datetime | None = None,
    faults: Iterable["Fault | Mapping[str, Any]"] = (),
    settings: "SandboxSettings | Mapping[str, Any] | None" = None,
    **options: Unpack[ConnectionOptions],
) -> Client:
    """
    Start an embedded organization and connect to it over real HTTP on this machine.

    Parameters
    ----------
    prospects
        Size of the made-up organization [prospects]; everything else grows with it.
    seed
        The same seed always means the same organization.
    resources
        Serve exactly these JSON:API resource objects instead: a list, lists by any name, or the path of a JSON file
        that holds either.
    as_of
        What the embedded clock shows at the start (aware); default: a fixed day for a made-up organization, the real
        time for given resources.
    faults
        What goes wrong, and on which requests: `Fault` objects, or mappings of their attributes. The first one that
        applies to a request is used.
    settings
        Behavior that the vendor does not document, for example the form of ``Retry-After``: `SandboxSettings`, or a
        mapping of some of them.
    **options
        ``cache``, ``cache_dir``, ``expire_after``, ``offline``, ``stale_if_error``, ``max_wait``, ``dtypes``, as in
        `connect`; by default responses are kept as long as the connection is open.

    Returns
    -------
    client : Client
        ``client.sandbox`` is the handle of the embedded organization: ``requests`` are those that it received,
        ``settings`` and ``faults`` may be changed while it runs. Closing the client, leaving its ``with`` block or
        ending the interpreter stops it and removes its cache.

    Raises
    ------
    UnknownNameError
        There is no such setting, or no such attribute of a fault.
    QueryError
        `resources` contain something that is not a JSON:API resource object, or one twice; `prospects` is below 1,
        `seed` below 0; `as_of` has no time zone; a setting or a fault has a value that it cannot have.

    Examples
    --------
    >>> import outreach_frames as of
    >>> with of.sandbox(prospects=50, seed=7) as org:
    ...     of.count(org, "prospects")
    50

    Test your own code against a server that fails twice and then limits requests:

    >>> faults = [of.Fault(path="/prospects", status=502, times=2), {"path": "/accounts", "status": 429, "wait_s": 0}]
    >>> with of.sandbox(prospects=50, faults=faults, settings={"rate_limit": 500}) as org:
    ...     prospects = of.fetch_prospects(org, progress=False)
    ...     [request.status for request in org.sandbox.requests]
    [502, 502, 200]
    """
    from outreach_frames._sandbox import Fault, Sandbox, SandboxSettings  # noqa: PLC0415  loaded only where it is used

    connection = _with_defaults(options, expire_after=None)
    dtypes = connection.pop("dtypes")
    chosen = [
        fault if isinstance(fault, Fault) else _checked_names(fault, _field_names(Fault), "attribute of a fault")
        for fault in faults
    ]
    if settings is not None and not isinstance(settings, SandboxSettings):
        settings = _checked_names(settings, _field_names(SandboxSettings), "setting of the sandbox")
    closing = ExitStack()
    atexit.register(closing.close)
    closing.callback(atexit.unregister, closing.close)
    with ExitStack() as on_failure:
        on_failure.push(closing)
        cache_dir = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="outreach-sandbox-")))
        try:
            handle = Sandbox(resources, prospects=prospects, seed=seed, as_of=as_of, settings=settings, faults=chosen)
        except ValueError as error:
            raise QueryError(f"The sandbox cannot be made: {error}.") from error
        closing.enter_context(handle)
        connection.setdefault("cache_dir", cache_dir)
        session = Session(handle.base_url, BearerAuth(handle.token), account="sandbox", **connection)
        on_failure.pop_all()
    return Client(session, sandbox=handle, closing=closing, dtypes=dtypes)


def _checked_names(values: Mapping[str, Any], names: Collection[str], noun: str) -> Mapping[str, Any]:
    """Return values by name after a check of the names."""
    for name in values:
        if name not in names:
            raise UnknownNameError(name, kind=noun, valid=names)
    return values


def _field_names(kind: type) -> list[str]:
    return [field.name for field in fields(kind) if field.init]


def connect_jsonapi(
    base_url: str,
    auth: str | tuple[str, str] | Callable[[PreparedRequest], PreparedRequest] | None = None,
    *,
    paging: Paging = "links",
    check_total: bool = True,
    origins: Mapping[str, str] | None = None,
    **options: Unpack[ConnectionOptions],
) -> Server:
    """
    Connect to any JSON:API server, to read it with `fetch`, `fetch_one` and `fetch_tables`.

    Names of resources, filters and attributes are the server's own and sent as they are given; columns and their
    types are those of `read_jsonapi`. Links and redirects to another origin are refused.

    Parameters
    ----------
    base_url
        What the paths of the collections stand below. Plain http only to this machine itself. A query behind it
        (``?key=…``) is sent with every request.
    auth
        A bearer token, user name and password, or anything that signs a request as `requests` has it.
    paging
        How further pages are found. In every way but the last two the server's own links to the next page are
        followed, whatever they hold, in the document's links or ``meta`` or in a ``Link`` header.

        ``"links"``: by those links alone; a server that gives none is taken to send everything at once.
        ``"offset"``, ``"number"``: where there are no links, ``page[offset]`` or ``page[number]`` (from 0 or from 1, as
        the server does) is counted on, until a page is empty or not there; ``page_size`` is sent as ``page[limit]`` or
        ``page[size]``. ``"cursor"``: by what ``meta`` gives for the next page, as ``page[after]`` or ``page[cursor]``.
        ``"single"``: the server sends everything at once. A function: called with each page (``number``, ``rows``,
        ``rows_before``, ``data``, ``links``, ``meta``), returns the parameters of the next one, or a link to it, or
        ``None`` after the last.
    check_total
        Compare what came with what ``meta`` says of the whole (a total, a number of pages, that there is more).
        False where these count something else than the requested records.
    origins
        For a server behind a proxy whose links name another host: base as the links have it → base to ask instead.
        ``{"http://inner:3000": "https://api.example.org/v1"}`` asks the second for what stands below the first; the
        same on both sides lets links lead there, *and the sign-in with them*. Links to another page of the same
        collection need no entry: they are requested at the server itself.
    **options
        ``cache``, ``cache_dir``, ``expire_after``, ``offline``, ``stale_if_error``, ``max_wait``, ``dtypes``, as in
        `connect`, but responses are cached only with ``cache=True``.

    Returns
    -------
    server : Client
        Nothing is sent before the first fetch. `fetch` raises a `DocumentError` where the server says that there is
        more than came, or does not page in this way.

    Raises
    ------
    OriginError
        The base URL, or one in ``origins``, is plain http to another machine.
    QueryError
        There is no such way of paging; or responses are to be cached and ``auth`` is a function, so that whose they are
        is not known.

    Examples
    --------
    >>> with of.connect_jsonapi(org.base_url, auth=org.sandbox.token) as server:
    ...     users = of.fetch(server, "users", limit=3)
    >>> len(users)
    3
    """
    auth = hidden(auth)
    sign = _signature(auth)
    settings = _with_defaults(options, cache=False, expire_after=EXPIRE_AFTER)
    dtypes = settings.pop("dtypes")
    if settings["cache"] and callable(auth):
        raise QueryError(
            "Responses to requests that a function signs cannot be cached: whose they are is not known.",
            hint="Leave cache out, or give a token, or user name and password.",
        )
    base, _, query = base_url.partition("?")
    bases = Bases(base, origins or {})
    credentials = hidden("\n".join(auth)) if isinstance(auth, tuple) else auth
    session = Session(
        base,
        sign or _unsigned,
        account=_fingerprint(base_url, credentials) if isinstance(credentials, str) else base_url,
        check_origin=bases.check,
        address_of=bases.address_of,
        vendor=False,
        **settings,
    )
    params = parse_qsl(query, keep_blank_values=True)
    return Server(session, paging=paging, check_total=check_total, params=params, dtypes=dtypes)


def _signature(auth: object) -> Callable[[PreparedRequest], PreparedRequest] | None:
    """Return what signs requests: a token, a user name and password (in UTF-8, by RFC 7617), or a function."""
    if isinstance(auth, str):
        return _bearer_of_text(auth)
    if isinstance(auth, tuple) and len(auth) == 2 and all(isinstance(part, str) for part in auth):  # noqa: PLR2004
        user, password = (hidden(part.encode("utf-8", "surrogateescape")) for part in auth)
        return HTTPBasicAuth(user, password)
    if auth is None or callable(auth):
        return auth
    raise QueryError(
        f"auth is a {type(auth).__name__} that signs no request.",
        hint="Pass a token, a tuple of user name and password, or a function that signs a request.",
    )


def _unsigned(request: PreparedRequest) -> PreparedRequest:
    return request


def _fingerprint(base_url: str, token: str) -> str:
    """Name an account without telling its token; two tokens never share a name."""
    return hashlib.sha256(f"{base_url}\n{token}".encode()).hexdigest()[:32]
