import pytest

from outreach_frames import stats
from outreach_frames.errors import MissingColumnError
from tests.frames import MONDAY, TUESDAY, WEDNESDAY, example, mailings, make_frame


def people(*rows):
    made = [{"id": n, "owner_id": 51, **row} for n, row in enumerate(rows, start=1)]
    return make_frame(made, "id", "owner_id", "opted_out", "opted_out_at")


def mail(prospect, sequence=10, at=TUESDAY, **row):
    return {"prospect_id": prospect, "sequence_id": sequence, "delivered_at": at, **row}


def test_the_worked_example():
    """Part 6: p3 opts out an hour after mailing 5, in sequence 10, where three people were reached."""
    found = stats.prospect_opt_outs(example("mailings"), prospects=example("prospects"), cluster=None)

    counts = found[["sequence_id", "contacted", "prospects_opted_out"]]
    assert counts.to_numpy().tolist() == [[10, 3, 1], [20, 2, 0]]
    assert found["prospect_opt_out_rate_lo"].tolist()[0] == pytest.approx(0.061492, abs=1e-6)
    assert found["prospect_opt_out_rate_hi"].tolist()[0] == pytest.approx(0.792340, abs=1e-6)


@pytest.mark.parametrize(("gone", "counts"), [(WEDNESDAY, 1), (TUESDAY, 0), (MONDAY, 0), (None, 0)])
def test_only_an_opt_out_after_the_first_contact_counts(gone, counts):
    found = stats.prospect_opt_outs(
        mailings(mail(1), mail(1, at="2025-03-09T12:00:00Z")), prospects=people({"opted_out_at": gone})
    )

    assert found[["contacted", "prospects_opted_out"]].to_numpy().tolist() == [[1, counts]]


def test_first_contact_is_that_of_the_group():
    """Contacted by the second sequence only after opting out: no loss of that sequence's making."""
    sent = mailings(mail(1), mail(1, sequence=20, at="2025-03-09T12:00:00Z"))

    found = stats.prospect_opt_outs(sent, prospects=people({"opted_out_at": WEDNESDAY}))

    assert found["prospects_opted_out"].tolist() == [1, 0]


def test_owners_come_from_the_prospects():
    found = stats.prospect_opt_outs(
        mailings(mail(1), mail(2), mail(3), mail(9)),
        prospects=people({"opted_out_at": WEDNESDAY}, {"owner_id": 52}, {"owner_id": None}),
        by="owner_id",
    )

    assert found[["owner_id", "contacted", "prospects_opted_out"]].to_numpy().tolist() == [[51, 1, 1], [52, 1, 0]]
    assert found.attrs["outreach_frames"]["dropped"] == {
        "touch of a prospect that is missing or not listed": 1,
        "owner_id missing": 1,
    }


def test_a_call_is_a_contact_and_a_bounce_is_none():
    calls = make_frame(
        [{"id": 1, "prospect_id": 2, "sequence_id": 10, "direction": "outbound", "dialed_at": TUESDAY}],
        "answered_at",
        "completed_at",
    )
    gone = {"opted_out_at": WEDNESDAY}

    found = stats.prospect_opt_outs(mailings(mail(1, bounced_at=TUESDAY)), prospects=people(gone, gone), calls=calls)

    assert found[["contacted", "prospects_opted_out"]].to_numpy().tolist() == [[1, 1]]


def test_nobody_contacted_gives_a_row_without_a_rate():
    found = stats.prospect_opt_outs(mailings(), prospects=people({}), by=None)

    assert found["contacted"].tolist() == [0]
    assert found["prospect_opt_out_rate"].isna().all()


def test_a_missing_column_is_named():
    with pytest.raises(MissingColumnError, match="'opted_out_at' is missing; prospect_opt_outs needs it"):
        stats.prospect_opt_outs(mailings(), prospects=people({}).drop(columns="opted_out_at"))
