"""`plots.plot_rates`: where its points, whiskers, numbers and ticks lie."""

from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from matplotlib.colors import to_hex

from outreach_frames import plots
from outreach_frames._format import plain
from outreach_frames.plots._style import OPEN, REPLY
from tests.plots.plot_checks import named, points, whiskers, words
from tests.plots.plot_results import arrow, rates_result


@pytest.fixture
def rates() -> pd.DataFrame:
    """Four sequences: two firm, one on few trials, one without any."""
    frame = pd.DataFrame(
        {
            "sequence_id": [1, 2, 3, 4],
            "name": ["low", "high", "few", "none"],
            "enrollment_reply_rate": [0.02, 0.06, 0.5, np.nan],
            "enrollment_reply_rate_n": [1000, 500, 2, 0],
            "enrollment_reply_rate_lo": [0.013, 0.042, 0.09, np.nan],
            "enrollment_reply_rate_hi": [0.031, 0.084, 0.91, np.nan],
        }
    )
    return arrow(frame, "sequence_engagement")


def test_rows_are_sorted_by_rate_and_missing_ones_come_last(rates) -> None:
    """Rule 5: the eye reads a ranking from the top."""
    ax = plots.plot_rates(rates)

    assert [label.get_text() for label in ax.get_yticklabels()] == ["few", "high", "low", "none"]


def test_groups_that_are_too_young_are_marked_and_not_ranked(rates) -> None:
    """A sequence that began last week has its replies still to come; without the column nothing is known of it."""
    young = rates.assign(enrollment_reply_rate_14d_n=pd.array([900, 100, 2, 0], dtype="int64[pyarrow]"))
    young.attrs = rates.attrs

    ax = plots.plot_rates(young)

    assert [label.get_text() for label in ax.get_yticklabels()] == ["few", "low", "high", "none"]
    assert "6.0 %*" in words(ax)
    assert "* too young to compare" in words(ax)
    assert "too young" not in words(plots.plot_rates(rates))
    by_bounces = plots.plot_rates(
        young.rename(columns=lambda name: name.replace("enrollment_reply", "bounce")), "bounce_rate"
    )
    assert "too young" not in words(by_bounces)


def test_points_and_whiskers_lie_at_the_rates_and_their_bounds(rates) -> None:
    """Fractions on the axis, percent only in the labels."""
    ax = plots.plot_rates(rates)

    assert {(0.06, 1), (0.02, 2)} <= set(points(ax))
    assert {(0.042, 1, 0.084, 1), (0.013, 2, 0.031, 2)} <= set(whiskers(ax))


def test_an_estimate_on_few_trials_neither_squeezes_the_others_nor_vanishes(rates) -> None:
    """One of two replied: with half of all on the axis the firm rates would be a heap at the left."""
    ax = plots.plot_rates(rates)

    assert ax.get_xlim()[1] < 0.1
    assert [y for _, y in points(ax, "beyond")] == [0]
    (hollow,) = named(ax, "estimate-beyond")
    assert hollow.get_markerfacecolor() == "white"
    (place,) = hollow.get_transform().transform(hollow.get_xydata())
    assert ax.get_xlim()[1] * 0.9 < ax.transData.inverted().transform(place)[0] < ax.get_xlim()[1]
    assert "Hollow: further out" in words(ax)
    assert all(line.get_alpha() < 1 for line in named(ax, "beyond") if len(line.get_xdata()))
    assert "50.0 %" in words(ax)  # as many decimals as the other rates of the column


def test_a_point_on_few_trials_is_seen_where_it_lies(rates) -> None:
    """The first of all rows had only a whisker: its whisker may be cut, its point may not."""
    ax = plots.plot_rates(rates.assign(enrollment_reply_rate=[0.02, 0.06, 0.24, np.nan]))

    assert (0.24, 0) in points(ax)
    assert ax.get_xlim()[1] >= 0.24
    assert [y for _, y in points(ax, "beyond")] == [0]
    assert named(ax, "estimate-beyond") == []
    assert "Hollow" not in words(ax)


@pytest.mark.parametrize("few", [0.3, 0.7, 1.0])
def test_no_row_with_a_rate_is_without_a_point(rates, few) -> None:
    """Filled at its place, or hollow at the edge."""
    ax = plots.plot_rates(rates.assign(enrollment_reply_rate=[0.02, 0.06, few, np.nan]))

    assert sorted(y for _, y in points(ax) + points(ax, "estimate-beyond")) == [0, 1, 2]


def test_a_rate_of_all_is_on_the_axis() -> None:
    """Twelve of twelve opened: beside rates of about a half the axis goes up to 100 %."""
    opens = rates_result(6, rate="open_rate", mean=0.5, empty=0)
    opens.loc[0, ["open_rate", "open_rate_n", "open_rate_lo", "open_rate_hi"]] = [1.0, 12, 0.76, 1.0]

    ax = plots.plot_rates(opens, "open_rate")

    assert (1.0, 0) in points(ax)
    assert points(ax, "beyond") == []


def test_missing_is_an_open_tick_and_never_zero(rates) -> None:
    """Rule 7."""
    ax = plots.plot_rates(rates)

    (tick,) = named(ax, "no-data")
    assert tick.get_ydata() == [3]
    assert tick.get_markerfacecolor() == "none"
    assert tick.get_transform() != ax.transData
    assert 3 not in [y for _, y in points(ax)] + [y for _, y, *_ in whiskers(ax)]
    assert "no data" in words(ax)


def test_the_axis_starts_at_zero(rates) -> None:
    """Rule 4."""
    assert plots.plot_rates(rates).get_xlim()[0] == 0


def test_the_reference_is_the_pooled_rate(rates) -> None:
    """Sum of numerators over sum of denominators, (20 + 30 + 1) / 1502, not the mean of the rates."""
    (rule,) = named(plots.plot_rates(rates), "reference")

    assert rule.get_xdata()[0] == pytest.approx(51 / 1502)


def test_the_reference_says_what_it_is_and_what_is_not_in_it(rates) -> None:
    """Mail to people without a time zone is in no row, and not in the rate of all rows either."""
    zones = rates.rename(columns={"sequence_id": "prospect__time_zone_iana"})
    arrow(zones, "engagement", by=["prospect__time_zone_iana"])
    zones.attrs["outreach_frames"]["parameters"]["by"] = ["prospect__time_zone_iana"]
    zones.attrs["outreach_frames"]["dropped"] = {"prospect__time_zone_iana missing": 419, "mailing not sent": 7}
    rates.attrs["outreach_frames"]["dropped"] = {"mailing of no sequence": 1}

    by_zone = words(plots.plot_rates(zones, "enrollment_reply_rate")).replace("\n", " ")
    by_sequence = words(plots.plot_rates(rates)).replace("\n", " ")

    assert "Dashed: the 4 prospect time zones together; left out: 419 records without one." in by_zone
    assert "Dashed: the 4 sequences together; left out: 1 record without one." in by_sequence
    assert "together 3.4 %" in by_zone


def test_columns_of_included_resources_are_written_in_words(rates) -> None:
    """The title is for people who have never seen a column."""
    zones = rates.rename(columns={"sequence_id": "prospect__time_zone_iana"}).drop(columns="name")
    zones.attrs["outreach_frames"]["parameters"]["by"] = ["prospect__time_zone_iana"]

    written = words(plots.plot_rates(zones, "enrollment_reply_rate"))

    assert "Enrollment reply rate by prospect time zone\n" in written
    assert "4 prospect time zones ·" in written


def test_every_row_has_its_rate_and_denominator_in_numbers(rates) -> None:
    """Rule 1: no estimate without n."""
    ax = plots.plot_rates(rates)

    assert {"2.0 %", "1,000", "6.0 %", "500", "–", "0"} <= {plain(text.get_text()) for text in ax.texts}


def test_open_rates_say_that_machines_open_mail_and_have_their_own_color_and_marker() -> None:
    """Rules 3 and 8."""
    ax = plots.plot_rates(rates_result(4, rate="open_rate", mean=0.5), "open_rate")

    assert ax.get_xlabel() == "Open rate (machine opens included)"
    assert "(machine opens included)" in ax.figure.outreach_alt
    assert {line.get_marker() for line in named(ax, "estimate")} == {OPEN.marker} != {REPLY.marker}
    assert {to_hex(line.get_color()).upper() for line in named(ax, "estimate")} == {OPEN.fill}


def test_weeks_keep_their_order() -> None:
    """Rule 5: a calendar sorted by value could not be read."""
    weeks = rates_result(3, rate="reply_rate", names=False)
    mondays = [date(2026, 3, 2), date(2026, 3, 9), date(2026, 3, 16)]
    weeks = weeks.assign(sequence_id=pd.array(mondays, dtype=pd.ArrowDtype(pa.date32())))
    weeks = arrow(weeks.rename(columns={"sequence_id": "week"}), "engagement", by=["week"])

    ax = plots.plot_rates(weeks)

    assert [label.get_text() for label in ax.get_yticklabels()] == ["2 Mar 2026", "9 Mar 2026", "16 Mar 2026"]


def test_several_keys_name_a_row_together() -> None:
    """`engagement(by=["origin", "mailbox_id"])` has no single key."""
    frame = rates_result(2, rate="reply_rate", names=False).assign(origin=["single", "sequence"])
    frame.attrs["outreach_frames"]["parameters"]["by"] = ["origin", "sequence_id"]

    ax = plots.plot_rates(frame)

    assert {label.get_text() for label in ax.get_yticklabels()} == {"single · 1", "sequence · 2"}


def test_a_total_without_groups_is_one_row() -> None:
    """`engagement(mailings)` has no keys."""
    total = rates_result(1, rate="reply_rate", names=False, empty=0).drop(columns="sequence_id")
    total.attrs["outreach_frames"]["parameters"]["by"] = []

    ax = plots.plot_rates(total)

    assert [label.get_text() for label in ax.get_yticklabels()] == ["all mailings"]


def test_two_hundred_rows_show_both_ends_and_say_how_many_are_left_out() -> None:
    """A picture as long as a corridor is not read; nothing is dropped silently."""
    ax = plots.plot_rates(rates_result(200, empty=12))

    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert len(labels) == 40
    assert "⋮ 150 more" in labels
    assert "⋮ 12 more" in labels


def test_all_rows_are_drawn_on_request() -> None:
    """Who wants the corridor gets it."""
    assert len(plots.plot_rates(rates_result(200), max_rows=None).get_yticklabels()) == 200


def test_low_axes_show_as_many_rows_as_they_can_hold() -> None:
    """A given rectangle is not enlarged: the rest is counted."""
    figure = plots.plot_rates(rates_result(3)).figure
    ax = plots.plot_rates(rates_result(40), ax=figure.add_axes((0, 0, 1, 1)))

    assert len(ax.get_yticklabels()) < 12
    assert any("more" in label.get_text() for label in ax.get_yticklabels())


def test_the_rates_of_a_column_have_equal_decimals() -> None:
    """Half of the groups or more have a hundred trials or more: all have a decimal; else none has."""
    many, few = rates_result(3), rates_result(3)
    many["enrollment_reply_rate_n"], few["enrollment_reply_rate_n"] = [500, 200, 9], [500, 20, 9]

    columns = [words(plots.plot_rates(each)).split("\nrate\n")[1].split("\nn\n")[0].split("\n") for each in (many, few)]

    assert [{cell.partition(".")[1] for cell in column if "%" in cell} for column in columns] == [{"."}, {""}]
