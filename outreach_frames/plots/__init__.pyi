from ._theme import theme as theme
from .ab_test import plot_ab_test as plot_ab_test
from .account_coverage import plot_account_coverage as plot_account_coverage
from .compare_periods import plot_compare_periods as plot_compare_periods
from .cumulative_incidence import (
    plot_cohort_matrix as plot_cohort_matrix,
    plot_cumulative_incidence as plot_cumulative_incidence,
)
from .deliverability import plot_deliverability as plot_deliverability
from .pipeline_attribution import plot_pipeline_attribution as plot_pipeline_attribution
from .rates import plot_leaderboard as plot_leaderboard, plot_rates as plot_rates
from .reconcile_counters import plot_reconcile_counters as plot_reconcile_counters
from .rep_activity import plot_rep_activity as plot_rep_activity
from .send_time_heatmap import plot_send_time_heatmap as plot_send_time_heatmap
from .state_flow import plot_state_flow as plot_state_flow
from .step_funnel import plot_step_funnel as plot_step_funnel
from .trend import plot_trend as plot_trend
