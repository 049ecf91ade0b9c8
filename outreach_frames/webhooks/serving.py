"""
The receiver's own server: connections are limited in number and in time.

What is closed is closed without an answer, since Outreach takes every answer for a delivery and tries again only where
none came; uvicorn's own limit answers 503.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from outreach_frames.webhooks.receiving import HANG_UP, PATIENCE_S, receiver

MOST_CONNECTIONS = 100
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
        listening.listen(2 * MOST_CONNECTIONS)
    except OSError:
        listening.close()
        raise
    return listening


def serve(store: str | Path, listening: socket.socket, *, secret: str) -> None:
    """Receive deliveries on a socket until interrupted; see `receiver`."""
    with suppress(KeyboardInterrupt):
        uvicorn.Server(configuration(store, secret=secret)).run(sockets=[listening])


def configuration(store: str | Path, *, secret: str) -> uvicorn.Config:
    """Settle how uvicorn runs a `receiver`."""
    return uvicorn.Config(receiver(store, secret=secret), http=Connection, ws="none", log_level="warning")


class Connection(H11Protocol):
    """
    One sender's connection.

    It is closed when a request has not been sent and answered within `PATIENCE_S`, and when it is the one that has been
    open longest without a whole request while there are too many: who delivers is not kept out by who holds the line.
    """

    since = 0.0
    """When it was opened, or its latest request began [s, the loop's clock]."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own
        """Start the timer; close the oldest waiting connection if this is one too many."""
        super().connection_made(transport)
        self.app = _able_to_hang_up(self.app, transport.abort)
        self._start_timer()
        if len(self.connections) > MOST_CONNECTIONS:
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
        self._timer = self.loop.call_later(PATIENCE_S, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _able_to_hang_up(application: ASGIApp, hang_up: Callable[[], None]) -> ASGIApp:
    async def extended(scope: Scope, receive: Receive, send: Send) -> None:
        extensions = {**scope.get("extensions", {}), HANG_UP: hang_up}
        await application({**scope, "extensions": extensions}, receive, send)

    return extended
