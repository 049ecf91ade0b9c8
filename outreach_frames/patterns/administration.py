"""Subscribe to webhooks, invite users, and read the latest events and the API's delivery counters."""

from typing import Any

import pandas as pd

from outreach_frames._fetch import fetch
from outreach_frames._request_documents import RecordId
from outreach_frames._secrets import hidden
from outreach_frames.client import Client
from outreach_frames.errors import BadRequestError, QueryError


def subscribe(
    client: Client, /, url: str, *, resource: str = "*", action: str = "*", secret: str | None = None, **values: Any
) -> pd.Series:
    """
    Subscribe a URL to events: Outreach sends each one to it.

    Parameters
    ----------
    client
        Connection to an organization.
    url
        Where deliveries go (https).
    resource, action
        Resource type and event, such as ``"mailing"`` and ``"replied"``; ``"*"`` for all.
    secret
        Key that deliveries are signed with; see `webhooks.verify`.
    **values
        Further attributes, such as ``payload_version=2``.

    Returns
    -------
    webhook : Series

    Raises
    ------
    OutreachError
        As `Client.create`.

    Notes
    -----
    Calls: ``POST /webhooks``.

    Examples
    --------
    >>> webhook = patterns.subscribe(org, "https://example.com/hooks", resource="mailing", action="replied")
    >>> webhook["resource"], webhook["action"]
    ('mailing', 'replied')
    """
    values |= {"url": url, "resource": resource, "action": action}
    if secret is not None:
        values["secret"] = secret = hidden(secret)
    return client.create("webhooks", **values)


def unsubscribe(client: Client, /, webhook: RecordId) -> None:
    """
    Remove a webhook.

    Parameters
    ----------
    client
        Connection to an organization.
    webhook
        Its id, or a row of a frame.

    Raises
    ------
    OutreachError
        As `Client.delete`.

    Notes
    -----
    Calls: ``DELETE /webhooks/{id}``.

    Examples
    --------
    >>> webhook = patterns.subscribe(org, "https://example.com/hooks")
    >>> patterns.unsubscribe(org, webhook)
    >>> webhook["id"] in of.fetch_webhooks(org)["id"].tolist()
    False
    """
    client.delete("webhooks", webhook)


def invite_user(client: Client, /, *, email: str, send_invite: bool = True, **values: Any) -> pd.Series:
    """
    Create a user and send an invitation by mail.

    Parameters
    ----------
    client
        Connection to an organization.
    email
        The user's address.
    send_invite
        Whether the invitation is sent.
    **values
        Further attributes and relationships: ``first_name``, ``last_name`` …

    Returns
    -------
    user : Series

    Raises
    ------
    OutreachError
        As `Client.create`.

    Notes
    -----
    Calls: ``POST /users``, with ``meta.sendInvite`` false where no invitation is wanted.

    Examples
    --------
    >>> user = patterns.invite_user(org, email="ada@example.com", first_name="Ada", send_invite=False)
    >>> user["email"], len(org.sandbox.outbox)
    ('ada@example.com', 0)
    """
    meta = None if send_invite else {"send_invite": False}
    return client.create("users", meta=meta, email=email, **values)


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
        events: pd.DataFrame = fetch(client, "events", **{"sort": "-updated_at", **options})
    except BadRequestError:
        events = fetch(client, "events", **{**options, "sort": "-created_at"})
    return events


_STATISTICS = ("deliver", "open", "click", "reply", "bounce", "opt_out", "failure", "schedule")


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
    counters = [f"{name}_count" for name in _STATISTICS]
    fields = [a.column for a in kind.attributes.values() if a.column in counters]
    if not fields:
        raise QueryError(f"{kind.table} have no delivery counters.")
    records: pd.DataFrame = fetch(client, kind.table, **{"fields": fields, **options})
    return records
