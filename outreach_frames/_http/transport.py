"""
The way to the wire, below the cache: rate gate, one attempt after another, and in the end a good answer or an error.

It is an adapter in the sense of requests, so what stands above it (the cache, single flight) knows nothing of tokens
or retries. It returns complete, readable 2xx answers and raises for everything else, so nothing else can be stored.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import count
from random import random
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter

from outreach_frames._http.attempt import AttemptResult, Wire
from outreach_frames._http.errors import LARGEST_BODY, rate_limit_error
from outreach_frames._http.origin import OriginCheck, check_origin
from outreach_frames._http.rate_limit import RateLimiter
from outreach_frames._http.request import Request
from outreach_frames._http.retry import (
    LONGEST_WAIT,
    Attempt,
    Deadline,
    Outcome,
    Waiter,
    WaitInterrupted,
    pause_before_retry,
)
from outreach_frames.errors import OutreachError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """
    How long things may take.

    Attributes
    ----------
    connect, read
        For the connection to come about, and between two pieces of an answer [s].
    deadline
        For all attempts of a request and the pauses between them; waits that the server announces are extra [s].
    max_wait
        All such waits of a request [s]; ``None``: one hourly window.
    size
        Largest answer, as it comes and unpacked [bytes].
    """

    connect: float = 10.0
    read: float = 60.0
    deadline: float = 300.0
    max_wait: float | None = None
    size: int = LARGEST_BODY


class Transport(BaseAdapter):
    """
    Sends requests until they are answered or it is clear that they will not be.

    Parameters
    ----------
    base_url
        The configured origin.
    auth
        Signs a copy of each request, so that the token is in nothing that is kept.
    gate
        The shared request budget.
    waiter
        Waits.
    limits
        How long things may take.
    spread
        Random numbers in [0, 1).
    check
        Refuses what the token must not be sent to.
    """

    def __init__(
        self,
        base_url: str,
        auth: Callable[[PreparedRequest], PreparedRequest],
        *,
        gate: RateLimiter,
        waiter: Waiter,
        limits: Limits,
        spread: Callable[[], float] = random,
        check: OriginCheck = check_origin,
    ) -> None:
        super().__init__()
        self._wire = Wire(
            base_url,
            auth,
            waiter=waiter,
            connect=limits.connect,
            read=limits.read,
            size=limits.size,
            check=check,
        )
        self._auth = auth
        self._gate = gate
        self._waiter = waiter
        self._limits = limits
        self._spread = spread

    def send(  # type: ignore[override]  # the session's other settings do not apply: TLS is always verified
        self, request: Request, *, proxies: Mapping[str, str] | None = None, **_: Any
    ) -> Response:
        """
        Send a request; return a complete, readable 2xx answer.

        Raises
        ------
        APIError
            The API answered with an error, after retries where they are safe.
        TransportError
            No complete answer came, or the URL is outside the allowed origins.
        DocumentError
            What came is not JSON.
        """
        patience = Deadline(self._waiter, deadline=self._limits.deadline, max_wait=self._max_wait)
        renewed = unsure = False
        try:
            for number in count(1):
                ending, pause = self._attempt(request, number, patience, dict(proxies or {}))
                if ending.error is None and ending.response is not None:
                    return ending.response
                if unsure and (gone := _already_deleted(ending)) is not None:
                    return gone
                unsure = unsure or not ending.not_executed
                if not renewed and self._renews(ending):
                    renewed = True
                    continue
                if pause is None:
                    # The causes quote the whole URL, which may hold an e-mail address.
                    raise ending.error or RuntimeError(ending.outcome) from None
                _log.info("%s: %s, again in %.1f s", request.asked, ending.outcome.name, pause)
                if ending.outcome is not Outcome.RATE_LIMITED:  # there, the gate makes it wait with all the others
                    patience.wait(pause, as_told=ending.reply is not None and ending.reply.resumes_in is not None)
        except (OutreachError, WaitInterrupted) as error:
            # What was raised before an attempt came to an end, such as for want of a token, kept it from being sent.
            error.executed = None if unsure else False
            raise
        raise AssertionError

    def close(self) -> None:
        """End waits and close the connections."""
        self._waiter.close()
        self._wire.close()

    @property
    def _max_wait(self) -> float:
        return LONGEST_WAIT if self._limits.max_wait is None else self._limits.max_wait

    def _attempt(
        self, request: Request, number: int, patience: Deadline, proxies: dict[str, str]
    ) -> tuple[AttemptResult, float | None]:
        """Send it once; return how that ended, and after how long it may be sent again [s]."""

        def wait(seconds: float) -> None:
            if seconds > patience.wait_left:
                window = self._gate.window
                resets_at = None if window.resets_at is None else datetime.fromtimestamp(window.resets_at, UTC)
                raise rate_limit_error(request.asked, limit=window.limit, resets_at=resets_at, vendor=request.vendor)
            patience.wait(seconds, as_told=True)

        self._gate.acquire(wait)
        told = shut_until = None
        try:
            ending = self._wire.attempt(request, proxies=proxies, time_left=patience.time_left)
            told = ending.told
            pause = self._pause(request, number, ending, patience)
            if ending.outcome is Outcome.RATE_LIMITED and ending.reply is not None:
                shut_until = self._waiter.clock() + (pause or ending.reply.resumes_in or 0.0)
        finally:
            self._gate.release(told, shut_until=shut_until)
        return ending, pause

    def _renews(self, ending: AttemptResult) -> bool:
        """Get another token after a refusal; return whether there is one to try."""
        if ending.reply is None or ending.signed is None or not ending.reply.is_stale_token:
            return False
        renew = getattr(self._auth, "renew", None)
        return renew is not None and bool(renew(ending.signed))

    def _pause(self, request: Request, number: int, ending: AttemptResult, patience: Deadline) -> float | None:
        if ending.reply is not None and ending.reply.status in request.no_retry:
            return None
        attempt = Attempt(
            repeatable=request.repeatable,
            number=number,
            outcome=ending.outcome,
            resumes_in=ending.reply.resumes_in if ending.reply else None,
            time_left=patience.time_left,
            wait_left=patience.wait_left,
        )
        return pause_before_retry(attempt, spread=self._spread())


def _already_deleted(ending: AttemptResult) -> Response | None:
    """A repeated DELETE that finds nothing was carried out the first time."""
    response = ending.response
    if response is None or response.request.method != "DELETE" or response.status_code != HTTPStatus.NOT_FOUND:
        return None
    response.status_code, response._content = HTTPStatus.NO_CONTENT, b""  # noqa: SLF001  it has no setter
    return response
