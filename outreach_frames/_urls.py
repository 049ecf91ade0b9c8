"""Taking addresses apart and together: what an answer links to may be any text, and Python's own errors say nothing."""

from urllib.parse import SplitResult, urljoin, urlsplit

from outreach_frames.errors import OriginError


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
