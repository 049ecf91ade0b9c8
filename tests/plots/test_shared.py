"""The shared pieces: percentages, labels, lines of a long picture, colors, what loads pyplot."""

import subprocess
import sys
from itertools import combinations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from outreach_frames import plots
from outreach_frames.errors import OutreachDataWarning
from outreach_frames.plots import _layout, _style
from outreach_frames.plots._input import choose_lines, ranked
from outreach_frames.plots._small_multiples import spread
from tests.plots.plot_checks import contrast, luminance, overlaps, words
from tests.plots.plot_results import JAPANESE, rates_result

MARKS = {name: mark for name, mark in vars(_style).items() if isinstance(mark, _style.Mark)}


@pytest.fixture(autouse=True)
def _themed():
    with plots.theme():
        yield


def test_shortened_labels_keep_their_end() -> None:
    """Names of versions differ at the end only."""
    one, two = (_layout.shorten(f"Outbound enterprise renewal risk, v{version}", 1.2) for version in (1, 2))

    assert one != two
    assert "…" in one
    assert _layout.width(one) <= 1.2


def test_folded_labels_fit_and_cut_words_that_do_not() -> None:
    """A word of seventy letters has no blank to break at."""
    folded = _layout.fold("Donaudampfschifffahrtsgesellschaftskapitänsmütze and more", 1.0, lines=2)

    assert folded.count("\n") == 1
    assert all(_layout.width(line) <= 1.0 for line in folded.split("\n"))


def test_equal_and_missing_names_get_their_key() -> None:
    """Two rows with the same label could not be told apart."""
    assert _layout.distinct(["a", "a", None, "b"], [1, 2, 3, 4]) == ["a #1", "a #2", "#3", "b"]


def test_letters_without_a_font_become_boxes_with_the_key_and_a_warning(monkeypatch) -> None:
    """A machine without a Japanese font must still tell rows apart, and say what to install."""
    monkeypatch.setattr(_layout, "_glyphs", lambda: frozenset(map(ord, "abc #123")))
    _layout.drawable.cache_clear()

    with pytest.warns(OutreachDataWarning, match="install a font"):
        shown = _layout.drawable(f"{JAPANESE} #3")
    with pytest.warns(OutreachDataWarning, match="install a font"):
        labels = _layout.distinct([JAPANESE, "abc"], [3, 2])
    _layout.drawable.cache_clear()

    assert shown == "\N{WHITE SQUARE}" * 6 + " #3"
    assert labels == [f"{JAPANESE} #3", "abc"]


def test_pictographs_and_control_characters_are_left_out() -> None:
    """A rocket in a name is decoration; a right-to-left override would turn the label around."""
    assert _layout.drawable("\N{ROCKET} Q4\u202e blitz") == "Q4 blitz"


@pytest.mark.parametrize("given", [None, Figure(figsize=(7, 4)).add_subplot()])
def test_dollar_signs_are_no_formula(given) -> None:
    """What stands between two dollar signs is typeset by matplotlib unless told otherwise."""
    frame = rates_result(3).assign(name=["$5k to $9k", "$_{", "a"])

    ax = plots.plot_rates(frame, ax=given)

    assert overlaps(ax) == []
    assert "$5k to $9k" in words(ax)
    assert not any(label.get_parse_math() for label in ax.get_yticklabels())


def test_rows_are_sorted_by_value_then_trials_then_name_with_missing_ones_last() -> None:
    """Rule 5."""
    values, trials = np.array([0.1, np.nan, 0.2, 0.1, 0.1]), np.array([5.0, 0.0, 5.0, 9.0, 5.0])

    assert ranked(values, trials, ["d", "a", "c", "b", "a"]) == [2, 3, 4, 0, 1]


@pytest.mark.parametrize("empty", [0, 1, 30])
@pytest.mark.parametrize("rows", [5, 40, 41, 200])
def test_a_long_picture_shows_both_ends_and_counts_the_rest(rows, empty) -> None:
    """No row may be lost: each is either drawn or part of exactly one line that says how many it stands for."""
    empty = min(empty, rows)
    has_value = [row < rows - empty for row in range(rows)]

    lines = choose_lines(range(rows), has_value, 40)

    assert len(lines.groups) <= 40
    assert sorted(row for group in lines.groups for row in group) == list(range(rows))
    assert lines.groups[0] == (0,)


def test_positions_are_moved_apart_around_their_middle() -> None:
    """Labels at the end of lines keep their order and stay near what they name."""
    assert spread([0.0, 0.0, 5.0], 1.0) == [-0.5, 0.5, 5.0]
    assert spread([2.0, 1.0], 0.5) == [2.0, 1.0]


@pytest.mark.parametrize("mark", MARKS)
def test_ink_of_every_meaning_can_be_read_on_white(mark) -> None:
    """WCAG 2.2: 4.5 to 1 for text; the ink is also the outline of points and areas, which need 3 to 1."""
    assert contrast(MARKS[mark].ink) >= 4.5


@pytest.mark.parametrize("color", [_style.INK, _style.MUTED])
def test_plain_text_can_be_read_on_white(color) -> None:
    """Footnotes are small: they need the full contrast of text."""
    assert contrast(color) >= 4.5


def test_meanings_keep_the_colors_of_the_rules() -> None:
    """Rule 3: reply bluish green, opt-out vermillion, bounce reddish purple, open sky blue, after Okabe and Ito."""
    fixed = {"REPLY": "#009E73", "OPT_OUT": "#D55E00", "BOUNCE": "#CC79A7", "OPEN": "#56B4E9"}

    assert {name: MARKS[name].fill for name in fixed} == fixed
    assert len(set(to_rgb(MARKS["NONE"].fill))) == 1


@pytest.mark.parametrize(("one", "other"), [*combinations(sorted(MARKS), 2)])
def test_no_two_meanings_differ_by_color_alone(one, other) -> None:
    """Rule 3 and print in gray: each pair has another marker, and another hatch or a clearly different lightness."""
    a, b = MARKS[one], MARKS[other]

    assert a.marker != b.marker
    assert a.hatch != b.hatch or abs(luminance(a.fill) - luminance(b.fill)) > 0.1


def test_theme_is_gone_after_the_block() -> None:
    """A library that restyles its users' plots is a nuisance."""
    before = dict(mpl.rcParams)

    with plots.theme():
        assert mpl.rcParams["text.parse_math"] is False

    assert dict(mpl.rcParams) == before


def test_importing_the_package_loads_no_matplotlib() -> None:
    """`import outreach_frames` must stay fast; `outreach_frames.plots` is lazy."""
    script = "import sys, outreach_frames, outreach_frames.plots; print('matplotlib' in sys.modules)"

    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "False"


def test_drawing_loads_no_pyplot() -> None:
    """Pyplot keeps every figure alive and may open windows."""
    script = (
        "import sys, pandas as pd; from outreach_frames import plots;"
        "columns = ['sequence_id', *('enrollment_reply_rate' + end for end in ('', '_n', '_lo', '_hi'))];"
        "plots.plot_rates(pd.DataFrame([[1, .1, 50, .05, .2]], columns=columns)).figure.savefig(sys.argv[1]);"
        "print('matplotlib.pyplot' in sys.modules)"
    )

    ran = subprocess.run([sys.executable, "-c", script, "/dev/null"], capture_output=True, text=True, check=False)

    assert ran.stdout.strip() == "False", ran.stderr


def test_public_names_are_listed_and_lazy() -> None:
    """Each name in ``__all__`` can be had, and nothing else."""
    assert all(callable(getattr(plots, name)) for name in plots.__all__)
    assert dir(plots) == sorted(plots.__all__)
    with pytest.raises(AttributeError, match="plot_nothing"):
        _ = plots.plot_nothing


def test_two_pictures_on_one_figure_are_both_described() -> None:
    """The description belongs to the figure, which may hold several pictures."""
    one, other = Figure(figsize=(14, 4)).subplots(1, 2)

    plots.plot_rates(rates_result(3), ax=one)
    plots.plot_rates(rates_result(3, rate="open_rate"), "open_rate", ax=other)

    assert "enrollment reply rate" in one.figure.outreach_alt
    assert "open rate" in one.figure.outreach_alt
