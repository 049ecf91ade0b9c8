"""A receiver of webhooks on this machine, as plain as can be."""

import json
from dataclasses import dataclass
from typing import Any

from outreach_frames._sandbox import Sandbox
from tests.sandbox.writing_requests import Program, made
from tests.scripted_server import Scripted, Server


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


class Receiver(Server):
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
        super().__init__(lambda _: Scripted(status, b"", {"Location": location} if location else {}))

    @property
    def url(self) -> str:
        """Where it takes them."""
        return f"{super().url}/hook"

    @property
    def received(self) -> list[Received]:
        """The deliveries, in order."""
        return [
            Received({name.lower(): value for name, value in request.headers.items()}, request.body)
            for request in self.requests
        ]

    @property
    def events(self) -> list[str]:
        """What was delivered, in order."""
        return [each.event for each in self.received]


def subscribe(program: Program, url: str, resource: str = "*", action: str = "*", **more: Any) -> Any:
    """Create a webhook."""
    return made(program.create("webhooks", "webhook", {"url": url, "resource": resource, "action": action, **more}))


def delivered(office: Sandbox, receiver: Receiver) -> list[Received]:
    """Return what a receiver has got once everything has been sent."""
    assert office.webhooks.flush(timeout=10)
    return receiver.received
