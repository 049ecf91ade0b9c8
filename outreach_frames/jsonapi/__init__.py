"""
JSON:API documents as Arrow record batches and DataFrames.

`Layout` turns a query into columns and a typed decoder; `Layout.page` reads the bytes of one page; `concat` and
`to_frame` put pages together.
"""

from outreach_frames.jsonapi._frames import concat, to_frame
from outreach_frames.jsonapi._layout import Layout, Page

__all__ = ["Layout", "Page", "concat", "to_frame"]
