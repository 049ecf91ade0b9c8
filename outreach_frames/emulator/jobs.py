"""
Work that takes its time: batches, imports, compliance requests.

A job is a generator that stops wherever the outside could look. It goes on when its resource type has been read, so
that a program that polls sees every state, and when the sandbox's clock says so, for programs that do not look.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from outreach_frames.emulator.settings import Settings

ENDED = object()


@dataclass(eq=False)
class Job:
    """
    One piece of work.

    Attributes
    ----------
    type
        Resource type that shows how far it is.
    steps
        The work, stopping where its state can be seen.
    due
        When it goes on by itself, on the sandbox's clock [s since 1970]; ``None`` for never.
    """

    type: str
    steps: Iterator[None]
    due: float | None


class Jobs:
    """
    What is going on.

    Parameters
    ----------
    seconds
        The sandbox's time [s since 1970].
    settings
        How long a step takes.
    """

    def __init__(self, seconds: Callable[[], float], settings: Settings) -> None:
        self._seconds = seconds
        self._settings = settings
        self._running: list[Job] = []
        self._lock = threading.RLock()

    def start(self, type_name: str, steps: Iterator[None]) -> None:
        """Begin a job; its first step is not taken yet."""
        with self._lock:
            self._running.append(Job(type_name, steps, self._next_due()))

    def run_due(self) -> None:
        """Let every job take the steps whose time has come."""
        now = self._seconds()
        with self._lock:
            for job in list(self._running):
                while job in self._running and job.due is not None and job.due <= now:
                    self._step(job, since=job.due)

    def move_on(self, type_name: str) -> None:
        """Let the jobs of a type take one step."""
        with self._lock:
            for job in [job for job in self._running if job.type == type_name]:
                self._step(job)

    def finish(self) -> None:
        """Let every job run to its end."""
        with self._lock:
            while self._running:
                self._step(self._running[0])

    def _step(self, job: Job, *, since: float | None = None) -> None:
        job.due = self._next_due(since)
        if next(job.steps, ENDED) is ENDED:
            self._running.remove(job)

    def _next_due(self, since: float | None = None) -> float | None:
        step = self._settings.job_seconds
        return None if step is None else step + (self._seconds() if since is None else since)
