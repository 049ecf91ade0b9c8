"""
A connection to one organisation.

Wires the session (cache, rate limit, retries, sign-in) to the catalogue. Reads that become frames live in
`outreach_frames.frames`; what is here is the connection itself.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from outreach_frames import catalogue

if TYPE_CHECKING:
    from outreach_frames.catalogue import Catalogue
    from outreach_frames.emulator import Sandbox
    from outreach_frames.http import Answer, Cache, Session


class Client:
    """
    Connection to an organisation; made by `connect` or `sandbox`, used as a context manager or closed by hand.

    Parameters
    ----------
    session
        The HTTP session, signed in.
    sandbox
        Handle of the embedded organisation behind the connection, if it is one.
    closing
        What else ends with the connection, closed after the session.

    Attributes
    ----------
    catalogue
        What the API has.
    sandbox
        The embedded organisation, or ``None``.
    """

    def __init__(
        self,
        session: "Session",
        *,
        sandbox: "Sandbox | None" = None,
        closing: ExitStack | None = None,
        catalogue: "Catalogue | None" = None,
    ) -> None:
        self.session = session
        self.sandbox = sandbox
        self.catalogue = catalogue or _own_catalogue()
        self._closing = closing or ExitStack()

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
        check: Callable[[bytes], object] | None = None,
    ) -> "Answer":
        """
        Read one URL, from the cache where it is there and fresh.

        Parameters
        ----------
        path
            Path below the base, or a link as the API gave it.
        params
            Query parameters, in order.
        refresh
            Ask the API even if the cache has an answer; the new one replaces it.
        check
            Called with the body; if it raises, the answer is not stored.

        Raises
        ------
        APIError
            The API answered with an error, after retries where they are safe.
        TransportError
            No answer arrived.
        DocumentError
            The answer is no complete JSON document.
        """
        return self.session.get(path, params, refresh=refresh, check=check)

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


def _own_catalogue() -> "Catalogue":
    return catalogue.load()
