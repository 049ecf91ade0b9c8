"""A receiver of webhooks on this machine, as plain as can be."""

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from writing_requests import Program, made

from outreach_frames._sandbox import Sandbox


@dataclass
class Received:
    """One delivery: its headers by lower-case name, and its bytes."""

    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """The body, read."""
        return json.loads(self.body)

    @property
    def event(self) -> str:
        """What it is about."""
        return self.document["meta"]["eventName"]


class Receiver:
    """
    Takes deliveries and answers with a status.

    Parameters
    ----------
    status
        What to answer.
    location
        Where to send the caller, with a 3xx.
    """

    def __init__(self, status: int = 200, location: str | None = None) -> None:
        self.received: list[Received] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.received.append(Received({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(status)
                if location:
                    self.send_header("Location", location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def events(self) -> list[str]:
        """What was delivered, in order."""
        return [each.event for each in self.received]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def subscribe(program: Program, url: str, resource: str = "*", action: str = "*", **more: Any) -> Any:
    """Create a webhook."""
    return made(program.create("webhooks", "webhook", {"url": url, "resource": resource, "action": action, **more}))


def delivered(office: Sandbox, receiver: Receiver) -> list[Received]:
    """Return what a receiver has got once everything has been sent."""
    assert office.webhooks.flush(timeout=10)
    return receiver.received
