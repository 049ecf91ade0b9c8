"""`plots.plot_leaderboard`: hollow raw rates, filled shrunken ones, and who is not ranked."""

import pandas as pd
import pytest

from outreach_frames import plots
from tests.plots.plot_checks import named, points, words
from tests.plots.plot_results import arrow


@pytest.fixture
def leaderboard() -> pd.DataFrame:
    """Four users: firm, lucky with few trials, unlucky, and one without mail who got the prior."""
    columns = ["user_id", "name", "n", "x", "raw", "shrunk", "lo", "hi", "p_top", "p_above_median", "rank"]
    rows = [
        (1, "firm", 1000, 80, 0.08, 0.079, 0.064, 0.096, 0.7, 0.999, 1),
        (2, "lucky", 5, 2, 0.4, 0.07, 0.03, 0.12, 0.2, 0.6, 2),
        (3, "unlucky", 40, 0, 0.0, 0.05, 0.02, 0.09, 0.0001, 0.2, 3),
        (4, "new", 0, 0, None, 0.06, 0.02, 0.11, None, None, None),
    ]
    return arrow(pd.DataFrame(rows, columns=columns), "leaderboard", by="user_id", metric="reply_rate")


def test_filled_points_are_shrunken_and_hollow_ones_raw(leaderboard) -> None:
    """The reader sees how far each was drawn to the mean."""
    ax = plots.plot_leaderboard(leaderboard)

    assert sorted(points(ax)) == [(0.05, 2), (0.07, 1), (0.079, 0)]
    assert sorted(points(ax, "raw")) == [(0.0, 2), (0.08, 0)]
    assert {line.get_markerfacecolor() for line in named(ax, "raw")} == {"none"}


def test_a_raw_rate_beyond_the_axis_becomes_an_arrow(leaderboard) -> None:
    """Two of five must not squeeze a thousand trials into a corner; the number stands at the right."""
    ax = plots.plot_leaderboard(leaderboard)

    assert ax.get_xlim()[1] < 0.2
    assert [line.get_ydata()[0] for line in named(ax, "raw-beyond")] == [1]
    assert "40 %" in words(ax)


def test_who_has_sent_nothing_is_not_ranked(leaderboard) -> None:
    """The prior is the mean of the others: it says nothing about this user."""
    ax = plots.plot_leaderboard(leaderboard)

    assert [tick.get_ydata()[0] for tick in named(ax, "no-data")] == [3]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["firm", "lucky", "unlucky", "new"]


def test_chances_are_never_certain(leaderboard) -> None:
    """They are shares of simulated draws."""
    written = words(plots.plot_leaderboard(leaderboard)).split("\n")

    assert ">99 %" in written
    assert "<1 %" in written


def test_order_is_that_of_the_rank_so_that_the_lowest_bounce_rate_comes_first(leaderboard) -> None:
    """For bounces low is good: sorting by value would put the worst on top."""
    bounces = leaderboard.assign(rank=[3, 2, 1, None])
    bounces.attrs["outreach_frames"]["parameters"]["metric"] = "bounce_rate"

    ax = plots.plot_leaderboard(bounces)

    assert [label.get_text() for label in ax.get_yticklabels()][:3] == ["unlucky", "lucky", "firm"]
    assert ax.get_xlabel() == "Bounce rate"
