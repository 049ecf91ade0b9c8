"""The registry of rates: one definition, read by statistics, summaries, pictures, tables and sentences."""

import re
from pathlib import Path

import pandas as pd
import pytest

from outreach_frames import display
from outreach_frames.metrics import DEFINITIONS, HEADLINES, METRICS, RATES
from outreach_frames.plots import _input, _style

NUMBERS = Path(__file__).parents[1] / "docs" / "numbers.md"
FRACTIONS = {name: metric for name, metric in METRICS.items() if metric.denominator}


def test_the_page_of_numbers_has_each_metric_once():
    """Its numerator and denominator come from the registry itself; see test_docs.py."""
    listed = re.findall(r"^```\{metric\} (\w+)$", NUMBERS.read_text(encoding="utf-8"), re.MULTILINE)

    assert sorted(listed) == sorted(METRICS)


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
