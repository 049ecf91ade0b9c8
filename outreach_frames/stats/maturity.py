"""
Equal time for all: what has had its time to happen, and what is too young to be compared.

A group is compared with others only over people and enrollments that have had `MATURE_D` days. A sequence that began
six days ago would otherwise stand below all others, since most of its answers are still to come.
"""

from collections.abc import Sequence
from typing import Any

import narwhals as nw

from outreach_frames.stats._backends import tidied
from outreach_frames.stats._timestamps import DAY, to_micros

MATURE_D = 14
"""How long an enrollment, or a person, must have had [d]; nine of ten answers come within it."""

WINDOW = MATURE_D * DAY
"""The same [µs]."""


def with_mature(
    frame: nw.LazyFrame[Any], began_at: str, *, as_of: str | None, events: nw.LazyFrame[Any], happened: Sequence[str]
) -> nw.LazyFrame[Any]:
    """
    Add ``is_mature``: whether what began has had its time.

    Parameters
    ----------
    frame
        What is judged.
    began_at
        Column of the instant at which its time began; what has none is not mature.
    as_of
        When the data were extracted [ISO 8601].
    events, happened
        Rows with columns of instants; the latest of these stands for the extraction where that is not known.
    """
    if as_of is not None:
        mature = nw.col(began_at) <= to_micros(as_of) - WINDOW
        return frame.with_columns(is_mature=mature.fill_null(False))
    instants = [events.select(nw.col(column).max().alias("latest_at")) for column in happened]
    latest = nw.concat(instants, how="vertical").select(nw.col("latest_at").max())
    judged = tidied(frame).join(tidied(latest), how="cross")
    mature = nw.col(began_at) <= nw.col("latest_at") - WINDOW
    return judged.with_columns(is_mature=mature.fill_null(False)).drop("latest_at")
