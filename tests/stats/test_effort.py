from math import comb

import numpy as np
import pytest

from outreach_frames import stats
from outreach_frames.errors import DataError, MissingColumnError
from outreach_frames.stats._estimators import bootstrap_bounds, quantile_bounds
from tests.frames import example, mailings, make_frame, plain


def answered(hours, **row):
    at = f"2025-03-{3 + hours // 24:02d}T{hours % 24:02d}:00:00Z"
    return {"delivered_at": "2025-03-03T00:00:00Z", "replied_at": at, **row}


def touch(enrollment, day, **row):
    return {"sequence_state_id": enrollment, "delivered_at": f"2025-03-{day:02d}T12:00:00Z", **row}


def test_the_worked_example():
    """Part 6: replies after 6 and 24 hours; enrollment 1001 answered its second mailing."""
    found = stats.reply_effort(example("mailings")).iloc[0]

    assert found[["hours_to_reply_n", "touches_to_reply_n"]].tolist() == [2, 1]
    assert found[["hours_to_reply_p25", "hours_to_reply_p50", "hours_to_reply_p75"]].tolist() == [10.5, 15, 19.5]
    assert found["touches_to_reply"] == 2
    assert plain(found[["touches_to_reply_lo", "touches_to_reply_hi"]]) == [None, None]


def test_quartiles_are_those_of_the_replied():
    """NumPy's linear interpolation of 1, 2 … 9 hours; mail without a reply is no slow reply."""
    mail = mailings(*[answered(hours) for hours in range(1, 10)], {"delivered_at": "2025-03-03T00:00:00Z"})

    found = stats.reply_effort(mail).iloc[0]

    assert found["hours_to_reply_n"] == 9
    assert found[["hours_to_reply_p25", "hours_to_reply_p50", "hours_to_reply_p75"]].tolist() == [3, 5, 7]


def test_a_median_of_nine_lies_between_the_second_and_the_eighth():
    """P(X(2) ≤ median ≤ X(8)) = 1 − 2 (1 + 9)/2⁹ = 0.9609, and one place further in only 0.8203: Conover, table."""
    lo, hi = quantile_bounds(np.arange(1.0, 10.0), 0.5, ci=0.95)

    assert (lo, hi) == (2, 8)
    assert 1 - 2 * sum(comb(9, k) for k in (0, 1)) / 2**9 > 0.95


def test_too_few_replies_give_no_bounds():
    found = stats.reply_effort(mailings(answered(1), answered(2))).iloc[0]

    assert plain(found[["hours_to_reply_p50_lo", "hours_to_reply_p50_hi"]]) == [None, None]


def test_touches_are_counted_up_to_the_first_reply():
    """Enrollment 1 answers its second mailing and is mailed again; enrollment 2 its first: 1.5 on average."""
    mail = mailings(
        touch(1, 3),
        touch(1, 5, replied_at="2025-03-06T12:00:00Z"),
        touch(1, 9, replied_at="2025-03-10T12:00:00Z"),
        touch(2, 3, replied_at="2025-03-04T12:00:00Z"),
        touch(3, 3),
        touch(None, 3, replied_at="2025-03-04T12:00:00Z"),
    )

    found = stats.reply_effort(mail).iloc[0]

    assert (found["touches_to_reply"], found["touches_to_reply_n"]) == (1.5, 2)
    assert (found["touches_to_reply_lo"], found["touches_to_reply_hi"]) == (1, 2)


def test_calls_before_the_reply_are_touches_too():
    calls = make_frame(
        [
            {"id": 1, "sequence_state_id": 1, "direction": "outbound", "dialed_at": "2025-03-04T12:00:00Z"},
            {"id": 2, "sequence_state_id": 1, "direction": "outbound", "dialed_at": "2025-03-09T12:00:00Z"},
            {"id": 3, "sequence_state_id": 1, "direction": "inbound", "dialed_at": "2025-03-04T12:00:00Z"},
            {"id": 4, "sequence_state_id": None, "direction": "outbound", "dialed_at": "2025-03-04T12:00:00Z"},
        ],
        "answered_at",
        "completed_at",
    )

    found = stats.reply_effort(mailings(touch(1, 3, replied_at="2025-03-06T12:00:00Z")), calls=calls)

    assert found["touches_to_reply"].tolist() == [2]


def test_groups_without_a_reply_stay_and_unknown_ones_go():
    mail = mailings(answered(1, sequence_id=1), {**answered(2), "sequence_id": 2, "replied_at": None}, answered(3))

    found = stats.reply_effort(mail, by="sequence_id")

    assert found["sequence_id"].tolist() == [1, 2]
    assert found["hours_to_reply_n"].tolist() == [1, 0]
    assert plain(found["hours_to_reply_p50"]) == [1, None]
    assert found.attrs["outreach_frames"]["dropped"] == {"sequence_id missing": 1}


def test_no_mail_gives_a_row_of_nothing():
    found = stats.reply_effort(mailings())

    assert found["hours_to_reply_n"].tolist() == [0]
    assert found["touches_to_reply"].isna().all()


def test_bootstrap_bounds_of_a_median_are_those_of_its_exact_distribution():
    """
    The bootstrap median of seven is the k-th value with a binomial probability.

    Data: survival of the mice treated, B. Efron and R. J. Tibshirani, "An Introduction to the Bootstrap" (1993), table
    2.1. P(median* ≤ x(k)) = P(at least four of seven draws are among the k smallest).
    """
    treated = np.sort(np.array([94.0, 197, 16, 38, 99, 141, 23]))
    below = [sum(comb(7, j) * (k / 7) ** j * (1 - k / 7) ** (7 - j) for j in range(4, 8)) for k in range(1, 8)]
    lo = treated[next(k for k, p in enumerate(below) if p >= 0.025)]
    hi = treated[next(k for k, p in enumerate(below) if p >= 0.975)]

    assert bootstrap_bounds(treated, np.median, ci=0.95, resamples=20_000, seed=1) == (lo, hi)


def test_bootstrap_bounds_of_a_mean_have_its_standard_error():
    """Efron and Tibshirani (1993), table 2.2: 23.36 for the mean of the mice treated, by many resamples."""
    treated = np.array([94.0, 197, 16, 38, 99, 141, 23])

    lo, hi = bootstrap_bounds(treated, np.mean, ci=0.6827, resamples=20_000, seed=1)

    assert (hi - lo) / 2 == pytest.approx(23.36, abs=0.7)


def test_the_same_seed_gives_the_same_bounds_whatever_else_is_in_the_table():
    mail = mailings(*[answered(h, sequence_id=h % 2, sequence_state_id=h) for h in range(1, 20)])
    alone = stats.reply_effort(mail[mail["sequence_id"] == 1], by="sequence_id")

    found = stats.reply_effort(mail, by="sequence_id")

    assert found[found["sequence_id"] == 1].reset_index(drop=True).equals(alone)


def test_bad_input_is_named():
    with pytest.raises(DataError, match="resamples must be a whole number at least 1, not 0"):
        stats.reply_effort(mailings(), resamples=0)
    with pytest.raises(MissingColumnError, match="'team_id' is missing; reply_effort needs it"):
        stats.reply_effort(mailings(), by="team_id")
    with pytest.raises(DataError, match="has no table 'mailings'"):
        stats.reply_effort({"id": [1]})
