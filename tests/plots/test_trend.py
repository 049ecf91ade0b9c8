"""The picture of a trend, by its artists."""

import numpy as np
import pytest

from outreach_frames import plots
from tests.plots.plot_results import trend_result


def line(ax, gid):
    [artist] = [each for each in ax.lines if each.get_gid() == gid]
    return np.asarray(artist.get_xdata(), dtype=float), np.asarray(artist.get_ydata(), dtype=float)


def test_weeks_that_are_not_mature_have_hollow_points_and_neither_line_nor_band():
    """The line would fall, and only because answers are still to come."""
    result = trend_result(10)

    ax = plots.plot_trend(result)

    young = result["reply_rate"].to_numpy(dtype=float)[-3:]
    places, rates = line(ax, "unfinished")
    assert rates.tolist() == pytest.approx(young.tolist())
    assert np.isnan(line(ax, "course")[1][-3:]).all()
    assert not np.isnan(line(ax, "course")[1][:-3]).any()
    [band] = [each for each in ax.collections if each.get_gid() == "band"]
    assert band.get_paths()[0].vertices[:, 0].max() < places.min()
    assert "Not finished: 3\N{NO-BREAK SPACE}weeks." in ax.figure.outreach_alt


def test_the_band_goes_from_end_to_end_of_the_intervals():
    result = trend_result(10)

    [band] = [each for each in plots.plot_trend(result).collections if each.get_gid() == "band"]
    heights = set(np.round(band.get_paths()[0].vertices[:, 1], 9))

    mature = result[result["mature"]]
    assert set(np.round(mature["reply_rate_lo"].to_numpy(dtype=float), 9)) <= heights
    assert set(np.round(mature["reply_rate_hi"].to_numpy(dtype=float), 9)) <= heights


def test_rates_on_few_mailings_are_faded():
    result = trend_result(10)

    few = line(plots.plot_trend(result, min_n=60), "few")[1]

    assert len(few) == int((result[result["mature"]]["reply_rate_n"] < 60).sum()) > 0


def test_meetings_are_counts():
    ax = plots.plot_trend(trend_result(8, metric="meetings"))

    assert ax.get_ylabel() == "Meetings"
    assert line(ax, "mature")[1].tolist() == [2, 3, 4, 5, 6]
