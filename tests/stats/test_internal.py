"""Trap 11: mail without a prospect, and mail to colleagues."""

import pytest

from outreach_frames import stats
from outreach_frames.errors import MissingColumnError
from tests.frames import MONDAY, mailings, make_frame

ADDRESSES = make_frame(
    [
        {"id": 1, "prospect_id": 1, "email": "sally@acme.example"},
        {"id": 2, "prospect_id": 2, "email": "private@mail.example"},
        {"id": 3, "prospect_id": 2, "email": "Colleague@OURS.example"},
        {"id": 4, "prospect_id": None, "email": "nobody@ours.example"},
        {"id": 5, "prospect_id": 3, "email": None},
    ]
)


def mail(*people):
    rows = [{"prospect_id": who, "delivered_at": MONDAY, "sequence_id": 10, "sequence_state_id": who} for who in people]
    return mailings(*rows).assign(mailbox_address="ana@ours.example")


def test_colleagues_are_left_out_and_counted():
    """Any address on a mailbox's domain makes a colleague, whatever its case; other people stay, known or not."""
    found = stats.engagement(mail(1, 2, 2, 3, None), email_addresses=ADDRESSES)

    assert found[["delivered", "prospect_reply_rate_n"]].to_numpy().tolist() == [[3, 2]]
    assert found.attrs["outreach_frames"]["dropped"] == {
        "mailing to a colleague": 2,
        "mailing without a prospect, left out of counts of people only": 1,
    }
    assert found.attrs["outreach_frames"]["parameters"]["email_addresses"] is True


def test_by_default_they_count_like_everybody_else():
    found = stats.engagement(mail(1, 2))

    assert found["delivered"].tolist() == [2]
    assert found.attrs["outreach_frames"]["dropped"] == {}


def test_sequences_and_people_leave_them_out_alike():
    sequences = make_frame([{"id": 10, "name": "Alpha"}])
    people = make_frame([{"id": who} for who in (1, 2)], "opted_out", "opted_out_at", "time_zone").assign(
        time_zone_iana=None, time_zone_inferred=None
    )

    by_sequence = stats.sequence_engagement(mail(1, 2), sequences=sequences, email_addresses=ADDRESSES)
    by_person = stats.prospect_engagement(mail(1, 2), prospects=people, email_addresses=ADDRESSES)

    assert by_sequence["contacted_email"].tolist() == [1]
    assert by_person["delivered"].tolist() == [1, 0]


def test_a_mailbox_at_another_domain_has_no_colleagues():
    found = stats.engagement(mail(1, 2).assign(mailbox_address=None), email_addresses=ADDRESSES)

    assert found["delivered"].tolist() == [2]


def test_the_check_finds_mail_to_them():
    checks = stats.data_quality(
        {"mailings": mail(1, 2, None), "email_addresses": make_frame(ADDRESSES.to_dict("records"))}
    )
    row = checks.set_index("check").loc["mail_to_colleagues"]

    assert (row["trap"], row["count"], row["rows"], list(row["example_ids"])) == ("T11", 1, 3, [2])


def test_a_missing_column_is_named():
    with pytest.raises(
        MissingColumnError, match=r"'mailbox_address' is missing; .*\n.*fields=\[\.\.\., \"mailbox_address\"\]"
    ):
        stats.engagement(mail(1).drop(columns="mailbox_address"), email_addresses=ADDRESSES)
