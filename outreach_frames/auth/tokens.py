"""Tokens and the secrets that get them: read from replies, kept as JSON, never shown."""

from dataclasses import dataclass, replace
from typing import Any, Self

import msgspec

from outreach_frames._hidden import HiddenBytes, hidden, revealed
from outreach_frames._json import UNREADABLE, read_json
from outreach_frames.errors import AuthError

EARLY = 120.0
"""A token is replaced this long before it expires [s]."""
EARLY_SHARE = 0.1
"""The same for short-lived tokens, as a share of their life."""
UNSAID_LIFE = 3600.0
"""Life of a token whose reply does not tell it [s]."""
LONGEST_LIFE = 366 * 86_400.0
"""A token that lives longer is renewed all the same [s]."""


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

    def __post_init__(self) -> None:
        object.__setattr__(self, "access", hidden(self.access))
        object.__setattr__(self, "refresh", hidden(self.refresh))

    @classmethod
    def of_reply(cls, body: bytes, asked_at: float) -> Self:
        """
        Read the reply of the token endpoint, by the time of the request: the server's clock may be another.

        Raises
        ------
        AuthError
            There is no access token in it.
        """
        reply = read_json(body, _Reply) or _Reply()
        if not isinstance(reply.access_token, str) or not reply.access_token:
            raise AuthError("The sign-in endpoint answered without an access token.", hint="Try again later.")
        life = reply.expires_in if isinstance(reply.expires_in, int | float) else UNSAID_LIFE
        return cls(
            access=reply.access_token,
            refresh=reply.refresh_token if isinstance(reply.refresh_token, str) else None,
            minted_at=asked_at,
            expires_at=asked_at + max(-LONGEST_LIFE, min(life, LONGEST_LIFE)),
            scope=str(reply.scope or ""),
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "client_secret", hidden(self.client_secret))

    def with_token(self, token: Token) -> "Secrets":
        """Return the same with another token."""
        return replace(self, token=token)

    def to_json(self) -> bytes:
        """Write for a vault."""
        return HiddenBytes(msgspec.json.encode(self, enc_hook=revealed))

    @classmethod
    def of_json(cls, text: bytes | str) -> "Secrets":
        """
        Read from a vault.

        Raises
        ------
        AuthError
            It cannot be read.
        """
        text = hidden(text)
        try:
            return msgspec.json.decode(text.encode() if isinstance(text, str) else text, type=Secrets)
        except UNREADABLE:
            # The decoder's own message may quote what it read.
            raise AuthError("The saved sign-in cannot be read.", hint="Sign in again: outreach-frames login.") from None

    def __repr__(self) -> str:
        return "Secrets(…)"


class _Reply(msgspec.Struct):
    """What the token endpoint may answer, of any type."""

    access_token: Any = None
    refresh_token: Any = None
    expires_in: Any = None
    scope: Any = None

    def __repr__(self) -> str:
        return "_Reply(…)"
