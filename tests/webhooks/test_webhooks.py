import hashlib
import hmac
import json
import socket
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pandas as pd
import pytest
import requests
import uvicorn
from hypothesis import given, strategies as st

from outreach_frames import webhooks
from outreach_frames.errors import DocumentError, OutreachDataWarning, SignatureError, UnknownNameError
from outreach_frames.webhooks.store import DeliveryStore

SECRET = "between us"

VERSION_1 = {
    "data": {
        "type": "task",
        "id": 41,
        "attributes": {"state": "complete", "completedAt": "2026-01-05T10:00:00.000Z"},
        "relationships": {},
    },
    "meta": {"eventName": "task.completed", "deliveredAt": "2026-01-05T10:00:01.412+00:00"},
}
VERSION_2 = {
    "data": {
        "type": "prospect",
        "id": 9,
        "attributes": {"title": "CFO"},
        "relationships": {"owner": {"type": "user", "id": 3}, "account": {"data": {"type": "account", "id": 7}}},
    },
    "beforeUpdate": {"attributes": {"title": "VP"}, "relationships": {"owner": {"type": "user", "id": 2}}},
    "meta": {
        "eventName": "prospect.updated",
        "deliveredAt": "2026-01-05T10:00:01.412+00:00",
        "actor": {"type": "User", "id": 3},
    },
}


def sign(body, secret=SECRET):
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def encode(payload):
    return json.dumps(payload).encode()


@contextmanager
def serving(store, **options):
    """Serve a receiver with a real server on loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        application = webhooks.receiver(store, secret=SECRET, **options)
        server = uvicorn.Server(uvicorn.Config(application, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        listening.listen(128)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/hooks"
        finally:
            server.should_exit = True
            thread.join()


def deliver(url, body, signature):
    headers = {"Content-Type": "application/vnd.api+json"}
    if signature is not None:
        headers["Outreach-Webhook-Signature"] = signature
    return requests.post(url, data=body, headers=headers, timeout=30)


def test_a_published_example_of_the_signature_is_accepted():
    """RFC 4231, test case 2: the algorithm itself, not our own use of it."""
    signature = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"

    webhooks.verify(b"what do ya want for nothing?", signature, secret="Jefe")


@pytest.mark.parametrize("signature", [None, "", "0" * 64, "é", sign(b"body").upper(), sign(b"body", "another")])
def test_every_other_signature_is_refused(signature):
    with pytest.raises(SignatureError) as caught:
        webhooks.verify(b"body", signature, secret=SECRET)

    assert SECRET not in str(caught.value)


def test_text_is_no_body():
    """Read and written again it may have other bytes."""
    with pytest.raises(TypeError, match="in bytes"):
        webhooks.verify('{"data": 1}', "aa", secret=SECRET)


@given(st.binary(min_size=1), st.data())
def test_one_changed_byte_breaks_the_signature(body, data):
    position = data.draw(st.integers(0, len(body) - 1))
    changed = bytearray(body)
    changed[position] ^= data.draw(st.integers(1, 255))

    webhooks.verify(body, sign(body), secret=SECRET)
    with pytest.raises(SignatureError):
        webhooks.verify(bytes(changed), sign(body), secret=SECRET)


def test_both_payload_versions_are_read():
    first, second = webhooks.parse(encode(VERSION_1)), webhooks.parse(encode(VERSION_2))

    assert (first.event, first.resource["id"], first.before, first.actor) == ("task.completed", 41, {}, {})
    assert second.delivered_at == pd.Timestamp("2026-01-05T10:00:01.412Z")
    assert second.before["attributes"] == {"title": "VP"}
    assert second.actor == {"type": "User", "id": 3}


def test_flat_and_wrapped_relationships_read_the_same():
    """Both were seen in the wild."""
    delivery = webhooks.parse(encode(VERSION_2))

    assert delivery.resource["relationships"]["owner"] == {"data": {"type": "user", "id": 3}}
    assert delivery.resource["relationships"]["account"] == {"data": {"type": "account", "id": 7}}
    assert delivery.before["relationships"]["owner"] == {"data": {"type": "user", "id": 2}}


NESTED = encode(VERSION_2).replace(b'"attributes":', b'"links": ' + b"[" * 300 + b"]" * 300 + b', "attributes":', 1)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"data": {}}', b'{"data": 1, "meta": {}}', b"\xff", b"[" * 9999, NESTED]
)
def test_what_is_no_payload_is_a_typed_error(body):
    with pytest.raises(DocumentError):
        webhooks.parse(body)


def test_deliveries_are_stored_once_and_read_back_as_a_frame(tmp_path):
    store = tmp_path / "deliveries.sqlite"
    with serving(store) as url:
        for payload in (VERSION_1, VERSION_2, VERSION_1):
            assert deliver(url, encode(payload), sign(encode(payload))).status_code == 200

    frame = webhooks.read(store)

    assert frame["event"].tolist() == ["task.completed", "prospect.updated"]
    assert frame["resource_id"].tolist() == ["41", "9"]
    assert frame["actor_id"].isna().tolist() == [True, False]
    assert json.loads(frame["before"].iloc[1])["attributes"] == {"title": "VP"}
    assert store.stat().st_mode & 0o777 == 0o600


def test_deliveries_of_one_type_have_its_columns(tmp_path):
    store = tmp_path / "deliveries.sqlite"
    with serving(store) as url:
        for payload in (VERSION_1, VERSION_2):
            deliver(url, encode(payload), sign(encode(payload)))

    tasks, prospects = webhooks.read(store, resource="tasks"), webhooks.read(store, resource="prospect")

    assert tasks["state"].tolist() == ["complete"]
    assert tasks["completed_at"].iloc[0] == pd.Timestamp("2026-01-05T10:00:00Z")
    assert prospects[["title", "owner_id", "account_id"]].iloc[0].tolist() == ["CFO", 3, 7]
    with pytest.raises(UnknownNameError):
        webhooks.read(store, resource="nonsense")


def stored(path, *payloads):
    """Keep deliveries as a receiver does; return where."""
    with closing(DeliveryStore(path)) as store:
        for payload in payloads:
            store.add(encode(payload))
    return path


def about_a_prospect(number, attributes=None, relationships=None, **meta):
    data = {"type": "prospect", "id": number, "attributes": attributes or {}, "relationships": relationships or {}}
    return {"data": data, "meta": {"eventName": "prospect.updated", **meta}}


def test_a_delivery_that_does_not_fit_keeps_no_other_from_being_read(tmp_path):
    """What was stored is stored for good: one odd value would make the store unreadable for ever."""
    linked = {"owner": {"type": "user", "id": "x"}, "account": {"type": "account", "id": 7}}
    store = stored(
        tmp_path / "deliveries.sqlite",
        about_a_prospect(1, {"title": "CFO"}),
        about_a_prospect(2, {"title": "VP", "optedOut": "never", "createdAt": "yesterday"}, linked),
        about_a_prospect("abc", {"title": ["a"]}),
        about_a_prospect(4, {"title": "CEO"}),
    )

    with pytest.warns(OutreachDataWarning, match="2 of 4 deliveries on prospects"):
        frame = webhooks.read(store, resource="prospects")

    assert frame["resource_id"].tolist() == ["1", "2", "abc", "4"]
    assert frame["id"].fillna(0).tolist() == [1, 2, 0, 4]
    assert frame["title"].fillna("").tolist() == ["CFO", "VP", "", "CEO"]
    assert frame["account_id"].fillna(0).tolist() == [0, 7, 0, 0]
    assert frame[["opted_out", "created_at", "owner_id"]].isna().all(axis=None)
    assert [json.loads(told) for told in frame["misfits"].dropna()] == [
        {"optedOut": "never", "createdAt": "yesterday", "owner": {"data": {"type": "user", "id": "x"}}},
        {"id": "abc", "title": ["a"]},
    ]


def test_an_attribute_gives_way_to_a_column_of_the_delivery(tmp_path):
    """A mailing is delivered, and so is the news of it; a frame with one name twice is no table."""
    mailing = {"type": "mailing", "id": 1, "attributes": {"deliveredAt": "2024-01-11T12:00:00Z"}, "relationships": {}}
    meta = {"eventName": "mailing.delivered", "deliveredAt": "2024-01-11T12:00:05Z"}
    store = stored(tmp_path / "deliveries.sqlite", {"data": mailing, "meta": meta})

    frame = webhooks.read(store, resource="mailings")

    assert frame.columns.is_unique
    assert str(frame["delivered_at"].item()) == "2024-01-11 12:00:05+00:00"
    assert str(frame["delivered_at_attribute"].item()) == "2024-01-11 12:00:00+00:00"


def test_the_column_of_misfits_is_there_if_all_fit_and_if_there_are_none(tmp_path):
    """Programs that look at it must not depend on what has come."""
    store = stored(tmp_path / "deliveries.sqlite", VERSION_1)

    for resource, number in (("tasks", 1), ("prospects", 0)):
        frame = webhooks.read(store, resource=resource)
        assert len(frame) == number
        assert frame["misfits"].isna().all()
        assert str(frame["misfits"].dtype) == "string[pyarrow]"


def test_an_odd_actor_is_kept_as_text(tmp_path):
    """It is in a column of text, whatever is sent."""
    store = stored(tmp_path / "deliveries.sqlite", about_a_prospect(1, actor={"type": 5, "id": {"a": 1}}))

    assert webhooks.read(store)[["actor_type", "actor_id"]].iloc[0].tolist() == ["5", '{"a":1}']


def opened(path):
    with closing(DeliveryStore(path)) as store:
        store.open()


def test_a_file_that_is_no_store_is_a_typed_error_and_stays_as_it_is(tmp_path):
    """SQLite's own error is none of this package's, and names no file."""
    other = tmp_path / "notes.txt"
    other.write_text("Nothing of a database. " * 100)
    database = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("create table mine (x)")

    for path, use in ((other, webhooks.read), (database, webhooks.read), (other, opened)):
        with pytest.raises(DocumentError, match=f"{path.name} is no store of deliveries"):
            use(path)
    assert other.read_text().startswith("Nothing of a database.")


def test_what_must_not_be_stored_changes_nothing(tmp_path):
    store = tmp_path / "deliveries.sqlite"
    good = encode(VERSION_1)
    with serving(store) as url:
        assert deliver(url, good, sign(good, "another")).status_code == 401
        assert deliver(url, good, None).status_code == 401
        assert deliver(url, good[:-1] + b" ", sign(good)).status_code == 401
        assert requests.get(url, timeout=30).status_code == 405
        large = b" " * (20 << 20)
        assert _status_or_hang_up(url, large, sign(large)) in {413, None}

    assert webhooks.read(store).empty


def _status_or_hang_up(url, body, signature):
    """Return the status; ``None`` where the server closed the connection on the sender."""
    try:
        return deliver(url, body, signature).status_code
    except requests.ConnectionError:
        return None


def test_a_large_body_of_unknown_length_is_cut_off(tmp_path):
    store = tmp_path / "deliveries.sqlite"

    def chunks():
        yield from (b" " * 65_536 for _ in range(64))

    with serving(store, max_body=100_000) as url:
        assert _status_or_hang_up(url, chunks(), "0" * 64) in {413, None}
        good = encode(VERSION_1)
        assert deliver(url, good, sign(good)).status_code == 200

    assert len(webhooks.read(store)) == 1


def test_the_deliveries_of_twenty_senders_are_all_kept(tmp_path):
    """How long they wait is measured in tests/benchmarks, row "deliveries"."""
    store = tmp_path / "deliveries.sqlite"
    bodies = [encode({**VERSION_1, "data": {**VERSION_1["data"], "id": number}}) for number in range(300)]

    with serving(store) as url, ThreadPoolExecutor(20) as senders:
        answers = senders.map(lambda body: deliver(url, body, sign(body)).status_code, bodies)
        assert set(answers) == {200}

    assert sorted(webhooks.read(store)["resource_id"].astype(int)) == list(range(300))


def test_a_receiver_needs_a_secret(tmp_path):
    with pytest.raises(ValueError, match="secret"):
        webhooks.receiver(tmp_path / "store", secret="")


def test_there_is_nothing_to_read_where_nothing_was_received(tmp_path):
    with pytest.raises(FileNotFoundError):
        webhooks.read(tmp_path / "nowhere.sqlite")
