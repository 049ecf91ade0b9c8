"""
Answers that are errors.

Ids, titles and wording follow the vendor's error table; what it does not publish (the ids of 400, 401 and 405) is this
sandbox's own choice and marked as such.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec


class Problem(Exception):  # noqa: N818 - an answer to a request, not a fault of the program
    """
    A request that is answered with JSON:API errors.

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


class Invalid(Problem):
    """
    Values that Outreach does not take, each with a pointer to where it stands in the request.

    Parameters
    ----------
    faults
        Pointer (``None`` for none) and sentence of each.
    """

    def __init__(self, faults: Sequence[tuple[str | None, str]]) -> None:
        super().__init__(422, "validationError", "Validation Error", faults[0][1])
        common = {"id": "validationError", "title": "Validation Error"}
        self.errors = [
            common | {"detail": detail} | ({"source": {"pointer": pointer}} if pointer else {})
            for pointer, detail in faults
        ]


class GatewayUnauthorized(Problem):
    """A 401 from the gateway before the API, which is not a JSON:API document."""

    media_type = "application/json"

    def __init__(self) -> None:
        super().__init__(401, "unauthorized", "Unauthorized", "The gateway refused the token.")

    def body(self) -> bytes:
        """Return the gateway's own form."""
        return msgspec.json.encode(
            {"error": "Invalid JWT token.", "description": "The JWT token could not be decoded."}
        )


def bad_request(id_: str, detail: str, *, status: int = 400) -> Problem:
    """Return an unacceptable query; the ids are this sandbox's choice."""
    return Problem(status, id_, "Bad Request", detail)


def invalid(detail: str, *, pointer: str | None = None) -> Invalid:
    """Return one value, or one state of affairs, that does not allow what was asked."""
    return Invalid([(pointer, detail)])


def bad_document(detail: str, *, pointer: str | None = None, status: int = 400) -> Problem:
    """Return a request body that is no JSON:API document of what was asked; the ids are this sandbox's choice."""
    if status == 409:  # noqa: PLR2004 - Conflict, JSON:API's own choice for a type or id that is not the URL's
        return Problem(status, "conflict", "Conflict", detail, pointer=pointer)
    if status == 422:  # noqa: PLR2004 - Unprocessable Content
        return invalid(detail, pointer=pointer)
    return Problem(status, "invalidDocument", "Bad Request", detail, pointer=pointer)


def unauthorized(reason: str) -> Problem:
    """Return a 401; the id is this sandbox's choice."""
    return Problem(401, "unauthorized", "Unauthorized", reason)


def missing_scope(scopes: list[str]) -> Problem:
    """Return the refusal of a token that lacks one or more scopes."""
    named = ", ".join(f"'{scope}'" for scope in scopes)
    noun = "scope" if len(scopes) == 1 else "scopes"
    return Problem(
        403,
        "unauthorizedOauthScope",
        "Unauthorized OAuth Scope",
        f"Your authorization does not include the required {noun} {named}.",
    )


def not_found(type_name: str, id_: str) -> Problem:
    """Return the absence of one resource."""
    return Problem(404, "resourceNotFound", "Resource Not Found", f"Could not find '{type_name}' with ID '{id_}'.")


def no_route(path: str) -> Problem:
    """Return a path that the API does not have; the id is this sandbox's choice."""
    return Problem(404, "routeNotFound", "Not Found", f"There is nothing at '{path}'.")


def method_not_allowed(method: str, path: str, allowed: list[str]) -> Problem:
    """Return an operation that the API does not have; the id is this sandbox's choice."""
    problem = Problem(405, "methodNotAllowed", "Method Not Allowed", f"'{path}' does not take {method}.")
    problem.headers["allow"] = ", ".join(allowed)
    return problem


def unsupported_media_type() -> Problem:
    """Return a request without the JSON:API media type."""
    return Problem(
        415,
        "unsupportedMediaType",
        "Unsupported Media Type",
        f"Expected Content-Type header to be '{Problem.media_type}'.",
    )


def rate_limited(limit: int, until: str, headers: Mapping[str, str]) -> Problem:
    """Return a spent budget."""
    problem = Problem(
        429,
        "rateLimitExceeded",
        "Rate Limit Exceeded",
        f"You have exceeded your permitted rate limit of {limit:,}; please try again at {until}.",
    )
    problem.headers.update(headers)
    return problem


def internal_error() -> Problem:
    """Return a fault of the sandbox itself."""
    return Problem(500, "internalServerError", "Internal Server Error", "The sandbox failed; see its `failures`.")
