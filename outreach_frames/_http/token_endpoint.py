"""Where tokens come from: requests to the sign-in endpoints, never cached and never redirected."""

from collections.abc import Callable, Mapping
from random import random
from urllib.parse import urlencode, urlunsplit

from requests import PreparedRequest

from outreach_frames._http.limits import Limits, Waiter
from outreach_frames._http.messages import Request
from outreach_frames._http.origin import check_base_url, split_url
from outreach_frames._http.rate_limit import RateLimiter
from outreach_frames._http.transport import Transport
from outreach_frames._secrets import HiddenBytes, HiddenText

LIMITS = Limits(connect=10.0, read=30.0, deadline=120.0, max_wait=300.0, size=1 << 20)


class TokenEndpoint:
    """
    Posts to the sign-in endpoints of an API host.

    Parameters
    ----------
    base_url
        Base of the API; the endpoints are on its host. Plain http only to this machine itself.
    waiter
        What waits, where something else waits with it.
    spread
        Random numbers in [0, 1): for tests.

    Raises
    ------
    OriginError
        ``base_url`` is nowhere to send a secret to.
    """

    def __init__(
        self,
        base_url: str,
        *,
        waiter: Waiter | None = None,
        spread: Callable[[], float] = random,
    ) -> None:
        parts = split_url(check_base_url(base_url))
        self.origin = urlunsplit((parts.scheme, parts.netloc, "", "", ""))
        waiter = waiter or Waiter()
        self._transport = Transport(
            self.origin,
            _without_auth,
            rate_limiter=RateLimiter(waiter.clock),
            waiter=waiter,
            limits=LIMITS,
            spread=spread,
        )

    def __call__(
        self,
        path: str,
        form: Mapping[str, str] | None = None,
        *,
        bearer: str | None = None,
        label: str | None = None,
    ) -> bytes:
        """
        Post a form, or nothing, and return the answer.

        It is repeated after a dropped connection too: a token that was issued and never arrived is lost either way.

        Parameters
        ----------
        path
            Path on the host.
        form
            Fields.
        bearer
            Token of an app that signs the request itself.
        label
            What a message may call the path, where it holds a secret.

        Raises
        ------
        APIError
            The endpoint refused; its own word (``invalid_grant``) is the id of the first of ``errors``.
        TransportError
            No complete answer came.
        DocumentError
            The answer is not JSON.
        """
        headers = {"Accept": "application/json"}
        if bearer is not None:
            headers["Authorization"] = HiddenText(f"Bearer {bearer}")
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = None if form is None else HiddenBytes(urlencode(form).encode())
        request = Request.of("POST", f"{self.origin}{path}", path=label or path, headers=headers, body=body)
        request.repeatable = True
        return self._transport.send(request).body

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()


def _without_auth(request: PreparedRequest) -> PreparedRequest:
    return request
