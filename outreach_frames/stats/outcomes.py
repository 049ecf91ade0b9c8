"""What became of enrolments."""

from collections.abc import Mapping
from typing import Any

import narwhals as nw
import pandas as pd
from narwhals.typing import IntoFrameT

from outreach_frames.stats._call import Call
from outreach_frames.stats._engines import join
from outreach_frames.stats._instants import Instant
from outreach_frames.stats._tally import with_missing
from outreach_frames.stats.attachments import attach
from outreach_frames.stats.clusters import PERSON, cluster_columns, clusters_of, share_sums, with_clustered_rates
from outreach_frames.stats.flags import SENDING, with_delivery
from outreach_frames.stats.maturity import with_mature

BUCKETS = (
    "finished_replied",
    "finished_no_reply",
    "active",
    "pending",
    "paused",
    "paused_ooto",
    "bounced",
    "opted_out",
    "failed",
    "disabled",
    "unknown",
)
"""Where an enrolment can stand, in the order of a picture; a state that is none of the known ones is ``unknown``."""

CLOSED_STATES = ("finished", "opted_out")
"""States that end an enrolment; Outreach's interface treats every other one as active."""

_KNOWN = ("active", "pending", "paused", "bounced", "opted_out", "failed", "disabled")
_STATE_COLUMNS = ("id", "sequence_id", "state", "replied_at", "reply_count", "pause_reason")


_SHARE = {"share": ("enrolments", "of_all")}


def state_flow(
    sequence_states: IntoFrameT,
    mailings: IntoFrameT,
    *,
    earlier: IntoFrameT | None = None,
    ooto_prefix: str = "ooto",
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
) -> IntoFrameT:
    """
    Count enrolments by sequence and by where they stand.

    The bucket is the ``state``, with two splits: ``paused`` with a ``pause_reason`` that begins with the out-of-office
    prefix is ``paused_ooto``; ``finished`` is ``finished_replied`` where the enrolment's ``replied_at`` is set, its
    ``reply_count`` is above 0 or one of its mailings was replied to, else ``finished_no_reply``. ``share`` =
    enrolments in the bucket / enrolments of the sequence.

    Parameters
    ----------
    sequence_states
        ``id``, ``sequence_id``, ``state``, ``replied_at``, ``reply_count``, ``pause_reason``; ``created_at`` where it
        is known.
    mailings
        ``id``, ``sequence_state_id``, ``delivered_at``, ``bounced_at``, ``replied_at``.
    earlier
        The enrolments of an earlier snapshot, with the same columns, to see what they have become.
    ooto_prefix
        Compared without regard to case. What Outreach writes there is not documented.
    bounce_policy
        See `mailing_flags`.
    ci
        Confidence level.
    cluster
        What belongs together, so that its outcomes are alike: ``"auto"`` takes the account where the enrolments have
        ``account_id``, else the person where they have ``prospect_id``; or a column's name; or ``None``: independent
        enrolments.
    as_of
        When the data were extracted; default: what the frames' records say, else the latest ``created_at``.

    Returns
    -------
    flow : frame of the caller's kind, one row per sequence and bucket that occurs, sorted by sequence and bucket
        ``sequence_id``, ``bucket`` (in the order of `BUCKETS`), ``enrolments``, ``share`` with ``_n``, ``_lo``,
        ``_hi``; ``mature`` and ``mature_n`` [enrolments of the bucket and of the sequence that were created at least
        14 days before ``as_of``, by which sequences can be compared; missing without ``created_at``]. In pandas and
        with ``earlier``, `attached` gives ``"transitions"``: ``from``, ``to``, ``count`` of enrolments in either
        snapshot (new ones come ``from`` missing, vanished ones go ``to`` missing).

    Raises
    ------
    MissingColumnError
        A column is absent.
    DataError
        A wrong dtype, an id that occurs twice in memory, frames of two kinds.

    Notes
    -----
    Left out and counted: enrolments without a sequence. The intervals are of single buckets; read the whole vector by
    its counts. Definition: this project's metric dictionary, part 2.3.
    """
    call = Call("state_flow", ooto_prefix=ooto_prefix, bounce_policy=bounce_policy, ci=ci, cluster=cluster)
    optional = ["created_at", *([] if cluster is None else [*cluster_columns(cluster), PERSON])]
    states = call.read("sequence_states", sequence_states, _STATE_COLUMNS, optional=optional)
    clusters = clusters_of(_SHARE, cluster, states.collect_schema().names(), ["sequence_id"])
    mail = call.read("mailings", mailings, ["id", "sequence_state_id", *SENDING])
    call.look(as_of)
    replied = _replied(mail, bounce_policy)
    states = call.drop(states, "enrolment without a sequence", ~nw.col("sequence_id").is_null())
    placed = with_bucket(states, replied, ooto_prefix)

    placed = placed.with_columns(enrolments=nw.col("id") * 0 + 1, of_all=nw.col("id") * 0 + 1)
    counted = ["enrolments"]
    if "created_at" in placed.collect_schema().names():
        placed = with_mature(placed, "created_at", as_of=call.as_of, events=placed, happened=["created_at"])
        placed = placed.with_columns(mature=nw.col("is_mature").cast(nw.Int64))
        counted.append("mature")
    counts = placed.group_by("sequence_id", "bucket").agg(nw.col(name).sum() for name in counted)
    of_all = {"enrolments": "of_all", "mature": "mature_n"}
    totals = counts.group_by("sequence_id").agg(nw.col(name).sum().alias(of_all[name]) for name in counted)
    table = with_missing(join(counts, totals, "sequence_id"), ["mature", "mature_n"], like="enrolments")
    for rate, column in clusters.items():
        sums = share_sums(placed, ["sequence_id"], "bucket", name=rate, counts=_SHARE[rate], column=column)
        table = join(table, sums, ["sequence_id", "bucket"])
    table = with_clustered_rates(call, table, _SHARE, clusters, ci=ci)
    keys = ["sequence_id", "bucket"]
    columns = [*keys, "enrolments", "share", "share_n", "share_lo", "share_hi", "mature", "mature_n"]
    transitions = None
    if earlier is not None:
        before = with_bucket(call.read("earlier", earlier, _STATE_COLUMNS), replied, ooto_prefix)
        transitions = _transitions(call.table(before), call.table(placed)) if call.in_memory else None
    result: IntoFrameT = call.write(table.select(*columns), sort=keys, categories={"bucket": BUCKETS})
    if isinstance(result, pd.DataFrame) and transitions is not None:
        attach(result, "transitions", transitions)
    return result


def with_bucket(states: nw.LazyFrame[Any], replied: nw.LazyFrame[Any], ooto_prefix: str = "ooto") -> nw.LazyFrame[Any]:
    """Add ``bucket``; ``replied`` lists the enrolments (``id``) with a replied mailing in ``has_reply``."""
    state, reason = nw.col("state"), nw.col("pause_reason").str.to_lowercase()
    answered = (nw.col("has_reply") > 0).fill_null(False) | (nw.col("reply_count") > 0).fill_null(False)
    answered |= ~nw.col("replied_at").is_null()
    splits: Mapping[str, nw.Expr] = {
        **{name: state == name for name in _KNOWN},
        "paused_ooto": (state == "paused") & reason.str.starts_with(ooto_prefix.lower()).fill_null(False),
        "finished_no_reply": (state == "finished") & ~answered,
        "finished_replied": (state == "finished") & answered,
    }
    bucket = nw.lit("unknown")
    for name, holds in splits.items():
        bucket = nw.when(holds.fill_null(False)).then(nw.lit(name)).otherwise(bucket)
    return join(states, replied, "id").with_columns(bucket=bucket)


def _replied(mail: nw.LazyFrame[Any], bounce_policy: str) -> nw.LazyFrame[Any]:
    flagged = with_delivery(mail, bounce_policy).filter(
        nw.col("is_delivered") & ~nw.col("replied_at").is_null() & ~nw.col("sequence_state_id").is_null()
    )
    return flagged.group_by("sequence_state_id").agg(has_reply=nw.col("id").count()).rename({"sequence_state_id": "id"})


def _transitions(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Count enrolments by where they stood and where they stand; it has at most 121 rows."""
    old = before[["id", "bucket"]].rename(columns={"bucket": "from"})
    both = old.merge(after[["id", "bucket"]].rename(columns={"bucket": "to"}), on="id", how="outer", validate="1:1")
    counted: pd.DataFrame = both.groupby(["from", "to"], dropna=False).size().rename("count").reset_index()
    return counted
