from .attachments import attached as attached
from .attempts import failures as failures
from .capacity import send_capacity as send_capacity
from .cohorts import cohort_matrix as cohort_matrix
from .collisions import overlaps as overlaps
from .conversations import call_outcomes as call_outcomes
from .counters import reconcile_counters as reconcile_counters
from .coverage import account_coverage as account_coverage, account_reach as account_reach
from .dashboards import dashboard_comparison as dashboard_comparison
from .delivery import deliverability as deliverability
from .effort import reply_effort as reply_effort
from .enrolments import enrolment_outcomes as enrolment_outcomes
from .experiments import ab_test as ab_test
from .flags import mailing_flags as mailing_flags
from .funnel import step_funnel as step_funnel
from .lags import schedule_lag as schedule_lag
from .leaderboards import leaderboard as leaderboard
from .mailboxes import mailbox_health as mailbox_health
from .meeting_calls import meetings as meetings
from .opens import first_opens as first_opens
from .opt_outs import compliance as compliance, prospect_opt_outs as prospect_opt_outs
from .outcomes import state_flow as state_flow
from .periods import compare_periods as compare_periods
from .pipeline import pipeline_attribution as pipeline_attribution
from .power import power_table as power_table
from .prospects import prospect_engagement as prospect_engagement
from .provenance import explain as explain
from .quality import data_quality as data_quality
from .rates import engagement as engagement
from .replies import automatic_replies as automatic_replies, reply_attribution as reply_attribution
from .send_times import send_time_heatmap as send_time_heatmap
from .sentiment import reply_sentiment as reply_sentiment
from .sequences import sequence_engagement as sequence_engagement
from .shrinkage import shrink_rates as shrink_rates
from .summaries import summarise as summarise
from .survival import (
    cumulative_incidence as cumulative_incidence,
    kaplan_meier as kaplan_meier,
    reply_within as reply_within,
    time_to_event as time_to_event,
)
from .suspects import suspect_engagement as suspect_engagement
from .tasks import task_completion as task_completion
from .workload import rep_activity as rep_activity
