"""Size, background and language of pictures, by their artists; that nothing changes without them is in other tests."""

import re
import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.collections import Collection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from outreach_frames import _format, findings, plots
from outreach_frames.errors import DataError, MissingExtraError
from outreach_frames.plots import _style
from tests.plots.plot_checks import contrast, extents, named, outside, overlaps, panels, texts, words
from tests.plots.plot_results import deliverability_result, heatmap_result, names_for, rates_result, trend_result
from tests.plots.test_house_rules import PICTURES, draw

SLIDE = pytest.approx((40 / 3, 7.5))
MANY = ("rates 200 rows", "incidence by 15 sequences", "funnel 20 sequences of 14 steps", "rates no row")
ONE_OF_EACH = {getattr(function, "func", function): name for name, (function, _) in reversed(PICTURES.items())}
for_each_plot = pytest.mark.parametrize("picture", [*ONE_OF_EACH.values(), *MANY])


def rates(groups=4):
    return rates_result(groups, empty=0)


@for_each_plot
def test_a_slide_is_a_slide_and_readable_on_dark(picture) -> None:
    """Text of at least 8 points × 1.6, small multiples too; nothing touches, and nothing is dark on dark."""
    with plots.theme(size="slide", dark=True, locale="de"):
        ax = draw(picture)

    figure = ax.figure
    assert tuple(figure.get_size_inches()) == SLIDE
    assert figure.dpi * figure.get_figwidth() == pytest.approx(1920)
    written = texts(ax)
    on_dark = [text for text in written if text.get_gid() != "mature-text"]
    assert {text.get_text() for text in on_dark if contrast(text.get_color(), _style.DARK_PAPER) < 4.5} == set()
    assert min(text.get_fontsize() for text in written) >= 5 * 1.6
    assert max(text.get_fontsize() for text in written) == pytest.approx(_style.TITLE_PT * 1.6)
    assert {to_hex(panel.get_facecolor()) for panel in panels(ax)} == {to_hex(_style.DARK_PAPER)}
    assert overlaps(ax) == []
    assert outside(ax, figure.bbox) == []


@pytest.mark.parametrize("dark", [False, True])
def test_lines_and_points_grow_with_the_text_and_have_the_colors_of_the_theme(dark) -> None:
    """Whiskers of two points on a slide of 13 inches would be hairs."""
    page = plots.plot_rates(rates())
    with plots.theme(size="slide", dark=dark):
        slide = plots.plot_rates(rates())

    for gid, width in (("interval", Collection.get_linewidth), ("estimate", Line2D.get_markersize)):
        one, other = named(page, gid)[0], named(slide, gid)[0]
        assert [*np.ravel(width(other))] == pytest.approx([1.6 * each for each in np.ravel(width(one))])
    (reference,) = named(slide, "reference")
    assert to_hex(reference.get_color()).upper() == (_style.DARK_INKS[_style.INK] if dark else _style.INK)


@pytest.mark.parametrize("light", sorted(_style.DARK_INKS.keys() - {_style.PAPER, _style.FAINT}))
def test_every_ink_has_one_that_can_be_read_on_dark(light) -> None:
    assert contrast(_style.DARK_INKS[light], _style.DARK_PAPER) >= 4.5


def test_every_ink_of_a_meaning_has_a_dark_one() -> None:
    """A meaning that is added later is not forgotten."""
    marks = [mark for mark in vars(_style).values() if isinstance(mark, _style.Mark)]

    assert {mark.ink for mark in marks} <= _style.DARK_INKS.keys()


def test_grids_of_small_multiples_stay_faint_on_dark() -> None:
    """Their panels take matplotlib's own settings, unlike the Axes of one panel."""
    with plots.theme(dark=True):
        ax = plots.plot_deliverability(deliverability_result(), names=names_for(3))

    lines = [tick.gridline for panel in ax.child_axes for tick in panel.yaxis.get_major_ticks()]
    assert {to_hex(line.get_color()).upper() for line in lines} == {_style.DARK_INKS[_style.FAINT]}


def test_a_given_axes_gets_the_text_of_the_theme_and_keeps_its_place() -> None:
    """A light figure of one's own would show light text on white."""
    figure = Figure(figsize=(13.33, 7.5))
    given, _ = figure.subplots(1, 2)
    place = given.get_position()

    with plots.theme(size="slide", dark=True):
        plots.plot_rates(rates(), ax=given)

    assert outside(given, place.transformed(figure.transFigure)) == []
    assert overlaps(given) == []
    assert [to_hex(each.get_facecolor()) for each in figure.artists] == [to_hex(_style.DARK_PAPER)]


def test_numbers_percent_signs_months_and_weekdays_are_of_the_language_whenever_it_is_drawn() -> None:
    """Ticks are written while the figure is drawn, after the block has ended."""
    with plots.theme(locale="de"):
        drawn = [
            plots.plot_rates(rates_result(8, empty=0, mean=0.02)),
            plots.plot_deliverability(deliverability_result(), names=names_for(3)),
            plots.plot_trend(trend_result()),
            plots.plot_send_time_heatmap(heatmap_result()),
        ]

    for ax in drawn:
        extents(ax)
    rate, weeks, trend, hours = map(words, drawn)
    assert "as of 31. März 2026" in rate
    assert re.search(r"\d,\d %", rate)
    assert not re.search(r"\d\.\d\d? ?%", rate)
    assert "März" in weeks
    assert "Dez" in trend
    assert "\nMo\n" in hours


@pytest.mark.parametrize(
    ("locale", "texts"),
    [
        ("en", ("4.2 %", "1,234,567", "3 Mar 2026", "−1.2", "12.3 k")),
        ("de", ("4,2 %", "1.234.567", "3. März 2026", "−1,2", "12,3 k")),
        ("tr", ("%4,2", "1.234.567", "3 Mar 2026", "−1,2", "12,3 k")),
        ("en-IN", ("4.2%", "12,34,567", "3 Mar 2026", "−1.2", "12.3 k")),
    ],
)
def test_each_kind_of_figure_is_written_as_the_language_does(locale, texts) -> None:
    """The Unicode CLDR's; digits and rounding are those of English."""
    with plots.theme(locale=locale):
        written = (
            _format.percent(0.0421, 500),
            _format.count(1_234_567),
            _format.day("2026-03-03"),
            _format.signed_points(-0.0123),
            _format.amount(12_345),
        )

    assert tuple(map(_format.plain, written)) == texts


def test_sentences_follow_the_language_while_it_lasts() -> None:
    with plots.theme(locale="de"):
        assert _format.plain(str(findings._finding.Rate(0.0421, 0.031, 0.056, 1500))) == "4,2 % (3,1–5,6 %, n = 1.500)"
    assert _format.plain(str(findings._finding.Rate(0.0421, 0.031, 0.056, 1500))) == "4.2 % (3.1–5.6 %, n = 1,500)"


def test_a_bare_call_holds_and_a_block_inside_changes_only_what_it_names() -> None:
    """A notebook sets its theme once, in its first cell."""
    before = dict(mpl.rcParams)
    session = plots.theme(size="slide")
    try:
        assert tuple(plots.plot_rates(rates()).figure.get_size_inches()) == SLIDE
        with plots.theme(dark=True):
            inner = plots.plot_rates(rates())
            own = Figure()
        assert tuple(inner.figure.get_size_inches()) == SLIDE == tuple(own.get_size_inches())
        assert to_hex(own.get_facecolor()) == to_hex(inner.figure.get_facecolor()) == to_hex(_style.DARK_PAPER)
        assert to_hex(plots.plot_rates(rates()).figure.get_facecolor()) == "#ffffff"
    finally:
        session.__exit__(None, None, None)
    assert dict(mpl.rcParams) == before
    assert plots.plot_rates(rates()).figure.get_figwidth() == 7


def test_a_notebook_gets_a_wider_picture_as_high_as_its_rows() -> None:
    with plots.theme(size="notebook"):
        few, many = plots.plot_rates(rates(3)), plots.plot_rates(rates(30))

    assert few.figure.get_figwidth() == many.figure.get_figwidth() == 9.5
    assert many.figure.get_figheight() > 2 * few.figure.get_figheight()
    assert sum(len(line.get_xdata()) for line in named(many, "estimate")) == 30


def test_a_slide_says_how_many_rows_it_leaves_out() -> None:
    with plots.theme(size="slide"):
        assert " more" in words(plots.plot_rates(rates(60)))


@pytest.mark.parametrize("options", [{"size": "poster"}, {"locale": "klingon"}, {"locale": "xx"}])
def test_what_does_not_exist_is_refused_and_changes_nothing(options) -> None:
    before = dict(mpl.rcParams)

    with pytest.raises(DataError, match=r"There is no (size|language)"):
        plots.theme(**options)
    assert dict(mpl.rcParams) == before


def test_other_languages_name_the_extra(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "babel", None)

    with pytest.raises(MissingExtraError, match=r"outreach_frames\[locale\]"):
        plots.theme(locale="de")
    with plots.theme(locale="en"):
        assert _format.plain(_format.percent(0.042)) == "4.2 %"
