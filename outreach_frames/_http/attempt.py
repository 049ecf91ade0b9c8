"""One attempt at a request: sign it, send it, read the whole response, follow redirects."""

import os
import ssl
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

import requests
import urllib3
from requests import PreparedRequest, Response
from requests.auth import AuthBase

from outreach_frames._fork import OfOneProcess
from outreach_frames._http.cache_store import ASKED_AT
from outreach_frames._http.connection_pool import PooledAdapter, allowing
from outreach_frames._http.errors import LARGEST_BODY, Reply
from outreach_frames._http.origin import OriginCheck, check_origin, hide_queries, is_loopback, origin_of
from outreach_frames._http.rate_limit import Budget, read_budget
from outreach_frames._http.request import Request
from outreach_frames._http.retry import NOT_CARRIED_OUT, Outcome, Waiter
from outreach_frames._parsing import join_url
from outreach_frames._secrets import HiddenBytes, HiddenText, hidden
from outreach_frames._sockets import Allowance, TooLargeError
from outreach_frames.errors import DeadlineError, DocumentError, OutreachError, TransportError


class Renewable(Protocol):
    """A way to sign in that can get another token; asked for by the transport after a refusal."""

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Put the token on a request."""

    def renew(self, rejected: PreparedRequest) -> bool:
        """Replace the token that a request was refused with; return whether there is another one to try."""


class BearerAuth(AuthBase):
    """
    Sign every request with one access token, which cannot be renewed.

    Parameters
    ----------
    token
        OAuth access token.
    """

    def __init__(self, token: str) -> None:
        self._token = hidden(token)

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Put the token on a request."""
        r.headers["Authorization"] = HiddenText(f"Bearer {self._token}")
        return r

    def __repr__(self) -> str:
        return "BearerAuth(…)"


MOST_REDIRECTS = 5
CHUNK = 1 << 16
"""Read from the connection at once [bytes]."""
SHORTEST_TIMEOUT = 0.05
"""What is left for an attempt just before its deadline [s]."""

UNSURE = "It may or may not have been carried out: look before you send it again."


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """
    How an attempt ended.

    Attributes
    ----------
    outcome
        What is judged.
    error
        What to raise if nothing better comes; ``None`` if there is a good answer.
    response
        The answer as requests has it, with its body read; ``None`` if there was none.
    reply
        The same answer, as far as it is judged.
    signed
        What was sent, token included; never kept.
    told
        The request budget as the answer told it; ``None`` without an answer.
    """

    outcome: Outcome
    error: OutreachError | None = None
    response: Response | None = None
    reply: Reply | None = None
    signed: PreparedRequest | None = None
    told: Budget | None = None

    @property
    def not_executed(self) -> bool:
        """Whether the request was certainly not executed. A redirect leaves that open: it may follow the execution."""
        if self.outcome is Outcome.REFUSED:
            return self.reply is None or self.reply.status >= 400  # noqa: PLR2004  statuses are named by their number
        return self.outcome in NOT_CARRIED_OUT


class Wire(OfOneProcess):
    """
    Connections to the allowed origins.

    Parameters
    ----------
    base_url
        The configured origin.
    auth
        Signs a copy of each request.
    waiter
        Tells the time.
    connect, read
        Time for the connection to come about, and between two pieces of an answer [s].
    size
        Largest answer, as it comes and unpacked [bytes].
    check
        Refuses what the token must not be sent to, redirects included.
    """

    def __init__(
        self,
        base_url: str,
        auth: Callable[[PreparedRequest], PreparedRequest],
        *,
        waiter: Waiter,
        connect: float,
        read: float,
        size: int = LARGEST_BODY,
        check: OriginCheck = check_origin,
    ) -> None:
        self._base_url = base_url
        self._check = check
        hide_queries(base_url)
        self._auth = auth
        self._waiter = waiter
        self._connect = connect
        self._read = read
        self._size = size
        self._adapter = PooledAdapter()
        self.follow_forks()

    def attempt(self, request: Request, *, proxies: dict[str, str], time_left: float) -> AttemptResult:
        """
        Send a request once.

        Raises
        ------
        OriginError
            It, or a redirect, points outside the allowed origins; nothing was sent there.
        AuthError
            There is no token to sign it with.
        """
        asked_at, url = self._waiter.clock(), request.url or ""
        ends_at = self._waiter.elapsed() + time_left
        for _ in range(MOST_REDIRECTS + 1):
            self._check(url, self._base_url)
            signed = self._signed(request, url)
            try:
                response = self._exchange(signed, proxies, ends_at)
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                return self._broken(request, error)
            target = response.headers.get("Location") if response.is_redirect else None
            if target is None or request.method != "GET":
                break
            url = join_url(url, target)
        response.request, response.url = request, url
        response.headers[ASKED_AT] = repr(asked_at)
        return self._answered(request, response, signed)

    def close(self) -> None:
        """Close the connections."""
        self._adapter.close()

    def after_fork_in_child(self) -> None:
        """Leave the parent's connections to it."""
        self._adapter = PooledAdapter()

    def _signed(self, request: PreparedRequest, url: str) -> PreparedRequest:
        copy = request.copy()
        copy.url = url
        signed = self._auth(copy)
        if "Authorization" in signed.headers:
            signed.headers["Authorization"] = HiddenText(signed.headers["Authorization"])
        return signed

    def _exchange(self, signed: PreparedRequest, proxies: dict[str, str], ends_at: float) -> Response:
        time_left = ends_at - self._waiter.elapsed()
        timeout = (_within(self._connect, time_left), _within(self._read, time_left))
        allowance = Allowance(ends_at, self._waiter.elapsed, self._read, self._size)
        # A proxy is not asked for this machine itself: it could not reach it, and would see the token.
        proxies = {} if is_loopback(origin_of(signed.url or "")[1]) else proxies
        try:
            with allowing(allowance):
                response = self._adapter.send(
                    signed, stream=True, timeout=timeout, verify=_certificates(), proxies=proxies
                )
            with closing(response):
                response._content = self._body(response.raw)  # noqa: SLF001  it has no setter
        except BaseException as error:
            # An interrupt too: the frames below hold the request as it is sent, token and all.
            traceback.clear_frames(error.__traceback__)
            raise
        return response

    def _body(self, raw: Any) -> HiddenBytes:
        """Read a whole answer; one that is too large is given up as soon as that shows, packed or not."""
        body = bytearray()
        if (raw.length_remaining or 0) > self._size:
            raise TooLargeError
        while piece := raw.read1(CHUNK, decode_content=True):
            body += piece
            if len(body) > self._size:
                raise TooLargeError
        return HiddenBytes(body)

    def _answered(self, request: Request, response: Response, signed: PreparedRequest) -> AttemptResult:
        now = self._waiter.clock()
        reply = Reply(
            method=request.method or "",
            asked=request.asked,
            status=response.status_code,
            headers=response.headers,
            body=response.content,
            received_at=now,
            vendor=request.vendor,
        )
        return AttemptResult(
            outcome=reply.outcome,
            error=_error_of(reply, request),
            response=response,
            reply=reply,
            signed=signed,
            told=read_budget(response.headers, now),
        )

    def _broken(self, request: Request, error: Exception) -> AttemptResult:
        """Tell what a failure on the wire means; its own message is left out, since it quotes the whole URL."""
        asked = request.asked
        scheme, host, port = origin_of(request.url or "")
        causes = list(_causes(error))
        if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
            return AttemptResult(
                Outcome.REFUSED,
                TransportError(
                    f"{asked}: the certificate of {host} cannot be trusted.",
                    hint="Behind a company proxy, set REQUESTS_CA_BUNDLE to its certificate file.",
                ),
            )
        if any(isinstance(cause, _UNSENT) for cause in causes):
            return AttemptResult(
                Outcome.UNSENT,
                TransportError(
                    f"{asked}: nothing answers at {scheme}://{host}:{port}.",
                    hint="Check the network and base_url.",
                ),
            )
        if any(isinstance(cause, TooLargeError) for cause in causes):
            smaller = "Ask for less at once: a smaller page_size, or fewer fields."
            return AttemptResult(
                Outcome.REFUSED,
                DocumentError(
                    f"{asked}: the answer is larger than {self._size / 2**20:,.0f} MiB.",
                    hint=smaller if request.repeatable else UNSURE,
                ),
            )
        hint = "Try again later." if request.repeatable else UNSURE
        if any(isinstance(cause, _OUT_OF_TIME) for cause in causes):
            return AttemptResult(
                Outcome.DROPPED, DeadlineError(f"{asked}: no complete answer came in time.", hint=hint)
            )
        dropped = TransportError(f"{asked}: the connection was dropped before the answer was complete.", hint=hint)
        return AttemptResult(Outcome.DROPPED, dropped)


_UNSENT = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
_OUT_OF_TIME = (TimeoutError, requests.Timeout, urllib3.exceptions.ReadTimeoutError)


def _error_of(reply: Reply, request: Request) -> OutreachError | None:
    asked = request.asked
    if reply.outcome is Outcome.DONE:
        return None
    if reply.outcome in {Outcome.UNREADABLE, Outcome.NESTED}:
        kind = (reply.headers.get("Content-Type") or "no content type").split(";")[0]
        fault = f"is not a complete JSON document ({kind})"
        hint = "Check base_url; a proxy or a sign-in page may have answered in its place."
        if reply.outcome is Outcome.NESTED:
            fault, hint = "is nested too deeply to be read", "Ask for less: name fields, and fewer includes."
        if not request.repeatable:
            hint = f"It was carried out ({reply.status}); fetch the record to see it."
        return DocumentError(f"{asked}: the answer {fault}.", hint=hint)
    if reply.meaning < 400:  # noqa: PLR2004  statuses are named by their number
        return TransportError(
            f"{asked}: the server points elsewhere ({reply.status}), where the request is not taken.",
            hint="Connect with the address of the organization's own API host as base_url."
            if request.vendor
            else "Connect with the address that it points to as base_url.",
        )
    return reply.error()


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Walk down an error: requests wraps urllib3's, which wraps the socket's."""
    while error is not None:
        yield error
        inner = [getattr(error, "reason", None), *error.args, error.__cause__]
        error = next((one for one in inner if isinstance(one, BaseException)), None)


def _within(timeout: float, time_left: float) -> float:
    return max(SHORTEST_TIMEOUT, min(timeout, time_left))


def _certificates() -> str | bool:
    """Return what TLS certificates are checked against: the environment's bundle, else the known authorities."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
