import pandas as pd

from outreach_frames import stats
from tests.frames import EXPECTED, MONDAY, TUESDAY, example, mailings, make_frame


def accounts(*rows):
    return make_frame([{"id": number, **row} for number, row in enumerate(rows, start=1)], "owner_id", "named")


def people(*rows):
    numbered = [{"id": number, "account_id": 1, **row} for number, row in enumerate(rows, start=1)]
    return make_frame(numbered, "opted_out", "opted_out_at")


def test_the_worked_example():
    listed = make_frame(example("accounts").to_dict("records"), "owner_id")

    found = stats.account_coverage(example("mailings"), accounts=listed, prospects=example("prospects")).set_index(
        "account_id"
    )

    for expected in EXPECTED["account_coverage"]:
        row = found.loc[expected["account_id"]]
        for name in ("prospects", "contacted", "replied", "coverage", "multi_threaded"):
            assert row[name] == expected[name], name
    assert found.loc[62, "opted_out"] == 1
    assert found.loc[61, "last_touch_at"] == pd.Timestamp("2025-03-12T18:00:00Z")


def test_an_account_where_nobody_is_known_stays_without_coverage():
    found = stats.account_coverage(mailings(), accounts=accounts({"owner_id": 7}), prospects=people({}).iloc[:0]).iloc[
        0
    ]

    assert (found["prospects"], found["contacted"], found["owner_id"]) == (0, 0, 7)
    assert found["coverage"] is pd.NA
    assert found["last_touch_at"] is pd.NaT or found["last_touch_at"] is pd.NA
    assert not found["multi_threaded"]


def test_a_bounce_contacts_nobody_and_a_call_does():
    calls = make_frame(
        [{"id": 1, "prospect_id": 2, "direction": "outbound", "dialed_at": TUESDAY}], "answered_at", "completed_at"
    )
    mail = mailings({"prospect_id": 1, "delivered_at": MONDAY, "bounced_at": TUESDAY})

    by_mail = stats.account_coverage(mail, accounts=accounts({}), prospects=people({}, {})).iloc[0]
    by_both = stats.account_coverage(mail, accounts=accounts({}), prospects=people({}, {}), calls=calls).iloc[0]

    assert (by_mail["contacted"], by_mail["coverage"]) == (0, 0.0)
    assert (by_both["contacted"], by_both["coverage"]) == (1, 0.5)
    assert by_both["last_touch_at"] == pd.Timestamp(TUESDAY)


def test_only_named_accounts_on_request():
    found = stats.account_coverage(
        mailings(),
        accounts=accounts({"named": True}, {"named": False}, {}),
        prospects=people({}, {"account_id": 2}),
        named_only=True,
    )

    assert found["account_id"].tolist() == [1]
    assert found.attrs["outreach_frames"]["dropped"] == {"account not named": 2, "prospect of another account": 1}


def test_people_without_a_listed_account_are_left_out_and_counted():
    found = stats.account_coverage(
        mailings(), accounts=accounts({}), prospects=people({}, {"account_id": None}, {"account_id": 8})
    )

    assert found["prospects"].tolist() == [1]
    assert found.attrs["outreach_frames"]["dropped"] == {
        "prospect without an account": 1,
        "prospect of another account": 1,
    }


def test_an_opt_out_shows_by_flag_or_by_time():
    found = stats.account_coverage(
        mailings(), accounts=accounts({}), prospects=people({"opted_out": True}, {"opted_out_at": MONDAY}, {})
    )

    assert found["opted_out"].tolist() == [2]


def test_names_of_accounts_are_kept_where_they_are_given():
    listed = accounts({"owner_id": 7}, {"owner_id": 8})

    found = stats.account_coverage(mailings(), accounts=listed.assign(name=["Acme", None]), prospects=people({}))

    assert found["name"].fillna("none").tolist() == ["Acme", "none"]
    pd.testing.assert_frame_equal(
        found.drop(columns="name"), stats.account_coverage(mailings(), accounts=listed, prospects=people({}))
    )
