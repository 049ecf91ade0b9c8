"""Bars of shares: `plots.plot_state_flow` and `plots.plot_account_coverage`."""

import pandas as pd
import pytest
from matplotlib.colors import to_hex

from outreach_frames import plots
from outreach_frames.errors import DataError
from outreach_frames.plots._style import BOUNCE, NONE, OPT_OUT, REPLY
from tests.plots.plot_checks import boxes, named, words
from tests.plots.plot_results import STATES, arrow, coverage_result, states_result, transitions_result


def test_states_have_one_order_in_all_bars_and_fill_a_hundred_percent() -> None:
    """Bars can only be compared if the same state lies at the same side."""
    states = arrow(
        pd.DataFrame(
            {"sequence_id": 1, "bucket": list(reversed(STATES)), "enrollments": 1, "share": 0.1},
        ),
        "state_flow",
    )

    ax = plots.plot_state_flow(states)

    bars = {state: boxes(ax, f"bar-{state}")[0] for state in STATES}
    order = sorted(STATES, key=lambda state: bars[state].x0)
    assert order[0] == "finished_replied"
    assert order.index("active") < order.index("finished_no_reply") < order.index("opted_out")
    assert sum(bar.width for bar in bars.values()) == pytest.approx(1)


def test_a_state_of_tomorrow_is_drawn_as_unknown() -> None:
    """Leaving it out would make the others look larger."""
    states = states_result(1)
    states.loc[0, "bucket"] = "hibernating"

    ax = plots.plot_state_flow(states)

    (unknown,) = boxes(ax, "bar-unknown")
    assert unknown.width == pytest.approx(states.loc[0, "share"])
    assert "unknown state" in words(ax).split("\n")


def test_states_keep_the_colors_of_their_meaning_and_a_hatch() -> None:
    """Rule 3: the same color for an opt-out in every picture, and not by color alone."""
    ax = plots.plot_state_flow(states_result())

    looks = {"finished_replied": REPLY, "finished_no_reply": NONE, "bounced": BOUNCE, "opted_out": OPT_OUT}
    for bucket, mark in looks.items():
        bars = named(ax, f"bar-{bucket}")
        assert {to_hex(bar.get_facecolor()[0]).upper() for bar in bars} == {mark.fill}
        assert {bar.get_hatch() or "" for bar in bars} == {mark.hatch}


def test_open_states_differ_by_their_hatch() -> None:
    """Four states are white, since a reply can still come."""
    ax = plots.plot_state_flow(states_result())

    hatches = [named(ax, f"bar-{state}")[0].get_hatch() for state in ("active", "pending", "paused", "paused_ooto")]
    assert len(set(hatches)) == 4


def test_every_bar_has_its_count_of_enrollments() -> None:
    """Rule 1: 17 % of 6 is one person."""
    states = states_result(3)
    totals = states.groupby("sequence_id")["enrollments"].sum()

    written = words(plots.plot_state_flow(states)).split("\n")

    assert {str(total) for total in totals} <= set(written)


def test_sequences_with_most_replies_come_first() -> None:
    """Rule 5."""
    ax = plots.plot_state_flow(states_result(6))

    widths = {round((bar.y0 + bar.y1) / 2): bar.width for bar in boxes(ax, "bar-finished_replied")}
    assert [widths[row] for row in sorted(widths)] == sorted(widths.values(), reverse=True)


def test_coverage_bars_are_nested_shares_of_known_prospects() -> None:
    """The white bar is everybody known, the gray one who was contacted, the green one who replied."""
    coverage = arrow(
        pd.DataFrame(
            {
                "account_id": [1, 2],
                "prospects": [10, 0],
                "contacted": [6, 0],
                "replied": [3, 0],
                "coverage": [0.6, None],
                "multi_threaded": [True, False],
            }
        ),
        "account_coverage",
    )

    ax = plots.plot_account_coverage(coverage)

    assert {gid: boxes(ax, gid)[0].width for gid in ("known", "contacted", "replied")} == {
        "known": 1,
        "contacted": 0.6,
        "replied": 0.3,
    }
    assert [tick.get_ydata()[0] for tick in named(ax, "no-data")] == [1]
    assert [bar.y0 for bar in boxes(ax, "known")] == pytest.approx([-0.33])


def test_coverage_is_sorted_and_says_how_many_are_known() -> None:
    """100 % of one person is less than 90 % of thirty: n stands beside it."""
    coverage = coverage_result(20, empty=2)

    ax = plots.plot_account_coverage(coverage)

    widths = [bar.width for bar in boxes(ax, "contacted")]
    assert widths == sorted(widths, reverse=True)
    assert f"contacted of {coverage['prospects'].sum()} known" in words(ax)


def test_transitions_keep_their_numbers_on_both_sides() -> None:
    """Every enrollment leaves one state and arrives in one."""
    result = transitions_result()
    counts = pd.DataFrame(result.attrs["transitions"])

    ax = plots.plot_state_flow(result, transitions=True)

    assert len(named(ax, "band")) == (counts["count"] > 0).sum()
    for column in ("from", "to"):
        active = counts.loc[counts[column] == "active", "count"].sum()
        assert f"active  {active}" in words(ax).split("\n")


def test_transitions_of_one_snapshot_are_refused() -> None:
    """A state alone has no direction."""
    with pytest.raises(DataError, match=r"no transitions\.\nHint: Pass earlier_sequence_states= to stats\.state_flow"):
        plots.plot_state_flow(states_result(), transitions=True)


def test_the_legend_is_that_of_matplotlib() -> None:
    """So that a reader can move it, or take it away."""
    legend = plots.plot_state_flow(states_result()).get_legend()

    labels = [text.get_text() for text in legend.get_texts()]
    assert {"replied", "opted out", "out of office"} <= set(labels)
    assert len(labels) == len(legend.legend_handles)
