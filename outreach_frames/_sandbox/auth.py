"""
Tokens and who issues them: bearer tokens with scopes, rate limits, OAuth, and server-to-server installations.

The signature of an app token is checked with `cryptography`. The token is decoded by hand, so that a mistake in the
client's JWT library cannot agree with itself.
"""

import base64
import hashlib
import math
import secrets
import uuid
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import msgspec

from outreach_frames._sandbox.errors import (
    GatewayError,
    HttpError,
    missing_scope,
    rate_limited,
    unauthorized,
)
from outreach_frames._sandbox.settings import SandboxSettings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey


@dataclass(frozen=True)
class Grant:
    """
    The user and the scopes of a token.

    Attributes
    ----------
    user
        Id of the user it acts for.
    scopes
        Such as ``prospects.read``; ``None`` for all scopes.
    expires_at
        When it expires [seconds since 1970]; ``None`` for never.
    """

    user: int
    scopes: frozenset[str] | None = None
    expires_at: float | None = None

    def require(self, plurals: Iterable[str], level: str) -> None:
        """
        Check the scopes for an operation. ``all`` covers every level, ``write`` does not cover ``read``.

        Raises
        ------
        HttpError
            403, naming every scope that is missing.
        """
        if self.scopes is None:
            return
        scopes = self.scopes
        missing = [f"{plural}.{level}" for plural in plurals if not {f"{plural}.{level}", f"{plural}.all"} & scopes]
        if missing:
            raise missing_scope(missing)


class Tokens:
    """
    Bearer tokens that the sandbox accepts.

    Parameters
    ----------
    timer
        Returns the time [seconds since 1970].
    """

    def __init__(self, timer: Callable[[], float]) -> None:
        self._timer = timer
        self._grants: dict[str, Grant] = {}

    def issue(self, user: int, *, scopes: Iterable[str] | None = None, lifetime: float | None = None) -> str:
        """Issue a token; `lifetime` in seconds."""
        token = secrets.token_urlsafe(32)
        expires_at = None if lifetime is None else self._timer() + lifetime
        self._grants[token] = Grant(user, None if scopes is None else frozenset(scopes), expires_at)
        return token

    def revoke(self, token: str) -> None:
        """Refuse a token from now on."""
        self._grants.pop(token, None)

    def check(self, authorization: str | None, settings: SandboxSettings) -> Grant:
        """
        Return the grant of an ``Authorization`` header.

        Raises
        ------
        HttpError
            401: there is no token, or it is unknown, expired or revoked.
        """
        scheme, _, token = (authorization or "").partition(" ")
        grant = self._grants.get(token.strip()) if scheme.lower() == "bearer" else None
        live = grant is not None and (grant.expires_at is None or self._timer() < grant.expires_at)
        if grant is None or not live:
            raise _unauthorized(settings)
        return grant


def _unauthorized(settings: SandboxSettings) -> HttpError:
    if settings.unauthorized == "gateway":
        return GatewayError()
    return unauthorized("The access token is missing, expired or revoked.")


@dataclass
class _Window:
    opened: float
    requests: int = 0


class RateLimit:
    """
    Rate limit: requests per user and window. A window starts with the first request of a user.

    Parameters
    ----------
    timer
        Returns the time [seconds since 1970].
    """

    def __init__(self, timer: Callable[[], float]) -> None:
        self._timer = timer
        self._windows: dict[int, _Window] = {}

    def reset(self) -> None:
        """Start new windows."""
        self._windows.clear()

    def spend(self, user: int, settings: SandboxSettings) -> dict[str, str]:
        """
        Count a request, and return the ``X-RateLimit-*`` headers of its response.

        Raises
        ------
        HttpError
            429: the rate limit is reached.
        """
        now = self._timer()
        window = self._windows.get(user)
        if window is None or now >= window.opened + settings.rate_window_s:
            window = self._windows[user] = _Window(now)
        reset = window.opened + settings.rate_window_s
        window.requests += 1
        left = settings.rate_limit - window.requests
        headers = rate_headers(settings, max(0, left), now, reset)
        if left < 0:
            until = f"{datetime.fromtimestamp(math.ceil(reset), UTC):%Y-%m-%dT%H:%M:%S}"
            raise rate_limited(settings.rate_limit, until, headers | retry_after(settings, now, reset))
        return headers


def rate_headers(settings: SandboxSettings, left: int, now: float, reset: float) -> dict[str, str]:
    """Return the ``X-RateLimit-*`` headers in the form of the settings."""
    form = settings.rate_headers
    if form == "absent":
        return {}
    remaining = f"{left}, {2 * left}" if form == "pair" else str(left)
    return {
        "x-ratelimit-limit": str(settings.rate_limit),
        "x-ratelimit-remaining": remaining,
        "x-ratelimit-reset": _reset_text("epoch" if form == "pair" else form, now, reset),
    }


def retry_after(settings: SandboxSettings, now: float, reset: float) -> dict[str, str]:
    """Return the ``Retry-After`` header in the form of the settings."""
    return {} if settings.retry_after == "absent" else {"retry-after": _reset_text(settings.retry_after, now, reset)}


def _reset_text(form: str, now: float, reset: float) -> str:
    """Write an instant, rounded up to whole seconds so that a wait until then is long enough."""
    if form == "delta":
        return str(max(1, math.ceil(reset - now)))
    if form == "iso":
        return f"{datetime.fromtimestamp(math.ceil(reset), UTC):%Y-%m-%dT%H:%M:%SZ}"
    return formatdate(math.ceil(reset), usegmt=True) if form == "http-date" else str(math.ceil(reset))


_CODE_LIFETIME = 600.0
"""Lifetime of an authorization code; the vendor does not publish its own [s]."""
_LIVE_TOKENS = 100
"""Valid access and refresh tokens of a user and application; older ones are revoked."""


class OAuthError(Exception):
    """
    An OAuth error response to a request for a token.

    Attributes
    ----------
    status
        HTTP status.
    error
        Code of RFC 6749, such as ``invalid_grant``.
    headers
        Headers of the response.
    """

    def __init__(self, status: int, error: str, description: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(description)
        self.status = status
        self.error = error
        self.headers = dict(headers or {})

    def body(self) -> dict[str, str]:
        """Return the document to send."""
        return {"error": self.error, "error_description": str(self)}


@dataclass(frozen=True)
class _Code:
    """An authorization code, with what the user consented to."""

    user: int
    scopes: str
    redirect_uri: str
    expires_at: float
    challenge: str | None


@dataclass
class _Refresh:
    """A refresh token, and the access token issued with it."""

    user: int
    scopes: str
    access: str
    expires_at: float
    is_ended: bool = False


class OAuthServer:
    """
    Issues OAuth tokens for one application.

    Parameters
    ----------
    tokens
        The access tokens.
    seconds
        Returns the time [seconds since 1970].
    settings
        Behavior that is not documented.
    user
        Id of the user in the browser.

    Attributes
    ----------
    client_id, client_secret
        Credentials of the application.
    user
        The parameter; may be changed.
    consents
        Whether the user in the browser consents.
    """

    def __init__(self, tokens: Tokens, seconds: Callable[[], float], settings: SandboxSettings, *, user: int) -> None:
        self.client_id = secrets.token_hex(16)
        self.client_secret = secrets.token_urlsafe(24)
        self.user = user
        self.consents = True
        self._tokens = tokens
        self._seconds = seconds
        self._settings = settings
        self._codes: dict[str, _Code] = {}
        self._refreshes: dict[str, _Refresh] = {}
        self._issued_at: dict[int, float] = {}

    def issue(
        self, *, user: int | None = None, scopes: Iterable[str] = (), lifetime: float | None = None
    ) -> dict[str, Any]:
        """
        Return a token response without a sign-in; `token_interval_s` does not apply.

        Parameters
        ----------
        user
            Id; ``None`` for the user in the browser.
        scopes
            Such as ``["prospects.read"]``; empty for all scopes.
        lifetime
            Of the access token [s]; negative for an expired one. ``None`` for that of the settings.
        """
        return self._issue(self.user if user is None else user, " ".join(scopes), lifetime)

    def end(self, refresh_token: str) -> None:
        """Refuse a refresh token from now on, as after 14 days or a revocation by an administrator."""
        self._refreshes[refresh_token].is_ended = True

    def authorize(self, query: Mapping[str, str]) -> dict[str, str]:
        """
        Let the user in the browser decide; return the parameters of the redirect to the application.

        Raises
        ------
        OAuthError
            The application or its redirect is not valid, so there is no redirect.
        """
        if query.get("client_id") != self.client_id or not query.get("redirect_uri"):
            raise OAuthError(400, "invalid_request", "There is no such application, or the redirect_uri is missing.")
        state = {"state": query["state"]} if "state" in query else {}
        if query.get("response_type") != "code":
            return {"error": "unsupported_response_type"} | state
        if not self.consents:
            return {"error": "access_denied"} | state
        code = secrets.token_urlsafe(24)
        expires_at = self._seconds() + _CODE_LIFETIME
        self._codes[code] = _Code(
            self.user, query.get("scope", ""), query["redirect_uri"], expires_at, query.get("code_challenge")
        )
        return {"code": code} | state

    def token(self, form: Mapping[str, str]) -> dict[str, Any]:
        """
        Return the response to ``POST /oauth/token``.

        Raises
        ------
        OAuthError
            The application or the grant is not valid, or the requests are too frequent.
        """
        if not _equal_secrets(form.get("client_id"), self.client_id) or not _equal_secrets(
            form.get("client_secret"), self.client_secret
        ):
            raise OAuthError(401, "invalid_client", "Client authentication failed.")
        match form.get("grant_type"):
            case "authorization_code":
                return self._of_code(form)
            case "refresh_token":
                return self._of_refresh(form)
        raise OAuthError(400, "unsupported_grant_type", "The grant type is not supported.")

    def _of_code(self, form: Mapping[str, str]) -> dict[str, Any]:
        code = self._codes.get(form.get("code", ""))
        if code is None or self._seconds() >= code.expires_at or form.get("redirect_uri") != code.redirect_uri:
            raise self._bad_grant()
        if code.challenge is not None and not _equal_secrets(_challenge(form.get("code_verifier", "")), code.challenge):
            raise self._bad_grant()
        self._throttle(code.user)
        del self._codes[form["code"]]
        return self._issue_now(code.user, code.scopes)

    def _of_refresh(self, form: Mapping[str, str]) -> dict[str, Any]:
        stored = self._refreshes.get(form.get("refresh_token", ""))
        if stored is None or stored.is_ended or self._seconds() >= stored.expires_at:
            raise self._bad_grant()
        self._throttle(stored.user)
        stored.is_ended = self._settings.rotated_refresh_token == "invalid"  # noqa: S105 - a word, no secret
        return self._issue_now(stored.user, stored.scopes)

    def _bad_grant(self) -> OAuthError:
        return OAuthError(
            self._settings.bad_grant_status, "invalid_grant", "The grant is invalid, expired, revoked or already used."
        )

    def _throttle(self, user: int) -> None:
        """Refuse a second token of a user within `token_interval_s`."""
        now, opens = self._seconds(), self._issued_at.get(user, -math.inf) + self._settings.token_interval_s
        if now < opens:
            headers = retry_after(self._settings, now, opens)
            raise OAuthError(429, "rate_limit_exceeded", "One token a minute may be requested.", headers)

    def _issue_now(self, user: int, scopes: str) -> dict[str, Any]:
        self._issued_at[user] = self._seconds()
        return self._issue(user, scopes, None)

    def _issue(self, user: int, scopes: str, lifetime: float | None) -> dict[str, Any]:
        settings, now = self._settings, self._seconds()
        lifetime = settings.token_lifetime_s if lifetime is None else lifetime
        access = self._tokens.issue(user, scopes=scopes.split() or None, lifetime=lifetime)
        refresh = secrets.token_urlsafe(32)
        self._refreshes[refresh] = _Refresh(user, scopes, access, now + settings.refresh_token_lifetime_s)
        for old in [token for token, stored in self._refreshes.items() if stored.user == user][:-_LIVE_TOKENS]:
            self._tokens.revoke(self._refreshes.pop(old).access)
        return {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": int(lifetime),
            "refresh_token": refresh,
            "scope": scopes,
            "created_at": int(now),
        }


def _challenge(verifier: str) -> str:
    """Return the code challenge of a verifier for the method S256 (RFC 7636)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _equal_secrets(value: str | None, expected: str) -> bool:
    return value is not None and secrets.compare_digest(value.encode(), expected.encode())


_SETUP_LIFETIME = 15 * 60.0
"""Lifetime of the token in the redirect of an installation [s]."""
_TOKEN_LIFETIME = 3600.0
"""Longest lifetime of app tokens, and lifetime of their access tokens [s]."""
_KEY_SIZE = 2048
"""Size of keys [bits]."""

_ALL = ("accounts", "calls", "opportunities", "prospects", "sequenceStates", "sequences", "tasks", "webhooks")
_WRITE = ("events", "imports")
_READ = ("auditLogs", "kaiaRecordings", "mailings", "snippets", "templates", "users")
_INSTALLATION_SCOPES = frozenset(
    [f"{name}.all" for name in _ALL]
    + [f"{name}.{level}" for name in _WRITE for level in ("read", "write")]
    + [f"{name}.read" for name in _READ]
)
"""Scopes of an application without a user."""
NO_USER = 0
"""User id of an application; its requests have their own rate limit."""


@dataclass(frozen=True)
class _Installation:
    """An application installed in the organization."""

    id: str
    guid: str
    installed_at: datetime


class Installations:
    """
    Applications, their keys and their installations.

    Parameters
    ----------
    tokens
        The access tokens.
    seconds
        Returns the time [seconds since 1970].
    """

    def __init__(self, tokens: Tokens, seconds: Callable[[], float]) -> None:
        self._tokens = tokens
        self._seconds = seconds
        self._keys: dict[str, list[RSAPublicKey]] = {}
        self._installed: dict[str, _Installation] = {}
        self._setup: dict[str, tuple[str, float]] = {}

    def register_key(self, pem: str | bytes, *, guid: str | None = None) -> str:
        """
        Register a public key of a new or existing application; return its ``S2S_GUID``.

        Raises
        ------
        ValueError
            It is not an RSA public key of 2048 bits in PEM.
        ModuleNotFoundError
            `cryptography` is not installed.
        """
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415 - only for S2S
        from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415 - as above

        key = load_pem_public_key(pem.encode() if isinstance(pem, str) else pem)
        if not isinstance(key, RSAPublicKey) or key.key_size != _KEY_SIZE:
            raise ValueError(f"an application's key is an RSA public key of {_KEY_SIZE} bits")
        guid = guid or str(uuid.uuid4())
        self._keys.setdefault(guid, []).append(key)
        return guid

    def install(self, guid: str) -> str:
        """Install an application in the organization; return the installation's id."""
        id_ = str(uuid.uuid4())
        self._installed[id_] = _Installation(id_, guid, datetime.fromtimestamp(self._seconds(), UTC))
        return id_

    def setup_token(self, install_id: str) -> str:
        """Return the token in the redirect after an installation, valid for 15 minutes."""
        token = secrets.token_urlsafe(24)
        self._setup[token] = (install_id, self._seconds() + _SETUP_LIFETIME)
        return token

    def set_up(self, token: str, app_token: str, *, origin: str, api: str, organization: int | None) -> dict[str, Any]:
        """
        Return the installation of an application.

        Raises
        ------
        HttpError
            The app token or the setup token is refused.
        """
        install_id, expires_at = self._setup.get(token, ("", 0.0))
        if self._seconds() >= expires_at:
            raise _no_installation()
        return self._document(self._installation(install_id, app_token), origin, api, organization)

    def access_token(
        self, install_id: str, app_token: str, *, origin: str, api: str, organization: int | None
    ) -> dict[str, Any]:
        """
        Issue an access token for an hour.

        Raises
        ------
        HttpError
            The app token is refused, or the application is not installed.
        """
        document = self._document(self._installation(install_id, app_token), origin, api, organization)
        token = self._tokens.issue(NO_USER, scopes=_INSTALLATION_SCOPES, lifetime=_TOKEN_LIFETIME)
        document["data"]["meta"] = {"accessToken": token}
        return document

    def _installation(self, install_id: str, app_token: str) -> _Installation:
        guid = self._signer(app_token)
        installation = self._installed.get(install_id)
        if installation is None or installation.guid != guid:
            raise _no_installation()
        return installation

    def _signer(self, app_token: str) -> str:
        """Return the issuer of an app token after a check of its signature and times."""
        try:
            signed, signature = app_token.rsplit(".", 1)
            header, claims = (msgspec.json.decode(_bytes_of(part), type=dict[str, Any]) for part in signed.split("."))
            guid, issued, expires = claims["iss"], float(claims["iat"]), float(claims["exp"])
            proof = _bytes_of(signature)
        except (ValueError, KeyError, TypeError, msgspec.DecodeError):
            raise unauthorized("The app token is not a signed JSON Web Token with iss, iat and exp.") from None
        now = self._seconds()
        if not issued - 60.0 <= now < expires or expires - issued > _TOKEN_LIFETIME:
            raise unauthorized("The app token is not valid at this time, or for longer than an hour.")
        if header.get("alg") != "RS256" or not self._is_signed(str(guid), signed.encode(), proof):
            raise unauthorized("The app token is not signed with a registered key.")
        return str(guid)

    def _is_signed(self, guid: str, message: bytes, signature: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - only for S2S
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415 - as above
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - as above

        for key in self._keys.get(guid, []):
            try:
                key.verify(signature, message, PKCS1v15(), SHA256())
            except InvalidSignature:
                continue
            return True
        return False

    def _document(self, installation: _Installation, origin: str, api: str, organization: int | None) -> dict[str, Any]:
        """Return the document of an installation."""
        return {
            "data": {
                "type": "install",
                "id": installation.id,
                "attributes": {"installedAt": f"{installation.installed_at:%Y-%m-%dT%H:%M:%S.%fZ}"},
                "relationships": {
                    "app": {"data": {"type": "app", "id": installation.guid}},
                    "org": {"data": {"type": "org", "id": organization}, "links": {"api": api}},
                },
                "links": {"self": f"{origin}/api/app/installs/{installation.id}"},
            }
        }


def _bytes_of(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _no_installation() -> HttpError:
    return HttpError(404, "resourceNotFound", "Resource Not Found", "There is no such installation.")
