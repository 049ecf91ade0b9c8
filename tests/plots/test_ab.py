"""`plots.plot_ab_test`: densities, differences, the verdict."""

import numpy as np
import pytest
from scipy.stats import beta

from outreach_frames import plots
from outreach_frames.errors import DataError
from outreach_frames.plots.ab_test import _beta_density
from tests.plots.plot_checks import named, points, words
from tests.plots.plot_results import experiment_result


def test_the_density_is_that_of_the_beta_distribution() -> None:
    """Against SciPy, which the pictures do not load."""
    grid = np.linspace(0.01, 0.99, 50)

    assert _beta_density(grid, 3.5, 40.0) == pytest.approx(beta.pdf(grid, 3.5, 40.0))


def test_densities_use_the_prior_of_the_test() -> None:
    """Another prior would contradict the chances; the mode of this one is (x + α − 1)/(n + α + β − 2)."""
    ax = plots.plot_ab_test(experiment_result(variants=1))

    (area,) = named(ax, "posterior")
    outline = area.get_paths()[0].vertices
    peak = outline[outline[:, 1].argmin(), 0]
    assert peak == pytest.approx((16 + 2 - 1) / (400 + 42 - 2), abs=0.001)


def test_of_two_variants_only_the_better_one_s_difference_is_drawn() -> None:
    """The other row is the same picture turned round."""
    ax = plots.plot_ab_test(experiment_result())

    (strip,) = ax.child_axes
    assert [label.get_text() for label in strip.get_yticklabels()] == ["B − A"]
    assert [x for x, _ in points(strip)] == pytest.approx([0.02])
    (zero,) = named(strip, "zero")
    assert zero.get_xdata()[0] == 0


def test_of_more_variants_each_is_compared_with_its_rival() -> None:
    """The best of the others is the one to beat."""
    (strip,) = plots.plot_ab_test(experiment_result(variants=3)).child_axes

    assert [label.get_text() for label in strip.get_yticklabels()] == ["A − C", "B − A", "C − A"]


def test_the_verdict_is_written_out() -> None:
    """Numbers are misread; the verdict is the message."""
    assert "Verdict: too early to tell (plan: 1,514 enrollments in each variant)" in words(
        plots.plot_ab_test(experiment_result())
    )
    assert "read no rate" in words(plots.plot_ab_test(experiment_result(verdict="broken split"))).replace("\n", " ")


def test_the_step_with_most_enrollments_is_drawn_unless_another_is_asked_for() -> None:
    """One picture is one test; the subtitle says how many there are."""
    test = experiment_result(steps=3)

    assert "1 of 3 steps tested" in words(plots.plot_ab_test(test))
    assert "step with id 101" in words(plots.plot_ab_test(test))
    assert "step with id 103" in words(plots.plot_ab_test(test, step=103))
    with pytest.raises(DataError, match=r"Step 9 is not in this test\.\nHint: It has the steps 101, 102, 103"):
        plots.plot_ab_test(test, step=9)


def test_variants_without_trials_have_an_open_tick_and_no_curve() -> None:
    """Their posterior would be the prior alone."""
    ax = plots.plot_ab_test(experiment_result(scale=0))

    assert named(ax, "posterior") == []
    assert len(named(ax, "no-data")) == 3


def test_a_step_is_called_by_its_name_or_by_its_place_in_its_sequence() -> None:
    """An id beside the word step reads like a place, and a place says little without its sequence."""
    test = experiment_result()
    placed = test.assign(order=1, sequence_name="Cold")

    assert "variants of step 1 of Cold\n" in words(plots.plot_ab_test(placed))
    assert "variants of Opening\n" in words(plots.plot_ab_test(placed.assign(step_name="Opening")))
    assert "variants of step 2 of Warm\n" in words(plots.plot_ab_test(placed, names={101: "step 2 of Warm"}))
    assert "variants of the step with id 101\n" in words(
        plots.plot_ab_test(test.assign(order=1), names={102: "another"})
    )


def test_the_description_says_which_step_it_is() -> None:
    """Who hears the picture has no title."""
    assert (
        "step 2 of Warm" in plots.plot_ab_test(experiment_result(), names={101: "step 2 of Warm"}).figure.outreach_alt
    )


@pytest.mark.parametrize(
    ("per_day", "sentence"),
    [
        (None, "(plan: 1,514 enrollments in each variant)"),
        (40, "(plan: 1,514 enrollments in each variant; about 57 more days at 40 a day)"),
        (2.5, "(plan: 1,514 enrollments in each variant; about 2 more years at 2.5 a day)"),
        (0, "(plan: 1,514 enrollments in each variant; nobody reaches the step now)"),
    ],
)
def test_at_a_pace_the_verdict_says_how_long(per_day, sentence) -> None:
    """The smaller variant has 390 of 1,514: (1,514 − 390) × 2 enrollments are still to come."""
    ax = plots.plot_ab_test(experiment_result(), per_day=per_day)

    assert sentence in words(ax).replace("\n", " ")
    assert (sentence in ax.figure.outreach_alt.replace("\N{NO-BREAK SPACE}", " ")) == (per_day is not None)


@pytest.mark.parametrize(("verdict", "scale"), [("A better", 1), ("too early", 10)])
def test_a_test_that_is_decided_or_full_has_no_days_to_come(verdict, scale) -> None:
    assert " more " not in words(plots.plot_ab_test(experiment_result(verdict=verdict, scale=scale), per_day=40))
