"""The records that a function is called with: one, or many."""

from collections.abc import Iterable
from typing import Any, TypeGuard, cast

import pandas as pd

from outreach_frames._request_documents import RecordId, checked_id
from outreach_frames.catalog import ResourceType
from outreach_frames.errors import QueryError

Records = pd.DataFrame | Iterable[RecordId]
"""Many records: a frame with the column ``id``, or ids."""


def is_one(records: RecordId | Records) -> TypeGuard[RecordId]:
    """Return whether a value names one record: an id, or a row of a frame."""
    if isinstance(records, pd.Series):
        return "id" in records.index
    return isinstance(records, (int, str)) or not isinstance(records, Iterable)


def ids_of(kind: ResourceType, records: RecordId | Records) -> "pd.Series[Any]":
    """
    Return the ids of records under the index that they come with.

    Raises
    ------
    QueryError
        One is no id, or a frame has no column ``id``.
    """
    if isinstance(records, pd.DataFrame):
        if "id" not in records:
            raise QueryError("The frame has no column 'id'.", hint=f"Pass the ids of {kind.table}, or fetch them.")
        listed, index = records["id"].tolist(), records.index
    elif is_one(records):
        listed, index = [records], pd.RangeIndex(1)
    else:
        listed = [*cast("Iterable[Any]", records)]
        index = records.index if isinstance(records, pd.Series) else pd.RangeIndex(len(listed))
    return pd.Series([checked_id(kind, record) for record in listed], index=index, dtype=object)
