"""
Signing in as a user: authorization codes, and refresh tokens that change with every use.

The rules only; `doors` has the paths. What the vendor leaves open (whether an old refresh token ends at once, say) is
in `Settings`.
"""

import base64
import hashlib
import math
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from outreach_frames._sandbox.access import Tokens, retry_after
from outreach_frames._sandbox.settings import Settings

CODE_LIFETIME = 600.0
"""Of an authorization code; the vendor's is short and not published [s]."""
LIVE_TOKENS = 100
"""Access and refresh tokens of a user and application; the oldest drop out."""


class Refusal(Exception):  # noqa: N818 - an answer to a request, not a fault of the program
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


class Authority:
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

    def __init__(self, tokens: Tokens, seconds: Callable[[], float], settings: Settings, *, user: int) -> None:
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
        Refusal
            Application, response type or redirect are not right, so that nothing goes back.
        """
        if query.get("client_id") != self.client_id or not query.get("redirect_uri"):
            raise Refusal(400, "invalid_request", "There is no such application, or it names no redirect_uri.")
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
        Refusal
            The application, the grant or the rhythm is not right.
        """
        if not _same(form.get("client_id"), self.client_id) or not _same(form.get("client_secret"), self.client_secret):
            raise Refusal(401, "invalid_client", "Client authentication failed.")
        match form.get("grant_type"):
            case "authorization_code":
                return self._of_code(form)
            case "refresh_token":
                return self._of_refresh(form)
        raise Refusal(400, "unsupported_grant_type", "The grant type is none that this server knows.")

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

    def _bad_grant(self) -> Refusal:
        return Refusal(
            self._settings.bad_grant_status, "invalid_grant", "The grant is invalid, expired, revoked or already used."
        )

    def _throttle(self, user: int) -> None:
        """Refuse a second token of a user within the minute."""
        now, opens = self._seconds(), self._minted_at.get(user, -math.inf) + self._settings.mint_throttle
        if now < opens:
            headers = retry_after(self._settings, now, opens)
            raise Refusal(429, "rate_limit_exceeded", "One token a minute may be asked for.", headers)

    def _minted(self, user: int, scopes: str) -> dict[str, Any]:
        self._minted_at[user] = self._seconds()
        return self._mint(user, scopes, None)

    def _mint(self, user: int, scopes: str, lifetime: float | None) -> dict[str, Any]:
        settings, now = self._settings, self._seconds()
        lifetime = settings.token_lifetime if lifetime is None else lifetime
        access = self._tokens.issue(user, scopes=scopes.split() or None, lifetime=lifetime)
        refresh = secrets.token_urlsafe(32)
        self._refreshes[refresh] = _Refresh(user, scopes, access, now + settings.refresh_token_lifetime)
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
