"""Enrollments: their outcomes, and the flow of their states."""

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals as nw
import pandas as pd
from narwhals.typing import IntoFrameT

from outreach_frames.errors import DataError
from outreach_frames.stats._aggregate import grouping, stack, with_mature, with_missing
from outreach_frames.stats._backends import join
from outreach_frames.stats._statistic import StatContext
from outreach_frames.stats._timestamps import DAY, Instant
from outreach_frames.stats._validation import columns
from outreach_frames.stats.clusters import (
    PERSON,
    cluster_columns,
    clusters_of,
    counted_parts,
    share_sums,
    with_clustered_rates,
)
from outreach_frames.stats.flags import SENDING, outbound_calls, with_delivery
from outreach_frames.stats.provenance import attach

ENDED_STATES = ("finished", "bounced", "opted_out", "failed")
"""States of resolved enrollments; only the first is a completion."""

RUNNING_STATES = ("pending", "active", "paused")
"""States from which an enrollment goes on, by itself or once it is resumed."""

_STUCK = {"stuck_rate": ("stuck", "stuck_base")}
_ENROLLMENT_RATES = {
    "completion_rate": ("finished", "resolved"),
    **_STUCK,
    "reenrollment_rate": ("reenrolled", "enrollments_known"),
    "overlap_rate": ("prospects_overlapping", "prospects_open"),
}


def enrollment_outcomes(
    mailings: IntoFrameT,
    *,
    sequence_states: IntoFrameT,
    sequences: IntoFrameT | None = None,
    sequence_steps: IntoFrameT | None = None,
    calls: IntoFrameT | None = None,
    tasks: IntoFrameT | None = None,
    by: str | Sequence[str] | None = "sequence_id",
    stuck_after_waits: float = 2,
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
) -> IntoFrameT:
    """
    Count the enrollments that came to an end, got stuck, came again, or met another one.

    ``completion_rate`` = finished / (finished + bounced + opted out + failed). ``stuck_rate`` = running enrollments
    whose last activity is older than ``stuck_after_waits`` times the longest planned wait of their sequence /
    running enrollments (pending, active or paused). ``reenrollment_rate`` = enrollments beyond the person's first in
    the same sequence / enrollments. ``overlap_rate`` = people with two or more open enrollments, in any sequence /
    people with an open enrollment in the group; open is what Outreach's interface calls so, all but finished and
    opted out.

    Parameters
    ----------
    mailings
        ``id``, ``sequence_state_id``, ``delivered_at``, ``bounced_at``, ``replied_at``.
    sequence_states
        Enrollments: ``id``, ``prospect_id``, ``sequence_id``, ``state``, ``created_at``, ``state_changed_at``, and the
        columns of ``by``.
    sequences, sequence_steps
        ``id``, ``duration_in_days``, and ``id``, ``sequence_id``, ``interval``: the plan, both needed for
        ``stuck_rate``.
    calls, tasks
        ``id``, ``sequence_state_id``, and ``direction``, ``dialed_at``, ``answered_at``, ``completed_at``, or
        ``completed_at``: further activity.
    by
        Columns of the enrollments to group by, such as ``"user_id"``; ``None`` for one row.
    stuck_after_waits
        How many times the longest planned wait may pass before an enrollment counts as stuck.
    ci
        Confidence level.
    cluster
        Column of the `clusters`; ``"auto"``: the account, else the person; ``None``: independent enrollments.
    as_of
        When the data were extracted; default: what the frames' records say.

    Returns
    -------
    outcomes : frame of the caller's kind, one row per group, sorted by key
        Keys; ``enrollments``; ``finished`` and ``resolved``, ``completion_rate``; ``running``, ``stuck``,
        ``stuck_rate``; ``reenrolled``, ``reenrollment_rate``; ``open_enrollments``, ``prospects_overlapping``,
        ``overlap_rate``; each rate with ``_n``, ``_lo``, ``_hi``. No enrollment is both ``resolved`` and ``running``;
        disabled ones and those of an unknown state are neither. ``open_enrollments`` are those of `overlaps`: the
        running ones and, as in the interface, the bounced, failed, disabled and unknown. ``stuck`` and its rate are
        missing without the plan; ``stuck_rate_n`` leaves out the running enrollments of sequences whose plan tells no
        wait.

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        ``as_of`` is unknown or later than the extraction; only half of the plan is given; a wrong dtype; an id that
        occurs twice in memory; frames of two kinds.

    Notes
    -----
    The last activity is the latest of mail delivered, outbound calls, tasks completed and the last change of state; an
    enrollment without any is not stuck. The planned wait is the largest step interval as a share of all, times the
    sequence's duration: so the unit of intervals, of which the vendor's documents disagree, does not matter. Left out
    and counted: enrollments created after ``as_of`` or whose key is missing; enrollments without a prospect are in
    neither of the last two rates. Interval: Wilson. Definitions: `outreach_frames.metrics`.

    The base of ``stuck_rate`` is the running enrollments, not the open ones: bounced and failed enrollments are
    resolved in ``completion_rate`` and have no next step to be late for.

    Examples
    --------
    >>> outcomes = stats.enrollment_outcomes(mailings, sequence_states=sequence_states, by="sequence_id")
    >>> outcomes[["enrollments", "finished", "resolved", "running"]].head(1).to_dict("records")
    [{'enrollments': 161, 'finished': 104, 'resolved': 127, 'running': 34}]
    >>> outcomes["completion_rate"].round(3).head(3).tolist()
    [0.819, 0.811, 0.929]
    """
    if (sequences is None) != (sequence_steps is None):
        raise DataError("The plan needs both sequences and sequence_steps.", hint="Pass both, or neither.")
    keys = columns("by", by)
    call = StatContext("enrollment_outcomes", by=keys, stuck_after_waits=stuck_after_waits, ci=ci, cluster=cluster)
    needed = ["id", "prospect_id", "sequence_id", "state", "created_at", "state_changed_at"]
    states = call.read("sequence_states", sequence_states, needed, keys=keys, optional=cluster_columns(cluster))
    clusters = clusters_of(_ENROLLMENT_RATES, cluster, states.collect_schema().names(), keys)
    activity = [_mailed(call, mailings)]
    if calls is not None:
        activity.append(_enrollment_calls(call, calls))
    if tasks is not None:
        activity.append(_done(call, tasks))
    waits = None if sequences is None else _planned_waits(call, sequences, sequence_steps)
    now = call.instant(as_of)

    early = (nw.col("created_at") <= now).fill_null(True)
    states = call.drop(states, "enrollment created after as_of", early)
    for key in keys:
        states = call.drop(states, f"{key} missing", ~nw.col(key).is_null())
    marked = _marked(states)
    if waits is not None:
        limit = nw.col("longest_wait_d") * (stuck_after_waits * DAY)
        marked = join(_active(marked, activity, now), waits, "sequence_id").with_columns(limit=limit)
    marked, groups, parts = grouping(marked, keys)
    parts += [*_bucket_counts(marked, groups, now, clusters), *_people_counts(marked, groups, clusters)]
    table = with_missing(stack(parts, groups), ["stuck", "stuck_base"], like="enrollments")
    table = with_clustered_rates(call, table, _ENROLLMENT_RATES, clusters, ci=ci)
    rates = {name: [f"{name}{end}" for end in ("", "_n", "_lo", "_hi")] for name in _ENROLLMENT_RATES}
    order = ["enrollments", "finished", "resolved", *rates["completion_rate"], "running", "stuck"]
    order += [*rates["stuck_rate"], "reenrolled", *rates["reenrollment_rate"]]
    order += ["open_enrollments", "prospects_overlapping", *rates["overlap_rate"]]
    result: IntoFrameT = call.write(
        table.select(*keys, *order), sort=keys, instants=[key for key in keys if key.endswith("_at")]
    )
    return result


def _mailed(call: StatContext, mailings: Any) -> nw.LazyFrame[Any]:
    mail = with_delivery(call.read("mailings", mailings, ["id", "sequence_state_id", *SENDING]))
    return mail.filter(nw.col("is_delivered")).select(id=nw.col("sequence_state_id"), active_at=nw.col("sent_at"))


def _enrollment_calls(call: StatContext, calls: Any) -> nw.LazyFrame[Any]:
    needed = ["id", "sequence_state_id", "direction", "dialed_at", "answered_at", "completed_at"]
    called = outbound_calls(call.read("calls", calls, needed))
    return called.select(id=nw.col("sequence_state_id"), active_at=nw.col("called_at"))


def _done(call: StatContext, tasks: Any) -> nw.LazyFrame[Any]:
    done = call.read("tasks", tasks, ["id", "sequence_state_id", "completed_at"])
    return done.select(id=nw.col("sequence_state_id"), active_at=nw.col("completed_at"))


def _planned_waits(call: StatContext, sequences: Any, sequence_steps: Any) -> nw.LazyFrame[Any]:
    """Find the longest wait between two steps of each sequence that tells one [days]."""
    plans = call.read("sequences", sequences, ["id", "duration_in_days"]).rename({"id": "sequence_id"})
    steps = call.read("sequence_steps", sequence_steps, ["id", "sequence_id", "interval"])
    spans = steps.group_by("sequence_id").agg(
        nw.col("interval").max().alias("longest"), nw.col("interval").sum().alias("whole")
    )
    share = nw.when(nw.col("whole") > 0).then(nw.col("longest").cast(nw.Float64) / nw.col("whole").cast(nw.Float64))
    waits = join(plans, spans, "sequence_id").with_columns(
        longest_wait_d=share * nw.col("duration_in_days").cast(nw.Float64)
    )
    return waits.filter((nw.col("longest_wait_d") > 0).fill_null(False)).select("sequence_id", "longest_wait_d")


def _marked(states: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Mark each enrollment as finished, resolved, running, open, or its person's first in the sequence."""
    state = nw.col("state")
    complete = ~nw.col("prospect_id").is_null() & ~nw.col("sequence_id").is_null()
    marked = states.with_columns(
        enrollments=nw.col("id") * 0 + 1,
        finished=(state == "finished").fill_null(False).cast(nw.Int64),
        resolved=state.is_in(ENDED_STATES).fill_null(False).cast(nw.Int64),
        running=state.is_in(RUNNING_STATES).fill_null(False).cast(nw.Int64),
        open_enrollments=(~state.is_in(CLOSED_STATES).fill_null(False)).cast(nw.Int64),
        enrollments_known=complete.cast(nw.Int64),
    )
    pair = ["prospect_id", "sequence_id"]
    firsts = states.filter(complete).group_by(*pair).agg(first_at=nw.col("created_at").min())
    earliest = join(states.filter(complete), firsts, pair)
    earliest = earliest.filter(
        (nw.col("created_at") == nw.col("first_at")).fill_null(False) | nw.col("first_at").is_null()
    )
    first = earliest.group_by(*pair).agg(first_id=nw.col("id").min())
    again = (nw.col("id") != nw.col("first_id")).fill_null(False)
    return join(marked, first, pair).with_columns(reenrolled=again.cast(nw.Int64))


def _active(states: nw.LazyFrame[Any], activity: Sequence[nw.LazyFrame[Any]], now: int) -> nw.LazyFrame[Any]:
    """Add ``active_at``, when something last happened to an enrollment; what came after ``as_of`` had not yet."""
    changed = states.select("id", active_at=nw.col("state_changed_at"))
    active = nw.concat([changed, *activity], how="vertical").filter((nw.col("active_at") <= now).fill_null(False))
    last = active.filter(~nw.col("id").is_null()).group_by("id").agg(nw.col("active_at").max())
    return join(states, last, "id")


def _bucket_counts(
    marked: nw.LazyFrame[Any], keys: Sequence[str], now: int, clusters: Mapping[str, str]
) -> list[nw.LazyFrame[Any]]:
    counted = ["enrollments", "finished", "resolved", "running", "open_enrollments", "enrollments_known", "reenrolled"]
    if "limit" in marked.collect_schema().names():
        silent = (now - nw.col("active_at")).cast(nw.Float64) > nw.col("limit")
        planned = (nw.col("running") == 1) & ~nw.col("limit").is_null()
        marked = marked.with_columns(
            stuck=(planned & silent.fill_null(False)).cast(nw.Int64), stuck_base=planned.cast(nw.Int64)
        )
        counted += ["stuck", "stuck_base"]
    rates = {name: pair for name, pair in _ENROLLMENT_RATES.items() if set(pair) <= set(counted)}
    return counted_parts(marked, keys, counted, rates, clusters)


def _people_counts(
    marked: nw.LazyFrame[Any], keys: Sequence[str], clusters: Mapping[str, str]
) -> list[nw.LazyFrame[Any]]:
    """Count by group the people with an open enrollment in it, and those of them with another one anywhere."""
    who = "prospect_id"
    is_open = marked.filter((nw.col("open_enrollments") == 1) & ~nw.col(who).is_null())
    everywhere = is_open.group_by(who).agg(nw.col("open_enrollments").sum().alias("in_all"))
    rates = {"overlap_rate": _ENROLLMENT_RATES["overlap_rate"]}
    own = {rate: column for rate, column in clusters.items() if rate in rates and column != who}
    inner = [key for key in dict.fromkeys([*keys, *own.values()]) if key != who]
    present = is_open.group_by(who, *inner).agg(nw.col("open_enrollments").max())
    overlapping = join(present, everywhere, who).with_columns(
        id=nw.col(who),
        prospects_open=nw.col("open_enrollments"),
        prospects_overlapping=(nw.col("in_all") > 1).cast(nw.Int64),
    )
    return counted_parts(overlapping, keys, rates["overlap_rate"], rates, own)


BUCKETS = (
    "finished_replied",
    "finished_no_reply",
    "active",
    "pending",
    "paused",
    "paused_ooto",
    "bounced",
    "opted_out",
    "failed",
    "disabled",
    "unknown",
)
"""Where an enrollment can stand, in the order of a picture; a state that is none of the known ones is ``unknown``."""

CLOSED_STATES = ("finished", "opted_out")
"""States that end an enrollment; Outreach's interface treats every other one as active."""

_STATES_WITH_BUCKET = ("active", "pending", "paused", "bounced", "opted_out", "failed", "disabled")
_STATE_COLUMNS = ("id", "sequence_id", "state", "replied_at", "reply_count", "pause_reason")


_SHARE = {"share": ("enrollments", "of_all")}


def state_flow(
    mailings: IntoFrameT,
    *,
    sequence_states: IntoFrameT,
    earlier_sequence_states: IntoFrameT | None = None,
    ooto_prefix: str = "ooto",
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
) -> IntoFrameT:
    """
    Count enrollments by sequence and by where they stand.

    The bucket is the ``state``, with two splits: ``paused`` with a ``pause_reason`` that begins with the out-of-office
    prefix is ``paused_ooto``; ``finished`` is ``finished_replied`` where the enrollment's ``replied_at`` is set, its
    ``reply_count`` is above 0 or one of its mailings was replied to, else ``finished_no_reply``. ``share`` =
    enrollments in the bucket / enrollments of the sequence.

    Parameters
    ----------
    mailings
        ``id``, ``sequence_state_id``, ``delivered_at``, ``bounced_at``, ``replied_at``.
    sequence_states
        ``id``, ``sequence_id``, ``state``, ``replied_at``, ``reply_count``, ``pause_reason``; ``created_at`` where it
        is known.
    earlier_sequence_states
        The enrollments of an earlier snapshot, with the same columns, to see what they have become.
    ooto_prefix
        Compared without regard to case. What Outreach writes there is not documented.
    bounce_policy
        See `mailing_flags`.
    ci
        Confidence level.
    cluster
        Column of the `clusters`; ``"auto"``: the account, else the person; ``None``: independent enrollments.
    as_of
        When the data were extracted; default: what the frames' records say, else the latest ``created_at``.

    Returns
    -------
    flow : frame of the caller's kind, one row per sequence and bucket that occurs, sorted by sequence and bucket
        ``sequence_id``, ``bucket`` (in the order of `BUCKETS`), ``enrollments``, ``share`` with ``_n``, ``_lo``,
        ``_hi``; ``mature`` and ``mature_n`` [enrollments of the bucket and of the sequence that were created at least
        14 days before ``as_of``, by which sequences can be compared; missing without ``created_at``]. In pandas and
        with ``earlier_sequence_states``, `attached` gives ``"transitions"``: ``from``, ``to``, ``count`` of enrollments
        in either snapshot (new ones come ``from`` missing, vanished ones go ``to`` missing).

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        A column of another dtype, an id that occurs twice in memory, frames of two kinds.

    Notes
    -----
    Left out and counted: enrollments without a sequence. The intervals are of single buckets; read the whole vector by
    its counts. Definitions: `outreach_frames.metrics`.

    Examples
    --------
    >>> flow = stats.state_flow(mailings, sequence_states=sequence_states)
    >>> flow[["sequence_id", "bucket", "enrollments"]].head(1).to_dict("records")
    [{'sequence_id': 1, 'bucket': 'finished_replied', 'enrollments': 18}]
    >>> flow["enrollments"].sum() == len(sequence_states)
    True
    """
    call = StatContext("state_flow", ooto_prefix=ooto_prefix, bounce_policy=bounce_policy, ci=ci, cluster=cluster)
    optional = ["created_at", *([] if cluster is None else [*cluster_columns(cluster), PERSON])]
    states = call.read("sequence_states", sequence_states, _STATE_COLUMNS, optional=optional)
    clusters = clusters_of(_SHARE, cluster, states.collect_schema().names(), ["sequence_id"])
    mail = call.read("mailings", mailings, ["id", "sequence_state_id", *SENDING])
    call.optional_instant(as_of)
    replied = _replied(mail, bounce_policy)
    states = call.drop(states, "enrollment without a sequence", ~nw.col("sequence_id").is_null())
    placed = with_bucket(states, replied, ooto_prefix)

    placed = placed.with_columns(enrollments=nw.col("id") * 0 + 1, of_all=nw.col("id") * 0 + 1)
    counted = ["enrollments"]
    if "created_at" in placed.collect_schema().names():
        placed = with_mature(placed, "created_at", as_of=call.as_of, events=placed, happened=["created_at"])
        placed = placed.with_columns(mature=nw.col("is_mature").cast(nw.Int64))
        counted.append("mature")
    counts = placed.group_by("sequence_id", "bucket").agg(nw.col(name).sum() for name in counted)
    of_all = {"enrollments": "of_all", "mature": "mature_n"}
    totals = counts.group_by("sequence_id").agg(nw.col(name).sum().alias(of_all[name]) for name in counted)
    table = with_missing(join(counts, totals, "sequence_id"), ["mature", "mature_n"], like="enrollments")
    for rate, column in clusters.items():
        sums = share_sums(placed, ["sequence_id"], "bucket", name=rate, counts=_SHARE[rate], column=column)
        table = join(table, sums, ["sequence_id", "bucket"])
    table = with_clustered_rates(call, table, _SHARE, clusters, ci=ci)
    keys = ["sequence_id", "bucket"]
    columns = [*keys, "enrollments", "share", "share_n", "share_lo", "share_hi", "mature", "mature_n"]
    transitions = None
    if earlier_sequence_states is not None:
        before = with_bucket(
            call.read("earlier_sequence_states", earlier_sequence_states, _STATE_COLUMNS), replied, ooto_prefix
        )
        transitions = _bucket_transitions(call.table(before), call.table(placed)) if call.in_memory else None
    result: IntoFrameT = call.write(table.select(*columns), sort=keys, categories={"bucket": BUCKETS})
    if isinstance(result, pd.DataFrame) and transitions is not None:
        attach(result, "transitions", transitions)
    return result


def with_bucket(states: nw.LazyFrame[Any], replied: nw.LazyFrame[Any], ooto_prefix: str = "ooto") -> nw.LazyFrame[Any]:
    """Add ``bucket``; ``replied`` lists the enrollments (``id``) with a replied mailing in ``has_reply``."""
    state, reason = nw.col("state"), nw.col("pause_reason").str.to_lowercase()
    answered = (nw.col("has_reply") > 0).fill_null(False) | (nw.col("reply_count") > 0).fill_null(False)
    answered |= ~nw.col("replied_at").is_null()
    splits: Mapping[str, nw.Expr] = {
        **{name: state == name for name in _STATES_WITH_BUCKET},
        "paused_ooto": (state == "paused") & reason.str.starts_with(ooto_prefix.lower()).fill_null(False),
        "finished_no_reply": (state == "finished") & ~answered,
        "finished_replied": (state == "finished") & answered,
    }
    bucket = nw.lit("unknown")
    for name, holds in splits.items():
        bucket = nw.when(holds.fill_null(False)).then(nw.lit(name)).otherwise(bucket)
    return join(states, replied, "id").with_columns(bucket=bucket)


def _replied(mail: nw.LazyFrame[Any], bounce_policy: str) -> nw.LazyFrame[Any]:
    flagged = with_delivery(mail, bounce_policy).filter(
        nw.col("is_delivered") & ~nw.col("replied_at").is_null() & ~nw.col("sequence_state_id").is_null()
    )
    return flagged.group_by("sequence_state_id").agg(has_reply=nw.col("id").count()).rename({"sequence_state_id": "id"})


def _bucket_transitions(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Count enrollments by where they stood and where they stand; it has at most 121 rows."""
    old = before[["id", "bucket"]].rename(columns={"bucket": "from"})
    both = old.merge(after[["id", "bucket"]].rename(columns={"bucket": "to"}), on="id", how="outer", validate="1:1")
    counted: pd.DataFrame = both.groupby(["from", "to"], dropna=False).size().rename("count").reset_index()
    return counted
