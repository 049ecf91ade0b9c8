"""Touches other than mail: outbound calls, and completed tasks that are neither."""

from typing import Any

import narwhals as nw

CALL_COLUMNS = ("id", "prospect_id", "direction", "dialed_at", "answered_at", "completed_at")
TASK_COLUMNS = ("id", "prospect_id", "action", "completed_at")


def outbound_calls(calls: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """
    Keep the outbound calls that were dialled, and add ``called_at``.

    The time of a call is ``dialed_at``, else ``answered_at``, else ``completed_at``; never ``created_at``, which is the
    time of logging.
    """
    dialled = calls.with_columns(called_at=nw.coalesce("dialed_at", "answered_at", "completed_at"))
    outbound = nw.col("direction").str.to_lowercase() == "outbound"
    return dialled.filter(outbound.fill_null(False) & ~nw.col("called_at").is_null())


def other_tasks(tasks: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Keep the completed tasks that are neither an email nor a call, which count themselves."""
    elsewhere = nw.col("action").is_in(["email", "call"]).fill_null(False)
    return tasks.filter(~elsewhere & ~nw.col("completed_at").is_null())
