"""Every public function shows an example, and every example gives what its docstring says."""

import doctest
import inspect
import re
import warnings
from pathlib import Path

import pytest

import outreach_frames as of
from outreach_frames import compliance, patterns, plots, stats, webhooks, widgets

SAMPLE = Path(__file__).resolve().parents[1] / "data" / "sample"
MODULES = [of, stats, plots, patterns, webhooks, widgets, compliance]
FUNCTIONS = {
    f"{module.__name__.removeprefix('outreach_frames.')}.{name}": function
    for module in MODULES
    for name in module.__all__
    if inspect.isroutine(function := getattr(module, name))
}
"""The public functions by their names, as ``outreach_frames.fetch`` and ``stats.engagement``."""

MISSING = {
    "outreach_frames": "between connect connect_jsonapi connect_server count export fetch fetch_accounts fetch_batches "
    "fetch_calls fetch_compliance_requests fetch_events fetch_mailboxes fetch_mailings fetch_one "
    "fetch_opportunities fetch_personas fetch_prospects fetch_rulesets fetch_sequence_states "
    "fetch_sequence_steps fetch_sequence_templates fetch_sequences fetch_snippets fetch_stages fetch_tables "
    "fetch_tasks fetch_teams fetch_templates fetch_users fetch_webhooks open_snapshot read_jsonapi ref show "
    "take_snapshot write_frame",
    "compliance": "request_deletion status wait",
    "patterns": "add_account create_sequence delivery_statistics enroll finish invite_user log_call open_tasks pause "
    "recent_events resume save_snippet save_template subscribe unsubscribe",
    "plots": "plot_ab_test plot_account_coverage plot_cohort_matrix plot_compare_periods plot_cumulative_incidence "
    "plot_deliverability plot_leaderboard plot_pipeline_attribution plot_rates plot_reconcile_counters "
    "plot_rep_activity plot_send_time_heatmap plot_state_flow plot_step_funnel theme",
    "webhooks": "parse read receiver verify",
    "widgets": "draw_timeline",
}
"""Functions whose examples are not run yet, by module."""
WITHOUT = {f"{module}.{name}" for module, names in MISSING.items() for name in names.split()}

EXAMPLES = re.compile(r"^Examples\n-{8}\n(.*?)(?=^\S.*\n---|\Z)", re.MULTILINE | re.DOTALL)


def examples(function):
    """Return the text of the *Examples* section, or nothing."""
    section = EXAMPLES.search(inspect.getdoc(function) or "")
    return section[1] if section else ""


@pytest.fixture(scope="session")
def names():
    """Return the names that examples may use: the package, and each table of the sample snapshot."""
    snapshot = of.open_snapshot(SAMPLE)
    tables = {table: snapshot.frame(table) for table in snapshot.tables}
    return {"of": of, "stats": stats, "plots": plots, "snapshot": snapshot, **tables}


@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - WITHOUT))
def test_examples_give_what_they_say(name, names):
    test = doctest.DocTestParser().get_doctest(examples(FUNCTIONS[name]), dict(names), name, None, None)
    assert test.examples, f"{name} has no example in its docstring"
    messages = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # examples are about results; what the data warn of is tested elsewhere
        runner.run(test, out=messages.append)
    assert not messages, "".join(messages)


def test_functions_without_examples_exist():
    assert set() == WITHOUT - FUNCTIONS.keys()
