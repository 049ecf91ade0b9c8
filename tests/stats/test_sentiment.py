import pytest

from outreach_frames import stats
from outreach_frames.errors import DataError, MissingColumnError
from tests.frames import extracted, make_frame, plain

COUNTERS = ["positive_reply_count", "neutral_reply_count", "negative_reply_count", "deliver_count"]


def counted(*rows):
    named = [dict(zip(COUNTERS, row, strict=True)) for row in rows]
    return make_frame([{"id": n, **row} for n, row in enumerate(named, start=1)], "id", *COUNTERS)


def test_share_of_the_classified_and_rate_of_the_delivered():
    """4 of 8 and 4 of 9, whose Wilson bounds are 0.5 ± 0.284784 (by hand: z²/n = 0.480182)."""
    found = stats.reply_sentiment(counted((4, 1, 3, 9))).iloc[0]

    assert found[["positive", "neutral", "negative", "classified", "delivered"]].tolist() == [4, 1, 3, 8, 9]
    assert found["positive_reply_share"] == 0.5
    assert found["positive_reply_share_lo"] == pytest.approx(0.5 - 0.284784, abs=1e-6)
    assert found["positive_reply_share_hi"] == pytest.approx(0.5 + 0.284784, abs=1e-6)
    assert found["positive_reply_rate"] == pytest.approx(4 / 9)
    assert (found["positive_reply_share_n"], found["positive_reply_rate_n"]) == (8, 9)


def test_nothing_classified_is_no_zero():
    found = stats.reply_sentiment(counted((0, 0, 0, 5), (None, None, None, None)))

    assert plain(found["positive_reply_share"]) == [None, None]
    assert plain(found["positive_reply_rate"]) == [0, None]


def test_counters_that_contradict_each_other_give_no_rate():
    """More positive replies than deliveries: a copied sequence, or deleted mail; a rate above 1 would be nonsense."""
    found = stats.reply_sentiment(counted((3, 0, 0, 2))).iloc[0]

    assert found["positive_reply_share"] == 1
    assert plain(found[["positive_reply_rate", "positive_reply_rate_lo"]]) == [None, None]
    assert (found["positive"], found["delivered"]) == (3, 2)


@pytest.mark.parametrize(
    ("resource", "key"),
    [
        ("sequence_steps", "sequence_step_id"),
        ("sequence_templates", "sequence_template_id"),
        ("sequence_states", "sequence_state_id"),
    ],
)
def test_the_key_is_named_for_what_it_is(resource, key):
    assert stats.reply_sentiment(counted((1, 1, 1, 5)), resource=resource).columns[0] == key


def test_prospects_counters_make_no_rate():
    """They restart at the last touch."""
    with pytest.raises(DataError, match="no resource 'prospects'"):
        stats.reply_sentiment(counted((1, 1, 1, 5)), resource="prospects")
    with pytest.raises(DataError, match="These are prospects, not sequences"):
        stats.reply_sentiment(extracted(counted((1, 1, 1, 5)), "prospects"))


def test_a_missing_counter_is_named():
    with pytest.raises(MissingColumnError, match="'neutral_reply_count' is missing; reply_sentiment needs it"):
        stats.reply_sentiment(counted((1, 1, 1, 5)).drop(columns="neutral_reply_count"))


def test_no_objects_give_no_rows():
    assert stats.reply_sentiment(counted()).empty
