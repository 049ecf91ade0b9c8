"""
Meetings, by proxy: calls whose disposition or tag says that one was agreed.

Outreach's own reports count the invitations sent; the API has no collection of them. A call that ended in a meeting is
the nearest thing it shows, and everything here is named for what it is, a proxy.
"""

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Any

import narwhals as nw
from narwhals.typing import IntoFrameT

from outreach_frames.errors import DataError
from outreach_frames.stats._calendar import DAY
from outreach_frames.stats._call import Call
from outreach_frames.stats._engines import join, joined_text
from outreach_frames.stats._instants import Instant
from outreach_frames.stats._parameters import columns, words
from outreach_frames.stats._tally import grouping, stack
from outreach_frames.stats._touches import outbound_calls
from outreach_frames.stats.clusters import (
    PERSON,
    cluster_columns,
    clusters_of,
    counted_parts,
    with_clustered_rates,
)
from outreach_frames.stats.flags import SENDING, with_delivery

MEETING_WORDS = ("meeting",)
CALL_NEEDS = ("id", "sequence_state_id", "dialed_at", "answered_at", "completed_at", "tags")


_RATES = {"meeting_rate": ("met", "contacted")}


def meetings(
    sequence_states: IntoFrameT,
    mailings: IntoFrameT,
    calls: IntoFrameT,
    *,
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
    Count the enrolments that led to a meeting, by proxy: a call whose disposition or tag says so.

    ``meeting_rate`` = enrolments contacted with such a call at most ``within_d`` days after their first contact /
    enrolments contacted.

    Parameters
    ----------
    sequence_states
        Enrolments: ``id``, and the columns of ``by``.
    mailings
        ``id``, ``sequence_state_id``, ``delivered_at``, ``bounced_at``, ``replied_at``.
    calls
        ``id``, ``sequence_state_id``, ``direction``, ``dialed_at``, ``answered_at``, ``completed_at``, ``tags`` [list
        of text], and with ``call_dispositions`` ``call_disposition_id``.
    call_dispositions
        ``id``, ``name``: what calls ended in, which every organisation names itself. Without it, tags alone decide.
    by
        Columns of the enrolments to group by, such as ``"user_id"``; ``None`` for one row.
    within_d
        How long after the first contact a meeting counts [d].
    meeting_words
        A disposition or tag that contains one of these, in upper or lower case, is a meeting's.
    bounce_policy
        See `mailing_flags`.
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
    meetings : frame of the caller's kind, one row per group, sorted by key
        Keys; ``enrolments``; ``contacted`` [enrolments with a delivered mailing or an outbound call, long enough ago
        for a full ``within_d``]; ``met`` [enrolments of these]; ``meeting_rate`` with ``_n``, ``_lo``, ``_hi``. The
        record's ``proxy`` says in words what was taken for a meeting.

    Raises
    ------
    MissingColumnError
        A column is absent.
    DataError
        ``as_of`` is unknown or later than the extraction; a wrong dtype; an id that occurs twice in memory; frames of
        two kinds.

    Notes
    -----
    Left out and counted: meeting calls of no enrolment, since a person's enrolments cannot be told apart by them;
    enrolments contacted less than ``within_d`` days before ``as_of``, which have not had their time; rows whose key is
    missing. An inbound call can be a meeting's and is no contact. Not counted: meetings agreed in writing. Interval:
    Wilson. Definition: this project's metric dictionary, parts 1.4 (T7, T19) and 2.8.
    """
    keys = columns("by", by)
    call = Call("meetings", by=keys, within_d=within_d, bounce_policy=bounce_policy, ci=ci, cluster=cluster)
    call.parameters["meeting_words"] = sought = words("meeting_words", meeting_words)
    optional = [] if cluster is None else [*cluster_columns(cluster), PERSON]
    states = call.read("sequence_states", sequence_states, ["id"], keys=keys, optional=optional)
    clusters = clusters_of(_RATES, cluster, states.collect_schema().names(), keys)
    mail = with_delivery(call.read("mailings", mailings, ["id", "sequence_state_id", *SENDING]), bounce_policy)
    made = read_calls(call, calls, call_dispositions, sought, needed=["direction"])
    now, window = call.instant(as_of), int(within_d * DAY)

    for key in keys:
        states = call.drop(states, f"{key} missing", ~nw.col(key).is_null())
    contacts = [
        mail.filter(nw.col("is_delivered")).select("sequence_state_id", contact_at=nw.col("sent_at")),
        outbound_calls(made).select("sequence_state_id", contact_at=nw.col("called_at")),
    ]
    met_at = meeting_times(call, made)
    touched = nw.concat(contacts, how="vertical").filter(~nw.col("sequence_state_id").is_null())
    firsts = touched.group_by("sequence_state_id").agg(nw.col("contact_at").min())
    firsts = firsts.filter((nw.col("contact_at") <= now).fill_null(False))
    waited = nw.col("meeting_at") - nw.col("contact_at")
    soon = join(met_at, firsts, "sequence_state_id", how="inner").filter((waited >= 0) & (waited <= window))
    soon = soon.group_by("sequence_state_id").agg(nw.col("meeting_at").min())

    told = join(states, firsts.rename({"sequence_state_id": "id"}), "id")
    told = join(told, soon.rename({"sequence_state_id": "id"}), "id")
    early = (nw.col("contact_at") > now - window).fill_null(False)
    told = call.drop(told, f"enrolment contacted less than {within_d:g} days before as_of", ~early)
    told, groups, parts = grouping(told, keys)
    counted = told.with_columns(
        enrolments=nw.col("id") * 0 + 1,
        contacted=(~nw.col("contact_at").is_null()).cast(nw.Int64),
        met=(~nw.col("meeting_at").is_null()).cast(nw.Int64),
    )
    sums = counted_parts(counted, groups, ("enrolments", "contacted", "met"), _RATES, clusters)
    table = with_clustered_rates(call, stack([*parts, *sums], groups), _RATES, clusters, ci=ci)
    rates = [f"meeting_rate{end}" for end in ("", "_n", "_lo", "_hi")]
    result: IntoFrameT = call.write(
        table.select(*keys, "enrolments", "contacted", "met", *rates),
        sort=keys,
        instants=[key for key in keys if key.endswith("_at")],
        proxy=proxy(sought, named=call_dispositions is not None),
    )
    return result


def proxy(sought: Sequence[str], *, named: bool) -> str:
    """Say in words what is taken for a meeting."""
    quoted = " or ".join(f"“{word}”" for word in sought)
    return f"a meeting is a call whose {'disposition or tag' if named else 'tag'} contains {quoted}"


def read_calls(
    call: Call, calls: Any, call_dispositions: Any, sought: Sequence[str], *, needed: Sequence[str] = ()
) -> nw.LazyFrame[Any]:
    """
    Take calls, and tell which are a meeting's.

    Returns
    -------
    calls : LazyFrame
        `CALL_NEEDS`, what else is needed, and ``is_meeting``.
    """
    if not sought:
        raise DataError("No word is given by which to know a meeting.", hint='Write meeting_words=("meeting",).')
    link = [] if call_dispositions is None else ["call_disposition_id"]
    made = joined_text(call.read("calls", calls, [*CALL_NEEDS, *needed, *link]), "tags")
    if call_dispositions is None:
        return made.with_columns(is_meeting=_says("tags", sought))
    named = call.read("call_dispositions", call_dispositions, ["id", "name"])
    named = named.select(call_disposition_id=nw.col("id"), disposition=nw.col("name"))
    told = join(made, named, "call_disposition_id")
    return told.with_columns(is_meeting=_says("tags", sought) | _says("disposition", sought))


def meeting_times(call: Call, made: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """List the meetings of enrolments: ``sequence_state_id``, ``meeting_at`` [µs]; others are left out and counted."""
    agreed = made.with_columns(meeting_at=nw.coalesce("dialed_at", "answered_at", "completed_at"))
    agreed = agreed.filter(nw.col("is_meeting") & ~nw.col("meeting_at").is_null())
    known = call.drop(agreed, "meeting call of no enrolment", ~nw.col("sequence_state_id").is_null())
    return known.select("sequence_state_id", "meeting_at")


def _says(column: str, sought: Sequence[str]) -> nw.Expr:
    text = nw.col(column).str.to_lowercase()
    found = [text.str.contains(word.lower(), literal=True).fill_null(False) for word in sought]
    return reduce(or_, found)
