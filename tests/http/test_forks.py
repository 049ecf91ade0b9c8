"""Connections, locks, counts and the cache's file belong to one process: a child begins with its own."""

import json
import multiprocessing
import os
import signal
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from outreach_frames._http import Session, Waiter
from outreach_frames._http.messages import Budget
from outreach_frames._http.rate_limit import RateLimiter
from tests.scripted_server import Scripted, Server

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here"),
    # From Python 3.12 on it says so of every such fork; that it works is what is tested.
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]
LIMIT = 30
"""A child that takes longer hangs [s]."""


@pytest.fixture
def live(server: Server, connect: Callable[..., Session]) -> Session:
    """Return a session whose time passes, on a server that answers each question with itself."""
    server.respond = lambda request: Scripted(body=json.dumps(request.path).encode())
    return connect(waiter=Waiter(), timeout=(5.0, 5.0), deadline=10.0)


def ask(session: Session, name: str, times: int = 20) -> list[str]:
    """Ask so many questions; return those that were answered with another's answer, then and from the cache."""
    wrong = []
    for number in range(times):
        path = f"/users/{name}-{number}"
        answers = [session.get(path), session.get(path)]
        wrong += [path for answer in answers if json.loads(answer.body) != f"/api/v2{path}"]
    return wrong


def forked(work: Callable[[], object]) -> int:
    """Do something in a child, which ends in any case; return its process id. Exit code 0: nothing came of it."""
    child = os.fork()
    if child == 0:
        with ExitStack() as whatever_happens:
            whatever_happens.callback(os._exit, 2)
            signal.alarm(LIMIT)
            os._exit(1 if work() else 0)
    return child


def endings(children: list[int]) -> list[int]:
    """Wait for children; return how they ended: 1 wrong, 2 an error, negative a signal (it hung)."""
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


@contextmanager
def threads_that_ask(session: Session) -> Iterator[list[str]]:
    """Let four threads ask without end; yield what they find wrong."""
    wrong: list[str] = []
    ended = threading.Event()

    def go_on(name: str) -> None:
        turn = 0
        while not ended.is_set():
            wrong.extend(ask(session, f"{name}-{turn}", 2))
            turn += 1

    threads = [threading.Thread(target=go_on, args=(f"thread{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield wrong
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def test_parent_and_children_read_their_own_answers(live) -> None:
    """Over a connection that they shared, up to 35 of 600 read the other's, and kept it."""
    ask(live, "before", 2)
    children = [forked(lambda n=n: ask(live, f"child{n}")) for n in range(4)]

    assert ask(live, "parent", 60) == []
    assert endings(children) == [0] * 4


def test_a_child_forked_while_threads_ask_does_not_hang(live) -> None:
    """Of the locks that a thread held at that moment, none would ever be released in the child."""
    with threads_that_ask(live) as wrong:
        ended = [endings([forked(lambda n=n: ask(live, f"child{n}", 3))]) for n in range(15)]

    assert ended == [[0]] * 15
    assert wrong == []


def _in_a_pool(number: int) -> list[str]:
    return ask(_shared[0], f"pool{number}", 10)


_shared: list[Session] = []


def test_a_pool_of_processes_shares_a_session(live) -> None:
    """Multiprocessing and joblib fork by default on Linux."""
    ask(live, "before", 2)
    _shared[:] = [live]
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert pool.map(_in_a_pool, range(12), chunksize=1) == [[]] * 12
    _shared.clear()


def test_what_a_child_asked_is_in_the_cache_for_the_parent(live, server) -> None:
    """Both write to one file, each through its own connection."""
    ask(live, "before", 2)

    assert endings([forked(lambda: ask(live, "child", 5))]) == [0]

    asked = len(server.requests)
    assert ask(live, "child", 5) == []
    assert len(server.requests) == asked


def test_a_child_closes_nothing_of_its_parents(live) -> None:
    """Its session ends; the parent's connection goes on."""
    ask(live, "before", 1)

    assert endings([forked(live.close)]) == [0]

    assert ask(live, "after", 3) == []


def test_requests_under_way_in_the_parent_are_not_in_the_childs_count(clock) -> None:
    """They would hold back the child's first request for ever, where nothing is known of the budget yet."""
    gate = RateLimiter(clock)
    gate.acquire(clock.sleep)

    assert endings([forked(lambda: gate.acquire(clock.sleep))]) == [0]

    gate.release(Budget(100, 50, clock() + 60))
    assert gate.window.remaining == 50


def test_over_tls_too(tmp_path, monkeypatch) -> None:
    """A shared TLS connection breaks for both: each numbers its records by itself."""
    certificate(tmp_path / "tls.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "tls.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.pem")
    with Server(lambda request: Scripted.of(request.path), tls=context) as server:
        session = Session(
            server.base_url.replace("http://", "https://"), lambda r: r, account="a", cache_dir=tmp_path / "cache"
        )
        ask(session, "before", 2)
        children = [forked(lambda n=n: ask(session, f"child{n}", 10)) for n in range(3)]

        assert ask(session, "parent", 30) == []
        assert endings(children) == [0] * 3
        session.close()


def certificate(path: Path) -> None:
    """Write a key and its certificate for this machine, which signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + signed.public_bytes(Encoding.PEM))
