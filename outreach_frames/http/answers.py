"""From an HTTP answer to what it means: how the attempt ended, and the typed error with what to do about it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from outreach_frames.errors import (
    APIError,
    AuthError,
    BadRequestError,
    ConflictError,
    ErrorObject,
    MaintenanceError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    ValidationError,
)
from outreach_frames.http.headers import read_budget, read_resumption
from outreach_frames.http.retry import Outcome

KEPT_HEADERS = ("Content-Type", "Date")
"""What an answer keeps of its headers, on disk and in memory: nothing that could be a secret."""

FINAL_FORBIDDEN = {"unauthorizedOauthScope", "unauthorizedRequest"}
"""Error ids of a 403 that another token of the same user would meet again."""
MAINTENANCE = "scheduledServerMaintenance"

_SCOPE = re.compile(r"['\"]([A-Za-z][A-Za-z0-9_]*\.(?:read|write|delete|all))['\"]")
_PLAIN_WORDS = re.compile(r"[A-Za-z][A-Za-z '’,.:;()-]{0,118}")


@dataclass(frozen=True, slots=True)
class Answer:
    """
    A complete answer of the API.

    Attributes
    ----------
    status
        HTTP status, 2xx.
    headers
        Those of ``KEPT_HEADERS`` that came with it.
    body
        The document, decompressed.
    from_cache
        Whether it was read from the cache.
    date
        When the API made it (aware, UTC); ``None`` where it did not say.
    url
        What was asked.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    from_cache: bool
    date: datetime | None
    url: str


@dataclass(frozen=True, slots=True)
class Reply:
    """
    What came back from the wire, before it is judged.

    Attributes
    ----------
    asked
        The request, without host and query: what a message may call it.
    method
        HTTP method.
    status, headers, body
        The answer.
    received_at
        When it was complete [seconds since 1970].
    """

    asked: str
    method: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    received_at: float

    @property
    def outcome(self) -> Outcome:
        """How the attempt ended."""
        if self.is_success:
            return Outcome.DONE if self._is_readable else Outcome.UNREADABLE
        if self.status == 429:  # noqa: PLR2004  statuses are named by their number
            return Outcome.RATE_LIMITED
        if self.status == 503 and MAINTENANCE in self.error_ids:  # noqa: PLR2004
            return Outcome.MAINTENANCE
        return Outcome.SERVER_ERROR if self.status >= 500 else Outcome.REFUSED  # noqa: PLR2004

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004

    @property
    def is_stale_token(self) -> bool:
        """Whether another token could help: a 401, or a 403 that does not say what is forbidden."""
        return self.status == 401 or (self.status == 403 and not FINAL_FORBIDDEN & self.error_ids)  # noqa: PLR2004

    @property
    def resumes_in(self) -> float | None:
        """When to come back [s from its arrival]; ``None`` unless it was turned away with a time."""
        if self.outcome not in {Outcome.RATE_LIMITED, Outcome.MAINTENANCE}:
            return None
        resumption = read_resumption(self.headers, self.received_at)
        return None if resumption is None else max(0.0, resumption - self.received_at)

    @property
    def error_ids(self) -> set[str]:
        """Ids of the answer's error objects."""
        return {error.id for error in self.errors if error.id}

    @property
    def errors(self) -> tuple[ErrorObject, ...]:
        """The answer's JSON:API error objects; empty where a gateway or proxy answered."""
        return read_errors(self.body)

    def error(self) -> APIError:
        """Return the typed error that this answer is."""
        return error_of(self)

    @property
    def _is_readable(self) -> bool:
        if not self.body:
            return self.method != "GET"
        return is_json(self.body)


def is_json(body: bytes) -> bool:
    """Tell whether bytes are one complete JSON document, or nested too deeply to tell, without building it."""
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except msgspec.DecodeError:
        return False
    except RecursionError:  # to ask again would bring the same; its reader will refuse it
        pass
    return True


def read_errors(body: bytes) -> tuple[ErrorObject, ...]:
    """Read the error objects of a document; empty if it is none. ``details`` is read where ``detail`` is missing."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ()
    if not isinstance(document, dict):
        return ()
    if isinstance(document.get("error"), str):  # a gateway or the sign-in endpoint
        return (ErrorObject(id=document["error"], detail=_text(document.get("error_description"))),)
    listed = document.get("errors")
    return tuple(_error_object(item) for item in listed if isinstance(item, dict)) if isinstance(listed, list) else ()


def _error_object(item: Mapping[str, Any]) -> ErrorObject:
    source = item.get("source")
    return ErrorObject(
        id=_text(item.get("id")),
        title=_text(item.get("title")),
        detail=_text(item.get("detail", item.get("details"))),
        pointer=_text(source.get("pointer")) if isinstance(source, dict) else None,
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def error_of(reply: Reply) -> APIError:  # noqa: PLR0911  one return per status
    """Return the typed error for an answer that is not 2xx, with what to do about it."""
    asked, errors, status = reply.asked, reply.errors, reply.status
    match status:
        case 401:
            return AuthError(
                f"{asked}: the access token was refused.",
                status=status,
                errors=errors,
                hint="It may have expired or been revoked. Sign in again (outreach-frames login), or pass a new one.",
            )
        case 403:
            return _forbidden(reply)
        case 404:
            return NotFoundError(
                f"{asked}: there is no such record or endpoint.",
                status=status,
                errors=errors,
                hint="Check the id. A record that this user may not see also counts as missing.",
            )
        case 409:
            return ConflictError(
                f"{asked}: the request contradicts the record it names.",
                status=status,
                errors=errors,
                hint="Fetch the record again and repeat the change on what is there now.",
            )
        case 422:
            return _invalid(reply)
        case 429:
            return _rate_limited(reply)
        case 503 if reply.outcome is Outcome.MAINTENANCE:
            return _maintenance(reply)
        case _ if status >= 500:  # noqa: PLR2004
            return ServerError(
                f"{asked}: the server failed ({status}).",
                status=status,
                errors=errors,
                hint="Try again later; a smaller page_size helps where a page is too large for a proxy (502, 504).",
            )
        case _:
            return BadRequestError(
                f"{asked}: the API does not accept the request as sent ({status}{_titles(errors)}).",
                status=status,
                errors=errors,
                hint="The answer's error objects are in .errors; check filter, sort, include and fields.",
            )


def _forbidden(reply: Reply) -> PermissionDeniedError:
    scopes = [match[1] for error in reply.errors if (match := _SCOPE.search(error.detail or ""))]
    scope = scopes[0] if scopes else None
    if scope:
        missing, hint = f"the token lacks the scope {scope}", f"Add {scope} to the app's scopes, then sign in again."
    else:
        missing = "this user may not do that"
        hint = "Ask an administrator of the organisation for the permission, or leave out what was included."
    return PermissionDeniedError(
        f"{reply.asked}: {missing}.", scope=scope, status=reply.status, errors=reply.errors, hint=hint
    )


def _invalid(reply: Reply) -> ValidationError:
    reasons = "; ".join(filter(None, (_reason(error) for error in reply.errors)))
    named = any(error.pointer for error in reply.errors)
    return ValidationError(
        f"{reply.asked}: the API refused the values{f' ({reasons})' if reasons else ''}.",
        status=reply.status,
        errors=reply.errors,
        hint=f"{'Correct the named attributes; ' if named else ''}.errors holds the API's own words.",
    )


def _rate_limited(reply: Reply) -> RateLimitError:
    resets_at = _moment(read_resumption(reply.headers, reply.received_at))
    return rate_limit_error(
        reply.asked,
        limit=read_budget(reply.headers, reply.received_at).limit,
        resets_at=resets_at,
        errors=reply.errors,
    )


def rate_limit_error(
    asked: str, *, limit: int | None, resets_at: datetime | None, errors: tuple[ErrorObject, ...] = ()
) -> RateLimitError:
    """Return the error for a budget that is spent, whether the API said so or the gate knew."""
    budget = f" of {limit:,} requests" if limit else ""
    return RateLimitError(
        f"{asked}: the request budget{budget} is spent.",
        limit=limit,
        resets_at=resets_at,
        status=429,
        errors=errors,
        hint=f"Try again {_after(resets_at)}, or allow a longer max_wait. Answers that came are cached.",
    )


def _maintenance(reply: Reply) -> MaintenanceError:
    until = _moment(read_resumption(reply.headers, reply.received_at))
    return MaintenanceError(
        f"{reply.asked}: Outreach is down for scheduled maintenance.",
        until=until,
        status=reply.status,
        errors=reply.errors,
        hint=f"Try again {_after(until)}. Answers that came are cached.",
    )


def _moment(instant: float | None) -> datetime | None:
    try:
        return None if instant is None else datetime.fromtimestamp(instant, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _after(moment: datetime | None) -> str:
    return f"after {moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "later"


def _titles(errors: tuple[ErrorObject, ...]) -> str:
    """Titles are the API's fixed words for an error id, so they quote nothing of the request."""
    titles = ", ".join(dict.fromkeys(error.title for error in errors if _is_plain(error.title)))  # type: ignore[misc]
    return f": {titles}" if titles else ""


def _reason(error: ErrorObject) -> str | None:
    """Return pointer and detail of a field error; a detail that may quote a value stays out of the message."""
    detail = error.detail if _is_plain(error.detail) else None
    return ": ".join(filter(None, (error.pointer, detail))) or None


def _is_plain(text: str | None) -> bool:
    return bool(text and _PLAIN_WORDS.fullmatch(text))
