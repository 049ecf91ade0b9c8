"""Requests and responses: what is sent, what came back, and what both are called in messages."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import msgspec
import requests
from requests import PreparedRequest

from outreach_frames._http.origin import split_url, without_addresses
from outreach_frames._http.retry import REPEATABLE_METHODS
from outreach_frames.errors import OriginError

if TYPE_CHECKING:
    from outreach_frames._http.limits import Deadline

STORED_HEADERS = ("Content-Type", "Date", "Link")
"""Headers that a response keeps, on disk and in memory: none that could be a secret."""

LARGEST_BODY = 256 << 20
"""Largest body, as it comes and unpacked; a page of a thousand records is a hundredth of it [bytes]."""

NOT_A_DATE = (ValueError, TypeError, IndexError, OverflowError)
"""What Python raises for texts that are no dates, or are dates outside the calendar."""


UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)
"""What msgspec raises of a text: no JSON, no UTF-8, a number without end, or about a thousand levels of nesting."""


class Request(PreparedRequest):
    """
    A request, prepared without a session's defaults: no cookies, and no password from a ``.netrc`` file.

    Attributes
    ----------
    repeatable
        Whether executing it twice is the same as once.
    vendor
        Whether it goes to Outreach, so that messages may name Outreach's sign-in and must not quote its texts, which
        may hold personal data.
    no_retry
        Statuses at which the same request is not sent again, such as 502 for a page that is too large.
    key
        Its key in the cache; ``None``: the response is neither read from the cache nor stored.
    attempts
        How often it was sent [attempts].
    deadline
        How long it may still take; set when it is first sent.
    signed
        The copy that was sent last, with the token on it.
    renewed
        Whether the token was replaced for it.
    unsure
        Whether an earlier attempt may have been executed.
    """

    repeatable: bool
    deadline: "Deadline"
    vendor: bool = True
    no_retry: Collection[int] = ()
    key: str | None = None
    attempts: int = 0
    signed: PreparedRequest | None = None
    renewed: bool = False
    unsure: bool = False
    _link: str
    _base_url: str
    _path: str | None

    @classmethod
    def of(
        cls,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        base_url: str = "",
        path: str | None = None,
        params: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
    ) -> Self:
        """
        Prepare a request.

        Parameters
        ----------
        base_url
            Base that messages leave out of the URL.
        path
            What messages call the URL, where its own path holds a secret.

        Raises
        ------
        OriginError
            The URL cannot be read.
        """
        request = cls()
        try:
            request.prepare(method=method, url=url, params=list(params), headers=dict(headers), data=body)
        except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema, ValueError):
            raise OriginError(f"{method}: the address cannot be read.", hint="Check base_url.") from None
        request.repeatable = method in REPEATABLE_METHODS
        request._link, request._base_url, request._path = url, base_url, path
        return request

    @property
    def collection(self) -> str:
        """The first step of its path below the base."""
        return urlsplit(self.url or "").path.removeprefix(urlsplit(self._base_url).path).strip("/").partition("/")[0]

    @property
    def label(self) -> str:
        """Method and path, without host and query: how messages call it."""
        path = self._path
        if path is None:
            path = split_url(self._link).path.removeprefix(split_url(self._base_url).path) or "/"
        return f"{self.method} {without_addresses(path)}"


@dataclass(frozen=True, slots=True)
class Budget:
    """
    The request budget as one response states it.

    Attributes
    ----------
    limit
        Requests allowed per window; ``None`` where the response does not say.
    remaining
        Requests left in this window.
    resets_at
        When the window ends [seconds since 1970].
    """

    limit: int | None = None
    remaining: int | None = None
    resets_at: float | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """
    A complete response of the API.

    Attributes
    ----------
    status
        HTTP status.
    headers
        Those of ``STORED_HEADERS`` that came with it.
    body
        The document, decompressed; left out where the response is printed, like the address, which may hold a filter.
    url
        Address of the request.
    from_cache
        Whether it was read from the cache.
    requested_at, received_at
        When the request was sent, and when the response was complete [seconds since 1970]; 0 if it is from the cache.
    budget
        The request budget that it states.
    resumes_at
        When the request may be sent again after an error [seconds since 1970]; ``None`` where it does not say.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    url: str = field(repr=False)
    from_cache: bool = False
    requested_at: float = 0.0
    received_at: float = 0.0
    budget: Budget = Budget()
    resumes_at: float | None = None

    @property
    def date(self) -> datetime | None:
        """When the API created it (aware, UTC); ``None`` where it does not say."""
        return read_date(self.headers.get("Date"))

    @property
    def resumes_in(self) -> float | None:
        """From its arrival until the request may be sent again [s]; ``None`` where it does not say."""
        return None if self.resumes_at is None else max(0.0, self.resumes_at - self.received_at)

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004  statuses are named by their number


def read_json(body: bytes, kind: Any = Any) -> Any:
    """Return a document, or ``None`` if it cannot be read as the type."""
    try:
        return msgspec.json.decode(body, type=kind)
    except UNREADABLE:
        return None


def fits_header(token: str) -> bool:
    """Whether a header can hold a token; of others the HTTP library's own error would show it."""
    return token.isascii() and token.isprintable()


def stored_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that a response keeps."""
    return {name: headers[name] for name in STORED_HEADERS if name in headers}


def read_date(text: str | None) -> datetime | None:
    """Read an HTTP date, such as the ``Date`` header; ``None`` if it is missing or no date."""
    try:
        return in_utc(parsedate_to_datetime(text)) if text else None
    except NOT_A_DATE:
        return None


def in_utc(moment: datetime) -> datetime:
    """Return a time in UTC; one without a zone is taken to be in UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
