"""
Request that Outreach erases a person, as data protection laws require.

Outreach works on them asynchronously: a request is a batch of tasks, and only ``done`` is final, since what fails is
tried again.
"""

import time
from collections.abc import Callable
from typing import Literal
from uuid import UUID

import msgspec
import pandas as pd

from outreach_frames._fetch import fetch
from outreach_frames._request_documents import without_blanks
from outreach_frames.client import Client
from outreach_frames.errors import DeadlineError, DocumentError

POLL_S = 30.0
"""Pause between two looks at a request [seconds]."""


class _Batch(msgspec.Struct):
    batch_compliance_request_id: UUID


class _DeletionResponse(msgspec.Struct):
    data: _Batch


_deletion_response = msgspec.json.Decoder(_DeletionResponse)


def request_deletion(
    client: Client, /, email: str, *, requester: str, object_type: Literal["Prospect", "Recipient"] = "Prospect"
) -> str:
    """
    Ask for a person to be erased for good.

    Parameters
    ----------
    client
        Connection to an organization.
    email
        Address of the person to erase; blanks around it are left out.
    requester
        Address of the Outreach user who asks.
    object_type
        ``"Recipient"`` for an address that belongs to no prospect.

    Returns
    -------
    request_id : str
        The batch's UUID, for `status` and `wait`.

    Raises
    ------
    DocumentError
        The deletion was requested, but the response does not name its batch.
    APIError, TransportError
        The API failed. A request whose outcome is not known is not repeated; asking again is harmless.

    Notes
    -----
    Calls: ``POST /complianceRequests``, whose attributes, unlike all others, are in snake_case.

    Examples
    --------
    >>> request_id = of.compliance.request_deletion(org, "ada@example.com", requester="admin@example.com")
    >>> len(request_id)
    36
    """
    attributes = {
        "requester_email": without_blanks(requester),
        "request_type": "Delete",
        "object_type": object_type,
        "request_object_email": without_blanks(email),
    }
    body = msgspec.json.encode({"data": {"type": "complianceRequest", "attributes": attributes}})
    answer = client.session.send("POST", "/complianceRequests", body=body)
    try:
        return str(_deletion_response.decode(answer.body).data.batch_compliance_request_id)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DocumentError(
            "The deletion was requested, but the response does not name its batch.",
            resource_type="complianceRequest",
            hint="Find the request with fetch_compliance_requests. Requesting the deletion again is harmless.",
        ) from error


def status(client: Client, /, request_id: str) -> pd.DataFrame:
    """
    Look at the progress of a request.

    Parameters
    ----------
    client
        Connection to an organization.
    request_id
        What `request_deletion` returned.

    Returns
    -------
    requests : DataFrame, shape (n_requests, n_columns)
        One row for each compliance request of the batch; ``state`` is pending, running, failed (and tried again) or
        done.

    Raises
    ------
    OutreachError
        As in `fetch`.

    Notes
    -----
    Calls: ``GET /complianceRequests?filter[batchComplianceRequest]=…``, never from the cache nor put there: the
    answer names the person.

    Examples
    --------
    >>> request_id = of.compliance.request_deletion(org, "ada@example.com", requester="admin@example.com")
    >>> of.compliance.status(org, request_id)["state"].tolist()
    ['pending']
    """
    return fetch(client, "compliance_requests", filter={"batchComplianceRequest": request_id}, refresh=True)


def wait(
    client: Client,
    /,
    request_id: str,
    *,
    timeout: float = 3600.0,
    poll: float = POLL_S,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> pd.DataFrame:
    """
    Wait until a request is done: every compliance request of its batch, of which there is at least one.

    Parameters
    ----------
    client, request_id
        As in `status`.
    timeout
        Longest wait [seconds].
    poll
        Pause between two looks [seconds].
    sleep, clock
        For tests.

    Returns
    -------
    requests : DataFrame
        As `status` gives them, all done.

    Raises
    ------
    DeadlineError
        The request was not done in time; it goes on at Outreach.
    OutreachError
        As in `fetch`.

    Examples
    --------
    >>> request_id = of.compliance.request_deletion(org, "ada@example.com", requester="admin@example.com")
    >>> org.sandbox.run_jobs()
    >>> of.compliance.wait(org, request_id, timeout=10, poll=1)["state"].tolist()
    ['done']
    """
    deadline = clock() + timeout
    while True:
        requests = status(client, request_id)
        if len(requests) and requests["state"].eq("done").fillna(False).all():  # `all` would skip what is missing
            return requests
        if clock() + poll > deadline:
            raise DeadlineError(
                f"The deletion request was not done within {timeout:g} seconds.", hint="It goes on; wait again later."
            )
        sleep(poll)
