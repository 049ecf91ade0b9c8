"""Tokens that expire, rotate, get lost or are refused, among threads and processes; and a budget shared by threads."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

import outreach_frames as of
from outreach_frames import connections
from outreach_frames._auth import (
    MemoryTokenStore,
    RefreshingTokenAuth,
    Secrets,
    ServerApp,
    find_installation,
    installation_refresher,
)
from outreach_frames._http import TokenEndpoint, Waiter
from outreach_frames.errors import AuthError, OutreachError, RateLimitError
from tests.trust.trust_setting import app_key, connect, keep_profile, rows, signed_in, token_auth, true_rows

FOUR_THREADS = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import outreach_frames as of
from outreach_frames._auth import Profiles
from outreach_frames.client import Client
from outreach_frames._http import Session, TokenEndpoint, Waiter
url, folder, first = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
token_auth = Profiles(folder).token_auth(exchange=TokenEndpoint(url))
with Client(Session(url, token_auth, account="someone", cache_dir=folder / "cache")) as org:
    print("ready", flush=True)
    sys.stdin.readline()
    with ThreadPoolExecutor(4) as pool:
        names = list(pool.map(lambda n: str(of.fetch_one(org, "accounts", n)["name"]), range(first, first + 8)))
print(json.dumps(names))
"""


def in_two_processes(program: str, *arguments: list[str]) -> list[str]:
    """Run a program twice side by side, with its own arguments each, from the same moment on; return what each says."""
    with ExitStack() as running:
        both = [
            running.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", program, *each], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            for each in arguments
        ]
        try:
            for one in both:
                assert one.stdout.readline() == "ready\n"
            for one in both:
                one.stdin.write("go\n")
                one.stdin.flush()
            return [one.communicate(timeout=60)[0] for one in both]
        finally:
            for one in both:
                one.kill()


def asked_for_tokens(sandbox) -> list[int]:
    """Return how each request for a token was answered."""
    return [record.status for record in sandbox.requests if record.path == "/oauth/token"]


@pytest.mark.parametrize(
    ("said_lifetime", "refused"), [(-1.0, 0), (3600.0, 8)], ids=["expired by its own word", "expired unexpectedly"]
)
def test_eight_threads_in_two_processes_with_an_expired_token_make_one_refresh(
    punctual, tmp_path, said_lifetime, refused
):
    """With rotating tokens a second refresh is refused, and so would be whoever made it; two libraries fail 7 of 8."""
    keep_profile(punctual, tmp_path, lifetime=-1.0, said_lifetime=said_lifetime)

    said = in_two_processes(
        FOUR_THREADS, [punctual.base_url, str(tmp_path), "1"], [punctual.base_url, str(tmp_path), "9"]
    )

    assert [json.loads(each) for each in said] == [
        [f"Account {n}" for n in range(1, 9)],
        [f"Account {n}" for n in range(9, 17)],
    ]
    assert asked_for_tokens(punctual) == [200]
    statuses = [record.status for record in punctual.requests if record.is_data]
    assert statuses.count(200) == 16
    assert statuses.count(401) <= refused
    assert len(statuses) == statuses.count(200) + statuses.count(401)


@pytest.mark.parametrize("form", ["epoch", "delta", "iso", "pair"])
def test_seventy_requests_at_twenty_per_two_seconds_from_eight_threads_meet_no_429(sandbox, tmp_path, form):
    """A 429 on the wire is a request wasted; retrying after the fact makes dozens of them."""
    sandbox.settings.rate_limit, sandbox.settings.rate_window_s = 20, 2.0
    sandbox.settings.rate_headers = form
    began = sandbox.seconds()

    with connect(sandbox, tmp_path, signed_in(sandbox, tmp_path), cache=False) as org, ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda n: of.fetch_one(org, "accounts", n % 23 + 1)["name"], range(70)))

    assert names == [f"Account {n % 23 + 1}" for n in range(70)]
    assert [record.status for record in sandbox.requests] == [200] * 70
    assert sandbox.seconds() - began >= 3 * 2.0


def test_a_wait_can_be_declined(sandbox, tmp_path):
    """A service would rather be told when to come back than hang for an hour."""
    sandbox.settings.rate_limit = 3

    with connect(sandbox, tmp_path, signed_in(sandbox, tmp_path), max_wait=60) as org:
        with pytest.raises(RateLimitError) as caught:
            of.fetch(org, "accounts", page_size=5)
        assert 3500 < caught.value.resets_at.timestamp() - sandbox.seconds() <= 3605
        sandbox.advance(3605)
        assert rows(of.fetch(org, "accounts", page_size=5)) == true_rows(sandbox)

    assert [record.status for record in sandbox.requests] == [200] * 5


def test_a_token_is_refreshed_before_it_expires(sandbox, tmp_path):
    """A walk across the expiry meets no 401 at all."""
    with connect(sandbox, tmp_path, signed_in(sandbox, tmp_path), cache=False) as org:
        for _ in range(12):
            of.fetch_one(org, "accounts", 1)
            sandbox.advance(1_500)

    assert asked_for_tokens(sandbox) == [200, 200]
    assert 401 not in [record.status for record in sandbox.requests]


def test_waiting_for_a_new_token_shows_like_any_other_wait(sandbox, monkeypatch):
    """One token a minute: a minute in which nothing seems to happen is taken for a hang."""
    waiter = Waiter(sandbox.seconds, sandbox.advance)
    monkeypatch.setattr(connections, "Waiter", lambda: waiter)
    keep_profile(sandbox, None, lifetime=-1.0)
    told = []

    waiter.listeners.append(told.append)
    with of.connect() as org:
        of.fetch_one(org, "accounts", 1)
        assert told == []
        sandbox.faults.add(path="/accounts", revokes_token=True)
        assert len(of.fetch(org, "accounts")) == 23

    assert max(told) == pytest.approx(60.0, abs=5.0)
    assert told[-1] == 0.0


@pytest.mark.parametrize("old", ["invalid", "valid"])
def test_a_refresh_whose_answer_is_lost_ends_in_a_sentence_or_a_token(sandbox, tmp_path, old):
    """The server has rotated the token and the client does not know the new one: only the vendor's rule can save it."""
    sandbox.settings.rotated_refresh_token = old
    fault = sandbox.faults.add(path="/oauth/token", delivery="cut")

    with connect(sandbox, tmp_path, signed_in(sandbox, tmp_path, lifetime=-1.0)) as org:
        if old == "valid":
            assert len(of.fetch(org, "accounts")) == 23
        else:
            with pytest.raises(AuthError, match="Sign in again"):
                of.fetch(org, "accounts")

    assert fault.used == 1


@pytest.mark.parametrize("status", [400, 401])
def test_a_refresh_token_rotated_away_ends_in_a_sentence(sandbox, tmp_path, status):
    """Another program has used it, or 14 days have passed."""
    sandbox.settings.bad_grant_status = status
    token = keep_profile(sandbox, tmp_path, lifetime=-1.0)
    sandbox.oauth.end(token.refresh)

    with (
        connect(sandbox, tmp_path, token_auth(sandbox, tmp_path)) as org,
        pytest.raises(AuthError, match="Sign in again"),
    ):
        of.fetch(org, "accounts")

    assert asked_for_tokens(sandbox) == [status]
    assert sandbox.data_requests == 0


def test_an_app_signs_in_by_itself_and_is_told_where_its_organization_lives(sandbox, tmp_path):
    """Checked by the sandbox with its own reading of the token, against the registered key."""
    private, public = app_key()
    guid = sandbox.installs.register_key(public)
    setup_token = sandbox.installs.setup_token(sandbox.installs.install(guid))
    app = ServerApp(guid, private)
    exchange = TokenEndpoint(sandbox.base_url, waiter=Waiter(sandbox.seconds, sandbox.advance))

    found = find_installation(app, setup_token, exchange=exchange, clock=sandbox.seconds)
    next_token = installation_refresher(app, found.id, exchange=exchange, clock=sandbox.seconds)
    sign = RefreshingTokenAuth(MemoryTokenStore(Secrets()), next_token, clock=sandbox.seconds, wait=sandbox.advance)
    with connect(sandbox, tmp_path, sign, cache=False) as org:
        assert len(of.fetch(org, "accounts")) == 23
        sandbox.advance(4_000)
        assert len(of.fetch(org, "accounts")) == 23

    assert found.api == sandbox.base_url
    assert len([record for record in sandbox.requests if record.path.endswith("/actions/accessToken")]) == 2


@pytest.mark.parametrize("host", ["https://evil.example/api/v2", "http://api.outreach.io/api/v2", "nonsense"])
def test_an_app_that_is_sent_to_another_host_sends_no_token_there(punctual, host):
    """The organization's own address comes in a reply, which is data from outside."""
    private, public = app_key()
    guid = punctual.installs.register_key(public)
    installation = punctual.installs.install(guid)
    with of.connect_server(guid, private, installation, base_url=punctual.base_url, cache=False) as org:
        assert len(of.fetch(org, "accounts")) == 23
    punctual.settings.links_base_url = host
    punctual.clear_log()

    with (
        pytest.raises(OutreachError),
        of.connect_server(guid, private, installation, base_url=punctual.base_url) as org,
    ):
        of.fetch(org, "accounts")

    assert punctual.data_requests == 0


@pytest.fixture
def endpoints_closed(monkeypatch) -> list[TokenEndpoint]:
    """Return the connections to where tokens come from that were closed since."""
    closed = []
    close = TokenEndpoint.close
    monkeypatch.setattr(TokenEndpoint, "close", lambda self: (closed.append(self), close(self)))
    return closed


def test_the_connection_to_where_tokens_come_from_ends_with_the_client(punctual, tmp_path, endpoints_closed):
    """A program that connects again and again would otherwise run out of sockets."""
    keep_profile(punctual, None, name="ana", lifetime=-1.0)
    private, public = app_key()
    guid = punctual.installs.register_key(public)
    installation = punctual.installs.install(guid)
    app = {"base_url": punctual.base_url, "cache_dir": tmp_path}

    with of.connect(profile="ana", cache_dir=tmp_path), of.connect_server(guid, private, installation, **app):
        assert not endpoints_closed

    assert len(set(endpoints_closed)) == 2
    with pytest.raises(AuthError):
        of.connect_server(guid, app_key()[0], installation, **app)
    assert len(set(endpoints_closed)) == 3


def test_a_clock_that_was_set_back_holds_nobody_for_longer_than_the_throttle(punctual, tmp_path):
    """A sign-in from the future, made before a laptop's clock was corrected, would be waited for."""
    keeping = signed_in(punctual, tmp_path, lifetime=-1.0, said_lifetime=-1.0)
    punctual.advance(-30 * 86_400.0)
    began = punctual.seconds()

    with connect(punctual, tmp_path, keeping) as org:
        assert len(of.fetch(org, "accounts")) == 23

    assert punctual.seconds() - began < 120.0
