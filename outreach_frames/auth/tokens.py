"""Tokens and the secrets that get them: read from replies, kept as JSON, never shown."""

from dataclasses import dataclass, replace
from typing import Any, Self

import msgspec

from outreach_frames.errors import AuthError

EARLY = 120.0
"""A token is replaced this long before it expires [s]."""
EARLY_SHARE = 0.1
"""The same for short-lived tokens, as a share of their life."""
UNSAID_LIFE = 3600.0
"""Life of a token whose reply does not tell it [s]."""


@dataclass(frozen=True, slots=True, repr=False)
class Token:
    """
    An access token and what came with it.

    Attributes
    ----------
    access
        Goes on every request.
    refresh
        Gets the next one; ``None`` where there is none. Every use makes a new one.
    minted_at, expires_at
        By this machine's clock [seconds since 1970].
    scope
        What it allows, separated by spaces; empty where the reply does not say.
    """

    access: str
    refresh: str | None
    minted_at: float
    expires_at: float
    scope: str = ""

    @classmethod
    def of_reply(cls, body: bytes, asked_at: float) -> Self:
        """
        Read the reply of the token endpoint, by the time of the request: the server's clock may be another.

        Raises
        ------
        AuthError
            There is no access token in it.
        """
        reply = _object(body)
        access, refresh, life = reply.get("access_token"), reply.get("refresh_token"), reply.get("expires_in")
        if not isinstance(access, str) or not access:
            raise AuthError("The sign-in endpoint answered without an access token.", hint="Try again later.")
        return cls(
            access=access,
            refresh=refresh if isinstance(refresh, str) else None,
            minted_at=asked_at,
            expires_at=asked_at + (life if isinstance(life, int | float) else UNSAID_LIFE),
            scope=str(reply.get("scope") or ""),
        )

    def is_fresh(self, now: float) -> bool:
        """Tell whether the token will still be good when a request arrives."""
        early = min(EARLY, EARLY_SHARE * (self.expires_at - self.minted_at))
        return now < self.expires_at - early

    def __repr__(self) -> str:
        return "Token(…)"


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """
    What a sign-in keeps.

    Attributes
    ----------
    token
        The newest one; ``None`` before the first.
    client_secret
        The app's, which every refresh needs; ``None`` where it comes from elsewhere.
    account
        Random name of the sign-in: another one means that somebody has signed in anew.
    """

    token: Token | None = None
    client_secret: str | None = None
    account: str = ""

    def with_token(self, token: Token) -> "Secrets":
        """Return the same with another token."""
        return replace(self, token=token)

    def to_json(self) -> bytes:
        """Write for a vault."""
        return msgspec.json.encode(self)

    @classmethod
    def of_json(cls, text: bytes | str) -> "Secrets":
        """
        Read from a vault.

        Raises
        ------
        AuthError
            It cannot be read.
        """
        try:
            return msgspec.json.decode(text, type=Secrets)
        except msgspec.MsgspecError:
            # The decoder's own message may quote what it read.
            raise AuthError("The saved sign-in cannot be read.", hint="Sign in again: outreach-frames login.") from None

    def __repr__(self) -> str:
        return "Secrets(…)"


def _object(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
