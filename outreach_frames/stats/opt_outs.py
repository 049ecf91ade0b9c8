"""Opt-outs: how many people opted out after a contact, and mail that reached them afterward."""

from collections.abc import Sequence
from typing import Any

import narwhals as nw
import pandas as pd
from narwhals.typing import IntoFrameT

from outreach_frames.stats._aggregate import WINDOW, grouping, stack, with_mature
from outreach_frames.stats._backends import join, wrap
from outreach_frames.stats._pandas import flags, floats, keep, read, read_deliveries, table as run, write
from outreach_frames.stats._statistic import StatContext, columns_of
from outreach_frames.stats._timestamps import HOUR, Instant
from outreach_frames.stats._validation import columns
from outreach_frames.stats.clusters import cluster_columns, clusters_of, counted_parts, with_clustered_rates
from outreach_frames.stats.flags import CALL_COLUMNS, SENDING, outbound_calls, with_delivery

_OPT_OUT_COLUMNS = [
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


_OPT_OUT_RATES = {
    "prospect_opt_out_rate": ("prospects_opted_out", "contacted"),
    "prospect_opt_out_rate_14d": ("opted_out_14d", "contacted_14d"),
}


def is_opted_out(noticed: nw.Expr | None = None) -> nw.Expr:
    """
    Return whether a person is opted out: the one definition.

    ``opted_out`` decides, since who is opted in again keeps the old ``opted_out_at``. Where it is missing, what was
    noticed does: by default, that ``opted_out_at`` is set.
    """
    noticed = ~nw.col("opted_out_at").is_null() if noticed is None else noticed
    return nw.col("opted_out").fill_null(False) | (nw.col("opted_out").is_null() & noticed)


def with_opt_out_time(people: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Keep ``opted_out_at`` only of people who are opted out."""
    return people.with_columns(opted_out_at=nw.when(is_opted_out()).then(nw.col("opted_out_at")))


def prospect_opt_outs(
    mailings: IntoFrameT,
    *,
    prospects: IntoFrameT,
    calls: IntoFrameT | None = None,
    by: str | Sequence[str] | None = "sequence_id",
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
) -> IntoFrameT:
    """
    Count the people who opted out after they had been contacted, by whatever way.

    ``prospect_opt_out_rate`` = people contacted who are opted out, with ``opted_out_at`` after their first contact /
    people contacted.

    Parameters
    ----------
    mailings
        ``id``, ``prospect_id``, ``delivered_at``, ``bounced_at``, ``replied_at``.
    prospects
        ``id``, ``opted_out``, ``opted_out_at``; ``account_id`` where it is known.
    calls
        ``id``, ``prospect_id``, ``direction``, ``dialed_at``, ``answered_at``, ``completed_at``: outbound ones are
        contacts.
    by
        Columns to group by, each of the prospects if they have it, such as ``"owner_id"``, else of the mailings (and
        calls), such as ``"sequence_id"``; ``None`` for one row. A person counts in every group in which they were
        contacted.
    bounce_policy
        See `mailing_flags`.
    ci
        Confidence level.
    cluster
        Column of the clusters; ``"auto"``: the account, else none; ``None``: independent people. See `clusters`.
    as_of
        When the data were extracted; default: what the frames' records say, else the latest contact.

    Returns
    -------
    opt_outs : frame of the caller's kind, one row per group, sorted by key
        Keys; ``contacted`` and ``prospects_opted_out`` [people]; ``prospect_opt_out_rate`` with ``_n``, ``_lo``,
        ``_hi``; ``prospect_opt_out_rate_14d`` likewise, over people whose first contact was at least 14 days before
        ``as_of``, with the opt-outs of their 14 days, by which groups can be compared.

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        A column of another dtype, an id that occurs twice in memory, frames of two kinds.

    Notes
    -----
    Opt-outs by link and by hand both count, which ``opt_out_rate`` of `engagement` does not; they need not have to do
    with the group's mail. Not counted as opted out: people who had opted out before the group contacted them, are opted
    in again (``opted_out`` false with an old ``opted_out_at``), or did so at an unknown time. Left out and counted:
    touches of prospects that are missing or not listed, and rows whose key is missing. Interval: Wilson. Definitions:
    `outreach_frames.metrics`.

    Examples
    --------
    >>> opt_outs = stats.prospect_opt_outs(mailings, prospects=prospects, by=None)
    >>> opt_outs[["contacted", "prospects_opted_out"]].to_dict("records")
    [{'contacted': 665, 'prospects_opted_out': 19}]
    >>> round(opt_outs["prospect_opt_out_rate"].item(), 3)
    0.029
    """
    keys = columns("by", by)
    present = columns_of("prospects", prospects)
    of_people = [key for key in keys if key in present]
    of_touches = [key for key in keys if key not in of_people]
    call = StatContext("prospect_opt_outs", by=keys, bounce_policy=bounce_policy, ci=ci, cluster=cluster)
    needed, optional = ["id", "opted_out", "opted_out_at"], cluster_columns(cluster)
    people = with_opt_out_time(call.read("prospects", prospects, needed, keys=of_people, optional=optional))
    clusters = clusters_of(_OPT_OUT_RATES, cluster, people.collect_schema().names(), keys)
    mail = call.read("mailings", mailings, ["id", "prospect_id", *SENDING], keys=of_touches)
    delivered = with_delivery(mail, bounce_policy).filter(nw.col("is_delivered"))
    touches = [delivered.select("prospect_id", *of_touches, touched_at=nw.col("sent_at"))]
    if calls is not None:
        called = outbound_calls(call.read("calls", calls, CALL_COLUMNS, keys=of_touches))
        touches.append(called.select("prospect_id", *of_touches, touched_at=nw.col("called_at")))
    call.optional_instant(as_of)

    people = people.drop("opted_out").rename({"id": "prospect_id"}).with_columns(is_listed=nw.col("prospect_id"))
    touched = join(nw.concat(touches, how="vertical"), people, "prospect_id")
    touched = call.drop(touched, "touch of a prospect that is missing or not listed", ~nw.col("is_listed").is_null())
    for key in keys:
        touched = call.drop(touched, f"{key} missing", ~nw.col(key).is_null())
    touched, groups, parts = grouping(touched, keys)
    inner = [key for key in dict.fromkeys([*groups, *clusters.values()]) if key != "prospect_id"]
    contacted = touched.group_by("prospect_id", *inner).agg(nw.col("touched_at").min(), nw.col("opted_out_at").min())
    contacted = with_mature(contacted, "touched_at", as_of=call.as_of, events=touched, happened=["touched_at"])
    waited = nw.col("opted_out_at") - nw.col("touched_at")
    counted = contacted.with_columns(
        id=nw.col("prospect_id"),
        contacted=nw.col("prospect_id") * 0 + 1,
        prospects_opted_out=(waited > 0).fill_null(False).cast(nw.Int64),
        contacted_14d=nw.col("is_mature").cast(nw.Int64),
        opted_out_14d=(nw.col("is_mature") & ((waited > 0) & (waited <= WINDOW)).fill_null(False)).cast(nw.Int64),
    )
    counts = [count for pair in _OPT_OUT_RATES.values() for count in pair]
    sums = counted_parts(counted, groups, counts, _OPT_OUT_RATES, clusters)
    table = with_clustered_rates(call, stack([*parts, *sums], groups), _OPT_OUT_RATES, clusters, ci=ci)
    rates = [f"{rate}{end}" for rate in _OPT_OUT_RATES for end in ("", "_n", "_lo", "_hi")]
    result: IntoFrameT = call.write(
        table.select(*keys, "contacted", "prospects_opted_out", *rates),
        sort=keys,
        instants=[key for key in keys if key.endswith("_at")],
    )
    return result


def opt_out_violations(
    mailings: pd.DataFrame,
    *,
    prospects: pd.DataFrame,
    sequences: pd.DataFrame,
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
        A column listed above is absent.
    DataError
        A wrong dtype or an id that occurs twice.

    Notes
    -----
    A person opts out at ``opted_out_at`` or by the link in a mailing (``unsubscribed_at``), whichever came first. Not
    counted: transactional sequences, mail without a prospect, mailings without a delivery time, and people who are
    opted in again (``opted_out`` false), since the API does not say when.

    Examples
    --------
    >>> violations = stats.opt_out_violations(mailings, prospects=prospects, sequences=sequences)
    >>> len(violations)
    0
    >>> list(violations.columns[:5])
    ['mailing_id', 'prospect_id', 'delivered_at', 'opted_out_at', 'hours_after_opt_out']
    """
    call = StatContext("opt_out_violations", grace_h=grace_h, bounce_policy=bounce_policy)
    needed = ["prospect_id", "sequence_id", "user_id", "unsubscribed_at"]
    mail = read_deliveries(call, mailings, needed, bounce_policy=bounce_policy)
    people = read(call, "prospects", prospects, ["id", "opted_out", "opted_out_at"])
    plans = read(call, "sequences", sequences, ["id", "transactional"], optional=["name"])
    until = call.optional_instant(as_of)
    left = _opt_outs(call, mail, people)

    mail = keep(call, mail, "mailing not delivered", mail["is_delivered"] & mail["delivered_at"].notna())
    mail = keep(call, mail, "mailing without a prospect", mail["prospect_id"].notna())
    if until is not None:
        mail = keep(call, mail, "delivered after as_of", mail["delivered_at"] <= until)
    transactional = mail["sequence_id"].isin(plans["id"][flags(plans["transactional"])])
    mail = keep(call, mail, "transactional mailing", ~transactional)
    late = mail.merge(left, on="prospect_id", validate="m:1")
    waited = late["delivered_at"] - late["opted_out_at"]
    late = late.assign(hours_after_opt_out=floats(waited) / HOUR)[flags(waited > int(grace_h * HOUR))]
    named = plans.rename(columns={"id": "sequence_id", "name": "sequence_name"})
    late = late.merge(named, on="sequence_id", how="left", validate="m:1").rename(columns={"id": "mailing_id"})
    return write(call, late[_OPT_OUT_COLUMNS], sort=["mailing_id"], instants=["delivered_at", "opted_out_at"])


def _opt_outs(call: StatContext, mail: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """Find when each person opted out first, and how."""
    back = run(wrap(people).filter(~is_opted_out(noticed=nw.lit(True))))["id"]
    manual = people.rename(columns={"id": "prospect_id"})[["prospect_id", "opted_out_at"]].assign(
        opt_out_source="manual"
    )
    linked = mail.rename(columns={"unsubscribed_at": "opted_out_at"})[["prospect_id", "opted_out_at"]]
    events = pd.concat([linked.assign(opt_out_source="link"), manual], ignore_index=True).dropna()
    events = events.sort_values("opted_out_at", kind="stable").drop_duplicates("prospect_id")
    return keep(call, events, "person who has opted in again: when is unknown", ~events["prospect_id"].isin(back))
