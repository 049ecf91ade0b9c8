"""What a result was made of, in words."""

from typing import Any

from outreach_frames.errors import DataError
from outreach_frames.stats._call import record_of

DEFINITIONS = {
    "delivery_rate": "delivered / sent (sent = delivered + bounced; what failed or waits was not sent)",
    "bounce_rate": "bounced / sent (a bounce that was answered is none, unless bounce_policy says otherwise)",
    "failure_rate": "failed and not sent / (failed and not sent + sent)",
    "spam_rate": "marked as spam / delivered (a floor: only some providers report it)",
    "open_rate": "opened mailings / delivered mailings with open tracking (machine opens included; low trust)",
    "click_rate": "clicked mailings / delivered mailings with click tracking (anyone's clicks, scanners included)",
    "click_to_open_rate": "opened and clicked / opened with click tracking (machine opens included; low trust)",
    "reply_rate": "replied mailings / delivered mailings",
    "opt_out_rate": "mailings whose link was used to opt out / delivered mailings (manual opt-outs not counted)",
    "prospect_reply_rate": "prospects who replied / prospects with a delivered mailing (mail to nobody known left out)",
    "enrolment_reply_rate": "enrolments with a reply / enrolments with a delivered mailing (one-off mail left out)",
    "hazard": "first replies / enrolments still at risk when the step reached them",
    "hours_to_reply_median": "median hours from delivery to reply, among replies only; not how long a reply takes",
    "cumulative_reply": "1 − Π(1 − hazard) over the mail steps so far",
    "survival": "Kaplan–Meier: share without the event, as if other outcomes had been cut short",
    "cif_reply": "Aalen–Johansen: share that has replied, opt-outs and bounces being final",
    "cif_opt_out": "Aalen–Johansen: share that has opted out, replies and bounces being final",
    "cif_bounce": "Aalen–Johansen: share that has bounced, replies and opt-outs being final",
    "shrunk": "rate drawn towards the pooled rate by an empirical-Bayes beta-binomial prior",
    "coverage": "prospects contacted / prospects known in the account",
    "connect_rate": "outbound calls answered / outbound calls dialled",
    "task_completion_rate": "tasks completed / tasks due by now (tasks without a due date left out)",
    "task_on_time_rate": "tasks completed by their due date / tasks completed that had one",
    "touches": "delivered mailings + outbound calls dialled + other tasks completed",
    "z_vs_baseline": "standard errors by which the bounce rate lies above that of the baseline",
    "cohort_matrix.rate": "enrolments with a first event within so many weeks / all enrolments of the cohort",
    "state_flow.share": "enrolments in the bucket / enrolments of the sequence",
}
"""Numerator, denominator and what is not counted, by column; with the function where a name means several things."""


def explain(frame: Any) -> None:
    """
    Print how a result was made: function, parameters, rows left out and why, definitions of its columns.

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
    lines = [
        f"{record['function']} (outreach_frames {record['version']})",
        *_facts(record),
        *(f"  {name} = {definition}" for name, definition in meant.items() if definition),
    ]
    return "\n".join(lines)


def _facts(record: dict[str, Any]) -> list[str]:
    parameters = ", ".join(f"{name}={value!r}" for name, value in record["parameters"].items())
    rows = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in record["rows_in"].items())
    dropped = [f"  {count:,}: {reason}" for reason, count in record["dropped"].items()]
    return [
        *([f"Parameters: {parameters}"] if parameters else []),
        *([f"As of: {record['as_of']}"] if record["as_of"] else []),
        *([f"Rows in: {rows}"] if rows else []),
        *(["Left out:", *dropped] if dropped else ["Left out: nothing"]),
        "Definitions:",
    ]
