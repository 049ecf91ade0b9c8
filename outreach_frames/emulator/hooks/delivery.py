"""Sending deliveries: over real HTTP to this machine, and to nowhere else."""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit

import requests

from outreach_frames.emulator.writing.hosts import is_loopback, is_private, is_unknown

ATTEMPTS = 4
PAUSE = 1.0
"""Between two attempts [s]."""
TIME_TO_ANSWER = 5.0
"""What a receiver has to answer within [s]."""

Outcome = Literal["pending", "delivered", "failed", "withheld", "unknown host", "private address"]


@dataclass(kw_only=True, eq=False)
class Delivery:
    """
    One message to one webhook.

    Attributes
    ----------
    webhook
        Id of the webhook.
    event
        Such as ``task.completed``.
    url
        Where it goes.
    body
        As sent, byte for byte.
    headers
        As sent.
    attempts
        How often it was tried.
    outcome
        ``"delivered"``: something answered, whatever the status. ``"failed"``: nothing did. ``"withheld"``: the
        receiver is not on this machine, and the sandbox talks to nobody else. ``"unknown host"`` and ``"private
        address"`` suspend the webhook; the first is what a ``.invalid`` name gives.
    status
        What the receiver answered.
    at
        When it was last tried, on the sandbox's clock.
    """

    webhook: int
    event: str
    url: str
    body: bytes
    headers: dict[str, str]
    attempts: int = 0
    outcome: Outcome = "pending"
    status: int | None = None
    at: datetime


def signature(secret: str, body: bytes) -> str:
    """Return the signature of a body: HMAC-SHA256 in lower-case hexadecimal."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def send(delivery: Delivery, *, loopback: bool, wait: Callable[[float], object]) -> None:
    """
    Try to deliver a message, up to four times if nothing answers.

    Parameters
    ----------
    loopback
        Whether receivers on this machine are allowed.
    wait
        Called with the pause between two attempts [s].
    """
    host = urlsplit(delivery.url).hostname
    if not (loopback and is_loopback(host)):
        delivery.attempts += 1
        delivery.outcome = _elsewhere(host)
        return
    with requests.Session() as session:
        session.trust_env = False
        for attempt in range(ATTEMPTS):
            if attempt:
                wait(PAUSE)
            delivery.attempts += 1
            try:
                answer = session.post(
                    delivery.url,
                    data=delivery.body,
                    headers=delivery.headers,
                    timeout=TIME_TO_ANSWER,
                    allow_redirects=False,
                )
            except requests.RequestException:
                delivery.outcome = "failed"
            else:
                delivery.status, delivery.outcome = answer.status_code, "delivered"
                return


def _elsewhere(host: str | None) -> Outcome:
    if is_unknown(host):
        return "unknown host"
    return "private address" if is_private(host) else "withheld"
