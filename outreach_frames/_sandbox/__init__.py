"""
An embedded Outreach: real HTTP on loopback, served from memory.

It responds as the vendor's documents say, and as `SandboxSettings` say where the documents are silent. It shares only
the catalog with the client: it reads queries and bodies, compares values, writes documents and signs webhooks with its
own code, so that a mistake of the client cannot agree with itself. Writes have their effects: enrollments move, batches
and compliance requests run, invitations are in the `outbox`, and webhooks are called, but only on this machine.

::

    with Sandbox(prospects=500, seed=7) as sandbox:
        requests.get(f"{sandbox.base_url}/prospects", headers={"Authorization": f"Bearer {sandbox.token}", …})
"""

import weakref
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from outreach_frames._extras import require
from outreach_frames._sandbox.auth import Installations, OAuthServer
from outreach_frames._sandbox.faults import Fault, Faults
from outreach_frames._sandbox.settings import SandboxSettings
from outreach_frames._sandbox.state import Change, Clock, Message, RequestRecord, SandboxState
from outreach_frames._sandbox.store import Resources, Store, read_resource, read_resources
from outreach_frames._sandbox.webhooks import WebhookDispatcher
from outreach_frames._sandbox.writes.enrollments import begin_due_tasks
from outreach_frames._sandbox.writes.unit_of_work import EventLog, UnitOfWork

if TYPE_CHECKING:
    from outreach_frames._sandbox.server import LoopbackServer


class Sandbox:
    """
    One organization, served over HTTP; `sandbox` starts one and connects to it.

    Parameters
    ----------
    resources
        Path of a JSON file or its content: a list of JSON:API resource objects, a mapping of such lists, or a JSON:API
        document. Exactly these are served. ``None`` for a seeded organization.
    prospects, seed
        Size [prospects] and seed of the seeded organization.
    as_of
        Start of the sandbox's clock (aware). By default 2026-03-31 for a seeded organization, so that a seed always
        means the same records, and the machine's time with `resources`.
    settings
        Behavior that the vendor does not document: `SandboxSettings`, or a mapping of some of them.
    faults
        What goes wrong, and on which requests: `Fault` objects, or mappings of their attributes.
    custom_fields
        Definitions of custom fields by resource type and field name, as ``GET /types`` returns them: ``type``,
        ``required``, ``label``, ``definition``. A type that the API does not have is a custom object. By default those
        of the seeded organization, and none with `resources`.

    Attributes
    ----------
    token
        A bearer token with all scopes.

    Raises
    ------
    ValueError
        `resources` contain something that is not a resource object, or one twice; `prospects` is below 1 or `seed`
        below 0; `as_of` has no time zone; a setting or a fault has a value that it cannot have.
    TypeError
        There is no such setting, or no such attribute of a fault.
    OSError
        The file cannot be read.

    Examples
    --------
    >>> import outreach_frames as of
    >>> with of.sandbox(prospects=20) as org:
    ...     fault = org.sandbox.faults.add(path="/accounts", status=404)
    ...     org.sandbox.settings.rate_limit = 50
    ...     org.sandbox.issue_token(scopes=["prospects.read"]) != org.sandbox.token
    True
    """

    def __init__(
        self,
        resources: Resources | None = None,
        *,
        prospects: int = 2_000,
        seed: int = 7,
        as_of: datetime | None = None,
        settings: SandboxSettings | Mapping[str, Any] | None = None,
        faults: Iterable[Fault | Mapping[str, Any]] = (),
        custom_fields: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        if resources is not None:
            store = Store(read_resources(resources))
        else:
            from outreach_frames._sandbox.seed import AS_OF, CUSTOM_FIELDS, organization  # noqa: PLC0415

            as_of = as_of or AS_OF
            custom_fields = CUSTOM_FIELDS if custom_fields is None else custom_fields
            store = Store(read_resources(organization(prospects, seed, as_of)))
        self._state = SandboxState(
            store=store,
            settings=settings if isinstance(settings, SandboxSettings) else SandboxSettings(**(settings or {})),
            clock=Clock(as_of),
            custom_fields=custom_fields or {},
            user=min((record.id for record in store.records("user") if isinstance(record.id, int)), default=1),
        )
        for fault in faults:
            self._state.faults.add(fault if isinstance(fault, Fault) else Fault(**fault))
        self.token = self._state.tokens.issue(self._state.user)
        self._dispatcher = WebhookDispatcher(self._state)
        self._state.listeners += [EventLog(self._state), self._dispatcher]
        self._server: LoopbackServer | None = None
        self._stop: weakref.finalize[[LoopbackServer, WebhookDispatcher], Sandbox] | None = None

    # Running

    def start(self) -> Self:
        """
        Listen on a free port of 127.0.0.1; stopped at the latest when the interpreter exits.

        Raises
        ------
        OSError
            No port could be opened.
        RuntimeError
            It is already running, or the server did not start.
        """
        if self._server is not None:
            raise RuntimeError("the sandbox is already running")
        require("sandbox", "Sandboxes")
        from outreach_frames._sandbox.routes import Api  # noqa: PLC0415 - loaded only for a server that is started
        from outreach_frames._sandbox.server import LoopbackServer  # noqa: PLC0415 - as above

        server = LoopbackServer(Api(self._state).application())
        self._state.origin = server.origin
        self._state.clock.start()
        server.start()
        self._server = server
        self._stop = weakref.finalize(self, _stop, server, self._dispatcher)
        return self

    def stop(self) -> None:
        """Stop listening; a second call, or one before the start, has no effect."""
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
        """Return the sandbox's current time (aware, UTC): the time in responses and records."""
        return self._state.clock.now()

    def seconds(self) -> float:
        """Return the time that rate limits and tokens are measured by [seconds since 1970]."""
        return self._state.clock.seconds()

    def advance(self, seconds: float) -> None:
        """
        Move the clock forward [s]: tokens expire, rate limit windows end, tasks become due, the ``Date`` changes.

        Examples
        --------
        >>> before = org.sandbox.seconds()
        >>> org.sandbox.advance(3600)
        >>> org.sandbox.seconds() - before >= 3600
        True
        """
        self._state.clock.advance(seconds)
        begin_due_tasks(UnitOfWork(self._state))
        self._state.jobs.run_due()

    def run_jobs(self) -> None:
        """
        Run all batches, imports and compliance requests to their end.

        Examples
        --------
        >>> request_id = of.compliance.request_deletion(org, "ada@example.com", requester="admin@example.com")
        >>> org.sandbox.run_jobs()
        >>> of.compliance.status(org, request_id)["state"].tolist()
        ['done']
        """
        self._state.jobs.finish()

    # Records and settings

    @property
    def settings(self) -> SandboxSettings:
        """Behavior that the vendor does not document; a change applies from the next request on."""
        return self._state.settings

    @property
    def faults(self) -> Faults:
        """The faults; see `Fault`."""
        return self._state.faults

    @property
    def store(self) -> Store:
        """The records."""
        return self._state.store

    def put(self, *resources: Mapping[str, Any]) -> None:
        """
        Add resource objects, or replace those of the same type and id, as a user of Outreach would.

        Raises
        ------
        ValueError
            One is not a resource object.

        Examples
        --------
        >>> org.sandbox.put({"type": "account", "id": 900, "attributes": {"name": "Example Ltd"}})
        >>> of.fetch_one(org, "accounts", 900)["name"]
        'Example Ltd'
        >>> org.sandbox.remove("account", 900)
        """
        for position, resource in enumerate(resources):
            record = read_resource(resource, f"resource {position}")
            before = self._state.store.find(*record.identifier)
            self._state.store.put(record)
            kind: Literal["created", "updated"] = "updated" if before else "created"
            self._state.publish(Change(kind=kind, record=record, before=before, at=self.now()))

    def remove(self, type_name: str, id_: int | str) -> None:
        """
        Remove a record; it is no longer listed, as in Outreach.

        Raises
        ------
        KeyError
            There is no such record.

        Examples
        --------
        >>> org.sandbox.remove("prospect", 50)
        >>> of.count(org, "prospects")
        49
        """
        record = self._state.store.find(type_name, id_)
        self._state.store.remove(type_name, id_)
        if record is not None:
            self._state.publish(Change(kind="destroyed", record=record, at=self.now()))

    # Mail and webhooks

    @property
    def outbox(self) -> tuple[Message, ...]:
        """Mail sent to users, oldest first: invitations and tests of mailboxes."""
        return tuple(self._state.outbox)

    def clear_outbox(self) -> None:
        """Remove the mail so far."""
        self._state.outbox.clear()

    @property
    def webhooks(self) -> WebhookDispatcher:
        """Deliveries to webhooks; see `WebhookDispatcher`."""
        return self._dispatcher

    # Tokens

    @property
    def oauth(self) -> OAuthServer:
        """OAuth tokens for users: client id and secret, codes, refresh tokens; see `OAuthServer`."""
        return self._state.oauth

    @property
    def installs(self) -> Installations:
        """Server-to-server tokens for applications: keys and installations; see `Installations`."""
        return self._state.installs

    def issue_token(self, *, user: int = 1, scopes: Iterable[str] | None = None, lifetime: float | None = None) -> str:
        """
        Issue another bearer token.

        Parameters
        ----------
        user
            Id of the user it acts for; requests are limited per user.
        scopes
            Such as ``["prospects.read"]``; ``None`` for all scopes.
        lifetime
            Time until it expires [s]; ``None`` for never.

        Examples
        --------
        >>> token = org.sandbox.issue_token(scopes=["prospects.read"])
        >>> client = of.connect(token=token, base_url=org.base_url, cache=False)
        >>> of.count(client, "prospects")
        50
        >>> of.count(client, "accounts")
        Traceback (most recent call last):
            ...
        outreach_frames.errors.PermissionDeniedError: GET /accounts: the token lacks the scope accounts.read.
        Hint: ...
        """
        return self._state.tokens.issue(user, scopes=scopes, lifetime=lifetime)

    def revoke_token(self, token: str) -> None:
        """
        Refuse a token from now on.

        Examples
        --------
        >>> token = org.sandbox.issue_token()
        >>> org.sandbox.revoke_token(token)
        >>> of.count(of.connect(token=token, base_url=org.base_url, cache=False), "prospects")
        Traceback (most recent call last):
            ...
        outreach_frames.errors.AuthError: GET /prospects: the access token was refused (Unauthorized).
        Hint: ...
        """
        self._state.tokens.revoke(token)

    def reset_budget(self) -> None:
        """Start a new rate limit window for every user."""
        self._state.budget.reset()

    # Requests

    @property
    def requests(self) -> tuple[RequestRecord, ...]:
        """Requests received, oldest first, refused ones included."""
        return tuple(self._state.log)

    @property
    def data_requests(self) -> int:
        """Number of requests to the API itself; requests for tokens are not counted."""
        return sum(record.is_data for record in self.requests)

    def clear_log(self) -> None:
        """Remove the requests so far from the log."""
        self._state.log.clear()

    @property
    def failures(self) -> tuple[Exception, ...]:
        """Exceptions of the sandbox itself, each answered with 500: errors of this package, never scripted."""
        return tuple(self._state.failures)


def _stop(server: "LoopbackServer", dispatcher: WebhookDispatcher) -> None:
    server.stop()
    dispatcher.stop()


__all__ = ["Fault", "Sandbox", "SandboxSettings"]
