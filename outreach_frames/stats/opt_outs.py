"""Mail to people who had opted out before."""

import pandas as pd

from outreach_frames.stats._calendar import HOUR
from outreach_frames.stats._call import Call, Instant
from outreach_frames.stats._small import flags, floats, keep, read, read_deliveries, settled, write

_ORDER = [
    "mailing_id",
    "prospect_id",
    "delivered_at",
    "opted_out_at",
    "hours_after_opt_out",
    "opt_out_source",
    "sequence_id",
    "sequence_name",
    "user_id",
]


def compliance(
    mailings: pd.DataFrame,
    prospects: pd.DataFrame,
    sequences: pd.DataFrame,
    *,
    grace_h: float = 0,
    bounce_policy: str = "reply_wins",
    as_of: Instant | None = None,
) -> pd.DataFrame:
    """
    List the mailings delivered to people after they had opted out.

    Parameters
    ----------
    mailings
        ``id``, ``prospect_id``, ``sequence_id``, ``user_id``, ``delivered_at``, ``bounced_at``, ``replied_at``,
        ``unsubscribed_at``.
    prospects
        ``id``, ``opted_out``, ``opted_out_at``.
    sequences
        ``id``, ``transactional``; ``name`` if known.
    grace_h
        Time after the opt-out in which mail already on its way is tolerated [h].
    bounce_policy
        See `mailing_flags`.
    as_of
        Mail delivered after it is left out; default: the frames' own record, else none.

    Returns
    -------
    violations : DataFrame, one row for each such mailing, sorted by ``mailing_id``
        ``mailing_id``, ``prospect_id``, ``delivered_at``, ``opted_out_at`` [UTC], ``hours_after_opt_out`` [h],
        ``opt_out_source``: "link" or "manual"; ``sequence_id``, ``sequence_name``, ``user_id``. Empty is good.

    Raises
    ------
    MissingColumnError
        A column is absent.
    DataError
        A wrong dtype or an id that occurs twice.

    Notes
    -----
    A person opts out at ``opted_out_at`` or by the link in a mailing (``unsubscribed_at``), whichever came first. Not
    counted: transactional sequences, mail to nobody known, mailings without a delivery time, and people who are opted
    in again (``opted_out`` false), since the API does not say when. Source: this project's metric dictionary, parts
    1.4 (T14, T15) and 3.
    """
    call = Call("compliance", grace_h=grace_h, bounce_policy=bounce_policy)
    columns = ["prospect_id", "sequence_id", "user_id", "unsubscribed_at"]
    mail = read_deliveries(call, mailings, columns, bounce_policy=bounce_policy)
    people = read(call, "prospects", prospects, ["id", "opted_out", "opted_out_at"])
    plans = read(call, "sequences", sequences, ["id", "transactional"], optional=["name"])
    until = settled(call, as_of)
    left = _opt_outs(call, mail, people)

    mail = keep(call, mail, "mailing not delivered", mail["is_delivered"] & mail["delivered_at"].notna())
    mail = keep(call, mail, "mailing to nobody known", mail["prospect_id"].notna())
    if until is not None:
        mail = keep(call, mail, "delivered after as_of", mail["delivered_at"] <= until)
    transactional = mail["sequence_id"].isin(plans["id"][flags(plans["transactional"])])
    mail = keep(call, mail, "transactional mailing", ~transactional)
    late = mail.merge(left, on="prospect_id", validate="m:1")
    waited = late["delivered_at"] - late["opted_out_at"]
    late = late.assign(hours_after_opt_out=floats(waited) / HOUR)[flags(waited > int(grace_h * HOUR))]
    named = plans.rename(columns={"id": "sequence_id", "name": "sequence_name"})
    late = late.merge(named, on="sequence_id", how="left", validate="m:1").rename(columns={"id": "mailing_id"})
    return write(call, late[_ORDER], sort=["mailing_id"], instants=["delivered_at", "opted_out_at"])


def _opt_outs(call: Call, mail: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """Find when each person opted out first, and how."""
    back = people["id"][flags(~people["opted_out"])]
    manual = people.rename(columns={"id": "prospect_id"})[["prospect_id", "opted_out_at"]].assign(
        opt_out_source="manual"
    )
    linked = mail.rename(columns={"unsubscribed_at": "opted_out_at"})[["prospect_id", "opted_out_at"]]
    events = pd.concat([linked.assign(opt_out_source="link"), manual], ignore_index=True).dropna()
    events = events.sort_values("opted_out_at", kind="stable").drop_duplicates("prospect_id")
    return keep(call, events, "person who has opted in again: when is unknown", ~events["prospect_id"].isin(back))
