"""
The registry of rates and quantities: what each counts, how it is called, and how far it can be trusted.

Statistics, summaries, pictures, tables and sentences read their words from here, so that a click is never called a
reply and a rate has one definition.
"""

import re
from typing import NamedTuple


class Metric(NamedTuple):
    """
    A rate or a headline quantity.

    Attributes
    ----------
    label
        What it is called: "Reply rate".
    counted
        What it is the share of: "mails answered".
    numerator, denominator
        What is counted, and of what; the denominator is empty for counts and medians.
    definition
        Numerator, denominator and what is not counted, in one line.
    trials
        What the denominator counts, in the singular: "delivered mailing".
    unit
        "share" for a fraction in [0, 1], "hours", or what is counted.
    trust
        "high" or "low".
    caveat
        What stands beside the name of a metric of low trust.
    color
        The meaning whose color, marker and hatch it has in pictures.
    traps
        Codes of the `data_quality` checks that bend it.
    group
        What a group does at the rate, with places for ``{who}`` and ``{rate}``.
    more
        What a variant does compared with another at a lower rate.
    sides
        On which side of the others a group is worth a sentence.
    counts
        Of the rates of `engagement`: its columns of successes and of trials.
    """

    label: str
    counted: str
    numerator: str
    denominator: str
    definition: str
    trials: str = "trial"
    unit: str = "share"
    trust: str = "high"
    caveat: str = ""
    color: str = "none"
    traps: tuple[str, ...] = ()
    group: str = "Of {who}, {rate}"
    more: str = "is above"
    sides: tuple[str, ...] = ("above",)
    counts: tuple[str, str] = ("", "")


BOTH = ("above", "below")
_MACHINES = "(machine opens included)"


def _rate(label: str, counted: str, fraction: str, note: str = "", **facts: object) -> Metric:
    """Make a rate from its fraction, ``numerator / denominator``, and from what its definition adds."""
    numerator, _, denominator = fraction.partition(" / ")
    definition = f"{fraction} ({note})" if note else fraction
    return Metric(label, counted, numerator, denominator, definition, **facts)  # type: ignore[arg-type]  # by name


def _quantity(label: str, definition: str, unit: str, *traps: str) -> Metric:
    return Metric(label, label.lower(), definition, "", definition, unit=unit, traps=traps)


METRICS = {
    "sent": _quantity("Mails sent", "mailings that left: delivered or bounced", "mailings", "T9"),
    "delivered": _quantity("Mails delivered", "sent and not bounced", "mailings", "T5", "T9"),
    "prospects_emailed": _quantity("Prospects emailed", "people with a delivered mailing", "prospects", "T11"),
    "prospects_replied": _quantity(
        "Prospects replied", "of these, people who answered one", "prospects", "T11", "T16", "T18"
    ),
    "delivery_rate": _rate(
        "Delivery rate",
        "mails delivered",
        "delivered / sent",
        "sent = delivered + bounced; what failed or waits was not sent",
        counts=("delivered", "sent"),
        trials="sent mailing",
        color="volume",
        traps=("T5", "T18"),
        group="Of the mail of {who}, {rate} is delivered",
        more="is delivered more often than",
        sides=("below",),
    ),
    "bounce_rate": _rate(
        "Bounce rate",
        "mails bounced",
        "bounced / sent",
        "by default, mail that bounced and was answered counts as delivered",
        counts=("bounced", "sent"),
        trials="sent mailing",
        color="bounce",
        traps=("T5", "T18"),
        group="Of the mail of {who}, {rate} bounces",
        more="bounces more often than",
    ),
    "failure_rate": _rate(
        "Failure rate",
        "mails failed",
        "failed and not sent / (failed and not sent + sent)",
        trials="attempted mailing",
        color="failure",
        group="Of the mail of {who}, {rate} fails to send",
        more="fails to send more often than",
    ),
    "spam_rate": _rate(
        "Spam complaint rate",
        "mails marked as spam",
        "marked as spam / delivered",
        "a floor: only some providers report it",
        trials="delivered mailing",
        color="failure",
        group="Of the mail of {who}, {rate} is marked as spam",
        more="is marked as spam more often than",
    ),
    "open_rate": _rate(
        "Open rate",
        "mails opened",
        "opened mailings / delivered mailings with open tracking",
        "machine opens included; low trust",
        counts=("opened", "open_base"),
        trials="tracked mailing",
        trust="low",
        caveat=_MACHINES,
        color="open",
        traps=("T2", "T12", "T17"),
        group="Of the mail of {who}, {rate} is opened",
        more="is opened more often than",
        sides=BOTH,
    ),
    "click_rate": _rate(
        "Click rate",
        "mails clicked",
        "clicked mailings / delivered mailings with click tracking",
        "anyone's clicks, scanners included",
        counts=("clicked", "click_base"),
        trials="tracked mailing",
        trust="low",
        caveat="(machine clicks included)",
        color="click",
        traps=("T4", "T12", "T17"),
        group="Of the mail of {who}, {rate} is clicked",
        more="is clicked more often than",
        sides=BOTH,
    ),
    "click_to_open_rate": _rate(
        "Click-to-open rate",
        "opened mails clicked",
        "opened and clicked / opened with click tracking",
        "machine opens included; low trust",
        counts=("opened_clicked", "opened_click_base"),
        trials="opened mailing",
        trust="low",
        caveat=_MACHINES,
        color="click",
        group="Of the opened mail of {who}, {rate} is clicked",
        more="is clicked more often than",
        sides=BOTH,
    ),
    "reply_rate": _rate(
        "Reply rate",
        "mails answered",
        "replied mailings / delivered mailings",
        counts=("replied", "delivered"),
        trials="delivered mailing",
        color="reply",
        traps=("T10", "T16", "T18", "T19"),
        group="Of the mail of {who}, {rate} is answered",
        more="gets more replies than",
        sides=BOTH,
    ),
    "opt_out_rate": _rate(
        "Opt-out rate",
        "mails that led to an unsubscribe",
        "mailings whose link was used to opt out / delivered mailings",
        "manual opt-outs not counted",
        counts=("opted_out", "delivered"),
        trials="delivered mailing",
        color="opt_out",
        traps=("T15",),
        group="Of the mail of {who}, {rate} leads to an unsubscribe",
        more="leads to an unsubscribe more often than",
    ),
    "prospect_reply_rate": _rate(
        "Prospect reply rate",
        "people who replied",
        "prospects who replied / prospects with a delivered mailing",
        "mail without a known prospect left out",
        counts=("prospects_replied", "prospects_emailed"),
        trials="reached prospect",
        color="reply",
        traps=("T11", "T16", "T18", "T19"),
        group="Of the people emailed in {who}, {rate} reply",
        more="gets more replies than",
        sides=BOTH,
    ),
    "enrollment_reply_rate": _rate(
        "Enrollment reply rate",
        "enrollments that replied",
        "enrollments with a reply / enrollments with a delivered mailing",
        "one-off mail left out",
        counts=("enrollments_replied", "enrollments_emailed"),
        trials="reached enrollment",
        color="reply",
        traps=("T6", "T14", "T16", "T18", "T19"),
        group="Of the enrollments in {who}, {rate} reply",
        more="gets more replies than",
        sides=BOTH,
    ),
    "enrollment_reply_rate_strict": _rate(
        "Enrollment reply rate, strict",
        "enrollments that replied, automatic answers left out",
        "enrollments with a reply that does not look automatic / enrollments with a delivered mailing",
        "one-off mail left out",
        trials="reached enrollment",
        color="reply",
    ),
    "enrollment_reply_rate_14d": _rate(
        "Enrollment reply rate within 14 days",
        "enrollments that replied within 14 days",
        "enrollments with a reply within 14 days of their first mail / enrollments that have had these 14 days",
        counts=("enrollments_replied_14d", "enrollments_mature"),
        trials="reached enrollment",
        color="reply",
        group="Of the enrollments in {who}, {rate} reply within 14 days",
        more="gets more replies than",
        sides=BOTH,
    ),
    "enrollment_bounce_rate": _rate(
        "Enrollment bounce rate",
        "enrollments with a bounce",
        "enrollments with a bounce / enrollments with a mailing sent",
        counts=("enrollments_bounced", "enrollments_sent"),
        trials="enrollment sent to",
        color="bounce",
        group="Of the enrollments in {who}, {rate} have a bounce",
        more="bounces more often than",
    ),
    "prospect_unsubscribe_rate": _rate(
        "Prospect unsubscribe rate",
        "people who unsubscribed",
        "people who opted out by link / prospects with a delivered mailing",
        counts=("prospects_unsubscribed", "prospects_emailed"),
        trials="reached prospect",
        color="opt_out",
        group="Of the people emailed in {who}, {rate} unsubscribe",
        more="unsubscribes more often than",
    ),
    "prospect_opt_out_rate": _rate(
        "Prospect opt-out rate",
        "people who opted out",
        "people who opted out after their first contact / people contacted",
        "by any way, not only by link",
        trials="contacted prospect",
        color="opt_out",
    ),
    "prospect_opt_out_rate_14d": _rate(
        "Prospect opt-out rate within 14 days",
        "people who opted out within 14 days",
        "people who opted out within 14 days of their first contact / people who have had these 14 days",
        trials="contacted prospect",
        color="opt_out",
        group="Of the people contacted in {who}, {rate} opt out within 14 days",
        more="loses more people than",
    ),
    "positive_reply_rate": _rate(
        "Positive reply rate",
        "mails with a positive reply",
        "positive replies / mailings delivered",
        "Outreach's counters, of all time; medium trust",
        trials="delivered mailing",
        color="reply",
    ),
    "positive_reply_share": _rate(
        "Positive share of replies",
        "positive replies",
        "positive replies / replies classified",
        "Outreach's counters; medium trust",
        trials="classified reply",
        color="reply",
    ),
    "reply_within_14d": _quantity(
        "Replied within 14 days",
        "enrollments that have answered within 14 days of the first mail, recent ones included",
        "share",
        *("T14", "T16", "T18"),
    ),
    "hours_to_reply_median": _quantity(
        "Median time to reply",
        "median hours from delivery to reply, among replies only; not how long a reply takes",
        "hours",
        *("T16", "T18"),
    ),
    "meeting_rate": _rate(
        "Meeting rate",
        "enrollments that led to a meeting",
        "enrollments with a meeting call in time / enrollments contacted long enough ago",
        "a proxy",
        trials="enrollment",
        color="reply",
        group="Of the enrollments contacted in {who}, {rate} lead to a meeting",
        more="leads to more meetings than",
        sides=BOTH,
    ),
    "completion_rate": _rate(
        "Completion rate",
        "enrollments finished",
        "finished / (finished + bounced + opted out + failed)",
        "running and disabled ones not counted",
        trials="ended enrollment",
    ),
    "stuck_rate": _rate(
        "Stuck rate",
        "running enrollments that are stuck",
        "running enrollments without activity for longer than planned / running enrollments with a known plan",
        trials="running enrollment",
        group="Of the running enrollments in {who}, {rate} are stuck",
        more="is stuck more often than",
    ),
    "reenrollment_rate": _rate(
        "Re-enrollment rate",
        "repeated enrollments",
        "enrollments beyond a person's first in the same sequence / enrollments of known people",
        trials="enrollment",
    ),
    "overlap_rate": _rate(
        "Overlap rate",
        "people in several sequences",
        "prospects in two or more open enrollments / prospects in one or more",
        trials="prospect in a sequence",
        traps=("T7",),
    ),
    "connect_rate": _rate(
        "Connect rate",
        "calls answered",
        "outbound calls answered / outbound calls dialed",
        trials="dialed call",
        color="click",
        group="Of the calls of {who}, {rate} are answered",
        more="reaches more people than",
    ),
    "task_completion_rate": _rate(
        "Task completion rate",
        "tasks completed",
        "tasks completed / tasks due by now",
        "tasks without a due date left out",
        trials="due task",
    ),
    "task_on_time_rate": _rate(
        "Tasks on time",
        "tasks completed on time",
        "tasks completed by their due date / tasks completed that had one",
        trials="completed task",
    ),
    "task_backlog": Metric(
        "Task backlog",
        "tasks still open",
        "tasks due and still open",
        "",
        "tasks due and still open",
        unit="tasks",
        group="Of the tasks of {who} that were due, {rate} are still open",
        more="is left open more often than",
    ),
    "accounts_touched_rate": _rate(
        "Accounts touched",
        "accounts with somebody contacted",
        "named accounts with somebody contacted / named accounts",
        trials="named account",
    ),
    "account_reply_rate": _rate(
        "Account reply rate",
        "accounts with a reply",
        "accounts with somebody who replied / accounts with somebody contacted",
        trials="contacted account",
        color="reply",
    ),
}
"""By column."""

RATES = {
    name: METRICS[name].counts
    for name in (
        "delivery_rate",
        "bounce_rate",
        "open_rate",
        "click_rate",
        "click_to_open_rate",
        "reply_rate",
        "opt_out_rate",
        "prospect_reply_rate",
        "prospect_unsubscribe_rate",
        "enrollment_reply_rate",
        "enrollment_reply_rate_14d",
        "enrollment_bounce_rate",
    )
}
"""Columns of successes and of trials of the rates of `engagement`, in its order."""

HEADLINES = (
    "sent",
    "delivered",
    "prospects_emailed",
    "prospects_replied",
    "enrollment_reply_rate",
    "prospect_reply_rate",
    "reply_rate",
    "reply_within_14d",
    "hours_to_reply_median",
    "delivery_rate",
    "bounce_rate",
    "opt_out_rate",
    "click_rate",
    "open_rate",
    "overlap_rate",
)
"""The numbers of `summarize`, in order of appearance."""

DEFINITIONS = {
    **{name: metric.definition for name, metric in METRICS.items() if metric.denominator or metric.unit == "hours"},
    "hazard": "first replies / enrollments still at risk when the step reached them",
    "cumulative_reply": "1 − Π(1 − hazard) over the mail steps so far",
    "survival": "Kaplan–Meier: share without the event, as if other outcomes had been cut short",
    "cif_reply": "Aalen–Johansen: share that has replied, opt-outs and bounces being final",
    "cif_opt_out": "Aalen–Johansen: share that has opted out, replies and bounces being final",
    "cif_bounce": "Aalen–Johansen: share that has bounced, replies and opt-outs being final",
    "replies_per_100_contacted": "100 × prospects who replied / prospects with a delivered mailing",
    "automatic_replies": "replied mailings of paused enrollments, answered within five minutes of delivery",
    "hazard_14d": "first replies within 14 days of the step / enrollments at risk that have had these 14 days",
    "mature": "enrollments of the bucket that were created at least 14 days before the extraction",
    "first_open_exact": "whether first_open_at is the first open; else the first one may have been earlier",
    "hours_to_open": "hours from delivery to the first open known (machine opens included; low trust)",
    "hours_to_reply_p25": "first quartile of the hours from delivery to reply, among replies only",
    "hours_to_reply_p50": "median of the hours from delivery to reply, among replies only",
    "hours_to_reply_p75": "third quartile of the hours from delivery to reply, among replies only",
    "schedule_lag_h": "median hours from the scheduled time to delivery, of delivered mailings that have both",
    "open_enrollments": "enrollments neither finished nor opted out, as Outreach's interface counts them",
    "running": "enrollments pending, active or paused",
    "resolved": "enrollments finished, bounced, opted out or failed",
    "send_capacity_used": "mailings sent that day or week / the mailbox's limit of now",
    "touches_per_contacted": "touches / people contacted",
    "reply_effort.touches_to_reply": "mean touches up to the first reply, of enrollments that replied",
    "shrunk": "rate drawn toward the pooled rate by an empirical-Bayes beta-binomial prior",
    "coverage": "prospects contacted / prospects known in the account",
    "touches": "delivered mailings + outbound calls dialed + other tasks completed",
    "overlaps.touches": "delivered mailings",
    "account_coverage.touches": "delivered mailings, and outbound calls dialed where calls were given",
    "sequence_engagement.touches": "delivered mailings, and outbound calls and other tasks where given",
    "deliverability.baseline": "bounces / mailings sent in the mailbox's weeks before (by domain: to all others)",
    "limit_lo": "bounce rates below it are improbable, the baseline's own error included (3 normal deviates)",
    "limit_hi": "bounce rates above it are improbable, the baseline's own error included (3 normal deviates)",
    "z_vs_baseline": "normal deviate of the bounce rate from the baseline, by Fisher's exact test",
    "alert": "whether a rate's exact interval lies above a threshold, with at least three events",
    "is_bounced": "bounced (by default, mail that was answered all the same is not)",
    "is_delivered": "sent and not bounced",
    "duration_d": "days from the first mail (or the enrollment) to the first outcome, or as long as it was followed",
    "multi_threaded": "two or more people of the account contacted",
    "hours_after_opt_out": "hours from the opt-out to the delivery of the mail",
    "posterior_alpha": "first shape of the Beta distribution of the rate: prior_alpha + x / design_effect",
    "posterior_beta": "second shape of the Beta distribution of the rate: prior_beta + (n − x) / design_effect",
    "p_better": "chance that the variant is better than its rival, by a Beta-binomial model",
    "expected_loss": "successes per trial that choosing the variant loses on average, should its rival be better",
    "p_always_valid": "p-value that may be looked at every day; large samples only",
    "srm_p": "p-value of the split of arrivals; below 0.001 the comparison is broken",
    "rate_effect": "change of the total by changes within groups, at average shares (Kitagawa)",
    "mix_effect": "change of the total by groups' growing or shrinking shares, at average rates (Kitagawa)",
    "pipeline_attribution.share": "part of the deal credited to the channel; association, not cause",
    "reconcile_counters.gap": "the API's counter − the same counted from the rows",
    "cohort_matrix.rate": "enrollments with a first event within so many weeks / all enrollments of the cohort",
    "dashboard_comparison.rate": "numerator / denominator of what grain names, after the step",
    "state_flow.share": "enrollments in the bucket / enrollments of the sequence",
}
"""Numerator, denominator and what is not counted, by column; with the function where a name means several things."""

_UNITS = {
    r"_h$": "hours",
    r"_d$": "days",
    r"_s$": "seconds",
    r"^hours_|_minutes$": "duration",
    r"^(diff|difference|rate_effect|mix_effect)$": "percentage points",
    r"(^|_)(rate|share|coverage|raw|shrunk|hazard|survival|baseline)$": "share",
    r"^(cumulative|cif|share|rate)_|_used(_p95)?$|^(reply_within|limit)_": "share",
    r"^p_(better|top|above_median)$": "probability",
    r"^p_|_p$": "p-value",
    r"(^|_)amount$": "amount",
    r"^(sent|delivered|mailings)$|^sent_": "mails",
    r"^contacted$": "people",
    r"^(arrivals|at_risk|n_per_arm|n_needed)$": "enrollments",
}


def unit_of(column: str) -> str:
    """Return the unit of a column of numbers by its name, by the first pattern that fits; "" if none does."""
    return next((unit for pattern, unit in _UNITS.items() if re.search(pattern, column)), "")
