"""Waiting in the open: in short steps, with the time left reported, and cut short when the connection is closed."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from outreach_frames.errors import TransportError

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
        Wall clock, which anybody may set [seconds since 1970].
    sleep
        Sleeps for so many seconds.
    on_wait
        Called with the time left [s] about once a second during a wait of a second or more, and with 0 at its end.
    timer
        Clock that nobody sets, for waits and deadlines [s]; default: the machine's, or ``clock`` where that is given.
    """

    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    on_wait: Callable[[float], None] | None = None
    timer: Callable[[], float] | None = None
    _closed: bool = False
    _listeners: list[Callable[[float], None]] = field(default_factory=list)

    def elapsed(self) -> float:
        """Tell a time that only passes [s]."""
        return (self.timer or (time.monotonic if self.clock is time.time else self.clock))()

    @contextmanager
    def reporting_to(self, listener: Callable[[float], None]) -> Iterator[None]:
        """Report waits to a listener too, as to `on_wait`."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

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
        for listener in (self.on_wait, *self._listeners):
            if listener is not None:
                listener(left)

    def close(self) -> None:
        """End every wait."""
        self._closed = True


class Patience:
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

    def wait(self, seconds: float, *, as_told: bool) -> None:
        """Wait, on the request's own time or for an announced instant, which moves the deadline."""
        if as_told:
            self._ends_at += seconds
            self.wait_left -= seconds
        self._waiter.wait(seconds)
