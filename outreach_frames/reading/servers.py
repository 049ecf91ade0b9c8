"""Connections to JSON:API servers other than Outreach."""

from outreach_frames.catalogue import Catalogue
from outreach_frames.client import Client
from outreach_frames.errors import QueryError
from outreach_frames.http import Session
from outreach_frames.query import Parameters
from outreach_frames.reading.paging import WAYS, Paging


class Server(Client):
    """
    Connection to a JSON:API server other than Outreach; made by `connect_jsonapi`.

    Parameters
    ----------
    session
        The HTTP session, signed in where that is needed.
    paging, check_total
        As in `connect_jsonapi`.
    params
        Parameters of every request.

    Raises
    ------
    QueryError
        There is no such way of paging.
    """

    def __init__(
        self, session: Session, *, paging: Paging = "links", check_total: bool = True, params: Parameters | None = None
    ) -> None:
        if not callable(paging) and paging not in WAYS:
            able = ", ".join(f'"{way}"' for way in WAYS)
            raise QueryError(f"There is no paging={paging!r}.", hint=f"Choose one of {able}, or give a function.")
        super().__init__(session, catalogue=Catalogue({}))
        self.paging = paging
        self.check_total = check_total
        self.params = params or []
