"""A request with what is known about it besides what is sent."""

from collections.abc import Collection, Mapping, Sequence
from typing import Self

import requests
from requests import PreparedRequest

from outreach_frames._http.retry import REPEATABLE_METHODS
from outreach_frames.errors import OriginError


class Request(PreparedRequest):
    """
    A request, prepared without a session's ways: no cookies, and no password from a ``.netrc`` file.

    Attributes
    ----------
    asked
        What a message may call it: method and path, without host and query.
    repeatable
        Whether carrying it out twice is the same as once.
    vendor
        Whether it goes to Outreach, so that messages may speak of Outreach's sign-in and must not quote its words,
        which may hold what is known of people.
    no_retry
        Statuses at which asking the same again is pointless, such as 502 for a page that is too large.
    """

    asked: str
    repeatable: bool
    vendor: bool = True
    no_retry: Collection[int] = ()

    @classmethod
    def of(
        cls,
        method: str,
        url: str,
        *,
        asked: str,
        headers: Mapping[str, str],
        params: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
    ) -> Self:
        call = cls()
        try:
            call.prepare(method=method, url=url, params=list(params), headers=dict(headers), data=body)
        except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema, UnicodeError):
            raise OriginError(f"{method} {asked}: the address cannot be read.", hint="Check base_url.") from None
        call.asked, call.repeatable = f"{method} {asked}", method in REPEATABLE_METHODS
        return call
