"""
The state of a running sandbox: records, tokens, budgets, clock, settings and jobs.

A job is a generator that stops wherever the outside could look. It goes on when its resource type has been read, so
that a program that polls sees every state, and when the sandbox's clock says so, for programs that do not look.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from outreach_frames._sandbox.auth import Budget, Installations, OAuthServer, Tokens
from outreach_frames._sandbox.faults import Faults
from outreach_frames._sandbox.relations import Schema
from outreach_frames._sandbox.settings import SandboxSettings
from outreach_frames._sandbox.store import Record, Store

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

    def __init__(self, seconds: Callable[[], float], settings: SandboxSettings) -> None:
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
        step = self._settings.job_step_s
        return None if step is None else step + (self._seconds() if since is None else since)


STAMPED = ("bounced", "delivered", "opened", "replied")
"""What happens to a mailing, each with an attribute that says when: ``bouncedAt`` …"""

ENDS = {
    ("sequenceState", "finished"): "finished",
    ("task", "complete"): "completed",
    ("import", "finished"): "finished",
}
"""States whose entering has a name of its own."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """
    A mail to a user.

    Attributes
    ----------
    kind
        ``"invitation"``, or ``"test"`` for a mailbox trying whether it can send.
    to
        Address.
    user
        Id of the user it concerns; ``None`` where it is nobody's.
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
    Something that happened to a record.

    Attributes
    ----------
    kind
        What.
    record
        As it is now; for a deletion as it was last.
    before
        As it was before an update; otherwise ``None``.
    actor
        Id of the user who did it; ``None`` for the sandbox itself.
    at
        When, on the sandbox's clock.
    """

    kind: Literal["created", "updated", "destroyed"]
    record: Record
    before: Record | None = None
    actor: int | None = None
    at: datetime

    @property
    def happenings(self) -> tuple[str, ...]:
        """What happened, in the words of webhooks: ``updated``, and what that update meant (``completed``)."""
        return (self.kind, *(self._meanings(self.before) if self.before else ()))

    def _meanings(self, before: Record) -> Iterator[str]:
        type_name, now, was = self.record.type, self.record.attributes, before.attributes
        if type_name == "mailing":
            yield from (each for each in STAMPED if now.get(f"{each}At") and now[f"{each}At"] != was.get(f"{each}At"))
        step = "sequenceStep"
        if type_name == "sequenceState" and self.record.relationships.get(step) != before.relationships.get(step):
            yield "advanced"
        end = ENDS.get((type_name, str(now.get("state"))))
        if end and now.get("state") != was.get("state"):
            yield end


class Clock:
    """
    The sandbox's own time: a starting point plus the real time since `start`.

    Parameters
    ----------
    as_of
        Where it begins (aware); ``None`` for the machine's own time.
    """

    def __init__(self, as_of: datetime | None) -> None:
        if as_of is not None and as_of.tzinfo is None:
            raise ValueError("as_of has no time zone; give an aware datetime")
        self._as_of = as_of.astimezone(UTC) if as_of else None
        self._started: float | None = None
        self._ahead = timedelta()

    def start(self) -> None:
        """Let the time run."""
        self._started = time.monotonic()

    def advance(self, seconds: float) -> None:
        """Let that much time pass at once [s]."""
        self._ahead += timedelta(seconds=seconds)

    def now(self) -> datetime:
        """Return the time (aware, UTC)."""
        if self._as_of is None:
            return datetime.now(UTC) + self._ahead
        elapsed = 0.0 if self._started is None else time.monotonic() - self._started
        return self._as_of + timedelta(seconds=elapsed) + self._ahead

    def seconds(self) -> float:
        """Return the machine's time [seconds since 1970], as far ahead as this clock was moved."""
        return time.time() + self._ahead.total_seconds()


@dataclass(frozen=True, kw_only=True)
class RequestRecord:
    """
    One request that arrived, whatever became of it.

    Attributes
    ----------
    method, path
        As sent, the path decoded.
    query
        Query string, decoded: for reading; see `parameters` for its parts.
    status
        HTTP status answered; 0 if the answer never began.
    at
        When it arrived, on the sandbox's clock.
    parameters
        Name and value pairs of the query, decoded, in order.
    headers
        As sent, names in lower case, without the token and cookies.
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
        """Whether it asked the API itself for something, rather than for a token."""
        return self.path.startswith("/api/v2")


@dataclass(kw_only=True)
class State:
    """
    One organization and everything known about who talks to it.

    Attributes
    ----------
    store, schema
        Records and their types.
    settings
        Answers to what is not documented; may change while the sandbox runs.
    clock
        The sandbox's time.
    custom_fields
        Definitions of custom fields by resource type and field, as ``GET /types`` gives them.
    user
        Id of the user in front of the browser.
    tokens, budget
        Who may ask, and how often.
    oauth, installs
        Who hands tokens out, to users and to applications.
    faults
        What is to go wrong.
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
        What takes its time.
    uploads
        Files for imports, by storage key.
    """

    store: Store
    settings: SandboxSettings
    clock: Clock
    custom_fields: Mapping[str, Mapping[str, Any]]
    user: int = 1
    tokens: Tokens = field(init=False)
    budget: Budget = field(init=False)
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
        self.budget = Budget(self.clock.seconds)
        self.oauth = OAuthServer(self.tokens, self.clock.seconds, self.settings, user=self.user)
        self.installs = Installations(self.tokens, self.clock.seconds)
        self.jobs = Jobs(self.clock.seconds, self.settings)
        self.schema = Schema(self.store)
        for name in self.custom_fields:
            if self.schema.declared(name) is None:
                self.store.declare(name)

    def publish(self, change: Change) -> None:
        """Tell everybody who listens of a change."""
        for listener in self.listeners:
            listener(change)

    @property
    def link_base(self) -> str:
        """Where links point to."""
        return self.settings.links_base_url or f"{self.origin}/api/v2"
