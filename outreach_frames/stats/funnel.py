"""
Where in a sequence the replies come from.

A late step has few enrollments left to answer it. Its worth is its hazard, first replies among the enrollments still at
risk, and not its share of all replies.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

import narwhals as nw
from narwhals.typing import IntoFrameT

from outreach_frames._renamed import with_old_positions
from outreach_frames.stats._aggregate import WINDOW, at_the_end, count_distinct, stack, with_mature
from outreach_frames.stats._backends import grouped_median, join, with_sums_so_far
from outreach_frames.stats._statistic import StatContext
from outreach_frames.stats._timestamps import DAY, Instant
from outreach_frames.stats._validation import choice
from outreach_frames.stats.clusters import (
    CLUSTER,
    PERSON,
    cluster_columns,
    clusters_of,
    counted_parts,
    noted_effects,
    with_cluster,
)
from outreach_frames.stats.flags import ENROLLMENT, SENDING, outbound_calls, with_conversation, with_delivery
from outreach_frames.stats.intervals import with_rates, z_value

ATTRIBUTIONS = ("direct", "last_touch", "first_touch")

_STEP = "sequence_step_id"
_MEDIAN = "median_wait_d"
_BY_MAIL = ("sent", "delivered", "replied", "opt_outs", "bounces")
_STEP_NAMES = {"display_name": "step_name", "sequence__name": "sequence__name"}
_STEP_RATES = {"hazard": ("first_replies", "at_risk"), "hazard_14d": ("first_replies_14d", "at_risk_14d")}
_CUMULATIVE = ("cumulative_reply", "cumulative_reply_lo", "cumulative_reply_hi")
_BY_ENROLLMENT = ("enrollments_reached", "at_risk", "first_replies")


@with_old_positions("sequence_steps")
def step_funnel(
    mailings: IntoFrameT,
    *,
    sequence_steps: IntoFrameT,
    calls: IntoFrameT | None = None,
    tasks: IntoFrameT | None = None,
    attribution: str = "direct",
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
) -> IntoFrameT:
    """
    Follow enrollments down the steps of their sequence: who was reached, who was still at risk, who answered.

    ``enrollments_reached``: enrollments with a delivered mailing at the step. ``at_risk``: those without an earlier
    reply or opt-out (an event at the very time of the step's first delivery counts as earlier). ``first_replies``:
    those of them whose first reply is credited to the step and not preceded by an opt-out. ``hazard`` = first_replies /
    at_risk. ``cumulative_reply`` = 1 − Π (1 − hazard) over the mail steps so far, in ``order``.

    Parameters
    ----------
    mailings
        ``id``, ``sequence_state_id``, ``sequence_step_id``, ``delivered_at``, ``bounced_at``, ``replied_at``,
        ``unsubscribed_at``; ``prospect_id`` where it is known.
    sequence_steps
        ``id``, ``sequence_id``, ``order``, ``step_type``: the steps to report on. Steps without mail stay. Their
        ``display_name`` and ``sequence__name`` are kept where they are given.
    calls
        ``id``, ``prospect_id``, ``sequence_state_id``, ``sequence_step_id``, ``direction``, ``outcome``,
        ``dialed_at``, ``answered_at``, ``completed_at``. At steps of type ``call`` the outbound calls take the place
        of mail, and a conversation that of a reply.
    tasks
        ``id``, ``sequence_state_id``, ``sequence_step_id``, ``completed_at``. Steps of type ``task`` are reached by a
        completed task; they have nobody at risk and no hazard.
    attribution
        Which step a first reply is credited to: ``"direct"``, that of the mailing with ``replied_at``;
        ``"last_touch"``, that of the last mailing delivered before the reply; ``"first_touch"``, that of the first.
    bounce_policy, ci, cluster, as_of
        See `engagement`.

    Returns
    -------
    funnel : frame of the caller's kind, one row per step, sorted by ``sequence_id`` and ``order``
        ``sequence_id``, ``order``, ``step_id``, ``step_type``, and where given ``step_name`` (the step's
        ``display_name``) and ``sequence__name``; mailings ``sent``, ``delivered``, ``replied``;
        ``enrollments_reached``, ``at_risk``, ``first_replies``; ``hazard`` with ``_n``, ``_lo``, ``_hi`` (missing where
        nobody is at risk, which leaves the product unchanged); ``hazard_14d`` likewise, over those who were touched at
        least 14 days before ``as_of``, with the replies of their 14 days, by which steps can be compared;
        ``cumulative_reply`` with ``_lo``, ``_hi`` (bounds missing where it is 0 or 1); mailings ``opt_outs``,
        ``bounces``; ``median_wait_d`` [days from the enrollment's latest earlier step, missing at its first].

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        A column of another dtype, an id that occurs twice in memory, frames of two kinds, an unknown attribution.

    Notes
    -----
    Not counted: one-off mail; among enrollments, mail without one. Conversations are no replies and stay out of
    ``cumulative_reply``. Interval: Wilson; of ``cumulative_reply``, Greenwood's on the log(−log) scale, as for
    `kaplan_meier`. Definitions: `outreach_frames.metrics`.

    Examples
    --------
    >>> funnel = stats.step_funnel(mailings, sequence_steps=sequence_steps)
    >>> funnel.loc[funnel["sequence_id"] == 1, "delivered"].tolist()
    [153, 133, 0, 102, 0, 85]
    >>> funnel[["first_replies", "at_risk", "hazard"]].head(1).round(3).to_dict("records")
    [{'first_replies': 6, 'at_risk': 153, 'hazard': 0.039}]
    """
    choice("attribution", attribution, ATTRIBUTIONS)
    call = StatContext("step_funnel", attribution=attribution, bounce_policy=bounce_policy, ci=ci, cluster=cluster)
    needed, optional = ["id", ENROLLMENT, _STEP, *SENDING, "unsubscribed_at"], _optional(cluster)
    mail = call.read("mailings", mailings, needed, optional=optional, database=True)
    column = clusters_of(["hazard"], cluster, mail.collect_schema().names()).get("hazard")
    columns = ["id", "sequence_id", "order", "step_type"]
    named = call.read("sequence_steps", sequence_steps, columns, optional=_STEP_NAMES).rename({"id": _STEP})
    steps = named.select(_STEP, *columns[1:])
    call.optional_instant(as_of)

    mail = _with_outcomes(mail, bounce_policy)
    events = _enrollment_events(mail, attribution)
    mail = call.drop(mail, "mailing of no step", ~nw.col(_STEP).is_null())
    listed = steps.with_columns(is_listed=nw.col(_STEP))
    mail = call.drop(join(mail, listed, _STEP), "mailing of a step that is not listed", ~nw.col("is_listed").is_null())
    by_mail = nw.col("is_delivered") & ~nw.col("step_type").is_in(["call", "task"]).fill_null(False)
    touched = _belonging(mail.filter(by_mail), column).with_columns(touched_at=nw.col("sent_at"))
    count = partial(_enrollment_counts, events=events, mail=mail, as_of=call.as_of, clustered=column is not None)
    parts = [steps.select(_STEP), _mail_counts(mail), *count(_reached(touched))]
    if calls is not None:
        dialed = _belonging(_call_touches(call, calls, steps, optional), column)
        parts += count(_reached(dialed))
    if tasks is not None:
        done = _task_touches(call, tasks, steps)
        parts.append(count_distinct(done, [_STEP], ENROLLMENT, "enrollments_reached"))
    clusters = {} if column is None else dict.fromkeys(_STEP_RATES, column)
    result: IntoFrameT = _funnel_result(call, stack(parts, [_STEP], medians=[_MEDIAN]), named, clusters, ci=ci)
    return result


def _optional(cluster: str | None) -> list[str]:
    return [] if cluster is None else [*cluster_columns(cluster), PERSON]


def _belonging(touches: nw.LazyFrame[Any], column: str | None) -> nw.LazyFrame[Any]:
    """Add the cluster of each touch: a column that these touches have, else the person."""
    if column is None:
        return touches
    present = touches.collect_schema().names()
    first = next(name for name in (column, PERSON, ENROLLMENT) if name in present)
    return with_cluster(touches, first, person=PERSON if PERSON in present else None)


def _with_outcomes(mail: nw.LazyFrame[Any], bounce_policy: str) -> nw.LazyFrame[Any]:
    delivered = nw.col("is_delivered")
    return with_delivery(mail, bounce_policy).with_columns(
        is_replied=delivered & ~nw.col("replied_at").is_null(),
        is_opted_out=delivered & ~nw.col("unsubscribed_at").is_null(),
        answered_at=nw.when(delivered).then(nw.col("replied_at")),
    )


def _mail_counts(mail: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    flags = ("is_sent", "is_delivered", "is_replied", "is_opted_out", "is_bounced")
    counted = mail.with_columns(
        nw.col(flag).cast(nw.Int64).alias(name) for name, flag in zip(_BY_MAIL, flags, strict=True)
    )
    return counted.group_by(_STEP).agg(nw.col(name).sum() for name in _BY_MAIL)


def _enrollment_events(mail: nw.LazyFrame[Any], attribution: str) -> nw.LazyFrame[Any]:
    """Find first reply and first opt-out of the enrollments that have either, and the step credited with the reply."""
    needed = ["id", ENROLLMENT, _STEP, "is_delivered", "sent_at", "answered_at", "unsubscribed_at"]
    enrolled = mail.select(*needed).filter(~nw.col(ENROLLMENT).is_null())
    ended = enrolled.filter(~nw.col("answered_at").is_null() | ~nw.col("unsubscribed_at").is_null())
    firsts = ended.group_by(ENROLLMENT).agg(
        nw.col("answered_at").min().alias("reply_at"), nw.col("unsubscribed_at").min().alias("opt_out_at")
    )
    delivered = (ended if attribution == "direct" else enrolled).filter(nw.col("is_delivered"))
    candidates = join(delivered, firsts.filter(~nw.col("reply_at").is_null()), ENROLLMENT, how="inner")
    if attribution == "direct":
        candidates = candidates.filter((nw.col("answered_at") == nw.col("reply_at")).fill_null(False))
    else:
        candidates = candidates.filter(nw.col("sent_at") <= nw.col("reply_at"))
    ends: Literal["min", "max"] = "min" if attribution == "first_touch" else "max"
    for column in ("sent_at", "id"):
        candidates = at_the_end(candidates, ENROLLMENT, column, ends)
    return join(firsts, candidates.select(ENROLLMENT, credited_step=nw.col(_STEP)), ENROLLMENT)


def _reached(touches: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Find when each enrollment was first touched at each step."""
    firsts = [nw.col("touched_at").min(), nw.col("order").min()]
    needed = [_STEP, ENROLLMENT, "touched_at", "order"]
    for column in ("is_conversation", CLUSTER):
        if column in touches.collect_schema().names():
            firsts.append(nw.col(column).max())
            needed.append(column)
    first = touches.select(*needed).filter(~nw.col(ENROLLMENT).is_null())
    return first.group_by(_STEP, ENROLLMENT).agg(*firsts)


def _enrollment_counts(
    reached: nw.LazyFrame[Any],
    *,
    events: nw.LazyFrame[Any],
    mail: nw.LazyFrame[Any],
    as_of: str | None,
    clustered: bool,
) -> list[nw.LazyFrame[Any]]:
    """Count enrollments reached, at risk and answering, by step, and take the median wait."""
    table = join(reached, events, ENROLLMENT)
    reply, opt_out, touched = nw.col("reply_at"), nw.col("opt_out_at"), nw.col("touched_at")
    ended = (reply <= touched).fill_null(False) | (opt_out <= touched).fill_null(False)
    if "is_conversation" in reached.collect_schema().names():
        answered = nw.col("is_conversation") == 1
        in_time = answered
    else:
        credited = (nw.col("credited_step") == nw.col(_STEP)).fill_null(False)
        answered = credited & ~(opt_out < reply).fill_null(False)
        in_time = answered & (reply - touched <= WINDOW).fill_null(False)
    table = with_mature(table, "touched_at", as_of=as_of, events=mail, happened=["sent_at", "answered_at"])
    mature = ~ended & nw.col("is_mature")
    counted = table.with_columns(
        id=nw.col(ENROLLMENT),
        enrollments_reached=ended.cast(nw.Int64) * 0 + 1,
        at_risk=(~ended).cast(nw.Int64),
        first_replies=(~ended & answered).cast(nw.Int64),
        at_risk_14d=mature.cast(nw.Int64),
        first_replies_14d=(mature & in_time).cast(nw.Int64),
    )
    counts = [*_BY_ENROLLMENT, *_STEP_RATES["hazard_14d"]]
    clusters = dict.fromkeys(_STEP_RATES, CLUSTER) if clustered else {}
    sums = counted_parts(counted, [_STEP], counts, _STEP_RATES, clusters, person=None)
    return [*sums, grouped_median(_waits(reached), [_STEP], "wait_d", _MEDIAN)]


def _waits(reached: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Measure the time since the enrollment's latest earlier step [days]; its first step has none."""
    earlier = reached.select(ENROLLMENT, earlier_order=nw.col("order"), earlier_at=nw.col("touched_at"))
    later = reached.select(_STEP, ENROLLMENT, "order", "touched_at")
    pairs = join(later, earlier, ENROLLMENT, how="inner").filter(
        (nw.col("earlier_order") < nw.col("order")) & (nw.col("earlier_at") <= nw.col("touched_at"))
    )
    pairs = pairs.with_columns(wait_d=(nw.col("touched_at") - nw.col("earlier_at")) / DAY)
    return pairs.group_by(_STEP, ENROLLMENT).agg(nw.col("wait_d").min())


def _call_touches(
    call: StatContext, calls: Any, steps: nw.LazyFrame[Any], optional: Sequence[str]
) -> nw.LazyFrame[Any]:
    columns = ["id", ENROLLMENT, _STEP, "direction", "outcome", "dialed_at", "answered_at", "completed_at"]
    dialed = with_conversation(outbound_calls(call.read("calls", calls, columns, optional=optional)))
    placed = join(dialed, steps.filter(nw.col("step_type") == "call"), _STEP, how="inner")
    return placed.with_columns(touched_at=nw.col("called_at"), is_conversation=nw.col("is_conversation").cast(nw.Int64))


def _task_touches(call: StatContext, tasks: Any, steps: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    read = call.read("tasks", tasks, ["id", ENROLLMENT, _STEP, "completed_at"])
    placed = join(read, steps.filter(nw.col("step_type") == "task"), _STEP, how="inner")
    return placed.with_columns(touched_at=nw.col("completed_at")).filter(~nw.col("touched_at").is_null())


def _funnel_result(
    call: StatContext, counts: nw.LazyFrame[Any], steps: nw.LazyFrame[Any], clusters: Mapping[str, str], *, ci: float
) -> Any:
    table = noted_effects(call, join(counts, steps, _STEP), _STEP_RATES, clusters)
    effect = nw.col("hazard_deff") if clusters else nw.lit(1.0)
    table = with_rates(table.with_columns(design_effect=effect), _STEP_RATES, ci=ci)
    table = _with_cumulative(table, ci).with_columns(step_id=nw.col(_STEP)).rename(_names_in(steps))
    keys = ["sequence_id", "order", "step_id", "step_type"]
    rates = [*(f"{rate}{end}" for rate in _STEP_RATES for end in ("", "_n", "_lo", "_hi")), *_CUMULATIVE]
    columns = [*keys, *_names_in(steps).values(), *_BY_MAIL[:3], *_BY_ENROLLMENT, *rates, *_BY_MAIL[3:], _MEDIAN]
    return call.write(table.select(*columns), sort=["sequence_id", "order", "step_id"])


def _names_in(steps: nw.LazyFrame[Any]) -> dict[str, str]:
    """List the columns of names that are present, and their names in the result."""
    present = steps.collect_schema().names()
    return {column: name for column, name in _STEP_NAMES.items() if column in present}


def _with_cumulative(table: nw.LazyFrame[Any], ci: float) -> nw.LazyFrame[Any]:
    """
    Multiply up 1 − hazard over the mail steps so far, with its band.

    Engines sum logarithms, and none has a product. Greenwood: the variance of log Π (1 − h) is Σ h / (n (1 − h)), which
    the log(−log) scale turns into a band inside [0, 1].
    """
    by_mail = ~(nw.col("step_type") == "call").fill_null(False)
    certain = (nw.col("hazard") == 1).fill_null(False) & by_mail
    left = nw.when((nw.col("hazard") < 1).fill_null(False) & by_mail).then(1.0 - nw.col("hazard"))
    factors = table.with_columns(
        certain=certain.cast(nw.Int64),
        log_left=left.otherwise(nw.lit(1.0)).log(),
        variance=(nw.col("design_effect") * (1.0 - left) / (left * nw.col("at_risk").cast(nw.Float64))).fill_null(0.0),
    )
    sums = {"certain_so_far": "certain", "log_left_so_far": "log_left", "variance_so_far": "variance"}
    summed = with_sums_so_far(factors, sums, key=_STEP, within="sequence_id", by="order")
    certain, log_left = nw.col("certain_so_far") > 0, nw.col("log_left_so_far")
    cumulative = 1.0 - nw.when(certain).then(nw.lit(0.0)).otherwise(log_left.exp())
    log_left = nw.when(~certain & (log_left < 0)).then(log_left)
    spread = (z_value(ci) * nw.col("variance_so_far").sqrt() / -log_left).exp()
    return summed.with_columns(
        cumulative_reply=cumulative,
        cumulative_reply_lo=1.0 - (log_left / spread).exp(),
        cumulative_reply_hi=1.0 - (log_left * spread).exp(),
    )
