"""
Engagement statistics: frames in, frames out; nothing is fetched, drawn or read from the clock.

Rates are fractions in [0, 1] and travel with their denominator (``_n``) and interval (``_lo``, ``_hi``); they are
missing where the denominator is 0. `explain` prints how a result was made.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outreach_frames.stats.attachments import attached
    from outreach_frames.stats.cohorts import cohort_matrix
    from outreach_frames.stats.collisions import overlaps
    from outreach_frames.stats.counters import reconcile_counters
    from outreach_frames.stats.coverage import account_coverage
    from outreach_frames.stats.delivery import deliverability
    from outreach_frames.stats.experiments import ab_test
    from outreach_frames.stats.flags import mailing_flags
    from outreach_frames.stats.funnel import step_funnel
    from outreach_frames.stats.leaderboards import leaderboard
    from outreach_frames.stats.mailboxes import mailbox_health
    from outreach_frames.stats.opt_outs import compliance
    from outreach_frames.stats.outcomes import state_flow
    from outreach_frames.stats.periods import compare_periods
    from outreach_frames.stats.pipeline import pipeline_attribution
    from outreach_frames.stats.power import power_table
    from outreach_frames.stats.prospects import prospect_engagement
    from outreach_frames.stats.provenance import explain
    from outreach_frames.stats.quality import data_quality
    from outreach_frames.stats.rates import engagement, sequence_engagement
    from outreach_frames.stats.replies import reply_attribution
    from outreach_frames.stats.send_times import send_time_heatmap
    from outreach_frames.stats.shrinkage import shrink_rates
    from outreach_frames.stats.summaries import summarise
    from outreach_frames.stats.survival import cumulative_incidence, kaplan_meier, reply_within, time_to_event
    from outreach_frames.stats.suspects import suspect_engagement
    from outreach_frames.stats.workload import rep_activity

_HOME = {
    "ab_test": "experiments",
    "account_coverage": "coverage",
    "attached": "attachments",
    "cohort_matrix": "cohorts",
    "compare_periods": "periods",
    "compliance": "opt_outs",
    "cumulative_incidence": "survival",
    "data_quality": "quality",
    "deliverability": "delivery",
    "engagement": "rates",
    "explain": "provenance",
    "kaplan_meier": "survival",
    "leaderboard": "leaderboards",
    "mailbox_health": "mailboxes",
    "mailing_flags": "flags",
    "overlaps": "collisions",
    "pipeline_attribution": "pipeline",
    "power_table": "power",
    "prospect_engagement": "prospects",
    "reconcile_counters": "counters",
    "rep_activity": "workload",
    "reply_attribution": "replies",
    "reply_within": "survival",
    "send_time_heatmap": "send_times",
    "sequence_engagement": "rates",
    "shrink_rates": "shrinkage",
    "state_flow": "outcomes",
    "step_funnel": "funnel",
    "summarise": "summaries",
    "suspect_engagement": "suspects",
    "time_to_event": "survival",
}
"""Which module a name lives in; loaded when the name is first used, since SciPy takes half a second."""

__all__ = [
    "ab_test",
    "account_coverage",
    "attached",
    "cohort_matrix",
    "compare_periods",
    "compliance",
    "cumulative_incidence",
    "data_quality",
    "deliverability",
    "engagement",
    "explain",
    "kaplan_meier",
    "leaderboard",
    "mailbox_health",
    "mailing_flags",
    "overlaps",
    "pipeline_attribution",
    "power_table",
    "prospect_engagement",
    "reconcile_counters",
    "rep_activity",
    "reply_attribution",
    "reply_within",
    "send_time_heatmap",
    "sequence_engagement",
    "shrink_rates",
    "state_flow",
    "step_funnel",
    "summarise",
    "suspect_engagement",
    "time_to_event",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
