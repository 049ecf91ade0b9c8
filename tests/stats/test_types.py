"""What a type checker reads of the statistics is what they take."""

import inspect

import build_stats_stub
import pytest

from outreach_frames import stats


def test_the_types_are_made_of_the_functions():
    """After a change of a signature: ``python tools/build_stats_stub.py``."""
    assert build_stats_stub.stub() == build_stats_stub.STUB.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(stats.__all__))
def test_every_parameter_has_its_type(name):
    definitions = build_stats_stub.Statistic(name).definition(of_source=False)

    assert all(f"{parameter}:" in definitions for parameter in inspect.signature(getattr(stats, name)).parameters)
