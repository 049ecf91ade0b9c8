"""
The network side of a session, below the cache: rate limit, token, one attempt after another, redirects.

A request is sent again until its response is complete or no attempt is left. The body of a read is checked by the code
that decodes it; `Transport.send_again` sends the request again if the body is not JSON.
"""

import logging
import os
import ssl
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from random import random
from types import MappingProxyType
from typing import Any, Protocol

import requests
import urllib3
from requests import PreparedRequest
from requests.auth import AuthBase
from requests.utils import resolve_proxies

from outreach_frames._fork import OfOneProcess
from outreach_frames._http.errors import UNSURE, judge, needs_new_token, rate_limit_error
from outreach_frames._http.limits import (
    Allowance,
    Deadline,
    Limits,
    PooledAdapter,
    TooLargeError,
    Waiter,
    WaitInterrupted,
    allowing,
)
from outreach_frames._http.messages import Request, Response, stored_headers
from outreach_frames._http.origin import OriginCheck, check_origin, hide_queries, is_loopback, join_url, origin_of
from outreach_frames._http.rate_limit import RateLimiter, read_budget, read_resumption
from outreach_frames._http.retry import LONGEST_WAIT, NOT_EXECUTED, Outcome, pause_before_retry
from outreach_frames._secrets import HiddenBytes, HiddenText, hidden
from outreach_frames.errors import DeadlineError, DocumentError, OutreachError, TransportError

_log = logging.getLogger(__name__)


class Renewable(Protocol):
    """Authentication that can get another token, which the transport requests after a refusal."""

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


class Transport(OfOneProcess):
    """
    Sends requests to the allowed origins until their responses are complete.

    Parameters
    ----------
    base_url
        The configured origin.
    auth
        Signs a copy of each request, so that no request that is stored holds the token.
    rate_limiter
        The shared request budget.
    waiter
        Waits, and has the clocks.
    limits
        How long things may take.
    spread
        Random numbers in [0, 1).
    check
        Refuses URLs that the token must not be sent to, redirects included.
    """

    def __init__(
        self,
        base_url: str,
        auth: Callable[[PreparedRequest], PreparedRequest],
        *,
        rate_limiter: RateLimiter,
        waiter: Waiter,
        limits: Limits,
        spread: Callable[[], float] = random,
        check: OriginCheck = check_origin,
    ) -> None:
        self._base_url = base_url
        self._auth = auth
        self._rate_limiter = rate_limiter
        self._waiter = waiter
        self._limits = limits
        self._spread = spread
        self._check = check
        self._adapter = PooledAdapter()
        hide_queries(base_url)
        self.follow_forks()

    def after_fork_in_child(self) -> None:
        """Leave the parent's connections to it."""
        self._adapter = PooledAdapter()

    def send(self, request: Request) -> Response:
        """
        Send a request; return a complete 2xx response.

        The body of a read is not looked at, see `send_again`; that of a write is one JSON document, or empty.

        Raises
        ------
        APIError
            The API answered with an error, after retries where they are safe.
        TransportError
            No complete response came, or the URL is outside the allowed origins.
        DocumentError
            What came in response to a write is not JSON.
        """
        max_wait = LONGEST_WAIT if self._limits.max_wait is None else self._limits.max_wait
        request.deadline = Deadline(self._waiter, deadline=self._limits.deadline, max_wait=max_wait)
        return self._send(request)

    def send_again(self, request: Request, response: Response) -> Response | None:
        """
        Send a request again whose response was complete and could not be decoded.

        Returns
        -------
        response : Response or None
            Another response; ``None`` if the first one is a JSON document, which would be the same the next time.

        Raises
        ------
        APIError, TransportError
            As in `send`; also where the document holds only errors.
        DocumentError
            No attempt brought JSON.
        """
        outcome, error = judge(request, response)
        if error is None:
            return None
        return self._send(request, (outcome, error, response, self._pause(request, outcome, response)))

    def close(self) -> None:
        """End waits and close the connections."""
        self._waiter.close()
        self._adapter.close()

    def _send(self, request: Request, failure: "_Failure | None" = None) -> Response:
        """Send a request until it succeeds; go on after a failed attempt, if there was one."""
        try:
            if failure is None:
                self._check(request.url or "", self._base_url)
            while True:
                if failure is not None:
                    if request.unsure and (deleted := _already_deleted(request, failure)):
                        return deleted
                    self._prepare_retry(request, failure)
                result = self._attempt(request)
                if isinstance(result, Response):
                    return result
                failure = result
        except (OutreachError, WaitInterrupted) as error:
            # What was raised before an attempt ended, such as for want of a token, kept it from being sent.
            error.executed = None if request.unsure else False
            raise

    def _prepare_retry(self, request: Request, failure: "_Failure") -> None:
        """Replace the token or wait before the next attempt; raise the error where there is none."""
        outcome, error, response, pause = failure
        request.unsure = request.unsure or not _not_executed(outcome, response)
        if not request.renewed and self._renews(request, error):
            request.renewed = True
            return
        if pause is None:
            # The causes quote the whole URL, which may hold an e-mail address.
            raise error from None
        _log.info("%s: %s, again in %.1f s", request.label, outcome.name, pause)
        if outcome is not Outcome.RATE_LIMITED:  # there, the rate limit makes it wait with all the others
            request.deadline.wait(pause, announced=_resumes_in(outcome, response) is not None)

    def _attempt(self, request: Request) -> "Response | _Failure":
        """Send a request once, when the rate limit allows it; return its response, or how it failed."""
        deadline = request.deadline

        def wait(seconds: float) -> None:
            if seconds > deadline.wait_left:
                window = self._rate_limiter.window
                resets_at = None if window.resets_at is None else datetime.fromtimestamp(window.resets_at, UTC)
                raise rate_limit_error(request, limit=window.limit, resets_at=resets_at)
            deadline.wait(seconds, announced=True)

        self._rate_limiter.acquire(wait)
        budget = shut_until = None
        try:
            request.attempts += 1
            result = self._exchange(request)
            if isinstance(result, Response):
                budget = result.budget
                return result
            outcome, error, response = result
            budget = None if response is None else response.budget
            pause = self._pause(request, outcome, response)
            if outcome is Outcome.RATE_LIMITED and response is not None:
                shut_until = self._waiter.clock() + (pause or response.resumes_in or 0.0)
        finally:
            self._rate_limiter.release(budget, shut_until=shut_until)
        return outcome, error, response, pause

    def _renews(self, request: Request, error: OutreachError) -> bool:
        """Get another token after a refusal; return whether there is one to try."""
        renew = getattr(self._auth, "renew", None)
        if renew is None or request.signed is None or not needs_new_token(error):
            return False
        return bool(renew(request.signed))

    def _pause(self, request: Request, outcome: Outcome, response: Response | None) -> float | None:
        """Return after how long a request may be sent again [s]; ``None``: not at all."""
        if response is not None and response.status in request.no_retry:
            return None
        return pause_before_retry(
            outcome,
            request.attempts,
            repeatable=request.repeatable,
            resumes_in=_resumes_in(outcome, response),
            time_left=request.deadline.time_left,
            wait_left=request.deadline.wait_left,
            spread=self._spread(),
        )

    def _exchange(self, request: Request) -> "Response | tuple[Outcome, OutreachError, Response | None]":
        """
        Send a request once and follow redirects; return the response, or how that failed.

        Raises
        ------
        OriginError
            A redirect points outside the allowed origins; nothing was sent there.
        AuthError
            There is no token to sign it with.
        """
        requested_at, url = self._waiter.clock(), request.url or ""
        ends_at = self._waiter.elapsed() + request.deadline.time_left
        for _ in range(MOST_REDIRECTS + 1):
            request.signed = signed = self._signed(request, url)
            try:
                raw = self._send_once(signed, ends_at)
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                return *self._broken(request, error), None
            target = raw.headers.get("Location") if raw.is_redirect else None
            if target is None or request.method != "GET":
                break
            url = join_url(url, target)
            self._check(url, self._base_url)
        now = self._waiter.clock()
        response = Response(
            status=raw.status_code,
            headers=MappingProxyType(stored_headers(raw.headers)),
            body=raw.content,
            url=request.url or "",
            requested_at=requested_at,
            received_at=now,
            budget=read_budget(raw.headers, now),
            resumes_at=read_resumption(raw.headers, now),
        )
        if response.is_success and request.method == "GET" and response.body:
            return response
        outcome, failure = judge(request, response)
        return response if failure is None else (outcome, failure, response)

    def _signed(self, request: PreparedRequest, url: str) -> PreparedRequest:
        copy = request.copy()
        copy.url = url
        signed = self._auth(copy)
        if "Authorization" in signed.headers:
            signed.headers["Authorization"] = HiddenText(signed.headers["Authorization"])
        return signed

    def _send_once(self, signed: PreparedRequest, ends_at: float) -> requests.Response:
        time_left = ends_at - self._waiter.elapsed()
        timeout = (_shorter_of(self._limits.connect, time_left), _shorter_of(self._limits.read, time_left))
        allowance = Allowance(ends_at, self._waiter.elapsed, self._limits.read, self._limits.size)
        # No proxy is used for this machine itself: it could not reach it, and would see the token.
        url = signed.url or ""
        proxies = {} if is_loopback(origin_of(url)[1]) else resolve_proxies(signed, {})
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
        """Read a whole body; stop as soon as it is larger than allowed, compressed or not."""
        body = bytearray()
        if (raw.length_remaining or 0) > self._limits.size:
            raise TooLargeError
        while piece := raw.read1(CHUNK, decode_content=True):
            body += piece
            if len(body) > self._limits.size:
                raise TooLargeError
        return HiddenBytes(body)

    def _broken(self, request: Request, error: Exception) -> tuple[Outcome, OutreachError]:
        """Return the outcome and error of a failed connection, without its own message, which quotes the whole URL."""
        label = request.label
        scheme, host, port = origin_of(request.url or "")
        causes = list(_causes(error))
        if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
            return Outcome.REFUSED, TransportError(
                f"{label}: the certificate of {host} cannot be trusted.",
                hint="Behind a company proxy, set REQUESTS_CA_BUNDLE to its certificate file.",
            )
        if any(isinstance(cause, _UNSENT) for cause in causes):
            return Outcome.UNSENT, TransportError(
                f"{label}: nothing answers at {scheme}://{host}:{port}.",
                hint="Check the network and base_url.",
            )
        if any(isinstance(cause, TooLargeError) for cause in causes):
            smaller = "Ask for less at once: a smaller page_size, or fewer fields."
            return Outcome.REFUSED, DocumentError(
                f"{label}: the answer is larger than {self._limits.size / 2**20:,.0f} MiB.",
                hint=smaller if request.repeatable else UNSURE,
            )
        hint = "Try again later." if request.repeatable else UNSURE
        if any(isinstance(cause, _OUT_OF_TIME) for cause in causes):
            return Outcome.DROPPED, DeadlineError(f"{label}: no complete answer came in time.", hint=hint)
        dropped = TransportError(f"{label}: the connection was dropped before the answer was complete.", hint=hint)
        return Outcome.DROPPED, dropped


_Failure = tuple[Outcome, OutreachError, Response | None, float | None]
"""How an attempt failed: outcome, error, the response if one came, and the pause before the next attempt [s]."""

_UNSENT = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
_OUT_OF_TIME = (TimeoutError, requests.Timeout, urllib3.exceptions.ReadTimeoutError)


def _not_executed(outcome: Outcome, response: Response | None) -> bool:
    """Return whether a request was certainly not executed. A redirect leaves that open: it may follow the execution."""
    if outcome is Outcome.REFUSED:
        return response is None or response.status >= 400  # noqa: PLR2004  statuses are named by their number
    return outcome in NOT_EXECUTED


def _resumes_in(outcome: Outcome, response: Response | None) -> float | None:
    """Return the wait that the server asks for [s]; ``None`` unless it turned the request away with a time."""
    is_turned_away = outcome in {Outcome.RATE_LIMITED, Outcome.MAINTENANCE}
    return response.resumes_in if response is not None and is_turned_away else None


def _already_deleted(request: Request, failure: _Failure) -> Response | None:
    """Return success for a repeated DELETE that finds nothing: the first one was executed."""
    response = failure[2]
    if response is None or request.method != "DELETE" or response.status != HTTPStatus.NOT_FOUND:
        return None
    return replace(response, status=HTTPStatus.NO_CONTENT, body=b"")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes: requests wraps urllib3's, which wraps the socket's."""
    while error is not None:
        yield error
        inner = [getattr(error, "reason", None), *error.args, error.__cause__]
        error = next((one for one in inner if isinstance(one, BaseException)), None)


def _shorter_of(timeout: float, time_left: float) -> float:
    return max(SHORTEST_TIMEOUT, min(timeout, time_left))


def _certificates() -> str | bool:
    """Return what TLS certificates are checked against: the environment's bundle, else the usual authorities."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
