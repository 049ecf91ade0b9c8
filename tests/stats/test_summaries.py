import re
import warnings
from html.parser import HTMLParser

import pandas as pd
import pytest
from scipy.stats import binom

from outreach_frames.errors import DataError
from outreach_frames.metrics import HEADLINES
from outreach_frames.stats.summaries import summarize
from tests.frames import EXPECTED, ORACLE, TOLERANCE, example, extracted, mailings, make_frame, plain

NBSP = "\N{NO-BREAK SPACE}"
EXAMPLE = {name: example(name) for name in ORACLE["tables"]}
OVERALL = EXPECTED["overall"]


@pytest.fixture(scope="module")
def summary():
    """Return the summary of the worked example."""
    return summarize(EXAMPLE, cluster=None)


def numbers_of(summary):
    return summary.to_frame().set_index("metric")


@pytest.mark.parametrize(
    "rate",
    [
        *["delivery_rate", "bounce_rate", "open_rate", "click_rate", "reply_rate", "opt_out_rate"],
        *["prospect_reply_rate", "enrollment_reply_rate"],
    ],
)
def test_the_worked_examples_rates_are_the_headlines(summary, rate):
    row = numbers_of(summary).loc[rate]

    assert row["value"] == pytest.approx(OVERALL[rate]["rate"], abs=TOLERANCE)
    assert row["n"] == OVERALL[rate]["den"]
    assert [row["lo"], row["hi"]] == pytest.approx(OVERALL[rate]["ci"], abs=TOLERANCE)


def test_the_worked_examples_counts_and_times_are_there(summary):
    numbers = numbers_of(summary)

    assert numbers["value"][["sent", "delivered", "prospects_emailed", "prospects_replied"]].tolist() == [10, 9, 4, 2]
    assert numbers["value"]["hours_to_reply_median"] == OVERALL["hours_to_reply_median"]
    assert numbers["value"]["reply_within_14d"] == pytest.approx(1 / 6)
    assert numbers["value"]["overlap_rate"] == 0
    assert numbers["n"]["overlap_rate"] == 3
    assert plain(numbers["n"])[:4] == [None] * 4


def test_the_medians_interval_is_that_of_order_statistics():
    """Between which of the sorted values the median lies is a matter of coin tosses."""
    rows = [
        {"delivered_at": "2025-03-03T00:00:00Z", "replied_at": f"2025-03-03T{hour:02}:00:00Z"} for hour in range(21)
    ]

    row = numbers_of(summarize({"mailings": mailings(*rows)})).loc["hours_to_reply_median"]

    assert (row["value"], row["n"]) == (10, 21)
    inside = binom.cdf(row["hi"], 21, 0.5) - binom.cdf(row["lo"], 21, 0.5)  # hours 0 … 20 are the ranks 1 … 21
    assert 0.95 <= inside < 0.99


def test_each_number_has_a_definition_a_trust_and_the_doubts_that_bend_it(summary):
    numbers = numbers_of(summary)

    assert numbers["definition"].str.len().min() > 10
    assert numbers["trust"].to_dict()["open_rate"] == "low"
    assert numbers["trust"].to_dict()["reply_rate"] == "high"
    assert "open_tracking_off: 1 of 12 mailings" in numbers["caveats"]["open_rate"]
    assert numbers.index.tolist() == list(HEADLINES)


def test_the_text_tells_everything(summary):
    text = repr(summary)

    assert text.startswith("Outreach summary: mail sent 2025-03-03 to 2025-03-13, as of 2025-03-31T00:00:00Z\n")
    assert "enrollment_reply_rate       20 %  4–62 %, n = 5\n" in text
    assert "      enrollments with a reply / enrollments with a delivered mailing" in text
    assert "open_rate (low trust)" in text
    assert "hours_to_reply_median     15.0 h" in text
    assert "Caveats\n" in text


def test_the_text_and_the_page_lead_from_outreachs_dashboard_to_the_rates_here(summary):
    text, page = repr(summary), Tags()
    page.feed(summary._repr_html_())

    assert "  open_rate\n    as Outreach's dashboard counts    67 %  6 of 9 mailings\n" in text
    assert re.search(r"    one-off mail +88 %  7 of 8 mailings\n        Adds mail outside of sequences", text)
    assert "    as Outreach's dashboard counts       –  not given\n" in text  # of people: the example has no counters
    assert [f"6{NBSP}of{NBSP}9{NBSP}mailings" in page.text, f"67{NBSP}%" in page.text] == [True, True]
    ends = summary.dashboard.groupby("metric").tail(1).set_index("metric")["rate"]
    numbers = numbers_of(summary)["value"]
    for metric in ("open_rate", "enrollment_reply_rate", "prospect_reply_rate"):
        assert ends[metric] == pytest.approx(numbers[metric])


def test_percentages_get_a_decimal_once_there_is_a_base_for_it():
    rows = [{"delivered_at": "2025-03-03T00:00:00Z"}] * 149 + [{"bounced_at": "2025-03-03T00:00:00Z"}]

    assert "bounce_rate                0.7 %  0.1–3.7 %, n = 150" in repr(summarize({"mailings": mailings(*rows)}))


def test_nothing_is_told_as_no_data():
    summary = summarize({"mailings": extracted(mailings(), "mailings")})

    assert "no mail sent" in repr(summary)
    assert repr(summary).count("no data") == len(HEADLINES) - 4
    assert numbers_of(summary)["value"].tolist()[:4] == [0, 0, 0, 0]


def test_the_worst_doubts_come_first_and_notes_are_counted():
    boxes = make_frame([{"id": 1, "sync_disabled": True}], "send_disabled", "max_mailings_per_day", *_ATTEMPTS)
    answered = {"bounced_at": "2025-03-03T13:00:00Z", "replied_at": "2025-03-03T14:00:00Z", "open_count": 3}
    mail = extracted(mailings({"delivered_at": "2025-03-03T12:00:00Z", **answered}), "mailings")

    summary = summarize({"mailings": mail, "mailboxes": boxes})

    assert summary.caveats["severity"].tolist() == sorted(
        summary.caveats["severity"], key=["act", "watch", "note"].index
    )
    told = repr(summary).partition("Caveats")[2]
    assert told.index("blind_mailboxes: 1 of 1 mailboxes") < told.index("bounced_and_replied: 1 of 1 mailings")
    assert "more, in .caveats" in told
    assert f"{summary.unchecked} checks not made" in told


_ATTEMPTS = ("send_errored_at", "send_success_at", "sync_errored_at", "sync_success_at")


class Tags(HTMLParser):
    """Collect the tags and the text of a page."""

    def __init__(self):
        super().__init__()
        self.tags, self.text = [], []

    def handle_starttag(self, tag, attrs):
        """Note a tag."""
        self.tags.append((tag, attrs))

    def handle_data(self, data):
        """Note text."""
        self.text.append(data)


def test_the_page_shows_the_same_as_the_text(summary):
    page = Tags()
    page.feed(summary._repr_html_())

    plain_tags = {"div", "p", "strong", "table", "thead", "tbody", "tr", "th", "td"}
    assert {tag for tag, _ in page.tags} <= plain_tags | {"details", "summary"}
    text = "".join(page.text)
    for words in ("enrollments that replied", "median time to reply", "mails opened (low trust)", "people in several"):
        assert words.replace(" ", NBSP) in text
    assert f"4–62{NBSP}%" in page.text
    assert "Mail sent 3 Mar 2025 to 13 Mar 2025, as of 31 Mar 2025, 00:00 UTC" in text.replace(NBSP, " ")


def test_numbers_on_the_page_never_wrap_and_survive_an_e_mail(summary):
    """A unit must not stand alone on the next line; mail programs drop style sheets."""
    page = summary._repr_html_()

    cells = re.findall(r'<td style="([^"]*)">([^<]*)</td>', page)
    assert len(cells) == page.count("<td")
    for style, text in cells:
        if re.fullmatch(r"[\d.,]+.?[%h]?", text):
            assert "white-space: nowrap" in style
            assert " " not in text
    assert "<style" not in page


def test_whatever_the_data_say_is_only_text():
    """A column's name ends up among the caveats; a notebook must not run it."""
    evil = "<script>alert(1)</script>"
    rows = make_frame([{"id": 1}, {"id": 1}])

    page = summarize({"mailings": example("mailings"), evil: rows})._repr_html_()

    assert evil not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_a_summary_does_not_warn_of_what_it_tells():
    mail = mailings({"delivered_at": "2025-03-03T12:00:00Z", "open_count": 1, "opened_at": "2025-03-03T12:00:01Z"})
    naive = mail.assign(delivered_at=mail["delivered_at"].dt.tz_localize(None))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        summary = summarize({"mailings": naive}, as_of="2025-03-31")

    assert {"machine_engagement", "naive_instants"} <= set(summary.caveats["check"])


def test_the_frame_is_the_callers_own(summary):
    frame_ = summary.to_frame()
    frame_.loc[0, "value"] = -1

    assert summary.to_frame()["value"].iloc[0] == 10
    assert summary.to_frame().attrs["outreach_frames"]["as_of"] == ORACLE["as_of"]


def test_another_level_widens_the_intervals():
    wide, narrow = (numbers_of(summarize(EXAMPLE, ci=level)).loc["reply_rate"] for level in (0.99, 0.8))

    assert wide["lo"] < narrow["lo"] < narrow["hi"] < wide["hi"]


def test_a_summary_needs_mailings_and_each_once():
    with pytest.raises(DataError, match="needs mailings"):
        summarize({"prospects": example("prospects")})
    with pytest.raises(DataError, match="occur more than once"):
        summarize({"mailings": pd.concat([example("mailings")] * 2)})


def test_tables_extracted_one_after_the_other_are_looked_at_when_the_first_was():
    """A snapshot takes its tables within seconds of each other; what came later is not in all of them."""
    tables = {
        "mailings": extracted(example("mailings"), "mailings", "2025-03-31T00:00:05Z"),
        "sequence_states": extracted(example("sequence_states"), "sequence_states", "2025-03-31T00:00:00Z"),
    }

    assert summarize(tables).as_of == "2025-03-31T00:00:00Z"
