"""Create several records together: all are checked first, and an error names those that were created."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from outreach_frames._request_documents import RecordId, checked_id, resource_document
from outreach_frames.client import Client
from outreach_frames.errors import IncompleteError, OutreachError

Values = Mapping[str, Any]
"""Attributes and relationships of a record to be."""

UNKNOWN_ID = 1
"""Stands for an id that only the API can give, while values are checked before the first request."""


@dataclass
class Creations:
    """Creates records that belong together, and remembers them for the error that tells what was done."""

    client: Client
    created: list[tuple[str, int | str]] = field(default_factory=list)

    def create(self, resource: str, **values: Any) -> pd.Series:
        """Create one record; if that fails after others were created, say which."""
        try:
            record = self.client.create(resource, **values)
        except OutreachError as error:
            if not self.created:
                raise
            done = ", ".join(f"{kind} {number}" for kind, number in self.created)
            raise IncompleteError(
                f"Creating {resource} failed after these were created: {done}.",
                created=self.created,
                hint="Delete them or finish by hand; .__cause__ says what failed.",
            ) from error
        self.created.append((resource, record["id"]))
        return record


def check_creation(client: Client, resource: str, **values: Any) -> None:
    """Raise what creating a record would raise before its request is sent."""
    kind = client.catalog.resource(resource)
    kind.require("create")
    resource_document(kind, values)


def identified(client: Client, resource: str, record: RecordId) -> int | str:
    """
    Return the id of a record that a pattern cannot do without; a missing one would be left out of what is sent.

    Raises
    ------
    QueryError
        It cannot be an id of this type.
    """
    return checked_id(client.catalog.resource(resource), record)


def frame_of(records: Sequence[pd.Series]) -> pd.DataFrame:
    """Put records into a frame, one row each."""
    return pd.DataFrame(list(records)).convert_dtypes(dtype_backend="pyarrow").reset_index(drop=True)
