"""Instants as callers write them, and as the statistics count with them."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from outreach_frames.errors import DataError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Instant = str | date | np.datetime64
"""An instant as callers write it: ISO 8601 text, a `datetime`, pandas' or NumPy's; read as UTC without a zone."""


def to_micros(instant: Instant) -> int:
    """
    Read an instant.

    Returns
    -------
    instant
        [µs since 1970, UTC].

    Raises
    ------
    DataError
        The text is not ISO 8601.
    """
    if isinstance(instant, np.datetime64):
        instant = pd.Timestamp(instant)
    try:
        parsed = datetime.fromisoformat(instant if isinstance(instant, str) else instant.isoformat())
    except (ValueError, AttributeError) as error:
        raise DataError(f"{instant!r} is not an instant.", hint='Write it like "2026-03-31T00:00:00Z".') from error
    aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return (aware - EPOCH) // timedelta(microseconds=1)


def to_iso(micros: int) -> str:
    """Write an instant [µs since 1970, UTC] as ISO 8601."""
    return (EPOCH + timedelta(microseconds=micros)).isoformat().replace("+00:00", "Z")


def seen_by(frame: nw.LazyFrame[Any], columns: Iterable[str], now: int | None) -> nw.LazyFrame[Any]:
    """Take instants after a moment [µs] as missing: they had not happened yet; ``None`` takes all as they are."""
    if now is None:
        return frame
    return frame.with_columns(nw.when(nw.col(name) <= now).then(nw.col(name)).alias(name) for name in columns)
