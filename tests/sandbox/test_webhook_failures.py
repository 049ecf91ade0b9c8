"""Webhooks that cannot be reached: tried again, suspended, given up."""

import queue
import socket
from datetime import datetime

import pytest

from tests.sandbox.plain_receiver import Receiver, delivered, subscribe
from tests.sandbox.writing_requests import made

# Trying again


@pytest.mark.parametrize("status", [200, 302, 404, 429, 500])
def test_any_answer_counts_as_delivered(office, program, status):
    """Errors are not tried again, redirects not followed."""
    with Receiver() as elsewhere, Receiver(status, elsewhere.url) as answering:
        subscribe(program, answering.url, "account")
        program.update("accounts", "account", 1, {"domain": "acme.example"})
        assert len(delivered(office, answering)) == 1
        assert elsewhere.received == []
        (delivery,) = office.webhooks.deliveries[-1:]
        assert (delivery.outcome, delivery.status, delivery.attempts) == ("delivered", status, 1)


def free_port():
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_four_attempts_a_second_apart_if_nobody_answers(office, program, monkeypatch):
    """Then it is lost; the webhook stays as it is."""
    pauses = []
    monkeypatch.setattr(office.webhooks, "wait", pauses.append)
    webhook = subscribe(program, f"http://127.0.0.1:{free_port()}/hook", "account")["id"]

    program.update("accounts", "account", 1, {"domain": "acme.example"})
    assert office.webhooks.flush(timeout=10)

    delivery = office.webhooks.deliveries[-1]
    assert (delivery.outcome, delivery.attempts, delivery.status) == ("failed", 4, None)
    assert pauses == [1.0, 1.0, 1.0]
    assert program.get(f"/webhooks/{webhook}")["attributes"]["disabledUntil"] is None


def test_a_receiver_that_comes_back_gets_it(office, program, monkeypatch):
    """Nothing is lost by a short outage."""
    port = free_port()
    subscribe(program, f"http://127.0.0.1:{port}/hook", "account")
    back = queue.SimpleQueue()
    monkeypatch.setattr(office.webhooks, "wait", lambda _: back.put(socket.create_server(("127.0.0.1", port))))
    program.update("accounts", "account", 1, {"domain": "acme.example"})

    with back.get(timeout=10) as listening, listening.accept()[0] as connection:
        assert connection.recv(4) == b"POST"
        assert office.webhooks.flush(timeout=0) is False
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        assert office.webhooks.flush(timeout=10)
    assert (office.webhooks.deliveries[-1].outcome, office.webhooks.deliveries[-1].attempts) == ("delivered", 2)


def test_delivering_again_sends_the_same_bytes(office, program, receiver):
    """As after an answer that was lost: a receiver must see through it."""
    subscribe(program, receiver.url, "account", secret="s3cret")
    program.update("accounts", "account", 1, {"domain": "acme.example"})
    (first,) = delivered(office, receiver)

    office.webhooks.redeliver(office.webhooks.deliveries[-1])

    assert receiver.received[1].body == first.body
    assert receiver.received[1].headers == first.headers


def test_no_other_machine_is_ever_asked(office, program):
    """The seeded organization has webhooks too."""
    subscribe(program, "https://hooks.example.com/x", "account")

    program.update("accounts", "account", 1, {"domain": "acme.example"})
    assert office.webhooks.flush(timeout=10)

    assert office.webhooks.deliveries[-1].outcome == "withheld"


# Suspending


@pytest.mark.parametrize(
    ("url", "seconds"), [("https://hooks.invalid/x", 60), ("https://10.0.0.5/x", 3_600), ("https://[fd00::1]/x", 3_600)]
)
def test_unreachable_webhooks_are_suspended(office, program, url, seconds):
    """A minute for a name that does not resolve, an hour for a private address; meanwhile nothing is sent."""
    webhook = subscribe(program, url, "account")["id"]

    def change(domain):
        program.update("accounts", "account", 1, {"domain": domain})
        assert office.webhooks.flush(timeout=10)
        return len([each for each in office.webhooks.deliveries if each.webhook == webhook])

    assert change("a.example") == 1
    suspended = program.get(f"/webhooks/{webhook}")["attributes"]
    assert suspended["disabledReason"]
    assert suspended["active"] is True
    since, until = (datetime.fromisoformat(suspended[name]) for name in ("disabledSince", "disabledUntil"))
    assert (until - since).total_seconds() == seconds
    assert change("b.example") == 1

    office.advance(seconds + 1)
    assert change("c.example") == 2
    again = program.get(f"/webhooks/{webhook}")["attributes"]
    assert again["disabledSince"] == suspended["disabledSince"]
    assert again["disabledUntil"] > suspended["disabledUntil"]

    office.advance(8 * 86_400)
    assert change("d.example") == 3
    assert program.get(f"/webhooks/{webhook}")["attributes"]["active"] is False
    office.advance(8 * 86_400)
    assert change("e.example") == 3


def test_a_webhook_that_can_be_reached_again_recovers(office, program, receiver):
    """Without anybody updating it."""
    webhook = subscribe(program, receiver.url, "account")["id"]
    office.settings.webhook_loopback = False
    program.update("accounts", "account", 1, {"domain": "a.example"})
    assert office.webhooks.flush(timeout=10)
    assert program.get(f"/webhooks/{webhook}")["attributes"]["disabledUntil"]

    office.settings.webhook_loopback = True
    office.advance(3_601)
    program.update("accounts", "account", 1, {"domain": "b.example"})

    assert len(delivered(office, receiver)) == 1
    assert program.get(f"/webhooks/{webhook}")["attributes"]["disabledUntil"] is None


def test_deliveries_of_deleted_webhooks_can_be_repeated(office, program, receiver):
    """As a late repetition would arrive."""
    webhook = subscribe(program, receiver.url, "account")["id"]
    program.update("accounts", "account", 1, {"domain": "a.example"})
    delivered(office, receiver)
    program.send("DELETE", f"/webhooks/{webhook}")

    assert office.webhooks.redeliver(office.webhooks.deliveries[-1]).outcome == "delivered"


def test_any_update_ends_a_suspension(office, program, receiver):
    """As the schema says of each of the three attributes."""
    webhook = subscribe(program, "https://hooks.invalid/x", "account")["id"]
    program.update("accounts", "account", 1, {"domain": "a.example"})
    assert office.webhooks.flush(timeout=10)
    assert program.get(f"/webhooks/{webhook}")["attributes"]["disabledReason"]

    changed = made(program.update("webhooks", "webhook", webhook, {"url": receiver.url}), 200)["attributes"]

    assert [changed[f"disabled{each}"] for each in ("Reason", "Since", "Until")] == [None] * 3
    program.update("accounts", "account", 1, {"domain": "b.example"})
    assert len(delivered(office, receiver)) == 1
