"""Tasks kept, kept in time, and left."""

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals as nw
from narwhals.typing import IntoFrameT

from outreach_frames.stats._calendar import DAY
from outreach_frames.stats._call import Call
from outreach_frames.stats._engines import grouped_median
from outreach_frames.stats._instants import Instant
from outreach_frames.stats._parameters import columns
from outreach_frames.stats._tally import grouping, stack
from outreach_frames.stats.clusters import PERSON, cluster_columns, clusters_of, counted_parts, with_clustered_rates

DUE_COUNTS = ("tasks_due", "tasks_completed", "tasks_on_time", "task_backlog")
AGE = "backlog_age_d"
TASK_RATES = {
    "task_completion_rate": ("tasks_completed", "tasks_due"),
    "task_on_time_rate": ("tasks_on_time", "tasks_completed"),
}


def task_completion(
    tasks: IntoFrameT,
    *,
    by: str | Sequence[str] | None = ("owner_id", "task_type"),
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
) -> IntoFrameT:
    """
    Count the tasks that were due: completed, completed in time, still open.

    ``task_completion_rate`` = completed / (completed + open and past due). ``task_on_time_rate`` = completed by their
    due date / completed.

    Parameters
    ----------
    tasks
        ``id``, ``state``, ``due_at``, ``completed_at``, and the columns of ``by``.
    by
        Columns to group by; ``None`` for one row. A task is due to its owner, whoever completes it.
    ci
        Confidence level.
    cluster
        What belongs together, so that its outcomes are alike: ``"auto"`` takes the account where the frame has
        ``account_id``, else the person where it has ``prospect_id``; or a column's name; or ``None``: independent
        tasks.
    as_of
        When the data are looked at; default: when they were extracted, as the frame's record says. What is due later is
        not judged, and what was completed later was still open.

    Returns
    -------
    tasks : frame of the caller's kind, one row per group, sorted by key
        Keys; ``tasks_due``, ``tasks_completed``, ``task_completion_rate`` with ``_n``, ``_lo``, ``_hi``;
        ``tasks_on_time``, ``task_on_time_rate`` likewise; ``task_backlog`` [open and past due] and ``backlog_age_d``
        [median days since their due date, missing without a backlog].

    Raises
    ------
    MissingColumnError
        A column is absent.
    DataError
        ``as_of`` is unknown or later than the extraction; a wrong dtype; an id that occurs twice in memory.

    Notes
    -----
    Left out and counted: tasks without a due date or due after ``as_of``, and rows whose key is missing. A task of
    state ``complete`` without ``completed_at`` counts as completed, at whatever time, and not as in time. Interval:
    Wilson. Definition: this project's metric dictionary, part 2.8.
    """
    keys = columns("by", by)
    call = Call("task_completion", by=keys, ci=ci, cluster=cluster)
    optional = [] if cluster is None else [*cluster_columns(cluster), PERSON]
    read = call.read("tasks", tasks, ["id", "state", "due_at", "completed_at"], keys=keys, optional=optional)
    clusters = clusters_of(TASK_RATES, cluster, read.collect_schema().names(), keys)
    now = call.instant(as_of)
    due = call.drop(read, "task without a due date", ~nw.col("due_at").is_null())
    due = call.drop(due, "task due after as_of", nw.col("due_at") <= now)
    for key in keys:
        due = call.drop(due, f"{key} missing", ~nw.col(key).is_null())
    due, groups, parts = grouping(due, keys)
    table = stack([*parts, *due_counts(due, groups, now, clusters)], groups, medians=[AGE])
    table = with_clustered_rates(call, table, TASK_RATES, clusters, ci=ci).with_columns(nw.col(AGE).cast(nw.Float64))
    rates = {name: [f"{name}{end}" for end in ("", "_n", "_lo", "_hi")] for name in TASK_RATES}
    shown = ["tasks_due", "tasks_completed", *rates["task_completion_rate"], "tasks_on_time"]
    shown += [*rates["task_on_time_rate"], "task_backlog", AGE]
    result: IntoFrameT = call.write(
        table.select(*keys, *shown), sort=keys, instants=[key for key in keys if key.endswith("_at")]
    )
    return result


def due_counts(
    tasks: nw.LazyFrame[Any], keys: Sequence[str], now: int, clusters: Mapping[str, str]
) -> list[nw.LazyFrame[Any]]:
    """Count by group the tasks due by an instant [µs]: done by it, in time, left, and the median age of the latter."""
    told = (nw.col("state") == "complete").fill_null(False)
    done = nw.when(nw.col("completed_at").is_null()).then(told).otherwise(nw.col("completed_at") <= now)
    due = tasks.filter(nw.col("due_at") <= now).with_columns(is_done=done)
    counted = due.with_columns(
        tasks_due=nw.col("due_at") * 0 + 1,
        tasks_completed=nw.col("is_done").cast(nw.Int64),
        tasks_on_time=(nw.col("completed_at") <= nw.col("due_at")).fill_null(False).cast(nw.Int64),
        task_backlog=(~nw.col("is_done")).cast(nw.Int64),
        age=nw.when(~nw.col("is_done")).then((now - nw.col("due_at")) / DAY),
    )
    sums = counted_parts(counted, keys, DUE_COUNTS, TASK_RATES, clusters)
    return [*sums, grouped_median(counted, keys, "age", AGE)]
