"""The registry of rates: one definition, read by statistics, summaries, pictures, tables and sentences."""

from pathlib import Path

import pandas as pd
import pytest

from outreach_frames import display
from outreach_frames.metrics import DEFINITIONS, HEADLINES, METRICS, RATES
from outreach_frames.plots import _input, _style

README = Path(__file__).parents[1] / "README.md"
FRACTIONS = {name: metric for name, metric in METRICS.items() if metric.denominator}


def test_the_readme_lists_each_rate_with_its_numerator_and_denominator():
    """Who changes a definition changes what people read."""
    rows = [line for line in README.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]

    table = [row for row in rows if row.split("`")[1] in METRICS]

    assert table == [f"| `{name}` | {rate.numerator} | {rate.denominator} |" for name, rate in FRACTIONS.items()]


@pytest.mark.parametrize("name", FRACTIONS)
def test_a_rate_is_defined_once_and_read_everywhere(name):
    """`explain`, pictures and tables take their words from the registry."""
    rate = METRICS[name]

    assert DEFINITIONS[name] == rate.definition
    assert rate.definition.startswith(f"{rate.numerator} / {rate.denominator}")
    assert _input.metric(name) is rate
    assert rate.color in _style.MARKS
    assert {rate.trust} <= {"high", "low"}
    assert bool(rate.caveat) == (rate.trust == "low")
    assert display._unit(name, pd.Series([0.5]), is_rate=True) is display.PERCENT


def test_what_statistics_and_summaries_compute_is_registered():
    """A rate without an entry would have neither a definition nor a name."""
    assert set(RATES) | set(HEADLINES) <= set(METRICS)
