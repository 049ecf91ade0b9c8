"""
The HTTP server on loopback, and its middleware.

Middleware, outermost first: `Recorder` logs requests and sets the sandbox's ``Date``; `FaultMiddleware` applies faults;
`AuthMiddleware` checks the token, counts the request against the user's budget and checks the media type;
`JobMiddleware` advances long-running jobs. Each is a plain ASGI layer.
"""

import asyncio
import gzip
import socket
import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import parse_qsl, unquote_plus

import uvicorn
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from outreach_frames._sandbox.auth import rate_headers, retry_after
from outreach_frames._sandbox.errors import Problem, internal_error, rate_limited, unauthorized, unsupported_media_type
from outreach_frames._sandbox.faults import NOTHING_SENT, Fault
from outreach_frames._sandbox.state import RequestRecord, State

HOST = "127.0.0.1"
IDLE_CONNECTION = 75
"""Seconds a quiet connection is kept: longer than a reader pauses between two pages [s]."""

HANG_UP = "outreach_frames.hang_up"
"""Extension of ASGI under which an application finds a function that closes the connection, answered or not."""


class _Protocol(H11Protocol):
    """HTTP that can be broken off."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        application = self.app

        async def with_hang_up(scope: Scope, receive: Receive, send: Send) -> None:
            await application({**scope, "extensions": {HANG_UP: transport.close}}, receive, send)

        self.app = with_hang_up


class Server:
    """
    A running HTTP server.

    Parameters
    ----------
    application
        What to serve.

    Raises
    ------
    OSError
        No port could be opened.
    RuntimeError
        The server did not start; the cause says why.
    """

    def __init__(self, application: ASGIApp) -> None:
        self._socket = _listening_socket()
        self.port: int = self._socket.getsockname()[1]
        self._server = uvicorn.Server(
            uvicorn.Config(
                application,
                http=_Protocol,
                ws="none",
                lifespan="off",
                loop="asyncio",
                log_config=None,
                log_level="critical",
                access_log=False,
                date_header=False,
                server_header=False,
                timeout_keep_alive=IDLE_CONNECTION,
                timeout_graceful_shutdown=1,
            )
        )
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="outreach-sandbox", daemon=True)

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        """Serve; return once requests are answered."""
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            self._ready.wait(0.005)
        if not self._server.started:
            self._socket.close()
            raise RuntimeError("the sandbox's server did not start") from self._failure

    def stop(self) -> None:
        """Answer what has been asked, then close."""
        self._server.should_exit = True
        self._thread.join(timeout=5)
        self._socket.close()

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        except BaseException as failure:  # noqa: BLE001 - told to whoever waits in `start`
            self._failure = failure
        finally:
            self._ready.set()


def _listening_socket() -> socket.socket:
    """Return a socket on a free port, named TCP: asyncio leaves Nagle's delay of 40 ms on for one that is not."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind((HOST, 0))
    listening.listen(128)
    return listening


API = "/api/v2"
UNGUARDED = frozenset({f"{API}/webhooks/cleanup"})
"""Paths below the API that ask for no token."""

UNANSWERED = "outreach_frames.unanswered"
"""Sent inwards of the log in place of an answer that never comes."""
PRIVATE = frozenset({"authorization", "cookie", "proxy-authorization"})


class Recorder:
    """
    Logs every request with the status it was answered with, and stamps the sandbox's time on the answer.

    An exception from within is a mistake of the sandbox: it is kept, and answered with 500.
    """

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        at = self._state.clock.now()
        status = 0

        async def stamped(message: Message) -> None:
            nonlocal status
            if message["type"] == UNANSWERED:
                record()
                return
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["date"] = format_datetime(at, usegmt=True)
                record()
            await send(message)

        def record() -> None:
            request = Request(scope)
            self._state.log.append(
                RequestRecord(
                    method=request.method,
                    path=request.url.path,
                    query=unquote_plus(request.url.query),
                    parameters=tuple(parse_qsl(request.url.query, keep_blank_values=True)),
                    status=status,
                    at=at,
                    headers={name: value for name, value in request.headers.items() if name not in PRIVATE},
                )
            )

        try:
            await self._app(scope, receive, stamped)
        except Exception as error:
            self._state.failures.append(error)
            if status:
                raise
            await answer(internal_error())(scope, receive, stamped)


class AuthMiddleware:
    """Lets a request for data through that has a token, a budget and the right media type."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope)
        if not request.url.path.startswith(API) or request.url.path in UNGUARDED:
            await self._app(scope, receive, send)
            return
        headers: dict[str, str] = {}

        async def metered(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        try:
            grant = self._state.tokens.check(request.headers.get("authorization"), self._state.settings)
            headers = self._state.budget.spend(grant.user, self._state.settings)
            self._check_media_type(request)
        except Problem as problem:
            await answer(problem)(scope, receive, metered)
            return
        scope["state"] = {**scope.get("state", {}), "grant": grant}
        await self._app(scope, receive, metered)

    def _check_media_type(self, request: Request) -> None:
        sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        reads = request.method in {"GET", "HEAD", "DELETE"}
        if sent != Problem.media_type and (self._state.settings.strict_media_type or not reads):
            raise unsupported_media_type()


def answer(problem: Problem) -> Response:
    """Return the response that tells of a problem."""
    return Response(problem.body(), status_code=problem.status, media_type=problem.media_type, headers=problem.headers)


def document(body: bytes, *, status: int = 200) -> Response:
    """Return a JSON:API response."""
    return Response(body, status_code=status, media_type=Problem.media_type)


READ_AT = {"batches": "batch", "batchItems": "batch", "imports": "import", "complianceRequests": "complianceRequest"}
"""Collections whose reading moves jobs on."""


class JobMiddleware:
    """An ASGI layer that lets jobs go on: those that are due before a request, those it read about after it."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope)
        self._state.jobs.run_due()
        await self._app(scope, receive, send)
        if request.method == "GET":
            plural = request.url.path.removeprefix(API).strip("/").partition("/")[0]
            if plural in READ_AT:
                self._state.jobs.move_on(READ_AT[plural])


BAD_GATEWAY = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
DEFAULT_PAGE = 50


@dataclass
class _Answer:
    """An answer before it is sent."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class FaultMiddleware:
    """Lets the faults of a sandbox happen."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or fail to."""
        request = Request(scope)
        path = request.url.path.removeprefix("/api/v2")
        size = request.query_params.get("page[size]") or request.query_params.get("page[limit]", "")
        fault = self._state.faults.apply(request.method, path, int(size) if size.isdecimal() else DEFAULT_PAGE)
        if fault is None:
            await self._app(scope, receive, send)
            return
        if fault.on_request is not None:
            fault.on_request()
        if fault.revokes_token:
            self._state.tokens.revoke(request.headers.get("authorization", "").partition(" ")[2])
        answer = await self._answered(fault, scope, receive)
        await _deliver(answer, fault, scope, receive, send)

    async def _answered(self, fault: Fault, scope: Scope, receive: Receive) -> _Answer:
        if fault.is_canned:
            answer = self._canned(fault)
            if fault.executed:
                await _asked(self._app, scope, receive)
            else:
                await Request(scope, receive).body()
        else:
            answer = await _asked(self._app, scope, receive)
        if fault.rewrite is not None:
            answer.body = fault.rewrite(answer.body)
        if fault.gzip and answer.body:
            answer.body = gzip.compress(answer.body)
            answer.headers["content-encoding"] = "gzip"
        if fault.content_type is not None:
            answer.headers["content-type"] = fault.content_type
        answer.headers.update(fault.headers)
        return answer

    def _canned(self, fault: Fault) -> _Answer:
        status = 200 if fault.status is None else fault.status
        problem = self._problem(status, fault)
        if fault.body is not None or problem is None:
            body = BAD_GATEWAY if fault.body is None else fault.body
            kind = Problem.media_type if fault.body is not None else "text/html"
            return _Answer(status, {"content-type": kind} | (problem.headers if problem else {}), body)
        return _Answer(status, {"content-type": problem.media_type} | problem.headers, problem.body())

    def _problem(self, status: int, fault: Fault) -> Problem | None:
        """Return what Outreach says with a status; ``None`` where its proxy speaks."""
        now = self._state.clock.seconds()
        until = now + fault.wait_s
        stamp = f"{datetime.fromtimestamp(until, UTC):%Y-%m-%dT%H:%M:%S}"
        default = "iso" if status == 503 else self._state.settings.retry_after  # noqa: PLR2004 - maintenance
        settings = replace(
            self._state.settings,
            retry_after=fault.retry_after or default,
            rate_headers=fault.rate_headers or self._state.settings.rate_headers,
        )
        after = retry_after(settings, now, until)
        match status:
            case 401:
                return unauthorized("The access token is missing, expired or revoked.")
            case 403 | 404 | 409 | 422:
                return Problem(status, f"fault{status}", "Fault", "A fault of the sandbox's script.")
            case 429:
                return rate_limited(settings.rate_limit, stamp, after | rate_headers(settings, 0, now, until))
            case 503:
                return _maintenance(stamp, after)
        return None


def _maintenance(until: str, headers: dict[str, str]) -> Problem:
    detail = f"Scheduled server maintenance is under way; please try again at {until}."
    problem = Problem(503, "scheduledServerMaintenance", "Scheduled Server Maintenance", detail)
    problem.headers.update(headers)
    return problem


async def _asked(app: ASGIApp, scope: Scope, receive: Receive) -> _Answer:
    """Return the API's own answer."""
    answer = _Answer()

    async def keep(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = dict(MutableHeaders(scope=message).items())
        else:
            answer.body += message.get("body", b"")

    await app(scope, receive, keep)
    return answer


async def _deliver(answer: _Answer, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
    """Send as much of an answer as the fault lets through."""
    delivery = fault.delivery
    half = answer.body[: len(answer.body) // 2]
    if delivery == "short":
        answer.body = half
    if delivery in NOTHING_SENT or (delivery == "cut" and not answer.body):
        await send({"type": UNANSWERED})
        if delivery != "silent":
            scope["extensions"][HANG_UP]()
        await _gone(receive)
        return
    headers = MutableHeaders(answer.headers)
    if delivery == "cut in a chunk":
        del headers["content-length"]
    elif answer.body or "content-length" in headers:
        headers["content-length"] = str(len(answer.body))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers.raw})
    if delivery in {"whole", "short"}:
        await send({"type": "http.response.body", "body": answer.body})
        return
    await send({"type": "http.response.body", "body": half, "more_body": True})
    if delivery == "stalled":
        await _gone(receive)
    else:
        scope["extensions"][HANG_UP]()


async def _gone(receive: Receive) -> None:
    """Wait until the other side, or this one, has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
