"""
Fetch: from a query to frames.

`frames` makes one frame of a query, `tables` one for each resource type. `plan` decides which requests are sent, and
`pagination` sends them. `custom_fields` gives custom fields their labels. `generic` reads what no catalog describes,
with `foreign_paging` and `raw_pages`. `statistics_source` lets the statistics fetch what they read.
"""

from outreach_frames._fetch import statistics_source  # noqa: F401  makes connections a source of statistics
from outreach_frames._fetch.foreign_paging import Paging
from outreach_frames._fetch.frames import count, fetch, fetch_batches, fetch_one
from outreach_frames._fetch.generic import Server
from outreach_frames._fetch.tables import fetch_tables

__all__ = ["Paging", "Server", "count", "fetch", "fetch_batches", "fetch_one", "fetch_tables"]
