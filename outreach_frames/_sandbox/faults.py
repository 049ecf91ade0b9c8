"""
Scripted faults: which requests they apply to, and what goes wrong.

::

    sandbox.faults.add(path="/mailings", status=502, times=3)  # three bad gateways, then normal responses
    sandbox.faults.add(path="/prospects", method="POST", delivery="dropped", executed=True)
    sandbox.faults.add(path="/accounts", after=2, revokes_token=True)  # on the third page

`server.FaultMiddleware` applies them.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from outreach_frames._sandbox.settings import RateHeaders, RetryAfter, check_choice

FaultDelivery = Literal["whole", "cut", "cut in a chunk", "short", "stalled", "silent", "dropped"]

NOTHING_SENT = frozenset({"silent", "dropped"})
"""Deliveries that send no byte of the response."""


@dataclass(kw_only=True, eq=False)
class Fault:
    """
    One fault of the sandbox: the requests it applies to, and what goes wrong.

    Attributes
    ----------
    path
        Path below the API's base (``/prospects/17``), or of the server itself (``/oauth/token``); ``*`` stands for
        any text.
    method
        HTTP method; ``*`` for any.
    page_size_above
        Only requests for pages larger than this [rows]; ``None`` for any request.
    after
        How many matching requests are served normally first.
    times
        How many matching requests fail then; ``None`` for all of them.
    status
        HTTP status of the response, instead of the API's. Without `body`, the body is the one that Outreach (or its
        proxy, for a 5xx) sends with this status.
    body
        Body of the response, instead of the API's.
    content_type
        Content type of the response, instead of its own.
    headers
        Headers that are added to the response, or replace its own.
    retry_after, rate_headers
        Form of ``Retry-After`` on a 429 or 503, and of ``X-RateLimit-*`` on a 429. By default ``Retry-After`` is an
        ISO 8601 time on a 503, and as `SandboxSettings` says on a 429.
    wait_s
        How far ahead the time in these headers is [s].
    gzip
        Compress the body.
    rewrite
        Function that changes the body before it is sent.
    delivery
        How much of the response is sent: ``"whole"``; half the body, then the connection closes (``"cut"``; ``"cut in
        a chunk"`` without a content length); half the body with a matching content length (``"short"``); half the
        body, then nothing more (``"stalled"``); nothing, with the connection open (``"silent"``) or closed
        (``"dropped"``).
    executed
        Whether the API executes the request although the client does not receive its response.
    revokes_token
        Revoke the token of the request before it is answered.
    on_request
        Function that is called before the request is answered, for example to change a record meanwhile.
    used
        How many requests it has applied to.

    Examples
    --------
    >>> import outreach_frames as of
    >>> fault = of.Fault(path="/mailings", status=503, wait_s=0, times=2)
    >>> with of.sandbox(prospects=20, faults=[fault]) as org:
    ...     mailings = of.fetch_mailings(org)
    >>> fault.used
    2
    """

    path: str = "*"
    method: str = "*"
    page_size_above: int | None = None
    after: int = 0
    times: int | None = 1
    status: int | None = None
    body: bytes | None = None
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_after: RetryAfter | None = None
    rate_headers: RateHeaders | None = None
    wait_s: float = 1.0
    gzip: bool = False
    rewrite: Callable[[bytes], bytes] | None = None
    delivery: FaultDelivery = "whole"
    executed: bool = False
    revokes_token: bool = False
    on_request: Callable[[], object] | None = None
    used: int = field(default=0, init=False)
    _passed: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        for name in ("delivery", "retry_after", "rate_headers"):
            check_choice(Fault, name, getattr(self, name))

    @property
    def is_canned(self) -> bool:
        """Whether the response of the API itself is not sent."""
        return self.status is not None or self.body is not None or self.delivery in NOTHING_SENT

    def applies_to(self, method: str, path: str, page_size: int) -> bool:
        """Whether it applies to a request; the request is counted."""
        if not (fnmatchcase(path, self.path) and fnmatchcase(method, self.method)):
            return False
        if self.page_size_above is not None and page_size <= self.page_size_above:
            return False
        if self._passed < self.after:
            self._passed += 1
            return False
        if self.times is not None and self.used >= self.times:
            return False
        self.used += 1
        return True


class Faults:
    """The faults of a sandbox. The first one that applies to a request is used; the later ones do not count it."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault | None = None, /, **attributes: Any) -> Fault:
        """
        Add a fault that applies from now on.

        Parameters
        ----------
        fault
            The fault; ``None`` to make one of `attributes`.
        **attributes
            Attributes of `Fault`.

        Returns
        -------
        fault : Fault
            Its ``used`` is the number of requests it has applied to.

        Raises
        ------
        TypeError
            `Fault` has no such attribute, or a fault and attributes are passed.
        """
        if fault is not None and attributes:
            raise TypeError("pass a Fault or its attributes, not both")
        added = Fault(**attributes) if fault is None else fault
        with self._lock:
            self._faults.append(added)
        return added

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._faults.clear()

    def apply(self, method: str, path: str, page_size: int) -> Fault | None:
        """Return the fault that applies to a request, or ``None``; the request is counted."""
        with self._lock:
            return next((fault for fault in self._faults if fault.applies_to(method, path, page_size)), None)
