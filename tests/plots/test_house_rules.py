"""What holds for every picture: nothing overlaps or is cut off, nothing global changes, it says where it comes from."""

from collections.abc import Callable
from functools import cache, partial

import matplotlib as mpl
import pandas as pd
import polars as pl
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from outreach_frames import plots
from outreach_frames.errors import DataError, MissingColumnError
from tests.plots.plot_checks import outside, overlaps, panels, words
from tests.plots.plot_results import (
    activity_result,
    cohorts_result,
    comparison_result,
    counters_result,
    coverage_result,
    credits_result,
    deliverability_result,
    experiment_result,
    funnel_result,
    heatmap_result,
    incidence_result,
    leaderboard_result,
    names_for,
    rates_result,
    states_result,
    transitions_result,
    trend_result,
)

Draw = Callable[..., Axes]

PICTURES: dict[str, tuple[Draw, pd.DataFrame]] = {
    "rates": (plots.plot_rates, rates_result()),
    "rates one row": (plots.plot_rates, rates_result(1, empty=0)),
    "rates 200 rows": (plots.plot_rates, rates_result(200, empty=12)),
    "rates all null": (plots.plot_rates, rates_result(5, empty=5)),
    "rates no row": (plots.plot_rates, rates_result(0)),
    "rates without names": (plots.plot_rates, rates_result(4, names=False)),
    "funnel": (plots.plot_step_funnel, funnel_result()),
    "funnel one step": (plots.plot_step_funnel, funnel_result(1, steps=1)),
    "funnel 20 sequences of 14 steps": (plots.plot_step_funnel, funnel_result(20, steps=14)),
    "funnel all null": (plots.plot_step_funnel, funnel_result(2, empty=True)),
    "funnel no row": (plots.plot_step_funnel, funnel_result(2).iloc[:0]),
    "incidence": (plots.plot_cumulative_incidence, incidence_result()),
    "incidence of 3 people": (plots.plot_cumulative_incidence, incidence_result(enrollments=3)),
    "incidence by one sequence": (plots.plot_cumulative_incidence, incidence_result(1)),
    "incidence by 15 sequences": (plots.plot_cumulative_incidence, incidence_result(15)),
    "leaderboard": (plots.plot_leaderboard, leaderboard_result()),
    "leaderboard of one user": (plots.plot_leaderboard, leaderboard_result(1, empty=0)),
    "leaderboard of 300 users": (plots.plot_leaderboard, leaderboard_result(300, empty=20)),
    "leaderboard all null": (plots.plot_leaderboard, leaderboard_result(3, empty=3)),
    "leaderboard no row": (plots.plot_leaderboard, leaderboard_result(2).iloc[:0]),
    "states": (plots.plot_state_flow, states_result()),
    "states of one sequence": (plots.plot_state_flow, states_result(1)),
    "states of 200 sequences": (plots.plot_state_flow, states_result(200)),
    "states no row": (plots.plot_state_flow, states_result(1).iloc[:0]),
    "coverage": (plots.plot_account_coverage, coverage_result()),
    "coverage of one account": (plots.plot_account_coverage, coverage_result(1, empty=0)),
    "coverage of 300 accounts": (plots.plot_account_coverage, coverage_result(300, empty=30)),
    "coverage all null": (plots.plot_account_coverage, coverage_result(3, empty=3)),
    "coverage no row": (plots.plot_account_coverage, coverage_result(1).iloc[:0]),
    "reconciliation": (plots.plot_reconcile_counters, counters_result()),
    "reconciliation of one sequence": (plots.plot_reconcile_counters, counters_result(1)),
    "reconciliation of 60 sequences": (plots.plot_reconcile_counters, counters_result(60)),
    "reconciliation all equal": (plots.plot_reconcile_counters, counters_result(20).query("cause == 'equal'")),
    "reconciliation no row": (plots.plot_reconcile_counters, counters_result(1).iloc[:0]),
    "cohorts": (plots.plot_cohort_matrix, cohorts_result()),
    "cohorts of one week": (plots.plot_cohort_matrix, cohorts_result(1)),
    "cohorts of 60 weeks": (plots.plot_cohort_matrix, cohorts_result(60, weeks=16)),
    "cohorts no row": (plots.plot_cohort_matrix, cohorts_result(1).iloc[:0]),
    "send times": (plots.plot_send_time_heatmap, heatmap_result()),
    "send times of little mail": (plots.plot_send_time_heatmap, heatmap_result(deliveries=300)),
    "send times of one hour": (plots.plot_send_time_heatmap, heatmap_result(deliveries=10**6, hours=1)),
    "send times no row": (plots.plot_send_time_heatmap, heatmap_result().iloc[:0]),
    "test": (plots.plot_ab_test, experiment_result()),
    "test of 8 variants": (plots.plot_ab_test, experiment_result(variants=8, verdict="broken split")),
    "test all null": (plots.plot_ab_test, experiment_result(scale=0)),
    "test no row": (plots.plot_ab_test, experiment_result().iloc[:0]),
    "attribution": (plots.plot_pipeline_attribution, credits_result()),
    "attribution of 20 sequences": (plots.plot_pipeline_attribution, credits_result(20)),
    "attribution in 6 currencies": (plots.plot_pipeline_attribution, credits_result(4, currencies=6)),
    "attribution without amounts": (plots.plot_pipeline_attribution, credits_result(1, priced=False)),
    "attribution no row": (plots.plot_pipeline_attribution, credits_result().iloc[:0]),
    "decomposition": (plots.plot_compare_periods, comparison_result()),
    "decomposition of one sequence": (plots.plot_compare_periods, comparison_result(1)),
    "decomposition all null": (plots.plot_compare_periods, comparison_result(empty=True)),
    "deliverability": (plots.plot_deliverability, deliverability_result()),
    "deliverability of one mailbox": (plots.plot_deliverability, deliverability_result(1)),
    "deliverability of 20 mailboxes": (plots.plot_deliverability, deliverability_result(20, weeks=26)),
    "deliverability all null": (plots.plot_deliverability, deliverability_result(2, empty=True)),
    "deliverability no row": (plots.plot_deliverability, deliverability_result(1).iloc[:0]),
    "workload": (plots.plot_rep_activity, activity_result()),
    "workload of one user": (plots.plot_rep_activity, activity_result(1)),
    "workload of 300 users": (plots.plot_rep_activity, activity_result(300, weeks=26)),
    "workload all zero": (plots.plot_rep_activity, activity_result(2, empty=True)),
    "workload no row": (plots.plot_rep_activity, activity_result(1).iloc[:0]),
    "transitions": (partial(plots.plot_state_flow, transitions=True), transitions_result()),
    "transitions of all states": (partial(plots.plot_state_flow, transitions=True), transitions_result(states=10)),
    "transitions of nobody": (partial(plots.plot_state_flow, transitions=True), transitions_result(states=0)),
    "trend": (plots.plot_trend, trend_result()),
    "trend of one week": (plots.plot_trend, trend_result(1)),
    "trend of 120 weeks": (plots.plot_trend, trend_result(120)),
    "trend of meetings": (plots.plot_trend, trend_result(metric="meetings")),
    "trend all null": (plots.plot_trend, trend_result(empty=True)),
    "trend no row": (plots.plot_trend, trend_result().iloc[:0]),
    "incidence no row": (plots.plot_cumulative_incidence, incidence_result().iloc[:0]),
}
NAMED = {
    plots.plot_step_funnel,
    plots.plot_cumulative_incidence,
    plots.plot_state_flow,
    plots.plot_reconcile_counters,
    plots.plot_pipeline_attribution,
    plots.plot_compare_periods,
    plots.plot_deliverability,
    plots.plot_rep_activity,
}
"""Pictures whose result has no names: they take them as an argument."""


def draw(picture: str, **kwargs: object) -> Axes:
    function, result = PICTURES[picture]
    if function in NAMED:
        kwargs = {"names": names_for(400), **kwargs}
    return function(result, **kwargs)


@cache
def drawn(picture: str) -> tuple[Axes, list[str]]:
    """Draw a picture once for all tests that only look at it, and note what else has changed meanwhile."""
    _, result = PICTURES[picture]
    before, settings, open_figures = result.copy(), dict(mpl.rcParams), plt.get_fignums()
    ax = draw(picture)
    changed = ["settings"] * (dict(mpl.rcParams) != settings) + ["figures"] * (plt.get_fignums() != open_figures)
    changed += ["result"] * (not result.equals(before) or result.attrs != before.attrs)
    return ax, changed


for_each_picture = pytest.mark.parametrize("picture", PICTURES)
for_each_plot = pytest.mark.parametrize(
    "picture", {getattr(function, "func", function): picture for picture, (function, _) in PICTURES.items()}.values()
)


@for_each_picture
def test_no_two_texts_touch_and_none_leaves_the_figure(picture: str) -> None:
    """A label that runs into another or over the edge cannot be read in print."""
    ax, _ = drawn(picture)

    assert overlaps(ax) == []
    assert outside(ax, ax.get_figure(root=True).bbox) == []


@for_each_picture
def test_a_given_axes_keeps_everything_inside_its_rectangle(picture: str) -> None:
    """A dashboard of several pictures must not have one write over its neighbor."""
    figure = Figure(figsize=(14, 7))
    given, neighbor = figure.subplots(1, 2)
    rectangle = given.get_position()

    returned = draw(picture, ax=given)

    assert returned is given
    assert neighbor.get_position().x0 > rectangle.x1
    assert outside(given, rectangle.transformed(figure.transFigure)) == []
    assert overlaps(given) == []


@for_each_picture
def test_a_new_figure_is_seven_inches_wide_white_and_described_in_words(picture: str) -> None:
    """Rules 10 and 11: it fits a printed page as it is, and who cannot see it hears what it says."""
    ax, _ = drawn(picture)

    figure = ax.get_figure(root=True)
    assert figure.get_figwidth() == 7
    assert len(figure.outreach_alt) > 20
    assert all(panel.get_facecolor()[:3] == (1, 1, 1) for panel in panels(ax))


@for_each_picture
def test_nothing_else_is_changed(picture: str) -> None:
    """Neither matplotlib's settings, nor pyplot's figures, nor the caller's frame: pictures are drawn in loops."""
    _, changed = drawn(picture)

    assert changed == []


@for_each_picture
def test_it_says_which_period_and_when_it_was_extracted(picture: str) -> None:
    """A picture is passed on without its notebook: it must say what it counts, and when."""
    written = words(drawn(picture)[0])

    assert "as of 31 Mar 2026, 00:00 UTC" in written
    assert "all dates" in written or "1 Oct 2025 – 31 Dec 2025 against 1 Jan 2026 – 31 Mar 2026" in written


@for_each_picture
def test_a_frame_of_something_else_is_refused_by_name(picture: str) -> None:
    """Raw frames are a likely mistake: the message says which statistic to call first."""
    function, _ = PICTURES[picture]
    name = getattr(function, "func", function).__name__

    with pytest.raises(MissingColumnError, match=rf"plots\.{name} needs it.\n.*stats\."):
        function(pd.DataFrame({"id": [1]}))
    with pytest.raises(MissingColumnError):
        function(pd.DataFrame())


@for_each_plot
@pytest.mark.parametrize("given", [[1, 2], None, "rates", {"rate": [1]}], ids=["list", "nothing", "text", "mapping"])
def test_what_is_no_frame_is_refused_by_name(picture: str, given: object) -> None:
    """A statistic not yet called, a list of rows: the message says which result to pass."""
    function, _ = PICTURES[picture]
    name = getattr(function, "func", function).__name__

    with pytest.raises(DataError, match=rf"plots\.{name} cannot draw .*\n.*Pass the result of stats\."):
        function(given)


def test_a_result_of_another_library_is_refused_with_the_way_to_turn_it() -> None:
    """Statistics give polars frames back for polars frames; pictures are drawn from pandas frames."""
    with pytest.raises(DataError, match=r"turned into pandas with \.to_pandas\(\)"):
        plots.plot_rates(pl.from_pandas(rates_result()))


@pytest.mark.parametrize("function", sorted(NAMED, key=lambda plot: plot.__name__), ids=lambda plot: plot.__name__)
def test_names_are_names_by_id(function: Draw) -> None:
    """A list of names has no ids to go by; a series of names by id, as frames give it, has."""
    result = next(result for drawing, result in PICTURES.values() if drawing is function)

    with pytest.raises(DataError, match=r"names= of plots\.plot_\w+ is a list.\n.*set_index"):
        function(result, names=list(names_for(400).values()))
    by_mapping, by_series = (
        function(result, names=names).get_figure(root=True).outreach_alt
        for names in (names_for(400), pd.Series(names_for(400)))
    )
    assert by_series == by_mapping


@for_each_plot
def test_several_axes_at_once_are_refused(picture: str) -> None:
    """What ``plt.subplots(1, 2)`` gives is an array of Axes, of which a picture takes one."""
    with pytest.raises(DataError, match=r"ax= is a.*\n.*Pass one Axes"):
        draw(picture, ax=Figure().subplots(1, 2))


@for_each_plot
def test_a_period_chosen_before_the_statistic_can_be_told(picture: str) -> None:
    """The statistic saw only the rows it was given: "all dates" would be wrong, and nobody could tell."""
    written = words(draw(picture, period="enrollments begun since 1 Mar 2026"))

    assert "enrollments begun since 1 Mar 2026" in written
    assert "all dates" not in written


def test_text_in_a_column_of_numbers_is_said() -> None:
    """A result that went through a CSV file and came back as text."""
    with pytest.raises(DataError, match="Column 'reply_rate_n' holds no numbers"):
        plots.plot_rates(rates_result(rate="reply_rate").assign(reply_rate_n="many"), "reply_rate")


@pytest.mark.parametrize("picture", ["rates", "funnel", "incidence", "deliverability", "test", "attribution"])
def test_the_reader_s_own_style_does_not_leak_in(picture: str) -> None:
    """A dark theme or a large font in the notebook must not make the picture unreadable."""
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "black", "text.usetex": True, "axes.grid": True}):
        ax = draw(picture)
        assert overlaps(ax) == []

    assert all(panel.get_facecolor()[:3] == (1, 1, 1) for panel in panels(ax))


@pytest.mark.parametrize("picture", ["rates", "funnel"])
def test_a_notebook_shows_it_with_its_description(picture: str) -> None:
    """The Axes is no pyplot figure, so that it must show itself."""
    ax = draw(picture)

    data, metadata = ax._repr_mimebundle_()

    assert data["image/png"].startswith(b"\x89PNG")
    assert metadata["image/png"]["width"] == 672
    assert metadata["image/png"]["alt"] == data["text/plain"] == ax.figure.outreach_alt


def test_every_picture_is_looked_at_here() -> None:
    """A new plot that is not in the list would escape these rules."""
    tested = {getattr(function, "func", function).__name__ for function, _ in PICTURES.values()}

    assert tested == {name for name in plots.__all__ if name.startswith("plot_")}
