"""
Warnings about data that bend a statistic without breaking it.

Each is issued once per call, with a count and a few ids. They are computed for frames in memory only: on DuckDB,
Dask, Spark and lazy polars the count would cost a pass over the data.
"""

from outreach_frames.errors import OutreachDataWarning


class NaiveTimestampWarning(OutreachDataWarning):
    """Instants without a time zone, read as UTC."""


class ContradictoryFlagsWarning(OutreachDataWarning):
    """T5, T14: mailings that bounced and were answered; ``bounce_policy`` decides what they count as."""


class ImmatureCohortWarning(OutreachDataWarning):
    """T19: cohorts that have not had the time in which they could be answered."""
