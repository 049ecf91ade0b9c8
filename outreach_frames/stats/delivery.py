"""Deliverability: bounces, failures, spam complaints and opt-outs by mailbox and week, or by recipients' domain."""

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals as nw
from narwhals.typing import IntoFrameT

from outreach_frames.errors import DataError
from outreach_frames.stats._addresses import first_domains
from outreach_frames.stats._calendar import with_local, with_periods
from outreach_frames.stats._call import Call
from outreach_frames.stats._engines import join
from outreach_frames.stats._instants import Instant
from outreach_frames.stats._parameters import choice, limits
from outreach_frames.stats._tally import at_the_end, stack
from outreach_frames.stats.flags import SENDING, tell_placing, with_delivery, with_failure
from outreach_frames.stats.intervals import with_rates

GROUPINGS = ("mailbox", "recipient_domain")
ALERTS = ("ok", "watch", "act")
THRESHOLDS: Mapping[str, tuple[float, float]] = {"bounce_rate": (0.02, 0.05), "spam_rate": (0.001, 0.003)}
"""From which rates on to watch, and to act: practice, not law; for spam, what Gmail asks of bulk senders."""

_RATES = {
    "bounce_rate": ("bounced", "sent"),
    "failure_rate": ("failed", "attempted"),
    "spam_rate": ("spam", "delivered"),
    "opt_out_rate": ("opted_out", "delivered"),
}
_COUNTS = ["sent", "delivered", "bounced", "failed", "attempted", "spam", "opted_out"]


def deliverability(
    mailings: IntoFrameT,
    mailboxes: IntoFrameT,
    *,
    prospects: IntoFrameT | None = None,
    email_addresses: IntoFrameT | None = None,
    by: str = "mailbox",
    thresholds: Mapping[str, tuple[float, float]] | None = None,
    min_n: int = 20,
    baseline_weeks: int = 8,
    tz: str = "UTC",
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    as_of: Instant | None = None,
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
        ``id``, ``opted_out_at``: to find opt-outs made by hand.
    email_addresses
        ``id``, ``prospect_id``, ``email``: for ``by="recipient_domain"``. Of several addresses of a person the first is
        taken, since a mailing does not tell its own.
    by
        ``"mailbox"`` (and week) or ``"recipient_domain"``.
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
    as_of
        When the data were extracted; kept in the record only.

    Returns
    -------
    deliverability : frame of the caller's kind, sorted by key
        ``mailbox_id``, ``week`` (its Monday) and ``email``, or ``recipient_domain``; ``sent``, ``delivered``,
        ``bounced``, ``failed``, ``spam``, ``opted_out``; ``manual_opt_outs`` [people whose opt-out no mailing shows,
        credited to the last mailing delivered before it; missing without ``prospects``]; the four rates with ``_n``,
        ``_lo``, ``_hi``; ``z_vs_baseline`` [standard errors by which the bounce rate lies above that of the baseline,
        for domains above that of all other domains; missing without mail or without a baseline strictly between 0 and
        1]; ``alert``: ``act`` or ``watch`` where a rate has reached its threshold, else ``ok`` (ordered category).

    Raises
    ------
    MissingColumnError
        A column is absent.
    DataError
        A wrong dtype, an unknown grouping or threshold, or ``email_addresses`` is not given.

    Notes
    -----
    Mail falls into the week of its sending, failed mail into that for which it was scheduled, else created. Left out
    and counted: mail neither sent nor failed, and that of other mailboxes or without a known domain. Spam complaints
    are a floor, since few providers report them. Interval: Wilson. Definition: this project's metric dictionary,
    part 2.1.
    """
    choice("deliverability by", by, GROUPINGS)
    bounds = {**THRESHOLDS, **limits("thresholds", thresholds, _RATES)}
    call = Call(
        "deliverability",
        by=by,
        thresholds=bounds,
        min_n=min_n,
        baseline_weeks=baseline_weeks,
        tz=tz,
        bounce_policy=bounce_policy,
        ci=ci,
    )
    mail = _read_mail(call, mailings, bounce_policy)
    boxes = call.read("mailboxes", mailboxes, ["id", "email"]).rename({"id": "mailbox_id"})
    call.look(as_of)
    if by == "mailbox":
        marked = join(mail, boxes.select("mailbox_id", is_listed=nw.col("mailbox_id")), "mailbox_id")
        mail = call.drop(marked, "mailing of a mailbox not listed", ~nw.col("is_listed").is_null())
        tell_placing(call, mail)
        call.assume(mail, "failed mailing, placed at the time it was scheduled for or made", ~nw.col("is_sent"))
        mail = with_periods(with_local(mail, "placed_at", zones=[tz]), ["week"])
        keys, labels = ["mailbox_id", "week"], ["email"]
    else:
        mail = _with_domain(call, mail, email_addresses)
        keys, labels = ["recipient_domain"], []
    parts = [_counts(mail, keys)]
    if prospects is not None:
        parts.append(_manual(call, mail, prospects, keys))
    if by == "mailbox":
        weeks = mail.group_by("week").agg(nw.col("id").count()).select("week")
        parts.append(boxes.select("mailbox_id").join(weeks, how="cross"))
    table = stack(parts, keys)
    baseline = _earlier_weeks(table, baseline_weeks) if by == "mailbox" else _other_domains(table)
    table = _with_z(with_rates(join(table, baseline, keys), _RATES, ci=ci))
    if labels:
        table = join(table, boxes, "mailbox_id")
    result: IntoFrameT = _finished(call, _with_alert(table, bounds, min_n or 0), keys, labels)
    return result


def _read_mail(call: Call, mailings: Any, bounce_policy: str) -> nw.LazyFrame[Any]:
    columns = ["id", "mailbox_id", "prospect_id", "state", "created_at", "scheduled_at", *SENDING]
    read = call.read("mailings", mailings, [*columns, "unsubscribed_at", "marked_as_spam_at"])
    flagged = with_failure(with_delivery(read, bounce_policy))
    placed = flagged.with_columns(placed_at=nw.coalesce("sent_at", "scheduled_at", "created_at"))
    tried = (nw.col("is_sent") | nw.col("is_failed")) & ~nw.col("placed_at").is_null()
    return call.drop(placed, "mailing neither sent nor failed", tried)


def _with_domain(call: Call, mail: nw.LazyFrame[Any], email_addresses: Any) -> nw.LazyFrame[Any]:
    if email_addresses is None:
        raise DataError('by="recipient_domain" needs email_addresses.', hint='Pass fetch(org, "email_addresses").')
    addresses = call.read("email_addresses", email_addresses, ["id", "prospect_id", "email"])
    known = ~nw.col("recipient_domain").is_null()
    return call.drop(join(mail, first_domains(addresses), "prospect_id"), "mailing to an unknown domain", known)


def _counts(mail: nw.LazyFrame[Any], keys: Sequence[str]) -> nw.LazyFrame[Any]:
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
    return counted.group_by(*keys).agg(nw.col(name).sum() for name in _COUNTS)


def _manual(call: Call, mail: nw.LazyFrame[Any], prospects: Any, keys: Sequence[str]) -> nw.LazyFrame[Any]:
    """Count opt-outs without a link, where the last mailing delivered before them was sent."""
    people = call.read("prospects", prospects, ["id", "opted_out_at"]).filter(~nw.col("opted_out_at").is_null())
    known = mail.filter(~nw.col("prospect_id").is_null())
    by_link = known.group_by("prospect_id").agg(linked=nw.col("unsubscribed_at").count())
    gone = join(people.rename({"id": "prospect_id"}), by_link, "prospect_id")
    gone = gone.filter((nw.col("linked") == 0).fill_null(False)).select("prospect_id", "opted_out_at")
    before = join(known.filter(nw.col("is_delivered")), gone, "prospect_id", how="inner")
    before = before.filter(nw.col("sent_at") <= nw.col("opted_out_at"))
    for column in ("sent_at", "id"):
        before = at_the_end(before, "prospect_id", column, "max")
    return before.group_by(*keys).agg(manual_opt_outs=nw.col("id").count())


def _earlier_weeks(table: nw.LazyFrame[Any], weeks: int) -> nw.LazyFrame[Any]:
    earlier = table.select(
        "mailbox_id", base_week=nw.col("week"), base_bounced=nw.col("bounced"), base_sent=nw.col("sent")
    )
    pairs = join(table.select("mailbox_id", "week"), earlier, "mailbox_id", how="inner")
    pairs = pairs.filter((nw.col("base_week") < nw.col("week")) & (nw.col("base_week") >= nw.col("week") - 7 * weeks))
    return pairs.group_by("mailbox_id", "week").agg(nw.col("base_bounced").sum(), nw.col("base_sent").sum())


def _other_domains(table: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    counts = table.select("recipient_domain", "bounced", "sent")
    total = counts.select(nw.col("bounced").sum().alias("base_bounced"), nw.col("sent").sum().alias("base_sent"))
    others = counts.join(total, how="cross").with_columns(
        base_bounced=nw.col("base_bounced") - nw.col("bounced"), base_sent=nw.col("base_sent") - nw.col("sent")
    )
    return others.select("recipient_domain", "base_bounced", "base_sent")


def _with_z(table: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    sent = nw.when(nw.col("base_sent") > 0).then(nw.col("base_sent").cast(nw.Float64))
    base = nw.col("base_rate")
    inside = (base > 0).fill_null(False) & (base < 1).fill_null(False) & (nw.col("sent") > 0)
    based = table.with_columns(base_rate=nw.col("base_bounced").cast(nw.Float64) / sent)
    variance = nw.when(inside).then(base * (1.0 - base) / nw.col("sent").cast(nw.Float64))
    spread = based.with_columns(base_spread=variance.sqrt())
    return spread.with_columns(z_vs_baseline=(nw.col("bounce_rate") - base) / nw.col("base_spread"))


def _with_alert(
    table: nw.LazyFrame[Any], thresholds: Mapping[str, tuple[float, float]], min_n: int
) -> nw.LazyFrame[Any]:
    alert = nw.lit("ok")
    for level, name in enumerate(ALERTS[1:]):
        for rate, bounds in thresholds.items():
            alert = nw.when((nw.col(rate) >= bounds[level]).fill_null(False)).then(nw.lit(name)).otherwise(alert)
    return table.with_columns(alert=nw.when(nw.col("sent") >= min_n).then(alert))


def _finished(call: Call, table: nw.LazyFrame[Any], keys: Sequence[str], labels: Sequence[str]) -> Any:
    if "manual_opt_outs" not in table.collect_schema().names():
        table = table.with_columns(manual_opt_outs=nw.when(nw.col("sent") < 0).then(nw.col("sent")))
    rates = [f"{name}{end}" for name in _RATES for end in ("", "_n", "_lo", "_hi")]
    counts = [name for name in _COUNTS if name != "attempted"]
    columns = [*keys, *labels, *counts, "manual_opt_outs", *rates, "z_vs_baseline", "alert"]
    days = ["week"] if "week" in keys else []
    return call.write(table.select(*columns), sort=keys, days=days, categories={"alert": ALERTS})
