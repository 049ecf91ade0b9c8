"""Types of the statistics; made by ``python tools/build_stats_stub.py``."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, overload

import numpy.typing as npt
import pandas as pd
from narwhals.typing import IntoFrameT

from outreach_frames.client import Client
from outreach_frames.snapshots import Snapshot
from outreach_frames.stats._timestamps import Instant
from outreach_frames.stats.intervals import Counts
from outreach_frames.stats.periods import Period
from outreach_frames.stats.shrinkage import PriorChoice
from outreach_frames.stats.summaries import Summary

__all__ = [
    "ab_test",
    "account_coverage",
    "account_reach",
    "attached",
    "automatic_replies",
    "call_outcomes",
    "cohort_matrix",
    "compare_periods",
    "cumulative_incidence",
    "dashboard_comparison",
    "data_quality",
    "deliverability",
    "engagement",
    "enrollment_outcomes",
    "explain",
    "failures",
    "first_opens",
    "kaplan_meier",
    "leaderboard",
    "mailbox_health",
    "mailing_flags",
    "meetings",
    "opt_out_violations",
    "overlaps",
    "pipeline_attribution",
    "power_table",
    "prospect_engagement",
    "prospect_opt_outs",
    "reconcile_counters",
    "rep_activity",
    "reply_attribution",
    "reply_effort",
    "reply_sentiment",
    "reply_within",
    "schedule_lag",
    "send_capacity",
    "send_time_heatmap",
    "sequence_engagement",
    "shrink_rates",
    "state_flow",
    "step_funnel",
    "summarize",
    "suspect_engagement",
    "task_completion",
    "time_to_event",
    "trend",
]

Source: TypeAlias = Snapshot | Client | Mapping[str, pd.DataFrame]

@overload
def ab_test(
    mailings: Source,
    *,
    sequence_templates: pd.DataFrame | None = None,
    templates: pd.DataFrame | None = None,
    metric: str = "reply_rate",
    prior: str | tuple[float, float] = "empirical",
    tau: float | None = None,
    planned_n: int | None = None,
    detectable: float = 0.02,
    overlap_only: bool = True,
    cluster: str | None = "auto",
    ci: float = 0.95,
    bounce_policy: str = "reply_wins",
    as_of: Instant | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame: ...
@overload
def ab_test(
    mailings: pd.DataFrame,
    *,
    sequence_templates: pd.DataFrame,
    templates: pd.DataFrame | None = None,
    metric: str = "reply_rate",
    prior: str | tuple[float, float] = "empirical",
    tau: float | None = None,
    planned_n: int | None = None,
    detectable: float = 0.02,
    overlap_only: bool = True,
    cluster: str | None = "auto",
    ci: float = 0.95,
    bounce_policy: str = "reply_wins",
    as_of: Instant | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame:
    """Compare the templates of each step that has several."""

@overload
def account_coverage(
    mailings: Source,
    *,
    accounts: pd.DataFrame | None = None,
    prospects: pd.DataFrame | None = None,
    calls: pd.DataFrame | None = None,
    named_only: bool = False,
    bounce_policy: str = "reply_wins",
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame: ...
@overload
def account_coverage(
    mailings: IntoFrameT,
    *,
    accounts: IntoFrameT,
    prospects: IntoFrameT,
    calls: IntoFrameT | None = None,
    named_only: bool = False,
    bounce_policy: str = "reply_wins",
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> IntoFrameT:
    """Count the people of each account who are known, contacted, have replied, have opted out."""

@overload
def account_reach(
    mailings: Source,
    *,
    accounts: pd.DataFrame | None = None,
    prospects: pd.DataFrame | None = None,
    calls: pd.DataFrame | None = None,
    by: str | Sequence[str] | None = "owner_id",
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame: ...
@overload
def account_reach(
    mailings: IntoFrameT,
    *,
    accounts: IntoFrameT,
    prospects: IntoFrameT,
    calls: IntoFrameT | None = None,
    by: str | Sequence[str] | None = "owner_id",
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> IntoFrameT:
    """Count the accounts that were touched and those that answered, by owner or segment."""

def attached(result: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return a table that came with a result."""

@overload
def automatic_replies(
    mailings: Source,
    *,
    sequence_states: pd.DataFrame | None = None,
    bounce_policy: str = "reply_wins",
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame: ...
@overload
def automatic_replies(
    mailings: IntoFrameT,
    *,
    sequence_states: IntoFrameT,
    bounce_policy: str = "reply_wins",
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> IntoFrameT:
    """List the replies that look automatic: to a paused enrollment, within five minutes of delivery."""

@overload
def call_outcomes(
    calls: Source,
    *,
    by: str | Sequence[str] | None = "user_id",
    tz: str = "UTC",
    ci: float = 0.95,
    cluster: str | None = "auto",
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
) -> pd.DataFrame: ...
@overload
def call_outcomes(
    calls: IntoFrameT,
    *,
    by: str | Sequence[str] | None = "user_id",
    tz: str = "UTC",
    ci: float = 0.95,
    cluster: str | None = "auto",
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
) -> IntoFrameT:
    """Count outbound calls: dialed, answered, and the time talked."""

@overload
def cohort_matrix(
    mailings: Source,
    *,
    sequence_states: pd.DataFrame | None = None,
    calls: pd.DataFrame | None = None,
    call_dispositions: pd.DataFrame | None = None,
    mailbox_health: pd.DataFrame | None = None,
    event: str = "reply",
    weeks: int = 8,
    tz: str = "UTC",
    meeting_words: str | Sequence[str] = ...,
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
) -> pd.DataFrame: ...
@overload
def cohort_matrix(
    mailings: IntoFrameT,
    *,
    sequence_states: IntoFrameT,
    calls: IntoFrameT | None = None,
    call_dispositions: IntoFrameT | None = None,
    mailbox_health: pd.DataFrame | None = None,
    event: str = "reply",
    weeks: int = 8,
    tz: str = "UTC",
    meeting_words: str | Sequence[str] = ...,
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
) -> IntoFrameT:
    """Follow enrollments by the week they were created in."""

@overload
def compare_periods(
    frame: Source,
    *,
    statistic: Callable[..., pd.DataFrame],
    a: Period,
    b: Period,
    by: str | Sequence[str],
    metric: str = "reply_rate",
    on: str | None = None,
    mature_d: float = ...,
    tz: str = "UTC",
    ci: float = 0.95,
    as_of: Instant | None = None,
    **parameters: Any,
) -> pd.DataFrame: ...
@overload
def compare_periods(
    frame: pd.DataFrame,
    *,
    statistic: Callable[..., pd.DataFrame],
    a: Period,
    b: Period,
    by: str | Sequence[str],
    metric: str = "reply_rate",
    on: str | None = None,
    mature_d: float = ...,
    tz: str = "UTC",
    ci: float = 0.95,
    as_of: Instant | None = None,
    **parameters: Any,
) -> pd.DataFrame:
    """Compare a rate by group in two periods, and split the change of the total into rate and mix."""

def cumulative_incidence(
    durations: Any,
    *,
    by: str | Sequence[str] | None = None,
    horizon_d: float | None = None,
    ci: float = 0.95,
    cluster: str | None = "auto",
) -> pd.DataFrame:
    """Estimate the share with each outcome over time, the others being final (Aalen–Johansen)."""

@overload
def dashboard_comparison(
    mailings: Source,
    *,
    sequences: pd.DataFrame | None = None,
    sequence_states: pd.DataFrame | None = None,
    bounce_policy: str = "reply_wins",
    as_of: Instant | None = None,
) -> pd.DataFrame: ...
@overload
def dashboard_comparison(
    mailings: pd.DataFrame,
    *,
    sequences: pd.DataFrame | None = None,
    sequence_states: pd.DataFrame | None = None,
    bounce_policy: str = "reply_wins",
    as_of: Instant | None = None,
) -> pd.DataFrame:
    """Explain the difference between the rates of Outreach's dashboard and those of `engagement`, one change at a time."""

def data_quality(frames: Any, *, as_of: Instant | None = None) -> pd.DataFrame:
    """Check the data for everything that bends a statistic, and for contradictions."""

@overload
def deliverability(
    mailings: Source,
    *,
    mailboxes: pd.DataFrame | None = None,
    prospects: pd.DataFrame | None = None,
    email_addresses: pd.DataFrame | None = None,
    by: str = "mailbox_id",
    thresholds: Mapping[str, tuple[float, float]] | None = None,
    min_n: int = 20,
    baseline_weeks: int = 8,
    tz: str = "UTC",
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    cluster: str | None = "auto",
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
) -> pd.DataFrame: ...
@overload
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
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
) -> IntoFrameT:
    """Measure how well mail arrives, by mailbox and week or by the recipients' domain."""

@overload
def engagement(
    mailings: Source,
    *,
    by: str | Sequence[str] | None = None,
    include_unsequenced: bool = False,
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    tz: str = "UTC",
    email_addresses: pd.DataFrame | None = None,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
) -> pd.DataFrame: ...
@overload
def engagement(
    mailings: IntoFrameT,
    *,
    by: str | Sequence[str] | None = None,
    include_unsequenced: bool = False,
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    tz: str = "UTC",
    email_addresses: IntoFrameT | None = None,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
) -> IntoFrameT:
    """Count mailings and their outcomes, with rates and intervals, over all mail or by group."""

@overload
def enrollment_outcomes(
    mailings: Source,
    *,
    sequence_states: pd.DataFrame | None = None,
    sequences: pd.DataFrame | None = None,
    sequence_steps: pd.DataFrame | None = None,
    calls: pd.DataFrame | None = None,
    tasks: pd.DataFrame | None = None,
    by: str | Sequence[str] | None = "sequence_id",
    stuck_after_waits: float = 2,
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame: ...
@overload
def enrollment_outcomes(
    mailings: IntoFrameT,
    *,
    sequence_states: IntoFrameT,
    sequences: IntoFrameT | None = None,
    sequence_steps: IntoFrameT | None = None,
    calls: IntoFrameT | None = None,
    tasks: IntoFrameT | None = None,
    by: str | Sequence[str] | None = "sequence_id",
    stuck_after_waits: float = 2,
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> IntoFrameT:
    """Count the enrollments that came to an end, got stuck, came again, or met another one."""

def explain(frame: Any) -> None:
    """Print how a result was made: function, parameters, rows left out and why, what was assumed of rows, definitions."""

@overload
def failures(
    mailings: Source,
    *,
    by: str | Sequence[str] | None = ...,
    ci: float = 0.95,
    cluster: str | None = "auto",
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame: ...
@overload
def failures(
    mailings: IntoFrameT,
    *,
    by: str | Sequence[str] | None = ...,
    ci: float = 0.95,
    cluster: str | None = "auto",
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> IntoFrameT:
    """Count mail that failed, by reason, mailbox, user, sequence or any other columns."""

@overload
def first_opens(
    mailings: Source,
    *,
    events: pd.DataFrame | None = None,
    open_events: Sequence[str] = ...,
    bounce_policy: str = "reply_wins",
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame: ...
@overload
def first_opens(
    mailings: IntoFrameT,
    *,
    events: IntoFrameT | None = None,
    open_events: Sequence[str] = ...,
    bounce_policy: str = "reply_wins",
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> IntoFrameT:
    """Date the first open of each opened mailing, and tell whether that date is exact or the latest it can be."""

def kaplan_meier(
    durations: Any,
    *,
    event: str = "reply",
    by: str | Sequence[str] | None = None,
    ci: float = 0.95,
    cluster: str | None = "auto",
) -> pd.DataFrame:
    """Estimate the share without an event over time, other outcomes cut short (Kaplan–Meier)."""

@overload
def leaderboard(
    mailings: Source,
    *,
    users: pd.DataFrame | None = None,
    mailboxes: pd.DataFrame | None = None,
    sequences: pd.DataFrame | None = None,
    templates: pd.DataFrame | None = None,
    by: str = "user_id",
    metric: str = "reply_rate",
    alias: Mapping[int, int] | None = None,
    prior: PriorChoice = "integrated",
    seed: int = 0,
    mature_d: float = ...,
    ci: float = 0.95,
    cluster: str | None = "auto",
    bounce_policy: str = "reply_wins",
    allow_low_trust: bool = False,
    as_of: Instant | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame: ...
@overload
def leaderboard(
    mailings: pd.DataFrame,
    *,
    users: pd.DataFrame | None = None,
    mailboxes: pd.DataFrame | None = None,
    sequences: pd.DataFrame | None = None,
    templates: pd.DataFrame | None = None,
    by: str = "user_id",
    metric: str = "reply_rate",
    alias: Mapping[int, int] | None = None,
    prior: PriorChoice = "integrated",
    seed: int = 0,
    mature_d: float = ...,
    ci: float = 0.95,
    cluster: str | None = "auto",
    bounce_policy: str = "reply_wins",
    allow_low_trust: bool = False,
    as_of: Instant | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame:
    """Rank users, mailboxes, sequences or templates by a shrunk rate."""

@overload
def mailbox_health(
    mailings: Source,
    *,
    mailboxes: pd.DataFrame | None = None,
    stale_h: float = 24,
    tz: str = "UTC",
    as_of: Instant | None = None,
) -> pd.DataFrame: ...
@overload
def mailbox_health(
    mailings: pd.DataFrame,
    *,
    mailboxes: pd.DataFrame,
    stale_h: float = 24,
    tz: str = "UTC",
    as_of: Instant | None = None,
) -> pd.DataFrame:
    """Report for each mailbox whether it sends and synchronizes, and since when it is blind."""

@overload
def mailing_flags(
    mailings: Source,
    *,
    bounce_policy: str = "reply_wins",
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame: ...
@overload
def mailing_flags(
    mailings: IntoFrameT,
    *,
    bounce_policy: str = "reply_wins",
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> IntoFrameT:
    """Work out the flags of each mailing."""

@overload
def meetings(
    mailings: Source,
    *,
    sequence_states: pd.DataFrame | None = None,
    calls: pd.DataFrame | None = None,
    call_dispositions: pd.DataFrame | None = None,
    by: str | Sequence[str] | None = "sequence_id",
    within_d: float = 30,
    meeting_words: str | Sequence[str] = ...,
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame: ...
@overload
def meetings(
    mailings: IntoFrameT,
    *,
    sequence_states: IntoFrameT,
    calls: IntoFrameT,
    call_dispositions: IntoFrameT | None = None,
    by: str | Sequence[str] | None = "sequence_id",
    within_d: float = 30,
    meeting_words: str | Sequence[str] = ...,
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> IntoFrameT:
    """Count the enrollments that led to a meeting, by proxy: a call whose disposition or tag says so."""

@overload
def opt_out_violations(
    mailings: Source,
    *,
    prospects: pd.DataFrame | None = None,
    sequences: pd.DataFrame | None = None,
    grace_h: float = 0,
    bounce_policy: str = "reply_wins",
    as_of: Instant | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame: ...
@overload
def opt_out_violations(
    mailings: pd.DataFrame,
    *,
    prospects: pd.DataFrame,
    sequences: pd.DataFrame,
    grace_h: float = 0,
    bounce_policy: str = "reply_wins",
    as_of: Instant | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame:
    """List the mailings delivered to people after they had opted out."""

@overload
def overlaps(
    mailings: Source,
    *,
    sequence_states: pd.DataFrame | None = None,
    window_d: float = 7,
    max_mailings: int = 4,
    bounce_policy: str = "reply_wins",
    as_of: Instant | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame: ...
@overload
def overlaps(
    mailings: pd.DataFrame,
    *,
    sequence_states: pd.DataFrame,
    window_d: float = 7,
    max_mailings: int = 4,
    bounce_policy: str = "reply_wins",
    as_of: Instant | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame:
    """Count each person's open enrollments, and the most mailings they got within any few days."""

@overload
def pipeline_attribution(
    mailings: Source,
    *,
    opportunities: pd.DataFrame | None = None,
    opportunity_prospect_roles: pd.DataFrame | None = None,
    calls: pd.DataFrame | None = None,
    opportunity_stages: pd.DataFrame | None = None,
    prospects: pd.DataFrame | None = None,
    by: str = "sequence_id",
    window_d: float = 30,
    models: str | Sequence[str] = ...,
    link: str = "roles",
    half_life_d: float = 7,
    bounce_policy: str = "reply_wins",
    as_of: Instant | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame: ...
@overload
def pipeline_attribution(
    mailings: pd.DataFrame,
    *,
    opportunities: pd.DataFrame,
    opportunity_prospect_roles: pd.DataFrame,
    calls: pd.DataFrame | None = None,
    opportunity_stages: pd.DataFrame | None = None,
    prospects: pd.DataFrame | None = None,
    by: str = "sequence_id",
    window_d: float = 30,
    models: str | Sequence[str] = ...,
    link: str = "roles",
    half_life_d: float = 7,
    bounce_policy: str = "reply_wins",
    as_of: Instant | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame:
    """Credit opportunities to the touches before them, under several models."""

def power_table(
    baselines: float | Sequence[float] = ...,
    *,
    differences: float | Sequence[float] = ...,
    arms: int = 2,
    per_day: float | None = None,
    power: float = 0.8,
    ci: float = 0.95,
    sequential: bool = True,
) -> pd.DataFrame:
    """Tabulate how many enrollments each variant needs, and how many days that takes."""

@overload
def prospect_engagement(
    mailings: Source,
    *,
    prospects: pd.DataFrame | None = None,
    calls: pd.DataFrame | None = None,
    tasks: pd.DataFrame | None = None,
    default_tz: str = "UTC",
    bounce_policy: str = "reply_wins",
    email_addresses: pd.DataFrame | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame: ...
@overload
def prospect_engagement(
    mailings: IntoFrameT,
    *,
    prospects: IntoFrameT,
    calls: IntoFrameT | None = None,
    tasks: IntoFrameT | None = None,
    default_tz: str = "UTC",
    bounce_policy: str = "reply_wins",
    email_addresses: IntoFrameT | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> IntoFrameT:
    """Measure engagement by person; people without mail stay."""

@overload
def prospect_opt_outs(
    mailings: Source,
    *,
    prospects: pd.DataFrame | None = None,
    calls: pd.DataFrame | None = None,
    by: str | Sequence[str] | None = "sequence_id",
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame: ...
@overload
def prospect_opt_outs(
    mailings: IntoFrameT,
    *,
    prospects: IntoFrameT,
    calls: IntoFrameT | None = None,
    by: str | Sequence[str] | None = "sequence_id",
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> IntoFrameT:
    """Count the people who opted out after they had been contacted, by whatever way."""

@overload
def reconcile_counters(
    mailings: Source,
    *,
    sequences: pd.DataFrame | None = None,
    sequence_steps: pd.DataFrame | None = None,
    templates: pd.DataFrame | None = None,
    sequence_states: pd.DataFrame | None = None,
    prospects: pd.DataFrame | None = None,
    bounce_policy: str = "reply_wins",
) -> pd.DataFrame: ...
@overload
def reconcile_counters(
    mailings: pd.DataFrame,
    *,
    sequences: pd.DataFrame | None = None,
    sequence_steps: pd.DataFrame | None = None,
    templates: pd.DataFrame | None = None,
    sequence_states: pd.DataFrame | None = None,
    prospects: pd.DataFrame | None = None,
    bounce_policy: str = "reply_wins",
) -> pd.DataFrame:
    """Compare the counters of sequences, steps, templates, enrollments or prospects with their mailings."""

@overload
def rep_activity(
    mailings: Source,
    *,
    users: pd.DataFrame | None = None,
    calls: pd.DataFrame | None = None,
    tasks: pd.DataFrame | None = None,
    sequence_states: pd.DataFrame | None = None,
    sequences: pd.DataFrame | None = None,
    tz: str = "UTC",
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
) -> pd.DataFrame: ...
@overload
def rep_activity(
    mailings: IntoFrameT,
    *,
    users: IntoFrameT,
    calls: IntoFrameT | None = None,
    tasks: IntoFrameT | None = None,
    sequence_states: IntoFrameT | None = None,
    sequences: IntoFrameT | None = None,
    tz: str = "UTC",
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
) -> IntoFrameT:
    """Count what each user did in each week: touches by channel, conversations, tasks kept and left, enrollments."""

@overload
def reply_attribution(
    mailings: Source,
    *,
    bounce_policy: str = "reply_wins",
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame: ...
@overload
def reply_attribution(
    mailings: pd.DataFrame,
    *,
    bounce_policy: str = "reply_wins",
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame:
    """Credit each reply to a step, by three rules."""

@overload
def reply_effort(
    mailings: Source,
    *,
    calls: pd.DataFrame | None = None,
    by: str | Sequence[str] | None = None,
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    resamples: int = ...,
    seed: int = 0,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame: ...
@overload
def reply_effort(
    mailings: pd.DataFrame,
    *,
    calls: pd.DataFrame | None = None,
    by: str | Sequence[str] | None = None,
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    resamples: int = ...,
    seed: int = 0,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame:
    """Measure the hours from mail to its answer, and the touches that an enrollment's first answer took."""

@overload
def reply_sentiment(objects: Source, *, resource: str = "sequences", ci: float = 0.95) -> pd.DataFrame: ...
@overload
def reply_sentiment(objects: IntoFrameT, *, resource: str = "sequences", ci: float = 0.95) -> IntoFrameT:
    """Compute the share of positive replies, of those classified and of all mail delivered."""

def reply_within(
    durations: Any,
    *,
    days: float | Sequence[float] = (3, 7, 14, 30),
    by: str | Sequence[str] | None = None,
    ci: float = 0.95,
    cluster: str | None = "auto",
) -> pd.DataFrame:
    """Estimate the share that has replied within so many days, recent enrollments included (Aalen–Johansen)."""

@overload
def schedule_lag(
    mailings: Source,
    *,
    by: str | Sequence[str] | None = "mailbox_id",
    ci: float = 0.95,
    resamples: int = ...,
    seed: int = 0,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame: ...
@overload
def schedule_lag(
    mailings: pd.DataFrame,
    *,
    by: str | Sequence[str] | None = "mailbox_id",
    ci: float = 0.95,
    resamples: int = ...,
    seed: int = 0,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame:
    """Measure how long after its time mail was delivered, by mailbox or any other columns."""

@overload
def send_capacity(
    mailings: Source,
    *,
    mailboxes: pd.DataFrame | None = None,
    by: str = "day",
    tz: str = "UTC",
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
) -> pd.DataFrame: ...
@overload
def send_capacity(
    mailings: IntoFrameT,
    *,
    mailboxes: IntoFrameT,
    by: str = "day",
    tz: str = "UTC",
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
) -> IntoFrameT:
    """Divide what each mailbox sent on a day, or in a week, by its limit."""

@overload
def send_time_heatmap(
    mailings: Source,
    *,
    prospects: pd.DataFrame | None = None,
    users: pd.DataFrame | None = None,
    clock: str = "prospect",
    default_tz: str = "UTC",
    metric: str = "reply_rate",
    min_n: int = 30,
    prior: PriorChoice = "integrated",
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    cluster: str | None = "auto",
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame: ...
@overload
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
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> IntoFrameT:
    """Count delivered mail by local weekday and hour of delivery, with the rate at which it was answered."""

@overload
def sequence_engagement(
    mailings: Source,
    *,
    sequences: pd.DataFrame | None = None,
    sequence_states: pd.DataFrame | None = None,
    calls: pd.DataFrame | None = None,
    tasks: pd.DataFrame | None = None,
    alias: Mapping[int, int] | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    email_addresses: pd.DataFrame | None = None,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame: ...
@overload
def sequence_engagement(
    mailings: IntoFrameT,
    *,
    sequences: IntoFrameT,
    sequence_states: IntoFrameT | None = None,
    calls: IntoFrameT | None = None,
    tasks: IntoFrameT | None = None,
    alias: Mapping[int, int] | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    email_addresses: IntoFrameT | None = None,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> IntoFrameT:
    """Measure engagement by sequence; sequences without mail stay, with missing rates."""

def shrink_rates(
    successes: Counts,
    *,
    trials: Counts,
    prior: PriorChoice = "integrated",
    ci: float = 0.95,
    design_effect: npt.ArrayLike = 1.0,
) -> pd.DataFrame:
    """Shrink rates of groups toward the rate of all, the more the fewer trials a group has."""

@overload
def state_flow(
    mailings: Source,
    *,
    sequence_states: pd.DataFrame | None = None,
    earlier_sequence_states: pd.DataFrame | None = None,
    ooto_prefix: str = "ooto",
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame: ...
@overload
def state_flow(
    mailings: IntoFrameT,
    *,
    sequence_states: IntoFrameT,
    earlier_sequence_states: IntoFrameT | None = None,
    ooto_prefix: str = "ooto",
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> IntoFrameT:
    """Count enrollments by sequence and by where they stand."""

@overload
def step_funnel(
    mailings: Source,
    *,
    sequence_steps: pd.DataFrame | None = None,
    calls: pd.DataFrame | None = None,
    tasks: pd.DataFrame | None = None,
    attribution: str = "direct",
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame: ...
@overload
def step_funnel(
    mailings: IntoFrameT,
    *,
    sequence_steps: IntoFrameT,
    calls: IntoFrameT | None = None,
    tasks: IntoFrameT | None = None,
    attribution: str = "direct",
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> IntoFrameT:
    """Follow enrollments down the steps of their sequence: who was reached, who was still at risk, who answered."""

def summarize(frames: Any, *, ci: float = 0.95, cluster: str | None = "auto", as_of: Instant | None = None) -> Summary:
    """Summarize an organization: its headline numbers, with intervals, definitions and caveats."""

@overload
def suspect_engagement(
    mailings: Source,
    *,
    events: pd.DataFrame | None = None,
    fast_s: float = ...,
    burst_n: int = 5,
    together_s: float = 2,
    email_addresses: pd.DataFrame | None = None,
    open_events: Sequence[str] = ...,
    click_events: Sequence[str] = ...,
    ci: float = 0.95,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame: ...
@overload
def suspect_engagement(
    mailings: pd.DataFrame,
    *,
    events: pd.DataFrame | None = None,
    fast_s: float = ...,
    burst_n: int = 5,
    together_s: float = 2,
    email_addresses: pd.DataFrame | None = None,
    open_events: Sequence[str] = ...,
    click_events: Sequence[str] = ...,
    ci: float = 0.95,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame:
    """Mark the mailings whose opens or clicks look like a machine's, and bound the open rate."""

@overload
def task_completion(
    tasks: Source,
    *,
    by: str | Sequence[str] | None = ("owner_id", "task_type"),
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame: ...
@overload
def task_completion(
    tasks: IntoFrameT,
    *,
    by: str | Sequence[str] | None = ("owner_id", "task_type"),
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> IntoFrameT:
    """Count the tasks that were due: completed, completed in time, still open."""

@overload
def time_to_event(
    mailings: Source,
    *,
    sequence_states: pd.DataFrame | None = None,
    by: str | Sequence[str] | None = None,
    as_of: Instant | None = None,
    bounce_policy: str = "reply_wins",
    origin: str = "first_send",
    cluster: str | None = "auto",
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> pd.DataFrame: ...
@overload
def time_to_event(
    mailings: IntoFrameT,
    *,
    sequence_states: IntoFrameT | None = None,
    by: str | Sequence[str] | None = None,
    as_of: Instant | None = None,
    bounce_policy: str = "reply_wins",
    origin: str = "first_send",
    cluster: str | None = "auto",
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
    tz: str = "UTC",
) -> IntoFrameT:
    """Find each enrollment's first outcome and the time it took."""

@overload
def trend(
    mailings: Source,
    *,
    calls: pd.DataFrame | None = None,
    call_dispositions: pd.DataFrame | None = None,
    metric: str = "reply_rate",
    by: str = "week",
    mature_d: float = ...,
    meeting_words: str | Sequence[str] = ...,
    tz: str = "UTC",
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
) -> pd.DataFrame: ...
@overload
def trend(
    mailings: pd.DataFrame,
    *,
    calls: pd.DataFrame | None = None,
    call_dispositions: pd.DataFrame | None = None,
    metric: str = "reply_rate",
    by: str = "week",
    mature_d: float = ...,
    meeting_words: str | Sequence[str] = ...,
    tz: str = "UTC",
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    period: str | pd.Period | None = None,
) -> pd.DataFrame:
    """Follow a rate of `engagement`, or the number of meetings, from period to period."""
