"""Routes without a bearer token: OAuth, server-to-server sign-in, and upload links."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from outreach_frames._sandbox import errors
from outreach_frames._sandbox.auth import OAuthError
from outreach_frames._sandbox.server import API, document
from outreach_frames._sandbox.state import State
from outreach_frames._sandbox.writes import records
from outreach_frames._sandbox.writes.unit_of_work import UnitOfWork


class AuthRoutes:
    """
    Answers to those who want to sign in.

    Parameters
    ----------
    state
        What the sandbox holds.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def routes(self) -> list[Route]:
        """Return the paths."""
        installs = "/api/app/installs/{id}/actions"
        return [
            Route("/oauth/authorize", self.authorize, methods=["GET"]),
            Route("/oauth/token", self.token, methods=["POST"]),
            Route(f"{installs}/setupToken", self.set_up, methods=["POST"]),
            Route(f"{installs}/accessToken", self.access_token, methods=["POST"]),
        ]

    async def authorize(self, request: Request) -> Response:
        """Send the browser back with a code; the user agrees at once."""
        query = dict(request.query_params)
        try:
            back = self._state.oauth.authorize(query)
        except OAuthError as refusal:
            return Response(f"<p>{refusal}</p>", status_code=refusal.status, media_type="text/html")
        joint = "&" if "?" in query["redirect_uri"] else "?"
        return RedirectResponse(f"{query['redirect_uri']}{joint}{urlencode(back)}", status_code=302)

    async def token(self, request: Request) -> Response:
        """Give tokens for a code or a refresh token."""
        try:
            return _json(self._state.oauth.token(_form(request, await request.body())))
        except OAuthError as refusal:
            return _json(refusal.body(), status=refusal.status, headers=refusal.headers)

    async def set_up(self, request: Request) -> Response:
        """Tell an application the id of its installation."""
        state = self._state
        answer = state.installs.set_up(
            request.path_params["id"],
            _bearer(request),
            origin=state.origin,
            api=state.link_base,
            organization=state.settings.organization,
        )
        return document(msgspec.json.encode(answer))

    async def access_token(self, request: Request) -> Response:
        """Give an application a token."""
        state = self._state
        answer = state.installs.access_token(
            request.path_params["id"],
            _bearer(request),
            origin=state.origin,
            api=state.link_base,
            organization=state.settings.organization,
        )
        return document(msgspec.json.encode(answer))


def _form(request: Request, body: bytes) -> Mapping[str, str]:
    """Read a form, as documented, or JSON, as some clients send."""
    if "json" not in request.headers.get("content-type", ""):
        return dict(parse_qsl(body.decode("utf-8", "replace")))
    try:
        return msgspec.json.decode(body, type=dict[str, str])
    except msgspec.DecodeError:
        return {}


def _bearer(request: Request) -> str:
    return request.headers.get("authorization", "").partition(" ")[2].strip()


def _json(content: Mapping[str, object], *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        msgspec.json.encode(content),
        status_code=status,
        media_type="application/json",
        headers={"cache-control": "no-store", **(headers or {})},
    )


CLEANUP_TOKEN = "outreach-webhook-cleanup-token"  # noqa: S105 - the name of a header


class PublicRoutes:
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
            raise errors.no_route(request.url.path)
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
            raise errors.not_found("webhook", "of that cleanup token")
        records.delete(UnitOfWork(self._state), found)
        return Response(status_code=204)
