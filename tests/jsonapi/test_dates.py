"""
Dates that come with a time of day.

Outreach declares ``dateOfBirth`` and others as dates; a live organization sends midnight in the writer's zone, in UTC.
"""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings, strategies as st

from outreach_frames._jsonapi import read_jsonapi
from outreach_frames.errors import DocumentError, OutreachDataWarning
from tests.jsonapi.flat_documents import body, layout, read, resource

DATES = [
    ("1990-12-30T21:00:00.000Z", date(1990, 12, 31)),
    ("2013-05-31T21:00:00.000Z", date(2013, 6, 1)),
    ("2021-12-09T22:00:00.000Z", date(2021, 12, 10)),
    ("1990-12-31T00:00:00.000Z", date(1990, 12, 31)),
    ("1990-12-31", date(1990, 12, 31)),
    ("1990-12-31T05:00:00Z", date(1990, 12, 31)),
    ("1990-12-31T11:45:00Z", date(1990, 12, 31)),
    ("1990-12-30T12:00:00Z", date(1990, 12, 31)),
    ("1990-12-30T18:30:00", date(1990, 12, 31)),
    ("1990-12-30T18:15:00+00:00", date(1990, 12, 31)),
    ("1990-12-31T00:00:00-08:00", date(1990, 12, 31)),
    ("1990-12-30T23:00:00-08:00", date(1990, 12, 31)),
    ("1990-12-31T01:00:00+0200", date(1990, 12, 31)),
    ("9999-12-31T21:00:00Z", date(9999, 12, 31)),
]


@pytest.mark.parametrize(("sent", "meant"), DATES)
def test_the_nearest_midnight_is_the_date(sent, meant):
    """To cut the time off is a day early east of Greenwich."""
    page = layout("prospect", fields=["dateOfBirth"]).page(body(resource("prospect", 1, dateOfBirth=sent)))

    assert page.batch["date_of_birth"].to_pylist() == [meant]
    assert page.misfits == []


ZONES = [
    "Pacific/Pago_Pago",
    "America/Los_Angeles",
    "America/St_Johns",
    "Europe/Moscow",
    "Asia/Kathmandu",
    "Asia/Tokyo",
]


@settings(deadline=None)
@given(
    day=st.dates(date(1973, 1, 1), date(2100, 1, 1)),
    zone=st.sampled_from([*ZONES, "Australia/Eucla", "Pacific/Fiji"]),
    form=st.sampled_from(["utc", "bare", "offset"]),
)
def test_midnight_in_any_zone_is_its_day(day, zone, form):
    """From UTC-11 to UTC+12; further east, UTC alone does not tell it from the far west."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    in_utc = midnight.astimezone(UTC)
    if midnight.utcoffset() > timedelta(hours=12):  # summer in Fiji
        form = "offset"
    sent = {
        "utc": f"{in_utc:%Y-%m-%dT%H:%M:%S}.000Z",
        "bare": f"{in_utc:%Y-%m-%d %H:%M:%S}",
        "offset": midnight.isoformat(),
    }[form]

    assert read("prospect", body(resource("prospect", 1, dateOfBirth=sent)))["date_of_birth"].item() == day


OFF = ["1990-12-30T13:47:12Z", "1990-12-30T23:59:59.999Z", "1990-12-30T15:00:00+03:00", "1990-12-30T22:45:00-08:00"]


@pytest.mark.parametrize("sent", OFF)
def test_a_time_that_is_nobodys_midnight_keeps_the_date_as_written_and_warns(sent):
    """It is no date that was meant, and the end of a day belongs to it."""
    document = body(resource("prospect", 1, dateOfBirth="1991-01-01"), resource("prospect", 2, dateOfBirth=sent))
    told = (
        r"prospect\.dateOfBirth is a date with a time of day .* in 1 record \(id 2\)\. It is the date as it is written"
    )

    with pytest.warns(OutreachDataWarning, match=told):
        frame = read_jsonapi(document)

    assert frame["date_of_birth"].to_list() == [date(1991, 1, 1), date(1990, 12, 30)]
    with pytest.raises(DocumentError, match="dateOfBirth"):
        read_jsonapi(document, strict=True)


def test_a_column_may_hold_dates_times_and_nothing():
    """Written in every form, in one column."""
    sent = [None, "1990-12-30T21:00:00.000Z", "1990-12-30", "1990-12-30T00:00:00+02:00"]
    page = layout("prospect").page(body(*(resource("prospect", n, dateOfBirth=s) for n, s in enumerate(sent))))

    born = [None, date(1990, 12, 31), date(1990, 12, 30), date(1990, 12, 30)]
    assert page.batch["date_of_birth"].to_pylist() == born
