"""Which step earned a reply, and which replies a machine wrote."""

from typing import Any

import narwhals as nw
import pandas as pd
from narwhals.typing import IntoFrameT

from outreach_frames.stats._calendar import HOUR
from outreach_frames.stats._call import Call
from outreach_frames.stats._engines import join
from outreach_frames.stats._instants import Instant
from outreach_frames.stats._small import keep, read_mailings, write
from outreach_frames.stats.flags import SENDING, with_delivery

AUTOMATIC_REPLY = HOUR // 12
"""An answer to a paused enrolment that came within this time of delivery is suspected to be a machine's [µs]."""


def reply_attribution(
    mailings: pd.DataFrame, *, bounce_policy: str = "reply_wins", as_of: Instant | None = None
) -> pd.DataFrame:
    """
    Credit each reply to a step, by three rules.

    ``direct_step``: the step of the mailing that was answered. ``last_touch_step``: of the enrolment's latest mailing
    delivered before the reply. ``first_touch_step``: of its earliest one.

    Parameters
    ----------
    mailings
        As for `mailing_flags` without ``marked_as_spam_at``, and ``sequence_state_id``, ``sequence_step_id``.
    bounce_policy
        See `mailing_flags`.
    as_of
        When the data were extracted; kept in the record only.

    Returns
    -------
    credits : DataFrame, one row for each replied mailing of an enrolment, sorted by ``mailing_id``
        ``mailing_id``, ``direct_step``, ``last_touch_step``, ``first_touch_step``, ``agree`` (whether all three are the
        same). A step is missing where the mailing has none, or no delivery time lies before the reply.

    Raises
    ------
    MissingColumnError
        A column is absent.
    DataError
        A wrong dtype or an id that occurs twice.

    Notes
    -----
    Mailings delivered at the very instant of the reply count as before it; at equal times the higher id is the later
    one. Not counted: replies to one-off mail, calls and tasks. Source: this project's metric dictionary, part 1.4, T13.
    """
    call = Call("reply_attribution", bounce_policy=bounce_policy)
    columns = ["sequence_state_id", "sequence_step_id"]
    mail = read_mailings(call, mailings, columns, bounce_policy=bounce_policy)
    call.look(as_of)
    replies = mail.loc[mail["is_replied"], ["id", "replied_at", *columns]]
    replies = keep(call, replies, "reply to one-off mail", replies["sequence_state_id"].notna())
    touches = mail.loc[mail["is_delivered"], ["id", "delivered_at", *columns]].dropna(subset="sequence_state_id")

    before = replies.merge(touches, on="sequence_state_id", suffixes=("", "_touch"), validate="m:m")
    before = before[before["delivered_at"] <= before["replied_at"]].sort_values(["delivered_at", "id_touch"])
    ends = before.drop_duplicates("id", keep="first"), before.drop_duplicates("id", keep="last")
    first, last = (end.set_index("id")["sequence_step_id_touch"] for end in ends)
    direct = replies["sequence_step_id"]
    result = pd.DataFrame({"mailing_id": replies["id"], "direct_step": direct})
    result["last_touch_step"] = replies["id"].map(last).astype(direct.dtype)
    result["first_touch_step"] = replies["id"].map(first).astype(direct.dtype)
    same = (direct == result["last_touch_step"]) & (direct == result["first_touch_step"])
    result["agree"] = same.fillna(value=False)
    return write(call, result, sort=["mailing_id"])


def automatic_replies(
    mailings: IntoFrameT,
    sequence_states: IntoFrameT,
    *,
    bounce_policy: str = "reply_wins",
    as_of: Instant | None = None,
) -> IntoFrameT:
    """
    List the replies that look automatic: to a paused enrolment, within five minutes of delivery.

    Parameters
    ----------
    mailings
        ``id``, ``sequence_state_id``, ``delivered_at``, ``bounced_at``, ``replied_at``.
    sequence_states
        Enrolments: ``id``, ``state``.
    bounce_policy
        See `mailing_flags`.
    as_of
        When the data were extracted; kept in the record only.

    Returns
    -------
    replies : frame of the caller's kind, one row for each such mailing, sorted by ``mailing_id``
        ``mailing_id``, ``sequence_state_id``, ``delivered_at``, ``replied_at`` [UTC].

    Raises
    ------
    MissingColumnError
        A column is absent.
    DataError
        A wrong dtype, an id that occurs twice in memory, frames of two kinds.

    Notes
    -----
    Outreach pauses an enrolment when it takes an answer for an out-of-office one; whether such answers set
    ``replied_at`` is unknown. `sequence_engagement` tells how far they could matter. Source: this project's metric
    dictionary, part 1.4 (T16).
    """
    call = Call("automatic_replies", bounce_policy=bounce_policy)
    mail = with_delivery(call.read("mailings", mailings, ["id", "sequence_state_id", *SENDING]), bounce_policy)
    states = call.read("sequence_states", sequence_states, ["id", "state"])
    call.look(as_of)
    replied = mail.with_columns(is_replied=nw.col("is_delivered") & ~nw.col("replied_at").is_null())
    found = with_automatic(replied, states).filter(nw.col("is_automatic"))
    columns = ["sequence_state_id", "delivered_at", "replied_at"]
    result: IntoFrameT = call.write(
        found.select(nw.col("id").alias("mailing_id"), *columns), sort=["mailing_id"], instants=columns[1:]
    )
    return result


def with_automatic(mail: nw.LazyFrame[Any], states: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """
    Add ``is_automatic`` to mailings: the one definition.

    Parameters
    ----------
    mail
        ``is_replied``, ``sequence_state_id``, ``delivered_at``, ``replied_at``.
    states
        Enrolments: ``id``, ``state``.
    """
    paused = states.filter((nw.col("state") == "paused").fill_null(False))
    paused = paused.select(sequence_state_id=nw.col("id"), paused=nw.col("id"))
    fast = (nw.col("replied_at") - nw.col("delivered_at") <= AUTOMATIC_REPLY).fill_null(False)
    told = join(mail, paused, "sequence_state_id")
    return told.with_columns(is_automatic=nw.col("is_replied") & fast & ~nw.col("paused").is_null())
