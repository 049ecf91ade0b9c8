"""`plots.plot_step_funnel`: panels, points, bars and what happens to steps nobody reached."""

import numpy as np
import pandas as pd
import pytest

from outreach_frames import plots
from tests.plots.plot_checks import named, overlaps, points, words
from tests.plots.plot_results import funnel_result, names_for


def test_each_sequence_has_its_rates_above_its_counts() -> None:
    """Rule 12: rates and counts have axes of their own, never two scales on one panel."""
    ax = plots.plot_step_funnel(funnel_result(3))

    rates, counts = ax.child_axes[::2], ax.child_axes[1::2]
    assert len(rates) == len(counts) == 3
    assert all(above.get_position().y0 > below.get_position().y1 for above, below in zip(rates, counts, strict=True))
    assert not ax.axison


def test_small_multiples_share_their_limits() -> None:
    """Rule 6: equal heights must mean equal rates."""
    ax = plots.plot_step_funnel(funnel_result(5))

    assert len({panel.get_ylim() for panel in ax.child_axes[::2]}) == 1
    assert len({panel.get_ylim() for panel in ax.child_axes[1::2]}) == 1
    assert all(panel.get_ylim()[0] == 0 for panel in ax.child_axes)


def test_points_bars_and_line_lie_at_the_numbers_of_the_result() -> None:
    """One sequence, so that every artist is known."""
    funnel = funnel_result(1)
    rates, counts = plots.plot_step_funnel(funnel).child_axes

    hazards = [y for _, y in points(rates)]
    assert hazards == pytest.approx(funnel["hazard"].dropna().tolist())
    assert [bar.get_height() for bar in counts.patches] == funnel["at_risk"].tolist()
    (line,) = named(rates, "cumulative")
    assert list(line.get_ydata()) == pytest.approx(funnel["cumulative_reply"].tolist())


def test_a_step_nobody_reached_has_an_open_tick_off_the_scale() -> None:
    """Rule 7: a hazard of 0 of 0 is not 0."""
    rates, _ = plots.plot_step_funnel(funnel_result(1, steps=5)).child_axes

    (tick,) = named(rates, "no-data")
    assert tick.get_xdata() == [4]
    assert tick.get_transform().transform((4, 0))[1] < rates.bbox.y0
    assert 4 not in [x for x, _ in points(rates)]


def test_step_types_are_glyphs_explained_in_the_footnote() -> None:
    """Calls and mails are answered differently: the axis says which is which."""
    ax = plots.plot_step_funnel(funnel_result(1))

    assert [label.get_text() for label in ax.child_axes[1].get_xticklabels()] == [
        "1\n✉",
        "2\n✎",
        "3\n☎",
        "4\n☑",
        "5\n•",
    ]
    assert "☎ call" in words(ax)


def test_at_most_twelve_sequences_are_drawn_the_largest_ones() -> None:
    """Rule 6; the subtitle says how many there are."""
    funnel = funnel_result(20)
    first = funnel[funnel["order"] == 1].set_index("sequence_id")["at_risk"]
    smallest = f"sequence {first.idxmin()}"

    ax = plots.plot_step_funnel(funnel)

    assert len(ax.child_axes) == 24
    assert "12 largest of 20 sequences" in words(ax)
    assert smallest not in words(ax).split("\n")


def test_names_can_be_given_by_id() -> None:
    """The result has ids only."""
    ax = plots.plot_step_funnel(funnel_result(1), names={1: "Inbound"})

    assert "Inbound" in words(ax).split("\n")


def test_the_share_in_total_is_written_at_the_line() -> None:
    """Rule 2: direct labels."""
    ax = plots.plot_step_funnel(funnel_result(2), names=names_for(2))

    labels = [text.get_text() for text in named(ax, "cumulative-label")]
    assert labels[0].endswith("in total")
    assert len(labels) == 2


def test_bars_of_an_empty_funnel_have_no_height() -> None:
    """Nobody at risk is a count of 0, which is a fact; only its rate is missing."""
    ax = plots.plot_step_funnel(funnel_result(1, empty=True))

    assert np.all([bar.get_height() == 0 for bar in ax.child_axes[1].patches])
    assert points(ax) == []


def test_before_anybody_is_at_risk_nothing_is_known_in_total() -> None:
    """A sequence that begins with a call, without the calls at hand, has no share of 0 % there."""
    funnel = funnel_result(1, steps=4)
    funnel.loc[0, ["at_risk", "hazard", "hazard_lo", "hazard_hi"]] = [0, None, None, None]

    rates, _ = plots.plot_step_funnel(funnel).child_axes
    empty = plots.plot_step_funnel(funnel_result(1, empty=True))

    (line,) = named(rates, "cumulative")
    assert np.isnan(line.get_ydata()[0])
    assert line.get_ydata()[1] > 0
    assert named(empty, "cumulative-label") == []


def test_steps_with_few_at_risk_do_not_stretch_the_axis() -> None:
    """One of two who answer the last step would bring the line to half of all, and flatten every other panel."""
    funnel = funnel_result(1)
    last = funnel.index[-1]
    funnel.loc[last, ["at_risk", "hazard_n", "hazard", "hazard_lo", "hazard_hi"]] = [2, 2, 0.5, 0.1, 0.9]
    funnel.loc[last, "cumulative_reply"] = 0.6

    ax = plots.plot_step_funnel(funnel)

    top = ax.child_axes[0].get_ylim()[1]
    assert top < 0.5
    assert (4, top) in points(ax, "beyond")
    assert points(ax, "estimate-beyond") == [(4, top)]
    assert overlaps(ax) == []
    assert "60.0 % ↑" in words(ax)


def test_a_sequence_without_an_open_enrollment_is_counted_and_not_drawn() -> None:
    """A sequence of calls has no mail to reply to: its panel would be empty."""
    funnel = pd.concat([funnel_result(2), funnel_result(3, empty=True).query("sequence_id == 3")])
    funnel.attrs = funnel_result(2).attrs

    ax = plots.plot_step_funnel(funnel)

    assert len(ax.child_axes) == 2 * 2
    assert "2 sequences · 1 more without mail" in words(ax)
