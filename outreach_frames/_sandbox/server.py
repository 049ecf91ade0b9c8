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
from outreach_frames._sandbox.errors import (
    HttpError,
    internal_error,
    rate_limited,
    unauthorized,
    unsupported_media_type,
)
from outreach_frames._sandbox.faults import NOTHING_SENT, Fault
from outreach_frames._sandbox.state import RequestRecord, SandboxState

_LOOPBACK = "127.0.0.1"
_IDLE_CONNECTION = 75
"""How long an idle connection stays open: longer than a client pauses between two pages [s]."""

CLOSE_CONNECTION = "outreach_frames.hang_up"
"""ASGI extension with a function that closes the connection at once."""


class _Protocol(H11Protocol):
    """HTTP whose connections an application can close."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        application = self.app

        async def with_hang_up(scope: Scope, receive: Receive, send: Send) -> None:
            await application({**scope, "extensions": {CLOSE_CONNECTION: transport.close}}, receive, send)

        self.app = with_hang_up


class LoopbackServer:
    """
    A running HTTP server.

    Parameters
    ----------
    application
        The application to serve.

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
                timeout_keep_alive=_IDLE_CONNECTION,
                timeout_graceful_shutdown=1,
            )
        )
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="outreach-sandbox", daemon=True)

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://{_LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Serve; return once requests are answered."""
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            self._ready.wait(0.005)
        if not self._server.started:
            self._socket.close()
            raise RuntimeError("the sandbox's server did not start") from self._failure

    def stop(self) -> None:
        """Finish the requests in progress, then close."""
        self._server.should_exit = True
        self._thread.join(timeout=5)
        self._socket.close()

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        except BaseException as failure:  # noqa: BLE001 - raised by `start`
            self._failure = failure
        finally:
            self._ready.set()


def _listening_socket() -> socket.socket:
    """Return a socket on a free port. Without IPPROTO_TCP, asyncio leaves Nagle's delay of 40 ms on."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind((_LOOPBACK, 0))
    listening.listen(128)
    return listening


API_PATH = "/api/v2"
_UNGUARDED = frozenset({f"{API_PATH}/webhooks/cleanup"})
"""Paths below the API that need no token."""

_UNANSWERED = "outreach_frames.unanswered"
"""Message to the log for a request that gets no response."""
_PRIVATE = frozenset({"authorization", "cookie", "proxy-authorization"})


class Recorder:
    """
    Logs every request with the status of its response, and sets the ``Date`` of the response.

    An exception is an error of the sandbox: it is added to the failures, and the response is a 500.
    """

    def __init__(self, app: ASGIApp, state: SandboxState) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        at = self._state.clock.now()
        status = 0

        async def stamped(message: Message) -> None:
            nonlocal status
            if message["type"] == _UNANSWERED:
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
                    headers={name: value for name, value in request.headers.items() if name not in _PRIVATE},
                )
            )

        try:
            await self._app(scope, receive, stamped)
        except Exception as error:
            self._state.failures.append(error)
            if status:
                raise
            await error_response(internal_error())(scope, receive, stamped)


class AuthMiddleware:
    """Checks the token, the rate limit and the media type of requests to the API."""

    def __init__(self, app: ASGIApp, state: SandboxState) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope)
        if not request.url.path.startswith(API_PATH) or request.url.path in _UNGUARDED:
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
        except HttpError as error:
            await error_response(error)(scope, receive, metered)
            return
        scope["state"] = {**scope.get("state", {}), "grant": grant}
        await self._app(scope, receive, metered)

    def _check_media_type(self, request: Request) -> None:
        sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        reads = request.method in {"GET", "HEAD", "DELETE"}
        if sent != HttpError.media_type and (self._state.settings.strict_media_type or not reads):
            raise unsupported_media_type()


def error_response(error: HttpError) -> Response:
    """Return the HTTP response of an error."""
    return Response(error.body(), status_code=error.status, media_type=error.media_type, headers=error.headers)


def json_api_response(body: bytes, *, status: int = 200) -> Response:
    """Return a JSON:API response."""
    return Response(body, status_code=status, media_type=HttpError.media_type)


_READ_AT = {"batches": "batch", "batchItems": "batch", "imports": "import", "complianceRequests": "complianceRequest"}
"""Collections that advance jobs when they are read."""


class JobMiddleware:
    """Advances jobs: those that are due before a request, and those of the requested type after it."""

    def __init__(self, app: ASGIApp, state: SandboxState) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope)
        self._state.jobs.run_due()
        await self._app(scope, receive, send)
        if request.method == "GET":
            plural = request.url.path.removeprefix(API_PATH).strip("/").partition("/")[0]
            if plural in _READ_AT:
                self._state.jobs.move_on(_READ_AT[plural])


_BAD_GATEWAY = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_DEFAULT_PAGE = 50


@dataclass
class _BufferedResponse:
    """A response before it is sent."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class FaultMiddleware:
    """Applies the faults of a sandbox."""

    def __init__(self, app: ASGIApp, state: SandboxState) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, with a fault if one applies."""
        request = Request(scope)
        path = request.url.path.removeprefix("/api/v2")
        size = request.query_params.get("page[size]") or request.query_params.get("page[limit]", "")
        fault = self._state.faults.apply(request.method, path, int(size) if size.isdecimal() else _DEFAULT_PAGE)
        if fault is None:
            await self._app(scope, receive, send)
            return
        if fault.on_request is not None:
            fault.on_request()
        if fault.revokes_token:
            self._state.tokens.revoke(request.headers.get("authorization", "").partition(" ")[2])
        response = await self._faulty_response(fault, scope, receive)
        await _send_response(response, fault, scope, receive, send)

    async def _faulty_response(self, fault: Fault, scope: Scope, receive: Receive) -> _BufferedResponse:
        if fault.is_canned:
            response = self._canned(fault)
            if fault.executed:
                await _response_of(self._app, scope, receive)
            else:
                await Request(scope, receive).body()
        else:
            response = await _response_of(self._app, scope, receive)
        if fault.rewrite is not None:
            response.body = fault.rewrite(response.body)
        if fault.gzip and response.body:
            response.body = gzip.compress(response.body)
            response.headers["content-encoding"] = "gzip"
        if fault.content_type is not None:
            response.headers["content-type"] = fault.content_type
        response.headers.update(fault.headers)
        return response

    def _canned(self, fault: Fault) -> _BufferedResponse:
        status = 200 if fault.status is None else fault.status
        error = self._error(status, fault)
        if fault.body is not None or error is None:
            body = _BAD_GATEWAY if fault.body is None else fault.body
            kind = HttpError.media_type if fault.body is not None else "text/html"
            return _BufferedResponse(status, {"content-type": kind} | (error.headers if error else {}), body)
        return _BufferedResponse(status, {"content-type": error.media_type} | error.headers, error.body())

    def _error(self, status: int, fault: Fault) -> HttpError | None:
        """Return the error that Outreach sends with a status; ``None`` for those of its proxy."""
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
                return HttpError(status, f"fault{status}", "Fault", "A scripted fault.")
            case 429:
                return rate_limited(settings.rate_limit, stamp, after | rate_headers(settings, 0, now, until))
            case 503:
                return _maintenance_error(stamp, after)
        return None


def _maintenance_error(until: str, headers: dict[str, str]) -> HttpError:
    detail = f"Scheduled server maintenance is under way; please try again at {until}."
    error = HttpError(503, "scheduledServerMaintenance", "Scheduled Server Maintenance", detail)
    error.headers.update(headers)
    return error


async def _response_of(app: ASGIApp, scope: Scope, receive: Receive) -> _BufferedResponse:
    """Return the response of the API."""
    response = _BufferedResponse()

    async def keep(message: Message) -> None:
        if message["type"] == "http.response.start":
            response.status = message["status"]
            response.headers = dict(MutableHeaders(scope=message).items())
        else:
            response.body += message.get("body", b"")

    await app(scope, receive, keep)
    return response


async def _send_response(response: _BufferedResponse, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
    """Send the part of a response that the fault allows."""
    delivery = fault.delivery
    half = response.body[: len(response.body) // 2]
    if delivery == "short":
        response.body = half
    if delivery in NOTHING_SENT or (delivery == "cut" and not response.body):
        await send({"type": _UNANSWERED})
        if delivery != "silent":
            scope["extensions"][CLOSE_CONNECTION]()
        await _disconnected(receive)
        return
    headers = MutableHeaders(response.headers)
    if delivery == "cut in a chunk":
        del headers["content-length"]
    elif response.body or "content-length" in headers:
        headers["content-length"] = str(len(response.body))
    await send({"type": "http.response.start", "status": response.status, "headers": headers.raw})
    if delivery in {"whole", "short"}:
        await send({"type": "http.response.body", "body": response.body})
        return
    await send({"type": "http.response.body", "body": half, "more_body": True})
    if delivery == "stalled":
        await _disconnected(receive)
    else:
        scope["extensions"][CLOSE_CONNECTION]()


async def _disconnected(receive: Receive) -> None:
    """Wait until the connection is closed."""
    while (await receive())["type"] != "http.disconnect":
        pass
