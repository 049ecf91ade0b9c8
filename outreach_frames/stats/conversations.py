"""Calls made, and how many of them reached somebody: by rep, by hour, by disposition."""

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals as nw
from narwhals.typing import IntoFrameT

from outreach_frames.stats._calendar import PERIODS, SECOND, WEEKDAYS, weekday_of, with_local, with_periods
from outreach_frames.stats._call import Call, columns_of
from outreach_frames.stats._instants import Instant
from outreach_frames.stats._parameters import columns
from outreach_frames.stats._tally import grouping, stack
from outreach_frames.stats._touches import outbound_calls, tell_calls_placed, with_conversation
from outreach_frames.stats.clusters import PERSON, cluster_columns, clusters_of, counted_parts, with_clustered_rates

CONNECT_RATE = {"connect_rate": ("connected", "calls_dialled")}
CLOCK = ("hour", "weekday")


def call_outcomes(
    calls: IntoFrameT,
    *,
    by: str | Sequence[str] | None = "user_id",
    tz: str = "UTC",
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
) -> IntoFrameT:
    """
    Count outbound calls: dialled, answered, and the time talked.

    ``connect_rate`` = outbound calls answered / outbound calls dialled.

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
        What belongs together, so that its outcomes are alike: ``"auto"`` takes the account where the frame has
        ``account_id``, else the person where it has ``prospect_id``; or a column's name; or ``None``: independent
        calls.
    as_of
        When the data were extracted; kept in the record only.

    Returns
    -------
    calls : frame of the caller's kind, one row per group, sorted by key
        Keys; ``calls_dialled``, ``connected``, ``connect_rate`` with ``_n``, ``_lo``, ``_hi``; ``talk_minutes`` [min,
        from answer to completion, where that is positive].

    Raises
    ------
    MissingColumnError
        A column is absent.
    DataError
        A wrong dtype, an id that occurs twice in memory, an unknown zone.

    Notes
    -----
    The time of a call is ``dialed_at``, else ``answered_at``, else ``completed_at``, never ``created_at``, which is
    that of logging. A call is answered where its outcome says so, in either of the vendor's spellings; without an
    outcome, where ``answered_at`` is set. Left out and counted: inbound calls, calls without a time, and rows whose key
    is missing. Interval: Wilson. Definition: this project's metric dictionary, parts 1.4 (T22, T23) and 2.8.
    """
    keys = columns("by", by)
    call = Call("call_outcomes", by=keys, tz=tz, ci=ci, cluster=cluster)
    present = columns_of("calls", calls)
    computed = [key for key in keys if key in {*PERIODS, *CLOCK} and key not in present]
    needed = ["id", "direction", "outcome", "dialed_at", "answered_at", "completed_at"]
    optional = [] if cluster is None else [*cluster_columns(cluster), PERSON]
    given = [key for key in keys if key not in computed]
    read = call.read("calls", calls, needed, keys=given, optional=optional)
    call.look(as_of)
    marked = read.with_columns(is_outbound=(nw.col("direction").str.to_lowercase() == "outbound").fill_null(False))
    outbound = call.drop(marked, "call not outbound", nw.col("is_outbound"))
    timed = ~nw.coalesce("dialed_at", "answered_at", "completed_at").is_null()
    dialled = with_conversation(outbound_calls(call.drop(outbound, "call without a time", timed)))
    if computed:
        tell_calls_placed(call, dialled)
        dialled = _with_clock(with_local(dialled, "called_at", zones=[tz]), computed)
    for key in keys:
        dialled = call.drop(dialled, f"{key} missing", ~nw.col(key).is_null())
    dialled, groups, parts = grouping(dialled, keys)
    talked = ["talk_minutes"]
    clusters = clusters_of(CONNECT_RATE, cluster, dialled.collect_schema().names(), keys)
    table = stack([*parts, *call_counts(dialled, groups, clusters)], groups, medians=talked)
    table = with_clustered_rates(call, table, CONNECT_RATE, clusters, ci=ci)
    rates = [f"connect_rate{end}" for end in ("", "_n", "_lo", "_hi")]
    table = table.with_columns(nw.col("talk_minutes").fill_null(0.0).cast(nw.Float64))
    result: IntoFrameT = call.write(
        table.select(*keys, "calls_dialled", "connected", *rates, "talk_minutes"),
        sort=keys,
        days=[key for key in computed if key in PERIODS],
        instants=[key for key in keys if key.endswith("_at")],
        categories={"weekday": WEEKDAYS} if "weekday" in computed else None,
    )
    return result


def call_counts(
    dialled: nw.LazyFrame[Any], keys: Sequence[str], clusters: Mapping[str, str]
) -> list[nw.LazyFrame[Any]]:
    """Count by group the calls dialled, those answered, and the minutes talked; see `counted_parts`."""
    talked = nw.col("completed_at") - nw.col("answered_at")
    timed = dialled.with_columns(
        calls_dialled=nw.col("called_at") * 0 + 1,
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
