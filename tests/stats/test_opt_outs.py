import pandas as pd
import pytest

from outreach_frames.errors import MissingColumnError
from outreach_frames.stats.opt_outs import opt_out_violations
from tests.frames import example, extracted, mailings, make_frame, plain

PEOPLE = make_frame(
    [{"id": 1, "opted_out": True, "opted_out_at": "2025-03-05T12:00:00Z"}, {"id": 2, "opted_out": False}]
)
PLANS = make_frame(
    [{"id": 10, "name": "Cold", "transactional": False}, {"id": 20, "name": "Renewal", "transactional": True}]
)


def sent(day, **other):
    return {"prospect_id": 1, "sequence_id": 10, "user_id": 51, "delivered_at": f"2025-03-{day:02}T12:00:00Z"} | other


def test_mail_after_an_opt_out_is_listed_with_its_delay():
    found = opt_out_violations(mailings(sent(4), sent(7)), prospects=PEOPLE, sequences=PLANS)

    row = found.iloc[0]
    assert found["mailing_id"].tolist() == [2]
    assert row["hours_after_opt_out"] == 48
    assert row[["opt_out_source", "sequence_id", "sequence_name", "user_id"]].tolist() == ["manual", 10, "Cold", 51]


def test_the_very_instant_of_the_opt_out_is_no_violation():
    assert len(opt_out_violations(mailings(sent(5)), prospects=PEOPLE, sequences=PLANS)) == 0


def test_the_link_in_an_earlier_mailing_opts_out_as_well():
    """The prospect's own date may be missing, or come from a later repetition."""
    mail = mailings(sent(1, unsubscribed_at="2025-03-02T12:00:00Z"), sent(3), sent(4))

    found = opt_out_violations(mail, prospects=PEOPLE, sequences=PLANS)

    assert found["mailing_id"].tolist() == [2, 3]
    assert found["opt_out_source"].tolist() == ["link", "link"]
    assert found["hours_after_opt_out"].tolist() == [24, 48]


def test_the_earlier_of_two_opt_outs_counts():
    mail = mailings(sent(4, unsubscribed_at="2025-03-08T12:00:00Z"), sent(7))

    assert opt_out_violations(mail, prospects=PEOPLE, sequences=PLANS)["opt_out_source"].tolist() == ["manual"]


def test_transactional_sequences_may_write():
    found = opt_out_violations(mailings(sent(7, sequence_id=20)), prospects=PEOPLE, sequences=PLANS)

    assert len(found) == 0
    assert found.attrs["outreach_frames"]["dropped"] == {"transactional mailing": 1}


def test_one_off_mail_may_not():
    assert plain(
        opt_out_violations(mailings(sent(7, sequence_id=None)), prospects=PEOPLE, sequences=PLANS)["sequence_id"]
    ) == [None]


def test_who_has_opted_in_again_is_not_judged():
    back = PEOPLE.assign(opted_out=pd.Series([False, False], dtype="bool[pyarrow]"))

    found = opt_out_violations(mailings(sent(7)), prospects=back, sequences=PLANS)

    assert len(found) == 0
    assert found.attrs["outreach_frames"]["dropped"] == {"person who has opted in again: when is unknown": 1}


def test_mail_on_its_way_can_be_tolerated():
    mail = mailings(sent(6), sent(8))

    assert opt_out_violations(mail, prospects=PEOPLE, sequences=PLANS, grace_h=24)["mailing_id"].tolist() == [2]


def test_only_delivered_mail_counts():
    mail = mailings(sent(7, bounced_at="2025-03-07T13:00:00Z"), sent(8, delivered_at=None), sent(9, prospect_id=None))

    found = opt_out_violations(mail, prospects=PEOPLE, sequences=PLANS)

    assert len(found) == 0
    assert found.attrs["outreach_frames"]["dropped"] == {"mailing not delivered": 2, "mailing without a prospect": 1}


def test_what_comes_after_as_of_is_not_looked_at():
    found = opt_out_violations(
        extracted(mailings(sent(7), sent(9)), "mailings"), prospects=PEOPLE, sequences=PLANS, as_of="2025-03-08"
    )

    assert found["mailing_id"].tolist() == [1]


def test_the_worked_example_complies():
    found = opt_out_violations(example("mailings"), prospects=example("prospects"), sequences=example("sequences"))

    assert len(found) == 0
    assert found.dtypes.equals(opt_out_violations(mailings(sent(7)), prospects=PEOPLE, sequences=PLANS).dtypes)


def test_a_missing_column_names_itself():
    with pytest.raises(MissingColumnError, match="'transactional' is missing; opt_out_violations needs it"):
        opt_out_violations(
            example("mailings"), prospects=example("prospects"), sequences=PLANS.drop(columns="transactional")
        )
