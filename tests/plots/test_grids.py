"""Grids of cells: `plots.plot_cohort_matrix` and `plots.plot_send_time_heatmap`."""

import pandas as pd
import pytest
from matplotlib.colors import to_hex

from outreach_frames import plots
from outreach_frames._format import plain
from outreach_frames.plots._small_multiples import readable_on, shade
from outreach_frames.plots._style import REPLY
from tests.plots.plot_checks import contrast, luminance, named, words
from tests.plots.plot_results import arrow, cohorts_result, heatmap_result


def test_an_immature_cohort_is_hatched_with_its_count_and_not_colored() -> None:
    """The newest week always looks worst: it has not had its time."""
    ax = plots.plot_cohort_matrix(cohorts_result(4, weeks=4))

    immature = named(ax, "immature")
    assert len(immature) == 6
    assert {to_hex(cell.get_facecolor()) for cell in immature} == {"#ffffff"}
    assert all(cell.get_hatch() for cell in immature)
    assert all(text.get_text().startswith("(") for text in named(ax, "immature-text"))


def test_mature_cells_hold_their_percentage_and_get_darker_with_it() -> None:
    """Color and number say the same, so that neither is needed alone."""
    ax = plots.plot_cohort_matrix(cohorts_result(6, weeks=1))

    numbers = [float(text.get_text()) for text in named(ax, "mature-text")]
    shades = [luminance(to_hex(cell.get_facecolor())) for cell in named(ax, "mature")]
    pairs = sorted(zip(numbers, shades, strict=True))
    assert [shade for _, shade in pairs] == sorted(shades, reverse=True)


def test_cohorts_keep_the_order_of_the_calendar() -> None:
    """Rule 5; the day is the Monday in the zone of the statistic."""
    ax = plots.plot_cohort_matrix(cohorts_result(3))

    assert [plain(label.get_text()) for label in ax.get_yticklabels()] == ["9 Mar 2026", "16 Mar 2026", "23 Mar 2026"]
    assert "Europe/Berlin" in words(ax)


def test_only_the_latest_cohorts_and_first_weeks_are_drawn() -> None:
    """A year of weeks would not be read; the subtitle says that there are more."""
    ax = plots.plot_cohort_matrix(cohorts_result(60, weeks=16), max_rows=10, max_weeks=5)

    assert len(ax.get_yticklabels()) == 10
    assert len(ax.get_xticklabels()) == 5
    assert "10 latest of 60 weekly cohorts" in words(ax)


@pytest.mark.parametrize("rate", [0, 0.25, 0.5, 0.75, 1])
def test_text_can_be_read_on_every_shade(rate) -> None:
    """From white to dark green there is a middle where neither black nor white is easy."""
    color = shade(rate, 1, REPLY)

    assert contrast(color, readable_on(color)) >= 4.5


def test_hours_with_little_mail_are_dots_without_a_shade() -> None:
    """One reply to two mails is no best hour."""
    heatmap = arrow(
        pd.DataFrame(
            {
                "weekday": ["Mon", "Tue", "Sun"],
                "hour": [9, 0, 23],
                "delivered": [100, 2, 0],
                "replied": [10, 1, 0],
                "shrunk": [0.1, 0.12, None],
            }
        ),
        "send_time_heatmap",
        clock="prospect",
        metric="reply_rate",
        min_n=20,
    )

    ax = plots.plot_send_time_heatmap(heatmap)

    (cell,) = named(ax, "cell")
    assert (cell.get_x() + cell.get_width() / 2, cell.get_y() + cell.get_height() / 2) == pytest.approx((9, 0))
    (dot,) = named(ax, "few")
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (0, 1)


def test_the_area_of_a_cell_is_its_share_of_the_busiest_hour() -> None:
    """Area, not side: the eye compares areas."""
    heatmap = heatmap_result()

    cells = named(plots.plot_send_time_heatmap(heatmap), "cell")

    areas = sorted(cell.get_width() * cell.get_height() for cell in cells)
    firm = sorted(heatmap.loc[heatmap["delivered"] >= 20, "delivered"])
    assert [area / areas[-1] for area in areas] == pytest.approx([n / firm[-1] for n in firm])


def test_the_axis_names_whose_clock_it_is() -> None:
    """Rule 4: nine o'clock says little without the place."""
    assert (
        plots.plot_send_time_heatmap(heatmap_result()).get_xlabel() == "hour of sending, in the recipient's time zone"
    )


def test_hours_that_are_all_alike_are_said_to_be() -> None:
    """Where nothing is known to differ every cell has the same shade, which looks like a fault until explained."""
    heatmap = heatmap_result()
    alike = plots.plot_send_time_heatmap(heatmap.assign(shrunk=0.049))

    assert "no hour stands out" not in words(plots.plot_send_time_heatmap(heatmap))
    assert "no hour stands out" in words(alike)
    assert "No hour stands out" in alike.figure.outreach_alt
    assert "Highest" not in alike.figure.outreach_alt


def test_hours_that_are_all_alike_have_a_middle_shade() -> None:
    """The darkest one would say that these are the best hours."""
    ax = plots.plot_send_time_heatmap(heatmap_result().assign(shrunk=0.049))

    assert {to_hex(cell.get_facecolor()) for cell in named(ax, "cell")} == {shade(0.5, 1, REPLY)}
    (usual,) = named(ax, "usual")
    assert list(usual.get_xdata()) == pytest.approx([0.5, 0.5])
    assert "all hours 4.9 %" in words(ax)


def test_the_darkest_shade_is_the_highest_rate_where_that_is_more_than_twice_the_usual_one() -> None:
    """An hour that does stand out is the end of the scale."""
    heatmap = heatmap_result()
    busiest = heatmap["delivered"] == heatmap["delivered"].max()

    ax = plots.plot_send_time_heatmap(heatmap.assign(shrunk=heatmap["shrunk"].where(~busiest, 0.4)))

    assert shade(1, 1, REPLY) in {to_hex(cell.get_facecolor()) for cell in named(ax, "cell")}
    assert "40.0 % Reply rate" in words(ax)


def test_the_rate_of_all_hours_is_that_of_all_mail() -> None:
    """Not the mean of the shrunken rates: 10 of 110, though both are drawn to each other."""
    columns = {"weekday": ["Mon", "Tue"], "hour": [9, 9], "delivered": [100, 10], "replied": [10, 0]}
    rates = {"reply_rate": [0.1, 0.0], "reply_rate_n": [100, 10], "shrunk": [0.09, 0.08]}
    heatmap = arrow(pd.DataFrame(columns | rates), "send_time_heatmap", metric="reply_rate", min_n=5)

    assert "all hours 9.1 %" in words(plots.plot_send_time_heatmap(heatmap))


def test_hours_without_any_reply_are_drawn() -> None:
    """A scale from 0 to 0 has no middle."""
    ax = plots.plot_send_time_heatmap(heatmap_result().assign(shrunk=0.0))

    assert {to_hex(cell.get_facecolor()) for cell in named(ax, "cell")} == {shade(0, 1, REPLY)}


def test_totals_stand_at_the_edges() -> None:
    """Who is mailed when is part of the answer."""
    heatmap = heatmap_result()

    _, beside, _ = plots.plot_send_time_heatmap(heatmap).child_axes

    days = heatmap.groupby("weekday")["delivered"].sum()
    assert [bar.get_width() for bar in beside.patches][:5] == [days[day] for day in ("Mon", "Tue", "Wed", "Thu", "Fri")]
