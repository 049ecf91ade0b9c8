"""The rules that every public signature of the pictures keeps."""

import inspect
from typing import get_type_hints

import pandas as pd
import pytest
from matplotlib.axes import Axes

from outreach_frames import plots, stats

PICTURES = sorted(name for name in plots.__all__ if name.startswith("plot_"))
SIGNATURES = {name: inspect.signature(getattr(plots, name)) for name in PICTURES}

OF_SEVERAL = {"plot_rates": ("engagement", "sequence_engagement", "prospect_opt_outs")}
"""Pictures that draw the results of more than one statistic."""

BY_POSITION = {"plot_rates": ("rate",), "plot_deliverability": ("rate",)}
"""Which of a result's rates is drawn may follow the result without its keyword."""


def test_pictures_and_the_theme_are_all_there_is():
    assert set(plots.__all__) == {*PICTURES, "theme"}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_named_as_the_statistic_that_it_draws(name):
    statistics = OF_SEVERAL.get(name, (name.removeprefix("plot_"),))

    assert set(statistics) <= set(stats.__all__)
    assert f"`stats.{statistics[0]}`" in getattr(plots, name).__doc__


@pytest.mark.parametrize("name", PICTURES)
def test_the_result_is_first_and_all_else_by_keyword(name):
    result, *options = SIGNATURES[name].parameters.values()
    rates = BY_POSITION.get(name, ())

    assert get_type_hints(getattr(plots, name))[result.name] is pd.DataFrame
    assert tuple(each.name for each in options if each.kind is not each.KEYWORD_ONLY) == rates
    assert all(each.default is not each.empty for each in options)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_draws_into_given_axes_and_returns_axes(name):
    """A period chosen before the statistic can be named; the Axes come last."""
    parameters = SIGNATURES[name].parameters

    assert get_type_hints(getattr(plots, name))["return"] is Axes
    assert list(parameters)[-2:] == ["period", "ax"]


def test_one_name_means_one_thing():
    """Where several pictures take an option, they take the same type, documented in the same place."""
    meanings: dict[str, set[str]] = {}
    for signature in SIGNATURES.values():
        for each in list(signature.parameters.values())[1:]:
            meanings.setdefault(each.name, set()).add(inspect.formatannotation(each.annotation).removesuffix(" | None"))

    assert {name: types for name, types in meanings.items() if len(types) > 1} == {}
    assert set(meanings) == {
        *("ax", "period", "names", "min_n", "max_rows", "max_weeks"),
        *("rate", "step", "transitions", "horizon_d", "marks", "cumulative", "per_day"),
    }
