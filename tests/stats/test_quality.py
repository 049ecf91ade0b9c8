import warnings

import pandas as pd
import pytest

from outreach_frames.errors import DataError, SnapshotError
from outreach_frames.stats.quality import data_quality
from outreach_frames.stats.quality_checks import CHECKS, EFFECTS
from tests.frames import AS_OF, EXPECTED, ORACLE, example, extracted, mailings, make_frame, plain

EXAMPLE = {name: example(name) for name in ORACLE["tables"]}
SENT = {"delivered_at": "2025-03-03T12:00:00Z"}
BOX = {"send_disabled": False, "send_errored_at": None, "send_success_at": None, "max_mailings_per_day": None}


def found(checks, name):
    """Return the one row of a check."""
    (row,) = checks[checks["check"] == name].to_dict("records")
    return row


def ids(checks, name):
    return list(found(checks, name)["example_ids"])


def of_mail(*rows, as_of=AS_OF, **others):
    return data_quality({"mailings": mailings(*rows), **others}, as_of=as_of)


@pytest.mark.parametrize("name", EXPECTED["anomalies"])
def test_the_worked_examples_anomalies_are_found(name):
    assert ids(data_quality(EXAMPLE), name) == EXPECTED["anomalies"][name]


def test_every_trap_is_listed_once_or_more_and_in_order():
    """What cannot be checked must be seen not to have been."""
    for checks in (data_quality(EXAMPLE), data_quality({})):
        numbers = [int(trap[1:]) for trap in checks["trap"].dropna()]
        assert numbers == sorted(numbers)
        assert set(numbers) == set(range(1, 31)) == set(EFFECTS)
        assert checks["effect"].notna().all()


def test_what_is_not_given_is_named_and_not_counted():
    checks = data_quality({"mailings": mailings(SENT).drop(columns="prospect_id")}, as_of=AS_OF)

    blind = found(checks, "blind_mailboxes")
    assert blind["needs"] == "mailboxes"
    assert all(pd.isna(blind[column]) for column in ("count", "rows", "share", "severity"))
    assert found(checks, "mailing_without_prospect")["needs"] == "prospect_id"


def test_without_an_extraction_time_what_needs_it_is_not_checked():
    checks = data_quality({"mailings": mailings(SENT)})

    assert found(checks, "too_early_to_answer")["needs"] == "as_of"
    assert found(checks, "opened_again")["count"] == 0


def test_nothing_found_is_ok_and_something_as_severe_as_it_is():
    checks = of_mail({**SENT, "bounced_at": "2025-03-03T13:00:00Z", "replied_at": "2025-03-03T14:00:00Z"}, SENT)

    assert found(checks, "opened_again")["severity"] == "ok"
    answered = found(checks, "bounced_and_replied")
    assert (answered["severity"], answered["count"], answered["rows"], answered["share"]) == ("watch", 1, 2, 0.5)
    assert checks["severity"].cat.categories.tolist() == ["ok", "note", "watch", "act"]


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("opened_again", {**SENT, "open_count": 2}),
        ("first_open_unknown", {**SENT, "open_count": 2, "opened_at": "2025-03-04T12:00:00Z"}),
        ("clicked_again", {**SENT, "click_count": 3}),
        ("delivered_and_bounced", {**SENT, "bounced_at": "2025-03-03T13:00:00Z"}),
        ("open_tracking_off", {**SENT, "track_opens": False}),
        ("not_sent", {"state": "failed"}),
        ("replied_before_delivered", {**SENT, "replied_at": "2025-03-03T11:00:00Z"}),
        ("after_extraction", {"delivered_at": "2025-04-01T00:00:00Z"}),
        ("too_early_to_answer", {"delivered_at": "2025-03-20T00:00:00Z"}),
        ("machine_engagement", {**SENT, "open_count": 1, "opened_at": "2025-03-03T12:00:04Z"}),
        ("at_the_edge_of_a_week", {"delivered_at": "2025-03-09T23:30:00Z"}),
    ],
)
def test_a_mailing_in_a_trap_is_found_and_a_plain_one_is_not(name, row):
    plain_one = {**SENT, "sequence_id": 1, "prospect_id": 1, "track_opens": True}

    assert ids(of_mail(plain_one, row), name) == [2]


def test_enrollments_in_traps_are_found():
    made = {"prospect_id": 1, "sequence_id": 10, "created_at": "2025-03-01T00:00:00Z"}
    states = make_frame(
        [
            {"id": 7, **made, "state": "active", "sequence_step_id": 101},
            {
                "id": 5,
                **made,
                "state": "paused",
                "created_at": "2025-03-05T00:00:00Z",
                "pause_reason": "OOTO until Monday",
            },
            {"id": 9, **made, "state": "finished", "prospect_id": 2, "sequence_step_id": 102},
        ]
    )
    mail = [
        {**SENT, "sequence_state_id": 7, "sequence_step_id": 101},
        {**SENT, "sequence_state_id": 9, "sequence_step_id": 101, "replied_at": "2025-03-04T00:00:00Z"},
        {**SENT, "sequence_state_id": 9, "sequence_step_id": 102, "unsubscribed_at": "2025-03-05T00:00:00Z"},
        {**SENT, "sequence_state_id": 5, "replied_at": "2025-03-03T12:04:59Z"},
    ]

    checks = of_mail(*mail, sequence_states=states)

    assert ids(checks, "reenrollments") == [5]
    assert ids(checks, "several_open_enrollments") == [1]
    assert ids(checks, "out_of_office") == [5]
    assert ids(checks, "reply_and_opt_out") == [9]
    assert ids(checks, "moved_on") == [9]
    assert ids(checks, "automatic_replies") == [4]
    assert found(checks, "automatic_replies")["rows"] == 2


def test_people_in_traps_are_found():
    people = make_frame(
        [
            {"id": 1, "owner_id": 51, "opted_out_at": "2025-03-02T00:00:00Z", "opted_out": True, "open_count": 0},
            {
                "id": 2,
                "owner_id": 51,
                "time_zone": "Central Time",
                "opted_out_at": "2025-03-04T00:00:00Z",
                "open_count": 1,
            },
            {"id": 3, "owner_id": 52, "time_zone_inferred": "Asia/Kolkata", "open_count": 0},
        ],
        "time_zone_iana",
    )
    mail = [
        {**SENT, "prospect_id": 1, "user_id": 51, "open_count": 2},
        {**SENT, "prospect_id": 2, "user_id": 52, "unsubscribed_at": "2025-03-04T00:00:00Z"},
    ]
    plans = make_frame([{"id": 1, "transactional": False}])

    checks = of_mail(*mail, prospects=people, sequences=plans)

    assert ids(checks, "no_time_zone") == [1, 2]
    assert ids(checks, "manual_opt_outs") == [1]
    assert ids(checks, "owner_is_not_sender") == [2]
    assert ids(checks, "prospect_counters_restarted") == [1]
    assert ids(checks, "mail_after_opt_out") == [1]


def test_counters_above_the_rows_are_found():
    plans = make_frame([{"id": 1, "deliver_count": 3}, {"id": 2, "deliver_count": 0}])

    assert ids(of_mail({**SENT, "sequence_id": 1}, sequences=plans), "counters_above_rows") == [1]


def test_templates_that_count_elsewhere_are_found():
    templates = make_frame([{"id": 1, "stats_target_id": None}, {"id": 2, "stats_target_id": 1}])

    assert ids(data_quality({"templates": templates}), "counted_on_another_template") == [2]


def test_disputed_replies_are_found():
    step = {"sequence_state_id": 1, "delivered_at": "2025-03-01T12:00:00Z"}
    mail = [{**step, "sequence_step_id": 1}, {**step, "sequence_step_id": 2, "replied_at": "2025-03-02T12:00:00Z"}]

    assert ids(of_mail(*mail), "disputed_replies") == [2]


def test_blind_mailboxes_are_to_be_repaired_first():
    rows = [{"sync_success_at": "2025-03-30T23:00:00Z"}, {"sync_success_at": "2025-03-01T00:00:00Z"}]
    boxes = make_frame(
        [{"id": n, **BOX, "sync_disabled": False, "sync_errored_at": None, **row} for n, row in enumerate(rows)]
    )

    checks = of_mail(SENT, mailboxes=boxes)

    assert ids(checks, "blind_mailboxes") == [1]
    assert found(checks, "blind_mailboxes")["severity"] == "act"


def test_calls_in_traps_are_found():
    calls = make_frame(
        [
            {"id": 1, "outcome": "Answered", "dialed_at": "2025-03-03T12:00:00Z"},
            {"id": 2, "outcome": "no_answer", "created_at": "2025-03-03T12:00:00Z"},
            {"id": 3, "outcome": "Gatekeeper", "completed_at": "2025-03-03T12:00:00Z"},
        ],
        "answered_at",
    )

    checks = data_quality({"calls": calls})

    assert ids(checks, "calls_without_time") == [2]
    assert ids(checks, "unknown_call_outcome") == [3]


def test_intervals_that_fit_neither_unit_are_found():
    """Two days are 2,880 minutes or 172,800 seconds; 9,000 of either is something else."""
    plans = make_frame([{"id": n, "duration_in_days": 2} for n in (1, 2, 3)] + [{"id": 4, "duration_in_days": None}])
    steps = make_frame(
        [
            {"id": n, "sequence_id": n, "interval": interval}
            for n, interval in enumerate((2_880, 172_800, 9_000, 5), start=1)
        ]
    )

    checks = data_quality({"sequences": plans, "sequence_steps": steps})

    assert ids(checks, "unclear_step_interval") == [3]
    assert found(checks, "unclear_step_interval")["rows"] == 3


def test_deals_in_traps_are_found():
    opportunities = make_frame(
        [
            {"id": 1, "amount": 5, "currency_type": "USD", "external_created_at": "2025-03-01T00:00:00Z"},
            {"id": 2, "amount": None, "currency_type": "USD", "external_created_at": None},
            {"id": 3, "amount": 5, "currency_type": "EUR", "external_created_at": "2025-03-01T00:00:00Z"},
        ]
    )

    checks = data_quality({"opportunities": opportunities})

    assert ids(checks, "dated_by_sync") == [2]
    assert ids(checks, "other_currency") == [3]
    assert ids(checks, "without_amount") == [2]


def test_ids_that_came_twice_are_counted_and_the_rest_goes_on():
    """Other statistics refuse such a frame; here the later row is kept, and what it did is told."""
    mail = mailings(SENT, SENT, SENT)
    doubled = pd.concat([mail, mail.iloc[[1]].assign(open_count=5)], ignore_index=True)

    checks = data_quality({"mailings": doubled})

    twice = found(checks, "doubled_ids")
    assert (list(twice["example_ids"]), twice["severity"], twice["resource"]) == ([2], "act", "mailings")
    assert ids(checks, "opened_again") == [2]
    assert found(checks, "opened_again")["rows"] == 3


def test_instants_without_a_zone_are_counted_and_read_as_utc():
    mail = mailings(SENT, {"delivered_at": "2025-03-09T23:30:00Z"}, {})
    naive = mail.assign(delivered_at=mail["delivered_at"].dt.tz_localize(None))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checks = data_quality({"mailings": naive})

    assert ids(checks, "naive_instants") == [1, 2]
    assert ids(checks, "at_the_edge_of_a_week") == [2]


def test_a_table_without_ids_is_still_looked_at():
    roles = make_frame([{"opportunity_id": 1, "prospect_id": 2}])

    assert found(data_quality({"opportunity_prospect_roles": roles}), "doubled_ids")["count"] == 0


class Snapshot:
    """What a snapshot is to the statistics."""

    def __init__(self, frames, tables=None):
        self.frames = frames
        if tables is not None:
            self.tables = tables

    def frame(self, name):
        """Return a table, or raise as a snapshot does."""
        if name not in self.frames:
            raise SnapshotError(f"There is no table {name}.")
        return self.frames[name]


@pytest.mark.parametrize("tables", [None, sorted(EXAMPLE)])
def test_a_snapshot_serves_as_well(tables):
    pd.testing.assert_frame_equal(data_quality(Snapshot(EXAMPLE, tables)), data_quality(EXAMPLE))


def test_a_table_that_a_snapshot_lists_and_cannot_read_is_an_error():
    """It must not pass as one that was never taken."""
    with pytest.raises(SnapshotError):
        data_quality(Snapshot({}, ["mailings"]))


@pytest.mark.parametrize("frames", [None, [1], {"mailings": [1, 2]}, {"mailings": None}])
def test_what_holds_no_frames_is_refused(frames):
    with pytest.raises(DataError):
        data_quality(frames)


def test_a_wrong_dtype_is_named():
    with pytest.raises(DataError, match="'open_count' of mailings"):
        data_quality({"mailings": mailings(SENT).assign(open_count="three")})


def test_an_as_of_after_the_extraction_is_refused():
    with pytest.raises(DataError, match="later than the extraction"):
        data_quality({"mailings": extracted(mailings(SENT), "mailings")}, as_of="2025-04-02")


def test_checks_have_distinct_names():
    names = [check.name for check in CHECKS]

    assert len(names) == len(set(names))
    assert plain(data_quality(EXAMPLE)["needs"]).count(None) > len(names) / 2
