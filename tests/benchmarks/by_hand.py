"""
`engagement(by="sequence_id")` written by hand, in polars and in SQL for DuckDB: the baseline of the statistics.

Both compute every column of the package's table: counts of mailings, people and enrollments, the parts of the design
effects over people, the median time to a reply. The rates and their intervals of the 200 groups are NumPy's work.
Nothing here is imported from the package.
"""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from scipy.special import stdtrit

AS_OF = "2026-07-01 00:00:00+00"
_WINDOW = "14 days"
_NORMAL = 1.959963984540054
"""Quantile of the normal distribution for 95 %."""

OF_MAIL = {
    "delivery_rate": ("delivered", "sent"),
    "bounce_rate": ("bounced", "sent"),
    "open_rate": ("opened", "open_base"),
    "click_rate": ("clicked", "click_base"),
    "click_to_open_rate": ("opened_clicked", "opened_click_base"),
    "reply_rate": ("replied", "delivered"),
    "opt_out_rate": ("opted_out", "delivered"),
}
OF_PEOPLE = {
    "prospect_reply_rate": ("prospects_replied", "prospects_emailed"),
    "prospect_unsubscribe_rate": ("prospects_unsubscribed", "prospects_emailed"),
}
OF_ENROLLMENTS = {
    "enrollment_reply_rate": ("enrollments_replied", "enrollments_emailed"),
    "enrollment_reply_rate_14d": ("enrollments_replied_14d", "enrollments_mature"),
    "enrollment_bounce_rate": ("enrollments_bounced", "enrollments_sent"),
}
_FLAGS = ("sent", "bounced", "delivered", "open_base", "opened", "click_base", "clicked", "replied", "opted_out")
_TOTALS = ("mailings", *_FLAGS, "opens_total", "clicks_total", "opened_clicked", "opened_click_base")
_PEOPLE = {"prospects_emailed": "delivered", "prospects_replied": "replied", "prospects_unsubscribed": "opted_out"}
_ENROLLMENTS = tuple(dict.fromkeys(name for pair in OF_ENROLLMENTS.values() for name in pair))


def with_polars(mailings: pl.LazyFrame) -> pd.DataFrame:
    """Count in polars."""
    as_of = pl.lit(AS_OF).str.to_datetime("%Y-%m-%d %H:%M:%S%#z", time_unit="us").dt.convert_time_zone("UTC")
    fourteen = pl.duration(days=14)
    flagged = (
        mailings.filter(pl.col("sequence_id").is_not_null())
        .with_columns(
            mailings=pl.lit(1, pl.UInt32),
            cluster=pl.coalesce("prospect_id", -2 * pl.col("id") - 1),
            sent=pl.any_horizontal(pl.col("delivered_at", "bounced_at", "replied_at").is_not_null()),
            bounced=pl.col("bounced_at").is_not_null() & pl.col("replied_at").is_null(),
            sent_at=pl.coalesce("delivered_at", "bounced_at", "replied_at"),
            opens_total=pl.col("open_count").fill_null(0),
            clicks_total=pl.col("click_count").fill_null(0),
        )
        .with_columns(delivered=pl.col("sent") & ~pl.col("bounced"))
        .with_columns(
            open_base=pl.col("delivered") & pl.col("track_opens").fill_null(True),
            click_base=pl.col("delivered") & pl.col("track_links").fill_null(True),
            replied=pl.col("delivered") & pl.col("replied_at").is_not_null(),
            opted_out=pl.col("delivered") & pl.col("unsubscribed_at").is_not_null(),
        )
        .with_columns(
            opened=pl.col("open_base") & ((pl.col("opens_total") > 0) | pl.col("opened_at").is_not_null()),
            clicked=pl.col("click_base") & ((pl.col("clicks_total") > 0) | pl.col("clicked_at").is_not_null()),
        )
        .with_columns(
            opened_clicked=pl.col("opened") & pl.col("clicked"),
            opened_click_base=pl.col("opened") & pl.col("click_base"),
        )
    )
    by_person = flagged.group_by("sequence_id", "cluster").agg(pl.col(*_TOTALS).sum().cast(pl.Int64))
    person = pl.col("cluster") >= 0
    people = by_person.group_by("sequence_id").agg(
        pl.col(*_TOTALS).sum(),
        *((person & (pl.col(flag) > 0)).sum().alias(name) for name, flag in _PEOPLE.items()),
        *_polars_products(OF_MAIL),
    )
    by_enrollment = (
        flagged.filter(pl.col("sequence_state_id").is_not_null())
        .group_by("sequence_id", "sequence_state_id")
        .agg(
            pl.col("cluster").max(),
            enrollments_emailed=pl.col("delivered").any(),
            enrollments_replied=pl.col("replied").any(),
            enrollments_sent=pl.col("sent").any(),
            enrollments_bounced=pl.col("bounced").any(),
            first_at=pl.when("delivered").then("sent_at").min(),
            answered_at=pl.when("replied").then("replied_at").min(),
        )
        .with_columns(enrollments_mature=(pl.col("first_at") <= as_of - fourteen).fill_null(False))
        .with_columns(
            enrollments_replied_14d=pl.col("enrollments_mature")
            & (pl.col("answered_at") - pl.col("first_at") <= fourteen).fill_null(False)
        )
    )
    enrollments = (
        by_enrollment.group_by("sequence_id", "cluster")
        .agg(pl.col(*_ENROLLMENTS).sum().cast(pl.Int64))
        .group_by("sequence_id")
        .agg(pl.col(*_ENROLLMENTS).sum(), *_polars_products(OF_ENROLLMENTS))
    )
    answered = flagged.filter("replied").select(
        "sequence_id", hours=(pl.col("replied_at") - pl.col("delivered_at")).dt.total_microseconds() / 3.6e9
    )
    medians = answered.group_by("sequence_id").agg(hours_to_reply_median=pl.col("hours").median())
    together = people.join(enrollments, on="sequence_id", how="left").join(medians, on="sequence_id", how="left")
    return with_rates(together.sort("sequence_id").collect(engine="streaming").to_pandas())


def _polars_products(rates: dict[str, tuple[str, str]]) -> list[pl.Expr]:
    return [
        expression.sum().alias(f"{name}_{part}")
        for name, (x, n) in rates.items()
        for part, expression in {
            "clusters": pl.col(n) > 0,
            "xx": pl.col(x) * pl.col(x),
            "xn": pl.col(x) * pl.col(n),
            "nn": pl.col(n) * pl.col(n),
        }.items()
    ]


def _sql_products(rates: dict[str, tuple[str, str]]) -> str:
    return ", ".join(
        f"count(*) FILTER ({n} > 0) AS {name}_clusters, sum({x} * {x})::DOUBLE AS {name}_xx, "
        f"sum({x} * {n})::DOUBLE AS {name}_xn, sum({n} * {n})::DOUBLE AS {name}_nn"
        for name, (x, n) in rates.items()
    )


def _sums(names: Any) -> str:
    return ", ".join(f"sum({name}) AS {name}" for name in names)


SQL = f"""
WITH sending AS NOT MATERIALIZED (
    SELECT *,
        delivered_at IS NOT NULL OR bounced_at IS NOT NULL OR replied_at IS NOT NULL AS sent,
        bounced_at IS NOT NULL AND replied_at IS NULL AS bounced,
        sent AND NOT bounced AS delivered,
        delivered AND coalesce(track_opens, true) AS open_base,
        delivered AND coalesce(track_links, true) AS click_base,
        delivered AND replied_at IS NOT NULL AS replied,
        delivered AND unsubscribed_at IS NOT NULL AS opted_out,
        coalesce(open_count, 0) AS opens_total,
        coalesce(click_count, 0) AS clicks_total,
        open_base AND (opens_total > 0 OR opened_at IS NOT NULL) AS opened,
        click_base AND (clicks_total > 0 OR clicked_at IS NOT NULL) AS clicked,
        opened AND clicked AS opened_clicked,
        opened AND click_base AS opened_click_base,
        coalesce(prospect_id, -2 * id - 1) AS cluster,
        coalesce(delivered_at, bounced_at, replied_at) AS sent_at
    FROM mailings WHERE sequence_id IS NOT NULL
), by_person AS (
    SELECT sequence_id, cluster, count(*)::DOUBLE AS mailings,
        {", ".join(f"sum({name}::DOUBLE) AS {name}" for name in _TOTALS[1:])}
    FROM sending GROUP BY ALL
), people AS (
    SELECT sequence_id, {_sums(_TOTALS)},
        {", ".join(f"count(*) FILTER (cluster >= 0 AND {flag} > 0) AS {name}" for name, flag in _PEOPLE.items())},
        {_sql_products(OF_MAIL)}
    FROM by_person GROUP BY sequence_id
), by_enrollment AS (
    SELECT sequence_id, sequence_state_id, max(cluster) AS cluster,
        bool_or(delivered) AS emailed, bool_or(replied) AS replied, bool_or(sent) AS sent, bool_or(bounced) AS bounced,
        min(CASE WHEN delivered THEN sent_at END) AS first_at, min(CASE WHEN replied THEN replied_at END) AS answered_at
    FROM sending WHERE sequence_state_id IS NOT NULL GROUP BY sequence_id, sequence_state_id
), enrolled AS (
    SELECT sequence_id, cluster,
        count(*) FILTER (emailed)::DOUBLE AS enrollments_emailed,
        count(*) FILTER (replied)::DOUBLE AS enrollments_replied,
        count(*) FILTER (sent)::DOUBLE AS enrollments_sent,
        count(*) FILTER (bounced)::DOUBLE AS enrollments_bounced,
        count(*) FILTER (first_at <= TIMESTAMPTZ '{AS_OF}' - INTERVAL {_WINDOW})::DOUBLE AS enrollments_mature,
        count(*) FILTER (
            first_at <= TIMESTAMPTZ '{AS_OF}' - INTERVAL {_WINDOW} AND answered_at - first_at <= INTERVAL {_WINDOW}
        )::DOUBLE AS enrollments_replied_14d
    FROM by_enrollment GROUP BY sequence_id, cluster
), enrollments AS (
    SELECT sequence_id, {_sums(_ENROLLMENTS)}, {_sql_products(OF_ENROLLMENTS)} FROM enrolled GROUP BY sequence_id
), medians AS (
    SELECT sequence_id, median((epoch_us(replied_at) - epoch_us(delivered_at)) / 3.6e9) AS hours_to_reply_median
    FROM sending WHERE replied GROUP BY sequence_id
)
SELECT * FROM people LEFT JOIN enrollments USING (sequence_id) LEFT JOIN medians USING (sequence_id)
ORDER BY sequence_id
"""  # noqa: S608  nothing in it comes from outside
"""Counts of a table or view ``mailings``."""


def with_rates(counts: pd.DataFrame) -> pd.DataFrame:
    """Add each rate with its trials and its 95 % interval, widened by the design effect, to the counts of groups."""
    counts = counts.astype({name: np.float64 for name in counts.columns if name != "sequence_id"})
    rates = OF_MAIL | OF_PEOPLE | OF_ENROLLMENTS
    columns = {}
    for name, (successes, trials) in rates.items():
        x, n = counts[successes].to_numpy(), counts[trials].to_numpy()
        with np.errstate(divide="ignore", invalid="ignore"):
            p = x / n
            squared = (
                _squared_quantile(counts, name, n, np.nan_to_num(p)) if name not in OF_PEOPLE else 1.959963984540054**2
            )
            weight = 1 / (squared / n + 1)
        center = p * weight + (1 - weight) / 2
        margin = np.sqrt((p * (1 - p) * weight + (1 - weight) / 4) * (1 - weight))
        columns[name], columns[f"{name}_n"] = p, n
        columns[f"{name}_lo"] = np.where(p > 0, center - margin, p)
        columns[f"{name}_hi"] = np.where(p < 1, center + margin, p)
    for end in ("", "_lo", "_hi"):
        columns[f"replies_per_100_contacted{end}"] = 100 * columns[f"prospect_reply_rate{end}"]
    columns["replies_per_100_contacted_n"] = columns["prospect_reply_rate_n"]
    return pd.concat([counts, pd.DataFrame(columns)], axis=1)


def _squared_quantile(counts: pd.DataFrame, name: str, n: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Square Student's quantile and multiply it by the design effect; small groups take that of all together."""
    clusters, xx, xn, nn = (counts[f"{name}_{part}"].fillna(0).to_numpy() for part in ("clusters", "xx", "xn", "nn"))
    several = (clusters > 1) & (nn > n)
    squares = np.where(several, (xx - 2 * p * xn + p * p * nn) * clusters / np.maximum(clusters - 1, 1), 0)
    variance = np.where(several, p * (1 - p) * n, 0)
    own = (clusters >= 1000) & (variance > 0)
    pooled = max(1.0, squares.sum() / variance.sum()) if variance.sum() > 0 else 1.0
    alone = np.divide(squares, variance, out=np.ones_like(n), where=variance > 0)
    effect = np.where(own, np.maximum(1, alone), pooled)
    spare = np.where(several, clusters - 1, 0)
    freedom = np.where(own, clusters - 1, spare.sum())
    grouped = (nn > n) & (freedom > 0)
    quantile = stdtrit(np.where(grouped, freedom, 1e12), 0.975)
    return quantile**2 * np.where(nn > n, effect, 1)


def with_duckdb(connection: Any) -> pd.DataFrame:
    """Count in DuckDB, in a table or view ``mailings`` of a connection."""
    return with_rates(connection.sql(SQL).df())
