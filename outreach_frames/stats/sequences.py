"""Engagement by sequence, with the enrollments and people behind it."""

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals as nw
from narwhals.typing import IntoFrameT

from outreach_frames.stats._addresses import external_only
from outreach_frames.stats._aggregate import (
    MEDIAN,
    RATES,
    Unit,
    count_distinct,
    count_units,
    engagement_columns,
    engagement_parts,
    note_unknown,
    stack,
    with_engagement,
    with_missing,
)
from outreach_frames.stats._backends import join, small_table
from outreach_frames.stats._statistic import StatContext
from outreach_frames.stats._timestamps import Instant, to_micros
from outreach_frames.stats._validation import id_mapping
from outreach_frames.stats.clusters import (
    ACCOUNTS,
    AUTO,
    CLUSTER,
    cluster_columns,
    cluster_sums,
    clusters_of,
    with_cluster,
    with_clustered_rates,
)
from outreach_frames.stats.enrollments import CLOSED_STATES
from outreach_frames.stats.flags import (
    CALL_COLUMNS,
    ENGAGEMENT,
    TASK_COLUMNS,
    other_tasks,
    outbound_calls,
    tell_placing,
    with_flags,
)
from outreach_frames.stats.replies import with_automatic

_STRICT = "enrollment_reply_rate_strict"
_STRICT_UNIT = Unit("strict", {"emailed": "delivered", "replied": "replied"}, (_STRICT,))
_STRICT_COUNTS = {_STRICT: ("strict_replied", "strict_emailed")}
_COUNTS = (
    *("enrollments", "open_enrollments", "automatic_replies"),
    *("contacted_email", "contacted_call", "contacted_any", "touches"),
)
_KEY = ["sequence_id"]


def sequence_engagement(
    mailings: IntoFrameT,
    *,
    sequences: IntoFrameT,
    sequence_states: IntoFrameT | None = None,
    calls: IntoFrameT | None = None,
    tasks: IntoFrameT | None = None,
    alias: Mapping[int, int] | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    email_addresses: IntoFrameT | None = None,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
) -> IntoFrameT:
    """
    Measure engagement by sequence; sequences without mail stay, with missing rates.

    The rates are those of `engagement`; ``enrollment_reply_rate`` is the headline, since adding steps does not lower
    it.

    Parameters
    ----------
    mailings
        As for `engagement`, with ``sequence_id``.
    sequences
        ``id`` and ``name``: the sequences to report on. Mail of others, and one-off mail, is left out and counted.
    sequence_states
        Enrollments: ``id``, ``sequence_id``, ``state``; their ``account_id`` tells the account of their mailings.
    calls
        ``id``, ``sequence_id``, ``prospect_id``, ``direction``, ``dialed_at``, ``answered_at``, ``completed_at``.
    tasks
        ``id``, ``sequence_id``, ``prospect_id``, ``action``, ``completed_at``; completed ones that are neither email
        nor call are touches.
    alias
        Sequence id → id of the sequence to count it under, to pool copies, whose counters start empty.
    since, until
        Mail sent, and calls and tasks done, at or after ``since`` and before ``until``. The time of sending is
        ``delivered_at``, else ``bounced_at``, else ``replied_at``, so that bounces stay in; with either, unsent mail is
        left out.
    bounce_policy, ci, email_addresses, cluster
        See `engagement`.
    as_of
        See `engagement`.

    Returns
    -------
    engagement : frame of the caller's kind, one row per sequence, sorted by ``sequence_id``
        ``sequence_id``, ``name``, the columns of `engagement`; ``enrollments`` and ``open_enrollments`` (neither
        finished nor opted out; of all time, whatever ``since``); ``automatic_replies`` [replied mailings of paused
        enrollments, answered within five minutes of delivery] and ``enrollment_reply_rate_strict`` with ``_n``,
        ``_lo``, ``_hi``, which does not take those for replies; ``contacted_email``, ``contacted_call``,
        ``contacted_any`` [people with a delivered mailing, an outbound call of the sequence, either]; ``touches``
        [delivered mailings, and calls and other tasks where given] and ``touches_per_contacted``. What needs a frame
        that was not given is missing.

    Raises
    ------
    MissingColumnError
        A column is absent.
    DataError
        A wrong dtype, an id that occurs twice in memory, frames of two kinds.

    Notes
    -----
    Out-of-office answers may count as replies; how far the strict rate lies below the usual one tells how much they
    could matter. Interval: Wilson. Definitions: this project's metric dictionary, parts 1.4 (T11, T16), 2.2, 2.8 and 3.
    """
    alias = id_mapping("alias", alias)
    call = StatContext(
        "sequence_engagement",
        alias=alias,
        since=since,
        until=until,
        bounce_policy=bounce_policy,
        ci=ci,
        cluster=cluster,
    )
    call.parameters["email_addresses"] = email_addresses is not None
    own = [] if email_addresses is None else ["mailbox_address"]
    columns = ["id", "sequence_id", "sequence_state_id", "prospect_id", *ENGAGEMENT, *own]
    mail = with_flags(call.read("mailings", mailings, columns, optional=cluster_columns(cluster)), bounce_policy)
    listed = call.read("sequences", sequences, ["id", "name"]).select("name", sequence_id=nw.col("id"))
    listed = call.drop(listed, "sequence counted under its alias", ~nw.col("sequence_id").is_in(list(alias)))
    if email_addresses is not None:
        mail = external_only(call, mail, email_addresses)
    states = None
    if sequence_states is not None:
        optional = ["account_id"] if cluster == AUTO else []
        states = call.read("sequence_states", sequence_states, ["id", "sequence_id", "state"], optional=optional)
        mail = _with_account(mail, states)
    read_calls = None if calls is None else call.read("calls", calls, ["sequence_id", *CALL_COLUMNS])
    read_tasks = None if tasks is None else call.read("tasks", tasks, ["sequence_id", *TASK_COLUMNS])
    call.optional_instant(as_of)
    mail = call.drop(mail, "mailing of no sequence", ~nw.col("sequence_id").is_null())
    mail = _listed_only(call, _aliased(mail, alias), listed, "mailing of a sequence that is not listed")
    mail = _sent_between(call, mail, "sent_at", since, until)
    if since is not None or until is not None:
        tell_placing(call, mail)
    note_unknown(call, mail)
    clusters = clusters_of([*RATES, _STRICT], cluster, mail.collect_schema().names(), _KEY)
    parts = [listed.select("sequence_id"), *engagement_parts(mail, _KEY, clusters, as_of=call.as_of)]
    if states is not None:
        parts.append(
            _enrollments(_listed_only(call, _aliased(states, alias), listed, "enrollment in another sequence"))
        )
        parts += _strict(mail, states, clusters.get(_STRICT))
    emailed, others = mail.filter(nw.col("is_delivered")).select(*_KEY, "prospect_id"), []
    if read_calls is not None:
        called = outbound_calls(read_calls)
        called = _sent_between(call, _aliased(called, alias), "called_at", since, until)
        called = join(called, listed.select("sequence_id"), "sequence_id", how="semi").select(*_KEY, "prospect_id")
        parts.append(count_distinct(called, _KEY, "prospect_id", "contacted_call"))
        parts.append(_people([emailed, called], "contacted_any"))
        others.append(called)
    if read_tasks is not None:
        done = other_tasks(read_tasks)
        done = _sent_between(call, _aliased(done, alias), "completed_at", since, until)
        others.append(join(done, listed.select("sequence_id"), "sequence_id", how="semi").select(*_KEY, "prospect_id"))
    parts += [_people([emailed], "contacted_email"), _touch_counts([emailed, *others])]
    table = with_engagement(call, stack(parts, _KEY, medians=[MEDIAN]), clusters, ci=ci)
    table = with_missing(table, [*_COUNTS, "strict_emailed", "strict_replied"], like="mailings")
    table = with_clustered_rates(call, table, _STRICT_COUNTS, clusters, ci=ci)
    table = join(_with_touches_per(table, "contacted_email" if calls is None else "contacted_any"), listed, _KEY)
    strict = [f"{_STRICT}{end}" for end in ("", "_n", "_lo", "_hi")]
    extra = [*_COUNTS[:3], *strict, *_COUNTS[3:], "touches_per_contacted"]
    result: IntoFrameT = call.write(table.select(*_KEY, "name", *engagement_columns(), *extra), sort=_KEY)
    return result


def _with_touches_per(table: nw.LazyFrame[Any], people: str) -> nw.LazyFrame[Any]:
    met = nw.when(nw.col(people) > 0).then(nw.col(people).cast(nw.Float64))
    return table.with_columns(touches_per_contacted=nw.col("touches").cast(nw.Float64) / met)


def _with_account(mail: nw.LazyFrame[Any], states: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Take the account of mailings from their enrollments, where these tell it and the mailings do not."""
    known = mail.collect_schema().names()
    if any(name in known for name in ACCOUNTS) or "account_id" not in states.collect_schema().names():
        return mail
    return join(mail, states.select("account_id", sequence_state_id=nw.col("id")), "sequence_state_id")


def _strict(mail: nw.LazyFrame[Any], states: nw.LazyFrame[Any], cluster: str | None) -> list[nw.LazyFrame[Any]]:
    """Count the answers that look automatic, and the enrollments that gave another one."""
    counted = with_automatic(mail, states).with_columns(
        automatic_replies=nw.col("is_automatic").cast(nw.Int64),
        delivered=nw.col("is_delivered").cast(nw.Int64),
        replied=(nw.col("is_replied") & ~nw.col("is_automatic")).cast(nw.Int64),
    )
    automatic = counted.group_by(*_KEY).agg(nw.col("automatic_replies").sum())
    if cluster is None:
        return [automatic, count_units(counted, _KEY, "sequence_state_id", _STRICT_UNIT)]
    marked = with_cluster(counted, cluster)
    by_cluster = count_units(marked, [*_KEY, CLUSTER], "sequence_state_id", _STRICT_UNIT)
    return [automatic, cluster_sums(by_cluster, _KEY, _STRICT_COUNTS)]


def _people(touches: Sequence[nw.LazyFrame[Any]], name: str) -> nw.LazyFrame[Any]:
    return count_distinct(nw.concat(list(touches), how="vertical"), _KEY, "prospect_id", name)


def _touch_counts(touches: Sequence[nw.LazyFrame[Any]]) -> nw.LazyFrame[Any]:
    counted = nw.concat(list(touches), how="vertical").with_columns(touches=nw.col("sequence_id") * 0 + 1)
    return counted.group_by(*_KEY).agg(nw.col("touches").sum())


def _aliased(frame: nw.LazyFrame[Any], alias: Mapping[int, int]) -> nw.LazyFrame[Any]:
    if not alias:
        return frame
    table = small_table(frame, {"sequence_id": list(alias), "counted_under": list(alias.values())})
    joined = join(frame, table, "sequence_id")
    return joined.with_columns(sequence_id=nw.coalesce("counted_under", "sequence_id")).drop("counted_under")


def _listed_only(
    call: StatContext, frame: nw.LazyFrame[Any], listed: nw.LazyFrame[Any], reason: str
) -> nw.LazyFrame[Any]:
    marked = join(frame, listed.select("sequence_id", is_listed=nw.col("sequence_id")), "sequence_id")
    return call.drop(marked, reason, ~nw.col("is_listed").is_null()).drop("is_listed")


def _sent_between(
    call: StatContext, frame: nw.LazyFrame[Any], instant: str, since: Instant | None, until: Instant | None
) -> nw.LazyFrame[Any]:
    if since is not None:
        frame = call.drop(frame, "before since, or never sent", (nw.col(instant) >= to_micros(since)).fill_null(False))
    if until is not None:
        frame = call.drop(
            frame, "not before until, or never sent", (nw.col(instant) < to_micros(until)).fill_null(False)
        )
    return frame


def _enrollments(states: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    closed = nw.col("state").is_in(CLOSED_STATES).fill_null(False)
    counted = states.with_columns(enrollments=closed.cast(nw.Int64) * 0 + 1, open_enrollments=1 - closed.cast(nw.Int64))
    return counted.group_by("sequence_id").agg(nw.col("enrollments").sum(), nw.col("open_enrollments").sum())
