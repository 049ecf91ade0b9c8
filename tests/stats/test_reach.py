import pytest

from outreach_frames import stats
from outreach_frames.errors import MissingColumnError
from tests.frames import MONDAY, TUESDAY, mailings, make_frame


def accounts(*rows):
    made = [{"id": n, "owner_id": 51, "named": True, **row} for n, row in enumerate(rows, start=1)]
    return make_frame(made, "id", "owner_id", "named", "industry")


def people(*accounts_):
    made = [{"id": n, "account_id": account} for n, account in enumerate(accounts_, start=1)]
    return make_frame(made, "id", "opted_out", "opted_out_at")


def mail(prospect, **row):
    return {"prospect_id": prospect, "delivered_at": MONDAY, **row}


def test_touched_of_the_named_and_answering_of_the_contacted():
    """Four accounts: two named ones, one of them touched; one that is not named is touched and answers."""
    listed = accounts({}, {}, {"named": False}, {"named": None})
    sent = mailings(mail(1), mail(2), mail(4, replied_at=TUESDAY), mail(5, bounced_at=MONDAY))

    found = stats.account_reach(sent, accounts=listed, prospects=people(1, 1, 2, 3, 4)).iloc[0]

    counts = found[["accounts", "named_accounts", "named_touched", "accounts_contacted", "accounts_replied"]]
    assert counts.tolist() == [4, 2, 1, 2, 1]
    assert (found["accounts_touched_rate"], found["accounts_touched_rate_n"]) == (0.5, 2)
    assert (found["account_reply_rate"], found["account_reply_rate_n"]) == (0.5, 2)


def test_the_intervals_are_wilsons():
    """1 of 3: 0.061492 to 0.792340, as in the worked example."""
    found = stats.account_reach(
        mailings(mail(1)), accounts=accounts({}, {}, {}), prospects=people(1, 2, 3), by=None
    ).iloc[0]

    assert found["accounts_touched_rate_lo"] == pytest.approx(0.061492, abs=1e-6)
    assert found["accounts_touched_rate_hi"] == pytest.approx(0.792340, abs=1e-6)


def test_a_call_touches_an_account():
    calls = make_frame(
        [{"id": 1, "prospect_id": 1, "direction": "outbound", "dialed_at": MONDAY}], "answered_at", "completed_at"
    )

    found = stats.account_reach(mailings(), accounts=accounts({}), prospects=people(1), calls=calls)

    assert found["accounts_contacted"].tolist() == [1]


def test_by_segment_with_what_is_left_out_counted():
    listed = accounts({"industry": "Retail"}, {"industry": "Energy"}, {"industry": None})

    found = stats.account_reach(mailings(mail(1)), accounts=listed, prospects=people(1, None, 9), by="industry")

    assert found["industry"].tolist() == ["Energy", "Retail"]
    assert found["accounts_contacted"].tolist() == [0, 1]
    assert found["account_reply_rate"].isna().tolist() == [True, False]
    assert found.attrs["outreach_frames"]["dropped"] == {
        "industry missing": 1,
        "prospect without an account": 1,
        "prospect of another account": 1,
    }


def test_touches_of_an_account_are_all_its_peoples():
    sent = mailings(mail(1), mail(1, delivered_at=TUESDAY), mail(2), mail(9))

    found = stats.account_coverage(sent, accounts=accounts({}, {}), prospects=people(1, 1))

    assert found["touches"].tolist() == [3, 0]
    assert found["touches_per_contacted"].isna().tolist() == [False, True]
    assert found["touches_per_contacted"].iloc[0] == 1.5


def test_a_missing_column_is_named():
    with pytest.raises(MissingColumnError, match="'region' is missing; account_reach needs it"):
        stats.account_reach(mailings(), accounts=accounts({}), prospects=people(1), by="region")
