"""What belongs together widens the intervals, by a design effect that plain arithmetic gives too."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.stats import t

from outreach_frames import open_snapshot, stats
from outreach_frames.errors import DataError
from outreach_frames.stats.clusters import ENOUGH
from outreach_frames.stats.intervals import score_interval, wilson
from outreach_frames.stats.provenance import explanation
from tests.frames import AS_OF, ENGINES, as_pandas, assert_equal_tables, example, mailings

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
DELIVERED = "2025-03-03T12:00:00Z"


def mail_of(clusters, *, column="prospect_id", sequence=1):
    """Make mail of clusters (delivered, opened)."""
    return [
        {column: number + 1, "sequence_id": sequence, "delivered_at": DELIVERED, "open_count": int(place < opened)}
        for number, (delivered, opened) in enumerate(clusters)
        for place in range(delivered)
    ]


def people(seed=1, count=40):
    """Draw people of whom each opens all of their mail or none."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 7, count)
    return [(int(n), int(n) if opens else 0) for n, opens in zip(sizes, rng.random(count) < 0.4, strict=True)]


def design_effect(clusters):
    """Compute it as the textbook has it, in a loop."""
    n, x = sum(n for n, _ in clusters), sum(x for _, x in clusters)
    p, squares = x / n, sum((x_c - x / n * n_c) ** 2 for n_c, x_c in clusters)
    return len(clusters) / (len(clusters) - 1) * squares / (n * p * (1 - p))


def test_the_interval_is_that_of_fewer_trials_and_students_quantile():
    clusters = people()
    n, x, effect = sum(n for n, _ in clusters), sum(x for _, x in clusters), design_effect(clusters)

    found = stats.engagement(mailings(*mail_of(clusters))).iloc[0]

    quantile = t.ppf(0.975, len(clusters) - 1)
    same_quantile = 2 * (1 - t.sf(quantile, np.inf)) - 1
    _, lo, hi = score_interval(x / effect, n / effect, ci=same_quantile)
    assert effect > 2
    assert (found["open_rate"], found["open_rate_n"]) == (x / n, n)
    assert [found["open_rate_lo"], found["open_rate_hi"]] == pytest.approx([lo, hi], abs=2e-6)


def test_the_record_and_explain_tell_what_belongs_together():
    clusters = people()
    n, effect = sum(n for n, _ in clusters), design_effect(clusters)

    found = stats.engagement(mailings(*mail_of(clusters)))

    noted = found.attrs["outreach_frames"]["clusters"]["open_rate"]
    assert noted == {
        "cluster": "prospect_id",
        "design_effect": pytest.approx(effect),
        "n": n,
        "effective_n": pytest.approx(n / effect),
    }
    told = f"open_rate: by prospect_id, {n} trials are worth {n / effect:.0f} independent ones"
    assert told in explanation(found)


def test_small_groups_take_the_design_effect_of_all_together():
    """Theirs alone would be told by chance: here one has none and the other much."""
    first, second = [(2, 1)] * 20, [(4, 4)] * 10 + [(4, 0)] * 10
    rows = mail_of(first) + [{**row, "prospect_id": row["prospect_id"] + 100} for row in mail_of(second, sequence=2)]

    found = stats.engagement(mailings(*rows), by="sequence_id")

    n, p = np.array([40, 80]), 0.5
    squares = np.array([0.0, 20 * 4 * 20 / 19])
    pooled = squares.sum() / (n * p * (1 - p)).sum()
    assert found.attrs["outreach_frames"]["clusters"]["open_rate"]["design_effect"] == pytest.approx(pooled)
    widths = (found["open_rate_hi"] - found["open_rate_lo"]).to_numpy(dtype=float)
    assert widths[0] > np.diff(wilson([20], [40])[["lo", "hi"]])[0, 0] * 1.2


def test_large_groups_have_their_own():
    rows = mail_of([(2, 1)] * ENOUGH) + [
        {**row, "prospect_id": row["prospect_id"] + ENOUGH} for row in mail_of([(4, 4), (4, 0)] * 20, sequence=2)
    ]

    found = stats.engagement(mailings(*rows), by="sequence_id").iloc[0]

    freedom = ENOUGH - 1
    same_quantile = 2 * (1 - t.sf(t.ppf(0.975, freedom), np.inf)) - 1
    _, lo, hi = score_interval(ENOUGH, 2 * ENOUGH, ci=same_quantile)
    assert [found["open_rate_lo"], found["open_rate_hi"]] == pytest.approx([lo, hi], abs=1e-6)


def test_single_trials_are_independent():
    found = stats.engagement(mailings(*mail_of([(1, 1)] * 10 + [(1, 0)] * 30))).iloc[0]

    lo, hi = wilson([10], [40])[["lo", "hi"]].iloc[0]
    assert [found["open_rate_lo"], found["open_rate_hi"]] == pytest.approx([lo, hi])


def test_mail_to_nobody_known_belongs_to_nothing():
    rows = [{**row, "prospect_id": None} for row in mail_of([(10, 10), (30, 0)])]

    found = stats.engagement(mailings(*rows)).iloc[0]

    lo, hi = wilson([10], [40])[["lo", "hi"]].iloc[0]
    assert [found["open_rate_lo"], found["open_rate_hi"]] == pytest.approx([lo, hi])


def test_the_account_goes_before_the_person():
    rows = mail_of([(1, 1)] * 20 + [(1, 0)] * 20)
    account = [(row["prospect_id"] - 1) // 4 for row in rows]
    mail = mailings(*rows)

    by_account = stats.engagement(mail.assign(account_id=pd.array(account, dtype="int64[pyarrow]")))
    included = stats.engagement(mail.assign(prospect__account_id=pd.array(account, dtype="int64[pyarrow]")))

    noted = by_account.attrs["outreach_frames"]["clusters"]["open_rate"]
    assert noted["cluster"] == "account_id"
    assert noted["design_effect"] == pytest.approx(design_effect([(4, 4), (4, 0)] * 5))
    assert included["open_rate_lo"].equals(by_account["open_rate_lo"])


def test_enrollments_tell_the_account_of_their_mail():
    rows = [{"sequence_state_id": n, "sequence_id": 1, "delivered_at": DELIVERED} for n in range(1, 9)]
    mail = mailings(*rows)
    states = pd.DataFrame(
        {"id": range(1, 9), "sequence_id": 1, "state": "active", "account_id": [1, 1, 1, 1, 2, 2, 2, 2]}
    )
    sequences = pd.DataFrame({"id": [1], "name": ["Intro"]})

    found = stats.sequence_engagement(mail, sequences=sequences, sequence_states=states)

    assert {each["cluster"] for each in found.attrs["outreach_frames"]["clusters"].values()} == {"account_id"}


def test_a_column_of_ones_own_may_name_the_clusters_text_too():
    mail = mailings(*mail_of([(1, 1)] * 20 + [(1, 0)] * 20)).assign(list=["a"] * 20 + ["b"] * 20)

    found = stats.engagement(mail, cluster="list")

    assert found.attrs["outreach_frames"]["clusters"]["open_rate"]["cluster"] == "list"
    assert found.attrs["outreach_frames"]["clusters"]["open_rate"]["design_effect"] == pytest.approx(40)


def test_a_group_that_is_a_cluster_has_independent_trials():
    mail = mailings(*mail_of([(40, 10), (40, 30)]))

    found = stats.engagement(mail, by="prospect_id")

    assert found["open_rate_lo"].tolist() == pytest.approx(wilson([10, 30], [40, 40])["lo"].tolist())


def test_clusters_by_no_column_are_refused():
    with pytest.raises(DataError, match="no column 'company'"):
        stats.engagement(mailings(*mail_of([(1, 1)])), cluster="company")


def test_an_enrollment_may_be_the_cluster():
    """What is counted of it by time, too, is counted once."""
    alone, together = (
        stats.engagement(example("mailings"), cluster=cluster, as_of=AS_OF) for cluster in (None, "sequence_state_id")
    )

    counts = [name for name in alone.columns if not name.endswith(("_lo", "_hi"))]
    assert_equal_tables(together[counts], alone[counts])
    assert together["enrollment_reply_rate_hi"].tolist() == alone["enrollment_reply_rate_hi"].tolist()


def test_clusters_need_no_person():
    calls = open_snapshot(SAMPLE).frame("calls").drop(columns="prospect_id")

    assert len(stats.call_outcomes(calls, by=None, cluster="user_id")) == 1


def test_lists_name_no_clusters():
    mail = example("mailings")
    tags = pd.Series([["a"]] * len(mail), dtype=pd.ArrowDtype(pa.list_(pa.string())))

    with pytest.raises(DataError, match="'tags'"):
        stats.engagement(mail.assign(tags=tags), cluster="tags")


@pytest.mark.parametrize("engine", ENGINES)
def test_zeros_of_both_signs_are_one_group(engine):
    """Engines differ in it."""
    mail = example("mailings").assign(k=pd.Series([0.0, -0.0] * 6, dtype="double[pyarrow]"))

    found = as_pandas(stats.engagement(ENGINES[engine](mail), by="k", as_of=AS_OF))

    assert found["mailings"].tolist() == [12]


@pytest.mark.parametrize("engine", ENGINES)
def test_clusters_may_be_text_and_a_person_in_two_of_them_counts_once(engine):
    mail = example("mailings").assign(team=pd.Series(["a", "b"] * 6, dtype="string[pyarrow]"))
    counts = [
        "sequence_id",
        "prospect_reply_rate_n",
        "prospects_replied",
        "enrollment_reply_rate_n",
        "enrollments_replied",
    ]

    alone = as_pandas(stats.engagement(ENGINES[engine](mail), by="sequence_id", cluster=None, as_of=AS_OF))
    together = as_pandas(stats.engagement(ENGINES[engine](mail), by="sequence_id", cluster="team", as_of=AS_OF))

    assert mail.groupby("prospect_id")["team"].nunique().max() == 2
    assert_equal_tables(together[counts], alone[counts])
    assert (together["enrollment_reply_rate_hi"] > alone["enrollment_reply_rate_hi"]).any()
