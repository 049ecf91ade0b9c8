"""
What is to go wrong: a script of faults, by route and count.

::

    sandbox.faults.add(path="/mailings", status=502, times=3)  # three bad gateways, then all is well
    sandbox.faults.add(path="/prospects", method="POST", delivery="dropped", carried_out=True)
    sandbox.faults.add(path="/accounts", after=2, revokes_token=True)  # on the third page

`failing` lets them happen.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from outreach_frames._sandbox.settings import RateHeaders, RetryAfter

Delivery = Literal["whole", "cut", "cut in a chunk", "short", "stalled", "silent", "dropped"]

NO_ANSWER = frozenset({"silent", "dropped"})
"""Deliveries of which not one byte arrives."""


@dataclass(kw_only=True, eq=False)
class Fault:
    """
    One thing that goes wrong.

    Attributes
    ----------
    path
        Requests it happens to: path below the API's base, or of the server itself (``/oauth/token``); ``*`` stands
        for anything.
    method
        As sent; ``*`` for any.
    page_size_above
        Only to requests for more rows than this at a time [rows].
    after
        How many such requests pass unharmed first.
    times
        How many it happens to then; ``None`` for all of them.
    status
        Answer this instead of the API. Without `body`, what Outreach (or for a 5xx its proxy) says with it.
    body
        Answer this instead of the API.
    content_type
        Instead of the answer's own.
    headers
        Added to the answer, or instead of its own.
    retry_after, rate_headers
        Form of ``Retry-After`` on a 429 or 503, and of ``X-RateLimit-*`` on a 429; by default a 503's is an ISO 8601
        time, a 429's as the settings say.
    wait
        How far ahead the time is that those headers name [s].
    gzip
        Compress the body.
    rewrite
        Change the body, on its way out.
    delivery
        What arrives: the ``"whole"`` answer; half its body before the connection closes (``"cut"``, and ``"cut in a
        chunk"`` when its length was not announced); half its body as if that were all (``"short"``); half its body and
        then nothing (``"stalled"``); nothing and no end (``"silent"``), until the other side gives up; nothing and the
        connection closes (``"dropped"``).
    carried_out
        Whether the API does what was asked, where its own answer is not what arrives.
    revokes_token
        The token that the request carries ends just before it.
    change
        Called just before the request is answered: what somebody does in Outreach meanwhile.
    used
        How often it has happened.
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
    wait: float = 1.0
    gzip: bool = False
    rewrite: Callable[[bytes], bytes] | None = None
    delivery: Delivery = "whole"
    carried_out: bool = False
    revokes_token: bool = False
    change: Callable[[], object] | None = None
    used: int = field(default=0, init=False)
    _passed: int = field(default=0, init=False)

    @property
    def is_canned(self) -> bool:
        """Whether the API's own answer is not what arrives."""
        return self.status is not None or self.body is not None or self.delivery in NO_ANSWER

    def happens_to(self, method: str, path: str, page_size: int) -> bool:
        """Tell whether it happens to a request, and count the request."""
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
    """The faults of a sandbox. A request meets the first one that is due; the later ones do not count it."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, **what: Any) -> Fault:
        """
        Let something go wrong from now on.

        Parameters
        ----------
        **what
            Attributes of `Fault`.

        Returns
        -------
        fault : Fault
            Its ``used`` tells how often it has happened.

        Raises
        ------
        TypeError
            `Fault` has no such attribute.
        """
        fault = Fault(**what)
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        with self._lock:
            self._faults.clear()

    def meeting(self, method: str, path: str, page_size: int) -> Fault | None:
        """Return what happens to a request, and count the request."""
        with self._lock:
            return next((fault for fault in self._faults if fault.happens_to(method, path, page_size)), None)
