"""
How long a request may take and wait, and how much of its response is read.

Connections are kept open, and read until a deadline and up to a size.

A timeout limits only the time between two pieces of data. A server could send headers, interim responses (1xx), chunk
extensions or trailers slowly and without end: no timeout would occur, and no body would grow to a size that could be
checked. So there is a deadline too.
"""

import http.client
import io
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from queue import LifoQueue
from typing import Any

import urllib3.connection
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from outreach_frames._fork import OfOneProcess
from outreach_frames.errors import TransportError

CONNECTIONS = 16
"""Kept open to a host."""


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

    connect: float
    read: float
    deadline: float
    max_wait: float | None
    size: int


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


class TooLargeError(OSError):
    """More came than may be read."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """
    What one exchange may take.

    Attributes
    ----------
    ends_at
        Its deadline, by the timer [s].
    timer
        A monotonic clock [s].
    silence
        Time between two pieces [s].
    size
        What may come, headers and all [bytes].
    """

    ends_at: float
    timer: Callable[[], float]
    silence: float
    size: int


class Received(io.RawIOBase):
    """
    What comes through a socket, as a raw stream.

    Parameters
    ----------
    sock
        The socket.
    stream
        Its raw stream, which keeps it open.
    allowance
        What may be read from it.
    """

    def __init__(self, sock: socket.socket, stream: Any, allowance: Allowance) -> None:
        super().__init__()
        self._sock = sock
        self._stream = stream
        self._allowance = allowance
        self._left = allowance.size

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """
        Read what has come.

        Raises
        ------
        TimeoutError
            Nothing came in time, or the deadline has passed.
        TooLargeError
            More came than may be read.
        """
        time_left = self._allowance.ends_at - self._allowance.timer()
        if time_left <= 0:
            raise TimeoutError
        self._sock.settimeout(min(self._allowance.silence, time_left))
        count: int | None = self._stream.readinto(buffer)
        self._left -= count or 0
        if self._left < 0:
            raise TooLargeError
        return count

    def close(self) -> None:
        """Close the stream, and with it the socket unless another object uses it."""
        self._stream.close()
        super().close()


def limited(stream: Any, sock: socket.socket, allowance: Allowance) -> io.BufferedReader:
    """Return a socket's buffered stream, from which nothing was read yet, with limits."""
    return io.BufferedReader(Received(sock, stream.detach(), allowance))


_allowance: ContextVar[Allowance] = ContextVar("_allowance")


@contextmanager
def allowing(allowance: Allowance) -> Iterator[None]:
    """Read answers that begin meanwhile, in this thread, within limits."""
    before = _allowance.set(allowance)
    try:
        yield
    finally:
        _allowance.reset(before)


class PooledAdapter(HTTPAdapter):
    """
    Sends requests over connections that it keeps open.

    After a fork it is replaced, not used: its locks may be held by a thread that is not in the child.
    """

    def __init__(self) -> None:
        super().__init__(pool_maxsize=CONNECTIONS)

    def init_poolmanager(self, *args: Any, **settings: Any) -> None:
        """Create the pools of direct connections."""
        super().init_poolmanager(*args, **settings)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **settings: Any) -> Any:
        """Return the pools of connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **settings)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class _Response(http.client.HTTPResponse):
    """An answer that is read within limits, from its first byte."""

    def __init__(self, sock: socket.socket, *args: Any, **settings: Any) -> None:
        super().__init__(sock, *args, **settings)
        self.fp = limited(self.fp, sock, _allowance.get())


class _Idle(LifoQueue[Any], OfOneProcess):
    """Connections that wait for the next request, until the process is forked."""

    def __init__(self, maxsize: int = 0) -> None:
        super().__init__(maxsize)
        self.follow_forks()

    def after_fork_in_child(self) -> None:
        """Close the parent's connections, here only, and take locks that no thread holds."""
        for connection in filter(None, self.queue):
            connection.close()
        LifoQueue.__init__(self, self.maxsize)


class _PlainConnection(urllib3.connection.HTTPConnection):
    response_class = _Response


class _TLSConnection(urllib3.connection.HTTPSConnection):
    response_class = _Response


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection
    QueueCls = _Idle


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection
    QueueCls = _Idle


_POOLS = {"http": _PlainPool, "https": _TLSPool}
