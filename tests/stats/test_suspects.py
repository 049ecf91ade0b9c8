import json

import pandas as pd
import pytest

from outreach_frames.errors import MachineOpenWarning, MissingColumnError
from outreach_frames.stats import attached
from outreach_frames.stats.suspects import suspect_engagement
from tests.frames import EXPECTED, example, mailings, make_frame, plain

SENT = pd.Timestamp("2025-03-03T12:00:00Z")


def after(seconds):
    return SENT + pd.Timedelta(seconds=seconds)


def opened(*seconds, count=1, **other):
    """Make a mailing opened so long after delivery."""
    return {"delivered_at": SENT, "open_count": count, "opened_at": after(*seconds)} | other


def clicked(seconds, **other):
    return {"click_count": 1, "clicked_at": after(seconds)} | other


def event(name, mailing, seconds, *, proxied=False, at=None):
    moment = at or after(seconds)
    return {"name": f"message_{name}", "mailing_id": mailing, "event_at": moment, "request_proxied": proxied}


def log(*events):
    return make_frame([{"id": number, **row} for number, row in enumerate(events, start=1)])


def suspects_of(mail, events=None, **parameters):
    with pytest.warns(MachineOpenWarning):
        return suspect_engagement(mail, events=events, **parameters)


def test_people_are_left_alone():
    mail = mailings(opened(600, prospect_id=1) | clicked(700))

    found = suspect_engagement(mail, events=log(event("opened", 1, 600), event("clicked", 1, 700)))

    assert found[["suspect_open", "suspect_click"]].to_numpy().tolist() == [[False, False]]
    assert plain(found["reason"]) == [None]


@pytest.mark.parametrize(("seconds", "suspect"), [(0, True), (10, True), (11, False), (-1, True)])
def test_an_open_within_ten_seconds_is_a_machines(seconds, suspect):
    mail = mailings(opened(seconds), opened(1))

    assert suspects_of(mail)["suspect_open"].tolist() == [suspect, True]


def test_one_open_by_a_person_clears_the_mailing():
    """The API's own column holds the latest open only: if that was late, earlier ones may have been people too."""
    mail = mailings(opened(900, count=2), opened(1))

    assert suspects_of(mail)["suspect_open"].tolist() == [False, True]


def test_with_the_event_log_every_open_is_looked_at():
    mail = mailings(opened(900, count=2), opened(4, count=2))
    events = log(event("opened", 1, 2), event("opened", 1, 900), event("opened", 2, 2), event("opened", 2, 4))

    assert suspects_of(mail, events)["suspect_open"].tolist() == [False, True]


def test_proxied_requests_are_suspect():
    found = suspects_of(mailings(opened(600)), log(event("opened", 1, 600, proxied=True)))

    assert found["reason"].tolist() == ["through a proxy"]


@pytest.mark.parametrize(("recipients", "suspect"), [(4, False), (5, True)])
def test_many_recipients_do_not_open_in_the_same_second(recipients, suspect):
    rows = [opened(600, prospect_id=number) for number in range(recipients)]
    mail = mailings(*rows, opened(3))

    assert suspects_of(mail)["suspect_open"].tolist() == [*[suspect] * recipients, True]


def test_a_burst_says_nothing_of_earlier_opens():
    """Without the log only the latest open is known; the others may have been a person's."""
    mail = mailings(*(opened(600, prospect_id=number, count=2) for number in range(5)))

    assert not suspect_engagement(mail)["suspect_open"].any()


def test_one_person_with_many_mailings_is_no_burst():
    mail = mailings(*[opened(600, prospect_id=1)] * 6)

    assert not suspect_engagement(mail)["suspect_open"].any()


def test_a_click_without_an_open_is_a_scanners_where_opens_were_tracked():
    mail = mailings(
        {"delivered_at": SENT} | clicked(600),
        {"delivered_at": SENT, "track_opens": False} | clicked(600),
        opened(300) | clicked(600),
    )

    found = suspects_of(mail)

    assert found["suspect_click"].tolist() == [True, False, False]
    assert found["reason"].iloc[0] == "clicked without an open"


def test_every_link_clicked_at_once_is_a_scanners():
    mail = mailings(opened(300) | clicked(601), opened(300) | clicked(660))
    events = log(
        event("opened", 1, 300),
        event("clicked", 1, 600),
        event("clicked", 1, 601),
        event("clicked", 2, 600),
        event("clicked", 2, 660),
    )

    found = suspects_of(mail, events)

    assert found["suspect_click"].tolist() == [True, False]
    assert found["reason"].iloc[0] == "clicks at once"


@pytest.mark.parametrize(
    ("seconds", "suspect"),
    [
        ([600, 600.5, 601], True),
        ([600 + 0.3 * number for number in range(12)], True),
        ([600, 600.2, 600.4, 7800, 7800.2, 7800.4], True),
        ([600, 601, 900], False),
        ([600, 603, 606], False),
        ([600], False),
        ([], False),
    ],
)
def test_a_click_is_compared_with_the_next_one_not_with_all(seconds, suspect):
    """A scanner may need longer for many links, or come twice; one click on its own clears the mailing."""
    mail = mailings(opened(300) | clicked(max(seconds, default=600)), opened(1))
    events = log(event("opened", 1, 300), *(event("clicked", 1, each) for each in seconds[::-1]))

    assert suspects_of(mail, events)["suspect_click"].tolist() == [suspect, False]


def test_a_burst_over_the_turn_of_a_second_is_one():
    """Five within 0.4 s, but in no calendar second."""
    mail = mailings(*(opened(600.7 + 0.1 * number, prospect_id=number) for number in range(5)))

    assert suspects_of(mail)["suspect_open"].all()


def addresses(*emails):
    """Make addresses of prospects numbered from 0; a prospect may have none, or several."""
    listed = [(number, each) for number, all_ in enumerate(emails) for each in all_.split()]
    return make_frame([{"id": n, "prospect_id": who, "email": each} for n, (who, each) in enumerate(listed, start=1)])


def test_people_of_different_companies_are_no_burst_where_the_domains_are_known():
    mail = mailings(*(opened(600, prospect_id=number) for number in range(10)), opened(3))
    emails = [f"p@{'scanned' if number < 5 else number}.example" for number in range(10)]

    found = suspects_of(mail, email_addresses=addresses(*emails))

    assert found["suspect_open"].tolist() == [True] * 5 + [False] * 5 + [True]
    assert found["reason"].iloc[0] == "with other recipients' within a second"


def test_recipients_without_an_address_are_taken_together_and_the_first_address_counts():
    mail = mailings(*(opened(600, prospect_id=number) for number in range(10)))
    emails = [*[""] * 5, *["a@x.example b@other.example"] * 2, *["c@X.example"] * 3]

    assert suspects_of(mail, email_addresses=addresses(*emails))["suspect_open"].tolist() == [True] * 10


def test_a_rush_is_no_burst():
    """Eight opens a second for three minutes: that many in one second are nothing special."""
    mail = mailings(*(opened(600 + number / 8, prospect_id=number) for number in range(1500)))

    assert not suspect_engagement(mail)["suspect_open"].any()


def test_the_record_tells_whether_domains_were_known():
    mail = mailings(opened(600, prospect_id=0))

    for given in (None, addresses("p@x.example")):
        record = suspect_engagement(mail, email_addresses=given).attrs["outreach_frames"]
        assert record["parameters"]["by_domain"] is (given is not None)


def test_events_that_no_flag_confirms_are_not_counted():
    """Tracking was off, or the mailing bounced: such an event is in no open rate either."""
    mail = mailings(opened(600, track_opens=False), {"delivered_at": SENT, "bounced_at": after(60)} | clicked(1))

    found = suspect_engagement(mail, events=log(event("opened", 1, 1), event("clicked", 2, 1)))

    assert not found[["suspect_open", "suspect_click"]].to_numpy().any()


def test_the_open_rate_is_bounded():
    mail = mailings(opened(2), opened(500), opened(700), {"delivered_at": SENT}, opened(1, track_opens=False))

    bounds = attached(suspects_of(mail), "open_rate_range").iloc[0]

    assert (bounds["lower"], bounds["upper"], bounds["n"]) == (0.5, 0.75, 4)
    assert bounds["lower_lo"] < 0.5 < bounds["lower_hi"]
    json.dumps(suspects_of(mail).attrs)


def test_the_worked_example_has_no_machines():
    found = suspect_engagement(example("mailings"))

    assert not found["suspect_open"].any()
    assert attached(found, "open_rate_range")["upper"].item() == pytest.approx(EXPECTED["overall"]["open_rate"]["rate"])
    assert found["mailing_id"].tolist() == list(range(1, 13))


def test_nothing_tracked_gives_no_rate():
    bounds = attached(suspect_engagement(example("mailings").head(0)), "open_rate_range").iloc[0]

    assert bounds["n"] == 0
    assert bounds[["lower", "upper_hi"]].isna().all()


def test_mailings_without_a_delivery_time_are_only_compared_with_others():
    mail = mailings({"replied_at": after(9), "open_count": 1, "opened_at": after(1)})

    assert suspect_engagement(mail)["suspect_open"].tolist() == [False]


def test_a_missing_column_of_the_log_names_itself():
    events = log(event("opened", 1, 1)).drop(columns="request_proxied")

    with pytest.raises(MissingColumnError, match=r'fetch\(org, "events"'):
        suspect_engagement(example("mailings"), events=events)
