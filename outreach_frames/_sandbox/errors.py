"""
Responses that are errors.

Ids, titles and wording follow the vendor's error table; what it does not publish (the ids of 400, 401 and 405) is this
sandbox's own choice.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec


class HttpError(Exception):
    """
    A response with JSON:API errors.

    Attributes
    ----------
    status
        HTTP status.
    errors
        JSON:API error objects: ``id``, ``title``, ``detail`` and, for a field, ``source``.
    headers
        Further response headers.
    """

    media_type = "application/vnd.api+json"

    def __init__(self, status: int, id_: str, title: str, detail: str, *, pointer: str | None = None) -> None:
        super().__init__(detail)
        self.status = status
        error: dict[str, Any] = {"id": id_, "title": title, "detail": detail}
        self.errors = [error | {"source": {"pointer": pointer}} if pointer else error]
        self.headers: dict[str, str] = {}

    def body(self) -> bytes:
        """Return the document to send."""
        return msgspec.json.encode({"errors": self.errors})


class InvalidError(HttpError):
    """
    Values that Outreach refuses, each with a pointer to its place in the request.

    Parameters
    ----------
    details
        Pointer (or ``None``) and message of each.
    """

    def __init__(self, details: Sequence[tuple[str | None, str]]) -> None:
        super().__init__(422, "validationError", "Validation Error", details[0][1])
        common = {"id": "validationError", "title": "Validation Error"}
        self.errors = [
            common | {"detail": detail} | ({"source": {"pointer": pointer}} if pointer else {})
            for pointer, detail in details
        ]


class GatewayError(HttpError):
    """A 401 from the gateway before the API, which is not a JSON:API document."""

    media_type = "application/json"

    def __init__(self) -> None:
        super().__init__(401, "unauthorized", "Unauthorized", "The gateway refused the token.")

    def body(self) -> bytes:
        """Return the gateway's own form."""
        return msgspec.json.encode(
            {"error": "Invalid JWT token.", "description": "The JWT token could not be decoded."}
        )


def bad_request(id_: str, detail: str, *, status: int = 400) -> HttpError:
    """Return a 400 for a query; the vendor does not publish the ids."""
    return HttpError(status, id_, "Bad Request", detail)


def invalid(detail: str, *, pointer: str | None = None) -> InvalidError:
    """Return a 422 for one value or state that does not allow the request."""
    return InvalidError([(pointer, detail)])


def bad_document(detail: str, *, pointer: str | None = None, status: int = 400) -> HttpError:
    """Return an error for a body that is not the right JSON:API document; the vendor does not publish the ids."""
    if status == 409:  # noqa: PLR2004 - Conflict, JSON:API's own choice for a type or id that is not the URL's
        return HttpError(status, "conflict", "Conflict", detail, pointer=pointer)
    if status == 422:  # noqa: PLR2004 - Unprocessable Content
        return invalid(detail, pointer=pointer)
    return HttpError(status, "invalidDocument", "Bad Request", detail, pointer=pointer)


def unauthorized(reason: str) -> HttpError:
    """Return a 401; the vendor does not publish the id."""
    return HttpError(401, "unauthorized", "Unauthorized", reason)


def missing_scope(scopes: list[str]) -> HttpError:
    """Return a 403 for a token that lacks one or more scopes."""
    names = ", ".join(f"'{scope}'" for scope in scopes)
    noun = "scope" if len(scopes) == 1 else "scopes"
    return HttpError(
        403,
        "unauthorizedOauthScope",
        "Unauthorized OAuth Scope",
        f"Your authorization does not include the required {noun} {names}.",
    )


def not_found(type_name: str, id_: str) -> HttpError:
    """Return a 404 for one resource."""
    return HttpError(404, "resourceNotFound", "Resource Not Found", f"Could not find '{type_name}' with ID '{id_}'.")


def no_route(path: str) -> HttpError:
    """Return a 404 for a path that the API does not have; the vendor does not publish the id."""
    return HttpError(404, "routeNotFound", "Not Found", f"There is nothing at '{path}'.")


def method_not_allowed(method: str, path: str, allowed: list[str]) -> HttpError:
    """Return a 405 for an operation that the API does not have; the vendor does not publish the id."""
    error = HttpError(405, "methodNotAllowed", "Method Not Allowed", f"'{path}' does not take {method}.")
    error.headers["allow"] = ", ".join(allowed)
    return error


def unsupported_media_type() -> HttpError:
    """Return a 415 for a request without the JSON:API media type."""
    return HttpError(
        415,
        "unsupportedMediaType",
        "Unsupported Media Type",
        f"Expected Content-Type header to be '{HttpError.media_type}'.",
    )


def rate_limited(limit: int, until: str, headers: Mapping[str, str]) -> HttpError:
    """Return a 429."""
    error = HttpError(
        429,
        "rateLimitExceeded",
        "Rate Limit Exceeded",
        f"You have exceeded your permitted rate limit of {limit:,}; please try again at {until}.",
    )
    error.headers.update(headers)
    return error


def internal_error() -> HttpError:
    """Return a 500 for an exception of the sandbox itself."""
    return HttpError(500, "internalServerError", "Internal Server Error", "The sandbox failed; see its `failures`.")
