"""
The webhook receiver: an ASGI application and its own server.

Outreach takes every HTTP response for a delivery, and tries again only where none came. A delivery that cannot be
stored is therefore not answered: its connection is closed (uvicorn's own limit answers 503). A signed delivery is
stored, whatever it contains.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from outreach_frames._extras import required
from outreach_frames._secrets import hidden
from outreach_frames.errors import QueryError, SignatureError
from outreach_frames.webhooks.deliveries import REQUEST_ID, SIGNATURE, identity, verify
from outreach_frames.webhooks.store import DeliveryStore

with required("webhooks", "Receivers of webhooks"):
    import anyio
    import uvicorn
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route
    from starlette.types import ASGIApp, Receive, Scope, Send
    from uvicorn.protocols.http.h11_impl import H11Protocol


_MOST_CONNECTIONS = 100
"""How many connections may be open at once; a delivery takes some milliseconds."""


def listen(host: str, port: int) -> socket.socket:
    """
    Open a socket to receive on.

    Raises
    ------
    OSError
        The address is none of this machine's, is in use, or may not be used.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
    )[0]
    listening = socket.socket(family, kind, protocol)  # named TCP, or asyncio leaves Nagle's delay of 40 ms on
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2 * _MOST_CONNECTIONS)
    except OSError:
        listening.close()
        raise
    return listening


def serve(store: str | Path, listening: socket.socket, *, secret: str) -> None:
    """Receive deliveries on a socket until interrupted; see `receiver`."""
    with suppress(KeyboardInterrupt):
        uvicorn.Server(configuration(store, secret=secret)).run(sockets=[listening])


def configuration(store: str | Path, *, secret: str) -> uvicorn.Config:
    """Return how uvicorn runs a `receiver`."""
    return uvicorn.Config(receiver(store, secret=secret), http=Connection, ws="none", log_level="warning")


class Connection(H11Protocol):
    """
    One sender's connection.

    It is closed when a request takes longer than `REQUEST_TIMEOUT_S`. Where there are too many connections, the one
    that has been open longest without a whole request is closed: idle connections do not keep deliveries out.
    """

    since = 0.0
    """When the connection opened, or its latest request began [s, the loop's clock]."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own
        """Start the timer; close the oldest waiting connection if this is one too many."""
        super().connection_made(transport)
        self.app = _able_to_hang_up(self.app, transport.abort)
        self._start_timer()
        if len(self.connections) > _MOST_CONNECTIONS:
            waiting = [each for each in self.connections if isinstance(each, Connection) and each.is_waiting()]
            min(waiting, key=lambda each: each.since).transport.abort()

    def data_received(self, data: bytes) -> None:
        """Start the timer at the first bytes after an answer."""
        if self._timer is None:
            self._start_timer()
        super().data_received(data)

    def on_response_complete(self) -> None:
        """Stop the timer; uvicorn closes what stays idle."""
        self._stop_timer()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def is_waiting(self) -> bool:
        """Whether there is no whole request here that only needs to be stored and answered."""
        return self.cycle is None or self.cycle.response_complete or self.cycle.more_body

    def _start_timer(self) -> None:
        self.since = self.loop.time()
        self._timer = self.loop.call_later(REQUEST_TIMEOUT_S, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _able_to_hang_up(application: ASGIApp, hang_up: Callable[[], None]) -> ASGIApp:
    async def extended(scope: Scope, receive: Receive, send: Send) -> None:
        extensions = {**scope.get("extensions", {}), _HANG_UP: hang_up}
        await application({**scope, "extensions": extensions}, receive, send)

    return extended


MAX_BODY = 1 << 22
"""Largest body taken [bytes]; a resource without message bodies has a few thousand, a mailing with pictures more."""

REQUEST_TIMEOUT_S = 10.0
"""How long a sender may take to send a delivery; the vendor takes less than the 5 s that it gives for an answer."""

_HANG_UP = "outreach_frames.hang_up"
"""ASGI extension: a function that closes the connection."""

_log = logging.getLogger(__name__)


class _TooLargeError(Exception):
    """The body is larger than what is taken."""


def receiver(store: str | Path, *, secret: str, max_body: int = MAX_BODY) -> Starlette:
    """
    Make an application that receives deliveries; serve it with any ASGI server, or mount it in another application.

    Parameters
    ----------
    store
        File that deliveries are kept in; see `read`.
    secret
        The secret given when the webhook was created.
    max_body
        Larger bodies are refused unread [bytes].

    Returns
    -------
    application : Starlette
        ``POST`` to any path: 200 when a signed delivery is on the disk (a repeated one too, and one that is no
        payload), 401 without the right signature, 413 above ``max_body``. Nothing but a 200 changes the store. While
        the store cannot be written (disk full, file locked) no answer is given, so that Outreach tries again: up to
        four times, after which only a comparison with the API finds what was missed.

    Raises
    ------
    QueryError
        The secret is empty: anybody could sign.

    Notes
    -----
    ``outreach-frames webhooks serve`` closes a connection at once where no answer is given, and closes slow and
    supernumerary ones; under another server the sender waits until its own timeout, and limits are that server's.
    In another application, use ``Route("/hooks", receiver(...))``: Outreach does not follow the redirection that
    Starlette's ``Mount`` answers to a path without a slash at its end.

    Examples
    --------
    >>> application = of.webhooks.receiver(folder / "deliveries.sqlite", secret="a secret")
    >>> [route.path for route in application.routes]
    ['/{path:path}']
    """
    if not secret:
        raise QueryError("A receiver needs the webhook's secret.", hint="Pass secret= as it was given to Outreach.")
    secret, deliveries = hidden(secret), DeliveryStore(store)

    @asynccontextmanager
    async def life(_application: Starlette) -> AsyncIterator[None]:
        await run_in_threadpool(
            deliveries.open
        )  # an error shows at the start; a mounted application may have no lifespan
        try:
            yield
        finally:
            deliveries.close()

    async def receive(request: Request) -> Response:
        try:
            with anyio.fail_after(REQUEST_TIMEOUT_S):
                body = hidden(await _read_body(request, max_body))
            verify(body, request.headers.get(SIGNATURE), secret=secret)
        except _TooLargeError:
            _log.warning("A delivery of more than %d bytes was refused.", max_body)
            return PlainTextResponse("too large", status_code=413)
        except SignatureError:
            _log.warning("A delivery was refused: its signature is missing or wrong.")
            return PlainTextResponse("not signed as it must be", status_code=401)
        except (ClientDisconnect, TimeoutError):
            return _NoAnswer()
        try:
            await run_in_threadpool(deliveries.add, body, identity=identity(body, request.headers.get(REQUEST_ID)))
        except Exception as error:  # noqa: BLE001  whatever it is, an answer would lose the delivery
            reason = getattr(error.__cause__ or error, "sqlite_errorname", type(error).__name__)
            _log.error("A delivery could not be stored and was not answered (%s).", reason)
            return _NoAnswer()
        return PlainTextResponse("stored")

    return Starlette(routes=[Route("/{path:path}", receive, methods=["POST"])], lifespan=life)


class _NoAnswer(Response):
    """Sends nothing: has the server close the connection where it can, else waits until the sender is gone."""

    async def __call__(self, scope: Scope, receive: Receive, _send: Send) -> None:
        scope.get("extensions", {}).get(_HANG_UP, bool)()
        while (await receive())["type"] != "http.disconnect":
            pass


async def _read_body(request: Request, most: int) -> bytes:
    """Read a body, and no more than is taken, whatever its announced length."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > most:
        raise _TooLargeError
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise _TooLargeError
    return bytes(body)
