"""When mail was first opened, as far as that can be known: a mailing itself keeps its latest open only."""

from collections.abc import Sequence

import narwhals as nw
from narwhals.typing import IntoFrameT

from outreach_frames.stats._calendar import HOUR
from outreach_frames.stats._call import Call
from outreach_frames.stats._engines import join
from outreach_frames.stats._instants import Instant
from outreach_frames.stats._parameters import words
from outreach_frames.stats.flags import ENGAGEMENT, with_flags
from outreach_frames.stats.suspects import OPEN_EVENTS


def first_opens(
    mailings: IntoFrameT,
    events: IntoFrameT | None = None,
    *,
    open_events: Sequence[str] = OPEN_EVENTS,
    bounce_policy: str = "reply_wins",
    as_of: Instant | None = None,
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
    as_of
        When the data were extracted; kept in the record only.

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
    call = Call("first_opens", open_events=names, bounce_policy=bounce_policy)
    mail = with_flags(call.read("mailings", mailings, ["id", *ENGAGEMENT]), bounce_policy)
    log = None if events is None else call.read("events", events, ["name", "event_at", "mailing_id"])
    call.look(as_of)
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
