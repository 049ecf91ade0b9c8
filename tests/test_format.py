"""One rule for each kind of number, whoever writes it: a picture, a sentence, a table, a report."""

import pandas as pd
import polars as pl
import pytest

from outreach_frames import _format, findings, show
from outreach_frames._format import plain


@pytest.mark.parametrize(
    ("rate", "n", "text"),
    [
        (0.0421, 100, "4.2 %"),
        (0.0421, 99, "4 %"),
        (0.0421, None, "4.2 %"),
        (0.0421, pd.NA, "4.2 %"),
        (1.0, 5, "100 %"),
        (0.0, 1000, "0.0 %"),
        (0.0004, 500, "<0.1 %"),
        (0.002, 50, "<1 %"),
        (pd.NA, 0, "no data"),
        (float("nan"), None, "no data"),
    ],
)
def test_percent_has_one_decimal_and_none_below_a_hundred_trials(rate, n, text):
    """What is not zero is never written as zero, and what is missing never as 0 %."""
    assert plain(_format.percent(rate, n)) == text


def test_a_small_rate_is_written_alike_in_a_picture_a_sentence_and_a_table():
    """It was "<0.1 %" in a picture and "0.0 %" in a sentence and in a table."""
    rate = {"reply_rate": [0.0004], "reply_rate_n": [500], "reply_rate_lo": [0.0001], "reply_rate_hi": [0.01]}

    table = show(pd.DataFrame(rate)).to_html()
    sentence = str(findings._finding.Rate(0.0004, 0.0001, 0.01, 500))

    assert "&lt;0.1\N{NO-BREAK SPACE}%" in table
    assert "&lt;0.1–1.0" in table
    assert plain(sentence) == "<0.1 % (<0.1–1.0 %, n = 500)"


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (_format.percent_range(0.031, 0.056, 500), "3.1–5.6 %"),
        (_format.percent_range(pd.NA, 0.056), "–"),
        (_format.percent_extent([0.021, pd.NA, 0.04]), "2.1–4.0 %"),
        (_format.percent_extent([]), "–"),
        (_format.interval(0.042, 0.031, 0.056, 1500), "4.2 % (3.1–5.6 %, n = 1,500)"),
        (_format.interval(0.042, 0.031, 0.056, 50), "4 % (3–6 %, n = 50)"),
        (_format.interval(0.042, 0.031, 0.056), "4.2 % (3.1–5.6 %)"),
        (_format.interval(0.042, pd.NA, pd.NA, 500), "4.2 %"),
        (_format.interval(pd.NA, pd.NA, pd.NA, 0), "no data"),
        (_format.interval(0.042, 0.031, 0.056, 500, with_n=False), "4.2 % (3.1–5.6 %)"),
        (_format.share(0.95), "95 %"),
        (_format.share(0.025), "2.5 %"),
        (_format.probability(0.999), ">99 %"),
        (_format.probability(0.002), "<1 %"),
        (_format.probability(0.4), "40 %"),
        (_format.probability(None), "–"),
        (_format.p_value(0.0123), "0.012"),
        (_format.p_value(0.0002), "<0.001"),
        (_format.signed_points(0.0123), "+1.2"),
        (_format.signed_points(-0.0123), "−1.2"),
        (_format.signed_points(-0.0001), "0"),
        (_format.points(-0.012, -0.02, -0.004), "1.2 percentage points (0.4 to 2.0)"),
        (_format.count(1234.0), "1,234"),
        (_format.count(pd.NA), "–"),
        (_format.number(1234.5), "1,234.50"),
        (_format.number(3.0), "3"),
        (_format.amount(12_345), "12.3 k"),
        (_format.amount(2_500_000), "2.5 M"),
        (_format.amount(1.5), "1.5"),
        (_format.counted(1, "mailbox"), "1 mailbox"),
        (_format.counted(1200, "mailbox"), "1,200 mailboxes"),
        (_format.counted(2, "opportunity"), "2 opportunities"),
        (_format.counted(2, "person", "people"), "2 people"),
        (_format.listed(["a", "b", "c", "d"]), "a, b, c and d"),
        (_format.listed(["a", "b", "c", "d", "e"]), "a, b, c and 2 more"),
        (_format.listed([]), ""),
        (_format.duration(15, "h"), "15.0 h"),
        (_format.duration(1234.56), "1,234.6"),
        (_format.day("2026-03-03"), "3 Mar 2026"),
        (_format.moment("2026-03-03T14:05:10+02:00"), "3 Mar 2026, 12:05 UTC"),
        (_format.minute(pd.Timestamp("2026-03-03T14:05:10Z")), "2026-03-03 14:05"),
        (_format.type_name([]), "a list"),
        (_format.type_name(pl.DataFrame()), "a polars DataFrame"),
        (_format.type_name(1), "an int"),
        (_format.type_name(None), "None"),
    ],
)
def test_each_kind_of_figure_has_one_way_to_be_written(written, text):
    """With ordinary spaces here; a no-break space keeps a number and its unit on one line."""
    assert plain(written) == text


def test_half_of_the_denominators_decide_on_the_decimals_of_a_column():
    assert _format.typical([500, 200, 0, 9]) == 200
    assert _format.percent(0.061, _format.typical([500, 200, 9])) == f"6.1{_format.SPACE}%"
    assert _format.percent(0.061, _format.typical([500, 20, 9])) == f"6{_format.SPACE}%"
    assert _format.percent(0.061, _format.typical([])) == f"6.1{_format.SPACE}%"
