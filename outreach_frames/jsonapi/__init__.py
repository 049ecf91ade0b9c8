"""
JSON:API documents as Arrow record batches and DataFrames.

`Layout` turns a query into columns and a typed decoder; `Layout.page` reads the bytes of one page; `concat` and
`to_frame` put pages together. `read_jsonapi` does all of it for one document, of any server.

What becomes what
-----------------
to-one relationship
    ``<name>_id``, and ``<name>_type`` where it may lead to several types. Missing where data is null, where there are
    only links, neither, or no such relationship. An attribute of the same name gives way: ``<name>_id_attribute``.
to-many relationship
    ``<name>_ids`` where the API sends identifiers; an empty list is empty, links alone are missing.
included resource
    ``<relationship>__<column>``, again by repetition; missing where the page does not hold it. A resource that comes
    twice counts as it came last; rows of the page are found as if they were included.
attribute
    By its declared type: text, integers, numbers, truth values, UTC instants to the microsecond, dates, lists of
    strings; objects and other lists as JSON text, as sent but for white space. Absent and null are both missing.
value of another type
    Kept where nothing is lost: ``3`` as text, ``"3"`` as a number, ids as text; instants without zone are UTC, and
    of a time where a date is due the date as written. Anything else raises `DocumentError` with type, id and name.
unknown name
    Reported in `Page.unknown`; kept by an open layout.
member that comes twice
    The last counts.
what is no JSON, cut, nested without end, NaN or Infinity
    `DocumentError`.
"""

from outreach_frames.jsonapi._documents import read_jsonapi
from outreach_frames.jsonapi._frames import concat, to_frame
from outreach_frames.jsonapi._layout import Layout, Page
from outreach_frames.jsonapi._values import number_of, truth_of

__all__ = ["Layout", "Page", "concat", "number_of", "read_jsonapi", "to_frame", "truth_of"]
