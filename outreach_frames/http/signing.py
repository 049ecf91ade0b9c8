"""What puts the token on a request, below the cache: a cached answer costs no token."""

from typing import Protocol

from requests import PreparedRequest
from requests.auth import AuthBase

from outreach_frames._hidden import HiddenText, hidden


class Renewable(Protocol):
    """A way to sign in that can get another token; asked for by the transport after a refusal."""

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Put the token on a request."""

    def renew(self, rejected: PreparedRequest) -> bool:
        """Replace the token that a request was refused with; return whether there is another one to try."""


class BearerAuth(AuthBase):
    """
    Sign every request with one access token, which cannot be renewed.

    Parameters
    ----------
    token
        OAuth access token.
    """

    def __init__(self, token: str) -> None:
        self._token = hidden(token)

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Put the token on a request."""
        r.headers["Authorization"] = HiddenText(f"Bearer {self._token}")
        return r

    def __repr__(self) -> str:
        return "BearerAuth(…)"
