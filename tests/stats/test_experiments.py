import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chisquare

from outreach_frames.errors import ChangedTemplateWarning, DataError, MachineOpenWarning, MissingColumnError
from outreach_frames.stats.ab_tests import ab_test
from outreach_frames.stats.comparisons import always_valid_p, expected_loss, probability_greater
from outreach_frames.stats.power import sequential_size
from outreach_frames.stats.provenance import attached
from tests.frames import AS_OF, ORACLE, TOLERANCE, example, extracted, mailings, make_frame, plain

START = datetime(2025, 1, 6, tzinfo=UTC)


def mail_of(*arms, step=1, start=START, days=30, wait=timedelta(hours=5)):
    """Make delivered mail of arms (template, trials, successes), evenly over the days, the first ones answered."""
    rows = []
    for template, trials, successes in arms:
        for number in range(trials):
            sent = start + timedelta(days=number * days // trials, seconds=number % 3600)
            state = step * 1_000_000 + template * 10_000 + number
            row = {"sequence_state_id": state, "sequence_step_id": step, "template_id": template, "delivered_at": sent}
            rows.append(row | ({"replied_at": sent + wait} if number < successes else {}))
    return extracted(mailings(*rows), "mailings", "2025-06-01T00:00:00Z")


def variants(*pairs, enabled=True, since=START):
    same = {"enabled": enabled, "enabled_at": since}
    rows = [
        {"id": 900 + n, "sequence_step_id": pair[0], "template_id": pair[1], **same} for n, pair in enumerate(pairs)
    ]
    return make_frame(rows)


TWO = variants((1, 11), (1, 12))


def test_the_worked_examples_numbers_come_out():
    """Part 6: Newcombe's difference, P(better) under a flat prior and the always-valid p of 12/200 against 5/210."""
    mail = mail_of((11, 200, 12), (12, 210, 5), days=1)
    fixtures = ORACLE["numeric_fixtures"]

    test = ab_test(mail, sequence_templates=TWO, prior="flat", tau=0.01)
    first = test.iloc[0]

    assert (first["n"], first["x"]) == (200, 12)
    assert first["diff"] == pytest.approx(fixtures["newcombe_95"][0]["diff"], abs=TOLERANCE)
    assert [first["diff_lo"], first["diff_hi"]] == pytest.approx(fixtures["newcombe_95"][0]["ci"], abs=TOLERANCE)
    assert first["p_better"] == pytest.approx(fixtures["prob_first_better_uniform_prior"][0]["p"], abs=1e-6)
    assert first["p_always_valid"] == pytest.approx(fixtures["always_valid_single_look"][0]["p"], abs=TOLERANCE)
    assert first["expected_loss"] == pytest.approx(expected_loss((13, 189), (6, 206)))
    assert first["verdict"] == "too early"


def test_the_worked_examples_mail_is_counted_by_enrollment():
    """Templates 301 and 302 on step 101: the bounce of 302 arrived at nobody, so it is no trial."""
    pairs = variants((101, 301), (101, 302), (102, 303), since="2025-03-01T00:00:00Z")

    test = ab_test(example("mailings"), sequence_templates=pairs, templates=example("templates"))

    assert test[["step_id", "template_id", "arrivals", "n", "x"]].to_numpy().tolist() == [
        [101, 301, 2, 2, 0],
        [101, 302, 2, 1, 0],
    ]
    assert test["name"].tolist() == ["A", "B"]
    assert test.attrs["outreach_frames"]["dropped"]["variant alone on its step"] == 1


def test_rates_are_of_enrollments_and_not_of_mailings():
    """A step that is sent again, after a failure or by hand, has drawn once."""
    mail = mail_of((11, 3, 1), (12, 3, 1))
    again = mail.iloc[[0, 1]].assign(id=[101, 102])

    test = ab_test(pd.concat([mail, again], ignore_index=True), sequence_templates=TWO, as_of="2025-06-01")

    assert test[["n", "x"]].to_numpy().tolist() == [[3, 1], [3, 1]]


def test_an_enrollment_counts_for_the_variant_that_it_was_sent_first():
    mail = mail_of((11, 3, 0), (12, 3, 0))
    other = mail.iloc[[0]].assign(id=101, template_id=12)
    other["delivered_at"] = other["delivered_at"] + pd.Timedelta(days=2)
    other["replied_at"] = other["delivered_at"]

    test = ab_test(pd.concat([mail, other], ignore_index=True), sequence_templates=TWO)

    assert test[["n", "x"]].to_numpy().tolist() == [[3, 0], [3, 0]]
    assert test.attrs["outreach_frames"]["dropped"]["enrollment sent another variant before"] == 1


def test_only_the_time_in_which_all_variants_ran_is_compared():
    """The older variant met other people, in another season, before the newer one was enabled."""
    mail = mail_of((11, 60, 6), (12, 30, 3), days=60)
    newer = variants((1, 11), (1, 12))
    newer.loc[1, "enabled_at"] = pd.Timestamp(START + timedelta(days=30))

    test = ab_test(mail, sequence_templates=newer)

    assert test["n"].tolist() == [30, 15]
    assert test["window_from"].tolist() == [pd.Timestamp(START + timedelta(days=30))] * 2
    assert ab_test(mail, sequence_templates=newer, overlap_only=False)["n"].tolist() == [60, 30]


def test_disabled_variants_are_left_out_since_their_end_is_unknown():
    three = pd.concat([TWO, variants((1, 13), enabled=False).assign(id=950)], ignore_index=True)
    mail = mail_of((11, 20, 2), (12, 20, 2), (13, 20, 2))

    test = ab_test(mail, sequence_templates=three)

    assert test["template_id"].tolist() == [11, 12]
    assert test.attrs["outreach_frames"]["dropped"]["disabled variant: when it ran is unknown"] == 1
    assert ab_test(mail, sequence_templates=three, overlap_only=False)["template_id"].tolist() == [11, 12, 13]


def test_the_same_template_on_another_step_is_another_variant():
    """Mailing and variant meet by step and template; by template alone, each mailing would count on both steps."""
    both = pd.concat([mail_of((11, 10, 1), (12, 10, 2)), mail_of((11, 10, 3), (12, 10, 4), step=2)], ignore_index=True)
    both["id"] = range(1, len(both) + 1)

    test = ab_test(both, sequence_templates=variants((1, 11), (1, 12), (2, 11), (2, 12)))

    assert test[["step_id", "n", "x"]].to_numpy().tolist() == [[1, 10, 1], [1, 10, 2], [2, 10, 3], [2, 10, 4]]


def test_a_clear_difference_is_named_whenever_one_looks():
    test = ab_test(mail_of((11, 3_000, 300), (12, 3_000, 150)), sequence_templates=TWO)

    assert test["verdict"].tolist() == ["A better", "A better"]
    assert test["p_better"].iloc[0] > 0.999


def test_no_difference_is_said_of_those_that_the_interval_excludes():
    """400 enrollments at 5 % leave room for 3 points either way; 4,000 do not leave room for 2."""
    small, large = mail_of((11, 400, 20), (12, 400, 21)), mail_of((11, 4_000, 200), (12, 4_000, 203))

    assert set(ab_test(small, sequence_templates=TWO)["verdict"]) == {"too early"}
    assert set(ab_test(small, sequence_templates=TWO, planned_n=400)["verdict"]) == {"undecided"}
    assert set(ab_test(large, sequence_templates=TWO)["verdict"]) == {"no difference as large as ±2 points"}
    assert set(ab_test(large, sequence_templates=TWO, detectable=0.005, planned_n=0)["verdict"]) == {"undecided"}


def test_nothing_is_said_of_variants_without_mail():
    mail = mail_of((11, 40, 4), (12, 40, 0))
    mail.loc[mail["template_id"] == 12, "bounced_at"] = pd.Timestamp(START + timedelta(days=60))

    assert set(ab_test(mail, sequence_templates=TWO, planned_n=0)["verdict"]) == {"too early"}


def test_a_broken_split_comes_before_everything_else():
    """300 against 200 enrollments were not split in halves: whatever did that can have moved the rates as well."""
    test = ab_test(mail_of((11, 300, 90), (12, 200, 2)), sequence_templates=TWO)

    assert test["srm_p"].iloc[0] == pytest.approx(chisquare([300, 200]).pvalue)
    assert test["srm_p"].iloc[0] < 0.001
    assert set(test["verdict"]) == {"broken split"}


def test_the_split_is_judged_by_arrivals_bounces_included():
    mail = mail_of((11, 100, 0), (12, 100, 0))
    mail.loc[mail["template_id"] == 12, "bounced_at"] = pd.Timestamp(START + timedelta(days=60))

    test = ab_test(mail, sequence_templates=TWO)

    assert test["arrivals"].tolist() == [100, 100]
    assert test["n"].tolist() == [100, 0]
    assert test["srm_p"].tolist() == [1, 1]
    assert test[["diff", "p_better", "expected_loss", "p_always_valid"]].isna().to_numpy().all()


def test_the_always_valid_p_is_that_of_the_strongest_day():
    """Early in the test A leads; later B catches up. Evidence once seen stays."""
    early = mail_of((11, 400, 80), (12, 400, 8), days=5)
    late = mail_of((21, 400, 8), (22, 400, 80), start=START + timedelta(days=10), days=5)
    late["template_id"] = late["template_id"] - 10
    mail = pd.concat([early, late], ignore_index=True).assign(id=lambda rows: range(1, len(rows) + 1))

    p = ab_test(mail, sequence_templates=TWO, tau=0.01)["p_always_valid"].iloc[0]

    days = np.arange(0, 16)
    sent, answered = ({t: _days(mail, t, name) for t in (11, 12)} for name in ("delivered_at", "replied_at"))
    trials = np.array([[(sent[t] <= day).sum() for t in (11, 12)] for day in days])
    successes = np.array([[(answered[t] <= day).sum() for t in (11, 12)] for day in days])
    assert p == pytest.approx(always_valid_p(successes, trials)[-1], rel=1e-9)
    assert p < always_valid_p(successes[-1:], trials[-1:])[0]


def _days(mail, template, name):
    instants = mail.loc[mail["template_id"] == template, name].dropna()
    return np.array([(instant - pd.Timestamp(START)).days for instant in instants])


def test_several_variants_are_compared_with_their_strongest_rival_and_pair_by_pair():
    test = ab_test(
        mail_of((11, 400, 40), (12, 400, 20), (13, 400, 30)),
        sequence_templates=variants((1, 11), (1, 12), (1, 13)),
        prior=(2, 30),
    )
    pairs = attached(test, "pairs")

    assert test["rival_id"].tolist() == [13, 11, 11]
    assert test["variant"].tolist() == ["A", "B", "C"]
    assert pairs[["template_1", "template_2"]].to_numpy().tolist() == [[11, 12], [11, 13], [12, 13]]
    assert pairs["diff"].tolist() == pytest.approx([0.05, 0.025, -0.025])
    assert pairs["p_better"].iloc[1] == pytest.approx(probability_greater((42, 390), (32, 400)))
    assert test["p_better"].iloc[2] == pytest.approx(1 - pairs["p_better"].iloc[1])


def test_many_variants_have_letters_like_columns_of_a_sheet():
    templates = range(100, 128)

    test = ab_test(mail_of((100, 1, 0)), sequence_templates=variants(*((1, template) for template in templates)))

    assert test["variant"].tolist()[:2] == ["A", "B"]
    assert test["variant"].tolist()[25:] == ["Z", "AA", "AB"]


def test_a_winner_among_several_must_beat_each_of_them():
    """C is far behind; that A beats it says nothing about A against B."""
    mail = mail_of((11, 3_000, 300), (12, 3_000, 300), (13, 3_000, 60))

    test = ab_test(mail, sequence_templates=variants((1, 11), (1, 12), (1, 13)), planned_n=3_000)

    assert set(test["verdict"]) == {"undecided"}


def test_more_pairs_ask_for_more_evidence():
    """Of three pairs one is below 0.05 by chance three times as often; the level is shared among them."""
    arms = [(11, 3_000, 300), (12, 3_000, 230), (13, 3_000, 230)]
    rules = {"tau": 0.03, "planned_n": 3_000}

    two = ab_test(mail_of(*arms[:2], days=1), sequence_templates=TWO, **rules)
    three = ab_test(mail_of(*arms, days=1), sequence_templates=variants((1, 11), (1, 12), (1, 13)), **rules)

    assert 0.05 / 3 < two["p_always_valid"].iloc[0] < 0.05
    assert set(two["verdict"]) == {"A better"}
    assert set(three["verdict"]) == {"undecided"}


def test_a_template_that_was_put_on_a_step_again_has_run_since_the_first_time():
    mail = mail_of((11, 30, 3), (12, 30, 3))
    again = variants((1, 11), since=START + timedelta(days=20)).assign(id=950)

    test = ab_test(mail, sequence_templates=pd.concat([TWO, again], ignore_index=True))

    assert test["n"].tolist() == [30, 30]


def many_tests(*rates, n=500):
    """Make one test on each step, of two variants with the same number of successes."""
    mail = [mail_of((11, n, x), (12, n, x), step=step) for step, x in enumerate(rates, start=1)]
    pairs = [(step, template) for step in range(1, len(rates) + 1) for template in (11, 12)]
    together = pd.concat(mail, ignore_index=True)
    return together.assign(id=range(len(together))), variants(*pairs)


def outcome_of(*rates):
    mail, listed = many_tests(*rates)
    return ab_test(mail, sequence_templates=listed)


def test_variants_under_test_do_not_make_their_own_prior():
    """100 of 1,000 against 50 of 1,000: fitted to these two, the prior hid a difference beyond doubt."""
    first = ab_test(mail_of((11, 1_000, 100), (12, 1_000, 50)), sequence_templates=TWO).iloc[0]

    assert first["p_better"] > 0.9999
    assert ab_test(mail_of((11, 1_000, 100), (12, 1_000, 50)), sequence_templates=TWO)["expected_loss"].iloc[1] > 0.049
    assert first[["prior_alpha", "prior_beta"]].tolist() == [1, 1]


def test_five_other_tests_tell_which_rates_are_usual():
    """Each step's prior comes from the others: the unusual one's own rate is not in it."""
    five, six = (outcome_of(*rates) for rates in ((25, 30, 20, 25, 30), (25, 30, 20, 25, 30, 250)))
    priors = six.groupby("step_id")[["prior_alpha", "prior_beta"]].first().to_numpy(dtype=float)
    means = priors[:, 0] / priors.sum(axis=1)

    assert set(five["prior_alpha"]) == set(five["prior_beta"]) == {1.0}
    assert means[5] == pytest.approx(0.05, abs=0.01)
    assert (means[:5] > 0.07).all()


def test_a_test_that_has_not_begun_tells_no_rates():
    mail, listed = many_tests(25, 30, 20, 25, 30, 20)

    begun = ab_test(mail[mail["sequence_step_id"] != 3], sequence_templates=listed)

    assert set(begun["prior_alpha"][begun["step_id"] != 3]) == {1.0}
    assert (begun["prior_alpha"][begun["step_id"] == 3] > 1).all()


def test_the_former_prior_is_fitted_by_moments_to_all_variants():
    mail = mail_of((11, 40, 4), (12, 80, 10), (13, 20, 1), (14, 10, 0), (15, 600, 30))
    five = variants(*((1, template) for template in range(11, 16)))
    fitted = ORACLE["numeric_fixtures"]["empirical_bayes"][0]

    test = ab_test(mail, sequence_templates=five, prior="moments")

    assert test["prior_alpha"].tolist() == pytest.approx([fitted["alpha"]] * 5, abs=TOLERANCE)
    assert test["prior_beta"].tolist() == pytest.approx([fitted["beta"]] * 5, abs=TOLERANCE)
    assert set(ab_test(mail_of((11, 40, 0), (12, 40, 0)), sequence_templates=TWO, prior="moments")["prior_alpha"]) == {
        1
    }


def test_the_plan_is_that_of_the_test_that_is_looked_at_daily():
    mail = mail_of((11, 200, 10), (12, 200, 10))

    def needed(detectable, pairs=TWO, **rules):
        return ab_test(mail, sequence_templates=pairs, detectable=detectable, **rules)["n_needed"].iloc[0]

    assert needed(0.03) == int(sequential_size(0.035, 0.03))
    assert needed(0.03, tau=0.01) == int(sequential_size(0.035, 0.03, tau=0.01))
    assert needed(0.3) == int(sequential_size(0.0, 0.3))
    assert needed(0.03, variants((1, 11), (1, 12), (1, 13))) == int(sequential_size(0.035, 0.03, alpha=0.05 / 3))


def accounts_of(mail, size):
    """Put neighbors among the enrollments of each variant, and with them the answered ones, into accounts."""
    numbers = mail.groupby("template_id").cumcount() // size
    return mail.assign(account_id=(mail["template_id"] * 1_000 + numbers).astype("int64[pyarrow]"))


def test_people_of_one_account_count_for_less_than_strangers():
    """All ten of an account answered, or none: a hundred people say as much as ten."""
    mail = accounts_of(mail_of((11, 1_000, 100), (12, 1_000, 50)), 10)

    alike, strangers = ab_test(mail, sequence_templates=TWO), ab_test(mail, sequence_templates=TWO, cluster=None)

    assert alike["design_effect"].tolist() == pytest.approx([10 * 100 / 99] * 2)
    assert alike["n_needed"].iloc[0] == pytest.approx(10 * strangers["n_needed"].iloc[0], rel=0.02)
    width, usual = (test["diff_hi"].iloc[0] - test["diff_lo"].iloc[0] for test in (alike, strangers))
    assert width == pytest.approx(usual * 10**0.5, rel=0.1)
    assert alike["p_always_valid"].iloc[0] > 100 * strangers["p_always_valid"].iloc[0]
    assert 0.8 < alike["p_better"].iloc[0] < 0.95
    assert alike.attrs["outreach_frames"]["parameters"]["cluster"] == "account_id"
    assert (alike["rate"] == strangers["rate"]).all()


def test_accounts_of_one_person_change_nothing():
    mail = accounts_of(mail_of((11, 100, 10), (12, 100, 5)), 1)
    compared = ["p_better", "expected_loss", "p_always_valid", "srm_p", "verdict", "design_effect"]

    pd.testing.assert_frame_equal(
        ab_test(mail, sequence_templates=TWO)[compared], ab_test(mail, sequence_templates=TWO, cluster=None)[compared]
    )
    unknown = mail.assign(account_id=pd.Series([None] * len(mail), dtype="int64[pyarrow]"))
    pd.testing.assert_frame_equal(ab_test(unknown, sequence_templates=TWO), ab_test(mail, sequence_templates=TWO))


def test_a_difference_within_accounts_is_not_blurred_by_them():
    """Colleagues who were sent different variants share their account's mood: it cancels."""
    mail = mail_of((11, 1_000, 200), (12, 1_000, 200)).assign(
        mood=lambda rows: rows.groupby("template_id").cumcount() // 5
    )

    test = ab_test(mail, sequence_templates=TWO, cluster="mood")

    assert test["design_effect"].tolist() == pytest.approx([5 * 200 / 199] * 2)
    assert test["n_needed"].iloc[0] == ab_test(mail, sequence_templates=TWO, cluster=None)["n_needed"].iloc[0]


def test_a_split_of_accounts_is_judged_by_accounts():
    """Five accounts of 60 against four are no broken split; 300 people against 240 strangers would be suspicious."""
    mail = accounts_of(mail_of((11, 540, 20), (12, 420, 16)), 60)

    assert ab_test(mail, sequence_templates=TWO, cluster=None)["srm_p"].iloc[0] < 0.001
    assert ab_test(mail, sequence_templates=TWO)["srm_p"].iloc[0] > 0.3


def test_an_included_account_is_found():
    mail = accounts_of(mail_of((11, 100, 10), (12, 100, 5)), 10).rename(columns={"account_id": "prospect__account_id"})

    assert (
        ab_test(mail, sequence_templates=TWO).attrs["outreach_frames"]["parameters"]["cluster"]
        == "prospect__account_id"
    )


def test_a_cluster_that_is_not_there_is_refused():
    with pytest.raises(MissingColumnError, match="'firm_id'"):
        ab_test(mail_of((11, 3, 1), (12, 3, 1)), sequence_templates=TWO, cluster="firm_id")


def test_what_happens_after_as_of_has_not_happened_yet():
    mail = mail_of((11, 30, 30), (12, 30, 0), wait=timedelta(days=10))

    test = ab_test(mail, sequence_templates=TWO, as_of=START + timedelta(days=15))

    assert test["n"].tolist() == [15, 15]
    assert test["x"].iloc[0] == 5
    assert test.attrs["outreach_frames"]["as_of"].startswith("2025-01-21")


def test_a_template_changed_meanwhile_is_warned_of():
    """The API does not keep earlier texts: the halves of the test may have had different ones."""
    templates = make_frame([{"id": 11, "name": "Old", "updated_at": "2025-01-20T00:00:00Z"}, {"id": 12, "name": "New"}])

    with pytest.warns(ChangedTemplateWarning, match=r"unknown: 1 \(id 11\)\.$"):
        test = ab_test(mail_of((11, 30, 3), (12, 30, 3)), sequence_templates=TWO, templates=templates)

    assert test["name"].tolist() == ["Old", "New"]


def test_opens_are_compared_with_a_warning_and_only_where_tracked():
    mail = mail_of((11, 20, 0), (12, 20, 0)).assign(track_opens=True, open_count=0)
    mail.loc[mail.index[:5], "track_opens"] = False
    mail.loc[mail.index[5:8], ["open_count", "opened_at"]] = [1, mail["delivered_at"].iloc[5]]

    with pytest.warns(MachineOpenWarning, match=": 3 "):
        test = ab_test(mail, sequence_templates=TWO, metric="open_rate")

    assert test[["n", "x"]].to_numpy().tolist() == [[15, 3], [20, 0]]


@pytest.mark.parametrize("mail", [mail_of((11, 3, 1), (99, 3, 1)), mail_of((98, 3, 1))])
def test_variants_without_mail_stay(mail):
    test = ab_test(mail, sequence_templates=TWO)

    assert test["template_id"].tolist() == [11, 12]
    assert plain(test["rate"])[1] is None
    assert set(test["verdict"]) == {"too early"}


def test_nothing_to_compare_keeps_columns_and_types():
    some, none = (
        ab_test(mail_of((11, 3, 1), (12, 3, 1)), sequence_templates=TWO),
        ab_test(mail_of((11, 3, 1)).head(0), sequence_templates=TWO.head(0)),
    )

    assert len(none) == 0
    assert none.dtypes.equals(some.dtypes)
    assert attached(none, "pairs").columns.equals(attached(some, "pairs").columns)


def test_the_pairs_travel_through_json_and_parquet(tmp_path):
    test = ab_test(mail_of((11, 30, 3), (12, 30, 5)), sequence_templates=TWO)
    json.dumps(test.attrs, allow_nan=False)
    test.to_parquet(tmp_path / "test.parquet")

    again = pd.read_parquet(tmp_path / "test.parquet", dtype_backend="pyarrow")

    pd.testing.assert_frame_equal(attached(again, "pairs"), attached(test, "pairs"))


def test_row_order_and_other_columns_do_not_matter():
    mail = mail_of((11, 50, 5), (12, 50, 9))
    shuffled = mail.sample(frac=1, random_state=3).assign(subject="Hello")

    pd.testing.assert_frame_equal(
        ab_test(shuffled, sequence_templates=TWO.iloc[::-1]), ab_test(mail, sequence_templates=TWO)
    )


@pytest.mark.parametrize(
    "arguments",
    [
        {"metric": "bounce"},
        {"prior": "skeptical"},
        {"tau": 0},
        {"ci": 1},
        {"prior": (0, 1)},
        {"bounce_policy": "never"},
    ],
)
def test_unknown_choices_are_refused(arguments):
    with pytest.raises(DataError):
        ab_test(mail_of((11, 3, 1), (12, 3, 1)), sequence_templates=TWO, **arguments)


def test_a_missing_column_names_itself():
    with pytest.raises(MissingColumnError, match="'enabled_at' is missing; ab_test needs it"):
        ab_test(example("mailings"), sequence_templates=TWO.drop(columns="enabled_at"))


def test_other_kinds_of_frame_are_refused():
    with pytest.raises(DataError, match="works on frames in memory; mailings is a list"):
        ab_test([], sequence_templates=TWO, as_of=AS_OF)
