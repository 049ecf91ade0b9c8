"""Trends: the same rates as by hand, periods without data, what is not finished, and what the interval promises."""

import numpy as np
import pandas as pd
import pytest

import outreach_frames as of
from outreach_frames import stats
from outreach_frames.errors import DataError
from tests.frames import example, extracted, mailings, make_frame

AS_OF = "2026-03-31T00:00:00Z"


def test_a_rate_by_month_is_that_of_engagement():
    mail = example("mailings")

    found = stats.trend(mail, by="month", as_of="2025-03-30")
    expected = stats.engagement(mail, by="month", as_of="2025-03-30").set_index("month")

    rows = found[found["reply_rate_n"] > 0].set_index("month")
    for column in ("reply_rate", "reply_rate_n", "reply_rate_lo", "reply_rate_hi"):
        assert rows[column].tolist() == expected[column].dropna().tolist()


def test_a_week_without_mail_has_a_row_and_no_rate():
    mail = mailings({"delivered_at": "2026-01-05T12:00:00Z"}, {"delivered_at": "2026-01-20T12:00:00Z"})

    found = stats.trend(mail, as_of=AS_OF)

    assert found["week"].astype(str).tolist() == ["2026-01-05", "2026-01-12", "2026-01-19"]
    assert found["reply_rate_n"].tolist() == [1, 0, 1]
    assert pd.isna(found["reply_rate"][1])


@pytest.mark.parametrize(("as_of", "mature"), [("2026-04-14T22:00:00Z", True), ("2026-04-14T21:59:59Z", False)])
def test_a_month_is_mature_fourteen_days_after_its_end_in_its_zone(as_of, mature):
    """March ends in Berlin at 22:00 UTC, after the clock has changed."""
    mail = mailings({"delivered_at": "2026-03-05T12:00:00Z"})

    assert stats.trend(mail, by="month", tz="Europe/Berlin", as_of=as_of)["mature"].item() is mature


def test_the_extraction_must_be_clear():
    with pytest.raises(DataError, match="when the data were extracted"):
        stats.trend(mailings({"delivered_at": "2026-03-05T12:00:00Z"}))


def test_meetings_are_counted_by_the_week_of_the_call():
    dialed = ["2026-01-05T10:00:00Z", "2026-01-06T10:00:00Z", "2026-01-12T10:00:00Z", "2026-01-19T10:00:00Z"]
    tags = [["Meeting booked"], ["meeting"], [], ["meeting"]]
    calls = make_frame(
        {
            "id": n,
            "direction": "outbound",
            "dialed_at": at,
            "answered_at": at,
            "completed_at": at,
            "outcome": "completed",
        }
        | {"prospect_id": n, "sequence_state_id": n}
        for n, at in enumerate(dialed, 1)
    )
    calls["tags"] = pd.Series(tags)
    calls = extracted(calls, "calls", as_of="2026-01-25T12:00:00Z")

    found = stats.trend(mailings({"delivered_at": dialed[0]}), calls=calls, metric="meetings")

    assert found["meetings"].tolist() == [2, 0, 1]
    assert found["mature"].tolist() == [True, True, False]
    assert found["meetings_lo"].tolist() == pytest.approx([0.2422, 0, 0.0253], abs=1e-4)
    assert found["meetings_hi"].tolist() == pytest.approx([7.2247, 3.6889, 5.5716], abs=1e-4)


def test_meetings_need_calls():
    with pytest.raises(DataError, match="needs calls"):
        stats.trend(mailings({"delivered_at": "2026-01-05T10:00:00Z"}), metric="meetings", as_of=AS_OF)


def test_a_snapshot_brings_its_calls():
    snapshot = of.open_snapshot("data/sample")
    expected = stats.trend(snapshot.frame("mailings"), calls=snapshot.frame("calls"), metric="meetings")

    pd.testing.assert_frame_equal(stats.trend(snapshot, metric="meetings"), expected)


def weekly_mail(rates, *, seed, each=150):
    """Draw mail of a person each, whose answers come after five days on average; what comes after `AS_OF` is unseen."""
    chance, end = np.random.default_rng(seed), pd.Timestamp(AS_OF)
    rows = []
    for week, rate in enumerate(rates):
        monday = end - pd.Timedelta(days=7 * (len(rates) - week) + 1)
        for answered, delay in zip(chance.random(each) < rate, chance.exponential(5, each), strict=True):
            answer = monday + pd.Timedelta(hours=9, days=float(delay))
            replied = {"replied_at": answer.isoformat()} if answered and answer <= end else {}
            rows.append(
                {"prospect_id": len(rows) + 1, "delivered_at": (monday + pd.Timedelta(hours=9)).isoformat()} | replied
            )
    return extracted(mailings(*rows), "mailings", as_of=AS_OF)


def test_a_steady_rate_does_not_look_like_a_fall_and_lies_within_nearly_all_intervals():
    """Of weeks that are not mature the rate is too low; of mature ones 95 of 100 intervals hold the true one."""
    within, young, old = [], [], []
    for seed in range(12):
        found = stats.trend(weekly_mail([0.1] * 10, seed=seed))
        mature = found["mature"].to_numpy(dtype=bool)
        within += [*((found["reply_rate_lo"] <= 0.1) & (found["reply_rate_hi"] >= 0.1))[mature]]
        young += [*found["reply_rate"][~mature]]
        old += [*found["reply_rate"][mature]]

    assert len(young) == 12 * 2
    assert np.mean(within) > 0.88
    assert np.mean(old) == pytest.approx(0.1, abs=0.01)
    assert np.mean(young) < 0.095


def test_a_rate_that_doubles_shows():
    shown = 0
    for seed in range(10):
        found = stats.trend(weekly_mail([0.1] * 4 + [0.3] * 4 + [0.3] * 3, seed=seed))
        shown += found["reply_rate_lo"][6] > found["reply_rate_hi"][1]

    assert shown >= 8
