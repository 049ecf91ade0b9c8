"""What several statistics speak of means the same in each: opted out, an automatic reply, a colleague."""

import pandas as pd
import pytest

from outreach_frames import stats
from tests.frames import ENGINES, as_pandas, mailings, make_frame

SENT, GONE, NOW = "2025-03-03T12:00:00Z", "2025-03-05T12:00:00Z", "2025-03-20T00:00:00Z"
ZONES = ["time_zone_iana", "time_zone_inferred", "time_zone"]


def counted(person, *, by_link):
    """Ask every statistic whether a person, mailed on 3 and 10 March, has opted out."""
    people = make_frame([{"id": 1, "account_id": 5, **person}], "opted_out", "opted_out_at")
    people = people.assign(**dict.fromkeys(ZONES, pd.array([None], dtype="string[pyarrow]")))
    rows = [
        {"prospect_id": 1, "sequence_id": 2, "user_id": 3, "delivered_at": at} for at in (SENT, "2025-03-10T12:00:00Z")
    ]
    rows[0]["unsubscribed_at"] = GONE if by_link else None
    extra = ["state", "created_at", "scheduled_at"]
    mail = make_frame([{**row, "mailbox_id": 1} for row in mailings(*rows).to_dict("records")], *extra)
    accounts = make_frame([{"id": 5, "owner_id": 1, "named": None}]).astype({"named": "bool[pyarrow]"})
    sequences = make_frame([{"id": 2}]).assign(transactional=pd.array([False], dtype="bool[pyarrow]"))
    quality = stats.data_quality({"prospects": people, "mailings": mail}, as_of=NOW).set_index("check")["count"]
    return {
        "prospect_engagement": stats.prospect_engagement(mail, prospects=people)["opted_out"].item(),
        "account_coverage": stats.account_coverage(mail, accounts=accounts, prospects=people)["opted_out"].item() == 1,
        "opt_out_violations": len(stats.opt_out_violations(mail, prospects=people, sequences=sequences)) == 1,
        "prospect_opt_outs": stats.prospect_opt_outs(mail, prospects=people)["prospects_opted_out"].item() == 1,
        "deliverability": stats.deliverability(
            mail, mailboxes=make_frame([{"id": 1, "email": "a@b.example"}]), prospects=people
        )["manual_opt_outs"].sum()
        == 1,
        "data_quality": quality["manual_opt_outs"] == 1,
    }


@pytest.mark.parametrize("by_link", [False, True])
def test_who_is_opted_in_again_is_opted_out_nowhere(by_link):
    """``opted_out`` is false, and the old ``opted_out_at`` is still there."""
    assert not any(counted({"opted_out": False, "opted_out_at": GONE}, by_link=by_link).values())


@pytest.mark.parametrize("said", [True, None])
def test_who_opted_out_by_hand_is_opted_out_everywhere(said):
    """Without a word from ``opted_out``, its time says so."""
    assert all(counted({"opted_out": said, "opted_out_at": GONE}, by_link=False).values())


def test_an_opt_out_at_an_unknown_time_counts_where_no_time_is_needed():
    found = counted({"opted_out": True}, by_link=False)

    assert {name for name, out in found.items() if out} == {"prospect_engagement", "account_coverage"}


STATES = make_frame([{"id": 1, "state": "paused", "sequence_id": 2}, {"id": 2, "state": "active", "sequence_id": 2}])
ANSWERED = mailings(
    *(
        {
            "sequence_state_id": state,
            "sequence_id": 2,
            "delivered_at": SENT,
            "replied_at": f"2025-03-03T12:0{minutes}:00Z",
        }
        for state, minutes in ((1, 5), (1, 6), (2, 1))
    ),
    {"sequence_state_id": 1, "sequence_id": 2, "delivered_at": SENT},
)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_automatic_reply_is_one_to_a_paused_enrollment_within_five_minutes(engine):
    found = as_pandas(stats.automatic_replies(ENGINES[engine](ANSWERED), sequence_states=ENGINES[engine](STATES)))

    assert found["mailing_id"].tolist() == [1]
    assert found["replied_at"].tolist() == [pd.Timestamp("2025-03-03T12:05:00Z")]


def test_automatic_replies_are_the_same_everywhere():
    sequences = make_frame([{"id": 2, "name": "Cold"}])

    by_sequence = stats.sequence_engagement(ANSWERED, sequences=sequences, sequence_states=STATES)["automatic_replies"]
    quality = stats.data_quality({"mailings": ANSWERED, "sequence_states": STATES}, as_of=NOW).set_index("check")

    assert by_sequence.tolist() == [1]
    assert quality.loc["automatic_replies", ["count", "rows"]].tolist() == [1, 3]


def test_colleagues_are_the_same_everywhere():
    """Any address on the domain of any mailbox, whatever its case."""
    mail = mailings(*({"prospect_id": who, "delivered_at": SENT} for who in (1, 2, 3)))
    mail = mail.assign(mailbox_address="Ana@Ours.example")
    addresses = make_frame(
        {"id": number, "prospect_id": who, "email": email}
        for number, (who, email) in enumerate(
            [(1, "x@acme.example"), (2, "y@OURS.example"), (2, "y@z.example"), (3, None)]
        )
    )

    left = stats.engagement(mail, email_addresses=addresses)["delivered"]
    quality = stats.data_quality({"mailings": mail, "email_addresses": addresses}, as_of=NOW)

    assert left.tolist() == [2]
    named = quality.set_index("check").loc["mail_to_colleagues"]
    assert (named["count"], list(named["example_ids"])) == (1, [2])
