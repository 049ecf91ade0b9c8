"""
Tokens and who issues them: bearer tokens with scopes, request budgets, OAuth, and server-to-server installations.

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

from outreach_frames._sandbox.errors import GatewayUnauthorized, Problem, missing_scope, rate_limited, unauthorized
from outreach_frames._sandbox.settings import SandboxSettings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey


@dataclass(frozen=True)
class Grant:
    """
    What a token is good for.

    Attributes
    ----------
    user
        Id of the user it acts for.
    scopes
        Such as ``prospects.read``; ``None`` for everything.
    expires_at
        When it ends [seconds since 1970]; ``None`` for never.
    """

    user: int
    scopes: frozenset[str] | None = None
    expires_at: float | None = None

    def require(self, plurals: Iterable[str], level: str) -> None:
        """
        Check the scopes for an operation. ``all`` covers every level, ``write`` does not cover ``read``.

        Raises
        ------
        Problem
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
    Bearer tokens the sandbox accepts.

    Parameters
    ----------
    timer
        Tells the time [seconds since 1970].
    """

    def __init__(self, timer: Callable[[], float]) -> None:
        self._timer = timer
        self._grants: dict[str, Grant] = {}

    def issue(self, user: int, *, scopes: Iterable[str] | None = None, lifetime: float | None = None) -> str:
        """Make a new token; `lifetime` in seconds."""
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
        Problem
            401: there is none, or its token is unknown, expired or revoked.
        """
        scheme, _, token = (authorization or "").partition(" ")
        grant = self._grants.get(token.strip()) if scheme.lower() == "bearer" else None
        live = grant is not None and (grant.expires_at is None or self._timer() < grant.expires_at)
        if grant is None or not live:
            raise _refused(settings)
        return grant


def _refused(settings: SandboxSettings) -> Problem:
    if settings.unauthorized == "gateway":
        return GatewayUnauthorized()
    return unauthorized("The access token is missing, expired or revoked.")


@dataclass
class _Window:
    opened: float
    spent: int = 0


class Budget:
    """
    Requests that each user has left in the current window, which opens with a user's first request.

    Parameters
    ----------
    timer
        Tells the time [seconds since 1970].
    """

    def __init__(self, timer: Callable[[], float]) -> None:
        self._timer = timer
        self._windows: dict[int, _Window] = {}

    def reset(self) -> None:
        """Forget what was spent."""
        self._windows.clear()

    def spend(self, user: int, settings: SandboxSettings) -> dict[str, str]:
        """
        Count a request and return the ``X-RateLimit-*`` headers of its answer.

        Raises
        ------
        Problem
            429: the budget is spent.
        """
        now = self._timer()
        window = self._windows.get(user)
        if window is None or now >= window.opened + settings.rate_window_s:
            window = self._windows[user] = _Window(now)
        reset = window.opened + settings.rate_window_s
        window.spent += 1
        left = settings.rate_limit - window.spent
        headers = rate_headers(settings, max(0, left), now, reset)
        if left < 0:
            until = f"{datetime.fromtimestamp(math.ceil(reset), UTC):%Y-%m-%dT%H:%M:%S}"
            raise rate_limited(settings.rate_limit, until, headers | retry_after(settings, now, reset))
        return headers


def rate_headers(settings: SandboxSettings, left: int, now: float, reset: float) -> dict[str, str]:
    """Return the ``X-RateLimit-*`` headers in the form that the settings ask for."""
    form = settings.rate_headers
    if form == "absent":
        return {}
    remaining = f"{left}, {2 * left}" if form == "pair" else str(left)
    return {
        "x-ratelimit-limit": str(settings.rate_limit),
        "x-ratelimit-remaining": remaining,
        "x-ratelimit-reset": _moment("epoch" if form == "pair" else form, now, reset),
    }


def retry_after(settings: SandboxSettings, now: float, reset: float) -> dict[str, str]:
    """Return the ``Retry-After`` header in the form that the settings ask for."""
    return {} if settings.retry_after == "absent" else {"retry-after": _moment(settings.retry_after, now, reset)}


def _moment(form: str, now: float, reset: float) -> str:
    """Spell a point in time, rounded up to whole seconds: who waits until then has waited long enough."""
    if form == "delta":
        return str(max(1, math.ceil(reset - now)))
    if form == "iso":
        return f"{datetime.fromtimestamp(math.ceil(reset), UTC):%Y-%m-%dT%H:%M:%SZ}"
    return formatdate(math.ceil(reset), usegmt=True) if form == "http-date" else str(math.ceil(reset))


CODE_LIFETIME = 600.0
"""Of an authorization code; the vendor's is short and not published [s]."""
LIVE_TOKENS = 100
"""Access and refresh tokens of a user and application; the oldest drop out."""


class OAuthError(Exception):
    """
    A request for a token that is refused, in the words of OAuth.

    Attributes
    ----------
    status
        HTTP status.
    error
        Code of RFC 6749, such as ``invalid_grant``.
    headers
        Of the answer.
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
    """An authorization code: what was consented to."""

    user: int
    scopes: str
    redirect_uri: str
    expires_at: float
    challenge: str | None


@dataclass
class _Refresh:
    """A refresh token, and the access token that came with it."""

    user: int
    scopes: str
    access: str
    expires_at: float
    ended: bool = False


class OAuthServer:
    """
    Hands out tokens for one application.

    Parameters
    ----------
    tokens
        Where access tokens are known.
    seconds
        Tells the time [seconds since 1970].
    settings
        Answers to what is not documented.
    user
        Id of the user in front of the browser.

    Attributes
    ----------
    client_id, client_secret
        Of the application.
    user
        As given; may be changed.
    consents
        Whether the user in front of the browser agrees.
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
        self._minted_at: dict[int, float] = {}

    def issue(
        self, *, user: int | None = None, scopes: Iterable[str] = (), lifetime: float | None = None
    ) -> dict[str, Any]:
        """
        Return a token reply, as if somebody had signed in long ago; the throttle does not notice.

        Parameters
        ----------
        user
            Id; ``None`` for the one in front of the browser.
        scopes
            Such as ``["prospects.read"]``; none for everything.
        lifetime
            Of the access token [s]; negative for one that has expired. ``None`` as the settings say.
        """
        return self._mint(self.user if user is None else user, " ".join(scopes), lifetime)

    def end(self, refresh_token: str) -> None:
        """Refuse a refresh token from now on, as after 14 days or by an administrator's hand."""
        self._refreshes[refresh_token].ended = True

    def authorize(self, query: Mapping[str, str]) -> dict[str, str]:
        """
        Ask the user in front of the browser; return what goes back to the application.

        Raises
        ------
        OAuthError
            Application, response type or redirect are not right, so that nothing goes back.
        """
        if query.get("client_id") != self.client_id or not query.get("redirect_uri"):
            raise OAuthError(400, "invalid_request", "There is no such application, or it names no redirect_uri.")
        state = {"state": query["state"]} if "state" in query else {}
        if query.get("response_type") != "code":
            return {"error": "unsupported_response_type"} | state
        if not self.consents:
            return {"error": "access_denied"} | state
        code = secrets.token_urlsafe(24)
        expires_at = self._seconds() + CODE_LIFETIME
        self._codes[code] = _Code(
            self.user, query.get("scope", ""), query["redirect_uri"], expires_at, query.get("code_challenge")
        )
        return {"code": code} | state

    def token(self, form: Mapping[str, str]) -> dict[str, Any]:
        """
        Answer ``POST /oauth/token``.

        Raises
        ------
        OAuthError
            The application, the grant or the rhythm is not right.
        """
        if not _same(form.get("client_id"), self.client_id) or not _same(form.get("client_secret"), self.client_secret):
            raise OAuthError(401, "invalid_client", "Client authentication failed.")
        match form.get("grant_type"):
            case "authorization_code":
                return self._of_code(form)
            case "refresh_token":
                return self._of_refresh(form)
        raise OAuthError(400, "unsupported_grant_type", "The grant type is none that this server knows.")

    def _of_code(self, form: Mapping[str, str]) -> dict[str, Any]:
        code = self._codes.get(form.get("code", ""))
        if code is None or self._seconds() >= code.expires_at or form.get("redirect_uri") != code.redirect_uri:
            raise self._bad_grant()
        if code.challenge is not None and not _same(_challenge(form.get("code_verifier", "")), code.challenge):
            raise self._bad_grant()
        self._throttle(code.user)
        del self._codes[form["code"]]
        return self._minted(code.user, code.scopes)

    def _of_refresh(self, form: Mapping[str, str]) -> dict[str, Any]:
        kept = self._refreshes.get(form.get("refresh_token", ""))
        if kept is None or kept.ended or self._seconds() >= kept.expires_at:
            raise self._bad_grant()
        self._throttle(kept.user)
        kept.ended = self._settings.rotated_refresh_token == "invalid"  # noqa: S105 - a word, no secret
        return self._minted(kept.user, kept.scopes)

    def _bad_grant(self) -> OAuthError:
        return OAuthError(
            self._settings.bad_grant_status, "invalid_grant", "The grant is invalid, expired, revoked or already used."
        )

    def _throttle(self, user: int) -> None:
        """Refuse a second token of a user within the minute."""
        now, opens = self._seconds(), self._minted_at.get(user, -math.inf) + self._settings.token_interval_s
        if now < opens:
            headers = retry_after(self._settings, now, opens)
            raise OAuthError(429, "rate_limit_exceeded", "One token a minute may be asked for.", headers)

    def _minted(self, user: int, scopes: str) -> dict[str, Any]:
        self._minted_at[user] = self._seconds()
        return self._mint(user, scopes, None)

    def _mint(self, user: int, scopes: str, lifetime: float | None) -> dict[str, Any]:
        settings, now = self._settings, self._seconds()
        lifetime = settings.token_lifetime_s if lifetime is None else lifetime
        access = self._tokens.issue(user, scopes=scopes.split() or None, lifetime=lifetime)
        refresh = secrets.token_urlsafe(32)
        self._refreshes[refresh] = _Refresh(user, scopes, access, now + settings.refresh_token_lifetime_s)
        for old in [token for token, kept in self._refreshes.items() if kept.user == user][:-LIVE_TOKENS]:
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
    """Return what a verifier was announced by, where the method is S256 (RFC 7636)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _same(given: str | None, expected: str) -> bool:
    return given is not None and secrets.compare_digest(given.encode(), expected.encode())


SETUP_LIFETIME = 15 * 60.0
"""Of the token that comes with an installation's redirect [s]."""
TOKEN_LIFETIME = 3600.0
"""Of app tokens at most, and of the access tokens got with them [s]."""
KEY_SIZE = 2048
"""Of the keys that may be registered [bits]."""

_ALL = ("accounts", "calls", "opportunities", "prospects", "sequenceStates", "sequences", "tasks", "webhooks")
_WRITE = ("events", "imports")
_READ = ("auditLogs", "kaiaRecordings", "mailings", "snippets", "templates", "users")
SCOPES = frozenset(
    [f"{name}.all" for name in _ALL]
    + [f"{name}.{level}" for name in _WRITE for level in ("read", "write")]
    + [f"{name}.read" for name in _READ]
)
"""What an application may do without a user."""
NO_USER = 0
"""Whom an application acts for; its requests count against a budget of their own."""


@dataclass(frozen=True)
class _Installation:
    """An application installed in the organization."""

    id: str
    guid: str
    installed_at: datetime


class Installations:
    """
    Applications, their keys and where they are installed.

    Parameters
    ----------
    tokens
        Where access tokens are known.
    seconds
        Tells the time [seconds since 1970].
    """

    def __init__(self, tokens: Tokens, seconds: Callable[[], float]) -> None:
        self._tokens = tokens
        self._seconds = seconds
        self._keys: dict[str, list[RSAPublicKey]] = {}
        self._installed: dict[str, _Installation] = {}
        self._setup: dict[str, tuple[str, float]] = {}

    def register_key(self, pem: str | bytes, *, guid: str | None = None) -> str:
        """
        Register a public key of an application, new or known; return its ``S2S_GUID``.

        Raises
        ------
        ValueError
            It is no RSA public key of 2048 bits in PEM.
        ModuleNotFoundError
            `cryptography` is not installed.
        """
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415 - only for S2S
        from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415 - as above

        key = load_pem_public_key(pem.encode() if isinstance(pem, str) else pem)
        if not isinstance(key, RSAPublicKey) or key.key_size != KEY_SIZE:
            raise ValueError(f"an application's key is an RSA public key of {KEY_SIZE} bits")
        guid = guid or str(uuid.uuid4())
        self._keys.setdefault(guid, []).append(key)
        return guid

    def install(self, guid: str) -> str:
        """Install an application in the organization; return the installation's id."""
        id_ = str(uuid.uuid4())
        self._installed[id_] = _Installation(id_, guid, datetime.fromtimestamp(self._seconds(), UTC))
        return id_

    def setup_token(self, install_id: str) -> str:
        """Return the token that the redirect after an installation carries, good for a quarter of an hour."""
        token = secrets.token_urlsafe(24)
        self._setup[token] = (install_id, self._seconds() + SETUP_LIFETIME)
        return token

    def set_up(self, token: str, app_token: str, *, origin: str, api: str, organization: int | None) -> dict[str, Any]:
        """
        Tell an application the id of its installation.

        Raises
        ------
        Problem
            The app token or the setup token is refused.
        """
        install_id, expires_at = self._setup.get(token, ("", 0.0))
        if self._seconds() >= expires_at:
            raise _no_installation()
        return self._document(self._checked(install_id, app_token), origin, api, organization)

    def access_token(
        self, install_id: str, app_token: str, *, origin: str, api: str, organization: int | None
    ) -> dict[str, Any]:
        """
        Give an application a token for an hour.

        Raises
        ------
        Problem
            The app token is refused, or the application is not installed.
        """
        document = self._document(self._checked(install_id, app_token), origin, api, organization)
        token = self._tokens.issue(NO_USER, scopes=SCOPES, lifetime=TOKEN_LIFETIME)
        document["data"]["meta"] = {"accessToken": token}
        return document

    def _checked(self, install_id: str, app_token: str) -> _Installation:
        guid = self._signer(app_token)
        installation = self._installed.get(install_id)
        if installation is None or installation.guid != guid:
            raise _no_installation()
        return installation

    def _signer(self, app_token: str) -> str:
        """Return the issuer of an app token whose signature and times are right."""
        try:
            signed, signature = app_token.rsplit(".", 1)
            header, claims = (msgspec.json.decode(_bytes_of(part), type=dict[str, Any]) for part in signed.split("."))
            guid, issued, expires = claims["iss"], float(claims["iat"]), float(claims["exp"])
            proof = _bytes_of(signature)
        except (ValueError, KeyError, TypeError, msgspec.DecodeError):
            raise unauthorized("The app token is no signed JSON Web Token with iss, iat and exp.") from None
        now = self._seconds()
        if not issued - 60.0 <= now < expires or expires - issued > TOKEN_LIFETIME:
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
        """Return an installation as replies to such clients show it."""
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


def _no_installation() -> Problem:
    return Problem(404, "resourceNotFound", "Resource Not Found", "There is no such installation.")
