"""An ASGI application served on loopback from a thread of this process."""

import asyncio
import socket
import threading

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

HOST = "127.0.0.1"
IDLE_CONNECTION = 75
"""Seconds a quiet connection is kept: longer than a reader pauses between two pages [s]."""

HANG_UP = "outreach_frames.hang_up"
"""Extension of ASGI under which an application finds a function that closes the connection, answered or not."""


class _Protocol(H11Protocol):
    """HTTP that can be broken off."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        application = self.app

        async def with_hang_up(scope: Scope, receive: Receive, send: Send) -> None:
            await application({**scope, "extensions": {HANG_UP: transport.close}}, receive, send)

        self.app = with_hang_up


class Server:
    """
    A running HTTP server.

    Parameters
    ----------
    application
        What to serve.

    Raises
    ------
    OSError
        No port could be opened.
    RuntimeError
        The server did not start; the cause says why.
    """

    def __init__(self, application: ASGIApp) -> None:
        self._socket = _listening_socket()
        self.port: int = self._socket.getsockname()[1]
        self._server = uvicorn.Server(
            uvicorn.Config(
                application,
                http=_Protocol,
                ws="none",
                lifespan="off",
                loop="asyncio",
                log_config=None,
                log_level="critical",
                access_log=False,
                date_header=False,
                server_header=False,
                timeout_keep_alive=IDLE_CONNECTION,
                timeout_graceful_shutdown=1,
            )
        )
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="outreach-sandbox", daemon=True)

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        """Serve; return once requests are answered."""
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            self._ready.wait(0.005)
        if not self._server.started:
            self._socket.close()
            raise RuntimeError("the sandbox's server did not start") from self._failure

    def stop(self) -> None:
        """Answer what has been asked, then close."""
        self._server.should_exit = True
        self._thread.join(timeout=5)
        self._socket.close()

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        except BaseException as failure:  # noqa: BLE001 - told to whoever waits in `start`
            self._failure = failure
        finally:
            self._ready.set()


def _listening_socket() -> socket.socket:
    """Return a socket on a free port, named TCP: asyncio leaves Nagle's delay of 40 ms on for one that is not."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind((HOST, 0))
    listening.listen(128)
    return listening
