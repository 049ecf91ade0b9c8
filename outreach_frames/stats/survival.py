"""
Time from first mail to reply, opt-out or bounce.

The three outcomes compete: who has opted out can no longer answer. 1 − Kaplan–Meier treats them as if they still could
and overstates the share that will ever reply; the cumulative incidence (Aalen–Johansen) does not. Finishing a sequence
is no outcome, since the person can still answer.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import narwhals as nw
import pandas as pd
from narwhals.typing import IntoFrameT

from outreach_frames._renamed import with_old_positions
from outreach_frames.errors import DataError
from outreach_frames.stats._aggregate import stack
from outreach_frames.stats._backends import join, pandas_of, wrap
from outreach_frames.stats._estimators import (
    CAUSES,
    EVENTS,
    INDEPENDENT,
    Effect,
    incidence_curves,
    median,
    reply_shares,
    survival_curve,
)
from outreach_frames.stats._statistic import StatContext, columns_of
from outreach_frames.stats._timestamps import DAY, Instant, seen_by
from outreach_frames.stats._validation import choice, columns, numbers
from outreach_frames.stats.clusters import PERSON, cluster_columns, clusters_of, counted_parts, noted_effects
from outreach_frames.stats.flags import SENDING, with_delivery
from outreach_frames.stats.provenance import attach

ORIGINS = ("first_send", "enrollment")


@with_old_positions("sequence_states")
def time_to_event(
    mailings: IntoFrameT,
    *,
    sequence_states: IntoFrameT | None = None,
    by: str | Sequence[str] | None = None,
    as_of: Instant | None = None,
    bounce_policy: str = "reply_wins",
    origin: str = "first_send",
    cluster: str | None = "auto",
) -> IntoFrameT:
    """
    Find each enrollment's first outcome and the time it took.

    Candidates are the first ``replied_at`` of a delivered mailing, the first ``unsubscribed_at``, and the first
    ``bounced_at`` of a bounced mailing. The earliest wins; at exact ties reply, then opt-out, then bounce. Enrollments
    without an outcome are censored at ``as_of``.

    Parameters
    ----------
    mailings
        ``id``, ``sequence_state_id``, ``delivered_at``, ``bounced_at``, ``replied_at``, ``unsubscribed_at``.
    sequence_states
        ``id`` and, for ``origin="enrollment"``, ``created_at``. Where given, only these enrollments are looked at.
    by
        Columns to carry along for grouping, from ``sequence_states`` where it has them, else from ``mailings`` (the
        smallest value of the enrollment).
    as_of
        When the data were extracted; default: what the frames' records say. What happened later is taken as not yet
        happened, so that an earlier ``as_of`` shows the data as they stood then.
    bounce_policy
        See `mailing_flags`.
    origin
        ``"first_send"``: time runs from the first sent mailing, that is the earliest of ``delivered_at``, else
        ``bounced_at``, else ``replied_at``. ``"enrollment"``: from the enrollment's ``created_at``.
    cluster
        Column of the clusters, carried along; ``"auto"``: the account, else the person; ``None``: none. See `clusters`.

    Returns
    -------
    durations : frame of the caller's kind, one row per enrollment with a sent mailing, sorted by id
        ``sequence_state_id``, ``t0``, ``event`` (``reply``, ``opt_out``, ``bounce``, ``censored``), ``event_at``
        (missing if censored), ``duration_d`` [days of 86 400 s, unrounded; 0 where an outcome is dated before
        ``t0``], the ``by`` columns, and the column of the clusters where there is one.

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        ``as_of`` is unknown or later than the extraction; a wrong dtype; an id that occurs twice in memory; an unknown
        origin.

    Notes
    -----
    Left out and counted in the record: one-off mail, enrollments without a sent mailing. Definitions:
    `outreach_frames.metrics`.

    Examples
    --------
    >>> durations = stats.time_to_event(mailings, sequence_states=sequence_states)
    >>> durations["event"].value_counts().to_dict()
    {'censored': 608, 'reply': 90, 'bounce': 39, 'opt_out': 19}
    >>> round(durations["duration_d"].max(), 1)
    181.5
    """
    choice("origin", origin, ORIGINS)
    if origin == "enrollment" and sequence_states is None:
        raise DataError('origin="enrollment" needs sequence_states.', hint="Pass the enrollments as second argument.")
    state_columns = [] if sequence_states is None else columns_of("sequence_states", sequence_states)
    all_columns = [*state_columns, *columns_of("mailings", mailings)]
    keys = columns("by", by)
    call = StatContext("time_to_event", by=keys, bounce_policy=bounce_policy, origin=origin, cluster=cluster)
    carried = list(dict.fromkeys([*keys, *clusters_of(["reply"], cluster, all_columns).values()]))
    from_states = [name for name in carried if name in state_columns]
    from_mail = [name for name in carried if name not in from_states]
    needed = ["id", "sequence_state_id", *SENDING, "unsubscribed_at"]
    mail = call.read("mailings", mailings, needed, keys=from_mail, database=True)
    states = None
    if sequence_states is not None:
        created = ["created_at"] if origin == "enrollment" else []
        states = call.read("sequence_states", sequence_states, ["id", *created], keys=from_states)
    now = call.instant(as_of)

    mail = call.drop(mail, "mailing of no enrollment", ~nw.col("sequence_state_id").is_null())
    firsts = first_events(mail, now, bounce_policy, carried=from_mail)
    if states is not None:
        firsts = join(states.rename({"id": "sequence_state_id"}), firsts, "sequence_state_id")
    firsts = call.drop(firsts, "enrollment without a sent mailing", ~nw.col("t0").is_null())
    if origin == "enrollment":
        firsts = call.drop(
            firsts.with_columns(t0=nw.col("created_at")), "enrollment without created_at", ~nw.col("t0").is_null()
        )
    result: IntoFrameT = call.write(
        _with_outcome(firsts, now).select("sequence_state_id", "t0", "event", "event_at", "duration_d", *carried),
        sort=["sequence_state_id"],
        instants=["t0", "event_at", *(name for name in carried if name.endswith("_at"))],
        categories={"event": EVENTS},
    )
    return result


def first_events(
    mail: nw.LazyFrame[Any], now: int, bounce_policy: str, *, carried: Sequence[str] = ()
) -> nw.LazyFrame[Any]:
    """
    Find the first sending and the first outcome of each kind, by enrollment, as they stood at an instant.

    Parameters
    ----------
    mail
        `SENDING` columns, ``unsubscribed_at`` and ``sequence_state_id``.
    now
        Later instants are taken as missing [µs].
    bounce_policy
        See `mailing_flags`.
    carried
        Columns of which the smallest value is kept.

    Returns
    -------
    firsts : LazyFrame
        ``sequence_state_id``, ``t0``, ``contact_at`` (first delivery), ``reply_at``, ``opt_out_at``, ``bounce_at``
        [µs], and the carried columns.
    """
    seen = seen_by(mail, (*SENDING, "unsubscribed_at"), now)
    flagged = with_delivery(seen, bounce_policy).with_columns(
        reply_at=nw.when(nw.col("is_delivered")).then(nw.col("replied_at")),
        bounce_at=nw.when(nw.col("is_bounced")).then(nw.col("bounced_at")),
        opt_out_at=nw.col("unsubscribed_at"),
        contact_at=nw.when(nw.col("is_delivered")).then(nw.col("sent_at")),
        t0=nw.col("sent_at"),
    )
    firsts = ("t0", "contact_at", "reply_at", "opt_out_at", "bounce_at", *carried)
    return flagged.group_by("sequence_state_id").agg(nw.col(name).min() for name in firsts)


def _with_outcome(firsts: nw.LazyFrame[Any], now: int) -> nw.LazyFrame[Any]:
    timed = firsts.with_columns(event_at=reduce(_earlier, (nw.col(f"{cause}_at") for cause in CAUSES)))
    event = nw.lit("censored")
    for cause in reversed(CAUSES):
        event = (
            nw.when((nw.col(f"{cause}_at") == nw.col("event_at")).fill_null(False)).then(nw.lit(cause)).otherwise(event)
        )
    elapsed = (nw.col("event_at").fill_null(now) - nw.col("t0")) / DAY
    return timed.with_columns(event=event, duration_d=nw.when(elapsed > 0).then(elapsed).otherwise(nw.lit(0.0)))


def _earlier(a: nw.Expr, b: nw.Expr) -> nw.Expr:
    """Return the smaller or the one there is; `min_horizontal` loses track of which rows belong together on Dask."""
    return nw.when((a.is_null() | (b < a)).fill_null(False)).then(b).otherwise(a)


def kaplan_meier(
    durations: Any,
    *,
    event: str = "reply",
    by: str | Sequence[str] | None = None,
    ci: float = 0.95,
    cluster: str | None = "auto",
) -> pd.DataFrame:
    """
    Estimate the share without an event over time, other outcomes cut short (Kaplan–Meier).

    S(t) = Π (1 − d/n) over event times up to t, with d events among n at risk; at a tie events come before censorings.

    Parameters
    ----------
    durations
        A result of `time_to_event`, of any kind: ``duration_d``, ``event``.
    event
        The event of interest; every other outcome is censored at its time.
    by
        Columns to group by; rows with missing keys are a group of their own.
    ci
        Confidence level.
    cluster
        Column of the `clusters`; ``"auto"``: the account, else the person; ``None``: independent enrollments.

    Returns
    -------
    curve : DataFrame, one row per distinct time
        The ``by`` columns, ``t_d`` [days], ``at_risk``, ``events``, ``censored``, ``survival``, ``lo``, ``hi`` (missing
        where the survival is 0 or 1). `attached` gives ``"medians"``: by group ``median_d``, the smallest time with
        S ≤ 0.5, and its bounds ``lo``, ``hi`` from the band (missing where the curve stays above).

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        The event is none of `EVENTS`.

    Notes
    -----
    Its complement overstates the share that will ever reply; see `cumulative_incidence`. Band: Greenwood variance on
    the log(−log) scale. Source: E. L. Kaplan and P. Meier, JASA 53 (1958) 457–481; Kalbfleisch and Prentice (1980);
    median: R. Brookmeyer and J. Crowley, Biometrics 38 (1982) 29–41.

    Examples
    --------
    >>> durations = stats.time_to_event(mailings)
    >>> curve = stats.kaplan_meier(durations, event="reply")
    >>> curve[["at_risk", "events", "survival"]].tail(1).round(3).to_dict("records")
    [{'at_risk': 1, 'events': 0, 'survival': 0.87}]
    """
    choice("event", event, CAUSES)
    call, table, keys = _read_durations("kaplan_meier", durations, by, event=event, ci=ci, cluster=cluster)
    curves = _by_group(table, keys, lambda group: survival_curve(group, event, ci, _outcome_effects(group)[event]))
    medians = [{**key, **median(curve)} for key, curve in curves if not table.empty]
    result = call.finish(_stacked(curves, keys))
    attach(result, "medians", pd.DataFrame(medians, columns=[*keys, "median_d", "lo", "hi"]))
    return result


def cumulative_incidence(
    durations: Any,
    *,
    by: str | Sequence[str] | None = None,
    horizon_d: float | None = None,
    ci: float = 0.95,
    cluster: str | None = "auto",
) -> pd.DataFrame:
    """
    Estimate the share with each outcome over time, the others being final (Aalen–Johansen).

    CIF of a cause at t = Σ S(t−) · d_cause / n over event times up to t, where S is the share without any outcome. The
    incidences and ``event_free`` sum to 1 at every time.

    Parameters
    ----------
    durations
        A result of `time_to_event`, of any kind: ``duration_d``, ``event``.
    by
        Columns to group by; rows with missing keys are a group of their own.
    horizon_d
        Last time to report [days]; estimates up to it do not depend on it.
    ci
        Confidence level.
    cluster
        Column of the `clusters`; ``"auto"``: the account, else the person; ``None``: independent enrollments.

    Returns
    -------
    incidence : DataFrame, one row per distinct time
        The ``by`` columns, ``t_d`` [days], ``at_risk``, ``events_any``, ``censored``, ``event_free``, and for each of
        ``reply``, ``opt_out``, ``bounce``: ``events_<cause>``, ``cif_<cause>``, ``cif_<cause>_lo``, ``cif_<cause>_hi``
        (bounds missing where the incidence is 0 or 1).

    Raises
    ------
    MissingColumnError
        A column listed above is absent.

    Notes
    -----
    Interval: Aalen's variance on the log(−log) scale. Source: O. Aalen, Annals of Statistics 6 (1978) 534–545, in the
    form of M. Pintilie, "Competing Risks" (2006), equation 4.5.

    Examples
    --------
    >>> durations = stats.time_to_event(mailings)
    >>> curve = stats.cumulative_incidence(durations, horizon_d=30)
    >>> curve[["cif_reply", "cif_opt_out", "cif_bounce"]].tail(1).round(3).to_dict("records")
    [{'cif_reply': 0.122, 'cif_opt_out': 0.024, 'cif_bounce': 0.052}]
    """
    call, table, keys = _read_durations(
        "cumulative_incidence", durations, by, horizon_d=horizon_d, ci=ci, cluster=cluster
    )
    stacked = _stacked(_by_group(table, keys, lambda group: incidence_curves(group, ci, _outcome_effects(group))), keys)
    return call.finish(stacked if horizon_d is None else stacked[stacked["t_d"] <= horizon_d])


def reply_within(
    durations: Any,
    *,
    days: float | Sequence[float] = (3, 7, 14, 30),
    by: str | Sequence[str] | None = None,
    ci: float = 0.95,
    cluster: str | None = "auto",
) -> pd.DataFrame:
    """
    Estimate the share that has replied within so many days, recent enrollments included (Aalen–Johansen).

    Parameters
    ----------
    durations
        A result of `time_to_event`, of any kind: ``duration_d``, ``event``.
    days
        Horizons, or a single one [days].
    by
        Columns to group by; rows with missing keys are a group of their own.
    ci
        Confidence level.
    cluster
        Column of the `clusters`; ``"auto"``: the account, else the person; ``None``: independent enrollments.

    Returns
    -------
    shares : DataFrame, one row per group
        The ``by`` columns, ``n`` [enrollments], and for each horizon ``reply_within_<N>d``, ``…_lo``, ``…_hi``. A
        share is missing where nobody was followed that long and somebody was still without outcome.

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        A horizon is negative.

    Notes
    -----
    The value of `cumulative_incidence` of reply at each horizon, with its interval; where it is 0 or 1, which has none,
    the exact binomial one of as many enrollments as are at risk at the horizon, divided by the share without outcome:
    none of 100 is at most 3.6 %. Effective number: R. Peto et al., British Journal of Cancer 35 (1977) 1–39.

    Examples
    --------
    >>> durations = stats.time_to_event(mailings)
    >>> within = stats.reply_within(durations, days=[7, 14])
    >>> within[["n", "reply_within_7d", "reply_within_14d"]].head(1).round(3).to_dict("records")
    [{'n': 756, 'reply_within_7d': 0.082, 'reply_within_14d': 0.109}]
    """
    horizons = numbers("days", days, least=0)
    call, table, keys = _read_durations("reply_within", durations, by, days=horizons, ci=ci, cluster=cluster)
    shares = _by_group(table, keys, lambda group: reply_shares(group, horizons, ci, _outcome_effects(group)))
    return call.finish(_stacked(shares, keys))


def _read_durations(
    function: str, durations: Any, by: str | Sequence[str] | None, *, cluster: str | None, **parameters: object
) -> tuple[StatContext, pd.DataFrame, list[str]]:
    keys = columns("by", by)
    call = StatContext(function, by=keys, cluster=cluster, **parameters)
    optional = ["sequence_state_id", *([] if cluster is None else [*cluster_columns(cluster), PERSON])]
    read = call.read("durations", durations, ["duration_d", "event"], keys=keys, optional=optional)
    column = clusters_of(["reply"], cluster, read.collect_schema().names(), keys).get("reply")
    table = call.table(read)
    unknown = set(table["event"].dropna().unique()) - set(EVENTS)
    if unknown or table[["duration_d", "event"]].isna().to_numpy().any():
        raise DataError(
            "durations holds rows without a duration, or with an event that is none.",
            hint=f"Pass a result of time_to_event; events are {', '.join(EVENTS)}.",
        )
    if column is not None and len(table):
        table = _with_outcome_effects(call, table, keys, column)
    return call, table, keys


def _with_outcome_effects(call: StatContext, table: pd.DataFrame, keys: Sequence[str], column: str) -> pd.DataFrame:
    """Add the design effect of each outcome in the row's group, from how many in a cluster have had it."""
    group = table.groupby(list(keys), dropna=False).ngroup() if keys else pd.Series(0, index=table.index)
    happened = {cause: (table["event"] == cause).astype("int64[pyarrow]") for cause in CAUSES}
    id_ = table["sequence_state_id"] if "sequence_state_id" in table else pd.Series(range(len(table)))
    rows = pd.DataFrame({**happened, "trials": 1, "group": group, column: table[column], "id": id_})
    rates = {cause: (cause, "trials") for cause in CAUSES}
    person = PERSON if column == PERSON else None
    parts = counted_parts(
        wrap(rows), ["group"], [*CAUSES, "trials"], rates, dict.fromkeys(CAUSES, column), person=person
    )
    effects = pandas_of(noted_effects(call, stack(parts, ["group"]), rates, dict.fromkeys(CAUSES, column)))
    effects = effects.set_index("group")[[f"{cause}_{part}" for cause in CAUSES for part in ("deff", "freedom")]]
    return table.join(effects.reindex(group.to_numpy()).set_axis(table.index))


def _outcome_effects(group: pd.DataFrame) -> dict[str, Effect]:
    """Read the design effects of a group."""
    if "reply_deff" not in group or group.empty:
        return dict.fromkeys(CAUSES, INDEPENDENT)
    first = group.iloc[0]
    return {cause: Effect(float(first[f"{cause}_deff"]), float(first[f"{cause}_freedom"])) for cause in CAUSES}


def _by_group(
    table: pd.DataFrame, keys: Sequence[str], curve_of: Callable[[pd.DataFrame], pd.DataFrame]
) -> list[tuple[dict[str, Any], pd.DataFrame]]:
    """Compute a curve for each group; a table without rows gives a curve without rows."""
    if not keys:
        return [({}, curve_of(table))]
    grouped = table.groupby(list(keys), dropna=False, sort=True)
    curves = [(dict(zip(keys, values, strict=True)), curve_of(group)) for values, group in grouped]
    return curves or [({key: table[key] for key in keys}, curve_of(table).iloc[:0])]


def _stacked(curves: Sequence[tuple[dict[str, Any], pd.DataFrame]], keys: Sequence[str]) -> pd.DataFrame:
    stacked = pd.concat([curve.assign(**key) for key, curve in curves], ignore_index=True)
    return stacked[[*keys, *(name for name in stacked.columns if name not in keys)]]
