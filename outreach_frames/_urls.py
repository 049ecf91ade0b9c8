"""Taking addresses apart and together: what an answer links to may be any text, and Python's own errors say nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import SplitResult, urljoin, urlsplit

from outreach_frames.errors import OriginError


def split_url(url: str) -> SplitResult:
    """
    Take an address apart.

    Raises
    ------
    OriginError
        It cannot be read.
    """
    with _readable():
        return urlsplit(url)


def join_url(base: str, link: str) -> str:
    """
    Return the whole address of a link.

    Raises
    ------
    OriginError
        It cannot be read.
    """
    with _readable():
        return urljoin(base, link)


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except ValueError:
        raise OriginError(
            "An address cannot be read; nothing was sent there.", hint="Check base_url; a link of the server may be it."
        ) from None
