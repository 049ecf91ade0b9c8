"""`plots.plot_cumulative_incidence`: the stack, the numbers below it, the labels beside it."""

import pytest
from matplotlib.colors import to_hex

from outreach_frames import plots
from outreach_frames._format import plain
from outreach_frames.plots._style import BOUNCE, OPT_OUT, REPLY
from tests.plots.plot_checks import named, whiskers, words
from tests.plots.plot_results import incidence_result, names_for


def test_outcomes_are_stacked_in_a_fixed_order_and_look() -> None:
    """Rule 3: reply below, opt-out and bounce above, each by color and hatch."""
    ax = plots.plot_cumulative_incidence(incidence_result())

    for cause, mark in {"reply": REPLY, "opt_out": OPT_OUT, "bounce": BOUNCE}.items():
        (area,) = named(ax, f"area-{cause}")
        assert to_hex(area.get_facecolor()[0]).upper() == mark.fill
        assert (area.get_hatch() or "") == mark.hatch


def test_the_upper_edge_is_the_sum_of_the_incidences() -> None:
    """At day 20: 0.11 replied, 0.025 opted out, 0.03 bounced."""
    ax = plots.plot_cumulative_incidence(incidence_result())

    heights = [named(ax, f"line-{cause}")[0].get_ydata()[-1] for cause in ("reply", "opt_out", "bounce")]
    assert heights == pytest.approx([0.11, 0.135, 0.165])


def test_curves_are_steps_that_begin_at_zero() -> None:
    """Nothing has happened at day 0, and nothing happens between two events."""
    (line,) = named(plots.plot_cumulative_incidence(incidence_result()), "line-reply")

    assert line.get_drawstyle() == "steps-post"
    assert (line.get_xdata()[0], line.get_ydata()[0]) == (0, 0)


def test_numbers_are_given_at_three_seven_and_fourteen_days() -> None:
    """A day has the share of the last change before it, with its interval, and the number at risk."""
    ax = plots.plot_cumulative_incidence(incidence_result())

    assert [text.get_text() for text in ax.get_xticklabels()] == ["0", "3", "7", "14", "30"]
    written = words(ax)
    assert written.count("9.0 %") == 2  # days 7 and 14: nothing changes from day 6 to 20
    assert "400" in written
    assert [x for x, *_ in whiskers(ax)] == [3, 7, 14, 30]


def test_what_is_left_is_named_still_open() -> None:
    """The rest up to 100 % has not answered yet: it is no failure."""
    assert "still open 83.5 %" in words(plots.plot_cumulative_incidence(incidence_result()))


def test_groups_share_their_axes_and_are_at_most_twelve() -> None:
    """Rule 6."""
    ax = plots.plot_cumulative_incidence(incidence_result(15), names=names_for(15))

    assert len(ax.child_axes) == 12
    assert len({panel.get_ylim() for panel in ax.child_axes}) == 1
    assert "12 largest of 15 sequences" in words(ax)


def test_the_horizon_cuts_the_picture() -> None:
    """What happens after the last day drawn must not show in its label."""
    ax = plots.plot_cumulative_incidence(incidence_result(), horizon_d=10)

    assert ax.get_xlim() == (0, 10)
    assert named(ax, "line-reply")[0].get_ydata()[-1] == pytest.approx(0.09)


def test_a_share_without_interval_has_no_whisker_at_zero() -> None:
    """Before the first reply the incidence is 0 and has no interval; a whisker there would be invented."""
    early = incidence_result()
    early = early[early["t_d"] < 1]

    assert not any(whiskers(plots.plot_cumulative_incidence(early)))


def test_before_anything_has_happened_there_is_a_share_without_an_interval() -> None:
    """As `reply_within` says: nobody has replied yet, and 0 to 0 would claim to be sure that nobody does."""
    late = incidence_result(2)
    late["t_d"] = late["t_d"] + late["sequence_id"].map({1: 0, 2: 8})

    ax = plots.plot_cumulative_incidence(late)

    _, panel = ax.child_axes
    (lines,) = named(panel, "interval")
    assert [segment[0, 0] for segment in lines.get_segments() if len(segment)] == [14, 30]
    assert "0–0" not in words(ax)
    assert "0.0 % by day 3" in plain(ax.figure.outreach_alt)


def test_whoever_has_had_no_outcome_is_still_open() -> None:
    """Where the first change lies after the last day drawn, all are still open, not none."""
    assert "still open 100.0 %" in words(
        plots.plot_cumulative_incidence(incidence_result().assign(t_d=[40.0, 50.0, 60.0, 70.0]))
    )
