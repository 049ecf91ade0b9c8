"""Error responses: how an attempt ended, and the typed error with what to do about it."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from outreach_frames._http.messages import UNREADABLE, Request, Response, read_json
from outreach_frames._http.retry import Outcome
from outreach_frames.errors import (
    APIError,
    AuthError,
    BadRequestError,
    ConflictError,
    DocumentError,
    ErrorObject,
    MaintenanceError,
    NotFoundError,
    OutreachError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    TransportError,
    ValidationError,
)

FINAL_FORBIDDEN = {"unauthorizedOauthScope", "unauthorizedRequest"}
"""Error ids of a 403 that another token of the same user would meet again."""
MAINTENANCE = "scheduledServerMaintenance"
UNSURE = "It may or may not have been carried out: look before you send it again."
_TOO_SLOW = frozenset({502, 504})
"""What a proxy answers where a page takes the API too long."""

_SCOPE = re.compile(r"['\"]([A-Za-z][A-Za-z0-9_]*\.(?:read|write|delete|all))['\"]")
_ERROR_STATUS = re.compile(r"[45]\d\d")
_ADDRESS = re.compile(r"\S*(?:@|%40)\S*")
_OPAQUE = re.compile(r"(?=[^\s\d]*\d)[\w.~+/=-]{20,}")
"""What could be a token: long, with a digit."""
MOST_REASONS = 3
LONGEST_REASON = 300
"""Of one error object [characters]."""
_PLAIN_WORDS = re.compile(r"[A-Za-z][A-Za-z '’,.:;()-]{0,118}")


def judge(request: Request, response: Response) -> tuple[Outcome, OutreachError | None]:
    """
    Return how an attempt ended, and the error that its response is; ``None`` for a complete JSON document.

    A document of a 2xx response that holds errors is an error of the status that it names, or 400; data beside them may
    be a part of what was asked for.
    """
    status = response.status
    if response.is_success:
        outcome = _outcome_of_body(request, response)
        if outcome is not Outcome.DONE:
            return outcome, _unreadable(request, response, outcome)
        if not holds_errors(response.body):
            return outcome, None
        errors = read_errors(response.body)
        stated = errors[0].status or ""
        status = int(stated) if _ERROR_STATUS.fullmatch(stated) else 400
        return Outcome.REFUSED, _error_of(request, response, status, errors)
    errors = read_errors(response.body)
    if status == 429:  # noqa: PLR2004  statuses are named by their number
        outcome = Outcome.RATE_LIMITED
    elif status == 503 and any(error.id == MAINTENANCE for error in errors):  # noqa: PLR2004
        return Outcome.MAINTENANCE, _maintenance(request, response, errors)
    else:
        outcome = Outcome.SERVER_ERROR if status >= 500 else Outcome.REFUSED  # noqa: PLR2004
    if status < 400:  # noqa: PLR2004
        return outcome, TransportError(
            f"{request.label}: the server points elsewhere ({status}), where the request is not taken.",
            hint="Connect with the address of the organization's own API host as base_url."
            if request.vendor
            else "Connect with the address that it points to as base_url.",
        )
    return outcome, _error_of(request, response, status, errors)


def needs_new_token(error: OutreachError | None) -> bool:
    """Return whether another token could help: after a 401, or a 403 that does not say what is forbidden."""
    if not isinstance(error, APIError):
        return False
    ids = {each.id for each in error.errors}
    return error.status == 401 or (error.status == 403 and not FINAL_FORBIDDEN & ids)  # noqa: PLR2004


def holds_errors(body: bytes) -> bool:
    """Return whether a document lists errors, which a 2xx response should not; JSON:API forbids data beside them."""
    if b'"errors"' not in body:
        return False
    document = read_json(body)
    if not isinstance(document, dict):
        return False
    return bool(read_errors(body)) if document.get("data") is None else bool(document.get("errors"))


def _outcome_of_body(request: Request, response: Response) -> Outcome:
    """Return whether the body is one complete JSON document, without building it."""
    if not response.body:
        is_empty = request.method != "GET" or response.status == 204  # noqa: PLR2004
        return Outcome.DONE if is_empty else Outcome.UNREADABLE
    try:
        msgspec.json.decode(response.body, type=msgspec.Raw)
    except RecursionError:
        return Outcome.NESTED
    except UNREADABLE:
        return Outcome.UNREADABLE
    return Outcome.DONE


def _unreadable(request: Request, response: Response, outcome: Outcome) -> DocumentError:
    kind = (response.headers.get("Content-Type") or "no content type").split(";")[0]
    fault = f"is not a complete JSON document ({kind})"
    hint = "Check base_url; a proxy or a sign-in page may have answered in its place."
    if outcome is Outcome.NESTED:
        fault, hint = "is nested too deeply to be read", "Ask for less: name fields, and fewer includes."
    if not request.repeatable:
        hint = f"It was carried out ({response.status}); fetch the record to see it."
    return DocumentError(f"{request.label}: the answer {fault}.", hint=hint)


def read_errors(body: bytes) -> tuple[ErrorObject, ...]:
    """Read the error objects of a document, or what stands in their place; empty where nothing is understood."""
    document = read_json(body)
    if not isinstance(document, dict):
        return ()
    if isinstance(document.get("error"), str):  # a gateway or the sign-in endpoint
        return (ErrorObject(id=document["error"], detail=_text_or_none(document.get("error_description"))),)
    listed = document.get("errors")
    if isinstance(listed, list):
        return tuple(_error_object(item if isinstance(item, dict) else {"detail": item}) for item in listed)
    inner = next((document[name] for name in ("error", *_DETAILS) if isinstance(document.get(name), dict)), document)
    detail = next((inner[name] for name in _DETAILS if isinstance(inner.get(name), str)), None)
    return (ErrorObject(title=_text_or_none(inner.get("title")), detail=detail),) if detail else ()


_DETAILS = ("detail", "message", "msg", "title")
"""Where servers that send no JSON:API errors say what is wrong."""


def _error_object(item: Mapping[str, Any]) -> ErrorObject:
    """Read an error object; ``details`` or ``message`` is read where ``detail`` is missing."""
    source = item.get("source")
    source = source if isinstance(source, dict) else {}
    return ErrorObject(
        id=_text_or_none(item.get("id")),
        title=_text_or_none(item.get("title")),
        detail=_text_or_none(item.get("detail", item.get("details", item.get("message")))),
        pointer=_text_or_none(source.get("pointer")),
        parameter=_text_or_none(source.get("parameter")),
        status=_text_or_none(item.get("status")),
    )


def _text_or_none(value: object) -> str | None:
    return None if value is None else str(value)


def _error_of(request: Request, response: Response, status: int, errors: Sequence[ErrorObject]) -> APIError:
    """Return the typed error for an error response, with what to do about it."""
    error = _by_status(request, response, status, tuple(errors))
    if not request.vendor:
        error.hint = _HINTS_ELSEWHERE.get(type(error), error.hint)
    return error


def _reasons(request: Request, status: int, errors: Sequence[ErrorObject]) -> str:
    """
    Return what the server says is wrong; empty where it says nothing.

    Of Outreach only fixed words are quoted, since the others may hold personal data; of another server's
    response to a read, all but addresses and possible tokens.
    """
    if not request.vendor and request.method == "GET":
        reasons = [_whole_reason(error) for error in errors]
    elif status == 422:  # noqa: PLR2004
        reasons = [_reason(error) for error in errors]
    else:
        # Titles are the API's fixed words for an error id, so they quote nothing of the request.
        reasons = [error.title if _is_plain(error.title) else None for error in errors]
    distinct = list(dict.fromkeys(filter(None, reasons)))
    return "; ".join([*distinct[:MOST_REASONS], *(["…"] if len(distinct) > MOST_REASONS else [])])


_HINTS_ELSEWHERE: dict[type[APIError], str] = {
    AuthError: "Connect with auth=…: a token, a user name and password, or what signs a request as the server has it.",
    PermissionDeniedError: "Sign in as somebody who may, or leave out what was included.",
    NotFoundError: "Check the path below base_url, which some servers end with a slash, and the id.",
}
"""What to do about an error of a server other than Outreach."""


def _by_status(  # noqa: PLR0911  one return per status
    request: Request, response: Response, status: int, errors: tuple[ErrorObject, ...]
) -> APIError:
    label, reasons = request.label, _reasons(request, status, errors)
    text = f" ({reasons})" if reasons else ""
    match status:
        case 401:
            return AuthError(
                f"{label}: the access token was refused{text}."
                if request.vendor
                else f"{label}: the sign-in was refused{text}.",
                status=status,
                errors=errors,
                hint="It may have expired or been revoked. Sign in again (outreach-frames login), or pass a new one.",
            )
        case 403:
            return _forbidden(request, errors, text)
        case 404:
            return NotFoundError(
                f"{label}: there is no such record or endpoint{text}.",
                status=status,
                errors=errors,
                hint="Check the id. A record that this user may not see also counts as missing.",
            )
        case 409:
            return ConflictError(
                f"{label}: the request contradicts the record it names{text}.",
                status=status,
                errors=errors,
                hint="Fetch the record again and repeat the change on what is there now.",
            )
        case 422:
            return _invalid(request, errors, text)
        case 429:
            resets_at = _moment(response)
            return rate_limit_error(request, limit=response.budget.limit, resets_at=resets_at, errors=errors)
        case _ if status >= 500:  # noqa: PLR2004
            smaller = " A smaller page_size may help." if status in _TOO_SLOW else ""
            hint = f"Try again later.{smaller}" if request.repeatable else UNSURE
            return ServerError(f"{label}: the server failed ({status}){text}.", status=status, errors=errors, hint=hint)
        case _:
            return BadRequestError(
                f"{label}: the API does not accept the request as sent ({status}{': ' * bool(text)}{reasons}).",
                status=status,
                errors=errors,
                hint="The answer's error objects are in .errors; check filter, sort, include and fields.",
            )


def _forbidden(request: Request, errors: tuple[ErrorObject, ...], text: str) -> PermissionDeniedError:
    scopes = [match[1] for error in errors if (match := _SCOPE.search(error.detail or ""))]
    scope = scopes[0] if scopes and request.vendor else None
    if scope:
        missing = f"the token lacks the scope {scope}"
        hint = f"Add it to the app in the portal, then to the sign-in: outreach-frames login --add-scopes {scope}."
    else:
        missing = f"this user may not do that{text}"
        hint = "Ask an administrator of the organization for the permission, or leave out what was included."
    return PermissionDeniedError(f"{request.label}: {missing}.", scope=scope, status=403, errors=errors, hint=hint)


def _invalid(request: Request, errors: tuple[ErrorObject, ...], text: str) -> ValidationError:
    named = any(error.pointer for error in errors)
    return ValidationError(
        f"{request.label}: the API refused the values{text}.",
        status=422,
        errors=errors,
        hint=f"{'Correct the named attributes; ' if named else ''}.errors holds the API's own words.",
    )


def rate_limit_error(
    request: Request, *, limit: int | None, resets_at: datetime | None, errors: tuple[ErrorObject, ...] = ()
) -> RateLimitError:
    """Return the error for a spent budget, reported by the API or by the rate limiter."""
    budget = f" of {limit:,} requests" if limit else ""
    return RateLimitError(
        f"{request.label}: the request budget{budget} is spent.",
        limit=limit,
        resets_at=resets_at,
        status=429,
        errors=errors,
        hint=f"Try again {_after(resets_at)}, or allow a longer max_wait. Answers that came are cached."
        if request.vendor
        else f"Try again {_after(resets_at)}, or ask for fewer and larger pages with page_size.",
    )


def _maintenance(request: Request, response: Response, errors: tuple[ErrorObject, ...]) -> MaintenanceError:
    until = _moment(response)
    return MaintenanceError(
        f"{request.label}: Outreach is down for scheduled maintenance.",
        until=until,
        status=response.status,
        errors=errors,
        hint=f"Try again {_after(until)}. Answers that came are cached.",
    )


def _moment(response: Response) -> datetime | None:
    """Return when a request may be sent again, as its error response says."""
    try:
        return None if response.resumes_at is None else datetime.fromtimestamp(response.resumes_at, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _after(moment: datetime | None) -> str:
    return f"after {moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "later"


def _whole_reason(error: ErrorObject) -> str | None:
    """Return where and what is wrong in the API's own words, without addresses and what could be a token."""
    words = " ".join(filter(None, (error.detail or error.title or error.id, "")))
    if error.detail and error.title and error.title not in error.detail:
        words = f"{error.title}: {error.detail}"
    reason = ": ".join(filter(None, (error.parameter or error.pointer, words)))
    reason = _OPAQUE.sub("…", _ADDRESS.sub("…", " ".join(reason.split()))).rstrip(".")
    return f"{reason[:LONGEST_REASON]}…" if len(reason) > LONGEST_REASON else reason or None


def _reason(error: ErrorObject) -> str | None:
    """Return pointer and detail of a field error; a detail that may quote a value stays out of the message."""
    detail = error.detail if _is_plain(error.detail) else None
    return ": ".join(filter(None, (error.pointer, detail))) or None


def _is_plain(text: str | None) -> bool:
    return bool(text and _PLAIN_WORDS.fullmatch(text))
