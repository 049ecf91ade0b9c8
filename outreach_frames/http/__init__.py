"""HTTP: the cached, rate-governed, retrying session that everything else asks the API through."""

from outreach_frames.http.answers import Answer
from outreach_frames.http.cache import Cache, clear_all, remove_account
from outreach_frames.http.exchange import TokenEndpoint
from outreach_frames.http.origin import Bases, check_origin
from outreach_frames.http.session import Session
from outreach_frames.http.signing import BearerAuth, Renewable
from outreach_frames.http.store import CacheInfo
from outreach_frames.http.waiting import Waiter, WaitInterrupted

__all__ = [
    "Answer",
    "Bases",
    "BearerAuth",
    "Cache",
    "CacheInfo",
    "Renewable",
    "Session",
    "TokenEndpoint",
    "WaitInterrupted",
    "Waiter",
    "check_origin",
    "clear_all",
    "remove_account",
]
