import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import CensoredData, beta, ecdf

from outreach_frames import stats
from outreach_frames.errors import DataError, MissingColumnError
from tests.frames import AS_OF, EXPECTED, TOLERANCE, example, mailings

LEUKAEMIA = [6, 6, 6, 7, 10, 13, 16, 22, 23], [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
"""Weeks in remission on 6-mercaptopurine, ended and censored: Freireich et al., Blood 21 (1963) 699–716."""

REMISSION = {  # week: share in remission and its 95 % log(−log) bounds, as textbooks and Stata's `sts list` print them
    6: (0.8571, 0.6197, 0.9516),
    7: (0.8067, 0.5631, 0.9228),
    10: (0.7529, 0.5032, 0.8894),
    13: (0.6902, 0.4316, 0.8491),
    16: (0.6275, 0.3675, 0.8049),
    22: (0.5378, 0.2678, 0.7468),
    23: (0.4482, 0.1881, 0.6801),
}

TRANSPLANTS = [
    *[(13, 2), (1, 1), (72, 0), (7, 2), (8, 2), (67, 0), (9, 2), (5, 2), (70, 0), (4, 0), (7, 0), (68, 0)],
    *[(1, 2), (10, 2), (7, 2), (3, 1), (4, 1), (4, 1), (3, 1), (3, 1), (22, 2), (8, 1), (2, 2), (0, 2)],
    *[(0, 1), (35, 0), (35, 0), (4, 2), (14, 2), (26, 2), (3, 2), (2, 0), (8, 0), (32, 0), (12, 1)],
]
"""Months, and death of transplant (1), relapse (2) or neither (0): Scrucca, Santucci and Aversa (2007, 2010)."""

INCIDENCE = {  # month: both cumulative incidences
    0: (0.02857143, 0.02857143),
    1: (0.05714286, 0.05714286),
    2: (0.05714286, 0.08571429),
    3: (0.14581281, 0.11527094),
    4: (0.20492611, 0.14482759),
    5: (0.20492611, 0.1757917),
    7: (0.20492611, 0.23771992),
    8: (0.23771164, 0.27050544),
    9: (0.23771164, 0.30563279),
    10: (0.23771164, 0.34076015),
    12: (0.27283899, 0.34076015),
    13: (0.27283899, 0.3758875),
    14: (0.27283899, 0.41101485),
    22: (0.27283899, 0.4461422),
    26: (0.27283899, 0.48126955),
    72: (0.27283899, 0.48126955),
}


def durations(pairs):
    return pd.DataFrame(pairs, columns=["duration_d", "event"])


def remission():
    ended, censored = LEUKAEMIA
    return durations([(float(t), "reply") for t in ended] + [(float(t), "censored") for t in censored])


def transplants():
    named = {0: "censored", 1: "reply", 2: "bounce"}
    return durations([(float(months), named[outcome]) for months, outcome in TRANSPLANTS])


@pytest.mark.parametrize("policy", ["reply_wins", "bounce_wins"])
def test_time_to_event_of_the_worked_example(policy):
    rows = EXPECTED["time_to_event" if policy == "reply_wins" else "time_to_event_bounce_wins"]

    found = stats.time_to_event(example("mailings"), bounce_policy=policy)

    assert found["sequence_state_id"].tolist() == [row["sequence_state_id"] for row in rows]
    assert found["event"].tolist() == [row["event"] for row in rows]
    assert found["t0"].tolist() == [pd.Timestamp(row["t0"]) for row in rows]
    assert found["duration_d"].tolist() == pytest.approx([row["duration_days"] for row in rows], abs=TOLERANCE)


def test_kaplan_meier_of_the_worked_example():
    curve = stats.kaplan_meier(stats.time_to_event(example("mailings")), cluster=None)

    (expected,), (band,) = EXPECTED["kaplan_meier_reply"], EXPECTED["kaplan_meier_reply_ci_loglog"]
    row = curve[curve["events"] > 0].iloc[0]
    assert (row["t_d"], row["at_risk"], row["events"]) == (expected["t"], expected["at_risk"], expected["events"])
    assert [row["survival"], row["lo"], row["hi"]] == pytest.approx([0.75, band["lo"], band["hi"]], abs=TOLERANCE)
    assert EXPECTED["kaplan_meier_median_days"] is None
    assert curve.attrs["medians"]["median_d"] == [None]


@pytest.mark.parametrize("cause", ["reply", "opt_out", "bounce"])
def test_cumulative_incidence_of_the_worked_example(cause):
    curve = stats.cumulative_incidence(stats.time_to_event(example("mailings")))

    rows = curve[curve["events_any"] > 0]
    for (_, row), expected in zip(rows.iterrows(), EXPECTED[f"cif_{cause}"], strict=True):
        assert row["t_d"] == pytest.approx(expected["t"], abs=TOLERANCE)
        assert (row["at_risk"], row["events_any"]) == (expected["at_risk"], expected["events_any"])
        assert row[f"events_{cause}"] == expected["events_cause"]
        assert row[f"cif_{cause}"] == pytest.approx(expected["cif"], abs=TOLERANCE)
        assert row["event_free"] == pytest.approx(expected["event_free"], abs=TOLERANCE)


def test_kaplan_meier_gives_the_published_remission_curve():
    """The data set that survival textbooks begin with."""
    curve = stats.kaplan_meier(remission())

    steps = curve[curve["events"] > 0].set_index("t_d")
    assert steps.index.tolist() == list(REMISSION)
    for week, values in REMISSION.items():
        assert steps.loc[week, ["survival", "lo", "hi"]].tolist() == pytest.approx(values, abs=5e-5)
    assert curve.attrs["medians"] == {"median_d": [23.0], "lo": [13.0], "hi": [None]}


def test_kaplan_meier_agrees_with_scipy():
    """SciPy computes curve and Greenwood band on its own."""
    ended, censored = LEUKAEMIA
    theirs = ecdf(CensoredData(uncensored=ended, right=censored)).sf
    band = theirs.confidence_interval(method="log-log")

    curve = stats.kaplan_meier(remission())

    assert curve["t_d"].tolist() == theirs.quantiles.tolist()
    np.testing.assert_allclose(curve["survival"], theirs.probabilities, atol=1e-12)
    np.testing.assert_allclose(curve["lo"].astype(float), band.low.probabilities, atol=1e-12)
    np.testing.assert_allclose(curve["hi"].astype(float), band.high.probabilities, atol=1e-12)


def test_cumulative_incidence_gives_the_published_transplant_curves():
    """35 patients; values of R's cmprsk and scikit-survival for the same data."""
    curve = stats.cumulative_incidence(transplants()).set_index("t_d")

    for month, values in INCIDENCE.items():
        assert curve.loc[month, ["cif_reply", "cif_bounce"]].tolist() == pytest.approx(values, abs=5e-9)


def test_aalens_variance_is_the_double_sum_of_the_textbook():
    """The running sums are an algebraic rearrangement of Pintilie (2006), equation 4.5, written out here."""
    table = transplants()
    curve = stats.cumulative_incidence(table)
    n = curve["at_risk"].to_numpy(float)
    d, d_any = curve["events_reply"].to_numpy(float), curve["events_any"].to_numpy(float)
    cif, free = curve["cif_reply"].to_numpy(float), curve["event_free"].to_numpy(float)
    before = np.r_[1, free[:-1]]

    expected = []
    for j in range(len(n)):
        total = 0.0
        for k in range(j + 1):
            if n[k] == 1:
                continue
            gap, rest = cif[j] - cif[k], n[k] - 1
            total += before[k] ** 2 * d[k] * (n[k] - d[k]) / (rest * n[k] ** 2)
            if n[k] > d_any[k]:
                total += gap**2 * d_any[k] / (rest * (n[k] - d_any[k]))
                total -= 2 * gap * before[k] * d[k] * (n[k] - d[k]) / (rest * n[k] * (n[k] - d_any[k]))
        spread = 1.959963984540054 * np.sqrt(total) / (cif[j] * np.log(cif[j]))
        expected.append((cif[j] ** np.exp(-spread), cif[j] ** np.exp(spread)))

    np.testing.assert_allclose(curve[["cif_reply_lo", "cif_reply_hi"]].to_numpy(float), expected, rtol=1e-9)


def test_with_one_cause_incidence_is_one_minus_kaplan_meier():
    """Nothing competes, so both answer the same question."""
    table = remission()

    km, aj = stats.kaplan_meier(table), stats.cumulative_incidence(table)

    np.testing.assert_allclose(aj["cif_reply"].to_numpy(float), 1 - km["survival"].to_numpy(float), atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 12).map(float), st.sampled_from(["reply", "opt_out", "bounce", "censored"])),
        min_size=1,
        max_size=40,
    )
)
def test_incidences_and_the_event_free_share_sum_to_one(pairs):
    """Everyone is in exactly one of the four states at each time; and 1 − KM never falls below the incidence."""
    table = durations(pairs)

    curve = stats.cumulative_incidence(table)

    parts = curve[["event_free", "cif_reply", "cif_opt_out", "cif_bounce"]].to_numpy(float)
    np.testing.assert_allclose(parts.sum(axis=1), 1, atol=1e-12)
    assert (np.diff(parts[:, 1:], axis=0) >= 0).all()
    survival = stats.kaplan_meier(table)["survival"].to_numpy(float)
    assert (1 - survival >= parts[:, 1] - 1e-12).all()


def test_reply_wins_over_opt_out_and_opt_out_over_bounce_at_ties():
    moment = "2025-03-05T10:00:00Z"
    sent = {"delivered_at": "2025-03-03T10:00:00Z"}
    mail = mailings(
        {"sequence_state_id": 1, **sent, "replied_at": moment, "unsubscribed_at": moment},
        {"sequence_state_id": 2, **sent, "unsubscribed_at": moment, "bounced_at": moment},
    )

    assert stats.time_to_event(mail, as_of=AS_OF)["event"].tolist() == ["reply", "opt_out"]


def test_the_earliest_outcome_wins():
    """Reply after opt-out: the opt-out ended the wait."""
    mail = mailings(
        {
            "sequence_state_id": 1,
            "delivered_at": "2025-03-03T10:00:00Z",
            "unsubscribed_at": "2025-03-04T10:00:00Z",
            "replied_at": "2025-03-05T10:00:00Z",
        }
    )

    found = stats.time_to_event(mail, as_of=AS_OF)

    assert (found["event"].item(), found["duration_d"].item()) == ("opt_out", 1.0)


def test_what_happened_after_as_of_has_not_happened_yet():
    """An earlier as_of shows the data as they stood: no reply, and the later mailing is not sent."""
    mail = example("mailings")

    found = stats.time_to_event(mail, as_of="2025-03-05T14:00:00Z").set_index("sequence_state_id")

    assert found.loc[1001, "event"] == "censored"
    assert found.loc[1001, "duration_d"] == 2.0
    assert 1005 not in found.index


def test_enrollments_without_a_sent_mailing_are_left_out_and_counted():
    found = stats.time_to_event(example("mailings"), sequence_states=example("sequence_states"))
    assert found.attrs["outreach_frames"]["dropped"] == {"mailing of no enrollment": 2}

    unsent = mailings({"sequence_state_id": 1})
    record = stats.time_to_event(unsent, as_of=AS_OF).attrs["outreach_frames"]
    assert record["dropped"] == {"enrollment without a sent mailing": 1}


def test_time_may_run_from_the_enrollment():
    found = stats.time_to_event(example("mailings"), sequence_states=example("sequence_states"), origin="enrollment")

    assert found.set_index("sequence_state_id").loc[1001, "duration_d"] == pytest.approx(56 / 24)


def test_an_outcome_dated_before_the_sending_takes_no_time():
    """Clocks disagree; a negative wait would not."""
    mail = mailings(
        {"sequence_state_id": 1, "delivered_at": "2025-03-03T10:00:00Z", "replied_at": "2025-03-03T09:59:00Z"}
    )

    assert stats.time_to_event(mail, as_of=AS_OF)["duration_d"].item() == 0


def test_columns_to_group_by_come_along():
    by_states = stats.time_to_event(
        example("mailings"), sequence_states=example("sequence_states"), by=["sequence_id", "state"]
    )
    by_mail = stats.time_to_event(example("mailings"), by="user_id")

    assert by_states["state"].tolist() == ["finished", "active", "opted_out", "bounced", "active", "finished"]
    assert by_mail["user_id"].tolist() == [51, 51, 51, 51, 52, 52]


def test_groups_are_estimated_on_their_own():
    table = stats.time_to_event(example("mailings"), by="sequence_id")

    curve = stats.cumulative_incidence(table, by="sequence_id")
    alone = stats.cumulative_incidence(table[table["sequence_id"] == 10])

    first = curve[curve["sequence_id"] == 10].drop(columns="sequence_id").reset_index(drop=True)
    pd.testing.assert_frame_equal(first, alone)


def test_reply_within_reads_the_incidence_at_the_horizon():
    found = stats.reply_within(stats.time_to_event(example("mailings")), days=(2, 3, 27))

    assert found["n"].item() == 6
    assert found["reply_within_2d"].item() == 0
    assert found["reply_within_3d"].item() == pytest.approx(1 / 6)
    assert found["reply_within_27d"].item() == pytest.approx(1 / 6)


def test_a_horizon_that_nobody_was_followed_to_has_no_share():
    """The last enrollment was watched for 27.3 days; what 30 days would have shown is unknown."""
    found = stats.reply_within(stats.time_to_event(example("mailings")), days=[30])

    assert found[["reply_within_30d", "reply_within_30d_lo", "reply_within_30d_hi"]].isna().to_numpy().all()


def test_once_everyone_has_an_outcome_later_horizons_are_known():
    found = stats.reply_within(durations([(1.0, "reply"), (2.0, "bounce")]), days=[30])

    assert found["reply_within_30d"].item() == 0.5


def test_a_horizon_cuts_the_curve_and_changes_nothing_before():
    table = remission()

    whole, cut = stats.cumulative_incidence(table), stats.cumulative_incidence(table, horizon_d=10)

    pd.testing.assert_frame_equal(whole[whole["t_d"] <= 10].reset_index(drop=True), cut, check_like=True)


def test_as_of_must_be_known_and_not_later_than_the_extraction():
    mail = example("mailings")
    with pytest.raises(DataError, match="later than the extraction"):
        stats.time_to_event(mail, as_of="2025-04-01T00:00:00Z")
    mail.attrs.clear()
    with pytest.raises(DataError, match="when the data were extracted"):
        stats.time_to_event(mail)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda mail: stats.time_to_event(mail, origin="birth"), "no origin"),
        (lambda mail: stats.time_to_event(mail, origin="enrollment"), "needs sequence_states"),
        (lambda mail: stats.kaplan_meier(stats.time_to_event(mail), event="open"), "no event"),
        (
            lambda mail: stats.reply_within(stats.time_to_event(mail), days=[-1]),
            "days must be a number at least 0",
        ),
        (lambda _: stats.kaplan_meier(durations([(1.0, "sneeze")])), "an event that is none"),
        (lambda _: stats.kaplan_meier(durations([(None, "reply")])), "without a duration"),
    ],
)
def test_what_cannot_be_answered_is_refused(call, message):
    with pytest.raises(DataError, match=message):
        call(example("mailings"))


def test_durations_without_events_name_the_column():
    with pytest.raises(MissingColumnError, match="'event' is missing; kaplan_meier needs it"):
        stats.kaplan_meier(pd.DataFrame({"duration_d": [1.0]}))


def test_no_enrollments_give_empty_curves_with_all_columns():
    """A filter that leaves nothing must not break a report; its columns and dtypes stay."""
    table = stats.time_to_event(example("mailings"), by="sequence_id")
    empty = table.iloc[:0]

    for estimate in (stats.kaplan_meier, stats.cumulative_incidence):
        full = estimate(table, by="sequence_id")
        pd.testing.assert_frame_equal(estimate(empty, by="sequence_id"), full.iloc[:0])
        assert estimate(empty).empty
    assert stats.reply_within(empty, by="sequence_id").empty
    assert stats.reply_within(empty)["n"].tolist() == [0]


@pytest.mark.parametrize("ci", [0.8, 0.95])
def test_no_reply_yet_has_the_exact_upper_bound(ci):
    """An interval from 0 to 0 would claim certainty. Of 100 followed: Clopper and Pearson's upper end for 0 of 100."""
    followed = durations([(20.0, "censored")] * 100)

    found = stats.reply_within(followed, days=[14], ci=ci).iloc[0]

    upper = beta.ppf((1 + ci) / 2, 1, 100)
    assert found.tolist() == [100, 0, 0, pytest.approx(upper)]


def test_everybody_replying_has_the_exact_lower_bound():
    found = stats.reply_within(durations([(2.0, "reply")] * 40), days=[14]).iloc[0]

    assert found.tolist() == [40, 1, pytest.approx(beta.ppf(0.025, 40, 1)), 1]


def test_the_bound_counts_only_who_was_followed():
    """Of 100, 20 opted out and 40 were lost before day 14: 40 at risk there, 80 % without outcome: as good as 50."""
    table = durations([(1.0, "opt_out")] * 20 + [(9.0, "censored")] * 40 + [(20.0, "censored")] * 40)

    found = stats.reply_within(table, days=[14]).iloc[0]

    assert found["reply_within_14d_hi"] == pytest.approx(beta.ppf(0.975, 1, 50))


def test_an_outcome_of_everybody_makes_all_known():
    found = stats.reply_within(durations([(1.0, "bounce")] * 10 + [(2.0, "opt_out")] * 20), days=[14]).iloc[0]

    assert found.tolist() == [30, 0, 0, pytest.approx(beta.ppf(0.975, 1, 30))]


def test_before_the_first_event_curves_have_no_band():
    """A share of 0 has none on the log(−log) scale."""
    durations = pd.DataFrame({"duration_d": [1.0, 2.0, 5.0, 9.0], "event": ["censored", "bounce", "reply", "censored"]})

    curve = stats.cumulative_incidence(durations).set_index("t_d").loc[[1.0, 2.0]]

    assert curve["cif_reply"].tolist() == [0, 0]
    assert curve[["cif_reply_lo", "cif_reply_hi"]].isna().to_numpy().all()
