"""A layer that lets long-running work go on while requests come and go."""

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from outreach_frames.emulator.pipeline import API
from outreach_frames.emulator.state import State

READ_AT = {"batches": "batch", "batchItems": "batch", "imports": "import", "complianceRequests": "complianceRequest"}
"""Collections whose reading moves jobs on."""


class Working:
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
