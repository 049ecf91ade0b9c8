"""Deliverability: bounces, failures, spam complaints and opt-outs by mailbox and week, or by recipients' domain."""

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from narwhals.typing import IntoFrameT

from outreach_frames._renamed import with_old_positions
from outreach_frames.errors import DataError
from outreach_frames.stats._aggregate import at_the_end, stack, with_missing
from outreach_frames.stats._backends import join, pandas_of, small_table
from outreach_frames.stats._pandas import Floats, float_column, floats
from outreach_frames.stats._statistic import StatContext
from outreach_frames.stats._timestamps import with_local, with_periods
from outreach_frames.stats._validation import choice, limits
from outreach_frames.stats.clusters import cluster_columns, clusters_of, counted_parts, noted_effects
from outreach_frames.stats.comparisons import limits_around, z_against
from outreach_frames.stats.flags import SENDING, first_domains, note_placing, with_delivery, with_failure
from outreach_frames.stats.intervals import MIN_EVENTS, exact_lower, with_rates
from outreach_frames.stats.opt_outs import with_opt_out_time

GROUPINGS = ("mailbox_id", "recipient_domain")
ALERTS = ("ok", "watch", "act")
THRESHOLDS: Mapping[str, tuple[float, float]] = {"bounce_rate": (0.02, 0.05), "spam_rate": (0.001, 0.003)}
"""From which rates on to watch, and to act: practice, not law; for spam, what Gmail asks of bulk senders."""

_DELIVERY_RATES = {
    "bounce_rate": ("bounced", "sent"),
    "failure_rate": ("failed", "attempted"),
    "spam_rate": ("spam", "delivered"),
    "opt_out_rate": ("opted_out", "delivered"),
}
_CONTROL_COLUMNS = ["baseline", "limit_lo", "limit_hi", "z_vs_baseline"]
_ALIKE = [rate for rate in _DELIVERY_RATES if rate != "failure_rate"]
"""Rates that depend on who is written to."""

_DELIVERY_COUNTS = ["sent", "delivered", "bounced", "failed", "attempted", "spam", "opted_out"]


@with_old_positions("mailboxes")
def deliverability(
    mailings: IntoFrameT,
    *,
    mailboxes: IntoFrameT,
    prospects: IntoFrameT | None = None,
    email_addresses: IntoFrameT | None = None,
    by: str = "mailbox_id",
    thresholds: Mapping[str, tuple[float, float]] | None = None,
    min_n: int = 20,
    baseline_weeks: int = 8,
    tz: str = "UTC",
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    cluster: str | None = "auto",
) -> IntoFrameT:
    """
    Measure how well mail arrives, by mailbox and week or by the recipients' domain.

    ``bounce_rate`` = bounced / sent. ``failure_rate`` = failed and not sent / (that + sent). ``spam_rate`` = marked as
    spam / delivered. ``opt_out_rate`` = opted out by link / delivered.

    Parameters
    ----------
    mailings
        ``id``, ``mailbox_id``, ``prospect_id``, ``state``, ``created_at``, ``scheduled_at``, ``delivered_at``,
        ``bounced_at``, ``replied_at``, ``unsubscribed_at``, ``marked_as_spam_at``.
    mailboxes
        ``id``, ``email``: the mailboxes to report on; each has a row for every week in which any of them sent.
    prospects
        ``id``, ``opted_out``, ``opted_out_at``: to find opt-outs made by hand.
    email_addresses
        ``id``, ``prospect_id``, ``email``: for ``by="recipient_domain"``. Of several addresses of a person the first is
        taken, since a mailing does not tell its own.
    by
        ``"mailbox_id"`` (and week) or ``"recipient_domain"``.
    thresholds
        Rates from which to watch and to act, by name of the rate; default `THRESHOLDS`.
    min_n
        Fewer mailings sent give no alert.
    baseline_weeks
        How many earlier weeks of the mailbox its bounce rate is compared with [weeks].
    tz
        IANA zone of the weeks.
    bounce_policy
        See `mailing_flags`.
    ci
        Confidence level.
    cluster
        Column of the clusters; ``"auto"``: the account, for bounces else the domain, else the person, for failures
        the mailbox; ``None``: independent mailings. See `clusters`.

    Returns
    -------
    deliverability : frame of the caller's kind, sorted by key
        ``mailbox_id``, ``week`` (its Monday) and ``email``, or ``recipient_domain``; ``sent``, ``delivered``,
        ``bounced``, ``failed``, ``spam``, ``opted_out``; ``manual_opt_outs`` [people whose opt-out no mailing shows,
        credited to the last mailing delivered before it; missing without ``prospects``]; the four rates with ``_n``,
        ``_lo``, ``_hi``; ``baseline`` [bounce rate of the mailbox's weeks before, for domains of all others; missing
        where they had no mail]; ``limit_lo`` and ``limit_hi`` [bounce rates which a steady rate leaves in at most
        0.3 % of weeks, the baseline's own error included; missing without mail or baseline]; ``z_vs_baseline`` [normal
        deviate of the bounce rate from the baseline: beyond 3 either way outside the limits, 0 where the difference is
        of the kind that is to be expected]; ``alert``: ``act`` or ``watch`` where a rate is above its threshold by more
        than chance, that is, the lower end of its exact interval has reached the threshold and there are at least 3
        events; else ``ok`` (ordered category).

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        A wrong dtype, an unknown grouping or threshold, or ``email_addresses`` is not given.

    Notes
    -----
    Mail falls into the week of its sending, failed mail into that for which it was scheduled, else created. Left out
    and counted: mail neither sent nor failed, and that of other mailboxes or without a known domain. Spam complaints
    are a floor, since few providers report them. Interval: Wilson; alerts: Clopper and Pearson, at ``ci``; z and
    limits: Fisher's exact test, see `comparisons`. With lazy engines the counts are computed at the call, and what
    comes back holds them. Definitions: `outreach_frames.metrics`.

    Examples
    --------
    >>> weeks = stats.deliverability(mailings, mailboxes=mailboxes, email_addresses=email_addresses)
    >>> weeks[["sent", "delivered", "bounced", "failed"]].sum().to_dict()
    {'sent': 2212, 'delivered': 2169, 'bounced': 43, 'failed': 22}
    >>> weeks["alert"].dropna().value_counts().to_dict()
    {'ok': 21, 'watch': 0, 'act': 0}
    """
    choice("deliverability by", by, GROUPINGS)
    bounds = {**THRESHOLDS, **limits("thresholds", thresholds, _DELIVERY_RATES)}
    call = StatContext(
        "deliverability",
        by=by,
        thresholds=bounds,
        min_n=min_n,
        baseline_weeks=baseline_weeks,
        tz=tz,
        bounce_policy=bounce_policy,
        ci=ci,
        cluster=cluster,
    )
    mail = _read_mail(call, mailings, bounce_policy, cluster_columns(cluster))
    boxes = call.read("mailboxes", mailboxes, ["id", "email"]).rename({"id": "mailbox_id"})
    if by == "mailbox_id":
        marked = join(mail, boxes.select("mailbox_id", is_listed=nw.col("mailbox_id")), "mailbox_id")
        mail = call.drop(marked, "mailing of a mailbox not listed", ~nw.col("is_listed").is_null())
        note_placing(call, mail)
        call.assume(mail, "failed mailing, placed at the time it was scheduled for or made", ~nw.col("is_sent"))
        mail = with_periods(with_local(mail, "placed_at", zones=[tz]), ["week"])
        keys, labels = ["mailbox_id", "week"], ["email"]
    else:
        keys, labels = ["recipient_domain"], []
    if email_addresses is not None or by != "mailbox_id":
        mail = _with_domain(call, mail, email_addresses)
    if by != "mailbox_id":
        mail = call.drop(mail, "mailing to an unknown domain", ~nw.col("recipient_domain").is_null())
    clusters = clusters_of(_ALIKE, cluster, mail.collect_schema().names(), keys)
    parts = _delivery_counts(mail, keys, clusters)
    if prospects is not None:
        parts.append(_manual(call, mail, prospects, keys))
    if by == "mailbox_id":
        weeks = mail.group_by("week").agg(nw.col("id").count()).select("week")
        parts.append(boxes.select("mailbox_id").join(weeks, how="cross"))
    table = stack(parts, keys)
    if prospects is None:
        table = with_missing(table, ["manual_opt_outs"], like="sent")
    table = noted_effects(call, table, _DELIVERY_RATES, clusters)
    counts = pandas_of(table).sort_values(keys, ignore_index=True)  # small, whatever the mail is
    past = _earlier_weeks(counts, baseline_weeks) if by == "mailbox_id" else _other_domains(counts)
    judged = counts.assign(**_control(counts, past), alert=_alerts(counts, bounds, min_n or 0, ci))
    table = with_rates(small_table(table, {name: judged[name] for name in judged.columns}), _DELIVERY_RATES, ci=ci)
    result: IntoFrameT = _delivery_result(call, join(table, boxes, keys[0]) if labels else table, keys, labels)
    return result


def _read_mail(call: StatContext, mailings: Any, bounce_policy: str, optional: Sequence[str]) -> nw.LazyFrame[Any]:
    columns = ["id", "mailbox_id", "prospect_id", "state", "created_at", "scheduled_at", *SENDING]
    read = call.read("mailings", mailings, [*columns, "unsubscribed_at", "marked_as_spam_at"], optional=optional)
    flagged = with_failure(with_delivery(read, bounce_policy))
    placed = flagged.with_columns(placed_at=nw.coalesce("sent_at", "scheduled_at", "created_at"))
    tried = (nw.col("is_sent") | nw.col("is_failed")) & ~nw.col("placed_at").is_null()
    return call.drop(placed, "mailing neither sent nor failed", tried)


def _with_domain(call: StatContext, mail: nw.LazyFrame[Any], email_addresses: Any) -> nw.LazyFrame[Any]:
    if email_addresses is None:
        raise DataError('by="recipient_domain" needs email_addresses.', hint='Pass fetch(org, "email_addresses").')
    addresses = call.read("email_addresses", email_addresses, ["id", "prospect_id", "email"])
    return join(mail.drop("recipient_domain", strict=False), first_domains(addresses), "prospect_id")


def _delivery_counts(
    mail: nw.LazyFrame[Any], keys: Sequence[str], clusters: Mapping[str, str]
) -> list[nw.LazyFrame[Any]]:
    delivered = nw.col("is_delivered")
    flags = {
        "sent": nw.col("is_sent"),
        "delivered": delivered,
        "bounced": nw.col("is_bounced"),
        "failed": nw.col("is_failed"),
        "attempted": nw.col("is_sent") | nw.col("is_failed"),
        "spam": delivered & ~nw.col("marked_as_spam_at").is_null(),
        "opted_out": delivered & ~nw.col("unsubscribed_at").is_null(),
    }
    counted = mail.with_columns(flag.cast(nw.Int64).alias(name) for name, flag in flags.items())
    return counted_parts(counted, keys, _DELIVERY_COUNTS, _DELIVERY_RATES, clusters)


def _manual(call: StatContext, mail: nw.LazyFrame[Any], prospects: Any, keys: Sequence[str]) -> nw.LazyFrame[Any]:
    """Count opt-outs without a link, where the last mailing delivered before them was sent."""
    people = with_opt_out_time(call.read("prospects", prospects, ["id", "opted_out", "opted_out_at"]))
    people = people.filter(~nw.col("opted_out_at").is_null())
    with_person = mail.filter(~nw.col("prospect_id").is_null())
    by_link = with_person.group_by("prospect_id").agg(linked=nw.col("unsubscribed_at").count())
    manual = join(people.rename({"id": "prospect_id"}), by_link, "prospect_id")
    manual = manual.filter((nw.col("linked") == 0).fill_null(False)).select("prospect_id", "opted_out_at")
    before = join(with_person.filter(nw.col("is_delivered")), manual, "prospect_id", how="inner")
    before = before.filter(nw.col("sent_at") <= nw.col("opted_out_at"))
    for last in ("sent_at", "id"):
        before = at_the_end(before, "prospect_id", last, "max")
    return before.group_by(*keys).agg(manual_opt_outs=nw.col("id").count())


def _earlier_weeks(counts: pd.DataFrame, weeks: int) -> Floats:
    """Add up the bounces and the mail of each mailbox's weeks before; all mailboxes have the same weeks, in order."""
    days = np.unique(floats(counts["week"]))
    pairs = _bounced_and_sent(counts).reshape(2, -1 if days.size else 0, days.size)
    total = np.pad(pairs.cumsum(axis=-1), ((0, 0), (0, 0), (1, 0)))
    past: Floats = total[..., :-1] - total[..., np.searchsorted(days, days - 7 * weeks)]
    return past.reshape(2, -1)


def _other_domains(counts: pd.DataFrame) -> Floats:
    own = _bounced_and_sent(counts)
    others: Floats = own.sum(axis=1, keepdims=True) - own
    return others


def _bounced_and_sent(counts: pd.DataFrame) -> Floats:
    return np.stack([floats(counts[name]) for name in ("bounced", "sent")])


def _control(counts: pd.DataFrame, past: Floats) -> dict[str, "pd.Series[Any]"]:
    """Compare the bounces of each row with those of its past, which is an estimate as well."""
    (bounced, sent), (past_bounced, past_sent) = _bounced_and_sent(counts), past
    baseline = past_bounced / np.where(past_sent > 0, past_sent, np.nan)
    around = limits_around(sent, past_bounced, past_sent)
    z = z_against(bounced, sent, past_bounced, past_sent)
    return {name: float_column(values) for name, values in zip(_CONTROL_COLUMNS, (baseline, *around, z), strict=True)}


def _alerts(
    counts: pd.DataFrame, thresholds: Mapping[str, tuple[float, float]], min_n: int, ci: float
) -> "pd.Series[Any]":
    """Tell where a rate is above a threshold by more than chance."""
    level = np.zeros(len(counts), dtype=np.int64)
    for rate, bounds in thresholds.items():
        events, trials = (floats(counts[name]) for name in _DELIVERY_RATES[rate])
        effect = floats(counts[f"{rate}_deff"]) if f"{rate}_deff" in counts else 1.0
        least = np.where(events >= MIN_EVENTS, exact_lower(events / effect, trials / effect, ci=ci), 0.0)
        level = np.maximum(level, sum(least >= bound for bound in bounds))
    alerts = pd.Series(np.array(ALERTS)[level], dtype="string[pyarrow]")
    return alerts.where(floats(counts["sent"]) >= min_n)


def _delivery_result(call: StatContext, table: nw.LazyFrame[Any], keys: Sequence[str], labels: Sequence[str]) -> Any:
    rates = [f"{name}{end}" for name in _DELIVERY_RATES for end in ("", "_n", "_lo", "_hi")]
    counts = [name for name in _DELIVERY_COUNTS if name != "attempted"]
    columns = [*keys, *labels, *counts, "manual_opt_outs", *rates, *_CONTROL_COLUMNS, "alert"]
    days = ["week"] if "week" in keys else []
    return call.write(table.select(*columns), sort=keys, days=days, categories={"alert": ALERTS})
