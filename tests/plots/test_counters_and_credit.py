"""Counters, credit and the change between periods: where the marks of their pictures lie."""

import pandas as pd
import pytest

from outreach_frames import plots
from outreach_frames.errors import DataError
from tests.plots.plot_checks import boxes, named, points, words
from tests.plots.plot_results import arrow, comparison_result, counters_result, credits_result


@pytest.fixture
def counters() -> pd.DataFrame:
    """One sequence: equal, rows missing, more rows than the API counted, nothing known."""
    columns = ["sequence_id", "counter", "api", "unique_mailings", "gap", "cause"]
    rows = [
        (10, "deliver_count", 6, 6, 0, "equal"),
        (10, "open_count", 100, 80, 20, "rows missing"),
        (10, "click_count", 1, 30, -29, "pending sync"),
        (10, "opt_out_count", None, 3, None, None),
    ]
    return arrow(pd.DataFrame(rows, columns=columns), "reconcile_counters", on="sequence")


def test_counters_are_drawn_as_shares_of_the_api_largest_gap_first(counters) -> None:
    """Counts from 1 to 100,000 share one axis only as shares; the numbers stand beside them."""
    ax = plots.plot_reconcile_counters(counters)

    assert [label.get_text() for label in ax.get_yticklabels()] == ["click", "open", "deliver", "opt out"]
    rows = {line.get_ydata()[0]: line.get_xdata()[0] for line in named(ax, "rows")}
    assert (rows[1], rows[2]) == (0.8, 1.0)
    assert {line.get_xdata()[0] for line in named(ax, "api")} == {1}


def test_far_more_rows_than_counted_become_an_arrow(counters) -> None:
    """Thirty to one would stretch the axis thirtyfold."""
    ax = plots.plot_reconcile_counters(counters)

    (arrow_mark,) = [line for line in named(ax, "rows") if line.get_marker() == ">"]
    assert arrow_mark.get_xdata()[0] == ax.get_xlim()[1]
    assert "-29" in words(ax)


def test_a_missing_counter_is_no_zero(counters) -> None:
    """Rule 7."""
    assert [tick.get_ydata()[0] for tick in named(plots.plot_reconcile_counters(counters), "no-data")] == [3]


def test_causes_have_their_own_color_marker_and_words() -> None:
    """The color is one of three channels."""
    ax = plots.plot_reconcile_counters(counters_result(6), max_rows=None)

    looks = {(line.get_color(), line.get_marker()) for line in named(ax, "rows")}
    assert len(looks) == len({color for color, _ in looks}) == len({marker for _, marker in looks}) == 5
    assert {"equal", "rows missing", "tracking off"} <= set(words(ax).split("\n"))


def test_of_many_counters_the_equal_ones_share_a_line() -> None:
    """Sixty rows of "equal" would hide the three that are not; they are counted, not dropped."""
    counters = counters_result(6)
    equal = (counters["cause"] == "equal").sum()

    ax = plots.plot_reconcile_counters(counters)

    assert [label.get_text() for label in ax.get_yticklabels()][-1] == f"{equal} others"
    assert f"{equal} of {len(counters)} counters equal" in words(ax)


def test_counters_that_are_all_equal_are_counted_on_one_line() -> None:
    """Nothing above them, so they are not "others"."""
    counters = counters_result(20).query("cause == 'equal'")

    ax = plots.plot_reconcile_counters(counters)

    assert [label.get_text() for label in ax.get_yticklabels()] == [f"{len(counters)} counters"]


def test_credit_is_summed_by_channel_and_model() -> None:
    """Each model credits the same deals, so the lines of a panel have the same sum at every model."""
    credited = credits_result(3)

    lines = named(plots.plot_pipeline_attribution(credited), "channel")

    totals = [sum(line.get_ydata()[model] for line in lines) for model in range(4)]
    deals = credited[credited["model"] == "first"]["amount"].sum()
    assert totals == pytest.approx([deals] * 4)


def test_currencies_are_never_added() -> None:
    """Each has its own panel and axis."""
    ax = plots.plot_pipeline_attribution(credits_result(3, currencies=2))

    assert {panel.get_ylabel() for panel in ax.child_axes} == {"Amount credited [USD]", "Amount credited [EUR]"}


def test_without_amounts_deals_are_counted() -> None:
    """A deal without an amount is a deal, not 0."""
    ax = plots.plot_pipeline_attribution(credits_result(1, priced=False))

    assert ax.get_ylabel() == "Deals credited"
    assert max(line.get_ydata()[0] for line in named(ax, "channel")) == 41


def test_what_no_mail_preceded_is_shown_as_such() -> None:
    """A picture of credited deals alone would claim them all."""
    written = words(plots.plot_pipeline_attribution(credits_result(2)))

    assert "no mail before" in written
    assert "one-off mail" in written
    assert "what went together, not what caused what" in written.replace("\n", " ")


def test_the_waterfall_leads_from_one_rate_over_mix_and_rates_to_the_other() -> None:
    """Its steps add up exactly."""
    comparison = comparison_result(4)
    total = {name: values[0] for name, values in comparison.attrs["total"].items()}

    ax = plots.plot_compare_periods(comparison)

    assert points(ax) == [(total["rate_a"], 0), (total["rate_b"], 3)]
    mix, rates = boxes(ax, "effect")
    assert mix.width == pytest.approx(abs(total["mix_effect"]))
    assert rates.width == pytest.approx(abs(total["rate_effect"]))
    ends = {round(end, 9) for bar in (mix, rates) for end in (bar.x0, bar.x1)}
    assert {round(total["rate_a"], 9), round(total["rate_b"], 9)} <= ends


def test_the_change_is_given_with_its_interval_and_its_largest_parts() -> None:
    """Rule 1; whom to ask is in the footnote."""
    written = words(plots.plot_compare_periods(comparison_result(4), names={1: "Inbound"})).replace("\n", " ")

    assert "points (" in written
    assert "Largest effects in points:" in written


def test_a_comparison_without_its_total_says_what_to_do() -> None:
    """Merging drops what a result carries."""
    lost = comparison_result(2)
    del lost.attrs["total"]

    with pytest.raises(DataError, match=r"has lost its total\.\nHint: Pass the result of stats\.compare_periods"):
        plots.plot_compare_periods(lost)
