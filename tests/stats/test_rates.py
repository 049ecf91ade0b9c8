from datetime import date

import pandas as pd
import pytest

from outreach_frames import stats
from outreach_frames.errors import DataError
from tests.frames import EXPECTED, MONDAY, NUMERATORS, TOLERANCE, example, mailings, make_frame

COUNTS = [
    *["mailings", "sent", "bounced", "delivered", "open_base", "opened", "click_base", "clicked", "replied"],
    *["opted_out", "opens_total", "clicks_total"],
]
RATES = [name for name in EXPECTED["overall"] if name.endswith("_rate")]


def assert_is(row, expected):
    """Compare a row with the worked example's: counts exactly, rates to its tolerance, missing as missing."""
    assert {name: row[name] for name in COUNTS} == {name: expected[name] for name in COUNTS}
    for name in RATES:
        rate = expected[name]
        assert row[NUMERATORS[name]] == rate["num"], name
        assert row[f"{name}_n"] == rate["den"], name
        assert_near(row[[name, f"{name}_lo", f"{name}_hi"]], [rate["rate"], *rate["ci"]])
    assert_near(row[["hours_to_reply_median"]], [expected["hours_to_reply_median"]])


def assert_near(found, expected):
    assert [pd.isna(value) for value in found] == [value is None for value in expected]
    assert found.dropna().tolist() == pytest.approx([value for value in expected if value is not None], abs=TOLERANCE)


@pytest.mark.parametrize("policy", ["reply_wins", "bounce_wins"])
def test_all_mail_of_the_worked_example(policy):
    rates = stats.engagement(example("mailings"), bounce_policy=policy, cluster=None)

    assert len(rates) == 1
    assert_is(rates.iloc[0], EXPECTED["overall" if policy == "reply_wins" else "overall_bounce_wins"])


@pytest.mark.parametrize("key", ["sequence", "template", "prospect", "user", "mailbox"])
def test_groups_of_the_worked_example(key):
    rates = stats.engagement(example("mailings"), by=f"{key}_id", include_unsequenced=key == "sequence", cluster=None)

    groups = {"none" if pd.isna(row.iloc[0]) else str(row.iloc[0]): row for _, row in rates.iterrows()}
    assert set(groups) == set(EXPECTED[f"by_{key}"])
    for name, expected in EXPECTED[f"by_{key}"].items():
        assert_is(groups[name], expected)


def test_one_off_mail_is_no_sequence_but_counts_in_the_total():
    """Replies to one-off mail would lift a sequence that never sent it."""
    mail = example("mailings")

    by_sequence = stats.engagement(mail, by="sequence_id")

    assert by_sequence["sequence_id"].tolist() == [10, 20]
    assert by_sequence.attrs["outreach_frames"]["dropped"] == {"sequence_id missing": 2}
    assert stats.engagement(mail)["mailings"].item() == 12


def test_the_numerator_stays_within_the_denominator_where_raw_counts_do_not():
    """The sum of opens over deliveries would be 14/9 = 156 %."""
    rates = stats.engagement(example("mailings")).iloc[0]

    assert rates["opens_total"] / rates["delivered"] > 1.5
    assert rates["open_rate"] <= 1


def test_a_prospect_mailed_twice_counts_once():
    """Six mailings, two of them answered, to three people in four enrollments: three grains, three rates."""
    sent = {"delivered_at": MONDAY}
    answered = {**sent, "replied_at": "2025-03-04T10:00:00Z"}
    rates = stats.engagement(
        mailings(
            {"prospect_id": 1, "sequence_state_id": 1, **answered},
            {"prospect_id": 1, "sequence_state_id": 1, **answered},
            {"prospect_id": 1, "sequence_state_id": 2, **sent},
            {"prospect_id": 2, "sequence_state_id": 3, **sent},
            {"prospect_id": 3, "sequence_state_id": 4, **sent},
            {"prospect_id": None, "sequence_state_id": None, **sent},
        )
    ).iloc[0]

    assert (rates["reply_rate"], rates["reply_rate_n"]) == (pytest.approx(2 / 6), 6)
    assert (rates["enrollment_reply_rate"], rates["enrollment_reply_rate_n"]) == (0.25, 4)
    assert (rates["prospect_reply_rate"], rates["prospect_reply_rate_n"]) == (pytest.approx(1 / 3), 3)


def test_an_empty_frame_is_one_row_of_zeros_without_rates():
    rates = stats.engagement(mailings())

    assert rates["mailings"].tolist() == [0]
    assert rates[RATES].isna().to_numpy().all()
    assert rates["reply_rate_n"].tolist() == [0]
    assert str(rates["reply_rate"].dtype) == "double[pyarrow]"


def test_an_empty_frame_has_no_groups_but_all_columns():
    empty, full = stats.engagement(mailings(), by="user_id"), stats.engagement(example("mailings"), by="user_id")

    assert empty.empty
    assert empty.dtypes.astype(str).to_dict() == full.dtypes.astype(str).to_dict()


def test_only_nulls_are_mail_that_was_never_sent():
    mail = mailings({}, {})
    untyped = pd.DataFrame({name: [1, 2] if name == "id" else [None, None] for name in mail.columns})

    for frame in (mail, untyped):
        rates = stats.engagement(frame).iloc[0]
        assert (rates["mailings"], rates["sent"]) == (2, 0)


def test_the_median_reply_time_is_exact_and_among_replies_with_a_delivery_time():
    """An answer to a message without delivery time has no duration; an even number of them has a middle."""
    mail = mailings(
        *({"delivered_at": MONDAY, "replied_at": f"2025-03-03T{hour}:00:00Z"} for hour in (11, 13, 14, 20)),
        {"replied_at": "2025-03-05T10:00:00Z"},
        {"delivered_at": MONDAY},
    )

    assert stats.engagement(mail)["hours_to_reply_median"].item() == 3.5


@pytest.mark.parametrize(("tz", "week"), [("UTC", date(2025, 3, 3)), ("Asia/Kolkata", date(2025, 3, 10))])
def test_weeks_begin_on_monday_in_the_named_zone(tz, week):
    """Sunday 23:30 UTC is already Monday in Kolkata."""
    rates = stats.engagement(mailings({"delivered_at": "2025-03-09T23:30:00Z"}), by="week", tz=tz)

    assert rates["week"].tolist() == [week]
    assert str(rates["week"].dtype) == "date32[day][pyarrow]"


def test_calendar_groups_go_by_the_time_of_sending_and_leave_out_what_was_not_sent():
    rates = stats.engagement(mailings({"bounced_at": "2025-02-28T12:00:00Z"}, {}), by=["month", "day"])

    assert rates[["month", "day"]].iloc[0].tolist() == [date(2025, 2, 1), date(2025, 2, 28)]
    assert rates.attrs["outreach_frames"]["dropped"] == {"mailing never sent": 1}


def test_origin_splits_sequences_from_other_mail():
    rates = stats.engagement(example("mailings"), by="origin").set_index("origin")

    assert rates["mailings"].to_dict() == {"sequence": 10, "single": 2}


def test_a_column_of_the_callers_own_comes_before_a_computed_key():
    mail = example("mailings").assign(week=pd.Series(["a"] * 6 + ["b"] * 6, dtype="str"))

    assert stats.engagement(mail, by="week")["week"].tolist() == ["a", "b"]


def test_the_level_widens_the_interval():
    mail = example("mailings")

    narrow, wide = (stats.engagement(mail, ci=level).iloc[0] for level in (0.8, 0.99))

    assert wide["reply_rate_lo"] < narrow["reply_rate_lo"] < narrow["reply_rate"]
    assert narrow["reply_rate_hi"] < wide["reply_rate_hi"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"by": "week", "tz": "Mars/Base"}, "no time zone"),
        ({"ci": 95}, "ci"),
    ],
)
def test_impossible_parameters_are_refused(parameters, message):
    with pytest.raises(DataError, match=message):
        stats.engagement(example("mailings"), **parameters)


def test_sequences_of_the_worked_example():
    rates = stats.sequence_engagement(example("mailings"), sequences=example("sequences"), cluster=None)

    assert rates["name"].tolist() == ["Alpha", "Beta"]
    for (_, row), expected in zip(rates.iterrows(), ("10", "20"), strict=True):
        assert_is(row, EXPECTED["by_sequence"][expected])


def test_a_sequence_without_mail_stays_without_rates():
    sequences = make_frame([{"id": 10, "name": "Alpha"}, {"id": 30, "name": "Never used"}])

    rates = stats.sequence_engagement(example("mailings"), sequences=sequences)

    unused = rates.set_index("sequence_id").loc[30]
    assert (unused["mailings"], unused["reply_rate_n"]) == (0, 0)
    assert unused[["reply_rate", "reply_rate_lo", "hours_to_reply_median"]].isna().all()
    assert rates.attrs["outreach_frames"]["dropped"] == {
        "mailing of no sequence": 2,
        "mailing of a sequence that is not listed": 4,
    }


def test_enrollments_are_open_unless_finished_or_opted_out():
    """Outreach's interface treats every other state as active."""
    rates = stats.sequence_engagement(
        example("mailings"), sequences=example("sequences"), sequence_states=example("sequence_states")
    )

    assert rates["enrollments"].tolist() == [4, 2]
    assert rates["open_enrollments"].tolist() == [2, 1]


CALLS = [
    {"id": 1, "sequence_id": 20, "prospect_id": 9, "direction": "outbound", "dialed_at": MONDAY},
    {"id": 2, "sequence_id": 20, "prospect_id": 1, "direction": "Outbound", "dialed_at": MONDAY},
    {"id": 3, "sequence_id": 20, "prospect_id": 8, "direction": "inbound", "answered_at": MONDAY},
    {"id": 4, "sequence_id": 20, "prospect_id": 7, "direction": "outbound"},
    {"id": 5, "sequence_id": 99, "prospect_id": 6, "direction": "outbound", "dialed_at": MONDAY},
]


def test_contacted_are_people_with_a_delivered_mailing_or_an_outbound_call():
    """Inbound calls, and calls that were never dialed, contact nobody; who got both counts once."""
    calls = make_frame(CALLS, "answered_at", "completed_at")

    rates = stats.sequence_engagement(example("mailings"), sequences=example("sequences"), calls=calls)

    assert rates["contacted_any"].tolist() == [3, 3]


def test_what_was_not_given_is_missing_and_not_zero():
    rates = stats.sequence_engagement(example("mailings"), sequences=example("sequences"))

    assert rates[["enrollments", "open_enrollments", "contacted_any"]].isna().to_numpy().all()
    assert {str(rates[name].dtype) for name in ("enrollments", "contacted_any")} == {"int64[pyarrow]"}


def test_copies_can_be_pooled_under_one_sequence():
    rates = stats.sequence_engagement(
        example("mailings"), sequences=example("sequences"), sequence_states=example("sequence_states"), alias={20: 10}
    )

    assert rates["sequence_id"].tolist() == [10]
    assert (rates["mailings"].item(), rates["enrollments"].item()) == (10, 6)


def test_a_period_includes_its_start_and_not_its_end():
    rates = stats.sequence_engagement(
        example("mailings"), sequences=example("sequences"), since="2025-03-05T14:00:00Z", until="2025-03-10T13:00:00Z"
    )

    assert rates["mailings"].tolist() == [2, 0]


def test_a_period_keeps_bounces_without_a_delivery_time():
    """Filtering on delivered_at alone would leave a bounce rate of 0."""
    mail = mailings({"sequence_id": 10, "bounced_at": MONDAY})

    rates = stats.sequence_engagement(mail, sequences=example("sequences"), since="2025-03-01")

    assert rates["bounced"].tolist() == [1, 0]
