"""Verify the signature of one delivery, and parse it."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from outreach_frames._jsonapi import NESTED, is_nested
from outreach_frames._secrets import HiddenBytes, hidden
from outreach_frames.errors import DocumentError, SignatureError

SIGNATURE = "Outreach-Webhook-Signature"
REQUEST_ID = "Outreach-Webhook-ID"

_UNREADABLE = (msgspec.MsgspecError, RecursionError, ValueError, OverflowError)
"""What reading a body can raise; the last two for numbers of thousands of digits and times outside the calendar."""


def verify(body: bytes, signature: str | None, *, secret: str) -> None:
    """
    Check the signature of a delivery.

    Parameters
    ----------
    body
        The raw bytes as they came; a document read and written again has others.
    signature
        The header ``Outreach-Webhook-Signature``; ``None`` if there was none.
    secret
        The secret given when the webhook was created.

    Raises
    ------
    SignatureError
        It is missing or wrong. Without a time in it, a signature does not tell an old delivery from a new one.
    TypeError
        The body is text.

    Notes
    -----
    HMAC-SHA256 of the body, in lower-case hexadecimal, compared in constant time.

    Examples
    --------
    >>> import hashlib, hmac
    >>> body, secret = b"{}", "a secret"
    >>> of.webhooks.verify(body, hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(), secret=secret)
    >>> of.webhooks.verify(body, None, secret=secret)
    Traceback (most recent call last):
        ...
    outreach_frames.errors.SignatureError: The delivery has no signature.
    Hint: ...
    """
    if not isinstance(body, bytes | bytearray | memoryview):
        raise TypeError("verify takes the body in bytes, as it came")
    secret, body = hidden(secret), HiddenBytes(body)
    expected = hidden(hmac.new(secret.encode(), body, hashlib.sha256).hexdigest())
    if not hmac.compare_digest(expected.encode(), (signature or "").encode()):
        raise SignatureError(
            "The delivery's signature is wrong." if signature else "The delivery has no signature.",
            hint=f"Give the webhook's secret, and the body and the header {SIGNATURE} as they came.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """
    What one delivery says.

    Attributes
    ----------
    event
        Its name, such as ``"mailing.replied"``.
    delivered_at
        When it was sent (aware, UTC); ``None`` if it does not say.
    resource
        The resource object, its relationships always wrapped in ``data``. After ``created`` and ``updated`` it holds
        what was set or changed, after ``destroyed`` all that was last known.
    before
        Payload version 2: earlier values of what changed, in the same form; empty otherwise.
    actor
        Payload version 2: who did it, ``{"type", "id"}``; empty if it does not say.

    Examples
    --------
    >>> resource = {"type": "account", "id": 1, "attributes": {}, "relationships": {}}
    >>> of.webhooks.Delivery(event="account.created", delivered_at=None, resource=resource).before
    {}
    """

    event: str
    delivered_at: datetime | None
    resource: Mapping[str, Any]
    before: Mapping[str, Any] = field(default_factory=dict)
    actor: Mapping[str, Any] = field(default_factory=dict)


class _Resource(msgspec.Struct):
    type: str
    id: int | str
    attributes: dict[str, Any] = {}
    relationships: dict[str, Any] = {}


class _Before(msgspec.Struct):
    attributes: dict[str, Any] = {}
    relationships: dict[str, Any] = {}


class _PayloadMeta(msgspec.Struct, rename="camel"):
    event_name: str
    delivered_at: datetime | None = None
    actor: dict[str, Any] | None = None


class _Payload(msgspec.Struct, rename="camel"):
    data: _Resource
    meta: _PayloadMeta
    before_update: _Before | None = None


_payload = msgspec.json.Decoder(_Payload)


def parse(body: bytes) -> Delivery:
    """
    Read a delivery of payload version 1 or 2.

    Parameters
    ----------
    body
        The body of the request.

    Returns
    -------
    delivery : Delivery

    Raises
    ------
    DocumentError
        It is no webhook payload, or nested deeper than 200 levels.

    Examples
    --------
    >>> body = b'{"data": {"type": "account", "id": 1}, "meta": {"eventName": "account.created"}}'
    >>> of.webhooks.parse(body).event
    'account.created'
    >>> of.webhooks.parse(b"[]")
    Traceback (most recent call last):
        ...
    outreach_frames.errors.DocumentError: The body is no webhook payload.
    Hint: ...
    """
    body = hidden(body)
    if is_nested(body):
        raise DocumentError(f"The body is nested deeper than {NESTED} levels.")
    try:
        payload = _payload.decode(body)
        at = payload.meta.delivered_at
        delivered_at = at if at is None else at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except _UNREADABLE as error:
        raise DocumentError(
            "The body is no webhook payload.", hint="Pass the body of the request as it came."
        ) from error
    before = payload.before_update
    return Delivery(
        event=payload.meta.event_name,
        delivered_at=delivered_at,
        resource=_wrapped(payload.data),
        before={} if before is None else _wrapped(before),
        actor=payload.meta.actor or {},
    )


def identity(body: bytes, request_id: str | None) -> str | None:
    """
    Name a delivery so that it has the same name when it is sent again with another time of sending.

    Parameters
    ----------
    body
        The body of the request.
    request_id
        The header ``Outreach-Webhook-ID``. It is not signed, so that it counts together with the content only.

    Returns
    -------
    identity
        ``None`` without an id, or where the body is no object with ``meta``.
    """
    if not request_id:
        return None
    try:
        document = msgspec.json.decode(body)
        document["meta"].pop("deliveredAt", None)
        content = msgspec.json.encode(document, order="sorted")
    except (*_UNREADABLE, AttributeError, LookupError, TypeError):
        return None
    return hashlib.sha256(request_id.encode() + b"\n" + content).hexdigest()


def _wrapped(resource: _Resource | _Before) -> dict[str, Any]:
    """Return the members, with ``{"type", "id"}`` put into ``data`` where a relationship came without."""
    members = msgspec.to_builtins(resource)
    members["relationships"] = {
        name: value if isinstance(value, dict) and not {"type", "id"} <= value.keys() else {"data": value}
        for name, value in members["relationships"].items()
    }
    return dict(members)
