"""Outreach takes every answer for a delivery: a receiver answers only for what it has, and keeps whatever is signed."""

import hashlib
import hmac
import json
import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext, suppress
from datetime import UTC, datetime

import pytest
import requests
import uvicorn
from click.testing import CliRunner
from hypothesis import given, strategies as st
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from outreach_frames import webhooks
from outreach_frames._sandbox.webhooks import WebhookDelivery, send
from outreach_frames.cli import main
from outreach_frames.errors import DocumentError, OutreachDataWarning
from outreach_frames.webhooks import receiver_app, store as store_module
from outreach_frames.webhooks.store import DeliveryStore

SECRET = "between us"
HEADER = "Outreach-Webhook-Signature"


def payload(number, *, at="2026-01-05T10:00:01.412+00:00"):
    data = {"type": "task", "id": number, "attributes": {}, "relationships": {}}
    return json.dumps({"data": data, "meta": {"eventName": "task.completed", "deliveredAt": at}}).encode()


def sign(body):
    return hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


def deliver(url, body, timeout=20, **headers):
    """Return the status; ``None`` where no answer came."""
    headers = {HEADER: sign(body)} | {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        return requests.post(url, data=body, headers=headers, timeout=timeout).status_code
    except (requests.ConnectionError, requests.Timeout):
        return None


@contextmanager
def serving_own(store):
    """Serve as ``outreach-frames webhooks serve`` does."""
    with running(receiver_app.configuration(store, secret=SECRET)) as url:
        yield url


@contextmanager
def running(config):
    """Run a server in a thread."""
    server, listening = uvicorn.Server(config), receiver_app.listen("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    with listening:
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/hooks"
        finally:
            server.should_exit = True
            thread.join()


def make(store):
    with closing(DeliveryStore(store)) as kept:
        kept.open()


@contextmanager
def held(store):
    """Hold the file as another program may, for as long as the block lasts."""
    with closing(sqlite3.connect(store, isolation_level=None)) as other:
        other.execute("begin exclusive")
        yield
        other.execute("rollback")


# What cannot be stored


def test_a_locked_store_gives_no_answer_and_the_next_try_is_kept(tmp_path, caplog):
    store = tmp_path / "deliveries.sqlite"
    with serving_own(store) as url:
        assert deliver(url, payload(1)) == 200
        with held(store), pytest.raises(requests.ConnectionError):  # it hangs up, before the sender's time is over
            requests.post(url, data=payload(2), headers={HEADER: sign(payload(2))}, timeout=20)
        assert deliver(url, payload(2)) == 200

    assert 2 * store_module._WAIT_S < 5  # for its own lock and for SQLite's; the vendor waits five seconds
    assert webhooks.read(store)["resource_id"].tolist() == ["1", "2"]
    assert "SQLITE_BUSY" in caplog.text


def test_a_store_locked_for_a_moment_is_waited_for(tmp_path):
    store = tmp_path / "deliveries.sqlite"
    with serving_own(store) as url:
        assert deliver(url, payload(1)) == 200
        with closing(sqlite3.connect(store, isolation_level=None, check_same_thread=False)) as other:
            other.execute("begin exclusive")
            threading.Timer(0.5, other.execute, ["rollback"]).start()
            assert deliver(url, payload(2)) == 200


def test_under_any_server_no_answer_is_given_for_what_is_not_kept(tmp_path):
    """Without the own server's way to hang up, the sender waits until its patience ends."""
    store = tmp_path / "deliveries.sqlite"
    make(store)
    application = webhooks.receiver(store, secret=SECRET)
    with running(uvicorn.Config(application, log_level="warning")) as url:
        with held(store):
            assert deliver(url, payload(1), timeout=5) is None
        assert deliver(url, payload(1)) == 200


def test_a_full_disk_gives_no_answer(tmp_path):
    """A limit on the size of files stands for the disk; all that was answered is there afterward."""
    store = tmp_path / "deliveries.sqlite"
    with command(store, preexec_fn=_small_disk) as (url, _):
        answers = {number: deliver(url, payload(number) + b" " * 20_000) for number in range(30)}

    kept = webhooks.read(store)["resource_id"].tolist()
    assert set(answers.values()) == {200, None}
    assert [str(number) for number, status in answers.items() if status == 200] == kept


def _small_disk():
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))


def test_a_store_that_is_taken_away_is_made_anew(tmp_path):
    """What is written to a file without a name is gone, however durably."""
    store = tmp_path / "deliveries.sqlite"
    with serving_own(store) as url:
        assert deliver(url, payload(1)) == 200
        for path in tmp_path.iterdir():
            path.rename(tmp_path / f"old-{path.name}")
        assert deliver(url, payload(2)) == 200

    assert webhooks.read(store)["resource_id"].tolist() == ["2"]


def test_a_store_that_becomes_something_else_gives_no_answer(tmp_path):
    store = tmp_path / "deliveries.sqlite"
    with serving_own(store) as url:
        for path in list(tmp_path.iterdir()):
            path.unlink()
        store.write_text("Nothing of a database. " * 100)
        assert deliver(url, payload(1)) is None

    assert store.read_text().startswith("Nothing of a database.")


@pytest.mark.parametrize("lifespan", ["on", "off"])
@pytest.mark.parametrize(("kind", "path"), [(Mount, "/"), (Route, "/hooks")])
def test_the_receiver_works_inside_another_application(tmp_path, kind, path, lifespan):
    """Starlette runs the outer application's lifespan only."""
    store = tmp_path / "deliveries.sqlite"
    outer = Starlette(routes=[kind(path, webhooks.receiver(store, secret=SECRET))])
    with running(uvicorn.Config(outer, lifespan=lifespan, log_level="warning")) as url:
        assert deliver(url, payload(1)) == 200

    assert len(webhooks.read(store)) == 1


# What cannot be read

ODD = [
    b"",
    b"{not json",
    b"[]",
    b"\xff\xfe",
    b'{"data": {}}',
    b"[" * 9999,
    payload(1)[:-40],
    b'{"data": {"type": "task", "id": ' + b"9" * 5000 + b'}, "meta": {"eventName": "task.created"}}',
    payload(1, at="0001-01-01T00:00:00+14:00"),
]


def test_signed_bodies_that_are_no_payload_are_kept_as_they_came(tmp_path):
    store = tmp_path / "deliveries.sqlite"
    with serving_own(store) as url:
        assert [deliver(url, body) for body in [*ODD, payload(7)]] == [200] * (len(ODD) + 1)

    with pytest.warns(OutreachDataWarning, match=rf"{len(ODD)} of {len(ODD) + 1} deliveries are no webhook payload"):
        frame = webhooks.read(store)

    assert frame["body"].tolist()[: len(ODD)] == ODD
    assert frame["event"].isna().tolist() == [True] * len(ODD) + [False]
    with pytest.warns(OutreachDataWarning, match="belong to no resource type"):
        assert webhooks.read(store, resource="tasks")["id"].tolist() == [7]


@given(st.binary(max_size=200))
def test_reading_never_fails_on_what_was_sent(body):
    """Whatever is in the store, what is beside it must be readable."""
    with suppress(DocumentError):
        webhooks.parse(body)


# What comes again


def test_a_replayed_delivery_is_kept_once_and_counted(tmp_path):
    store = tmp_path / "deliveries.sqlite"
    with serving_own(store) as url:
        for number in (1, 2, 1, 1):
            assert deliver(url, payload(number)) == 200

    assert webhooks.read(store)[["resource_id", "repeats"]].to_numpy().tolist() == [["1", 2], ["2", 0]]


def test_a_delivery_sent_again_at_another_time_is_the_same_by_its_id(tmp_path):
    store = tmp_path / "deliveries.sqlite"
    with serving_own(store) as url:
        deliver(url, payload(1), Outreach_Webhook_ID="a")
        deliver(url, payload(1, at="2026-01-05T10:00:03.000+00:00"), Outreach_Webhook_ID="a")
        deliver(url, payload(1, at="2026-01-05T11:00:00.000+00:00"), Outreach_Webhook_ID="b")
        deliver(url, payload(1, at="2026-01-05T12:00:00.000+00:00"))

    assert webhooks.read(store)["repeats"].tolist() == [1, 0, 0]


def test_two_deliveries_of_one_request_id_are_both_kept(tmp_path):
    """The id is not signed: alone it proves nothing."""
    store = tmp_path / "deliveries.sqlite"
    with serving_own(store) as url:
        deliver(url, payload(1), Outreach_Webhook_ID="a")
        deliver(url, payload(2), Outreach_Webhook_ID="a")

    assert webhooks.read(store)[["resource_id", "repeats"]].to_numpy().tolist() == [["1", 0], ["2", 0]]


def test_a_store_of_the_first_version_is_read_and_written(tmp_path):
    store = tmp_path / "deliveries.sqlite"
    with closing(sqlite3.connect(store, isolation_level=None)) as old:
        old.execute(
            "create table delivery (number integer primary key, digest text not null unique,"
            " received_at text not null, body blob not null)"
        )
        body = payload(1)
        row = (hashlib.sha256(body).hexdigest(), "2026-01-05T10:00:00+00:00", body)
        old.execute("insert into delivery (digest, received_at, body) values (?, ?, ?)", row)
    assert webhooks.read(store)["repeats"].tolist() == [0]

    with closing(DeliveryStore(store)) as kept:
        assert [kept.add(payload(1)), kept.add(payload(2))] == [False, True]
    assert webhooks.read(store)["repeats"].tolist() == [1, 0]


# Those who hold the line


def port_of(url):
    return int(url.rsplit(":", 1)[1].partition("/")[0])


def opened(url, start=b""):
    connection = socket.create_connection(("127.0.0.1", port_of(url)))
    connection.sendall(start)
    return connection


BEGUN = [b"", b"POST /hooks HTTP/1.1\r\nHost: x\r\n", b"POST /hooks HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\na"]


@pytest.mark.parametrize("start", BEGUN, ids=["silent", "in its headers", "in its body"])
def test_a_connection_without_a_whole_request_is_closed(tmp_path, monkeypatch, start):
    monkeypatch.setattr(receiver_app, "REQUEST_TIMEOUT_S", 0.5)
    monkeypatch.setattr(receiver_app, "REQUEST_TIMEOUT_S", 0.5)
    with serving_own(tmp_path / "deliveries.sqlite") as url, opened(url, start) as slow:
        slow.settimeout(5)
        assert _ended(slow)


def test_a_connection_that_trickles_is_closed_too(tmp_path, monkeypatch):
    """Uvicorn's own time limit begins anew with every byte."""
    monkeypatch.setattr(receiver_app, "REQUEST_TIMEOUT_S", 0.5)
    with serving_own(tmp_path / "deliveries.sqlite") as url, opened(url, BEGUN[1]) as slow:
        slow.settimeout(0.1)
        started, ended = time.monotonic(), False
        while not ended and time.monotonic() - started < 5:
            ended = _ended(slow, b"a")
        assert ended


def _ended(connection, sent=b""):
    """Tell whether the other side has closed a connection, without an answer."""
    try:
        connection.sendall(sent)
        answer = connection.recv(1000)
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    assert answer == b""
    return True


def test_three_hundred_slow_connections_keep_nobody_out(tmp_path):
    """The oldest of them goes; an answer of 503 would count as a delivery."""
    with serving_own(tmp_path / "deliveries.sqlite") as url:
        slow = [opened(url, BEGUN[number % 3]) for number in range(300)]
        try:
            assert [deliver(url, payload(number)) for number in range(20)] == [200] * 20
            assert sum(_closed_by_now(each) for each in slow) >= 200
        finally:
            for each in slow:
                each.close()


def _closed_by_now(connection):
    connection.settimeout(0.01)
    return _ended(connection)


def test_two_deliveries_on_one_connection_each_have_their_time(tmp_path, monkeypatch):
    monkeypatch.setattr(receiver_app, "REQUEST_TIMEOUT_S", 1.0)
    with serving_own(tmp_path / "deliveries.sqlite") as url, requests.Session() as session:
        for number in range(4):
            headers = {HEADER: sign(payload(number))}
            assert session.post(url, data=payload(number), headers=headers, timeout=5).status_code == 200
            time.sleep(0.4)


# The command

PROGRAM = "from outreach_frames.cli import main; main()"
SERVE = ["webhooks", "serve"]


@contextmanager
def command(store, *arguments, **options):
    """Start ``outreach-frames webhooks serve``; end it by Ctrl-C."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *SERVE, "--port", "0", "--store", str(store), *arguments],
        env={**os.environ, "OUTREACH_WEBHOOK_SECRET": SECRET},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    with process:
        try:
            yield process.stdout.readline().split()[2] + "hooks", process
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)


def test_the_command_receives_until_it_is_interrupted(tmp_path):
    with command(tmp_path / "deliveries.sqlite") as (url, process):
        assert deliver(url, payload(1)) == 200

    assert process.returncode == 0
    assert len(webhooks.read(tmp_path / "deliveries.sqlite")) == 1


def in_use(_folder):
    taken = socket.create_server(("127.0.0.1", 0))
    return taken, ["--port", str(taken.getsockname()[1])]


def elsewhere(_folder):
    return nullcontext(), ["--host", "192.0.2.1"]  # RFC 5737: nobody's address


def no_host(_folder):
    return nullcontext(), ["--host", "no..host"]


def no_store(folder):
    (folder / "notes.txt").write_text("Nothing of a database. " * 100)
    return nullcontext(), ["--store", folder / "notes.txt"]


def no_folder(folder):
    (folder / "file").touch()
    return nullcontext(), ["--store", folder / "file" / "deliveries.sqlite"]


def locked(folder):
    make(folder / "deliveries.sqlite")
    return held(folder / "deliveries.sqlite"), []


@pytest.mark.parametrize("hindrance", [in_use, elsewhere, no_host, no_store, no_folder, locked])
def test_what_keeps_it_from_starting_is_told_in_a_sentence(tmp_path, hindrance):
    hold, arguments = hindrance(tmp_path)
    given = ["--store", tmp_path / "deliveries.sqlite", "--port", "0", *arguments]
    with hold:
        result = CliRunner().invoke(main, [*SERVE, *map(str, given)], env={"OUTREACH_WEBHOOK_SECRET": SECRET})

    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert result.output.startswith("Error: ")
    assert "Receiving" not in result.output


# With a sender that behaves as Outreach does


@pytest.mark.slow
def test_hundreds_of_deliveries_outlast_a_store_that_is_locked_for_seconds(tmp_path):
    """Four tries, a second apart, 5 s for an answer, which is all that any status counts as."""
    store = tmp_path / "deliveries.sqlite"
    sent = [payload(number) for number in range(400)]
    with serving_own(store) as url, ThreadPoolExecutor(20) as senders:
        assert deliver(url, payload(1000)) == 200
        with held(store):
            outcomes = [senders.submit(attempted, url, body) for body in sent]
            time.sleep(4)
        assert {outcome.result() for outcome in outcomes} == {("delivered", 200)}

    assert len(webhooks.read(store)) == 1 + len(sent)


def attempted(url, body):
    delivery = WebhookDelivery(
        webhook=1, event="task.completed", url=url, body=body, headers={HEADER: sign(body)}, at=datetime.now(UTC)
    )
    send(delivery, loopback=True, wait=time.sleep)
    return delivery.outcome, delivery.status
