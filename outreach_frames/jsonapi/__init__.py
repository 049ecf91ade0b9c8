"""
JSON:API documents as Arrow record batches and DataFrames.

`Layout` turns a query into columns and a typed decoder; `Layout.page` reads the bytes of one page; `concat` and
`to_frame` put pages together. `read_jsonapi` does all of it for one document, of any server.
"""

from outreach_frames.jsonapi._documents import read_jsonapi
from outreach_frames.jsonapi._frames import concat, to_frame
from outreach_frames.jsonapi._layout import Layout, Page

__all__ = ["Layout", "Page", "concat", "read_jsonapi", "to_frame"]
