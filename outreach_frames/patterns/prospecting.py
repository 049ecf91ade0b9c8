"""Finish, pause and resume enrollments; read open tasks and log calls."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import pandas as pd

from outreach_frames._fetch import fetch
from outreach_frames._request_documents import RecordId, checked_id, ref
from outreach_frames.client import Client
from outreach_frames.errors import QueryError

_OnEnrollment = TypeVar("_OnEnrollment", bound=Callable[..., pd.Series])


def _on_enrollment(*, refused: str) -> Callable[[_OnEnrollment], _OnEnrollment]:
    """Add to a docstring, before its examples, what all actions on an enrollment share."""

    def decorate(function: _OnEnrollment) -> _OnEnrollment:
        summary, _, examples = inspect.cleandoc(function.__doc__ or "").partition("\n\n")
        shared = _ON_ENROLLMENT.format(action=function.__name__, refused=refused)
        function.__doc__ = f"{summary}\n{shared}\n{examples}"
        return function

    return decorate


_ON_ENROLLMENT = """
Parameters
----------
client
    Connection to an organization.
sequence_state
    The enrollment: an id or a row of a frame.

Returns
-------
sequence_state : Series
    As it is now.

Raises
------
ValidationError
    {refused}
OutreachError
    As `Client.act`.

Notes
-----
Calls: ``POST /sequenceStates/{{id}}/actions/{action}``.
"""


@_on_enrollment(refused="The enrollment cannot be finished from its state.")
def finish(client: Client, /, sequence_state: RecordId) -> pd.Series:
    """
    Finish an enrollment: the sequence sends nothing more to its prospect.

    Examples
    --------
    >>> states = of.fetch_sequence_states(org, filter={"state": "active"}, limit=1)
    >>> patterns.finish(org, states.iloc[0])["state"]
    'finished'
    """
    return client.act("sequence_states", sequence_state, "finish")


@_on_enrollment(refused="The enrollment is not active.")
def pause(client: Client, /, sequence_state: RecordId) -> pd.Series:
    """
    Pause an active enrollment.

    Examples
    --------
    >>> states = of.fetch_sequence_states(org, filter={"state": "active"}, limit=1)
    >>> patterns.pause(org, states.iloc[0])["state"]
    'paused'
    """
    return client.act("sequence_states", sequence_state, "pause")


@_on_enrollment(refused="The enrollment is not paused.")
def resume(client: Client, /, sequence_state: RecordId) -> pd.Series:
    """
    Resume a paused enrollment.

    Examples
    --------
    >>> states = of.fetch_sequence_states(org, filter={"state": "active"}, limit=1)
    >>> paused = patterns.pause(org, states.iloc[0])
    >>> patterns.resume(org, paused)["state"]
    'active'
    """
    return client.act("sequence_states", sequence_state, "resume")


def open_tasks(client: Client, /, owner: RecordId, **options: Any) -> pd.DataFrame:
    """
    List the open tasks of a user, each with its prospect.

    Parameters
    ----------
    client
        Connection to an organization.
    owner
        The user: an id or a row of a frame.
    **options
        As in `fetch`; ``filter`` is added to the two of this pattern.

    Returns
    -------
    tasks : DataFrame, shape (n_tasks, n_columns)
        ``action``, ``note``, and ``prospect__…`` for the prospect.

    Raises
    ------
    OutreachError
        As in `fetch`.

    Notes
    -----
    Calls: ``GET /tasks?filter[state]=incomplete&filter[owner][id]=…&include=prospect``.

    Examples
    --------
    >>> tasks = patterns.open_tasks(org, owner=1)
    >>> tasks["state"].unique().tolist(), "prospect__first_name" in tasks
    (['incomplete'], True)
    """
    conditions = {
        "state": "incomplete",
        "owner": _id_of(client, "users", owner),
        **(options.pop("filter", None) or {}),
    }
    tasks: pd.DataFrame = fetch(
        client, "tasks", filter=conditions, **{"include": "prospect", "refresh": True, **options}
    )
    return tasks


def log_call(
    client: Client,
    /,
    prospect: RecordId,
    user: RecordId,
    *,
    direction: str,
    outcome: str,
    task: RecordId | None = None,
    complete_task: bool = False,
    **values: Any,
) -> pd.Series:
    """
    Log a call made outside Outreach.

    Parameters
    ----------
    client
        Connection to an organization.
    prospect, user
        Who was called and who called: ids or rows of frames.
    direction
        ``"inbound"`` or ``"outbound"``.
    outcome
        ``"completed"`` or ``"no_answer"`` in the guide, ``"Answered"`` or ``"Not Answered"`` in the schema; passed on
        as it is.
    task
        The open call task that this call belongs to.
    complete_task
        Complete that task too; otherwise it stays as it is.
    **values
        Further attributes and relationships: ``answered_at``, ``completed_at``, ``note`` …

    Returns
    -------
    call : Series

    Raises
    ------
    QueryError
        ``complete_task`` without ``task``.
    OutreachError
        As `Client.create`.

    Notes
    -----
    Calls: ``POST /calls``, with ``meta.complete`` on the task where it is to be completed.

    Examples
    --------
    >>> patterns.log_call(org, 17, 1, direction="outbound", outcome="Answered")["outcome"]
    'Answered'
    """
    if complete_task and task is None:
        raise QueryError("complete_task=True needs the task.", hint="Pass task=….")
    if task is not None:
        number = _id_of(client, "tasks", task)
        values["task"] = ref(number, complete=True) if complete_task else number
    values |= {"prospect": _id_of(client, "prospects", prospect), "user": _id_of(client, "users", user)}
    return client.create("calls", direction=direction, outcome=outcome, **values)


def _id_of(client: Client, resource: str, record: RecordId) -> int | str:
    """Return the id of a record; raise `QueryError` where there is none, since it would be left out of the request."""
    return checked_id(client.catalog.resource(resource), record)
