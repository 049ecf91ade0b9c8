import pytest

from outreach_frames import stats
from outreach_frames.errors import DataError
from outreach_frames.stats.send_times import WEEKDAYS
from tests.frames import EXPECTED, example, mailings, make_frame


def by_cell(heatmap):
    """Return the rows with mail, by weekday and hour."""
    return heatmap[heatmap["delivered"] > 0].astype({"weekday": str}).set_index(["weekday", "hour"])


def test_the_worked_example():
    """Mailing 7 was sent at 13:00 UTC, nine o'clock in New York, since the clocks had changed the day before."""
    found = by_cell(stats.send_time_heatmap(example("mailings"), prospects=example("prospects")))

    expected = {(cell["weekday"], cell["hour"]): cell for cell in EXPECTED["send_heatmap"]}
    assert set(found.index) == set(expected)
    for place, cell in expected.items():
        assert found.loc[place, ["delivered", "replied"]].tolist() == [cell["delivered"], cell["replied"]]


def test_the_record_tells_where_the_zones_came_from():
    found = stats.send_time_heatmap(example("mailings"), prospects=example("prospects"))

    sources = [row["tz_source"] for row in EXPECTED["send_times"]]
    shares = found.attrs["outreach_frames"]["tz_source"]
    assert shares["time_zone_iana"] == pytest.approx(sources.count("timeZoneIana") / len(sources))
    assert shares["default"] == pytest.approx(sources.count("default") / len(sources))


def test_the_grid_is_a_whole_week_from_monday():
    found = stats.send_time_heatmap(mailings(), clock="org")

    assert len(found) == 168
    assert found["weekday"].dtype.categories.tolist() == list(WEEKDAYS)
    assert found["weekday"].astype(str).tolist() == [day for day in WEEKDAYS for _ in range(24)]
    assert found["hour"].tolist() == list(range(24)) * 7
    assert found["reply_rate"].isna().all()


def test_the_shrunken_rate_is_that_of_shrink_rates_over_all_hours():
    found = stats.send_time_heatmap(example("mailings"), prospects=example("prospects"))

    expected = stats.shrink_rates(found["replied"], trials=found["delivered"])["shrunk"]
    assert found["shrunk"].tolist() == expected.tolist()


def test_the_organizations_clock_is_one_for_all():
    found = by_cell(stats.send_time_heatmap(example("mailings"), clock="org", default_tz="Asia/Kolkata"))

    assert found.index[0] == ("Mon", 18)  # 13:00 UTC and half past five hours later


def test_the_senders_clock_comes_from_the_users():
    users = make_frame([{"id": 51, "time_zone": "Asia/Tokyo"}, {"id": 52, "time_zone": "nowhere"}])

    found = by_cell(stats.send_time_heatmap(example("mailings"), users=users, clock="user"))

    assert found.loc[("Mon", 23), "delivered"] == 1  # mailing 1, 14:00 UTC, sent by 51
    assert found.loc[("Mon", 13), "delivered"] == 1  # mailing 7, by 52, whose zone is none


def test_recipients_who_are_not_listed_get_the_default():
    found = stats.send_time_heatmap(
        example("mailings"), prospects=example("prospects").iloc[:0], default_tz="Asia/Tokyo"
    )

    assert found["delivered"].sum() == 9
    assert found.attrs["outreach_frames"]["tz_source"] == {"default": 1.0}


@pytest.mark.parametrize(
    ("metric", "numerator"), [("open_rate", "opened"), ("click_rate", "clicked"), ("opt_out_rate", "opted_out")]
)
def test_other_metrics_have_their_own_counts(metric, numerator):
    found = stats.send_time_heatmap(example("mailings"), clock="org", metric=metric)
    whole = stats.engagement(example("mailings")).iloc[0]

    assert found[numerator].sum() == whole[numerator]
    assert found[f"{metric}_n"].sum() == whole[f"{metric}_n"]


def test_hours_with_little_mail_are_not_enough():
    found = by_cell(stats.send_time_heatmap(example("mailings"), prospects=example("prospects"), min_n=3))

    assert found.loc[("Mon", 9), "enough"]
    assert not found.loc[("Wed", 9), "enough"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"clock": "sun"}, "no clock 'sun'"),
        ({"clock": "user"}, "needs users"),
        ({}, "needs prospects"),
        ({"clock": "org", "metric": "sent"}, "no metric by hour 'sent'"),
        ({"clock": "org", "default_tz": "Berlin"}, "no time zone 'Berlin'"),
    ],
)
def test_impossible_heatmaps_are_refused(parameters, message):
    with pytest.raises(DataError, match=message):
        stats.send_time_heatmap(example("mailings"), **parameters)
