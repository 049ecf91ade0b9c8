"""
Engagement statistics: frames in, frames out; nothing is fetched, drawn or read from the clock.

One rule for all: `mailings` (or the table whose rows are counted) comes first; every other argument is by keyword, and
frames are named as their tables. Rates are fractions in [0, 1] with their denominator (``_n``) and interval (``_lo``,
``_hi``); they are missing where the denominator is 0.

In place of its first frame, each takes a snapshot, a connection or frames by the names of their tables; frames that are
not given are then read from it, and ids have their names beside them. ``by=`` takes words: sequence, step, template,
rep, team, persona, industry, account, mailbox, week, month. ``since=``, ``until=``, ``period=`` and ``tz=`` choose what
is counted; `outreach_frames.stats._sources` says by which instants.

The examples read the tables of the sample in the repository: ``snapshot = of.open_snapshot("data/sample")``, then
``mailings = snapshot.frame("mailings")``, and so on.

===================  ================================================================================================
Subject              Functions
===================  ================================================================================================
Rates of mail        `engagement`, `sequence_engagement`, `mailing_flags`, `first_opens`, `suspect_engagement`
Replies              `reply_attribution`, `reply_effort`, `reply_sentiment`, `automatic_replies`
Time to a reply      `time_to_event`, `kaplan_meier`, `cumulative_incidence`, `reply_within`
Sequences            `step_funnel`, `enrollment_outcomes`, `state_flow`, `cohort_matrix`, `overlaps`
Tests of messages    `ab_test`, `power_table`
Rankings             `leaderboard`, `shrink_rates`
Periods and hours    `trend`, `compare_periods`, `send_time_heatmap`
Sending              `deliverability`, `mailbox_health`, `send_capacity`, `schedule_lag`, `failures`
Opt-outs             `prospect_opt_outs`, `opt_out_violations`
People and accounts  `prospect_engagement`, `account_coverage`, `account_reach`
Work and deals       `rep_activity`, `task_completion`, `call_outcomes`, `meetings`, `pipeline_attribution`
Checks of the data   `data_quality`, `reconcile_counters`, `dashboard_comparison`
Reading a result     `summarize`, `explain` (how it was made), `attached` (a second table of a result)
===================  ================================================================================================
"""

from typing import Any

import lazy_loader

from outreach_frames._renamed import with_old_names

_MODULES = {
    "ab_tests": ["ab_test"],
    "calls": ["call_outcomes", "meetings"],
    "cohorts": ["cohort_matrix"],
    "coverage": ["account_coverage", "account_reach"],
    "dashboards": ["dashboard_comparison"],
    "delivery": ["deliverability"],
    "engagement_rates": ["engagement", "sequence_engagement"],
    "enrollments": ["enrollment_outcomes", "state_flow"],
    "flags": ["mailing_flags"],
    "funnel": ["step_funnel"],
    "leaderboards": ["leaderboard"],
    "mailboxes": ["failures", "mailbox_health", "schedule_lag", "send_capacity"],
    "opt_outs": ["opt_out_violations", "prospect_opt_outs"],
    "periods": ["compare_periods"],
    "pipeline": ["pipeline_attribution"],
    "power": ["power_table"],
    "prospects": ["overlaps", "prospect_engagement"],
    "provenance": ["attached", "explain"],
    "quality": ["data_quality", "reconcile_counters"],
    "replies": ["automatic_replies", "reply_attribution", "reply_effort", "reply_sentiment"],
    "reps": ["rep_activity", "task_completion"],
    "send_times": ["send_time_heatmap"],
    "shrinkage": ["shrink_rates"],
    "summaries": ["summarize"],
    "survival": ["cumulative_incidence", "kaplan_meier", "reply_within", "time_to_event"],
    "suspects": ["first_opens", "suspect_engagement"],
    "trends": ["trend"],
}

_load, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs=_MODULES)


def _with_sources(name: str) -> Any:
    """Load a name; a statistic takes a source, periods and words to group by, which no module of it knows of."""
    loaded = _load(name)
    if name not in __all__:
        return loaded
    from outreach_frames.stats._sources import with_sources  # noqa: PLC0415  loads pandas

    globals()[name] = with_sources(loaded)  # in place of what the loader has kept under this name
    return globals()[name]


__getattr__ = with_old_names(
    __name__,
    _with_sources,
    {
        "compliance": "opt_out_violations",
        "enrolment_outcomes": "enrollment_outcomes",
        "summarise": "summarize",
    },
)
