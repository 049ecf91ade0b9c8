"""
Server to server: an app signs in by itself, with a private key instead of a user. Needs the ``s2s`` extra.

The app proves who it is with a JSON Web Token (RS256, at most an hour) and asks for an access token of one
installation. There is no refresh token: the next one is requested in the same way.
"""

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from urllib.parse import quote

from outreach_frames._auth.oauth import Exchange
from outreach_frames._auth.token_refresh import Refresher
from outreach_frames._auth.token_store import Secrets, Token, check_fits_header
from outreach_frames._extras import require
from outreach_frames._http import read_json
from outreach_frames._secrets import HiddenText, hidden
from outreach_frames.errors import APIError, AuthError

APP_TOKEN_LIFE = 3_600
"""Longest life the API allows [s]."""
INSTALLATION_TOKEN_LIFE = 3_600.0
"""[s]"""
CHECK_KEY = "Check the private key, its registration and the S2S_GUID of the app."


@dataclass(frozen=True, slots=True, repr=False)
class ServerApp:
    """
    An app that may sign in by itself.

    Attributes
    ----------
    guid
        ``S2S_GUID`` from the developer portal.
    private_key
        PEM, RSA 2048, whose public half is registered.
    """

    guid: str
    private_key: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "private_key", hidden(self.private_key))

    def token(self, now: float) -> str:
        """
        Return a signed app token.

        Raises
        ------
        AuthError
            The key cannot be read, or the extra is not installed.
        """
        jwt = _jwt()
        claims = {"iss": self.guid, "iat": int(now), "exp": int(now) + APP_TOKEN_LIFE}
        try:
            return HiddenText(jwt.encode(claims, self.private_key, algorithm="RS256"))
        except (ValueError, TypeError, jwt.exceptions.PyJWTError) as error:
            traceback.clear_frames(error.__traceback__)  # they hold the key
            raise AuthError("The app's private key cannot be read.", hint="Pass the PEM text of an RSA key.") from None

    def __repr__(self) -> str:
        return "ServerApp(…)"


@dataclass(frozen=True, slots=True)
class Installation:
    """
    An app in an organization.

    Attributes
    ----------
    id
        UUID of the installation.
    api
        Base of the organization's own API; ``None`` where the reply does not say. It comes from outside: check it
        before a token is sent there.
    """

    id: str
    api: str | None = None


def find_installation(
    app: ServerApp, setup_token: str, *, exchange: Exchange, clock: Callable[[], float]
) -> Installation:
    """
    Find out the installation that a setup token, which came on the redirect, belongs to.

    Raises
    ------
    AuthError
        App token or setup token were refused; setup tokens last a quarter of an hour.
    """
    setup_token = hidden(setup_token)
    path, label = _install_path(setup_token, "setupToken")
    hint = "Setup tokens last 15 minutes: install the app again."
    return _installation(_document(exchange, path, label, app.token(clock()), hint)[1])


def installation_refresher(
    app: ServerApp,
    installation: str,
    *,
    exchange: Exchange,
    clock: Callable[[], float],
    on_reply: Callable[[Installation], None] | None = None,
) -> Refresher:
    """
    Return how tokens of an installation are got.

    Parameters
    ----------
    app
        Signs.
    installation
        UUID.
    exchange
        Posts to the endpoint.
    clock
        Wall clock [seconds since 1970].
    on_reply
        Told the installation each time, with the organization's own API base.
    """

    def next_token(_: Secrets) -> Token:
        now = clock()
        path, label = _install_path(installation, "accessToken")
        access, data = _document(exchange, path, label, app.token(now), CHECK_KEY)
        if not access:
            raise AuthError("The answer to the app token holds no access token.", hint="Try again later.")
        check_fits_header(access)
        if on_reply is not None:
            on_reply(_installation(data))
        return Token(access, None, now, now + INSTALLATION_TOKEN_LIFE)

    return next_token


def _install_path(secret: str, action: str) -> tuple[str, str]:
    """Return the path, and what a message may call it: setup tokens are secrets."""
    path = f"/api/app/installs/{quote(secret, safe='')}/actions/{action}"
    return HiddenText(path), f"/api/app/installs/…/actions/{action}"


def _document(
    exchange: Exchange, path: str, label: str, app_token: str, hint: str
) -> tuple[str | None, Mapping[str, Any]]:
    """Return the access token of an answer, and the rest of it."""
    try:
        body = exchange(path, bearer=app_token, label=label)
    except APIError as error:
        if error.status is None or error.status >= 500 or error.status == 429:  # noqa: PLR2004
            raise
        raise AuthError("The app's sign-in was refused.", status=error.status, errors=error.errors, hint=hint) from None
    data = (read_json(body, dict[str, Any]) or {}).get("data")
    rest = {name: member for name, member in data.items() if name != "meta"} if isinstance(data, dict) else {}
    return hidden(_at(data, "meta", "accessToken")), rest


def _installation(data: Mapping[str, Any]) -> Installation:
    id_ = _at(data, "id")
    if not id_:
        raise AuthError("The answer to the app token names no installation.", hint=CHECK_KEY)
    return Installation(id_, _at(data, "relationships", "org", "links", "api"))


def _at(data: object, *names: str) -> str | None:
    for name in names:
        data = data.get(name) if isinstance(data, dict) else None
    return data if isinstance(data, str) else None


def _jwt() -> ModuleType:
    require("s2s", "Server-to-server sign-ins")
    import jwt  # noqa: PLC0415  only with the extra

    return jwt
