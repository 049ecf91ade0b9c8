"""Pictures by week: `plots.plot_deliverability` and `plots.plot_rep_activity`."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.dates import date2num, num2date

from outreach_frames import plots
from outreach_frames.plots._small_multiples import week_axis, week_places
from tests.plots.plot_checks import boxes, luminance, named, points, whiskers, words
from tests.plots.plot_results import activity_result, deliverability_result


def at(week: int) -> float:
    """Where a week of the results lies on the axis."""
    return float(date2num(pd.Timestamp("2026-01-12") + pd.Timedelta(weeks=week)))


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_weeks_lie_at_their_mondays_and_those_without_rows_keep_their_place(zone) -> None:
    """A gap in the sending must show as a gap; a caller's own dates fit the axis."""
    (_, ax), mondays = plt.subplots(), pd.to_datetime(["2026-03-02", "2026-03-30"]).tz_localize(zone)

    week_axis(ax, mondays)

    first, last = week_places(mondays)
    assert last - first == 28
    assert num2date(first).date() == mondays[0].date()
    ax.figure.canvas.draw()
    labels = [text.get_text() for text in ax.get_xticklabels() if text.get_text()]
    assert labels == ["02 Mar", "09 Mar", "16 Mar", "23 Mar", "30 Mar"]
    plt.close(ax.figure)


def test_the_limits_are_those_of_the_statistic() -> None:
    """They carry the baseline's own error, which the picture cannot know."""
    result = deliverability_result(1)

    ax = plots.plot_deliverability(result, min_n=1)

    lower, upper = (line.get_ydata() for line in named(ax, "limit"))
    assert lower == pytest.approx(result["limit_lo"].to_numpy(dtype=float))
    assert upper == pytest.approx(result["limit_hi"].to_numpy(dtype=float))
    assert named(ax, "baseline")[0].get_ydata() == pytest.approx(0.015)


def test_a_wide_limit_does_not_flatten_the_weeks() -> None:
    """After a first week of little mail almost any rate is inside."""
    result = deliverability_result(1)
    result["limit_hi"] = 0.9

    top = plots.plot_deliverability(result).child_axes[0].get_ylim()[1]

    assert top < 0.2


def test_weeks_of_little_mail_have_no_limits() -> None:
    """The statistic gives no alert there, and limits of 0 to a half would say nothing."""
    result = deliverability_result(1)

    _, upper = (line.get_ydata() for line in named(plots.plot_deliverability(result, min_n=200), "limit"))

    assert np.isnan(upper).tolist() == (result["bounce_rate_n"] < 200).tolist()


@pytest.mark.parametrize("mailboxes", [1, 3, 12])
def test_points_limits_and_narrow_whiskers_fit_the_panels(mailboxes) -> None:
    """Most whiskers of weeks with enough mail ran off the top, and looked like one."""
    ax = plots.plot_deliverability(deliverability_result(mailboxes))

    top = ax.child_axes[0].get_ylim()[1]
    limits = np.concatenate([line.get_ydata() for line in named(ax, "limit")])
    assert max(y for _, y in points(ax)) < top
    assert np.nanmax(limits) < top
    assert len(points(ax, "beyond")) <= 0.1 * len(whiskers(ax))


def test_a_point_on_little_mail_beyond_the_panel_is_seen_at_its_edge() -> None:
    """Four of five bounced: no reason to flatten the weeks of four hundred."""
    result = deliverability_result(1)
    result.loc[2, ["bounce_rate", "bounce_rate_n"]] = [0.8, 5]

    ax = plots.plot_deliverability(result)

    assert points(ax, "estimate-beyond") == [(at(2), ax.child_axes[0].get_ylim()[1])]
    assert "Hollow: above the panel" in words(ax).replace("\n", " ")
    assert "Hollow" not in words(plots.plot_deliverability(deliverability_result(1)))


def test_thresholds_are_bands_that_are_named() -> None:
    """Watch from 2 %, act from 5 %: practice, not law, and adjustable in the statistic."""
    ax = plots.plot_deliverability(deliverability_result(1))

    (watch,), (act,) = named(ax, "watch"), named(ax, "act")
    assert (watch.get_y(), watch.get_height()) == pytest.approx((0.02, 0.03))
    assert act.get_y() == 0.05
    assert {"watch", "act"} <= set(words(ax).split("\n"))


def test_weeks_to_act_on_are_ringed() -> None:
    """The alert is the statistic's, not the picture's."""
    result = deliverability_result(2)

    rings = points(plots.plot_deliverability(result), "alert")

    assert len(rings) == (result["alert"] == "act").sum() > 0


def test_the_course_leaves_out_weeks_of_little_mail() -> None:
    """One bounce of five mailings is 20 %: the line would jump between the ends of the panel, and hide the rest."""
    result = deliverability_result(1)

    ax = plots.plot_deliverability(result, min_n=200)

    (course,) = named(ax, "course")
    assert np.isnan(course.get_ydata()).tolist() == (result["bounce_rate_n"] < 200).tolist()


def test_the_axis_shows_rates_rather_than_the_ends_of_wide_intervals() -> None:
    """A week of 25 mailings may be anything up to 15 %; what is beyond the axis is an arrow at its edge."""
    result = deliverability_result(1)
    result["bounce_rate_hi"] = result["bounce_rate_hi"].where(result.index != 2, 0.9)

    ax = plots.plot_deliverability(result)

    top = ax.child_axes[0].get_ylim()[1]
    assert 0.05 < top < 0.2
    assert (at(2), top) in points(ax, "beyond")


def test_the_mailbox_in_trouble_comes_first() -> None:
    """Twelve are drawn: those that need a look."""
    result = deliverability_result(20)

    ax = plots.plot_deliverability(result, names={2: "in trouble"})

    assert len(ax.child_axes) == 12
    assert [text.get_text() for text in ax.texts if text.get_weight() == "bold"][1] == "in trouble"


def test_a_week_without_mail_has_an_open_tick() -> None:
    """Nothing sent is no bounce rate of 0."""
    ax = plots.plot_deliverability(deliverability_result(3))

    ticks = named(ax, "no-data")
    assert [tick.get_xdata()[0] for tick in ticks] == [at(3)]
    assert ticks[0].get_transform() != ax.transData


def test_another_rate_can_be_charted() -> None:
    """Failures, complaints and opt-outs have the same form; those without thresholds have no bands."""
    result = deliverability_result(1)
    result.columns = [column.replace("bounce", "failure") for column in result.columns]

    ax = plots.plot_deliverability(result, "failure_rate")

    assert "Failure rate by mailbox and week" in words(ax)
    assert named(ax, "watch") == []


def test_touches_are_stacked_by_channel_and_week() -> None:
    """Their sum is the height of the bar."""
    activity = activity_result(1)

    ax = plots.plot_rep_activity(activity)

    tops = [bar.y1 for bar in boxes(ax, "tasks_done")]
    touches = (activity["delivered"] + activity["calls_dialed"] + activity["tasks_done"])[activity["tasks_done"] > 0]
    assert tops == touches.tolist()


def test_the_backlog_is_a_line_of_counts_on_the_same_axis() -> None:
    """Rule 12: no second axis."""
    activity = activity_result(1)

    (panel,) = plots.plot_rep_activity(activity).child_axes

    (line,) = named(panel, "backlog")
    assert list(line.get_ydata()) == activity["task_backlog"].tolist()
    assert len(panel.figure.axes) == 1


def test_the_busiest_users_are_drawn_on_shared_axes() -> None:
    """Is the load fair? Equal heights must mean equal work."""
    ax = plots.plot_rep_activity(activity_result(300))

    assert len(ax.child_axes) == 12
    assert len({panel.get_ylim() for panel in ax.child_axes}) == 1
    assert len({panel.get_xlim() for panel in ax.child_axes}) == 1
    assert "12 busiest of 300 users" in words(ax)


def test_channels_are_named_once_beside_the_bars() -> None:
    """Rule 2: no legend for four series; twelve panels share the names of one."""
    written = words(plots.plot_rep_activity(activity_result(12))).split("\n")

    assert [written.count(name) for name in ("e-mail", "calls", "other tasks", "still open")] == [1, 1, 1, 1]


def test_channels_differ_in_print() -> None:
    """Without hatches, which turn many thin bars into noise: greys that differ clearly in lightness."""
    (panel,) = plots.plot_rep_activity(activity_result(1)).child_axes

    fills = [named(panel, channel)[0].get_facecolor()[0] for channel in ("delivered", "calls_dialed", "tasks_done")]
    light = [luminance(to_hex(fill)) for fill in fills]
    assert all(one - other > 0.2 for one, other in pairwise(light))


def test_a_mailbox_that_sent_nothing_is_counted_and_not_drawn() -> None:
    """An empty chart says less than four words; where there is no other, it stays."""
    result = deliverability_result(2)
    silent = result["mailbox_id"] == 1
    result.loc[silent, ["bounce_rate", "bounce_rate_lo", "bounce_rate_hi"]] = None
    result.loc[silent, "bounce_rate_n"] = 0

    ax = plots.plot_deliverability(result)

    assert len(ax.child_axes) == 1
    assert "1 mailbox · 1 more sent nothing" in words(ax)
    assert len(plots.plot_deliverability(result[silent]).child_axes) == 1
