"""
Tables attached to a result, and what the result was made of, in words.

They are kept in ``attrs`` as lists by column name, which JSON can hold: a frame there would break ``to_parquet`` and
the comparison of attributes that `pandas.concat` makes.
"""

from typing import Any

import pandas as pd
import pyarrow as pa

from outreach_frames.errors import DataError
from outreach_frames.stats._statistic import record_of


def attach(result: pd.DataFrame, name: str, table: pd.DataFrame) -> None:
    """Keep a table of numbers, text and flags in the attributes of a result."""
    result.attrs[name] = {str(column): [_plain(value) for value in table[column].tolist()] for column in table.columns}


def attached(result: pd.DataFrame, name: str) -> pd.DataFrame:
    """
    Return a table that came with a result.

    Parameters
    ----------
    result
        What a statistic returned.
    name
        ``"pairs"`` for `ab_test`, ``"summary"`` for `pipeline_attribution`.

    Returns
    -------
    table : DataFrame
        Arrow-backed, in the order it was made.

    Raises
    ------
    DataError
        The result carries no such table.
    """
    columns = result.attrs.get(name)
    if not isinstance(columns, dict) or not all(isinstance(values, list) for values in columns.values()):
        tables = [str(key) for key, kept in result.attrs.items() if key != "outreach_frames" and isinstance(kept, dict)]
        raise DataError(
            f"This frame carries no table {name!r}.",
            hint=f"It carries: {', '.join(tables)}." if tables else "Merging and grouping drop what a result carries.",
        )
    arrow = pa.table(columns)
    typed = [
        pa.field(field.name, pa.float64() if pa.types.is_null(field.type) else field.type) for field in arrow.schema
    ]
    frame: pd.DataFrame = arrow.cast(pa.schema(typed)).to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def _plain(value: Any) -> Any:
    return None if pd.isna(value) else value


DEFINITIONS = {
    "delivery_rate": "delivered / sent (sent = delivered + bounced; what failed or waits was not sent)",
    "bounce_rate": "bounced / sent (by default, mail that bounced and was answered counts as delivered)",
    "failure_rate": "failed and not sent / (failed and not sent + sent)",
    "spam_rate": "marked as spam / delivered (a floor: only some providers report it)",
    "open_rate": "opened mailings / delivered mailings with open tracking (machine opens included; low trust)",
    "click_rate": "clicked mailings / delivered mailings with click tracking (anyone's clicks, scanners included)",
    "click_to_open_rate": "opened and clicked / opened with click tracking (machine opens included; low trust)",
    "reply_rate": "replied mailings / delivered mailings",
    "opt_out_rate": "mailings whose link was used to opt out / delivered mailings (manual opt-outs not counted)",
    "prospect_reply_rate": "prospects who replied / prospects with a delivered mailing (mail to nobody known left out)",
    "enrollment_reply_rate": "enrollments with a reply / enrollments with a delivered mailing (one-off mail left out)",
    "hazard": "first replies / enrollments still at risk when the step reached them",
    "hours_to_reply_median": "median hours from delivery to reply, among replies only; not how long a reply takes",
    "cumulative_reply": "1 − Π(1 − hazard) over the mail steps so far",
    "survival": "Kaplan–Meier: share without the event, as if other outcomes had been cut short",
    "cif_reply": "Aalen–Johansen: share that has replied, opt-outs and bounces being final",
    "cif_opt_out": "Aalen–Johansen: share that has opted out, replies and bounces being final",
    "cif_bounce": "Aalen–Johansen: share that has bounced, replies and opt-outs being final",
    "replies_per_100_contacted": "100 × prospects who replied / prospects with a delivered mailing",
    "enrollment_reply_rate_strict": "as enrollment_reply_rate, but answers that look automatic are no replies",
    "automatic_replies": "replied mailings of paused enrollments, answered within five minutes of delivery",
    "enrollment_reply_rate_14d": "enrollments with a reply within 14 days of their first mail / those old enough",
    "enrollment_bounce_rate": "enrollments with a bounce / enrollments with a mailing sent",
    "prospect_unsubscribe_rate": "people who opted out by link / prospects with a delivered mailing",
    "hazard_14d": "first replies within 14 days of the step / enrollments at risk that have had these 14 days",
    "prospect_opt_out_rate_14d": "people who opted out within 14 days of their first contact / those who have had them",
    "mature": "enrollments of the bucket that were created at least 14 days before the extraction",
    "prospect_opt_out_rate": "people opted out since their first contact, by whatever way / people contacted",
    "positive_reply_share": "positive replies / replies classified (Outreach's counters; medium trust)",
    "positive_reply_rate": "positive replies / mailings delivered (Outreach's counters, since ever; medium trust)",
    "first_open_exact": "whether first_open_at is the first open; else the first one may have been earlier",
    "hours_to_open": "hours from delivery to the first open known (machine opens included; low trust)",
    "hours_to_reply_p25": "first quartile of the hours from delivery to reply, among replies only",
    "hours_to_reply_p50": "median of the hours from delivery to reply, among replies only",
    "hours_to_reply_p75": "third quartile of the hours from delivery to reply, among replies only",
    "schedule_lag_h": "median hours from the scheduled time to delivery, of delivered mailings that have both",
    "completion_rate": "finished / (finished + bounced + opted out + failed); running and disabled ones not counted",
    "stuck_rate": "running enrollments without activity for longer than planned / running ones of a known plan",
    "reenrollment_rate": "enrollments beyond a person's first in the same sequence / enrollments of people known",
    "overlap_rate": "people in two or more open enrollments anywhere / people with an open one in the group",
    "open_enrollments": "enrollments neither finished nor opted out, as Outreach's interface counts them",
    "running": "enrollments pending, active or paused",
    "resolved": "enrollments finished, bounced, opted out or failed",
    "meeting_rate": "enrollments with a meeting call in time (a proxy) / enrollments contacted long enough ago",
    "accounts_touched_rate": "named accounts with somebody contacted / named accounts",
    "account_reply_rate": "accounts with somebody who replied / accounts with somebody contacted",
    "send_capacity_used": "mailings sent that day / the mailbox's daily limit of now",
    "touches_per_contacted": "touches / people contacted",
    "reply_effort.touches_to_reply": "mean touches up to the first reply, of enrollments that replied",
    "shrunk": "rate drawn toward the pooled rate by an empirical-Bayes beta-binomial prior",
    "coverage": "prospects contacted / prospects known in the account",
    "connect_rate": "outbound calls answered / outbound calls dialed",
    "task_completion_rate": "tasks completed / tasks due by now (tasks without a due date left out)",
    "task_on_time_rate": "tasks completed by their due date / tasks completed that had one",
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


def explain(frame: Any) -> None:
    """
    Print how a result was made: function, parameters, rows left out and why, what was assumed of rows, definitions.

    Parameters
    ----------
    frame
        A result of this package, in pandas or PyArrow. Other kinds of frame have no place for the record.

    Raises
    ------
    DataError
        The frame carries no record.
    """
    print(explanation(frame))  # noqa: T201  to print is what it is for


def explanation(frame: Any) -> str:
    """Return the text that `explain` prints."""
    record = record_of(frame)
    if "function" not in record:
        raise DataError(
            "This frame carries no record of a statistic.",
            hint="Pass a result of outreach_frames.stats in pandas or PyArrow; merging and grouping drop the record.",
        )
    columns = getattr(frame, "column_names", None) or list(frame.columns)
    meant = {name: DEFINITIONS.get(f"{record['function']}.{name}", DEFINITIONS.get(name)) for name in columns}
    defined = [f"  {name} = {definition}" for name, definition in meant.items() if definition]
    lines = [
        f"{record['function']} (outreach_frames {record['version']})",
        *_facts(record),
        *(["Definitions:", *defined] if defined else []),
    ]
    return "\n".join(lines)


def _facts(record: dict[str, Any]) -> list[str]:
    parameters = ", ".join(f"{name}={value!r}" for name, value in record["parameters"].items())
    rows = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in record["rows_in"].items())
    dropped, assumed = (
        [f"  {count:,}: {what}" for what, count in record.get(part, {}).items()] for part in ("dropped", "assumed")
    )
    return [
        *([f"Parameters: {parameters}"] if parameters else []),
        *([f"As of: {record['as_of']}"] if record["as_of"] else []),
        *([f"Proxy: {record['proxy']}"] if record.get("proxy") else []),
        *([f"Rows in: {rows}"] if rows else []),
        *(["Left out:", *dropped] if dropped else ["Left out: nothing"]),
        *(["Assumed:", *assumed] if assumed else []),
        *_clusters(record.get("clusters", {})),
    ]


def _clusters(noted: dict[str, dict[str, Any]]) -> list[str]:
    """Say of each rate what belongs together, and how many independent trials that is worth."""
    told = [
        f"  {rate}: by {each['cluster']}, {each['n']:,} trials are worth {each['effective_n']:,.0f} independent ones "
        f"(design effect {each['design_effect']:.2f})"
        for rate, each in noted.items()
    ]
    return ["Intervals allow for trials that belong together:", *told] if told else []
