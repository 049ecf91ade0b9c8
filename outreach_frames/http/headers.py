"""
What the API says about time in its headers: the request budget, when to come back, when an answer was made.

Clients in the wild have met `X-RateLimit-Reset` and `Retry-After` as seconds to go, as seconds since 1970, as an ISO
8601 time and as an HTTP date, and two numbers in one header (``"9999, 19988"``), of which the first is the user's own.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

EARLIEST_EPOCH = 1e9
"""Numbers above this are instants, smaller ones are seconds to go [s]."""
EARLIEST_EPOCH_MS = 1e12

_FIRST_NUMBER = re.compile(r"\s*(-?[0-9]{1,18}(?:\.[0-9]{1,18})?)\s*(?:,|$)")
"""Numbers of hundreds of digits are nothing that could be meant."""
_NO_DATE = (ValueError, TypeError, IndexError, OverflowError)
"""What Python raises of texts that are no dates, or are dates of other eras."""


@dataclass(frozen=True, slots=True)
class Budget:
    """
    The request budget as one answer tells it.

    Attributes
    ----------
    limit
        Requests allowed per window; ``None`` where the answer does not say.
    remaining
        Requests left in this window.
    resets_at
        When the window ends [seconds since 1970].
    """

    limit: int | None = None
    remaining: int | None = None
    resets_at: float | None = None


def read_budget(headers: Mapping[str, str], now: float) -> Budget:
    """Read the ``X-RateLimit-*`` headers of an answer that came at ``now`` [seconds since 1970]."""
    return Budget(
        limit=_count(headers.get("X-RateLimit-Limit")),
        remaining=_count(headers.get("X-RateLimit-Remaining")),
        resets_at=read_instant(headers.get("X-RateLimit-Reset"), now),
    )


def read_resumption(headers: Mapping[str, str], now: float) -> float | None:
    """Return when an answer that turned the request away asks for it again [seconds since 1970]."""
    after = read_instant(headers.get("Retry-After"), now)
    return after if after is not None else read_instant(headers.get("X-RateLimit-Reset"), now)


def read_instant(text: str | None, now: float) -> float | None:
    """
    Read an instant in any of the forms the API has been seen to use.

    Parameters
    ----------
    text
        Value of the header; ``None``: not sent.
    now
        Instant that seconds to go count from [seconds since 1970].

    Returns
    -------
    instant : float or None
        Seconds since 1970; ``None`` if there is nothing readable.
    """
    if text is None:
        return None
    if number := _FIRST_NUMBER.match(text):
        value = float(number[1])
        if value > EARLIEST_EPOCH_MS:
            return value / 1000
        return value if value > EARLIEST_EPOCH else now + max(0.0, value)
    moment = _iso(text.split(",")[0].strip()) or read_date(text)
    return moment.timestamp() if moment else None


def read_date(text: str | None) -> datetime | None:
    """Read an HTTP date, such as the ``Date`` header; ``None`` if it is missing or no date."""
    try:
        return _in_utc(parsedate_to_datetime(text)) if text else None
    except _NO_DATE:
        return None


def _count(text: str | None) -> int | None:
    number = _FIRST_NUMBER.match(text) if text is not None else None
    return max(0, int(float(number[1]))) if number else None


def _iso(text: str) -> datetime | None:
    try:
        return _in_utc(datetime.fromisoformat(text))
    except _NO_DATE:
        return None


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
