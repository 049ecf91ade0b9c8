"""Who may ask, and how often: bearer tokens with scopes, and an hourly budget of requests for each user."""

import math
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate

from outreach_frames._sandbox.errors import GatewayUnauthorized, Problem, missing_scope, rate_limited, unauthorized
from outreach_frames._sandbox.settings import Settings


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

    def check(self, authorization: str | None, settings: Settings) -> Grant:
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


def _refused(settings: Settings) -> Problem:
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

    def spend(self, user: int, settings: Settings) -> dict[str, str]:
        """
        Count a request and return the ``X-RateLimit-*`` headers of its answer.

        Raises
        ------
        Problem
            429: the budget is spent.
        """
        now = self._timer()
        window = self._windows.get(user)
        if window is None or now >= window.opened + settings.rate_window:
            window = self._windows[user] = _Window(now)
        reset = window.opened + settings.rate_window
        window.spent += 1
        left = settings.rate_limit - window.spent
        headers = rate_headers(settings, max(0, left), now, reset)
        if left < 0:
            until = f"{datetime.fromtimestamp(math.ceil(reset), UTC):%Y-%m-%dT%H:%M:%S}"
            raise rate_limited(settings.rate_limit, until, headers | retry_after(settings, now, reset))
        return headers


def rate_headers(settings: Settings, left: int, now: float, reset: float) -> dict[str, str]:
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


def retry_after(settings: Settings, now: float, reset: float) -> dict[str, str]:
    """Return the ``Retry-After`` header in the form that the settings ask for."""
    return {} if settings.retry_after == "absent" else {"retry-after": _moment(settings.retry_after, now, reset)}


def _moment(form: str, now: float, reset: float) -> str:
    """Spell a point in time, rounded up to whole seconds: who waits until then has waited long enough."""
    if form == "delta":
        return str(max(1, math.ceil(reset - now)))
    if form == "iso":
        return f"{datetime.fromtimestamp(math.ceil(reset), UTC):%Y-%m-%dT%H:%M:%SZ}"
    return formatdate(math.ceil(reset), usegmt=True) if form == "http-date" else str(math.ceil(reset))
