import inspect
import re
from functools import partial

import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from outreach_frames import stats
from outreach_frames.errors import DataError, MissingColumnError
from outreach_frames.stats.engagement_rates import engagement, sequence_engagement
from outreach_frames.stats.intervals import newcombe_difference, wilson
from outreach_frames.stats.periods import compare_periods
from outreach_frames.stats.provenance import attached
from tests.frames import example, mailings, plain

MARCH, APRIL = ("2025-03-01", "2025-04-01"), ("2025-04-01", "2025-05-01")


def mail_of(*groups):
    """Make mail of groups (sequence, month, delivered, replied)."""
    return mailings(
        *(
            {"sequence_id": sequence, "delivered_at": f"2025-{month:02}-10T12:00:00Z"}
            | ({"replied_at": f"2025-{month:02}-11T12:00:00Z"} if number < replied else {})
            for sequence, month, delivered, replied in groups
            for number in range(delivered)
        )
    )


compare = partial(compare_periods, statistic=engagement, a=MARCH, b=APRIL, by="sequence_id", mature_d=0)


def test_a_change_of_mix_alone_is_called_that():
    """Simpson's paradox in a nutshell: both sequences answer as before, the better one was used more."""
    found = compare(mail_of((1, 3, 50, 5), (2, 3, 50, 20), (1, 4, 20, 2), (2, 4, 80, 32)))
    total = attached(found, "total").iloc[0]

    assert found["diff"].tolist() == [0, 0]
    assert found["rate_effect"].tolist() == pytest.approx([0, 0])
    assert total["diff"] == pytest.approx(0.34 - 0.25)
    assert total["mix_effect"] == pytest.approx(0.09)


def test_a_change_of_rates_alone_is_called_that():
    found = compare(mail_of((1, 3, 50, 5), (2, 3, 50, 20), (1, 4, 50, 10), (2, 4, 50, 15)))

    assert found["mix_effect"].tolist() == pytest.approx([0, 0])
    assert found["rate_effect"].tolist() == pytest.approx([0.05, -0.05])


def test_kitagawas_components_come_out():
    """By hand: shares .5/.5 to .25/.75, rates .1/.3 to .2/.2, totals .2 and .2."""
    found = compare(mail_of((1, 3, 20, 2), (2, 3, 20, 6), (1, 4, 10, 2), (2, 4, 30, 6)))

    assert found["share_b"].tolist() == [0.25, 0.75]
    assert found["rate_effect"].tolist() == pytest.approx([0.1 * 0.375, -0.1 * 0.625])
    assert found["mix_effect"].tolist() == pytest.approx([-0.25 * (0.15 - 0.2), 0.25 * (0.25 - 0.2)])


def test_rates_and_differences_carry_their_intervals():
    found = compare(mail_of((1, 3, 200, 5), (1, 4, 200, 12))).iloc[0]

    before, after = wilson([5], [200]).iloc[0], wilson([12], [200]).iloc[0]
    assert (
        found[["rate_a", "rate_a_n", "rate_a_lo", "rate_a_hi"]].tolist() == before[["rate", "n", "lo", "hi"]].tolist()
    )
    assert found[["rate_b", "rate_b_lo"]].tolist() == after[["rate", "lo"]].tolist()
    assert found[["diff", "diff_lo", "diff_hi"]].tolist() == pytest.approx(newcombe_difference((12, 5), (200, 200)))


def test_a_group_that_is_new_or_gone_is_all_mix():
    found = compare(mail_of((1, 3, 40, 4), (2, 4, 40, 12)))

    assert plain(found["rate_a"]) == [0.1, None]
    assert plain(found["diff"]) == [None, None]
    assert found["rate_effect"].tolist() == [0, 0]
    assert found["mix_effect"].sum() == pytest.approx(0.2)


GROUPS = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from([3, 4]), st.integers(1, 30), st.integers(0, 30)),
    min_size=1,
    max_size=10,
)


@settings(max_examples=25, deadline=None)
@given(GROUPS)
def test_the_effects_always_sum_to_the_change(groups):
    mail = mail_of(*((s, month, max(a, b), min(a, b)) for s, month, a, b in groups))
    found = compare(mail)
    total = attached(found, "total").iloc[0]
    months = {month for _, month, _, _ in groups}

    if len(months) == 1:
        assert plain(total[["rate_effect", "mix_effect"]]) == [None, None]
    else:
        assert total["rate_effect"] + total["mix_effect"] == pytest.approx(total["diff"], abs=1e-12)
        assert found["rate_effect"].sum() == pytest.approx(total["rate_effect"], abs=1e-12)
    assert found[["rate_a_n", "rate_b_n"]].sum().tolist() == total[["rate_a_n", "rate_b_n"]].tolist()


def test_periods_are_closed_at_the_start_and_open_at_the_end():
    mail = mailings(
        *({"sequence_id": 1, "delivered_at": instant} for instant in ("2025-02-28T23:59:59Z", "2025-03-01T00:00:00Z")),
        *({"sequence_id": 1, "delivered_at": instant} for instant in ("2025-04-01T00:00:00Z", "2025-05-01T00:00:00Z")),
        {"sequence_id": 1},
    )

    found = compare(mail)

    assert found[["rate_a_n", "rate_b_n"]].to_numpy().tolist() == [[1, 1]]
    assert found.attrs["outreach_frames"]["dropped"]["row in neither period"] == 3


def test_bounces_fall_into_the_period_they_were_sent_in():
    mail = mailings(
        {"sequence_id": 1, "bounced_at": "2025-03-05T12:00:00Z"},
        {"sequence_id": 1, "delivered_at": "2025-04-05T12:00:00Z"},
    )

    found = compare(mail, metric="bounce_rate").iloc[0]

    assert (found["rate_a"], found["rate_b"]) == (1, 0)


def test_rows_can_be_placed_by_another_instant_and_parameters_passed_on():
    mail = mail_of((1, 3, 4, 1)).assign(created_at=pd.Timestamp("2025-04-02T00:00:00Z"))

    found = compare(mail, on="created_at", include_unsequenced=True).iloc[0]

    assert found["rate_b_n"] == 4
    assert compare(mail).attrs["outreach_frames"]["parameters"]["statistic"] == "engagement"


def test_any_function_with_the_metric_will_do():
    def tally(frame, *, by):
        """Count everything as a success."""
        n = frame.groupby(by, as_index=False).size()
        return n.rename(columns={"size": "sure_n"}).assign(sure=1.0)

    found = compare_periods(
        mail_of((1, 3, 4, 1), (1, 4, 2, 0)),
        statistic=tally,
        a=MARCH,
        b=APRIL,
        by="sequence_id",
        metric="sure",
        mature_d=0,
    )

    assert found[["rate_a", "rate_b"]].to_numpy().tolist() == [[1, 1]]


def test_nothing_gives_no_rows_of_the_same_types():
    none = compare(example("mailings").head(0))

    assert len(none) == 0
    assert none.dtypes.equals(compare(mail_of((1, 3, 4, 1), (1, 4, 4, 1))).dtypes)
    assert attached(none, "total")["rate_a"].isna().all()


@pytest.mark.parametrize(
    "arguments", [{"a": APRIL, "b": MARCH}, {"a": ("2025-03-01", "2025-03-01")}, {"metric": "charm"}, {"ci": 1.5}]
)
def test_what_cannot_be_compared_is_refused(arguments):
    with pytest.raises(DataError):
        compare(example("mailings"), **arguments)


def test_several_keys_make_groups_together():
    mail = mail_of((1, 3, 4, 1), (1, 4, 4, 2), (2, 4, 8, 2)).assign(user_id=pd.array([5] * 16, "int64[pyarrow]"))

    found = compare(mail, by=["user_id", "sequence_id"])

    assert found[["user_id", "sequence_id", "rate_b_n"]].to_numpy().tolist() == [[5, 1, 4], [5, 2, 8]]
    assert found["rate_effect"].sum() + found["mix_effect"].sum() == pytest.approx(attached(found, "total")["diff"][0])


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("2025-03", "2025-04"),
        (pd.Period("2025-03"), pd.Period("2025-04")),
        ("2025Q1", "2025-Q2"),
        ("2024", pd.Period("2025")),
    ],
)
def test_calendar_periods_may_be_written_as_such(a, b):
    found = compare(mail_of((1, 3, 4, 1), (1, 4, 8, 2)), a=a, b=b)

    assert attached(found, "total")["rate_b_n"].item() == (12 if b == pd.Period("2025") else 8)


def test_a_calendar_period_is_recorded_as_its_instants():
    """What draws the comparison names the days."""
    parameters = compare(mail_of((1, 3, 4, 1)), a="2025Q1", b="2025-04").attrs["outreach_frames"]["parameters"]

    assert parameters["a"] == ["2025-01-01T00:00:00Z", "2025-04-01T00:00:00Z"]
    assert parameters["b"] == ["2025-04-01T00:00:00Z", "2025-05-01T00:00:00Z"]


@pytest.mark.parametrize("a", ["2025Q5", "2025-13", "last year", 2025, None])
def test_what_is_no_period_is_refused_in_words(a):
    with pytest.raises(DataError, match="must be two instants or a calendar period") as caught:
        compare(example("mailings"), a=a)

    assert '"2026-Q1"' in str(caught.value)


def test_a_statistic_that_takes_no_by_is_refused_with_ones_that_do():
    with pytest.raises(DataError, match="which it cannot be") as caught:
        compare_periods(example("mailings"), statistic=sequence_engagement, a=MARCH, b=APRIL, by="sequence_id")

    suggested = re.findall(r"\b[a-z]+(?:_[a-z]+)*\b", str(caught.value).partition("such as ")[2].partition(";")[0])
    assert len(suggested) == 4
    assert all("by" in inspect.signature(getattr(stats, name)).parameters for name in suggested)


def test_what_the_statistic_left_out_is_told():
    """One-off mail is in neither total."""
    mail = mail_of((1, 3, 4, 1), (None, 3, 2, 1), (1, 4, 4, 1), (None, 4, 1, 0), (1, 6, 3, 0))

    dropped = compare(mail).attrs["outreach_frames"]["dropped"]
    assert (dropped["row in neither period"], dropped["sequence_id missing"]) == (3, 3)


def test_names_of_the_groups_are_kept_where_the_frame_has_them():
    mail = mail_of((1, 3, 4, 1), (2, 4, 4, 1), (3, 4, 1, 0))
    names = mail["sequence_id"].map({1: "Cold", 2: "Warm"})

    found = compare(mail.assign(sequence__name=names))

    assert plain(found["sequence__name"]) == ["Cold", "Warm", None]
    assert "sequence__name" not in compare(mail)
    assert list(found.columns[:2]) == ["sequence_id", "sequence__name"]


def test_a_missing_instant_is_named():
    with pytest.raises(MissingColumnError, match="'sent_on_at' is missing; compare_periods needs it"):
        compare(example("mailings"), on="sent_on_at")
