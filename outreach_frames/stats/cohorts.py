"""Cohorts: whether enrollments of later weeks do better, once they have had the same time."""

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals as nw
import pandas as pd
from narwhals.typing import IntoFrameT

from outreach_frames._warnings import warn
from outreach_frames.errors import DataError, ImmatureCohortWarning
from outreach_frames.stats._aggregate import stack
from outreach_frames.stats._backends import join, small_table, tidied
from outreach_frames.stats._statistic import StatContext
from outreach_frames.stats._timestamps import DAY, Instant, with_local, with_periods
from outreach_frames.stats._validation import choice, words
from outreach_frames.stats.calls import MEETING_WORDS, meeting_times, proxy, read_calls
from outreach_frames.stats.clusters import (
    PERSON,
    SUMS,
    cluster_columns,
    clusters_of,
    counted_parts,
    with_clustered_rates,
)
from outreach_frames.stats.flags import SENDING
from outreach_frames.stats.provenance import attach
from outreach_frames.stats.survival import first_events

_EVENT_AT = {
    "reply": "reply_at",
    "opt_out": "opt_out_at",
    "bounce": "bounce_at",
    "contact": "contact_at",
    "meeting_proxy": "meeting_at",
}
_WEEK = 7 * DAY
_RATE = {"rate": ("events", "enrollments")}


def cohort_matrix(
    mailings: IntoFrameT,
    *,
    sequence_states: IntoFrameT,
    calls: IntoFrameT | None = None,
    call_dispositions: IntoFrameT | None = None,
    mailbox_health: pd.DataFrame | None = None,
    event: str = "reply",
    weeks: int = 8,
    tz: str = "UTC",
    meeting_words: str | Sequence[str] = MEETING_WORDS,
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
) -> IntoFrameT:
    """
    Follow enrollments by the week they were created in.

    A cohort is an ISO week of ``created_at``. ``rate`` in week k = enrollments with a first event less than 7(k + 1)
    days after their creation / **all** enrollments of the cohort; it is cumulative.

    Parameters
    ----------
    mailings
        ``id``, ``sequence_state_id``, ``delivered_at``, ``bounced_at``, ``replied_at``, ``unsubscribed_at``.
    sequence_states
        Enrollments: ``id``, ``created_at``.
    calls, call_dispositions
        For ``event="meeting_proxy"``; see `meetings`.
    mailbox_health
        Result of `mailbox_health`: to flag the cells in which answers may have gone unseen. The mailings then need
        ``mailbox_id``.
    event
        ``"reply"``, ``"opt_out"`` (by link), ``"bounce"``, ``"contact"`` (first delivered mailing) or
        ``"meeting_proxy"``: a call of the enrollment whose disposition or tag contains one of ``meeting_words``.
    weeks
        How many weeks to follow [weeks].
    tz
        IANA zone of the weeks.
    meeting_words
        See `meetings`.
    bounce_policy
        See `mailing_flags`.
    ci
        Confidence level.
    cluster
        Column of the `clusters`; ``"auto"``: the account, else the person; ``None``: independent enrollments.
    as_of
        When the data were extracted; default: what the frames' records say. Later events and enrollments are not seen.

    Returns
    -------
    cohorts : frame of the caller's kind, one row per cohort and week, sorted
        ``cohort_week`` (its Monday), ``week`` (k, from 0), ``enrollments``, ``events``, ``rate`` with ``_n``, ``_lo``,
        ``_hi``, ``mature``, ``blind``. A cell is mature when even the youngest enrollment has had its 7(k + 1) days at
        ``as_of``; an immature one has its count so far, and no rate. It is blind when an enrollment of it was mailed
        from a mailbox that has not synchronized since before the cell's time was over (missing without
        ``mailbox_health``). In pandas, `attached` gives the ``"wide"`` table of rates. For meetings, the record's
        ``proxy`` says in words what was taken for one.

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        ``as_of`` is unknown or later than the extraction; an unknown event or zone; no weeks; meetings
        without calls.

    Warns
    -----
    ImmatureCohortWarning
        No cohort has had even its first week.

    Notes
    -----
    Left out and counted: enrollments without ``created_at`` or created after ``as_of``. Interval: Wilson. Definitions:
    `outreach_frames.metrics`.

    Examples
    --------
    >>> cohorts = stats.cohort_matrix(mailings, sequence_states=sequence_states, event="reply", weeks=4)
    >>> cohorts[["week", "enrollments", "events", "mature"]].head(2).to_dict("records")
    [{'week': 0, 'enrollments': 28, 'events': 2, 'mature': True},
    {'week': 1, 'enrollments': 28, 'events': 3, 'mature': True}]
    >>> cohorts["cohort_week"].nunique()
    27
    """
    event_at = _EVENT_AT[choice("event of cohorts", event, _EVENT_AT)]
    if event == "meeting_proxy" and calls is None:
        raise DataError('event="meeting_proxy" needs calls.', hint="Pass calls, and call_dispositions if you can.")
    call = StatContext(
        "cohort_matrix", event=event, weeks=weeks, tz=tz, bounce_policy=bounce_policy, ci=ci, cluster=cluster
    )
    sending = ["mailbox_id"] if mailbox_health is not None else []
    optional = [] if cluster is None else [*cluster_columns(cluster), PERSON]
    states = call.read("sequence_states", sequence_states, ["id", "created_at"], optional=optional, database=True)
    clusters = clusters_of(_RATE, cluster, states.collect_schema().names())
    mail = call.read("mailings", mailings, ["id", "sequence_state_id", *SENDING, "unsubscribed_at", *sending])
    held, described = None, None
    if event == "meeting_proxy":
        call.parameters["meeting_words"] = sought = words("meeting_words", meeting_words)
        held = read_calls(call, calls, call_dispositions, sought)
        described = proxy(sought, named=call_dispositions is not None)
    now = call.instant(as_of)

    states = call.drop(states, "enrollment without created_at", ~nw.col("created_at").is_null())
    states = call.drop(states, "enrollment created after as_of", nw.col("created_at") <= now)
    states = with_periods(with_local(states, "created_at", zones=[tz]), ["week"])
    enrolled = mail.filter(~nw.col("sequence_state_id").is_null())
    if held is None:
        firsts = first_events(enrolled, now, bounce_policy)
    else:
        meetings = meeting_times(call, held).filter(nw.col("meeting_at") <= now)
        firsts = meetings.group_by("sequence_state_id").agg(nw.col("meeting_at").min())
    joined = join(states, firsts.rename({"sequence_state_id": "id"}), "id")
    if mailbox_health is not None:
        joined = join(joined, _blind_since(enrolled, mailbox_health), "id")
    cells = _cells(joined, event_at, weeks, now, clusters)
    table = with_clustered_rates(call, cells, _RATE, clusters, ci=ci).with_columns(
        nw.when(nw.col("mature")).then(nw.col(name)).alias(name) for name in ("rate", "rate_lo", "rate_hi")
    )
    if mailbox_health is None:
        table = table.with_columns(blind=nw.when(nw.col("enrollments") < 0).then(nw.col("mature")))
    keys = ["cohort_week", "week"]
    columns = [*keys, "enrollments", "events", "rate", "rate_n", "rate_lo", "rate_hi", "mature", "blind"]
    result: IntoFrameT = call.write(tidied(table).select(*columns), sort=keys, days=["cohort_week"], proxy=described)
    if isinstance(result, pd.DataFrame):
        _finish(result)
    return result


def _blind_since(mail: nw.LazyFrame[Any], mailbox_health: pd.DataFrame) -> nw.LazyFrame[Any]:
    """Find for each enrollment since when a mailbox that wrote to it has been blind [µs]; others are not listed."""
    health = StatContext("cohort_matrix")
    blind = health.table(health.read("mailbox_health", mailbox_health, ["mailbox_id", "blind_since"]))
    blind = blind.dropna()
    since = pd.to_datetime(blind["blind_since"], utc=True).astype("int64[pyarrow]")
    table = small_table(mail, {"mailbox_id": blind["mailbox_id"].astype("int64[pyarrow]"), "blind_since": since})
    sent = join(mail, table, "mailbox_id", how="inner")
    return sent.group_by("sequence_state_id").agg(nw.col("blind_since").min()).rename({"sequence_state_id": "id"})


def _cells(
    enrollments: nw.LazyFrame[Any], event_at: str, weeks: int, now: int, clusters: Mapping[str, str]
) -> nw.LazyFrame[Any]:
    """Count by cohort and week; each week is a column first, so that the rows are gone through once."""
    waited = (nw.col(event_at) - nw.col("created_at")).fill_null(now)
    flagged = "blind_since" in enrollments.collect_schema().names()
    if flagged:  # the enrollment whose time reaches furthest beyond the loss of sight decides
        enrollments = enrollments.with_columns(seen_for=nw.col("blind_since") - nw.col("created_at"))
    counted = enrollments.with_columns(
        *((waited < _WEEK * (week + 1)).cast(nw.Int64).alias(f"events_{week}") for week in range(weeks)),
        enrollments=nw.col("created_at") * 0 + 1,
    )
    ends = counted.group_by("week").agg(nw.col("created_at").max(), *([nw.col("seen_for").min()] if flagged else []))
    by_week = {f"rate_{week}": (f"events_{week}", "enrollments") for week in range(weeks)}
    own = dict.fromkeys(by_week, clusters["rate"]) if clusters else {}
    counts = [*(f"events_{week}" for week in range(weeks)), "enrollments"]
    cohorts = join(stack(counted_parts(counted, ["week"], counts, by_week, own), ["week"]), ends, "week")
    # Rows by a join: lazy engines would count all cohorts anew for each part of a union.
    places = small_table(cohorts, {"every": [0] * weeks, "place": list(range(weeks))})
    cells = join(cohorts.with_columns(every=nw.col("week") * 0), places, "every", how="inner")
    end = _WEEK * (nw.col("place") + 1)
    return cells.select(
        "enrollments",
        cohort_week=nw.col("week"),
        week=nw.col("place"),
        events=_at_place([f"events_{week}" for week in range(weeks)]),
        **{
            f"rate_{part}": _at_place([f"rate_{week}_{part}" for week in range(weeks)])
            for part in (SUMS if clusters else ())
        },
        mature=nw.col("created_at") + end <= now,
        **({"blind": (nw.col("seen_for") < end).fill_null(False)} if flagged else {}),
    )


def _at_place(columns: Sequence[str]) -> nw.Expr:
    """Take the value of the column that a row's place names."""
    return nw.coalesce(*(nw.when(nw.col("place") == n).then(nw.col(column)) for n, column in enumerate(columns)))


def _finish(result: pd.DataFrame) -> None:
    """Attach the wide table, and warn where it has nothing in it."""
    wide = result.pivot_table(index="cohort_week", columns="week", values="rate", dropna=False, observed=False)
    flat = wide.rename(columns=str).reset_index()
    attach(result, "wide", flat.assign(cohort_week=[day.isoformat() for day in flat["cohort_week"]]))
    if len(result) and not result["mature"].any():
        cohorts = result["cohort_week"].nunique()
        message = f"All {cohorts} cohort(s) are younger than a week; no rate can be given yet."
        warn(message, ImmatureCohortWarning)
