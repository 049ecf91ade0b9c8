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
identifier of another type than the relationship's, or of none
    Left out, with a warning that counts and names them; refused where ``strict``. Where the type is not declared it
    stands beside the id.
``[]`` for an object, or for no identifier
    Empty, as PHP writes it.
included resource
    ``<relationship>__<column>``, again by repetition; missing where the page does not hold it. Rows of the page are
    found as if they were included.
resource that comes twice, in ``data``, ``included`` or both
    Once, with all members that were sent of it; ``data`` counts before ``included``, the later before the earlier.
attribute
    By its declared type: text, integers, numbers, truth values, UTC instants to the microsecond, dates, lists of
    strings; objects and other lists as JSON text, as sent but for white space. Absent and null are both missing.
value of another type
    Kept where nothing is lost: ``3`` as text, ``"3"`` as a number, ids as text; instants without zone are UTC. Anything
    else raises `DocumentError` with type, id and name.
date with a time of day
    The nearest midnight, for it was midnight where it was written; where it is midnight in no time zone, the date as it
    is written, with a warning.
column of a name that another has
    An attribute gives way to ``id``, ``type`` (where there are several), ``meta`` and foreign keys: ``…_attribute``.
unknown name
    Reported in `Page.unknown`; kept by an open layout.
member that comes twice
    The last counts.
``errors`` beside ``data``
    `DocumentError`: the data may be a part of the whole. An empty list, or null, does no harm.
what is no JSON, cut, NaN or Infinity
    `DocumentError`.
what is nested
    Kept down to 200 levels; deeper, or where the decoder meets Python's recursion limit, `DocumentError`.
"""

from outreach_frames._jsonapi.columns import Misfit, Misfits
from outreach_frames._jsonapi.decoder import collector_paused
from outreach_frames._jsonapi.document import read_jsonapi
from outreach_frames._jsonapi.page import Layout, Page, concat, to_frame
from outreach_frames._jsonapi.values import NESTED, dates, is_nested, number_of, rows_off_midnight, truth_of

__all__ = [
    "NESTED",
    "Layout",
    "Misfit",
    "Misfits",
    "Page",
    "collector_paused",
    "concat",
    "dates",
    "is_nested",
    "number_of",
    "read_jsonapi",
    "rows_off_midnight",
    "to_frame",
    "truth_of",
]
