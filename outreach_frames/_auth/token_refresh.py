"""Refresh a sign-in's access token and save it, once for all threads and processes; `oauth` makes the request."""

import threading
import time
from collections.abc import Callable

from requests import PreparedRequest
from requests.auth import AuthBase

from outreach_frames._auth.token_store import Secrets, Token, TokenStore
from outreach_frames._fork import OfOneProcess
from outreach_frames._secrets import HiddenText
from outreach_frames.errors import AuthError

THROTTLE = 60.0
"""The API gives one token per user and app in this time [s]."""

Refresher = Callable[[Secrets], Token]


class RefreshingTokenAuth(AuthBase, OfOneProcess):
    """
    Signs requests with a token that it keeps fresh.

    Eight threads in two processes that find the token expired make one refresh: the first takes the lock, the others
    wait and then read what it saved. A rotated token is saved before anything is signed with it.

    Parameters
    ----------
    store
        Stores the secrets.
    refresher
        Gets a new token.
    account
        Name of the sign-in that the tokens belong to.
    clock
        Wall clock [seconds since 1970].
    wait
        Waits until the API gives a new token [s].
    """

    def __init__(
        self,
        store: TokenStore,
        refresher: Refresher,
        *,
        account: str = "",
        clock: Callable[[], float] = time.time,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._refresher = refresher
        self._account = account
        self._clock = clock
        self._wait = wait
        self._token: Token | None = None
        self.after_fork_in_child()
        self.follow_forks()

    def after_fork_in_child(self) -> None:
        """Begin with a lock that nobody holds; a refresh that is under way is the parent's."""
        self._lock = threading.Lock()

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """
        Put a fresh token on a request.

        Raises
        ------
        AuthError
            There is none, and none can be got.
        """
        r.headers["Authorization"] = _header(self.token())
        return r

    def token(self) -> Token:
        """Return a token that is good for the next request, replacing the one there is ahead of its expiry."""
        token = self._token
        return token if token is not None and token.is_fresh(self._clock()) else self._replaced(None)

    def renew(self, rejected: PreparedRequest) -> bool:
        """Replace the token that a request was refused with, unless somebody has done so already."""
        self._replaced(rejected.headers.get("Authorization"))
        return True

    def _replaced(self, rejected: str | None) -> Token:
        with self._lock, self._store.locked():
            secrets = self._store.load()
            if secrets is None:
                raise AuthError("There is no sign-in any more.", hint="Sign in: outreach-frames login.")
            if secrets.account != self._account:
                # Their token would fill this account's cache with their answers.
                raise AuthError("This profile holds another sign-in now.", hint="Connect again.")
            token = secrets.token
            if token is None or _header(token) == rejected or not token.is_fresh(self._clock()):
                token = self._next_token(secrets)
            self._token = token
            return token

    def _next_token(self, secrets: Secrets) -> Token:
        if secrets.token is not None and (left := secrets.token.minted_at + THROTTLE - self._clock()) > 0:
            self._wait(min(left, THROTTLE))  # more is left only where the clock was set back
        # A store that cannot be written fails before the old token is used up, not after.
        self._store.save(secrets)
        token = self._refresher(secrets)
        self._store.save(secrets.with_token(token))
        return token


def _header(token: Token) -> str:
    return HiddenText(f"Bearer {token.access}")
