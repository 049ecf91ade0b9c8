"""The rules that every public signature of the statistics keeps."""

import ast
import inspect
import re

import pytest

from outreach_frames import stats
from outreach_frames.catalog import load
from outreach_frames.errors import DataError
from outreach_frames.metrics import METRICS, RATES

SIGNATURES = {name: inspect.signature(getattr(stats, name)).parameters for name in stats.__all__}
STATISTICS = sorted(set(SIGNATURES) - {"attached", "explain"})
"""Those that compute something; the other two read what a result carries."""

FACTS = {
    **dict.fromkeys(STATISTICS, "mailings"),
    **dict.fromkeys(("cumulative_incidence", "kaplan_meier", "reply_within"), "durations"),
    **dict.fromkeys(("data_quality", "summarize"), "frames"),
    "call_outcomes": "calls",
    "compare_periods": "frame",
    "power_table": "baselines",
    "reply_sentiment": "objects",
    "shrink_rates": "successes",
    "task_completion": "tasks",
}
"""The first parameter of each: mailings, unless the statistic reads none."""

OTHER_FRAMES = {"earlier_sequence_states", "mailbox_health"}
"""Frames that are no table of the API as it is now: an earlier one, and a statistic's result."""

RENAMED = {"alpha", "exclude_internal", "freq", "function", "groups", "limit", "method", "spacing"}
"""Names that meant something else in another function, or had one legal value, or no unit."""


def holds_frames(parameter):
    return any(kind in str(parameter.annotation) for kind in ("DataFrame", "IntoFrame"))


@pytest.mark.parametrize("name", STATISTICS)
def test_the_fact_table_is_first_and_alone_by_position(name):
    """Then nobody needs to remember an order."""
    first, *others = SIGNATURES[name].values()

    assert first.name == FACTS[name]
    assert first.kind is first.POSITIONAL_OR_KEYWORD
    assert {each.kind for each in others} <= {first.KEYWORD_ONLY, first.VAR_KEYWORD}


@pytest.mark.parametrize("name", sorted(set(STATISTICS) - {"compare_periods", "reply_sentiment"}))
def test_frames_are_named_as_the_tables_that_they_are(name):
    tables = {each.table for each in load().types.values()} | OTHER_FRAMES | {"durations"}
    frames = {each.name for each in SIGNATURES[name].values() if holds_frames(each)}

    assert frames <= tables


@pytest.mark.parametrize("name", [name for name in STATISTICS if "as_of" in SIGNATURES[name]])
def test_as_of_changes_what_is_counted(name):
    """Where it would only go into the record, the frames' own records are enough."""
    module = ast.parse(inspect.getsource(inspect.getmodule(getattr(stats, name))))
    [source] = [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == name]
    ignored = [
        node for node in ast.walk(source) if isinstance(node, ast.Expr) and "instant(as_of)" in ast.unparse(node)
    ]

    assert any(isinstance(node, ast.Name) and node.id == "as_of" for node in ast.walk(source))
    assert not ignored or "call.as_of" in ast.unparse(module)


@pytest.mark.parametrize("name", [name for name in STATISTICS if "metric" in SIGNATURES[name]])
def test_a_metric_is_the_name_of_a_registered_rate(name):
    assert SIGNATURES[name]["metric"].default in METRICS
    assert SIGNATURES[name]["metric"].default in RATES


@pytest.mark.parametrize("name", STATISTICS)
def test_one_name_means_one_thing(name):
    """A confidence level is ci, a prior is a method or two numbers, min_n is the fewest trials that are judged."""
    parameters = SIGNATURES[name]

    assert not RENAMED & set(parameters)
    assert "ci" not in parameters or parameters["ci"].default == 0.95
    assert "prior" not in parameters or "None" not in str(parameters["prior"].annotation)
    assert "min_n" not in parameters or isinstance(parameters["min_n"].default, int)


def test_a_metric_without_its_ending_is_refused():
    with pytest.raises(DataError, match='Choose one of "reply_rate"'):
        stats.ab_test(None, sequence_templates=None, metric="reply")


def test_the_map_in_the_package_names_every_function_once():
    described = [name for name in re.findall(r"(?<!`)`(\w+)`", stats.__doc__) if name != "mailings"]

    assert sorted(described) == sorted(stats.__all__)
