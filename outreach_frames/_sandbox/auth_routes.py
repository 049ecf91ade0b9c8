"""Routes without a bearer token: OAuth, server-to-server sign-in, and upload links."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from outreach_frames._sandbox import errors
from outreach_frames._sandbox.auth import OAuthError
from outreach_frames._sandbox.server import API_PATH, json_api_response
from outreach_frames._sandbox.state import SandboxState
from outreach_frames._sandbox.writes import records
from outreach_frames._sandbox.writes.unit_of_work import UnitOfWork


class AuthRoutes:
    """
    Handlers of OAuth and server-to-server sign-in.

    Parameters
    ----------
    state
        State of the sandbox.
    """

    def __init__(self, state: SandboxState) -> None:
        self._state = state

    def routes(self) -> list[Route]:
        """Return the routes."""
        installs = "/api/app/installs/{id}/actions"
        return [
            Route("/oauth/authorize", self.authorize, methods=["GET"]),
            Route("/oauth/token", self.token, methods=["POST"]),
            Route(f"{installs}/setupToken", self.set_up, methods=["POST"]),
            Route(f"{installs}/accessToken", self.access_token, methods=["POST"]),
        ]

    async def authorize(self, request: Request) -> Response:
        """Redirect the browser with a code; the user consents at once."""
        query = dict(request.query_params)
        try:
            back = self._state.oauth.authorize(query)
        except OAuthError as refusal:
            return Response(f"<p>{refusal}</p>", status_code=refusal.status, media_type="text/html")
        joint = "&" if "?" in query["redirect_uri"] else "?"
        return RedirectResponse(f"{query['redirect_uri']}{joint}{urlencode(back)}", status_code=302)

    async def token(self, request: Request) -> Response:
        """Issue tokens for a code or a refresh token."""
        try:
            return _token_response(self._state.oauth.token(_read_form(request, await request.body())))
        except OAuthError as refusal:
            return _token_response(refusal.body(), status=refusal.status, headers=refusal.headers)

    async def set_up(self, request: Request) -> Response:
        """Return the installation of an application."""
        state = self._state
        document = state.installs.set_up(
            request.path_params["id"],
            _bearer_token(request),
            origin=state.origin,
            api=state.link_base,
            organization=state.settings.organization,
        )
        return json_api_response(msgspec.json.encode(document))

    async def access_token(self, request: Request) -> Response:
        """Issue a token to an application."""
        state = self._state
        document = state.installs.access_token(
            request.path_params["id"],
            _bearer_token(request),
            origin=state.origin,
            api=state.link_base,
            organization=state.settings.organization,
        )
        return json_api_response(msgspec.json.encode(document))


def _read_form(request: Request, body: bytes) -> Mapping[str, str]:
    """Read a form, as documented, or JSON, as some clients send it."""
    if "json" not in request.headers.get("content-type", ""):
        return dict(parse_qsl(body.decode("utf-8", "replace")))
    try:
        return msgspec.json.decode(body, type=dict[str, str])
    except msgspec.DecodeError:
        return {}


def _bearer_token(request: Request) -> str:
    return request.headers.get("authorization", "").partition(" ")[2].strip()


def _token_response(
    content: Mapping[str, object], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(
        msgspec.json.encode(content),
        status_code=status,
        media_type="application/json",
        headers={"cache-control": "no-store", **(headers or {})},
    )


_CLEANUP_TOKEN = "outreach-webhook-cleanup-token"  # noqa: S105 - the name of a header


class PublicRoutes:
    """
    Handlers of uploads for imports, and of webhook cleanup.

    Parameters
    ----------
    state
        State of the sandbox.
    """

    def __init__(self, state: SandboxState) -> None:
        self._state = state

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/uploads/{key:path}", self.upload, methods=["PUT"]),
            Route(f"{API_PATH}/webhooks/cleanup", self.clean_up, methods=["POST"]),
        ]

    async def upload(self, request: Request) -> Response:
        """Store a file under the key of its upload link."""
        key = request.path_params["key"]
        if key not in self._state.uploads:
            raise errors.no_route(request.url.path)
        self._state.uploads[key] = await request.body()
        return Response(status_code=200)

    async def clean_up(self, request: Request) -> Response:
        """
        Delete the webhook that a cleanup token belongs to.

        How the token is passed is not documented: it is read from the header of deliveries, or from a query parameter.
        """
        token = request.headers.get(_CLEANUP_TOKEN) or request.query_params.get("cleanupToken")
        webhooks = self._state.store.records("webhook")
        webhook = next((each for each in webhooks if token and each.attributes.get("cleanupToken") == token), None)
        if webhook is None:
            raise errors.not_found("webhook", "of that cleanup token")
        records.delete_record(UnitOfWork(self._state), webhook)
        return Response(status_code=204)
