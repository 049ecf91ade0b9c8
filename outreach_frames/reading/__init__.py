"""
Reading: from a query to frames.

A query becomes a plan of requests (`plan`), whose pages are walked (`walk`) and put together, in order and each record
once (`arrange`), as one frame (`frames`) or one per type (`tables`), with custom fields under their labels (`labels`).
Servers other than Outreach (`servers`), whose pages have to be found (`paging`, `totals`), and types that no catalogue
describes (`uncatalogued`) go the same way.
"""

from outreach_frames.reading.frames import count, fetch, fetch_batches, fetch_one
from outreach_frames.reading.paging import Paging
from outreach_frames.reading.servers import Server
from outreach_frames.reading.tables import fetch_tables

__all__ = ["Paging", "Server", "count", "fetch", "fetch_batches", "fetch_one", "fetch_tables"]
