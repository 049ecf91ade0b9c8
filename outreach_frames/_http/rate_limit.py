"""
The rate limit: the budget in the API's headers, and the wait when it is spent.

According to public clients, `X-RateLimit-Reset` and `Retry-After` hold seconds to go, seconds since 1970, an ISO 8601
time or an HTTP date. A header may hold two numbers (``"9999, 19988"``); the first is the user's own.

The rate limiter works below the cache, so that cached responses cost nothing. All threads of a session share it, and
through a small locked file all processes of an account. It reads the ``X-RateLimit-*`` headers of every response. As
long as the budget is unknown, one request is sent and the others wait for its response. How long to wait after a
response of 429 is decided in `retry`.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from outreach_frames._files import PRIVATE, file_lock
from outreach_frames._fork import OfOneProcess
from outreach_frames._http.messages import NOT_A_DATE, UNREADABLE, Budget, in_utc, read_date
from outreach_frames._http.retry import LONGEST_WAIT, ROUNDING

EARLIEST_EPOCH = 1e9
"""Numbers above this are instants, smaller ones are seconds to go [s]."""
EARLIEST_EPOCH_MS = 1e12

_FIRST_NUMBER = re.compile(r"\s*(-?[0-9]{1,18}(?:\.[0-9]{1,18})?)\s*(?:,|$)")
"""Numbers of hundreds of digits are nothing that could be meant."""


def read_budget(headers: Mapping[str, str], now: float) -> Budget:
    """Read the ``X-RateLimit-*`` headers of an answer that came at ``now`` [seconds since 1970]."""
    return Budget(
        limit=_count_in_header(headers.get("X-RateLimit-Limit")),
        remaining=_count_in_header(headers.get("X-RateLimit-Remaining")),
        resets_at=read_instant(headers.get("X-RateLimit-Reset"), now),
    )


def read_resumption(headers: Mapping[str, str], now: float) -> float | None:
    """Return when an answer that turned the request away asks for it again [seconds since 1970]."""
    after = read_instant(headers.get("Retry-After"), now)
    return after if after is not None else read_instant(headers.get("X-RateLimit-Reset"), now)


def read_instant(text: str | None, now: float) -> float | None:
    """
    Read an instant in any of the forms the API has been seen to use.

    Parameters
    ----------
    text
        Value of the header; ``None``: not sent.
    now
        Instant that seconds to go count from [seconds since 1970].

    Returns
    -------
    instant : float or None
        Seconds since 1970; ``None`` if there is nothing readable.
    """
    if text is None:
        return None
    if number := _FIRST_NUMBER.match(text):
        value = float(number[1])
        if value > EARLIEST_EPOCH_MS:
            return value / 1000
        return value if value > EARLIEST_EPOCH else now + max(0.0, value)
    moment = _iso(text.split(",")[0].strip()) or read_date(text)
    return moment.timestamp() if moment else None


def _count_in_header(text: str | None) -> int | None:
    number = _FIRST_NUMBER.match(text) if text is not None else None
    return max(0, int(float(number[1]))) if number else None


def _iso(text: str) -> datetime | None:
    try:
        return in_utc(datetime.fromisoformat(text))
    except NOT_A_DATE:
        return None


SAME_WINDOW = 1.5
"""Two Reset headers that differ by less name the same window: they are rounded, and answers take time to come [s]."""
LONGEST_WINDOW = LONGEST_WAIT
"""A Reset further ahead than this is a mistake of the server, and would block every request [s]."""
POLL_BUDGET = 0.1
"""Between two looks at the shared budget while another process waits for the answer that tells the reset [s]."""
ANSWER_DUE = 5.0
"""How long that answer of another process is waited for [s]."""
POLL_LOCK = 0.005
"""Between two tries for the shared file [s]."""
LIMITS_LOCK_TIMEOUT = 5.0
"""How long the shared file is waited for; it is held for well under a millisecond [s]."""


@dataclass
class RateLimitWindow:
    """
    The current rate-limit window.

    Attributes
    ----------
    limit
        Requests per window.
    remaining
        Requests that may still be sent; ``None``: unknown.
    resets_at
        When the next window begins for certain [seconds since 1970].
    taken_at
        When the last request went out [seconds since 1970].
    stated_at
        When `resets_at` was stated; a clock that shows less was set back, and then nothing is known
        [seconds since 1970].
    silent
        The last response stated no budget: there is none to observe.
    """

    limit: int | None = None
    remaining: int | None = None
    resets_at: float | None = None
    taken_at: float = 0.0
    stated_at: float = 0.0
    silent: bool = False

    def roll(self, now: float, in_flight: int) -> None:
        """Begin a new window if the current one has ended; requests on their way may count in the new one."""
        if self.resets_at is None:
            return
        if now < self.stated_at - SAME_WINDOW or self.resets_at > now + LONGEST_WINDOW + SAME_WINDOW:
            self.remaining = self.resets_at = None
        elif now >= self.resets_at:
            self.remaining = None if self.limit is None else max(0, self.limit - in_flight)
            self.resets_at = None

    def take(self, now: float) -> None:
        """Count one request."""
        self.taken_at = now
        if self.remaining is not None:
            self.remaining = max(0, self.remaining - 1)

    def learn(self, budget: Budget, in_flight: int, now: float) -> None:
        """
        Learn from the budget of one response.

        Within a window the lowest count is right: answers come out of order, and each counts only the requests that
        the server had seen. At the start of a window those on their way are taken off as well.
        """
        if budget.limit:
            self.limit = budget.limit
        self.silent = budget.remaining is None or budget.resets_at is None or budget.resets_at > now + LONGEST_WINDOW
        if self.silent or budget.remaining is None or budget.resets_at is None:
            return
        resets_at = budget.resets_at + ROUNDING
        if resets_at <= now or (self.resets_at is not None and resets_at < self.resets_at - SAME_WINDOW):
            return  # it is about a window that has ended
        begins = self.resets_at is not None and resets_at > self.resets_at + SAME_WINDOW
        is_guess = self.resets_at is None and self.remaining == 0  # a guess, which would last for a whole window
        if begins or is_guess or self.remaining is None:
            self.remaining = max(0, budget.remaining - in_flight)
        else:
            self.remaining = min(self.remaining, budget.remaining)
        self.resets_at = resets_at if self.resets_at is None else max(self.resets_at, resets_at)
        self.stated_at = now

    def shut(self, until: float, now: float) -> None:
        """
        Count the budget as spent until an instant [seconds since 1970], unless that lies beyond any window.

        Where there should have been budget left, it is another limit than the hourly one that was met, and when that
        one's window ends says nothing.
        """
        if until > now + LONGEST_WINDOW:
            return
        spent_until = self.resets_at if self.remaining == 0 else None
        self.remaining, self.resets_at, self.silent = 0, max(until, spent_until or until), False
        self.stated_at = now


_window = msgspec.json.Decoder(RateLimitWindow)


class RateLimiter(OfOneProcess):
    """
    Lets requests through while there is budget.

    Parameters
    ----------
    clock
        Wall clock [seconds since 1970].
    path
        File that the processes of an account share; ``None``: this process has the budget to itself.
    """

    def __init__(self, clock: Callable[[], float], path: Path | None = None) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._in_flight = 0
        self._shared = _RateLimitFile(path) if path else None
        self._window = RateLimitWindow()
        self.follow_forks()

    def after_fork_in_child(self) -> None:
        """What is on its way is the parent's, and its threads hold no lock here."""
        self._changed = threading.Condition()
        self._in_flight = 0
        if self._shared is not None:
            self._shared = _RateLimitFile(self._shared.path)

    @property
    def window(self) -> RateLimitWindow:
        """A copy of the current window."""
        with self._changed, self._opened() as window:
            return RateLimitWindow(**asdict(window))

    def acquire(self, wait: Callable[[float], None]) -> None:
        """
        Take the right to send one request.

        Parameters
        ----------
        wait
            Waits for so many seconds, or raises what ends the request.
        """
        while (delay := self._try()) > 0:
            wait(delay)

    def release(self, budget: Budget | None, *, shut_until: float | None = None) -> None:
        """
        Give back the place of a request that has ended.

        Parameters
        ----------
        budget
            The budget that its response states; ``None``: there was no response.
        shut_until
            The API turned the request away: send no request before this instant [seconds since 1970].
        """
        with self._changed:
            self._in_flight -= 1
            self._changed.notify_all()
            with self._opened() as window:
                if budget is not None:
                    window.learn(budget, self._in_flight, self._clock())
                if shut_until is not None:
                    window.shut(shut_until, self._clock())

    def _try(self) -> float:
        """Take a place and return 0, or return how long to wait before trying again [s]."""
        with self._changed:
            while (delay := self._delay()) is None:
                self._changed.wait()
            return delay

    def _delay(self) -> float | None:
        """Return the wait [s]; ``None``: until an answer that is under way has come."""
        with self._opened() as window:
            now = self._clock()
            if window.remaining == 0 and window.resets_at is not None:
                return window.resets_at - now
            if not window.remaining and self._in_flight and not window.silent:
                return None
            if window.remaining == 0 and 0 <= now - window.taken_at < ANSWER_DUE and self._shared:
                return POLL_BUDGET
            window.take(now)
            self._in_flight += 1
            return 0.0

    @contextmanager
    def _opened(self) -> Iterator[RateLimitWindow]:
        with nullcontext(self._window) if self._shared is None else self._shared.opened() as window:
            window.roll(self._clock(), self._in_flight)
            yield window


class _RateLimitFile:
    """The window in a small JSON file under a lock; where that cannot be had, this process keeps its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = file_lock(path, timeout=LIMITS_LOCK_TIMEOUT, poll_interval=POLL_LOCK)
        self._own = RateLimitWindow()

    @contextmanager
    def opened(self) -> Iterator[RateLimitWindow]:
        with ExitStack() as holding:
            with suppress(OSError):  # filelock's Timeout is one
                holding.enter_context(self._lock)
                self._own = RateLimitWindow() if self._is_in_the_way() else self._read()
            before = asdict(self._own)
            yield self._own
            if asdict(self._own) != before and not self._is_in_the_way():
                self._write()

    def _is_in_the_way(self) -> bool:
        """Tell whether something else than a file lies there, such as a link that we would write through."""
        return self.path.is_symlink() or (self.path.exists() and not self.path.is_file())

    def _read(self) -> RateLimitWindow:
        """Read the file; a missing or unreadable one is an unknown window."""
        try:
            return _window.decode(self.path.read_bytes())
        except (FileNotFoundError, *UNREADABLE):
            return RateLimitWindow()

    def _write(self) -> None:
        with suppress(OSError):
            self.path.touch(mode=PRIVATE)
            self.path.write_text(json.dumps(asdict(self._own)), encoding="utf-8")
