"""
The state of a running sandbox: records, tokens, rate limits, clock, settings and jobs.

A job is a generator that stops after every visible state. It continues when its resource type has been read, so
that a program that polls sees every state, and after `job_step_s` on the sandbox's clock.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from outreach_frames._sandbox.auth import Installations, OAuthServer, RateLimit, Tokens
from outreach_frames._sandbox.faults import Faults
from outreach_frames._sandbox.relations import Schema
from outreach_frames._sandbox.settings import SandboxSettings
from outreach_frames._sandbox.store import Record, Store

_FINISHED = object()


@dataclass(eq=False)
class Job:
    """
    A long-running job.

    Attributes
    ----------
    type
        Resource type that shows its state.
    steps
        The work, which stops after every visible state.
    due
        When it continues without a read, on the sandbox's clock [s since 1970]; ``None`` for never.
    """

    type: str
    steps: Iterator[None]
    due: float | None


class Jobs:
    """
    Jobs that are running.

    Parameters
    ----------
    seconds
        The sandbox's time [s since 1970].
    settings
        Settings of the sandbox.
    """

    def __init__(self, seconds: Callable[[], float], settings: SandboxSettings) -> None:
        self._seconds = seconds
        self._settings = settings
        self._running: list[Job] = []
        self._lock = threading.RLock()

    def start(self, type_name: str, steps: Iterator[None]) -> None:
        """Start a job; its first step runs later."""
        with self._lock:
            self._running.append(Job(type_name, steps, self._next_due()))

    def run_due(self) -> None:
        """Run the steps of all jobs that are due."""
        now = self._seconds()
        with self._lock:
            for job in list(self._running):
                while job in self._running and job.due is not None and job.due <= now:
                    self._step(job, since=job.due)

    def move_on(self, type_name: str) -> None:
        """Run one step of all jobs of a type."""
        with self._lock:
            for job in [job for job in self._running if job.type == type_name]:
                self._step(job)

    def finish(self) -> None:
        """Run all jobs to their end."""
        with self._lock:
            while self._running:
                self._step(self._running[0])

    def _step(self, job: Job, *, since: float | None = None) -> None:
        job.due = self._next_due(since)
        if next(job.steps, _FINISHED) is _FINISHED:
            self._running.remove(job)

    def _next_due(self, since: float | None = None) -> float | None:
        step = self._settings.job_step_s
        return None if step is None else step + (self._seconds() if since is None else since)


_STAMPED = ("bounced", "delivered", "opened", "replied")
"""Actions of a mailing that have an attribute with their time: ``bouncedAt`` …"""

_END_ACTIONS = {
    ("sequenceState", "finished"): "finished",
    ("task", "complete"): "completed",
    ("import", "finished"): "finished",
}
"""States with their own action name."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """
    A mail to a user.

    Attributes
    ----------
    kind
        ``"invitation"``, or ``"test"`` for a test of a mailbox.
    to
        Address.
    user
        Id of the user; ``None`` without one.
    at
        When, on the sandbox's clock.
    """

    kind: Literal["invitation", "test"]
    to: str
    user: int | None
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Change:
    """
    A change of a record.

    Attributes
    ----------
    kind
        The kind of change.
    record
        The record after the change; the last version of a deleted one.
    before
        The record before an update; otherwise ``None``.
    actor
        Id of the user; ``None`` for the sandbox itself.
    at
        When, on the sandbox's clock.
    """

    kind: Literal["created", "updated", "destroyed"]
    record: Record
    before: Record | None = None
    actor: int | None = None
    at: datetime

    @property
    def actions(self) -> tuple[str, ...]:
        """The actions of the change, as webhooks name them: ``updated``, and what the update means (``completed``)."""
        return (self.kind, *(self._meanings(self.before) if self.before else ()))

    def _meanings(self, before: Record) -> Iterator[str]:
        type_name, now, was = self.record.type, self.record.attributes, before.attributes
        if type_name == "mailing":
            yield from (each for each in _STAMPED if now.get(f"{each}At") and now[f"{each}At"] != was.get(f"{each}At"))
        step = "sequenceStep"
        if type_name == "sequenceState" and self.record.relationships.get(step) != before.relationships.get(step):
            yield "advanced"
        end = _END_ACTIONS.get((type_name, str(now.get("state"))))
        if end and now.get("state") != was.get("state"):
            yield end


class Clock:
    """
    The sandbox's own time: a starting point plus the real time since `start`.

    Parameters
    ----------
    as_of
        Start (aware); ``None`` for the machine's own time.
    """

    def __init__(self, as_of: datetime | None) -> None:
        if as_of is not None and as_of.tzinfo is None:
            raise ValueError("as_of has no time zone; pass an aware datetime")
        self._as_of = as_of.astimezone(UTC) if as_of else None
        self._started: float | None = None
        self._ahead = timedelta()

    def start(self) -> None:
        """Start the clock."""
        self._started = time.monotonic()

    def advance(self, seconds: float) -> None:
        """Move the clock forward [s]."""
        self._ahead += timedelta(seconds=seconds)

    def now(self) -> datetime:
        """Return the time (aware, UTC)."""
        if self._as_of is None:
            return datetime.now(UTC) + self._ahead
        elapsed = 0.0 if self._started is None else time.monotonic() - self._started
        return self._as_of + timedelta(seconds=elapsed) + self._ahead

    def seconds(self) -> float:
        """Return the machine's time [seconds since 1970], moved forward as `advance` did."""
        return time.time() + self._ahead.total_seconds()


@dataclass(frozen=True, kw_only=True)
class RequestRecord:
    """
    One request that the server received.

    Attributes
    ----------
    method, path
        Of the request, the path decoded.
    query
        Query string, decoded, to be read by people; see `parameters`.
    status
        HTTP status of the response; 0 without a response.
    at
        When it was received, on the sandbox's clock.
    parameters
        Name and value pairs of the query, decoded, in order.
    headers
        Headers with names in lower case, without the token and cookies.
    """

    method: str
    path: str
    query: str
    status: int
    at: datetime
    parameters: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]

    @property
    def is_data(self) -> bool:
        """Whether it is a request to the API itself, not for a token."""
        return self.path.startswith("/api/v2")


@dataclass(kw_only=True)
class SandboxState:
    """
    One organization, and the state of its server.

    Attributes
    ----------
    store, schema
        Records and their types.
    settings
        Behavior that is not documented; may change while the sandbox runs.
    clock
        The sandbox's time.
    custom_fields
        Definitions of custom fields by resource type and field, as ``GET /types`` gives them.
    user
        Id of the user in the browser.
    tokens, budget
        Bearer tokens and rate limits.
    oauth, installs
        Servers that issue tokens to users and to applications.
    faults
        The faults.
    log
        Requests, oldest first.
    failures
        Exceptions of the sandbox itself, answered with 500.
    origin
        Scheme, host and port, once the server listens.
    outbox
        Mail sent to users.
    listeners
        Called with every change, in order.
    jobs
        Long-running jobs.
    uploads
        Files for imports, by storage key.
    """

    store: Store
    settings: SandboxSettings
    clock: Clock
    custom_fields: Mapping[str, Mapping[str, Any]]
    user: int = 1
    tokens: Tokens = field(init=False)
    budget: RateLimit = field(init=False)
    oauth: OAuthServer = field(init=False)
    installs: Installations = field(init=False)
    faults: Faults = field(default_factory=Faults)
    log: list[RequestRecord] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    origin: str = ""
    outbox: list[Message] = field(default_factory=list)
    listeners: list[Callable[[Change], None]] = field(default_factory=list)
    uploads: dict[str, bytes] = field(default_factory=dict)
    jobs: Jobs = field(init=False)
    schema: Schema = field(init=False)

    def __post_init__(self) -> None:
        self.tokens = Tokens(self.clock.seconds)
        self.budget = RateLimit(self.clock.seconds)
        self.oauth = OAuthServer(self.tokens, self.clock.seconds, self.settings, user=self.user)
        self.installs = Installations(self.tokens, self.clock.seconds)
        self.jobs = Jobs(self.clock.seconds, self.settings)
        self.schema = Schema(self.store)
        for name in self.custom_fields:
            if self.schema.declared(name) is None:
                self.store.declare(name)

    def publish(self, change: Change) -> None:
        """Call all listeners with a change."""
        for listener in self.listeners:
            listener(change)

    @property
    def link_base(self) -> str:
        """Base URL of links."""
        return self.settings.links_base_url or f"{self.origin}/api/v2"
