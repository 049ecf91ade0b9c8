"""Enrolments taken together: how many came to an end, got stuck, came again, or met another one."""

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals as nw
from narwhals.typing import IntoFrameT

from outreach_frames.errors import DataError
from outreach_frames.stats._calendar import DAY
from outreach_frames.stats._call import Call
from outreach_frames.stats._engines import join
from outreach_frames.stats._instants import Instant
from outreach_frames.stats._parameters import columns
from outreach_frames.stats._tally import grouping, stack, with_missing
from outreach_frames.stats._touches import outbound_calls
from outreach_frames.stats.clusters import cluster_columns, clusters_of, counted_parts, with_clustered_rates
from outreach_frames.stats.flags import SENDING, with_delivery
from outreach_frames.stats.outcomes import CLOSED_STATES

ENDED_STATES = ("finished", "bounced", "opted_out", "failed")
"""States of resolved enrolments; only the first is a completion."""

RUNNING_STATES = ("pending", "active", "paused")
"""States from which an enrolment goes on, by itself or once somebody lets it; with a resolved one it cannot be both."""

_STUCK = {"stuck_rate": ("stuck", "stuck_base")}
_RATES = {
    "completion_rate": ("finished", "resolved"),
    **_STUCK,
    "reenrolment_rate": ("reenrolled", "enrolments_known"),
    "overlap_rate": ("prospects_overlapping", "prospects_open"),
}


def enrolment_outcomes(
    sequence_states: IntoFrameT,
    mailings: IntoFrameT,
    *,
    sequences: IntoFrameT | None = None,
    sequence_steps: IntoFrameT | None = None,
    calls: IntoFrameT | None = None,
    tasks: IntoFrameT | None = None,
    by: str | Sequence[str] | None = "sequence_id",
    spacing: float = 2,
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
) -> IntoFrameT:
    """
    Count the enrolments that came to an end, got stuck, came again, or met another one.

    ``completion_rate`` = finished / (finished + bounced + opted out + failed). ``stuck_rate`` = running enrolments
    whose last activity is older than ``spacing`` times the longest planned wait of their sequence / running enrolments
    (pending, active or paused). ``reenrolment_rate`` = enrolments beyond the person's first in the same sequence /
    enrolments. ``overlap_rate`` = people with two or more open enrolments, in any sequence / people with an open
    enrolment in the group; open is what Outreach's interface calls so, all but finished and opted out.

    Parameters
    ----------
    sequence_states
        Enrolments: ``id``, ``prospect_id``, ``sequence_id``, ``state``, ``created_at``, ``state_changed_at``, and the
        columns of ``by``.
    mailings
        ``id``, ``sequence_state_id``, ``delivered_at``, ``bounced_at``, ``replied_at``.
    sequences, sequence_steps
        ``id``, ``duration_in_days``, and ``id``, ``sequence_id``, ``interval``: the plan, both needed for
        ``stuck_rate``.
    calls, tasks
        ``id``, ``sequence_state_id``, and ``direction``, ``dialed_at``, ``answered_at``, ``completed_at``, or
        ``completed_at``: further activity.
    by
        Columns of the enrolments to group by, such as ``"user_id"``; ``None`` for one row.
    spacing
        How many times the longest planned wait may pass before an enrolment counts as stuck.
    ci
        Confidence level.
    cluster
        What belongs together, so that its outcomes are alike: ``"auto"`` takes the account where the enrolments have
        ``account_id``, else the person where they have ``prospect_id``; or a column's name; or ``None``: independent
        enrolments.
    as_of
        When the data were extracted; default: what the frames' records say.

    Returns
    -------
    outcomes : frame of the caller's kind, one row per group, sorted by key
        Keys; ``enrolments``; ``finished`` and ``resolved``, ``completion_rate``; ``running``, ``stuck``,
        ``stuck_rate``; ``reenrolled``, ``reenrolment_rate``; ``open_enrolments``, ``prospects_overlapping``,
        ``overlap_rate``; each rate with ``_n``, ``_lo``, ``_hi``. No enrolment is both ``resolved`` and ``running``;
        disabled ones and those of an unknown state are neither. ``open_enrolments`` are those of `overlaps`: the
        running ones and, as in the interface, the bounced, failed, disabled and unknown. ``stuck`` and its rate are
        missing without the plan; ``stuck_rate_n`` leaves out the running enrolments of sequences whose plan tells no
        wait.

    Raises
    ------
    MissingColumnError
        A column is absent.
    DataError
        ``as_of`` is unknown or later than the extraction; only half of the plan is given; a wrong dtype; an id that
        occurs twice in memory; frames of two kinds.

    Notes
    -----
    The last activity is the latest of mail delivered, outbound calls, tasks completed and the last change of state; an
    enrolment without any is not stuck. The planned wait is the largest step interval as a share of all, times
    the sequence's duration: so the unit of intervals, of which the vendor's documents disagree, does not matter. Left
    out and counted: enrolments created after ``as_of`` or whose key is missing; enrolments of nobody known are in
    neither of the last two rates. Interval: Wilson. Definition: this project's metric dictionary, parts 1.4 (T24) and
    2.3.

    The dictionary takes the open enrolments as the base of ``stuck_rate``; here it is the running ones, since bounced
    and failed enrolments are resolved by its own ``completion_rate`` and have no next step to be late for.
    """
    if (sequences is None) != (sequence_steps is None):
        raise DataError("The plan needs both sequences and sequence_steps.", hint="Pass both, or neither.")
    keys = columns("by", by)
    call = Call("enrolment_outcomes", by=keys, spacing=spacing, ci=ci, cluster=cluster)
    needed = ["id", "prospect_id", "sequence_id", "state", "created_at", "state_changed_at"]
    states = call.read("sequence_states", sequence_states, needed, keys=keys, optional=cluster_columns(cluster))
    clusters = clusters_of(_RATES, cluster, states.collect_schema().names(), keys)
    activity = [_mailed(call, mailings)]
    if calls is not None:
        activity.append(_called(call, calls))
    if tasks is not None:
        activity.append(_done(call, tasks))
    waits = None if sequences is None else _planned_waits(call, sequences, sequence_steps)
    now = call.instant(as_of)

    early = (nw.col("created_at") <= now).fill_null(True)
    states = call.drop(states, "enrolment created after as_of", early)
    for key in keys:
        states = call.drop(states, f"{key} missing", ~nw.col(key).is_null())
    marked = _marked(states)
    if waits is not None:
        limit = nw.col("longest_wait_d") * (spacing * DAY)
        marked = join(_active(marked, activity, now), waits, "sequence_id").with_columns(limit=limit)
    marked, groups, parts = grouping(marked, keys)
    parts += [*_counts(marked, groups, now, clusters), *_people(marked, groups, clusters)]
    table = with_missing(stack(parts, groups), ["stuck", "stuck_base"], like="enrolments")
    table = with_clustered_rates(call, table, _RATES, clusters, ci=ci)
    rates = {name: [f"{name}{end}" for end in ("", "_n", "_lo", "_hi")] for name in _RATES}
    shown = ["enrolments", "finished", "resolved", *rates["completion_rate"], "running", "stuck"]
    shown += [*rates["stuck_rate"], "reenrolled", *rates["reenrolment_rate"]]
    shown += ["open_enrolments", "prospects_overlapping", *rates["overlap_rate"]]
    result: IntoFrameT = call.write(
        table.select(*keys, *shown), sort=keys, instants=[key for key in keys if key.endswith("_at")]
    )
    return result


def _mailed(call: Call, mailings: Any) -> nw.LazyFrame[Any]:
    mail = with_delivery(call.read("mailings", mailings, ["id", "sequence_state_id", *SENDING]))
    return mail.filter(nw.col("is_delivered")).select(id=nw.col("sequence_state_id"), active_at=nw.col("sent_at"))


def _called(call: Call, calls: Any) -> nw.LazyFrame[Any]:
    needed = ["id", "sequence_state_id", "direction", "dialed_at", "answered_at", "completed_at"]
    called = outbound_calls(call.read("calls", calls, needed))
    return called.select(id=nw.col("sequence_state_id"), active_at=nw.col("called_at"))


def _done(call: Call, tasks: Any) -> nw.LazyFrame[Any]:
    done = call.read("tasks", tasks, ["id", "sequence_state_id", "completed_at"])
    return done.select(id=nw.col("sequence_state_id"), active_at=nw.col("completed_at"))


def _planned_waits(call: Call, sequences: Any, sequence_steps: Any) -> nw.LazyFrame[Any]:
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
    """Tell of each enrolment whether it is finished, resolved, running, open, or its person's first in the sequence."""
    state = nw.col("state")
    known = ~nw.col("prospect_id").is_null() & ~nw.col("sequence_id").is_null()
    marked = states.with_columns(
        enrolments=nw.col("id") * 0 + 1,
        finished=(state == "finished").fill_null(False).cast(nw.Int64),
        resolved=state.is_in(ENDED_STATES).fill_null(False).cast(nw.Int64),
        running=state.is_in(RUNNING_STATES).fill_null(False).cast(nw.Int64),
        open_enrolments=(~state.is_in(CLOSED_STATES).fill_null(False)).cast(nw.Int64),
        enrolments_known=known.cast(nw.Int64),
    )
    pair = ["prospect_id", "sequence_id"]
    firsts = states.filter(known).group_by(*pair).agg(first_at=nw.col("created_at").min())
    earliest = join(states.filter(known), firsts, pair)
    earliest = earliest.filter(
        (nw.col("created_at") == nw.col("first_at")).fill_null(False) | nw.col("first_at").is_null()
    )
    first = earliest.group_by(*pair).agg(first_id=nw.col("id").min())
    again = (nw.col("id") != nw.col("first_id")).fill_null(False)
    return join(marked, first, pair).with_columns(reenrolled=again.cast(nw.Int64))


def _active(states: nw.LazyFrame[Any], activity: Sequence[nw.LazyFrame[Any]], now: int) -> nw.LazyFrame[Any]:
    """Add ``active_at``, when something last happened to an enrolment; what came after ``as_of`` had not yet."""
    changed = states.select("id", active_at=nw.col("state_changed_at"))
    known = nw.concat([changed, *activity], how="vertical").filter((nw.col("active_at") <= now).fill_null(False))
    last = known.filter(~nw.col("id").is_null()).group_by("id").agg(nw.col("active_at").max())
    return join(states, last, "id")


def _counts(
    marked: nw.LazyFrame[Any], keys: Sequence[str], now: int, clusters: Mapping[str, str]
) -> list[nw.LazyFrame[Any]]:
    counted = ["enrolments", "finished", "resolved", "running", "open_enrolments", "enrolments_known", "reenrolled"]
    if "limit" in marked.collect_schema().names():
        silent = (now - nw.col("active_at")).cast(nw.Float64) > nw.col("limit")
        planned = (nw.col("running") == 1) & ~nw.col("limit").is_null()
        marked = marked.with_columns(
            stuck=(planned & silent.fill_null(False)).cast(nw.Int64), stuck_base=planned.cast(nw.Int64)
        )
        counted += ["stuck", "stuck_base"]
    rates = {name: pair for name, pair in _RATES.items() if set(pair) <= set(counted)}
    return counted_parts(marked, keys, counted, rates, clusters)


def _people(marked: nw.LazyFrame[Any], keys: Sequence[str], clusters: Mapping[str, str]) -> list[nw.LazyFrame[Any]]:
    """Count by group the people with an open enrolment in it, and those of them with another one anywhere."""
    who = "prospect_id"
    is_open = marked.filter((nw.col("open_enrolments") == 1) & ~nw.col(who).is_null())
    everywhere = is_open.group_by(who).agg(nw.col("open_enrolments").sum().alias("in_all"))
    rates = {"overlap_rate": _RATES["overlap_rate"]}
    own = {rate: column for rate, column in clusters.items() if rate in rates and column != who}
    inner = [key for key in dict.fromkeys([*keys, *own.values()]) if key != who]
    present = is_open.group_by(who, *inner).agg(nw.col("open_enrolments").max())
    met = join(present, everywhere, who).with_columns(
        id=nw.col(who),
        prospects_open=nw.col("open_enrolments"),
        prospects_overlapping=(nw.col("in_all") > 1).cast(nw.Int64),
    )
    return counted_parts(met, keys, rates["overlap_rate"], rates, own)
