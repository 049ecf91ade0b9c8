"""From the pages of a walk to the rows of a frame: each record once, in the order that was asked for."""

import pyarrow as pa

from outreach_frames.errors import QueryError
from outreach_frames.query import Query

Order = list[tuple[str, str]]

BY_ID: Order = [("id", "ascending")]


def order_of(query: Query, limit: int | None) -> Order:
    """
    Return how rows are put in order after the walk; empty where they come in the order asked for.

    Only the order of a query cut into parts is made here, and the order by id, which the API may not have.

    Raises
    ------
    QueryError
        The rows of several parts cannot be put in the order asked for.
    """
    if not query.sort:
        return BY_ID
    if not query.is_cut:
        return []
    if limit is not None:
        raise QueryError(
            "This query is sent in parts, whose first rows in an order of the API's are not the first of all.",
            hint="Leave limit or sort out, or filter by fewer values.",
        )
    attributes = query.resource.attributes
    order = []
    for key in query.sort:
        name = key.removeprefix("-")
        if name not in attributes:
            raise QueryError(
                f"This query is sent in parts, whose rows cannot be put in the order of {name} again.",
                hint="Leave sort out and sort the frame, or filter by fewer values.",
            )
        if query.columns is not None and name not in query.columns:
            raise QueryError(
                f"This query is sent in parts, whose rows cannot be sorted by {name} without that column.",
                hint=f"Add {name!r} to fields.",
            )
        order.append((attributes[name].column, "descending" if key.startswith("-") else "ascending"))
    return order


def arranged(table: pa.Table, order: Order, limit: int | None = None) -> pa.Table:
    """Keep each record once, as it was last; cut to the limit; put in order, missing values last."""
    moved = table.column("id").to_pandas().duplicated(keep="last")
    if moved.any():
        table = table.filter(pa.array(~moved))
    if order == BY_ID:
        return table.slice(0, limit).sort_by("id")
    return (table.sort_by(order) if order else table).slice(0, limit)
