"""HTTP: the cached, rate-governed, retrying session that everything else asks the API through."""

from outreach_frames._http.cache import Cache, clear_all, remove_account
from outreach_frames._http.cache_file import CacheInfo
from outreach_frames._http.limits import Waiter, WaitInterrupted
from outreach_frames._http.messages import UNREADABLE, Request, Response, fits_header, read_json
from outreach_frames._http.origin import Bases, check_origin, split_url
from outreach_frames._http.session import Session
from outreach_frames._http.token_endpoint import TokenEndpoint
from outreach_frames._http.transport import BearerAuth, Renewable

__all__ = [
    "UNREADABLE",
    "Bases",
    "BearerAuth",
    "Cache",
    "CacheInfo",
    "Renewable",
    "Request",
    "Response",
    "Session",
    "TokenEndpoint",
    "WaitInterrupted",
    "Waiter",
    "check_origin",
    "clear_all",
    "fits_header",
    "read_json",
    "remove_account",
    "split_url",
]
