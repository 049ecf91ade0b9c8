"""Mail that never left: whose it was, and why."""

from collections.abc import Sequence

import narwhals as nw
from narwhals.typing import IntoFrameT

from outreach_frames.stats._call import Call
from outreach_frames.stats._engines import join
from outreach_frames.stats._instants import Instant
from outreach_frames.stats._parameters import columns
from outreach_frames.stats._tally import grouping, stack
from outreach_frames.stats.clusters import AUTO, clusters_of, counted_parts, share_sums, with_clustered_rates
from outreach_frames.stats.flags import SENDING, with_delivery, with_failure

REASON = "error_reason"
_COUNTS = ("failed", "sent", "attempted")
_RATES = {"failure_rate": ("failed", "attempted")}


def failures(
    mailings: IntoFrameT,
    *,
    by: str | Sequence[str] | None = REASON,
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
) -> IntoFrameT:
    """
    Count mail that failed, by reason, mailbox, user, sequence or any other columns.

    ``failure_rate`` = failed and not sent / (that + sent). A failure is a trouble on the sender's side: a sign-in that
    has run out, a limit, a missing variable; a bounce is none.

    Parameters
    ----------
    mailings
        ``id``, ``state``, ``delivered_at``, ``bounced_at``, ``replied_at``, and the columns of ``by``.
    by
        Columns to group by, such as ``"mailbox_id"``, ``"user_id"``, ``"sequence_id"``; ``None`` for one row. With
        ``"error_reason"`` among them, the rate of a reason is over all attempts of the other columns' group, so that
        the rates of its reasons add up to the group's.
    ci
        Confidence level.
    cluster
        What fails together: ``"auto"`` takes the mailbox where the frame has ``mailbox_id``; or a column's name; or
        ``None``: independent mailings.
    as_of
        When the data were extracted; kept in the record only.

    Returns
    -------
    failures : frame of the caller's kind, one row per group, sorted by key
        Keys; ``failed``, ``sent``, ``attempted`` [mailings]; ``failure_rate`` with ``_n``, ``_lo``, ``_hi``. By reason,
        failures without one have a missing reason, and a group without failures has no row.

    Raises
    ------
    MissingColumnError
        A column is absent.
    DataError
        A wrong dtype or an id that occurs twice in memory.

    Notes
    -----
    Left out and counted: mail neither sent nor failed, and rows whose key is missing. ``error_reason`` is free text.
    Interval: Wilson. Definition: this project's metric dictionary, part 2.1.
    """
    keys = columns("by", by)
    others = [key for key in keys if key != REASON]
    call = Call("failures", by=keys, ci=ci, cluster=cluster)
    needed, mailbox = ["id", "state", *SENDING, *(set(keys) & {REASON})], "mailbox_id" if cluster == AUTO else cluster
    optional = [] if mailbox is None else [mailbox]
    read = call.read("mailings", mailings, needed, keys=others, optional=optional)
    mail = with_failure(with_delivery(read))
    call.look(as_of)
    mail = call.drop(mail, "mailing neither sent nor failed", nw.col("is_sent") | nw.col("is_failed"))
    for key in others:
        mail = call.drop(mail, f"{key} missing", ~nw.col(key).is_null())
    mail, groups, parts = grouping(mail, others)
    counted = mail.with_columns(failed=nw.col("is_failed").cast(nw.Int64), sent=nw.col("is_sent").cast(nw.Int64))
    counted = counted.with_columns(attempted=nw.col("failed") + nw.col("sent"))
    present = counted.collect_schema().names()
    known = cluster != AUTO or "mailbox_id" in present
    clusters = clusters_of(_RATES, mailbox if known else None, present, keys)
    by_reason = REASON in keys
    sums = counted_parts(counted, groups, _COUNTS, {} if by_reason else _RATES, clusters, person=None)
    table = stack([*parts, *sums], groups)
    if by_reason:
        reasons = counted.filter(nw.col("is_failed")).group_by(*groups, REASON).agg(nw.col("failed").sum())
        table = join(reasons, table.drop("failed"), groups)
        for rate, column in clusters.items():
            shares = share_sums(counted, groups, REASON, name=rate, counts=_RATES[rate], column=column, person=None)
            table = stack([table, shares], [*groups, REASON]).filter(nw.col("failed") > 0)
    rated = with_clustered_rates(call, table, _RATES, clusters, ci=ci)
    rates = [f"failure_rate{end}" for end in ("", "_n", "_lo", "_hi")]
    result: IntoFrameT = call.write(
        rated.select(*keys, "failed", "sent", "attempted", *rates),
        sort=keys,
        instants=[key for key in keys if key.endswith("_at")],
    )
    return result
