"""
Check a query against the catalog, and turn it into URL parameters.

Names may be snake_case or the API's. Everything that the API would refuse is refused here, before any request:
unknown names, filters on attributes that cannot be filtered, sorts by attributes that cannot be sorted by.
"""

from outreach_frames._query.filter_values import (
    NOT_NULL,
    Between,
    Parameters,
    batch_filter,
    between,
    legacy_syntax,
    text,
    validate_value,
)
from outreach_frames._query.query import MAX_PAGE_SIZE, MAX_QUERY_LENGTH, Query, build
from outreach_frames._query.selection import Paths, Selection, back_reference, default_columns, select
from outreach_frames.catalog import Include

__all__ = [
    "MAX_PAGE_SIZE",
    "MAX_QUERY_LENGTH",
    "NOT_NULL",
    "Between",
    "Include",
    "Parameters",
    "Paths",
    "Query",
    "Selection",
    "back_reference",
    "batch_filter",
    "between",
    "build",
    "default_columns",
    "legacy_syntax",
    "select",
    "text",
    "validate_value",
]
