"""
Everything this package raises or warns of.

::

    OutreachError                      the root: catch this to catch all
    ├── UnknownNameError               (LookupError)   a resource, attribute, include … that does not exist
    ├── QueryError                     (ValueError)    a query that the API cannot answer
    ├── DocumentError                  (ValueError)    an answer that is not a readable JSON:API document
    ├── TransportError                 (ConnectionError) no answer arrived
    │   ├── DeadlineError              (TimeoutError)  none arrived in time
    │   └── OriginError                the token would have left the organization's own hosts
    ├── CacheMissError                 (LookupError)   offline, and the answer is not in the cache
    ├── APIError                       the API answered with an error
    │   ├── AuthError                  no valid sign-in: token missing, refused (401) or insufficient
    │   │   └── PermissionDeniedError  (PermissionError) 403: a scope or a permission is missing
    │   ├── BadRequestError            400, 405, 415 and other 4xx
    │   ├── NotFoundError              (LookupError)   404
    │   ├── ConflictError              409
    │   ├── ValidationError            (ValueError)    422
    │   ├── RateLimitError             429, and waiting was declined
    │   ├── MaintenanceError           503 with a time to come back
    │   └── ServerError                any other 5xx
    ├── IncompleteError                several writes of which some were carried out and one failed
    ├── DataError                      (ValueError)    input that a statistic or a picture cannot use
    │   └── MissingColumnError         (LookupError)   a column that a metric needs is not in the frame
    ├── MissingExtraError              (ModuleNotFoundError) a library that an extra of this package installs
    ├── JournalError                   a journal of a bulk write that cannot be read or written
    ├── SnapshotError                  a snapshot folder that is missing, damaged or incomplete
    ├── ExportError                    (OSError)       a file that cannot be written
    ├── ErasureError                   a place in which a person who is to be erased may still be
    ├── ReportError                    a notebook that cannot become a report, or did not get to its end
    └── SignatureError                 (ValueError)    a webhook delivery whose signature is missing or wrong

    OutreachWarning                    (UserWarning)   doubtful, not wrong
    ├── OutreachDataWarning            rows that distort a statistic; the message counts them
    │   ├── ContradictoryFlagsWarning  mailings that bounced and were answered
    │   ├── CounterGapWarning          counters of the API above the rows
    │   ├── MachineOpenWarning         opens or clicks that look like a machine's
    │   ├── BlindMailboxWarning        mailboxes that do not synchronize
    │   ├── ImmatureCohortWarning      no cohort is old enough to be read
    │   ├── NaiveTimestampWarning      instants without a time zone
    │   ├── SyncTimeWarning            opportunities without the CRM's date
    │   ├── MixedCurrencyWarning       amounts in several currencies
    │   └── ChangedTemplateWarning     templates that changed during a test
    ├── UnknownAttributeWarning        the API sent attributes that the catalog does not know
    ├── UnknownValueWarning            a filter by a value that is close to a documented one
    └── CacheWarning                   the cache was damaged or unusable and was set aside

Messages are one sentence about what happened to which thing, then a ``Hint:``. They never hold a token, an e-mail
address or a body.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any


class OutreachError(Exception):
    """
    Root of the exception tree.

    Attributes
    ----------
    hint
        The next step for the reader, or ``None``.
    executed
        ``False`` where a request that failed was certainly not executed, so that a write may be sent again; ``None``
        where that is not known.
    """

    executed: bool | None = None

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = str(self.args[0])
        return f"{message}\nHint: {self.hint}" if self.hint else message

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the whole error, whatever its constructor needs."""
        return _rebuilt, (type(self), self.args), self.__dict__


def __dir__() -> list[str]:
    return sorted(
        name for name, kind in globals().items() if getattr(kind, "__module__", None) == __name__ and name[0] != "_"
    )


def _rebuilt(kind: type[OutreachError], args: tuple[Any, ...]) -> OutreachError:
    return kind.__new__(kind, *args)


class UnknownNameError(OutreachError, LookupError):
    """
    A name that the catalog does not have.

    Attributes
    ----------
    name
        What was asked for.
    suggestions
        The nearest names that exist, best first; may be empty.
    """

    def __init__(self, name: str, *, kind: str, valid: Iterable[str], hint: str | None = None) -> None:
        self.name = name
        self.suggestions = tuple(get_close_matches(str(name), list(valid), n=3, cutoff=0.5))
        meant = f"did you mean {' or '.join(repr(s) for s in self.suggestions)}?" if self.suggestions else None
        super().__init__(f"There is no {kind} {name!r}.", hint=" ".join(filter(None, (meant, hint))) or None)


class QueryError(OutreachError, ValueError):
    """A query that the API cannot answer, refused before any request is sent."""


class DocumentError(OutreachError, ValueError):
    """
    An answer that is not a readable JSON:API document, or holds a value that does not fit its type.

    Attributes
    ----------
    resource_type, id, attribute
        Where the error is; ``None`` where that is not known.
    """

    def __init__(
        self,
        message: str,
        *,
        resource_type: str | None = None,
        id: int | str | None = None,  # noqa: A002  JSON:API's own word
        attribute: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.resource_type = resource_type
        self.id = id
        self.attribute = attribute


class TransportError(OutreachError, ConnectionError):
    """No answer arrived: nothing listens, the connection was dropped, TLS failed."""


class DeadlineError(TransportError, TimeoutError):
    """No answer arrived in time, retries included."""


class OriginError(TransportError):
    """A link or redirect points outside the organization's own hosts; the token was not sent there."""


class CacheMissError(OutreachError, LookupError):
    """The connection is offline and the answer is not in the cache."""


@dataclass(frozen=True, slots=True)
class ErrorObject:
    """
    One JSON:API error object.

    Attributes
    ----------
    id, title, detail
        As sent; any may be ``None``.
    pointer
        JSON Pointer into the request document, for field errors.
    parameter
        Name of the query parameter at fault.
    status
        HTTP status that the error is about, as sent.
    """

    id: str | None = None
    title: str | None = None
    detail: str | None = None
    pointer: str | None = None
    parameter: str | None = None
    status: str | None = None


class APIError(OutreachError):
    """
    The API answered with an error.

    Attributes
    ----------
    status
        HTTP status; ``None`` where no request was sent.
    errors
        The JSON:API error objects of the answer; empty where it had none. Details are kept here and not printed
        where they may quote what was sent.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        errors: Sequence[ErrorObject] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.errors = tuple(errors)


class AuthError(APIError):
    """No valid sign-in: the token is missing, expired and not refreshable, or refused."""


class PermissionDeniedError(AuthError, PermissionError):
    """
    The token lacks a scope, or the user lacks a permission (403).

    Attributes
    ----------
    scope
        The missing OAuth scope, such as ``"prospects.read"``; ``None`` where the user's own governance forbids it.
    """

    def __init__(
        self,
        message: str,
        *,
        scope: str | None = None,
        status: int | None = None,
        errors: Sequence[ErrorObject] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(message, status=status, errors=errors, hint=hint)
        self.scope = scope


class BadRequestError(APIError):
    """The API does not accept the request as sent (400, 405, 415 and other 4xx)."""


class NotFoundError(APIError, LookupError):
    """No such record or endpoint (404)."""


class ConflictError(APIError):
    """The request contradicts the record it names (409)."""


class ValidationError(APIError, ValueError):
    """
    The API refused the values of a write (422).

    Attributes
    ----------
    arguments
        The caller's argument → what the API said of it; empty where the API named none.
    """

    def __init__(
        self,
        message: str,
        *,
        arguments: Mapping[str, str] | None = None,
        status: int | None = None,
        errors: Sequence[ErrorObject] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(message, status=status, errors=errors, hint=hint)
        self.arguments = dict(arguments or {})


class RateLimitError(APIError):
    """
    The hourly request budget is spent and waiting was declined.

    Attributes
    ----------
    limit
        Requests allowed per window; ``None`` where the API did not say.
    resets_at
        When the window reopens (aware, UTC); ``None`` where the API did not say.
    """

    def __init__(
        self,
        message: str,
        *,
        limit: int | None = None,
        resets_at: datetime | None = None,
        status: int | None = None,
        errors: Sequence[ErrorObject] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(message, status=status, errors=errors, hint=hint)
        self.limit = limit
        self.resets_at = resets_at


class MaintenanceError(APIError):
    """
    Scheduled maintenance (503).

    Attributes
    ----------
    until
        When to come back (aware, UTC); ``None`` where the API did not say.
    """

    def __init__(
        self,
        message: str,
        *,
        until: datetime | None = None,
        status: int | None = None,
        errors: Sequence[ErrorObject] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(message, status=status, errors=errors, hint=hint)
        self.until = until


class ServerError(APIError):
    """The API failed (5xx), retries included."""


class IncompleteError(OutreachError):
    """
    Several writes belong together; some were carried out before one failed.

    Attributes
    ----------
    created
        (resource type, id) of every record created, in order. What failed is the ``__cause__``.
    """

    def __init__(self, message: str, *, created: Sequence[tuple[str, int | str]], hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.created = tuple(created)


class DataError(OutreachError, ValueError):
    """Input that a statistic or a picture cannot use."""


class MissingColumnError(DataError, LookupError):
    """
    A column that a metric needs is not in the frame.

    Attributes
    ----------
    column
        The missing column.
    needed_for
        The metric or function that needs it.
    """

    def __init__(self, column: str, *, needed_for: str, hint: str | None = None) -> None:
        self.column = column
        self.needed_for = needed_for
        super().__init__(f"Column {column!r} is missing; {needed_for} needs it.", hint=hint)


class MissingExtraError(OutreachError, ModuleNotFoundError):
    """
    A library that an extra of this package installs is not there.

    Attributes
    ----------
    extra
        Name of the extra.
    """

    def __init__(self, message: str, *, extra: str, module: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint or f"pip install 'outreach_frames[{extra}]'")
        self.extra = extra
        self.name = module


class JournalError(OutreachError):
    """A journal of a bulk write that cannot be read or written: its place, the disk, or damage forbids it."""


class SnapshotError(OutreachError):
    """A snapshot folder that is missing, damaged or incomplete, or a place where something is already."""


class ExportError(OutreachError, OSError):
    """A file cannot be written to where it was to go: its place or the disk forbids it."""


class ErasureError(OutreachError):
    """
    A person who is to be erased may still be in some places; the others were seen to.

    Attributes
    ----------
    receipt
        What was erased elsewhere, as `outreach_frames.compliance.forget` returns it.
    places
        Place → why it was left.
    """

    def __init__(self, message: str, *, receipt: Any, places: Mapping[str, str], hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.receipt = receipt
        self.places = dict(places)


class ReportError(OutreachError):
    """
    A notebook that cannot become a report, or did not get to its end.

    Attributes
    ----------
    notebook
        Its name.
    """

    def __init__(self, message: str, *, notebook: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.notebook = notebook


class SignatureError(OutreachError, ValueError):
    """A webhook delivery whose signature is missing or wrong."""


class OutreachWarning(UserWarning):
    """Root of this package's warnings: doubtful, not wrong."""


class OutreachDataWarning(OutreachWarning):
    """Rows distort a statistic; the message counts them."""


class ContradictoryFlagsWarning(OutreachDataWarning):
    """Mailings bounced and were answered; ``bounce_policy`` decides what they count as (T5, T14)."""


class CounterGapWarning(OutreachDataWarning):
    """Counters of the API exceed the rows: mailings were deleted, or are not visible (T9)."""


class MachineOpenWarning(OutreachDataWarning):
    """Opens or clicks look like those of a privacy proxy or a security scanner (T17)."""


class BlindMailboxWarning(OutreachDataWarning):
    """Mailboxes do not synchronize, so that replies and bounces are not seen (T18)."""


class ImmatureCohortWarning(OutreachDataWarning):
    """No cohort has had the time in which it could be answered (T19)."""


class NaiveTimestampWarning(OutreachDataWarning):
    """Instants have no time zone and were read as UTC (T21)."""


class SyncTimeWarning(OutreachDataWarning):
    """Opportunities are dated by their arrival in Outreach, since the CRM's date is missing (T29)."""


class MixedCurrencyWarning(OutreachDataWarning):
    """Amounts are in several currencies, or in none, and cannot be added (T30)."""


class ChangedTemplateWarning(OutreachDataWarning):
    """Templates changed while they were compared; the API does not say which text was sent when."""


class UnknownAttributeWarning(OutreachWarning):
    """The API sent attributes that the catalog does not know; the message names them once per type."""


class UnknownValueWarning(OutreachWarning):
    """A filter names a value that the vendor does not document and that is close to a documented one."""


class CacheWarning(OutreachWarning):
    """The cache was damaged or unusable and was set aside; requests go on without it."""
