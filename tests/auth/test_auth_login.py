"""Signing a person in, with the browser played by the test."""

import socket
import threading
import urllib.request
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit

import pytest
from token_server import CLIENT_SECRET

from outreach_frames.auth import App, is_loopback_redirect, login, read_redirect
from outreach_frames.auth.login import wait_for_code
from outreach_frames.errors import AuthError

SCOPES = ["prospects.read", "mailings.read"]


@pytest.fixture
def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


@pytest.fixture
def start(authority, exchange, profiles, clock):
    """Return a login of the authority's app."""

    def run(redirect_uri, *, ask=None, open_browser=lambda _: None, patience=60):
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
            patience=patience,
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


def test_a_browser_that_never_comes_back_ends_the_wait(free_port) -> None:
    """Somebody closed the tab."""
    with pytest.raises(AuthError, match="in time"):
        wait_for_code(f"http://127.0.0.1:{free_port}/callback", "state", patience=0.01)


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
