"""
Webhooks: verify a delivery, read it, receive deliveries durably, and read them back as a frame.

Outreach counts every HTTP answer as delivered and repeats only what no answer came to, so a receiver must store before
it answers, and consumers should compare with what the API lists from time to time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outreach_frames.webhooks.deliveries import Delivery, parse, verify
    from outreach_frames.webhooks.receiving import receiver
    from outreach_frames.webhooks.store import read

_HOMES = {
    "Delivery": "deliveries",
    "parse": "deliveries",
    "read": "store",
    "receiver": "receiving",
    "verify": "deliveries",
}

__all__ = ["Delivery", "parse", "read", "receiver", "verify"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
