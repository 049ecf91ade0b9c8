"""Each rule on a frame made by hand: once where it must speak, once where it must be silent."""

from pathlib import Path

import pandas as pd
import pytest

import outreach_frames as of
from outreach_frames import findings, stats
from outreach_frames.errors import DataError
from outreach_frames.findings._numbers import change_of_headline, head_of, numbers_of
from outreach_frames.stats.intervals import newcombe_difference, wilson
from outreach_frames.stats.provenance import attach

NAMES = {
    "sequence_id": {1: "Intro", 2: "Nurture", 3: "Rescue"},
    "template_id": pd.Series({301: "Short", 302: "Long"}),
    "step_id": {101: "Intro, step 1"},
}


@pytest.fixture(scope="module")
def snapshot_tables():
    return of.open_snapshot(Path(__file__).parents[1] / "data" / "sample", dtypes="numpy")


def result(function, rows, **parameters):
    """Make what a statistic returns: a frame with its record."""
    frame = pd.DataFrame(rows)
    frame.attrs["outreach_frames"] = {"function": function, "parameters": parameters}
    return frame


def rated(name, successes, trials):
    """Return the four columns of a rate."""
    row = wilson([successes], [trials]).iloc[0]
    return {name: row["rate"], f"{name}_n": trials, f"{name}_lo": row["lo"], f"{name}_hi": row["hi"]}


def tell(*results, **options):
    """Tell, with plain spaces, and without how many comparisons were made."""
    said = findings.tell(*results, names=NAMES, **options)
    plain = [sentence.replace("\N{NO-BREAK SPACE}", " ") for sentence in said]
    return plain[:-1] if plain[-1].endswith("such lists would name no difference.") else plain


def sequences(*groups):
    """Make a result of `sequence_engagement` of (name, replied, mature) or with opt-outs and bounces behind."""
    rows = []
    for place, (name, replied, reached, *more) in enumerate(groups):
        opted_out, bounced = more or (0, 0)
        parts = {
            "enrollment_reply_rate_14d": replied,
            "prospect_unsubscribe_rate": opted_out,
            "enrollment_bounce_rate": bounced,
        }
        rates = {key: value for rate, x in parts.items() for key, value in rated(rate, x, reached).items()}
        rows.append({"sequence_id": place + 1, "name": name, **rates})
    return result("sequence_engagement", rows)


def test_groups_that_differ_from_the_others_are_named():
    said = tell(sequences(("High", 60, 200), ("Usual", 20, 200), ("Low", 2, 200)))

    assert said == [
        (
            "Of the enrollments in “High”, 30.0 % (24.1–36.7 %, n = 200) reply within 14 days, above the others "
            "together (5.5 %)."
        ),
        (
            "Of the enrollments in “Low”, 1.0 % (0.3–3.6 %, n = 200) reply within 14 days, below the others together "
            "(20.0 %)."
        ),
    ]


def test_of_opt_outs_and_bounces_only_the_high_ones_are_told():
    said = tell(sequences(("A", 20, 200, 30, 0), ("B", 20, 200, 0, 25), ("C", 20, 200, 3, 0)))

    assert [sentence.split(" (")[0] for sentence in said] == [
        "Of the people emailed in “A”, 15.0 %",
        "Of the enrollments in “B”, 12.5 %",
    ]


def test_parts_of_a_sequence_are_not_compared_by_bounces_and_opt_outs():
    """They come with its first mails, whatever these say."""
    rows = [
        {"template_id": 301, **rated("enrollment_bounce_rate", 40, 200)},
        {"template_id": 302, **rated("enrollment_bounce_rate", 0, 200)},
    ]

    assert tell(result("engagement", rows, by=["template_id"])) == [findings.NOTHING]
    by_user = [{"user_id": row.pop("template_id"), **row} for row in rows]
    assert "have a bounce" in tell(result("engagement", by_user, by=["user_id"]))[0]


def test_small_or_young_groups_are_counted_and_not_compared():
    said = tell(sequences(("Tiny", 1, 5), ("Usual", 20, 200)))

    assert said == [
        findings.NOTHING,
        "Not compared by replies, with fewer than 30 enrollments that had mail 14 days ago: 1 of 2 sequences.",
    ]


def test_the_number_of_comparisons_is_told_beyond_the_limit_too():
    """Two sequences by three rates."""
    alike, differ = sequences(("A", 20, 200), ("B", 20, 200)), sequences(("A", 60, 200), ("B", 20, 200))
    looks = (
        "6\N{NO-BREAK SPACE}comparisons were made. If nothing differed, 95 of 100 such lists would name no difference."
    )

    assert findings.tell(alike) == [findings.NOTHING, looks]
    assert findings.tell(differ, limit=1)[1:] == [looks]


def test_a_report_writes_what_holds_among_all_its_results(capsys):
    """Its sections keep their order; results without a section count too; names may come later."""
    one, many = sequences(("A", 30, 200), ("B", 12, 200)), sequences(*((f"S{n}", 20, 200) for n in range(200)))
    names = {}
    report = findings.Report(names=names)
    report.overview(limit=2)
    report.tell(one, limit=1)
    report.add(many)
    names |= NAMES

    capsys.readouterr()
    report.write()

    expected = [
        findings.tell(one, many, names=NAMES, limit=2)[:-1],
        findings.tell(one, names=NAMES, limit=1, family=[one, many]),
    ]
    assert [id(each) for each in report.results] == [id(one), id(many)]
    assert capsys.readouterr().out.splitlines() == [str(list(each)) for each in expected]
    assert findings.tell(one, names=NAMES, limit=1) != expected[1]


def test_a_cell_that_runs_again_counts_its_comparisons_once(capsys):
    report = findings.Report(names=NAMES)
    for _ in range(2):
        report.tell(sequences(("A", 60, 200), ("B", 20, 200)))
    report.tell(sequences(("A", 61, 200), ("B", 20, 200)))
    report.overview()

    capsys.readouterr()
    report.write()

    assert len(report.results) == 2
    assert "comparisons" not in capsys.readouterr().out
    assert "12\N{NO-BREAK SPACE}comparisons" in findings.tell(*report.results)[-1]


def test_what_to_do_stands_with_a_finding_and_never_without_one(monkeypatch):
    """Each rule that names something to repair or to decide says what to do; a name from the data is only text."""
    shown = []
    monkeypatch.setattr("IPython.display.DisplayHandle.update", lambda _, text: shown.append(text._repr_html_()))
    for frame in (sequences(("<b>A</b>", 60, 200), ("B", 20, 200)), sequences(("A", 20, 200), ("B", 20, 200))):
        report = findings.Report()
        report.tell(frame)
        report.overview()
        report.write()

    section, differs, _, alike = shown
    assert "To do" not in section
    assert "<br><strong>To do:</strong> Find out what “&lt;b&gt;A&lt;/b&gt;” does differently" in differs
    assert "Look at the steps and the people of “B” before more people are put in." in differs
    assert "To do" not in alike


def test_the_numbers_of_a_report_are_those_of_the_long_way(snapshot_tables):
    """
    One headline, over enrollments that have had 14 days, and over those whose 14 days ended in each period.

    Tables of a live snapshot are extracted one after the other: calls before mailings.
    """
    mailings, calls = snapshot_tables.frame("mailings"), snapshot_tables.frame("calls")
    calls.attrs["outreach_frames"]["as_of"] = "2026-03-30T23:59:00Z"
    at, length = snapshot_tables.as_of, pd.Timedelta(days=28)
    change = change_of_headline(mailings, as_of=at, days=28)
    table = numbers_of(mailings, change, calls=calls, as_of=at, days=28).set_index("number")

    mail = mailings.dropna(subset=["sequence_state_id"])
    sent = mail["delivered_at"].fillna(mail["bounced_at"]).fillna(mail["replied_at"])
    arrived = (mail["delivered_at"].notna() & mail["bounced_at"].isna()) | mail["replied_at"].notna()
    began = sent.groupby(mail["sequence_state_id"]).min()
    first_arrival = sent[arrived].groupby(mail["sequence_state_id"]).min()
    answered = (mail["replied_at"].groupby(mail["sequence_state_id"]).min() - first_arrival) <= pd.Timedelta(days=14)
    ended = began[began.index.isin(first_arrival.index)] + pd.Timedelta(days=14)
    for column, (low, high) in {"now": (at - length, at), "before": (at - 2 * length, at - length)}.items():
        chosen = ended.index[(ended >= low) & (ended < high)]
        rate = f"{100 * answered.reindex(chosen).mean():.1f}\N{NO-BREAK SPACE}%"
        cell = table.loc[table.index.str.startswith("Reply rate"), column].item()
        assert cell.startswith(rate)
        assert f"n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{len(chosen)})" in cell
    assert table.loc["Mails delivered", "whole"] == "2,169"
    assert table["whole"].str.contains(r"^\d+\.\d\N{NO-BREAK SPACE}%").sum() == 3  # equal decimals


def test_an_organization_without_meetings_or_mail_has_a_table_without_them(snapshot_tables):
    mailings = snapshot_tables.frame("mailings")
    nothing = mailings.iloc[:0]
    change = change_of_headline(nothing, as_of=snapshot_tables.as_of, days=28)
    table = numbers_of(nothing, change, calls=None, as_of=snapshot_tables.as_of, days=28)

    assert len(table) == 4
    assert {*table["change"]} == {"–", "0"}


@pytest.mark.parametrize(
    ("name", "emails", "expected"),
    [
        ("A <b>", ["x@a.example"], "<strong>A &lt;b&gt;</strong> · Mail"),
        (None, ["x@a.example", "y@b.example", "z@b.example"], "<strong>b.example</strong> · Mail"),
        (None, [None, "nothing"], '<p class="outreach-head">Mail'),
    ],
)
def test_the_head_names_the_organization(snapshot_tables, name, emails, expected):
    tables = {"mailings": snapshot_tables.frame("mailings"), "users": pd.DataFrame({"email": emails})}

    assert expected in head_of(tables, organization=name, as_of=snapshot_tables.as_of)


def test_what_is_told_of_one_result_must_hold_among_the_family():
    """27 of 200 against 13 of 200 is told alone, and not beside 400 comparisons in which nothing differs."""
    one, many = sequences(("A", 30, 200), ("B", 12, 200)), sequences(*((f"S{n}", 20, 200) for n in range(200)))

    assert "“A”" in tell(one)[0]
    assert tell(one, family=[one, many]) == [findings.NOTHING]
    assert tell(one, family=[one]) == tell(one)
    assert findings.tell(one, family=[one, many]) == [findings.NOTHING]


def test_rare_events_are_told_from_three_on():
    """One opt-out of 30 is above 0.5 % by Wilson's lower bound, and says nothing."""
    few, more = (sequences(("A", 0, 300, x, 0), ("B", 0, 30_000, 60, 0)) for x in (2, 8))

    assert tell(few) == [findings.NOTHING]
    assert "“A”" in tell(more)[0]


def test_what_belongs_together_counts_for_less():
    alike = sequences(("A", 34, 200), ("B", 15, 200))
    alone = tell(alike)
    alike.attrs["outreach_frames"]["clusters"] = {"enrollment_reply_rate_14d": {"design_effect": 4.0}}

    assert "“A”" in alone[0]
    assert tell(alike) == [findings.NOTHING]


def test_a_group_without_trials_breaks_nothing():
    """Its rate is missing."""
    assert tell(sequences(("Empty", 0, 0)))[0] == findings.NOTHING


def test_groups_of_any_key_are_named_by_it():
    """`engagement` has no names of its own."""
    rows = sequences(("-", 60, 200), ("-", 20, 200)).drop(columns="name")
    grouped = result("engagement", rows.to_dict("list"), by=["sequence_id"])
    weekly = result(
        "engagement", rows.assign(week=pd.to_datetime(["2026-03-02", "2026-03-09"])).to_dict("list"), by=["week"]
    )
    everything = result("engagement", rows.to_dict("list"), by=[])

    assert any(sentence.startswith("Of the enrollments in “Intro”") for sentence in tell(grouped))
    assert any("in week of 2 Mar 2026" in sentence for sentence in tell(weekly))
    assert tell(everything) == [findings.NOTHING]


@pytest.mark.parametrize(
    ("function", "rate", "said"),
    [
        (
            "enrollment_outcomes",
            "stuck_rate",
            "Of the running enrollments in “Intro”, 30.0 % (24.1–36.7 %, n = 200) are stuck, above the others",
        ),
        (
            "prospect_opt_outs",
            "prospect_opt_out_rate_14d",
            "Of the people contacted in “Intro”, 30.0 % (24.1–36.7 %, n = 200) opt out within 14 days, above",
        ),
        (
            "failures",
            "failure_rate",
            "Of the mail of “Intro”, 30.0 % (24.1–36.7 %, n = 200) fails to send, above the others together (10.0 %)",
        ),
        ("meetings", "meeting_rate", "Of the enrollments contacted in “Intro”, 30.0 % (24.1–36.7 %, n = 200) lead to"),
    ],
)
def test_other_rates_of_groups_are_compared_too(function, rate, said):
    rows = [{"sequence_id": 1, **rated(rate, 60, 200)}, {"sequence_id": 2, **rated(rate, 20, 200)}]
    alike = [{"sequence_id": 1, **rated(rate, 20, 200)}, {"sequence_id": 2, **rated(rate, 20, 200)}]

    assert any(sentence.startswith(said) for sentence in tell(result(function, rows, by=["sequence_id"])))
    assert tell(result(function, alike, by=["sequence_id"])) == [
        findings.NOTHING_NOTABLE.get(function, findings.NOTHING)
    ]


def test_failed_mail_is_told_with_its_main_reason():
    rows = {"error_reason": ["limit", None], "failed": [16, 4], "attempted": [1000, 1000]}

    assert tell(result("failures", rows, by=["error_reason"])) == [
        "20 mails failed, 2.0 % (1.3–3.1 %, n = 1,000) of those attempted, most often with “limit” (16)."
    ]
    few = {"error_reason": [None], "failed": [4], "attempted": [1000]}
    assert tell(result("failures", few, by=["error_reason"])) == [findings.NOTHING_NOTABLE["failures"]]


def steps(*rows):
    """Make a result of `step_funnel` of (sequence, order, first replies, at risk, and a type where it is no mail)."""
    made = [
        {"sequence_id": sequence, "order": order, "step_type": kind, "first_replies": x, **rated("hazard_14d", x, n)}
        for sequence, order, x, n, kind in ((*row, "auto_email")[:5] for row in rows)
    ]
    return result("step_funnel", made)


def test_steps_apart_from_their_sequence_are_told():
    said = tell(steps((1, 1, 40, 400), (1, 2, 2, 360), (1, 3, 15, 350)))

    assert said[0] == (
        "Step 1 of “Intro” gets more replies than its other steps: 10.0 % (7.4–13.3 %, n = 400) of those still open "
        "answer within 14 days, against 2.4 %."
    )
    assert said[1].startswith("Step 2 of “Intro” gets fewer replies than its other steps: 0.6 %")
    assert len(said) == 2


def test_a_sequence_without_any_reply_is_told_where_others_would_have_some():
    rows = [(2, 1, 0, 300), (2, 2, 0, 280)]

    assert tell(steps(*rows, (1, 1, 15, 300), (1, 2, 14, 280))) == [
        "“Nurture” has no reply at any step; at the rate of the other sequences there would be about 29 by now."
    ]
    assert tell(steps(*rows)) == [findings.NOTHING_NOTABLE["step_funnel"]]
    assert tell(steps(*rows, (1, 1, 1, 300), (1, 2, 0, 280))) == [findings.NOTHING_NOTABLE["step_funnel"]]


def test_calls_are_compared_with_calls():
    """A conversation is no reply: a call that is picked up would stand above every mail."""
    quiet = [(1, 1, 6, 400), (1, 2, 5, 360), (1, 3, 40, 350, "call")]

    assert tell(steps(*quiet)) == [findings.NOTHING_NOTABLE["step_funnel"]]
    assert tell(steps(*quiet, (1, 4, 2, 300, "call")))[0] == (
        "Call step 3 of “Intro” gets more conversations than its other call steps: 11.4 % (8.5–15.2 %, n = 350) of "
        "those still open talk within 14 days, against 0.7 %."
    )


def test_steps_that_differ_by_chance_or_have_few_are_not_told():
    assert tell(steps((1, 1, 5, 100), (1, 2, 6, 90), (3, 1, 5, 5))) == [findings.NOTHING_NOTABLE["step_funnel"]]


def cohorts(rates, *, mature=True, event="reply"):
    """Make a result of `cohort_matrix` at one week of age, of 100 enrollments a week."""
    weeks = pd.date_range("2026-01-05", periods=len(rates), freq="7D")
    rows = [
        {"cohort_week": week.date(), "week": 1, "enrollments": 100, "events": rate, "mature": mature}
        for week, rate in zip(weeks, rates, strict=True)
    ]
    return result("cohort_matrix", rows, event=event)


def test_weeks_that_do_worse_are_told():
    said = tell(cohorts([12] * 6 + [4] * 4))

    assert said == [
        (
            "Down by 8.0 percentage points (4.6 to 11.2): within 14 days, 4.0 % (2.5–6.4 %, n = 400) of the "
            "enrollments of the latest 4 weeks had answered, against 12.0 % (9.6–14.8 %, n = 600) of those before."
        )
    ]
    assert tell(cohorts([4] * 6 + [12] * 4, event="bounce"))[0].startswith("Up by 8.0 percentage points")


@pytest.mark.parametrize(
    "matrix",
    [cohorts([12] * 6 + [11] * 4), cohorts([12] * 6 + [4] * 4, mature=False), cohorts([12, 4, 4, 4, 4])],
    ids=["by chance", "immature", "few weeks"],
)
def test_weeks_are_not_told_apart_by_chance_before_they_are_mature_or_when_few(matrix):
    assert tell(matrix) == [findings.NOTHING_NOTABLE["cohort_matrix"]]


def replied_within(n):
    row = {"n": n}
    for days, x in ((3, 0.05), (14, 0.1), (30, 0.2)):
        row |= {f"reply_within_{days}d": x, f"reply_within_{days}d_lo": x - 0.02, f"reply_within_{days}d_hi": x + 0.02}
    return row


def test_how_soon_answers_come_is_told():
    said = tell(result("reply_within", [replied_within(500)], days=[3, 14, 30]))

    assert said == [
        (
            "Of the enrollments that got mail, 5.0 % (3.0–7.0 %, n = 500) have answered within 3 days and 20.0 % "
            "(18.0–22.0 %, n = 500) within 30 days."
        )
    ]
    assert tell(result("reply_within", [replied_within(5)], days=[3, 14, 30])) == [
        findings.NOTHING_NOTABLE["reply_within"]
    ]


def test_sequences_in_which_more_bounce_are_told():
    rows = [
        {"sequence_id": 1, "bucket": "bounced", "mature": 40, "mature_n": 200},
        {"sequence_id": 1, "bucket": "active", "mature": 160, "mature_n": 200},
        {"sequence_id": 2, "bucket": "active", "mature": 200, "mature_n": 200},
    ]

    assert tell(result("state_flow", rows)) == [
        "Of the enrollments in “Intro”, 20.0 % (15.0–26.1 %, n = 200) bounced, above the others together (0.0 %)."
    ]
    assert tell(result("state_flow", rows[1:])) == [findings.NOTHING_NOTABLE["state_flow"]]


def change(key, before, after):
    """Return a row of `compare_periods`: successes and trials of both periods."""
    diff, low, high = newcombe_difference((after[0], before[0]), (after[1], before[1]))
    parts = {**rated("rate_a", *before), **rated("rate_b", *after)}
    return {"sequence_id": key, **parts, "diff": diff, "diff_lo": low, "diff_hi": high}


def compared(total, *groups):
    frame = result("compare_periods", groups, metric="reply_rate")
    attach(
        frame, "total", pd.DataFrame([total]).drop(columns="sequence_id").assign(rate_effect=-0.02, mix_effect=-0.03)
    )
    return frame


def test_a_change_of_the_total_is_told_with_its_parts():
    fallen = change(1, (100, 1000), (50, 1000))

    said = tell(compared(fallen, fallen, change(2, (10, 100), (9, 100))))

    assert said == [
        (
            "The reply rate went down by 5.0 percentage points (2.7 to 7.3), from 10.0 % (8.3–12.0 "
            "%, n = 1,000) "
            "to 5.0 % (3.8–6.5 %, n = 1,000): −2.0 because rates changed, −3.0 because the mix of mail changed."
        ),
        (
            "In “Intro” the reply rate went down by 5.0 percentage points (2.7 to 7.3), from 10.0 % "
            "(8.3–12.0 %, "
            "n = 1,000) to 5.0 % (3.8–6.5 %, n = 1,000)."
        ),
    ]


@pytest.mark.parametrize("after", [(95, 1000), (0, 0), (0, 10)], ids=["by chance", "no mail", "few"])
def test_no_change_is_claimed_by_chance_or_without_mail(after):
    row = change(1, (100, 1000), after)

    assert tell(compared(row, row)) == [findings.NOTHING_NOTABLE["compare_periods"]]


def arms(verdict, *, diff=(0.05, 0.01, 0.09), n=900, needed=800, p=0.01, metric="reply_rate"):
    rows = [
        {"template_id": 301, "variant": "A", "name": "Short", "rival_id": 302, "rate": 0.1, "lo": 0.08, "hi": 0.12},
        {"template_id": 302, "variant": "B", "name": None, "rival_id": 301, "rate": 0.05, "lo": 0.04, "hi": 0.07},
    ]
    shared = {"step_id": 101, "arrivals": n, "n": n, "n_needed": needed, "verdict": verdict, "srm_p": 0.0001}
    shared |= {"p_always_valid": p}
    differences = dict(zip(("diff", "diff_lo", "diff_hi"), diff, strict=True))
    return result("ab_test", [{**row, **shared, **differences} for row in rows], metric=metric)


@pytest.mark.parametrize(
    ("test", "said"),
    [
        (
            arms("A better"),
            (
                "At “Intro, step 1”, “Short” gets more replies than “Long”: 10.0 % (8.0–12.0 %, n = 900) "
                "against 5.0 % "
                "(4.0–7.0 %, n = 900), 5.0 percentage points (1.0 to 9.0) more."
            ),
        ),
        (arms("A better", diff=(0.05, -0.01, 0.11)), "No test of templates has a result yet."),
        (arms("A better", p=0.2), "No test of templates has a result yet."),
        (
            arms("A better", metric="click_rate"),
            (
                "At “Intro, step 1”, “Short” is clicked more often than “Long”: 10.0 % (8.0–12.0 %, n = 900) against "
                "5.0 % (4.0–7.0 %, n = 900), 5.0 percentage points (1.0 to 9.0) more."
            ),
        ),
        (
            arms("broken split"),
            "The test at “Intro, step 1” is broken: its variants were sent to 900 and 900 people, not in equal parts.",
        ),
        (
            arms("no difference as large as ±2.0 points"),
            "At “Intro, step 1” there is no difference as large as ±2.0 points, after 1,800 mails.",
        ),
        (
            arms("undecided", diff=(0.05, -0.01, 0.11)),
            (
                "At “Intro, step 1” the test is undecided after 1,800 mails: its best variant may be anywhere between "
                "−1.0 and +11.0 percentage points from its rival."
            ),
        ),
        (
            arms("too early", n=90),
            (
                "1 test cannot be decided yet; the nearest, at “Intro, step 1”, has 90 of 800 enrollments needed in "
                "each variant."
            ),
        ),
    ],
)
def test_verdicts_of_tests_are_told(test, said):
    assert tell(test) == [said]


def ranked(low, high, p_top=0.5):
    rows = [
        {"template_id": 301, "name": None, "n": 500, "x": 60, "shrunk": 0.11, "lo": low, "hi": high, "p_top": p_top},
        {"template_id": 302, "name": None, "n": 500, "x": 20, "shrunk": 0.06, "lo": 0.03, "hi": 0.09, "p_top": 0.01},
    ]
    return result("leaderboard", rows, by="template_id", metric="reply_rate")


def test_who_differs_from_the_others_is_told_with_the_chance_of_being_best():
    assert tell(ranked(0.085, 0.14, 0.97))[0] == (
        "“Short” has a reply rate of 11.0 % (8.5–14.0 %, n = 500), above the others together (4.0 %); it is the best "
        "with a probability of 97 %."
    )
    assert not any("“Short”" in sentence for sentence in tell(ranked(0.035, 0.14)))


def hours(replied):
    """Make a result of `send_time_heatmap` with three hours of which one is answered so many times of 1000."""
    rows = [
        {"weekday": day, "hour": 9, "enough": True, **rated("reply_rate", x, 1000)}
        for day, x in (("Mon", replied), ("Tue", 50), ("Wed", 50))
    ]
    return result("send_time_heatmap", rows, metric="reply_rate")


def test_an_hour_is_told_only_where_it_differs_among_all_hours_looked_at():
    """Its own interval leaves out the others, which is not enough."""
    assert wilson([64], [1000])["lo"].item() > 0.05
    assert tell(hours(64)) == [findings.NOTHING_NOTABLE["send_time_heatmap"]]

    said = tell(hours(100))
    assert said[0] == (
        "Mail that arrives on Mondays between 9:00 and 10:00 has a reply rate of 10.0 % (8.3–12.0 %, n = 1,000), above "
        "the other hours with enough mail (5.0 %)."
    )


def test_what_a_test_can_find_in_time_is_told():
    """With a single look at the end; the sequential plan needs more."""
    plan = stats.power_table(baselines=(0.05,), differences=(0.01, 0.03), per_day=50, sequential=False)

    assert tell(plan) == [
        (
            "At a rate of 5.0 %, a test finds an improvement by 3 percentage points after 43 days, with 1,059 "
            "enrollments for each variant."
        )
    ]
    slow = stats.power_table(baselines=(0.05,), differences=(0.01,), per_day=1)
    assert tell(slow) == [
        "At a rate of 5.0 %, a test would need 29,956 days to find even an improvement by 1 percentage point."
    ]
    assert tell(stats.power_table(baselines=(0.05,))) == [findings.NOTHING_NOTABLE["power_table"]]


def boxes(**changed):
    row = {"mailbox_id": 41, "email": "ann@example.com", "send_ok": True, "sync_ok": True, "blind_since": None}
    row |= {"sent_while_blind": 0, "capacity_used_p95": 0.5}
    well = pd.DataFrame([row | {"mailbox_id": 42, "email": "bob@example.com"}])
    frame = pd.concat([pd.DataFrame([row | changed]), well], ignore_index=True)
    frame = frame.astype({"send_ok": "bool[pyarrow]", "sync_ok": "bool[pyarrow]"})
    return result("mailbox_health", frame)


@pytest.mark.parametrize(
    ("health", "said"),
    [
        (
            boxes(sync_ok=False, blind_since=pd.Timestamp("2026-03-07", tz="UTC"), sent_while_blind=55),
            (
                "1 of 2 mailboxes receives no replies and no bounces: “ann@example.com” since 7 Mar 2026. 55 "
                "mails sent since then "
                "look unanswered, even if they were answered."
            ),
        ),
        (boxes(send_ok=False), "1 of 2 mailboxes cannot send: “ann@example.com”."),
        (
            boxes(capacity_used_p95=1.0),
            "1 of 2 mailboxes uses up the daily limit on busy days: “ann@example.com”.",
        ),
        (boxes(sync_ok=None, send_ok=None), findings.NOTHING_NOTABLE["mailbox_health"]),
        (boxes(), findings.NOTHING_NOTABLE["mailbox_health"]),
    ],
)
def test_mailboxes_in_trouble_are_named(health, said):
    assert tell(health) == [said]


def weekly(*bounced, sent=200):
    """Make a result of `deliverability`: one mailbox, so many bounces a week."""
    weeks = pd.date_range("2026-01-05", periods=len(bounced), freq="7D")
    rows = [
        {"mailbox_id": 41, "week": week.date(), "email": "ann@example.com", "sent": sent, "bounced": x}
        | {"delivered": sent - x, "spam": 0}
        for week, x in zip(weeks, bounced, strict=True)
    ]
    return result("deliverability", rows, thresholds={"bounce_rate": [0.02, 0.05], "spam_rate": [0.001, 0.003]})


def test_a_bounce_rate_is_told_once_its_whole_interval_is_above_a_threshold():
    assert tell(weekly(0, 0, 20, 20, 20, 20)) == [
        (
            "“ann@example.com” has a bounce rate of 10.0 % (8.1–12.3 %, n = 800) in the latest 4 weeks, above the 5 % "
            "at which to act."
        )
    ]
    assert tell(weekly(8, 8, 8, 8))[0].endswith("above the 2 % from which to watch.")
    assert tell(weekly(5, 5, 5, 5)) == [findings.NOTHING_NOTABLE["deliverability"]]
    assert tell(weekly(20, 20, 0, 0, 0, 0)) == [findings.NOTHING_NOTABLE["deliverability"]]
    assert tell(weekly(5, sent=20)) == [findings.NOTHING_NOTABLE["deliverability"]]
    assert tell(weekly(2, sent=31)) == [findings.NOTHING_NOTABLE["deliverability"]]


def test_mail_after_an_opt_out_is_counted():
    rows = {"prospect_id": [1, 1, 2], "hours_after_opt_out": [1.0, 30.0, 50.0], "sequence_id": [1, 1, None]}

    assert tell(result("opt_out_violations", rows)) == [
        "3 mails reached 2 people after they had opted out, 2 of them more than a day later; 2 of them in “Intro”."
    ]
    assert tell(result("opt_out_violations", rows).head(0)) == ["No mail reached anyone after they had opted out."]


def people(open_sequences, max_touches):
    rows = {"open_sequences": open_sequences, "max_touches": max_touches}
    return result("overlaps", rows, max_mailings=4, window_d=7)


def test_people_in_several_sequences_and_people_written_to_too_often_are_counted():
    assert tell(people([2, 1, 1, 0], [6, 5, 1, 0])) == [
        "2 people were sent more than 4 mails within 7 days, 67 % (21–94 %, n = 3) of those who got mail.",
        (
            "1 person has open enrollments in several sequences, 33 % (6–79 %, n = 3) of those with an open one "
            "(Outreach counts each enrollment as open that is neither finished nor opted out, even if it bounced)."
        ),
    ]
    assert tell(people([1, 1], [1, 4])) == [findings.NOTHING_NOTABLE["overlaps"]]
    assert tell(people([2] + [1] * 200, [1] * 201)) == [findings.NOTHING_NOTABLE["overlaps"]]


def counters(cause, gap):
    rows = [
        {"sequence_id": 1, "counter": "deliver_count", "unique_mailings": 100, "gap": gap, "cause": cause},
        {"sequence_id": 1, "counter": "open_count", "unique_mailings": 100, "gap": 7, "cause": "rows missing"},
        {"sequence_id": 2, "counter": "deliver_count", "unique_mailings": 50, "gap": 0, "cause": "equal"},
    ]
    return result("reconcile_counters", rows)


def test_deliveries_without_a_row_are_counted():
    assert tell(counters("rows missing", 8)) == [
        (
            "On 1 of 2 sequences Outreach's own counters show 8 more deliveries than there are rows: that mail "
            "was deleted or "
            "cannot be seen (150 rows in all)."
        )
    ]
    assert "8 fewer deliveries" in tell(counters("pending sync", -8))[0]
    assert tell(counters("equal", 0)) == [findings.NOTHING_NOTABLE["reconcile_counters"]]
    assert tell(counters("rows missing", 1)) == [findings.NOTHING_NOTABLE["reconcile_counters"]]


def test_what_must_be_repaired_in_the_data_is_told_unless_a_rule_of_its_own_does():
    row = {"check": "doubled_ids", "severity": "act", "count": 3, "rows": 100, "resource": "sequence_states"}
    rows = [row | {"effect": "would count twice"}, row | {"check": "blind_mailboxes", "effect": "-"}]

    assert tell(result("data_quality", rows)) == ["Doubled ids: 3 of 100 sequence states; would count twice."]
    assert tell(result("data_quality", rows[1:])) == [findings.NOTHING_NOTABLE["data_quality"]]


def test_opens_are_told_as_a_range():
    suspects = result("suspect_engagement", {"mailing_id": [1]})
    low, high = wilson([100, 150], [400, 400]).to_dict("records")
    ends = {"lower": low["rate"], "lower_lo": low["lo"], "lower_hi": low["hi"], "n": 400}
    ends |= {"upper": high["rate"], "upper_lo": high["lo"], "upper_hi": high["hi"]}
    attach(suspects, "open_rate_range", pd.DataFrame([ends]))

    assert tell(suspects) == [
        (
            "50 opens look like a machine's. With them, 37.5 % (32.9–42.3 %, n = 400) of the mails were opened, "
            "without them 25.0 % (21.0–29.5 %, n = 400). Machines that were not detected are in both figures."
        )
    ]
    attach(suspects, "open_rate_range", pd.DataFrame([ends | {"upper": low["rate"]}]))
    assert tell(suspects) == [findings.NOTHING_NOTABLE["suspect_engagement"]]


def tasks(*left):
    """Make a result of `rep_activity` with 100 tasks due for each user, so many of them left open."""
    rows = [
        {"user_id": 51 + place, "name": f"User {place}", "tasks_due": 50, "task_backlog": x / 2}
        for place, x in enumerate(left)
        for _ in range(2)
    ]
    return result("rep_activity", rows)


def test_who_leaves_more_tasks_open_than_the_rest_is_told():
    assert tell(tasks(40, 4, 4)) == [
        (
            "Of the tasks of “User 0” that were due, 40.0 % (30.9–49.8 %, n = 100) are still open, above the others "
            "together (4.0 %)."
        ),
        "48 tasks are past due and still open, 16.0 % (12.3–20.6 %, n = 300) of those that were due.",
    ]
    assert len(tell(tasks(4, 4, 4))) == 1
    assert tell(tasks(0, 0)) == [findings.NOTHING_NOTABLE["rep_activity"]]


def test_accounts_that_were_not_reached_are_counted():
    rows = {"prospects": [5, 3, 4, 0], "contacted": [0, 1, 2, 0]}

    assert tell(result("account_coverage", rows)) == [
        "In 1 of 3 accounts with people on file nobody was contacted, 5 people in all.",
        "In 1 of 2 accounts with several people on file, only one of them was contacted; 2 others could be.",
    ]
    nearly_all = {"prospects": [2] * 50, "contacted": [0, 1] + [2] * 48}
    assert tell(result("account_coverage", nearly_all)) == [findings.NOTHING_NOTABLE["account_coverage"]]


def credits_(first, *, deals=40, alone=0):
    """Make a result of `pipeline_attribution`: how many deals sequence 1 gets by the rule "first", half by "last"."""
    channel = ["unattributed"] * alone + ["sequence"] * (deals - alone)
    frame = result("pipeline_attribution", {"opportunity_id": range(deals), "channel": channel}, window_d=30)
    rows = [
        {"channel": "sequence", "channel_id": 1, "model": model, "credited": x}
        for model, x in (("first", first), ("time_decay", first / 2))
    ]
    attach(frame, "summary", pd.DataFrame(rows))
    return frame


def test_credit_that_depends_on_the_rule_is_told():
    assert tell(credits_(20)) == [
        (
            "“Intro” gets 10 of 40 deals by the rule “time decay” and 20 by “first”: how much it brings in depends "
            "on the rule."
        )
    ]
    assert tell(credits_(4)) == [findings.NOTHING_NOTABLE["pipeline_attribution"]]
    assert tell(credits_(20, deals=20)) == ["20 deals are too few to compare the rules that share credit."]


def test_deals_without_mail_before_them_are_counted():
    assert tell(credits_(4, alone=10)) == [
        "10 deals had no mail to their people in the 30 days before they began, 25 % (14–40 %, n = 40)."
    ]


def test_repairs_come_before_decisions_and_every_result_has_its_turn():
    """Else one result with many findings would fill the list."""
    rates = sequences(("A", 200, 400), ("B", 40, 400), ("C", 4, 400))
    left = tasks(40, 4, 4)

    said = tell(rates, left, boxes(send_ok=False), limit=3)

    assert "cannot send" in said[0]
    assert "“A”" in said[1]
    assert "“User 0”" in said[2]
    assert len(tell(rates, left, boxes(send_ok=False))) > 3


def test_nothing_notable_in_several_results_is_one_sentence():
    assert tell(boxes(), people([1], [1]), limit=5) == [findings.NOTHING]


def test_results_that_no_rule_is_for_are_passed_over():
    assert tell(result("time_to_event", {"duration_d": [1.0]})) == [findings.NOTHING]


def test_a_frame_that_is_no_result_is_refused():
    with pytest.raises(DataError, match="no record"):
        findings.tell(pd.DataFrame({"a": [1]}))


def test_names_are_only_text_in_a_notebook():
    evil = "<img src=x onerror=alert(1)>"

    said = findings.tell(sequences((evil, 60, 200), ("Usual", 20, 200)))

    assert any(evil in sentence for sentence in said)
    assert evil not in said._repr_html_()
    assert "&lt;img src=x" in said._repr_html_()


def test_an_interval_is_not_broken_over_two_lines():
    said = findings.tell(sequences(("High", 60, 200), ("Usual", 20, 200)))

    assert "24.1–36.7" in said[0] + said[1]
    assert "24.1\N{WORD JOINER}–\N{WORD JOINER}36.7" in said._repr_html_()


def test_every_rule_is_for_a_statistic_that_exists():
    assert findings.RULES.keys() <= set(stats.__all__)
    assert findings.NOTHING_NOTABLE.keys() <= findings.RULES.keys()


@pytest.mark.parametrize("function", sorted(findings.RULES))
def test_without_rows_nothing_is_claimed(function):
    """Of mail after an opt-out, no rows are the good news."""
    empty = result(function, {"sequence_id": []})

    said = findings.NOTHING_NOTABLE[function] if function == "opt_out_violations" else findings.NO_DATA_TO_JUDGE
    assert findings.tell(empty) == [said]


def test_without_results_nothing_is_claimed():
    assert findings.tell() == [findings.NO_DATA_TO_JUDGE]


@pytest.mark.parametrize(
    ("results", "names"),
    [(["x"], None), ([], pd.DataFrame()), ([], {"sequence_id": pd.DataFrame({"name": ["Intro"]})})],
)
def test_what_is_no_result_or_no_names_is_refused_in_words(results, names):
    with pytest.raises(DataError):
        findings.tell(*results, names=names)
