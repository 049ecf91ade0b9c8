from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import beta

from outreach_frames.errors import DataError, MachineOpenWarning, MissingColumnError
from outreach_frames.stats import attached, leaderboards
from tests.frames import EXPECTED, ORACLE, TOLERANCE, example, mailings, make_frame, plain

leaderboard = partial(leaderboards.leaderboard, mature_d=0, cluster=None)
"""The mail of most tests is that of a day, and independent."""

CASE = ORACLE["numeric_fixtures"]["empirical_bayes"][0]


def mail_of(*groups, key="user_id"):
    """Make delivered mail of groups (key, trials, successes)."""
    return mailings(
        *(
            {key: group, "delivered_at": "2025-03-03T12:00:00Z"}
            | ({"replied_at": "2025-03-04T12:00:00Z"} if number < replied else {})
            for group, trials, replied in groups
            for number in range(trials)
        )
    )


FIVE = mail_of(*zip(range(1, 6), CASE["n"], CASE["x"], strict=True))


def test_the_worked_examples_groups_are_ranked_by_their_shrunk_rates():
    ranked = leaderboard(FIVE, prior="moments")

    assert ranked["user_id"].tolist() == [2, 1, 3, 5, 4]
    assert ranked["rank"].tolist() == [1, 2, 3, 4, 5]
    assert ranked["shrunk"].tolist() == pytest.approx(
        [CASE["shrunk"][user - 1] for user in ranked["user_id"]], abs=TOLERANCE
    )
    assert ranked["n"].tolist() == [CASE["n"][user - 1] for user in ranked["user_id"]]


@pytest.mark.parametrize(("by", "key"), [("template_id", "by_template"), ("sequence_id", "by_sequence")])
def test_counts_are_those_of_engagement(by, key):
    ranked = leaderboard(example("mailings"), by=by).set_index(by)

    expected = {int(group): values["reply_rate"] for group, values in EXPECTED[key].items() if group != "none"}
    assert {group: (row["x"], row["n"]) for group, row in ranked.iterrows()} == {
        group: (rate["num"], rate["den"]) for group, rate in expected.items()
    }


def test_the_default_headline_of_sequences_can_be_ranked():
    ranked = leaderboard(
        example("mailings"), sequences=example("sequences"), by="sequence_id", metric="enrollment_reply_rate"
    )

    assert ranked[["sequence_id", "name", "x", "n"]].to_numpy().tolist() == [[10, "Alpha", 1, 3], [20, "Beta", 0, 2]]
    assert ranked.attrs["outreach_frames"]["dropped"] == {"sequence_id missing": 2}


def test_chances_are_those_of_independent_draws():
    """The same question answered by integration: P(best) = ∫ f_i Π F_j over the rate."""
    ranked = leaderboard(FIVE, prior="moments").sort_values("user_id")
    prior = attached(ranked, "prior").iloc[0]
    shapes = [(x + prior["alpha"], n - x + prior["beta"]) for x, n in zip(CASE["x"], CASE["n"], strict=True)]
    rate = np.linspace(0, 0.5, 20_001)

    for number, shape in enumerate(shapes):
        others = np.prod([beta.cdf(rate, *other) for other in shapes[:number] + shapes[number + 1 :]], axis=0)
        expected = np.trapezoid(beta.pdf(rate, *shape) * others, rate)
        assert ranked["p_top"].iloc[number] == pytest.approx(expected, abs=4 * 0.0035)
    assert ranked["p_top"].sum() == pytest.approx(1)
    assert ranked["p_above_median"].sum() == pytest.approx(2)


def test_a_seed_gives_the_same_chances_and_row_order_does_not_matter():
    shuffled = FIVE.sample(frac=1, random_state=1)

    pd.testing.assert_frame_equal(leaderboard(shuffled, seed=7), leaderboard(FIVE, seed=7))
    assert leaderboard(FIVE, seed=8)["p_top"].tolist() != leaderboard(FIVE, seed=7)["p_top"].tolist()


def test_groups_without_mail_stay_last_and_unranked():
    """Nothing is known of them: the prior's mean would put them in the middle."""
    users = make_frame([{"id": user, "name": f"User {user}"} for user in range(1, 8)])

    ranked = leaderboard(FIVE, users=users, prior="moments")

    assert ranked["user_id"].tolist() == [2, 1, 3, 5, 4, 6, 7]
    assert ranked["n"].tolist()[-2:] == [0, 0]
    assert ranked["shrunk"].iloc[-1] == pytest.approx(CASE["pooled"])
    for column in ("raw", "rank", "p_top", "p_above_median"):
        assert plain(ranked[column])[-2:] == [None, None]


def test_mail_of_groups_that_are_not_listed_is_left_out_and_counted():
    ranked = leaderboard(FIVE, users=make_frame([{"id": 1, "name": "One"}]))

    assert ranked["user_id"].tolist() == [1]
    assert ranked.attrs["outreach_frames"]["dropped"] == {"mailing of a group that is not listed": 710}


def test_equal_groups_share_a_rank():
    ranked = leaderboard(mail_of((3, 10, 2), (1, 10, 2), (2, 10, 1)))

    assert ranked["user_id"].tolist() == [1, 3, 2]
    assert ranked["rank"].tolist() == [1, 1, 3]


def test_of_bounces_the_lowest_rate_is_best():
    mail = mail_of((1, 50, 0), (2, 50, 0), (3, 50, 0), key="mailbox_id")
    mail.loc[mail["mailbox_id"] == 2, "bounced_at"] = mail["delivered_at"].iloc[0]
    boxes = make_frame([{"id": number, "email": f"{number}@example.com"} for number in (1, 2, 3)])

    ranked = leaderboard(mail, mailboxes=boxes, by="mailbox_id", metric="bounce_rate")

    assert ranked["mailbox_id"].tolist() == [1, 3, 2]
    assert ranked["p_top"].iloc[-1] == 0
    assert ranked["name"].tolist()[0] == "1@example.com"


def test_a_template_that_counts_on_another_is_ranked_with_it():
    """Its own counters stay empty, and so must its row: the numbers belong to the target."""
    mail = mail_of((301, 10, 1), (302, 30, 9), key="template_id")
    templates = make_frame([{"id": 301, "name": "Original"}, {"id": 302, "name": "Copy", "stats_target_id": 301}])

    ranked = leaderboard(mail, templates=templates, by="template_id")

    assert ranked[["template_id", "name", "n", "x"]].to_numpy().tolist() == [[301, "Original", 40, 10]]


def test_copies_of_a_sequence_can_be_pooled():
    """A copy starts with empty counters; its rows say which sequence they came from."""
    mail = mail_of((10, 10, 1), (11, 30, 9), key="sequence_id")
    plans = make_frame([{"id": 10, "name": "Cold"}, {"id": 11, "name": "Cold (copy)"}])

    for listed in (None, plans):
        ranked = leaderboard(mail, sequences=listed, by="sequence_id", alias={11: 10})
        assert ranked[["sequence_id", "n", "x"]].to_numpy().tolist() == [[10, 40, 10]]


@pytest.mark.parametrize("metric", ["open_rate", "click_rate", "click_to_open_rate"])
def test_rates_that_machines_inflate_are_refused_unless_asked_for(metric):
    with pytest.raises(DataError, match=f"{metric} counts machines'"):
        leaderboard(example("mailings"), metric=metric)

    assert len(leaderboard(example("mailings"), metric=metric, allow_low_trust=True)) == 2


def test_machine_opens_are_warned_of_where_opens_are_ranked():
    mail = mail_of((1, 5, 0)).assign(open_count=1)
    mail["opened_at"] = mail["delivered_at"] + pd.Timedelta(seconds=3)

    with pytest.warns(MachineOpenWarning, match=": 5 "):
        leaderboard(mail, metric="open_rate", allow_low_trust=True)


def test_by_moments_nobody_is_told_their_chances_where_nobody_answered():
    ranked = leaderboard(mail_of((1, 5, 0), (2, 9, 0)), prior="moments")

    assert ranked[["lo", "hi", "p_top"]].isna().to_numpy().all()
    assert ranked["rank"].tolist() == [1, 1]


def test_an_empty_frame_keeps_columns_and_types():
    none = leaderboard(FIVE.head(0))

    assert len(none) == 0
    assert none.dtypes.equals(leaderboard(FIVE).dtypes)
    assert attached(none, "prior").empty


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=6))
def test_chances_of_being_best_sum_to_one(groups):
    mail = mail_of(*((user, max(a, b), min(a, b)) for user, (a, b) in enumerate(groups)))
    ranked = leaderboard(mail)

    if ranked["p_top"].notna().any():
        assert ranked["p_top"].sum() == pytest.approx(1)
    assert (ranked["n"].sum(), ranked["x"].sum()) == (sum(map(max, groups)), sum(map(min, groups)))


@pytest.mark.parametrize("arguments", [{"metric": "charm"}, {"prior": (0, 0)}, {"prior": "charm"}, {"ci": 0}])
def test_unknown_choices_are_refused(arguments):
    with pytest.raises(DataError):
        leaderboard(FIVE, **arguments)


def test_a_missing_key_names_itself():
    with pytest.raises(MissingColumnError, match="'team_id' is missing; leaderboard needs it"):
        leaderboard(FIVE, by="team_id")


def test_mail_whose_answers_are_still_to_come_is_left_out_and_counted():
    """A rep who began last week would be the last of all."""
    mail = mailings(
        *({"user_id": 1, "delivered_at": "2026-03-01T12:00:00Z", "replied_at": "2026-03-02T12:00:00Z"},) * 2,
        *({"user_id": 2, "delivered_at": "2026-03-28T12:00:00Z"},) * 3,
    )

    ranked = leaderboards.leaderboard(mail, as_of="2026-03-31T00:00:00Z", cluster=None)

    assert ranked["user_id"].tolist() == [1]
    assert ranked.attrs["outreach_frames"]["dropped"] == {"mailing sent less than 14 days before as_of": 3}
    assert len(leaderboard(mail, as_of="2026-03-31T00:00:00Z")) == 2


def test_mail_of_one_account_tells_less():
    """Each account answers all of its mail or none: an account is worth one trial, whatever its size."""
    rows = [
        {"user_id": user, "delivered_at": "2026-03-01T12:00:00Z", "prospect_id": number}
        | ({"replied_at": "2026-03-02T12:00:00Z"} if number % 3 == user % 3 else {})
        for user in (1, 2, 3)
        for number in range(30 * user, 30 * user + 30)
        for _ in range(10)
    ]
    mail = mailings(*rows).assign(account_id=lambda made: made["prospect_id"])

    alike, alone = leaderboards.leaderboard(mail, mature_d=0), leaderboard(mail)

    assert alike.attrs["outreach_frames"]["clusters"]["reply_rate"]["design_effect"] == pytest.approx(10, rel=0.1)
    assert alike[["n", "x", "raw"]].equals(alone[["n", "x", "raw"]])
    assert ((alike["hi"] - alike["lo"]) > 1.5 * (alone["hi"] - alone["lo"])).all()
