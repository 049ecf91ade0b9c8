"""Webhooks: from a change to its deliveries."""

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
from outreach_frames._sandbox.errors import Problem
from outreach_frames._sandbox.settings import SandboxSettings
from outreach_frames._sandbox.state import Change, State
from outreach_frames._sandbox.store import Identifier, Linkage, Record
from outreach_frames._sandbox.writes.rules import hook_actions, hook_resources, is_loopback, is_private, is_unknown
from outreach_frames._sandbox.writes.unit_of_work import instant, stamp

WITH_BEFORE = 2
"""Payload version from which an update tells what was there before."""


def payload(
    change: Change, happening: str, version: int, settings: SandboxSettings, delivered_at: datetime
) -> dict[str, Any]:
    """
    Return the body of a delivery.

    Parameters
    ----------
    happening
        What it is about: ``created``, ``completed`` …
    version
        1, or 2 with ``beforeUpdate`` and who did it.
    delivered_at
        When it is sent (aware).

    Returns
    -------
    body
        A created or updated record tells only what was set or changed, a deleted one all it was.
    """
    meta: dict[str, Any] = {
        "eventName": f"{change.record.type}.{happening}",
        "deliveredAt": delivered_at.isoformat(timespec="milliseconds"),
    }
    if version >= WITH_BEFORE and change.actor is not None:
        meta["actor"] = {"type": "User", "id": change.actor}
    body: dict[str, Any] = {
        "data": {
            "type": change.record.type,
            "id": change.record.id,
            **_members(_told(change), settings),
        },
        "meta": meta,
    }
    if version >= WITH_BEFORE and change.before is not None:
        body["beforeUpdate"] = _members(_difference(change.before, change.record), settings)
    return body


def _told(change: Change) -> Record:
    if change.before is not None:
        return _difference(change.record, change.before)
    if change.kind == "destroyed":
        return change.record
    set_ = {name: value for name, value in change.record.attributes.items() if value is not None}
    linked: dict[str, Linkage] = {name: named for name, named in change.record.relationships.items() if named}
    return Record(change.record.type, change.record.id, set_, linked)


def _difference(record: Record, other: Record) -> Record:
    """Return of a record what another is not."""
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


def _members(record: Record, settings: SandboxSettings) -> Mapping[str, Any]:
    known = catalog.load().types.get(record.type)
    hidden = {name for name, attribute in known.attributes.items() if attribute.write_only} if known else set()
    wrap = settings.webhook_relationships == "wrapped"
    linked = {name: _linkage(linkage) for name, linkage in record.relationships.items()}
    return {
        "attributes": {name: value for name, value in record.attributes.items() if name not in hidden},
        "relationships": {name: {"data": each} for name, each in linked.items()} if wrap else linked,
    }


def _linkage(linkage: Linkage) -> Any:
    if linkage is None:
        return None
    if isinstance(linkage, Identifier):
        return {"type": linkage.type, "id": linkage.id}
    return [{"type": each.type, "id": each.id} for each in linkage]


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


SUSPENSIONS = {"unknown host": timedelta(minutes=1), "private address": timedelta(hours=1)}
GIVEN_UP_AFTER = timedelta(days=7)
"""Unreachable for about that long, a webhook is disabled for good."""

SUSPENDED = ("disabledReason", "disabledSince", "disabledUntil")


class WebhookDispatcher:
    """
    Delivers changes to the webhooks that want to know, one after another, from a thread of its own.

    Parameters
    ----------
    state
        What the sandbox holds.

    Attributes
    ----------
    deliveries
        Everything that was to be sent, oldest first.
    wait
        Pauses between two attempts [s]; replace it to let no time pass.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._queue: queue.SimpleQueue[tuple[int, Change, str] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._idle = threading.Condition()
        self._open = 0
        self.deliveries: list[Delivery] = []
        self.wait: Callable[[float], object] = self._stopping.wait

    def __call__(self, change: Change) -> None:
        """Queue a change for every webhook that wants it."""
        for webhook in self._state.store.records("webhook") if change.record.type in hook_resources() else ():
            for happening in self._wanted(webhook, change):
                with self._idle:
                    self._open += 1
                self._queue.put((int(webhook.id), change, happening))
                self._run()

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything has been sent, at most so long [s]; return whether it has."""
        with self._idle:
            return self._idle.wait_for(lambda: self._open == 0, timeout)

    def redeliver(self, delivery: Delivery) -> Delivery:
        """Send a delivery again, byte for byte, as happens when an answer is lost; return the new one."""
        again = replace(delivery, attempts=0, outcome="pending", status=None, at=self._state.clock.now())
        self.deliveries.append(again)
        self._send(again)
        return again

    def stop(self) -> None:
        """Send what is queued without pausing between attempts, then end."""
        self._stopping.set()
        thread = self._thread
        if thread is not None:
            self._queue.put(None)
            thread.join(timeout=5)
            self._thread = None
        self._stopping.clear()

    # Who wants to know

    def _wanted(self, webhook: Record, change: Change) -> Iterator[str]:
        resource, action = webhook.attributes.get("resource"), webhook.attributes.get("action")
        if resource not in {"*", change.record.type} or webhook.attributes.get("active") is False:
            return
        known = hook_actions(change.record.type)
        happenings = [each for each in change.happenings if each in known and action in {"*", each}]
        instead = self._state.settings.specific_events == "instead" and len(happenings) > 1
        yield from happenings[1:] if instead else happenings

    # Sending

    def _run(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._deliver, name="outreach-sandbox-webhooks", daemon=True)
            self._thread.start()

    def _deliver(self) -> None:
        while (queued := self._queue.get()) is not None:
            try:
                self._post(*queued)
            except Exception as error:  # noqa: BLE001 - a mistake of the sandbox, told with its other failures
                self._state.failures.append(error)
            with self._idle:
                self._open -= 1
                self._idle.notify_all()

    def _post(self, webhook_id: int, change: Change, happening: str) -> None:
        webhook = self._state.store.find("webhook", webhook_id)
        if webhook is None or webhook.attributes.get("active") is False or self._is_suspended(webhook):
            return
        now = self._state.clock.now()
        version = webhook.attributes.get("payloadVersion") or 1
        body = msgspec.json.encode(payload(change, happening, version, self._state.settings, now))
        delivery = Delivery(
            webhook=webhook_id,
            event=f"{change.record.type}.{happening}",
            url=str(webhook.attributes.get("url")),
            body=body,
            headers=_headers(webhook, body),
            at=now,
        )
        self.deliveries.append(delivery)
        self._send(delivery)

    def _send(self, delivery: Delivery) -> None:
        send(delivery, loopback=self._state.settings.webhook_loopback, wait=self.wait)
        with self._state.store.lock:
            webhook = self._state.store.find("webhook", delivery.webhook)
            if webhook is not None:
                self._judge(webhook, delivery)

    # Webhooks that cannot be reached

    def _is_suspended(self, webhook: Record) -> bool:
        until = webhook.attributes.get("disabledUntil")
        return until is not None and instant(until) > self._state.clock.now()

    def _judge(self, webhook: Record, delivery: Delivery) -> None:
        """Suspend a webhook whose host cannot be, give it up after a week; recover it as soon as something answers."""
        now, since = self._state.clock.now(), webhook.attributes.get("disabledSince")
        pause = SUSPENSIONS.get(delivery.outcome)
        if pause is not None:
            lost = since is not None and now - instant(since) >= GIVEN_UP_AFTER
            self._mark(
                webhook,
                {
                    "disabledReason": f"The URL cannot be reached: {delivery.outcome}.",
                    "disabledSince": since or stamp(now),
                    "disabledUntil": stamp(now + pause),
                    "active": not lost,
                },
            )
        elif since is not None and delivery.outcome == "delivered":
            self._mark(webhook, dict.fromkeys(SUSPENDED))

    def _mark(self, webhook: Record, attributes: dict[str, object]) -> None:
        """Note what happened on the webhook itself; nobody is told, and it does not count as an update."""
        self._state.store.put(replace(webhook, attributes=webhook.attributes | attributes))


def _headers(webhook: Record, body: bytes) -> dict[str, str]:
    headers = {"Content-Type": Problem.media_type, "Outreach-Webhook-ID": str(uuid4())}
    if webhook.attributes.get("cleanupToken"):
        headers["outreach-webhook-cleanup-token"] = str(webhook.attributes["cleanupToken"])
    if webhook.attributes.get("secret"):
        headers["Outreach-Webhook-Signature"] = signature(str(webhook.attributes["secret"]), body)
    return headers
