"""From the figures of Outreach's dashboard to ours, one change a row."""

import re

import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from outreach_frames import stats
from outreach_frames.errors import DataError, MissingColumnError
from tests.frames import example, extracted, mailings, make_frame, plain
from tests.stats.test_properties import POLICIES, ROWS

COUNTERS = extracted(
    make_frame(
        [
            {"id": 10, "num_contacted_prospects": 5, "num_replied_prospects": 1},  # one of them by call only
            {"id": 20, "num_contacted_prospects": 2, "num_replied_prospects": 0},
            {"id": 30, "num_contacted_prospects": None, "num_replied_prospects": 3},
        ]
    ),
    "sequences",
)
START = "as Outreach's dashboard counts"


def chains(comparison):
    """Return the steps to each rate: name, grain, numerator, denominator."""
    columns = [plain(comparison[name]) for name in ("metric", "step", "grain", "numerator", "denominator")]
    found = {}
    for metric, *step in zip(*columns, strict=True):
        found.setdefault(metric, []).append(tuple(step))
    return found


def test_the_worked_example_leads_from_the_dashboards_rates_to_ours():
    """Counted by hand from metrics.md, part 6."""
    comparison = stats.dashboard_comparison(
        example("mailings"), sequences=COUNTERS, sequence_states=example("sequence_states")
    )

    assert chains(comparison) == {
        "open_rate": [
            (START, "mailing", 6, 9),  # 1, 2, 4, 5, 7, 10 opened; 8 was never delivered, 11 and 12 are one-off
            ("tracked mail only", "mailing", 6, 8),  # without 9
            ("late bounces", "mailing", 6, 7),  # without 6
            ("one-off mail", "mailing", 7, 8),  # with 11
        ],
        "enrollment_reply_rate": [
            (START, "mailing", 1, 9),  # 2
            ("late bounces", "mailing", 1, 8),  # without 6
            ("each enrollment once", "enrollment", 1, 5),  # 1004 was never reached
        ],
        "enrollment_reply_rate_strict": [
            ("enrollment_reply_rate", "enrollment", 1, 5),
            ("automatic replies", "enrollment", 1, 5),  # it came after six hours, and 1001 is not paused
        ],
        "enrollment_reply_rate_14d": [
            ("enrollment_reply_rate", "enrollment", 1, 5),
            ("running enrollments", "enrollment", 1, 5),  # the last first mail came on 10 March, 21 days before
        ],
        "prospect_reply_rate": [
            (START, "prospect in a sequence", 1, 7),
            ("mails at hand", "prospect in a sequence", 1, 6),  # 1 to 4 in sequence 10, 1 and 5 in 20
            ("late bounces", "prospect in a sequence", 1, 5),  # without 4
            ("each person once", "prospect", 1, 4),
            ("one-off mail", "prospect", 2, 4),  # 2 answered mail 11
        ],
    }
    assert comparison["rate"].tolist() == pytest.approx(
        [6 / 9, 6 / 8, 6 / 7, 7 / 8, 1 / 9, 1 / 8, 1 / 5, 1 / 5, 1 / 5, 1 / 5, 1 / 5, 1 / 7, 1 / 6, 1 / 5, 1 / 4, 2 / 4]
    )


def test_the_sentences_tell_how_much_mail_a_step_moves():
    meaning = stats.dashboard_comparison(example("mailings")).set_index(["metric", "step"])["meaning"]

    assert "(1 mail): whether it was opened is not known" in meaning["open_rate", "tracked mail only"]
    assert "bounced after delivery (1 mail)." in meaning["open_rate", "late bounces"]
    assert meaning["open_rate", "one-off mail"] == "Adds mail outside of sequences (1 mail)."
    for metric in ("open_rate", "enrollment_reply_rate", "prospect_reply_rate"):
        assert meaning[metric, START].startswith("As Outreach's help describes it: ")


def test_the_first_rows_are_the_counters_where_reconciliation_says_they_agree():
    """All counters of the worked example agree with its mails, and yet the rates differ."""
    sequences = example("sequences")
    counters = stats.reconcile_counters(example("mailings"), sequences=sequences)
    first = {metric: steps[0] for metric, steps in chains(stats.dashboard_comparison(example("mailings"))).items()}

    assert set(counters["cause"]) == {"equal"}
    assert first["open_rate"][2:] == (sequences["open_count"].sum(), sequences["deliver_count"].sum())
    assert first["enrollment_reply_rate"][2:] == (sequences["reply_count"].sum(), sequences["deliver_count"].sum())


def test_answers_that_look_automatic_are_taken_out_by_the_rule_of_sequence_engagement():
    mail = example("mailings")
    quick = mail.assign(replied_at=mail["replied_at"].where(mail["id"] != 2, mail["delivered_at"]))
    states = example("sequence_states")
    paused = states.assign(state=states["state"].where(states["id"] != 1001, "paused"))

    steps = chains(stats.dashboard_comparison(quick, sequence_states=paused))["enrollment_reply_rate_strict"]
    by_sequence = stats.sequence_engagement(quick, sequences=example("sequences"), sequence_states=paused)

    assert [step[2:] for step in steps] == [(1, 5), (0, 5)]
    assert by_sequence["automatic_replies"].sum() == 1
    assert by_sequence["enrollment_reply_rate_strict"].tolist() == [0, 0]


def test_enrollments_too_young_to_be_compared_go_last():
    steps = chains(stats.dashboard_comparison(example("mailings"), as_of="2025-03-20"))["enrollment_reply_rate_14d"]

    assert [step[2:] for step in steps] == [(1, 5), (1, 3)]  # 1005 and 1006 had ten days


def test_what_was_not_given_is_missing_and_nothing_else():
    mail = example("mailings").drop(columns="sequence_id")

    rows = stats.dashboard_comparison(mail, sequences=example("sequences")).set_index(["metric", "step"])

    unknown = rows.index[rows["denominator"].isna()].tolist()
    assert unknown == [
        ("enrollment_reply_rate_strict", "automatic replies"),
        *[("prospect_reply_rate", step) for step in (START, "mails at hand", "late bounces")],
    ]
    assert rows["rate"].isna().tolist() == rows["denominator"].isna().tolist()
    assert rows.loc[("open_rate", START), "denominator"] == 9  # the enrollment tells too what is mail of a sequence


def test_without_mail_there_are_no_rates_and_all_rows():
    rows = stats.dashboard_comparison(mailings())

    assert len(rows) == 16
    assert rows["rate"].isna().all()


def test_counters_must_be_numbers_and_enrollments_have_a_state():
    with pytest.raises(DataError, match="'num_replied_prospects' of sequences is"):
        stats.dashboard_comparison(
            example("mailings"), sequences=COUNTERS.assign(num_replied_prospects=["one", "two", "three"])
        )
    with pytest.raises(MissingColumnError, match="state"):
        stats.dashboard_comparison(
            example("mailings"), sequence_states=example("sequence_states").drop(columns="state")
        )


def test_explain_tells_what_was_left_out(capsys):
    mail = example("mailings")
    stats.explain(stats.dashboard_comparison(mail.assign(prospect_id=mail["prospect_id"].where(mail["id"] > 1))))

    printed = capsys.readouterr().out
    assert "dashboard_comparison (outreach_frames" in printed
    assert "1: mailing without a prospect, left out of counts of people only" in printed
    assert "rate = numerator / denominator" in printed


MAIL = st.lists(ROWS, max_size=25)


@settings(max_examples=20, deadline=None)
@given(MAIL, POLICIES)
def test_the_last_row_is_engagements_own_rate(rows, policy):
    mail = mailings(*rows)
    last = stats.dashboard_comparison(mail, bounce_policy=policy).groupby("metric").tail(1).set_index("metric")
    ours = stats.engagement(mail, bounce_policy=policy, cluster=None).iloc[0]

    for metric in ("open_rate", "enrollment_reply_rate", "enrollment_reply_rate_14d", "prospect_reply_rate"):
        assert last.loc[metric, "denominator"] == ours[f"{metric}_n"]
        assert pd.isna(ours[metric]) == pd.isna(last.loc[metric, "rate"])
        assert pd.isna(ours[metric]) or last.loc[metric, "rate"] == ours[metric]


@settings(max_examples=20, deadline=None)
@given(MAIL, POLICIES)
def test_every_step_changes_what_its_sentence_says(rows, policy):
    """Counted again in plain Python, one mail after the other."""
    found = chains(stats.dashboard_comparison(mailings(*rows), bounce_policy=policy))

    def bounced(row):
        return row["bounced_at"] and not (policy == "reply_wins" and row["replied_at"])

    def arrived(row):
        return (row["delivered_at"] or row["replied_at"]) and not bounced(row)

    def opened(row):
        return row["opened_at"] or row["open_count"]

    sequenced = [row for row in rows if row["sequence_id"] or row["sequence_state_id"]]
    delivered = [row for row in sequenced if row["delivered_at"]]
    tracked = [row for row in sequenced if row["track_opens"] is not False]
    inside = [row for row in sequenced if arrived(row)]

    def count(those, holds=bool):
        return sum(1 for row in those if holds(row))

    def distinct(those, *who):
        units = {tuple(row[name] for name in who) for row in those}
        return sum(1 for unit in units if None not in unit)

    replied = [row for row in sequenced if row["replied_at"]]
    answered = [row for row in inside if row["replied_at"]]
    person, pair = ["prospect_id"], ["prospect_id", "sequence_id"]
    assert [step[2:] for step in found["open_rate"][:3]] == [
        (count(sequenced, opened), len(delivered)),
        (count(tracked, opened), count(tracked, lambda row: row["delivered_at"])),
        (count(tracked, lambda row: arrived(row) and opened(row)), count(tracked, arrived)),
    ]
    assert [step[2:] for step in found["enrollment_reply_rate"]] == [
        (len(replied), len(delivered)),
        (len(answered), len(inside)),
        (distinct(answered, "sequence_state_id"), distinct(inside, "sequence_state_id")),
    ]
    assert [step[2:] for step in found["prospect_reply_rate"][1:4]] == [
        (distinct(replied, *pair), distinct(delivered, *pair)),
        (distinct(answered, *pair), distinct(inside, *pair)),
        (distinct(answered, *person), distinct(inside, *person)),
    ]


@settings(max_examples=12, deadline=None)
@given(MAIL)
def test_the_mails_that_the_sentences_name_make_up_the_difference(rows):
    """Of opens, whose steps all count mails: each base is the one before, less and more what the sentence tells."""
    steps = stats.dashboard_comparison(mailings(*rows)).query("metric == 'open_rate'").to_dict("records")
    moved = [[int(n) for n in re.findall(r"\((\d+) mails?\)", step["meaning"])] for step in steps]
    bases = [step["denominator"] for step in steps]

    assert bases[1] == bases[0] - moved[1][0]
    assert bases[2] == bases[1] - moved[2][0] + sum(moved[2][1:])
    assert bases[3] == bases[2] + moved[3][0]
