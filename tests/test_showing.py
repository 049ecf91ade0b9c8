import pandas as pd
import pytest

import outreach_frames as of

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def rates():
    return pd.DataFrame(
        {
            "name": pd.array([EVIL, "Plain", None], dtype="string[pyarrow]"),
            "sequence_id": pd.array([10_000, 2, 3], dtype="int64[pyarrow]"),
            "sent": pd.array([12_345, 1, 0], dtype="int64[pyarrow]"),
            "reply_rate": pd.array([0.0612, 1.0, None], dtype="double[pyarrow]"),
            "reply_rate_n": pd.array([500, 1, 0], dtype="int64[pyarrow]"),
            "reply_rate_lo": pd.array([0.042, 0.2, None], dtype="double[pyarrow]"),
            "reply_rate_hi": pd.array([0.087, 1.0, None], dtype="double[pyarrow]"),
            "created_at": pd.array(
                [pd.Timestamp("2026-03-01 12:34:56", tz="UTC"), None, None], dtype="timestamp[us, tz=UTC][pyarrow]"
            ),
            "enabled": pd.array([True, False, None], dtype="bool[pyarrow]"),
        }
    )


def test_rates_are_percentages_with_their_interval_beside_them(rates):
    page = of.show(rates).to_html()

    assert "6.1%" in page
    assert "4.2\N{NO-BREAK SPACE}–\N{NO-BREAK SPACE}8.7" in page
    assert "linear-gradient" in page
    assert "reply_rate_lo" not in page


def test_text_from_the_data_stays_text(rates):
    """A prospect may be named like a script."""
    page = of.show(rates).to_html()

    assert EVIL not in page
    assert "&lt;img src=x" in page


def test_numbers_dates_and_flags_read_well_and_missing_is_a_dash(rates):
    page = of.show(rates).to_html()

    assert "12,345" in page
    assert ">10000<" in page  # an id is no quantity
    assert "2026-03-01\N{NO-BREAK SPACE}12:34" in page
    assert ">yes<" in page
    assert page.count(">–<") >= 4
    assert "nan" not in page.lower()
    assert "<NA>" not in page


def test_columns_can_be_chosen_and_rows_limited(rates):
    page = of.show(rates, columns=["name", "reply_rate"], limit=1).to_html()

    assert "created" not in page
    assert "Plain" not in page
    with pytest.raises(KeyError):
        of.show(rates, columns=["nonsense"])


def test_an_empty_frame_keeps_its_heading(rates):
    page = of.show(rates.head(0)).to_html()

    assert "reply rate" in page


def test_the_frame_is_not_changed(rates):
    before = rates.copy()

    of.show(rates).to_html()

    pd.testing.assert_frame_equal(rates, before)


def test_the_page_needs_no_script(rates):
    """It must survive an e-mail."""
    assert "<script" not in of.show(rates).to_html()


def test_a_rate_of_nothing_but_missing_values_has_no_bar(rates):
    page = of.show(rates.assign(reply_rate=pd.array([None] * 3, dtype="double[pyarrow]"))).to_html()

    assert "linear-gradient" not in page
