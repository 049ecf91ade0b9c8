"""What holds for any mail whatsoever."""

import pandas as pd
from hypothesis import given, settings, strategies as st

from outreach_frames import stats
from tests.frames import MAILING_COLUMNS, NUMERATORS, mailings

MOMENTS = st.one_of(st.none(), st.integers(1, 9).map(lambda day: f"2025-03-0{day}T12:00:00Z"))
ROWS = st.fixed_dictionaries(
    {name: MOMENTS for name in MAILING_COLUMNS if name.endswith("_at")}
    | {name: st.one_of(st.none(), st.integers(0, 3)) for name in MAILING_COLUMNS if name.endswith("_count")}
    | {name: st.one_of(st.none(), st.booleans()) for name in MAILING_COLUMNS if name.startswith("track_")}
    | {
        name: st.one_of(st.none(), st.integers(1, 3))
        for name in MAILING_COLUMNS
        if name.endswith("_id") and name != "id"
    }
)
MAIL = st.lists(ROWS, min_size=1, max_size=25).map(lambda rows: mailings(*rows))
POLICIES = st.sampled_from(["reply_wins", "bounce_wins"])
ADDITIVE = [
    *["mailings", "sent", "bounced", "delivered", "open_base", "opened", "click_base", "clicked", "replied"],
    *["opted_out", "opens_total", "clicks_total", "opened_clicked"],
]


@settings(max_examples=20, deadline=None)
@given(MAIL, POLICIES)
def test_sent_is_delivered_and_bounced_and_no_numerator_leaves_its_denominator(mail, policy):
    rates = stats.engagement(mail, bounce_policy=policy).iloc[0]

    assert rates["sent"] == rates["delivered"] + rates["bounced"]
    for rate, numerator in NUMERATORS.items():
        assert 0 <= rates[numerator] <= rates[f"{rate}_n"]
        if rates[f"{rate}_n"] == 0:
            assert rates[[rate, f"{rate}_lo", f"{rate}_hi"]].isna().all()
        else:
            assert rates[rate] == rates[numerator] / rates[f"{rate}_n"]
            assert 0 <= rates[f"{rate}_lo"] <= rates[rate] <= rates[f"{rate}_hi"] <= 1


@settings(max_examples=10, deadline=None)
@given(MAIL, st.sampled_from(["sequence_id", "user_id", "prospect_id"]))
def test_groups_sum_to_the_whole(mail, key):
    """Counts of mailings are additive over any key; people are not, since one can be in two groups."""
    groups = stats.engagement(mail, by=key, include_unsequenced=True)
    whole = stats.engagement(mail).iloc[0]

    assert {name: groups[name].sum() for name in ADDITIVE} == {name: whole[name] for name in ADDITIVE}


@settings(max_examples=8, deadline=None)
@given(MAIL, st.randoms(use_true_random=False))
def test_row_order_and_other_columns_do_not_matter(mail, random):
    order = random.sample(range(len(mail)), len(mail))
    shuffled = mail.iloc[order].assign(subject="Hello", week_of_work=7)[list(reversed(mail.columns))]

    for statistic in (
        lambda frame: stats.engagement(frame, by=["user_id", "week"]),
        lambda frame: stats.time_to_event(frame, by="user_id", as_of="2025-03-31"),
        lambda frame: stats.kaplan_meier(stats.time_to_event(frame, as_of="2025-03-31")),
    ):
        pd.testing.assert_frame_equal(statistic(shuffled), statistic(mail))


@settings(max_examples=10, deadline=None)
@given(MAIL, POLICIES)
def test_a_subset_of_rows_is_the_statistic_of_those_rows(mail, policy):
    """What a caller filters before is what a group holds, where trials are independent: clusters are of all groups."""
    options = {"bounce_policy": policy, "cluster": None, "as_of": "2025-03-31"}
    groups = stats.engagement(mail, by="user_id", **options)

    for _, row in groups.iterrows():
        alone = stats.engagement(mail[mail["user_id"] == row["user_id"]], **options).iloc[0]
        pd.testing.assert_series_equal(alone, row.drop("user_id"), check_names=False, check_dtype=False)


@settings(max_examples=12, deadline=None)
@given(MAIL)
def test_every_enrollment_with_a_sent_mailing_has_one_outcome(mail):
    found = stats.time_to_event(mail, as_of="2025-03-31")

    sent = mail[mail[["delivered_at", "bounced_at", "replied_at"]].notna().any(axis=1)]["sequence_state_id"].dropna()
    assert found["sequence_state_id"].tolist() == sorted(sent.unique())
    assert (found["duration_d"] >= 0).all()
    assert (found["event_at"].isna() == (found["event"] == "censored")).all()


@settings(max_examples=12, deadline=None)
@given(MAIL, st.sampled_from(["direct", "last_touch", "first_touch"]))
def test_a_funnel_only_loses_people_on_the_way(mail, attribution):
    steps = pd.DataFrame({"id": [1, 2, 3], "sequence_id": [1, 1, 1], "order": [1, 2, 3], "step_type": "auto_email"})

    funnel = stats.step_funnel(mail, sequence_steps=steps, attribution=attribution)

    assert (funnel["at_risk"] <= funnel["enrollments_reached"]).all()
    assert (funnel["first_replies"] <= funnel["at_risk"]).all()
    assert (funnel["sent"] == funnel["delivered"] + funnel["bounces"]).all()
    assert funnel["cumulative_reply"].is_monotonic_increasing
    assert funnel["cumulative_reply"].between(0, 1).all()
