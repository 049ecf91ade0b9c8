"""
Clusters of trials: mails of one person, people of one account, addresses of one domain.

Outcomes within a cluster are alike, so that they carry less information than as many independent trials. The design
effect says by how much: an interval of a rate over n trials is that of n / design effect independent ones.

The parameter ``cluster`` means the same in every statistic. ``"auto"`` takes the first column that the frame has: the
account (`ACCOUNTS`); else, for bounces, the recipients' domain; else the person (``prospect_id``). A statistic that
takes another one says so. The name of a column takes that column. ``None`` takes every trial as independent, which
makes intervals narrower than they should be.

Notes
-----
Linearized variance of a ratio over clusters: W. G. Cochran, "Sampling Techniques" (3rd ed., 1977), section 9A. With a
cluster's successes x and trials n, C clusters and the group's rate p, the design effect is
C / (C − 1) · Σ (x − pn)² / (p (1 − p) Σ n), and at least 1; it is 1 where every cluster is a single trial. Groups of
fewer than `ENOUGH` clusters take that of all groups together: their own would be chance alone.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

import narwhals as nw
import pandas as pd

from outreach_frames.errors import DataError
from outreach_frames.stats._backends import in_arrow, join, on_table, with_stacked, with_totals
from outreach_frames.stats._statistic import StatContext
from outreach_frames.stats._validation import text
from outreach_frames.stats.intervals import with_rates

ENOUGH = 1_000
"""From so many clusters on a group has a design effect of its own [clusters]."""

AUTO = "auto"
ACCOUNTS = ("account_id", "prospect__account_id", "sequence_state__account_id")
"""Columns that tell the account, the first of which a frame has being taken."""

DOMAIN = "recipient_domain"
PERSON = "prospect_id"

BY_DOMAIN = frozenset({"bounce_rate", "delivery_rate"})
"""Rates that depend on the recipient's domain more than on anything else."""

CLUSTER = "cluster"
"""Column that tells, for every trial, what it belongs to."""

NORMAL = 1e18
"""Degrees of freedom of Student's distribution that are as good as infinite, where no design effect was estimated."""

SUMS = ("clusters", "xx", "xn", "nn")
"""What `cluster_sums` sums, as a rate's columns end."""


def cluster_column(cluster: str | None, present: Sequence[str], *, person: str = PERSON, domain: bool = False) -> str:
    """
    Choose the column of the clusters.

    Parameters
    ----------
    cluster
        What the caller asks for: ``"auto"`` or a column's name. Not ``None``, which asks for independent trials.
    present
        The columns that the frame has.
    person
        The column that tells the person.
    domain
        Whether the rate is one of delivery, which depends on the recipient's domain.

    Returns
    -------
    column : str
        By ``"auto"``, the account where the frame tells it, else the recipient's domain where the rate depends on it
        and the frame tells it, else the person.

    Raises
    ------
    DataError
        There is no such column.
    """
    if cluster != AUTO:
        if text("cluster", cluster) not in present:
            raise DataError(
                f"There is no column {cluster!r} to find clusters by.",
                hint='Name a column of the frame, or write cluster="auto", or cluster=None for independent trials.',
            )
        return str(cluster)
    candidates = [*ACCOUNTS, *([DOMAIN] if domain else [])]
    return next((name for name in candidates if name in present), person)


def cluster_columns(cluster: str | None) -> list[str]:
    """List the optional columns that may hold the clusters of a frame; see `StatContext.read`."""
    return [] if cluster is None else [*ACCOUNTS, DOMAIN] if cluster == AUTO else [text("cluster", cluster)]


def clusters_of(
    rates: Iterable[str], cluster: str | None, present: Sequence[str], keys: Sequence[str] = (), person: str = PERSON
) -> dict[str, str]:
    """
    Choose the column of the clusters for each rate.

    Parameters
    ----------
    rates
        Names of the rates.
    cluster
        What the caller asks for; ``None``: independent trials.
    present
        The columns that the frame has.
    keys
        Columns of the groups; a group that is itself a cluster has independent trials.
    person
        The column that tells the person.

    Returns
    -------
    columns : dict
        By rate; not in it are those with independent trials, and by ``"auto"`` those whose person is not known.
    """
    if cluster is None:
        return {}
    chosen = {rate: cluster_column(cluster, present, person=person, domain=rate in BY_DOMAIN) for rate in rates}
    return {rate: column for rate, column in chosen.items() if column in present and column not in keys}


def with_cluster(frame: nw.LazyFrame[Any], column: str, *, person: str | None = PERSON) -> nw.LazyFrame[Any]:
    """
    Add `CLUSTER`: the cluster of each row, else its person, else the row itself.

    Parameters
    ----------
    frame
        ``id``, and the columns named.
    column
        What rows of one value of belong together.
    person
        The column that tells the person, if there is one.
    """
    schema, row = frame.collect_schema(), -2 * nw.col("id") - 1
    alone = row if person == column or person not in schema else nw.coalesce(-2 * nw.col(str(person)), row)
    if isinstance(schema[column], nw.List | nw.Array | nw.Struct | nw.Object):
        raise DataError(
            f"Column {column!r} is {schema[column]}: no clusters can be found by it.",
            hint='Name a column of ids, texts or dates, or write cluster="auto".',
        )
    if schema[column].is_integer():
        return frame.with_columns(nw.coalesce(column, alone).alias(CLUSTER))
    return frame.with_columns(nw.coalesce(nw.col(column).cast(nw.String), alone.cast(nw.String)).alias(CLUSTER))


def cluster_sums(
    by_cluster: nw.LazyFrame[Any],
    keys: Sequence[str],
    rates: Mapping[str, tuple[str, str]],
    *,
    counts: Sequence[str] | None = None,
) -> nw.LazyFrame[Any]:
    """
    Sum by group the counts of its clusters, and the parts of the design effects.

    Parameters
    ----------
    by_cluster
        One row for each group and cluster: the group's keys, and the successes and trials of each rate.
    keys
        Columns that name the group.
    rates
        Columns of successes and of trials, by the rate's name.
    counts
        What to sum as it is; default: the columns of the rates.

    Returns
    -------
    sums : LazyFrame
        Keys, counts, and for each rate ``<name>_clusters`` [clusters with a trial], ``_xx``, ``_xn``, ``_nn`` [sums of
        products]: whole numbers, so that parts of a group can be added up.
    """
    counts = list(dict.fromkeys(chain(*rates.values()))) if counts is None else counts
    products = by_cluster.with_columns(
        product.alias(f"{name}_{part}")
        for name, (x, n) in rates.items()
        for part, product in zip(
            SUMS,
            (
                (nw.col(n) > 0).cast(nw.Float64),
                nw.col(x) * nw.col(x),
                nw.col(x) * nw.col(n),
                nw.col(n) * nw.col(n),
            ),
            strict=True,
        )
    )
    sums = [f"{name}_{part}" for name in rates for part in SUMS]
    return products.group_by(*keys).agg(nw.col(column).sum() for column in (*counts, *sums))


def counted_parts(
    rows: nw.LazyFrame[Any],
    keys: Sequence[str],
    counts: Sequence[str],
    rates: Mapping[str, tuple[str, str]],
    clusters: Mapping[str, str],
    *,
    person: str | None = PERSON,
) -> list[nw.LazyFrame[Any]]:
    """
    Count rows by group, and their clusters.

    Parameters
    ----------
    rows
        ``id``, keys, counts of 0 or 1, and the columns of ``clusters``.
    keys
        Columns to group by.
    counts
        Columns to sum, those of the rates among them.
    rates
        Columns of successes and of trials, by the rate's name.
    clusters
        By rate, the column by which its trials belong together; rates that are not named have independent trials.
    person
        The column that tells the person, if there is one; see `with_cluster`.

    Returns
    -------
    parts : list of LazyFrame
        To be added up by `stack`.
    """
    parts, left = [], list(counts)
    for column in dict.fromkeys(clusters[name] for name in rates if name in clusters):
        own = {name: pair for name, pair in rates.items() if clusters.get(name) == column}
        needed = dict.fromkeys([*left, *chain(*own.values())])
        by_cluster = with_cluster(rows, column, person=person).group_by(*keys, CLUSTER)
        parts.append(cluster_sums(by_cluster.agg(nw.col(name).sum() for name in needed), keys, own, counts=left))
        left = []
    if left:
        parts.append(rows.group_by(*keys).agg(nw.col(name).sum() for name in left))
    return parts


def share_sums(
    rows: nw.LazyFrame[Any],
    keys: Sequence[str],
    category: str,
    *,
    name: str,
    counts: tuple[str, str],
    column: str,
    person: str | None = PERSON,
) -> nw.LazyFrame[Any]:
    """
    Sum what the design effects of the shares of categories are made of; a group's trials are those of all categories.

    Parameters
    ----------
    rows
        ``id``, keys, none of them missing, the category and the counts.
    keys, category
        What names a group, and what names a category in it.
    name
        Of the rate.
    counts
        Columns of successes and of trials, 0 or 1.
    column, person
        See `with_cluster`.

    Returns
    -------
    sums : LazyFrame
        Keys, category and the columns of `cluster_sums`, without counts.
    """
    (x, n), marked = counts, with_cluster(rows, column, person=person)
    trials = marked.group_by(*keys, CLUSTER).agg(nw.col(n).sum().alias("all_trials"))
    successes = marked.group_by(*keys, category, CLUSTER).agg(nw.col(x).sum())
    both = join(successes, trials, [*keys, CLUSTER])
    products = both.with_columns(xx=nw.col(x) * nw.col(x), xn=nw.col(x) * nw.col("all_trials"))
    sums = products.group_by(*keys, category).agg(
        nw.col("xx").sum().alias(f"{name}_xx"), nw.col("xn").sum().alias(f"{name}_xn")
    )
    squared = trials.with_columns(nn=nw.col("all_trials") * nw.col("all_trials"))
    of_group = squared.group_by(*keys).agg(
        nw.col("nn").sum().alias(f"{name}_nn"), nw.col("all_trials").count().alias(f"{name}_clusters")
    )
    return join(sums, of_group, keys)


def clustered(table: nw.LazyFrame[Any], rates: Mapping[str, tuple[str, str]]) -> list[str]:
    """List the rates whose clusters are in a table of counts."""
    present = set(table.collect_schema().names())
    return [name for name in rates if f"{name}_{SUMS[0]}" in present]


def with_design_effects(table: nw.LazyFrame[Any], rates: Mapping[str, tuple[str, str]]) -> nw.LazyFrame[Any]:
    """
    Add ``<name>_deff`` and ``<name>_freedom`` to a table of counts with `cluster_sums`, and drop the sums.

    Returns
    -------
    table : LazyFrame
        ``_deff`` [design effect, at least 1]; ``_freedom`` [degrees of freedom it was estimated with, at least 1].
        ``_pooled`` is the design effect of all groups together, the same in each row.
    """
    names = clustered(table, rates)
    if not names:
        return table
    return on_table(table, partial(_with_rate_effects, rates={name: rates[name] for name in names}))


def _with_rate_effects(table: nw.LazyFrame[Any], rates: Mapping[str, tuple[str, str]]) -> nw.LazyFrame[Any]:
    sums, parts, totals = (
        [f"_{end}" for end in ends] for ends in (SUMS, _VARIANCE_PARTS, [f"all_{end}" for end in _VARIANCE_PARTS])
    )
    table = with_stacked(table, rates, partial(_with_parts, parts=_squares), takes=sums, makes=parts)
    table = with_totals(table, {f"{name}_all{end}": f"{name}{end}" for name in rates for end in parts})
    effects = partial(_with_parts, parts=_group_effects)
    table = with_stacked(table, rates, effects, takes=[*sums, *parts, *totals], makes=["_deff", "_freedom", "_pooled"])
    return table.drop(*(f"{name}{end}" for name in rates for end in (*sums, *parts, *totals)))


def _with_parts(
    table: nw.LazyFrame[Any], rates: Mapping[str, tuple[str, str]], *, parts: Callable[..., dict[str, nw.Expr]]
) -> nw.LazyFrame[Any]:
    return table.with_columns(
        part.alias(f"{name}_{end}") for name, counts in rates.items() for end, part in parts(name, *counts).items()
    )


_VARIANCE_PARTS = ("squares", "variance", "spare")


def _squares(name: str, successes: str, trials: str) -> dict[str, nw.Expr]:
    """Compute a group's sum of squared residuals, the variance of as many independent trials, and spare clusters."""
    n = nw.col(trials).cast(nw.Float64)
    p = nw.col(successes).cast(nw.Float64) / nw.when(n > 0).then(n).otherwise(nw.lit(1.0))
    clusters, xx, xn, nn = (nw.col(f"{name}_{part}") for part in SUMS)
    spare = (clusters - 1) * 1.0
    several = (clusters > 1) & (nn > nw.col(trials))
    squares = (xx - (xn * 2.0 - p * nn) * p) * clusters / nw.when(several).then(spare).otherwise(nw.lit(1.0))
    values = (squares, (1.0 - p) * p * n, spare)
    return {
        part: nw.when(several).then(value).otherwise(nw.lit(0.0))
        for part, value in zip(_VARIANCE_PARTS, values, strict=True)
    }


def _group_effects(name: str, _successes: str, trials: str) -> dict[str, nw.Expr]:
    """Compute the design effect of a group, its degrees of freedom, and the design effect of all groups together."""
    squares, variance, all_squares, all_variance, all_spare, clusters = (
        nw.col(f"{name}_{part}")
        for part in ("squares", "variance", "all_squares", "all_variance", "all_spare", "clusters")
    )
    own = (clusters >= ENOUGH) & (variance > 0)
    several = nw.col(f"{name}_nn") > nw.col(trials)  # otherwise a trial a cluster: nothing belongs together
    pooled = _ratio(all_squares, all_variance)
    effect = nw.when(own).then(_ratio(squares, variance)).otherwise(pooled)
    freedom = nw.when(own).then((clusters - 1) * 1.0).otherwise(all_spare)
    return {
        "deff": nw.when(several).then(effect).otherwise(nw.lit(1.0)),
        "freedom": nw.when(several & (freedom > 0)).then(freedom).otherwise(nw.lit(NORMAL)),
        "pooled": pooled,
    }


def _ratio(squares: nw.Expr, variance: nw.Expr) -> nw.Expr:
    """Divide, at least 1; 1 where there is no variance."""
    some = nw.when(variance > 0).then(variance).otherwise(nw.lit(1.0))
    return nw.when((variance > 0) & (squares > variance)).then(squares / some).otherwise(nw.lit(1.0))


def noted_effects(
    call: StatContext, table: nw.LazyFrame[Any], rates: Mapping[str, tuple[str, str]], columns: Mapping[str, str]
) -> nw.LazyFrame[Any]:
    """
    Add the design effects as `with_design_effects` does, and note those of all groups together in the record.

    Parameters
    ----------
    call
        The statistic's; its record gets, by rate, the cluster, the design effect, and how many trials are worth how
        many independent ones.
    table, rates
        See `with_design_effects`.
    columns
        By what the trials of each rate belong together.
    """
    table = with_design_effects(table, rates)
    pooled = [name for name in rates if f"{name}_pooled" in table.collect_schema().names()]
    if pooled and call.counts_rows:
        table = in_arrow(table)  # a row for each group; in DuckDB, the result would be computed twice
        effects = (nw.col(f"{name}_pooled").max() for name in pooled)
        trials = (nw.col(rates[name][1]).sum().alias(f"{name}_n") for name in pooled)
        totals = call.table(table.select(*effects, *trials)).iloc[0]
        for name in pooled:
            effect, n = totals[f"{name}_pooled"], totals[f"{name}_n"]
            if pd.notna(n) and n:
                noted = {"design_effect": float(effect), "n": int(n), "effective_n": float(n / effect)}
                call.clusters[name] = {"cluster": columns[name], **noted}
    return table.drop(*(f"{name}_pooled" for name in pooled))


def with_clustered_rates(
    call: StatContext,
    table: nw.LazyFrame[Any],
    rates: Mapping[str, tuple[str, str]],
    columns: Mapping[str, str],
    *,
    ci: float,
) -> nw.LazyFrame[Any]:
    """Add rates with their intervals, those whose clusters the table tells by their design effects; see above."""
    return with_rates(noted_effects(call, table, rates, columns), rates, ci=ci)
