"""Signing a person in: the browser is opened, the code comes back to this machine or is pasted."""

import errno
import os
import secrets as random
import socket
import time
import webbrowser
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler
from queue import Empty, SimpleQueue
from socketserver import ThreadingTCPServer
from threading import Thread
from urllib.parse import SplitResult, urlsplit

from outreach_frames._auth.oauth import (
    App,
    Exchange,
    challenge_of,
    code_of,
    first_token,
    is_ours,
    query_of,
    read_redirect,
)
from outreach_frames._auth.profiles import DEFAULT, Profile, Profiles
from outreach_frames._http.limits import Allowance, limited
from outreach_frames._secrets import hidden
from outreach_frames.errors import AuthError

TIMEOUT = 300.0
"""How long a person may take to agree in the browser [s]."""
VISIT = 10.0
"""How long one request to this machine may take [s]."""
LONGEST_REQUEST = 1 << 16
"""And how long it may be [bytes]."""
POLL = 0.05
"""Between two looks whether the listener has ended [s]."""
ADDRESSES = {"localhost": ("127.0.0.1", "::1")}
"""A browser may take either, and what is left free another program could take."""
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
NO_SUCH_ADDRESS = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
AGAIN = "Start again: outreach-frames login."
DONE = b"<!doctype html><title>Go back</title><p>Outreach agreed. The terminal says whether you are signed in."
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
    timeout: float = TIMEOUT,
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
    timeout
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
    scopes, client_secret = tuple(scopes), hidden(client_secret)
    state, verifier = random.token_urlsafe(32), hidden(random.token_urlsafe(48))
    url = app.authorize_url(scopes, state, challenge=challenge_of(verifier))
    if is_loopback_redirect(app.redirect_uri):
        code = wait_for_code(app.redirect_uri, state, timeout=timeout, ready=lambda: open_browser(url))
    else:
        open_browser(url)
        code = read_redirect(ask(url), state=state)
    token = first_token(app, code, client_secret=client_secret, exchange=exchange, clock=clock, verifier=verifier)
    return profiles.save(name, app, token, client_secret, scopes=scopes)


def is_loopback_redirect(redirect_uri: str) -> bool:
    """Tell whether the code can be waited for on this machine: plain http to it, with a port."""
    parts = _parts(redirect_uri)
    return parts.scheme == "http" and parts.hostname in LOOPBACK and parts.port is not None


def wait_for_code(
    redirect_uri: str, state: str, *, timeout: float = TIMEOUT, ready: Callable[[], object] = lambda: None
) -> str:
    """
    Listen on this machine until the browser brings the code.

    Parameters
    ----------
    redirect_uri
        Where it will be sent.
    state
        What must come back with it; requests with another are answered and forgotten.
    timeout
        How long to listen [s].
    ready
        Called once it listens.

    Raises
    ------
    AuthError
        Nothing came in time, access was declined, or the port is taken.
    """
    results: SimpleQueue[str | AuthError] = SimpleQueue()
    with _listening(redirect_uri, state, results):
        ready()
        try:
            result = results.get(timeout=timeout)
        except Empty:
            result = AuthError("Nothing came back from the browser in time.", hint=AGAIN)
    if isinstance(result, AuthError):
        raise result
    return result


@contextmanager
def _listening(redirect_uri: str, state: str, results: "SimpleQueue[str | AuthError]") -> Iterator[None]:
    """Listen at every address of this machine that the redirect may mean, so that nobody else can."""
    parts = _parts(redirect_uri)
    host, port, path = parts.hostname or "localhost", parts.port or 80, parts.path or "/"
    with ExitStack() as closing:
        for address in ADDRESSES.get(host, (host,)):
            try:
                listener = closing.enter_context(_Listener((address, port), path, state, results))
            except OSError as error:
                if error.errno in NO_SUCH_ADDRESS and host == "localhost":
                    continue  # this machine has only the other kind
                raise AuthError(
                    f"Port {port} of this machine is taken, so the browser cannot bring the code back.",
                    hint="End the program that uses it, or register another redirect with the app.",
                ) from None
            Thread(target=listener.serve_forever, args=(POLL,), daemon=True).start()
            closing.callback(listener.shutdown)
        yield


class _Listener(ThreadingTCPServer):
    """Waits for one redirect; each visitor has a thread, so that a slow one holds up nobody."""

    allow_reuse_address = os.name == "posix"  # elsewhere it would let another program listen at the same port
    daemon_threads = True

    def __init__(
        self, address: tuple[str, int], path: str, state: str, results: "SimpleQueue[str | AuthError]"
    ) -> None:
        self.path = path
        self.state = state
        self.results = results
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that hangs up is no concern of the terminal."""


class _Handler(BaseHTTPRequestHandler):
    """Reads the code out of the one request that brings it."""

    server: _Listener
    timeout = VISIT

    def setup(self) -> None:
        """Give a visit its time and size."""
        super().setup()
        allowance = Allowance(time.monotonic() + VISIT, time.monotonic, VISIT, LONGEST_REQUEST)
        self.rfile = limited(self.rfile, self.connection, allowance)

    def do_GET(self) -> None:
        query = query_of(self.path)
        if self.path.partition("?")[0] != self.server.path or not is_ours(query, self.server.state):
            self._answer(404, FAILED)  # a stranger's request, or the browser's for an icon, must not end the wait
            return
        result: str | AuthError
        try:
            result = code_of(query)
        except AuthError as error:
            result = error
        try:
            self._answer(200, FAILED if isinstance(result, AuthError) else DONE)
        finally:
            self.server.results.put(result)

    def _answer(self, status: int, page: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  http.server's name
        """Write nothing: the request line holds the code."""


def _parts(redirect_uri: str) -> SplitResult:
    """Take a redirect apart, port and all."""
    try:
        parts = urlsplit(redirect_uri)
        _ = parts.port
    except ValueError:
        raise AuthError(
            "The address of the redirect cannot be read.", hint="Give it as it is registered with the app."
        ) from None
    return parts
