from .ab_tests import ab_test as ab_test
from .calls import call_outcomes as call_outcomes, meetings as meetings
from .cohorts import cohort_matrix as cohort_matrix
from .coverage import account_coverage as account_coverage, account_reach as account_reach
from .dashboards import dashboard_comparison as dashboard_comparison
from .delivery import deliverability as deliverability
from .engagement_rates import engagement as engagement, sequence_engagement as sequence_engagement
from .enrollments import enrollment_outcomes as enrollment_outcomes, state_flow as state_flow
from .flags import mailing_flags as mailing_flags
from .funnel import step_funnel as step_funnel
from .leaderboards import leaderboard as leaderboard
from .mailboxes import (
    failures as failures,
    mailbox_health as mailbox_health,
    schedule_lag as schedule_lag,
    send_capacity as send_capacity,
)
from .opt_outs import opt_out_violations as opt_out_violations, prospect_opt_outs as prospect_opt_outs
from .periods import compare_periods as compare_periods
from .pipeline import pipeline_attribution as pipeline_attribution
from .power import power_table as power_table
from .prospects import overlaps as overlaps, prospect_engagement as prospect_engagement
from .provenance import attached as attached, explain as explain
from .quality import data_quality as data_quality, reconcile_counters as reconcile_counters
from .replies import (
    automatic_replies as automatic_replies,
    reply_attribution as reply_attribution,
    reply_effort as reply_effort,
    reply_sentiment as reply_sentiment,
)
from .reps import rep_activity as rep_activity, task_completion as task_completion
from .send_times import send_time_heatmap as send_time_heatmap
from .shrinkage import shrink_rates as shrink_rates
from .summaries import summarize as summarize
from .survival import (
    cumulative_incidence as cumulative_incidence,
    kaplan_meier as kaplan_meier,
    reply_within as reply_within,
    time_to_event as time_to_event,
)
from .suspects import first_opens as first_opens, suspect_engagement as suspect_engagement
from .trends import trend as trend
