"""From an HTTP answer to what it means: how the attempt ended, and the typed error with what to do about it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from outreach_frames._http.rate_limit import read_budget, read_resumption
from outreach_frames._http.retry import Outcome
from outreach_frames._parsing import UNREADABLE, read_json
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

KEPT_HEADERS = ("Content-Type", "Date", "Link")
"""What an answer keeps of its headers, on disk and in memory: nothing that could be a secret."""

LARGEST_BODY = 256 << 20
"""Of an answer, as it comes and unpacked; a page of a thousand records is a hundredth of it [bytes]."""

FINAL_FORBIDDEN = {"unauthorizedOauthScope", "unauthorizedRequest"}
"""Error ids of a 403 that another token of the same user would meet again."""
MAINTENANCE = "scheduledServerMaintenance"

_SCOPE = re.compile(r"['\"]([A-Za-z][A-Za-z0-9_]*\.(?:read|write|delete|all))['\"]")
_ERROR_STATUS = re.compile(r"[45]\d\d")
_ADDRESS = re.compile(r"\S*(?:@|%40)\S*")
_OPAQUE = re.compile(r"(?=[^\s\d]*\d)[\w.~+/=-]{20,}")
"""What could be a token: long, with a digit."""
MOST_REASONS = 3
LONGEST_REASON = 300
"""Of one error object [characters]."""
_PLAIN_WORDS = re.compile(r"[A-Za-z][A-Za-z '’,.:;()-]{0,118}")


@dataclass(frozen=True, slots=True)
class Response:
    """
    A complete answer of the API.

    Attributes
    ----------
    status
        HTTP status, 2xx.
    headers
        Those of ``KEPT_HEADERS`` that came with it.
    body
        The document, decompressed; left out where the answer is printed, like the address, which may hold a filter.
    from_cache
        Whether it was read from the cache.
    date
        When the API made it (aware, UTC); ``None`` where it did not say.
    url
        What was asked.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    from_cache: bool
    date: datetime | None
    url: str = field(repr=False)


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
    vendor
        Whether it is Outreach's.
    """

    asked: str
    method: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    received_at: float
    vendor: bool = True

    @property
    def outcome(self) -> Outcome:
        """How the attempt ended."""
        if self.is_success:
            body = self._body_outcome
            return Outcome.REFUSED if body is Outcome.DONE and self._holds_only_errors else body
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
    def meaning(self) -> int:
        """The HTTP status; of errors that came with a 2xx, the status that they name, or 400."""
        if not (self.is_success and self._holds_only_errors):
            return self.status
        named = self.errors[0].status or ""
        return int(named) if _ERROR_STATUS.fullmatch(named) else 400

    @property
    def is_stale_token(self) -> bool:
        """Whether another token could help: a 401, or a 403 that does not say what is forbidden."""
        return self.meaning == 401 or (self.meaning == 403 and not FINAL_FORBIDDEN & self.error_ids)  # noqa: PLR2004

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
    def said(self) -> str:
        """
        What the server says is wrong; empty where it says nothing.

        Of Outreach only fixed words are told, since the others may quote what is known of people; of another server
        that was asked to read something, all but addresses and what could be a token.
        """
        if not self.vendor and self.method == "GET":
            reasons = [_whole_reason(error) for error in self.errors]
        elif self.meaning == 422:  # noqa: PLR2004
            reasons = [_reason(error) for error in self.errors]
        else:
            # Titles are the API's fixed words for an error id, so they quote nothing of the request.
            reasons = [error.title if _is_plain(error.title) else None for error in self.errors]
        told = list(dict.fromkeys(filter(None, reasons)))
        return "; ".join([*told[:MOST_REASONS], *(["…"] if len(told) > MOST_REASONS else [])])

    @property
    def _body_outcome(self) -> Outcome:
        """Whether the body is one complete JSON document, found out without building it."""
        if not self.body:
            return Outcome.DONE if self.method != "GET" or self.status == 204 else Outcome.UNREADABLE  # noqa: PLR2004
        try:
            msgspec.json.decode(self.body, type=msgspec.Raw)
        except RecursionError:
            return Outcome.NESTED
        except UNREADABLE:
            return Outcome.UNREADABLE
        return Outcome.DONE

    @property
    def _holds_only_errors(self) -> bool:
        """Whether the document lists errors and has no data: not what a 2xx says."""
        if b'"errors"' not in self.body:
            return False
        try:
            document = msgspec.json.decode(self.body, type=_Top)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        return bytes(document.data) == b"null" and bool(self.errors)


class _Top(msgspec.Struct):
    data: msgspec.Raw = msgspec.Raw(b"null")


def read_errors(body: bytes) -> tuple[ErrorObject, ...]:
    """Read the error objects of a document, or what stands in their place; empty where nothing is understood."""
    document = read_json(body)
    if not isinstance(document, dict):
        return ()
    if isinstance(document.get("error"), str):  # a gateway or the sign-in endpoint
        return (ErrorObject(id=document["error"], detail=_text(document.get("error_description"))),)
    listed = document.get("errors")
    if isinstance(listed, list):
        return tuple(_error_object(item if isinstance(item, dict) else {"detail": item}) for item in listed)
    told = next((document[name] for name in ("error", *_SAYING) if isinstance(document.get(name), dict)), document)
    said = next((told[name] for name in _SAYING if isinstance(told.get(name), str)), None)
    return (ErrorObject(title=_text(told.get("title")), detail=said),) if said else ()


_SAYING = ("detail", "message", "msg", "title")
"""Where servers that send no JSON:API errors say what is wrong."""


def _error_object(item: Mapping[str, Any]) -> ErrorObject:
    """Read an error object; ``details`` or ``message`` is read where ``detail`` is missing."""
    source = item.get("source")
    source = source if isinstance(source, dict) else {}
    return ErrorObject(
        id=_text(item.get("id")),
        title=_text(item.get("title")),
        detail=_text(item.get("detail", item.get("details", item.get("message")))),
        pointer=_text(source.get("pointer")),
        parameter=_text(source.get("parameter")),
        status=_text(item.get("status")),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def error_of(reply: Reply) -> APIError:
    """Return the typed error for an answer that is not 2xx, with what to do about it."""
    error = _error_of(reply)
    if not reply.vendor:
        error.hint = _HINTS_ELSEWHERE.get(type(error), error.hint)
    return error


_HINTS_ELSEWHERE: dict[type[APIError], str] = {
    AuthError: "Connect with auth=…: a token, a user name and password, or what signs a request as the server has it.",
    PermissionDeniedError: "Sign in as somebody who may, or leave out what was included.",
    NotFoundError: "Check the path below base_url, which some servers end with a slash, and the id.",
}
"""What to do about an error of a server other than Outreach."""


def _error_of(reply: Reply) -> APIError:  # noqa: PLR0911  one return per status
    asked, errors, status = reply.asked, reply.errors, reply.meaning
    said = f" ({reply.said})" if reply.said else ""
    match status:
        case 401:
            return AuthError(
                f"{asked}: the access token was refused{said}."
                if reply.vendor
                else f"{asked}: the sign-in was refused{said}.",
                status=status,
                errors=errors,
                hint="It may have expired or been revoked. Sign in again (outreach-frames login), or pass a new one.",
            )
        case 403:
            return _forbidden(reply, said)
        case 404:
            return NotFoundError(
                f"{asked}: there is no such record or endpoint{said}.",
                status=status,
                errors=errors,
                hint="Check the id. A record that this user may not see also counts as missing.",
            )
        case 409:
            return ConflictError(
                f"{asked}: the request contradicts the record it names{said}.",
                status=status,
                errors=errors,
                hint="Fetch the record again and repeat the change on what is there now.",
            )
        case 422:
            return _invalid(reply, said)
        case 429:
            return _rate_limited(reply)
        case 503 if reply.outcome is Outcome.MAINTENANCE:
            return _maintenance(reply)
        case _ if status >= 500:  # noqa: PLR2004
            return ServerError(
                f"{asked}: the server failed ({status}){said}.",
                status=status,
                errors=errors,
                hint="Try again later; a smaller page_size helps where a page is too large for a proxy (502, 504).",
            )
        case _:
            return BadRequestError(
                f"{asked}: the API does not accept the request as sent ({status}{': ' * bool(said)}{reply.said}).",
                status=status,
                errors=errors,
                hint="The answer's error objects are in .errors; check filter, sort, include and fields.",
            )


def _forbidden(reply: Reply, said: str) -> PermissionDeniedError:
    scopes = [match[1] for error in reply.errors if (match := _SCOPE.search(error.detail or ""))]
    scope = scopes[0] if scopes and reply.vendor else None
    if scope:
        missing, hint = f"the token lacks the scope {scope}", f"Add {scope} to the app's scopes, then sign in again."
    else:
        missing = f"this user may not do that{said}"
        hint = "Ask an administrator of the organization for the permission, or leave out what was included."
    return PermissionDeniedError(
        f"{reply.asked}: {missing}.", scope=scope, status=reply.meaning, errors=reply.errors, hint=hint
    )


def _invalid(reply: Reply, said: str) -> ValidationError:
    named = any(error.pointer for error in reply.errors)
    return ValidationError(
        f"{reply.asked}: the API refused the values{said}.",
        status=reply.meaning,
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
        vendor=reply.vendor,
    )


def rate_limit_error(
    asked: str,
    *,
    limit: int | None,
    resets_at: datetime | None,
    errors: tuple[ErrorObject, ...] = (),
    vendor: bool = True,
) -> RateLimitError:
    """Return the error for a budget that is spent, whether the API said so or the gate knew."""
    budget = f" of {limit:,} requests" if limit else ""
    return RateLimitError(
        f"{asked}: the request budget{budget} is spent.",
        limit=limit,
        resets_at=resets_at,
        status=429,
        errors=errors,
        hint=f"Try again {_after(resets_at)}, or allow a longer max_wait. Answers that came are cached."
        if vendor
        else f"Try again {_after(resets_at)}, or ask for fewer and larger pages with page_size.",
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


def _whole_reason(error: ErrorObject) -> str | None:
    """Return where and what is wrong in the API's own words, without addresses and what could be a token."""
    words = " ".join(filter(None, (error.detail or error.title or error.id, "")))
    if error.detail and error.title and error.title not in error.detail:
        words = f"{error.title}: {error.detail}"
    told = ": ".join(filter(None, (error.parameter or error.pointer, words)))
    told = _OPAQUE.sub("…", _ADDRESS.sub("…", " ".join(told.split()))).rstrip(".")
    return f"{told[:LONGEST_REASON]}…" if len(told) > LONGEST_REASON else told or None


def _reason(error: ErrorObject) -> str | None:
    """Return pointer and detail of a field error; a detail that may quote a value stays out of the message."""
    detail = error.detail if _is_plain(error.detail) else None
    return ": ".join(filter(None, (error.pointer, detail))) or None


def _is_plain(text: str | None) -> bool:
    return bool(text and _PLAIN_WORDS.fullmatch(text))
