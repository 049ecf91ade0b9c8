"""
Which requests are sent again, after how long, and how the wait can be interrupted.

The API has no idempotency key: a create that is sent twice is a duplicate prospect. So a request that may have been
carried out is repeated only where carrying it out twice is the same as once.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from outreach_frames.errors import TransportError


class Outcome(Enum):
    """How one attempt ended."""

    DONE = auto()
    """A complete, readable answer: 2xx."""
    UNSENT = auto()
    """No connection came about, so nothing was sent."""
    RATE_LIMITED = auto()
    """429: turned away, not carried out."""
    MAINTENANCE = auto()
    """503 that announces maintenance: turned away, not carried out."""
    SERVER_ERROR = auto()
    """Any other 5xx: the request may have been executed."""
    DROPPED = auto()
    """The connection ended, or time ran out, before a complete response: it may have been executed."""
    UNREADABLE = auto()
    """2xx, complete, and not JSON."""
    NESTED = auto()
    """2xx, complete, and nested too deeply to be read; the same next time."""
    REFUSED = auto()
    """An answer that would be the same next time: 4xx, a redirect that must not be followed, a TLS certificate."""


NOT_EXECUTED = frozenset({Outcome.UNSENT, Outcome.RATE_LIMITED, Outcome.MAINTENANCE})
REPEATABLE_METHODS = frozenset({"GET", "DELETE"})

ATTEMPTS = {
    Outcome.UNSENT: 4,
    Outcome.RATE_LIMITED: 10,
    Outcome.MAINTENANCE: 10,
    Outcome.SERVER_ERROR: 5,
    Outcome.DROPPED: 5,
    Outcome.UNREADABLE: 4,
}
"""How often a request is sent at most, by how the last attempt ended [attempts]. What is not listed is final."""

FIRST_PAUSE = 0.5
"""Pause before the second attempt, doubled for each further one [s]."""
LONGEST_PAUSE = 30.0
"""Longest pause of our own choosing [s]."""
LONGEST_WAIT = 3_700.0
"""Longest wait that an announcement of the server can ask for: one hourly window and a little [s]."""
ROUNDING = 1.0
"""Announced instants have whole seconds, rounded up or down [s]."""


def pause_before_retry(
    outcome: Outcome,
    attempts: int,
    *,
    repeatable: bool,
    resumes_in: float | None = None,
    time_left: float = float("inf"),
    wait_left: float = LONGEST_WAIT,
    spread: float,
) -> float | None:
    """
    Decide whether a request is sent again.

    Parameters
    ----------
    outcome
        How the last attempt ended.
    attempts
        How often it was sent [attempts].
    repeatable
        Whether executing the request twice is the same as once.
    resumes_in
        When the server asked to come back [seconds from now]; ``None``: it did not say.
    time_left
        Until the deadline of the request [s].
    wait_left
        How long it may still wait for an announced instant [s].
    spread
        Random number in [0, 1) that keeps many clients from coming back at the same moment.

    Returns
    -------
    pause : float or None
        How long to wait before sending it again [s]; ``None``: do not.
    """
    if attempts >= ATTEMPTS.get(outcome, 0):
        return None
    if outcome not in NOT_EXECUTED and not repeatable:
        return None
    if resumes_in is not None:
        wait = resumes_in + ROUNDING + spread
        return wait if wait <= min(wait_left, LONGEST_WAIT) else None
    backoff = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (attempts - 1))
    pause = backoff * (1 + spread) / 2
    return pause if pause <= time_left else None


STEP = 1.0
"""Between two reports of the time left [s]."""


class WaitInterrupted(KeyboardInterrupt):
    """
    Ctrl-C while a request, or the token for it, waits.

    Attributes
    ----------
    executed
        As of `OutreachError`: ``False`` where no attempt can have been executed.
    """

    executed: bool | None = None


@dataclass
class Waiter:
    """
    Waits, for all requests of a session and for the tokens that they need.

    Attributes
    ----------
    clock
        Wall clock, which can be set back [seconds since 1970].
    sleep
        Sleeps for so many seconds.
    on_wait
        Called with the time left [s] about once a second during a wait of a second or more, and with 0 at its end.
    timer
        Monotonic clock for waits and deadlines [s]; default: the machine's, or ``clock`` where that is passed.
    listeners
        Called like ``on_wait``, as long as they are in this list.
    """

    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    on_wait: Callable[[float], None] | None = None
    timer: Callable[[], float] | None = None
    listeners: list[Callable[[float], None]] = field(default_factory=list)
    _closed: bool = False

    def elapsed(self) -> float:
        """Tell a time that only passes [s]."""
        return (self.timer or (time.monotonic if self.clock is time.time else self.clock))()

    def wait(self, seconds: float) -> None:
        """Wait; raise `TransportError` if the connection is closed meanwhile, `WaitInterrupted` at Ctrl-C."""
        until = self.elapsed() + seconds
        try:
            while not self._closed and (left := until - self.elapsed()) > 0:
                if seconds >= STEP:
                    self._report(left)
                self.sleep(min(STEP, left))
        except KeyboardInterrupt:
            raise WaitInterrupted from None
        if seconds >= STEP:
            self._report(0.0)
        if self._closed:
            raise TransportError("The connection is closed; the request was given up.")

    def _report(self, left: float) -> None:
        for listener in (self.on_wait, *self.listeners):
            if listener is not None:
                listener(left)

    def close(self) -> None:
        """End every wait."""
        self._closed = True


class Deadline:
    """
    How long one request may still take.

    Parameters
    ----------
    waiter
        Waits.
    deadline
        Time for all its attempts and the pauses between them, announced waits not counted [s].
    max_wait
        Time it may wait for instants that the server announced [s].
    """

    def __init__(self, waiter: Waiter, *, deadline: float, max_wait: float) -> None:
        self._waiter = waiter
        self._ends_at = waiter.elapsed() + deadline
        self.wait_left = max_wait

    @property
    def time_left(self) -> float:
        """Until the deadline [s]; negative once it has passed."""
        return self._ends_at - self._waiter.elapsed()

    def wait(self, seconds: float, *, announced: bool) -> None:
        """Wait, on the request's own time or for an announced instant, which moves the deadline."""
        if announced:
            self._ends_at += seconds
            self.wait_left -= seconds
        self._waiter.wait(seconds)
