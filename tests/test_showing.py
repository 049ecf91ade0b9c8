import re

import pandas as pd
import pytest

import outreach_frames as of

EVIL = "<img src=x onerror=alert(1)>"
NBSP = "\N{NO-BREAK SPACE}"


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

    assert f">6.1{NBSP}%<" in page
    assert f">4.2–8.7{NBSP} <" in page
    assert f"n{NBSP}={NBSP}500" in page
    assert "[%]" in page
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
    assert f"2026-03-01{NBSP}12:34" in page
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
    assert "No rows." in page


def test_the_frame_is_not_changed(rates):
    before = rates.copy()

    of.show(rates).to_html()

    pd.testing.assert_frame_equal(rates, before)


def test_it_survives_an_e_mail(rates):
    """Mail programs run no scripts and drop style sheets: every cell carries its own style."""
    page = of.show(rates).to_html()

    assert "<script" not in page
    assert "<style" not in page
    assert page.count("<td style=") == page.count("<td") > 0
    assert page.count('<th scope="col" style=') == page.count("<th ") > 0


def test_a_column_s_name_is_text_too():
    """A custom field can be named like a script."""
    page = of.show(pd.DataFrame({EVIL: [1], f"{EVIL}_lo": [0], f"{EVIL}_hi": [2]})).to_html()
    headed = of.show(pd.DataFrame({"a": [1]}), columns={"a": EVIL}).to_html()

    assert EVIL not in page + headed
    assert "&lt;img" in page
    assert "&lt;img" in headed


@pytest.mark.parametrize("name", ["{x}", "{", "}}", "{0.__class__}", "a{!r}", "%s", "{{ 7 * 7 }}"])
def test_braces_in_a_column_s_name_are_text(name):
    """A custom field may be called so; pandas takes headings for formats."""
    rates = {name: [0.5, 0.25], f"{name}_lo": [0.4, 0.2], f"{name}_hi": [0.6, 0.3], f"{name}_n": [9, 9]}

    words = name.replace("__", ": ").replace("_", " ").strip()
    assert f">{words}<" in of.show(pd.DataFrame({name: [1]})).to_html()
    assert f">{name}<" in of.show(pd.DataFrame({"a": [1]}), columns={"a": name}).to_html()
    assert words in of.show(pd.DataFrame(rates)).to_html()


def test_two_columns_of_one_name_are_refused_in_words():
    with pytest.raises(of.errors.DataError, match="called 'a'"):
        of.show(pd.DataFrame([[1, 2]], columns=["a", "a"]))


@pytest.mark.parametrize(
    ("name", "values", "head", "cell"),
    [
        ("median_wait_h", [30.04, 2.0], "median wait<br>[hours]", "30.0"),
        ("duration_d", [1.26, 2.0], "duration<br>[days]", "1.3"),
        ("talk_minutes", [90.25, 1.0], "talk minutes", "90.2"),
        ("delivered", [12345, 2], "delivered<br>[mails]", "12,345"),
        ("contacted", [1, 2], "contacted<br>[people]", "1"),
        ("coverage", [0.5, None], "coverage", f"50.0{NBSP}%"),
        ("diff", [-0.0123, 0.01], "diff<br>[percentage points]", "−1.2"),
        ("p_better", [0.964, 0.5], "p better<br>[probability]", f"96{NBSP}%"),
        ("p_always_valid", [0.79355, 0.5], "p always valid<br>[p-value]", "0.794"),
        ("amount", [12000.5, 1.0], "amount", "12,000"),
        ("replied_at", pd.to_datetime(["2026-03-01T10:00Z", None]), "replied<br>[UTC]", f"2026-03-01{NBSP}10:00"),
        ("sequence__name", ["A & B", "C"], "sequence: name", "A &amp; B"),
        ("tags", [["a", "<b>"], []], "tags", "a, &lt;b&gt;"),
        ("open_count", [3, 4], "open count", "3"),
    ],
)
def test_units_stand_in_the_header(name, values, head, cell):
    page = of.show(pd.DataFrame({name: values})).to_html()

    heads, cells = re.findall(r"<th [^>]*>(.*?)</th>", page, re.DOTALL), re.findall(r"<td[^>]*>(.*?)</td>", page)
    assert [re.sub(r"</?span[^>]*>", "", text) for text in heads] == [head]
    assert cells[0] == cell


def test_numbers_never_wrap(rates):
    page = of.show(rates).to_html()

    rate = next(cell for cell in re.findall(r"<td[^>]*>[^<]*", page) if "6.1" in cell)
    assert "white-space: nowrap" in rate
    assert rate.count("text-align") == 1
    assert "text-align: right" in rate
    assert "text-align: left" in next(cell for cell in re.findall(r"<td[^>]*>[^<]*", page) if "Plain" in cell)


def test_few_trials_get_no_decimals(rates):
    """One of three is no 33.3 %."""
    page = of.show(rates.iloc[1:]).to_html()

    assert f">100{NBSP}%<" in page
    assert f">20–100{NBSP} <" in page


def test_the_rates_of_a_column_have_equal_decimals(rates):
    """A column of 6.1 % and 100 % is hard to read; n beside each says how much it rests on."""
    page = of.show(rates).to_html()

    assert f">6.1{NBSP}%<" in page
    assert f">100.0{NBSP}%<" in page
    assert f">20.0–100.0{NBSP} <" in page


def test_the_level_of_an_interval_is_told_where_it_is_known(rates):
    rates.attrs["outreach_frames"] = {"parameters": {"ci": 0.9}}

    assert f">90{NBSP}%{NBSP}interval<" in of.show(rates).to_html()


def test_an_estimate_s_bare_bounds_are_its_interval():
    """As `ab_test` and `leaderboard` return them."""
    ranked = pd.DataFrame({"name": ["a", "b"], "n": [200, 300], "raw": [0.1, 0.2], "shrunk": [0.12, 0.18]})
    page = of.show(ranked.assign(lo=[0.08, 0.1], hi=[0.2, 0.3])).to_html()

    assert "8.0–20.0" in page
    assert f"n{NBSP}={NBSP}300" in page


def test_ids_lead_to_the_web_app_only_where_it_is_given(rates):
    rates.attrs["outreach_frames"] = {"resource": "prospects"}
    frame = rates.assign(id=pd.array([7, 8, 9], dtype="int64[pyarrow]"), account_id=[1, 2, 3])

    page = of.show(frame, links="https://web.outreach.io/").to_html()

    assert (
        '<a href="https://web.outreach.io/prospects/7/overview" target="_blank" rel="noopener noreferrer">7</a>' in page
    )
    assert "https://web.outreach.io/sequences/10000/overview" in page
    assert "accounts" not in page
    assert "<a " not in of.show(frame).to_html()


def test_addresses_of_other_records_can_be_given(rates):
    frame = rates.assign(account_id=pd.array([61, None, 62], dtype="int64[pyarrow]"))

    page = of.show(frame, links={"account": 'https://x.example/a/{id}?q="&b=1'}).to_html()

    assert 'href="https://x.example/a/61?q=&quot;&amp;b=1"' in page
    assert page.count("<a ") == 2


@pytest.mark.parametrize(
    "links",
    [
        "javascript:alert(1)//",
        "http://web.outreach.io",
        "https://me:secret@web.outreach.io",
        "web.outreach.io",
        {"account": "https://x.example/accounts"},
    ],
)
def test_what_is_no_address_or_holds_a_sign_in_is_refused(rates, links):
    with pytest.raises(of.errors.DataError, match="no address"):
        of.show(rates, links=links)


def test_a_link_takes_nothing_but_whole_numbers():
    """An id that is text is shown, never put into an address."""
    page = of.show(pd.DataFrame({"prospect_id": ["1/../../x", EVIL]}), links="https://web.outreach.io").to_html()

    assert "<a " not in page
    assert EVIL not in page


def test_what_comes_is_a_styler_to_go_on_with(rates):
    """Columns keep their names."""
    styled = of.show(rates).set_table_attributes('class="mine"').highlight_null(subset=["reply_rate"], color="#fee")

    page = styled.to_html()
    assert '<table class="mine" style=' in page
    assert "background-color: #fee" in page


def test_what_is_left_out_is_said(rates):
    assert "The first 1 of 3 rows." in of.show(rates, limit=1).to_html()
    assert "caption" not in of.show(rates).to_html()


def test_a_rate_of_nothing_but_missing_values_has_no_bar(rates):
    page = of.show(rates.assign(reply_rate=pd.array([None] * 3, dtype="double[pyarrow]"))).to_html()

    assert "linear-gradient" not in page


def test_what_is_no_frame_is_refused_in_words():
    with pytest.raises(of.errors.DataError, match="not a pandas Series"):
        of.show(pd.Series({"id": 1}))
