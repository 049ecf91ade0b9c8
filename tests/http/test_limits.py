"""The request budget: nobody asks when it is spent; waiting is shown, and can be declined."""

import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from outreach_frames._http import Waiter
from outreach_frames._http.messages import Budget
from outreach_frames._http.rate_limit import RateLimiter
from outreach_frames.errors import MaintenanceError, RateLimitError, ServerError, TransportError
from tests.fake_clock import Clock
from tests.scripted_server import EMPTY, Scripted, error_body

MAINTENANCE = error_body(id="scheduledServerMaintenance", title="Scheduled Server Maintenance")


class Limited:
    """A server's side of a rate limit: so many requests per window of the test's own time."""

    def __init__(self, clock: Clock, limit: int, window: float, form: str = "epoch") -> None:
        self.clock, self.limit, self.window, self.form = clock, limit, window, form
        self.opened, self.spent, self.refused = clock(), 0, 0
        self.lock = threading.Lock()

    def __call__(self, _: object) -> Scripted:
        """Answer one request at a time."""
        with self.lock:
            return self.answer()

    def answer(self) -> Scripted:
        """Count a request and answer it."""
        now = self.clock()
        if now >= self.opened + self.window:
            self.opened, self.spent = now, 0
        self.spent += 1
        reset = self.opened + self.window
        forms = {
            "epoch": str(int(reset)),
            "delta": str(int(reset - now)),
            "iso": datetime.fromtimestamp(reset, UTC).isoformat(timespec="seconds"),
            "http date": datetime.fromtimestamp(reset, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"),
        }
        headers = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": f"{max(0, self.limit - self.spent)}, 19988",
            "X-RateLimit-Reset": forms[self.form],
        }
        if self.spent <= self.limit:
            return Scripted(headers=headers)
        self.refused += 1
        return Scripted(429, error_body(id="rateLimitExceeded"), headers | {"Retry-After": forms[self.form]})


@pytest.mark.parametrize("form", ["epoch", "delta", "iso", "http date"])
def test_seventy_reads_at_twenty_per_two_seconds_from_eight_threads_meet_no_429(server, connect, clock, form) -> None:
    """A 429 on the wire is a request wasted; retrying after the fact made 48 of them."""
    server.respond = limited = Limited(clock, limit=20, window=2.0, form=form)
    session = connect()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: session.get(f"/prospects/{n}"), range(70)))

    assert limited.refused == 0
    assert len(server.requests) == len({answer.url for answer in answers}) == 70


def test_as_long_as_nothing_is_known_one_request_goes_ahead(server, connect, clock) -> None:
    """With three requests left, eight threads that start at once would be turned away five times."""
    server.respond = limited = Limited(clock, limit=3, window=60.0)
    session = connect()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: session.get(f"/prospects/{n}"), range(8)))

    assert limited.refused == 0


def test_cached_answers_cost_nothing_of_the_budget(server, connect, clock) -> None:
    """The gate stands under the cache."""
    server.respond = Limited(clock, limit=1, window=3600.0)
    session = connect(max_wait=0)

    for _ in range(5):
        session.get("/users")

    assert len(server.requests) == 1
    assert session.rate_limit.remaining == 0


def test_waiting_is_declined_with_the_time_to_come_back(server, connect, clock) -> None:
    """A service would rather say so than hang for an hour."""
    server.respond = Limited(clock, limit=1, window=1800.0)
    session = connect(max_wait=60)
    session.get("/users")

    with pytest.raises(RateLimitError, match="max_wait") as caught:
        session.get("/prospects")

    assert caught.value.limit == 1
    assert 1800 <= caught.value.resets_at.timestamp() - clock() <= 1802
    assert len(server.requests) == 1


def test_waits_are_reported_with_the_time_left(server, connect, clock) -> None:
    """A progress bar shows them; the last report is 0."""
    server.respond = Limited(clock, limit=1, window=5.0)
    told = []
    session = connect(waiter=Waiter(clock, clock.sleep, told.append))

    session.get("/users")
    session.get("/prospects")

    assert told == [6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_429_is_waited_out_for_every_method(server, connect, clock, method) -> None:
    """It was turned away, not carried out."""
    server.script = [Scripted(429, error_body(id="rateLimitExceeded"), {"Retry-After": "30"})]
    session = connect()

    answer = session.get("/users") if method == "GET" else session.send("POST", "/prospects", body=b"{}")

    assert answer.body == EMPTY
    assert sum(clock.slept) == 31


def test_a_429_without_headers_backs_off(server, connect, clock) -> None:
    """Headers can be absent."""
    server.script = [Scripted(429, b"")] * 3

    connect().get("/users")

    assert sum(clock.slept) == 0.25 + 0.5 + 1.0


def test_a_429_storm_ends_in_a_typed_error(server, connect) -> None:
    """Ten refusals in a row are a message, not a rhythm."""
    server.respond = lambda _: Scripted(429, error_body(id="rateLimitExceeded"), {"Retry-After": "30"})

    with pytest.raises(RateLimitError):
        connect().get("/users")

    assert len(server.requests) == 10


def test_one_429_holds_all_threads_back(server, connect, clock) -> None:
    """The others would be turned away as well."""
    server.script = [Scripted(429, b"", {"Retry-After": "30"})]
    session = connect()
    seen = []

    def ask(n: int) -> None:
        session.get(f"/users/{n}")
        seen.append(clock())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, range(4)))

    assert len(server.requests) == 5
    assert min(seen) >= 1_800_000_000 + 31


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_maintenance_is_waited_out_for_every_method(server, connect, clock, method) -> None:
    """Announced by its error id, so certainly not carried out; the time is an ISO 8601 one."""
    until = datetime.fromtimestamp(clock() + 120, UTC).isoformat()
    server.script = [Scripted(503, MAINTENANCE, {"Retry-After": until})]
    session = connect()

    answer = session.get("/users") if method == "GET" else session.send("POST", "/prospects", body=b"{}")

    assert answer.body == EMPTY
    assert sum(clock.slept) == 121


def test_long_maintenance_is_raised_with_its_end(server, connect, clock) -> None:
    """Nobody wants a notebook that hangs over night."""
    until = datetime.fromtimestamp(clock() + 8 * 3600, UTC)
    server.script = [Scripted(503, MAINTENANCE, {"Retry-After": until.isoformat()})]

    with pytest.raises(MaintenanceError, match=f"{until:%Y-%m-%d %H:%M:%S}") as caught:
        connect().get("/users")

    assert caught.value.until == until
    assert len(server.requests) == 1


def test_a_503_that_announces_nothing_may_have_been_carried_out(server, connect) -> None:
    """A load balancer answers so when the server behind it was too slow."""
    server.script = [Scripted(503, b"<html>", {"Retry-After": "1"})]

    with pytest.raises(Exception, match="503"):
        connect().send("POST", "/prospects", body=b"{}")

    assert len(server.requests) == 1


def test_waits_do_not_use_up_the_deadline(server, connect) -> None:
    """An hour's wait for the budget is not a server that does not answer."""
    server.script = [Scripted(429, b"", {"Retry-After": "3000"}), Scripted(500, b""), Scripted()]

    assert connect(deadline=100).get("/users").body == EMPTY


def test_closing_ends_a_wait(server, connect, clock) -> None:
    """A worker thread must not outlive its connection by an hour."""
    server.script = [Scripted(429, b"", {"Retry-After": "3000"})]
    session = connect(waiter=Waiter(clock, clock.sleep, lambda _: session.close()))

    with pytest.raises(TransportError, match="closed"):
        session.get("/users")

    assert sum(clock.slept) <= 1


def test_an_unanswered_request_gives_its_place_to_the_next(clock) -> None:
    """Else a dropped connection at the start would block every thread for ever."""
    gate = RateLimiter(clock)
    gate.acquire(clock.sleep)
    waiting = threading.Thread(target=gate.acquire, args=(clock.sleep,))
    waiting.start()

    gate.release(None)
    waiting.join(10)

    assert not waiting.is_alive()


def test_without_any_budget_headers_requests_go_side_by_side(clock) -> None:
    """An API that tells no budget has none to keep."""
    gate = RateLimiter(clock)
    gate.acquire(clock.sleep)
    gate.release(Budget())

    gate.acquire(clock.sleep)
    gate.acquire(clock.sleep)

    assert clock.slept == []


def test_answers_out_of_order_never_raise_the_count(clock) -> None:
    """An answer counts only what the server had seen when it was made."""
    gate = RateLimiter(clock)
    for _ in range(2):
        gate.acquire(clock.sleep)
        gate.release(Budget(100, 50, clock() + 60))
    gate.acquire(clock.sleep)
    gate.release(Budget(100, 47, clock() + 60))
    gate.acquire(clock.sleep)

    gate.release(Budget(100, 49, clock() + 60))

    assert gate.window.remaining == 46


def test_an_answer_of_the_last_window_says_nothing_of_this_one(clock) -> None:
    """It was on its way when the window ended."""
    gate = RateLimiter(clock)
    gate.acquire(clock.sleep)
    gate.release(Budget(100, 80, clock() + 60))
    gate.acquire(clock.sleep)

    gate.release(Budget(100, 1, clock() - 3540))

    assert gate.window.remaining == 79


def test_the_budget_is_shared_by_two_connections_of_an_account(server, connect, clock) -> None:
    """Both spend the same hourly budget."""
    server.respond = limited = Limited(clock, limit=4, window=60.0)
    first, second = connect(cache=False), connect(cache=False)

    for n in range(6):
        (first if n % 2 else second).get("/users")

    assert limited.refused == 0
    assert sum(clock.slept) == 61


def test_the_budget_is_shared_by_processes_through_a_file(clock, tmp_path) -> None:
    """A notebook and a nightly job of the same user."""
    path = tmp_path / "budget"
    gate = RateLimiter(clock, path)
    gate.acquire(clock.sleep)
    gate.release(Budget(100, 10, clock() + 60))
    program = (
        "import sys, pathlib; from outreach_frames._http.rate_limit import RateLimiter;"
        f"gate = RateLimiter(lambda: {clock()}, pathlib.Path(sys.argv[1]));"
        "[gate.acquire(print) for _ in range(10)]; print(gate.window.remaining)"
    )

    output = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True).stdout

    assert output.split() == ["0"]
    assert gate.window.remaining == 0
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"limit": "many"}', b'{"unknown": 1}', b"\xff"])
def test_a_damaged_budget_file_counts_as_nothing_known(clock, tmp_path, content) -> None:
    """Kill -9 can leave half a file."""
    path = tmp_path / "budget"
    path.write_bytes(content)
    gate = RateLimiter(clock, path)

    gate.acquire(clock.sleep)
    gate.release(Budget(100, 10, clock() + 60))

    assert gate.window.remaining == 10


def test_a_budget_file_that_cannot_be_written_leaves_each_process_its_own(clock, tmp_path) -> None:
    """A read-only home folder must not stop requests."""
    gate = RateLimiter(clock, tmp_path / "missing" / "budget")
    (tmp_path / "missing").write_text("a file where the folder should be")

    gate.acquire(clock.sleep)
    gate.release(Budget(100, 10, clock() + 60))

    assert gate.window.remaining == 10
    assert json.dumps(gate.window.limit) == "100"


FAR = 80_000


@pytest.mark.parametrize("header", ["Retry-After", "X-RateLimit-Reset"])
def test_one_header_locks_nobody_out(server, connect, clock, header) -> None:
    """A mistake of the server's kept every process of the account out for 22 hours."""
    headers = {header: str(FAR), "X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "0"}
    server.script = [Scripted(429, error_body(id="rateLimitExceeded"), headers), Scripted(headers=headers)]
    with pytest.raises(RateLimitError) as caught:
        connect().get("/users")

    for session in (connect(), connect()):
        session.get("/prospects")
        session.get("/accounts", refresh=True)

    assert caught.value.resets_at.timestamp() == clock() + FAR
    assert sum(clock.slept) == 0


@pytest.mark.parametrize(
    "planted",
    [
        {"limit": 1, "remaining": 0, "resets_at": 1_800_000_000.0 + FAR, "stated_at": 1_800_000_000.0},
        {"limit": 1, "remaining": 0, "resets_at": 1e300},
        {"limit": 0, "remaining": 0},
        {"limit": -5, "remaining": -5, "taken_at": 1_800_000_000.0 + FAR},
        {"limit": int("9" * 400), "remaining": int("9" * 400)},
    ],
)
def test_one_planted_budget_locks_nobody_out(server, connect, clock, tmp_path, planted) -> None:
    """It is a file, and anybody's mistake may be in it."""
    server.respond = Limited(clock, limit=100, window=3600.0)
    connect().get("/users")
    (path,) = tmp_path.rglob("*.budget")
    path.write_text(json.dumps(planted))

    session = connect()
    for n in range(5):
        session.get(f"/users/{n}")

    assert sum(clock.slept) == 0


def test_a_clock_set_back_makes_no_wait_longer(clock) -> None:
    """A pause of a second took an hour, measured by a clock that anybody may set."""
    waiter = Waiter(lambda: clock.now - 3600 * len(clock.slept), clock.sleep, timer=clock)

    waiter.wait(3.0)

    assert sum(clock.slept) == 3


def test_the_machines_own_waits_are_measured_by_a_clock_that_nobody_sets() -> None:
    """The wall clock is for instants that others name."""
    before = time.monotonic()

    assert before <= Waiter().elapsed() <= time.monotonic()


@pytest.mark.parametrize("shared", [False, True])
def test_a_clock_set_back_makes_the_budget_unknown(clock, tmp_path, shared) -> None:
    """What was to reopen in a minute would do so in an hour."""
    gate = RateLimiter(clock, tmp_path / "budget" if shared else None)
    gate.acquire(clock.sleep)
    gate.release(Budget(100, 0, clock() + 60))
    clock.now -= 3500

    gate.acquire(clock.sleep)

    assert clock.slept == []


def test_a_deadline_passes_while_the_clock_is_set_back(server, connect, clock) -> None:
    """Else it never comes."""
    server.respond = lambda _: Scripted(500, b"")
    set_back = Waiter(lambda: clock.now - 3600 * len(clock.slept), clock.sleep, timer=clock)

    with pytest.raises(ServerError):
        connect(waiter=set_back, deadline=2.0).get("/users")

    assert sum(clock.slept) <= 2
