"""Signing a person in, with the browser played by the test."""

import socket
import threading
import time
import urllib.request
from contextlib import ExitStack, suppress
from importlib import import_module
from threading import Thread
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit

import pytest

from outreach_frames._auth import App, is_loopback_redirect, login, read_redirect
from outreach_frames._auth.login import wait_for_code
from outreach_frames._auth.oauth import challenge_of
from outreach_frames.errors import AuthError
from tests.auth.token_server import CLIENT_SECRET

SCOPES = ["prospects.read", "mailings.read"]
login_module = import_module("outreach_frames._auth.login")  # the package has a function of that name


def _can_listen(address: str) -> bool:
    try:
        socket.create_server((address, 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.fixture
def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


@pytest.fixture
def start(authority, exchange, profiles, clock):
    """Return a login of the authority's app."""

    def run(redirect_uri, *, ask=None, open_browser=lambda _: None, timeout=60):
        app = App("client", redirect_uri, authority.base_url)
        return login(
            app,
            CLIENT_SECRET,
            SCOPES,
            exchange=exchange,
            profiles=profiles,
            ask=ask,
            open_browser=open_browser,
            clock=clock,
            timeout=timeout,
        )

    return run


def state_of(url: str) -> str:
    """Return the state in an address."""
    return parse_qs(urlsplit(url).query)["state"][0]


def test_the_browser_is_sent_to_the_host_with_app_scopes_and_state() -> None:
    """As the portal documents it."""
    app = App("client id", "https://example.com/cb?x=1", "https://api.outreach.io/api/v2")

    url = app.authorize_url(SCOPES, "s/t")

    assert url.startswith("https://api.outreach.io/oauth/authorize?")
    assert parse_qs(urlsplit(url).query) == {
        "client_id": ["client id"],
        "redirect_uri": ["https://example.com/cb?x=1"],
        "response_type": ["code"],
        "scope": ["prospects.read mailings.read"],
        "state": ["s/t"],
    }


def test_the_code_comes_back_to_this_machine(authority, start, profiles, free_port) -> None:
    """Strangers' requests, a browser's for an icon and one with another state do not end the wait."""
    authority.codes.add("the-code")
    redirect = f"http://localhost:{free_port}/callback"
    statuses = []

    def browser(url: str) -> None:
        def visit() -> None:
            for target in (
                "/favicon.ico",
                "/callback",
                "/callback?code=stolen&state=guessed",
                f"/callback?code=the-code&state={state_of(url)}",
            ):
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{free_port}{target}") as answer:
                        statuses.append(answer.status)
                except HTTPError as error:
                    statuses.append(error.code)
                    error.close()

        threading.Thread(target=visit).start()

    profile = start(redirect, open_browser=browser)

    assert profile.scopes == tuple(SCOPES)
    assert authority.forms[-1]["code"] == "the-code"
    assert authority.forms[-1]["redirect_uri"] == redirect
    assert statuses[:3] == [404, 404, 404]
    assert profiles.load() == profile


def test_the_code_can_be_pasted(authority, start, profiles) -> None:
    """Apps may be registered with a redirect that is not this machine."""
    authority.codes.add("the-code")
    opened = []

    start(
        "https://example.com/callback",
        ask=lambda url: f" https://example.com/callback?code=the-code&state={state_of(url)}\n",
        open_browser=opened.append,
    )

    assert profiles.names() == ["default"]
    assert len(opened) == 1


def test_a_declined_sign_in_says_so_at_once(start, free_port) -> None:
    """The person pressed Cancel."""

    def browser(url: str) -> None:
        target = f"http://127.0.0.1:{free_port}/callback?error=access_denied&state={state_of(url)}"
        threading.Thread(target=lambda: urllib.request.urlopen(target).close()).start()

    with pytest.raises(AuthError, match="access was declined"):
        start(f"http://127.0.0.1:{free_port}/callback", open_browser=browser)


def trickling(port: int) -> socket.socket:
    """Connect, and begin a request that does not end."""
    visitor = socket.create_connection(("127.0.0.1", port))
    visitor.sendall(b"GET /callback?code=")
    return visitor


def test_slow_visitors_do_not_hold_the_code_up(free_port) -> None:
    """One of them held the listener, past its patience even."""
    redirect = f"http://127.0.0.1:{free_port}/callback"
    with ExitStack() as visitors:

        def browser() -> None:
            for _ in range(20):
                visitors.enter_context(trickling(free_port))
            Thread(target=visit, args=(f"{redirect}?code=the-code&state=mine",)).start()

        assert wait_for_code(redirect, "mine", ready=browser, timeout=30) == "the-code"


def visit(url: str) -> None:
    """Go to an address."""
    urllib.request.urlopen(url).close()  # noqa: S310  http to this machine


def test_slow_visitors_do_not_outlast_its_patience(free_port) -> None:
    """Nobody is coming any more."""
    began = time.monotonic()
    with ExitStack() as visitors, pytest.raises(AuthError, match="in time"):
        wait_for_code(
            f"http://127.0.0.1:{free_port}/callback",
            "mine",
            ready=lambda: visitors.enter_context(trickling(free_port)),
            timeout=0.3,
        )

    assert time.monotonic() - began < 30


def test_a_slow_visitor_is_sent_away(free_port, monkeypatch) -> None:
    """However steadily it trickles, and however much it pours."""
    monkeypatch.setattr(login_module, "VISIT", 0.3)
    monkeypatch.setattr(login_module._Handler, "timeout", 0.3)
    gone = []

    def visitors() -> None:
        with trickling(free_port) as trickler, suppress(OSError):
            for _ in range(100):
                trickler.sendall(b"x")
                time.sleep(0.02)
        gone.append("trickling")
        with trickling(free_port) as pourer, suppress(OSError):
            for _ in range(10_000):
                pourer.sendall(b"x" * 100_000)
        gone.append("pouring")
        visit(f"http://127.0.0.1:{free_port}/callback?code=the-code&state=mine")

    code = wait_for_code(
        f"http://127.0.0.1:{free_port}/callback", "mine", ready=Thread(target=visitors).start, timeout=30
    )

    assert (code, gone) == ("the-code", ["trickling", "pouring"])


HAS_IPV6 = pytest.mark.skipif(not _can_listen("::1"), reason="this machine has no IPv6")


@HAS_IPV6
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_localhost_is_listened_to_at_both_its_addresses(free_port, host) -> None:
    """Browsers take either; the one left free could be taken by somebody who wants the code."""
    target = f"http://{host}:{free_port}/callback?code=the-code&state=mine"

    code = wait_for_code(
        f"http://localhost:{free_port}/callback", "mine", ready=Thread(target=visit, args=(target,)).start, timeout=30
    )

    assert code == "the-code"


@HAS_IPV6
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_an_address_of_localhost_that_somebody_else_has_is_refused(free_port, address) -> None:
    """The browser might bring the code there."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, free_port), family=family), pytest.raises(AuthError, match="is taken"):
        wait_for_code(f"http://localhost:{free_port}/callback", "state", timeout=1)


def test_nobody_can_listen_beside_it(free_port) -> None:
    """Neither at the same address nor at all addresses."""
    refused = []

    def intrude() -> None:
        for address in ("127.0.0.1", "0.0.0.0"):  # noqa: S104  what an intruder would do
            with pytest.raises(OSError, match="in use"):
                socket.create_server((address, free_port)).close()
            refused.append(address)

    with pytest.raises(AuthError, match="in time"):
        wait_for_code(f"http://localhost:{free_port}/callback", "state", ready=intrude, timeout=0.01)

    assert len(refused) == 2


def test_the_code_is_of_use_to_whoever_asked_for_it_only(authority, start) -> None:
    """PKCE: the verifier is sent with the code, and nothing but its digest was in the browser."""
    authority.codes.add("the-code")
    opened = []

    start("https://example.com/callback", ask=lambda _: "the-code", open_browser=opened.append)

    query = parse_qs(urlsplit(opened[0]).query)
    verifier = authority.forms[-1]["code_verifier"]
    assert 43 <= len(verifier) <= 128
    assert query["code_challenge_method"] == ["S256"]
    assert query["code_challenge"] == [challenge_of(verifier)]
    assert verifier not in opened[0]


def test_the_challenge_is_the_standards() -> None:
    """RFC 7636, appendix B."""
    assert challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.mark.parametrize("redirect", ["http://[::1", "http://localhost:99999/", "http://localhost:port/"])
def test_a_redirect_that_cannot_be_read_says_so(start, redirect) -> None:
    """It comes from the environment or the command line."""
    with pytest.raises(AuthError, match="redirect cannot be read"):
        start(redirect)


def test_a_browser_that_never_comes_back_ends_the_wait(free_port) -> None:
    """Somebody closed the tab."""
    with pytest.raises(AuthError, match="in time"):
        wait_for_code(f"http://127.0.0.1:{free_port}/callback", "state", timeout=0.01)


def test_a_taken_port_says_so() -> None:
    """Another login, or a development server."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(AuthError, match=f"Port {port} .* is taken"):
            wait_for_code(f"http://127.0.0.1:{port}/callback", "state")


def test_a_refused_code_says_so(start, profiles) -> None:
    """Codes last minutes."""
    with pytest.raises(AuthError, match="code was refused"):
        start("https://example.com/callback", ask=lambda _: "stale-code")

    assert profiles.names() == []


@pytest.mark.parametrize(
    "pasted",
    [
        "abc-123_~",
        "https://example.com/cb?code=abc-123_~&state=mine",
        "code=abc-123_~&state=mine",
        "?state=mine&code=abc-123_~",
        "  https://example.com/cb?state=mine&code=abc-123_~#fragment \n",
    ],
)
def test_a_code_is_read_from_whatever_is_pasted(pasted) -> None:
    """People paste the whole address, a part of it, or the code."""
    assert read_redirect(pasted, state="mine") == "abc-123_~"


@pytest.mark.parametrize(
    ("pasted", "said"),
    [
        ("", "no code"),
        ("https://example.com/cb?state=mine", "no code"),
        ("https://example.com/cb?code=x&state=theirs", "another sign-in"),
        ("https://example.com/cb?code=x", "another sign-in"),
        ("https://example.com/cb?error=access_denied&state=mine", "declined"),
        ("https://example.com/cb?error=server_error&state=mine", "refused"),
        ("I could not find it", "another sign-in"),
        ("http://[::1?code=x&state=theirs", "another sign-in"),
        ("http://[::1?state=mine", "no code"),
    ],
)
def test_what_is_no_code_is_refused(pasted, said) -> None:
    """With another state somebody could sign the person into an account of their own."""
    with pytest.raises(AuthError, match=said):
        read_redirect(pasted, state="mine")


@pytest.mark.parametrize(
    ("redirect_uri", "expected"),
    [
        ("http://localhost:8765/callback", True),
        ("http://127.0.0.1:8765/", True),
        ("http://[::1]:8765/", True),
        ("http://localhost/callback", False),
        ("https://localhost:8765/callback", False),
        ("https://example.com/callback", False),
    ],
)
def test_a_redirect_to_this_machine_is_waited_for(redirect_uri, expected) -> None:
    """Https would need a certificate, and port 80 a privilege."""
    assert is_loopback_redirect(redirect_uri) is expected
