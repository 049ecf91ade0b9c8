"""
Engagement: mail sent, delivered, opened, clicked, replied to and unsubscribed from.

Rates count mailings (each at most once), people or enrollments, never events: the sum of opens over deliveries can
exceed 100 %.
"""

from collections.abc import Sequence
from typing import Any

import narwhals as nw
from narwhals.typing import IntoFrameT

from outreach_frames.stats._addresses import external_only
from outreach_frames.stats._aggregate import (
    MEDIAN,
    RATES,
    engagement_columns,
    engagement_parts,
    grouping,
    note_unknown,
    stack,
    with_engagement,
)
from outreach_frames.stats._backends import join
from outreach_frames.stats._statistic import StatContext, columns_of
from outreach_frames.stats._timestamps import HOUR, PERIODS, Instant, with_local, with_periods
from outreach_frames.stats._validation import columns, words
from outreach_frames.stats.clusters import cluster_columns, clusters_of
from outreach_frames.stats.flags import ENGAGEMENT, tell_placing, with_flags
from outreach_frames.stats.suspects import OPEN_EVENTS

METHODS = ("wilson",)


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
        What belongs together, so that its outcomes are alike and the intervals are wider: ``"auto"`` takes the account
        where the frame has it (``account_id`` or ``prospect__account_id``), else for bounces the
        ``recipient_domain`` where the frame has it, else the person; or a column's name; or ``None``: independent
        mailings.
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
        A column is absent.
    DataError
        A wrong dtype, an id that occurs twice in memory, an unknown policy or zone.

    Notes
    -----
    Not counted: scheduled and failed mail in any rate; mail to nobody known in people, which the record tells of;
    one-off mail in enrollments; manual opt-outs in ``opt_out_rate``. Opens and clicks include machines. Interval:
    Wilson (1927), see `intervals`. Definitions: this project's metric dictionary, parts 1.3, 1.4 (T11), 2.1 and 2.2.
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
    given = [key for key in keys if key not in computed]
    read = call.read("mailings", mailings, needed, keys=given, optional=optional)
    frame = with_flags(read, bounce_policy)
    if "origin" in computed:
        other = nw.col("mailing_type").fill_null("single")
        frame = frame.with_columns(
            origin=nw.when(nw.col("sequence_id").is_null()).then(other).otherwise(nw.lit("sequence"))
        )
    days = [key for key in computed if key in PERIODS]
    if days:
        frame = call.drop(frame, "mailing never sent", nw.col("is_sent"))
        tell_placing(call, frame)
        frame = with_local(frame, "sent_at", zones=[tz])
        frame = with_periods(frame, days)
    return frame, days


def first_opens(
    mailings: IntoFrameT,
    *,
    events: IntoFrameT | None = None,
    open_events: Sequence[str] = OPEN_EVENTS,
    bounce_policy: str = "reply_wins",
) -> IntoFrameT:
    """
    Date the first open of each opened mailing, and tell whether that date is exact or the latest it can be.

    ``hours_to_open`` = first open − ``delivered_at``. ``opened_at`` is the most recent open, so that it is the first
    one only where exactly one open was counted; otherwise it is an upper bound. The event log has every open.

    Parameters
    ----------
    mailings
        As for `mailing_flags` without ``marked_as_spam_at``.
    events
        ``name``, ``event_at``, ``mailing_id``: the event log.
    open_events
        Names of the events that are opens; the vendor's list is not complete.
    bounce_policy
        See `mailing_flags`.

    Returns
    -------
    opens : frame of the caller's kind, one row per opened mailing, sorted by ``mailing_id``
        ``mailing_id``; ``delivered_at``; ``open_count`` [opens]; ``first_open_at`` (missing where no time is known);
        ``hours_to_open`` [h, missing without both times]; ``first_open_exact``: exactly one open was counted, or the
        event log holds at least as many as were counted; otherwise the first open may have been earlier.

    Raises
    ------
    MissingColumnError
        A column is absent.
    DataError
        A wrong dtype, an id that occurs twice in memory, frames of two kinds.

    Notes
    -----
    Left out and counted: mailings not opened, and what is not tracked. Opens include machines', which come first; see
    `suspect_engagement`. Source: attribute description of ``openedAt`` in the Outreach API v2; this project's metric
    dictionary, part 1.4, T3.
    """
    names = words("open_events", open_events)
    call = StatContext("first_opens", open_events=names, bounce_policy=bounce_policy)
    mail = with_flags(call.read("mailings", mailings, ["id", *ENGAGEMENT]), bounce_policy)
    log = None if events is None else call.read("events", events, ["name", "event_at", "mailing_id"])
    mail = call.drop(mail, "mailing not opened", nw.col("is_opened")).rename({"id": "mailing_id"})
    known = (nw.col("opens_total") == 1) & ~nw.col("opened_at").is_null()
    opened = mail.with_columns(first_open_at=nw.col("opened_at"), first_open_exact=known)
    if log is not None:
        seen = log.filter(nw.col("name").is_in(names).fill_null(False) & ~nw.col("mailing_id").is_null())
        seen = seen.group_by("mailing_id").agg(logged_at=nw.col("event_at").min(), logged=nw.col("event_at").count())
        opened = join(opened, seen, "mailing_id")
        complete = (nw.col("logged") >= nw.col("opens_total")).fill_null(False) & ~nw.col("logged_at").is_null()
        earlier = (nw.col("logged_at") < nw.col("opened_at")).fill_null(False) | nw.col("opened_at").is_null()
        opened = opened.with_columns(
            first_open_at=nw.when(earlier).then(nw.col("logged_at")).otherwise(nw.col("opened_at")),
            first_open_exact=nw.col("first_open_exact") | complete,
        )
    timed = opened.with_columns(
        open_count=nw.col("opens_total"), hours_to_open=(nw.col("first_open_at") - nw.col("delivered_at")) / HOUR
    )
    columns = ["mailing_id", "delivered_at", "open_count", "first_open_at", "hours_to_open", "first_open_exact"]
    result: IntoFrameT = call.write(
        timed.select(*columns), sort=["mailing_id"], instants=["delivered_at", "first_open_at"]
    )
    return result
