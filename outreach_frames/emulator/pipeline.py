"""
What every request passes through before a route sees it.

Outermost first: `Recorder` writes the log and stamps the sandbox's ``Date``; `Failing` lets scripted faults happen;
`Gate` checks the token, counts the request against the user's budget and checks the media type. Each is a plain ASGI
layer.
"""

from email.utils import format_datetime
from urllib.parse import parse_qsl, unquote_plus

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from outreach_frames.emulator.problems import Problem, internal_error, unsupported_media_type
from outreach_frames.emulator.state import RequestRecord, State

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


class Gate:
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
