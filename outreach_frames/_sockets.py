"""
Read from a socket until a deadline and up to a size.

A timeout alone bounds the silence between two pieces: headers, announcements of more to come, chunk extensions and
trailers that trickle in would keep a reader for ever, and never fill a body whose size could be looked at.
"""

import io
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


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
        """Close the stream, and with it the socket where nothing else keeps it open."""
        self._stream.close()
        super().close()


def limited(stream: Any, sock: socket.socket, allowance: Allowance) -> io.BufferedReader:
    """Return a socket's buffered stream, from which nothing was read yet, with limits."""
    return io.BufferedReader(Received(sock, stream.detach(), allowance))
