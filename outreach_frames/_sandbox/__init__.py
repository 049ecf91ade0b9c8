"""
An embedded Outreach: real HTTP on loopback, served from memory.

It answers as the vendor's documents say, and where they say nothing as `Settings` says. It shares only the catalog
with the client: it reads queries and bodies, compares values, writes documents and signs webhooks with code of its own,
so that a mistake of the client cannot agree with itself. What is written is really done: enrollments move, batches and
erasures run, invitations lie in the `outbox`, webhooks are called, on this machine and nowhere else.

::

    with Sandbox(prospects=500, seed=7) as sandbox:
        requests.get(f"{sandbox.base_url}/prospects", headers={"Authorization": f"Bearer {sandbox.token}", …})
"""

import weakref
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from outreach_frames._sandbox.auth import Authority, Installs
from outreach_frames._sandbox.faults import Fault, Faults
from outreach_frames._sandbox.settings import Settings
from outreach_frames._sandbox.state import Change, Clock, Message, RequestRecord, State
from outreach_frames._sandbox.store import Resources, Store, read_resource, read_resources
from outreach_frames._sandbox.webhooks import WebhookDispatcher
from outreach_frames._sandbox.writes.enrollments import begin_due_tasks
from outreach_frames._sandbox.writes.unit_of_work import EventLog, UnitOfWork

if TYPE_CHECKING:
    from outreach_frames._sandbox.server import Server


class Sandbox:
    """
    One organization, served over HTTP.

    Parameters
    ----------
    resources
        Path of a JSON file or its content: a list of JSON:API resource objects, a mapping of such lists, or a JSON:API
        document. Exactly these are served. ``None`` for a seeded organization.
    prospects, seed
        Size [prospects] and seed of the seeded organization.
    as_of
        Where the sandbox's clock begins (aware); by default 2026-03-31 for a seeded organization, so that a seed always
        means the same records, and the machine's time for given resources.
    settings
        Answers to what the vendor does not document.
    custom_fields
        Definitions of custom fields by resource type and field name, as ``GET /types`` gives them: ``type``,
        ``required``, ``label``, ``definition``. A type that the API does not have is a custom object. By default those
        of the seeded organization, and none for given resources.

    Attributes
    ----------
    token
        A bearer token that may do everything.
    settings
        May be changed while the sandbox runs.
    store
        The records.

    Raises
    ------
    ValueError
        `resources` holds something that is no resource object, or one twice; `prospects` is below 1 or `seed` below 0;
        `as_of` has no time zone.
    OSError
        The file cannot be read.
    """

    def __init__(
        self,
        resources: Resources | None = None,
        *,
        prospects: int = 2_000,
        seed: int = 7,
        as_of: datetime | None = None,
        settings: Settings | None = None,
        custom_fields: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        if resources is not None:
            store = Store(read_resources(resources))
        else:
            from outreach_frames._sandbox.seed import AS_OF, CUSTOM_FIELDS, organization  # noqa: PLC0415

            as_of = as_of or AS_OF
            custom_fields = CUSTOM_FIELDS if custom_fields is None else custom_fields
            store = Store(read_resources(organization(prospects, seed, as_of)))
        self._state = State(
            store=store,
            settings=settings or Settings(),
            clock=Clock(as_of),
            custom_fields=custom_fields or {},
            user=min((record.id for record in store.records("user") if isinstance(record.id, int)), default=1),
        )
        self.token = self._state.tokens.issue(self._state.user)
        self._courier = WebhookDispatcher(self._state)
        self._state.listeners += [EventLog(self._state), self._courier]
        self._server: Server | None = None
        self._stop: weakref.finalize[[Server, WebhookDispatcher], Sandbox] | None = None

    # Running

    def start(self) -> Self:
        """
        Listen on a free port of 127.0.0.1; stopped at the latest when the interpreter exits.

        Raises
        ------
        OSError
            No port could be opened.
        RuntimeError
            It runs already, or the server did not start.
        """
        if self._server is not None:
            raise RuntimeError("the sandbox is already running")
        from outreach_frames._sandbox.routes import Api  # noqa: PLC0415 - a server is loaded only by who starts one
        from outreach_frames._sandbox.server import Server  # noqa: PLC0415 - as above

        server = Server(Api(self._state).application())
        self._state.origin = server.origin
        self._state.clock.start()
        server.start()
        self._server = server
        self._stop = weakref.finalize(self, _stop, server, self._courier)
        return self

    def stop(self) -> None:
        """Stop listening; stopping twice, or before the start, does nothing."""
        if self._stop is not None:
            self._stop()
        self._server = None

    def __enter__(self) -> Self:
        return self.start() if self._server is None else self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def base_url(self) -> str:
        """
        Base of the API, such as ``http://127.0.0.1:PORT/api/v2``.

        Raises
        ------
        RuntimeError
            The sandbox was never started.
        """
        if not self._state.origin:
            raise RuntimeError("the sandbox has no address before start()")
        return f"{self._state.origin}/api/v2"

    def now(self) -> datetime:
        """Return the sandbox's present (aware, UTC): what it stamps answers and records with."""
        return self._state.clock.now()

    def seconds(self) -> float:
        """Return the time that budgets, tokens and throttles are counted by [seconds since 1970]."""
        return self._state.clock.seconds()

    def advance(self, seconds: float) -> None:
        """Let so much time pass at once [s]: tokens age, budgets reopen, tasks fall due, the ``Date`` moves on."""
        self._state.clock.advance(seconds)
        begin_due_tasks(UnitOfWork(self._state))
        self._state.jobs.run_due()

    def run_jobs(self) -> None:
        """Let all batches, imports and compliance requests run to their end."""
        self._state.jobs.finish()

    # What it holds

    @property
    def settings(self) -> Settings:
        """Answers to what is not documented; changing one changes the next answer."""
        return self._state.settings

    @property
    def faults(self) -> Faults:
        """What is to go wrong; see `Fault`."""
        return self._state.faults

    @property
    def store(self) -> Store:
        """The records."""
        return self._state.store

    def put(self, *resources: Mapping[str, Any]) -> None:
        """
        Add resource objects, or replace those of the same type and id, as if someone had worked in Outreach.

        Raises
        ------
        ValueError
            One is no resource object.
        """
        for position, resource in enumerate(resources):
            record = read_resource(resource, f"resource {position}")
            before = self._state.store.find(*record.identifier)
            self._state.store.put(record)
            kind: Literal["created", "updated"] = "updated" if before else "created"
            self._state.publish(Change(kind=kind, record=record, before=before, at=self.now()))

    def remove(self, type_name: str, id_: int | str) -> None:
        """
        Remove a record; it disappears from lists without a trace, as in Outreach.

        Raises
        ------
        KeyError
            There is none.
        """
        record = self._state.store.find(type_name, id_)
        self._state.store.remove(type_name, id_)
        if record is not None:
            self._state.publish(Change(kind="destroyed", record=record, at=self.now()))

    # What it sends

    @property
    def outbox(self) -> tuple[Message, ...]:
        """Mail sent to users, oldest first: invitations, and mailboxes trying whether they can send."""
        return tuple(self._state.outbox)

    def clear_outbox(self) -> None:
        """Forget the mail so far."""
        self._state.outbox.clear()

    @property
    def courier(self) -> WebhookDispatcher:
        """What is delivered to webhooks; see `WebhookDispatcher`."""
        return self._courier

    # Who may ask

    @property
    def oauth(self) -> Authority:
        """Tokens for users: client id and secret, codes, refresh tokens; see `Authority`."""
        return self._state.authority

    @property
    def installs(self) -> Installs:
        """Tokens for applications, server to server: keys and installations; see `Installs`."""
        return self._state.installs

    def issue_token(self, *, user: int = 1, scopes: Iterable[str] | None = None, lifetime: float | None = None) -> str:
        """
        Make another bearer token.

        Parameters
        ----------
        user
            Id of the user it acts for; the request budget is counted by user.
        scopes
            Such as ``["prospects.read"]``; ``None`` for everything.
        lifetime
            How long it is accepted [s]; ``None`` for ever.
        """
        return self._state.tokens.issue(user, scopes=scopes, lifetime=lifetime)

    def revoke_token(self, token: str) -> None:
        """Refuse a token from now on."""
        self._state.tokens.revoke(token)

    def reset_budget(self) -> None:
        """Give every user a fresh window of requests."""
        self._state.budget.reset()

    # What was asked

    @property
    def requests(self) -> tuple[RequestRecord, ...]:
        """Requests that arrived, oldest first, refused ones included."""
        return tuple(self._state.log)

    @property
    def data_requests(self) -> int:
        """How many requests asked the API itself for something, rather than for a token."""
        return sum(record.is_data for record in self.requests)

    def clear_log(self) -> None:
        """Forget the requests so far."""
        self._state.log.clear()

    @property
    def failures(self) -> tuple[Exception, ...]:
        """Exceptions of the sandbox itself, each answered with 500: mistakes in here, never part of the emulation."""
        return tuple(self._state.failures)


def _stop(server: "Server", courier: WebhookDispatcher) -> None:
    server.stop()
    courier.stop()


__all__ = ["Authority", "Fault", "Faults", "Installs", "RequestRecord", "Sandbox", "Settings"]
