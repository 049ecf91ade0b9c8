import pandas as pd
import pytest

from outreach_frames import stats
from outreach_frames.errors import DataError
from tests.frames import EXPECTED, example, mailings, make_frame

ZONES = ["time_zone_iana", "time_zone_inferred", "time_zone"]
PEOPLE = ["opted_out", "opted_out_at", *ZONES]


def people(*rows):
    return make_frame([{"id": number, **row} for number, row in enumerate(rows, start=1)], *PEOPLE)


def day(number):
    return f"2025-03-{number:02d}T10:00:00Z"


def test_the_worked_example():
    found = stats.prospect_engagement(example("mailings"), prospects=example("prospects")).set_index("prospect_id")

    for key, expected in EXPECTED["by_prospect"].items():
        counts = found.loc[int(key), ["delivered", "opened", "clicked", "replied"]]
        assert counts.tolist() == [expected[name] for name in ("delivered", "opened", "clicked", "replied")]
    assert found["enrollments"].tolist() == [2, 1, 1, 1, 1]
    assert found["touches_to_reply"].tolist() == [2, 3, pd.NA, pd.NA, pd.NA]
    assert found["first_reply_at"].iloc[0] == pd.Timestamp("2025-03-05T20:00:00Z")
    assert found.loc[3, ["opted_out", "opt_out_source"]].tolist() == [True, "link"]
    assert found["tz"].tolist() == [
        "America/New_York",
        "America/Los_Angeles",
        "Europe/London",
        "Asia/Kolkata",
        "UTC",
    ]
    assert found["tz_source"].tolist() == [*["time_zone_iana"] * 3, "time_zone_inferred", "default"]


def test_someone_without_mail_stays():
    found = stats.prospect_engagement(mailings(), prospects=people({})).iloc[0]

    assert found[["enrollments", "delivered", "replied"]].tolist() == [0, 0, 0]
    assert found[["first_touch_at", "first_reply_at", "touches_to_reply", "opt_out_source"]].isna().all()
    assert not found["opted_out"]


def test_mail_to_nobody_known_or_not_listed_is_left_out_and_counted():
    mail = mailings({"prospect_id": None}, {"prospect_id": 77}, {"prospect_id": 1})

    record = stats.prospect_engagement(mail, prospects=people({})).attrs["outreach_frames"]

    assert record["dropped"] == {"mailing without a prospect": 1, "mailing to a prospect not listed": 1}


def test_calls_and_tasks_are_touches_and_only_calls_lead_to_a_reply():
    """Completed emails and calls among the tasks would count twice."""
    mail = mailings({"prospect_id": 1, "delivered_at": day(5), "replied_at": day(6)})
    calls = make_frame(
        [{"id": 1, "prospect_id": 1, "direction": "outbound", "dialed_at": day(4)}], "answered_at", "completed_at"
    )
    tasks = make_frame(
        [
            {"id": 1, "prospect_id": 1, "action": "action_item", "completed_at": day(3)},
            {"id": 2, "prospect_id": 1, "action": "call", "completed_at": day(1)},
            {"id": 3, "prospect_id": 1, "action": "email", "completed_at": day(9)},
        ]
    )

    found = stats.prospect_engagement(mail, prospects=people({}), calls=calls, tasks=tasks).iloc[0]

    assert found["first_touch_at"] == pd.Timestamp(day(3))
    assert found["last_touch_at"] == pd.Timestamp(day(5))
    assert found["touches_to_reply"] == 2


@pytest.mark.parametrize(
    ("person", "unsubscribed", "source"),
    [
        ({}, day(5), "link"),
        ({"opted_out": True}, day(5), "link"),
        ({"opted_out": True}, None, "manual"),
        ({"opted_out_at": day(5)}, None, "manual"),
    ],
)
def test_an_opt_out_without_a_link_was_made_by_hand(person, unsubscribed, source):
    mail = mailings({"prospect_id": 1, "delivered_at": day(4), "unsubscribed_at": unsubscribed})

    found = stats.prospect_engagement(mail, prospects=people(person)).iloc[0]

    assert found[["opted_out", "opt_out_source"]].tolist() == [True, source]


@pytest.mark.parametrize(
    ("zones", "zone", "source"),
    [
        (("Europe/Paris", "Asia/Tokyo", "Asia/Seoul"), "Europe/Paris", "time_zone_iana"),
        ((None, "Asia/Tokyo", "Asia/Seoul"), "Asia/Tokyo", "time_zone_inferred"),
        ((None, None, "Asia/Seoul"), "Asia/Seoul", "time_zone"),
        (("Mars/Base", None, "Eastern Time (US & Canada)"), "America/New_York", "time_zone"),
        (("Mars/Base", None, "Eastern Time"), "Europe/Berlin", "default"),
        ((None, None, None), "Europe/Berlin", "default"),
    ],
)
def test_the_first_valid_zone_wins(zones, zone, source):
    """The last column is free text; other names than IANA's are understood where they mean one zone."""
    person = dict(zip(ZONES, zones, strict=True))

    found = stats.prospect_engagement(mailings(), prospects=people(person), default_tz="Europe/Berlin").iloc[0]

    assert found[["tz", "tz_source"]].tolist() == [zone, source]


def test_the_default_must_be_a_zone():
    with pytest.raises(DataError, match="no time zone 'Berlin'"):
        stats.prospect_engagement(mailings(), prospects=people({}), default_tz="Berlin")
