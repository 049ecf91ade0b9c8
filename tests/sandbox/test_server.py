import gc
import json
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime

import pytest
import requests

from outreach_frames._sandbox import Sandbox, SandboxSettings, server as server_module
from outreach_frames._sandbox.server import LoopbackServer
from tests.sandbox.small_organization import asking, ids, resource, small_organization


def test_stopped_sandbox_no_longer_listens():
    """Leaving the context closes the port; stopping again does nothing."""
    with Sandbox([]) as running:
        port = int(running.base_url.split(":")[2].partition("/")[0])
        assert running.base_url == f"http://127.0.0.1:{port}/api/v2"

    running.stop()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_started_twice_is_a_mistake():
    with Sandbox([]) as running, pytest.raises(RuntimeError, match="already running"):
        running.start()


def test_entering_a_started_sandbox_goes_on_with_it():
    """``of.sandbox`` starts it; a ``with`` around that only makes sure that it stops."""
    started = Sandbox([]).start()
    with started as running:
        assert running is started
        assert asking(running)("/users").status_code == 200


def test_stopped_sandbox_starts_again_with_its_records():
    sandbox = Sandbox([resource("user", 4)])
    for _ in range(2):
        with sandbox:
            assert ids(asking(sandbox)("/users")) == [4]


def test_address_before_the_start():
    with pytest.raises(RuntimeError, match="before start"):
        _ = Sandbox([]).base_url


def test_forgotten_sandbox_stops():
    """Nothing keeps an organization alive that nobody refers to."""
    address = Sandbox([]).start().base_url
    gc.collect()

    with pytest.raises(requests.ConnectionError):
        requests.get(address, timeout=1)


def test_interpreter_exits_though_a_sandbox_runs():
    """A notebook or program that never stops its sandbox still ends, quietly."""
    program = "from outreach_frames._sandbox import Sandbox; s = Sandbox([]).start(); print(s.base_url)"

    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, timeout=30, check=True)

    assert done.stdout.startswith(b"http://127.0.0.1:")
    assert done.stderr == b""


def test_server_is_loaded_only_by_who_starts_one():
    """Importing the package must stay fast."""
    program = "import sys, outreach_frames._sandbox; print(sorted({'uvicorn', 'starlette'} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, check=True)

    assert done.stdout.strip() == b"[]"


def test_small_answers_are_not_held_back():
    """Nagle's algorithm with delayed acknowledgements would cost 40 ms for each answer on a kept connection."""
    with Sandbox(small_organization()) as running, requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {running.token}"
        session.headers["Content-Type"] = "application/vnd.api+json"
        seconds = sorted(session.get(f"{running.base_url}/users").elapsed.total_seconds() for _ in range(30))

    assert seconds[15] < 0.03


def test_many_readers_at_once():
    """Eight threads walk different collections; every answer is whole and every request is in the log."""
    plurals = ["accounts", "prospects", "users", "mailings", "tasks", "events", "sequences", "sequenceSteps"]
    with Sandbox(small_organization()) as running:
        found: dict[str, set[int]] = {}

        def read(plural):
            ask = asking(running)
            found[plural] = {
                len(ids(ask(f"/{plural}?include=owner" if plural == "accounts" else f"/{plural}"))) for _ in range(10)
            }

        threads = [threading.Thread(target=read, args=(plural,)) for plural in plurals]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert {plural: len(lengths) for plural, lengths in found.items()} == dict.fromkeys(plurals, 1)
        assert running.data_requests == 80
        assert running.failures == ()


def test_a_server_that_cannot_start_says_so(monkeypatch):
    """An error in the thread reaches who waits for it."""

    def broken(*_, **__):
        raise OSError("no loop today")

    monkeypatch.setattr(server_module.uvicorn.Server, "run", broken)

    with pytest.raises(RuntimeError, match="did not start") as caught:
        LoopbackServer(lambda *_: None).start()
    assert isinstance(caught.value.__cause__, OSError)


def test_mistakes_of_the_sandbox_itself_are_answered_and_kept():
    """A 500 with a JSON:API body, and the exception for whoever looks into it."""
    with Sandbox([resource("prospect", 1)]) as running:
        running.store.find = None  # type: ignore[assignment]  # broken on purpose

        answer = asking(running)("/prospects/1")

        assert answer.status_code == 500
        assert answer.json()["errors"][0]["id"] == "internalServerError"
        assert [record.status for record in running.requests] == [500]
        assert [type(failure) for failure in running.failures] == [TypeError]


# Resources


def test_resources_from_a_file(tmp_path):
    """A list, a mapping of lists or a JSON:API document, as a path or as itself."""
    user, account = resource("user", 1), resource("account", 2)
    forms = {
        "list": [user, account],
        "mapping": {"users": [user], "accounts": [account]},
        "document": {"data": [user], "included": [account], "meta": {"count": 1}, "links": {}},
        "one": {"data": user, "included": [account]},
    }
    for name, content in forms.items():
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(content), encoding="utf-8")

        for given in (content, path, str(path)):
            assert [
                record.type
                for record in (*Sandbox(given).store.records("user"), *Sandbox(given).store.records("account"))
            ] == ["user", "account"]


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ([{"id": 1}], "resource 0 is not a JSON:API resource object"),
        (["user"], "resource 0 is not a JSON:API resource object"),
        ([{"type": "user"}], r"resource 0 \(user\) has no 'id'"),
        ([{"type": "user", "id": True}], "has no 'id'"),
        ([{"type": "user", "id": 1}, {"type": "user", "id": "1"}], "user '1' occurs twice"),
        ({"users": 5}, r"resources\['users'\] is not a list"),
        ([resource("user", 1) | {"relationships": {"teams": {"data": [7]}}}], "relationship 'teams' of user 1"),
    ],
)
def test_resources_that_are_none(resources, message):
    """Refused at once, naming the place: a sandbox never serves a part of what it was given."""
    with pytest.raises(ValueError, match=message):
        Sandbox(resources)


def test_records_can_change_while_the_sandbox_runs():
    """As if someone worked in Outreach: what is put is served, what is removed leaves no trace."""
    with Sandbox([resource("user", 1, {"firstName": "Ana"})]) as running:
        ask = asking(running)
        assert ids(ask("/users")) == [1]

        running.put(resource("user", 2), resource("user", 1, {"firstName": "Bea"}))
        assert ids(ask("/users?filter[firstName]=Bea")) == [1]
        running.remove("user", 1)
        assert ids(ask("/users")) == [2]
        assert ask("/users/1").status_code == 404
        assert running.store.next_id("user") == 3
        with pytest.raises(KeyError):
            running.remove("user", 1)


def test_seeded_organization_lives_on_its_own_day():
    """The same seed means the same records at the same time, whenever it is started."""
    sandbox = Sandbox(prospects=10, seed=1)

    assert sandbox.now() == datetime(2026, 3, 31, tzinfo=UTC)
    assert len(list(sandbox.store.records("prospect"))) == 10


def test_clock_needs_a_time_zone():
    with pytest.raises(ValueError, match="time zone"):
        Sandbox([], as_of=datetime(2026, 3, 31))  # noqa: DTZ001 - the mistake under test


def test_clock_stands_until_the_start():
    as_of = datetime(2026, 3, 31, tzinfo=UTC)

    assert Sandbox([], as_of=as_of).now() == as_of


def test_every_switch_is_explained():
    """One place lists what the vendor leaves open."""
    assert SandboxSettings.__doc__ is not None
    documented = {name.strip() for line in SandboxSettings.__doc__.splitlines() for name in line.split(",")}

    assert set(SandboxSettings.__dataclass_fields__) <= documented
