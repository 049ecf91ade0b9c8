"""The token: fresh before it is needed, renewed once after a refusal, by one of many."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from requests import PreparedRequest

from outreach_frames._auth import MemoryTokenStore, RefreshingTokenAuth, Secrets, Token
from outreach_frames._http import Session, TokenEndpoint, Waiter
from outreach_frames.errors import AuthError, RateLimitError, ServerError, TransportError
from tests.auth.token_server import CLIENT_SECRET

TWO_HOURS = 7200


@pytest.fixture
def token_auth(signed_in, exchange, clock) -> RefreshingTokenAuth:
    """Return what signs requests of the signed-in profile."""
    return signed_in.token_auth(exchange=exchange, clock=clock, wait=clock.sleep)


def signed(token_auth: RefreshingTokenAuth) -> PreparedRequest:
    """Sign an empty request."""
    request = PreparedRequest()
    request.prepare(method="GET", url="https://api.outreach.io/")
    return token_auth(request)


def test_a_fresh_token_is_used_without_asking(token_auth, authority) -> None:
    """It lasts two hours."""
    assert signed(token_auth).headers["Authorization"] == "Bearer access-token-1-secret"
    assert authority.forms == []


def test_a_token_is_refreshed_ahead_of_its_expiry(token_auth, authority, clock) -> None:
    """A request that waits in a queue must not arrive with a token that has just expired."""
    clock.now += TWO_HOURS - 100 - 119

    assert token_auth.token().access == "access-token-2-secret"
    assert authority.forms == [
        {
            "grant_type": "refresh_token",
            "refresh_token": "refresh-token-1-secret",
            "client_id": "client",
            "client_secret": CLIENT_SECRET,
            "redirect_uri": "https://example.com/callback",
        }
    ]


def test_a_short_lived_token_is_not_refreshed_all_the_time(authority, token_auth, clock) -> None:
    """Two minutes ahead of a one-minute life would be always."""
    authority.life = 50.0
    clock.now += TWO_HOURS

    token_auth.token()
    clock.now += 40
    token_auth.token()

    assert len(authority.forms) == 1


def test_the_rotated_token_is_saved_before_it_is_used(token_auth, clock, authority) -> None:
    """The old refresh token is dead: whoever loses the new one must sign in again."""
    clock.now += TWO_HOURS

    token_auth.token()
    clock.now += TWO_HOURS

    assert token_auth._store.load().token.refresh == "refresh-token-2-secret"
    token_auth.token()
    assert [form["refresh_token"] for form in authority.forms] == ["refresh-token-1-secret", "refresh-token-2-secret"]


def test_a_token_store_that_cannot_be_written_is_found_out_before_the_old_token_is_used_up(
    signed_in, token_auth, clock, authority, monkeypatch
) -> None:
    """A full disk must not cost the sign-in."""
    clock.now += TWO_HOURS
    monkeypatch.setattr(os, "fsync", _disk_is_full)

    with pytest.raises(AuthError, match="cannot be saved"):
        token_auth.token()

    assert authority.forms == []
    assert signed_in.names() == ["default"]


def _disk_is_full(_: int) -> None:
    raise OSError(28, "No space left on device")


def test_a_refused_token_is_renewed_once(authority, signed_in, exchange, clock, tmp_path) -> None:
    """A token can be revoked before it expires; the request then goes through."""
    authority.access.clear()
    session = _session(
        authority, signed_in.token_auth(exchange=exchange, clock=clock, wait=clock.sleep), clock, tmp_path
    )

    assert session.get("/users").status == 200
    assert (authority.refused_reads, len(authority.forms)) == (1, 1)
    session.close()


def test_a_token_that_stays_refused_ends_in_an_auth_error(authority, signed_in, exchange, clock, tmp_path) -> None:
    """Once: a loop would use up the day's tokens."""
    session = _session(
        authority, signed_in.token_auth(exchange=exchange, clock=clock, wait=clock.sleep), clock, tmp_path
    )
    authority.revokes_all = True

    with pytest.raises(AuthError, match="Sign in again"):
        session.get("/users")

    assert len(authority.forms) == 1
    session.close()


def _session(authority, token_auth, clock, folder) -> Session:
    return Session(
        authority.base_url,
        token_auth,
        account="a",
        cache_dir=folder,
        waiter=Waiter(clock, clock.sleep),
        spread=lambda: 0.0,
    )


def test_a_token_that_somebody_else_renewed_is_taken_up(signed_in, exchange, clock, authority) -> None:
    """Two threads are refused with the same token: the second finds the new one."""
    token_auth = signed_in.token_auth(exchange=exchange, clock=clock, wait=clock.sleep)
    first, second = signed(token_auth), signed(token_auth)

    assert token_auth.renew(first)
    assert token_auth.renew(second)

    assert len(authority.forms) == 1
    assert token_auth.token().access == "access-token-2-secret"


def test_the_wait_for_a_new_token_is_kept(token_auth, clock, authority) -> None:
    """The API gives one token a minute and answers 429 otherwise."""
    clock.now += TWO_HOURS
    token_auth.token()

    token_auth.renew(signed(token_auth))

    assert clock.slept == [60]
    assert len(authority.forms) == 2


def test_a_429_of_the_endpoint_is_waited_out(token_auth, clock, authority) -> None:
    """Another machine of the same user may have had one just now."""
    clock.now += TWO_HOURS
    authority.minted_at = clock() - 40

    assert token_auth.token().access == "access-token-2-secret"
    assert sum(clock.slept) >= 20


def test_an_ended_sign_in_says_so(token_auth, clock, authority) -> None:
    """Refresh tokens last 14 days, or until an administrator says otherwise; the description is not repeated."""
    clock.now += TWO_HOURS
    authority.refresh.clear()

    with pytest.raises(AuthError, match="has ended") as caught:
        token_auth.token()

    assert "outreach-frames login" in str(caught.value)
    assert "refresh-token" not in str(caught.value)


def test_a_wrong_client_secret_says_so(signed_in, exchange, clock) -> None:
    """Somebody renewed the app's secret."""
    token_auth = signed_in.token_auth(exchange=exchange, client_secret="wrong", clock=clock)
    clock.now += TWO_HOURS

    with pytest.raises(AuthError, match="client id or secret is wrong"):
        token_auth.token()


@pytest.mark.parametrize("status", [500, 503])
def test_an_endpoint_that_fails_is_not_a_refusal(token_auth, clock, authority, status) -> None:
    """The sign-in is still good; nobody should be told to sign in again."""
    clock.now += TWO_HOURS
    authority.status = status

    with pytest.raises(ServerError):
        token_auth.token()


def test_an_endpoint_out_of_reach_is_a_transport_error(signed_in, authority, clock) -> None:
    """Nor here."""
    elsewhere = TokenEndpoint("http://127.0.0.1:9/api/v2", waiter=Waiter(clock, clock.sleep))
    clock.now += TWO_HOURS

    with pytest.raises(TransportError):
        signed_in.token_auth(exchange=elsewhere, clock=clock).token()

    assert authority.forms == []


def test_without_a_refresh_token_the_end_is_the_end(clock) -> None:
    """Nothing is asked."""
    secrets = Secrets(Token("access", None, clock(), clock() + 10), CLIENT_SECRET)
    token_auth = RefreshingTokenAuth(MemoryTokenStore(secrets), _never, clock=clock, wait=clock.sleep)
    clock.now += 100

    with pytest.raises(AuthError, match="unexpected"):
        token_auth.token()


def _never(_: Secrets) -> Token:
    raise AuthError("unexpected")


def test_eight_threads_with_an_expired_token_make_one_refresh(token_auth, clock, authority) -> None:
    """With rotating tokens two well-known libraries failed seven times of eight."""
    clock.now += TWO_HOURS

    with ThreadPoolExecutor(8) as pool:
        tokens = {token.access for token in pool.map(lambda _: token_auth.token(), range(32))}

    assert tokens == {"access-token-2-secret"}
    assert len(authority.forms) == 1


READERS = """
import sys, pathlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from outreach_frames._auth import Profiles
from outreach_frames._http import Session, TokenEndpoint
base_url, folder, now = sys.argv[1], pathlib.Path(sys.argv[2]), float(sys.argv[3])
profiles = Profiles(folder)
token_auth = profiles.token_auth(exchange=TokenEndpoint(base_url), clock=lambda: now)
session = Session(base_url, token_auth, account=profiles.load().account, cache=False, cache_dir=folder)
print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(8) as pool:
    print(*pool.map(lambda n: session.get(f"/users/{n}").status, range(16)))
"""


def test_eight_threads_in_two_processes_with_an_expired_token_make_one_refresh(
    signed_in, clock, authority, tmp_path
) -> None:
    """No read is refused, and nobody is signed out."""
    clock.now += TWO_HOURS
    command = [sys.executable, "-c", READERS, authority.base_url, str(tmp_path / "data"), str(clock.now)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in processes:
        process.stdout.readline()

    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    seen = [process.communicate(timeout=60)[0].split() for process in processes]

    assert seen == [["200"] * 16] * 2
    assert (len(authority.forms), authority.refused_reads) == (1, 0)
    assert signed_in.names() == ["default"]


def test_another_persons_sign_in_is_not_taken_up(signed_in, token_auth, clock, authority) -> None:
    """Their token would fill this account's cache with answers that this person may not see."""
    token = Token("theirs", "r", clock(), clock() + TWO_HOURS)
    signed_in.save("default", authority.app, token, CLIENT_SECRET)
    clock.now += TWO_HOURS

    with pytest.raises(AuthError, match="holds another sign-in"):
        token_auth.token()


def test_a_sign_out_ends_running_connections_at_the_next_renewal(signed_in, token_auth, clock) -> None:
    """There is nothing left to renew with."""
    token_auth.token()
    signed_in.remove()
    clock.now += TWO_HOURS

    with pytest.raises(AuthError, match="There is no sign-in"):
        token_auth.token()


def test_nothing_shows_a_secret(token_auth, signed_in) -> None:
    """Objects end up in tracebacks, logs and notebooks."""
    token = token_auth.token()
    secrets = Secrets(token, CLIENT_SECRET)
    shown = f"{token!r} {secrets!r} {token_auth!r} {signed_in.load()!r} {[secrets]}"

    assert token.access not in shown
    assert token.refresh not in shown
    assert CLIENT_SECRET not in shown


def test_the_throttle_gives_up_when_the_endpoint_keeps_saying_429(token_auth, clock, authority) -> None:
    """Then it is the budget that is spent, not the sign-in."""
    clock.now += TWO_HOURS
    authority.status = 429

    with pytest.raises(RateLimitError):
        token_auth.token()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_child_forked_during_a_refresh_does_not_wait_for_ever(clock) -> None:
    """The thread that holds the lock is not in the child; with a token of its own it can go on there."""
    expired = Token("access", "refresh", clock() - TWO_HOURS, clock() - 1)
    entered, go_on = threading.Event(), threading.Event()

    def next_token(_: Secrets) -> Token:
        if os.getpid() == parent:
            entered.set()
            go_on.wait(60)
        return Token("new", "next", clock(), clock() + TWO_HOURS)

    parent = os.getpid()
    token_auth = RefreshingTokenAuth(MemoryTokenStore(Secrets(expired)), next_token, clock=clock, wait=clock.sleep)
    refreshing = threading.Thread(target=token_auth.token)
    refreshing.start()
    entered.wait(60)
    child = os.fork()
    if child == 0:
        with ExitStack() as whatever_happens:
            whatever_happens.callback(os._exit, 1)
            signal.alarm(30)
            os._exit(0 if token_auth.token().access == "new" else 1)
    go_on.set()
    refreshing.join()

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
