"""
A query in the user's words, checked against the catalogue and turned into URL parameters.

Names may be snake_case or the API's. Everything that the API would refuse is refused here, before any request:
unknown names, filters on attributes that cannot be filtered, sorts by attributes that cannot be sorted by.
"""

from outreach_frames.catalogue import Include
from outreach_frames.query._build import batch_filter, build, default_columns
from outreach_frames.query._include import back_reference, follow
from outreach_frames.query._query import MAX_PAGE_SIZE, MAX_QUERY_LENGTH, Query
from outreach_frames.query.values import NOT_NULL, Between, Parameters, between, checked, original_syntax, text

__all__ = [
    "MAX_PAGE_SIZE",
    "MAX_QUERY_LENGTH",
    "NOT_NULL",
    "Between",
    "Include",
    "Parameters",
    "Query",
    "back_reference",
    "batch_filter",
    "between",
    "build",
    "checked",
    "default_columns",
    "follow",
    "original_syntax",
    "text",
]
