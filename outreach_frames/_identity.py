"""Identify the organization and the user that a connection writes as."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from outreach_frames.client import Client
from outreach_frames.errors import (
    BadRequestError,
    CacheMissError,
    DocumentError,
    NotFoundError,
    OriginError,
    PermissionDeniedError,
    TransportError,
)

_UNNAMED = (BadRequestError, DocumentError, NotFoundError, OriginError, PermissionDeniedError, msgspec.DecodeError)
"""How an API answers that has no root document, or only one for people."""


@dataclass(frozen=True, slots=True)
class Identity:
    """
    The organization and the user that a connection writes as.

    Attributes
    ----------
    organization, user
        Fingerprints. Where the API does not name the organization or the user, that of the connection's own account
        stands in: the same for a sign-in that renews its token and for an installed app, another for another token.
    is_named
        Whether the API names the organization.
    """

    organization: str
    user: str
    is_named: bool


def identity_of(client: Client) -> Identity:
    """
    Ask the API for the organization and the user of a connection.

    Raises
    ------
    AuthError
        The token is refused.
    APIError, TransportError
        The API failed.

    Notes
    -----
    Calls: ``GET /``, never from the cache. It describes app, token and organization; the vendor does not publish its
    form, so the names are looked for in ``meta`` and among the relationships.
    """
    named = _root(client)
    organization, user = _named_id(named, "org", "organization"), _named_id(named, "user")
    host, account = urlsplit(client.base_url).netloc, client.session.owner
    return Identity(
        organization=_digest_of(host, "account", account) if organization is None else _digest_of(host, organization),
        # Ids of users are told apart within an organization only.
        user=_digest_of("account", account) if organization is None or user is None else _digest_of(user),
        is_named=organization is not None,
    )


def _root(client: Client) -> Mapping[str, Any]:
    """Return what the root document names; nothing where the API has none."""
    try:
        answer = client.session.get(client.base_url, store=False)
        document = _mapping(msgspec.json.decode(answer.body))
    except CacheMissError:
        raise TransportError(
            "The connection is offline: nothing is written.", hint="Connect with offline=False."
        ) from None
    except _UNNAMED:
        return {}
    return _mapping(_mapping(document.get("data")).get("relationships")) | _mapping(document.get("meta"))


def _named_id(named: Mapping[str, Any], *names: str) -> str | None:
    for name in names:
        member = _mapping(named.get(name))
        id_ = _mapping(member.get("data") or member).get("id")
        if isinstance(id_, (int, str)) and str(id_):
            return str(id_)
    return None


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _digest_of(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
