"""Read open tasks, recent events and delivery counters; log calls."""

from typing import Any

import pandas as pd

from outreach_frames._fetch import fetch
from outreach_frames._request_documents import RecordId, ref
from outreach_frames.client import Client
from outreach_frames.errors import BadRequestError, QueryError
from outreach_frames.patterns._creations import identified


def open_tasks(client: Client, /, owner: RecordId, **options: Any) -> pd.DataFrame:
    """
    Discover the tasks that a user can act on now, each with its prospect.

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
        "owner": identified(client, "users", owner),
        **(options.pop("filter", None) or {}),
    }
    return fetch(client, "tasks", filter=conditions, **{"include": "prospect", "refresh": True, **options})


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
        number = identified(client, "tasks", task)
        values["task"] = ref(number, complete=True) if complete_task else number
    values |= {"prospect": identified(client, "prospects", prospect), "user": identified(client, "users", user)}
    return client.create("calls", direction=direction, outcome=outcome, **values)


def recent_events(client: Client, /, limit: int = 1_000, **options: Any) -> pd.DataFrame:
    """
    Download the latest events, newest first.

    Parameters
    ----------
    client
        Connection to an organization.
    limit
        How many [events].
    **options
        As in `fetch`.

    Returns
    -------
    events : DataFrame, shape (n_events, n_columns)
        Never read from the cache.

    Raises
    ------
    OutreachError
        As in `fetch`.

    Notes
    -----
    Calls: ``GET /events?sort=-updatedAt``, as in the guide; where the API refuses that, since its contract has no such
    attribute, ``GET /events?sort=-createdAt``. Events do not change, so the two orders are the same.

    Examples
    --------
    >>> len(patterns.recent_events(org, limit=10))
    10
    """
    options = {"limit": limit, "refresh": True, **options}
    try:
        return fetch(client, "events", **{"sort": "-updated_at", **options})
    except BadRequestError:
        return fetch(client, "events", **{**options, "sort": "-created_at"})


DELIVERY_COUNTS = ("deliver", "open", "click", "reply", "bounce", "opt_out", "failure", "schedule")


def delivery_statistics(client: Client, resource: str = "prospects", /, **options: Any) -> pd.DataFrame:
    """
    Collect the delivery counters that the API keeps on a resource type.

    Parameters
    ----------
    client
        Connection to an organization.
    resource
        A type with counters: prospects, sequences, sequence states, sequence steps, sequence templates, templates or
        mailings.
    **options
        As in `fetch`.

    Returns
    -------
    counters : DataFrame, shape (n_records, n_counters + 1)
        ``id`` and the type's counters. On prospects and mailings they count *events* (on prospects: since the last
        touch), not mailings; `stats.engagement` computes rates from mailings.

    Raises
    ------
    QueryError
        The type has no counters.
    OutreachError
        As in `fetch`.

    Notes
    -----
    Calls: ``GET /<resource>?fields[<type>]=clickCount,openCount,replyCount…``.

    Examples
    --------
    >>> patterns.delivery_statistics(org, "mailings").columns.tolist()
    ['id', 'click_count', 'open_count']
    >>> patterns.delivery_statistics(org, "users")
    Traceback (most recent call last):
        ...
    outreach_frames.errors.QueryError: users have no delivery counters.
    """
    kind = client.catalog.resource(resource)
    counters = [f"{name}_count" for name in DELIVERY_COUNTS]
    fields = [a.column for a in kind.attributes.values() if a.column in counters]
    if not fields:
        raise QueryError(f"{kind.table} have no delivery counters.")
    return fetch(client, kind.table, **{"fields": fields, **options})
