"""What one running sandbox holds, shared by its routes: records, tokens, budgets, clock, settings, request log."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from outreach_frames.emulator.access import Budget, Tokens
from outreach_frames.emulator.changes import Change, Message
from outreach_frames.emulator.faults import Faults
from outreach_frames.emulator.installs import Installs
from outreach_frames.emulator.jobs import Jobs
from outreach_frames.emulator.oauth import Authority
from outreach_frames.emulator.schema import Schema
from outreach_frames.emulator.settings import Settings
from outreach_frames.emulator.store import Store


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
    One organisation and everything known about who talks to it.

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
    authority, installs
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
    settings: Settings
    clock: Clock
    custom_fields: Mapping[str, Mapping[str, Any]]
    user: int = 1
    tokens: Tokens = field(init=False)
    budget: Budget = field(init=False)
    authority: Authority = field(init=False)
    installs: Installs = field(init=False)
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
        self.authority = Authority(self.tokens, self.clock.seconds, self.settings, user=self.user)
        self.installs = Installs(self.tokens, self.clock.seconds)
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
