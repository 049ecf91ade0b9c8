"""
Mailboxes: health, capacity, schedule lag and failures.

A mailbox that no longer synchronizes goes on sending, but its replies and bounces are never detected: its rates fall
for no reason that lies in the mail. Look here before at any rate.
"""

from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import pyarrow as pa
from narwhals.typing import IntoFrameT

from outreach_frames.errors import BlindMailboxWarning
from outreach_frames.stats._aggregate import grouping, stack
from outreach_frames.stats._backends import join
from outreach_frames.stats._estimators import RESAMPLES, bootstrap_bounds
from outreach_frames.stats._pandas import (
    flags,
    floats,
    groups_of,
    keep,
    keyed,
    keyed_rows,
    read,
    read_deliveries,
    texts,
    write,
)
from outreach_frames.stats._statistic import StatContext, columns_of, warn_of_rows
from outreach_frames.stats._timestamps import HOUR, Instant, with_local, with_periods
from outreach_frames.stats._validation import choice, columns
from outreach_frames.stats.clusters import AUTO, clusters_of, counted_parts, share_sums, with_clustered_rates
from outreach_frames.stats.flags import SENDING, note_placing, with_delivery, with_failure

_TIMES = ("last_send_at", "last_sync_at", "blind_since")

_MAILBOX_RESULT = {
    "mailbox_id": "int64[pyarrow]",
    "email": "string[pyarrow]",
    "send_ok": "bool[pyarrow]",
    "sync_ok": "bool[pyarrow]",
    **dict.fromkeys(_TIMES, "int64[pyarrow]"),
    "sent": "int64[pyarrow]",
    "sent_while_blind": "int64[pyarrow]",
    "sending_days": "int64[pyarrow]",
    "capacity_used_p95": "double[pyarrow]",
    "reasons": "string[pyarrow]",
}


def mailbox_health(
    mailings: pd.DataFrame,
    *,
    mailboxes: pd.DataFrame,
    stale_h: float = 24,
    tz: str = "UTC",
    as_of: Instant | None = None,
) -> pd.DataFrame:
    """
    Report for each mailbox whether it sends and synchronizes, and since when it is blind.

    Parameters
    ----------
    mailings
        ``id``, ``mailbox_id``, ``delivered_at``, ``bounced_at``, ``replied_at``.
    mailboxes
        ``id``, ``send_disabled``, ``sync_disabled``, ``send_errored_at``, ``send_success_at``, ``sync_errored_at``,
        ``sync_success_at``, ``max_mailings_per_day``; ``email`` if known.
    stale_h
        Time without a successful synchronization after which a mailbox counts as blind [h].
    tz
        IANA zone in which a day of sending begins and ends.
    as_of
        When the data were extracted; default: the frames' own record.

    Returns
    -------
    health : DataFrame, one row for each mailbox, sorted by ``mailbox_id``
        ``mailbox_id``, ``email``; ``send_ok``: sending is on and did not fail after its last success; ``sync_ok``:
        likewise, and that success is at most ``stale_h`` old (both missing where nothing is recorded);
        ``last_send_at``: last success or last mailing sent; ``last_sync_at``; ``blind_since``: where ``sync_ok`` is
        false, the last success, else the first mailing sent; ``sent`` and ``sent_while_blind`` [mailings];
        ``sending_days`` [days]; ``capacity_used_p95``: 95th percentile over those days of mailings sent /
        ``max_mailings_per_day`` (missing without days or limit); ``reasons`` (text, missing where all is well).

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        ``as_of`` is unknown, a wrong dtype, an id that occurs twice.

    Warns
    -----
    BlindMailboxWarning
        Some mailboxes do not synchronize.

    Notes
    -----
    Not counted: mailings that never left, and those of mailboxes not listed. The API keeps only the latest success and
    failure: earlier gaps cannot be seen.

    Examples
    --------
    >>> health = stats.mailbox_health(mailings, mailboxes=mailboxes)
    >>> health[["send_ok", "sync_ok"]].sum().to_dict(), len(health)
    ({'send_ok': 7, 'sync_ok': 8}, 9)
    >>> health.loc[~health["sync_ok"], ["mailbox_id", "sent_while_blind"]].to_dict("records")
    [{'mailbox_id': 3, 'sent_while_blind': 55}]
    """
    call = StatContext("mailbox_health", stale_h=stale_h, tz=tz)
    attempts = [f"{way}_{outcome}_at" for way in ("send", "sync") for outcome in ("errored", "success")]
    columns = ["id", "send_disabled", "sync_disabled", *attempts, "max_mailings_per_day"]
    boxes = read(call, "mailboxes", mailboxes, columns, optional=["email"])
    mail = read_deliveries(call, mailings, ["mailbox_id"])
    now = call.instant(as_of)
    mail = keep(call, mail, "mailing never sent", mail["sent_at"].notna() & (mail["sent_at"] <= now))
    mail = keep(call, mail, "mailing of a mailbox that is not listed", mail["mailbox_id"].isin(boxes["id"]))

    health = boxes.rename(columns={"id": "mailbox_id"})
    health = health.merge(_sending(mail), on="mailbox_id", how="left", validate="1:1").fillna({"sent": 0})
    succeeded, sent = health["send_success_at"], health["last_sent"]
    health["last_send_at"] = succeeded.where(succeeded > sent, sent).fillna(succeeded)
    health["last_sync_at"] = health["sync_success_at"]
    off = {way: health[f"{way}_disabled"].fillna(value=False) for way in ("send", "sync")}
    failed = {way: _failed(health, way) for way in ("send", "sync")}
    stale = (health["last_sync_at"] < now - int(stale_h * HOUR)).fillna(value=False)
    health["send_ok"] = _well(health["last_send_at"], off["send"] | failed["send"])
    health["sync_ok"] = _well(health["last_sync_at"], off["sync"] | failed["sync"] | stale)
    blind = ~health["sync_ok"].fillna(value=True)
    health["blind_since"] = health["last_sync_at"].fillna(health["first_sent"]).where(blind)
    health = health.merge(_unseen(mail, health), on="mailbox_id", how="left", validate="1:1")
    health = health.merge(_capacity(mail, health, tz), on="mailbox_id", how="left", validate="1:1")
    health = health.fillna({"sent_while_blind": 0, "sending_days": 0})
    reasons = {
        "sending is switched off": off["send"],
        "the last attempt to send failed": failed["send"],
        "synchronization is switched off": off["sync"],
        "the last synchronization failed": failed["sync"],
        f"no synchronization for more than {stale_h:g} h": stale,
        "the daily limit is used up on busy days": health["capacity_used_p95"] >= 1,
    }
    health["reasons"] = texts(reasons, len(health))
    result = write(call, health[list(_MAILBOX_RESULT)].astype(_MAILBOX_RESULT), sort=["mailbox_id"], instants=_TIMES)
    what = "Mailboxes that do not synchronize, so that replies and bounces go unseen"
    warn_of_rows(BlindMailboxWarning, what, health["mailbox_id"][flags(blind)])
    return result


def _sending(mail: pd.DataFrame) -> pd.DataFrame:
    grouped = mail.groupby("mailbox_id", as_index=False)
    return grouped.agg(sent=("sent_at", "size"), first_sent=("sent_at", "min"), last_sent=("sent_at", "max"))


def _failed(health: pd.DataFrame, way: str) -> "pd.Series[Any]":
    """Tell where the last failure is later than the last success, or there was no success."""
    errored, succeeded = health[f"{way}_errored_at"], health[f"last_{way}_at"]
    return (errored.notna() & succeeded.isna()) | (errored > succeeded).fillna(value=False)


def _well(last: "pd.Series[Any]", trouble: "pd.Series[Any]") -> "pd.Series[Any]":
    return (~trouble).where(trouble | last.notna()).astype("bool[pyarrow]")


def _unseen(mail: pd.DataFrame, health: pd.DataFrame) -> pd.DataFrame:
    """Count the mailings sent since each mailbox went blind."""
    blind = mail.merge(health[["mailbox_id", "blind_since"]], on="mailbox_id", validate="m:1")
    blind = blind[flags(blind["sent_at"] >= blind["blind_since"])]
    return blind.groupby("mailbox_id", as_index=False).agg(sent_while_blind=("sent_at", "size"))


def _capacity(mail: pd.DataFrame, health: pd.DataFrame, tz: str) -> pd.DataFrame:
    """Divide each day's mailings by the daily limit, and take the 95th percentile over days with mail."""
    instants = pd.to_datetime(mail["sent_at"].to_numpy(), unit="us", utc=True)
    days = mail.assign(day=instants.tz_convert(tz).date)
    daily = days.groupby(["mailbox_id", "day"], as_index=False).agg(sent=("sent_at", "size"))
    daily = daily.merge(health[["mailbox_id", "max_mailings_per_day"]], on="mailbox_id", validate="m:1")
    limit = floats(daily["max_mailings_per_day"])
    daily["used"] = floats(daily["sent"]) / np.where(limit > 0, limit, np.nan)
    grouped = daily.groupby("mailbox_id")
    used = pd.DataFrame({"capacity_used_p95": grouped["used"].quantile(0.95), "sending_days": grouped.size()})
    return used.reset_index()


def send_capacity(mailings: IntoFrameT, *, mailboxes: IntoFrameT, by: str = "day", tz: str = "UTC") -> IntoFrameT:
    """
    Divide what each mailbox sent on a day, or in a week, by its limit.

    ``send_capacity_used`` = mailings sent that day / ``max_mailings_per_day``, or sent that week /
    ``max_mailings_per_week``.

    Parameters
    ----------
    mailings
        ``id``, ``mailbox_id``, ``delivered_at``, ``bounced_at``, ``replied_at``.
    mailboxes
        ``id`` and the limit: the mailboxes to report on. With ``user_id``, the result names their users.
    by
        ``"day"`` or ``"week"`` (from Monday).
    tz
        IANA zone in which a day begins and ends.

    Returns
    -------
    capacity : frame of the caller's kind, one row per mailbox and day or week in which it sent, sorted
        ``mailbox_id``, ``user_id`` if the mailboxes have it, ``day`` or ``week`` (its Monday), ``sent`` [mailings],
        ``max_mailings_per_day`` or ``max_mailings_per_week`` [mailings], ``send_capacity_used`` (above 1 where more was
        sent than is allowed now; missing without a limit above 0).

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        A column of another dtype, an id that occurs twice in memory, frames of two kinds, an unknown zone, neither a
        day nor a week.

    Notes
    -----
    A share of a limit and no rate of trials: it has no interval. Left out and counted: mail never sent, and that of
    mailboxes not listed. The limit is that of now; the API keeps no earlier ones. A first or last week that the data
    cut counts what they hold. `mailbox_health` gives the 95th percentile of the days. Definitions:
    `outreach_frames.metrics`.

    Examples
    --------
    >>> days = stats.send_capacity(mailings, mailboxes=mailboxes)
    >>> days[["mailbox_id", "sent", "max_mailings_per_day"]].head(1).to_dict("records")
    [{'mailbox_id': 1, 'sent': 1, 'max_mailings_per_day': 40}]
    >>> days["send_capacity_used"].max()
    0.125
    >>> weeks = stats.send_capacity(mailings, mailboxes=mailboxes, by="week")
    >>> weeks[["mailbox_id", "sent", "max_mailings_per_week"]].head(1).to_dict("records")
    [{'mailbox_id': 1, 'sent': 3, 'max_mailings_per_week': 200}]
    """
    per = choice("by", by, ("day", "week"))
    call = StatContext("send_capacity", by=[per], tz=tz)
    limit = f"max_mailings_per_{per}"
    owner = ["user_id"] if "user_id" in columns_of("mailboxes", mailboxes) else []
    boxes = call.read("mailboxes", mailboxes, ["id", *owner, limit]).rename({"id": "mailbox_id"})
    mail = with_delivery(call.read("mailings", mailings, ["id", "mailbox_id", *SENDING]))
    mail = call.drop(mail, "mailing never sent", nw.col("is_sent"))
    marked = join(mail, boxes.with_columns(is_listed=nw.col("mailbox_id")), "mailbox_id")
    mail = call.drop(marked, "mailing of a mailbox not listed", ~nw.col("is_listed").is_null())
    note_placing(call, mail)
    placed = with_periods(with_local(mail, "sent_at", zones=[tz]), [per])
    sent = placed.group_by("mailbox_id", per).agg(
        nw.col("id").count().alias("sent"), *(nw.col(each).max() for each in (*owner, limit))
    )
    allowed = nw.when(nw.col(limit) > 0).then(nw.col(limit).cast(nw.Float64))
    used = sent.with_columns(send_capacity_used=nw.col("sent").cast(nw.Float64) / allowed)
    columns = ["mailbox_id", *owner, per, "sent", limit, "send_capacity_used"]
    result: IntoFrameT = call.write(used.select(*columns), sort=["mailbox_id", per], days=[per])
    return result


_LAGS = {"mailings": pa.int64(), "schedule_lag_h": pa.float64(), "schedule_lag_n": pa.int64()}
_LAGS |= {"schedule_lag_lo": pa.float64(), "schedule_lag_hi": pa.float64()}


def schedule_lag(
    mailings: pd.DataFrame,
    *,
    by: str | Sequence[str] | None = "mailbox_id",
    ci: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """
    Measure how long after its time mail was delivered, by mailbox or any other columns.

    ``schedule_lag_h`` = median of ``delivered_at`` − ``scheduled_at``. A growing lag suggests throttling, or a
    mailbox in trouble.

    Parameters
    ----------
    mailings
        ``id``, ``scheduled_at``, ``delivered_at``, ``bounced_at``, ``replied_at``, and the columns of ``by``.
    by
        Columns to group by; ``None`` for one row.
    ci
        Confidence level.
    resamples
        Draws of the bootstrap.
    seed
        Of the draws.

    Returns
    -------
    lags : DataFrame, one row for each group, sorted by key
        Keys; ``mailings`` [delivered]; ``schedule_lag_h`` [h, missing without a mailing that has both times];
        ``schedule_lag_n`` [mailings with both], ``schedule_lag_lo`` and ``schedule_lag_hi`` [h, missing with fewer than
        two of them].

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        A wrong dtype or an id that occurs twice.

    Notes
    -----
    Left out and counted: mail not delivered, and rows whose key is missing. Mail delivered before its time has a
    negative lag. Interval: percentile bootstrap, see `intervals`. Definitions: `outreach_frames.metrics`.

    Examples
    --------
    >>> lag = stats.schedule_lag(mailings, by="mailbox_id", resamples=200)
    >>> lag[["mailbox_id", "schedule_lag_h", "schedule_lag_lo", "schedule_lag_hi"]].head(1).round(1).to_dict("records")
    [{'mailbox_id': 1, 'schedule_lag_h': 2.8, 'schedule_lag_lo': 2.4, 'schedule_lag_hi': 3.2}]
    """
    keys = columns("by", by)
    call = StatContext("schedule_lag", by=keys, ci=ci, resamples=resamples, seed=seed)
    mail = read_deliveries(call, mailings, ["scheduled_at"], keys=keys)
    mail = keyed(call, keep(call, mail, "mailing not delivered", mail["is_delivered"]), keys)
    rows = []
    for values, group in groups_of(mail, keys):
        lags = floats(group["delivered_at"] - group["scheduled_at"]) / HOUR
        lags = lags[~np.isnan(lags)]
        lo, hi = bootstrap_bounds(lags, np.median, ci=ci, resamples=resamples, seed=seed)
        median = float(np.median(lags)) if lags.size else None
        rows.append((*values, len(group), median, lags.size, lo, hi))
    return write(call, keyed_rows(mail, keys, rows, _LAGS), sort=keys, instants=[k for k in keys if k.endswith("_at")])


REASON = "error_reason"
_MAILBOX_COUNTS = ("failed", "sent", "attempted")
_MAILBOX_RATES = {"failure_rate": ("failed", "attempted")}


def failures(
    mailings: IntoFrameT,
    *,
    by: str | Sequence[str] | None = REASON,
    ci: float = 0.95,
    cluster: str | None = "auto",
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
        Column of the clusters; ``"auto"``: the mailbox, else none; ``None``: independent mailings. See `clusters`.

    Returns
    -------
    failures : frame of the caller's kind, one row per group, sorted by key
        Keys; ``failed``, ``sent``, ``attempted`` [mailings]; ``failure_rate`` with ``_n``, ``_lo``, ``_hi``. By reason,
        failures without one have a missing reason, and a group without failures has no row.

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        A wrong dtype or an id that occurs twice in memory.

    Notes
    -----
    Left out and counted: mail neither sent nor failed, and rows whose key is missing. ``error_reason`` is free text.
    Interval: Wilson. Definitions: `outreach_frames.metrics`.

    Examples
    --------
    >>> failures = stats.failures(mailings)
    >>> failures[["error_reason", "failed"]].to_dict("records")
    [{'error_reason': 'Mailbox authentication failed', 'failed': 2},
    {'error_reason': 'Missing variable: {{prospect.custom1}}', 'failed': 4},
    {'error_reason': 'The mailbox is not allowed to send', 'failed': 16}]
    """
    keys = columns("by", by)
    others = [key for key in keys if key != REASON]
    call = StatContext("failures", by=keys, ci=ci, cluster=cluster)
    needed, mailbox = ["id", "state", *SENDING, *(set(keys) & {REASON})], "mailbox_id" if cluster == AUTO else cluster
    optional = [] if mailbox is None else [mailbox]
    read = call.read("mailings", mailings, needed, keys=others, optional=optional)
    mail = with_failure(with_delivery(read))
    mail = call.drop(mail, "mailing neither sent nor failed", nw.col("is_sent") | nw.col("is_failed"))
    for key in others:
        mail = call.drop(mail, f"{key} missing", ~nw.col(key).is_null())
    mail, groups, parts = grouping(mail, others)
    counted = mail.with_columns(failed=nw.col("is_failed").cast(nw.Int64), sent=nw.col("is_sent").cast(nw.Int64))
    counted = counted.with_columns(attempted=nw.col("failed") + nw.col("sent"))
    present = counted.collect_schema().names()
    has_cluster = cluster != AUTO or "mailbox_id" in present
    clusters = clusters_of(_MAILBOX_RATES, mailbox if has_cluster else None, present, keys)
    by_reason = REASON in keys
    sums = counted_parts(counted, groups, _MAILBOX_COUNTS, {} if by_reason else _MAILBOX_RATES, clusters, person=None)
    table = stack([*parts, *sums], groups)
    if by_reason:
        reasons = counted.filter(nw.col("is_failed")).group_by(*groups, REASON).agg(nw.col("failed").sum())
        table = join(reasons, table.drop("failed"), groups)
        for rate, column in clusters.items():
            shares = share_sums(
                counted, groups, REASON, name=rate, counts=_MAILBOX_RATES[rate], column=column, person=None
            )
            table = stack([table, shares], [*groups, REASON]).filter(nw.col("failed") > 0)
    rated = with_clustered_rates(call, table, _MAILBOX_RATES, clusters, ci=ci)
    rates = [f"failure_rate{end}" for end in ("", "_n", "_lo", "_hi")]
    result: IntoFrameT = call.write(
        rated.select(*keys, "failed", "sent", "attempted", *rates),
        sort=keys,
        instants=[key for key in keys if key.endswith("_at")],
    )
    return result
