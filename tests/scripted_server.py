"""The HTTP server of the tests: on loopback, answering from a script or by a function."""

import json
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

TOKEN = "token-that-must-not-leak"
EMPTY = b'{"data": []}'
MEDIA_TYPE = "application/vnd.api+json"


@dataclass
class Scripted:
    """One scripted answer: sent as it is, or a function that misbehaves on the handler by itself."""

    status: int = 200
    body: bytes = EMPTY
    headers: dict[str, str] = field(default_factory=dict)
    act: "Callable[[Handler], None] | None" = None

    @classmethod
    def of(cls, document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Self:
        """Return an answer with a document as JSON."""
        return cls(status, json.dumps(document).encode(), dict(headers or {}))


@dataclass
class Request:
    """What the server saw."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Server(ThreadingHTTPServer):
    """
    Listens from the start until the block ends; keeps every request.

    Parameters
    ----------
    respond
        Function of the request that returns the answer; by default the script answers, and when it is used up, an
        empty list of records.
    tls
        Context of a server that speaks TLS.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self, respond: "Callable[[Request], Scripted] | None" = None, *, tls: ssl.SSLContext | None = None
    ) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.script: list[Scripted] = []
        self.respond = respond
        self.requests: list[Request] = []
        self._arrived = threading.Condition()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    @property
    def url(self) -> str:
        """Root of the server."""
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def base_url(self) -> str:
        """Base of the API that it plays."""
        return f"{self.url}/api/v2"

    @property
    def paths(self) -> list[str]:
        """What was asked for, below the base."""
        return [request.path.removeprefix("/api/v2") for request in self.requests]

    def handle_error(self, request, client_address) -> None:
        """A client that hangs up is part of some tests."""

    def next_answer(self, request: Request) -> Scripted:
        """Note a request and return what the script says to it."""
        with self._arrived:
            self.requests.append(request)
            self._arrived.notify_all()
            if self.respond is None:
                return self.script.pop(0) if self.script else Scripted()
        return self.respond(request)

    def wait_for(self, number: int) -> None:
        """Return when so many requests have come."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.requests) >= number, timeout=60)


class Handler(BaseHTTPRequestHandler):
    """Sends what the script says."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes, which would cost 40 ms
    server: Server

    def handle_any(self) -> None:
        """Answer one request of any method."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, self.path, dict(self.headers), body)
        answer = self.server.next_answer(request)
        if answer.act is not None:
            self.close_connection = True
            answer.act(self)
            return
        self.send(answer)

    def send(self, answer: Scripted) -> None:
        """Send an answer as it is scripted."""
        self.send_response(answer.status)
        headers = {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(answer.body))} | answer.headers
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815  http.server's names

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def error_body(**members: object) -> bytes:
    """Write a JSON:API error document with one error object."""
    return json.dumps({"errors": [members]}).encode()
