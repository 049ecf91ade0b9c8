"""
Counting by group, and the rates made from the counts.

A count by group may come from several frames (mailings, enrollments, a list of groups that must not be lost). Each
gives a part with the group's keys and its own counts; the parts are stacked and summed once more. No join is needed,
so groups whose key is missing survive in every engine, and a group that only one part has gets zeros in the others.

Groups are compared only over people and enrollments that have had `MATURE_D` days. Otherwise a sequence that began six
days ago would rank below all others, since most of its answers are still to come.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Literal, NamedTuple

import narwhals as nw

from outreach_frames.metrics import RATES
from outreach_frames.stats._backends import grouped_median, join, tidied
from outreach_frames.stats._statistic import StatContext
from outreach_frames.stats._timestamps import DAY, HOUR, to_micros
from outreach_frames.stats.clusters import CLUSTER, cluster_sums, with_cluster, with_clustered_rates

COUNTS = (
    "mailings",
    "sent",
    "bounced",
    "delivered",
    "open_base",
    "opened",
    "click_base",
    "clicked",
    "replied",
    "opted_out",
    "opens_total",
    "clicks_total",
    "opened_clicked",
    "prospects_replied",
    "prospects_unsubscribed",
    "enrollments_replied",
    "enrollments_replied_14d",
    "enrollments_bounced",
)

MEDIAN = "hours_to_reply_median"
PER_100 = "replies_per_100_contacted"
EVERYTHING = "everything"
"""Key of the one group where nothing is grouped by."""

COUNTED_FLAGS = {
    "sent": "is_sent",
    "bounced": "is_bounced",
    "delivered": "is_delivered",
    "open_base": "is_open_tracked",
    "opened": "is_opened",
    "click_base": "is_click_tracked",
    "clicked": "is_clicked",
    "replied": "is_replied",
    "opted_out": "is_opted_out",
}
"""Flag that each count of mailings sums."""


class CountUnit(NamedTuple):
    """Whom some rates count, each once: the flags of mailings that a count of them looks for, by what it ends in."""

    name: str
    counts: Mapping[str, str]
    rates: tuple[str, ...]

    @property
    def is_timed(self) -> bool:
        """Whether a count of them asks when things happened, and not only whether."""
        return "enrollment_reply_rate_14d" in self.rates


COUNT_UNITS = {
    "prospect_id": CountUnit(
        "prospects",
        {"emailed": "delivered", "replied": "replied", "unsubscribed": "opted_out"},
        ("prospect_reply_rate", "prospect_unsubscribe_rate"),
    ),
    "sequence_state_id": CountUnit(
        "enrollments",
        {"emailed": "delivered", "replied": "replied", "sent": "sent", "bounced": "bounced"},
        ("enrollment_reply_rate", "enrollment_reply_rate_14d", "enrollment_bounce_rate"),
    ),
}
"""By the column that tells them."""

_MATURE = ("enrollments_mature", "enrollments_replied_14d")

_ADDITIVE = ("mailings", *COUNTED_FLAGS, "opens_total", "clicks_total", "opened_clicked", "opened_click_base")
"""Counts of mailings, which groups and clusters add up."""


def engagement_parts(
    flagged: nw.LazyFrame[Any],
    keys: Sequence[str],
    clusters: Mapping[str, str] | None = None,
    *,
    as_of: str | None = None,
) -> list[nw.LazyFrame[Any]]:
    """
    Count mailings, prospects and enrollments by group, and their clusters.

    Parameters
    ----------
    flagged
        Mailings with their flags, ``prospect_id``, ``sequence_state_id`` and the columns of ``clusters``.
    keys
        Columns to group by.
    clusters
        By rate, the column by which its trials belong together; rates that are not named have independent trials.
    as_of
        When the data were extracted [ISO 8601]; unknown: the latest event stands for it.
    """
    clusters = clusters or {}
    summed = flagged.with_columns(  # of floats: DuckDB adds up integers as 128-bit ones, at several times the cost
        *(nw.col(flag).cast(nw.Float64).alias(count) for count, flag in COUNTED_FLAGS.items()),
        *(nw.col(total).cast(nw.Float64) for total in ("opens_total", "clicks_total")),
        mailings=nw.col("is_sent").cast(nw.Float64) * 0 + 1,
        opened_clicked=(nw.col("is_opened") & nw.col("is_clicked")).cast(nw.Float64),
        opened_click_base=(nw.col("is_opened") & nw.col("is_click_tracked")).cast(nw.Float64),
        hours_to_reply=nw.when(nw.col("is_replied")).then((nw.col("replied_at") - nw.col("delivered_at")) / HOUR),
    )
    parts = [grouped_median(summed, keys, "hours_to_reply", MEDIAN)]
    counts, units = list(_ADDITIVE), dict(COUNT_UNITS)
    for column in dict.fromkeys(clusters.values()):
        rates = {name: RATES[name] for name in RATES if clusters.get(name) == column}
        marked = with_cluster(summed, column)
        for who, unit in COUNT_UNITS.items():
            own = {rate: rates.pop(rate) for rate in unit.rates if rate in rates}
            if own and who != column:  # otherwise each cluster is a trial
                within = count_units(marked, [*keys, CLUSTER], who, units.pop(who), as_of=as_of)
                parts.append(cluster_sums(within, keys, own))
        is_unit = column in COUNT_UNITS and not COUNT_UNITS[column].is_timed
        flags = COUNT_UNITS[column].counts.values() if is_unit else ()
        needed = dict.fromkeys([*chain(*rates.values()), *flags])  # no more: there can be millions of clusters
        by_cluster = _flag_sums(marked, [*keys, CLUSTER], list(needed))
        counted = [name for name in counts if name in needed]
        counts = [name for name in counts if name not in needed]
        if is_unit:
            unit = units.pop(column)
            by_cluster = _with_units(by_cluster, unit)
            counted += [f"{unit.name}_{end}" for end in unit.counts]
        parts.append(cluster_sums(by_cluster, keys, rates, counts=counted))
    if counts:
        parts.append(summed.group_by(*keys).agg(nw.col(name).sum() for name in counts))
    return parts + [count_units(summed, keys, who, unit, as_of=as_of) for who, unit in units.items()]


_PAIRED = 2.0**26
"""Weight of the second of two flags that are summed as one number: a float is exact up to the square of twice this."""


def _flag_sums(summed: nw.LazyFrame[Any], keys: Sequence[str], flags: Sequence[str]) -> nw.LazyFrame[Any]:
    """
    Sum flags by group where there are millions of groups.

    What is sent is delivered or bounced, so that it need not be summed. The others are summed two at a time, since each
    sum costs an engine about as much as the grouping; the sums are exact in groups of up to 67 million rows.
    """
    derived = {"sent", "bounced", "delivered"} <= {*flags}
    names = [name for name in flags if name != "sent" or not derived]
    pairs = dict(zip(names[::2], names[1::2], strict=False))
    single = names[len(names) // 2 * 2 :]
    paired = summed.with_columns((nw.col(low) + nw.col(high) * _PAIRED).alias(low) for low, high in pairs.items())
    sums = paired.group_by(*keys).agg(nw.col(name).sum() for name in (*pairs, *single))
    sums = sums.with_columns((nw.col(low) / _PAIRED).floor().alias(high) for low, high in pairs.items())
    sums = sums.with_columns(nw.col(low) - nw.col(high) * _PAIRED for low, high in pairs.items())
    return sums.with_columns(sent=nw.col("delivered") + nw.col("bounced")) if derived else sums


def _with_units(by_unit: nw.LazyFrame[Any], unit: CountUnit) -> nw.LazyFrame[Any]:
    """Count the people or enrollments, in a frame of one row for each; missing ones have negative ids."""
    clustered = nw.col(CLUSTER) >= 0
    return by_unit.with_columns(
        (clustered & (nw.col(flag) > 0)).cast(nw.Float64).alias(f"{unit.name}_{end}")
        for end, flag in unit.counts.items()
    )


def count_units(
    summed: nw.LazyFrame[Any], keys: Sequence[str], who: str, unit: CountUnit, *, as_of: str | None = None
) -> nw.LazyFrame[Any]:
    """Count distinct people or enrollments: grouping twice is exact in every engine, `n_unique` is not (Dask)."""
    inner = [key for key in keys if key not in {who, CLUSTER}]
    flags = dict.fromkeys(unit.counts.values())
    timed = unit.is_timed
    if timed:
        summed = summed.with_columns(
            first_at=nw.when(nw.col("delivered") > 0).then(nw.col("sent_at")),
            answered_at=nw.when(nw.col("replied") > 0).then(nw.col("replied_at")),
        )
    once = (
        summed.filter(~nw.col(who).is_null())
        .group_by(who, *inner)
        .agg(
            *(nw.col(flag).max() for flag in flags),
            *(nw.col(instant).min() for instant in (("first_at", "answered_at") if timed else ())),
            *(nw.col(key).max() for key in keys if key == CLUSTER),
        )
    )
    counted = once.with_columns(nw.col(flag).alias(f"{unit.name}_{end}") for end, flag in unit.counts.items())
    if timed:
        happened = ["sent_at", "replied_at"]
        counted = with_mature(counted, "first_at", as_of=as_of, events=summed, happened=happened)
        in_time = (nw.col("answered_at") - nw.col("first_at") <= WINDOW).fill_null(False)
        counted = counted.with_columns(
            enrollments_mature=nw.col("is_mature").cast(nw.Float64),
            enrollments_replied_14d=(nw.col("is_mature") & in_time).cast(nw.Float64),
        )
    counts = [*(f"{unit.name}_{end}" for end in unit.counts), *(_MATURE if timed else ())]
    if CLUSTER in keys:
        return _flag_sums(counted, keys, counts)
    return counted.group_by(*keys).agg(nw.col(count).sum() for count in counts)


def grouping(
    frame: nw.LazyFrame[Any], keys: Sequence[str]
) -> tuple[nw.LazyFrame[Any], list[str], list[nw.LazyFrame[Any]]]:
    """
    Prepare counting by columns, or over all rows.

    Returns
    -------
    frame, keys
        What to group, and by what: without columns, by one that is the same in all rows.
    parts
        What to `stack` besides the counts: without columns, a row that is there even where the frame has none.
    """
    if keys:
        return frame, list(keys), []
    one = frame.select((nw.len() * 0).cast(nw.Int64).alias(EVERYTHING))
    return frame.with_columns(nw.lit(0, dtype=nw.Int64).alias(EVERYTHING)), [EVERYTHING], [one]


def count_distinct(frame: nw.LazyFrame[Any], keys: Sequence[str], who: str, name: str) -> nw.LazyFrame[Any]:
    """Count the distinct values of a column by group, missing ones left out."""
    counted_people = frame.filter(~nw.col(who).is_null()).with_columns(nw.col(who).is_null().cast(nw.Int64).alias(name))
    once = counted_people.group_by(*keys, who).agg(nw.col(name).max())
    return once.with_columns(nw.col(name) + 1).group_by(*keys).agg(nw.col(name).sum())


def at_the_end(frame: nw.LazyFrame[Any], key: str, column: str, end: Literal["min", "max"]) -> nw.LazyFrame[Any]:
    """Keep the rows of each group with its smallest or largest value."""
    value = nw.col(column).min() if end == "min" else nw.col(column).max()
    ends = frame.group_by(key).agg(value.alias("end_value"))
    return join(frame, ends, key).filter(nw.col(column) == nw.col("end_value")).drop("end_value")


def with_missing(table: nw.LazyFrame[Any], columns: Sequence[str], like: str) -> nw.LazyFrame[Any]:
    """Add those columns that are absent, without a value; ``like`` is a column of counts."""
    absent = [name for name in columns if name not in table.collect_schema().names()]
    return tidied(table).with_columns(nw.when(nw.col(like) < 0).then(nw.col(like)).alias(name) for name in absent)


def stack(parts: Iterable[nw.LazyFrame[Any]], keys: Sequence[str], *, medians: Sequence[str] = ()) -> nw.LazyFrame[Any]:
    """
    Put parts together: one row per group, counts summed, 0 where no part has one.

    Parameters
    ----------
    parts
        Frames with the keys and any counts.
    keys
        Columns that name the group.
    medians
        Columns that a single part has; they are taken over, and stay missing where it has none.
    """
    together = nw.concat(list(parts), how="diagonal")
    counts = [name for name in together.collect_schema().names() if name not in {*keys, *medians}]
    summed = together.group_by(*keys).agg(
        *(nw.col(name).sum() for name in counts), *(nw.col(name).max() for name in medians)
    )
    return summed.with_columns(nw.col(name).fill_null(0).cast(nw.Int64) for name in counts)


def with_engagement(
    call: StatContext, table: nw.LazyFrame[Any], clusters: Mapping[str, str] | None = None, *, ci: float
) -> nw.LazyFrame[Any]:
    """Add the rates of an engagement table, and the one figure on a scale of a hundred."""
    rated = with_clustered_rates(call, table, RATES, clusters or {}, ci=ci)
    return rated.with_columns(
        nw.col("prospect_reply_rate_n").alias(f"{PER_100}_n"),
        *((100.0 * nw.col(f"prospect_reply_rate{end}")).alias(f"{PER_100}{end}") for end in ("", "_lo", "_hi")),
    )


def engagement_columns() -> list[str]:
    """List the columns of an engagement table after its keys, in order."""
    rates = [f"{name}{end}" for name in (*RATES, PER_100) for end in ("", "_n", "_lo", "_hi")]
    return [*COUNTS, *rates, MEDIAN]


def note_unknown(call: StatContext, flagged: nw.LazyFrame[Any]) -> None:
    """Note how many delivered mailings have no prospect: they count as mailings, not as people."""
    if call.counts_rows:
        unknown = flagged.select(((nw.col("prospect_id").is_null()) & nw.col("is_delivered")).cast(nw.Int64).sum())
        if count := int(unknown.collect().item() or 0):
            call.dropped["mailing without a prospect, left out of counts of people only"] = count


MATURE_D = 14
"""How long an enrollment, or a person, must have had [d]; nine of ten answers come within it."""

WINDOW = MATURE_D * DAY
"""The same [µs]."""


def with_mature(
    frame: nw.LazyFrame[Any], began_at: str, *, as_of: str | None, events: nw.LazyFrame[Any], happened: Sequence[str]
) -> nw.LazyFrame[Any]:
    """
    Add ``is_mature``: whether a row is at least `MATURE_D` days old.

    Parameters
    ----------
    frame
        What is judged.
    began_at
        Column of the instant at which its time began; what has none is not mature.
    as_of
        When the data were extracted [ISO 8601].
    events, happened
        Rows with columns of instants; the latest of these stands for the extraction where that is not known.
    """
    if as_of is not None:
        mature = nw.col(began_at) <= to_micros(as_of) - WINDOW
        return frame.with_columns(is_mature=mature.fill_null(False))
    instants = [events.select(nw.col(column).max().alias("latest_at")) for column in happened]
    latest = nw.concat(instants, how="vertical").select(nw.col("latest_at").max())
    judged = tidied(frame).join(tidied(latest), how="cross")
    mature = nw.col(began_at) <= nw.col("latest_at") - WINDOW
    return judged.with_columns(is_mature=mature.fill_null(False)).drop("latest_at")
