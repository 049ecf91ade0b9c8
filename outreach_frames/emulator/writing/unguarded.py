"""Paths that ask for no token, because who uses them holds something else: an upload link, a cleanup token."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from outreach_frames.emulator import problems
from outreach_frames.emulator.pipeline import API
from outreach_frames.emulator.state import State
from outreach_frames.emulator.writing import records
from outreach_frames.emulator.writing.editor import Editor

CLEANUP_TOKEN = "outreach-webhook-cleanup-token"  # noqa: S105 - the name of a header


class Unguarded:
    """
    Takes the files of imports, and deletes webhooks whose maker has lost access.

    Parameters
    ----------
    state
        What the sandbox holds.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def routes(self) -> list[Route]:
        """Return the paths."""
        return [
            Route("/uploads/{key:path}", self.upload, methods=["PUT"]),
            Route(f"{API}/webhooks/cleanup", self.clean_up, methods=["POST"]),
        ]

    async def upload(self, request: Request) -> Response:
        """Keep a file under the key that a link was made for."""
        key = request.path_params["key"]
        if key not in self._state.uploads:
            raise problems.no_route(request.url.path)
        self._state.uploads[key] = await request.body()
        return Response(status_code=200)

    async def clean_up(self, request: Request) -> Response:
        """
        Delete the webhook that a cleanup token belongs to.

        How the token is passed is not documented; taken here is the header that carried it, or a query parameter.
        """
        token = request.headers.get(CLEANUP_TOKEN) or request.query_params.get("cleanupToken")
        webhooks = self._state.store.records("webhook")
        found = next((each for each in webhooks if token and each.attributes.get("cleanupToken") == token), None)
        if found is None:
            raise problems.not_found("webhook", "of that cleanup token")
        records.delete(Editor(self._state), found)
        return Response(status_code=204)
