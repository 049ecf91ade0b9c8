"""Erase a person, as data protection laws require: at Outreach, and from the copies on this machine."""

from outreach_frames.compliance.erasure import forget
from outreach_frames.compliance.requests import request_deletion, status, wait

__all__ = ["forget", "request_deletion", "status", "wait"]


def __dir__() -> list[str]:
    return __all__
