"""Read JSON bodies and URLs that come from outside."""

from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import msgspec

from outreach_frames.errors import OriginError

UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)
"""What msgspec raises of a text: no JSON, no UTF-8, a number without end, or about a thousand levels of nesting."""


def read_json(body: bytes, kind: Any = Any) -> Any:
    """Return a document, or ``None`` if it cannot be read as the type."""
    try:
        return msgspec.json.decode(body, type=kind)
    except UNREADABLE:
        return None


def split_url(url: str) -> SplitResult:
    """
    Take an address apart.

    Raises
    ------
    OriginError
        It cannot be read, or its host or port cannot be one.
    """
    try:
        parts = urlsplit(url)
        is_host = not (parts.hostname or "").startswith(("*", ".")) and (parts.port is None or parts.port)
    except ValueError:
        is_host = False
    if not is_host:
        raise OriginError(
            "An address cannot be read; nothing was sent there.", hint="Check base_url; a link of the server may be it."
        )
    return parts


def join_url(base: str, link: str) -> str:
    """
    Return the whole address of a link.

    Raises
    ------
    OriginError
        It cannot be read, or its host or port cannot be one.
    """
    split_url(link)
    whole = urljoin(base, link)
    split_url(whole)
    return whole
