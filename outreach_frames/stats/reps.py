"""Reps: tasks completed, and activity by week."""

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals as nw
from narwhals.typing import IntoFrameT

from outreach_frames._renamed import with_old_positions
from outreach_frames.stats._aggregate import count_distinct, grouping, stack, with_missing
from outreach_frames.stats._backends import grouped_median, join
from outreach_frames.stats._statistic import StatContext
from outreach_frames.stats._timestamps import DAY, Instant, seen_by, with_local, with_periods
from outreach_frames.stats._validation import columns
from outreach_frames.stats.calls import CONNECT_RATE, call_counts
from outreach_frames.stats.clusters import PERSON, cluster_columns, clusters_of, counted_parts, with_clustered_rates
from outreach_frames.stats.enrollments import CLOSED_STATES
from outreach_frames.stats.flags import (
    SENDING,
    note_call_placing,
    note_placing,
    other_tasks,
    outbound_calls,
    with_conversation,
    with_delivery,
)

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
        Column of the clusters; ``"auto"``: the account, else the person; ``None``: independent tasks. See `clusters`.
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
        A column listed above is absent.
    DataError
        ``as_of`` is unknown or later than the extraction; a wrong dtype; an id that occurs twice in memory.

    Notes
    -----
    Left out and counted: tasks without a due date or due after ``as_of``, and rows whose key is missing. A task of
    state ``complete`` without ``completed_at`` counts as completed, at whatever time, and not as in time. Interval:
    Wilson. Definitions: `outreach_frames.metrics`.

    Examples
    --------
    >>> done = stats.task_completion(tasks, by="task_type")
    >>> done[["task_type", "tasks_due", "tasks_completed"]].head(2).to_dict("records")
    [{'task_type': 'follow_up', 'tasks_due': 39, 'tasks_completed': 29},
    {'task_type': 'manual', 'tasks_due': 24, 'tasks_completed': 15}]
    >>> done["task_completion_rate"].round(3).head(2).tolist()
    [0.744, 0.625]
    """
    keys = columns("by", by)
    call = StatContext("task_completion", by=keys, ci=ci, cluster=cluster)
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
    order = ["tasks_due", "tasks_completed", *rates["task_completion_rate"], "tasks_on_time"]
    order += [*rates["task_on_time_rate"], "task_backlog", AGE]
    result: IntoFrameT = call.write(
        table.select(*keys, *order), sort=keys, instants=[key for key in keys if key.endswith("_at")]
    )
    return result


def due_counts(
    tasks: nw.LazyFrame[Any], keys: Sequence[str], now: int, clusters: Mapping[str, str]
) -> list[nw.LazyFrame[Any]]:
    """Count by group the tasks due by an instant [µs]: done by it, in time, left, and the median age of the latter."""
    completed = (nw.col("state") == "complete").fill_null(False)
    done = nw.when(nw.col("completed_at").is_null()).then(completed).otherwise(nw.col("completed_at") <= now)
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


_KEYS = ["user_id", "week"]
_REP_RATES = {
    "connect_rate": ("connected", "calls_dialed"),
    **TASK_RATES,
}
_CALLS = ("id", "user_id", "prospect_id", "direction", "outcome", "dialed_at", "answered_at", "completed_at")
_TASKS = ("id", "owner_id", "completer_id", "action", "state", "due_at", "completed_at")
_STATES = ("id", "user_id", "sequence_id", "state", "created_at")
_FLOATS = ("talk_minutes", AGE, "throttle_used")


@with_old_positions("users")
def rep_activity(
    mailings: IntoFrameT,
    *,
    users: IntoFrameT,
    calls: IntoFrameT | None = None,
    tasks: IntoFrameT | None = None,
    sequence_states: IntoFrameT | None = None,
    sequences: IntoFrameT | None = None,
    tz: str = "UTC",
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
) -> IntoFrameT:
    """
    Count what each user did in each week: touches by channel, conversations, tasks kept and left, enrollments.

    ``touches`` = delivered mailings + outbound calls dialed + completed tasks that are neither email nor call.
    ``connect_rate`` = calls answered / calls dialed. ``task_completion_rate`` = tasks completed / tasks due that week
    and not after ``as_of``. ``task_on_time_rate`` = completed by their due date / completed.

    Parameters
    ----------
    mailings
        ``id``, ``user_id``, ``prospect_id``, ``delivered_at``, ``bounced_at``, ``replied_at``. Mail is credited to its
        sender, not to the prospect's owner, who may have changed since.
    users
        ``id``, ``name``: the users to report on; each has a row for every week in which any of them was active or had a
        task due.
    calls
        ``id``, ``user_id``, ``prospect_id``, ``direction``, ``outcome``, ``dialed_at``, ``answered_at``,
        ``completed_at``.
    tasks
        ``id``, ``owner_id``, ``completer_id``, ``action``, ``state``, ``due_at``, ``completed_at``. A touch is credited
        to who completed the task, being due to its owner.
    sequence_states
        Enrollments: ``id``, ``user_id``, ``sequence_id``, ``state``, ``created_at``.
    sequences
        ``id``, ``throttle_max_adds_per_day``; used with ``sequence_states``.
    tz
        IANA zone of weeks and days.
    bounce_policy
        See `mailing_flags`.
    ci
        Confidence level.
    cluster
        Column of the clusters; ``"auto"``: the person; ``None``: independent calls and tasks. See `clusters`.
    as_of
        When the data are looked at; default: when they were extracted, as the frames' records say. What happened later
        is left out. Needed with ``tasks``.

    Returns
    -------
    activity : frame of the caller's kind, one row per user and week (its Monday), sorted
        ``user_id``, ``week``, ``name``; ``delivered``, ``calls_dialed``, ``tasks_done``, ``touches``; ``contacted``
        [people mailed or called], ``touches_per_contacted``; ``active_days`` [days with a touch]; ``connected``,
        ``connect_rate`` with ``_n``, ``_lo``, ``_hi``; ``talk_minutes`` [min, from answer to completion]; of the tasks
        due that week ``tasks_due``, ``tasks_completed``, ``tasks_on_time`` with the two rates, ``task_backlog`` (still
        open at ``as_of``) and ``backlog_age_d`` [median days since their due date]; ``enrollments_added``,
        ``open_enrollments`` [of those added that week, neither finished nor opted out when extracted, whatever
        ``as_of``]; ``throttle_used`` [largest share of a sequence's daily limit of additions used on a day]. Columns of
        a frame that was not given are missing.

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        A column of another dtype, an id that occurs twice in memory, frames of two kinds; ``as_of`` is
        unknown and tasks are present.

    Notes
    -----
    Left out and counted: what belongs to no listed user. Tasks without a due date count as touches only. Interval:
    Wilson. Definitions: `outreach_frames.metrics`.

    Examples
    --------
    >>> weeks = stats.rep_activity(mailings, users=users, calls=calls, tasks=tasks)
    >>> weeks[["name", "delivered", "calls_dialed", "tasks_done", "touches"]].head(1).to_dict("records")
    [{'name': 'Caleb Larkspur', 'delivered': 4, 'calls_dialed': 0, 'tasks_done': 0, 'touches': 4}]
    >>> weeks["user_id"].nunique(), weeks["week"].nunique()
    (8, 27)
    """
    call = StatContext("rep_activity", tz=tz, bounce_policy=bounce_policy, ci=ci, cluster=cluster)
    person = [] if cluster is None else [PERSON]
    listed = call.read("users", users, ["id", "name"]).rename({"id": "user_id"})
    listed = listed.with_columns(is_listed=nw.col("user_id"))
    mail = call.read("mailings", mailings, ["id", "user_id", "prospect_id", *SENDING])
    called = None if calls is None else call.read("calls", calls, _CALLS)
    owned = None if tasks is None else call.read("tasks", tasks, _TASKS, optional=person)
    states = None if sequence_states is None else call.read("sequence_states", sequence_states, _STATES)
    limits = None
    if states is not None and sequences is not None:
        limits = call.read("sequences", sequences, ["id", "throttle_max_adds_per_day"])
    now = call.optional_instant(as_of) if tasks is None else call.instant(as_of)
    placed = _Placing(call, listed, tz, now)
    touches = [placed.mail(mail, bounce_policy)]
    parts: list[nw.LazyFrame[Any]] = []
    clusters: dict[str, str] = {}
    if called is not None:
        dialed = placed.calls(called)
        clusters |= dict.fromkeys(CONNECT_RATE if person else (), PERSON)
        touches.append(_channel_touches(dialed, "calls_dialed", "called_at"))
        parts += [part.drop("calls_dialed", strict=False) for part in call_counts(dialed, _KEYS, clusters)]
    if owned is not None and now is not None:
        touches.append(placed.tasks_done(owned))
        due = placed.by_week(owned, "owner_id", "due_at", "task")
        clusters |= dict.fromkeys(TASK_RATES if PERSON in due.collect_schema().names() else (), PERSON)
        parts += due_counts(due, _KEYS, now, clusters)
    if states is not None:
        added = placed.by_week(states, "user_id", "created_at", "enrollment")
        parts.append(_added(added))
        if limits is not None:
            parts.append(_throttle(added, limits.rename({"id": "sequence_id"})))
    together = nw.concat(touches, how="diagonal")
    parts = [*_rep_touch_counts(together), *parts]
    weeks = stack(parts, _KEYS, medians=_present(parts)).group_by("week").agg(nw.col("touches").max())
    grid = listed.select("user_id").join(weeks.select("week"), how="cross")
    result: IntoFrameT = _rep_result(call, [grid, *parts], listed, clusters, ci=ci)
    return result


class _Placing:
    """Places what happened up to an instant: with its listed user, and in the local week and day."""

    def __init__(self, call: StatContext, listed: nw.LazyFrame[Any], tz: str, now: int | None) -> None:
        self.call, self.listed, self.tz, self.now = call, listed.select("user_id", "is_listed"), tz, now

    def by_week(self, frame: nw.LazyFrame[Any], who: str, instant: str, what: str) -> nw.LazyFrame[Any]:
        """Keep what has a listed user and an instant, and add ``user_id``, ``week`` and ``day``."""
        seen = seen_by(frame.with_columns(user_id=nw.col(who)), [instant], self.now)
        placed = join(seen.filter(~nw.col(instant).is_null()), self.listed, "user_id")
        listed = self.call.drop(placed, f"{what} of no listed user", ~nw.col("is_listed").is_null())
        return with_periods(with_local(listed, instant, zones=[self.tz]), ["day", "week"])

    def mail(self, mailings: nw.LazyFrame[Any], bounce_policy: str) -> nw.LazyFrame[Any]:
        flagged = with_delivery(seen_by(mailings, SENDING, self.now), bounce_policy)
        delivered = flagged.filter(nw.col("is_delivered"))
        note_placing(self.call, delivered)
        return _channel_touches(self.by_week(delivered, "user_id", "sent_at", "mailing"), "delivered", "sent_at")

    def calls(self, calls: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
        dialed = with_conversation(
            outbound_calls(seen_by(calls, ("dialed_at", "answered_at", "completed_at"), self.now))
        )
        note_call_placing(self.call, dialed)
        return self.by_week(dialed, "user_id", "called_at", "call")

    def tasks_done(self, tasks: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
        done = other_tasks(tasks).with_columns(done_by=nw.coalesce("completer_id", "owner_id"))
        placed = self.by_week(done, "done_by", "completed_at", "completed task")
        return placed.select(*_KEYS, "day", tasks_done=nw.col("id") * 0 + 1)


def _channel_touches(frame: nw.LazyFrame[Any], channel: str, instant: str) -> nw.LazyFrame[Any]:
    one = (nw.col(instant) * 0 + 1).alias(channel)
    return frame.select(*_KEYS, "day", "prospect_id", one)


def _rep_touch_counts(touches: nw.LazyFrame[Any]) -> list[nw.LazyFrame[Any]]:
    present = touches.collect_schema().names()
    channels = [name for name in ("delivered", "calls_dialed", "tasks_done") if name in present]
    counted = touches.with_columns(touches=nw.col("day") * 0 + 1)
    return [
        counted.group_by(*_KEYS).agg(nw.col(name).sum() for name in (*channels, "touches")),
        count_distinct(touches, _KEYS, "prospect_id", "contacted"),
        count_distinct(touches, _KEYS, "day", "active_days"),
    ]


def _added(states: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    closed = nw.col("state").is_in(CLOSED_STATES).fill_null(False)
    counted = states.with_columns(
        enrollments_added=nw.col("created_at") * 0 + 1, open_enrollments=1 - closed.cast(nw.Int64)
    )
    return counted.group_by(*_KEYS).agg(nw.col("enrollments_added").sum(), nw.col("open_enrollments").sum())


def _throttle(states: nw.LazyFrame[Any], limits: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Find the largest share of a sequence's daily limit that a user used on a day of the week."""
    daily = states.group_by(*_KEYS, "day", "sequence_id").agg(added=nw.col("id").count())
    limit = nw.when(nw.col("throttle_max_adds_per_day") > 0).then(nw.col("throttle_max_adds_per_day").cast(nw.Float64))
    used = join(daily, limits, "sequence_id").with_columns(throttle_used=nw.col("added").cast(nw.Float64) / limit)
    return used.group_by(*_KEYS).agg(nw.col("throttle_used").max())


def _present(parts: Sequence[nw.LazyFrame[Any]]) -> list[str]:
    names = {name for part in parts for name in part.collect_schema().names()}
    return [name for name in _FLOATS if name in names]


def _rep_result(
    call: StatContext,
    parts: Sequence[nw.LazyFrame[Any]],
    listed: nw.LazyFrame[Any],
    clusters: Mapping[str, str],
    *,
    ci: float,
) -> Any:
    floats = _present(parts)
    table = join(stack(parts, _KEYS, medians=floats), listed, "user_id")
    counts = ["calls_dialed", "connected", "tasks_done", *DUE_COUNTS, "enrollments_added", "open_enrollments"]
    table = with_missing(table, counts, like="touches")
    table = with_missing(table, [name for name in _FLOATS if name not in floats], like="touches")
    contacted = nw.when(nw.col("contacted") > 0).then(nw.col("contacted").cast(nw.Float64))
    if "talk_minutes" in floats:
        table = table.with_columns(nw.col("talk_minutes").fill_null(0.0))
    table = with_clustered_rates(call, table, _REP_RATES, clusters, ci=ci).with_columns(
        *(nw.col(name).cast(nw.Float64) for name in _FLOATS),
        touches_per_contacted=nw.col("touches").cast(nw.Float64) / contacted,
    )
    rates = {name: [f"{name}{end}" for end in ("", "_n", "_lo", "_hi")] for name in _REP_RATES}
    columns = [
        *_KEYS,
        *["name", "delivered", "calls_dialed", "tasks_done", "touches", "contacted", "touches_per_contacted"],
        *["active_days", "connected", *rates["connect_rate"], "talk_minutes", "tasks_due", "tasks_completed"],
        *[*rates["task_completion_rate"], "tasks_on_time", *rates["task_on_time_rate"], "task_backlog"],
        *[AGE, "enrollments_added", "open_enrollments", "throttle_used"],
    ]
    return call.write(table.select(*columns), sort=_KEYS, days=["week"])
