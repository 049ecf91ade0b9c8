"""
Engagement: mail sent, delivered, opened, clicked, replied to and unsubscribed from, in all or by sequence.

Rates count mailings (each at most once), people or enrollments, never events: the sum of opens over deliveries can
exceed 100 %.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals as nw
from narwhals.typing import IntoFrameT

from outreach_frames._renamed import with_old_positions
from outreach_frames.metrics import RATES
from outreach_frames.stats._aggregate import (
    MEDIAN,
    CountUnit,
    count_distinct,
    count_units,
    engagement_columns,
    engagement_parts,
    grouping,
    note_unknown,
    stack,
    with_engagement,
    with_missing,
)
from outreach_frames.stats._backends import join, small_table
from outreach_frames.stats._statistic import StatContext, columns_of
from outreach_frames.stats._timestamps import PERIODS, Instant, to_micros, with_local, with_periods
from outreach_frames.stats._validation import columns, id_mapping
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
    external_only,
    note_placing,
    other_tasks,
    outbound_calls,
    with_flags,
)
from outreach_frames.stats.replies import with_automatic


def engagement(
    mailings: IntoFrameT,
    *,
    by: str | Sequence[str] | None = None,
    include_unsequenced: bool = False,
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    tz: str = "UTC",
    email_addresses: IntoFrameT | None = None,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
) -> IntoFrameT:
    """
    Count mailings and their outcomes, with rates and intervals, over all mail or by group.

    ``delivery_rate`` = delivered / sent; ``bounce_rate`` = bounced / sent; ``open_rate`` = opened / delivered with open
    tracking; ``click_rate`` = clicked / delivered with click tracking; ``click_to_open_rate`` = opened and clicked /
    opened with click tracking; ``reply_rate`` = replied / delivered; ``opt_out_rate`` = opted out by link / delivered;
    ``prospect_reply_rate`` = people who replied / people with a delivered mailing; ``prospect_unsubscribe_rate`` =
    people who opted out by link / people with a delivered mailing; ``enrollment_reply_rate`` = enrollments with a reply
    / enrollments with a delivered mailing; ``enrollment_reply_rate_14d`` = enrollments that replied within 14 days of
    their first delivered mailing in the group / enrollments that have had these 14 days; ``enrollment_bounce_rate`` =
    enrollments with a bounce / enrollments with a mailing sent; ``replies_per_100_contacted`` = 100 ×
    ``prospect_reply_rate``, the one figure on such a scale.

    Parameters
    ----------
    mailings
        One row per mailing: the columns of `mailing_flags` without ``marked_as_spam_at``, and ``prospect_id``,
        ``sequence_state_id``.
    by
        Columns to group by. Besides columns: ``"day"``, ``"week"`` (ISO, its Monday), ``"month"`` and ``"quarter"``
        of sending, by their first day, which leave out what was never sent; ``"origin"``, that is ``"sequence"`` or the
        ``mailing_type`` of other mail.
    include_unsequenced
        Keep rows whose key is missing, such as one-off mail by ``sequence_id``, as a group of their own. Without
        ``by``, all mail counts.
    bounce_policy
        See `mailing_flags`.
    ci
        Confidence level of the intervals.
    tz
        IANA zone of calendar groups.
    email_addresses
        E-mail addresses, ``prospect_id`` and ``email``: leave out mail to colleagues, that is, to people with an
        address on the domain of a mailbox that the mailings came from (``mailbox_address``, then needed). With
        mailboxes at a public provider, that would be all of the provider's customers.
    cluster
        Column of the clusters; ``"auto"``: the account, for bounces else the recipients' domain, else the person;
        ``None``: independent mailings. See `clusters`.
    as_of
        When the data were extracted; default: what the frame's record says, else the latest event in the frame.

    Returns
    -------
    engagement : frame of the caller's kind, one row per group, sorted by key
        Keys; counts ``mailings, sent, bounced, delivered, open_base, opened, click_base, clicked, replied, opted_out,
        opens_total, clicks_total, opened_clicked, prospects_replied, prospects_unsubscribed, enrollments_replied,
        enrollments_replied_14d, enrollments_bounced``; each rate with ``_n``,
        ``_lo``, ``_hi`` (fractions; missing where the denominator is 0); ``hours_to_reply_median`` [h], over replied
        mailings with a delivery time. Without ``by`` there is always one row.

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        A column of another dtype, an id that occurs twice in memory, an unknown policy or zone.

    Notes
    -----
    Not counted: scheduled and failed mail in any rate; mail without a prospect in people, which the record tells of;
    one-off mail in enrollments; manual opt-outs in ``opt_out_rate``. Opens and clicks include machines. Interval:
    Wilson (1927), see `intervals`. Definitions: `outreach_frames.metrics`.

    Examples
    --------
    >>> rates = stats.engagement(mailings, by="sequence_id")
    >>> rates[["sequence_id", "delivered", "replied"]].head(2).to_dict("records")
    [{'sequence_id': 1, 'delivered': 473, 'replied': 19}, {'sequence_id': 2, 'delivered': 416, 'replied': 12}]
    >>> rates[["reply_rate", "reply_rate_lo", "reply_rate_hi"]].head(1).round(3).to_dict("records")
    [{'reply_rate': 0.04, 'reply_rate_lo': 0.025, 'reply_rate_hi': 0.063}]
    """
    keys = columns("by", by)
    call = StatContext(
        "engagement",
        by=keys,
        include_unsequenced=include_unsequenced,
        bounce_policy=bounce_policy,
        ci=ci,
        tz=tz,
        cluster=cluster,
    )
    call.parameters["email_addresses"] = email_addresses is not None
    needed = ["mailbox_address"] if email_addresses is not None else []
    frame, days = _read_keyed(call, mailings, keys, bounce_policy, tz, needed=needed, optional=cluster_columns(cluster))
    clusters = clusters_of(RATES, cluster, frame.collect_schema().names(), keys)
    if email_addresses is not None:
        frame = external_only(call, frame, email_addresses)
    call.optional_instant(as_of)
    if not include_unsequenced:
        for key in keys:
            frame = call.drop(frame, f"{key} missing", ~nw.col(key).is_null())
    note_unknown(call, frame)
    frame, groups, parts = grouping(frame, keys)
    counted = engagement_parts(frame, groups, clusters, as_of=call.as_of)
    counts = stack([*parts, *counted], groups, medians=[MEDIAN])
    table = with_engagement(call, counts, clusters, ci=ci)
    result: IntoFrameT = call.write(
        table.select(*keys, *engagement_columns()),
        sort=keys,
        days=days,
        instants=[key for key in keys if key.endswith("_at")],
    )
    return result


def _read_keyed(
    call: StatContext,
    mailings: Any,
    keys: Sequence[str],
    bounce_policy: str,
    tz: str,
    *,
    needed: Sequence[str],
    optional: Sequence[str],
) -> tuple[nw.LazyFrame[Any], list[str]]:
    """Read mailings with flags and keys; also tell which keys are days."""
    needed = ["id", "prospect_id", "sequence_state_id", *ENGAGEMENT, *needed]
    present = columns_of("mailings", mailings)
    computed = [key for key in keys if key in {*PERIODS, "origin"} and key not in present]
    if "origin" in computed:
        needed += ["sequence_id", "mailing_type"]
    columns_read = [key for key in keys if key not in computed]
    read = call.read("mailings", mailings, needed, keys=columns_read, optional=optional, database=True)
    frame = with_flags(read, bounce_policy)
    if "origin" in computed:
        other = nw.col("mailing_type").fill_null("single")
        frame = frame.with_columns(
            origin=nw.when(nw.col("sequence_id").is_null()).then(other).otherwise(nw.lit("sequence"))
        )
    days = [key for key in computed if key in PERIODS]
    if days:
        frame = call.drop(frame, "mailing never sent", nw.col("is_sent"))
        note_placing(call, frame)
        frame = with_local(frame, "sent_at", zones=[tz])
        frame = with_periods(frame, days)
    return frame, days


_STRICT = "enrollment_reply_rate_strict"
_STRICT_UNIT = CountUnit("strict", {"emailed": "delivered", "replied": "replied"}, (_STRICT,))
_STRICT_COUNTS = {_STRICT: ("strict_replied", "strict_emailed")}
_ENGAGEMENT_COUNTS = (
    *("enrollments", "open_enrollments", "automatic_replies"),
    *("contacted_email", "contacted_call", "contacted_any", "touches"),
)
_SEQUENCE_RESULT = (
    *_ENGAGEMENT_COUNTS[:3],
    *(f"{_STRICT}{end}" for end in ("", "_n", "_lo", "_hi")),
    *_ENGAGEMENT_COUNTS[3:],
    "touches_per_contacted",
)
_SEQUENCE_KEY = ["sequence_id"]
_SEQUENCE_COLUMNS = ("id", "sequence_id", "sequence_state_id", "prospect_id", *ENGAGEMENT)


@with_old_positions("sequences")
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
        A column listed above is absent.
    DataError
        A column of another dtype, an id that occurs twice in memory, frames of two kinds.

    Notes
    -----
    Out-of-office answers may count as replies; how far the strict rate lies below the usual one tells how much they
    could matter. Interval: Wilson. Definitions: `outreach_frames.metrics`.

    Examples
    --------
    >>> rates = stats.sequence_engagement(mailings, sequences=sequences, sequence_states=sequence_states)
    >>> rates[["name", "delivered", "enrollments"]].head(1).to_dict("records")
    [{'name': 'Outbound – VP Engineering (cold)', 'delivered': 473, 'enrollments': 161}]
    >>> rates[["enrollment_reply_rate", "enrollment_reply_rate_strict"]].head(1).round(3).to_dict("records")
    [{'enrollment_reply_rate': 0.124, 'enrollment_reply_rate_strict': 0.118}]
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
    needed = [*_SEQUENCE_COLUMNS, *([] if email_addresses is None else ["mailbox_address"])]
    read = call.read("mailings", mailings, needed, optional=cluster_columns(cluster), database=True)
    mail = with_flags(read, bounce_policy)
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
        note_placing(call, mail)
    note_unknown(call, mail)
    clusters = clusters_of([*RATES, _STRICT], cluster, mail.collect_schema().names(), _SEQUENCE_KEY)
    parts = [listed.select("sequence_id"), *engagement_parts(mail, _SEQUENCE_KEY, clusters, as_of=call.as_of)]
    if states is not None:
        parts.append(
            _enrollments(_listed_only(call, _aliased(states, alias), listed, "enrollment in another sequence"))
        )
        parts += _strict_counts(mail, states, clusters.get(_STRICT))
    emailed, others = mail.filter(nw.col("is_delivered")).select(*_SEQUENCE_KEY, "prospect_id"), []
    if read_calls is not None:
        called = outbound_calls(read_calls)
        called = _sent_between(call, _aliased(called, alias), "called_at", since, until)
        called = join(called, listed.select("sequence_id"), "sequence_id", how="semi").select(
            *_SEQUENCE_KEY, "prospect_id"
        )
        parts.append(count_distinct(called, _SEQUENCE_KEY, "prospect_id", "contacted_call"))
        parts.append(_count_people([emailed, called], "contacted_any"))
        others.append(called)
    if read_tasks is not None:
        done = other_tasks(read_tasks)
        done = _sent_between(call, _aliased(done, alias), "completed_at", since, until)
        others.append(
            join(done, listed.select("sequence_id"), "sequence_id", how="semi").select(*_SEQUENCE_KEY, "prospect_id")
        )
    parts += [_count_people([emailed], "contacted_email"), _touch_counts([emailed, *others])]
    table = join(stack(parts, _SEQUENCE_KEY, medians=[MEDIAN]), listed, _SEQUENCE_KEY)
    table = with_engagement(call, table, clusters, ci=ci)
    table = with_missing(table, [*_ENGAGEMENT_COUNTS, "strict_emailed", "strict_replied"], like="mailings")
    table = with_clustered_rates(call, table, _STRICT_COUNTS, clusters, ci=ci)
    table = _with_touches_per(table, "contacted_email" if calls is None else "contacted_any")
    result: IntoFrameT = call.write(
        table.select(*_SEQUENCE_KEY, "name", *engagement_columns(), *_SEQUENCE_RESULT), sort=_SEQUENCE_KEY
    )
    return result


def _with_touches_per(table: nw.LazyFrame[Any], people: str) -> nw.LazyFrame[Any]:
    contacted = nw.when(nw.col(people) > 0).then(nw.col(people).cast(nw.Float64))
    return table.with_columns(touches_per_contacted=nw.col("touches").cast(nw.Float64) / contacted)


def _with_account(mail: nw.LazyFrame[Any], states: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Take the account of mailings from their enrollments, where these tell it and the mailings do not."""
    present = mail.collect_schema().names()
    if any(name in present for name in ACCOUNTS) or "account_id" not in states.collect_schema().names():
        return mail
    return join(mail, states.select("account_id", sequence_state_id=nw.col("id")), "sequence_state_id")


def _strict_counts(mail: nw.LazyFrame[Any], states: nw.LazyFrame[Any], cluster: str | None) -> list[nw.LazyFrame[Any]]:
    """Count the answers that look automatic, and the enrollments that gave another one."""
    counted = with_automatic(mail, states).with_columns(
        automatic_replies=nw.col("is_automatic").cast(nw.Int64),
        delivered=nw.col("is_delivered").cast(nw.Int64),
        replied=(nw.col("is_replied") & ~nw.col("is_automatic")).cast(nw.Int64),
    )
    automatic = counted.group_by(*_SEQUENCE_KEY).agg(nw.col("automatic_replies").sum())
    if cluster is None:
        return [automatic, count_units(counted, _SEQUENCE_KEY, "sequence_state_id", _STRICT_UNIT)]
    marked = with_cluster(counted, cluster)
    by_cluster = count_units(marked, [*_SEQUENCE_KEY, CLUSTER], "sequence_state_id", _STRICT_UNIT)
    return [automatic, cluster_sums(by_cluster, _SEQUENCE_KEY, _STRICT_COUNTS)]


def _count_people(touches: Sequence[nw.LazyFrame[Any]], name: str) -> nw.LazyFrame[Any]:
    return count_distinct(nw.concat(list(touches), how="vertical"), _SEQUENCE_KEY, "prospect_id", name)


def _touch_counts(touches: Sequence[nw.LazyFrame[Any]]) -> nw.LazyFrame[Any]:
    counted = nw.concat(list(touches), how="vertical").with_columns(touches=nw.col("sequence_id") * 0 + 1)
    return counted.group_by(*_SEQUENCE_KEY).agg(nw.col("touches").sum())


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
