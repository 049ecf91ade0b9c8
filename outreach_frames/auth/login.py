"""Signing a person in: the browser is opened, the code comes back to this machine or is pasted."""

import secrets as random
import socket
import time
import webbrowser
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit

from outreach_frames.auth.oauth import App, Exchange, code_of, is_ours, mint_first, query_of, read_redirect
from outreach_frames.auth.profiles import DEFAULT, Profile, Profiles
from outreach_frames.errors import AuthError

PATIENCE = 300.0
"""How long a person may take to agree in the browser [s]."""
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
DONE = b"<!doctype html><title>Signed in</title><p>You are signed in. You can close this window."
FAILED = b"<!doctype html><title>Not signed in</title><p>That did not work. Go back to the terminal."


def login(
    app: App,
    client_secret: str,
    scopes: Iterable[str],
    *,
    exchange: Exchange,
    profiles: Profiles,
    name: str = DEFAULT,
    ask: Callable[[str], str],
    open_browser: Callable[[str], object] = webbrowser.open,
    clock: Callable[[], float] = time.time,
    patience: float = PATIENCE,
) -> Profile:
    """
    Sign a person in and keep the sign-in as a profile.

    Parameters
    ----------
    app
        The app; where its redirect goes to this machine over http, the code is waited for there.
    client_secret
        The app's.
    scopes
        What to ask for, such as ``prospects.read``.
    exchange
        Posts to the token endpoint.
    profiles
        Where sign-ins are kept.
    name
        Name of the profile.
    ask
        Shows where to sign in and returns what was pasted; used where the redirect goes elsewhere.
    open_browser
        Opens the page.
    clock
        Wall clock [seconds since 1970].
    patience
        How long to wait for the redirect [s].

    Returns
    -------
    profile : Profile
        Already saved, secrets and all.

    Raises
    ------
    AuthError
        Access was declined, nothing came back in time, or the code was refused.
    """
    scopes = tuple(scopes)
    state = random.token_urlsafe(32)
    url = app.authorize_url(scopes, state)
    if is_loopback_redirect(app.redirect_uri):
        code = wait_for_code(app.redirect_uri, state, patience=patience, ready=lambda: open_browser(url))
    else:
        open_browser(url)
        code = read_redirect(ask(url), state=state)
    token = mint_first(app, code, client_secret=client_secret, exchange=exchange, clock=clock)
    return profiles.save(name, app, token, client_secret, scopes=scopes)


def is_loopback_redirect(redirect_uri: str) -> bool:
    """Tell whether the code can be waited for on this machine: plain http to it, with a port."""
    parts = urlsplit(redirect_uri)
    return parts.scheme == "http" and parts.hostname in LOOPBACK and parts.port is not None


def wait_for_code(
    redirect_uri: str, state: str, *, patience: float = PATIENCE, ready: Callable[[], object] = lambda: None
) -> str:
    """
    Listen on this machine until the browser brings the code.

    Parameters
    ----------
    redirect_uri
        Where it will be sent.
    state
        What must come back with it; requests with another are answered and forgotten.
    patience
        How long to listen [s].
    ready
        Called once it listens.

    Raises
    ------
    AuthError
        Nothing came in time, access was declined, or the port is taken.
    """
    with _listener(redirect_uri, state) as listener:
        ready()
        ends_at = time.monotonic() + patience
        while listener.ending is None and (left := ends_at - time.monotonic()) > 0:
            listener.timeout = left
            listener.handle_request()
    if isinstance(listener.ending, AuthError):
        raise listener.ending
    if listener.ending is None:
        raise AuthError("Nothing came back from the browser in time.", hint="Start again: outreach-frames login.")
    return listener.ending


class _Listener(HTTPServer):
    """Waits for one redirect."""

    def __init__(self, address: tuple[str, int], path: str, state: str) -> None:
        self.path = path
        self.state = state
        self.ending: str | AuthError | None = None
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that hangs up is no concern of the terminal."""


class _Handler(BaseHTTPRequestHandler):
    """Reads the code out of the one request that brings it."""

    server: _Listener
    timeout = 10

    def do_GET(self) -> None:
        query = query_of(self.path)
        if urlsplit(self.path).path != self.server.path or not is_ours(query, self.server.state):
            self._answer(404, FAILED)  # a stranger's request, or the browser's for an icon, must not end the wait
            return
        try:
            self.server.ending = code_of(query)
        except AuthError as error:
            self.server.ending = error
        self._answer(200, DONE if isinstance(self.server.ending, str) else FAILED)

    def _answer(self, status: int, page: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  http.server's name
        """Write nothing: the request line holds the code."""


def _listener(redirect_uri: str, state: str) -> _Listener:
    parts = urlsplit(redirect_uri)
    host = "127.0.0.1" if parts.hostname in {None, "localhost"} else str(parts.hostname)
    try:
        return _Listener((host, parts.port or 80), parts.path or "/", state)
    except OSError:
        raise AuthError(
            f"Port {parts.port} of this machine is taken, so the browser cannot bring the code back.",
            hint="End the program that uses it, or register another redirect with the app.",
        ) from None
