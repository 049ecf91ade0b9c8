"""Touches other than mail: outbound calls, and completed tasks that are neither."""

from typing import Any

import narwhals as nw

from outreach_frames.stats._call import Call

CALL_COLUMNS = ("id", "prospect_id", "direction", "dialed_at", "answered_at", "completed_at")
TASK_COLUMNS = ("id", "prospect_id", "action", "completed_at")

_CONVERSATIONS = ("completed", "answered")
"""The guide's word and the attribute description's word for a call that was answered."""


def outbound_calls(calls: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """
    Keep the outbound calls that were dialled, and add ``called_at``.

    The time of a call is ``dialed_at``, else ``answered_at``, else ``completed_at``; never ``created_at``, which is the
    time of logging.
    """
    dialled = calls.with_columns(called_at=nw.coalesce("dialed_at", "answered_at", "completed_at"))
    outbound = nw.col("direction").str.to_lowercase() == "outbound"
    return dialled.filter(outbound.fill_null(False) & ~nw.col("called_at").is_null())


def tell_calls_placed(call: Call, calls: nw.LazyFrame[Any]) -> None:
    """Note the calls of `outbound_calls` without a time of dialing, where they are placed by ``called_at``."""
    undialed = nw.col("dialed_at").is_null()
    call.assume(calls, "call without a time of dialing, placed at that of its answer or end", undialed)


def with_conversation(calls: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Add ``is_conversation``: the outcome says answered; where it says nothing, ``answered_at`` is set."""
    said = nw.col("outcome").str.to_lowercase().is_in(_CONVERSATIONS).fill_null(False)
    silent = nw.col("outcome").is_null() & ~nw.col("answered_at").is_null()
    return calls.with_columns(is_conversation=said | silent)


def other_tasks(tasks: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Keep the completed tasks that are neither an email nor a call, which count themselves."""
    elsewhere = nw.col("action").is_in(["email", "call"]).fill_null(False)
    return tasks.filter(~elsewhere & ~nw.col("completed_at").is_null())
