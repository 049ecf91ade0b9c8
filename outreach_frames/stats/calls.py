"""
Calls: their outcomes, and the meetings that they led to.

Outreach's own reports count the invitations sent; the API has no collection of them. A call that ended in a meeting is
the nearest thing it shows, and everything here is named for what it is, a proxy.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any

import narwhals as nw
from narwhals.typing import IntoFrameT

from outreach_frames.errors import DataError
from outreach_frames.stats._aggregate import grouping, stack
from outreach_frames.stats._backends import join, joined_text
from outreach_frames.stats._statistic import StatContext, columns_of
from outreach_frames.stats._timestamps import (
    DAY,
    PERIODS,
    SECOND,
    WEEKDAYS,
    Instant,
    weekday_of,
    with_local,
    with_periods,
)
from outreach_frames.stats._validation import columns, words
from outreach_frames.stats.clusters import PERSON, cluster_columns, clusters_of, counted_parts, with_clustered_rates
from outreach_frames.stats.flags import SENDING, note_call_placing, outbound_calls, with_conversation, with_delivery

CONNECT_RATE = {"connect_rate": ("connected", "calls_dialed")}
CLOCK = ("hour", "weekday")


def call_outcomes(
    calls: IntoFrameT,
    *,
    by: str | Sequence[str] | None = "user_id",
    tz: str = "UTC",
    ci: float = 0.95,
    cluster: str | None = "auto",
) -> IntoFrameT:
    """
    Count outbound calls: dialed, answered, and the time talked.

    ``connect_rate`` = outbound calls answered / outbound calls dialed.

    Parameters
    ----------
    calls
        ``id``, ``direction``, ``outcome``, ``dialed_at``, ``answered_at``, ``completed_at``, and the columns of ``by``.
    by
        Columns to group by, such as ``"user_id"`` or ``"call_disposition_id"``; ``None`` for one row. Besides columns:
        ``"hour"`` (0 … 23) and ``"weekday"`` of the call, and ``"day"``, ``"week"`` (its Monday), ``"month"``,
        ``"quarter"``.
    tz
        IANA zone of hours, days and weeks.
    ci
        Confidence level.
    cluster
        Column of the clusters; ``"auto"``: the account, else the person; ``None``: independent calls. See `clusters`.

    Returns
    -------
    calls : frame of the caller's kind, one row per group, sorted by key
        Keys; ``calls_dialed``, ``connected``, ``connect_rate`` with ``_n``, ``_lo``, ``_hi``; ``talk_minutes`` [min,
        from answer to completion, where that is positive].

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        A column of another dtype, an id that occurs twice in memory, an unknown zone.

    Notes
    -----
    The time of a call is ``dialed_at``, else ``answered_at``, else ``completed_at``, never ``created_at``, which is
    that of logging. A call is answered where its outcome says so, in either of the vendor's spellings; without an
    outcome, where ``answered_at`` is set. Left out and counted: inbound calls, calls without a time, and rows whose key
    is missing. Interval: Wilson. Definitions: `outreach_frames.metrics`.

    Examples
    --------
    >>> by_rep = stats.call_outcomes(calls, by="user_id")
    >>> by_rep[["calls_dialed", "connected"]].sum().to_dict()
    {'calls_dialed': 443, 'connected': 31}
    >>> by_rep["connect_rate"].round(3).head(3).tolist()
    [0.048, 0.077, 0.111]
    """
    keys = columns("by", by)
    call = StatContext("call_outcomes", by=keys, tz=tz, ci=ci, cluster=cluster)
    present = columns_of("calls", calls)
    computed = [key for key in keys if key in {*PERIODS, *CLOCK} and key not in present]
    needed = ["id", "direction", "outcome", "dialed_at", "answered_at", "completed_at"]
    optional = [] if cluster is None else [*cluster_columns(cluster), PERSON]
    columns_read = [key for key in keys if key not in computed]
    read = call.read("calls", calls, needed, keys=columns_read, optional=optional)
    marked = read.with_columns(is_outbound=(nw.col("direction").str.to_lowercase() == "outbound").fill_null(False))
    outbound = call.drop(marked, "call not outbound", nw.col("is_outbound"))
    timed = ~nw.coalesce("dialed_at", "answered_at", "completed_at").is_null()
    dialed = with_conversation(outbound_calls(call.drop(outbound, "call without a time", timed)))
    if computed:
        note_call_placing(call, dialed)
        dialed = _with_clock(with_local(dialed, "called_at", zones=[tz]), computed)
    for key in keys:
        dialed = call.drop(dialed, f"{key} missing", ~nw.col(key).is_null())
    dialed, groups, parts = grouping(dialed, keys)
    talked = ["talk_minutes"]
    clusters = clusters_of(CONNECT_RATE, cluster, dialed.collect_schema().names(), keys)
    table = stack([*parts, *call_counts(dialed, groups, clusters)], groups, medians=talked)
    table = with_clustered_rates(call, table, CONNECT_RATE, clusters, ci=ci)
    rates = [f"connect_rate{end}" for end in ("", "_n", "_lo", "_hi")]
    table = table.with_columns(nw.col("talk_minutes").fill_null(0.0).cast(nw.Float64))
    result: IntoFrameT = call.write(
        table.select(*keys, "calls_dialed", "connected", *rates, "talk_minutes"),
        sort=keys,
        days=[key for key in computed if key in PERIODS],
        instants=[key for key in keys if key.endswith("_at")],
        categories={"weekday": WEEKDAYS} if "weekday" in computed else None,
    )
    return result


def call_counts(dialed: nw.LazyFrame[Any], keys: Sequence[str], clusters: Mapping[str, str]) -> list[nw.LazyFrame[Any]]:
    """Count by group the calls dialed, those answered, and the minutes talked; see `counted_parts`."""
    talked = nw.col("completed_at") - nw.col("answered_at")
    timed = dialed.with_columns(
        calls_dialed=nw.col("called_at") * 0 + 1,
        connected=nw.col("is_conversation").cast(nw.Int64),
        talked=nw.when((talked > 0).fill_null(False)).then(talked),
    )
    talk = timed.group_by(*keys).agg(nw.col("talked").sum())
    minutes = nw.col("talked").fill_null(0) / (60 * SECOND)  # whole microseconds add up alike in any order
    counted = counted_parts(timed, keys, CONNECT_RATE["connect_rate"], CONNECT_RATE, clusters)
    return [talk.with_columns(talk_minutes=minutes).drop("talked"), *counted]


def _with_clock(local: nw.LazyFrame[Any], computed: Sequence[str]) -> nw.LazyFrame[Any]:
    placed = with_periods(local, [key for key in computed if key in PERIODS])
    if "weekday" not in computed:
        return placed
    numbered = placed.with_columns(weekday_number=weekday_of(nw.col("local_day")))
    name = nw.lit(WEEKDAYS[-1])
    for number, weekday in enumerate(WEEKDAYS[:-1], start=1):
        name = nw.when(nw.col("weekday_number") == number).then(nw.lit(weekday)).otherwise(name)
    return numbered.with_columns(weekday=name)


MEETING_WORDS = ("meeting",)
CALL_NEEDS = ("id", "sequence_state_id", "dialed_at", "answered_at", "completed_at", "tags")


_CALL_RATES = {"meeting_rate": ("met", "contacted")}


def meetings(
    mailings: IntoFrameT,
    *,
    sequence_states: IntoFrameT,
    calls: IntoFrameT,
    call_dispositions: IntoFrameT | None = None,
    by: str | Sequence[str] | None = "sequence_id",
    within_d: float = 30,
    meeting_words: str | Sequence[str] = MEETING_WORDS,
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
) -> IntoFrameT:
    """
    Count the enrollments that led to a meeting, by proxy: a call whose disposition or tag says so.

    ``meeting_rate`` = enrollments contacted with such a call at most ``within_d`` days after their first contact /
    enrollments contacted.

    Parameters
    ----------
    mailings
        ``id``, ``sequence_state_id``, ``delivered_at``, ``bounced_at``, ``replied_at``.
    sequence_states
        Enrollments: ``id``, and the columns of ``by``.
    calls
        ``id``, ``sequence_state_id``, ``direction``, ``dialed_at``, ``answered_at``, ``completed_at``, ``tags`` [list
        of text], and with ``call_dispositions`` ``call_disposition_id``.
    call_dispositions
        ``id``, ``name``: what calls ended in, which every organization names itself. Without it, tags alone decide.
    by
        Columns of the enrollments to group by, such as ``"user_id"``; ``None`` for one row.
    within_d
        How long after the first contact a meeting counts [d].
    meeting_words
        A disposition or tag that contains one of these, in upper or lower case, is a meeting's.
    bounce_policy
        See `mailing_flags`.
    ci
        Confidence level.
    cluster
        Column of the `clusters`; ``"auto"``: the account, else the person; ``None``: independent enrollments.
    as_of
        When the data were extracted; default: what the frames' records say.

    Returns
    -------
    meetings : frame of the caller's kind, one row per group, sorted by key
        Keys; ``enrollments``; ``contacted`` [enrollments with a delivered mailing or an outbound call, long enough ago
        for a full ``within_d``]; ``met`` [enrollments of these]; ``meeting_rate`` with ``_n``, ``_lo``, ``_hi``. The
        record's ``proxy`` says in words what was taken for a meeting.

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        ``as_of`` is unknown or later than the extraction; a wrong dtype; an id that occurs twice in memory; frames of
        two kinds.

    Notes
    -----
    Left out and counted: meeting calls of no enrollment, since a person's enrollments cannot be told apart by them;
    enrollments contacted less than ``within_d`` days before ``as_of``, which have not had their time; rows whose key is
    missing. An inbound call can be a meeting's and is no contact. Not counted: meetings agreed in writing. Interval:
    Wilson. Definitions: `outreach_frames.metrics`.

    Examples
    --------
    >>> meetings = stats.meetings(mailings, sequence_states=sequence_states, calls=calls, within_d=30)
    >>> meetings[["sequence_id", "contacted", "met"]].head(2).to_dict("records")
    [{'sequence_id': 1, 'contacted': 119, 'met': 3}, {'sequence_id': 2, 'contacted': 107, 'met': 1}]
    >>> round(meetings["meeting_rate"][0], 3)
    0.025
    """
    keys = columns("by", by)
    call = StatContext("meetings", by=keys, within_d=within_d, bounce_policy=bounce_policy, ci=ci, cluster=cluster)
    call.parameters["meeting_words"] = sought = words("meeting_words", meeting_words)
    optional = [] if cluster is None else [*cluster_columns(cluster), PERSON]
    states = call.read("sequence_states", sequence_states, ["id"], keys=keys, optional=optional)
    clusters = clusters_of(_CALL_RATES, cluster, states.collect_schema().names(), keys)
    mail = with_delivery(call.read("mailings", mailings, ["id", "sequence_state_id", *SENDING]), bounce_policy)
    tagged = read_calls(call, calls, call_dispositions, sought, needed=["direction"])
    now, window = call.instant(as_of), int(within_d * DAY)

    for key in keys:
        states = call.drop(states, f"{key} missing", ~nw.col(key).is_null())
    contacts = [
        mail.filter(nw.col("is_delivered")).select("sequence_state_id", contact_at=nw.col("sent_at")),
        outbound_calls(tagged).select("sequence_state_id", contact_at=nw.col("called_at")),
    ]
    meetings_at = meeting_times(call, tagged)
    touched = nw.concat(contacts, how="vertical").filter(~nw.col("sequence_state_id").is_null())
    firsts = touched.group_by("sequence_state_id").agg(nw.col("contact_at").min())
    firsts = firsts.filter((nw.col("contact_at") <= now).fill_null(False))
    waited = nw.col("meeting_at") - nw.col("contact_at")
    soon = join(meetings_at, firsts, "sequence_state_id", how="inner").filter((waited >= 0) & (waited <= window))
    soon = soon.group_by("sequence_state_id").agg(nw.col("meeting_at").min())

    enrollments = join(states, firsts.rename({"sequence_state_id": "id"}), "id")
    enrollments = join(enrollments, soon.rename({"sequence_state_id": "id"}), "id")
    early = (nw.col("contact_at") > now - window).fill_null(False)
    enrollments = call.drop(enrollments, f"enrollment contacted less than {within_d:g} days before as_of", ~early)
    enrollments, groups, parts = grouping(enrollments, keys)
    counted = enrollments.with_columns(
        enrollments=nw.col("id") * 0 + 1,
        contacted=(~nw.col("contact_at").is_null()).cast(nw.Int64),
        met=(~nw.col("meeting_at").is_null()).cast(nw.Int64),
    )
    sums = counted_parts(counted, groups, ("enrollments", "contacted", "met"), _CALL_RATES, clusters)
    table = with_clustered_rates(call, stack([*parts, *sums], groups), _CALL_RATES, clusters, ci=ci)
    rates = [f"meeting_rate{end}" for end in ("", "_n", "_lo", "_hi")]
    result: IntoFrameT = call.write(
        table.select(*keys, "enrollments", "contacted", "met", *rates),
        sort=keys,
        instants=[key for key in keys if key.endswith("_at")],
        proxy=proxy(sought, named=call_dispositions is not None),
    )
    return result


def proxy(sought: Sequence[str], *, named: bool) -> str:
    """Describe what counts as a meeting."""
    quoted = " or ".join(f"“{word}”" for word in sought)
    return f"a meeting is a call whose {'disposition or tag' if named else 'tag'} contains {quoted}"


def read_calls(
    call: StatContext, calls: Any, call_dispositions: Any, sought: Sequence[str], *, needed: Sequence[str] = ()
) -> nw.LazyFrame[Any]:
    """
    Read calls, and mark those that led to a meeting.

    Returns
    -------
    calls : LazyFrame
        `CALL_NEEDS`, what else is needed, and ``is_meeting``.
    """
    if not sought:
        raise DataError("No word is given by which to know a meeting.", hint='Write meeting_words=("meeting",).')
    link = [] if call_dispositions is None else ["call_disposition_id"]
    tagged = joined_text(call.read("calls", calls, [*CALL_NEEDS, *needed, *link]), "tags")
    if call_dispositions is None:
        return tagged.with_columns(is_meeting=_says("tags", sought))
    named = call.read("call_dispositions", call_dispositions, ["id", "name"])
    named = named.select(call_disposition_id=nw.col("id"), disposition=nw.col("name"))
    enrollments = join(tagged, named, "call_disposition_id")
    return enrollments.with_columns(is_meeting=_says("tags", sought) | _says("disposition", sought))


def meeting_times(call: StatContext, tagged: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """List the meetings of enrollments: ``sequence_state_id``, ``meeting_at`` [µs]; others are left out and counted."""
    agreed = tagged.with_columns(meeting_at=nw.coalesce("dialed_at", "answered_at", "completed_at"))
    agreed = agreed.filter(nw.col("is_meeting") & ~nw.col("meeting_at").is_null())
    linked = call.drop(agreed, "meeting call of no enrollment", ~nw.col("sequence_state_id").is_null())
    return linked.select("sequence_state_id", "meeting_at")


def _says(column: str, sought: Sequence[str]) -> nw.Expr:
    text = nw.col(column).str.to_lowercase()
    matches = [text.str.contains(word.lower(), literal=True).fill_null(False) for word in sought]
    return reduce(or_, matches)
