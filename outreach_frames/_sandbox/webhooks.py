"""Webhooks: payloads of changes, and their delivery."""

import hashlib
import hmac
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec
import requests

from outreach_frames import catalog
from outreach_frames._sandbox.errors import HttpError
from outreach_frames._sandbox.settings import SandboxSettings
from outreach_frames._sandbox.state import Change, SandboxState
from outreach_frames._sandbox.store import Identifier, Record, ResourceLinkage
from outreach_frames._sandbox.writes.rules import hook_actions, hook_resources, is_private, is_this_machine, is_unknown
from outreach_frames._sandbox.writes.unit_of_work import instant, stamp

_BEFORE_UPDATE_VERSION = 2
"""First payload version with ``beforeUpdate``."""


def payload(
    change: Change, action: str, version: int, settings: SandboxSettings, delivered_at: datetime
) -> dict[str, Any]:
    """
    Return the body of a delivery.

    Parameters
    ----------
    action
        The action: ``created``, ``completed`` …
    version
        1, or 2 with ``beforeUpdate`` and the actor.
    delivered_at
        When it is sent (aware).

    Returns
    -------
    body
        Attributes and relationships that were set or changed; all of them for a deleted record.
    """
    meta: dict[str, Any] = {
        "eventName": f"{change.record.type}.{action}",
        "deliveredAt": delivered_at.isoformat(timespec="milliseconds"),
    }
    if version >= _BEFORE_UPDATE_VERSION and change.actor is not None:
        meta["actor"] = {"type": "User", "id": change.actor}
    body: dict[str, Any] = {
        "data": {
            "type": change.record.type,
            "id": change.record.id,
            **_payload_members(_changed_record(change), settings),
        },
        "meta": meta,
    }
    if version >= _BEFORE_UPDATE_VERSION and change.before is not None:
        body["beforeUpdate"] = _payload_members(_changed_members(change.before, change.record), settings)
    return body


def _changed_record(change: Change) -> Record:
    if change.before is not None:
        return _changed_members(change.record, change.before)
    if change.kind == "destroyed":
        return change.record
    set_ = {name: value for name, value in change.record.attributes.items() if value is not None}
    linked: dict[str, ResourceLinkage] = {name: named for name, named in change.record.relationships.items() if named}
    return Record(change.record.type, change.record.id, set_, linked)


def _changed_members(record: Record, other: Record) -> Record:
    """Return the members of a record that differ from another's."""
    return Record(
        record.type,
        record.id,
        {
            name: record.attributes.get(name)
            for name in {**record.attributes, **other.attributes}
            if record.attributes.get(name) != other.attributes.get(name)
        },
        {
            name: record.relationships.get(name)
            for name in {**record.relationships, **other.relationships}
            if record.relationships.get(name) != other.relationships.get(name)
        },
    )


def _payload_members(record: Record, settings: SandboxSettings) -> Mapping[str, Any]:
    kind = catalog.load().types.get(record.type)
    hidden = {name for name, attribute in kind.attributes.items() if attribute.write_only} if kind else set()
    wrap = settings.webhook_relationships == "wrapped"
    linked = {name: _linkage_json(linkage) for name, linkage in record.relationships.items()}
    return {
        "attributes": {name: value for name, value in record.attributes.items() if name not in hidden},
        "relationships": {name: {"data": each} for name, each in linked.items()} if wrap else linked,
    }


def _linkage_json(linkage: ResourceLinkage) -> Any:
    if linkage is None:
        return None
    if isinstance(linkage, Identifier):
        return {"type": linkage.type, "id": linkage.id}
    return [{"type": each.type, "id": each.id} for each in linkage]


_ATTEMPTS = 4
_PAUSE_S = 1.0
"""Time between two attempts [s]."""
_TIMEOUT_S = 5.0
"""Timeout of a receiver [s]."""

DeliveryOutcome = Literal["pending", "delivered", "failed", "withheld", "unknown host", "private address"]


@dataclass(kw_only=True, eq=False)
class WebhookDelivery:
    """
    One request to one webhook.

    Attributes
    ----------
    webhook
        Id of the webhook.
    event
        Such as ``task.completed``.
    url
        URL of the receiver.
    body
        Body of the request.
    headers
        Headers of the request.
    attempts
        Number of attempts.
    outcome
        ``"delivered"``: there was a response, with any status. ``"failed"``: there was none. ``"withheld"``: the
        receiver is not on this machine, so nothing is sent. ``"unknown host"`` and ``"private
        address"`` suspend the webhook; a ``.invalid`` name is an unknown host.
    status
        HTTP status of the response.
    at
        Time on the sandbox's clock.
    """

    webhook: int
    event: str
    url: str
    body: bytes
    headers: dict[str, str]
    attempts: int = 0
    outcome: DeliveryOutcome = "pending"
    status: int | None = None
    at: datetime


def signature(secret: str, body: bytes) -> str:
    """Return the signature of a body: HMAC-SHA256 in lower-case hexadecimal."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def send(delivery: WebhookDelivery, *, loopback: bool, wait: Callable[[float], object]) -> None:
    """
    Send a delivery, up to four times without a response.

    Parameters
    ----------
    loopback
        Whether receivers may be on this machine.
    wait
        Called with the pause between two attempts [s].
    """
    host = urlsplit(delivery.url).hostname
    if not (loopback and is_this_machine(host)):
        delivery.attempts += 1
        delivery.outcome = _elsewhere(host)
        return
    with requests.Session() as session:
        session.trust_env = False
        for attempt in range(_ATTEMPTS):
            if attempt:
                wait(_PAUSE_S)
            delivery.attempts += 1
            try:
                response = session.post(
                    delivery.url,
                    data=delivery.body,
                    headers=delivery.headers,
                    timeout=_TIMEOUT_S,
                    allow_redirects=False,
                )
            except requests.RequestException:
                delivery.outcome = "failed"
            else:
                delivery.status, delivery.outcome = response.status_code, "delivered"
                return


def _elsewhere(host: str | None) -> DeliveryOutcome:
    if is_unknown(host):
        return "unknown host"
    return "private address" if is_private(host) else "withheld"


_SUSPENSIONS = {"unknown host": timedelta(minutes=1), "private address": timedelta(hours=1)}
_DISABLED_AFTER = timedelta(days=7)
"""A webhook that is unreachable for this long is disabled."""

_SUSPENSION_ATTRIBUTES = ("disabledReason", "disabledSince", "disabledUntil")


class WebhookDispatcher:
    """
    Delivers changes to webhooks, one after another, in a thread.

    Parameters
    ----------
    state
        State of the sandbox.

    Attributes
    ----------
    deliveries
        All deliveries, oldest first.
    wait
        Waits between two attempts [s]; replace it for tests without waiting.
    """

    def __init__(self, state: SandboxState) -> None:
        self._state = state
        self._queue: queue.SimpleQueue[tuple[int, Change, str] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._idle = threading.Condition()
        self._open = 0
        self.deliveries: list[WebhookDelivery] = []
        self.wait: Callable[[float], object] = self._stopping.wait

    def __call__(self, change: Change) -> None:
        """Queue a change for every webhook that it concerns."""
        for webhook in self._state.store.records("webhook") if change.record.type in hook_resources() else ():
            for action in self._matching_actions(webhook, change):
                with self._idle:
                    self._open += 1
                self._queue.put((int(webhook.id), change, action))
                self._run()

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until the queue is empty, at most `timeout` [s]; return whether it is."""
        with self._idle:
            return self._idle.wait_for(lambda: self._open == 0, timeout)

    def redeliver(self, delivery: WebhookDelivery) -> WebhookDelivery:
        """Send a delivery again, as after a lost response; return the new one."""
        again = replace(delivery, attempts=0, outcome="pending", status=None, at=self._state.clock.now())
        self.deliveries.append(again)
        self._send(again)
        return again

    def stop(self) -> None:
        """Send what is queued without waiting between attempts, then stop."""
        self._stopping.set()
        thread = self._thread
        if thread is not None:
            self._queue.put(None)
            thread.join(timeout=5)
            self._thread = None
        self._stopping.clear()

    # Which webhooks a change concerns

    def _matching_actions(self, webhook: Record, change: Change) -> Iterator[str]:
        resource, action = webhook.attributes.get("resource"), webhook.attributes.get("action")
        if resource not in {"*", change.record.type} or webhook.attributes.get("active") is False:
            return
        supported = hook_actions(change.record.type)
        actions = [each for each in change.actions if each in supported and action in {"*", each}]
        instead = self._state.settings.specific_events == "instead" and len(actions) > 1
        yield from actions[1:] if instead else actions

    # Sending

    def _run(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._deliver, name="outreach-sandbox-webhooks", daemon=True)
            self._thread.start()

    def _deliver(self) -> None:
        while (queued := self._queue.get()) is not None:
            try:
                self._post(*queued)
            except Exception as error:  # noqa: BLE001 - an error of the sandbox, added to its failures
                self._state.failures.append(error)
            with self._idle:
                self._open -= 1
                self._idle.notify_all()

    def _post(self, webhook_id: int, change: Change, action: str) -> None:
        webhook = self._state.store.find("webhook", webhook_id)
        if webhook is None or webhook.attributes.get("active") is False or self._is_suspended(webhook):
            return
        now = self._state.clock.now()
        version = webhook.attributes.get("payloadVersion") or 1
        body = msgspec.json.encode(payload(change, action, version, self._state.settings, now))
        delivery = WebhookDelivery(
            webhook=webhook_id,
            event=f"{change.record.type}.{action}",
            url=str(webhook.attributes.get("url")),
            body=body,
            headers=_headers(webhook, body),
            at=now,
        )
        self.deliveries.append(delivery)
        self._send(delivery)

    def _send(self, delivery: WebhookDelivery) -> None:
        send(delivery, loopback=self._state.settings.webhook_loopback, wait=self.wait)
        with self._state.store.lock:
            webhook = self._state.store.find("webhook", delivery.webhook)
            if webhook is not None:
                self._update_webhook(webhook, delivery)

    # Webhooks that cannot be reached

    def _is_suspended(self, webhook: Record) -> bool:
        until = webhook.attributes.get("disabledUntil")
        return until is not None and instant(until) > self._state.clock.now()

    def _update_webhook(self, webhook: Record, delivery: WebhookDelivery) -> None:
        """Suspend a webhook with an impossible host, disable it after a week, and resume it after a response."""
        now, since = self._state.clock.now(), webhook.attributes.get("disabledSince")
        pause = _SUSPENSIONS.get(delivery.outcome)
        if pause is not None:
            is_expired = since is not None and now - instant(since) >= _DISABLED_AFTER
            self._set_silently(
                webhook,
                {
                    "disabledReason": f"The URL cannot be reached: {delivery.outcome}.",
                    "disabledSince": since or stamp(now),
                    "disabledUntil": stamp(now + pause),
                    "active": not is_expired,
                },
            )
        elif since is not None and delivery.outcome == "delivered":
            self._set_silently(webhook, dict.fromkeys(_SUSPENSION_ATTRIBUTES))

    def _set_silently(self, webhook: Record, attributes: dict[str, object]) -> None:
        """Change the webhook without an event and without ``updatedAt``."""
        self._state.store.put(replace(webhook, attributes=webhook.attributes | attributes))


def _headers(webhook: Record, body: bytes) -> dict[str, str]:
    headers = {"Content-Type": HttpError.media_type, "Outreach-Webhook-ID": str(uuid4())}
    if webhook.attributes.get("cleanupToken"):
        headers["outreach-webhook-cleanup-token"] = str(webhook.attributes["cleanupToken"])
    if webhook.attributes.get("secret"):
        headers["Outreach-Webhook-Signature"] = signature(str(webhook.attributes["secret"]), body)
    return headers
