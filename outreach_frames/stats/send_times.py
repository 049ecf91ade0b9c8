"""Send times: mail by local weekday and hour, and how often it is answered."""

from collections.abc import Mapping
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from narwhals.typing import IntoFrameT

from outreach_frames._renamed import with_old_positions
from outreach_frames.errors import DataError
from outreach_frames.metrics import RATES
from outreach_frames.stats._aggregate import COUNTED_FLAGS, stack
from outreach_frames.stats._backends import join, pandas_of, small_table, wrap
from outreach_frames.stats._pandas import float_column
from outreach_frames.stats._statistic import EXAMPLES, StatContext
from outreach_frames.stats._timestamps import WEEKDAYS, weekday_of, with_clock, with_local
from outreach_frames.stats._validation import choice
from outreach_frames.stats.clusters import PERSON, cluster_columns, clusters_of, counted_parts, with_clustered_rates
from outreach_frames.stats.flags import ENGAGEMENT, note_placing, with_flags
from outreach_frames.stats.prospects import ZONE_COLUMNS, with_zone
from outreach_frames.stats.shrinkage import PriorChoice, posterior_means, prior_for

HEATMAP_METRICS = ("reply_rate", "opt_out_rate", "click_rate", "open_rate")
_PLACE = ["weekday", "hour"]
CLOCKS = ("prospect", "user", "org")


@with_old_positions("prospects")
def send_time_heatmap(
    mailings: IntoFrameT,
    *,
    prospects: IntoFrameT | None = None,
    users: IntoFrameT | None = None,
    clock: str = "prospect",
    default_tz: str = "UTC",
    metric: str = "reply_rate",
    min_n: int = 30,
    prior: PriorChoice = "integrated",
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    cluster: str | None = "auto",
) -> IntoFrameT:
    """
    Count delivered mail by local weekday and hour of delivery, with the rate at which it was answered.

    Parameters
    ----------
    mailings
        As for `engagement`, without ``sequence_state_id``, and with ``user_id`` for the sender's clock.
    prospects
        For the recipient's clock: ``id``, ``time_zone_iana``, ``time_zone_inferred``, ``time_zone``; the first that
        names a zone is used: IANA's names, in any case, and those of Ruby on Rails and Windows.
    users
        For the sender's clock: ``id`` and a ``time_zone`` that the caller adds, since the API does not give one.
    clock
        ``"prospect"``: the recipient's; ``"user"``: the sender's; ``"org"``: ``default_tz`` for all.
    default_tz
        IANA zone where none is known.
    metric
        ``"reply_rate"``, ``"opt_out_rate"``, ``"click_rate"`` or ``"open_rate"`` (both low trust); see `engagement`.
    min_n
        Hours with fewer trials are not ``enough`` to be read on their own.
    prior
        Of the rates, for ``shrunk``: ``"integrated"``, ``"moments"`` or (alpha, beta); see `shrink_rates`.
    bounce_policy
        See `mailing_flags`.
    ci
        Confidence level.
    cluster
        Column of the clusters; see `engagement` and `clusters`.

    Returns
    -------
    heatmap : frame of the caller's kind, shape (168, …), one row per weekday and hour, Monday 0 h first
        ``weekday`` (ordered category), ``hour``, ``delivered``; the numerator (``replied`` …), the rate with ``_n``,
        ``_lo``, ``_hi`` (missing without trials); ``shrunk``: the rate drawn toward that of all hours, as in
        `shrink_rates`; ``enough``. The record's ``tz_source`` tells by share where the zones came from;
        `explain` how much mail was placed by ``default_tz``, or by a zone under another name than IANA's.

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        A wrong dtype, an unknown clock, metric or zone, or the frame with the zones is not given.

    Notes
    -----
    Who gets mail when is not left to chance; an hour's rate is not the effect of the hour. Not counted: bounced and
    unsent mail. The at most 168 counts are collected, from lazy engines too, since the shrinkage needs all of them.
    Interval: Wilson. Definitions: `outreach_frames.metrics`.

    Examples
    --------
    >>> hours = stats.send_time_heatmap(mailings, prospects=prospects, clock="prospect")
    >>> len(hours), int(hours["enough"].sum())
    (168, 28)
    >>> hours.loc[hours["enough"], ["weekday", "hour", "delivered", "replied"]].head(2).to_dict("records")
    [{'weekday': 'Mon', 'hour': 8, 'delivered': 39, 'replied': 1},
    {'weekday': 'Mon', 'hour': 9, 'delivered': 73, 'replied': 4}]
    """
    people, zone_columns = _clock(choice("clock", clock, CLOCKS), prospects, users)
    choice("metric by hour", metric, HEATMAP_METRICS)
    call = StatContext(
        "send_time_heatmap",
        clock=clock,
        default_tz=default_tz,
        metric=metric,
        min_n=min_n,
        prior=prior,
        bounce_policy=bounce_policy,
        ci=ci,
        cluster=cluster,
    )
    who = "user_id" if clock == "user" else "prospect_id"
    optional = [] if cluster is None else [*cluster_columns(cluster), PERSON]
    read_mail = call.read("mailings", mailings, ["id", who, *ENGAGEMENT], optional=optional, database=True)
    mail = with_flags(read_mail, bounce_policy)
    mail = call.drop(mail, "mailing not delivered", nw.col("is_delivered"))
    if people is None:
        zones, zoned = [default_tz], mail.with_columns(tz=nw.lit(default_tz), tz_source=nw.lit("default"))
    else:
        read = call.read("users" if clock == "user" else "prospects", people, ["id", *zone_columns])
        zoned_people = with_zone(read, default_tz, zone_columns).rename({"id": who})
        zones, others = _zones_of_people(call, zoned_people, default_tz)
        renamed = ~nw.col("tz_written").is_null()
        zoned = join(mail, zoned_people.select(who, "tz", "tz_source", tz_renamed=renamed), who).with_columns(
            tz=nw.col("tz").fill_null(default_tz), tz_source=nw.col("tz_source").fill_null("default")
        )
        unknown = f"mailing without a known time zone, placed by default_tz ({default_tz})"
        call.assume(zoned, unknown, nw.col("tz_source") == "default")
        call.assume(zoned, f"mailing in a time zone under another name: {others}", nw.col("tz_renamed"))
    note_placing(call, mail)

    rate = metric
    clocked = _clocked(with_local(zoned, "sent_at", zones=zones, zone_column="tz"), rate)
    sources = call.table(clocked.group_by("tz_source").agg(nw.col("delivered").sum()))
    shares = sources.set_index("tz_source")["delivered"] / max(int(sources["delivered"].sum()), 1)
    rates = {rate: RATES[rate]}
    clusters = clusters_of(rates, cluster, clocked.collect_schema().names())
    counts = list(dict.fromkeys(["delivered", *RATES[rate]]))
    cells = call.table(stack(counted_parts(clocked, _PLACE, counts, rates, clusters), _PLACE))
    grid = _grid(call, cells, rate, clusters, min_n=min_n or 0, prior=prior, ci=ci)
    back = small_table(mail, {name: grid[name] for name in grid.columns})
    result: IntoFrameT = call.write(
        back,
        sort=["weekday", "hour"],
        categories={"weekday": WEEKDAYS},
        tz_source={str(source): float(share) for source, share in shares.items()},
    )
    return result


def _clock(clock: str, prospects: Any, users: Any) -> tuple[Any, tuple[str, ...]]:
    """Return the frame that has the zones, and their columns."""
    if clock == "org":
        return None, ()
    people, columns = {"prospect": (prospects, ZONE_COLUMNS), "user": (users, ("time_zone",))}[clock]
    if people is None:
        raise DataError(f"The clock {clock!r} needs {clock}s.", hint=f'Pass {clock}s=..., or clock="org".')
    return people, columns


def _zones_of_people(call: StatContext, zoned_people: nw.LazyFrame[Any], default_tz: str) -> tuple[list[str], str]:
    """List the zones that occur, a few dozen, which the table of offsets is made for; and tell of other names."""
    zone_table = call.table(zoned_people.group_by("tz", "tz_written").agg(nw.col("tz_source").min()))
    written = zone_table.dropna(subset=["tz_written"])
    others = sorted(f"{name.strip()} = {zone}" for zone, name in zip(written["tz"], written["tz_written"], strict=True))
    examples = ", ".join(others[:EXAMPLES]) + (" …" if len(others) > EXAMPLES else "")
    return sorted({default_tz, *zone_table["tz"]}), examples


def _clocked(zoned: nw.LazyFrame[Any], rate: str) -> nw.LazyFrame[Any]:
    counts = dict.fromkeys(["delivered", *RATES[rate]])
    return with_clock(zoned).with_columns(
        *(nw.col(COUNTED_FLAGS[count]).cast(nw.Int64).alias(count) for count in counts),
        weekday=weekday_of(nw.col("local_day")),
    )


def _grid(
    call: StatContext,
    cells: pd.DataFrame,
    rate: str,
    clusters: Mapping[str, str],
    *,
    min_n: int,
    prior: PriorChoice,
    ci: float,
) -> pd.DataFrame:
    successes, trials = RATES[rate]
    places = pd.MultiIndex.from_product([range(1, 8), range(24)], names=_PLACE)
    summed = cells.set_index(_PLACE).reindex(places, fill_value=0).reset_index().astype("int64[pyarrow]")
    grid = pandas_of(with_clustered_rates(call, wrap(summed), {rate: RATES[rate]}, clusters, ci=ci))
    grid["weekday"] = pd.Series([WEEKDAYS[day - 1] for day in grid["weekday"]], dtype="string[pyarrow]")
    x, n = (grid[name].to_numpy(dtype=np.float64) for name in (successes, trials))
    grid["shrunk"] = float_column(posterior_means(x, n, prior_for(x, n, prior)))
    grid["enough"] = grid[trials] >= min_n
    columns = ["weekday", "hour", "delivered", successes, rate, f"{rate}_n", f"{rate}_lo", f"{rate}_hi"]
    return grid[[*columns, "shrunk", "enough"]]
