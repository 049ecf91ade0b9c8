"""Subscribe to webhooks, and invite users."""

from typing import Any

import pandas as pd

from outreach_frames._request_documents import RecordId
from outreach_frames._secrets import hidden
from outreach_frames.client import Client


def subscribe(
    client: Client, /, url: str, *, resource: str = "*", action: str = "*", secret: str | None = None, **values: Any
) -> pd.Series:
    """
    Have Outreach call a URL when something happens.

    Parameters
    ----------
    client
        Connection to an organization.
    url
        Where deliveries go (https).
    resource, action
        Of what, and what, such as ``"mailing"`` and ``"replied"``; ``"*"`` for all.
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
    Create a user, who gets an invitation by mail unless ``send_invite`` is false.

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
