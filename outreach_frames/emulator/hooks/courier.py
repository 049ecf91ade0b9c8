"""From a change to the deliveries it causes, and what becomes of webhooks that cannot be reached."""

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import msgspec

from outreach_frames.emulator.changes import Change
from outreach_frames.emulator.hooks.delivery import Delivery, send, signature
from outreach_frames.emulator.hooks.payloads import payload
from outreach_frames.emulator.problems import Problem
from outreach_frames.emulator.state import State
from outreach_frames.emulator.store import Record
from outreach_frames.emulator.writing.moments import instant, stamp
from outreach_frames.emulator.writing.rules import FEWER_HOOKS, HOOKS, hook_actions

SUSPENSIONS = {"unknown host": timedelta(minutes=1), "private address": timedelta(hours=1)}
GIVEN_UP_AFTER = timedelta(days=7)
"""Unreachable for about that long, a webhook is disabled for good."""

RESOURCES = (HOOKS.keys() | FEWER_HOOKS.keys()) - {"*"}
SUSPENDED = ("disabledReason", "disabledSince", "disabledUntil")


class Courier:
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
        for webhook in self._state.store.records("webhook") if change.record.type in RESOURCES else ():
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
