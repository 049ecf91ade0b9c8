"""Time that passes only by sleeping, so that no test waits."""

import threading


class Clock:
    """
    Tells a time that only sleeping moves.

    Attributes
    ----------
    now
        The time [seconds since 1970].
    slept
        Every sleep so far [s].
    """

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def __call__(self) -> float:
        """Tell the time [seconds since 1970]."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        with self._lock:
            self.slept.append(seconds)
            self.now += seconds
