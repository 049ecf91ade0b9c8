"""How faults happen on the wire: a layer between the log and the API."""

import gzip
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from outreach_frames.emulator.access import rate_headers, retry_after
from outreach_frames.emulator.faults import NO_ANSWER, Fault
from outreach_frames.emulator.pipeline import UNANSWERED
from outreach_frames.emulator.problems import Problem, rate_limited, unauthorized
from outreach_frames.emulator.server import HANG_UP
from outreach_frames.emulator.state import State

BAD_GATEWAY = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
DEFAULT_PAGE = 50


@dataclass
class _Answer:
    """An answer before it is sent."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Failing:
    """Lets the faults of a sandbox happen."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or fail to."""
        request = Request(scope)
        path = request.url.path.removeprefix("/api/v2")
        size = request.query_params.get("page[size]") or request.query_params.get("page[limit]", "")
        fault = self._state.faults.meeting(request.method, path, int(size) if size.isdecimal() else DEFAULT_PAGE)
        if fault is None:
            await self._app(scope, receive, send)
            return
        if fault.change is not None:
            fault.change()
        if fault.revokes_token:
            self._state.tokens.revoke(request.headers.get("authorization", "").partition(" ")[2])
        answer = await self._answered(fault, scope, receive)
        await _deliver(answer, fault, scope, receive, send)

    async def _answered(self, fault: Fault, scope: Scope, receive: Receive) -> _Answer:
        if fault.is_canned:
            answer = self._canned(fault)
            if fault.carried_out:
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
        until = now + fault.wait
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
    if delivery in NO_ANSWER or (delivery == "cut" and not answer.body):
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
