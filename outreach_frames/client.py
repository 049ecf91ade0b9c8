"""
A connection to one organization: the session (cache, rate limit, retries, sign-in), the catalog, and the four verbs.

Reads that become frames live in `outreach_frames._fetch.frames`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec
import pandas as pd

from outreach_frames import catalog
from outreach_frames._frame_kinds import Dtypes, check_dtypes
from outreach_frames._jsonapi import Layout, Misfits, to_frame
from outreach_frames._query import Selection
from outreach_frames._request_documents import (
    RecordId,
    RequestDocument,
    action_parameters,
    id_of,
    record_path,
    resource_document,
)
from outreach_frames._secrets import hidden
from outreach_frames.errors import DocumentError, QueryError, ValidationError

if TYPE_CHECKING:
    from outreach_frames._http import Cache, Response, Session
    from outreach_frames._sandbox import Sandbox
    from outreach_frames.catalog import Catalog, ResourceType

_Answer = TypeVar("_Answer")

CUSTOM_OBJECTS = ("custom_objects/", "customObjects/")
"""What the name of a custom object's resource begins with, in either spelling."""


class Client:
    """
    Connection to an organization; made by `connect` or `sandbox`, used as a context manager or closed by hand.

    Parameters
    ----------
    session
        The HTTP session, signed in.
    sandbox
        Handle of the embedded organization behind the connection, if it is one.
    closing
        What else ends with the connection, closed after the session.
    dtypes
        As in `connect`.

    Attributes
    ----------
    catalog
        What the API has.
    sandbox
        The embedded organization, or ``None``.
    dtypes
        What backs the columns of fetched frames where a call does not say; it may be changed.

    Examples
    --------
    >>> with of.sandbox(prospects=20, seed=7) as client:
    ...     of.count(client, "prospects")
    20
    """

    def __init__(
        self,
        session: "Session",
        *,
        sandbox: "Sandbox | None" = None,
        closing: ExitStack | None = None,
        catalog: "Catalog | None" = None,
        dtypes: Dtypes = "arrow",
    ) -> None:
        check_dtypes(dtypes)
        self.session = session
        self.sandbox = sandbox
        self.catalog = catalog or _own_catalog()
        self.dtypes = dtypes
        self._closing = closing or ExitStack()
        # They carry secrets, or people to erase.
        session.never_stored = frozenset(
            kind.plural
            for kind in self.catalog.types.values()
            if kind.holds_secrets or kind.name == "complianceRequest"
        )

    def is_cataloged(self, resource: str) -> bool:
        """Return whether a resource is one that the catalog describes; custom objects are not."""
        return not resource.startswith(CUSTOM_OBJECTS)

    @property
    def base_url(self) -> str:
        """Base of every request."""
        return self.session.base_url

    @property
    def cache(self) -> "Cache":
        """The cache of answers; ``cache.clear()`` empties it."""
        return self.session.cache

    def get(
        self,
        path: str,
        params: Sequence[tuple[str, str]] = (),
        *,
        refresh: bool = False,
        no_retry: Collection[int] = (),
    ) -> "Response":
        """
        Read one URL, from the cache where it is there and fresh.

        Records that carry secrets (webhooks) or people to erase (compliance requests) are requested each time and
        never stored.

        Parameters
        ----------
        path
            Path below the base, or a link as the API gave it.
        params
            Query parameters, in order.
        refresh
            Ask the API even if the cache has a response; the new one replaces it.
        no_retry
            Statuses that are raised at once.

        Raises
        ------
        APIError
            The API answered with an error, after retries where they are safe.
        TransportError
            No response arrived.
        DocumentError
            The response is no complete JSON document.

        Examples
        --------
        >>> org.get("/prospects", [("page[size]", "1")]).status
        200
        """
        return self.session.get(path, params, refresh=refresh, no_retry=no_retry)

    def read(
        self,
        path: str,
        params: Sequence[tuple[str, str]],
        decode: "Callable[[Response], _Answer]",
        *,
        refresh: bool = False,
        no_retry: Collection[int] = (),
    ) -> "tuple[Response, _Answer]":
        """
        Read one URL and decode it; a response that cannot be decoded is not stored.

        Parameters
        ----------
        path, params, refresh, no_retry
            As in `get`.
        decode
            Makes content of a response, or raises `DocumentError`.

        Returns
        -------
        response, content : Response, object
            The response, and the result of ``decode``.

        Raises
        ------
        APIError, TransportError, DocumentError
            As in `get`.

        Examples
        --------
        >>> response, size = org.read("/users", [("page[size]", "1")], lambda response: len(response.body))
        >>> size == len(response.body)
        True
        """
        session = self.session
        with session.request(path, params, no_retry=no_retry) as request:
            response = session.fetch(request, refresh=refresh)
            while True:
                try:
                    content = decode(response)
                    break
                except DocumentError as error:
                    failure = error
                if (again := session.fetch_again(request, response)) is None:
                    raise failure
                response = again
            session.store(request, response)
        return response, content

    def create(self, resource: str, /, *, meta: Mapping[str, Any] | None = None, **values: Any) -> pd.Series:
        """
        Create a record.

        Parameters
        ----------
        resource
            Resource type, in any spelling.
        meta
            What to tell the API about the creation, such as ``{"send_invite": False}`` for a user.
        **values
            Attributes and relationships, in either spelling. Relationships take an id, a row of a frame, or `ref`
            with meta; to-many ones a list of them. A missing value (NaN, NaT, ``<NA>``) is left out, an infinite one
            refused, and blanks around e-mail addresses are not sent.

        Returns
        -------
        record : Series
            As the API made it, named by the id: a value for every attribute, custom fields and bodies too, and for
            every relationship to one.

        Raises
        ------
        UnknownNameError, QueryError
            The API would not take it; nothing was sent.
        ValidationError
            The API refused the values; ``arguments`` says which and why.
        DocumentError
            It was carried out, and its answer cannot be read.
        APIError, TransportError
            The API failed. A create whose outcome is not known is never repeated.

        Notes
        -----
        Source: ``POST /<resource>``, Outreach API v2.

        Examples
        --------
        >>> account = org.create("accounts", name="Example Ltd", domain="example.com")
        >>> org.create("prospects", first_name="Ada", account=account)["account_id"] == account["id"]
        True
        >>> org.create("prospects", firstname="Ada")
        Traceback (most recent call last):
            ...
        outreach_frames.errors.UnknownNameError: There is no attribute or relationship of prospect 'firstname'.
        Hint: ...
        """
        kind = self.catalog.resource(resource)
        kind.require("create")
        values = _covered(values)
        document = resource_document(kind, values, meta=meta)
        return self._record(kind, self._write("POST", kind.path, document))

    def update(
        self,
        resource: str,
        record: RecordId,
        /,
        *,
        meta: Mapping[str, Any] | None = None,
        **values: Any,
    ) -> pd.Series:
        """
        Change a record; what is not named or missing stays as it is, only ``None`` clears.

        Parameters
        ----------
        resource, meta, **values
            As in `create`.
        record
            Its id, or its row of a frame.

        Returns
        -------
        record : Series
            As it is now.

        Raises
        ------
        NotFoundError
            There is no such record.
        UnknownNameError, QueryError, ValidationError, DocumentError, APIError, TransportError
            As in `create`.

        Notes
        -----
        Source: ``PATCH /<resource>/{id}``, Outreach API v2.

        Examples
        --------
        >>> org.update("prospects", 17, title="CTO")["title"]
        'CTO'
        >>> org.update("prospects", 17, title=None)["title"]
        <NA>
        """
        kind = self.catalog.resource(resource)
        kind.require("update")
        path = record_path(kind, record)
        values = _covered(values)
        document = resource_document(kind, values, id=id_of(record), meta=meta)
        return self._record(kind, self._write("PATCH", path, document))

    def delete(self, resource: str, record: RecordId, /) -> None:
        """
        Delete a record.

        Parameters
        ----------
        resource
            Resource type, in any spelling.
        record
            Its id, or its row of a frame.

        Raises
        ------
        NotFoundError
            There is no such record (any more).
        QueryError
            The API deletes no records of this type.
        APIError, TransportError
            The API failed.

        Notes
        -----
        Source: ``DELETE /<resource>/{id}``, Outreach API v2.

        Examples
        --------
        >>> account = org.create("accounts", name="Example Ltd")
        >>> org.delete("accounts", account)
        >>> account["id"] in of.fetch_accounts(org)["id"].tolist()
        False
        """
        kind = self.catalog.resource(resource)
        kind.require("delete")
        self.session.send("DELETE", record_path(kind, record))

    def act(
        self,
        resource: str,
        record: RecordId | None,
        action: str,
        /,
        *,
        filter: Mapping[str, Any] | None = None,  # noqa: A002  the API's own word
        **values: Any,
    ) -> pd.Series:
        """
        Carry out an action on one record, or (``None`` in its place) on a collection.

        Parameters
        ----------
        resource
            Resource type, in any spelling.
        record
            Its id, or its row of a frame; ``None`` for an action on the collection, such as a batch's or an import's.
        action
            The action's name, in either spelling.
        filter
            For a batch: which records, as in `fetch`. A batch without ``filter`` and without ``ids`` would touch
            every record, and is refused.
        **values
            The action's parameters; for a batch or an import also what stands in its body.

        Returns
        -------
        record : Series
            The record, batch or import as it is now. Where the API answers something else (the link for an upload),
            its members under the API's names; where it answers nothing, empty.

        Raises
        ------
        UnknownNameError, QueryError
            The API has no such action, or would not take it so; nothing was sent.
        ValidationError
            It cannot be done in the record's state.
        DocumentError
            It was carried out, and its answer cannot be read.
        APIError, TransportError
            The API failed. An action whose outcome is not known is never repeated.

        Notes
        -----
        Source: ``POST /<resource>/{id}/actions/<action>``, Outreach API v2.

        Examples
        --------
        >>> states = of.fetch_sequence_states(org, filter={"state": "active"}, limit=1)
        >>> org.act("sequence_states", states.iloc[0], "pause")["state"]
        'paused'
        """
        kind = self.catalog.resource(resource)
        name = kind.action(action, on_collection=record is None)
        values = _covered(values)
        if record is not None and filter is not None:
            raise QueryError("An action on one record takes no filter.", hint="Leave filter out.")
        params, document = action_parameters(
            self.catalog, kind, name, values, on_collection=record is None, filter=filter
        )
        path = f"{kind.path if record is None else record_path(kind, record)}/actions/{name}"
        answer = self._write("POST", path, document, params)
        with _carried_out(kind):
            return self._record(kind, answer) if _is_record(kind, answer.body) else _members(answer.body)

    def _write(
        self, method: str, path: str, document: RequestDocument, params: Sequence[tuple[str, str]] = ()
    ) -> "Response":
        try:
            return self.session.send(method, path, params, document.body)
        except ValidationError as error:
            named = {document.arguments.get(e.pointer or "", ""): e.detail or e.title or "" for e in error.errors}
            named.pop("", None)
            refused = ValidationError(
                str(error.args[0]),
                arguments=named,
                status=error.status,
                errors=error.errors,
                hint=f"Correct {', '.join(named)}." if named else error.hint,
            )
            refused.executed = error.executed
            raise refused from error

    def _record(self, kind: "ResourceType", answer: "Response") -> pd.Series:
        layout = Layout(Selection(kind), catalog=self.catalog)
        with _carried_out(kind):
            page = layout.page(answer.body)
            frame = to_frame([page.batch], layout.schema)
            if len(frame) != 1:
                raise DocumentError(f"The answer holds {len(frame)} {kind.table}, not one.", resource_type=kind.name)
        Misfits(page.misfits).warn(hint="")
        record = frame.iloc[0]
        return record.rename(record["id"])

    def close(self) -> None:
        """End the connection; a sandbox behind it stops."""
        self.session.close()
        self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<outreach_frames.Client {self.base_url}>"


def _covered(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values, secrets among them hidden from a traceback with local variables."""
    return {name: hidden(value) if catalog.camel(name) in catalog.SECRETS else value for name, value in values.items()}


@contextmanager
def _carried_out(kind: "ResourceType") -> Iterator[None]:
    """Say of an answer that cannot be read that the write it answers was carried out."""
    try:
        yield
    except (DocumentError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DocumentError(
            f"The API did what was asked of {kind.table}, but its answer cannot be read.",
            resource_type=kind.name,
            hint="Do not send it again: fetch the record to see it.",
        ) from error


class _Data(msgspec.Struct):
    type: str | None = None
    attributes: dict[str, Any] | None = None


class _Document(msgspec.Struct):
    data: _Data | None = None


_document = msgspec.json.Decoder(_Document)


def _is_record(kind: "ResourceType", body: bytes) -> bool:
    """Return whether an action was answered with a record of its own type; some give other things, or nothing."""
    data = _document.decode(body).data if body.strip() else None
    return data is not None and data.type == kind.name


def _members(body: bytes) -> pd.Series:
    data = _document.decode(body).data if body.strip() else None
    return pd.Series((data and data.attributes) or {}, dtype=object)


def _own_catalog() -> "Catalog":
    return catalog.load()
