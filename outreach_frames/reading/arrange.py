"""From the pages of a walk to the rows of a frame: each record once, in the order that was asked for."""

from dataclasses import dataclass, field

import pyarrow as pa

from outreach_frames.errors import QueryError
from outreach_frames.query import Query

Order = list[tuple[str, str]]

BY_ID: Order = [("id", "ascending")]


@dataclass(frozen=True)
class Arrangement:
    """
    How a query is walked, and what is done to its rows afterwards.

    Attributes
    ----------
    query
        As it is sent.
    order
        Columns to put rows in order by; empty where they come in the order asked for.
    beside
        Columns that are only there to sort by.
    """

    query: Query
    order: Order = field(default_factory=list)
    beside: tuple[str, ...] = ()


def arrangement_of(query: Query, limit: int | None) -> Arrangement:
    """
    Say in which order a query is walked.

    The first rows of an order are the API's to choose. All rows are walked in an order that no update changes, where
    possible, and sorted here: a record that changes during the walk would move to where the walk has been already.
    Nor does the API have the order by id, or that of a query cut into parts.

    Raises
    ------
    QueryError
        The rows of several parts cannot be put in the order asked for.
    """
    if not query.sort:
        return Arrangement(query, BY_ID)
    if not query.is_cut and (limit is not None or query.is_stable):
        return Arrangement(query)
    if limit is not None:
        raise QueryError(
            "This query is sent in parts, whose first rows in an order of the API's are not the first of all.",
            hint="Leave limit or sort out, or filter by fewer values.",
        )
    attributes = query.resource.attributes
    keys = {key.removeprefix("-"): "descending" if key.startswith("-") else "ascending" for key in query.sort}
    unknown = next((name for name in keys if name not in attributes), None)
    if unknown and query.is_cut:
        raise QueryError(
            f"This query is sent in parts, whose rows cannot be put in the order of {unknown} again.",
            hint="Leave sort out and sort the frame, or filter by fewer values.",
        )
    if unknown:
        return Arrangement(query)
    beside = [name for name in keys if query.columns is not None and name not in query.columns]
    order = [(attributes[name].column, direction) for name, direction in keys.items()]
    return Arrangement(
        query.unsorted().with_columns(beside), [*order, *BY_ID], tuple(attributes[name].column for name in beside)
    )


def arranged(table: pa.Table, order: Order, limit: int | None = None) -> pa.Table:
    """Keep each record once, as it was last; cut to the limit; put in order, missing values last."""
    moved = table.column("id").to_pandas().duplicated(keep="last")
    if moved.any():
        table = table.filter(pa.array(~moved))
    if order == BY_ID:
        return table.slice(0, limit).sort_by("id")
    order = [(column, direction) for column, direction in order if column in table.column_names]
    return (table.sort_by(order) if order else table).slice(0, limit)
